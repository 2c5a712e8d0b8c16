--- The nearest normal images by pooled features (Bergman, Cohen and Hoshen, "Deep nearest neighbor anomaly detection",
--- 2020): each channel's mean over the places of an image, and its deviation.

local lx = require "luxel"
local stages = require "luxel.anomaly.stages"

local neighbours = {usual = {3, 4}, top = 1}

-- The least deviation of a feature among images, as a share of the mean one.
local LEAST <const>, NOISE <const> = 0.01, 1e-5

-- Mean and deviation over places, [N,C] each.
local function pooled(map)
    local flat = map:flatten(3)
    local mean = flat:mean(3)
    return mean, ((flat - mean:unsqueeze(3)):square():mean(3) + 1e-12):sqrt()
end

local function features(maps)
    local parts = {}
    for _, map in ipairs(maps) do
        parts[#parts + 1], parts[#parts + 2] = pooled(map)
    end
    return lx.cat(parts, 2)
end

function neighbours.fit(job)
    local parts = {}
    job.each(function(x) parts[#parts + 1] = lx.tidy(function() return features(job.eye(x)) end) end)
    local rows = lx.cat(parts, 1)
    local mean = rows:mean(1, true)
    local scale = (rows - mean):square():mean(1, true):sqrt()
    local usual = scale:mean():item()
    -- what is left of equal images by rounding is not nothing
    if not (usual > NOISE * rows:abs():mean():item() and usual < math.huge) then return nil end
    scale = scale:clamp(usual * LEAST)
    return {mean = mean:reshape(-1), scale = scale:reshape(-1), memory = (rows - mean) / scale}
end

-- The squared distance to the middle of the neighbours is the mean over places of what each of them adds to it: of a
-- channel's mean f - middle, of its deviation s the square of f - mean, divided by s; both weighted by how far the
-- feature is from the middle. That is the map; a place may speak against.
local function map_of(job, tensors, maps, rows, middle)
    local difference = rows - middle
    local weights = difference / tensors.scale
    local shown, first = nil, 1
    for _, map in ipairs(maps) do
        local count, channels, height, width = table.unpack(map.shape)
        local flat = map:reshape(count, channels, height * width)
        local mean, deviation = pooled(map)
        local of_mean = weights:narrow(2, first, channels):unsqueeze(2)
        local of_deviation = (weights:narrow(2, first + channels, channels) / deviation):unsqueeze(2)
        local part = of_mean:matmul(flat) + of_deviation:matmul((flat - mean:unsqueeze(3)):square())
        part = stages.on_grid({part:reshape(count, 1, height, width)}, job.grid):squeeze(2)
        shown, first = shown and shown + part or part, first + 2 * channels
    end
    local offset = (difference * (tensors.mean / tensors.scale + middle)):sum(2):reshape(-1, 1, 1)
    return (shown - offset) / rows.shape[2]
end

function neighbours.look(job, tensors, x)
    local maps = job.eye(x)
    local rows = (features(maps) - tensors.mean) / tensors.scale
    local memory, dimensions = tensors.memory, rows.shape[2]
    local squared = (rows:square():sum(2, true) + memory:square():sum(2):unsqueeze(1) - rows:matmul(memory:t()) * 2)
        :clamp(0)
    local nearest, which = squared:topk(math.min(job.neighbours, memory.shape[1]), 2, false)
    local count, k = which.shape[1], which.shape[2]
    local middle = memory:index_select(1, which:reshape(-1)):reshape(count, k, dimensions):mean(2)
    return (nearest / dimensions):sqrt():mean(2), map_of(job, tensors, maps, rows, middle)
end

return neighbours
