--- The metadata of a model in a file, which is to be enough to predict with: their fields, and how they are checked.
--
-- A file that has `schema` promises that every field below is right where it is there. `schema` counts the changes of
-- their meaning: a file of another version is refused, not guessed at. Names that are not listed are the user's own.

local args = require "luxel.args"
local crop = require "luxel.data.crop"
local doubt = require "luxel.train.doubt"
local methods = require "luxel.calibration.methods"

local schema = {}

--- The version that this Luxel writes, and the only one that it reads.
schema.VERSION = 2

local CHOSEN <const> = "{threshold: text, calibration: text, images: integer(1..)?, of: text?}"

-- What was fitted anew at another hospital: see luxel.adapt; source: the checksum of the file it was made of.
local ADAPTED <const> = "{place: text?, date: text, images: integer(1..), labelled: integer(0..), "
    .. "patients: integer(1..), steps: text[], prior: finite(0..1)?, source: text, rows: table[]?}"

-- Weights from elsewhere: see luxel.Pretrained.
local PRETRAINED <const> = "{source: text, network: text, checksum: text, variant: text?, "
    .. "mean: finite|finite[]?, std: finite|finite[]?, summed: boolean, head: \"kept\"|\"replaced\", "
    .. "classes: text[]?, operating_points: any[]?}"

-- Name and type of every field, in the order in which they are checked.
local FIELDS <const> = {
    -- what it is
    -- one logit for each image: of the second of two classes; a logit for each of several classes, that exclude each
    -- other; a logit for each of several labels, that do not; a logit for each pixel; the numbers of a region layer;
    -- how unusual it is
    {"task", '"binary"|"classes"|"labels"|"segmentation"|"detection"|"anomaly"'},
    {"version", "text"}, -- of the library that wrote it
    {"model", "text"}, -- the architecture, by its name in the program that trained it
    {"network", "table"}, -- its options besides size, channels and outputs, where it was not built with the usual ones
    {"classes", "text[]"}, -- the words for label 0, label 1, ..., or for the labels
    {"positive", "text"}, -- of two classes the one whose probability it gives
    {"folders", "text[]"}, -- the names that the classes had in the training data, in the same order
    -- what comes in: grey of low to high for black to white, of size x size, normalised
    {"size", "integer(1..4096)"},
    -- crop: of each film the part that it sees (luxel.data.crop)
    {"input", "{channels: 1|3, low: finite(0..0), high: finite(1..1), crop: " .. crop.TYPE .. "?}"},
    {"normalisation", "{mean: finite(-1e6..1e6), std: finite(1e-6..1e6), enhance: table[]?}"},
    -- what comes out: the probability by a calibration of the logit (luxel.calibration.methods), or the plain sigmoid,
    -- of two classes or of each label; of several classes softmax(logits / temperature); positive from the threshold,
    -- which several classes have not
    {"threshold", "finite(0..1)|finite(0..1)[]"},
    {"calibration", "false|table"},
    {"chosen", CHOSEN}, -- how the two were: the methods, and on how many images (of: which, not those of validation)
    -- of what is unusual: the method, and the scores of normal images kept out: see luxel.anomaly
    {"anomaly", '{method: "mahalanobis"|"neighbours"|"padim"|"patchcore"|"autoencoder"|"student", '
        .. "stages: integer(1..)[]?, "
        .. "top: finite(0..1), neighbours: integer(1..)?, scores: finite[], limit: finite}"},
    {"doubt", doubt.TYPE}, -- what its answers are doubted by
    {"ages", doubt.AGES}, -- of the patients, in years
    {"adapted", ADAPTED}, -- where, when and how it was adapted
    -- where it comes from
    {"seed", "integer"},
    {"epoch", "integer(0..)"},
    {"metrics", "table"}, -- on the validation images
    {"trained_on", "{pixels: string, patients: string, images: integer(0..)}"}, -- short hashes: luxel.data.seen
    {"images", "integer(0..)"}, -- of training
    {"pretrained", PRETRAINED}, -- where the weights began
    -- what did not learn from the first step on: parts and how many numbers they have, normalisations whose running
    -- statistics stayed, and when which parts were thawed; probe: the last layer learned on features computed once
    {"transfer", "{frozen: text[], numbers: integer(0..), statistics: text[], unfreeze: table[], probe: boolean}"},
    -- what going on takes: see luxel.train.run
    {"training", "{state: {epoch: integer(0..), step: integer(0..), seen: integer(0..), loss_sum: finite, "
        .. "waited: integer(0..), threshold: finite(0..1)|finite(0..1)[]?, calibration: any?, chosen: " .. CHOSEN
            .. "?, "
        .. "metrics: table?, parts: table?, best: {epoch: integer(1..), loss: finite, auc: finite(0..1)?, "
        .. "accuracy: finite(0..1)?, dice: finite(0..1)?, iou: finite(0..1)?, ap50: finite(0..1)?, "
        .. "froc: finite(0..1)?, threshold: finite(0..1)?, value: finite?}?}, kind: text, "
        .. "steps: integer(0..)[], groups: table[], "
        .. "scheduler: table?, random: {seed: integer, stream: integer(0..)}, batch: integer(1..), "
        .. "recipe: table, schedule: text?, updates: integer(0..)?}"},
}

local ALWAYS <const> = {"task", "version", "input", "normalisation", "seed", "epoch"}

-- Rules between fields, which types cannot express: each returns the mistake, if there is one.
local RULES <const> = {
    function(metadata)
        local seen, classes = {}, metadata.classes or {}
        if metadata.task == "binary" and metadata.classes and (#classes ~= 2 or classes[1] == classes[2]) then
            return "classes: expected two different names"
        elseif metadata.task == "segmentation" and #classes > 1 then
            return "classes: masks show one"
        elseif metadata.task ~= "binary" and metadata.classes and #classes < (metadata.task == "classes" and 2
            or 1) then
            return "classes: there are too few"
        end
        for _, name in ipairs(classes) do
            if seen[name] then return ("classes: there are two of the name '%s'"):format(name) end
            seen[name] = true
        end
    end,
    function(metadata)
        local folders, classes = metadata.folders, metadata.classes
        if folders and #folders ~= (classes and #classes or 2) then
            return ("folders: expected %s names"):format(classes and #classes or "two")
        end
    end,
    -- the result is that of the task
    function(metadata)
        local task, threshold, fitted = metadata.task, metadata.threshold, metadata.calibration
        local count = metadata.classes and #metadata.classes
        local single = {binary = "two classes", segmentation = "all pixels", detection = "all boxes"}
        if single[task] and type(threshold) == "table" then
            return "threshold: expected one number for " .. single[task]
        end
        local places = task == "detection" and "boxes" or task == "segmentation" and "masks"
        if places and metadata.input and metadata.input.crop then
            return ("input: %s are of whole films, and it is of a part of them"):format(places)
        end
        if task == "classes" and threshold then return "threshold: several classes have none" end
        if task == "labels" and threshold and (type(threshold) ~= "table" or #threshold ~= count) then
            return "threshold: expected a number for each label"
        end
        if not fitted then return nil end
        if task == "segmentation" or task == "detection" then
            return ("calibration: expected that of the task '%s', which has none"):format(task)
        end
        if task == "classes" then return args.mistake_in("calibration", methods.by_name.temperature.form, fitted) end
        if task == "binary" then return methods.mistake("calibration", fitted) end
        if #fitted ~= count then return "calibration: expected one for each label" end
        for k, one in ipairs(fitted) do
            local mistake = one and methods.mistake(("calibration: %d"):format(k), one)
            if mistake then return mistake end
        end
    end,
    function(metadata)
        local positive, classes = metadata.positive, metadata.classes
        if positive and metadata.task ~= "binary" then return "positive: only two classes have one" end
        if positive and not classes then return "positive: it needs classes" end
        if positive and positive ~= classes[2] then
            return ("positive: expected the second of the classes, '%s', got '%s'"):format(classes[2], positive)
        end
    end,
    function(metadata)
        if not metadata.doubt then return nil end
        local each = metadata.doubt.each
        if metadata.task ~= "binary" and metadata.task ~= "labels" then
            return "doubt: only two classes and labels have it"
        elseif (each ~= nil) ~= (metadata.task == "labels") then
            return "doubt: each: labels alone have limits of each"
        elseif each and metadata.classes and #each ~= #metadata.classes then
            return "doubt: each: expected limits for each label"
        end
        return doubt.mistake(metadata.doubt)
    end,
    function(metadata)
        local ages = metadata.ages
        if ages and ages.low > ages.high then return "ages: low is above high" end
    end,
    function(metadata)
        local about = metadata.anomaly
        if (about ~= nil) ~= (metadata.task == "anomaly") then return "anomaly: the task 'anomaly' alone has it" end
        if not about then return nil end
        if (about.stages ~= nil) == (about.method == "autoencoder") then
            return "anomaly: stages: all methods but 'autoencoder' have them"
        elseif (about.neighbours ~= nil) ~= (about.method == "neighbours") then
            return "anomaly: neighbours: the method of this name alone has them"
        elseif #about.scores == 0 then
            return "anomaly: scores: there are none"
        end
    end,
    function(metadata)
        for name, value in pairs(metadata.metrics or {}) do
            local mistake = args.mistake_in(("metrics: '%s'"):format(name), "finite", value)
            if mistake then return mistake end
        end
    end,
    function(metadata)
        local enhance = metadata.normalisation and metadata.normalisation.enhance
        if not enhance then return end
        local ok, failure = pcall(require("luxel.vision.pipeline").pipeline, enhance)
        if not ok then return "normalisation: enhance: " .. tostring(failure):gsub("^.-pipeline: ", "") end
    end,
}

local function first_missing(metadata, names)
    for _, name in ipairs(names) do
        if metadata[name] == nil then return name end
    end
end

--- Checks the metadata of a model.
---@param metadata table<string, any>
---@param needed string[]? names that have to be there besides those that always have
---@return boolean? ok, string? mistake "name: expected ..., got ..."
function schema.check(metadata, needed)
    if metadata.schema == nil then
        return nil, "schema: it is missing, so nothing says what this model is; models of before there were schemas "
            .. "have to be trained again"
    elseif metadata.schema ~= schema.VERSION then
        return nil, ("schema: expected version %d, got %s; was it written by another Luxel?"):format(schema.VERSION,
            args.describe(metadata.schema))
    end
    local missing = first_missing(metadata, ALWAYS) or first_missing(metadata, needed or {})
    if missing then
        return nil, missing .. ": it is missing"
            .. (metadata.epoch == 0 and "; no epoch of this training was done" or "")
    end
    for _, field in ipairs(FIELDS) do
        local name, signature = field[1], field[2]
        local mistake = metadata[name] ~= nil and args.mistake_in(name, signature, metadata[name])
        if mistake then return nil, mistake end
    end
    for _, rule in ipairs(RULES) do
        local mistake = rule(metadata)
        if mistake then return nil, mistake end
    end
    return true
end

return schema
