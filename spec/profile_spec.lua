--- `lx.profile`: what the devices did, kernel by kernel, as numbers, as a table and as a trace.

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"

local devices = {"cpu"}
if lx.device("opencl") then devices[2] = lx.device("opencl").label end

local function read_json(path)
    local file <close> = assert(io.open(path, "rb"))
    return cjson.decode(file:read("a"))
end

local function row_of(report, name)
    for _, row in ipairs(report.rows) do
        if row.name == name then return row end
    end
    error("no row of " .. name .. " in\n" .. tostring(report))
end

for _, device in ipairs(devices) do
    describe("lx.profile on " .. device, function()
        local a, b, report

        setup(function()
            a, b = lx.randn(96, 64):to(device), lx.randn(64, 80):to(device)
            local function f()
                local product = a:matmul(b)
                return product:exp():sum():item() > 0, "second", nil
            end
            f()
            report = lx.profile(f, {device = device})
        end)

        it("counts launches, time and bytes of each kernel", function()
            local exp = row_of(report, "unary_exp")
            assert.equal(device, exp.device)
            assert.equal(1, exp.launches)
            assert.is_true(exp.seconds > 0 and exp.seconds <= report.seconds)
            assert.equal(2 * 4 * 96 * 80, exp.bytes)
            assert.near(exp.bytes / exp.seconds / 1e9, exp.gbs, 1e-6 * exp.gbs)
            local work = 0
            for _, row in ipairs(report.rows) do
                if row.name:find("matmul") then work = work + row.gflops * row.seconds * 1e9 end
            end
            assert.is_true(work >= 2 * 96 * 64 * 80 and work < 4 * 96 * 64 * 80, tostring(work))
        end)

        it("has the longest first, and shares that add up", function()
            local total, share = 0, 0
            for i, row in ipairs(report.rows) do
                total, share = total + row.seconds, share + row.share
                if i > 1 then assert.is_true(row.seconds <= report.rows[i - 1].seconds) end
            end
            assert.near(report.seconds, total, 1e-9)
            assert.near(1, share, 1e-9)
            assert.is_true(report.wall > 0)
        end)

        it("counts the waits, and keeps what the function returned", function()
            assert.equal(device == "cpu" and 0 or 1, report.waits)
            assert.same({true, "second", n = 3}, report.results)
        end)

        it("prints a table of at most 120 columns", function()
            local lines = {}
            for line in tostring(report):gmatch("[^\n]+") do
                lines[#lines + 1] = line
                assert.is_true(utf8.len(line) <= 120, line)
            end
            assert.equal(#report.rows + 2, #lines)
            assert.matches("^kernel +launches +ms +share +µs each +GFLOP/s +GB/s$", lines[1])
            assert.matches(device == "cpu" and ", 0 waits$" or ", 1 wait$", lines[#lines])
        end)

        it("writes a trace that Chrome and Perfetto open", function()
            local path = os.tmpname()
            assert(report:save_trace(path))
            local events, launches, names = read_json(path).traceEvents, 0, 0
            local last = 0
            for _, event in ipairs(events) do
                if event.ph == "M" then
                    names = names + 1
                    assert.equal("process_name", event.name)
                else
                    launches = launches + 1
                    assert.equal("X", event.ph)
                    assert.is_true(event.dur > 0 and event.ts >= last - 1, event.name)
                    assert.is_true(event.ts + event.dur <= report.wall * 1e6 + 1000)
                    last = event.ts
                end
            end
            local counted = 0
            for _, row in ipairs(report.rows) do counted = counted + row.launches end
            assert.equal(counted, launches)
            assert.equal(1, names)
            os.remove(path)
        end)
    end)
end

describe("lx.profile", function()
    it("goes on after an error in the function, and raises it again", function()
        local problem = {}
        local ok, raised = pcall(lx.profile, function() error(problem) end)
        assert.is_false(ok)
        assert.equal(problem, raised)
        local report = lx.profile(function() return lx.ones(3):sum() end)
        assert.is_true(report.seconds > 0)
    end)

    it("cannot watch a device twice, and then leaves no other one watched", function()
        local outer = lx.profile(function()
            local ok, message = pcall(lx.profile, function() end, {device = {devices[2] or "cpu", "cpu"}})
            assert.is_false(ok)
            assert.matches("cpu is being watched already", message)
            return lx.ones(3):exp()
        end, {device = "cpu"})
        assert.equal(1, row_of(outer, "unary_exp").launches)
        lx.profile(function() end, {device = devices})
    end)

    it("watches every open device, each with its own time", function()
        for _, device in ipairs(devices) do lx.device(device) end
        local report = lx.profile(function()
            for _, device in ipairs(devices) do lx.ones({4}, {device = device}):exp() end
        end)
        assert.equal(#core.open_devices(), #report.devices)
        local seen = {}
        for _, row in ipairs(report.rows) do
            if row.name == "unary_exp" then seen[#seen + 1] = row.device end
        end
        table.sort(seen)
        assert.same(devices, seen)
        if #devices > 1 then assert.matches("^device +kernel", tostring(report)) end
    end)

    it("writes the trace that the options name, or says why not", function()
        local path = os.tmpname()
        local report, message = lx.profile(function() return lx.ones(3):exp() end, {trace = path})
        assert.is_nil(message)
        assert.is_true(#read_json(path).traceEvents >= #report.rows)
        os.remove(path)
        local again, problem, code = lx.profile(function() end, {trace = "/nowhere/trace.json"})
        assert.equal(0, again.results.n)
        assert.matches("/nowhere", problem)
        assert.equal("io", code)
    end)

    it("refuses what is no function, and options that it does not have", function()
        assert.error_matches(function() lx.profile(1) end, "^profile: f: expected a function, got 1")
        assert.error_matches(function() lx.profile(print, {file = 1}) end, "^profile: options: unknown option 'file'")
        assert.error_matches(function() lx.profile(print, {device = "abacus"}) end,
            "^profile: options: option 'device': there is no device 'abacus'")
    end)

    it("ends with the last that has it, in a coroutine that is dropped too", function()
        local x = lx.ones(3)
        for _ = 1, 20 do
            local work = coroutine.wrap(function()
                local session <close> = lx.profile.start("cpu") -- luacheck: ignore
                coroutine.yield(x + 1)
            end)
            work()
            assert.error_matches(function() lx.profile(function() return x + 1 end, {device = "cpu"}) end,
                "being watched already")
            work = nil -- luacheck: ignore
            collectgarbage()
            collectgarbage()
            assert.equal(1, #lx.profile(function() return x + 1 end, {device = "cpu"}).rows)
        end
    end)
end)
