--- Patterns of names: which parts of a network are meant.
--
-- A pattern is a glob over the names of `state_dict`: `*` stands for any characters, dots among them, `?` for one, and
-- `[0-3]` for one of a set; all else for itself. It fits a name if it fits all of it, or all of a part that ends before
-- a dot: `features` and `features.*` both mean what is inside of `features`, `blocks.1` that block and not `blocks.10`.
-- A `!` before a pattern takes what it fits out of what those before it chose: {"*", "!classifier"} is all but that.

local args = require "luxel.args"
local near = require "luxel.near"

local patterns = {}

-- The Lua pattern that fits what a glob does; nil where a set has no end.
local function form_of(glob)
    local parts, i = {"^"}, 1
    while i <= #glob do
        local char = glob:sub(i, i)
        if char == "[" then
            local set = glob:match("^%[[%w_%-]+%]", i)
            if not set then return nil end
            parts[#parts + 1], i = set, i + #set - 1
        else
            parts[#parts + 1] = char == "*" and ".*" or char == "?" and "." or (char:gsub("%W", "%%%0"))
        end
        i = i + 1
    end
    parts[#parts + 1] = "$"
    return table.concat(parts)
end

local function fits(form, name)
    repeat
        if name:find(form) then return true end
        name = name:match("^(.*)%.[^.]*$")
    until not name
    return false
end

-- Every name and every part of one that ends before a dot, once.
local function with_parts(names)
    local list, seen = {}, {}
    for _, name in ipairs(names) do
        while name and not seen[name] do
            seen[name], list[#list + 1] = true, name
            name = name:match("^(.*)%.[^.]*$")
        end
    end
    return list
end

-- The first parts of names, in order: what a network consists of.
local function outline(names)
    local list, seen = {}, {}
    for _, name in ipairs(names) do
        local first = name:match("^[^.]*")
        if not seen[first] then seen[first], list[#list + 1] = true, first end
    end
    return table.concat(list, ", ")
end

--- Which of the names the patterns fit. One that fits none raises.
---@param where string public function and argument, for errors
---@param names string[]
---@param wanted string|string[]
---@param what string? what the names are of, for errors; default "parameter or buffer"
---@return table<string, true> chosen
function patterns.choose(where, names, wanted, what)
    local chosen = {}
    for _, given in ipairs(type(wanted) == "string" and {wanted} or wanted) do
        local out, glob = given:match("^(!?)(.*)$")
        local form, found = form_of(glob), false
        if not form then
            args.fail("%s: the pattern '%s' has a [ that begins no set such as [0-3]", where, glob)
        end
        for _, name in ipairs(names) do
            if fits(form, name) then chosen[name], found = out == "" or nil, true end
        end
        if not found then
            local meant = near.suggestion(glob:gsub("%.?%*$", ""), with_parts(names))
            args.fail("%s: the pattern '%s' fits no %s%s; %s", where, glob, what or "parameter or buffer", meant,
                #names > 0 and "its names begin with " .. outline(names) or "the network has none")
        end
    end
    if not next(chosen) then args.fail("%s: the patterns choose nothing of the network", where) end
    return chosen
end

return patterns
