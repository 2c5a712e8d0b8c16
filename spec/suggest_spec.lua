--- Suggestions for the reader: what a table of rules says of findings, and which tables are refused, with line and
--- reason.

local lx = require "luxel"
local shell = require "spec.support.shell"

local work

setup(function() work = shell.folder() end)

teardown(function() shell.remove(work) end)

local HEAD <const> = "[table mine]\nversion: 7\nfindings: Mass, Pleural_Thickening\n" -- three lines
    .. "[source paper]\ntitle: A paper\nsection: 2.1\n" -- to line 6

local function read(text) return lx.report.rules(shell.write(work .. "/mine.rules", text)) end

-- A rule of five lines and what is given besides.
local function rule(name, more)
    return ("[rule %s]\nfinding: Mass\nsay: Consider %s.\nsource: paper\n%s\n"):format(name, name, more)
end

local function names_of(found)
    local names = {}
    for i, one in ipairs(found.suggestions) do names[i] = one.rule end
    return table.concat(names, " ")
end

describe("suggestions", function()
    it("come from the rules that hold, with rule, line and source", function()
        local rules = assert(read(HEAD .. "[rule big] # remark\nfinding: Mass, pleural thickening\n"
            .. "probability: 0.5..\nsay: Compare with an earlier film.\nsource: paper\n"))
        assert.matches("mine, version 7: 1 rules for 2 findings", tostring(rules))
        local found = lx.report.suggest({{finding = "MASS", probability = 0.5}, {finding = "Nodule", probability = 1}},
            {rules = rules})
        assert.same({{
            say = "Compare with an earlier film.", finding = "MASS", rule = "big", line = 7, source = "A paper",
            section = "2.1",
        }}, found.suggestions)
        assert.same({}, found.unjudged)
        assert.same({"Nodule"}, found.without_rule)
        assert.matches("a physician decides", found.notice)
        assert.matches("Compare with an earlier film.\n.-rule big, line 7; source: A paper; 2.1\n.-a physician decides",
            tostring(found))
    end)

    -- What a condition takes, beside the plain comparison.
    for condition, of_value in pairs {
        ["probability: 0.2..0.6"] = function(p) return p >= 0.2 and p < 0.6 end,
        ["probability: ..0.3"] = function(p) return p < 0.3 end,
        ["probability: 0.9..1"] = function(p) return p >= 0.9 end,
        ["probability: positive"] = function(p) return p >= 0.4 end,
        ["probability: negative"] = function(p) return p < 0.4 end,
    } do
        it("hold by " .. condition, function()
            local rules = assert(read(HEAD .. rule("one", condition)))
            for step = 0, 20 do
                local p = step / 20
                local found = lx.report.suggest({{finding = "Mass", probability = p, threshold = 0.4}}, {rules = rules})
                assert.equal(of_value(p) and 1 or 0, #found.suggestions, p)
            end
        end)
    end

    for condition, of_age in pairs {
        ["age: child"] = function(age) return age < 18 end, ["age: adult"] = function(age) return age >= 18 end,
        ["age: 35..64"] = function(age) return age >= 35 and age < 65 end,
        ["age: ..1"] = function(age) return age < 2 end,
    } do
        it("hold by " .. condition, function()
            local rules = assert(read(HEAD .. rule("one", condition)))
            for _, age in ipairs {0, 0.5, 1.9, 2, 17.99, 18, 34.9, 35, 64.9, 65, 120} do
                local found = lx.report.suggest({{finding = "Mass", probability = 1}}, {rules = rules, age = age})
                assert.equal(of_age(age) and 1 or 0, #found.suggestions, age)
            end
        end)
    end

    it("hold by doubt and by the urgency of the request", function()
        local rules = assert(read(HEAD .. rule("sure", "doubt: certain\nurgency: urgent")
            .. rule("unsure", "doubt: uncertain\nurgency: routine, urgent")))
        local function ask(uncertain, urgency)
            return names_of(lx.report.suggest({{finding = "Mass", probability = 1, uncertain = uncertain}},
                {rules = rules, urgency = urgency}))
        end
        assert.equal("sure", ask(false, "urgent"))
        assert.equal("", ask(false, "routine"))
        assert.equal("unsure", ask(true, "routine"))
        rules = assert(read(HEAD .. rule("low", "doubt: ..0.1") .. rule("high", "doubt: 0.3..0.5")))
        for doubt, name in pairs {[0] = "low", [0.1] = "", [0.2] = "", [0.3] = "high", [0.5] = "high"} do
            assert.equal(name, names_of(lx.report.suggest({{finding = "Mass", probability = 1, doubt = doubt}},
                {rules = rules})), doubt)
        end
    end)

    it("say which rules could not be judged, and for want of what", function()
        local rules = assert(read(HEAD .. rule("one", "probability: positive\ndoubt: certain\nage: adult\n"
            .. "urgency: urgent")))
        local found = lx.report.suggest({{finding = "Mass", probability = 1}}, {rules = rules})
        assert.same({}, found.suggestions)
        assert.same({{rule = "one", finding = "Mass", missing = {"threshold", "doubt", "age", "urgency"}}},
            found.unjudged)
        assert.matches("not judged for Mass: rule one, for want of: threshold, doubt, age, urgency", tostring(found))
        -- what fails by what is known is no question
        found = lx.report.suggest({{finding = "Mass", probability = 1}}, {rules = rules, age = 3})
        assert.same({}, found.unjudged)
    end)

    it("are refused for findings that are no findings", function()
        for _, findings in ipairs {
            {{finding = "Mass"}}, {{finding = "Mass", probability = 2}}, {{probability = 0.5}},
            {{finding = "Mass", probability = 0 / 0}}, {{finding = "Mass", probability = 1, dubt = 0}}, {"Mass"},
            {{finding = "a_b", probability = 1}, {finding = "A b", probability = 0}},
        } do
            local ok, message = pcall(lx.report.suggest, findings)
            assert.is_false(ok)
            assert.matches("suggest: findings", message, 1, true)
        end
    end)
end)

describe("tables of rules", function()
    it("that Luxel has name a source and a section for each rule, and prescribe nothing", function()
        local rules = assert(lx.report.rules())
        assert.is_true(#rules.rules > 0)
        for _, one in ipairs(rules.rules) do
            assert.is_true(#one.source.title > 10 and #one.source.section > 10)
            assert.is_nil(one.say:find "%f[%a]mg%f[%A]")
        end
    end)

    it("are refused with line and reason", function()
        for text, message in pairs {
            [""] = "line 1: the first section has to be [table NAME]",
            ["[rule x]"] = "line 1: the first section has to be [table NAME]",
            ["version: 1"] = "line 1: it is before the first section",
            ["[table x]\n\n[table y]"] = "line 3: there is a second [table]; the first is in line 1",
            ["[table x]\nversion: 1"] = "line 1: the table 'x' has no 'findings'",
            ["[table x]\nversion:"] = "line 2: version: it is empty",
            ["[table x]\nfindings: A,,B"] = "line 2: findings: a name is missing beside a comma",
            ["[table x]\nfindings: A_b, a B"] = "line 2: findings: 'a B' is there twice",
            ["[tables x]"] = "line 1: [tables x] is no section", ["[table x/y]"] = "line 1: 'x/y' is no name",
            [HEAD] = "line 4: no rule is from the source 'paper'",
            [HEAD .. "[rule x]\nfindng: Mass"] = "line 8: there is no 'findng' in a rule (did you mean 'finding'?)",
            [HEAD .. "[rule x]\nfinding: Mass\nfinding: Mass"] = "line 9: there is a second 'finding'; the first is in "
                .. "line 8",
            [HEAD .. rule("x", "age: old")] = "line 11: age: expected child, adult or whole years LOW..HIGH, got 'old'",
            [HEAD .. rule("x", "age: 1.5..")] = "line 11: age: expected child, adult or whole years",
            [HEAD .. rule("x", "age: 9..8")] = "line 11: age: nobody is in '9..8': the rule could never hold",
            [HEAD .. rule("x", "age: 200..")] = "line 11: age: '200..': nobody is older than 150",
            [HEAD .. rule("x", "probability: 0.5")] = "line 11: probability: expected positive, negative or a range",
            [HEAD .. rule("x", "probability: 0.5..0.5")] = "line 11: probability: nothing is in '0.5..0.5'",
            [HEAD .. rule("x", "probability: 0.5..50")] = "line 11: probability: '0.5..50' is not between 0 and 1",
            [HEAD .. rule("x", "doubt: 0.6..")] = "line 11: doubt: '0.6..' is not between 0 and 0.5",
            [HEAD .. rule("x", "urgency: soon")] = "line 11: urgency: 'soon' is no urgency: there are routine and "
                .. "urgent",
            [HEAD .. "[rule x]\nsay: Give 1 g of x."] = "line 8: say: it begins with 'Give'; a suggestion is what",
            [HEAD .. "[rule x]\nsay: " .. ("Consider x "):rep(50)] = "line 8: say: it has more than 400 characters",
            [HEAD .. "[rule x]\nfinding: Mass\nsource: paper"] = "line 7: the rule 'x' has no 'say'",
            [HEAD .. "[rule x]\nfinding: Mass\nsay: Consider x."] = "line 7: the rule 'x' has no 'source'",
            [HEAD .. "[rule x]\nsource: paper\nsay: Ask."] = "line 7: the rule 'x' has no 'finding'",
            [HEAD .. "[rule x]\nfinding: Mas\nsource: paper\nsay: Ask."] = "line 8: there is no finding 'Mas' in the "
                .. "table (did you mean 'Mass'?)",
            [HEAD .. "[rule x]\nfinding: Mass\nsource: papr\nsay: Ask."] = "line 9: there is no source 'papr' (did you "
                .. "mean 'paper'?)",
            [HEAD .. "[source other]\ntitle: x"] = "line 7: the source 'other' has no 'section'",
            [HEAD .. rule("x", "age: child") .. rule("x", "age: adult")] = "line 12: there is another rule 'x' in line "
                .. "7",
            [HEAD .. rule("x", "age: ..40") .. rule("y", "age: 40..")] = "line 12: the rule 'y' and the rule 'x' of "
                .. "line 7 may both hold for Mass",
            [HEAD .. rule("x", "probability: ..0.5") .. rule("y", "probability: positive")] = "may both hold",
            [HEAD .. rule("x", "urgency: routine") .. rule("y", "urgency: urgent, routine")] = "may both hold",
            [HEAD .. rule("x", "") .. rule("y", "doubt: certain")] = "may both hold",
        } do
            local rules, why, code = read(text)
            assert.is_nil(rules, text)
            assert.matches("mine.rules: ", why, 1, true)
            assert.matches(message, why, 1, true)
            assert.equal("format", code)
        end
        assert.equal("io", select(3, lx.report.rules(work .. "/nothing")))
    end)

    it("are taken where rules cannot hold together", function()
        for _, two in ipairs {
            {"age: ..39", "age: 40.."}, {"probability: ..0.5", "probability: 0.5.."}, {"age: child", "age: adult"},
            {"probability: positive", "probability: negative"}, {"doubt: certain", "doubt: uncertain"},
            {"urgency: routine", "urgency: urgent"}, {"age: child\ndoubt: certain", "age: adult\ndoubt: certain"},
        } do
            assert(read(HEAD .. rule("x", two[1]) .. rule("y", two[2])))
        end
        assert(read(HEAD .. rule("x", "") .. rule("y", ""):gsub("Mass", "Pleural_Thickening")))
    end)
end)
