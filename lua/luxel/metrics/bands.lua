--- How sure curves are: pointwise bands around the ROC and the precision-recall curve.

local args = require "luxel.args"
local resampling = require "luxel.metrics.resampling"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local metrics = {}

local DEFAULTS <const> = {n = 200, level = 0.95, seed = 1, points = 51}

-- Rates after each distinct score of a sample in ascending order, from the highest down, images counting by weights.
local function curve_of(kept, weights)
    local scores, labels = kept.scores, kept.labels
    local tp, fp, places = 0, 0, {tp = {0}, fp = {0}}
    for i = kept.n, 1, -1 do
        if labels[i] == 1 then tp = tp + weights[i] else fp = fp + weights[i] end
        if scores[i] ~= scores[i - 1] then
            places.tp[#places.tp + 1], places.fp[#places.fp + 1] = tp, fp
        end
    end
    return places, tp, fp
end

-- The true positive rate at each false positive rate: the curve, straight between its points.
local function along_roc(curve, positives, negatives, grid, use)
    local at, count = 1, #curve.tp
    for g, rate in ipairs(grid) do
        local wanted = rate * negatives
        -- the last point that is not to the right: of a rise its upper end
        while at < count and curve.fp[at + 1] <= wanted + 1e-9 do at = at + 1 end
        local tp = curve.tp[at]
        if at < count and wanted > curve.fp[at] then
            tp = tp + (curve.tp[at + 1] - tp) * (wanted - curve.fp[at]) / (curve.fp[at + 1] - curve.fp[at])
        end
        use(g, tp / positives)
    end
end

-- The precision at the first point that reaches each recall; 1 at recall 0, as `precision_recall` has it.
local function along_recall(curve, positives, grid, use)
    local at, count = 1, #curve.tp
    for g, recall in ipairs(grid) do
        local wanted = recall * positives
        while at < count and (curve.tp[at] < wanted - 1e-9 or curve.tp[at] + curve.fp[at] == 0) do at = at + 1 end
        use(g, recall == 0 and 1 or curve.tp[at] / (curve.tp[at] + curve.fp[at]))
    end
end

local new_bands = result_type("bands of curves", {"roc", "precision_recall", "units", "n", "level"}, function(self)
    return ("bands of curves: %g%% at %d places, %d resamples of %d patients or images"):format(100 * self.level,
        #self.roc.x, self.n, self.units)
end)

--- Pointwise bands around the ROC curve (by false positive rate: vertical averaging of Fawcett, Pattern Recognition
--- Letters 27:861, 2006) and the precision-recall curve (by recall), by the percentile bootstrap of whole patients.
--- Each place has its own interval: the whole curve leaves the band more often.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: any[]|false, n?: integer, seed?: integer, level?: number, points?: integer} groups: the
---  patient of each image; n: resamples, default 200; points: places from 0 to 1, default 51
---@return {roc: {x: number[], low: number[], high: number[]}, precision_recall: {x: number[], low: number[], high:
---  number[]}, units: integer, n: integer, level: number}? bands x: false positive rates, and recalls; units: patients
---  or images that were drawn from
---@return string? message why nil: one class, or too few patients
function metrics.curve_bands(scores, labels, options)
    local opts = args.with_defaults(options, DEFAULTS)
    local kept = samples.sorted(samples.of(scores, labels, "curve_bands"))
    local grid, rises, precisions = {}, {}, {}
    for g = 1, opts.points do
        grid[g], rises[g], precisions[g] = (g - 1) / (opts.points - 1), {}, {}
    end
    local function add(lists) return function(g, value) table.insert(lists[g], value) end end
    local units, message = resampling.weights(kept, opts.groups, opts.n, opts.seed, "curve_bands", function(weights)
        local curve, positives, negatives = curve_of(kept, weights)
        along_roc(curve, positives, negatives, grid, add(rises))
        along_recall(curve, positives, grid, add(precisions))
    end)
    if not units then return nil, message end
    local function band(lists)
        local out = {x = table.move(grid, 1, #grid, 1, {}), low = {}, high = {}}
        for g, values in ipairs(lists) do
            out.low[g], out.high[g] = resampling.percentile(values, opts.n, opts.level)
        end
        return out
    end
    return new_bands {
        roc = band(rises), precision_recall = band(precisions), units = units, n = opts.n, level = opts.level,
    }
end

args.publish("", metrics, {
    curve_bands = samples.ARGUMENTS .. ", options: {groups: any[]|false?, points: integer(2..10000)?, "
        .. resampling.OPTIONS .. "}?",
})

return {public = metrics}
