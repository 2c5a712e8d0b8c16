--- What adapting a model to another hospital is worth there: it is adapted on one half of the patients, and judged on
--- the other, for many random halves.
--
--     lua5.4 bench/adapt.lua --model M --data DIR [--halves 200] [--images 60] [--slow 10]
--
-- Logits and features are computed once, so that halves take milliseconds; the ways that change batch normalisation
-- need the images again, and are done for the first --slow halves only. Excess: the calibration error beyond that of a
-- model whose probabilities are right, on as many images (labels drawn by the probabilities themselves). Intervals are
-- the middle 95 % of the halves, which share images: they say how much hangs on which half it was.

local argparse = require "argparse"
local calibrations = require "luxel.calibration.methods"
local heads = require "luxel.adapt.head"
local jobs = require "luxel.adapt.job"
local lx = require "luxel"
local options = require "luxel.command.options"
local random = require "luxel.random"
local statistics = require "luxel.adapt.statistics"

local parser = argparse("adapt.lua", "What adapting a model to another hospital is worth there.")
parser:option("--model", "Model file."):count(1)
parser:option("--data", "Folder or CSV file of labelled images of the other hospital."):count(1)
options.add_data(parser)
options.add_device(parser)
options.add_number(parser, "--halves", "Random halves.", 200, 1, 100000, true)
options.add_number(parser, "--images", "Images at most that are adapted on.", 60, 30, 100000, true)
options.add_number(parser, "--slow", "Halves of the ways that need the images again.", 10, 0, 1000, true)
options.add_seed(parser, "Of the halves.", 1)
parser:option("--change", "STEP=VALUE of lx.vision.pipeline that the images go through first, as in gamma=2.")

-- Draws of labels that say what a calibration error would be by chance.
local DRAWS <const> = 20

local FIGURES <const> = {"Brier", "log loss", "ECE", "excess", "accuracy", "sensitivity", "specificity"}

-- The figures of some images with a calibration and a threshold.
local function judge(job, places, logits, found, stream)
    local p, y = {}, jobs.pick(job.labels, places)
    local sums, right, count = {0, 0}, {[0] = 0, [1] = 0}, {[0] = 0, [1] = 0}
    for k, i in ipairs(places) do
        p[k] = calibrations.probability(found.calibration, logits[i])
        local label = y[k]
        sums[1] = sums[1] + (p[k] - label) ^ 2
        sums[2] = sums[2] - math.log(math.max(label == 1 and p[k] or 1 - p[k], 1e-12))
        count[label] = count[label] + 1
        if (p[k] >= found.threshold) == (label == 1) then right[label] = right[label] + 1 end
    end
    local ece, expected = lx.metrics.ece(p, y), 0
    for _ = 1, DRAWS do
        local drawn = {}
        for k, value in ipairs(p) do drawn[k] = stream:uniform(0, 1) < value and 1 or 0 end
        expected = expected + lx.metrics.ece(p, drawn) / DRAWS
    end
    return {
        sums[1] / #places, sums[2] / #places, ece, ece - expected, (right[0] + right[1]) / #places,
        right[1] / count[1], right[0] / count[0],
    }
end

-- Two halves of the patients, as positions; nil where one of them lacks a class.
local function halves_of(job, number)
    local order, parts, counts = random.stream(job.seed, number):permutation(#job.patients), {{}, {}}, {}
    for place, at in ipairs(order) do
        local part = parts[place <= #order // 2 and 1 or 2]
        for _, i in ipairs(job.patients[at]) do part[#part + 1] = i end
    end
    parts[1] = table.move(parts[1], 1, math.min(#parts[1], job.images), 1, {})
    for k, part in ipairs(parts) do
        counts[k] = 0
        for _, i in ipairs(part) do counts[k] = counts[k] + job.labels[i] end
        if math.min(counts[k], #part - counts[k]) < 10 then return nil end
    end
    return parts[1], parts[2]
end

-- A way of some steps: what they fit on a half, and the logits to judge with.
local function steps_of(name, steps, slow)
    local set = {}
    for _, step in ipairs(steps) do set[step] = true end
    return {name, function(job, here)
        job.steps = set
        local seen
        do
            local guard
            seen, guard = jobs.with_statistics(job, here, job.seen)
            local _ <close> = guard
        end
        return jobs.fit(job, here, seen)
    end, slow = slow or set.statistics, head = set.head}
end

-- Without labels the statistics are of all images as they are.
local function blind_statistics(job, here)
    job.steps = {statistics = true}
    local labels = job.labels
    job.labels = {}
    for i = 1, #labels do job.labels[i] = 0 / 0 end
    local seen
    do
        local _ <close> = jobs.put_statistics(job, here)
        seen = jobs.observe(job)
    end
    job.labels = labels
    return job.predictor.metadata, seen.logits
end

local WAYS <const> = {
    {"as it is", function(job) return job.predictor.metadata, job.seen.logits end},
    steps_of("prior (no labels)", {"prior"}),
    steps_of("calibration", {"calibration"}),
    steps_of("calibration, threshold", {"calibration", "threshold"}),
    steps_of("head, calibration, threshold", {"head", "calibration", "threshold"}),
    {"statistics (no labels)", blind_statistics, slow = true},
    steps_of("statistics, calibration, threshold", {"statistics", "calibration", "threshold"}),
    steps_of("statistics, head, calibration, threshold", {"statistics", "head", "calibration", "threshold"}),
}

local function interval(values)
    local sorted, sum = table.move(values, 1, #values, 1, {}), 0
    table.sort(sorted)
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values, sorted[math.max(1, math.floor(0.025 * #sorted + 0.5))],
        sorted[math.min(#sorted, math.ceil(0.975 * #sorted))]
end

local function say(way, before, after, done)
    print(("\n%s (%d halves%s)"):format(way, #after, done or ""))
    for f, name in ipairs(FIGURES) do
        local columns = {{}, {}, {}}
        for h, found in ipairs(after) do
            columns[1][h], columns[2][h], columns[3][h] = before[h][f], found[f], found[f] - before[h][f]
        end
        local words = {}
        for k, column in ipairs(columns) do
            words[k] = (k == 3 and "%+.4f [%+.4f, %+.4f]" or "%.4f [%.4f, %.4f]"):format(interval(column))
        end
        print(("  %-12s %s  ->  %s   difference %s"):format(name, table.unpack(words)))
    end
end

-- The images after a step of `lx.vision.pipeline`, as another machine might have made them.
local function after_step(dataset, word)
    local name, value = word:match("^(%w+)=([%d.]+)$")
    if not name then options.fail(("--change: expected STEP=VALUE, as in gamma=2, got '%s'"):format(word)) end
    local pipeline, out = lx.vision.pipeline {{name, {tonumber(value), tonumber(value)}}}, {}
    for i = 1, #dataset do out[i] = pipeline(dataset:image(i), {seed = 1, epoch = 1, index = i}) end
    return lx.data.dataset {
        images = lx.stack(out, 1), labels = dataset.labels, patients = dataset.groups or nil, classes = dataset.classes,
        paths = dataset.paths,
    }
end

local function open(args)
    local model = options.must(lx.predictor.open(args.model, {device = options.device(args.device)}))
    local frame = options.frame(args)
    options.check_classes(model, frame)
    local dataset, left_out = lx.data.unseen(options.load_for(frame, model), model.metadata.trained_on)
    if args.change then dataset = after_step(dataset, args.change) end
    local job = jobs.new(model, dataset, {head = heads.of(model.net) ~= nil}, args.seed)
    job.patients, job.images = {}, args.images
    local known = {}
    for i, group in ipairs(job.groups) do
        if not known[group] then
            known[group] = {}
            job.patients[#job.patients + 1] = known[group]
        end
        table.insert(known[group], i)
    end
    job.seen = jobs.observe(job)
    local _
    _, job.flags, job.unlike = jobs.distances(job.known, job.seen.features)
    print(("%d images of %d patients (%d left out: the model knows them or their patients); adapting on %d"):format(
        #dataset, #job.patients, left_out.pixels + left_out.patients, args.images))
    if job.unlike then print(("%.1f %% are unlike those of the training"):format(100 * job.unlike)) end
    return job
end

options.main(function()
    local args = options.parse(parser)
    local job = open(args)
    local found, changed = {}, {}
    for w in ipairs(WAYS) do found[w], changed[w] = {}, {} end
    local number, done = 0, 0
    while done < args.halves and number < 10 * args.halves do
        number = number + 1
        local here, there = halves_of(job, number)
        if here then
            done = done + 1
            for w, way in ipairs(WAYS) do
                if not (way.head and not heads.of(job.predictor.net))
                    and (not way.slow or done <= args.slow and statistics.has(job.predictor.net)) then
                    local fit, logits = way[2](job, here)
                    found[w][done] = judge(job, there, logits, fit, random.stream(job.seed, number, w))
                    for _, step in ipairs(fit.done or {}) do changed[w][step] = (changed[w][step] or 0) + 1 end
                end
            end
        end
    end
    if done == 0 then options.fail("no half has 10 images of each class") end
    for w, way in ipairs(WAYS) do
        if w > 1 and #found[w] > 0 then
            local words = {}
            for _, step in ipairs(lx.adapt.STEPS) do
                if changed[w][step] then
                    words[#words + 1] = ("%s in %.0f %%"):format(step, 100 * changed[w][step] / #found[w])
                end
            end
            say(way[1], found[1], found[w], #words > 0 and ": " .. table.concat(words, ", ") or "")
        end
    end
end)
