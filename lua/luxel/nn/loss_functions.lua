--- Losses as functions: a part of `nn.functional`.
--
-- A target that is NaN is a missing label: it counts for nothing, and the mean is over those that are there.

local args = require "luxel.args"
local core = require "luxel.core"
local events = require "luxel.compile.events"
local lx = require "luxel"
local check = require "luxel.nn.check"
local ops = require "luxel.nn.ops"

local F = {}
local NO_OPTIONS <const> = {}

-- Never 0: a batch without any label has loss 0 and gradient 0, for these are divided by something.
local function nonzero(count) return count:clamp(1e-30, math.huge) end

-- `loss` is 0 where the target, a tensor, is missing; or `by` gives what to divide the sum by.
local function reduce(loss, reduction, by)
    if reduction == "none" then return loss end
    if reduction == "sum" then return loss:sum() end
    return type(by) == "function" and loss:sum() / nonzero(by()) or ops.valid_mean(loss, by)
end

local function check_pair(name, x, target)
    check.float(name, "input", x)
    check.float(name, "target", target)
    check.same_shape(name, "input", x, "target", target)
end

-- Raises where a gradient is wanted that the loss does not have.
local function check_constant(name, argument, value)
    if core.is_tensor(value) and value.requires_grad and lx.is_grad_enabled() then
        check.fail(name, "%s: requires a gradient, which this loss has for input alone; give %s:detach()", argument,
            argument)
    end
end

--- Binary cross-entropy of logits. Elements whose target is NaN (a missing label) count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options {pos_weight: number|Tensor, reduction: "mean"|"sum"|"none"}? pos_weight: multiplies the loss of the
--- positives, a number, or [C] for the last dimension; reduction: default "mean", which is over the targets present
---@return Tensor loss 0-d, or of x's shape for "none"
function F.binary_cross_entropy_with_logits(x, target, options)
    local name = "binary_cross_entropy_with_logits"
    options = options or NO_OPTIONS
    check_pair(name, x, target)
    local pos_weight = options.pos_weight
    if lx.is_tensor(pos_weight) then check.vector(name, "pos_weight", pos_weight, x.shape[x.ndim]) end
    check_constant(name, "target", target)
    check_constant(name, "pos_weight", pos_weight)
    return reduce(ops.bce_with_logits(x, target, pos_weight), options.reduction, target)
end

-- The target as float with NaN for "ignore"; and where it is outside 1..classes. That is an error on the cpu; on a
-- device that would have to be waited for to know, it is for the loss to show.
local function class_targets(name, target, classes, ignore_index)
    local t = target:float()
    if ignore_index then t = t:masked_fill(t:eq(ignore_index), 0 / 0) end
    local outside = core.binary("maximum", t:lt(1), t:gt(classes)):byte()
    if t.device ~= "cpu" then return t, outside end
    local ignored = ignore_index and (" or ignore_index (" .. ignore_index .. ")") or ""
    events.check_zero(outside:any(), ("%s: targets should be class numbers from 1 to %d%s; some are outside"):format(
        name, classes, ignored))
    return t
end

local function check_classes(name, x, target, options)
    check.float(name, "input", x)
    local expected = x.shape
    if #expected < 2 then
        check.fail(name, "input: expected float32 [N,C,...], got %s", args.describe(x))
    end
    local classes = table.remove(expected, 2)
    if check.shape_text(target.shape) ~= check.shape_text(expected) then
        check.fail(name, "target: expected %s for input %s, got %s", check.shape_text(expected),
            check.shape_text(x.shape), args.describe(target))
    end
    check.vector(name, "weight", options.weight, classes)
    return classes
end

-- The share of each class in targets that are class numbers, 0 where they are missing; and where they are outside.
local function shares_of_numbers(name, x, target, classes, options)
    local t, outside = class_targets(name, target, classes, options.ignore_index)
    t = t:unsqueeze(2)
    local by_class = {1, classes}
    for i = 3, x.ndim do by_class[i] = 1 end
    local shares = t:eq(lx.arange(1, classes + 1, {device = x.device}):view(by_class)):float()
    return shares, t:eq(t):float(), outside
end

-- The same of targets that are shares; one that is NaN makes those of all classes missing.
local function given_shares(name, x, target, options)
    check_pair(name, x, target)
    if options.ignore_index then
        check.fail(name, "options: ignore_index is of class numbers, and target has shares")
    end
    local present = target:isnan():float():sum({2}, true):eq(0)
    return target:masked_fill(present:eq(0):expand(target.shape), 0), present:float()
end

-- The loss of log-probabilities [N,C,...], which `log_p` gives once the arguments are known to be right.
local function class_loss(name, x, log_p, target, options)
    local soft = name == "cross_entropy" and target.ndim == x.ndim and x.ndim >= 2
    local classes = soft and x.shape[2] or check_classes(name, x, target, options)
    local shares, present, outside
    if soft then
        check.vector(name, "weight", options.weight, classes)
        shares, present = given_shares(name, x, target, options)
    else
        shares, present, outside = shares_of_numbers(name, x, target, classes, options)
    end
    local smoothing, weight = options.label_smoothing or 0, nil
    if options.weight then
        local by_class = {1, classes}
        for i = 3, x.ndim do by_class[i] = 1 end
        weight = options.weight:detach():view(by_class)
    end
    local weighted = weight and shares * weight or shares
    -- Everything but log p is constant: the loss is a weighted sum, with weight 0 where the label is missing.
    local coefficient = weighted
    if smoothing > 0 then
        local even = present * (smoothing / classes)
        coefficient = weighted * (1 - smoothing) + (weight and even * weight or even)
    end
    local loss = -(log_p():masked_fill(coefficient:eq(0), 0) * coefficient):sum(2)
    if outside then loss = loss:masked_fill(outside, 0 / 0) end
    return reduce(loss, options.reduction, function() return weighted:sum() end)
end

--- Cross-entropy of logits over classes (dimension 2).
---@param x Tensor logits [N,C] or [N,C,H,W]
---@param target Tensor class numbers from 1, int32 [N] or [N,H,W]; a float32 target may have NaN for missing labels.
--- One outside raises on the cpu; on other devices, which compute while Lua goes on, it makes the loss NaN. Or shares
--- of the classes, float32 of x's shape, as of mixed or smoothed labels; NaN where they are missing
---@param options {weight: Tensor, label_smoothing: number, ignore_index: integer, reduction: "mean"|"sum"|"none"}?
--- weight: [C] per class, by which the mean is weighted; label_smoothing: as in Szegedy et al. 2016, default 0;
--- reduction: default "mean", over the targets present
---@return Tensor loss 0-d, or [N] or [N,H,W] for "none"
function F.cross_entropy(x, target, options)
    local function log_p() return ops.along(ops.log_softmax, x, 2) end
    return class_loss("cross_entropy", x, log_p, target, options or NO_OPTIONS)
end

--- Negative log-likelihood: the cross-entropy of what already are logarithms of probabilities.
---@param x Tensor log-probabilities [N,C] or [N,C,H,W], as `F.log_softmax(x, 2)` gives them
---@param target Tensor as for `F.cross_entropy`
---@param options {weight: Tensor, ignore_index: integer, reduction: "mean"|"sum"|"none"}? weight: [C] per class, by
--- which the mean is weighted; reduction: default "mean"
---@return Tensor loss 0-d, or of the target's shape for "none"
function F.nll_loss(x, target, options)
    return class_loss("nll_loss", x, function() return x end, target, options or NO_OPTIONS)
end

--- Kullback-Leibler divergence of `target` from what `x` is the logarithm of: target (log target - x), 0 where the
--- target is 0 or missing (NaN).
---@param x Tensor log-probabilities
---@param target Tensor probabilities of the same shape; with log_target, their logarithms
---@param options {log_target: boolean, reduction: "mean"|"batchmean"|"sum"|"none"}? log_target: default false;
--- reduction: default "mean", which is over all elements; "batchmean" divides the sum by the size of dimension 1, and
--- is the divergence by its definition
---@return Tensor loss 0-d, or of x's shape for "none"
function F.kl_div(x, target, options)
    options = options or NO_OPTIONS
    check_pair("kl_div", x, target)
    local missing = target:isnan()
    local known = target:masked_fill(missing, 0)
    local loss
    if options.log_target then
        loss = known:exp() * (known - x)
    else
        local zero = known:le(0)
        loss = (known * (known:masked_fill(zero, 1):log() - x)):masked_fill(zero, 0)
    end
    loss = loss:masked_fill(missing, 0)
    if options.reduction ~= "batchmean" then return reduce(loss, options.reduction, target) end
    if x.ndim == 0 then check.fail("kl_div", 'input: reduction "batchmean" needs at least one dimension') end
    return loss:sum() / math.max(1, x.shape[1])
end

-- x - target, with 0 (and no gradient) where the target is NaN.
local function difference(x, target)
    local missing = target:isnan()
    return (x - target:masked_fill(missing, 0)):masked_fill(missing, 0)
end

local function regression(name, elementwise)
    return function(x, target, options)
        options = options or NO_OPTIONS
        check_pair(name, x, target)
        return reduce(elementwise(difference(x, target), options), options.reduction, target)
    end
end

--- Mean of (x - target)^2 over the targets that are not NaN.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options {reduction: string}? reduction: default "mean"
---@return Tensor loss 0-d, or of the shape of x for "none"
F.mse_loss = regression("mse_loss", function(d) return d * d end)

--- Mean of |x - target| over the targets that are not NaN.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options {reduction: string}? reduction: default "mean"
---@return Tensor loss 0-d, or of the shape of x for "none"
F.l1_loss = regression("l1_loss", function(d) return d:abs() end)

--- Quadratic below `beta` (default 1), linear above (Girshick 2015).
---@param x Tensor
---@param target Tensor of the shape of x
---@param options {beta: number, reduction: string}? reduction: default "mean"; beta: default 1
---@return Tensor loss 0-d, or of the shape of x for "none"
F.smooth_l1_loss = regression("smooth_l1_loss", function(d, options)
    local beta, size = options.beta or 1, d:abs()
    if beta == 0 then return size end
    local near = size:clamp(0, beta)
    return near * (size - near * 0.5) / beta
end)

--- Half the square below `delta` (default 1), linear above (Huber 1964): `delta` times `smooth_l1_loss`.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options {delta: number, reduction: string}? reduction: default "mean"; delta: default 1
---@return Tensor loss 0-d, or of the shape of x for "none"
F.huber_loss = regression("huber_loss", function(d, options)
    local size = d:abs()
    local near = size:clamp(0, options.delta or 1)
    return near * (size - near * 0.5)
end)

--- Sigmoid focal loss (Lin et al. 2017). Elements whose target is NaN count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0, 1 or NaN
---@param options {alpha: number, gamma: number, reduction: "mean"|"sum"|"none"}? alpha: default 0.25; negative for no
--- balancing; gamma: default 2; reduction: default "mean"
---@return Tensor loss 0-d, or of x's shape for "none"
function F.focal_loss(x, target, options)
    local name = "focal_loss"
    options = options or NO_OPTIONS
    check_pair(name, x, target)
    check_constant(name, "target", target)
    local alpha, gamma = options.alpha or 0.25, options.gamma or 2
    local t = target:masked_fill(target:isnan(), 0)
    local loss = ops.bce_with_logits(x, target)
    if gamma ~= 0 then -- 1 - p_t, written so that it stays exact for confident predictions
        local missed = x:sigmoid() * (1 - t) + (-x):sigmoid() * t
        loss = loss * (gamma == 1 and missed or gamma == 2 and missed:square() or missed ^ gamma)
    end
    if alpha >= 0 then loss = loss * (t * (2 * alpha - 1) + (1 - alpha)) end
    return reduce(loss, options.reduction, target)
end

-- ---- two views of an image ------------------------------------------------------------------------------------

-- Below all similarities, and finite, so that it meets no 0 that makes a NaN of it.
local NOT_AT_ALL <const> = -1e30

-- Rows of length 1.
local function unit(rows) return rows * (rows * rows):sum({2}, true):clamp(1e-16, math.huge):rsqrt() end

--- Normalised temperature-scaled cross-entropy of pairs (NT-Xent, Chen et al. 2020, "A simple framework for contrastive
--- learning of visual representations", equation 1): each of the 2N rows should be nearer to its partner, by the cosine
--- of the angle between them, than to the 2N - 2 others.
---@param x Tensor [N,D] what the network makes of one view of each image
---@param target Tensor [N,D] and of another view of the same images, in the same order
---@param options {temperature: number, reduction: "mean"|"sum"|"none"}? temperature: what cosines are divided by,
--- default 0.5; reduction: default "mean"
---@return Tensor loss 0-d, or [2N] for "none": those of x, then those of target
function F.nt_xent_loss(x, target, options)
    local name = "nt_xent_loss"
    options = options or NO_OPTIONS
    check.float(name, "input", x, {"N", "D"})
    check.float(name, "target", target)
    check.same_shape(name, "input", x, "target", target)
    local n, device = x.shape[1], x.device
    if n == 0 then check.fail(name, "input: expected at least one pair, got %s", args.describe(x)) end
    local rows = lx.cat({x, target}, 1)
    rows = unit(rows)
    local number = lx.arange(1, 2 * n + 1, {device = device})
    local partner = lx.cat({lx.arange(n + 1, 2 * n + 1, {device = device}), lx.arange(1, n + 1, {device = device})}, 1)
    local same = number:view(2 * n, 1):eq(number:view(1, 2 * n))
    local paired = partner:view(2 * n, 1):eq(number:view(1, 2 * n)):float()
    local cosines = rows:matmul(rows:t()) / (options.temperature or 0.5)
    local log_p = ops.along(ops.log_softmax, cosines:masked_fill(same, NOT_AT_ALL), 2)
    local loss = -(log_p * paired):sum(2)
    if options.reduction == "none" then return loss end
    return options.reduction == "sum" and loss:sum() or loss:mean()
end

--- Contrastive loss of pairs of two kinds, such as films and their reports: each row of x should be nearer to its
--- partner among the rows of target, by the cosine of the angle between them, than to the others, and the other way
--- round. With `weight` 0.75 and `temperature` 0.1 it is that of ConVIRT (Zhang et al. 2020, "Contrastive learning of
--- medical visual representations from paired images and text", equations 2 to 4), with 0.5 and a temperature that is
--- learnt that of CLIP (Radford et al. 2021, "Learning transferable visual models from natural language supervision").
--- Other rows count as wrong partners, also where they say the same.
---@param x Tensor [N,D] what one network makes of the ones
---@param target Tensor [N,D] and what another one makes of their partners, in the same order
---@param options {temperature: number|Tensor, weight: number, reduction: "mean"|"sum"|"none"}? temperature: what
--- cosines are divided by, default 0.1; a tensor of one number, positive, gets a gradient; weight: of finding target
--- for x, from 0 to 1, default 0.5, the rest being that of finding x for target; reduction: default "mean"
---@return Tensor loss 0-d, or [N] for "none"
function F.clip_loss(x, target, options)
    local name = "clip_loss"
    options = options or NO_OPTIONS
    check.float(name, "input", x, {"N", "D"})
    check.float(name, "target", target)
    check.same_shape(name, "input", x, "target", target)
    local n, temperature, weight = x.shape[1], options.temperature or 0.1, options.weight or 0.5
    if n == 0 then check.fail(name, "input: expected at least one pair, got %s", args.describe(x)) end
    if core.is_tensor(temperature) and (temperature.dtype ~= "float32" or temperature:numel() ~= 1) then
        check.fail(name, "option 'temperature': expected one number, got %s", args.describe(temperature))
    end
    local cosines = unit(x):matmul(unit(target):t()) / temperature
    local number = lx.arange(1, n + 1, {device = x.device})
    local paired = number:view(n, 1):eq(number:view(1, n)):float()
    local there = (ops.along(ops.log_softmax, cosines, 2) * paired):sum(2)
    local back = (ops.along(ops.log_softmax, cosines, 1) * paired):sum(1)
    local loss = -(there * weight + back * (1 - weight))
    if options.reduction == "none" then return loss end
    return options.reduction == "sum" and loss:sum() or loss:mean()
end

-- ---- overlaps of masks ----------------------------------------------------------------------------------------

-- Sums over the pixels of [N,C,...] of each image and channel, [N,C]: of p t, p and t (or their squares), and 1 where
-- some pixel of these has a label. Pixels without one count for nothing.
local function overlaps(name, x, target, squares)
    check_pair(name, x, target)
    if x.ndim < 3 then check.fail(name, "input: expected float32 [N,C,...] with pixels, got %s", args.describe(x)) end
    local missing = target:isnan()
    local t = target:masked_fill(missing, 0):flatten(3)
    local p = x:sigmoid():masked_fill(missing, 0):flatten(3)
    local present = target:flatten(3):eq(target:flatten(3)):sum(3):gt(0):float()
    local ps, ts = p, t
    if squares then ps, ts = p * p, t * t end
    return (p * t):sum(3), ps:sum(3), ts:sum(3), present
end

local function reduce_overlaps(loss, present, reduction)
    return reduce(loss * present, reduction, function() return present:sum() end)
end

--- Dice loss of masks (Milletari et al. 2016): 1 - (2 sum(p t) + smooth) / (sum(p^2) + sum(t^2) + smooth) for each
--- image and channel, with p = sigmoid(x). Pixels whose target is NaN count for nothing.
---@param x Tensor logits [N,C,...] with at least one dimension of pixels
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options {smooth: number, squared: boolean, reduction: "mean"|"sum"|"none"}? smooth: keeps empty masks from 0
--- / 0, default 1; squared: default true; without it p and t themselves are summed, the common definition besides
--- the paper's; reduction: default "mean"
---@return Tensor loss 0-d, or [N,C] for "none"; the mean is over the images and channels that have any label
function F.dice_loss(x, target, options)
    options = options or NO_OPTIONS
    local smooth = options.smooth or 1
    local both, p, t, present = overlaps("dice_loss", x, target, options.squared ~= false)
    return reduce_overlaps(1 - (both * 2 + smooth) / (p + t + smooth), present, options.reduction)
end

--- Tversky loss of masks (Salehi et al. 2017): 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth) for each image
--- and channel, with TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t) and p = sigmoid(x). A beta above alpha
--- weighs what is missed more than false alarms; 0.5 for both is the Dice loss without squares.
---@param x Tensor logits [N,C,...] with at least one dimension of pixels
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options {alpha: number, beta: number, smooth: number, reduction: "mean"|"sum"|"none"}? alpha: default 0.3;
--- beta: default 0.7; smooth: default 1; reduction: default "mean"
---@return Tensor loss 0-d, or [N,C] for "none"; the mean is over the images and channels that have any label
function F.tversky_loss(x, target, options)
    options = options or NO_OPTIONS
    local alpha, beta, smooth = options.alpha or 0.3, options.beta or 0.7, options.smooth or 1
    local both, p, t, present = overlaps("tversky_loss", x, target, false)
    local whole = both + (p - both) * alpha + (t - both) * beta
    return reduce_overlaps(1 - (both + smooth) / (whole + smooth), present, options.reduction)
end

-- ---- detection ------------------------------------------------------------------------------------------------

local REGION_FLAGS <const> = {rescore = true, bias_match = true, by_size = true}
local WARMING <const> = 12800 -- images

-- Anchors as a flat list, checked.
local function flat_anchors(name, anchors)
    local flat = {}
    if #anchors == 0 or #anchors > 64 then
        args.fail("%s: options: option 'anchors': expected 1 to 64 of them, got %d", name, #anchors)
    end
    for i, anchor in ipairs(anchors) do
        for side = 1, 2 do
            local length = anchor[side]
            if type(length) ~= "number" or not (length > 0 and length < math.huge) or #anchor ~= 2 then
                args.fail("%s: options: option 'anchors': expected pairs {width, height} above 0, got another at "
                    .. "place %d", name, i)
            end
            flat[#flat + 1] = length
        end
    end
    return flat
end

-- What the loss is the sum of.
local REGION_PARTS <const> = {"coordinates", "with_object", "without_object", "classes"}

-- The images whose objects are known: others are NaN all over.
local function known_images(truth)
    local known = {}
    local sums = core.to_table(truth:isnan():float():sum({2, 3}))
    local numbers = truth.shape[2] * 5
    for i, count in ipairs(sums) do
        if count < numbers then known[#known + 1] = i end
    end
    return known
end

-- The loss of one map of a detector with so many anchors of its own; `anchors(height, width)`: all of them as a flat
-- list, in cells.
local function loss_of_map(name, x, truth, options, settings, count, anchors)
    check.float(name, "input", x, {"N", "C", "H", "W"})
    local n, channels, height, width = table.unpack(x.shape)
    check.float(name, "truth", truth, {n, "T", 5})
    anchors = anchors(height, width)
    local classes = channels / count - 5
    if classes < 1 or classes % 1 ~= 0 or n * height * width == 0 then
        check.fail(name, "input: expected [N,C,H,W] with C of %d anchors times 5 + classes numbers, got %s", count,
            args.describe(x))
    end
    events.cannot_replay(("computes a %s, which the host does; compile the network alone"):format(
        name == "yolo_loss" and "yolo loss" or "region loss"))
    if truth.shape[2] == 0 then truth = lx.zeros(n, 1, 5) end
    truth = core.contiguous(truth:detach():to("cpu"))
    local known = known_images(truth)
    if #known == 0 then return (x * 0):sum(), {objects = 0, cost = 0, any = 0, coordinates = 0, with_object = 0,
        without_object = 0, classes = 0} end
    if #known < n then
        local places = lx.tensor(known, {dtype = "int32"})
        truth, x, n = truth:index_select(1, places), x:index_select(1, places:to(x.device)), #known
    end
    settings.thresh = settings.thresh or options.thresh
    for _, key in ipairs {"object_scale", "noobject_scale", "class_scale", "coord_scale"} do
        settings[key] = options[key] or settings[key]
    end
    local share = options.reduction == "sum" and 1 or 1 / n
    local differences, sums = core.region(core.contiguous(x:detach():to("cpu")), truth, anchors, settings, settings.own)
    local gradient = core.to_device(core.binary("mul", differences, -share), x.device)
    local figures, objects = {cost = sums.cost, objects = math.tointeger(sums.objects)}, sums.objects
    local loss = 0.0
    for _, part in ipairs(REGION_PARTS) do
        figures[part] = sums[part] * share
        loss = loss + figures[part]
    end
    figures.any = sums.any / (n * height * width * count)
    if objects > 0 then
        for _, key in ipairs {"iou", "class", "objectness", "recall"} do figures[key] = sums[key] / objects end
    end
    return ops.with_gradient(x, loss, gradient), figures
end

--- The loss of YOLO v2 (Redmon and Farhadi 2017) over the map of a region layer: squared differences of sigmoid(x),
--- sigmoid(y), the logarithms of width and height, and objectness; cross-entropy of classes. Each object is up to the
--- anchor of its cell whose shape is the most like its own, the last object where two want the same; objectness of the
--- other anchors is to be 0, but not of those whose box overlaps an object by more than `thresh`.
---
--- Beyond the paper, as in darknet: the scales; `rescore`, by which the objectness of an object's anchor is to be the
--- overlap of its box with the object, not 1; `bias_match`, by which anchors are compared by their own shapes, not by
--- those of the boxes that they give; `by_size`, by which coordinates of small objects weigh more, 2 - w h; and while
--- fewer than 12800 images were seen, coordinates of all anchors are drawn to the cells' centres and the anchors'
--- shapes, with the scale 0.01. Targets that hang on the map itself have no gradient. Computed by the cpu for every
--- device.
---@param x Tensor [N,anchors (5 + classes),H,W] before activations
---@param truth Tensor [N,T,5] objects {x, y, w, h, class} each: centre and size as fractions of the image, class from
--- 1; 0 where an image has fewer than T
---@param options {anchors: number[][], object_scale: number, noobject_scale: number, class_scale: number,
--- coord_scale: number, thresh: number, rescore: boolean, bias_match: boolean, by_size: boolean, seen: integer,
--- reduction: "mean"|"sum"} anchors: {width, height} each, in cells; object_scale: default 5, the other scales: default
--- 1; thresh: default 0.6; rescore, bias_match, by_size: default true; seen: how many images were seen before and with
--- these, default 12800; reduction: over images, default "mean"
---@return Tensor loss 0-d
---@return {coordinates: number, with_object: number, without_object: number, classes: number, cost: number,
--- iou: number?, class: number?, objectness: number?, recall: number?, any: number, objects: integer} figures
--- coordinates, with_object, without_object, classes: the parts of the loss, of which it is the sum; cost: the sum of
--- the squared differences through the sigmoid; of objects, nil without any, the means of iou, probability of the right
--- class, objectness, and the share with an iou above 0.5; any: mean objectness of all anchors
function F.region_loss(x, truth, options)
    local settings = {warming = (options.seen or WARMING) < WARMING, through_sigmoid = true}
    for key, default in pairs(REGION_FLAGS) do
        if options[key] == nil then settings[key] = default else settings[key] = options[key] end
    end
    return loss_of_map("region_loss", x, truth, options, settings, #options.anchors, function()
        return flat_anchors("region_loss", options.anchors)
    end)
end

--- The loss of YOLO v3 (Redmon and Farhadi 2018) over one of the maps of a network: an object is up to the anchor whose
--- shape is the most like its own, of all maps, in the cell of its centre; if that anchor is another map's, there is
--- nothing to do for it here. Cross-entropy of the sigmoids of x, y, objectness and each class, and squared differences
--- of the logarithms of width and height; coordinates times 2 - w h. Objectness of the other anchors is to be 0, but
--- not of those whose box overlaps an object by more than `ignore`. An anchor that two objects want has the place of
--- the last one, and both classes. The loss of a network is the sum over its maps. Of x and y, whose targets are no
--- whole numbers, the cross-entropy is above 0 also where all is right. Computed by the cpu for every device.
---@param x Tensor [N,own (5 + classes),H,W] before activations
---@param truth Tensor [N,T,5] as of `region_loss`
---@param options {anchors: number[][], own: integer[], size: {[1]: integer, [2]: integer}|integer, ignore: number,
--- object_scale: number, noobject_scale: number, class_scale: number, coord_scale: number, by_size: boolean, reduction:
--- "mean"|"sum"} anchors: {width, height} each in pixels of the network's images, those of all maps; own: the numbers
--- from 1 of those of this map; size: of these images, {height, width} or both as one; ignore: default 0.7; the scales:
--- default 1; by_size: coordinates times 2 - w h, default true; reduction: over images, default "mean"
---@return Tensor loss 0-d
---@return {coordinates: number, with_object: number, without_object: number, classes: number, cost: number,
--- iou: number?, class: number?, objectness: number?, recall: number?, any: number, objects: integer} figures as of
--- `region_loss`; objects: those that are up to this map
function F.yolo_loss(x, truth, options)
    local settings = {
        thresh = options.ignore or 0.7, by_size = options.by_size ~= false, own = options.own, object_scale = 1,
    }
    local seen, count = {}, #options.anchors
    for i, place in ipairs(options.own) do
        if place > count or seen[place] then
            args.fail("yolo_loss: options: option 'own': expected different numbers of the %d anchors, got %d at place "
                .. "%d", count, place, i)
        end
        seen[place] = true
    end
    if #options.own == 0 then args.fail("yolo_loss: options: option 'own': there are none") end
    return loss_of_map("yolo_loss", x, truth, options, settings, #options.own, function(height, width)
        local flat, size = flat_anchors("yolo_loss", options.anchors), options.size
        local down, across = size, size
        if type(size) == "table" then down, across = size[1], size[2] end
        for i = 1, #flat, 2 do
            flat[i], flat[i + 1] = flat[i] * width / across, flat[i + 1] * height / down
        end
        return flat
    end)
end

-- ---- declarations ---------------------------------------------------------------------------------------------

local REDUCTION <const> = 'reduction: "mean"|"sum"|"none"?'

-- The options of each loss, for the module of that name too.
local OPTIONS <const> = {
    binary_cross_entropy_with_logits = "pos_weight: finite(0..)|tensor?",
    cross_entropy = "weight: tensor?, label_smoothing: number(0..1)?, ignore_index: integer?",
    nll_loss = "weight: tensor?, ignore_index: integer?",
    mse_loss = "", l1_loss = "", smooth_l1_loss = "beta: finite(0..)?", huber_loss = "delta: positive?",
    focal_loss = "alpha: number(..1)?, gamma: finite(0..)?",
    dice_loss = "smooth: finite(0..)?, squared: boolean?",
    nt_xent_loss = "temperature: number(1e-4..1e4)?",
    clip_loss = "temperature: number(1e-4..1e4)|tensor?, weight: finite(0..1)?",
    tversky_loss = "alpha: finite(0..)?, beta: finite(0..)?, smooth: finite(0..)?",
}

local signatures = {
    kl_div = 'x: tensor, target: tensor, options: {log_target: boolean?, '
        .. 'reduction: "mean"|"batchmean"|"sum"|"none"?}?',
}
signatures.region_loss = "x: tensor, truth: tensor, options: {anchors: table[], object_scale: finite(0..)?, "
    .. "noobject_scale: finite(0..)?, class_scale: finite(0..)?, coord_scale: finite(0..)?, thresh: number(0..1)?, "
    .. 'rescore: boolean?, bias_match: boolean?, by_size: boolean?, seen: integer(0..)?, reduction: "mean"|"sum"?}'
signatures.yolo_loss = "x: tensor, truth: tensor, options: {anchors: table[], own: integer(1..)[], "
    .. "size: pair(1..65536), ignore: number(0..1)?, object_scale: finite(0..)?, noobject_scale: finite(0..)?, "
    .. 'class_scale: finite(0..)?, coord_scale: finite(0..)?, by_size: boolean?, reduction: "mean"|"sum"?}'
for name, own in pairs(OPTIONS) do
    if own ~= "" then own = own .. ", " end
    signatures[name] = ("x: tensor, target: tensor, options: {%s%s}?"):format(own, REDUCTION)
end

return args.publish("", F, signatures)
