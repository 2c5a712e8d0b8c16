--- JSON (RFC 8259) for files that must be read exactly, and come out the same each time: integers stay integers and
--- floats keep all their bits, names are in order, and what is ambiguous (a name that comes twice, text that is no
--- UTF-8) is refused.

local as_utf8 = require "luxel.as_utf8"

local json = {}

--- Stands for JSON's null, which is no value that a Lua table could hold.
json.null = setmetatable({}, {__tostring = function() return "null" end})

--- The metatable of lists that are written as [] when they are empty.
json.LIST = {}

local DEEPEST <const> = 128
local SPECIAL <const> = '[\0-\31"\\]' -- what stands for itself in no string

-- ---- reading --------------------------------------------------------------------------------------------------

local ESCAPES <const> = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}
local WORDS <const> = {["true"] = true, ["false"] = false, null = json.null}

local function fail(position, what)
    error({json = ("%s at byte %d"):format(what, position)}, 0)
end

local function skip(text, position)
    return text:find("[^ \t\n\r]", position) or #text + 1
end

-- The code behind "\u" at `position`, and where it ends: four digits, or eight in two halves.
local function read_code(text, position)
    local digits = text:match("^%x%x%x%x", position)
    local code = digits and tonumber(digits, 16) or fail(position, "an escape without four digits")
    if code < 0xd800 or code > 0xdfff then return code, position + 4 end
    local low = tonumber(text:match("^\\u(%x%x%x%x)", position + 4) or "", 16)
    if code > 0xdbff or not low or low < 0xdc00 or low > 0xdfff then fail(position, "half a surrogate pair") end
    return 0x10000 + (code - 0xd800 << 10) + (low - 0xdc00), position + 10
end

-- The string whose opening quote is at `position`, and where it ends.
local function read_string(text, position)
    local parts, from = nil, position + 1
    while true do
        local stop = text:find(SPECIAL, from) or fail(position, "a string without an end")
        local character = text:sub(stop, stop)
        if character == '"' then
            local rest = text:sub(from, stop - 1)
            return parts and table.concat(parts) .. rest or rest, stop + 1
        elseif character == "\\" then
            parts = parts or {}
            parts[#parts + 1] = text:sub(from, stop - 1)
            local kind = text:sub(stop + 1, stop + 1)
            if kind == "u" then
                local code
                code, from = read_code(text, stop + 2)
                parts[#parts + 1] = utf8.char(code)
            else
                parts[#parts + 1], from = ESCAPES[kind] or fail(stop, "an unknown escape"), stop + 2
            end
        else
            fail(stop, "a control character in a string")
        end
    end
end

local function read_number(text, position)
    local whole, stop = text:match("^(%-?%d+)()", position)
    if not whole or whole:find("^%-?0%d") then fail(position, "no value") end
    local fraction, after = text:match("^(%.%d+)()", stop)
    stop = after or stop
    local exponent
    exponent, after = text:match("^([eE][+-]?%d+)()", stop)
    stop = after or stop
    local value = tonumber(whole .. (fraction or "") .. (exponent or ""))
    if whole == "-0" and math.type(value) == "integer" then value = -0.0 end
    if value - value ~= 0 then fail(position, "a number that is too large") end
    return value, stop
end

local read_value

local function read_list(self, position, depth)
    local list, text = {}, self.text
    self.lists[list] = true
    position = skip(text, position + 1)
    if text:sub(position, position) == "]" then return list, position + 1 end
    while true do
        list[#list + 1], position = read_value(self, position, depth + 1)
        position = skip(text, position)
        local mark = text:sub(position, position)
        if mark == "]" then return list, position + 1 end
        if mark ~= "," then fail(position, "expected , or ]") end
        position = skip(text, position + 1)
    end
end

local function read_object(self, position, depth)
    local object, text = {}, self.text
    position = skip(text, position + 1)
    if text:sub(position, position) == "}" then return object, position + 1 end
    while true do
        if text:sub(position, position) ~= '"' then fail(position, "expected a name") end
        local name, at
        name, at = read_string(text, position)
        if object[name] ~= nil then fail(position, ("the name %q comes twice"):format(name)) end
        at = skip(text, at)
        if text:sub(at, at) ~= ":" then fail(at, "expected :") end
        object[name], position = read_value(self, skip(text, at + 1), depth + 1)
        position = skip(text, position)
        local mark = text:sub(position, position)
        if mark == "}" then return object, position + 1 end
        if mark ~= "," then fail(position, "expected , or }") end
        position = skip(text, position + 1)
    end
end

function read_value(self, position, depth)
    local text = self.text
    if depth > DEEPEST then fail(position, "too many brackets") end
    local first = text:sub(position, position)
    if first == '"' then return read_string(text, position) end
    if first == "{" then return read_object(self, position, depth) end
    if first == "[" then return read_list(self, position, depth) end
    local word = text:match("^%a+", position)
    if word == nil then return read_number(text, position) end
    if WORDS[word] == nil then fail(position, "no value") end
    return WORDS[word], position + #word
end

--- Reads a JSON text. Whole numbers become integers where Lua has them.
---@param text string
---@return any value nil where it is none
---@return table|string lists the set of the tables that were lists, which an empty table does not show; or the message
function json.decode(text)
    if not utf8.len(text) then return nil, "it is not UTF-8" end
    local self = {text = text, lists = {}}
    local ok, value, position = pcall(read_value, self, skip(text, 1), 1)
    if not ok then
        if type(value) ~= "table" or not value.json then error(value, 0) end
        return nil, value.json
    end
    position = skip(text, position)
    if position <= #text then return nil, ("more than one value at byte %d"):format(position) end
    return value, self.lists
end

-- ---- writing --------------------------------------------------------------------------------------------------

local function refuse(where, what)
    error({json = where .. what}, 0)
end

--- A string in quotes.
---@param text string UTF-8
---@return string
function json.quote(text)
    return '"' .. text:gsub(SPECIAL, function(character)
        return (character == '"' or character == "\\") and "\\" .. character or ("\\u%04x"):format(character:byte())
    end) .. '"'
end

-- The shortest text that gives the same bits again, with a point whatever the locale of the host has.
local function write_float(value)
    for precision = 15, 17 do
        local text = ("%." .. precision .. "g"):format(value):gsub("[^%de+-]", ".")
        if tonumber(text) == value then return text:find("[.e]") and text or text .. ".0" end
    end
end

local function is_list(value)
    if getmetatable(value) == json.LIST then return true end
    local count = 0
    for _ in pairs(value) do count = count + 1 end
    return count > 0 and count == #value
end

local write_value

local function write_table(value, where, depth)
    if depth > DEEPEST then refuse(where, " is a table in itself, or too deep") end
    local parts = {}
    if is_list(value) then
        for i, item in ipairs(value) do parts[i] = write_value(item, ("%s[%d]"):format(where, i), depth + 1) end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    local names = {}
    for name in pairs(value) do
        if type(name) ~= "string" then
            refuse(where, (" has the key %s: it should be a list without gaps, or have names only"):format(
                tostring(name)))
        end
        names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do
        parts[i] = write_value(name, where, depth) .. ":" .. write_value(value[name], where .. "." .. name, depth + 1)
    end
    return "{" .. table.concat(parts, ",") .. "}"
end

function write_value(value, where, depth)
    local kind = type(value)
    if kind == "boolean" or value == json.null then return tostring(value) end
    if kind == "table" then return write_table(value, where, depth) end
    if kind == "string" then
        if not utf8.len(value) then refuse(where, " is no UTF-8 text") end
        return json.quote(value)
    end
    if kind ~= "number" then refuse(where, " is a " .. kind) end
    if value - value ~= 0 then refuse(where, " is " .. (value ~= value and "NaN" or tostring(value))) end
    return math.type(value) == "integer" and ("%d"):format(value) or write_float(value)
end

--- Writes a value as JSON; the same value gives the same text. An empty table is {}, one of the metatable `LIST` [].
---@param value any numbers that are finite, strings, booleans, `json.null`, and tables of them
---@param where string? what the value is called in messages
---@return string? text nil where it cannot be written
---@return string? message
function json.encode(value, where)
    local ok, text = pcall(write_value, value, where or "value", 1)
    if ok then return text end
    if type(text) ~= "table" or not text.json then error(text, 0) end
    return nil, text.json
end

--- A value that JSON can hold: text as UTF-8, null for what is no finite number, names for keys.
---@param value any numbers, strings, booleans, `json.null`, and tables of them
---@return any
function json.plain(value)
    if type(value) == "string" then return as_utf8(value) end
    if type(value) == "number" and value - value ~= 0 then return json.null end
    if type(value) ~= "table" or value == json.null then return value end
    local out, count = setmetatable({}, getmetatable(value) == json.LIST and json.LIST or nil), 0
    for _ in next, value do count = count + 1 end
    for key, inner in next, value do
        if count ~= #value then key = as_utf8(tostring(key)) end
        out[key] = json.plain(inner)
    end
    return out
end

return json
