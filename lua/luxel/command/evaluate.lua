--- `luxel evaluate`: how good a trained model is on a folder or a table of labelled radiographs.
--
--     luxel evaluate --model runs/first/best.safetensors --data DIR
--
-- If DIR has a test/ folder, that is what is evaluated. Images that the model was trained on, known by their pixels,
-- and other images of patients that it was trained on are left out.

local core = require "luxel.core"
local csv = require "luxel.io.csv"
local doubts = require "luxel.command.doubts"
local lx = require "luxel"
local masks = require "luxel.command.masks"
local options = require "luxel.command.options"
local pages = require "luxel.command.pages"

local evaluate = {summary = "How good a trained model is on labelled radiographs."}

--- Adds the options of the command.
function evaluate.options(parser)
    options.add_model(parser, true)
    parser:flag("--tta", "Takes the mean over mirrored and slightly moved views of each image.")
    parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/, alone or below test/, or a CSV file (default: drawn "
        .. "phantoms).")
    options.add_data(parser)
    options.add_device(parser)
    parser:option("--json", "Write all figures to this file too.")
    parser:option("--predictions", "Of two classes: write the probability for each image to this CSV file, for luxel "
        .. "compare.")
    parser:option("--report", "Write a page with curves, thresholds, mistakes and cards to this file: HTML that needs "
        .. "nothing else. It shows names of files and pictures.")
    parser:option("--explain", "Beside each picture of the page a map of what its answer comes from, by a method of "
        .. "lx.explain: " .. table.concat(lx.explain.METHODS, ", ") .. "; by default grad_cam where the "
        .. "network averages its last maps, and else layer_cam.")
        :args("?"):argname "METHOD"
    parser:option("--subgroups", "Columns of the CSV file in --data to show figures by in the page: A,B,C (default: "
        .. "those called age, sex, view, scanner and the like).")
    options.add_seed(parser, "Of the resampling for the intervals.", 1)
    parser:option("--prevalence", "Share of positives where the model is used: precision and npv are for it."):convert(
        function(text)
            local share = tonumber(text)
            if share and share >= 0 and share <= 1 then return share end
            return nil, ("--prevalence: expected a number from 0 to 1, got '%s'"):format(text)
        end)
    options.add_number(parser, "--phantoms", "Number of phantoms to draw where there is no --data.", 300, 1, 1000000,
        true)
end

-- Phantoms that no training has drawn: seeds of training runs are positive.
local PHANTOM_SEED <const> = -1

-- The images, and a sentence on which they are.
local function read_data(args, model)
    if not args.data then
        options.check_without_data(args)
        if model.task ~= "binary" and model.task ~= "segmentation" then
            options.fail("--data: drawn phantoms have two classes, and the model more")
        elseif model.metadata.input.crop then
            options.fail(("--data: the model sees films cropped to the %s, and drawn phantoms are none; name a folder"
                ):format(model.metadata.input.crop))
        end
        return lx.data.phantom {n = args.phantoms, size = model.size, seed = PHANTOM_SEED, task = model.task},
            "phantoms drawn anew"
    end
    local frame = options.frame(args)
    options.check_classes(model, frame)
    local test = frame:in_part("test")
    local what = "all of " .. args.data
    if #test > 0 then frame, what = test, args.data .. "/test" end
    local unseen, left_out = lx.data.unseen(options.load_for(frame, model), model.metadata.trained_on)
    if #unseen == 0 then
        options.fail("the model was trained on all of these images or their patients; evaluating on them would say "
            .. "nothing "
            .. "about new ones")
    end
    if left_out.pixels + left_out.patients > 0 then
        what = ("%s, without %d images of patients it was trained on (%d that it saw, %d others of their "
            .. "patients). The %d "
            .. "left were most likely used to choose epoch and threshold: expect less on new images"):format(what,
            left_out.pixels + left_out.patients, left_out.pixels, left_out.patients, #unseen)
    end
    if frame:unknown_patients() == #frame then
        what = what .. "\n        nothing tells the patients of these images: intervals are of images, and other "
            .. "images of "
            .. "patients it was trained on may be among them"
    end
    return unseen, what
end

local function report_masks(args, model, dataset)
    local overlaps = options.must(model:overlaps(dataset))
    return masks.report(overlaps, dataset.groups or dataset.paths, args.seed)
end

local function report_scores(args, model, dataset)
    local probabilities, judgements
    if model.metadata.doubt and model.task == "binary" then
        probabilities, judgements = options.must(model:judge(dataset))
    else
        probabilities = options.must(model:probabilities(dataset))
    end
    local report = lx.metrics.report(probabilities, dataset.labels, {
        threshold = model.threshold, groups = dataset.groups, seed = args.seed,
        classes = model.task ~= "binary" and model.metadata.classes or nil, prevalence = args.prevalence,
    })
    if judgements then
        report.doubt = doubts.report(probabilities, judgements, core.to_table(dataset.labels), {
            threshold = model.threshold, groups = dataset.groups, seed = args.seed,
        })
    end
    return report, probabilities
end

local function check_method(given)
    for _, method in ipairs(lx.explain.METHODS) do
        if not given or given == method then return end
    end
    options.fail(("--explain: there is no method '%s'; there are %s"):format(given, table.concat(lx.explain.METHODS,
        ", ")))
end

local function write_predictions(path, model, dataset, probabilities)
    local lines = {"path,patient,label,probability,positive"}
    for i, label in ipairs(core.to_table(dataset.labels)) do
        if label == label then
            lines[#lines + 1] = table.concat({
                csv.cell(dataset.paths[i]), csv.cell(dataset.groups and dataset.groups[i] or dataset.paths[i]),
                ("%d"):format(label), (("%.9g"):format(probabilities[i]):gsub(",", ".")),
                probabilities[i] >= model.threshold and "1" or "0",
            }, ",")
        end
    end
    lines[#lines + 1] = ""
    options.must(core.write_file(path, {table.concat(lines, "\n")}))
    print("predictions in " .. path)
end

--- Runs the command.
---@param args table the options
function evaluate.run(args)
    check_method(args.explain and args.explain[1])
    local device, device_words = options.device(args.device)
    local model = options.must(lx.predictor.open(options.models(args), {device = device, tta = args.tta}))
    if model.task == "detection" then options.fail("the model finds boxes: use luxel detect evaluate") end
    if args.prevalence and model.task ~= "binary" and model.task ~= "labels" then
        options.fail(("--prevalence is for two classes or for labels, and the model tells %s"):format(model.task))
    end
    if args.report and model.task == "segmentation" then
        options.fail("--report: there is no page for masks yet; --json has their figures")
    elseif args.explain and (not args.report or model.members) then
        options.fail("--explain is for --report, and for one model")
    elseif args.subgroups and (not args.report or model.task ~= "binary") then
        options.fail("--subgroups is for --report, and for two classes")
    end
    if args.predictions and model.task ~= "binary" then
        options.fail(("--predictions is for two classes, and the model tells %s"):format(model.task))
    end
    local dataset, what = read_data(args, model)
    local classes = model.metadata.classes
    local report, probabilities
    if model.task == "segmentation" then report = report_masks(args, model, dataset)
    else report, probabilities = report_scores(args, model, dataset) end

    print("model: " .. model.path)
    print("device: " .. device_words)
    print("images: " .. what)
    print()
    print(model.task == "segmentation" and masks.words(report)
        or model.task == "binary" and lx.metrics.format_report(report, classes) or tostring(report))
    print()
    if rawget(report, "doubt") then
        print(doubts.words(report.doubt, model.path, model.metadata.adapted ~= nil))
        print()
    end
    if args.predictions then write_predictions(args.predictions, model, dataset, probabilities) end
    if args.report then pages.write(args, model, dataset, probabilities, what) end
    print(options.NOTICE)

    if args.json then
        report.model, report.images, report.classes, report.notice = model.path, what, classes, options.NOTICE
        report.unreadable = #dataset.failed
        local ok, message = core.write_file(args.json, {options.json(report), "\n"})
        if not ok then options.fail(message) end
    end
end

return evaluate
