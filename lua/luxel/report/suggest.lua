--- From findings to suggestions for the reader, by a table of rules.

local args = require "luxel.args"
local result_type = require "luxel.result"
local suggestion_rules = require "luxel.report.suggestion_rules"

local suggest = {}

--- What goes with suggestions wherever a person reads them.
suggest.NOTICE = "Suggestions are for the reader of the film and prescribe nothing: a physician decides."

---@class luxel.Suggestion
---@field say string
---@field finding string
---@field rule string its name
---@field line integer of the rule in its file
---@field source string title of what the rule is from
---@field section string where in it

---@class luxel.Suggestions
---@field suggestions luxel.Suggestion[] in the order of the rules
---@field unjudged {rule: string, finding: string, missing: string[]}[] rules that could not be judged, and what is not
---  known
---@field without_rule string[] findings that no rule is about
---@field rules string name, version and file of the table
---@field notice string

local FIELDS <const> = {"suggestions", "unjudged", "without_rule", "rules", "notice"}

local new_result = result_type("suggestions", FIELDS, function(self)
    local lines = {("suggestions: %d by %s"):format(#self.suggestions, self.rules)}
    for _, one in ipairs(self.suggestions) do
        lines[#lines + 1] = ("  %s: %s"):format(one.finding, one.say)
        lines[#lines + 1] = ("    rule %s, line %d; source: %s; %s"):format(one.rule, one.line, one.source, one.section)
    end
    for _, one in ipairs(self.unjudged) do
        lines[#lines + 1] = ("  not judged for %s: rule %s, for want of: %s"):format(one.finding, one.rule,
            table.concat(one.missing, ", "))
    end
    if #self.without_rule > 0 then
        lines[#lines + 1] = "  no rule is about: " .. table.concat(self.without_rule, ", ")
    end
    lines[#lines + 1] = "  " .. self.notice
    return table.concat(lines, "\n")
end)

local function within(range, value) return value >= range.low and value < range.high end

-- Each condition of a rule: true, false, or nil and what would have to be known.
local CONDITIONS <const> = {
    probability = function(condition, finding)
        if not condition.word then return within(condition, finding.probability) end
        if not finding.threshold then return nil, "threshold" end
        return (finding.probability >= finding.threshold) == (condition.word == "positive")
    end,
    doubt = function(condition, finding)
        local known = finding.doubt
        if condition.word then known = finding.uncertain end
        if known == nil then return nil, "doubt" end
        if condition.word then return known == (condition.word == "uncertain") end
        return within(condition, known)
    end,
    age = function(condition, _, options)
        if not options.age then return nil, "age" end
        return within(condition, options.age)
    end,
    urgency = function(condition, _, options)
        if not options.urgency then return nil, "urgency" end
        return condition[options.urgency] == true
    end,
}
local ORDER <const> = {"probability", "doubt", "age", "urgency"}

-- Whether a rule holds: true, false, or nil and what is not known.
local function judge(rule, finding, options)
    local missing = {}
    for _, name in ipairs(ORDER) do
        local holds, want = true, nil
        if rule[name] then holds, want = CONDITIONS[name](rule[name], finding, options) end
        if holds == false then return false end
        missing[#missing + 1] = want
    end
    if #missing > 0 then return nil, missing end
    return true
end

local usual -- the table that Luxel has, once read

local function usual_rules()
    if not usual then
        local message
        usual, message = suggestion_rules.rules()
        if not usual then error(message, 0) end
    end
    return usual
end

-- The findings by their plain names.
local function by_name(findings)
    local known = {}
    for i, finding in ipairs(findings) do
        local name = suggestion_rules.plain(finding.finding)
        if known[name] then
            args.fail("suggest: findings: '%s' is there twice, the second at %d", finding.finding, i)
        end
        known[name] = finding
    end
    return known
end

--- The suggestions for the findings of a film.
---@param findings table[]
---@param options table
---@return luxel.Suggestions
function suggest.suggest(findings, options)
    local rules = options.rules or usual_rules()
    local known, suggestions, unjudged, about, without_rule = by_name(findings), {}, {}, {}, {}
    for _, rule in ipairs(rules.rules) do
        for _, name in ipairs(rule.findings) do
            local finding = known[suggestion_rules.plain(name)]
            about[suggestion_rules.plain(name)] = true
            local holds, missing = false, nil
            if finding then holds, missing = judge(rule, finding, options) end
            if holds then
                suggestions[#suggestions + 1] = {
                    say = rule.say, finding = finding.finding, rule = rule.name, line = rule.line,
                    source = rule.source.title, section = rule.source.section,
                }
            elseif missing then
                unjudged[#unjudged + 1] = {rule = rule.name, finding = finding.finding, missing = missing}
            end
        end
    end
    for _, finding in ipairs(findings) do
        if not about[suggestion_rules.plain(finding.finding)] then without_rule[#without_rule + 1] = finding.finding end
    end
    return new_result {
        suggestions = suggestions, unjudged = unjudged, without_rule = without_rule, notice = suggest.NOTICE,
        rules = ("%s, version %s (%s)"):format(rules.name, rules.version, rules.path),
    }
end

return suggest
