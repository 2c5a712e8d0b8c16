--- SqueezeNet (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50× fewer parameters"), under
-- torchvision's names.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn

-- 1×1 to few channels, then 1×1 and 3×3 beside each other (Figure 1).
local Fire = nn.class("Fire")

function Fire:init(inputs, squeezed, expanded)
    self.squeeze = nn.Conv2d(inputs, squeezed, 1)
    self.relu = nn.ReLU()
    self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
    self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, {padding = 1})
    self.out_channels = 2 * expanded
end

function Fire:forward(x)
    local few = nn.chain(x, self.squeeze, self.relu)
    return lx.cat({nn.chain(few, self.expand1x1, self.relu), nn.chain(few, self.expand3x3, self.relu)}, 2)
end

local function pool() return nn.MaxPool2d(3, {stride = 2, ceil_mode = true}) end

-- The stem and where the poolings are (Table 1; version 1.1 is of the authors' repository).
local VERSIONS <const> = {
    ["1.0"] = function(channels)
        return nn.Sequential(nn.Conv2d(channels, 96, 7, {stride = 2}), nn.ReLU(), pool(),
            Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool(),
            Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), pool(), Fire(512, 64, 256))
    end,
    ["1.1"] = function(channels)
        return nn.Sequential(nn.Conv2d(channels, 64, 3, {stride = 2}), nn.ReLU(), pool(),
            Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128), Fire(256, 32, 128), pool(),
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256))
    end,
}

local SqueezeNet = nn.class("SqueezeNet", network.Network)
SqueezeNet.saved_names = {body = "features"}

function SqueezeNet:init(version, options)
    self.channels, self.outputs, self.body = options.channels, options.outputs, VERSIONS[version](options.channels)
    self.map_channels = {self.body[1].out_channels}
    for i, stage in ipairs(self:stages()) do
        self.map_channels[i] = stage[#stage].out_channels or self.map_channels[1]
    end
    if options.outputs then
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Conv2d(512, options.outputs, 1), nn.ReLU(),
            nn.GlobalAvgPool2d())
    end
end

function SqueezeNet:stages() return network.between_poolings(self.body) end

function SqueezeNet:head(maps)
    return self.classifier(maps)
end

local function build(version, options)
    options = args.with_defaults(options, {outputs = 1, channels = 1, dropout = 0.5})
    local net = network.initialised(function() return SqueezeNet(version, options) end, {
        conv = function(weight) nn.init.kaiming_uniform_(weight) end,
    })
    if net.classifier then nn.init.normal_(net.classifier[2].weight, 0, 0.01) end
    return net
end

local squeezenet = {}

--- SqueezeNet 1.0 (Iandola et al. 2016). The last convolution has a ReLU as in the paper: logits are never negative.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function squeezenet.squeezenet1_0(options) return build("1.0", options) end

--- SqueezeNet 1.1: 2.4 times less arithmetic than 1.0. Logits are never negative.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function squeezenet.squeezenet1_1(options) return build("1.1", options) end

return squeezenet
