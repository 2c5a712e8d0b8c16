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
        assert.error_matches(function() lx.device(1) end, "^device: name: expected a string, got 1")
    end)
end)

describe("a device's memory", function()
    it("is counted, and limited by a budget", function()
        collectgarbage() -- or what is asked for could have the place of garbage
        local before = lx.memory().live
        lx.memory_budget("cpu", before + (64 << 20))
        local ok, message = pcall(lx.zeros, 1 << 25)
        lx.memory_budget("cpu", nil)
        assert.is_false(ok)
        assert.matches("out of memory: cpu has no 128.0 MiB more", message)
        assert.equal("memory", (core.error_code(message)))
        assert.is_nil(core.error_code("another message"))
        assert.is_nil(lx.memory().budget)
        assert.matches("^memory: live [%d.]+ MiB, cached [%d.]+ MiB, peak [%d.]+ MiB, no budget$",
            tostring(lx.memory()))
        assert.error_matches(function() return lx.memory().alive end, "^memory has no 'alive' .*'live'")
        assert.error_matches(function() lx.memory("abacus") end, "^memory: device: there is no device 'abacus'")
        assert.error_matches(function() lx.synchronize("abacus") end, "^synchronize: device: there is no device")
        assert.error_matches(function() lx.memory_budget(5) end, "^memory_budget: device: expected a string, got 5")
    end)

    it_on_opencl("takes single bytes, and nothing at all", function()
        assert.same({7}, lx.tensor({7}, {dtype = "uint8"}):to("opencl"):totable())
        assert.same({7}, lx.tensor({7}, {dtype = "uint8", device = "opencl"}):totable())
        assert.same({}, lx.zeros({0}, {device = "opencl"}):totable())
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
        assert.error_matches(function() lx.on_notice("loud") end,
            "^on_notice: f: expected a function or false, got \"loud\"")
    end)
end)

-- ---- networks -------------------------------------------------------------------------------------------------

-- A small network with all that `cnn` has: fused convolutions, pooling, dropout off so that devices can be compared.
local function network()
    local nn = lx.nn
    lx.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, {padding = 1}),
        nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 4 * 4, 10), nn.ReLU(),
        nn.Linear(10, 1)
    )
end

local function batch(device)
    lx.manual_seed(8)
    return lx.randn(6, 1, 16, 16):to(device), lx.randint(0, 2, {6, 1}, {dtype = "float32"}):to(device)
end

-- One step of training; returns the loss.
local function step(net, optimizer, x, y)
    optimizer:zero_grad()
    local loss = lx.nn.functional.binary_cross_entropy_with_logits(lx.nn.fuse(net)(x), y)
    loss:backward()
    lx.optim.clip_grad_norm_(optimizer.parameters, 1)
    optimizer:step()
    return loss
end

local function train(net, optimizer, steps, device)
    local x, y = batch(device)
    local losses = {}
    for i = 1, steps do losses[i] = step(net, optimizer, x, y):item() end
    return losses
end

local function assert_near(expected, got, tolerance)
    assert.equal(#expected, #got)
    for i, value in ipairs(expected) do assert.near(value, got[i], tolerance) end
end

local function file_of(tensors)
    local path = os.tmpname()
    assert(lx.checkpoint.save(path, tensors, {note = "x"}))
    local file <close> = assert(io.open(path, "rb"))
    os.remove(path)
    return file:read("a")
end

local MAKERS <const> = {
    AdamW = function(parameters) return lx.optim.AdamW(parameters, {lr = 1e-2}) end,
    SGD = function(parameters) return lx.optim.SGD(parameters, {lr = 1e-2, momentum = 0.9}) end,
    RMSprop = function(parameters) return lx.optim.RMSprop(parameters, {lr = 1e-3, momentum = 0.5}) end,
}

describe("a network", function()
    it("stays where it is on the device that it is on", function()
        local net = network()
        local weight = net[1].weight
        assert.equal(net, net:to("cpu"))
        assert.equal(weight, net[1].weight)
    end)

    it_on_opencl("moves with its gradients, its buffers and its optimiser's state", function()
        for name, make in pairs(MAKERS) do
            local still, moving = network(), network()
            local a, b = make(still:parameters()), make(moving:parameters())
            local weight = moving[1].weight
            local expected = train(still, a, 4, "cpu")
            local got = train(moving, b, 2, "cpu")
            moving:to("opencl")
            assert.equal(weight, moving[1].weight)
            assert.is_true(weight.requires_grad)
            for _, tensor in ipairs(moving:buffers()) do assert.matches("^opencl", tensor.device) end
            assert.equal(weight.device, weight.grad.device)
            for _, loss in ipairs(train(moving, b, 2, "opencl")) do got[#got + 1] = loss end
            for _, tensor in pairs(b:state_dict().tensors) do assert.equal(weight.device, tensor.device) end
            assert_near(expected, got, 1e-4 * (name == "RMSprop" and 10 or 1))
            moving:to("cpu")
            train(moving, b, 1, "cpu")
        end
    end)

    it_on_opencl("takes its state from another device", function()
        local from, to = network(), network():to("opencl")
        lx.no_grad(function() from[1].weight:fill_(0.25) end)
        to:load_state_dict(from:state_dict())
        assert.same(from[1].weight:totable(), to[1].weight:totable())
        assert.matches("^opencl", to[1].weight.device)
        from:load_state_dict(to:state_dict())
        assert.equal("cpu", from[1].weight.device)
    end)

    it_on_opencl("is the same file from every device, and so is its optimiser", function()
        local net = network()
        local optimizer = MAKERS.AdamW(net:parameters())
        train(net, optimizer, 1, "cpu")
        local weights, state = file_of(net:state_dict()), file_of(optimizer:state_dict().tensors)
        net:to("opencl")
        lx.no_grad(function() net((batch("opencl"))) end) -- weights may be laid out anew
        net:eval()
        local again = MAKERS.AdamW(net:parameters())
        again:load_state_dict(optimizer:state_dict())
        assert.equal(net[1].weight.device, again:state_dict().tensors["1.exp_avg"].device)
        assert.equal(state, file_of(again:state_dict().tensors))
        local fresh = network()
        fresh:load_state_dict(net:state_dict())
        assert.equal(file_of(net:state_dict()), file_of(fresh:state_dict()))
        assert.equal(#weights, #file_of(net:state_dict()))
    end)
end)

describe("waiting for a device", function()
    it_on_opencl("is not needed by batch, step, clipping or optimiser; only by reading the loss", function()
        local set = lx.data.phantom {n = 24, size = 16, seed = 3}
        for _, make in pairs(MAKERS) do
            local net = network():to("opencl")
            local optimizer = make(net:parameters())
            for x, y in lx.data.batches(set, {batch = 8, augment = true, device = "opencl"}) do
                local before = core.waits("opencl")
                local loss = step(net, optimizer, x, y)
                assert.equal(before, core.waits("opencl"))
                loss:item()
                assert.equal(before + 1, core.waits("opencl"))
            end
            local before = core.waits("opencl")
            for _ in lx.data.batches(set, {batch = 8, augment = true, device = "opencl"}) do end
            assert.equal(before, core.waits("opencl"))
        end
    end)

    it_on_opencl("is not needed to pick by index, where one out of range gives NaN and adds nothing", function()
        local x = lx.tensor({{1, 2}, {3, 4}}, {device = "opencl", requires_grad = true})
        local bad = lx.tensor({2, 3, 0}, {dtype = "int32", device = "opencl"})
        local before = core.waits("opencl")
        local rows = x:index_select(1, bad)
        local along = x:gather(1, lx.tensor({{2, 9}}, {dtype = "int32", device = "opencl"})):detach()
        rows:sum():backward()
        assert.equal(before, core.waits("opencl"))
        local values = rows:totable()
        assert.same({3, 4}, values[1])
        for i = 2, 3 do assert.is_true(values[i][1] ~= values[i][1] and values[i][2] ~= values[i][2]) end
        assert.is_true(along[{1, 1}] == 3 and along[{1, 2}] ~= along[{1, 2}])
        assert.same({{0, 0}, {1, 1}}, x.grad:totable())
        assert.same({{2}, {0}}, lx.tensor({{2}, {1}}, {dtype = "uint8", device = "opencl"}):index_select(1,
            lx.tensor({1, 5}, {dtype = "int32", device = "opencl"})):totable())
    end)

    it_on_opencl("is not needed by cross_entropy, whose loss is NaN for a class that does not exist", function()
        local x = lx.randn(2, 3):to("opencl")
        local good = lx.tensor({1, 3}, {dtype = "int32", device = "opencl"})
        local bad = lx.tensor({1, 4}, {dtype = "int32", device = "opencl"})
        local before = core.waits("opencl")
        local right = lx.nn.functional.cross_entropy(x, good)
        local wrong = lx.nn.functional.cross_entropy(x, bad, {reduction = "none"})
        assert.equal(before, core.waits("opencl"))
        assert.near(lx.nn.functional.cross_entropy(x:to("cpu"), good:to("cpu")):item(), right:item(), 1e-5)
        assert.is_true(wrong[1] == wrong[1] and wrong[2] ~= wrong[2])
    end)
end)

describe("batches", function()
    it_on_opencl("are the same on every device, wherever the images are", function()
        local set = lx.data.phantom {n = 10, size = 24, seed = 3}
        local function all(device)
            local list = {}
            for x, y, indices in lx.data.batches(set, {batch = 4, augment = true, mean = 0.5, std = 0.25, seed = 5,
                epoch = 1, device = device}) do
                assert.equal(lx.device(device or "cpu").label, x.device)
                assert.equal(x.device, y.device)
                list[#list + 1] = {x:to("cpu"), y:to("cpu"), indices}
            end
            return list
        end
        local expected, sent = all("cpu"), all("opencl")
        set.images = set.images:to("opencl")
        local back, fetched = all("opencl"), all(nil)
        assert.equal(3, #expected)
        for _, other in ipairs {sent, back, fetched} do
            for i, row in ipairs(expected) do
                assert.is_true(lx.allclose(row[1], other[i][1], 0, 1e-5))
                assert.is_true(lx.equal(row[2], other[i][2]) and lx.equal(row[3], other[i][3]))
            end
        end
    end)
end)

describe("two OpenCL devices", function()
    it_on_opencl("work in one process, and tensors go between them", function()
        local text = output_of([[
            local lx = require "luxel"
            local devices = lx.devices()
            if #devices < 3 then return print("one device") end
            lx.on_notice(false)
            lx.manual_seed(2)
            local x, w = lx.randn(3, 5, 9, 9), lx.randn(7, 5, 3, 3)
            local expected = lx.nn.functional.conv2d(x, w)
            local results = {}
            for i = 1, 2 do
                local label = "opencl:" .. i
                local y = lx.nn.functional.conv2d(x:to(label), w:to(label))
                assert(y.device == label)
                assert(lx.allclose(expected, y:to("cpu"), 1e-4, 1e-4))
                results[i] = y
            end
            local moved = results[1]:to("opencl:2")
            assert(moved.device == "opencl:2" and lx.equal(moved:to("cpu"), results[1]:to("cpu")))
            local back = moved:to("opencl:1")
            assert(back.device == "opencl:1" and lx.allclose(back, results[1]))
            local ok, message = pcall(function() return results[1] + results[2] end)
            assert(not ok and message:find("different devices"), message)
            local leaf = lx.ones({2}, {device = "opencl:1", requires_grad = true})
            leaf:to("opencl:2"):sum():backward()
            assert(leaf.grad.device == "opencl:1" and leaf.grad:sum():item() == 2)
            print(#lx.profile(function() return results[1]:exp(), results[2]:exp() end).rows)
        ]], 'POCL_DEVICES="pthread basic"')
        if text == "one device\n" then return pending("only one OpenCL device, and no PoCL to make two of it") end
        assert.equal("2\n", text)
    end)
end)

describe("lx.train.fit", function()
    local out

    before_each(function()
        out = os.tmpname()
        os.remove(out)
    end)

    after_each(function() os.execute("rm -rf " .. out) end)

    -- A run of `epochs` epochs of three steps on phantoms; `overrides` replace its options.
    local function fit(device, overrides)
        local sets = {}
        for i, n in ipairs {24, 10} do sets[i] = lx.data.phantom {n = n, size = 16, seed = i + 1} end
        local net = network():to(device)
        local progress = {step = function() end, epoch = function() end, message = function() end}
        local options = {
            net = net, optimizer = MAKERS.AdamW(net:parameters()), train = sets[1], val = sets[2], epochs = 1,
            batch = 8, loss = lx.nn.functional.binary_cross_entropy_with_logits, out = out,
            progress = progress,
        }
        for key, value in pairs(overrides or {}) do options[key] = value end
        return lx.train.fit(options)
    end

    it_on_opencl("waits once a step, and computes where the network is", function()
        local waits = {}
        local progress = {
            step = function() waits[#waits + 1] = core.waits("opencl") end,
            epoch = function() end, message = function() end,
        }
        local result = assert(fit("opencl", {progress = progress, clip = 1}))
        assert.equal(1, result.epoch)
        assert.same({waits[1], waits[1] + 1, waits[1] + 2}, waits)
    end)

    it("says what there is to go on with when memory runs out", function()
        assert(fit("cpu"))
        local shown = {}
        local progress = {
            step = function(_, s)
                if s.epoch == 2 and s.batch == 2 then
                    collectgarbage()
                    lx.memory_budget("cpu", lx.memory().live)
                end
            end,
            epoch = function() end, message = function(_, text) shown[#shown + 1] = text end,
        }
        local result, message, code = fit("cpu", {progress = progress, resume = true, epochs = 3})
        lx.memory_budget("cpu", nil)
        assert.is_nil(result)
        assert.equal("memory", code)
        assert.matches("^epoch 2, step 3: out of memory: cpu has no ", message)
        assert.matches("last.safetensors holds the run after epoch 1, step 0, go on with resume", message)
        assert.same({"going on after epoch 1, step 0"}, shown)
        local rescued = message:match("the weights at the failure are in (.*)$")
        network():load_state_dict((assert(lx.checkpoint.load(rescued))))
    end)

    it("passes on the programmer's mistakes", function()
        assert.error_matches(function() fit("cpu", {loss = function() error("my own mistake") end}) end,
            "my own mistake")
    end)
end)
