--- A convolutional autoencoder (Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature
-- extraction"): convolutions and max-pooling down to few numbers, and up again to the image.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn, F = lx.nn, lx.nn.functional

local Autoencoder = nn.class("Autoencoder", network.Network)

-- Resizing and a convolution on the way up: transposed convolutions leave a checkerboard (Odena et al. 2016).
function Autoencoder:init(options)
    self.channels, self.map_channels = options.channels, options.widths
    self.pool = nn.MaxPool2d(2)
    self.relu = nn.ReLU()
    self.encoder = nn.ModuleList()
    self.decoder = nn.ModuleList()
    local inputs = options.channels
    for _, width in ipairs(options.widths) do
        self.encoder:append(nn.Conv2d(inputs, width, 3, {padding = 1}))
        inputs = width
    end
    for i = #options.widths - 1, 0, -1 do
        local width = options.widths[i] or options.widths[1]
        self.decoder:append(nn.Conv2d(inputs, width, 3, {padding = 1}))
        inputs = width
    end
    self.output = nn.Conv2d(inputs, options.channels, 3, {padding = 1})
end

function Autoencoder:stages()
    local stages = {}
    for i, conv in self.encoder:each() do stages[i] = {conv, self.relu, self.pool} end
    return stages
end

---@param x Tensor [N,channels,H,W]
---@return Tensor [N,channels,H,W] near x where the network has learnt to
function Autoencoder:forward(x)
    local maps = self:feature_maps(x)
    local y = maps[#maps]
    for i, conv in self.decoder:each() do
        local like = maps[#maps - i] or x
        y = nn.chain(F.interpolate(y, {size = {like.shape[3], like.shape[4]}}), conv, self.relu)
    end
    return self.output(y)
end

local autoencoder = {}

--- A convolutional autoencoder (Masci et al. 2011): 3×3 convolutions, ReLU and 2×2 max-pooling, and the same way back.
---@param options? {channels: integer?, size: integer?, widths: integer[]?} channels of the images: default 1; size: is
---  only checked; widths: channels after each pooling, default {32, 64, 128, 16}
---@return Module net [N,channels,H,W] to [N,channels,H,W]
function autoencoder.autoencoder(options)
    local all = args.with_defaults(options, {channels = 1, widths = {32, 64, 128, 16}})
    return network.initialised(function() return Autoencoder(all) end, {
        conv = function(weight) nn.init.kaiming_normal_(weight) end,
    })
end

return autoencoder
