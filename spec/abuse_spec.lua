local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local folder

setup(function()
    folder = shell.folder()
end)

teardown(function() shell.remove(folder) end)

local HUGE <const> = {math.mininteger, math.maxinteger, 1 << 53, 1 << 31, -1 << 31, -1}

-- Must raise an error with a message, and no internal one.
local function refuses(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    assert.is_string(message)
    assert.is_nil(message:find("attempt to", 1, true), message)
    return message
end

describe("what is in C", function()
    local function run(tries, seed)
        local script = lfs.currentdir() .. "/spec/support/abuse.lua"
        local pipe = assert(io.popen(("cd '%s' && exec env OMP_NUM_THREADS=2 LUXEL_OPENCL_LIBRARY=/nowhere " ..
            "LUXEL_CACHE_DIR='%s' ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 %s '%s' note %d %d 2>&1")
            :format(folder, folder, arg[-1] or "lua5.4", script, tries, seed)))
        local said = pipe:read("a")
        if pipe:close() then return said end
        local note = io.open(folder .. "/note")
        error(("%s\nat: %s"):format(said, note and note:read("l") or "?"), 0)
    end

    it("raises or works, whatever it is given and in whichever order #processes", function()
        local said = run(12, 1)
        local functions, calls, raised = said:match("(%d+) functions, (%d+) calls, (%d+) raised")
        assert.is_true(tonumber(functions) > 300 and tonumber(calls) > 3000 and tonumber(raised) > 1000, said)
        assert.is_nil(said:find("endless", 1, true), said)
        print(("\n%d functions of C, %d calls with anything, %d raised, none crashed"):format(functions, calls, raised))
    end)

    it("checks the self of every metamethod of a tensor", function()
        local meta = getmetatable(lx.ones(2))
        assert.matches("expected luxel.tensor", refuses(meta.__index, -0.5, "uint8"))
        assert.matches("expected luxel.tensor", refuses(meta.__newindex, {}, 1, 2))
        assert.matches("expected luxel.tensor", refuses(meta.__len, io.stdout))
        local freed = lx.ones(2)
        core.free(freed)
        for _, key in ipairs {"shape", "dtype", "device", 1} do refuses(meta.__index, freed, key) end
        refuses(meta.__newindex, freed, 1, 2)
    end)

    it("does not wait for batches that nobody asked for", function()
        local next_batch, _, _, closed = lx.data.batches(lx.data.phantom {n = 3, size = 16, seed = 1}, {batch = 2})
        local loader = closed.loader
        while next_batch() do end
        assert.matches("no batch was given", refuses(loader.wait, loader, 0))
    end)

    it("knows a closed pipeline, and the stages of a recording", function()
        local pipeline = core.pipeline({{"hflip", 0.5}}, {})
        getmetatable(pipeline).__gc(pipeline)
        refuses(pipeline.describe, pipeline)
        refuses(pipeline.run, pipeline, lx.zeros(1, 3, 3))
        refuses(pipeline.boxes, pipeline, 3, 3, {})
        local freed = lx.ones(2)
        core.free(freed)
        assert.matches("was freed", refuses(core.record, freed))
        local many = {}
        for i = 1, 65 do many[i] = i end
        assert.matches("more than 64", refuses(core.record, table.unpack(many)))
        local x = lx.ones(8)
        local recording = core.record(x)
        for _, name in ipairs {"replay", "plan", "fits", "refresh", "forget"} do
            refuses(recording[name], recording, x)
        end
        local y = x + 1
        recording:settle({y}, 1)
        refuses(recording.settle, recording, {}, 0)
        refuses(recording.replay, recording, x)
        y = nil -- luacheck: ignore
        recording:plan()
        refuses(recording.plan, recording)
        assert.same({2, 2, 2, 2, 2, 2, 2, 2}, recording:replay(x):totable())
        for _, other in ipairs {lx.ones(7), lx.ones(9), lx.ones(2, 4), x:byte(), 3} do
            assert.matches("not arguments like those", refuses(recording.replay, recording, other))
        end
        refuses(recording.replay, recording)
        refuses(recording.replay, recording, x, x)
        recording:close()
        refuses(recording.fits, recording)
    end)
end)

describe("numbers too large", function()
    it("for sizes, views and indices are refused", function()
        local big = 1 << 53
        local x = lx.ones(1, 1, 1)
        refuses(lx.zeros, {0, big, big})
        refuses(lx.zeros, {big, big, 0})
        refuses(x.expand, x, {10 ^ 9 // 1 | 0, 10 ^ 9 // 1 | 0, 10 ^ 9 // 1 | 0})
        refuses(lx.zeros(0).view, lx.zeros(0), {0, big, big})
        for _, n in ipairs(HUGE) do
            refuses(core.narrow, lx.ones(3), 1, n, 1)
            refuses(core.narrow, lx.ones(3), 1, 1, n)
            if n ~= -1 then refuses(core.select, lx.ones(3), 1, n) end
            refuses(core.permute, lx.ones(3), {n == -1 and 2 or n})
            refuses(core.from_string, "abcd", {n})
            refuses(core.as_strided, lx.ones(3), {n}, {1}, 0)
            refuses(core.as_strided, lx.ones(3), {3}, {n}, 0)
            refuses(core.as_strided, lx.ones(3), {3}, {1}, n)
            refuses(core.as_strided, lx.ones(3), {0, n, n}, {1, 1, 1}, 0)
            refuses(core.new, {n, n})
        end
        refuses(core.permute, lx.ones(3), {(1 << 32) + 1})
        local set = lx.data.phantom {n = 2, size = 32}
        for _, n in ipairs(HUGE) do assert.matches("image", refuses(set.image, set, n)) end
    end)

    it("for options and kinds are refused", function()
        local image = lx.ones(1, 5, 5)
        for _, n in ipairs {math.mininteger, math.maxinteger, 1 << 31, -1, 7, 255, 0.5, 1e300, 0 / 0} do
            refuses(core.morphology, image, n, 0, 3)
            refuses(core.morphology, image, 0, n, 3)
            refuses(core.pipeline, {}, {fit = n})
            refuses(core.pipeline, {}, {border = n})
            if n ~= 7 and n ~= 255 then
                refuses(core.pipeline, {}, {height = n, width = 8})
                refuses(core.store_files, {"x"}, {side = n})
                refuses(core.load_image, "x", {frame = n})
            end
        end
    end)

    it("for counts are refused", function()
        for _, stop in ipairs {1e300, 0 / 0, 1 / 0} do assert.matches("^.*arange", refuses(lx.arange, 0, stop)) end
        refuses(lx.arange, 0, 1, 1e-300)
        refuses(lx.linspace, 0, 1, math.maxinteger)
        refuses(lx.eye, math.maxinteger)
        for _, n in ipairs {1000001, 1 << 31, math.maxinteger, 0, -1} do
            assert.matches("ece", refuses(lx.metrics.ece, lx.rand(5), lx.ones(5), n))
        end
    end)

    it("for the memory that is left are refused before it is touched", function()
        local file = io.open("/proc/meminfo")
        if not file then return pending("needs /proc/meminfo") end
        local left = tonumber(file:read("a"):match("MemAvailable:%s*(%d+)")) * 1024
        file:close()
        assert.matches("out of memory", refuses(core.new, {(left + (1 << 30)) // 4 | 0}))
        lx.memory_budget("cpu", 1 << 28)
        local _ <close> = setmetatable({}, {__close = function() lx.memory_budget("cpu", nil) end})
        assert.matches("out of memory", refuses(lx.eye, 65535))
        assert.matches("out of memory", refuses(lx.randperm, 1000000000))
    end)

    it("of ones on the diagonal cost the result alone", function()
        assert.same({{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, lx.eye(3):totable())
        assert.same({0, 0}, lx.eye(0).shape)
        assert.same({{1, 0}, {0, 1}}, lx.eye(2, {dtype = "int32"}):totable())
        collectgarbage()
        core.trim()
        core.reset_peak("cpu")
        local before = lx.memory("cpu").live
        local eye = lx.eye(700)
        assert.is_true(lx.memory("cpu").peak - before < 700 * 700 * 4 * 1.2)
        assert.equal(700, eye:sum():item())
    end)
end)
