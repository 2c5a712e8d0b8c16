--- Luxel's side of the timings: prints one JSON object {case: {seconds, images | gflop}, peak_mb}.
-- Usage: luxel.lua DEVICE THREADS WHAT [tune], where WHAT is step (training step and inference of the network of
-- examples/chest_xray), or cnn or resnet (single convolutions of layers.json). With tune, the ways to compute each
-- convolution are measured first.

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "../examples/chest_xray/?.lua;" .. package.path

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"
local F = lx.nn.functional

local device, threads, what, tune = arg[1], math.tointeger(arg[2]), arg[3], arg[4] == "tune"
device = assert(lx.device(device)).label
lx.threads(threads)
lx.manual_seed(1)
core.tune(device, tune)

local function median(values)
    table.sort(values)
    return values[#values // 2 + 1]
end

-- The median time of `f` over `count` calls, after some to warm up. Each call ends when the device has done it.
local function time(f, count, warm)
    for _ = 1, warm or 2 do f() end
    core.synchronize(device)
    local values = {}
    for i = 1, count do
        local start = core.now()
        f()
        core.synchronize(device)
        values[i] = core.now() - start
    end
    return median(values)
end

-- Whether what the device holds is memory of this process.
local function uses_own_memory()
    for _, entry in ipairs((lx.devices())) do
        if entry.label == device then return entry.kind == "cpu" or entry.shares_memory end
    end
end

-- The most memory in use: of this process, as the kernel counts it, or of a device that has its own.
local function peak_mb()
    if not uses_own_memory() then
        local memory = lx.memory(device)
        return (memory.live + memory.cached) / 1048576
    end
    for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmHWM:%s+(%d+)")
        if kilobytes then return tonumber(kilobytes) / 1024 end
    end
end

local results = {}

local function step_cases()
    local batch, size = 32, 224
    local net = require("common").models.cnn(size):to(device)
    local x = lx.randn(batch, 1, size, size):to(device)
    local y = lx.randint(0, 2, {batch, 1}, {dtype = "float32"}):to(device)
    local optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3, momentum = 0.9})
    local function step()
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss:backward()
        optimizer:step()
        return loss:item()
    end
    results["train step, batch 32"] = {seconds = time(step, 7), images = batch}
    results.peak_mb = peak_mb()
    net:eval()
    local function infer(input)
        return function() lx.no_grad(function() return net(input):sum():item() end) end
    end
    results["inference, batch 32"] = {seconds = time(infer(x), 5), images = batch}
    results["inference, batch 1"] = {seconds = time(infer(x:narrow(1, 1, 1):contiguous()), 20), images = 1}
end

local function read_json(path)
    local file = assert(io.open(path))
    local text = file:read("a")
    file:close()
    return cjson.decode(text)
end

local function layer_name(cin, cout, kernel, side, stride, groups)
    return ("%d→%d %d×%d at %d%s%s"):format(cin, cout, kernel, kernel, side,
        stride > 1 and ", stride " .. stride or "", groups > 1 and ", groups " .. groups or "")
end

local function layer_case(batch, layer)
    for i, number in ipairs(layer) do layer[i] = math.tointeger(number) end
    local cin, cout, kernel, side, stride, groups = table.unpack(layer)
    local name = layer_name(cin, cout, kernel, side, stride, groups)
    local options = {padding = kernel // 2, stride = stride, groups = groups}
    local w = lx.randn(cout, cin // groups, kernel, kernel):to(device)
    -- what a layer inside a network sees: the layout that the layer before left
    local x = lx.randn(batch, cin, side, side):to(device)
    if cin > 3 then x = core.conv2d(x, lx.ones(cin, 1, 1, 1):to(device), nil, {groups = cin}) end
    local dy = core.conv2d(x, w, nil, options)
    local out = dy.shape[3]
    local gflop = 2e-9 * batch * cout * (cin // groups) * kernel * kernel * out * out
    local shapes = {x = x.shape, w = w.shape}
    local function add(direction, f)
        results[name .. " " .. direction] = {gflop = gflop, seconds = time(function() core.free(f()) end, 7)}
    end
    add("forward", function() return core.conv2d(x, w, nil, options) end)
    if cin > 3 then -- nobody asks for the gradient of an image
        add("backward data", function() return core.conv2d_backward_data(dy, w, shapes.x, options) end)
    end
    add("backward weight", function() return core.conv2d_backward_weight(x, dy, shapes.w, options) end)
end

if what == "step" then
    step_cases()
else
    local file = read_json(here .. "layers.json")
    for _, layer in ipairs(file[what]) do layer_case(math.tointeger(file.batch), layer) end
    results.peak_mb = peak_mb()
end
if tune then core.save_tuning(device) end
print(cjson.encode(results))
