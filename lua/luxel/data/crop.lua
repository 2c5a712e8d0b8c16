--- What of a film a network sees: all of it, or only the part with both lungs, so that neither borders nor markers tell
--- it the device. Images are cut when they are read, and a model's file says how its images were.

local args = require "luxel.args"
local core = require "luxel.core"
local geometry = require "luxel.vision.geometry"

local crop = {}

--- The kinds of cuts, as a type of declarations.
crop.TYPE = '"lungs"'

local function words(kind) return kind and ("cropped to the %s"):format(kind) or "whole films" end

--- Raises unless images were cut as a network wants them.
---@param where string "function: argument"
---@param dataset luxel.Dataset
---@param wanted string? nil: not at all
function crop.check(where, dataset, wanted)
    if dataset.crop == wanted then return end
    args.fail("%s: the network sees images %s, and these are %s; read them with {crop = %s}", where, words(wanted),
        words(dataset.crop), wanted and ('"%s"'):format(wanted) or "nil")
end

--- The parts of pictures that a network sees; several are looked at at a time.
---@param images Tensor[] [C,H,W] each
---@param kind string?
---@return Tensor[] images
---@return {x: integer, y: integer, w: integer, h: integer}[]? boxes where they were, nil without a cut
function crop.cut(images, kind)
    if not kind then return images end
    local boxes, out = core.find_lungs(images), {}
    for i, image in ipairs(images) do out[i] = geometry.crop(image, boxes[i]) end
    return out, boxes
end

return crop
