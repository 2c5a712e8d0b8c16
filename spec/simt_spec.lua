--- The kernels for GPUs against the cpu device, at sizes that take several work-groups and leave ragged ends. They run
-- on any OpenCL device if LUXEL_OPENCL_FORM=simt is set; without it these tests are skipped.

local lx = require "luxel"
local core = require "luxel.core"
local F = lx.nn.functional

if os.getenv("LUXEL_OPENCL_FORM") ~= "simt" then
    describe("kernels for GPUs", function() pending("only with LUXEL_OPENCL_FORM=simt") end)
    return
end

assert(lx.device("opencl"))

local function there(tensor) return tensor:to("opencl") end

-- The largest difference between two results, relative to the largest number in the first.
local function difference(expected, got)
    local here = got:to("cpu")
    assert.same(expected.shape, here.shape)
    return ((expected - here):abs():max() / (expected:abs():max() + 1e-30)):item()
end

local function assert_close(expected, got, tolerance, what)
    local d = difference(expected, got)
    assert.is_true(d <= tolerance, ("%s: relative difference %.3g"):format(what or "result", d))
end

-- Small whole numbers, of which every sum is exact: any order of additions must give the same.
local function whole(...) return lx.randint(-4, 5, {...}, {dtype = "float32"}) end

-- ---- matrix products ------------------------------------------------------------------------------------------

-- The same values in other places: columns side by side, or with gaps, or not at a multiple of four.
local layouts = {
    rows = function(t) return there(t) end,
    columns = function(t) return there(t:t():contiguous()):t() end,
    gaps = function(t) return there(lx.stack({t, t}, 3)):select(3, 1) end,
    shifted = function(t)
        local rows, columns = t.shape[1], t.shape[2]
        local longer = lx.zeros(rows * columns + 1)
        longer:narrow(1, 2, rows * columns):copy_(t:reshape(rows * columns))
        return there(longer):narrow(1, 2, rows * columns):view(rows, columns)
    end,
}

local function each_way(f)
    local count = 0
    finally(function() core.force_way("opencl", 0) end)
    while true do
        core.force_way("opencl", count + 1)
        local ok, message = pcall(f)
        if not ok then
            assert.matches("there is no variant", tostring(message), 1, true)
            core.force_way("opencl", 0)
            return count
        end
        count = count + 1
    end
end

describe("matmul in groups", function()
    for _, size in ipairs {{33, 65, 63}, {36, 68, 132}, {2, 515, 70}} do
        local m, k, n = table.unpack(size)
        it(("[%d,%d] x [%d,%d] is exact in every layout"):format(m, k, k, n), function()
            local a, b = whole(m, k), whole(k, n)
            local expected = a:matmul(b)
            for left_name, left in pairs(layouts) do
                for right_name, right in pairs(layouts) do
                    assert.equal(0, difference(expected, left(a):matmul(right(b))), left_name .. " x " .. right_name)
                end
            end
        end)
    end

    it("is exact at the edges of tiles", function()
        for _, size in ipairs {{1, 1, 1}, {5, 7, 9}, {260, 17, 30}, {12, 2100, 20}, {70, 515, 1}, {301, 132, 4}} do
            local m, k, n = table.unpack(size)
            local a, b = whole(m, k), whole(k, n)
            assert.equal(0, difference(a:matmul(b), there(a):matmul(there(b))), table.concat(size, ","))
        end
    end)

    it("gives the same in every way, with bias and activation", function()
        for _, size in ipairs {{261, 530, 140}, {256, 264, 128}} do
            local x, w, b = whole(size[1], size[2]), whole(size[3], size[2]), whole(size[3])
            local expected = F.linear(x, w, b)
            local on = {there(x), there(w), there(b)}
            local ways = each_way(function()
                for name in pairs(core.activations_in_passing()) do
                    assert.equal(0, difference(core.unary(name, expected), core.linear(on[1], on[2], on[3], name)))
                end
            end)
            assert.is_true(ways >= 20)
        end
    end)

    it("gives the same in every way where there are few rows or columns", function()
        for _, size in ipairs {{3, 1030, 77}, {77, 1030, 2}} do
            local x, w, b = whole(size[1], size[2]), whole(size[3], size[2]), whole(size[3])
            local expected = F.linear(x, w, b)
            local on = {there(x), there(w), there(b)}
            local ways = each_way(function() assert.equal(0, difference(expected, F.linear(on[1], on[2], on[3]))) end)
            assert.is_true(ways >= 6)
        end
    end)

    it("takes batches, of which one operand may be repeated", function()
        local a, b, c = whole(3, 34, 40), whole(3, 40, 37), whole(40, 37)
        assert.equal(0, difference(a:matmul(b), there(a):matmul(there(b))))
        assert.equal(0, difference(a:matmul(c), there(a):matmul(there(c))))
        assert.equal(0, difference(a:select(1, 1):matmul(b), there(a):select(1, 1):matmul(there(b))))
        local x, y = whole(2, 3, 5, 6), whole(3, 6, 70)
        assert.equal(0, difference(x:matmul(y), there(x):matmul(there(y))))
    end)

    it("does not let what is past the edge count", function()
        local a, b = whole(36, 40), whole(40, 36)
        local wide, high = lx.full({36, 44}, 0 / 0), lx.full({44, 36}, 0 / 0)
        wide:narrow(2, 1, 40):copy_(a)
        high:narrow(1, 1, 40):copy_(b)
        local got = there(wide):narrow(2, 1, 40):matmul(there(high):narrow(1, 1, 40))
        assert.equal(0, difference(a:matmul(b), got))
    end)
end)

-- ---- reductions -----------------------------------------------------------------------------------------------

describe("reductions in groups", function()
    -- one element; short and long rows; many columns; columns beside each other within a group; all in several chunks
    local shapes = {{1}, {3, 5, 7}, {70001}, {2, 40003}, {1500, 3}, {9001, 33}, {4, 1000, 67}, {300, 2, 2}, {3, 1, 513}}
    for _, shape in ipairs(shapes) do
        it("agree over every dimension of [" .. table.concat(shape, ",") .. "]", function()
            local x = whole(table.unpack(shape))
            local on = there(x)
            assert.equal(0, difference(x:sum(), on:sum()))
            for dim = 1, #shape do
                assert.equal(0, difference(x:sum(dim), on:sum(dim)))
                assert.equal(0, difference(x:argmax(dim):float(), on:argmax(dim):float()))
                assert.equal(0, difference(x:argmin(dim):float(), on:argmin(dim):float()))
            end
            assert.equal(0, difference(x:argmax():float(), on:argmax():float()))
        end)
    end

    it("find extremes and products", function()
        local x = lx.randn(1100, 37)
        local on = there(x)
        for dim = 1, 2 do
            assert.equal(0, difference(core.reduce("max", x, {dim}, false), core.reduce("max", on, {dim}, false)))
            assert.equal(0, difference(core.reduce("min", x, {dim}, false), core.reduce("min", on, {dim}, false)))
        end
        local near = 1 + lx.randn(2, 30001) * 1e-3
        assert_close(near:prod(2), there(near):prod(2), 1e-4)
    end)

    it("let a NaN win, and take the first of several", function()
        local x = lx.zeros(50000)
        x:narrow(1, 40001, 1):fill_(0 / 0)
        x:narrow(1, 45001, 1):fill_(0 / 0)
        local on = there(x)
        assert.equal(40001, on:argmax():item())
        assert.equal(40001, on:argmin():item())
        local top = on:max():item()
        assert.is_true(top ~= top)
        assert.equal(1, there(lx.ones(50000)):argmax():item())
    end)

    it("add up many numbers with little error", function()
        local x = lx.rand(1 << 20)
        local expected = 0
        for _, value in ipairs(core.to_table(x)) do expected = expected + value end
        assert.is_true(math.abs(there(x):sum():item() / expected - 1) < 3e-7)
    end)

    it("repeat themselves to the last bit", function()
        local x = there(lx.randn(301, 1027))
        assert.equal(x:sum():item(), x:sum():item())
        assert.equal(0, difference(x:sum(1):to("cpu"), x:sum(1)))
    end)
end)

-- ---- normalisation --------------------------------------------------------------------------------------------

-- Result and gradients of f(x, weight, bias) on a device.
local function gradients(f, device, x, weight, bias, slope)
    local inputs = {}
    for i, input in ipairs {x, weight, bias} do inputs[i] = input:clone():to(device):requires_grad_() end
    local y = f(table.unpack(inputs))
    y:backward(slope:to(device))
    return {y:detach(), inputs[1].grad, inputs[2].grad, inputs[3].grad}
end

local function compare_gradients(f, x, channels, tolerance)
    local weight, bias, slope = lx.rand(channels) + 0.5, lx.randn(channels), lx.randn(x.shape)
    local expected = gradients(f, "cpu", x, weight, bias, slope)
    local got = gradients(f, "opencl", x, weight, bias, slope)
    for i, name in ipairs {"result", "gradient of x", "gradient of the weight", "gradient of the bias"} do
        assert_close(expected[i], got[i], tolerance, name)
    end
end

local function blocked(x)
    local channels = x.shape[2]
    return F.conv2d(x, lx.eye(channels, {device = x.device}):view(channels, channels, 1, 1))
end

describe("normalisation in groups", function()
    local shapes = {{4, 1, 1, 3}, {3, 5, 7, 9}, {2, 7, 61, 67}, {5, 3, 1, 1}, {300, 37, 1, 1}, {70, 2, 3, 5},
        {1, 6, 200, 130}}
    for _, shape in ipairs(shapes) do
        local text = "[" .. table.concat(shape, ",") .. "]"
        it("of a batch agrees for " .. text .. ", plain and blocked", function()
            local x = lx.randn(shape) * 2 + 5
            local function norm(input, weight, bias)
                return F.batch_norm(input, nil, nil, weight, bias, {training = true})
            end
            compare_gradients(norm, x, shape[2], 2e-4)
            compare_gradients(function(input, weight, bias) return norm(blocked(input), weight, bias) end, x, shape[2],
                2e-4)
        end)
    end

    it("finds a small variance around a large mean", function()
        local x = lx.randn(4, 3, 50, 50) + 1000
        local mean, var = core.batch_norm_stats(x)
        local mean_there, var_there = core.batch_norm_stats(there(x))
        assert_close(mean, mean_there, 1e-6)
        assert_close(var, var_there, 1e-3)
    end)

    for _, shape in ipairs {{1, 1}, {5, 3}, {301, 33}, {3, 1030}, {2, 20011}} do
        it(("of rows, and softmax, agree for [%d,%d]"):format(shape[1], shape[2]), function()
            local x = lx.randn(shape) * 2
            local function layer_norm(input, weight, bias) return F.layer_norm(input, {shape[2]}, weight, bias) end
            compare_gradients(layer_norm, x, shape[2], 2e-4)
            for _, name in ipairs {"softmax", "log_softmax"} do
                local function scaled(input, weight, bias) return F[name](input, 2) * weight + bias end
                compare_gradients(scaled, x, shape[2], 2e-4)
            end
        end)
    end

    it("averages planes", function()
        local x = lx.randn(3, 5, 37, 41)
        assert_close(F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(there(x), 1), 1e-4)
    end)
end)
