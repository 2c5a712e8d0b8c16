--- Residual networks (He et al. 2016, "Deep residual learning for image recognition"), under torchvision's names.
--
-- As everywhere since, the stride of a bottleneck is in its 3×3 convolution; the paper has it in the first 1×1.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn

local function conv3x3(inputs, outputs, stride)
    return nn.Conv2d(inputs, outputs, 3, {stride = stride, padding = 1, bias = false})
end

local function conv1x1(inputs, outputs, stride)
    return nn.Conv2d(inputs, outputs, 1, {stride = stride, bias = false})
end

-- ---- blocks ---------------------------------------------------------------------------------------------------

-- Adds x (equation 1), or a projection of it where its shape changes (equation 2).
local function shortcut(block, x) return nn.plus(block.downsample and block.downsample(x) or x) end

-- Two 3×3 convolutions (Figure 5, left).
local BasicBlock = nn.class("BasicBlock")
BasicBlock.expansion = 1

function BasicBlock:init(inputs, width, stride)
    self.conv1 = conv3x3(inputs, width, stride)
    self.bn1 = nn.BatchNorm2d(width)
    self.relu = nn.ReLU()
    self.conv2 = conv3x3(width, width, 1)
    self.bn2 = nn.BatchNorm2d(width)
end

function BasicBlock:forward(x)
    return nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2, shortcut(self, x), self.relu)
end

-- 1×1 to fewer channels, 3×3, 1×1 to four times as many (Figure 5, right).
local Bottleneck = nn.class("Bottleneck")
Bottleneck.expansion = 4

function Bottleneck:init(inputs, width, stride)
    self.conv1 = conv1x1(inputs, width, 1)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = conv3x3(width, width, stride)
    self.bn2 = nn.BatchNorm2d(width)
    self.conv3 = conv1x1(width, 4 * width, 1)
    self.bn3 = nn.BatchNorm2d(4 * width)
    self.relu = nn.ReLU()
end

function Bottleneck:forward(x)
    return nn.chain(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu, self.conv3, self.bn3,
        shortcut(self, x), self.relu)
end

-- ---- the network ----------------------------------------------------------------------------------------------

local ResNet = nn.class("ResNet", network.Network)

function ResNet:init(Block, counts, options)
    self.channels, self.outputs, self.map_channels = options.channels, options.outputs, {64}
    self.conv1 = nn.Conv2d(options.channels, 64, 7, {stride = 2, padding = 3, bias = false})
    self.bn1 = nn.BatchNorm2d(64)
    self.relu = nn.ReLU()
    self.maxpool = nn.MaxPool2d(3, {stride = 2, padding = 1})
    local inputs = 64
    for i, count in ipairs(counts) do
        local width, layer = 32 << i, nn.Sequential()
        for n = 1, count do
            local stride = i > 1 and n == 1 and 2 or 1
            local block = Block(inputs, width, stride)
            if stride ~= 1 or inputs ~= width * Block.expansion then
                block.downsample = nn.Sequential(conv1x1(inputs, width * Block.expansion, stride),
                    nn.BatchNorm2d(width * Block.expansion))
            end
            layer:append(block)
            inputs = width * Block.expansion
        end
        self["layer" .. i], self.map_channels[i + 1] = layer, inputs
    end
    if options.outputs then self.fc = nn.Linear(inputs, options.outputs) end
end

function ResNet:stages()
    return {
        {self.conv1, self.bn1, self.relu}, {self.maxpool, self.layer1}, {self.layer2}, {self.layer3}, {self.layer4},
    }
end

function ResNet:head(maps)
    return self.fc(network.pooled(maps))
end

local function build(Block, counts, options)
    options = args.with_defaults(options, {outputs = 1, channels = 1})
    return network.initialised(function() return ResNet(Block, counts, options) end)
end

local resnet = {}

--- ResNet-18 (He et al. 2016): 8 blocks of two 3×3 convolutions.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function resnet.resnet18(options) return build(BasicBlock, {2, 2, 2, 2}, options) end

--- ResNet-34 (He et al. 2016): 16 blocks of two 3×3 convolutions.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function resnet.resnet34(options) return build(BasicBlock, {3, 4, 6, 3}, options) end

--- ResNet-50 (He et al. 2016): 16 bottlenecks.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function resnet.resnet50(options) return build(Bottleneck, {3, 4, 6, 3}, options) end

--- ResNet-101 (He et al. 2016): 33 bottlenecks.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function resnet.resnet101(options) return build(Bottleneck, {3, 4, 23, 3}, options) end

return resnet
