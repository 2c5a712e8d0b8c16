--- Sets of classes that hold the right one as often as one asks for, by split conformal prediction (Vovk, Gammerman and
--- Shafer, "Algorithmic learning in a random world", 2005; Angelopoulos and Bates, arXiv 2107.07511, 2021).
--
--     local fitted = lx.conformal.fit(val_probabilities, val_labels)
--     local sets = lx.conformal.sets(fitted, probabilities, 0.9)     -- {0}, {1}, {0, 1} or {} of each image
--     print(lx.conformal.evaluate(sets, labels))
--
-- The promise holds on average over images that are like those it was fitted on (exchangeable with them), which were
-- not trained on, and of which no two belong together. It does not hold for another hospital's.

local args = require "luxel.args"
local namespace = require "luxel.namespace"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local conformal = {}

---@class luxel.Conformal
---@field classes integer how many
---@field scores number[][] nonconformity of the images it was fitted on, ascending; of each class where `by_class`,
---  else in one list
---@field by_class boolean

local new_conformal = result_type("conformal", {"classes", "scores", "by_class"}, function(self)
    local counts = {}
    for k, list in ipairs(self.scores) do counts[k] = #list end
    return ("conformal: %d classes, %s images%s"):format(self.classes, table.concat(counts, " + "),
        self.by_class and ", by class" or "")
end)

args.type("coverage", "a share above 0 and below 1", "number", function(value) return value > 0 and value < 1 end)

-- Floats that stand for shares are a little off: (n + 1) * 0.9 is to be 9 for n = 9.
local function rank(count, coverage) return math.ceil((count + 1) * coverage - 1e-9) end

-- The quantile of ascending scores.
local function quantile(ascending, coverage)
    local k = rank(#ascending, coverage)
    return k <= #ascending and ascending[math.max(k, 1)] or math.huge
end

-- How many of ascending scores are below one.
local function below(ascending, score)
    local low, high = 0, #ascending
    while low < high do
        local middle = (low + high + 1) // 2
        if ascending[middle] < score then low = middle else high = middle - 1 end
    end
    return low
end

-- Numbers in ascending order, none of them NaN.
local function ascending(scores, where)
    local list = samples.numbers(scores, where)
    for i, score in ipairs(list) do
        if score ~= score then args.fail("%s: expected numbers, got nan at place %d", where, i) end
    end
    table.sort(list)
    return list
end

--- The nonconformity that a new image's stays at or below with a probability of at least `coverage`: of n scores the
--- one of rank ceil((n + 1) coverage).
---@param scores number[]|luxel.Tensor of images that were not trained on, in any order
---@param coverage number above 0 and below 1
---@return number quantile infinite where there are too few scores to promise that
function conformal.quantile(scores, coverage)
    return quantile(ascending(scores, "conformal.quantile: scores"), coverage)
end

--- How unusual a score is: the share of n scores, and of itself, that are as large or larger, (1 + their number) /
--- (n + 1). At or below p with a probability of at most p, if the image is like the others.
---@param scores number[]|luxel.Tensor of images that were not trained on, in any order
---@param score number other than NaN
---@return number p
function conformal.p_value(scores, score)
    local list = ascending(scores, "conformal.p_value: scores")
    return (1 + #list - below(list, score)) / (#list + 1)
end

-- The nonconformity of each class: one less its probability. Of two classes from the probability of the second.
local function nonconformities(item, classes, where, place)
    if type(item) == "table" and #item == 1 then item = item[1] end
    local row = type(item) == "table" and item or {item}
    for _, p in ipairs(row) do
        if type(p) ~= "number" or not (p >= 0 and p <= 1) then
            args.fail("%s: expected probabilities from 0 to 1, got %s at place %d", where, args.describe(p), place)
        end
    end
    if type(item) == "number" then row = {item, 1 - item} else
        local out, sum = {}, 0
        for k, p in ipairs(row) do out[k], sum = 1 - p, sum + p end
        if math.abs(sum - 1) > 1e-3 then
            args.fail("%s: expected probabilities that add up to 1, which those at place %d do not", where, place)
        end
        row = out
    end
    if classes and #row ~= classes then
        args.fail("%s: expected the probabilities of %d classes, got %d at place %d", where, classes, #row, place)
    end
    return row
end

--- Fits prediction sets on images that were not trained on (validation images that chose nothing, best of all). The
--- nonconformity of a class is one less its probability (Sadinle, Lei and Wasserman, JASA 114:223, 2019).
---@param probabilities number[]|number[][]|luxel.Tensor of the positive of two classes, or a row for each image
---@param labels number[]|luxel.Tensor class numbers from 0, or NaN (left out)
---@param options? {by_class: boolean?} by_class: the coverage is promised for the images of each class by themselves
---  (Vovk 2005, section 4.5), which takes more images
---@return luxel.Conformal fitted a table that can be kept as JSON
function conformal.fit(probabilities, labels, options)
    local where = "conformal.fit: probabilities"
    local items = samples.list(probabilities, where)
    local truth = samples.numbers(labels, "conformal.fit: labels")
    if #items ~= #truth then
        args.fail("conformal.fit: labels: expected one for each of the %d images, got %d", #items, #truth)
    end
    local by_class, classes, scores = options and options.by_class or false, nil, {}
    for i, label in ipairs(truth) do
        local row = nonconformities(items[i], classes, where, i)
        classes = #row
        if label == label then
            local class = math.tointeger(label)
            if not class or class < 0 or class >= classes then
                args.fail("conformal.fit: labels: expected class numbers from 0 to %d or NaN, got %s at place %d",
                    classes - 1, args.describe(label), i)
            end
            local list = by_class and class + 1 or 1
            scores[list] = scores[list] or {}
            table.insert(scores[list], row[class + 1])
        end
    end
    if next(scores) == nil then args.fail("conformal.fit: labels: there is no labelled image") end
    for k = 1, by_class and classes or 1 do
        scores[k] = scores[k] or {}
        table.sort(scores[k])
    end
    return new_conformal {classes = classes, scores = scores, by_class = by_class}
end

--- The classes of each image that are not unusual for it. A set of several says that the model cannot tell, an empty
--- one that the image is like none of them.
---@param fitted luxel.Conformal
---@param probabilities number[]|number[][]|luxel.Tensor as of `fit`
---@param coverage number above 0 and below 1: the share of images whose set holds the right class, at least
---@return integer[][] sets class numbers from 0, ascending; all of them where the images of `fit` are too few to
---  promise that
function conformal.sets(fitted, probabilities, coverage)
    local limits, sets = {}, {}
    for k = 1, fitted.classes do limits[k] = quantile(fitted.scores[fitted.by_class and k or 1], coverage) end
    local where = "conformal.sets: probabilities"
    for i, item in ipairs(samples.list(probabilities, where)) do
        local row, set = nonconformities(item, fitted.classes, where, i), {}
        for k, score in ipairs(row) do
            if score <= limits[k] then set[#set + 1] = k - 1 end
        end
        sets[i] = set
    end
    return sets
end

--- How unusual each class would be for each image, as of `p_value`. The set of coverage c holds the classes above
--- 1 - c.
---@param fitted luxel.Conformal
---@param probabilities number[]|number[][]|luxel.Tensor as of `fit`
---@return number[][] p of each image a number for each class
function conformal.p_values(fitted, probabilities)
    local out, where = {}, "conformal.p_values: probabilities"
    for i, item in ipairs(samples.list(probabilities, where)) do
        local row = nonconformities(item, fitted.classes, where, i)
        for k, score in ipairs(row) do
            local list = fitted.scores[fitted.by_class and k or 1]
            row[k] = (1 + #list - below(list, score)) / (#list + 1)
        end
        out[i] = row
    end
    return out
end

local new_evaluation = result_type("prediction sets", {"n", "coverage", "size", "singles", "empty", "by_class"},
    function(self)
        return ("prediction sets of %d images: %.1f%% hold the right class; %.1f%% are of one class, %.1f%% empty; "
            .. "mean size %.2f"):format(self.n, 100 * self.coverage, 100 * self.singles, 100 * self.empty, self.size)
    end)

--- How often sets hold the right class, and how much they say.
---@param sets integer[][] of `sets`
---@param labels number[]|luxel.Tensor class numbers from 0, or NaN (left out)
---@return {n: integer, coverage: number, size: number, singles: number, empty: number,
---  by_class: table<integer, number>}? evaluation size: mean number of classes; singles, empty: shares of sets of one
---  and of no class; by_class: the coverage of the images of each class that occurs
---@return string? message why nil
function conformal.evaluate(sets, labels)
    local truth = samples.numbers(labels, "conformal.evaluate: labels")
    if #sets ~= #truth then
        args.fail("conformal.evaluate: labels: expected one for each of the %d sets, got %d", #sets, #truth)
    end
    local n, size, singles, empty, covered, counts, right = 0, 0, 0, 0, 0, {}, {}
    for i, label in ipairs(truth) do
        if label == label then
            local set, found = args.check(("conformal.evaluate: sets: place %d"):format(i), "table", sets[i]), 0
            for _, class in ipairs(set) do found = class == label and 1 or found end
            n, size, covered = n + 1, size + #set, covered + found
            singles, empty = singles + (#set == 1 and 1 or 0), empty + (#set == 0 and 1 or 0)
            label = math.tointeger(label) or label
            counts[label], right[label] = (counts[label] or 0) + 1, (right[label] or 0) + found
        end
    end
    if n == 0 then return nil, "no labelled image" end
    for class, count in pairs(counts) do right[class] = right[class] / count end
    return new_evaluation {
        n = n, coverage = covered / n, size = size / n, singles = singles / n, empty = empty / n, by_class = right,
    }
end

-- Whether lists of numbers ascend.
local function is_ascending(lists)
    for _, list in ipairs(lists) do
        if type(list) ~= "table" then return false end
        for i, score in ipairs(list) do
            if type(score) ~= "number" or score ~= score or i > 1 and score < list[i - 1] then return false end
        end
    end
    return true
end

args.type("conformal", "what conformal.fit gives", "table", function(value)
    return args.mistake_in("", "{classes: integer(2..), scores: any[], by_class: boolean}", value) == nil
        and #value.scores == (value.by_class and value.classes or 1)
        and is_ascending(value.scores)
end)

return namespace("lx.conformal", args.publish("conformal.", conformal, {
    quantile = "scores: tensor|table, coverage: coverage",
    p_value = "scores: tensor|table, score: ordered",
    fit = "probabilities: tensor|table, labels: tensor|table, options: {by_class: boolean?}?",
    sets = "fitted: conformal, probabilities: tensor|table, coverage: coverage",
    p_values = "fitted: conformal, probabilities: tensor|table",
    evaluate = "sets: table, labels: tensor|table",
}))
