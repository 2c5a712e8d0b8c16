--- The network that `luxel train` takes by default: small enough for a processor.

local args = require "luxel.args"
local lx = require "luxel"
local network = require "luxel.models.network"

local nn = lx.nn

-- A Sequential through and through, so that the names in files are those that they always were.
local CNN = nn.class("CNN", nn.Sequential)

for _, name in ipairs {"check_images", "features", "feature_maps", "maps_at"} do CNN[name] = network.Network[name] end
CNN.smallest, CNN.finest, CNN.map_channels = 16, 1, {32, 64, 128, 128, 128}

function CNN:init(options)
    local side = options.size // 16
    self.channels, self.outputs = options.channels, options.outputs
    nn.Sequential.init(self,
        nn.Conv2d(options.channels, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(128, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2))
    if options.outputs then
        for _, layer in ipairs {
            nn.Flatten(), nn.Linear(128 * side * side, 512), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(512, options.outputs),
        } do self:append(layer) end
    end
end

-- Each but the first begins with a pooling.
function CNN:stages()
    local c = self:children()
    return {{c[1], c[2]}, {c[3], c[4], c[5]}, {c[6], c[7], c[8]}, {c[9], c[10], c[11]}, {c[12]}}
end

--- Logits from the last map.
function CNN:head(maps)
    return nn.chain(maps, table.unpack(self:children(), 13))
end

local cnn = {}

--- Four 3×3 convolutions (32, 64, 128, 128 channels), each with ReLU and 2×2 max-pooling, then 512 features.
---@param options? {size: integer?, outputs: integer?, channels: integer?} size: side of the images in pixels, at least
---  16, default 128; outputs: default 1; channels of the images: default 1
---@return Module net [N,channels,size,size] to [N,outputs]
function cnn.cnn(options)
    return CNN(args.with_defaults(options, {size = 128, outputs = 1, channels = 1}))
end

return cnn
