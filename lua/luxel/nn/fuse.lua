--- Fusion: a network's layers computed several at a time, by a pass over what its Sequentials hold.
--
-- `nn.fuse(net)` is a view of the network: calling it computes the same function with the same parameters, and while it
-- does, every Sequential inside (nested ones, and those of networks made by `nn.class`) is computed here:
--
--   - Conv2d, Linear or BatchNorm2d and the ReLU, ReLU6 or LeakyReLU(0.1) after it are one operation, and so are
--     Conv2d, ReLU and a MaxPool2d(2); of BatchNorm2d also with `nn.plus` before the activation, or alone;
--   - a BatchNorm2d that uses its running statistics goes into the weights of the Conv2d before it, where no gradients
--     are wanted;
--   - a result that only passes from one built-in layer to the next is freed at once.
--
-- Nothing is changed or kept in the network, and what can be fused is decided at each call: layers may be added, hooks
-- registered and modes switched before and after, and calling the network itself computes layer by layer as ever.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local devices = require "luxel.device"
local F = require "luxel.nn.functional"
local events = require "luxel.compile.events"
local linear = require "luxel.nn.linear"
local memory = require "luxel.memory"
local norm = require "luxel.nn.norm"
local shapes = require "luxel.shape"
local simple = require "luxel.nn.simple"

local fuse = {}

-- ---- which layers are known -----------------------------------------------------------------------------------

-- The forward methods of the layers that keep no tensor, by the metatables of their instances. Subclasses are not among
-- them.
local FORWARDS = {}
for _, part in ipairs {linear, norm, simple} do
    for _, class in pairs(part) do FORWARDS[class.instance_metatable] = class.forward end
end

-- Whether a module computes what its class of the library does, and neither it nor a hook can keep a tensor that went
-- through it.
local function is_built_in(module)
    local meta = getmetatable(module)
    local forward = FORWARDS[meta]
    return forward ~= nil and meta.class.forward == forward and rawget(module, "_fields").forward == nil
        and not rawget(module, "_hooks")
end

local function is_plain(module, class)
    return module ~= nil and getmetatable(module) == class.instance_metatable and is_built_in(module)
end

local IN_PASSING <const> = core.activations_in_passing()

-- The activation that a layer is, if convolutions and products compute it in passing.
local function activation_of(module)
    if module == nil or not is_built_in(module) then return nil end
    local name = getmetatable(module).class.activation
    if type(name) == "function" then name = name(module) end
    return IN_PASSING[name] and name or nil
end

-- ---- shortcuts ------------------------------------------------------------------------------------------------

-- What nn.plus gives: the step of a chain that adds a tensor.
local Plus = {}

function Plus:__call(x) return x + self.tensor end

--- A step of `nn.chain` that adds a tensor to what comes before it, as a residual network's shortcut does (He et al.
--- 2016): `nn.chain(x, conv1, bn1, relu, conv2, bn2, nn.plus(x), relu)`. In a view made by `nn.fuse` a BatchNorm2d
--- before it and a ReLU or ReLU6 after it are computed in the same pass over memory.
---@param tensor Tensor float32 of a shape that goes with the result before it
---@return fun(x: Tensor): Tensor step
function fuse.plus(tensor) return setmetatable({tensor = tensor}, Plus) end

fuse.plus = args.public("plus", "tensor: tensor", fuse.plus)

local function is_plus(step) return step ~= nil and getmetatable(step) == Plus end

args.type("step_of_chain", "a module or nn.plus", "table", function(value)
    return is_plus(value) or rawget(value, "_modules") ~= nil
end)

-- What a step of a chain adds to x as it is, without broadcasting, or nil.
local function addend_of(step, x)
    local addend = is_plus(step) and step.tensor
    return addend and addend.dtype == "float32" and shapes.same(addend.shape, x.shape) and addend or nil
end

-- ---- merging --------------------------------------------------------------------------------------------------

-- Convolutions with the batch normalisation after them in their weights, by the normalisation: {weight, bias, tensors,
-- versions, eps}, where the last three say what the merged weight and bias were made from.
local merged_convs = setmetatable({}, {__mode = "k"})

local function is_current(merged, tensors, eps)
    if merged.eps ~= eps then return false end
    for i, tensor in ipairs(tensors) do
        if not rawequal(merged.tensors[i], tensor) or tensor and core.version(tensor) ~= merged.versions[i] then
            return false
        end
    end
    return true
end

-- A convolution with the normalisation after it in its weight and bias: for inference, where both stay as they are.
local function merge(conv, batch_norm)
    local tensors = {conv.weight, conv.bias or false, batch_norm.weight or false, batch_norm.bias or false,
        batch_norm.running_mean, batch_norm.running_var}
    local keeps = not events.is_recording() -- a replay makes it anew as well
    local merged = keeps and merged_convs[batch_norm]
    if merged and is_current(merged, tensors, batch_norm.eps) then return merged end
    local scale = (batch_norm.running_var + batch_norm.eps):rsqrt()
    if batch_norm.weight then scale = scale * batch_norm.weight end
    local bias = (conv.bias and conv.bias - batch_norm.running_mean or -batch_norm.running_mean) * scale
    merged = {
        weight = conv.weight * scale:view(conv.out_channels, 1, 1, 1),
        bias = batch_norm.bias and bias + batch_norm.bias or bias, tensors = tensors, versions = {},
        eps = batch_norm.eps,
    }
    for i, tensor in ipairs(tensors) do merged.versions[i] = tensor and core.version(tensor) end
    if keeps then
        merged_convs[batch_norm] = merged
        memory.keep(merged.weight, merged.bias) -- a tidy around this call is not to free what later calls use
    end
    return merged
end

local function can_merge(batch_norm, conv)
    local is_known = is_plain(batch_norm, norm.BatchNorm2d)
        or is_plain(batch_norm, norm.DarknetBatchNorm2d) and batch_norm.root == "inside"
    return is_known and not batch_norm.training and batch_norm.running_mean
        and batch_norm.channels == conv.out_channels and not autograd.is_grad_enabled()
end

-- ---- computing ------------------------------------------------------------------------------------------------

-- Whether a module is a pooling over windows of 2x2 that neither overlap nor leave the image.
local function pools_by_two(module)
    if not is_plain(module, simple.MaxPool2d) or module.ceil_mode then return false end
    for i = 1, 2 do
        if module.kernel[i] ~= 2 or module.stride[i] ~= 2 or module.padding[i] ~= 0 then return false end
    end
    return true
end

-- The modules in order, those of Sequentials inside in the place of these.
local function flatten(children, class, list)
    for _, module in ipairs(children) do
        if module.forward == class.forward and not rawget(module, "_hooks") then
            flatten(module:children(), class, list)
        else
            list[#list + 1] = module
        end
    end
    return list
end

-- The result of the modules from place `i` on that are one operation, and the place after them; nil if none are.
local function convolve(modules, i, x)
    local conv, after = modules[i], i + 1
    if not is_plain(conv, linear.Conv2d) then return nil end
    local from, pool = conv, nil
    if can_merge(modules[after], conv) then from, after = merge(conv, modules[after]), after + 1 end
    local activation = activation_of(modules[after])
    if activation then after = after + 1 end
    if after == i + 1 then return nil end
    conv:check_input(x)
    if activation == "relu" and pools_by_two(modules[after]) then pool, after = {kernel = 2}, after + 1 end
    return F.conv2d(x, from.weight, from.bias, {
        stride = conv.stride, padding = conv.padding, dilation = conv.dilation, groups = conv.groups,
        activation = activation, max_pool = pool,
    }), after
end

local function multiply(modules, i, x)
    local layer, activation = modules[i], activation_of(modules[i + 1])
    if not is_plain(layer, linear.Linear) or not activation then return nil end
    layer:check_input(x)
    return F.linear(x, layer.weight, layer.bias, {activation = activation}), i + 2
end

local function normalise(modules, i, x)
    local layer, after = modules[i], i + 1
    if not is_plain(layer, norm.BatchNorm2d) and not is_plain(layer, norm.DarknetBatchNorm2d) then return nil end
    local addend = addend_of(modules[after], x)
    if addend then after = after + 1 end
    local activation = activation_of(modules[after])
    if activation then after = after + 1 end
    if after == i + 1 then return nil end
    return layer:activated(x, activation, addend), after
end

--- The result of modules one after the other, computed several layers at a time.
---@param children Module[]
---@param class table Sequential
---@param x Tensor
---@return Tensor
function fuse.run(children, class, x)
    local modules = flatten(children, class, {})
    local frees = not autograd.is_grad_enabled()
    local passing = false -- whether x was made by a built-in layer here, so that nobody else has it
    local i = 1
    while modules[i] do
        local built_in = is_plus(modules[i]) or is_built_in(modules[i])
        local y, after = convolve(modules, i, x)
        if not after then y, after = multiply(modules, i, x) end
        if not after then y, after = normalise(modules, i, x) end
        if not after then y, after = modules[i](x), i + 1 end
        if rawequal(y, x) then
            passing = passing and built_in
        else
            if passing and built_in and frees then x:free() end
            passing = built_in
        end
        x, i = y, after
    end
    return x
end

-- ---- views ----------------------------------------------------------------------------------------------------

-- The coroutines in which a view computes: one that waits in the middle leaves the others as they are.
local running = setmetatable({}, {__mode = "k"})

--- Whether a view computes.
---@return boolean
function fuse.is_running()
    return running[coroutine.running()] == true
end

local LEAVE = {__close = function(guard) running[guard.thread] = nil end}

local View = {__name = "nn.fuse", is_view = true}
local modules_of = setmetatable({}, {__mode = "k"}) -- by view

function View:__call(...)
    local module, thread = modules_of[self], coroutine.running()
    if running[thread] or devices.math() == "exact" then return module(...) end
    local _ <close> = setmetatable({thread = thread}, LEAVE)
    running[thread] = true
    return module(...)
end

function View:__index(key)
    local module = modules_of[self]
    local value = module[key]
    if type(value) ~= "function" then return value end
    return function(first, ...)
        if rawequal(first, self) then first = module end
        return value(first, ...)
    end
end

function View:__newindex(key, value) modules_of[self][key] = value end

function View:__len() return #modules_of[self] end

function View:__tostring() return "fused " .. tostring(modules_of[self]) end

local views = setmetatable({}, {__mode = "k"}) -- by module

--- A view of a network that computes several layers at a time where it can (see the top of this file): faster and in
--- less memory, with results that may differ from the layer-by-layer ones by rounding. Under `lx.math("exact")` it
--- computes layer by layer. Everything but calling it (methods, fields, `#`) goes to the network.
---@param net Module
---@return Module view the same one for the same network
function fuse.fuse(net)
    if modules_of[net] then return net end
    if not views[net] then
        local view = setmetatable({}, View)
        modules_of[view], views[net] = net, view
    end
    return views[net]
end

fuse.fuse = args.public("fuse", "net: module", fuse.fuse)

return fuse
