--- Training a two-class network: `fit` runs the epochs, `predict` gives logits.
--
--     local result = lx.train.fit {
--         net = net, optimizer = optimizer, loss = loss, train = train_set, val = val_set,
--         epochs = 10, out = "runs/first",
--     }

local batches = require "luxel.data.loader"
local calibration = require "luxel.calibration"
local console = require "luxel.train.console"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local metrics = require "luxel.metrics"
local run = require "luxel.train.run"

local train = {console = console}

-- Where a network computes.
local function device_of(net)
    local first = net:parameters()[1]
    return first and first.device or "cpu"
end

-- The networks' forward passes as compiled functions.
local forwards = setmetatable({}, {__mode = "k"})

local function forward_of(net, options)
    if options.compile == false then return net end
    if not forwards[net] then forwards[net] = lx.compile(net, {name = "predict"}) end
    return forwards[net]
end

--- The logit of every image of a dataset, in order, without augmentation, computed where the network is.
---@param net Module
---@param dataset luxel.Dataset
---@param options {batch: integer?, mean: number?, std: number?, compile: boolean?, size: integer?, threads: integer?,
---  enhance: table?}? compile: false calls the network each time instead of replaying what `lx.compile` recorded;
---  size and threads: as of `lx.data.batches`; enhance: steps that each image goes through, as in training but
---  without chance
---@return number[]
function train.predict(net, dataset, options)
    options = options or {}
    local logits = {}
    local was_training = net.training
    net:eval()
    lx.no_grad(function()
        local batch, forward = options.batch or 32, forward_of(net, options)
        for x in batches(dataset, {
            batch = batch, shuffle = false, mean = options.mean, std = options.std, device = device_of(net),
            threads = options.threads, size = options.size, enhance = options.enhance,
        }) do
            local out <close> = forward(x)
            table.move(core.to_table(out:flatten()), 1, out.shape[1], #logits + 1, logits)
            x:free()
        end
    end)
    if was_training then net:train() end
    return logits
end

-- How sure and how right: loss, accuracy at the chosen threshold, AUC; and the threshold and calibration themselves.
local function validate(fit)
    local logits = train.predict(fit.net, fit.val, fit)
    local labels = core.to_table(fit.val.labels)
    local fitted = calibration.fit(logits, labels)
    local probabilities = {}
    for i, logit in ipairs(logits) do probabilities[i] = calibration.probability(fitted, logit) end
    local threshold = metrics.youden(probabilities, labels) or 0.5
    local function column(numbers) return core.from_table(numbers, "float32", fit.device):view {#numbers, 1} end
    local loss = fit.loss(column(logits), column(labels)):item()
    return {
        loss = loss, accuracy = metrics.accuracy(probabilities, labels, threshold),
        auc = metrics.auc(probabilities, labels), threshold = threshold, calibration = fitted,
    }
end

-- ---- when it goes wrong ---------------------------------------------------------------------------------------

local function has_nan(tensor)
    return core.item(core.reduce("max", core.unary("isnan", tensor))) == 1
end

-- Stops a run whose loss is no number, naming the step and the likely cause.
local function fail_not_finite(fit, value, x, indices)
    local cause
    if has_nan(x) then
        local paths = {}
        for i, index in ipairs(core.to_table(indices)) do
            if has_nan(x:detach():select(1, i)) then paths[#paths + 1] = fit.train.paths[index] end
        end
        cause = "the images hold NaN: " .. table.concat(paths, ", ")
    else
        for name, parameter in fit.net:named_parameters() do
            if has_nan(parameter) then
                cause = ("the weights became NaN in an earlier step (%s)"):format(name)
                break
            end
        end
        cause = (cause or "images and weights are finite, so the numbers in between grew too large")
            .. (": the learning rate (%g) is probably too high; lower it, or clip gradients"):format(
                fit.optimizer.groups[1].lr)
    end
    error({luxel = ("the loss became %s at epoch %d, step %d; %s"):format(value ~= value and "NaN" or "infinite",
        fit.state.epoch + 1, fit.state.step + 1, cause)}, 0)
end

-- ---- one step -------------------------------------------------------------------------------------------------

-- The two halves of a step, compiled unless an option says otherwise.
local function prepare_step(fit)
    function fit.find_gradients(x, y)
        fit.optimizer:zero_grad()
        local loss = fit.loss(fit.net(x), y)
        loss:backward()
        return loss
    end
    function fit.update()
        if fit.clip then lx.optim.clip_grad_norm_(fit.optimizer.parameters, fit.clip) end
        fit.optimizer:step()
        if fit.scheduler then fit.scheduler:step() end
    end
    if fit.compile == false then return end
    fit.find_gradients = lx.compile(fit.find_gradients, {name = "fit"})
    if fit.clip then fit.update = lx.compile(fit.update, {name = "fit, the update"}) end
end

-- Reading the loss is the only wait for the device. It comes as late as the weights can still be kept from a loss that
-- is no number: the device has the backward pass to do meanwhile, and then the optimiser's step while Lua assembles the
-- next batch.
local function train_step(fit, x, y, indices)
    local loss <close> = fit.find_gradients(x, y)
    local value = loss:item()
    if value ~= value or value == math.huge then fail_not_finite(fit, value, x, indices) end
    fit.update()
    return value
end

-- ---- profile --------------------------------------------------------------------------------------------------

-- Steps before the measured ones, so that everything is compiled and in the caches, and the measured ones.
local WARM_UP <const>, MEASURED <const> = 5, 5

local function show_profile(fit)
    local report, path = fit.session:stop(), fit.profile
    fit.session, fit.profile = nil, nil
    fit.progress:message(tostring(report))
    local clock = fit.clock
    fit.progress:message(("making batches took %.1f %% of the time so far"):format(
        100 * clock.loading / (clock.loading + clock.training)))
    local ok, message = report:save_trace(path)
    fit.progress:message(ok and ("trace of these training steps in " .. path) or "[WARN] no trace: " .. message)
end

-- Before each step, with the option `profile`.
local function follow_profile(fit)
    if fit.session and fit.clock.steps >= WARM_UP + MEASURED then
        show_profile(fit)
    elseif not fit.session and fit.clock.steps >= WARM_UP then
        fit.session = lx.profile.start(fit.device)
    end
end

-- ---- one epoch ------------------------------------------------------------------------------------------------

-- Seconds until the run ends, from the steps and validations that this process has done.
local function time_left(fit, steps_per_epoch, batch)
    local state, clock = fit.state, fit.clock
    local step_time = (clock.training + clock.loading) / clock.steps
    local epochs_left = fit.epochs - state.epoch
    -- before the first validation: a forward pass is about a third of a step
    local validation = clock.validations > 0 and clock.validating / clock.validations
        or step_time / 3 * #fit.val / fit.batch
    return step_time * (steps_per_epoch * epochs_left - batch) + validation * epochs_left
end

local function run_epoch(fit)
    local state, clock = fit.state, fit.clock
    local epoch, steps = state.epoch + 1, math.ceil(#fit.train / fit.batch)
    fit.net:train()
    local started, images = core.now(), 0
    local asked = started
    for x, y, indices in batches(fit.train, {
        batch = fit.batch, seed = fit.seed, epoch = epoch, enhance = fit.enhance, augment = fit.augment,
        balanced = fit.balanced,
        mean = fit.mean, std = fit.std, skip = state.step, device = fit.device, threads = fit.threads,
        size = fit.size, idle = coroutine.yield,
    }) do
        if fit.profile then follow_profile(fit) end
        local before = core.now()
        clock.loading = clock.loading + before - asked
        local count = y.shape[1]
        local value = train_step(fit, x, y, indices)
        x:free()
        state.step, state.seen = state.step + 1, state.seen + count
        state.loss_sum = state.loss_sum + value * count
        images = images + count
        clock.training, clock.steps = clock.training + core.now() - before, clock.steps + 1
        fit.progress:step {
            epoch = epoch, epochs = fit.epochs, batch = state.step, batches = steps,
            loss = state.loss_sum / state.seen, rate = images / (core.now() - started),
            left = time_left(fit, steps, state.step),
        }
        coroutine.yield()
        asked = core.now()
    end
    if fit.session then show_profile(fit) end
    return images / math.max(core.now() - started, 1e-9)
end

local function warn_unless(fit, ok, message)
    if ok then return end
    fit.save_problem = message
    fit.progress:message("[WARN] could not save: " .. message)
end

-- Writes last.safetensors; `fit.saved` says which moment is in it.
local function save_state(fit)
    local ok, message = run.save_state(fit)
    if ok then fit.saved = ("after epoch %d, step %d"):format(fit.state.epoch, fit.state.step) end
    warn_unless(fit, ok, message)
end

local function better(found, best)
    if not best then return true end
    local auc, best_auc = found.auc or 0, best.auc or 0
    return auc > best_auc or auc == best_auc and found.loss < best.loss
end

-- Validates, logs and saves after an epoch.
local function finish_epoch(fit, images_per_second, started)
    local state, clock = fit.state, fit.clock
    local before = core.now()
    local found = validate(fit)
    clock.validating, clock.validations = clock.validating + core.now() - before, clock.validations + 1
    local is_best = better(found, state.best)
    local loss = state.loss_sum / state.seen
    state.epoch, state.step, state.seen, state.loss_sum = state.epoch + 1, 0, 0, 0.0
    state.threshold, state.calibration = found.threshold, found.calibration
    state.metrics = {loss = loss, val_loss = found.loss, val_accuracy = found.accuracy, val_auc = found.auc}
    if is_best then
        state.best = {epoch = state.epoch, loss = found.loss, auc = found.auc, accuracy = found.accuracy,
            threshold = found.threshold}
        warn_unless(fit, run.save_model(fit, "best.safetensors"))
    end
    save_state(fit)
    local row = {
        epoch = state.epoch, epochs = fit.epochs, loss = loss, val_loss = found.loss, val_accuracy = found.accuracy,
        val_auc = found.auc, threshold = found.threshold, learning_rate = fit.optimizer.groups[1].lr,
        images_per_second = images_per_second, seconds = core.now() - started, is_best = is_best,
    }
    warn_unless(fit, run.write_log(fit, row))
    fit.progress:epoch(row)
end

-- ---- the whole run --------------------------------------------------------------------------------------------

local DEFAULTS <const> = {
    batch = 32, seed = 1, mean = 0.5, std = 0.25, augment = false, balanced = false, metadata = {},
}
local REQUIRED <const> = {"net", "optimizer", "loss", "train", "val", "epochs", "out"}

local function prepare(options)
    local fit = {
        state = {epoch = 0, step = 0, seen = 0, loss_sum = 0.0},
        clock = {loading = 0, training = 0, steps = 0, validating = 0, validations = 0},
        progress = console(),
    }
    for key, value in pairs(DEFAULTS) do fit[key] = value end
    for key, value in pairs(options) do fit[key] = value end
    for _, name in ipairs(REQUIRED) do
        if fit[name] == nil then error(("fit: option '%s' is missing"):format(name), 3) end
    end
    fit.device = device_of(fit.net)
    prepare_step(fit)
    if #fit.train == 0 or #fit.val == 0 then error("fit: the training and validation sets need images", 3) end
    return fit
end

local function make_folder(path)
    local so_far = path:sub(1, 1) == "/" and "/" or ""
    for part in path:gmatch("[^/]+") do
        so_far = so_far .. part
        local ok, message = lfs.mkdir(so_far)
        if not ok and lfs.attributes(so_far, "mode") ~= "directory" then
            return nil, ("cannot make the folder %s: %s"):format(so_far, message), "io"
        end
        so_far = so_far .. "/"
    end
    return true
end

-- Runs until the last epoch, yielding after every step and every epoch.
local function run_all(fit)
    while fit.state.epoch < fit.epochs do
        local started = core.now()
        finish_epoch(fit, run_epoch(fit), started)
        coroutine.yield()
    end
end

-- Ctrl-C reaches the lua program as an error in its main coroutine. The work is done in another one, so that it can
-- only strike between two steps, when weights, optimiser and random state belong together.
local function drive(fit)
    local work = coroutine.create(run_all)
    -- what waits in the coroutine is ended with it: the threads that read images
    local _ <close> = setmetatable({}, {__close = function() coroutine.close(work) end})
    repeat
        local ok, problem = coroutine.resume(work, fit)
        if not ok then error(type(problem) == "string" and debug.traceback(work, problem) or problem, 0) end
    until coroutine.status(work) == "dead"
end

-- What there is to go on with after a failure, in words. What the weights were is saved if it can still be read.
local function describe_rest(fit)
    local rest = fit.saved and ("%s/last.safetensors holds the run %s, go on with resume"):format(fit.out, fit.saved)
        or "no epoch was done, so there is nothing to go on with"
    if fit.state.epoch == 0 and fit.state.step == 0 then return rest end
    local read, saved = pcall(run.save_model, fit, "rescued.safetensors")
    if not read or not saved then return rest end
    return ("%s; the weights at the failure are in %s/rescued.safetensors"):format(rest, fit.out)
end

-- What a run ends with after an error that is not the programmer's: nil, message, code. Others go on.
local function give_up(fit, problem)
    if type(problem) == "table" and problem.luxel then return nil, problem.luxel, "diverged" end
    local code, text = core.error_code(tostring(problem))
    if fit.session then fit.session:abandon() end
    if not code or code == "argument" then error(problem, 0) end
    return nil, ("epoch %d, step %d: %s\n%s"):format(fit.state.epoch + 1, fit.state.step + 1, text,
        describe_rest(fit)), code
end

--- Trains, validating and saving after every epoch into the folder `out`: best.safetensors (largest validation AUC),
--- last.safetensors (with all that `resume` needs) and log.csv. Ctrl-C ends it with a usable last.safetensors.
---
--- It computes on the device of the network's parameters, and moves the batches there.
---
--- If the device fails or has no memory left, last.safetensors stays as it was after the last epoch, and the weights of
--- the moment go to rescued.safetensors if they can still be read.
---
--- The threshold (Youden's) and the calibration of the probabilities are chosen on the validation set and stored.
---@param options {net: Module, optimizer: Optimizer, loss: fun(logits: Tensor, labels: Tensor): Tensor,
---  train: luxel.Dataset, val: luxel.Dataset, epochs: integer, out: string, scheduler: Scheduler?, batch: integer?,
---  seed: integer?, augment: boolean|table?, enhance: table?, balanced: boolean?, size: integer?, threads: integer?,
---  mean: number?, std: number?, clip: number?, metadata: table?, resume: boolean?, progress: luxel.Console?,
---  profile: string?, compile: boolean?}
---  augment, balanced, size, threads: as of `lx.data.batches`; enhance: steps without chance that every image goes
---  through, in training before the augmentation, and in validation;
---  compile: false calls network, loss and backward in each step instead of replaying what `lx.compile` recorded;
---  profile: file for a trace of a few steps after the first ones; what they spent their time on is shown too
---@return {best: table?, epoch: integer, interrupted: boolean, save_problem: string?}? result
---@return string? message, string? code
function train.fit(options)
    local fit = prepare(options)
    local ok, message, code = make_folder(fit.out)
    if not ok then return nil, message, code end
    if fit.resume then
        ok, message, code = run.resume(fit)
        if not ok then return nil, message, code end
        fit.saved = ("after epoch %d, step %d"):format(fit.state.epoch, fit.state.step)
        fit.progress:message("going on " .. fit.saved)
    end
    run.open_log(fit)
    local done, problem = pcall(drive, fit)
    local interrupted = not done and type(problem) == "string" and problem:find("interrupted!", 1, true) ~= nil
    if not done and not interrupted then return give_up(fit, problem) end
    if fit.session then show_profile(fit) end
    if interrupted then
        save_state(fit)
        local form = "interrupted at epoch %d, step %d; saved in %s/last.safetensors, go on with resume"
        fit.progress:message(form:format(fit.state.epoch + 1, fit.state.step, fit.out))
    end
    return {
        best = fit.state.best, epoch = fit.state.epoch, interrupted = interrupted, save_problem = fit.save_problem,
    }
end

return train
