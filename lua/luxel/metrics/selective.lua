--- What a doubt is worth: how wrong the answers are that remain when the most doubtful are left to a person.
--
-- Everything takes `doubts` (the higher, the sooner the image is left to a person) and `errors` (1 where the answer was
-- wrong, 0 where it was right, NaN where nobody knows: left out). Images of the same doubt are answered in any order:
-- figures are means over all orders.

local args = require "luxel.args"
local curve_type = require "luxel.metrics.points"
local samples = require "luxel.metrics.sample"

local metrics = {}

local NONE <const> = "no image whose answer is known to be right or wrong"

-- The images, under the words that these functions have for their arguments.
local function sample(doubts, errors, caller)
    return samples.sorted(samples.of(doubts, errors, caller, "doubts", "errors"))
end

-- Calls `use(images, errors, count, wrong, doubt)` for each distinct doubt, ascending: the images and errors before it,
-- and those that have it.
local function each_level(kept, use)
    local i, images, wrong = 1, 0, 0
    while i <= kept.n do
        local doubt, count, errors = kept.scores[i], 0, 0
        repeat
            count, errors, i = count + 1, errors + kept.labels[i], i + 1
        until kept.scores[i] ~= doubt
        use(images, wrong, count, errors, doubt)
        images, wrong = images + count, wrong + errors
    end
end

local new_curve = curve_type("risk-coverage curve", "points", "      doubt  coverage    risk",
    "  %9.4g  %8.4f  %.4f", {"doubt", "coverage", "risk"})

--- The share of wrong answers (risk) among the share of images that are answered (coverage), those up to each doubt
--- (El-Yaniv and Wiener, JMLR 11:1605, 2010).
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@return {coverage: number, risk: number, doubt: number}[]? points one for each distinct doubt, ascending
---@return string? message
function metrics.risk_coverage(doubts, errors)
    local kept, points = sample(doubts, errors, "risk_coverage"), {}
    if kept.n == 0 then return nil, NONE end
    each_level(kept, function(images, wrong, count, more, doubt)
        points[#points + 1] = {
            coverage = (images + count) / kept.n, risk = (wrong + more) / (images + count), doubt = doubt,
        }
    end)
    return new_curve(points)
end

-- Area under the risk-coverage curve of a sorted sample.
local function area(kept)
    if kept.n == 0 then return nil, NONE end
    local sum = 0
    each_level(kept, function(images, wrong, count, more)
        local risk = more / count
        for k = 1, count do sum = sum + (wrong + k * risk) / (images + k) end
    end)
    return sum / kept.n
end

--- The area under the risk-coverage curve: the mean risk over all numbers of images that may be answered (Geifman and
--- El-Yaniv, NeurIPS 2017). Less is better; a doubt that knows nothing has the share of errors.
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@return number? aurc, string? message
function metrics.aurc(doubts, errors) return area(sample(doubts, errors, "aurc")) end

--- The share of wrong answers when the least doubtful share of the images is answered.
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@param coverage number above 0 and up to 1: the share that is answered, at least
---@return number? risk, number|string doubt the largest that is answered, or why nil
function metrics.risk_at_coverage(doubts, errors, coverage)
    if coverage == 0 then args.fail("risk_at_coverage: coverage: expected a number above 0 and up to 1, got 0") end
    local kept = sample(doubts, errors, "risk_at_coverage")
    if kept.n == 0 then return nil, NONE end
    local answered, risk, largest = math.max(1, math.ceil(coverage * kept.n - 1e-9)), nil, nil
    each_level(kept, function(images, wrong, count, more, doubt)
        local taken = answered - images
        if taken > 0 and taken <= count then risk, largest = (wrong + taken * more / count) / answered, doubt end
    end)
    return risk, largest
end

local ARGUMENTS <const> = "doubts: tensor|table, errors: tensor|table"

args.publish("", metrics, {
    risk_coverage = ARGUMENTS, aurc = ARGUMENTS, risk_at_coverage = ARGUMENTS .. ", coverage: number(0..1)",
})

return {public = metrics, area = area}
