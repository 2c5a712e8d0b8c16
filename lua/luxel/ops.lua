--- The differentiable operations on tensors: each a pair forward/backward of primitives of `luxel.core`.
--
-- Gradients are computed with recording off, so backward functions call the primitives directly. `pure` promises the
-- tape that backward keeps no reference to a gradient (see autograd.define).

local autograd = require "luxel.autograd"
local core = require "luxel.core"
local same_shape = require("luxel.shape").same

local define, unary, binary, where = autograd.define, core.unary, core.binary, core.where

local ops = {}

local function mul(a, b) return binary("mul", a, b) end
local function add(a, b) return binary("add", a, b) end
local function div(a, b) return binary("div", a, b) end

local function zeros(shape, device)
    return core.fill_(core.new(shape, "float32", device), 0)
end

local function scalar(value, device)
    return core.fill_(core.new({}, "float32", device), value)
end

-- The gradient where the mask holds, 0 elsewhere (also where the gradient is NaN there).
local function masked(mask, grad)
    return where(mask, grad, scalar(0, grad.device))
end

-- Undoes broadcasting: sums the gradient over what was expanded from `shape`.
local function sum_to(grad, shape)
    local from = grad.shape
    if same_shape(from, shape) then return grad end
    local dims, added = {}, #from - #shape
    for i = 1, #from do
        if i <= added or (shape[i - added] == 1 and from[i] ~= 1) then dims[#dims + 1] = i end
    end
    return core.reshape(core.reduce("sum", grad, dims, true), shape)
end

-- ---- one operand ----------------------------------------------------------------------------------------------

-- `saves` names what the derivative needs: "x" (the input), "y" (the result) or nothing.
local function define_unary(name, saves, derivative)
    ops[name] = define(name, {
        pure = true,
        forward = function(ctx, x)
            local y = unary(name, x)
            if ctx.needs[1] then ctx.saved = saves == "x" and x or saves == "y" and y or nil end
            return y
        end,
        backward = function(ctx, grad) return derivative(grad, ctx.saved) end,
    })
end

local function no_slope(grad) return zeros(grad.shape, grad.device) end

define_unary("neg", nil, function(g) return unary("neg", g) end)
define_unary("abs", "x", function(g, x) return mul(g, unary("sign", x)) end)
define_unary("sign", nil, no_slope)
define_unary("floor", nil, no_slope)
define_unary("ceil", nil, no_slope)
define_unary("round", nil, no_slope)
define_unary("square", "x", function(g, x) return mul(mul(g, x), 2) end)
define_unary("sqrt", "y", function(g, y) return div(mul(g, 0.5), y) end)
define_unary("rsqrt", "y", function(g, y) return mul(mul(g, -0.5), mul(y, unary("square", y))) end)
define_unary("reciprocal", "y", function(g, y) return mul(unary("neg", g), unary("square", y)) end)
define_unary("exp", "y", function(g, y) return mul(g, y) end)
define_unary("expm1", "y", function(g, y) return mul(g, add(y, 1)) end)
define_unary("log", "x", function(g, x) return div(g, x) end)
define_unary("log1p", "x", function(g, x) return div(g, add(x, 1)) end)
define_unary("sin", "x", function(g, x) return mul(g, unary("cos", x)) end)
define_unary("cos", "x", function(g, x) return mul(g, unary("neg", unary("sin", x))) end)
define_unary("tanh", "y", function(g, y) return mul(g, binary("sub", 1, unary("square", y))) end)
define_unary("erf", "x", function(g, x)
    return mul(g, mul(unary("exp", unary("neg", unary("square", x))), 2 / math.sqrt(math.pi)))
end)
define_unary("sigmoid", "y", function(g, y) return mul(g, mul(y, binary("sub", 1, y))) end)
define_unary("relu", "y", function(g, y) return binary("relu_backward", y, g) end)

ops.clamp = define("clamp", {
    pure = true,
    forward = function(ctx, x, low, high)
        if ctx.needs[1] then ctx.x, ctx.low, ctx.high = x, low, high end
        return unary("clamp", x, low, high)
    end,
    backward = function(ctx, grad)
        return masked(mul(binary("ge", ctx.x, ctx.low), binary("le", ctx.x, ctx.high)), grad)
    end,
})

-- ---- two operands ---------------------------------------------------------------------------------------------

-- `derivatives(grad, a, b, y, needs)` returns the gradients for a and b before broadcasting is undone.
local function define_binary(name, saves, derivatives)
    ops[name] = define(name, {
        pure = true,
        forward = function(ctx, a, b)
            local y = binary(name, a, b)
            ctx.a_shape = ctx.needs[1] and a.shape
            ctx.b_shape = ctx.needs[2] and b.shape
            if saves and (ctx.needs[1] or ctx.needs[2]) then ctx.a, ctx.b = a, b end
            if saves == "y" and (ctx.needs[1] or ctx.needs[2]) then ctx.y = y end
            return y
        end,
        backward = function(ctx, grad)
            local ga, gb = derivatives(grad, ctx.a, ctx.b, ctx.y, ctx.needs)
            return ctx.a_shape and sum_to(ga, ctx.a_shape) or nil, ctx.b_shape and sum_to(gb, ctx.b_shape) or nil
        end,
    })
end

define_binary("add", false, function(g) return g, g end)
define_binary("sub", false, function(g, _, _, _, needs) return g, needs[2] and unary("neg", g) end)
define_binary("mul", true, function(g, a, b, _, needs)
    return needs[1] and mul(g, b), needs[2] and mul(g, a)
end)
define_binary("div", true, function(g, a, b, _, needs)
    return needs[1] and div(g, b),
        needs[2] and unary("neg", div(mul(g, a), type(b) == "number" and b * b or unary("square", b)))
end)
define_binary("pow", "y", function(g, a, b, y, needs)
    local ga, gb
    if needs[1] then
        local less = type(b) == "number" and b - 1 or binary("sub", b, 1)
        ga = mul(mul(g, b), binary("pow", a, less))
    end
    if needs[2] then
        -- 0^b does not change with b (b > 0); the logarithm there would make it NaN
        local log = type(a) == "number" and (a == 0 and 0 or math.log(a)) or masked(binary("ne", a, 0), unary("log", a))
        gb = mul(g, mul(y, log))
    end
    return ga, gb
end)

-- Where both are equal, each takes half.
local function define_extremum(name, comparison)
    define_binary(name, true, function(g, a, b)
        local tie = mul(binary("eq", a, b), 0.5)
        return mul(g, add(binary(comparison, a, b), tie)), mul(g, add(binary(comparison, b, a), tie))
    end)
end
define_extremum("maximum", "gt")
define_extremum("minimum", "lt")

ops.where = define("where", {
    pure = true,
    forward = function(ctx, condition, a, b)
        ctx.condition = (ctx.needs[2] or ctx.needs[3]) and condition or nil
        ctx.a_shape, ctx.b_shape = ctx.needs[2] and a.shape, ctx.needs[3] and b.shape
        return where(condition, a, b)
    end,
    backward = function(ctx, grad)
        local condition = ctx.condition
        return nil, ctx.a_shape and sum_to(masked(condition, grad), ctx.a_shape) or nil,
            ctx.b_shape and sum_to(masked(binary("eq", condition, 0), grad), ctx.b_shape) or nil
    end,
})

-- ---- shape ----------------------------------------------------------------------------------------------------

-- A view whose gradient is the gradient in the shape of the input.
local function define_reshaping(name, forward)
    ops[name] = define(name, {
        pure = true,
        forward = function(ctx, x, ...)
            ctx.shape = x.shape
            return forward(x, ...)
        end,
        backward = function(ctx, grad) return core.reshape(grad, ctx.shape) end,
    })
end
define_reshaping("view", core.view)
define_reshaping("reshape", core.reshape)
define_reshaping("squeeze", core.squeeze)
define_reshaping("unsqueeze", core.unsqueeze)

ops.expand = define("expand", {
    pure = true,
    forward = function(ctx, x, shape)
        ctx.shape = x.shape
        return core.expand(x, shape)
    end,
    backward = function(ctx, grad) return sum_to(grad, ctx.shape) end,
})

ops.permute = define("permute", {
    pure = true,
    forward = function(ctx, x, dims)
        ctx.dims = dims
        return core.permute(x, dims)
    end,
    backward = function(ctx, grad)
        local inverse, ndim = {}, grad.ndim
        for i, dim in ipairs(ctx.dims) do inverse[dim < 0 and ndim + 1 + dim or dim] = i end
        return core.permute(grad, inverse)
    end,
})

-- A part of the input: the gradient is zero outside it. `part(t, ...)` takes the same part of any tensor.
local function define_part(name, part)
    ops[name] = define(name, {
        pure = true,
        forward = function(ctx, x, ...)
            ctx.shape, ctx.arguments = x.shape, table.pack(...)
            return part(x, ...)
        end,
        backward = function(ctx, grad)
            local whole = zeros(ctx.shape, grad.device)
            core.copy_(part(whole, table.unpack(ctx.arguments, 1, ctx.arguments.n)), grad)
            return whole
        end,
    })
end
define_part("narrow", core.narrow)
define_part("select", core.select)

-- The same numbers in other memory.
local function define_copying(name, forward)
    ops[name] = define(name, {
        pure = true,
        forward = function(_, x, ...) return forward(x, ...) end,
        backward = function(_, grad) return grad end,
    })
end
define_copying("contiguous", core.contiguous)
define_copying("clone", function(x) return core.copy_(core.new(x.shape, x.dtype, x.device), x) end)

ops.to_device = define("to_device", {
    pure = true,
    forward = function(ctx, x, device)
        ctx.device = x.device
        return core.to_device(x, device)
    end,
    backward = function(ctx, grad)
        return core.to_device(grad, ctx.device)
    end,
})

ops.cat = define("cat", {
    pure = true,
    forward = function(ctx, dim, ...)
        local tensors, sizes = {...}, {}
        for i, tensor in ipairs(tensors) do sizes[i] = tensor.shape[dim < 0 and tensor.ndim + 1 + dim or dim] end
        ctx.sizes, ctx.dim = sizes, dim
        return core.cat(tensors, dim)
    end,
    backward = function(ctx, grad)
        local grads, start = {}, 1
        for i, size in ipairs(ctx.sizes) do
            grads[i] = core.narrow(grad, ctx.dim, start, size)
            start = start + size
        end
        return nil, table.unpack(grads)
    end,
})

-- ---- picking --------------------------------------------------------------------------------------------------

ops.index_select = define("index_select", {
    pure = true,
    forward = function(ctx, x, dim, index)
        ctx.shape, ctx.dim, ctx.index = x.shape, dim, index
        return core.index_select(x, dim, index)
    end,
    backward = function(ctx, grad) return core.index_add(ctx.shape, ctx.dim, ctx.index, grad) end,
})

ops.take_along = define("take_along", {
    pure = true,
    forward = function(ctx, x, dim, index)
        ctx.shape, ctx.dim, ctx.index = x.shape, dim, index
        return core.take_along(x, dim, index)
    end,
    backward = function(ctx, grad) return core.scatter_along(ctx.shape, ctx.dim, ctx.index, grad) end,
})

ops.sort = define("sort", {
    pure = true,
    forward = function(ctx, x, dim, descending)
        local values, index = core.sort(x, dim, descending)
        ctx.shape, ctx.dim, ctx.index = x.shape, dim, index
        return values, index
    end,
    backward = function(ctx, grad) return core.scatter_along(ctx.shape, ctx.dim, ctx.index, grad) end,
})

-- ---- reductions -----------------------------------------------------------------------------------------------

-- The shape with the reduced dimensions kept as 1.
local function kept_shape(shape, dims)
    local kept = {}
    for i = 1, #shape do kept[i] = dims and shape[i] or 1 end
    for _, dim in ipairs(dims or {}) do kept[dim < 0 and #shape + 1 + dim or dim] = 1 end
    return kept
end

ops.sum = define("sum", {
    pure = true,
    forward = function(ctx, x, dims, keepdim)
        ctx.shape, ctx.dims = x.shape, dims
        return core.reduce("sum", x, dims, keepdim)
    end,
    backward = function(ctx, grad)
        return core.expand(core.reshape(grad, kept_shape(ctx.shape, ctx.dims)), ctx.shape)
    end,
})

-- Each tied extreme element takes an equal share.
local function define_extreme(name)
    ops[name .. "_over"] = define(name .. "_over", {
        pure = true,
        forward = function(ctx, x, dims, keepdim)
            local y = core.reduce(name, x, dims, keepdim)
            if ctx.needs[1] then ctx.x, ctx.y, ctx.dims = x, y, dims end
            return y
        end,
        backward = function(ctx, grad)
            local kept = kept_shape(ctx.x.shape, ctx.dims)
            local mask = binary("eq", ctx.x, core.reshape(ctx.y, kept))
            local share = div(core.reshape(grad, kept), core.reduce("sum", mask, ctx.dims, true))
            return mul(mask, core.reshape(share, kept))
        end,
    })
end
define_extreme("max")
define_extreme("min")

ops.prod = define("prod", {
    pure = true,
    forward = function(ctx, x, dims, keepdim)
        if ctx.needs[1] then ctx.x, ctx.dims = x, dims end
        return core.reduce("prod", x, dims, keepdim)
    end,
    -- The product of the others: with one zero only that element has a slope, with two nobody has.
    backward = function(ctx, grad)
        local x, dims = ctx.x, ctx.dims
        local is_zero = binary("eq", x, 0)
        local zero_count = core.reduce("sum", is_zero, dims, true)
        local others = where(is_zero, scalar(1, x.device), x)
        local product = mul(core.reshape(grad, kept_shape(x.shape, dims)), core.reduce("prod", others, dims, true))
        local wanted = binary("eq", binary("sub", zero_count, is_zero), 0)
        return masked(wanted, div(product, others))
    end,
})

ops.cumsum = define("cumsum", {
    pure = true,
    forward = function(ctx, x, dim)
        ctx.dim = dim
        return core.cumsum(x, dim)
    end,
    backward = function(ctx, grad) return core.cumsum(grad, ctx.dim, true) end,
})

-- ---- products -------------------------------------------------------------------------------------------------

local function swap_last(x)
    local dims, ndim = {}, x.ndim
    for i = 1, ndim do dims[i] = i end
    dims[ndim - 1], dims[ndim] = ndim, ndim - 1
    return core.permute(x, dims)
end

ops.matmul = define("matmul", {
    pure = true,
    forward = function(ctx, a, b)
        if ctx.needs[1] or ctx.needs[2] then ctx.a, ctx.b = a, b end
        return core.matmul(a, b)
    end,
    backward = function(ctx, grad)
        -- vectors as matrices of one row (a) or one column (b)
        local a, b = ctx.a, ctx.b
        local am = a.ndim == 1 and core.unsqueeze(a, 1) or a
        local bm = b.ndim == 1 and core.unsqueeze(b, 2) or b
        if b.ndim == 1 then grad = core.unsqueeze(grad, grad.ndim + 1) end
        if a.ndim == 1 then grad = core.unsqueeze(grad, grad.ndim) end
        local ga = ctx.needs[1] and sum_to(core.matmul(grad, swap_last(bm)), am.shape)
        local gb = ctx.needs[2] and sum_to(core.matmul(swap_last(am), grad), bm.shape)
        return ga and core.reshape(ga, a.shape) or nil, gb and core.reshape(gb, b.shape) or nil
    end,
})

return ops
