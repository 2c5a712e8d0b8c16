--- For spec/support/forks.c: uses all that has threads or locks, and returns what a forked process does with it.

local lx = require "luxel"

local a = lx.randn(300, 300)
local expected = a:matmul(a):sum():item()
local images = lx.randn(8, 3, 64, 64)
local blurred = lx.vision.gaussian_blur(images, 2):sum():item()
local set = lx.data.phantom {n = 64, size = 32, seed = 1}

local function batches()
    return lx.data.batches(set, {batch = 4, threads = 2, epoch = 1, seed = 1, shuffle = true})
end

local sums = {}
for x in batches() do sums[#sums + 1] = x:sum():item() end
local under_way = batches() -- its threads are at work whenever a process is forked off
assert(under_way():sum():item() == sums[1])
-- AddressSanitizer holds a lock of its own while a thread starts, which a process forked off then would never get: the
-- second thread may be about to start when the first has made a batch
local later = require("luxel.core").now() + 0.3
while require("luxel.core").now() < later do end

return function()
    assert(a:matmul(a):sum():item() == expected, "another product")
    assert(lx.vision.gaussian_blur(images, 2):sum():item() == blurred, "other images")
    local at = 1
    for x in under_way do
        at = at + 1
        assert(x:sum():item() == sums[at], "other batches")
    end
    assert(at == #sums, "fewer batches")
    local x = lx.ones({4}, {requires_grad = true})
    local sum = (x * 2):sum()
    sum:backward()
    return x.grad:sum():item() == 8
end
