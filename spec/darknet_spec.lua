-- Layers as darknet has them, and its files, against its own numbers where these are there (LUXEL_DARKNET, default
-- ../shared/darknet), and against plain loops everywhere.

local json = require "luxel.json"
local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local ROOT <const> = os.getenv("LUXEL_DARKNET") or "../shared/darknet"

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

local function has_golden()
    local file = io.open(ROOT .. "/micro.json")
    if file then file:close() end
    return file ~= nil
end

-- A test that wants darknet's own numbers.
local function golden(name, f)
    it(name, function()
        if not has_golden() then return pending("no darknet numbers in " .. ROOT) end
        f()
    end)
end

local micro -- of micro.json

local function micro_of(name)
    micro = micro or assert(json.decode(read(ROOT .. "/micro.json")))
    return micro[name]
end

local function flat(tensor) return tensor:contiguous():reshape(-1):totable() end

local function assert_near(expected, actual, tolerance, what)
    assert.equal(#expected, #actual)
    local largest, worst = 0, 0
    for i = 1, #expected do
        if expected[i] ~= actual[i] then worst = math.max(worst, math.abs(expected[i] - actual[i])) end
        if expected[i] - expected[i] == 0 then largest = math.max(largest, math.abs(expected[i])) end
        assert.is_true(actual[i] == actual[i], (what or "a value") .. " is NaN")
    end
    assert.is_true(worst <= tolerance * math.max(largest, 1e-9),
        ("%s: %g of %g"):format(what or "largest difference", worst, largest))
end

local function devices()
    local list = {"cpu"}
    if lx.device("opencl") then list[2] = "opencl" end
    return list
end

describe("Reorg", function()
    -- y[...] = x[...] by the definitions, over plain lists.
    local function plain(x, c, h, w, s, order)
        local y = {}
        local place = 0
        if order == "darknet" then
            for i = 0, s - 1 do
                for j = 0, s - 1 do
                    for k = 0, c // (s * s) - 1 do
                        for v = 0, h - 1 do
                            for u = 0, w - 1 do
                                place = place + 1
                                y[place] = x[(((k * h + v) * s + i) * w + u) * s + j + 1]
                            end
                        end
                    end
                end
            end
        elseif order == "space_to_depth" then
            for i = 0, s - 1 do
                for j = 0, s - 1 do
                    for k = 0, c - 1 do
                        for v = 0, h // s - 1 do
                            for u = 0, w // s - 1 do
                                place = place + 1
                                y[place] = x[(k * h + v * s + i) * w + u * s + j + 1]
                            end
                        end
                    end
                end
            end
        else
            local less = c // (s * s)
            for k = 0, less - 1 do
                for v = 0, h * s - 1 do
                    for u = 0, w * s - 1 do
                        place = place + 1
                        local channel = (v % s * s + u % s) * less + k
                        y[place] = x[(channel * h + v // s) * w + u // s + 1]
                    end
                end
            end
        end
        return y
    end

    it("moves pixels as its definition says, on each device, for odd sizes", function()
        for _, device in ipairs(devices()) do
            for _, case in ipairs {{4, 4, 6, 2}, {9, 3, 6, 3}, {8, 2, 2, 2}, {4, 6, 2, 1}, {18, 9, 3, 3}} do
                local c, h, w, s = table.unpack(case)
                local x = lx.randn({2, c, h, w})
                local each = c * h * w
                local numbers = flat(x)
                for _, order in ipairs {"darknet", "space_to_depth", "depth_to_space"} do
                    local y = nn.Reorg(s, {order = order})(x:to(device)):to("cpu")
                    local expected = plain(table.move(numbers, 1, each, 1, {}), c, h, w, s, order)
                    table.move(plain(table.move(numbers, each + 1, 2 * each, 1, {}), c, h, w, s, order), 1, each,
                        each + 1, expected)
                    assert.same(order == "depth_to_space" and {2, c // (s * s), h * s, w * s}
                        or {2, c * s * s, h // s, w // s}, {table.unpack(y.shape)})
                    assert.same(expected, flat(y))
                end
            end
        end
    end)

    it("has inverses: depth_to_space of space_to_depth is the image", function()
        local x = lx.randn(2, 3, 6, 4)
        local there = F.reorg(x, 2)
        assert.same(flat(x), flat(F.reorg(there, 2, {order = "depth_to_space"})))
    end)

    it("has gradients", function()
        for _, order in ipairs {"darknet", "space_to_depth", "depth_to_space"} do
            local x = lx.randn({2, 4, 4, 2}, {requires_grad = true})
            assert(lx.gradcheck(function(v) return F.reorg(v, 2, {order = order}) end, {x}))
        end
    end)

    it("refuses sizes that do not divide", function()
        assert.error_matches(function() F.reorg(lx.ones(1, 3, 4, 4), 2, {order = "darknet"}) end,
            "reorg: expected channels that 4 .* divides, input is %[1,3,4,4%]")
        assert.error_matches(function() F.reorg(lx.ones(1, 4, 5, 4), 2) end,
            "reorg: expected height and width that the stride %(2%) divides, input is %[1,4,5,4%]")
        assert.error_matches(function() F.reorg(lx.ones(1, 2, 4, 4), 2, {order = "depth_to_space"}) end, "channels")
    end)

    golden("gives darknet's numbers", function()
        local x = lx.arange(0, 96):float():reshape(1, 4, 4, 6)
        assert.same(micro_of("pj_reorg_reverse0"), flat(F.reorg(x, 2, {order = "darknet"})))
        assert.same(micro_of("al_reorg3d_reverse0"), flat(F.reorg(x, 2, {order = "space_to_depth"})))
        assert.same(micro_of("pj_reorg_reverse1"), flat(F.reorg(x, 2, {order = "depth_to_space"})))
        assert.same(micro_of("al_reorg_reverse1"), flat(F.reorg(x, 2, {order = "depth_to_space"})))
    end)
end)

describe("DarknetMaxPool2d", function()
    local function plain(x, c, h, w, size, stride, padding)
        local oh, ow, y = (h + padding - size) // stride + 1, (w + padding - size) // stride + 1, {}
        for k = 0, c - 1 do
            for i = 0, oh - 1 do
                for j = 0, ow - 1 do
                    local best = -math.huge
                    for v = 0, size - 1 do
                        for u = 0, size - 1 do
                            local row, column = i * stride + v - padding // 2, j * stride + u - padding // 2
                            if row >= 0 and row < h and column >= 0 and column < w then
                                best = math.max(best, x[(k * h + row) * w + column + 1])
                            end
                        end
                    end
                    y[#y + 1] = best
                end
            end
        end
        return y, oh, ow
    end

    it("takes the windows of its definition, on each device", function()
        for _, device in ipairs(devices()) do
            for _, case in ipairs {{5, 5, 2, 2}, {13, 13, 2, 2}, {6, 7, 2, 1}, {6, 7, 3, 2}, {5, 6, 5, 1}, {7, 4, 3, 1},
                {6, 6, 2, 2, 0}, {7, 7, 3, 2, 0}, {5, 5, 2, 1, 3}, {4, 4, 3, 3, 4}, {1, 1, 2, 1}, {9, 4, 4, 3}} do
                local h, w, size, stride, padding = table.unpack(case)
                local x = lx.randn(1, 3, h, w) - 3 -- most numbers are negative: zeros around them would show
                local layer = nn.DarknetMaxPool2d(size, {stride = stride, padding = padding})
                local expected, oh, ow = plain(flat(x), 3, h, w, size, stride, padding or size - 1)
                local y = layer(x:to(device)):to("cpu")
                assert.same({1, 3, oh, ow}, {table.unpack(y.shape)})
                assert.same(expected, flat(y))
            end
        end
    end)

    it("keeps the size at stride 1, and makes 7 of 13 at stride 2", function()
        assert.same({1, 1, 13, 13}, {table.unpack(nn.DarknetMaxPool2d(2, {stride = 1})(lx.ones(1, 1, 13, 13)).shape)})
        assert.same({1, 1, 7, 7}, {table.unpack(nn.DarknetMaxPool2d(2)(lx.ones(1, 1, 13, 13)).shape)})
    end)

    it("has gradients", function()
        local x = lx.arange(0, 30):float():mul(7):remainder(31):reshape(1, 1, 6, 5):requires_grad_()
        assert(lx.gradcheck(nn.DarknetMaxPool2d(2, {stride = 1}), {x}))
        assert(lx.gradcheck(nn.DarknetMaxPool2d(2), {x}))
    end)

    it("refuses windows that no image fills", function()
        assert.error_matches(function() nn.DarknetMaxPool2d(2, {padding = 4}) end, "option 'padding': expected at most 3")
        assert.error_matches(function() nn.DarknetMaxPool2d(5, {padding = 0})(lx.ones(1, 1, 4, 4)) end,
            "DarknetMaxPool2d%(5, padding=0%): the kernel %(5%) is larger")
    end)

    golden("gives darknet's numbers for all 24 combinations", function()
        micro_of("bn_eps")
        local count = 0
        for name, case in pairs(micro) do
            local h, w, size, stride, padding = name:match("^maxpool_(%d+)x(%d+)_size(%d)_stride(%d)_pad(%w+)$")
            if h then
                count = count + 1
                local x = lx.tensor(case.x):float():reshape(1, 2, math.tointeger(h), math.tointeger(w))
                local layer = nn.DarknetMaxPool2d(math.tointeger(size), {stride = math.tointeger(stride),
                    padding = math.tointeger(padding)})
                assert_near(case.out, flat(layer(x)), 1e-6, name)
            end
        end
        assert.equal(24, count)
    end)
end)

describe("DarknetBatchNorm2d", function()
    -- What it divides by, of a variance.
    local function divisor(root, var) return root == "inside" and math.sqrt(var + 1e-5) or math.sqrt(var) + 1e-6 end

    it("normalises by the unbiased variance and keeps it, on each device", function()
        for _, device in ipairs(devices()) do
            for _, root in ipairs {"inside", "outside"} do
                local layer = nn.DarknetBatchNorm2d(2, {root = root, momentum = 0.25})
                lx.no_grad(function()
                    layer.weight:copy_(lx.tensor {1.5, -0.5})
                    layer.bias:copy_(lx.tensor {0.25, 1})
                end)
                layer:to(device)
                local x = lx.randn(3, 2, 1, 5) * 0.01
                local y = flat(layer(x:to(device)):to("cpu"))
                local numbers, expected = flat(x), {}
                for c = 0, 1 do
                    local sum, squares = 0, 0
                    for n = 0, 2 do for i = 1, 5 do sum = sum + numbers[(n * 2 + c) * 5 + i] end end
                    for n = 0, 2 do
                        for i = 1, 5 do squares = squares + (numbers[(n * 2 + c) * 5 + i] - sum / 15) ^ 2 end
                    end
                    local var = squares / 14
                    for n = 0, 2 do
                        for i = 1, 5 do
                            local at = (n * 2 + c) * 5 + i
                            expected[at] = (numbers[at] - sum / 15) / divisor(root, var)
                                * (c == 0 and 1.5 or -0.5) + (c == 0 and 0.25 or 1)
                        end
                    end
                    assert.near(0.75 + 0.25 * var, layer.running_var:to("cpu"):totable()[c + 1], 1e-6)
                    assert.near(0.25 * sum / 15, layer.running_mean:to("cpu"):totable()[c + 1], 1e-6)
                end
                assert_near(expected, y, 1e-5, root)
            end
        end
    end)

    it("has gradients through the statistics of the batch", function()
        for _, root in ipairs {"inside", "outside"} do
            local x = lx.randn({3, 2, 2, 2}, {requires_grad = true})
            local layer = nn.DarknetBatchNorm2d(2, {root = root})
            assert(lx.gradcheck(function(v, w, b)
                layer.weight, layer.bias = nn.Parameter(w), nn.Parameter(b)
                return layer(v)
            end, {x, layer.weight, layer.bias}))
        end
    end)

    it("is merged into a convolution by nn.fuse where the epsilon is inside the root, and else computed", function()
        for _, root in ipairs {"inside", "outside"} do
            local net = nn.Sequential(nn.Conv2d(2, 3, 3, {bias = false}), nn.DarknetBatchNorm2d(3, {root = root}))
            net[2].running_var:copy_(lx.tensor {1e-4, 1e-6, 1})
            net:eval()
            local x = lx.randn(1, 2, 5, 5)
            lx.no_grad(function() assert_near(flat(net(x)), flat(nn.fuse(net)(x)), 1e-5, root) end)
        end
    end)

    golden("gives darknet's numbers", function()
        for fork, root in pairs {pj = "outside", al = "inside"} do
            local layer = nn.DarknetBatchNorm2d(1, {root = root}):eval()
            local x = lx.tensor {1, 2, -3, 0.5}:reshape(1, 1, 1, 4)
            local count = 0
            for variance, expected in pairs(micro_of("bn_eps")[fork]) do
                layer.running_var:fill_(tonumber(variance))
                assert_near(expected, flat(layer(x)), 1e-6, fork .. " " .. variance)
                count = count + 1
            end
            assert.equal(7, count)
        end
    end)
end)

describe("Route and Shortcut", function()
    it("join and add maps", function()
        local a, b = lx.randn(2, 3, 4, 5), lx.randn(2, 1, 4, 5)
        local y = nn.Route()(a, b)
        assert.same({2, 4, 4, 5}, {table.unpack(y.shape)})
        assert.same(flat(b), flat(y:narrow(2, 4, 1)))
        assert.same(flat(a + a), flat(nn.Shortcut()(a, a)))
    end)

    it("refuse maps of other sizes", function()
        assert.error_matches(function() nn.Route()(lx.ones(1, 2, 3, 4), lx.ones(1, 2, 4, 4)) end,
            "Route%(%): input: expected float32 %[1,C,3,4%]")
        assert.error_matches(function() nn.Shortcut()(lx.ones(1, 2, 3, 4), lx.ones(1, 3, 3, 4)) end,
            "Shortcut%(%): input: expected float32 %[1,2,3,4%]")
    end)
end)
