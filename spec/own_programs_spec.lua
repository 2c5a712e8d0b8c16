--- The programs on data of one's own: many classes, labels of a table, folders, lists, outputs that fail, signals.

local cjson = require "cjson"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local HERE <const> = "examples/chest_xray/"

local work

local function program(name, form, ...)
    return shell.run(("%s %s%s.lua %s"):format(LUA, HERE, name, form:format(...)))
end

local SMALL <const> = "--recipe quick --size 16 --batch 8 --epochs 2 "

-- An image that says its class by a bar.
local function save(path, class, seed)
    lx.manual_seed(seed)
    local image = (lx.rand(1, 24, 24) * 60):byte()
    image[{1, {1 + 7 * class, 7 + 7 * class}, {1, 24}}] = 220
    os.execute(("mkdir -p '%s'"):format(path:match("^(.*)/")))
    assert(core.write_png(path, image))
end

describe("the programs on data of one's own #slow", function()
    setup(function()
        work = shell.folder()
        local rows = {"image,patient,Mass,Effusion"}
        for i = 1, 36 do
            local class = i % 3
            local name = ("%08d_%03d.png"):format(i // 2, i % 2)
            save(("%s/three/%s/%s"):format(work, ({"normal", "bacterial", "viral"})[class + 1], name), class, i)
            save(("%s/two/%s/%s"):format(work, class == 0 and "healthy" or "disease", name), class, i)
            save(("%s/table/%s"):format(work, name), class, i)
            rows[#rows + 1] = ("%s,%d,%d,%s"):format(name, i // 2, class == 1 and 1 or 0, i % 5 == 0 and ""
                or class == 2
                and 1 or 0)
        end
        shell.write(work .. "/table/labels.csv", table.concat(rows, "\n") .. "\n")
        assert.equal(0, (program("train", SMALL .. "--data %s/two --out %s/binary --epochs 6", work, work)))
    end)

    teardown(function() shell.remove(work) end)

    it("learn, judge and tell three classes", function()
        local status, out, errors = program("train", SMALL .. "--data %s/three --out %s/classes --epochs 8", work, work)
        assert.equal(0, status, errors)
        assert.matches("normal +12 +33.3%%", out)
        assert.matches("training on %d+ images %(%d+ normal, %d+ bacterial, %d+ viral%)", out)
        local _, metadata = assert(lx.checkpoint.load(work .. "/classes/best.safetensors"))
        assert.same({"normal", "bacterial", "viral"}, metadata.classes)
        for i = 1, 9 do save(("%s/fresh/%s/new%d.png"):format(work, metadata.classes[i % 3 + 1], i), i % 3, 100 + i) end
        status, out = program("evaluate", "--model %s/classes/best.safetensors --data %s/fresh --json %s/r.json",
            work, work, work)
        assert.equal(0, status)
        assert.matches("9 images of 3 classes", out)
        assert.matches("true bacterial", out)
        assert.equal(3, #cjson.decode(shell.read(work .. "/r.json")).each)
        status, out = program("predict", "--json --model %s/classes/best.safetensors %s/fresh", work, work)
        assert.equal(0, status)
        local right = 0
        for line in out:gmatch("[^\n]+") do
            local answer = cjson.decode(line)
            assert.near(1, answer.classes.normal + answer.classes.bacterial + answer.classes.viral, 1e-6)
            assert.equal(answer.probability, answer.classes[answer.label])
            right = right + (answer.path:find("/" .. answer.label .. "/") and 1 or 0)
        end
        assert.is_true(right >= 8)
        status, _, errors = program("evaluate", "--model %s/classes/best.safetensors --data %s/two", work, work)
        assert.equal(1, status)
        assert.matches("the model tells normal, bacterial, viral %(classes%), and the images have healthy, disease",
            errors)
    end)

    it("learn, judge and tell a single label", function()
        local table_options = "--data %s/table/labels.csv --path image --labels Mass "
        local status, _, errors = program("train", SMALL .. table_options .. "--out %s/label --epochs 8", work, work)
        assert.equal(0, status, errors)
        local predictor = assert(lx.predictor.open(work .. "/label/best.safetensors"))
        assert.same({"labels", {"Mass"}}, {predictor.task, predictor.classes})
        local answer = assert(predictor(("%s/table/%08d_%03d.png"):format(work, 0, 1)))
        assert.equal(answer.probability, answer.classes.Mass)
        local out
        status, out, errors = program("evaluate", "--model %s/label/best.safetensors --report %s/one.html "
            .. table_options, work, work, work) -- the page has a single label too
        assert.equal(0, status, errors)
        assert.matches("%d+ images, 1 label\n.-Mass +%d+ +%d+ +%d%.%d+", out)
    end)

    it("learn, judge and tell labels of a table", function()
        local table_options = "--data %s/table/labels.csv --path image --labels Mass,Effusion "
        local status, out, errors = program("train", SMALL .. table_options .. "--out %s/labels --epochs 8", work, work)
        assert.equal(0, status, errors)
        assert.matches("Effusion .* 7\n", out)
        assert.matches("patients by column 'patient'", out)
        local _, metadata = assert(lx.checkpoint.load(work .. "/labels/best.safetensors"))
        assert.equal("labels", metadata.task)
        assert.equal(2, #metadata.threshold)
        status, out = program("predict", "--format csv --model %s/labels/best.safetensors %s/table", work, work)
        assert.equal(0, status)
        assert.equal("path,label,probability,Mass,Effusion,warnings,doubt,uncertain because", out:match "^[^\n]+")
        assert.equal(37, select(2, out:gsub("\n", "")))
        status, _, errors = program("evaluate", "--model %s/labels/best.safetensors " .. table_options, work, work)
        assert.equal(0, status, errors) -- the validation images were not trained on
    end)

    it("ask which class is the disease, and print the names there are", function()
        for i = 1, 4 do
            save(("%s/unclear/left/%d.png"):format(work, i), 0, i)
            save(("%s/unclear/right/%d.png"):format(work, i), 1, i)
        end
        local status, _, errors = program("train", SMALL .. "--data %s/unclear --out %s/u", work, work)
        assert.equal(1, status)
        assert.matches("their names do not tell which of them is the disease", errors)
        local out
        status, out = program("train", SMALL .. "--data %s/unclear --positive left --val 0.5 --out %s/u", work, work)
        assert.equal(0, status)
        assert.matches("the disease is left", out)
        assert.matches("! nothing tells the patient of any image", out)
        local _, metadata = assert(lx.checkpoint.load(work .. "/u/best.safetensors"))
        assert.same({"right", "left"}, metadata.folders)
        assert.equal("left", metadata.positive)
        _, out = program("predict", "--model %s/binary/best.safetensors %s/two/healthy", work, work)
        for line in out:gmatch("[^\n]+") do
            assert.is_true(line == "[INFO] loading network..." or line:find(": healthy: ") ~= nil or line:find(
                ": disease: ") ~= nil)
        end
        status = program("audit", "%s/unclear --positive left", work)
        assert.equal(0, status)
    end)

    it("evaluate knows images by their pixels, and others by their patients", function()
        -- renamed copies, in another order
        os.execute(("mkdir -p '%s/renamed/healthy' '%s/renamed/disease'"):format(work, work))
        local number = 0
        for _, class in ipairs {"healthy", "disease"} do
            for name in lfs.dir(("%s/two/%s"):format(work, class)) do
                if name:find("png") then
                    number = number + 1
                    os.execute(("cp '%s/two/%s/%s' '%s/renamed/%s/a%d.png'"):format(work, class, name, work, class,
                        number))
                end
            end
        end
        local _, out = program("evaluate", "--model %s/binary/best.safetensors --data %s/renamed", work, work)
        local seen = tonumber(out:match("%((%d+) that it saw"))
        local _, metadata = assert(lx.checkpoint.load(work .. "/binary/best.safetensors"))
        assert.equal(metadata.images, seen)
        assert.matches("nothing tells the patients of these images", out)
        -- files of another hospital that happen to have the same names
        for i = 1, 12 do
            save(("%s/elsewhere/%s/%d.png"):format(work, i % 2 == 0 and "healthy" or "disease", i), i % 2, 500 + i)
        end
        _, out = program("evaluate", "--model %s/binary/best.safetensors --data %s/elsewhere", work, work)
        assert.matches("images: all of " .. work .. "/elsewhere\n", out)
        assert.matches("12 images: 6 healthy, 6 disease", out)
        -- other images of patients that were trained on
        for i = 0, 17 do
            save(("%s/again/%s/%08d_007.png"):format(work, i % 2 == 0 and "healthy" or "disease", i), i % 2, 900 + i)
        end
        _, out = program("evaluate", "--model %s/binary/best.safetensors --data %s/again", work, work)
        local others = tonumber(out:match("%(0 that it saw, (%d+) others of their patients"))
        assert.is_true(others >= 12)
    end)

    it("predict takes folders and lists, and prints text, JSON and CSV", function()
        local model = "--model " .. work .. "/binary/best.safetensors "
        save(work .. "/deep/a/b/one.png", 1, 1)
        save(work .. "/deep/two, \"odd\".png", 0, 2)
        shell.write(work .. "/deep/notes.txt", "no image")
        local status, out, errors = program("predict", model .. "%s/deep", work)
        assert.equal(0, status, errors)
        assert.equal(3, select(2, out:gsub("\n", "")))
        assert.matches("deep/a/b/one.png: ", out, 1, true)
        shell.write(work .. "/list.txt", work .. "/deep/a/b/one.png\r\n\n" .. work .. "/two\n")
        status, out = program("predict", model .. "--list %s/list.txt", work)
        assert.equal(0, status)
        assert.equal(38, select(2, out:gsub("\n", "")))
        status, out = shell.run(("echo %s/deep/a/b/one.png | %s %spredict.lua %s --list -"):format(work, LUA, HERE,
            model))
        assert.equal(0, status)
        assert.matches("^%[INFO%] loading network%.%.%.\nxray %a+: %d+%.%d%d%%[^\n]*\n$", out)
        status, out = program("predict", model .. "--format csv '%s/deep/two, \"odd\".png'", work)
        assert.matches("\n\"" .. work .. "/deep/two, \"\"odd\"\".png\",", out, 1, true)
        assert.equal(0, status)
        status, out, errors = program("predict", model .. "%s/none.png %s/deep/a", work, work)
        assert.equal(1, status)
        assert.matches("error: .*none.png", errors)
        assert.matches("a/b/one.png: ", out, 1, true)
        status, out, errors = program("predict", model)
        assert.equal("[INFO] loading network...\n", out)
        assert.equal(1, status)
        assert.matches("name images, folders of them, or --list", errors, 1, true)
        assert.equal(1, (program("predict", model .. "%s/two/healthy/../..", work .. "/empty")))
    end)

    it("predict says so where the threshold disagrees with the label's plain reading", function()
        local tensors, metadata = assert(lx.checkpoint.load(work .. "/binary/best.safetensors"))
        local image = work .. "/deep/threshold.png"
        save(image, 0, 3)
        local _, out = program("predict", "--json --model %s/binary/best.safetensors %s", work, image)
        local p = cjson.decode(out).infected
        for threshold, pattern in pairs {
            [math.max(0, p - 0.005)] = p < 0.5 and ("^xray disease: %.2f%% (threshold "):format(100 * p)
                or "^xray disease: ",
            [math.min(1, p + 0.005)] = p > 0.5 and ("^xray healthy: %.2f%% (threshold "):format(100 - 100 * p)
                or "^xray healthy: ",
        } do
            metadata.threshold = threshold
            assert(lx.checkpoint.save(work .. "/moved.safetensors", tensors, metadata))
            _, out = program("predict", "--model %s/moved.safetensors %s", work, image)
            local line = out:match("\n([^\n]*)\n$")
            assert.equal(pattern:sub(2), line:sub(1, #pattern - 1))
            if pattern:find("threshold") then
                assert.matches(("(threshold %.2f%%)"):format(100 * threshold), line, 1, true)
            else
                assert.is_nil(line:find("threshold"))
            end
        end
    end)

    it("predict writes over no input, nor over another picture of the same name", function()
        local model = "--model " .. work .. "/binary/best.safetensors "
        for i, folder in ipairs {"p/a", "p/b", "p"} do save(("%s/%s/xray.png"):format(work, folder), i % 3, i) end
        local before = shell.read(work .. "/p/xray.png")
        assert.equal(0, (program("predict", model .. "--out %s/p %s/p", work, work)))
        assert.equal(before, shell.read(work .. "/p/xray.png"))
        for _, name in ipairs {"xray-2", "xray-3", "xray-4"} do
            assert.is_string(lfs.attributes(("%s/p/%s.png"):format(work, name), "mode"))
        end
        -- by another path to the same file
        os.execute(("mkdir '%s/q'; ln '%s/p/a/xray.png' '%s/q/xray.png'"):format(work, work, work))
        before = shell.read(work .. "/q/xray.png")
        assert.equal(0, (program("predict", model .. "--out %s/q %s/p/a/xray.png", work, work)))
        assert.equal(before, shell.read(work .. "/q/xray.png"))
        -- the picture itself is whole, between the margins
        local shown = assert(lx.vision.load(work .. "/q/xray-2.png"))
        local image = assert(lx.vision.load(work .. "/p/a/xray.png"))
        local found = false
        for top = 0, shown.shape[2] - 24 do
            found = found or lx.equal(shown:narrow(2, top + 1, 24), image)
        end
        assert.is_true(found)
    end)

    it("predict notices what it cannot write, and names of any bytes", function()
        local model = "--model " .. work .. "/binary/best.safetensors "
        local status, _, errors = shell.run(("%s %spredict.lua %s %s/two >/dev/full"):format(LUA, HERE, model, work))
        assert.equal(1, status)
        assert.matches("cannot write the answers: No space left on device", errors)
        status, _, errors = shell.run(("%s %spredict.lua %s %s/two | head -1"):format(LUA, HERE, model, work))
        assert.equal(0, status)
        assert.not_matches("traceback", errors)
        local path = work .. "/deep/\xff\xfe caf\xe9.png"
        save(path, 1, 4)
        local out
        status, out = program("predict", model .. "--json '%s'", path)
        assert.equal(0, status)
        assert.is_number(utf8.len(out))
        local answer = cjson.decode(out)
        assert.equal(work .. "/deep/\u{FFFD}\u{FFFD} caf\u{FFFD}.png", answer.path)
        assert.equal(path, (answer.path_bytes:gsub("..", function(hex) return string.char(tonumber(hex, 16)) end)))
    end)

    -- Starts a program, waits until a command is true, sends it a signal; returns its exit status and messages.
    local function signalled(arguments, ready, signal)
        shell.write(work .. "/signal.sh", ("%s %s%s & pid=$!\nfor i in $(seq 1000); do %s && break; sleep 0.01; done\n"
            .. "kill -%s $pid\nwait $pid"):format(LUA, HERE, arguments, ready, signal))
        local status, _, errors = shell.run("bash -m " .. work .. "/signal.sh")
        return status, errors
    end

    it("train saves when it is asked to end, by Ctrl-C, SIGTERM or SIGHUP", function()
        for _, signal in ipairs {"INT", "TERM", "HUP"} do
            local out = work .. "/signal-" .. signal
            local status, errors = signalled(("train.lua --size 16 --batch 8 --epochs 2000 --phantoms 60 --out "
                .. "%s"):format(out),
                ("grep -q '^1,' %s/log.csv 2>/dev/null"):format(out), signal)
            assert.equal(130, status, signal .. errors)
            assert.matches("interrupted at epoch %d+, step %d+; saved in", errors)
            local _, metadata = assert(lx.checkpoint.load(out .. "/last.safetensors"))
            assert.is_true(metadata.training.state.epoch >= 1)
        end
    end)

    it("end with one line when they are interrupted elsewhere", function()
        local out = work .. "/early"
        for arguments, ready in pairs {
            [("train.lua --size 512 --phantoms 3000 --out %s"):format(out)] = "sleep 0.3",
            [("predict.lua --model %s/binary/best.safetensors %s"):format(work, (work .. "/two "):rep(
                60))] = "sleep 0.3",
        } do
            local status, errors = signalled(arguments, ready, "INT")
            assert.equal(130, status, errors)
            assert.matches("error: interrupted\n$", errors)
            assert.not_matches("traceback", errors)
        end
    end)

    -- LUXEL_KILLS: how many moments.
    it("train killed at any moment goes on to the same bits", function()
        local out, kills = work .. "/kill", tonumber(os.getenv("LUXEL_KILLS") or 6)
        local command = ("%s %strain.lua --size 64 --batch 8 --epochs 3 --phantoms 120 --ema 0.99 --accumulate 3 "
            .. "--patience 2 "
            .. "--out %s "):format(LUA, HERE, out)
        local started = core.now()
        assert.equal(0, (shell.run(command)))
        local whole, last, best = core.now() - started, shell.read(out .. "/last.safetensors"), shell.read(out
            .. "/best.safetensors")
        local stream = require("luxel.random").stream(tonumber(os.getenv("LUXEL_KILLS_SEED") or 1))
        local resumed = 0
        for _ = 1, kills do
            shell.run("rm -rf " .. out)
            shell.run(("timeout -s KILL %.3f %s"):format(stream:uniform(0.2, 1) * whole, command))
            local going_on = lfs.attributes(out .. "/last.safetensors", "mode")
            resumed = resumed + (going_on and 1 or 0)
            local status, _, errors = shell.run(command .. (going_on and "--resume" or "--overwrite"))
            assert.equal(0, status, errors)
            assert.is_true(last == shell.read(out .. "/last.safetensors"), "other bits")
            assert.is_true(best == shell.read(out .. "/best.safetensors"), "another best model")
            for name in lfs.dir(out) do assert.is_nil(name:find("^%.luxel"), name) end
        end
        if os.getenv("LUXEL_KILLS") then print(("%d kills, %d resumed"):format(kills, resumed)) end
    end)

    it("train refuses a folder in which another run works", function()
        local out = work .. "/busy"
        shell.write(work .. "/two.sh", ("%s %strain.lua --size 16 --batch 8 --epochs 2000 --phantoms 60 --out %s &\n"
            .. "pid=$!\n"
            .. "for i in $(seq 1000); do grep -q '^1,' %s/log.csv 2>/dev/null && break; sleep 0.01; done\n"
            .. "%s %strain.lua --size 16 --batch 8 --epochs 1 --phantoms 60 --overwrite --out %s; echo status "
                .. "$?\nkill -9 $pid"
            ):format(LUA, HERE, out, out, LUA, HERE, out))
        local _, text, errors = shell.run("bash " .. work .. "/two.sh")
        assert.matches("status 1\n", text)
        assert.matches("another run writes into " .. out, errors, 1, true)
    end)

    it("train refuses to go on as another run", function()
        local base = SMALL .. ("--data %s/two --out %s/again-run"):format(work, work)
        assert.equal(0, (program("train", base)))
        for change, pattern in pairs {
            ["--lr 0.01"] = "the optimiser's options was", ["--augment none"] = "augment was",
                ["--enhance clahe"] = "enhance was",
            ["--size 32"] = "size was 16 and is 32", ["--val 0.4"] = "the validation images are others",
            ["--accumulate 2"] = "accumulate was 1 and is 2", ["--ema 0.9"] = "ema was none",
        } do
            local status, _, errors = program("train", base:gsub(change:match("^%S+ "):gsub("%-", "%%-") .. "%S+", "")
                .. " --resume "
                .. change)
            assert.equal(1, status, change)
            assert.matches(pattern, errors, 1, true)
        end
        local status, _, errors = program("train", base:gsub("%-%-epochs 2", "") .. " --resume --epochs 3")
        assert.equal(0, status, errors)
        assert.matches("the learning rate goes on by the new ones", errors)
    end)
end)
