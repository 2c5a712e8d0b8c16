--- What a run chooses on its validation images: the calibration of the probabilities, and the threshold.

local args = require "luxel.args"
local detection = require "luxel.train.detection"
local metrics = require "luxel.metrics"

local choice = {
    --- As types of declarations.
    CALIBRATION = '"platt"|"temperature"|"isotonic"|"beta"|"none"',
    THRESHOLD = '"youden"|number(0..1)|{sensitivity: number(0..1)?, specificity: number(0..1)?, cost: positive?, '
        .. "prevalence: number(0..1)?, false_marks: number(0..100)?}",
}

local OF_A_LOGIT <const> = {"platt", "temperature", "isotonic", "beta", "none"}

-- The calibrations of each task, of which the first is the usual one.
local METHODS <const> = {
    binary = OF_A_LOGIT, labels = OF_A_LOGIT, classes = {"temperature", "none"}, segmentation = {"none"},
    detection = {"none"},
}

-- Why the table that says a threshold is none, in words.
local function mistake_in(how)
    if how.false_marks then return "false marks an image are counted of boxes" end
    local name = how.sensitivity and "sensitivity" or how.specificity and "specificity" or how.cost and "cost"
    local count = (how.sensitivity and 1 or 0) + (how.specificity and 1 or 0) + (how.cost and 1 or 0)
    if count ~= 1 then return "expected one of sensitivity, specificity and cost" end
    if how[name] == 0 then return ("expected a %s above 0"):format(name) end
    if how.prevalence and name ~= "cost" then return "a prevalence is for a cost" end
end

--- What is wrong with the options of a run; nil if nothing is.
---@param task string
---@param calibration string?
---@param threshold "youden"|number|table|nil
---@return string? option its name
---@return string? words
function choice.mistake(task, calibration, threshold)
    local known = calibration == nil
    for _, method in ipairs(METHODS[task]) do known = known or method == calibration end
    if not known then
        return "calibration", ("the task '%s' has %s, and not '%s'"):format(task, table.concat(METHODS[task], ", "),
            calibration)
    end
    if threshold == nil then return nil end
    if task == "classes" then return "threshold", "of several classes the one of the largest probability is called" end
    if task == "segmentation" then return "threshold", "a pixel is inside where that is likelier than not" end
    if task == "detection" then
        if type(threshold) == "number" or type(threshold) == "table" and threshold.false_marks
            and next(threshold, next(threshold)) == nil then return nil end
        return "threshold", "of boxes it is a number, or the one at a number of false_marks an image"
    end
    local words = type(threshold) == "table" and mistake_in(threshold)
    if words then return "threshold", words end
end

-- The threshold for probabilities and labels, nil where there is only one class. One that calls nobody is 1.
local function find(how, probabilities, labels)
    if how == nil or how == "youden" then return (metrics.youden(probabilities, labels)) end
    if type(how) == "number" then return how end
    local found
    if how.sensitivity then
        found = metrics.threshold_at_sensitivity(probabilities, labels, how.sensitivity)
    elseif how.specificity then
        found = metrics.threshold_at_specificity(probabilities, labels, how.specificity)
    else
        found = metrics.threshold_at_cost(probabilities, labels, {miss = how.cost, prevalence = how.prevalence})
    end
    return found and math.min(found, 1)
end

local function words_of(how)
    if how == nil or how == "youden" then return "Youden's index" end
    if type(how) == "number" then return ("fixed at %.14g"):format(how) end
    if how.sensitivity then return ("a sensitivity of %.14g"):format(how.sensitivity) end
    if how.specificity then return ("a specificity of %.14g"):format(how.specificity) end
    return ("a miss costs as much as %.14g false alarms%s"):format(how.cost,
        how.prevalence and (", prevalence %.14g"):format(how.prevalence) or "")
end

---@class luxel.Choice
---@field calibration string the method, or "none"
---@field threshold fun(probabilities: number[], labels: number[]): number? nil where there is only one class; of a
---  detection of the marks of images, nil where there is no lesion
---@field words string how the threshold is chosen
---@field recipe {calibration: string, threshold: string} "the usual" where it is

-- Of boxes: a number, or where there are at most so many false marks an image.
local function choice_of_boxes(threshold)
    local fixed = type(threshold) == "number" and threshold
    local rate = type(threshold) == "table" and threshold.false_marks or detection.FALSE_MARKS
    local words = fixed and ("fixed at %.14g"):format(fixed) or ("at most %.14g false marks an image"):format(rate)
    return {
        calibration = "none", words = words,
        threshold = function(marks) return fixed or detection.threshold_at(marks, rate) end,
        recipe = {calibration = "the usual", threshold = threshold and words or "the usual"},
    }
end

--- The choices of a run, whose options have no mistake.
---@param task string
---@param calibration string?
---@param threshold "youden"|number|table|nil
---@return luxel.Choice
function choice.of(task, calibration, threshold)
    if task == "detection" then return choice_of_boxes(threshold) end
    local method, words = calibration or METHODS[task][1], words_of(threshold)
    return {
        calibration = method, words = words,
        threshold = function(probabilities, labels) return find(threshold, probabilities, labels) end,
        recipe = {
            calibration = method == METHODS[task][1] and "the usual" or method,
            threshold = words == words_of(nil) and "the usual" or words,
        },
    }
end

--- A threshold as command lines have it: youden, 0.5, sensitivity=0.95, specificity=0.9, cost=5 or
--- cost=5,prevalence=0.1.
---@param text string
---@return "youden"|number|table|nil threshold, string? message
function choice.parse(text)
    local how = text == "youden" and text or tonumber(text)
    if not how then
        how = {}
        for part in (text .. ","):gmatch("([^,]*),") do
            local name, value = part:match("^(%a+)=(.+)$")
            if not name or not tonumber(value) then how = nil break end
            how[name] = tonumber(value)
        end
    end
    local mistake = args.mistake_in("", choice.THRESHOLD, how) or type(how) == "table" and mistake_in(how)
    if not mistake then return how end
    return nil, ("expected youden, a number from 0 to 1, sensitivity=0.95, specificity=0.9 or cost=5, got '%s'"):format(
        text)
end

return choice
