--- Plain NegEx (Chapman et al., J. Biomed. Inform. 34, 2001), for comparison: a finding's words are denied or in
--- doubt by a trigger at most five words before or behind them, unless a word ends the reach. Findings' words are the
--- `present` phrases of the rules.

local WINDOW <const> = 5

local TRIGGERS <const> = {
    pseudo = {"no increase", "no change", "no significant change", "no suspicious change", "not only", "not cause",
        "gram negative", "not certain whether", "without difficulty", "not necessarily"},
    deny = {"no", "not", "without", "no evidence of", "no evidence", "negative for", "free of", "absence of", "denies",
        "cannot see", "no sign of", "no signs of", "no suggestion of", "never", "fails to reveal", "no new",
        "no findings of", "rules out", "ruled out", "rather than", "without evidence of", "unremarkable for"},
    deny_after = {"unlikely", "was ruled out", "free", "has been ruled out", "is ruled out"},
    doubt = {"rule out", "possible", "be ruled out for", "what must be ruled out is", "r o"},
    doubt_after = {"did rule out", "be ruled out", "ought to be ruled out", "not been ruled out", "could be ruled out"},
    stop = {"but", "however", "nevertheless", "yet", "though", "although", "still", "aside from", "except",
        "apart from", "secondary to", "as the cause of", "as the source of", "as the reason of", "as the etiology of",
        "origin for", "other possibilities of"},
}

local function words_of(text)
    local words = {}
    for word in text:lower():gmatch("[%w\128-\255]+") do words[#words + 1] = word end
    return words
end

-- Where triggers are, by their kind; of those that begin at one word the longest.
local function triggers_in(words)
    local found, i = {}, 1
    while i <= #words do
        local best, kind_of_best = 0, nil
        for kind, list in pairs(TRIGGERS) do
            for _, trigger in ipairs(list) do
                local parts = words_of(trigger)
                if #parts > best and table.concat(words, " ", i, math.min(#words, i + #parts - 1)) == trigger then
                    best, kind_of_best = #parts, kind
                end
            end
        end
        if kind_of_best then found[#found + 1] = {kind = kind_of_best, from = i, to = i + best - 1} end
        i = i + math.max(best, 1)
    end
    return found
end

local function blocked(triggers, from, to)
    for _, one in ipairs(triggers) do
        if one.kind == "stop" and one.from >= from and one.to <= to then return true end
    end
    return false
end

local function value_of(mention, triggers)
    local value = 1
    for _, one in ipairs(triggers) do
        local before = mention.from - one.to - 1
        local behind = one.from - mention.to - 1
        if before >= 0 and before <= WINDOW and not blocked(triggers, one.to + 1, mention.from - 1) then
            if one.kind == "deny" then return 0 elseif one.kind == "doubt" then value = -1 end
        elseif behind >= 0 and behind <= WINDOW and not blocked(triggers, mention.to + 1, one.from - 1) then
            if one.kind == "deny_after" then return 0 elseif one.kind == "doubt_after" then value = -1 end
        end
    end
    return value
end

--- What a sentence says of each finding by NegEx.
---@param rules luxel.Rules
---@param text string
---@return table<string, integer>
return function(rules, text)
    local words, labels = words_of(text), {}
    local triggers = triggers_in(words)
    rules.trie:find(words, function(from, to, what)
        if what.finding and what.value == 1 then
            local value, before = value_of({from = from, to = to}, triggers), labels[what.finding]
            if not before or value == 1 or before == 0 then labels[what.finding] = value end
        end
    end)
    return labels
end
