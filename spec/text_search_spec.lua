--- Searching reports: BM25 beside a naive loop over words, what denial and doubt change, and the command.

local cjson = require "cjson"
local csv = require "luxel.io.csv"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local REPORTS <const> = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/indiana/reports.csv"

local work

setup(function() work = shell.folder() end)

teardown(function() shell.remove(work) end)

-- ---- beside a naive loop ------------------------------------------------------------------------------------------

local function words_of(text)
    local words = {}
    for word in text:lower():gmatch("%w+") do words[#words + 1] = word end
    return words
end

-- The score of each text by the formula, counted anew for each word of the query.
local function naive(texts, query, k1, b)
    local scores, mean = {}, 0
    for _, text in ipairs(texts) do mean = mean + #words_of(text) / #texts end
    for i, text in ipairs(texts) do
        local words, score, any = words_of(text), 0, false
        for _, wanted in ipairs(words_of(query)) do
            local f, n = 0, 0
            for _, word in ipairs(words) do f = f + (word == wanted and 1 or 0) end
            for _, other in ipairs(texts) do
                for _, word in ipairs(words_of(other)) do
                    if word == wanted then
                        n = n + 1
                        break
                    end
                end
            end
            any = any or f > 0
            local weight = math.log(1 + (#texts - n + 0.5) / (n + 0.5))
            if f > 0 then score = score + weight * f / (f + k1 * (1 - b + b * #words / mean)) end
        end
        if any then scores[#scores + 1] = {report = i, score = score} end
    end
    table.sort(scores, function(x, y)
        if math.abs(x.score - y.score) > 1e-12 then return x.score > y.score end
        return x.report < y.report
    end)
    return scores
end

describe("a search for words alone", function()
    it("ranks as a naive loop does", function()
        local vocabulary = {"heart", "lungs", "clear", "nodule", "no", "effusion", "left", "small", "is", "XXXX"}
        local seed = 3
        local function random(n)
            seed = (seed * 1103515245 + 12345) % 2147483648
            return seed // 65536 % n + 1
        end
        local function text(most)
            local words = {}
            for i = 1, random(most) do words[i] = vocabulary[random(#vocabulary)] end
            return table.concat(words, " ") .. "."
        end
        for _, setting in ipairs {{1.2, 0.75}, {0, 0.5}, {2, 0}, {1.5, 1}} do
            local texts = {}
            for i = 1, 40 do texts[i] = text(30) end
            local search = lx.text.search(texts, {rules = false, k1 = setting[1], b = setting[2]})
            for _ = 1, 10 do
                local query = text(4)
                local expected, found = naive(texts, query, setting[1], setting[2]), search:query(query, {limit = 7})
                assert.equal(#expected, found.found)
                assert.equal(math.min(7, #expected), #found.hits)
                local by_report = {}
                for _, one in ipairs(expected) do by_report[one.report] = one.score end
                for i, hit in ipairs(found.hits) do
                    assert.near(expected[i].score, hit.score, 1e-9)
                    assert.near(by_report[hit.report], hit.score, 1e-9)
                end
            end
        end
    end)

    it("agrees with the naive loop on real reports, where they are there", function()
        local rows = csv.read(REPORTS)
        if not rows then return pending("needs " .. REPORTS) end
        local texts = {}
        for i = 1, 60 do texts[i] = rows[i].findings:gsub("[^%w .]", " ") end
        local search = lx.text.search(texts, {rules = false})
        for _, query in ipairs {"heart size normal", "pleural effusion", "spine degenerative"} do
            local expected, found = naive(texts, query, 1.2, 0.75), search(query)
            assert.equal(#expected, found.found)
            for i, hit in ipairs(found.hits) do assert.near(expected[i].score, hit.score, 1e-9) end
        end
    end)

    it("finds nothing where there is nothing", function()
        assert.equal(0, lx.text.search({})("heart").found)
        local search = lx.text.search({"", "  ", "heart"}, {rules = false})
        assert.equal(0, search("").found)
        assert.same({"lung"}, search("lung").missing)
        assert.equal(1, search("HEART").found)
    end)
end)

-- ---- denial and doubt ---------------------------------------------------------------------------------------------

describe("a search", function()
    local REPORT_TEXTS <const> = {
        "No effusion or pneumothorax.", "Small left effusion.", "Possible effusion.", "History of effusion.",
        "The heart is enlarged.", "The heart is not enlarged. No cardiomegaly.",
    }

    local function found(query)
        local numbers = {}
        for i, hit in ipairs(lx.text.search(REPORT_TEXTS)(query).hits) do numbers[i] = hit.report end
        table.sort(numbers)
        return table.concat(numbers, " ")
    end

    it("passes over reports that deny what is looked for, or tell of the past", function()
        assert.equal("2 3", found("effusion"))
        assert.equal("5", found("cardiomegaly"))
        assert.equal("2 3", found("effusion?"))
    end)

    it("finds denials by denials, and doubt by doubt, first", function()
        assert.equal(1, lx.text.search(REPORT_TEXTS)("without effusion").hits[1].report)
        assert.equal(3, lx.text.search(REPORT_TEXTS)("possible effusion").hits[1].report)
        assert.equal(1, #lx.text.search(REPORT_TEXTS)("without pneumothorax").hits)
        assert.equal(6, lx.text.search(REPORT_TEXTS)("no cardiomegaly").hits[1].report)
    end)

    it("says what each hit has of the query", function()
        local hits = lx.text.search(REPORT_TEXTS)("no effusion")
        assert.same({"[Effusion] (denied)", "no", "effusion (denied)"}, hits.hits[1].terms)
        assert.matches("1. report 1  %d%.%d+  %[Effusion%] %(denied%), no, effusion %(denied%)", tostring(hits))
        assert.matches("ReportSearch: 6 reports, %d+ terms", tostring(lx.text.search(REPORT_TEXTS)))
    end)

    it("takes a word of two findings for what the surer one says", function()
        local rules = assert(lx.text.rules(shell.write(work .. "/two.rules", "[finding A]\npresent: big node\n"
            .. "[finding B]\nabsent: node\n")))
        local hits = lx.text.search({"A big node."}, {rules = rules})("big node").hits
        assert.same({"[A]", "[B] (denied)", "big", "node"}, hits[1].terms)
    end)

    it("reads findings and impression, not what was asked", function()
        local search = lx.text.search {
            {indication = "nodule", findings = "Clear."}, {impression = "Nodule."},
            "INDICATION: nodule\nFINDINGS: Clear.",
        }
        assert.equal(1, search("nodule").found)
        assert.equal(2, search("nodule").hits[1].report)
    end)

    it("raises for what are no reports", function()
        for _, reports in ipairs {{1}, {{fndings = "x"}}, {{"a"}}} do
            local ok, message = pcall(lx.text.search, reports)
            assert.is_false(ok)
            assert.matches("search: reports: 1: ", message, 1, true)
        end
        assert.has_error(function() lx.text.search {"Mass.", nil, "Edema."} end)
        assert.has_error(function() lx.text.search({}, {b = 2}) end)
        assert.has_error(function() lx.text.search({})("x", {limit = 0}) end)
    end)
end)

-- ---- the command --------------------------------------------------------------------------------------------------

describe("luxel search-reports", function()
    local function run(words, ...) return shell.run(("%s bin/luxel search-reports " .. words):format(LUA, ...)) end

    it("prints the best first, as text, CSV and JSON", function()
        local data = shell.write(work .. "/a.csv", "id,findings,impression\nx,No effusion.,\n"
            .. '"y,1",Small effusion.,Edema.\n')
        local status, output, errors = run("'%s' effusion", data)
        assert.equal(0, status, errors)
        assert.matches("^1. y,1  %(%d.%d+: %[Effusion%], effusion%)\n   Small effusion. Edema.\n", output)
        assert.matches("does not replace one", output)
        assert.matches("1 of 2 reports have words of it", errors)
        output = select(2, run("'%s' 'no effusion' --limit 1 --format csv", data))
        assert.matches("^rank,report,row,score,terms\n1,x,1,%d.%d+,%[Effusion%] %(denied%); no; effusion %(denied%)\n$",
            output)
        output = select(2, run("'%s' effusion --plain --format json", data))
        local lines = {}
        for line in output:gmatch("[^\n]+") do lines[#lines + 1] = cjson.decode(line) end
        assert.equal(2, #lines)
        assert.equal(2, lines[2].rank)
        data = shell.write(work .. "/latin.csv", "id,findings\nx,Nodule \xe9t\xe9 ?\n")
        output = select(2, run("'%s' '\xe9t\xe9 ? nodule' --plain --format json", data))
        assert.same({"\u{FFFD}t\u{FFFD}", "nodule"}, cjson.decode(output).terms)
    end)

    it("says what is wrong in a line", function()
        local data = shell.write(work .. "/a.csv", "id,findings\n1,x\n")
        for _, row in ipairs {
            {work .. "/none.csv x", "No such file"}, {data, "missing argument 'query'"},
            {data .. " x --text othr", "--text: there is no column 'othr'"}, {data .. " x --limit 0", "--limit"},
            {data .. " x --plain --rules y", "--plain"}, {data .. " x --rules " .. data, "a.csv: line 1: "},
        } do
            local status, _, errors = run(row[1])
            assert.not_equal(0, status, row[1])
            assert.matches(row[2], errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)
end)
