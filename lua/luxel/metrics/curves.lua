--- Figures of all thresholds together: the ROC and precision-recall curves with their areas, and the decision curve.

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"
local samples = require "luxel.metrics.sample"
local curve_type = require "luxel.metrics.points"

local sample, sorted = samples.of, samples.sorted

local metrics = {}

-- Area under the ROC curve of a sorted sample: the chance that a positive scores above a negative, ties counting half
-- (the Mann-Whitney statistic: Hanley and McNeil, Radiology 143:29, 1982).
local function area(ordered)
    local scores, labels, n = ordered.scores, ordered.labels, ordered.n
    local wins, negatives_below, positives = 0, 0, 0
    local i = 1
    while i <= n do
        local score, tied_positive, tied_negative = scores[i], 0, 0
        repeat
            if labels[i] == 1 then tied_positive = tied_positive + 1 else tied_negative = tied_negative + 1 end
            i = i + 1
        until scores[i] ~= score
        wins = wins + tied_positive * (negatives_below + tied_negative / 2)
        negatives_below = negatives_below + tied_negative
        positives = positives + tied_positive
    end
    if positives == 0 or negatives_below == 0 then
        return nil, ("needs both classes, has %d positive and %d negative"):format(positives, negatives_below)
    end
    return wins / (positives * negatives_below)
end

--- The area under the ROC curve (Hanley and McNeil 1982), ties counting half.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? auc, string? message nil where a class is absent
function metrics.auc(scores, labels)
    return area(sorted(sample(scores, labels, "auc")))
end

local new_points = curve_type("ROC curve", "points", "  threshold     false   true positive rate",
    "  %9.4g  %8.4f %8.4f", {"threshold", "fpr", "tpr"})

-- `metrics.roc` under the name of who asks.
local function roc(scores, labels, caller)
    local ordered = sorted(sample(scores, labels, caller))
    local total = counts.of(ordered, -math.huge)
    if total.tp == 0 or total.fp == 0 then
        return nil, ("needs both classes, has %d positive and %d negative"):format(total.tp, total.fp)
    end
    local points = {{fpr = 0, tpr = 0, threshold = math.huge}}
    local tp, fp = 0, 0
    for i = ordered.n, 1, -1 do
        if ordered.labels[i] == 1 then tp = tp + 1 else fp = fp + 1 end
        if ordered.scores[i] ~= ordered.scores[i - 1] then
            points[#points + 1] = {fpr = fp / total.fp, tpr = tp / total.tp, threshold = ordered.scores[i]}
        end
    end
    return new_points(points)
end

--- The ROC curve, from (0, 0) to (1, 1), one point for each distinct score.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return {fpr: number, tpr: number, threshold: number}[]? points, string? message
function metrics.roc(scores, labels) return roc(scores, labels, "roc") end

local new_steps = curve_type("precision-recall curve", "points", "  threshold    recall precision",
    "  %9.4g  %8.4f  %8.4f", {"threshold", "recall", "precision"})

-- Calls `use(score, positives, called)` for each distinct score of a sorted sample, from the highest: the positives and
-- images that are called from it on.
local function each_step(ordered, use)
    local positives = 0
    for i = ordered.n, 1, -1 do
        positives = positives + ordered.labels[i]
        if ordered.scores[i] ~= ordered.scores[i - 1] then use(ordered.scores[i], positives, ordered.n - i + 1) end
    end
end

local function positives_of(kept)
    local sum = 0
    for i = 1, kept.n do sum = sum + kept.labels[i] end
    return sum
end

local NO_POSITIVE <const> = "no positive image"

-- Average precision of a sorted sample.
local function average_precision(ordered)
    local all, sum, before = positives_of(ordered), 0, 0
    if all == 0 then return nil, NO_POSITIVE end
    each_step(ordered, function(_, positives, called)
        sum = sum + (positives - before) / all * (positives / called)
        before = positives
    end)
    return sum
end

--- The area below the steps of the precision-recall curve: the mean over the positive images of the precision at their
--- score, which does not interpolate (Davis and Goadrich, ICML 2006). A score that knows nothing has the share of
--- positives.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? average_precision, string? message nil where no image is positive
function metrics.average_precision(scores, labels)
    return average_precision(sorted(sample(scores, labels, "average_precision")))
end

--- The precision-recall curve from the highest score down, one point for each distinct score after the one of recall 0,
--- whose precision is 1 by convention.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return {recall: number, precision: number, threshold: number}[]? points, string? message
function metrics.precision_recall(scores, labels)
    local ordered = sorted(sample(scores, labels, "precision_recall"))
    local all, points = positives_of(ordered), {{recall = 0.0, precision = 1.0, threshold = math.huge}}
    if all == 0 then return nil, NO_POSITIVE end
    each_step(ordered, function(score, positives, called)
        points[#points + 1] = {recall = positives / all, precision = positives / called, threshold = score}
    end)
    return new_steps(points)
end

local new_decisions = curve_type("decision curve", "thresholds", "  threshold  net benefit  of calling all",
    "  %9.4g  %11.4f  %14.4f", {"threshold", "net_benefit", "all"})

--- The net benefit at many thresholds, beside that of calling every image positive; that of calling none is 0 (Vickers
--- and Elkin, Medical Decision Making 26:565, 2006). A model is of use where its own is above both.
---@param scores number[]|luxel.Tensor calibrated probabilities
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {thresholds: number[]?, prevalence: number?} default 0.01, 0.02, ... 0.99, and the prevalence of the
---  images
---@return {threshold: number, net_benefit: number, all: number}[]? points, string? message
function metrics.decision_curve(scores, labels, options)
    local kept, opts, points = sample(scores, labels, "decision_curve"), options or {}, {}
    samples.check_probabilities(kept, "decision_curve")
    local thresholds = opts.thresholds
    if not thresholds then
        thresholds = {}
        for percent = 1, 99 do thresholds[percent] = percent / 100 end
    end
    local everybody = counts.of(kept, -math.huge)
    for i, threshold in ipairs(thresholds) do
        if threshold == 1 then
            args.fail("decision_curve: options: option 'thresholds': expected numbers from 0 to below 1, got 1 at "
                .. "place %d", i)
        end
        everybody.threshold = threshold
        local benefit, message = counts.rates.net_benefit(counts.of(kept, threshold), opts.prevalence)
        if not benefit then return nil, message end
        points[i] = {
            threshold = threshold, net_benefit = benefit, all = counts.rates.net_benefit(everybody, opts.prevalence),
        }
    end
    return new_decisions(points)
end

args.publish("", metrics, {
    auc = samples.ARGUMENTS, roc = samples.ARGUMENTS, average_precision = samples.ARGUMENTS,
    precision_recall = samples.ARGUMENTS,
    decision_curve = samples.ARGUMENTS .. ", options: {thresholds: number(0..1)[]?, prevalence: number(0..1)?}?",
})

return {public = metrics, area = area, average_precision = average_precision, roc = roc}
