--- How good `lx.text.label` is: the tables of docs/labeler.md. Without arguments on the third of the Indiana reports
--- that no rule was made on.
--
--     lua5.4 bench/labeler.lua [REPORTS.csv]
--     lua5.4 bench/labeler.lua REPORTS.csv --disagreements      -- prints reports: 100 to read, drawn with a fixed seed
--     lua5.4 bench/labeler.lua REPORTS.csv --making             -- the same of the two thirds that rules are made on

local csv = require "luxel.io.csv"
local lx = require "luxel"
local mesh = dofile "bench/labeler/mesh.lua"
local negex = dofile "bench/labeler/negex.lua"
local sentences_of = require "luxel.text.sentences"

local PATH <const> = arg[1] or (os.getenv("LUXEL_DATA") or "../shared/data") .. "/indiana/reports.csv"
local FEW <const> = 20 -- cases over all reports, below which a figure says little
local READ <const>, SEED <const> = 100, 20261202

-- Whether a report is of the part that is looked at.
local function is_judged(uid) return mesh.is_test(uid) == (arg[2] ~= "--making") end

local reports = assert(csv.read(PATH))

-- ---- against MeSH ---------------------------------------------------------------------------------------------

-- The indexed reports that have text, with what MeSH and the labeler say.
local function judged()
    local list = {}
    for _, row in ipairs(reports) do
        local truth = mesh.labels(row.MeSH)
        if truth and (row.findings .. row.impression):find("%S") then
            local test, found, chosen = is_judged(row.uid), nil, nil
            if test then
                local report = {findings = row.findings, impression = row.impression}
                found, chosen = lx.text.label(report), lx.text.label(report, {choice = "present"})
            end
            list[#list + 1] = {row = row, truth = truth, found = found, chosen = chosen, test = test}
        end
    end
    return list
end

local function new_counts() return {tp = 0, fp = 0, fn = 0, doubt_pos = 0, doubt_neg = 0, all = 0, cases = 0} end

local function ratio(a, b) return b > 0 and ("%.3f"):format(a / b) or "–" end

local function f1(c) return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn) end

-- way: "found", or "chosen" with choices taken for presence
local function count_finding(list, name, way)
    local c = new_counts()
    for _, one in ipairs(list) do
        local truth = one.truth[name]
        if truth == 1 then c.all = c.all + 1 end
        if one.test and truth ~= -1 then
            local found = one[way].labels[name]
            if truth == 1 then c.cases = c.cases + 1 end
            if found == -1 then
                local key = truth == 1 and "doubt_pos" or "doubt_neg"
                c[key] = c[key] + 1
            end
            if found == 1 and truth == 1 then c.tp = c.tp + 1
            elseif found == 1 then c.fp = c.fp + 1
            elseif truth == 1 then c.fn = c.fn + 1 end
        end
    end
    return c
end

local function print_row(name, c, chosen)
    local function rates(of) return ratio(of.tp, of.tp + of.fp), ratio(of.tp, of.tp + of.fn), f1(of) end
    local precision, recall, f = rates(c)
    print(("| %s | %d | %d | %s | %s | %s | %d | %d | %s | %s | %s |"):format(name, c.all, c.cases, precision, recall,
        f, c.doubt_pos, c.doubt_neg, rates(chosen)))
end

local function print_mesh(list)
    local names = table.move(mesh.FINDINGS, 1, #mesh.FINDINGS, 1, {})
    names[#names + 1] = "No Finding"
    print("| finding | cases, all | cases, judged | precision | recall | F1 | in doubt: indexed | in doubt: not | "
        .. "choices present: precision | recall | F1 |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    local sums = {
        {"micro, the fourteen", new_counts(), new_counts()},
        {"micro, with fracture and devices", new_counts(), new_counts()},
    }
    local lenient = new_counts()
    for i, name in ipairs(names) do
        local c, chosen = count_finding(list, name, "found"), count_finding(list, name, "chosen")
        print_row(name .. (c.all < FEW and " *" or ""), c, chosen)
        for k, sum in ipairs(sums) do
            if i <= (k == 1 and 14 or 16) then
                for key, value in pairs(c) do
                    sum[2][key], sum[3][key] = sum[2][key] + value, sum[3][key] + chosen[key]
                end
            end
        end
        if i <= 14 then
            lenient.tp, lenient.fp = lenient.tp + c.tp + c.doubt_pos, lenient.fp + c.fp + c.doubt_neg
            lenient.fn = lenient.fn + c.fn - c.doubt_pos
        end
    end
    for _, sum in ipairs(sums) do print_row("**" .. sum[1] .. "**", sum[2], sum[3]) end
    print(("\nWith doubt taken for present, the fourteen: micro F1 %s"):format(f1(lenient)))
    local n = 0
    for _, one in ipairs(list) do n = n + (one.test and 1 or 0) end
    print(("%d reports of the part that is judged, of %d indexed ones with text\n"):format(n, #list))
end

-- ---- sentences ------------------------------------------------------------------------------------------------

-- The text of each labelled sentence.
local function texts_of(labelled)
    local wanted, texts = {}, {}
    for _, one in ipairs(labelled) do wanted[one[1]] = true end
    for _, row in ipairs(reports) do
        local uid, number = math.tointeger(tonumber(row.uid)), 0
        if wanted[uid] then
            for _, section in ipairs {"findings", "impression"} do
                for _, sentence in ipairs(sentences_of(row[section])) do
                    number = number + 1
                    texts[uid .. "/" .. number] = sentence.text
                end
            end
        end
    end
    return texts
end

local function print_sentences()
    local labelled = dofile "spec/support/report_sentences.lua"
    local texts, rules = texts_of(labelled), assert(lx.text.rules())
    local ways = {
        {"these rules", function(text) return lx.text.label({text = text}).labels end},
        {"NegEx", function(text) return negex(rules, text) end},
    }
    local methods = {}
    for i, way in ipairs(ways) do
        local c = {}
        for _, value in ipairs {1, 0, -1} do c[value] = new_counts() end
        for _, one in ipairs(labelled) do
            local text = texts[one[1] .. "/" .. one[2]]
            assert(text and #text == one[3], "the reports are others than those that were labelled")
            local found = way[2](text)
            for _, name in ipairs(mesh.FINDINGS) do
                local said, heard = one[4] and one[4][name], found[name]
                if said and said == heard then c[said].tp = c[said].tp + 1
                else
                    if said then c[said].fn = c[said].fn + 1 end
                    if heard then c[heard].fp = c[heard].fp + 1 end
                    if i == 1 and said ~= heard and arg[2] == "--sentences" then print(said, heard, name, text) end
                end
            end
        end
        methods[i] = c
    end
    print "| mentions of sentences | number | precision | recall | NegEx: precision | recall |"
    print "|---|---|---|---|---|---|"
    for _, row in ipairs {{0, "negative"}, {-1, "uncertain"}, {1, "positive"}} do
        local a, b = methods[1][row[1]], methods[2][row[1]]
        print(("| %s | %d | %s | %s | %s | %s |"):format(row[2], a.tp + a.fn, ratio(a.tp, a.tp + a.fp),
            ratio(a.tp, a.tp + a.fn), ratio(b.tp, b.tp + b.fp), ratio(b.tp, b.tp + b.fn)))
    end
end

-- ---- speed ----------------------------------------------------------------------------------------------------

local function print_speed()
    local best = math.huge
    for _ = 1, 3 do
        local began = os.clock() -- others may want the processor too
        for _, row in ipairs(reports) do lx.text.label {findings = row.findings, impression = row.impression} end
        best = math.min(best, os.clock() - began)
    end
    print(("\n%d reports in %.2f s of one core: %.0f a second (the best of three)"):format(#reports, best,
        #reports / best))
end

-- ---- disagreements --------------------------------------------------------------------------------------------

local function print_disagreements(list, most)
    local all = {}
    for _, one in ipairs(list) do
        for _, name in ipairs(one.test and mesh.FINDINGS or {}) do
            local truth, found = one.truth[name], one.found.labels[name]
            if truth ~= -1 and (truth == 1) ~= (found == 1) then
                all[#all + 1] = {one = one, name = name, truth = truth, found = found}
            end
        end
    end
    print(#all .. " disagreements")
    math.randomseed(SEED)
    for number = 1, math.min(most, #all) do
        local d = table.remove(all, math.random(#all))
        print(("\n%d. %s %s: MeSH %d, rules %s | %s"):format(number, d.one.row.uid, d.name, d.truth, d.found or "blank",
            d.one.row.MeSH))
        print(d.one.row.findings .. " || " .. d.one.row.impression)
    end
end

local list = judged()
if arg[2] == "--disagreements" then
    print_disagreements(list, READ)
elseif arg[2] == "--making" then
    print_mesh(list)
    print_disagreements(list, math.huge)
else
    print_mesh(list)
    print_sentences()
    print_speed()
end
