--- From a network's logit to a probability that can be believed.
--
-- A network trained with class weights, or past the point where it is right about nearly everything, is wrong about
-- how sure it is. What is fitted on validation images sets that right: of one logit in one of four ways, of the logits
-- of classes that exclude each other by a temperature.

local args = require "luxel.args"
local logistic = require "luxel.calibration.logistic"
local methods = require "luxel.calibration.methods"
local namespace = require "luxel.namespace"
local prior = require "luxel.calibration.prior"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local calibration = {with_prior = prior.with_prior, prior_shift = prior.prior_shift}

---@class Calibration
---@field scale number? of Platt's scaling
---@field shift number?
---@field temperature number?
---@field logits number[]? of isotonic regression, ascending
---@field probabilities number[]?
---@field a number? of beta calibration, which has b and c too

--- Fits a calibration of one logit. Missing labels (NaN) are left out.
--
-- - platt: sigmoid(scale * logit + shift) (Platt 1999, "Probabilistic outputs for support vector machines"; solved as
--   in Lin, Lin and Weng 2007).
-- - temperature: sigmoid(logit / temperature) (Guo, Pleiss, Sun and Weinberger, ICML 2017).
-- - beta: the sigmoid s of the logit becomes 1 / (1 + e^-c (1 - s)^b / s^a), neither exponent below 0 (Kull, Silva
--   Filho and Flach, AISTATS 2017).
-- - isotonic: the rising steps nearest to the labels, linear in between and constant outside (Zadrozny and Elkan, KDD
--   2002). Of few images it follows chance, and it can say 0 and 1.
--
-- All but isotonic are fitted to Platt's smoothed targets, so that a perfectly separated set does not give infinite
-- certainty.
---@param logits number[] finite
---@param labels number[] 0, 1, or NaN (missing)
---@param options? {method: "platt"|"temperature"|"isotonic"|"beta"|nil} default "platt"
---@return Calibration? fitted nil where there is only one class, or a number would be above 1e12; a table that models
---  keep as `calibration` in their metadata
---@return string? message why nil
function calibration.fit(logits, labels, options)
    if #logits ~= #labels then
        args.fail("calibration.fit: labels: expected one for each of the %d logits, got %d", #logits, #labels)
    end
    local kept, truth = {}, {}
    for i, label in ipairs(labels) do
        if label == 0 or label == 1 then
            kept[#kept + 1], truth[#truth + 1] = logits[i], label
        elseif label == label then
            args.fail("calibration.fit: labels: expected 0, 1 or NaN (missing), got %s at place %d", tostring(label), i)
        end
    end
    local targets, positives, negatives = logistic.targets(truth)
    if not targets then
        return nil, ("needs both classes, has %d positive and %d negative"):format(positives, negatives)
    end
    local fitted = methods.by_name[options and options.method or "platt"].fit(kept, truth, targets)
    if fitted then return fitted end
    return nil, "the logits are too large, too close together, or all 0"
end

-- ---- many classes -------------------------------------------------------------------------------------------------

--- Probabilities of the logits of classes that exclude each other.
---@param row number[] finite
---@param temperature number? above 0, default 1: what the logits are divided by
---@return number[] that add up to 1
function calibration.softmax(row, temperature)
    local largest, sum, out = -math.huge, 0, {}
    for _, logit in ipairs(row) do largest = math.max(largest, logit) end
    for k, logit in ipairs(row) do
        out[k] = math.exp((logit - largest) / (temperature or 1))
        sum = sum + out[k]
    end
    for k, value in ipairs(out) do out[k] = value / sum end
    return out
end

-- Cross-entropy of rows at an inverse temperature, and its first two derivatives by it.
local function cooled(rows, labels, inverse)
    local loss, slope, bend = 0, 0, 0
    for i, row in ipairs(rows) do
        local p, mean, square = calibration.softmax(row, 1 / inverse), 0, 0
        for k, logit in ipairs(row) do mean, square = mean + p[k] * logit, square + p[k] * logit * logit end
        loss = loss - math.log(math.max(p[labels[i] + 1], 1e-300))
        slope, bend = slope + mean - row[labels[i] + 1], bend + square - mean * mean
    end
    return loss, slope, bend
end

local new_temperature = result_type("temperature", {"temperature"}, function(self)
    return ("calibration: probabilities = softmax(logits / %.4g)"):format(self.temperature)
end)

--- Fits one number that all logits are divided by (Guo, Pleiss, Sun and Weinberger, ICML 2017), by Newton's method. The
--- cross-entropy is convex in its inverse. Missing labels (NaN) are left out.
---@param rows number[][] logits, finite
---@param labels number[] class numbers from 0, or NaN
---@return {temperature: number}? nil where there are fewer than two classes, or all logits of each image are the
---  same; else from 1e-4 to 1e4 times the largest difference of logits
function calibration.fit_temperature(rows, labels)
    samples.rows(rows, "calibration.fit_temperature: rows")
    if #rows ~= #labels then
        args.fail("calibration.fit_temperature: labels: expected one for each of the %d rows, got %d", #rows, #labels)
    end
    local kept, truth, seen, largest = {}, {}, {}, 0
    for i, label in ipairs(labels) do
        if label == label then
            if math.tointeger(label) == nil or label < 0 or label >= #rows[i] then
                args.fail("calibration.fit_temperature: labels: expected class numbers from 0 to %d, got %s at "
                    .. "place %d",
                    #rows[i] - 1, tostring(label), i)
            end
            kept[#kept + 1], truth[#truth + 1], seen[label] = rows[i], math.tointeger(label), true
            for _, logit in ipairs(rows[i]) do
                if logit - logit ~= 0 then
                    args.fail("calibration.fit_temperature: rows: expected finite numbers, got %s at place %d",
                        args.describe(logit), i)
                end
                largest = math.max(largest, math.abs(logit - rows[i][1]))
            end
        end
    end
    if next(seen) == nil or next(seen, next(seen)) == nil or largest == 0 then return nil end
    local low, high = 1e-4 / largest, 1e4 / largest
    local inverse = math.max(low, math.min(high, 1 / largest))
    for _ = 1, 200 do
        local _, slope, bend = cooled(kept, truth, inverse)
        local step = bend > 0 and slope / bend or (slope > 0 and inverse or -inverse)
        -- no further than to half or to twice: far away the curve is flat
        local next_inverse = math.max(inverse / 2, math.min(2 * inverse, inverse - step))
        next_inverse = math.max(low, math.min(high, next_inverse))
        if math.abs(next_inverse - inverse) <= 1e-10 * inverse then break end
        inverse = next_inverse
    end
    return new_temperature {temperature = 1 / inverse}
end

--- The probability that torchxrayvision (Cohen et al. 2022) makes of one: its models have for each class the
--- probability that shall count as 0.5, and the parts below and above are stretched to that. A class that was not
--- trained has none, and its answer is 0.5, whatever the network says.
---@param p number from 0 to 1
---@param point number|false|nil above 0 and below 1; false, nil or NaN: there is none
---@return number from 0 to 1
function calibration.operating_point(p, point)
    if point and (point <= 0 or point >= 1) then
        args.fail("calibration.operating_point: point: expected a number above 0 and below 1, got %s", tostring(point))
    end
    return methods.operating_point(p, point)
end

--- The probability for a logit; without a calibration the plain sigmoid.
---@param fitted Calibration|{operating_point: number|false}|false|nil
---@param logit number finite
---@return number from 0 to 1
function calibration.probability(fitted, logit) return methods.probability(fitted, logit) end

local PRIOR <const> = "probabilities: tensor|table, from: number|number[]"

return namespace("lx.calibration", args.publish("calibration.", calibration, {
    fit = "logits: finite[], labels: number[], "
        .. 'options: {method: "platt"|"temperature"|"isotonic"|"beta"?}?',
    softmax = "row: finite[], temperature: positive?",
    fit_temperature = "rows: table[], labels: number[]",
    operating_point = "p: number(0..1), point: number|false?",
    probability = "fitted: calibration|false?, logit: finite",
    with_prior = PRIOR .. ", to: number|number[]",
    prior_shift = PRIOR .. ", options: {iterations: integer(1..1000000)?, tolerance: positive?}?",
}))
