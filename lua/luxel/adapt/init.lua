--- A trained model for another hospital: what of it is fitted anew on a few local images, and what that is worth there.
--
--     local predictor = assert(lx.predictor.open("model.safetensors"))
--     local adapted = assert(lx.adapt.fit(predictor, local_images))   -- 30 to 200 images, of predictor.size
--     print(adapted)                                                  -- before and after, on patients kept out
--     assert(adapted:save("here.safetensors", {place = "St. Anna", date = "2026-03-01"}))
--
-- docs/adapting.md has what was measured, and why the defaults are what they are.

local answers = require "luxel.adapt.answers"
local args = require "luxel.args"
local calibrations = require "luxel.calibration.methods"
local core = require "luxel.core"
local doubt = require "luxel.train.doubt"
local heads = require "luxel.adapt.head"
local jobs = require "luxel.adapt.job"
local familiarity = require "luxel.train.familiarity"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local seen = require "luxel.data.seen"
local splitting = require "luxel.data.split"
local statistics = require "luxel.adapt.statistics"

local adapt = {}

--- The steps, in the order in which they are done.
adapt.STEPS = {"statistics", "head", "prior", "calibration", "threshold"}

local is_step = {}
for _, step in ipairs(adapt.STEPS) do is_step[step] = true end

local WANTS_LABELS <const> = {head = true, calibration = true, threshold = true}

-- What is done unless steps are named.
local WITH_LABELS <const>, WITHOUT <const> = {"statistics", "head", "calibration", "threshold"}, {"prior"}

-- Fewer images, or fewer of a class, tell nothing; such a share of them may be no upright chest radiograph; and half of
-- them may be so many times as far from the training as its own images.
local FEWEST <const>, FEWEST_OF_CLASS <const> = 30, 10
local UNFIT <const>, FAR <const> = 0.2, 4

---@class luxel.Adapted
---@field steps string[] that were done
---@field left_out {step: string, why: string}[] what was asked for or usual, and not done
---@field calibration table|false
---@field threshold number
---@field prior number? the share of the positive class that was found without labels
---@field images integer
---@field labelled integer
---@field patients integer? nil where nothing tells them
---@field report table? before and after on patients kept out, where there are labels: {n, folds, rows}, each row
---  {name, before, after, low, high}: the interval is of the difference
---@field unlike {before: number, after: number}? shares of the images that are unlike those of the training
local Adapted = namespace.class("Adapted", {}, {"prior", "report", "unlike"})

-- ---- whether it can be done -----------------------------------------------------------------------------------------

local function refuse(code, format, ...) return nil, "adapt: " .. format:format(...), code end

local function counts_of(labels)
    local counts = {[0] = 0, [1] = 0}
    for _, label in ipairs(labels) do
        if label == label then counts[label] = counts[label] + 1 end
    end
    return counts
end

-- The steps as a set.
local function steps_of(predictor, given, labels)
    local known = counts_of(labels)
    local list = given or known[0] + known[1] > 0 and WITH_LABELS or WITHOUT
    local set = {}
    for _, step in ipairs(list) do set[step] = true end
    if set.statistics and not statistics.has(predictor.net) then
        if given then
            return refuse("model", "statistics: the network %s has no batch normalisation", predictor.metadata.model)
        end
        set.statistics = nil
    end
    if set.prior and (set.statistics or set.head) then
        return refuse("model", "prior: it is for the network as it is, without %s", set.head and "'head'"
            or "'statistics'")
    end
    local why = set.head and (not heads.of(predictor.net) and "the last layer of %s is no Linear"
        or not answers.slope(predictor.metadata.calibration) and "the log-odds of %s are no multiple of its logits")
    if why and given then return refuse("model", "head: " .. why, predictor.metadata.model) end
    if why then set.head = nil end
    return set
end

-- Whether there are enough images for the steps, and they are of this model's kind.
local function check_counts(steps, labels)
    local counts = counts_of(labels)
    if #labels < FEWEST then
        return refuse("few", "%d images are too few to tell anything of a hospital: at least %d", #labels, FEWEST)
    end
    for _, step in ipairs(adapt.STEPS) do
        if steps[step] and WANTS_LABELS[step] then
            if counts[0] + counts[1] < FEWEST or counts[0] < FEWEST_OF_CLASS or counts[1] < FEWEST_OF_CLASS then
                return refuse("few", "%s: it wants labels of %d images, %d of each class, and there are %d and %d; "
                    .. "without labels there is the step 'prior'", step, FEWEST, FEWEST_OF_CLASS, counts[0], counts[1])
            end
        end
    end
    return true
end

local NOT_TO_LEARN_FROM <const> = {no_chest = true, blank = true, inverted = true, rotated = true}

local function check_pictures(dataset)
    local bad = 0
    for i = 1, #dataset do
        local image, message, code = dataset:image(i)
        if not image then return nil, message, code end
        for _, finding in ipairs(lx.vision.quality(image)) do
            if NOT_TO_LEARN_FROM[finding.code] then
                bad = bad + 1
                break
            end
        end
    end
    if bad > UNFIT * #dataset then
        return refuse("unlike", "%d of %d images are probably no upright frontal chest radiographs "
            .. "(lx.vision.quality says what is wrong with each)", bad, #dataset)
    end
    return true
end

local function median(values)
    local sorted = table.move(values, 1, #values, 1, {})
    table.sort(sorted)
    return sorted[(#sorted + 1) // 2]
end

-- ---- before and after -----------------------------------------------------------------------------------------------

local function log_loss(p, label)
    p = label == 1 and p or 1 - p
    return -math.log(math.max(p, 1e-12))
end

-- A row of the report from a figure that each image has, with an interval of the difference.
local function row_of(name, before, after, groups, seed)
    local differences, sum = {}, {0, 0}
    for i = 1, #before do
        differences[i] = after[i] - before[i]
        sum[1], sum[2] = sum[1] + before[i], sum[2] + after[i]
    end
    local found = lx.metrics.mean(differences, {groups = groups, seed = seed})
    return {
        name = name, before = sum[1] / #before, after = sum[2] / #before, low = found.low, high = found.high,
    }
end

-- What is measured of each image, for a probability, a threshold and the label; nil: not of this image.
local FIGURES <const> = {
    {"Brier score", function(p, _, y) return (p - y) ^ 2 end},
    {"log loss", function(p, _, y) return log_loss(p, y) end},
    {"accuracy", function(p, t, y) return (p >= t) == (y == 1) and 1 or 0 end},
    {"sensitivity", function(p, t, y) return y == 1 and (p >= t and 1 or 0) or nil end},
    {"specificity", function(p, t, y) return y == 0 and (p < t and 1 or 0) or nil end},
}

local function report_of(cases, folds, seed)
    local rows, n = {}, #cases
    for _, figure in ipairs(FIGURES) do
        local before, after, groups = {}, {}, {}
        for _, case in ipairs(cases) do
            local value = figure[2](case.before, case.threshold_before, case.label)
            if value then
                before[#before + 1], groups[#groups + 1] = value, case.group
                after[#after + 1] = figure[2](case.after, case.threshold_after, case.label)
            end
        end
        if #before > 0 then rows[#rows + 1] = row_of(figure[1], before, after, groups, seed) end
    end
    local before, after, labels = {}, {}, {}
    for i, case in ipairs(cases) do before[i], after[i], labels[i] = case.before, case.after, case.label end
    table.insert(rows, 3, {
        name = "calibration error", before = (lx.metrics.ece(before, labels)), after = (lx.metrics.ece(after, labels)),
    })
    return {n = n, folds = folds, rows = rows}
end

-- Everything chosen on the other patients, and measured on these.
local function cross_validate(job, seen_before, folds, seed)
    local metadata, cases = job.predictor.metadata, {}
    local parts, message, code = splitting.folds("adapt.fit", job.labels, job.groups, folds, {seed = seed})
    if not parts then return nil, message, code end
    for _, part in ipairs(parts) do
        local seen_there
        do
            local guard
            seen_there, guard = jobs.with_statistics(job, part.train, seen_before)
            local _ <close> = guard
        end
        local counts = counts_of(jobs.pick(job.labels, part.train))
        if counts[0] == 0 or counts[1] == 0 then
            return refuse("few", "too few patients of a class for %d folds", folds)
        end
        local found, there = jobs.fit(job, part.train, seen_there)
        for _, i in ipairs(part.val) do
            if job.labels[i] == job.labels[i] then
                cases[#cases + 1] = {
                    label = job.labels[i], group = job.groups[i],
                    before = calibrations.probability(metadata.calibration, seen_before.logits[i]),
                    after = calibrations.probability(found.calibration, there[i]),
                    threshold_before = metadata.threshold, threshold_after = found.threshold,
                }
            end
        end
    end
    return report_of(cases, folds, seed)
end

-- ---- doubt after that -----------------------------------------------------------------------------------------------

-- Limits in logits such that an image there is as sure as one at the old limits was before; of many labelled images
-- their own.
local function limits_of(fitted, found, job, logits)
    local positive, negative = doubt.by_class(logits, job.labels)
    local low, high = doubt.limits(positive, negative)
    if low and high then return low, high end
    if found.scale == 1 and found.shift == 0 or job.steps.prior then return fitted.low, fitted.high end
    local metadata = job.predictor.metadata
    -- where the new log-odds are what the old ones were at the limit; both rise with the logit
    local function moved(limit)
        if not limit then return nil end
        local wanted = answers.odds(metadata.calibration, limit)
        local from, to = limit - 1, limit + 1
        local function odds(z) return answers.odds(found.calibration, z) end
        for _ = 1, 60 do
            if odds(from) > wanted then from = from - (to - from) end
            if odds(to) < wanted then to = to + (to - from) end
        end
        for _ = 1, 80 do
            local middle = (from + to) / 2
            if odds(middle) < wanted then from = middle else to = middle end
        end
        return (from + to) / 2
    end
    return moved(fitted.low), moved(fitted.high)
end

-- What the adapted model's answers are doubted by. Where labels have said what answers are worth here, its centre moves
-- towards the local images, whose distances count among the usual ones.
local function adapted_doubt(job, found, logits, features)
    local fitted = job.predictor.metadata.doubt
    if not fitted then return nil end
    local out = {}
    for key, value in pairs(fitted) do out[key] = value end
    out.low, out.high = limits_of(fitted, found, job, logits)
    out.positive, out.negative, out.prior = nil, nil, nil -- of another hospital
    if fitted.familiarity and features and job.steps.calibration then
        out.familiarity = familiarity.moved(fitted.familiarity, features, jobs.PSEUDO)
    end
    return out
end

-- What belongs to an adapted model besides its fields: the job, and tensors and doubt of its file.
local contents = setmetatable({}, {__mode = "k"})

-- The adapted model itself, of all images.
local function finish(job, seen_here, report, patients)
    local everywhere, tensors = {}, {}
    for i = 1, #job.labels do everywhere[i] = i end
    local guard
    seen_here, guard = jobs.with_statistics(job, everywhere, seen_here)
    local _ <close> = guard
    local found, _, own, last = jobs.fit(job, everywhere, seen_here)
    local features = seen_here.features
    local changed <close> = last and heads.apply(job.predictor.net, last.fitted, last.slope) or nil -- luacheck: ignore
    for name, tensor in pairs(job.predictor.net:state_dict()) do tensors[name] = tensor:detach():to("cpu"):clone() end
    local fitted = adapted_doubt(job, found, own, features)
    local counts = counts_of(job.labels)
    local _, _, unlike = jobs.distances(fitted and fitted.familiarity, features)
    local adapted = setmetatable({
        steps = found.done, left_out = found.left_out, calibration = found.calibration, threshold = found.threshold,
        prior = found.prior, images = #job.labels, labelled = counts[0] + counts[1], patients = patients,
        report = report, unlike = job.unlike and {before = job.unlike, after = unlike} or nil,
    }, Adapted)
    contents[adapted] = {job = job, tensors = tensors, doubt = fitted}
    return adapted
end

-- ---- the public functions -------------------------------------------------------------------------------------------

--- Adapts a model of two classes to local images. Nothing of `predictor` or its file changes.
---
--- Steps: "statistics" (batch normalisation by the local images; with labels, by as many of each class as the training
--- had, and only where patients kept out gain by it), "head" (the last layer, changed as little as patients kept out
--- say, and not at all where they gain nothing by it), "prior" (the share of the positive class, by expectation
--- maximisation without labels: Saerens, Latinne and Decaestecker 2002; left out where the images or logits say that
--- more has changed than that share), "calibration" (the scale and shift of the log-odds, held near the model's own)
--- and "threshold" (moved only where that gains 3 points in the mean of sensitivity and specificity); head, calibration
--- and threshold want labels. Default: all but prior where there are labels, else prior alone. With labels, `report`
--- compares before and after on patients kept out, for whom everything was chosen on the others.
---@param predictor luxel.Predictor of two classes, not adapted before
---@param dataset luxel.Dataset images of `predictor.size`, of patients that the model was not trained on
---  (`lx.data.unseen`); labels may be NaN
---@param options? {steps: string[]?, folds: integer?, seed: integer?} folds: of the report, default 5; seed: 1
---@return luxel.Adapted? adapted, string? message, string? code "few": fewer than 30 images, or of what wants labels
---  fewer than 10 of a class; "unlike": they are no chest radiographs, or further from those of the training than a
---  change of hospital explains; "model": it cannot be adapted, or not in that way; "io", "format", "device", "memory"
function adapt.fit(predictor, dataset, options)
    local opts = args.with_defaults(options, {folds = 5, seed = 1})
    local metadata = predictor.metadata
    if predictor.task ~= "binary" or dataset.task ~= "binary" then
        return refuse("model", "models of two classes can be adapted, and the %s of the task '%s'",
            predictor.task ~= "binary" and "model is" or "images are",
            predictor.task ~= "binary" and predictor.task or dataset.task)
    elseif predictor.members then
        return refuse("model", "each model of an ensemble is adapted by itself")
    elseif metadata.adapted then
        return refuse("model", "%s was adapted already; adapt the model that it was made of", predictor.path)
    end
    local labels = core.to_table(dataset.labels)
    local steps, message, code = steps_of(predictor, opts.steps, labels)
    if not steps then return nil, message, code end
    local ok
    ok, message, code = check_counts(steps, labels)
    if ok then ok, message, code = check_pictures(dataset) end
    if not ok then return nil, message, code end
    local job, patients = jobs.new(predictor, dataset, steps, opts.seed)
    local seen_here = jobs.observe(job)
    local distances
    distances, job.flags, job.unlike = jobs.distances(job.known, seen_here.features)
    if distances and median(distances) > FAR * median(job.known.distances) then
        return refuse("unlike", "half of the images are %.1f times as far from those of the training as its own (limit "
            .. "%g): this is more than another hospital", median(distances) / median(job.known.distances), FAR)
    end
    local report
    local counts = counts_of(labels)
    if counts[0] >= FEWEST_OF_CLASS and counts[1] >= FEWEST_OF_CLASS then
        report, message, code = cross_validate(job, seen_here, opts.folds, opts.seed)
        if not report then return nil, message, code end
    end
    return finish(job, seen_here, report, patients)
end

-- The hashes of both, each once.
local function joined(first, second)
    local set, list = {}, {}
    for code in ((first or "") .. (second or "")):gmatch("%x%x%x%x%x%x%x%x%x%x%x%x") do
        if not set[code] then set[code], list[#list + 1] = true, code end
    end
    table.sort(list)
    return table.concat(list)
end

local function checksum_of_file(path)
    local file <close>, message = io.open(path, "rb")
    if not file then return nil, "adapt: " .. message, "io" end
    return ("xxh64:%016x"):format(core.checksum(file:read "a"))
end

--- Writes the adapted model. Its file says where and when it was adapted, on how many images, and how; and the images
--- and patients are known to it as those of the training are (`lx.data.unseen`).
---@param path string another file than the model's
---@param options? {place: string?, date: string?} place: the hospital, in your words; date: default today's
---@return boolean? ok, string? message, string? code "model" where nothing was changed, and there is nothing to write
function Adapted:save(path, options)
    if #self.steps == 0 then
        return refuse("model", "nothing was changed, so there is no adapted model to write")
    end
    local opts = args.with_defaults(options, {date = os.date("!%Y-%m-%d")})
    local own_contents, metadata = contents[self], {}
    local job = own_contents.job
    local source, message, code = checksum_of_file(job.predictor.path)
    if not source then return nil, message, code end
    for key, value in pairs(job.predictor.metadata) do metadata[key] = value end
    local known, own = metadata.trained_on or {}, seen.describe(job.dataset)
    metadata.trained_on = {
        pixels = joined(known.pixels, own.pixels), patients = joined(known.patients, own.patients),
        images = (known.images or 0) + own.images,
    }
    metadata.training = nil
    metadata.calibration, metadata.threshold, metadata.doubt = self.calibration, self.threshold, own_contents.doubt
    local rows = {}
    for i, row in ipairs(self.report and self.report.rows or {}) do
        rows[i] = {name = row.name, before = row.before, after = row.after, low = row.low, high = row.high}
    end
    metadata.adapted = {
        place = opts.place, date = opts.date, images = self.images, labelled = self.labelled, patients = self.patients,
        steps = self.steps, prior = self.prior, source = source, rows = #rows > 0 and rows or nil,
    }
    return lx.checkpoint.save(path, own_contents.tensors, metadata)
end

local function percent(share) return ("%.0f %%"):format(100 * share) end

function Adapted:__tostring()
    local lines = {("adapted on %d images of %d patients, %s: %s"):format(self.images, self.patients,
        self.labelled == 0 and "without labels" or ("%d with labels"):format(self.labelled),
        #self.steps > 0 and table.concat(self.steps, ", ") or "nothing was changed")}
    for _, one in ipairs(self.left_out) do lines[#lines + 1] = ("left out: %s: %s"):format(one.step, one.why) end
    if self.prior then
        lines[#lines + 1] = ("share of the positive class, without labels: %.1f %%"):format(100 * self.prior)
    end
    if self.unlike then
        lines[#lines + 1] = ("images unlike those known to the model: %s before, %s after"):format(
            percent(self.unlike.before), percent(self.unlike.after))
    end
    local report = self.report
    if report then
        lines[#lines + 1] = ("on patients kept out (%d images, %d folds):"):format(report.n, report.folds)
        lines[#lines + 1] = ("  %-18s %8s %8s   %s"):format("", "before", "after", "difference, 95 % interval")
        for _, row in ipairs(report.rows) do
            lines[#lines + 1] = ("  %-18s %8.4f %8.4f   %+.4f%s"):format(row.name, row.before, row.after,
                row.after - row.before, row.low and ("  [%+.4f, %+.4f]"):format(row.low, row.high) or "")
        end
    else
        lines[#lines + 1] = "no labels, so nothing here says whether it is better than before"
    end
    return table.concat(lines, "\n")
end

args.type("adapted", "what adapt.fit gives", "table", function(value) return getmetatable(value) == Adapted end)
args.type("adapt_step", "a step (" .. table.concat(adapt.STEPS, ", ") .. ")", "string", function(value)
    return is_step[value] == true
end)
args.type("date", "a date such as 2026-03-01", "string", function(value)
    return value:find("^%d%d%d%d%-%d%d%-%d%d$") ~= nil
end)

args.publish("Adapted:", Adapted, {save = "adapted: adapted, path: path, options: {place: text?, date: date?}?"})

return namespace("lx.adapt", args.publish("adapt.", adapt, {
    fit = "predictor: predictor, dataset: dataset, "
        .. "options: {steps: adapt_step[]?, folds: integer(2..100)?, seed: integer?}?",
}))
