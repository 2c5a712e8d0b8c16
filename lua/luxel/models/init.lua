--- Networks by name: the names that a model's file may have.
--
-- A file here defines one of them: a function of the side of the images and the number of outputs, which returns a
-- module from images [N,1,size,size] to logits [N,outputs].

local args = require "luxel.args"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local near = require "luxel.near"

local models, networks = {}, {}

--- Sides of images in pixels that a network is built for.
models.SMALLEST, models.LARGEST = 16, 2048

--- Four 3×3 convolutions (32, 64, 128, 128 channels), each with ReLU and 2×2 max-pooling, then 512 features.
---@param options? {size: integer?, outputs: integer?, channels: integer?} size: side of the images in pixels, at least
---  16, default 128; outputs: default 1; channels of the images: default 1
---@return Module net [N,channels,size,size] to [N,outputs]
function networks.cnn(options)
    local opts = args.with_defaults(options, {size = 128, outputs = 1, channels = 1})
    local nn, side = lx.nn, opts.size // 16
    return nn.Sequential(
        nn.Conv2d(opts.channels, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(128, 128, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * side * side, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, opts.outputs)
    )
end

for name, network in pairs(networks) do models[name] = network end

--- The names of the networks, in order.
---@return string[]
function models.names()
    local names = {}
    for name in pairs(networks) do names[#names + 1] = name end
    table.sort(names)
    return names
end

--- A network by its name, as a model's file gives it.
---@param name string one of `models.names()`
---@param options? table as of the network itself: size, outputs, channels
---@return Module
function models.build(name, options)
    if not networks[name] then
        local names = models.names()
        args.fail("build: name: there is no network '%s'%s; there are %s", name, near.suggestion(name, names),
            table.concat(names, ", "))
    end
    return networks[name](options)
end

local OPTIONS <const> = "options: {size: integer(16..2048)?, outputs: integer(1..)?, channels: integer(1..)?}?"

return namespace("lx.models", args.publish("", models, {
    cnn = OPTIONS, names = "", build = "name: text, " .. OPTIONS,
}))
