--- Functions of networks (`F`): they check their arguments, then call differentiable operations.
--
-- Images are float32 [N,C,H,W]. Sizes (`stride`, `padding` ...) are an integer or a pair `{h, w}`. A mistake in an
-- argument raises, naming the function, the argument and the shapes.

local core = require "luxel.core"
local lx = require "luxel"
local check = require "luxel.nn.check"
local ops = require "luxel.nn.ops"
local recording = require "luxel.recording"

local F = {}

-- ---- convolution and linear -----------------------------------------------------------------------------------

local function conv_options(name, options, allowed)
    options = check.options(name, options, allowed)
    return options, {
        stride = check.pair(name, "stride", options.stride or 1, 1),
        padding = check.pair(name, "padding", options.padding or 0, 0),
        dilation = check.pair(name, "dilation", options.dilation or 1, 1),
        groups = check.integer(name, "groups", options.groups or 1, 1),
        relu = options.relu == true,
    }
end

-- Whether a pooling is over windows of 2x2 that neither overlap nor leave the image.
local function is_of_windows(pool)
    local kernel = check.pair("conv2d", "max_pool.kernel", pool.kernel, 1)
    local stride = check.pair("conv2d", "max_pool.stride", pool.stride or kernel, 1)
    local padding = check.pair("conv2d", "max_pool.padding", pool.padding or 0, 0)
    for i = 1, 2 do
        if kernel[i] ~= 2 or stride[i] ~= 2 or padding[i] ~= 0 then return false end
    end
    return true
end

local CONV_OPTIONS = {"stride", "padding", "dilation", "groups", "relu", "max_pool"}

--- Convolution (cross-correlation) of images.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [O,C/groups,KH,KW]
---@param bias Tensor? [O]
---@param options {stride: integer|integer[], padding: integer|integer[], dilation: integer|integer[],
--- groups: integer, relu: boolean, max_pool: table?}? `relu` applies ReLU to the result in the same pass; `max_pool`
--- ({kernel, stride, padding}, with `relu` only) then pools it without keeping it
---@return Tensor y [N,O,H',W'], H' = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, rounded down
function F.conv2d(x, weight, bias, options)
    local given, plan = conv_options("conv2d", options, CONV_OPTIONS)
    check.float("conv2d", "input", x, 4)
    check.float("conv2d", "weight", weight, 4)
    local xs, ws, groups = x.shape, weight.shape, plan.groups
    if ws[2] * groups ~= xs[2] then
        error(("conv2d: weight expects %d input channels, input has %d (input %s, weight %s, groups %d)"):format(
            ws[2] * groups, xs[2], check.shape_text(xs), check.shape_text(ws), groups), 2)
    end
    if ws[1] % groups ~= 0 then
        error(("conv2d: %d output channels cannot be split into %d groups (weight %s)"):format(ws[1], groups,
            check.shape_text(ws)), 2)
    end
    check.vector("conv2d", "bias", bias, ws[1])
    for i = 1, 2 do
        local reach = plan.dilation[i] * (ws[2 + i] - 1) + 1
        if xs[2 + i] + 2 * plan.padding[i] < reach then
            error(("conv2d: the kernel (%d with dilation) is larger than the padded input (%d) (input %s, weight %s)")
                :format(reach, xs[2 + i] + 2 * plan.padding[i], check.shape_text(xs), check.shape_text(ws)), 2)
        end
    end
    local pool = given.max_pool
    if pool and not plan.relu then error("conv2d: max_pool needs relu = true", 2) end
    if pool and is_of_windows(pool) then return ops.conv2d_relu_max_pool(x, weight, bias, plan) end
    if pool then return (ops.max_pool2d(ops.conv2d(x, weight, bias, plan), pool)) end
    return ops.conv2d(x, weight, bias, plan)
end

local CONV_TRANSPOSE_OPTIONS = {"stride", "padding", "output_padding", "dilation", "groups"}

--- Transposed convolution of images: the gradient of `conv2d` for its input, used to enlarge.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [C,O/groups,KH,KW]
---@param bias Tensor? [O]
---@param options {stride: integer|integer[], padding: integer|integer[], output_padding: integer|integer[],
--- dilation: integer|integer[], groups: integer}?
---@return Tensor y [N,O,H',W'], H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1
function F.conv_transpose2d(x, weight, bias, options)
    local name = "conv_transpose2d"
    local given, plan = conv_options(name, options, CONV_TRANSPOSE_OPTIONS)
    local extra = check.pair(name, "output_padding", given.output_padding or 0, 0)
    check.float(name, "input", x, 4)
    check.float(name, "weight", weight, 4)
    local xs, ws = x.shape, weight.shape
    if ws[1] ~= xs[2] or ws[1] % plan.groups ~= 0 then
        error(("%s: weight expects %d input channels in %d groups, input has %d (input %s, weight %s)"):format(name,
            ws[1], plan.groups, xs[2], check.shape_text(xs), check.shape_text(ws)), 2)
    end
    local out = {xs[1], ws[2] * plan.groups}
    check.vector(name, "bias", bias, out[2])
    for i = 1, 2 do
        local stride, dilation = plan.stride[i], plan.dilation[i]
        if extra[i] >= math.max(stride, dilation) then
            error(("%s: output_padding (%d) should be smaller than the stride (%d) or the dilation (%d)"):format(name,
                extra[i], stride, dilation), 2)
        end
        out[2 + i] = (xs[2 + i] - 1) * stride - 2 * plan.padding[i] + dilation * (ws[2 + i] - 1) + extra[i] + 1
        if out[2 + i] < 1 then
            error(("%s: the result would be empty (input %s, weight %s)"):format(name, check.shape_text(xs),
                check.shape_text(ws)), 2)
        end
    end
    return ops.conv_transpose2d(x, weight, bias, out, plan)
end

-- x as [R,D] rows over its last dimension, and the shape to give back with a last dimension of `size`.
local function as_rows(x, size)
    local shape = x.shape
    local last = shape[#shape]
    shape[#shape] = size or last
    if #shape == 2 then return x, nil end
    return x:reshape(-1, last), shape
end

local function from_rows(y, shape)
    return shape and y:reshape(shape) or y
end

--- y = x weight' + bias, over the last dimension.
---@param x Tensor [...,I]
---@param weight Tensor [O,I]
---@param bias Tensor? [O]
---@param options {relu: boolean}? `relu` applies ReLU to the result in the same pass
---@return Tensor y [...,O]
function F.linear(x, weight, bias, options)
    check.float("linear", "input", x)
    check.float("linear", "weight", weight, 2)
    local xs, ws = x.shape, weight.shape
    if xs[#xs] ~= ws[2] then
        error(("linear: weight expects %d features, input has %s (input %s, weight %s)"):format(ws[2],
            tostring(xs[#xs]), check.shape_text(xs), check.shape_text(ws)), 2)
    end
    check.vector("linear", "bias", bias, ws[1])
    local rows, shape = as_rows(x, ws[1])
    return from_rows(ops.linear(rows, weight, bias, options ~= nil and options.relu == true), shape)
end

--- Rows of a table of vectors.
---@param indices Tensor int32 [...], 1-based
---@param weight Tensor [V,D]
---@return Tensor y [...,D]
function F.embedding(indices, weight)
    check.float("embedding", "weight", weight, 2)
    if type(indices) ~= "userdata" or indices.dtype ~= "int32" then
        error("embedding: indices should be an int32 tensor, got " .. check.describe(indices), 2)
    end
    local shape = indices.shape
    shape[#shape + 1] = weight.shape[2]
    local flat = indices.ndim == 1 and indices or indices:reshape(-1)
    return weight:index_select(1, flat):reshape(shape)
end

-- ---- pooling and resizing -------------------------------------------------------------------------------------

local function pool_plan(name, x, kernel, options, allowed)
    check.float(name, "input", x, 4)
    options = check.options(name, options, allowed)
    local plan = {kernel = check.pair(name, "kernel", kernel, 1)}
    plan.stride = check.pair(name, "stride", options.stride or plan.kernel, 1)
    plan.padding = check.pair(name, "padding", options.padding or 0, 0)
    for i = 1, 2 do
        if plan.padding[i] * 2 > plan.kernel[i] then
            check.fail(name, "padding (%d) should be at most half of the kernel (%d)", plan.padding[i],
                plan.kernel[i])
        end
        if x.shape[2 + i] + 2 * plan.padding[i] < plan.kernel[i] then
            check.fail(name, "the kernel (%d) is larger than the padded input (input %s)", plan.kernel[i],
                check.shape_text(x.shape))
        end
    end
    return plan, options
end

--- Largest value in each window.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[]}? stride defaults to the kernel
---@return Tensor y [N,C,H',W'], H' = (H + 2 padding - kernel) / stride + 1, rounded down
function F.max_pool2d(x, kernel, options)
    local plan = pool_plan("max_pool2d", x, kernel, options, {"stride", "padding"})
    return (ops.max_pool2d(x, plan))
end

--- Mean of each window; padding counts as zeros unless `count_include_pad` is false.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], count_include_pad: boolean}?
---@return Tensor y [N,C,H',W'] as for max_pool2d
function F.avg_pool2d(x, kernel, options)
    local plan, given = pool_plan("avg_pool2d", x, kernel, options, {"stride", "padding", "count_include_pad"})
    plan.count_include_pad = given.count_include_pad ~= false
    return ops.avg_pool2d(x, plan)
end

--- Mean over windows chosen so that the result has the given size.
---@param x Tensor [N,C,H,W]
---@param size integer|integer[] height and width of the result
---@return Tensor y [N,C,size,size]
function F.adaptive_avg_pool2d(x, size)
    check.float("adaptive_avg_pool2d", "input", x, 4)
    return ops.adaptive_avg_pool2d(x, check.pair("adaptive_avg_pool2d", "size", size, 1))
end

local function target_size(name, x, options)
    if (options.size == nil) == (options.scale == nil) then
        check.fail(name, "give either size = {h, w} or scale = number")
    end
    if options.size then return check.pair(name, "size", options.size, 1) end
    if type(options.scale) ~= "number" or options.scale <= 0 then
        check.fail(name, "scale should be a positive number, got %s", tostring(options.scale))
    end
    local size = {math.floor(x.shape[3] * options.scale), math.floor(x.shape[4] * options.scale)}
    return check.pair(name, "size (scaled)", size, 1)
end

--- Resizes images.
---@param x Tensor [N,C,H,W]
---@param options {size: integer|integer[], scale: number, mode: "nearest"|"bilinear", align_corners: boolean}
--- size or scale is needed; mode defaults to "nearest", align_corners (bilinear only) to false
---@return Tensor y [N,C,H',W']
function F.interpolate(x, options)
    check.float("interpolate", "input", x, 4)
    options = check.options("interpolate", options, {"size", "scale", "mode", "align_corners"})
    local size = target_size("interpolate", x, options)
    local mode = options.mode or "nearest"
    if mode == "nearest" then return ops.upsample_nearest2d(x, size) end
    if mode == "bilinear" then return ops.upsample_bilinear2d(x, size, options.align_corners == true) end
    error(('interpolate: mode should be "nearest" or "bilinear", got %s'):format(tostring(mode)), 2)
end

-- ---- normalisation --------------------------------------------------------------------------------------------

-- Moves the running statistics towards the batch's, with the unbiased variance as PyTorch does.
local function update_running(running_mean, running_var, mean, var, count, momentum)
    lx.no_grad(function()
        running_mean:mul_(1 - momentum):add_(mean, momentum)
        running_var:mul_(1 - momentum):add_(var, momentum * count / (count - 1))
    end)
end

--- Batch normalisation per channel (Ioffe and Szegedy 2015).
---@param x Tensor [N,C,H,W] (or [N,C])
---@param running_mean Tensor? [C] used when not training, updated in place when training
---@param running_var Tensor? [C] likewise
---@param weight Tensor? [C]
---@param bias Tensor? [C]
---@param options {training: boolean, momentum: number, eps: number}? false, 0.1 and 1e-5
---@return Tensor y of x's shape
function F.batch_norm(x, running_mean, running_var, weight, bias, options)
    local name = "batch_norm"
    check.float(name, "input", x)
    options = check.options(name, options, {"training", "momentum", "eps"})
    local shape = x.shape
    if #shape ~= 2 and #shape ~= 4 then
        error(("%s: input should be [N,C,H,W] or [N,C], got %s"):format(name, check.shape_text(shape)), 2)
    end
    local channels = shape[2]
    check.vector(name, "running_mean", running_mean, channels)
    check.vector(name, "running_var", running_var, channels)
    check.vector(name, "weight", weight, channels)
    check.vector(name, "bias", bias, channels)
    local images = #shape == 4 and x or x:view(shape[1], channels, 1, 1)
    local mean, var = running_mean, running_var
    if options.training then
        local count = x:numel() // channels
        if count < 2 then
            error(("%s: training needs more than one value per channel, input is %s"):format(name,
                check.shape_text(shape)), 2)
        end
        mean, var = core.batch_norm_stats(images)
        if running_mean and running_var then
            update_running(running_mean, running_var, mean, var, count, options.momentum or 0.1)
        end
    elseif not mean or not var then
        error(name .. ": running_mean and running_var are needed when not training", 2)
    end
    local y = ops.batch_norm(images, weight, bias, mean, var, options.eps or 1e-5, options.training == true)
    return #shape == 4 and y or y:view(shape)
end

--- Group normalisation (Wu and He 2018): mean 0 and variance 1 over each group of channels of each image.
---@param x Tensor [N,C,...]
---@param groups integer divides C
---@param weight Tensor? [C]
---@param bias Tensor? [C]
---@param options {eps: number}? 1e-5
---@return Tensor y of x's shape
function F.group_norm(x, groups, weight, bias, options)
    check.float("group_norm", "input", x)
    options = check.options("group_norm", options, {"eps"})
    groups = check.integer("group_norm", "groups", groups, 1)
    local shape = x.shape
    if #shape < 2 or shape[2] % groups ~= 0 then
        error(("group_norm: the channels of input %s cannot be split into %d groups"):format(check.shape_text(shape),
            groups), 2)
    end
    check.vector("group_norm", "weight", weight, shape[2])
    check.vector("group_norm", "bias", bias, shape[2])
    local y = ops.row_norm(x:reshape(shape[1] * groups, -1), options.eps or 1e-5):reshape(shape)
    local affine = {1, shape[2]}
    for i = 3, #shape do affine[i] = 1 end
    if weight then y = y * weight:view(affine) end
    if bias then y = y + bias:view(affine) end
    return y
end

--- Layer normalisation (Ba et al. 2016) over the last dimensions.
---@param x Tensor [...,unpack(shape)]
---@param shape integer|integer[] the sizes of the dimensions to normalise over
---@param weight Tensor? of that shape
---@param bias Tensor? of that shape
---@param options {eps: number}? 1e-5
---@return Tensor y of x's shape
function F.layer_norm(x, shape, weight, bias, options)
    check.float("layer_norm", "input", x)
    options = check.options("layer_norm", options, {"eps"})
    if type(shape) == "number" then shape = {shape} end
    local xs, count, fits = x.shape, 1, type(shape) == "table" and #shape > 0
    for i = 1, fits and #shape or 0 do
        fits = fits and xs[#xs - #shape + i] == shape[i]
        count = count * shape[i]
    end
    if not fits then
        error(("layer_norm: the last dimensions of input %s should be %s"):format(check.shape_text(xs),
            type(shape) == "table" and check.shape_text(shape) or tostring(shape)), 2)
    end
    local y = ops.row_norm(x:reshape(-1, count), options.eps or 1e-5):reshape(xs)
    for argument, value in pairs {weight = weight, bias = bias} do
        check.float("layer_norm", argument, value)
        if check.shape_text(value.shape) ~= check.shape_text(shape) then
            error(("layer_norm: %s should be %s, got %s"):format(argument, check.shape_text(shape),
                check.shape_text(value.shape)), 2)
        end
    end
    if weight then y = y * weight end
    if bias then y = y + bias end
    return y
end

-- ---- activations ----------------------------------------------------------------------------------------------

for _, name in ipairs {"relu", "sigmoid", "tanh"} do
    F[name] = function(x)
        check.float(name, "input", x)
        return x[name](x)
    end
end

--- x where positive, slope x elsewhere.
---@param x Tensor
---@param slope number? 0.01
---@return Tensor
function F.leaky_relu(x, slope)
    check.float("leaky_relu", "input", x)
    return lx.where(x:gt(0), x, x * (slope or 0.01))
end

--- x sigmoid(x) (Elfwing et al. 2018).
---@param x Tensor
---@return Tensor
function F.silu(x)
    check.float("silu", "input", x)
    return x * x:sigmoid()
end

--- x times the normal distribution function of x (Hendrycks and Gimpel 2016), by erf, not the tanh approximation.
---@param x Tensor
---@return Tensor
function F.gelu(x)
    check.float("gelu", "input", x)
    return x * ((x * math.sqrt(0.5)):erf() + 1) * 0.5
end

-- `op` works on the last dimension of a matrix.
local function over_dimension(name, op)
    return function(x, dim)
        check.float(name, "input", x)
        local ndim = x.ndim
        local index = math.tointeger(dim)
        if index and index < 0 then index = index + ndim + 1 end
        if not index or index < 1 or index > ndim then
            error(("%s: dim should be from 1 to %d (or -1 to -%d) for input %s, got %s"):format(name, ndim, ndim,
                check.shape_text(x.shape), tostring(dim)), 2)
        end
        if index ~= ndim then x = x:transpose(index, ndim) end
        local rows, shape = as_rows(x)
        local y = from_rows(op(rows), shape)
        return index == ndim and y or y:transpose(index, ndim)
    end
end

--- exp(x) / sum(exp(x)) along a dimension.
---@type fun(x: Tensor, dim: integer): Tensor
F.softmax = over_dimension("softmax", ops.softmax)

--- log(softmax(x)) along a dimension, without overflow.
---@type fun(x: Tensor, dim: integer): Tensor
F.log_softmax = over_dimension("log_softmax", ops.log_softmax)

-- ---- dropout --------------------------------------------------------------------------------------------------

local function check_probability(name, p)
    if type(p) ~= "number" or not (p >= 0 and p < 1) then
        check.fail(name, "the probability should be at least 0 and below 1, got %s", tostring(p))
    end
end

--- While training, zeroes each element with probability p and scales the others by 1/(1-p).
---@param x Tensor
---@param p number? 0.5
---@param training boolean? default true
---@return Tensor
function F.dropout(x, p, training)
    p = p or 0.5
    check.float("dropout", "input", x)
    check_probability("dropout", p)
    if training == false or p == 0 then return x end
    return ops.dropout(x, p, core.next_stream())
end

--- The same for whole channels of images.
---@param x Tensor [N,C,H,W]
---@param p number? 0.5
---@param training boolean? default true
---@return Tensor
function F.dropout2d(x, p, training)
    p = p or 0.5
    check.float("dropout2d", "input", x, 4)
    check_probability("dropout2d", p)
    if training == false or p == 0 then return x end
    local mask = lx.ones({x.shape[1], x.shape[2], 1, 1}, {device = x.device})
    return x * core.dropout(mask, p, core.next_stream())
end

-- ---- losses ---------------------------------------------------------------------------------------------------

-- Never 0: a batch without any label has loss 0 and gradient 0, for these are divided by something.
local function nonzero(count) return count:clamp(1e-30, math.huge) end

-- `loss` is 0 where the target, a tensor, is missing; or `by` gives what to divide the sum by.
local function reduce(name, loss, reduction, by)
    reduction = reduction or "mean"
    if reduction == "none" then return loss end
    if reduction == "sum" then return loss:sum() end
    if reduction == "mean" then
        return type(by) == "function" and loss:sum() / nonzero(by()) or ops.valid_mean(loss, by)
    end
    check.fail(name, 'reduction should be "mean", "sum" or "none", got %s', tostring(reduction))
end

local function check_pair(name, x, target)
    check.float(name, "input", x)
    check.float(name, "target", target)
    check.same_shape(name, "input", x, "target", target)
end

--- Binary cross-entropy of logits. Elements whose target is NaN (a missing label) count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options {pos_weight: number|Tensor, reduction: "mean"|"sum"|"none"}? pos_weight multiplies the loss of the
--- positives: a number, or [C] for the last dimension; the mean is over the targets present
---@return Tensor loss 0-d, or of x's shape for "none"
function F.binary_cross_entropy_with_logits(x, target, options)
    local name = "binary_cross_entropy_with_logits"
    options = check.options(name, options, {"pos_weight", "reduction"})
    check_pair(name, x, target)
    local pos_weight = options.pos_weight
    if type(pos_weight) == "userdata" then
        check.vector(name, "pos_weight", pos_weight, x.shape[x.ndim])
    elseif pos_weight ~= nil and type(pos_weight) ~= "number" then
        error(("%s: pos_weight should be a number or a tensor, got %s"):format(name, type(pos_weight)), 2)
    end
    return reduce(name, ops.bce_with_logits(x, target, pos_weight), options.reduction, target)
end

-- The target as float with NaN for "ignore"; and where it is outside 1..classes. That is an error on the cpu; on a
-- device that would have to be waited for to know, it is for the loss to show.
local function class_targets(name, target, classes, ignore_index)
    local t = target:float()
    if ignore_index then t = t:masked_fill(t:eq(ignore_index), 0 / 0) end
    local outside = core.binary("maximum", t:lt(1), t:gt(classes)):byte()
    if t.device ~= "cpu" then return t, outside end
    local form = "targets should be class numbers from 1 to %d%s; some are outside"
    local ignored = ignore_index and (" or ignore_index (" .. ignore_index .. ")") or ""
    if recording.now then
        core.check_zero(outside:any(), ("%s: %s"):format(name, form:format(classes, ignored)))
    elseif outside:any():item() ~= 0 then
        check.fail(name, form, classes, ignored)
    end
    return t
end

local function check_classes(name, x, target, options)
    check.float(name, "input", x)
    if type(target) ~= "userdata" then check.fail(name, "target should be a tensor, got %s", type(target)) end
    local expected = x.shape
    if #expected < 2 then
        check.fail(name, "input should be [N,C] or [N,C,H,W], got %s", check.shape_text(expected))
    end
    local classes = table.remove(expected, 2)
    if check.shape_text(target.shape) ~= check.shape_text(expected) then
        check.fail(name, "target should be %s for input %s, got %s", check.shape_text(expected),
            check.shape_text(x.shape), check.shape_text(target.shape))
    end
    check.vector(name, "weight", options.weight, classes)
    return classes
end

--- Cross-entropy of logits over classes (dimension 2).
---@param x Tensor logits [N,C] or [N,C,H,W]
---@param target Tensor class numbers from 1, int32 [N] or [N,H,W]; a float32 target may have NaN for missing labels.
--- One outside raises on the cpu; on other devices, which compute while Lua goes on, it makes the loss NaN
---@param options {weight: Tensor, label_smoothing: number, ignore_index: integer, reduction: "mean"|"sum"|"none"}?
--- weight [C] per class; the mean is weighted by it. Label smoothing as in Szegedy et al. 2016.
---@return Tensor loss 0-d, or of the target's shape for "none"
function F.cross_entropy(x, target, options)
    local name = "cross_entropy"
    options = check.options(name, options, {"weight", "label_smoothing", "ignore_index", "reduction"})
    local classes = check_classes(name, x, target, options)
    local smoothing = options.label_smoothing or 0
    if type(smoothing) ~= "number" or smoothing < 0 or smoothing > 1 then
        error(("%s: label_smoothing should be from 0 to 1, got %s"):format(name, tostring(smoothing)), 2)
    end
    local t, outside = class_targets(name, target, classes, options.ignore_index)
    t = t:unsqueeze(2)
    local by_class = {1, classes}
    for i = 3, x.ndim do by_class[i] = 1 end
    local one_hot = t:eq(lx.arange(1, classes + 1, {device = x.device}):view(by_class)):float()
    local weighted = options.weight and one_hot * options.weight:detach():view(by_class) or one_hot
    -- Everything but log p is constant: the loss is a weighted sum, with weight 0 where the label is missing.
    local coefficient = weighted
    if smoothing > 0 then
        local present = t:eq(t):float() * (smoothing / classes)
        if options.weight then present = present * options.weight:detach():view(by_class) end
        coefficient = weighted * (1 - smoothing) + present
    end
    local log_p = F.log_softmax(x, 2):masked_fill(coefficient:eq(0), 0)
    local loss = -(log_p * coefficient):sum(2)
    if outside then loss = loss:masked_fill(outside, 0 / 0) end
    return reduce(name, loss, options.reduction, function() return weighted:sum() end)
end

-- x - target, with 0 (and no gradient) where the target is NaN.
local function difference(x, target)
    local missing = target:isnan()
    return (x - target:masked_fill(missing, 0)):masked_fill(missing, 0)
end

local function regression(name, elementwise)
    return function(x, target, options)
        options = check.options(name, options, {"reduction", "beta"})
        check_pair(name, x, target)
        local loss = elementwise(difference(x, target), options)
        return reduce(name, loss, options.reduction, target)
    end
end

--- Mean of (x - target)^2 over the targets that are not NaN.
---@type fun(x: Tensor, target: Tensor, options: {reduction: string}?): Tensor
F.mse_loss = regression("mse_loss", function(d) return d * d end)

--- Mean of |x - target| over the targets that are not NaN.
---@type fun(x: Tensor, target: Tensor, options: {reduction: string}?): Tensor
F.l1_loss = regression("l1_loss", function(d) return d:abs() end)

--- Quadratic below `beta` (default 1), linear above (Girshick 2015).
---@type fun(x: Tensor, target: Tensor, options: {beta: number, reduction: string}?): Tensor
F.smooth_l1_loss = regression("smooth_l1_loss", function(d, options)
    local beta, size = options.beta or 1, d:abs()
    if type(beta) ~= "number" or beta < 0 then
        check.fail("smooth_l1_loss", "beta should be a number of at least 0, got %s", tostring(beta))
    end
    if beta == 0 then return size end
    local near = size:clamp(0, beta)
    return near * (size - near * 0.5) / beta
end)

--- Sigmoid focal loss (Lin et al. 2017). Elements whose target is NaN count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0, 1 or NaN
---@param options {alpha: number, gamma: number, reduction: "mean"|"sum"|"none"}? 0.25, 2 and "mean"; a negative alpha
--- means no balancing
---@return Tensor loss 0-d, or of x's shape for "none"
function F.focal_loss(x, target, options)
    local name = "focal_loss"
    options = check.options(name, options, {"alpha", "gamma", "reduction"})
    check_pair(name, x, target)
    local alpha, gamma = options.alpha or 0.25, options.gamma or 2
    local t = target:masked_fill(target:isnan(), 0)
    local loss = ops.bce_with_logits(x, target)
    if gamma ~= 0 then -- 1 - p_t, written so that it stays exact for confident predictions
        local missed = x:sigmoid() * (1 - t) + (-x):sigmoid() * t
        loss = loss * (gamma == 1 and missed or gamma == 2 and missed:square() or missed ^ gamma)
    end
    if alpha >= 0 then loss = loss * (t * (2 * alpha - 1) + (1 - alpha)) end
    return reduce(name, loss, options.reduction, target)
end

return F
