--- Where a source file can be mutated: operators, constants, signs, bounds and dropped lines, in C, kernels and Lua.
-- Comments, strings, preprocessor lines and what is only said in an error are not touched.

local sites = {}

sites.KINDS = {"operator", "constant", "sign", "bound", "line"}

-- ---- tokens -----------------------------------------------------------------------------------------------------

---@class mutate.Token
---@field kind "name"|"number"|"op"|"string"
---@field text string
---@field from integer first byte
---@field to integer last byte
---@field said boolean? inside a call that only says what is wrong

local THREE <const> = {["..."] = true, ["<<="] = true, [">>="] = true}
local TWO <const> = {}
for op in ("== ~= != <= >= << >> // .. :: && || += -= *= /= %= &= |= ^= ++ -- ->"):gmatch("%S+") do TWO[op] = true end

-- The line up to a place in it.
local function line_of(text, at)
    local from = at
    while from > 1 and text:sub(from - 1, from - 1) ~= "\n" do from = from - 1 end
    return text:sub(from, at)
end

-- The first byte behind a comment, string or preprocessor line that begins at `at`; the second result: it is a string.
local SKIP <const> = {
    lua = function(text, at)
        local mark = text:match("^%-%-%[(=*)%[", at)
        if mark then return select(2, text:find("]" .. mark .. "]", at, true)) + 1 end
        if text:find("^%-%-", at) then return text:find("\n", at, true) or #text + 1 end
        mark = text:match("^%[(=*)%[", at)
        if mark then return select(2, text:find("]" .. mark .. "]", at, true)) + 1, true end
    end,
    c = function(text, at)
        if text:find("^/%*", at) then return select(2, text:find("*/", at, true)) + 1 end
        if text:find("^//", at) then return text:find("\n", at, true) or #text + 1 end
        if text:sub(at, at) ~= "#" or not line_of(text, at):find("^%s*#") then return end
        -- of a macro, only its name and parameters are skipped: kernels are written in macros
        local body = text:match("^#%s*define%s+[%w_]+%b()()", at) or text:match("^#%s*define%s+[%w_]+()", at)
        if body then return body end
        repeat
            at = text:find("\n", at, true)
            local continued = text:sub(at - 1, at - 1) == "\\"
            at = at + 1
        until not continued
        return at
    end,
}

local function end_of_quotes(text, at)
    local quote = text:sub(at, at)
    local place = at + 1
    while text:sub(place, place) ~= quote do place = place + (text:sub(place, place) == "\\" and 2 or 1) end
    return place + 1
end

local function end_of_number(text, at)
    local stop = select(2, text:find("^[%w%.]+", at))
    local exponent = text:sub(at, stop):find("^%d[%d%.]*[eE]$") and select(2, text:find("^[+-]%d+%a*", stop + 1))
    return (exponent or stop) + 1
end

---@param text string
---@param language "c"|"lua"
---@return mutate.Token[]
local function tokens(text, language)
    local found, at, skip = {}, 1, SKIP[language]
    while at <= #text do
        local from = at
        local behind, string = skip(text, at)
        local kind = string and "string"
        if behind then
            at = behind
        elseif text:find("^%s", at) then
            at = text:find("%S", at) or #text + 1
        elseif text:find("^[\"']", at) then
            at, kind = end_of_quotes(text, at), "string"
        elseif text:find("^%d", at) then
            at, kind = end_of_number(text, at), "number"
        elseif text:find("^[%a_]", at) then
            at, kind = select(2, text:find("^[%w_]+", at)) + 1, "name"
        else
            local length = THREE[text:sub(at, at + 2)] and 3 or TWO[text:sub(at, at + 1)] and 2 or 1
            at, kind = at + length, "op"
        end
        if kind then found[#found + 1] = {kind = kind, text = text:sub(from, at - 1), from = from, to = at - 1} end
    end
    return found
end

-- Calls whose arguments are words for a person: how they read is not what specs are about.
local SAYS <const> = {}
for name in ("error fail lx_fail differ luaL_error luaL_argerror snprintf printf fprintf format"):gmatch("%S+") do
    SAYS[name] = true
end

local function mark_said(list)
    for i, token in ipairs(list) do
        if token.kind == "name" and SAYS[token.text] and list[i + 1] and list[i + 1].text == "(" then
            local depth, place = 0, i + 1
            repeat
                local text = list[place].text
                depth = depth + (text == "(" and 1 or text == ")" and -1 or 0)
                list[place].said = true
                place = place + 1
            until depth == 0 or not list[place]
        end
    end
end

-- ---- the five kinds ---------------------------------------------------------------------------------------------

local OPERATORS <const> = {
    ["+"] = "-", ["-"] = "+", ["*"] = "/", ["/"] = "*", ["//"] = "*", ["%"] = "*", ["<<"] = ">>", [">>"] = "<<",
    ["&"] = "|", ["|"] = "&", ["+="] = "-=", ["-="] = "+=", ["*="] = "/=", ["/="] = "*=", ["|="] = "&=",
    ["&="] = "|=", ["&&"] = "||", ["||"] = "&&", ["and"] = "or", ["or"] = "and", ["~="] = "==", ["!="] = "==",
}
local BOUNDS <const> = {["<"] = "<=", ["<="] = "<", [">"] = ">=", [">="] = ">"}
local LIMITS <const> = {
    min = "max", max = "min", fmin = "fmax", fmax = "fmin", fminf = "fmaxf", fmaxf = "fminf", lx_min = "lx_max",
    lx_max = "lx_min", MIN = "MAX", MAX = "MIN",
}

-- Binary operators stand between spaces, here as everywhere in the project.
local function is_binary(text, token)
    return text:find("^%s", token.to + 1) and text:sub(token.from - 1, token.from - 1):find("%s")
end

local function other_numbers(token)
    local hex = token.text:find("^0[xX]")
    local body, suffix = token.text:match(hex and "^(0[xX]%x+)([uUlL]*)$" or "^(.-)([uUlLfF]*)$")
    local value = body and tonumber(body)
    if not value then return {} end
    if math.type(value) == "integer" then
        if value == 0 then return {"1" .. suffix} end
        return {("%d%s"):format(value + 1, suffix), ("%d%s"):format(value - 1, suffix)}
    end
    local twice = ("%.12g"):format(value == 0 and 1 or value * 2)
    return {(twice:find("[%.e]") and twice or twice .. ".0") .. suffix}
end

-- Adds the sites of a token.
local function of_token(add, text, list, i, language)
    local token, before, after = list[i], list[i - 1], list[i + 1]
    local word = token.text
    if token.kind == "number" then
        local room_for_text = language == "c" and line_of(text, token.from):find("char [%w_]+%[%d$")
        for _, other in ipairs(room_for_text and {} or other_numbers(token)) do
            add("constant", token.from, token.to, other)
        end
        return
    end
    local binary = is_binary(text, token)
    if word == "==" and binary then add("operator", token.from, token.to, language == "c" and "!=" or "~=") end
    if OPERATORS[word] and binary then add("operator", token.from, token.to, OPERATORS[word]) end
    if (word == "not" or word == "!") and after then add("operator", token.from, after.from - 1, "") end
    if BOUNDS[word] and binary then add("bound", token.from, token.to, BOUNDS[word]) end
    if LIMITS[word] and after and after.text == "(" then add("bound", token.from, token.to, LIMITS[word]) end
    if language == "lua" and word == "do" and line_of(text, token.from):find("^%s*for [%w_]+ = ") then
        add("bound", token.from, token.from - 1, "- 1 ")
    end
    if (word == "*" or word == "/") and binary and after and (after.kind == "name" or after.kind == "number") then
        add("sign", after.from, after.from - 1, "-")
    end
    if word == "-" and not binary and before and (before.kind == "op" and not before.text:find("[%)%]}]")
        or before.text == "return") then
        add("sign", token.from, token.to, "")
    end
end

local NO_LINE <const> = {
    lua = {["local"] = true, ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true, ["do"] = true},
    c = {["else"] = true, case = true, default = true, ["do"] = true, typedef = true, static = true, const = true,
        int = true, long = true, float = true, double = true, unsigned = true, char = true, struct = true, enum = true},
}

-- Adds the lines that can be dropped whole; whether what is left can be compiled is tried later.
local function of_lines(add, text, list, language)
    local by_line, lines = {}, {}
    local line, scanned = 1, 1
    for _, token in ipairs(list) do
        line = line + select(2, text:sub(scanned, token.from - 1):gsub("\n", ""))
        scanned = token.from
        if not by_line[line] then
            by_line[line] = {}
            lines[#lines + 1] = line
        end
        table.insert(by_line[line], token)
    end
    for place, number in ipairs(lines) do
        local here, above = by_line[number], by_line[lines[place - 1]]
        local first, last = here[1], here[#here]
        local depth, meant = 0, false
        for _, token in ipairs(here) do
            depth = depth + (token.text:find("^[%(%[{]$") and 1 or token.text:find("^[%)%]}]$") and -1 or 0)
            meant = meant or token.kind ~= "string" and not token.said
        end
        local whole = depth == 0 and meant and first.kind == "name" and not NO_LINE[language][first.text]
        if language == "c" then
            -- a statement, no declaration (TYPE name, TYPE *name), and not in a macro
            whole = whole and last.text == ";" and (first.text == "return" or not (here[2].kind == "name"
                or here[2].text == "*")) and not text:find("^[^\n]*\\\n", first.from) and above
            local body = whole and (above[#above].text == ")" or above[#above].text == "else")
            if whole then add("line", first.from, last.to, body and "{}" or "") end
        elseif whole and not text:find("^\n?[%w]", first.from - 1) then -- what is not indented is the module's frame
            add("line", first.from, last.to, "")
        end
    end
end

--- All sites of a file: what is between `from` and `to` becomes `with`.
---@param text string
---@param language "c"|"lua"
---@return {kind: string, from: integer, to: integer, with: string}[]
function sites.of(text, language)
    local found, list = {}, tokens(text, language)
    mark_said(list)
    local function add(kind, from, to, with) found[#found + 1] = {kind = kind, from = from, to = to, with = with} end
    for i, token in ipairs(list) do
        if not token.said and token.kind ~= "string" then of_token(add, text, list, i, language) end
    end
    of_lines(add, text, list, language)
    return found
end

return sites
