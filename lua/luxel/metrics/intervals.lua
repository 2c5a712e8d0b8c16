--- How sure a figure is: bootstrap intervals, from resamples of whole patients.

local args = require "luxel.args"
local core = require "luxel.core"
local counts = require "luxel.metrics.counts"
local curves = require "luxel.metrics.curves"
local random = require "luxel.random"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local sample, sorted = samples.of, samples.sorted

local metrics = {}

-- Images of each patient: arrays of positions in the sample. Without groups, each image is its own.
local function units(kept, groups, caller)
    if not groups then
        local singles = {}
        for i = 1, kept.n do
            singles[i] = {i}
        end
        return singles
    end
    local list, seen = {}, {}
    for i = 1, kept.n do
        local name = groups[kept.source[i]]
        if name == nil then
            args.fail("%s: options: option 'groups': there is none for image %d", caller, kept.source[i])
        end
        if not seen[name] then
            seen[name] = {}
            list[#list + 1] = seen[name]
        end
        table.insert(seen[name], i)
    end
    return list
end

args.type("level", "a number between 0 and 1", "number", function(value) return value > 0 and value < 1 end)

local RESAMPLES <const> = {n = 1000, level = 0.95, seed = 1}

-- The units, of which there have to be enough.
local function resampled_units(kept, groups, caller)
    local list = units(kept, groups, caller)
    local total = counts.of(kept, -math.huge)
    if total.tp == 0 or total.fp == 0 then
        return nil, ("needs both classes, has %d positive and %d negative"):format(total.tp, total.fp)
    end
    if #list < 2 then
        return nil, "needs at least two patients"
    end
    return list
end

-- Draws `n` resamples with replacement of whole patients and hands the weights of the images to `use`. A resample
-- without one of the classes is drawn again, as rates and areas are not defined on it.
local function resample(kept, groups, n, seed, caller, use)
    local list, message = resampled_units(kept, groups, caller)
    if not list then return nil, message end
    local labels, stream = kept.labels, random.stream(seed)
    local done, tries = 0, 0
    while done < n do
        tries = tries + 1
        if tries > 100 * n then
            return nil, "too few patients: most resamples miss a class"
        end
        local weights, positives, drawn = {}, 0, 0
        for i = 1, kept.n do
            weights[i] = 0
        end
        for _ = 1, #list do
            local unit = list[stream:integer(#list)]
            for k = 1, #unit do
                local i = unit[k]
                weights[i] = weights[i] + 1
                positives = positives + labels[i]
                drawn = drawn + 1
            end
        end
        if positives > 0 and positives < drawn then
            done = done + 1
            use(weights)
        end
    end
    return #list
end

-- The same resamples as `resample` draws, by C: `use` gets the counts and the area of each.
local function resample_counts(kept, groups, threshold, n, seed, caller, use)
    local list, message = resampled_units(kept, groups, caller)
    if not list then return nil, message end
    local state, tries, done = random.stream(seed).state, 100 * n, 0
    while done < n do
        local found
        state, tries, found = core.resample(kept.scores, kept.labels, list, threshold, state, math.min(100, n - done),
            tries)
        for i = 1, #found, 5 do
            use({tp = found[i], fp = found[i + 1], tn = found[i + 2], fn = found[i + 3]}, found[i + 4])
            done = done + 1
        end
        if tries == 0 and done < n then return nil, "too few patients: most resamples miss a class" end
    end
    return #list
end

-- The value below which the share `q` of the ascending `values` lies, linear in between.
local function quantile(values, q)
    local at = 1 + (#values - 1) * q
    local below = math.floor(at)
    local above = math.min(below + 1, #values)
    return values[below] + (values[above] - values[below]) * (at - below)
end

-- The percentile interval (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13), of the
-- resamples where the figure is defined, unless that is fewer than half.
local function percentile(values, n, level)
    if #values * 2 < n then
        return nil, "not defined on most resamples"
    end
    table.sort(values)
    return quantile(values, (1 - level) / 2), quantile(values, (1 + level) / 2)
end

--- A confidence interval by the percentile bootstrap (Efron, Annals of Statistics 7:1, 1979): of patients where
--- `options.groups` names each image's patient (images of one patient are not independent), else of images.
---@param fn fun(scores: number[], labels: number[]): number? the figure; `metrics.auc` costs no sort a resample
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: any[], n?: integer, seed?: integer, level?: number} 1000 resamples, seed 1, level 0.95
---@return number? low, number|string high nil and why where it is not defined (one class, one patient)
function metrics.bootstrap(fn, scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local kept = sorted(sample(scores, labels, "bootstrap"))
    local values = {}
    if fn == curves.public.auc then
        local drawn, message = resample_counts(kept, opts.groups, 0, opts.n, opts.seed, "bootstrap", function(_, auc)
            values[#values + 1] = auc
        end)
        if not drawn then return nil, message end
        return percentile(values, opts.n, opts.level)
    end
    local drawn, message = resample(kept, opts.groups, opts.n, opts.seed, "bootstrap", function(weights)
        local picked, truth = {}, {}
        for i = 1, kept.n do
            for _ = 1, weights[i] do
                picked[#picked + 1], truth[#truth + 1] = kept.scores[i], kept.labels[i]
            end
        end
        local value = fn(picked, truth)
        args.check("bootstrap: fn: its result", "number?", value)
        if value and value == value then
            values[#values + 1] = value
        end
    end)
    if not drawn then
        return nil, message
    end
    return percentile(values, opts.n, opts.level)
end

--- An interval of the share of images for which something is so, of the resamples of `report`.
---@param flags integer[] 1 or 0 of each image
---@param groups? any[]|false the patient of each
---@param options? {n?: integer, seed?: integer, level?: number} as of `report`
---@return number? low, number|string high
function metrics.share_interval(flags, groups, options)
    local opts = args.with_defaults(options, RESAMPLES)
    local kept = sorted(sample(flags, flags, "share_interval"))
    local values = {}
    local drawn, message = resample_counts(kept, groups, 0.5, opts.n, opts.seed, "share_interval", function(c)
        values[#values + 1] = (c.tp + c.fn) / (c.tp + c.fp + c.tn + c.fn)
    end)
    if not drawn then return nil, message end
    return percentile(values, opts.n, opts.level)
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
    local list = units({n = #values, source = source}, opts.groups, "mean")
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

-- Intervals of the rates and the area for a report, all from the same resamples. Where every resample gives the same
-- (nobody was wrong, say), resampling cannot tell how sure the figure is: no interval then, rather than one of width 0.
local function of_report(kept, groups, threshold, n, level, seed)
    local values = {auc = {}}
    for _, name in ipairs(counts.RATES) do
        values[name] = {}
    end
    local drawn, message = resample_counts(kept, groups, threshold, n, seed, "report", function(c, auc)
        for _, name in ipairs(counts.RATES) do
            table.insert(values[name], (counts.rates[name](c)))
        end
        table.insert(values.auc, auc)
    end)
    local out = {}
    if drawn then
        for name, list in pairs(values) do
            local low, high = percentile(list, n, level)
            out[name] = low and low < high and {low, high} or nil
        end
    end
    return out, drawn, message
end

local OPTIONS <const> = "n: integer(1..1000000)?, seed: integer?, level: level?"

args.publish("", metrics, {
    bootstrap = "fn: function, " .. samples.ARGUMENTS .. ", options: {groups: any[]?, " .. OPTIONS .. "}?",
    share_interval = "flags: integer(0..1)[], groups: any[]|false?, options: {" .. OPTIONS .. "}?",
    mean = "values: tensor|table, options: {groups: any[]|false?, " .. OPTIONS .. "}?",
})

return {public = metrics, of_report = of_report, DEFAULTS = RESAMPLES, OPTIONS = OPTIONS}
