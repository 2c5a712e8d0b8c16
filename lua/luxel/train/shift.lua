--- How much worse a network is on images of a kind that it was not trained on.

local args = require "luxel.args"
local calibrations = require "luxel.calibration.methods"
local lx = require "luxel"
local core = require "luxel.core"
local result_type = require "luxel.result"
local runs = require "luxel.train.runs"

local FIGURES <const> = {"auc", "accuracy", "sensitivity", "specificity", "brier", "ece"}

local function cell(row, name)
    local value, interval = row[name], row.intervals[name]
    if not value then return "n/a" end
    return interval and ("%.3f [%.3f, %.3f]"):format(value, interval[1], interval[2]) or ("%.3f"):format(value)
end

local function line_of(row)
    local words = {}
    for i, name in ipairs {"auc", "accuracy", "sensitivity", "specificity", "ece"} do
        words[i] = ("%s %s"):format(name == "auc" and "AUC" or name == "ece" and "ECE" or name, cell(row, name))
    end
    return ("%s, %d images (%d positive): %s"):format(row.name, row.images, row.positives, table.concat(words, ", "))
end

local FIELDS <const> = {"groups", "outsides", "worst", "mean", "left_out", "interrupted", "save_problem"}
local new_result = result_type("shift", FIELDS,
    function(self)
        local lines = {}
        for _, row in ipairs(self.groups) do lines[#lines + 1] = "left out: " .. line_of(row) end
        if self.worst then
            lines[#lines + 1] = ("worst left-out group: %s, accuracy %.3f; mean accuracy of the groups %.3f, ECE %.3f"
                ):format(self.worst.name, self.worst.accuracy, self.mean.accuracy, self.mean.ece)
        end
        for _, row in ipairs(self.outsides) do lines[#lines + 1] = "outside: " .. line_of(row) end
        return table.concat(lines, "\n")
    end)

local shift = {}

-- What several networks say of the same images, as one sample: intervals are by patient, however often an image is
-- there.
local function new_sample(name) return {name = name, scores = {}, labels = {}, patients = {}, thresholds = {}} end

-- `left_out` takes what the networks give, where it is wanted. Images without a label count for nothing.
local function add(sample, predictor, dataset, left_out)
    local found, unfamiliar, code = predictor:logits(dataset)
    if not found then return nil, unfamiliar, code end
    if left_out and not unfamiliar then left_out.unfamiliar = nil end
    local labels, patients = core.to_table(dataset.labels), dataset.groups or dataset.paths
    sample.images, sample.positives = 0, 0 -- of one network: the others see the same images
    for i, logit in ipairs(found) do
        if labels[i] == labels[i] then
            local n = #sample.scores + 1
            sample.scores[n] = calibrations.probability(predictor.metadata.calibration, logit)
            sample.labels[n], sample.patients[n] = labels[i], patients[i]
            sample.thresholds[n] = predictor.threshold
            sample.images, sample.positives = sample.images + 1, sample.positives + labels[i]
            if left_out then
                local place = #left_out.logits + 1
                left_out.logits[place], left_out.labels[place] = logit, labels[i]
                if left_out.unfamiliar then left_out.unfamiliar[place] = unfamiliar[i] end
            end
        end
    end
    return true
end

-- Figures at each network's own threshold: scores are moved so that it is one half for all, in the same order.
local function report(sample)
    local at_half = {}
    for i, score in ipairs(sample.scores) do
        local t = sample.thresholds[i]
        at_half[i] = score >= t and (t < 1 and 0.5 + 0.5 * (score - t) / (1 - t) or 1) or 0.5 * score / t
    end
    local options = {groups = sample.patients}
    local calls, chances = lx.metrics.report(at_half, sample.labels, options),
        lx.metrics.report(sample.scores, sample.labels, options)
    local row = {name = sample.name, images = sample.images, positives = sample.positives, intervals = {}}
    for _, name in ipairs(FIGURES) do
        local from = (name == "accuracy" or name == "sensitivity" or name == "specificity") and calls or chances
        row[name], row.intervals[name] = from[name], from.intervals[name]
    end
    return row
end

local function summarise(groups)
    local worst, mean = nil, {}
    for _, row in ipairs(groups) do
        if row.accuracy and (not worst or row.accuracy < worst.accuracy) then worst = row end
    end
    for _, name in ipairs(FIGURES) do
        local sum, count = 0, 0
        for _, row in ipairs(groups) do
            if row[name] then sum, count = sum + row[name], count + 1 end
        end
        mean[name] = count > 0 and sum / count or nil
    end
    return worst, mean
end

-- A name for a folder.
local function folder_of(group, seed)
    return ("%s-seed-%d"):format(tostring(group):gsub("[^%w_]+", "_"), seed)
end

local function judge(options, results, jobs)
    local groups, samples, outsides, left_out = {}, {}, {}, {logits = {}, labels = {}, unfamiliar = {}}
    for name, dataset in pairs(options.outsides or {}) do
        outsides[#outsides + 1] = {sample = new_sample(name), dataset = dataset}
    end
    table.sort(outsides, function(a, b) return a.sample.name < b.sample.name end)
    for k, result in ipairs(results) do
        local predictor, message, code = lx.predictor.open(result.out .. "/best.safetensors")
        if not predictor then return nil, message, code end
        local fold = jobs[k].fold
        local name = tostring(fold.group)
        if not samples[name] then
            samples[name] = new_sample(name)
            groups[#groups + 1] = samples[name]
        end
        local ok
        ok, message, code = add(samples[name], predictor, fold.val, left_out)
        if not ok then return nil, message, code end
        for _, of in ipairs(outsides) do
            ok, message, code = add(of.sample, predictor, of.dataset)
            if not ok then return nil, message, code end
        end
    end
    for k, sample in ipairs(groups) do groups[k] = report(sample) end
    for k, of in ipairs(outsides) do outsides[k] = report(of.sample) end
    local worst, mean = summarise(groups)
    return new_result {
        groups = groups, outsides = outsides, worst = worst, mean = mean, left_out = left_out, interrupted = false,
    }
end

--- Trains once for each fold and seed, as `fit` does, in the folders GROUP-seed-N of `out`, and judges each network on
--- the group that it has not seen, and on images from elsewhere. Folds are of `Dataset:leave_group_out`. Epoch,
--- calibration and threshold are chosen on the validation images that `fit` is given, which are to be split from the
--- training images of the fold. Two classes. Ctrl-C ends it, and `resume` goes on.
---@param options {folds: table[], fit: (fun(fold: table, seed: integer): table), seeds: integer[]?, outsides:
---  table<string, luxel.Dataset>?, out: string, resume: boolean?, overwrite: boolean?, progress: luxel.Console?} fit:
---  the options of `lx.train.fit` with metadata = {model, size} for a fold and a seed, without out, resume and
---  overwrite; seeds: default {1}; outsides: datasets by name that no network is trained on
---@return {groups: table[], outsides: table[], worst: table?, mean: table, left_out: {logits: number[], labels:
---  number[], unfamiliar: number[]?}, interrupted: boolean}? result rows with name, images (that have a label),
---  positives, auc, accuracy, sensitivity, specificity, brier, ece and intervals by patient over all seeds, each
---  network at its own threshold; nil figures where a group is of one class; worst: the row of the least accuracy;
---  left_out: what all networks give for the images that they have not seen, for `calibrate_on` of `fit`;
---  unfamiliar: as of `Predictor:logits`, where every network tells
---@return string? message, string? code as of `fit`
local function measure_shift(options)
    local jobs, seeds, taken = {}, options.seeds or {1}, {}
    if #options.folds == 0 then args.fail("shift: options: option 'folds': there are none") end
    if #seeds == 0 then args.fail("shift: options: option 'seeds': there are none") end
    for _, fold in ipairs(options.folds) do
        for _, seed in ipairs(seeds) do
            local group, number = tostring(fold.group), #jobs + 1
            local folder = folder_of(group, seed)
            if taken[folder] then
                args.fail("shift: options: the runs of group %s and seed %d would share the folder %s with others; "
                    .. "name groups otherwise, and seeds once", group, seed, folder)
            end
            taken[folder] = true
            jobs[number] = {
                folder = folder, fold = fold, plan = function() return options.fit(fold, seed) end,
                words = function(plan)
                    args.check("shift: options: option 'fit': its result: train", "dataset", plan.train)
                    return ("without %s, seed %d (%d of %d): %d images to train on, %d left out"):format(group, seed,
                        number, #options.folds * #seeds, #plan.train, #fold.val)
                end,
            }
        end
    end
    local results, message, code, stopped = runs.all("shift", options, jobs, "run")
    if not results then return nil, message, code end
    if stopped then
        return new_result {groups = {}, outsides = {}, mean = {}, interrupted = stopped.interrupted,
            save_problem = stopped.save_problem}
    end
    return judge(options, results, jobs)
end

shift.shift = args.public("shift", "options: {folds: table[], seeds: integer[]?, outsides: table?, " .. runs.OPTIONS
    .. "}", measure_shift)

return shift
