--- Reports as text for a terminal.

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"

local metrics = {}
local text = {public = metrics}

-- The figures that have intervals.
local RESAMPLED <const> = {auc = true, average_precision = true, brier = true, log_loss = true}
for _, name in ipairs(counts.RATES) do
    RESAMPLED[name] = true
end

local function percent(value)
    return value and ("%.1f%%"):format(100 * value) or "n/a"
end

local function decimal(value)
    return value and ("%.4f"):format(value) or "n/a"
end

-- What stands beside the area: DeLong's interval, which knows no patients.
local function delong_of(report)
    if not report.delong then return "" end
    local several = (report.bootstrap.units or report.n) < report.n
    return ("  DeLong%s [%.4f, %.4f]"):format(several and ", of images" or "", table.unpack(report.delong))
end

-- What stands beside the calibration error: that of a perfectly calibrated model.
local function if_calibrated(report)
    local calibrated = report.ece_calibrated
    return calibrated and ("  %.4f if perfectly calibrated, 95%% below %.4f"):format(calibrated.mean,
        calibrated.quantile) or ""
end

-- How the intervals were computed, or why there are none.
local function bootstrap_line(report)
    local b = report.bootstrap
    return b.units and ("  [%g%% intervals: %d resamples of %d %ss]"):format(100 * b.level, b.n, b.units, b.unit)
        or ("  [no intervals: %s]"):format(b.message)
end

-- ---- two classes ---------------------------------------------------------------------------------------------------

-- A line of a report of two classes, of a figure in a format of numbers.
local function line_of(report, name, title, shown)
    local interval = report.intervals[name]
    local range = interval and ("  [%s, %s]"):format(shown(interval[1]), shown(interval[2]))
        or report[name] and report.bootstrap.units and RESAMPLED[name] and "  [no interval: all resamples agree]" or ""
    local width = report.prevalence and 17 or 13
    return ("  %-" .. width .. "s %8s%s"):format(title, shown(report[name]), range)
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
    local c, prevalence = report.confusion, report.prevalence
    local at = prevalence and (" at %g%%"):format(100 * prevalence) or ""
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
        line_of(report, "balanced_accuracy", "balanced", percent),
        line_of(report, "sensitivity", "sensitivity", percent),
        line_of(report, "specificity", "specificity", percent),
        line_of(report, "precision", "precision" .. at, percent),
        line_of(report, "npv", "npv" .. at, percent),
        line_of(report, "f1", "F1", percent),
        line_of(report, "mcc", "MCC", decimal),
        line_of(report, "auc", "AUC", decimal) .. delong_of(report),
        line_of(report, "average_precision", "AUPRC", decimal),
        line_of(report, "brier", "Brier score", decimal),
        line_of(report, "log_loss", "log loss", decimal),
        line_of(report, "ece", "calib. error", decimal) .. if_calibrated(report),
        "",
    }
    lines[#lines + 1] = bootstrap_line(report)
    if report.n > 0 and not report.brier then
        lines[#lines + 1] = ("  [some scores are not from 0 to 1 and so no probabilities; they are compared with %.4f "
            .. "as they are]"):format(report.threshold)
    end
    return table.concat(lines, "\n")
end

-- ---- several classes or labels -------------------------------------------------------------------------------------

-- A share in percent with its interval, if there is one.
local function percent_range(value, interval)
    if not value or not interval then return percent(value) end
    return ("%.1f%% [%.1f, %.1f]"):format(100 * value, 100 * interval[1], 100 * interval[2])
end

local function decimal_range(value, interval)
    if not value or not interval then return decimal(value) end
    return ("%.4f [%.4f, %.4f]"):format(value, interval[1], interval[2])
end

local function width_of(names)
    local width = 8
    for _, name in ipairs(names) do width = math.max(width, #name) end
    return width
end

--- A report of many classes as text.
---@param report luxel.ClassesReport
---@return string
function text.of_classes(report)
    local width = width_of(report.classes)
    local lines = {("%d images of %d classes%s"):format(report.n, #report.classes,
        report.missing > 0 and (", %d without a label left out"):format(report.missing) or ""), ""}
    local cell = "  %" .. math.max(width, 8) .. "s"
    local head = (" "):rep(width + 7)
    for _, name in ipairs(report.classes) do head = head .. cell:format(name) end
    lines[#lines + 1] = head .. "   (called)"
    for k, name in ipairs(report.classes) do
        local line = ("  true %-" .. width .. "s"):format(name)
        for _, count in ipairs(report.confusion[k]) do line = line .. cell:format(count) end
        lines[#lines + 1] = line
    end
    lines[#lines + 1] = ""
    local row = "  %-" .. width .. "s  %-22s  %-22s  %s"
    lines[#lines + 1] = row:format("", "sensitivity", "specificity", "AUC against the rest")
    for k, name in ipairs(report.classes) do
        local r = report.each[k]
        lines[#lines + 1] = row:format(name, percent_range(r.sensitivity, r.intervals.sensitivity),
            percent_range(r.specificity, r.intervals.specificity), decimal_range(r.auc, r.intervals.auc))
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  accuracy      " .. percent_range(report.accuracy, report.intervals.accuracy)
    lines[#lines + 1] = "  balanced      " .. percent(report.macro_sensitivity)
    lines[#lines + 1] = "  MCC           " .. decimal(report.mcc)
    lines[#lines + 1] = "  mean of AUCs  " .. decimal(report.macro_auc)
    lines[#lines + 1] = "  of AUPRCs     " .. decimal(report.macro_average_precision)
    lines[#lines + 1] = "  Brier score   " .. decimal(report.brier)
    lines[#lines + 1] = "  log loss      " .. decimal(report.log_loss)
    lines[#lines + 1] = "  calib. error  " .. decimal(report.ece) .. if_calibrated(report)
    lines[#lines + 1] = ""
    lines[#lines + 1] = bootstrap_line(report)
    return table.concat(lines, "\n")
end

--- A report of several labels as text.
---@param report luxel.LabelsReport
---@return string
function text.of_labels(report)
    local width = width_of(report.classes)
    local count = #report.classes
    local lines = {("%d images, %d label%s"):format(report.n, count, count == 1 and "" or "s"), ""}
    local row = "  %-" .. width .. "s  %8s  %8s  %-24s  %-22s  %s"
    lines[#lines + 1] = row:format("", "positive", "known", "AUC", "sensitivity", "specificity")
    for k, name in ipairs(report.classes) do
        local r = report.each[k]
        lines[#lines + 1] = row:format(name, r.positives, r.n, decimal_range(r.auc, r.intervals.auc),
            percent_range(r.sensitivity, r.intervals.sensitivity),
            percent_range(r.specificity, r.intervals.specificity))
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = "  mean of AUCs  " .. decimal(report.macro_auc)
    lines[#lines + 1] = "  of AUPRCs     " .. decimal(report.macro_average_precision)
    lines[#lines + 1] = bootstrap_line(report)
    return table.concat(lines, "\n")
end

args.publish("", metrics, {format_report = "report: report, class_names: string[]?"})

return text
