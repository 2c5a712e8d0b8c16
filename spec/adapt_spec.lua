-- Adapting a trained model to another hospital: each step by itself, shifts that are planted in phantoms, refusals, and
-- what the adapted model's file says.

local answers = require "luxel.adapt.answers"
local calibrations = require "luxel.calibration.methods"
local head = require "luxel.adapt.head"
local lx = require "luxel"
local random = require "luxel.random"
local shell = require "spec.support.shell"
local statistics = require "luxel.adapt.statistics"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local SIZE <const> = 32

local function sigmoid(z) return 1 / (1 + math.exp(-z)) end
local function log_odds(p) return math.log(p / (1 - p)) end

local function drawn(n, share, seed)
    local stream, logits, labels = random.stream(seed), {}, {}
    for i = 1, n do
        labels[i] = stream:uniform(0, 1) < share and 1 or 0
        logits[i] = 2 * (2 * labels[i] - 1) + 1.5 * stream:normal()
    end
    return logits, labels
end

-- The loss that is minimised, by its definition.
local function loss_of(odds, labels, scale, shift)
    local sum = ((scale - 1) / 0.3) ^ 2 / 2 + (shift / 2) ^ 2 / 2
    for i, value in ipairs(odds) do
        local p = sigmoid(scale * value + shift)
        sum = sum - math.log(labels[i] == 1 and p or 1 - p)
    end
    return sum
end

local PLAIN <const> = {scale = 1, shift = 0}

describe("adapting what comes after the logits", function()
    it("finds the likeliest scale and shift, held near those there are", function()
        local logits, labels = drawn(60, 0.3, 1)
        local found = answers.fit({calibration = PLAIN, threshold = 0.4}, logits, labels, {calibration = true})
        local least = loss_of(logits, labels, found.scale, found.shift)
        for _, step in ipairs {{1e-3, 0}, {-1e-3, 0}, {0, 1e-3}, {0, -1e-3}} do
            assert.is_true(least < loss_of(logits, labels, found.scale + step[1], found.shift + step[2]))
        end
        assert.near(found.scale * log_odds(0.4) + found.shift, log_odds(found.threshold), 1e-9)
        assert.same({"calibration"}, found.done)
        -- far from what there is, and sure: no step of Newton's method may lead away
        for i, label in ipairs(labels) do logits[i] = 40 + 3 * (2 * label - 1) end
        found = answers.fit({calibration = PLAIN, threshold = 0.5}, logits, labels, {calibration = true})
        least = loss_of(logits, labels, found.scale, found.shift)
        for _, step in ipairs {{1e-3, 0}, {-1e-3, 0}, {0, 1e-3}, {0, -1e-3}} do
            assert.is_true(least <= loss_of(logits, labels, found.scale + step[1], found.shift + step[2]) + 1e-9)
        end
    end)

    it("keeps to labels that are known", function()
        local logits, labels = drawn(60, 0.4, 2)
        local more, missing = table.move(logits, 1, 60, 1, {}), table.move(labels, 1, 60, 1, {})
        for i = 61, 90 do more[i], missing[i] = 7, 0 / 0 end
        local steps = {calibration = true, threshold = true}
        local some = answers.fit({calibration = PLAIN, threshold = 0.5}, logits, labels, steps)
        assert.same(some, answers.fit({calibration = PLAIN, threshold = 0.5}, more, missing, steps))
    end)

    it("makes of every calibration one of its kind whose log-odds are scaled and shifted", function()
        local logits, labels = drawn(200, 0.5, 3)
        for _, method in ipairs {"platt", "temperature", "beta", "isotonic"} do
            local fitted = assert(lx.calibration.fit(logits, labels, {method = method}))
            local here, there = drawn(80, 0.2, 4)
            local found = answers.fit({calibration = fitted, threshold = 0.5}, here, there, {calibration = true})
            assert.is_nil(calibrations.mistake("calibration", found.calibration))
            local compared = 0
            for i = 1, method == "isotonic" and 0 or 80 do
                local before = calibrations.probability(fitted, here[i])
                local after = calibrations.probability(found.calibration, here[i])
                assert.near(sigmoid(found.scale * log_odds(before) + found.shift), after, 1e-9, method)
                compared = compared + 1
            end
            for k, p in ipairs(method == "isotonic" and fitted.probabilities or {}) do
                local expected = sigmoid(found.scale * answers.log_odds(p) + found.shift)
                assert.near(expected, found.calibration.probabilities[k], 1e-9)
                compared = compared + 1
            end
            assert.is_true(compared > 3)
        end
        local none = answers.fit({calibration = false, threshold = 0.5}, logits, labels, {calibration = true})
        assert.near(none.scale, none.calibration.scale, 0)
        local point = answers.fit({calibration = {operating_point = 0.2}, threshold = 0.5}, logits, labels,
            {calibration = true})
        assert.same({operating_point = 0.2}, point.calibration)
        assert.equal("calibration", point.left_out[1].step)
    end)

    it("takes back the certainty of an isotonic calibration that local labels contradict", function()
        local fitted = {logits = {-2, -1, 1, 2}, probabilities = {0, 0.3, 0.7, 1}}
        local logits, labels = {}, {}
        for i = 1, 100 do
            labels[i] = i % 2
            logits[i] = (i % 4 < 2 and i > 20) == (i % 2 == 0) and 3 or -3 -- half of those above 20 are wrong
        end
        local found = answers.fit({calibration = fitted, threshold = 0.5}, logits, labels, {calibration = true})
        local p = found.calibration.probabilities
        assert.same({"calibration"}, found.done)
        assert.is_true(p[1] > 0.05 and p[4] < 0.95)
        for k = 2, 4 do assert.is_true(p[k] >= p[k - 1]) end
    end)

    it("moves the threshold only where that gains enough", function()
        local logits, labels = drawn(100, 0.5, 5)
        local function fit(threshold)
            return answers.fit({calibration = PLAIN, threshold = threshold}, logits, labels, {threshold = true})
        end
        local same = fit(0.5)
        assert.near(0.5, same.threshold, 1e-12)
        assert.equal("threshold", same.left_out[1].step)
        local positives = 0
        for _, label in ipairs(labels) do positives = positives + label end
        local moved = fit(0.999)
        assert.near((positives + 1) / 102, moved.threshold, 1e-9)
        assert.same({"threshold"}, moved.done)
    end)

    it("keeps a threshold that was said as a probability, and one of another choice with its labels", function()
        local logits, labels = drawn(100, 0.3, 12)
        local function fit(words, threshold)
            return answers.fit({calibration = PLAIN, threshold = threshold, chosen = {threshold = words}}, logits,
                labels, {calibration = true, threshold = true})
        end
        for _, words in ipairs {"fixed at 0.999", "a miss costs as much as 9 false alarms"} do
            local found = fit(words, 0.999)
            assert.equal(0.999, found.threshold)
            assert.equal("threshold", found.left_out[1].step)
            assert.matches(words, found.left_out[1].why, 1, true)
        end
        local found = fit("a sensitivity of 0.95", 0.999)
        assert.near(found.scale * log_odds(0.999) + found.shift, log_odds(found.threshold), 1e-9)
        assert.same({"calibration"}, found.done)
        assert.equal(1, fit("a sensitivity of 0.95", 1).threshold)
    end)

    local function known(seed)
        local logits, labels = drawn(400, 0.7, seed)
        local lists = {[0] = {}, [1] = {}}
        for i, z in ipairs(logits) do table.insert(lists[labels[i]], z) end
        table.sort(lists[0])
        table.sort(lists[1])
        return {images = 400, prior = #lists[1] / 400, positive = lists[1], negative = lists[0]},
            assert(lx.calibration.fit(logits, labels))
    end

    it("finds another prior without labels, which leaves the labels of answers as they are", function()
        local believed = 0
        for seed = 1, 10 do
            local doubt, fitted = known(seed)
            local logits = drawn(500, 0.2, 100 + seed)
            local found = answers.fit({calibration = fitted, threshold = 0.6, doubt = doubt}, logits, nil,
                {prior = true})
            if found.prior then
                assert.same({"prior"}, found.done)
                assert.near(0.2, found.prior, 0.08)
                believed = believed + 1
                -- by Bayes' theorem, from lx.calibration
                local before = {}
                for i, z in ipairs(logits) do before[i] = calibrations.probability(fitted, z) end
                local after = lx.calibration.with_prior(before, doubt.prior, found.prior)
                for i, z in ipairs(logits) do
                    local p = calibrations.probability(found.calibration, z)
                    assert.near(after[i], p, 1e-9)
                    assert.equal(before[i] >= 0.6, p >= found.threshold)
                end
            end
        end
        assert.is_true(believed >= 7) -- chance alone makes it disbelieve one or two of ten
    end)

    it("leaves the prior where more has changed than it", function()
        local doubt, fitted = known(8)
        local source = {calibration = fitted, threshold = 0.6, doubt = doubt}
        local logits = drawn(200, 0.5, 9)
        local function why(list, unlike, other)
            local found = answers.fit(other or source, list, nil, {prior = true}, unlike)
            assert.same({}, found.done)
            assert.same(fitted, found.calibration)
            assert.near(0.6, found.threshold, 1e-12)
            return found.left_out[1].why
        end
        assert.matches("unlike those of the training", why(logits, {share = 0.2, limit = 0.1}))
        for i, z in ipairs(logits) do logits[i] = z + 3 end
        assert.matches("no mixture", why(logits))
        assert.matches("does not keep", why(logits, nil, {calibration = fitted, threshold = 0.6}))
    end)

    it("measures how far logits are from a mixture", function()
        local lists = {positive = {1, 2, 3, 4}, negative = {-4, -3, -2, -1}, images = 8, prior = 0.5}
        local function chance(n, share) return math.sqrt(1 / n + share ^ 2 / 4 + (1 - share) ^ 2 / 4) end
        assert.near(1 / 8 / chance(8, 0.5), answers.misfit(lists, {-4, -3, -2, -1, 1, 2, 3, 4}, 0.5), 1e-12)
        assert.near(1 / chance(3, 0.25), answers.misfit(lists, {9, 9, 9}, 0.25), 1e-12)
        assert.near(0.75 / chance(4, 0), answers.misfit(lists, {-3.5, 5, 5, 5}, 0), 1e-12)
    end)
end)

describe("the last layer at another hospital", function()
    -- Inputs of which the first tells the class, and log-odds that do not look at it.
    local function made(n, seed, tells)
        local stream, rows, odds, labels, groups = random.stream(seed), {}, {}, {}, {}
        for i = 1, n do
            labels[i], groups[i], rows[i] = i % 2, i // 2, {}
            for c = 1, 90 do rows[i][c] = 5 + stream:normal() end
            rows[i][1] = rows[i][1] + tells * (2 * labels[i] - 1)
            odds[i] = 0.5 * (2 * labels[i] - 1) + stream:normal()
        end
        return lx.tensor(rows), odds, labels, groups
    end

    local function folds_of(labels, groups)
        return assert(require("luxel.data.split").folds("the test", labels, groups, 5))
    end

    it("is changed to the least loss, held as it is said", function()
        local inputs, odds, labels, groups = made(60, 1, 3)
        local fitted = assert(head.fit(inputs, odds, labels, folds_of(labels, groups), odds))
        local mean = inputs:mean(1)
        local scale = math.sqrt((inputs - mean):square():mean():item())
        local x = ((inputs - mean) / scale):totable()
        local weight = (fitted.weight * scale):totable()
        local bias = fitted.bias + (fitted.weight * mean:flatten()):sum():item()
        local function loss(place, step)
            local sum, w, b = 0, table.move(weight, 1, #weight, 1, {}), bias
            if place == 0 then b = b + step elseif place then w[place] = w[place] + step end
            for i, row in ipairs(x) do
                local z = odds[i] + b
                for c, value in ipairs(row) do z = z + w[c] * value end
                sum = sum + math.log(1 + math.exp(z)) - labels[i] * z
            end
            for _, value in ipairs(w) do sum = sum + fitted.hold / 2 * value ^ 2 end
            return sum + b ^ 2 / (2 * 4)
        end
        local least = loss()
        for place = 0, 90, 9 do
            for _, step in ipairs {0.01, -0.01} do assert.is_true(least < loss(place, step), place) end
        end
        local changes = head.changes(fitted, inputs)
        for _, i in ipairs {1, 30, 60} do
            local z = bias
            for c, value in ipairs(x[i]) do z = z + weight[c] * value end
            assert.near(z, changes[i], 1e-3)
        end
        -- patients kept out are judged without their help, and so less sure than with it
        local with, without = 0, 0
        for i, label in ipairs(labels) do
            with = with + (2 * label - 1) * (odds[i] + changes[i])
            without = without + (2 * label - 1) * fitted.kept_out[i]
        end
        assert.is_true(without < with)
    end)

    it("stays where patients kept out gain nothing", function()
        local stream = random.stream(5)
        local inputs, odds, labels, groups = made(60, 2, 0)
        for i = 1, 60 do labels[i] = stream:uniform(0, 1) < 0.5 and 1 or 0 end
        local found, why = head.fit(inputs, odds, labels, folds_of(labels, groups), odds)
        assert.is_nil(found)
        assert.matches("it gains less than 0.03 of the log loss", why)
        assert.matches("the same for every image", select(2, head.fit(lx.ones(60, 4), odds, labels,
            folds_of(labels, groups), odds)))
    end)

    it("is known for what it is, and put back", function()
        local net = lx.models.cnn {size = 32}
        local layer = head.of(net)
        assert.equal("Linear", layer.class_name)
        assert.is_nil(head.of(lx.models.squeezenet1_1 {size = 32}))
        local before = layer.weight:detach():clone()
        do
            local _ <close> = head.apply(net, {weight = lx.ones(512), bias = 3}, 2)
            local moved = (layer.weight:detach() - before):totable()
            assert.near(0.5, moved[1][5], 1e-6)
        end
        assert.is_true(before:eq(layer.weight):all():item() == 1)
    end)
end)

describe("statistics of another hospital", function()
    local nn = lx.nn

    local function network()
        lx.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3),
            nn.Flatten(), nn.Linear(3 * 12 * 12, 1)):eval()
    end

    local function images(n, seed)
        lx.manual_seed(seed)
        return lx.data.dataset {images = (lx.rand(n, 1, 16, 16) * 255):byte(), labels = lx.zeros(n)}
    end

    it("lie between the network's and theirs, layer by layer", function()
        local net, set = network(), images(10, 4)
        local x = (set.images:float() / 255 - 0.5) / 0.25
        local weight = 10 / (10 + 30)
        local means = {}
        do
            local guard <close> = statistics.adapt(net, set, {mean = 0.5, std = 0.25, pseudo = 30, device = "cpu"})
            assert(guard)
            lx.no_grad(function()
                local a = net[1](x)
                local mean = a:mean({1, 3, 4})
                local variance = (a - mean:view(1, 4, 1, 1)):square():mean({1, 3, 4})
                for c = 1, 4 do
                    assert.near(weight * mean[c], net[2].running_mean[c], 1e-5)
                    assert.near(weight * variance[c] + (1 - weight), net[2].running_var[c], 1e-5)
                end
                -- the second layer sees what the first one gives with its new statistics
                local b = net[4](net[3](net[2](a)))
                means = b:mean({1, 3, 4}):totable()
                for c = 1, 3 do assert.near(weight * means[c], net[5].running_mean[c], 1e-4) end
            end)
        end
        for c = 1, 4 do assert.equal(0, net[2].running_mean[c]) end
        for c = 1, 3 do assert.equal(1, net[5].running_var[c]) end
    end)

    it("are put back where something goes wrong, and stay where they are to", function()
        local net = network()
        local bad = images(4, 5)
        net:append(nn.Linear(7, 1))
        assert.has_error(function()
            statistics.adapt(net, bad, {mean = 0.5, std = 0.25, pseudo = 1, device = "cpu"})
        end)
        assert.is_nil(rawget(net[2], "_fields").forward)
        assert.equal(0, net[2].running_mean[1])
        assert.is_false(statistics.has(lx.models.cnn {size = 32}))
        assert.is_true(statistics.has(net))
    end)
end)

describe("a model at another hospital", function()
    local work, predictor, path, model_of

    local silent = {message = function() end, step = function() end, epoch = function() end}

    function model_of(name, out, options)
        lx.manual_seed(1)
        local train, val = lx.data.phantom({n = 700, size = SIZE, seed = 1}):split {val = 0.35}
        local net = lx.models.build(name, {size = SIZE})
        local all = {
            net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 2e-3}), train = train, val = val, epochs = 5,
            out = work .. out, metadata = {model = name, size = SIZE}, progress = silent,
        }
        for key, value in pairs(options or {}) do all[key] = value end
        assert(lx.train.fit(all))
        return work .. out .. "/best.safetensors"
    end

    -- Phantoms of a hospital whose films go through these steps, with a share of positive ones.
    local function hospital(n, seed, steps, share)
        local set = lx.data.phantom {n = 2 * n, size = SIZE, seed = seed}
        local places, wanted, labels = {}, {[0] = math.floor((1 - (share or 0.5)) * n + 0.5)}, set.labels:totable()
        wanted[1] = n - wanted[0]
        for i, label in ipairs(labels) do
            if wanted[label] > 0 then places[#places + 1], wanted[label] = i, wanted[label] - 1 end
        end
        set = set:subset(places)
        if not steps then return set end
        local pipeline, out = lx.vision.pipeline(steps), {}
        for i = 1, #set do out[i] = pipeline(set:image(i), {seed = seed, epoch = 1, index = i}) end
        return lx.data.dataset {images = lx.stack(out, 1), labels = set.labels, patients = set.groups or nil,
            classes = set.classes}
    end

    local function brier(of, set) return lx.metrics.brier(of:probabilities(set), set.labels) end

    setup(function()
        work = shell.folder()
        path = model_of("cnn", "/run")
        predictor = assert(lx.predictor.open(path))
    end)

    teardown(function() shell.remove(work) end)

    it("is calibrated again where films are brighter, of less contrast, or smaller", function()
        for name, steps in pairs {
            bright = {{"brightness", {1.25, 1.25}}}, flat = {{"contrast", {0.75, 0.75}}},
            small = {{"zoom", {0.88, 0.88}}},
        } do
            local here, there = hospital(120, 11, steps), hospital(300, 12, steps)
            local before = shell.read(path)
            local adapted = assert(lx.adapt.fit(predictor, here))
            assert.truthy(adapted.report, name)
            assert(adapted:save(work .. "/new.safetensors", {place = "St. Anna", date = "2026-03-01"}))
            assert.equal(before, shell.read(path))
            local new = assert(lx.predictor.open(work .. "/new.safetensors"))
            local first, second = brier(predictor, there), brier(new, there)
            assert.is_true(second < first + 0.002, ("%s: %g to %g"):format(name, first, second))
            -- what the report promised, on patients kept out
            assert.near(first, adapted.report.rows[1].before, 0.06)
            assert.near(second, adapted.report.rows[1].after, 0.06)
            if name == "bright" then assert.is_true(second < 0.9 * first, ("%g to %g"):format(first, second)) end
        end
    end)

    it("gets another last layer where films look otherwise, and only that", function()
        local steps = {{"gamma", {2.2, 2.2}}}
        local here, there = hospital(150, 28, steps), hospital(300, 29, steps)
        local adapted = assert(lx.adapt.fit(predictor, here))
        assert.equal("head", adapted.steps[1], tostring(adapted))
        assert(adapted:save(work .. "/head.safetensors"))
        local new = assert(lx.predictor.open(work .. "/head.safetensors"))
        local function auc(of) return lx.metrics.auc(of:probabilities(there), there.labels) end
        assert.is_true(auc(new) > auc(predictor) + 0.01, ("%g to %g"):format(auc(predictor), auc(new)))
        assert.is_true(brier(new, there) < brier(predictor, there) - 0.02)
        assert.near(brier(new, there), adapted.report.rows[1].after, 0.06)
        local first, second = predictor.net:state_dict(), new.net:state_dict()
        for name, tensor in pairs(first) do
            assert.equal(not (name:find("^16%.")), tensor:eq(second[name]):all():item() == 1, name)
        end
        local again = assert(lx.predictor.open(path)) -- the predictor itself is as it was
        assert.same(again:probabilities(there), predictor:probabilities(there))
    end)

    it("finds the share of the ill without labels", function()
        local there, believed = hospital(300, 14, nil, 0.12), 0
        for seed = 20, 24 do
            local here = hospital(100, seed, nil, 0.12)
            here.labels = here.labels * (0 / 0)
            local adapted = assert(lx.adapt.fit(predictor, here))
            assert.is_nil(adapted.report)
            assert.equal(0, adapted.labelled)
            assert.matches("nothing here says whether it is better", tostring(adapted))
            if adapted.prior then
                assert(adapted:save(work .. "/prior.safetensors"))
                local new = assert(lx.predictor.open(work .. "/prior.safetensors"))
                assert.equal(os.date("!%Y-%m-%d"), new.metadata.adapted.date)
                -- nothing has said that answers hold there, so what is unlike the training stays so
                assert.same(predictor.metadata.doubt.familiarity, new.metadata.doubt.familiarity)
                believed = believed + 1
                assert.same({"prior"}, adapted.steps)
                assert.near(0.12, adapted.prior, 0.1)
                assert.is_true(brier(new, there) < brier(predictor, there))
            else
                local saved, _, code = adapted:save(work .. "/never.safetensors")
                assert.is_nil(saved)
                assert.equal("model", code)
            end
        end
        assert.is_true(believed >= 3)
    end)

    it("leaves the prior alone where films look otherwise", function()
        local here = hospital(150, 15, {{"brightness", {1.5, 1.5}}}, 0.5)
        local adapted = assert(lx.adapt.fit(predictor, here, {steps = {"prior"}}))
        assert.same({}, adapted.steps)
        assert.equal("prior", adapted.left_out[1].step)
        assert.equal(predictor.threshold, adapted.threshold)
        assert.matches("nothing was changed", tostring(adapted))
    end)

    it("says in its file where, when and how it was adapted, and whom it knows", function()
        local here = hospital(90, 16, {{"brightness", {1.2, 1.2}}})
        local adapted = assert(lx.adapt.fit(predictor, here))
        assert(adapted:save(work .. "/said.safetensors", {place = "St. Anna", date = "2026-03-01"}))
        local new = assert(lx.predictor.open(work .. "/said.safetensors"))
        local said, old = new.metadata.adapted, predictor.metadata
        assert.equal("St. Anna", said.place)
        assert.equal("2026-03-01", said.date)
        assert.equal(90, said.images)
        assert.equal(90, said.labelled)
        assert.same(adapted.steps, said.steps)
        assert.equal(("xxh64:%016x"):format(require("luxel.core").checksum(shell.read(path))), said.source)
        assert.equal(adapted.report.rows[1].after, said.rows[1].after)
        assert.same(adapted.calibration, new.metadata.calibration)
        assert.equal(adapted.threshold, new.threshold)
        assert.equal(old.trained_on.images + 90, new.metadata.trained_on.images)
        assert.equal(#old.trained_on.pixels + 90 * 12, #new.metadata.trained_on.pixels)
        assert.equal(0, #(lx.data.unseen(here, new.metadata.trained_on)))
        assert.equal(90, #(lx.data.unseen(here, old.trained_on)))
        assert.truthy(new.metadata.doubt)
        assert.is_nil(new.metadata.doubt.prior)
        local none, message, code = lx.adapt.fit(new, hospital(90, 17))
        assert.is_nil(none)
        assert.equal("model", code)
        assert.matches("was adapted already", message)
    end)

    it("doubts fewer of the local films afterwards", function()
        local steps = {{"brightness", {1.5, 1.5}}}
        local here, there = hospital(150, 18, steps), hospital(200, 19, steps)
        local adapted = assert(lx.adapt.fit(predictor, here))
        assert(adapted:save(work .. "/fewer.safetensors"))
        local function unlike(of)
            local count, _, judged = 0, of:judge(there)
            for _, one in ipairs(judged) do
                for _, reason in ipairs(one.reasons) do count = count + (reason.code == "unlike" and 1 or 0) end
            end
            return count / #there
        end
        local new = assert(lx.predictor.open(work .. "/fewer.safetensors"))
        assert.is_true(unlike(predictor) > 0.3)
        assert.is_true(unlike(new) < 0.1)
        assert.near(unlike(predictor), adapted.unlike.before, 0.12)
    end)

    it("is refused where images are too few or of another kind", function()
        local function refusal(set, options, model)
            local found, message, code = lx.adapt.fit(model or predictor, set, options)
            assert.is_nil(found)
            return code .. ": " .. message
        end
        assert.matches("^few: adapt: 29 images are too few", refusal(hospital(29, 20)))
        assert.matches("^few: .*wants labels of 30 images, 10 of each class, and there are 51 and 9",
            refusal(hospital(60, 21, nil, 0.15)))
        assert.matches("^few: .*there are 9 and 51", refusal(hospital(60, 21, nil, 0.85)))
        local half = hospital(60, 22)
        local labels = half.labels:totable()
        for i = 26, 60 do labels[i] = 0 / 0 end
        half.labels = lx.tensor(labels)
        assert.matches("^few: .*wants labels of 30 images", refusal(half, {steps = {"calibration"}}))
        lx.manual_seed(2)
        local noise = lx.data.dataset {images = (lx.rand(40, 1, SIZE, SIZE) * 255):byte(), labels = lx.zeros(40)}
        assert.matches("^unlike: ", refusal(noise, {steps = {"prior"}}))
        assert.matches("^unlike: .*times as far", refusal(hospital(60, 23, {{"brightness", {0.15, 0.15}}})))
        assert.matches("^model: .*statistics: the network cnn has no batch normalisation",
            refusal(hospital(60, 24), {steps = {"statistics"}}))
        local three = lx.data.dataset {images = lx.zeros(40, 1, SIZE, SIZE), labels = lx.zeros(40), task = "classes",
            classes = {"a", "b", "c"}}
        assert.matches("^model: .*images are of the task 'classes'", refusal(three))
        local pair = assert(lx.predictor.open {path, path})
        assert.matches("^model: .*each model of an ensemble", refusal(hospital(60, 24), nil, pair))
        assert.is_nil((pair:judge(three)))
        assert.has_error(function() lx.adapt.fit(predictor, half, {steps = {"tail"}}) end)
        assert.has_error(function() lx.adapt.fit(predictor, half, {folds = 1}) end)
    end)

    it("takes the statistics of its batch normalisation from local films #slow", function()
        local file = model_of("resnet18", "/resnet", {epochs = 4})
        local normed = assert(lx.predictor.open(file))
        local here = hospital(60, 25, {{"contrast", {0.95, 0.95}}})
        local before, labels = normed:probabilities(here), here.labels
        -- without labels, where it was asked for
        here.labels = labels * (0 / 0)
        local adapted = assert(lx.adapt.fit(normed, here, {steps = {"statistics"}}))
        assert.same({"statistics"}, adapted.steps)
        assert.same(before, normed:probabilities(here))
        assert(adapted:save(work .. "/normed.safetensors"))
        local new = assert(lx.predictor.open(work .. "/normed.safetensors"))
        local first, second = normed.net:state_dict(), new.net:state_dict()
        for name, tensor in pairs(first) do
            local same = tensor:eq(second[name]):all():item() == 1
            assert.equal(not name:find("running_"), same, name)
        end
        -- with labels, only where patients kept out gain by it, which they do not where the statistics are those of
        -- these images already
        local tensors, metadata = assert(lx.checkpoint.load(file))
        for _ = 1, 4 do
            for name, tensor in pairs(new.net:state_dict()) do
                if name:find("running_") then tensors[name] = tensor end
            end
            assert(lx.checkpoint.save(work .. "/settled.safetensors", tensors, metadata))
            normed = assert(lx.predictor.open(work .. "/settled.safetensors"))
            assert(assert(lx.adapt.fit(normed, here, {steps = {"statistics"}})):save(work .. "/normed.safetensors"))
            new = assert(lx.predictor.open(work .. "/normed.safetensors"))
        end
        here.labels, before = labels, normed:probabilities(here)
        local labelled = assert(lx.adapt.fit(normed, here, {steps = {"statistics", "calibration"}, folds = 2}))
        assert.same(before, normed:probabilities(here))
        assert.equal("statistics", labelled.left_out[1].step)
        assert.matches("gain less than 0.03 of the log loss on patients kept out", labelled.left_out[1].why)
        assert.same({"calibration"}, labelled.steps)
    end)

    it("is made by the command, of folders with and without classes", function()
        local here = hospital(70, 26, {{"brightness", {1.2, 1.2}}})
        local labels = here.labels:totable()
        for i = 1, #here do
            local folder = ("%s/local/%s"):format(work, labels[i] == 1 and "PNEUMONIA" or "NORMAL")
            os.execute(("mkdir -p '%s'"):format(folder))
            assert(lx.vision.save(("%s/p%d.png"):format(folder, i), here:image(i)))
        end
        local function luxel(form, ...) return shell.run((LUA .. " bin/luxel " .. form):format(...)) end
        local status, out, errors = luxel("adapt --model %s --data %s/local --out %s/cli.safetensors "
            .. "--place 'St. Anna' --date 2026-03-01 --patient '/(p%%d+)%%.png$'", path, work, work)
        assert.equal(0, status, errors)
        assert.matches("adapted on 70 images of 70 patients, 70 with labels: calibration", out)
        assert.matches("Brier score", out)
        assert.matches("not a medical device", out)
        local _, metadata = assert(lx.checkpoint.load(work .. "/cli.safetensors"))
        assert.equal("St. Anna", metadata.adapted.place)
        status, out, errors = luxel("adapt --model %s --data %s/local --unlabelled --out %s/none.safetensors", path,
            work, work)
        assert.equal(out:find("nothing was changed", 1, true) and 1 or 0, status, errors)
        assert.matches("without labels", out)
        for options, message in pairs {
            ["--steps tail"] = "there is no 'tail'", ["--steps head,prior"] = "without 'head'",
            ["--date yesterday"] = "expected a date",
            ["--steps statistics"] = "no batch normalisation", ["--steps ,"] = "name at least one",
        } do
            status, _, errors = luxel("adapt --model %s --data %s/local --out %s/x.safetensors %s", path, work, work,
                options)
            assert.equal(1, status)
            assert.matches(message, errors, 1, true)
        end
        status, _, errors = luxel("adapt --model %s --data %s/local --out %s", path, work, path)
        assert.equal(1, status)
        assert.matches("name another file", errors)
        status, out, errors = luxel("evaluate --model %s --data %s/local", path, work)
        assert.equal(0, status, errors)
        assert.matches("uncertain: %d+ of 70 images", out)
        assert.matches("by distance to threshold", out)
        assert.is_nil(out:find("adapt first", 1, true))
        local bright = hospital(60, 27, {{"brightness", {1.6, 1.6}}})
        for i, label in ipairs(bright.labels:totable()) do
            local folder = ("%s/bright/%s"):format(work, label == 1 and "PNEUMONIA" or "NORMAL")
            os.execute(("mkdir -p '%s'"):format(folder))
            assert(lx.vision.save(("%s/p%d.png"):format(folder, i), bright:image(i)))
        end
        status, out, errors = luxel("evaluate --model %s --data %s/bright --json %s/report.json", path, work, work)
        assert.equal(0, status, errors)
        assert.matches("more than 30 %% are uncertain: adapt first", out)
        local report = require("cjson").decode(shell.read(work .. "/report.json"))
        assert.equal(60, report.doubt.images)
        assert.is_true(report.doubt.uncertain > 18)
    end)
end)
