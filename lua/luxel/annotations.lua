--- Reads the annotations in Lua files: blocks of lines that begin with three hyphens, and what stands below each.
--
-- A block has `text`, `params` (a list of {name =, type =, text =}), `returns` (a list of {type =, text =}), `class`,
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

function readers.param(block, rest)
    local name, after = rest:match("^([%w_%.]+%??)%s*(.*)$")
    if not name then return end
    local kind, text = split_type(after)
    if name:sub(-1) == "?" then name, kind = name:sub(1, -2), kind .. "?" end
    block.params[#block.params + 1] = {name = name, type = kind, text = text}
end

readers["return"] = function(block, rest)
    local kind, text = split_type(rest)
    block.returns[#block.returns + 1] = {type = kind, text = text}
end

function readers.field(block, rest)
    local name, after = rest:match("^([%w_]+%??)%s+(.*)$")
    if not name or name == "private" or name == "protected" then return end
    local kind, text = split_type(after)
    if name:sub(-1) == "?" then name, kind = name:sub(1, -2), kind .. "?" end
    block.fields[#block.fields + 1] = {name = name, type = kind, text = text}
end

function readers.class(block, rest)
    local name, after = rest:match("^([%w_%.]+)%s*(.*)$")
    block.class = name
    if after:sub(1, 1) == ":" then
        block.parent, after = split_type(after:gsub("^:%s*", ""))
    end
    if after ~= "" then block.lines[#block.lines + 1] = after end
end

function readers.operator(block, rest) table.insert(block.operators, rest) end

function readers.generic(block, rest) block.generic = rest end

-- `---@type fun(...): T` of what is no function of its own: what it returns.
function readers.type(block, rest)
    local result = rest:match("^fun%b():%s*(.+)$")
    if result then readers["return"](block, result) end
end

-- One tag with its continuations, joined.
local function read_tag(block, tag)
    local name, rest = tag:match("^@([%w_]+)%s*(.*)$")
    local reader = readers[name]
    if reader then reader(block, rest) end
end

-- The block of the lines from `first` to `last`.
local function read_block(lines, first, last)
    local block = {lines = {}, params = {}, returns = {}, fields = {}, operators = {}}
    local tag
    for i = first, last do
        local text = lines[i]:match("^%s*%-%-%-? ?(.*)$")
        if text:sub(1, 1) == "@" then
            if tag then read_tag(block, tag) end
            tag = text
        elseif tag then
            tag = tag .. " " .. text:gsub("^%s+", "")
        else
            block.lines[#block.lines + 1] = text
        end
    end
    if tag then read_tag(block, tag) end
    block.text = table.concat(block.lines, "\n")
    block.lines = nil
    return block
end

-- What a file says of itself: the comment at its beginning.
local function read_header(lines)
    local text = {}
    for _, line in ipairs(lines) do
        local words = line:match("^%-%-%-? ?(.*)$")
        if not words or words:sub(1, 1) == "@" then break end
        text[#text + 1] = words
    end
    return table.concat(text, "\n")
end

-- Whether a line is of a block that began at line `first`. Paragraphs are continued with two hyphens, up to the tags.
local function belongs(line, first, above)
    if line:find("^%s*%-%-%-") then return true end
    return first ~= nil and line:find("^%s*%-%-") ~= nil and not above:find("^%s*%-%-%- ?@")
end

--- Reads a file.
---@param path string
---@return {lines: string[], header: string, blocks: table[], below: table<integer, table>,
--- naming: table<string, table>}? `below`: by the number of the line below each; `naming`: by the names that are quoted
--- or assigned there
---@return string? message
function annotations.read(path)
    local file <close>, message = io.open(path)
    if not file then return nil, message end
    local lines, blocks, below, naming = {}, {}, {}, {}
    for line in file:lines() do lines[#lines + 1] = line end
    local first
    for i = 1, #lines + 1 do
        if belongs(lines[i] or "", first, lines[i - 1]) then
            first = first or i
        elseif first then
            local block = read_block(lines, first, i - 1)
            blocks[#blocks + 1], below[i], first = block, block, nil
            for name in (lines[i] or ""):gmatch('"([%w_]+)"') do naming[name] = block end
            local assigned = (lines[i] or ""):match("^%s*[%w_]+%.([%w_]+) =")
            if assigned then naming[assigned] = block end
        end
    end
    return {lines = lines, header = read_header(lines), blocks = blocks, below = below, naming = naming}
end

return annotations
