--- Functions of networks (`F`): they check their arguments, then call differentiable operations.
--
-- Images are float32 [N,C,H,W]. Sizes (`stride`, `padding` ...) are an integer or a pair `{h, w}`. A mistake in an
-- argument raises, naming the function, the argument and the shapes.

local activations = require "luxel.nn.activations"
local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local check = require "luxel.nn.check"
local losses = require "luxel.nn.loss_functions"
local namespace = require "luxel.namespace"
local ops = require "luxel.nn.ops"

local F = {}

local IMAGES <const> = {"N", "C", "H", "W"}
local SIGNALS <const> = {"N", "C", "L"}
local MOST <const> = 2 ^ 31 - 1 -- of the sizes of results

-- ---- convolution and linear -----------------------------------------------------------------------------------

local NO_OPTIONS <const> = {}

-- The name of the activation that a convolution or `linear` applies to its result, or nil.
local function activation_of(options)
    if options.relu and options.activation and options.activation ~= "relu" then
        args.fail("options: relu = true and activation = %q say two things", options.activation)
    end
    return options.activation or options.relu and "relu" or nil
end

local function conv_settings(options)
    return {
        stride = check.pair(options.stride or 1), padding = check.pair(options.padding or 0),
        dilation = check.pair(options.dilation or 1), groups = options.groups or 1, activation = activation_of(options),
    }
end

local function pool_settings(kernel, options)
    return {
        kernel = check.pair(kernel), stride = check.pair(options.stride or kernel),
        padding = check.pair(options.padding or 0), ceil_mode = options.ceil_mode == true,
    }
end

-- Raises where a window is larger than the padded input, or mostly padding.
local function check_windows(name, x, settings)
    check.padding(name, settings.padding, settings.kernel)
    for i = 1, 2 do
        if x.shape[2 + i] + 2 * settings.padding[i] < settings.kernel[i] then
            check.fail(name, "the kernel (%d) is larger than the padded input (input %s)", settings.kernel[i],
                check.shape_text(x.shape))
        end
    end
end

-- Whether a pooling is over windows of 2x2 that neither overlap nor leave the image.
local function is_of_windows(settings)
    if settings.ceil_mode then return false end
    for i = 1, 2 do
        if settings.kernel[i] ~= 2 or settings.stride[i] ~= 2 or settings.padding[i] ~= 0 then return false end
    end
    return true
end

-- Checks the tensors of a convolution that is called `name`; returns height and width of the result.
local function check_convolution(name, x, weight, bias, settings)
    local xs, ws, groups = x.shape, weight.shape, settings.groups
    if ws[2] * groups ~= xs[2] then
        check.fail(name, "weight expects %d input channels, input has %d (input %s, weight %s, groups %d)",
            ws[2] * groups, xs[2], check.shape_text(xs), check.shape_text(ws), groups)
    end
    if ws[1] % groups ~= 0 then
        check.fail(name, "%d output channels cannot be split into %d groups (weight %s)", ws[1], groups,
            check.shape_text(ws))
    end
    check.vector(name, "bias", bias, ws[1])
    local size = {}
    for i = 1, 2 do
        local reach = settings.dilation[i] * (ws[2 + i] - 1) + 1
        if xs[2 + i] + 2 * settings.padding[i] < reach then
            check.fail(name, "the kernel (%d with dilation) is larger than the padded input (%d) (input %s, weight %s)",
                reach, xs[2 + i] + 2 * settings.padding[i], check.shape_text(xs), check.shape_text(ws))
        end
        size[i] = (xs[2 + i] + 2 * settings.padding[i] - reach) // settings.stride[i] + 1
    end
    return size
end

--- Convolution (cross-correlation) of images.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [O,C/groups,KH,KW]
---@param bias Tensor? [O]
---@param options {stride: integer|integer[], padding: integer|integer[], dilation: integer|integer[],
--- groups: integer, relu: boolean, activation: "leaky"|"relu"|"relu6", max_pool: table?}? stride, dilation, groups:
--- default 1; padding: default 0; activation: is applied to the result in the same pass; relu: true for activation =
--- "relu"; max_pool: with an activation only, then pools it, after ReLU without keeping it
---@return Tensor y [N,O,H',W'], H' = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, rounded down
function F.conv2d(x, weight, bias, options)
    options = options or NO_OPTIONS
    check.float("conv2d", "input", x, IMAGES)
    check.float("conv2d", "weight", weight, {"O", "C", "KH", "KW"})
    local settings, pool = conv_settings(options), options.max_pool
    local size = check_convolution("conv2d", x, weight, bias, settings)
    if not pool then return ops.conv2d(x, weight, bias, settings) end
    if not settings.activation then args.fail("conv2d: options: max_pool needs relu = true or an activation") end
    pool = pool_settings(pool.kernel, pool)
    if settings.activation == "relu" and is_of_windows(pool) and size[1] > 1 and size[2] > 1 then
        return ops.conv2d_relu_max_pool(x, weight, bias, settings)
    end
    local convolved = ops.conv2d(x, weight, bias, settings)
    return F.max_pool2d(convolved, pool.kernel,
        {stride = pool.stride, padding = pool.padding, ceil_mode = pool.ceil_mode})
end

-- [N,C,L] as images of one row, and back.
local function as_images(x) return x:unsqueeze(3) end

local function as_signals(y) return y:squeeze(3) end

--- Convolution (cross-correlation) of signals.
---@param x Tensor [N,C,L]
---@param weight Tensor [O,C/groups,K]
---@param bias Tensor? [O]
---@param options {stride: integer, padding: integer, dilation: integer, groups: integer}? stride, dilation,
--- groups: default 1; padding: default 0
---@return Tensor y [N,O,L'], L' = (L + 2 padding - dilation (K - 1) - 1) / stride + 1, rounded down
function F.conv1d(x, weight, bias, options)
    options = options or NO_OPTIONS
    check.float("conv1d", "input", x, SIGNALS)
    check.float("conv1d", "weight", weight, {"O", "C", "K"})
    local settings = conv_settings {
        stride = {1, options.stride or 1}, padding = {0, options.padding or 0}, dilation = {1, options.dilation or 1},
        groups = options.groups,
    }
    x, weight = as_images(x), as_images(weight)
    check_convolution("conv1d", x, weight, bias, settings)
    return as_signals(ops.conv2d(x, weight, bias, settings))
end

--- Transposed convolution of images: the gradient of `conv2d` for its input, used to enlarge.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [C,O/groups,KH,KW]
---@param bias Tensor? [O]
---@param options {stride: integer|integer[], padding: integer|integer[], output_padding: integer|integer[],
--- dilation: integer|integer[], groups: integer}? stride, dilation, groups: default 1; padding, output_padding:
--- default 0
---@return Tensor y [N,O,H',W'], H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1
function F.conv_transpose2d(x, weight, bias, options)
    local name = "conv_transpose2d"
    options = options or NO_OPTIONS
    local settings, extra = conv_settings(options), check.pair(options.output_padding or 0)
    check.float(name, "input", x, IMAGES)
    check.float(name, "weight", weight, {"C", "O", "KH", "KW"})
    local xs, ws = x.shape, weight.shape
    if ws[1] ~= xs[2] or ws[1] % settings.groups ~= 0 then
        check.fail(name, "weight expects %d input channels in %d groups, input has %d (input %s, weight %s)", ws[1],
            settings.groups, xs[2], check.shape_text(xs), check.shape_text(ws))
    end
    local out = {xs[1], ws[2] * settings.groups}
    check.vector(name, "bias", bias, out[2])
    for i = 1, 2 do
        local stride, dilation = settings.stride[i], settings.dilation[i]
        if extra[i] >= stride then -- of such a size no convolution with this stride makes the input's
            check.fail(name, "output_padding (%d) should be smaller than the stride (%d)", extra[i], stride)
        end
        out[2 + i] = (xs[2 + i] - 1) * stride - 2 * settings.padding[i] + dilation * (ws[2 + i] - 1) + extra[i] + 1
        if out[2 + i] < 1 then
            check.fail(name, "the result would be empty (input %s, weight %s)", check.shape_text(xs),
                check.shape_text(ws))
        elseif out[2 + i] > MOST then
            check.fail(name, "the result would be too large (%s)", check.shape_text(out))
        end
    end
    return ops.conv_transpose2d(x, weight, bias, out, settings)
end

--- y = x weight' + bias, over the last dimension.
---@param x Tensor [...,I]
---@param weight Tensor [O,I]
---@param bias Tensor? [O]
---@param options {relu: boolean, activation: "leaky"|"relu"|"relu6"}? activation: is applied to the result in the same
--- pass; relu: true for activation = "relu"
---@return Tensor y [...,O]
function F.linear(x, weight, bias, options)
    check.float("linear", "input", x)
    check.float("linear", "weight", weight, {"O", "I"})
    local xs, ws = x.shape, weight.shape
    if xs[#xs] ~= ws[2] then
        check.fail("linear", "weight expects %d features, input has %s (input %s, weight %s)", ws[2],
            tostring(xs[#xs] or "none"), check.shape_text(xs), check.shape_text(ws))
    end
    check.vector("linear", "bias", bias, ws[1])
    local activation = activation_of(options or NO_OPTIONS)
    if #xs == 2 then return ops.linear(x, weight, bias, activation) end
    xs[#xs] = ws[1]
    return ops.linear(x:reshape(-1, ws[2]), weight, bias, activation):reshape(xs)
end

--- Rows of a table of vectors.
---@param indices Tensor int32 [...], 1-based
---@param weight Tensor [V,D]
---@return Tensor y [...,D]
function F.embedding(indices, weight)
    check.float("embedding", "weight", weight, {"V", "D"})
    if indices.dtype ~= "int32" then
        args.fail("embedding: indices: expected an int32 tensor, got %s", args.describe(indices))
    end
    local shape = indices.shape
    shape[#shape + 1] = weight.shape[2]
    local flat = indices.ndim == 1 and indices or indices:reshape(-1)
    return weight:index_select(1, flat):reshape(shape)
end

-- ---- pooling and resizing -------------------------------------------------------------------------------------

local function max_pool(name, x, settings)
    check_windows(name, x, settings)
    return (ops.max_pool2d(x, settings))
end

local function avg_pool(name, x, settings, options)
    check_windows(name, x, settings)
    settings.count_include_pad = options.count_include_pad ~= false
    return ops.avg_pool2d(x, settings)
end

--- Largest value in each window.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], ceil_mode: boolean}? stride: default the
--- kernel; padding: default 0; ceil_mode: a last window may reach over the end, if it begins before it
---@return Tensor y [N,C,H',W'], H' = (H + 2 padding - kernel) / stride + 1, rounded down, or up with ceil_mode
function F.max_pool2d(x, kernel, options)
    check.float("max_pool2d", "input", x, IMAGES)
    return max_pool("max_pool2d", x, pool_settings(kernel, options or NO_OPTIONS))
end

--- Mean of each window; padding counts as zeros unless `count_include_pad` is false.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], count_include_pad: boolean}? stride: default
--- the kernel; padding: default 0; count_include_pad: whether zeros of the padding count in the mean, default true
---@return Tensor y [N,C,H',W'] as for max_pool2d
function F.avg_pool2d(x, kernel, options)
    check.float("avg_pool2d", "input", x, IMAGES)
    options = options or NO_OPTIONS
    return avg_pool("avg_pool2d", x, pool_settings(kernel, options), options)
end

-- Windows along the only row of signals as images.
local function pool_settings1d(kernel, options)
    return pool_settings({1, kernel}, {stride = {1, options.stride or kernel}, padding = {0, options.padding or 0}})
end

--- Largest value in each window of a signal.
---@param x Tensor [N,C,L]
---@param kernel integer
---@param options {stride: integer, padding: integer}? stride: default the kernel; padding: default 0
---@return Tensor y [N,C,L'], L' = (L + 2 padding - kernel) / stride + 1, rounded down
function F.max_pool1d(x, kernel, options)
    check.float("max_pool1d", "input", x, SIGNALS)
    return as_signals(max_pool("max_pool1d", as_images(x), pool_settings1d(kernel, options or NO_OPTIONS)))
end

--- Mean of each window of a signal; padding counts as zeros unless `count_include_pad` is false.
---@param x Tensor [N,C,L]
---@param kernel integer
---@param options {stride: integer, padding: integer, count_include_pad: boolean}? stride: default the kernel;
--- padding: default 0; count_include_pad: whether zeros of the padding count in the mean, default true
---@return Tensor y [N,C,L'] as for max_pool1d
function F.avg_pool1d(x, kernel, options)
    check.float("avg_pool1d", "input", x, SIGNALS)
    options = options or NO_OPTIONS
    return as_signals(avg_pool("avg_pool1d", as_images(x), pool_settings1d(kernel, options), options))
end

--- Mean over windows chosen so that the result has the given size.
---@param x Tensor [N,C,H,W]
---@param size integer|integer[] height and width of the result
---@return Tensor y [N,C,size,size]
function F.adaptive_avg_pool2d(x, size)
    check.float("adaptive_avg_pool2d", "input", x, IMAGES)
    return ops.adaptive_avg_pool2d(x, check.pair(size))
end

--- Mean over windows of a signal chosen so that the result has the given size.
---@param x Tensor [N,C,L]
---@param size integer
---@return Tensor y [N,C,size]
function F.adaptive_avg_pool1d(x, size)
    check.float("adaptive_avg_pool1d", "input", x, SIGNALS)
    return as_signals(ops.adaptive_avg_pool2d(as_images(x), {1, size}))
end

local function target_size(x, options)
    if (options.size == nil) == (options.scale == nil) then
        args.fail("interpolate: options: give either size = {h, w} or scale = number")
    end
    if options.size then return check.pair(options.size) end
    local size = {math.floor(x.shape[3] * options.scale), math.floor(x.shape[4] * options.scale)}
    for i = 1, 2 do
        if size[i] < 1 or size[i] > MOST then
            args.fail("interpolate: option 'scale': %g makes images of %s into %g×%g", options.scale,
                check.shape_text(x.shape), size[1], size[2])
        end
    end
    return size
end

--- Resizes images.
---@param x Tensor [N,C,H,W]
---@param options {size: integer|integer[], scale: number, mode: "nearest"|"bilinear", align_corners: boolean} size,
--- scale: one of both is needed; mode: default "nearest"; align_corners: for bilinear only, default false
---@return Tensor y [N,C,H',W']
function F.interpolate(x, options)
    check.float("interpolate", "input", x, IMAGES)
    local size = target_size(x, options)
    if options.mode ~= "bilinear" then return ops.upsample_nearest2d(x, size) end
    return ops.upsample_bilinear2d(x, size, options.align_corners == true)
end

-- By order: the sizes into which [C,H,W] falls, from C, H, W and the stride, the order in which these are read, and
-- what becomes of C, H and W.
local REORGS <const> = {
    darknet = {
        function(c, h, w, s) return c // (s * s), h, s, w, s end, {1, 4, 6, 2, 3, 5}, "shrinks", "channels",
    },
    space_to_depth = {
        function(c, h, w, s) return c, h // s, s, w // s, s end, {1, 4, 6, 2, 3, 5}, "shrinks", "pixels",
    },
    depth_to_space = {
        function(c, h, w, s) return s, s, c // (s * s), h, w end, {1, 4, 5, 2, 6, 3}, "grows", "channels",
    },
}

--- Moves pixels to channels or back, as the passthrough layer of YOLOv2 does (Redmon and Farhadi 2017).
---@param x Tensor [N,C,H,W]
---@param stride integer
---@param options {order: "darknet"|"space_to_depth"|"depth_to_space"}? order: "space_to_depth" (the default) makes a
--- channel of each pixel of a block, y[(i stride + j) C + c] at (h,w) = x[c] at (h stride + i, w stride + j), i and j
--- from 0; "depth_to_space" is its inverse, and what darknet computes with `reverse=1`; "darknet" is what its `[reorg]`
--- computes, which reads the numbers of an image as [C/stride²,H,stride,W,stride] whatever their places are
---@return Tensor y [N,C stride²,H/stride,W/stride], or [N,C/stride²,H stride,W stride] for "depth_to_space"; "darknet"
--- wants C, H and W that stride² and stride divide, "space_to_depth" H and W, "depth_to_space" C
function F.reorg(x, stride, options)
    check.float("reorg", "input", x, IMAGES)
    local split, order, direction, divided = table.unpack(REORGS[options and options.order or "space_to_depth"])
    local n, c, h, w = table.unpack(x.shape)
    local block = stride * stride
    if divided == "channels" and c % block ~= 0 then
        check.fail("reorg", "expected channels that %d (the stride squared) divides, input is %s", block,
            check.shape_text(x.shape))
    elseif direction == "shrinks" and (h % stride ~= 0 or w % stride ~= 0) then
        check.fail("reorg", "expected height and width that the stride (%d) divides, input is %s", stride,
            check.shape_text(x.shape))
    end
    local y = x:reshape(n, split(c, h, w, stride)):permute(table.unpack(order))
    if direction == "grows" then return y:reshape(n, c // block, h * stride, w * stride) end
    return y:reshape(n, c * block, h // stride, w // stride)
end

-- The places in a dimension of `size` that a padded one shows, from 1.
local PLACES <const> = {
    reflect = function(i, size)
        if i < 1 then i = 2 - i end
        return i > size and 2 * size - i or i
    end,
    replicate = function(i, size) return math.max(1, math.min(i, size)) end,
    circular = function(i, size) return (i - 1) % size + 1 end,
}

-- How many values a mode can add on a side.
local function most_padding(mode, size)
    if mode == "reflect" then return size - 1 end
    return mode == "circular" and size or MOST
end

local function pad_by_places(x, dim, before, after, mode)
    local size, places = x.shape[dim], {}
    local most = most_padding(mode, size)
    if before < 0 or after < 0 or before > most or after > most or size == 0 then
        args.fail('pad: padding: mode "%s" takes from 0 to %d on the sides of dimension %d of %s, got %d and %d', mode,
            most, dim, args.describe(x), before, after)
    end
    for i = 1 - before, size + after do places[#places + 1] = PLACES[mode](i, size) end
    return x:index_select(dim, lx.tensor(places, {dtype = "int32", device = x.device}))
end

local function pad_by_value(x, dim, before, after, value)
    local shape = x.shape
    local first, last = math.max(1, 1 - before), math.min(shape[dim], shape[dim] + after)
    if last < first then
        args.fail("pad: padding: %d and %d leave nothing of dimension %d of %s", before, after, dim, args.describe(x))
    end
    if before < 0 or after < 0 then x = x:narrow(dim, first, last - first + 1) end
    local parts = {x}
    for side, width in ipairs {before, after} do
        if width > 0 then
            shape[dim] = width
            table.insert(parts, side == 1 and 1 or #parts + 1, lx.full(shape, value, {device = x.device}))
        end
    end
    return #parts > 1 and lx.cat(parts, dim) or x
end

--- Adds values around a tensor, from the last dimension on: {left, right} of the last one, {left, right, top, bottom}
--- of the last two and so on. Negative numbers cut off (mode "constant" alone).
---@param x Tensor float32
---@param padding integer[]
---@param options {mode: "constant"|"reflect"|"replicate"|"circular", value: number}? mode: default "constant";
--- "reflect" leaves out the border itself, "replicate" repeats it; value: default 0
---@return Tensor y
function F.pad(x, padding, options)
    check.float("pad", "input", x)
    options = options or NO_OPTIONS
    local mode = options.mode or "constant"
    if #padding % 2 ~= 0 or #padding // 2 > x.ndim then
        args.fail("pad: padding: expected two numbers for each of at most %d dimensions, got %d numbers", x.ndim,
            #padding)
    elseif options.value and mode ~= "constant" then
        args.fail('pad: option \'value\': is for mode "constant" alone, got mode "%s"', mode)
    end
    local size = 1.0
    for dim = 1, x.ndim do
        local place = 2 * (x.ndim - dim)
        size = size * (x.shape[dim] + math.max(0, padding[place + 1] or 0) + math.max(0, padding[place + 2] or 0))
    end
    if size > MOST then args.fail("pad: padding: the result would have %.0f elements, which is too many", size) end
    for i = 1, #padding, 2 do
        local dim, before, after = x.ndim - i // 2, padding[i], padding[i + 1]
        if mode == "constant" and (before ~= 0 or after ~= 0) then
            x = pad_by_value(x, dim, before, after, options.value or 0)
        elseif before ~= 0 or after ~= 0 then
            x = pad_by_places(x, dim, before, after, mode)
        end
    end
    return x
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
---@param x Tensor [N,C,H,W], [N,C,L] or [N,C]
---@param running_mean Tensor? [C] used when not training, updated in place when training
---@param running_var Tensor? [C] likewise
---@param weight Tensor? [C]
---@param bias Tensor? [C]
---@param options {training: boolean, momentum: number, eps: number, addend: Tensor?, activation:
--- "leaky"|"relu"|"relu6"}? training: default false; momentum: default 0.1; eps: default 1e-5; addend: of x's
--- shape, is added to the result; activation: is applied to it then; all in the same pass
---@return Tensor y of x's shape
function F.batch_norm(x, running_mean, running_var, weight, bias, options)
    local name, shape = "batch_norm", x.shape
    options = options or NO_OPTIONS
    check.float(name, "input", x)
    if #shape < 2 or #shape > 4 then
        check.fail(name, "input: expected float32 [N,C,H,W], [N,C,L] or [N,C], got %s", args.describe(x))
    end
    local channels = shape[2]
    check.vector(name, "running_mean", running_mean, channels)
    check.vector(name, "running_var", running_var, channels)
    check.vector(name, "weight", weight, channels)
    check.vector(name, "bias", bias, channels)
    local images = #shape == 4 and x or x:reshape(shape[1], channels, shape[3] or 1, 1)
    local mean, var = running_mean, running_var
    if options.training then
        local count = x:numel() // math.max(channels, 1)
        if count < 2 then
            check.fail(name, "training needs more than one value per channel, input is %s; a network that is only to "
                .. "answer wants net:eval() first", check.shape_text(shape))
        end
        mean, var = core.batch_norm_stats(images)
        if running_mean and running_var then
            update_running(running_mean, running_var, mean, var, count, options.momentum or 0.1)
        end
    elseif not mean or not var then
        check.fail(name, "running_mean and running_var are needed when not training")
    end
    local addend = options.addend
    if addend then
        check.float(name, "options: option 'addend'", addend)
        check.same_shape(name, "input", x, "options: option 'addend'", addend)
        if #shape ~= 4 then addend = addend:reshape(images.shape) end
    end
    local y = ops.batch_norm(images, weight, bias, addend, mean, var, options.eps or 1e-5, options.training == true,
        options.activation)
    return #shape == 4 and y or y:reshape(shape)
end

-- y times weight plus bias, [C] each, along dimension 2.
local function scale_channels(y, weight, bias)
    local affine = {1, y.shape[2]}
    for i = 3, y.ndim do affine[i] = 1 end
    if weight then y = y * weight:view(affine) end
    if bias then y = y + bias:view(affine) end
    return y
end

--- Instance normalisation (Ulyanov et al. 2016): mean 0 and variance 1 of each channel of each image.
---@param x Tensor [N,C,H,W]
---@param running_mean Tensor? [C] used without `use_input_stats`, else updated in place by the mean over the images
---@param running_var Tensor? [C] likewise
---@param weight Tensor? [C]
---@param bias Tensor? [C]
---@param options {use_input_stats: boolean, momentum: number, eps: number}? use_input_stats: default true; momentum:
--- default 0.1; eps: default 1e-5
---@return Tensor y of x's shape
function F.instance_norm(x, running_mean, running_var, weight, bias, options)
    local name = "instance_norm"
    check.float(name, "input", x, IMAGES)
    options = options or NO_OPTIONS
    local eps = options.eps or 1e-5
    if options.use_input_stats == false then
        if not running_mean or not running_var then
            check.fail(name, "running_mean and running_var are needed without use_input_stats")
        end
        return F.batch_norm(x, running_mean, running_var, weight, bias, {eps = eps})
    end
    local n, c, h, w = table.unpack(x.shape)
    check.vector(name, "running_mean", running_mean, c)
    check.vector(name, "running_var", running_var, c)
    check.vector(name, "weight", weight, c)
    check.vector(name, "bias", bias, c)
    if h * w < 2 then
        check.fail(name, "needs more than one value per channel and image, input is %s", check.shape_text(x.shape))
    end
    if running_mean and running_var then
        local mean, var = core.batch_norm_stats(x:detach():reshape(1, n * c, h, w))
        lx.no_grad(function()
            update_running(running_mean, running_var, mean:view(n, c):mean(1), var:view(n, c):mean(1), h * w,
                options.momentum or 0.1)
        end)
    end
    return scale_channels(ops.row_norm(x:reshape(n * c, h * w), eps):reshape(n, c, h, w), weight, bias)
end

--- Group normalisation (Wu and He 2018): mean 0 and variance 1 over each group of channels of each image.
---@param x Tensor [N,C,...]
---@param groups integer divides C
---@param weight Tensor? [C]
---@param bias Tensor? [C]
---@param options {eps: number}? eps: default 1e-5
---@return Tensor y of x's shape
function F.group_norm(x, groups, weight, bias, options)
    check.float("group_norm", "input", x)
    local shape = x.shape
    if #shape < 2 or shape[2] % groups ~= 0 then
        check.fail("group_norm", "the channels of input %s cannot be split into %d groups", check.shape_text(shape),
            groups)
    end
    check.vector("group_norm", "weight", weight, shape[2])
    check.vector("group_norm", "bias", bias, shape[2])
    local size = shape[2] // groups
    for i = 3, #shape do size = size * shape[i] end
    local y = ops.row_norm(x:reshape(shape[1] * groups, size), options and options.eps or 1e-5)
    return scale_channels(y:reshape(shape), weight, bias)
end

--- Layer normalisation (Ba et al. 2016) over the last dimensions.
---@param x Tensor [...,unpack(shape)]
---@param shape integer|integer[] the sizes of the dimensions to normalise over
---@param weight Tensor? of that shape
---@param bias Tensor? of that shape
---@param options {eps: number}? eps: default 1e-5
---@return Tensor y of x's shape
function F.layer_norm(x, shape, weight, bias, options)
    check.float("layer_norm", "input", x)
    if type(shape) == "number" then shape = {shape} end
    local xs, count, fits = x.shape, 1, #shape > 0
    for i, size in ipairs(shape) do
        fits = fits and xs[#xs - #shape + i] == size
        count = count * size
    end
    if not fits then
        check.fail("layer_norm", "shape: the last dimensions of input %s should be %s", check.shape_text(xs),
            check.shape_text(shape))
    end
    if weight then check.float("layer_norm", "weight", weight, shape) end
    if bias then check.float("layer_norm", "bias", bias, shape) end
    local y = ops.row_norm(x:reshape(-1, count), options and options.eps or 1e-5):reshape(xs)
    if weight then y = y * weight end
    if bias then y = y + bias end
    return y
end

--- Local response normalisation over neighbouring channels (Krizhevsky et al. 2012), with the mean of the squares as in
--- PyTorch: x / (k + alpha mean(x²))^beta, where the mean is over `size` channels, those outside counting as 0.
---@param x Tensor [N,C,...]
---@param size integer channels: from size // 2 before to (size - 1) // 2 behind
---@param options {alpha: number, beta: number, k: number}? alpha: default 1e-4; beta: default 0.75; k: default 1
---@return Tensor y of x's shape
function F.local_response_norm(x, size, options)
    check.float("local_response_norm", "input", x, {"N", "C", "..."})
    options = options or NO_OPTIONS
    return ops.local_response_norm(x, {size, options.alpha or 1e-4, options.beta or 0.75, options.k or 1})
end

-- ---- activations ----------------------------------------------------------------------------------------------

for _, row in ipairs(activations) do
    local name = row.name
    F[name] = function(x)
        check.float(name, "input", x)
        return x[name](x)
    end
end

--- x where positive, slope x elsewhere.
---@param x Tensor
---@param slope number? 0.01
---@return Tensor of the shape of x
function F.leaky_relu(x, slope)
    check.float("leaky_relu", "input", x)
    if slope == 0.1 then return x:leaky() end -- the slope of darknet's networks, which has kernels of its own
    return lx.where(x:gt(0), x, x * (slope or 0.01))
end

--- x times the normal distribution function of x (Hendrycks and Gimpel 2016), by erf, not the tanh approximation.
---@param x Tensor
---@return Tensor of the shape of x
function F.gelu(x)
    check.float("gelu", "input", x)
    return x * ((x * math.sqrt(0.5)):erf() + 1) * 0.5
end

--- exp(x) / sum(exp(x)) along a dimension.
---@param x Tensor
---@param dim integer
---@return Tensor of the shape of x
function F.softmax(x, dim)
    check.float("softmax", "input", x)
    return ops.along(ops.softmax, x, check.dim("softmax", dim, x))
end

--- log(softmax(x)) along a dimension, without overflow.
---@param x Tensor
---@param dim integer
---@return Tensor of the shape of x
function F.log_softmax(x, dim)
    check.float("log_softmax", "input", x)
    return ops.along(ops.log_softmax, x, check.dim("log_softmax", dim, x))
end

-- ---- dropout --------------------------------------------------------------------------------------------------

--- While training, zeroes each element with probability p and scales the others by 1/(1-p).
---@param x Tensor
---@param p number? 0.5
---@param training boolean? default true
---@return Tensor of the shape of x
function F.dropout(x, p, training)
    p = p or 0.5
    check.float("dropout", "input", x)
    if training == false or p == 0 then return x end
    return ops.dropout(x, p, core.next_stream())
end

--- The same for whole channels of images.
---@param x Tensor [N,C,H,W]
---@param p number? 0.5
---@param training boolean? default true
---@return Tensor of the shape of x
function F.dropout2d(x, p, training)
    p = p or 0.5
    check.float("dropout2d", "input", x, IMAGES)
    if training == false or p == 0 then return x end
    local mask = lx.ones({x.shape[1], x.shape[2], 1, 1}, {device = x.device})
    return x * core.dropout(mask, p, core.next_stream())
end

--- Stochastic depth (Huang et al. 2016): while training, zeroes each image with probability p and scales the others by
--- 1/(1-p); for the branch beside a shortcut.
---@param x Tensor [N,...]
---@param p number? 0.5
---@param training boolean? default true
---@return Tensor of the shape of x
function F.stochastic_depth(x, p, training)
    p = p or 0.5
    check.float("stochastic_depth", "input", x, {"N", "..."})
    if training == false or p == 0 then return x end
    local shape = {x.shape[1]}
    for dim = 2, x.ndim do shape[dim] = 1 end
    return x * core.dropout(lx.ones(shape, {device = x.device}), p, core.next_stream())
end

-- ---- declarations ---------------------------------------------------------------------------------------------

local in_passing = {} -- "leaky"|"relu"|"relu6"
for name in pairs(core.activations_in_passing()) do in_passing[#in_passing + 1] = ("%q"):format(name) end
table.sort(in_passing)
local IN_PASSING <const> = table.concat(in_passing, "|")
local ACTIVATION <const> = ("relu: boolean?, activation: %s?"):format(IN_PASSING)
local AFFINE <const> = "weight: tensor?, bias: tensor?"

local declarations = {
    conv1d = "x: tensor, weight: tensor, bias: tensor?, options: {stride: size?, padding: integer(0..2147483647)?, "
        .. "dilation: size?, groups: size?}?",
    conv2d = "x: tensor, weight: tensor, bias: tensor?, options: {stride: pair(1..2147483647)?, "
        .. "padding: pair(0..2147483647)?, dilation: pair(1..2147483647)?, groups: size?, " .. ACTIVATION
        .. ", max_pool: {kernel: pair(1..), stride: pair(1..)?, padding: pair(0..)?, "
        .. "ceil_mode: boolean?}?}?",
    conv_transpose2d = "x: tensor, weight: tensor, bias: tensor?, options: {stride: pair(1..2147483647)?, "
        .. "padding: pair(0..2147483647)?, output_padding: pair(0..2147483647)?, dilation: pair(1..2147483647)?, "
        .. "groups: size?}?",
    linear = "x: tensor, weight: tensor, bias: tensor?, options: {" .. ACTIVATION .. "}?",
    embedding = "indices: tensor, weight: tensor",
    max_pool1d = "x: tensor, kernel: size, options: {stride: size?, padding: integer(0..2147483647)?}?",
    avg_pool1d = "x: tensor, kernel: size, options: {stride: size?, padding: integer(0..2147483647)?, "
        .. "count_include_pad: boolean?}?",
    max_pool2d = "x: tensor, kernel: pair(1..2147483647), options: {stride: pair(1..2147483647)?, "
        .. "padding: pair(0..2147483647)?, ceil_mode: boolean?}?",
    avg_pool2d = "x: tensor, kernel: pair(1..2147483647), options: {stride: pair(1..2147483647)?, "
        .. "padding: pair(0..2147483647)?, count_include_pad: boolean?}?",
    adaptive_avg_pool1d = "x: tensor, size: size", adaptive_avg_pool2d = "x: tensor, size: pair(1..2147483647)",
    interpolate = "x: tensor, options: {size: pair(1..2147483647)?, scale: finite(0..)?, "
        .. 'mode: "nearest"|"bilinear"?, align_corners: boolean?}',
    reorg = "x: tensor, stride: integer(1..32768), "
        .. 'options: {order: "darknet"|"space_to_depth"|"depth_to_space"?}?',
    pad = "x: tensor, padding: integer(-2147483647..2147483647)[], "
        .. 'options: {mode: "constant"|"reflect"|"replicate"|"circular"?, value: number?}?',
    batch_norm = "x: tensor, running_mean: tensor?, running_var: tensor?, " .. AFFINE
        .. ", options: {training: boolean?, momentum: number(0..1)?, eps: finite(0..)?, addend: tensor?, "
        .. ("activation: %s?}?"):format(IN_PASSING),
    instance_norm = "x: tensor, running_mean: tensor?, running_var: tensor?, " .. AFFINE
        .. ", options: {use_input_stats: boolean?, momentum: number(0..1)?, eps: finite(0..)?}?",
    local_response_norm = "x: tensor, size: size, options: {alpha: finite?, beta: finite?, k: finite?}?",
    group_norm = "x: tensor, groups: size, " .. AFFINE .. ", options: {eps: finite(0..)?}?",
    layer_norm = "x: tensor, shape: size|size[], " .. AFFINE .. ", options: {eps: finite(0..)?}?",
    gelu = "x: tensor",
    leaky_relu = "x: tensor, slope: finite?", softmax = "x: tensor, dim: integer",
    log_softmax = "x: tensor, dim: integer",
    dropout = "x: tensor, p: probability?, training: boolean?",
    dropout2d = "x: tensor, p: probability?, training: boolean?",
    stochastic_depth = "x: tensor, p: probability?, training: boolean?",
}
for _, row in ipairs(activations) do declarations[row.name] = "x: tensor" end
args.publish("", F, declarations)

for name, loss in pairs(losses) do F[name] = loss end

return namespace("lx.nn.functional", F)
