--- Luxel: tensors, layers and training for convolutional networks on radiographs.
--
--     local lx = require "luxel"
--     local x = lx.randn(2, 3)
--     print(x:matmul(x:t()))

local core = require "luxel.core"
core.set_home((debug.getinfo(1, "S").source:gsub("init%.lua$", "")))

local autograd = require "luxel.autograd"
local devices = require "luxel.device"
local notice = require "luxel.notice"
local recording = require "luxel.recording"
local tensors = require "luxel.tensor"

---@class luxel
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
---@field calibration table from logits to probabilities
local lx = {}

for name, value in pairs(tensors) do lx[name] = value end
for name, value in pairs(devices) do lx[name] = value end
lx.on_notice = notice.on_notice
lx.live = recording.live

lx.autograd = autograd
lx.no_grad, lx.enable_grad, lx.is_grad_enabled = autograd.no_grad, autograd.enable_grad, autograd.is_grad_enabled

--- Writes tensors to a safetensors file; see `checkpoint.save`.
function lx.save(path, named_tensors, metadata) return lx.checkpoint.save(path, named_tensors, metadata) end

--- Reads a safetensors file: tensors by name, and metadata; see `checkpoint.load`.
function lx.load(path) return lx.checkpoint.load(path) end

-- The larger parts are loaded when they are first used.
local PARTS <const> = {calibration = true, checkpoint = true, compile = true, data = true, metrics = true, nn = true,
    opencl = true, optim = true, profile = true, train = true, tune = true, vision = true}

return setmetatable(lx, {
    __index = function(_, name)
        if not PARTS[name] then return nil end
        local part = require("luxel." .. name)
        rawset(lx, name, part)
        return part
    end,
})
