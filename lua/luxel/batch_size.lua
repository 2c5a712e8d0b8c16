--- How many images go through a network together where it is only asked, and nobody says it.

local core = require "luxel.core"

-- Pixels on processors: eight images of 192 pixels take no longer each than 32 do, and less memory; four take longer.
local PIXELS <const> = 300000

-- At the most, and elsewhere.
local MOST <const> = 32

--- What an image gives is the same, however many are beside it.
---@param device string
---@param size integer side of the images
---@return integer
return function(device, size)
    if device ~= "cpu" then return MOST end
    return math.max(core.threads(), math.min(MOST, PIXELS // (size * size)), 1)
end
