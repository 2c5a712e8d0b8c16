--- Which answers of a model to doubt: what its file keeps for that, fitted on the validation images, and how an image
--- is judged by it.
--
-- An answer is uncertain where the conformal set of the image is not just its label (a set for each class by itself:
-- Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005, section 4.5), or where its features are
-- unlike those of training (luxel.train.familiarity). `doubt` orders images by how likely the answer is wrong: the
-- distance to the threshold in log-odds, divided by a power of how unfamiliar the image is. The power is the one whose
-- order withholds wrong answers best among the images that calibration was fitted to where these are others, such as
-- those of styles left out; else among validation images and near misses of them: darkened, blurred, cropped and
-- turned.

local calibration = require "luxel.calibration.methods"
local conformal = require "luxel.conformal"
local familiarity = require "luxel.train.familiarity"
local metrics = require "luxel.metrics"

local doubt = {}

-- The share of the images of each class whose conformal set is to hold their class.
local COVERAGE <const> = 0.95

-- An image is unlike those of training where no more of the images that training left out are as far away.
doubt.UNLIKE = 0.02

-- Logits of each class that are kept.
local SCORES <const> = 100

local POWERS <const> = {0, 0.5, 1, 2}

-- Images at most: of training for the features, and of validation that near misses are made of.
doubt.TRAINING, doubt.NEAR = 1024, 200

--- The near misses, as steps of a pipeline for images of a size.
---@param size integer
---@return table[][]
function doubt.near_misses(size)
    return {
        {{"brightness", {0.25, 0.6}}}, {{"gamma", {1.8, 3}}}, {{"blur", {size / 64, size / 25}}},
        {{"zoom", {1.4, 1.8}}}, {{"rotate", {20, 45}}},
    }
end

--- Why a model and its images cannot be doubted in this way; nil if they can.
---@param fit {task: string}
---@param has_features boolean
---@return string?
function doubt.obstacle(fit, has_features)
    if fit.task ~= "binary" and fit.task ~= "labels" then return "it is for two classes, and for labels" end
    if not has_features then return "the network is none of lx.models, and its features are not known" end
end

-- ---- fitting ----------------------------------------------------------------------------------------------------

-- The logits of each class, ascending.
local function by_class(logits, labels)
    local lists = {[0] = {}, [1] = {}}
    for i, z in ipairs(logits) do
        if labels[i] == labels[i] then table.insert(lists[labels[i]], z) end
    end
    table.sort(lists[0])
    table.sort(lists[1])
    return lists[1], lists[0]
end

-- The limits of the conformal sets in logits, whose order no calibration changes: from `low` on an image may be
-- positive, up to `high` negative. Nil where there are too few images of the class to say.
local function limits(positive, negative)
    local turned = {}
    for i, z in ipairs(positive) do turned[i] = -z end
    local low, high = -conformal.quantile(turned, COVERAGE), conformal.quantile(negative, COVERAGE)
    return low > -math.huge and low or nil, high < math.huge and high or nil
end

local function log_odds(p)
    p = math.max(1e-12, math.min(1 - 1e-12, p))
    return math.log(p / (1 - p))
end

-- A number from 0 to 0.5: how doubtful an image is by its distance to the threshold and its unfamiliarity.
local function combine(margin, unfamiliar, power) return 1 / (1 + math.exp(margin / unfamiliar ^ power)) end

-- Logits, labels and how unfamiliar each image is, of images whose features are known.
local function observed(known, set)
    return {logits = set.logits, labels = set.labels, unfamiliar = familiarity.ratios(known, set.features)}
end

-- The power whose order has the least risk; of equal ones the smallest.
local function choose_power(model, sets)
    local margins, unfamiliar, wrong = {}, {}, {}
    for _, set in ipairs(sets) do
        for i, z in ipairs(set.logits) do
            if set.labels[i] == set.labels[i] then
                local p = calibration.probability(model.calibration, z)
                margins[#margins + 1] = math.abs(log_odds(p) - log_odds(model.threshold))
                unfamiliar[#unfamiliar + 1] = set.unfamiliar[i]
                wrong[#wrong + 1] = (p >= model.threshold) == (set.labels[i] == 1) and 0 or 1
            end
        end
    end
    local best, least = 0, nil
    if #wrong == 0 then return best end
    for _, power in ipairs(POWERS) do
        local doubts = {}
        for i, margin in ipairs(margins) do doubts[i] = combine(margin, unfamiliar[i], power) end
        local risk = metrics.aurc(doubts, wrong)
        if not least or risk < least - 1e-12 then best, least = power, risk end
    end
    return best
end

---@class luxel.Doubt what a model's file keeps
---@field coverage number
---@field each {low: number?, high: number?}[]? of labels the limits of each, which have none of their own below
---@field low number? logit from which on the positive class is in the conformal set; nil where too few images say
---@field high number? logit up to which the negative class is
---@field prior number? share of the positive class among the labelled images that probabilities were calibrated on
---@field positive number[]? logits of these images of the positive class, ascending, at most 100 evenly chosen ones
---@field negative number[]? the same of the negative class
---@field power number
---@field familiarity luxel.Familiarity?
---@field images integer that it was fitted on

--- What a model's file keeps.
---@param model {calibration: table|false|nil, threshold: number}
---@param validation {logits: number[], labels: number[], features: Tensor?}
---@param training Tensor? features of training images
---@param near {logits: number[], labels: number[], features: Tensor}[]? near misses
---@param on {logits: number[], labels: number[], unfamiliar: number[]?}? other images that the model was calibrated on
---@return luxel.Doubt
function doubt.fit(model, validation, training, near, on)
    local of = on or validation
    local positive, negative = by_class(of.logits, of.labels)
    local low, high = limits(positive, negative)
    local both = #positive > 0 and #negative > 0
    local fitted = {
        coverage = COVERAGE, low = low, high = high, power = 0, images = #of.logits,
        prior = both and #positive / (#positive + #negative) or nil,
        positive = both and familiarity.thinned(positive, SCORES) or nil,
        negative = both and familiarity.thinned(negative, SCORES) or nil,
    }
    local like = training and validation.features and familiarity.fit(training, validation.features)
    if like then
        fitted.familiarity = like
        local sets = {on}
        if not on or not on.unfamiliar then
            sets = {observed(like, validation)}
            for i, set in ipairs(near or {}) do sets[i + 1] = observed(like, set) end
        end
        if familiarity.usual(like) > 0 then fitted.power = choose_power(model, sets) end
    end
    return fitted
end

--- The same of labels: limits of each, and one familiarity. Their doubt is the distance to the threshold alone, beside
--- which unfamiliarity was worth nothing (docs/trust.md).
---@param count integer how many labels
---@param validation {logits: number[][], labels: number[][], features: Tensor?}
---@param training Tensor? features of training images
---@param on {logits: number[][], labels: number[][]}? other images that the model was calibrated on
---@return luxel.Doubt
function doubt.fit_labels(count, validation, training, on)
    local of, each = on or validation, {}
    for k = 1, count do
        local logits, labels = {}, {}
        for i, row in ipairs(of.logits) do logits[i], labels[i] = row[k], of.labels[i][k] end
        local low, high = limits(by_class(logits, labels))
        each[k] = {low = low, high = high}
    end
    return {
        coverage = COVERAGE, each = each, power = 0, images = #of.logits,
        familiarity = training and validation.features and familiarity.fit(training, validation.features) or nil,
    }
end

-- ---- judging ----------------------------------------------------------------------------------------------------

---@class luxel.Reason
---@field code "close"|"unlike"|"quality"|"population"
---@field message string

-- Years of the units of DICOM's ages (PS3.5, section 6.2: "018M"). Files of RSNA's challenge have none, and mean years.
local YEARS <const> = {[""] = 1, Y = 1, M = 1 / 12, W = 7 / 365.25, D = 1 / 365.25}

--- The age of a patient in years.
---@param text string? as a DICOM header has it
---@return number? years nil where it is not said, in no such form, or "000Y", which stands for unknown ages as well
function doubt.years(text)
    local number, unit = (text or ""):match("^%s*(%d%d?%d?)([YMWD]?)%s*$")
    local years = number and tonumber(number) * YEARS[unit]
    if not years or years > 150 or years == 0 and YEARS[unit] == 1 then return nil end
    return years
end

--- Why a patient is none of those that the model learnt from; nil where nothing says so. A model that was adapted
--- learnt from others since.
---@param model {ages: {low: number, high: number}?, adapted: table?}
---@param years number? of the patient
---@return luxel.Reason?
function doubt.population(model, years)
    local ages = model.ages
    if not years or not ages or model.adapted then return nil end
    -- a child is five until its sixth birthday
    if years >= ages.low and years < ages.high + 1 then return nil end
    return {code = "population", message = ("the model learnt from patients of %g to %g years, and this one is %s"
        ):format(ages.low, ages.high, years >= 2 and ("%d"):format(years // 1) or ("%.1f"):format(years))}
end

-- Why an image is doubted whatever the answer is, and how unfamiliar it is beside the usual one.
local function of_image(fitted, features, findings)
    local reasons = {}
    local function add(code, format, ...) reasons[#reasons + 1] = {code = code, message = format:format(...)} end
    local unfamiliar, known = 1, fitted.familiarity
    if known and features then
        unfamiliar = familiarity.ratios(known, features)[1]
        if familiarity.p_value(known, familiarity.distances(known, features)[1]) <= doubt.UNLIKE then
            add("unlike", "unlike the images of the training: %.1f times as far from them as the usual one",
                unfamiliar)
        end
    end
    for _, finding in ipairs(findings or {}) do add("quality", "%s", finding.message) end
    return reasons, unfamiliar
end

-- What comes of a logit, and of what is said of the image. limits: from where on it may be which class.
local function of_answer(fitted, limits_of, model, logit, about_image, unfamiliar)
    local reasons = {}
    local p = calibration.probability(model.calibration, logit)
    local positive = p >= model.threshold
    local may_be_positive, may_be_negative = positive, not positive
    if limits_of.low and limits_of.high then
        may_be_positive, may_be_negative = logit >= limits_of.low, logit <= limits_of.high
    end
    if may_be_positive == may_be_negative or may_be_positive ~= positive then
        local form = may_be_positive and may_be_negative and "close to the threshold: at a coverage of %.0f %% it may "
            .. "be either class" or "close to the threshold: %.0f %% of the images of either class are further from it"
        reasons[1] = {code = "close", message = form:format(100 * fitted.coverage)}
    end
    table.move(about_image, 1, #about_image, #reasons + 1, reasons)
    local margin = math.abs(log_odds(p) - log_odds(model.threshold))
    return {uncertain = #reasons > 0, reasons = reasons, doubt = combine(margin, unfamiliar, fitted.power)}
end

--- Whether to doubt an answer, and why.
---@param model {doubt: luxel.Doubt, calibration: table|false|nil, threshold: number}
---@param logit number
---@param features Tensor? [1,C] of the image
---@param findings luxel.Finding[]? of `lx.vision.quality`
---@return {uncertain: boolean, reasons: luxel.Reason[], doubt: number}
function doubt.judge(model, logit, features, findings)
    return of_answer(model.doubt, model.doubt, model, logit, of_image(model.doubt, features, findings))
end

--- The same of each label.
---@param model {doubt: luxel.Doubt, calibration: table|false|nil, threshold: number[]}
---@param row number[] of logits
---@param features Tensor? [1,C] of the image
---@param findings luxel.Finding[]?
---@return {uncertain: boolean, reasons: luxel.Reason[], doubt: number}[]
function doubt.judge_labels(model, row, features, findings)
    local fitted, out = model.doubt, {}
    local about_image, unfamiliar = of_image(fitted, features, findings)
    for k, logit in ipairs(row) do
        out[k] = of_answer(fitted, fitted.each[k], {
            calibration = model.calibration and model.calibration[k], threshold = model.threshold[k],
        }, logit, about_image, unfamiliar)
    end
    return out
end

-- ---- the field of a model's file ----------------------------------------------------------------------------------

local FAMILIARITY <const> = "{channels: integer(1..), mean: string, scales: string, axes: string, "
    .. "variances: finite(1e-300..1e300)[], rest: finite(0..), distances: finite(0..)[]}"

doubt.TYPE = "{coverage: finite(0.5..0.999999), each: {low: finite?, high: finite?}[]?, "
    .. "low: finite?, high: finite?, prior: finite(1e-9..0.999999999)?, "
    .. "positive: finite[]?, negative: finite[]?, power: finite(0..100), images: integer(1..), "
    .. "familiarity: " .. FAMILIARITY .. "?}"

--- The type of the field `ages`, the youngest and the oldest of the training in years.
doubt.AGES = "{low: finite(0..150), high: finite(0..150)}"

--- The mistake in such a field that types cannot express; nil if there is none.
---@param fitted luxel.Doubt
---@return string?
function doubt.mistake(fitted)
    for _, name in ipairs {"positive", "negative"} do
        local list = fitted[name] or {}
        for i = 2, #list do
            if list[i] < list[i - 1] then return ("doubt: %s: expected ascending numbers"):format(name) end
        end
    end
    local known = fitted.familiarity
    if not known then return nil end
    for name, count in pairs {mean = known.channels, scales = known.channels,
        axes = known.channels * #known.variances} do
        if not known[name]:find("^%x*$") or #known[name] ~= 8 * count then
            return ("doubt: familiarity: %s: expected %d hexadecimal digits"):format(name, 8 * count)
        end
    end
    if #known.variances == 0 or #known.distances == 0 then return "doubt: familiarity: it holds nothing" end
    for i = 2, #known.distances do
        if known.distances[i] < known.distances[i - 1] then
            return "doubt: familiarity: distances: expected ascending numbers"
        end
    end
end

doubt.limits, doubt.by_class = limits, by_class

return doubt
