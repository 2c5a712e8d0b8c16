--- The command `luxel`: its help, its ends, and what `make install` makes of it.

local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local NAMES <const> = require("luxel.command").NAMES

local work

local function run(form, ...) return shell.run(form:format(...)) end

describe("the command #slow", function()
    setup(function() work = shell.folder() end)

    teardown(function() shell.remove(work) end)

    it("has help for itself and for each of its parts", function()
        local status, output = run("%s bin/luxel --help", LUA)
        assert.equal(0, status)
        for _, name in ipairs(NAMES) do
            local pattern = name:gsub("%-", "%%-")
            assert.matches("\n   " .. pattern .. " +%S", output)
            local of_it, help = run("%s bin/luxel %s --help", LUA, name)
            assert.equal(0, of_it)
            assert.matches("^Usage: luxel " .. pattern .. " ", help)
            assert.matches("does not replace one", help)
        end
        assert.matches("^luxel %d+%.%d+%.%d+\n$", select(2, run("%s bin/luxel --version", LUA)))
    end)

    it("says what is wrong with a command line", function()
        for words, message in pairs {
            [""] = "a command is required", trane = "unknown command 'trane'",
            ["train --sise 3"] = "unknown option '--sise'", predict = "name images, folders of them, or --list FILE",
            ["bench --turns 0"] = "--turns: expected a whole number from 1",
            ["predict --model none x.png"] = "none", ["evaluate --model README.md"] = "README.md is not a usable",
            ["bench --device nope"] = "there is no device 'nope'",
            ["train --data spec --patience 3"] = "--patience waits for a better epoch, and --best last",
            ["train --folds 3 --patience 3"] = "and a run of --folds takes the last one",
        } do
            local status, _, errors = run("%s bin/luxel %s", LUA, words)
            assert.not_equal(0, status, words)
            assert.matches(message, errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)

    it("predicts with the model of the package where none is named", function()
        local path = require("luxel.packaged").path()
        assert.is_true(lfs.attributes(path, "size") < 10 * 1000 * 1000)
        local model = assert(lx.predictor.open(path))
        assert.equal("lungs", model.metadata.input.crop)
        assert.matches("CC BY 4.0", model.metadata.card.licence)
        assert(lx.data.phantom_save(work .. "/films", {n = 2, size = 128, seed = 3}))
        local status, out, errors = run("%s bin/luxel predict --format csv '%s/films'", LUA, work)
        assert.equal(0, status, errors)
        assert.matches("model: that of the package, learnt from films of children", errors)
        assert.equal(3, select(2, out:gsub("\n", "\n")))
        status, out, errors = run("%s bin/luxel evaluate", LUA)
        assert.equal(1, status, out)
        assert.matches("drawn phantoms are none; name a folder", errors)
    end)

    it("refuses two formats at once", function()
        for _, name in ipairs {"predict", "anomaly score"} do
            local status, _, errors = run("%s bin/luxel %s --json --format csv film.png", LUA, name)
            assert.not_equal(0, status)
            assert.matches("'%-%-format' can not be used together with option '%-%-json'", errors)
        end
    end)

    it("is the same as the programs", function()
        local words = "--phantoms 30 --size 16 --batch 8 --epochs 1 --out"
        assert.equal(0, (run("%s bin/luxel train %s '%s/a'", LUA, words, work)))
        assert.equal(0, (run("%s examples/chest_xray/train.lua %s '%s/b'", LUA, words, work)))
        assert.equal(0, (run("cmp '%s/a/best.safetensors' '%s/b/best.safetensors'", work, work)))
        assert.equal(0, (run("%s examples/chest_xray/phantoms.lua --out '%s/films' --count 4 --size 40", LUA, work)))
        local status, output, errors = run("%s bin/luxel predict --model '%s/a/best.safetensors' '%s/films'", LUA, work,
            work)
        assert.equal(0, status, errors)
        assert.matches("^%[INFO%] loading network...\n/.-%.png: %u+: [%d.]+%%", output)
        assert.equal(5, select(2, output:gsub("\n", "")))
    end)

    it("trains any network that tells classes, and predicts with it", function()
        local status, _, errors = run("%s bin/luxel train --model mobilenet_v3_small --size 32 --phantoms 30 --batch 8 "
            .. "--epochs 1 --device cpu --out '%s/mobile'", LUA, work)
        assert.equal(0, status, errors)
        local predictor = assert(require("luxel").predictor.open(work .. "/mobile/best.safetensors"))
        assert.equal("MobileNetV3", predictor.net.class_name)
        assert.equal("mobilenet_v3_small", predictor.metadata.model)
    end)

    it("lists devices, and times a network", function()
        local status, output = run("%s bin/luxel devices --json", LUA)
        assert.equal(0, status)
        assert.equal("cpu", require("cjson").decode(output:match("[^\n]+")).label)
        status, output = run("%s bin/luxel bench --size 16 --batch 2 --turns 2 --device cpu", LUA)
        assert.equal(0, status)
        assert.matches("training step +[%d.]+ images/s .*\ninference +[%d.]+ images/s .*\ninference of one ", output)
    end)

    it("runs where it is installed, also by a link, and finds a checkout that is not built", function()
        local root = work .. "/root"
        assert.equal(0, (run("make -s install DESTDIR='%s' PREFIX=/usr", root)))
        assert.equal(0, (run("ln -s '%s/usr/bin/luxel' '%s/link'", root, work)))
        for _, path in ipairs {root .. "/usr/bin/luxel", work .. "/link"} do
            local status, output, errors = run("unset LUA_PATH LUA_CPATH; cd / && %s '%s' devices", LUA, path)
            assert.equal(0, status, errors)
            assert.matches("\ncpu ", output)
        end
        local share = root .. "/usr/share"
        assert.equal(0, (run("bash -n '%s/bash-completion/completions/luxel'", share)))
        for name, text in pairs {
            ["man/man1/luxel.1"] = ".SS luxel predict", ["zsh/site-functions/_luxel"] = "#compdef luxel",
        } do
            assert.equal(0, (run("grep -q -F -- '%s' '%s/%s'", text, share, name)), name)
        end
        assert.equal(0, (run("mkdir '%s/bin' && cp bin/luxel '%s/bin/' && cp -r lua '%s/'", work, work, work)))
        local status, _, errors = run("unset LUA_PATH LUA_CPATH; %s '%s/bin/luxel' devices", LUA, work)
        assert.equal(1, status)
        assert.matches("error: the library is not built: run make in ", errors, 1, true)
    end)
end)

describe("a session", function()
    local complete = require "luxel.command.complete"

    it("completes names, members, methods and files", function()
        local environment = {lx = lx, x = lx.ones(2), limit = 3, net = lx.nn.Sequential(lx.nn.ReLU())}
        local function first(line)
            local words, word = complete(line, environment)
            return words[1], word, #words
        end
        assert.same({"lx.checkpoint", "lx.chec", 1}, {first "y = lx.chec"})
        assert.same({"lx.nn.Conv2d", "lx.nn.Conv2", 1}, {first "lx.nn.Conv2"})
        assert.same({"x:flatten", "x:flatt", 1}, {first "print(x:flatt"})
        assert.same({"net:load_state_dict", "net:load_", 1}, {first "net:load_"})
        assert.same({"net.training", "net.traini", 1}, {first "net.traini"})
        assert.same({"limit", "lim", 1}, {first "lim"})
        assert.same({"while", "whi", 1}, {first "whi"})
        assert.same({0}, {select(3, first "nothing.at.all")})
        assert.same({0}, {select(3, first "limit.x")})
        assert.same({"README.md", "READ", 1}, {first 'f("READ'})
        assert.same({"lua/luxel/", "lua/lux", 1}, {first "lx.load('lua/lux"})
        assert.is_true(select(3, first "lx.") > 50)
    end)
end)

describe("a session in a process #slow", function()
    setup(function() work = shell.folder() end)

    teardown(function() shell.remove(work) end)

    it("prints values, goes on after errors, and reads chunks of several lines", function()
        local status, output, errors = run([[printf '%%s\n' 'x = lx.ones(1, 2)' 'x' 'nil' 'for i = 1, 2 do' 'print(i)' \
            'end' '1 +' '2, "two"' 'lx.zero(3)' '=7' 'y = = 1' 'F.relu(x):sum():item()' | %s bin/luxel repl]], LUA)
        assert.equal(0, status, errors)
        assert.equal("  1  1\n[float32 1×2, cpu]\nnil\n1\n2\n3\ttwo\n7\n2.0\n", output)
        assert.matches("^stdin:1: lx has no 'zero'[^\n]*\nstdin:1: unexpected symbol near '='\n$", errors)
    end)

    it("goes on after Ctrl-C", function()
        local status, output, errors = run([[mkfifo '%s/lines'; %s bin/luxel repl <'%s/lines' & session=$!
            printf '%%s\n' 'io.open("%s/begun", "w"):close() while true do end' 'print("still here")' >'%s/lines'
            until [ -e '%s/begun' ]; do sleep 0.05; done
            kill -INT $session; wait $session]], work, LUA, work, work, work, work)
        assert.equal(0, status, errors)
        assert.equal("still here\n", output)
        assert.matches("interrupted", errors)
    end)
end)
