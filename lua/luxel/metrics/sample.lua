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

--- One number for each image, of a list, of a tensor [N] or [N,1], or of lists of one.
---@param value number[]|luxel.Tensor
---@param where string "function: argument", for errors
---@return number[]
function samples.numbers(value, where)
    if type(value) == "userdata" then
        if value.ndim == 0 then return {value:item()} end
        value = value:totable()
    elseif #value == 0 and next(value) ~= nil then
        args.fail("%s: expected a list of numbers or a tensor, got a table with the name '%s'", where,
            tostring(next(value)))
    end
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
    local out = {scores = {}, labels = {}, source = {}, n = kept.n, missing = kept.missing}
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
