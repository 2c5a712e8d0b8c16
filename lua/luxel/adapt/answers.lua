--- What of a model can be adapted by its logits alone: the prior, the calibration and the threshold.

local calibrations = require "luxel.calibration.methods"
local logistic = require "luxel.calibration.logistic"
local prior = require "luxel.calibration.prior"

local answers = {}

local sigmoid, softplus = logistic.sigmoid, logistic.softplus

local function log_odds(p)
    p = math.max(1e-12, math.min(1 - 1e-12, p))
    return math.log(p / (1 - p))
end

answers.log_odds = log_odds

-- How far scale and shift of the log-odds may be from 1 and 0 before images have to say so: standard deviations of
-- their prior distributions. docs/adapting.md has what was measured.
local SCALE <const>, SHIFT <const> = 0.3, 2

-- A local threshold has to gain so much in the mean of sensitivity and specificity.
local GAIN <const> = 0.03

-- The largest misfit of logits to a mixture of the classes': `answers.misfit`.
local MISFIT <const> = 1.0

-- ---- log-odds -----------------------------------------------------------------------------------------------------

-- A calibration whose log-odds are scale times those of another one, plus shift; nil where its kind cannot be so.
local compose = {}

function compose.platt(fitted, scale, shift)
    return {scale = scale * fitted.scale, shift = scale * fitted.shift + shift}
end

function compose.temperature(fitted, scale, shift) return {scale = scale / fitted.temperature, shift = shift} end

function compose.beta(fitted, scale, shift)
    return {a = scale * fitted.a, b = scale * fitted.b, c = scale * fitted.c + shift}
end

-- Probabilities of 0 and 1 have the log-odds that scale and shift were fitted to, and so do not stay where they were.
function compose.isotonic(fitted, scale, shift)
    local moved = {}
    for i, p in ipairs(fitted.probabilities) do moved[i] = sigmoid(scale * log_odds(p) + shift) end
    return {logits = fitted.logits, probabilities = moved}
end

-- The name of a calibration's method.
local function method_of(fitted)
    for name, method in pairs(calibrations.by_name) do
        if rawget(fitted, method.key) ~= nil then return name end
    end
end

-- Log-odds by a calibration, without a detour over probabilities that have become 0 or 1.
local odds_by = {
    platt = function(fitted, z) return fitted.scale * z + fitted.shift end,
    temperature = function(fitted, z) return z / fitted.temperature end,
    beta = function(fitted, z) return fitted.c - fitted.a * softplus(-z) + fitted.b * softplus(z) end,
}

--- The log-odds that a calibration makes of a logit.
---@param fitted table|false
---@param logit number
---@return number
function answers.odds(fitted, logit)
    if not fitted then return logit end
    local find = odds_by[method_of(fitted)]
    return find and find(fitted, logit) or log_odds(calibrations.probability(fitted, logit))
end

local slopes = {
    platt = function(fitted) return fitted.scale > 0 and fitted.scale end,
    temperature = function(fitted) return 1 / fitted.temperature end,
}

--- What a calibration multiplies a logit by in the log-odds; nil where that is no positive number for all logits.
---@param fitted table|false
---@return number?
function answers.slope(fitted)
    if not fitted then return 1 end
    local find = slopes[method_of(fitted)]
    return find and find(fitted) or nil
end

local function composed(fitted, scale, shift)
    if not fitted then return {scale = scale, shift = shift} end
    local make = compose[method_of(fitted)]
    return make and make(fitted, scale, shift)
end

-- ---- each step ----------------------------------------------------------------------------------------------------

-- The share of ascending values up to x.
local function share_below(values, x)
    local low, high = 0, #values
    while low < high do
        local middle = (low + high + 1) // 2
        if values[middle] <= x then low = middle else high = middle - 1 end
    end
    return low / #values
end

--- How far logits are from being a mixture of those of the two classes: the largest difference of the distributions
--- (Kolmogorov and Smirnov), over how much both may differ by chance.
---@param known {positive: number[], negative: number[], prior: number, images: integer} ascending logits of each class,
---  and among how many images the share of the positive ones was `prior`
---@param logits number[]
---@param share number of the positive class in the mixture
---@return number
function answers.misfit(known, logits, share)
    local sorted, largest = table.move(logits, 1, #logits, 1, {}), 0
    table.sort(sorted)
    for i, z in ipairs(sorted) do
        local expected = share * share_below(known.positive, z) + (1 - share) * share_below(known.negative, z)
        largest = math.max(largest, math.abs(expected - i / #sorted), math.abs(expected - (i - 1) / #sorted))
    end
    local positives, negatives = known.prior * known.images, (1 - known.prior) * known.images
    return largest / math.sqrt(1 / #sorted + share ^ 2 / positives + (1 - share) ^ 2 / negatives)
end

-- The shift of the log-odds for another prior; nil and why where there is none to believe in.
local function shift_of_prior(source, logits, odds, unlike)
    local known = source.doubt
    if not known or not known.prior or not known.positive then
        return nil, "the model's file does not keep how its logits of each class were distributed"
    elseif unlike and unlike.share > unlike.limit then
        return nil, ("%.0f %% of the images are unlike those of the training: more than the shares of the classes has "
            .. "changed"):format(100 * unlike.share)
    end
    local probabilities = {}
    for i, z in ipairs(odds) do probabilities[i] = sigmoid(z) end
    local found, why = prior.prior_shift(probabilities, known.prior)
    if not found then return nil, why end
    if not found.converged then return nil, "the prior does not settle" end
    local misfit = answers.misfit(known, logits, found.prior)
    if misfit > MISFIT then
        return nil, ("the logits are no mixture of those of the two classes (%.2f, limit %.2f): more than the shares "
            .. "of the classes has changed"):format(misfit, MISFIT)
    end
    if found.prior <= 0 or found.prior >= 1 then return nil, "it would leave one class out" end
    -- no further than one image of a class among those that there are
    local share = math.max(1 / (#logits + 2), math.min((#logits + 1) / (#logits + 2), found.prior))
    return log_odds(share) - log_odds(known.prior), share
end

-- The scale and shift of log-odds that labels make the likeliest, with the prior distributions above: Newton's method
-- with shorter steps where the loss, which is convex, would not fall.
local function recalibrated(odds, labels)
    local function loss_of(scale, shift)
        local sum = ((scale - 1) / SCALE) ^ 2 / 2 + (shift / SHIFT) ^ 2 / 2
        for i, value in ipairs(odds) do
            local z = scale * value + shift
            sum = sum + softplus(z) - labels[i] * z
        end
        return sum
    end
    local scale, shift, loss = 1, 0, loss_of(1, 0)
    for _ = 1, 200 do
        local g1, g2 = (scale - 1) / SCALE ^ 2, shift / SHIFT ^ 2
        local h11, h12, h22 = 1 / SCALE ^ 2, 0, 1 / SHIFT ^ 2
        for i, value in ipairs(odds) do
            local p = sigmoid(scale * value + shift)
            local d, w = p - labels[i], p * (1 - p)
            g1, g2 = g1 + d * value, g2 + d
            h11, h12, h22 = h11 + w * value * value, h12 + w * value, h22 + w
        end
        local determinant = h11 * h22 - h12 * h12
        local d1, d2 = (g1 * h22 - g2 * h12) / determinant, (g2 * h11 - g1 * h12) / determinant
        local length, better = 1, false
        while length > 1e-9 and not better do
            local tried = loss_of(scale - length * d1, shift - length * d2)
            better = tried < loss
            if better then scale, shift, loss = scale - length * d1, shift - length * d2, tried
            else length = length / 2 end
        end
        if not better then break end
    end
    return math.max(scale, 0.01), shift
end

--- The log-odds of labelled images after a calibration that their own patients had no part in.
---@param odds number[]
---@param labels number[]
---@param folds {train: integer[], val: integer[]}[]
---@return number[]
function answers.kept_out(odds, labels, folds)
    local out = {}
    for _, fold in ipairs(folds) do
        local here, truth = {}, {}
        for k, i in ipairs(fold.train) do here[k], truth[k] = odds[i], labels[i] end
        local scale, shift = recalibrated(here, truth)
        for _, i in ipairs(fold.val) do out[i] = scale * odds[i] + shift end
    end
    return out
end

-- The mean of sensitivity and specificity at a threshold.
local function balanced(odds, labels, threshold)
    local right, count = {[0] = 0, [1] = 0}, {[0] = 0, [1] = 0}
    for i, z in ipairs(odds) do
        local label = labels[i]
        count[label] = count[label] + 1
        if (z >= threshold) == (label == 1) then right[label] = right[label] + 1 end
    end
    return (right[0] / count[0] + right[1] / count[1]) / 2
end

-- The threshold, in log-odds. Of calibrated probabilities the one with the largest sum of sensitivity and specificity
-- is the share of the positive class, which few images tell better than where their rates are the best.
local function threshold_of(odds, labels, before)
    local positives = 0
    for _, label in ipairs(labels) do positives = positives + label end
    local own = log_odds((positives + 1) / (#labels + 2))
    if balanced(odds, labels, own) > balanced(odds, labels, before) + GAIN then return own, true end
    return before, false
end

-- ---- all of them ---------------------------------------------------------------------------------------------------

-- The log-odds and labels of the images that have one.
local function labelled(odds, labels)
    local kept, truth = {}, {}
    for i, label in ipairs(labels or {}) do
        if label == label then kept[#kept + 1], truth[#truth + 1] = odds[i], label end
    end
    return kept, truth
end

-- What becomes of a threshold, by the words for how it was chosen (luxel.train.choice): one that was said as a
-- probability stays that; others go along with the log-odds, so that the labels of answers stay; and only one of
-- Youden's index can be chosen anew.
local function kind_of(source)
    local words = source.chosen and source.chosen.threshold or "Youden's index"
    if words:find("^fixed") or words:find("^a miss costs") or source.threshold <= 0 or source.threshold >= 1 then
        return "stays", words
    end
    return (words == "Youden's index" or words == "none") and "youden" or "moves", words
end

---@class luxel.AdaptedAnswers
---@field calibration table
---@field threshold number
---@field scale number of the log-odds before, and
---@field shift number what is added, to get those after
---@field prior number? the share of the positive class that "prior" found
---@field done string[] steps
---@field left_out {step: string, why: string}[]

--- Adapts what comes after the logits.
---@param source {calibration: table|false|nil, threshold: number, chosen: table?, doubt: luxel.Doubt?} of the model
---@param logits number[]
---@param labels number[]? 0, 1, or NaN (not known)
---@param steps table<string, boolean> of "prior", "calibration" and "threshold"
---@param unlike {share: number, limit: number}? of the images that are unlike those of the training
---@return luxel.AdaptedAnswers
function answers.fit(source, logits, labels, steps, unlike)
    local done, left_out, odds = {}, {}, {}
    local scale, shift, share = 1, 0, nil
    local fitted = source.calibration or false
    for i, z in ipairs(logits) do odds[i] = answers.odds(fitted, z) end
    local threshold = log_odds(source.threshold)
    local kept, truth = labelled(odds, labels)
    local possible = not fitted or compose[method_of(fitted)] ~= nil
    local function leave_out(step, why) left_out[#left_out + 1] = {step = step, why = why} end
    if steps.prior and possible then
        local added, found = shift_of_prior(source, logits, odds, unlike)
        if added then
            shift, share, done[#done + 1] = added, found, "prior"
            for i, z in ipairs(kept) do kept[i] = z + added end
        else
            leave_out("prior", found)
        end
    end
    if steps.calibration and possible then
        local a, b = recalibrated(kept, truth)
        scale, shift, done[#done + 1] = a, a * shift + b, "calibration"
        for i, z in ipairs(kept) do kept[i] = a * z + b end
    end
    if (steps.prior or steps.calibration) and not possible then
        for _, step in ipairs {"prior", "calibration"} do
            if steps[step] then leave_out(step, "probabilities by operating points cannot be shifted") end
        end
    end
    local kind, words = kind_of(source)
    local changed, moved = scale ~= 1 or shift ~= 0, false
    threshold = scale * threshold + shift
    if steps.threshold and kind ~= "youden" then
        leave_out("threshold", ("it was chosen as %s, and not by Youden's index"):format(words))
    elseif steps.threshold then
        threshold, moved = threshold_of(kept, truth, threshold)
        if moved then done[#done + 1] = "threshold"
        else leave_out("threshold", ("another one gains no more than %.0f points"):format(100 * GAIN)) end
    end
    -- a threshold that nothing happened to is the same to the bit, which its log-odds do not promise
    local stays = kind == "stays" or not changed and not moved
    return {
        calibration = changed and composed(fitted, scale, shift) or fitted,
        threshold = stays and source.threshold or sigmoid(threshold),
        scale = scale, shift = shift, prior = share, done = done, left_out = left_out,
    }
end

return answers
