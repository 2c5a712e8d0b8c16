-- Which answers a model doubts: distances of features, conformal limits, and what a model's file keeps of both.

local core = require "luxel.core"
local doubt = require "luxel.train.doubt"
local familiarity = require "luxel.train.familiarity"
local lx = require "luxel"
local random = require "luxel.random"
local shell = require "spec.support.shell"

-- Rows of normal numbers with these deviations.
local function normal_rows(n, deviations, seed)
    local stream, rows = random.stream(seed), {}
    for i = 1, n do
        rows[i] = {}
        for c, deviation in ipairs(deviations) do rows[i][c] = 3 + deviation * stream:normal() end
    end
    return rows
end

-- x with a x = b, by elimination with pivots.
local function solve(a, b)
    local n = #b
    for k = 1, n do
        local best = k
        for i = k + 1, n do if math.abs(a[i][k]) > math.abs(a[best][k]) then best = i end end
        a[k], a[best], b[k], b[best] = a[best], a[k], b[best], b[k]
        for i = k + 1, n do
            local factor = a[i][k] / a[k][k]
            for j = k, n do a[i][j] = a[i][j] - factor * a[k][j] end
            b[i] = b[i] - factor * b[k]
        end
    end
    for k = n, 1, -1 do
        for j = k + 1, n do b[k] = b[k] - a[k][j] * b[j] end
        b[k] = b[k] / a[k][k]
    end
    return b
end

-- Mahalanobis' distance by the definitions: channels brought to deviation 1, the covariance shrunk as Ledoit and Wolf
-- say, and a system solved for each row.
local function naive_distances(training, rows)
    local n, c = #training, #training[1]
    local mean, deviation, x = {}, {}, {}
    for k = 1, c do
        mean[k], deviation[k] = 0, 0
        for i = 1, n do mean[k] = mean[k] + training[i][k] / n end
        for i = 1, n do deviation[k] = deviation[k] + (training[i][k] - mean[k]) ^ 2 / n end
        deviation[k] = math.sqrt(deviation[k])
    end
    local function centred(row)
        local out = {}
        for k = 1, c do out[k] = (row[k] - mean[k]) / deviation[k] end
        return out
    end
    for i = 1, n do x[i] = centred(training[i]) end
    local s, trace = {}, 0
    for a = 1, c do
        s[a] = {}
        for b = 1, c do
            s[a][b] = 0
            for i = 1, n do s[a][b] = s[a][b] + x[i][a] * x[i][b] / n end
        end
        trace = trace + s[a][a] / c
    end
    local spread, noise = 0, 0
    for a = 1, c do
        for b = 1, c do spread = spread + (s[a][b] - (a == b and trace or 0)) ^ 2 / c end
    end
    for i = 1, n do
        for a = 1, c do
            for b = 1, c do noise = noise + (x[i][a] * x[i][b] - s[a][b]) ^ 2 / c / (n * n) end
        end
    end
    local share, out = math.min(1, noise / spread), {}
    for i, row in ipairs(rows) do
        local shrunk, right, y, sum = {}, {}, centred(row), 0
        for a = 1, c do
            shrunk[a], right[a] = {}, y[a]
            for b = 1, c do shrunk[a][b] = (1 - share) * s[a][b] + (a == b and share * trace or 0) end
        end
        for k, value in ipairs(solve(shrunk, right)) do sum = sum + value * y[k] end
        out[i] = math.sqrt(sum / c)
    end
    return out
end

describe("familiarity", function()
    it("is Mahalanobis' distance by the shrunk covariance", function()
        local training = normal_rows(60, {1, 0.5, 2, 1, 4}, 1)
        for _, row in ipairs(training) do row[2] = row[2] + 0.7 * row[1] end
        local others = normal_rows(25, {2, 2, 2, 2, 8}, 2)
        local fitted = familiarity.fit(lx.tensor(training), lx.tensor(others))
        local expected = naive_distances(training, others)
        for i, distance in ipairs(familiarity.distances(fitted, lx.tensor(others))) do
            assert.near(expected[i], distance, 2e-4 * expected[i])
        end
        table.sort(expected)
        for i, distance in ipairs(fitted.distances) do assert.near(expected[i], distance, 2e-4 * expected[i]) end
    end)

    it("counts what lies beside the components by its own variance", function()
        -- three directions of large variance in 80 channels that share them, and noise
        local stream, directions = random.stream(3), {}
        for k = 1, 3 do
            directions[k] = {}
            for c = 1, 80 do directions[k][c] = stream:normal() end
        end
        local function draw(n, off)
            local rows = {}
            for i = 1, n do
                local row, at = {}, {stream:normal(), stream:normal(), stream:normal()}
                for c = 1, 80 do
                    row[c] = at[1] * directions[1][c] + at[2] * directions[2][c] + at[3] * directions[3][c]
                        + 0.1 * stream:normal() + (off and off(c) or 0)
                end
                rows[i] = row
            end
            return lx.tensor(rows)
        end
        local fitted = familiarity.fit(draw(400), draw(100))
        assert.equal(32, #fitted.variances)
        local function mean(rows)
            local sum, list = 0, familiarity.distances(fitted, rows)
            for _, value in ipairs(list) do sum = sum + value end
            return sum / #list
        end
        assert.near(1, mean(draw(100)), 0.15)
        -- as far off, along a direction of the training and across all of them
        local along = mean(draw(50, function(c) return 2 * directions[1][c] end))
        local across = mean(draw(50, function(c) return 2 * (c % 2 == 0 and 1 or -1) end))
        assert.is_true(across > 5 * along, ("%g %g"):format(across, along))
    end)

    it("tells by how many images are as far away", function()
        local fitted = {distances = {1, 2, 2, 3, 5}}
        for distance, further in pairs {[0.5] = 5, [1] = 5, [1.5] = 4, [2] = 4, [2.5] = 2, [5] = 1, [5.5] = 0} do
            assert.near((1 + further) / 6, familiarity.p_value(fitted, distance), 1e-12)
        end
    end)

    it("keeps numbers as text without losing bits", function()
        local numbers = {0, -0.0, 1, -1.5, 3.4028234663852886e38, 1.401298464324817e-45, 0.1}
        local back = familiarity.from_text(familiarity.to_text(numbers))
        for i, value in ipairs(numbers) do assert.equal(("<f"):unpack((("<f"):pack(value))), back[i]) end
        assert.equal(8 * #numbers, #familiarity.to_text(numbers))
    end)

    it("says nothing of features that are all the same, or of too few images", function()
        assert.is_nil(familiarity.fit(lx.ones(20, 4), lx.ones(5, 4)))
        assert.is_nil(familiarity.fit(lx.rand(3, 4), lx.rand(5, 4)))
        assert.is_nil(familiarity.fit(lx.rand(20, 4), lx.rand(1, 4)))
    end)

    it("moves towards other images by their number", function()
        local training = lx.tensor(normal_rows(100, {1, 2, 3}, 4))
        local fitted = familiarity.fit(training, lx.tensor(normal_rows(50, {1, 2, 3}, 5)))
        local others = lx.tensor(normal_rows(30, {1, 2, 3}, 6)) + 10
        local moved = familiarity.moved(fitted, others, 90)
        local before, after = familiarity.from_text(fitted.mean), familiarity.from_text(moved.mean)
        local own = others:mean(1):totable()
        for c = 1, 3 do assert.near((3 * before[c] + own[c]) / 4, after[c], 1e-5) end
        assert.equal(80, #moved.distances)
        assert.is_nil(doubt.mistake({familiarity = moved}))
        assert.equal(before[1], familiarity.from_text(fitted.mean)[1])
    end)
end)

describe("doubt", function()
    -- An image's features are its one number here.
    local function features(list)
        local rows = {}
        for i, value in ipairs(list) do rows[i] = {value} end
        return lx.tensor(rows)
    end

    local function drawn(n, seed, spread)
        local stream, out = random.stream(seed), {logits = {}, labels = {}, numbers = {}}
        for i = 1, n do
            out.labels[i] = i % 2
            out.logits[i] = (2 * (i % 2) - 1) * 1.5 + stream:normal()
            out.numbers[i] = spread * stream:normal()
        end
        out.features = features(out.numbers)
        return out
    end

    it("has the conformal limits of each class by itself", function()
        local logits, labels = {}, {}
        for i = 1, 99 do logits[i], labels[i] = i, 1 end
        for i = 100, 138 do logits[i], labels[i] = i - 238, 0 end -- -138 to -100
        logits[139], labels[139] = 1e9, 0 / 0
        local fitted = doubt.fit({threshold = 0.5, calibration = false}, {logits = logits, labels = labels})
        -- the k-th worst with k = floor((n + 1) * 0.05): the 5th of 99, the 2nd of 39
        assert.equal(5, fitted.low)
        assert.equal(-101, fitted.high)
        assert.near(99 / 138, fitted.prior, 1e-12)
        assert.equal(99, #fitted.positive)
        assert.is_nil(fitted.familiarity)
        local few = doubt.fit({threshold = 0.5, calibration = false}, {logits = {1, 2, -1}, labels = {1, 1, 0}})
        assert.is_nil(few.low)
        assert.is_nil(few.high)
        assert.is_false(doubt.judge({doubt = few, threshold = 0.5, calibration = false}, 0.01).uncertain)
    end)

    it("is of each label by itself, and of the image for all", function()
        local logits, labels = {}, {}
        for i = 1, 60 do
            logits[i] = {i, -i, i}
            labels[i] = {i > 20 and 1 or 0, i % 2, i <= 5 and 1 or 0 / 0}
        end
        local validation = {logits = logits, labels = labels, features = features(drawn(60, 3, 1).numbers)}
        local fitted = doubt.fit_labels(3, validation, features(drawn(300, 4, 1).numbers))
        for k = 1, 2 do
            local own, truth = {}, {}
            for i = 1, 60 do own[i], truth[i] = logits[i][k], labels[i][k] end
            local alone = doubt.fit({threshold = 0.5, calibration = false}, {logits = own, labels = truth})
            assert.same({alone.low, alone.high}, {fitted.each[k].low, fitted.each[k].high})
            assert.is_number(alone.low)
        end
        assert.same({}, fitted.each[3]) -- five images say nothing
        local model = {
            doubt = fitted, threshold = {0.5, 0.5, 0.9}, calibration = {{scale = 1, shift = -30}, false, false},
        }
        local judged = doubt.judge_labels(model, {21, -60, 0}, features {0})
        assert.equal(3, #judged)
        for k, one in ipairs(judged) do
            local margin = ({-9, -27.631, -math.log(9)})[k] -- odds end at 1e12
            assert.near(1 / (1 + math.exp(math.abs(margin))), one.doubt, 1e-9)
        end
        assert.matches("further from it", judged[1].reasons[1].message)
        assert.is_false(judged[3].uncertain)
        for _, one in ipairs(doubt.judge_labels(model, {21, -60, 0}, features {40}, {{message = "dark"}})) do
            local codes = {}
            for i, reason in ipairs(one.reasons) do codes[i] = reason.code end
            assert.matches("unlike quality$", table.concat(codes, " "))
        end
    end)

    it("flags what may be of both classes, of neither, or of the other one", function()
        local model = {threshold = 0.5, calibration = false}
        local function reason(low, high, logit)
            model.doubt = {coverage = 0.95, low = low, high = high, power = 0}
            local judged = doubt.judge(model, logit)
            assert.equal(#judged.reasons > 0, judged.uncertain)
            return judged.reasons[1] and judged.reasons[1].message
        end
        assert.matches("either class", reason(-1, 1, 0.5))
        assert.matches("further from it", reason(1, -1, 0.5))
        assert.is_nil(reason(-1, 1, 1.5))
        assert.is_nil(reason(-1, 1, -1.5))
        assert.truthy(reason(-3, -2, -1)) -- its set is positive, and its label negative
    end)

    it("asks whether the patient is of an age that the model learnt from", function()
        local model = {ages = {low = 1, high = 5}}
        local function code(age)
            local reason = doubt.population(model, doubt.years(age))
            return reason and reason.code
        end
        for _, age in ipairs {"058Y", "58", "006Y", "011M", "090D", "050W", "000D"} do
            assert.equal("population", code(age), age)
        end
        for _, age in ipairs {
            "001Y", "005Y", "012M", "071M", "060W", "5 ", "unknown", "5 years", "0580Y", "000Y", "200Y",
        } do
            assert.is_nil(code(age), age)
        end
        assert.equal("the model learnt from patients of 1 to 5 years, and this one is 58",
            doubt.population(model, 58.5).message)
        assert.matches("this one is 0.5$", doubt.population(model, doubt.years "006M").message)
        assert.is_nil(doubt.population(model))
        assert.is_nil(doubt.population({}, 58))
        assert.is_nil(doubt.population({ages = model.ages, adapted = {}}, 58))
    end)

    it("orders by the distance to the threshold and how unfamiliar an image is", function()
        local validation = drawn(200, 1, 1)
        local model = {threshold = 0.3, calibration = {scale = 2, shift = 0.5}}
        model.doubt = doubt.fit(model, validation, features(drawn(300, 2, 1).numbers))
        assert.truthy(model.doubt.familiarity)
        model.doubt.power = 1
        local usual = model.doubt.familiarity.distances[100]
        for _, case in ipairs {{1.7, 0.2}, {-0.3, 4}, {0, -2.5}} do
            local row = features {case[2]}
            local judged = doubt.judge(model, case[1], row)
            local margin = math.abs(2 * case[1] + 0.5 - math.log(0.3 / 0.7))
            local ratio = familiarity.distances(model.doubt.familiarity, row)[1] / usual
            assert.near(1 / (1 + math.exp(margin / ratio)), judged.doubt, 1e-6)
        end
        local far = doubt.judge(model, 9, features {40})
        assert.equal("unlike", far.reasons[1].code)
        local findings = {{code = "dark", message = "too dark"}}
        assert.same({{code = "quality", message = "too dark"}}, doubt.judge(model, 9, features {0}, findings).reasons)
    end)

    it("weighs unfamiliarity where near misses of it are wrong, and not where they are right", function()
        local model = {threshold = 0.5, calibration = false}
        local validation, training = drawn(200, 3, 1), features(drawn(300, 4, 1).numbers)
        local near = {drawn(200, 5, 8)}
        for i, number in ipairs(near[1].numbers) do -- far and sure, and wrong
            near[1].logits[i] = math.abs(number) > 5 and 4 * (1 - 2 * near[1].labels[i]) or near[1].logits[i]
        end
        assert.is_true(doubt.fit(model, validation, training, near).power > 0)
        for i, number in ipairs(near[1].numbers) do -- far, nearly at the threshold, and right
            near[1].logits[i] = math.abs(number) > 1 and 0.7 * (2 * near[1].labels[i] - 1) or near[1].logits[i]
        end
        assert.equal(0, doubt.fit(model, validation, training, near).power)
    end)

    it("weighs unfamiliarity by images left out where these tell, whatever near misses say", function()
        local model = {threshold = 0.5, calibration = false}
        local validation, training = drawn(200, 3, 1), features(drawn(300, 4, 1).numbers)
        local on = {logits = {}, labels = {}, unfamiliar = {}}
        for i = 1, 40 do -- what is far is wrong in one half, and surer of it
            local far = i % 2 == 0
            on.labels[i], on.unfamiliar[i] = i % 4 < 2 and 0 or 1, far and 9 or 1
            on.logits[i] = (on.labels[i] * 2 - 1) * (far and -3 or 2)
        end
        assert.is_true(doubt.fit(model, validation, training, {}, on).power > 0)
        for i = 1, 40 do on.unfamiliar[i] = i % 2 == 0 and 0.2 or 1 end -- what is near is wrong
        assert.equal(0, doubt.fit(model, validation, training, {}, on).power)
        on.unfamiliar = nil
        assert.equal(doubt.fit(model, validation, training, {}).power,
            doubt.fit(model, validation, training, {}, on).power)
    end)
end)

describe("what withholding is worth", function()
    it("has intervals of resamples without an error too", function()
        local probabilities, labels, judgements = {}, {}, {}
        for i = 1, 40 do
            probabilities[i], labels[i] = i % 2 == 0 and 0.9 or 0.1, i % 2 == 0 and 1 or 0
            judgements[i] = {uncertain = false, reasons = {}, doubt = 1 / i}
        end
        labels[1] = 1 -- one is wrong: 36 % of resamples do not have it
        local report = require("luxel.command.doubts").report(probabilities, judgements, labels, {
            threshold = 0.5, seed = 1,
        })
        assert.near(lx.metrics.aurc({0, 1, 0}, {0, 1, 0}), 1 / 9, 1e-12)
        assert.equal(0, report.by_doubt.interval[1])
        assert.is_true(report.by_doubt.interval[2] > report.by_doubt.aurc)
        labels[1] = 0
        report = require("luxel.command.doubts").report(probabilities, judgements, labels, {threshold = 0.5, seed = 1})
        assert.is_nil(report.by_doubt.interval)
    end)
end)

describe("a trained model's doubt", function()
    local work, path, train, val
    local silent = {message = function() end, step = function() end, epoch = function() end}

    local function run(out, more)
        lx.manual_seed(1)
        local options = {
            net = lx.models.cnn {size = 32}, train = train, val = val, epochs = 4, out = out, overwrite = true,
            metadata = {model = "cnn", size = 32}, progress = silent,
        }
        options.optimizer = lx.optim.AdamW(options.net:parameters(), {lr = 2e-3})
        for key, value in pairs(more or {}) do options[key] = value end
        return assert(lx.train.fit(options)), options.net
    end

    setup(function()
        work = shell.folder()
        train, val = lx.data.phantom({n = 600, size = 32, seed = 1}):split {val = 0.4}
        run(work .. "/run")
        path = work .. "/run/best.safetensors"
    end)

    teardown(function() shell.remove(work) end)

    it("covers each class of new images as often as it says", function()
        local predictor = assert(lx.predictor.open(path))
        local fresh = lx.data.phantom {n = 600, size = 32, seed = 77}
        local logits, fitted = lx.train.predict(predictor.net, fresh), predictor.metadata.doubt
        local covered, count = {[0] = 0, [1] = 0}, {[0] = 0, [1] = 0}
        for i, label in ipairs(fresh.labels:totable()) do
            count[label] = count[label] + 1
            local inside = label == 1 and logits[i] >= fitted.low or label == 0 and logits[i] <= fitted.high
            covered[label] = covered[label] + (inside and 1 or 0)
        end
        assert.equal(0.95, fitted.coverage)
        -- 300 new images of a class, and 120 that the limit was chosen on: three standard deviations
        for class = 0, 1 do
            local share = covered[class] / count[class]
            local slack = 3 * math.sqrt(0.05 * 0.95 * (1 / count[class] + 1 / 120))
            assert.near(0.955, share, slack)
        end
    end)

    it("changes no weight and no probability", function()
        local tensors, metadata = assert(lx.checkpoint.load(path))
        assert.truthy(metadata.doubt.familiarity)
        metadata.doubt = nil
        assert(lx.checkpoint.save(work .. "/old.safetensors", tensors, metadata))
        local old, new = assert(lx.predictor.open(work .. "/old.safetensors")), assert(lx.predictor.open(path))
        assert.same(old:probabilities(val), new:probabilities(val))
        local kept, last = lx.models.cnn {size = 32}, {}
        for name, tensor in pairs(assert(lx.checkpoint.load(work .. "/run/last.safetensors"))) do
            if not name:find("^optimizer") then last[name] = tensor end
        end
        kept:load_state_dict(last)
        local _, net = run(work .. "/again")
        for name, tensor in pairs(net:state_dict()) do assert.is_true(tensor:eq(last[name]):all():item() == 1, name) end
        assert.equal(shell.read(path), shell.read(work .. "/again/best.safetensors"))
    end)

    it("is that of the best epoch's weights, and leaves those of the last", function()
        local _, net = run(work .. "/first", {best = function(found) return -found.epoch end, epochs = 2})
        local predictor = assert(lx.predictor.open(work .. "/first/best.safetensors"))
        assert.equal(1, predictor.metadata.epoch)
        local lists, labels = {[0] = {}, [1] = {}}, val.labels:totable()
        for i, z in ipairs(lx.train.predict(predictor.net, val)) do table.insert(lists[labels[i]], z) end
        table.sort(lists[1])
        local kept = predictor.metadata.doubt.positive
        assert.near(lists[1][1], kept[1], 1e-6)
        assert.near(lists[1][#lists[1]], kept[#kept], 1e-6)
        local last = assert(lx.checkpoint.load(work .. "/first/last.safetensors"))
        for name, tensor in pairs(net:state_dict()) do assert.is_true(tensor:eq(last[name]):all():item() == 1, name) end
    end)

    it("looks at the picture itself beside the network's features", function()
        local predictor = assert(lx.predictor.open(path))
        local logits, features = lx.train.predict(predictor.net, val, {features = true})
        assert.same(lx.train.predict(predictor.net, val), logits)
        local x = (val.images:float() / 255 - 0.5) / 0.25
        local maps = lx.no_grad(function() return predictor.net:features(x) end)
        local channels = maps.shape[2]
        assert.same({#val, channels + 64 + 3}, features.shape)
        for _, i in ipairs {1, 7, #val} do
            for c = 1, channels, 31 do assert.near(maps:select(1, i)[c]:mean():item(), features[i][c], 1e-4) end
            -- the third thumbnail pixel of the second row: 4x4 pixels of 32
            local block = x:select(1, i)[1]:narrow(1, 5, 4):narrow(2, 9, 4)
            assert.near(block:mean():item(), features[i][channels + 8 + 3], 1e-4)
            local half = lx.nn.functional.avg_pool2d(x:narrow(1, i, 1), 2)
            local detail = x:select(1, i):square():mean():item() - half:square():mean():item()
            assert.near(math.log(detail + 1e-6), features[i][channels + 65], 1e-3)
            local quarter = lx.nn.functional.avg_pool2d(half, 2)
            detail = half:square():mean():item() - quarter:square():mean():item()
            assert.near(math.log(detail + 1e-6), features[i][channels + 66], 1e-3)
        end
    end)

    it("is in answers, and not in those of a file without it", function()
        local film = work .. "/film.png"
        assert(core.write_png(film, val:image(1)))
        local new = assert(lx.predictor.open(path))
        local answer = assert(new(film))
        assert.equal("boolean", type(answer.uncertain))
        assert.is_true(answer.doubt > 0 and answer.doubt <= 0.5)
        local probabilities, judged = new:judge(val)
        assert.equal(#val, #judged)
        local direct = new:probabilities(val)
        assert.same(direct, probabilities)
        local tensors, metadata = assert(lx.checkpoint.load(path))
        metadata.doubt = nil
        assert(lx.checkpoint.save(work .. "/old.safetensors", tensors, metadata))
        local old = assert(lx.predictor.open(work .. "/old.safetensors"))
        local plain = assert(old(film))
        assert.is_nil(plain.uncertain)
        assert.is_nil(plain.doubt)
        assert.equal(answer.probability, plain.probability)
        local none, message, code = old:judge(val)
        assert.is_nil(none)
        assert.equal("model", code)
        assert.matches("keeps nothing to doubt its answers by", message)
    end)

    it("is shown by the command in every format", function()
        local folder = work .. "/films"
        os.execute(("mkdir -p '%s'"):format(folder))
        lx.manual_seed(6)
        assert(lx.vision.save(folder .. "/a.png", val:image(1)))
        assert(lx.vision.save(folder .. "/b.png", (lx.rand(1, 64, 64) * 255):byte()))
        local function predict(options)
            local status, out, errors = shell.run(("%s bin/luxel predict --model %s %s"):format(os.getenv("LUA")
                or "lua5.4", path, options))
            assert.equal(0, status, errors)
            return out, errors
        end
        local text, errors = predict(folder)
        assert.matches("b%.png: %u+: %d+%.%d%d%%[^\n]* %(uncertain%)", text)
        assert.matches("b%.png: uncertain: unlike the images of the training: %d+%.%d times as far", errors)
        local csv = predict("--format csv " .. folder)
        assert.matches("^path,label,probability,probability of PNEUMONIA,warnings,doubt,uncertain because\n", csv)
        assert.matches("b%.png,%u+,[%d.]+,[%d.]+,[%w_ ]*,0%.%d+,[%w ]*unlike", csv)
        for line in predict("--format json " .. folder):gmatch("[^\n]+") do
            local answer = require("cjson").decode(line)
            assert.equal("boolean", type(answer.uncertain))
            assert.is_true(answer.doubt > 0)
            assert.equal(answer.uncertain, answer.reasons ~= nil)
        end
        -- the line for a single image is what it always was
        assert.matches("\nxray %u+: %d+%.%d%d%%\n$", (predict(folder .. "/b.png"):gsub(" %(threshold [%d.]+%%%)", "")))
    end)

    it("finds a picture of noise unlike the training", function()
        local predictor = assert(lx.predictor.open(path))
        lx.manual_seed(5)
        local noise = lx.data.dataset {images = (lx.rand(40, 1, 32, 32) * 255):byte(), labels = lx.zeros(40)}
        local function unlike(dataset)
            local count, _, judged = 0, predictor:judge(dataset)
            for _, one in ipairs(judged) do
                for _, reason in ipairs(one.reasons) do count = count + (reason.code == "unlike" and 1 or 0) end
            end
            return count / #dataset
        end
        assert.equal(1, unlike(noise))
        assert.is_true(unlike(lx.data.phantom {n = 300, size = 32, seed = 78}) < 0.07)
    end)

    it("is checked when a file is read", function()
        local tensors, metadata = assert(lx.checkpoint.load(path))
        local function mistake(change)
            local copy = assert(require("luxel.json").decode(assert(require("luxel.json").encode(metadata, "it"))))
            change(copy.doubt)
            assert(lx.checkpoint.save(work .. "/bad.safetensors", tensors, copy))
            local opened, message, code = lx.predictor.open(work .. "/bad.safetensors")
            assert.is_nil(opened)
            assert.equal("format", code)
            return message
        end
        assert.matches("doubt: familiarity: mean: expected %d+ hexadecimal digits", mistake(function(d)
            d.familiarity.mean = d.familiarity.mean:sub(2)
        end))
        assert.matches("distances: expected ascending", mistake(function(d) d.familiarity.distances[1] = 1e9 end))
        assert.matches("positive: expected ascending", mistake(function(d) d.positive[1] = 1e9 end))
        assert.matches("coverage", mistake(function(d) d.coverage = 2 end))
        assert.matches("power", mistake(function(d) d.power = -1 end))
        assert.matches("familiarity", mistake(function(d) d.familiarity.channels = 0 end))
    end)

    it("is left out for networks of one's own and for other tasks", function()
        local nn = lx.nn
        local net = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 1))
        run(work .. "/own", {net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3}), metadata = {},
            epochs = 1})
        local _, metadata = assert(lx.checkpoint.load(work .. "/own/best.safetensors"))
        assert.is_nil(metadata.doubt)
        assert.has_error(function() lx.train.predict(net, val, {features = true}) end,
            "predict: options: option 'features': they are those of a classifier of lx.models, and the network is a "
                .. "Sequential")
    end)
end)
