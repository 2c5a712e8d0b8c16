--- How good a classifier is: confusion counts, rates, ROC, calibration, and how sure we may be of them.
--
-- Everything takes `scores` (the higher, the more likely positive) and `labels` (1 positive, 0 negative, NaN missing:
-- left out), as arrays of numbers or as tensors. An image counts as positive where score >= threshold.
-- What is not defined (a sensitivity without positives) is `nil, message`, never a number.

local random = require "luxel.random"

local metrics = {}

-- Nested arrays and tensors to one flat array.
local function flatten(value, out)
    for i = 1, #value do
        local item = value[i]
        if type(item) == "table" then
            flatten(item, out)
        else
            out[#out + 1] = item
        end
    end
    return out
end

local function numbers(value, caller, name)
    if type(value) == "userdata" then
        value = value:totable()
    end
    if type(value) == "number" then
        return {value}
    elseif type(value) ~= "table" then
        error(("%s: %s expects an array of numbers or a tensor, got %s"):format(caller, name, type(value)), 4)
    end
    return flatten(value, {})
end

-- The labelled images of (scores, labels): two arrays without the missing ones, and where each came from.
local function sample(scores, labels, caller)
    scores, labels = numbers(scores, caller, "scores"), numbers(labels, caller, "labels")
    if #scores ~= #labels then
        error(("%s: %d scores, but %d labels"):format(caller, #scores, #labels), 3)
    end
    local kept = {scores = {}, labels = {}, source = {}, n = 0, missing = 0}
    for i = 1, #labels do
        local score, label = scores[i], labels[i]
        if label ~= label then
            kept.missing = kept.missing + 1
        elseif label ~= 0 and label ~= 1 then
            error(("%s: labels[%d] is %s, expects 0, 1 or NaN (missing)"):format(caller, i, tostring(label)), 3)
        elseif type(score) ~= "number" or score ~= score then
            error(("%s: scores[%d] is %s, expects a number"):format(caller, i, tostring(score)), 3)
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

local function check_threshold(threshold, caller)
    if threshold ~= nil and type(threshold) ~= "number" then
        error(("%s: threshold expects a number, got %s"):format(caller, type(threshold)), 3)
    end
    return threshold or 0.5
end

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
    return {tp = tp, fp = fp, tn = tn, fn = fn, threshold = threshold}
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
    threshold = check_threshold(threshold, "confusion")
    return count(sample(scores, labels, "confusion"), threshold)
end

-- `metrics.NAME(scores, labels, threshold)`, or of counts that one has already: `metrics.NAME(confusion)`.
local function rate(name)
    return function(scores, labels, threshold)
        if labels == nil and type(scores) == "table" and scores.tp then
            return rates[name](scores)
        end
        threshold = check_threshold(threshold, name)
        return rates[name](count(sample(scores, labels, name), threshold))
    end
end

--- The share of images that are called right.
metrics.accuracy = rate "accuracy"
--- The share of the positive images that are called positive (recall, true positive rate).
metrics.sensitivity = rate "sensitivity"
--- The share of the negative images that are called negative (true negative rate).
metrics.specificity = rate "specificity"
--- The share of the images called positive that are (positive predictive value).
metrics.precision = rate "precision"
--- The share of the images called negative that are (negative predictive value).
metrics.npv = rate "npv"
--- The harmonic mean of precision and sensitivity.
metrics.f1 = rate "f1"

--- The area under the ROC curve (Hanley and McNeil 1982), ties counting half.
---@return number? auc, string? message nil where a class is absent
function metrics.auc(scores, labels)
    return area(sorted(sample(scores, labels, "auc")))
end

--- The ROC curve, from (0, 0) to (1, 1), one point for each distinct score.
---@return {fpr: number, tpr: number, threshold: number}[]? points, string? message
function metrics.roc(scores, labels)
    local ordered = sorted(sample(scores, labels, "roc"))
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
    return points
end

-- Half-way from a score to the next lower one: a new image that scores a little below the last one taken in is then
-- still treated like it. The score itself where there is no number in between.
local function threshold_between(score, below)
    local middle = score + (below - score) / 2
    return middle > below and middle <= score and middle or score
end

-- The thresholds that tell the points of a ROC curve apart, with the rates at each.
local function operating_points(scores, labels)
    local points, message = metrics.roc(scores, labels)
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

--- The threshold of the largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950). Of equally good ones the
--- most sensitive.
---@return number? threshold, {sensitivity: number, specificity: number}|string point what it gives here, or why nil
function metrics.youden(scores, labels)
    local points, message = operating_points(scores, labels)
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
    return best.threshold, {sensitivity = best.sensitivity, specificity = best.specificity}
end

--- The highest threshold whose sensitivity is at least `sensitivity` (0..1).
---@return number? threshold, {sensitivity: number, specificity: number}|string point what it gives here, or why nil
function metrics.threshold_at_sensitivity(scores, labels, sensitivity)
    if type(sensitivity) ~= "number" or not (sensitivity > 0 and sensitivity <= 1) then
        error("threshold_at_sensitivity: sensitivity expects a number above 0 and up to 1, got "
            .. tostring(sensitivity), 2)
    end
    local points, message = operating_points(scores, labels)
    if not points then
        return nil, message
    end
    for _, point in ipairs(points) do
        if point.sensitivity >= sensitivity - 1e-12 then
            return point.threshold, {sensitivity = point.sensitivity, specificity = point.specificity}
        end
    end
    error "unreachable: the last point calls everything positive"
end

local function check_probabilities(kept, caller)
    for i = 1, kept.n do
        if kept.scores[i] < 0 or kept.scores[i] > 1 then
            error(("%s: scores[%d] is %g, expects probabilities (apply sigmoid first)"):format(
                caller, kept.source[i], kept.scores[i]), 3)
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
---@return number? brier, string? message
function metrics.brier(scores, labels)
    local kept = sample(scores, labels, "brier")
    check_probabilities(kept, "brier")
    return mean_square(kept)
end

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
    return error_sum / kept.n, bins
end

--- The expected calibration error over equal-width bins (low, high] of the probability of the positive class (Guo et
--- al., "On calibration of modern neural networks", ICML 2017, who bin the probability of the predicted class
--- instead), and the bins, which draw the reliability diagram: mean probability (`confidence`) against the share of
--- positives (`frequency`), both nil in an empty bin.
---@param n_bins? integer default 15
---@return number? ece, table[]|string bins {low, high, count, confidence?, frequency?} each, or why nil
function metrics.ece(scores, labels, n_bins)
    n_bins = n_bins or 15
    if math.type(n_bins) ~= "integer" or n_bins < 1 then
        error("ece: n_bins expects a positive integer, got " .. tostring(n_bins), 2)
    end
    local kept = sample(scores, labels, "ece")
    check_probabilities(kept, "ece")
    return calibration(kept, n_bins)
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
            error(("%s: groups has no entry for image %d"):format(caller, kept.source[i]), 4)
        end
        if not seen[name] then
            seen[name] = {}
            list[#list + 1] = seen[name]
        end
        table.insert(seen[name], i)
    end
    return list
end

local function check_bootstrap(opts, caller)
    opts = opts or {}
    local n, level = opts.n or 1000, opts.level or 0.95
    if math.type(n) ~= "integer" or n < 1 then
        error(("%s: n expects a positive integer, got %s"):format(caller, tostring(n)), 3)
    end
    if type(level) ~= "number" or level <= 0 or level >= 1 then
        error(("%s: level expects a number between 0 and 1, got %s"):format(caller, tostring(level)), 3)
    end
    return n, level, opts.seed or 1
end

-- Draws `n` resamples with replacement of whole patients and hands the weights of the images to `use`. A resample
-- without one of the classes is drawn again, as rates and areas are not defined on it.
local function resample(kept, groups, n, seed, caller, use)
    local list = units(kept, groups, caller)
    local total = count(kept, -math.huge)
    if total.tp == 0 or total.fp == 0 then
        return nil, ("needs both classes, has %d positive and %d negative"):format(total.tp, total.fp)
    end
    if #list < 2 then
        return nil, "needs at least two patients"
    end
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
--- `opts.groups` tells each image's patient (images of one patient are not independent), else of images.
---@param fn fun(scores: number[], labels: number[]): number? the figure; `metrics.auc` costs no sort a resample
---@param opts? {groups?: any[], n?: integer, seed?: integer, level?: number} 1000 resamples, seed 1, level 0.95
---@return number? low, number|string high nil and why where it is not defined (one class, one patient)
function metrics.bootstrap(fn, scores, labels, opts)
    local n, level, seed = check_bootstrap(opts, "bootstrap")
    local kept = sorted(sample(scores, labels, "bootstrap"))
    local values = {}
    local drawn, message = resample(kept, opts and opts.groups, n, seed, "bootstrap", function(weights)
        if fn == metrics.auc then
            values[#values + 1] = area(kept, weights)
            return
        end
        local picked, truth = {}, {}
        for i = 1, kept.n do
            for _ = 1, weights[i] do
                picked[#picked + 1], truth[#truth + 1] = kept.scores[i], kept.labels[i]
            end
        end
        local value = fn(picked, truth)
        if value and value == value then
            values[#values + 1] = value
        end
    end)
    if not drawn then
        return nil, message
    end
    return percentile(values, n, level)
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
    local drawn, message = resample(kept, groups, n, seed, "report", function(weights)
        local c = count(kept, threshold, weights)
        for _, name in ipairs(RATES) do
            table.insert(values[name], (rates[name](c)))
        end
        table.insert(values.auc, (area(kept, weights)))
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

--- All figures of one evaluation, with intervals of the rates and the area.
---@param opts? {threshold?: number, groups?: any[]|false, n?: integer, seed?: integer, level?: number}
---@return luxel.Report
function metrics.report(scores, labels, opts)
    opts = opts or {}
    local n, level, seed = check_bootstrap(opts, "report")
    local threshold = check_threshold(opts.threshold, "report")
    local kept = sorted(sample(scores, labels, "report"))
    local c = count(kept, threshold)
    local report = {
        n = kept.n, missing = kept.missing, positives = c.tp + c.fn, negatives = c.tn + c.fp,
        threshold = threshold, confusion = c, auc = (area(kept)),
    }
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
    return table.concat(lines, "\n")
end

return metrics
