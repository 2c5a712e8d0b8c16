--- The random numbers of kernels, and what rests on their being a function of (seed, stream, element).

local lx = require "luxel"
local core = require "luxel.core"

local function hex(...)
    local words = {...}
    for i, word in ipairs(words) do words[i] = ("%08x"):format(word) end
    return table.concat(words, " ")
end

-- The same values in the blocked layout.
local function blocked(x)
    local channels = x.shape[2]
    local y = core.conv2d(x, lx.ones(channels, 1, 1, 1), nil, {groups = channels})
    assert(core.is_blocked(y))
    return y
end

describe("random numbers", function()
    it("are Philox 4x32-10, by its authors' known answers", function()
        assert.equal("6627e8d5 e169c58d bc57ac4c 9b00dbd8", hex(core.philox(0, 0, 0)))
        assert.equal("408f276d 41c83b0e a20bc7c6 6d5451fd", hex(core.philox(-1, -1, -1)))
        assert.equal("d16cfe09 94fdcceb 5001e420 24126ea1",
            hex(core.philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e)))
    end)

    it("come out of kernels as they are, over the whole range of int32", function()
        local low <const> = -(1 << 31)
        local words = core.randint(low, 1 << 31, {8}, 0, 0):totable()
        for i, word in ipairs(words) do words[i] = word - low end
        assert.equal("6627e8d5 e169c58d bc57ac4c 9b00dbd8", hex(table.unpack(words, 1, 4)))
        assert.equal(hex(core.philox(0, 1, 0)), hex(table.unpack(words, 5, 8)))
    end)

    it("permute", function()
        for _, n in ipairs {0, 1, 2, 1001} do
            local order = lx.randperm(n)
            assert.equal("int32", order.dtype)
            local sorted, expected = order:totable(), {}
            table.sort(sorted)
            for i = 1, n do expected[i] = i end
            assert.same(expected, sorted)
        end
        assert.is_false(lx.equal(lx.randperm(1001), lx.randperm(1001)))
    end)
end)

describe("dropout", function()
    it("keeps the elements whose random number is small enough", function()
        local kept = core.dropout(lx.ones(1001), 0.4, 3, 4):ne(0)
        assert.is_true(lx.equal(kept, core.rand({1001}, 3, 4):lt(0.6)))
    end)

    it("keeps of a blocked tensor what it keeps of a plain one", function()
        local x = lx.randn(2, 19, 5, 7)
        local y = core.dropout(blocked(x), 0.4, 3, 4)
        assert.is_true(core.is_blocked(y))
        assert.is_true(lx.equal(y, core.dropout(x, 0.4, 3, 4)))
    end)
end)

describe("max-pooling over large windows", function()
    -- More positions than a byte counts; the last one holds the largest value.
    it("finds the place of the largest value", function()
        local x = lx.arange(2 * 3 * 17 * 20):view(2, 3, 17, 20)
        for _, input in ipairs {x, blocked(x)} do
            local plan = {kernel = {17, 20}}
            local y, places = core.max_pool2d(input, plan)
            assert.is_true(lx.equal(y, x[{{}, {}, {17, 17}, {20, 20}}]))
            local dx = core.max_pool2d_backward(y, places, x.shape, plan)
            assert.is_true(lx.equal(dx[{{}, {}, {17, 17}, {20, 20}}], y))
            assert.equal(y:sum():item(), dx:sum():item())
        end
    end)
end)

describe("steps of optimisers", function()
    it("say that they have written parameter and state", function()
        local p, m, v = lx.ones(3), lx.zeros(3), lx.zeros(3)
        local before = {core.version(p), core.version(m), core.version(v)}
        core.adam_step(p, lx.ones(3), m, v, {lr = 0.1, beta1 = 0.9, beta2 = 0.999, eps = 0, step = 1})
        assert.same({before[1] + 1, before[2] + 1, before[3] + 1}, {core.version(p), core.version(m), core.version(v)})
        -- 1 - 0.999 to float accuracy, which 1.0f - 0.999f is not
        assert.is_true(math.abs(v[1] / 0.001 - 1) < 1e-6)
    end)
end)
