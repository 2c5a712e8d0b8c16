--- Files of rules for reports, as `chest.rules`: read, checked, and made into tries.
--
--     [finding NAME], [device NAME]     what is reported, in the order of the columns
--     present: phrase; phrase           words that say that it is there
--     absent: phrase                    words that say that it is not
--     doubt: phrase                     words that leave it open
--     not: phrase                       words that say nothing of it, though words of it are in them
--     [cues]                            what changes what words before or after say: `KIND REACH: phrase; phrase`
--     [words]                           severity, side and place: `KIND: phrase; phrase`
--
-- Lines may be repeated. What phrases are made of is in phrases.lua.

local args = require "luxel.args"
local namespace = require "luxel.namespace"
local near = require "luxel.near"
local phrases = require "luxel.text.phrases"
local rule_file = require "luxel.text.rule_file"

local VALUES <const> = {present = 1, absent = 0, doubt = -1, ["not"] = "not"}
local CUES <const> = {
    ["deny before"] = true, ["deny next"] = true, ["deny after"] = true, ["deny around"] = true,
    ["doubt before"] = true, ["doubt near"] = true, ["doubt after"] = true, ["doubt around"] = true,
    ["doubt beside"] = true, ["choice before"] = true, ["choice beside"] = true,
    ["aside before"] = true, ["aside near"] = true, ["aside after"] = true, ["end"] = true, ["end deny"] = true,
    ["nothing"] = true,
}
local WORDS <const> = {severity = true, side = true, place = true}

---@class luxel.Rules
---@field path string the file
---@field findings string[] the names of what is reported, in order
---@field count integer how many phrases there are

local Rules = namespace.class("Rules", {}, {})

function Rules:__tostring()
    return ("Rules: %d findings, %d phrases of %s"):format(#self.findings, self.count, self.path)
end

local function names_of(set)
    local names = {}
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- The keys of the section that a heading begins, and the finding that it is of; nil, message.
local function open_section(self, heading)
    if heading == "cues" then return CUES end
    if heading == "words" then return WORDS end
    local kind, name = heading:match("^(%a+) (.+)$")
    if kind ~= "finding" and kind ~= "device" then
        return nil, ("[%s] is no section: there are [finding NAME], [device NAME], [cues] and [words]"):format(heading)
    elseif not name:find("^[%w_][%w_ ]*$") then
        return nil, ("'%s' is no name for a finding: letters, digits, spaces and _ are"):format(name)
    elseif name == "No Finding" then
        return nil, "No Finding follows from the other findings, and has no rules of its own"
    elseif self.is_device[name] ~= nil then
        return nil, ("the finding '%s' is there twice"):format(name)
    end
    self.findings[#self.findings + 1], self.is_device[name] = name, kind == "device"
    return VALUES, name
end

local function add_phrase(self, text, what, seen)
    local forms, message = phrases.parse(text)
    if not forms then return nil, ("'%s': %s"):format(text, message) end
    local of, fresh, kept = what.finding and "finding " .. what.finding or what.cue and "cues" or "words", {}, {}
    for _, form in ipairs(forms) do
        local key = of .. "\0" .. table.concat(form, " ")
        if seen[key] and not fresh[key] then
            return nil, ("'%s' is there already, in line %d"):format(text, seen[key])
        elseif not fresh[key] then
            fresh[key], seen[key] = true, what.line
            kept[#kept + 1] = form
        end
    end
    self.trie:add(kept, what)
    self.count = self.count + 1
    return true
end

-- What a line with a key says of its phrases.
local function meaning(section, finding, key, number)
    if finding then return {finding = finding, value = section[key], line = number} end
    if section == WORDS then return {word = key, line = number} end
    local cue, reach = key:match("^(%a+) ?(%a*)$")
    return {cue = cue, reach = reach, line = number}
end

-- The phrases of a line.
local function take_line(self, state, key, rest, number)
    if state.section[key] == nil then
        local known = names_of(state.section)
        return nil, ("there is no '%s' in this section%s; there are %s"):format(key, near.suggestion(key, known),
            table.concat(known, ", "))
    end
    local what = meaning(state.section, state.finding, key, number)
    for text in (rest .. ";"):gmatch("([^;]*);") do
        text = text:match("^%s*(.-)%s*$")
        if text == "" then return nil, "a phrase is missing" end
        local ok, message = add_phrase(self, text, what, state.seen)
        if not ok then return nil, message end
    end
    if state.finding and key ~= "not" then state.said[state.finding] = true end
    return true
end

local here <const> = debug.getinfo(1, "S").source:match("^@(.*/)") or ""

--- Reads a file of rules for `lx.text.label`. Without a path the rules that Luxel has (lua/luxel/text/chest.rules), of
--- which a copy may be changed: its first lines say how it is written.
---@param path string?
---@return luxel.Rules? rules, string? message, string? code with the line and the reason where the file has a mistake
local function rules(path)
    path = path or here .. "chest.rules"
    local self = {
        path = path, findings = {}, is_device = {}, count = 0, trie = phrases.trie(),
    }
    local state = {seen = {}, opened = {}, said = {}} -- by finding: its line, and whether it has phrases
    local ok, message, code = rule_file.read(path, "KEY: phrase; phrase", function(heading, number)
        local section, name = open_section(self, heading)
        state.section, state.finding = section, name
        if section and name then state.opened[name] = number end
        return section, name
    end, function(key, rest, number) return take_line(self, state, key, rest, number) end)
    if not ok then return nil, message, code end
    if #self.findings == 0 then return nil, ("%s: it has no findings"):format(path), "format" end
    for _, name in ipairs(self.findings) do
        if not state.said[name] then
            return nil, ("%s: line %d: the finding '%s' has no phrase that says anything of it"):format(path,
                state.opened[name], name), "format"
        end
    end
    return setmetatable(self, Rules)
end

return {
    rules = args.public("rules", "path: path?", rules), class = Rules,
}
