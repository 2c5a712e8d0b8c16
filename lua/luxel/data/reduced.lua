--- Images brought to 28 x 28, and the parts of them from which devices and protocols can be told: the border, in which
--- there is no lung, the corners, and the low frequencies.

local args = require "luxel.args"
local core = require "luxel.core"
local memory = require "luxel.memory"

local reduced = {}

-- The side; the width of the border, that of 6 pixels of 56; the side of a corner; and that of the lowest frequencies.
local SIDE <const>, BORDER <const>, CORNER <const>, COARSE <const> = 28, 3, 4, 7

-- Files read in one call, and images resized at once.
local CHUNK <const> = 64

-- A frame has paths of files, and a dataset images.
local function is_frame(images) return rawget(images, "path") ~= nil end

-- One channel of levels, [N,C,S,S] as [N,1,S,S].
local function to_grey(x)
    if x.shape[2] == 1 then return x end
    return core.narrow(x, 2, 1, 1) * 0.299 + core.narrow(x, 2, 2, 1) * 0.587 + core.narrow(x, 2, 3, 1) * 0.114
end

--- Bytes of `core.survey` as a tensor.
---@param strings string[]
---@return luxel.Tensor float32 [N,784]
function reduced.of_bytes(strings)
    return core.from_string(table.concat(strings), {#strings, SIDE * SIDE}, "uint8"):float()
end

local function of_frame(frame)
    local strings = {}
    for first = 1, #frame, CHUNK do
        local last = math.min(first + CHUNK - 1, #frame)
        local found, message, code = core.survey(table.move(frame.path, first, last, 1, {}))
        if not found then return nil, message, code end
        for i, record in ipairs(found) do
            if record.message then return nil, record.message, record.code end
            strings[first + i - 1] = record.reduced
        end
    end
    return reduced.of_bytes(strings)
end

local function of_dataset(dataset)
    local out = core.new({#dataset, SIDE * SIDE}, "float32")
    local step = dataset.images and CHUNK or 1
    for first = 1, #dataset, step do
        local count = math.min(step, #dataset - first + 1)
        local image, message, code
        if dataset.images then
            image = core.to_device(core.narrow(dataset.images, 1, first, count), "cpu")
        else
            image, message, code = dataset:image(first)
            if not image then return nil, message, code end
            image = core.view(image, {1, table.unpack(image.shape)})
        end
        memory.tidy(function()
            local small = to_grey(core.resize_image(image, SIDE, SIDE, "area", true):float())
            core.copy_(core.narrow(out, 1, first, count), core.view(small:contiguous(), {count, SIDE * SIDE}))
        end)
    end
    return out
end

--- Each image, whatever its proportion, as the means of 28 x 28 equal parts.
---@param images luxel.Dataset|luxel.Frame
---@param name string of the public function
---@return luxel.Tensor? x float32 [N,784] levels 0..255, rows from the top
---@return string? message, string? code where a file cannot be read
function reduced.of(images, name)
    if is_frame(images) then return of_frame(images) end
    local x, message, code = of_dataset(images)
    if not x then return nil, message, code end
    local sum = x:sum():item()
    if sum - sum ~= 0 then args.fail("%s: images: expected finite levels, got NaN or infinity among them", name) end
    return x
end

--- What is known of each image, whichever of the two they are.
---@param images luxel.Dataset|luxel.Frame
---@return (number|number[])[] labels
---@return any[] groups the patients, or the paths where they are not known
function reduced.columns(images)
    if is_frame(images) then return images.label, images.group end
    return core.to_table(images.labels), images.groups or images.paths
end

-- The places, from 1, of the pixels for which `keep(row, column)` is true; both from 0.
local function places(keep)
    local list = {}
    for row = 0, SIDE - 1 do
        for column = 0, SIDE - 1 do
            if keep(row, column) then list[#list + 1] = row * SIDE + column + 1 end
        end
    end
    return list
end

local function from_edge(at) return math.min(at, SIDE - 1 - at) end

local ON_BORDER <const> = places(function(row, column)
    return math.min(from_edge(row), from_edge(column)) < BORDER
end)
local IN_CORNERS <const> = places(function(row, column)
    return math.max(from_edge(row), from_edge(column)) < CORNER
end)

local function pick(x, list) return core.index_select(x, 2, core.from_table(list, "int32")) end

--- The outer border.
---@param x luxel.Tensor of `reduced.of`
---@return luxel.Tensor float32 [N,300]
function reduced.border(x) return pick(x, ON_BORDER) end

--- The four corners.
---@param x luxel.Tensor of `reduced.of`
---@return luxel.Tensor float32 [N,64]
function reduced.corners(x) return pick(x, IN_CORNERS) end

--- The low frequencies: the means of 7 x 7 equal parts.
---@param x luxel.Tensor of `reduced.of`
---@return luxel.Tensor float32 [N,49]
function reduced.coarse(x)
    local count = x.shape[1]
    return core.view(core.resize_image(core.view(x, {count, 1, SIDE, SIDE}), COARSE, COARSE, "area", true),
        {count, COARSE * COARSE})
end

return reduced
