--- Tasks: what a network has to give, how its loss is found, and what its figures on validation images are.
--
-- - binary: which of two classes. One logit an image; the probability of the second class is its sigmoid.
-- - classes: which of several classes. A logit a class; the probabilities are their softmax.
-- - labels: which of several labels, that do not exclude each other. A logit a label; each has its own sigmoid.
-- - segmentation: which pixels. A map of logits of the size of the image; the probability of a pixel is the sigmoid.
-- - detection: where which objects are. A map of numbers that a region layer reads; boxes have scores.

local args = require "luxel.args"
local calibration = require "luxel.calibration"
local core = require "luxel.core"
local detection = require "luxel.train.detection"
local F = require "luxel.nn.functional"
local methods = require "luxel.calibration.methods"
local metrics = require "luxel.metrics"

local task = {}

---@class luxel.Task
---@field figures string[] what `judge` finds besides loss, threshold and calibration; the first is what the best epoch
---  has the largest of unless told otherwise
---@field network "classifier"|"segmentation"|"detector" which of lx.models.names it takes
---@field outputs fun(classes: string[]): integer how many logits (or maps of them) an image has
---@field maps boolean? whether they are maps, each as large as the image
---@field boxes boolean? whether they are maps that boxes are read from
---@field parts string[]? of the loss, which the log has too
---@field loss (fun(logits: Tensor, targets: Tensor): Tensor)? unless another one is given
---@field loss_of (fun(net: Module, settings: table?): fun(out: Tensor, targets: Tensor): Tensor, table)? where it hangs
---  on the network; its second result has the parts
---@field fit (fun(rows: any[], labels: any[], method: string): any)? the calibration of logits by the labels of
---  validation images, or false
---@field probabilities fun(row: any, fitted: any): any of a calibrated logit, or row of logits
---@field judge fun(probabilities: any[], labels: any[], choice: luxel.Choice, on: table?): table the figures (nil: not
---  defined), threshold (nil: none), and how it was chosen; of maps from {dice, iou} of each image that has a mask; on:
---  {probabilities, labels} of other images, which the thresholds of two classes and of labels are chosen on

local function mean(values)
    if #values == 0 then return nil end
    local sum = 0
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values
end

local function column(rows, k)
    local out = {}
    for i, row in ipairs(rows) do out[i] = row[k] end
    return out
end

local function sigmoid_of(row, fitted) return methods.probability(fitted, row) end

local binary = {
    figures = {"auc", "accuracy"}, network = "classifier",
    outputs = function() return 1 end,
    loss = F.binary_cross_entropy_with_logits,
    fit = function(rows, labels, method) return calibration.fit(rows, labels, {method = method}) or false end,
    probabilities = sigmoid_of,
}

function binary.judge(probabilities, labels, choice, on)
    on = on or {probabilities = probabilities, labels = labels}
    local threshold = choice.threshold(on.probabilities, on.labels)
    return {
        accuracy = metrics.accuracy(probabilities, labels, threshold or 0.5), auc = metrics.auc(probabilities, labels),
        threshold = threshold or 0.5, chosen = threshold and choice.words or "none",
    }
end

local classes = {
    figures = {"auc", "accuracy"}, network = "classifier",
    outputs = function(names) return #names end,
    loss = F.cross_entropy,
    fit = function(rows, labels) return calibration.fit_temperature(rows, labels) or false end,
    probabilities = function(row, fitted) return calibration.softmax(row, fitted and fitted.temperature or 1) end,
}

function classes.judge(probabilities, labels)
    local right, areas, known = 0, {}, 0
    for i, row in ipairs(probabilities) do
        local best = 1
        for k, p in ipairs(row) do
            if p > row[best] then best = k end
        end
        if labels[i] == labels[i] then
            known = known + 1
            right = right + (best == labels[i] + 1 and 1 or 0)
        end
    end
    for k = 1, #probabilities[1] do
        local truth = {}
        for i, label in ipairs(labels) do truth[i] = label ~= label and label or label == k - 1 and 1 or 0 end
        areas[#areas + 1] = metrics.auc(column(probabilities, k), truth)
    end
    return {
        accuracy = known > 0 and right / known or nil, auc = mean(areas), chosen = "the largest probability",
    }
end

local labels_task = {
    figures = {"auc", "accuracy"}, network = "classifier",
    outputs = function(names) return #names end,
    loss = F.binary_cross_entropy_with_logits,
}

function labels_task.fit(rows, labels, method)
    local fitted, any = {}, false
    for k = 1, #rows[1] do
        fitted[k] = calibration.fit(column(rows, k), column(labels, k), {method = method}) or false
        any = any or fitted[k] ~= false
    end
    return any and fitted
end

function labels_task.probabilities(row, fitted)
    local out = {}
    for k, logit in ipairs(row) do out[k] = methods.probability(fitted and fitted[k], logit) end
    return out
end

function labels_task.judge(probabilities, labels, choice, on)
    local accuracies, areas, thresholds = {}, {}, {}
    for k = 1, #probabilities[1] do
        local scores, truth = column(probabilities, k), column(labels, k)
        thresholds[k] = choice.threshold(on and column(on.probabilities, k) or scores, on and column(on.labels, k)
            or truth) or 0.5
        accuracies[#accuracies + 1] = metrics.accuracy(scores, truth, thresholds[k])
        areas[#areas + 1] = metrics.auc(scores, truth)
    end
    return {
        accuracy = mean(accuracies), auc = mean(areas), threshold = thresholds,
        chosen = choice.words .. " of each label",
    }
end

-- What is inside, and what is outside, weigh the same in the second term however few the pixels are.
local segmentation = {
    figures = {"dice", "iou"}, network = "segmentation", maps = true,
    outputs = function(names) return #names end,
    loss = function(logits, targets)
        return F.binary_cross_entropy_with_logits(logits, targets) + F.dice_loss(logits, targets)
    end,
    probabilities = function(map) return map:sigmoid() end,
}

-- A pixel is inside where that is likelier than not.
local THRESHOLD <const> = 0.5

--- How well a map agrees with the mask of its image.
---@param probabilities Tensor
---@param mask Tensor of the same shape, 0 outside
---@param threshold number? of what is inside, default 0.5
---@return {dice: number, iou: number}
function task.compare(probabilities, mask, threshold)
    local found = probabilities:ge(threshold or THRESHOLD)
    return {dice = metrics.dice(found, mask), iou = metrics.iou(found, mask)}
end

function segmentation.judge(compared)
    local dice, iou = column(compared, "dice"), column(compared, "iou")
    return {dice = mean(dice), iou = mean(iou), threshold = THRESHOLD, chosen = "fixed"}
end

local detection_task = {
    figures = {"ap50", "froc"}, network = "detector", boxes = true, parts = detection.PARTS,
    outputs = function(names) return #names end,
    loss_of = detection.loss_of,
}

-- Average precision at an overlap of one half, the mean sensitivity at 1/8 to 8 false marks an image, and the
-- threshold.
function detection_task.judge(found, dataset, choice)
    local truth, detections, images = detection.entries(dataset, found)
    local marks = detection.marks(truth, detections, images)
    local threshold = choice.threshold(marks)
    return {
        ap50 = metrics.detection_ap(truth, detections, {images = images}), froc = metrics.froc_sensitivity(marks),
        threshold = threshold or 0.5, chosen = threshold and choice.words or "none",
    }
end

---@type table<string, luxel.Task>
task.kinds = {
    binary = binary, classes = classes, labels = labels_task, segmentation = segmentation, detection = detection_task,
}

--- The names of the tasks, in order, as a type of declarations.
task.TYPE = '"binary"|"classes"|"labels"|"segmentation"|"detection"'

-- The maps of a batch, each by itself; of a detector of several maps a list of them for each image.
local function maps_of(name, out, count)
    if not core.is_tensor(out) then
        local rows = {}
        for i = 1, count do rows[i] = {} end
        for k, map in ipairs(out) do
            for i, own in ipairs(maps_of(name, map, count)) do rows[i][k] = own end
        end
        return rows
    end
    local shape, maps = out.shape, {}
    if #shape ~= 4 or shape[1] ~= count then
        args.fail("%s: net: expected maps of logits [%d,C,H,W] of %d images, got [%s]", name, count, count,
            table.concat(shape, ","))
    end
    for i = 1, count do maps[i] = out:select(1, i):clone() end
    return maps
end

--- The outputs of a network for a batch: numbers, one for each image or a row of them, or a map [K,H,W] for each.
---@param name string of the public function
---@param kind string the task
---@param out Tensor|Tensor[] [B,1] (or [B]) or [B,K]; of maps [B,K,H,W], of a detector perhaps several
---@return any[]
function task.rows(name, kind, out, count)
    if task.kinds[kind].maps or task.kinds[kind].boxes then return maps_of(name, out, count) end
    local shape = out.shape
    if shape[1] ~= count or #shape > 2 then
        args.fail("%s: net: expected logits [%d,K] of %d images, got [%s]", name, count, count, table.concat(shape,
            ","))
    end
    if kind == "labels" then return core.to_table(core.view(out:contiguous(), {count, shape[2] or 1})) end
    if #shape == 1 or shape[2] == 1 then return core.to_table(out:flatten()) end
    return core.to_table(out)
end

--- Complains where a network does not give as many logits as a dataset wants.
---@param name string of the public function
---@param dataset luxel.Dataset
---@param out Tensor|Tensor[] what the network gives
---@param images integer[] the shape of what it was given
function task.check_outputs(name, dataset, out, images)
    local kind = task.kinds[dataset.task]
    local wanted = kind.outputs(dataset.classes)
    if kind.boxes then
        for _, map in ipairs(detection.maps(out)) do
            local shape = map.shape
            if #shape ~= 4 or shape[2] % (5 + wanted) ~= 0 then
                args.fail("%s: net: objects of %d classes (%s) want a map [%d,anchors %d,H,W] from the network, which "
                    .. "gives [%s]", name, wanted, table.concat(dataset.classes, ", "), images[1], 5 + wanted,
                    table.concat(shape, ","))
            end
        end
        return
    end
    local shape = out.shape
    if kind.maps then
        if #shape ~= 4 or shape[2] ~= wanted or shape[3] ~= images[3] or shape[4] ~= images[4] then
            args.fail("%s: net: masks of [%s] want as many logits from the network, which gives [%s]", name,
                table.concat({images[1], wanted, images[3], images[4]}, ","), table.concat(shape, ","))
        end
        return
    end
    local given = #shape == 1 and 1 or shape[2]
    if given ~= wanted then
        args.fail("%s: net: it gives %d %s for each image, and %s", name, given, given == 1 and "logit" or "logits",
            dataset.task == "binary" and ("two classes (%s) want one; make the dataset with task = 'classes' for "
                .. "a softmax of "
                .. "two"):format(table.concat(dataset.classes, ", "))
            or ("%d %s want %d"):format(#dataset.classes, dataset.task, wanted))
    end
end

return task
