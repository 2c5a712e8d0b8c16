--- What is unusual, learnt from normal images alone: no label of any disease is needed, and none is told.
--
--     local net = assert(lx.models.efficientnet_lite0 {pretrained = "lite0.pth", head = "replace", outputs = 1})
--     local detector = assert(lx.anomaly.fit(normal_images, {net = net, enhance = {{"clahe"}}}))
--     detector:save("normal.safetensors")
--     print(lx.anomaly.open("normal.safetensors")("film.dcm"))       -- unusual: score 1.84, p 0.006
--
-- A score is by itself in no unit. `p` is: the share of the normal images of patients kept out, and of the image
-- itself, whose score is as large or larger (split conformal prediction, `lx.conformal.p_value`). It holds for images
-- that come from where these came from. Another hospital's are unusual all of them: docs/anomaly.md shows it.

local args = require "luxel.args"
local batch_size = require "luxel.batch_size"
local core = require "luxel.core"
local crop = require "luxel.data.crop"
local distances = require "luxel.anomaly.distances"
local learnt = require "luxel.anomaly.learnt"
local film = require "luxel.film"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local pipeline = require "luxel.vision.pipeline"
local random = require "luxel.random"
local schema = require "luxel.schema"
local seen = require "luxel.data.seen"
local stages = require "luxel.anomaly.stages"
require "luxel.train.console" -- the type of an option
local version = require "luxel.version"

local anomaly = {}

local BY_NAME <const> = {
    mahalanobis = distances.mahalanobis, neighbours = require "luxel.anomaly.neighbours", padim = distances.padim,
    patchcore = require "luxel.anomaly.patchcore",
    autoencoder = learnt.autoencoder, student = learnt.student,
}

--- The methods, the quickest first.
anomaly.METHODS = {"mahalanobis", "neighbours", "padim", "patchcore", "autoencoder", "student"}

-- Options that are not of all methods, and which they are of.
local OF <const> = {
    net = {"mahalanobis", "neighbours", "padim", "patchcore", "student"},
    model = {"mahalanobis", "neighbours", "padim", "patchcore", "student"},
    stages = {"mahalanobis", "neighbours", "padim", "patchcore", "student"},
    top = {"padim", "patchcore", "autoencoder", "student"}, neighbours = {"neighbours"}, channels = {"padim"},
    patches = {"patchcore"}, epochs = {"autoencoder", "student"}, rate = {"autoencoder", "student"},
}

-- Images at least, and of how many patients kept out `p` is told by.
local FEWEST <const> = 10

-- Where a map is 1: what so large a share of the places of a normal image exceed, in the middle of those kept out.
local SHARE_ABOVE <const> = 0.01

---@class luxel.Detector
---@field method string
---@field size integer side of what the method sees, in pixels
---@field device string
---@field path string? its file
---@field metadata table what the file says of it
local Detector = namespace.class("Detector", {}, {"path", "net", "learner", "job", "way"})

---@class luxel.Unusual what a detector says of an image
---@field path string the file, or the name that was given to bytes
---@field score number the larger, the more unusual
---@field p number share of normal images whose score is as large or larger, above 0 and at most 1
---@field unusual boolean whether p is at most the level
---@field findings table[] what speaks against reading the picture at all: see `lx.vision.quality`
---@field map Tensor? float32 [1,H,W] of the image's own size: 1 is what one place in a hundred of a usual normal image
---  exceeds
---@field image Tensor? uint8 [1,H,W]
---@field notice string
local Unusual = {__name = "luxel.Unusual"}
Unusual.__index = Unusual

function Unusual:__tostring()
    return ("%s: score %.4g, p %.3g"):format(self.unusual and "unusual" or "usual", self.score, self.p)
end

-- ---- what a method works with -------------------------------------------------------------------------------------

local function silent() end

-- The grid of maps that are put together, where a network halves the size three times.
local function grid_of(size) return math.max(1, size // 8) end

-- A function that looks at images, for a detector's own sake (`method.look` with its network).
local function new_job(self)
    local about, method = self.metadata.anomaly, BY_NAME[self.method]
    local job = {
        net = self.net, learner = self.learner, model = self.metadata.model, device = self.device, size = self.size,
        stages = about.stages, grid = grid_of(self.size), top = about.top, neighbours = about.neighbours,
        say = silent,
    }
    job.eye = job.stages and stages.eye(self.net, job.stages)
    return job, method
end

local function batches_of(self, dataset, options)
    local batch = batch_size(self.device, self.size)
    local all = {batch = batch, shuffle = false, device = self.device, size = self.size}
    for key, value in pairs(self.metadata.normalisation) do all[key] = value end
    for key, value in pairs(options or {}) do all[key] = value end
    return lx.data.batches(dataset, all)
end

-- Scores of a dataset; `use(maps)` gets the maps of each batch, [N,h,w] on the cpu.
local function look_at(self, dataset, use, progress)
    self.job, self.way = self.job or new_job(self), self.way or BY_NAME[self.method]
    local scores, x_of = {}, batches_of(self, dataset)
    for x in x_of do
        local found, maps = lx.tidy(function()
            return lx.no_grad(function()
                local values, places = self.way.look(self.job, self.tensors, x)
                return core.to_table(values:to("cpu")), use and places:to("cpu"):contiguous()
            end)
        end)
        table.move(found, 1, #found, #scores + 1, scores)
        if use then use(maps) end
        x:free()
        if progress then progress(#scores, #dataset) end
    end
    for i, score in ipairs(scores) do
        if score - score ~= 0 then
            core.raise("result", ("anomaly: the score of %s is no finite number"):format(dataset.paths[i]))
        end
    end
    return scores
end

-- ---- networks -----------------------------------------------------------------------------------------------------

-- The part of a network that a method needs: the names of its weights.
local function needed_names(net, chosen)
    local of_stage, last, names = {}, chosen[#chosen], {}
    for k, modules in ipairs(net:stages()) do
        for _, module in ipairs(modules) do of_stage[module] = of_stage[module] or k end
    end
    local wanted, ignored = {}, {}
    for name, module in net:named_modules() do
        if of_stage[module] then (of_stage[module] <= last and wanted or ignored)[name] = true end
    end
    for name in pairs(net:state_dict()) do
        for prefix in pairs(wanted) do
            if name:sub(1, #prefix + 1) == prefix .. "." then names[name] = true end
        end
    end
    return names
end

-- A network of lx.models with weights by name, as far as they are used; nil and what is wrong.
local function new_network(metadata, chosen, weights)
    local options = {size = metadata.size, variant = metadata.pretrained and metadata.pretrained.variant}
    if chosen then options.outputs = 1 end
    local ok, net = pcall(lx.nn.init.skip, lx.models.build, metadata.model, options)
    if not ok then return nil, "network: " .. tostring(net) end
    if chosen and not stages.has(net) then return nil, "network: it is no classifier" end
    if chosen and not pcall(stages.check, "anomaly.open", net, chosen) then
        return nil, "stages: the network has others"
    end
    local state, missing = {}, {}
    for name in pairs(chosen and needed_names(net, chosen) or net:state_dict()) do
        state[name] = weights(name)
        if not state[name] then missing[#missing + 1] = name end
    end
    if #missing > 0 then
        table.sort(missing)
        return nil, ("it lacks %d weights, such as '%s'"):format(#missing, missing[1])
    end
    local mistake
    ok, mistake = pcall(net.load_state_dict, net, state, {strict = false})
    if not ok then return nil, (tostring(mistake):gsub("^.-load_state_dict: ", "")) end
    net:eval()
    net.pretrained = metadata.pretrained
    return net
end

-- ---- fitting ------------------------------------------------------------------------------------------------------

local function refuse(code, form, ...) return nil, ("anomaly.fit: " .. form):format(...), code end

-- Images of a disease, or of who knows what, teach a method that these are normal.
local function check_normal(dataset)
    if dataset.task ~= "binary" and dataset.task ~= "classes" then
        args.fail("anomaly.fit: dataset: expected normal images, of a class each, got the task '%s'", dataset.task)
    end
    local counts = {}
    for _, label in ipairs(core.to_table(dataset.labels)) do
        if label == label then counts[label] = (counts[label] or 0) + 1 end
    end
    local several, first = 0, next(counts)
    for _ in pairs(counts) do several = several + 1 end
    local wrong = several > 1 and first or dataset.task == "binary" and counts[1] and 1
    if wrong then
        local words = {}
        for k, name in ipairs(dataset.classes) do
            if counts[k - 1] then words[#words + 1] = ("%d of %s"):format(counts[k - 1], name) end
        end
        args.fail("anomaly.fit: dataset: expected normal images alone, got %s; take a subset, as in frame:filter("
            .. "function(row) return row.label == 0 end)", table.concat(words, ", "))
    end
end

-- The network and what it is called.
local function check_net(opts)
    local method = BY_NAME[opts.method]
    if method.own then return nil, "autoencoder" end
    local net = opts.net
    if not net then
        args.fail("anomaly.fit: options: option 'net': the method '%s' sees by a network, best with pretrained "
            .. "weights, as in net = lx.models.efficientnet_lite0 {pretrained = FILE}", opts.method)
    elseif not stages.has(net) then
        args.fail("anomaly.fit: options: option 'net': expected a classifier of lx.models, got %s", args.describe(net))
    elseif net.channels ~= 1 then
        args.fail("anomaly.fit: options: option 'net': expected a network for images of one channel, got %d",
            net.channels)
    end
    local name = opts.model or net.pretrained and net.pretrained.network
    if not name then
        args.fail("anomaly.fit: options: option 'model': the network does not say which one of lx.models it is, so its "
            .. "name is needed for the file")
    end
    local known = false
    for _, one in ipairs(lx.models.names "classifier") do known = known or one == name end
    if not known then args.fail("anomaly.fit: options: option 'model': there is no classifier '%s'", name) end
    return net, name
end

-- One image of each patient, at random: of those that `p` is told by no two may belong together.
local function one_each(dataset, seed)
    local kept, taken = {}, {}
    for _, i in ipairs(random.stream(seed, 3):permutation(#dataset)) do
        local patient = dataset.groups and dataset.groups[i] or dataset.paths[i]
        if not taken[patient] then taken[patient], kept[#kept + 1] = true, i end
    end
    table.sort(kept)
    return dataset:subset(kept)
end

local USUAL_SIZE <const> = 224

-- The scores of normal images kept out, ascending, and where maps are 1.
local function calibrate(self, held)
    local limits = {}
    local scores = look_at(self, held, function(maps)
        local flat = maps:flatten(2)
        local places = flat.shape[2]
        local count = math.max(1, math.floor(SHARE_ABOVE * places + 0.5))
        local least = (flat:topk(count, 2)):narrow(2, count, 1):reshape(-1)
        table.move(core.to_table(least), 1, flat.shape[1], #limits + 1, limits)
    end)
    table.sort(scores)
    table.sort(limits)
    return scores, limits[(#limits + 1) // 2]
end

local DEFAULTS <const> = {method = "neighbours", val = 0.2, seed = 1, device = "cpu", batch = 32, channels = 100,
    patches = 4000}
local NEIGHBOURS <const> = 3

--- Learns what is normal. Of the patients a share is kept out, and their images tell what a score means.
---
--- Methods: "mahalanobis", the distance of a network's pooled features to those of normal images (Rippel, Mertens and
--- Merhof, ICPR 2020); "neighbours", the distance to the most similar of them (Bergman, Cohen and Hoshen 2020);
--- "padim", Mahalanobis' distance at each place, of some channels of several stages (Defard et al., ICPR 2020);
--- "patchcore", the distance of each patch to the nearest one of normal images (Roth et al., CVPR 2022);
--- "autoencoder", what a network that learnt to draw normal images draws badly; "student", where a network that learnt
--- from another one what it sees in normal images sees something else (Wang et al., BMVC 2021). The last two draw their
--- first weights from the library's random numbers (`lx.manual_seed`).
---@param dataset luxel.Dataset normal images alone, at least 10
---@param options? {method: string?, net: Module?, model: string?, size: integer?, stages: integer[]?, top: number?,
---  neighbours: integer?, channels: integer?, patches: integer?, epochs: integer?, rate: number?, val: number?,
---  seed: integer?, device: string?, batch: integer?, mean: number?, std: number?, enhance: table?,
---  progress: luxel.Console?} method: default "neighbours";
---  net: a classifier of `lx.models`, best with pretrained weights, of which a copy is taken, not for "autoencoder";
---  model: its name in `lx.models`, where `net.pretrained` does not say it;
---  size: of the images as the network gets them, default that of the dataset; stages: those whose maps are looked at,
---  counted from 1, by default of five the fourth for "mahalanobis", the third and fourth for "neighbours" and
---  "patchcore", else the second to the fourth; top: share of the places, the largest, whose mean is the score, 0 for
---  the largest alone (default; of "autoencoder" 1), not for "mahalanobis" and "neighbours"; neighbours: how many
---  count, default 3; channels: of "padim", drawn at random, default 100; patches:
---  that "patchcore" keeps, at least 2, default 4000; epochs: of "autoencoder" 30, of "student" 10; rate: of learning,
---  default 1e-3; val: share of the patients kept out, default 0.2; seed: of all that is drawn but weights, default 1;
---  mean, std: by default what the weights want, else 0.5 and 0.25; enhance: steps of `lx.vision.pipeline` without
---  chance that every image goes through first, such as {{"clahe"}}
---@return luxel.Detector? detector, string? message, string? code "few": fewer than 10 images, or of too few patients;
---  "model": features or losses from which nothing can be told; "device"
function anomaly.fit(dataset, options)
    local opts = args.with_defaults(options, DEFAULTS)
    crop.check("anomaly.fit: dataset", dataset)
    check_normal(dataset)
    local method = BY_NAME[opts.method]
    for name, methods in pairs(OF) do
        local is_of = options == nil or options[name] == nil
        for _, one in ipairs(methods) do is_of = is_of or one == opts.method end
        if not is_of then
            args.fail("anomaly.fit: options: option '%s': it is of %s, not of '%s'", name, table.concat(methods, ", "),
                opts.method)
        end
    end
    if opts.enhance then pipeline.check_first("anomaly.fit: options: option 'enhance'", opts.enhance) end
    local net, model = check_net(opts)
    local device, message, code = lx.device(opts.device)
    if not device then return nil, ("device '%s': %s"):format(opts.device, message), code or "device" end
    local size = opts.size or dataset.size or USUAL_SIZE
    local chosen = opts.stages or net and stages.usual(net, method.usual) or nil
    if net then stages.check("anomaly.fit", net, chosen) end
    if #dataset < FEWEST then return refuse("few", "%d images; at least %d are needed", #dataset, FEWEST) end
    local train, held, problem = dataset:split {val = opts.val, seed = opts.seed}
    if not train then return refuse("few", "%s (%s)", held, problem) end
    held = one_each(held, opts.seed)

    local learnt_from = net and net.pretrained
    local normalisation = {
        mean = opts.mean or learnt_from and learnt_from.mean or 0.5,
        std = opts.std or learnt_from and learnt_from.std or 0.25,
        enhance = opts.enhance and pipeline.portable(opts.enhance) or nil,
    }
    local self = setmetatable({
        method = opts.method, size = size, device = device.label, tensors = {},
        metadata = {
            schema = schema.VERSION, version = version, task = "anomaly", model = model, size = size,
            input = {channels = 1, low = 0, high = 1}, normalisation = normalisation, seed = opts.seed, epoch = 0,
            pretrained = learnt_from or nil, images = #train,
            anomaly = {
                method = opts.method, stages = chosen, top = opts.top or method.top, scores = {}, limit = 1,
                neighbours = opts.method == "neighbours" and (opts.neighbours or NEIGHBOURS) or nil,
            },
        },
    }, Detector)
    if net then
        -- a copy: whoever trains the network further does not change what is usual
        local state = net:state_dict()
        local copy, mistake = new_network(self.metadata, chosen, function(name) return state[name] end)
        if not copy then
            args.fail("anomaly.fit: options: option 'model': the network is no '%s': %s", model, mistake)
        end
        self.net = copy
        self.net:to(device.label)
    end
    local job = new_job(self)
    job.count, job.batch, job.seed = #train, math.min(opts.batch, #train), opts.seed
    job.channels, job.patches = opts.channels, opts.patches
    job.epochs, job.rate = opts.epochs or method.epochs, opts.rate or 1e-3
    local progress = opts.progress
    if progress then job.say = function(words, done, total) progress:working(words, done, total) end end
    function job.each(use, epoch)
        local done = 0
        for x in batches_of(self, train, {
            batch = epoch and job.batch, shuffle = epoch ~= nil, epoch = epoch, seed = opts.seed,
            drop_last = epoch ~= nil,
        }) do
            use(x)
            done = done + x.shape[1]
            x:free()
            if not epoch then job.say("looking at normal images", done, #train) end
        end
    end

    local tensors = method.fit(job)
    if tensors then
        self.tensors, self.learner = tensors, job.learner
        self.job, self.way = job, method
        self.metadata.anomaly.scores, self.metadata.anomaly.limit = calibrate(self, held)
    end
    if not tensors then
        return refuse("model", "nothing can be told from these images: %s", method.epochs
            and "the loss is no finite number, a smaller rate may help" or "the network sees all of them alike")
    end
    self.metadata.trained_on = seen.describe(dataset)
    return self
end

-- ---- files --------------------------------------------------------------------------------------------------------

-- What the file has: the method's tensors, and weights of networks as far as they are used.
local function contents_of(self)
    local out = {}
    for name, tensor in pairs(self.tensors) do out["fitted." .. name] = tensor:to("cpu"):contiguous() end
    local function add(prefix, net, names)
        for name, tensor in pairs(net:state_dict()) do
            if not names or names[name] then out[prefix .. name] = tensor:detach():to("cpu"):contiguous() end
        end
    end
    local chosen = self.metadata.anomaly.stages
    if self.net then add("net.", self.net, needed_names(self.net, chosen)) end
    if self.learner then add("learner.", self.learner, chosen and needed_names(self.learner, chosen)) end
    return out
end

--- Writes the detector: one file of safetensors, with which `lx.anomaly.open` needs nothing else. It knows the images
--- and the patients that it learnt from (`lx.data.unseen`).
---@param path string
---@return boolean? ok, string? message, string? code
function Detector:save(path)
    return lx.checkpoint.save(path, contents_of(self), self.metadata)
end

-- Tensors that each method has, with their dimensions.
local FITTED <const> = {
    mahalanobis = {mean = 1, whitening = 2}, neighbours = {mean = 1, scale = 1, normal = 2},
    padim = {channels = 1, mean = 2, whitening = 3},
    patchcore = {mean = 1, scale = 1, memory = 2}, autoencoder = {}, student = {},
}

-- Shapes that a method's tensors need, by the network and the grid.
local function mistake_in_tensors(self, net)
    local about, tensors = self.metadata.anomaly, self.tensors
    for name, dims in pairs(FITTED[self.method]) do
        if not tensors[name] or tensors[name].ndim ~= dims then
            return ("expected the tensor 'fitted.%s' of %d dimensions"):format(name, dims)
        end
    end
    if not net or not tensors.mean then return nil end
    local whole, places = stages.channels(net, about.stages), grid_of(self.size) ^ 2
    local d = tensors.mean.shape[tensors.mean.ndim]
    local fits = {
        mahalanobis = function() return d == whole and tensors.whitening.shape[1] == d
            and tensors.whitening.shape[2] == d end,
        padim = function()
            local channels, shape = tensors.channels, tensors.whitening.shape
            return channels.dtype == "int32" and channels.shape[1] == d and channels:min():item() >= 1
                and channels:max():item() <= whole and tensors.mean.shape[1] == places and shape[1] == places
                and shape[2] == d and shape[3] == d
        end,
        patchcore = function() return d == whole and tensors.scale.shape[1] == d and tensors.memory.shape[2] == d
            and tensors.memory.shape[1] > 0 end,
        neighbours = function() return d == 2 * whole and tensors.scale.shape[1] == d and tensors.normal.shape[2] == d
            and tensors.normal.shape[1] > 0 end,
    }
    if not fits[self.method]() then return "the tensors of the method do not fit the network and the size" end
end

-- The networks of a file.
local function build(self, tensors)
    local chosen, mistake = self.metadata.anomaly.stages, nil
    local function weights_of(prefix) return function(name) return tensors[prefix .. name] end end
    if chosen then
        self.net, mistake = new_network(self.metadata, chosen, weights_of "net.")
        if not self.net then return mistake end
    end
    if BY_NAME[self.method].epochs then
        self.learner, mistake = new_network(self.metadata, chosen, weights_of "learner.")
    end
    return mistake
end

--- Opens what `Detector:save` wrote.
---@param path string
---@param options? {device: string?} as of `lx.device`, default "cpu"
---@return luxel.Detector? detector, string? message, string? code "io", "format", "device"
function anomaly.open(path, options)
    local name = options and options.device or "cpu"
    local device, message, code = lx.device(name)
    if not device then return nil, ("device '%s': %s"):format(name, message), code or "device" end
    local tensors, metadata
    tensors, metadata, code = lx.checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local described, mistake = schema.check(metadata, {"model", "size", "anomaly"})
    if not described or metadata.task ~= "anomaly" then
        return nil, ("%s: it was not written by lx.anomaly: %s"):format(path, mistake
            or ("its task is '%s'; lx.predictor and luxel predict answer with it"):format(metadata.task)), "format"
    end
    local self = setmetatable({
        method = metadata.anomaly.method, size = metadata.size, device = device.label, path = path,
        metadata = metadata, tensors = {},
    }, Detector)
    for full, tensor in pairs(tensors) do
        local own = full:match("^fitted%.(.+)$")
        if own then self.tensors[own] = tensor end
    end
    mistake = build(self, tensors) or mistake_in_tensors(self, self.net)
    if mistake then return nil, ("%s: %s"):format(path, mistake), "format" end
    if self.net then self.net:to(device.label) end
    if self.learner then self.learner:to(device.label) end
    for own, tensor in pairs(self.tensors) do self.tensors[own] = tensor:to(device.label) end
    return self
end

-- ---- looking ------------------------------------------------------------------------------------------------------

local RETURNED <const> = {result = true, device = true, memory = true}

-- The results of `f`, or nil, message and code where the device fails or a result is no number.
local function guarded(f, ...)
    local found = table.pack(pcall(f, ...))
    if found[1] then return table.unpack(found, 2, found.n) end
    local code, text = core.error_code(tostring(found[2]))
    if RETURNED[code] then return nil, text, code end
    error(found[2], 0)
end

--- The score of every image of a dataset: the larger, the more unusual.
---@param dataset luxel.Dataset
---@param options? {progress: (fun(done: integer, total: integer))?}
---@return number[]? scores, string? message, string? code "result", "device", "memory"
function Detector:scores(dataset, options)
    crop.check("Detector:scores: dataset", dataset)
    return guarded(look_at, self, dataset, nil, options and options.progress)
end

--- What a score means: the share of the normal images of patients kept out, and of the image itself, whose score is as
--- large or larger. Of n of them at least 1 / (n + 1).
---@param score number
---@return number p
function Detector:p_value(score) return lx.conformal.p_value(self.metadata.anomaly.scores, score) end

-- Adds scores and maps to the entries of images.
local function answer(self, small, entries, sizes, opts)
    local paths = {}
    for k, entry in ipairs(entries) do paths[k] = entry.path end
    local dataset = lx.data.dataset {images = lx.stack(small, 1), labels = lx.zeros(#small), paths = paths}
    local maps = {}
    local scores, message, code = guarded(look_at, self, dataset, opts.maps and function(found)
        for k = 1, found.shape[1] do maps[#maps + 1] = found:narrow(1, k, 1):clone() end
    end)
    if not scores and code == "result" and #small > 1 then
        for k, image in ipairs(small) do answer(self, {image}, {entries[k]}, {sizes[k]}, opts) end
        return
    end
    for k, entry in ipairs(entries) do
        if scores then
            entry.score, entry.p = scores[k], self:p_value(scores[k])
            entry.unusual = entry.p <= opts.level
            entry.notice = lx.predictor.NOTICE
            if maps[k] then
                local most = math.max(self.metadata.anomaly.limit, 1e-30)
                entry.map = lx.vision.resize(maps[k] / most, sizes[k][1], sizes[k][2])
            end
            setmetatable(entry, Unusual)
        else
            entry.message, entry.code = message, code
        end
    end
end

--- What there is to say of several films. One that cannot be read does not hold up the others.
---@param sources (string|{bytes: string, name: string?})[] paths, or bytes of files
---@param options? {level: number?, maps: boolean?, images: boolean?, quality: boolean?} level: up to which p is
---  unusual, default 0.05; maps: default true; images: keep the pictures in their own size, default false; quality:
---  look for what speaks against reading a picture, default true
---@return (luxel.Unusual|{path: string, message: string, code: string})[] answers in order; with a message and a code
---  instead of a score where there is none
function Detector:all(sources, options)
    local opts = args.with_defaults(options, {level = 0.05, maps = true, images = false, quality = true})
    local out, small, entries, sizes = {}, {}, {}, {}
    for i, source in ipairs(sources) do
        args.check(("Detector:all: sources: %d"):format(i), "text|{bytes: string, name: text?}", source)
        local name, image, message, code = film.read(source)
        if not image then
            out[i] = {path = name, message = message, code = code}
        else
            out[i] = {path = name}
            out[i].findings = opts.quality and lx.vision.quality(image) or {}
            out[i].image = opts.images and image or nil
            small[#small + 1], entries[#entries + 1] = lx.vision.resize(image, self.size, self.size), out[i]
            sizes[#sizes + 1] = {image.shape[2], image.shape[3]}
        end
    end
    if #small > 0 then answer(self, small, entries, sizes, opts) end
    return out
end

--- What there is to say of one film; `detector(source)` is the same.
---@param source string|{bytes: string, name: string?}
---@param options? table as for `all`
---@return luxel.Unusual? answer, string? message, string? code
function Detector:predict(source, options)
    local found = self:all({source}, options)[1]
    if not found.score then return nil, found.message, found.code end
    return found
end

function Detector:__call(source, options) return self:predict(source, options) end

function Detector:__tostring()
    local metadata = self.metadata
    return ("Detector: %s%s, %d×%d pixels on %s, learnt from %d normal images, p by %d more of other patients"):format(
        self.method, self.net and " on " .. metadata.model or "", self.size, self.size, self.device, metadata.images,
        #metadata.anomaly.scores)
end

args.type("detector", "a Detector", "table", function(value) return getmetatable(value) == Detector end)
args.type("anomaly_method", "a method (" .. table.concat(anomaly.METHODS, ", ") .. ")", "string", function(value)
    return BY_NAME[value] ~= nil
end)

local OPTIONS <const> = "options: {level: number(0..1)?, maps: boolean?, images: boolean?, quality: boolean?}?"

args.publish("Detector:", Detector, {
    save = "detector: detector, path: path", p_value = "detector: detector, score: ordered",
    scores = "detector: detector, dataset: dataset, options: {progress: function?}?",
    all = "detector: detector, sources: table, " .. OPTIONS,
    predict = "detector: detector, source: " .. film.TYPE .. ", " .. OPTIONS,
})

return namespace("lx.anomaly", args.publish("anomaly.", anomaly, {
    fit = "dataset: dataset, options: {method: anomaly_method?, net: module?, model: text?, size: integer(16..2048)?, "
        .. "stages: integer(1..)[]?, top: number(0..1)?, neighbours: integer(1..100000)?, "
        .. "channels: integer(1..4096)?, patches: integer(2..1000000)?, "
        .. "epochs: integer(1..100000)?, rate: finite(1e-9..10)?, val: number(0.01..0.9)?, seed: integer?, "
        .. "device: text?, batch: integer(1..4096)?, mean: finite?, std: finite(1e-6..)?, enhance: table?, "
        .. "progress: console?}?",
    open = "path: path, options: {device: text?}?",
}))
