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

---@class luxel.DetectorHead how a map of a network is read
---@field kind "region"|"yolo"
---@field anchors number[][] {width, height} each, of "region" in cells, of "yolo" in pixels of the network's images
---@field all number[][]? of "yolo", the anchors of all maps
---@field own integer[]? of "yolo", the numbers of this map's
---@field stride integer? of "yolo", pixels from cell to cell
---@field options table? what a configuration of darknet says of it

--- How the maps of a network are read: by its `anchors`, as a region layer reads the one map, or by `detections`.
---@param net any
---@return luxel.DetectorHead[]? heads of its maps, in their order; nil where it is no detector
function detection.heads(net)
    if type(net) ~= "table" then return nil end
    if type(net.anchors) == "table" and #net.anchors > 0 then return {{kind = "region", anchors = net.anchors}} end
    return type(net.detections) == "table" and #net.detections > 0 and net.detections or nil
end

--- Raises unless a network is a detector.
---@param where string "function: argument"
---@param net Module
function detection.check_network(where, net)
    if not detection.heads(net) then
        args.fail("%s: expected a network with anchors, whose map a region layer reads, such as lx.models.yolo_lite, "
            .. "or with maps for yolo layers, such as lx.models.yolov3_tiny; got %s", where, args.describe(net))
    end
end

--- What a detector gives, as a list of maps.
---@param out Tensor|Tensor[]
---@return Tensor[]
function detection.maps(out) return core.is_tensor(out) and {out} or out end

local SCALES <const> = {"object_scale", "noobject_scale", "class_scale", "coord_scale"}
local RULES <const> = {"rescore", "bias_match"}

-- The options of the loss of a map: what a configuration says, and `settings` before it.
local function options_of(head, settings)
    local said, region = head.options or {}, head.kind == "region"
    local own = {}
    for _, key in ipairs(region and SCALES or {}) do own[key] = said[key] end
    for _, key in ipairs(region and RULES or {}) do own[key] = said[key] and said[key] ~= 0 end
    own.thresh = region and said.thresh or not region and said.ignore_thresh or nil
    for key, value in pairs(settings or {}) do
        if not region and (key == "rescore" or key == "bias_match") then
            args.fail("fit: options: option 'region': '%s' is of region layers, and the network has yolo layers", key)
        end
        own[key] = value
    end
    if region then
        own.anchors = head.anchors
    else
        own.anchors, own.own, own.ignore, own.thresh = head.all, head.own, own.thresh, nil
    end
    return own
end

--- The usual loss of a detector: the sum of those of its maps.
---@param net Module
---@param settings table? options of `F.region_loss` besides anchors; of yolo layers `thresh` is `ignore`
---@return fun(out: Tensor|Tensor[], truth: Tensor): Tensor, table
function detection.loss_of(net, settings)
    local heads, options = detection.heads(net), {}
    for i, head in ipairs(heads) do options[i] = options_of(head, settings) end
    return function(out, truth)
        local maps, loss, parts = detection.maps(out), nil, nil
        if #maps ~= #heads then
            args.fail("fit: net: it says how %d maps are read, and gives %d", #heads, #maps)
        end
        for i, head in ipairs(heads) do
            local own, figures
            if head.kind == "region" then
                own, figures = F.region_loss(maps[i], truth, options[i])
            else
                local _, _, rows, columns = table.unpack(maps[i].shape)
                options[i].size = {rows * head.stride, columns * head.stride}
                own, figures = F.yolo_loss(maps[i], truth, options[i])
            end
            loss, parts = loss and loss + own or own, parts or {}
            for _, part in ipairs(detection.PARTS) do parts[part] = (parts[part] or 0) + figures[part] end
        end
        return loss, parts
    end
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

-- The boxes that one map says there are in each image.
local function decode(head, map, threshold)
    if head.kind == "region" then return boxes.decode_region(map, {anchors = head.anchors, threshold = threshold}) end
    return boxes.decode_yolo(map, {
        anchors = head.anchors, size = {map.shape[3] * head.stride, map.shape[4] * head.stride}, threshold = threshold,
    })
end

--- The boxes of each image of a detector's maps, the best first: those of all maps together, suppressed class by class,
--- and cut off at the edges.
---@param net Module
---@param out Tensor|Tensor[] what it gives, [N,anchors (5 + classes),H,W] each
---@param sizes {[1]: integer, [2]: integer}[] height and width of each image, in whose pixels boxes are wanted
---@param options {threshold: number?, classes: string[]?}? threshold: from which score on, default `LEAST`; classes:
---  their names
---@return luxel.FoundBox[][]
function detection.find(net, out, sizes, options)
    local least, names = options and options.threshold or detection.LEAST, options and options.classes
    local heads, of_maps, images = detection.heads(net), {}, {}
    for k, map in ipairs(detection.maps(out)) do
        of_maps[k] = decode(heads[k], map, math.min(least, detection.LEAST))
    end
    for i in ipairs(sizes) do
        local found = of_maps[1][i]
        if #of_maps > 1 then
            found = {}
            for _, key in ipairs {"boxes", "scores", "classes"} do
                local parts = {}
                for k, of_map in ipairs(of_maps) do parts[k] = of_map[i][key] end
                found[key] = core.cat(parts, 1)
            end
        end
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

--- Marks of images, of boxes that are no crowd. A mark that hits no lesion and has its centre in a crowd of its class
--- is neither right nor false, and not there.
---@param truth table[]
---@param detections table[]
---@param images any[]
---@param options {patients: table<any, any>?, rule: "centre"|number|nil}? patients: of each image; rule: as of
---  `lx.metrics.lesion_marks`
---@return table[] as of `lx.metrics.lesion_marks`
function detection.marks(truth, detections, images, options)
    local lesions, crowds = {}, {}
    for _, one in ipairs(truth) do table.insert(one.crowd and crowds or lesions, one) end
    local marks = metrics.lesion_marks(lesions, detections, {
        images = images, patients = options and options.patients, rule = options and options.rule,
    })
    if #crowds == 0 then return marks end
    for i, image in ipairs(metrics.lesion_marks(crowds, detections, {images = images})) do
        local kept = {}
        for k, mark in ipairs(marks[i].marks) do
            if mark.lesion or not image.marks[k].lesion then kept[#kept + 1] = mark end
        end
        marks[i].marks = kept
    end
    return marks
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
