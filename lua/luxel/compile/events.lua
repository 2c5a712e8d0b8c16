--- What the rest of the library tells a recording (lua/luxel/compile/init.lua) while it is made: what a function reads
--- and changes in Lua, which a replay has to find as it was and to change alike. Without a recording nothing is done.

local args = require "luxel.args"
local core = require "luxel.core"

local events = {
    now = nil, ---@type luxel.Recording? the one being made; for compile/init.lua alone
    structure = 0, -- counts changes of what modules consist of
}

---@class luxel.Recording
---@field handle userdata what the devices do: csrc/lua/bind_recording.c
---@field actions table[] `{f, argument, ...}`: to be called before each replay
---@field grads table<table, Tensor|false> by slot: gradients of leaves at the end, where it sets them
---@field expects table<table, integer|false> by slot: gradients of leaves at the start, where it reads them
---@field guards table[] `{module, key, value}`: plain fields that it reads
---@field noted table<table, table> the modules and keys that were read or set
---@field results table the results of the function, all but tensors
---@field structure integer `events.structure` at the end
---@field facts table its numbers: how many steps it has, and what memory they take

--- Calls `f(argument)`. In a function that is being recorded, `f(later)` is called again before each replay, and what
--- it launches takes its numbers from there: for learning rates, counters and the like.
---@param f fun(argument: any)
---@param argument any
---@param later any? in place of a tensor that there is only in the recorded call
---@param ... any further arguments of `f`, the same in each call: for a function of the library that makes no closure
function events.live(f, argument, later, ...)
    local now = events.now
    if not now then return f(argument, ...) end
    now.actions[#now.actions + 1] = table.pack(f, later, ...)
    now.handle:live(true)
    f(argument, ...)
    now.handle:live(false)
end

--- Whether a function is being recorded, for code that keeps results from call to call: a replay computes them anew.
---@return boolean
function events.is_recording() return events.now ~= nil end

--- The function is one that cannot be replayed.
---@param reason string "does this; do that instead"
function events.cannot_replay(reason)
    if events.now then events.now.handle:problem(reason) end
end

--- A check of what the function computed: an error where `flag` is not 0, in this call and in each replay.
---@param flag Tensor of one element
---@param message string
function events.check_zero(flag, message)
    if events.now then
        core.check_zero(flag, message)
    elseif flag:item() ~= 0 then
        args.fail("%s", message)
    end
end

-- ---- gradients of leaves --------------------------------------------------------------------------------------

--- The identity of the memory of a leaf's gradient, which keeps neither.
---@param slot table
---@return integer|false
function events.memory_of(slot)
    return slot.grad and core.storage_id(slot.grad) or false
end

--- The gradient of a leaf matters as it is now.
---@param slot table
function events.reads_grad(slot)
    local now = events.now
    if now and now.grads[slot] == nil and now.expects[slot] == nil then now.expects[slot] = events.memory_of(slot) end
end

--- A leaf has another gradient now.
---@param slot table
function events.sets_grad(slot)
    if events.now then events.now.grads[slot] = slot.grad or false end
end

--- A recorded operation changes a tensor in place.
---@param tensor Tensor the one whose memory it is
function events.changes(tensor)
    if events.now and (core.is_freed(tensor) or not events.now.handle:made(tensor)) then
        events.cannot_replay("gives a tensor from outside a history, which a replay would not; change it in "
            .. "lx.no_grad, or return a new tensor")
    end
end

-- ---- modules --------------------------------------------------------------------------------------------------

--- A module has other parts now.
function events.changes_structure() events.structure = events.structure + 1 end

-- Whether a field of a module is met for the first time.
local function is_new(now, module, key)
    local keys = now.noted[module]
    if not keys then
        keys = {}
        now.noted[module] = keys
    end
    if keys[key] then return false end
    keys[key] = true
    return true
end

-- The other fields of a module change by assignment, which is counted.
local PLAIN <const> = {number = true, string = true, boolean = true, ["nil"] = true}

--- A module's field is read; plain values have to be the same in a replay.
---@param module Module
---@param key any
---@param value any
function events.reads_field(module, key, value)
    local now = events.now
    if now and PLAIN[type(value)] and is_new(now, module, key) then
        now.guards[#now.guards + 1] = {module, key, value}
    end
end

--- A module's field is set, so that it does not matter what it was.
---@param module Module
---@param key any
function events.sets_field(module, key)
    if events.now then is_new(events.now, module, key) end
end

return events
