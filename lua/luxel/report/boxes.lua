--- The page of a detector's evaluation: figures, the free-response curve, precision and recall, and pictures of what
--- was found, missed, and found where nothing is.

local detection = require "luxel.train.detection"
local lx = require "luxel"
local page = require "luxel.page"
local parts = require "luxel.report.parts"

local boxes = {}

-- ---- curves -----------------------------------------------------------------------------------------------------

-- Precision and recall along the scores, of marks that hit by the centre or by overlap.
local function precision_recall(marks)
    local all, lesions = {}, 0
    for i, image in ipairs(marks) do
        lesions = lesions + image.lesions
        for _, mark in ipairs(image.marks) do
            all[#all + 1] = {score = mark.score, key = mark.lesion and i .. ":" .. mark.lesion, order = #all + 1}
        end
    end
    table.sort(all, function(a, b)
        if a.score ~= b.score then return a.score > b.score end
        return a.order < b.order
    end)
    local recall, precision, taken, hits, wrong = {}, {}, {}, 0, 0
    for _, mark in ipairs(all) do
        if mark.key and not taken[mark.key] then
            taken[mark.key], hits = true, hits + 1
        else
            wrong = wrong + 1
        end
        recall[#recall + 1], precision[#precision + 1] = hits / lesions, hits / (hits + wrong)
    end
    return recall, precision
end

local MOST_FALSE <const> = 8 -- marks an image that the curve shows

local function curves(marks, overlapping)
    local plots, x, y = {}, {0}, {0}
    for _, point in ipairs(lx.metrics.froc(marks) or {}) do
        if point.false_positives <= MOST_FALSE then
            x[#x + 1], y[#y + 1] = point.false_positives, point.sensitivity
        end
    end
    plots[1] = {
        layers = {{kind = "step", x = x, y = y, name = "sensitivity"}},
        options = {title = "Free-response curve", x = "false marks an image", y = "sensitivity", legend = false},
        words = "A mark hits an object that its centre lies in.",
    }
    local recall, precision = precision_recall(overlapping)
    if #recall > 0 then
        plots[2] = {
            layers = {{kind = "line", x = recall, y = precision, name = "precision"}},
            options = {title = "Precision and recall", x = "recall", y = "precision", legend = false},
            words = "A box is right that overlaps an object by one half or more.",
        }
    end
    return plots
end

-- ---- pictures ---------------------------------------------------------------------------------------------------

local TRUE <const>, FOUND <const> = {90, 200, 250}, {255, 210, 60}
local SIDE <const> = 320 -- pixels of a picture's longer side

-- The picture with what is known and what was found, in pixels of an image of this size.
local function picture(dataset, i, found, threshold, size)
    local image = dataset:image(i)
    if not image then return nil end
    if image.dtype ~= "uint8" then image = image:clamp(0, 255):byte() end
    local height, width = image.shape[2], image.shape[3]
    local share = SIDE / math.max(height, width)
    image = lx.vision.to_rgb(lx.vision.resize(image, math.max(1, math.floor(height * share)),
        math.max(1, math.floor(width * share))))
    local across, down = image.shape[3] / size[2], image.shape[2] / size[1]
    local function draw(box, colour, thickness)
        image = lx.vision.draw_rect(image, {
            x = math.floor(box.x * across), y = math.floor(box.y * down),
            w = math.max(1, math.floor(box.w * across + 0.5)), h = math.max(1, math.floor(box.h * down + 0.5)),
        }, {colour = colour, thickness = thickness})
    end
    for _, box in ipairs(dataset.boxes[i]) do draw(box, TRUE, 2) end
    for _, box in ipairs(found[i]) do
        if box.score >= threshold then draw(box, FOUND, 1) end
    end
    return image
end

-- What became of each image at the threshold: {image, score} by kind, the most telling first.
local function sort_out(marks, images, threshold)
    local kinds = {hits = {}, misses = {}, false_alarms = {}}
    for k, image in ipairs(marks) do
        local best, wrong, seen, count = 0, 0, {}, 0
        for _, mark in ipairs(image.marks) do
            if mark.score >= threshold then
                if mark.lesion then
                    if not seen[mark.lesion] then seen[mark.lesion], count = true, count + 1 end
                    best = math.max(best, mark.score)
                else
                    wrong = math.max(wrong, mark.score)
                end
            end
        end
        local entry = {image = images[k], score = best}
        if image.lesions > count then
            entry.score = image.lesions - count
            table.insert(kinds.misses, entry)
        elseif wrong > 0 then
            entry.score = wrong
            table.insert(kinds.false_alarms, entry)
        elseif count > 0 then
            table.insert(kinds.hits, entry)
        end
    end
    for _, list in pairs(kinds) do
        table.sort(list, function(a, b)
            if a.score ~= b.score then return a.score > b.score end
            return a.image < b.image
        end)
    end
    return kinds
end

local KINDS <const> = {
    {"misses", "Missed", "Images with the most objects that no mark hits."},
    {"false_alarms", "False alarms", "Images with the surest marks where nothing is, whose objects were all found."},
    {"hits", "Found", "Images whose objects were all found without a false mark, the surest first."},
}

local function gallery(out, dataset, found, marks, images, options)
    local kinds = sort_out(marks, images, options.threshold)
    for _, kind in ipairs(KINDS) do
        local list = kinds[kind[1]]
        page.section(out, kind[2], "%s", ("%s There %s %d. Blue: what is known; yellow: what was found, from the "
            .. "threshold of %.3f on."):format(kind[3], #list == 1 and "is" or "are", #list, options.threshold))
        out[#out + 1] = '<div class="pictures">'
        for k = 1, math.min(#list, options.pictures) do
            local i = list[k].image
            local name = page.escape(dataset.paths[i]:match("[^/]*$"))
            out[#out + 1] = ("<figure>%s<figcaption>%s</figcaption></figure>"):format(
                page.image(picture(dataset, i, found, options.threshold, options.sizes[i]), name, name), name)
        end
        out[#out + 1] = "</div>"
    end
end

-- ---- the page -----------------------------------------------------------------------------------------------------

local STYLE <const> = ".pictures{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;max-width:320px}"
    .. "figcaption{font-size:12px;overflow-wrap:anywhere}"

--- Writes the page.
---@param path string
---@param dataset luxel.Dataset
---@param found luxel.FoundBox[][]
---@param report table the figures, as `luxel detect evaluate` finds them
---@param options {threshold: number, pictures: integer, sizes: integer[][], metadata: table?, model: string?, data:
---  string?, command: string?} sizes: height and width of each image, in whose pixels boxes are
---@return boolean? ok, string? message, string? code
function boxes.write(path, dataset, found, report, options)
    local truth, detections, images = detection.entries(dataset, found)
    local marks, out = detection.marks(truth, detections, images), {}
    local overlapping = detection.marks(truth, detections, images, {rule = 0.5})
    parts.notice(out)
    local cards = {
        page.card(report.images, "images"), page.card(report.objects, "objects"),
        page.card(parts.number(report.ap50), "AP50"), page.card(parts.number(report.froc_mean), "mean sensitivity"),
        page.card(parts.number(report.at_threshold.sensitivity), "sensitivity at the threshold"),
        page.card(parts.number(report.at_threshold.false_marks), "false marks an image there"),
    }
    out[#out + 1] = '<div class="cards">' .. table.concat(cards) .. "</div>"
    page.section(out, "Figures", "%s", ("Average precision as COCO has it; sensitivities with 95 %% intervals by the "
        .. "bootstrap over %s."):format(report.patients and "patients" or "images"))
    local rows = {}
    for _, row in ipairs {{"AP50", report.ap50}, {"AP", report.ap}, {"AP75", report.ap75}} do
        rows[#rows + 1] = {row[1], parts.number(row[2])}
    end
    for _, point in ipairs(report.froc or {}) do
        rows[#rows + 1] = {
            ("sensitivity at %.3f false marks an image"):format(point.rate),
            parts.with_interval(point.sensitivity, point.low and {point.low, point.high}),
        }
    end
    if report.jafroc then
        rows[#rows + 1] = {"JAFROC figure of merit", parts.with_interval(report.jafroc.value,
            report.jafroc.low and {report.jafroc.low, report.jafroc.high})}
    end
    parts.table(out, {}, rows, true)
    page.section(out, "Curves", "%s", "Of all boxes, down to low scores.")
    parts.plots(out, curves(marks, overlapping))
    gallery(out, dataset, found, marks, images, options)
    if options.metadata then parts.model_card(out, options.metadata, {}) end
    parts.again(out, {{"Model", options.model or "not said"}, {"Images", options.data or "not said"}}, options.command)
    return parts.write(path, "Evaluation of a detector", options.model or "", out, STYLE)
end

return boxes
