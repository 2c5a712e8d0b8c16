--- How sure a figure is: bootstrap intervals, from resamples of whole patients.

local args = require "luxel.args"
local calibration = require "luxel.metrics.calibration"
local counts = require "luxel.metrics.counts"
local curves = require "luxel.metrics.curves"
local random = require "luxel.random"
local resampling = require "luxel.metrics.resampling"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"
local selective = require "luxel.metrics.selective"

local sample, sorted = samples.of, samples.sorted

local metrics = {}

local percentile, RESAMPLES = resampling.percentile, resampling.DEFAULTS

-- What C finds of a public function of metrics on resamples of a sample: the figure, whether each resample has to have
-- both classes, and the value of its numbers.
local function known_figure(fn, kept, opts, caller)
    local function first(numbers) return numbers[1] end
    local name = counts.is_rate[fn]
    if name then
        local threshold = opts.threshold or counts.DEFAULT_THRESHOLD
        if name == "net_benefit" then
            samples.check_probabilities(kept, caller)
            args.check(caller .. ": options: option 'threshold'", "number(0..1)", threshold)
        end
        return resampling.figure("counts", kept, threshold), true, function(numbers)
            return (counts.rates[name]({
                tp = numbers[1], fp = numbers[2], tn = numbers[3], fn = numbers[4], threshold = threshold,
            }, opts.prevalence))
        end
    elseif fn == curves.public.auc then
        return resampling.figure("area", kept), true, first
    elseif fn == curves.public.average_precision then
        return resampling.figure("average_precision", kept), true, first
    elseif fn == selective.public.aurc then
        return resampling.figure("aurc", kept), false, first
    end
    for _, loss in ipairs {"brier", "log_loss"} do
        if fn == calibration.public[loss] then
            samples.check_probabilities(kept, caller)
            return resampling.figure("mean", {scores = calibration.each_loss(kept, loss)}), false, first
        end
    end
end

-- The images of a sample that were drawn, as often as they were.
local function picked(kept, weights)
    local scores, labels = {}, {}
    for i = 1, kept.n do
        for _ = 1, weights[i] do scores[#scores + 1], labels[#labels + 1] = kept.scores[i], kept.labels[i] end
    end
    return scores, labels
end

-- The values of a figure on the same resamples of one or two samples of the same images, a list for each; NaN where it
-- is not defined. Or nil and why; the second result is how many units were drawn.
local function resampled_values(fn, list, opts, caller)
    if not counts.is_rate[fn] and (opts.threshold or opts.prevalence) then
        args.fail("%s: options: option '%s': only rates of lx.metrics have one", caller,
            opts.threshold and "threshold" or "prevalence")
    end
    local figures, out, both, value_of = {}, {}, nil, nil
    for s, kept in ipairs(list) do
        figures[s], both, value_of = known_figure(fn, kept, opts, caller)
        out[s] = {}
    end
    if not value_of then
        local drawn, message = resampling.weights(list[1], opts.groups, opts.n, opts.seed, caller, function(weights)
            for s, kept in ipairs(list) do
                local value = fn(picked(kept, weights))
                table.insert(out[s], args.check(caller .. ": fn: its result", "number?", value) or 0 / 0)
            end
        end)
        return drawn and out, drawn or message
    end
    local columns, units = resampling.figures(list[1], opts.groups, figures, both, opts, caller)
    if not columns then return nil, units end
    local numbers, width = {}, figures[1].numbers
    for i = 1, opts.n do
        for s = 1, #list do
            for k = 1, width do numbers[k] = columns[(s - 1) * width + k][i] end
            out[s][i] = value_of(numbers) or 0 / 0
        end
    end
    return out, units
end

--- A confidence interval by the percentile bootstrap (Efron, Annals of Statistics 7:1, 1979): of patients where
--- `options.groups` names each image's patient (images of one patient are not independent), else of images.
---@param fn fun(scores: number[], labels: number[]): number? the figure; a rate of lx.metrics, `auc`,
---  `average_precision`, `brier`, `log_loss` and `aurc` are computed fast
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: any[]|false, n?: integer, seed?: integer, level?: number, threshold?: number,
---  prevalence?: number} 1000 resamples, seed 1, level 0.95; threshold and prevalence: of rates
---@return number? low, number|string high nil and why where it is not defined (one class, one patient)
function metrics.bootstrap(fn, scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local values, message = resampled_values(fn, {sorted(sample(scores, labels, "bootstrap"))}, opts, "bootstrap")
    if not values then return nil, message end
    return percentile(values[1], opts.n, opts.level)
end

local new_difference = result_type("difference", {"a", "b", "difference", "low", "high", "p", "units"}, function(self)
    return ("%.4f and %.4f, difference %.4f [%.4f, %.4f], p %.3g"):format(self.a, self.b, self.difference, self.low,
        self.high, self.p)
end)

-- The value of a figure of a sample.
local function value_of_sample(fn, kept, opts)
    if counts.is_rate[fn] then return fn(kept.scores, kept.labels, opts.threshold, opts.prevalence) end
    local value, message = fn(kept.scores, kept.labels)
    return args.check("paired_bootstrap: fn: its result", "number?", value), message
end

--- The difference of a figure between two scores of the same images, a - b, with an interval by the percentile
--- bootstrap of pairs: each resample of patients is the same for both.
---@param fn fun(scores: number[], labels: number[]): number? as of `bootstrap`
---@param scores_a number[]|luxel.Tensor of one model, one for each image
---@param scores_b number[]|luxel.Tensor of the other, of the same images in the same order
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: any[]|false, n?: integer, seed?: integer, level?: number, threshold?: number,
---  prevalence?: number} as of `bootstrap`
---@return {a: number, b: number, difference: number, low: number, high: number, p: number, units: integer}? difference
---  p: two-sided, twice the share of resamples on the rarer side of 0 (Davison and Hinkley, "Bootstrap methods", 1997);
---  units: patients, or images where nothing tells them
---@return string? message why nil: not defined on the images or most resamples, one class, one patient
function metrics.paired_bootstrap(fn, scores_a, scores_b, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local a, b = samples.pair(scores_a, scores_b, labels, "paired_bootstrap")
    local values, units = resampled_values(fn, {a, b}, opts, "paired_bootstrap")
    if not values then return nil, units end
    local value_a, message = value_of_sample(fn, a, opts)
    if not value_a then return nil, message end
    local value_b
    value_b, message = value_of_sample(fn, b, opts)
    if not value_b then return nil, message end
    local differences, defined, below, above = values[1], 0, 1, 1
    for i, value in ipairs(differences) do
        local difference = value - values[2][i]
        differences[i] = difference
        defined = defined + (difference == difference and 1 or 0)
        below, above = below + (difference <= 0 and 1 or 0), above + (difference >= 0 and 1 or 0)
    end
    local low, high = percentile(differences, opts.n, opts.level)
    if not low then return nil, high end
    return new_difference {
        a = value_a, b = value_b, difference = value_a - value_b, low = low, high = high,
        p = math.min(1, 2 * math.min(below, above) / (defined + 1)), units = units,
    }
end

--- An interval of the share of images for which something is so, by the percentile bootstrap.
---@param flags integer[] 1 or 0 of each image
---@param groups? any[]|false the patient of each
---@param options? {n?: integer, seed?: integer, level?: number} as of `report`
---@return number? low, number|string high
function metrics.share_interval(flags, groups, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local kept = sorted(sample(flags, flags, "share_interval"))
    local columns, message = resampling.figures(kept, groups, {resampling.figure("mean", kept)}, false, opts,
        "share_interval")
    if not columns then return nil, message end
    return percentile(columns[1], opts.n, opts.level)
end

local new_mean = result_type("mean", {"mean", "low", "high", "images", "units"}, function(self)
    return self.low and ("%.4f  [%.4f, %.4f]"):format(self.mean, self.low, self.high) or ("%.4f"):format(self.mean)
end)

--- The mean of a figure that each image has, with an interval by the percentile bootstrap, of patients where
--- `options.groups` tells them.
---@param values number[]|luxel.Tensor one for each image; NaN is refused
---@param options? {groups?: any[]|false, n?: integer, seed?: integer, level?: number} groups: the patient of each; else
---  as of `report`
---@return {mean: number, low: number?, high: number?, images: integer, units: integer} mean units: patients, or images
---  where nothing tells them; low and high are nil where there are fewer than two, or all values agree
function metrics.mean(values, options)
    local opts = args.with_defaults(options, RESAMPLES)
    values = samples.numbers(values, "mean: values")
    local source = {}
    for i, value in ipairs(values) do
        if value - value ~= 0 then args.fail("mean: values: expected finite numbers, got %s at place %d", value, i) end
        source[i] = i
    end
    if #values == 0 then args.fail("mean: values: there are none") end
    local list = resampling.units({n = #values, source = source}, opts.groups, "mean")
    local sums, total = {}, 0
    for k, unit in ipairs(list) do
        sums[k] = 0
        for _, i in ipairs(unit) do sums[k] = sums[k] + values[i] end
        total = total + sums[k]
    end
    local stream, means = random.stream(opts.seed), {}
    for round = 1, #list > 1 and opts.n or 0 do
        local sum, images = 0, 0
        for _ = 1, #list do
            local k = stream:integer(#list)
            sum, images = sum + sums[k], images + #list[k]
        end
        means[round] = sum / images
    end
    local low, high
    if #means > 0 then low, high = percentile(means, #means, opts.level) end
    if low == high then low, high = nil, nil end
    return new_mean {mean = total / #values, low = low, high = high, images = #values, units = #list}
end

-- Intervals of the rates and areas for a report, and of the losses where scores are probabilities, all from the same
-- resamples. Where every resample gives the same (nobody was wrong, say), resampling cannot tell how sure the figure
-- is: no interval then, rather than one of width 0.
local function of_report(kept, opts, threshold, is_probability)
    local figures = {resampling.figure("counts", kept, threshold)}
    local names, values = {"auc", "average_precision", "brier", "log_loss"}, {}
    if not opts.rates_only then
        figures[2], figures[3] = resampling.figure("area", kept), resampling.figure("average_precision", kept)
        for _, loss in ipairs(is_probability and {"brier", "log_loss"} or {}) do
            figures[#figures + 1] = resampling.figure("mean", {scores = calibration.each_loss(kept, loss)})
        end
    end
    local columns, units = resampling.figures(kept, opts.groups, figures, true, opts, "report")
    if not columns then return {}, nil, units end
    for i = 1, #figures - 1 do values[names[i]] = columns[4 + i] end
    for _, name in ipairs(counts.RATES) do values[name] = {} end
    local c = {threshold = threshold}
    for i = 1, opts.n do
        c.tp, c.fp, c.tn, c.fn = columns[1][i], columns[2][i], columns[3][i], columns[4][i]
        for _, name in ipairs(counts.RATES) do
            values[name][i] = counts.rates[name](c, opts.prevalence) or 0 / 0
        end
    end
    local out = {}
    for name, list in pairs(values) do
        local low, high = percentile(list, opts.n, opts.level)
        out[name] = low and low < high and {low, high} or nil
    end
    return out, units
end

local OPTIONS <const> = resampling.OPTIONS
local OF_A_FIGURE <const> = OPTIONS .. ", threshold: threshold?, prevalence: number(0..1)?}?"

args.publish("", metrics, {
    bootstrap = "fn: function, " .. samples.ARGUMENTS .. ", options: {groups: any[]|false?, " .. OF_A_FIGURE,
    paired_bootstrap = "fn: function, scores_a: tensor|table, scores_b: tensor|table, labels: tensor|table, "
        .. "options: {groups: any[]|false?, " .. OF_A_FIGURE,
    share_interval = "flags: integer(0..1)[], groups: any[]|false?, options: {" .. OPTIONS .. "}?",
    mean = "values: tensor|table, options: {groups: any[]|false?, " .. OPTIONS .. "}?",
})

return {public = metrics, of_report = of_report}
