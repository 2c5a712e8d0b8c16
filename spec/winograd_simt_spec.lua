--- Winograd's way to convolve on GPUs, with every tile, against the cpu device. Needs LUXEL_OPENCL_FORM=simt where the
-- OpenCL device is a processor.

local lx = require "luxel"
local core = require "luxel.core"

local device = lx.device("opencl")
if not device or device.form ~= "simt" then
    describe("Winograd's convolution", function()
        pending("only on GPUs, or with LUXEL_OPENCL_FORM=simt")
    end)
    return
end

local SIZES <const> = {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 33, 63, 65}
local CHANNELS <const> = {1, 3, 7, 11, 15, 16, 33}

-- Small whole numbers. The weights' transform halves them twice at most, so that nothing is rounded: results are exact.
local function whole(...) return lx.randint(-4, 5, {...}, {dtype = "float32"}) end

local function there(tensor) return tensor:to(device.label) end

-- A tensor in blocks, also where few channels would stay in the plain layout.
local function blocked(x)
    local channels = x.shape[2]
    return core.conv2d(there(x), there(lx.eye(channels)):view(channels, channels, 1, 1), nil, {})
end

local function largest_difference(expected, got)
    local here = got:to("cpu")
    assert.same(expected.shape, here.shape)
    return (expected - here):abs():max():item()
end

-- Calls f with each of Winograd's ways in force; returns how many there are.
local function each_way(f)
    for way = 1, math.huge do
        core.force_way(device.label, way, "winograd")
        local ok, message = pcall(f)
        core.force_way(device.label, 0)
        if not ok then
            assert.matches("there is no variant", tostring(message), 1, true)
            return way - 1
        end
    end
end

-- Forward with and without bias and activation, and backward-data, which must be exact in every way; returns how many.
local function check(shape, out, options)
    local x, b = whole(table.unpack(shape)), whole(out)
    local w = whole(out, shape[2] // (options.groups or 1), 3, 3)
    local rectified = {padding = options.padding, groups = options.groups,
        activation = out % 2 == 0 and "relu" or "relu6"}
    lx.math("exact")
    local y, z = core.conv2d(x, w, nil, options), core.conv2d(x, w, b, rectified)
    local dy = whole(table.unpack(y.shape))
    local dx = core.conv2d_backward_data(dy, w, shape, options)
    lx.math("fast")
    local far_x, far_w, far_b, far_dy = blocked(x), there(w), there(b), blocked(dy)
    local text = ("%s to %d, padding %s"):format(table.concat(shape, "x"), out, options.padding)
    local forward = each_way(function()
        assert.equal(0, largest_difference(y, core.conv2d(far_x, far_w, nil, options)), text)
        assert.equal(0, largest_difference(z, core.conv2d(far_x, far_w, far_b, rectified)), text)
    end)
    local backward = each_way(function()
        assert.equal(0, largest_difference(dx, core.conv2d_backward_data(far_dy, far_w, shape, options)), text)
    end)
    assert.is_true(forward > 0 and backward > 0, text)
    return forward + backward
end

describe("Winograd's convolution", function()
    setup(function() lx.manual_seed(11) end)

    for _, height in ipairs(SIZES) do
        it(("is exact for images %d high"):format(height), function()
            for i, width in ipairs(SIZES) do
                local function pick(list, by) return list[(by * i + height) % #list + 1] end
                local padding = (i + height) % 3
                if math.min(height, width) + 2 * padding >= 3 then
                    local batch = height * width < 100 and pick({1, 3}, 1) or 1
                    check({batch, pick(CHANNELS, 3), height, width}, pick(CHANNELS, 2), {padding = padding})
                end
            end
        end)
    end

    for _, padding in ipairs {0, 1, 2} do
        it("is exact for any channels with padding " .. padding, function()
            for i, channels in ipairs(CHANNELS) do
                for j, out in ipairs(CHANNELS) do
                    check({(i + j) % 2 * 2 + 1, channels, 7, 4 + j}, out, {padding = padding})
                end
            end
        end)
    end

    it("is exact with every tile, and in parts", function()
        assert.is_true(check({2, 130, 14, 19}, 70, {padding = 1}) >= 20)
    end)

    it("is exact with unequal padding", function() check({1, 6, 11, 8}, 9, {padding = {0, 4}}) end)

    it("is exact for groups of channels", function()
        check({2, 24, 9, 10}, 16, {padding = 1, groups = 2})
        check({1, 12, 5, 6}, 6, {padding = 1, groups = 3})
    end)

    it("keeps nearly the exactness of float32", function()
        local x, w = lx.randn(2, 64, 20, 20), lx.randn(48, 64, 3, 3)
        lx.math("exact")
        local exact = core.conv2d(x, w, nil, {padding = 1})
        lx.math("fast")
        local far_x, far_w = there(x), there(w)
        each_way(function()
            local d = largest_difference(exact, core.conv2d(far_x, far_w, nil, {padding = 1}))
            assert.is_true(d < 3e-6 * exact:abs():max():item(), d)
        end)
    end)

    it("is followed by another that reads what it wrote past the last channel", function()
        local x, w, v = whole(1, 5, 9, 9), whole(6, 5, 3, 3), whole(3, 6, 3, 3)
        local expected = core.conv2d(core.conv2d(x, w, nil, {padding = 1}), v, nil, {padding = 1})
        local far_x, far_w, far_v = there(x), there(w), there(v)
        each_way(function()
            local y = core.conv2d(far_x, far_w, nil, {padding = 1})
            assert.equal(0, largest_difference(expected, core.conv2d(y, far_v, nil, {padding = 1})))
        end)
    end)

    it("is no way for other kernels", function()
        local x = there(whole(1, 8, 9, 9))
        local function ways(shape, options)
            return each_way(function() core.conv2d(x, there(whole(table.unpack(shape))), nil, options) end)
        end
        assert.is_true(ways({8, 8, 3, 3}, {padding = 1}) > 0)
        assert.equal(0, ways({8, 8, 3, 3}, {padding = 1, stride = {1, 2}}))
        assert.equal(0, ways({8, 8, 3, 3}, {padding = 2, dilation = 2}))
        assert.equal(0, ways({8, 8, 3, 1}, {padding = 1}))
        assert.equal(0, ways({8, 8, 5, 5}, {padding = 1}))
    end)
end)
