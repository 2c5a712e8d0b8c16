--- What a detector is worth on few real boxes: folds of patients, beside a blank guess that looks at no image.
--
--     lua5.4 bench/boxes.lua nih|covid DATA OUT [WEIGHTS [EPOCHS [FOLDS]]]
--
-- DATA: nih_cxr14 (boxes.csv, of which those of RSNA's label "LungOpacity" count; rsna_status.csv, whose images of
-- other kinds are known to have none) or covid_gb_boxes (boxes_components.csv; images.csv, whose `url` is the patient).
-- WEIGHTS: those of EfficientNet-Lite0 (luxel weights efficientnet-lite0), `none` to begin from nothing. Options were
-- chosen on phantoms alone; the last epoch counts. An interrupted run goes on when it is started again.
--
-- The images of nih_cxr14 are those that docs/trust.md judges models on. Networks of this bench are for its table
-- alone.

local csv = require "luxel.io.csv"
local detection = require "luxel.train.detection"
local evaluate = require "luxel.command.detect_evaluate"
local lx = require "luxel"

local SIZE <const>, STRIDE <const>, BATCH <const> = 256, 16, 8
local FOLDS <const>, EPOCHS <const>, RATE <const> = 5, 20, 1e-3

local which, data, out = arg[1], arg[2], arg[3]
if (which ~= "nih" and which ~= "covid") or not out then
    error("usage: boxes.lua nih|covid DATA OUT [WEIGHTS [EPOCHS [FOLDS]]]", 0)
end
local weights = arg[4] ~= "none" and arg[4] or nil
local epochs, count = math.tointeger(arg[5] or EPOCHS), math.tointeger(arg[6] or FOLDS)

-- The rows of a table that are kept.
local function rows_of(path, keep)
    local rows = {}
    for _, row in ipairs(assert(csv.read(path))) do
        if keep(row) then rows[#rows + 1] = row end
    end
    return rows
end

-- ---- the images -------------------------------------------------------------------------------------------------

local READERS <const> = {}

-- Boxes of one label of a table with others, and images that are known to have none.
function READERS.nih()
    local path = os.tmpname()
    local lines = {"image,x,y,w,h,label"}
    for _, row in ipairs(rows_of(data .. "/boxes.csv", function(row) return row.label == "LungOpacity" end)) do
        lines[#lines + 1] = table.concat({row.image, row.x, row.y, row.w, row.h, "opacity"}, ",")
    end
    for _, row in ipairs(rows_of(data .. "/rsna_status.csv", function(row) return row.rsna_target == "0" end)) do
        lines[#lines + 1] = row.image .. ",,,,,"
    end
    local file = assert(io.open(path, "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
    local frame, message = lx.data.box_frame(path, {format = "csv", images = data .. "/images", unlisted = "leave_out"})
    os.remove(path)
    return assert(frame, message)
end

function READERS.covid()
    local frame = assert(lx.data.box_frame(data .. "/boxes_components.csv", {
        images = data .. "/images", unlisted = "leave_out", one_class = "opacity",
    }))
    local patient = {}
    for _, row in ipairs(rows_of(data .. "/images.csv", function() return true end)) do patient[row.image] = row.url end
    for i, path in ipairs(frame.path) do
        frame.group[i], frame.source[i] = assert(patient[path:match("[^/]*$")]), "column 'url'"
    end
    frame.groups_known = true
    return frame
end

-- ---- the network ------------------------------------------------------------------------------------------------

local function anchors_of(set)
    local sizes = {}
    for _, boxes in ipairs(set.boxes) do
        for _, box in ipairs(boxes) do sizes[#sizes + 1] = {box.w / STRIDE, box.h / STRIDE} end
    end
    return (assert(lx.vision.boxes.anchors(sizes, 5)))
end

-- What models that learned from these images say of themselves.
local outside_sets = which == "nih" and {"ChestX-ray14, read for RSNA's challenge"} or nil

local function plan(fold)
    lx.manual_seed(1)
    local network = {backbone = "efficientnet_lite0", stride = STRIDE, anchors = anchors_of(fold.train), channels = 1}
    local options = {pretrained = weights}
    for name, value in pairs(network) do options[name] = value end
    local net = assert(lx.models.yolo_lite(options))
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = RATE, weight_decay = 0.01})
    local steps = math.ceil(#fold.train / BATCH) * epochs
    return {
        net = net, optimizer = optimizer, train = fold.train, val = fold.val, epochs = epochs, batch = BATCH,
        best = "last", balanced = which == "nih", clip = 10, drop_last = true,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps}),
        augment = {{"hflip", p = 0.5}, {"shift", 0.08}, {"zoom", 0.15}, {"brightness", 0.1}, {"contrast", 0.15}},
        metadata = {
            model = "yolo_lite", network = network, size = SIZE,
            outside_sets = outside_sets,
        },
    }
end

-- ---- a guess without looking ------------------------------------------------------------------------------------

-- The mean box of each half of the picture, as sure as so many training images have one there.
local function blank_guess(train)
    local halves = {{n = 0, x = 0, y = 0, w = 0, h = 0}, {n = 0, x = 0, y = 0, w = 0, h = 0}}
    for _, boxes in ipairs(train.boxes) do
        for _, box in ipairs(boxes) do
            local half = halves[box.x + box.w / 2 < SIZE / 2 and 1 or 2]
            half.n = half.n + 1
            for _, side in ipairs {"x", "y", "w", "h"} do half[side] = half[side] + box[side] end
        end
    end
    local guess = {}
    for _, half in ipairs(halves) do
        if half.n > 0 then
            guess[#guess + 1] = {
                x = half.x / half.n, y = half.y / half.n, w = half.w / half.n, h = half.h / half.n, class = 1,
                score = math.min(1, half.n / #train),
            }
        end
    end
    return guess
end

-- ---- all of it --------------------------------------------------------------------------------------------------

local function with_interval(value, one)
    return one.low and ("%.3f (%.3f – %.3f)"):format(value, one.low, one.high) or ("%.3f"):format(value)
end

local function sensitivity(report, rate)
    for _, point in ipairs(report.froc) do
        if point.rate == rate then return with_interval(point.sensitivity, point) end
    end
end

local function row(title, set, found)
    local report = evaluate.report(set, found, {threshold = 0.5, seed = 1})
    local merit = report.jafroc
    print(("| %s | %.3f | %s | %s | %s | %.3f | %s |"):format(title, report.ap50, sensitivity(report, 0.25),
        sensitivity(report, 0.5), sensitivity(report, 1), report.froc_mean,
        merit and with_interval(merit.value, merit) or "n/a"))
end

local frame = READERS[which]()
print(frame)
local set = assert(frame:load {size = SIZE})
local folds = assert(set:folds(count))
local result = assert(lx.train.cross_validate {folds = folds, out = out, resume = true, fit = plan})
if result.interrupted or result.save_problem then os.exit(1) end

local place, found, blank = {}, {}, {}
for i, path in ipairs(set.paths) do place[path] = i end
for k, fold in ipairs(folds) do
    local model = assert(lx.predictor.open(("%s/fold-%d/best.safetensors"):format(out, k)))
    local boxes = assert(model:detections(fold.val, {threshold = detection.LEAST}))
    local guess = blank_guess(fold.train)
    for i, path in ipairs(fold.val.paths) do found[place[path]], blank[place[path]] = boxes[i], guess end
end
local with, objects = 0, 0
for _, boxes in ipairs(set.boxes) do with, objects = with + (#boxes > 0 and 1 or 0), objects + #boxes end
print(("\n%d images, %d with %d boxes; %d folds of patients, %d epochs\n"):format(#set, with, objects, count, epochs))
print("| | AP50 | sensitivity at 0.25 | at 0.5 | at 1 false mark an image | mean of 1/8 to 8 | JAFROC |")
print("|---|---|---|---|---|---|---|")
row(weights and "backbone with weights of ImageNet" or "from nothing", set, found)
row("blank guess: the mean box of each half", set, blank)
