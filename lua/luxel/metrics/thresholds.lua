--- Thresholds chosen from scores and labels.

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"
local curves = require "luxel.metrics.curves"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local metrics = {}

-- Half-way from a score to the next lower one: a new image that scores a little below the last one taken in is then
-- still treated like it. The score itself where there is no number in between.
local function threshold_between(score, below)
    local middle = score + (below - score) / 2
    return middle > below and middle <= score and middle or score
end

-- A threshold for each point of a ROC curve but the first, with the rates there.
local function operating_points(scores, labels, caller)
    local points, message = curves.roc(scores, labels, caller)
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

local new_point = result_type("operating point", {"sensitivity", "specificity", "cost"}, function(self)
    return ("operating point: sensitivity %.4g, specificity %.4g%s"):format(self.sensitivity, self.specificity,
        self.cost and (", cost %.4g"):format(self.cost) or "")
end)

-- The point that is none of these.
local NOBODY <const> = {threshold = math.huge, sensitivity = 0.0, specificity = 1.0}

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

--- The lowest threshold whose specificity is at least `specificity`.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param specificity number above 0 and up to 1
---@return number? threshold infinite where only calling nobody is so specific
---@return {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function metrics.threshold_at_specificity(scores, labels, specificity)
    if specificity == 0 then
        args.fail("threshold_at_specificity: specificity: expected a number above 0 and up to 1, got 0")
    end
    local points, message = operating_points(scores, labels, "threshold_at_specificity")
    if not points then return nil, message end
    local chosen = NOBODY
    for _, point in ipairs(points) do
        if point.specificity >= specificity - 1e-12 then chosen = point end
    end
    return chosen.threshold, new_point {sensitivity = chosen.sensitivity, specificity = chosen.specificity}
end

--- The threshold of the least expected cost: `miss` for each positive image that is not called, `false_alarm` for each
--- negative one that is, where a share `prevalence` is positive. Of equally good ones the most sensitive. (Calibrated
--- probabilities tend to false_alarm / (false_alarm + miss): Elkan, IJCAI 2001.)
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options {miss: number, false_alarm: number?, prevalence: number?} false_alarm: default 1; prevalence: default
---  that of the images
---@return number? threshold infinite where calling nobody costs least
---@return {sensitivity: number, specificity: number, cost: number}|string point the rates at it and the cost of an
---  image,
---  or why nil
function metrics.threshold_at_cost(scores, labels, options)
    local points, message = operating_points(scores, labels, "threshold_at_cost")
    if not points then return nil, message end
    local prevalence, alarm = options.prevalence, options.false_alarm or 1
    if not prevalence then
        local total = counts.of(samples.of(scores, labels, "threshold_at_cost"), -math.huge)
        prevalence = total.tp / (total.tp + total.fp)
    end
    local best, least
    table.insert(points, 1, NOBODY)
    for _, point in ipairs(points) do
        local cost = options.miss * prevalence * (1 - point.sensitivity)
            + alarm * (1 - prevalence) * (1 - point.specificity)
        if not best or cost <= least * (1 + 1e-12) then best, least = point, cost end
    end
    return best.threshold, new_point {sensitivity = best.sensitivity, specificity = best.specificity, cost = least}
end

args.publish("", metrics, {
    youden = samples.ARGUMENTS, threshold_at_sensitivity = samples.ARGUMENTS .. ", sensitivity: number(0..1)",
    threshold_at_specificity = samples.ARGUMENTS .. ", specificity: number(0..1)",
    threshold_at_cost = samples.ARGUMENTS
        .. ", options: {miss: positive, false_alarm: positive?, prevalence: number(0..1)?}",
})

return {public = metrics}
