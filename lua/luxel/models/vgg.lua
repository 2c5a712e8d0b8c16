--- The networks of Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition",
-- with and without batch normalisation, under torchvision's names.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn, F = lx.nn, lx.nn.functional

-- How many 3×3 convolutions each of the five resolutions has (Table 1: A, B, D, E).
local COUNTS <const> = {[11] = {1, 1, 2, 2, 2}, [13] = {2, 2, 2, 2, 2}, [16] = {2, 2, 3, 3, 3}, [19] = {2, 2, 4, 4, 4}}
local WIDTHS <const> = {64, 128, 256, 512, 512}
local POOLED <const> = 7 -- side of the maps that the linear layers take

local VGG = nn.class("VGG", network.Network)
VGG.saved_names, VGG.finest = {body = "features"}, 1

function VGG:init(counts, batch_norm, options)
    self.channels, self.outputs, self.map_channels = options.channels, options.outputs, {64, 128, 256, 512, 512, 512}
    local body, inputs = nn.Sequential(), options.channels
    for i, width in ipairs(WIDTHS) do
        for _ = 1, counts[i] do
            body:append(nn.Conv2d(inputs, width, 3, {padding = 1}))
            if batch_norm then body:append(nn.BatchNorm2d(width)) end
            body:append(nn.ReLU())
            inputs = width
        end
        body:append(nn.MaxPool2d(2))
    end
    self.body = body
    if options.outputs then
        self.classifier = nn.Sequential(
            nn.Linear(512 * POOLED * POOLED, 4096), nn.ReLU(), nn.Dropout(options.dropout),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(options.dropout), nn.Linear(4096, options.outputs))
    end
end

function VGG:stages() return network.between_poolings(self.body) end

function VGG:head(maps)
    return self.classifier(F.adaptive_avg_pool2d(maps, POOLED):flatten(2))
end

local INITIAL <const> = {linear = network.normal_linear(0.01)}

local function build(layers, batch_norm, options)
    options = args.with_defaults(options, {outputs = 1, channels = 1, dropout = 0.5})
    return network.initialised(function() return VGG(COUNTS[layers], batch_norm, options) end, INITIAL)
end

local vgg = {}

--- VGG-11 (Simonyan and Zisserman 2015, A).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg11(options) return build(11, false, options) end

--- VGG-11 with batch normalisation after each convolution.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg11_bn(options) return build(11, true, options) end

--- VGG-13 (Simonyan and Zisserman 2015, B).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg13(options) return build(13, false, options) end

--- VGG-13 with batch normalisation after each convolution.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg13_bn(options) return build(13, true, options) end

--- VGG-16 (Simonyan and Zisserman 2015, D).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg16(options) return build(16, false, options) end

--- VGG-16 with batch normalisation after each convolution.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg16_bn(options) return build(16, true, options) end

--- VGG-19 (Simonyan and Zisserman 2015, E).
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg19(options) return build(19, false, options) end

--- VGG-19 with batch normalisation after each convolution.
---@param options? luxel.NetworkOptions
---@return Module net [N,channels,H,W] to [N,outputs]
function vgg.vgg19_bn(options) return build(19, true, options) end

return vgg
