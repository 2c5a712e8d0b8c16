--- Densely connected networks (Huang et al. 2017, "Densely connected convolutional networks"), DenseNet-BC with growth
-- 32, under torchvision's names.
--
-- CheXNet (Rajpurkar et al. 2017) is `densenet121{outputs = 14, channels = 3}`; the models of torchxrayvision (Cohen et
-- al. 2022) are `densenet121{outputs = 18}`.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn

local GROWTH <const>, BOTTLENECK <const> = 32, 4

-- Normalisation, ReLU and convolution, 1×1 then 3×3: the new channels come after those that were there.
local DenseLayer = nn.class("DenseLayer")

function DenseLayer:init(inputs)
    local width = BOTTLENECK * GROWTH
    self.norm1 = nn.BatchNorm2d(inputs)
    self.relu1 = nn.ReLU()
    self.conv1 = nn.Conv2d(inputs, width, 1, {bias = false})
    self.norm2 = nn.BatchNorm2d(width)
    self.relu2 = nn.ReLU()
    self.conv2 = nn.Conv2d(width, GROWTH, 3, {padding = 1, bias = false})
end

function DenseLayer:forward(x)
    local new = nn.chain(x, self.norm1, self.relu1, self.conv1, self.norm2, self.relu2, self.conv2)
    return lx.cat({x, new}, 2)
end

local function dense_block(inputs, count)
    local layers = nn.Sequential()
    for i = 1, count do layers:add_module("denselayer" .. i, DenseLayer(inputs + (i - 1) * GROWTH)) end
    return layers
end

-- Half the channels, half the resolution.
local function transition(inputs)
    return nn.Sequential {
        {"norm", nn.BatchNorm2d(inputs)}, {"relu", nn.ReLU()},
        {"conv", nn.Conv2d(inputs, inputs // 2, 1, {bias = false})}, {"pool", nn.AvgPool2d(2)},
    }
end

-- ---- the network ----------------------------------------------------------------------------------------------

local DenseNet = nn.class("DenseNet", network.Network)
DenseNet.saved_names = {body = "features"}

function DenseNet:init(counts, options)
    self.channels, self.outputs, self.map_channels = options.channels, options.outputs, {64}
    local body = nn.Sequential {
        {"conv0", nn.Conv2d(options.channels, 64, 7, {stride = 2, padding = 3, bias = false})},
        {"norm0", nn.BatchNorm2d(64)}, {"relu0", nn.ReLU()}, {"pool0", nn.MaxPool2d(3, {stride = 2, padding = 1})},
    }
    local channels = 64
    for i, count in ipairs(counts) do
        body:add_module("denseblock" .. i, dense_block(channels, count))
        channels = channels + count * GROWTH
        self.map_channels[i + 1] = channels
        if i < #counts then
            body:add_module("transition" .. i, transition(channels))
            channels = channels // 2
        end
    end
    body:add_module("norm5", nn.BatchNorm2d(channels))
    self.body = body
    self.relu = nn.ReLU()
    if options.outputs then self.classifier = nn.Linear(channels, options.outputs) end
end

-- A map is what the transition after it convolves.
function DenseNet:stages()
    local b = self.body
    local t1, t2, t3 = b.transition1, b.transition2, b.transition3
    return {
        {b.conv0, b.norm0, b.relu0}, {b.pool0, b.denseblock1, t1.norm, t1.relu},
        {t1.conv, t1.pool, b.denseblock2, t2.norm, t2.relu}, {t2.conv, t2.pool, b.denseblock3, t3.norm, t3.relu},
        {t3.conv, t3.pool, b.denseblock4, b.norm5, self.relu},
    }
end

function DenseNet:head(maps)
    return self.classifier(network.pooled(maps))
end

local INITIAL <const> = {
    conv = function(weight) nn.init.kaiming_normal_(weight) end,
    linear = function(layer)
        nn.init.kaiming_uniform_(layer.weight, {a = math.sqrt(5)})
        nn.init.zeros_(layer.bias)
    end,
}

local function build(counts, options)
    options = args.with_defaults(options, {outputs = 1, channels = 1})
    return network.initialised(function() return DenseNet(counts, options) end, INITIAL)
end

local densenet = {}

--- DenseNet-121 (Huang et al. 2017), with 14 outputs the network of CheXNet (Rajpurkar et al. 2017).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function densenet.densenet121(options) return build({6, 12, 24, 16}, options) end

--- DenseNet-169 (Huang et al. 2017).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function densenet.densenet169(options) return build({6, 12, 32, 32}, options) end

return densenet
