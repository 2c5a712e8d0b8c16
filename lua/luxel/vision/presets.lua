--- Augmentations by name, as lists of steps.

local args = require "luxel.args"

local presets = {}

local FULL <const> = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}}

-- The movement of `full` and the steps after it.
local function moved(steps)
    local all = table.move(FULL, 1, #FULL, 1, {})
    return table.move(steps, 1, #steps, #all + 1, all)
end

local PRESETS <const> = {
    none = {},
    flips = {{"hflip"}},
    full = FULL,
    strong = moved {{"brightness", 0.15}, {"contrast", {0.7, 1.3}}, {"gamma", {0.7, 1.4}}},
    style = moved {
        {"style", {0, 0.8}, p = 0.5}, {"tone", 0.5, p = 0.5}, {"gamma", {0.7, 1.4}, p = 0.5},
        {"one_of", {{"blur", {0.3, 1.2}}, {"sharpness", {0.5, 3}}, {"resolution", {0.4, 0.9}}}, p = 0.5},
        {"border", {0, 0.08}, p = 0.2}, {"marker", p = 0.3}, {"random_erasing", {0.02, 0.15}, value = -2, p = 0.2},
        {"noise", {1, 8}, p = 0.3}, {"jpeg", {40, 95}, p = 0.3},
    },
}

-- Steps are made of strings, numbers, and tables of them.
local function copy(value)
    if type(value) ~= "table" then return value end
    local out = {}
    for key, inner in pairs(value) do out[key] = copy(inner) end
    return out
end

--- The steps of a named augmentation, a new list that may be changed, for `lx.vision.pipeline` and the option
--- `augment` of `lx.data.batches` and `lx.train.fit`. `full` moves pictures (mirrored, turned, moved, scaled), `strong`
--- also changes brightness, contrast and gamma, and `style` instead what differs between hospitals and machines: the
--- distribution and curve of levels, sharpness, resolution, borders, markers, noise and JPEG, and erased rectangles.
---@param name "none"|"flips"|"full"|"strong"|"style"
---@return table[] steps
function presets.preset(name) return copy(PRESETS[name]) end

return args.publish("", presets, {preset = 'name: "none"|"flips"|"full"|"strong"|"style"'})
