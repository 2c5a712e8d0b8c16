--- Figures of several classes or labels: the mean of those of each (macro), or of all together (micro).

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"
local samples = require "luxel.metrics.sample"

local metrics = {}

-- The scores and labels of each class or label, with NaN where a label is missing. Of classes that exclude each other,
-- rates are those of the class of the largest probability.
local function columns_of(fn, scores, labels, caller, has_threshold)
    if not samples.has_several(scores) then
        args.fail("%s: scores: expected a row of numbers for each image, of several classes or labels", caller)
    end
    local columns = {}
    if samples.has_several(labels) then
        local rows, width = samples.rows(scores, caller .. ": scores")
        local truth, labels_width = samples.rows(labels, caller .. ": labels")
        if #truth ~= #rows or labels_width ~= width then
            args.fail("%s: labels: expected %d rows of %d numbers, as there are scores, got %d of %d", caller, #rows,
                width, #truth, labels_width)
        end
        for k = 1, width do
            local column = {scores = {}, labels = {}}
            for i, row in ipairs(rows) do column.scores[i], column.labels[i] = row[k], truth[i][k] end
            columns[k] = column
        end
        return columns
    end
    local kept = samples.of_classes(scores, labels, caller)
    if kept.n == 0 then return columns end
    local is_rate = counts.is_rate[fn]
    if is_rate and has_threshold then
        args.fail("%s: threshold: of many classes the one of the largest probability is called", caller)
    end
    for k = 1, #kept.scores[1] do
        local label, probability, called = samples.one_against_rest(kept, k)
        columns[k] = {scores = is_rate and called or probability, labels = label}
    end
    return columns
end

local function check_result(caller, value, message)
    return args.check(caller .. ": fn: its result", "number?", value), message
end

--- The mean of a figure over classes or labels, each of which counts the same. Where it is not defined for one (no
--- image of it, say), that one is left out.
---@param fn fun(scores: number[], labels: number[], threshold: number?): number? such as `metrics.f1`
---@param scores number[][]|luxel.Tensor a row for each image
---@param labels number[]|number[][]|luxel.Tensor class numbers from 0, or rows of 0, 1 and NaN
---@param threshold? number of rates of several labels, default 0.5; of classes the one of the largest probability is
---  called
---@return number? mean, integer|string count of how many it is the mean, or why nil
function metrics.macro(fn, scores, labels, threshold)
    local sum, count, message = 0, 0, nil
    for _, column in ipairs(columns_of(fn, scores, labels, "macro", threshold)) do
        local value, why = check_result("macro", fn(column.scores, column.labels, threshold))
        if value then sum, count = sum + value, count + 1 else message = why end
    end
    if count == 0 then return nil, message or "no labelled image" end
    return sum / count, count
end

--- A figure of the images of all classes or labels together, as if each were a question of its own: those of many
--- images count for more.
---@param fn fun(scores: number[], labels: number[], threshold: number?): number? such as `metrics.f1`
---@param scores number[][]|luxel.Tensor a row for each image
---@param labels number[]|number[][]|luxel.Tensor class numbers from 0, or rows of 0, 1 and NaN
---@param threshold? number as of `macro`
---@return number? value, string? message
function metrics.micro(fn, scores, labels, threshold)
    local all = {scores = {}, labels = {}}
    for _, column in ipairs(columns_of(fn, scores, labels, "micro", threshold)) do
        table.move(column.scores, 1, #column.scores, #all.scores + 1, all.scores)
        table.move(column.labels, 1, #column.labels, #all.labels + 1, all.labels)
    end
    return check_result("micro", fn(all.scores, all.labels, threshold))
end

local ARGUMENTS <const> = "fn: function, " .. samples.ARGUMENTS .. ", threshold: threshold?"

args.publish("", metrics, {macro = ARGUMENTS, micro = ARGUMENTS})

return {public = metrics}
