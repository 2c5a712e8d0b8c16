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

    it("is constant outside of the points of an isotonic regression", function()
        local fitted = calibration.fit({1, 1, 2, 3, 3}, {0, 1, 1, 0, 1}, {method = "isotonic"})
        assert_all_near({1 / 2, 1 / 2, 1 / 2, 2 / 3, 2 / 3, 2 / 3}, at(fitted, {-5, 0.9, 1, 2, 3, 8}), 1e-12)
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

    it("of many classes wants rows of finite numbers of one length", function()
        for _, case in ipairs {
            {{{1, 0 / 0}, {3, 1}}, "expected finite numbers, got %-?nan at place 1"},
            {{{1, 2}, {1 / 0, 1}}, "expected finite numbers, got inf at place 2"},
            {{{1, "x"}, {3, 1}}, 'expected numbers, got "x" at place 1'},
            {{{1, 2, 3}, {3, 1}}, "expected a row of 3 numbers for each image, got 2 at place 2"},
        } do
            assert.error_matches(function() calibration.fit_temperature(case[1], {1, 0}) end,
                "^calibration.fit_temperature: rows: " .. case[2])
        end
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
        local hundred = {}
        for i = 1, 99 do hundred[i] = i end
        for percent = 1, 99 do assert.equal(percent, conformal.quantile(hundred, percent / 100)) end
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

-- ---- figures beside scikit-learn's --------------------------------------------------------------------------------

local TOLERANCE <const> = 1e-9

-- Null in the golden file: not defined.
local function assert_figure(expected, value, message, words)
    if expected == cjson.null then
        assert.is_nil(value, words)
        assert.is_string(message, words)
    else
        assert.near(expected, value, TOLERANCE, words)
    end
end

describe("figures of two classes", function()
    it("are scikit-learn's, for drawn and for degenerate scores", function()
        local count = 0
        for name, case in pairs(golden.cases) do
            for _, figure in ipairs {
                "average_precision", "auc", "log_loss", "brier", "balanced_accuracy", "f1", "mcc", "kappa",
            } do
                local value, message = metrics[figure](case.scores, case.labels)
                assert_figure(case[figure], value, message, figure .. " of " .. name)
                count = count + 1
            end
        end
        assert.is_true(count >= 90)
    end)

    it("leave missing labels out, and take confusions", function()
        local case = golden.cases.tied
        local scores, labels = {NAN, 0.9}, {NAN, NAN}
        table.move(case.scores, 1, #case.scores, 3, scores)
        table.move(case.labels, 1, #case.labels, 3, labels)
        for _, figure in ipairs {"average_precision", "log_loss", "brier", "mcc", "kappa", "balanced_accuracy"} do
            assert.near(case[figure], metrics[figure](scores, labels), TOLERANCE)
        end
        local confusion = metrics.confusion(scores, labels)
        for _, figure in ipairs {"mcc", "kappa", "balanced_accuracy", "f1"} do
            assert.near(case[figure], metrics[figure](confusion), TOLERANCE)
        end
    end)

    it("have the precision-recall curve of scikit-learn", function()
        for name, case in pairs(golden.cases) do
            local points, n = metrics.precision_recall(case.scores, case.labels), #case.pr.precision
            if n == 0 then
                assert.is_nil(points)
            else
                -- scikit-learn's ends with (1, 0), from the lowest threshold up
                assert.equal(n, #points, name)
                for i, point in ipairs(points) do
                    assert.near(case.pr.precision[n + 1 - i], point.precision, TOLERANCE)
                    assert.near(case.pr.recall[n + 1 - i], point.recall, TOLERANCE)
                    if i > 1 then assert.near(case.pr.thresholds[n + 1 - i], point.threshold, 0) end
                end
            end
        end
        assert.matches("precision%-recall curve of 3 points", tostring(metrics.precision_recall({0.1, 0.9}, {0, 1})))
    end)

    it("give predictive values at a prevalence by Bayes' theorem", function()
        local confusion = {tp = 90, fn = 10, tn = 160, fp = 40}
        assert.near(0.9 * 0.05 / (0.9 * 0.05 + 0.2 * 0.95), metrics.precision(confusion, nil, nil, 0.05), 1e-12)
        assert.near(0.8 * 0.95 / (0.8 * 0.95 + 0.1 * 0.05), metrics.npv(confusion, nil, nil, 0.05), 1e-12)
        assert.near(metrics.precision(confusion), metrics.precision(confusion, nil, nil, 1 / 3), 1e-12)
        assert.equal(0, metrics.precision(confusion, nil, nil, 0))
        assert.is_nil((metrics.precision({tp = 0, fn = 1, tn = 1, fp = 0}, nil, nil, 0.5)))
        assert.is_nil((metrics.npv({tp = 0, fn = 1, tn = 0, fp = 0}, nil, nil, 0.5)))
        local report = metrics.report({0.9, 0.8, 0.4, 0.1}, {1, 0, 1, 0}, {n = 20, prevalence = 0.1})
        assert.near(0.1, report.precision, 1e-12)
        assert.matches("precision at 10%%", tostring(report))
    end)
end)

describe("figures of several classes and labels", function()
    local function check(case, figures)
        for _, average in ipairs {"macro", "micro"} do
            for _, figure in ipairs(figures) do
                local value = metrics[average](metrics[figure], case.scores, case.labels)
                assert.near(case[average][figure], value, TOLERANCE, average .. " " .. figure)
            end
        end
    end

    it("are scikit-learn's, macro and micro", function()
        check(golden.several.classes, {"f1", "precision", "average_precision", "auc"})
        check(golden.several.labels, {"f1", "sensitivity", "average_precision", "auc"})
    end)

    it("of many classes come from the confusion matrix", function()
        local case = golden.several.classes
        for _, figure in ipairs {"mcc", "kappa", "balanced_accuracy"} do
            assert.near(case[figure], metrics[figure](case.confusion), TOLERANCE)
        end
        assert.near(case.log_loss, metrics.log_loss(case.scores, case.labels), TOLERANCE)
        local report = metrics.report(case.scores, case.labels, {n = 20})
        assert.same(case.confusion, report.confusion)
        assert.near(case.mcc, report.mcc, TOLERANCE)
        assert.near(case.log_loss, report.log_loss, TOLERANCE)
        assert.near(case.balanced_accuracy, report.macro_sensitivity, TOLERANCE)
        assert.near(case.macro.average_precision, report.macro_average_precision, TOLERANCE)
        assert.matches("MCC +0%.%d+", tostring(report))
        local confidence, right = {}, {}
        for i, row in ipairs(case.scores) do
            confidence[i] = math.max(table.unpack(row))
            right[i] = row[case.labels[i] + 1] == confidence[i] and 1 or 0
        end
        assert.near(metrics.ece(confidence, right), report.ece, 1e-12)
        assert.near(metrics.calibrated_ece(confidence, right).mean, report.ece_calibrated.mean, 1e-12)
        assert_all_near({metrics.share_interval(right, false, {n = 20})}, report.intervals.accuracy, 1e-12)
        assert.is_nil((metrics.balanced_accuracy {{3, 1}, {0, 0}}))
        assert.is_nil((metrics.mcc {{3, 0}, {1, 0}}))
        assert.is_nil((metrics.kappa {{3, 0}, {0, 0}}))
        -- of two classes it is that of the four counts
        local two, four = {{50, 10}, {5, 20}}, {tn = 50, fp = 10, fn = 5, tp = 20}
        for _, figure in ipairs {"mcc", "kappa", "balanced_accuracy", "accuracy"} do
            assert.near(metrics[figure](four), metrics[figure](two), 1e-12)
        end
    end)

    it("leave out what is missing and what is not defined", function()
        local scores = {{0.9, 0.2}, {0.1, 0.7}, {0.3, 0.4}, {0.6, 0.8}}
        local mean, count = metrics.macro(metrics.auc, scores, {{1, 0}, {0, 0}, {NAN, 0}, {1, 0}})
        assert.same({1.0, 1}, {mean, count})
        assert.near(2 / 2, metrics.macro(metrics.sensitivity, scores, {{1, 0}, {0, 0}, {NAN, 0}, {1, 0}}), 1e-12)
        assert.near(metrics.f1({0.9, 0.1, 0.6, 0.2, 0.7, 0.4}, {1, 0, 1, 0, 1, 0}),
            metrics.micro(metrics.f1, scores, {{1, 0}, {0, 1}, {NAN, 0}, {1, NAN}}), 1e-12)
        assert.is_nil((metrics.macro(metrics.auc, scores, {{1, 0}, {1, 0}, {1, 0}, {1, 0}})))
        assert.is_nil((metrics.macro(metrics.auc, {{0.5, 0.5}}, {NAN})))
        assert.near(1, metrics.macro(metrics.sensitivity, scores, {{1, 0}, {0, 0}, {1, 1}, {1, 0}}, 0.3), 1e-12)
    end)

    it("refuse what does not fit", function()
        for _, case in ipairs {
            {"macro: scores: expected a row", metrics.macro, metrics.f1, {0.5}, {1}},
            {"micro: labels: expected 1 rows of 2", metrics.micro, metrics.f1, {{0.5, 0.5}}, {{1, 0}, {1, 0}}},
            {"macro: threshold: of many classes", metrics.macro, metrics.f1, {{0.5, 0.5}}, {1}, 0.5},
            {"macro: fn: its result: expected a number, got", metrics.macro, tostring, {{0.5, 0.5}}, {1}},
            {"mcc: scores: expected a matrix of counts.*place 1", metrics.mcc, {{1, 2, 3}, {1, 2}}},
            {"kappa: scores: expected a matrix of counts", metrics.kappa, {{1, -2}, {1, 2}}},
            {"brier: scores: .*add up to 1", metrics.brier, {{0.5, 0.7}}, {0}},
            {"log_loss: labels: expected class numbers from 0 to 1 or NaN, got 2", metrics.log_loss, {{0.5, 0.5}}, {2}},
        } do
            assert.error_matches(function() case[2](table.unpack(case, 3)) end, "^" .. case[1])
        end
    end)
end)

-- ---- probabilities ------------------------------------------------------------------------------------------------

describe("bins of probabilities", function()
    local function filled(bins)
        local out = {}
        for _, bin in ipairs(bins) do out[#out + 1] = bin.count > 0 and bin or nil end
        return out
    end

    it("are scikit-learn's, of equal width and of equal mass", function()
        for name, case in pairs(golden.cases) do
            for by, n in pairs {width = 10, mass = 7} do
                local bins = filled((select(2, metrics.ece(case.scores, case.labels, n, by))))
                assert.equal(#case[by].frequency, #bins, name .. by)
                for i, bin in ipairs(bins) do
                    assert.near(case[by].frequency[i], bin.frequency, TOLERANCE)
                    assert.near(case[by].confidence[i], bin.confidence, TOLERANCE)
                end
            end
        end
    end)

    it("are closed above, whatever p * n rounds to", function()
        for _, n in ipairs {3, 7, 10, 15, 49, 100, 1000, 4999} do
            local edges, labels = {}, {}
            for b = 0, n do edges[b + 1], labels[b + 1] = b / n, 1 end
            local _, bins = metrics.ece(edges, labels, n)
            for b, bin in ipairs(bins) do assert.equal(b == 1 and 2 or 1, bin.count, b .. "/" .. n) end
        end
        local _, bins = metrics.ece({0.07}, {1}, 100)
        assert.equal(1, bins[7].count)
        _, bins = metrics.ece({0.3}, {1}, 10)
        assert.equal(1, bins[3].count)
    end)

    it("give the parts of the Brier score", function()
        -- Murphy's: probabilities of a few values
        local case = golden.cases.tied
        local parts = metrics.brier_decomposition(case.scores, case.labels, nil, "value")
        assert.near(case.brier, parts.reliability - parts.resolution + parts.uncertainty, 1e-12)
        assert.equal(0, parts.within)
        local sums = {}
        for i, p in ipairs(case.scores) do
            sums[p] = sums[p] or {n = 0, positives = 0}
            sums[p].n, sums[p].positives = sums[p].n + 1, sums[p].positives + case.labels[i]
        end
        local reliability = 0
        for p, sum in pairs(sums) do reliability = reliability + sum.n * (p - sum.positives / sum.n) ^ 2 end
        reliability = reliability / #case.scores
        assert.near(reliability, parts.reliability, 1e-12)
        -- with bins, the rest is variance and covariance inside of them
        case = golden.cases.large
        for _, by in ipairs {"width", "mass"} do
            parts = metrics.brier_decomposition(case.scores, case.labels, 6, by)
            assert.near(case.brier, parts.brier, 1e-9)
            local _, bins = metrics.ece(case.scores, case.labels, 6, by)
            local within = 0
            for i, p in ipairs(case.scores) do
                for k, bin in ipairs(bins) do
                    if p <= bin.high and (p > bin.low or k == 1) then
                        within = within + (p - bin.confidence) ^ 2
                            - 2 * (p - bin.confidence) * (case.labels[i] - bin.frequency)
                    end
                end
            end
            assert.near(within / #case.scores, parts.within, 1e-12)
        end
        assert.is_nil((metrics.brier_decomposition({}, {})))
        assert.matches("Brier score: brier", tostring(parts))
    end)

    it("know the error that a perfectly calibrated model would have", function()
        -- one bin of probabilities of one half: the mean distance of a binomial number from n / 2
        local p, labels = {}, {}
        for i = 1, 100 do p[i], labels[i] = 0.5, i % 2 end
        local expected, factor = 0, 2.0 ^ -100
        for k = 0, 100 do
            expected = expected + factor * math.abs(k - 50) / 100
            factor = factor * (100 - k) / (k + 1)
        end
        local found = metrics.calibrated_ece(p, labels, 10, "width", {n = 20000})
        assert.near(expected, found.mean, 1e-3)
        assert.near(0.1, found.quantile, 1e-12)
        assert.same(found, metrics.calibrated_ece(p, labels, 10, "width", {n = 20000}))
        assert.not_same(found, metrics.calibrated_ece(p, labels, 10, "width", {n = 20000, seed = 2}))
        -- drawn once more in Lua, with the same stream
        local case = {scores = {table.unpack(golden.cases.large.scores)}, labels = golden.cases.large.labels}
        local _, bins = metrics.ece(case.scores, case.labels, 5)
        local stream, sum = random.stream(3), 0
        local ordered = {}
        table.sort(case.scores)
        for b = 1, 5 do
            for _, score in ipairs(case.scores) do
                if score <= bins[b].high and (score > bins[b].low or b == 1) then ordered[#ordered + 1] = {score, b} end
            end
        end
        for _ = 1, 50 do
            local gaps = {0, 0, 0, 0, 0}
            for _, pair in ipairs(ordered) do
                gaps[pair[2]] = gaps[pair[2]] + pair[1] - (stream:uniform(0, 1) < pair[1] and 1 or 0)
            end
            for _, gap in ipairs(gaps) do sum = sum + math.abs(gap) / #ordered / 50 end
        end
        assert.near(sum, metrics.calibrated_ece(case.scores, case.labels, 5, "width", {n = 50, seed = 3}).mean, 1e-12)
        assert.equal(0, metrics.calibrated_ece({0, 1, 1}, {1, 1, 0}, 4, "mass").mean)
        assert.is_nil((metrics.calibrated_ece({0.5}, {NAN})))
        assert.error_matches(function() metrics.ece({0.5}, {1}, 5, "widht") end,
            "ece: by: expected .*did you mean 'width'")
    end)
end)

-- ---- thresholds and decisions -------------------------------------------------------------------------------------

describe("a threshold", function()
    local scores, labels = {0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3}, {1, 0, 1, 1, 0, 0, 0}

    it("is the lowest of a specificity", function()
        local threshold, point = metrics.threshold_at_specificity(scores, labels, 0.75)
        assert.near(0.55, threshold, 1e-12)
        assert.near(0.75, point.specificity, 1e-12)
        assert.near(1, point.sensitivity, 1e-12)
        assert.near(0.85, metrics.threshold_at_specificity(scores, labels, 1), 1e-12)
        threshold, point = metrics.threshold_at_specificity({0.9, 0.8}, {0, 1}, 0.6)
        assert.equal(math.huge, threshold)
        assert.same({sensitivity = 0.0, specificity = 1.0}, point)
        for _, wanted in ipairs {0.1, 0.35, 0.9, 0.97} do
            local case = golden.cases.large
            threshold, point = metrics.threshold_at_specificity(case.scores, case.labels, wanted)
            assert.is_true(point.specificity >= wanted - 1e-12)
            assert.near(point.specificity, metrics.specificity(case.scores, case.labels, threshold), 1e-12)
            for _, score in ipairs(case.scores) do
                if score < threshold then
                    assert.is_true(metrics.specificity(case.scores, case.labels, score) < wanted - 1e-12)
                end
            end
        end
        assert.error_matches(function() metrics.threshold_at_specificity(scores, labels, 0) end, "above 0 and up to 1")
    end)

    it("is that of the least cost", function()
        local case = golden.cases.large
        for _, options in ipairs {
            {miss = 1}, {miss = 5}, {miss = 0.1}, {miss = 3, false_alarm = 2, prevalence = 0.05},
        } do
            local threshold, point = metrics.threshold_at_cost(case.scores, case.labels, options)
            local positives = 0
            for _, label in ipairs(case.labels) do positives = positives + label end
            local prevalence = options.prevalence or positives / #case.labels
            local function cost(at)
                local missed = 1 - metrics.sensitivity(case.scores, case.labels, at)
                local alarms = 1 - metrics.specificity(case.scores, case.labels, at)
                return options.miss * prevalence * missed + (options.false_alarm or 1) * (1 - prevalence) * alarms
            end
            assert.near(point.cost, cost(threshold), 1e-12)
            assert.is_true(point.cost <= cost(math.huge) + 1e-12)
            for _, score in ipairs(case.scores) do assert.is_true(point.cost <= cost(score) + 1e-12) end
        end
        local threshold, point = metrics.threshold_at_cost({0.2, 0.9}, {1, 0}, {miss = 0.01})
        assert.equal(math.huge, threshold)
        assert.near(0.005, point.cost, 1e-12)
        assert.matches("cost 0.005", tostring(point))
        assert.is_nil((metrics.threshold_at_cost({0.2, 0.9}, {1, 1}, {miss = 1})))
        assert.error_matches(function() metrics.threshold_at_cost({0.2}, {1}, {}) end, "option 'miss' is needed")
    end)

    it("has a net benefit, by hand and on a curve", function()
        -- 3 of 7 found at the price of one false alarm at odds of 1, and of two at odds of 1 to 3
        local some = {0.9, 0.8, 0.7, 0.6, 0.3, 0.1, 0.1}
        assert.near(3 / 7 - 1 / 7, metrics.net_benefit(some, labels, 0.5), 1e-12)
        assert.near(3 / 7 - 2 / 7 / 3, metrics.net_benefit(some, labels, 0.25), 1e-12)
        local points = metrics.decision_curve(scores, labels, {thresholds = {0.1, 0.5, 0.75}})
        assert.near(3 / 7 - 4 / 7 / 9, points[1].all, 1e-12)
        for _, point in ipairs(points) do
            assert.near(metrics.net_benefit(scores, labels, point.threshold), point.net_benefit, 1e-12)
        end
        assert.equal(99, #metrics.decision_curve(scores, labels))
        local at = metrics.decision_curve(scores, labels, {thresholds = {0.5}, prevalence = 0.1})[1]
        assert.near(1 * 0.1 - 0.5 * 0.9, at.net_benefit, 1e-12)
        assert.near(0.1 - 0.9, at.all, 1e-12)
        assert.near(at.net_benefit, metrics.net_benefit(scores, labels, 0.5, 0.1), 1e-12)
        assert.is_nil((metrics.net_benefit(scores, labels, 1)))
        assert.is_nil((metrics.decision_curve({}, {})))
        assert.matches("decision curve of 3 thresholds", tostring(points))
        for _, case in ipairs {
            {"net_benefit: threshold: expected a probability from 0 to 1, got 2", metrics.net_benefit, scores,
                labels, 2},
            {"net_benefit: scores: expected probabilities", metrics.net_benefit, {3}, {1}, 0.5},
            {"net_benefit: threshold: .*got nil", metrics.net_benefit, {tp = 1, fp = 1, tn = 1, fn = 1}},
            {"decision_curve: options: .*got 1 at place 2", metrics.decision_curve, scores, labels,
                {thresholds = {0.5, 1}}},
        } do
            assert.error_matches(function() case[2](table.unpack(case, 3)) end, "^" .. case[1])
        end
    end)
end)

-- ---- intervals ----------------------------------------------------------------------------------------------------

describe("DeLong's method", function()
    it("is pROC's", function()
        for name, case in pairs(golden.delong) do
            local one = metrics.delong(case.a, case.labels)
            assert_all_near({case.auc_a, case.low, case.high, math.sqrt(case.variance_a)},
                {one.auc, one.low, one.high, one.deviation}, 1e-9)
            local narrow = metrics.delong(case.a, case.labels, {level = 0.9})
            assert_all_near({case.low90, case.high90}, {narrow.low, narrow.high}, 1e-9)
            local test = metrics.delong_test(case.a, case.b, case.labels)
            assert_all_near({case.auc_a, case.auc_b, case.z, case.p}, {test.auc_a, test.auc_b, test.z, test.p}, 1e-9)
            local deviation = math.sqrt(case.variance_a + case.variance_b - 2 * case.covariance)
            assert.near(case.auc_a - case.auc_b - 1.959963984540054 * deviation, test.low, 1e-9, name)
            local report = metrics.report(case.a, case.labels, {n = 2})
            assert_all_near({case.low, case.high}, report.delong, 1e-9)
        end
    end)

    it("does not tell where it cannot", function()
        local value, message = metrics.delong({0.1, 0.9, 0.8}, {0, 1, 1})
        assert.same({nil, "needs two images of each class, has 2 positive and 1 negative"}, {value, message})
        assert.is_nil((metrics.delong({0.1, 0.2, 0.8, 0.9}, {0, 0, 1, 1})))
        local case = golden.delong.plain
        local twice = {}
        for i, score in ipairs(case.a) do twice[i] = 2 * score + 1 end
        assert.matches("one order", select(2, metrics.delong_test(case.a, twice, case.labels)))
        assert.is_nil((metrics.delong_test({}, {}, {})))
        assert.error_matches(function() metrics.delong_test({1}, {1, 2}, {1}) end,
            "delong_test: labels: expected one for each of the 2 scores_b, got 1")
        assert.error_matches(function() metrics.delong_test({1, 2}, {1, NAN}, {1, 0}) end,
            "delong_test: scores_b: expected numbers, got .*nan at place 2")
    end)
end)

describe("the bootstrap", function()
    local function drawn(n, steps, seed)
        local stream, a, b, labels, groups = random.stream(seed), {}, {}, {}, {}
        for i = 1, n do
            labels[i] = stream:uniform(0, 1) < 0.4 and 1 or 0
            a[i] = math.floor(stream:uniform(0, 0.6 + 0.4 * labels[i]) * steps) / steps
            b[i] = math.floor(stream:uniform(0, 0.8 + 0.2 * labels[i]) * steps) / steps
            groups[i] = "patient" .. i // 3
        end
        return a, b, labels, groups
    end

    local FIGURES <const> = {
        "auc", "average_precision", "accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "mcc", "kappa",
        "balanced_accuracy", "net_benefit",
    }

    it("gives in C what it gives in Lua", function()
        for seed, steps in ipairs {4, 1000000} do
            local a, _, labels, groups = drawn(40, steps, seed)
            for _, name in ipairs(FIGURES) do
                local options = {n = 60, seed = seed, groups = groups}
                local slow = {metrics.bootstrap(function(...) return (metrics[name](...)) end, a, labels, options)}
                assert_all_near(slow, {metrics.bootstrap(metrics[name], a, labels, options)}, 1e-12)
            end
        end
    end)

    it("of losses and of the risk-coverage curve takes resamples of one class", function()
        local a, _, labels, groups = drawn(40, 8, 5)
        for _, name in ipairs {"brier", "log_loss", "aurc"} do
            local values, stream, units, seen = {}, random.stream(2), {}, {}
            -- as C draws them: of images in the order of their scores
            local order = {}
            for i = 1, #a do order[i] = i end
            table.sort(order, function(i, j) if a[i] ~= a[j] then return a[i] < a[j] end return i < j end)
            for _, i in ipairs(order) do
                if not seen[groups[i]] then
                    seen[groups[i]] = {}
                    units[#units + 1] = seen[groups[i]]
                end
                table.insert(seen[groups[i]], i)
            end
            for round = 1, 60 do
                local scores, truth = {}, {}
                for _ = 1, #units do
                    for _, i in ipairs(units[stream:integer(#units)]) do
                        scores[#scores + 1], truth[#truth + 1] = a[i], labels[i]
                    end
                end
                values[round] = metrics[name](scores, truth)
            end
            table.sort(values)
            local low, high = metrics.bootstrap(metrics[name], a, labels, {
                n = 60, seed = 2, groups = groups, level = 58 / 59,
            })
            assert_all_near({(values[1] + values[2]) / 2, (values[59] + values[60]) / 2}, {low, high}, 1e-12)
        end
        assert.is_number((metrics.bootstrap(metrics.brier, {0.1, 0.6, 0.3}, {0, 0, 0})))
        assert.is_nil((metrics.bootstrap(metrics.auc, {0.1, 0.6, 0.3}, {0, 0, 0})))
    end)

    it("takes threshold and prevalence for rates alone", function()
        local a, _, labels = drawn(60, 100, 3)
        local function at_five_percent(s, l) return (metrics.precision(s, l, 0.3, 0.05)) end
        assert_all_near({metrics.bootstrap(at_five_percent, a, labels, {n = 50})}, {
            metrics.bootstrap(metrics.precision, a, labels, {n = 50, threshold = 0.3, prevalence = 0.05}),
        }, 1e-12)
        assert.error_matches(function() metrics.bootstrap(metrics.auc, a, labels, {threshold = 0.3}) end,
            "bootstrap: options: option 'threshold': only rates")
        assert.error_matches(function() metrics.bootstrap(metrics.net_benefit, a, labels, {threshold = 3}) end,
            "bootstrap: options: option 'threshold': expected a number from 0 to 1, got 3")
    end)

    it("of a difference draws the same patients for both", function()
        for _, name in ipairs {"auc", "aurc", "average_precision", "brier", "mcc"} do
            local a, b, labels, groups = drawn(50, 20, 7)
            local f = metrics[name]
            local found = metrics.paired_bootstrap(f, a, b, labels, {groups = groups, n = 200})
            assert.near((f(a, labels)), found.a, 1e-12)
            assert.near(f(a, labels) - f(b, labels), found.difference, 1e-12)
            assert.equal(17, found.units)
            local slow = metrics.paired_bootstrap(function(...) return (f(...)) end, a, b, labels, {
                groups = groups, n = 200,
            })
            assert_all_near({slow.low, slow.high, slow.p}, {found.low, found.high, found.p}, 1e-12)
            -- the other way round
            local turned = metrics.paired_bootstrap(f, b, a, labels, {groups = groups, n = 200})
            assert_all_near({-found.high, -found.low}, {turned.low, turned.high}, 1e-12)
            local same = metrics.paired_bootstrap(f, a, a, labels, {groups = groups, n = 50})
            assert.same({0.0, 0.0, 0.0, 1}, {same.difference, same.low, same.high, same.p})
        end
    end)

    it("of a difference agrees with DeLong's test where images are patients", function()
        local case = golden.delong.plain
        local test, found = metrics.delong_test(case.a, case.b, case.labels),
            metrics.paired_bootstrap(metrics.auc, case.a, case.b, case.labels, {n = 4000})
        assert.near(test.low, found.low, 0.012)
        assert.near(test.high, found.high, 0.012)
        assert.near(test.p, found.p, 0.06)
        -- and is wider where every image is there twice
        local a, b, labels, groups = {}, {}, {}, {}
        for i = 1, #case.a do
            for k = 2 * i - 1, 2 * i do a[k], b[k], labels[k], groups[k] = case.a[i], case.b[i], case.labels[i], i end
        end
        local whole = metrics.paired_bootstrap(metrics.auc, a, b, labels, {n = 4000, groups = groups})
        local apart = metrics.paired_bootstrap(metrics.auc, a, b, labels, {n = 4000})
        assert.near(found.high - found.low, whole.high - whole.low, 0.01)
        assert.is_true(apart.high - apart.low < 0.8 * (whole.high - whole.low))
    end)

    it("of a report is the same for all figures", function()
        local a, _, labels, groups = drawn(60, 50, 9)
        local report = metrics.report(a, labels, {groups = groups, n = 200})
        for _, name in ipairs {"auc", "average_precision", "mcc", "balanced_accuracy", "sensitivity"} do
            local alone = {metrics.bootstrap(metrics[name], a, labels, {groups = groups, n = 200})}
            assert_all_near(alone, report.intervals[name], 1e-12)
        end
        assert.is_table(report.intervals.brier)
        assert.is_table(report.intervals.log_loss)
        assert.near(metrics.calibrated_ece(a, labels).mean, report.ece_calibrated.mean, 1e-12)
        local text = tostring(report)
        for _, words in ipairs {
            "balanced", "MCC", "DeLong, of images %[", "AUPRC", "log loss", "if perfectly calibrated, 95%% below",
        } do
            assert.matches(words, text)
        end
        assert.matches("DeLong %[", tostring(metrics.report(a, labels, {n = 20})))
        local logits = metrics.report({3, -2, 5}, {1, 0, 0}, {n = 5})
        assert.is_nil(logits.log_loss)
        assert.is_nil(logits.ece_calibrated)
    end)
end)

describe("every figure", function()
    -- A value, or nil and why; never NaN, nor an error of arithmetic.
    local function assert_told(words, value, message)
        if value == nil then
            assert.is_string(message, words)
        elseif type(value) == "number" then
            assert.is_true(value == value, words)
        else
            for name, number in pairs(value) do
                assert.is_true(type(number) ~= "number" or number == number, words .. " " .. tostring(name))
            end
        end
    end

    it("is told or refused with a reason for few, equal and one-sided scores", function()
        local stream, calls = random.stream(5), 0
        for round = 1, 300 do
            local n, a, b, labels = stream:integer(6) - 1, {}, {}, {}
            for i = 1, n do
                a[i], b[i] = (stream:integer(3) - 1) / 2, (stream:integer(3) - 1) / 2
                labels[i] = ({0, 1, NAN, round % 2})[stream:integer(4)]
            end
            local words = table.concat(a, " ") .. " of " .. table.concat(labels, " ")
            for _, name in ipairs {
                "accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "balanced_accuracy", "mcc", "kappa",
                "net_benefit", "auc", "average_precision", "brier", "log_loss", "ece", "brier_decomposition",
                "calibrated_ece", "delong", "aurc", "risk_coverage", "roc", "precision_recall", "youden",
                "decision_curve",
            } do
                assert_told(name .. ": " .. words, metrics[name](a, labels))
                calls = calls + 1
            end
            assert_told(words, metrics.threshold_at_cost(a, labels, {miss = 2}))
            assert_told(words, metrics.threshold_at_specificity(a, labels, 0.7))
            assert_told(words, metrics.risk_at_coverage(a, labels, 0.7))
            assert_told(words, metrics.delong_test(a, b, labels))
            for _, name in ipairs {"auc", "mcc", "average_precision", "aurc", "brier", "precision"} do
                assert_told(name .. " paired: " .. words,
                    metrics.paired_bootstrap(metrics[name], a, b, labels, {n = 10, seed = round}))
                assert_told(name .. " drawn: " .. words,
                    metrics.bootstrap(metrics[name], a, labels, {n = 10, seed = round}))
            end
            assert.is_string(tostring(metrics.report(a, labels, {n = 5, prevalence = 0.1})))
        end
        assert.equal(7200, calls)
    end)
end)

describe("a tensor without dimensions", function()
    it("is what is said of one image", function()
        local one = lx.tensor(0.75)
        local fitted = conformal.fit({0.1, 0.9, 0.2, 0.8}, {0, 1, 0, 1})
        assert.same(conformal.fit({0.75}, {1}), conformal.fit(one, lx.tensor(1)))
        assert.same(conformal.sets(fitted, {0.75}, 0.5), conformal.sets(fitted, one, 0.5))
        assert.same(conformal.p_values(fitted, {0.75}), conformal.p_values(fitted, one))
        assert.same(calibration.with_prior({0.75}, 0.5, 0.1), calibration.with_prior(one, 0.5, 0.1))
        assert.same(lx.metrics.report({{0.25, 0.75}}, {1}), lx.metrics.report({{0.25, 0.75}}, lx.tensor(1)))
        assert.error_matches(function() conformal.sets(fitted, {p = 0.75}, 0.5) end,
            "conformal.sets: probabilities: expected a list of numbers or a tensor, got a table with the name 'p'")
    end)
end)
