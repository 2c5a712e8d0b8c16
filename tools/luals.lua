--- The public names as declarations for the Lua language server: functions without bodies, with types.

local reference = require "luxel.reference"

local luals = {}

-- Declared types by the names of the language server; others go by the Lua type of their values.
local NAMES <const> = {
    any = "any", boolean = "boolean", integer = "integer", number = "number", string = "string", table = "table",
    ["function"] = "function", tensor = "Tensor", any_tensor = "Tensor", float_tensor = "Tensor",
    pair = "integer|integer[]", size = "integer", odd = "integer", betas = "number[]", colour = "integer[]",
    module = "Module", submodule = "Module", optimizer = "Optimizer", scheduler = "Scheduler",
    dataset = "luxel.Dataset", frame = "luxel.Frame", pipeline = "luxel.Pipeline", box = "table", boxes = "table[]",
    image = "Tensor", grey_image = "Tensor", single_image = "Tensor", picture = "Tensor", sample = "Tensor",
    mask = "Tensor", ["false"] = "false",
}

local type_text

local function alternative_text(alternative)
    if alternative.literal then
        return type(alternative.literal) == "string" and ("%q"):format(alternative.literal)
            or tostring(alternative.literal)
    elseif alternative.element then
        return "(" .. type_text {alternative.element} .. ")[]"
    elseif alternative.fields then
        local fields = {}
        for i, field in ipairs(alternative.fields) do
            fields[i] = ("%s%s: %s"):format(field.name, field.type.optional and "?" or "", type_text(field.type))
        end
        return "{" .. table.concat(fields, ", ") .. "}"
    end
    return NAMES[alternative.name] or alternative.base.kinds[1]
end

-- A parsed type of a declaration.
function type_text(parsed)
    local words = {}
    for i, alternative in ipairs(parsed) do words[i] = alternative_text(alternative) end
    return table.concat(words, "|")
end

local function add(lines, format, ...) lines[#lines + 1] = format:format(...):gsub(" +$", "") end

local function add_text(lines, text)
    for line in (text .. "\n"):gmatch("(.-)\n") do
        if text ~= "" then add(lines, "--- %s", line) end
    end
end

-- The class that calling an entry makes: that of the layer.
local function made_by(entry)
    return type(entry.value) == "table" and rawget(entry.value, "init") and entry.member or nil
end

local function add_entry(lines, entry)
    local described = reference.describe(entry)
    local names = {}
    add(lines, "")
    add_text(lines, entry.text)
    if entry.comment and entry.comment.generic then add(lines, "---@generic %s", entry.comment.generic) end
    for i, argument in ipairs(described.arguments) do
        names[i] = argument.name
        local note = argument.note
        local is_table = #argument.options > 0 -- annotations do not say which options are needed
        local kind = note and note.type ~= "" and not is_table and note.type or type_text(argument.type)
        add(lines, "---@param %s%s %s%s", argument.name, argument.optional and argument.name ~= "..." and "?" or "",
            kind, note and note.text ~= "" and " " .. note.text or "")
    end
    local class = made_by(entry)
    if class then add(lines, "---@return %s", class) end
    for _, value in ipairs(not class and entry.comment and entry.comment.returns or {}) do
        add(lines, "---@return %s%s", value.type, value.text ~= "" and " " .. value.text or "")
    end
    add(lines, "function %s(%s) end", entry.name, table.concat(names, ", "))
end

local function add_class(lines, name, parent, fields, operators)
    add(lines, "\n---@class %s%s", name, parent and ": " .. parent or "")
    for _, field in ipairs(fields or {}) do
        add(lines, "---@field %s %s%s", field.name, field.type, field.text ~= "" and " " .. field.text or "")
    end
    for _, operator in ipairs(operators or {}) do add(lines, "---@operator %s", operator) end
end

local function has_methods(page, class)
    for _, entry in ipairs(page.entries) do
        if entry.name:find("^" .. class .. ":") then return true end
    end
    return false
end

local function add_page(lines, book, page)
    local class = page.class
    if not page.title:find("^lx") then
        add_class(lines, class and class.class or "luxel." .. page.title, class and class.parent,
            class and reference.plain_fields(class), class and class.operators)
        add(lines, "local %s = {}", page.title)
    elseif page.title ~= "lx" then
        add(lines, "\n---@class %s", page.title)
        add(lines, "%s = {}", page.title)
    end
    for _, entry in ipairs(page.entries) do
        if made_by(entry) and entry.member ~= "Module" then
            add_class(lines, entry.member, "Module", entry.fields)
            if has_methods(page, entry.member) then add(lines, "local %s = {}", entry.member) end
        end
        if not book.pages[entry.name] then add_entry(lines, entry) end
    end
end

--- The file that editors read.
---@param book table of `reference.book`
---@param tables table<string, table> classes without methods, by title
---@return string
function luals.text(book, tables)
    local lines = {"---@meta luxel", "", "---@class lx", "local lx = {}", "", "---@alias luxel.Tensor Tensor"}
    local titles = {}
    for title in next, tables do titles[#titles + 1] = title end
    table.sort(titles)
    for _, title in ipairs(titles) do
        local class = tables[title]
        add_class(lines, class.class, class.parent, class.fields)
    end
    for _, page in ipairs(book.pages) do add_page(lines, book, page) end
    add(lines, "\nreturn lx")
    return table.concat(lines, "\n") .. "\n"
end

return luals
