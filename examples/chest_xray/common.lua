--- What train.lua, evaluate.lua and predict.lua share: networks, devices, reading data, and models in files.

local core = require "luxel.core"
local lx = require "luxel"
local nn = lx.nn

local common = {}

-- The words for label 0 and label 1 in everything that people read.
common.LABELS = {"NORMAL", "INFECTED"}

common.NOTICE = "Luxel supports a reading by a qualified person; it does not replace one. It is not a medical device."

-- Grey values 0..1 are brought to about -2..2 before the network sees them.
common.MEAN, common.STD = 0.5, 0.25

--- Says what is wrong, and ends the program.
---@param message string
---@param status integer? exit status, default 1
function common.fail(message, status)
    io.stderr:write("error: ", message, "\n")
    os.exit(status or 1, true)
end

--- The value, or the end of the program with the message.
---@generic T
---@param value T?
---@param message string?
---@return T
function common.must(value, message, ...)
    if not value then common.fail(message) end
    return value, message, ...
end

-- ---- devices --------------------------------------------------------------------------------------------------

--- Adds the option that says what to compute on.
function common.add_device_option(parser)
    parser:option("--device", "What to compute on: auto (the best GPU, else cpu), cpu, opencl, opencl:2, or a part of "
        .. "a device's name.", "auto")
end

--- Opens the device that the option names, or ends the program with a list of those that there are.
---@param name string
---@return string label
---@return string words for the person
function common.device(name)
    local device, message = lx.device(name)
    if not device then common.fail(("--device: %s\n%s"):format(message, tostring(lx.devices()))) end
    if device.label == "cpu" then return device.label, device.name end
    return device.label, ("%s (%s)"):format(device.label, device.name)
end

-- ---- networks -------------------------------------------------------------------------------------------------

--- Networks by name: functions of the image side that return a net from [N,1,size,size] to one logit [N,1].
common.models = {}

--- Four 3×3 convolutions (32, 64, 128, 128 channels), each with ReLU and 2×2 max-pooling, then 512 features.
---@param size integer side of the images, at least 16
---@return Module
function common.models.cnn(size)
    local side = size // 16
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(128, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * side * side, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1)
    )
end

--- The names of the networks, for help texts.
---@return string[]
function common.model_names()
    local names = {}
    for name in pairs(common.models) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- ---- data -----------------------------------------------------------------------------------------------------

-- FNV-1a, 64 bits: names of training files are stored as short hashes, not in clear.
local function hash(text)
    local value = 0xcbf29ce484222325
    for i = 1, #text do value = (value ~ text:byte(i)) * 0x100000001b3 end
    return ("%012x"):format(value >> 16)
end

local function basename(path) return path:match("[^/]*$") end

--- Short hashes of the file names of a dataset, to recognise it again.
---@param dataset luxel.Dataset
---@return string
function common.fingerprint(dataset)
    local hashes = {}
    for i, path in ipairs(dataset.paths) do hashes[i] = hash(basename(path)) end
    return table.concat(hashes)
end

--- Leaves out what the model was trained on. If any file of the frame is one of them, the patients of those files go
--- too; a collection that the model never saw is returned whole.
---@param frame luxel.Frame
---@param fingerprint string
---@return luxel.Frame rest, integer left_out
function common.unseen(frame, fingerprint)
    local trained, patients = {}, {}
    for code in fingerprint:gmatch("%x%x%x%x%x%x%x%x%x%x%x%x") do trained[code] = true end
    for i = 1, #frame do
        if trained[hash(basename(frame[i].path))] then patients[frame[i].group] = true end
    end
    local rest = frame:filter(function(row) return not patients[row.group] end)
    return rest, #frame - #rest
end

--- Reads the images of a frame with a progress bar; files that cannot be read are named.
---@param frame luxel.Frame
---@param size integer
---@param strict boolean
---@param cache string? file to keep them in at twice the size, for later runs; else they are in memory at the size
---@return luxel.Dataset
function common.load(frame, size, strict, cache)
    local console = lx.train.console()
    local options = {
        size = size, strict = strict, progress = function(done, total) console:reading(done, total) end,
    }
    if cache then options.cache, options.reduce = cache, 2 * size end
    local dataset = common.must((cache and frame.open or frame.load)(frame, options))
    for _, failure in ipairs(dataset.failed) do
        io.stderr:write("[WARN] left out: ", failure.message, "\n")
    end
    return dataset
end

-- ---- models in files ------------------------------------------------------------------------------------------

---@class ChestModel
---@field net Module
---@field metadata table
---@field size integer

--- Reads a model that train.lua wrote.
---@param path string
---@param device string? where it is to compute
---@return ChestModel? model, string? message
function common.load_model(path, device)
    local tensors, metadata = lx.checkpoint.load(path)
    if not tensors then return nil, metadata end
    local build = common.models[metadata.model or ""]
    local size = math.tointeger(metadata.size)
    if not build or not size or not metadata.normalisation then
        return nil, ("%s does not say which network it holds; was it written by train.lua?"):format(path)
    end
    local weights = {}
    for name, tensor in pairs(tensors) do
        if not name:find("^optimizer%.") then weights[name] = tensor end
    end
    local net = nn.init.skip(build, size)
    local ok, message = pcall(net.load_state_dict, net, weights, {assign = true})
    if not ok then return nil, ("%s: %s"):format(path, message) end
    net:eval()
    net:to(device or "cpu")
    return {net = net, metadata = metadata, size = size, threshold = metadata.threshold or 0.5}
end

--- The probability of infection for every image of a dataset. Ends the program if the device fails.
---@param model ChestModel
---@param dataset luxel.Dataset
---@return number[]
function common.probabilities(model, dataset)
    local metadata = model.metadata
    local ok, logits = pcall(lx.train.predict, model.net, dataset, metadata.normalisation)
    if not ok then
        local code, text = core.error_code(tostring(logits))
        if code ~= "device" and code ~= "memory" then error(logits, 0) end
        common.fail(text)
    end
    for i, logit in ipairs(logits) do
        logits[i] = lx.calibration.probability(metadata.calibration, logit)
    end
    return logits
end

--- The label at the model's threshold, and the probability of that label.
---@param model ChestModel
---@param probability number of infection
---@return string label, number probability
function common.decide(model, probability)
    if probability >= model.threshold then return common.LABELS[2], probability end
    return common.LABELS[1], 1 - probability
end

return common
