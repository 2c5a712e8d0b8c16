--- How sure an area under the ROC curve is, and the difference of two on the same images, without resampling (DeLong,
--- DeLong and Clarke-Pearson, Biometrics 44:837, 1988; computed from ranks as in Sun and Xu, IEEE Signal Processing
--- Letters 21:1389, 2014).

local args = require "luxel.args"
local core = require "luxel.core"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local metrics = {}

-- The ranks of numbers from 1, those that are the same sharing the middle of theirs.
local function midranks(values)
    local order, ranks = {}, {}
    for i = 1, #values do order[i] = i end
    table.sort(order, function(a, b) return values[a] < values[b] end)
    local first = 1
    while first <= #order do
        local last = first
        while last < #order and values[order[last + 1]] == values[order[first]] do last = last + 1 end
        for k = first, last do ranks[order[k]] = (first + last) / 2 end
        first = last + 1
    end
    return ranks
end

-- For each positive the share of negatives that score below it, and for each negative that of positives above it, ties
-- counting half; and the area, the mean of either.
local function components(scores, labels)
    local positives, negatives = {}, {}
    for i, score in ipairs(scores) do table.insert(labels[i] == 1 and positives or negatives, score) end
    local m, n = #positives, #negatives
    local all = midranks(table.move(negatives, 1, n, m + 1, table.move(positives, 1, m, 1, {})))
    local own, area = midranks(positives), 0
    for i = 1, m do
        own[i] = (all[i] - own[i]) / n
        area = area + own[i] / m
    end
    local other = midranks(negatives)
    for k = 1, n do other[k] = 1 - (all[m + k] - other[k]) / m end
    return own, other, area
end

local function covariance(a, b, mean_a, mean_b)
    local sum = 0
    for i, value in ipairs(a) do sum = sum + (value - mean_a) * (b[i] - mean_b) end
    return sum / (#a - 1)
end

-- How often a normal number is further from 0 than z.
local function tails(z) return core.erfc(math.abs(z) / math.sqrt(2)) end

-- The z of which a share `level` of normal numbers is nearer to 0, by bisection.
local function normal_quantile(level)
    local low, high = 0.0, 40.0
    for _ = 1, 100 do
        local middle = (low + high) / 2
        if 1 - tails(middle) < level then low = middle else high = middle end
    end
    return (low + high) / 2
end

-- Why DeLong's method does not tell, nil if it does.
local function reason(kept)
    local positives = 0
    for i = 1, kept.n do positives = positives + kept.labels[i] end
    if positives < 2 or kept.n - positives < 2 then
        return ("needs two images of each class, has %d positive and %d negative"):format(positives,
            kept.n - positives)
    end
end

local DEFAULTS <const> = {level = 0.95}

local new_interval = result_type("AUC", {"auc", "low", "high", "deviation"}, function(self)
    return ("AUC %.4f  [%.4f, %.4f]"):format(self.auc, self.low, self.high)
end)

local function interval(kept, level)
    local message = reason(kept)
    if message then return nil, message end
    local own, other, area = components(kept.scores, kept.labels)
    local variance = covariance(own, own, area, area) / #own + covariance(other, other, area, area) / #other
    -- of classes that are apart by rank, what is left is rounding
    if variance < 1e-20 then return nil, "the area is 0, a half or 1 without chance: the method cannot tell" end
    local half = normal_quantile(level) * math.sqrt(variance)
    return new_interval {
        auc = area, low = math.max(0, area - half), high = math.min(1, area + half), deviation = math.sqrt(variance),
    }
end

--- The area under the ROC curve with DeLong's interval, cut to 0..1. It takes each image for a patient of its own;
--- where patients have several, `bootstrap` with `groups` is right.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {level: number?} default 0.95
---@return {auc: number, low: number, high: number, deviation: number}? interval
---@return string? message why nil: fewer than two images of a class, or an area of 0 or 1
function metrics.delong(scores, labels, options)
    return interval(samples.of(scores, labels, "delong"), args.with_defaults(options, DEFAULTS).level)
end

local new_test = result_type("DeLong's test", {"auc_a", "auc_b", "difference", "low", "high", "z", "p"}, function(self)
    return ("AUC %.4f and %.4f, difference %.4f [%.4f, %.4f], p %.3g"):format(self.auc_a, self.auc_b, self.difference,
        self.low, self.high, self.p)
end)

--- Whether two scores of the same images differ in their areas under the ROC curve: DeLong's paired test, two-sided. It
--- takes each image for a patient of its own; where patients have several, `paired_bootstrap` with `groups` is right.
---@param scores_a number[]|luxel.Tensor of one model, one for each image, larger for the positive class
---@param scores_b number[]|luxel.Tensor of the other, of the same images in the same order
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {level: number?} of the interval of the difference, default 0.95
---@return {auc_a: number, auc_b: number, difference: number, low: number, high: number, z: number, p: number}? test
---@return string? message why nil: fewer than two images of a class, or both order all pairs alike
function metrics.delong_test(scores_a, scores_b, labels, options)
    local a, b = samples.pair(scores_a, scores_b, labels, "delong_test")
    local message = reason(a)
    if message then return nil, message end
    local own_a, other_a, area_a = components(a.scores, a.labels)
    local own_b, other_b, area_b = components(b.scores, b.labels)
    for i, value in ipairs(own_a) do own_a[i] = value - own_b[i] end
    for k, value in ipairs(other_a) do other_a[k] = value - other_b[k] end
    local difference = area_a - area_b
    local variance = covariance(own_a, own_a, difference, difference) / #own_a
        + covariance(other_a, other_a, difference, difference) / #other_a
    if variance < 1e-20 then return nil, "both scores put the images in one order: the method cannot tell" end
    local deviation = math.sqrt(variance)
    local half = normal_quantile(args.with_defaults(options, DEFAULTS).level) * deviation
    return new_test {
        auc_a = area_a, auc_b = area_b, difference = difference, low = difference - half, high = difference + half,
        z = difference / deviation, p = tails(difference / deviation),
    }
end

args.publish("", metrics, {
    delong = samples.ARGUMENTS .. ", options: {level: level?}?",
    delong_test = "scores_a: tensor|table, scores_b: tensor|table, labels: tensor|table, options: {level: level?}?",
})

return {public = metrics, interval = interval}
