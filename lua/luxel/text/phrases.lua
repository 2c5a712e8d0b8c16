--- Phrases in sentences: a trie of words, walked from every word of a sentence.
--
-- A phrase is words with spaces between, in lower case. `word*` is every word that begins so, `a/b` is either word,
-- `(a)` may be missing, `..` stands for up to six words between which there is no comma, `...` for up to twelve with
-- commas, `,` for a comma and `?` for a question mark.

local plain = require "luxel.text.plain"

local phrases = {}

local PLACES <const>, FORMS <const> = 12, 64 -- of one phrase
local GAPS <const> = {[".."] = 6, ["..."] = 12}
local FOUND <const>, GAP <const> = 1, 2 -- beside terms in nodes: what ends here, and what follows a gap by its sign
local REMEMBERED <const> = 20000 -- words whose terms are kept

-- ---- reading --------------------------------------------------------------------------------------------------

-- The terms of one word of a phrase, or nil and what is wrong with it.
local function terms_of(word)
    local terms = {}
    if word:find("^/") or word:find("/$") or word:find("//", 1, true) then
        return nil, ("'%s' has a word missing beside '/'"):format(word)
    end
    for term in word:gmatch("[^/]+") do
        if term ~= "," and term ~= "?" and (not term:find("^[a-z0-9\128-\255]+%*?$") or plain.lower(term) ~= term) then
            return nil, ("'%s' is no word: of lower-case letters and digits, with '*' only at its end"):format(term)
        elseif term:find("%*$") and #term < 4 then
            return nil, ("'%s' is too short: three letters before '*' are the least"):format(term)
        end
        terms[#terms + 1] = term
    end
    return terms
end

local function add_place(forms, terms, optional)
    local longer = {}
    for _, form in ipairs(forms) do
        if optional then longer[#longer + 1] = form end
        for _, term in ipairs(terms) do
            local copy = table.move(form, 1, #form, 1, {})
            copy[#copy + 1] = term
            longer[#longer + 1] = copy
        end
    end
    return longer
end

--- The forms of a phrase, each a list of terms and gaps, or nil and what is wrong.
---@param text string
---@return string[][]? forms, string? message
function phrases.parse(text)
    local forms, places = {{}}, 0
    for word in text:gmatch("%S+") do
        places = places + 1
        if places > PLACES then return nil, ("it has more than %d words"):format(PLACES) end
        local inner = word:match("^%((.*)%)$")
        if GAPS[word] then
            forms = add_place(forms, {word})
        else
            local terms, message = terms_of(inner or word)
            if not terms then return nil, message end
            forms = add_place(forms, terms, inner)
            if #forms > FORMS then return nil, ("it has more than %d forms"):format(FORMS) end
        end
    end
    for _, form in ipairs(forms) do
        if #form == 0 then return nil, "nothing in it has to be there" end
        if GAPS[form[1]] or GAPS[form[#form]] then return nil, "a gap has to be between two words" end
        for i = 2, #form do
            if GAPS[form[i]] and GAPS[form[i - 1]] then return nil, "two gaps are beside each other" end
        end
    end
    return forms
end

-- ---- the trie -------------------------------------------------------------------------------------------------

local Trie = {}
Trie.__index = Trie

--- A trie without phrases.
function phrases.trie() return setmetatable({root = {}, exact = {}, prefixes = {}, known = {}, count = 0}, Trie) end

--- Adds the forms of a phrase; `what` is given where one is found.
---@param forms string[][]
---@param what any
function Trie:add(forms, what)
    for _, form in ipairs(forms) do
        local node = self.root
        for _, term in ipairs(form) do
            if GAPS[term] then
                node[GAP] = node[GAP] or {}
                node[GAP][term] = node[GAP][term] or {}
                node = node[GAP][term]
            else
                local prefix = term:match("^(.*)%*$")
                if not prefix then
                    self.exact[term] = true
                elseif not self.prefixes[term] then
                    self.prefixes[term] = true
                    self.prefixes[#self.prefixes + 1] = prefix
                end
                node[term] = node[term] or {}
                node = node[term]
            end
        end
        node[FOUND] = node[FOUND] or {}
        node[FOUND][#node[FOUND] + 1] = what
    end
end

-- The terms that a word fits, false if none.
local function look_up(self, word)
    local terms = {}
    if self.exact[word] then terms[1] = word end
    for _, prefix in ipairs(self.prefixes) do
        if word:sub(1, #prefix) == prefix then terms[#terms + 1] = prefix .. "*" end
    end
    if self.count >= REMEMBERED then self.known, self.count = {}, 0 end
    self.known[word], self.count = terms[1] and terms or false, self.count + 1
    return self.known[word]
end

--- Calls `report(from, to, what, gaps)` for each phrase in a list of words; `gaps` says whether it has some.
---@param words string[]
---@param report fun(from: integer, to: integer, what: any, gaps: boolean)
function Trie:find(words, report)
    local n, known, terms = #words, self.known, {}
    for i = 1, n do
        local of_word = known[words[i]]
        if of_word == nil then of_word, known = look_up(self, words[i]), self.known end
        terms[i] = of_word
    end
    local from
    local function walk(node, i, gaps)
        if node[FOUND] then
            for _, what in ipairs(node[FOUND]) do report(from, i - 1, what, gaps) end
        end
        local here = i <= n and terms[i]
        if here then
            for k = 1, #here do
                local child = node[here[k]]
                if child then walk(child, i + 1, gaps) end
            end
        end
        if node[GAP] then
            for sign, child in pairs(node[GAP]) do
                for j = i, math.min(i + GAPS[sign], n) do
                    local there = terms[j]
                    for k = 1, there and #there or 0 do
                        local next_one = child[there[k]]
                        if next_one then walk(next_one, j + 1, true) end
                    end
                    if words[j] == ";" or words[j] == "," and sign == ".." then break end
                end
            end
        end
    end
    local root = self.root
    for i = 1, n do
        local here = terms[i]
        if here then
            from = i
            for k = 1, #here do
                local child = root[here[k]]
                if child then walk(child, i + 1, false) end
            end
        end
    end
end

return phrases
