--- The three programs of examples/chest_xray as a user runs them: on phantoms, on folders, on bad input, interrupted.

local cjson = require "cjson"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local HERE <const> = "examples/chest_xray/"

local work

local function program(name, arguments)
    return shell.run(("%s %s%s.lua %s"):format(LUA, HERE, name, arguments))
end

local function exists(path) return lfs.attributes(path, "mode") ~= nil end

local function first_file(folder)
    for name in lfs.dir(folder) do
        if name:sub(1, 1) ~= "." then return name end
    end
end

-- Bit for bit the same tensors under the same names.
local function same_tensors(a, b)
    local left, right = assert(lx.checkpoint.load(a)), assert(lx.checkpoint.load(b))
    for name, tensor in pairs(left) do
        assert.is_true(lx.equal(tensor, right[name]), name)
        right[name] = nil
    end
    assert.is_nil(next(right))
end

-- Small and quick: 33 pixels a side is odd, and enough for four poolings.
local SMALL <const> = "--recipe quick --size 33 --epochs 2 --batch 8 --phantoms 60 "

-- A test that needs an OpenCL device. None is opened here.
local function it_on_opencl(name, f)
    for _, device in ipairs(lx.devices()) do
        if device.kind == "opencl" then return it(name, f) end
    end
    pending(name .. " (no OpenCL device here)")
end

describe("the programs #slow", function()
    setup(function()
        work = shell.folder()
        assert(lx.data.phantom_save(work .. "/images", {n = 24, size = 64, seed = 5}))
        assert.equal(0, (program("train", SMALL .. "--out " .. work .. "/run")))
    end)

    teardown(function() shell.remove(work) end)

    it("train leaves the best and the last model and a log", function()
        assert.is_true(exists(work .. "/run/best.safetensors") and exists(work .. "/run/last.safetensors"))
        local lines = {}
        for line in io.lines(work .. "/run/log.csv") do lines[#lines + 1] = line end
        assert.equal(3, #lines)
        assert.matches("^epoch,loss,val_loss,val_accuracy,val_auc,threshold", lines[1])
        local _, metadata = assert(lx.checkpoint.load(work .. "/run/best.safetensors"))
        assert.equal("cnn", metadata.model)
        assert.equal(33, metadata.size)
        assert.is_number(metadata.threshold)
        assert.is_number(metadata.calibration.scale)
    end)

    it("train gives the same bits again, with one thread or two", function()
        assert.equal(0, (program("train", SMALL .. "--out " .. work .. "/again")))
        local command = ("OMP_NUM_THREADS=1 %s %strain.lua %s --out %s/one"):format(LUA, HERE, SMALL, work)
        assert.equal(0, (shell.run(command)))
        same_tensors(work .. "/run/last.safetensors", work .. "/again/last.safetensors")
        same_tensors(work .. "/run/last.safetensors", work .. "/one/last.safetensors")
    end)

    it("train goes on after an interrupt exactly where it was", function()
        -- more epochs than will be run: the interrupt comes first
        local out = work .. "/stopped"
        local arguments = ("--size 33 --epochs 12 --batch 8 --phantoms 200 --out %s"):format(out)
        assert.equal(0, (program("train", arguments:gsub("stopped", "whole"))))
        local command = ("%s %strain.lua %s & pid=$!; "
            .. "while ! grep -q '^1,' %s/log.csv 2>/dev/null; do sleep 0.02; done; sleep 0.1; "
            .. "kill -INT $pid; wait $pid"):format(LUA, HERE, arguments, out)
        -- a background process of a shell ignores SIGINT unless job control is on
        shell.write(work .. "/interrupt.sh", command)
        local status, _, errors = shell.run(("bash -m %s/interrupt.sh"):format(work))
        assert.equal(130, status)
        assert.matches("interrupted at epoch", errors)
        assert.equal(0, (program("train", arguments .. " --resume")))
        same_tensors(out .. "/last.safetensors", work .. "/whole/last.safetensors")
        assert.equal(13, select(2, shell.read(out .. "/log.csv"):gsub("\n", "")))
    end)

    it("train killed without warning leaves the last epoch usable", function()
        local out = work .. "/killed"
        shell.run(("%s %strain.lua --size 33 --epochs 50 --batch 8 --phantoms 60 --out %s & pid=$!; "
            .. "while ! grep -q '^2,' %s/log.csv 2>/dev/null; do sleep 0.02; done; kill -9 $pid; wait $pid"):format(
            LUA, HERE, out, out))
        local _, metadata = assert(lx.checkpoint.load(out .. "/last.safetensors"))
        assert.is_true(metadata.epoch >= 2)
    end)

    it("train reads a folder, leaves out what is broken, and splits by patient", function()
        local dir = work .. "/folder"
        os.execute(("cp -r '%s/images' '%s'"):format(work, dir))
        shell.write(dir .. "/NORMAL/broken.png", "this is no image")
        local status, out, errors = program("train", SMALL .. ("--data %s --out %s/f --val 0.3"):format(dir, work))
        assert.equal(0, status)
        assert.matches("training on %d+ images", out)
        assert.matches("%[WARN%] left out: .*broken%.png", errors)
        local failed, _, problem = program("train", SMALL .. ("--data %s --out %s/g --strict"):format(dir, work))
        assert.equal(1, failed)
        assert.matches("broken%.png", problem)
    end)

    it("train keeps decoded images for the next run, and learns the same from them", function()
        local arguments = ("--recipe quick --size 33 --epochs 1 --batch 8 --data '%s/images' --cache "
            .. "'%s/images.cache'"):format(work, work)
        local function train(out)
            local status, _, problem = program("train", ("%s --out '%s/%s'"):format(arguments, work, out))
            assert.equal(0, status, problem)
            return lfs.attributes(work .. "/images.cache", "ino")
        end
        local made = train("cached-1")
        assert.is_truthy(made)
        assert.equal(made, train("cached-2"))
        same_tensors(work .. "/cached-1/last.safetensors", work .. "/cached-2/last.safetensors")
        -- another split of the same images needs no other file
        arguments = arguments .. " --seed 2"
        assert.equal(made, train("cached-3"))
    end)

    it("train says what is wrong with its arguments and folders", function()
        local function fails(arguments, pattern, out)
            local status, _, errors = program("train", ("%s --out %s/%s"):format(arguments, work, out or "no"))
            assert.not_equal(0, status)
            assert.matches(pattern, errors)
            assert.not_matches("traceback", errors)
        end
        fails("--data /nowhere", "/nowhere does not exist")
        os.execute(("mkdir -p '%s/empty' '%s/one/NORMAL' '%s/one/PNEUMONIA'"):format(work, work, work))
        fails("--data " .. work .. "/empty", "one folder for each class")
        os.execute(("cp '%s/images/NORMAL/'*.png '%s/one/NORMAL'"):format(work, work))
        fails("--data " .. work .. "/one", "each class is needed")
        for _, case in ipairs {
            {"--size 3", "a whole number from 16 to 2048, got '3'"}, {"--size abc", "a whole number from .* got 'abc'"},
            {"--size 33.5", "a whole number"}, {"--epochs -1", "a whole number from 1 .* got '%-1'"},
            {"--batch 0", "a whole number from 1"}, {"--lr -1", "a number from .* got '%-1'"}, {"--lr nan", "a number"},
            {"--val 1", "a number from 0.001 to 0.9, got '1'"}, {"--phantoms 0", "a whole number from 1"},
            {"--seed x", "a whole number"},
        } do
            local name = case[1]:match("%S+"):gsub("%-", "%%-")
            fails(case[1], "\nError: " .. name .. ": expected " .. case[2])
        end
        fails("--model resnet18 --size 31",
            "error: %-%-size: the network resnet18 takes images of 32 to 2048 pixels, got 31")
        fails("--model autoencoder", "one of .*'resnet18'")
        os.execute(("touch '%s/file'"):format(work))
        fails("--data " .. work .. "/file", "file is not a folder; of a CSV file, %-%-label says")
        fails("--phantoms 20 --size 16 --epochs 1", "error: cannot make the folder .*file", "file")
        fails("--phantoms 20 --epochs 1 --cache " .. work .. "/empty", "%-%-cache keeps the images of %-%-data")
        fails("--phantoms 20 --size 16 --epochs 1 --resume", "error: .*last.safetensors")
        fails("--phantoms 20 --size 16 --epochs 1", "holds a run already: %-%-resume goes on with it, %-%-overwrite",
            "run")
        fails("--resume --overwrite", "say one")
        fails("--label x", "%-%-label says more of %-%-data, which is missing")
        fails("--data x.csv --label a --labels b,c", "say one")
        fails("--device abacus", "%-%-device: there is no device 'abacus'.*\ndevice +name +type.*\ncpu ")
        fails("--device opencl:77", "%-%-device: ")
        fails("--model vgg", "must be one of")
    end)

    it("train says what it computes on, takes a part of a device's name, and shows where the time goes", function()
        local trace = work .. "/trace.json"
        local status, out, errors = program("train", ("--size 33 --epochs 1 --batch 8 --phantoms 70 --device cpu "
            .. "--profile %s --out %s/profiled"):format(trace, work))
        assert.equal(0, status)
        assert.matches("computing on cpu %(", out)
        assert.matches("kernel +launches +ms", errors)
        local steps, launches = 3, 0 -- the first five are not measured, and there are eight
        for _, event in ipairs(cjson.decode(shell.read(trace)).traceEvents) do
            if event.name == "adam" then launches = launches + 1 end
        end
        assert.equal(steps * 12, launches)
    end)

    it_on_opencl("train, evaluate and predict run on an OpenCL device as on the cpu", function()
        local status, out = program("train", SMALL .. "--device opencl --out " .. work .. "/opencl")
        assert.equal(0, status)
        assert.matches("computing on opencl:%d+ %(", out)
        local here = assert(lx.checkpoint.load(work .. "/run/best.safetensors"))
        for name, tensor in pairs(assert(lx.checkpoint.load(work .. "/opencl/best.safetensors"))) do
            assert.is_true(lx.allclose(here[name], tensor, 0, 0.02), name)
        end
        local model, images = "--model " .. work .. "/run/best.safetensors ", work .. "/images/*/*.png"
        local function predictions(device)
            local _, text = program("predict", model .. "--json --device " .. device .. " " .. images)
            local list = {}
            for line in text:gmatch("[^\n]+") do list[#list + 1] = cjson.decode(line).infected end
            return list
        end
        local expected, got = predictions("cpu"), predictions("opencl")
        assert.equal(24, #got)
        for i, probability in ipairs(expected) do assert.near(probability, got[i], 1e-4) end
        local _, report = program("evaluate", model .. "--phantoms 20 --device opencl")
        assert.matches("device: opencl:%d+ %(", report)
    end)

    it_on_opencl("train goes on on another device", function()
        local states = {}
        for _, device in ipairs {"cpu", "opencl"} do
            os.execute(("cp -r %s/run %s/on_%s"):format(work, work, device))
            local status, _, errors = program("train", ("%s --out %s/on_%s --epochs 3 --device %s --resume"):format(
                SMALL:gsub("%-%-epochs 2", ""), work, device, device))
            assert.equal(0, status)
            assert.matches("going on after epoch 2, step 0", errors)
            states[device] = assert(lx.checkpoint.load(("%s/on_%s/last.safetensors"):format(work, device)))
        end
        for name, tensor in pairs(states.cpu) do
            assert.is_true(lx.allclose(tensor, states.opencl[name], 0, 0.02), name)
        end
    end)

    it("train stops at a loss that is no number, and keeps the checkpoint", function()
        local status, _, errors = program("train", SMALL .. "--lr 1000 --out " .. work .. "/nan")
        assert.equal(1, status)
        assert.matches("the loss became %a+ at epoch %d+, step %d+", errors)
        assert.matches("learning rate", errors)
    end)

    it("train says what it could not save, and names no model that is not there", function()
        local function leaves(out, prepare, limit)
            shell.run(("mkdir -p '%s/%s'; %s"):format(work, out, prepare))
            local status, text, errors = shell.run(("%s %s %strain.lua %s--out %s/%s"):format(limit or "", LUA, HERE,
                SMALL, work, out))
            assert.equal(1, status)
            assert.not_matches("model in", text)
            assert.matches("error: ", errors)
            return text, errors
        end
        -- a folder that takes some files and not others
        local _, errors = leaves("partly", ("mkdir '%s/partly/best.safetensors'"):format(work))
        assert.matches("error: no model was saved: .*best%.safetensors", errors)
        assert(lx.checkpoint.load(work .. "/partly/last.safetensors"))
        -- a disk that is full before the first checkpoint
        leaves("full", "true", "ulimit -f 100; trap '' XFSZ;")
        -- one that gets full after a first run: what that one saved stays
        shell.run(("cp -r '%s/run' '%s/later'"):format(work, work))
        local before = shell.read(work .. "/later/last.safetensors")
        local form = "ulimit -f 100; trap '' XFSZ; %s %strain.lua %s--epochs 3 --resume --out %s/later"
        local status, text = shell.run(form:format(LUA, HERE, SMALL:gsub("%-%-epochs 2", ""), work))
        assert.equal(1, status)
        assert.equal(before, shell.read(work .. "/later/last.safetensors"))
        local named = text:match("best epoch (%d+)")
        local _, metadata = assert(lx.checkpoint.load(work .. "/later/best.safetensors"))
        assert.equal(metadata.epoch, math.tointeger(tonumber(named)))
        -- a file where the folder should be
        shell.write(work .. "/file", "x")
        local code, _, problem = program("train", SMALL .. "--out " .. work .. "/file")
        assert.equal(1, code)
        assert.matches("cannot make the folder", problem)
    end)

    it("no program gives a result of a model that is damaged, or says anything that cannot be", function()
        local model, image = work .. "/run/best.safetensors", work .. "/images/NORMAL/"
            .. first_file(work .. "/images/NORMAL")
        local function refuses(pattern)
            for name, arguments in pairs {
                predict = ("--model %s/bad.safetensors %s"):format(work, image),
                evaluate = ("--model %s/bad.safetensors --phantoms 4"):format(work),
            } do
                local status, out, errors = program(name, arguments)
                assert.equal(1, status, name .. pattern)
                assert.matches(pattern, errors)
                assert.not_matches("nan", out)
                assert.not_matches("xray", out)
                assert.not_matches("traceback", errors)
            end
        end
        local whole = shell.read(model)
        shell.write(work .. "/bad.safetensors", whole:sub(1, #whole - 8192) .. ("\xff"):rep(4096) .. whole:sub(-4096))
        refuses("bad%.safetensors cannot be used: its checksum does not fit")
        local tensors, metadata = assert(lx.checkpoint.load(model))
        local function with(changes)
            local changed = {}
            for name, value in pairs(metadata) do changed[name] = value end
            for name, value in pairs(changes) do
                if value == "none" then value = nil end
                changed[name] = value
            end
            assert(lx.checkpoint.save(work .. "/bad.safetensors", tensors, changed))
        end
        for name, value in pairs {
            calibration = {scale = 1e308, shift = 0}, normalisation = {}, threshold = 7, size = 20,
            classes = {"A", "A"}, model = "vgg", schema = 1, positive = "NORMAL",
        } do
            with {[name] = value}
            refuses(name == "size" and "shape" or name .. ": ")
        end
        for _, name in ipairs {
            "calibration", "normalisation", "threshold", "size", "classes", "model", "schema", "positive",
        } do
            with {[name] = "none"}
            refuses(name == "classes" and "it needs classes" or name .. ": it ")
        end
        -- nor of weights that are what they were when they were saved, and no numbers
        tensors["0.weight"] = tensors["0.weight"]:clone():fill_(0 / 0)
        with {}
        refuses("the network gives NaN for ")
        local _, _, errors = program("predict", ("--model %s/bad.safetensors %s"):format(work, image))
        assert.matches(image, errors, 1, true)
    end)

    it("evaluate reports sensitivity, specificity, AUC with intervals, and writes JSON", function()
        local json = work .. "/report.json"
        local status, out = program("evaluate", ("--model %s/run/best.safetensors --phantoms 40 --json %s"):format(work,
            json))
        assert.equal(0, status)
        for _, word in ipairs {"sensitivity", "specificity", "precision", "accuracy", "F1", "AUC", "resamples"} do
            assert.matches(word, out, 1, true)
        end
        assert.matches("does not replace", out)
        local report = cjson.decode(shell.read(json))
        assert.equal(40, report.n)
        assert.equal(2, #report.intervals.auc)
    end)

    it("evaluate leaves out the patients that the model was trained on", function()
        local dir = work .. "/images"
        assert.equal(0, (program("train", SMALL .. ("--data %s --out %s/own --val 0.3"):format(dir, work))))
        local status, out = program("evaluate", ("--model %s/own/best.safetensors --data %s"):format(work, dir))
        assert.equal(0, status)
        assert.matches("without %d+ images of patients it was trained on", out)
    end)

    it("predict prints exactly two lines for one image", function()
        local image = work .. "/images/NORMAL/" .. first_file(work .. "/images/NORMAL")
        local status, out = program("predict", ("--model %s/run/best.safetensors %s"):format(work, image))
        assert.equal(0, status)
        assert.matches("^%[INFO%] loading network%.%.%.\nxray [NI]%u+: %d+%.%d%d%%\n$", out)
    end)

    it("predict does the others when one is broken, and says so", function()
        shell.write(work .. "/bad.png", "")
        local status, out, errors = program("predict", ("--model %s/run/best.safetensors --out %s/pictures %s/bad.png "
            .. "%s/images/*/*.png"):format(work, work, work, work))
        assert.not_equal(0, status)
        assert.matches("bad%.png", errors)
        assert.equal(25, select(2, out:gsub("\n", "")))
        local pictures = 0
        for name in lfs.dir(work .. "/pictures") do
            if name:find("%.png$") then
                pictures = pictures + 1
                -- as wide as it was, with margins above and below
                local shape = (assert(lx.vision.load(work .. "/pictures/" .. name, {channels = 3}))).shape
                assert.same({3, 64}, {shape[1], shape[3]})
                assert.is_true(shape[2] > 64 + 16)
            end
        end
        assert.equal(24, pictures)
    end)

    it("predict gives JSON lines, and refuses what is no model", function()
        local _, out = program("predict", ("--json --model %s/run/best.safetensors %s/images/NORMAL/*.png"):format(work,
            work))
        for line in out:gmatch("[^\n]+") do
            local answer = cjson.decode(line)
            assert.is_true(answer.infected >= 0 and answer.infected <= 1)
        end
        shell.write(work .. "/no.safetensors", "garbage")
        local status, _, errors = program("predict", ("--model %s/no.safetensors x.png"):format(work))
        assert.equal(1, status)
        assert.matches("not a usable safetensors file", errors)
    end)
end)
