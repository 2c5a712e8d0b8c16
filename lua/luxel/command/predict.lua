--- `luxel predict`: says for new radiographs whether they look infected, and how sure the model is.
--
--     luxel predict --model runs/first/best.safetensors xray.jpeg
--     luxel predict --model runs/first/best.safetensors --format csv --out pictures folder/ >answers.csv
--     luxel predict --model runs/first/best.safetensors --worklist today.csv --page today.html folder/

local annotate = require "luxel.command.annotate"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local images = require "luxel.command.images"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"
local study = require "luxel.report.study"
local worklist = require "luxel.command.worklist"

local predict = {summary = "Says whether radiographs look infected."}

--- Adds the options that say which images, and how answers are written.
function predict.add_images(parser)
    images.options(parser)
    options.add_device(parser)
    options.add_format(parser)
end

--- Adds the options of the command.
function predict.options(parser)
    predict.add_images(parser)
    options.add_model(parser, true)
    parser:flag("--tta", "Takes the mean over mirrored and slightly moved views of each image.")
    parser:option("--out", "Folder for the images with label and probability written in a margin, and masks outlined.")
    parser:option("--masks", "Folder for the masks that a model of masks finds, as PNG of 0 and 255.")
    parser:flag("--findings", "Says more of each image: every finding with its probability, threshold and doubt, and "
        .. "where those that are said to be there come from, by the method of --explain.")
    parser:option("--explain", "Shows on the pictures of --out which parts of each image speak for the class, by a "
        .. "method of lx.explain: " .. table.concat(lx.explain.METHODS, ", ") .. "; by default grad_cam where the "
        .. "network averages its last maps, and else layer_cam.")
        :args("?"):argname("METHOD")
    worklist.options(parser)
end

local function complain(run, message)
    run.failed = true
    io.stderr:write("error: ", message, "\n")
end

-- ---- answers ------------------------------------------------------------------------------------------------------

local say, number <const> = images.say, images.number

-- Millimetres between rows and between columns, where the file knows them.
local function spacing_of(info)
    local spacing = info.pixel_spacing or info.detector_spacing
    return spacing and {
        rows = spacing[1], columns = spacing[2], at = info.pixel_spacing and "patient" or "detector",
    }
end

local function rounded(value) return math.floor(value * 100 + 0.5) / 100 end

-- Boxes in pixels of the upright picture from its top left, and in millimetres where these are known.
local function boxes_as_json(answer)
    local out, spacing = setmetatable({}, json.LIST), spacing_of(answer.info)
    for i, box in ipairs(answer.boxes) do
        local x, y, w, h = box.x, box.y, box.w, box.h
        out[i] = {
            x = rounded(x), y = rounded(y), w = rounded(w), h = rounded(h), score = box.score, label = box.label,
        }
        out[i].mm = spacing and {
            x = rounded(x * spacing.columns), y = rounded(y * spacing.rows), w = rounded(w * spacing.columns),
            h = rounded(h * spacing.rows),
        } or nil
    end
    return out
end

local print_answer = {}

function print_answer.text(answer, only)
    if only then return say("xray " .. tostring(answer)) end
    say(("%s: %s%s"):format(answer.path, tostring(answer), answer.uncertain and " (uncertain)" or ""))
end

-- The findings below an answer.
local function say_findings(answer)
    for _, line in ipairs(study.lines(answer.all)) do say(line) end
end

function print_answer.json(answer)
    local warnings = {}
    for i, finding in ipairs(answer.findings) do warnings[i] = finding.message end
    local shown, bytes = options.as_utf8(answer.path)
    say(options.json {
        size = answer.boxes and {height = answer.info.height, width = answer.info.width} or nil,
        boxes = answer.boxes and boxes_as_json(answer), spacing = answer.boxes and spacing_of(answer.info) or nil,
        path = shown, path_bytes = bytes,
        findings = answer.all and study.plain(answer.all) or nil,
        label = answer.label, probability = answer.probability, infected = answer.infected, classes = answer.classes,
        share = answer.share,
        threshold = answer.threshold, uncertain = answer.uncertain, doubt = answer.doubt,
        reasons = answer.reasons and #answer.reasons > 0 and answer.reasons or nil,
        warnings = #warnings > 0 and warnings or nil, notice = answer.notice,
    })
end

function print_answer.csv(answer, _, classes)
    local warnings = {}
    for i, finding in ipairs(answer.findings) do warnings[i] = finding.code end
    -- a row for each box, and one without a box where there is none
    for _, box in ipairs(answer.boxes and (answer.boxes[1] and answer.boxes or {{}}) or {}) do
        say(table.concat({csv.cell(answer.path), csv.cell(box.label), number(box.score), number(box.x), number(box.y),
            number(box.w), number(box.h), csv.cell(table.concat(warnings, " "))}, ","))
    end
    if answer.boxes then return end
    for _, one in ipairs(answer.all or {}) do
        local place = one.map and one.map.place
        say(table.concat({csv.cell(answer.path), csv.cell(one.finding), number(one.probability),
            one.threshold and number(one.threshold) or "", one.positive and "1" or "0",
            one.doubt and number(one.doubt) or "", one.uncertain == nil and "" or one.uncertain and "1" or "0",
            csv.cell(place), csv.cell(table.concat(warnings, " "))}, ","))
    end
    if answer.all then return end
    local cells = {csv.cell(answer.path), csv.cell(answer.label), number(answer.share or answer.probability)}
    if answer.classes then
        for _, name in ipairs(classes) do cells[#cells + 1] = number(answer.classes[name]) end
    elseif answer.infected then
        cells[#cells + 1] = number(answer.infected)
    end
    cells[#cells + 1] = csv.cell(table.concat(warnings, " "))
    if answer.doubt then
        local codes = {}
        for i, reason in ipairs(answer.reasons) do codes[i] = reason.code end
        cells[#cells + 1], cells[#cells + 2] = number(answer.doubt), table.concat(codes, " ")
    end
    say(table.concat(cells, ","))
end

-- The names of the columns; other formats have none.
local function print_columns(predictor, findings)
    if predictor.task == "detection" then return say("path,label,score,x,y,w,h,warnings") end
    if findings then return say("path,finding,probability,threshold,positive,doubt,uncertain,place,warnings") end
    local maps = predictor.task == "segmentation"
    local cells = {"path", "label", maps and "share" or "probability"}
    for _, name in ipairs(maps and {} or predictor.task == "binary" and {"probability of " .. predictor.positive}
        or predictor.classes) do
        cells[#cells + 1] = csv.cell(name)
    end
    cells[#cells + 1] = "warnings"
    if predictor.metadata.doubt then cells[#cells + 1], cells[#cells + 2] = "doubt", "uncertain because" end
    say(table.concat(cells, ","))
end

-- ---- pictures -----------------------------------------------------------------------------------------------------

local function save(run, folder, answer, picture)
    local ok, problem = lx.vision.save(run.place(folder, answer.path), picture)
    if not ok then complain(run, problem) end
end

-- What the numbers of each method are.
local UNITS <const> = {
    occlusion = "fall of the logit where covered", integrated_gradients = "share of the logit in each pixel",
    smooth_grad = "size of the gradient",
}

-- The method of --explain, "usual" where none is said, nil without the option. What follows the option and is no
-- method is an image.
local function method_of(args)
    local given = args.explain and args.explain[1]
    if not args.explain then return args.findings and "usual" or nil end
    if not args.out and not args.findings then
        options.fail("--explain: say with --out FOLDER where the pictures go")
    end
    for _, method in ipairs(lx.explain.METHODS) do
        if given == method then return method end
    end
    if given and not lfs.attributes(given) then
        options.fail(("--explain: there is no method '%s'; there are %s"):format(given,
            table.concat(lx.explain.METHODS, ", ")))
    end
    if given then table.insert(args.images, 1, given) end
    return "usual"
end

-- What an answer comes from: a map, and what it means. Of two classes what speaks for the positive one is shown
-- whatever the answer is, of others what speaks for what is answered.
local function explain(run, answer)
    local began, class = core.now(), run.predictor.positive
    if not class then
        class = answer.likeliest or answer.label
    end
    local map = lx.explain[run.method](run.predictor, answer.image, {class = class})
    run.seconds, run.explained = run.seconds + core.now() - began, run.explained + 1
    return {
        map = map, words = ("%s: what speaks for %s (%s)"):format((run.method:gsub("_", " ")), class,
            UNITS[run.method] or "no units"),
    }
end

-- ---- the work -------------------------------------------------------------------------------------------------------

local function show(run, answer, only)
    run.number = run.number + 1
    if answer.message then return complain(run, images.problem(answer)) end
    if run.args.findings then
        answer.all = options.must(study.findings(run.predictor, answer, {explain = run.method, maps = math.huge}))
    end
    print_answer[run.args.format](answer, only, run.predictor.classes)
    if answer.all and run.args.format == "text" then say_findings(answer) end
    for _, finding in ipairs(answer.findings) do
        io.stderr:write(("[WARN] %s: %s\n"):format(answer.path, finding.message))
    end
    for _, reason in ipairs(answer.reasons or {}) do
        if reason.code ~= "quality" then
            io.stderr:write(("[WARN] %s: uncertain: %s\n"):format(answer.path, reason.message))
        end
    end
    if run.args.out then
        save(run, run.args.out, answer, annotate(answer.image, answer, run.args.explain and explain(run, answer)))
    end
    if run.args.coco then run.found[#run.found + 1] = {id = run.number, answer = answer} end
    if run.args.masks then save(run, run.args.masks, answer, answer.mask) end
end

-- The boxes of all images as COCO's results (Lin et al. 2014). Which image an id means is told by their order (one that
-- is named twice has two), or by the names of the images, which other programs pass over.
local function write_coco(run)
    local results, places = {}, {}
    for k, name in ipairs(run.predictor.classes) do places[name] = k end
    for _, found in ipairs(run.found) do
        local answer = found.answer
        for _, box in ipairs(answer.boxes) do
            results[#results + 1] = {
                image_id = found.id, file_name = options.as_utf8(answer.path:match("[^/]*$")),
                category_id = places[box.label], bbox = {box.x, box.y, box.w, box.h}, score = box.score,
            }
        end
    end
    local ok, message = core.write_file(run.args.coco, {json.encode(setmetatable(results, json.LIST)), "\n"})
    if not ok then options.fail(message) end
end

--- Runs the command.
---@param args table the options
---@return integer status
function predict.run(args)
    worklist.check(args)
    args.format = options.format(args)
    local method = method_of(args)
    if args.format == "text" and not args.worklist then say("[INFO] loading network...") end
    local device, device_words = options.device(args.device)
    if device ~= "cpu" then io.stderr:write("computing on ", device_words, "\n") end
    local predictor = options.must(lx.predictor.open(options.models(args), {device = device, tta = args.tta}))
    if args.worklist then return worklist.run(args, predictor) end
    local run = {
        args = args, predictor = predictor, found = {}, number = 0, failed = false, method = method, seconds = 0,
        explained = 0,
    }
    if method and (predictor.task == "segmentation" or predictor.task == "detection") then
        options.fail(("--explain: the model finds %s itself"):format(predictor.task == "detection" and "boxes"
            or "masks"))
    end
    if method == "usual" then run.method = lx.explain.usual(predictor) end
    if args.detects and predictor.task ~= "detection" then
        options.fail(("--model: it tells %s, and finds no boxes; use luxel predict"):format(
            table.concat(predictor.classes, ", ")))
    end
    if args.findings and not study.fits(predictor) then
        options.fail(("--findings: the model finds %s, and tells no findings with probabilities"):format(
            predictor.task == "detection" and "boxes" or "masks"))
    end
    if args.threshold then predictor.threshold = args.threshold end
    if args.format == "csv" then print_columns(predictor, args.findings) end
    if args.masks and predictor.task ~= "segmentation" then
        options.fail(("--masks: the model tells %s, and finds no masks"):format(table.concat(predictor.classes, ", ")))
    elseif args.masks and args.masks == args.out then
        options.fail("--masks and --out: say two folders, or masks and pictures get each other's names")
    end
    images.make_folder(args.out)
    images.make_folder(args.masks)
    local paths, only = images.find(args, function(message) complain(run, message) end)
    run.place = images.places(paths)
    images.each(paths, function(chunk) return predictor:all(chunk, {images = args.out ~= nil or args.findings}) end,
        function(answer) show(run, answer, only) end)
    if args.coco then write_coco(run) end
    images.flush()
    if run.explained > 0 then
        io.stderr:write(("explained by %s: %.3g s an image\n"):format(run.method, run.seconds / run.explained))
    end
    io.stderr:write(options.NOTICE, "\n")
    return run.failed and 1 or 0
end

return predict
