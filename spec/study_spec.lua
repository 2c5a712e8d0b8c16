--- The report of one film: findings, maps and suggestions, as a table, as text, as a page and as JSON.

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local SIZE <const> = 33

local work, film, models

-- A model's file as training writes it, with weights by chance.
local function save(name, outputs, fields)
    lx.manual_seed(7)
    local metadata = {
        schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "cnn", size = SIZE,
        classes = {"NORMAL", "Nodule"}, positive = "Nodule", input = {channels = 1, low = 0, high = 1},
        normalisation = {mean = 0.4, std = 0.3}, threshold = 0, calibration = false, seed = 1,
        epoch = 1, chosen = {threshold = "Youden", calibration = "none", images = 9},
    }
    for key, value in pairs(fields) do metadata[key] = value end
    if metadata.task ~= "binary" then metadata.positive = nil end
    if metadata.task == "classes" then metadata.threshold = nil end
    local path = work .. "/" .. name .. ".safetensors"
    assert(lx.checkpoint.save(path, lx.models.cnn({size = SIZE, outputs = outputs}):state_dict(), metadata))
    return path
end

setup(function()
    work = shell.folder()
    lx.manual_seed(1)
    film = work .. "/film <1>.png"
    assert(lx.vision.save(film, (lx.vision.gaussian_blur(lx.rand(1, 71, 53), 2) * 255):byte()))
    models = {
        binary = save("two", 1, {}),
        labels = save("labels", 3, {
            task = "labels", classes = {"Mass", "Nodule", "Effusion"}, threshold = {0, 1, 0.001},
        }),
        classes = save("classes", 3, {task = "classes", classes = {"a", "b", "c"}, calibration = {temperature = 1}}),
    }
end)

teardown(function() shell.remove(work) end)

describe("a study", function()
    it("has what the predictor and the maps say", function()
        for task, path in pairs(models) do
            local predictor = assert(lx.predictor.open(path))
            local found = assert(lx.report.study(predictor, film, {maps = 2}))
            local answer = assert(predictor(film))
            assert.equal(task == "binary" and 1 or 3, #found.findings)
            local maps = 0
            for i, one in ipairs(found.findings) do
                assert.equal(task == "binary" and answer.infected or answer.classes[one.finding], one.probability)
                assert.is_true(i == 1 or one.probability <= found.findings[i - 1].probability)
                if one.map then
                    maps = maps + 1
                    local map = lx.explain.layer_cam(predictor, film, {class = one.finding})
                    assert.near(math.max(0, map:max():item()), one.map.most, 1e-6)
                    if one.map.most > 0 then
                        local x = math.floor(one.map.peak.x * SIZE) + 1
                        local y = math.floor(one.map.peak.y * SIZE) + 1
                        assert.near(one.map.most, map:select(1, 1):select(1, y):select(1, x):item(), 1e-6)
                        assert.equal(16, #one.map.grid)
                        assert.equal(16, #one.map.grid[16])
                    end
                    assert.same({3, 71, 53}, one.map.picture.shape)
                end
            end
            if task == "labels" then
                local positive = {}
                for _, one in ipairs(found.findings) do positive[one.finding] = one.positive end
                assert.same({Mass = true, Nodule = false, Effusion = true}, positive)
                assert.equal(2, maps)
            else
                assert.equal(1, maps)
            end
            assert.matches("study: .-film <1>.png by .-\nfindings:\n.*does not replace one", tostring(found))
        end
    end)

    it("says where in the picture the largest value is", function()
        local predictor = assert(lx.predictor.open(models.binary))
        local rows, columns, apart = {"upper", "middle", "lower"}, {"left", "middle", "right"}, 0
        for seed = 1, 12 do
            lx.manual_seed(seed)
            local picture = core.encode_png((lx.vision.gaussian_blur(lx.rand(1, 40, 60), 3) * 255):byte())
            local map = assert(lx.report.study(predictor, {bytes = picture}, {explain = "smooth_grad"})).findings[1].map
            local x, y = math.floor(3 * map.peak.x) + 1, math.floor(3 * map.peak.y) + 1
            assert.equal(("%s third, %s of the picture"):format(rows[y], columns[x]), map.place)
            if x ~= y then apart = apart + 1 end
        end
        assert.is_true(apart > 0)
    end)

    it("has a map of the likeliest where nothing is found, and none if none is wanted", function()
        local path = save("none", 3, {
            task = "labels", classes = {"Mass", "Nodule", "Effusion"}, threshold = {1, 1, 1},
        })
        local predictor = assert(lx.predictor.open(path))
        local found = assert(lx.report.study(predictor, film))
        assert.is_truthy(found.findings[1].map)
        assert.is_nil(found.findings[2].map)
        found = assert(lx.report.study(predictor, film, {explain = false}))
        assert.is_nil(found.findings[1].map)
        assert.is_nil(found.suggestions)
    end)

    it("has suggestions by the rules, for the model's thresholds", function()
        local predictor = assert(lx.predictor.open(models.labels))
        local found = assert(lx.report.study(predictor, film, {rules = true, explain = false, age = 50}))
        assert.equal(1, #found.suggestions.suggestions)
        assert.equal("mass-referral", found.suggestions.suggestions[1].rule)
        assert.same({"Effusion"}, found.suggestions.without_rule)
        found = assert(lx.report.study(predictor, film, {rules = true, explain = false}))
        assert.same({{rule = "mass-referral", finding = "Mass", missing = {"age"}}}, found.suggestions.unjudged)
    end)

    it("knows of the patient what the header of a DICOM file says, and what is given counts more", function()
        local doubt = require "luxel.train.doubt"
        for text, years in pairs {
            ["042Y"] = 42, ["006M"] = 0.5, ["000D"] = 0, ["010W"] = 70 / 365.25, [" 61Y "] = 61,
            ["000Y"] = false, ["42"] = 42, ["0"] = false, [""] = false, ["151Y"] = false,
            ["4 2Y"] = false, ["042y"] = false, ["0042Y"] = false,
        } do
            local found = doubt.years(text)
            if years then assert.near(years, found, 1e-9) else assert.is_nil(found, text) end
        end
        assert.is_nil(doubt.years(nil))
        local golden = assert(lx.load("spec/golden/dicom.safetensors"))
        local path = shell.write(work .. "/film.dcm", golden["window/linear/file"]:tostring_bytes())
        local predictor = assert(lx.predictor.open(models.labels))
        local found = assert(lx.report.study(predictor, path, {rules = true, explain = false}))
        assert.same({42, "header", "F", "PA"}, {found.age, found.age_of, found.sex, found.view})
        assert.matches("\npatient: 42 years %(by the file's header%), sex F, view PA\n", tostring(found))
        assert.equal("mass-referral", found.suggestions.suggestions[1].rule) -- of adults
        found = assert(lx.report.study(predictor, path, {rules = true, explain = false, age = 7}))
        assert.same({7, "given"}, {found.age, found.age_of})
        assert.matches("patient: 7 years %(as given%)", tostring(found))
        assert.same({}, found.suggestions.suggestions)
        found = assert(lx.report.study(predictor, film, {explain = false}))
        assert.same({}, {found.age, found.age_of, found.sex, found.view})
        assert.is_nil(tostring(found):find("patient:", 1, true))
    end)

    it("is a page with nothing from elsewhere", function()
        local predictor = assert(lx.predictor.open(models.labels))
        local found = assert(lx.report.study(predictor, film, {rules = true, age = 50}))
        local path = work .. "/page.html"
        assert(lx.report.write_study(path, found, {command = "luxel study '<script>'"}))
        local text = shell.read(path)
        assert.is_nil(text:find("<script", 1, true))
        assert.is_nil(text:find("film <1>", 1, true))
        assert.is_nil(text:find('src="[^d]'))
        assert.is_nil(text:find("https?://"))
        assert.is_true(text:find(lx.predictor.NOTICE, 1, true) < text:find("<h2>", 1, true))
        for _, words in ipairs {"Findings", "Suggestions for the reader", "a physician decides", "NICE guideline NG12",
            "No rule is about: Effusion", "Model card", "map of Mass", "To get the same again"} do
            assert.is_truthy(text:find(words, 1, true), words)
        end
        for _, tag in ipairs {"div", "table", "figure", "p", "h2"} do
            local _, opened = text:gsub("<" .. tag .. "[ >]", "")
            local _, closed = text:gsub("</" .. tag .. ">", "")
            assert.equal(opened, closed, tag)
        end
        assert.equal("io", select(3, lx.report.write_study(work .. "/no/page.html", found)))
    end)

    it("is refused for what is no film, no method, or masks", function()
        local predictor = assert(lx.predictor.open(models.binary))
        local found, message, code = lx.report.study(predictor, work .. "/none.png")
        assert.is_nil(found)
        assert.is_truthy(message)
        assert.equal("io", code)
        assert.has_error(function() lx.report.study(predictor, film, {explain = "layercam"}) end)
        assert.has_error(function() lx.report.study(predictor, film, {age = -1}) end)
        assert.has_error(function() lx.report.write_study(work .. "/x.html", {}) end)
    end)
end)

describe("luxel predict --findings", function()
    local function run(words, ...) return shell.run(("%s bin/luxel predict --findings " .. words):format(LUA, ...)) end

    it("says the same as a study, as text, as JSON and as CSV", function()
        local study = assert(lx.report.study(assert(lx.predictor.open(models.labels)), film))
        local words = tostring(study)
        local lines = words:match("findings:\n(.-)\nquality") or words:match("findings:\n(.-)\nLuxel")
        local status, output, errors = run("--model '%s' '%s'", models.labels, film)
        assert.equal(0, status, errors)
        assert.is_truthy(output:find(lines, 1, true), output .. lines)
        local _, text = run("--json --model '%s' '%s'", models.labels, film)
        local answer = cjson.decode(text)
        for i, one in ipairs(study.findings) do
            local found = answer.findings[i]
            assert.near(one.probability, found.probability, 1e-6)
            assert.same({one.finding, one.positive, one.map and one.map.place}, {found.finding, found.positive,
                found.map and found.map.place})
        end
        _, text = run("--format csv --explain smooth_grad --model '%s' '%s'", models.labels, film)
        local head, first = text:match("^([^\n]+)\n([^\n]+)\n")
        assert.equal("path,finding,probability,threshold,positive,doubt,uncertain,place,warnings", head)
        assert.matches(",Mass,[%d.]+,0[.0]*,1,,,\"?%a+ third", "," .. text:gsub("\n", ",,"), nil, first)
        assert.equal(4, select(2, text:gsub("\n", "")))
    end)

    it("is of two classes too, and not of a worklist", function()
        local _, output = run("--model '%s' '%s'", models.binary, film)
        assert.matches("\n  Nodule +[%d.]+ %% +positive %(threshold 0.0 %%%)\n +by layer_cam", output)
        local status, _, errors = run("--worklist '%s/w.csv' --model '%s' '%s'", work, models.binary, film)
        assert.equal(1, status)
        assert.matches("--findings is not for --worklist", errors, 1, true)
    end)
end)

describe("luxel study", function()
    local function run(words, ...) return shell.run(("%s bin/luxel study " .. words):format(LUA, ...)) end

    it("prints, and writes page and JSON", function()
        local status, output, errors = run("'%s' --model '%s' --suggest --age 40 --report '%s/s.html' "
            .. "--json '%s/s.json'", film, models.labels, work, work)
        assert.equal(0, status, errors)
        local _, swallowed = run("--model '%s' --age 40 --suggest '%s'", models.labels, film)
        assert.equal((output:gsub("report in [^\n]+\n", "")), swallowed)
        assert.matches("Mass .-positive.-suggestions: 1 by chest.-a physician decides.-does not replace one", output)
        assert.matches("report in .-/s.html", output)
        assert.matches("^<!doctype html>", shell.read(work .. "/s.html"))
        local found = cjson.decode(shell.read(work .. "/s.json"))
        assert.equal(3, #found.findings)
        assert.equal("mass-referral", found.suggestions.suggestions[1].rule)
        assert.equal(40, found.age)
        local with_map = found.findings[1].map or found.findings[2].map
        assert.equal("layer_cam", with_map.method)
        assert.matches("does not replace one", found.notice)
    end)

    it("writes lists that are empty as lists, and any name of a file as UTF-8", function()
        local odd = work .. "/odd\xe9 \"1\".png"
        shell.write(odd, shell.read(film))
        local status, _, errors = run("'%s' --model '%s' --explain none --suggest '%s' --age 3 --json '%s/o.json' "
            .. "--report '%s/o.html'", odd, models.binary, shell.write(work .. "/none.rules",
            "[table none]\nversion: 1\nfindings: INFECTED\n"), work, work)
        assert.equal(0, status, errors)
        local text = shell.read(work .. "/o.json")
        assert.matches('/odd\u{FFFD} \\"1\\".png"', text, 1, true)
        assert.is_truthy(utf8.len(text) and utf8.len(shell.read(work .. "/o.html")))
        local found, lists = require("luxel.json").decode(text)
        assert.is_true(lists[found.quality] and lists[found.reasons] and lists[found.suggestions.suggestions]
            and lists[found.suggestions.unjudged] and lists[found.suggestions.without_rule])
    end)

    it("is by the model of the package where none is named, which is of children", function()
        local status, output, errors = run("--age 61 '%s'", film)
        assert.equal(0, status, errors)
        assert.matches("model: that of the package", errors)
        assert.matches("uncertain: the model learnt from patients of 1 to 5 years, and this one is 61", output)
    end)

    it("says what is wrong in a line", function()
        local rules = shell.write(work .. "/bad.rules", "[table x]\nversion: 1\nfindings: A\n[rule y]\nfinding: B\n")
        for _, row in ipairs {
            {"'" .. work .. "/none.png' --model '" .. models.binary .. "'", "none.png"},
            {"--model '" .. models.binary .. "'", "name an image"},
            {"'" .. film .. "' --model README.md", "README.md"},
            {"'" .. film .. "' --model '" .. models.binary .. "' --age old", "--age: expected years"},
            {"'" .. film .. "' --model '" .. models.binary .. "' --suggest '" .. rules .. "'", "bad.rules: line 4: "},
            {"'" .. film .. "' --model '" .. models.binary .. "' --explain cam", "--explain"},
            {"'" .. film .. "' --model '" .. models.binary .. "' --report x --json x", "two files"},
        } do
            local status, _, errors = shell.run(LUA .. " bin/luxel study " .. row[1])
            assert.not_equal(0, status, row[1])
            assert.matches(row[2], errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)
end)
