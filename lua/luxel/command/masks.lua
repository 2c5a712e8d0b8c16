--- What the commands say of masks: the overlaps of all images together.

local lx = require "luxel"

local masks = {}

--- The means over the images that have a mask, with intervals over patients.
---@param overlaps ({dice: number, iou: number}|false)[] as of Predictor:overlaps
---@param groups any[] the patient of each
---@param seed integer of the resampling
---@return {task: string, n: integer, missing: integer, dice: table, iou: table, least: number} report
function masks.report(overlaps, groups, seed)
    local dice, iou, kept, missing, least = {}, {}, {}, 0, 1
    for i, overlap in ipairs(overlaps) do
        if overlap then
            dice[#dice + 1], iou[#iou + 1], kept[#kept + 1] = overlap.dice, overlap.iou, groups[i]
            least = math.min(least, overlap.dice)
        else
            missing = missing + 1
        end
    end
    return {
        task = "segmentation", n = #dice, missing = missing, least = least,
        dice = lx.metrics.mean(dice, {groups = kept, seed = seed}),
        iou = lx.metrics.mean(iou, {groups = kept, seed = seed}),
    }
end

--- The report as text for a terminal.
---@return string
function masks.words(report)
    local function line(title, found)
        return ("  %-5s %8.4f%s"):format(title, found.mean, found.low and ("  [%.4f, %.4f]"):format(found.low,
            found.high) or "")
    end
    return table.concat({
        ("%d images with a mask%s"):format(report.n, report.missing > 0
            and (", %d without one left out"):format(report.missing) or ""), "",
        line("Dice", report.dice), line("IoU", report.iou), ("  least %8.4f (Dice)"):format(report.least), "",
        report.dice.low and ("  [95%% intervals: 1000 resamples of %d patients]"):format(report.dice.units)
            or "  [no intervals: too few patients, or all of them agree]",
    }, "\n")
end

return masks
