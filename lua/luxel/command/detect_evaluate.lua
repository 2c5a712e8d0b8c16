--- `luxel detect evaluate`: how well a detector finds what is known to be there.
--
--     luxel detect evaluate --model runs/boxes/best.safetensors --data boxes.csv --images films
--
-- Images that the model was trained on, known by their pixels, and other images of its patients are left out.

local boxes = require "luxel.command.boxes"
local core = require "luxel.core"
local boxes_page = require "luxel.report.boxes"
local detection = require "luxel.train.detection"
local json = require "luxel.json"
local lx = require "luxel"
local options = require "luxel.command.options"

local evaluate = {summary = "How well a detector finds what is known to be there."}

-- Phantoms that no training has drawn: seeds of training runs are not negative.
local PHANTOM_SEED <const> = -1

local PICTURES <const> = 12 -- of each kind in the page

--- Adds the options of the command.
function evaluate.options(parser)
    boxes.add_data(parser)
    parser:option("--model", "Model file that detect train wrote."):count(1)
    options.add_device(parser)
    parser:option("--json", "Write all figures to this file too.")
    parser:option("--report", "Write a page with curves, figures and pictures of what was missed and found to this "
        .. "file: HTML that needs nothing else. It shows names of files and pictures.")
    options.add_seed(parser, "Of the resampling for the intervals.", 1)
    options.add_number(parser, "--phantoms", "Number of phantoms to draw where there is no --data.", 300, 1, 1000000,
        true)
end

-- The images, and a sentence on which they are.
local function read_data(args, model)
    if not args.data then
        return lx.data.phantom {n = args.phantoms, size = model.size, seed = PHANTOM_SEED, task = "detection"},
            "phantoms drawn anew"
    end
    local frame, what = boxes.frame(args, model.classes), "all of " .. args.data
    if #frame == 0 then options.fail("of no image --data says what is in it") end
    local unseen, left_out = lx.data.unseen(options.load(frame, model.size, false), model.metadata.trained_on)
    if #unseen == 0 then
        options.fail("the model was trained on all of these images or their patients; evaluating on them would say "
            .. "nothing about new ones")
    end
    if left_out.pixels + left_out.patients > 0 then
        what = ("%s, without %d images of patients it was trained on. The %d left were most likely used to choose "
            .. "epoch and threshold: expect less on new images"):format(what, left_out.pixels + left_out.patients,
            #unseen)
    end
    if frame:unknown_patients() == #frame then
        what = what .. "\n        nothing tells the patients of these images: intervals are of images, and other "
            .. "images of patients it was trained on may be among them"
    end
    return unseen, what
end

-- Boxes of images that were read from files, brought to the pixels of these: COCO's areas are in them. And the sizes.
local function to_files(dataset, found)
    local truth, sizes = {}, {}
    for i = 1, #dataset do
        local info = dataset.images and core.probe_image(dataset.paths[i])
        local height, width = dataset:extent(i)
        local across, down = info and info.width / width or 1, info and info.height / height or 1
        local function scaled(list)
            local out = {}
            for k, box in ipairs(list) do
                out[k] = {
                    x = box.x * across, y = box.y * down, w = box.w * across, h = box.h * down, score = box.score,
                    class = box.class, label = box.label, crowd = box.crowd,
                }
            end
            return out
        end
        truth[i], found[i] = scaled(dataset.boxes[i]), scaled(found[i])
        sizes[i] = {height * down, width * across}
    end
    return truth, sizes
end

-- Sensitivity and false marks an image of the boxes that the model tells, with its threshold.
local function at_threshold(marks, threshold)
    local hits, lesions, wrong, taken = 0, 0, 0, {}
    for i, image in ipairs(marks) do
        lesions = lesions + image.lesions
        for _, mark in ipairs(image.marks) do
            local key = mark.lesion and i .. ":" .. mark.lesion
            if mark.score >= threshold and not key then
                wrong = wrong + 1
            elseif mark.score >= threshold and not taken[key] then
                taken[key], hits = true, hits + 1
            end
        end
    end
    return {sensitivity = lesions > 0 and hits / lesions or nil, false_marks = wrong / #marks, threshold = threshold}
end

--- All figures of found boxes.
---@param dataset luxel.Dataset with the boxes that are known
---@param found luxel.FoundBox[][]
---@param options_of {threshold: number, seed: integer}
---@return table report
function evaluate.report(dataset, found, options_of)
    local truth, detections, images = detection.entries(dataset, found)
    local patients, lesions, with = dataset.groups and {} or nil, 0, 0
    for _, i in ipairs(images) do
        if patients then patients[i] = dataset.groups[i] end
        with = with + (#dataset.boxes[i] > 0 and 1 or 0)
    end
    for _, one in ipairs(truth) do lesions = lesions + (one.crowd and 0 or 1) end
    local marks = detection.marks(truth, detections, images, {patients = patients})
    local coco = lx.metrics.coco(truth, detections, {images = images})
    local ap50 = lx.metrics.detection_ap_interval(truth, detections, {
        images = images, patients = patients, seed = options_of.seed,
    })
    local froc = lx.metrics.froc_intervals(marks, {seed = options_of.seed})
    local jafroc = lx.metrics.jafroc(marks, {seed = options_of.seed})
    return {
        images = #images, with_objects = with, objects = lesions, ap = coco.ap, ap50 = coco.ap50, ap75 = coco.ap75,
        ap50_interval = ap50 and ap50.low and {low = ap50.low, high = ap50.high} or nil,
        ap_small = coco.ap_small, ap_medium = coco.ap_medium, ap_large = coco.ap_large, ar100 = coco.ar100,
        froc = froc and setmetatable(froc.points, json.LIST) or nil, froc_mean = froc and froc.mean, units = froc
            and froc.units, patients = patients ~= nil,
        jafroc = jafroc and {value = jafroc.value, low = jafroc.low, high = jafroc.high} or nil,
        at_threshold = at_threshold(marks, options_of.threshold),
    }
end

local function number(value) return value and ("%8.4f"):format(value) or "     n/a" end

local function interval(one) return one.low and ("  [%.4f, %.4f]"):format(one.low, one.high) or "" end

--- The report as text for a terminal.
---@param report table
---@return string
function evaluate.words(report)
    local lines = {
        ("%d images: %d objects in %d, nothing in %d"):format(report.images, report.objects, report.with_objects,
            report.images - report.with_objects), "",
        "  average precision of boxes (COCO)",
        ("    AP50     %s%s   (overlap from 0.5)"):format(number(report.ap50), interval(report.ap50_interval or {})),
        ("    AP       %s   (mean over 0.5, 0.55 ... 0.95)"):format(number(report.ap)),
        ("    AP75     %s"):format(number(report.ap75)), "",
    }
    local function add(text, ...) lines[#lines + 1] = text:format(...) end
    if report.froc then
        add("  free-response ROC (a mark hits an object that its centre lies in)")
        for _, point in ipairs(report.froc) do
            add("    sensitivity at %5.3f false marks an image %s%s", point.rate, number(point.sensitivity),
                interval(point))
        end
        add("    mean of these                            %s", number(report.froc_mean))
    else
        add("  no object to find: there is no sensitivity")
    end
    if report.jafroc then
        add("    JAFROC figure of merit                   %s%s", number(report.jafroc.value), interval(report.jafroc))
    end
    local at = report.at_threshold
    add("")
    add("  at the model's threshold of %.4f: sensitivity %s, %.3f false marks an image", at.threshold,
        at.sensitivity and ("%.4f"):format(at.sensitivity) or "n/a", at.false_marks)
    if report.units and report.units > 1 then
        add("")
        add("  [95%% intervals: 1000 resamples of %d %s]", report.units, report.patients and "patients" or "images")
    end
    return table.concat(lines, "\n")
end

--- Runs the command.
---@param args table the options
function evaluate.run(args)
    boxes.check(args)
    local device, device_words = options.device(args.device)
    local model = options.must(lx.predictor.open(args.model, {device = device}))
    if model.task ~= "detection" then
        options.fail(("--model: it tells %s, and finds no boxes; use luxel evaluate"):format(table.concat(model.classes,
            ", ")))
    end
    local dataset, what = read_data(args, model)
    for _, name in ipairs(dataset.classes) do
        local known = false
        for _, own in ipairs(model.classes) do known = known or own == name end
        if not known then
            options.fail(("--data has boxes of '%s', and the model finds %s; --one-class takes all boxes for one class")
                :format(name, table.concat(model.classes, ", ")))
        end
    end
    -- the same number means the same class on both sides, in whichever order --classes or a file has them
    dataset.classes, dataset.class_places = model.classes, nil
    local found = options.must(model:detections(dataset, {threshold = detection.LEAST}))
    local sizes
    dataset.boxes, sizes = to_files(dataset, found)
    local report = evaluate.report(dataset, found, {threshold = model.threshold, seed = args.seed})
    print("model: " .. model.path)
    print("device: " .. device_words)
    print("images: " .. what)
    print()
    print(evaluate.words(report))
    print()
    if args.report then
        options.must(boxes_page.write(args.report, dataset, found, report, {
            threshold = model.threshold, pictures = PICTURES, sizes = sizes, metadata = model.metadata,
            model = model.path, data = what:gsub("%s+", " "), command = options.command_line(),
        }))
        print("report in " .. args.report)
    end
    print(options.NOTICE)
    if args.json then
        report.model, report.data, report.classes, report.notice = model.path, what, model.classes, options.NOTICE
        local ok, message = core.write_file(args.json, {json.encode(report), "\n"})
        if not ok then options.fail(message) end
    end
end

return evaluate
