--- Letting go of tensors early: `tidy`, `keep`, and what memory is in use.

local core = require "luxel.core"

local memory = {}

local active = {} -- the tables of running tidies, innermost last
local WEAK = {__mode = "k"}

-- Moves every tensor in `value` (a tensor, or tables of them) from `made` to `kept`.
local function spare(value, made, kept, seen)
    if core.is_tensor(value) then
        if made[value] then
            made[value] = nil
            kept[#kept + 1] = value
        end
    elseif type(value) == "table" and not seen[value] then
        seen[value] = true
        for _, inner in pairs(value) do spare(inner, made, kept, seen) end
    end
end

-- Ends the innermost tidy: frees what was made in it, hands what is returned to the one around it.
local function finish(made, outer, ok, ...)
    active[#active] = nil
    core.tidy(outer)
    local kept = {}
    if ok then spare({...}, made, kept, {}) end
    for tensor in pairs(made) do core.free(tensor) end
    for _, tensor in ipairs(kept) do
        if outer then outer[tensor] = true end
    end
    if not ok then error((...), 0) end
    return ...
end

--- Calls `f` and frees every tensor made inside it but those that it returns (also inside tables), gradients of
--- leaves, and those given to `keep`.
---@generic T
---@param f fun(): T
---@return T
function memory.tidy(f, ...)
    local made = setmetatable({}, WEAK)
    local outer = core.tidy(made)
    active[#active + 1] = made
    return finish(made, outer, pcall(f, ...))
end

--- Takes tensors out of every running tidy, so that they outlive it.
---@param ... Tensor
---@return Tensor ...
function memory.keep(...)
    for i = 1, select("#", ...) do
        local tensor = select(i, ...)
        for _, made in ipairs(active) do made[tensor] = nil end
    end
    return ...
end

return memory
