--- Tables of public names, and classes: a name that is not there raises with the nearest one, and `print` lists what
--- there is.

local args = require "luxel.args"
local near = require "luxel.near"

local WIDTH <const> = 100

local function sorted_names(members, more)
    local names = {}
    for name in next, members do names[#names + 1] = tostring(name) end
    for name in next, more or {} do
        if rawget(members, name) == nil then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

-- "title (n names)" and the names in lines of at most WIDTH characters.
local function listing(title, names)
    local lines, line = {("%s (%d names)"):format(title, #names)}, " "
    for i, name in ipairs(names) do
        local word = " " .. name .. (i < #names and "," or "")
        if #line + #word > WIDTH then
            lines[#lines + 1], line = line, " "
        end
        line = line .. word
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
end

local namespace = {}

--- Makes a table of public names strict and printable.
---@param title string as users write it: `lx.nn`
---@param members table
---@param parts table<string, string>? names whose modules are loaded when first used
---@return table members the same
function namespace.new(title, members, parts)
    return setmetatable(members, {
        __name = title,
        __index = function(_, name)
            local part = parts and parts[name]
            if part then
                local loaded = require(part)
                rawset(members, name, loaded)
                return loaded
            end
            local names = sorted_names(members, parts)
            args.fail("%s has no '%s'%s; print(%s) lists what it has", title, tostring(name),
                near.suggestion(name, names), title)
        end,
        __tostring = function() return listing(title, sorted_names(members, parts)) end,
        names = function() return sorted_names(members, parts) end,
    })
end

--- Makes a class strict: its objects have its methods and the fields that they were given; of other names only those in
--- `optional` may be asked for, and are nil.
---@param title string as users know the class: `Dataset`
---@param class table whose objects find its methods by `__index`
---@param optional string[] fields that an object may lack
---@return table class the same
function namespace.class(title, class, optional)
    local absent = {}
    for _, name in ipairs(optional) do absent[name] = true end
    class.__index, class.__name = rawget(class, "__index") or class, title
    return setmetatable(class, {__index = function(_, name)
        if absent[name] or type(name) ~= "string" or name:find("^__") then return nil end
        local methods = {}
        for member in next, class do
            if not member:find("^__") and member ~= "init" then methods[#methods + 1] = member end
        end
        table.sort(methods)
        local candidates = table.move(optional, 1, #optional, #methods + 1, table.move(methods, 1, #methods, 1, {}))
        args.fail("%s has no '%s'%s; its methods are %s", title, name, near.suggestion(name, candidates),
            #methods > 0 and table.concat(methods, ", ") or "none")
    end})
end

return setmetatable(namespace, {__call = function(_, ...) return namespace.new(...) end})
