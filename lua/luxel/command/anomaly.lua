--- `luxel anomaly`: learns from normal radiographs alone, and says how unusual others are.
--
--     luxel anomaly train --data NORMALS --out normal.safetensors --pretrained efficientnet-lite0.pth
--     luxel anomaly score --model normal.safetensors folder/ --out pictures --format csv >scores.csv

local annotate = require "luxel.command.annotate"
local class_names = require "luxel.data.classes"
local csv = require "luxel.io.csv"
local images = require "luxel.command.images"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"

local command = {summary = "Learns from normal radiographs alone, and says how unusual others are."}

local function train_options(parser)
    parser:option("--data", "Folder of normal images. Where it has class folders, alone or below train/, those of "
        .. "other classes are left out."):count(1)
    parser:option("--out", "File for the detector."):count(1)
    parser:option("--normal", "The class folder with the normal images, where its name does not tell; . takes all "
        .. "images of the folder, whatever folders they are in.")
    parser:option("--patient", "Lua pattern whose capture in a path is the patient; default: DICOM's Patient ID, and "
        .. "the names of well-known collections.")
    parser:option("--method", "How: " .. table.concat(lx.anomaly.METHODS, ", ") .. "."):choices(lx.anomaly.METHODS)
        :default "neighbours"
    parser:option("--model", "Network of lx.models that the method sees by.", "efficientnet_lite0")
    parser:option("--pretrained", "File of its weights, as luxel weights fetches it; all methods but autoencoder need "
        .. "one.")
    parser:option("--source", "Where the weights come from, where the file does not tell.")
    options.add_number(parser, "--size", "Side of the images as the method sees them, in pixels.", 224, 32, 2048, true)
    parser:option("--top", "Share of the places, the most unusual, whose mean is the score; 0: the most unusual one "
        .. "alone."):convert(function(text)
            local share = tonumber(text)
            if share and share >= 0 and share <= 1 then return share end
            return nil, ("--top: expected a number from 0 to 1, got '%s'"):format(text)
        end)
    parser:option("--enhance", "What every image goes through first."):choices {
        "none", "equalize", "clahe", "autocontrast",
    }:default "clahe"
    parser:option("--epochs", "Of autoencoder and student."):convert(function(text)
        local count = math.tointeger(tonumber(text))
        if count and count >= 1 and count <= 100000 then return count end
        return nil, ("--epochs: expected a whole number from 1 to 100000, got '%s'"):format(text)
    end)
    options.add_number(parser, "--val", "Share of the patients kept out, whose images tell what a score means.", 0.2,
        0.01, 0.9)
    options.add_seed(parser, "Of who is kept out, and of all that is drawn.", 1)
    options.add_device(parser)
end

local function score_options(parser)
    images.options(parser)
    parser:option("--model", "File that luxel anomaly train wrote."):count(1)
    options.add_number(parser, "--level", "An image is unusual where no larger share of normal ones is as unusual.",
        0.05, 0, 1)
    parser:option("--out", "Folder for pictures with what is unusual laid over them.")
    options.add_format(parser)
    options.add_device(parser)
end

--- Adds the options of the command.
---@return table[] parsers of its own commands
function command.options(parser)
    parser:command_target "action"
    local parts = {
        parser:command("train", "Learns from normal images."), parser:command("score", "Says how unusual images are."),
    }
    train_options(parts[1])
    score_options(parts[2])
    return parts
end

-- ---- learning -------------------------------------------------------------------------------------------------------

local NORMAL <const> = "normal"

local PARTS <const> = {train = true, training = true, val = true, valid = true, validation = true, dev = true,
    test = true, testing = true}

-- The part and the class of an image by the folders that it is in; nil where there are none.
local function folders_of(root, path)
    local inside, part = path:sub(#root + 2), nil
    local first, rest = inside:match("^([^/]+)/(.+)$")
    if first and PARTS[first:lower()] then
        part, inside = first:lower(), rest
        first = inside:match("^([^/]+)/")
    end
    return part, first
end

local function sorted_names(counts)
    local names = {}
    for name in pairs(counts) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- Whether a class is the normal one; ends the command where nothing tells.
local function normal_of(args, counts, loose)
    local names, normal = sorted_names(counts), {}
    if args.normal == "." or #names == 0 then return function() return true end end
    if args.normal then
        for _, name in ipairs(names) do
            if name:lower() == args.normal:lower() then normal[name] = true end
        end
        if not next(normal) then
            options.fail(("--normal: there is no folder '%s' in %s; there are %s"):format(args.normal, args.data,
                table.concat(names, ", ")))
        end
    else
        for _, name in ipairs(names) do
            if class_names.is_negative(name) then normal[name] = true end
        end
        if not next(normal) or loose > 0 then
            options.fail(("--data: %s has the folders %s%s, and their names do not tell which images are normal; say "
                .. "it with --normal NAME, or --normal . for all of them"):format(args.data, table.concat(names, ", "),
                loose > 0 and (" and %d images beside them"):format(loose) or ""))
        end
    end
    return function(class) return class ~= nil and normal[class] == true end
end

-- The normal images of the folder, and a line for each kind that is left out.
local function find_normal(args)
    local root = args.data:gsub("(.)/+$", "%1")
    if lfs.attributes(root, "mode") ~= "directory" then
        options.fail(("--data: %s is no folder"):format(args.data))
    end
    local paths, counts, loose, in_test = {}, {}, 0, 0
    options.collect(root, paths, options.fail)
    local rows, left_out = {}, {}
    for _, path in ipairs(paths) do
        local _, class = folders_of(root, path)
        if class then counts[class] = (counts[class] or 0) + 1 else loose = loose + 1 end
    end
    local is_normal = normal_of(args, counts, loose)
    for _, path in ipairs(paths) do
        local part, class = folders_of(root, path)
        if not is_normal(class) then
            left_out[class or "."] = (left_out[class or "."] or 0) + 1
        elseif part == "test" or part == "testing" then
            in_test = in_test + 1
        else
            local patient = args.patient and path:match(args.patient) or nil
            if not args.patient then patient = lx.data.patient(path) end
            rows[#rows + 1] = {path = path, label = NORMAL, patient = patient}
        end
    end
    if #rows == 0 then options.fail(args.data .. ": there are no images to learn from in this folder") end
    for _, class in ipairs(sorted_names(left_out)) do
        print(("left out: %d images of %s: what is normal is learnt from normal images alone"):format(left_out[class],
            class))
    end
    if in_test > 0 then print(("left out: %d normal images in test/"):format(in_test)) end
    return rows
end

local function network_of(args)
    if args.method == "autoencoder" then
        if args.pretrained or args.source then
            options.fail("--pretrained: the autoencoder begins with weights of its own")
        end
        return nil
    elseif not args.pretrained then
        options.fail(("--pretrained: '%s' sees by a trained network; luxel weights efficientnet-lite0 fetches weights, "
            .. "and says where they are"):format(args.method))
    end
    local known = false
    for _, name in ipairs(lx.models.names "classifier") do known = known or name == args.model end
    if not known then
        options.fail(("--model: there is no network '%s'; there are %s"):format(args.model,
            table.concat(lx.models.names "classifier", ", ")))
    end
    local ok, net, message = pcall(lx.models.build, args.model, {
        pretrained = args.pretrained, source = args.source, head = "replace", outputs = 1, size = args.size,
    })
    if not ok then options.fail((tostring(net):gsub("^[^\n]-:%d+: ", ""))) end
    return options.must(net, message)
end

local function train(args)
    if args.epochs and args.method ~= "autoencoder" and args.method ~= "student" then
        options.fail(("--epochs: '%s' has none"):format(args.method))
    end
    if args.top and (args.method == "mahalanobis" or args.method == "neighbours") then
        options.fail(("--top: '%s' has one score of the whole image, and no places"):format(args.method))
    end
    if args.patient and not pcall(string.match, "", args.patient) then
        options.fail(("--patient: %q is no Lua pattern"):format(args.patient))
    end
    local device, words = options.device(args.device)
    local rows = find_normal(args)
    lx.manual_seed(args.seed)
    local net = network_of(args)
    local frame = options.must(lx.data.frame(rows, {
        label = "label", classes = {NORMAL, "unusual"}, positive = "unusual",
    }))
    print(("%d normal images of %s, on %s"):format(#frame, frame:unknown_patients() == #frame
        and "patients that nothing tells: each image counts as one" or "known patients", words))
    local detector = options.must(lx.anomaly.fit(options.load(frame, args.size, false), {
        method = args.method, net = net, model = net and args.model or nil, top = args.top, epochs = args.epochs,
        enhance = args.enhance ~= "none" and {{args.enhance}} or nil, val = args.val, seed = args.seed, device = device,
        progress = lx.train.console(),
    }))
    options.must(detector:save(args.out))
    local count = #detector.metadata.anomaly.scores
    print(detector)
    print(("the least p that an image can have is 1/%d"):format(count + 1))
    if 1 / (count + 1) > 0.05 then
        print("[WARN] no image can be unusual at 5 %: more patients, or a larger --val, would tell what a score means")
    end
    print("detector in " .. args.out)
    print()
    print(options.NOTICE)
end

-- ---- looking --------------------------------------------------------------------------------------------------------

local print_answer = {}

function print_answer.text(answer, only)
    images.say((only and "xray " or answer.path .. ": ") .. tostring(answer))
end

local function codes_of(answer, field)
    local out = {}
    for i, finding in ipairs(answer.findings) do out[i] = finding[field] end
    return out
end

function print_answer.json(answer)
    local shown, bytes = options.as_utf8(answer.path)
    local warnings = codes_of(answer, "message")
    images.say(options.json {
        path = shown, path_bytes = bytes, score = answer.score, p = answer.p, unusual = answer.unusual,
        warnings = #warnings > 0 and warnings or nil, notice = answer.notice,
    })
end

function print_answer.csv(answer)
    images.say(table.concat({
        csv.cell(answer.path), images.number(answer.score), images.number(answer.p), answer.unusual and "1" or "0",
        csv.cell(table.concat(codes_of(answer, "code"), " ")),
    }, ","))
end

-- The last colour of pictures: the same on all of them. What is usual of normal images has none.
local MOST <const> = 2

local function picture_of(answer)
    return annotate(answer.image, {
        label = answer.unusual and "UNUSUAL" or "USUAL", words = ("p %.3g"):format(answer.p), positive = answer.unusual,
    }, {map = answer.map - 1, most = MOST, words = "how unusual a place is, beyond 99 of 100 places of a normal image"})
end

local function score(args)
    args.format = options.format(args)
    local device, words = options.device(args.device)
    if device ~= "cpu" then io.stderr:write("computing on ", words, "\n") end
    local detector, failed = options.must(lx.anomaly.open(args.model, {device = device})), false
    local function complain(message)
        failed = true
        io.stderr:write("error: ", message, "\n")
    end
    images.make_folder(args.out)
    local paths, only = images.find(args, complain)
    local place = images.places(paths)
    if args.format == "csv" then images.say("path,score,p,unusual,warnings") end
    images.each(paths, function(chunk)
        return detector:all(chunk, {level = args.level, maps = args.out ~= nil, images = args.out ~= nil})
    end, function(answer)
        if answer.message then return complain(images.problem(answer)) end
        print_answer[args.format](answer, only)
        for _, finding in ipairs(answer.findings) do
            io.stderr:write(("[WARN] %s: %s\n"):format(answer.path, finding.message))
        end
        if args.out then
            local ok, problem = lx.vision.save(place(args.out, answer.path), picture_of(answer))
            if not ok then complain(problem) end
        end
    end)
    images.flush()
    io.stderr:write(options.NOTICE, "\n")
    return failed and 1 or 0
end

--- Runs the command.
---@param args table the options
---@return integer? status
function command.run(args) return (args.action == "train" and train or score)(args) end

return command
