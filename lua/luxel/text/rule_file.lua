--- Files of rules that people edit: sections in brackets, lines `KEY: VALUE` in them, remarks behind #. What sections
--- and lines mean is up to who reads one.

local rule_file = {}

local LARGEST <const> = 1 << 20 -- bytes of a file
local SHOWN <const> = 40 -- characters of a line in a message

local function read_bytes(path)
    local file, message = io.open(path, "rb")
    if not file then return nil, message end
    local text, problem = file:read(LARGEST + 1)
    file:close()
    if problem then return nil, ("%s: %s"):format(path, problem) end
    if #(text or "") > LARGEST then return nil, ("%s: it is no file of rules: more than 1 MiB"):format(path) end
    return text or ""
end

--- A text of UTF-8 as a message shows it.
---@param text string
---@return string
function rule_file.shown(text)
    local longest = utf8.offset(text, math.min(utf8.len(text), SHOWN) + 1)
    return text:sub(1, longest - 1)
end

local function read_line(line, number, state, open, take)
    if not utf8.len(line) then return nil, "it is not UTF-8" end
    line = line:gsub("#.*", ""):match("^%s*(.-)%s*$")
    if line == "" then return true end
    local heading = line:match("^%[%s*(.-)%s*%]$")
    if heading then
        state.inside = true
        return open((heading:gsub("%s+", " ")), number)
    end
    local key, value = line:match("^([^:]-)%s*:%s*(.*)$")
    if not key then return nil, ("expected '%s' or a section in brackets, got '%s'"):format(state.form,
        rule_file.shown(line)) end
    if not state.inside then return nil, "it is before the first section" end
    return take((key:gsub("%s+", " ")), value, number)
end

--- Reads a file, section by section and line by line.
---@param path string
---@param form string what a line is like, for messages
---@param open fun(heading: string, number: integer): boolean?, string? begins a section; nil, message for a mistake
---@param take fun(key: string, value: string, number: integer): boolean?, string? takes a line of it
---@return boolean? ok, string? message, string? code "io", "format" with path, line and reason
function rule_file.read(path, form, open, take)
    local text, message = read_bytes(path)
    if not text then return nil, message, "io" end
    local state, number = {form = form}, 0
    for line in text:gsub("^\239\187\191", ""):gmatch("([^\n]*)\n?") do
        number = number + 1
        local ok, why = read_line(line, number, state, open, take)
        if not ok then return nil, ("%s: line %d: %s"):format(path, number, why), "format" end
    end
    return true
end

return rule_file
