--- Networks by name beside torchvision's and timm's (spec/golden/make_models.py): names and shapes of all tensors,
-- results, gradients of all parameters, running statistics after three steps.
--
-- Of the values, those of a few small networks are compared. LUXEL_MODELS=PATTERN takes the networks whose names match
-- ("." all), LUXEL_MODELS_SIZE=224 larger images, LUXEL_TEST_DEVICE=opencl another device: `make models` does all of
-- it.

local here = debug.getinfo(1, "S").source:match("^@(.*)models_spec%.lua$")

local cjson = require "cjson"
local lx = require "luxel"
local nn, models = lx.nn, lx.models

local DEVICE <const> = os.getenv("LUXEL_TEST_DEVICE") or "cpu"
local SIZE <const> = math.tointeger(os.getenv("LUXEL_MODELS_SIZE") or 64)
local PICK <const> = os.getenv("LUXEL_MODELS")
local SHOWS <const> = os.getenv("LUXEL_MODELS_SHOW") ~= nil
local FEW <const> = {
    autoencoder = true, cnn = true, lenet = true, mobilenet_v3_small = true, resnet18 = true, squeezenet1_1 = true,
    unet_small_bn = true, unet_valid = true,
}
local TOLERANCE <const> = 1e-3
-- By what is compared. Three steps through 101 layers: PyTorch in single precision is 9e-4 from itself in double.
local TOLERANCES <const> = {["resnet101 statistics"] = 5e-3}

local golden, metadata = assert(lx.load(here .. "golden/models.safetensors"))

local names = {} -- of the reference's networks
for name in pairs(metadata) do
    if name ~= "versions" then names[#names + 1] = name end
end
table.sort(names)

-- ---- the formulas of make_models.py -------------------------------------------------------------------------------

local PERIOD <const>, SAMPLES <const>, STEPS <const>, RATE <const> = 4093, 4, 3, 1e-3
local BATCH <const> = {[224] = 2, [64] = 4}

local pattern = {}
do
    local state = 1
    for i = 1, PERIOD do
        state = (state * 1103515245 + 12345) & 0x7fffffff
        pattern[i] = (state // 65536 % 1024 - 511.5) / 512
    end
end
local period = lx.tensor(pattern)

-- The pattern over and over from a place.
local function repeated(count, first)
    first = first % PERIOD
    return period:tile((first + count) // PERIOD + 1):narrow(1, first + 1, count)
end

-- As `images` of make_models.py has them.
local function images_of(channels)
    local waves, at = {}, 0
    for n = 0, BATCH[SIZE] - 1 do
        for c = 0, channels - 1 do
            for h = 0, SIZE - 1 do
                local wave = math.sin(0.05 * (n + 1) * h + 0.9 * c)
                for w = 0, SIZE - 1 do
                    waves[at + w + 1] = wave * math.cos(0.07 * (n + 2) * w) + 0.5 * pattern[(at + w) % PERIOD + 1]
                end
                at = at + SIZE
            end
        end
    end
    return lx.tensor(waves):view(BATCH[SIZE], channels, SIZE, SIZE)
end

local function filled(name, number, shape)
    local count, inputs = 1, 1
    for dim, size in ipairs(shape) do
        count = count * size
        if dim > 1 then inputs = inputs * size end
    end
    local values = repeated(count, 61 * number):reshape(shape)
    if #shape > 1 then return values * math.sqrt(6 / inputs) end
    if name:find("running_var$") then return values * 0.2 + 1 end
    if name:find("weight$") then return values * 0.1 + 0.7 end
    return values * 0.1
end

-- The networks' tensors in order, each with its name and number, without the counts of batches.
local function entries(net)
    local state, list = net:state_dict(), {}
    for _, name in ipairs(net:state_names()) do
        if not name:find("num_batches_tracked$") then list[#list + 1] = {name = name, tensor = state[name]} end
    end
    return list
end

local function fill(net)
    for i, entry in ipairs(entries(net)) do
        entry.tensor:copy_(filled(entry.name, i - 1, entry.tensor.shape):to(entry.tensor.device))
    end
end

local function row(tensor)
    local flat = tensor:detach():to("cpu"):reshape(-1)
    local count, places = flat:numel(), {}
    for m = 0, SAMPLES - 1 do places[m + 1] = (2 * m + 1) * count // (2 * SAMPLES) + 1 end
    local samples = flat:index_select(1, lx.tensor(places, {dtype = "int32"})):totable()
    return {flat:abs():max():item(), flat:square():sum():sqrt():item(), (flat * repeated(count, 0)):sum():item(),
        table.unpack(samples)}
end

-- ---- comparing ----------------------------------------------------------------------------------------------------

-- The largest difference of a row from the reference, over the largest magnitude (`least`, where that is more), and of
-- norm and weighted sum over the norm.
local function difference(found, expected, least)
    local scale, worst = math.max(expected[1], least or 0), 0
    for i = 1, #expected do
        local unit = (i == 2 or i == 3) and math.max(expected[2], scale) or scale
        local d = math.abs(found[i] - expected[i]) / unit
        if not (d <= worst) then worst = d end -- NaN too
    end
    return worst
end

-- A bias before a normalisation has no gradient but rounding errors, which are of the size of its weight's.
local function compare(what, list, rows)
    assert.equal(#list, #rows, what)
    local worst, at = 0, ""
    for i, entry in ipairs(list) do
        local weight = entry.name:find("bias$") and list[i - 1]
        local d = difference(row(entry.tensor), rows[i], weight and 0.1 * rows[i - 1][1])
        if not (d <= worst) then worst, at = d, entry.name end
    end
    if SHOWS then print(("%-50s %.1e %s"):format(what, worst, at)) end
    assert.is_true(worst <= (TOLERANCES[what] or TOLERANCE), ("%s differs by %.2e at %s"):format(what, worst, at))
end

local function options_of(name)
    local options = cjson.decode(metadata[name])
    local network = options.network
    options.network = nil
    for key, value in pairs(options) do options[key] = math.tointeger(value) or value end
    if options.size then options.size = SIZE end
    options.channels = options.channels or 3
    if network ~= "autoencoder" then options.outputs = options.outputs or 5 end
    return network, options
end

local function without_chance(net)
    for _, module in net:named_modules() do
        if module.class_name == "Dropout" or module.class_name == "StochasticDepth" then module.p = 0 end
    end
end

local function loss_of(y)
    return (y * repeated(y:numel(), 7):reshape(y.shape):to(DEVICE)):mean()
end

local function parameters_of(net)
    local list = {}
    for name, parameter in net:named_parameters() do list[#list + 1] = {name = name, tensor = parameter} end
    return list
end

local function statistics_of(net)
    local list = {}
    for _, entry in ipairs(entries(net)) do
        if entry.name:find("running") then list[#list + 1] = entry end
    end
    return list
end

-- Calls f with SiLU in the place of ReLU and ReLU6, and means in the place of 2x2 max-pooling (make_models.py says
-- why).
local function smoothly(f)
    local F, ReLU, ReLU6 = nn.functional, nn.ReLU.forward, nn.ReLU6.forward
    local relu, max_pool2d = F.relu, F.max_pool2d
    local _ <close> = setmetatable({}, {__close = function()
        F.relu, F.max_pool2d, nn.ReLU.forward, nn.ReLU6.forward = relu, max_pool2d, ReLU, ReLU6
    end})
    F.relu = F.silu
    function F.max_pool2d(x, kernel, options)
        local side = type(kernel) == "table" and kernel[1] or kernel
        return side == 2 and F.avg_pool2d(x, 2) or max_pool2d(x, kernel, options)
    end
    nn.ReLU.forward = function(_, x) return F.silu(x) end
    nn.ReLU6.forward = nn.ReLU.forward
    f()
end

-- ---- names --------------------------------------------------------------------------------------------------------

-- Lines of names and shapes, as `listing` of make_models.py writes them.
local function listing(net)
    local state, lines, before = net:state_dict(), {}, {}
    for _, name in ipairs(net:state_names()) do
        local parts, same = {}, 0
        for part in name:gmatch("[^.]+") do parts[#parts + 1] = part end
        while parts[same + 1] and parts[same + 1] == before[same + 1] do same = same + 1 end
        lines[#lines + 1] = ("%d %s %s"):format(same, table.concat(parts, ".", same + 1),
            table.concat(state[name].shape, "x"))
        before = parts
    end
    return table.concat(lines, "\n")
end

local function text_of(bytes)
    local characters = {}
    for i, code in ipairs(bytes:totable()) do characters[i] = string.char(code) end
    return table.concat(characters)
end

describe("the tensors of", function()
    for _, name in ipairs(names) do
        local network, options = options_of(name)
        it(name .. " have the names and shapes of the reference, in its order", function()
            if options.size then options.size = 224 end
            local net = nn.init.skip(models[network], options)
            assert.equal(text_of(golden[name .. "/names"]), listing(net))
        end)
    end
end)

-- ---- values -------------------------------------------------------------------------------------------------------

describe("on images of " .. SIZE .. " pixels", function()
    for _, name in ipairs(names) do
        if PICK and name:find(PICK) or not PICK and FEW[name] then
            it(name .. " computes what the reference does", function()
                local network, options = options_of(name)
                local net = nn.init.skip(models[network], options):to(DEVICE)
                local function expected(what) return golden[("%s/%d/%s"):format(name, SIZE, what)] end
                without_chance(net)
                fill(net)
                local x = images_of(options.channels):to(DEVICE)
                lx.no_grad(function()
                    net:eval()
                    for title, f in pairs {outputs = net, ["fused outputs"] = nn.fuse(net)} do
                        compare(name .. " " .. title, {{name = "y", tensor = f(x)}}, expected("outputs"):totable())
                    end
                    net:train()
                end)
                local statistics = expected("statistics") ~= nil and statistics_of(net)
                local list = parameters_of(net)
                for step = 1, statistics and STEPS or 1 do
                    net:zero_grad()
                    smoothly(function() loss_of(net(x)):backward() end)
                    if step == 1 then
                        local gradients = {}
                        for i, entry in ipairs(list) do
                            gradients[i] = {name = entry.name, tensor = entry.tensor.grad}
                        end
                        compare(name .. " gradients", gradients, expected("gradients"):totable())
                    end
                    lx.no_grad(function()
                        for _, entry in ipairs(list) do entry.tensor:add_(entry.tensor.grad, -RATE) end
                    end)
                end
                if statistics then compare(name .. " statistics", statistics, expected("statistics"):totable()) end
                collectgarbage()
            end)
        end
    end
end)

-- ---- what networks offer besides -----------------------------------------------------------------------------------

local SMALL <const> = {
    "resnet18", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "efficientnet_lite0",
    "squeezenet1_1", "vgg11_bn", "lenet", "cnn",
}

local function built(name, options) return nn.init.skip(models[name], options) end

local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    return tostring(message)
end

describe("a network that tells classes", function()
    lx.manual_seed(3)

    for _, name in ipairs(SMALL) do
        it("has features before its head, and maps at each resolution: " .. name, function()
            local size = name == "cnn" and 128 or name == "lenet" and 32 or 64
            local net, x = models[name]({outputs = 3, channels = 2}):eval(), lx.randn(2, 2, size, size)
            lx.no_grad(function()
                local y, features, maps = net(x), net:features(x), net:feature_maps(x)
                assert.same({2, 3}, y.shape)
                assert.is_true(lx.equal(y, net:head(features)))
                assert.is_true(lx.equal(features, maps[#maps]))
                assert.equal(#net.map_channels, #maps)
                for i, map in ipairs(maps) do
                    assert.equal(net.map_channels[i], map.shape[2])
                    assert.is_true(i == 1 or map.shape[3] < maps[i - 1].shape[3])
                end
                assert.equal(net.finest == 1, maps[1].shape[3] == size)
                local some = net:maps_at(x, {1, #maps})
                assert.equal(2, #some)
                assert.is_true(lx.equal(maps[1], some[1]))
                assert.is_true(lx.equal(maps[#maps], some[2]))
                for _, places in ipairs {{2, 1}, {1, #maps + 1}} do
                    assert.error_matches(function() net:maps_at(x, places) end,
                        "maps_at: .*places: expected some of 1 to " .. #maps .. ", each above the one before")
                end
                assert.is_true(y:abs():max():item() < math.huge)
                -- of new weights and running statistics the features may be too small to show beside the head's bias
                assert.is_false(lx.equal(features[1], features[2]))
            end)
        end)
    end

    it("takes images of any size from 32 pixels on, except the small ones with a weight for each place", function()
        for _, name in ipairs {"resnet18", "densenet121", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1", "vgg11"} do
            local net = built(name):eval()
            lx.no_grad(function()
                for _, size in ipairs {{32, 32}, {33, 47}, {65, 32}} do
                    assert.same({1, 1}, net(lx.zeros(1, 1, size[1], size[2])).shape)
                end
            end)
            assert.matches("input: expected images of at least 32×32 pixels, got float32 %[1,1,31,40%]",
                message_of(net, lx.zeros(1, 1, 31, 40)))
            assert.matches("input: expected float32 %[N,1,H,W%]", message_of(net, lx.zeros(1, 3, 40, 40)))
            assert.matches("size", message_of(models[name], {size = 31}))
            assert.same({32, 2048}, {models.limits(name)})
        end
        assert.same({16, 2048}, {models.limits("cnn")})
        assert.matches("there is no network 'resnet'.*resnet18", message_of(models.limits, "resnet"))
    end)

    it("has no option that it does not use", function()
        assert.matches("dropout", message_of(models.resnet18, {dropout = 0.1}))
        assert.matches("variant", message_of(models.efficientnet_lite0, {variant = "TF"}))
        assert.equal(0.1, built("efficientnet_b0", {dropout = 0.1}).classifier[1].p)
        local drops = {}
        for _, module in built("efficientnet_b0", {drop_path = 0.32}):named_modules() do
            if module.class_name == "StochasticDepth" then drops[#drops + 1] = module.p end
        end
        assert.equal(16, #drops)
        assert.equal(0, drops[1])
        assert.is_true(math.abs(drops[16] - 0.3) < 1e-9)
    end)

    it("begins with weights of the scale that keeps activations as they are", function()
        local std = {}
        for name, parameter in models.resnet18({channels = 3}):named_parameters() do
            std[name] = parameter:std():item()
        end
        assert.is_true(math.abs(std["layer1.0.conv1.weight"] / math.sqrt(2 / (64 * 9)) - 1) < 0.05)
        assert.equal(0, std["layer1.0.bn1.weight"])
        -- a bound by the number of outputs, as the first EfficientNets had for 1000, makes logits of tens of one output
        for _, name in ipairs {"efficientnet_b0", "efficientnet_lite0"} do
            local head = models[name] {outputs = 1}:state_dict()
            local weight = head["classifier.weight"] or head["classifier.1.weight"]
            assert.is_true(weight:abs():max():item() <= 1 / math.sqrt(1280) + 1e-6, name)
        end
        for name, parameter in models.vgg11_bn {}:named_parameters() do
            if name:find("classifier.*weight") then
                assert.is_true(math.abs(parameter:std():item() / 0.01 - 1) < 0.1, name)
            elseif name:find("bias") then
                assert.equal(0, parameter:abs():max():item(), name)
            end
        end
    end)
end)

describe("U-Net", function()
    it("gives a map of the size of the images, over the maps of networks of all families, for odd sizes", function()
        for _, name in ipairs(SMALL) do
            local net = built("unet", {encoder = name, outputs = 2, channels = 3}):eval()
            lx.no_grad(function()
                assert.same({1, 2, 35, 52}, net(lx.zeros(1, 3, 35, 52)).shape)
                assert.equal(#net.map_channels, #net:feature_maps(lx.zeros(1, 3, 35, 52)))
            end)
        end
        local plain = built("unet", {width = 4, outputs = 2}):eval()
        assert.same({1, 2, 35, 53}, plain(lx.zeros(1, 1, 35, 53)).shape)
        assert.same({1, 4, 35, 53}, plain:features(lx.zeros(1, 1, 35, 53)).shape)
    end)

    it("of the paper makes 388 pixels of 572, and has as many weights", function()
        local net = built("unet", {outputs = 2, padding = "valid"})
        assert.equal(31030658, net:count_parameters())
        local narrow = built("unet", {outputs = 2, padding = "valid", width = 1}):eval()
        assert.same({1, 2, 388, 388}, narrow(lx.zeros(1, 1, 572, 572)).shape)
    end)

    it("says which encoders there are, and that an encoder has no head", function()
        assert.matches("option 'encoder': there is no network 'resnet'.*resnet18", message_of(models.unet,
            {encoder = "resnet"}))
        assert.matches("option 'width': is of the plain network alone", message_of(models.unet,
            {encoder = "resnet18", width = 8}))
        assert.matches("has no head", message_of(built("unet", {encoder = "resnet18"}).encoder, lx.zeros(1, 1, 32, 32)))
    end)
end)

describe("the padding that TensorFlow calls SAME", function()
    it("has as many zeros as are wanted, one more below and to the right where they are of an odd number", function()
        local blocks = require "luxel.models.blocks"
        for _, kernel in ipairs {1, 2, 3, 5} do
            for stride = 1, 3 do
                for _, size in ipairs {{7, 8}, {9, 12}, {10, 11}} do
                    local conv = blocks.SameConv2d(4, 6, kernel, {stride = stride, groups = 2})
                    local x, total = lx.randn(2, 4, size[1], size[2]), {}
                    for i = 1, 2 do
                        total[i] = math.max(0, (math.ceil(size[i] / stride) - 1) * stride + kernel - size[i])
                    end
                    local padded = nn.functional.pad(x, {total[2] // 2, total[2] - total[2] // 2, total[1] // 2,
                        total[1] - total[1] // 2})
                    local expected = nn.functional.conv2d(padded, conv.weight, conv.bias, {stride = stride, groups = 2})
                    local y = conv(x)
                    assert.same({2, 6, math.ceil(size[1] / stride), math.ceil(size[2] / stride)}, y.shape)
                    assert.is_true(lx.allclose(expected, y, 1e-4, 1e-5))
                end
            end
        end
    end)
end)

-- How often a call changes the layout of images.
local function conversions(f)
    f()
    local count = 0
    for _, kernel in ipairs(lx.profile(f, {device = DEVICE}).rows) do
        if kernel.name == "to_blocked" or kernel.name == "to_plain" then count = count + kernel.launches end
    end
    return count
end

describe("the layout of images", function()
    -- bench/conversions.lua lists where networks change it.
    it("does not change from the first convolution to the last map", function()
        for _, name in ipairs {"resnet18", "resnet50", "mobilenet_v2", "efficientnet_lite0", "vgg11_bn", "densenet121",
            "squeezenet1_1", "mobilenet_v3_small", "efficientnet_b0"} do
            local net = built(name):eval():to(DEVICE)
            local x = lx.randn({2, 1, 64, 64}, {device = DEVICE})
            assert.equal(0, conversions(function() lx.no_grad(net.features, net, x) end), name)
            assert.equal(0, conversions(function() lx.no_grad(nn.fuse(net).features, net, x) end), name)
            assert.is_true(conversions(function() lx.no_grad(net, x) end) <= 1, name)
        end
    end)

    it("does not change on the way back either, but for what pooling is given", function()
        for _, name in ipairs {"resnet18", "densenet121", "mobilenet_v3_small"} do
            local net = built(name):train():to(DEVICE)
            local x = lx.randn({2, 1, 64, 64}, {device = DEVICE})
            assert.is_true(conversions(function()
                net:zero_grad()
                net(x):sum():backward()
            end) <= 2, name)
        end
    end)

    it("does not change in a network from images to images, but for the first and the last", function()
        for name, options in pairs {unet = {encoder = "resnet18"}, autoencoder = {}} do
            local net = models[name](options):train():to(DEVICE)
            local x = lx.randn({2, 1, 64, 64}, {device = DEVICE})
            assert.is_true(conversions(function()
                net:zero_grad()
                net(x):sum():backward()
            end) <= 4, name)
        end
    end)
end)

describe("the autoencoder", function()
    it("gives images of the size and channels that it is given", function()
        local net = models.autoencoder {channels = 2, widths = {4, 8}}
        assert.same({1, 2, 33, 46}, net(lx.zeros(1, 2, 33, 46)).shape)
        assert.same({1, 8, 8, 11}, net:features(lx.zeros(1, 2, 33, 46)).shape)
    end)
end)
