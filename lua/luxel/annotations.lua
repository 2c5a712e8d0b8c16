--- Reads the annotations in Lua files: comments of lines that begin with three hyphens, and the line below each.
--
-- A comment has `text`, `params` (a list of {name =, type =, text =}), `returns` (a list of {type =, text =}), `class`,
-- `parent`, `fields` and `operators` of `---@class`, and `generic`.

local annotations = {}

local OPENS <const> = {["("] = true, ["{"] = true, ["<"] = true}
local CLOSES <const> = {[")"] = true, ["}"] = true, [">"] = true}

-- Where the type at the beginning of a text ends: at the first space outside brackets that no `|`, `:` or `,` joins.
local function type_end(text)
    local depth, quoted = 0, false
    for i = 1, #text do
        local c = text:sub(i, i)
        if c == '"' then quoted = not quoted end
        if not quoted and OPENS[c] then
            depth = depth + 1
        elseif not quoted and CLOSES[c] then
            depth = depth - 1
        elseif not quoted and c == " " and depth == 0 and not text:sub(1, i - 1):find("[|:]$") then
            return i - 1
        end
    end
    return #text
end

local function split_type(text)
    local last = type_end(text)
    return text:sub(1, last), (text:sub(last + 1):gsub("^%s+", ""))
end

local readers = {}

function readers.param(comment, rest)
    local name, after = rest:match("^([%w_%.]+%??)%s*(.*)$")
    if not name then return end
    local kind, text = split_type(after)
    if name:sub(-1) == "?" then name, kind = name:sub(1, -2), kind .. "?" end
    comment.params[#comment.params + 1] = {name = name, type = kind, text = text}
end

readers["return"] = function(comment, rest)
    local kind, text = split_type(rest)
    comment.returns[#comment.returns + 1] = {type = kind, text = text}
end

function readers.field(comment, rest)
    local name, after = rest:match("^([%w_]+%??)%s+(.*)$")
    if not name or name == "private" or name == "protected" then return end
    local kind, text = split_type(after)
    if name:sub(-1) == "?" then name, kind = name:sub(1, -2), kind .. "?" end
    comment.fields[#comment.fields + 1] = {name = name, type = kind, text = text}
end

function readers.class(comment, rest)
    local name, after = rest:match("^([%w_%.]+)%s*(.*)$")
    comment.class = name
    if after:sub(1, 1) == ":" then
        comment.parent, after = split_type(after:gsub("^:%s*", ""))
    end
    if after ~= "" then comment.lines[#comment.lines + 1] = after end
end

function readers.operator(comment, rest) table.insert(comment.operators, rest) end

function readers.generic(comment, rest) comment.generic = rest end

-- `---@type fun(...): T` of a value that is not defined as a function: its result.
function readers.type(comment, rest)
    local result = rest:match("^fun%b():%s*(.+)$")
    if result then readers["return"](comment, result) end
end

-- One tag with its continuations, joined.
local function read_tag(comment, tag)
    local name, rest = tag:match("^@([%w_]+)%s*(.*)$")
    local reader = readers[name]
    if reader then reader(comment, rest) end
end

-- The comment of the lines from `first` to `last`.
local function read_comment(lines, first, last)
    local comment = {lines = {}, params = {}, returns = {}, fields = {}, operators = {}}
    local tag
    for i = first, last do
        local text = lines[i]:match("^%s*%-%-%-? ?(.*)$")
        if text:sub(1, 1) == "@" then
            if tag then read_tag(comment, tag) end
            tag = text
        elseif tag then
            tag = tag .. " " .. text:gsub("^%s+", "")
        else
            comment.lines[#comment.lines + 1] = text
        end
    end
    if tag then read_tag(comment, tag) end
    comment.text = table.concat(comment.lines, "\n")
    comment.lines = nil
    return comment
end

-- The comment at the beginning of a file.
local function read_header(lines)
    local text = {}
    for _, line in ipairs(lines) do
        local words = line:match("^%-%-%-? ?(.*)$")
        if not words or words:sub(1, 1) == "@" then break end
        text[#text + 1] = words
    end
    return table.concat(text, "\n")
end

-- Whether a line is of a comment that began at line `first`. Paragraphs are continued with two hyphens, up to the tags.
local function belongs(line, first, above)
    if line:find("^%s*%-%-%-") then return true end
    return first ~= nil and line:find("^%s*%-%-") ~= nil and not above:find("^%s*%-%-%- ?@")
end

--- Reads a file.
---@param path string
---@return {lines: string[], header: string, comments: table[], below: table<integer, table>,
--- naming: table<string, table>}? `below`: by the number of the line below each; `naming`: by the names that are quoted
--- or assigned there
---@return string? message
function annotations.read(path)
    local file <close>, message = io.open(path)
    if not file then return nil, message end
    local lines, comments, below, naming = {}, {}, {}, {}
    for line in file:lines() do lines[#lines + 1] = line end
    local first
    for i = 1, #lines + 1 do
        if belongs(lines[i] or "", first, lines[i - 1]) then
            first = first or i
        elseif first then
            local comment = read_comment(lines, first, i - 1)
            comments[#comments + 1], below[i], first = comment, comment, nil
            for name in (lines[i] or ""):gmatch('"([%w_]+)"') do naming[name] = comment end
            local assigned = (lines[i] or ""):match("^%s*[%w_]+%.([%w_]+) =")
            if assigned then naming[assigned] = comment end
        end
    end
    return {lines = lines, header = read_header(lines), comments = comments, below = below, naming = naming}
end

return annotations
