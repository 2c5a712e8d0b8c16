--- Logits and features of images in one pass: what a network makes of an image before its head, each channel's mean.

local lx = require "luxel"

local nn, F = lx.nn, lx.nn.functional

-- The side of the thumbnail; halvings of the size; the least energy that counts, for logarithms.
local THUMBNAIL <const>, HALVINGS <const>, LEAST <const> = 8, 3, 1e-6

local features = {}

-- A view of a network that gives both. A module, so that what is inside is fused and compiled as it is alone.
local Both = nn.class("Both")

function Both:init(net) self.net = net end

-- What the picture is like by itself: a thumbnail, and how much detail there is from one halving of the size to the
-- next. A network may be blind to what makes it err, to darkness for example.
local function look(x)
    local parts, energy = {F.adaptive_avg_pool2d(x, THUMBNAIL):flatten(2)}, x:square():mean({2, 3, 4})
    for i = 1, HALVINGS do
        x = F.avg_pool2d(x, 2)
        local less = x:square():mean({2, 3, 4})
        parts[i + 1] = ((energy - less):clamp(0) + LEAST):log():view(-1, 1)
        energy = less
    end
    return lx.cat(parts, 2)
end

function Both:forward(x)
    local maps = self.net:features(x)
    local pooled = F.adaptive_avg_pool2d(maps, 1):flatten(2)
    return self.net:head(maps), lx.cat({pooled, look(x)}, 2)
end

local views = setmetatable({}, {__mode = "k"}) -- by network

--- Whether a network has features and a head: a classifier of lx.models.
---@param net Module
---@return boolean
function features.has(net)
    local ok, found = pcall(function() return net.outputs and net.features and net.head and net.map_channels end)
    return ok and type(found) == "table"
end

--- The network as one that gives logits and features [N,C].
---@param net Module for which `has` holds
---@return Module
function features.of(net)
    if not views[net] then views[net] = Both(net) end
    return views[net]
end

return features
