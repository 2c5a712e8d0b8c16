--- Luxel: tensors, layers and training for convolutional networks on radiographs.
--
--     local lx = require "luxel"
--     local x = lx.randn(2, 3)
--     print(x:matmul(x:t()))

-- This file is also read by other versions of Lua, which the rest of the library is Greek to.
if _VERSION ~= "Lua 5.4" then error("luxel: needs Lua 5.4, this is " .. _VERSION, 0) end
for _, name in ipairs {"coroutine", "debug", "io", "math", "os", "string", "table", "utf8"} do
    if not _G[name] then
        error("luxel: needs the standard library '" .. name .. "', which a host opens with luaL_openlibs", 0)
    end
end

local core = require "luxel.core"
core.set_home((debug.getinfo(1, "S").source:gsub("init%.lua$", "")))

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local devices = require "luxel.device"
local events = require "luxel.compile.events"
local namespace = require "luxel.namespace"
local notice = require "luxel.notice"
local tensors = require "luxel.tensor"
require "luxel.types"

---@class luxel
---@field adapt table a trained model for another hospital
---@field anomaly table what is unusual, learnt from normal images alone
---@field nn table layers, losses and `nn.functional`
---@field opencl table kernels of your own, in OpenCL C
---@field optim table optimisers and learning-rate schedules
---@field compile fun(f: function, options: table?): luxel.Compiled records a function of tensors, and replays it
---@field profile fun(f: function, options: table?): luxel.Profile where the time goes on the devices
---@field data table image folders, batches, phantoms
---@field metrics table sensitivity, specificity, AUC and their intervals
---@field vision table reading, writing and drawing images
---@field train table the training loop
---@field checkpoint table models in safetensors files
---@field help fun(what: any): table what the reference says of a name, function or class
---@field calibration table from logits to probabilities
---@field conformal table sets of classes that hold the right one as often as one asks for
---@field explain table which part of an image an answer comes from
---@field io table files of other programs
---@field models table networks by name
---@field plot table plots as SVG, and for the terminal
---@field report table pages of trainings and evaluations
---@field text table reports of radiologists: what they say of each finding
---@field predictor table a trained model, from a film to an answer
local lx = {}

lx._VERSION = "Luxel " .. require "luxel.version"
for name, value in pairs(tensors) do lx[name] = value end
for name, value in pairs(devices) do lx[name] = value end
lx.on_notice = notice.on_notice
lx.live = args.public("live", "f: function, argument: any?, later: any?", events.live)

-- The library itself calls what is below without checks: its arguments are its own.
lx.autograd = namespace("lx.autograd", args.publish("", {
    registry = autograd.registry, define = autograd.define, backward = autograd.backward,
    no_grad = autograd.no_grad, enable_grad = autograd.enable_grad, is_grad_enabled = autograd.is_grad_enabled,
}, {
    define = "name: string, definition: {forward: function, backward: function, pure: boolean?, view: boolean?, "
        .. "methods: string[]?, name: string?}",
    backward = "tensor: tensor, grad: tensor?, options: {retain_graph: boolean?}?",
    no_grad = "f: function, ...: any?", enable_grad = "f: function, ...: any?", is_grad_enabled = "",
}))
lx.no_grad, lx.enable_grad, lx.is_grad_enabled =
    lx.autograd.no_grad, lx.autograd.enable_grad, lx.autograd.is_grad_enabled

--- Writes tensors to a safetensors file; see `checkpoint.save`.
---@param path string
---@param named_tensors table<string, Tensor>
---@param metadata table?
---@return boolean? ok, string? message, string? code
function lx.save(path, named_tensors, metadata) return lx.checkpoint.save(path, named_tensors, metadata) end

--- Reads a safetensors file: tensors by name, and metadata; see `checkpoint.load`.
---@param path string
---@return table<string, Tensor>? tensors, table|string metadata, string? code
function lx.load(path) return lx.checkpoint.load(path) end

lx.save = args.public("save", "path: path, tensors: table, metadata: table?", lx.save)
lx.load = args.public("load", "path: path", lx.load)

-- The larger parts are loaded when they are first used.
local PARTS = {}
for _, name in ipairs {"adapt", "anomaly", "calibration", "checkpoint", "compile", "conformal", "data", "explain",
    "help", "io", "metrics", "models", "nn", "opencl", "optim", "plot", "predictor", "profile", "report", "text",
    "train", "tune", "vision"} do
    PARTS[name] = "luxel." .. name
end

return namespace("lx", lx, PARTS)
