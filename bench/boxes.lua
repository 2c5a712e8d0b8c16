--- What a detector is worth on few real boxes: folds of patients, beside boxes from maps of networks that learned from
-- no box, and beside a blank guess that looks at no image.
--
--     lua5.4 bench/boxes.lua nih|covid|mass DATA OUT WEIGHTS [EPOCHS [FOLDS [ROWS]]]
--
-- DATA is the folder of the sets: nih_cxr14 (boxes.csv, of which those of RSNA's label "LungOpacity" count;
-- rsna_status.csv, whose images of other kinds are known to have none), covid_gb_boxes (boxes_components.csv;
-- images.csv, whose `url` is the patient), nih_mass50 (for the pipeline alone: what its boxes are worth is not known).
-- WEIGHTS: those of EfficientNet-Lite0 (luxel weights efficientnet-lite0), with which the backbone begins, and beside
-- it from nothing. Options were chosen on phantoms alone; the last epoch counts. An interrupted run goes on when it is
-- started again. ROWS: those of the table, of imagenet,nothing,grad_cam,layer_cam,anomaly,blank (default all).
--
-- The images of nih_cxr14 are those that docs/trust.md judges models on. Networks of this bench are for its table
-- alone.

local csv = require "luxel.io.csv"
local detection = require "luxel.train.detection"
local lx = require "luxel"
local packaged = require "luxel.packaged"

local SIZE <const>, STRIDE <const>, BATCH <const> = 192, 16, 8
local FOLDS <const>, RATE <const> = 5, 1e-3

-- About a hundred steps of each network in each fold.
local EPOCHS <const> = {nih = 5, covid = 10, mass = 2}

-- From which overlap on a box is right.
local OVERLAPS <const> = {0.1, 0.3, 0.5}

-- Of the largest value of a map, from which on a place belongs to a box: Zhou et al. (2016) take a fifth.
local SHARES <const> = {0.2, 0.5}

-- Of the anomaly map 1 is what one place in a hundred of a usual normal image exceeds.
local UNUSUAL <const> = 1

local which, data, out, weights = arg[1], arg[2], arg[3], arg[4]
local epochs = math.tointeger(arg[5] or EPOCHS[which])
local count = math.tointeger(arg[6] or FOLDS)
if not EPOCHS[which] or not weights or not epochs or not count then
    error("usage: boxes.lua nih|covid|mass DATA OUT WEIGHTS [EPOCHS [FOLDS [ROWS]]]", 0)
end

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

local NIH <const>, COVID <const> = data .. "/nih_cxr14", data .. "/covid_gb_boxes"
local MASS <const> = data .. "/nih_mass50"

-- Boxes of one label of a table with others, and images that are known to have none.
function READERS.nih()
    local path = os.tmpname()
    local lines = {"image,x,y,w,h,label"}
    for _, row in ipairs(rows_of(NIH .. "/boxes.csv", function(row) return row.label == "LungOpacity" end)) do
        lines[#lines + 1] = table.concat({row.image, row.x, row.y, row.w, row.h, "opacity"}, ",")
    end
    for _, row in ipairs(rows_of(NIH .. "/rsna_status.csv", function(row) return row.rsna_target == "0" end)) do
        lines[#lines + 1] = row.image .. ",,,,,"
    end
    local file = assert(io.open(path, "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
    local frame, message = lx.data.box_frame(path, {format = "csv", images = NIH .. "/images", unlisted = "leave_out"})
    os.remove(path)
    return assert(frame, message)
end

function READERS.covid()
    local frame = assert(lx.data.box_frame(COVID .. "/boxes_components.csv", {
        images = COVID .. "/images", unlisted = "leave_out", one_class = "opacity",
    }))
    local patient = {}
    for _, row in ipairs(assert(csv.read(COVID .. "/images.csv"))) do patient[row.image] = row.url end
    for i, path in ipairs(frame.path) do
        frame.group[i], frame.source[i] = assert(patient[path:match("[^/]*$")]), "column 'url'"
    end
    frame.groups_known = true
    return frame
end

function READERS.mass()
    return assert(lx.data.box_frame(MASS .. "/boxes.csv", {
        images = MASS .. "/images", unlisted = "leave_out", one_class = "mass or nodule",
    }))
end

-- ---- the network ------------------------------------------------------------------------------------------------

local function anchors_of(set)
    local sizes = {}
    for _, boxes in ipairs(set.boxes) do
        for _, box in ipairs(boxes) do sizes[#sizes + 1] = {box.w / STRIDE, box.h / STRIDE} end
    end
    return (assert(lx.vision.boxes.anchors(sizes, 5)))
end

-- What models that learned from images that others are judged on say of themselves.
local function outside_sets(paths)
    local sets, seen = {}, {}
    for _, path in ipairs(paths) do
        local set = lx.data.outside(path)
        if set and not seen[set] then seen[set], sets[#sets + 1] = true, set end
    end
    return #sets > 0 and sets or nil
end

local function plan(fold, pretrained)
    lx.manual_seed(1)
    local network = {backbone = "efficientnet_lite0", stride = STRIDE, anchors = anchors_of(fold.train), channels = 1}
    local options = {pretrained = pretrained}
    for name, value in pairs(network) do options[name] = value end
    local net = assert(lx.models.yolo_lite(options))
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = RATE, weight_decay = 0.01})
    local steps = math.ceil(#fold.train / BATCH) * epochs
    return {
        net = net, optimizer = optimizer, train = fold.train, val = fold.val, epochs = epochs, batch = BATCH,
        best = "last", balanced = which == "nih", clip = 10, drop_last = true,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps}),
        augment = {{"hflip", p = 0.5}, {"shift", 0.08}, {"zoom", 0.15}, {"brightness", 0.1}, {"contrast", 0.15}},
        metadata = {model = "yolo_lite", network = network, size = SIZE, outside_sets = outside_sets(fold.train.paths)},
    }
end

-- Boxes of each image by the networks of the folds that did not learn from it.
local function learnt(set, folds, place, name, pretrained)
    local folder, found = out .. "/" .. name, {}
    local result = assert(lx.train.cross_validate {
        folds = folds, out = folder, resume = true, fit = function(fold) return plan(fold, pretrained) end,
    })
    if result.interrupted or result.save_problem then os.exit(1) end
    for k, fold in ipairs(folds) do
        local model = assert(lx.predictor.open(("%s/fold-%d/best.safetensors"):format(folder, k)))
        local boxes = assert(model:detections(fold.val, {threshold = detection.LEAST}))
        for i, path in ipairs(fold.val.paths) do found[place[path]] = boxes[i] end
    end
    assert(#found == #set)
    return found
end

-- ---- maps of networks that learned from no box --------------------------------------------------------------------

-- Boxes around what is high in a map of a whole film, in the pixels of the set. Scores are those of the map, times a
-- factor.
local function boxes_of(map, options, factor)
    local corners, scores = lx.vision.boxes.of_map(map, options)
    local rows, values, list = corners:totable(), scores:totable(), {}
    local height, width = map.shape[2], map.shape[3]
    for i, b in ipairs(rows) do
        local x, y = b[1] / width * SIZE, b[2] / height * SIZE
        list[i] = {
            x = x, y = y, w = b[3] / width * SIZE - x, h = b[4] / height * SIZE - y, class = 1,
            score = values[i] * factor,
        }
    end
    return list
end

-- By the classifier of the package, which sees the part of a film with both lungs: maps are brought back to the whole
-- film. The best box of a film is as sure as the film is infected.
local function by_classifier(set, method)
    local model, infected, rows = assert(lx.predictor.open(assert(packaged.path()))), {}, {}
    for k, share in ipairs(SHARES) do
        rows[k] = {("`%s` of the classifier, from %g of its largest value on"):format(method, share), {}}
    end
    for i, path in ipairs(set.paths) do infected[i] = assert(model(path, {quality = false})).infected end
    for i, path in ipairs(set.paths) do
        local map = assert(lx.explain[method](model, path))
        local most = map:max():item()
        for k, share in ipairs(SHARES) do
            rows[k][2][i] = boxes_of(map, {share = share}, most > 0 and infected[i] / most or 0)
        end
    end
    return table.unpack(rows)
end

-- Images of NIH that radiologists read as normal, without those of some paths.
local function normal_films(without)
    local rows, known = {}, {}
    for _, path in ipairs(without) do known[path:match("[^/]*$")] = true end
    for _, row in ipairs(rows_of(NIH .. "/rsna_status.csv", function(row) return row.rsna_class == "Normal" end)) do
        if not known[row.image] then
            rows[#rows + 1] = {
                path = NIH .. "/images/" .. row.image, label = "Normal", patient = row.image:match("^%d+"),
            }
        end
    end
    return assert(assert(lx.data.frame(rows, {label = "label", classes = {"Normal", "Opacity"}})):load {size = 224})
end

-- By what is unusual (`patchcore`), learnt from normal films of other patients.
local function by_anomaly(set, folds, place)
    local found = {}
    local function look(paths, normals)
        local net = assert(lx.models.efficientnet_lite0 {pretrained = weights, head = "replace", outputs = 1})
        local detector = assert(lx.anomaly.fit(normals, {
            net = net, method = "patchcore", patches = 1000, enhance = {{"clahe"}}, seed = 1,
        }))
        for _, path in ipairs(paths) do
            local answer = assert(detector(path))
            found[place[path]] = boxes_of(answer.map, {level = UNUSUAL}, 1)
        end
    end
    if which == "nih" then
        for _, fold in ipairs(folds) do look(fold.val.paths, normal_films(fold.val.paths)) end
    else
        look(set.paths, normal_films {})
    end
    return found
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

local function blank(set, folds, place)
    local found = {}
    for _, fold in ipairs(folds) do
        local guess = blank_guess(fold.train)
        for _, path in ipairs(fold.val.paths) do found[place[path]] = guess end
    end
    assert(#found == #set)
    return found
end

-- ---- figures ------------------------------------------------------------------------------------------------------

local function with_interval(value, one)
    return one.low and ("%.3f (%.3f – %.3f)"):format(value, one.low, one.high) or ("%.3f"):format(value)
end

-- In how many of the images with objects the centre of the best box is in one of these.
local function centre_hits(set, found)
    local values, groups = {}, {}
    for i, boxes in ipairs(set.boxes) do
        if #boxes > 0 then
            local best, hit = found[i][1], 0
            for _, box in ipairs(boxes) do
                local dx, dy = best and best.x + best.w / 2 - box.x, best and best.y + best.h / 2 - box.y
                if best and dx >= 0 and dx <= box.w and dy >= 0 and dy <= box.h then hit = 1 end
            end
            values[#values + 1], groups[#groups + 1] = hit, set.groups[i]
        end
    end
    local hits = lx.metrics.mean(values, {groups = groups})
    return with_interval(hits.mean, hits)
end

local function precision_row(title, set, found)
    local truth, detections, images = detection.entries(set, found)
    local cells = {}
    for k, overlap in ipairs(OVERLAPS) do
        local ap = assert(lx.metrics.detection_ap_interval(truth, detections, {
            iou = overlap, images = images, patients = set.groups,
        }))
        cells[k] = with_interval(ap.value, ap)
    end
    print(("| %s | %s | %s |"):format(title, table.concat(cells, " | "), centre_hits(set, found)))
    io.stdout:flush()
end

local RATES <const> = {0.25, 0.5, 1, 2}

local function froc_row(title, set, found)
    local truth, detections, images = detection.entries(set, found)
    local marks = detection.marks(truth, detections, images, {patients = set.groups})
    local froc, cells = assert(lx.metrics.froc_intervals(marks, {rates = RATES})), {}
    for k, point in ipairs(froc.points) do cells[k] = with_interval(point.sensitivity, point) end
    local merit = lx.metrics.jafroc(marks)
    print(("| %s | %s | %.3f | %s |"):format(title, table.concat(cells, " | "), (lx.metrics.froc_sensitivity(marks)),
        merit and with_interval(merit.value, merit) or "no image without objects"))
    io.stdout:flush()
end

local function row_of(...) return "| " .. table.concat({...}, " | ") .. " |" end

-- ---- all of it --------------------------------------------------------------------------------------------------

local frame = READERS[which]()
print(frame)
local set = assert(frame:load {size = SIZE})
local folds = assert(set:folds(count))
local place, rows = {}, {}
for i, path in ipairs(set.paths) do place[path] = i end

-- What each row of the table is made of: {title, boxes of each image}, one or two.
local ROWS <const> = {
    imagenet = function()
        return {"backbone with weights of ImageNet", learnt(set, folds, place, "imagenet", weights)}
    end,
    nothing = function() return {"from nothing", learnt(set, folds, place, "nothing", nil)} end,
    grad_cam = function() return by_classifier(set, "grad_cam") end,
    layer_cam = function() return by_classifier(set, "layer_cam") end,
    anomaly = function() return {("anomaly map, from %g on"):format(UNUSUAL), by_anomaly(set, folds, place)} end,
    blank = function() return {"blank guess: the mean box of each half", blank(set, folds, place)} end,
}
for name in (arg[7] or "imagenet,nothing,grad_cam,layer_cam,anomaly,blank"):gmatch("[%w_]+") do
    local make = ROWS[name] or error("there is no row '" .. name .. "'", 0)
    for _, row in ipairs {make()} do rows[#rows + 1] = row end
end

local with, objects = 0, 0
for _, boxes in ipairs(set.boxes) do with, objects = with + (#boxes > 0 and 1 or 0), objects + #boxes end
print(("\n%d images, %d with %d boxes; %d folds of patients, %d epochs\n"):format(#set, with, objects, count, epochs))
print(row_of("", "AP at an overlap of " .. OVERLAPS[1], "of " .. OVERLAPS[2], "of " .. OVERLAPS[3],
    "centre of the best box in a box"))
print("|---|---|---|---|---|")
for _, row in ipairs(rows) do precision_row(row[1], set, row[2]) end
print("\n" .. row_of("sensitivity at so many false marks an image", RATES[1], RATES[2], RATES[3], RATES[4],
    "mean of 1/8 to 8", "JAFROC"))
print("|---|---|---|---|---|---|---|")
for _, row in ipairs(rows) do froc_row(row[1], set, row[2]) end
