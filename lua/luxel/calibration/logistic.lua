--- Logistic regression of a few columns of numbers, as calibrations want it: by Newton's method, from targets between 0
--- and 1.

local logistic = {}

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

logistic.softplus, logistic.sigmoid = softplus, sigmoid

--- What the probabilities of the two labels are fitted to (Platt 1999): as if one more image of each class had been
--- seen, so that a perfectly separated set does not give infinite certainty.
---@param labels number[] of 0 and 1
---@return number[]? targets nil where there is only one class
---@return number positives, number negatives
function logistic.targets(labels)
    local positives = 0
    for _, label in ipairs(labels) do positives = positives + label end
    local negatives = #labels - positives
    if positives == 0 or negatives == 0 then return nil, positives, negatives end
    local targets, low, high = {}, 1 / (negatives + 2), (positives + 1) / (positives + 2)
    for i, label in ipairs(labels) do targets[i] = label == 1 and high or low end
    return targets, positives, negatives
end

-- A column stretched to variance 1 and, if `centred`, moved to mean 0. Far from 0 every sigmoid is flat, and Newton's
-- method would not find from there.
local function standardised(column, centred)
    local sum, squares, out = 0, 0, {}
    for _, value in ipairs(column) do sum = sum + value end
    local mean = centred and sum / #column or 0
    for _, value in ipairs(column) do squares = squares + (value - mean) ^ 2 end
    local deviation = squares > 0 and math.sqrt(squares / #column) or 1
    for i, value in ipairs(column) do out[i] = (value - mean) / deviation end
    return out, mean, deviation
end

local function cross_entropy(columns, targets, weights)
    local sum = 0
    for i, target in ipairs(targets) do
        local z = 0
        for k, column in ipairs(columns) do z = z + weights[k] * column[i] end
        sum = sum + softplus(z) - target * z
    end
    return sum
end

-- Gradient and Hessian of the cross-entropy in the weights.
local function slopes(columns, targets, weights)
    local gradient, hessian = {}, {}
    for a = 1, #columns do
        gradient[a], hessian[a] = 0, {}
        for b = 1, #columns do hessian[a][b] = a == b and 1e-9 or 0 end
    end
    for i, target in ipairs(targets) do
        local z = 0
        for k, column in ipairs(columns) do z = z + weights[k] * column[i] end
        local p = sigmoid(z)
        local difference, bend = p - target, p * (1 - p)
        for a, column in ipairs(columns) do
            local value = column[i]
            gradient[a] = gradient[a] + difference * value
            for b = 1, a do hessian[a][b] = hessian[a][b] + bend * value * columns[b][i] end
        end
    end
    for a = 1, #columns do
        for b = a + 1, #columns do hessian[a][b] = hessian[b][a] end
    end
    return gradient, hessian
end

-- Solves a small positive definite system, by elimination.
local function solve(matrix, right)
    local n = #right
    for k = 1, n do
        for row = k + 1, n do
            local factor = matrix[row][k] / matrix[k][k]
            for column = k, n do matrix[row][column] = matrix[row][column] - factor * matrix[k][column] end
            right[row] = right[row] - factor * right[k]
        end
    end
    for k = n, 1, -1 do
        for column = k + 1, n do right[k] = right[k] - matrix[k][column] * right[column] end
        right[k] = right[k] / matrix[k][k]
    end
    return right
end

local function moved_by(weights, step, length)
    local moved = {}
    for k, weight in ipairs(weights) do moved[k] = weight - length * step[k] end
    return moved
end

-- The weights of the least cross-entropy of standardised columns, from those of a guess.
local function newton(columns, targets, weights)
    local loss = cross_entropy(columns, targets, weights)
    for _ = 1, 100 do
        local gradient, hessian = slopes(columns, targets, weights)
        local slope = table.move(gradient, 1, #gradient, 1, {})
        local step, length, better, gain = solve(hessian, gradient), 1, false, 0
        for k, value in ipairs(slope) do gain = gain + value * step[k] end
        -- what is still to be gained is lost in the rounding of the loss: the step is good, but cannot be compared
        if gain < 1e-12 * loss then return moved_by(weights, step, 1), loss end
        while length > 1e-8 and not better do
            local moved = moved_by(weights, step, length)
            local tried = cross_entropy(columns, targets, moved)
            better = tried < loss
            if better then weights, loss = moved, tried else length = length / 2 end
        end
        if not better then break end
    end
    return weights, loss
end

--- The coefficients with which sigmoid(sum of coefficient times column + intercept) has the least cross-entropy.
---@param columns number[][] each with a finite number for each image
---@param targets number[] from 0 to 1
---@param intercept boolean without one it is 0
---@return number[] coefficients, number intercept, number loss
function logistic.fit(columns, targets, intercept)
    local scaled, means, deviations, weights, sum = {}, {}, {}, {}, 0
    for k, column in ipairs(columns) do
        scaled[k], means[k], deviations[k] = standardised(column, intercept)
        weights[k] = 0
    end
    if intercept then
        local ones = {}
        for i, target in ipairs(targets) do ones[i], sum = 1, sum + target end
        scaled[#scaled + 1], weights[#weights + 1] = ones, math.log(sum / (#targets - sum))
    end
    local loss
    weights, loss = newton(scaled, targets, weights)
    local out, constant = {}, intercept and weights[#weights] or 0
    for k = 1, #columns do
        out[k] = weights[k] / deviations[k]
        constant = constant - weights[k] * means[k] / deviations[k]
    end
    return out, constant, loss
end

return logistic
