--- All figures of one evaluation, whatever the task is.

local args = require "luxel.args"
local binary = require "luxel.metrics.binary"
local resampling = require "luxel.metrics.resampling"
local samples = require "luxel.metrics.sample"
local several = require "luxel.metrics.several"

local metrics = {}

local RESAMPLES <const> = resampling.DEFAULTS

--- All figures of one evaluation, with bootstrap intervals of most, of whole patients where `groups` tells them. Rows
--- of scores with one class number for each image (from 0) give a report of many classes; rows with rows of labels one
--- of several labels.
---@param scores number[]|number[][]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|number[][]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {threshold?: number|number[], groups?: any[]|false, n?: integer, seed?: integer, level?: number,
---  classes: string[]?, prevalence: number?} threshold: of several labels one for each, or for all; classes: names of
---  classes or labels; prevalence: at which precision and npv are given, default that of the images
---@return luxel.Report|luxel.ClassesReport|luxel.LabelsReport
function metrics.report(scores, labels, options)
    local opts = args.with_defaults(options, RESAMPLES)
    -- a list of one threshold is of one label
    local of_labels = type(opts.threshold) == "table" and samples.has_rows(scores)
    if of_labels or samples.has_several(scores) then return several.report(scores, labels, opts) end
    return binary.report(scores, labels, opts)
end

args.publish("", metrics, {
    report = samples.ARGUMENTS .. ", options: {threshold: threshold|number[]?, groups: any[]|false?, "
        .. "classes: text[]?, prevalence: number(0..1)?, " .. resampling.OPTIONS .. "}?",
})

return {public = metrics}
