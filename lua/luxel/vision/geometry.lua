--- Where pixels are: sizes, turns and warps.

local core = require "luxel.core"

local geometry = {}

--- Resizes with an antialiasing triangle filter.
---@param image Tensor uint8 [C,H,W]
---@param height integer
---@param width integer
---@return Tensor uint8 [C,height,width]
function geometry.resize(image, height, width) return core.resize_image(image, height, width) end

return geometry
