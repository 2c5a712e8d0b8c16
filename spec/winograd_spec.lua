--- Winograd's way to convolve on processors, against the plain sums of the cpu device.

local lx = require "luxel"
local core = require "luxel.core"

local devices = {"cpu"}
local opencl = lx.device("opencl")
if opencl and opencl.form == "tile" then devices[2] = opencl.label end

-- Errors measured with normal numbers; of the largest result.
local TOLERANCE <const> = {forward = 5e-6, data = 5e-6, weight = 2e-5}

-- Calls f with the plain sums, or with Winograd's way, in force.
local function exactly(f)
    lx.math("exact")
    local results = {f()}
    lx.math("fast")
    return table.unpack(results)
end

local function by_winograd(device, f)
    core.force_way(device, 1, "winograd")
    local ok, result = pcall(f)
    core.force_way(device, 0)
    assert(ok, result)
    return result
end

-- A tensor in blocks on a device, also where few channels would stay in the plain layout.
local function blocked(x, device)
    local channels = x.shape[2]
    return core.conv2d(x:to(device), lx.eye(channels):view(channels, channels, 1, 1):to(device), nil, {})
end

local function assert_near(expected, got, tolerance, text)
    local here = got:to("cpu")
    assert.same(expected.shape, here.shape)
    local difference, largest = (expected - here):abs():max():item(), expected:abs():max():item()
    assert.is_true(difference <= tolerance * largest, ("%s: %g of %g"):format(text, difference, largest))
end

-- Forward with bias and activations, and both gradients.
local function check(device, shape, out, options)
    local x, b = lx.randn(table.unpack(shape)), lx.randn(out)
    local w = lx.randn(out, shape[2], 3, 3)
    local rectified = {padding = options.padding, activation = "relu"}
    local y = exactly(function() return core.conv2d(x, w, b, rectified) end)
    local dy = lx.randn(table.unpack(y.shape))
    local dx, dw = exactly(function()
        return core.conv2d_backward_data(dy, w, shape, options), core.conv2d_backward_weight(blocked(x, "cpu"), dy,
            w.shape, options)
    end)
    local there, far_dy, far_w = blocked(x, device), blocked(dy, device), w:to(device)
    local far_b = b:to(device)
    local text = ("%s to %d, padding %s"):format(table.concat(shape, "x"), out, tostring(options.padding))
    assert_near(y, by_winograd(device, function() return core.conv2d(there, far_w, far_b, rectified) end),
        TOLERANCE.forward, text)
    for _, name in ipairs {"relu6", "leaky"} do
        local activated = {padding = options.padding, activation = name} -- of the same sums, so to the last bit
        assert.is_true(lx.equal(by_winograd(device, function()
            return core.unary(name, core.conv2d(there, far_w, far_b, {padding = options.padding}))
        end), by_winograd(device, function() return core.conv2d(there, far_w, far_b, activated) end)), text)
    end
    assert_near(dw, by_winograd(device, function()
        return core.conv2d_backward_weight(there, far_dy, w.shape, options)
    end), TOLERANCE.weight, text .. ", gradient of the weight")
    if type(options.padding) == "number" and options.padding <= 2 then
        assert_near(dx, by_winograd(device, function()
            return core.conv2d_backward_data(far_dy, far_w, shape, options)
        end), TOLERANCE.data, text .. ", gradient of the input")
    end
end

for _, device in ipairs(devices) do
    describe("Winograd's convolution on " .. device, function()
        setup(function() lx.manual_seed(11) end)

        it("gives the same as the plain sums, for all sizes of images", function()
            for _, height in ipairs {1, 2, 3, 4, 5, 7, 8, 9, 31, 33} do
                for i, width in ipairs {1, 3, 4, 6, 8, 33, 65} do
                    local padding = (i + height) % 3
                    if math.min(height, width) + 2 * padding >= 3 then
                        local channels, out = 1 + (5 * i + height) % 34, 1 + (7 * height + i) % 50
                        check(device, {1 + i % 2 * 2, channels, height, width}, out, {padding = padding})
                    end
                end
            end
        end)

        it("and for all channels, also more than fit a strip at once", function()
            for _, channels in ipairs {1, 7, 15, 16, 17, 33, 129} do
                for _, out in ipairs {1, 11, 16, 31, 32, 49} do
                    check(device, {3, channels, 9, 10}, out, {padding = 1})
                end
            end
            check(device, {1, 600, 8, 9}, 20, {padding = 1})
        end)

        it("with several strips for a worker", function() check(device, {5, 33, 62, 63}, 35, {padding = 1}) end)

        it("with so many channels that weights are transformed a few at a time", function()
            check(device, {3, 129, 9, 10}, 145, {padding = 1}) -- the gradient of the weight alone
            check(device, {2, 257, 13, 7}, 290, {padding = 1})
            check(device, {1, 260, 45, 47}, 256, {padding = 0}) -- several strips
            check(device, {1, 130, 70, 66}, 131, {padding = 1})
        end)

        it("with as many channels, ReLU and max-pooling", function()
            local options = {padding = 1, activation = "relu"}
            local x, w, b = lx.randn(2, 130, 17, 14), lx.randn(145, 130, 3, 3), lx.randn(145)
            local dy = lx.randn(2, 145, 8, 7)
            local function gradients(images, weight, bias, dout)
                local pooled, codes = core.conv2d_pool(images, weight, bias, options)
                return pooled, core.conv2d_pool_backward(images, weight, dout, codes, options, {true, true, true})
            end
            local y, dx, dw = exactly(function() return gradients(blocked(x, "cpu"), w, b, dy) end)
            local there, far_w, far_b = blocked(x, device), w:to(device), b:to(device)
            local far_dy = blocked(dy, device)
            local function get(i)
                return by_winograd(device, function() return (select(i, gradients(there, far_w, far_b, far_dy))) end)
            end
            assert_near(y, get(1), TOLERANCE.forward, "pooled")
            assert_near(dx, get(2), TOLERANCE.data, "pooled, gradient of the input")
            assert_near(dw, get(3), TOLERANCE.weight, "pooled, gradient of the weight")
        end)

        it("with unequal padding", function() check(device, {1, 6, 11, 8}, 9, {padding = {0, 4}}) end)

        it("reaches no further than a tile with what is no number", function()
            local x, w = lx.randn(1, 16, 16, 16), lx.randn(16, 16, 3, 3)
            x:select(1, 1):select(1, 3):select(1, 1):select(1, 1):fill_(0 / 0)
            local there = blocked(x, device)
            local y = by_winograd(device, function()
                return core.conv2d(there, w:to(device), nil, {padding = 1})
            end):to("cpu")
            local bad = core.unary("isnan", y:select(1, 1):select(1, 1))
            assert.equal(16, bad:sum():item())
            assert.equal(16, bad:narrow(1, 1, 4):narrow(2, 1, 4):sum():item())
        end)

        it("is left out where sums are to be exact", function()
            local x, w = blocked(lx.randn(2, 32, 12, 12), device), lx.randn(32, 32, 3, 3):to(device)
            local function convolve() return core.conv2d(x, w, nil, {padding = 1}):to("cpu") end
            local fast, exact = convolve(), exactly(convolve)
            assert.is_true((fast - exact):abs():max():item() > 0)
            assert.equal(0, (fast - by_winograd(device, convolve)):abs():max():item())
            assert.equal("fast", lx.math())
            assert.error_matches(function() lx.math("precise") end,
                'math: new: expected "fast" or "exact", got "precise"')
        end)
    end)
end

describe("Winograd's convolution", function()
    it("gives the same bits with any number of threads", function()
        local x, dy = blocked(lx.randn(3, 20, 50, 41), "cpu"), blocked(lx.randn(3, 40, 50, 41), "cpu")
        local w = lx.randn(40, 20, 3, 3)
        local threads = lx.threads()
        local first
        for _, count in ipairs {1, 2, 5} do
            lx.threads(count)
            local results = {by_winograd("cpu", function() return core.conv2d(x, w, nil, {padding = 1}) end),
                by_winograd("cpu", function() return core.conv2d_backward_weight(x, dy, w.shape, {padding = 1}) end)}
            first = first or results
            for i, result in ipairs(results) do assert.equal(0, (result - first[i]):abs():max():item()) end
        end
        lx.threads(threads)
    end)
end)
