--- What stays in the blocked layout, so that a chain of layers never converts in between.

local lx = require "luxel"
local core = require "luxel.core"

local CHANNELS <const> = 19 -- never whole blocks

local function blocked(x)
    local y = core.conv2d(x, lx.ones(CHANNELS, 1, 1, 1), nil, {groups = CHANNELS})
    assert(core.is_blocked(y))
    return y
end

local function close(a, b) return lx.allclose(a, b, 1e-3, 1e-3) end

describe("batch normalisation of blocked images", function()
    local x = lx.randn(3, CHANNELS, 70, 13) + 50
    local dy, weight, bias = lx.randn(3, CHANNELS, 70, 13), lx.randn(CHANNELS), lx.randn(CHANNELS)
    local mean, var = core.batch_norm_stats(x)

    it("has the statistics of plain ones", function()
        local m, v = core.batch_norm_stats(blocked(x))
        assert.is_true(close(m, mean) and close(v, var))
    end)

    it("gives blocked results", function()
        local y = core.batch_norm_apply(blocked(x), mean, var, weight, bias, 1e-5)
        assert.is_true(core.is_blocked(y))
        assert.is_true(close(y, core.batch_norm_apply(x, mean, var, weight, bias, 1e-5)))
    end)

    it("gives the gradient in the layout of the input, whatever that of the result's is", function()
        for _, training in ipairs {true, false} do
            local a = {core.batch_norm_backward(dy, blocked(x), mean, var, weight, bias, 1e-5, training)}
            local b = {core.batch_norm_backward(blocked(dy), x, mean, var, weight, bias, 1e-5, training)}
            assert.is_true(core.is_blocked(a[1]))
            assert.is_false(core.is_blocked(b[1]))
            for i = 1, 3 do assert.is_true(close(a[i], b[i])) end
        end
    end)
end)

describe("mean-pooling of blocked images", function()
    local x = lx.randn(2, CHANNELS, 13, 11)
    local windows = {
        {kernel = {2, 2}, stride = {2, 2}}, {kernel = {3, 3}, stride = {1, 2}, padding = {1, 1}},
        {kernel = {5, 2}, stride = {3, 3}, padding = {2, 0}, count_include_pad = false},
    }

    local function same(forward, backward)
        local y, plain = forward(blocked(x)), forward(x)
        assert.is_true(core.is_blocked(y))
        assert.is_true(close(y, plain))
        local dy = lx.randn(plain.shape)
        local dx = backward(blocked(dy))
        assert.is_true(core.is_blocked(dx))
        assert.is_true(close(dx, backward(dy)))
    end

    it("gives blocked results and gradients, equal to those of plain ones", function()
        for _, options in ipairs(windows) do
            same(function(t) return core.avg_pool2d(t, options) end,
                function(dy) return core.avg_pool2d_backward(dy, x.shape, options) end)
        end
        for _, size in ipairs {{1, 1}, {4, 3}, {13, 11}, {20, 1}} do
            same(function(t) return core.adaptive_avg_pool2d(t, size) end,
                function(dy) return core.adaptive_avg_pool2d_backward(dy, x.shape) end)
        end
    end)
end)

describe("elementwise functions of blocked images", function()
    -- A convolution of 3x3 sums up NaN where the channels that fill up the last block are not numbers.
    local function all_numbers(y)
        local sum = core.conv2d(y, lx.ones(1, CHANNELS, 3, 3):to(y.device), nil, {padding = 1})
        return sum:isnan():any():item() == 0
    end

    local x, other = lx.rand(2, CHANNELS, 23, 25) + 0.5, lx.rand(2, CHANNELS, 23, 25) + 0.5

    it("give blocked results, with zeros where there are no channels", function()
        for _, name in ipairs(require("luxel.ops").elementwise) do
            local y = core.unary(name, blocked(x))
            assert.is_true(core.is_blocked(y), name)
            assert.is_true(all_numbers(y), name)
            assert.is_true(lx.equal(y, core.unary(name, x)), name)
            y = blocked(x)
            core.unary_(y, name)
            assert.is_true(core.is_blocked(y) and all_numbers(y), name .. "_")
            assert.is_true(lx.equal(y, core.unary(name, x)), name .. "_")
        end
    end)

    it("of two images, or of an image and a number", function()
        for _, name in ipairs {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder"} do
            for _, operands in ipairs {{x, other}, {x, 3}, {3, x}} do
                local a, b = table.unpack(operands)
                local y = core.binary(name, lx.is_tensor(a) and blocked(a) or a, lx.is_tensor(b) and blocked(b) or b)
                assert.is_true(core.is_blocked(y), name)
                assert.is_true(all_numbers(y), name)
                assert.is_true(lx.equal(y, core.binary(name, a, b)), name)
            end
        end
        for name, number in pairs {mul = math.huge, div = 0} do
            local y = core.binary(name, blocked(x), number)
            assert.is_true(core.is_blocked(y))
            assert.is_true(all_numbers(core.unary("relu6", y)), name) -- of infinities, 6; NaN and zeros stay
        end
    end)

    it("are converted where the answer is yes or no", function()
        assert.is_false(core.is_blocked(core.binary("gt", blocked(x), 1)))
        assert.is_false(core.is_blocked(core.unary("isnan", blocked(x))))
    end)

    it("convert nothing on the way through activations, forward and back", function()
        local F = lx.nn.functional
        for _, row in ipairs(require "luxel.nn.activations") do
            local input = (lx.randn(2, 3, 9, 7) * 4):requires_grad_()
            local weight = lx.randn(CHANNELS, 3, 3, 3)
            local rows = lx.profile(function()
                F.conv2d(F[row.name](F.conv2d(input, weight)), lx.ones(2, CHANNELS, 1, 1)):backward(lx.ones(2, 2, 7, 5))
            end).rows
            local names = {}
            for _, one in ipairs(rows) do names[#names + 1] = one.kernel or one.name end
            local text = table.concat(names, " ")
            assert.matches(row.name, text)
            assert.not_matches("to_plain", text)
        end
    end)
end)
