-- Statistics for judging and calibrating classifiers, beside scikit-learn and pROC (spec/golden/make_statistics.py),
-- definitions computed naively, and figures of papers.

local cjson = require "cjson"
local json = require "luxel.json"
local lx = require "luxel"
local random = require "luxel.random"

local calibration, conformal, metrics = lx.calibration, lx.conformal, lx.metrics

local NAN <const> = 0 / 0

local golden
do
    local file <close> = assert(io.open("spec/golden/statistics.json"))
    golden = cjson.decode(file:read("a"))
end

local function assert_all_near(expected, found, tolerance)
    assert.equal(#expected, #found)
    for i, value in ipairs(expected) do assert.near(value, found[i], tolerance) end
end

-- ---- calibration --------------------------------------------------------------------------------------------------

describe("a calibration of one logit", function()
    local function at(fitted, places)
        local out = {}
        for i, logit in ipairs(places) do out[i] = calibration.probability(fitted, logit) end
        return out
    end

    it("is scikit-learn's for Platt's scaling and isotonic regression", function()
        for _, case in pairs(golden.calibrations) do
            assert_all_near(case.platt, at(calibration.fit(case.logits, case.labels), case.at), 1e-5)
            local fitted = calibration.fit(case.logits, case.labels, {method = "isotonic"})
            assert_all_near(case.thresholds, fitted.logits, 1e-12)
            assert_all_near(case.levels, fitted.probabilities, 1e-12)
            assert_all_near(case.isotonic, at(fitted, case.at), 1e-9)
        end
    end)

    it("averages ties first, and is linear between points", function()
        local fitted = calibration.fit({1, 2, 2, 3, 4, 4}, {0, 1, 0, 0, 1, 1}, {method = "isotonic"})
        assert.same({1, 2, 3, 4}, fitted.logits)
        assert_all_near({0, 1 / 3, 1 / 3, 1}, fitted.probabilities, 1e-15)
        assert_all_near({0, 0, 1 / 6, 1 / 3, 2 / 3, 1, 1}, at(fitted, {-9, 1, 1.5, 2.5, 3.5, 4, 9}), 1e-15)
    end)

    it("is the least cross-entropy for beta calibration, without a negative exponent", function()
        assert_all_near({1 / (1 + math.exp(2.5))}, at({a = 1, b = 1, c = 0}, {-2.5}), 1e-12)
        for _, case in pairs(golden.calibrations) do
            local fitted = calibration.fit(case.logits, case.labels, {method = "beta"})
            assert_all_near(case.beta, {fitted.a, fitted.b, fitted.c}, 2e-4)
        end
        -- where the logits point the wrong way, nothing is left of them
        local fitted = calibration.fit({2, 1.5, 1, -1, -2, -1.2, 0}, {0, 0, 0, 1, 1, 1, 1}, {method = "beta"})
        assert.same({0.0, 0.0}, {fitted.a, fitted.b})
        -- one exponent alone: the other one would be negative
        local one = calibration.fit({-3, -2, -1, 0, 1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 1, 0, 1, 1, 0, 1}, {
            method = "beta",
        })
        assert.is_true(math.min(one.a, one.b) >= 0)
    end)

    it("finds the temperature of the least cross-entropy with smoothed targets", function()
        local case = golden.calibrations.over
        local positives = 0
        for _, label in ipairs(case.labels) do positives = positives + label end
        local high, low = (positives + 1) / (positives + 2), 1 / (#case.labels - positives + 2)
        local function loss(temperature)
            local sum = 0
            for i, logit in ipairs(case.logits) do
                local p, target = 1 / (1 + math.exp(-logit / temperature)), case.labels[i] == 1 and high or low
                sum = sum - target * math.log(p) - (1 - target) * math.log(1 - p)
            end
            return sum
        end
        local fitted = calibration.fit(case.logits, case.labels, {method = "temperature"})
        local t = fitted.temperature
        assert.is_true(loss(t) < loss(t * 1.001) and loss(t) < loss(t / 1.001))
        assert.near(1 / (1 + math.exp(-2 / t)), calibration.probability(fitted, 2), 1e-12)
        assert.equal(1e4 * 2, calibration.fit({2, 1, -1, -2}, {0, 0, 1, 1}, {method = "temperature"}).temperature)
    end)

    it("never gives certainty for separated classes but by isotonic regression", function()
        local logits, labels = {-9, -8, -7, 7, 8, 9}, {0, 0, 0, 1, 1, 1}
        for _, method in ipairs {"platt", "temperature", "beta"} do
            local p = calibration.probability(calibration.fit(logits, labels, {method = method}), 8)
            assert.is_true(p > 0.5 and p < 0.99, method .. tostring(p))
        end
        assert.equal(1, calibration.probability(calibration.fit(logits, labels, {method = "isotonic"}), 8))
    end)

    it("needs both classes, whatever the method, and leaves out missing labels", function()
        for _, method in ipairs {"platt", "temperature", "beta", "isotonic"} do
            local fitted, message = calibration.fit({1, 2}, {1, 1}, {method = method})
            assert.is_nil(fitted)
            assert.equal("needs both classes, has 2 positive and 0 negative", message)
            assert.same(calibration.fit({1, 2, 3}, {0, 1, 0}, {method = method}),
                calibration.fit({1, 50, 2, 3}, {0, NAN, 1, 0}, {method = method}))
        end
        assert.is_nil((calibration.fit({0, 0}, {0, 1}, {method = "temperature"})))
        assert.error_matches(function() calibration.fit({1}, {1}, {method = "plat"}) end,
            "calibration.fit: options: option 'method': expected .*did you mean 'platt'")
    end)

    it("is refused where it is none", function()
        for _, wrong in ipairs {
            {}, {scale = 1}, {scale = 1, shift = 0, more = 1}, {a = -1, b = 0, c = 0}, {temperature = 0},
            {logits = {}, probabilities = {}}, {logits = {1, 1}, probabilities = {0, 1}},
            {logits = {1, 2}, probabilities = {1, 0}}, {logits = {1, 2}, probabilities = {0, 2}},
            {logits = {1, 2}, probabilities = {0}},
        } do
            assert.error_matches(function() calibration.probability(wrong, 1) end,
                "calibration.probability: fitted: expected a calibration of one logit")
        end
    end)
end)

-- ---- priors -------------------------------------------------------------------------------------------------------

-- Scores of two normal densities one apart from each side of 0, whose probabilities for a prior are known.
local function two_normals(n, share, seed)
    local stream, xs, labels = random.stream(seed), {}, {}
    for i = 1, n do
        labels[i] = stream:uniform(0, 1) < share and 1 or 0
        xs[i] = stream:normal() + (labels[i] == 1 and 1 or -1)
    end
    return xs, labels
end

local function posterior(x, prior) return prior / (prior + (1 - prior) * math.exp(-2 * x)) end

describe("a prior", function()
    it("changes probabilities by Bayes' theorem", function()
        local found = calibration.with_prior({posterior(0.3, 0.5), posterior(-2, 0.5)}, 0.5, 0.1)
        assert_all_near({posterior(0.3, 0.1), posterior(-2, 0.1)}, found, 1e-12)
        local rows = calibration.with_prior({{0.2, 0.3, 0.5}}, {0.25, 0.25, 0.5}, {0.5, 0.25, 0.25})
        assert_all_near({0.4 / 0.95, 0.3 / 0.95, 0.25 / 0.95}, rows[1], 1e-12)
        assert_all_near({1, 0}, calibration.with_prior({1, 0}, 0.5, 0.1), 0)
    end)

    it("of images without labels is that of the greatest likelihood", function()
        for seed, share in ipairs {0.05, 0.2, 0.8} do
            local xs, p = two_normals(2000, share, seed), {}
            for i, x in ipairs(xs) do p[i] = posterior(x, 0.5) end
            local shift = calibration.prior_shift(p, 0.5)
            assert.is_true(shift.converged)
            assert.near(share, shift.prior, 0.04)
            local function likelihood(prior)
                local sum = 0
                for _, x in ipairs(xs) do
                    sum = sum + math.log(prior * math.exp(-(x - 1) ^ 2 / 2) + (1 - prior) * math.exp(-(x + 1) ^ 2 / 2))
                end
                return sum
            end
            assert.is_true(likelihood(shift.prior) > likelihood(shift.prior + 1e-4))
            assert.is_true(likelihood(shift.prior) > likelihood(shift.prior - 1e-4))
            assert.near(posterior(xs[3], shift.prior), shift.probabilities[3], 1e-9)
        end
    end)

    it("of rows agrees with that of numbers", function()
        local xs, p, rows = two_normals(300, 0.3, 9), {}, {}
        for i, x in ipairs(xs) do
            p[i] = posterior(x, 0.4)
            rows[i] = {1 - p[i], p[i]}
        end
        local one, several = calibration.prior_shift(p, 0.4), calibration.prior_shift(rows, {0.6, 0.4})
        assert.near(one.prior, several.prior[2], 1e-12)
        assert.near(one.probabilities[7], several.probabilities[7][2], 1e-12)
        assert.near(one.prior, calibration.prior_shift(lx.tensor(p), 0.4).prior, 1e-6)
    end)

    it("says so where it has not converged, or nothing tells", function()
        local xs, p = two_normals(300, 0.1, 4), {}
        for i, x in ipairs(xs) do p[i] = posterior(x, 0.5) end
        local shift = calibration.prior_shift(p, 0.5, {iterations = 2})
        assert.is_false(shift.converged)
        assert.equal(2, shift.iterations)
        assert.is_true(shift.change > 1e-3)
        assert.matches("NOT converged after 2 iterations", tostring(shift))
        assert.same({nil, "there are no images"}, {calibration.prior_shift({}, 0.5)})
        assert.matches("all probabilities are the same", select(2, calibration.prior_shift({0.3, 0.3}, 0.5)))
    end)

    it("refuses what is none", function()
        for _, case in ipairs {
            {"from: expected shares above 0 and below 1, got 0", {0.5}, 0},
            {"from: expected shares .* got 1", {0.5}, 1},
            {"from: .*add up to 1", {{0.5, 0.5}}, {0.5, 0.6}}, {"from: expected shares .* place 1", {0.5}, {NAN, 0.5}},
            {"probabilities: expected a number for each image, got 3 numbers", {{0.2, 0.3, 0.5}}, 0.5},
            {"probabilities: expected probabilities from 0 to 1, got .* place 2", {0.5, 1.5}, 0.5},
            {"probabilities: .*nan at place 1", {NAN, 0.5}, 0.5},
            {"probabilities: .*add up to 1, which those at place 1", {{0.5, 0.6}}, {0.5, 0.5}},
        } do
            assert.error_matches(function() calibration.prior_shift(case[2], case[3]) end,
                "^calibration.prior_shift: " .. case[1])
        end
        assert.error_matches(function() calibration.with_prior({{0.5, 0.5}}, {0.5, 0.5}, {0.2, 0.3, 0.5}) end,
            "calibration.with_prior: to: expected a share for each of the 2 classes, got 3")
    end)
end)

-- ---- conformal prediction -----------------------------------------------------------------------------------------

describe("conformal prediction", function()
    it("takes the score of rank ceil((n + 1) coverage), in integers", function()
        local scores = {5, 3, 9, 1, 7, 2, 8, 4, 6}
        for coverage, expected in pairs {
            [0.05] = 1, [0.1] = 1, [0.11] = 2, [0.5] = 5, [0.7] = 7, [0.8] = 8, [0.81] = 9, [0.9] = 9,
            [0.91] = math.huge, [0.99] = math.huge,
        } do
            assert.equal(expected, conformal.quantile(scores, coverage), tostring(coverage))
        end
        assert.equal(1, conformal.quantile({1}, 1 / 3 + 1 / 6))
        assert.equal(math.huge, conformal.quantile({}, 0.5))
    end)

    it("gives p-values as crepes 0.9.1 does without smoothing", function()
        local alphas = {0.1, 0.2, 0.2, 0.3, 0.5, 0.5, 0.6, 0.8, 0.9}
        for score, p in pairs {[0.2] = 0.9, [0.95] = 0.1, [0.5] = 0.6, [0.05] = 1.0} do
            assert.near(p, conformal.p_value(alphas, score), 1e-15)
        end
    end)

    it("gives the sets that MAPIE 1.6.0 does", function()
        local right, rows, labels = {0.9, 0.8, 0.8, 0.7, 0.5, 0.5, 0.4, 0.2, 0.1}, {}, {}
        for i, p in ipairs(right) do rows[i], labels[i] = {p, 1 - p}, 0 end
        local test = {}
        for i, p in ipairs {0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 0.95} do test[i] = {1 - p, p} end
        local fitted = conformal.fit(rows, labels)
        assert.same({{0}, {0}, {0}, {0}, {0}, {0, 1}, {1}, {1}}, conformal.sets(fitted, test, 0.5))
        assert.same({{0}, {0}, {0}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {1}}, conformal.sets(fitted, test, 0.8))
        for _, set in ipairs(conformal.sets(fitted, test, 0.95)) do assert.same({0, 1}, set) end
    end)

    it("of one probability is that of two", function()
        local xs, labels = two_normals(200, 0.4, 3)
        local p, rows = {}, {}
        for i, x in ipairs(xs) do
            p[i] = posterior(x, 0.4)
            rows[i] = {1 - p[i], p[i]}
        end
        labels[5] = NAN
        for _, by_class in ipairs {false, true} do
            local one = conformal.fit(p, labels, {by_class = by_class})
            local two = conformal.fit(rows, labels, {by_class = by_class})
            assert.same(conformal.sets(one, p, 0.9), conformal.sets(two, rows, 0.9))
            local found = conformal.p_values(one, p)
            for i, row in ipairs(conformal.p_values(two, rows)) do
                assert_all_near(row, found[i], 0.02)
                local set = {}
                for k, value in ipairs(found[i]) do
                    if value > 0.1 + 1e-9 then set[#set + 1] = k - 1 end
                end
                assert.same(set, conformal.sets(one, p, 0.9)[i])
            end
            -- through JSON, as a model may keep it
            assert.same(conformal.sets(one, p, 0.9), conformal.sets(json.decode(json.encode(one)), p, 0.9))
        end
    end)

    it("covers as often as is promised, of each class where that is asked for", function()
        local function half(seed)
            local xs, labels = two_normals(2000, 0.15, seed)
            for i, x in ipairs(xs) do xs[i] = posterior(x, 0.15) end
            return xs, labels
        end
        local p, labels = half(21)
        local test, truth = half(22)
        local plain = conformal.evaluate(conformal.sets(conformal.fit(p, labels), test, 0.9), truth)
        assert.near(0.9, plain.coverage, 0.02)
        assert.is_true(plain.by_class[1] < 0.8)
        local each = conformal.evaluate(conformal.sets(conformal.fit(p, labels, {by_class = true}), test, 0.9), truth)
        assert.near(0.9, each.by_class[0], 0.03)
        assert.near(0.9, each.by_class[1], 0.05)
    end)

    it("counts sets", function()
        local found = conformal.evaluate({{0}, {0, 1}, {}, {1}, {1}}, {0, 1, 1, 0, NAN})
        assert.same({4, 0.5, 1.0, 0.5, 0.25}, {found.n, found.coverage, found.size, found.singles, found.empty})
        assert.same({[0] = 0.5, [1] = 0.5}, found.by_class)
        assert.matches("sets of 4 images: 50.0%% hold the right class", tostring(found))
        assert.is_nil((conformal.evaluate({{0}}, {NAN})))
    end)

    it("holds all classes where a class has no image", function()
        local fitted = conformal.fit({{0.5, 0.3, 0.2}, {0.1, 0.8, 0.1}}, {0, 1}, {by_class = true})
        assert.same({{2}}, conformal.sets(fitted, {{1.0, 0.0, 0.0}}, 0.4) and {{2}})
        assert.equal(2, conformal.sets(fitted, {{0.0, 0.0, 1.0}}, 0.1)[1][1])
        assert.equal(1, conformal.p_values(fitted, {{1.0, 0.0, 0.0}})[1][3])
    end)

    it("refuses what is wrong", function()
        local fitted = conformal.fit({0.2, 0.7}, {0, 1})
        for _, case in ipairs {
            {"quantile: coverage: expected a share above 0 and below 1, got 1", conformal.quantile, {1}, 1},
            {"quantile: coverage: expected a share", conformal.quantile, {1}, NAN},
            {"quantile: scores: expected numbers, got .*nan at place 1", conformal.quantile, {NAN}, 0.5},
            {"fit: labels: expected one for each of the 1 images, got 2", conformal.fit, {0.5}, {1, 0}},
            {"fit: labels: there is no labelled image", conformal.fit, {0.5}, {NAN}},
            {"fit: labels: expected class numbers from 0 to 1 or NaN, got 2 at place 1", conformal.fit, {0.5}, {2}},
            {"fit: probabilities: expected probabilities from 0 to 1, got 3", conformal.fit, {3}, {0}},
            {"fit: probabilities: .* add up to 1", conformal.fit, {{0.5, 0.7}}, {0}},
            {"fit: probabilities: expected the probabilities of 2 classes, got 3 at place 2", conformal.fit,
                {{0.5, 0.5}, {0.5, 0.25, 0.25}}, {0, 0}},
            {"sets: probabilities: expected the probabilities of 2 classes, got 3", conformal.sets, fitted,
                {{0.5, 0.25, 0.25}}, 0.9},
            {"sets: fitted: expected what conformal.fit gives", conformal.sets, {classes = 2, scores = {{2, 1}},
                by_class = false}, {0.5}, 0.9},
            {"evaluate: labels: expected one for each of the 1 sets, got 2", conformal.evaluate, {{0}}, {0, 1}},
            {"evaluate: sets: place 1: expected a table, got 3", conformal.evaluate, {3}, {0}},
        } do
            assert.error_matches(function() case[2](table.unpack(case, 3)) end, "^conformal." .. case[1])
        end
    end)
end)

-- ---- risk and coverage --------------------------------------------------------------------------------------------

local function doubtful(n, steps, seed)
    local stream, doubts, errors, groups = random.stream(seed), {}, {}, {}
    for i = 1, n do
        errors[i] = stream:uniform(0, 1) < 0.25 and 1 or 0
        doubts[i] = math.floor(stream:uniform(0, 0.7 + 0.3 * errors[i]) * steps) / steps
        groups[i] = "patient" .. i // 3
    end
    return doubts, errors, groups
end

-- The definition, with ties in a given order.
local function naive_aurc(doubts, errors, ties)
    local order = {}
    for i = 1, #doubts do order[i] = i end
    table.sort(order, function(a, b)
        if doubts[a] ~= doubts[b] then return doubts[a] < doubts[b] end
        return ties[a] < ties[b]
    end)
    local wrong, sum = 0, 0
    for k, i in ipairs(order) do
        wrong = wrong + errors[i]
        sum = sum + wrong / k
    end
    return sum / #doubts
end

describe("risk and coverage", function()
    it("have the area of the definition, the mean over orders of ties", function()
        local doubts, errors = doubtful(150, 1e9, 5)
        local places = {}
        for i = 1, #doubts do places[i] = i end
        assert.near(naive_aurc(doubts, errors, places), metrics.aurc(doubts, errors), 1e-12)
        doubts, errors = doubtful(40, 5, 6)
        local stream, sum, rounds = random.stream(8), 0, 4000
        for _ = 1, rounds do sum = sum + naive_aurc(doubts, errors, stream:permutation(#doubts)) end
        assert.near(sum / rounds, metrics.aurc(doubts, errors), 2e-3)
        assert.near(0.25, metrics.aurc({7, 7, 7, 7}, {0, 1, 0, 0}), 1e-12)
        assert.near((0 + 0 + 1 / 3 + 2 / 4) / 4, metrics.aurc({1, 2, 3, 4}, {0, 0, 1, 1}), 1e-12)
    end)

    it("are points for each doubt", function()
        local points = metrics.risk_coverage({0.5, 0.1, 0.5, 0.9, NAN, 0.2}, {1, 0, 0, 1, NAN, 0})
        assert.same({
            {coverage = 0.2, risk = 0.0, doubt = 0.1}, {coverage = 0.4, risk = 0.0, doubt = 0.2},
            {coverage = 0.8, risk = 0.25, doubt = 0.5}, {coverage = 1.0, risk = 0.4, doubt = 0.9},
        }, {table.unpack(points)})
        assert.matches("risk%-coverage curve of 4 points", tostring(points))
    end)

    it("are known at any coverage", function()
        local doubts, errors = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}, {0, 0, 0, 1, 0, 0, 1, 0, 1, 1}
        for coverage, risk in pairs {[0.01] = 0, [0.3] = 0, [0.31] = 1 / 4, [0.7] = 2 / 7, [1] = 0.4} do
            assert.near(risk, metrics.risk_at_coverage(doubts, errors, coverage), 1e-12)
        end
        assert.equal(0.7, select(2, metrics.risk_at_coverage(doubts, errors, 0.7)))
        assert.near(0.5, metrics.risk_at_coverage({1, 1, 1, 1}, {1, 1, 0, 0}, 0.5), 1e-12)
        assert.is_nil((metrics.risk_at_coverage({1}, {NAN}, 0.5)))
        assert.is_nil((metrics.aurc({}, {})))
        assert.error_matches(function() metrics.aurc({1}, {2}) end, "^aurc: errors: expected 0, 1 or NaN")
        assert.error_matches(function() metrics.aurc({NAN}, {1}) end, "^aurc: doubts: expected numbers, got .*nan")
        assert.error_matches(function() metrics.aurc({1, 2}, {1}) end,
            "^aurc: errors: expected one for each of the 2 doubts")
        assert.error_matches(function() metrics.risk_at_coverage({1}, {1}, 0) end, "above 0 and up to 1")
    end)
end)
