--- From a network's logit to a probability that can be believed.
--
-- A network trained with class weights, or past the point where it is right about nearly everything, is wrong about
-- how sure it is. Platt scaling puts p = sigmoid(scale * logit + shift), with the two numbers fitted on validation
-- images (Platt 1999, "Probabilistic outputs for support vector machines", with his smoothed targets, so that a
-- perfectly separated set does not give infinite certainty; solved as in Lin, Lin and Weng 2007).

local args = require "luxel.args"
local namespace = require "luxel.namespace"
local result_type = require "luxel.result"

local calibration = {}

local new_calibration = result_type("calibration", {"scale", "shift"}, function(self)
    return ("calibration: probability = sigmoid(%.4g * logit + %.4g)"):format(self.scale, self.shift)
end)

---@class Calibration
---@field scale number
---@field shift number

-- log(1 + e^z) without overflow.
local function softplus(z)
    if z > 0 then return z + math.log(1 + math.exp(-z)) end
    return math.log(1 + math.exp(z))
end

local function sigmoid(z)
    if z >= 0 then return 1 / (1 + math.exp(-z)) end
    local e = math.exp(z)
    return e / (1 + e)
end

local function cross_entropy(logits, targets, scale, shift)
    local sum = 0
    for i, logit in ipairs(logits) do
        local z = scale * logit + shift
        sum = sum + softplus(z) - targets[i] * z
    end
    return sum
end

-- Gradient and Hessian of the cross-entropy in (scale, shift).
local function slopes(logits, targets, scale, shift)
    local g1, g2, h11, h12, h22 = 0, 0, 1e-9, 0, 1e-9
    for i, logit in ipairs(logits) do
        local p = sigmoid(scale * logit + shift)
        local d, w = p - targets[i], p * (1 - p)
        g1, g2 = g1 + d * logit, g2 + d
        h11, h12, h22 = h11 + w * logit * logit, h12 + w * logit, h22 + w
    end
    return g1, g2, h11, h12, h22
end

-- Logits moved and stretched to mean 0 and variance 1, in place. Far from 0 every sigmoid is flat, and Newton's method
-- would not find from there.
local function standardise(logits)
    local sum, squares = 0, 0
    for _, logit in ipairs(logits) do sum = sum + logit end
    local mean = sum / #logits
    for _, logit in ipairs(logits) do squares = squares + (logit - mean) ^ 2 end
    local deviation = squares > 0 and math.sqrt(squares / #logits) or 1
    for i, logit in ipairs(logits) do logits[i] = (logit - mean) / deviation end
    return mean, deviation
end

-- Further than the logits of any network, which are float32, can lead.
local LARGEST <const> = 1e12

--- Fits the two numbers by Newton's method. Missing labels (NaN) are left out.
---@param logits number[] finite
---@param labels number[] 0, 1, or NaN (missing)
---@return Calibration? nil where there is only one class, or a number would be above 1e12
function calibration.fit(logits, labels)
    if #logits ~= #labels then
        args.fail("calibration.fit: labels: expected one for each of the %d logits, got %d", #logits, #labels)
    end
    local kept, targets, count = {}, {}, {[0] = 0, [1] = 0}
    for i, label in ipairs(labels) do
        if count[label] then
            count[label] = count[label] + 1
        elseif label == label then
            args.fail("calibration.fit: labels: expected 0, 1 or NaN (missing), got %s at place %d", tostring(label), i)
        end
    end
    if count[0] == 0 or count[1] == 0 then return nil end
    local goal = {[0] = 1 / (count[0] + 2), [1] = (count[1] + 1) / (count[1] + 2)}
    for i, label in ipairs(labels) do
        if goal[label] then kept[#kept + 1], targets[#targets + 1] = logits[i], goal[label] end
    end
    local mean, deviation = standardise(kept)
    local scale, shift = 0, math.log((count[1] + 1) / (count[0] + 1))
    local loss = cross_entropy(kept, targets, scale, shift)
    for _ = 1, 100 do
        local g1, g2, h11, h12, h22 = slopes(kept, targets, scale, shift)
        if math.abs(g1) < 1e-6 and math.abs(g2) < 1e-6 then break end
        local determinant = h11 * h22 - h12 * h12
        local d1, d2 = (h12 * g2 - h22 * g1) / determinant, (h12 * g1 - h11 * g2) / determinant
        local length, better = 1, false
        while length > 1e-8 and not better do
            local next_scale, next_shift = scale + length * d1, shift + length * d2
            local tried = cross_entropy(kept, targets, next_scale, next_shift)
            better = tried < loss
            if better then
                scale, shift, loss = next_scale, next_shift, tried
            else
                length = length / 2
            end
        end
        if not better then break end
    end
    scale, shift = scale / deviation, shift - scale * mean / deviation
    if math.abs(scale) > LARGEST or math.abs(shift) > LARGEST then return nil end
    return new_calibration {scale = scale, shift = shift}
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
            for _, logit in ipairs(rows[i]) do largest = math.max(largest, math.abs(logit - rows[i][1])) end
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
    if not point or point ~= point then return 0.5 end
    if point <= 0 or point >= 1 then
        args.fail("calibration.operating_point: point: expected a number above 0 and below 1, got %s", tostring(point))
    end
    if p < point then return p / (2 * point) end
    return 1 - (1 - p) / (2 * (1 - point))
end

--- The probability for a logit; without a calibration the plain sigmoid.
---@param fitted Calibration|{operating_point: number|false}|false|nil
---@param logit number finite
---@return number from 0 to 1
function calibration.probability(fitted, logit)
    if not fitted then return sigmoid(logit) end
    local point = rawget(fitted, "operating_point")
    if point ~= nil then return calibration.operating_point(sigmoid(logit), point) end
    return sigmoid(fitted.scale * logit + fitted.shift)
end

return namespace("lx.calibration", args.publish("calibration.", calibration, {
    fit = "logits: finite[], labels: number[]",
    softmax = "row: finite[], temperature: positive?",
    fit_temperature = "rows: table[], labels: number[]",
    operating_point = "p: number(0..1), point: number|false?",
    probability = "fitted: {scale: finite(-1e12..1e12), shift: finite(-1e12..1e12)}|{operating_point: number|false}"
        .. "|false?, logit: finite",
}))
