--- Lateral chest radiographs told from frontal ones, by a linear classifier on how a thumbnail and its mirror image
--- differ: docs/quality.md says how well.

local core = require "luxel.core"

local lateral = {}

local SIDE <const> = 14

local weights -- read when they are first needed

--- What the classifier looks at: of 14 x 14 parts of the image, levels standardised, the mean of each and its mirror
--- image, and how much the two differ. Which way a patient faces makes no difference.
---@param image luxel.Tensor [1,H,W] or [H,W], levels 0..255
---@return number[] 196 features
function lateral.features(image)
    local pixels = core.to_table(core.resize_image(image, SIDE, SIDE, "area", false))
    while type(pixels[1][1]) == "table" do pixels = pixels[1] end
    local sum, squares = 0, 0
    for _, row in ipairs(pixels) do
        for _, level in ipairs(row) do sum, squares = sum + level, squares + level * level end
    end
    local mean = sum / (SIDE * SIDE)
    local deviation = math.max(1, math.sqrt(math.max(0, squares / (SIDE * SIDE) - mean * mean)))
    local means, differences = {}, {}
    for _, row in ipairs(pixels) do
        for column = 1, SIDE // 2 do
            local left, right = row[column], row[SIDE + 1 - column]
            means[#means + 1] = ((left + right) / 2 - mean) / deviation
            differences[#differences + 1] = math.abs(left - right) / deviation
        end
    end
    return table.move(differences, 1, #differences, #means + 1, means)
end

--- The logit that an image is lateral, and the limit above which it is called so.
---@param image luxel.Tensor
---@return number logit, number limit
function lateral.score(image)
    weights = weights or require "luxel.vision.lateral_weights"
    local logit = weights.bias
    for i, feature in ipairs(lateral.features(image)) do logit = logit + weights[i] * feature end
    return logit / 1000, weights.limit / 1000
end

return lateral
