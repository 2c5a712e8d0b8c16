--- Optimisers: `lx.optim`. Each step is one fused kernel for each parameter.
--
-- `optim.AdamW(net:parameters(), {lr = 1e-3})`, or with groups that differ in their options:
-- `optim.SGD({{params = a}, {params = b, lr = 0.01}}, {lr = 0.1})`.

local args = require "luxel.args"
local core = require "luxel.core"
local events = require "luxel.compile.events"
local lx = require "luxel"
local memory = require "luxel.memory"
local namespace = require "luxel.namespace"
local shapes = require "luxel.shape"

local optim = {}

---@class Optimizer
---@field groups table[] `{params = Tensor[], lr =, ...}`: schedulers change `lr` here
local Optimizer = {}

args.type("betas", "two numbers {beta1, beta2} from 0 to below 1", "table", function(value)
    for i = 1, 2 do
        if type(value[i]) ~= "number" or not (value[i] >= 0 and value[i] < 1) then return false end
    end
    return #value == 2
end)

-- A parameter that an optimiser can change: a leaf, for what an operation made is gone after the step.
local function check_parameter(where, parameter)
    local slot = core.is_usable(parameter) and core.getslot(parameter)
    if not core.is_usable(parameter) or parameter.dtype ~= "float32" then
        args.fail("%s: expected a float32 tensor, got %s", where, args.describe(parameter))
    elseif slot and slot.node then
        args.fail("%s: expected a parameter, got %s that a recorded operation made; detach() it, or give what it was "
            .. "made from", where, args.describe(parameter))
    end
end

-- The parameters of a group, checked.
local function check_list(where, params)
    if type(params) ~= "table" or getmetatable(params) ~= nil then
        args.fail("%s: expected a list of parameters, as net:parameters() gives, got %s", where, args.describe(params))
    elseif #params == 0 then
        args.fail("%s: the list is empty, there is nothing to train; it should be net:parameters() of a network with "
            .. "some", where)
    end
    for key, parameter in next, params do
        if math.type(key) ~= "integer" then
            args.fail("%s: expected a list of parameters, as net:parameters() gives, got a table with the name '%s'",
                where, tostring(key))
        end
        check_parameter(("%s: %d"):format(where, key), parameter)
    end
end

local function init_optimizer(self, params, options)
    local name = self.class_name
    events.cannot_replay("makes an optimiser; make it before")
    options = args.with_defaults(options, self.defaults)
    local first = type(params) == "table" and rawget(params, 1)
    local grouped = type(first) == "table" and getmetatable(first) == nil
    self.groups, self.parameters, self.state = {}, {}, {}
    local seen = {}
    for i, group in ipairs(grouped and params or {{params = params}}) do
        local where = name .. ": params"
        if grouped then
            where = ("%s: group %d"):format(name, i)
            args.check(where, ("{params: any, %s}"):format(self.signature), group)
            where = where .. ": params"
        end
        check_list(where, group.params)
        self.groups[i] = args.with_defaults(group, options)
        if self.groups[i].nesterov and (self.groups[i].momentum == 0 or self.groups[i].dampening ~= 0) then
            args.fail("%s: option 'nesterov': needs a momentum, and no dampening", name)
        end
        self.groups[i].params = {}
        for j, parameter in ipairs(group.params) do
            if seen[parameter] then args.fail("%s: parameter %d is listed twice", where, j) end
            seen[parameter] = true
            self.groups[i].params[j] = parameter
            self.parameters[#self.parameters + 1] = parameter
            self.state[#self.parameters] = {step = 0}
        end
    end
end

local function number_text(value)
    if type(value) == "table" then return ("{%g, %g}"):format(value[1], value[2]) end
    return type(value) == "number" and ("%g"):format(value) or tostring(value)
end

-- `lr=0.01, momentum=0.9` of a group.
local function group_text(self, group)
    local words = {}
    for name, default in pairs(self.defaults) do
        local text = number_text(group[name])
        if name ~= "lr" and text ~= number_text(default) then words[#words + 1] = name .. "=" .. text end
    end
    table.sort(words)
    table.insert(words, 1, "lr=" .. number_text(group.lr))
    return table.concat(words, ", ")
end

-- `SGD(lr=0.1, momentum=0.9)  [8 parameters of 1,234 numbers]`, with a line for each group if there are several.
local function text_of(self)
    local lines = {}
    for i, group in ipairs(self.groups) do
        local count = 0
        for _, parameter in ipairs(group.params) do count = count + parameter:numel() end
        lines[i] = ("%s(%s)  [%d parameter%s of %d numbers]"):format(self.class_name, group_text(self, group),
            #group.params, #group.params == 1 and "" or "s", count)
    end
    return table.concat(lines, "\n")
end

-- Options are in the groups; a field beside them would change nothing.
local function set_field(self, key, value)
    if self.defaults[key] ~= nil then
        args.fail("%s: %s is an option of its groups, as in optimizer.groups[1].%s = %s", self.class_name, key, key,
            number_text(value))
    end
    rawset(self, key, value)
end

-- `signature`: the options with their types; `defaults`: their values where they are left out.
local function define(name, signature, defaults, update)
    local class = {
        class_name = name, defaults = defaults, signature = signature, update = update, __tostring = text_of,
        whole_group = ("{params: any, %s}"):format((signature:gsub("%?", ""))), -- where nothing is left out
    }
    class.__index = class
    class.__newindex = set_field
    class.__name = name
    local make = args.public(name, ("params: any?, options: {%s}?"):format(signature), function(params, options)
        local self = setmetatable({}, class)
        init_optimizer(self, params, options)
        return self
    end)
    args.declared[class] = args.declared[make]
    setmetatable(class, {
        __index = Optimizer, __call = function(_, ...) return make(...) end, __name = "class " .. name,
        __tostring = function() return ("%s (class): lx.optim.%s(params, {%s})"):format(name, name, signature) end,
    })
    optim[name] = class
end

local function update_one(gradient, self, state, parameter, group)
    state.step = state.step + 1
    self.update(parameter, gradient, state, group)
end

-- A step of one parameter. Where it is recorded, each replay counts its steps and takes its options anew; a gradient
-- that there is only while the function runs is not needed for that.
local function update(self, index, parameter, grad, group)
    events.reads_grad(core.getslot(parameter))
    events.live(update_one, core.contiguous(grad), parameter, self, self.state[index], parameter, group)
end

-- Options may have been changed by hand, or by a schedule of the user's.
local function check_groups(self)
    for i, group in ipairs(self.groups) do args.check("Optimizer:step: group " .. i, self.whole_group, group) end
end

--- Changes every parameter that has a gradient.
function Optimizer:step()
    local index = 0
    events.live(check_groups, self, self)
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
    if dict.kind ~= name then
        args.fail("Optimizer:load_state_dict: dict: the state is of %s, the optimiser is %s",
            type(dict.kind) == "string" and dict.kind or args.describe(dict.kind), name)
    end
    for _, key in ipairs {"steps", "groups", "tensors"} do
        args.check("Optimizer:load_state_dict: dict." .. key, "table", dict[key])
    end
    if #dict.steps ~= #self.parameters or #dict.groups ~= #self.groups then
        args.fail(
            "Optimizer:load_state_dict: dict: the state has %d parameters in %d groups, the optimiser has %d in %d",
            #dict.steps, #dict.groups, #self.parameters, #self.groups)
    end
    for i, group in ipairs(dict.groups) do
        local where = ("load_state_dict: dict.groups: %d"):format(i)
        args.check(where, ("{%s}"):format(self.signature), group)
        for key in pairs(self.defaults) do
            if group[key] == nil then args.fail("%s: the option '%s' is missing", where, key) end
        end
    end
    for i, step in ipairs(dict.steps) do
        args.check(("load_state_dict: dict.steps: %d"):format(i), "integer(0..)", step)
    end
    for key, tensor in pairs(dict.tensors) do
        local index = math.tointeger(tonumber(tostring(key):match("^(%d+)%.")))
        args.check("Optimizer:load_state_dict: dict.tensors." .. tostring(key), "tensor", tensor)
        if tensor.dtype ~= "float32" then
            args.fail("Optimizer:load_state_dict: dict.tensors.%s: expected float32, got %s", key,
                args.describe(tensor))
        end
        local parameter = index and self.parameters[index]
        if not parameter or shapes.text(parameter.shape) ~= shapes.text(tensor.shape) then
            args.fail("Optimizer:load_state_dict: dict: %s is %s, the parameter is %s", key, shapes.text(tensor.shape),
                parameter and shapes.text(parameter.shape) or "missing")
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
        args.check(("Optimizer:load_state_dict: dict: group %d"):format(i), ("{%s}"):format(self.signature), group)
        args.check(("Optimizer:load_state_dict: dict.steps: %d"):format(i), "integer(0..)", dict.steps[i])
    end
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
---@param params Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options {lr: number, momentum: number, dampening: number, nesterov: boolean,
--- weight_decay: number}?
---@return Optimizer
define("SGD", "lr: finite(0..)?, momentum: finite(0..)?, dampening: finite?, nesterov: boolean?, "
    .. "weight_decay: finite(0..)?",
    {lr = 0.01, momentum = 0, dampening = 0, nesterov = false, weight_decay = 0},
    function(parameter, grad, state, group)
        local momentum = group.momentum > 0 and buffer(state, "momentum", parameter) or nil
        core.sgd_step(parameter, grad, momentum, {
            lr = group.lr, momentum = group.momentum, dampening = group.dampening, nesterov = group.nesterov,
            weight_decay = group.weight_decay, first = state.step == 1,
        })
    end)

local ADAM <const> = "lr: finite(0..)?, betas: betas?, eps: finite(0..)?, weight_decay: finite(0..)?"

local function adam(decoupled)
    return function(parameter, grad, state, group)
        core.adam_step(parameter, grad, buffer(state, "exp_avg", parameter), buffer(state, "exp_avg_sq", parameter), {
            lr = group.lr, beta1 = group.betas[1], beta2 = group.betas[2], eps = group.eps,
            weight_decay = group.weight_decay, decoupled = decoupled, step = state.step,
        })
    end
end

--- Adam (Kingma and Ba 2015); weight decay is added to the gradient.
---@param params Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options {lr: number, betas: number[], eps: number,
--- weight_decay: number}?
---@return Optimizer
define("Adam", ADAM,
    {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0}, adam(false))

--- Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
---@param params Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options {lr: number, betas: number[], eps: number,
--- weight_decay: number}?
---@return Optimizer
define("AdamW", ADAM,
    {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01}, adam(true))

--- RMSprop (Hinton's lecture 6e), with optional momentum.
---@param params Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options {lr: number, alpha: number, eps: number, weight_decay: number,
--- momentum: number}?
---@return Optimizer
define("RMSprop", "lr: finite(0..)?, alpha: number(0..1)?, eps: finite(0..)?, weight_decay: finite(0..)?, "
    .. "momentum: finite(0..)?",
    {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0},
    function(parameter, grad, state, group)
        local momentum = group.momentum > 0 and buffer(state, "momentum", parameter) or nil
        core.rmsprop_step(parameter, grad, buffer(state, "square_avg", parameter), momentum, {
            lr = group.lr, alpha = group.alpha, eps = group.eps, weight_decay = group.weight_decay,
            momentum = group.momentum,
        })
    end)

-- ---- clipping -------------------------------------------------------------------------------------------------

local function gradients(name, params)
    for i, parameter in ipairs(params) do check_parameter(("%s: params: %d"):format(name, i), parameter) end
    local list, seen = {}, {}
    for _, parameter in ipairs(params) do
        if parameter.grad and not seen[parameter] then
            seen[parameter] = true
            events.reads_grad(core.getslot(parameter))
            list[#list + 1] = parameter.grad
        end
    end
    return list
end

--- Scales all gradients by one factor so that their common Euclidean norm is at most `max_norm`.
--- Nothing is read from the device, so nobody waits for it.
---@param params Tensor[] on one device
---@param max_norm number
---@return Tensor norm before scaling, 0-d; where it is NaN or infinite the gradients are left as they are
function optim.clip_grad_norm_(params, max_norm)
    local grads = gradients("clip_grad_norm_", params)
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
    lx.no_grad(function()
        for _, grad in ipairs(gradients("clip_grad_value_", params)) do grad:clamp_(-limit, limit) end
    end)
end

args.type("optimizer", "an optimiser of lx.optim", "table", function(value)
    local meta = getmetatable(getmetatable(value))
    return type(meta) == "table" and meta.__index == Optimizer
end)

args.publish("Optimizer:", Optimizer, {
    step = "optimizer: optimizer", zero_grad = "optimizer: optimizer", state_dict = "optimizer: optimizer",
    load_state_dict = "optimizer: optimizer, dict: table",
})

args.publish("", optim, {
    clip_grad_norm_ = "params: tensor[], max_norm: positive", clip_grad_value_ = "params: tensor[], limit: positive",
})

optim.lr_scheduler = require "luxel.optim.lr_scheduler"
optim.parameter_groups = require "luxel.optim.groups"

return namespace("lx.optim", optim)
