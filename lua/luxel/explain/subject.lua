--- A network while it is explained: scores of images, and gradients of them. It computes as in use (`eval`), its
--- parameters take no gradients meanwhile, and all of that is put back.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local lx = require "luxel"
local patterns = require "luxel.nn.patterns"

local Subject = {}
Subject.__index = Subject

-- To-be-closed: calls what was put into it, the last one first.
local function new_undo()
    return setmetatable({}, {__close = function(list)
        for i = #list, 1, -1 do list[i]() end
    end})
end

-- The network itself, where a view of it (nn.fuse) was given.
local function root_of(net)
    local _, root = net:named_modules()()
    return root
end

local function still(root)
    local undo = new_undo()
    for _, module in root:named_modules() do
        if module.training then
            module.training = false
            undo[#undo + 1] = function() module.training = true end
        end
    end
    for _, parameter in root:named_parameters() do
        if parameter.requires_grad then
            parameter:requires_grad_(false)
            undo[#undo + 1] = function() parameter:requires_grad_(true) end
        end
    end
    return undo
end

--- Calls `f(subject)` with the network prepared.
---@param caller string name of the public function
---@param net Module
---@param f fun(subject: table): ...
---@return any ... of f
function Subject.with(caller, net, f)
    local root = root_of(net)
    local first = root:parameters()[1] or root:buffers()[1]
    local subject = setmetatable({
        caller = caller, root = root, device = first and first.device or "cpu", fused = lx.nn.fuse(root),
    }, Subject)
    local _ <close> = still(root)
    return f(subject)
end

function Subject:fail(message, ...) args.fail("%s: " .. message, self.caller, ...) end

-- Logits as [N,K].
function Subject:logits_of(out, count)
    local shape = lx.is_tensor(out) and out.shape or {}
    if out == nil or #shape < 1 or #shape > 2 or shape[1] ~= count then
        self:fail("model: expected a network that gives logits [%d,K] of %d images, got %s", count, count,
            args.describe(out))
    end
    return #shape == 1 and out:reshape(count, 1) or out
end

--- The scores of images, without gradients.
---@param x Tensor [N,C,H,W]
---@param chosen Tensor [N,K], [1,K]: which logits, and their signs
---@return Tensor [N]
function Subject:scores(x, chosen)
    return autograd.no_grad(function()
        return (self:logits_of(self.fused(x), x.shape[1]) * chosen):sum(2)
    end)
end

local function sign_of_one(self, class)
    if class == nil or class == 1 then return 1 end
    if class == 0 then return -1 end
    self:fail("options: option 'class': the network gives one logit: 1 is what speaks for it, 0 what speaks against "
        .. "it; got %s", args.describe(class))
end

--- Which logits are explained, as factors of them.
---@param x Tensor [N,C,H,W]
---@param class integer|integer[]|nil
---@param first integer which of the images of the call the first one is
---@return Tensor [N,K]
function Subject:choose(x, class, first)
    local count = x.shape[1]
    local out = autograd.no_grad(function() return self:logits_of(self.fused(x), count) end)
    local logits, rows = out:to("cpu"):totable(), {}
    for i, row in ipairs(logits) do
        local own = class
        if type(class) == "table" then own = class[first + i - 1] end
        local factors, best = {}, 1
        for k, logit in ipairs(row) do
            if logit - logit ~= 0 then
                self:fail("images: the network gives a logit that is no finite number for image %d", first + i - 1)
            end
            factors[k] = 0
            if logit > row[best] then best = k end
        end
        if #row == 1 then
            factors[1] = sign_of_one(self, own)
        elseif own and not factors[own] then
            self:fail("options: option 'class': the network gives %d logits, there is none of number %d", #row, own)
        else
            factors[own or best] = 1
        end
        rows[i] = factors
    end
    return core.from_table(rows, "float32", self.device)
end

--- The gradients of the scores with regard to the images.
---@param x Tensor [N,C,H,W]
---@param chosen Tensor [N,K]
---@return Tensor [N,C,H,W]
function Subject:input_gradient(x, chosen)
    return autograd.enable_grad(function()
        local leaf = x:detach():requires_grad_(true)
        local out = self:logits_of(self.root(leaf), x.shape[1])
        if not out.requires_grad then self:fail("model: its logits have no gradient; it computes without recording") end
        autograd.backward((out * chosen):sum())
        if not leaf.grad then self:fail("model: its logits do not depend on the images") end
        return leaf.grad
    end)
end

-- ---- layers ---------------------------------------------------------------------------------------------------------

local POOLINGS <const> = {MaxPool2d = true, AvgPool2d = true, AdaptiveAvgPool2d = true}

-- Whether a value is a map of more than one position.
local function is_map(value)
    if not lx.is_tensor(value) or value.ndim ~= 4 then return false end
    return value.shape[3] * value.shape[4] > 1
end

-- The modules that may be the layer: those that fit the pattern; else what comes before the head of networks that say
-- where that is, and of others all.
local function candidates(self, pattern)
    local names, modules, list = {}, {}, {}
    for name, module in self.root:named_modules() do
        if name ~= "" then names[#names + 1], modules[name] = name, module end
    end
    if pattern then
        local chosen = patterns.choose(self.caller .. ": options: option 'layer'", names, pattern, "module")
        for name in pairs(chosen) do list[#list + 1] = modules[name] end
    elseif type(self.root.stages) == "function" then
        for _, stage in ipairs(self.root:stages()) do
            for _, module in ipairs(stage) do table.move(module:modules(), 1, #module:modules(), #list + 1, list) end
        end
    else
        for _, module in pairs(modules) do list[#list + 1] = module end
    end
    return list
end

--- The layer whose maps are looked at: the last run, of the modules in question, that gives a map of more than one
--- position, and by default not a pooled one.
---@param x Tensor [N,C,H,W] of which the first image is tried
---@param pattern string?
---@return {module: Module, run: integer} layer
function Subject:find_layer(x, pattern)
    local undo <close> = new_undo()
    local found
    local seen, pooled = {}, {} -- modules, and the results of poolings, which those around them may pass on
    for _, module in ipairs(candidates(self, pattern)) do
        local runs = 0
        undo[#undo + 1] = not seen[module] and module:register_forward_hook(function(_, _, results)
            local result = results[1]
            runs = runs + 1
            if not is_map(result) then return end
            if not pattern and POOLINGS[module.class_name] then pooled[result] = true end
            if not pooled[result] then found = {module = module, run = runs} end
        end) or nil
        seen[module] = true
    end
    autograd.no_grad(self.root, x:narrow(1, 1, 1))
    if not found then
        self:fail("%s: there is none that gives a map [N,C,H,W] of more than one position",
            pattern and ("options: option 'layer': of the modules that fit '%s'"):format(pattern)
                or "model: of its modules")
    end
    return found
end

-- Runs the network on images; `use(results)` is called with what the layer gives, and may put something in its place.
local function run_with(self, x, layer, use)
    local undo <close> = new_undo()
    local runs = 0
    undo[1] = layer.module:register_forward_hook(function(_, _, results)
        runs = runs + 1
        if runs == layer.run then use(results) end
    end)
    return self.root(x)
end

--- The maps of a layer.
---@return Tensor [N,K,h,w]
function Subject:maps(x, layer)
    local maps
    autograd.no_grad(run_with, self, x, layer, function(results) maps = results[1] end)
    return maps
end

--- The maps of a layer, and the gradients of the scores with regard to them. What comes before the layer is not
--- recorded.
---@return Tensor maps [N,K,h,w], Tensor gradients of the same shape
function Subject:maps_and_gradients(x, layer, chosen)
    return autograd.enable_grad(function()
        local maps
        local out = self:logits_of(run_with(self, x, layer, function(results)
            maps = results[1]:detach():requires_grad_(true)
            results[1] = maps * 1 -- what comes after it may write into it
        end), x.shape[1])
        if out.requires_grad then autograd.backward((out * chosen):sum()) end
        if not maps.grad then
            self:fail("options: option 'layer': the logits do not depend on its maps, or are computed without "
                .. "recording")
        end
        return maps:detach(), maps.grad
    end)
end

return Subject
