--- The nearest normal images by pooled features (Bergman, Cohen and Hoshen, "Deep nearest neighbor anomaly detection",
--- 2020): of each channel the mean over the places of an image, as a share of the deviation, and the logarithm of that.
--- So a channel that is stronger all over the image moves one feature alone.

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

-- What keeps a channel that is the same everywhere from a share without bounds.
local EVEN <const> = 1e-3

local function features(maps)
    local parts = {}
    for _, map in ipairs(maps) do
        local mean, deviation = pooled(map)
        parts[#parts + 1], parts[#parts + 2] = mean / (deviation + EVEN), (deviation + EVEN):log()
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
    return {mean = mean:reshape(-1), scale = scale:reshape(-1), normal = (rows - mean) / scale}
end

-- The squared distance to the middle of the neighbours, and by place what would change of it if the place were more
-- like the others of the image, by the derivatives of the features (of a deviation d with regard to a place f it is
-- ((f - mean)^2 - d^2) / 2d), each weighted by how far it is from the middle. These changes are 0 on average, so the
-- mean of the map is the squared distance; a place may speak against.
local function map_of(job, maps, rows, middle, scale)
    local difference = rows - middle
    local weights, shown, first = difference / scale, nil, 1
    for _, map in ipairs(maps) do
        local count, channels, height, width = table.unpack(map.shape)
        local flat = map:reshape(count, channels, height * width)
        local mean, deviation = pooled(map)
        local even = deviation + EVEN
        local of_share = weights:narrow(2, first, channels)
        local of_log = weights:narrow(2, first + channels, channels)
        local of_square = (of_log - of_share * mean / even) * 0.5 / (deviation * even)
        local part = (of_share / even):unsqueeze(2):matmul(flat - mean:unsqueeze(3))
            + of_square:unsqueeze(2):matmul((flat - mean:unsqueeze(3)):square() - deviation:square():unsqueeze(3))
        part = stages.on_grid({part:reshape(count, 1, height, width)}, job.grid):squeeze(2)
        shown, first = shown and shown + part or part, first + 2 * channels
    end
    return (shown + difference:square():sum(2):reshape(-1, 1, 1)) / rows.shape[2]
end

function neighbours.look(job, tensors, x)
    local maps = job.eye(x)
    local rows = (features(maps) - tensors.mean) / tensors.scale
    local memory, dimensions = tensors.normal, rows.shape[2]
    local squared = (rows:square():sum(2, true) + memory:square():sum(2):unsqueeze(1) - rows:matmul(memory:t()) * 2)
        :clamp(0)
    local nearest, which = squared:topk(math.min(job.neighbours, memory.shape[1]), 2, false)
    local count, k = which.shape[1], which.shape[2]
    local middle = memory:index_select(1, which:reshape(-1)):reshape(count, k, dimensions):mean(2)
    return (nearest / dimensions):sqrt():mean(2), map_of(job, maps, rows, middle, tensors.scale)
end

return neighbours
