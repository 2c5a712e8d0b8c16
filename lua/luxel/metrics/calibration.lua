--- How far probabilities can be believed: the Brier score, and the calibration error with the bins that it is computed
--- from. What makes them right is fitted by lx.calibration.

local args = require "luxel.args"
local samples = require "luxel.metrics.sample"
local result_type = require "luxel.result"

local sample, check_probabilities = samples.of, samples.check_probabilities

local metrics = {}

local function mean_square(kept)
    if kept.n == 0 then
        return nil, "no labelled image"
    end
    local sum = 0
    for i = 1, kept.n do
        sum = sum + (kept.scores[i] - kept.labels[i]) ^ 2
    end
    return sum / kept.n
end

--- The mean squared difference between probability and outcome (Brier, Monthly Weather Review 78:1, 1950).
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? brier, string? message
function metrics.brier(scores, labels)
    local kept = sample(scores, labels, "brier")
    check_probabilities(kept, "brier")
    return mean_square(kept)
end

local new_bins = result_type("reliability", {}, function(bins)
    local lines = {"  probability      images  mean    positives"}
    for _, bin in ipairs(bins) do
        if bin.count > 0 then
            lines[#lines + 1] = ("  %.4f - %.4f %6d  %.4f  %.4f"):format(bin.low, bin.high, bin.count, bin.confidence,
                bin.frequency)
        end
    end
    return table.concat(lines, "\n")
end)

local BINS <const> = 15

-- The expected calibration error of a sample of probabilities, and its bins.
local function expected_error(kept, n_bins)
    if kept.n == 0 then
        return nil, "no labelled image"
    end
    local bins = {}
    for b = 1, n_bins do
        bins[b] = {low = (b - 1) / n_bins, high = b / n_bins, count = 0, sum = 0, positives = 0}
    end
    for i = 1, kept.n do
        local bin = bins[math.max(1, math.ceil(kept.scores[i] * n_bins))]
        bin.count = bin.count + 1
        bin.sum = bin.sum + kept.scores[i]
        bin.positives = bin.positives + kept.labels[i]
    end
    local error_sum = 0
    for _, bin in ipairs(bins) do
        if bin.count > 0 then
            bin.confidence, bin.frequency = bin.sum / bin.count, bin.positives / bin.count
            error_sum = error_sum + bin.count * math.abs(bin.confidence - bin.frequency)
        end
        bin.sum, bin.positives = nil, nil
    end
    return error_sum / kept.n, new_bins(bins)
end

--- The expected calibration error over equal-width bins (low, high] of the probability of the positive class (Guo et
--- al., "On calibration of modern neural networks", ICML 2017, who bin the probability of the predicted class
--- instead), and the bins, which draw the reliability diagram: mean probability (`confidence`) against the share of
--- positives (`frequency`), both nil in an empty bin.
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param n_bins? integer default 15
---@return number? ece, table[]|string bins {low, high, count, confidence?, frequency?} each, or why nil
function metrics.ece(scores, labels, n_bins)
    local kept = sample(scores, labels, "ece")
    check_probabilities(kept, "ece")
    return expected_error(kept, math.tointeger(n_bins or BINS))
end

args.publish("", metrics, {
    brier = samples.ARGUMENTS, ece = samples.ARGUMENTS .. ", n_bins: integer(1..1000000)?",
})

return {public = metrics, mean_square = mean_square, expected_error = expected_error, BINS = BINS}
