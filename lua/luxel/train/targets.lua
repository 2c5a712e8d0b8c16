--- What is made of the images and labels of a batch before the loss sees them: labels that are less than sure, and
--- images that are mixed with others of the batch, or put together of them.

local args = require "luxel.args"
local lx = require "luxel"
local mix = require "luxel.data.mix"
local random = require "luxel.random"

local targets = {}

--- Raises where the options do not fit the task.
---@param fit table
function targets.prepare(fit)
    for _, name in ipairs {"mosaic", "sizes"} do
        if fit[name] and fit.train.task ~= "detection" then
            args.fail("fit: options: option '%s': it is for boxes, and the task is '%s'; leave it out", name,
                fit.train.task)
        end
    end
    for _, name in ipairs {"label_smoothing", "mixup", "cutmix"} do
        local value = fit[name]
        if value and (fit.train.task == "segmentation" or fit.train.task == "detection") then
            args.fail("fit: options: option '%s': it is for labels, and these images have %s; leave it out", name,
                fit.train.task == "detection" and "boxes" or "masks")
        elseif value and name ~= "label_smoothing" and fit.probe then
            args.fail("fit: options: option '%s': the features of 'probe' are of images as they are; leave one out",
                name)
        end
    end
end

-- Class numbers from 1 as shares of each class; a missing one, NaN, as a row of NaN.
local function one_hot(y, classes)
    local column = y:unsqueeze(2)
    local shares = column:eq(lx.arange(1, classes + 1, {device = y.device}):view(1, classes)):float()
    return shares:masked_fill(column:isnan():byte():expand(y.shape[1], classes), 0 / 0)
end

-- The share 1 - smoothing of the truth, and the rest for all answers alike (Szegedy et al., CVPR 2016).
local function smoothed(y, smoothing, answers) return y * (1 - smoothing) + smoothing / answers end

-- Names what is drawn for a batch.
local function index_of(epoch, number) return epoch << 24 | number end

-- Which mixture of the two a batch gets, and the options of its draw.
local function mixture_of(fit, epoch, number)
    local index = index_of(epoch, number)
    local cut = fit.cutmix and (not fit.mixup or random.stream(fit.seed, index, 1):uniform(0, 1) < 0.5)
    return cut and mix.cutmix or mix.mixup, {alpha = cut and fit.cutmix or fit.mixup, seed = fit.seed, index = index}
end

--- The images and targets that the loss sees. Targets of the task "classes" become shares [B,K] where there is an
--- option for it. The images given are freed where others take their place.
---@param fit table
---@param x Tensor [B,C,H,W]
---@param y Tensor
---@param epoch integer
---@param number integer of the batch in its epoch, from 0: with seed and epoch it names what is drawn
---@return Tensor x, Tensor y
function targets.of(fit, x, y, epoch, number)
    if fit.mosaic then
        local images, objects = mix.mosaic(x, y, {share = fit.mosaic, seed = fit.seed, index = index_of(epoch, number)})
        x:free()
        return images, objects
    elseif not (fit.label_smoothing or fit.mixup or fit.cutmix) then
        return x, y
    end
    return lx.no_grad(function()
        local several = fit.task == "classes"
        if several then y = one_hot(y, #fit.train.classes) end
        if fit.label_smoothing then y = smoothed(y, fit.label_smoothing, several and #fit.train.classes or 2) end
        if not (fit.mixup or fit.cutmix) then return x, y end
        local mixed, options = mixture_of(fit, epoch, number)
        local images, shares = mixed(x, y, options)
        x:free()
        return images, shares
    end)
end

return targets
