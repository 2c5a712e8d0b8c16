--- From a network's logit to a probability that can be believed.
--
-- A network trained with class weights, or past the point where it is right about nearly everything, is wrong about
-- how sure it is. Platt scaling puts p = sigmoid(scale * logit + shift), with the two numbers fitted on validation
-- images (Platt 1999, "Probabilistic outputs for support vector machines", with his smoothed targets, so that a
-- perfectly separated set does not give infinite certainty; solved as in Lin, Lin and Weng 2007).

local calibration = {}

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

--- Fits the two numbers by Newton's method. Missing labels (NaN) are left out.
---@param logits number[]
---@param labels number[] 0 or 1
---@return Calibration? nil where there is only one class
function calibration.fit(logits, labels)
    local kept, targets, count = {}, {}, {[0] = 0, [1] = 0}
    for _, label in ipairs(labels) do
        if count[label] then count[label] = count[label] + 1 end
    end
    if count[0] == 0 or count[1] == 0 then return nil end
    local goal = {[0] = 1 / (count[0] + 2), [1] = (count[1] + 1) / (count[1] + 2)}
    for i, label in ipairs(labels) do
        if goal[label] then kept[#kept + 1], targets[#targets + 1] = logits[i], goal[label] end
    end
    local scale, shift = 1, 0
    local loss = cross_entropy(kept, targets, scale, shift)
    for _ = 1, 100 do
        local g1, g2, h11, h12, h22 = slopes(kept, targets, scale, shift)
        if math.abs(g1) < 1e-6 and math.abs(g2) < 1e-6 then break end
        local determinant = h11 * h22 - h12 * h12
        local d1, d2 = (h12 * g2 - h22 * g1) / determinant, (h12 * g1 - h11 * g2) / determinant
        local length, better = 1, false
        while length > 1e-8 and not better do
            local tried = cross_entropy(kept, targets, scale + length * d1, shift + length * d2)
            better = tried < loss
            if better then
                scale, shift, loss = scale + length * d1, shift + length * d2, tried
            else
                length = length / 2
            end
        end
        if not better then break end
    end
    return {scale = scale, shift = shift}
end

--- The probability for a logit; without a calibration the plain sigmoid.
---@param fitted Calibration?
---@param logit number
---@return number from 0 to 1
function calibration.probability(fitted, logit)
    if not fitted then return sigmoid(logit) end
    return sigmoid(fitted.scale * logit + fitted.shift)
end

return calibration
