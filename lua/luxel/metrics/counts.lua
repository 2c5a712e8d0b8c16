--- Counts of true and false positives and negatives at a threshold, and the rates that are computed from them.

local args = require "luxel.args"
local samples = require "luxel.metrics.sample"
local result_type = require "luxel.result"

local sample = samples.of

local metrics = {}

args.type("threshold", "a number", "number", function(value) return value == value end) -- infinite ones too

local DEFAULT_THRESHOLD <const> = 0.5

local new_confusion = result_type("confusion", {"tp", "fp", "tn", "fn", "threshold"})

-- Counts of a sample.
local function count(kept, threshold)
    local tp, fp, tn, fn = 0, 0, 0, 0
    local scores, labels = kept.scores, kept.labels
    for i = 1, kept.n do
        if scores[i] >= threshold then
            if labels[i] == 1 then tp = tp + 1 else fp = fp + 1 end
        else
            if labels[i] == 1 then fn = fn + 1 else tn = tn + 1 end
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

-- The rates, each from the four counts; some also at a prevalence other than that of the images.
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

-- Sensitivity and specificity, or nil and why.
local function both(c)
    local sensitivity, message = rates.sensitivity(c)
    if not sensitivity then return nil, message end
    local specificity
    specificity, message = rates.specificity(c)
    if not specificity then return nil, message end
    return sensitivity, specificity
end

function rates.precision(c, prevalence)
    if not prevalence then return ratio(c.tp, c.tp + c.fp, "no image is called positive") end
    local sensitivity, specificity = both(c)
    if not sensitivity then return nil, specificity end
    local hits, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return ratio(hits, hits + alarms, "no image is called positive")
end

function rates.npv(c, prevalence)
    if not prevalence then return ratio(c.tn, c.tn + c.fn, "no image is called negative") end
    local sensitivity, specificity = both(c)
    if not sensitivity then return nil, specificity end
    local clear, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return ratio(clear, clear + missed, "no image is called negative")
end

function rates.f1(c)
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, "no image is positive or called positive")
end

function rates.balanced_accuracy(c)
    local sensitivity, specificity = both(c)
    if not sensitivity then return nil, specificity end
    return (sensitivity + specificity) / 2
end

function rates.mcc(c)
    local tp, fp, tn, fn = c.tp + 0.0, c.fp + 0.0, c.tn + 0.0, c.fn + 0.0
    return ratio(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
        "all images are of one class, or called to be")
end

function rates.kappa(c)
    local tp, fp, tn, fn = c.tp + 0.0, c.fp + 0.0, c.tn + 0.0, c.fn + 0.0
    return ratio(2 * (tp * tn - fp * fn), (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn),
        "all images are of one class and called to be")
end

function rates.net_benefit(c, prevalence)
    if c.threshold == 1 then return nil, "at a threshold of 1 a false alarm weighs infinitely much" end
    local odds, n = c.threshold / (1 - c.threshold), c.tp + c.fp + c.tn + c.fn
    if not prevalence then return ratio(c.tp - odds * c.fp, n, "no labelled image") end
    local sensitivity, specificity = both(c)
    if not sensitivity then return nil, specificity end
    return sensitivity * prevalence - odds * (1 - specificity) * (1 - prevalence)
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

-- Figures of many classes, from images by true class (rows) and called class (columns).
local of_matrix = {}

-- Images of each true class, of each called one, on the diagonal, and all.
local function margins(matrix)
    local rows, columns, right, all = {}, {}, 0, 0
    for i, row in ipairs(matrix) do
        for k, images in ipairs(row) do
            rows[i], columns[k] = (rows[i] or 0) + images, (columns[k] or 0) + images
            right, all = right + (i == k and images or 0), all + images
        end
    end
    return rows, columns, right + 0.0, all + 0.0
end

local function product(a, b)
    local sum = 0.0
    for k, value in ipairs(a) do sum = sum + value * b[k] end
    return sum
end

function of_matrix.accuracy(matrix)
    local _, _, right, all = margins(matrix)
    return ratio(right, all, "no labelled image")
end

function of_matrix.balanced_accuracy(matrix)
    local rows, sum = margins(matrix), 0
    for k, images in ipairs(rows) do
        if images == 0 then return nil, ("no image of class %d"):format(k - 1) end
        sum = sum + matrix[k][k] / images
    end
    return sum / #rows
end

function of_matrix.mcc(matrix)
    local rows, columns, right, all = margins(matrix)
    return ratio(right * all - product(rows, columns),
        math.sqrt((all * all - product(columns, columns)) * (all * all - product(rows, rows))),
        "all images are of one class, or called to be")
end

function of_matrix.kappa(matrix)
    local rows, columns, right, all = margins(matrix)
    local chance = product(rows, columns)
    return ratio(right * all - chance, all * all - chance, "all images are of one class and called to be")
end

-- A confusion matrix is a table of rows, all as long as there are rows.
local function check_matrix(matrix, where)
    for i, row in ipairs(matrix) do
        if type(row) ~= "table" or #row ~= #matrix or args.mistake_in("", "number(0..)[]", row) then
            args.fail("%s: expected a matrix of counts, as many in each row as there are rows, got %s at place %d",
                where, args.describe(row), i)
        end
    end
    return matrix
end

-- The functions that count images at a threshold.
local is_rate = {}

-- `metrics.NAME(scores, labels, threshold, prevalence)`, or of counts that one has already: `metrics.NAME(confusion)`,
-- with a matrix of many classes where that is known.
local function rate(name)
    return function(scores, labels, threshold, prevalence)
        local c = scores
        if labels ~= nil then
            c = count(sample(scores, labels, name), threshold or DEFAULT_THRESHOLD)
        elseif of_matrix[name] and type(scores) == "table" and type(scores[1]) == "table" then
            return of_matrix[name](check_matrix(scores, name .. ": scores"))
        else
            args.check(name .. ": scores", CONFUSION, scores)
        end
        return rates[name](c, prevalence)
    end
end

--- The share of images that are called right.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many
---  classes: rows are true, columns called classes
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

--- The share of the images called positive that are (positive predictive value), among these images or, by Bayes'
--- theorem, where a share `prevalence` is positive (Altman and Bland, BMJ 309:102, 1994).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@param prevalence? number default that of the images
---@return number? share, string? message nil where there is nothing to divide by
metrics.precision = rate "precision"

--- The share of the images called negative that are (negative predictive value), among these images or where a share
--- `prevalence` is positive, as of `precision`.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@param prevalence? number default that of the images
---@return number? share, string? message nil where there is nothing to divide by
metrics.npv = rate "npv"

--- The harmonic mean of precision and sensitivity.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where there is nothing to divide by
metrics.f1 = rate "f1"

--- The mean of sensitivity and specificity; of many classes the mean of their sensitivities (Brodersen, Ong, Stephan
--- and Buhmann, ICPR 2010).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many
---  classes: rows are true, columns called classes
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? share, string? message nil where a class has no image
metrics.balanced_accuracy = rate "balanced_accuracy"

--- Matthews' correlation of what is and what is called, from -1 to 1 (Matthews, BBA 405:442, 1975; of many classes
--- Gorodkin, Computational Biology and Chemistry 28:367, 2004).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many
---  classes: rows are true, columns called classes
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? mcc, string? message nil where all images are of one class, or called to be
metrics.mcc = rate "mcc"

--- Cohen's kappa: how much of the agreement between what is and what is called is not by chance, up to 1 (Cohen,
--- Educational and Psychological Measurement 20:37, 1960).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many
---  classes: rows are true, columns called classes
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number default 0.5
---@return number? kappa, string? message nil where all images are of one class and called to be
metrics.kappa = rate "kappa"

--- What calling at a probability is worth: found positives in each image, less false alarms at the odds of the
--- threshold, which says how many false alarms one miss weighs (Vickers and Elkin, Medical Decision Making 26:565,
--- 2006). Beside it stand calling nobody, 0, and everybody: `decision_curve` has all.
---@param scores number[]|luxel.Tensor calibrated probabilities, or what `confusion` gave
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number from 0 to 1, default 0.5
---@param prevalence? number default that of the images
---@return number? net_benefit, string? message nil where there is nothing to divide by, or the threshold is 1
function metrics.net_benefit(scores, labels, threshold, prevalence)
    if labels == nil then args.check("net_benefit: scores", CONFUSION, scores) end
    local at = labels ~= nil and (threshold or DEFAULT_THRESHOLD) or scores.threshold
    if not at or at < 0 or at > 1 then
        args.fail("net_benefit: threshold: expected a probability from 0 to 1, got %s", tostring(at))
    end
    if labels == nil then return rates.net_benefit(scores, prevalence) end
    local kept = sample(scores, labels, "net_benefit")
    samples.check_probabilities(kept, "net_benefit")
    return rates.net_benefit(count(kept, at), prevalence)
end

local PREVALENCE <const> = ", prevalence: number(0..1)?"

args.publish("", metrics, {
    confusion = samples.ARGUMENTS .. ", threshold: threshold?", accuracy = RATE, sensitivity = RATE,
    specificity = RATE, precision = RATE .. PREVALENCE, npv = RATE .. PREVALENCE, f1 = RATE, balanced_accuracy = RATE,
    mcc = RATE, kappa = RATE, net_benefit = RATE .. PREVALENCE,
})

for name, f in pairs(metrics) do is_rate[f] = rates[name] and name end

return {
    public = metrics, of = count, rates = rates, of_matrix = of_matrix, is_rate = is_rate,
    DEFAULT_THRESHOLD = DEFAULT_THRESHOLD,
    -- those of reports, in their order
    RATES = {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "mcc"},
}
