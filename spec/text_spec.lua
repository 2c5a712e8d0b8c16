--- Reports of radiologists: sentences, phrases, cues and their reach, files of rules, and the command. What the labeler
--- says of real sentences is compared with a reader's judgement where the reports are there.

local lx = require "luxel"
local phrases = require "luxel.text.phrases"
local sections = require "luxel.text.sections"
local sentences = require "luxel.text.sentences"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local REPORTS <const> = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/indiana/reports.csv"

local work

setup(function() work = shell.folder() end)

teardown(function() shell.remove(work) end)

local function texts_of(text)
    local list = {}
    for i, one in ipairs(sentences(text)) do
        assert.equal(one.text, text:sub(one.from, one.from + #one.text - 1))
        list[i] = one.text
    end
    return list
end

-- ---- sentences and sections ---------------------------------------------------------------------------------------

describe("sentences", function()
    it("end at full stops, not in numbers, abbreviations and marks of items", function()
        for text, expected in pairs {
            ["Lungs clear. Heart normal."] = {"Lungs clear.", "Heart normal."},
            ["A 1.5 cm nodule. None else"] = {"A 1.5 cm nodule.", "None else"},
            ["1. Clear lungs. 2. No effusion."] = {"1. Clear lungs.", "2. No effusion."},
            ["Seen by Dr. Smith. Stable vs. prior."] = {"Seen by Dr. Smith.", "Stable vs. prior."},
            ["Is it? It is!  Yes.."] = {"Is it?", "It is!", "Yes.."},
            ["One\ntwo\n\nthree\n- four\n2) five"] = {"One\ntwo", "three", "- four", "2) five"},
            ['He said "no." Then'] = {'He said "no."', "Then"}, ["Level 12. Then"] = {"Level 12.", "Then"},
            [""] = {}, [" . .. \n"] = {}, ["é. à"] = {"é.", "à"},
            ["One.\u{a0}Two… \u{2022} three\n\u{2022} four\u{2028}- five\u{a0}"] = {"One.", "Two…", "• three", "• four",
                "- five"},
            ["One.\rTwo\r\n\r\nthree"] = {"One.", "Two", "three"}, ["A ? B. ? C. D?\nE ?"] = {"A ? B.", "? C.", "D?",
                "E ?"},
            ["Clear\x85 \x93No mass.\x94\xa0Normal"] = {"Clear\x85", "\x93No mass.\x94", "Normal"}, -- Windows-1252
        } do
            assert.same(expected, texts_of(text), text)
        end
    end)

    it("are found in time that grows with the text", function()
        for _, text in ipairs {("."):rep(200000), ("a"):rep(200000), ("\n"):rep(100000), ("a. "):rep(100000)} do
            sentences(text)
        end
    end)
end)

describe("sections", function()
    it("are what stands behind headings", function()
        local parts = sections.of "INDICATION: Pneumonia?\nFINDINGS: Clear.\nNo effusion.\nImpression:\nNormal: yes."
        assert.same({indication = " Pneumonia?\n", findings = " Clear.\nNo effusion.\n", impression = "\nNormal: yes."},
            parts)
        assert.same({text = "Heart: normal."}, sections.of "Heart: normal.")
        assert.equal(" B\n\nC", sections.of({text = "A\nimpression: B", impression = "C"}).impression)
    end)

    it("begin in the middle of a line where their headings are in capitals, and in every form of line", function()
        assert.same({indication = " Mass? ", comparison = " NONE ", findings = " Clear.", text = "CHEST "},
            sections.of "CHEST INDICATION: Mass? COMPARISON: NONE FINDINGS: Clear.")
        assert.same({text = "There are findings: a mass. My Impression: none."},
            sections.of "There are findings: a mass. My Impression: none.")
        assert.same({indication = " A\r", findings = " B\r", impression = " C"},
            sections.of "CLINICAL  INDICATION: A\rFindings/Impression : B\r\u{a0}**Interpretation**: C")
        sections.of((":"):rep(100000) .. ("A"):rep(100000) .. ("IMPRESSION: "):rep(10000))
    end)
end)

-- ---- phrases ------------------------------------------------------------------------------------------------------

-- A phrase as a search through all words, without a trie: where its forms begin and end.
local function naive(forms, words)
    local gaps, found = {[".."] = 6, ["..."] = 12}, {}
    local function fits(term, word)
        return term == word or term:sub(-1) == "*" and word:sub(1, #term - 1) == term:sub(1, -2)
    end
    local function walk(form, k, i, from)
        local term = form[k]
        if not term then found[from .. "-" .. i - 1] = true
        elseif gaps[term] then
            for skip = 0, gaps[term] do
                local passed = i + skip - 1
                if skip > 0 and (words[passed] == ";" or words[passed] == "," and term == "..") then break end
                walk(form, k + 1, i + skip, from)
            end
        elseif words[i] and fits(term, words[i]) then
            walk(form, k + 1, i + 1, from)
        end
    end
    for _, form in ipairs(forms) do
        for from = 1, #words do walk(form, 1, from, from) end
    end
    return found
end

describe("phrases", function()
    it("are found where a search through all words finds them", function()
        local vocabulary = {"heart", "hearts", "size", "is", "enlarged", "enlargement", ",", ";", "no", "found"}
        local texts = {
            "heart", "hear* .. enlarge*", "heart (size) is/no enlarged", "heart ... enlarged", "no .. heart ... size",
            ", heart", "found", "heart .. is .. enlarged",
        }
        local seed = 7
        local function random(n)
            seed = (seed * 1103515245 + 12345) % 2147483648
            return seed // 65536 % n + 1
        end
        local hits = 0
        for _ = 1, 300 do
            local words = {}
            for i = 1, random(18) do words[i] = vocabulary[random(#vocabulary)] end
            local trie, found, expected = phrases.trie(), {}, {}
            for number, text in ipairs(texts) do
                local forms = assert(phrases.parse(text))
                trie:add(forms, number)
                found[number], expected[number] = {}, naive(forms, words)
            end
            trie:find(words, function(from, to, number)
                found[number][from .. "-" .. to] = true
                hits = hits + 1
            end)
            assert.same(expected, found, table.concat(words, " "))
        end
        assert.is_true(hits > 500)
    end)

    it("are refused where they could mean nothing or too much", function()
        for text, message in pairs {
            ["Heart"] = "is no word", ["a*"] = "too short", ["(a)"] = "nothing in it", [".. b"] = "between two words",
            ["a .. ... b"] = "beside each other", ["a//b"] = "word missing", ["a/"] = "word missing", [""] = "nothing",
            [("a "):rep(13)] = "more than 12 words", ["a/b a/b a/b a/b a/b a/b a/b"] = "more than 64 forms",
            ["x-ray"] = "is no word",
        } do
            local forms, why = phrases.parse(text)
            assert.is_nil(forms, text)
            assert.matches(message, why, 1, true)
        end
    end)
end)

-- ---- labels -------------------------------------------------------------------------------------------------------

-- {sentence, what it says by finding; false: it says nothing of it}.
local SENTENCES <const> = {
    {"There is a small left pleural effusion.", {Effusion = 1}},
    {"No pneumothorax or large effusion.", {Pneumothorax = 0, Effusion = 0}},
    {"No consolidation, effusion, edema, nodules or masses.", {Consolidation = 0, Effusion = 0, Edema = 0, Nodule = 0,
        Mass = 0}},
    {"No pneumothorax, mild cardiomegaly.", {Pneumothorax = 0, Cardiomegaly = 1}},
    {"No pneumothorax but there is an effusion.", {Pneumothorax = 0, Effusion = 1}},
    {"Cardiomegaly without edema; effusion.", {Cardiomegaly = 1, Edema = 0, Effusion = 1}},
    {"Effusion is not seen.", {Effusion = 0}},
    {"Effusion and edema, pneumothorax is not seen.", {Effusion = 1, Edema = 1, Pneumothorax = 0}},
    {"Effusion, edema or pneumothorax are not seen.", {Effusion = 0, Edema = 0, Pneumothorax = 0}},
    {"The effusion has resolved.", {Effusion = 0}},
    {"Resolution of previously seen infiltrates.", {Infiltration = 0}},
    {"There is no longer an effusion.", {Effusion = 0}},
    {"No change in the effusion.", {Effusion = 1}},
    {"Effusion is unchanged from prior exam.", {Effusion = 1}},
    {"Effusion of the prior exam is not seen.", {Effusion = 0}},
    {"History of pneumonia.", {Pneumonia = false}},
    {"Previously seen catheter has been removed.", {["Support Devices"] = 0}},
    {"Correlate with fever for pneumonia.", {Pneumonia = false}},
    {"Small fractures may not be visible.", {Fracture = false}},
    {"Opacity may represent atelectasis or pneumonia.", {Atelectasis = -1, Pneumonia = -1}},
    {"Mild scarring or atelectasis.", {Atelectasis = -1}},
    {"Atelectasis versus infiltrate.", {Atelectasis = -1, Infiltration = -1}},
    {"Effusion cannot be entirely excluded.", {Effusion = -1}},
    {"Cannot exclude a small effusion.", {Effusion = -1}},
    {"Possible edema and cardiomegaly.", {Edema = -1, Cardiomegaly = 1}},
    {"Possible effusion, no pneumothorax.", {Effusion = -1, Pneumothorax = 0}},
    {"No opacity to suggest pneumonia.", {Pneumonia = 0}},
    {"No pneumothorax, possible edema.", {Pneumothorax = 0, Edema = -1}},
    {"Hyperinflation consistent with emphysema.", {Emphysema = 1}},
    {"The heart is enlarged.", {Cardiomegaly = 1}}, {"The heart is not enlarged.", {Cardiomegaly = 0}},
    {"The heart size is borderline.", {Cardiomegaly = -1}}, {"Heart and mediastinum are normal.", {Cardiomegaly = 0}},
    {"Heart size, mediastinum and lungs are within normal limits.", {Cardiomegaly = 0}},
    {"Pericardial effusion.", {Effusion = false}}, {"Subcutaneous emphysema.", {Emphysema = false}},
    {"Fibrosis without superimposed infiltrate.", {Fibrosis = 1, Infiltration = 0}},
    {"Nearly resolved edema, no mass.", {Edema = 0, Mass = 0}},
    {"Catheter fracture.", {Fracture = false, ["Support Devices"] = 1}},
    {"Other views are more sensitive for masses.", {Mass = false}},
    {"The cardiac shadow is normal or a little enlarged.", {Cardiomegaly = -1}},
    {"Hydropneumothorax.", {Effusion = 1, Pneumothorax = 1}}, {"Healed rib fractures.", {Fracture = 1}},
    {"Edema in the right clinical setting.", {Edema = -1}},
    {"A nodular opacity.", {Nodule = -1}}, {"No nodular density.", {Nodule = 0}}, {"Nodules.", {Nodule = 1}},
    {"No\u{a0}pleural\u{a0}effusion.", {Effusion = 0}},
    {"Atelectasis\u{2014}no effusion", {Atelectasis = 1, Effusion = 0}},
    {"\u{2022} No effusion\n\u{2022} Cardiomegaly", {Effusion = 0, Cardiomegaly = 1}},
    {"No edema.\u{a0}Cardiomegaly.", {Edema = 0, Cardiomegaly = 1}}, {"No\xa0mass \x96 edema\x85", {Mass = 0}},
    {"There isn\u{2019}t an effusion.", {Effusion = 0}}, {"Effusion isn't seen.", {Effusion = 0}},
    {"No mass; (small) effusion.", {Mass = 0, Effusion = 1}}, {"No mass;) effusion.", {Mass = 0, Effusion = 1}},
    {"Effusion: none. Mass: No.", {Effusion = 0, Mass = 0}},
    {"Effusion (none), mass (small)", {Effusion = 0, Mass = 1}},
    {"Pneumothorax: none, effusion: small", {Pneumothorax = 0, Effusion = 1}},
    {"Pneumonia possible; edema.", {Pneumonia = -1, Edema = 1}}, {"A small effusion is apparent.", {Effusion = 1}},
    {"Pneumonia?", {Pneumonia = -1}}, {"Edema ?pneumonia", {Edema = 1, Pneumonia = -1}},
    {"Edema ? pneumonia.", {Edema = 1, Pneumonia = -1}}, {"No effusion?", {Effusion = 0}},
    {"Cannot rule out pneumonia.", {Pneumonia = -1}}, {"Pneumonia cannot be ruled out.", {Pneumonia = -1}},
    {"Unable to exclude pneumonia; can't exclude edema.", {Pneumonia = -1, Edema = -1}},
    {"Pneumonia is unlikely.", {Pneumonia = -1}}, {"Doubt pneumonia.", {Pneumonia = -1}},
    {"Rule out pneumonia.", {Pneumonia = false}}, {"Non-displaced fracture.", {Fracture = 1}},
    {"Non-calcified nodule.", {Nodule = 1, Other = 0}}, {"The heart is non-enlarged.", {Cardiomegaly = 0}},
    {"Non-enlarged heart.", {Cardiomegaly = 0}}, {"No non-calcified nodules.", {Nodule = 0, Other = 0}},
    {"Negative for pneumothorax, positive for effusion.", {Pneumothorax = 0, Effusion = 1}},
    {"PLEURAL EFFUSION", {Effusion = 1}}, {"Lungs are clear.", {Effusion = false, Consolidation = false}},
}

describe("labels of reports", function()
    for _, row in ipairs(SENTENCES) do
        it("know what is said by: " .. row[1], function()
            local found = lx.text.label(row[1])
            for name, value in pairs(row[2]) do
                assert.equal(value or nil, found.labels[name], name .. "\n" .. tostring(found))
            end
        end)
    end

    it("take a choice for presence where that is asked for, and doubt for doubt", function()
        for text, wanted in pairs {
            ["Scarring or atelectasis."] = 1, ["Either atelectasis"] = 1, ["This may be scarring or atelectasis."] = -1,
            ["No scarring or atelectasis."] = 0, ["Possible atelectasis."] = -1,
        } do
            assert.equal(wanted, lx.text.label(text, {choice = "present"}).labels.Atelectasis, text)
            local usual = lx.text.label(text, {choice = "uncertain"})
            assert.equal(wanted == 1 and -1 or wanted, usual.labels.Atelectasis, text)
        end
        local ok, message = pcall(lx.text.label, "Mass.", {choice = "absent"})
        assert.is_false(ok)
        assert.matches("label: options: option 'choice'", message, 1, true)
    end)

    it("are of the whole report: present before uncertain before absent", function()
        local function value(findings, impression)
            return lx.text.label({findings = findings, impression = impression}).labels.Effusion
        end
        assert.equal(1, value("No effusion.", "Effusion. Possible effusion."))
        assert.equal(-1, value("No effusion. Possible effusion.", "No effusion."))
        assert.equal(0, value("No effusion.", "Normal."))
        assert.is_nil(value("Clear.", "Normal."))
    end)

    it("are not of what was asked or compared with", function()
        local found = lx.text.label {indication = "Pneumonia", comparison = "Effusion", findings = "Clear."}
        assert.same({["No Finding"] = 1}, found.labels)
        assert.is_nil(lx.text.label("INDICATION: Effusion\nFINDINGS: Clear lungs.").labels.Effusion)
        assert.same({}, lx.text.label({indication = "Pneumonia"}).labels)
        assert.same({}, lx.text.label("").labels)
    end)

    it("say No Finding of reports in which nothing but devices is present", function()
        for text, value in pairs {
            ["Clear lungs."] = 1, ["Pacemaker in place."] = 1, ["Effusion."] = 0, ["Possible effusion."] = -1,
            ["Scoliosis."] = 0, ["No effusion."] = 1,
        } do
            assert.equal(value, lx.text.label(text).labels["No Finding"], text)
        end
    end)

    it("say which words decided, and severity, side and place", function()
        local found = lx.text.label {findings = "Clear. Possible small left basilar Effusions, no Pneumothorax."}
        assert.same({
            {finding = "Effusion", value = -1, section = "findings", sentence = 2, words = "Effusions",
                cue = "Possible", severity = "small", side = "left", place = "basilar"},
            {finding = "Pneumothorax", value = 0, section = "findings", sentence = 2, words = "Pneumothorax",
                cue = "no"},
        }, found.mentions)
        assert.matches('Effusion uncertain by "Effusions" and "Possible", findings 2', tostring(found), 1, true)
    end)

    it("say sides, severities and places as a whole, and of each mention its own", function()
        for text, wanted in pairs {
            ["Moderate to severe cardiomegaly."] = "Cardiomegaly moderate to severe - -",
            ["Left-greater-than-right effusions."] = "Effusion - left greater than right -",
            ["Small right and moderate left effusions."] = "Effusion small; moderate right; left -",
            ["Right pneumothorax and small left effusion with right basilar atelectasis."] = "Pneumothorax - right -, "
                .. "Effusion small left -, Atelectasis - right basilar",
            ["Effusion on the left and small pneumothorax."] = "Effusion - left -, Pneumothorax small - -",
        } do
            local said = {}
            for i, one in ipairs(lx.text.label(text).mentions) do
                said[i] = table.concat({one.finding, one.severity or "-", one.side or "-", one.place or "-"}, " ")
            end
            assert.equal(wanted, table.concat(said, ", "))
        end
    end)

    it("take long sentences in pieces, in time that grows with them", function()
        local found = lx.text.label(("no effusion , "):rep(20000) .. "stable cardiomegaly")
        assert.equal(0, found.labels.Effusion)
        assert.equal(1, found.labels.Cardiomegaly and #found.mentions - 20000)
        lx.text.label(("a"):rep(300000))
        lx.text.label(("heart "):rep(30000))
        lx.text.label(("\255\n,;("):rep(30000))
    end)

    it("agree with a reader on real sentences, where the reports are there", function()
        local csv = require "luxel.io.csv"
        local rows = csv.read(REPORTS)
        if not rows then return pending("needs " .. REPORTS) end
        local by_id = {}
        for _, row in ipairs(rows) do by_id[math.tointeger(tonumber(row.uid))] = row end
        local right, wrong, said_nothing = {[1] = 0, [0] = 0, [-1] = 0}, {[1] = 0, [0] = 0, [-1] = 0}, 0
        for _, one in ipairs(dofile "spec/support/report_sentences.lua") do
            local row, list = by_id[one[1]], {}
            for _, section in ipairs {"findings", "impression"} do
                for _, sentence in ipairs(sentences(row[section])) do list[#list + 1] = sentence.text end
            end
            local text = list[one[2]]
            assert.equal(one[3], #text)
            local labels = lx.text.label({text = text}).labels
            for name, value in pairs(one[4] or {}) do
                local count = labels[name] == value and right or wrong
                count[value] = count[value] + 1
            end
            for name in pairs(labels) do
                local other = name == "Other" or name == "No Finding"
                if not other and not (one[4] and one[4][name]) then said_nothing = said_nothing + 1 end
            end
        end
        for value in pairs(right) do assert.is_true(right[value] / (right[value] + wrong[value]) > 0.9, value) end
        assert.is_true(said_nothing < 5)
    end)
end)

-- ---- rules --------------------------------------------------------------------------------------------------------

describe("files of rules", function()
    local function read(text) return lx.text.rules(shell.write(work .. "/mine.rules", text)) end

    it("decide what is found", function()
        local german = assert(read "[finding cues]\npresent: ödem*; kein\n[cues]\ndeny before: kein; ohne\n")
        assert.same({cues = 1, ["No Finding"] = 0}, lx.text.label("Ödeme.", {rules = german}).labels)
        local rules = assert(read("# mine\r\n[finding Clip]\r\npresent: clip*/staple* # remark\n[device Wire]\n"
            .. "present: wire\n[cues]\ndeny before: keine; no\nend: aber\n[words]\nside: left\n"))
        assert.same({"Clip", "Wire"}, rules.findings)
        assert.matches("2 findings, 6 phrases", tostring(rules))
        local found = lx.text.label("keine Clips aber left staples, effusion, wire", {rules = rules})
        assert.same({Clip = 1, Wire = 1, ["No Finding"] = 0}, found.labels)
        assert.equal("left", found.mentions[2].side)
    end)

    it("are refused with line and reason", function()
        for text, message in pairs {
            ["present: x"] = "line 1: it is before the first section",
            ["\n[findings X]"] = "line 2: [findings X] is no section",
            ["[finding]"] = "line 1: [finding] is no section",
            ["[finding X]\npresnt: x"] = "line 2: there is no 'presnt' in this section (did you mean 'present'?)",
            ["[finding X]\nx"] = "line 2: expected 'KEY: phrase; phrase'",
            ["[finding X]\npresent: a;; b"] = "line 2: a phrase is missing",
            ["[finding X]\npresent:"] = "line 2: a phrase is missing",
            ["[finding X]\npresent: Xy"] = "line 2: 'Xy': 'Xy' is no word",
            ["[finding X]\npresent: a; b\nabsent: b"] = "line 3: 'b' is there already, in line 2",
            ["[finding X]\n[device X]"] = "line 2: the finding 'X' is there twice",
            ["[finding X,Y]"] = "line 1: 'X,Y' is no name for a finding",
            ["[finding No Finding]"] = "has no rules of its own",
            ["[cues]\ndeny: no"] = "line 2: there is no 'deny' in this section", [""] = "it has no findings",
            ["[finding X]\npresent: Öl"] = "line 2: 'Öl': 'Öl' is no word",
            ["\n[finding X]\nnot: a b\n[device Y]\npresent: c"] = "line 2: the finding 'X' has no phrase",
            ["[cues]\nend: but"] = "it has no findings", ["[finding X]\npresent: \255"] = "line 2: it is not UTF-8",
        } do
            local rules, why, code = read(text)
            assert.is_nil(rules, text)
            assert.matches("mine.rules: ", why, 1, true)
            assert.matches(message, why, 1, true)
            assert.equal("format", code)
        end
        local rules, why, code = lx.text.rules(work .. "/nothing.rules")
        assert.is_nil(rules)
        assert.matches("No such file", why, 1, true)
        assert.equal("io", code)
        assert.equal("io", select(3, lx.text.rules(work)))
        assert.equal("io", select(3, read(("#"):rep((1 << 20) + 1))))
    end)
end)

-- ---- the command --------------------------------------------------------------------------------------------------

describe("luxel label-reports", function()
    local function run(words, ...) return shell.run(("%s bin/luxel label-reports " .. words):format(LUA, ...)) end

    it("writes labels, and the words that decided", function()
        local data = shell.write(work .. "/a.csv", 'id,findings,impression\n"a,1",No effusion.,"Possible ""edema""."\n'
            .. "b,,\n")
        local status, output, errors = run("'%s' --out '%s/l.csv' --explain '%s/e.csv'", data, work, work)
        assert.equal(0, status, errors)
        assert.matches("2 reports in .-/l.csv, 1 of them without text\n", output)
        assert.matches("does not replace one", output)
        local rows = assert(require("luxel.io.csv").read(work .. "/l.csv"))
        assert.same({"a,1", "0", "-1", "", "-1"}, {rows[1].id, rows[1].Effusion, rows[1].Edema, rows[1].Mass,
            rows[1]["No Finding"]})
        assert.same({"b", "", ""}, {rows[2].id, rows[2].Effusion, rows[2]["No Finding"]})
        assert.equal("id,finding,label,section,sentence,words,cue,severity,side,place\n"
            .. '"a,1",Effusion,0,findings,1,effusion,No,,,\n"a,1",Edema,-1,impression,2,edema,Possible,,,\n',
            shell.read(work .. "/e.csv"))
    end)

    it("keeps the usual column of the other section where one is named", function()
        local data = shell.write(work .. "/n.csv", "id,Befund,impression,text\n1,No mass.,Effusion.,Edema.\n")
        for words, expected in pairs {["--findings Befund"] = "1,1,0,,", ["--impression Befund"] = "1,,0,,",
            ["--text text"] = "1,,,1,", ["--text text --impression impression"] = "1,1,,1,"} do
            local rules = shell.write(work .. "/three.rules", "[finding Effusion]\npresent: effusion\n[finding Mass]\n"
                .. "present: mass\n[finding Edema]\npresent: edema\n[cues]\ndeny before: no\n")
            local status, _, errors = run("'%s' --out '%s/n2.csv' --rules '%s' %s", data, work, rules, words)
            assert.equal(0, status, errors)
            assert.matches(expected, shell.read(work .. "/n2.csv"), 1, true)
        end
    end)

    it("takes whole reports by their headings, and rules of one's own", function()
        local data = shell.write(work .. "/t.csv", '"id";report;"a,b,c"\n7;"INDICATION: edema\nFINDINGS: Clip.";\n')
        local rules = shell.write(work .. "/clip.rules", "[finding Clip]\npresent: clip; edema\n")
        local status, _, errors = run("'%s' --out '%s/t2.csv' --rules '%s'", data, work, rules)
        assert.equal(0, status, errors)
        assert.equal("id,Clip,No Finding\n7,1,0\n", shell.read(work .. "/t2.csv"))
    end)

    it("says what is wrong", function()
        local data = shell.write(work .. "/a.csv", "id,findings,other\n1,x,y\n")
        local bare = shell.write(work .. "/b.csv", "id,other\n1,x\n")
        local twice = shell.write(work .. "/twice.csv", "id,findings,id ,\n1,x,y,\n")
        local wide = shell.write(work .. "/wide.csv", "\255\254i\0d\0")
        local rules = shell.write(work .. "/bad.rules", "[finding X]\npresent: X\n")
        for _, row in ipairs {
            {data, "missing option '--out'"}, {work .. "/none.csv --out x", "No such file"},
            {data .. " --out x --text othr", "--text: there is no column 'othr' (did you mean 'other'?)"},
            {data .. " --out x --id nr", "--id: there is no column 'nr'"},
            {bare .. " --out x", "it has no column findings"}, {data .. " --out " .. data, "three files"},
            {data .. " --out " .. work .. "/./a.csv", "three files"},
            {twice .. " --out x", "column 'id' comes twice"},
            {wide .. " --out x", "UTF-16"},
            {data .. " --out x --rules " .. rules, "bad.rules: line 2: 'X'"},
            {data .. " --out /nowhere/x", "--out: "},
        } do
            local status, _, errors = run(row[1])
            assert.not_equal(0, status, row[1])
            assert.matches(row[2], errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)
end)
