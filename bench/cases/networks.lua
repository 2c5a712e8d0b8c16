--- Whole networks: a training step with SGD, and inference.

local lx = require "luxel"
local F = lx.nn.functional

local SIZE <const> = 224

-- A function that trains one step, and the network and its images. options: size of the images; maps: whether the
-- network gives one number for each pixel; compile.
local function trainer(bench, make, batch, options)
    options = options or {}
    local size = options.size or SIZE
    local net = lx.nn.fuse(make():to(bench.device))
    local x = lx.randn(batch, 1, size, size):to(bench.device)
    local shape = options.maps and {batch, 1, size, size} or {batch, 1}
    local y = lx.randint(0, 2, shape, {dtype = "float32"}):to(bench.device)
    local optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3, momentum = 0.9})
    local function step(images, labels)
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(net(images), labels)
        loss:backward()
        optimizer:step()
        return loss
    end
    if options.compile then step = lx.compile(step) end
    return function() return step(x, y):item() end, net, x
end

-- Arithmetic operations in 1e9, and bytes, of what `f` launches.
local function cost(bench, f)
    local work, bytes = 0, 0
    for _, row in ipairs(lx.profile(f, {device = bench.device}).rows) do
        work, bytes = work + row.gflops * row.seconds, bytes + row.bytes
    end
    return work, bytes
end

local function time_step(bench, step, batch, count)
    local seconds = bench.time(step, count)
    local gflop, bytes = cost(bench, step)
    bench.results[("train step, batch %d"):format(batch)] = {
        seconds = seconds, images = batch, gflop = gflop, bytes = bytes,
    }
end

local function time_network(bench, make, batch, count)
    local step, net, x = trainer(bench, make, batch)
    time_step(bench, step, batch, count)
    bench.results.peak_mb = bench.peak_mb()
    net:eval()
    for _, images in ipairs {batch, 1} do
        local input = x:narrow(1, 1, images):contiguous()
        local function infer() lx.no_grad(function() return net(input):sum():item() end) end
        local seconds = bench.time(infer, images > 1 and 5 or 20)
        local gflop, bytes = cost(bench, infer)
        bench.results[("inference, batch %d"):format(images)] = {
            seconds = seconds, images = images, gflop = gflop, bytes = bytes,
        }
    end
end

local function cnn() return lx.models.cnn {size = SIZE} end

local networks = {}

function networks.step(bench) time_network(bench, cnn, 32, 7) end

function networks.resnet18(bench)
    time_network(bench, lx.models.resnet18, 8, 7)
end

function networks.train(bench)
    local step = trainer(bench, cnn, 32)
    time_step(bench, step, 32, 5)
end

-- The training step of larger networks, with batches as large as two threads have patience for.
local STEPS <const> = {
    resnet18_step = {make = lx.models.resnet18, batch = 8},
    resnet50 = {make = lx.models.resnet50, batch = 4},
    densenet121 = {make = lx.models.densenet121, batch = 4},
    mobilenet_v2 = {make = lx.models.mobilenet_v2, batch = 16},
    efficientnet_lite0 = {make = lx.models.efficientnet_lite0, batch = 16},
    unet = {
        make = function() return lx.models.unet {width = 32, batch_norm = true} end, batch = 2, size = 256, maps = true,
    },
}

for name, case in pairs(STEPS) do
    networks[name] = function(bench)
        local step = trainer(bench, case.make, case.batch, {size = case.size, maps = case.maps, compile = true})
        time_step(bench, step, case.batch, 5)
        bench.results.peak_mb = bench.peak_mb()
    end
end

return networks
