--- What stays in the blocked layout, so that a chain of layers never converts in between.

local lx = require "luxel"
local core = require "luxel.core"

local CHANNELS <const> = 19 -- never whole blocks

local function blocked(x)
    local channels = x.shape[2]
    local y = core.conv2d(x, lx.ones({channels, 1, 1, 1}, {device = x.device}), nil, {groups = channels})
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

-- A convolution of 3x3 sums up NaN where the channels that fill up the last block are not numbers.
local function all_numbers(y)
    local sum = core.conv2d(y, lx.ones({1, y.shape[2], 3, 3}, {device = y.device}), nil, {padding = 1})
    return sum:isnan():any():item() == 0
end

-- Whether there are zeros where there are no channels.
local function is_clean(y)
    local stored = core.as_stored(y):to("cpu")
    local block = stored.shape[5]
    local used = (y.shape[2] - 1) % block + 1
    local last = stored:narrow(2, stored.shape[2], 1)
    return used == block or last:narrow(5, used + 1, block - used):ne(0):any():item() == 0
end

describe("elementwise functions of blocked images", function()

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

local devices = {"cpu"}
if lx.device("opencl") then devices[2] = "opencl" end

for _, device in ipairs(devices) do
    local function there(t) return t:to(device) end
    local function same(expected, got, what)
        assert.same(expected.shape, got.shape, what)
        assert.is_true(lx.equal(expected, got:to("cpu")), what)
    end

    describe("an operand that broadcasts to blocked images on " .. device, function()
        local NAMES <const> = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder"}

        local function compare(whole, other, stays, what)
            local x, y = lx.rand(whole) + 0.5, lx.rand(other[1]) + 0.5
            for _, name in ipairs(NAMES) do
                for _, operands in ipairs {{x, y}, {y, x}} do
                    local expected = core.binary(name, there(operands[1]), there(operands[2])):to("cpu")
                    local function given(t) return (t == x or other.blocked) and blocked(there(t)) or there(t) end
                    local got = core.binary(name, given(operands[1]), given(operands[2]))
                    local text = ("%s %s"):format(name, what)
                    assert.equal(stays, core.is_blocked(got), text)
                    assert.is_true(not stays or is_clean(got), text)
                    same(expected, got, text)
                end
            end
        end

        it("does not change their layout where it is blocked too", function()
            for _, channels in ipairs {1, CHANNELS, 32} do
                local whole = {3, channels, 5, 7}
                for _, shape in ipairs {{3, channels, 1, 1}, {1, channels, 1, 1}, {3, 1, 1, 1}, {1, 1, 5, 7},
                    {3, channels, 5, 1}, {3, channels, 1, 7}, {1, channels, 5, 7}, {3, 1, 5, 7}, {1, 1, 1, 1},
                    {1, channels, 1, 7}} do
                    compare(whole, {shape, blocked = true}, true, table.concat(shape, ","))
                end
            end
        end)

        it("does not where it is plain, for all channels alike or of whole blocks for all pixels alike", function()
            for _, channels in ipairs {CHANNELS, 32} do
                for _, shape in ipairs {{3, 1, 1, 1}, {1, 1, 1}, {1}, {}, {7}, {5, 7}, {1, 1, 5, 7}, {3, 1, 5, 1}} do
                    compare({3, channels, 5, 7}, {shape}, true, table.concat(shape, ","))
                end
            end
            compare({3, 1, 5, 7}, {{3, 1, 5, 7}}, true, "one channel")
            for _, shape in ipairs {{3, 32, 1, 1}, {1, 32, 1, 1}, {32, 1, 1}} do
                compare({3, 32, 5, 7}, {shape}, true, table.concat(shape, ","))
            end
        end)

        it("makes them plain where its channels end in a block, or it has pixels of many channels", function()
            for _, shape in ipairs {{3, CHANNELS, 1, 1}, {CHANNELS, 1, 1}, {3, CHANNELS, 5, 7}} do
                compare({3, CHANNELS, 5, 7}, {shape}, false, table.concat(shape, ","))
            end
            compare({3, 32, 5, 7}, {{32, 5, 1}}, false, "32,5,1")
        end)

        it("makes both plain where neither has the shape of the result", function()
            local a, b = there(lx.randn(3, CHANNELS, 1, 1)), there(lx.randn(1, 1, 5, 7))
            local y = core.binary("add", blocked(a), blocked(b))
            assert.is_false(core.is_blocked(y))
            same((a + b):to("cpu"), y)
        end)

        it("may be a strided view", function()
            local x, gates = there(lx.randn(3, 32, 5, 7)), there(lx.randn(32, 2, 3)):select(2, 1):t():view(3, 32, 1, 1)
            local y = core.binary("mul", blocked(x), gates)
            assert.is_true(core.is_blocked(y))
            same((x * gates:contiguous()):to("cpu"), y)
        end)

        it("is taken in place by blocked images, and refused by what it does not fit into", function()
            for _, channels in ipairs {CHANNELS, 32} do
                local x, gate = there(lx.randn(3, channels, 5, 7)), there(lx.randn(3, channels, 1, 1))
                local one, y = there(lx.randn(3, 1, 1, 1)), blocked(x)
                core.binary_(y, "mul", blocked(gate))
                core.binary_(y, "add", one)
                core.add_scaled_(y, one, 2)
                assert.is_true(core.is_blocked(y) and is_clean(y))
                same(core.add_scaled_(x * gate + one, one, 2):to("cpu"), y)
            end
            local x, plain = blocked(there(lx.randn(3, 1, 5, 7))), there(lx.randn(3, 1, 5, 7))
            local expected = (plain + x:clone()):to("cpu")
            core.binary_(plain, "add", blocked(x))
            same(expected, plain)
            local small, large = blocked(there(lx.randn(3, 5, 1, 1))), blocked(there(lx.randn(3, 5, 2, 2)))
            assert.has_error(function() core.binary_(small, "add", large) end,
                "add_: shape [3,5,2,2] does not fit into [3,5,1,1]")
        end)

        it("has the gradient of a gate, a sum in the blocked layout", function()
            for _, channels in ipairs {CHANNELS, 32} do
                -- whole numbers, whose sums are exact in any order
                local x = there(lx.randint(-4, 5, {3, channels, 5, 7}, {dtype = "float32"}))
                local gate = there(lx.randint(-4, 5, {3, channels, 1, 1}, {dtype = "float32"}))
                local grads = {}
                for i, layout in ipairs {blocked, function(t) return t end} do
                    local a, b = layout(x):requires_grad_(), layout(gate):requires_grad_()
                    local y = a * b
                    y:backward(layout(x))
                    assert.equal(i == 1, core.is_blocked(a.grad))
                    assert.equal(i == 1, core.is_blocked(b.grad))
                    assert.is_true(i == 2 or is_clean(b.grad))
                    grads[i] = {a.grad:to("cpu"), b.grad:to("cpu")}
                end
                same(grads[2][1], grads[1][1])
                same(grads[2][2], grads[1][2])
            end
        end)
    end)

    describe("reductions of blocked images on " .. device, function()
        it("stay blocked where they keep the channels, and all dimensions", function()
            local x = lx.randint(-4, 5, {3, CHANNELS, 5, 7}, {dtype = "float32"}):abs() + 1
            for _, name in ipairs {"sum", "max", "min", "prod"} do
                for _, dims in ipairs {{3, 4}, {1}, {4}, {1, 3, 4}, {}} do
                    if name ~= "prod" or dims[1] == 1 and #dims == 1 then
                        local y = core.reduce(name, blocked(there(x)), dims, true)
                        assert.is_true(core.is_blocked(y) and is_clean(y), name)
                        same(core.reduce(name, x, dims, true), y, name)
                    end
                end
                for _, keep in ipairs {true, false} do
                    local dims = keep and {2, 3} or {4}
                    local y = core.reduce(name, blocked(there(x)), dims, keep)
                    assert.is_false(core.is_blocked(y), name)
                    if name ~= "prod" then same(core.reduce(name, x, dims, keep), y, name) end
                end
            end
        end)
    end)

    describe("joining blocked images on " .. device, function()
        local function joined(shapes, dim, layout)
            local parts = {}
            for i, shape in ipairs(shapes) do
                lx.manual_seed(i)
                parts[i] = layout(there(lx.randn(shape))):requires_grad_()
            end
            return lx.cat(parts, dim), parts
        end

        local function compare(shapes, dim, stays)
            local expected, plain = joined(shapes, dim, function(t) return t end)
            local y, parts = joined(shapes, dim, blocked)
            assert.equal(stays, core.is_blocked(y))
            assert.is_true(not stays or is_clean(y))
            local dy = there(lx.randn(expected.shape))
            expected:backward(dy)
            y:backward(blocked(dy))
            for i, part in ipairs(parts) do
                assert.is_true(core.is_blocked(part.grad) or not stays)
                assert.is_true(not core.is_blocked(part.grad) or is_clean(part.grad))
                same(plain[i].grad:to("cpu"), part.grad)
            end
            same(expected:to("cpu"), y)
        end

        it("gives blocked ones where parts are whole blocks of channels, and blocked gradients", function()
            compare({{2, 16, 5, 7}, {2, 48, 5, 7}, {2, 32, 5, 7}}, 2, true)
            compare({{2, 16, 5, 7}, {2, CHANNELS, 5, 7}}, 2, true)
            compare({{1, 32, 1, 1}, {1, 1, 1, 1}}, 2, true)
            compare({{2, CHANNELS, 5, 7}}, 2, true)
        end)

        it("does so along the other dimensions, whatever the channels", function()
            compare({{2, CHANNELS, 5, 7}, {1, CHANNELS, 5, 7}}, 1, true)
            compare({{2, CHANNELS, 5, 7}, {2, CHANNELS, 3, 7}}, 3, true)
            compare({{2, CHANNELS, 5, 1}, {2, CHANNELS, 5, 7}}, -1, true)
        end)

        it("gives plain ones where a part ends in a block, or is plain", function()
            compare({{2, CHANNELS, 5, 7}, {2, 16, 5, 7}}, 2, false)
            compare({{2, 16, 5, 7}, {2, 3, 5, 7}, {2, 16, 5, 7}}, 2, false)
            local a, b = there(lx.randn(2, 16, 5, 7)), there(lx.randn(2, 16, 5, 7))
            local y = lx.cat({blocked(a), b}, 2)
            assert.is_false(core.is_blocked(y))
            same(lx.cat({a, b}, 2):to("cpu"), y)
        end)

        it("refuses a part that is out of range", function()
            local x = blocked(there(lx.randn(2, 32, 5, 7)))
            for _, range in ipairs {{17, 32}, {33, 16}, {-15, 16}, {0, 16}, {1, -16}, {1, 48}} do
                assert.has_error(function() core.part(x, 2, table.unpack(range)) end)
            end
        end)
    end)

    describe("resizing blocked images on " .. device, function()
        it("by the nearest pixel gives blocked results and gradients, the same bits as of plain ones", function()
            for _, channels in ipairs {3, CHANNELS, 32} do
                for _, size in ipairs {{10, 14}, {5, 7}, {3, 4}, {13, 9}, {1, 1}, {11, 30}} do
                    local x, dy = there(lx.randn(2, channels, 5, 7)), there(lx.randn(2, channels, size[1], size[2]))
                    local y = core.upsample_nearest2d(blocked(x), size)
                    local dx = core.upsample_nearest2d_backward(blocked(dy), {5, 7})
                    for _, t in ipairs {y, dx} do assert.is_true(core.is_blocked(t) and is_clean(t)) end
                    same(core.upsample_nearest2d(x, size):to("cpu"), y)
                    same(core.upsample_nearest2d_backward(dy, {5, 7}):to("cpu"), dx)
                end
            end
        end)
    end)

    describe("the mean of blocked images on " .. device, function()
        it("has a blocked gradient, whichever layout that of the mean has", function()
            for _, size in ipairs {{1, 1}, {2, 3}} do
                local x, dy = there(lx.randn(2, CHANNELS, 5, 7)), there(lx.randn(2, CHANNELS, size[1], size[2]))
                for _, gradient in ipairs {dy, blocked(dy)} do
                    local input = blocked(x):requires_grad_()
                    lx.nn.functional.adaptive_avg_pool2d(input, size):backward(gradient)
                    assert.is_true(core.is_blocked(input.grad) and is_clean(input.grad))
                    local expected = core.adaptive_avg_pool2d_backward(dy:clone(), x.shape)
                    assert.is_true(close(expected:to("cpu"), input.grad:to("cpu")))
                end
            end
        end)
    end)
end
