--- A busted helper: the generational collector, and a step before every call into C, so that whatever is not held
-- properly is collected while it is still in use.

collectgarbage("generational")
local core = require "luxel.core"
for name, f in pairs(core) do
    if type(f) == "function" then
        core[name] = function(...)
            collectgarbage("step")
            return f(...)
        end
    end
end
