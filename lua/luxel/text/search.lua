--- Which reports say what one looks for: BM25 (Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and
--- beyond", Foundations and Trends in Information Retrieval 3(4), 2009) over words that know denial and doubt.
--
-- A term is a word with a mark. By the rules of the labeler the words of a finding that is denied get one mark, those
-- of one in doubt another, and what is set aside (a history) a third; a search for an effusion then does not find
-- reports that deny one, and "no effusion" finds those that do. Beside its words each finding is a term by its name, so
-- that "cardiomegaly" finds an enlarged heart.

local args = require "luxel.args"
local labels = require "luxel.text.label"
local namespace = require "luxel.namespace"
local result_type = require "luxel.result"
local sections = require "luxel.text.sections"
local sentences_of = require "luxel.text.sentences"

-- How words are marked, and how a mark is shown.
local MARK <const> = {[1] = "", [0] = "!", [-1] = "?"}
local ASIDE <const> = "~"
local SHOWN <const> = {["!"] = " (denied)", ["?"] = " (in doubt)", ["~"] = " (set aside)"}
local RANK <const> = {[""] = 4, ["?"] = 3, ["!"] = 2, ["~"] = 1} -- which counts where findings share words

local REPORT <const> = "string|{text: string?, findings: string?, impression: string?, indication: string?, "
    .. "comparison: string?}"

-- ---- terms ----------------------------------------------------------------------------------------------------

local function shown(term)
    local mark = term:match("[!?~]$")
    return mark and term:sub(1, -2) .. SHOWN[mark] or term
end

-- Calls `add` with each term of a sentence. A finding in doubt is one too: who looks for it wants to know.
local function terms_of_sentence(rules, text, add, exact)
    local spans = {}
    if rules then
        labels.sentence(rules, text, function(mention, from, to)
            local mark = MARK[mention.value] or ASIDE
            spans[#spans + 1] = {from = from, to = to, mark = mark}
            if mention.finding ~= "Other" then
                add("[" .. mention.finding .. "]" .. mark)
                if mark == "?" and not exact then add("[" .. mention.finding .. "]") end
            end
        end)
    end
    local words, starts = labels.words(text)
    for i, word in ipairs(words) do
        if not word:find("^[,;?]$") then
            local mark
            for _, span in ipairs(spans) do
                local inside = starts[i] >= span.from and starts[i] <= span.to
                if inside and (not mark or RANK[span.mark] > RANK[mark]) then mark = span.mark end
            end
            add(word .. (mark or ""))
            if mark == "?" and not exact then add(word) end
        end
    end
end

-- The terms of a report with their numbers, and how many there are.
local function terms_of(rules, report)
    local counts, length = {}, 0
    local parts = sections.of(report)
    for _, section in ipairs(sections.EVIDENCE) do
        for _, sentence in ipairs(parts[section] and sentences_of(parts[section]) or {}) do
            terms_of_sentence(rules, sentence.text, function(term)
                counts[term], length = (counts[term] or 0) + 1, length + 1
            end)
        end
    end
    return counts, length
end

-- ---- the index ------------------------------------------------------------------------------------------------

---@class luxel.ReportSearch
---@field reports integer how many there are
---@field terms integer how many different terms
---@operator call(string): luxel.SearchHits
local ReportSearch = {}

function ReportSearch:__tostring()
    return ("ReportSearch: %d reports, %d terms, k1 %g, b %g%s"):format(self.reports, self.terms, self.k1, self.b,
        self.rules and "" or ", words alone")
end

---@class luxel.SearchHits
---@field hits {report: integer, score: number, terms: string[]}[] the best first; terms: of the query that it has
---@field found integer how many reports have any term of the query
---@field missing string[] terms of the query that no report has

local new_hits = result_type("search hits", {"hits", "found", "missing"}, function(self)
    local lines = {("search hits: %d of %d found"):format(#self.hits, self.found)}
    for i, hit in ipairs(self.hits) do
        lines[#lines + 1] = ("  %d. report %d  %.3f  %s"):format(i, hit.report, hit.score,
            table.concat(hit.terms, ", "))
    end
    if #self.missing > 0 then lines[#lines + 1] = "  in no report: " .. table.concat(self.missing, ", ") end
    return table.concat(lines, "\n")
end)

local function better(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.report < b.report
end

-- The terms of a query in order, each once, and how often. Who asks "effusion?" looks for effusions, not for doubt.
local function query_terms(self, text)
    local counts, list = {}, {}
    for _, sentence in ipairs(sentences_of((text:gsub("%?", ";")))) do
        terms_of_sentence(self.rules, sentence.text, function(term)
            if not counts[term] then list[#list + 1] = term end
            counts[term] = (counts[term] or 0) + 1
        end, true)
    end
    return list, counts
end

--- The reports that fit a query best, by the sum over its terms of
---     log(1 + (N - n + 0.5) / (n + 0.5)) · f / (f + k1 (1 - b + b L / mean L)),
--- where n of N reports have the term, and this one f times among L terms. It is formula 3.15 of Robertson and Zaragoza
--- with 1 added under the logarithm, so that a term that most reports have does not count against them.
---@param text string as in a report: "bibasilar opacities, no effusion"
---@param options? {limit: integer?} limit: hits at most, default 10
---@return luxel.SearchHits
function ReportSearch:query(text, options)
    local limit = options and options.limit or 10
    local list, counts = query_terms(self, text)
    local scores, terms, missing, hits = {}, {}, {}, {}
    for _, term in ipairs(list) do
        local posting = self.postings[term]
        if not posting then missing[#missing + 1] = shown(term) end
        local n = posting and #posting // 2 or 0
        local weight = counts[term] * math.log(1 + (self.reports - n + 0.5) / (n + 0.5))
        for k = 1, 2 * n, 2 do
            local report, f = posting[k], posting[k + 1]
            if not scores[report] then
                scores[report], terms[report] = 0, {}
                hits[#hits + 1] = {report = report}
            end
            local norm = self.k1 * (1 - self.b + self.b * self.lengths[report] / self.mean)
            scores[report] = scores[report] + weight * f / (f + norm)
            table.insert(terms[report], shown(term))
        end
    end
    for _, hit in ipairs(hits) do hit.score, hit.terms = scores[hit.report], terms[hit.report] end
    table.sort(hits, better)
    local found = #hits
    for i = found, limit + 1, -1 do hits[i] = nil end
    return new_hits {hits = hits, found = found, missing = missing}
end

--- `search(text)` is `search:query(text)`.
ReportSearch.__call = function(self, text, options) return self:query(text, options) end

args.publish("ReportSearch:", ReportSearch, {
    query = "search: report_search, text: string, options: {limit: integer(1..)?}?",
})

args.type("report_search", "a search of lx.text.search", "table", function(value)
    return getmetatable(value) == ReportSearch
end)

namespace.class("ReportSearch", ReportSearch, {"rules"})

--- Makes reports searchable: `lx.text.search(reports)("small effusion, no pneumothorax")`. Findings, impression and
--- text under no heading count, indication and comparison do not. Denial and doubt are told apart where the rules know
--- them: a search for an effusion passes over reports that deny one, "no effusion" finds these, and one in doubt counts
--- as one too. Words are compared as they are written but for capitals; findings also by what the rules know of them.
---@param reports (string|{text: string?, findings: string?, impression: string?})[]
---@param options? {rules: luxel.Rules|false|nil, k1: number?, b: number?} rules: of `lx.text.rules`, default those of
---  chest radiographs; false searches for words alone; k1: how soon more of a term counts no more, default 1.2; b: how
---  far long reports count less, 0..1, default 0.75
---@return luxel.ReportSearch
local function search(reports, options)
    local opts = args.with_defaults(options, {k1 = 1.2, b = 0.75})
    local rules = opts.rules
    if rules == nil then rules = labels.usual_rules() end
    local postings, lengths, total, terms = {}, {}, 0, 0
    for number, report in ipairs(reports) do
        args.check("search: reports: " .. number, REPORT, report)
        local counts, length = terms_of(rules or nil, report)
        for term, count in pairs(counts) do
            local posting = postings[term]
            if not posting then
                posting, terms = {}, terms + 1
                postings[term] = posting
            end
            posting[#posting + 1], posting[#posting + 2] = number, count
        end
        lengths[number], total = length, total + length
    end
    return setmetatable({
        postings = postings, lengths = lengths, mean = math.max(1, total / math.max(1, #reports)),
        reports = #reports, terms = terms, rules = rules or nil, k1 = opts.k1, b = opts.b,
    }, ReportSearch)
end

return {
    search = args.public("search", "reports: any[], options: {rules: rules|false?, k1: finite(0..1000)?, "
        .. "b: finite(0..1)?}?", search),
}
