-- Worklists: the same answers as predict gives, in order, whoever was killed meanwhile.

local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local random = require "luxel.random"
local shell = require "spec.support.shell"
local triage = require "luxel.triage"

local LUA <const> = os.getenv("LUA") or "lua5.4"

local work

local function predict(form, ...)
    return shell.run(("%s bin/luxel predict --device cpu --model '%s/run/best.safetensors' %s"):format(LUA, work,
        form:format(...)))
end

-- Folders with many files of few images.
local function multiply(from, to, times)
    assert(lfs.mkdir(to))
    for k = 1, times do
        assert(lfs.mkdir(("%s/%03d"):format(to, k)))
        os.execute(("ln %s/*/*.png '%s/%03d/'"):format(from, to, k))
    end
end

describe("a worklist #slow", function()
    setup(function()
        work = shell.folder()
        lx.data.phantom_save(work .. "/films", {n = 50, size = 40, seed = 5})
        assert.equal(0, (shell.run(("%s bin/luxel train --phantoms 120 --size 32 --epochs 3 --device cpu "
            .. "--out '%s/run'"):format(LUA, work))))
    end)

    teardown(function() shell.remove(work) end)

    it("doubts films of patients of other ages than those of the training", function()
        local tensors, metadata = assert(lx.checkpoint.load(work .. "/run/best.safetensors"))
        metadata.ages = {low = 1, high = 5}
        assert(lx.checkpoint.save(work .. "/ages.safetensors", tensors, metadata))
        local golden = assert(lx.checkpoint.load("spec/golden/dicom.safetensors"))
        shell.write(work .. "/film.dcm", core.to_string(golden["window/linear/file"])) -- of a woman of 42 years
        local status, _, errors = shell.run(("%s bin/luxel predict --device cpu --model '%s/ages.safetensors' "
            .. "--worklist %s/ages.csv %s/film.dcm"):format(LUA, work, work, work))
        assert.equal(0, status, errors)
        assert.matches("population", assert(csv.read(work .. "/ages.csv"))[1]["uncertain because"])
    end)

    it("has what predict says of each image, in order", function()
        local out = work .. "/list.csv"
        local dark = lx.vision.load(lx.data.image_folder(work .. "/films").path[1], {bits = 8})
        assert(core.write_png(work .. "/films/NORMAL/dark,\xe9.png", (dark:float() * 0.25):byte()))
        shell.write(work .. "/films/NORMAL/broken.png", "none")
        local status, text, errors = predict("--worklist %s --page %s/page.html %s/films %s/films/NORMAL", out, work,
            work, work)
        assert.equal(1, status)
        assert.matches("error: [^\n]*broken.png", errors)
        assert.matches("51 images in order, 1 without an answer, in " .. out, text, 1, true)
        assert.is_nil(lfs.attributes(out .. ".journal"))
        local rows = assert(csv.read(out))
        assert.equal(52, #rows)
        assert.matches("broken.png$", rows[52].path)
        assert.matches("is not an image", rows[52].problem)
        assert.equal("", rows[52].rank .. rows[52].label)
        local _, answers = predict("--format csv %s/films", work)
        shell.write(work .. "/answers.csv", answers)
        local by_path, last = {}, math.huge
        for _, row in ipairs(assert(csv.read(work .. "/answers.csv"))) do by_path[row.path] = row end
        for i = 1, 51 do
            local row = rows[i]
            local expected = assert(by_path[row.path], row.path)
            for _, name in ipairs {"label", "probability of INFECTED", "doubt", "uncertain because", "warnings"} do
                assert.equal(expected[name], row[name], name)
            end
            assert.equal(tostring(i), row.rank)
            assert.is_true(tonumber(row["probability of INFECTED"]) <= last)
            last = tonumber(row["probability of INFECTED"])
            assert.equal("", row.problem)
            if row.path:find("dark,", 1, true) then assert.matches("dark", row.warnings) end
        end
        os.remove(work .. "/films/NORMAL/broken.png")
    end)

    it("has a page that needs nothing else", function()
        local text = shell.read(work .. "/page.html")
        local _, pictures = text:gsub('src="data:image/png;base64,[%w+/=]+"', "")
        assert.equal(51, pictures)
        assert.is_nil(text:find("https?://"))
        assert.is_nil(text:find("<script", 1, true))
        assert.matches("broken.png", text)
        -- in order, each with its share as a bar, and those that are called ill stand out
        local rows, place = assert(csv.read(work .. "/list.csv")), 0
        for class, rank, share, bar, label in text:gmatch('<figure([^>]*)><img [^>]+><figcaption><b>(%d+)%. ([%d.]+)'
            .. '\u{a0}%%</b><span class="share"><i style="width:(%d+)%%"></i></span>called ([%w_]+)<br>') do
            place = place + 1
            local row = rows[place]
            assert.equal(place, tonumber(rank))
            assert.equal(row.label, label)
            assert.near(100 * tonumber(row["probability of INFECTED"]), tonumber(share), 0.051)
            assert.near(tonumber(share), tonumber(bar), 0.6)
            assert.equal(label == "INFECTED" and ' class="called"' or "", class)
        end
        assert.equal(51, place)
        assert.is_true(text:find(lx.predictor.NOTICE, 1, true) < text:find("<h2>", 1, true))
    end)

    -- LUXEL_KILLS: how many moments.
    it("comes out the same whenever its work was killed", function()
        local many, out = work .. "/many", work .. "/many.csv"
        multiply(work .. "/films", many, 14)
        local command = ("%s bin/luxel predict --device cpu --model '%s/run/best.safetensors' --worklist %s %s"):format(
            LUA, work, out, many)
        local began = core.now()
        local status, text, errors = shell.run(command)
        assert.equal(0, status, errors)
        local whole, expected = core.now() - began, shell.read(out)
        local count = tonumber(text:match("(%d+) images in order"))
        assert.is_true(count > 600)
        local stream = random.stream(tonumber(os.getenv("LUXEL_KILLS_SEED") or 1))
        local journals = 0
        for _ = 1, 3 do
            os.remove(out)
            for _ = 1, tonumber(os.getenv("LUXEL_KILLS") or 3) do
                shell.run(("timeout -s KILL %.3f %s"):format(stream:uniform(0.2, 0.8) * whole, command))
                journals = journals + (lfs.attributes(out .. ".journal") and 1 or 0)
            end
            if not lfs.attributes(out) or lfs.attributes(out .. ".journal") then
                status, text, errors = shell.run(command)
                assert.equal(0, status, errors)
                assert.matches(count .. " images in order", text)
            end
            assert.is_true(expected == shell.read(out), "another list")
            assert.is_nil(lfs.attributes(out .. ".journal"))
        end
        assert.is_true(journals > 0)
        if os.getenv("LUXEL_KILLS") then print(("%d kills left a journal"):format(journals)) end
    end)

    it("is not written over, nor mixed with another model's", function()
        local out = work .. "/list.csv"
        local status, _, errors = predict("--worklist %s %s/films", out, work)
        assert.equal(1, status)
        assert.matches("is there already; %-%-overwrite replaces it", errors)
        os.remove(out)
        assert(lfs.mkdir(out .. ".journal"))
        shell.write(out .. ".journal/answers", '{"another":1}\n')
        status, _, errors = predict("--worklist %s %s/films", out, work)
        assert.equal(1, status)
        assert.matches("holds answers of another model.*; %-%-overwrite begins anew", errors)
        assert.equal(0, (predict("--worklist %s --overwrite %s/films", out, work)))
        assert.equal(52, select(2, shell.read(out):gsub("\n", "")))
        for words, expected in pairs {
            ["--page x.html"] = "--page is for --worklist", ["--overwrite"] = "--overwrite is for --worklist",
            ["--worklist x --json"] = "--json is not for --worklist",
            ["--worklist x --out y"] = "--out is not for --worklist",
            ["--worklist x --page x"] = "say two files",
            ["--worklist x --format csv"] = "--format is not for",
        } do
            status, _, errors = predict("%s %s/films", words, work)
            assert.equal(1, status)
            assert.matches(expected, errors, 1, true)
        end
    end)

    describe("'s journal", function()
        local predictor, paths

        setup(function()
            predictor = assert(lx.predictor.open(work .. "/run/best.safetensors"))
            paths = assert(lx.data.image_folder(work .. "/films")).path
        end)

        local function run(some, seen)
            return triage.run(predictor, some, {journal = work .. "/journal", progress = seen})
        end

        it("is gone on with behind what is whole, and without what has changed", function()
            local file = work .. "/journal/answers"
            local first = assert(run {paths[1], paths[2], paths[1], paths[3]})
            assert.equal(3, #first)
            local text = shell.read(file)
            assert.equal(4, select(2, text:gsub("\n", "")))
            -- half of the last line, and something behind it
            shell.write(file, text:sub(1, -10))
            local again, resumed = run(paths)
            assert.equal(#paths, #again)
            assert.equal(2, resumed)
            local lines = select(2, shell.read(file):gsub("\n", ""))
            assert.equal(#paths + 1, lines)
            again, resumed = run(paths)
            assert.equal(#paths, resumed)
            assert.equal(#paths, #again)
            -- a picture that is another one now
            local image = lx.vision.load(paths[2], {bits = 8})
            local kept = shell.read(paths[2])
            assert(core.write_png(paths[2], (image:float() * 0.2):byte():narrow(2, 1, 30):contiguous()))
            local changed
            changed, resumed = run(paths)
            assert.equal(#paths - 1, resumed)
            local function of(rows, path)
                for _, row in ipairs(rows) do
                    if row.path == path then return row end
                end
            end
            assert.not_equal(of(again, paths[2]).urgency, of(changed, paths[2]).urgency)
            assert.equal(#paths, select(2, run(paths)))
            shell.write(paths[2], kept)
            -- one that could not be read is tried again
            local row = ('{"path":%q,"problem":"no permission","size":%d,"time":%d}\n'):format(paths[3],
                lfs.attributes(paths[3], "size"), lfs.attributes(paths[3], "modification"))
            shell.write(file, shell.read(file):match("^[^\n]*\n") .. row)
            again, resumed = run {paths[3]}
            assert.equal(0, resumed)
            assert.is_nil(again[1].problem)
            assert.is_number(again[1].urgency)
            triage.forget(work .. "/journal")
            assert.is_nil(lfs.attributes(work .. "/journal"))
        end)

        it("keeps names of any bytes", function()
            local names = {work .. "/films/latin \xe9.png", work .. "/films/utf-8 \u{e9}\u{2713}.png"}
            for _, name in ipairs(names) do shell.write(name, shell.read(paths[1])) end
            assert(run(names))
            local rows, resumed = assert(run(names))
            assert.equal(2, resumed)
            for i, row in ipairs(rows) do assert.equal(names[i], row.path) end
            for _, name in ipairs(names) do os.remove(name) end
            triage.forget(work .. "/journal")
        end)

        it("belongs to one process at a time", function()
            assert(lfs.mkdir(work .. "/journal"))
            local lock <close> = assert(core.lock_folder(work .. "/journal"))
            local none, message, code = run(paths)
            assert.is_nil(none)
            assert.equal("busy", code)
            assert.matches("another run writes into", message)
            assert.is_truthy(lock)
            lfs.rmdir(work .. "/journal")
        end)

        it("costs the same memory for many images as for few", function()
            local few, many = table.move(paths, 1, 40, 1, {}), {}
            for k = 1, 12 do
                for i = 1, 50 do many[#many + 1] = ("%s/many/%03d/%s"):format(work, k, paths[i]:match("[^/]*$")) end
            end
            assert(run(few))
            triage.forget(work .. "/journal")
            collectgarbage()
            local function peak_of(list)
                local before = lx.memory("cpu").live
                local most = 0
                assert(run(list, function() most = math.max(most, lx.memory("cpu").live - before) end))
                triage.forget(work .. "/journal")
                return most
            end
            assert.is_true(peak_of(many) < 64 << 20)
        end)
    end)

    it("is for models whose answers have an order", function()
        assert.matches("pixels", triage.obstacle {task = "segmentation", classes = {"lung"}})
        assert.matches("normal one: cat, dog", triage.obstacle {task = "classes", classes = {"cat", "dog"}})
        assert.is_nil(triage.obstacle {task = "classes", classes = {"cat", "healthy"}})
        assert.is_nil(triage.obstacle {task = "binary", classes = {"a", "b"}})
    end)
end)

describe("a worklist of labels", function()
    it("puts what is likeliest to be there first, and not that nothing was found", function()
        local folder = shell.folder()
        lx.data.phantom_save(folder .. "/films", {n = 6, size = 40, seed = 5})
        lx.manual_seed(3)
        local names, path = {"No Finding", "Effusion", "Mass"}, folder .. "/labels.safetensors"
        assert(lx.checkpoint.save(path, lx.models.cnn({size = 32, outputs = 3}):state_dict(), {
            schema = require("luxel.schema").VERSION, task = "labels", version = "test", model = "cnn", size = 32,
            classes = names, input = {channels = 1, low = 0, high = 1}, normalisation = {mean = 0.4, std = 0.3},
            threshold = {0, 1, 1}, seed = 1, epoch = 1,
            calibration = {{scale = 1, shift = 3}, {scale = 9, shift = 0}, {scale = 9, shift = 0}},
            chosen = {threshold = "Youden", calibration = "none", images = 9},
        }))
        local status, _, errors = shell.run(("%s bin/luxel predict --model %s --worklist %s/list.csv %s/films"):format(
            LUA, path, folder, folder))
        assert.equal(0, status, errors)
        local predictor, last = assert(lx.predictor.open(path)), math.huge
        local rows = assert(csv.read(folder .. "/list.csv"))
        assert.equal(6, #rows)
        for _, row in ipairs(rows) do
            local answer = assert(predictor(row.path))
            local most = math.max(answer.classes.Effusion, answer.classes.Mass)
            assert.is_true(answer.classes["No Finding"] > most)
            assert.equal("No Finding", row.label)
            local urgency = tonumber(row["probability of the likeliest label"])
            assert.near(most, urgency, 1e-4)
            assert.is_true(urgency <= last)
            last = urgency
        end
        shell.remove(folder)
    end)
end)
