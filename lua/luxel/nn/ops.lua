--- The operations of networks, each a pair of primitives of `luxel.core`. Arguments are checked in `functional.lua`.

local core = require "luxel.core"
local autograd = require "luxel.autograd"

local ops = {}

--- Applies an operation on rows [R,D] along a dimension of x.
---@param op fun(rows: Tensor): Tensor
---@param x Tensor
---@param dim integer from 1
---@return Tensor y of x's shape
function ops.along(op, x, dim)
    local last = x.ndim
    if dim ~= last then x = x:transpose(dim, last) end
    local shape, rows = x.shape, 1
    for i = 1, last - 1 do rows = rows * shape[i] end -- -1 would be any number where there are no elements
    local y = last == 2 and op(x) or op(x:reshape(rows, shape[last])):reshape(shape)
    return dim == last and y or y:transpose(dim, last)
end

-- Every backward below keeps nothing of what it is given and returns nothing that was saved: pure.
local function define(name, forward, backward)
    ops[name] = autograd.define(name, {forward = forward, backward = backward, pure = true})
end

-- What the gradient is before an activation that was computed in passing, from the result y.
local function before_activation(activation, y, dy)
    return activation and core.binary(activation .. "_backward", y, dy) or dy
end

-- x [N,C,H,W], w [O,C/groups,KH,KW], b [O]?; options.activation is applied to the result in the same pass.
define("conv2d", function(ctx, x, w, b, options)
    local y = core.conv2d(x, w, b, options)
    ctx.x, ctx.w, ctx.options = x, w, options
    if options.activation then ctx.y = y end
    return y
end, function(ctx, dy)
    local x, w, options, needs = ctx.x, ctx.w, ctx.options, ctx.needs
    local dz = before_activation(options.activation, ctx.y, dy)
    local db = needs[3] and core.conv2d_backward_bias(dz) or nil
    local dw = needs[2] and core.conv2d_backward_weight(x, dz, w.shape, options) or nil
    local dx = needs[1] and core.conv2d_backward_data(dz, w, x.shape, options) or nil
    if options.activation then dz:free() end
    return dx, dw, db
end)

-- conv2d, ReLU and max-pooling over windows of 2x2, without keeping the large result in between.
define("conv2d_relu_max_pool", function(ctx, x, w, b, options)
    local y, codes = core.conv2d_pool(x, w, b, options)
    ctx.x, ctx.w, ctx.codes, ctx.options = x, w, codes, options
    return y
end, function(ctx, dy)
    return core.conv2d_pool_backward(ctx.x, ctx.w, dy, ctx.codes, ctx.options, ctx.needs)
end)

-- The transpose of conv2d: its forward is conv2d's gradient for the data. x [N,C,H,W], w [C,O/groups,KH,KW], b [O]?.
define("conv_transpose2d", function(ctx, x, w, b, out_shape, options)
    ctx.x, ctx.w, ctx.options = x, w, options
    local y = core.conv2d_backward_data(x, w, out_shape, options)
    if b then y = y + b:view(1, out_shape[2], 1, 1) end
    return y
end, function(ctx, dy)
    local needs, options = ctx.needs, ctx.options
    local dx = needs[1] and core.conv2d(dy, ctx.w, nil, options) or nil
    local dw = needs[2] and core.conv2d_backward_weight(dy, ctx.x, ctx.w.shape, options) or nil
    local db = needs[3] and core.conv2d_backward_bias(dy) or nil
    return dx, dw, db
end)

-- x [R,I], w [O,I], b [O]?; `activation` is applied to the result in the same pass.
define("linear", function(ctx, x, w, b, activation)
    local y = core.linear(x, w, b, activation)
    ctx.x, ctx.w, ctx.y, ctx.activation = x, w, activation and y or nil, activation
    return y
end, function(ctx, dy)
    local needs = ctx.needs
    local dz = before_activation(ctx.activation, ctx.y, dy)
    local dx = needs[1] and dz:matmul(ctx.w) or nil
    local dw = needs[2] and dz:t():matmul(ctx.x) or nil
    local db = needs[3] and dz:sum(1) or nil
    if ctx.y then dz:free() end
    return dx, dw, db
end)

define("max_pool2d", function(ctx, x, options)
    local y, indices = core.max_pool2d(x, options)
    ctx.indices, ctx.shape, ctx.options = indices, x.shape, options
    return y
end, function(ctx, dy)
    return core.max_pool2d_backward(dy, ctx.indices, ctx.shape, ctx.options)
end)

define("avg_pool2d", function(ctx, x, options)
    ctx.shape, ctx.options = x.shape, options
    return core.avg_pool2d(x, options)
end, function(ctx, dy)
    return core.avg_pool2d_backward(dy, ctx.shape, ctx.options)
end)

define("adaptive_avg_pool2d", function(ctx, x, size)
    ctx.shape, ctx.blocked = x.shape, core.is_blocked(x)
    return core.adaptive_avg_pool2d(x, size)
end, function(ctx, dy)
    return core.adaptive_avg_pool2d_backward(dy, ctx.shape, ctx.blocked)
end)

-- x [N,C,H,W]; mean and var [C] are the batch's where `training`, else the running ones; addend [N,C,H,W] or nil: is
-- added to the result; activation: what is applied to it then, or nil. Backward computes again what it was applied to,
-- but takes it from the result where there is an addend, which need not be kept then.
define("batch_norm", function(ctx, x, weight, bias, addend, mean, var, eps, training, activation)
    local y = core.batch_norm_apply(x, mean, var, weight, bias, eps, activation, addend)
    ctx.x, ctx.weight, ctx.mean, ctx.var, ctx.eps, ctx.training = x, weight, mean, var, eps, training
    ctx.activation, ctx.adds = activation, addend ~= nil
    if addend then ctx.y = activation and y else ctx.bias = activation and bias end
    return y
end, function(ctx, dy)
    local dz = ctx.adds and before_activation(ctx.activation, ctx.y, dy) or dy
    local dx, dw, db = core.batch_norm_backward(dz, ctx.x, ctx.mean, ctx.var, ctx.weight, ctx.bias, ctx.eps,
        ctx.training, not ctx.adds and ctx.activation or nil)
    return dx, dw, db, ctx.adds and dz or nil
end)

-- Each row of x [R,D] to mean 0 and variance 1.
define("row_norm", function(ctx, x, eps)
    local y, _, rstd = core.row_norm(x, eps)
    ctx.y, ctx.rstd = y, rstd
    return y
end, function(ctx, dy)
    return core.row_norm_backward(dy, ctx.y, ctx.rstd)
end)

-- The layers of the table of C: tensors, then a list of numbers. Tensors that backward needs are kept by their places.
for _, name in ipairs(core.layers()) do
    define(name, function(ctx, ...)
        local count = select("#", ...) - 1
        ctx.numbers = select(count + 1, ...)
        local results = {core.layer(name, ctx.numbers, ...)}
        for i = 1, count do ctx[i] = (select(i, ...)) end
        table.move(results, 2, #results, count + 1, ctx)
        return results[1]
    end, function(ctx, dy)
        return core.layer_backward(name, ctx.numbers, ctx.needs, dy, table.unpack(ctx))
    end)
end

for _, name in ipairs {"softmax", "log_softmax"} do
    local forward, backward = core[name], core[name .. "_backward"]
    -- Over the rows of x [R,D].
    define(name, function(ctx, x)
        ctx.y = forward(x)
        return ctx.y
    end, function(ctx, dy)
        return backward(ctx.y, dy)
    end)
end

-- The mask is not kept: the same seed and stream make it again.
define("dropout", function(ctx, x, p, seed, stream)
    ctx.p, ctx.seed, ctx.stream = p, seed, stream
    return core.dropout(x, p, seed, stream)
end, function(ctx, dy)
    return core.dropout(dy, ctx.p, ctx.seed, ctx.stream)
end)

define("upsample_nearest2d", function(ctx, x, size)
    ctx.size = {x.shape[3], x.shape[4]}
    return core.upsample_nearest2d(x, size)
end, function(ctx, dy)
    return core.upsample_nearest2d_backward(dy, ctx.size)
end)

define("upsample_bilinear2d", function(ctx, x, size, align_corners)
    ctx.size, ctx.align_corners = {x.shape[3], x.shape[4]}, align_corners
    return core.upsample_bilinear2d(x, size, align_corners)
end, function(ctx, dy)
    return core.upsample_bilinear2d_backward(dy, ctx.size, ctx.align_corners)
end)

-- Elementwise; 0 (and no gradient) where the target is NaN.
define("bce_with_logits", function(ctx, x, target, pos_weight)
    ctx.x, ctx.target, ctx.pos_weight = x, target, pos_weight
    return core.bce_with_logits(x, target, pos_weight)
end, function(ctx, dy)
    return core.bce_with_logits_backward(ctx.x, ctx.target, ctx.pos_weight):mul_(dy)
end)

-- The mean of a loss that is 0 where the target is NaN, over the other elements; 0 if there are none.
define("valid_mean", function(ctx, loss, target)
    local mean
    mean, ctx.share = core.valid_mean(loss, target)
    ctx.shape = loss.shape
    return mean
end, function(ctx, dy)
    return core.expand(core.binary("mul", dy, ctx.share), ctx.shape), nil -- the target says only which elements count
end)

-- A loss [] that the host computed together with its gradient for x.
define("with_gradient", function(ctx, x, loss, gradient)
    ctx.gradient = gradient
    return core.fill_(core.new({}, "float32", x.device), loss)
end, function(ctx, dy)
    return core.binary("mul", ctx.gradient, dy)
end)

return ops
