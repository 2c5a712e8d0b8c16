--- `lx.help`: the entry of a name in the reference, as text.

local args = require "luxel.args"
local near = require "luxel.near"
local reference = require "luxel.reference"

local Entry = {__name = "help"}
Entry.__index = Entry

local WIDTH <const> = 100

-- A paragraph in lines of at most WIDTH characters; all but the first are further in.
local function add_wrapped(lines, text, indent)
    local line = indent
    for word in text:gmatch("%S+") do
        if line:find("%S") and #line + #word >= WIDTH then
            lines[#lines + 1] = line
            line = indent .. "  "
        end
        line = line .. (line:find("%S") and " " or "") .. word
    end
    lines[#lines + 1] = line
end

local function add_arguments(lines, list, indent)
    for _, argument in ipairs(list) do
        add_wrapped(lines, argument.name .. ": " .. argument.about, indent)
        add_arguments(lines, argument.options, indent .. "    ")
    end
end

local function add_values(lines, title, list)
    if #list > 0 then lines[#lines + 1] = title end
    for _, value in ipairs(list) do add_wrapped(lines, value.type .. " " .. value.text, "    ") end
end

function Entry:__tostring()
    local lines = {self.signature, ""}
    if self.text ~= "" then lines[3], lines[4] = "    " .. self.text:gsub("\n", "\n    "), "" end
    if self.same_as then table.insert(lines, 2, "    the same as " .. self.same_as) end
    if #self.arguments > 0 then lines[#lines + 1] = "Arguments" end
    add_arguments(lines, self.arguments, "    ")
    if self.input then add_values(lines, "Called with", {self.input}) end
    add_values(lines, "Returns", self.returns)
    add_values(lines, "Fields", self.fields or {})
    if self.members then add_values(lines, "Has", {{type = table.concat(self.members, ", "), text = ""}}) end
    for i, line in ipairs(lines) do lines[i] = line:gsub("%s+$", "") end
    while lines[#lines] == "" do lines[#lines] = nil end
    return table.concat(lines, "\n")
end

local function ending_of(name) return name:match("([%w_]+)$") or name end

-- The entry that a name means: its full name, its last part alone, or with a point where methods have a colon. Of
-- several, the one of the first page.
local function find(book, name)
    local plain = name:gsub(":", "."):lower()
    local found
    for _, page in ipairs(book.pages) do
        for _, entry in ipairs(page.entries) do
            if entry.name == name or entry.name == "lx." .. name then return entry end
            local full = entry.name:gsub(":", "."):lower()
            local fits = full == plain or full:sub(-#plain - 1) == "." .. plain
            if fits and (not found or entry.member == ending_of(name) and found.member ~= ending_of(name)) then
                found = entry
            end
        end
    end
    return found
end

local function suggestion(book, name)
    local names = {}
    for _, page in ipairs(book.pages) do
        for _, entry in ipairs(page.entries) do names[#names + 1] = entry.member end
    end
    return near.suggestion(ending_of(name), names)
end

-- What a page says of a namespace or a class as a whole.
local function describe_page(page)
    local fields = {}
    for i, field in ipairs(page.class and reference.plain_fields(page.class) or {}) do
        fields[i] = {type = ("%s: %s"):format(field.name, field.type), text = field.text}
    end
    return {
        name = page.title, signature = page.title, text = page.header, arguments = {}, returns = {}, fields = fields,
        members = reference.members(page),
    }
end

--- The entry of a public function, class or method in the reference, or what a namespace has; print it to read it, or
--- see it at the REPL.
---@param what any a name, such as "Conv2d", "nn.Conv2d", "tensor.sum" or "lx.vision", or the function, class or
--- namespace itself, or a layer
---@return table entry `name`, `signature`, `text`, `arguments`, `returns`
local function help(what)
    local book = reference.book()
    local entry, page
    if type(what) == "string" then
        -- a full title goes before what merely ends in it: Frame is the class, and frame the function
        entry = book.by_name[what] or not book.pages[what] and find(book, what)
        page = not entry and (book.pages[what] or book.pages["lx." .. what])
        if not entry and not page then
            args.fail("help: what: nothing public has the name '%s'%s; print(lx) lists what there is", what,
                suggestion(book, what))
        end
    else
        local meta = type(what) == "table" and getmetatable(what)
        entry = book.by_value[what] or type(meta) == "table" and book.by_value[rawget(meta, "class")]
        page = not entry and book.page_of[what]
        if not entry and not page then
            args.fail("help: what: expected a name, or a public function, class or namespace, got %s",
                args.describe(what))
        end
    end
    return setmetatable(entry and reference.describe(entry) or describe_page(page), Entry)
end

return args.public("help", "what: any", help)
