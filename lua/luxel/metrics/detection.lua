--- How good a detector is: average precision of boxes, free-response ROC, and the jackknife free-response figure of
--- merit.
--
-- Boxes are {x, y, w, h} from their first corner, in any unit; of whole pixels counted from first to last, w is last -
-- first + 1. What is not defined is `nil, message`, never a number.

local args = require "luxel.args"
local random = require "luxel.random"
local random_resamples = require "luxel.metrics.resampling"
local result_type = require "luxel.result"

local metrics = {}

-- ---- truth and detections -------------------------------------------------------------------------------------

local function is_finite(value) return type(value) == "number" and value - value == 0 end

-- The box of an entry, checked.
local function box_of(where, entry, place)
    local box = entry.box
    local ok = type(box) == "table" and #box == 4
    for i = 1, 4 do ok = ok and is_finite(box[i]) end
    if not ok or box[3] < 0 or box[4] < 0 then
        args.fail("%s: expected a box {x, y, w, h} of finite numbers, w and h not negative, at place %d", where, place)
    end
    return box
end

local function is_name(value) return type(value) == "string" or type(value) == "number" and value == value end

local function before(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
end

-- The images in order, and their places: those of the option, or all that are named.
local function images_of(caller, truth, detections, given)
    local list, place = {}, {}
    local function add(image)
        if place[image] then return end
        list[#list + 1], place[image] = image, true
    end
    if given then
        for _, image in ipairs(given) do add(image) end
    end
    for _, part in ipairs {{"truth", truth}, {"detections", detections}} do
        for i, entry in ipairs(part[2]) do
            if not is_name(entry.image) then
                args.fail("%s: %s: expected an image, a text or a number, at place %d, got %s", caller, part[1], i,
                    args.describe(entry.image))
            elseif given and not place[entry.image] then
                args.fail("%s: %s: the image %s at place %d is none of the option 'images'", caller, part[1],
                    args.describe(entry.image), i)
            end
            add(entry.image)
        end
    end
    if not given then table.sort(list, before) end
    for i, image in ipairs(list) do place[image] = i end
    return list, place
end

local function by_score(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.order < b.order
end

-- By class, and by image in it: {truths = {box, area, crowd}[], found = {box, score, order}[]}, the found ones by
-- falling scores.
local function by_class(caller, truth, detections, place)
    local classes, names = {}, {}
    local function slot(entry)
        local class = entry.class == nil and 1 or entry.class
        if not is_name(class) then
            args.fail("%s: expected a class, a text or a number, got %s", caller, args.describe(class))
        end
        if not classes[class] then
            classes[class] = {}
            names[#names + 1] = class
        end
        local at = place[entry.image]
        classes[class][at] = classes[class][at] or {truths = {}, found = {}}
        return classes[class][at]
    end
    for i, entry in ipairs(truth) do
        local box = box_of(caller .. ": truth", entry, i)
        local area = entry.area == nil and box[3] * box[4] or entry.area
        if not is_finite(area) then args.fail("%s: truth: expected a finite area at place %d", caller, i) end
        table.insert(slot(entry).truths, {box = box, area = area, crowd = entry.crowd == true})
    end
    for i, entry in ipairs(detections) do
        local box = box_of(caller .. ": detections", entry, i)
        if not is_finite(entry.score) then
            args.fail("%s: detections: expected a finite score at place %d, got %s", caller, i,
                args.describe(entry.score))
        end
        table.insert(slot(entry).found, {box = box, score = entry.score, order = i})
    end
    for _, images in pairs(classes) do
        for _, image in pairs(images) do table.sort(image.found, by_score) end
    end
    table.sort(names, before)
    return classes, names
end

-- The overlap of a found box with a true one; over the found one's area alone where that one is a crowd.
local function overlap(found, true_box, crowd)
    local w = math.min(found[1] + found[3], true_box[1] + true_box[3]) - math.max(found[1], true_box[1])
    local h = math.min(found[2] + found[4], true_box[2] + true_box[4]) - math.max(found[2], true_box[2])
    if w <= 0 or h <= 0 then return 0 end
    local area = found[3] * found[4]
    return w * h / (crowd and area or area + true_box[3] * true_box[4] - w * h)
end

-- ---- COCO's rules ---------------------------------------------------------------------------------------------

local MOST_FOUND <const>, POINTS <const> = 100, 100
local ALL <const> = {0, 1e10}
local AREAS <const> = {small = {0, 1024}, medium = {1024, 9216}, large = {9216, 1e10}}

local function outside(area, range) return area < range[1] or area > range[2] end

-- What became of the found boxes of an image: {score, hit, ignored} in their order, and how many true ones count.
local function match_coco(image, threshold, range)
    local truths, count = {}, 0
    for _, ignored in ipairs {false, true} do
        for _, truth in ipairs(image.truths) do
            if (truth.crowd or outside(truth.area, range)) == ignored then
                truths[#truths + 1] = {truth = truth, ignored = ignored}
                count = count + (ignored and 0 or 1)
            end
        end
    end
    local out = {}
    for d = 1, math.min(#image.found, MOST_FOUND) do
        local found = image.found[d]
        local best, match = math.min(threshold, 1 - 1e-10), nil
        for _, one in ipairs(truths) do
            if match and not match.ignored and one.ignored then break end
            if not one.taken or one.truth.crowd then
                local iou = overlap(found.box, one.truth.box, one.truth.crowd)
                if iou >= best then best, match = iou, one end
            end
        end
        if match then match.taken = true end
        local ignored = match and match.ignored or not match and outside(found.box[3] * found.box[4], range)
        out[d] = {score = found.score, hit = match ~= nil, ignored = ignored, rank = d}
    end
    return out, count
end

-- What became of the found boxes of a class, by falling scores, and how many objects each image has.
local function matched_coco(images, count_images, threshold, range, most)
    local all, wanted = {}, {}
    for at = 1, count_images do
        wanted[at] = 0
        if images[at] then
            local found, count = match_coco(images[at], threshold, range)
            for _, one in ipairs(found) do
                if one.rank <= most and not one.ignored then
                    one.order, one.image = #all + 1, at
                    all[one.order] = one
                end
            end
            wanted[at] = count
        end
    end
    table.sort(all, by_score)
    return all, wanted
end

-- Precision at the recalls 0, 0.01 ... 1 on the average, and the recall reached, where each image counts so often (once
-- without weights); nil where nothing is to be found.
local function area_coco(all, wanted, weights)
    local count = 0
    for at, own in ipairs(wanted) do count = count + own * (weights and weights[at] or 1) end
    if count == 0 then return nil end
    -- between hits recall stays, and precision falls: hits are all that count
    local recalls, precisions, hits, misses = {}, {}, 0, 0
    for i = 1, #all do
        local one = all[i]
        local weight = weights and weights[one.image] or 1
        if not one.hit then
            misses = misses + weight
        elseif weight > 0 then
            hits = hits + weight
            recalls[#recalls + 1], precisions[#precisions + 1] = hits / count, hits / (hits + misses)
        end
    end
    for i = #precisions - 1, 1, -1 do precisions[i] = math.max(precisions[i], precisions[i + 1]) end
    local sum, at = 0, 1
    for point = 0, POINTS do
        while recalls[at] and recalls[at] < point * 0.01 do at = at + 1 end
        sum = sum + (precisions[at] or 0)
    end
    return sum / (POINTS + 1), recalls[#recalls] or 0
end

local function curve_coco(...) return area_coco(matched_coco(...)) end

local function mean(values)
    if #values == 0 then return nil end
    local sum = 0
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values
end

-- The thresholds 0.5, 0.55 ... 0.95.
local THRESHOLDS <const> = {}
for i = 0, 9 do THRESHOLDS[i + 1] = i == 9 and 0.95 or i * ((0.95 - 0.5) / 9) + 0.5 end

local COCO_NAMES <const> = {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100",
    "ar_small", "ar_medium", "ar_large"}
local new_coco = result_type("COCO figures", COCO_NAMES)

--- The twelve figures of COCO's detection challenge (Lin et al. 2014): average precision, the mean over the thresholds
--- 0.5, 0.55 ... 0.95 of the overlap, at 0.5 and 0.75, and of small (area up to 32²), medium and large (from 96²)
--- objects; average recall with 1, 10 and 100 boxes an image, and by size. The means are over the classes that have
--- objects. Of boxes with one score the earlier image's, then the earlier one, comes first.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] box {x, y, w, h} in pixels;
---  class by default 1; area by default w h; a crowd is no object of its own, but boxes inside it are not wrong
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {images: any[]} images: all of them in their order; by default those of both lists, sorted
---@return {ap: number?, ap50: number?, ap75: number?, ap_small: number?, ap_medium: number?, ap_large: number?,
---  ar1: number?, ar10: number?, ar100: number?, ar_small: number?, ar_medium: number?, ar_large: number?} figures nil
---  each where there is no object to find
function metrics.coco(truth, detections, options)
    local images, place = images_of("coco", truth, detections, options and options.images)
    local classes, names = by_class("coco", truth, detections, place)
    local out = {}
    for name, range in pairs {all = ALL, small = AREAS.small, medium = AREAS.medium, large = AREAS.large} do
        local precisions, recalls, at50, at75 = {}, {}, {}, {}
        local few, some = {}, {}
        for _, class in ipairs(names) do
            for t, threshold in ipairs(THRESHOLDS) do
                local ap, recall = curve_coco(classes[class], #images, threshold, range, MOST_FOUND)
                if ap then
                    precisions[#precisions + 1], recalls[#recalls + 1] = ap, recall
                    if t == 1 then at50[#at50 + 1] = ap elseif t == 6 then at75[#at75 + 1] = ap end
                    if name == "all" then
                        few[#few + 1] = select(2, curve_coco(classes[class], #images, threshold, range, 1))
                        some[#some + 1] = select(2, curve_coco(classes[class], #images, threshold, range, 10))
                    end
                end
            end
        end
        if name == "all" then
            out.ap, out.ap50, out.ap75 = mean(precisions), mean(at50), mean(at75)
            out.ar1, out.ar10, out.ar100 = mean(few), mean(some), mean(recalls)
        else
            out["ap_" .. name], out["ar_" .. name] = mean(precisions), mean(recalls)
        end
    end
    return new_coco(out)
end

-- ---- VOC's rules ----------------------------------------------------------------------------------------------

-- The recalls and precisions along the found boxes of a class; nil where nothing is to be found. A box is right that
-- overlaps the object it overlaps most by more than the threshold, if none before it did.
local function curve_voc(images, count_images, threshold)
    local all, count = {}, 0
    for at = 1, count_images do
        local image = images[at]
        if image then
            for _, truth in ipairs(image.truths) do count = count + (truth.crowd and 0 or 1) end
            for _, found in ipairs(image.found) do
                all[#all + 1] = {score = found.score, box = found.box, order = #all + 1, truths = image.truths}
            end
        end
    end
    if count == 0 then return nil end
    table.sort(all, by_score)
    local taken, hits, misses, recalls, precisions = {}, 0, 0, {}, {}
    for _, found in ipairs(all) do
        local best, match = threshold, nil
        for _, truth in ipairs(found.truths) do
            local iou = overlap(found.box, truth.box)
            if iou > best then best, match = iou, truth end
        end
        if not match or not match.crowd then
            if match and not taken[match] then
                taken[match], hits = true, hits + 1
            else
                misses = misses + 1
            end
        end
        recalls[#recalls + 1] = hits / count
        precisions[#precisions + 1] = hits + misses > 0 and hits / (hits + misses) or 0
    end
    return recalls, precisions, count
end

-- The mean of the best precision from each of the recalls 0, 0.1 ... 1 on.
local function eleven_points(recalls, precisions, count)
    local sum = 0
    for tenth = 0, 10 do
        local best = 0
        for i, recall in ipairs(recalls) do
            if math.floor(recall * count + 0.5) * 10 >= tenth * count then best = math.max(best, precisions[i]) end
        end
        sum = sum + best
    end
    return sum / 11
end

-- The area under the precision that no larger recall exceeds.
local function whole_area(recalls, precisions)
    local area, best = 0, 0
    for i = #recalls, 1, -1 do
        best = math.max(best, precisions[i])
        area = area + best * (recalls[i] - (recalls[i - 1] or 0))
    end
    return area
end

--- Average precision of boxes at one threshold of the overlap, the mean over the classes that have objects.
---
--- "coco": right from the threshold on, precision at the recalls 0, 0.01 ... 1. "voc" (Everingham et al. 2010): right
--- above the threshold, the whole area under the curve; "voc07" its means at the recalls 0, 0.1 ... 1, which are
--- compared as whole tenths: the program of that time misses some of them by rounding.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] as of `coco`; crowd for VOC's
---  difficult objects too
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {iou: number, rule: "coco"|"voc"|"voc07", images: any[]} iou: default 0.5; rule: default "coco";
---  images: as of `coco`
---@return number? ap nil where there is no object to find
---@return table<any, number>|string by_class each class's, or why nil
function metrics.detection_ap(truth, detections, options)
    options = options or {}
    local images, place = images_of("detection_ap", truth, detections, options.images)
    local classes, names = by_class("detection_ap", truth, detections, place)
    local each, values, threshold, rule = {}, {}, options.iou or 0.5, options.rule or "coco"
    for _, class in ipairs(names) do
        local ap
        if rule == "coco" then
            ap = curve_coco(classes[class], #images, threshold, ALL, MOST_FOUND)
        else
            local recalls, precisions, count = curve_voc(classes[class], #images, threshold)
            ap = recalls and (rule == "voc" and whole_area(recalls, precisions)
                or eleven_points(recalls, precisions, count))
        end
        if ap then each[class], values[#values + 1] = ap, ap end
    end
    if #values == 0 then return nil, "there is no object to find" end
    return mean(values), each
end

local new_ap = result_type("average precision", {"value", "low", "high", "units"}, function(self)
    return self.low and ("%.4f  [%.4f, %.4f]"):format(self.value, self.low, self.high) or ("%.4f"):format(self.value)
end)

--- Average precision of boxes at one threshold of the overlap by COCO's rule, as `detection_ap` gives it, with an
--- interval by the percentile bootstrap of patients, where these are told, else of images. What boxes hit is settled
--- before; an image that is drawn twice counts twice.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] as of `coco`
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {iou: number, images: any[], patients: table<any, any>, n: integer, seed: integer, level: number}
---  iou: default 0.5; images: as of `coco`; patients: of each image; n, seed, level: as of `bootstrap`
---@return {value: number, low: number?, high: number?, units: integer}? ap units: how many patients were drawn from;
---  no interval where there are fewer than two, or where most resamples have no object
---@return string? message why nil: there is no object to find
function metrics.detection_ap_interval(truth, detections, options)
    local opts = args.with_defaults(options, random_resamples.DEFAULTS)
    local caller = "detection_ap_interval"
    local images, place = images_of(caller, truth, detections, opts.images)
    local classes, names = by_class(caller, truth, detections, place)
    local curves, source, groups = {}, {}, {}
    for i, class in ipairs(names) do
        curves[i] = {matched_coco(classes[class], #images, opts.iou or 0.5, ALL, MOST_FOUND)}
    end
    local function value(weights)
        local values = {}
        for _, curve in ipairs(curves) do values[#values + 1] = (area_coco(curve[1], curve[2], weights)) end
        return mean(values)
    end
    local whole = value()
    if not whole then return nil, "there is no object to find" end
    for i, image in ipairs(images) do
        source[i], groups[i] = i, opts.patients and opts.patients[image]
        if opts.patients and groups[i] == nil then
            args.fail("%s: options: option 'patients': there is none for the image %s", caller, args.describe(image))
        end
    end
    local units = random_resamples.units({n = #images, source = source}, opts.patients and groups, caller)
    local stream, values = random.stream(opts.seed), {}
    for _ = 1, #units > 1 and opts.n or 0 do
        values[#values + 1] = value(random_resamples.drawn(units, #images, stream))
    end
    local low, high = random_resamples.percentile(values, opts.n, opts.level)
    -- resamples that all agree say nothing of what other patients would be like
    local is_wide = low and low < high
    return new_ap {value = whole, low = is_wide and low or nil, high = is_wide and high or nil, units = #units}
end

-- ---- free response --------------------------------------------------------------------------------------------

--- Which marks hit which lesions, for `froc` and `jafroc`: by the rule "centre" a mark hits the box that its centre
--- lies in (edges included; of several, the one that it overlaps most), by a number that box, if the overlap is at
--- least so much. Classes have to be the same.
---@param truth {image: any, class: any, box: number[]}[]
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options {images: any[], rule: "centre"|number, patients: table<any, any>}? images: all of them, also those
--- without lesions and marks; by default those of both lists; rule: default "centre"; patients: of each image
---@return {image: any, patient: any, lesions: integer, marks: {score: number, lesion: integer?}[]}[] images
function metrics.lesion_marks(truth, detections, options)
    options = options or {}
    local images, place = images_of("lesion_marks", truth, detections, options.images)
    local rule, out, boxes = options.rule or "centre", {}, {}
    for i, image in ipairs(images) do
        out[i] = {image = image, lesions = 0, marks = {}, patient = options.patients and options.patients[image]}
        if options.patients and out[i].patient == nil then
            args.fail("lesion_marks: options: option 'patients': there is none for the image %s", args.describe(image))
        end
        boxes[i] = {}
    end
    for i, entry in ipairs(truth) do
        local at = place[entry.image]
        out[at].lesions = out[at].lesions + 1
        boxes[at][out[at].lesions] = {box = box_of("lesion_marks: truth", entry, i), class = entry.class}
    end
    for i, entry in ipairs(detections) do
        local at, box = place[entry.image], box_of("lesion_marks: detections", entry, i)
        if not is_finite(entry.score) then
            args.fail("lesion_marks: detections: expected a finite score at place %d", i)
        end
        local x, y, best, hit = box[1] + box[3] / 2, box[2] + box[4] / 2, nil, nil
        for lesion, one in ipairs(boxes[at]) do
            local b, iou = one.box, overlap(box, one.box)
            local inside = x >= b[1] and x <= b[1] + b[3] and y >= b[2] and y <= b[2] + b[4]
            local hits = inside
            if rule ~= "centre" then hits = iou >= rule and iou > 0 end
            if hits and one.class == entry.class and (not best or iou > best) then
                best, hit = iou, lesion
            end
        end
        table.insert(out[at].marks, {score = entry.score, lesion = hit})
    end
    return out
end

-- Checks images with marks; returns all marks, each {score, image, lesion}, by falling scores, and how many lesions.
local function marks_of(caller, images)
    local all, lesions = {}, 0
    for i, image in ipairs(images) do
        if math.type(image.lesions) ~= "integer" or image.lesions < 0 or type(image.marks) ~= "table" then
            args.fail("%s: images: expected {lesions = how many, marks = a list} at place %d", caller, i)
        end
        lesions = lesions + image.lesions
        for _, mark in ipairs(image.marks) do
            local hit = type(mark) == "table" and mark.lesion
            if type(mark) ~= "table" or not is_finite(mark.score) or hit ~= nil
                and (math.type(hit) ~= "integer" or hit < 1 or hit > image.lesions) then
                args.fail("%s: images: image %d: expected marks {score = a finite number, lesion = nil or 1 to %d}",
                    caller, i, image.lesions)
            end
            all[#all + 1] = {score = mark.score, image = i, lesion = hit, order = #all + 1}
        end
    end
    table.sort(all, by_score)
    return all, lesions
end

--- The free-response ROC curve (Bunch et al. 1978): at each score, how many false marks an image has on the average,
--- over all images, and which share of the lesions is found. A lesion that is marked twice counts once.
---@param images {lesions: integer, marks: {score: number, lesion: integer?}[]}[] as `lesion_marks` gives them; a mark
---  without a lesion is false
---@return {threshold: number, false_positives: number, sensitivity: number}[]? points from the highest score down
---@return string? message why nil: there is no lesion
function metrics.froc(images)
    local all, lesions = marks_of("froc", images)
    if lesions == 0 then return nil, "there is no lesion" end
    local points, taken, wrong, found = {}, {}, 0, 0
    for i, mark in ipairs(all) do
        if mark.lesion then
            local key = mark.image .. ":" .. mark.lesion
            if not taken[key] then taken[key], found = true, found + 1 end
        else
            wrong = wrong + 1
        end
        if not all[i + 1] or all[i + 1].score < mark.score then
            points[#points + 1] = {threshold = mark.score, false_positives = wrong / #images,
                sensitivity = found / lesions}
        end
    end
    return points
end

local RATES <const> = {0.125, 0.25, 0.5, 1, 2, 4, 8}

--- Sensitivities at rates of false marks for each image, and their mean: by default at 1/8, 1/4 ... 8, whose mean is
--- the competition performance metric (Niemeijer et al. 2011). At a rate the curve is what it is at the last score with
--- at most so many, without a line between points.
---@param images table[] as of `froc`
---@param rates number[]? rising
---@return number? mean, number[]|string sensitivities one for each rate, or why nil
function metrics.froc_sensitivity(images, rates)
    local points, message = metrics.froc(images)
    if not points then return nil, message end
    local out = {}
    for i, rate in ipairs(rates or RATES) do
        out[i] = 0.0
        for _, point in ipairs(points) do
            if point.false_positives <= rate then out[i] = point.sensitivity end
        end
    end
    if #out == 0 then args.fail("froc_sensitivity: rates: expected at least one") end
    return mean(out), out
end

-- Sensitivities at rates where each image counts so often: `marks` by falling scores, {score, image, lesion}. Nil where
-- no lesion is drawn.
local function weighted_sensitivities(images, marks, rates, weights)
    local lesions, total = 0, 0
    for i, image in ipairs(images) do
        lesions, total = lesions + weights[i] * image.lesions, total + weights[i]
    end
    if lesions == 0 then return nil end
    local out, taken, wrong, found, at = {}, {}, 0, 0, 1
    for k = 1, #rates do out[k] = 0.0 end
    while marks[at] do
        local score = marks[at].score
        while marks[at] and marks[at].score == score do
            local mark = marks[at]
            local weight = weights[mark.image]
            if not mark.lesion then
                wrong = wrong + weight
            elseif not taken[mark.key] then
                taken[mark.key], found = true, found + weight
            end
            at = at + 1
        end
        for k, rate in ipairs(rates) do
            if wrong <= rate * total then out[k] = found / lesions end
        end
    end
    return out
end

local new_sensitivities = result_type("FROC sensitivities", {"mean", "points", "units"}, function(self)
    local lines = {}
    for i, point in ipairs(self.points) do
        lines[i] = ("%6.3f false marks an image: sensitivity %.4f%s"):format(point.rate, point.sensitivity,
            point.low and ("  [%.4f, %.4f]"):format(point.low, point.high) or "")
    end
    return table.concat(lines, "\n")
end)

--- Sensitivities at rates of false marks for each image, as `froc_sensitivity` gives them, with intervals by the
--- percentile bootstrap of patients, where images have a `patient`, else of images.
---@param images {lesions: integer, marks: table[], patient: any}[] as of `froc`
---@param options? {rates: number[], n: integer, seed: integer, level: number} rates: rising, default 1/8, 1/4 ... 8; n,
---  seed, level: as of `bootstrap`
---@return {mean: number, points: {rate: number, sensitivity: number, low: number?, high: number?}[], units: integer}?
---  figures mean: of the sensitivities; units: how many patients were drawn from; no interval where there are fewer
---  than two, or where most resamples have no lesion
---@return string? message why nil: there is no lesion
function metrics.froc_intervals(images, options)
    local opts = args.with_defaults(options, random_resamples.DEFAULTS)
    local marks, lesions = marks_of("froc_intervals", images)
    if lesions == 0 then return nil, "there is no lesion" end
    local rates, source, groups, ones = opts.rates or RATES, {}, {}, {}
    for i, image in ipairs(images) do
        source[i], groups[i], ones[i] = i, image.patient, 1
        if (image.patient == nil) ~= (images[1].patient == nil) then
            args.fail("froc_intervals: images: expected a patient of all images or of none, image %d differs from the "
                .. "first", i)
        end
    end
    for _, mark in ipairs(marks) do mark.key = mark.lesion and mark.image .. ":" .. mark.lesion end
    local points, values = {}, {}
    for k, value in ipairs(weighted_sensitivities(images, marks, rates, ones)) do
        points[k], values[k] = {rate = rates[k], sensitivity = value}, {}
    end
    local units = random_resamples.units({n = #images, source = source}, images[1].patient ~= nil and groups,
        "froc_intervals")
    local stream = random.stream(opts.seed)
    for _ = 1, #units > 1 and opts.n or 0 do
        local weights = random_resamples.drawn(units, #images, stream)
        for k, value in ipairs(weighted_sensitivities(images, marks, rates, weights) or {}) do
            table.insert(values[k], value)
        end
    end
    local sum = 0
    for k, point in ipairs(points) do
        local low, high = random_resamples.percentile(values[k], opts.n, opts.level)
        -- resamples that all agree say nothing of what other patients would be like
        if low and low < high then point.low, point.high = low, high end
        sum = sum + point.sensitivity
    end
    return new_sensitivities {mean = sum / #points, points = points, units = #units}
end

local new_jafroc = result_type("JAFROC", {"value", "low", "high", "units"}, function(self)
    return self.low and ("%.4f  [%.4f, %.4f]"):format(self.value, self.low, self.high) or ("%.4f"):format(self.value)
end)

-- The chance that a lesion is rated above an image without one, ties counting half, from ratings in rising order of
-- which each belongs to an image that is drawn so often.
local function figure_of_merit(ratings, weights)
    local wins, lesions, normals, i = 0, 0, 0, 1
    while ratings[i] do
        local score, more, others = ratings[i].score, 0, 0
        while ratings[i] and ratings[i].score == score do
            local weight = weights and weights[ratings[i].image] or 1
            if ratings[i].lesion then more = more + weight else others = others + weight end
            i = i + 1
        end
        wins = wins + more * (normals + others / 2)
        lesions, normals = lesions + more, normals + others
    end
    return lesions > 0 and normals > 0 and wins / (lesions * normals) or nil
end

--- The jackknife free-response figure of merit (Chakraborty and Berbaum 2004): the chance that a lesion is rated above
--- an image without lesions, whose rating is that of its highest mark; what has no mark is rated below all. With an
--- interval by the percentile bootstrap of patients, where images have a `patient`, else of images.
---@param images {lesions: integer, marks: table[], patient: any}[] as of `froc`
---@param options? {n: integer, seed: integer, level: number} as of `bootstrap`
---@return {value: number, low: number?, high: number?, units: integer?}? figure units: how many patients were drawn
---  from; no interval where that is not defined
---@return string? message why nil: no image with lesions, or none without
function metrics.jafroc(images, options)
    local opts = args.with_defaults(options, random_resamples.DEFAULTS)
    local all = marks_of("jafroc", images)
    local best, ratings, labels, groups, source = {}, {}, {}, {}, {}
    for _, mark in ipairs(all) do
        local key = images[mark.image].lesions == 0 and mark.image or mark.lesion and mark.image .. ":" .. mark.lesion
        if key and not best[key] then best[key] = mark.score end
    end
    for i, image in ipairs(images) do
        labels[i], source[i], groups[i] = image.lesions > 0 and 1 or 0, i, image.patient
        if (image.patient == nil) ~= (images[1].patient == nil) then
            args.fail("jafroc: images: expected a patient of all images or of none, image %d differs from the first", i)
        end
        for lesion = 1, image.lesions do
            ratings[#ratings + 1] = {score = best[i .. ":" .. lesion] or -math.huge, image = i, lesion = true}
        end
        if image.lesions == 0 then ratings[#ratings + 1] = {score = best[i] or -math.huge, image = i} end
    end
    table.sort(ratings, function(a, b) return a.score < b.score end)
    local value = figure_of_merit(ratings)
    if not value then return nil, "needs images with lesions and images without" end
    local values = {}
    local units = random_resamples.weights({labels = labels, source = source, n = #images, scores = labels},
        #groups > 0 and groups, opts.n, opts.seed, "jafroc", function(weights)
            values[#values + 1] = figure_of_merit(ratings, weights)
        end)
    local low, high
    if units then low, high = random_resamples.percentile(values, opts.n, opts.level) end
    return new_jafroc {value = value, low = low, high = low and high, units = units}
end

local BOXES <const> = "truth: table[], detections: table[], options: {images: any[]?"

return {public = args.publish("", metrics, {
    coco = BOXES .. "}?",
    detection_ap = BOXES .. ', iou: number(0..1)?, rule: "coco"|"voc"|"voc07"?}?',
    detection_ap_interval = BOXES .. ", iou: number(0..1)?, patients: table?, " .. random_resamples.OPTIONS .. "}?",
    lesion_marks = BOXES .. ', rule: "centre"|number(0..1)?, patients: table?}?',
    froc = "images: table[]", froc_sensitivity = "images: table[], rates: finite[]?",
    jafroc = "images: table[], options: {" .. random_resamples.OPTIONS .. "}?",
    froc_intervals = "images: table[], options: {rates: finite[]?, " .. random_resamples.OPTIONS .. "}?",
})}
