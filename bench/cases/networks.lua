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

local function time_step(bench, step, batch, count, bound)
    local seconds = bench.time(step, count)
    local gflop, bytes = cost(bench, step)
    bench.results[("train step, batch %d"):format(batch)] = {
        seconds = seconds, images = batch, gflop = gflop, bytes = bytes, bound = bound,
    }
end

-- What a layer computes and moves in a training step at least, for inputs and a result of so many numbers: each pass
-- reads what it needs and writes what it makes once. A convolution has three, of x, w and y; a batch normalisation
-- reads x twice forward, x and dy twice backward; activations after these cost nothing.
local function add_layer(bound, layer, inputs, outputs)
    local name = layer.class_name
    local weights = layer.weight and layer.weight:numel() or 0
    if name:find("Conv2d$") or name == "Linear" then
        local each = weights / (layer.out_channels or layer.out_features)
        local gflop = 3 * 2 * outputs * each / 1e9
        local winograd = layer.kernel and layer.kernel[1] == 3 and layer.kernel[2] == 3 and layer.stride[1] == 1
            and layer.groups == 1
        local key = winograd and "winograd" or "gflop"
        bound[key] = bound[key] + gflop
        bound.bytes = bound.bytes + 4 * 3 * (inputs + outputs + weights)
    elseif name:find("^BatchNorm") then
        bound.bytes = bound.bytes + 4 * 8 * inputs
    elseif name:find("Pool") or name == "Upsample" then
        bound.bytes = bound.bytes + 4 * 2 * (inputs + outputs)
    end
    bound.bytes = bound.bytes + 4 * 5 * weights -- SGD with momentum: w and its mean read and written, dw read
end

-- The least that a training step of a network has to compute and to move.
local function bound_of(net, x)
    local bound = {winograd = 0, gflop = 0, bytes = 0}
    for _, module in net:named_modules() do
        if #module:children() == 0 then
            module:register_forward_hook(function(layer, inputs, results)
                local input, result = inputs[1] or inputs, results[1] or results
                add_layer(bound, layer, input:numel(), result:numel())
            end)
        end
    end
    lx.no_grad(net, x)
    return bound
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
        local size = case.size or SIZE
        time_step(bench, step, case.batch, 5, bound_of(case.make(), lx.randn(case.batch, 1, size, size)))
        bench.results.peak_mb = bench.peak_mb()
    end
end

return networks
