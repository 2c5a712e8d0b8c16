--- How far probabilities can be believed: the Brier score and the log loss, and the calibration error with the bins
--- that it is computed from. What makes them right is fitted by lx.calibration.

local args = require "luxel.args"
local core = require "luxel.core"
local random = require "luxel.random"
local resampling = require "luxel.metrics.resampling"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local metrics = {}

local NONE <const> = "no labelled image"

-- ---- scores of single images ----------------------------------------------------------------------------------------

-- What one probability costs, by the label.
local losses = {}

function losses.brier(p, label) return (p - label) ^ 2 end

-- Certainty that is wrong would cost infinitely much: probabilities count as at least this far from 0 and 1.
local SMALLEST <const> = 0x1p-52

function losses.log_loss(p, label)
    if label == 0 then p = 1 - p end
    return -math.log(math.min(math.max(p, SMALLEST), 1 - SMALLEST))
end

-- The loss of each image of a sample.
local function each_loss(kept, name)
    local out, loss = {}, losses[name]
    for i = 1, kept.n do out[i] = loss(kept.scores[i], kept.labels[i]) end
    return out
end

local function mean(values)
    if #values == 0 then return nil, NONE end
    local sum = 0
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values
end

-- The loss of each image of many classes.
local of_rows = {}

function of_rows.brier(row, class)
    local sum = 0
    for k, p in ipairs(row) do sum = sum + (p - (k == class and 1 or 0)) ^ 2 end
    return sum
end

function of_rows.log_loss(row, class) return losses.log_loss(row[class], 1) end

-- The mean loss of probabilities, of one for each image or of a row of many classes.
local function mean_loss(name, scores, labels)
    if not samples.has_several(scores) then
        local kept = samples.of(scores, labels, name)
        samples.check_probabilities(kept, name)
        return mean(each_loss(kept, name))
    end
    local kept, out = samples.of_classes(scores, labels, name), {}
    for i, row in ipairs(kept.scores) do out[i] = of_rows[name](row, kept.labels[i]) end
    return mean(out)
end

--- The mean squared difference between probability and outcome (Brier, Monthly Weather Review 78:1, 1950). Of rows of
--- probabilities the sum over the classes, which for two of them is twice that of one.
---@param scores number[]|number[][]|luxel.Tensor probabilities of the positive class, or a row of all for each image
---@param labels number[]|luxel.Tensor 1, 0 (of rows class numbers from 0), or NaN where there is none
---@return number? brier, string? message
function metrics.brier(scores, labels) return mean_loss("brier", scores, labels) end

--- The mean of -ln of the probability of what was the case, probabilities cut to between 2^-52 and 1 - 2^-52.
---@param scores number[]|number[][]|luxel.Tensor probabilities of the positive class, or a row of all for each image
---@param labels number[]|luxel.Tensor 1, 0 (of rows class numbers from 0), or NaN where there is none
---@return number? log_loss, string? message
function metrics.log_loss(scores, labels) return mean_loss("log_loss", scores, labels) end

-- ---- bins -----------------------------------------------------------------------------------------------------------

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

-- The bin (low, high] of a probability among n of equal width, the first with 0. That p * n is rounded must not move a
-- p that is b / n into the next one.
local function bin_of(p, n)
    local b = math.max(1, math.min(n, math.ceil(p * n)))
    while b > 1 and p <= (b - 1) / n do b = b - 1 end
    while p > b / n do b = b + 1 end
    return b
end

-- Edges of bins, and a function that finds the bin of a probability.
local cut = {}

function cut.width(_, n)
    local edges = {}
    for b = 0, n do edges[b + 1] = b / n end
    return edges, function(p) return bin_of(p, n) end
end

-- Edges at quantiles, linear between the probabilities: bins of equally many where probabilities differ.
function cut.mass(scores, n)
    local ordered, edges = table.move(scores, 1, #scores, 1, {}), {}
    table.sort(ordered)
    for b = 0, n do
        local whole, rest = (#ordered - 1) * b // n, (#ordered - 1) * b % n
        local low, high = ordered[whole + 1], ordered[math.min(whole + 2, #ordered)]
        edges[b + 1] = low + (high - low) * (rest / n)
    end
    return edges, function(p)
        local low, high = 1, n
        while low < high do
            local middle = (low + high) // 2
            if edges[middle + 1] < p then low = middle + 1 else high = middle end
        end
        return low
    end
end

-- A bin for each probability that occurs.
function cut.value(scores)
    local ordered, edges, places = table.move(scores, 1, #scores, 1, {}), {}, {}
    table.sort(ordered)
    for _, p in ipairs(ordered) do
        if not places[p] then
            edges[#edges + 1] = p
            places[p] = #edges
        end
    end
    edges[#edges + 1] = edges[#edges]
    return edges, function(p) return places[p] end
end

-- Bins of a sample that is not empty, and the probabilities in each that has some.
local function bins_of(kept, n_bins, by)
    local edges, find = cut[by or "width"](kept.scores, n_bins)
    local bins, members = {}, {}
    for b = 1, #edges - 1 do
        bins[b] = {low = edges[b], high = edges[b + 1], count = 0}
    end
    local sums, positives = {}, {}
    for i = 1, kept.n do
        local p = kept.scores[i]
        local b = find(p)
        local bin = bins[b]
        bin.count, members[b] = bin.count + 1, members[b] or {}
        members[b][bin.count] = p
        sums[b], positives[b] = (sums[b] or 0) + p, (positives[b] or 0) + kept.labels[i]
    end
    for b, bin in ipairs(bins) do
        if bin.count > 0 then bin.confidence, bin.frequency = sums[b] / bin.count, positives[b] / bin.count end
    end
    return bins, members
end

-- The expected calibration error of a sample of probabilities, and its bins.
local function expected_error(kept, n_bins, by)
    if kept.n == 0 then return nil, NONE end
    local bins, sum = bins_of(kept, n_bins, by), 0
    for _, bin in ipairs(bins) do
        if bin.count > 0 then sum = sum + bin.count * math.abs(bin.confidence - bin.frequency) end
    end
    return sum / kept.n, new_bins(bins)
end

-- A sample of probabilities.
local function probabilities(scores, labels, caller)
    local kept = samples.of(scores, labels, caller)
    samples.check_probabilities(kept, caller)
    return kept
end

--- The expected calibration error over bins (low, high] of the probability of the positive class (Guo et al., "On
--- calibration of modern neural networks", ICML 2017, who bin the probability of the predicted class instead), and the
--- bins, which draw the reliability diagram: mean probability (`confidence`) against the share of positives
--- (`frequency`), both nil in an empty bin. A perfectly calibrated model has an error above 0 as well:
--- `calibrated_ece`.
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param n_bins? integer default 15
---@param by? "width"|"mass" bins of equal width (the default), or of equally many images
---@return number? ece, table[]|string bins {low, high, count, confidence?, frequency?} each, or why nil
function metrics.ece(scores, labels, n_bins, by)
    return expected_error(probabilities(scores, labels, "ece"), math.tointeger(n_bins or BINS), by)
end

local new_calibrated = result_type("calibration error if calibrated", {"mean", "quantile", "n"})

-- What the error of a sample would be, were its probabilities right.
local function calibrated_error(kept, n_bins, by, n, seed)
    local bins, members = bins_of(kept, n_bins, by)
    local filled, errors, state, sum = {}, {}, random.stream(seed).state, 0
    for b = 1, #bins do filled[#filled + 1] = members[b] end
    while #errors < n do -- in parts, between which Ctrl-C is heard
        local found
        state, found = core.drawn_errors(filled, state, math.min(n - #errors, math.max(1, 10000000 // kept.n)))
        table.move(found, 1, #found, #errors + 1, errors)
    end
    for _, value in ipairs(errors) do sum = sum + value end
    table.sort(errors)
    return new_calibrated {mean = sum / n, quantile = resampling.quantile(errors, 0.95), n = n}
end

--- The calibration error that a perfectly calibrated model with the same probabilities would show on as many images:
--- labels are drawn from the probabilities themselves (Bröcker and Smith, Weather and Forecasting 22:651, 2007). What
--- `ece` has beyond that is the model's.
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor only which are NaN counts: those images are left out
---@param n_bins? integer default 15
---@param by? "width"|"mass" as of `ece`
---@param options? {n: integer?, seed: integer?} how many times labels are drawn, default 1000; seed 1
---@return {mean: number, quantile: number, n: integer}? calibrated quantile: what 95 % of the errors stay below
---@return string? message
function metrics.calibrated_ece(scores, labels, n_bins, by, options)
    local kept = samples.sorted(probabilities(scores, labels, "calibrated_ece")) -- the same of any order of images
    local opts = args.with_defaults(options, {n = 1000, seed = 1})
    if kept.n == 0 then return nil, NONE end
    return calibrated_error(kept, math.tointeger(n_bins or BINS), by, opts.n, opts.seed)
end

local new_parts = result_type("Brier score", {"brier", "reliability", "resolution", "uncertainty", "within"})

--- The Brier score in parts: reliability (how far the shares of positives are from the probabilities; less is better) -
--- resolution (how far they are from one another; more is better) + uncertainty (of the labels, whatever the model
--- says) (Murphy, Journal of Applied Meteorology 12:595, 1973). Of bins in which probabilities differ there is a rest,
--- `within` (Stephenson, Coelho and Jolliffe, Weather and Forecasting 23:752, 2008).
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param n_bins? integer default 15
---@param by? "width"|"mass"|"value" as of `ece`; value: a bin for each probability that occurs, as Murphy has it
---@return {brier: number, reliability: number, resolution: number, uncertainty: number, within: number}? parts
---@return string? message
function metrics.brier_decomposition(scores, labels, n_bins, by)
    local kept = probabilities(scores, labels, "brier_decomposition")
    if kept.n == 0 then return nil, NONE end
    local positives, reliability, resolution = 0, 0, 0
    for i = 1, kept.n do positives = positives + kept.labels[i] end
    local share = positives / kept.n
    for _, bin in ipairs((bins_of(kept, math.tointeger(n_bins or BINS), by))) do
        if bin.count > 0 then
            reliability = reliability + bin.count * (bin.confidence - bin.frequency) ^ 2 / kept.n
            resolution = resolution + bin.count * (bin.frequency - share) ^ 2 / kept.n
        end
    end
    local brier, uncertainty = mean(each_loss(kept, "brier")), share * (1 - share)
    return new_parts {
        brier = brier, reliability = reliability, resolution = resolution, uncertainty = uncertainty,
        within = by == "value" and 0.0 or brier - reliability + resolution - uncertainty,
    }
end

local BINNED <const> = samples.ARGUMENTS .. ", n_bins: integer(1..1000000)?, by: "

args.publish("", metrics, {
    brier = samples.ARGUMENTS, log_loss = samples.ARGUMENTS, ece = BINNED .. '"width"|"mass"?',
    calibrated_ece = BINNED .. '"width"|"mass"?, options: {n: integer(1..1000000)?, seed: integer?}?',
    brier_decomposition = BINNED .. '"width"|"mass"|"value"?',
})

return {
    public = metrics, mean = mean, each_loss = each_loss, expected_error = expected_error,
    calibrated_error = calibrated_error, BINS = BINS,
}
