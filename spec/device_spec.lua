--- Devices as users meet them: which there are, choosing one, and what goes between them.

local lx = require "luxel"
local core = require "luxel.core"

local LUA <const> = os.getenv("LUA") or "lua5.4"

local has_opencl <const> = lx.device("opencl") ~= nil

-- A test that needs an OpenCL device.
local function it_on_opencl(name, f)
    if has_opencl then it(name, f) else pending(name .. " (no OpenCL device here)") end
end

-- What a Lua program prints, in a process of its own with this environment.
local function output_of(program, environment)
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(program)
    file:close()
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(environment or "", LUA, path)))
    local text = pipe:read("a")
    pipe:close()
    os.remove(path)
    return text
end

describe("lx.devices", function()
    it("lists cpu first, and says what is known of each", function()
        local list = lx.devices()
        assert.equal("cpu", list[1].label)
        for _, d in ipairs(list) do
            assert.matches("^%w+:?%d*$", d.label)
            assert.is_true(d.kind == "cpu" or d.kind == "opencl")
            assert.is_true(d.units >= 1 and d.lanes >= 1 and d.memory > 0, d.label)
            assert.is_boolean(d.fp16)
            assert.is_boolean(d.shares_memory)
            if d.kind == "opencl" then
                assert.is_true(d.largest > 0 and d.local_memory > 0)
                assert.is_string(d.platform .. d.driver .. d.version)
            end
        end
    end)

    it("prints as a table: a line each below the headings", function()
        local list, lines = lx.devices(), {}
        for line in tostring(list):gmatch("[^\n]+") do lines[#lines + 1] = line end
        assert.matches("^device +name +type +memory +largest +units +lanes +fp16 +driver$", lines[1])
        local column = lines[1]:find("type", 1, true)
        for i, d in ipairs(list) do
            assert.equal(1, lines[1 + i]:find(d.label, 1, true))
            assert.equal(d.type, lines[1 + i]:sub(column, column + #d.type - 1))
        end
        assert.equal(list.why, lines[#list + 2])
    end)

    it("says why there is no OpenCL device", function()
        local text = output_of('print(require("luxel").devices())', "OCL_ICD_VENDORS=/nowhere OCL_ICD_FILENAMES=")
        assert.matches("\nthe OpenCL loader is here but finds no driver", text)
        assert.is_nil(text:find("opencl:1", 1, true))
    end)
end)

describe("lx.device", function()
    it("finds a device by its label and by a part of its name", function()
        assert.equal("cpu", lx.device("cpu").label)
        for _, d in ipairs(lx.devices()) do
            assert.equal(d.label, lx.device(d.label).label)
            if d.kind == "opencl" then assert.equal("opencl", lx.device(d.name:upper()).kind) end
        end
    end)

    it("takes the best GPU for auto, or cpu", function()
        local any_gpu = false
        for _, d in ipairs(lx.devices()) do any_gpu = any_gpu or d.type == "gpu" end
        assert.equal(any_gpu and "gpu" or "cpu", lx.device("auto").type)
        assert.equal("cpu cpu\n", output_of('print(require("luxel").device("auto").label, arg and "cpu")',
            "OCL_ICD_VENDORS=/nowhere OCL_ICD_FILENAMES="):gsub("\t", " "))
    end)

    it("says what there is where a name fits nothing", function()
        local nothing, message, code = lx.device("no such thing")
        assert.is_nil(nothing)
        assert.matches("there is no device 'no such thing'; there", message)
        assert.equal("device", code)
        assert.error_matches(function() lx.device(1) end, "device: expected a name such as .*, got number")
    end)
end)

describe("a device's memory", function()
    it("is counted, and limited by a budget", function()
        local before = lx.memory().live
        lx.memory_budget("cpu", before + (64 << 20))
        local ok, message = pcall(lx.zeros, 1 << 25)
        lx.memory_budget("cpu", nil)
        assert.is_false(ok)
        assert.matches("out of memory: cpu has no 128.0 MiB more", message)
        assert.equal("memory", (core.error_code(message)))
        assert.is_nil(core.error_code("another message"))
        assert.is_nil(lx.memory().budget)
        assert.error_matches(function() lx.memory_budget(5) end, "memory_budget: expected the name of a device")
    end)

    it_on_opencl("is its own on each device", function()
        local before = lx.memory("cpu").live
        local t = lx.zeros({256, 1024}, {device = "opencl"})
        assert.is_true(lx.memory("opencl").live >= 1 << 20)
        assert.equal(before, lx.memory("cpu").live)
        t:free()
        lx.synchronize("opencl")
        lx.synchronize()
    end)
end)

describe("notices", function()
    after_each(function() lx.on_notice(nil) end)

    -- One kernel, compiled from nothing.
    local COMPILE <const> = [[
        local lx = require "luxel"
        %s
        lx.ones({4}, {device = "opencl"}):exp():sum():item()
    ]]

    local function compile(first)
        local cache = os.tmpname()
        os.remove(cache)
        local text = output_of(COMPILE:format(first), "LUXEL_CACHE_DIR= POCL_CACHE_DIR=" .. cache)
        os.execute("rm -rf " .. cache)
        return text
    end

    it_on_opencl("say once that kernels are compiled, and may be replaced or silenced #slow", function()
        local name = lx.device("opencl").name
        if not name:find("^%a+%-") then return pending("only PoCL's cache can be moved aside") end
        assert.equal(("luxel: compiling kernels for %s, once for this driver ...\n"):format(name), compile(""))
        assert.equal(("own compiling kernels for %s, once for this driver\n"):format(name),
            compile 'lx.on_notice(function(text) print("own " .. text) end)')
        assert.equal("", compile "lx.on_notice(false)")
    end)

    it("go above a progress line", function()
        local notice, written = require "luxel.notice", {}
        notice.console = {message = function(_, text) written[#written + 1] = text end}
        local shown
        local set = core.set_notice
        core.set_notice = function(f) shown = f end
        lx.on_notice(nil)
        core.set_notice = set
        shown("compiling")
        notice.console = nil
        assert.same({"luxel: compiling ..."}, written)
        assert.error_matches(function() lx.on_notice("loud") end, "on_notice: expected a function, false or nil")
    end)
end)
