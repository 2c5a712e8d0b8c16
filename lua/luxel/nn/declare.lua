--- Declarations of the methods of the library's classes of modules.

local args = require "luxel.args"

-- `init` and `forward` of a layer of the library, where `forward` refuses to work before `init` has run.
local function insisting(class, init, forward)
    return function(self, ...)
        rawget(self, "_ready")[class] = true
        return init(self, ...)
    end, function(self, ...)
        if not rawget(self, "_ready")[class] then
            args.fail("%s: its init should call %s.init(self, ...) first", self.class_name, class.class_name)
        end
        return forward(self, ...)
    end
end

--- Declares the methods of a class of the library. What has no declaration here is declared as a method without
--- arguments.
---@param class table
---@param signatures table<string, string> by name, without the module itself: `forward = "x: any"`
---@return table class
local function declare(class, signatures)
    local name, is_base = class.class_name, not getmetatable(class).__index
    local init, forward = rawget(class, "init"), rawget(class, "forward")
    if init and forward and not is_base then class.init, class.forward = insisting(class, init, forward) end
    if not init then class.init = function() end end
    local all = {}
    for member, value in next, class do
        if type(value) == "function" and not args.declared[value] then
            local signature = signatures[member]
            all[member] = "net: module" .. (signature and ", " .. signature or "")
        end
    end
    for member in next, signatures do assert(all[member], "no method " .. name .. ":" .. member) end
    args.publish(name .. ":", class, all)
    -- the reference looks for the comments above these functions, not above their wrappers
    if init then args.declared[class.init].f = init end
    if forward then args.declared[class.forward].f = forward end
    return class
end

return declare
