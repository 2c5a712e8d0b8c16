--- Resamples of whole patients, with replacement, and what figures are on them.

local args = require "luxel.args"
local core = require "luxel.core"
local counts = require "luxel.metrics.counts"
local random = require "luxel.random"

local resampling = {}

--- The options of everything that resamples, with their defaults.
resampling.DEFAULTS = {n = 1000, level = 0.95, seed = 1}
resampling.OPTIONS = "n: integer(1..1000000)?, seed: integer?, level: level?"

args.type("level", "a number between 0 and 1", "number", function(value) return value > 0 and value < 1 end)

--- Images of each patient: arrays of positions in the sample. Without groups, each image is its own.
---@param kept {n: integer, source: integer[]}
---@param groups any[]|false|nil
---@param caller string
---@return integer[][]
function resampling.units(kept, groups, caller)
    local list, seen = {}, {}
    for i = 1, kept.n do
        if not groups then
            list[i] = {i}
        else
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
    end
    return list
end

--- How often each image is in a resample of whole patients.
---@param units integer[][]
---@param n integer images
---@param stream table of random numbers
---@return integer[] weights
function resampling.drawn(units, n, stream)
    local weights = {}
    for i = 1, n do weights[i] = 0 end
    for _ = 1, #units do
        for _, i in ipairs(units[stream:integer(#units)]) do weights[i] = weights[i] + 1 end
    end
    return weights
end

-- The units, of which there have to be enough; with both classes where those are wanted.
local function enough_units(kept, groups, both, caller)
    local list = resampling.units(kept, groups, caller)
    if both then
        local total = counts.of(kept, -math.huge)
        if total.tp == 0 or total.fp == 0 then
            return nil, ("needs both classes, has %d positive and %d negative"):format(total.tp, total.fp)
        end
    end
    if #list < 2 then return nil, "needs at least two patients" end
    return list
end

local FEW <const> = "too few patients: most resamples miss a class"

--- Draws `n` resamples and hands the weights of the images to `use`: what C does for the figures that it knows. A
--- resample without one of the classes is drawn again, as rates and areas are not defined on it.
---@param use fun(weights: integer[])
---@return integer? units, string? message
function resampling.weights(kept, groups, n, seed, caller, use)
    local list, message = enough_units(kept, groups, true, caller)
    if not list then return nil, message end
    local labels, stream = kept.labels, random.stream(seed)
    local done, tries = 0, 0
    while done < n do
        tries = tries + 1
        if tries > 100 * n then return nil, FEW end
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

local KINDS <const> = {counts = 0, area = 1, average_precision = 2, aurc = 3, mean = 4} -- lx_figure_kind
local NUMBERS <const> = {counts = 4}

--- A figure that C finds: `counts` (four numbers: true and false positives, true and false negatives), `area` under the
--- ROC curve, `average_precision`, `aurc`, or the `mean` of numbers that each image has.
---@param kind string
---@param kept {scores: number[], ascending: boolean?} a sample
---@param threshold number? of counts
---@return table
function resampling.figure(kind, kept, threshold)
    local scores, places = kept.scores, {}
    local ordered = scores
    for i = 1, #scores do places[i] = i end
    if not kept.ascending and kind ~= "mean" then
        table.sort(places, function(a, b)
            if scores[a] ~= scores[b] then return scores[a] < scores[b] end
            return a < b
        end)
        ordered = {}
        for i, place in ipairs(places) do ordered[i] = scores[place] end
    end
    return {KINDS[kind], ordered, places, threshold or 0, numbers = NUMBERS[kind] or 1}
end

-- Resamples of so many images together between two moments at which Ctrl-C is heard.
local AT_ONCE <const> = 2000000

--- The figures of `n` resamples, the same ones that `resampling.weights` draws.
---@param kept table a sample
---@param groups any[]|false|nil
---@param figures table[]
---@param both boolean whether each resample has to have both classes
---@param opts {n: integer, seed: integer}
---@param caller string
---@return number[][]? values of each number of each figure a list; NaN where it is not defined
---@return integer|string units how many were drawn, or why nil
function resampling.figures(kept, groups, figures, both, opts, caller)
    local list, message = enough_units(kept, groups, both, caller)
    if not list then return nil, message end
    local values, width = {}, 0
    for _, figure in ipairs(figures) do width = width + figure.numbers end
    for k = 1, width do values[k] = {} end
    local state, tries, done = random.stream(opts.seed).state, 100 * opts.n, 0
    while done < opts.n do
        local found
        state, tries, found = core.resample(kept.labels, list, figures, both, state,
            math.min(math.max(1, AT_ONCE // kept.n), opts.n - done), tries)
        for k = 1, width do
            local column = values[k]
            for i = k, #found, width do column[#column + 1] = found[i] end
        end
        done = #values[1]
        if tries == 0 and done < opts.n then return nil, FEW end
    end
    return values, #list
end

--- The value below which the share `q` of ascending values lies, linear in between.
---@param values number[]
---@param q number
---@return number
function resampling.quantile(values, q)
    local at = 1 + (#values - 1) * q
    local below = math.floor(at)
    local above = math.min(below + 1, #values)
    return values[below] + (values[above] - values[below]) * (at - below)
end

--- The percentile interval (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13), of the
--- resamples where the figure is defined, unless that is fewer than half.
---@param values number[] which are sorted; NaN where it is not defined
---@param n integer
---@param level number
---@return number? low, number|string high
function resampling.percentile(values, n, level)
    local kept = {}
    for _, value in ipairs(values) do
        if value == value then kept[#kept + 1] = value end
    end
    if #kept * 2 < n then
        return nil, "not defined on most resamples"
    end
    table.sort(kept)
    return resampling.quantile(kept, (1 - level) / 2), resampling.quantile(kept, (1 + level) / 2)
end

return resampling
