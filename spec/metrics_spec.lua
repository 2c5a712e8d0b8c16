local calibration = require "luxel.calibration"
local metrics = require "luxel.metrics"
local random = require "luxel.random"

local NAN <const> = 0 / 0

-- The definition: every pair of a positive and a negative image.
local function pairwise_auc(scores, labels)
    local wins, pairs_seen = 0, 0
    for i = 1, #scores do
        for j = 1, #scores do
            if labels[i] == 1 and labels[j] == 0 then
                pairs_seen = pairs_seen + 1
                wins = wins + (scores[i] > scores[j] and 1 or scores[i] == scores[j] and 0.5 or 0)
            end
        end
    end
    return wins / pairs_seen
end

local function made_up(n, seed, steps)
    local stream, scores, labels, groups = random.stream(seed), {}, {}, {}
    for i = 1, n do
        labels[i] = stream:uniform(0, 1) < 0.3 and 1 or 0
        scores[i] = math.floor(stream:uniform(0, 0.7 + 0.3 * labels[i]) * steps) / steps
        groups[i] = "patient" .. i // 3
    end
    return scores, labels, groups
end

describe("metrics at a threshold", function()
    local scores = {0.9, 0.8, 0.5, 0.4, 0.3, 0.6, 0.1, 0.2, 0.7}
    local labels = {1, 1, 1, 1, 0, 0, 0, 0, 0}

    it("counts a score at the threshold as positive", function()
        local c = metrics.confusion(scores, labels, 0.5)
        assert.same({tp = 3, fn = 1, fp = 2, tn = 3, threshold = 0.5}, c)
    end)

    it("gives the rates of hand-counted images", function()
        assert.near(6 / 9, metrics.accuracy(scores, labels, 0.5), 1e-12)
        assert.near(3 / 4, metrics.sensitivity(scores, labels), 1e-12)
        assert.near(3 / 5, metrics.specificity(scores, labels), 1e-12)
        assert.near(3 / 5, metrics.precision(scores, labels), 1e-12)
        assert.near(3 / 4, metrics.npv(scores, labels), 1e-12)
        assert.near(2 * (0.6 * 0.75) / (0.6 + 0.75), metrics.f1(scores, labels), 1e-12)
        assert.near(3 / 4, metrics.sensitivity(metrics.confusion(scores, labels)), 1e-12)
    end)

    it("leaves missing labels out, whatever their score", function()
        assert.near(1, metrics.accuracy({0.9, NAN, 0.1}, {1, NAN, 0}), 1e-12)
        assert.near(1, metrics.auc({0.9, 0.0, 0.1}, {1, NAN, 0}), 1e-12)
    end)

    it("takes columns, as networks give them", function()
        assert.near(0.5, metrics.accuracy({{0.9}, {0.8}}, {{1}, {0}}), 1e-12)
    end)

    it("is nil, with the reason, where a rate is not defined", function()
        local value, message = metrics.sensitivity({0.9, 0.1}, {0, 0})
        assert.is_nil(value)
        assert.equal("no positive image", message)
        assert.is_nil((metrics.specificity({0.9}, {1})))
        assert.is_nil((metrics.precision({0.1, 0.2}, {1, 0})))
        assert.is_nil((metrics.npv({0.8, 0.9}, {1, 0})))
        assert.is_nil((metrics.f1({0.1}, {0})))
        assert.is_nil((metrics.accuracy({}, {})))
        assert.is_nil((metrics.auc({0.1, 0.2}, {1, 1})))
        assert.is_nil((metrics.roc({0.1, 0.2}, {0, 0})))
        assert.is_nil((metrics.youden({0.1, 0.2}, {0, 0})))
        assert.is_nil((metrics.brier({}, {})))
        assert.is_nil((metrics.ece({0.5}, {NAN})))
    end)

    it("names what is wrong with its arguments", function()
        for _, case in ipairs {
            {"auc: labels: expected one for each of the 1 scores, got 2", metrics.auc, {0.1}, {1, 0}},
            {"auc: labels: expected 0, 1 or NaN %(missing%), got 2 at place 1", metrics.auc, {0.1}, {2}},
            {"accuracy: scores: expected numbers, got nan at place 2", metrics.accuracy, {0.1, NAN}, {1, 0}},
            {'accuracy: scores: expected a tensor or a table, got "x"', metrics.accuracy, "x", {1}},
            {'auc: scores: expected numbers, got "x" at place 2', metrics.auc, {0.1, "x"}, {1, 0}},
            {"auc: scores: .* name 'x'", metrics.auc, {x = 1}, {1, 0}},
            {"accuracy: scores: the option 'tp' is needed", metrics.accuracy, {}},
            {"accuracy: threshold: expected a number", metrics.accuracy, {1}, {1}, "0.5"},
            {"accuracy: threshold: expected a number", metrics.accuracy, {1}, {1}, NAN},
            {"youden: labels: expected one for each of the 2 scores, got 1", metrics.youden, {0.1, 0.2}, {1}},
            {"report: options: unknown option 'treshold' %(did you mean 'threshold'%?%)", metrics.report, {0.1}, {1},
                {treshold = 1}},
            {"report: options: option 'level': expected a number between 0 and 1, got 95", metrics.report, {0.1}, {1},
                {level = 95}},
            {"bootstrap: fn: its result: expected a number, got \"x\"", metrics.bootstrap,
                function() return "x" end, {0.1, 0.2}, {0, 1}},
        } do
            assert.error_matches(function() case[2](table.unpack(case, 3)) end, "^" .. case[1])
        end
    end)

    it("gives results that print themselves", function()
        assert.equal("confusion: tp 1, fp 0, tn 1, fn 0, threshold 0.5",
            tostring(metrics.confusion({0.1, 0.9}, {0, 1})))
        assert.matches("ROC curve of 3 points.*0.9 +0.0000 +1.0000", tostring(metrics.roc({0.1, 0.9}, {0, 1})))
        assert.matches("0.0667 %- 0.1333 +1  0.1000  0.0000", tostring((select(2, metrics.ece({0.1, 0.9}, {0, 1})))))
        assert.equal("operating point: sensitivity 1, specificity 1",
            tostring((select(2, metrics.youden({0.1, 0.9}, {0, 1})))))
        local report = metrics.report({0.1, 0.9, 0.3}, {0, 1, 1}, {n = 10})
        assert.equal(metrics.format_report(report), tostring(report))
        assert.error_matches(function() return report.sensitivty end, "Report has no 'sensitivty' .*'sensitivity'")
        assert.error_matches(function() return report.confusion.TP end, "confusion has no 'TP' .*'tp'")
    end)
end)

describe("ROC", function()
    it("agrees with the pairwise definition, with and without ties", function()
        for seed, steps in ipairs {2, 3, 7, 50, 1000000} do
            local scores, labels = made_up(61 + seed, seed, steps)
            assert.near(pairwise_auc(scores, labels), metrics.auc(scores, labels), 1e-12)
        end
    end)

    it("is 1, 0 and a half at the extremes", function()
        assert.equal(1.0, metrics.auc({0.1, 0.2, 0.8, 0.9}, {0, 0, 1, 1}))
        assert.equal(0.0, metrics.auc({0.1, 0.2, 0.8, 0.9}, {1, 1, 0, 0}))
        assert.equal(0.5, metrics.auc({0.3, 0.3, 0.3}, {1, 0, 0}))
    end)

    it("has the area of its trapezoids, and a point for each distinct score", function()
        local scores, labels = made_up(101, 9, 12)
        local distinct, n = {}, 0
        for _, score in ipairs(scores) do
            if not distinct[score] then
                distinct[score], n = true, n + 1
            end
        end
        local points = metrics.roc(scores, labels)
        assert.equal(n + 1, #points)
        assert.same({fpr = 0, tpr = 0, threshold = math.huge}, points[1])
        local sum = 0
        for i = 2, #points do
            local a, b = points[i - 1], points[i]
            sum = sum + (b.fpr - a.fpr) * (a.tpr + b.tpr) / 2
            assert.near(b.tpr, metrics.sensitivity(scores, labels, b.threshold), 1e-12)
            assert.near(1 - b.fpr, metrics.specificity(scores, labels, b.threshold), 1e-12)
        end
        assert.near(metrics.auc(scores, labels), sum, 1e-12)
    end)
end)

describe("choosing a threshold", function()
    it("puts Youden's in the gap between separable classes", function()
        local threshold, point = metrics.youden({0.1, 0.2, 0.6, 0.8}, {0, 0, 1, 1})
        assert.near(0.4, threshold, 1e-12)
        assert.same({sensitivity = 1.0, specificity = 1.0}, point)
    end)

    it("finds the largest sensitivity + specificity of all thresholds", function()
        local scores, labels = made_up(97, 4, 40)
        local best = 0
        for _, threshold in ipairs(scores) do
            best = math.max(best, metrics.sensitivity(scores, labels, threshold)
                + metrics.specificity(scores, labels, threshold))
        end
        local threshold, point = metrics.youden(scores, labels)
        assert.near(best, point.sensitivity + point.specificity, 1e-12)
        assert.near(point.sensitivity, metrics.sensitivity(scores, labels, threshold), 1e-12)
        assert.near(point.specificity, metrics.specificity(scores, labels, threshold), 1e-12)
    end)

    it("prefers the more sensitive of equally good ones", function()
        -- From 0.9 on: 0.5 + 1. From 0.5 on: 1 + 0.5.
        local threshold, point = metrics.youden({0.9, 0.7, 0.5, 0.3}, {1, 0, 1, 0})
        assert.near(0.4, threshold, 1e-12)
        assert.same({sensitivity = 1.0, specificity = 0.5}, point)
    end)

    it("reaches a sensitivity at the highest threshold that does", function()
        local scores, labels = {0.9, 0.8, 0.7, 0.6, 0.5, 0.4}, {1, 1, 0, 1, 0, 1}
        local threshold, point = metrics.threshold_at_sensitivity(scores, labels, 0.75)
        assert.near(0.55, threshold, 1e-12)
        assert.same({sensitivity = 0.75, specificity = 0.5}, point)
        assert.near(0.4, metrics.threshold_at_sensitivity(scores, labels, 1), 1e-12)
        assert.error_matches(function() metrics.threshold_at_sensitivity(scores, labels, 95) end, "got 95")
    end)

    it("stays above the next lower score when there is no number between, or it is infinite", function()
        local low = 0.3
        local high = low + 0x1p-54
        for _, pair in ipairs {{low, high}, {-math.huge, 0.5}, {0.5, math.huge}} do
            local threshold = metrics.youden(pair, {0, 1})
            assert.is_true(threshold > pair[1] and threshold <= pair[2])
        end
    end)
end)

describe("calibration", function()
    it("gives Brier's score", function()
        assert.near((0.01 + 0.16 + 0.25) / 3, metrics.brier({0.9, 0.4, 0.5}, {1, 0, 1}), 1e-12)
    end)

    it("gives hand-computed bins", function()
        local ece, bins = metrics.ece({0.0, 0.2, 0.5, 0.6, 0.9, 1.0}, {0, 1, 0, 1, 1, 1}, 2)
        assert.equal(2, #bins)
        assert.equal(3, bins[1].count) -- 0.5 belongs to (0, 0.5]
        assert.near(0.7 / 3, bins[1].confidence, 1e-12)
        assert.near(1 / 3, bins[1].frequency, 1e-12)
        assert.near(2.5 / 3, bins[2].confidence, 1e-12)
        assert.near((3 * (1 - 0.7) / 3 + 3 * (3 - 2.5) / 3) / 6, ece, 1e-12)
    end)

    it("leaves an empty bin without figures, and refuses logits", function()
        local _, bins = metrics.ece({0.9}, {1}, 3)
        assert.same({low = 0.0, high = 1 / 3, count = 0}, bins[1])
        assert.error_matches(function() metrics.ece({2.5}, {1}) end,
            "ece: scores: expected probabilities from 0 to 1, got 2.5 at place 1")
        assert.error_matches(function() metrics.brier({0.5, -1}, {1, 0}) end, "got %-1 at place 2")
    end)
end)

describe("Platt scaling", function()
    -- more infected than normal, and logits that are too large and off centre
    local LOGITS <const> = {-3.1, -0.4, 0.2, 1.9, 0.6, 1.1, 2.5, 2.6, 3.3, 4.8, 5.1, -0.9}
    local LABELS <const> = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}

    -- The least cross-entropy is where both sums of differences vanish, and it is the only such place: the function is
    -- convex. The targets are Platt's, (n1 + 1) / (n1 + 2) and 1 / (n0 + 2).
    local function assert_least(fitted, logits, labels)
        local n = {[0] = 0, [1] = 0}
        for _, label in ipairs(labels) do n[label] = n[label] + 1 end
        local along, across = 0, 0
        for i, logit in ipairs(logits) do
            local target = labels[i] == 1 and (n[1] + 1) / (n[1] + 2) or 1 / (n[0] + 2)
            local difference = 1 / (1 + math.exp(-(fitted.scale * logit + fitted.shift))) - target
            along, across = along + difference * logit, across + difference
        end
        assert.near(0, along, 1e-5)
        assert.near(0, across, 1e-5)
    end

    it("finds the two numbers of the least cross-entropy with smoothed targets", function()
        local fitted = calibration.fit(LOGITS, LABELS)
        assert_least(fitted, LOGITS, LABELS)
        assert.is_true(fitted.shift < 0 or fitted.shift > 0)
        -- logits that are moved change the shift alone, by what they were moved times the scale
        local moved = {}
        for i, logit in ipairs(LOGITS) do moved[i] = logit - 5 end
        local other = calibration.fit(moved, LABELS)
        assert.near(fitted.scale, other.scale, 1e-5)
        assert.near(fitted.shift + 5 * fitted.scale, other.shift, 1e-4)
        -- and with the classes changed round, both change their signs
        local turned = {}
        for i, label in ipairs(LABELS) do turned[i] = 1 - label end
        local opposite = calibration.fit(LOGITS, turned)
        assert.near(-fitted.scale, opposite.scale, 1e-5)
        assert.near(-fitted.shift, opposite.shift, 1e-5)
    end)

    it("ends at the smoothed targets where the classes are apart", function()
        local fitted = calibration.fit({-1, -1, 2, 2, 2}, {0, 0, 1, 1, 1})
        assert.near(1 / 4, calibration.probability(fitted, -1), 1e-5)
        assert.near(4 / 5, calibration.probability(fitted, 2), 1e-5)
    end)

    it("does so from far away, where full steps go too far", function()
        local logits, labels = {}, {}
        for i = 1, 60 do
            logits[i], labels[i] = (i % 7 - 3) * 40 + (i % 3 == 0 and 900 or 700), i % 3 == 0 and 1 or 0
        end
        assert_least(calibration.fit(logits, labels), logits, labels)
    end)

    it("halves steps as often as it takes: one logit far from the others, of the other class", function()
        local logits = {-809.2, 0.3, 0.7, -1.3, 1.2, 1.9, -1.4, -1.4, 0.9, -0.3, 0.0, -0.5, 1.8, -1.2}
        local labels = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
        local fitted = calibration.fit(logits, labels)
        assert.near(-0.0041176, fitted.scale, 1e-7)
        assert.near(-2.6388386, fitted.shift, 1e-6)
    end)

    it("leaves out missing labels, and needs both classes", function()
        local logits, labels = {}, {}
        for i, logit in ipairs(LOGITS) do
            logits[#logits + 1], labels[#labels + 1] = logit, LABELS[i]
            logits[#logits + 1], labels[#labels + 1] = 50 * i, NAN
        end
        assert.same(calibration.fit(LOGITS, LABELS), calibration.fit(logits, labels))
        assert.is_nil(calibration.fit({1, 2}, {1, 1}))
        assert.is_nil(calibration.fit({1, 2}, {0, 0}))
    end)

    it("gives probabilities of any logit, with and without a calibration", function()
        for _, logit in ipairs {-800, -30, -1.5, 0, 1.5, 30, 800} do
            assert.near(1 / (1 + math.exp(-logit)), calibration.probability(nil, logit), 1e-15)
            assert.near(1 / (1 + math.exp(-(0.5 * logit - 2))),
                calibration.probability({scale = 0.5, shift = -2}, logit), 1e-15)
        end
    end)
end)

describe("a report", function()
    it("gives no interval where every resample agrees", function()
        local scores, labels = {0.1, 0.2, 0.8, 0.9}, {0, 0, 1, 1}
        local report = metrics.report(scores, labels, {threshold = 0.5, n = 50})
        assert.equal(1, report.auc)
        assert.is_nil(report.intervals.auc)
        assert.matches("AUC *1.0000  %[no interval: all resamples agree%]", metrics.format_report(report))
        scores[2] = 0.85
        assert.is_table(metrics.report(scores, labels, {threshold = 0.5, n = 50}).intervals.auc)
    end)
end)

describe("bootstrap", function()
    local scores, labels, groups = made_up(300, 5, 1000)

    it("repeats for a seed and differs for another", function()
        local low, high = metrics.bootstrap(metrics.auc, scores, labels, {n = 200, seed = 7})
        local low2, high2 = metrics.bootstrap(metrics.auc, scores, labels, {n = 200, seed = 7})
        local low3 = metrics.bootstrap(metrics.auc, scores, labels, {n = 200, seed = 8})
        assert.same({low, high}, {low2, high2})
        assert.not_equal(low, low3)
    end)

    it("gives the quick area and a plain function the same interval", function()
        local quick = {metrics.bootstrap(metrics.auc, scores, labels, {n = 40, groups = groups})}
        local plain = {metrics.bootstrap(pairwise_auc, scores, labels, {n = 40, groups = groups})}
        assert.near(plain[1], quick[1], 1e-12)
        assert.near(plain[2], quick[2], 1e-12)
    end)

    it("is as wide as the binomial distribution for an accuracy", function()
        local right, truth = {}, {}
        for i = 1, 400 do
            truth[i] = i % 2
            right[i] = i <= 320 and truth[i] or 1 - truth[i]
        end
        local low, high = metrics.bootstrap(metrics.accuracy, right, truth)
        local half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
        assert.near(0.8 - half, low, 0.01)
        assert.near(0.8 + half, high, 0.01)
        local narrow_low, narrow_high = metrics.bootstrap(metrics.accuracy, right, truth, {level = 0.5})
        assert.is_true(narrow_low > low and narrow_high < high)
    end)

    it("resamples patients: copies of an image do not narrow the interval", function()
        local once = {metrics.bootstrap(metrics.auc, scores, labels)}
        local copies = {scores = {}, labels = {}, groups = {}}
        for i = 1, #scores do
            for _ = 1, 4 do
                table.insert(copies.scores, scores[i])
                table.insert(copies.labels, labels[i])
                table.insert(copies.groups, i)
            end
        end
        local by_patient = {metrics.bootstrap(metrics.auc, copies.scores, copies.labels, {groups = copies.groups})}
        local by_image = {metrics.bootstrap(metrics.auc, copies.scores, copies.labels)}
        local width = once[2] - once[1]
        assert.near(width, by_patient[2] - by_patient[1], 0.1 * width)
        assert.near(width / 2, by_image[2] - by_image[1], 0.1 * width)
    end)

    it("hands every resample both classes", function()
        local rare = {}
        for i = 1, 20 do
            rare[i] = i == 1 and 1 or 0
        end
        local seen = 0
        metrics.bootstrap(function(_, drawn)
            local positives = 0
            for _, label in ipairs(drawn) do
                positives = positives + label
            end
            assert.is_true(positives > 0 and positives < #drawn)
            seen = seen + 1
            return 0
        end, rare, rare, {n = 50})
        assert.equal(50, seen)
    end)

    it("is nil, with the reason, where no interval can be told", function()
        local low, message = metrics.bootstrap(metrics.auc, {0.1, 0.2}, {1, 1})
        assert.is_nil(low)
        assert.matches("needs both classes", message)
        low, message = metrics.bootstrap(metrics.auc, {0.1, 0.2}, {0, 1}, {groups = {"a", "a"}})
        assert.is_nil(low)
        assert.matches("two patients", message)
        assert.error_matches(function()
            metrics.bootstrap(metrics.auc, {0.1, 0.2}, {0, 1}, {groups = {"a"}})
        end, "'groups': there is none for image 2")
    end)
end)

describe("a report of several classes", function()
    local SCORES <const> = {{0.7, 0.2, 0.1}, {0.1, 0.8, 0.1}, {0.2, 0.2, 0.6}, {0.5, 0.3, 0.2}}

    it("takes labels as a column", function()
        local flat = metrics.report(SCORES, {0, 1, 2, 1}, {n = 10})
        assert.near(0.75, flat.accuracy, 1e-12)
        assert.same(flat.accuracy, metrics.report(SCORES, {{0}, {1}, {2}, {1}}, {n = 10}).accuracy)
    end)

    it("takes a threshold of each label, and refuses lists of another length", function()
        local scores, labels = {{0.2, 0.8}, {0.7, 0.4}, {0.6, 0.9}}, {{0, 1}, {1, 0}, {0, 1}}
        local report = metrics.report(scores, labels, {threshold = {0.65, 0.85}, n = 10})
        assert.same({0.65, 0.85}, {report.each[1].threshold, report.each[2].threshold})
        assert.same({1, 0, 1, 1}, {
            report.each[1].confusion.tp, report.each[1].confusion.fp, report.each[2].confusion.tp,
            report.each[2].confusion.fn,
        })
        for _, case in ipairs {
            {"expected one number, or one for each of the 2 labels, got 1", {0.5}},
            {"expected one number, or one for each of the 2 labels, got 3", {0.5, 0.5, 0.5}},
            {"'threshold': place 2: expected a number, got %-?nan", {0.5, NAN}},
        } do
            assert.error_matches(function() metrics.report(scores, labels, {threshold = case[2]}) end, case[1])
        end
    end)

    it("refuses scores that are no probabilities, thresholds and other labels", function()
        for _, case in ipairs {
            {"probabilities that add up to 1, which image 2 has not", {{0.7, 0.2, 0.1}, {2, -1, 0}}, {0, 1}},
            {"'threshold': of many classes", SCORES, {0, 1, 2, 1}, {threshold = {0.1, 0.2, 0.3}}},
            {"'threshold': of many classes", SCORES, {0, 1, 2, 1}, {threshold = 0.7}},
            {"expected class numbers from 0 to 2 or NaN, got 3 at place 4", SCORES, {0, 1, 2, 3}},
            {"expected one for each of the 4 rows of scores, got 3", SCORES, {0, 1, 2}},
        } do
            assert.error_matches(function() metrics.report(case[2], case[3], case[4]) end, case[1])
        end
    end)
end)

describe("report", function()
    it("has every figure, within its interval", function()
        local scores, labels, groups = made_up(211, 6, 500)
        scores[5], labels[5] = 0.4, NAN
        local report = metrics.report(scores, labels, {threshold = 0.45, groups = groups, n = 300})
        assert.equal(210, report.n)
        assert.equal(1, report.missing)
        assert.near(metrics.auc(scores, labels), report.auc, 1e-12)
        assert.near(metrics.brier(scores, labels), report.brier, 1e-12)
        assert.near((metrics.ece(scores, labels)), report.ece, 1e-12)
        for _, name in ipairs {"accuracy", "sensitivity", "specificity", "precision", "npv", "f1"} do
            assert.near(metrics[name](scores, labels, 0.45), report[name], 1e-12)
            local low, high = table.unpack(report.intervals[name])
            assert.is_true(low < report[name] and report[name] < high)
        end
        assert.same("patient", report.bootstrap.unit)
        local low, high = metrics.bootstrap(metrics.auc, scores, labels, {groups = groups, n = 300})
        assert.same({low, high}, report.intervals.auc)
    end)

    it("says that scores are no probabilities", function()
        local text = tostring(metrics.report({2.5, -1, 0.3}, {1, 0, 1}, {n = 5}))
        assert.matches("Brier score +n/a\n", text)
        assert.matches("[some scores are not from 0 to 1 and so no probabilities; they are compared with 0.5000 as "
            .. "they are]", text, 1, true)
        assert.is_nil(tostring(metrics.report({0, 1}, {1, 0}, {n = 5})):find("no probabilities", 1, true))
    end)

    it("reads well, and says n/a for what is not defined", function()
        local report = metrics.report({0.9, 0.2, 0.7}, {1, 0, 0}, {n = 100})
        local text = metrics.format_report(report, {"NORMAL", "INFECTED"})
        assert.matches("3 images: 2 NORMAL, 1 INFECTED\n", text, 1, true)
        assert.matches("true NORMAL +1 +1\n", text)
        assert.matches("true INFECTED +0 +1\n", text)
        assert.matches("accuracy .*sensitivity .*specificity .*precision .*npv .*F1 +66.7%% .*AUC .*Brier", text)
        -- columns are as wide as the longer name, and as "called"
        for names, width in pairs {[{"NORMAL", "INFECTED"}] = 8, [{"pneumonia", "no"}] = 9, [{"a", "b"}] = 6} do
            local columns = metrics.format_report(report, names):match("\n( +called +called)\n")
            assert.equal(2 + width + 5 + 2 * (2 + width), #columns)
        end
        assert.matches("sensitivity +100.0%%  %[no interval: all resamples agree%]", text)
        assert.matches("100 resamples of 3 images", text, 1, true)

        text = metrics.format_report(metrics.report({0.9, 2.5}, {0, 0}))
        for _, title in ipairs {"sensitivity", "AUC", "Brier score", "calib. error"} do
            assert.matches(title .. " +n/a\n", text)
        end
        assert.matches("no intervals: needs both classes, has 0 positive and 2 negative", text, 1, true)
    end)
end)
