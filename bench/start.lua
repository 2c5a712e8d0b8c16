--- What the timing of a process start needs: a model file that predict.lua reads, and a radiograph.

local lx = require "luxel"

local start = {}

local SIZE <const> = 224

local function exists(path)
    local file = path and io.open(path)
    if file then file:close() end
    return file ~= nil
end

--- A real radiograph from the folder of data, or a drawn one as a PNG.
---@param folder string where to write the drawn one
---@param here string the folder of this file
---@return string path
function start.picture(folder, here)
    local data = os.getenv("LUXEL_DATA") or here .. "../../shared/data"
    local list = io.popen(("ls '%s/chest_xray/NORMAL' 2>/dev/null"):format(data))
    local name = list and list:read("l")
    if list then list:close() end
    if name and exists(("%s/chest_xray/NORMAL/%s"):format(data, name)) then
        return ("%s/chest_xray/NORMAL/%s"):format(data, name)
    end
    local path = folder .. "/start.png"
    assert(lx.vision.save(path, lx.data.phantom({n = 1, size = 512, seed = 1}).images:select(1, 1)))
    return path
end

--- The network of examples/chest_xray at 224 with random weights, as train.lua writes it.
---@param folder string
---@param options table luxel.command.options
---@return string path
function start.model(folder, options)
    local path = folder .. "/start.safetensors"
    lx.manual_seed(1)
    assert(lx.checkpoint.save(path, lx.models.cnn {size = SIZE}:state_dict(), {
        schema = 2, task = "binary", version = "bench", model = "cnn", size = SIZE, classes = options.LABELS,
        positive = options.LABELS[2], input = {channels = 1, low = 0, high = 1},
        normalisation = {mean = options.MEAN, std = options.STD}, threshold = 0.5, calibration = false, seed = 1,
        epoch = 1,
    }))
    return path
end

return start
