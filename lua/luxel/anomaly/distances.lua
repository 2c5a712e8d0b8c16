--- The two methods of distances to a distribution. What a method is, is the same for all files of this folder:
--- `usual`, its stages of a network with five; `fit(job)`, which gives tensors by name; and `look(job, tensors, x)`,
--- which gives scores [N] and maps [N,h,w].

local gaussian = require "luxel.anomaly.gaussian"
local lx = require "luxel"
local random = require "luxel.random"
local stages = require "luxel.anomaly.stages"

local F = lx.nn.functional

local distances = {}

-- ---- of pooled features -------------------------------------------------------------------------------------------

local mahalanobis = {usual = {4}, top = 1}

-- Each channel's mean, [N,C].
local function pooled(maps)
    local parts = {}
    for i, map in ipairs(maps) do parts[i] = F.adaptive_avg_pool2d(map, 1):flatten(2) end
    return #parts == 1 and parts[1] or lx.cat(parts, 2)
end

-- The least variance of a direction, as a share of the mean one: what hardly varies in a few hundred images is noise.
local LEAST <const> = 1e-4

function mahalanobis.fit(job)
    local moments = gaussian.moments(1, stages.channels(job.net, job.stages), job.device)
    job.each(function(x)
        local rows <close> = lx.tidy(function() return pooled(job.eye(x)):unsqueeze(1) end)
        moments:add(rows)
    end)
    local mean, covariance = moments:finish()
    local shrunk = gaussian.shrink(covariance, moments.n, LEAST)
    if not shrunk then return nil end
    return {mean = mean:reshape(-1), whitening = gaussian.whitening(shrunk):squeeze(1)}
end

-- The squared distance is the mean over places of what each adds to it, because pooled features are means over places:
-- with z = W (mean of f - mean), |z|^2 = mean of z' W (f - mean). That is the map; a place may speak against.
function mahalanobis.look(job, tensors, x)
    local maps = job.eye(x)
    local channels = tensors.mean.shape[1]
    local z = (pooled(maps) - tensors.mean):matmul(tensors.whitening:t())
    local weights = z:matmul(tensors.whitening) / channels -- [N,C]
    local offset = (weights * tensors.mean):sum(2):reshape(-1, 1, 1)
    local shown, first = offset * -1, 1
    for _, map in ipairs(maps) do
        local count, own, height, width = table.unpack(map.shape)
        local part = weights:narrow(2, first, own):unsqueeze(2):matmul(map:reshape(count, own, height * width))
        part = part:reshape(count, 1, height, width)
        if height ~= job.grid then
            part = height > job.grid and F.adaptive_avg_pool2d(part, job.grid)
                or F.interpolate(part, {size = job.grid, mode = "bilinear"})
        end
        shown, first = shown + part:squeeze(2), first + own
    end
    return (z:square():sum(2) / channels):sqrt(), shown
end

-- ---- at each place ------------------------------------------------------------------------------------------------

local padim = {usual = {2, 3, 4}, top = 0}

-- What the paper adds to variances is an absolute number; as a share it serves any network.
local FLOOR <const> = 0.01

-- The features of the chosen channels at each place, [P,N,d].
local function placed(job, tensors, x)
    local all = stages.on_grid(job.eye(x), job.grid):index_select(2, tensors.channels)
    local count, d = all.shape[1], all.shape[2]
    return all:reshape(count, d, job.grid * job.grid):permute(3, 1, 2):contiguous()
end

function padim.fit(job)
    local whole = stages.channels(job.net, job.stages)
    local chosen = table.move(random.stream(job.seed, 7):permutation(whole), 1, math.min(job.channels, whole), 1, {})
    table.sort(chosen)
    local tensors = {channels = lx.tensor(chosen, {dtype = "int32", device = job.device})}
    local moments = gaussian.moments(job.grid * job.grid, #chosen, job.device)
    job.each(function(x)
        local rows <close> = lx.tidy(placed, job, tensors, x)
        moments:add(rows)
    end)
    local mean, covariance = moments:finish()
    local shrunk = gaussian.shrink(covariance, moments.n, FLOOR)
    if not shrunk then return nil end
    tensors.mean, tensors.whitening = mean, gaussian.whitening(shrunk)
    return tensors
end

function padim.look(job, tensors, x)
    local centred = placed(job, tensors, x) - tensors.mean:unsqueeze(2)
    local squares = centred:matmul(tensors.whitening:transpose(2, 3)):square():sum(3) -- [P,N]
    local found = (squares / centred.shape[3]):sqrt():t():contiguous()
    return stages.top(found, job.top), found:reshape(-1, job.grid, job.grid)
end

distances.mahalanobis, distances.padim = mahalanobis, padim

return distances
