--- LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition"), as it is usually written:
-- each map of the second convolution sees all of the first one's, pooling has no weights, and the last layer is linear.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn

local LeNet = nn.class("LeNet", network.Network)
LeNet.smallest, LeNet.map_channels = 16, {6, 16, 16}

-- Names are those of the paper's layers: convolutions C1, C3, C5, poolings S2, S4, and F6.
function LeNet:init(options)
    self.channels, self.outputs = options.channels, options.outputs
    self.tanh = nn.Tanh()
    self.size = options.size
    self.c1 = nn.Conv2d(options.channels, 6, 5)
    self.s2 = nn.AvgPool2d(2)
    self.c3 = nn.Conv2d(6, 16, 5)
    self.s4 = nn.AvgPool2d(2)
    if options.outputs then
        local side = ((options.size - 4) // 2 - 4) // 2
        self.flatten = nn.Flatten()
        self.c5 = nn.Linear(16 * side * side, 120) -- a convolution over all of S4, for 32×32 pixels of 5×5
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, options.outputs)
    end
end

function LeNet:stages()
    return {{self.c1, self.tanh}, {self.s2, self.c3, self.tanh}, {self.s4}}
end

function LeNet:head(maps)
    return nn.chain(maps, self.flatten, self.c5, self.tanh, self.f6, self.tanh, self.output)
end

local lenet = {}

--- LeNet-5 (LeCun et al. 1998), for images of one size.
---@param options? {size: integer?, outputs: integer?, channels: integer?} size: side of the images in pixels, default
---  32; outputs: default 1; channels of the images: default 1
---@return Module net [N,channels,size,size] to [N,outputs]
function lenet.lenet(options)
    local all = args.with_defaults(options, {size = 32, outputs = 1, channels = 1})
    return network.initialised(function() return LeNet(all) end, {
        conv = function(weight) nn.init.xavier_uniform_(weight) end,
        linear = function(layer)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        end,
    })
end

return lenet
