--- A busted helper: the generational collector, and a step before every call into C, so that whatever is not held
-- properly is collected while it is still in use.

collectgarbage("generational")
local core = require "luxel.core"

-- Named as a file of the library, so that errors are not blamed on the wrapper.
local home = assert(package.searchpath("luxel", package.path)):gsub("init%.lua$", "")
local wrap = assert(load([[
    local f = ...
    return function(...)
        collectgarbage("step")
        return f(...)
    end
]], "@" .. home .. "collector.lua"))

for name, f in pairs(core) do
    if type(f) == "function" then core[name] = wrap(f) end
end
