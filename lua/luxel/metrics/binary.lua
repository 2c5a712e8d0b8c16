--- Reports of two classes: all figures of one evaluation.

local args = require "luxel.args"
local calibration = require "luxel.metrics.calibration"
local counts = require "luxel.metrics.counts"
local curves = require "luxel.metrics.curves"
local delongs = require "luxel.metrics.delong"
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
---@field prevalence number? at which precision and npv are, where it is not that of the images
---@field confusion luxel.Confusion
---@field accuracy number?
---@field balanced_accuracy number?
---@field sensitivity number?
---@field specificity number?
---@field precision number?
---@field npv number?
---@field f1 number?
---@field mcc number? Matthews' correlation
---@field auc number?
---@field delong number[]? {low, high} of the area by DeLong's method, which takes each image for a patient of its own
---@field average_precision number? area under the precision-recall curve
---@field brier number? nil too, like what follows, where the scores are not probabilities
---@field log_loss number?
---@field ece number?
---@field ece_calibrated {mean: number, quantile: number, n: integer}? the error of a perfectly calibrated model: see
---  `metrics.calibrated_ece`
---@field reliability table[]? the bins of `metrics.ece`
---@field intervals table<string, number[]> {low, high} by the names above; nil where all resamples agree
---@field bootstrap table {n, seed, level, unit = "patient" or "image", units, message?}

-- Figures of probabilities, whatever the threshold is.
binary.OF_PROBABILITIES = {"auc", "delong", "average_precision", "brier", "log_loss", "ece", "ece_calibrated",
    "reliability"}

-- How many times labels are drawn for the error of a perfectly calibrated model.
binary.DRAWN = 1000

local OPTIONAL <const> = {"prevalence", table.unpack(counts.RATES)}
table.move(binary.OF_PROBABILITIES, 1, #binary.OF_PROBABILITIES, #OPTIONAL + 1, OPTIONAL)
local Report = namespace.class("Report", {}, OPTIONAL)

args.type("report", "a report of lx.metrics.report", "table", function(value) return getmetatable(value) == Report end)

--- `metrics.report` of one score for each image.
---@param scores number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param opts table the options, with defaults, and `rates_only`: figures of probabilities are left out
---@return luxel.Report
function binary.report(scores, labels, opts)
    local level, threshold = opts.level, opts.threshold or counts.DEFAULT_THRESHOLD
    if type(threshold) == "table" then
        args.fail("report: options: option 'threshold': there is one score for each image, and so one threshold, "
            .. "not %d", #threshold)
    end
    local kept = samples.sorted(samples.of(scores, labels, "report"))
    local c = counts.of(kept, threshold)
    local report = setmetatable({
        n = kept.n, missing = kept.missing, positives = c.tp + c.fn, negatives = c.tn + c.fp,
        threshold = threshold, prevalence = opts.prevalence, confusion = c,
    }, Report)
    for _, name in ipairs(counts.RATES) do
        report[name] = counts.rates[name](c, opts.prevalence)
    end
    if not opts.rates_only then
        local delong = delongs.interval(kept, level)
        report.auc, report.average_precision = (curves.area(kept)), (curves.average_precision(kept))
        report.delong = delong and {delong.low, delong.high}
    end
    local is_probability = kept.n > 0 and kept.scores[1] >= 0 and kept.scores[kept.n] <= 1
    if is_probability and not opts.rates_only then
        for _, loss in ipairs {"brier", "log_loss"} do
            report[loss] = calibration.mean(calibration.each_loss(kept, loss))
        end
        report.ece, report.reliability = calibration.expected_error(kept, calibration.BINS)
        report.ece_calibrated = calibration.calibrated_error(kept, calibration.BINS, "width", binary.DRAWN, opts.seed)
    end
    local drawn, message
    report.intervals, drawn, message = intervals.of_report(kept, opts, threshold, is_probability)
    report.bootstrap = {
        n = opts.n, seed = opts.seed, level = level, unit = opts.groups and "patient" or "image",
        units = drawn, message = message,
    }
    return report
end

function Report:__tostring() return text.public.format_report(self) end

return binary
