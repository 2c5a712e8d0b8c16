--- What a run leaves in its folder, so that it can be used at any time and gone on with exactly: best.safetensors,
--- last.safetensors, log.csv.

local checkpoint = require "luxel.checkpoint"
local core = require "luxel.core"
local pipeline = require "luxel.vision.pipeline"

local run = {}

local COLUMNS <const> = {"epoch", "loss", "val_loss", "val_accuracy", "val_auc", "threshold", "learning_rate",
    "images_per_second", "seconds"}

--- The metadata that makes a model file enough to predict with.
local function describe(fit)
    local metadata = {}
    for key, value in pairs(fit.metadata) do metadata[key] = value end
    metadata.normalisation = {
        mean = fit.mean, std = fit.std, enhance = fit.enhance and pipeline.portable(fit.enhance) or nil,
    }
    metadata.seed = fit.seed
    metadata.epoch = fit.state.epoch
    metadata.threshold = fit.state.threshold
    metadata.calibration = fit.state.calibration
    metadata.metrics = fit.state.metrics
    return metadata
end

--- Writes the model alone, for predicting.
function run.save_model(fit, name)
    return checkpoint.save(fit.out .. "/" .. name, fit.net:state_dict(), describe(fit))
end

--- Writes the model and all that training needs to go on from here.
function run.save_state(fit)
    local tensors, metadata = {}, describe(fit)
    for name, tensor in pairs(fit.net:state_dict()) do tensors[name] = tensor end
    local optimizer = fit.optimizer:state_dict()
    for name, tensor in pairs(optimizer.tensors) do tensors["optimizer." .. name] = tensor end
    local seed, stream = core.random_state()
    metadata.training = {
        state = fit.state, kind = optimizer.kind, steps = optimizer.steps, groups = optimizer.groups,
        scheduler = fit.scheduler and fit.scheduler:state_dict() or nil, random = {seed = seed, stream = stream},
        batch = fit.batch,
    }
    return checkpoint.save(fit.out .. "/last.safetensors", tensors, metadata)
end

--- Takes up the training that last.safetensors holds. Returns true, or nil, message, code.
function run.resume(fit)
    local path = fit.out .. "/last.safetensors"
    local tensors, metadata, code = checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local training = metadata.training
    if not training then return nil, path .. " holds a model, but no training to go on with", "format" end
    if training.batch ~= fit.batch or metadata.seed ~= fit.seed then
        local form = "%s was trained with batch %s and seed %s; with batch %d and seed %d it would not be the same run"
        return nil, form:format(path, training.batch, metadata.seed, fit.batch, fit.seed), "format"
    end
    local weights, own = {}, {}
    for name, tensor in pairs(tensors) do
        local inner = name:match("^optimizer%.(.+)$")
        if inner then own[inner] = tensor else weights[name] = tensor end
    end
    fit.net:load_state_dict(weights)
    fit.optimizer:load_state_dict {
        kind = training.kind, steps = training.steps, groups = training.groups, tensors = own,
    }
    if fit.scheduler then fit.scheduler:load_state_dict(training.scheduler) end
    core.manual_seed(math.tointeger(training.random.seed))
    core.random_state(math.tointeger(training.random.stream))
    fit.state = training.state
    for _, key in ipairs {"epoch", "step", "seen"} do fit.state[key] = math.tointeger(fit.state[key]) end
    return true
end

--- The log so far: the header, and the rows of epochs that a resumed run keeps.
function run.open_log(fit)
    local rows = {table.concat(COLUMNS, ",")}
    local old = fit.state.epoch > 0 and io.open(fit.out .. "/log.csv")
    if old then
        for line in old:lines() do
            local epoch = tonumber(line:match("^(%d+),"))
            if epoch and epoch <= fit.state.epoch then rows[#rows + 1] = line end
        end
        old:close()
    end
    fit.log = rows
end

--- Adds a row and writes the log.
function run.write_log(fit, row)
    local cells = {}
    for i, column in ipairs(COLUMNS) do
        local value = row[column]
        cells[i] = value == nil and "" or math.type(value) == "integer" and tostring(value) or ("%.6g"):format(value)
    end
    fit.log[#fit.log + 1] = table.concat(cells, ",")
    return core.write_file(fit.out .. "/log.csv", {table.concat(fit.log, "\n"), "\n"})
end

return run
