--- Letting go of tensors early: `tidy`, `keep`, and what memory is in use.

local args = require "luxel.args"
local core = require "luxel.core"

local memory = {}

local WEAK = {__mode = "k"}
local active = setmetatable({}, WEAK) -- the tables of all running tidies, of whichever coroutines

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

-- Ends a tidy, also where its coroutine is closed: frees what was made in it, hands what is returned to the one around
-- it.
local SCOPE = {__close = function(scope)
    core.tidy(scope.outer)
    active[scope.made] = nil
    for tensor in pairs(scope.made) do core.free(tensor) end
    if not scope.outer then return end
    for _, tensor in ipairs(scope.kept) do scope.outer[tensor] = true end
end}

local function spare_results(scope, ...)
    spare({...}, scope.made, scope.kept, {})
    return ...
end

--- Calls `f` and frees every tensor made inside it but those that it returns (also inside tables), gradients of
--- leaves, and those given to `keep`. What other coroutines make meanwhile is theirs: `f` may yield, and may resume
--- others.
---@generic T
---@param f fun(): T
---@return T
function memory.tidy(f, ...)
    local made = setmetatable({}, WEAK)
    local scope <close> = setmetatable({made = made, kept = {}, outer = core.tidy(made)}, SCOPE)
    active[made] = true
    return spare_results(scope, f(...))
end

--- Takes tensors out of every running tidy, so that they outlive it.
---@param ... Tensor
---@return Tensor ...
function memory.keep(...)
    for i = 1, select("#", ...) do
        local tensor = select(i, ...)
        for made in pairs(active) do made[tensor] = nil end
    end
    return ...
end

return args.publish("", memory, {tidy = "f: function, ...: any?", keep = "...: tensor"})
