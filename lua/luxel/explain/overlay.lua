--- Maps over their images, in colours.

local args = require "luxel.args"
local core = require "luxel.core"
local draw = require "luxel.vision.draw"
local geometry = require "luxel.vision.geometry"
local ramp = require "luxel.explain.ramp"

local OPAQUE <const> = 0.65 -- of the largest value

--- The image with a map over it: the larger a value, the lighter its colour and the less is seen of the image; values
--- below 0 are not shown. The map covers the whole image and is enlarged to its pixels, as images are shrunk for a
--- network.
---@param image Tensor uint8 [1,H,W] or [3,H,W] on the cpu
---@param map Tensor float32 [h,w] or [1,h,w], finite
---@param options? {most: number?} most: the value of the last colour, and of what is above; default the largest of the
---  map
---@return Tensor picture uint8 [3,H,W]
---@return number most the value of the last colour, 0 where no value is above 0
local function overlay(image, map, options)
    local height, width = image.shape[2], image.shape[3]
    if map.dtype ~= "float32" or map.ndim ~= 2 and (map.ndim ~= 3 or map.shape[1] ~= 1) or map:numel() == 0 then
        args.fail("explain.overlay: map: expected float32 [h,w] or [1,h,w], got %s", args.describe(map))
    elseif (map * 0):sum():item() ~= 0 then -- NaN
        args.fail("explain.overlay: map: it has numbers that are not finite")
    end
    map = map:reshape(1, map.shape[map.ndim - 1], map.shape[map.ndim]):to("cpu")
    local most = options and options.most or math.max(0, map:max():item())
    local values = (geometry.resize(map:relu(), height, width) / (most > 0 and most or 1)):clamp(0, 1)
    local places = (values * 255 + 1.5):floor():clamp(1, 256):int():reshape(height * width)
    local colours = ramp():index_select(1, places):t():reshape(3, height, width)
    local share = values * OPAQUE
    local picture = draw.to_rgb(image):float() * (share * -1 + 1) + colours * share
    return core.cast(core.unary("round", picture:clamp(0, 255)), "uint8"), most
end

return args.public("explain.overlay", "image: picture, map: tensor, options: {most: positive?}?", overlay)
