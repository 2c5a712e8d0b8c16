--- All figures of one evaluation, whatever the task is.

local args = require "luxel.args"
local binary = require "luxel.metrics.binary"
local intervals = require "luxel.metrics.intervals"
local samples = require "luxel.metrics.sample"
local several = require "luxel.metrics.several"

local metrics = {}

local RESAMPLES <const> = intervals.DEFAULTS

-- Whether there is more than one number for each image.
local function has_several(scores)
    if type(scores) == "userdata" then return scores.ndim == 2 and scores.shape[2] > 1 end
    return type(scores[1]) == "table" and #scores[1] > 1
end

--- All figures of one evaluation, with intervals of the rates and the area. Rows of scores with one class number for
--- each image (from 0) give a report of many classes; rows with rows of labels one of several labels.
---@param scores number[]|number[][]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|number[][]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {threshold?: number|number[], groups?: any[]|false, n?: integer, seed?: integer, level?: number,
---  classes: string[]?} threshold: of several labels one for each, or for all; classes: names of classes or labels
---@return luxel.Report|luxel.ClassesReport|luxel.LabelsReport
function metrics.report(scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    if has_several(scores) then return several.report(scores, labels, opts) end
    return binary.report(scores, labels, opts)
end

args.publish("", metrics, {
    report = samples.ARGUMENTS .. ", options: {threshold: threshold|number[]?, groups: any[]|false?, "
        .. "classes: text[]?, " .. intervals.OPTIONS .. "}?",
})

return {public = metrics}
