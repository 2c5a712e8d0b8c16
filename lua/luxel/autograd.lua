--- Reverse-mode differentiation: a tape in Lua over the operations of `luxel.core`.
--
-- Every tensor has room for one Lua table, its slot: `{requires_grad=, grad=, node=, output=}`. An operation on
-- tensors that require a gradient leaves a node behind: what it was, what it saved (`ctx`) and the slots of its
-- inputs. Nodes hold slots, never tensors, so an intermediate result that no operation saved is garbage as soon as
-- the user drops it.

local core = require "luxel.core"
local memory = require "luxel.memory"
local recording = require "luxel.recording"

local getslot, setslot = core.getslot, core.setslot
local shape_text, same_shape = require("luxel.shape").text, require("luxel.shape").same

local autograd = {}

--- Every operation by name: `{name=, forward=, backward=, pure=, methods=}`.
---@type table<string, table>
autograd.registry = {}

local enabled = true
local sequence = 0 -- nodes count up, so that descending order is a reverse topological order

-- To-be-closed guards: they put the mode back on return and on error alike, and keep the traceback intact.
local REENABLE = setmetatable({}, {__close = function() enabled = true end})
local REDISABLE = setmetatable({}, {__close = function() enabled = false end})

-- `ctx.needs` of a call that is not recorded.
local NO_NEEDS = setmetatable({}, {__newindex = function() error("ctx.needs is read-only", 2) end})

local function is_tensor(value)
    return type(value) == "userdata" and core.is_tensor(value)
end

-- ---- grad mode ------------------------------------------------------------------------------------------------

--- Calls `f(...)` without recording operations, and returns what it returns. The mode is restored on error too.
---@generic T
---@param f fun(...): T
---@return T
function autograd.no_grad(f, ...)
    local _ <close> = enabled and REENABLE or REDISABLE
    enabled = false
    return f(...)
end

--- Calls `f(...)` with recording on, for use inside `no_grad`.
---@generic T
---@param f fun(...): T
---@return T
function autograd.enable_grad(f, ...)
    local _ <close> = enabled and REENABLE or REDISABLE
    enabled = true
    return f(...)
end

--- Whether operations are being recorded.
---@return boolean
function autograd.is_grad_enabled()
    return enabled
end

-- ---- slots ----------------------------------------------------------------------------------------------------

--- Whether operations on the tensor are recorded.
---@param tensor Tensor
---@return boolean
function autograd.requires_grad(tensor)
    local slot = getslot(tensor)
    return slot ~= nil and slot.requires_grad == true
end

--- Whether the tensor was made by the user rather than by a recorded operation.
---@param tensor Tensor
---@return boolean
function autograd.is_leaf(tensor)
    local slot = getslot(tensor)
    return slot == nil or slot.node == nil
end

--- Switches recording for a leaf on or off. Behind `t:requires_grad_(flag)`.
---@param tensor Tensor float32
---@param flag boolean? default true
---@return Tensor tensor the same
function autograd.set_requires_grad(tensor, flag)
    flag = flag ~= false
    local slot = getslot(tensor)
    if flag and tensor.dtype ~= "float32" then
        error(("requires_grad_: only float32 tensors can require a gradient, this one is %s"):format(tensor.dtype), 2)
    end
    if slot and slot.node then
        if flag then return tensor end
        error("requires_grad_: the tensor is the result of a recorded operation; use t:detach() to cut it off", 2)
    end
    if slot then
        slot.requires_grad = flag
    elseif flag then
        setslot(tensor, {requires_grad = true})
    end
    return tensor
end

--- The gradient accumulated for a leaf, or nil.
---@param tensor Tensor
---@return Tensor?
function autograd.grad(tensor)
    local slot = getslot(tensor)
    return slot and slot.grad
end

--- Replaces (or with nil clears) the gradient of a leaf.
---@param tensor Tensor
---@param grad Tensor?
function autograd.set_grad(tensor, grad)
    local slot = getslot(tensor)
    if grad ~= nil and not (is_tensor(grad) and same_shape(grad.shape, tensor.shape)) then
        error(("grad: expected nil or a tensor of shape %s, got %s"):format(shape_text(tensor.shape),
            is_tensor(grad) and shape_text(grad.shape) or type(grad)), 2)
    end
    if slot then
        slot.grad = grad
    elseif grad ~= nil then
        slot = {requires_grad = false, grad = grad}
        setslot(tensor, slot)
    end
    if slot and recording.now then recording.sets_grad(slot) end
end

--- Raises if `tensor` may not be changed in place now, because a recorded operation made it or reads it as a leaf.
---@param tensor Tensor
---@param name string the operation, for the message
function autograd.check_inplace(tensor, name)
    if enabled and autograd.requires_grad(tensor) then
        error(("%s: the tensor requires a gradient, so it cannot be changed in place while operations are recorded; "
            .. "wrap the call in lx.no_grad(function() ... end)"):format(name), 3)
    end
end

-- ---- recording ------------------------------------------------------------------------------------------------

-- The versions of the tensors that forward saved, to notice when one is changed in place before backward.
local function saved_versions(ctx)
    local versions
    for key, value in pairs(ctx) do
        if is_tensor(value) then
            versions = versions or {}
            versions[key] = core.version(value)
        end
    end
    return versions
end

-- Gives an output its slot. A forward may return its own argument (`contiguous` does): that gets a fresh alias,
-- because argument and result need different slots.
local function attach(node, arguments, index, out)
    if not is_tensor(out) or out.dtype ~= "float32" then return out end
    local taken = getslot(out) ~= nil
    for i = 1, node.count do
        taken = taken or rawequal(out, arguments[i])
    end
    if taken then out = out:detach() end
    setslot(out, {requires_grad = true, node = node, output = index})
    return out
end

local function attach_all(node, arguments, ...)
    node.outputs = select("#", ...)
    node.versions = saved_versions(node.ctx)
    if node.outputs == 1 then return attach(node, arguments, 1, (...)) end
    local outputs = {...}
    for i = 1, node.outputs do
        outputs[i] = attach(node, arguments, i, outputs[i])
    end
    return table.unpack(outputs, 1, node.outputs)
end

local function forward_unrecorded(definition, ctx, ...)
    local _ <close> = REENABLE
    enabled = false
    return definition.forward(ctx, ...)
end

local function record(definition, slots, count, arguments, ...)
    local needs, shapes = {}, {}
    for i = 1, count do
        needs[i] = slots[i] ~= nil
        if slots[i] then shapes[i] = arguments[i].shape end
    end
    sequence = sequence + 1
    local node = {
        definition = definition, ctx = {needs = needs}, inputs = slots, shapes = shapes, count = count,
        sequence = sequence,
    }
    return attach_all(node, arguments, forward_unrecorded(definition, node.ctx, ...))
end

--- Makes a differentiable function out of a pair of functions.
--
-- `forward(ctx, ...)` computes the result (or several) and keeps in `ctx` whatever backward will need; it is not
-- recorded itself. `ctx.needs[i]` says whether argument i wants a gradient. `backward(ctx, grad_out, ...)` gets one
-- gradient per result (nil for a result that had no influence, or is not float32) and returns one gradient (or nil)
-- per argument of forward, each of the shape of its argument. It may return the tensor it was given, but must not
-- change it.
--
--     local square = lx.autograd.define("square", {
--         forward = function(ctx, x) ctx.x = x; return x * x end,
--         backward = function(ctx, grad) return grad * ctx.x * 2 end,
--     })
--
-- `pure = true` promises that backward keeps no reference to the gradients it is given or returns, and never returns
-- a tensor saved in `ctx`: then they are freed as soon as they are used, without waiting for the collector.
---@param name string for error messages and `autograd.registry`
---@param definition {forward: function, backward: function, pure: boolean?, methods: string[]?}
---@return fun(...): ...
function autograd.define(name, definition)
    if type(name) ~= "string" or type(definition) ~= "table" then
        error("define: expected a name and a table {forward=, backward=}", 2)
    end
    for _, key in ipairs {"forward", "backward"} do
        if type(definition[key]) ~= "function" then
            error(("define: %s: %s must be a function, got %s"):format(name, key, type(definition[key])), 2)
        end
    end
    definition.name = name
    autograd.registry[name] = definition
    local forward = definition.forward
    return function(...)
        if enabled then
            local slots
            local arguments, count = {...}, select("#", ...)
            for i = 1, count do
                local slot = is_tensor(arguments[i]) and getslot(arguments[i])
                if slot and slot.requires_grad then
                    slots = slots or {}
                    slots[i] = slot
                end
            end
            if slots then return record(definition, slots, count, arguments, ...) end
        end
        return forward({needs = NO_NEEDS}, ...)
    end
end

-- ---- the ledger: who holds which gradient ---------------------------------------------------------------------

-- Gradients are large, and the collector is late. The ledger counts the places in a running backward that hold each
-- gradient tensor and frees it when the last lets go, if nobody outside can have it: `owned` is true only for sums
-- made here and for what pure definitions return, and is lost as soon as an impure definition sees the tensor. Views
-- are no concern, because freeing a tensor only lets go of its reference to the storage.
local Ledger = {}
Ledger.__index = Ledger

local function new_ledger()
    return setmetatable({holders = {}, owned = {}}, Ledger)
end

function Ledger:hold(grad)
    self.holders[grad] = (self.holders[grad] or 0) + 1
end

function Ledger:release(grad)
    local left = self.holders[grad] - 1
    if left > 0 then
        self.holders[grad] = left
        return
    end
    self.holders[grad] = nil
    if self.owned[grad] then
        self.owned[grad] = nil
        grad:free()
    end
end

-- Takes note of a tensor that the backward of `definition` returned.
function Ledger:admit(grad, definition)
    if not self.holders[grad] then self.owned[grad] = definition.pure end
    self:hold(grad)
end

-- Whether `grad`, held once or not at all by its destination, may be changed in place or given away.
function Ledger:exclusive(grad, holders)
    return self.owned[grad] and self.holders[grad] == holders and core.refs(grad) == 1
        and grad:is_contiguous()
end

-- The sum of two gradients of one node's output. Takes over the hold on `old`; the sum is held once.
function Ledger:add(old, new)
    if self:exclusive(old, 1) then return old:add_(new) end
    local sum = old + new
    self:release(old)
    self.owned[sum] = true
    self:hold(sum)
    return sum
end

-- A leaf's gradient has its storage to itself, so that clipping and accumulating may work in place.
function Ledger:add_to_leaf(slot, grad)
    if recording.now then recording.reads_grad(slot) end
    if slot.grad then
        slot.grad:add_(grad)
        return
    end
    if self:exclusive(grad, 1) then
        self.owned[grad] = nil
        slot.grad = grad
    else
        slot.grad = grad:clone()
    end
    memory.keep(slot.grad) -- outlives a tidy around the step
    if recording.now then recording.sets_grad(slot) end
end

-- ---- backward -------------------------------------------------------------------------------------------------

local function check_usable(node)
    if node.freed then
        error(("backward: this graph was already freed; pass {retain_graph = true} to the first backward to go "
            .. "through it again, or compute the result anew (operation: %s)"):format(node.definition.name), 0)
    end
end

-- The nodes that `root` depends on, later ones first. Iterative: nets may be deeper than the C stack.
local function reverse_order(root)
    local order, seen = {root}, {[root] = true}
    local next_index = 1
    while order[next_index] do
        local node = order[next_index]
        check_usable(node)
        for i = 1, node.count do
            local parent = node.inputs[i] and node.inputs[i].node
            if parent and not seen[parent] then
                seen[parent] = true
                order[#order + 1] = parent
            end
        end
        next_index = next_index + 1
    end
    table.sort(order, function(a, b) return a.sequence > b.sequence end)
    return order
end

local function check_saved(node)
    for key, version in pairs(node.versions or {}) do
        if core.version(node.ctx[key]) ~= version then
            error(("backward: a tensor that %s saved (%s) was changed in place afterwards; use the form that returns "
                .. "a new tensor, or clone() it before"):format(node.definition.name, tostring(key)), 0)
        end
    end
end

local function check_gradient(node, index, grad)
    local name, shape = node.definition.name, node.shapes[index]
    if not is_tensor(grad) then
        error(("backward of %s: gradient of argument %d should be a tensor or nil, got %s")
            :format(name, index, type(grad)), 0)
    end
    if not same_shape(grad.shape, shape) or grad.dtype ~= "float32" then
        error(("backward of %s: gradient of argument %d is %s %s, the argument is float32 %s")
            :format(name, index, grad.dtype, shape_text(grad.shape), shape_text(shape)), 0)
    end
end

-- Hands the gradient of one input on: to the leaf, or to the node that made it.
local function deliver(ledger, pending, slot, grad)
    local node = slot.node
    if not node then
        if slot.requires_grad then ledger:add_to_leaf(slot, grad) end
        return
    end
    local grads = pending[node]
    if not grads then
        grads = {}
        pending[node] = grads
    end
    if grads[slot.output] then
        grads[slot.output] = ledger:add(grads[slot.output], grad)
    else
        ledger:hold(grad)
        grads[slot.output] = grad
    end
end

-- Runs one node's backward: `grads` are held by the caller's table and let go here.
local function run_node(ledger, pending, node, grads)
    local definition = node.definition
    check_saved(node)
    if not definition.pure then
        for i = 1, node.outputs do
            if grads[i] then ledger.owned[grads[i]] = nil end
        end
    end
    local results = table.pack(definition.backward(node.ctx, table.unpack(grads, 1, node.outputs)))
    if results.n > node.count then
        error(("backward of %s returned %d gradients for %d arguments")
            :format(definition.name, results.n, node.count), 0)
    end
    for i = 1, results.n do
        if results[i] and node.inputs[i] then check_gradient(node, i, results[i]) end
        if is_tensor(results[i]) then ledger:admit(results[i], definition) end
    end
    for i = 1, node.outputs do
        if grads[i] then ledger:release(grads[i]) end
    end
    for i = 1, results.n do
        if results[i] and node.inputs[i] then deliver(ledger, pending, node.inputs[i], results[i]) end
        if is_tensor(results[i]) then ledger:release(results[i]) end
    end
end

local function free_node(node)
    node.freed, node.ctx, node.inputs, node.versions, node.shapes = true, nil, nil, nil, nil
end

local function initial_gradient(tensor, grad)
    if grad == nil then
        if tensor:numel() ~= 1 then
            error(("backward: a tensor of shape %s needs a gradient argument of that shape; or reduce it first, "
                .. "as in t:sum():backward()"):format(shape_text(tensor.shape)), 3)
        end
        return tensor:detach():clone():fill_(1)
    end
    if not is_tensor(grad) or not same_shape(grad.shape, tensor.shape) then
        error(("backward: the gradient should be a tensor of shape %s, got %s"):format(shape_text(tensor.shape),
            is_tensor(grad) and shape_text(grad.shape) or type(grad)), 3)
    end
    return grad
end

--- Adds the gradient of `tensor` with respect to every leaf it was computed from to the leaf's `grad`. What the graph
--- saved is dropped on the way, unless `retain_graph`.
---@param tensor Tensor the result, usually a loss with one element
---@param grad Tensor? the gradient of `tensor` itself, of its shape; may be left out for one element
---@param options {retain_graph: boolean?}?
function autograd.backward(tensor, grad, options)
    local slot = getslot(tensor)
    if slot and slot.compiled then
        error("backward: the tensor was returned by a compiled function, which has no history to go back through; call "
            .. "backward inside the function", 2)
    end
    if not slot or not slot.requires_grad then
        error("backward: the tensor does not require a gradient; make it from tensors with requires_grad = true, "
            .. "outside lx.no_grad", 2)
    end
    local _ <close> = enabled and REENABLE or REDISABLE
    enabled = false
    grad = initial_gradient(tensor, grad)
    local ledger, pending = new_ledger(), {}
    ledger:hold(grad) -- never owned: it may be the user's
    deliver(ledger, pending, slot, grad)
    if not slot.node then return end
    local retain = options and options.retain_graph
    local order = reverse_order(slot.node)
    for i = 1, #order do
        local node = order[i]
        local grads = pending[node]
        order[i], pending[node] = false, nil
        if grads then run_node(ledger, pending, node, grads) end
        if not retain then free_node(node) end
    end
end

return autograd
