--- Luxel's side of the timings: prints one JSON object {case: {seconds, images | gflop}, peak_mb}.
-- Usage: luxel.lua THREADS WHAT, where WHAT is step (training step and inference of the network of
-- examples/chest_xray) or layers (single convolutions).

package.path = (arg[0]:match("^.*/") or "./") .. "../examples/chest_xray/?.lua;" .. package.path

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"
local F = lx.nn.functional

local threads, what = math.tointeger(arg[1]), arg[2]
lx.threads(threads)
lx.manual_seed(1)

local function median(values)
    table.sort(values)
    return values[#values // 2 + 1]
end

-- The median time of `f` over `count` calls, after some to warm up.
local function time(f, count, warm)
    for _ = 1, warm or 2 do f() end
    local values = {}
    for i = 1, count do
        local start = core.now()
        f()
        values[i] = core.now() - start
    end
    return median(values)
end

-- The most memory this process ever had in use, as the kernel counts it.
local function peak_mb()
    for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmHWM:%s+(%d+)")
        if kilobytes then return tonumber(kilobytes) / 1024 end
    end
end

local results = {}

local function step_cases()
    local batch, size = 32, 224
    local net = require("common").models.cnn(size)
    local x, y = lx.randn(batch, 1, size, size), lx.randint(0, 2, {batch, 1}, {dtype = "float32"})
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

-- channels in, channels out, kernel, side, groups
local LAYERS <const> = {
    {1, 32, 3, 224, 1}, {32, 32, 3, 112, 1}, {32, 64, 3, 112, 1}, {64, 64, 3, 56, 1}, {64, 128, 3, 56, 1},
    {128, 128, 3, 28, 1}, {128, 256, 1, 28, 1}, {128, 128, 3, 56, 128},
}

local function layer_cases()
    local batch = 32
    for _, layer in ipairs(LAYERS) do
        local cin, cout, kernel, side, groups = table.unpack(layer)
        local name = ("%d→%d %d×%d at %d%s"):format(cin, cout, kernel, kernel, side,
            groups > 1 and ", groups " .. groups or "")
        local options = {padding = kernel // 2, groups = groups}
        local w = lx.randn(cout, cin // groups, kernel, kernel)
        -- what a layer inside a network sees: the layout that the layer before left
        local x = lx.randn(batch, cin, side, side)
        if cin > 1 then x = core.conv2d(x, lx.ones(cin, 1, 1, 1), nil, {groups = cin}) end
        local gflop = 2e-9 * batch * cout * (cin // groups) * kernel * kernel * side * side
        local dy = core.conv2d(x, w, nil, options)
        local shapes = {x = x.shape, w = w.shape}
        results[name .. " forward"] = {gflop = gflop, seconds = time(function()
            core.free(core.conv2d(x, w, nil, options))
        end, 7)}
        if cin > 1 then
            results[name .. " backward data"] = {gflop = gflop, seconds = time(function()
                core.free(core.conv2d_backward_data(dy, w, shapes.x, options))
            end, 7)}
        end
        results[name .. " backward weight"] = {gflop = gflop, seconds = time(function()
            core.free(core.conv2d_backward_weight(x, dy, shapes.w, options))
        end, 7)}
    end
    results.peak_mb = peak_mb()
end

if what == "step" then step_cases() else layer_cases() end
print(cjson.encode(results))
