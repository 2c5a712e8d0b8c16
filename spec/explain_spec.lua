--- Maps of what an answer comes from, beside naive loops in plain Lua over tiny networks.

local cjson = require "cjson"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local nn, explain = lx.nn, lx.explain
local NAN <const> = 0 / 0

-- ---- tiny networks and plain tables -----------------------------------------------------------------------------

local HEIGHT <const>, WIDTH <const>, CHANNELS <const>, CLASSES <const> = 7, 9, 3, 3

-- A convolution and a head with a weight for each place, so that the gradient of a logit with regard to the maps is a
-- row of that weight.
local function tiny(options)
    lx.manual_seed(5)
    return nn.Sequential {
        {"conv", nn.Conv2d(1, CHANNELS, 3, {padding = 1})}, {"act", nn.ReLU()},
        {"flat", nn.Flatten()},
        {"head", nn.Linear(CHANNELS * HEIGHT * WIDTH, options and options.outputs or CLASSES)},
    }
end

local function images(n)
    lx.manual_seed(6)
    return lx.randn(n, 1, HEIGHT, WIDTH)
end

local function each_pixel(f)
    local map = {}
    for y = 1, HEIGHT do
        map[y] = {}
        for x = 1, WIDTH do map[y][x] = f(y, x) end
    end
    return map
end

-- The maps of `tiny` for an image {y = {x}}, by loops: a[k][y][x].
local function maps_by_hand(net, image)
    local weight, bias, maps = net.conv.weight:totable(), net.conv.bias:totable(), {}
    for k = 1, CHANNELS do
        maps[k] = each_pixel(function(y, x)
            local sum = bias[k]
            for dy = -1, 1 do
                for dx = -1, 1 do
                    sum = sum + weight[k][1][dy + 2][dx + 2] * ((image[y + dy] or {})[x + dx] or 0)
                end
            end
            return math.max(sum, 0)
        end)
    end
    return maps
end

-- The gradient of logit c with regard to map k at a place.
local function gradient_by_hand(net)
    local rows = net.head.weight:totable()
    return function(c, k, y, x) return rows[c][((k - 1) * HEIGHT + y - 1) * WIDTH + x] end
end

local function total(f)
    local sum = 0
    for y = 1, HEIGHT do
        for x = 1, WIDTH do sum = sum + f(y, x) end
    end
    return sum
end

local function assert_map(expected, map, tolerance, place)
    assert.same({#expected, #expected[1]}, map.shape)
    for y, row in ipairs(map:totable()) do
        for x, value in ipairs(row) do
            assert.near(expected[y][x], value, tolerance or 1e-5, ("%s at %d, %d"):format(place or "", y, x))
        end
    end
end

-- What f(x) is for one image, of the logits the c-th.
local function logit(net, x, c) return lx.no_grad(net, x):totable()[1][c] end

-- The gradient of a logit with regard to one image by central differences, each channel a table.
local function slopes(net, x, c)
    local out, step = {}, 1 / 256
    for channel = 1, x.shape[2] do
        out[channel] = each_pixel(function(row, column)
            local values = {}
            for i, sign in ipairs {1, -1} do
                local moved = x:clone()
                local at = moved:narrow(2, channel, 1):narrow(3, row, 1):narrow(4, column, 1)
                at:fill_(at:item() + sign * step)
                values[i] = logit(net, moved, c)
            end
            return (values[1] - values[2]) / (2 * step)
        end)
    end
    return out
end

-- ---- methods ----------------------------------------------------------------------------------------------------

describe("lx.explain", function()
    local net, x

    before_each(function() net, x = tiny(), images(2) end)

    it("finds Grad-CAM, Grad-CAM++ and LayerCAM as sums by hand do", function()
        local gradient = gradient_by_hand(net)
        for c = 1, CLASSES do
            local found = {}
            for _, name in ipairs {"grad_cam", "grad_cam_plus_plus", "layer_cam"} do
                found[name] = explain[name](net, x, {class = c, batch = c})
                assert.same({2, HEIGHT, WIDTH}, found[name].shape)
            end
            for i = 1, 2 do
                local a = maps_by_hand(net, x[i][1]:totable())
                local mean, plus = {}, {}
                for k = 1, CHANNELS do
                    mean[k] = total(function(py, px) return gradient(c, k, py, px) end) / (HEIGHT * WIDTH)
                    local sum = total(function(py, px) return a[k][py][px] end)
                    plus[k] = total(function(py, px) -- equation 19 as it stands in the paper
                        local g = gradient(c, k, py, px)
                        return g ^ 2 / (2 * g ^ 2 + sum * g ^ 3) * math.max(g, 0)
                    end)
                end
                local function weighted(weight)
                    return each_pixel(function(py, px)
                        local sum = 0
                        for k = 1, CHANNELS do sum = sum + weight(k, py, px) * a[k][py][px] end
                        return math.max(sum, 0)
                    end)
                end
                assert_map(weighted(function(k) return mean[k] end), found.grad_cam[i])
                assert_map(weighted(function(k) return plus[k] end), found.grad_cam_plus_plus[i], 1e-4)
                assert_map(weighted(function(k, py, px) return math.max(gradient(c, k, py, px), 0) end),
                    found.layer_cam[i])
            end
        end
    end)

    it("finds Score-CAM as a loop over the channels does", function()
        local found = explain.score_cam(net, x, {class = 2, batch = 2})
        for i = 1, 2 do
            local a, scores, sum = maps_by_hand(net, x[i][1]:totable()), {}, 0
            for k = 1, CHANNELS do
                local low, high = math.huge, -math.huge
                each_pixel(function(py, px) low, high = math.min(low, a[k][py][px]), math.max(high, a[k][py][px]) end)
                local mask = lx.tensor(each_pixel(function(py, px)
                    return (a[k][py][px] - low) / (high - low)
                end)):reshape(1, 1, HEIGHT, WIDTH)
                scores[k] = math.exp(logit(net, x:narrow(1, i, 1) * mask, 2))
                sum = sum + scores[k]
            end
            assert_map(each_pixel(function(py, px)
                local value = 0
                for k = 1, CHANNELS do value = value + scores[k] / sum * a[k][py][px] end
                return value
            end), found[i])
        end
    end)

    it("finds occlusion as a loop over windows does, with the last ones at the edge", function()
        for _, case in ipairs {{3, 2, -0.5}, {2, 2, 0.25}, {4, 1, nil}, {7, 5, 1}} do
            local window, stride, baseline = table.unpack(case, 1, 3)
            local found = explain.occlusion(net, x, {class = 1, window = window, stride = stride, baseline = baseline,
                batch = 5})
            for i = 1, 2 do
                local image, sums, counts = x:narrow(1, i, 1), each_pixel(function() return 0 end),
                    each_pixel(function() return 0 end)
                local whole, tops, lefts = logit(net, image, 1), {}, {}
                for top = 0, HEIGHT - window - 1, stride do tops[#tops + 1] = top end
                for left = 0, WIDTH - window - 1, stride do lefts[#lefts + 1] = left end
                tops[#tops + 1], lefts[#lefts + 1] = HEIGHT - window, WIDTH - window
                for _, top in ipairs(tops) do
                    for _, left in ipairs(lefts) do
                        local rows = image:totable()[1][1]
                        for py = top + 1, top + window do
                            for px = left + 1, left + window do rows[py][px] = baseline or image:min():item() end
                        end
                        local fall = whole - logit(net, lx.tensor {{rows}}, 1)
                        for py = top + 1, top + window do
                            for px = left + 1, left + window do
                                sums[py][px], counts[py][px] = sums[py][px] + fall, counts[py][px] + 1
                            end
                        end
                    end
                end
                assert_map(each_pixel(function(py, px) return sums[py][px] / counts[py][px] end), found[i])
            end
        end
    end)

    it("integrates gradients: one step is the slope half way, many add up to the logit less the baseline's", function()
        local smooth = nn.Sequential(nn.Conv2d(2, 3, 3, {padding = 1}), nn.Tanh(), nn.Flatten(),
            nn.Linear(CHANNELS * HEIGHT * WIDTH, 2), nn.Tanh())
        local two = lx.randn(1, 2, HEIGHT, WIDTH)
        local middle = slopes(smooth, two * 0.5 + 0.5 * 0.3, 2)
        local values = two:totable()[1]
        assert_map(each_pixel(function(py, px)
            local sum = 0
            for c = 1, 2 do sum = sum + middle[c][py][px] * (values[c][py][px] - 0.3) end
            return sum
        end), explain.integrated_gradients(smooth, two, {class = 2, steps = 1, baseline = 0.3})[1], 2e-3)
        for _, baseline in ipairs {0.3, -1} do
            local map = explain.integrated_gradients(smooth, two, {class = 1, steps = 200, baseline = baseline})
            assert.near(logit(smooth, two, 1) - logit(smooth, two * 0 + baseline, 1), map:sum():item(), 1e-4)
        end
        local map = explain.integrated_gradients(smooth, two, {class = 1, steps = 200})
        assert.near(logit(smooth, two, 1) - logit(smooth, two * 0 + two:min():item(), 1), map:sum():item(), 1e-4)
    end)

    it("finds SmoothGrad: without noise the absolute slopes, else their mean over the noise of a seed", function()
        local two = nn.Sequential(nn.Conv2d(2, 3, 3, {padding = 1}), nn.Tanh(), nn.Flatten(),
            nn.Linear(CHANNELS * HEIGHT * WIDTH, 1))
        local image = lx.randn(1, 2, HEIGHT, WIDTH)
        local function absolute(list)
            return each_pixel(function(py, px)
                local sum = 0
                for c = 1, 2 do
                    local mean = 0
                    for _, one in ipairs(list) do mean = mean + one[c][py][px] / #list end
                    sum = sum + math.abs(mean)
                end
                return sum
            end)
        end
        assert_map(absolute {slopes(two, image, 1)}, explain.smooth_grad(two, image, {noise = 0, samples = 2})[1], 1e-3)
        local range, noisy = image:max():item() - image:min():item(), {}
        for i = 1, 3 do
            noisy[i] = slopes(two, image + core.randn({1, 2, HEIGHT, WIDTH}, 9, i) * (0.2 * range), 1)
        end
        local found = explain.smooth_grad(two, image, {noise = 0.2, samples = 3, seed = 9})
        assert_map(absolute(noisy), found[1], 1e-3)
        local both = explain.smooth_grad(two, lx.cat({image * 2, image}, 1), {noise = 0.2, samples = 3, seed = 9})
        assert.is_true(lx.allclose(found, both:narrow(1, 2, 1), 1e-5, 1e-6)) -- whatever images are beside it
        assert.is_false(lx.allclose(found, explain.smooth_grad(two, image, {noise = 0.2, samples = 3, seed = 8})))
    end)

    -- ---- classes and layers -------------------------------------------------------------------------------------

    it("explains the largest logit of each image unless told, and of one logit either side", function()
        local many, best = images(6), {}
        local maps = explain.layer_cam(net, many, {batch = 4})
        for i, row in ipairs(net(many):detach():totable()) do
            best[i] = 1
            for k, value in ipairs(row) do best[i] = value > row[best[i]] and k or best[i] end
        end
        assert.is_true(lx.allclose(maps, explain.layer_cam(net, many, {class = best})))
        assert.is_false(lx.allclose(maps, explain.layer_cam(net, many, {class = 3})))
        local one = tiny {outputs = 1}
        local for_it = explain.occlusion(one, x)
        assert.is_true(lx.allclose(for_it, explain.occlusion(one, x, {class = 1})))
        assert.is_true(lx.allclose(for_it * -1, explain.occlusion(one, x, {class = 0})))
        local flat = nn.Sequential(nn.Flatten(), nn.Linear(HEIGHT * WIDTH, 1), nn.Flatten(1)) -- gives [N]
        assert.same({2, HEIGHT, WIDTH}, explain.occlusion(flat, x).shape)
    end)

    it("takes the last map before the pooling, and else the last of those that the pattern fits", function()
        lx.manual_seed(8)
        local deep = nn.Sequential {
            {"body", nn.Sequential(nn.Conv2d(1, 4, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(4, 6, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2))},
            {"pool", nn.AdaptiveAvgPool2d(1)}, {"flat", nn.Flatten()}, {"head", nn.Linear(6, 2)},
        }
        local image = lx.randn(2, 1, 12, 16)
        local function map(layer) return explain.grad_cam(deep, image, {class = 1, layer = layer}) end
        assert.is_true(lx.allclose(map(nil), map("body.4")))
        assert.is_true(lx.allclose(map("body.[0-2]"), map("body.2")))
        assert.is_true(lx.allclose(map("body"), map("body.5")))
        assert.is_false(lx.allclose(map("body.4"), map("body.5")))
        -- the map of 6 x 8 is enlarged bilinearly, with pixels as squares
        local maps, hidden = nil, deep.body[5]
        local remove = hidden:register_forward_hook(function(_, _, results) maps = results[1]:detach() end)
        local leaf = nn.Sequential(deep.body[6], deep.pool, deep.flat, deep.head)
        deep(image)
        remove()
        maps:requires_grad_(true)
        leaf(maps):narrow(2, 1, 1):sum():backward()
        local small = (maps.grad:mean({3, 4}, true) * maps:detach()):sum(2):relu()
        for i = 1, 2 do
            local expected = lx.vision.resize(small[i]:contiguous(), 12, 16)
            assert.is_true(lx.allclose(expected, map(nil)[i], 1e-4, 1e-6))
        end
        deep:zero_grad()
        -- a module that runs several times counts by its last run
        local Twice = nn.class("Twice")
        function Twice:init()
            self.conv, self.act = nn.Conv2d(1, 1, 3, {padding = 1}), nn.ReLU()
            self.flat, self.head = nn.Flatten(), nn.Linear(HEIGHT * WIDTH, 1)
        end
        function Twice:forward(y) return self.head(self.flat(self.act(self.conv(self.act(self.conv(y)))))) end
        local twice = Twice()
        local act = twice.act(twice.conv(twice.act(twice.conv(x)))):detach()
        local weight = twice.head.weight:detach():reshape(1, HEIGHT, WIDTH)
        assert.is_true(lx.allclose((act:reshape(2, HEIGHT, WIDTH) * weight:relu()), explain.layer_cam(twice, x)))
    end)

    it("finds a layer of every kind of network of lx.models", function()
        for _, name in ipairs {"cnn", "resnet18", "mobilenet_v3_small", "squeezenet1_1"} do
            local one = lx.models[name] {size = 64, outputs = 2}
            local maps = explain.layer_cam(one, lx.randn(1, 1, 64, 64))
            assert.same({1, 64, 64}, maps.shape)
            assert.is_true(maps:min():item() >= 0)
        end
    end)

    -- ---- the network afterwards ---------------------------------------------------------------------------------

    it("leaves mode, weights, statistics, gradients and hooks alone, also after an error", function()
        local busy = nn.Sequential {
            {"conv", nn.Conv2d(1, CHANNELS, 3, {padding = 1})}, {"bn", nn.BatchNorm2d(CHANNELS)}, {"act", nn.ReLU()},
            {"drop", nn.Dropout(0.5)}, {"flat", nn.Flatten()}, {"head", nn.Linear(CHANNELS * HEIGHT * WIDTH, 1)},
        }
        busy(x):sum():backward()
        busy:freeze "conv"
        busy.act:eval()
        local function state()
            local out = {}
            for name, module in busy:named_modules() do
                out[#out + 1] = ("%s %s %s"):format(name, module.training, rawget(module, "_hooks"))
            end
            for name, p in busy:named_parameters() do
                out[#out + 1] = {name, p.requires_grad, p:totable(), p.grad and p.grad:totable()}
            end
            for name, buffer in busy:named_buffers() do out[#out + 1] = {name, buffer:totable()} end
            return out
        end
        local before, calm = state(), busy:clone():eval()
        for _, name in ipairs(explain.METHODS) do
            local map = explain[name](busy, x)
            assert.is_true(lx.allclose(map, explain[name](calm, x), 1e-5, 1e-6), name)
            assert.is_true(lx.allclose(map, lx.no_grad(explain[name], lx.nn.fuse(busy), x), 1e-5, 1e-6), name)
            assert.is_nil(x.grad)
            assert.is_false(map.requires_grad)
            assert.same(before, state())
        end
        assert.error_matches(function() explain.grad_cam(busy, x, {layer = "flat"}) end, "that fit 'flat'")
        assert.error_matches(function() explain.occlusion(busy, lx.zeros(1, 1, 4, 4)) end, "Linear")
        assert.same(before, state())
    end)

    local has_opencl = false
    for _, device in ipairs(lx.devices()) do has_opencl = has_opencl or device.kind == "opencl" end
    if has_opencl then
        it("gives on an OpenCL device what it gives on the cpu", function()
            local here = lx.models.cnn {size = 35, outputs = 2}
            local there, image = here:clone():to("opencl"), lx.randn(2, 1, 35, 35)
            for _, name in ipairs(explain.METHODS) do
                local map, other = explain[name](here, image), explain[name](there, image)
                assert.equal("cpu", other.device)
                local scale = map:abs():max():item()
                assert.is_true(lx.allclose(map / scale, other / scale, 0, 1e-3), name)
            end
        end)
    else
        pending("gives on an OpenCL device what it gives on the cpu (no OpenCL device here)")
    end

    it("refuses what it cannot explain", function()
        local film, blank = lx.zeros(1, 1, HEIGHT, WIDTH), lx.full({1, 1, HEIGHT, WIDTH}, NAN)
        for _, case in ipairs {
            {"grad_cam: images: expected float32 %[N,C,H,W%] .* got float32 %[7,9%]", "grad_cam", net, film[1][1]},
            {"grad_cam: images: expected float32 %[N,C,H,W%] .* got uint8", "grad_cam", net, film:byte()},
            {"grad_cam: images: a network takes float32 .* got \"film.png\"", "grad_cam", net, "film.png"},
            {"occlusion: images: the network gives a logit that is no finite number for image 1", "occlusion", net,
                blank},
            {"grad_cam: options: option 'class': the network gives 3 logits, there is none of number 4", "grad_cam",
                net, film, {class = 4}},
            {"option 'class': .*there is none of number 0", "grad_cam", net, film, {class = 0}},
            {"option 'class': expected one for each of the 1 images, got 2", "grad_cam", net, film, {class = {1, 2}}},
            {"option 'class': a network has numbers of classes", "grad_cam", net, film, {class = "INFECTED"}},
            {"option 'class': the network gives one logit: .* got 2", "grad_cam", tiny {outputs = 1}, film,
                {class = 2}},
            {"option 'layer': the pattern 'cov' fits no module", "grad_cam", net, film, {layer = "cov"}},
            {"option 'layer': of the modules that fit 'head'", "layer_cam", net, film, {layer = "head"}},
            {"unknown option 'window'", "grad_cam", net, film, {window = 2}},
            {"option 'window': expected at most the side of the images, 7, got 8", "occlusion", net, film,
                {window = 8}},
            {"option 'stride': expected at most the window, 2", "occlusion", net, film, {window = 2, stride = 3}},
            {"option 'noise'", "smooth_grad", net, film, {noise = -1}},
            {"model: expected a network that gives logits .* got float32 %[1,3,7,9%]", "occlusion", net.conv, film},
            {"grad_cam: model: of its modules: there is none that gives a map", "grad_cam",
                nn.Sequential(nn.Flatten(), nn.Linear(HEIGHT * WIDTH, 1)), film},
            {"grad_cam: model: expected", "grad_cam", {}, film},
        } do
            assert.error_matches(function() explain[case[2]](case[3], case[4], case[5]) end, case[1])
        end
    end)
end)

-- ---- Adebayo et al. 2018 ----------------------------------------------------------------------------------------

describe("the sanity check of maps", function()
    it("makes other maps of a network whose weights are drawn anew from the top down", function()
        local function build()
            return nn.Sequential(
                nn.Conv2d(1, 8, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(8, 16, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(16, 16, 3, {padding = 1}), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 8 * 8, 1))
        end
        lx.manual_seed(3)
        local set, net = lx.data.phantom {n = 160, size = 32, seed = 3}, build()
        local optimizer = lx.optim.AdamW(net:parameters(), {lr = 2e-3})
        for epoch = 1, 8 do
            for x, y in lx.data.batches(set, {batch = 16, epoch = epoch, mean = 0.5, std = 0.25}) do
                optimizer:zero_grad()
                nn.functional.binary_cross_entropy_with_logits(net(x), y):backward()
                optimizer:step()
            end
        end
        local new = lx.data.phantom {n = 40, size = 32, seed = 5}
        assert.is_true(lx.metrics.auc(lx.train.predict(net, new), new.labels) > 0.9)
        local x = (lx.data.phantom({n = 12, size = 32, seed = 4, infected = 1}).images:float() / 255 - 0.5) / 0.25
        for _, name in ipairs {"layer_cam", "integrated_gradients", "smooth_grad"} do
            local options = name == "layer_cam" and {} or name == "smooth_grad" and {samples = 8} or {steps = 8}
            local trained, mean = explain[name](net, x, options), {}
            for step, layers in ipairs {{10}, {10, 7}, {10, 7, 4, 1}} do
                local sum, count = 0, 0
                for seed = 1, 6 do
                    local other = net:clone()
                    lx.manual_seed(100 + seed)
                    local fresh = build()
                    for _, layer in ipairs(layers) do other[layer]:load_state_dict(fresh[layer]:state_dict()) end
                    local maps = explain[name](other, x, options)
                    for _, value in ipairs(explain.rank_correlation(trained, maps)) do
                        sum, count = sum + value, count + 1
                    end
                end
                mean[step] = sum / count
            end
            local words = name .. ": " .. table.concat(mean, ", ")
            assert.is_true(mean[1] < 0.6 and math.abs(mean[3]) < 0.2 and mean[3] < mean[1], words)
            assert.near(1, explain.rank_correlation(trained, trained)[1], 1e-9)
        end
    end)
end)

-- ---- figures and pictures ---------------------------------------------------------------------------------------

describe("lx.explain beside boxes", function()
    it("finds the energy inside, of pixels whose middle is in any box once", function()
        local map = lx.tensor {{{1, 2, -5}, {0, 3, 4}}}
        for _, case in ipairs {
            {{{x = 0, y = 0, w = 1, h = 1}}, 1 / 10}, {{{x = 1, y = 0, w = 2, h = 2}}, 9 / 10},
            {{{x = 1, y = 0, w = 1, h = 2}, {x = 1, y = 1, w = 2, h = 1}}, 9 / 10},
            {{{x = 0.6, y = 0, w = 1, h = 1}}, 2 / 10}, {{{x = 0.5, y = 0, w = 1, h = 1}}, 1 / 10},
            {{{x = 8, y = 8, w = 1, h = 1}}, 0},
        } do
            local mean, values = explain.energy_inside(map, {case[1]})
            assert.near(case[2], mean.mean, 1e-6)
            assert.near(case[2], values[1], 1e-6)
        end
    end)

    it("plays the pointing game, where equal values share the point and boxes may be widened", function()
        local map = lx.tensor {{{1, 4, -5}, {0, 3, 4}}}
        for _, case in ipairs {
            {{{x = 1, y = 0, w = 1, h = 1}}, 0, 0.5}, {{{x = 1, y = 0, w = 2, h = 2}}, 0, 1},
            {{{x = 0, y = 0, w = 1, h = 1}}, 0, 0}, {{{x = 0, y = 0, w = 1, h = 1}}, 1, 0.5},
            {{{x = 0, y = 0, w = 1, h = 1}}, 2, 1},
        } do
            assert.near(case[3], explain.pointing_game(map, {case[1]}, {tolerance = case[2]}).mean, 1e-9)
        end
    end)

    it("leaves out images without boxes, counts empty maps as misses, and resamples patients", function()
        local maps = lx.cat({lx.ones(1, 2, 2), lx.zeros(1, 2, 2), lx.ones(2, 2, 2)}, 1)
        local left = {{x = 0, y = 0, w = 1, h = 2}}
        local whole = {{x = 0, y = 0, w = 2, h = 2}}
        for _, name in ipairs {"energy_inside", "pointing_game"} do
            local mean, values = explain[name](maps, {left, whole, {}, whole}, {groups = {"a", "a", "b", "c"}})
            assert.same({0.5, 0, false, 1}, values)
            assert.same({0.5, 3, 2}, {mean.mean, mean.images, mean.units})
            local expected = lx.metrics.mean({0.5, 0, 1}, {groups = {"a", "a", "c"}})
            assert.same({expected.low, expected.high}, {mean.low, mean.high})
            local nothing, message = explain[name](maps, {{}, {}, {}, {}})
            assert.is_nil(nothing)
            assert.equal("no image has a box", message)
            for _, case in ipairs {
                {"boxes: expected a list of boxes for each of the 4 maps, got 1", maps, {left}},
                {"maps: expected float32 %[N,H,W%], got float32 %[2,2%]", maps[1], {left}},
                {"maps: map 1 has numbers that are not finite", lx.full({1, 2, 2}, NAN), {left}},
                {"maps: map 1 has numbers that are not finite", lx.full({1, 2, 2}, math.huge), {left}},
                {"boxes: expected a list, each a list of boxes", maps, {left, left, left, {{x = 1}}}},
                {"option 'groups': expected the patient of each of the 4 maps, got 1", maps, {left, left, left, left},
                    {groups = {"a"}}},
            } do
                assert.error_matches(function() explain[name](case[2], case[3], case[4]) end, case[1])
            end
        end
    end)

    it("compares maps by the ranks of their pixels", function()
        -- by the differences of the ranks (Spearman 1904), which holds without ties
        local a, b = lx.randn(2, 3, 5), lx.randn(2, 3, 5)
        local found = explain.rank_correlation(a, b)
        for i = 1, 2 do
            local p, q, sum = a[i]:flatten():totable(), b[i]:flatten():totable(), 0
            local function rank(list, value)
                local count = 1
                for _, other in ipairs(list) do count = count + (other < value and 1 or 0) end
                return count
            end
            for k = 1, 15 do sum = sum + (rank(p, p[k]) - rank(q, q[k])) ^ 2 end
            assert.near(1 - 6 * sum / (15 * (15 ^ 2 - 1)), found[i], 1e-9)
        end
        -- with ties: ranks 1.5 1.5 3 4 and 1 2 3.5 3.5, by hand; and maps that are the same everywhere
        local ties = explain.rank_correlation(lx.tensor {{{0, 0}, {2, 9}}}, lx.tensor {{{-1, 3}, {4, 4}}})
        assert.near((1 * 1.5 + 1 * 0.5 + 0.5 * 1 + 1.5 * 1) / 4.5, ties[1], 1e-9)
        assert.same({0}, explain.rank_correlation(lx.ones(1, 2, 2), lx.tensor {{{-1, 3}, {4, 4}}}))
        for expected, case in pairs {
            ["maps: expected float32 %[N,H,W%]"] = {lx.zeros(4, 4), lx.zeros(1, 4, 4)},
            ["others: expected the shape of maps, %[1,4,4%]"] = {lx.zeros(1, 4, 4), lx.zeros(1, 4, 5)},
            ["others: they have numbers that are not finite"] = {lx.zeros(1, 1, 1), lx.full({1, 1, 1}, NAN)},
        } do
            assert.error_matches(function() explain.rank_correlation(case[1], case[2]) end, expected)
        end
    end)

    it("has a Gaussian in the middle to compare with", function()
        local maps = explain.centre(2, {5, 9}, {deviation = 0.5})
        assert.same({2, 5, 9}, maps.shape)
        assert.near(1, maps:totable()[2][3][5], 1e-6)
        assert.near(math.exp(-0.5 * ((4 / 9) ^ 2 + (2 / 5) ^ 2) / 0.25), maps:totable()[1][5][9], 1e-6)
    end)
end)

describe("lx.explain.overlay", function()
    -- CIELAB's lightness of an sRGB colour.
    local function lightness(colour)
        local linear = {}
        for i, level in ipairs(colour) do
            local v = level / 255
            linear[i] = v <= 0.04045 and v / 12.92 or ((v + 0.055) / 1.055) ^ 2.4
        end
        local y = 0.2126 * linear[1] + 0.7152 * linear[2] + 0.0722 * linear[3]
        return y > (6 / 29) ^ 3 and 116 * y ^ (1 / 3) - 16 or y * (29 / 3) ^ 3
    end

    it("has colours of even lightness", function()
        local colours = require("luxel.explain.ramp")():totable()
        assert.equal(256, #colours)
        for i, colour in ipairs(colours) do
            assert.near(15 + (92 - 15) * (i - 1) / 255, lightness(colour), 0.35, i)
        end
    end)

    it("mixes colours over grey by the value, and shows nothing below 0", function()
        local image = lx.full({1, 1, 4}, 100, {dtype = "uint8"})
        local colours = require("luxel.explain.ramp")():totable()
        local picture, most = explain.overlay(image, lx.tensor {{-3, 0, 1, 2}})
        assert.equal(2, most)
        for c = 1, 3 do
            local row = picture:totable()[c][1]
            assert.same({100, 100}, {row[1], row[2]})
            assert.near(0.675 * 100 + 0.325 * (colours[128][c] + colours[129][c]) / 2, row[3], 2)
            assert.near(0.35 * 100 + 0.65 * colours[256][c], row[4], 0.51)
        end
        picture, most = explain.overlay(image, lx.zeros(1, 2, 2))
        assert.equal(0, most)
        assert.same(image:totable(), picture:narrow(1, 1, 1):totable())
        assert.error_matches(function() explain.overlay(image, lx.full({2, 2}, NAN)) end, "map: it has numbers that")
        assert.error_matches(function() explain.overlay(image, lx.zeros(2, 2, 2)) end, "map: expected float32 %[h,w%]")
    end)
end)

-- ---- from a film ------------------------------------------------------------------------------------------------

describe("a model's explanation of a film", function()
    local SIZE <const>, LUA <const> = 32, os.getenv("LUA") or "lua5.4"
    local work, model

    -- A model whose logit is the mean of the picture: the first channel is handed on, and added up.
    local function save(name, outputs, fields)
        local net = lx.models.cnn {size = SIZE, outputs = outputs}
        lx.no_grad(function()
            for _, parameter in net:named_parameters() do parameter:zero_() end
            for _, i in ipairs {1, 4, 7, 10} do
                net[i].weight:narrow(1, 1, 1):narrow(2, 1, 1):narrow(3, 2, 1):narrow(4, 2, 1):fill_(1)
            end
            net[14].weight:narrow(1, 1, 1):narrow(2, 1, (SIZE // 16) * (SIZE // 16)):fill_(1)
            net[17].weight:narrow(2, 1, 1):fill_(1)
        end)
        local metadata = {
            schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "cnn", size = SIZE,
            classes = {"NORMAL", "INFECTED"}, positive = "INFECTED", input = {channels = 1, low = 0, high = 1},
            normalisation = {mean = 0, std = 0.5}, threshold = 0.5, calibration = false, seed = 1, epoch = 1,
            chosen = {threshold = "Youden", calibration = "none", images = 9},
        }
        for key, value in pairs(fields or {}) do metadata[key] = value end
        assert(lx.checkpoint.save(work .. "/" .. name, net:state_dict(), metadata))
        return work .. "/" .. name
    end

    setup(function()
        work = shell.folder()
        model = save("model", 1)
    end)

    teardown(function() shell.remove(work) end)

    -- The middle of what is above half of the largest value, in pixels.
    local function middle(rows)
        local most, sum, mx, my = 0, 0, 0, 0
        for _, row in ipairs(rows) do
            for _, value in ipairs(row) do most = math.max(most, value) end
        end
        for y, row in ipairs(rows) do
            for x, value in ipairs(row) do
                if value > most / 2 then sum, mx, my = sum + 1, mx + x - 0.5, my + y - 0.5 end
            end
        end
        return mx / sum, my / sum
    end

    it("is by Grad-CAM where the head averages the map, and else by LayerCAM", function()
        local predictor = assert(lx.predictor.open(model))
        assert.equal("layer_cam", explain.usual(predictor))
        assert.equal("layer_cam", explain.usual(assert(lx.predictor.open {model, model})))
        for name, expected in pairs {resnet18 = "grad_cam", squeezenet1_1 = "layer_cam"} do
            lx.manual_seed(2)
            local net = lx.models[name] {size = 64, outputs = 1}
            local path = work .. "/" .. name
            local metadata = {}
            for key, value in pairs(predictor.metadata) do metadata[key] = value end
            metadata.model, metadata.size = name, 64
            assert(lx.checkpoint.save(path, net:state_dict(), metadata))
            assert.equal(expected, explain.usual(assert(lx.predictor.open(path))), name)
        end
    end)

    it("is where the blob is, in the pixels of a picture that is not square", function()
        local predictor = assert(lx.predictor.open(model))
        for _, case in ipairs {{90, 40, 11, 70, 4, 8}, {40, 90, 75, 9, 8, 4}, {64, 64, 16, 40, 6, 6}} do
            local height, width, x, y, w, h = table.unpack(case)
            local image = lx.vision.fill_rect(lx.full({1, height, width}, 20, {dtype = "uint8"}),
                {x = x - w // 2, y = y - h // 2, w = w, h = h}, {colour = {240, 240, 240}})
            local map = explain.occlusion(predictor, image, {window = 5, stride = 1})
            assert.same({1, SIZE, SIZE}, map.shape)
            local picture = explain.overlay(lx.zeros({1, height, width}, {dtype = "uint8"}), map)
            local mx, my = middle(picture:float():sum(1):totable())
            assert.near(x, mx, 0.5 * width / SIZE)
            assert.near(y, my, 0.5 * height / SIZE)
        end
    end)

    it("is the same of a file, its bytes, the picture, and what the network gets", function()
        local predictor = assert(lx.predictor.open(model))
        local image = (lx.rand(1, 50, 70) * 255):byte()
        assert(lx.vision.save(work .. "/film.png", image))
        local x = predictor:input(image)
        assert.is_true(lx.allclose(lx.vision.resize(image, SIZE, SIZE):float() / 255 / 0.5, x[1], 1e-5, 1e-6))
        local expected = explain.occlusion(predictor.net, x)
        for _, source in ipairs {work .. "/film.png", {bytes = shell.read(work .. "/film.png")}, image, x} do
            assert.is_true(lx.allclose(expected, explain.occlusion(predictor, source)))
        end
        assert.is_true(lx.allclose(expected, explain.occlusion(predictor, image, {class = "INFECTED"})))
        assert.is_true(lx.allclose(expected * -1, explain.occlusion(predictor, image, {class = "NORMAL"})))
        local both = assert(lx.predictor.open {model, model})
        assert.is_true(lx.allclose(expected / expected:abs():max(), explain.occlusion(both, image), 1e-4, 1e-6))
        local nothing, message, code = explain.occlusion(predictor, work .. "/none.png")
        assert.is_nil(nothing)
        assert.matches("none.png", message)
        assert.equal("io", code)
        assert.error_matches(function() explain.occlusion(predictor, image, {class = "SICK"}) end,
            "option 'class': there is none called 'SICK'; there are NORMAL, INFECTED")
        assert.error_matches(function() explain.occlusion(predictor, lx.zeros({3, 4, 4}, {dtype = "uint8"})) end,
            "source: expected a picture uint8 %[1,H,W%]")
        assert.error_matches(function() both:input(image) end, "it is of 2 models")
    end)

    local function predict(words)
        return shell.run(("%s bin/luxel predict --model '%s' --out '%s/pictures' %s"):format(LUA, model, work, words))
    end

    it("is drawn by luxel predict --explain, in the size of the image, beside its label and a bar", function()
        local image = (lx.rand(1, 120, 200) * 255):byte()
        assert(lx.vision.save(work .. "/a.png", image))
        local status, output, errors = predict(("--json --explain occlusion '%s/a.png'"):format(work))
        assert.equal(0, status, errors)
        assert.matches("explained by occlusion: [%d.e-]+ s an image\n", errors)
        assert.matches("not a medical device", errors)
        assert.equal("INFECTED", cjson.decode(output:match("[^\n]+")).label)
        local predictor = assert(lx.predictor.open(model))
        local expected = explain.overlay(image, explain.occlusion(predictor, image))
        local picture = assert(lx.vision.load(work .. "/pictures/a.png", {channels = 3}))
        local found = false -- the image itself, whole, under its title
        for top = 1, picture.shape[2] - 120 do
            local part = picture:narrow(2, top, 120):narrow(3, 1, 200)
            -- the program may be another build, whose sums are rounded otherwise
            found = found or (part:float() - expected:float()):abs():max():item() <= 2
        end
        assert.is_true(found)
        assert.is_true(picture.shape[3] > 200 and picture.shape[2] > 120)
        status, output, errors = predict(("--explain '%s/a.png'"):format(work)) -- the first method; then an image
        assert.matches("xray INFECTED", output)
        assert.equal(0, status, errors)
        assert.matches("explained by " .. explain.METHODS[1], errors)
        status, output, errors = shell.run(("%s bin/luxel predict --model '%s' --explain --out '%s/pictures' '%s/a.png'"
            ):format(LUA, model, work, work)) -- an option follows
        assert.equal(0, status, errors)
        assert.matches("xray INFECTED", output)
        assert.matches("explained by " .. explain.METHODS[1], errors)
    end)

    local dicom = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/dicom/derived/RG1_mono1_16bit_rle.dcm"
    if lfs.attributes(dicom) then
        it("is drawn over a DICOM file", function()
            local status, _, errors = predict(("--explain layer_cam '%s'"):format(dicom))
            assert.equal(0, status, errors)
            local film = assert(lx.vision.load(dicom, {bits = 8}))
            local picture = assert(lx.vision.load(work .. "/pictures/RG1_mono1_16bit_rle.png", {channels = 3}))
            assert.is_true(picture.shape[2] > film.shape[2] and picture.shape[3] > film.shape[3])
        end)
    else
        pending("is drawn over a DICOM file (no " .. dicom .. ")")
    end

    it("is refused where it cannot be drawn", function()
        local status, _, errors = predict(("--explain ocluson '%s/a.png'"):format(work))
        assert.equal(1, status)
        assert.matches("%-%-explain: there is no method 'ocluson'; there are ", errors)
        status, _, errors = shell.run(("%s bin/luxel predict --model '%s' '%s/a.png' --explain"):format(LUA, model,
            work))
        assert.equal(1, status)
        assert.matches("%-%-explain: say with %-%-out FOLDER", errors)
    end)
end)

describe("the similarity of images and words", function()
    local D <const> = 5
    local vectors

    before_each(function()
        lx.manual_seed(8)
        vectors = lx.randn(3, D)
    end)

    local function cosine(a, b)
        local ab, aa, bb = 0, 0, 0
        for d = 1, D do ab, aa, bb = ab + a[d] * b[d], aa + a[d] ^ 2, bb + b[d] ^ 2 end
        return ab / math.sqrt(aa * bb)
    end

    it("is the cosine, of whatever length the vectors are", function()
        local encoder, x = tiny {outputs = D}, images(4)
        local rows, own = encoder(x):totable(), vectors:totable()
        for _, scale in ipairs {1, 1000} do
            local found = explain.similarity(encoder, vectors * scale)(x):totable()
            for i, row in ipairs(rows) do
                for k, vector in ipairs(own) do assert.near(cosine(row, vector), found[i][k], 1e-5) end
            end
        end
    end)

    it("can be explained: what pixels add comes to what the image has more than the darkest one", function()
        local encoder, x = tiny {outputs = D}, images(2)
        local net = explain.similarity(encoder, vectors)
        for k = 1, 3 do
            local maps = explain.integrated_gradients(net, x, {class = k, steps = 400, baseline = -1})
            local more = (net(x) - net(x * 0 - 1)):select(2, k)
            for i = 1, 2 do assert.near(more[i]:item(), maps:select(1, i):sum():item(), 2e-3) end
        end
        assert.same({2, HEIGHT, WIDTH}, explain.layer_cam(net, x, {class = 3}).shape)
        -- of a network that says where its last maps are, these are taken
        local own = lx.models.cnn {size = 32, outputs = D}
        assert.is_function(explain.similarity(own, vectors).stages)
        assert.same({1, 32, 32}, explain.grad_cam(explain.similarity(own, vectors), lx.rand(1, 1, 32, 32), {class = 1}
            ).shape)
    end)

    it("refuses vectors of another length, or of nothing", function()
        local encoder = tiny {outputs = D}
        assert.error_matches(function() explain.similarity(encoder, lx.ones(2, D + 1))(images(1)) end,
            "expected a vector of 6 numbers for each of 1 images")
        assert.error_matches(function() explain.similarity(encoder, lx.zeros(2, D)) end, "none of only zeros")
        assert.error_matches(function() explain.similarity(encoder, lx.ones(D)) end, "expected float32 %[K,D%]")
        assert.error_matches(function() explain.similarity(encoder, vectors * NAN) end, "finite")
    end)
end)
