--- `luxel predict`: says for new radiographs whether they look infected, and how sure the model is.
--
--     luxel predict --model runs/first/best.safetensors xray.jpeg
--     luxel predict --model runs/first/best.safetensors --format csv --out pictures folder/ >answers.csv

local annotate = require "luxel.command.annotate"
local cjson = require "cjson"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"

local predict = {summary = "Says whether radiographs look infected."}

--- Adds the options that say which images, and where answers go.
function predict.add_images(parser)
    parser:argument("images", "Image files (" .. table.concat(lx.vision.formats, ", ")
        .. "), and folders of them, with all folders below."):args("*")
    parser:option("--list", "File with a path in each line; - for the standard input.")
    options.add_device(parser)
    parser:option("--format", "What is printed for each image."):choices {"text", "json", "csv"}:default "text"
    parser:flag("--json", "The same as --format json: an object in each line.")
end

--- Adds the options of the command.
function predict.options(parser)
    predict.add_images(parser)
    options.add_model(parser, true)
    parser:flag("--tta", "Takes the mean over mirrored and slightly moved views of each image.")
    parser:option("--out", "Folder for the images with label and probability written in a margin, and masks outlined.")
    parser:option("--masks", "Folder for the masks that a model of masks finds, as PNG of 0 and 255.")
    parser:option("--explain", "Shows on the pictures of --out which parts of each image speak for the class, by a "
        .. "method of lx.explain: " .. table.concat(lx.explain.METHODS, ", ") .. "; by default the first of them.")
        :args("?"):argname("METHOD")
end

-- Images that go through the network together.
local CHUNK <const> = 32

local function complain(run, message)
    run.failed = true
    io.stderr:write("error: ", message, "\n")
end

-- An answer that cannot be written ends the program: a full disk, say.
local function say(text)
    local ok, message = io.stdout:write(text, "\n")
    if not ok then options.fail("cannot write the answers: " .. tostring(message)) end
end

-- ---- which images -------------------------------------------------------------------------------------------------

local function listed(path)
    local file, message
    if path == "-" then file = io.stdin else file, message = io.open(path) end
    if not file then options.fail("--list: " .. message) end
    local paths = {}
    for line in file:lines() do
        line = line:gsub("\r$", "")
        if line ~= "" then paths[#paths + 1] = line end
    end
    return paths
end

-- All images, and whether it is one that was named by itself.
local function find_images(run)
    local args = run.args
    local paths, given = {}, table.move(args.images, 1, #args.images, 1, {})
    if args.list then
        local more = listed(args.list)
        table.move(more, 1, #more, #given + 1, given)
    end
    if #given == 0 then options.fail("name images, folders of them, or --list FILE") end
    for _, path in ipairs(given) do
        if lfs.attributes(path, "mode") == "directory" then
            local before = #paths
            options.collect((path:gsub("(.)/+$", "%1")), paths, function(message) complain(run, message) end)
            if #paths == before then complain(run, path .. ": there are no images in this folder") end
        else
            paths[#paths + 1] = path
        end
    end
    return paths, #given == 1 and #paths == 1 and paths[1] == given[1]
end

-- ---- answers ------------------------------------------------------------------------------------------------------

local function number(value) return value and (("%.6f"):format(value):gsub(",", ".")) or "" end

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

function print_answer.json(answer)
    local warnings = {}
    for i, finding in ipairs(answer.findings) do warnings[i] = finding.message end
    local path = answer.path
    local shown = options.as_utf8(path)
    local encode = answer.boxes and json.encode or cjson.encode
    say(encode {
        size = answer.boxes and {height = answer.info.height, width = answer.info.width} or nil,
        boxes = answer.boxes and boxes_as_json(answer), spacing = answer.boxes and spacing_of(answer.info) or nil,
        path = shown, path_bytes = shown ~= path and path:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
            or nil,
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
local function print_columns(predictor)
    if predictor.task == "detection" then return say("path,label,score,x,y,w,h,warnings") end
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

-- The identity of a file, whatever it is called.
local function identity(path)
    local found = lfs.attributes(path)
    return found and ("%s:%s"):format(found.dev, found.ino)
end

-- Two images of one name must not overwrite each other, nor anything that was given.
local function output_path(run, folder, path)
    local stem = path:match("[^/]*$"):gsub("%.%w+$", "")
    local name, count = stem, 1
    local function place() return ("%s/%s.png"):format(folder, name) end
    while run.taken[place()] or run.inputs[identity(place()) or false] do
        count = count + 1
        name = ("%s-%d"):format(stem, count)
    end
    run.taken[place()] = true
    return place()
end

local function make_folder(path)
    if path and not lfs.mkdir(path) and lfs.attributes(path, "mode") ~= "directory" then
        options.fail("cannot make the folder " .. path)
    end
end

local function save(run, folder, answer, picture)
    local ok, problem = lx.vision.save(output_path(run, folder, answer.path), picture)
    if not ok then complain(run, problem) end
end

-- What the numbers of each method are.
local UNITS <const> = {
    occlusion = "fall of the logit where covered", integrated_gradients = "share of the logit in each pixel",
    smooth_grad = "size of the gradient",
}

-- The method of --explain, nil without. What follows the option and is no method is an image.
local function method_of(args)
    local given = args.explain and args.explain[1]
    if not args.explain then return nil end
    if not args.out then options.fail("--explain: say with --out FOLDER where the pictures go") end
    for _, method in ipairs(lx.explain.METHODS) do
        if given == method then return method end
    end
    if given and not lfs.attributes(given) then
        options.fail(("--explain: there is no method '%s'; there are %s"):format(given,
            table.concat(lx.explain.METHODS, ", ")))
    end
    if given then table.insert(args.images, 1, given) end
    return lx.explain.METHODS[1]
end

-- What an answer comes from: a map, and what it means. Of two classes what speaks for the positive one is shown
-- whatever the answer is, of others what speaks for the likeliest.
local function explain(run, answer)
    local began, class = core.now(), run.predictor.positive
    if not class then
        for _, name in ipairs(run.predictor.classes) do
            if not class or answer.classes[name] > answer.classes[class] then class = name end
        end
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
    if answer.message then return complain(run, ("%s%s"):format(
        answer.message:find(answer.path, 1, true) and "" or answer.path .. ": ", answer.message)) end
    print_answer[run.args.format](answer, only, run.predictor.classes)
    for _, finding in ipairs(answer.findings) do
        io.stderr:write(("[WARN] %s: %s\n"):format(answer.path, finding.message))
    end
    for _, reason in ipairs(answer.reasons or {}) do
        if reason.code ~= "quality" then
            io.stderr:write(("[WARN] %s: uncertain: %s\n"):format(answer.path, reason.message))
        end
    end
    if run.args.out then
        save(run, run.args.out, answer, annotate(answer.image, answer, run.method and explain(run, answer)))
    end
    if run.args.coco then run.found[#run.found + 1] = answer end
    if run.args.masks then save(run, run.args.masks, answer, answer.mask) end
end

-- The boxes of all images as COCO's results (Lin et al. 2014). Which image an id means is told by their order, or by
-- the names of the images, which other programs pass over.
local function write_coco(run, paths)
    local ids, results = {}, {}
    for i, path in ipairs(paths) do ids[path] = i end
    local places = {}
    for k, name in ipairs(run.predictor.classes) do places[name] = k end
    for _, answer in ipairs(run.found) do
        for _, box in ipairs(answer.boxes) do
            results[#results + 1] = {
                image_id = ids[answer.path], file_name = options.as_utf8(answer.path:match("[^/]*$")),
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
    if args.json then args.format = "json" end
    local method = method_of(args)
    if args.format == "text" then say("[INFO] loading network...") end
    local device, device_words = options.device(args.device)
    if device ~= "cpu" then io.stderr:write("computing on ", device_words, "\n") end
    local predictor = options.must(lx.predictor.open(options.models(args), {device = device, tta = args.tta}))
    local run = {
        args = args, predictor = predictor, found = {}, taken = {}, inputs = {}, failed = false, method = method,
        seconds = 0, explained = 0,
    }
    if method and (predictor.task == "segmentation" or predictor.task == "detection") then
        options.fail(("--explain: the model finds %s itself"):format(predictor.task == "detection" and "boxes"
            or "masks"))
    end
    if args.detects and predictor.task ~= "detection" then
        options.fail(("--model: it tells %s, and finds no boxes; use luxel predict"):format(
            table.concat(predictor.classes, ", ")))
    end
    if args.threshold then predictor.threshold = args.threshold end
    if args.format == "csv" then print_columns(predictor) end
    if args.masks and predictor.task ~= "segmentation" then
        options.fail(("--masks: the model tells %s, and finds no masks"):format(table.concat(predictor.classes, ", ")))
    elseif args.masks and args.masks == args.out then
        options.fail("--masks and --out: say two folders, or masks and pictures get each other's names")
    end
    make_folder(args.out)
    make_folder(args.masks)
    local paths, only = find_images(run)
    for _, path in ipairs(paths) do run.inputs[identity(path) or path] = true end
    local console = #paths > CHUNK and lx.train.console()
    for first = 1, #paths, CHUNK do
        local chunk = table.move(paths, first, math.min(first + CHUNK - 1, #paths), 1, {})
        for _, answer in ipairs(predictor:all(chunk, {images = args.out ~= nil})) do
            if answer.code == "device" then options.fail(answer.message) end
            show(run, answer, only)
        end
        if console then console:reading(first + #chunk - 1, #paths) end
    end
    if args.coco then write_coco(run, paths) end
    local ok, message = io.stdout:flush()
    if not ok then options.fail("cannot write the answers: " .. tostring(message)) end
    if run.explained > 0 then
        io.stderr:write(("explained by %s: %.3g s an image\n"):format(method, run.seconds / run.explained))
    end
    io.stderr:write(options.NOTICE, "\n")
    return run.failed and 1 or 0
end

return predict
