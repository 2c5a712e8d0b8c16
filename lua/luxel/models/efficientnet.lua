--- EfficientNet-B0 (Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks"), under
-- torchvision's names, and EfficientNet-Lite0 (Google 2020: B0 without squeeze and excitation, with ReLU6), under those
-- of timm.

local args = require "luxel.args"
local blocks = require "luxel.models.blocks"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn
local conv_norm = blocks.conv_norm

-- Kernel, stride of the first, expansion, output channels, repetitions (Table 1).
local STAGES <const> = {
    {3, 1, 1, 16, 1}, {3, 2, 6, 24, 2}, {5, 2, 6, 40, 2}, {3, 2, 6, 80, 3}, {5, 1, 6, 112, 3}, {5, 2, 6, 192, 4},
    {3, 1, 6, 320, 1},
}
local BLOCKS <const> = 16 -- of all stages
local STEM <const>, LAST <const> = 32, 1280
local MAP_CHANNELS <const> = {16, 24, 40, 112, LAST}

-- The stages, with blocks by `make(kernel, stride, expansion, inputs, outputs, number from 0)`.
local function build_stages(make)
    local stages, inputs, number = {}, STEM, 0
    for i, row in ipairs(STAGES) do
        local kernel, stride, expansion, outputs, count = table.unpack(row)
        stages[i] = nn.Sequential()
        for n = 1, count do
            stages[i]:append(make(kernel, n == 1 and stride or 1, expansion, inputs, outputs, number))
            inputs, number = outputs, number + 1
        end
    end
    return stages
end

-- What is before the stages, these, and what is after them, cut where the resolution halves.
local function cut(before, stages, after)
    local parts = {before}
    for i, stage in ipairs(stages) do
        if STAGES[i][2] == 2 then parts[#parts + 1] = {} end
        table.insert(parts[#parts], stage)
    end
    table.move(after, 1, #after, #parts[#parts] + 1, parts[#parts])
    return parts
end

-- ---- B0 -------------------------------------------------------------------------------------------------------

-- An inverted bottleneck (Sandler et al. 2018) with squeeze and excitation, left out at times while training (Huang et
-- al. 2016).
local MBConv = nn.class("MBConv")

function MBConv:init(kernel, stride, expansion, inputs, outputs, drop)
    self.shortcut = stride == 1 and inputs == outputs
    local width, layers = inputs * expansion, nn.Sequential()
    if expansion ~= 1 then layers:append(conv_norm(inputs, width, 1, {activation = nn.SiLU()})) end
    layers:append(conv_norm(width, width, kernel, {stride = stride, groups = width, activation = nn.SiLU()}))
    layers:append(blocks.SqueezeExcitation(width, inputs // 4, nn.SiLU(), nn.Sigmoid()))
    self.block = layers:append(conv_norm(width, outputs, 1, {}))
    self.stochastic_depth = nn.StochasticDepth(drop)
end

function MBConv:forward(x)
    local y = self.block(x)
    return self.shortcut and x + self.stochastic_depth(y) or y
end

local EfficientNet = nn.class("EfficientNet", network.Network)
EfficientNet.saved_names = {body = "features"}

function EfficientNet:init(options)
    self.channels, self.outputs, self.map_channels = options.channels, options.outputs, MAP_CHANNELS
    local stages = build_stages(function(kernel, stride, expansion, inputs, outputs, number)
        return MBConv(kernel, stride, expansion, inputs, outputs, options.drop_path * number / BLOCKS)
    end)
    self.body = nn.Sequential(conv_norm(options.channels, STEM, 3, {stride = 2, activation = nn.SiLU()}),
        table.unpack(stages)):append(conv_norm(320, LAST, 1, {activation = nn.SiLU()}))
    if options.outputs then
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(LAST, options.outputs))
    end
end

function EfficientNet:stages()
    local children = self.body:children()
    return cut({children[1]}, {table.unpack(children, 2, #children - 1)}, {children[#children]})
end

-- ---- Lite0 ----------------------------------------------------------------------------------------------------

-- A 3×3 for each channel by itself, 1×1.
local DepthwiseSeparable = nn.class("DepthwiseSeparable")

function DepthwiseSeparable:init(conv, norm, kernel, stride, inputs, outputs)
    self.shortcut = stride == 1 and inputs == outputs
    self.act = nn.ReLU6()
    self.conv_dw = conv(inputs, inputs, kernel, stride, inputs)
    self.bn1 = norm(inputs)
    self.conv_pw = conv(inputs, outputs, 1)
    self.bn2 = norm(outputs)
end

function DepthwiseSeparable:forward(x)
    return blocks.residual(x, self.shortcut, self.conv_dw, self.bn1, self.act, self.conv_pw, self.bn2)
end

-- The same after 1×1 to more channels.
local InvertedResidual = nn.class("InvertedResidual")

function InvertedResidual:init(conv, norm, kernel, stride, expansion, inputs, outputs)
    local width = inputs * expansion
    self.shortcut = stride == 1 and inputs == outputs
    self.act = nn.ReLU6()
    self.conv_pw = conv(inputs, width, 1)
    self.bn1 = norm(width)
    self.conv_dw = conv(width, width, kernel, stride, width)
    self.bn2 = norm(width)
    self.conv_pwl = conv(width, outputs, 1)
    self.bn3 = norm(outputs)
end

function InvertedResidual:forward(x)
    return blocks.residual(x, self.shortcut, self.conv_pw, self.bn1, self.act, self.conv_dw, self.bn2, self.act,
        self.conv_pwl, self.bn3)
end

local EfficientNetLite = nn.class("EfficientNetLite", network.Network)

function EfficientNetLite:init(options)
    local tf = options.variant == "tf"
    local function conv(inputs, outputs, kernel, stride, groups)
        local more = {stride = stride or 1, groups = groups, bias = false}
        if tf then return blocks.SameConv2d(inputs, outputs, kernel, more) end
        more.padding = kernel // 2
        return nn.Conv2d(inputs, outputs, kernel, more)
    end
    local function norm(channels) return nn.BatchNorm2d(channels, {eps = tf and 1e-3 or 1e-5}) end
    self.channels, self.outputs, self.map_channels = options.channels, options.outputs, MAP_CHANNELS
    self.conv_stem = conv(options.channels, STEM, 3, 2)
    self.bn1 = norm(STEM)
    self.act = nn.ReLU6()
    self.blocks = nn.Sequential(table.unpack(build_stages(function(kernel, stride, expansion, inputs, outputs)
        if expansion == 1 then return DepthwiseSeparable(conv, norm, kernel, stride, inputs, outputs) end
        return InvertedResidual(conv, norm, kernel, stride, expansion, inputs, outputs)
    end)))
    self.conv_head = conv(320, LAST, 1)
    self.bn2 = norm(LAST)
    self.dropout = nn.Dropout(options.dropout)
    if options.outputs then self.classifier = nn.Linear(LAST, options.outputs) end
end

function EfficientNetLite:stages()
    return cut({self.conv_stem, self.bn1, self.act}, self.blocks:children(), {self.conv_head, self.bn2, self.act})
end

-- ---- by name --------------------------------------------------------------------------------------------------

function EfficientNet:head(maps)
    return self.classifier(network.pooled(maps))
end

function EfficientNetLite:head(maps)
    return self.classifier(self.dropout(network.pooled(maps)))
end

local efficientnet = {}

--- EfficientNet-B0 (Tan and Le 2019).
---@param options? {outputs: integer?, channels: integer?, size: integer?, dropout: number?, drop_path: number?}
---  outputs, channels: default 1; size: is only checked; dropout: before the last layer while training, default 0.2;
---  drop_path: how often the last block is left out for an image while training, default 0.2; those before it less
--- often
---@return Module net [N,channels,H,W] to [N,outputs]
function efficientnet.efficientnet_b0(options)
    local all = args.with_defaults(options, {outputs = 1, channels = 1, dropout = 0.2, drop_path = 0.2})
    return network.initialised(function() return EfficientNet(all) end)
end

--- EfficientNet-Lite0 (Google 2020), without squeeze and excitation.
---@param options? {outputs: integer?, channels: integer?, size: integer?, dropout: number?, variant: "tf"?} outputs,
---  channels: default 1; size: is only checked; dropout: before the last layer while training, default 0.2; variant:
---  "tf" computes as the weights that were trained in TensorFlow want it, with its padding and eps 1e-3
---@return Module net [N,channels,H,W] to [N,outputs]
function efficientnet.efficientnet_lite0(options)
    local all = args.with_defaults(options, {outputs = 1, channels = 1, dropout = 0.2})
    return network.initialised(function() return EfficientNetLite(all) end)
end

return efficientnet
