--- Modules made of modules: Sequential, ModuleList.

local autograd = require "luxel.autograd"
local core = require "luxel.core"
local Module = require "luxel.nn.module"
local linear = require "luxel.nn.linear"
local norm = require "luxel.nn.norm"
local recording = require "luxel.recording"
local simple = require "luxel.nn.simple"

local layers = {}

-- The metatables of the layers that keep no tensor. Subclasses are not among them.
local BUILT_IN = {}
for _, part in ipairs {linear, norm, simple} do
    for _, class in pairs(part) do BUILT_IN[class.instance_metatable] = true end
end

-- Children are named "0", "1" ... as PyTorch does, while Lua counts from 1.
local function append(self, module)
    self:add_module(tostring(#self:children()), module)
    return self
end

local function init_children(self, ...)
    for i = 1, select("#", ...) do append(self, (select(i, ...))) end
end

local function child_at(self, index)
    local count = #self:children()
    if math.tointeger(index) and index < 0 then index = index + count + 1 end
    local child = math.tointeger(index) and rawget(self, "_modules").values[tostring(math.tointeger(index) - 1)]
    if not child then
        error(("%s: there is no module %s, it has %d"):format(self.class_name, tostring(index), count), 3)
    end
    return child
end

-- ---- Sequential -----------------------------------------------------------------------------------------------

---@class Sequential: Module
---@overload fun(...: Module): Sequential
local Sequential = Module.class("Sequential")
layers.Sequential = Sequential

--- `nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())`: each module's result is the next one's input.
---@param ... Module
function Sequential:init(...)
    init_children(self, ...)
end

--- Adds a module at the end.
---@param module Module
---@return Sequential self
function Sequential:append(module) return append(self, module) end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function Sequential:get(index) return child_at(self, index) end

local function is_plain(module, class)
    return module ~= nil and getmetatable(module) == class.instance_metatable and not rawget(module, "_hooks")
end

-- Whether neither the module nor a hook can have kept a tensor that went through it.
local function keeps_nothing(module)
    return BUILT_IN[getmetatable(module)] and not rawget(module, "_hooks")
end

-- What a batch normalisation by running statistics makes of the convolution before it: {weight, bias, tensors,
-- versions}, the last two of what it was made from, by the normalisation.
local folded = setmetatable({}, {__mode = "k"})

local function is_current(fold, tensors)
    for i = 1, 6 do
        local tensor = tensors[i]
        if not rawequal(fold.tensors[i], tensor) or tensor and core.version(tensor) ~= fold.versions[i] then
            return false
        end
    end
    return true
end

-- A convolution with the normalisation after it in its weight and bias: for inference, where both stay as they are.
local function fold_of(conv, batch_norm)
    local tensors = {conv.weight, conv.bias or false, batch_norm.weight or false, batch_norm.bias or false,
        batch_norm.running_mean, batch_norm.running_var}
    local fold = folded[batch_norm]
    if fold and is_current(fold, tensors) and not recording.now then return fold end -- a replay makes it anew as well
    local scale = (batch_norm.running_var + batch_norm.eps):rsqrt()
    if batch_norm.weight then scale = scale * batch_norm.weight end
    local bias = (conv.bias and conv.bias - batch_norm.running_mean or -batch_norm.running_mean) * scale
    fold = {
        weight = conv.weight * scale:view(conv.out_channels, 1, 1, 1),
        bias = batch_norm.bias and bias + batch_norm.bias or bias, tensors = tensors, versions = {},
    }
    for i, tensor in ipairs(tensors) do fold.versions[i] = tensor and core.version(tensor) end
    if not recording.now then folded[batch_norm] = fold end
    return fold
end

local function can_fold(batch_norm, conv)
    return is_plain(batch_norm, norm.BatchNorm2d) and not batch_norm.training and batch_norm.running_mean
        and batch_norm.channels == conv.out_channels and not autograd.is_grad_enabled()
end

--- Conv2d or Linear followed by ReLU is one operation, and so is Conv2d, ReLU, MaxPool2d. When nothing is recorded, a
--- result that only passes from one built-in layer to the next is freed at once, and a BatchNorm2d that normalises by
--- running statistics is part of the Conv2d before it.
---@param x Tensor
---@return Tensor
function Sequential:forward(x)
    local modules = self:children()
    local passing = false -- whether x was made by a built-in layer here, so that nobody else has it
    local i = 1
    while modules[i] do
        local module = modules[i]
        local y
        local convolves = is_plain(module, linear.Conv2d)
        local fold = convolves and can_fold(modules[i + 1], module) and fold_of(module, modules[i + 1]) or nil
        if fold then i = i + 1 end
        if (convolves or is_plain(module, linear.Linear)) and is_plain(modules[i + 1], simple.ReLU) then
            local pool = convolves and is_plain(modules[i + 2], simple.MaxPool2d) and modules[i + 2] or nil
            y = module:forward(x, "relu", pool, fold)
            i = i + (pool and 2 or 1)
        elseif fold then
            y = module:forward(x, nil, nil, fold)
        else
            y = module(x)
        end
        if not rawequal(y, x) then
            if passing and keeps_nothing(module) and not autograd.is_grad_enabled() then x:free() end
            passing = keeps_nothing(module)
        end
        passing = passing and keeps_nothing(module)
        x, i = y, i + 1
    end
    return x
end

-- ---- ModuleList -----------------------------------------------------------------------------------------------

---@class ModuleList: Module
---@overload fun(...: Module): ModuleList
local ModuleList = Module.class("ModuleList")
layers.ModuleList = ModuleList

--- `nn.ModuleList(a, b)` or `nn.ModuleList({a, b})`: a list whose modules belong to the network. It has no forward.
---@param ... Module|Module[]
function ModuleList:init(...)
    local first = ...
    if type(first) == "table" and getmetatable(first) == nil then
        init_children(self, table.unpack(first))
    else
        init_children(self, ...)
    end
end

--- Adds a module at the end.
---@param module Module
---@return ModuleList self
function ModuleList:append(module) return append(self, module) end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function ModuleList:get(index) return child_at(self, index) end

--- `for i, module in list:each() do`
---@return fun(): integer, Module
function ModuleList:each()
    local i, modules = 0, self:children()
    return function()
        i = i + 1
        if modules[i] then return i, modules[i] end
    end
end

-- `#sequential` and `list[1]` work as on any Lua list.
for _, class in pairs(layers) do
    local meta = class.instance_metatable
    local index = meta.__index
    meta.__len = function(self) return #self:children() end
    meta.__index = function(self, key)
        if math.type(key) == "integer" then
            return rawget(self, "_modules").values[tostring(key < 0 and key + #self or key - 1)]
        end
        return index(self, key)
    end
end

return layers
