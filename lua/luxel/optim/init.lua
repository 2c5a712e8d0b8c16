--- Optimisers: `lx.optim`. Each step is one fused kernel for each parameter.
--
-- `optim.AdamW(net:parameters(), {lr = 1e-3})`, or with groups that differ in their options:
-- `optim.SGD({{params = a}, {params = b, lr = 0.01}}, {lr = 0.1})`.

local core = require "luxel.core"
local lx = require "luxel"
local memory = require "luxel.memory"
local recording = require "luxel.recording"
local check = require "luxel.nn.check"

local optim = {}

---@class Optimizer
---@field groups table[] `{params = Tensor[], lr =, ...}`: schedulers change `lr` here
local Optimizer = {}

local function check_betas(name, betas)
    for i = 1, 2 do
        local beta = betas[i]
        if type(beta) ~= "number" or beta ~= beta or beta < 0 or beta >= 1 then
            error(("%s: betas should be two numbers from 0 to below 1, got %s"):format(name, tostring(beta)), 5)
        end
    end
end

local function copy_options(target, options, defaults, name)
    for key, value in pairs(options) do
        if key ~= "params" then
            if defaults[key] == nil then
                local known = {}
                for option in pairs(defaults) do known[#known + 1] = option end
                table.sort(known)
                error(("%s: unknown option %s; the options are %s"):format(name, tostring(key),
                    table.concat(known, ", ")), 4)
            end
            if type(value) ~= type(defaults[key]) then
                error(("%s: %s should be a %s, got %s"):format(name, key, type(defaults[key]), type(value)), 4)
            end
            if type(value) == "number" and (value ~= value or value < 0) then
                error(("%s: %s should be at least 0, got %s"):format(name, key, tostring(value)), 4)
            end
            if type(value) == "table" then check_betas(name, value) end
            target[key] = value
        end
    end
    return target
end

local function check_parameters(name, params)
    if type(params) ~= "table" or #params == 0 then
        error(name .. ": expected a list of parameters (net:parameters()) that is not empty", 4)
    end
    for i, parameter in ipairs(params) do
        if type(parameter) ~= "userdata" or parameter.dtype ~= "float32" then
            error(("%s: parameter %d should be a float32 tensor, got %s"):format(name, i,
                check.describe(parameter)), 4)
        end
    end
end

local function init_optimizer(self, params, options)
    local name, defaults = self.class_name, self.defaults
    recording.problem("makes an optimiser; make it before")
    options = copy_options(copy_options({}, defaults, defaults, name), options or {}, defaults, name)
    local given = params
    if type(params) ~= "table" or type(params[1]) ~= "table" then given = {{params = params}} end
    self.groups, self.parameters, self.state = {}, {}, {}
    local seen = {}
    for i, group in ipairs(given) do
        check_parameters(name, group.params)
        self.groups[i] = copy_options(copy_options({params = {}}, options, defaults, name), group, defaults, name)
        for j, parameter in ipairs(group.params) do
            if seen[parameter] then error(name .. ": a parameter is listed twice", 3) end
            seen[parameter] = true
            self.groups[i].params[j] = parameter
            self.parameters[#self.parameters + 1] = parameter
            self.state[#self.parameters] = {step = 0}
        end
    end
end

local function define(name, defaults, update)
    local class = {class_name = name, defaults = defaults, update = update}
    class.__index = class
    class.__name = name
    setmetatable(class, {__index = Optimizer, __call = function(_, params, options)
        local self = setmetatable({}, class)
        init_optimizer(self, params, options)
        return self
    end})
    optim[name] = class
end

-- A step of one parameter. Where it is recorded, each replay counts its steps and takes its options anew; a gradient
-- that there is only while the function runs is not needed for that.
local function update(self, index, parameter, grad, group)
    local state = self.state[index]
    if not recording.now then
        state.step = state.step + 1
        return self.update(parameter, grad, state, group)
    end
    recording.reads_grad(core.getslot(parameter))
    recording.live(function(gradient)
        state.step = state.step + 1
        self.update(parameter, gradient, state, group)
    end, grad:contiguous(), parameter)
end

--- Changes every parameter that has a gradient.
function Optimizer:step()
    local index = 0
    for _, group in ipairs(self.groups) do
        for _, parameter in ipairs(group.params) do
            index = index + 1
            local grad = parameter.grad
            if grad then update(self, index, parameter, grad, group) end
        end
    end
end

--- Forgets the gradients.
function Optimizer:zero_grad()
    for _, parameter in ipairs(self.parameters) do parameter.grad = nil end
end

local function numbers_of(group)
    local copy = {}
    for key, value in pairs(group) do
        if key ~= "params" then copy[key] = value end
    end
    return copy
end

--- Everything that training needs to go on exactly: `tensors` by name such as "3.exp_avg" (parameter number and what
--- it is), `steps` by parameter number, and the options of the `groups`. All but `tensors` is plain numbers, strings
--- and booleans. The tensors share memory with the optimiser.
---@return {kind: string, steps: integer[], groups: table[], tensors: table<string, Tensor>}
function Optimizer:state_dict()
    local dict = {kind = self.class_name, steps = {}, groups = {}, tensors = {}}
    for i, group in ipairs(self.groups) do dict.groups[i] = numbers_of(group) end
    for i, state in ipairs(self.state) do
        dict.steps[i] = state.step
        for key, value in pairs(state) do
            if key ~= "step" then dict.tensors[i .. "." .. key] = value end
        end
    end
    return dict
end

local function check_dict(self, dict)
    local name = self.class_name
    if type(dict) ~= "table" or dict.kind ~= name then
        check.fail("load_state_dict", "the state is of %s, the optimiser is %s",
            type(dict) == "table" and tostring(dict.kind) or type(dict), name)
    end
    if #dict.steps ~= #self.parameters or #dict.groups ~= #self.groups then
        check.fail("load_state_dict", "the state has %d parameters in %d groups, the optimiser has %d in %d",
            #dict.steps, #dict.groups, #self.parameters, #self.groups)
    end
    for key, tensor in pairs(dict.tensors) do
        local index = math.tointeger(tonumber(key:match("^(%d+)%.")))
        local parameter = index and self.parameters[index]
        if not parameter or check.shape_text(parameter.shape) ~= check.shape_text(tensor.shape) then
            check.fail("load_state_dict", "%s is %s, the parameter is %s", key, check.shape_text(tensor.shape),
                parameter and check.shape_text(parameter.shape) or "missing")
        end
    end
end

-- Puts a tensor of the state back, into the memory that a recorded step knows if there is some.
local function restore(state, key, tensor)
    local own = state[key]
    if own and own.device == tensor.device then
        core.copy_(own, tensor)
    else
        state[key] = memory.keep(tensor:clone())
    end
end

--- Takes over what `state_dict` returned (the tensors are copied). Raises if it does not fit; nothing changes then.
---@param dict table
function Optimizer:load_state_dict(dict)
    check_dict(self, dict)
    for i, group in ipairs(dict.groups) do
        for key, value in pairs(group) do self.groups[i][key] = value end
    end
    for i, state in ipairs(self.state) do
        for key, tensor in pairs(state) do -- zeros are where a parameter without that starts
            if key ~= "step" and not dict.tensors[i .. "." .. key] then lx.no_grad(tensor.zero_, tensor) end
        end
        state.step = math.tointeger(dict.steps[i])
    end
    for key, tensor in pairs(dict.tensors) do
        local index, what = key:match("^(%d+)%.(.+)$")
        index = math.tointeger(tonumber(index))
        restore(self.state[index], what, tensor:detach():to(self.parameters[index].device))
    end
end

-- A tensor that belongs to a parameter: zeros at its first step; it follows the parameter to another device.
local function buffer(state, key, parameter)
    if not state[key] then state[key] = memory.keep(lx.zeros(parameter.shape, {device = parameter.device})) end
    return core.move_(state[key], parameter.device)
end

-- ---- the rules ------------------------------------------------------------------------------------------------

--- Stochastic gradient descent, with momentum as in Sutskever et al. 2013 (PyTorch's form).
---@type fun(params: table, options: {lr: number, momentum: number, dampening: number, nesterov: boolean,
--- weight_decay: number}?): Optimizer
define("SGD", {lr = 0.01, momentum = 0, dampening = 0, nesterov = false, weight_decay = 0},
    function(parameter, grad, state, group)
        local momentum = group.momentum > 0 and buffer(state, "momentum", parameter) or nil
        core.sgd_step(parameter, grad, momentum, {
            lr = group.lr, momentum = group.momentum, dampening = group.dampening, nesterov = group.nesterov,
            weight_decay = group.weight_decay, first = state.step == 1,
        })
    end)

local function adam(decoupled)
    return function(parameter, grad, state, group)
        core.adam_step(parameter, grad, buffer(state, "exp_avg", parameter), buffer(state, "exp_avg_sq", parameter), {
            lr = group.lr, beta1 = group.betas[1], beta2 = group.betas[2], eps = group.eps,
            weight_decay = group.weight_decay, decoupled = decoupled, step = state.step,
        })
    end
end

--- Adam (Kingma and Ba 2015); weight decay is added to the gradient.
---@type fun(params: table, options: {lr: number, betas: number[], eps: number,
--- weight_decay: number}?): Optimizer
define("Adam", {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0}, adam(false))

--- Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
---@type fun(params: table, options: {lr: number, betas: number[], eps: number,
--- weight_decay: number}?): Optimizer
define("AdamW", {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01}, adam(true))

--- RMSprop (Hinton's lecture 6e), with optional momentum.
---@type fun(params: table, options: {lr: number, alpha: number, eps: number, weight_decay: number,
--- momentum: number}?): Optimizer
define("RMSprop", {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0},
    function(parameter, grad, state, group)
        local momentum = group.momentum > 0 and buffer(state, "momentum", parameter) or nil
        core.rmsprop_step(parameter, grad, buffer(state, "square_avg", parameter), momentum, {
            lr = group.lr, alpha = group.alpha, eps = group.eps, weight_decay = group.weight_decay,
            momentum = group.momentum,
        })
    end)

-- ---- clipping -------------------------------------------------------------------------------------------------

local function gradients(params)
    local list, seen = {}, {}
    for _, parameter in ipairs(params) do
        if parameter.grad and not seen[parameter] then
            seen[parameter] = true
            if recording.now then recording.reads_grad(core.getslot(parameter)) end
            list[#list + 1] = parameter.grad
        end
    end
    return list
end

local function check_limit(name, limit)
    if type(limit) ~= "number" or limit ~= limit or limit <= 0 then
        check.fail(name, "the limit should be a number above 0, got %s", tostring(limit))
    end
end

--- Scales all gradients by one factor so that their common Euclidean norm is at most `max_norm`.
--- Nothing is read from the device, so nobody waits for it.
---@param params Tensor[] on one device
---@param max_norm number
---@return Tensor norm before scaling, 0-d; where it is NaN or infinite the gradients are left as they are
function optim.clip_grad_norm_(params, max_norm)
    check_limit("clip_grad_norm_", max_norm)
    local grads = gradients(params)
    if #grads == 0 then return lx.tensor(0) end
    return memory.tidy(lx.no_grad, function()
        local norms = {}
        for i, grad in ipairs(grads) do norms[i] = grad:norm() end
        local total = lx.stack(norms, 1):norm()
        local scale = lx.where(total:lt(math.huge), (max_norm / (total + 1e-6)):clamp_(nil, 1), 1)
        for _, grad in ipairs(grads) do grad:mul_(scale) end
        return total
    end)
end

--- Limits every element of the gradients to [-limit, limit].
---@param params Tensor[]
---@param limit number
function optim.clip_grad_value_(params, limit)
    check_limit("clip_grad_value_", limit)
    lx.no_grad(function()
        for _, grad in ipairs(gradients(params)) do grad:clamp_(-limit, limit) end
    end)
end

optim.lr_scheduler = require "luxel.optim.lr_scheduler"

return optim
