--- Networks: `lx.nn`. Modules and their names follow PyTorch.

local Module = require "luxel.nn.module"
local namespace = require "luxel.namespace"

local nn = {
    Module = Module,
    Parameter = Module.Parameter,
    class = Module.class,
    functional = require "luxel.nn.functional",
    fuse = require("luxel.nn.fuse").fuse, plus = require("luxel.nn.fuse").plus,
    init = require "luxel.nn.initialisers",
    summary = require "luxel.nn.summary",
}

for _, part in ipairs {"linear", "norm", "simple", "container", "recurrent", "attention", "loss"} do
    for name, class in pairs(require("luxel.nn." .. part)) do nn[name] = class end
end

return namespace("lx.nn", nn)
