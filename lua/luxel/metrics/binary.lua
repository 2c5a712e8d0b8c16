--- Reports of two classes: all figures of one evaluation.

local args = require "luxel.args"
local calibration = require "luxel.metrics.calibration"
local counts = require "luxel.metrics.counts"
local curves = require "luxel.metrics.curves"
local intervals = require "luxel.metrics.intervals"
local namespace = require "luxel.namespace"
local samples = require "luxel.metrics.sample"
local text = require "luxel.metrics.text"

local binary = {}

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

--- `metrics.report` of one score for each image.
---@param scores number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param opts table the options, with defaults
---@return luxel.Report
function binary.report(scores, labels, opts)
    local n, level, seed, threshold = opts.n, opts.level, opts.seed, opts.threshold or counts.DEFAULT_THRESHOLD
    if type(threshold) == "table" then
        args.fail("report: options: option 'threshold': there is one score for each image, and so one threshold, "
            .. "not %d", #threshold)
    end
    local kept = samples.sorted(samples.of(scores, labels, "report"))
    local c = counts.of(kept, threshold)
    local report = setmetatable({
        n = kept.n, missing = kept.missing, positives = c.tp + c.fn, negatives = c.tn + c.fp,
        threshold = threshold, confusion = c, auc = (curves.area(kept)),
    }, Report)
    for _, name in ipairs(counts.RATES) do
        report[name] = counts.rates[name](c)
    end
    local first, last = kept.scores[1], kept.scores[kept.n]
    if kept.n > 0 and first >= 0 and last <= 1 then
        report.brier = calibration.mean_square(kept)
        report.ece, report.reliability = calibration.expected_error(kept, calibration.BINS)
    end
    local drawn, message
    report.intervals, drawn, message = intervals.of_report(kept, opts.groups, threshold, n, level, seed)
    report.bootstrap = {
        n = n, seed = seed, level = level, unit = opts.groups and "patient" or "image",
        units = drawn, message = message,
    }
    return report
end

function Report:__tostring() return text.public.format_report(self) end

return binary
