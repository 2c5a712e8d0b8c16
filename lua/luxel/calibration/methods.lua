--- The ways from one logit to a probability: how each is fitted, applied and kept in a model's metadata, where its
--- fields tell which one it is.

local args = require "luxel.args"
local isotonic = require "luxel.calibration.isotonic"
local logistic = require "luxel.calibration.logistic"
local result_type = require "luxel.result"

local sigmoid, softplus = logistic.sigmoid, logistic.softplus

-- Further than the logits of any network, which are float32, can lead.
local LARGEST <const> = 1e12

---@class luxel.CalibrationMethod
---@field key string a field that only it has
---@field words string
---@field form string the declaration of its fields
---@field fit (fun(logits: number[], labels: number[], targets: number[]): table?)? labels of both classes, 0 and 1;
---  targets: the labels smoothed
---@field apply fun(fitted: table, logit: number): number
---@field check (fun(fitted: table): string?)? what is wrong beyond the form

---@type table<string, luxel.CalibrationMethod>
local methods = {}

-- ---- Platt --------------------------------------------------------------------------------------------------------

methods.platt = {
    key = "scale", words = "Platt's scaling", form = "{scale: finite(-1e12..1e12), shift: finite(-1e12..1e12)}",
    apply = function(fitted, logit) return sigmoid(fitted.scale * logit + fitted.shift) end,
}

local new_platt = result_type("calibration", {"scale", "shift"}, function(self)
    return ("calibration: probability = sigmoid(%.4g * logit + %.4g)"):format(self.scale, self.shift)
end)

function methods.platt.fit(logits, _, targets)
    local weights, shift = logistic.fit({logits}, targets, true)
    if math.abs(weights[1]) > LARGEST or math.abs(shift) > LARGEST then return nil end
    return new_platt {scale = weights[1], shift = shift}
end

-- ---- temperature --------------------------------------------------------------------------------------------------

methods.temperature = {
    key = "temperature", words = "a temperature", form = "{temperature: finite(1e-12..1e12)}",
    apply = function(fitted, logit) return sigmoid(logit / fitted.temperature) end,
}

local new_temperature = result_type("temperature", {"temperature"}, function(self)
    return ("calibration: probability = sigmoid(logit / %.4g)"):format(self.temperature)
end)

-- Like that of many classes, from 1e-4 to 1e4 times the largest logit.
function methods.temperature.fit(logits, _, targets)
    local largest = 0
    for _, logit in ipairs(logits) do largest = math.max(largest, math.abs(logit)) end
    if largest == 0 then return nil end
    local inverse = logistic.fit({logits}, targets, false)[1]
    return new_temperature {temperature = 1 / math.max(1e-4 / largest, math.min(1e4 / largest, inverse))}
end

-- ---- isotonic -----------------------------------------------------------------------------------------------------

methods.isotonic = {
    key = "logits", words = "isotonic regression", form = "{logits: finite[], probabilities: number(0..1)[]}",
    apply = function(fitted, logit) return isotonic.at(fitted.logits, fitted.probabilities, logit) end,
}

local new_isotonic = result_type("isotonic calibration", {"logits", "probabilities"}, function(self)
    return ("calibration: isotonic, %d points from %.4g to %.4g"):format(#self.logits, self.probabilities[1],
        self.probabilities[#self.probabilities])
end)

function methods.isotonic.fit(logits, labels)
    local xs, ys = isotonic.fit(logits, labels)
    return new_isotonic {logits = xs, probabilities = ys}
end

function methods.isotonic.check(fitted)
    local xs, ys = fitted.logits, fitted.probabilities
    if #xs == 0 or #xs ~= #ys then return "expected a probability for each of the logits" end
    for i = 2, #xs do
        if xs[i] <= xs[i - 1] or ys[i] < ys[i - 1] then
            return ("expected ascending logits, and probabilities that never fall, which place %d does not"):format(i)
        end
    end
end

-- ---- beta ---------------------------------------------------------------------------------------------------------

methods.beta = {
    key = "a", words = "beta calibration", form = "{a: finite(0..1e12), b: finite(0..1e12), c: finite(-1e12..1e12)}",
    -- ln s and ln(1 - s) of the sigmoid s of the logit, without rounding to 0 or 1
    apply = function(fitted, logit)
        return sigmoid(fitted.c - fitted.a * softplus(-logit) + fitted.b * softplus(logit))
    end,
}

local new_beta = result_type("beta calibration", {"a", "b", "c"}, function(self)
    return ("calibration: beta, a %.4g, b %.4g, c %.4g"):format(self.a, self.b, self.c)
end)

-- Of the fits with both exponents, one or none, the best of those without a negative one: the loss is convex.
function methods.beta.fit(logits, _, targets)
    local rise, fall = {}, {}
    for i, logit in ipairs(logits) do rise[i], fall[i] = -softplus(-logit), softplus(logit) end
    local best, least = nil, math.huge
    for _, names in ipairs {{"a", "b"}, {"a"}, {"b"}, {}} do
        local columns, found = {}, {a = 0.0, b = 0.0}
        for k, name in ipairs(names) do columns[k] = name == "a" and rise or fall end
        local weights, c, loss = logistic.fit(columns, targets, true)
        found.c = c
        for k, name in ipairs(names) do found[name] = weights[k] end
        if found.a >= 0 and found.b >= 0 and loss < least then best, least = found, loss end
        if best and #names == 2 then break end
    end
    if best.a > LARGEST or best.b > LARGEST or math.abs(best.c) > LARGEST then return nil end
    return new_beta(best)
end

-- ---- operating points, which come with weights from elsewhere ------------------------------------------------------

-- See calibration.operating_point.
local function operating_point(p, point)
    if not point or point ~= point then return 0.5 end
    if p < point then return p / (2 * point) end
    return 1 - (1 - p) / (2 * (1 - point))
end

methods.operating_point = {
    key = "operating_point", words = "operating points", form = "{operating_point: finite(1e-9..0.999999999)|false}",
    apply = function(fitted, logit) return operating_point(sigmoid(logit), fitted.operating_point) end,
}

-- ---- all of them --------------------------------------------------------------------------------------------------

local all = {by_name = methods, operating_point = operating_point}

-- The method of what was fitted.
local function method_of(fitted)
    for _, method in pairs(methods) do
        if rawget(fitted, method.key) ~= nil then return method end
    end
end

--- The probability for a logit; without a calibration the plain sigmoid.
---@param fitted table|false|nil
---@param logit number finite
---@return number from 0 to 1
function all.probability(fitted, logit)
    if not fitted then return sigmoid(logit) end
    return method_of(fitted).apply(fitted, logit)
end

--- The mistake in a calibration of one logit, in words; nil if there is none.
---@param where string
---@param fitted any
---@return string?
function all.mistake(where, fitted)
    local method = type(fitted) == "table" and method_of(fitted)
    if not method then
        return ("%s: expected a calibration of one logit, got %s"):format(where, args.describe(fitted))
    end
    local mistake = args.mistake_in(where, method.form, fitted)
    if mistake then return mistake end
    mistake = method.check and method.check(fitted)
    return mistake and where .. ": " .. mistake
end

args.type("calibration", "a calibration of one logit, as calibration.fit gives it", "table",
    function(value) return not all.mistake("", value) end)

return all
