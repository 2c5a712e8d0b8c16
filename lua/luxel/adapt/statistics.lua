--- Batch normalisation by the images of another hospital: running statistics between those of the training and theirs
--- (Schneider, Rusak, Eck, Bringmann, Brendel and Bethge, NeurIPS 2020).

local batches = require "luxel.data.loader"
local F = require "luxel.nn.functional"
local lx = require "luxel"

local statistics = {}

-- Images that go through the network together.
local TOGETHER <const> = 32

local function layers_of(net)
    local layers = {}
    for _, module in net:named_modules() do
        if module.class_name == "BatchNorm2d" and module.running_mean then layers[#layers + 1] = module end
    end
    return layers
end

--- Whether a network has statistics to adapt.
---@param net Module
---@return boolean
function statistics.has(net) return #layers_of(net) > 0 end

-- Mean and variance of each channel.
local function moments(x)
    local mean = x:mean({1, 3, 4})
    return mean, (x - mean:view(1, -1, 1, 1)):square():mean({1, 3, 4})
end

-- A layer's forward that normalises by statistics between its own and those of the images, and adds them up.
local function estimating(layer, weight, sums)
    return function(_, x)
        local mean, variance = moments(x)
        mean = mean * weight + layer.running_mean * (1 - weight)
        variance = variance * weight + layer.running_var * (1 - weight)
        local count = x.shape[1]
        sums.count = sums.count + count
        sums.mean = sums.mean and sums.mean + mean * count or mean * count
        sums.variance = sums.variance and sums.variance + variance * count or variance * count
        return F.batch_norm(x, mean, variance, layer.weight, layer.bias, {training = false, eps = layer.eps})
    end
end

--- Puts statistics into a network that lie between its own and those of images: with the weight n / (n + pseudo) those
--- of the n images, layer by layer from the first one, each on what the layers before give with theirs.
---@param net Module in eval mode
---@param dataset luxel.Dataset
---@param options {mean: number, std: number, enhance: table?, pseudo: number, device: string}
---@return {__close: fun()} guard that puts the old ones back when it is closed; `keep` of it lets the new ones stay
function statistics.adapt(net, dataset, options)
    local layers, old, sums = layers_of(net), {}, {}
    local weight = #dataset / (#dataset + options.pseudo)
    for i, layer in ipairs(layers) do
        old[i] = {layer.running_mean:clone(), layer.running_var:clone()}
        sums[i] = {count = 0}
        layer.forward = estimating(layer, weight, sums[i])
    end
    local ok, problem = pcall(lx.no_grad, function()
        for x in batches(dataset, {
            batch = TOGETHER, shuffle = false, mean = options.mean, std = options.std, enhance = options.enhance,
            device = options.device,
        }) do
            net(x)
            x:free()
        end
    end)
    for _, layer in ipairs(layers) do layer.forward = nil end
    if not ok then error(problem, 0) end
    local guard = {}
    lx.no_grad(function()
        for i, layer in ipairs(layers) do
            layer.running_mean:copy_(sums[i].mean / sums[i].count)
            layer.running_var:copy_(sums[i].variance / sums[i].count)
        end
    end)
    return setmetatable(guard, {__close = function()
        if guard.keep then return end
        lx.no_grad(function()
            for i, layer in ipairs(layers) do
                layer.running_mean:copy_(old[i][1])
                layer.running_var:copy_(old[i][2])
            end
        end)
    end})
end

return statistics
