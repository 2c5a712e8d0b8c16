--- PatchCore (Roth et al., "Towards total recall in industrial anomaly detection", CVPR 2022): patches of normal images
--- are kept, as few as cover all of them, and an image is as unusual as its most unusual patch is far from these.

local lx = require "luxel"
local random = require "luxel.random"
local stages = require "luxel.anomaly.stages"

local F = lx.nn.functional

local patchcore = {usual = {3, 4}, top = 0}

-- Patches at most that the kept ones are chosen among, dimensions in which they are chosen (a random projection keeps
-- distances about: Johnson and Lindenstrauss 1984), and neighbours by which a score is weighted.
local CANDIDATES <const>, PROJECTED <const>, NEIGHBOURS <const> = 60000, 64, 9

-- Distances of so many patches at a time, so that memory stays small.
local TOGETHER <const> = 4096

-- What each place sees of itself and its neighbours, [N*P,C].
local function patches_of(job, x)
    local maps = job.eye(x)
    for i, map in ipairs(maps) do
        maps[i] = F.avg_pool2d(map, 3, {stride = 1, padding = 1, count_include_pad = false})
    end
    local all = stages.on_grid(maps, job.grid)
    local count, channels = all.shape[1], all.shape[2]
    return all:reshape(count, channels, -1):transpose(2, 3):reshape(-1, channels)
end

-- Squared distances between rows, [A,B].
local function squared(a, b, b_squares)
    return (a:square():sum(2, true) + b_squares - a:matmul(b:t()) * 2):clamp(0)
end

local function squares_of(rows) return rows:square():sum(2):unsqueeze(1) end

-- Some patches of each image, as many of each.
local function candidates_of(job)
    local places, parts, image = job.grid * job.grid, {}, 0
    local each = math.max(1, math.min(places, CANDIDATES // job.count))
    job.each(function(x)
        local rows <close>, chosen = lx.tidy(patches_of, job, x), {}
        for k = 0, x.shape[1] - 1 do
            image = image + 1
            local order = random.stream(job.seed, 11, image):permutation(places)
            for i = 1, each do chosen[#chosen + 1] = k * places + order[i] end
        end
        parts[#parts + 1] = rows:index_select(1, lx.tensor(chosen, {dtype = "int32", device = rows.device}))
    end)
    return lx.cat(parts, 1)
end

--- The rows that cover all of them: each time the one farthest from those taken so far (greedy k-centre; Sener and
--- Savarese, ICLR 2018).
---@param job {seed: integer, say: function}
---@param rows Tensor [N,d]
---@param count integer
---@return integer[] numbers of rows
function patchcore.coreset(job, rows, count)
    local channels, device = rows.shape[2], rows.device
    if channels > PROJECTED then
        local stream, numbers = random.stream(job.seed, 13), {}
        for i = 1, channels * PROJECTED do numbers[i] = stream:normal() / math.sqrt(PROJECTED) end
        rows = rows:matmul(lx.tensor(numbers, {device = device}):reshape(channels, PROJECTED))
    end
    local own = rows:square():sum(2, true)
    local chosen, nearest = {random.stream(job.seed, 17):integer(rows.shape[1])}, nil
    for k = 1, count - 1 do
        local centre = rows:narrow(1, chosen[k], 1)
        local found <close> = own + own:narrow(1, chosen[k], 1) - rows:matmul(centre:t()) * 2
        if nearest then nearest = lx.tidy(function() return nearest:minimum(found) end) else nearest = found:clone() end
        chosen[k + 1] = nearest:argmax():item()
        if k % 100 == 0 then job.say("choosing patches", k, count) end
    end
    return chosen
end

function patchcore.fit(job)
    local rows = candidates_of(job)
    local mean = rows:mean(1, true)
    local scale = (rows - mean):square():mean(1, true):sqrt()
    local usual = scale:mean():item()
    if not (usual > 0 and usual < math.huge) then return nil end
    scale = scale:clamp(usual * 0.01)
    rows = (rows - mean) / scale
    local count = math.min(job.patches, rows.shape[1])
    local chosen = lx.tidy(patchcore.coreset, job, rows, count)
    job.say("choosing patches", count, count)
    local memory = rows:index_select(1, lx.tensor(chosen, {dtype = "int32", device = rows.device}))
    return {mean = mean:reshape(-1), scale = scale:reshape(-1), memory = memory}
end

-- How much of an image's largest distance counts (equation 7 of the paper): less where the nearest of the kept patches
-- lies among others that are as near, which it then stands for.
local function weights_of(tensors, patches, nearest, distance)
    local memory, squares = tensors.memory, squares_of(tensors.memory)
    local count = math.min(NEIGHBOURS, memory.shape[1])
    local centre = memory:index_select(1, nearest)
    local _, around = squared(centre, memory, squares):topk(count, 2, false)
    local parts = {}
    for k = 1, count do
        local other = memory:index_select(1, around:narrow(2, k, 1):reshape(-1))
        parts[k] = (patches - other):square():sum(2, true)
    end
    -- exp(a) / sum of exp(b) without numbers that are too large
    local lengths = (lx.cat(parts, 2) / memory.shape[2]):sqrt()
    return ((lengths - distance:unsqueeze(2)):exp():sum(2)):reciprocal() * -1 + 1
end

function patchcore.look(job, tensors, x)
    local places = job.grid * job.grid
    local rows = (patches_of(job, x) - tensors.mean) / tensors.scale
    local squares, parts, near = squares_of(tensors.memory), {}, {}
    for first = 1, rows.shape[1], TOGETHER do
        local some = rows:narrow(1, first, math.min(TOGETHER, rows.shape[1] - first + 1))
        parts[#parts + 1], near[#near + 1] = squared(some, tensors.memory, squares):min(2)
    end
    local channels = tensors.memory.shape[2]
    local found = (lx.cat(parts, 1) / channels):sqrt():reshape(-1, places)
    if job.top > 0 then return stages.top(found, job.top), found:reshape(-1, job.grid, job.grid) end
    local most, place = found:max(2)
    local count = found.shape[1]
    local row = place:reshape(-1):int() + lx.arange(0, count, 1, {dtype = "int32", device = rows.device}) * places
    row = row:int()
    local weight = weights_of(tensors, rows:index_select(1, row), lx.cat(near, 1):index_select(1, row), most)
    return most * weight, found:reshape(-1, job.grid, job.grid)
end

return patchcore
