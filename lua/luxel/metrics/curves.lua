--- Figures of all thresholds together: the ROC curve, the area below it, and thresholds chosen from it.

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"
local samples = require "luxel.metrics.sample"
local result_type = require "luxel.result"

local sample, sorted = samples.of, samples.sorted

local metrics = {}

-- Area under the ROC curve of a sorted sample: the chance that a positive scores above a negative, ties counting half
-- (the Mann-Whitney statistic: Hanley and McNeil, Radiology 143:29, 1982).
local function area(ordered, weights)
    local scores, labels, n = ordered.scores, ordered.labels, ordered.n
    local wins, negatives_below, positives = 0, 0, 0
    local i = 1
    while i <= n do
        local score, tied_positive, tied_negative = scores[i], 0, 0
        repeat
            local w = weights and weights[i] or 1
            if labels[i] == 1 then tied_positive = tied_positive + w else tied_negative = tied_negative + w end
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

local new_points = result_type("ROC curve", {}, function(points)
    local lines = {("ROC curve of %d points"):format(#points), "  threshold     false   true positive rate"}
    local step = math.max(1, #points // 10)
    for i = 1, #points, step do
        local point = points[i]
        lines[#lines + 1] = ("  %9.4g  %8.4f %8.4f"):format(point.threshold, point.fpr, point.tpr)
    end
    return table.concat(lines, "\n")
end)

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

-- Half-way from a score to the next lower one: a new image that scores a little below the last one taken in is then
-- still treated like it. The score itself where there is no number in between.
local function threshold_between(score, below)
    local middle = score + (below - score) / 2
    return middle > below and middle <= score and middle or score
end

-- A threshold for each point of a ROC curve but the first, with the rates there.
local function operating_points(scores, labels, caller)
    local points, message = roc(scores, labels, caller)
    if not points then
        return nil, message
    end
    local out = {}
    for i = 2, #points do
        local point, below = points[i], points[i + 1]
        out[i - 1] = {
            threshold = below and threshold_between(point.threshold, below.threshold) or point.threshold,
            sensitivity = point.tpr,
            specificity = 1 - point.fpr,
        }
    end
    return out
end

local new_point = result_type("operating point", {"sensitivity", "specificity"})

--- The threshold of the largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950). Of equally good ones the
--- most sensitive.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? threshold, {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function metrics.youden(scores, labels)
    local points, message = operating_points(scores, labels, "youden")
    if not points then
        return nil, message
    end
    local best
    for _, point in ipairs(points) do
        local sum = point.sensitivity + point.specificity
        -- Equal sums may differ in the last bit, as the two rates have different denominators.
        if not best or sum >= best.sensitivity + best.specificity - 1e-12 then
            best = point
        end
    end
    return best.threshold, new_point {sensitivity = best.sensitivity, specificity = best.specificity}
end

--- The highest threshold whose sensitivity is at least `sensitivity` (0..1).
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param sensitivity number 0..1
---@return number? threshold, {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function metrics.threshold_at_sensitivity(scores, labels, sensitivity)
    if sensitivity == 0 then
        args.fail("threshold_at_sensitivity: sensitivity: expected a number above 0 and up to 1, got 0")
    end
    local points, message = operating_points(scores, labels, "threshold_at_sensitivity")
    if not points then
        return nil, message
    end
    for _, point in ipairs(points) do
        if point.sensitivity >= sensitivity - 1e-12 then
            return point.threshold, new_point {sensitivity = point.sensitivity, specificity = point.specificity}
        end
    end
    error "unreachable: the last point calls everything positive"
end

args.publish("", metrics, {
    auc = samples.ARGUMENTS, roc = samples.ARGUMENTS, youden = samples.ARGUMENTS,
    threshold_at_sensitivity = samples.ARGUMENTS .. ", sensitivity: number(0..1)",
})

return {public = metrics, area = area}
