-- Writes the reference from the annotations and declarations of the module: pages of Markdown into docs/api, and
-- tools/luals/luxel.lua, from which editors complete names (https://luals.github.io). The same module gives the same
-- files.
--
--     lua5.4 tools/reference.lua [FOLDER]     below FOLDER, default the working directory

local reference = require "luxel.reference"
local luals = require "tools.luals"

local generator = {}

local function class_title(name) return (name:gsub("^luxel%.", ""):gsub("^opencl%.", "")) end

-- ---- Markdown -------------------------------------------------------------------------------------------------

-- Words of an annotation as Markdown: what stands in backquotes, and indented lines, stay as they are.
local function escape(text)
    local lines = {}
    for line in (text .. "\n"):gmatch("(.-)\n") do
        if not line:find("^    ") then
            line = (line .. "`"):gsub("([^`]*)(`[^`]*`?)", function(words, code)
                return words:gsub("[%*<]", "\\%0") .. code
            end):sub(1, -2)
        end
        lines[#lines + 1] = line
    end
    return table.concat(lines, "\n")
end

local function add(lines, format, ...) lines[#lines + 1] = format:format(...):gsub(" +$", "") end

local function add_arguments(lines, list, indent)
    for _, argument in ipairs(list) do
        add(lines, "%s- `%s`: %s", indent, argument.name, escape(argument.about))
        add_arguments(lines, argument.options, indent .. "  ")
    end
end

local function add_fields(lines, fields)
    for _, field in ipairs(fields) do
        add(lines, "- `%s`: `%s` %s", field.name, field.type:gsub("luxel%.", ""), escape(field.text))
    end
    if #fields > 0 then add(lines, "") end
end

local function value_text(value) return ("`%s` %s"):format(value.type, escape(value.text)) end

local function add_entry(lines, entry)
    local described = reference.describe(entry)
    add(lines, "### `%s`\n", described.signature)
    add(lines, "%s\n", escape(described.text))
    add_arguments(lines, described.arguments, "")
    if #described.arguments > 0 then add(lines, "") end
    if described.input then add(lines, "Called with: %s\n", value_text(described.input)) end
    if #described.returns > 0 then
        add(lines, "Returns:\n")
        for _, value in ipairs(described.returns) do add(lines, "- %s", value_text(value)) end
        add(lines, "")
    end
    if entry.fields and #entry.fields > 0 then
        add(lines, "Fields:\n")
        add_fields(lines, entry.fields)
    end
end

-- A page: what its file says, the fields of a class, the entries, and those that another page describes.
local function page_text(book, page)
    local lines, elsewhere = {}, {}
    add(lines, "# %s\n", page.title)
    if page.header ~= "" then add(lines, "%s\n", escape(page.header)) end
    if page.class then add_fields(lines, reference.plain_fields(page.class)) end
    for _, entry in ipairs(page.entries) do
        if entry.same_as then
            local described = book.by_name[entry.same_as].page
            add(elsewhere, "- `%s`: the same as [`%s`](%s.md)", entry.name, entry.same_as, described)
        else
            add_entry(lines, entry)
        end
    end
    if #elsewhere > 0 then
        add(lines, "## Described elsewhere\n")
        table.move(elsewhere, 1, #elsewhere, #lines + 1, lines)
    end
    return (table.concat(lines, "\n"):gsub("\n+$", "") .. "\n")
end

-- The classes that annotations of public names mention and that have no page: results that are tables of fields.
local function results(book)
    local found = {}
    local function mention(text)
        for name in text:gmatch("[%w_%.]+") do
            local class = book.sources.classes[name:gsub("^luxel%.", "")]
            local title = class and class_title(class.class)
            if class and not found[title] and not book.pages[title] and not book.by_name["lx.nn." .. title] then
                found[title] = class
                for _, field in ipairs(class.fields) do mention(field.type) end
            end
        end
    end
    for _, page in ipairs(book.pages) do
        for _, field in ipairs(page.class and page.class.fields or {}) do mention(field.type) end
        for _, entry in ipairs(page.entries) do
            for _, value in ipairs(entry.comment and entry.comment.returns or {}) do mention(value.type) end
            for _, value in ipairs(entry.comment and entry.comment.params or {}) do mention(value.type) end
        end
    end
    return found
end

local function sorted(t)
    local keys = {}
    for key in next, t do keys[#keys + 1] = key end
    table.sort(keys)
    return keys
end

local function results_text(found)
    local lines = {"# Tables\n", "Tables that functions take and return, by their fields.\n"}
    for _, title in ipairs(sorted(found)) do
        add(lines, "## %s\n", title)
        if found[title].text ~= "" then add(lines, "%s\n", escape(found[title].text)) end
        add_fields(lines, found[title].fields)
    end
    return (table.concat(lines, "\n"):gsub("\n+$", "") .. "\n")
end

local function index_text(book)
    local lines = {
        "# Reference\n",
        "Written by `make reference` from the annotations and declarations of the module. `lx.help(\"Conv2d\")` is an",
        "entry, and `make docs` makes HTML of all. A mistake in an argument is an error that names the function, the",
        "argument and the type it should have, in the words of these pages. What the world does wrong (files, memory,",
        "devices) is returned as `nil, message, code`. Dimensions and indices count from 1, negative ones from the",
        "end.",
        "",
    }
    for _, page in ipairs(book.pages) do
        add(lines, "- [%s](%s.md): %s", page.title, page.title, escape(table.concat(reference.members(page), ", ")))
    end
    add(lines, "- [Tables](tables.md) that functions take and return\n")
    return table.concat(lines, "\n")
end

--- All files: their contents by path.
---@return table<string, string>
function generator.files()
    local book = reference.book()
    local found = results(book)
    local files = {
        ["docs/api/README.md"] = index_text(book), ["docs/api/tables.md"] = results_text(found),
        ["tools/luals/luxel.lua"] = luals.text(book, found),
    }
    for _, page in ipairs(book.pages) do
        files["docs/api/" .. page.title .. ".md"] = page_text(book, page)
    end
    return files
end

--- Writes all files below a folder, and removes pages that there are no more.
---@param folder string
function generator.write(folder)
    os.execute(("cd '%s' && mkdir -p docs/api tools/luals && rm -f docs/api/*.md"):format(folder))
    for path, text in pairs(generator.files()) do
        local file <close> = assert(io.open(folder .. "/" .. path, "w"))
        assert(file:write(text))
    end
end

if arg and arg[0] and arg[0]:find("tools/reference%.lua$") then generator.write(arg[1] or ".") end

return generator
