--- `lx.tune`: measures which variant of the kernels of each convolution and matrix product of a network is the fastest
--- here.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local unbroken = require "luxel.unbroken"

---@class luxel.Tuned the measurements; print it to see them
---@field device string
---@field entries {problem: string, way: string, seconds: number, usual: number, ways: integer, rejected: integer}[]
--- problem: what is computed, with all sizes; way: the fastest variant, of `ways` in number; usual: the time of the
--- default one; rejected: variants that did not run or gave another result
---@field saved boolean whether the next process finds it
local Tuned = namespace.class("Tuned", {}, {"saved"})

function Tuned:__tostring()
    if #self.entries == 0 then
        return ("nothing on %s has more than one variant, or all was measured before"):format(self.device)
    end
    local lines, wide = {}, #"problem"
    for _, entry in ipairs(self.entries) do wide = math.max(wide, #entry.problem) end
    local function pad(text) return text .. (" "):rep(wide - #text) end
    lines[1] = ("%s  %-24s %10s %7s"):format(pad("problem"), "fastest", "time", "gain")
    for _, entry in ipairs(self.entries) do
        local gain = entry.usual > 0 and ("%.2f×"):format(entry.usual / entry.seconds) or "–"
        lines[#lines + 1] = ("%s  %-24s %7.3f ms %8s"):format(pad(entry.problem), entry.way, entry.seconds * 1e3, gain)
    end
    local rejected = 0
    for _, entry in ipairs(self.entries) do rejected = rejected + entry.rejected end
    if rejected > 0 then
        lines[#lines + 1] = ("%d candidates did not run here or gave other results, and are not used"):format(rejected)
    end
    lines[#lines + 1] = self.saved and "remembered for this device and driver" or "remembered until this process ends"
    return table.concat(lines, "\n")
end

-- Keeps the state that running the network changes, and returns a function that puts it back.
local function keep_state(net)
    local buffers, grads, modes = {}, {}, {}
    for name, buffer in net:named_buffers() do buffers[name] = {buffer, buffer:clone()} end
    for _, parameter in ipairs(net:parameters()) do grads[parameter] = parameter.grad or false end
    for _, module in net:named_modules() do modes[module] = module.training end
    local _, stream = core.random_state()
    return function()
        for _, pair in pairs(buffers) do
            lx.no_grad(function() pair[1]:copy_(pair[2]) end)
        end
        for parameter, grad in pairs(grads) do parameter.grad = grad or nil end
        for module, training in pairs(modes) do module.training = training end
        core.random_state(stream)
    end
end

-- A training step and an inference, fused as in training and prediction (`nn.fuse`), and layer by layer.
local function run(net, shape, device)
    for _, forward in ipairs {lx.nn.fuse(net), net} do
        lx.tidy(function()
            net:train()
            net:zero_grad()
            local loss = forward(lx.randn(shape, {device = device})):sum()
            if loss.requires_grad then loss:backward() end
            net:eval()
            lx.no_grad(function() forward(lx.randn(shape, {device = device})) end)
        end)
    end
end

--- Runs a training step and an inference of the network on random numbers, and for each convolution and matrix product
--- in them times the candidates (algorithms and tile sizes) that the device has, several times each. A candidate counts
--- only if its result agrees with that of the plainest one. What is found is used from then on, and kept in the cache
--- folder for the device and its driver. Parameters, buffers, gradients and random state are as before afterwards.
---@param net Module with its parameters on the device to tune
---@param shape integer[] of the input, with the batch: `{32, 1, 224, 224}`
---@param options {again: boolean?}? again: measure also what was measured before
---@return luxel.Tuned
local function tune(net, shape, options)
    local first = net:parameters()[1]
    local device = first and first.device or "cpu"
    if options and options.again then core.forget_tuning(device) end
    local known = #core.tuned(device)
    local restore = keep_state(net)
    core.tune(device, true)
    local ok, message = pcall(unbroken, "tune", function() end, run, net, shape, device)
    core.tune(device, false)
    restore()
    if not ok then error(message, 0) end
    local entries = core.tuned(device)
    local saved = #entries > known and core.save_tuning(device)
    return setmetatable({device = device, saved = saved, entries = table.move(entries, known + 1, #entries, 1, {})},
        Tuned)
end

return args.public("tune", "net: module, shape: integer(1..)[], options: {again: boolean?}?", tune)
