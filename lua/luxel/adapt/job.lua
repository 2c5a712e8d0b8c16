--- One adaptation: a model, images, and the steps; what is fitted on some of the images, and what all of them then
--- give.

local answers = require "luxel.adapt.answers"
local core = require "luxel.core"
local crop = require "luxel.data.crop"
local doubt = require "luxel.train.doubt"
local familiarity = require "luxel.train.familiarity"
local heads = require "luxel.adapt.head"
local lx = require "luxel"
local splitting = require "luxel.data.split"
local statistics = require "luxel.adapt.statistics"

local jobs = {
    PSEUDO = 32, -- images that the training's statistics and centre count as
}

-- The share of images that may be unlike those of the training where only the shares of the classes are to have
-- changed.
local UNLIKE <const> = 0.1

-- Parts of the patients that the last layer is judged by before it is taken.
local INNER <const> = 5

-- Fewer labelled images of a class than that, and statistics are of all images as they are.
local FEWEST_OF_CLASS <const> = 5

---@class luxel.AdaptJob
---@field predictor luxel.Predictor
---@field dataset luxel.Dataset
---@field labels number[] 0, 1 or NaN
---@field groups any[] the patient of each image
---@field steps table<string, boolean>
---@field known luxel.Familiarity?
---@field flags integer[]? 1 for images that are unlike those of the training
---@field unlike number? their share
---@field seed integer

--- A job, with the patients counted.
---@param predictor luxel.Predictor
---@param dataset luxel.Dataset
---@param steps table<string, boolean>
---@param seed integer
---@return luxel.AdaptJob job, integer patients
function jobs.new(predictor, dataset, steps, seed)
    local groups, known, patients = {}, {}, 0
    for i = 1, #dataset do
        groups[i] = dataset.groups and dataset.groups[i] or dataset.paths[i] or i
        if not known[groups[i]] then known[groups[i]], patients = true, patients + 1 end
    end
    local kept = predictor.metadata.doubt
    return {
        predictor = predictor, dataset = dataset, labels = core.to_table(dataset.labels), groups = groups,
        steps = steps, known = kept and kept.familiarity, seed = seed,
    }, patients
end

--- Distances of the images from those of the training, which are unlike them (1, or 0), and their share; nil where the
--- model keeps nothing.
---@param known luxel.Familiarity?
---@param features Tensor?
---@return number[]? distances, integer[]? flags, number? share
function jobs.distances(known, features)
    if not known or not features then return nil end
    local list, flags, unlike = familiarity.distances(known, features), {}, 0
    for i, distance in ipairs(list) do
        flags[i] = familiarity.p_value(known, distance) <= doubt.UNLIKE and 1 or 0
        unlike = unlike + flags[i]
    end
    return list, flags, unlike / #list
end


--- The elements of a list at some places.
---@param list any[]
---@param places integer[]
---@return any[]
function jobs.pick(list, places)
    local out = {}
    for k, i in ipairs(places) do out[k] = list[i] end
    return out
end

-- Positions, some of them several times, such that of the images with labels each class has the share that it had in
-- training: otherwise statistics of all of them would move every logit by what the shares have changed.
local function with_shares(labels, places, prior)
    local by_class = {[0] = {}, [1] = {}}
    for _, i in ipairs(places) do
        if labels[i] == labels[i] then table.insert(by_class[labels[i]], i) end
    end
    local negative, positive = #by_class[0], #by_class[1]
    if not prior or negative < FEWEST_OF_CLASS or positive < FEWEST_OF_CLASS then return places end
    local out, total = {}, negative + positive
    for class, share in pairs {[0] = 1 - prior, [1] = prior} do
        local list, wanted = by_class[class], math.max(1, math.floor(share * total + 0.5))
        for k = 1, wanted do out[#out + 1] = list[(k - 1) % #list + 1] end
    end
    table.sort(out)
    return out
end

--- Logits, features and inputs of the last layer, of all images, by the network as it is.
---@param job luxel.AdaptJob
---@return {logits: number[], features: Tensor?, inputs: Tensor?}
function jobs.observe(job)
    local options = {features = job.known ~= nil}
    if job.steps.statistics then options.compile = false end -- each recording would be of statistics that are gone
    crop.check("adapt.fit: dataset", job.dataset, job.predictor.metadata.input.crop)
    for key, value in pairs(job.predictor.metadata.normalisation) do options[key] = value end
    local logits, features = lx.train.predict(job.predictor.net, job.dataset, options)
    local inputs
    if job.steps.head then
        local normalisation = job.predictor.metadata.normalisation
        inputs = heads.inputs(job.predictor.net, job.dataset, {
            mean = normalisation.mean, std = normalisation.std, enhance = normalisation.enhance,
            device = job.predictor.device,
        })
    end
    return {logits = logits, features = features, inputs = inputs}
end

--- The network with the statistics of some of the images, until what it returns is closed.
---@param job luxel.AdaptJob
---@param places integer[]
---@return {__close: fun()} guard
function jobs.put_statistics(job, places)
    local normalisation = job.predictor.metadata.normalisation
    local prior = job.predictor.metadata.doubt and job.predictor.metadata.doubt.prior
    return statistics.adapt(job.predictor.net, job.dataset:subset(with_shares(job.labels, places, prior)), {
        mean = normalisation.mean, std = normalisation.std, enhance = normalisation.enhance, pseudo = jobs.PSEUDO,
        device = job.predictor.device,
    })
end

-- The labelled ones of some images: their places, log-odds, labels, and how their patients are kept out in turn; nil
-- and why where that cannot be.
local function labelled(job, places, logits)
    local known, odds = {}, {}
    for _, i in ipairs(places) do
        if job.labels[i] == job.labels[i] then
            known[#known + 1] = i
            odds[#odds + 1] = answers.odds(job.predictor.metadata.calibration, logits[i])
        end
    end
    local labels = jobs.pick(job.labels, known)
    local folds, why = splitting.folds("adapt.fit", labels, jobs.pick(job.groups, known), INNER, {seed = job.seed})
    if not folds then return nil, why end
    return {places = known, odds = odds, labels = labels, folds = folds}
end

-- The log loss of some images whose logits were calibrated without their own patients.
local function kept_out_loss(job, places, logits)
    local known = labelled(job, places, logits)
    if not known then return nil end
    local sum = 0
    for i, z in ipairs(answers.kept_out(known.odds, known.labels, known.folds)) do
        sum = sum + heads.log_loss(z, known.labels[i])
    end
    return sum / #known.labels
end

--- The network with the statistics of some of the images, where the job asks for it and, if there are labels, patients
--- kept out gain by it; until the guard is closed.
---@param job luxel.AdaptJob
---@param places integer[]
---@param before table of `observe`, by the network as it is
---@return table seen as of `observe`, with `statistics` or why not, for `fit`
---@return {__close: fun()}? guard
function jobs.with_statistics(job, places, before)
    if not job.steps.statistics then return before end
    local guard = jobs.put_statistics(job, places)
    local seen = jobs.observe(job)
    seen.statistics = true
    local old, new = kept_out_loss(job, places, before.logits), kept_out_loss(job, places, seen.logits)
    if not old or new <= old - heads.GAIN then return seen, guard end
    do local _ <close> = guard end -- puts the old ones back
    return {
        logits = before.logits, features = before.features, inputs = before.inputs,
        why_not = ("they gain less than %g of the log loss on patients kept out (%.3f, and %.3f without)"):format(
            heads.GAIN, new, old),
    }
end

-- The last layer, fitted on some of the images: the logits of all of them with it, and of these such that no image had
-- a part in its own.
local function fit_head(job, places, seen_there)
    local metadata = job.predictor.metadata
    local those, why = labelled(job, places, seen_there.logits)
    if not those then return nil, why end
    local known, odds, labels = those.places, those.odds, those.labels
    local inputs = seen_there.inputs:index_select(1, lx.tensor(known, {dtype = "int32"}))
    local fitted
    fitted, why = heads.fit(inputs, odds, labels, those.folds, answers.kept_out(odds, labels, those.folds))
    if not fitted then return nil, why end
    local slope, logits, own = answers.slope(metadata.calibration), {}, {}
    for i, change in ipairs(heads.changes(fitted, seen_there.inputs)) do
        logits[i] = seen_there.logits[i] + change / slope
    end
    table.move(logits, 1, #logits, 1, own)
    for k, i in ipairs(known) do
        own[i] = seen_there.logits[i] + (fitted.kept_out[k] - odds[k]) / slope
    end
    return {fitted = fitted, logits = logits, own = own, slope = slope}
end

--- What comes after the features, fitted on some of the images.
---@param job luxel.AdaptJob
---@param places integer[]
---@param seen_there table of `observe`
---@return luxel.AdaptedAnswers found
---@return number[] logits of all images with what was fitted
---@return number[] own of `places` without a part of their own patients in them, else as `logits`
---@return {fitted: luxel.AdaptedHead, slope: number}? last
function jobs.fit(job, places, seen_there)
    local metadata = job.predictor.metadata
    local logits, own, last, why = seen_there.logits, seen_there.logits, nil, nil
    if job.steps.head then
        last, why = fit_head(job, places, seen_there)
        if last then logits, own = last.logits, last.own end
    end
    local unlike
    if job.flags then
        local count = 0
        for _, i in ipairs(places) do count = count + job.flags[i] end
        unlike = {share = count / #places, limit = UNLIKE}
    end
    local found = answers.fit(metadata, jobs.pick(own, places), jobs.pick(job.labels, places), job.steps, unlike)
    if last then table.insert(found.done, 1, "head") end
    if why then table.insert(found.left_out, 1, {step = "head", why = why}) end
    if seen_there.statistics then table.insert(found.done, 1, "statistics") end
    if seen_there.why_not then
        table.insert(found.left_out, 1, {step = "statistics", why = seen_there.why_not})
    end
    return found, logits, own, last
end

return jobs
