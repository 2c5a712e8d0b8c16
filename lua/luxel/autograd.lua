--- Reverse-mode differentiation: a tape in Lua over the operations of `luxel.core`.
--
-- Every tensor has room for one Lua table, its slot: `{requires_grad=, grad=, node=, output=}`. An operation on
-- tensors that require a gradient leaves a node behind: what it was, what it saved (`ctx`) and the slots of its
-- inputs. Nodes hold slots, never tensors, so an intermediate result that no operation saved is garbage as soon as
-- the user drops it. A slot stands for one value of its tensor: a change in place gives the tensor another slot.

local args = require "luxel.args"
local core = require "luxel.core"
local events = require "luxel.compile.events"
local memory = require "luxel.memory"

local getslot, setslot = core.getslot, core.setslot
local shape_text, same_shape = require("luxel.shape").text, require("luxel.shape").same

local autograd = {}

--- Every operation by name: `{name=, forward=, backward=, pure=, view=, methods=}`.
---@type table<string, table>
autograd.registry = {}

local sequence = 0 -- nodes count up, so that descending order is a reverse topological order

-- Whether operations are recorded is a mode of the coroutine that entered it, and of what that resumes meanwhile. Not
-- of one that runs while the first is suspended; and one that is dropped takes its mode along. By coroutine: 2 n, or
-- 2 n + 1 where it records; later ones have larger n.
local modes = setmetatable({}, {__mode = "k"})
local quiet = true -- nobody is in a mode: everything is recorded
local entered = 0

local running, status = coroutine.running, coroutine.status

-- The result of is_enabled where somebody is in a mode.
local function look_up()
    local mode = modes[running()]
    if not mode then
        for thread, other in pairs(modes) do -- of those that wait for this one to yield, the innermost counts
            if status(thread) == "normal" and other > (mode or 0) then mode = other end
        end
    end
    quiet = next(modes) == nil
    return not mode or mode % 2 == 1
end

local function is_enabled()
    return quiet or look_up()
end

-- To-be-closed: puts the mode back on return, on error, and where the coroutine is closed, and keeps the traceback
-- intact.
local LEAVE = {__close = function(before)
    modes[running()] = before.mode
    quiet = next(modes) == nil
end}
local LEAVE_LAST = setmetatable({}, LEAVE) -- for a coroutine that was in none before

-- Enters a mode; closing the returned value ends it.
local function enter(enabled)
    local thread = running()
    local before = modes[thread]
    entered = entered + 1
    modes[thread] = 2 * entered + (enabled and 1 or 0)
    quiet = false
    return before and setmetatable({mode = before}, LEAVE) or LEAVE_LAST
end

-- `ctx.needs` of a call that is not recorded.
local NO_NEEDS = setmetatable({}, {__newindex = function() error("ctx.needs is read-only", 2) end})

local function is_tensor(value)
    return type(value) == "userdata" and core.is_tensor(value)
end

-- ---- grad mode ------------------------------------------------------------------------------------------------

--- Calls `f(...)` without recording operations, and returns what it returns. The mode is restored on error too. It is a
--- mode of the coroutine that calls, and of those that it resumes meanwhile: while it is suspended inside, others
--- record.
---@generic T
---@param f fun(...): T
---@return T
function autograd.no_grad(f, ...)
    local _ <close> = enter(false)
    return f(...)
end

--- Calls `f(...)` with recording on, for use inside `no_grad`.
---@generic T
---@param f fun(...): T
---@return T
function autograd.enable_grad(f, ...)
    local _ <close> = enter(true)
    return f(...)
end

--- Whether operations are being recorded.
---@return boolean
function autograd.is_grad_enabled()
    return is_enabled()
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
        args.fail("requires_grad_: only float32 tensors can require a gradient, this one is %s", tensor.dtype)
    end
    if slot and slot.node then
        if flag then return tensor end
        args.fail("requires_grad_: the tensor is the result of a recorded operation; use t:detach() to cut it off")
    end
    if slot then
        if slot.requires_grad ~= flag then events.changes_structure() end -- other gradients are found
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
    local fits = grad == nil
        or is_tensor(grad) and grad.dtype == tensor.dtype and same_shape(grad.shape, tensor.shape)
    if not fits then
        args.fail("grad: expected nil or %s, got %s", args.describe(tensor), args.describe(grad))
    elseif grad and grad.device ~= tensor.device then
        args.fail("grad: expected a gradient on %s, where the tensor is, got one on %s; move it with :to(device)",
            tensor.device, grad.device)
    end
    if slot then
        slot.grad = grad
    elseif grad ~= nil then
        slot = {requires_grad = false, grad = grad}
        setslot(tensor, slot)
    end
    if slot then events.sets_grad(slot) end
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
    if taken then out = core.expand(out, out.shape) end
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
    local _ <close> = enter(false)
    return definition.forward(ctx, ...)
end

local function new_node(definition, ctx, slots, shapes, count)
    sequence = sequence + 1
    return {
        definition = definition, ctx = ctx, inputs = slots, shapes = shapes, count = count, outputs = 1,
        sequence = sequence,
    }
end

local function record(definition, slots, count, arguments, ...)
    local needs, shapes = {}, {}
    for i = 1, count do
        needs[i] = slots[i] ~= nil
        if slots[i] then shapes[i] = arguments[i].shape end
    end
    local node = new_node(definition, {needs = needs}, slots, shapes, count)
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
--
-- `view = true` says that the result shows elements of the first argument as they are, so that writing into it while
-- operations are recorded changes the history of both. Other results that share memory with an argument are refused
-- there.
---@param name string for error messages and `autograd.registry`
---@param definition {forward: function, backward: function, pure: boolean?, view: boolean?, methods: string[]?}
---@return fun(...): ...
function autograd.define(name, definition)
    definition.name = name
    autograd.registry[name] = definition
    local forward = definition.forward
    return function(...)
        if is_enabled() then
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

-- ---- changes in place ------------------------------------------------------------------------------------------

-- A recorded change in place is an operation like others, with a result of its own, that is then copied into the
-- tensor: what it saved of the memory stays what it was, and the tensor takes the result's place in the graph. If it is
-- a view, its base becomes another value too, of which the result is a part; other views of that base get another slot
-- when they are next looked at (`metatable.refresh`), as views of the new value. `changed` in a slot is the version of
-- the memory after the change that it stands for.

local function clone(tensor)
    return core.copy_(core.new(tensor.shape, tensor.dtype, tensor.device), tensor)
end

-- Where in the memory of `base` the elements of `view` are. Of those that it repeats, each is there once, and
-- `repeated` are the dimensions along which it does. The base may have been freed.
local function layout_of(view, base)
    local shape, strides, offset = core.layout(view)
    local base_shape, base_strides, base_offset = core.layout(base)
    local layout = {
        shape = shape, strides = strides, offset = offset - base_offset, base_shape = base_shape,
        base_strides = base_strides, extent = 1, repeated = {},
    }
    for i, stride in ipairs(base_strides) do
        layout.extent = layout.extent + math.max(base_shape[i] - 1, 0) * stride
    end
    for i, stride in ipairs(strides) do
        if stride == 0 and shape[i] > 1 then
            layout.repeated[#layout.repeated + 1], shape[i] = i, 1
        end
    end
    return layout
end

-- A gradient of the base, `grad` or else zeros, and the part of it that belongs to the view.
local function lay_out(layout, device, grad)
    local all = core.new({layout.extent}, "float32", device)
    local whole = core.as_strided(all, layout.base_shape, layout.base_strides, 0)
    local part = core.as_strided(all, layout.shape, layout.strides, layout.offset)
    if grad then core.copy_(whole, grad) else core.fill_(all, 0) end
    all:free()
    return whole, part
end

-- The value of a base after a view of it was changed: its first input is the base before, the second the view after.
local CHANGE = {name = "change of a view", pure = true, backward = function(ctx, grad)
    local whole, part = lay_out(ctx.layout, grad.device, grad)
    local inner = clone(part)
    core.fill_(part, 0)
    part:free()
    return whole, inner
end}

-- A view of a base that was changed after the view was made.
local VIEW = {name = "view", view = true, pure = true, backward = function(ctx, grad)
    local layout = ctx.layout
    local whole, part = lay_out(layout, grad.device)
    if #layout.repeated > 0 then grad = core.reduce("sum", grad, layout.repeated, true) end
    core.copy_(part, grad)
    part:free()
    return whole
end}

local function give_slot(tensor, node, changed)
    local old = getslot(tensor)
    setslot(tensor, {requires_grad = true, node = node, output = 1, grad = old and old.grad, changed = changed})
end

-- A base that was changed since the version `seen` gives its view another slot. Called by C.
core.metatable.refresh = function(view, seen)
    local base = core.base(view)
    local slot = base and getslot(base)
    if not slot or not slot.changed or slot.changed <= seen then return end
    local layout = layout_of(view, base)
    give_slot(view, new_node(VIEW, {layout = layout}, {slot}, {layout.base_shape}, 1))
end

local function cannot_change(name, reason, way_out)
    args.fail("%s: the tensor %s, so it cannot be changed in place while operations are recorded; %s", name, reason,
        way_out)
end

-- Raises if there is a history that a change in place cannot become a part of. `slot` and `base_slot` may be nil.
local function check_history(name, slot, base, base_slot)
    local recorded = slot and slot.requires_grad
    if recorded and not slot.node or base_slot and base_slot.requires_grad and not base_slot.node then
        cannot_change(name, "is a leaf that requires a gradient, or a view of one",
            "wrap the call in lx.no_grad(function() ... end)")
    elseif base and not recorded then
        cannot_change(name, "is a view, made while nothing was recorded, of the result of a recorded operation",
            "make the view outside lx.no_grad, or detach() it")
    elseif base and not slot.changed and not slot.node.definition.view then
        cannot_change(name, ("is what %s returned, which shares memory with its argument"):format(
            slot.node.definition.name), "change a clone() of it")
    end
end

--- Whether a change of `tensor` in place has to be recorded, by `change`: because it has a history, or because of that
--- of `source`, which it takes in. Raises if it has to be but cannot.
---@param name string the method, for messages
---@param tensor Tensor
---@param source any the value that is written: matters if it is a tensor
---@return boolean
function autograd.records_change(name, tensor, source)
    if not is_enabled() then return false end
    local slot, base = getslot(tensor), core.base(tensor)
    local base_slot = base and getslot(base)
    local is_source = is_tensor(source)
    if slot and slot.requires_grad or base_slot and base_slot.requires_grad then
        check_history(name, slot, base, base_slot)
    elseif not (is_source and autograd.requires_grad(source) and tensor.dtype == "float32") then
        return false -- integers have no gradient, whatever is written into them
    end
    core.check_target(name, tensor, is_source and source or nil)
    if base and not core.is_freed(base) then core.check_target(name, base) end
    return true
end

-- What a node saved of the tensor's memory, before that changes, is saved as a copy.
local function keep_saved(node, tensor)
    local id = core.storage_id(tensor)
    for key in pairs(node.versions or {}) do
        local saved = node.ctx[key]
        if core.storage_id(saved) == id and saved.device == tensor.device then
            node.ctx[key] = clone(saved)
            node.versions[key] = core.version(node.ctx[key])
        end
    end
end

local function is_saved(node, tensor)
    for _, value in pairs(node.ctx) do
        if rawequal(value, tensor) then return true end
    end
    return false
end

--- Changes a tensor in place to the result of a recorded operation, with its history. Only if `records_change` says so.
---@param tensor Tensor
---@param result Tensor of its shape, made by one operation and not used otherwise
---@return Tensor tensor the same
function autograd.change(tensor, result)
    local slot, base = getslot(result), core.base(tensor)
    local node = slot.node
    events.changes(base or tensor)
    keep_saved(node, tensor)
    core.copy_(tensor, result)
    if not is_saved(node, result) then result:free() end
    local version = core.version(tensor)
    if base then
        local layout, before = layout_of(tensor, base), getslot(base)
        local inputs = {before and before.requires_grad and before or nil, slot}
        give_slot(base, new_node(CHANGE, {layout = layout}, inputs, {layout.base_shape, layout.shape}, 2), version)
    end
    give_slot(tensor, node, version)
    return tensor
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
    events.reads_grad(slot)
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
    events.sets_grad(slot)
end

-- ---- backward -------------------------------------------------------------------------------------------------

local function check_usable(node)
    if node.freed then
        args.fail("backward: this graph was already freed; pass {retain_graph = true} to the first backward to go "
            .. "through it again, or compute the result anew (operation: %s); what is kept from one step to the next, "
            .. "as a module's buffer, is to be changed inside lx.no_grad", node.definition.name)
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
            args.fail("backward: a tensor that %s saved (%s) was changed in place afterwards; use the operation that "
                .. "returns a new tensor, or clone() it before", node.definition.name, tostring(key))
        end
    end
end

local function check_gradient(node, index, grad)
    local name, shape = node.definition.name, node.shapes[index]
    if not is_tensor(grad) then
        args.fail("backward of %s: gradient of argument %d should be a tensor or nil, got %s", name, index,
            args.describe(grad))
    end
    if not same_shape(grad.shape, shape) or grad.dtype ~= "float32" then
        args.fail("backward of %s: gradient of argument %d is %s, the argument is float32 %s", name, index,
            args.describe(grad), shape_text(shape))
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
        args.fail("backward of %s returned %d gradients for %d arguments", definition.name, results.n, node.count)
    end
    for i = results.n + 1, node.count do
        if node.inputs[i] then
            args.fail("backward of %s returned %d gradients, and argument %d requires one; return nil for it where it "
                .. "has none", definition.name, results.n, i)
        end
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
            args.fail("backward: grad: a tensor of shape %s needs a gradient argument of that shape; or reduce it "
                .. "first, as in t:sum():backward()", shape_text(tensor.shape))
        end
        return tensor:detach():clone():fill_(1)
    end
    if not is_tensor(grad) or grad.dtype ~= "float32" or not same_shape(grad.shape, tensor.shape) then
        args.fail("backward: grad: expected float32 %s, got %s", shape_text(tensor.shape), args.describe(grad))
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
        args.fail("backward: the tensor was returned by a compiled function, which has no history to go back through; "
            .. "call backward inside the function")
    end
    if not slot or not slot.requires_grad then
        args.fail("backward: the tensor does not require a gradient; make it from tensors with requires_grad = true, "
            .. "outside lx.no_grad")
    end
    local _ <close> = enter(false)
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
