--- Networks by name: the names that a model's file may have.
--
-- A file here is a family: functions of options that return a module. What tells classes or labels is from images
-- [N,channels,H,W] to logits [N,outputs]; `net:features(x)` is what comes before the head, and `net:feature_maps(x)`
-- the maps at each resolution, with `net.map_channels` channels. `outputs` and `channels` are 1 unless said otherwise.
-- Parameters have the names and shapes of torchvision's networks, where it has them.
--
-- Of detectors `outputs` are the classes of objects: see `yolo.lua`.
--
-- Classifiers take `pretrained`, a file of weights (`pretrained.lua`), which has to fit to the last key. It may be of
-- torch.save, safetensors or Luxel's own. `source` says where the weights come from, where the file does not tell;
-- without `outputs` there are as many as the file has, and `head = "replace"` begins a last layer anew. A first
-- convolution of three channels becomes one of one channel, the sum. What the weights want as input is in
-- `net.pretrained` (mean and std on the scale 0..1), which training takes and the model's file keeps. Where the file
-- does not fit, they return nil, message, code.

local args = require "luxel.args"
local autoencoder = require "luxel.models.autoencoder"
local classifiers = require "luxel.models.classifiers"
local namespace = require "luxel.namespace"
local near = require "luxel.near"
local pretrained = require "luxel.models.pretrained"
local unet = require "luxel.models.unet"
local yolo = require "luxel.models.yolo"

local models = {}

--- Sides of images in pixels that any network is built for; see `limits`.
models.SMALLEST, models.LARGEST = 16, 2048

-- The least side of networks with a weight for each place of an image; all others halve it five times.
local FEW_HALVINGS <const> = {cnn = 16, lenet = 16}
local SMALLEST <const> = 32

local kinds = {} -- by name
for kind, networks in pairs {
    classifier = classifiers, segmentation = unet, autoencoder = autoencoder, detector = yolo,
} do
    for name, network in pairs(networks) do models[name], kinds[name] = network, kind end
end

--- The names of the networks, in order.
---@param kind "classifier"|"segmentation"|"autoencoder"|"detector"? those alone
---@return string[]
function models.names(kind)
    local names = {}
    for name, its_kind in pairs(kinds) do
        if not kind or kind == its_kind then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

local function check_name(name)
    if kinds[name] then return end
    local names = models.names()
    args.fail("name: there is no network '%s'%s; there are %s", name, near.suggestion(name, names),
        table.concat(names, ", "))
end

--- Between which sides the images of a network may be.
---@param name string one of `models.names()`
---@return integer smallest, integer largest in pixels
function models.limits(name)
    check_name(name)
    return FEW_HALVINGS[name] or SMALLEST, models.LARGEST
end

--- A network by its name, as a model's file gives it.
---@param name string one of `models.names()`
---@param options? table as of the network itself: outputs, channels, size and others
---@return Module
function models.build(name, options)
    check_name(name)
    return models[name](options)
end

models.save = pretrained.save

args.type("pretrained", "a network with pretrained weights", "table", function(value)
    return type(value.pretrained) == "table" and value.state_dict ~= nil
end)

-- ---- weights from files ---------------------------------------------------------------------------------------

-- What builds each classifier; its public function also fills it from a file.
local builders = {}

local function may_be_filled(name, build)
    return function(options)
        if options and options.pretrained then return pretrained.build(name, build, options) end
        for _, option in ipairs {"source", "head"} do
            if options and options[option] then
                args.fail("%s: options: option '%s': it belongs to 'pretrained', which is missing", name, option)
            end
        end
        return build(options)
    end
end

for name, kind in pairs(kinds) do
    if kind == "classifier" then
        builders[name] = models[name]
        models[name] = may_be_filled(name, builders[name])
    end
end

-- ---- declarations ---------------------------------------------------------------------------------------------

local declarations = {
    names = 'kind: "classifier"|"segmentation"|"autoencoder"|"detector"?', limits = "name: text",
    build = "name: text, options: table?",
    save = "path: path, net: pretrained, options: {size: integer(16..2048), classes: text[]?}",
}

local COMMON <const> = "channels: integer(1..)?, size: integer(%d..%d)?"

-- What a network takes besides the common options.
local MORE <const> = {
    autoencoder = "widths: size[]?",
    unet = 'outputs: integer(1..)?, encoder: text?, depth: integer(1..6)?, width: integer(1..1024)?, '
        .. 'padding: "same"|"valid"?, batch_norm: boolean?',
    yolov2 = "outputs: integer(1..)?, anchors: table[]?", yolov2_tiny = "outputs: integer(1..)?, anchors: table[]?",
    yolov3_tiny = "outputs: integer(1..)?, anchors: table[]?",
    yolo_lite = "outputs: integer(1..)?, anchors: table[]?, backbone: text?, stride: 8|16|32?, "
        .. 'width: integer(8..1024)?, pretrained: path?, source: text?, variant: "tf"?',
    efficientnet_b0 = "outputs: integer(1..)?, dropout: probability?, drop_path: probability?",
    efficientnet_lite0 = 'outputs: integer(1..)?, dropout: probability?, variant: "tf"?',
}

for name in pairs(kinds) do
    local more = MORE[name] or "outputs: integer(1..)?"
    if not MORE[name] and name:find("^mobilenet") or name:find("^squeezenet") or name:find("^vgg") then
        more = more .. ", dropout: probability?"
    end
    if builders[name] then more = more .. ', pretrained: path?, source: text?, head: "replace"?' end
    local smallest, largest = models.limits(name)
    declarations[name] = ("options: {%s, %s}?"):format(more, COMMON:format(smallest, largest))
end

args.publish("", models, declarations)
-- the words of the reference stand above what builds a network
for name, build in pairs(builders) do args.declared[models[name]].f = build end

return namespace("lx.models", models)
