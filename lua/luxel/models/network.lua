--- What the networks of this folder have in common: stages with a map each, limits of the images' size, initial
-- weights.

local args = require "luxel.args"
local check = require "luxel.nn.check"
local declare = require "luxel.nn.declare"
local lx = require "luxel"

local nn = lx.nn

---@class luxel.NetworkOptions what every network by name takes
---@field outputs integer? default 1
---@field channels integer? of the images, default 1
---@field size integer? side of the images in pixels, where the weights depend on it; elsewhere it is only checked
---@field dropout number? probability while training, where the network has a dropout; its paper's by default
---@field pretrained string? of classifiers: file of weights to begin with, of torch.save, safetensors or Luxel
---@field source string? where these come from, where the file does not tell; an unknown one is told what there is
---@field head "replace"|nil the last layer is not that of the file, but a new one

---@class Network: Module
---@field smallest integer the least height and width of images in pixels
---@field channels integer of the images
---@field outputs integer|false false without a head
---@field map_channels integer[] how many channels each of `feature_maps` has
---@field finest integer 1 where the first of them has the resolution of the images, else 2
local Network = nn.class("Network")

Network.smallest, Network.finest = 32, 2

--- The modules of each stage, at whose end there is a map. A class says them.
---@return Module[][]
function Network:stages()
    args.fail("%s: the class does not define stages", self.class_name)
end

--- Logits from the last map. A class says how.
---@param maps Tensor [N,C,H',W']
---@return Tensor
function Network:head(maps)
    args.fail("%s: the class does not define head (of %s)", self.class_name, args.describe(maps))
end

--- Raises unless the network takes these images.
---@param x any
function Network:check_images(x)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    if math.min(x.shape[3], x.shape[4]) < self.smallest then
        check.fail(self, "input: expected images of at least %d×%d pixels, got %s", self.smallest, self.smallest,
            args.describe(x))
    end
end

--- What comes before the head: the last map, which pooling and linear layers turn into logits.
---@param x Tensor [N,channels,H,W]
---@return Tensor maps [N,C,H',W']
function Network:features(x)
    return self:maps_at(x, {#self.map_channels})[1]
end

--- The maps from the finest to the coarsest, the last at the end of a stage of one resolution each; the last one is
--- that of `features`. Their numbers of channels are `map_channels`.
---@param x Tensor [N,channels,H,W]
---@return Tensor[] maps
function Network:feature_maps(x)
    local places = {}
    for i in ipairs(self.map_channels) do places[i] = i end
    return self:maps_at(x, places)
end

--- Some of the maps. What is between them is computed, and freed, as one chain.
---@param x Tensor [N,channels,H,W]
---@param places integer[] which of `feature_maps`, in order
---@return Tensor[] maps
function Network:maps_at(x, places)
    self:check_images(x)
    local maps, chain = {}, {}
    for i, stage in ipairs(self:stages()) do
        table.move(stage, 1, #stage, #chain + 1, chain)
        if i == places[#maps + 1] then
            x, chain = nn.chain(x, table.unpack(chain)), {}
            maps[#maps + 1] = x
        end
    end
    if #maps < #places then
        check.fail(self, "places: expected some of 1 to %d, each above the one before, got {%s}", #self.map_channels,
            table.concat(places, ", "))
    end
    return maps
end

--- The head over the last map.
---@param x Tensor [N,channels,H,W]
---@return Tensor logits
function Network:forward(x)
    if not self.outputs then
        args.fail("%s: is the encoder of another network, and has no head; it has features and feature_maps",
            self.class_name)
    end
    return self:head(self:features(x))
end

--- The channels of its images, for `print`.
---@return string
function Network:extra() return ("channels=%d"):format(self.channels) end

declare(Network, {
    head = "maps: any?", check_images = "x: any?", features = "x: any?", feature_maps = "x: any?",
    maps_at = "x: any?, places: integer(1..)[]", forward = "x: any?",
})

-- ---- building -------------------------------------------------------------------------------------------------

local network = {Network = Network}

--- The stages of a Sequential, of which each but the first begins with a max-pooling.
---@param body Sequential
---@return Module[][]
function network.between_poolings(body)
    local stages = {{}}
    for _, module in body:named_children() do
        if module.class_name == "MaxPool2d" then stages[#stages + 1] = {} end
        table.insert(stages[#stages], module)
    end
    return stages
end

--- The mean of each channel. Unlike `mean`, the pooling reads maps in the layout that convolutions leave them in.
---@param maps Tensor [N,C,H,W]
---@return Tensor [N,C]
function network.pooled(maps) return nn.functional.adaptive_avg_pool2d(maps, 1):flatten(2) end

-- He et al. 2015, over what goes out of a convolution.
local function fan_out(weight) nn.init.kaiming_normal_(weight, {mode = "fan_out", nonlinearity = "relu"}) end

-- PyTorch's default of Linear, and what a bias has beside it.
local function uniform(layer)
    nn.init.kaiming_uniform_(layer.weight, {a = math.sqrt(5)})
    if layer.bias then
        local bound = 1 / math.sqrt((nn.init.fans(layer.weight)))
        nn.init.uniform_(layer.bias, -bound, bound)
    end
end

--- Makes a network, and gives it initial weights once.
---@param build fun(): Module
---@param options {conv: (fun(weight: Tensor))?, linear: (fun(layer: Module))?}? how convolutions begin (by default as
--- He et al. 2015 say, over fan_out; biases 0), and linear layers (by default as PyTorch's)
---@return Module net
function network.initialised(build, options)
    local conv, linear = options and options.conv or fan_out, options and options.linear or uniform
    local net = nn.init.skip(build)
    for _, module in net:named_modules() do
        if module.kernel and module.weight then
            conv(module.weight)
            if module.bias then nn.init.zeros_(module.bias) end
        elseif module.in_features then
            linear(module)
        end
    end
    return net
end

--- For `initialised`: linear layers from a normal distribution, biases 0.
---@param std number
---@return fun(layer: Module)
function network.normal_linear(std)
    return function(layer)
        nn.init.normal_(layer.weight, 0, std)
        nn.init.zeros_(layer.bias)
    end
end

return network
