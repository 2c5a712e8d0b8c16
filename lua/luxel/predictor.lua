--- A trained model, and all between a film and its answer: reading, quality, network, calibration, threshold, words.
--
--     local predictor = assert(lx.predictor.open("runs/first/best.safetensors"))
--     print(predictor("film.dcm"))
--
-- It prints nothing, writes nothing and never ends the process: hosts, programs and the REPL use the same one.

local args = require "luxel.args"
local batch_size = require "luxel.batch_size"
local class_names = require "luxel.data.classes"
local core = require "luxel.core"
local crop = require "luxel.data.crop"
local detection = require "luxel.train.detection"
local doubt = require "luxel.train.doubt"
local familiarity = require "luxel.train.familiarity"
local film = require "luxel.film"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local schema = require "luxel.schema"
local task = require "luxel.train.task"

---@class luxel.Predictor
---@field net Module
---@field metadata table what the file says of the model, as `lx.checkpoint.load` gives it: model, size, classes,
---  normalisation, threshold, calibration, metrics, version and more
---@field path string of several models all paths, separated by " + "
---@field members luxel.Predictor[]? the models whose probabilities are averaged; it has no `net` of its own then
---@field tta boolean|table|nil
---@field device string
---@field size integer side of what the network sees, in pixels
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection"
---@field classes string[]
---@field positive string? of two classes the one whose probability it gives
---@field threshold number|number[]|nil
local Predictor = {}

---@class luxel.Answer the answer of a model for an image; `print` shows it as `predict` does
---@field label string the class at the threshold, or the one of the largest probability; of labels those above theirs,
---  and one that says that nothing was found (No Finding) only where no other is; of a segmentation what the mask shows
---@field probability number? of that class; of labels of the likeliest one; of a segmentation and a detection none
---@field likeliest string? of labels the one of the largest probability among those of `label`, or among all that do
---  not say that nothing was found
---@field doubts table<string, {uncertain: boolean, reasons: table[], doubt: number}>? the next three for each label
---@field mask Tensor? of a segmentation, uint8 [1,H,W] of the image's own size: 255 inside, 0 outside
---@field boxes luxel.FoundBox[]? of a detection those from the model's threshold on, the best first, in pixels of the
---  image from the top left
---@field share number? of a segmentation the share of the picture that is inside, 0..1
---@field infected number? of two classes the probability of the positive one
---@field positive boolean whether it is what should be looked at: the positive class, any label, or of several classes
---  one whose name does not say that nothing was found (normal, healthy, no_finding, ..., or no_X beside X)
---@field threshold number? where the label's plain reading and the threshold disagree: the threshold
---@field classes table<string, number>? the probabilities of all classes or labels
---@field path string? the file, or the name that was given to bytes
---@field info luxel.ImageInfo? what the file says of itself
---@field age number? of the patient in years, as it was given or as the file says
---@field findings table[]? what speaks against reading the picture at all: see `lx.vision.quality`
---@field uncertain boolean? whether to leave it to a person; nil where the model's file keeps nothing to tell by
---@field reasons {code: "population"|"close"|"unlike"|"quality", message: string}[]? why it is uncertain: the patient
---  is older or younger than those of the training, it is close to the threshold, unlike the images of the training, or
---  for its findings
---@field doubt number? from 0 to 0.5: the larger, the likelier the answer is wrong; it orders images, and is no
---  probability; of labels this and the two before it are of the likeliest one
---@field notice string
local Answer = {__name = "luxel.Answer"}
Answer.__index = Answer

local predictor = {}

--- The notice that goes with every answer a person reads.
predictor.NOTICE = "Luxel supports a reading by a qualified person; it does not replace one. "
    .. "It is not a medical device."

function Answer:__tostring()
    if self.mask then return ("%s: %.2f%% of the picture"):format(self.label, 100 * self.share) end
    if self.boxes then
        local scores = {}
        for i, box in ipairs(self.boxes) do scores[i] = ("%s %.2f"):format(box.label, box.score) end
        return #scores == 0 and self.label or ("%d found: %s"):format(#scores, table.concat(scores, ", "))
    end
    return ("%s: %.2f%%%s"):format(self.label, 100 * self.probability,
        self.threshold and (" (threshold %.2f%%)"):format(100 * self.threshold) or "")
end

-- ---- opening ------------------------------------------------------------------------------------------------------

-- The fields that the metadata of a model need here, besides those of every model.
local NEEDED <const> = {"model", "size", "classes", "calibration", "chosen"}
local NEEDED_OF <const> = {binary = {"positive", "threshold"}, segmentation = {"threshold"}, detection = {"threshold"}}

-- The mistake in the metadata; nil if there is none.
local function mistake_in(metadata)
    if metadata.task == "anomaly" then
        return "it tells what is unusual, and no classes: luxel anomaly score and lx.anomaly.open look with it"
    end
    local described, mistake = schema.check(metadata, NEEDED)
    local more = described and NEEDED_OF[metadata.task]
    if more then described, mistake = schema.check(metadata, more) end
    if not described then
        return "it does not say enough to predict with, as files of luxel train do, and of lx.train.fit with "
            .. "metadata = {model = NAME, size = PIXELS}: " .. mistake
    end
    local names, size = table.concat(lx.models.names(task.kinds[metadata.task].network), ", "), metadata.size
    if not (", " .. names .. ","):find(", " .. metadata.model .. ",", 1, true) then
        return ("model: expected one of %s, got '%s'"):format(names, metadata.model)
    end
    local smallest, largest = lx.models.limits(metadata.model)
    if size < smallest or size > largest then
        return ("size: expected %d to %d pixels, got %d"):format(smallest, largest, size)
    end
end

-- The network of a model's file with its weights.
local function build(tensors, metadata)
    local weights = {}
    for name, tensor in pairs(tensors) do
        if not name:find("^optimizer%.") and not name:find("^average%.") then weights[name] = tensor end
    end
    local options = {size = metadata.size, outputs = task.kinds[metadata.task].outputs(metadata.classes)}
    options.variant = metadata.pretrained and metadata.pretrained.variant
    for name, value in pairs(metadata.network or {}) do options[name] = value end
    local ok, net = pcall(lx.nn.init.skip, lx.models.build, metadata.model, options)
    if not ok then return nil, "network: " .. tostring(net) end
    local message
    ok, message = pcall(net.load_state_dict, net, weights, {assign = true})
    if not ok then return nil, (tostring(message):gsub("^.-load_state_dict: ", "")) end
    net:eval()
    net.pretrained = metadata.pretrained
    return net
end

-- What the models of an ensemble have in common.
local SAME <const> = {"task", "size"}

-- Several models as one, whose probabilities are the means of theirs.
local function combine(members)
    local first, metadata, seen, images, thresholds, paths = members[1], {}, {}, 0, nil, {}
    if first.task == "detection" then
        return nil, first.path .. ": it finds boxes, and boxes of several models are not joined: name one model"
    end
    for key, value in pairs(first.metadata) do metadata[key] = value end
    for i, member in ipairs(members) do
        for _, name in ipairs(SAME) do
            if member[name] ~= first[name] then
                return nil, ("%s: its %s is %s, and that of %s %s: they do not answer together"):format(member.path,
                    name, member[name], first.path, first[name])
            end
        end
        if member.metadata.input.crop ~= first.metadata.input.crop then
            return nil, ("%s and %s see other parts of films: they do not answer together"):format(member.path,
                first.path)
        end
        if table.concat(member.classes, "\n") ~= table.concat(first.classes, "\n") then
            return nil, ("%s: its classes are %s, and those of %s %s: they do not answer together"):format(member.path,
                table.concat(member.classes, ", "), first.path, table.concat(first.classes, ", "))
        end
        paths[i] = member.path
        local known = member.metadata.trained_on
        if known then seen[#seen + 1], images = known, images + known.images end
    end
    if type(first.threshold) == "number" then
        thresholds = 0
        for _, member in ipairs(members) do thresholds = thresholds + member.threshold / #members end
    elseif first.threshold then
        thresholds = {}
        for k in ipairs(first.threshold) do
            thresholds[k] = 0
            for _, member in ipairs(members) do thresholds[k] = thresholds[k] + member.threshold[k] / #members end
        end
    end
    if #seen > 0 then
        local pixels, patients = {}, {}
        for i, known in ipairs(seen) do pixels[i], patients[i] = known.pixels, known.patients end
        metadata.trained_on = {pixels = table.concat(pixels), patients = table.concat(patients), images = images}
    end
    metadata.threshold = thresholds
    metadata.doubt, metadata.adapted = nil, nil -- of the first one alone
    return setmetatable({
        members = members, metadata = metadata, path = table.concat(paths, " + "), device = first.device,
        size = first.size, task = first.task, classes = first.classes, positive = first.positive,
        threshold = thresholds,
    }, Predictor)
end

-- Opens several files as one model.
local function open_all(paths, options)
    local members = {}
    if #paths == 0 then args.fail("open: path: there are none") end
    for i, path in ipairs(paths) do
        local member, message, code = predictor.open(path, options)
        if not member then return nil, message, code end
        members[i] = member
    end
    if #members == 1 then return members[1] end
    local together, message = combine(members)
    return together, message, message and "format" or nil
end

--- Opens a model's file: of `luxel train`, of `lx.models.save`, or of `lx.train.fit` with `metadata = {model = NAME,
--- size = PIXELS}`, for a network of `lx.models` of that name and size. A file of another network holds its weights and
--- calibration, but not how it is built: load it into the network, and use `lx.train.predict`.
---
--- Several files make an ensemble: its probabilities are the means of those that the models have calibrated, and its
--- threshold is the mean of theirs, which was not chosen for it. They have to be of one task, size and classes.
---@param path string|string[]
---@param options? {device: string?, tta: boolean|table|nil} device: as of `lx.device`, default "cpu"; "auto" takes the
---  best GPU; tta: as of `lx.train.predict`, the mean over mirrored and moved views; calibration and threshold are
---  those of single views
---@return luxel.Predictor? predictor, string? message, string? code "io", "format" for a file that is damaged or no
---  model, "model" where it finds boxes and there are to be several views, "device"
function predictor.open(path, options)
    if type(path) == "table" then return open_all(path, options) end
    local name = options and options.device or "cpu"
    local device, message, device_code = lx.device(name)
    if not device then return nil, ("device '%s': %s"):format(name, message), device_code or "device" end
    local tensors, metadata, code = lx.checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local mistake = mistake_in(metadata)
    local net
    if not mistake then net, mistake = build(tensors, metadata) end
    if not net then return nil, ("%s: %s"):format(path, mistake), "format" end
    if metadata.task == "detection" and (options and options.tta or not detection.heads(net)) then
        if options and options.tta then
            return nil, path .. ": it finds boxes, and boxes of several views are not joined: leave out test-time "
                .. "augmentation", "model"
        end
        return nil, ("%s: model: expected a detector, got '%s'"):format(path, metadata.model), "format"
    end
    net:to(device.label)
    return setmetatable({
        net = net, metadata = metadata, path = path, device = device.label, size = metadata.size,
        tta = options and options.tta or nil,
        task = metadata.task, classes = metadata.classes, positive = metadata.positive, threshold = metadata.threshold,
    }, Predictor)
end

-- ---- probabilities ------------------------------------------------------------------------------------------------

-- Errors of the world's or the file's doing come back; a mistake of the caller is raised.
local RETURNED <const> = {result = true, device = true, memory = true}

-- What the network gives for each image of a dataset, a logit or a row or a map of them, and their features where the
-- model's file says something of these; nil, message, code as of `probabilities`.
local function observe(self, dataset)
    crop.check("Predictor: dataset", dataset, self.metadata.input.crop)
    local known = self.metadata.doubt
    local options = {
        task = self.task, features = known ~= nil and known.familiarity ~= nil, tta = self.tta,
        batch = batch_size(self.device, self.size),
    }
    for key, value in pairs(self.metadata.normalisation) do options[key] = value end
    local ok, found, features = pcall(lx.train.predict, self.net, dataset, options)
    if ok then return found, features end
    local code, text = core.error_code(tostring(found))
    if RETURNED[code] then return nil, text, code end
    error(found, 0)
end

-- The calibrated probabilities of what the network gives.
local function calibrated(self, rows)
    local out = {}
    for i, row in ipairs(rows) do
        out[i] = task.kinds[self.task].probabilities(row, self.metadata.calibration or nil)
    end
    return out
end

-- The means of the probabilities of several models.
local function mean_probabilities(self, dataset)
    local sums
    for _, member in ipairs(self.members) do
        local found, message, code = member:probabilities(dataset)
        if not found then return nil, message, code end
        for i, p in ipairs(sums and found or {}) do
            if type(p) == "table" then
                for k, value in ipairs(p) do sums[i][k] = sums[i][k] + value end
            else
                sums[i] = sums[i] + p
            end
        end
        sums = sums or found
    end
    local count = #self.members
    for i, sum in ipairs(sums) do
        if type(sum) == "table" then
            for k, value in ipairs(sum) do sum[k] = value / count end
        else
            sums[i] = sum / count
        end
    end
    return sums
end

--- What the network gives for every image of a dataset before calibration: a logit, a row of them, or a map.
---@param dataset luxel.Dataset
---@return number[]|number[][]|Tensor[]|nil logits
---@return number[]|string|nil unfamiliar how many times as far from those of the training each image is as the usual
---  one, where the model's file tells; or the message
---@return string? code as of `probabilities`, "model" of an ensemble, which has probabilities alone
function Predictor:logits(dataset)
    if self.members then return nil, "the logits of an ensemble are those of its models", "model" end
    local rows, features, code = observe(self, dataset)
    if not rows then return nil, features, code end
    local known = features and self.metadata.doubt.familiarity
    return rows, known and familiarity.ratios(known, features) or nil
end

--- The calibrated probability of the positive class for every image of a dataset, or the probabilities of all classes
--- or labels; of a segmentation a map of them, float32 [1,S,S] of the network's size.
---@param dataset luxel.Dataset
---@return number[]|number[][]|Tensor[]|nil probabilities, string? message, string? code "result" where the network
---  gives one that is no number, "device" or "memory" where the device fails
function Predictor:probabilities(dataset)
    if self.task == "detection" then
        args.fail("Predictor:probabilities: the model finds boxes, whose scores are no probabilities; see "
            .. "Predictor:detections")
    end
    if self.members then return mean_probabilities(self, dataset) end
    local rows, message, code = observe(self, dataset)
    if not rows then return nil, message, code end
    return calibrated(self, rows)
end

-- ---- answers ------------------------------------------------------------------------------------------------------

local decide = {}

function decide.binary(self, p)
    local positive = p >= self.threshold
    local probability = positive and p or 1 - p
    return {
        label = self.classes[positive and 2 or 1], probability = probability, infected = p, positive = positive,
        threshold = probability < 0.5 and self.threshold or nil,
    }
end

-- The largest of several probabilities, and all by their names.
local function by_name(self, found)
    local best, all = 1, {}
    for k, p in ipairs(found) do
        all[self.classes[k]] = p
        if p > found[best] then best = k end
    end
    return best, all
end

-- Whether the name of a class says that nothing was found, by itself or beside another one. Of several classes no file
-- says which one is negative, and their order is often that of the alphabet.
local function is_negative(names, k)
    for _, other in ipairs(names) do
        if class_names.is_negative(names[k], other) then return true end
    end
    return false
end

function decide.classes(self, found)
    local best, all = by_name(self, found)
    return {
        label = self.classes[best], probability = found[best], positive = not is_negative(self.classes, best),
        classes = all,
    }
end

function decide.labels(self, found)
    local all, above, nothing, likeliest = {}, {}, nil, nil
    for k, p in ipairs(found) do
        local name, is_above = self.classes[k], p >= self.threshold[k]
        all[name] = p
        if is_negative(self.classes, k) then
            nothing = is_above and (not nothing or p > all[nothing]) and name or nothing
        else
            if is_above then above[#above + 1] = name end
            local first = is_above and #above == 1 -- one above its threshold counts before any that is not
            if not likeliest or first or is_above == (#above > 0) and p > all[likeliest] then likeliest = name end
        end
    end
    if #above == 0 then likeliest = nothing or likeliest or self.classes[1] end
    return {
        label = #above > 0 and table.concat(above, ", ") or nothing or "none of the labels",
        probability = all[likeliest], likeliest = likeliest, positive = #above > 0, classes = all,
    }
end

function decide.segmentation(self, map)
    local inside = map:ge(self.threshold)
    local share = inside:float():mean():item()
    return {
        label = self.classes[1], mask = core.cast(core.binary("mul", inside, 255), "uint8"), share = share,
        positive = share > 0,
    }
end

function decide.detection(self, found)
    local names, seen, boxes = {}, {}, {}
    for _, box in ipairs(found) do
        if box.score >= self.threshold then
            boxes[#boxes + 1] = box
            if not seen[box.label] then seen[box.label], names[#names + 1] = true, box.label end
        end
    end
    return {
        label = #names > 0 and table.concat(names, ", ") or "nothing found", boxes = boxes, positive = #boxes > 0,
    }
end

-- How much to doubt what the network gives for an image: of labels each of them, the likeliest as that of the image.
local function judgement_of(self, row, answer, features, findings)
    if self.task ~= "labels" then return doubt.judge(self.metadata, row, features, findings) end
    local doubts, own = {}, nil
    for k, one in ipairs(doubt.judge_labels(self.metadata, row, features, findings)) do
        doubts[self.classes[k]] = one
        if self.classes[k] == answer.likeliest then own = one end
    end
    return {
        uncertain = own.uncertain, reasons = table.move(own.reasons, 1, #own.reasons, 1, {}), doubt = own.doubt,
        doubts = doubts,
    }
end

--- The same with how much to doubt each answer, of a model of two classes or of labels whose file keeps what that
--- takes.
---@param dataset luxel.Dataset
---@return number[]? probabilities
---@return {uncertain: boolean, reasons: table[], doubt: number}[]|string judgements as of answers, without the quality
---  of the pictures; or the message
---@return string? code as of `probabilities`, "model" where the file keeps nothing to doubt by
function Predictor:judge(dataset)
    if not self.metadata.doubt then
        return nil, self.path .. ": the model keeps nothing to doubt its answers by: models of two classes and of "
            .. "labels that luxel train makes do", "model"
    end
    local rows, features, code = observe(self, dataset)
    if not rows then return nil, features, code end
    local judgements, probabilities = {}, calibrated(self, rows)
    for i, row in ipairs(rows) do
        judgements[i] = judgement_of(self, row, decide[self.task](self, probabilities[i]),
            features and features:narrow(1, i, 1))
    end
    return probabilities, judgements
end

-- The boxes of what the network gives for images of these heights and widths.
local function boxes_of(self, rows, sizes, threshold)
    local out = {}
    for i, row in ipairs(rows) do
        local maps = {}
        for k, map in ipairs(detection.maps(row)) do maps[k] = map:unsqueeze(1) end
        out[i] = detection.find(self.net, maps, {sizes[i]}, {
            threshold = threshold or self.threshold, classes = self.classes,
        })[1]
    end
    return out
end

--- The boxes that the model finds in every image of a dataset, in pixels of its file, or of the image in memory.
---@param dataset luxel.Dataset
---@param options? {threshold: number?} from which score on, default the model's threshold
---@return luxel.FoundBox[][]? boxes of each image, the best first; nil, message, code as of `probabilities`
---@return string? message, string? code
function Predictor:detections(dataset, options)
    if self.task ~= "detection" then
        args.fail("Predictor:detections: the model is of the task '%s', and finds no boxes", self.task)
    end
    local rows, message, code = observe(self, dataset)
    if not rows then return nil, message, code end
    local sizes = {}
    for i = 1, #dataset do sizes[i] = {dataset:extent(i)} end
    return boxes_of(self, rows, sizes, options and options.threshold)
end

-- Images whose maps are compared together.
local TOGETHER <const> = 32

--- How well the masks that the model finds agree with those of a dataset, at the resolution of the latter.
---@param dataset luxel.Dataset with masks
---@param options? {progress: (fun(done: integer, total: integer))?}
---@return ({dice: number, iou: number}|false)[]? overlaps of each image, false where it has no mask
---@return string? message, string? code as of `probabilities`, "io" and "format" where a mask cannot be read
function Predictor:overlaps(dataset, options)
    if self.task ~= "segmentation" or not dataset.masks then
        args.fail("Predictor:overlaps: %s", self.task == "segmentation" and "dataset: it has no masks"
            or ("the model is of the task '%s', and finds none"):format(self.task))
    end
    local out, labels = {}, core.to_table(dataset.labels)
    for first = 1, #dataset, TOGETHER do
        local places = {}
        for i = first, math.min(first + TOGETHER - 1, #dataset) do places[#places + 1] = i end
        local part = dataset:subset(places)
        part.size = self.size
        local maps, message, code = self:probabilities(part)
        if not maps then return nil, message, code end
        for k, i in ipairs(places) do
            out[i] = false
            if labels[i] == labels[i] then
                local mask
                mask, message, code = dataset:mask(i)
                if not mask then return nil, message, code end
                local map = lx.vision.resize(maps[k]:to("cpu"), mask.shape[2], mask.shape[3])
                out[i] = task.compare(map, mask, self.threshold)
            end
        end
        if options and options.progress then options.progress(#out, #dataset) end
    end
    return out
end

-- What one element of probabilities is, by task.
local FORMS <const> = {
    binary = "number", classes = "number[]", labels = "number[]", segmentation = "tensor", detection = "table[]",
}

--- The answer for the probabilities of an image.
---@param probabilities number|number[]|Tensor|luxel.FoundBox[] one element of what `probabilities` gives; a map may be
---  of another size, and the mask is of it; of a detection one element of what `detections` gives
---@return luxel.Answer
function Predictor:answer(probabilities)
    if args.mistake_in("", FORMS[self.task], probabilities) then
        args.fail("Predictor:answer: probabilities: expected %s for the task '%s'", self.task == "binary"
            and "one number" or self.task == "segmentation" and "a map" or self.task == "detection"
            and "a list of boxes" or #self.classes .. " numbers", self.task)
    end
    local answer = decide[self.task](self, probabilities)
    answer.notice = predictor.NOTICE
    return setmetatable(answer, Answer)
end

-- ---- films --------------------------------------------------------------------------------------------------------

-- What the network sees of pictures, in its size; and where it was, nil for all of them.
local function shrink(self, images)
    local parts, boxes = crop.cut(images, self.metadata.input.crop)
    local out = {}
    for i, image in ipairs(parts) do out[i] = lx.vision.resize(image, self.size, self.size) end
    return out, boxes
end

-- Images as the network sees them.
local function seen_by(self, images, paths)
    return lx.data.dataset {
        images = lx.stack(images, 1), labels = lx.zeros(#images), paths = paths, crop = self.metadata.input.crop,
    }
end

---@class luxel.Region a part of a picture
---@field x integer pixels from the left
---@field y integer pixels from the top
---@field w integer
---@field h integer
---@field width integer of the whole picture
---@field height integer

--- What the network sees of a film: cropped and enhanced where the model was trained so, shrunk, and normalised.
---@param source string|{bytes: string, name: string?}|Tensor a path, the bytes of a file, or a picture uint8 [1,H,W]
---@return Tensor? x float32 [1,1,S,S] on the device of the model
---@return luxel.Region|string|nil region the part of the picture that it is, nil for all of it; or the message
---@return string? code "io" or "format" where the film cannot be read
function Predictor:input(source)
    if self.members then
        args.fail("Predictor:input: predictor: it is of %d models, each of which has an input of its own; ask them "
            .. "(predictor.members)", #self.members)
    end
    local image, message, code = source, nil, nil
    if lx.is_tensor(source) then
        if not args.mistake_in("", "picture", source) and source.shape[1] == 1 then image = source else
            args.fail("Predictor:input: source: expected a picture uint8 [1,H,W], got %s", args.describe(source))
        end
    else
        image, message, code = select(2, film.read(source))
    end
    if not image then return nil, message, code end
    local options = {batch = 1, shuffle = false, device = self.device}
    for key, value in pairs(self.metadata.normalisation) do options[key] = value end
    local small, regions = shrink(self, {image})
    local region = regions and regions[1]
    if region then region.width, region.height = image.shape[3], image.shape[2] end
    return (lx.data.batches(seen_by(self, small), options)()), region
end

-- Films that are read together, which is how many there are in memory in their own size.
local READ <const> = 16

-- Answers to images of the network's size; an image whose result is no number is left out for the others' sake.
-- `sizes`: what the images were before, {height, width} each.
local function ask(self, small, sizes, out, places)
    local paths = {}
    for k, place in ipairs(places) do paths[k] = out[place].path end
    local dataset = seen_by(self, small, paths)
    local all, rows, features, code
    if self.members then
        all, features, code = mean_probabilities(self, dataset)
    else
        rows, features, code = observe(self, dataset)
        if self.task == "detection" then all = rows and boxes_of(self, rows, sizes)
        else all = rows and calibrated(self, rows) end
    end
    if not all and code == "result" and #small > 1 then
        for k, image in ipairs(small) do ask(self, {image}, {sizes[k]}, out, {places[k]}) end
        return
    end
    for k, place in ipairs(places) do
        local entry = out[place]
        if all then
            local found = all[k]
            if task.kinds[self.task].maps then found = lx.vision.resize(found:to("cpu"), sizes[k][1], sizes[k][2]) end
            for key, value in pairs(self:answer(found)) do entry[key] = value end
            if self.metadata.doubt then
                local judgement = judgement_of(self, rows[k], entry, features and features:narrow(1, k, 1),
                    entry.findings)
                for key, value in pairs(judgement) do entry[key] = value end
            end
            local other = doubt.population(self.metadata, entry.age)
            if other then
                entry.uncertain, entry.reasons = true, entry.reasons or {}
                table.insert(entry.reasons, 1, other)
                for _, one in pairs(entry.doubts or {}) do
                    one.uncertain = true
                    table.insert(one.reasons, 1, other)
                end
            end
            setmetatable(entry, Answer)
        else
            entry.message, entry.code = features, code
        end
    end
end

--- The answers to several films, which go through the network together. One that cannot be read or answered does not
--- hold up the others.
---@param sources (string|{bytes: string, name: string?})[] paths, or bytes of files
---@param options? {quality: boolean?, images: boolean?, age: number?} quality: look for what speaks against reading a
---  picture (`findings`), default true; images: keep the pictures in their own size as `image`, uint8 [1,H,W]; age: of
---  the patients in years, default what a DICOM file says
---@return (luxel.Answer|{path: string, message: string, code: string})[] answers in order; with a message and a code
---  ("io", "format", "result", "device", "memory") instead of a label where there is none
function Predictor:all(sources, options)
    local opts = args.with_defaults(options, {quality = true, images = false})
    local out, small, sizes, places = {}, {}, {}, {}
    for i, source in ipairs(sources) do args.check(("Predictor:all: sources: %d"):format(i), film.TYPE, source) end
    for first = 1, #sources, READ do
        local images = {}
        for k, found in ipairs(film.read_all(table.move(sources, first, first + READ - 1, 1, {}))) do
            local i, image = first + k - 1, found.image
            if image then
                out[i] = {
                    path = found.name, info = found.info, age = opts.age or doubt.years(found.info.age),
                    findings = opts.quality and lx.vision.quality(image) or nil, image = opts.images and image or nil,
                }
                images[#images + 1], places[#places + 1] = image, i
                sizes[#places] = {image.shape[2], image.shape[3]}
            else
                out[i] = {path = found.name, message = found.message, code = found.code}
            end
        end
        local parts = shrink(self, images)
        table.move(parts, 1, #parts, #small + 1, small)
    end
    if #small > 0 then ask(self, small, sizes, out, places) end
    return out
end

--- The answer to one film; `predictor(source)` is the same.
---@param source string|{bytes: string, name: string?} a path, or the bytes of a file
---@param options? table as for `all`
---@return luxel.Answer? answer, string? message, string? code as of `all`
function Predictor:predict(source, options)
    local answer = self:all({source}, options)[1]
    if not answer.label then return nil, answer.message, answer.code end
    return answer
end

function Predictor:__call(source, options) return self:predict(source, options) end

function Predictor:__tostring()
    local metadata = self.metadata
    return ("Predictor: %s of %d×%d pixels on %s, %s%s%s"):format(
        self.members and #self.members .. " models" or metadata.model, self.size, self.size, self.device,
        table.concat(self.classes, ", "),
        self.task == "binary" and (", threshold %.3f"):format(self.threshold) or "",
        metadata.images and (", trained on %d images"):format(metadata.images) or "")
end

args.type("predictor", "a Predictor", "table", function(value) return getmetatable(value) == Predictor end)

local OPTIONS <const> = "options: {quality: boolean?, images: boolean?, age: finite(0..150)?}?"

args.publish("Predictor:", Predictor, {
    logits = "predictor: predictor, dataset: dataset", probabilities = "predictor: predictor, dataset: dataset",
    judge = "predictor: predictor, dataset: dataset",
    overlaps = "predictor: predictor, dataset: dataset, options: {progress: function?}?",
    answer = "predictor: predictor, probabilities: number(0..1)|number(0..1)[]|tensor|table[]",
    detections = "predictor: predictor, dataset: dataset, options: {threshold: number(0..1)?}?",
    all = "predictor: predictor, sources: table, " .. OPTIONS,
    input = "predictor: predictor, source: tensor|" .. film.TYPE,
    predict = "predictor: predictor, source: " .. film.TYPE .. ", " .. OPTIONS,
})
namespace.class("Predictor", Predictor, {"positive", "threshold", "members", "tta"})

return namespace("lx.predictor", args.publish("", predictor, {
    open = "path: path|path[], options: {device: text?, tta: boolean|{flips: boolean?, shift: number(0..0.5)?}?}?",
}))
