--- What `luxel train --folds` says in the end: how good the networks are on the images that each of them has not seen.

local core = require "luxel.core"
local lx = require "luxel"
local masks = require "luxel.command.masks"
local options = require "luxel.command.options"

local function number(value) return (("%.6f"):format(value):gsub(",", ".")) end

-- All folds of masks: a line for each image into OUT/folds.csv, and the report.
local function judge_masks(args, folds, predictors)
    local overlaps, groups, lines = {}, {}, {"image,group,fold,dice,iou"}
    local means = {}
    for k, fold in ipairs(folds) do
        local found = options.must(predictors[k]:overlaps(fold.val))
        local sum, count = 0, 0
        for i, overlap in ipairs(found) do
            local group = (fold.val.groups or fold.val.paths)[i]
            overlaps[#overlaps + 1], groups[#groups + 1] = overlap, group
            if overlap then
                sum, count = sum + overlap.dice, count + 1
                lines[#lines + 1] = ('"%s","%s",%d,%s,%s'):format(fold.val.paths[i]:gsub('"', '""'),
                    tostring(group):gsub('"', '""'), k, number(overlap.dice), number(overlap.iou))
            end
        end
        means[k] = ("fold %d: %d images, Dice %s"):format(k, #found, count > 0 and ("%.4f"):format(sum / count)
            or "n/a")
    end
    options.must(core.write_file(args.out .. "/folds.csv", {table.concat(lines, "\n"), "\n"}))
    return table.concat(means, "\n") .. "\n" .. masks.words(masks.report(overlaps, groups, args.seed))
end

-- All folds of classes or labels. The calibration of each was found on its own validation images, the threshold is one
-- half for all.
local function judge_scores(args, folds, predictors)
    local scores, labels, groups = {}, {}, {}
    for k, fold in ipairs(folds) do
        local found = options.must(predictors[k]:probabilities(fold.val))
        table.move(found, 1, #found, #scores + 1, scores)
        table.move(fold.val.labels:totable(), 1, #fold.val, #labels + 1, labels)
        table.move(fold.val.groups or fold.val.paths, 1, #fold.val, #groups + 1, groups)
    end
    local task, classes = predictors[1].task, predictors[1].classes
    local report = lx.metrics.report(scores, labels, {
        groups = groups, seed = args.seed, classes = task ~= "binary" and classes or nil,
    })
    return task == "binary" and lx.metrics.format_report(report, classes) or tostring(report)
end

--- Judges the networks of all folds.
---@param args table the options of the command
---@param device string
---@param folds {val: luxel.Dataset}[]
---@param result table of lx.train.cross_validate
---@return string words
return function(args, device, folds, result)
    local predictors = {}
    for k, run in ipairs(result.folds) do
        predictors[k] = options.must(lx.predictor.open(run.out .. "/best.safetensors",
            {device = device, tta = args.tta}))
    end
    local judge = predictors[1].task == "segmentation" and judge_masks or judge_scores
    return "\n" .. judge(args, folds, predictors) .. "\n"
end
