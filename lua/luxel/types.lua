--- Types of arguments that several parts of the library take: images, boxes, devices, networks.

local args = require "luxel.args"
local core = require "luxel.core"

local types = {}

local MOST_SIDE <const> = core.image_max_side
local FARTHEST <const> = (1 << 24) - 1 -- coordinates that drawing takes

local function side(length) return length >= 1 and length <= MOST_SIDE end

-- Whether a value is a tensor that functions on planes take; then its shape.
local function planes(value, anywhere)
    if not core.is_usable(value) then return nil end
    local dtype, shape = value.dtype, value.shape
    if dtype ~= "uint8" and dtype ~= "float32" or not anywhere and value.device ~= "cpu" then return nil end
    if #shape < 2 or #shape > 4 or not side(shape[#shape]) or not side(shape[#shape - 1]) then return nil end
    local count = 1
    for i = 1, #shape - 2 do count = count * shape[i] end
    if count > 0 then return shape, count end
end

args.type("image", "an image on the cpu, uint8 or float32 [H,W], [C,H,W] or [N,C,H,W]", "userdata", function(value)
    return planes(value) ~= nil
end)

args.type("grey_image", "a grey image on the cpu, uint8 or float32 [H,W] or [1,H,W]", "userdata", function(value)
    local _, count = planes(value)
    return count == 1
end)

args.type("single_image", "one image on the cpu, uint8 or float32 [H,W] or [C,H,W]", "userdata", function(value)
    local shape = planes(value)
    return shape ~= nil and (#shape < 4 or shape[1] == 1)
end)

args.type("picture", "an image, uint8 [1,H,W] or [3,H,W]", "userdata", function(value)
    local shape = planes(value, true)
    return shape ~= nil and #shape == 3 and (shape[1] == 1 or shape[1] == 3) and value.dtype == "uint8"
end)

args.type("sample", "an image on the cpu, uint8 or float32 [1,H,W] or [3,H,W]", "userdata", function(value)
    local shape = planes(value)
    return shape ~= nil and #shape == 3 and (shape[1] == 1 or shape[1] == 3)
end)

args.type("mask", "a mask on the cpu, uint8 [H,W] or [1,H,W]", "userdata", function(value)
    local shape = planes(value)
    return shape ~= nil and value.dtype == "uint8" and (#shape == 2 or #shape == 3 and shape[1] == 1)
end)

local function coordinate(value)
    value = math.tointeger(value)
    return value ~= nil and value >= -FARTHEST and value <= FARTHEST
end

-- Further fields, such as a class, are the user's.
args.type("box", "a box {x =, y =, w =, h =} in whole pixels", "table", function(value)
    local w, h = rawget(value, "w"), rawget(value, "h")
    return coordinate(rawget(value, "x")) and coordinate(rawget(value, "y")) and coordinate(w) and coordinate(h)
        and w >= 0 and h >= 0
end)

local function finite(value) return type(value) == "number" and value - value == 0 end

args.type("boxes", "a list of boxes {x =, y =, w =, h =}", "table", function(value)
    for i = 1, #value do
        local box = value[i]
        if type(box) ~= "table" then return false end
        for _, name in ipairs {"x", "y", "w", "h"} do
            if not finite(rawget(box, name)) then return false end
        end
    end
    return next(value) == nil or #value > 0
end)

args.type("colour", "a colour {red, green, blue}, each from 0 to 255", "table", function(value)
    if #value ~= 3 then return false end
    for i = 1, 3 do
        local level = math.tointeger(value[i])
        if not level or level < 0 or level > 255 then return false end
    end
    return true
end)

args.type("positive", "a number above 0", "number", function(value) return value > 0 and value < math.huge end)

args.type("odd", "an odd number", "number", function(value)
    value = math.tointeger(value)
    return value ~= nil and value % 2 == 1
end)

-- A network, or a view of one (nn.fuse), which has the same methods.
args.type("module", "a module", "table", function(value)
    local meta = getmetatable(value)
    return rawget(value, "_modules") ~= nil or type(meta) == "table" and rawget(meta, "is_view") == true
end)

args.type("path", "a path", "string", function(value) return value ~= "" and not value:find("\0", 1, true) end)

--- The label of a device, opened if it is not yet.
---@param where string "function: argument"
---@param name string
---@return string
function types.label(where, name)
    local device, message = core.device(name)
    if not device then args.fail("%s: %s", where, message) end
    return device.label
end

return types
