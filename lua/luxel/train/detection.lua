--- What training and prediction share of detectors: from a network's map to boxes, and how good these are.

local args = require "luxel.args"
local boxes = require "luxel.vision.boxes"
local core = require "luxel.core"
local F = require "luxel.nn.functional"
local metrics = require "luxel.metrics"

local detection = {
    --- The score from which boxes are judged: lower ones change no figure that one can see.
    LEAST = 0.005,
    --- The overlap above which one box suppresses another.
    OVERLAP = 0.45,
    --- The parts of the loss, by their names in what `F.region_loss` returns.
    PARTS = {"coordinates", "with_object", "without_object", "classes"},
    --- False marks an image that the usual threshold allows on the validation images.
    FALSE_MARKS = 0.25,
}

local MOST <const> = 100 -- boxes of an image, as COCO's figures take them

--- Raises unless a network is a detector of one map.
---@param where string "function: argument"
---@param net Module
function detection.check_network(where, net)
    local anchors = type(net) == "table" and net.anchors
    if type(anchors) ~= "table" or #anchors == 0 then
        args.fail("%s: expected a network with anchors, whose map a region layer reads, such as lx.models.yolo_lite; "
            .. "got %s", where, args.describe(net))
    end
end

--- The usual loss of a detector.
---@param net Module
---@param settings table? options of `F.region_loss` besides anchors
---@return fun(out: Tensor, truth: Tensor): Tensor, table
function detection.loss_of(net, settings)
    local options = {anchors = net.anchors}
    for name, value in pairs(settings or {}) do options[name] = value end
    return function(out, truth) return F.region_loss(out, truth, options) end
end

---@class luxel.FoundBox a box that a model found, in pixels from the top left
---@field x number
---@field y number
---@field w number
---@field h number
---@field score number 0 to 1: that of an object times that of its class; it orders boxes, and is no probability that
---  anybody has measured
---@field class integer from 1
---@field label string? its name

--- The boxes of each image of a map, the best first: suppressed class by class, and cut off at the edges.
---@param map Tensor [N,anchors (5 + classes),H,W]
---@param anchors number[][]
---@param sizes {[1]: integer, [2]: integer}[] height and width of each image, in whose pixels boxes are wanted
---@param options {threshold: number?, classes: string[]?}? threshold: from which score on, default `LEAST`; classes:
---  their names
---@return luxel.FoundBox[][]
function detection.find(map, anchors, sizes, options)
    local least, names = options and options.threshold or detection.LEAST, options and options.classes
    local images = boxes.decode_region(map, {anchors = anchors, threshold = math.min(least, detection.LEAST)})
    for i, found in ipairs(images) do
        local places, scores = boxes.nms(found.boxes, found.scores, {iou = detection.OVERLAP, classes = found.classes})
        local corners = boxes.to_image(found.boxes, sizes[i][1], sizes[i][2]):totable()
        local kinds, list = found.classes:totable(), {}
        scores = scores:totable()
        for k, place in ipairs(places:totable()) do
            local b = corners[place]
            if #list < MOST and scores[k] >= least and b[3] > b[1] and b[4] > b[2] then
                list[#list + 1] = {
                    x = b[1], y = b[2], w = b[3] - b[1], h = b[4] - b[2], score = scores[k], class = kinds[place],
                    label = names and names[kinds[place]],
                }
            end
        end
        images[i] = list
    end
    return images
end

local function entry(image, class, box)
    return {image = image, class = class, box = {box.x, box.y, box.w, box.h}, score = box.score, crowd = box.crowd}
end

--- Truth and found boxes as `lx.metrics.coco`, `detection_ap` and `lesion_marks` want them, of the images of which the
--- truth is known.
---@param dataset luxel.Dataset
---@param found luxel.FoundBox[][] of each image
---@return table[] truth, table[] detections, integer[] images
function detection.entries(dataset, found)
    local truth, detections, images = {}, {}, {}
    for i, label in ipairs(core.to_table(dataset.labels)) do
        if label == label then
            images[#images + 1] = i
            for _, box in ipairs(dataset.boxes[i]) do truth[#truth + 1] = entry(i, dataset:class_of(i, box), box) end
            for _, box in ipairs(found[i]) do detections[#detections + 1] = entry(i, box.class, box) end
        end
    end
    return truth, detections, images
end

--- Marks of images, of boxes that are no crowd.
---@param truth table[]
---@param detections table[]
---@param images any[]
---@param patients table<any, any>? of each image
---@return table[] as of `lx.metrics.lesion_marks`
function detection.marks(truth, detections, images, patients)
    local lesions = {}
    for _, one in ipairs(truth) do lesions[#lesions + 1] = not one.crowd and one or nil end
    return metrics.lesion_marks(lesions, detections, {images = images, patients = patients})
end

--- The highest score at which as many lesions are found as can be with at most so many false marks an image on the
--- average.
---@param marks table[] as of `lx.metrics.lesion_marks`
---@param rate number
---@return number? threshold nil where there is no lesion; 1 where no lesion is found so
function detection.threshold_at(marks, rate)
    local points = metrics.froc(marks)
    if not points then return nil end
    local threshold, most = 1, 0
    for _, point in ipairs(points) do
        if point.false_positives <= rate and point.sensitivity > most then
            threshold, most = point.threshold, point.sensitivity
        end
    end
    return threshold
end

return detection
