--- Tensors from the user's side: making, indexing, printing, converting, and the errors on the way. What the operations
-- compute is checked in operations_spec.

local lx = require "luxel"

describe("constructors", function()
    it("take nested tables of every dtype", function()
        local t = lx.tensor {{1, 2, 3}, {4, 5, 6.5}}
        assert.same({2, 3}, t.shape)
        assert.same({{1, 2, 3}, {4, 5, 6.5}}, t:totable())
        assert.same({{0, 255}}, lx.tensor({{0, 255}}, {dtype = "uint8"}):totable())
        assert.same({-5, 2147483647}, lx.tensor({-5, 2147483647}, {dtype = "int32"}):totable())
        assert.same({}, lx.tensor(7).shape)
        assert.equal(7, lx.tensor(7):item())
        assert.same({0}, lx.tensor({}).shape)
    end)

    it("refuse what does not fit, and say why", function()
        assert.error_matches(function() lx.tensor {{1, 2}, {3}} end, "different lengths.*%[2,2%]")
        assert.error_matches(function() lx.tensor {1, "x"} end, "expected a number, got string")
        assert.error_matches(function() lx.tensor({300}, {dtype = "uint8"}) end, "does not fit into uint8")
        assert.error_matches(function() lx.zeros(2, "x") end, "zeros: argument 2: expected an integer.*got \"x\"")
        assert.error_matches(function() lx.zeros(2, -1) end, "cannot make a tensor of shape %[2,%-1%]")
        assert.error_matches(function() lx.zeros {1, 1, 1, 1, 1, 1, 1, 1, 1} end, "at most 8 dimensions, asked for 9")
        assert.error_matches(function() lx.ones(2, {dtype = "float64"}) end, "float64")
        assert.error_matches(function() lx.ones(2, {device = "abacus"}) end, "there is no device 'abacus'")
        local nothing, message, code = lx.device("abacus")
        assert.is_nil(nothing)
        assert.matches("there is no device 'abacus'", message)
        assert.equal("device", code)
        assert.equal("cpu", lx.device("cpu").kind)
        assert.error_matches(function() lx.from_string("abc", {1}) end, "takes 4 bytes, got 3")
    end)

    it("count, space and mark", function()
        assert.same({0, 1, 2, 3, 4}, lx.arange(5):totable())
        assert.same({2, 4, 6}, lx.arange(2, 7, 2):totable())
        assert.same({3, 2, 1}, lx.arange(3, 0, -1):totable())
        assert.same({0, 0.25, 0.5, 0.75, 1}, lx.linspace(0, 1, 5):totable())
        assert.same({{1, 0}, {0, 1}}, lx.eye(2):totable())
        assert.same({{7, 7}}, lx.full({1, 2}, 7):totable())
        assert.same({4, 6}, lx.zeros(4, 6).shape)
        assert.equal("uint8", lx.ones({3}, {dtype = "uint8"}).dtype)
    end)

    it("draw random numbers that a seed repeats", function()
        lx.manual_seed(42)
        local a, b = lx.rand(1001), lx.rand(1001)
        lx.manual_seed(42)
        assert.is_true(lx.equal(a, lx.rand(1001)))
        assert.is_false(lx.equal(a, b))
        assert.is_true(a:min():item() >= 0 and a:max():item() < 1)
        local n = lx.randn(20000)
        assert.is_true(math.abs(n:mean():item()) < 0.03 and math.abs(n:std():item() - 1) < 0.03)
        local whole = lx.randint(3, 6, {5000})
        assert.same({3, 5}, {whole:min():item(), whole:max():item()})
        local order = lx.randperm(101):sort()
        assert.is_true(lx.equal(order, lx.arange(1, 102)))
    end)
end)

describe("a row longer than one work-item sorts", function()
    local SIZES <const> = {8191, 8192, 8193, 16384, 20000, 70001} -- around 8192, and of one to four rounds of merging

    it("is sorted, each value with its place", function()
        for _, size in ipairs(SIZES) do
            local x = lx.randperm(size)
            local up, from = x:sort()
            assert.is_true(lx.equal(up, lx.arange(1, size + 1)), size)
            assert.is_true(lx.equal(x:index_select(1, from), up), size)
            assert.is_true(lx.equal((x:sort(1, true)), lx.arange(size, 0, -1)), size)
        end
    end)

    it("keeps the order of equal values, up and down", function()
        for _, size in ipairs(SIZES) do
            local x = lx.randint(0, 3, {size})
            for _, descending in ipairs {false, true} do
                local values, places = x:sort(1, descending)
                local same = values:narrow(1, 1, size - 1):eq(values:narrow(1, 2, size - 1))
                local later = places:narrow(1, 1, size - 1):lt(places:narrow(1, 2, size - 1))
                assert.is_true(lx.equal(same, same * later), size)
            end
        end
    end)
end)

describe("indexing", function()
    local t
    before_each(function() t = lx.arange(24):view(2, 3, 4) end)

    it("reads elements, rows, ranges, and by indices", function()
        assert.equal(23, t[2][3][4])
        assert.equal(23, t[-1][-1][-1])
        assert.equal(6, t[{1, 2, 3}])
        assert.same({{4, 5, 6, 7}, {16, 17, 18, 19}}, t[{{}, 2}]:totable())
        assert.same({{1, 2}, {5, 6}}, t[{1, {1, 2}, {2, 3}}]:totable())
        assert.same({{{20, 21, 22, 23}}}, t[{{2}, {-1, -1}}]:totable())
        local order = lx.tensor({2, 1, 2}, {dtype = "int32"})
        assert.same({12, 0, 12}, t[order][{{}, 1, 1}]:totable())
    end)

    it("writes numbers, tensors and masks", function()
        t[1] = 0
        t[{2, {2, 3}, 4}] = lx.tensor {-1, -2}
        assert.equal(0, t[1]:sum():item())
        assert.same({{12, 13, 14, 15}, {16, 17, 18, -1}, {20, 21, 22, -2}}, t[2]:totable())
        t[t:lt(0)] = 9
        assert.equal(9, t[{2, 3, 4}])
        local flat = t:view(24)
        flat[24] = 5
        assert.equal(5, t[{2, 3, 4}])
    end)

    it("names what is out of range", function()
        assert.error_matches(function() return t[3] end, "index 3 is out of range for dimension 1 of shape %[2,3,4%]$")
        assert.error_matches(function() return t[0] end, "index 0 is out of .* %[2,3,4%]; indices count from 1")
        assert.error_matches(function() return t:sum(0) end, "sum: dimension 0 is out of .*; dimensions count from 1")
        assert.error_matches(function() return t[{1, 1, 1, 1}] end, "4 indices for a tensor of shape %[2,3,4%]")
        assert.error_matches(function() return t[{{1, 5}}] end,
            "index: {1, 5} is out of range for dimension 1 of shape %[2,3,4%]")
        assert.error_matches(function() return t[true] end, "indexed by")
        assert.error_matches(function() t.colour = 1 end, "no field 'colour'")
        assert.error_matches(function() return t.colour end, "a tensor has no field or method 'colour'")
    end)
end)

describe("views", function()
    it("share memory and know when they cannot", function()
        local t = lx.arange(6):view(2, 3)
        local other = t:t()
        other[{1, 2}] = 99
        assert.equal(99, t[{2, 1}])
        assert.is_false(other:is_contiguous())
        assert.error_matches(function() return other:view(6) end, "use reshape")
        assert.same({0, 99, 1, 4, 2, 5}, other:reshape(6):totable())
        assert.same({3, 2}, t:view(-1, 2).shape)
        assert.error_matches(function() return lx.zeros(0, 3):view(-1, 0) end, "cannot be seen as")
        assert.error_matches(function() return t:view(-1, 4) end, "cannot be seen as")
        assert.error_matches(function() return t:view(4, 2) end,
            "shape %[2,3%] %(6 elements%) cannot be seen as %[4,2%]")
        assert.same({4, 2, 3}, t:expand(4, 2, 3).shape)
        assert.error_matches(function() return t:expand(4, 3) end, "expand: shape %[2,3%] cannot become %[4,3%]")
        assert.same({1, 2, 1, 3}, t:unsqueeze(1):unsqueeze(3).shape)
        assert.same({2, 3}, t:unsqueeze(1):unsqueeze(3):squeeze().shape)
    end)

    it("may overlap what they are copied to", function()
        local t = lx.arange(9):view(3, 3)
        t:copy_(t:t())
        assert.same({{0, 3, 6}, {1, 4, 7}, {2, 5, 8}}, t:totable())
        local row = lx.arange(6)
        row:narrow(1, 2, 5):copy_(row:narrow(1, 1, 5))
        assert.same({0, 0, 1, 2, 3, 4}, row:totable())
    end)
end)

describe("conversion", function()
    it("saturates, rounds towards zero, and turns NaN into 0", function()
        local t = lx.tensor {-3.7, 2.9, 255.5, 300, 1e20, 0 / 0}
        assert.same({0, 2, 255, 255, 255, 0}, t:byte():totable())
        assert.same({-3, 2, 255, 300, 2147483647, 0}, t:int():totable())
        assert.same({1, 200}, lx.tensor({1, 200}, {dtype = "uint8"}):float():totable())
        -- more than one vector, and a rest
        local ends = lx.tensor {-1 / 0, -3e9, -2147483648, -0.5, 2147483520, 2147483648, 1 / 0}
        ends = ends:reshape(7, 1):expand(7, 11)
        assert.same({0, 0, 0, 0, 255, 255, 255}, ends:byte():narrow(2, 11, 1):reshape(7):totable())
        assert.same({-2147483648, -2147483648, -2147483648, 0, 2147483520, 2147483647, 2147483647},
            ends:int():narrow(2, 11, 1):reshape(7):totable())
        assert.same({0, 254, 255}, lx.tensor({-5, 254, 256}, {dtype = "int32"}):byte():totable())
    end)

    it("goes to bytes and back", function()
        local t = lx.randn(3, 5):t()
        local back = lx.from_string(t:tostring_bytes(), {5, 3})
        assert.is_true(lx.equal(t, back))
        assert.equal(t, back)
        assert.is_true(lx.allclose(t, back + 1e-7))
        assert.is_false(lx.allclose(t, back + 0.1))
        assert.is_false(lx.equal(t, lx.ones(2)))
    end)
end)

describe("printing", function()
    it("aligns columns and says what it is", function()
        assert.equal("   1  -2\n   3  40\n[float32 2×2, cpu]", tostring(lx.tensor {{1, -2}, {3, 40}}))
        assert.equal("   0.5000  -1.2500\n[float32 2, cpu]", tostring(lx.tensor {0.5, -1.25}))
        assert.equal("  7\n[int32 no dimensions, cpu]", tostring(lx.tensor(7, {dtype = "int32"})))
        assert.equal("[float32 0×3, cpu]", tostring(lx.zeros(0, 3)))
        assert.matches("%(1,%.,%.%) =\n  1  1\n%(2,%.,%.%) =", tostring(lx.ones(2, 1, 2)))
        assert.matches("nan", tostring(lx.tensor {0 / 0, 1}))
    end)

    it("is cut into chunks of one size, the last of what is left", function()
        for total = 1, 9 do
            for n = 1, 10 do
                local size, first = math.ceil(total / n), 0
                local parts = lx.arange(total):chunk(n)
                assert.equal(math.ceil(total / size), #parts)
                for _, part in ipairs(parts) do
                    assert.equal(math.min(size, total - first), part:numel())
                    assert.equal(first, part[1])
                    first = first + part:numel()
                end
                assert.equal(total, first)
                assert.equal(#parts, #lx.arange(2 * total):view(2, total):chunk(n, -1))
            end
        end
    end)

    it("prints all numbers in one way that fits them", function()
        for _, case in ipairs {
            {{1 / 0, -1 / 0, 0 / 0, 3}, "inf -inf nan 3"},
            {{1 / 0, -1 / 0, 0.5}, "inf -inf 0.5000"},
            {{99999992, -1}, "99999992 -1"},
            {{1e8, -1}, "1.0000e+08 -1.0000e+00"},
            {{99999, 0.5}, "99999.0000 0.5000"},
            {{1e5, 0.5}, "1.0000e+05 5.0000e-01"},
            {{0.0101, -0.005}, "0.0101 -0.0050"},
            {{0.0099, 0}, "9.9000e-03 0.0000e+00"},
            {{0.5, 0}, "0.5000 0.0000"},
            {{-0.00005, 4}, "0.0000 4.0000"},
            {{0.00005, 6}, "5.0000e-05 6.0000e+00"},
            {{0.001, 900.5}, "0.0010 900.5000"},
        } do
            local cells = {}
            for cell in tostring(lx.tensor(case[1])):match("^[^\n]*"):gmatch("%S+") do cells[#cells + 1] = cell end
            assert.equal(case[2], table.concat(cells, " "))
        end
    end)

    it("shows up to a thousand elements whole", function()
        assert.not_matches("…", tostring(lx.arange(1000)))
        assert.matches("…", tostring(lx.arange(1001)))
        assert.matches(" 500 ", " " .. tostring(lx.arange(1000)):gsub("%s+", " ") .. " ")
    end)

    it("leaves out the middle of large tensors", function()
        local text = tostring(lx.arange(10000):view(100, 100))
        assert.is_true(#text < 1000)
        assert.matches("9999", text)
        assert.matches("…", text)
        assert.matches("%[float32 100×100, cpu%]", text)
    end)
end)

describe("arithmetic", function()
    it("broadcasts, and names both shapes where it cannot", function()
        assert.error_matches(function() return lx.ones(2, 3) + lx.ones(4) end,
            "add: shapes %[2,3%] and %[4%] do not broadcast")
        assert.error_matches(function() lx.ones(3):add_(lx.ones(2, 3)) end,
            "add_: shape %[2,3%] does not fit into %[3%]")
        assert.has_error(function() return lx.ones(3) + "x" end)
    end)

    it("is exact on bytes and comparisons give 0 and 1", function()
        local a = lx.tensor({250, 10}, {dtype = "uint8"})
        assert.same({500, 20}, (a + a):totable())
        assert.same({1, 0}, a:gt(100):totable())
        assert.equal("uint8", a:gt(100).dtype)
    end)

    it("guards tensors in a recorded graph against changes in place", function()
        local w = lx.ones({3}, {requires_grad = true})
        assert.error_matches(function() w:add_(1) end, "no_grad")
        lx.no_grad(function() w:add_(1) end)
        local x = lx.ones(3)
        local y = (w * x):sum()
        x:mul_(2)
        assert.error_matches(function() y:backward() end, "changed in place")
    end)
end)

-- The message of the error that a call raises, without the place.
local function message(f, ...)
    local ok, text = pcall(f, ...)
    assert.is_false(ok)
    return (text:gsub("^[^:]+:%d+: ", ""))
end

local function ints(values) return lx.tensor(values, {dtype = "int32"}) end
local function bytes(values) return lx.tensor(values, {dtype = "uint8"}) end

describe("a key", function()
    local v = lx.arange(10)

    it("takes steps, and writes by them", function()
        assert.same({0, 2, 4, 6, 8}, v[{{1, 10, 2}}]:totable())
        assert.same({6, 9}, v[{{-4, -1, 3}}]:totable())
        assert.same({0}, v[{{1, 3, 5}}]:totable())
        local m = lx.zeros(5, 7)
        m[{{2, 5, 3}, {1, 7, 4}}] = lx.tensor {{1, 2}, {3, 4}}
        assert.same({{0, 0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 2, 0, 0}, {0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0},
            {3, 0, 0, 0, 4, 0, 0}}, m:totable())
        assert.is_true(lx.gradcheck(function(x) return x[{{1, 5, 2}, {2, 6, 3}}] * 3 end,
            {lx.randn({5, 7}, {requires_grad = true})}))
    end)

    it("that means nothing raises", function()
        local m = lx.zeros(3, 4)
        for _, case in ipairs {
            {v, {nil, 1}, "index: 2 indices for a tensor of shape %[10%]"},
            {m, {nil, 1}, "index: place 1 of the list is nil; {} stands for the whole of a dimension"},
            {v, {{2, 1}}, "index: {2, 1} for dimension 1 runs backwards; flip%(1%)"},
            {v, {{0, 1}}, "index: {0, 1} is out of range for dimension 1 of shape %[10%]"},
            {v, {{1, 11}}, "index: {1, 11} is out of range"}, {v, {{-11, 1}}, "index: {%-11, 1} is out of range"},
            {v, {{1, 10, 0}}, "index: the step for dimension 1 must be at least 1, got 0"},
            {v, {{10, 1, -1}}, "index: {10, 1} for dimension 1 runs backwards; flip"},
            {v, {{1, 10, -1}}, "index: the step .* must be at least 1, got %-1; flip"},
            {v, {{nil, 3}}, "index: place 1 of the list: .* nil first"}, {v, {{1, nil, 3}}, "nil second"},
            {v, {{1, 2, 3, 4}}, "the key 4"}, {v, {{from = 1}}, "nil first"}, {v, {{1.5}}, "got 1.5"},
            {v, {"x"}, 'index: place 1 of the list: expected an integer, .* got "x"'},
            {v, {x = 1}, "the key 'x'"},
            {v, 0, "index: index 0 is out of range"},
            {v, 11, "index: index 11 is out of range"}, {v, -11, "%-11 is out"},
            {v, 1.5, "expected an integer.*, got 1.5"}, {v, 0 / 0, "expected an integer.*, got %-?nan"},
            {v, math.mininteger, "out of range"}, {v, {math.maxinteger}, "out of range"}, {v, true, "is indexed by"},
            {m, {1, 2, 3}, "index: 3 indices"},
            {m, {{}, {3, 5}}, "{3, 5} is out of range for dimension 2 of shape %[3,4%]"},
            {lx.tensor(5), 1, "index: a tensor without dimensions"}, {v, lx.tensor {1.7}, "index: .* got float32"},
            {v, {ints {1}}, "a tensor of positions stands alone"}, {v, ints {11}, "index 11, at place 1"},
            {m, bytes {1, 0}, "index: a mask of shape %[2%] for a tensor of shape %[3,4%]"},
        } do
            assert.matches(case[3], message(function() local x = case[1][case[2]] return x end))
            assert.matches(case[3], message(function() case[1][case[2]] = 5 end))
        end
        assert.is_true(lx.equal(v, lx.arange(10)))
        assert.matches('assignment: expected a number or a tensor, got "x"', message(function() v[1] = "x" end))
        assert.matches("assignment: expected a number or a tensor, got nil", message(function() v[v:gt(1)] = nil end))
    end)

    it("reads by masks and positions what it writes by them", function()
        local m = lx.arange(12):view(4, 3)
        local mask = m:gt(4)
        local other = lx.zeros(4, 3)
        other[mask] = m[mask]
        assert.same({{0, 0, 0}, {0, 0, 5}, {6, 7, 8}, {9, 10, 11}}, other:totable())
        local rows = bytes {1, 0, 0, 1}
        assert.same({{0, 1, 2}, {9, 10, 11}}, m[rows]:totable())
        other[rows] = m[rows] * 2
        assert.same({{0, 2, 4}, {0, 0, 5}, {6, 7, 8}, {18, 20, 22}}, other:totable())
        other[ints {2, 1, 2}] = lx.tensor {{1, 1, 1}, {2, 2, 2}, {3, 3, 3}}
        assert.same({{2, 2, 2}, {3, 3, 3}}, other[{{1, 2}}]:totable())
        assert.same({0, 3}, m[bytes {0, 0, 0, 0}].shape)
        other[bytes {0, 0, 0, 0}] = 7
        assert.same({0}, m[m:gt(99)].shape)
        assert.matches("the mask has 7 places, for which the value must have shape %[7%]",
            message(function() other[mask] = lx.ones(3) end))
        local counts = ints {5, 6, 7}
        assert.matches("1.5 does not fit into int32", message(function() counts[counts:gt(5)] = 1.5 end))
        assert.is_true(lx.gradcheck(function(x) return x[mask] * x[mask], x[rows], x[ints {3, 3, 1}] end,
            {lx.randn({4, 3}, {requires_grad = true})}))
    end)

    it("ends ipairs, and only that", function()
        local seen = {}
        for i, row in ipairs(lx.arange(6):view(3, 2)) do seen[i] = row:totable() end
        assert.same({{0, 1}, {2, 3}, {4, 5}}, seen)
        for i, x in ipairs(lx.arange(3)) do
            assert.equal(i - 1, x)
            assert.matches("index 4 is out of range", message(function() return lx.zeros(3)[4] end))
        end
        for _ in ipairs(lx.zeros(0, 2)) do error("there is nothing") end
        assert.matches("without dimensions", message(function() for _ in ipairs(lx.tensor(1)) do error("no") end end))
        assert.matches("ipairs%(t%)", message(function() for _ in pairs(v) do error("no") end end))
    end)
end)

describe("integers", function()
    local large = ints {16777216, 16777217, -16777217, 2147483647, -2147483648}

    it("compare exactly, with each other and with numbers", function()
        local numbers = {16777216, 16777217, -16777217, 2147483647, -2147483648}
        local others = {16777217, 16777216.5, -16777217.5, 2147483648, -2147483649, 3e9, -3e9, math.huge, -math.huge,
            0 / 0, 2147483647, -2147483648, 2147483646.5}
        local compare = {
            eq = function(a, b) return a == b end, ne = function(a, b) return a ~= b end,
            lt = function(a, b) return a < b end, le = function(a, b) return a <= b end,
            gt = function(a, b) return a > b end, ge = function(a, b) return a >= b end,
        }
        for name, f in pairs(compare) do
            for _, other in ipairs(others) do
                local got, swapped = large[name](large, other):totable(), lx[name](other, large):totable()
                for i, number in ipairs(numbers) do
                    local where = ("%.1f %s %s"):format(number, name, other)
                    assert.equal(f(number, other) and 1 or 0, got[i], where)
                    assert.equal(f(other, number) and 1 or 0, swapped[i], "swapped: " .. where)
                end
            end
            local column = large:view(5, 1)
            local got = column[name](column, large):totable()
            for i, a in ipairs(numbers) do
                for j, b in ipairs(numbers) do assert.equal(f(a, b) and 1 or 0, got[i][j]) end
            end
        end
        assert.is_false(lx.equal(ints {16777216}, ints {16777217}))
        assert.same({0, 1}, bytes({3, 4}):eq(ints {259, 4}):totable())
        assert.equal(5, large:ne(0):sum():item())
    end)

    it("are computed exactly or not at all", function()
        local small = ints {16777215, 3}
        assert.equal(16777215, small[1])
        assert.same({16777215, 3}, (small * 1):totable())
        for name, f in pairs {
            add = function() return small + 1 end, sub = function() return small - -1 end,
            mul = function() return ints {4097} * ints {4097} end, pow = function() return ints {4097} ^ 2 end,
            square = function() return ints({4097}):square() end, sum = function() return small:sum() end,
            prod = function() return ints({4097, 4097}):prod() end, cumsum = function() return small:cumsum(1) end,
            max = function() return large:max() end, sort = function() return large:sort() end,
            argmax = function() return large:argmax() end, exp = function() return large:exp() end,
            where = function() return lx.where(bytes {1}, large, 0) end,
            matmul = function() return small:matmul(small) end,
            mean = function() return ints({16777215, 16777215, -5}):mean() end,
        } do
            assert.matches("^" .. name .. ": .*:float", message(function() local y = f() return y end), name)
        end
        assert.matches("^add: .*16777216", message(function() local y = ints {1} + 16777216 return y end))
        assert.equal(16777218, (ints({16777217}):float() + 2):item()) -- asked for
        assert.equal(-5, ints({16777210, -16777210, -5}):float():sum():item())
        assert.matches("^sum: ", message(function() ints({16777210, -16777210, -5}):sum() end))
    end)

    it("are counted exactly", function()
        assert.same({16777217, 16777218}, lx.arange(16777217, 16777219, 1, {dtype = "int32"}):totable())
        assert.same({2147483647, 2147483646}, lx.arange(2147483647, 2147483645, -1, {dtype = "int32"}):totable())
        assert.matches("^arange: .* do not fit into int32",
            message(function() lx.arange(2147483647, 2147483649, 1, {dtype = "int32"}) end))
        assert.matches("^arange: .* no integers", message(function() lx.arange(0, 1, 0.5, {dtype = "int32"}) end))
        assert.matches("^arange: 0 to 256 do not fit into uint8",
            message(function() lx.arange(257, {dtype = "uint8"}) end))
        assert.same({0, 255}, lx.arange(256, {dtype = "uint8"})[{{1, 256, 255}}]:totable())
    end)

    it("take no fraction and nothing out of range", function()
        for _, dtype in ipairs {"uint8", "int32"} do
            for _, value in ipairs {1.5, -0.5, 0 / 0, math.huge, 2 ^ 31, -2 ^ 31 - 1} do
                for _, f in ipairs {
                    function() lx.tensor({value}, {dtype = dtype}) end,
                    function() lx.tensor(value, {dtype = dtype}) end,
                    function() lx.full({2}, value, {dtype = dtype}) end,
                    function() lx.zeros({2}, {dtype = dtype}):fill_(value) end,
                    function() lx.zeros({2}, {dtype = dtype})[1] = value end,
                    function() lx.zeros({2}, {dtype = dtype})[bytes {1, 0}] = value end,
                } do
                    assert.matches("does not fit into " .. dtype, message(f))
                end
            end
        end
        assert.matches("^randint: 250 to 299 do not fit into uint8",
            message(function() lx.randint(250, 300, {2}, {dtype = "uint8"}) end))
        assert.matches("^randint: high: expected more than low", message(lx.randint, 3, 3, {1}))
    end)
end)

describe("any and all", function()
    it("say of no elements that none is not 0, and that none is 0", function()
        assert.equal(0, lx.zeros(0):any():item())
        assert.equal(1, lx.zeros(0):all():item())
        assert.same({0, 0, 0}, lx.zeros(0, 3):any(1):totable())
        assert.same({{1}, {1}}, lx.zeros(2, 0):all(2, true):totable())
        assert.equal("uint8", lx.zeros(0):all().dtype)
        local x = lx.tensor {{0, 0 / 0}, {0, 2}}
        assert.same({0, 1}, x:any(1):totable())
        assert.same({0, 1}, x:all(1):totable())
        assert.same({0, 0}, x:all(2):totable())
        assert.equal(1, lx.ones(300):any():item()) -- more than a byte counts
    end)
end)

describe("cumsum of int32", function()
    it("takes as many dimensions as there may be", function()
        local x = lx.arange(6):to("int32"):view(1, 1, 1, 1, 1, 1, 2, 3)
        assert.same({0, 1, 3, 3, 7, 12}, x:cumsum(8):flatten():totable())
    end)

    it("goes along any of eight dimensions", function()
        local x = lx.tensor({1, 2, 3, 4, 5, 6, 7, 8}, {dtype = "int32"}):view(1, 2, 1, 2, 1, 1, 1, 2)
        assert.same({1, 3, 3, 7, 5, 11, 7, 15}, x:cumsum(8):flatten():totable())
        assert.same({1, 2, 3, 4, 6, 8, 10, 12}, x:cumsum(2):flatten():totable())
    end)
end)

describe("options by name", function()
    it("are taken by reductions, and refused where they are misspelt", function()
        local x = lx.tensor {{1, 2}, {3, 5}}
        for _, name in ipairs {"sum", "prod", "mean", "max", "min", "any", "all", "var", "std", "argmax", "argmin",
            "median"} do
            local by_place, by_name = x[name](x, 1, true), x[name](x, {dim = 1, keepdim = true})
            assert.is_true(lx.equal(by_place, by_name), name)
            assert.matches("^" .. name .. ": dim: unknown option 'dimm' %(did you mean 'dim'%?%)",
                message(function() x[name](x, {dimm = 1}) end))
            assert.matches("^" .. name .. ": ", message(function() x[name](x, 3) end))
        end
        assert.equal(39, x:norm(2, {dim = {1, 2}}):square():round():item())
    end)

    it("are refused by everything that takes none", function()
        local w = lx.ones({1}, {requires_grad = true})
        for _, f in ipairs {
            function() lx.zeros(2, {dtyp = "int32"}) end, function() lx.tensor({1}, {devise = "cpu"}) end,
            function() lx.eye(2, {dtype = "int64"}) end, function() (w * 2):backward(nil, {retain = true}) end,
            function() lx.arange(5, {dtyp = "int32"}) end, function() lx.rand(2, {dtype = "int32"}) end,
            function() lx.full({2}, 1, {dtype = "float"}) end, function() w:to "float64" end,
            function() w:to "int" end,
        } do
            assert.is_false(pcall(f))
        end
        assert.matches('^to: target: expected a dtype %(float32, uint8, int32%) or a device %(cpu.*%), got "float64"',
            message(function() w:to "float64" end))
    end)
end)

describe("mistakes", function()
    it("are explained in the words of the caller", function()
        local x = lx.ones(2)
        for _, case in ipairs {
            {function() return x + nil end, "add: other: expected a tensor or a number, got nil"},
            {function() return nil + x end, "add: t: expected a tensor or a number, got nil"},
            {function() return x % "y" end, "remainder: other: expected a tensor or a number, got y"},
            {function() return x.sum() end, "sum: t: .* called with a colon, as in t:sum"},
            {function() return x:tolist() end, "no field or method 'tolist' %(did you mean 'totable'%?%)"},
            {function() return x:Sum() end, "'Sum' %(did you mean 'sum'%?%)"},
            {function() return x.shpae end, "'shpae' %(did you mean 'shape'%?%)"},
            {function() x.grda = x end, "no field 'grda' to set"},
            {function() return x < x end, "< is not defined for tensors; compare elements with a:lt%(b%)"},
            {function() return x >= x end, "<= is not defined for tensors"},
            {function() return lx.tensor {"5"} end, "tensor: expected a number, got string"},
            {function() return lx.tensor {a = 1} end,
                "tensor: expected a list of numbers, got a table with the key 'a'"},
            {function() return x:narrow(1, 1, 7) end,
                "narrow: 7 elements from 1 do not fit dimension 1 of shape %[2%]"},
            {function() return x:add(1, 2) end, "add: takes 1 argument, got 2 besides"},
            {function() return lx.add(1, 2) end, "add: "}, {function() return x:flatten(1, 0) end, "flatten: "},
        } do
            assert.matches(case[2], message(function() local y = case[1]() return y end))
        end
        assert.is_false(x == 5)
        assert.is_false(x == io.stdout)
        assert.is_true(x == lx.ones(2))
    end)

    it("of gradients are found by gradcheck", function()
        local x = lx.tensor({0.5, -1, 2}, {requires_grad = true})
        local half = lx.autograd.define("half_a_slope", {
            forward = function(_, t) return t * 2 end, backward = function(_, grad) return grad end,
        })
        local ok, problem = lx.gradcheck(half, {x})
        assert.is_false(ok)
        assert.matches("^gradcheck: the gradient of input 1 at element 1 is", problem)
        assert.is_true(lx.gradcheck(function(t, n) return t ^ n, t:exp() end, {x, 2}))
        local used, unused = lx.gradcheck(function() return x * 2 end, {x})
        assert.is_false(used)
        assert.matches("^gradcheck: no gradient reaches input 1; ", unused)
        local layer = lx.nn.Linear(3, 2)
        assert.is_true(lx.gradcheck(function(t, weight)
            layer.weight = lx.nn.Parameter(weight)
            return layer(t)
        end, {x, layer.weight}))
        assert.matches("^gradcheck: inputs: ", message(lx.gradcheck, function(t) return t end, {lx.ones(2)}))
    end)
end)

describe("what prints itself", function()
    it("are shapes, which also compare, and the use of memory", function()
        local shape = lx.zeros(2, 3).shape
        assert.equal("[2,3]", tostring(shape))
        assert.equal("shape [2,3]", "shape " .. shape)
        assert.is_true(shape == lx.ones(2, 3).shape)
        assert.is_true(shape == {2, 3})
        assert.is_false(shape == lx.ones(3, 2).shape)
        assert.equal("2×3", table.concat(shape, "×"))
        assert.equal(2, #shape)
        assert.matches("^memory: live", tostring(lx.memory()))
    end)

    it("are large integers, with all their digits", function()
        assert.equal("    123456789  -2147483648\n[int32 2, cpu]", tostring(ints {123456789, -2147483648}))
        assert.equal("  1  0\n[uint8 2, cpu]", tostring(bytes {1, 0}))
        assert.equal("   nan   inf  -inf\n[float32 3, cpu]", tostring(lx.tensor {0 / 0, math.huge, -math.huge}))
        assert.equal("  nan  nan\n[float32 2, cpu]", tostring(lx.full({2}, 0 / 0)))
    end)
end)
