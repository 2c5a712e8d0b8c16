--- Calls without a yield: recording, profiling and tuning watch all that the devices do meanwhile, whoever has them do
--- it.

local args = require "luxel.args"
local core = require "luxel.core"

local YIELDS <const> = "%s: the function yields (coroutine.yield), which would let other coroutines run in the midst "
    .. "of it; yield outside, or resume others inside"

local function after(name, finish, ok, ...)
    if ok then
        finish(true)
        return ...
    end
    local failure = ...
    finish(false)
    if type(failure) == "string" and failure:find("attempt to yield across a C-call boundary", 1, true) then
        args.fail(YIELDS, name)
    end
    error(failure, 0)
end

--- Calls `f(...)`, then `finish(ok)`, and returns what `f` returns or raises its error. It may resume other
--- coroutines, but must not yield itself. A to-be-closed variable would not do: none is closed where the error ends a
--- coroutine that nobody closes.
---@param name string the public function, for the message
---@param finish fun(ok: boolean)
---@param f fun(...): ...
---@return ...
return function(name, finish, f, ...)
    return after(name, finish, pcall(core.unbroken, f, ...))
end
