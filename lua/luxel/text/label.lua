--- What a report of a chest radiograph says of each finding, by rules that a person can read (chest.rules), in the
--- manner of NegEx (Chapman et al., J. Biomed. Inform. 34, 2001), ConText (Harkema et al., J. Biomed. Inform. 42, 2009)
--- and CheXpert's labeler (Irvin et al., AAAI 2019): words of findings, and cues that deny them, put them in doubt or
--- set them aside, each with a reach.
--
-- A sentence is worked on in four steps: which phrases it has (phrases.lua); which of those count, because no longer
-- one has their words; how far each cue reaches; and what the cues that reach a finding make of it.

local args = require "luxel.args"
local plain = require "luxel.text.plain"
local divided = require "luxel.text.rules"
local result_type = require "luxel.result"
local sections = require "luxel.text.sections"
local sentences_of = require "luxel.text.sentences"

local MOST <const> = 400 -- words of a sentence; what is longer is worked on in pieces
local NEAR <const> = 6 -- words that a cue `near` and one `beside` reach
local AROUND <const> = 5 -- words around a finding in which severity, side and place are looked for

local STATUS <const> = {[1] = "present", [0] = "absent", [-1] = "uncertain"}

-- ---- words ----------------------------------------------------------------------------------------------------

-- Adds the signs between two words: each "?", and of the others one before and one behind it, ";" where one of them is
-- one, else ",".
local function add_signs(words, starts, stops, text, from, to)
    local n, sign = #words, nil
    local function add(word, first, last)
        n = n + 1
        words[n], starts[n], stops[n] = word, first, last
    end
    for place, one in text:sub(from, to):gmatch "()([,;()?])" do
        if one == "?" then
            if sign then add(sign, to + 1, to) end
            add("?", from + place - 1, from + place - 1)
            sign = nil
        else
            sign = (one == ";" or sign == ";") and ";" or ","
        end
    end
    if sign and to < #text then add(sign, to + 1, to) end
end

-- Words in lower case, "," for a comma or a parenthesis, ";" for a semicolon, "?"; and where each begins and ends.
local function words_of(text)
    local words, starts, stops = {}, {}, {}
    text = plain.lower(plain.text(text))
    local lead = text:match("^[^%w\128-\255]*")
    if lead ~= "" then add_signs(words, starts, stops, text, 1, #lead) end
    for from, word, to, behind in text:gmatch("()([%w\128-\255]+)()([^%w\128-\255]*)", #lead + 1) do
        local n = #words + 1
        words[n], starts[n], stops[n] = word, from, to - 1
        if behind ~= " " and behind ~= "" then add_signs(words, starts, stops, text, to, to + #behind - 1) end
    end
    return words, starts, stops
end

-- ---- phrases --------------------------------------------------------------------------------------------------

-- Sorted by beginning; of those that begin together the longest first.
local function earlier(a, b)
    if a.from ~= b.from then return a.from < b.from end
    if a.to ~= b.to then return a.to > b.to end
    return a.what.line < b.what.line
end

-- Those of a sorted list that lie inside no longer one of the list.
local function outermost(list)
    local kept, reach = {}, 0
    for _, one in ipairs(list) do
        if one.to > reach then kept[#kept + 1], reach = one, one.to end
    end
    return kept
end

-- The phrases of a sentence: mentions of findings, cues, and words of severity, side and place.
local function find_phrases(rules, words)
    local by_finding, cues, others = {}, {}, {}
    rules.trie:find(words, function(from, to, what, gaps)
        local one = {from = from, to = to, what = what, gaps = gaps}
        if what.cue then
            cues[#cues + 1] = one
        elseif what.word then
            others[#others + 1] = one
        else
            local list = by_finding[what.finding]
            if not list then
                list = {}
                by_finding[what.finding] = list
            end
            list[#list + 1] = one
        end
    end)
    local mentions = {}
    for _, list in pairs(by_finding) do
        if list[2] then table.sort(list, earlier) end
        for _, one in ipairs(list[2] and outermost(list) or list) do
            if one.what.value ~= "not" then mentions[#mentions + 1] = one end
        end
    end
    table.sort(mentions, earlier)
    return mentions, cues, others
end

-- Whether a cue is a part of what names a finding: "no" in "no man's land" denies nothing. In a gap it is none.
local function swallowed(cue, mentions)
    for _, mention in ipairs(mentions) do
        if mention.from > cue.to then return false end
        if not mention.gaps and cue.from >= mention.from and cue.to <= mention.to then return true end
    end
    return false
end

local function clean_cues(cues, mentions)
    if not cues[1] then return cues end
    table.sort(cues, earlier)
    local kept = {}
    for _, cue in ipairs(outermost(cues)) do
        if cue.what.cue ~= "nothing" and not swallowed(cue, mentions) then kept[#kept + 1] = cue end
    end
    return kept
end

-- ---- reach ----------------------------------------------------------------------------------------------------

-- The last word that a cue reaches forwards: up to what ends a clause, or a cue that says something else instead. Doubt
-- takes over from denial only behind a comma: "no opacity to suggest pneumonia" denies.
local function reach_forwards(words, cues, index)
    local cue = cues[index]
    local last, comma = #words, false
    local place, near = cue.to + 1, cue.what.reach == "near" and cue.to + NEAR
    for k = index + 1, #cues do
        local other = cues[k]
        for i = place, other.from - 1 do
            if words[i] == ";" then return i - 1 end
            if words[i] == "," then comma = true end
        end
        place = math.max(place, other.from)
        local what = other.what
        local takes_over = what.cue == "end" and (what.reach ~= "deny" or cue.what.cue == "deny")
            or (what.reach == "before" or what.reach == "near")
                and (cue.what.cue ~= "deny" or what.cue == "deny" or comma)
        if takes_over then
            last = other.from - 1
            break
        end
    end
    for i = cue.to + 1, last do
        local word = words[i]
        if word == ";" or near and (i > near or word == "," or word == "and" or word == "with") then return i - 1 end
    end
    return last
end

-- Whether a cue that stands before what it is about stands behind it here: "effusion: none", "pneumonia (possible)", at
-- the end of a clause.
local function is_last(words, cue)
    local what, after = cue.what, words[cue.to + 1]
    if after and after ~= ";" then return false end
    return what.cue == "deny" and what.reach == "before" or what.cue == "doubt" and what.reach == "near"
end

-- The first word that a cue reaches backwards: up to what ends a clause or another cue, and over a comma only in a
-- list that ends with "or". One beside a cue at the end of a clause, as in "effusion (none)", does not matter.
local function reach_backwards(words, cues, index)
    local cue, first, joined = cues[index], 1, false
    local skip = is_last(words, cue) or words[cue.to] == ","
    for k = index - 1, 1, -1 do
        local what = cues[k].what
        if what.cue == "end" and what.reach == "" or what.cue ~= "end" and what.reach ~= "beside" then
            first = cues[k].to + 1
            break
        end
    end
    for i = cue.from - (skip and words[cue.from - 1] == "," and 2 or 1), first, -1 do
        local word = words[i]
        if word == "or" or word == "nor" then joined = true end
        if word == ";" or word == "," and not joined then return i + 1 end
    end
    return first
end

-- The words on both sides of a cue for a choice ("atelectasis or scarring"), up to what ends a clause; a comma beside
-- the cue does not.
local function reach_beside(words, cues, index)
    local cue = cues[index]
    local first, last = math.max(1, cue.from - NEAR), math.min(#words, cue.to + NEAR)
    for k, other in ipairs(cues) do
        if other.what.cue == "end" and other.what.reach == "" then
            if k < index then first = math.max(first, other.to + 1) else last = math.min(last, other.from - 1) end
        end
    end
    for i = cue.from - 1, first, -1 do
        if words[i] == ";" or words[i] == "," and i < cue.from - 1 then
            first = i + 1
            break
        end
    end
    for i = cue.to + 1, last do
        if words[i] == ";" or words[i] == "," and i > cue.to + 1 then
            last = i - 1
            break
        end
    end
    return first, last
end

-- The words that a cue is about.
local function reach_of(words, cues, index)
    local cue = cues[index]
    local reach = cue.what.reach
    if is_last(words, cue) then return reach_backwards(words, cues, index), cue.from - 1 end
    if reach == "next" then return cue.to + 1, cue.to + 1 end
    if reach == "before" or reach == "near" then return cue.to + 1, reach_forwards(words, cues, index) end
    if reach == "after" then return reach_backwards(words, cues, index), cue.from - 1 end
    if reach == "around" then return reach_backwards(words, cues, index), reach_forwards(words, cues, index) end
    return reach_beside(words, cues, index)
end

-- The first cue of each kind that reaches a mention. One that stands behind what it is about has to reach its end, any
-- other its beginning; one in a gap of the mention reaches it anyway.
local function cues_on(mention, cues)
    local on = {}
    for _, cue in ipairs(cues) do
        local kind, place = cue.what.cue, cue.what.reach == "after" and mention.to or mention.from
        local inside = mention.gaps and cue.from > mention.from and cue.to < mention.to
        local reached = inside or kind ~= "end" and place >= cue.first and place <= cue.last
        if kind ~= "end" and reached and not on[kind] then on[kind] = cue end
    end
    return on
end

-- What a mention says of its finding, and the cue that decided; nil where it says nothing of now.
local function judge(mention, cues, choice)
    local value = mention.what.value
    local on = cues_on(mention, cues)
    -- "resolution of previously seen infiltrates" denies
    if on.aside and not (on.deny and on.aside.what.reach == "near") then return nil, on.aside end
    if value ~= 0 and on.deny then return 0, on.deny end
    if value == 1 and on.doubt then return -1, on.doubt end
    if value == 1 and on.choice then return choice == "present" and 1 or -1, on.choice end
    return value
end

-- ---- severity, side and place ---------------------------------------------------------------------------------

local JOINS <const> = {["and"] = true, ["with"] = true, ["or"] = true, ["without"] = true, ["but"] = true}

-- The first word between two mentions that joins them, nil if none: what stands before it belongs to the one, what
-- stands behind it to the other.
local function join_between(words, from, to)
    for i = from, to do
        if JOINS[words[i]] then return i end
    end
end

-- The words around a mention that tell of it: not beyond a comma or another mention.
local function surroundings(mention, index, mentions, words)
    local first, last = math.max(1, mention.from - AROUND), math.min(#words, mention.to + AROUND)
    for i = mention.from - 1, first, -1 do
        if words[i] == "," or words[i] == ";" then
            first = i + 1
            break
        end
    end
    for i = mention.to + 1, last do
        if words[i] == "," or words[i] == ";" then
            last = i - 1
            break
        end
    end
    for k, other in ipairs(mentions) do
        if k ~= index and other.to < mention.from and other.to >= first - AROUND then
            first = math.max(first, (join_between(words, other.to + 1, mention.from - 1) or other.to) + 1)
        end
        if k ~= index and other.from > mention.to and other.from <= last + AROUND then
            last = math.min(last, (join_between(words, mention.to + 1, other.from - 1) or other.from) - 1)
        end
    end
    return first, last
end

-- Adds what is said around a mention; of several words of a kind all.
local function describe(out, mention, index, mentions, words, others)
    local first, last = surroundings(mention, index, mentions, words)
    local before, said = {}, {}
    for _, one in ipairs(others) do
        local kind, text = one.what.word, table.concat(words, " ", one.from, one.to)
        if one.from >= first and one.to <= last and one.to > (before[kind] or 0) then
            before[kind] = one.to
            if not said[text] then out[kind] = out[kind] and out[kind] .. "; " .. text or text end
            said[text] = true
        end
    end
end

-- ---- sentences and reports ------------------------------------------------------------------------------------

---@class luxel.Mention
---@field finding string
---@field value integer? 1 present, 0 absent, -1 uncertain; nil where it says nothing of the film, as of a history
---@field section string
---@field sentence integer its number in the report, from 1
---@field words string the words that name the finding, as they are written
---@field cue string? the words that decided besides
---@field severity string? as it is said; where several are, with "; " between
---@field side string?
---@field place string?

local function label_words(rules, words, starts, stops, text, add, choice)
    local mentions, cues, others = find_phrases(rules, words)
    if not mentions[1] then return end
    cues = clean_cues(cues, mentions)
    table.sort(others, earlier)
    for index, cue in ipairs(cues) do
        if cue.what.cue ~= "end" then cue.first, cue.last = reach_of(words, cues, index) end
    end
    for index, mention in ipairs(mentions) do
        local value, cue = judge(mention, cues, choice)
        local out = {
            finding = mention.what.finding, value = value,
            words = text:sub(starts[mention.from], stops[mention.to]),
            cue = cue and text:sub(starts[cue.from], stops[cue.to]) or nil,
        }
        if others[1] then describe(out, mention, index, mentions, words, others) end
        add(out, starts[mention.from], stops[mention.to])
    end
end

-- The last word of a piece of a long sentence: at a comma where one of the last words is, for cues to stay with what
-- they are about.
local function end_of_piece(words, from)
    local last = from + MOST - 1
    if last >= #words then return #words end
    for i = last, last - MOST // 2, -1 do
        if words[i] == "," or words[i] == ";" then return i end
    end
    return last
end

-- Calls `add` with each mention in a sentence, and the bytes from which and up to which its words stand. choice: what
-- "this or that" says of both, "present", else uncertain.
local function label_sentence(rules, text, add, choice)
    local words, starts, stops = words_of(text)
    if #words <= MOST then return label_words(rules, words, starts, stops, text, add, choice) end
    local from = 1
    while from <= #words do
        local to = end_of_piece(words, from)
        label_words(rules, table.move(words, from, to, 1, {}), table.move(starts, from, to, 1, {}),
            table.move(stops, from, to, 1, {}), text, add, choice)
        from = to + 1
    end
end

-- A finding is present where one mention says so, else uncertain where one does, else absent.
local RANK <const> = {[1] = 3, [-1] = 2, [0] = 1}

local function no_finding(rules, labels)
    local doubt = false
    for _, name in ipairs(rules.findings) do
        if not rules.is_device[name] then
            if labels[name] == 1 then return 0 end
            doubt = doubt or labels[name] == -1
        end
    end
    return doubt and -1 or 1
end

---@class luxel.Labels
---@field labels table<string, integer> by finding 1 (present), 0 (absent) or -1 (uncertain), none of what is not
---  mentioned; "No Finding" is 1 where nothing but devices is present or uncertain, and absent where there is no text
---@field mentions luxel.Mention[] what decided, in the order of the text

local new_labels = result_type("labels", {"labels", "mentions"}, function(self)
    local lines, names = {}, {}
    for name in pairs(self.labels) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do lines[#lines + 1] = ("%s %d"):format(name, self.labels[name]) end
    lines = {"labels: " .. (lines[1] and table.concat(lines, ", ") or "none")}
    for _, one in ipairs(self.mentions) do
        lines[#lines + 1] = ("  %s %s by \"%s\"%s, %s %d"):format(one.finding, STATUS[one.value] or "set aside",
            one.words, one.cue and (' and "%s"'):format(one.cue) or "", one.section, one.sentence)
    end
    return table.concat(lines, "\n")
end)

local usual -- the rules that Luxel has, once read

local function usual_rules()
    if not usual then
        local message
        usual, message = divided.rules()
        if not usual then error(message, 0) end
    end
    return usual
end

--- What a report says of each finding. Headings divide a text, at the beginning of lines ("Findings:") or anywhere in
--- capitals. What was asked (indication) and compared with is no evidence. Words without a cue that reaches them count
--- as present.
---@param report string|{text: string?, findings: string?, impression: string?, indication: string?,
---  comparison: string?}
---@param options {rules: luxel.Rules?, choice: "uncertain"|"present"|nil}? rules: of `lx.text.rules`, default those of
---  chest radiographs in English; choice: what "atelectasis or scarring" says of each, default "uncertain" as for
---  CheXpert's labeler; "present" is how indexers of MeSH take it
---@return luxel.Labels
local function label(report, options)
    local rules = options and options.rules or usual_rules()
    local parts = sections.of(report)
    local labels, mentions, number = {}, {}, 0
    for _, section in ipairs(sections.EVIDENCE) do
        for _, sentence in ipairs(parts[section] and sentences_of(parts[section]) or {}) do
            number = number + 1
            label_sentence(rules, sentence.text, function(mention)
                mention.section, mention.sentence = section, number
                mentions[#mentions + 1] = mention
                local value, before = mention.value, labels[mention.finding]
                if value and (not before or RANK[value] > RANK[before]) then labels[mention.finding] = value end
            end, options and options.choice)
        end
    end
    if number > 0 then labels["No Finding"] = no_finding(rules, labels) end
    return new_labels {labels = labels, mentions = mentions}
end

args.type("rules", "rules of lx.text.rules", "table", function(value) return getmetatable(value) == divided.class end)

local label_public = args.public("label", "report: string|{text: string?, findings: string?, impression: string?, "
    .. "indication: string?, comparison: string?}, options: {rules: rules?, "
    .. "choice: \"uncertain\"|\"present\"?}?", label)

return {label = label_public, sentence = label_sentence, words = words_of, usual_rules = usual_rules}
