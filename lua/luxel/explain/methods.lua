--- The methods: each from images [N,C,H,W] on the network's device to maps [N,H,W].

local core = require "luxel.core"
local F = require "luxel.nn.functional"

local methods = {}

-- Maps of a layer in the size of the images.
local function enlarge(map, x)
    local shape = map.shape
    local large = F.interpolate(map:reshape(shape[1], 1, shape[2], shape[3]),
        {size = {x.shape[3], x.shape[4]}, mode = "bilinear"})
    return large:reshape(shape[1], x.shape[3], x.shape[4])
end

-- A method that combines maps with their gradients.
local function cam(combine)
    return function(subject, x, chosen, _, layer)
        return enlarge(combine(subject:maps_and_gradients(x, layer, chosen)), x)
    end
end

-- Selvaraju et al. 2017, equations 1 and 2.
methods.grad_cam = cam(function(maps, gradients)
    return (gradients:mean({3, 4}, true) * maps):sum(2):relu()
end)

-- Chattopadhay et al. 2018, equations 10, 13 and 19, for the exponential of the logit. Numerator and denominator of
-- equation 19 are divided by the squared gradient, which may be too small for a float; where it is 0 the weight is 0.
methods.grad_cam_plus_plus = cam(function(maps, gradients)
    local shares = gradients:relu() / (maps:sum({3, 4}, true) * gradients + 2)
    return (shares:sum({3, 4}, true) * maps):sum(2):relu()
end)

-- Jiang et al. 2021, equations 4 to 6.
methods.layer_cam = cam(function(maps, gradients)
    return (gradients:relu() * maps):sum(2):relu()
end)

local function softmax(scores)
    local most, sum, out = math.max(table.unpack(scores)), 0, {}
    for i, score in ipairs(scores) do
        out[i] = math.exp(score - most)
        sum = sum + out[i]
    end
    for i, value in ipairs(out) do out[i] = value / sum end
    return out
end

-- Maps [K,H,W] each brought to 0..1 as masks [K,1,H,W]; one that is the same everywhere masks everything.
local function masks_of(maps)
    local shape = maps.shape
    local flat = maps:reshape(shape[1], -1)
    local low = flat:min(2, true)
    local range = flat:max(2, true) - low
    range = range + range:eq(0):float()
    return ((flat - low) / range):reshape(shape[1], 1, shape[2], shape[3])
end

-- Wang et al. 2020, equations 6 to 8. The score of the baseline is the same for all channels, and a softmax does not
-- see it.
function methods.score_cam(subject, x, chosen, opts, layer)
    local all, rows = subject:maps(x, layer), {}
    local count, channels = x.shape[1], all.shape[2]
    for i = 1, count do
        local image, maps, scores = x:narrow(1, i, 1), all:select(1, i), {}
        for first = 1, channels, opts.batch do
            local some = maps:narrow(1, first, math.min(opts.batch, channels - first + 1))
            local masked = image * masks_of(enlarge(some, x))
            local found = subject:scores(masked, chosen:narrow(1, i, 1)):to("cpu"):totable()
            table.move(found, 1, #found, #scores + 1, scores)
        end
        rows[i] = softmax(scores)
    end
    local weights = core.from_table(rows, "float32", subject.device):reshape(count, channels, 1, 1)
    return enlarge((weights * all):sum(2):relu(), x)
end

-- What stands for no information: a level for each image, by default its darkest one.
local function baselines_of(x, opts)
    local count = x.shape[1]
    if opts.baseline then return x:narrow(2, 1, 1):narrow(3, 1, 1):narrow(4, 1, 1) * 0 + opts.baseline end
    return x:reshape(count, -1):min(2):reshape(count, 1, 1, 1)
end

-- ---- by what the network answers to changed images ------------------------------------------------------------------

-- The first pixels of windows along a side, from 0: the last window ends at the edge.
local function starts(side, window, stride)
    local out = {}
    for at = 0, side - window - 1, stride do out[#out + 1] = at end
    out[#out + 1] = side - window
    return out
end

-- Adds to a region of a map.
local function add(map, y, x, window, value)
    map:narrow(1, y + 1, window):narrow(2, x + 1, window):add_(value)
end

-- Zeiler and Fergus 2014, section 4.2: how much the score falls where a window is covered; of a pixel the mean over the
-- windows that cover it.
function methods.occlusion(subject, x, chosen, opts)
    local height, width = x.shape[3], x.shape[4]
    local window = opts.window or math.max(1, math.min(height, width) // 10)
    if window > math.min(height, width) then
        subject:fail("options: option 'window': expected at most the side of the images, %d, got %d",
            math.min(height, width), window)
    end
    local stride, places = opts.stride or math.max(1, window // 2), {}
    if stride > window then
        subject:fail("options: option 'stride': expected at most the window, %d, or pixels are never covered; got %d",
            window, stride)
    end
    for _, top in ipairs(starts(height, window, stride)) do
        for _, left in ipairs(starts(width, window, stride)) do places[#places + 1] = {top, left} end
    end
    local baselines = baselines_of(x, opts)
    local out = core.fill_(core.new({x.shape[1], height, width}, "float32"), 0)
    local counts = core.fill_(core.new({height, width}, "float32"), 0)
    for _, place in ipairs(places) do add(counts, place[1], place[2], window, 1) end
    for i = 1, x.shape[1] do
        local image, own, sum = x:narrow(1, i, 1), chosen:narrow(1, i, 1), out:select(1, i)
        local level = baselines:select(1, i):item()
        local whole = subject:scores(image, own):item()
        for first = 1, #places, opts.batch do
            local count = math.min(opts.batch, #places - first + 1)
            local covered = image:expand(count, x.shape[2], height, width):clone()
            for k = 1, count do
                local place = places[first + k - 1]
                covered:narrow(1, k, 1):narrow(3, place[1] + 1, window):narrow(4, place[2] + 1, window)
                    :fill_(level)
            end
            for k, score in ipairs(subject:scores(covered, own):to("cpu"):totable()) do
                local place = places[first + k - 1]
                add(sum, place[1], place[2], window, whole - score)
            end
        end
    end
    return out / counts
end

-- ---- by gradients with regard to the image --------------------------------------------------------------------------

-- Sundararajan et al. 2017, equation 1, by the midpoint rule.
function methods.integrated_gradients(subject, x, chosen, opts)
    local baselines = baselines_of(x, opts)
    local difference, sum = x - baselines, nil
    for i = 1, opts.steps do
        local gradient = subject:input_gradient(difference * ((i - 0.5) / opts.steps) + baselines, chosen)
        sum = sum and sum + gradient or gradient
    end
    return (sum * difference):sum(2) / opts.steps
end

-- Smilkov et al. 2017: the mean gradient over noisy copies. The noise is that of the seed, the same for every image.
function methods.smooth_grad(subject, x, chosen, opts)
    local shape, sum = x.shape, nil
    local flat = x:reshape(shape[1], -1)
    local deviation = ((flat:max(2) - flat:min(2)) * opts.noise):reshape(shape[1], 1, 1, 1)
    for i = 1, opts.samples do
        local noise = core.randn({1, shape[2], shape[3], shape[4]}, opts.seed, i, "cpu"):to(subject.device)
        local gradient = subject:input_gradient(x + noise * deviation, chosen)
        sum = sum and sum + gradient or gradient
    end
    return (sum / opts.samples):abs():sum(2)
end

return methods
