--- Completion of typed text: names, members and methods of values that are there, and files inside quotes.

local lfs = require "lfs"

local KEYWORDS <const> = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
}

-- Metatables that lead to each other: more than there are of any value.
local DEPTH <const> = 8

local function add_keys(names, of)
    for name in next, of do
        if type(name) == "string" and name:find("^[%a][%w_]*$") then names[name] = true end
    end
end

-- The names that a value has, whatever keeps them.
local function members_of(value)
    local names = {}
    for _ = 1, DEPTH do
        local meta = debug.getmetatable(value)
        if type(value) == "table" then add_keys(names, value) end
        if type(meta) ~= "table" then break end
        for _, name in ipairs(rawget(meta, "names") and meta.names(value) or {}) do names[name] = true end
        if type(rawget(meta, "methods")) == "table" then add_keys(names, meta.methods) end
        local index = rawget(meta, "__index")
        if type(index) == "function" then index = rawget(meta, "class") or meta end
        if type(index) ~= "table" or index == value then break end
        value = index
    end
    return names
end

-- The value that a chain of names leads to, without calling anything but what gives members.
local function value_of(chain, environment)
    local value = environment
    for name in chain:gmatch("[%a_][%w_]*") do
        if value == nil then return nil end
        local ok, member = pcall(function() return value[name] end)
        value = ok and member or nil
    end
    return value
end

local function files(prefix)
    local folder, start = prefix:match("^(.*/)([^/]*)$")
    folder, start = folder or "", start or prefix
    local found = {}
    local ok, iterate, state = pcall(lfs.dir, folder == "" and "." or folder)
    if not ok then return found end
    for name in iterate, state do
        if name:sub(1, #start) == start and (start ~= "" or name:sub(1, 1) ~= ".") and name ~= "." and name ~= ".." then
            local path = folder .. name
            found[#found + 1] = lfs.attributes(path, "mode") == "directory" and path .. "/" or path
        end
    end
    return found
end

--- The completions of the word at the end of a line.
---@param line string up to where the cursor is
---@param environment table the global names
---@return string[] words in order, each instead of `word`
---@return string word the part of the line that they stand for
return function(line, environment)
    local quoted = line:match("[\"']([^\"']*)$")
    local _, quotes = line:gsub("[\"']", "")
    if quoted and quotes % 2 == 1 then
        local found = files(quoted)
        table.sort(found)
        return found, quoted
    end
    local word = line:match("[%a_][%w_%.:]*$") or ""
    local chain, sign, start = word:match("^(.*)([%.:])([%w_]*)$")
    local names = chain and {} or members_of(environment)
    if not chain then
        chain, sign, start = "", "", word
        for _, name in ipairs(KEYWORDS) do names[name] = true end
    else
        local value = value_of(chain, environment)
        if value ~= nil then names = members_of(value) end
    end
    local found = {}
    for name in pairs(names) do
        if name:sub(1, #start) == start then found[#found + 1] = chain .. sign .. name end
    end
    table.sort(found)
    return found, word
end
