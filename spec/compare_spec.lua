-- Trainings and evaluations beside each other: settings, images in common, and tests against those of lx.metrics.

local cjson = require "cjson"
local comparison = require "luxel.comparison"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"

describe("settings", function()
    it("are taken apart, and only those that differ are listed", function()
        local function metadata(lr, seed)
            return {
                task = "binary", model = "cnn", seed = seed, size = 32, normalisation = {mean = 0.5, std = 0.25},
                training = {recipe = {
                    batch = 32, optimizer = "AdamW", seed = seed,
                    ["the optimiser's options"] = "{1={betas={1=0.9,2=0.999},lr=" .. lr .. "},2={lr=1}}",
                    augment = "a {strange} text",
                }, schedule = "{total=4}"},
            }
        end
        local first = comparison.settings(metadata("0.001", 1))
        assert.equal("0.999", first["the optimiser's options.1.betas.2"])
        assert.equal("0.001", first["the optimiser's options.1.lr"])
        assert.equal("a {strange} text", first.augment)
        assert.equal("4", first["the schedule's options.total"])
        assert.equal("new", first["first weights"])
        assert.equal("0.25", first["normalisation.std"])
        local other = metadata("0.0003", 2)
        other.pretrained = {source = "timm", checksum = "xxh64:1"}
        other.training.recipe.extra = "{open={"
        local rows, same = comparison.differences {first, comparison.settings(other)}
        local found = {}
        for _, row in ipairs(rows) do found[row.name] = row.values end
        assert.same({
            ["the optimiser's options.1.lr"] = {"0.001", "0.0003"}, seed = {"1", "2"},
            ["first weights"] = {"new", "timm (xxh64:1)"}, extra = {"not known", "{open={"},
        }, found)
        assert.equal(12, same)
    end)
end)

describe("several p", function()
    it("are corrected as Holm's paper has it", function()
        -- smallest times 4, next times 3, ..., never less than before, at most 1
        assert.same({[2] = 0.03, [3] = 0.06, [4] = 0.06, [5] = 0.02},
            (function(list)
                for k, value in pairs(list) do list[k] = math.floor(value * 1e9 + 0.5) / 1e9 end
                return list
            end)(comparison.holm {[2] = 0.01, [3] = 0.03, [4] = 0.04, [5] = 0.005}))
        assert.same({[2] = 1}, comparison.holm {[2] = 1})
    end)
end)

-- Evaluations of so many images, two of each patient.
local function evaluation(name, count, score)
    local out = {name = name, answers = {}}
    for i = 1, count do
        local label = i // 2 % 2
        local p = score(i, label)
        out.answers[i] = {path = "f" .. i, patient = "p" .. (i + 1) // 2, label = label, probability = p,
            positive = p >= 0.5 and 1 or 0}
    end
    return out
end

local function good(i, label) return ((i * 37) % 101 / 101 + label) / 2 end
local function worse(i, label) return ((i * 53) % 97 / 97 * 2 + label) / 3 end

describe("answers", function()
    it("are compared on images that all have, by the tests of lx.metrics", function()
        local a, b = evaluation("a", 80, good), evaluation("b", 90, worse)
        table.remove(b.answers, 3)
        local sample, left_out = comparison.in_common {a, b}
        assert.equal(79, #sample.labels)
        assert.equal(11, left_out)
        assert.equal(good(4, 0), sample.scores[1][3])
        assert.equal(worse(4, 0), sample.scores[2][3])
        local judged = comparison.judge(sample, {seed = 1, n = 200})
        local options = {groups = sample.groups, seed = 1, n = 200}
        local auc = judged.figures[1]
        assert.equal(lx.metrics.auc(sample.scores[2], sample.labels), auc.values[2])
        local low, high = lx.metrics.bootstrap(lx.metrics.auc, sample.scores[1], sample.labels, options)
        assert.same({low, high}, auc.intervals[1])
        local paired = lx.metrics.paired_bootstrap(lx.metrics.auc, sample.scores[2], sample.scores[1], sample.labels,
            options)
        assert.equal(paired.difference, auc.differences[2].difference)
        assert.equal(paired.p, judged.tests[2].bootstrap.p)
        assert.equal(paired.p, judged.tests[2].holm)
        assert.equal(lx.metrics.delong_test(sample.scores[2], sample.scores[1], sample.labels).p,
            judged.tests[2].delong.p)
        assert.is_true(paired.difference < 0)
        local right = 0
        for i, label in ipairs(sample.labels) do right = right + (sample.decisions[1][i] == label and 1 or 0) end
        assert.near(right / 79, judged.figures[3].values[1], 1e-12)
        assert.equal(40, judged.patients)
    end)

    it("that disagree about the labels, or have nothing in common, are refused", function()
        local a, b = evaluation("a", 20, good), evaluation("b", 20, worse)
        b.answers[2].label = 1 - b.answers[2].label
        local none, message = comparison.in_common {a, b}
        assert.is_nil(none)
        assert.matches("f2 is labelled %d in a, and %d in b", message)
        for _, row in ipairs(b.answers) do row.path = "elsewhere/" .. row.path end
        none, message = comparison.in_common {a, b}
        assert.is_nil(none)
        assert.matches("no image in common", message)
    end)
end)

describe("luxel compare #slow", function()
    local work

    local function run(form, ...) return shell.run(("%s bin/luxel %s"):format(LUA, form:format(...))) end

    setup(function()
        work = shell.folder()
        for k, more in ipairs {"", "--lr 0.0003 --seed 2"} do
            assert.equal(0, (run("train --phantoms 60 --size 32 --epochs 2 --device cpu --out %s/r%d %s", work, k,
                more)))
        end
        lx.data.phantom_save(work .. "/films", {n = 60, size = 40, seed = 500})
    end)

    teardown(function() shell.remove(work) end)

    it("shows runs, what differs in them, and tests on images that neither knows", function()
        local status, out, errors = run("compare %s/r1 %s/r2/", work, work)
        assert.equal(0, status, errors)
        assert.matches("the optimiser's options.1.lr +0.001 +0.0003", out)
        assert.matches("seed +1 +2", out)
        assert.matches("auc +[%d.]+ +[%d.]+", out)
        assert.is_nil(out:find("DeLong", 1, true))
        status, out, errors = run("compare %s/r1 %s/r2/best.safetensors --data %s/films --device cpu --report "
            .. "%s/page.html --json %s/c.json", work, work, work, work, work)
        assert.equal(0, status, errors)
        assert.matches("AUC +0%.%d+ %[0%.%d+, [%d.]+%] +0%.%d+ %[", out)
        assert.matches("p, Holm +p, DeLong", out)
        local page = shell.read(work .. "/page.html")
        local comparison_page = require "luxel.report.comparison"
        for shown, names in pairs {
            ["run1 run2"] = {"x/y/run1", "x/y/run2"}, ["y/a z/a"] = {"x/y/a", "x/z/a"}, ["a b"] = {"a", "b"},
            ["x/ a"] = {"x/", "x/a"}, ["a c"] = {"/a", "/c"},
        } do -- without the folders that all are in
            local rows = {{name = "auc", values = {"0.5", "0.7"}}}
            assert(comparison_page.write(work .. "/short.html", {names = names, own = rows}))
            local found = {}
            for name in shell.read(work .. "/short.html"):gmatch('<th class="n">([^<]+)</th>') do
                found[#found + 1] = name
            end
            assert.equal(shown, table.concat(found, " "))
        end
        assert.is_nil(page:find("https?://"))
        assert.is_true(page:find(lx.predictor.NOTICE, 1, true) < page:find("<h2>", 1, true))
        for _, title in ipairs {"On the same images", "Settings that differ", "On validation images of their own"} do
            assert.matches("<h2>" .. title, page)
        end
        local found = cjson.decode(shell.read(work .. "/c.json"))
        assert.equal(lx.predictor.NOTICE, found.notice)
        assert.equal(5, #found.figures)
        -- the same by evaluations of the same models
        for k = 1, 2 do
            status, out, errors = run("evaluate --model %s/r%d/best.safetensors --data %s/films --device cpu "
                .. "--predictions %s/e%d.csv", work, k, work, work, k)
            assert.equal(0, status, errors)
            assert.matches("predictions in", out)
        end
        status, out, errors = run("compare %s/e1.csv %s/e2.csv --json %s/d.json", work, work, work)
        assert.equal(0, status, errors)
        assert.matches("those that all evaluations have", out)
        local other = cjson.decode(shell.read(work .. "/d.json"))
        for i, row in ipairs(found.figures) do
            assert.near(row.values[1], other.figures[i].values[1], 1e-6)
            assert.near(row.values[2], other.figures[i].values[2], 1e-6)
        end
        assert.near(found.tests[1].delong.p, other.tests[1].delong.p, 1e-6)
    end)

    it("ends with a line where something is wrong", function()
        shell.write(work .. "/odd.csv", "path,label\na,1\n")
        shell.write(work .. "/bad.csv", "path,patient,label,probability,positive\na,b,1,1.5,1\n")
        shell.write(work .. "/twice.csv", "path,patient,label,probability,positive\na,b,1,1,1\na,b,1,1,1\n")
        for words, expected in pairs {
            [("compare %s/r1 none"):format(work)] = "none: there is no such file",
            [("compare %s/r1 %s"):format(work, work)] = "best.safetensors",
            [("compare %s/r1 %s/e1.csv"):format(work, work)] = "evaluations are compared with evaluations",
            [("compare %s/e1.csv %s/e2.csv --data x"):format(work, work)] = "--data is for models",
            [("compare %s/e1.csv %s/odd.csv"):format(work, work)] = "it has no column 'patient'",
            [("compare %s/e1.csv %s/bad.csv"):format(work, work)] = "row 2: expected a label",
            [("compare %s/e1.csv %s/twice.csv"):format(work, work)] = "a is there twice",
        } do
            local status, _, errors = run("%s", words)
            assert.equal(1, status, words)
            assert.matches(expected, errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)
end)
