--- Shared by the commands: their options, reading labelled data, and how a command ends.

local as_utf8 = require "luxel.as_utf8"
local core = require "luxel.core"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local packaged = require "luxel.packaged"
local patients = require "luxel.data.patients"

local options = {}

-- The words for label 0 and label 1 in everything that people read, where folders are called so or drawn images are
-- used.
options.LABELS = {"NORMAL", "INFECTED"}
local USUAL <const> = {pneumonia = true, infected = true, infection = true}

options.NOTICE = lx.predictor.NOTICE

-- Grey values 0..1 are brought to about -2..2 before the network sees them.
options.MEAN, options.STD = 0.5, 0.25

-- ---- ends -------------------------------------------------------------------------------------------------------

local End = {__name = "luxel.command.End"}

function End:__tostring() return self.message end

--- Ends the command with a message on the standard error.
---@param message string
---@param status integer? exit status, default 1
function options.fail(message, status) error(setmetatable({message = message, status = status or 1}, End), 0) end

--- The value, or the end of the command with the message.
---@generic T
---@param value T?
---@param message string?
---@return T
function options.must(value, message, ...)
    if not value then options.fail(message) end
    return value, message, ...
end

--- What `lx.train.fit` and the functions that call it return, or the end of the command in words of the command line.
---@param result table?
---@param message string?
---@return table
function options.must_fit(result, message)
    if result then return result end
    options.fail((message:gsub("resume = true", "--resume"):gsub("overwrite = true", "--overwrite")))
end

local function failure_of(failure)
    if getmetatable(failure) == End then return failure end
    local text = tostring(failure)
    if text:find("interrupted!", 1, true) then return {message = "interrupted", status = 130} end
    return {message = core.error_code(text) and text or debug.traceback(text, 3), status = 1}
end

--- Runs the work of a command; whatever ends it, Ctrl-C too, becomes a line on the standard error and a status.
---@param work fun(): integer? exit status, default 0
---@return integer status
function options.guard(work)
    local ok, result = xpcall(work, failure_of)
    if ok then return result or 0 end
    io.stderr:write("error: ", result.message, "\n")
    return result.status
end

--- The same for a program: SIGTERM and SIGHUP end it as Ctrl-C does, and it exits with the status.
---@param work fun(): integer?
function options.main(work)
    core.end_on_signals()
    os.exit(options.guard(work), true)
end

-- ---- command lines --------------------------------------------------------------------------------------------

--- Adds an option that takes a number.
---@param name string "--size"
---@param help string
---@param default number? nil for none
---@param low number the least that makes sense
---@param high number
---@param whole boolean? whether it has to be an integer
function options.add_number(parser, name, help, default, low, high, whole)
    local words = ("%s: expected %s from %s to %s"):format(name, whole and "a whole number" or "a number", low, high)
    parser:option(name, help, default and tostring(default)):convert(function(text)
        local value = tonumber(text)
        if whole then value = math.tointeger(value) end
        if value and value >= low and value <= high then return value end
        return nil, ("%s, got '%s'"):format(words, text)
    end)
end

--- Adds what all programs that train take: how the best weights are found, and the run.
---@param parser table
---@param out string folder of the run, where none is said
function options.add_training(parser, out)
    options.add_number(parser, "--ema", "Decay of an average of the weights, which is judged and kept; 0: none.", 0, 0,
        0.99999)
    options.add_number(parser, "--patience", "Ends after so many epochs without a better one; 0: never.", 0, 0, 100000,
        true)
    options.add_device(parser)
    options.add_seed(parser, "Of the split, the weights, the order and the augmentation.", 1)
    options.add_number(parser, "--val", "Share of the patients to validate on.", 0.15, 0.001, 0.9)
    options.add_number(parser, "--phantoms", "Number of phantoms to draw where there is no --data.", 600, 1, 1000000,
        true)
    parser:option("--out", "Folder for best.safetensors, last.safetensors, log.csv and TensorBoard's events.", out)
    parser:option("--enhance", "What every image goes through first, in training and later."):choices {
        "none", "equalize", "clahe", "autocontrast",
    }:default "none"
    parser:flag("--resume", "Go on with the run in --out.")
    parser:flag("--overwrite", "Replace the run in --out.")
    parser:flag("--strict", "Stop at a file that cannot be read, instead of leaving it out.")
end

--- Ends the program where --resume and --overwrite are both said.
---@param args table the options
function options.check_training(args)
    if args.resume and args.overwrite then
        options.fail("--resume goes on with a run, and --overwrite replaces it: say one")
    end
end

--- Adds the option for the side of images.
function options.add_size(parser, help, default)
    options.add_number(parser, "--size", help, default, lx.models.SMALLEST, lx.models.LARGEST, true)
end

--- Ends the program unless the network of --model takes images of --size.
---@param args table the options
function options.check_size(args)
    local smallest, largest = lx.models.limits(args.model)
    if args.size < smallest or args.size > largest then
        options.fail(("--size: the network %s takes images of %d to %d pixels, got %d"):format(args.model, smallest,
            largest, args.size))
    end
end

--- Adds the option for the seed of random numbers.
function options.add_seed(parser, help, default)
    options.add_number(parser, "--seed", help, default, 0, 1 << 53, true)
end

--- The words of a command line by a parser. A negative number after an option is its value, and no option of its own.
---@param given string[]? default those of the program
---@return table
function options.parse(parser, given)
    local words = {}
    for _, word in ipairs(given or arg) do
        if word:find("^%-[%d.]") and words[#words] and words[#words]:find("^%-%-[%w-]+$") then
            words[#words] = words[#words] .. "=" .. word
        else
            words[#words + 1] = word
        end
    end
    return parser:parse(words)
end

-- A word of a command line as a shell takes it.
local function quoted(word)
    return word:find("^[%w@%%+=:,./_-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A text as JSON can hold it: names of files may be of any bytes, and those that are no UTF-8 become U+FFFD, and then
--- `bytes` are the name in hexadecimal digits.
---@param text string
---@return string shown, string? bytes
function options.as_utf8(text)
    local shown = as_utf8(text)
    return shown, shown ~= text and text:gsub(".", function(c) return ("%02x"):format(c:byte()) end) or nil
end

--- Adds the options that say what is printed for each image.
---@param parser table
function options.add_format(parser)
    parser:mutex(
        parser:option("--format", "What is printed for each image."):choices {"text", "json", "csv"}:default "text",
        parser:flag("--json", "The same as --format json: an object in each line."))
end

--- What is printed for each image.
---@param args table the options
---@return "text"|"json"|"csv"
function options.format(args) return args.json and "json" or args.format end

--- A list that JSON shows as one even where it is empty.
---@param items any[]
---@return any[]
function options.list(items) return setmetatable(table.move(items, 1, #items, 1, {}), json.LIST) end

--- A value as JSON that strict readers take. Lists that may be empty are of `options.list`.
---@param value table
---@return string
function options.json(value) return assert(json.encode(json.plain(value))) end

--- The command line of the program, for pages.
---@return string
function options.command_line()
    local words = {}
    for i = 0, arg and #arg or -1 do words[#words + 1] = quoted(i == 0 and arg[0]:match("[^/]*$") or arg[i]) end
    return table.concat(words, " ")
end

-- ---- models ---------------------------------------------------------------------------------------------------

--- Adds the option that names models.
---@param parser table
---@param several boolean whether the mean of several is taken
function options.add_model(parser, several)
    parser:option("--model", "Model file that train wrote" .. (several and "; of several the mean probability is taken"
        or "") .. " (default: the model of the package, see docs/model.md)."):count(several and "*" or "?")
end

--- The files that --model names, or the package's own, which is told.
---@param args table
---@return string|string[]
function options.models(args)
    local given = args.model
    if type(given) == "table" and #given > 0 or type(given) == "string" then return given end
    local path = options.must(packaged.path())
    io.stderr:write("model: that of the package, learnt from films of children in one hospital (docs/model.md)\n")
    return path
end

-- ---- devices --------------------------------------------------------------------------------------------------

--- Adds the option that says what to compute on.
function options.add_device(parser)
    parser:option("--device", "What to compute on: auto (the best GPU, else cpu), cpu, opencl, opencl:2, or a part of "
        .. "a device's name.", "auto")
end

--- The device that the option names, or the end with a list of those that there are.
---@param name string
---@return string label
---@return string words for the person
function options.device(name)
    local device, message = lx.device(name)
    if not device then options.fail(("--device: %s\n%s"):format(message, tostring(lx.devices()))) end
    if device.label == "cpu" then return device.label, device.name end
    return device.label, ("%s (%s)"):format(device.label, device.name)
end

-- ---- data -----------------------------------------------------------------------------------------------------

--- Adds the options that say what the images are labelled with.
function options.add_data(parser)
    parser:option("--positive", "Of two classes the one that is the disease, where the other one's name does not tell.")
    parser:option("--patient", "Lua pattern whose capture in a path is the patient, or the column of a table; default: "
        .. "DICOM's Patient ID, and the names of well-known collections.")
    parser:option("--label", "Column of a CSV file in --data with one class for each image.")
    parser:option("--labels", "Columns with 0 and 1 for labels that do not exclude each other: A,B,C.")
    parser:option("--path", "Column of a CSV file in --data with the images.", "path")
    parser:option("--root", "Folder of the images of a CSV file (default: that of the file).")
    parser:option("--masks", "Folder with the mask of each image under its name: these are learnt, not labels.")
    parser:option("--shows", "What the masks show.", "mask")
    parser:option("--leave-out", "Leaves out the rows of a CSV file whose COLUMN is VALUE: COLUMN=VALUE."):count "*"
    parser:option("--uncertain", "What -1 in a label means, which marks doubt in CheXpert."):choices {
        "ones", "zeros", "ignore",
    }
end

local EXTENSIONS <const> = {}
for _, format in ipairs(core.image_formats()) do
    for _, extension in ipairs(format.extensions) do EXTENSIONS[extension] = true end
end

--- Appends the images in a folder and below to `paths`, in the order of their names. Links to folders are not followed.
---@param folder string
---@param paths string[]
---@param complain fun(message: string) is called for folders that cannot be read
function options.collect(folder, paths, complain)
    local ok, iterate, state = pcall(lfs.dir, folder)
    if not ok then return complain("cannot read the folder " .. folder) end
    local names = {}
    for name in iterate, state do
        if name:sub(1, 1) ~= "." then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local path = folder .. "/" .. name
        local extension = name:match("%.(%w+)$")
        if lfs.attributes(path, "mode") == "directory" then
            if lfs.symlinkattributes(path, "mode") ~= "link" then options.collect(path, paths, complain) end
        elseif extension and EXTENSIONS[extension:lower()] then
            paths[#paths + 1] = path
        end
    end
end

-- What a function that looks for patients in paths returns; what it says of their pattern is the user's to mend.
local function with_patients(f, ...)
    local results = table.pack(pcall(f, ...))
    if results[1] then return table.unpack(results, 2, results.n) end
    local problem = tostring(results[2]):match("options: option 'patient': (.*)$")
    if not problem then error(results[2], 0) end
    options.fail("--patient: " .. problem)
end

-- Rows without labels, of the images in a folder.
local function rows_below(folder, patient)
    local paths, rows = {}, {}
    options.collect((folder:gsub("(.)/+$", "%1")), paths, options.fail)
    if #paths == 0 then options.fail(folder .. ": there are no images in this folder") end
    local patient_of = patient and patients.by_pattern("frame", patient) or function() end
    for i, path in ipairs(paths) do rows[i] = {path = path, patient = (with_patients(patient_of, path))} end
    return rows
end

-- A function of a row that is false for those to leave out; nil if none are.
local function keep_of(words)
    if #words == 0 then return nil end
    local pairs_of = {}
    for i, word in ipairs(words) do
        local column, value = word:match("^([^=]+)=(.*)$")
        if not column then options.fail(("--leave-out: expected COLUMN=VALUE, got '%s'"):format(word)) end
        pairs_of[i] = {column, value}
    end
    return function(row)
        for _, pair in ipairs(pairs_of) do
            if row[pair[1]] == nil then options.fail("--leave-out: there is no column " .. pair[1]) end
            if row[pair[1]] == pair[2] then return false end
        end
        return true
    end
end

-- The options that `add_data` gives a value where none is said.
local USUAL_VALUES <const> = {path = "path", shows = "mask"}

-- Ends the command where one of some options was said.
local function refuse_options(args, names, why)
    for _, name in ipairs(names) do
        local value = args[name]
        if value and value ~= USUAL_VALUES[name] and not (type(value) == "table" and #value == 0) then
            options.fail(("--%s %s"):format((name:gsub("_", "-")), why))
        end
    end
end

--- Ends the command where options say something of images, and there is no --data.
---@param args table
function options.check_without_data(args)
    refuse_options(args, {"label", "labels", "path", "root", "leave_out", "uncertain", "masks", "shows", "positive",
        "patient"}, "says more of --data, which is missing")
end

-- Ends the command where options say something of the images that they cannot: unheard they would give figures of other
-- labels than were asked for.
local function check_data(args)
    if lfs.attributes(args.data, "mode") == "directory" then
        refuse_options(args, {"label", "labels", "path", "root", "leave_out", "uncertain"},
            ("is for the rows of a CSV file, and --data %s is a folder"):format(args.data))
    end
    if args.masks then
        refuse_options(args, {"label", "labels", "positive", "uncertain"}, "is for labels, and --masks are none")
    else
        refuse_options(args, {"shows"}, "is for --masks")
    end
    if args.labels then
        refuse_options(args, {"label", "positive"}, "is for one class an image, and --labels names several labels")
    else
        refuse_options(args, {"uncertain"}, "is for --labels")
    end
end

-- Of images with masks.
local function mask_frame(args)
    local is_folder = lfs.attributes(args.data, "mode") == "directory"
    return options.must(lx.data.frame(is_folder and rows_below(args.data, args.patient) or args.data, {
        path = args.path, root = not is_folder and args.root or nil, masks = args.masks, classes = {args.shows},
        patient = not is_folder and args.patient or nil, keep = keep_of(args.leave_out),
    }))
end

--- The frame that the command line describes: of a folder, or of a CSV file.
---@param args table
---@return luxel.Frame
function options.frame(args)
    check_data(args)
    if args.masks then return mask_frame(args) end
    if lfs.attributes(args.data, "mode") == "directory" or not (args.label or args.labels) then
        if lfs.attributes(args.data, "mode") == "file" then
            options.fail(("--data: %s is not a folder; of a CSV file, --label says which column has the class, or "
                .. "--labels which columns have 0 and 1"):format(args.data))
        end
        return options.must(with_patients(lx.data.image_folder, args.data, {
            positive = args.positive, patient = args.patient,
        }))
    end
    local labels
    if args.labels then
        labels = {}
        for name in args.labels:gmatch("[^,]+") do labels[#labels + 1] = name end
    end
    return options.must(lx.data.frame(args.data, {
        path = args.path, root = args.root, label = args.label, labels = labels, positive = args.positive,
        patient = args.patient, uncertain = args.uncertain, keep = keep_of(args.leave_out),
    }))
end

-- Ends the command where what the images call the disease is what the model calls the other class.
local function check_disease(metadata, frame)
    for k, name in ipairs(frame.classes) do
        local other = 3 - k
        for _, theirs in ipairs {(metadata.folders or metadata.classes)[other], metadata.classes[other]} do
            if name:lower() == theirs:lower() then
                options.fail(("the disease of the model is %s, and of the images %s: say it with --positive, or with "
                    .. "other images"):format((metadata.folders or metadata.classes)[2], frame.classes[2]))
            end
        end
    end
end

--- Ends the command unless the classes of the images are those of the model, by the names that the training data had or
--- by the model's words. Two classes may be called otherwise, as which of them is the disease has been told.
---@param model luxel.Predictor
---@param frame luxel.Frame
function options.check_classes(model, frame)
    local metadata = model.metadata
    if model.task == "segmentation" and frame.task == model.task then return end
    if frame.task ~= model.task or #frame.classes ~= #metadata.classes then
        options.fail(("the model tells %s (%s), and the images have %s (%s)"):format(table.concat(metadata.classes,
            ", "),
            model.task, table.concat(frame.classes, ", "), frame.task))
    end
    if model.task == "binary" then return check_disease(metadata, frame) end
    for k, name in ipairs(frame.classes) do
        local folder = (metadata.folders or metadata.classes)[k]
        if name:lower() ~= folder:lower() and name:lower() ~= metadata.classes[k]:lower() then
            options.fail(("class %d of the images is %s, and of the model %s"):format(k, name, folder))
        end
    end
end

--- Images below a folder, whatever folders they are in, as a frame without labels.
---@param args table
---@param classes string[]
---@return luxel.Frame
function options.unlabelled(args, classes)
    if lfs.attributes(args.data, "mode") ~= "directory" then
        options.fail("--unlabelled: --data should be a folder, and is not: " .. args.data)
    end
    check_data(args)
    refuse_options(args, {"positive"}, "is for labels, and with --unlabelled there are none")
    local rows = rows_below(args.data, args.patient)
    for _, row in ipairs(rows) do row.label = "" end
    return options.must(lx.data.frame(rows, {label = "label", classes = classes}))
end

--- The words for the classes of a frame: NORMAL and INFECTED where its folders mean that, else its own names.
---@param frame luxel.Frame|luxel.Dataset
---@return string[]
function options.words_of(frame)
    local names = frame.classes
    if frame.task == "binary" and names[1]:lower() == "normal" and USUAL[names[2]:lower()] then
        return options.LABELS
    end
    return names
end

-- Images with masks, in their own sizes; reading all of them tells which cannot be read, and who was trained on.
local function open_with_masks(frame, reading)
    local dataset, message, code = frame:open {size = reading.size, reduce = reading.reduce, cache = reading.cache,
        strict = reading.strict, progress = reading.cache and reading.progress or nil}
    if not dataset then return nil, message, code end
    local rows, failed = {}, table.move(dataset.failed, 1, #dataset.failed, 1, {})
    for i = 1, #dataset do
        local _, problem, kind = dataset:image(i)
        if not problem then _, problem, kind = dataset:mask(i) end
        if problem then failed[#failed + 1] = {path = dataset.paths[i], message = problem, code = kind}
        else rows[#rows + 1] = i end
        if not reading.cache then reading.progress(i, #dataset) end
    end
    if #rows == 0 or reading.strict and failed[1] then return nil, failed[1].message, failed[1].code end
    local rest = #rows == #dataset and dataset or dataset:subset(rows)
    rest.failed = failed
    return rest
end

--- Reads the images of a frame as a model wants them.
---@param frame luxel.Frame
---@param model luxel.Predictor
---@return luxel.Dataset
function options.load_for(frame, model)
    return options.load(frame, model.size, false, nil, model.metadata.input.crop)
end

--- Reads the images of a frame with a progress bar; files that cannot be read are named.
---@param frame luxel.Frame
---@param size integer
---@param strict boolean
---@param cache string? file to keep them (or their parts) in at twice the size, for later runs; else they are in
---  memory at the size
---@param crop string? the part of the films to read, default all of them
---@return luxel.Dataset
function options.load(frame, size, strict, cache, crop)
    local console = lx.train.console()
    local reading = {
        size = size, strict = strict, crop = crop, progress = function(done, total) console:reading(done, total) end,
    }
    if cache then reading.cache, reading.reduce = cache, 2 * size end
    local read = frame.mask and open_with_masks or cache and frame.open or frame.load
    local dataset = options.must(read(frame, reading))
    for _, failure in ipairs(dataset.failed) do
        io.stderr:write("[WARN] left out: ", failure.message, "\n")
    end
    return dataset
end

return options
