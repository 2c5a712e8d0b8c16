--- The colours of plots, on light and on dark.

-- Each series: its colour on light and on dark, its dashes, its marker. Colours are as far apart as a search found, for
-- all that spec/plot_spec.lua sees through, and readable on their ground.
local SERIES <const> = {
    {light = "#0d84c8", dark = "#7acaf9", dash = "", marker = "circle"},
    {light = "#d4640c", dark = "#d38560", dash = "7 3", marker = "square"},
    {light = "#0c2a1d", dark = "#d8f1ea", dash = "2 3", marker = "triangle"},
    {light = "#770b69", dark = "#f70c9e", dash = "9 3 2 3", marker = "diamond"},
    {light = "#574310", dark = "#e9d250", dash = "13 3", marker = "cross"},
    {light = "#5025c6", dark = "#7f76fe", dash = "1 3", marker = "plus"},
}

local INK <const> = {light = "#1d2733", dark = "#e6ebf0"}
local SOFT <const> = {light = "#4d5a67", dark = "#9aa7b4"}
local LINE <const> = {light = "#d8dee5", dark = "#364049"}
local PAPER <const> = {light = "#ffffff", dark = "#14191e"}

return {series = SERIES, ink = INK, soft = SOFT, line = LINE, paper = PAPER}
