--- Programs that use the module otherwise than lua5.4 does: another version of Lua, processes made by fork, few threads
--- allowed, interrupts. Small programs in C stand for them (spec/support).

local lfs = require "lfs"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local work

-- The exit status is more than 128 where a signal ended the command.
local function run(command) return shell.run("timeout 120 " .. command) end

-- Compiles a program of spec/support; returns its path.
local function compiled(name, flags)
    local path = work .. "/" .. name
    local status, _, messages = run(("%s -o %s spec/support/%s.c %s $(pkg-config --cflags lua5.4) -llua5.4 -lpthread")
        :format(os.getenv("CC") or "cc", path, name, flags or ""))
    assert(status == 0, messages)
    return path
end

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

describe("a later version of Lua #processes", function()
    it("is refused when the module is loaded", function()
        local status, output = run(compiled("other_lua", "-rdynamic"))
        assert.equal(0, status)
        assert.matches("^refused\n.*version mismatch", output)
    end)

    it("is told which one is needed", function()
        local path = work .. "/version.lua"
        shell.write(path, '_VERSION = "Lua 5.5"; print(select(2, pcall(require, "luxel")))')
        local _, output = run(LUA .. " " .. path)
        assert.equal("luxel: needs Lua 5.4, this is Lua 5.5\n", output)
    end)
end)

describe("a host without all standard libraries #processes", function()
    it("is told which one is needed", function()
        for _, name in ipairs {"coroutine", "debug", "io", "math", "os", "string", "table", "utf8"} do
            local path = work .. "/without.lua"
            shell.write(path, ('local print = print; %s = nil; print(select(2, pcall(require, "luxel")))'):format(name))
            local _, output = run(LUA .. " " .. path)
            local message = "luxel: needs the standard library '%s', which a host opens with luaL_openlibs\n"
            assert.equal(message:format(name), output)
        end
    end)
end)

describe("a host that forks #processes", function()
    it("computes and reads images in 200 processes that it makes, one after the other", function()
        -- what the threads of the process that forked held is nobody's in the new one: a leak checker would report it
        local status, output, messages = run("env ASAN_OPTIONS=detect_leaks=0 " .. compiled("forks")
            .. " spec/support/forking.lua 200")
        assert.equal(0, status, messages)
        assert.equal("200 processes\n", output)
    end)

    it("is told that an OpenCL device does not come along", function()
        local lx = require "luxel"
        local devices = lx.devices()
        if #devices < 2 then return pending("needs OpenCL: " .. tostring(devices.why)) end
        local path = work .. "/opencl.lua"
        shell.write(path, [[
            local lx = require "luxel"
            local kept = lx.opencl.kernel {name = "f", source = "kernel void f(global float *a) { a[0] = 1; }"}
            local x = lx.ones({300, 300}, {device = "opencl"})
            local product = x:matmul(x):sum()
            assert(product:item() == 27e6)
            local function refused(f, ...)
                local ok, message = pcall(f, ...)
                assert(not ok and message:find("forked off", 1, true), tostring(message))
            end
            return function()
                refused(function() return x:sum() end)
                refused(product.item, product)
                refused(x.fill_, x, 1)
                refused(x.to, lx.ones(2), "opencl")
                refused(kept, {global = 1}, x)
                assert(lx.devices().why:find("forked off", 1, true))
                assert(#lx.profile(function() return lx.ones(2) + 1 end).devices == 1)
                x, kept, product = nil, nil, nil
                collectgarbage()
                return lx.ones(300, 300):matmul(lx.ones(300, 300)):sum():item() == 27e6
            end
        ]])
        local status, output, messages = run(compiled("forks") .. " " .. path .. " 3")
        assert.equal(0, status, messages)
        assert.equal("3 processes\n", output)
    end)
end)

describe("a system that gives few threads #processes", function()
    local shim

    -- What a script prints where only so many threads can be started.
    local function with_threads(count, text)
        shim = shim or compiled("no_threads", "-shared -fPIC -ldl")
        local path = work .. "/few.lua"
        shell.write(path, text)
        local command = 'env LUXEL_THREADS=4 THREADS=%d LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}%s" %s %s'
        local status, output, messages = run(command:format(count, shim, LUA, path))
        assert.equal(0, status, messages)
        return output, messages
    end

    local COMPUTE <const> = [[
        local lx = require "luxel"
        lx.manual_seed(1)
        local a = lx.randn(300, 300)
        local set = lx.data.phantom {n = 16, size = 32, seed = 1}
        local sum = 0
        for x in lx.data.batches(set, {batch = 4, threads = 3, epoch = 1}) do sum = sum + x:sum():item() end
        print(a:matmul(a):sum():item(), sum, lx.threads())
    ]]

    it("has what there is computed with those", function()
        local all, some, none = with_threads(100, COMPUTE), with_threads(2, COMPUTE), with_threads(0, COMPUTE)
        assert.matches("\t4\n", all)
        assert.equal(all:gsub("%d\n$", ""), (some:gsub("%d\n$", "")))
        assert.equal(all:gsub("%d\n$", ""), (none:gsub("%d\n$", "")))
        assert.matches("\t1\n", none)
    end)

    it("is said to, once", function()
        local _, messages = with_threads(1, [[
            local lx = require "luxel"
            for _ = 1, 3 do lx.ones(300, 300):matmul(lx.ones(300, 300)) end
        ]])
        assert.equal("luxel: the system gives 2 of 4 threads; computing goes on with those ...\n", messages)
    end)
end)

describe("Ctrl-C #processes", function()
    -- Runs a script, and interrupts it as soon as it has said that it is ready. It never ends by itself.
    local function interrupted(text, variables)
        local path, ready = work .. "/long.lua", work .. "/ready"
        os.remove(ready)
        shell.write(path, ("local lx = require 'luxel'\nlocal function ready() io.open(%q, 'w'):close() end\n"):format(
            ready) .. text)
        -- a background process of a shell ignores SIGINT unless job control is on
        shell.write(work .. "/interrupt.sh", ([[
            env %s %s %s &
            while [ ! -e %s ] && kill -0 $! 2>/dev/null; do sleep 0.05; done
            sleep 0.3
            kill -INT $!
            wait $!
        ]]):format(variables or "", LUA, path, ready))
        return run("bash -m " .. work .. "/interrupt.sh")
    end

    -- Long ones: each would take minutes, and is one call of C.
    local OPERATIONS <const> = {
        product = "local a = lx.ones(12000, 12000) ready() local _ = a:matmul(a)",
        convolution = [[
            local x, w = lx.ones(2, 64, 512, 512), lx.ones(512, 64, 11, 11)
            ready()
            local _ = lx.nn.functional.conv2d(x, w)]],
        sorting = "local x = lx.randn(40000000) ready() local _ = x:sort()",
    }

    for name, text in pairs(OPERATIONS) do
        it("ends a long " .. name .. ", by one thread or several, and the state goes on", function()
            for _, threads in ipairs {1, 3} do
                local status, output, messages = interrupted(([[
                    local ok, message = pcall(function() local ok = pcall(function() %s end) return ok end)
                    print(ok, message)
                    print(lx.ones(300, 300):matmul(lx.ones(300, 300)):sum():item())
                ]]):format(text), "LUXEL_THREADS=" .. threads)
                assert.equal(0, status, messages)
                assert.matches("^true\tfalse\n27000000.0\n$", output)
            end
        end)
    end

    it("says so, and where", function()
        local status, _, messages = interrupted(OPERATIONS.product)
        assert.equal(1, status)
        assert.matches("long.lua:3: interrupted!", messages)
    end)

    it("leaves what a compiled function changes as before or as after, and it can be called again #slow", function()
        local status, output, messages = interrupted([[
            lx.manual_seed(1)
            local w = lx.zeros(1200, 1200)
            local steps, a = 0, lx.ones(1200, 1200)
            local step = lx.compile(function(x)
                local y = x
                for _ = 1, 20 do y = x:matmul(y) * 1e-3 end
                lx.no_grad(function() w:add_(1) w:add_(y * 0) end)
                return y
            end)
            for _ = 1, 4 do step(a) steps = steps + 1 end
            assert(#step:facts().recordings == 1, tostring(step))
            ready()
            local ok, message = pcall(function() while true do step(a) steps = steps + 1 end end)
            assert(not ok and message:find("interrupted!", 1, true), message)
            assert(w:min():item() == w:max():item(), "half of an update")
            local extra = w:min():item() - steps
            assert(extra == 0 or extra == 1, extra)
            step(a)
            print(w:min():item() - steps - extra, step:facts().replays > 0)
        ]])
        assert.equal(0, status, messages)
        assert.equal("1.0\ttrue\n", output)
    end)

    it("has no say in a hook that was there before, and none in one that raises nothing", function()
        local path = work .. "/hook.lua"
        shell.write(path, [[
            local lx = require "luxel"
            local calls = 0
            debug.sethook(function() calls = calls + 1 end, "", 1)
            print(lx.ones(1000, 1000):matmul(lx.ones(1000, 1000)):sum():item(), calls > 0)
        ]])
        local status, output, messages = run(LUA .. " " .. path)
        assert.equal(0, status, messages)
        assert.equal("1000000000.0\ttrue\n", output)
        -- one that would raise if the work called it
        shell.write(path, [[
            local lx = require "luxel"
            local a = lx.ones(1500, 1500)
            debug.sethook(function()
                if debug.getinfo(2, "S").source == "=luxel" then error("called") end
            end, "c")
            print(a:matmul(a):sum():item())
        ]])
        status, output, messages = run(LUA .. " " .. path)
        assert.equal(0, status, messages)
        assert.matches("^33750000", output)
    end)
end)

describe("descriptors #processes", function()
    it("of the standard streams stay open when a file cannot be read", function()
        shell.write(work .. "/folder.lua", [[
            local lx = require "luxel"
            assert(select(3, lx.vision.load("/tmp")) == "io")
            assert(select(3, lx.checkpoint.load("/tmp")) == "io")
            print "said afterwards"
        ]])
        local _, output = run(LUA .. " " .. work .. "/folder.lua")
        assert.equal("said afterwards\n", output)
    end)

    it("may be 0, where a host has no standard input", function()
        shell.write(work .. "/closed.lua", ([[
            local lx = require "luxel"
            local folder = "%s/written"
            assert(require("lfs").mkdir(folder))
            assert(lx.vision.save(folder .. "/a.png", lx.zeros({1, 3, 3}, {dtype = "uint8"})))
            assert(lx.vision.load(folder .. "/a.png"))
            local names = {}
            for name in require("lfs").dir(folder) do names[#names + 1] = name end
            print(#names, lx.vision.probe(folder .. "/a.png").width)
        ]]):format(work))
        local _, output, messages = run(LUA .. " " .. work .. "/closed.lua 0<&-")
        assert.equal("3\t3\n", output, messages)
    end)
end)

describe("a locale with decimal commas #processes", function()
    it("changes no file", function()
        local made = os.execute(("localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1"):format(work))
        if not made then return pending("localedef cannot make a locale; install the package locales") end
        local script = work .. "/locale.lua"
        shell.write(script, ([[
            local comma = arg[1] == "comma"
            if comma then assert(os.setlocale("de_DE.UTF-8")) end
            assert(("%%.1f"):format(0.5) == (comma and "0,5" or "0.5"))
            local lx, cjson = require "luxel", require "cjson"
            local out = "%s/" .. arg[1]
            lx.manual_seed(1)
            assert(lx.checkpoint.save(out .. ".safetensors", {w = lx.ones(2)}, {a = 1.5, b = {1e-7, -2.25}}))
            local _, metadata = assert(lx.checkpoint.load(out .. ".safetensors"))
            assert(metadata.a == 1.5 and metadata.b[1] == 1e-7)
            local net = lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(256, 1))
            local data, val = lx.data.phantom({n = 30, size = 16, seed = 1}):split {val = 0.4}
            local rows = {}
            assert(lx.train.fit {net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 0.01}), train = data,
                val = val,
                epochs = 2, out = out, progress = {step = function() end, message = print,
                    epoch = function(_, row) rows[#rows + 1] = row end}})
            local lines = {}
            for line in io.lines(out .. "/log.csv") do lines[#lines + 1] = line end
            local columns = select(2, lines[1]:gsub(",", ""))
            for i = 2, 3 do
                assert(select(2, lines[i]:gsub(",", "")) == columns, lines[i])
                assert(math.abs(tonumber((lines[i]:match(",([%%d.e-]+)"))) - rows[i - 1].loss) < 1e-5, lines[i])
            end
            local file = assert(io.open(out .. ".csv", "w"))
            file:write("path,label,x,y,w,h\na.png,ill,1.5,2,3,4.25\nb.png,normal,,,,\n")
            file:close()
            local frame = assert(lx.data.frame(out .. ".csv", {label = "label", boxes = {"x", "y", "w", "h"}}))
            assert(frame.boxes[1][1].x == 1.5 and frame.boxes[1][1].h == 4.25)
            assert(lx.profile(function() return lx.ones(9):sum():item() end):save_trace(out .. ".json"))
            assert(cjson.decode(io.open(out .. ".json"):read("a")).traceEvents)
            lx.data.phantom_save(out .. "/set", {n = 4, size = 64, seed = 1})
            assert(assert(lx.data.audit(out .. "/set")):report(out .. ".html"))
            print "done"
        ]]):format(work))
        for _, kind in ipairs {"comma", "point"} do
            local status, output, messages = run(("env LOCPATH=%s %s %s %s"):format(work, LUA, script, kind))
            assert.equal(0, status, messages)
            assert.equal("done\n", output)
        end
        for _, name in ipairs {".safetensors", "/best.safetensors", ".html"} do
            local comma, point = shell.read(work .. "/comma" .. name), shell.read(work .. "/point" .. name)
            assert.is_true(comma:gsub("comma", "point") == point or name == ".html" and not comma:find('="%d+,%d'),
                name)
        end
    end)
end)

describe("bench/quality.lua #processes", function()
    it("refuses a folder without images, and finds images in folders below", function()
        local status, output, messages = run(LUA .. " bench/quality.lua some=csrc")
        assert.equal(1, status)
        assert.equal("", output)
        assert.matches("some: there are no images in csrc", messages)
        assert(lfs.mkdir(work .. "/images"))
        assert(lfs.mkdir(work .. "/images/below"))
        local lx = require "luxel"
        assert(lx.vision.save(work .. "/images/below/a.png", lx.data.phantom({n = 1, size = 128, seed = 1}).images[1]))
        status, output = run(LUA .. " bench/quality.lua some=" .. work .. "/images")
        assert.equal(0, status)
        assert.matches("some: 1 images as they are", output)
    end)
end)
