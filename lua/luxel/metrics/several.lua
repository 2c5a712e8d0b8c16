--- Reports of many classes, of which an image has one, and of several labels that do not exclude each other: a report
--- of two for each of them, and what they come to together.

local args = require "luxel.args"
local namespace = require "luxel.namespace"

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
local function one_against_rest(metrics, kept, k, opts)
    local probability, called, label = {}, {}, {}
    for i, row in ipairs(kept.scores) do
        probability[i], called[i], label[i] = row[k], kept.called[i] == k and 1 or 0, kept.labels[i] == k and 1 or 0
    end
    local options = {groups = kept.groups or false, n = opts.n, seed = opts.seed, level = opts.level, threshold = 0.5}
    local report, by_probability = metrics.report(called, label, options), metrics.report(probability, label, options)
    report.auc, report.brier = by_probability.auc, by_probability.brier
    report.intervals.auc, report.ece, report.reliability = by_probability.intervals.auc, by_probability.ece,
        by_probability.reliability
    return report
end

local function report_classes(metrics, scores, labels, opts, width)
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
    for k = 1, width do report.each[k] = one_against_rest(metrics, kept, k, opts) end
    report.macro_auc, report.macro_sensitivity = mean_of(report.each, "auc"), mean_of(report.each, "sensitivity")
    if report.n > 0 then
        local sum = 0
        for _, flag in ipairs(right) do sum = sum + flag end
        report.accuracy, report.brier, report.ece = sum / report.n, squares / report.n, metrics.ece(confidence, right)
        -- the share of what is right, of the same resamples: sensitivity where everything is called
        local low, high = metrics.share_interval(right, kept.groups, {n = opts.n, seed = opts.seed, level = opts.level})
        report.intervals.accuracy = low and low < high and {low, high} or nil
    end
    report.bootstrap = report.each[1].bootstrap
    return report
end

-- ---- several labels
-- --------------------------------------------------------------------------------------------------

local function report_labels(metrics, scores, labels, opts, width)
    local report = setmetatable({
        task = "labels", n = #scores, classes = names_of(opts, width), each = {},
    }, LabelsReport)
    for k = 1, width do
        local score, label = {}, {}
        for i, row in ipairs(scores) do score[i], label[i] = row[k], labels[i][k] end
        local threshold = type(opts.threshold) == "table" and opts.threshold[k] or opts.threshold
        report.each[k] = metrics.report(score, label, {
            groups = opts.groups, n = opts.n, seed = opts.seed, level = opts.level, threshold = threshold or nil,
        })
    end
    report.macro_auc, report.bootstrap = mean_of(report.each, "auc"), report.each[1].bootstrap
    return report
end

--- `metrics.report` of rows of scores.
function several.report(metrics, scores, labels, opts)
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
        return report_classes(metrics, scores, labels, opts, width)
    end
    local _, labels_width = rows_of(labels, "report: labels")
    if labels_width ~= width then
        args.fail("report: labels: expected %d for each image, as there are scores, got %d", width, labels_width)
    end
    return report_labels(metrics, scores, labels, opts, width)
end

-- ---- printing
-- ---------------------------------------------------------------------------------------------------------

local function share(value, interval)
    if not value then return "n/a" end
    if not interval then return ("%.1f%%"):format(100 * value) end
    return ("%.1f%% [%.1f, %.1f]"):format(100 * value, 100 * interval[1], 100 * interval[2])
end

local function decimal(value, interval)
    if not value then return "n/a" end
    if not interval then return ("%.4f"):format(value) end
    return ("%.4f [%.4f, %.4f]"):format(value, interval[1], interval[2])
end

local function width_of(names)
    local width = 8
    for _, name in ipairs(names) do width = math.max(width, #name) end
    return width
end

local function bootstrap_line(report)
    local b = report.bootstrap
    return b.units and ("  [%g%% intervals: %d resamples of %d %ss]"):format(100 * b.level, b.n, b.units, b.unit)
        or ("  [no intervals: %s]"):format(b.message)
end

function ClassesReport:__tostring()
    local width = width_of(self.classes)
    local lines = {("%d images of %d classes%s"):format(self.n, #self.classes,
        self.missing > 0 and (", %d without a label left out"):format(self.missing) or ""), ""}
    local cell = "  %" .. math.max(width, 8) .. "s"
    local head = (" "):rep(width + 7)
    for _, name in ipairs(self.classes) do head = head .. cell:format(name) end
    lines[#lines + 1] = head .. "   (called)"
    for k, name in ipairs(self.classes) do
        local row = ("  true %-" .. width .. "s"):format(name)
        for _, count in ipairs(self.confusion[k]) do row = row .. cell:format(count) end
        lines[#lines + 1] = row
    end
    lines[#lines + 1] = ""
    local form = "  %-" .. width .. "s  %-22s  %-22s  %s"
    lines[#lines + 1] = form:format("", "sensitivity", "specificity", "AUC against the rest")
    for k, name in ipairs(self.classes) do
        local r = self.each[k]
        lines[#lines + 1] = form:format(name, share(r.sensitivity, r.intervals.sensitivity),
            share(r.specificity, r.intervals.specificity), decimal(r.auc, r.intervals.auc))
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  accuracy      " .. share(self.accuracy, self.intervals.accuracy)
    lines[#lines + 1] = "  mean of AUCs  " .. decimal(self.macro_auc)
    lines[#lines + 1] = "  Brier score   " .. decimal(self.brier)
    lines[#lines + 1] = "  calib. error  " .. decimal(self.ece)
    lines[#lines + 1] = ""
    lines[#lines + 1] = bootstrap_line(self)
    return table.concat(lines, "\n")
end

function LabelsReport:__tostring()
    local width = width_of(self.classes)
    local lines = {("%d images, %d labels"):format(self.n, #self.classes), ""}
    local form = "  %-" .. width .. "s  %8s  %8s  %-24s  %-22s  %s"
    lines[#lines + 1] = form:format("", "positive", "known", "AUC", "sensitivity", "specificity")
    for k, name in ipairs(self.classes) do
        local r = self.each[k]
        lines[#lines + 1] = form:format(name, r.positives, r.n, decimal(r.auc, r.intervals.auc),
            share(r.sensitivity, r.intervals.sensitivity), share(r.specificity, r.intervals.specificity))
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  mean of AUCs  " .. decimal(self.macro_auc)
    lines[#lines + 1] = bootstrap_line(self)
    return table.concat(lines, "\n")
end

return several
