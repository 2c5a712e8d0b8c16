--- Reports of many classes, of which an image has one, and of several labels that do not exclude each other: a report
--- of two for each of them, and what they come to together.

local args = require "luxel.args"
local binary = require "luxel.metrics.binary"
local calibration = require "luxel.metrics.calibration"
local intervals = require "luxel.metrics.intervals"
local namespace = require "luxel.namespace"
local text = require "luxel.metrics.text"

local several = {}

---@class luxel.ClassesReport
---@field task "classes"
---@field n integer labelled images
---@field missing integer images without a label
---@field classes string[]
---@field confusion integer[][] images: rows are true classes, columns the called ones (those of the largest
---  probability)
---@field accuracy number?
---@field intervals {accuracy: number[]?} {low, high}
---@field each luxel.Report[] of each class against all others: the area by its probability, the rates by what was
---  called
---@field macro_auc number? mean of the areas that are defined
---@field macro_sensitivity number? mean of the sensitivities, the balanced accuracy
---@field brier number? mean over images of the sum of squares over classes (Brier, Monthly Weather Review 78:1, 1950)
---@field ece number? of the probability of the called class
---@field bootstrap table as of luxel.Report
local ClassesReport = namespace.class("ClassesReport", {}, {"accuracy", "macro_auc", "macro_sensitivity", "brier",
    "ece"})

---@class luxel.LabelsReport
---@field task "labels"
---@field n integer images
---@field classes string[] the labels
---@field each luxel.Report[] of each label, over the images that have it known
---@field macro_auc number? mean of the areas that are defined
---@field bootstrap table as of luxel.Report
local LabelsReport = namespace.class("LabelsReport", {}, {"macro_auc"})

-- Rows of numbers, all of one length.
local function rows_of(value, where)
    if type(value) == "userdata" then value = value:totable() end
    local width
    for i, row in ipairs(value) do
        if type(row) ~= "table" or #row < 2 or width and #row ~= width then
            args.fail("%s: expected a row of %s numbers for each image, got %s at place %d", where, width
                or "two or more",
                type(row) == "table" and #row or args.describe(row), i)
        end
        width = #row
        for _, number in ipairs(row) do
            if type(number) ~= "number" then
                args.fail("%s: expected numbers, got %s at place %d", where, args.describe(number), i)
            end
        end
    end
    return value, width
end

local function names_of(opts, width)
    if not opts.classes then
        local names = {}
        for k = 1, width do names[k] = ("class %d"):format(k - 1) end
        return names
    end
    if #opts.classes ~= width then
        args.fail("report: options: option 'classes': expected %d names, got %d", width, #opts.classes)
    end
    return opts.classes
end

local function mean_of(reports, name)
    local sum, count = 0, 0
    for _, report in ipairs(reports) do
        if report[name] then sum, count = sum + report[name], count + 1 end
    end
    return count > 0 and sum / count or nil
end

-- ---- many classes --------------------------------------------------------------------------------------------------

-- The images that have a label, with what is called of each.
local function call(scores, labels, width, groups)
    local kept = {scores = {}, labels = {}, called = {}, groups = groups and {}, missing = 0}
    for i, label in ipairs(labels) do
        if label ~= label then
            kept.missing = kept.missing + 1
        else
            local class = math.tointeger(label)
            if not class or class < 0 or class >= width then
                args.fail("report: labels: expected class numbers from 0 to %d or NaN, got %s at place %d", width - 1,
                    args.describe(label), i)
            end
            local best, sum = 1, 0
            for k, p in ipairs(scores[i]) do
                if p ~= p then args.fail("report: scores: expected numbers, got nan at place %d", i) end
                if p > scores[i][best] then best = k end
                sum = sum + p
                if p < 0 or p > 1 then sum = math.huge end
            end
            if math.abs(sum - 1) > 1e-3 then
                args.fail("report: scores: expected probabilities that add up to 1, which image %d has not; "
                    .. "logits become such "
                    .. "by softmax, or predict with probabilities = true", i)
            end
            local n = #kept.scores + 1
            kept.scores[n], kept.labels[n], kept.called[n] = scores[i], class + 1, best
            if groups then kept.groups[n] = groups[i] end
        end
    end
    return kept
end

-- Class `k` against all others.
local function one_against_rest(kept, k, opts)
    local probability, called, label = {}, {}, {}
    for i, row in ipairs(kept.scores) do
        probability[i], called[i], label[i] = row[k], kept.called[i] == k and 1 or 0, kept.labels[i] == k and 1 or 0
    end
    local options = {groups = kept.groups or false, n = opts.n, seed = opts.seed, level = opts.level, threshold = 0.5}
    local report, by_probability = binary.report(called, label, options), binary.report(probability, label, options)
    report.auc, report.brier = by_probability.auc, by_probability.brier
    report.intervals.auc, report.ece, report.reliability = by_probability.intervals.auc, by_probability.ece,
        by_probability.reliability
    return report
end

local function report_classes(scores, labels, opts, width)
    local kept = call(scores, labels, width, opts.groups)
    local report = setmetatable({
        task = "classes", n = #kept.scores, missing = kept.missing, classes = names_of(opts, width), confusion = {},
        each = {}, intervals = {},
    }, ClassesReport)
    for row = 1, width do
        report.confusion[row] = {}
        for column = 1, width do report.confusion[row][column] = 0 end
    end
    local right, confidence, squares = {}, {}, 0
    for i, row in ipairs(kept.scores) do
        local label, called = kept.labels[i], kept.called[i]
        report.confusion[label][called] = report.confusion[label][called] + 1
        right[i], confidence[i] = label == called and 1 or 0, row[called]
        for k, p in ipairs(row) do squares = squares + (p - (k == label and 1 or 0)) ^ 2 end
    end
    for k = 1, width do report.each[k] = one_against_rest(kept, k, opts) end
    report.macro_auc, report.macro_sensitivity = mean_of(report.each, "auc"), mean_of(report.each, "sensitivity")
    if report.n > 0 then
        local sum = 0
        for _, flag in ipairs(right) do sum = sum + flag end
        report.accuracy, report.brier = sum / report.n, squares / report.n
        report.ece = calibration.public.ece(confidence, right)
        -- the share of what is right, of the same resamples: sensitivity where everything is called
        local low, high = intervals.public.share_interval(right, kept.groups, {
            n = opts.n, seed = opts.seed, level = opts.level,
        })
        report.intervals.accuracy = low and low < high and {low, high} or nil
    end
    report.bootstrap = report.each[1].bootstrap
    return report
end

-- ---- several labels ------------------------------------------------------------------------------------------------

-- The threshold of label `k`: nil for the default.
local function threshold_of(thresholds, k, width)
    if type(thresholds) ~= "table" then return thresholds end
    if #thresholds ~= width then
        args.fail("report: options: option 'threshold': expected one number, or one for each of the %d labels, got %d",
            width, #thresholds)
    end
    return args.check(("report: options: option 'threshold': place %d"):format(k), "threshold", thresholds[k])
end

local function report_labels(scores, labels, opts, width)
    local report = setmetatable({
        task = "labels", n = #scores, classes = names_of(opts, width), each = {},
    }, LabelsReport)
    for k = 1, width do
        local score, label = {}, {}
        for i, row in ipairs(scores) do score[i], label[i] = row[k], labels[i][k] end
        report.each[k] = binary.report(score, label, {
            groups = opts.groups, n = opts.n, seed = opts.seed, level = opts.level,
            threshold = threshold_of(opts.threshold, k, width),
        })
    end
    report.macro_auc, report.bootstrap = mean_of(report.each, "auc"), report.each[1].bootstrap
    return report
end

--- `metrics.report` of rows of scores.
function several.report(scores, labels, opts)
    local width
    scores, width = rows_of(scores, "report: scores")
    if type(labels) == "userdata" then labels = labels:totable() end
    if #labels ~= #scores then
        args.fail("report: labels: expected one for each of the %d rows of scores, got %d", #scores, #labels)
    end
    if type(labels[1]) == "table" and #labels[1] == 1 and width > 1 then
        local flat = {}
        for i, row in ipairs(labels) do flat[i] = row[1] end
        labels = flat
    end
    if type(labels[1]) ~= "table" then
        if type(opts.threshold) == "table" then
            args.fail("report: options: option 'threshold': of many classes the one of the largest probability is "
                .. "called")
        end
        return report_classes(scores, labels, opts, width)
    end
    local _, labels_width = rows_of(labels, "report: labels")
    if labels_width ~= width then
        args.fail("report: labels: expected %d for each image, as there are scores, got %d", width, labels_width)
    end
    return report_labels(scores, labels, opts, width)
end

function ClassesReport:__tostring() return text.of_classes(self) end

function LabelsReport:__tostring() return text.of_labels(self) end

return several
