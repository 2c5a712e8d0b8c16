--- Tuning: what is measured, what is kept, and that a wrong result never wins.

local lx = require "luxel"
local core = require "luxel.core"
local nn = lx.nn

local root = debug.getinfo(1, "S").source:match("^@(.*)spec/tune_spec%.lua$")
if root == "" then root = "./" end

local function capture(command)
    local pipe = assert(io.popen(command .. " 2>&1"))
    local text = pipe:read("a")
    return text, pipe:close()
end

local function network()
    lx.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 40, 3, {padding = 1}), nn.BatchNorm2d(40), nn.ReLU(), nn.Conv2d(40, 36, 3),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(36 * 7 * 7, 5))
end

describe("choosing among variants", function()
    it("takes the fastest of those that are right", function()
        local program = os.tmpname()
        local sources = "spec/support/choices.c csrc/device/tuning.c csrc/base/cache.c csrc/base/clock.c "
            .. "csrc/base/error.c csrc/base/file.c csrc/base/hash.c csrc/base/memory.c"
        local built = capture(("%s -std=gnu11 -O1 -o %s %s -lm"):format(os.getenv("CC") or "cc", program,
            sources:gsub("%S+", root .. "%0")))
        assert.equal("", built)
        assert.equal("untuned 0\ntuned 2, 4 of 6 rejected\nafterwards 2, error 0\n71 problems known\n",
            (capture(program)))
        os.remove(program)
    end)
end)

describe("lx.tune", function()
    after_each(function() core.forget_tuning("cpu") end)

    it("names every problem once, and finds nothing new the second time", function()
        local net = network()
        local first = lx.tune(net, {2, 3, 9, 9})
        assert.is_true(#first.entries >= 2)
        local seen = {}
        for _, entry in ipairs(first.entries) do
            assert.is_nil(seen[entry.problem])
            seen[entry.problem] = true
            assert.is_true(entry.seconds > 0 and entry.usual >= entry.seconds)
        end
        assert.matches("conv2d %[2,40,9,9%], weight %[36,40,3,3%]", tostring(first))
        assert.equal(0, #lx.tune(net, {2, 3, 9, 9}).entries)
        assert.equal(#first.entries, #lx.tune(net, {2, 3, 9, 9}, {again = true}).entries)
    end)

    it("leaves parameters, buffers, gradients, modes and random numbers as they were", function()
        local net = network()
        net:eval()
        net[1].weight.grad = lx.ones(net[1].weight.shape)
        local before = {}
        for name, tensor in pairs(net:state_dict()) do before[name] = tensor:clone() end
        local seed, stream = core.random_state()
        lx.tune(net, {2, 3, 9, 9})
        for name, tensor in pairs(net:state_dict()) do
            assert.equal(1, tensor:eq(before[name]):all():item(), name)
        end
        assert.equal(1, net[1].weight.grad:min():item())
        assert.is_nil(net[4].weight.grad)
        assert.is_false(net.training)
        assert.same({seed, stream}, {core.random_state()})
    end)

    it("changes no bit of what the cpu device computes exactly", function()
        lx.math("exact")
        finally(function() lx.math("fast") end)
        local net, x = network():eval(), lx.randn(2, 3, 9, 9)
        local before = net(x):clone()
        lx.tune(net, {2, 3, 9, 9})
        assert.equal(1, net(x):eq(before):all():item())
    end)

    it("stops measuring when the network cannot take the shape, and says why", function()
        local net = network()
        assert.error_matches(function() lx.tune(net, {2, 4, 9, 9}) end, "input: expected float32 %[N,3,H,W%]")
        local known = #core.tuned("cpu")
        lx.no_grad(function() net(lx.randn(5, 3, 9, 9)) end)
        assert.equal(known, #core.tuned("cpu"))
        assert.error_matches(function() lx.tune({}, {1}) end, "expected a module")
        assert.error_matches(function() lx.tune(net) end, "tune: shape: expected a list")
    end)
end)

describe("what was measured on an OpenCL device", function()
    local function child(folder, script)
        return capture(("LUXEL_CACHE_DIR=%s %s -e '%s'"):format(folder, arg[-1] or "lua5.4", script))
    end
    local SCRIPT <const> = [[
        local lx = require "luxel"
        lx.manual_seed(1)
        local net = lx.nn.Sequential(lx.nn.Conv2d(32, 32, 3, {padding = 1})):to("opencl")
        print(#lx.tune(net, {1, 32, 7, 7}).entries)]]

    it("is there for the next process, and a damaged file only costs measuring again", function()
        if not lx.device("opencl") then return pending("no OpenCL device here") end
        local folder = os.tmpname()
        os.remove(folder)
        local first = tonumber((child(folder, SCRIPT):match("(%d+)\n$")))
        assert.is_true(first > 0)
        assert.equal("0\n", (child(folder, SCRIPT)))
        local file = capture("ls " .. folder .. "/*.tuning"):match("%S+")
        for _, text in ipairs {"", "\0\1\2\n\t\t\n", ("x"):rep(5000), "conv2d\tno such way\t1\t1\n"} do
            local out = assert(io.open(file, "wb"))
            out:write(text)
            out:close()
            assert.equal(first .. "\n", (child(folder, SCRIPT)))
        end
        os.execute("rm -rf " .. folder)
    end)
end)
