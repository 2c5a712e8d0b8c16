--- Reports of many classes, of which an image has one, and of several labels that do not exclude each other: a report
--- of two for each of them, and what they come to together.

local args = require "luxel.args"
local binary = require "luxel.metrics.binary"
local calibration = require "luxel.metrics.calibration"
local counts = require "luxel.metrics.counts"
local intervals = require "luxel.metrics.intervals"
local namespace = require "luxel.namespace"
local samples = require "luxel.metrics.sample"
local text = require "luxel.metrics.text"

local several = {}

local DRAWN <const> = binary.DRAWN

---@class luxel.ClassesReport
---@field task "classes"
---@field n integer labelled images
---@field missing integer images without a label
---@field classes string[]
---@field confusion integer[][] images: rows are true classes, columns the called ones (those of the largest
---  probability)
---@field accuracy number?
---@field mcc number? Matthews' correlation, of all classes
---@field intervals {accuracy: number[]?} {low, high}
---@field each luxel.Report[] of each class against all others: the area by its probability, the rates by what was
---  called
---@field macro_auc number? mean of the areas that are defined
---@field macro_sensitivity number? mean of the sensitivities, the balanced accuracy
---@field brier number? mean over images of the sum of squares over classes (Brier, Monthly Weather Review 78:1, 1950)
---@field macro_average_precision number? mean of those that are defined
---@field log_loss number?
---@field ece number? of the probability of the called class
---@field ece_calibrated {mean: number, quantile: number, n: integer}? that of a perfectly calibrated model
---@field bootstrap table as of luxel.Report
local ClassesReport = namespace.class("ClassesReport", {}, {"accuracy", "mcc", "macro_auc", "macro_sensitivity",
    "macro_average_precision", "brier", "log_loss", "ece", "ece_calibrated"})

---@class luxel.LabelsReport
---@field task "labels"
---@field n integer images
---@field classes string[] the labels
---@field each luxel.Report[] of each label, over the images that have it known
---@field macro_auc number? mean of the areas that are defined
---@field macro_average_precision number? mean of those that are defined
---@field bootstrap table as of luxel.Report
local LabelsReport = namespace.class("LabelsReport", {}, {"macro_auc", "macro_average_precision"})

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

-- Class `k` against all others: by what is called, but the figures of the probability.
local function one_against_rest(kept, k, opts)
    local label, probability, called = samples.one_against_rest(kept, k)
    local options = args.with_defaults({groups = kept.groups or false, threshold = 0.5}, opts)
    local by_probability = binary.report(probability, label, options)
    options.rates_only = true
    local report = binary.report(called, label, options)
    for _, name in ipairs(binary.OF_PROBABILITIES) do
        report[name], report.intervals[name] = by_probability[name], by_probability.intervals[name]
    end
    return report
end

local function report_classes(scores, labels, opts, width)
    local kept = samples.of_classes(scores, labels, "report")
    if opts.groups then
        kept.groups = {}
        for i, from in ipairs(kept.source) do kept.groups[i] = opts.groups[from] end
    end
    local report = setmetatable({
        task = "classes", n = kept.n, missing = kept.missing, classes = names_of(opts, width), confusion = {},
        each = {}, intervals = {},
    }, ClassesReport)
    for row = 1, width do
        report.confusion[row] = {}
        for column = 1, width do report.confusion[row][column] = 0 end
    end
    local right, confidence = {}, {}
    for i, row in ipairs(kept.scores) do
        local label, called = kept.labels[i], kept.called[i]
        report.confusion[label][called] = report.confusion[label][called] + 1
        right[i], confidence[i] = label == called and 1 or 0, row[called]
    end
    for k = 1, width do report.each[k] = one_against_rest(kept, k, opts) end
    report.macro_auc, report.macro_sensitivity = mean_of(report.each, "auc"), mean_of(report.each, "sensitivity")
    report.macro_average_precision = mean_of(report.each, "average_precision")
    if report.n > 0 then
        report.accuracy = counts.of_matrix.accuracy(report.confusion)
        report.mcc = counts.of_matrix.mcc(report.confusion)
        report.brier, report.log_loss = calibration.public.brier(scores, labels),
            calibration.public.log_loss(scores, labels)
        local called = samples.sorted(samples.of(confidence, right, "report"))
        report.ece = calibration.expected_error(called, calibration.BINS)
        report.ece_calibrated = calibration.calibrated_error(called, calibration.BINS, "width", DRAWN, opts.seed)
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
            groups = opts.groups, n = opts.n, seed = opts.seed, level = opts.level, prevalence = opts.prevalence,
            threshold = threshold_of(opts.threshold, k, width),
        })
    end
    report.macro_auc, report.bootstrap = mean_of(report.each, "auc"), report.each[1].bootstrap
    report.macro_average_precision = mean_of(report.each, "average_precision")
    return report
end

--- `metrics.report` of rows of scores.
function several.report(scores, labels, opts)
    local width
    scores, width = samples.rows(scores, "report: scores", 1)
    labels = samples.list(labels, "report: labels")
    if #labels ~= #scores then
        args.fail("report: labels: expected one for each of the %d rows of scores, got %d", #scores, #labels)
    end
    if type(labels[1]) == "table" and #labels[1] == 1 and width > 1 then
        local flat = {}
        for i, row in ipairs(labels) do flat[i] = row[1] end
        labels = flat
    end
    if type(labels[1]) ~= "table" then
        if opts.threshold then
            args.fail("report: options: option 'threshold': of many classes the one of the largest probability is "
                .. "called")
        elseif opts.prevalence then
            args.fail("report: options: option 'prevalence': many classes have no positive one")
        end
        return report_classes(scores, labels, opts, width)
    end
    local _, labels_width = samples.rows(labels, "report: labels", 1)
    if labels_width ~= width then
        args.fail("report: labels: expected %d for each image, as there are scores, got %d", width, labels_width)
    end
    return report_labels(scores, labels, opts, width)
end

function ClassesReport:__tostring() return text.of_classes(self) end

function LabelsReport:__tostring() return text.of_labels(self) end

return several
