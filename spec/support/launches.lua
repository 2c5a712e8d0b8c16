--- Launches the kernels of an OpenCL device, for tools that watch them at work (spec/oclgrind): every case of
--- spec/cases.lua, and what there is besides. The library in between (faulty_opencl.c) notes the launches.
--
--     lua5.4 launches.lua run [FILE]     all cases, or those that the file names, one a line; prints for each the
--                                        seconds, its name, and what it launched
--     lua5.4 launches.lua choose FILE    from what `run` printed: few cases that launch everything, twice if possible
--
-- A case's name is that of spec/cases.lua and the layout of its inputs; @2 behind it has everything computed in the
-- second way that there is, where there are several (see lx.tune).

package.path = "spec/?.lua;spec/support/?.lua;" .. package.path

local core = require "luxel.core"
local lx = require "luxel"

local DEVICE <const> = "opencl"

-- ---- what is not in the table -------------------------------------------------------------------------------------

local others = {}

function others.random(device)
    local options = {device = device}
    return lx.rand({7, 11}, options), lx.randn({7, 11}, options), lx.randint(-3, 9, {7, 11}, options)
end

function others.dropout(device)
    local x = lx.randn(2, 5, 7, 3):to(device)
    local blocked = lx.nn.functional.conv2d(x, lx.eye(5, {device = device}):view(5, 5, 1, 1))
    return lx.nn.functional.dropout(x, 0.4, true), lx.nn.functional.dropout(blocked, 0.4, true)
end

function others.fills(device)
    return lx.full({37}, 3, {device = device, dtype = "int32"}), lx.full({37}, 3, {device = device, dtype = "uint8"})
end

function others.dtypes(device)
    local results = {}
    for _, from in ipairs {"float32", "int32", "uint8"} do
        local t = lx.arange(0, 35, 1):view(5, 7):to(from):to(device)
        for _, to in ipairs {"float32", "int32", "uint8"} do
            results[#results + 1] = t:to(to)
            results[#results + 1] = core.contiguous(t:t())
            results[#results + 1] = core.index_select(t, 1, lx.tensor({3, 1}, {dtype = "int32", device = device}))
            results[#results + 1] = core.take_along(t, 1, lx.ones(2, 7, {dtype = "int32", device = device}))
        end
    end
    return table.unpack(results)
end

-- Numbers on either side; the table has those that Lua's operators give.
others["numbers on either side"] = function(device)
    local results = {}
    local t = lx.arange(0, 35, 1):view(5, 7):to(device)
    local names = {"add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "maximum", "minimum", "eq", "ne",
        "lt", "le", "gt", "ge"}
    for _, row in ipairs(core.activations()) do names[#names + 1] = row[1] .. "_backward" end
    for _, name in ipairs(names) do
        results[#results + 1] = core.binary(name, t, t:t():contiguous():view(5, 7))
        results[#results + 1] = core.binary(name, t, 3.5)
        results[#results + 1] = core.binary(name, 3.5, t)
    end
    return table.unpack(results)
end

-- Integers are compared, chosen and counted as such; the last of several writers of an element is found.
function others.integers(device)
    local a = lx.arange(0, 35, 1, {dtype = "int32"}):view(5, 7):to(device)
    local b = lx.arange(34, -1, -1, {dtype = "int32"}):view(5, 7):to(device)
    local results = {core.arange(0, 1, 37, device, "int32"), core.where(core.binary("lt", a, b), a, b)}
    for _, name in ipairs {"eq", "ne", "lt", "le", "gt", "ge"} do results[#results + 1] = core.binary(name, a, b) end
    local places = lx.tensor({3, 1, 3, 5}, {dtype = "int32"}):to(device)
    results[#results + 1] = core.last_along({5}, 1, places)
    return table.unpack(results)
end

-- Longer than what one work-item sorts.
others["a long row sorted"] = function(device) return core.sort(lx.randn(2, 9001):to(device), 2, false) end

-- Large enough for its sums to be made in parts that are then joined.
others["batch norm in parts"] = function(device)
    local x = lx.randn(3, 2, 43, 37):to(device):detach():requires_grad_()
    local y = lx.nn.functional.batch_norm(x, nil, nil, nil, nil, {training = true})
    lx.nn.functional.batch_norm(x, nil, nil, nil, nil, {training = true, addend = y, activation = "relu"})
    y:backward(lx.randn(3, 2, 43, 37):to(device))
    return y, x.grad
end

others["mean-pooling of blocked images"] = function(device)
    local x = lx.randn(2, 5, 9, 7):to(device)
    local blocked = core.conv2d(x, lx.ones(5, 1, 1, 1, {device = device}), nil, {groups = 5})
    local y = core.avg_pool2d(blocked, {kernel = {3, 2}, stride = {2, 2}, padding = {1, 0}})
    return y, core.avg_pool2d_backward(core.avg_pool2d(blocked, {kernel = {2, 2}}), {2, 5, 9, 7}, {kernel = {2, 2}})
end

-- Enough channels for Winograd's way to be the usual one on processors.
others["conv2d of many channels"] = function(device)
    local x, w, dy = lx.randn(1, 20, 9, 11):to(device), lx.randn(33, 20, 3, 3):to(device), lx.randn(1, 33, 9, 11)
    local options = {padding = 1}
    dy = dy:to(device)
    return core.conv2d(x, w, nil, options), core.conv2d_backward_data(dy, w, x.shape, options),
        core.conv2d_backward_weight(x, dy, w.shape, options)
end

-- And for weights to be transformed a few channels at a time.
others["conv2d of very many channels"] = function(device)
    local options = {padding = 1}
    local x, w = lx.randn(1, 256, 4, 5):to(device), (lx.randn(256, 256, 3, 3) / 48):to(device)
    return core.conv2d(x, w, nil, options)
end

others["gradient of very many channels"] = function(device)
    local options = {padding = 1, activation = "relu"}
    local x, w = lx.randn(1, 128, 5, 4):to(device), (lx.randn(128, 128, 3, 3) / 34):to(device)
    local dy, dpooled = (lx.randn(1, 128, 5, 4) / 10):to(device), (lx.randn(1, 128, 2, 2) / 10):to(device)
    local _, codes = core.conv2d_pool(x, w, nil, options)
    local _, dw = core.conv2d_pool_backward(x, w, dpooled, codes, options, {false, true, false})
    return core.conv2d_backward_weight(x, dy, w.shape, {padding = 1}), dw
end

-- Problems that there are several ways to compute, each alone: a way is forced on all that a case computes.
local one_problem = {}

local function convolution(device)
    local x, w, dy = lx.randn(2, 8, 13, 11), lx.randn(20, 8, 3, 3), lx.randn(2, 20, 13, 11)
    return x:to(device), w:to(device), dy:to(device), {padding = 1}
end

one_problem["conv2d forward"] = function(device)
    local x, w, _, options = convolution(device)
    return core.conv2d(x, w, nil, options)
end

one_problem["conv2d backward data"] = function(device)
    local x, w, dy, options = convolution(device)
    return core.conv2d_backward_data(dy, w, x.shape, options)
end

one_problem["conv2d backward weight"] = function(device)
    local x, w, dy, options = convolution(device)
    return core.conv2d_backward_weight(x, dy, w.shape, options)
end

function one_problem.linear(device) return core.linear(lx.randn(33, 70):to(device), lx.randn(37, 70):to(device)) end

one_problem["linear of few rows"] = function(device)
    return core.linear(lx.randn(3, 70):to(device), lx.randn(37, 70):to(device))
end

for name, f in pairs(one_problem) do others[name] = f end

others["conv2d bias in many chunks"] = function(device)
    return core.conv2d_backward_bias(lx.randn(4, 3, 51, 49):to(device))
end

-- Devices that would make the host wait are not asked whether indices are in range: their kernels must look.
others["indices out of range"] = function(device)
    if device == "cpu" then return end
    local x, indices = lx.randn(5, 3):to(device):requires_grad_(), {-7, 0, 6, 1 << 30, 2}
    local list = lx.tensor(indices, {dtype = "int32", device = device})
    local along = lx.stack({list, list, list}, 2)
    x:index_select(1, list):sum():backward()
    x:gather(1, along):sum():backward()
    lx.nn.functional.cross_entropy(x, list):backward()
    x:index_select(1, list):totable()
end

-- The results on the device must be those on the cpu; returns what is wrong, or nil.
local function run_other(name)
    local function results(device)
        lx.manual_seed(5)
        return table.pack(others[name](device))
    end
    local expected, got = results("cpu"), results(DEVICE)
    for i = 1, expected.n do
        local a, b = expected[i]:flatten():totable(), got[i]:to("cpu"):flatten():totable()
        for k = 1, #a do
            if not (math.abs(a[k] - b[k]) <= 1e-4 * (1 + math.abs(a[k]))) and a[k] == a[k] and a[k] ~= b[k] then
                return ("result %d, element %d is %.9g, on the cpu %.9g"):format(i, k, b[k], a[k])
            end
        end
    end
end

-- ---- running ------------------------------------------------------------------------------------------------------

-- What was launched since the last call: the kernels, with the options that make them another kernel, and "many" where
-- there were several groups, or tasks.
local function launched(file)
    local seen = {}
    for line in file:lines() do
        local kernel, groups, options = line:match("^(%S+)\t%d+\t(%d+)\t(.*)$")
        for option in options:gmatch("%-D(%S+=%S+)") do
            if not option:find("^LANES") and not option:find("^LX_") and not option:find("^KERNEL_") then
                kernel = kernel .. "," .. option
            end
        end
        seen[kernel] = true
        if tonumber(groups) > 1 then seen[kernel .. ",many"] = true end
    end
    local names = {}
    for name in pairs(seen) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- All cases that there are: {name, run}, where run returns what is wrong, or nil.
local function all_cases()
    local cases, golden, running = require "cases", require "golden", require "running"
    local stored, all = golden.load("spec/golden/golden.safetensors", cases), {}
    for _, case in ipairs(cases) do
        local wanted = stored[case.name]
        for _, layout in ipairs {"as_stored", "blocked"} do
            if layout == "as_stored" or running.has_images(wanted) then
                all[#all + 1] = {
                    name = case.name .. "/" .. layout,
                    run = function() return running.disagreement(case, wanted, running[layout], DEVICE) end,
                }
            end
        end
    end
    local names = {}
    for name in pairs(others) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        all[#all + 1] = {
            name = "others/" .. name, run = function() return run_other(name) end, has_ways = one_problem[name],
        }
    end
    return all
end

local function run_case(case, way, file)
    local start = core.now()
    core.force_way(DEVICE, way)
    local ok, problem = pcall(case.run)
    core.force_way(DEVICE, 0)
    if not ok and way > 0 and tostring(problem):find("there is no variant", 1, true) then
        launched(file)
        return false
    end
    local name = way > 0 and case.name .. "@" .. way or case.name
    print(("%.2f\t%s\t%s"):format(core.now() - start, name, table.concat(launched(file), " ")))
    if problem then
        io.stderr:write(name, ": ", tostring(problem), "\n")
        os.exit(1, true)
    end
    return true
end

local function run(path)
    assert(lx.device(DEVICE))
    local file = assert(io.open(assert(os.getenv("FAULTY_LAUNCHES"), "FAULTY_LAUNCHES must name a file"), "w+"))
    local cases = all_cases()
    if not path then
        for _, case in ipairs(cases) do
            run_case(case, 0, file)
            local way = 1
            while case.has_ways and run_case(case, way, file) do way = way + 1 end
        end
        return
    end
    local by_name = {}
    for _, case in ipairs(cases) do by_name[case.name] = case end
    for line in io.lines(path) do
        local name, way = line:match("^([^@]+)@?(%d*)$")
        local case = by_name[name] or error(("%s names %s, which is no case"):format(path, line))
        run_case(case, tonumber(way) or 0, file)
    end
end

-- ---- choosing -----------------------------------------------------------------------------------------------------

-- Takes the case that launches most of what is missing for its time, again and again.
local function choose(path)
    local cases, missing = {}, {}
    for line in io.lines(path) do
        local seconds, name, kernels = line:match("^(%S+)\t([^\t]+)\t(.*)$")
        local case = {seconds = tonumber(seconds) + 0.02, name = name}
        for kernel in kernels:gmatch("%S+") do
            case[#case + 1] = kernel
            missing[kernel] = math.min((missing[kernel] or 0) + 1, 2)
        end
        cases[#cases + 1] = case
    end
    while true do
        local best, most = nil, 0
        for i, case in ipairs(cases) do
            local gain = 0
            for _, kernel in ipairs(case) do gain = gain + missing[kernel] end
            if gain / case.seconds > most then best, most = i, gain / case.seconds end
        end
        if not best then return end
        local case = table.remove(cases, best)
        print(case.name)
        for _, kernel in ipairs(case) do missing[kernel] = math.max(0, missing[kernel] - 1) end
    end
end

if arg[1] == "run" then
    run(arg[2])
elseif arg[1] == "choose" then
    choose(arg[2])
else
    error("usage: lua5.4 launches.lua run [FILE] | choose FILE")
end
