--- The differentiable operations on tensors: each a pair forward/backward of primitives of `luxel.core`.
--
-- Gradients are computed with recording off, so backward functions call the primitives directly. `pure` promises the
-- tape that backward keeps no reference to a gradient (see autograd.define).

local autograd = require "luxel.autograd"
local core = require "luxel.core"
local shapes = require "luxel.shape"

local define, unary, binary, where = autograd.define, core.unary, core.binary, core.where
local same_shape = shapes.same

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

local function copy_of(x)
    return core.copy_(core.new(x.shape, x.dtype, x.device), x)
end

-- The gradient where the mask holds, 0 elsewhere (also where the gradient is NaN there).
local function masked(mask, grad)
    return where(mask, grad, 0)
end

-- Undoes broadcasting: sums the gradient over what was expanded from `shape`.
local function sum_to(grad, shape)
    local from = grad.shape
    if same_shape(from, shape) then return grad end
    local dims, added = {}, #from - #shape
    for i = 1, #from do
        if i <= added or (shape[i - added] == 1 and from[i] ~= 1) then dims[#dims + 1] = i end
    end
    local sum = core.reduce("sum", grad, dims, true)
    return added == 0 and sum or core.reshape(sum, shape)
end

-- ---- one operand ----------------------------------------------------------------------------------------------

-- The names of the functions of one tensor, element by element.
ops.elementwise = {}

-- `saves` names what the derivative needs: "x" (the input), "y" (the result) or nothing.
local function define_unary(name, saves, derivative)
    table.insert(ops.elementwise, name)
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
-- Those whose derivative is a kernel as well.
for _, row in ipairs(core.activations()) do
    local name, saves = table.unpack(row)
    define_unary(name, saves, function(g, saved) return binary(name .. "_backward", saved, g) end)
end

ops.clamp = define("clamp", {
    pure = true,
    forward = function(ctx, x, low, high)
        if ctx.needs[1] then ctx.x, ctx.low, ctx.high = x, low, high end
        return unary("clamp", x, low, high)
    end,
    backward = function(ctx, grad)
        return core.clamp_backward(ctx.x, grad, ctx.low, ctx.high)
    end,
})

-- ---- two operands ---------------------------------------------------------------------------------------------

-- `derivatives(grad, a, b, y, needs)` returns the gradients for a and b before broadcasting is undone. `for_a` and
-- `for_b` say which of a, b and y each of them needs: what is not needed may be changed in place afterwards.
local function define_binary(name, for_a, for_b, derivatives)
    local function finder(operand)
        local in_a, in_b = for_a:find(operand) ~= nil, for_b:find(operand) ~= nil
        return function(needs) return in_a and needs[1] or in_b and needs[2] end
    end
    local saves_a, saves_b, saves_y = finder "a", finder "b", finder "y"
    ops[name] = define(name, {
        pure = true,
        forward = function(ctx, a, b)
            local y = binary(name, a, b)
            ctx.a_shape = ctx.needs[1] and a.shape
            ctx.b_shape = ctx.needs[2] and b.shape
            ctx.a, ctx.b = saves_a(ctx.needs) and a or nil, saves_b(ctx.needs) and b or nil
            ctx.y = saves_y(ctx.needs) and y or nil
            return y
        end,
        backward = function(ctx, grad)
            local ga, gb = derivatives(grad, ctx.a, ctx.b, ctx.y, ctx.needs)
            return ctx.a_shape and sum_to(ga, ctx.a_shape) or nil, ctx.b_shape and sum_to(gb, ctx.b_shape) or nil
        end,
    })
end

define_binary("add", "", "", function(g) return g, g end)
define_binary("sub", "", "", function(g, _, _, _, needs) return g, needs[2] and unary("neg", g) end)
define_binary("mul", "b", "a", function(g, a, b, _, needs)
    return needs[1] and mul(g, b), needs[2] and mul(g, a)
end)
define_binary("div", "b", "ab", function(g, a, b, _, needs)
    return needs[1] and div(g, b), needs[2] and unary("neg", mul(g, div(div(a, b), b)))
end)
define_binary("pow", "ab", "aby", function(g, a, b, y, needs)
    local ga, gb
    if needs[1] and type(b) == "number" then
        -- a^0 does not change with a, also where a^-1 is infinite
        ga = b == 0 and no_slope(g) or mul(mul(g, b), binary("pow", a, b - 1))
    elseif needs[1] then
        ga = masked(binary("ne", b, 0), mul(mul(g, b), binary("pow", a, binary("sub", b, 1))))
    end
    if needs[2] then
        -- 0^b does not change with b (b >= 0); the logarithm there would make it NaN
        local log = type(a) == "number" and math.log(a) or unary("log", a)
        local changes = binary("lt", b, 0)
        if type(a) ~= "number" then
            changes = binary("maximum", binary("ne", a, 0), changes)
        elseif a ~= 0 then
            changes = nil
        end
        gb = mul(g, mul(y, log))
        if changes then gb = masked(changes, gb) end
    end
    return ga, gb
end)

-- a - b floor(a / b)
define_binary("remainder", "", "ab", function(g, a, b, _, needs)
    return g, needs[2] and unary("neg", mul(g, binary("floor_divide", a, b)))
end)

-- a + s b
ops.add_scaled = define("add_scaled", {
    pure = true,
    forward = function(ctx, a, b, s)
        ctx.b_shape, ctx.s = ctx.needs[2] and b.shape, s
        return core.add_scaled_(copy_of(a), b, s)
    end,
    backward = function(ctx, grad)
        return ctx.needs[1] and grad or nil, ctx.b_shape and sum_to(mul(grad, ctx.s), ctx.b_shape) or nil
    end,
})

-- Where both are equal, each takes half; where one is NaN, both take all, as in PyTorch.
local function define_extremum(name, loses)
    define_binary(name, "ab", "ab", function(g, a, b)
        local shared = where(binary("eq", a, b), mul(g, 0.5), g)
        local a_stays, b_stays = binary("eq", binary(loses, a, b), 0), binary("eq", binary(loses, b, a), 0)
        return masked(a_stays, shared), masked(b_stays, shared)
    end)
end
define_extremum("maximum", "lt")
define_extremum("minimum", "gt")

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
        pure = true, view = true,
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
    pure = true, view = true,
    forward = function(ctx, x, shape)
        ctx.shape = x.shape
        return core.expand(x, shape)
    end,
    backward = function(ctx, grad) return sum_to(grad, ctx.shape) end,
})

ops.permute = define("permute", {
    pure = true, view = true,
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
        pure = true, view = true,
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

-- The same numbers in other memory, or in the same where they need no other.
local function define_copying(name, forward)
    ops[name] = define(name, {
        pure = true, view = true,
        forward = function(_, x, ...) return forward(x, ...) end,
        backward = function(_, grad) return grad end,
    })
end
define_copying("contiguous", core.contiguous)
define_copying("clone", copy_of)

-- x with a number or another tensor written into all of it.
ops.fill = define("fill", {
    pure = true,
    forward = function(_, x, value) return core.fill_(core.new(x.shape, "float32", x.device), value) end,
    backward = function(_, grad) return no_slope(grad) end,
})
ops.copy = define("copy", {
    pure = true,
    forward = function(ctx, x, source)
        ctx.source_shape = ctx.needs[2] and source.shape
        return core.expand(core.cast(source, "float32"), x.shape)
    end,
    backward = function(ctx, grad)
        return ctx.needs[1] and no_slope(grad) or nil, ctx.source_shape and sum_to(grad, ctx.source_shape) or nil
    end,
})

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
            grads[i] = core.part(grad, ctx.dim, start, size)
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

ops.scatter_along = define("scatter_along", {
    pure = true,
    forward = function(ctx, x, shape, dim, index)
        ctx.dim, ctx.index = dim, index
        return core.scatter_along(shape, dim, index, x)
    end,
    backward = function(ctx, grad) return core.take_along(grad, ctx.dim, ctx.index) end,
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

ops.sum = define("sum", {
    pure = true,
    forward = function(ctx, x, dims, keepdim)
        ctx.shape, ctx.dims = x.shape, dims
        return core.reduce("sum", x, dims, keepdim)
    end,
    backward = function(ctx, grad)
        return core.expand(core.reshape(grad, shapes.kept(ctx.shape, ctx.dims)), ctx.shape)
    end,
})

-- The gradient of an extreme or a median goes to all elements of x that are equal to it, in equal shares.
local function share_among_equals(grad, x, y, dims)
    local kept = shapes.kept(x.shape, dims)
    local chosen = core.reshape(y, kept)
    local mask = binary("eq", x, chosen)
    local share = div(core.reshape(grad, kept), core.reduce("sum", mask, dims, true))
    return mul(mask, core.reshape(share, kept))
end

local function define_extreme(name)
    ops[name .. "_over"] = define(name .. "_over", {
        pure = true,
        forward = function(ctx, x, dims, keepdim)
            local y = core.reduce(name, x, dims, keepdim)
            if ctx.needs[1] then ctx.x, ctx.y, ctx.dims = x, y, dims end
            return y
        end,
        backward = function(ctx, grad) return share_among_equals(grad, ctx.x, ctx.y, ctx.dims) end,
    })
end
define_extreme("max")
define_extreme("min")

-- The median of all elements, which is found elsewhere.
ops.median_over = define("median_over", {
    pure = true,
    forward = function(ctx, x, value)
        if ctx.needs[1] then ctx.x, ctx.y = x, value end
        return value
    end,
    backward = function(ctx, grad) return share_among_equals(grad, ctx.x, ctx.y) end,
})

-- The root of the variance; `divisor` is what the squares are divided by.
ops.std = define("std", {
    pure = true,
    forward = function(ctx, x, dims, keepdim, count, divisor)
        local centred = binary("sub", x, div(core.reduce("sum", x, dims, true), count))
        local y = unary("sqrt", div(core.reduce("sum", unary("square", centred), dims, keepdim), divisor))
        if ctx.needs[1] then ctx.centred, ctx.y, ctx.dims, ctx.divisor = centred, y, dims, divisor end
        return y
    end,
    backward = function(ctx, grad)
        local kept = shapes.kept(ctx.centred.shape, ctx.dims)
        local slope = masked(binary("ne", ctx.y, 0), div(grad, ctx.y))
        return mul(div(core.reshape(slope, kept), ctx.divisor), ctx.centred)
    end,
})

-- What the p-norm of x is, and how it changes with x where x and the norm y (with dimensions kept) are not 0.
local function norm_of(x, p, dims, keepdim)
    local size = unary("abs", x)
    if p == math.huge then return core.reduce("max", size, dims, keepdim) end
    if p == -math.huge then return core.reduce("min", size, dims, keepdim) end
    if p == 0 then return core.reduce("sum", binary("ne", x, 0), dims, keepdim) end
    if p == 1 then return core.reduce("sum", size, dims, keepdim) end
    if p == 2 then return unary("sqrt", core.reduce("sum", unary("square", x), dims, keepdim)) end
    return binary("pow", core.reduce("sum", binary("pow", size, p), dims, keepdim), 1 / p)
end

local function norm_slope(grad, x, y, p, dims)
    local size, sign = unary("abs", x), unary("sign", x)
    if p == 0 then return no_slope(x) end
    if p == 1 then return mul(grad, sign) end
    if p == math.huge or p == -math.huge then
        return mul(sign, share_among_equals(grad, size, y, dims))
    end
    local share = masked(binary("ne", y, 0), mul(grad, binary("pow", y, 1 - p)))
    local power = p == 2 and x or mul(sign, binary("pow", size, p - 1))
    return mul(p < 1 and masked(binary("ne", x, 0), power) or power, share)
end

ops.norm = define("norm", {
    pure = true,
    forward = function(ctx, x, p, dims, keepdim)
        local y = norm_of(x, p, dims, keepdim)
        if ctx.needs[1] then ctx.x, ctx.y, ctx.p, ctx.dims = x, y, p, dims end
        return y
    end,
    backward = function(ctx, grad)
        local kept = shapes.kept(ctx.x.shape, ctx.dims)
        return norm_slope(core.reshape(grad, kept), ctx.x, core.reshape(ctx.y, kept), ctx.p, ctx.dims)
    end,
})

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
        local product = mul(core.reshape(grad, shapes.kept(x.shape, dims)), core.reduce("prod", others, dims, true))
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
