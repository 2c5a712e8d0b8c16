--- MobileNetV2 (Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks") and MobileNetV3 (Howard
-- et al. 2019, "Searching for MobileNetV3"), under torchvision's names.

local args = require "luxel.args"
local blocks = require "luxel.models.blocks"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn
local conv_norm, round_channels = blocks.conv_norm, blocks.round_channels

local MobileNet = nn.class("MobileNet", network.Network)
MobileNet.saved_names = {body = "features"}

-- `children`: of the body; their fields `out_channels` and `stride` tell stages apart.
local function set_body(self, children, options)
    self.channels, self.outputs = options.channels, options.outputs
    self.body = nn.Sequential(table.unpack(children))
    self.map_channels = {}
    for i, stage in ipairs(self:stages()) do
        local last = stage[#stage]
        self.map_channels[i] = last.out_channels or last[1].out_channels
    end
end

function MobileNet:stages()
    return blocks.cut(self.body:children(), function(module) return module.stride == 2 end)
end

function MobileNet:head(maps)
    return self.classifier(network.pooled(maps))
end

local INITIAL <const> = {linear = network.normal_linear(0.01)}

-- ---- version 2 ------------------------------------------------------------------------------------------------

-- 1×1 to more channels, a 3×3 for each channel by itself, 1×1 to few without activation (Table 1).
local InvertedResidual = nn.class("InvertedResidual")

function InvertedResidual:init(inputs, outputs, stride, expansion)
    self.out_channels, self.stride = outputs, stride
    self.shortcut = stride == 1 and inputs == outputs
    local width, layers = inputs * expansion, nn.Sequential()
    if expansion ~= 1 then layers:append(conv_norm(inputs, width, 1, {activation = nn.ReLU6()})) end
    layers:append(conv_norm(width, width, 3, {stride = stride, groups = width, activation = nn.ReLU6()}))
    layers:append(nn.Conv2d(width, outputs, 1, {bias = false})):append(nn.BatchNorm2d(outputs))
    self.conv = layers
end

function InvertedResidual:forward(x)
    return blocks.residual(x, self.shortcut, self.conv)
end

-- Expansion t, channels c, repetitions n, stride s of the first (Table 2).
local V2 <const> = {
    {1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
}

local MobileNetV2 = nn.class("MobileNetV2", MobileNet)

function MobileNetV2:init(options)
    local children = {conv_norm(options.channels, 32, 3, {stride = 2, activation = nn.ReLU6()})}
    local inputs = 32
    for _, row in ipairs(V2) do
        local expansion, outputs, count, stride = table.unpack(row)
        for n = 1, count do
            children[#children + 1] = InvertedResidual(inputs, outputs, n == 1 and stride or 1, expansion)
            inputs = outputs
        end
    end
    children[#children + 1] = conv_norm(inputs, 1280, 1, {activation = nn.ReLU6()})
    set_body(self, children, options)
    if options.outputs then
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(1280, options.outputs))
    end
end

-- ---- version 3 ------------------------------------------------------------------------------------------------

local NORM <const> = {eps = 1e-3, momentum = 0.01}

local ACTIVATIONS <const> = {RE = nn.ReLU, HS = nn.Hardswish}

-- As in version 2, and squeeze and excitation before the last convolution (Figure 4).
local Bneck = nn.class("Bneck")

function Bneck:init(kernel, inputs, width, outputs, squeeze, activation, stride)
    local Activation = ACTIVATIONS[activation]
    self.out_channels, self.stride = outputs, stride
    self.shortcut = stride == 1 and inputs == outputs
    local layers = nn.Sequential()
    if width ~= inputs then layers:append(conv_norm(inputs, width, 1, {activation = Activation(), norm = NORM})) end
    layers:append(conv_norm(width, width, kernel, {
        stride = stride, groups = width, activation = Activation(), norm = NORM,
    }))
    if squeeze then
        layers:append(blocks.SqueezeExcitation(width, round_channels(width // 4), nn.ReLU(), nn.Hardsigmoid()))
    end
    self.block = layers:append(conv_norm(width, outputs, 1, {norm = NORM}))
end

function Bneck:forward(x)
    return blocks.residual(x, self.shortcut, self.block)
end

-- Kernel, input channels, expanded, output channels, squeeze and excitation, activation, stride (Tables 1 and 2).
local LARGE <const> = {
    {3, 16, 16, 16, false, "RE", 1}, {3, 16, 64, 24, false, "RE", 2}, {3, 24, 72, 24, false, "RE", 1},
    {5, 24, 72, 40, true, "RE", 2}, {5, 40, 120, 40, true, "RE", 1}, {5, 40, 120, 40, true, "RE", 1},
    {3, 40, 240, 80, false, "HS", 2}, {3, 80, 200, 80, false, "HS", 1}, {3, 80, 184, 80, false, "HS", 1},
    {3, 80, 184, 80, false, "HS", 1}, {3, 80, 480, 112, true, "HS", 1}, {3, 112, 672, 112, true, "HS", 1},
    {5, 112, 672, 160, true, "HS", 2}, {5, 160, 960, 160, true, "HS", 1}, {5, 160, 960, 160, true, "HS", 1},
}
local SMALL <const> = {
    {3, 16, 16, 16, true, "RE", 2}, {3, 16, 72, 24, false, "RE", 2}, {3, 24, 88, 24, false, "RE", 1},
    {5, 24, 96, 40, true, "HS", 2}, {5, 40, 240, 40, true, "HS", 1}, {5, 40, 240, 40, true, "HS", 1},
    {5, 40, 120, 48, true, "HS", 1}, {5, 48, 144, 48, true, "HS", 1}, {5, 48, 288, 96, true, "HS", 2},
    {5, 96, 576, 96, true, "HS", 1}, {5, 96, 576, 96, true, "HS", 1},
}

local MobileNetV3 = nn.class("MobileNetV3", MobileNet)

function MobileNetV3:init(rows, features, options)
    local children = {conv_norm(options.channels, 16, 3, {stride = 2, activation = nn.Hardswish(), norm = NORM})}
    for _, row in ipairs(rows) do children[#children + 1] = Bneck(table.unpack(row)) end
    local last = rows[#rows][4]
    children[#children + 1] = conv_norm(last, 6 * last, 1, {activation = nn.Hardswish(), norm = NORM})
    set_body(self, children, options)
    if options.outputs then
        self.classifier = nn.Sequential(nn.Linear(6 * last, features), nn.Hardswish(), nn.Dropout(options.dropout),
            nn.Linear(features, options.outputs))
    end
end

-- ---- by name --------------------------------------------------------------------------------------------------

local function with_defaults(options) return args.with_defaults(options, {outputs = 1, channels = 1, dropout = 0.2}) end

local function build_v3(rows, features, options)
    options = with_defaults(options)
    return network.initialised(function() return MobileNetV3(rows, features, options) end, INITIAL)
end

local mobilenet = {}

--- MobileNetV2 (Sandler et al. 2018) of width 1.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function mobilenet.mobilenet_v2(options)
    options = with_defaults(options)
    return network.initialised(function() return MobileNetV2(options) end, INITIAL)
end

--- MobileNetV3-Large (Howard et al. 2019) of width 1.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function mobilenet.mobilenet_v3_large(options) return build_v3(LARGE, 1280, options) end

--- MobileNetV3-Small (Howard et al. 2019) of width 1.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function mobilenet.mobilenet_v3_small(options) return build_v3(SMALL, 1024, options) end

return mobilenet
