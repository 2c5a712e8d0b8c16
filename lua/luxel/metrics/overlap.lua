--- How well two masks of one image agree.
--
-- A mask is a tensor of whole numbers, where 0 is outside and anything else inside (0 and 1, or 0 and 255), or of
-- floats 0 and 1. Probabilities are no mask until a threshold made one of them.

local args = require "luxel.args"
local core = require "luxel.core"

local overlap = {}

-- 1 inside and 0 outside.
local function inside(where, mask)
    local marked = core.binary("ne", mask, 0)
    if mask.dtype == "float32" and mask:numel() > 0 then
        local known = core.binary("add", core.binary("eq", mask, 0), core.binary("eq", mask, 1))
        if core.item(core.reduce("min", known)) == 0 then
            args.fail("%s: expected a mask of 0 and 1, got other numbers%s; a threshold makes a mask of probabilities: "
                .. "p:ge(0.5)", where, core.item(core.reduce("max", core.unary("isnan", mask))) == 1
                and ", NaN among them" or "")
        end
    end
    return core.cast(marked, "uint8")
end

local function count(mask) return mask:sum():item() end

-- How many pixels are in both, in the first and in the second.
local function areas(name, prediction, target)
    local shape, other = table.concat(prediction.shape, ","), table.concat(target.shape, ",")
    if shape ~= other then
        args.fail("%s: target: expected a mask of the shape of prediction, [%s], got [%s]", name, shape, other)
    end
    if prediction.device ~= target.device then
        args.fail("%s: target: expected a mask on %s, as prediction is, got one on %s", name, prediction.device,
            target.device)
    end
    local a, b = inside(name .. ": prediction", prediction), inside(name .. ": target", target)
    return count(core.binary("minimum", a, b)), count(a), count(b)
end

--- The Dice coefficient of two masks, 2 |A ∩ B| / (|A| + |B|) (Dice, Ecology 26:297, 1945), over all elements together.
--- 1 where both are empty: nothing was there, and nothing was found.
---@param prediction Tensor of any shape, uint8 or int32 (not 0: inside) or float32 of 0 and 1
---@param target Tensor of the same shape
---@return number dice 0..1; NaN and other numbers in a float mask are an error
function overlap.dice(prediction, target)
    local both, a, b = areas("dice", prediction, target)
    return a + b == 0 and 1.0 or 2 * both / (a + b)
end

--- Intersection over union of two masks, |A ∩ B| / |A ∪ B| (Jaccard, New Phytologist 11:37, 1912), over all elements
--- together. 1 where both are empty, as of `dice`.
---@param prediction Tensor of any shape, uint8 or int32 (not 0: inside) or float32 of 0 and 1
---@param target Tensor of the same shape
---@return number iou 0..1; NaN and other numbers in a float mask are an error
function overlap.iou(prediction, target)
    local both, a, b = areas("iou", prediction, target)
    return a + b == 0 and 1.0 or both / (a + b - both)
end

return {public = args.publish("", overlap, {
    dice = "prediction: tensor, target: tensor", iou = "prediction: tensor, target: tensor",
})}
