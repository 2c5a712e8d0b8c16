--- Samples: the labelled images of (scores, labels), from which every figure is computed.

local args = require "luxel.args"

local samples = {
    ARGUMENTS = "scores: tensor|table, labels: tensor|table", -- of public functions, for their declarations
}

-- The only number of a row of one.
local function only_one(row, where, place)
    if #row ~= 1 then
        args.fail("%s: expected one number for each image, got %d at place %d; metrics.report takes the scores of "
            .. "several classes or labels", where, #row, place)
    end
    return row[1]
end

--- What is given for each image as a list: a list as it is, a tensor by its first dimension, and one without
--- dimensions as that of a single image.
---@param value any[]|luxel.Tensor
---@param where string "function: argument", for errors
---@return any[]
function samples.list(value, where)
    if type(value) == "userdata" then return value.ndim == 0 and {value:item()} or value:totable() end
    if #value == 0 and next(value) ~= nil then
        args.fail("%s: expected a list of numbers or a tensor, got a table with the name '%s'", where,
            tostring(next(value)))
    end
    return value
end

--- One number for each image, of a list, of a tensor [N] or [N,1], or of lists of one.
---@param value number[]|luxel.Tensor
---@param where string "function: argument", for errors
---@return number[]
function samples.numbers(value, where)
    value = samples.list(value, where)
    local out = {}
    for i = 1, #value do
        local item = value[i]
        while type(item) == "table" do item = only_one(item, where, i) end
        if type(item) ~= "number" then args.fail("%s: expected numbers, got %s at place %d", where, args.describe(
            item), i) end
        out[i] = item
    end
    return out
end


--- The labelled images of (scores, labels): two arrays without the missing ones, and where each came from.
---@param scores number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param caller string the public function, for errors
---@param scores_name string? what its arguments are called, if not scores and labels
---@param labels_name string?
---@return {scores: number[], labels: number[], source: integer[], n: integer, missing: integer}
function samples.of(scores, labels, caller, scores_name, labels_name)
    scores_name, labels_name = scores_name or "scores", labels_name or "labels"
    scores = samples.numbers(scores, caller .. ": " .. scores_name)
    labels = samples.numbers(labels, caller .. ": " .. labels_name)
    if #scores ~= #labels then
        args.fail("%s: %s: expected one for each of the %d %s, got %d", caller, labels_name, #scores, scores_name,
            #labels)
    end
    local kept = {scores = {}, labels = {}, source = {}, n = 0, missing = 0}
    for i = 1, #labels do
        local score, label = scores[i], labels[i]
        if label ~= label then
            kept.missing = kept.missing + 1
        elseif label ~= 0 and label ~= 1 then
            args.fail("%s: %s: expected 0, 1 or NaN (missing), got %s at place %d", caller, labels_name,
                args.describe(label), i)
        elseif score ~= score then
            args.fail("%s: %s: expected numbers, got nan at place %d", caller, scores_name, i)
        else
            local n = kept.n + 1
            kept.n, kept.scores[n], kept.labels[n], kept.source[n] = n, score, label, i
        end
    end
    return kept
end

--- Two scores of the same images: their labelled images, in one order.
---@param scores_a number[]|luxel.Tensor
---@param scores_b number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param caller string the public function, for errors
---@return table a, table b samples
function samples.pair(scores_a, scores_b, labels, caller)
    return samples.of(scores_a, labels, caller, "scores_a"), samples.of(scores_b, labels, caller, "scores_b")
end

--- Whether there is a row of numbers for each image, be it of one.
---@param scores any
---@return boolean
function samples.has_rows(scores)
    if type(scores) == "userdata" then return scores.ndim == 2 end
    return type(scores[1]) == "table"
end

--- Whether there is more than one number for each image.
---@param scores any
---@return boolean
function samples.has_several(scores)
    if type(scores) == "userdata" then return scores.ndim == 2 and scores.shape[2] > 1 end
    return type(scores[1]) == "table" and #scores[1] > 1
end

--- Rows of numbers, all of one length, which is the second result.
---@param value number[][]|luxel.Tensor
---@param where string "function: argument", for errors
---@param least integer? numbers of a row, default 2
---@return number[][] rows, integer? width
function samples.rows(value, where, least)
    value = samples.list(value, where)
    local width
    for i, row in ipairs(value) do
        if type(row) ~= "table" or #row < (least or 2) or width and #row ~= width then
            args.fail("%s: expected a row of %s numbers for each image, got %s at place %d", where,
                width or least == 1 and "one or more" or "two or more",
                type(row) == "table" and #row or args.describe(row), i)
        end
        width = #row
        for _, number in ipairs(row) do
            if type(number) ~= "number" then
                args.fail("%s: expected numbers, got %s at place %d", where, args.describe(number), i)
            end
        end
    end
    return value, width
end

--- The labelled images of rows of probabilities and class numbers from 0: `scores` their rows, `labels` their classes
--- from 1, `called` those of the largest probability.
---@param scores number[][]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param caller string the public function, for errors
---@return {scores: number[][], labels: integer[], called: integer[], source: integer[], n: integer, missing: integer}
function samples.of_classes(scores, labels, caller)
    local width
    scores, width = samples.rows(scores, caller .. ": scores")
    labels = samples.numbers(labels, caller .. ": labels")
    if #labels ~= #scores then
        args.fail("%s: labels: expected one for each of the %d rows of scores, got %d", caller, #scores, #labels)
    end
    local kept = {scores = {}, labels = {}, called = {}, source = {}, n = 0, missing = 0}
    for i, label in ipairs(labels) do
        if label ~= label then
            kept.missing = kept.missing + 1
        else
            local class = math.tointeger(label)
            if not class or class < 0 or class >= width then
                args.fail("%s: labels: expected class numbers from 0 to %d or NaN, got %s at place %d", caller,
                    width - 1, args.describe(label), i)
            end
            local best, sum = 1, 0
            for k, p in ipairs(scores[i]) do
                if p ~= p then args.fail("%s: scores: expected numbers, got nan at place %d", caller, i) end
                if p > scores[i][best] then best = k end
                sum = sum + p
                if p < 0 or p > 1 then sum = math.huge end
            end
            if math.abs(sum - 1) > 1e-3 then
                args.fail("%s: scores: expected probabilities that add up to 1, which image %d has not; logits become "
                    .. "such by softmax, or predict with probabilities = true", caller, i)
            end
            local n = kept.n + 1
            kept.n, kept.scores[n], kept.labels[n], kept.called[n], kept.source[n] = n, scores[i], class + 1, best, i
        end
    end
    return kept
end

--- Class `k` of such images against all others: whether each is of it, the probability, and whether it is called.
---@param kept table
---@param k integer
---@return integer[] labels, number[] probabilities, integer[] called
function samples.one_against_rest(kept, k)
    local labels, probabilities, called = {}, {}, {}
    for i, row in ipairs(kept.scores) do
        labels[i], probabilities[i], called[i] = kept.labels[i] == k and 1 or 0, row[k], kept.called[i] == k and 1 or 0
    end
    return labels, probabilities, called
end

--- Orders a sample by ascending score, once, so that each resample of it costs no sort.
function samples.sorted(kept)
    local order = {}
    for i = 1, kept.n do
        order[i] = i
    end
    local by = kept.scores
    table.sort(order, function(a, b)
        if by[a] ~= by[b] then
            return by[a] < by[b]
        end
        return a < b
    end)
    local out = {scores = {}, labels = {}, source = {}, n = kept.n, missing = kept.missing, ascending = true}
    for i, from in ipairs(order) do
        out.scores[i], out.labels[i], out.source[i] = by[from], kept.labels[from], kept.source[from]
    end
    return out
end

--- Raises where a score of a sample is no probability.
---@param kept table
---@param caller string
function samples.check_probabilities(kept, caller)
    for i = 1, kept.n do
        if kept.scores[i] < 0 or kept.scores[i] > 1 then
            args.fail("%s: scores: expected probabilities from 0 to 1, got %g at place %d (apply a sigmoid to logits "
                .. "first)", caller, kept.scores[i], kept.source[i])
        end
    end
end

return samples
