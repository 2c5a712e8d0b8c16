--- How good a classifier is: confusion counts, rates, ROC, calibration, and how sure we may be of them.
--
-- Everything takes `scores` (the higher, the more likely positive) and `labels` (1 positive, 0 negative, NaN missing:
-- left out), as arrays of numbers or as tensors. An image counts as positive where score >= threshold.
-- What is not defined (a sensitivity without positives) is `nil, message`, never a number.

local args = require "luxel.args"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
local random = require "luxel.random"
local record = require "luxel.record"

local metrics = {}

-- The only number of a row of one.
local function only(row, where, place)
    if #row ~= 1 then
        args.fail("%s: expected one number for each image, got %d at place %d; metrics.report takes the scores of "
            .. "several "
            .. "classes or labels", where, #row, place)
    end
    return row[1]
end

-- One number for each image, of a list, of a tensor [N] or [N,1], or of lists of one.
local function numbers(value, where)
    if type(value) == "userdata" then
        if value.ndim == 0 then return {value:item()} end
        value = value:totable()
    elseif #value == 0 and next(value) ~= nil then
        args.fail("%s: expected a list of numbers or a tensor, got a table with the name '%s'", where,
            tostring(next(value)))
    end
    local out = {}
    for i = 1, #value do
        local item = value[i]
        while type(item) == "table" do item = only(item, where, i) end
        if type(item) ~= "number" then args.fail("%s: expected numbers, got %s at place %d", where, args.describe(
            item), i) end
        out[i] = item
    end
    return out
end

-- The labelled images of (scores, labels): two arrays without the missing ones, and where each came from.
local function sample(scores, labels, caller)
    scores, labels = numbers(scores, caller .. ": scores"), numbers(labels, caller .. ": labels")
    if #scores ~= #labels then
        args.fail("%s: labels: expected one for each of the %d scores, got %d", caller, #scores, #labels)
    end
    local kept = {scores = {}, labels = {}, source = {}, n = 0, missing = 0}
    for i = 1, #labels do
        local score, label = scores[i], labels[i]
        if label ~= label then
            kept.missing = kept.missing + 1
        elseif label ~= 0 and label ~= 1 then
            args.fail("%s: labels: expected 0, 1 or NaN (missing), got %s at place %d", caller, args.describe(label), i)
        elseif score ~= score then
            args.fail("%s: scores: expected numbers, got nan at place %d", caller, i)
        else
            local n = kept.n + 1
            kept.n, kept.scores[n], kept.labels[n], kept.source[n] = n, score, label, i
        end
    end
    return kept
end

-- Orders a sample by ascending score, once, so that each resample of it costs no sort.
local function sorted(kept)
    local order = {}
    for i = 1, kept.n do
        order[i] = i
    end
    local by = kept.scores
    table.sort(order, function(a, b)
        if by[a] ~= by[b] then
            return by[a] < by[b]
        end
        return a < b
    end)
    local out = {scores = {}, labels = {}, source = {}, n = kept.n, missing = kept.missing}
    for i, from in ipairs(order) do
        out.scores[i], out.labels[i], out.source[i] = by[from], kept.labels[from], kept.source[from]
    end
    return out
end

args.type("threshold", "a number", "number", function(value) return value == value end) -- infinite ones too

local DEFAULT_THRESHOLD <const> = 0.5

local new_confusion = record("confusion", {"tp", "fp", "tn", "fn", "threshold"})

-- Counts of a sample; `weights` tells how often each image occurs in a resample.
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

--- The area under the ROC curve (Hanley and McNeil 1982), ties counting half.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? auc, string? message nil where a class is absent
function metrics.auc(scores, labels)
    return area(sorted(sample(scores, labels, "auc")))
end

local new_points = record("ROC curve", {}, function(points)
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
    local total = count(ordered, -math.huge)
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

-- The thresholds that tell the points of a ROC curve apart, with the rates at each.
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

local new_point = record("operating point", {"sensitivity", "specificity"})

--- The threshold of the largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950). Of equally good ones the
--- most sensitive.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? threshold, {sensitivity: number, specificity: number}|string point what it gives here, or why nil
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
---@return number? threshold, {sensitivity: number, specificity: number}|string point what it gives here, or why nil
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

local function check_probabilities(kept, caller)
    for i = 1, kept.n do
        if kept.scores[i] < 0 or kept.scores[i] > 1 then
            args.fail("%s: scores: expected probabilities from 0 to 1, got %g at place %d (apply a sigmoid to logits "
                .. "first)", caller, kept.scores[i], kept.source[i])
        end
    end
end

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

local new_bins = record("reliability", {}, function(bins)
    local lines = {"  probability      images  mean    positives"}
    for _, bin in ipairs(bins) do
        if bin.count > 0 then
            lines[#lines + 1] = ("  %.4f - %.4f %6d  %.4f  %.4f"):format(bin.low, bin.high, bin.count, bin.confidence,
                bin.frequency)
        end
    end
    return table.concat(lines, "\n")
end)

local function calibration(kept, n_bins)
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
    return calibration(kept, math.tointeger(n_bins or 15))
end

-- Images of each patient: arrays of positions in the sample. Without groups, each image is its own.
local function units(kept, groups, caller)
    if not groups then
        local singles = {}
        for i = 1, kept.n do
            singles[i] = {i}
        end
        return singles
    end
    local list, seen = {}, {}
    for i = 1, kept.n do
        local name = groups[kept.source[i]]
        if name == nil then
            args.fail("%s: options: option 'groups': there is none for image %d", caller, kept.source[i])
        end
        if not seen[name] then
            seen[name] = {}
            list[#list + 1] = seen[name]
        end
        table.insert(seen[name], i)
    end
    return list
end

args.type("level", "a number between 0 and 1", "number", function(value) return value > 0 and value < 1 end)

local RESAMPLES <const> = {n = 1000, level = 0.95, seed = 1}

-- The units, of which there have to be enough.
local function resampled_units(kept, groups, caller)
    local list = units(kept, groups, caller)
    local total = count(kept, -math.huge)
    if total.tp == 0 or total.fp == 0 then
        return nil, ("needs both classes, has %d positive and %d negative"):format(total.tp, total.fp)
    end
    if #list < 2 then
        return nil, "needs at least two patients"
    end
    return list
end

-- Draws `n` resamples with replacement of whole patients and hands the weights of the images to `use`. A resample
-- without one of the classes is drawn again, as rates and areas are not defined on it.
local function resample(kept, groups, n, seed, caller, use)
    local list, message = resampled_units(kept, groups, caller)
    if not list then return nil, message end
    local labels, stream = kept.labels, random.stream(seed)
    local done, tries = 0, 0
    while done < n do
        tries = tries + 1
        if tries > 100 * n then
            return nil, "too few patients: most resamples miss a class"
        end
        local weights, positives, drawn = {}, 0, 0
        for i = 1, kept.n do
            weights[i] = 0
        end
        for _ = 1, #list do
            local unit = list[stream:integer(#list)]
            for k = 1, #unit do
                local i = unit[k]
                weights[i] = weights[i] + 1
                positives = positives + labels[i]
                drawn = drawn + 1
            end
        end
        if positives > 0 and positives < drawn then
            done = done + 1
            use(weights)
        end
    end
    return #list
end

-- The same resamples as `resample` draws, by C: `use` gets the counts and the area of each.
local function resample_counts(kept, groups, threshold, n, seed, caller, use)
    local list, message = resampled_units(kept, groups, caller)
    if not list then return nil, message end
    local state, tries, done = random.stream(seed).state, 100 * n, 0
    while done < n do
        local found
        state, tries, found = core.resample(kept.scores, kept.labels, list, threshold, state, math.min(100, n - done),
            tries)
        for i = 1, #found, 5 do
            use({tp = found[i], fp = found[i + 1], tn = found[i + 2], fn = found[i + 3]}, found[i + 4])
            done = done + 1
        end
        if tries == 0 and done < n then return nil, "too few patients: most resamples miss a class" end
    end
    return #list
end

-- The value below which the share `q` of the ascending `values` lies, linear in between.
local function quantile(values, q)
    local at = 1 + (#values - 1) * q
    local below = math.floor(at)
    local above = math.min(below + 1, #values)
    return values[below] + (values[above] - values[below]) * (at - below)
end

-- The percentile interval (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13), of the
-- resamples where the figure is defined, unless that is fewer than half.
local function percentile(values, n, level)
    if #values * 2 < n then
        return nil, "not defined on most resamples"
    end
    table.sort(values)
    return quantile(values, (1 - level) / 2), quantile(values, (1 + level) / 2)
end

--- A confidence interval by the percentile bootstrap (Efron, Annals of Statistics 7:1, 1979): of patients where
--- `options.groups` tells each image's patient (images of one patient are not independent), else of images.
---@param fn fun(scores: number[], labels: number[]): number? the figure; `metrics.auc` costs no sort a resample
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: any[], n?: integer, seed?: integer, level?: number} 1000 resamples, seed 1, level 0.95
---@return number? low, number|string high nil and why where it is not defined (one class, one patient)
function metrics.bootstrap(fn, scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local kept = sorted(sample(scores, labels, "bootstrap"))
    local values = {}
    if fn == metrics.auc then
        local drawn, message = resample_counts(kept, opts.groups, 0, opts.n, opts.seed, "bootstrap", function(_, auc)
            values[#values + 1] = auc
        end)
        if not drawn then return nil, message end
        return percentile(values, opts.n, opts.level)
    end
    local drawn, message = resample(kept, opts.groups, opts.n, opts.seed, "bootstrap", function(weights)
        local picked, truth = {}, {}
        for i = 1, kept.n do
            for _ = 1, weights[i] do
                picked[#picked + 1], truth[#truth + 1] = kept.scores[i], kept.labels[i]
            end
        end
        local value = fn(picked, truth)
        args.check("bootstrap: fn: its result", "number?", value)
        if value and value == value then
            values[#values + 1] = value
        end
    end)
    if not drawn then
        return nil, message
    end
    return percentile(values, opts.n, opts.level)
end

local RATES <const> = {"accuracy", "sensitivity", "specificity", "precision", "npv", "f1"}

-- What `report` gives intervals for.
local RESAMPLED <const> = {auc = true}
for _, name in ipairs(RATES) do
    RESAMPLED[name] = true
end

-- Intervals of the rates and the area, all from the same resamples. Where every resample gives the same (nobody was
-- wrong, say), resampling cannot tell how sure the figure is: no interval then, rather than one of width 0.
local function intervals(kept, groups, threshold, n, level, seed)
    local values = {auc = {}}
    for _, name in ipairs(RATES) do
        values[name] = {}
    end
    local drawn, message = resample_counts(kept, groups, threshold, n, seed, "report", function(c, auc)
        for _, name in ipairs(RATES) do
            table.insert(values[name], (rates[name](c)))
        end
        table.insert(values.auc, auc)
    end)
    local out = {}
    if drawn then
        for name, list in pairs(values) do
            local low, high = percentile(list, n, level)
            out[name] = low and low < high and {low, high} or nil
        end
    end
    return out, drawn, message
end

---@class luxel.Report
---@field n integer labelled images
---@field missing integer images without a label
---@field positives integer
---@field negatives integer
---@field threshold number
---@field confusion luxel.Confusion
---@field accuracy number?
---@field sensitivity number?
---@field specificity number?
---@field precision number?
---@field npv number?
---@field f1 number?
---@field auc number?
---@field brier number? nil too where the scores are not probabilities
---@field ece number?
---@field reliability table[]? the bins of `metrics.ece`
---@field intervals table<string, number[]> {low, high} by the names above; nil where all resamples agree
---@field bootstrap table {n, seed, level, unit = "patient" or "image", units, message?}

local Report = namespace.class("Report", {}, {"accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "auc",
    "brier", "ece", "reliability"})

args.type("report", "a report of lx.metrics.report", "table", function(value) return getmetatable(value) == Report end)

-- Whether there is more than one number for each image.
local function has_several(scores)
    if type(scores) == "userdata" then return scores.ndim == 2 and scores.shape[2] > 1 end
    return type(scores[1]) == "table" and #scores[1] > 1
end

--- An interval of the share of images for which something is so, of the resamples of `report`.
---@param flags integer[] 1 or 0 of each image
---@param groups? any[]|false the patient of each
---@param options? {n?: integer, seed?: integer, level?: number} as of `report`
---@return number? low, number|string high
function metrics.share_interval(flags, groups, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local kept = sorted(sample(flags, flags, "share_interval"))
    local values = {}
    local drawn, message = resample_counts(kept, groups, 0.5, opts.n, opts.seed, "share_interval", function(c)
        values[#values + 1] = (c.tp + c.fn) / (c.tp + c.fp + c.tn + c.fn)
    end)
    if not drawn then return nil, message end
    return percentile(values, opts.n, opts.level)
end

--- All figures of one evaluation, with intervals of the rates and the area. Rows of scores with one class number for
--- each image (from 0) give a report of many classes; rows with rows of labels one of several labels.
---@param scores number[]|number[][]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|number[][]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {threshold?: number|number[], groups?: any[]|false, n?: integer, seed?: integer, level?: number,
---  classes: string[]?} threshold: of several labels one for each, or for all; classes: names of classes or labels
---@return luxel.Report|luxel.ClassesReport|luxel.LabelsReport
function metrics.report(scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    if has_several(scores) then return require("luxel.metrics.several").report(metrics, scores, labels, opts) end
    local n, level, seed, threshold = opts.n, opts.level, opts.seed, opts.threshold or DEFAULT_THRESHOLD
    if type(threshold) == "table" then
        args.fail("report: options: option 'threshold': there is one score for each image, and so one threshold, "
            .. "not %d", #threshold)
    end
    local kept = sorted(sample(scores, labels, "report"))
    local c = count(kept, threshold)
    local report = setmetatable({
        n = kept.n, missing = kept.missing, positives = c.tp + c.fn, negatives = c.tn + c.fp,
        threshold = threshold, confusion = c, auc = (area(kept)),
    }, Report)
    for _, name in ipairs(RATES) do
        report[name] = rates[name](c)
    end
    local first, last = kept.scores[1], kept.scores[kept.n]
    if kept.n > 0 and first >= 0 and last <= 1 then
        report.brier = mean_square(kept)
        report.ece, report.reliability = calibration(kept, 15)
    end
    local drawn, message
    report.intervals, drawn, message = intervals(kept, opts.groups, threshold, n, level, seed)
    report.bootstrap = {
        n = n, seed = seed, level = level, unit = opts.groups and "patient" or "image",
        units = drawn, message = message,
    }
    return report
end

local function percent(value)
    return value and ("%.1f%%"):format(100 * value) or "n/a"
end

local function decimal(value)
    return value and ("%.4f"):format(value) or "n/a"
end

local function line_of(report, name, title, form)
    local interval = report.intervals[name]
    local range = interval and ("  [%s, %s]"):format(form(interval[1]), form(interval[2]))
        or report[name] and report.bootstrap.units and RESAMPLED[name] and "  [no interval: all resamples agree]" or ""
    return ("  %-13s %8s%s"):format(title, form(report[name]), range)
end

--- The report as text for a terminal.
---@param report luxel.Report
---@param class_names? string[] negative and positive, default {"negative", "positive"}
---@return string
function metrics.format_report(report, class_names)
    if class_names and #class_names ~= 2 then
        args.fail("format_report: class_names: expected two, negative and positive, got %d", #class_names)
    end
    local negative, positive = table.unpack(class_names or {"negative", "positive"})
    local c = report.confusion
    local width = math.max(#negative, #positive, 6)
    local row = ("  %%-%ds  %%%ds  %%%ds"):format(width + 5, width, width)
    local lines = {
        ("%d images: %d %s, %d %s%s"):format(report.n, report.negatives, negative, report.positives, positive,
            report.missing > 0 and (", %d without a label left out"):format(report.missing) or ""),
        ("%s where the score is at least %.4f"):format(positive, report.threshold),
        "",
        row:format("", "called", "called"),
        row:format("", negative, positive),
        row:format("true " .. negative, c.tn, c.fp),
        row:format("true " .. positive, c.fn, c.tp),
        "",
        line_of(report, "accuracy", "accuracy", percent),
        line_of(report, "sensitivity", "sensitivity", percent),
        line_of(report, "specificity", "specificity", percent),
        line_of(report, "precision", "precision", percent),
        line_of(report, "npv", "npv", percent),
        line_of(report, "f1", "F1", percent),
        line_of(report, "auc", "AUC", decimal),
        line_of(report, "brier", "Brier score", decimal),
        line_of(report, "ece", "calib. error", decimal),
        "",
    }
    local b = report.bootstrap
    lines[#lines + 1] = b.units
        and ("  [%g%% intervals: %d resamples of %d %ss]"):format(100 * b.level, b.n, b.units, b.unit)
        or ("  [no intervals: %s]"):format(b.message)
    if report.n > 0 and not report.brier then
        lines[#lines + 1] = ("  [some scores are not from 0 to 1 and so no probabilities; they are compared with %.4f "
            .. "as they are]"):format(report.threshold)
    end
    return table.concat(lines, "\n")
end

function Report:__tostring() return metrics.format_report(self) end

local SAMPLE <const> = "scores: tensor|table, labels: tensor|table"
local RATE <const> = "scores: tensor|table, labels: tensor|table?, threshold: threshold?"
local BOOTSTRAP <const> = "n: integer(1..1000000)?, seed: integer?, level: level?"

return namespace("lx.metrics", args.publish("", metrics, {
    confusion = SAMPLE .. ", threshold: threshold?", accuracy = RATE, sensitivity = RATE, specificity = RATE,
    precision = RATE, npv = RATE, f1 = RATE, auc = SAMPLE, roc = SAMPLE, youden = SAMPLE, brier = SAMPLE,
    threshold_at_sensitivity = SAMPLE .. ", sensitivity: number(0..1)",
    ece = SAMPLE .. ", n_bins: integer(1..1000000)?",
    bootstrap = "fn: function, " .. SAMPLE .. ", options: {groups: any[]?, " .. BOOTSTRAP .. "}?",
    report = SAMPLE .. ", options: {threshold: threshold|number[]?, groups: any[]|false?, classes: text[]?, "
        .. BOOTSTRAP .. "}?",
    share_interval = "flags: integer(0..1)[], groups: any[]|false?, options: {" .. BOOTSTRAP .. "}?",
    format_report = "report: report, class_names: string[]?",
}))
