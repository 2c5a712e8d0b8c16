--- Counts of true and false positives and negatives at a threshold, and the rates that are computed from them.

local args = require "luxel.args"
local samples = require "luxel.metrics.sample"
local result_type = require "luxel.result"

local sample = samples.of

local metrics = {}

args.type("threshold", "a number", "number", function(value) return value == value end) -- infinite ones too

local DEFAULT_THRESHOLD <const> = 0.5

local new_confusion = result_type("confusion", {"tp", "fp", "tn", "fn", "threshold"})

-- Counts of a sample; `weights` are how often each image occurs in a resample.
local function count(kept, threshold, weights)
    local tp, fp, tn, fn = 0, 0, 0, 0
    local scores, labels = kept.scores, kept.labels
    for i = 1, kept.n do
        local w = weights and weights[i] or 1
        if scores[i] >= threshold then
            if labels[i] == 1 then tp = tp + w else fp = fp + w end
        else
            if labels[i] == 1 then fn = fn + w else tn = tn + w end
        end
    end
    return new_confusion {tp = tp, fp = fp, tn = tn, fn = fn, threshold = threshold}
end

local function ratio(part, whole, message)
    if whole == 0 then
        return nil, message
    end
    return part / whole
end

-- The rates, each from the four counts.
local rates = {}

function rates.accuracy(c)
    return ratio(c.tp + c.tn, c.tp + c.fp + c.tn + c.fn, "no labelled image")
end

function rates.sensitivity(c)
    return ratio(c.tp, c.tp + c.fn, "no positive image")
end

function rates.specificity(c)
    return ratio(c.tn, c.tn + c.fp, "no negative image")
end

function rates.precision(c)
    return ratio(c.tp, c.tp + c.fp, "no image is called positive")
end

function rates.npv(c)
    return ratio(c.tn, c.tn + c.fn, "no image is called negative")
end

function rates.f1(c)
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, "no image is positive or called positive")
end

---@class luxel.Confusion
---@field tp integer
---@field fp integer
---@field tn integer
---@field fn integer
---@field threshold number

--- True and false positives and negatives.
---@param scores number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param threshold? number default 0.5
---@return luxel.Confusion
function metrics.confusion(scores, labels, threshold)
    return count(sample(scores, labels, "confusion"), threshold or DEFAULT_THRESHOLD)
end

local RATE <const> = "scores: tensor|table, labels: tensor|table?, threshold: threshold?"
local CONFUSION <const> = "{tp: number(0..), fp: number(0..), tn: number(0..), fn: number(0..), threshold: threshold?}"

-- `metrics.NAME(scores, labels, threshold)`, or of counts that one has already: `metrics.NAME(confusion)`.
local function rate(name)
    return function(scores, labels, threshold)
        if labels == nil then
            args.check(name .. ": scores", CONFUSION, scores)
            return rates[name](scores)
        end
        return rates[name](count(sample(scores, labels, name), threshold or DEFAULT_THRESHOLD))
    end
end

--- The share of images that are called right.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.accuracy = rate "accuracy"

--- The share of the positive images that are called positive (recall, true positive rate).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.sensitivity = rate "sensitivity"

--- The share of the negative images that are called negative (true negative rate).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.specificity = rate "specificity"

--- The share of the images called positive that are (positive predictive value).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.precision = rate "precision"

--- The share of the images called negative that are (negative predictive value).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.npv = rate "npv"

--- The harmonic mean of precision and sensitivity.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.f1 = rate "f1"

args.publish("", metrics, {
    confusion = samples.ARGUMENTS .. ", threshold: threshold?", accuracy = RATE, sensitivity = RATE,
    specificity = RATE, precision = RATE, npv = RATE, f1 = RATE,
})

return {
    public = metrics, of = count, rates = rates, DEFAULT_THRESHOLD = DEFAULT_THRESHOLD,
    RATES = {"accuracy", "sensitivity", "specificity", "precision", "npv", "f1"}, -- in the order of reports
}
