--- Convolution in the form for GPUs: every candidate that a tuner may choose, against the cpu device, at odd sizes.
-- Needs LUXEL_OPENCL_FORM=simt where the OpenCL device is a processor.

local lx = require "luxel"
local core = require "luxel.core"

local device = lx.device("opencl")
local is_simt = device and device.form == "simt"

-- {batch, channels in, height, width}, channels out, {kernel}, options
local PROBLEMS <const> = {
    {{2, 7, 31, 33}, 11, {3, 3}, {padding = 1}},
    {{1, 15, 7, 7}, 70, {3, 3}, {padding = 1}},
    {{3, 1, 17, 19}, 33, {3, 3}, {padding = 1}},
    {{2, 3, 33, 31}, 9, {7, 7}, {padding = 3, stride = 2}},
    {{1, 130, 5, 3}, 65, {1, 1}, {}},
    {{2, 11, 13, 9}, 7, {1, 1}, {stride = 2}},
    {{2, 15, 9, 11}, 8, {3, 3}, {padding = 1, stride = 2}},
    {{1, 8, 15, 13}, 12, {3, 2}, {padding = {2, 1}, stride = {3, 2}, dilation = {2, 1}}},
    {{2, 12, 9, 8}, 18, {3, 3}, {padding = 1, groups = 3}},
    {{2, 16, 9, 8}, 8, {3, 3}, {padding = 2, dilation = 2, groups = 2}},
    {{1, 64, 3, 3}, 5, {3, 3}, {padding = 1}},
    {{1, 4, 1, 65}, 6, {1, 5}, {padding = {0, 2}}},
    {{3, 9, 12, 11}, 9, {3, 3}, {padding = 1, groups = 9}},
    {{2, 10, 8, 7}, 10, {5, 3}, {padding = {2, 0}, stride = {1, 2}, groups = 10}},
    {{1, 6, 13, 12}, 6, {9, 5}, {padding = {4, 2}, stride = 2, groups = 6}},
    {{2, 5, 49, 47}, 5, {3, 3}, {padding = 1, groups = 5}},
    -- large enough for every tile
    {{1, 5, 9, 11}, 70, {3, 3}, {padding = 1}},
    {{1, 70, 19, 18}, 6, {3, 3}, {padding = 1, stride = 2}},
    -- few channels, read in the plain layout: of the input, of the gradient, of several groups
    {{2, 1, 65, 63}, 16, {7, 7}, {padding = 3, stride = 2}},
    {{2, 6, 17, 15}, 2, {3, 3}, {padding = 1}},
    {{2, 6, 17, 15}, 3, {3, 3}, {padding = 1, stride = 2}},
    {{2, 3, 9, 8}, 6, {3, 3}, {padding = 1, groups = 3}},
    -- taps that no pixel of a phase meets, and a stride larger than the kernel
    {{1, 4, 11, 12}, 5, {2, 2}, {stride = 3}},
    {{1, 4, 11, 12}, 5, {3, 3}, {stride = 2, dilation = 2, padding = 1}},
}

local function largest_difference(a, b)
    local scale = math.max(b:abs():max():item(), 1e-6)
    return (a:to("cpu") - b):abs():max():item() / scale
end

describe("convolution in SIMT form", function()
    if not is_simt then
        it("is tested on GPUs, or with LUXEL_OPENCL_FORM=simt", function() pending("no OpenCL device of that form") end)
        return
    end
    setup(function()
        core.forget_tuning(device.label)
        core.tune(device.label, true)
    end)
    teardown(function()
        core.tune(device.label, false)
        core.forget_tuning(device.label)
    end)

    for _, problem in ipairs(PROBLEMS) do
        local shape, out, kernel, options = table.unpack(problem)
        local weight_shape = {out, shape[2] // (options.groups or 1), kernel[1], kernel[2]}
        it(("%s by %s"):format(table.concat(shape, "×"), table.concat(weight_shape, "×")), function()
            lx.manual_seed(5)
            local x, w, b = lx.randn(shape), lx.randn(weight_shape), lx.randn(out)
            local far = {x = x:to(device.label), w = w:to(device.label), b = b:to(device.label)}
            local y = core.conv2d(x, w, b, options)
            local dy = lx.randn(y.shape)
            local far_dy = dy:to(device.label)
            local known = #core.tuned(device.label)
            assert.is_true(largest_difference(core.conv2d(far.x, far.w, far.b, options), y) < 1e-5)
            assert.is_true(largest_difference(core.conv2d_backward_data(far_dy, far.w, shape, options),
                core.conv2d_backward_data(dy, w, shape, options)) < 1e-5)
            assert.is_true(largest_difference(core.conv2d_backward_weight(far.x, far_dy, weight_shape, options),
                core.conv2d_backward_weight(x, dy, weight_shape, options)) < 1e-5)
            assert.is_true(largest_difference(core.conv2d_backward_bias(far_dy), core.conv2d_backward_bias(dy)) < 1e-5)
            local entries = core.tuned(device.label)
            for i = known + 1, #entries do
                assert.is_true(entries[i].ways > 1)
                assert.equal(0, entries[i].rejected, entries[i].problem)
            end
        end)
    end

    it("has measured many candidates by now", function()
        local ways = 0
        for _, entry in ipairs(core.tuned(device.label)) do ways = ways + entry.ways end
        assert.is_true(ways > 100, ways)
    end)

    it("gives the same bits every time", function()
        local x, w = lx.randn(2, 9, 20, 21):to(device.label), lx.randn(13, 9, 3, 3):to(device.label)
        local dy = lx.randn(2, 13, 20, 21):to(device.label)
        local options = {padding = 1}
        local first = core.conv2d_backward_weight(x, dy, w.shape, options):to("cpu")
        for _ = 1, 3 do
            local again = core.conv2d_backward_weight(x, dy, w.shape, options):to("cpu")
            assert.equal(1, first:eq(again):all():item())
        end
    end)
end)
