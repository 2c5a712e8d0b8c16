--- Plots and pictures of characters, for the terminal.

local args = require "luxel.args"
local core = require "luxel.core"
local geometry = require "luxel.vision.geometry"
local samples = require "luxel.metrics.sample"
local scale = require "luxel.plot.scale"

local terminal = {}

local BLOCKS <const> = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

--- Numbers as a line of blocks, the lowest the least of them. Where there are more than `width`, each block is the mean
--- of its share; a gap stands for NaN and infinite ones.
---@param values number[]|luxel.Tensor
---@param width? integer characters at most, default 40
---@return string
function terminal.spark(values, width)
    values, width = samples.numbers(values, "spark: values"), math.tointeger(width or 40)
    local columns, low, high = {}, math.huge, -math.huge
    local count = math.min(width, #values)
    for c = 1, count do
        local sum, n = 0, 0
        for i = (c - 1) * #values // count + 1, c * #values // count do
            if scale.is_finite(values[i]) then sum, n = sum + values[i], n + 1 end
        end
        columns[c] = n > 0 and sum / n or 0 / 0
        if n > 0 then low, high = math.min(low, columns[c]), math.max(high, columns[c]) end
    end
    for c, value in ipairs(columns) do
        local share = high > low and (value - low) / (high - low) or 0
        columns[c] = value ~= value and " " or BLOCKS[math.min(#BLOCKS, math.floor(share * #BLOCKS) + 1)]
    end
    return table.concat(columns)
end

--- An image in the colours of a terminal that knows 24 bits, two pixels in each character: `print` shows it.
---@param image Tensor uint8 or float32 (on the scale 0..255), [H,W], [1,H,W] or [3,H,W]
---@param width? integer characters, default 64; the height keeps the image's proportion
---@return string
function terminal.preview(image, width)
    width = math.tointeger(width or 64)
    if image.ndim == 4 then image = core.reshape(image, {image.shape[2], image.shape[3], image.shape[4]}) end
    if image.ndim == 2 then image = core.reshape(image, {1, image.shape[1], image.shape[2]}) end
    if image.shape[1] ~= 1 and image.shape[1] ~= 3 then
        args.fail("preview: image: expected one or three channels, got %s", args.describe(image))
    end
    local rows = math.max(1, math.floor(width * image.shape[2] / image.shape[3] / 2 + 0.5))
    local planes = geometry.resize(image, 2 * rows, width):totable()
    local function colour(y, x)
        local level = {}
        for c = 1, 3 do
            local value = (planes[c] or planes[1])[y][x]
            level[c] = value == value and math.floor(math.max(0, math.min(255, value)) + 0.5) or 0
        end
        return table.concat(level, ";")
    end
    local lines = {}
    for r = 1, rows do
        local line = {}
        for x = 1, width do
            line[x] = ("\27[38;2;%sm\27[48;2;%sm▀"):format(colour(2 * r - 1, x), colour(2 * r, x))
        end
        lines[r] = table.concat(line) .. "\27[0m"
    end
    return table.concat(lines, "\n")
end

return args.publish("", terminal, {
    spark = "values: tensor|table, width: integer(1..10000)?",
    preview = "image: single_image, width: integer(1..1000)?",
})
