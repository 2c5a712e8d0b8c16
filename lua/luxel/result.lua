--- Results with names: tables of fixed fields that print themselves, and refuse names that they do not have.

local args = require "luxel.args"
local near = require "luxel.near"

local function show(value)
    if math.type(value) == "float" then return ("%.4g"):format(value) end
    if type(value) == "table" and not getmetatable(value) then return ("(%d)"):format(#value) end
    return value == nil and "none" or tostring(value)
end

--- A function that makes a result of a table.
---@param title string
---@param names string[] of the fields, as they are shown; each may be absent
---@param words (fun(self: table): string)? what `print` shows; default `title: name value, ...`
---@return fun(fields: table): table
return function(title, names, words)
    local known = {}
    for _, name in ipairs(names) do known[name] = true end
    local class = {__name = title}
    function class.__index(_, name)
        if known[name] or type(name) ~= "string" then return nil end
        args.fail("%s has no '%s'%s; it has %s", title, name, near.suggestion(name, names), table.concat(names, ", "))
    end
    class.__tostring = words or function(self)
        local parts = {}
        for i, name in ipairs(names) do parts[i] = name .. " " .. show(self[name]) end
        return title .. ": " .. table.concat(parts, ", ")
    end
    return function(fields) return setmetatable(fields, class) end
end
