--- Tables of rules for suggestions, as `suggestions.rules`: read, and refused with line and reason where a rule names
--- nothing that is known, has no source, could never hold, or could hold together with another one.

local args = require "luxel.args"
local namespace = require "luxel.namespace"
local near = require "luxel.near"
local rule_file = require "luxel.text.rule_file"

local MOST_RULES <const> = 1000 -- each pair of them is compared
local MOST_TEXT <const> = 400 -- characters of what a rule says

--- What a suggestion begins with: what a reader may do, and no treatment.
local VERBS <const> = {"Ask", "Check", "Compare", "Consider", "Look", "Repeat", "Tell"}

local YEARS <const> = {child = {low = 0, high = 18}, adult = {low = 18, high = math.huge}}
local URGENCIES <const> = {"routine", "urgent"}

---@class luxel.SuggestionRule
---@field name string
---@field line integer
---@field findings string[] one of which it is about, as the table calls them
---@field probability table? {word = "positive"|"negative"} by the model's threshold, or {low, high}: low <= p < high
---@field doubt table? {word = "certain"|"uncertain"} or {low, high}
---@field age table? {low, high} in years, low <= age < high
---@field urgency table<string, boolean>? of the request
---@field say string
---@field source luxel.SuggestionSource

---@class luxel.SuggestionSource
---@field name string
---@field line integer
---@field title string
---@field section string where in it the rule is from

---@class luxel.SuggestionRules
---@field path string the file
---@field name string
---@field version string as the file says it
---@field findings string[] the findings that rules may be about
---@field rules luxel.SuggestionRule[]
local Rules = namespace.class("SuggestionRules", {}, {})

function Rules:__tostring()
    return ("SuggestionRules: %s, version %s: %d rules for %d findings, of %s"):format(self.name, self.version,
        #self.rules, #self.findings, self.path)
end

--- A finding as it is compared: `Pleural_Thickening` is `pleural thickening`.
---@param name string
---@return string
local function plain(name) return (name:lower():gsub("_", " ")) end

-- ---- values ---------------------------------------------------------------------------------------------------

-- The words of a list "A, B", or nil and the mistake.
local function words_of(text)
    local words, seen = {}, {}
    for word in (text .. ","):gmatch("([^,]*),") do
        word = word:match("^%s*(.-)%s*$")
        if word == "" then return nil, "a name is missing beside a comma" end
        if seen[plain(word)] then return nil, ("'%s' is there twice"):format(word) end
        seen[plain(word)], words[#words + 1] = true, word
    end
    return words
end

-- The ends of "LOW..HIGH", either of which may be missing; nil for anything else.
local function ends_of(text)
    local low, high = text:match("^(%d*%.?%d*)%s*%.%.%s*(%d*%.?%d*)$")
    if not low or low == "" and high == "" then return nil end
    low, high = low == "" and 0 or tonumber(low), high == "" and math.huge or tonumber(high)
    if low and high then return low, high end
end

-- A range of probability or doubt. The last value there may be is in the range that ends with it.
local function share_of(most, words)
    return function(text)
        for _, word in ipairs(words) do
            if text == word then return {word = word} end
        end
        local low, high = ends_of(text)
        if not low then
            return nil, ("expected %s or a range LOW..HIGH, got '%s'"):format(table.concat(words, ", "), text)
        elseif low > most or high > most and high < math.huge then
            return nil, ("'%s' is not between 0 and %g"):format(text, most)
        elseif low >= high then
            return nil, ("nothing is in '%s': the rule could never hold"):format(text)
        end
        return {low = low, high = high < most and high or math.huge}
    end
end

-- Years of age, the last one included: 35..64 ends on the 65th birthday.
local function years_of(text)
    if YEARS[text] then return YEARS[text] end
    local low, high = ends_of(text)
    if not low or low % 1 ~= 0 or high < math.huge and high % 1 ~= 0 then
        return nil, ("expected child, adult or whole years LOW..HIGH, got '%s'"):format(text)
    elseif low > 150 or high > 150 and high < math.huge then
        return nil, ("'%s': nobody is older than 150"):format(text)
    elseif low > high then
        return nil, ("nobody is in '%s': the rule could never hold"):format(text)
    end
    return {low = low, high = high + 1}
end

local function urgency_of(text)
    local words, message = words_of(text)
    if not words then return nil, message end
    local set = {}
    for _, word in ipairs(words) do
        if word ~= URGENCIES[1] and word ~= URGENCIES[2] then
            return nil, ("'%s' is no urgency: there are %s"):format(word, table.concat(URGENCIES, " and "))
        end
        set[word] = true
    end
    return set
end

local function text_of(text)
    if text == "" then return nil, "it is empty" end
    if utf8.len(text) > MOST_TEXT then return nil, ("it has more than %d characters"):format(MOST_TEXT) end
    return text
end

-- What is said to the reader.
local function saying_of(text)
    local said, message = text_of(text)
    if not said then return nil, message end
    local first = text:match("^%a*")
    for _, verb in ipairs(VERBS) do
        if first == verb then return text end
    end
    return nil, ("it begins with '%s'; a suggestion is what a reader may do, and begins with %s"):format(first,
        table.concat(VERBS, ", "))
end

-- The keys of each kind of section, and what reads their values.
local KEYS <const> = {
    table = {version = text_of, findings = words_of},
    source = {title = text_of, section = text_of},
    rule = {
        finding = words_of, probability = share_of(1, {"positive", "negative"}), age = years_of,
        doubt = share_of(0.5, {"certain", "uncertain"}), urgency = urgency_of, say = saying_of, source = text_of,
    },
}
local NEEDED <const> = {
    table = {"version", "findings"}, source = {"title", "section"}, rule = {"finding", "say", "source"},
}

local function names_of(set)
    local names = {}
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- ---- sections -------------------------------------------------------------------------------------------------

local function open_section(self, heading, number)
    local kind, name = heading:match("^(%a+) (.+)$")
    if not KEYS[kind] then
        return nil, ("[%s] is no section: there are [table NAME], [source NAME] and [rule NAME]"):format(heading)
    elseif not name:find("^[%w_][%w_ -]*$") then
        return nil, ("'%s' is no name: letters, digits, spaces, - and _ are"):format(name)
    elseif (kind == "table") ~= (self.table == nil) then
        return nil, self.table and ("there is a second [table]; the first is in line %d"):format(self.table.line)
            or "the first section has to be [table NAME]"
    end
    local list = self[kind .. "s"]
    local before = list and list[name]
    if before then
        return nil, ("there is another %s '%s' in line %d"):format(kind, name, before.line)
    elseif kind == "rule" and #list == MOST_RULES then
        return nil, ("there are more than %d rules"):format(MOST_RULES)
    end
    local section = {kind = kind, name = name, line = number, lines = {}, values = {}}
    if list then list[name], list[#list + 1] = section, section else self.table = section end
    self.last = section
    return true
end

local function take_line(self, key, text, number)
    local section = self.last
    local keys = KEYS[section.kind]
    if not keys[key] then
        local known = names_of(keys)
        return nil, ("there is no '%s' in a %s%s; there are %s"):format(key, section.kind, near.suggestion(key, known),
            table.concat(known, ", "))
    elseif section.lines[key] then
        return nil, ("there is a second '%s'; the first is in line %d"):format(key, section.lines[key])
    end
    local value, message = keys[key](text)
    if value == nil then return nil, ("%s: %s"):format(key, message) end
    section.values[key], section.lines[key] = value, number
    return true
end

-- ---- the whole ------------------------------------------------------------------------------------------------

local function missing_in(section)
    for _, key in ipairs(NEEDED[section.kind]) do
        if not section.values[key] then
            return section.line, ("the %s '%s' has no '%s'"):format(section.kind, section.name, key)
        end
    end
end

-- The rule's findings as the table calls them, and its source; or the line and what is wrong.
local function resolve(self, section, known, listed)
    local values = section.values
    local findings = {}
    for i, name in ipairs(values.finding) do
        findings[i] = known[plain(name)]
        if not findings[i] then
            return nil, section.lines.finding, ("there is no finding '%s' in the table%s; there are %s"):format(name,
                near.suggestion(name, listed), table.concat(listed, ", "))
        end
    end
    local source = self.sources[values.source]
    if not source then
        local names = {}
        for i, one in ipairs(self.sources) do names[i] = one.name end
        return nil, section.lines.source, ("there is no source '%s'%s"):format(values.source,
            near.suggestion(values.source, names))
    end
    source.used = true
    return {
        name = section.name, line = section.line, findings = findings, probability = values.probability,
        doubt = values.doubt, age = values.age, urgency = values.urgency, say = values.say,
        source = {
            name = source.name, line = source.line, title = source.values.title, section = source.values.section,
        },
    }
end

-- Whether two conditions may hold together; a word and a range may, since the threshold is the model's.
local function meet(a, b)
    if not a or not b then return true end
    if a.word and b.word then return a.word == b.word end
    return a.word or b.word or math.max(a.low, b.low) < math.min(a.high, b.high)
end

local function share_one(a, b)
    if not a or not b then return true end
    for name in pairs(a) do
        if b[name] then return true end
    end
    return false
end

-- The finding for which two rules may hold together, or nil.
local function overlap(a, b)
    if not (meet(a.probability, b.probability) and meet(a.doubt, b.doubt) and meet(a.age, b.age)
        and share_one(a.urgency, b.urgency)) then return nil end
    for _, one in ipairs(a.findings) do
        for _, other in ipairs(b.findings) do
            if one == other then return one end
        end
    end
end

-- The rules of all sections, or the line and what is wrong.
local function put_together(self)
    if not self.table then return nil, 1, "the first section has to be [table NAME]" end
    for _, list in ipairs {{self.table}, self.sources, self.rules} do
        for _, section in ipairs(list) do
            local line, message = missing_in(section)
            if line then return nil, line, message end
        end
    end
    local listed, known, rules = self.table.values.findings, {}, {}
    for _, name in ipairs(listed) do known[plain(name)] = name end
    for i, section in ipairs(self.rules) do
        local rule, line, message = resolve(self, section, known, listed)
        if not rule then return nil, line, message end
        for k = 1, i - 1 do
            local finding = overlap(rules[k], rule)
            if finding then
                return nil, rule.line, ("the rule '%s' and the rule '%s' of line %d may both hold for %s"):format(
                    rule.name, rules[k].name, rules[k].line, finding)
            end
        end
        rules[i] = rule
    end
    for _, source in ipairs(self.sources) do
        if not source.used then return nil, source.line, ("no rule is from the source '%s'"):format(source.name) end
    end
    return rules
end

local here <const> = debug.getinfo(1, "S").source:match("^@(.*/)") or ""

--- Reads a table of rules for `lx.report.suggest`. Without a path the one that Luxel has
--- (lua/luxel/report/suggestions.rules), of which a copy may be changed: its first lines say how it is written. Refused
--- are findings that the table does not list, rules without a source or with none of the table, ranges in which nothing
--- is, and rules that may hold together for one finding.
---@param path string?
---@return luxel.SuggestionRules? rules, string? message, string? code "io"; "format" with line and reason
local function rules(path)
    path = path or here .. "suggestions.rules"
    local self = {rules = {}, sources = {}}
    local ok, message, code = rule_file.read(path, "KEY: VALUE", function(heading, number)
        return open_section(self, heading, number)
    end, function(key, text, number) return take_line(self, key, text, number) end)
    if not ok then return nil, message, code end
    local list, line, why = put_together(self)
    if not list then return nil, ("%s: line %d: %s"):format(path, line, why), "format" end
    local values = self.table.values
    return setmetatable({
        path = path, name = self.table.name, version = values.version, findings = values.findings, rules = list,
    }, Rules)
end

args.type("suggestion_rules", "rules of lx.report.rules", "table", function(value)
    return getmetatable(value) == Rules
end)

return {rules = rules, plain = plain}
