--- Matrix products against loops, at sizes around the edges of the kernels' tiles. The elements are small whole
-- numbers, of which every sum is exact: any order of additions must give the same.

local core = require "luxel.core"

local function whole(shape)
    local count, packed = 1, {}
    for _, size in ipairs(shape) do count = count * size end
    for i = 1, count do packed[i] = string.pack("<f", math.random(-4, 4)) end
    return core.from_string(table.concat(packed), shape, "float32")
end

local function turned(shape) return core.permute(whole {shape[2], shape[1]}, {2, 1}) end
local function spaced(shape) return core.select(whole {shape[1], shape[2], 2}, 3, 1) end
local layouts = {rows = whole, columns = turned, gaps = spaced}

local function by_loops(a, b)
    local left, right, product = core.to_table(a), core.to_table(b), {}
    for i = 1, a.shape[1] do
        product[i] = {}
        for j = 1, b.shape[2] do
            local sum = 0
            for k = 1, a.shape[2] do sum = sum + left[i][k] * right[k][j] end
            product[i][j] = sum
        end
    end
    return product
end

describe("matmul", function()
    -- one element; odd; around 8, 16 and 32; deep and narrow (cut depth); more rows than a block
    local sizes = {{1, 1, 1}, {5, 1, 7}, {9, 33, 31}, {33, 65, 63}, {37, 130, 15}, {2, 2100, 3}, {131, 70, 33},
                   {400, 40, 17}, {6, 300, 65}}
    for _, size in ipairs(sizes) do
        local m, k, n = table.unpack(size)
        it(("[%d,%d] x [%d,%d] in every layout"):format(m, k, k, n), function()
            for left_name, left in pairs(layouts) do
                for right_name, right in pairs(layouts) do
                    local a, b = left {m, k}, right {k, n}
                    assert.same(by_loops(a, b), core.to_table(core.matmul(a, b)), left_name .. " x " .. right_name)
                end
            end
        end)
    end

    it("broadcasts batches and drops the dimension of a vector", function()
        local a, b = whole {2, 1, 5, 6}, whole {3, 6, 7}
        local y = core.matmul(a, b)
        assert.same({2, 3, 5, 7}, y.shape)
        for i = 1, 2 do
            for j = 1, 3 do
                local expected = by_loops(core.select(core.select(a, 1, i), 1, 1), core.select(b, 1, j))
                assert.same(expected, core.to_table(core.select(core.select(y, 1, i), 1, j)))
            end
        end
        local rows = whole {4, 3, 6}
        local flat = core.matmul(core.reshape(rows, {12, 6}), core.select(b, 1, 1))
        assert.same(core.to_table(flat), core.to_table(core.reshape(core.matmul(rows, core.select(b, 1, 1)), {12, 7})))
        assert.same({2, 1, 5}, core.matmul(a, whole {6}).shape)
        assert.same({3, 7}, core.matmul(whole {6}, b).shape)
        assert.same({}, core.matmul(whole {6}, whole {6}).shape)
        assert.same({{0, 0}, {0, 0}}, core.to_table(core.matmul(whole {2, 0}, whole {0, 2})))
    end)

    it("does not depend on the number of threads", function()
        local threads, a, b = core.threads(), core.unary("sin", whole {37, 3001}), core.unary("sin", whole {3001, 41})
        local results = {}
        for count = 1, 3 do
            core.threads(count)
            results[count] = core.to_string(core.matmul(a, b))
        end
        core.threads(threads)
        assert.equal(results[1], results[2])
        assert.equal(results[1], results[3])
    end)

    it("names both shapes when they do not match", function()
        assert.error_matches(function() core.matmul(whole {3, 4}, whole {5, 6}) end,
            "matmul: shapes %[3,4%] and %[5,6%] do not match: 4 columns against 5 rows")
        assert.error_matches(function() core.matmul(whole {2, 3, 4}, whole {5, 4, 6}) end,
            "matmul: shapes %[2,3,4%] and %[5,4,6%] do not match: their batches do not broadcast")
        assert.error_matches(function() core.matmul(whole {}, whole {3}) end, "at least 1 dimension")
    end)
end)

describe("linear", function()
    it("is x w^T + b, with an activation if asked", function()
        for _, size in ipairs {{3, 5, 4}, {32, 300, 33}, {1, 64, 9}, {200, 70, 40}, {7, 2100, 2}} do
            local x, w, b = whole {size[1], size[2]}, whole {size[3], size[2]}, whole {size[3]}
            local expected = core.binary("add", core.matmul(x, core.permute(w, {2, 1})), b)
            assert.same(core.to_table(expected), core.to_table(core.linear(x, w, b)))
            for name in pairs(core.activations_in_passing()) do
                assert.same(core.to_table(core.unary(name, expected)), core.to_table(core.linear(x, w, b, name)))
            end
        end
        assert.same({2, 3, 5}, core.linear(whole {2, 3, 4}, whole {5, 4}).shape)
        assert.same({5}, core.linear(whole {4}, whole {5, 4}).shape)
        local bias = whole {3}
        assert.same({core.to_table(bias)}, core.to_table(core.linear(whole {1, 0}, whole {3, 0}, bias)))
    end)

    it("names the shapes that do not match", function()
        assert.error_matches(function() core.linear(whole {2, 3}, whole {4, 5}) end,
            "linear: input %[2,3%] and weight %[4,5%] do not match: the weight must be %[out, 3%]")
        assert.error_matches(function() core.linear(whole {2, 3}, whole {4, 3}, whole {3}) end,
            "linear: bias %[3%] does not match weight %[4,3%]: it must be %[4%]")
    end)
end)
