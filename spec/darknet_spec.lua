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
        assert.error_matches(function() nn.DarknetMaxPool2d(2, {padding = 4}) end,
            "option 'padding': expected at most 3")
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

-- ---- files ----------------------------------------------------------------------------------------------------

local CONV <const> = "[convolutional]\nbatch_normalize=1\nfilters=%d\nsize=%d\nstride=1\npad=1\nactivation=leaky\n"
local TINY <const> = "[net]\nbatch=1\nwidth=32\nheight=32\nchannels=3\n" .. CONV:format(8, 3)
    .. "[maxpool]\nsize=2\nstride=2\n" .. CONV:format(8, 3) .. "[maxpool]\nsize=2\nstride=2\n" .. CONV:format(8, 3)
    .. "[maxpool]\nsize=2\nstride=1\n" .. CONV:format(12, 3) .. "[route]\nlayers=2\n" .. CONV:format(4, 1)
    .. "[reorg]\nstride=2\n[route]\nlayers=-1,6\n" .. CONV:format(16, 3)
    .. "[convolutional]\nsize=1\nstride=1\npad=1\nfilters=21\nactivation=linear\n"
    .. "[region]\nanchors = 0.8,1.1, 2.3,1.9, 3.7,5.2\nbias_match=1\nclasses=2\ncoords=4\nnum=3\nsoftmax=1\n"
    .. "object_scale=5\nnoobject_scale=1\nclass_scale=1\ncoord_scale=1\nabsolute=1\nthresh=.6\n"

describe("lx.io.darknet", function()
    local darknet = lx.io.darknet
    local path = os.tmpname()
    teardown(function() os.remove(path) end)

    local function write(text)
        local file <close> = assert(io.open(path, "wb"))
        file:write(text)
        return path
    end

    local function cfg_of(text) return darknet.read_cfg(write(text)) end

    local function network(text, options) return assert(darknet.network(assert(cfg_of(text)), options)) end

    local function floats(name)
        local bytes = read(ROOT .. "/tiny/" .. name)
        return lx.from_string(bytes, {#bytes // 4})
    end

    it("reads sections with spaces, comments and short names", function()
        local cfg = assert(cfg_of("# a\n[network]\r\n width = 8\nheight=4\n; b\n\n[conv]\nfilters=2\nactivation=leaky\n"
            .. "[route]\nlayers = -1, 0"))
        assert.same({
            {name = "net", line = 2, options = {width = 8, height = 4}},
            {name = "convolutional", line = 7, options = {filters = 2, activation = "leaky"}},
            {name = "route", line = 10, options = {layers = {-1, 0}}},
        }, cfg)
    end)

    it("writes what it reads again as the same", function()
        local cfg = assert(cfg_of(TINY))
        assert(darknet.write_cfg(path, cfg))
        local again = assert(darknet.read_cfg(path))
        assert.equal(#cfg, #again)
        for i, section in ipairs(cfg) do
            assert.equal(section.name, again[i].name)
            assert.same(section.options, again[i].options)
        end
        assert(darknet.write_cfg(path, {{name = "net", options = {width = 1, height = 1, decay = 0.1 + 0.2}}}))
        assert.equal(0.1 + 0.2, darknet.read_cfg(path)[1].options.decay)
    end)

    it("refuses what it does not know, by section and line", function()
        local net = "[net]\nwidth=32\nheight=32\nchannels=3\n"
        for _, case in ipairs {
            {"", "there is no section"}, {"width=3\n", "line 1: an option before the first section"},
            {net .. "[lstm]\n", "line 5: there is no section %[lstm%]"},
            {net .. "[maxpool]\nsise=2\n", "line 6: %[maxpool%] has no option 'sise' here %(did you mean 'size'%?%)"},
            {net .. "[maxpool]\nsize=2\nsize=2\n", "line 7: %[maxpool%]: 'size' comes twice"},
            {net .. "[maxpool]\nsize=0\n", "line 6: %[maxpool%]: size: expected an integer from 1 to 1024, got \"0\""},
            {net .. "[maxpool]\nsize=2 # two\n", "line 6: %[maxpool%]: size: expected an integer"},
            {net .. "[maxpool]\nsize\n", "line 6: expected %[section%] or option=value, got \"size\""},
            {net .. "[conv]\nactivation=mish\n", "line 6: %[convolutional%]: activation: expected one of .*leaky"},
            {net .. "[net]\nmomentum=nan\n", "line 6: %[net%]: momentum: expected a number"},
            {net .. "[net]\nlearning_rate=1e999\n", "line 6: .*expected a number"},
            {net .. "[net]\nsteps=1,,2\n", "line 6: .*numbers with commas"},
        } do
            local cfg, message, code = cfg_of(case[1])
            assert.is_nil(cfg)
            assert.equal("format", code)
            assert.matches(case[2], message)
            assert.equal(path, message:sub(1, #path))
        end
        local cfg, _, code = darknet.read_cfg(path .. ".none")
        assert.is_nil(cfg)
        assert.equal("io", code)
    end)

    it("refuses networks that do not fit together, and large ones before anything is reserved", function()
        local net = "[net]\nwidth=32\nheight=32\nchannels=3\n"
        for _, case in ipairs {
            {"[maxpool]\nsize=2\n", "the first section should be %[net%]"}, {net, "there is no layer"},
            {"[net]\nwidth=32\n[maxpool]\n", "line 1: %[net%]: width= and height= are needed"},
            {net .. "[net]\n", "line 5: %[net%]: there is no layer of this name"},
            {net .. "[route]\nlayers=0\n", "line 5: %[route%]: there is no layer 0 before layer 0"},
            {net .. "[route]\nlayers=-1\n", "line 5: %[route%]: there is no layer %-1 before"},
            {net .. "[route]\n", "line 5: %[route%]: layers= is missing"},
            {net .. "[shortcut]\n", "line 5: %[shortcut%]: from= is missing"},
            {net .. "[maxpool]\nstride=2\n[maxpool]\n[shortcut]\nfrom=0\n[maxpool]\nstride=2\n[route]\nlayers=0,3\n",
                "line 12: %[route%]: maps of 16 x 16 and 8 x 8 cannot be joined"},
            {net .. "[conv]\nfilters=2\n[conv]\nfilters=4\n[shortcut]\nfrom=0\n",
                "line 9: %[shortcut%]: maps of 4 x 32 x 32 and 2 x 32 x 32 cannot be added"},
            {net .. "[reorg]\nstride=2\n", "line 5: %[reorg%]: stride=2 wants channels that 4 divides, the map has 3"},
            {net .. "[conv]\nsize=33\nfilters=1\n", "line 5: .*windows of 33 are larger than the map"},
            {net .. "[conv]\nfilters=65536\nsize=1024\npad=1\n", "more than 134217728 parameters"},
            {net .. ("[upsample]\nstride=1024\n"):rep(2),
                "line 5: %[upsample%]: a map of 3 x 32768 x 32768 is too large"},
            {net .. "[region]\nanchors=1,1\nnum=1\nclasses=2\nsoftmax=1\n", "want a map of 7 channels, it has 3"},
            {net .. "[region]\nanchors=1,1\nnum=2\nclasses=2\nsoftmax=1\n", "num=2 wants 4 numbers of anchors"},
            {net .. "[region]\nanchors=1,1\nnum=1\n", "softmax=0 is not known"},
            {net .. "[conv]\nfilters=6\n[yolo]\nanchors=1,1\nclasses=1\n[maxpool]\n",
                "line 10: %[maxpool%]: layer 1 is a detection"},
        } do
            local built, message, code = darknet.network(assert(cfg_of(case[1])))
            assert.is_nil(built, case[1])
            assert.matches(case[2], message)
            assert.equal("format", code)
        end
        assert.matches("more than 10 parameters", select(2, darknet.network(assert(cfg_of(TINY)), {parameters = 10})))
        assert.error_matches(function() darknet.network {{name = "nett", options = {}}} end,
            "network: cfg: there is no section 'nett' %(did you mean 'net'%?%)")
    end)

    it("builds what the layers say: joins, sums, sizes", function()
        local net = network("[net]\nwidth=13\nheight=12\nchannels=2\n[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=-1\n"
            .. "activation=leaky\n[route]\nlayers=0,-1\n[upsample]\n[avgpool]\n[dropout]\nprobability=.3\n"):eval()
        local x = lx.randn(1, 2, 12, 13)
        local all = net:each_result(x)
        local pooled = nn.DarknetMaxPool2d(2)(x)
        assert.same(flat(pooled), flat(all[0]))
        assert.same({1, 2, 6, 7}, {table.unpack(all[0].shape)})
        assert.same(flat(F.leaky_relu(pooled + pooled, 0.1)), flat(all[1]))
        assert.same(flat(lx.cat({all[0], all[1]}, 2)), flat(all[2]))
        assert.same({1, 4, 12, 14}, {table.unpack(all[3].shape)})
        assert.same({1, 4, 1, 1}, {table.unpack(net(x).shape)})
    end)

    it("gives several maps where there are several detections", function()
        local net = network("[net]\nwidth=8\nheight=8\nchannels=3\n[conv]\nfilters=6\n[yolo]\nmask=1\nnum=2\n"
            .. "anchors=1,2,3,4\nclasses=1\n[route]\nlayers=0\n[maxpool]\nstride=2\n[yolo]\nmask=0\nnum=2\n"
            .. "anchors=1,2,3,4\nclasses=1\n")
        local a, b = net(lx.randn(2, 3, 8, 8))
        assert.same({2, 6, 8, 8}, {table.unpack(a.shape)})
        assert.same({2, 6, 4, 4}, {table.unpack(b.shape)})
        assert.same({{3, 4}}, net.detections[1].anchors)
        assert.same({{1, 2}}, net.detections[2].anchors)
    end)

    it("trains: gradients reach the first layer through routes and reorg", function()
        local net = network(TINY)
        net(lx.randn(2, 3, 32, 32)):pow(2):mean():backward()
        for name, parameter in net:named_parameters() do
            assert.is_true(parameter.grad ~= nil and parameter.grad:abs():sum():item() > 0, name)
        end
    end)

    -- A body of small numbers, in the order of the file.
    local function body_of(count)
        local parts = {}
        for i = 1, count do parts[i] = ("<f"):pack((i * 37 % 101 + 1) / 101) end
        return table.concat(parts)
    end

    local SMALL <const> = "[net]\nwidth=8\nheight=8\nchannels=2\n" .. CONV:format(3, 3)
        .. "[convolutional]\nfilters=2\nsize=1\n"
    local NUMBERS <const> = 4 * 3 + 3 * 2 * 9 + 2 + 2 * 3

    it("reads weights in darknet's order: biases, scales, means, variances, weights", function()
        local net, number = network(SMALL), 0
        write(("<i4i4i4i8"):pack(0, 2, 5, 1 << 33) .. body_of(NUMBERS))
        local header = assert(darknet.load_weights(net, path))
        assert.same({major = 0, minor = 2, revision = 5, seen = 1 << 33, bytes = 20}, header)
        local first, second = net.layers[1], net.layers[2]
        for _, tensor in ipairs {first.bn.bias, first.bn.weight, first.bn.running_mean, first.bn.running_var,
            first.conv.weight, second.conv.bias, second.conv.weight} do
            for _, value in ipairs(flat(tensor:detach())) do
                number = number + 1
                assert.near((number * 37 % 101 + 1) / 101, value, 1e-6)
            end
        end
        assert.equal(NUMBERS, number)
    end)

    it("writes the same bytes, whatever the header", function()
        for _, header in ipairs {("<i4i4i4I4"):pack(0, 1, 0, 7), ("<i4i4i4i8"):pack(0, 2, 5, 1 << 40),
            ("<i4i4i4i8"):pack(1, 0, 0, -1), ("<i4i4i4I4"):pack(1001, 0, 0, 9), ("<i4i4i4i8"):pack(1001, 0, 0, 9),
            ("<i4i4i4I4"):pack(0, 1001, 0, 0xffffffff), ("<i4i4i4i8"):pack(0, 1000, 0, 9)} do
            local net = network(SMALL)
            local text = header .. body_of(NUMBERS - 2) .. "\1\0\xa0\x7f\1\0\0\x80" -- a NaN with a tail, a subnormal
            write(text)
            local read_back = assert(darknet.load_weights(net, path))
            assert.equal(#header, read_back.bytes)
            assert(darknet.save_weights(net, path))
            assert.equal(text, read(path))
        end
    end)

    it("refuses weights of another length, and changes nothing", function()
        local net = network(SMALL)
        local before = flat(net.layers[1].conv.weight:detach())
        for _, text in ipairs {"", ("x"):rep(15), ("<i4i4i4I4"):pack(0, 2, 0, 0) .. body_of(NUMBERS),
            ("<i4i4i4i8"):pack(0, 1, 0, 0) .. body_of(NUMBERS), ("<i4i4i4i8"):pack(0, 2, 0, 0) .. body_of(NUMBERS - 1),
            ("<i4i4i4i8"):pack(0, 2, 0, 0) .. body_of(NUMBERS + 1), ("<i4i4i4i8"):pack(0, 2, 0, 0)} do
            write(text)
            local header, message, code = darknet.load_weights(net, path)
            assert.is_nil(header)
            assert.equal("format", code)
            assert.matches(#text < 16 and "too short for a header" or "wants 296 bytes of weights", message)
        end
        assert.same(before, flat(net.layers[1].conv.weight:detach()))
        assert.is_nil(rawget(net, "header"))
        assert.error_matches(function() darknet.load_weights(nn.ReLU(), path) end,
            "load_weights: net: expected a network")
    end)

    it("reads and writes the first layers alone", function()
        local net, other = network(SMALL), network(SMALL)
        assert(darknet.save_weights(net, path, {layers = 1, seen = 3}))
        assert.equal(20 + 4 * (12 + 54), #read(path))
        local kept = flat(other.layers[2].conv.weight:detach())
        assert.equal(3, assert(darknet.load_weights(other, path, {layers = 1})).seen)
        assert.same(flat(net.layers[1].conv.weight:detach()), flat(other.layers[1].conv.weight:detach()))
        assert.same(kept, flat(other.layers[2].conv.weight:detach()))
        assert.error_matches(function() darknet.load_weights(net, path, {layers = 3}) end,
            "at most the 2 of the network")
    end)

    golden("computes darknet's numbers, by running statistics and by those of the batch", function()
        local compared = 0
        local forks = {pj = {root = "outside", momentum = 0.01}, al = {root = "inside", momentum = 0.1}}
        for fork, settings in pairs(forks) do
            for _, device in ipairs(devices()) do
                local net = network(TINY, settings)
                write(("<i4i4i4i8"):pack(0, 2, 0, 0) .. read(ROOT .. "/tiny/weights_body.f32"))
                assert(darknet.load_weights(net, path))
                net:to(device)
                local x = floats("input.f32"):reshape(1, 3, 32, 32):to(device)
                for _, mode in ipairs {"infer", "train"} do
                    net:train(mode == "train")
                    local all = net:each_result(x)
                    for _, layer in ipairs {0, 2, 4, 5, 6, 8, 9, 11, 12} do
                        local expected = floats(("%s/%s/layer_%02d.f32"):format(fork, mode, layer)):totable()
                        assert_near(expected, flat(all[layer]:to("cpu")), 1e-4,
                            ("%s %s %s layer %d"):format(fork, device, mode, layer))
                        compared = compared + 1
                    end
                end
                for _, layer in ipairs {0, 11} do
                    local numbers = floats(("%s/train/bn_batchmean_batchvar_rollmean_rollvar_layer_%02d.f32"):format(
                        fork, layer)):totable()
                    local channels = #numbers // 4
                    local norm = net.layers[layer + 1].bn
                    assert_near(table.move(numbers, 2 * channels + 1, 3 * channels, 1, {}),
                        flat(norm.running_mean:to("cpu")), 1e-5, fork .. " running mean")
                    assert_near(table.move(numbers, 3 * channels + 1, 4 * channels, 1, {}),
                        flat(norm.running_var:to("cpu")), 1e-5, fork .. " running variance")
                end
            end
        end
        assert.is_true(compared >= 36)
    end)
end)
