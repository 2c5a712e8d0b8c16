--- How many are ill where the model is used: probabilities for another prior than that of the images they were
--- calibrated on.

local args = require "luxel.args"
local result_type = require "luxel.result"
local samples = require "luxel.metrics.sample"

local prior = {}

local new_shift = result_type("prior shift", {"prior", "probabilities", "converged", "iterations", "change"},
    function(self)
        local words, shown = {}, type(self.prior) == "table" and self.prior or {self.prior}
        for k, value in ipairs(shown) do words[k] = ("%.4g"):format(value) end
        return ("prior %s, %s %d iterations"):format(table.concat(words, ", "),
            self.converged and "after" or "NOT converged after", self.iterations)
    end)

-- The priors of all classes; of two, from that of the second.
local function classes_of(value, where)
    local list = type(value) == "table" and value or {1 - value, value}
    local sum = 0
    for k, share in ipairs(list) do
        if type(share) ~= "number" or not (share > 0 and share < 1) then
            args.fail("%s: expected shares above 0 and below 1, got %s%s", where, args.describe(
                type(value) == "table" and share or value), type(value) == "table" and " at place " .. k or "")
        end
        sum = sum + share
    end
    if #list < 2 or math.abs(sum - 1) > 1e-6 then
        args.fail("%s: expected a share for each of two or more classes, which add up to 1", where)
    end
    return list
end

-- A row of probabilities for each image; of two classes, from that of the second.
local function rows_of(probabilities, classes, where)
    probabilities = samples.list(probabilities, where)
    local rows = {}
    for i = 1, #probabilities do
        local row = probabilities[i]
        if type(row) == "number" then row = {1 - row, row} end
        if type(row) == "table" and #row == 1 and type(row[1]) == "number" then row = {1 - row[1], row[1]} end
        if type(row) ~= "table" or #row ~= classes then
            args.fail("%s: expected %s for each image, got %s at place %d", where, classes == 2 and "a number"
                or ("%d numbers"):format(classes), type(row) == "table" and #row .. " numbers" or args.describe(row), i)
        end
        local sum = 0
        for _, p in ipairs(row) do
            if type(p) ~= "number" or not (p >= 0 and p <= 1) then
                args.fail("%s: expected probabilities from 0 to 1, got %s at place %d", where, args.describe(p), i)
            end
            sum = sum + p
        end
        if math.abs(sum - 1) > 1e-3 then
            args.fail("%s: expected probabilities that add up to 1, which those at place %d do not", where, i)
        end
        rows[i] = row
    end
    return rows
end

-- Rows weighed by what each class has become more frequent, and the means of what that gives.
local function weigh(rows, before, now)
    local factors, means, out = {}, {}, {}
    for k, share in ipairs(before) do factors[k], means[k] = now[k] / share, 0 end
    for i, row in ipairs(rows) do
        local sum, weighed = 0, {}
        for k, p in ipairs(row) do
            weighed[k] = p * factors[k]
            sum = sum + weighed[k]
        end
        for k, value in ipairs(weighed) do
            weighed[k] = value / sum
            means[k] = means[k] + weighed[k]
        end
        out[i] = weighed
    end
    for k, sum in ipairs(means) do means[k] = sum / #rows end
    return out, means
end

-- Numbers again where there was one for each image.
local function second_of(rows)
    local out = {}
    for i, row in ipairs(rows) do out[i] = row[2] end
    return out
end

--- Probabilities for another prior: by Bayes' theorem, if what the classes look like has stayed the same (Saerens,
--- Latinne and Decaestecker, Neural Computation 14:21, 2002, equation 2.4).
---@param probabilities number[]|number[][]|luxel.Tensor calibrated: of the positive class, or a row for each image
---@param from number|number[] the share of positives, or of each class, among the images they were calibrated on
---@param to number|number[] the same where they are used
---@return number[]|number[][] probabilities
function prior.with_prior(probabilities, from, to)
    local before = classes_of(from, "calibration.with_prior: from")
    local now = classes_of(to, "calibration.with_prior: to")
    if #now ~= #before then
        args.fail("calibration.with_prior: to: expected a share for each of the %d classes, got %d", #before, #now)
    end
    local rows = rows_of(probabilities, #before, "calibration.with_prior: probabilities")
    local out = weigh(rows, before, now)
    return type(from) == "number" and second_of(out) or out
end

--- The prior of images without labels, by expectation maximisation, and their probabilities for it (Saerens, Latinne
--- and Decaestecker 2002). It takes calibrated probabilities, and that only the shares of the classes have changed, not
--- what they look like: nothing here can tell whether that is so.
---@param probabilities number[]|number[][]|luxel.Tensor of the positive class, or a row for each image
---@param from number|number[] the share of positives, or of each class, among the images they were calibrated on
---@param options? {iterations: integer?, tolerance: number?} default 1000, and 1e-8: the change of a share at which it
---  has converged
---@return {prior: number|number[], probabilities: number[]|number[][], converged: boolean, iterations: integer,
---  change: number}? shift converged: false where `iterations` were not enough, and the prior is still moving by
---  `change`
---@return string? message why nil: no images, or all probabilities are the same and say nothing of a prior
function prior.prior_shift(probabilities, from, options)
    local limit, tolerance = options and options.iterations or 1000, options and options.tolerance or 1e-8
    local before = classes_of(from, "calibration.prior_shift: from")
    local rows = rows_of(probabilities, #before, "calibration.prior_shift: probabilities")
    if #rows == 0 then return nil, "there are no images" end
    local same = true
    for _, row in ipairs(rows) do
        for k, p in ipairs(row) do same = same and p == rows[1][k] end
    end
    if same then return nil, "all probabilities are the same: they say nothing of a prior" end
    local now, change, count = before, math.huge, 0
    while count < limit and change > tolerance do
        local _, found = weigh(rows, before, now)
        change = 0
        for k, share in ipairs(found) do change = math.max(change, math.abs(share - now[k])) end
        now, count = found, count + 1
    end
    local adjusted, binary = weigh(rows, before, now), type(from) == "number"
    return new_shift {
        prior = binary and now[2] or now, probabilities = binary and second_of(adjusted) or adjusted,
        converged = change <= tolerance, iterations = count, change = change,
    }
end

return prior
