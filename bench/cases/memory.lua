--- Operations that move more than they compute, on tensors far larger than the caches. `loops` says which loops of
--- peak.c move, together, the bytes that have to move at least, however it is done: {copy = 2} is the tensor read and
--- written. `gflop` counts what a plain loop would compute.

local core = require "luxel.core"
local lx = require "luxel"

local SHAPE <const> = {32, 64, 112, 112}
local FLOATS <const> = 32 * 64 * 112 * 112
local POOL <const> = {kernel = {2, 2}, stride = {2, 2}, padding = {0, 0}}

-- Frees all that an operation made.
local function free(...)
    for i = 1, select("#", ...) do core.free((select(i, ...))) end
end

-- A function that times the cases of a family.
local function adder(bench, family)
    return function(name, passes, operations, f)
        local loops, bytes = {}, 0
        for loop, pass in pairs(passes) do
            loops[loop] = 4 * FLOATS * pass
            bytes = bytes + loops[loop]
        end
        bench.results[name] = {
            seconds = bench.time(f, 7), bytes = bytes, loops = loops, family = family,
            gflop = operations > 0 and 1e-9 * FLOATS * operations or nil,
        }
    end
end

-- Values as a convolution leaves them.
local function blocked(bench)
    local ones = lx.ones(SHAPE[2], 1, 1, 1):to(bench.device)
    return core.conv2d(lx.randn(table.unpack(SHAPE)):to(bench.device), ones, nil, {groups = SHAPE[2]})
end

local function elementwise(add, x, y)
    add("relu", {copy = 2}, 1, function() free(core.unary("relu", x)) end)
    add("add", {add = 3}, 1, function() free(core.binary("add", x, y)) end)
    add("mul_", {update = 3}, 1, function() y:mul_(x) end)
    add("relu_backward", {add = 3}, 1, function() free(core.binary("relu_backward", x, y)) end)
    add("copy_", {copy = 2}, 0, function() y:copy_(x) end)
end

local function max_pooling(add, x)
    local y, chosen = core.max_pool2d(x, POOL)
    local part <const> = 1 / 4 + 1 / 16 -- the result, and a byte for each to say where it came from
    add("max_pool2d 2×2", {read = 1, fill = part}, 0.75, function() free(core.max_pool2d(x, POOL)) end)
    add("max_pool2d 2×2 backward", {read = part, fill = 1}, 1, function()
        free(core.max_pool2d_backward(y, chosen, SHAPE, POOL))
    end)
    free(y, chosen)
    add("mean of each channel", {read = 1}, 1, function() free(x:mean({3, 4})) end)
end

local function average_pooling(add, x)
    add("avg_pool2d 2×2", {read = 1, fill = 1 / 4}, 1, function() free(core.avg_pool2d(x, POOL)) end)
    local mean <close> = core.avg_pool2d(x, POOL)
    add("avg_pool2d 2×2 backward", {read = 1 / 4, fill = 1}, 0.25, function()
        free(core.avg_pool2d_backward(mean, SHAPE, POOL))
    end)
end

local function normalisation(add, x, dy)
    local ones, zeros = lx.ones(SHAPE[2]):to(x.device), lx.zeros(SHAPE[2]):to(x.device)
    local mean, var = core.batch_norm_stats(x)
    add("batch_norm inference", {copy = 2}, 2, function()
        free(core.batch_norm_apply(x, mean, var, ones, zeros, 1e-5))
    end)
    add("batch_norm training", {read = 1, copy = 2}, 5, function()
        local m, v = core.batch_norm_stats(x)
        free(m, v, core.batch_norm_apply(x, m, v, ones, zeros, 1e-5))
    end)
    add("batch_norm backward", {read = 2, add = 3}, 9, function()
        free(core.batch_norm_backward(dy, x, mean, var, ones, nil, 1e-5, true))
    end)
end

local function optimisers(add, bench)
    for name, passes in pairs {SGD = 5, AdamW = 7} do
        local weight = lx.nn.Parameter(lx.randn(FLOATS):to(bench.device))
        weight.grad = lx.randn(FLOATS):to(bench.device)
        local optimizer = lx.optim[name]({weight}, name == "SGD" and {lr = 1e-3, momentum = 0.9} or {lr = 1e-3})
        add(name .. " step", {update = passes}, 2 * passes, function() optimizer:step() end)
    end
end

return {
    memory = function(bench)
        for _, part in ipairs {{"elementwise", elementwise}, {"pooling", max_pooling}, {"pooling", average_pooling},
            {"normalisation", normalisation}} do
            local x, y = blocked(bench), blocked(bench)
            part[2](adder(bench, part[1]), x, y)
            free(x, y)
        end
        optimisers(adder(bench, "optimiser"), bench)
    end,
}
