--- What `luxel evaluate` says of doubt: how wrong the answers are that remain when the doubtful ones are withheld.

local lx = require "luxel"

local doubts = {}

-- The share of images that is answered, and the share of doubtful ones from which on a model should be adapted.
local ANSWERED <const>, MANY <const> = 0.8, 0.3

-- Errors and their areas when images are withheld by an order.
local function withholding(values, wrong, options)
    local area = lx.metrics.aurc(values, wrong)
    local low, high = lx.metrics.bootstrap(lx.metrics.aurc, values, wrong, {
        groups = options.groups or nil, seed = options.seed,
    })
    if low == high then low = nil end -- all resamples agree, as of other figures
    return {
        error = lx.metrics.risk_at_coverage(values, wrong, ANSWERED), aurc = area,
        interval = low and {low, high} or nil,
    }
end

local function log_odds(p)
    p = math.max(1e-12, math.min(1 - 1e-12, p))
    return math.log(p / (1 - p))
end

--- The figures of all images with a label.
---@param probabilities number[]
---@param judgements {uncertain: boolean, reasons: table[], doubt: number}[]
---@param labels number[]
---@param options {threshold: number, groups: any[]?, seed: integer}
---@return table
function doubts.report(probabilities, judgements, labels, options)
    local wrong, by_doubt, by_threshold = {}, {}, {}
    local flagged, reasons, answered, errors = 0, {}, 0, 0
    for i, p in ipairs(probabilities) do
        local judgement = judgements[i]
        local known = labels[i] == labels[i]
        wrong[i] = known and ((p >= options.threshold) == (labels[i] == 1) and 0 or 1) or 0 / 0
        by_doubt[i] = judgement.doubt
        by_threshold[i] = -math.abs(log_odds(p) - log_odds(options.threshold))
        if judgement.uncertain then flagged = flagged + 1
        elseif known then answered, errors = answered + 1, errors + wrong[i] end
        for _, reason in ipairs(judgement.reasons) do reasons[reason.code] = (reasons[reason.code] or 0) + 1 end
    end
    return {
        images = #probabilities, uncertain = flagged, reasons = reasons, answered = answered,
        error_of_certain = answered > 0 and errors / answered or nil, coverage = ANSWERED,
        by_doubt = withholding(by_doubt, wrong, options), by_threshold = withholding(by_threshold, wrong, options),
    }
end

local function percent(value) return value and ("%.1f%%"):format(100 * value) or "n/a" end

local function line_of(title, found)
    return ("  %-26s %-22s %s%s"):format(title, percent(found.error),
        found.aurc and ("%.4f"):format(found.aurc) or "n/a",
        found.interval and ("  [%.4f, %.4f]"):format(found.interval[1], found.interval[2]) or "")
end

--- The same in words.
---@param report table of `report`
---@param model string its file
---@param adapted boolean whether it was adapted already
---@return string
function doubts.words(report, model, adapted)
    local close, unlike = report.reasons.close or 0, report.reasons.unlike or 0
    local lines = {
        ("uncertain: %d of %d images (%s): %d close to the threshold, %d unlike the training"):format(report.uncertain,
            report.images, percent(report.uncertain / report.images), close, unlike),
        ("error of the %d others: %s"):format(report.answered, percent(report.error_of_certain)),
        ("  %-26s %-22s %s"):format("withholding", ("error at %.0f%% answered"):format(100 * report.coverage), "AURC"),
        line_of("by doubt", report.by_doubt), line_of("by distance to threshold", report.by_threshold),
    }
    if report.uncertain > MANY * report.images then
        lines[#lines + 1] = adapted and "more than 30 % are uncertain: these images are unlike those that the model "
            .. "was trained and adapted on, or too hard for it"
            or ("more than 30 %% are uncertain: adapt first, on images of this hospital that are judged by a person "
                .. "(luxel adapt --model %s --data DIR --out FILE)"):format(model)
    end
    return table.concat(lines, "\n")
end

return doubts
