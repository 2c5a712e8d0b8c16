--- Images: tensors [1,H,W] or [3,H,W], uint8 or, where there is more than 8 bits, float32.

local namespace = require "luxel.namespace"

local vision = {}

for _, part in ipairs {"read", "geometry", "enhance", "draw", "presets"} do
    for name, value in pairs(require("luxel.vision." .. part)) do
        vision[name] = value
    end
end
vision.boxes = require "luxel.vision.boxes"
vision.pipeline = require("luxel.vision.pipeline").pipeline
vision.quality = require("luxel.vision.quality").quality

return namespace("lx.vision", vision)
