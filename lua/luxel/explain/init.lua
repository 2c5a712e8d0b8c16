--- What in an image a classifier's answer comes from: maps of the image's size, for any network of `lx.nn` that gives
--- logits, or for a model's file.
--
--     local predictor = assert(lx.predictor.open("runs/first/best.safetensors"))
--     local map = assert(lx.explain.grad_cam(predictor, "film.dcm"))     -- float32 [1,S,S]
--     local picture = lx.explain.overlay(assert(lx.vision.load("film.dcm", {bits = 8})), map)
--
-- What is explained is a logit before any calibration, of `class`. The network computes as in use, whatever mode it is
-- in; its mode, weights and gradients stay what they are. Maps are on the cpu, and the same on every device but for
-- rounding. A map says what the network looked at, not what is there: docs/explain.md measures how often that agrees.

local args = require "luxel.args"
local batch_size = require "luxel.batch_size"
local core = require "luxel.core"
local judge = require "luxel.explain.judge"
local lx = require "luxel"
local methods = require "luxel.explain.methods"
local namespace = require "luxel.namespace"
local overlay = require "luxel.explain.overlay"
local similarity = require "luxel.explain.similarity"
local Subject = require "luxel.explain.subject"
require "luxel.predictor" -- the type of arguments

local explain = {
    centre = judge.centre, energy_inside = judge.energy_inside, pointing_game = judge.pointing_game,
    rank_correlation = judge.rank_correlation, overlay = overlay, similarity = similarity,
}

--- The methods by their names here.
explain.METHODS = {
    "layer_cam", "grad_cam", "grad_cam_plus_plus", "score_cam", "occlusion", "integrated_gradients", "smooth_grad",
}

local OF_LAYERS <const> = {grad_cam = true, grad_cam_plus_plus = true, layer_cam = true, score_cam = true}

-- ---- models -----------------------------------------------------------------------------------------------------

local function is_predictor(model) return args.mistake_in("", "predictor", model) == nil end

-- The number of a class as networks have it: of two classes with one logit the positive one is 1, the other one 0.
local function number_of(caller, model, class)
    if type(class) ~= "string" then return class end
    local names = model.classes
    for k, name in ipairs(names or {}) do
        if name == class then return model.task == "binary" and (name == model.positive and 1 or 0) or k end
    end
    args.fail("%s: options: option 'class': %s", caller, names and ("there is none called '%s'; there are %s"):format(
        class, table.concat(names, ", ")) or "a network has numbers of classes, not names; the model's file has those")
end

-- The maps of one network.
local function maps_of(caller, name, net, x, opts)
    return Subject.with(caller, net, function(subject)
        x = x:detach():to(subject.device)
        local count, parts = x.shape[1], {}
        if type(opts.class) == "table" and #opts.class ~= count then
            subject:fail("options: option 'class': expected one for each of the %d images, got %d", count, #opts.class)
        end
        opts.batch = opts.batch or batch_size(subject.device, math.max(x.shape[3], x.shape[4]))
        local layer = OF_LAYERS[name] and subject:find_layer(x, opts.layer)
        for first = 1, count, opts.batch do
            local some = x:narrow(1, first, math.min(opts.batch, count - first + 1))
            local chosen = subject:choose(some, opts.class, first)
            parts[#parts + 1] = methods[name](subject, some, chosen, opts, layer):to("cpu")
        end
        local maps = lx.cat(parts, 1)
        if (maps * 0):sum():item() ~= 0 then subject:fail("images: the map has numbers that are not finite") end
        return maps
    end)
end

-- Maps brought to a largest absolute value of 1 each; those that are 0 everywhere stay.
local function scaled(maps)
    local most = maps:abs():flatten(2):max(2):reshape(maps.shape[1], 1, 1)
    return maps / (most + most:eq(0):float())
end

-- What a network gets: tensors as they are, files and pictures as their model sees them; of which part of the picture
-- that is, nil for all of it.
local function input_of(model, images)
    if lx.is_tensor(images) and images.dtype == "float32" then return images end
    return model:input(images)
end

-- Maps of a part of a picture as maps of all of it, 0 elsewhere.
local function on_the_whole(maps, region)
    if not region then return maps end
    local count, height, width = table.unpack(maps.shape)
    local down, across = height / region.h, width / region.w
    local function pixels(length, scale) return math.floor(length * scale + 0.5) end
    local whole = lx.zeros(count, math.max(height, pixels(region.height, down)),
        math.max(width, pixels(region.width, across)))
    local top = math.min(pixels(region.y, down), whole.shape[2] - height)
    local left = math.min(pixels(region.x, across), whole.shape[3] - width)
    whole:narrow(2, top + 1, height):narrow(3, left + 1, width):copy_(maps)
    return whole
end

-- The map of several models: the mean of theirs, which are of different scales.
local function together(caller, name, model, images, opts)
    local sum, of
    for _, member in ipairs(model.members) do
        local x, region, code = input_of(member, images)
        if not x then return nil, region, code end
        of = region
        local maps = scaled(maps_of(caller, name, member.net, x, opts))
        sum = sum and sum + maps or maps
    end
    return on_the_whole(sum / #model.members, of)
end

local function check_task(caller, model)
    if model.task == "segmentation" or model.task == "detection" then
        args.fail("%s: model: it tells %s, and there is no class to explain", caller,
            model.task == "detection" and "boxes" or "pixels")
    end
end

local function check_images(caller, x)
    if x.ndim ~= 4 or x.dtype ~= "float32" or x:numel() == 0 then
        args.fail("%s: images: expected float32 [N,C,H,W] as the network gets them, got %s", caller, args.describe(x))
    end
end

-- What a method's public function does.
local function run(name, model, images, opts)
    local caller, is_file = "explain." .. name, is_predictor(model)
    if is_file then check_task(caller, model) end
    if not lx.is_tensor(images) and not is_file then
        args.fail("%s: images: a network takes float32 [N,C,H,W], and only a model of lx.predictor.open files; got %s",
            caller, args.describe(images))
    end
    opts.class = number_of(caller, model, opts.class)
    if lx.is_tensor(images) and not (is_file and images.dtype == "uint8") then check_images(caller, images) end
    if is_file and model.members then return together(caller, name, model, images, opts) end
    local x, region, code = input_of(model, images)
    if not x then return nil, region, code end
    return on_the_whole(maps_of(caller, name, is_file and model.net or model, x, opts), region)
end

-- Gradients that differ by less than this share of the largest are the same: rounding.
local SAME <const> = 1e-4

--- The method that the programs take where none is said, of those that need one pass of gradients: "layer_cam", or
--- "grad_cam" of a network whose head averages the map that is looked at. There a channel has the same gradient at
--- every place, and LayerCAM, which leaves out the negative ones, shows what is striking in the image whatever the last
--- layer says, while Grad-CAM is the class activation map of Zhou et al. 2016: docs/explain.md has what weights drawn
--- anew change of both.
---@param model luxel.Predictor a classifier; of several models the first is looked at
---@return "layer_cam"|"grad_cam"
function explain.usual(model)
    local one = model.members and model.members[1] or model
    check_task("explain.usual", one)
    return Subject.with("explain.usual", one.net, function(subject)
        local x = core.randn({1, one.metadata.input.channels, one.size, one.size}, 1, 1):to(subject.device)
        local _, gradients = subject:maps_and_gradients(x, subject:find_layer(x), subject:choose(x, nil, 1))
        local most = gradients:abs():max():item()
        local spread = (gradients - gradients:mean({3, 4}, true)):abs():max():item()
        return most > 0 and spread <= SAME * most and "grad_cam" or "layer_cam"
    end)
end

-- ---- methods ----------------------------------------------------------------------------------------------------

---@class luxel.ExplainOptions
---@field class integer|integer[]|string|nil what is explained: the number of a logit, from 1 (default: of each image
---  the largest); of a network with one logit 1 (what speaks for it, the default) or 0 (against it); a list says it for
---  each image. Of a model of `lx.predictor` also the name of a class; of two classes the positive one is the default
---@field batch integer? images that go through the network together
---@field layer string? pattern of names of modules, as of `Module:freeze`; of those that fit, the last one that gives a
---  map [N,K,h,w] is taken. By default the last map before the head and its pooling
---@field window integer? side of the window in pixels of the network's input; a tenth of the smaller side
---@field stride integer? from one window to the next; half a window. The last ones end at the edge
---@field baseline number? level of what stands for no information, in the network's input (where 0 is about the mean of
---  training); of each image its darkest level
---@field steps integer? of the integral
---@field samples integer? noisy copies
---@field noise number? deviation of the noise as a share of the range of each image
---@field seed integer? of the noise, which is the same for every image

--- Grad-CAM (Selvaraju et al. 2017): a layer's maps, weighted by the means of the logit's gradients and added up.
--- Where the map is large, the layer speaks for the class. As coarse as the layer, enlarged bilinearly.
---@param model Module|luxel.Predictor a network that gives logits [N,K], or a model
---@param images Tensor|string|{bytes: string, name: string?} float32 [N,C,H,W] as the network gets them; with a model
---  also the path or the bytes of a file, or a picture uint8 [1,H,W]
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function explain.grad_cam(model, images, options)
    return run("grad_cam", model, images, args.with_defaults(options, {}))
end

--- Grad-CAM++ (Chattopadhay et al. 2018): positions count by their share in the gradient, so that findings of
--- different sizes show alike. Made for maps that are not negative, as behind a ReLU.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function explain.grad_cam_plus_plus(model, images, options)
    return run("grad_cam_plus_plus", model, images, args.with_defaults(options, {}))
end

--- LayerCAM (Jiang et al. 2021): each position of a layer's maps is weighted by its own gradient, where that is
--- positive. Serves finer layers as well, whose gradients differ from place to place.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function explain.layer_cam(model, images, options)
    return run("layer_cam", model, images, args.with_defaults(options, {}))
end

--- Score-CAM (Wang et al. 2020): a layer's maps count by the logit of the image seen through each of them, by a
--- softmax, without gradients. As many forward passes as the layer has channels.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function explain.score_cam(model, images, options)
    return run("score_cam", model, images, args.with_defaults(options, {}))
end

--- Occlusion (Zeiler and Fergus 2014): by how much the logit falls where a window is covered; of a pixel the mean over
--- the windows that cover it. Positive where the picture speaks for the class. A forward pass for each window.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), signed, in units of the
---  logit
---@return string? message, string? code why nil: the file cannot be read
function explain.occlusion(model, images, options)
    return run("occlusion", model, images, args.with_defaults(options, {}))
end

--- Integrated gradients (Sundararajan et al. 2017): the mean gradient on the straight way from a baseline to the
--- image, times their difference, summed over channels. Complete: the sum over a map is the logit of the image less
--- that of the baseline, up to the error of the integral (midpoint rule).
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), signed, in units of the
---  logit
---@return string? message, string? code why nil: the file cannot be read
function explain.integrated_gradients(model, images, options)
    return run("integrated_gradients", model, images, args.with_defaults(options, {steps = 32}))
end

--- SmoothGrad (Smilkov et al. 2017): the gradient of the logit with regard to the image, the mean over noisy copies
--- of it, of which absolute values are summed over channels: how much a pixel matters, not in which direction.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name: string?} as of `grad_cam`
---@param options? luxel.ExplainOptions
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function explain.smooth_grad(model, images, options)
    local opts = args.with_defaults(options, {samples = 32, noise = 0.15, seed = 1})
    return run("smooth_grad", model, images, opts)
end

local MODEL <const> = "model: module|predictor, images: tensor|text|{bytes: string, name: text?}, options: {"
    .. "class: integer(0..)|integer(0..)[]|text?, batch: integer(1..65536)?, "

local OWN <const> = {
    occlusion = "window: integer(1..)?, stride: integer(1..)?, baseline: finite?",
    integrated_gradients = "steps: integer(1..100000)?, baseline: finite?",
    smooth_grad = "samples: integer(1..100000)?, noise: finite(0..)?, seed: integer?",
}

local signatures = {usual = "model: predictor"}
for _, name in ipairs(explain.METHODS) do signatures[name] = MODEL .. (OWN[name] or "layer: text?") .. "}?" end

return namespace("lx.explain", args.publish("explain.", explain, signatures))
