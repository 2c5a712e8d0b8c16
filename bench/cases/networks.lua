--- Whole networks: a training step with SGD, and inference.

local lx = require "luxel"
local F = lx.nn.functional

local SIZE <const> = 224

-- A function that trains one step, and the network, its images and how many.
local function trainer(bench, make, batch)
    local net = lx.nn.fuse(make():to(bench.device))
    local x = lx.randn(batch, 1, SIZE, SIZE):to(bench.device)
    local y = lx.randint(0, 2, {batch, 1}, {dtype = "float32"}):to(bench.device)
    local optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3, momentum = 0.9})
    return function()
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss:backward()
        optimizer:step()
        return loss:item()
    end, net, x
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

return networks
