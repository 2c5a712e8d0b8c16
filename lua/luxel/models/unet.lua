--- U-Net (Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation"): a map for each
-- pixel from the maps of a way down, which the way up meets again at each resolution.

local args = require "luxel.args"
local classifiers = require "luxel.models.classifiers"
local lx = require "luxel"
local near = require "luxel.near"
local network = require "luxel.models.network"

local nn, F = lx.nn, lx.nn.functional

-- Two 3×3 convolutions with ReLU, each with a normalisation before it where that is asked for.
local function double_convolution(inputs, outputs, padding, batch_norm)
    local layers = nn.Sequential()
    for i = 1, 2 do
        layers:append(nn.Conv2d(i == 1 and inputs or outputs, outputs, 3, {padding = padding, bias = not batch_norm}))
        if batch_norm then layers:append(nn.BatchNorm2d(outputs)) end
        layers:append(nn.ReLU())
    end
    return layers
end

-- ---- as in the paper (Figure 1) -------------------------------------------------------------------------------

local UNet = nn.class("UNet", network.Network)

function UNet:init(options)
    self.channels, self.outputs, self.valid = options.channels, options.outputs, options.padding == "valid"
    local padding, width = self.valid and 0 or 1, options.width
    self.down = nn.ModuleList()
    self.up = nn.ModuleList()
    self.merge = nn.ModuleList()
    self.pool = nn.MaxPool2d(2)
    self.map_channels = {}
    for i = 0, options.depth do
        local channels = width << i
        local inputs = i == 0 and options.channels or channels // 2
        self.down:append(double_convolution(inputs, channels, padding, options.batch_norm))
        self.map_channels[i + 1] = channels
    end
    for i = options.depth - 1, 0, -1 do
        local channels = width << i
        self.up:append(nn.ConvTranspose2d(2 * channels, channels, 2, {stride = 2}))
        self.merge:append(double_convolution(2 * channels, channels, padding, options.batch_norm))
    end
    if options.outputs then self.output = nn.Conv2d(width, options.outputs, 1) end
end

function UNet:stages()
    local stages = {{self.down[1]}}
    for i = 2, #self.down do stages[i] = {self.pool, self.down[i]} end
    return stages
end

-- The middle of a map, of the height and width of another.
local function crop(map, like)
    for dim = 3, 4 do
        local extra = map.shape[dim] - like.shape[dim]
        if extra > 0 then map = map:narrow(dim, extra // 2 + 1, like.shape[dim]) end
    end
    return map
end

-- A way up may be a row or a column short of an odd map.
local function grow(map, like)
    local h, w = like.shape[3] - map.shape[3], like.shape[4] - map.shape[4]
    return (h > 0 or w > 0) and F.pad(map, {0, w, 0, h}, {mode = "replicate"}) or map
end

--- What comes before the last convolution.
---@param x Tensor [N,channels,H,W]
---@return Tensor [N,width,H,W], or smaller with padding "valid"
function UNet:features(x)
    local maps = self:feature_maps(x)
    local y = maps[#maps]
    for i, up in self.up:each() do
        local map = maps[#maps - i]
        y = up(y)
        if self.valid then map = crop(map, y) else y = grow(y, map) end
        y = self.merge[i](lx.cat({map, y}, 2))
    end
    return y
end

function UNet:head(maps)
    return self.output(maps)
end

-- ---- over the maps of another network -------------------------------------------------------------------------

local WIDTHS <const> = {256, 128, 64, 32, 16} -- of the way up

local EncodedUNet = nn.class("EncodedUNet", network.Network)

function EncodedUNet:init(encoder, options)
    local maps = encoder.map_channels
    self.channels, self.outputs, self.map_channels, self.encoder = options.channels, options.outputs, maps, encoder
    self.decoder = nn.ModuleList()
    local inputs = maps[#maps]
    for i = 1, #maps - (encoder.finest == 1 and 1 or 0) do -- the last one is at the resolution of the images
        self.decoder:append(double_convolution(inputs + (maps[#maps - i] or 0), WIDTHS[i], 1, true))
        inputs = WIDTHS[i]
    end
    if options.outputs then self.output = nn.Conv2d(inputs, options.outputs, 1) end
end

--- The maps of the encoder.
---@param x Tensor [N,channels,H,W]
---@return Tensor[] maps
function EncodedUNet:feature_maps(x) return self.encoder:feature_maps(x) end

--- What comes before the last convolution.
---@param x Tensor [N,channels,H,W]
---@return Tensor [N,16,H,W], or of more channels
function EncodedUNet:features(x)
    self:check_images(x)
    local maps = self:feature_maps(x)
    local y = maps[#maps]
    for i, merge in self.decoder:each() do
        local map = maps[#maps - i]
        local like = map or x
        y = F.interpolate(y, {size = {like.shape[3], like.shape[4]}})
        y = merge(map and lx.cat({y, map}, 2) or y)
    end
    return y
end

EncodedUNet.head = UNet.head

-- ---- by name --------------------------------------------------------------------------------------------------

-- The network whose maps the way up takes.
local function encoder_of(options)
    local build = classifiers[options.encoder]
    if not build then
        local names = {}
        for name in pairs(classifiers) do names[#names + 1] = name end
        table.sort(names)
        args.fail("unet: option 'encoder': there is no network '%s'%s; there are %s", options.encoder,
            near.suggestion(options.encoder, names), table.concat(names, ", "))
    end
    for _, name in ipairs {"depth", "width", "padding", "batch_norm"} do
        if options[name] ~= nil then
            args.fail("unet: option '%s': is of the plain network alone; the encoder '%s' has its own", name,
                options.encoder)
        end
    end
    return build {channels = options.channels, outputs = false}
end

local unet = {}

--- U-Net (Ronneberger et al. 2015), or its way up over the maps of another network, by nearest neighbours, with two
--- convolutions and batch normalisation at each resolution.
---@param options? {outputs: integer?, channels: integer?, size: integer?, encoder: string?, depth: integer?,
---  width: integer?, padding: "same"|"valid"?, batch_norm: boolean?} outputs: maps that it gives, default 1;
---  channels: of the images, default 1; size: is only checked; encoder: a network of `lx.models` that tells classes, by
---  its name, whose maps the way up joins; depth, width, padding and batch_norm are then refused; depth: poolings,
---  default 4; width: channels at the resolution of the images, default 64; padding: "same" (the default) keeps the
---  size, "valid" is the paper's, where 572×572 pixels become 388×388; batch_norm: before each ReLU, default false as
---  in the paper
---@return Module net [N,channels,H,W] to [N,outputs,H,W]
function unet.unet(options)
    local all = args.with_defaults(options, {outputs = 1, channels = 1})
    if all.encoder then return EncodedUNet(encoder_of(all), all) end
    all = args.with_defaults(all, {depth = 4, width = 64, padding = "same", batch_norm = false})
    return network.initialised(function() return UNet(all) end, {
        conv = function(weight) nn.init.kaiming_normal_(weight) end,
    })
end

return unet
