--- What adapting a model to another hospital is worth there: it is adapted on one half of the patients, and judged on
--- the other, for many random halves.
--
--     lua5.4 bench/adapt.lua --model M --data DIR [--halves 200] [--images 60] [--slow 10]
--
-- Logits and features are computed once, so that halves take milliseconds; the ways that change batch normalisation
-- need the images again, and are done for the first --slow halves only. Excess: the calibration error beyond that of a
-- model whose probabilities are right, on as many images (labels drawn by the probabilities themselves). Intervals are
-- the middle 95 % of the halves, which share images: they say how much hangs on which half it was.

local answers = require "luxel.adapt.answers"
local argparse = require "argparse"
local calibrations = require "luxel.calibration.methods"
local core = require "luxel.core"
local doubt = require "luxel.train.doubt"
local familiarity = require "luxel.train.familiarity"
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

-- The share of unlike images, and the weight of the training's statistics, as in lx.adapt.
local UNLIKE <const>, PSEUDO <const>, DRAWS <const> = 0.1, 32, 20

local FIGURES <const> = {"Brier", "log loss", "ECE", "excess", "accuracy", "sensitivity", "specificity"}

local function pick(list, places)
    local out = {}
    for k, i in ipairs(places) do out[k] = list[i] end
    return out
end

-- The figures of some images with a calibration and a threshold.
local function judge(job, places, logits, found, stream)
    local p, y = {}, pick(job.labels, places)
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

local function fitted(job, here, logits, steps, labels)
    local unlike = 0
    for _, i in ipairs(here) do unlike = unlike + (job.unlike and job.unlike[i] or 0) end
    return answers.fit(job.metadata, pick(logits, here), labels and pick(job.labels, here) or nil, steps,
        job.unlike and {share = unlike / #here, limit = UNLIKE})
end

local function observe(job, dataset)
    local how = {features = job.metadata.doubt ~= nil}
    for key, value in pairs(job.metadata.normalisation) do how[key] = value end
    return lx.train.predict(job.model.net, dataset, how)
end

-- The images of a half with as many of each class as the training had, as lx.adapt takes them where there are labels.
local function balanced(job, here)
    local lists, out = {[0] = {}, [1] = {}}, {}
    for _, i in ipairs(here) do table.insert(lists[job.labels[i]], i) end
    local prior = job.metadata.doubt and job.metadata.doubt.prior
    if not prior then return here end
    for class, share in pairs {[0] = 1 - prior, [1] = prior} do
        for k = 1, math.max(1, math.floor(share * #here + 0.5)) do
            out[#out + 1] = lists[class][(k - 1) % #lists[class] + 1]
        end
    end
    return out
end

-- What the network gives with the statistics of some images.
local function with_statistics(job, places)
    local normalisation = job.metadata.normalisation
    local _ <close> = statistics.adapt(job.model.net, job.dataset:subset(places), {
        mean = normalisation.mean, std = normalisation.std, enhance = normalisation.enhance, pseudo = PSEUDO,
        device = job.model.device,
    })
    return (observe(job, job.dataset))
end

-- The ways, in order: each gives what was fitted on a half, and the logits to judge with.
local WAYS <const> = {
    {"as it is", function(job) return job.metadata, job.logits end},
    {"prior (no labels)", function(job, here) return fitted(job, here, job.logits, {prior = true}), job.logits end},
    {"calibration", function(job, here)
        return fitted(job, here, job.logits, {calibration = true}, true), job.logits
    end},
    {"calibration, threshold", function(job, here)
        return fitted(job, here, job.logits, {calibration = true, threshold = true}, true), job.logits
    end},
    {"prior, calibration, threshold", function(job, here)
        return fitted(job, here, job.logits, {prior = true, calibration = true, threshold = true}, true), job.logits
    end},
    {"statistics (no labels)", function(job, here) return job.metadata, with_statistics(job, here) end, slow = true},
    {"statistics, calibration, threshold", function(job, here)
        local logits = with_statistics(job, balanced(job, here))
        return fitted(job, here, logits, {calibration = true, threshold = true}, true), logits
    end, slow = true},
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

local function open(args)
    local model = options.must(lx.predictor.open(args.model, {device = options.device(args.device)}))
    local frame = options.frame(args)
    options.check_classes(model, frame)
    local dataset, left_out = lx.data.unseen(options.load(frame, model.size, false), model.metadata.trained_on)
    local job = {
        model = model, metadata = model.metadata, dataset = dataset, labels = core.to_table(dataset.labels),
        patients = {}, images = args.images, seed = args.seed,
    }
    local known = {}
    for i = 1, #dataset do
        local group = dataset.groups and dataset.groups[i] or i
        if not known[group] then
            known[group] = {}
            job.patients[#job.patients + 1] = known[group]
        end
        table.insert(known[group], i)
    end
    local features
    job.logits, features = observe(job, dataset)
    local like = job.metadata.doubt and job.metadata.doubt.familiarity
    if like then
        job.unlike = {}
        for i, distance in ipairs(familiarity.distances(like, features)) do
            job.unlike[i] = familiarity.p_value(like, distance) <= doubt.UNLIKE and 1 or 0
        end
    end
    print(("%d images of %d patients (%d left out: the model knows them or their patients); adapting on %d"):format(
        #dataset, #job.patients, left_out.pixels + left_out.patients, args.images))
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
                if not way.slow or done <= args.slow and statistics.has(job.model.net) then
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
