--- Arguments of public functions: declared once, checked before the function runs, blamed on the user's line.
--
--     F.max_pool2d = args.public("max_pool2d",
--         "x: tensor, kernel: pair(1..), options: {stride: pair(1..)?, padding: pair(0..)?}?", F.max_pool2d)
--
-- A declaration names the parameters with their types, as the annotations do: `A|B` is either, `A?` may be left out,
-- `A[]` is a list, `A(low..high)` a number in a range (either end may be missing), `"word"` or `3` the value itself,
-- `{name: A, ...}` a table of named options of which no other is taken, and `...: A` any number of further arguments.
-- Declarations are read when a function is first called, and kept for the reference and the tests in `args.declared`.
-- `args.publish` declares all functions of a table, at the end of its file.

local core = require "luxel.core"
local near = require "luxel.near"

local args = {
    ---@type table<function, {name: string, signature: string, f: function}>
    declared = setmetatable({}, {__mode = "k"}),
}

-- ---- raising --------------------------------------------------------------------------------------------------

-- The names of public functions, with which errors begin: for csrc/lua/errors.c.
local public_names = setmetatable({}, {__mode = "k"})
core.set_names(public_names)

--- Raises at the innermost line outside the library, however deep inside it the mistake is noticed. The message begins
--- with the name of the public function that was called there, which is put before it where it does not.
---@param message string "function: argument: expected ..., got ...", a format for what follows
function args.fail(message, ...)
    if select("#", ...) > 0 then message = message:format(...) end
    core.fail(message)
end

--- A value as messages show it: `float32 [8,1,224,224]` for a tensor, `"text"`, `3.5`, `nil`, `a table`.
---@param value any
---@return string
function args.describe(value)
    local kind = type(value)
    if core.is_tensor(value) then
        if core.is_freed(value) then return "a freed tensor" end
        return value.dtype .. " [" .. table.concat(value.shape, ",") .. "]"
    elseif kind == "string" then
        return #value > 40 and ("%q…"):format(value:sub(1, 40)) or ("%q"):format(value)
    elseif kind == "number" or kind == "boolean" or kind == "nil" then
        return tostring(value)
    end
    local named = getmetatable(value)
    named = type(named) == "table" and type(rawget(named, "__name")) == "string" and rawget(named, "__name")
    return "a " .. (named or kind)
end

-- ---- types ----------------------------------------------------------------------------------------------------

-- Each type: the Lua type of its values, a test (nil: the Lua type is enough) and its words in messages.
local TYPES <const> = {
    any = {kinds = {}, words = "anything"},
    boolean = {kinds = {"boolean"}, words = "true or false"},
    ["function"] = {kinds = {"function", "table"}, words = "a function", test = function(value)
        if type(value) == "function" then return true end
        local meta = getmetatable(value)
        return type(meta) == "table" and meta.__call ~= nil
    end},
    integer = {kinds = {"number"}, words = "an integer", test = function(value)
        return math.tointeger(value) ~= nil
    end},
    number = {kinds = {"number"}, words = "a number"},
    string = {kinds = {"string"}, words = "a string"},
    table = {kinds = {"table"}, words = "a table"},
    tensor = {kinds = {"userdata"}, words = "a tensor", test = core.is_usable},
}

--- Adds a type for declarations.
---@param name string
---@param words string as in "expected <words>, got ..."
---@param kind string the Lua type of its values
---@param test (fun(value: any, low: number?, high: number?): boolean)?
function args.type(name, words, kind, test)
    TYPES[name] = {kinds = {kind}, words = words, test = test}
end

local function in_range(value, low, high)
    return (not low or value >= low) and (not high or value <= high)
end

local function range_words(low, high)
    if low and high then return (" from %s to %s"):format(low, high) end
    if low then return (" of at least %s"):format(low) end
    return high and (" of at most %s"):format(high) or ""
end

-- A size for height and width: an integer for both, or {h, w}.
args.type("pair", "an integer or a pair {h, w}", "number", function(value, low, high)
    local h, w = value, value
    if type(value) == "table" then
        if #value ~= 2 or next(value, 2) ~= nil then return false end
        h, w = value[1], value[2]
    end
    h, w = math.tointeger(h), math.tointeger(w)
    return h ~= nil and w ~= nil and in_range(h, low, high) and in_range(w, low, high)
end)
TYPES.pair.kinds = {"number", "table"}
args.type("text", "text that is not empty", "string", function(value) return value ~= "" end)
args.type("false", "false", "boolean", function(value) return value == false end)
-- Any number but NaN, which has no place in an order.
args.type("ordered", "a number other than NaN", "number", function(value) return value == value end)
args.type("any_tensor", "a tensor", "userdata", core.is_tensor)
-- For numbers of which NaN or infinity would spoil everything that is computed with them.
args.type("finite", "a finite number", "number", function(value) return value - value == 0 end)

-- ---- reading declarations -------------------------------------------------------------------------------------

local parse_type, tests_of

-- `{name: type, ...}` and parameter lists: what follows `position` up to `closing`.
local function parse_fields(text, position, closing)
    local fields = {types = {}, tests = {}, needed = {}}
    while true do
        position = text:find("[^%s,]", position) or #text + 1
        if text:sub(position, position) == closing then return fields, position + 1 end
        local name, after = text:match("^([%w_%.]+)%s*:%s*()", position)
        assert(name, "declaration: a name is expected at: " .. text:sub(position))
        local parsed
        parsed, position = parse_type(text, after)
        fields[#fields + 1] = {name = name, type = parsed}
        fields.types[name], fields.tests[name] = parsed, tests_of(parsed)
        if not parsed.optional then table.insert(fields.needed, name) end
    end
end

local function parse_alternative(text, position)
    if text:sub(position, position) == "{" then
        local fields, after = parse_fields(text, position + 1, "}")
        return {fields = fields}, after
    end
    local literal, after = text:match('^"([^"]*)"()', position)
    if not literal then
        literal, after = text:match("^(%-?%d[%w%.]*)()", position)
        literal = tonumber(literal)
    end
    if literal then return {literal = literal}, after end
    local name
    name, after = text:match("^([%w_]+)()", position)
    local alternative = {name = name, base = TYPES[name] or error("declaration: no type " .. text:sub(position), 0)}
    local low, high, closed = text:match("^%(([^%.%)]*%.?[^%.%)]*)%.%.([^%)]*)%)()", after)
    if closed then
        alternative.low, alternative.high, after = tonumber(low), tonumber(high), closed
    end
    return alternative, after
end

function parse_type(text, position)
    local parsed = {}
    repeat
        local alternative
        alternative, position = parse_alternative(text, position)
        if text:sub(position, position + 1) == "[]" then
            alternative, position = {element = alternative}, position + 2
        end
        parsed[#parsed + 1] = alternative
        local bar = text:match("^%s*|%s*()", position)
        position = bar or position
    until not bar
    if text:sub(position, position) == "?" then
        parsed.optional, position = true, position + 1
    end
    return parsed, position
end

-- ---- checking -------------------------------------------------------------------------------------------------

local accepts

local function is_list(value, element)
    local count = #value
    for key in next, value do
        if math.type(key) ~= "integer" or key < 1 or key > count then return false end
    end
    for i = 1, count do
        if not accepts(element, value[i]) then return false end
    end
    return true
end

local function has_inherited_fields(fields, value)
    for _, field in ipairs(fields) do
        if not accepts(field.type, value[field.name]) then return false end
    end
    return true
end

local function has_fields(fields, value)
    local tests, needed = fields.tests, fields.needed
    for key, field in next, value do
        local test = tests[key]
        local ok = test and test[type(field)]
        if ok ~= true and not (ok and ok(field)) then return false end
    end
    if getmetatable(value) then return has_inherited_fields(fields, value) end
    for i = 1, #needed do
        if value[needed[i]] == nil then return false end
    end
    return true
end

local function matches(alternative, value)
    if alternative.literal then return value == alternative.literal end
    if alternative.element then return type(value) == "table" and is_list(value, alternative.element) end
    if alternative.fields then return type(value) == "table" and has_fields(alternative.fields, value) end
    local base, low, high = alternative.base, alternative.low, alternative.high
    local kind, fits = type(value), #base.kinds == 0 and value ~= nil
    for _, expected in ipairs(base.kinds) do fits = fits or kind == expected end
    if not fits or base.test and not base.test(value, low, high) then return false end
    return kind ~= "number" or in_range(value, low, high)
end

-- Whether a value is of a type: of a parsed one, or of one of its alternatives.
function accepts(parsed, value)
    if #parsed == 0 then return matches(parsed, value) end
    if value == nil then return parsed.optional end
    for i = 1, #parsed do
        if matches(parsed[i], value) then return true end
    end
    return false
end

-- A type of one plain alternative is known from the Lua type alone, or by a test without a walk over alternatives.
local function quick_test(parsed, kind)
    if kind == "nil" then return parsed.optional or false end
    local possible, certain, only
    local count = 0
    for _, alternative in ipairs(parsed) do
        local base = alternative.base
        local kinds = base and base.kinds or {alternative.literal and type(alternative.literal) or "table"}
        for _, expected in ipairs(#kinds > 0 and kinds or {kind}) do
            if expected == kind then
                possible, only, count = true, alternative, count + 1
                certain = certain or base and not base.test and not alternative.low and not alternative.high
            end
        end
    end
    if certain then return true end
    if count == 1 and only.fields then
        local fields = only.fields
        return function(value) return has_fields(fields, value) end
    elseif count == 1 and only.base and only.base.test then
        local test, low, high = only.base.test, only.low, only.high
        if not low and not high then return test end
        return function(value) return test(value, low, high) and (kind ~= "number" or in_range(value, low, high)) end
    end
    return possible and function(value) return accepts(parsed, value) end or false
end

-- The results of quick_test by Lua type, each computed when first asked for.
function tests_of(parsed)
    return setmetatable({}, {__index = function(self, kind)
        self[kind] = quick_test(parsed, kind)
        return self[kind]
    end})
end

-- A type in words. `list` is the format of lists in them.
local function words_of(parsed, list)
    local words = {}
    for _, alternative in ipairs(#parsed > 0 and parsed or {parsed}) do
        if alternative.literal then
            words[#words + 1] = args.describe(alternative.literal)
        elseif alternative.element then
            words[#words + 1] = (list or "a list, each %s"):format(words_of(alternative.element, list))
        elseif alternative.fields then
            words[#words + 1] = "a table of options"
        else
            words[#words + 1] = alternative.base.words .. range_words(alternative.low, alternative.high)
        end
    end
    if #words < 2 then return words[1] end
    return table.concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
end

--- A parsed type in the words of messages, with brackets around what a list holds.
---@param parsed table
---@return string
function args.words(parsed) return words_of(parsed, "a list (each %s)") end

local function names_of(fields)
    local names = {}
    for i, field in ipairs(fields) do names[i] = field.name end
    return names
end

-- The mistake in a table of options, in words; nil if there is none.
local function mistake_in_fields(where, fields, value)
    for key in next, value do
        if not fields.types[key] then
            local names = names_of(fields)
            local shown = type(key) == "string" and "'" .. key .. "'" or "[" .. tostring(key) .. "]"
            return ("%s: unknown option %s%s; the options are %s"):format(where, shown, near.suggestion(key, names),
                table.concat(names, ", "))
        end
    end
    for _, field in ipairs(fields) do
        local inner = value[field.name]
        if inner == nil and not field.type.optional then
            return ("%s: the option '%s' is needed: %s"):format(where, field.name, words_of(field.type))
        elseif not accepts(field.type, inner) then
            return args.mistake(where .. ": option '" .. field.name .. "'", field.type, inner)
        end
    end
end

local function takes_tensor(parsed)
    for _, alternative in ipairs(parsed) do
        if alternative.base and alternative.base.kinds[1] == "userdata" then return true end
    end
    return false
end

-- Why a value is not of the type, in words.
function args.mistake(where, parsed, value)
    local literals = {}
    for _, alternative in ipairs(parsed) do
        if alternative.fields and type(value) == "table" and (#parsed == 1 or type(next(value)) == "string") then
            local mistake = mistake_in_fields(where, alternative.fields, value)
            if mistake then return mistake end
        end
        if type(alternative.literal) == "string" then literals[#literals + 1] = alternative.literal end
    end
    local got = args.describe(value)
    local meta = getmetatable(value)
    local no_tensor = type(meta) == "table" and rawget(meta, "no_tensor")
    if no_tensor and takes_tensor(parsed) then got = got .. ", " .. no_tensor end
    local key = type(value) == "table" and not getmetatable(value) and next(value)
    if type(key) == "string" then
        got = ("a table with the name '%s'"):format(key)
    elseif key and #parsed > 0 then
        for i, element in ipairs(value) do
            for _, alternative in ipairs(parsed) do
                local of = alternative.element
                if of and not accepts(of, element) then
                    local named = of.fields and type(element) == "table" and (#parsed == 1
                        or type(next(element)) == "string")
                    local mistake = named and mistake_in_fields(("%s: %d"):format(where, i), of.fields, element)
                    if mistake then return mistake end
                    got = ("%s at place %d of the list"):format(args.describe(element), i)
                end
            end
        end
    end
    return ("%s: expected %s, got %s%s"):format(where, words_of(parsed), got, near.suggestion(value, literals))
end

-- ---- declaring ------------------------------------------------------------------------------------------------

local function blame(declaration, index, value)
    local parameter = declaration.parameters[index]
    local where = declaration.name .. ": " .. parameter.name
    local message = args.mistake(where, parameter.type, value)
    if index == 1 and declaration.method and not declaration.constructor then
        message = ("%s; methods are called with a colon, as in %s:%s(…)"):format(message, parameter.name,
            declaration.name:match("[%w_]+$"))
    end
    if declaration.advice then message = message .. "; " .. declaration.advice end
    args.fail("%s", message)
end

-- Tables that say by Lua type whether a parameter takes a value: true, false, or a test. Filled when first looked at.
local LUA_TYPES <const> = {"nil", "boolean", "number", "string", "table", "function", "userdata", "thread"}

local function read(declaration)
    if declaration.parameters then return end
    local fields = parse_fields(declaration.signature, 1, "")
    if fields[#fields] and fields[#fields].name == "..." then
        declaration.rest = table.remove(fields).type
    end
    declaration.parameters = fields
end

local function lazy(declaration, index)
    return setmetatable({}, {__index = function(self, kind)
        read(declaration)
        local parameter = declaration.parameters[index]
        for _, lua_type in ipairs(LUA_TYPES) do
            self[lua_type] = not parameter or quick_test(parameter.type, lua_type)
        end
        return self[kind]
    end})
end

local function check_rest(declaration, count, ...)
    read(declaration)
    local tests = declaration.rest_tests
    if declaration.rest and not tests then
        tests = {}
        for _, kind in ipairs(LUA_TYPES) do tests[kind] = quick_test(declaration.rest, kind) end
        declaration.rest_tests = tests
    end
    for i = 1, select("#", ...) do
        local value = (select(i, ...))
        if not declaration.rest and value ~= nil then
            count = count - (declaration.method and 1 or 0) -- the object before the colon is not counted
            args.fail("%s: takes %d argument%s, got %s besides", declaration.name, count, count == 1 and "" or "s",
                args.describe(value))
        elseif tests then
            local ok = tests[type(value)]
            if ok ~= true and not (ok and ok(value)) then
                local where = ("%s: argument %d"):format(declaration.name, count + i - (declaration.method and 1 or 0))
                args.fail("%s", args.mistake(where, declaration.rest, value))
            end
        end
    end
end

-- Public functions stay on the stack while they work, for errors to find their names: no tail calls.
local function pass(...) return ... end

--- Declares a public function: the returned one checks the arguments and calls `f`. A name that begins with a colon is
--- a method's.
---@param name string as users call it, for messages
---@param signature string see the top of this file
---@param f function
---@param constructor boolean? `f` is called with the new object before the arguments of the user
---@return function
function args.public(name, signature, f, constructor)
    local method = name:sub(1, 1) == ":"
    local declaration = {
        name = method and name:sub(2) or name, method = method or constructor, constructor = constructor,
        signature = signature, f = f,
    }
    local count = 0
    for parameter in (signature:gsub("%b{}", "")):gmatch("([%w_%.]+)%s*:") do
        if parameter ~= "..." then count = count + 1 end
    end
    local more = signature:find("...:", 1, true) ~= nil
    local public
    local t1, t2, t3 = lazy(declaration, 1), lazy(declaration, 2), lazy(declaration, 3)
    if count == 0 then
        function public(...)
            if ... ~= nil or more and select("#", ...) > 0 then check_rest(declaration, 0, ...) end
            return pass(f(...))
        end
    elseif count == 1 then
        function public(a, ...)
            local ok = t1[type(a)]
            if ok ~= true and not (ok and ok(a)) then blame(declaration, 1, a) end
            if ... ~= nil or more and select("#", ...) > 0 then check_rest(declaration, 1, ...) end
            return pass(f(a, ...))
        end
    elseif count == 2 then
        function public(a, b, ...)
            local ok = t1[type(a)]
            if ok ~= true and not (ok and ok(a)) then blame(declaration, 1, a) end
            ok = t2[type(b)]
            if ok ~= true and not (ok and ok(b)) then blame(declaration, 2, b) end
            if ... ~= nil or more and select("#", ...) > 0 then check_rest(declaration, 2, ...) end
            return pass(f(a, b, ...))
        end
    elseif count == 3 then
        function public(a, b, c, ...)
            local ok = t1[type(a)]
            if ok ~= true and not (ok and ok(a)) then blame(declaration, 1, a) end
            ok = t2[type(b)]
            if ok ~= true and not (ok and ok(b)) then blame(declaration, 2, b) end
            ok = t3[type(c)]
            if ok ~= true and not (ok and ok(c)) then blame(declaration, 3, c) end
            if ... ~= nil or more and select("#", ...) > 0 then check_rest(declaration, 3, ...) end
            return pass(f(a, b, c, ...))
        end
    else
        local tests = {}
        for i = 1, count do tests[i] = lazy(declaration, i) end
        function public(...)
            for i = 1, count do
                local value = (select(i, ...))
                local ok = tests[i][type(value)]
                if ok ~= true and not (ok and ok(value)) then blame(declaration, i, value) end
            end
            if select("#", ...) > count then check_rest(declaration, count, select(count + 1, ...)) end
            return pass(f(...))
        end
    end
    args.declared[public] = declaration
    public_names[public] = declaration.name
    return public
end

--- Says that the reference describes a public function in the words of another, which does its work.
---@param public function
---@param other function a public one
function args.described_by(public, other) args.declared[public].like = other end

--- Says at the end of every mistake in the arguments of a public function how it is meant to be called.
---@param public function
---@param advice string
function args.advise(public, advice) args.declared[public].advice = advice end

--- Declares the functions of a table, each by its signature. A function without one is a mistake in the library, unless
--- it is a metamethod, which users do not call by name.
---@param prefix string of the names in messages: "" or "Dataset:", with a colon for methods
---@param members table<string, any>
---@param signatures table<string, string> by name
---@return table members the same
function args.publish(prefix, members, signatures)
    local method = prefix:sub(-1) == ":"
    for name, member in next, members do
        local signature = signatures[name]
        if type(member) == "function" and not args.declared[member] and (signature or not name:find("^__")) then
            assert(signature, "no declaration of " .. prefix .. tostring(name))
            local shown = name == "init" and prefix:gsub("[:.]$", "") or prefix .. name
            if method and name ~= "init" then shown = ":" .. shown:gsub("^:", "") end
            members[name] = args.public(shown, signature, member, name == "init")
        end
    end
    for name in next, signatures do assert(members[name] ~= nil, "no function " .. prefix .. name) end
    return members
end

--- The parameters of a public function, `{name=, type=}` each, and the type of further ones.
---@param public function
---@return {name: string, type: table}[]?, table? rest
function args.parameters(public)
    local declaration = args.declared[public]
    if not declaration then return nil end
    read(declaration)
    return declaration.parameters, declaration.rest
end

local parsed_types = {}

--- The mistake in a value, in words: "where: expected ..., got ...". Nil if nothing is.
---@param where string
---@param signature string a type as in declarations
---@param value any
---@return string?
function args.mistake_in(where, signature, value)
    local parsed = parsed_types[signature]
    if not parsed then
        parsed = parse_type(signature, 1)
        parsed_types[signature] = parsed
    end
    if not accepts(parsed, value) then return args.mistake(where, parsed, value) end
end

--- Checks one value where a declaration cannot: raises `where: expected ..., got ...`.
---@param where string "function: argument"
---@param signature string a type as in declarations
---@param value any
---@return any value
function args.check(where, signature, value)
    local mistake = args.mistake_in(where, signature, value)
    if mistake then args.fail("%s", mistake) end
    return value
end

--- A new table of `defaults` overlaid by what was given.
---@param given table?
---@param defaults table
---@return table
function args.with_defaults(given, defaults)
    local merged = {}
    for name, value in next, defaults do merged[name] = value end
    for name, value in next, given or {} do merged[name] = value end
    return merged
end

return args
