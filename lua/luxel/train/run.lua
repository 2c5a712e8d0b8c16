--- The files of a run, so that its model can be used at any time and the run gone on with exactly: best.safetensors,
--- last.safetensors, log.csv, and an event file for TensorBoard.

local checkpoint = require "luxel.checkpoint"
local core = require "luxel.core"
local detection = require "luxel.train.detection"
local lfs = require "lfs"
local parts_of = require "luxel.train.parts"
local pipeline = require "luxel.vision.pipeline"
local schema = require "luxel.schema"
local seen = require "luxel.data.seen"
local task = require "luxel.train.task"
local tensorboard = require "luxel.train.tensorboard"
local transfer = require "luxel.train.transfer"
local version = require "luxel.version"

local run = {}

-- The columns of the log, with the parts of the loss and the figures of the task on the validation images.
local function columns_of(fit)
    local kind, columns = task.kinds[fit.task], {"epoch", "loss"}
    for _, name in ipairs(kind.parts or {}) do columns[#columns + 1] = "loss_" .. name end
    columns[#columns + 1] = "val_loss"
    local figures = kind.figures
    for i = #figures, 1, -1 do columns[#columns + 1] = "val_" .. figures[i] end
    return table.move({"threshold", "learning_rate", "images_per_second", "seconds"}, 1, 4, #columns + 1, columns)
end

--- The metadata that make a model file enough to predict with: see luxel.schema.
---@param fit table
---@return table<string, any>
function run.describe(fit)
    local metadata, state = {}, fit.state
    for key, value in pairs(fit.metadata) do metadata[key] = value end
    metadata.schema, metadata.version, metadata.task = schema.VERSION, version, fit.train.task
    metadata.classes = metadata.classes or fit.train.classes
    if metadata.task == "binary" then metadata.positive = metadata.positive or metadata.classes[2] end
    metadata.input = {
        channels = (fit.train:source()):info().channels, low = 0, high = 1, crop = fit.train.crop,
    }
    metadata.normalisation = {
        mean = fit.mean, std = fit.std, enhance = fit.enhance and pipeline.portable(fit.enhance) or nil,
    }
    metadata.pretrained = fit.net.pretrained
    metadata.transfer = transfer.describe(fit)
    metadata.seed = fit.seed
    metadata.epoch = state.epoch
    metadata.metrics = state.metrics
    metadata.threshold = state.threshold
    if state.chosen then -- after the first epoch
        metadata.calibration, metadata.chosen = state.calibration or false, state.chosen
        metadata.trained_on = metadata.trained_on or seen.describe(fit.train)
    end
    return metadata
end

--- Writes the model alone, for predicting.
function run.save_model(fit, name)
    return checkpoint.save(fit.out .. "/" .. name, fit.net:state_dict(), run.describe(fit))
end

--- The epoch in best.safetensors, from the file itself; nil where there is no usable one.
---@return {epoch: integer, loss: number, threshold: number?, value: number?}? best with the figures of its task
function run.best_in_file(fit)
    local tensors, metadata = checkpoint.load(fit.out .. "/best.safetensors")
    if not tensors or not schema.check(metadata, {"chosen", "metrics"}) then return nil end
    local found = metadata.metrics
    local best = {
        epoch = metadata.epoch, loss = found.val_loss,
        threshold = type(metadata.threshold) == "number" and metadata.threshold or nil, value = found.best_by,
    }
    for _, name in ipairs(task.kinds[metadata.task].figures) do best[name] = found["val_" .. name] end
    return best
end

--- The epoch and step that last.safetensors holds, from the file itself; nil where there is no usable one.
---@return integer? epoch, integer? step
function run.moment_in_file(fit)
    local tensors, metadata = checkpoint.load(fit.out .. "/last.safetensors")
    if not tensors or not schema.check(metadata, {"training"}) then return nil end
    return metadata.training.state.epoch, metadata.training.state.step
end

-- ---- what a run consists of ------------------------------------------------------------------------------------

local function numbers_of(group)
    local out = {}
    for key, value in pairs(group) do
        if key ~= "params" then out[key] = value end
    end
    return out
end

-- A text that is the same for the same values, whatever the order of names.
local function text_of(value)
    if type(value) ~= "table" then return math.type(value) == "integer" and ("%d"):format(value) or tostring(value) end
    local names, parts = {}, {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names, function(a, b)
        if type(a) ~= type(b) then return type(a) == "number" end
        return a < b
    end)
    for i, name in ipairs(names) do parts[i] = tostring(name) .. "=" .. text_of(value[name]) end
    return "{" .. table.concat(parts, ",") .. "}"
end

-- A list of texts or numbers, short.
local function hash_of(list)
    local words = {}
    for i, value in ipairs(list) do words[i] = ("%s %s"):format(math.type(value) or "text", value) end
    return seen.hash(table.concat(words, "\n"))
end

-- The numbers of lists, or of lists of lists, one after the other.
local function numbers_in(out, ...)
    for _, list in ipairs {...} do
        for _, value in ipairs(list) do
            if type(value) == "table" then numbers_in(out, value) else out[#out + 1] = value end
        end
    end
    return out
end

-- The anchors of a detector, of all its maps.
local function anchors_of(net)
    local heads, list = detection.heads(net), {}
    if not heads then return "none" end
    for i, head in ipairs(heads) do list[i] = head.anchors end
    return text_of(#list == 1 and list[1] or list)
end

--- The recipe of a run, by name: with another one, going on would be another run.
---@param fit table
---@return table<string, string>
function run.recipe_of(fit)
    local groups = {}
    for i, group in ipairs(fit.optimizer.groups or {}) do groups[i] = numbers_of(group) end
    -- a schedule has changed the rates already: what it began with counts
    for i, base in ipairs(fit.scheduler and fit.scheduler.base or {}) do
        if groups[i] then groups[i].lr = base end
    end
    return {
        ["training images"] = seen.fingerprint(fit.train), ["validation images"] = seen.fingerprint(fit.val),
        ["what of the films it sees"] = fit.train.crop or "all",
        batch = text_of(fit.batch), seed = text_of(fit.seed), size = text_of(fit.size or fit.train.size or "as stored"),
        mean = text_of(fit.mean), std = text_of(fit.std), enhance = text_of(fit.enhance and pipeline.portable(
            fit.enhance)
            or "none"),
        augment = text_of(type(fit.augment) == "table" and pipeline.portable(fit.augment) or fit.augment),
        balanced = text_of(fit.balanced), drop_last = text_of(fit.drop_last), accumulate = text_of(fit.accumulate),
        balance = text_of(fit.balance and {
            groups = hash_of(fit.balance.groups), most = fit.balance.most or "as ever",
        } or "none"),
        ["group weights"] = text_of(fit.dro and {
            groups = hash_of(fit.dro.groups), step = fit.worst.step, adjustment = fit.dro.adjustment or 0,
        } or "none"),
        ["label smoothing"] = text_of(fit.label_smoothing or "none"), mixup = text_of(fit.mixup or "none"),
        cutmix = text_of(fit.cutmix or "none"), ema = text_of(fit.ema or "none"), swa = text_of(fit.swa or "none"),
        mosaic = text_of(fit.mosaic or "none"), sizes = text_of(fit.sizes or "one"), clip = text_of(fit.clip or "none"),
        optimizer = text_of(fit.optimizer.class_name or "one's own"), ["the optimiser's options"] = text_of(groups),
        schedule = fit.scheduler and text_of(fit.scheduler.class_name or "one's own") or "none",
        ["what is frozen"] = transfer.words(fit), ["the calibration"] = fit.choice.recipe.calibration,
        ["the threshold"] = fit.choice.recipe.threshold,
        ["the loss of boxes"] = text_of(fit.region or "the usual"),
        anchors = anchors_of(fit.net),
        ["what is calibrated on"] = fit.calibrate_on and hash_of(numbers_in({}, fit.calibrate_on.logits,
            fit.calibrate_on.labels)) or "the validation images",
        ["the first weights"] = fit.net.pretrained and fit.net.pretrained.checksum or "new",
    }
end

--- Writes the model and all that training needs to go on from here.
function run.save_state(fit)
    local metadata = run.describe(fit)
    local tensors, training = parts_of.pack(fit)
    for name, tensor in pairs(fit.average and fit.average:tensors() or {}) do tensors[name] = tensor end
    if fit.worst then tensors["dro.weights"] = fit.worst.weights end
    -- what was drawn since the last step of the optimiser will be drawn again
    if fit.random then training.random = {seed = fit.random[1], stream = fit.random[2]} end
    training.state, training.batch, training.recipe = fit.state, fit.batch, fit.recipe
    training.schedule = fit.scheduler and text_of(fit.scheduler.options or {}) or nil
    training.updates = fit.average and fit.average.updates or nil
    metadata.training = training
    return checkpoint.save(fit.out .. "/last.safetensors", tensors, metadata)
end

-- What runs had that a file says nothing of, because it is older.
local NEW <const> = {
    ["what is frozen"] = "nothing", ["the first weights"] = "new", ["label smoothing"] = "none", mixup = "none",
    cutmix = "none", mosaic = "none", sizes = "one", swa = "none", anchors = "none",
    ["the loss of boxes"] = "the usual", balance = "none", ["group weights"] = "none",
    ["the calibration"] = "the usual", ["the threshold"] = "the usual",
    ["what is calibrated on"] = "the validation images", ["what of the films it sees"] = "all",
}

-- How two recipes differ, in words; nil if they do not.
local function difference(stored, own)
    local names, words = {}, {}
    for name in pairs(own) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        if (stored[name] or NEW[name]) ~= own[name] then
            words[#words + 1] = name:find("images$") and ("the %s are others, or have other labels"):format(name)
                or ("%s was %s and is %s"):format(name, stored[name] or "not known", own[name])
        end
    end
    return #words > 0 and table.concat(words, "; ") .. "; it would not be the same run" or nil
end

-- Why a stored training is not of this run, in words; nil if it is.
local function mismatch(fit, metadata)
    local ok, mistake = schema.check(metadata)
    if not ok then return mistake end
    local training = metadata.training
    if not training then return "it holds a model, but no training to go on with" end
    mistake = difference(training.recipe, fit.recipe)
    if mistake then return mistake end
    local state, steps = training.state, math.ceil(#fit.train / fit.batch)
    if state.step > steps or (state.step == 0) ~= (state.seen == 0) or state.seen > #fit.train then
        return ("it is at step %d after %d images of an epoch; one of this training has %d steps and %d images"):format(
            state.step, state.seen, steps, #fit.train)
    end
    if (training.updates ~= nil) ~= (fit.average ~= nil) then return "its averaged weights are missing" end
end

-- A run may be made longer, which changes its schedule; the learning rate then goes on by the new one.
local function tell_of_schedule(fit, training)
    local before, now = training.schedule, fit.scheduler and text_of(fit.scheduler.options or {})
    if before ~= now then
        fit.progress:message(("[WARN] the schedule had the options %s and has %s: the learning rate goes on by "
            .. "the new ones")
            :format(before, now))
    end
end

-- Puts back the state in a file; raises where it does not fit.
local function restore(fit, tensors, training)
    local own, averages = {}, {}
    for name, tensor in pairs(tensors) do
        if name == "dro.weights" and fit.worst then
            core.copy_(fit.worst.weights, tensor:to(fit.device))
        elseif name:find("^average%.") then
            averages[name] = tensor
        else
            own[name] = tensor
        end
    end
    parts_of.unpack_into(fit, own, training)
    if fit.average then fit.average:restore(averages, training.updates) end
    fit.state = training.state
end

--- Takes up the training that last.safetensors holds. Returns true, or nil, message, code.
function run.resume(fit)
    local path = fit.out .. "/last.safetensors"
    local tensors, metadata, code = checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local mistake = mismatch(fit, metadata)
    if not mistake then
        local ok, failure = pcall(restore, fit, tensors, metadata.training)
        if ok then
            tell_of_schedule(fit, metadata.training)
            return true
        end
        code, mistake = core.error_code(tostring(failure))
        if code and code ~= "argument" then error(failure, 0) end -- the device or its memory, not the file
        mistake = mistake or tostring(failure)
    end
    return nil, ("%s cannot be gone on with: %s"):format(path, mistake), "format"
end

-- ---- the folder ---------------------------------------------------------------------------------------------------

local OWN <const> = {"best.safetensors", "last.safetensors", "log.csv", "rescued.safetensors", "report.html"}
local EVENTS <const> = "^events%.out%.tfevents%.%d+%.luxel"

local function event_files(fit)
    local names = {}
    for name in lfs.dir(fit.out) do
        if name:find(EVENTS) then names[#names + 1] = name end
    end
    return names
end

--- Whether the folder holds a run: a model of one.
function run.exists(fit)
    for i = 1, 2 do
        if lfs.attributes(fit.out .. "/" .. OWN[i], "mode") == "file" then return true end
    end
    return false
end

--- Takes what an earlier run left out of the folder.
function run.clear(fit)
    for _, names in ipairs {OWN, event_files(fit)} do
        for _, name in ipairs(names) do
            local path = fit.out .. "/" .. name
            if lfs.attributes(path, "mode") == "file" then os.remove(path) end
        end
    end
end

local function write_rows(fit)
    return core.write_file(fit.out .. "/log.csv", {table.concat(fit.log, "\n"), "\n"})
end

--- Begins the log: the header, and the rows of epochs that a resumed run keeps. A folder that takes no files is noticed
--- here, before the work. Returns true, or nil, message, code.
function run.open_log(fit)
    local rows = {table.concat(columns_of(fit), ",")}
    local old = fit.state.epoch > 0 and io.open(fit.out .. "/log.csv")
    if old then
        for line in old:lines() do
            local epoch = tonumber(line:match("^(%d+),"))
            if epoch and epoch <= fit.state.epoch then rows[#rows + 1] = line end
        end
        old:close()
    end
    fit.log = rows
    -- TensorBoard reads all event files of a folder, and of a step the later one
    fit.events = ("%s/events.out.tfevents.%010d.luxel.%d"):format(fit.out, os.time(), fit.state.epoch)
    fit.event_text = tensorboard.header(os.time())
    return write_rows(fit)
end

-- With a point, whatever the locale of the host has.
local function number_text(value)
    if math.type(value) == "integer" then return tostring(value) end
    return (("%.6g"):format(value):gsub("[^%da-z+-]", "."))
end

local function write_events(fit, row)
    local values = {}
    for tag, name in pairs {
        ["loss/train"] = "loss", ["loss/validation"] = "val_loss", ["learning rate"] = "learning_rate",
        ["images per second"] = "images_per_second",
    } do
        values[tag] = row[name]
    end
    local kind = task.kinds[fit.task]
    for _, name in ipairs(kind.parts or {}) do values["loss/" .. name] = row["loss_" .. name] end
    for _, name in ipairs(kind.figures) do values[name .. "/validation"] = row["val_" .. name] end
    fit.event_text = fit.event_text .. tensorboard.scalars(os.time(), row.epoch, values)
    return core.write_file(fit.events, {fit.event_text})
end

--- Adds a row and writes the log and the event file.
function run.write_log(fit, row)
    local cells = {}
    for i, column in ipairs(columns_of(fit)) do
        local value = row[column]
        cells[i] = value == nil and "" or number_text(value)
    end
    fit.log[#fit.log + 1] = table.concat(cells, ",")
    local ok, message, code = write_rows(fit)
    if not ok then return nil, message, code end
    return write_events(fit, row)
end

return run
