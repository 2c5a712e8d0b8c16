--- `luxel evaluate`: how good a trained model is on a folder or a table of labelled radiographs.
--
--     luxel evaluate --model runs/first/best.safetensors --data DIR
--
-- If DIR has a test/ folder, that is what is evaluated. Images that the model was trained on, known by their pixels,
-- and other images of patients that it was trained on are left out.

local cjson = require "cjson"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local masks = require "luxel.command.masks"
local options = require "luxel.command.options"

local evaluate = {summary = "How good a trained model is on labelled radiographs."}

--- Adds the options of the command.
function evaluate.options(parser)
    parser:option("--model", "Model file that train wrote; of several the mean probability is taken."):count("1+")
    parser:flag("--tta", "Takes the mean over mirrored and slightly moved views of each image.")
    parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/, alone or below test/, or a CSV file (default: drawn "
        .. "phantoms).")
    options.add_data(parser)
    options.add_device(parser)
    parser:option("--json", "Write all figures to this file too.")
    parser:option("--report", "Write a page with curves, thresholds, mistakes and cards to this file: HTML that needs "
        .. "nothing else. It shows names of files and pictures.")
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

-- The classes of the images have to be those of the model, by the names that the training data had or by the model's
-- words.
local function check_classes(model, frame)
    local metadata = model.metadata
    if model.task == "segmentation" and frame.task == model.task then return end
    if frame.task ~= model.task or #frame.classes ~= #metadata.classes then
        options.fail(("the model tells %s (%s), and the images have %s (%s)"):format(table.concat(metadata.classes,
            ", "),
            model.task, table.concat(frame.classes, ", "), frame.task))
    end
    if model.task == "binary" then return end -- which is the disease has been told
    for k, name in ipairs(frame.classes) do
        local folder = (metadata.folders or metadata.classes)[k]
        if name:lower() ~= folder:lower() and name:lower() ~= metadata.classes[k]:lower() then
            options.fail(("class %d of the images is %s, and of the model %s"):format(k, name, folder))
        end
    end
end

-- The images, and a sentence on which they are.
local function read_data(args, model)
    if not args.data then
        if model.task ~= "binary" and model.task ~= "segmentation" then
            options.fail("--data: drawn phantoms have two classes, and the model more")
        end
        return lx.data.phantom {n = args.phantoms, size = model.size, seed = PHANTOM_SEED, task = model.task},
            "phantoms drawn anew"
    end
    local frame = options.frame(args)
    check_classes(model, frame)
    local test = frame:in_part("test")
    local what = "all of " .. args.data
    if #test > 0 then frame, what = test, args.data .. "/test" end
    local unseen, left_out = lx.data.unseen(options.load(frame, model.size, false), model.metadata.trained_on)
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
    local probabilities = options.must(model:probabilities(dataset))
    return lx.metrics.report(probabilities, dataset.labels, {
        threshold = model.threshold, groups = dataset.groups, seed = args.seed,
        classes = model.task ~= "binary" and model.metadata.classes or nil, prevalence = args.prevalence,
    }), probabilities
end

-- Columns that figures are shown by, without what is no letter.
local USUAL <const> = {}
for _, name in ipairs {"age", "patientage", "sex", "patientsex", "gender", "patientgender", "view", "viewposition",
    "projection", "scanner", "manufacturer", "modelname", "hospital", "site", "institution", "part", "style", "cluster",
    "stylecluster"} do
    USUAL[name] = true
end

-- Columns of the table in --data by name, a value for each image.
local function subgroups_of(args, dataset)
    local is_table = args.data and lfs.attributes(args.data, "mode") == "file"
    if not is_table then
        if args.subgroups then options.fail("--subgroups: --data is no CSV file with columns") end
        return nil
    end
    local rows, columns = csv.read(args.data)
    if not rows then options.fail(columns) end
    local names, known = {}, {}
    for _, name in ipairs(columns) do
        known[name] = true
        if not args.subgroups and USUAL[name:lower():gsub("[^%a]", "")] then names[#names + 1] = name end
    end
    for name in (args.subgroups or ""):gmatch("[^,]+") do
        if not known[name] then options.fail(("--subgroups: there is no column '%s'; the columns are %s"):format(name,
            table.concat(columns, ", "))) end
        names[#names + 1] = name
    end
    local root, out, row_of = args.root or args.data:match("^(.*)/[^/]*$") or ".", {}, {}
    root = root:gsub("(.)/+$", "%1")
    for _, row in ipairs(rows) do
        local path = row[args.path]
        if path then row_of[(path:sub(1, 1) == "/" or root == "") and path or root .. "/" .. path] = row end
    end
    for _, name in ipairs(names) do
        out[name] = {}
        for i, path in ipairs(dataset.paths) do out[name][i] = row_of[path] and row_of[path][name] or false end
    end
    return out
end

local function write_page(args, model, dataset, probabilities, what)
    options.must(lx.report.evaluation(args.report, probabilities, dataset, {
        threshold = model.threshold, classes = model.metadata.classes, metadata = model.metadata, model = model.path,
        data = what:gsub("%s+", " "), seed = args.seed, prevalence = args.prevalence,
        command = options.command_line(), subgroups = model.task == "binary" and subgroups_of(args, dataset) or nil,
    }))
    print("report in " .. args.report)
end

--- Runs the command.
---@param args table the options
function evaluate.run(args)
    local device, device_words = options.device(args.device)
    local model = options.must(lx.predictor.open(args.model, {device = device, tta = args.tta}))
    if args.prevalence and model.task ~= "binary" and model.task ~= "labels" then
        options.fail(("--prevalence is for two classes or for labels, and the model tells %s"):format(model.task))
    end
    if args.report and model.task == "segmentation" then
        options.fail("--report: there is no page for masks yet; --json has their figures")
    elseif args.subgroups and (not args.report or model.task ~= "binary") then
        options.fail("--subgroups is for --report, and for two classes")
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
    if args.report then write_page(args, model, dataset, probabilities, what) end
    print(options.NOTICE)

    if args.json then
        report.model, report.images, report.classes, report.notice = model.path, what, classes, options.NOTICE
        report.unreadable = #dataset.failed
        local encode = cjson.new()
        encode.encode_invalid_numbers("null")
        local ok, message = core.write_file(args.json, {encode.encode(report), "\n"})
        if not ok then options.fail(message) end
    end
end

return evaluate
