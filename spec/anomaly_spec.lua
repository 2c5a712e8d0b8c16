-- What is unusual: distributions against elimination by hand, patches against all pairs, what scores and maps mean,
-- files, and the command.

local cjson = require "cjson"
local gaussian = require "luxel.anomaly.gaussian"
local lx = require "luxel"
local patchcore = require "luxel.anomaly.patchcore"
local random = require "luxel.random"
local shell = require "spec.support.shell"
local stages = require "luxel.anomaly.stages"

local LUA <const> = os.getenv("LUA") or "lua5.4"

-- x' A^-1 x by Gaussian elimination in Lua's numbers.
local function quadratic(a, x)
    local n, rows = #x, {}
    for i = 1, n do
        rows[i] = table.move(a[i], 1, n, 1, {})
        rows[i][n + 1] = x[i]
    end
    for k = 1, n do
        local best = k
        for i = k + 1, n do
            if math.abs(rows[i][k]) > math.abs(rows[best][k]) then best = i end
        end
        rows[k], rows[best] = rows[best], rows[k]
        for i = k + 1, n do
            local factor = rows[i][k] / rows[k][k]
            for j = k, n + 1 do rows[i][j] = rows[i][j] - factor * rows[k][j] end
        end
    end
    local y, sum = {}, 0
    for i = n, 1, -1 do
        y[i] = rows[i][n + 1]
        for j = i + 1, n do y[i] = y[i] - rows[i][j] * y[j] end
        y[i] = y[i] / rows[i][i]
    end
    for i = 1, n do sum = sum + x[i] * y[i] end
    return sum
end

-- Mean and covariance of rows by plain sums.
local function moments_of(rows)
    local d, mean, covariance = #rows[1], {}, {}
    for c = 1, d do
        mean[c] = 0
        for _, row in ipairs(rows) do mean[c] = mean[c] + row[c] / #rows end
    end
    for a = 1, d do
        covariance[a] = {}
        for b = 1, d do
            covariance[a][b] = 0
            for _, row in ipairs(rows) do
                covariance[a][b] = covariance[a][b] + (row[a] - mean[a]) * (row[b] - mean[b]) / #rows
            end
        end
    end
    return mean, covariance
end

describe("normal distributions of features", function()
    for _, case in ipairs {{3, 11, 1}, {2, 20, 2}, {5, 23, 7}} do
        local count, n, d = table.unpack(case)
        it(("have moments, shrinkage and distances as by hand: %d of %d dimensions"):format(count, d), function()
            lx.manual_seed(count)
            local x = lx.randn(count, n, d):matmul(lx.randn(count, d, d)) + 30
            local found = gaussian.moments(count, d, "cpu")
            found:add(x:narrow(2, 1, 4))
            found:add(x:narrow(2, 5, n - 4))
            local mean, covariance = found:finish()
            local shrunk = gaussian.shrink(covariance, n, 0.01)
            local whitening = gaussian.whitening(shrunk)
            local by_hand, whole = {}, 0
            for p, rows in ipairs(x:totable()) do
                local m, c = moments_of(rows)
                local trace, squares = 0, 0
                for a = 1, d do
                    assert.near(m[a], mean[{p, a}], 1e-4)
                    trace = trace + c[a][a]
                    for b = 1, d do
                        assert.near(c[a][b], covariance[{p, a, b}], 1e-4 * (1 + math.abs(c[a][b])))
                        squares = squares + c[a][b] ^ 2
                    end
                end
                local above = (1 - 2 / d) * squares + trace ^ 2
                local below = (n + 1 - 2 / d) * (squares - trace ^ 2 / d)
                by_hand[p] = {m = m, c = c, mean = trace / d, share = below > 0 and math.min(1, above / below) or 1}
                whole = whole + trace / d / count
            end
            for p, one in ipairs(by_hand) do
                for a = 1, d do
                    for b = 1, d do
                        one.c[a][b] = (1 - one.share) * one.c[a][b]
                            + (a == b and one.share * one.mean + 0.01 * whole or 0)
                        assert.near(one.c[a][b], shrunk[{p, a, b}], 1e-3 * (1 + math.abs(one.c[a][b])))
                        if b > a then assert.equal(0, whitening[{p, a, b}]) end
                    end
                end
                local difference = {}
                for a = 1, d do difference[a] = x[{p, 1, a}] - one.m[a] end
                local z = whitening[p]:matmul(lx.tensor(difference):reshape(d, 1))
                local expected = quadratic(one.c, difference)
                assert.near(expected, z:square():sum():item(), 2e-3 * (1 + expected))
            end
        end)
    end

    it("that are flat, or no covariances, are told", function()
        assert.is_nil(gaussian.shrink(lx.zeros(2, 3, 3), 10, 0.01))
        assert.is_nil(gaussian.cholesky(lx.tensor {{{1, 2}, {2, 1}}}))
        assert.has_error(function() gaussian.whitening(lx.tensor {{{1, 2}, {2, 1}}}) end)
    end)
end)

describe("patches that are kept", function()
    it("are those that a loop over all pairs takes", function()
        local stream, points = random.stream(5), {}
        for i = 1, 60 do points[i] = {stream:uniform(0, 1), stream:uniform(0, 3), stream:uniform(0, 1)} end
        local chosen = patchcore.coreset({seed = 3, say = function() end}, lx.tensor(points), 9)
        local function distance(a, b)
            local sum = 0
            for c = 1, 3 do sum = sum + (points[a][c] - points[b][c]) ^ 2 end
            return sum
        end
        for k = 2, 9 do
            local farthest, most = nil, -1
            for i = 1, 60 do
                local nearest = math.huge
                for j = 1, k - 1 do nearest = math.min(nearest, distance(i, chosen[j])) end
                if nearest > most then farthest, most = i, nearest end
            end
            assert.equal(farthest, chosen[k])
        end
    end)
end)

-- ---- detectors ------------------------------------------------------------------------------------------------------

local normal, ill, net

local function pick(dataset, label)
    local kept = {}
    for i, own in ipairs(dataset.labels:totable()) do
        if own == label then kept[#kept + 1] = i end
    end
    return dataset:subset(kept)
end

local function fit(method, options)
    local own = {method = method, seed = 2, val = 0.3}
    if method ~= "autoencoder" then own.net, own.model = net, "cnn" end
    if method == "autoencoder" or method == "student" then own.epochs = 2 end
    for key, value in pairs(options or {}) do own[key] = value end
    lx.manual_seed(4)
    return assert(lx.anomaly.fit(normal, own))
end

-- The maps of some images, as the method gives them.
local function maps_of(found, images)
    local x = (images:float() / 255 - 0.5) / 0.25
    return found.way.look(found.job, found.tensors, x)
end

describe("a detector", function()
    setup(function()
        local all = lx.data.phantom {n = 90, size = 32, seed = 21}
        normal, ill = pick(all, 0), pick(all, 1)
        lx.manual_seed(1)
        net = lx.models.cnn {size = 32}
    end)

    for _, method in ipairs(lx.anomaly.METHODS) do
        it("tells the same from its file: " .. method, function()
            local folder = shell.folder()
            finally(function() shell.remove(folder) end)
            local found = fit(method)
            assert(found:save(folder .. "/a.safetensors"))
            local opened = assert(lx.anomaly.open(folder .. "/a.safetensors"))
            local scores = assert(found:scores(ill))
            assert.same(scores, opened:scores(ill))
            assert.equal(#ill, #scores)
            assert.matches("^Detector: " .. method, tostring(opened))
            -- again from the same seed: the same file
            assert(fit(method):save(folder .. "/b.safetensors"))
            assert.equal(shell.read(folder .. "/a.safetensors"), shell.read(folder .. "/b.safetensors"))
            local answer = assert(opened({bytes = require("luxel.core").encode_png(ill:image(1)), name = "one"}))
            assert.near(scores[1], answer.score, 1e-5 * math.abs(scores[1]))
            assert.same({1, 32, 32}, answer.map.shape)
            assert.equal(found:p_value(scores[1]), answer.p)
            assert.equal(lx.predictor.NOTICE, answer.notice)
            assert.matches("usual: score [%d.e+-]+, p [%d.]+$", tostring(answer))
        end)
    end

    it("finds more in phantoms with opacities than in those without", function()
        for method, least in pairs {mahalanobis = 0.7, neighbours = 0.6, padim = 0.8, patchcore = 0.65} do
            local found = fit(method)
            local scores, labels = {}, {}
            local _, held = normal:split {val = 0.3, seed = 2} -- the same split: these were not learnt from
            for label, dataset in pairs {[0] = held, [1] = ill} do
                for _, score in ipairs(found:scores(dataset)) do
                    scores[#scores + 1], labels[#labels + 1] = score, label
                end
            end
            local auc = lx.metrics.auc(scores, labels)
            assert.is_true(auc > least, ("%s: %.3f"):format(method, auc))
        end
    end)

    it("says by p which share of normal images kept out is as unusual, one of each patient", function()
        local found = fit "padim"
        local _, held = normal:split {val = 0.3, seed = 2}
        local patients, count = {}, 0
        for _, patient in ipairs(held.groups) do
            if not patients[patient] then patients[patient], count = true, count + 1 end
        end
        local list = found.metadata.anomaly.scores
        assert.equal(count, #list)
        assert.is_true(count < #held)
        assert.near(1 / (count + 1), found:p_value(math.huge), 1e-12)
        assert.equal(1, found:p_value(-1))
        assert.near(3 / (count + 1), found:p_value(list[count - 1]), 1e-12)
        local own, seen = {}, assert(found:scores(held))
        for _, score in ipairs(seen) do own[score] = true end
        for _, score in ipairs(list) do assert.is_true(own[score]) end
        assert.equal(#normal, found.metadata.trained_on.images)
        assert.equal(0, #lx.data.unseen(normal, found.metadata.trained_on))
        local answer = assert(found:all({{bytes = require("luxel.core").encode_png(ill:image(1))}}, {level = 1})[1])
        assert.is_true(answer.unusual)
    end)

    it("of neighbours measures as by hand, and its map adds up", function()
        local found = fit("neighbours", {stages = {4}, neighbours = 2})
        local memory, d = found.tensors.normal:totable(), found.tensors.normal.shape[2]
        local train = normal:split {val = 0.3, seed = 2}
        assert.equal(#train, #memory)
        local map = stages.eye(net, {4})((ill.images:narrow(1, 1, 1):float() / 255 - 0.5) / 0.25)[1]:totable()[1]
        local own, channels, means, deviations = {}, #map, {}, {}
        for c, rows in ipairs(map) do
            local sum, squares = 0, 0
            for _, row in ipairs(rows) do
                for _, value in ipairs(row) do sum = sum + value / 16 end
            end
            for _, row in ipairs(rows) do
                for _, value in ipairs(row) do squares = squares + (value - sum) ^ 2 / 16 end
            end
            means[c], deviations[c] = sum, math.sqrt(squares + 1e-12)
            own[c], own[c + channels] = sum / (deviations[c] + 1e-3), math.log(deviations[c] + 1e-3)
        end
        local mean, scale = found.tensors.mean:totable(), found.tensors.scale:totable()
        for i = 1, d do own[i] = (own[i] - mean[i]) / scale[i] end
        local order = {}
        for m, row in ipairs(memory) do
            local sum = 0
            for i = 1, d do sum = sum + (own[i] - row[i]) ^ 2 end
            order[m] = {math.sqrt(sum / d), row}
        end
        table.sort(order, function(a, b) return a[1] < b[1] end)
        local scores, maps = maps_of(found, ill.images:narrow(1, 1, 1))
        assert.near((order[1][1] + order[2][1]) / 2, scores[1], 1e-3)
        local whole = 0
        for i = 1, d do whole = whole + (own[i] - (order[1][2][i] + order[2][2][i]) / 2) ^ 2 / d end
        assert.near(whole, maps:mean():item(), 2e-3 * whole)
        assert.same({1, 4, 4}, maps.shape)
        local middle, shown = {}, maps[1]:totable()
        for i = 1, d do middle[i] = (order[1][2][i] + order[2][2][i]) / 2 end
        for y = 1, 4 do
            for x = 1, 4 do
                local sum = whole
                for c, rows in ipairs(map) do
                    local away, e = rows[y][x] - means[c], deviations[c] + 1e-3
                    local wider = (away ^ 2 - deviations[c] ^ 2) / (2 * deviations[c]) -- of the deviation
                    local share = away / e - means[c] / e ^ 2 * wider
                    sum = sum + ((own[c] - middle[c]) / scale[c] * share
                        + (own[c + channels] - middle[c + channels]) / scale[c + channels] * wider / e) / d
                end
                assert.near(sum, shown[y][x], 5e-3 * math.abs(sum) + 2e-3 * whole)
            end
        end
    end)

    it("enhances images as it did when it learnt", function()
        local found = fit("padim", {enhance = {{"equalize"}}})
        local equal, plain = {}, fit "padim"
        for i = 1, 4 do equal[i] = lx.vision.equalize(ill:image(i)) end
        local images = lx.data.dataset {images = lx.stack(equal, 1), labels = lx.zeros(4)}
        plain.tensors, plain.job = found.tensors, found.job
        assert.same(plain:scores(images), found:scores(ill:subset {1, 2, 3, 4}))
    end)

    it("by pooled features has a map whose mean is the squared score", function()
        local found = fit("mahalanobis", {stages = {3, 4}})
        local scores, maps = maps_of(found, ill.images:narrow(1, 1, 5))
        local means = maps:flatten(2):mean(2)
        for i = 1, 5 do assert.near(scores[i] ^ 2, means[i], 1e-3 * means[i]) end
    end)

    it("at each place measures as by hand", function()
        local found = fit("padim", {channels = 5, stages = {2, 3}})
        local train = normal:split {val = 0.3, seed = 2}
        local eye = stages.eye(net, {2, 3})
        local function features(images)
            local all = stages.on_grid(eye((images:float() / 255 - 0.5) / 0.25), 4)
            return all:index_select(2, found.tensors.channels):totable()
        end
        local rows, look = {}, features(ill.images:narrow(1, 1, 1))[1]
        for i, image in ipairs(features(train.images)) do
            rows[i] = {}
            for c = 1, 5 do rows[i][c] = image[c][2][3] end
        end
        -- the shrunk covariance is the inverse of W'W
        local place = (2 - 1) * 4 + 3
        local mean = moments_of(rows)
        local difference, whitening = {}, found.tensors.whitening[place]:totable()
        local sum = 0
        for c = 1, 5 do
            assert.near(mean[c], found.tensors.mean[{place, c}], 1e-4)
            difference[c] = look[c][2][3] - mean[c]
        end
        for a = 1, 5 do
            local z = 0
            for b = 1, 5 do z = z + whitening[a][b] * difference[b] end
            sum = sum + z * z
        end
        local scores, maps = maps_of(found, ill.images:narrow(1, 1, 1))
        assert.near(math.sqrt(sum / 5), maps[{1, 2, 3}], 1e-3)
        assert.near(maps:max():item(), scores[1], 1e-5)
        found.job.top = 0.25 -- the mean of the four largest of sixteen
        local values, top = maps:flatten():totable(), 0
        table.sort(values, function(a, b) return a > b end)
        for i = 1, 4 do top = top + values[i] / 4 end
        assert.near(top, (maps_of(found, ill.images:narrow(1, 1, 1)))[1], 1e-5)
    end)

    it("of patches measures and weights as by hand", function()
        local found = fit("patchcore", {stages = {3}, patches = 40})
        local memory, d = found.tensors.memory:totable(), found.tensors.memory.shape[2]
        assert.equal(40, #memory)
        local map = stages.eye(net, {3})((ill.images:narrow(1, 1, 1):float() / 255 - 0.5) / 0.25)[1]
        map = lx.nn.functional.avg_pool2d(map, 3, {stride = 1, padding = 1, count_include_pad = false})
        map = stages.on_grid({map}, 4)
        local mean, scale = found.tensors.mean:totable(), found.tensors.scale:totable()
        local function distance(a, b)
            local sum = 0
            for c = 1, d do sum = sum + (a[c] - b[c]) ^ 2 end
            return math.sqrt(sum / d)
        end
        local scores, maps = maps_of(found, ill.images:narrow(1, 1, 1))
        local most, patch, nearest = -1, nil, nil
        for y = 1, 4 do
            for x = 1, 4 do
                local own, least, which = {}, math.huge, nil
                for c = 1, d do own[c] = (map[{1, c, y, x}] - mean[c]) / scale[c] end
                for m, other in ipairs(memory) do
                    if distance(own, other) < least then least, which = distance(own, other), m end
                end
                assert.near(least, maps[{1, y, x}], 2e-3)
                if least > most then most, patch, nearest = least, own, which end
            end
        end
        local order, sum = {}, 0
        for m in ipairs(memory) do order[m] = m end
        table.sort(order, function(a, b)
            return distance(memory[a], memory[nearest]) < distance(memory[b], memory[nearest])
        end)
        for k = 1, 9 do sum = sum + math.exp(distance(patch, memory[order[k]])) end
        assert.near((1 - math.exp(most) / sum) * most, scores[1], 2e-3)
    end)

    it("points at what was put into a normal image", function()
        local found = fit "padim"
        local image = normal:image(1):clone()
        image:narrow(2, 5, 6):narrow(3, 21, 6):fill_(255)
        local answer = found:all({{bytes = require("luxel.core").encode_png(image)}})[1]
        local most, y, x = -1, 0, 0
        for row, values in ipairs(answer.map:totable()[1]) do
            for column, value in ipairs(values) do
                if value > most then most, y, x = value, row, column end
            end
        end
        assert.is_true(y >= 1 and y <= 16 and x >= 16 and x <= 32, ("%d, %d"):format(y, x))
    end)

    it("leaves the network as it was", function()
        net:train()
        local before = net:state_dict()
        for name, tensor in pairs(before) do before[name] = tensor:clone() end
        fit "student"
        assert.is_true(net.training)
        for name, tensor in pairs(net:state_dict()) do assert.is_true(lx.allclose(before[name], tensor, 0, 0)) end
        net:eval()
    end)

    it("sees as its network did, whatever becomes of that, also with batch normalisation", function()
        lx.manual_seed(3)
        local own = lx.models.resnet18 {size = 32}
        own:train()
        own(lx.rand(4, 1, 32, 32)) -- running statistics of their own
        local found = assert(lx.anomaly.fit(normal, {method = "mahalanobis", net = own, model = "resnet18"}))
        local scores = found:scores(ill)
        assert.is_true(own.training)
        own(lx.rand(4, 1, 32, 32) * 5)
        own.conv1.weight:detach():fill_(0)
        assert.same(scores, found:scores(ill))
        -- one at a time as all together
        for i = 1, 3 do assert.near(scores[i], found:scores(ill:subset {i})[1], 1e-3 * scores[i]) end
    end)

    it("computes the same on another device", function()
        if not lx.device "opencl" then return pending "there is no OpenCL" end
        local own = lx.models.cnn {size = 32}
        own:load_state_dict(net:state_dict())
        for _, method in ipairs {"mahalanobis", "neighbours", "padim", "patchcore"} do
            local here, there = fit(method), fit(method, {net = own, device = "opencl"})
            local a, b = here:scores(ill), there:scores(ill)
            for i = 1, #a do assert.near(a[i], b[i], 0.02 * a[i], method) end
            own:to("cpu")
        end
    end)

    it("refuses what is not normal, too little, and what does not go together", function()
        local function message(dataset, options)
            local ok, text = pcall(lx.anomaly.fit, dataset, options)
            assert.is_false(ok)
            return tostring(text)
        end
        local mixed = lx.data.phantom {n = 20, size = 32}
        assert.matches("fit: dataset: expected normal images alone, got %d+ of NORMAL, %d+ of PNEUMONIA",
            message(mixed, {net = net, model = "cnn"}))
        assert.matches("expected normal images alone, got %d+ of PNEUMONIA", message(ill, {net = net, model = "cnn"}))
        assert.matches("option 'net': the method 'neighbours' sees by a network", message(normal, {}))
        assert.matches("option 'net': it is of mahalanobis, .*, not of 'autoencoder'",
            message(normal, {method = "autoencoder", net = net}))
        assert.matches("option 'patches': it is of patchcore, not of 'padim'",
            message(normal, {method = "padim", net = net, model = "cnn", patches = 9}))
        assert.matches("option 'model': the network does not say", message(normal, {net = net}))
        assert.matches("option 'stages': expected ascending numbers of the network's 5 stages, got 3, 2",
            message(normal, {net = net, model = "cnn", stages = {3, 2}}))
        assert.matches("option 'model': the network is no 'resnet18': it lacks", message(normal, {net = net,
            model = "resnet18"}))
        assert.matches("expected a classifier of lx.models", message(normal, {net = lx.nn.ReLU(), model = "cnn"}))
        assert.matches("option 'top': it is of .*, not of 'neighbours'",
            message(normal, {net = net, model = "cnn", top = 1}))
        assert.matches("option 'neighbours': it is of neighbours, not of 'padim'",
            message(normal, {net = net, model = "cnn", method = "padim", neighbours = 1}))
        assert.matches("option 'method': expected a method", message(normal, {method = "svm"}))
        local none, text, code = lx.anomaly.fit(normal:subset {1, 2, 3}, {net = net, model = "cnn"})
        assert.is_nil(none)
        assert.equal("few", code)
        assert.matches("3 images; at least 10", text)
        local flat = lx.data.dataset {images = lx.zeros({12, 1, 32, 32}, {dtype = "uint8"}), labels = lx.zeros(12)}
        none, text, code = lx.anomaly.fit(flat, {net = net, model = "cnn"})
        assert.is_nil(none)
        assert.equal("model", code)
        assert.matches("sees all of them alike", text)
    end)

    it("refuses files that are none, and its file is refused as a classifier", function()
        local folder = shell.folder()
        finally(function() shell.remove(folder) end)
        local path = folder .. "/a.safetensors"
        assert(fit("padim", {channels = 4}):save(path))
        local none, text, code = lx.predictor.open(path)
        assert.is_nil(none)
        assert.equal("format", code)
        assert.matches("lx.anomaly.open", text)
        local tensors, metadata = assert(lx.checkpoint.load(path))
        local function opened(change)
            local names, about = {}, {}
            for name, tensor in pairs(tensors) do names[name] = tensor end
            for key, value in pairs(metadata) do about[key] = value end
            change(names, about)
            assert(lx.checkpoint.save(folder .. "/b.safetensors", names, about))
            local found, message, kind = lx.anomaly.open(folder .. "/b.safetensors")
            assert.is_nil(found)
            assert.equal("format", kind)
            return message
        end
        assert.matches("lacks 1 weights, such as '0%.weight'", opened(function(t) t["net.0.weight"] = nil end))
        assert.matches("expected the tensor 'fitted.mean'", opened(function(t) t["fitted.mean"] = nil end))
        assert.matches("do not fit", opened(function(t) t["fitted.mean"] = lx.zeros(16, 5) end))
        assert.matches("do not fit", opened(function(t)
            t["fitted.channels"] = lx.tensor({1, 2, 3, 9999}, {dtype = "int32"})
        end))
        assert.matches("scores: there are none", opened(function(_, m)
            m.anomaly = {method = "padim", stages = {2, 3, 4}, top = 0, scores = {}, limit = 1}
        end))
        assert.matches("anomaly: the task 'anomaly' alone has it", opened(function(_, m) m.task = "labels" end))
        assert.matches("stages: the network has others", opened(function(_, m)
            m.anomaly = {method = "padim", stages = {2, 9}, top = 0, scores = {1}, limit = 1}
        end))
        none, text = lx.anomaly.open(folder .. "/none")
        assert.is_nil(none)
        assert.matches("none", text)
    end)
end)

-- ---- the command ----------------------------------------------------------------------------------------------------

describe("luxel anomaly #slow", function()
    local work, weights

    local function run(form, ...) return shell.run(("%s bin/luxel anomaly %s"):format(LUA, form:format(...))) end

    setup(function()
        work = shell.folder()
        lx.data.phantom_save(work .. "/films", {n = 60, size = 48, seed = 3})
        lx.manual_seed(1)
        weights = work .. "/cnn.safetensors"
        assert(lx.save(weights, lx.models.cnn({size = 32}):state_dict()))
    end)

    teardown(function() shell.remove(work) end)

    it("learns from the normal ones of a folder, and scores files, in words, JSON, CSV and pictures", function()
        local status, out, errors = run("train --data %s/films --out %s/n.safetensors --model cnn --pretrained %s "
            .. "--source own --size 32 --val 0.3 --device cpu --method padim", work, work, weights)
        assert.equal(0, status, errors)
        assert.matches("left out: %d+ images of PNEUMONIA: what is normal is learnt from normal images alone", out)
        assert.matches("the least p that an image can have is 1/%d+", out)
        assert.matches(lx.predictor.NOTICE, out, 1, true)
        shell.write(work .. "/broken.png", "no picture")
        status, out, errors = run("score --model %s/n.safetensors --device cpu --json %s/films %s/broken.png --out "
            .. "%s/pictures", work, work, work, work)
        assert.equal(1, status)
        assert.matches("error: .*broken.png", errors)
        local count = 0
        for line in out:gmatch("[^\n]+") do
            local answer = cjson.decode(line)
            count = count + 1
            assert.equal(answer.p <= 0.05, answer.unusual)
            assert.equal(lx.predictor.NOTICE, answer.notice)
        end
        assert.equal(60, count)
        local list <close> = io.popen("ls -d " .. work .. "/pictures/*")
        local picture = assert(lx.vision.load(list:read("l")))
        assert.is_true(picture.shape[2] > 48 and picture.shape[3] > 48)
        status, out = run("score --model %s/n.safetensors --device cpu --format csv --level 1 %s/films/NORMAL", work,
            work)
        assert.equal(0, status)
        assert.matches("^path,score,p,unusual,warnings\n", out)
        assert.matches("%.png,[%d.]+,[%d.]+,1,", out)
        status, out = run("score --model %s/n.safetensors --device cpu $(ls -d %s/films/NORMAL/* | head -1)", work,
            work)
        assert.equal(0, status)
        assert.matches("^xray u?n?usual: score", out)
    end)

    it("learns from a folder of images alone, and asks where nothing tells which are normal", function()
        local status, out = run("train --data %s/films/NORMAL --out %s/a.safetensors --method autoencoder --epochs 1 "
            .. "--size 32 --device cpu", work, work)
        assert.equal(0, status)
        assert.is_nil(out:find("left out", 1, true))
        os.execute(("mkdir -p '%s/odd' && cp -r '%s/films/NORMAL' '%s/odd/one' && cp -r '%s/films/PNEUMONIA' "
            .. "'%s/odd/two'"):format(work, work, work, work, work))
        local errors
        status, out, errors = run("train --data %s/odd --out %s/a.safetensors --method autoencoder", work, work)
        assert.same({1, ""}, {status, out})
        assert.matches("folders one, two, and their names do not tell which images are normal; say it with %-%-normal",
            errors)
        status, out, errors = run("train --data %s/odd --normal one --out %s/a.safetensors --method autoencoder "
            .. "--epochs 1 --size 32 --device cpu", work, work)
        assert.equal(0, status, errors)
        assert.matches("left out: %d+ images of two", out)
    end)

    it("ends with a line where something is wrong", function()
        for words, expected in pairs {
            ["train --data none --out x"] = "none is no folder",
            [("train --data %s/films --out x"):format(work)] = "luxel weights",
            [("train --data %s/films --out x --method mahalanobis --top 0.5"):format(work)] = "has one score",
            [("train --data %s/films --out x --method autoencoder --pretrained y"):format(work)] = "weights of its own",
            [("train --data %s/films --out x --epochs 3 --pretrained y"):format(work)] = "'neighbours' has none",
            [("train --data %s/films --normal three --method autoencoder --out x"):format(work)] = "no folder 'three'",
            ["score --model README.md x.png"] = "README.md is not a usable",
            [("score --model %s x.png"):format(weights)] = "was not written by lx.anomaly",
        } do
            local status, _, errors = run("%s", words .. " --device cpu")
            assert.equal(1, status, words)
            assert.matches(expected, errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)
end)
