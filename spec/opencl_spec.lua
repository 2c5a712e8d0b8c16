--- The OpenCL device where things go wrong: no driver, no memory, a device that fails, programs on disk that are
-- damaged, several states and processes at once. Most of it runs in processes of their own, some with a library in
-- between that fails as it is told (spec/support/faulty_opencl.c).

local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"

-- Why there is nothing to test, or nil. No device is opened here: other files of tests would then run on it, too.
local why_not = "needs OpenCL: " .. tostring(lx.devices().why)
for _, device in ipairs(lx.devices()) do
    if device.kind == "opencl" then why_not = nil end
end
local work, faulty

-- ---- processes of their own ---------------------------------------------------------------------------------------

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

-- The environment as a shell wants it; false stands for a variable that is not to be there.
local function environment(variables)
    local unset, set = {}, {}
    for name, value in pairs(variables or {}) do
        if value == false then
            unset[#unset + 1] = "-u " .. name
        else
            set[#set + 1] = name .. "=" .. quote(value)
        end
    end
    return ("env %s %s "):format(table.concat(unset, " "), table.concat(set, " "))
end

local function run(command, variables) return shell.run(environment(variables) .. command) end

local SCRIPT <const> = [[
local lx = require "luxel"
local core = require "luxel.core"
local device = "opencl"
local MIB <const> = 1 << 20
local function memory() return core.memory(device) end
-- What there is of an error, without where it was raised.
local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    return not ok and tostring(message) or "no error"
end
]]

-- Runs Lua text in a process of its own and returns what it printed, line by line. It must end well.
local function lua(text, variables)
    local path = os.tmpname()
    shell.write(path, SCRIPT .. text)
    local status, output, messages = run("timeout 300 " .. LUA .. " " .. path, variables)
    os.remove(path)
    assert(status == 0, output .. messages)
    local lines = {}
    for line in output:gmatch("[^\n]*") do lines[#lines + 1] = line end
    return lines
end

-- The same with the library in between.
local function lua_with_faults(text, variables)
    local all = {LUXEL_OPENCL_LIBRARY = faulty}
    for name, value in pairs(variables) do all[name] = value end
    return lua(text, all)
end

setup(function()
    work = shell.folder()
    faulty = work .. "/faulty_opencl.so"
    if why_not then return end
    local command = "%s -shared -fPIC -o %s spec/support/faulty_opencl.c -ldl -Wl,-z,nodelete,--no-as-needed "
        .. "-l:libOpenCL.so.1"
    local status, _, messages = run(command:format(os.getenv("CC") or "cc", faulty))
    assert(status == 0, messages)
end)

teardown(function() shell.remove(work) end)

local function describe_opencl(name, f)
    describe(name .. " #processes", why_not and function() pending(why_not) end or f)
end

-- ---- no OpenCL ----------------------------------------------------------------------------------------------------

describe("without OpenCL #processes", function()
    it("the library works, and says what is missing", function()
        local lines = lua([[
            local list = lx.devices()
            print(#list, list[1].label, list.why)
            print(lx.device("opencl"))
            print(lx.device("opencl:1"))
            print(lx.device("auto").label)
            print(message_of(lx.ones, 2, {device = "opencl"}))
            print(lx.ones(2, 3):sum():item())
        ]], {LUXEL_OPENCL_LIBRARY = "/nonexistent/libOpenCL.so"})
        assert.matches("^1\tcpu\tthere is no OpenCL here: /nonexistent/libOpenCL.so: .*apt%-get install", lines[1])
        assert.matches("^nil\tthere is no OpenCL here: .*\tdevice$", lines[2])
        assert.matches("^nil\tthere is no OpenCL here: .*\tdevice$", lines[3])
        assert.equal("cpu", lines[4])
        assert.matches("there is no OpenCL here", lines[5])
        assert.equal("6.0", lines[6])
    end)

    it("a library that lacks functions is not used", function()
        local lines = lua('print(lx.device("opencl"))', {LUXEL_OPENCL_LIBRARY = "libm.so.6"})
        assert.matches("^nil\tthe OpenCL library here lacks clGetPlatformIDs\tdevice$", lines[1])
    end)
end)

describe_opencl("an OpenCL loader", function()
    local ASK <const> = 'print(#lx.devices(), lx.devices().why) print(lx.device("opencl"))'

    it("without drivers says so", function()
        local lines = lua_with_faults(ASK, {FAULTY_PLATFORMS = "0"})
        assert.matches("^1\tthe OpenCL loader is here but finds no driver", lines[1])
        assert.matches("^nil\tthe OpenCL loader is here but finds no driver.*\tdevice$", lines[2])
    end)

    it("without devices says so", function()
        local lines = lua_with_faults(ASK, {FAULTY_DEVICES = "0"})
        assert.matches("^1\tOpenCL has 1 platform here, but no device$", lines[1])
        assert.matches("^nil\tOpenCL has 1 platform here, but no device\tdevice$", lines[2])
    end)
end)

-- ---- a device that fails ------------------------------------------------------------------------------------------

-- Two parameters and a step that computes on them, on the device.
local PARAMETERS <const> = [[
    local w = lx.arange(1, 7, 1, {device = device}):view(2, 3)
    local b = lx.full({5}, 2.5, {device = device})
    local function step() return (w * 2):exp():sum():item() end
    -- What a program does that wants to keep what it has.
    local function rescue(path)
        assert(lx.save(path, {w = w, b = b}))
        local back = assert(lx.load(path))
        print(back.w.device, table.concat(back.w:flatten():totable(), " "), table.concat(back.b:totable(), " "))
    end
]]
local RESCUED <const> = "cpu\t1.0 2.0 3.0 4.0 5.0 6.0\t2.5 2.5 2.5 2.5 2.5"

describe_opencl("a device that fails", function()
    -- out of resources, a broken queue, and what NVIDIA's driver says when it has lost the device
    for _, code in ipairs {"-5", "-36", "-9999"} do
        it("at a launch, with " .. code .. ", is an error that names the kernel; what is on it can be saved", function()
            local lines = lua_with_faults(PARAMETERS .. [[
                print(step() > 0)
                print(message_of(step))
                print(message_of(step))
                print(message_of(function() return w + 1 end))
                print(message_of(lx.ones, 3, {device = device}))
                print(message_of(core.synchronize, device))
                rescue(os.getenv("OUT"))
                print(w:totable()[1][2], lx.ones(2):sum():item())
            ]], {FAULTY_LAUNCH = "7", FAULTY_STATUS = code, FAULTY_LOST = "1", OUT = work .. "/rescued.safetensors"})
            assert.equal("true", lines[1])
            assert.matches("opencl:1 %(.+%): [%w_]+: .*%(" .. code .. "%); it takes no more work", lines[2])
            for i = 3, 6 do assert.matches("opencl:1 %(.+%) .*takes no more work", lines[i]) end
            assert.equal(RESCUED, lines[7])
            assert.equal("2.0\t2.0", lines[8])
        end)
    end

    it("unseen until something is read is an error there, and never a wrong number", function()
        local lines = lua_with_faults(PARAMETERS .. [[
            print(step() > 0)
            print(message_of(step))
            print(message_of(step))
            rescue(os.getenv("OUT"))
        ]], {FAULTY_LAUNCH = "7", FAULTY_LOST = "1", FAULTY_SILENT = "1", OUT = work .. "/rescued.safetensors"})
        assert.equal("true", lines[1])
        assert.matches("opencl:1 %(.+%): cannot read from the device: out of resources %(%-5%); it takes no more work",
            lines[2])
        assert.matches("opencl:1 %(.+%) .*takes no more work", lines[3])
        assert.equal(RESCUED, lines[4])
    end)

    it("once goes on afterwards", function()
        local lines = lua_with_faults(PARAMETERS .. [[
            local before = step()
            print(message_of(step))
            print(step() == before)
        ]], {FAULTY_LAUNCH = "7"})
        assert.matches("opencl:1 %(.+%): [%w_]+: out of resources %(%-5%)$", lines[1])
        assert.equal("true", lines[2])
    end)

    it("in the middle of training leaves the last epoch to go on with, and the weights of the moment", function()
        local out = work .. "/failing"
        local status, _, messages = run(LUA .. " examples/chest_xray/train.lua --size 33 --epochs 3 --phantoms 60 "
            .. "--batch 8 --device opencl --out " .. out,
            {LUXEL_OPENCL_LIBRARY = faulty, FAULTY_LAUNCH = "1000", FAULTY_STATUS = "-36", FAULTY_LOST = "1"})
        assert.equal(1, status)
        assert.matches("error: epoch [23], step %d+: opencl:1 %(.+%): [%w_]+: .*%(%-36%)", messages)
        assert.matches("failing/last.safetensors holds the run after epoch [12], step 0, go on with resume", messages)
        assert.matches("the weights at the failure are in .*failing/rescued.safetensors\n$", messages)
        local _, last = assert(lx.checkpoint.load(out .. "/last.safetensors"))
        local weights, rescued = assert(lx.checkpoint.load(out .. "/rescued.safetensors"))
        assert.is_true(last.training ~= nil and rescued.model == "cnn")
        assert.equal(0, weights["0.weight"]:isnan():any():item())
    end)

    it("to compile gives the compiler's log", function()
        local lines = lua_with_faults([[
            print(message_of(function() return lx.ones(3, {device = device}) + 1 end))
            print(lx.ones(3):sum():item())
        ]], {FAULTY_BUILD = "line 7: I do not like this kernel"})
        assert.matches("opencl:1: .* of kernels/%a+%.cl does not build on .*%(%-11%):$", lines[1])
        assert.equal("line 7: I do not like this kernel", lines[2])
        assert.equal("3.0", lines[3])
    end)
end)

-- ---- memory -------------------------------------------------------------------------------------------------------

describe_opencl("memory of an OpenCL device", function()
    it("is counted, kept when freed, used again, and given back when trimmed", function()
        lua [[
            local before = memory()
            local t = lx.zeros(256, 1024, {device = device})
            assert(memory().live == before.live + MIB)
            t:free()
            assert(memory().live == before.live and memory().cached == before.cached + MIB)
            local again = lx.full({256, 1024 - 16}, 3, {device = device}) -- of the same class
            assert(memory().live == before.live + MIB and memory().cached == before.cached)
            assert(again:sum():item() == 3 * 256 * (1024 - 16))
            again:free()
            core.trim(device)
            assert(memory().cached == 0)
        ]]
    end)

    it("goes back to the driver", function()
        lua_with_faults([[
            local kept = lx.zeros(256, 1024, {device = device})
            for i = 1, 20 do
                local t <close> = lx.zeros(i * 1000, 100, {device = device})
            end
            core.trim(device)
            assert(memory().live == MIB and memory().cached == 0)
            KEPT = kept -- closing the state gives that back, too
        ]], {FAULTY_COUNTS = work .. "/counts"})
        assert.matches("allocated=0", shell.read(work .. "/counts"))
    end)

    it("has a budget; beyond it an error says what was asked and what is free, and the process goes on", function()
        lua [[
            core.set_budget(device, 64 * MIB)
            local a, b = lx.zeros(4 * MIB, {device = device}), lx.zeros(4 * MIB, {device = device})
            local message = message_of(lx.zeros, 12 * MIB, {device = device})
            local wanted = "out of memory: opencl:1 has no 48.0 MiB more (32.0 MiB in use, "
            assert(message:find(wanted, 1, true) and message:find(", 32.0 of 64.0 MiB free)", 1, true), message)
            assert((a + b):sum():item() == 0)
            a:free()
            assert(lx.ones(11 * MIB, {device = device}):sum():item() == 11 * MIB)
            core.set_budget(device, nil)
            assert(lx.ones(24 * MIB, {device = device}):sum():item() == 24 * MIB)
        ]]
    end)

    it("is collected before it is short", function()
        lua [[
            core.set_budget(device, 64 * MIB)
            collectgarbage("stop")
            for _ = 1, 50 do lx.zeros(4 * MIB, {device = device}) end
        ]]
    end)

    it("that the driver does not have is the same error", function()
        lua_with_faults([[
            local kept = lx.zeros(4 * MIB, {device = device})
            local message = message_of(lx.zeros, 16 * MIB, {device = device})
            assert(message:find("out of memory: opencl:1 has no 64.0 MiB more (16.0 MiB in use", 1, true), message)
            lx.zeros(10 * MIB, {device = device}):free()
            assert(memory().cached >= 40 * MIB)
            -- what is cached makes room for a block of another size
            assert(lx.ones(11 * MIB, {device = device}):sum():item() == 11 * MIB)
            assert(kept:sum():item() == 0)
        ]], {FAULTY_MEMORY = tostring(64 << 20)})
    end)

    it("in one piece has a limit of the device's, which is named", function()
        lua [[
            local largest
            for _, d in ipairs(lx.devices()) do largest = d.kind == "opencl" and d.largest or largest end
            local message = message_of(lx.empty, largest // 4 + 1, {device = device})
            local wanted = "one tensor on opencl:1 %(.+%) has at most " .. ("%.1f"):format(largest / MIB) .. " MiB"
            assert(message:find("out of memory: " .. wanted), message)
            assert(lx.ones(3, {device = device}):sum():item() == 3)
        ]]
    end)

    it("next to that limit has blocks that are no class of their own", function()
        lua_with_faults([[
            for _, size in ipairs {990000, 999000, 995000, 1000000} do
                local t <close> = lx.full({size}, size % 251, {device = device, dtype = "uint8"})
                assert(core.to_string(t) == string.char(size % 251):rep(size))
            end
            assert(message_of(lx.empty, 1000001, {device = device, dtype = "uint8"}):find "has at most 1.0 MiB")
        ]], {FAULTY_LARGEST = "1000000"})
    end)

    it("stays bounded over thousands of temporaries, without tidy", function()
        lua [[
            local t = lx.ones(256, 1024, {device = device})
            for _ = 1, 4000 do t = t + 1 end
            assert(t:max():item() == 4001)
            assert(memory().peak < 600 * MIB, memory().peak // MIB)
        ]]
    end)

    it("that is the host's is not held twice", function()
        lua [[
            local shares
            for _, d in ipairs(lx.devices()) do shares = shares or d.kind == "opencl" and d.shares_memory end
            local function resident()
                for line in io.lines("/proc/self/status") do
                    local kib = line:match("^VmRSS:%s+(%d+)")
                    if kib then return kib / 1024 end
                end
            end
            lx.full({1000}, 7, {device = device}):sum():item()
            local before = resident()
            local t = lx.full({32 * MIB}, 7, {device = device}) -- 128 MiB
            assert(t:sum():item() == 7 * 32 * MIB)
            local grown = resident() - before
            assert(not shares or grown > 100 and grown < 160, grown)
        ]]
    end)

    it("is read and written at any place", function()
        lua [[
            local numbers = lx.randn(7, 1001)
            local t = numbers:to(device)
            assert(lx.equal(t:to("cpu"), numbers))
            local part = t:narrow(1, 3, 2):narrow(2, 5, 990)
            assert(lx.equal(part:to("cpu"), numbers:narrow(1, 3, 2):narrow(2, 5, 990):contiguous()))
            part:copy_(lx.zeros(2, 990, {device = device}))
            numbers:narrow(1, 3, 2):narrow(2, 5, 990):zero_()
            assert(lx.equal(t:to("cpu"), numbers))
        ]]
    end)
end)

-- ---- programs on disk ---------------------------------------------------------------------------------------------

-- A few programs, and what they compute.
local COMPUTE <const> = [[
    local x = lx.arange(0, 15, 1, {device = device}):view(3, 5)
    print(table.concat(lx.nn.functional.softmax(x:matmul(x:t()), 1):cumsum(1):flatten():totable(), " "))
]]

describe_opencl("programs on disk", function()
    local folder, expected, programs

    -- What the library in between counted in the last process.
    local function count(name)
        return math.tointeger(tonumber(shell.read(work .. "/counts"):match(name .. "=(%d+)")))
    end

    local function compute(variables)
        local all = {LUXEL_CACHE_DIR = folder, FAULTY_COUNTS = work .. "/counts"}
        for name, value in pairs(variables or {}) do all[name] = value end
        return lua_with_faults(COMPUTE, all)[1]
    end

    -- The names of the entries; there must be nothing else.
    local function entries()
        local names = {}
        for name in lfs.dir(folder) do
            if name ~= "." and name ~= ".." then
                assert.matches("^%x+%.program$", name)
                names[#names + 1] = name
            end
        end
        table.sort(names)
        return names
    end

    setup(function()
        folder = work .. "/filled"
        expected = compute()
        programs = count("sources")
    end)

    before_each(function()
        os.execute("rm -rf " .. work .. "/cache && cp -r " .. work .. "/filled " .. work .. "/cache")
        folder = work .. "/cache"
    end)

    it("are written by the first process and used by the next", function()
        assert.matches("^%d", expected)
        assert.is_true(programs >= 3)
        assert.equal(programs, #entries())
        assert.equal(expected, compute())
        assert.equal(0, count("sources"))
        assert.equal(programs, count("binaries"))
    end)

    local function flip(text, at)
        return text:sub(1, at - 1) .. string.char(text:byte(at) ~ 16) .. text:sub(at + 1)
    end
    local DAMAGE <const> = {
        empty = function() return "" end,
        ["cut off in the header"] = function(text) return text:sub(1, 20) end,
        ["cut off by a byte"] = function(text) return text:sub(1, -2) end,
        ["a byte too long"] = function(text) return text .. "\0" end,
        ["of a version that is unknown"] = function(text) return flip(text, 8) end,
        ["of another key"] = function(text) return flip(text, 9) end,
        ["wrong in the checksum"] = function(text) return flip(text, 30) end,
        ["wrong in the length"] = function(text) return flip(text, 45) end,
        ["wrong in the first byte"] = function(text) return flip(text, 49) end,
        ["wrong in the last byte"] = function(text) return flip(text, #text) end,
        garbage = function(text) return ("\37\211garbage"):rep(#text // 9 + 1) end,
    }
    local kinds = {}
    for name in pairs(DAMAGE) do kinds[#kinds + 1] = name end
    table.sort(kinds)
    for _, name in ipairs(kinds) do
        local damage = DAMAGE[name]
        it(name .. " are compiled and written again", function()
            for _, entry in ipairs(entries()) do
                local path = folder .. "/" .. entry
                shell.write(path, damage(shell.read(path)))
            end
            assert.equal(expected, compute())
            assert.equal(programs, count("sources"))
            assert.equal(0, count("binaries"))
            assert.equal(programs, #entries())
            assert.equal(expected, compute())
            assert.equal(0, count("sources"))
        end)
    end

    it("under each other's names are compiled and written again", function()
        local names = entries()
        local first = shell.read(folder .. "/" .. names[1])
        for i, name in ipairs(names) do
            shell.write(folder .. "/" .. name, names[i + 1] and shell.read(folder .. "/" .. names[i + 1]) or first)
        end
        assert.equal(expected, compute())
        assert.equal(programs, count("sources"))
        assert.equal(expected, compute())
        assert.equal(0, count("sources"))
    end)

    it("that the driver refuses are compiled", function()
        assert.equal(expected, compute {FAULTY_BINARY = "1"})
        assert.equal(programs, count("sources"))
        assert.equal(programs, #entries())
    end)

    it("with a folder in the place of each are compiled", function()
        local names = entries()
        for _, name in ipairs(names) do
            os.remove(folder .. "/" .. name)
            assert(lfs.mkdir(folder .. "/" .. name))
        end
        assert.equal(expected, compute())
        assert.same(names, entries())
    end)

    it("without a place for them are compiled", function()
        shell.write(work .. "/file", "")
        for _, path in ipairs {work .. "/file", work .. "/file/below", "/proc/luxel", "/nonexistent/a/b",
            ("x"):rep(5000)} do
            assert.equal(expected, compute {LUXEL_CACHE_DIR = path})
            assert.equal(programs, count("sources"))
        end
        assert.equal(expected, compute {LUXEL_CACHE_DIR = false, XDG_CACHE_HOME = false, HOME = false})
    end)

    it("in a folder that must not be written are used or compiled", function()
        assert.equal(0, (run("chmod 500 " .. folder)))
        assert.equal(expected, compute())
        assert.equal(0, count("sources"))
        os.execute(("chmod 700 %s && rm %s/* && chmod 500 %s"):format(folder, folder, folder))
        assert.equal(expected, compute())
        assert.equal(programs, count("sources"))
        os.execute("chmod 700 " .. folder)
    end)

    it("in a folder that vanishes meanwhile are compiled", function()
        local lines = lua_with_faults(([[
            print(lx.ones(3, {device = device}):sum():item())
            os.execute("rm -r " .. os.getenv("LUXEL_CACHE_DIR"))
        ]] .. COMPUTE), {LUXEL_CACHE_DIR = folder})
        assert.equal(expected, lines[2])
    end)

    it("may be used by whoever is told that they are compiled", function()
        -- PoCL has a cache of its own, in which it finds all that was ever compiled
        local lines = lua([[
            core.set_notice(function(text)
                print(text)
                print(lx.ones(2, {device = device}):cumsum(1):sum():item())
            end)
        ]] .. COMPUTE, {LUXEL_CACHE_DIR = work .. "/none", POCL_CACHE_DIR = work .. "/none"})
        assert.matches("^compiling kernels for .+, once for this driver$", lines[1])
        assert.equal("3.0", lines[2])
        assert.equal(expected, lines[3])
    end)

    it("that several processes write at once are whole", function()
        os.execute("rm -r " .. folder)
        shell.write(work .. "/compute.lua", SCRIPT .. COMPUTE)
        local command = {}
        for i = 1, 4 do
            command[i] = ("LUXEL_CACHE_DIR=%s %s %s/compute.lua >%s/out%d & "):format(folder, LUA, work, work, i)
        end
        assert.equal(0, (run("sh -c " .. quote(table.concat(command) .. "wait"))))
        for i = 1, 4 do assert.equal(expected, shell.read(work .. "/out" .. i):match("[^\n]*")) end
        assert.equal(programs, #entries())
        assert.equal(expected, compute())
        assert.equal(0, count("sources"))
    end)
end)

-- ---- training -----------------------------------------------------------------------------------------------------

describe_opencl("training on an OpenCL device", function()
    it("needs no more memory after 1,000 steps #slow", function()
        local lines = lua [[
            local nn = lx.nn
            local net = nn.Sequential(nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(8 * 64, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1)):to(device)
            local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01})
            local images, labels = lx.randn(8, 1, 16, 16), lx.tensor {{0}, {1}, {1}, {0}, {1}, {0}, {1}, {1}}
            local function resident()
                for line in io.lines("/proc/self/status") do
                    local kib = line:match("^VmRSS:%s+(%d+)")
                    if kib then return kib / 1024 end
                end
            end
            local function train(steps)
                for _ = 1, steps do
                    optimizer:zero_grad()
                    local x, y = images:to(device), labels:to(device)
                    local loss <close> = nn.functional.binary_cross_entropy_with_logits(nn.fuse(net)(x), y)
                    assert(loss:item() > 0)
                    loss:backward()
                    optimizer:step()
                end
                collectgarbage()
                collectgarbage()
                core.synchronize(device)
                local used = memory()
                return used.live, used.live + used.cached, resident()
            end
            local live, held, host = train(200)
            local waits = core.waits(device)
            local live_then, held_then, host_then = train(1000)
            print(live_then - live, held_then - held, core.waits(device) - waits, host_then - host)
        ]]
        local live, held, waits, host = lines[1]:match("(%S+)\t(%S+)\t(%S+)\t(%S+)")
        assert.equal(0, tonumber(live))
        assert.is_true(tonumber(held) < 4 << 20, held .. " bytes more") -- Lua collects a little later or sooner
        assert.is_true(tonumber(waits) <= 1002, waits .. " waits") -- reading the loss, and the end
        assert.is_true(tonumber(host) < 4, host .. " MiB more")
    end)

    it("in two states and threads at once gives the same as alone, and they close in any order", function()
        local status, flags = run("pkg-config --cflags lua5.4")
        assert.equal(0, status)
        local command = ("%s %s -o %s/two_states spec/support/two_states.c -llua5.4 -lpthread"):format(
            os.getenv("CC") or "cc", flags:gsub("\n", ""), work)
        local compiled, _, problem = run(command)
        assert(compiled == 0, problem)
        local ended, output, messages = run(work .. "/two_states spec/support/steps.lua")
        assert(ended == 0, messages)
        assert.matches("^%S+ %x", output)
    end)
end)
