--- Everything public, with what its annotation and its declaration say: for `lx.help` and for docs/api.
--
-- Names come from the tables that users see, arguments from the declarations (args.lua), and words from the comment
-- above the function in its file. Where one function of the file makes many, the words are in the comment of the class
-- of that name (`---@class ReLU`, `---@field abs` of Tensor), or above the line that has the name in quotes.
local annotations = require "luxel.annotations"
local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"

-- Methods that only the library calls.
local INNER <const> = {["Optimizer:update"] = true, ["Scheduler:rate"] = true}

-- Methods of layers that the page of Module describes for all, or that only the library calls.
local OF_EVERY_LAYER <const> = {forward = true, extra = true, init = true, check_input = true, multiply_adds = true,
    item = true, set_item = true}

local reference = {}

-- ---- files ----------------------------------------------------------------------------------------------------

local function module_names()
    local names = {}
    for name in next, package.loaded do
        if name:find("^luxel%f[.\0]") and package.searchpath(name, package.path) then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

-- All annotations: {files = by path, classes = by name, tensor = the fields of Tensor by name}.
local function read_sources()
    local sources = {files = {}, classes = {}, tensor = {}}
    for _, name in ipairs(module_names()) do
        local path = package.searchpath(name, package.path)
        local file = assert(annotations.read(path))
        sources.files[path] = file
        for _, comment in ipairs(file.comments) do
            if comment.class then sources.classes[comment.class:gsub("^luxel%.", "")] = comment end
        end
    end
    if not sources.classes.Tensor then
        args.fail("help: package.path does not lead to the Lua files of luxel, whose annotations it reads")
    end
    for _, field in ipairs(sources.classes.Tensor.fields) do sources.tensor[field.name] = field end
    return sources
end

-- The file of a function, as `read_sources` has it: nil for functions that are not the library's.
local function file_of(sources, f)
    return sources.files[debug.getinfo(f, "S").source:gsub("^@", "")]
end

-- ---- what there is --------------------------------------------------------------------------------------------

-- The declared function behind a public value: itself, or what calling the table does.
local function declared_of(value)
    if args.declared[value] then return value end
    local meta = type(value) == "table" and getmetatable(value)
    local call = meta and rawget(meta, "__call")
    if call and args.declared[call] then return call end
    local init = type(value) == "table" and rawget(value, "init")
    return init and args.declared[init] and init or nil
end

-- A field of Tensor as if it were a comment: `fun(t: Tensor): Tensor -x` says what it returns and what it is.
local function comment_of_field(sources, name, is_method)
    local plain = name:gsub("_$", "")
    local field = sources.tensor[name] or sources.tensor[plain]
    if not field then return nil end
    local text = field.text
    if plain ~= name then
        text = text:gsub("; `[%w_]+` in place$", "") .. ", in place"
    elseif not is_method then
        text = text:gsub("; `[%w_]+` in place$", "")
    end
    return {text = text, params = {}, returns = {{type = field.type:match("^fun%b():%s*(.+)$") or "", text = ""}},
        fields = {}}
end

-- The comment that describes a function of this name: the one above it, or where a function of its file makes many, the
-- one above the line that names it, or the field of Tensor.
local function find_comment(sources, member, declaration)
    local file = file_of(sources, declaration.f)
    local above = file and file.below[debug.getinfo(declaration.f, "S").linedefined]
    if above and (above.text ~= "" or #above.params > 0) then return above end
    return file and file.naming[member] or comment_of_field(sources, member, declaration.method) or above
end

local function merge_class(sources, entry, class)
    local described, comment = sources.classes[entry.member], entry.comment
    local text = described and described.text or ""
    if comment and comment.text ~= "" then text = text == "" and comment.text or text .. "\n" .. comment.text end
    entry.text = text
    entry.fields = described and described.fields or {}
    local forward = rawget(class, "forward")
    if not forward or not args.declared[forward] then return end
    entry.forward = find_comment(sources, "forward", args.declared[forward])
    if entry.forward and entry.text == "" then entry.text = entry.forward.text end
end

-- The value of a function's upvalue.
local function upvalue(f, name)
    for i = 1, 255 do
        local found, value = debug.getupvalue(f, i)
        if found == name or not found then return value end
    end
end

-- The defaults of options where the function takes them from a table: args.with_defaults(options, DEFAULTS), or
-- another call that ends so.
local function defaults_of(sources, f)
    local file, info = file_of(sources, f), debug.getinfo(f, "S")
    if not file then return nil end
    local body = table.concat(file.lines, "\n", info.linedefined, info.lastlinedefined)
    local given = body:match("options, ([%u_]+)%)")
    local value = upvalue(f, given or "DEFAULTS")
    if value then return value end
    given = body:match("options, (%b{})%)")
    local chunk = given and load("return " .. given, "defaults", "t", {})
    local ok, defaults = pcall(chunk or error)
    return ok and defaults or nil
end

local function new_entry(sources, page, name, value)
    local f = declared_of(value)
    local entry = {name = name, page = page, member = name:match("[%w_]+$"), value = value, declared = f}
    local declaration = f and args.declared[f]
    local like = declaration and args.declared[declaration.like]
    entry.comment = like and find_comment(sources, like.name, like)
        or declaration and find_comment(sources, entry.member, declaration)
    entry.text = entry.comment and entry.comment.text or ""
    if type(value) == "table" and rawget(value, "class_name") then merge_class(sources, entry, value) end
    entry.defaults = type(value) == "table" and rawget(value, "defaults")
        or declaration and defaults_of(sources, declaration.f)
    return entry
end

local function is_callable(value)
    local meta = type(value) == "table" and getmetatable(value)
    return type(value) == "function" or meta and meta.__call ~= nil
end

-- The header of the file of a namespace: the module whose value it is.
local function header_of(sources, title, space)
    for _, name in ipairs(module_names()) do
        if rawequal(package.loaded[name], space) then
            return sources.files[package.searchpath(name, package.path)].header
        end
    end
    local path = package.searchpath(title:gsub("^lx", "luxel"), package.path)
    return path and annotations.read(path).header or ""
end

local function sorted_keys(t)
    local keys = {}
    for key in next, t do
        if type(key) == "string" then keys[#keys + 1] = key end
    end
    table.sort(keys)
    return keys
end

-- Loads everything, and lists the namespaces: {title =, space =} in the order of their names.
local function namespaces(title, space, found)
    found[#found + 1] = {title = title, space = space}
    for _, name in ipairs(getmetatable(space).names()) do
        local value = space[name]
        local meta = type(value) == "table" and getmetatable(value)
        if meta and meta.__name == title .. "." .. name then namespaces(meta.__name, value, found) end
    end
    return found
end

-- The library's methods by the title of their class: {Dataset = {subset = f}}.
local function methods(sources)
    local classes = {Tensor = {}}
    for name, method in next, core.metatable.methods do
        if args.declared[method] then classes.Tensor[name] = method end
    end
    for f, declaration in next, args.declared do
        local class, name = declaration.name:match("^(%u%w*):([%w_]+)$")
        if class and type(f) == "function" and not INNER[declaration.name] and file_of(sources, declaration.f) then
            classes[class] = classes[class] or {}
            classes[class][name] = f
        end
    end
    return classes
end

-- ---- the whole ------------------------------------------------------------------------------------------------

local function add(book, entry)
    book.by_name[entry.name] = entry
    if book.by_value[entry.value] == nil then book.by_value[entry.value] = entry end
    table.insert(book.pages[entry.page].entries, entry)
end

local function add_page(book, title, header, class)
    book.pages[title] = {title = title, header = header, entries = {}, class = class}
    table.insert(book.pages, book.pages[title])
end

local function add_methods(book, sources, page, class, members, left_out)
    for _, name in ipairs(sorted_keys(members)) do
        if not left_out[name] then add(book, new_entry(sources, page, class .. ":" .. name, members[name])) end
    end
end

local function add_namespace(book, sources, title, space)
    add_page(book, title, header_of(sources, title, space))
    book.page_of[space] = book.pages[title]
    for _, name in ipairs(getmetatable(space).names()) do
        local value = space[name]
        local full = title .. "." .. name
        if is_callable(value) then
            local method = book.by_value[value]
            local entry = new_entry(sources, title, full, value)
            entry.same_as = method and method.page ~= title and method.name or nil
            add(book, entry)
        end
    end
end

local function is_layer(class)
    return type(rawget(lx.nn, class)) == "table" and class ~= "Module"
end

local book -- made when first asked for

--- All pages, each with its entries in the order of names: {title =, header =, class =, entries =}; `by_name` and
--- `by_value` find an entry, `page_of` the page of a namespace.
---@return table
function reference.book()
    if book then return book end
    local spaces = namespaces("lx", lx, {})
    local sources = read_sources()
    local new = {pages = {}, page_of = {}, by_name = {}, by_value = {}, sources = sources}
    local classes = methods(sources)
    for _, class in ipairs(sorted_keys(classes)) do
        if not is_layer(class) then
            local comment = sources.classes[class] or sources.classes["opencl." .. class]
            add_page(new, class, comment and comment.text or "", comment)
            add_methods(new, sources, class, class, classes[class], {})
        end
    end
    for _, found in ipairs(spaces) do add_namespace(new, sources, found.title, found.space) end
    for _, class in ipairs(sorted_keys(classes)) do
        if is_layer(class) then add_methods(new, sources, "lx.nn", class, classes[class], OF_EVERY_LAYER) end
    end
    book = new
    return book
end

-- ---- one entry ------------------------------------------------------------------------------------------------

local function named(list, name)
    for _, one in ipairs(list or {}) do
        if one.name == name then return one end
    end
end

-- A default as users would write it.
local function literal(value)
    if type(value) == "string" then return ("%q"):format(value) end
    if type(value) ~= "table" then return type(value) == "number" and ("%.14g"):format(value) or tostring(value) end
    local words = {}
    for i, one in ipairs(value) do words[i] = literal(one) end
    return "{" .. table.concat(words, ", ") .. "}"
end

local argument_of

-- The options of a parameter that takes a table of them. `described` has fields that a class of annotations describes.
local function options_of(parsed, defaults, described)
    local options = {}
    for _, alternative in ipairs(parsed) do
        for _, field in ipairs(alternative.fields or {}) do
            local default = defaults and defaults[field.name]
            options[#options + 1] = argument_of(field, named(described, field.name), default)
        end
    end
    return options
end

-- A description of options, "a: words; b, c: words", by their names, and the rest of it.
local function split_notes(text, options)
    local notes, rest, last = {}, {}, ""
    for part in (text .. "; "):gmatch("(.-); ") do
        local names, words = part:match("^([%w_, ]+): (.*)$")
        local known = names ~= nil
        for name in (names or ""):gmatch("[^, ]+") do known = known and named(options, name) ~= nil end
        if known then
            last = names
            for name in names:gmatch("[^, ]+") do notes[name] = words end
        elseif last ~= "" then
            for name in last:gmatch("[^, ]+") do notes[name] = notes[name] .. "; " .. part end
        elseif part ~= "" then
            rest[#rest + 1] = part
        end
    end
    return notes, table.concat(rest, "; ")
end

-- The first class with fields among the types of an annotation.
local function class_in(note)
    for word in note.type:gmatch("[%w_%.]+") do
        local class = book.sources.classes[word:gsub("^luxel%.", "")]
        if class and #class.fields > 0 then return class end
    end
end

-- `{name =, about = type, default and description in words, type =, note =, optional =, options =}` of a parameter.
function argument_of(parameter, note, default, defaults)
    local parsed = parameter.type
    local about = args.words(parsed)
    local text = note and note.text or ""
    if parsed.optional and tonumber(text) then default, text = tonumber(text), "" end -- `---@param slope number? 0.01`
    if default ~= nil and type(default) ~= "function" then
        about = about .. ", default " .. literal(default)
    elseif parsed.optional then
        about = about .. ", optional"
    end
    local class = note and note.type and class_in(note)
    local options = options_of(parsed, defaults, class and class.fields)
    if #options > 0 then
        local notes
        notes, text = split_notes(text, options)
        for _, option in ipairs(options) do
            if notes[option.name] then option.about = option.about .. "; " .. notes[option.name] end
        end
    end
    if text ~= "" then about = about .. "; " .. text end
    return {
        name = parameter.name, about = about, type = parsed, note = note, optional = parsed.optional or false,
        options = options,
    }
end

-- The arguments that users give: without the object before the colon, or the table that is called.
local function arguments_of(entry)
    local parameters, rest = args.parameters(entry.declared)
    local notes, list = entry.comment and entry.comment.params, {}
    local is_object = entry.name:find(":", 1, true) or entry.value ~= entry.declared
    for i, parameter in ipairs(parameters) do
        if i > 1 or not is_object then
            list[#list + 1] = argument_of(parameter, named(notes, parameter.name), nil, entry.defaults)
        end
    end
    if rest then list[#list + 1] = argument_of({name = "...", type = rest}, named(notes, "...")) end
    return list
end

local function signature_of(entry, arguments)
    local names = {}
    for i, argument in ipairs(arguments) do names[i] = argument.name .. (argument.optional and "?" or "") end
    return ("%s(%s)"):format(entry.name, table.concat(names, ", "))
end

-- The results of an entry: of a layer, those of calling it.
local function returns_of(entry)
    local list = {}
    local comment = entry.forward or entry.comment
    for i, value in ipairs(comment and comment.returns or {}) do
        list[i] = {type = value.type:gsub("luxel%.(%u)", "%1"), text = value.text:gsub("luxel%.(%u)", "%1")}
    end
    return list
end

--- The fields of a class without those that are methods, which have entries.
---@param class table
---@return table[]
function reference.plain_fields(class)
    local fields = {}
    for _, field in ipairs(class.fields) do
        if not field.type:find("^fun%(") then fields[#fields + 1] = field end
    end
    return fields
end

--- What a page has, by name: its own by the last part of theirs, and methods of layers, which share a page, with the
--- layer.
---@param page table of `reference.book`
---@return string[]
function reference.members(page)
    local names = {}
    for i, entry in ipairs(page.entries) do
        local class = entry.name:match("^(.*):")
        names[i] = class and class ~= page.title and entry.name or entry.member
    end
    return names
end

--- The description of an entry: `name`, `signature`, `text`, `same_as` (another name of the same), `arguments`, a list
--- of {name =, about =, options =}, `returns`, a list of {type =, text =}, and `input`, which a layer is called with.
---@param entry table of `reference.book`
---@return table
function reference.describe(entry)
    local arguments = arguments_of(entry)
    local input = entry.forward and entry.forward.params[1]
    return {
        name = entry.name, signature = signature_of(entry, arguments), text = entry.text, same_as = entry.same_as,
        arguments = arguments, returns = returns_of(entry), input = input,
    }
end

return reference
