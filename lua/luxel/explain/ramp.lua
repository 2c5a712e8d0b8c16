--- Colours for values from 0 to 1: 256 steps of even lightness in CIELAB (CIE 15:2004), from dark violet by way of red
--- to light yellow. Of each lightness and hue the chroma is a share of what sRGB can show, and no more than a limit.

local core = require "luxel.core"

local STEPS <const> = 256
local LIGHTNESS <const>, HUE <const> = {15, 92}, {300, 460} -- first and last; hues in degrees
local SHARE <const>, MOST <const> = 0.92, 80 -- of the chroma

-- The reference white of sRGB (D65), and the matrix from XYZ to linear sRGB (IEC 61966-2-1).
local WHITE <const> = {0.95047, 1, 1.08883}
local MATRIX <const> = {{3.2406, -1.5372, -0.4986}, {-0.9689, 1.8758, 0.0415}, {0.0557, -0.2040, 1.0570}}

local function from_lab(value)
    return value > 6 / 29 and value ^ 3 or 3 * (6 / 29) ^ 2 * (value - 4 / 29)
end

-- sRGB levels 0..1 of a colour; some are outside where it cannot be shown.
local function srgb(lightness, chroma, hue)
    local a, b = chroma * math.cos(math.rad(hue)), chroma * math.sin(math.rad(hue))
    local fy = (lightness + 16) / 116
    local x, y, z = from_lab(fy + a / 500) * WHITE[1], from_lab(fy) * WHITE[2], from_lab(fy - b / 200) * WHITE[3]
    local out = {}
    for i, row in ipairs(MATRIX) do
        local linear = row[1] * x + row[2] * y + row[3] * z
        out[i] = linear <= 0.0031308 and 12.92 * linear or 1.055 * linear ^ (1 / 2.4) - 0.055
    end
    return out
end

local function can_be_shown(levels)
    for _, level in ipairs(levels) do
        if not (level >= 0 and level <= 1) then return false end
    end
    return true
end

-- The largest chroma that sRGB can show.
local function largest_chroma(lightness, hue)
    local low, high = 0, 200
    for _ = 1, 30 do
        local middle = (low + high) / 2
        if can_be_shown(srgb(lightness, middle, hue)) then low = middle else high = middle end
    end
    return low
end

local function between(ends, share) return ends[1] + share * (ends[2] - ends[1]) end

local made

--- The colours, as levels 0..255.
---@return Tensor float32 [256,3]
return function()
    if not made then
        local rows = {}
        for i = 1, STEPS do
            local share = (i - 1) / (STEPS - 1)
            local lightness, hue = between(LIGHTNESS, share), between(HUE, share)
            local levels = srgb(lightness, math.min(MOST, SHARE * largest_chroma(lightness, hue)), hue)
            for k, level in ipairs(levels) do levels[k] = math.floor(255 * level + 0.5) end
            rows[i] = levels
        end
        made = core.from_table(rows, "float32")
    end
    return made
end
