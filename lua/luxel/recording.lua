--- What the rest of the library tells a recording (lua/luxel/compile.lua) while it is made: the things in Lua that a
--- function reads and changes, which a replay has to find as they were and to change alike.

local core = require "luxel.core"

local recording = {
    now = nil, ---@type luxel.Recording? the one being made
    structure = 0, -- counts changes of what modules consist of
}

---@class luxel.Recording
---@field handle userdata what the devices do: csrc/lua/bind_recording.c
---@field actions table[] `{f, argument}`: to be called before each replay
---@field grads table<table, Tensor|false> by slot: gradients of leaves at the end, where it sets them
---@field expects table<table, integer|false> by slot: gradients of leaves at the start, where it reads them
---@field guards table[] `{module, key, value}`: plain fields that it reads
---@field noted table<table, table> the modules and keys that were read or set
---@field results table what it returned: all but tensors
---@field structure integer `recording.structure` at the end
---@field facts table what its plan is like

--- Calls `f(argument)`. In a function that is being recorded, `f(later)` is called again before each replay, and what
--- it launches takes its numbers from there: for learning rates, counters and the like.
---@param f fun(argument: any)
---@param argument any
---@param later any? what stands for a tensor that there is only in the recorded call
function recording.live(f, argument, later)
    local now = recording.now
    if not now then return f(argument) end
    now.actions[#now.actions + 1] = {f, later}
    now.handle:live(true)
    f(argument)
    now.handle:live(false)
end

--- Notes that a leaf's gradient matters as it is now. Only while there is a recording.
---@param slot table
function recording.reads_grad(slot)
    local now = recording.now
    if now.grads[slot] == nil and now.expects[slot] == nil then now.expects[slot] = recording.memory_of(slot) end
end

--- What the gradient of a leaf is told apart by, without keeping it.
---@param slot table
---@return integer|false
function recording.memory_of(slot)
    return slot.grad and core.storage_id(slot.grad) or false
end

--- Notes that a leaf has another gradient now. Only while there is a recording.
---@param slot table
function recording.sets_grad(slot)
    recording.now.grads[slot] = slot.grad or false
end

--- Notes that a recorded operation changes a tensor in place. Only while there is a recording.
---@param tensor Tensor the one whose memory it is
function recording.changes(tensor)
    if core.is_freed(tensor) or not recording.now.handle:made(tensor) then
        recording.problem("gives a tensor from outside a history, which a replay would not; change it in lx.no_grad, "
            .. "or return a new tensor")
    end
end

-- Whether a field of a module is met for the first time.
local function is_new(module, key)
    local keys = recording.now.noted[module]
    if not keys then
        keys = {}
        recording.now.noted[module] = keys
    end
    if keys[key] then return false end
    keys[key] = true
    return true
end

--- Notes what a module's plain field is. Only while there is a recording.
function recording.reads_field(module, key, value)
    local guards = recording.now.guards
    if is_new(module, key) then guards[#guards + 1] = {module, key, value} end
end

--- Notes that a module's field is set, so that it does not matter what it was. Only while there is a recording.
recording.sets_field = is_new

--- Notes that what is done cannot be done again, if there is a recording.
---@param text string "does this; do that instead"
function recording.problem(text)
    if recording.now then recording.now.handle:problem(text) end
end

return recording
