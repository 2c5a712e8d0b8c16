--- Transfer: a network begins with weights that learned from other images; its new last layer learns first, and then
--- all of it, the first layers slowly. Usage: lua5.4 transfer.lua WEIGHTS [DIR] [MODEL]
--
-- WEIGHTS as of `luxel weights efficientnet-lite0`, or those of examples/self_supervised.lua; DIR holds a folder for
-- each class (default, or "": drawn phantoms).

local lx = require "luxel"

local weights, dir, model = arg[1], arg[2] ~= "" and arg[2] or nil, arg[3] or "efficientnet_lite0"
if not weights then error("usage: transfer.lua WEIGHTS [DIR] [MODEL]", 0) end
local size = dir and 112 or 48

lx.manual_seed(1)
local train, val
if dir then
    train, val = assert(lx.data.image_folder(dir)):split {val = 0.25}
    train, val = assert(train:load {size = size}), assert(val:load {size = size})
else
    train, val = lx.data.phantom({n = 160, size = size, seed = 1}):split {val = 0.25}
end

local net = assert(lx.models[model] {
    pretrained = weights, head = "replace", outputs = train.task == "binary" and 1 or #train.classes, size = size,
})
print(("weights of %s; images by mean %.3f and deviation %.3f"):format(net.pretrained.source, net.pretrained.mean,
    net.pretrained.std))
local head = net:state_names()[#net:state_names()]:match("^(.*)%.") -- of this network "classifier"

-- What is frozen keeps the statistics of its batch normalisation too. All that ever learns is the optimiser's.
local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 2e-3, decay = 0.85}))
print(assert(lx.train.fit {
    net = net, optimizer = optimizer, train = train, val = val, epochs = 5, augment = true, out = "runs/transfer",
    overwrite = true, freeze = {"*", "!" .. head}, unfreeze = {[3] = "*"}, metadata = {model = model, size = size},
}))
