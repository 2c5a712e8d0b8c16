--- Training: `fit` runs the epochs, `predict` gives logits or probabilities.
--
--     local result = lx.train.fit {
--         net = net, optimizer = optimizer, loss = loss, train = train_set, val = val_set,
--         epochs = 10, out = "runs/first",
--     }

local args = require "luxel.args"
local batch_size = require "luxel.batch_size"
local batches = require "luxel.data.loader"
local calibrations = require "luxel.calibration.methods"
local choice = require "luxel.train.choice"
local result_type = require "luxel.result"
local console = require "luxel.train.console"
local core = require "luxel.core"
local crop = require "luxel.data.crop"
local detection = require "luxel.train.detection"
local doubt = require "luxel.train.doubt"
local dro = require "luxel.train.dro"
local features = require "luxel.train.features"
local folds = require "luxel.train.folds"
local lx = require "luxel"
local make_folder = require "luxel.make_folder"
local namespace = require "luxel.namespace"
local pipeline = require "luxel.vision.pipeline"
local finder = require "luxel.train.find_lr"
local run = require "luxel.train.run"
local runs = require "luxel.train.runs"
local schema = require "luxel.schema"
local search = require "luxel.train.search"
local seeds = require "luxel.train.seeds"
local shift = require "luxel.train.shift"
local targets = require "luxel.train.targets"
local task = require "luxel.train.task"
local new_average = require "luxel.train.average"
local transfer = require "luxel.train.transfer"
local version = require "luxel.version"

local train = {
    console = console, cross_validate = folds.cross_validate, over_seeds = seeds.over_seeds, search = search.search,
    shift = shift.shift,
}

-- Where a network computes.
local function device_of(net)
    local first = net:parameters()[1]
    return first and first.device or "cpu"
end

-- The networks' forward passes as compiled functions.
local forwards = setmetatable({}, {__mode = "k"})

local function forward_of(net, options)
    if options.features then net = features.of(net) end
    if options.compile == false then return lx.nn.fuse(net) end
    if not forwards[net] then forwards[net] = lx.compile(lx.nn.fuse(net), {name = "predict"}) end
    return forwards[net]
end

-- The logits of the validation images, from their features where these are computed once.
local function validation_logits(fit, find, check)
    if not fit.probe then return find("fit", fit.net, fit.val, fit, check) end
    local out = transfer.outputs(fit)
    check(out)
    return task.rows("fit", fit.task, out, #fit.val)
end

local OWNED <const> = {__close = function(list)
    for _, tensor in ipairs(list) do tensor:free() end
end}

-- What counts of a network's results: the first, or all maps of a detector of several.
local function output_of(name, kind, net, results)
    local heads = task.kinds[kind].boxes and detection.heads(net)
    local count = heads and #heads or 1
    local maps = {}
    for i = 1, count do maps[i] = args.check(name .. ": net: its result", "tensor", results[i]) end
    return count == 1 and maps[1] or maps
end

-- Calls `use(out, y, indices, images)` with what the network gives for each batch of a dataset, in order, and the shape
-- of the batch.
local function each_output(name, net, dataset, options, use)
    local was_training, done = net.training, 0
    net:eval()
    lx.no_grad(function()
        local device = device_of(net)
        local batch = options.batch or batch_size(device, options.size or dataset.size or 1)
        local forward = forward_of(net, options)
        for x, y, indices in batches(dataset, {
            batch = batch, shuffle = false, mean = options.mean, std = options.std, device = device,
            threads = options.threads, size = options.size, enhance = options.enhance, idle = options.idle,
            augment = options.view or false, seed = 1, epoch = 1,
        }) do
            local results = {forward(x)}
            local out, shape = output_of(name, options.task or dataset.task, net, results), x.shape
            local _ <close> = setmetatable({table.unpack(detection.maps(out))}, OWNED)
            use(out, y, indices, shape, results[2])
            done = done + shape[1]
            x:free()
            if options.progress_of then options.progress_of(done, #dataset) end
        end
    end)
    if was_training then net:train() end
end

-- The logit, the row of logits, or the map of them, of every image of a dataset, in order; and the features, where they
-- are wanted.
local function find_logits(name, net, dataset, options, check)
    local logits, parts = {}, {}
    each_output(name, net, dataset, options, function(out, _, _, images, pooled)
        if check then check(out, images) end
        parts[#parts + 1] = pooled and pooled:to("cpu"):clone()
        local rows = task.rows(name, options.task or dataset.task, out, images[1])
        table.move(rows, 1, #rows, #logits + 1, logits)
    end)
    return logits, #parts > 0 and lx.cat(parts, 1) or nil
end

local TTA <const> = {flips = true, shift = 0.02}

-- The views of an image whose logits are averaged: as it is and moved four ways, and all of it mirrored. A map is
-- mirrored back, and would have to be moved back by parts of pixels: of those there are no moved views.
local function views_of(tta, maps)
    local opts, views = tta == true and {} or tta, {}
    if maps and (opts.shift or 0) > 0 then
        args.fail("predict: options: option 'tta': this network gives maps, which are mirrored but not moved; leave "
            .. "out 'shift'")
    end
    opts = args.with_defaults(opts, {flips = TTA.flips, shift = maps and 0 or TTA.shift})
    local moves = {{0, 0}}
    if opts.shift > 0 then
        for _, way in ipairs {{1, 0}, {-1, 0}, {0, 1}, {0, -1}} do
            moves[#moves + 1] = {way[1] * opts.shift, way[2] * opts.shift}
        end
    end
    for mirrored = 0, opts.flips and 1 or 0 do
        for _, by in ipairs(moves) do
            views[#views + 1] = {
                mirrored = mirrored == 1,
                steps = {{"hflip", p = mirrored}, {"shift", {by[1], by[1]}, y = {by[2], by[2]}}},
            }
        end
    end
    return views
end

-- Adds a view's logits, rows or maps of them, to the sums of those before it.
local function add_logits(sums, logits)
    for i, logit in ipairs(logits) do
        if type(logit) == "table" then
            sums[i] = sums[i] or {}
            for k, value in ipairs(logit) do sums[i][k] = (sums[i][k] or 0) + value end
        else
            sums[i] = sums[i] and sums[i] + logit or logit
        end
    end
end

-- The mean of the logits of all views (test-time augmentation).
local function mean_logits(net, dataset, options)
    local maps = task.kinds[options.task or dataset.task].maps
    local own, sums = {}, {}
    for key, value in pairs(options) do own[key] = value end
    own.features = nil
    local views = views_of(options.tta, maps)
    for _, view in ipairs(views) do
        own.view = view.steps
        local logits = find_logits("predict", net, dataset, own)
        for i, map in ipairs(maps and view.mirrored and logits or {}) do logits[i] = map:flip(3) end
        add_logits(sums, logits)
    end
    for i, sum in ipairs(sums) do
        if type(sum) == "table" then
            for k, value in ipairs(sum) do sum[k] = value / #views end
        else
            sums[i] = sum / #views
        end
    end
    return sums
end

-- A number that is not finite, as people write it.
local function word_of(value) return value ~= value and "NaN" or value > 0 and "infinity" or "-infinity" end

-- The first number of a logit, a row or a map of them that is not finite.
local function bad_number(logit)
    if lx.is_tensor(logit) then
        local bad = core.binary("ne", core.binary("sub", logit, logit), 0)
        if core.item(core.reduce("max", core.cast(bad, "float32"))) == 0 then return nil end
        logit = core.to_table(core.reshape(logit, {-1}))
    end
    for _, value in ipairs(type(logit) == "table" and logit or {logit}) do
        local bad = value
        if lx.is_tensor(value) then bad = bad_number(value) or 0 end -- one of several maps
        if bad - bad ~= 0 then return bad end
    end
end

-- Which of the logits are no finite numbers, in words that name the images; nil if all are.
local function not_finite(logits, dataset)
    local first, others = nil, 0
    for i, logit in ipairs(logits) do
        if bad_number(logit) then
            if first then others = others + 1 else first = i end
        end
    end
    if not first then return nil end
    return ("the network gives %s for %s%s"):format(word_of(bad_number(logits[first])),
        dataset.paths[first] or "image " .. first,
        others > 0 and (" and no finite numbers for %d others"):format(others) or "")
end

-- What images are brought to before a network sees them, unless that is said: what its weights were trained with where
-- they come from elsewhere (luxel.Pretrained).
local function input_of(caller, options, net)
    local learnt = type(net) == "table" and net.pretrained
    if type(learnt) ~= "table" or learnt.mean == nil then return {mean = 0.5, std = 0.25} end
    if type(learnt.mean) == "table" and not (options and options.mean and options.std) then
        args.fail("%s: net: its weights want a mean and a deviation for each channel (net.pretrained), and images are "
            .. "normalised by one for all; say 'mean' and 'std', or build it with channels = 1", caller)
    end
    return {mean = learnt.mean, std = learnt.std}
end

--- The logit of every image of a dataset, in order, without augmentation, computed where the network is; a row of them
--- where the network gives several, a map of them [1,S,S] where it tells pixels, the map that boxes are read from of a
--- detector, or a list of its maps. One that is not finite is an error that names the image.
---@param net Module
---@param dataset luxel.Dataset
---@param options {batch: integer?, mean: number?, std: number?, compile: boolean?, size: integer?, threads:
---  integer?, enhance: table?, probabilities: boolean?, task: string?, calibration: table|false|nil, features:
---  boolean?, tta: boolean|{flips: boolean?, shift: number?}|nil, idle: function?}? batch: images at a time, default
---  32, on processors fewer where they are large; mean 0.5 and std 0.25 by default, or what pretrained weights want
---  (`net.pretrained`), as of `fit`; compile: false calls the network each time instead of replaying what
---  `lx.compile` recorded; size and threads: as of `lx.data.batches`; enhance: steps that each image goes through,
---  as in training but without chance; probabilities: instead of logits, calibrated by `calibration` (as of a
---  model's metadata) where there is one: by sigmoids, or of the task "classes" by softmax; task: default that of
---  the dataset; features: also what a classifier of `lx.models` makes of the images before its head, each channel's
---  mean over the map, and what the pictures are like by themselves (a thumbnail, and the detail at three scales);
---  tta: the mean of the logits of several views (test-time augmentation): mirrored or not (flips, default true: for
---  networks that learned from mirrored images), and each as it is and moved by this share of the sides in four ways
---  (shift, default 0.02); maps are mirrored alone, and back
---@return number[]|number[][]|Tensor[]|Tensor[][] logits, Tensor? features float32 [N,C] on the cpu, of the images as
---  they are
function train.predict(net, dataset, options)
    local opts = args.with_defaults(options, input_of("predict", options, net))
    if opts.enhance then pipeline.check_first("predict: options: option 'enhance'", opts.enhance) end
    if opts.features and not features.has(net) then
        args.fail("predict: options: option 'features': they are those of a classifier of lx.models, and the network "
            .. "is %s", args.describe(net))
    end
    if task.kinds[opts.task or dataset.task].boxes and (opts.tta or opts.probabilities) then
        args.fail("predict: options: option '%s': the network gives maps that boxes are read from; see "
            .. "lx.vision.boxes.decode_region", opts.tta and "tta" or "probabilities")
    end
    local logits, pooled
    if opts.features or not opts.tta then logits, pooled = find_logits("predict", net, dataset, opts) end
    if opts.tta then logits = mean_logits(net, dataset, opts) end
    local mistake = not_finite(logits, dataset)
    if mistake then core.raise("result", "predict: " .. mistake .. "; its weights or the images are damaged") end
    if not opts.probabilities then return logits, pooled end
    local kind = opts.task or dataset.task
    local several = type(logits[1]) == "table"
    if #logits > 0 and not task.kinds[kind].maps and several ~= (kind ~= "binary") then
        args.fail("predict: options: option 'task': the network gives %s for each image, which is not of the task "
            .. "'%s'; say "
            .. "which one it is", several and #logits[1] .. " logits" or "one logit", kind)
    end
    for i, logit in ipairs(logits) do logits[i] = task.kinds[kind].probabilities(logit, opts.calibration or nil) end
    return logits, pooled
end

-- Ends a run that goes nowhere: `fit` returns this with the code "diverged".
local function diverge(...) error({luxel = (...):format(select(2, ...))}, 0) end

-- Targets for the loss, of all validation images.
local function targets_of(fit, labels)
    if fit.task == "labels" then return core.from_table(labels, "float32", fit.device) end
    local out = {}
    for i, label in ipairs(labels) do out[i] = fit.task == "classes" and label + 1 or {label} end
    return core.from_table(out, "float32", fit.device)
end

local function logits_tensor(fit, logits)
    local out = core.from_table(logits, "float32", fit.device)
    return fit.task == "binary" and out:view {#logits, 1} or out
end

local ENDS <const> = {Sigmoid = true, Softmax = true}

-- The last layer of chains of layers, where its result is no logit.
local function final_squash(net)
    while net.class_name == "Sequential" and #net > 0 do net = net[#net] end
    return ENDS[net.class_name] and net.class_name
end

-- Whether the logits fill the range from 0 to 1 and nothing beside it, as probabilities do. Those of a network that has
-- hardly learnt are all close to one another, and may lie in there as well.
local function look_like_probabilities(logits)
    local least, most = math.huge, -math.huge
    for _, logit in ipairs(logits) do
        for _, value in ipairs(type(logit) == "table" and logit or {logit}) do
            least, most = math.min(least, value), math.max(most, value)
        end
    end
    return least >= 0 and least < 0.2 and most <= 1 and most > 0.8
end

local function warn_of_probabilities(fit, logits)
    local squash = final_squash(fit.net)
    if squash or look_like_probabilities(logits) then
        fit.progress:message(("[WARN] the network gives numbers from 0 to 1 only; fit takes them for logits: leave out "
            .. "%s at its end"):format(squash and "nn." .. squash or "a sigmoid or softmax"))
    end
end

-- Ends a run that gives no finite numbers for some validation images.
local function check_logits(fit, logits, dataset)
    local mistake = not_finite(logits, dataset)
    if mistake then
        diverge("after epoch %d %s; the learning rate (%g) is probably too high; lower it, or clip gradients",
            fit.state.epoch + 1, mistake, fit.optimizer.groups[1].lr)
    end
end

-- The loss on the validation images, which ends the run where it is no number.
local function check_loss(fit, loss)
    if loss - loss ~= 0 then
        diverge("the loss on the validation images became %s after epoch %d", word_of(loss), fit.state.epoch + 1)
    end
    return loss
end

-- Loss and overlap with the masks, batch by batch: maps of many images may be more than memory has.
local function validate_maps(fit)
    local kind, compared, sum, images = task.kinds[fit.task], {}, 0, 0
    local labels = core.to_table(fit.val.labels)
    each_output("fit", fit.net, fit.val, fit, function(out, y, indices, shape)
        task.check_outputs("fit", fit.val, out, shape)
        local known, maps = 0, kind.probabilities(out)
        for i, index in ipairs(core.to_table(indices)) do
            if labels[index] == labels[index] then
                known = known + 1
                check_logits(fit, {out:select(1, i)}, {paths = {fit.val.paths[index]}})
                compared[#compared + 1] = task.compare(maps:select(1, i), y:select(1, i))
            end
        end
        if known > 0 then sum, images = sum + known * fit.loss(out, y):item(), images + known end
    end)
    local found = kind.judge(compared)
    found.loss = check_loss(fit, sum / images)
    found.calibration = false
    found.chosen = {threshold = found.chosen, calibration = "none", images = images}
    return found
end

-- Loss and boxes, batch by batch, and how these agree with those that are known.
local function validate_boxes(fit)
    local kind, found, sum, images = task.kinds[fit.task], {}, 0, 0
    local labels = core.to_table(fit.val.labels)
    each_output("fit", fit.net, fit.val, fit, function(out, y, indices, shape)
        task.check_outputs("fit", fit.val, out, shape)
        local known, sizes, places = 0, {}, core.to_table(indices)
        for i, index in ipairs(places) do
            known = known + (labels[index] == labels[index] and 1 or 0)
            for _, map in ipairs(detection.maps(out)) do
                check_logits(fit, {map:select(1, i)}, {paths = {fit.val.paths[index]}})
            end
            sizes[i] = {fit.val:extent(index)}
        end
        for i, list in ipairs(detection.find(fit.net, out, sizes)) do found[places[i]] = list end
        if known > 0 then sum, images = sum + known * fit.loss(out, y):item(), images + known end
    end)
    local figures = kind.judge(found, fit.val, fit.choice)
    figures.loss = check_loss(fit, sum / images)
    figures.calibration = false
    figures.chosen = {threshold = figures.chosen, calibration = "none", images = images}
    return figures
end

-- How sure and how right: loss, accuracy at the chosen threshold, AUC; and the threshold and calibration themselves.
local function validate_scores(fit)
    local logits = validation_logits(fit, find_logits, function(...) task.check_outputs("fit", fit.val, ...) end)
    check_logits(fit, logits, fit.val)
    if fit.state.epoch == 0 then warn_of_probabilities(fit, logits) end
    local kind, labels = task.kinds[fit.task], core.to_table(fit.val.labels)
    local method, of = fit.choice.calibration, fit.calibrate_on or {logits = logits, labels = labels}
    local fitted = method ~= "none" and kind.fit(of.logits, of.labels, method)
    local function probabilities_of(rows)
        local out = {}
        for i, row in ipairs(rows) do out[i] = kind.probabilities(row, fitted or nil) end
        return out
    end
    local found = kind.judge(probabilities_of(logits), labels, fit.choice, fit.calibrate_on and {
        probabilities = probabilities_of(of.logits), labels = of.labels,
    })
    found.loss = check_loss(fit, lx.no_grad(function()
        return fit.loss(logits_tensor(fit, logits), targets_of(fit, labels)):item()
    end))
    found.calibration = fitted
    found.chosen = {
        threshold = found.chosen, images = #of.labels, of = fit.calibrate_on and (of.words or "other images") or nil,
        calibration = fitted and calibrations.by_name[method].words .. (fit.task == "labels" and " of each label"
            or "") or "none",
    }
    return found
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
    diverge("the loss became %s at epoch %d, step %d; %s", word_of(value), fit.state.epoch + 1, fit.state.step + 1,
        cause)
end

-- ---- one step -------------------------------------------------------------------------------------------------

-- The two halves of a step, compiled unless an option says otherwise. Of several batches that make one step, each has a
-- share of the loss, and the first forgets the gradients of the step before.
local function prepare_step(fit)
    local net = fit.head or lx.nn.fuse(fit.net)
    local function outputs(x)
        local out = output_of("fit", fit.task, fit.net, {net(x)})
        task.check_outputs("fit", fit.train, out, x.shape)
        return out
    end
    local function add_gradients(x, y, share)
        local out = outputs(x)
        local found, parts = fit.loss(out, y)
        local loss = args.check("fit: options: option 'loss': its result", "tensor", found)
        if not fit.parts then parts = nil end -- a compiled function gives tensors alone
        local part = share == 1 and loss or loss * share
        part:backward()
        return loss, parts
    end
    function fit.find_gradients(x, y)
        fit.optimizer:zero_grad()
        return add_gradients(x, y, 1)
    end
    function fit.begin_gradients(x, y, share)
        fit.optimizer:zero_grad()
        return add_gradients(x, y, share)
    end
    fit.add_gradients = add_gradients
    function fit.find_worst(x, y, cells, weights)
        fit.optimizer:zero_grad()
        local loss, after = dro.loss(fit, outputs(x), y, cells, weights)
        loss:backward()
        return loss, after
    end
    function fit.update()
        if fit.clip then lx.optim.clip_grad_norm_(fit.optimizer.parameters, fit.clip) end
        fit.optimizer:step()
        if fit.scheduler and fit.per == "step" then fit.scheduler:step() end
    end
    -- the host has a part in the loss of boxes, between the two passes of the network, whose gradients are new tensors
    -- in each step then
    if fit.compile == false or task.kinds[fit.task].boxes then return end
    for _, name in ipairs {"find_gradients", "begin_gradients", "add_gradients", "find_worst"} do
        fit[name] = lx.compile(fit[name], {name = "fit"})
    end
    if fit.clip then fit.update = lx.compile(fit.update, {name = "fit, the update"}) end
end

-- Reading the loss is the only wait for the device. It comes as late as the weights can still be kept from a loss that
-- is no number: the device has the backward pass to do meanwhile, and then the optimiser's step while Lua assembles the
-- next batch.
-- `first`, `last`: of the batches that make a step together, `of` in number. Returns the loss, and its parts where the
-- task has some.
local function train_step(fit, x, y, indices, first, last, of)
    local found, weights, parts
    if fit.worst then
        found, weights = fit.find_worst(x, y, dro.cells(fit, indices), fit.worst.weights)
    elseif of == 1 then
        found, parts = fit.find_gradients(x, y)
    else
        found, parts = (first and fit.begin_gradients or fit.add_gradients)(x, y, 1 / of)
    end
    local loss <close> = found
    local value = loss:item()
    if value - value ~= 0 then fail_not_finite(fit, value, x, indices) end
    if not last then return value, parts end
    if weights then core.copy_(fit.worst.weights, weights) end
    fit.update()
    if fit.average then fit.average:after_step() end
    return value, parts
end

-- Notes and says what could not be saved, and why.
local function warn_unless(fit, ok, message)
    if ok then return true end
    fit.save_problem = message
    fit.progress:message("[WARN] could not save: " .. message)
    return false
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
    if warn_unless(fit, report:save_trace(path)) then
        fit.progress:message("trace of these training steps in " .. path)
    end
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

-- Tells a callback, which ends the run by returning "stop".
local function tell(fit, name, event)
    local callback = fit.callbacks and fit.callbacks[name]
    if not callback then return end
    local answer = callback(event)
    if answer == "stop" then
        fit.stopped = true
    elseif answer ~= nil then
        args.fail("fit: options: option 'callbacks': '%s' should return \"stop\" or nothing, got %s", name,
            args.describe(answer))
    end
end

-- How many batches an epoch has.
local function steps_of(fit)
    if fit.drop_last then return #fit.train // fit.batch end
    return math.ceil(#fit.train / fit.batch)
end

-- The batches of an epoch, without the first ones.
local function feed(fit, epoch, skip, idle)
    return batches(fit.train, {
        batch = fit.batch, seed = fit.seed, epoch = epoch, enhance = fit.enhance, augment = fit.augment,
        balanced = fit.balanced, balance = fit.balance, drop_last = fit.drop_last, mean = fit.mean, std = fit.std,
        skip = skip, device = fit.device, threads = fit.threads, size = not fit.sizes and fit.size or nil,
        sizes = fit.sizes, idle = idle,
    })
end

-- The images and targets of a batch as the step takes them.
local function step_input(fit, x, y, indices, epoch, number)
    if fit.probe then
        x:free()
        x = transfer.batch(fit, indices)
    end
    return targets.of(fit, x, y, epoch, number)
end

-- Adds the parts of a loss to their sums, where the task has some.
local function add_parts(fit, sums, parts, count)
    for _, name in ipairs(fit.parts or {}) do
        sums[name] = (sums[name] or 0.0) + (parts and parts[name] or 0.0) * count
    end
end

-- The state counts batches that became steps of the optimiser; those that wait for others of theirs are counted apart,
-- since their gradients are not saved.
local function run_epoch(fit)
    local state, clock = fit.state, fit.clock
    local epoch, steps = state.epoch + 1, steps_of(fit)
    transfer.begin_epoch(fit, epoch)
    fit.net:train()
    local started, images = core.now(), 0
    local asked = started
    local waiting, waiting_parts = {step = 0, seen = 0, loss_sum = 0.0}, {}
    fit.random = table.pack(core.random_state())
    for x, y, indices in feed(fit, epoch, state.step, coroutine.yield) do
        if fit.profile then follow_profile(fit) end
        local before = core.now()
        clock.loading = clock.loading + before - asked
        local count, begun = y.shape[1], state.step
        local of = math.min(fit.accumulate, steps - begun)
        local last = waiting.step + 1 == of
        x, y = step_input(fit, x, y, indices, epoch, state.step + waiting.step)
        local value, parts = train_step(fit, x, y, indices, waiting.step == 0, last, of)
        add_parts(fit, waiting_parts, parts, count)
        x:free()
        waiting.step, waiting.seen = waiting.step + 1, waiting.seen + count
        waiting.loss_sum = waiting.loss_sum + value * count
        images = images + count
        clock.training, clock.steps = clock.training + core.now() - before, clock.steps + 1
        local step = {
            epoch = epoch, epochs = fit.epochs, batch = state.step + waiting.step, batches = steps,
            loss = (state.loss_sum + waiting.loss_sum) / (state.seen + waiting.seen),
            rate = images / (core.now() - started), left = time_left(fit, steps, state.step + waiting.step),
        }
        if last then
            for name, value_of in pairs(waiting) do state[name], waiting[name] = state[name] + value_of, 0 end
            state.parts = fit.parts and (state.parts or {}) or nil
            add_parts(fit, state.parts, waiting_parts, 1)
            waiting_parts = {}
            fit.random = table.pack(core.random_state())
        end
        fit.progress:step(step)
        if last then tell(fit, "step", step) end
        coroutine.yield()
        if fit.stopped then break end
        asked = core.now()
    end
    fit.random = nil
    if fit.session then show_profile(fit) end
    return images / math.max(core.now() - started, 1e-9)
end

-- The moment that last.safetensors holds, in words; nil if it holds none.
local function saved_moment(fit)
    local epoch, step = run.moment_in_file(fit)
    return epoch and ("after epoch %d, step %d"):format(epoch, step)
end

-- The figure of which the best epoch has the largest, besides those of its task; nil where it is not defined.
local BY <const> = {
    loss = function(found) return -found.loss end, last = function(found) return found.epoch end,
}

-- The option `best` as a function.
local function judge_by(fit)
    local best, figures = fit.best, task.kinds[fit.task].figures
    if type(best) == "function" then return best end
    if best == nil then best = figures[1] end
    if BY[best] then return BY[best] end
    for _, name in ipairs(figures) do
        if name == best then return function(found) return found[name] end end
    end
    args.fail("fit: options: option 'best': the task '%s' has no '%s'; it has %s, loss and last", fit.task, best,
        table.concat(figures, ", "))
end

-- Calls `f` while the network has the weights that are judged and kept.
local function with_judged_weights(fit, f, ...)
    if not fit.average then return f(...) end
    local list = table.pack(...)
    return fit.average:within(function() return f(table.unpack(list, 1, list.n)) end)
end

-- Takes note of a best epoch, if its model is in the file: `state.best` is what best.safetensors holds.
local function save_best(fit, found)
    if not warn_unless(fit, with_judged_weights(fit, run.save_model, fit, "best.safetensors")) then return false end
    local state = fit.state
    state.best = {
        epoch = state.epoch, loss = found.loss,
        threshold = type(found.threshold) == "number" and found.threshold or nil, value = found.value,
    }
    for _, name in ipairs(task.kinds[fit.task].figures) do state.best[name] = found[name] end
    return true
end

-- The largest value, and of equal ones the smallest loss; where it is not defined, the loss alone.
local function better(found, best)
    if not best then return true end
    local value, best_value = found.value or -math.huge, best.value or -math.huge
    return value > best_value or value == best_value and found.loss < best.loss
end

-- Validates, logs and saves after an epoch.
local function finish_epoch(fit, images_per_second, started)
    local state, clock = fit.state, fit.clock
    local before = core.now()
    local kind = task.kinds[fit.task]
    if fit.average then fit.average:after_epoch(fit, state.epoch + 1) end
    local validate = kind.maps and validate_maps or kind.boxes and validate_boxes or validate_scores
    local found = with_judged_weights(fit, validate, fit)
    found.epoch = state.epoch + 1
    clock.validating, clock.validations = clock.validating + core.now() - before, clock.validations + 1
    found.value = args.check("fit: options: option 'best': its result", "number?", fit.judge_by(found))
    local loss, rate = state.loss_sum / state.seen, fit.optimizer.groups[1].lr
    local parts = {}
    for name, sum in pairs(state.parts or {}) do parts[name] = sum / state.seen end
    state.parts = nil
    state.epoch, state.step, state.seen, state.loss_sum = state.epoch + 1, 0, 0, 0.0
    state.threshold, state.calibration, state.chosen = found.threshold, found.calibration, found.chosen
    state.metrics = {loss = loss, val_loss = found.loss, best_by = found.value}
    for _, name in ipairs(kind.figures) do state.metrics["val_" .. name] = found[name] end
    if fit.scheduler and fit.per == "epoch" then fit.scheduler:step() end
    if fit.scheduler and fit.per == "metric" then
        fit.scheduler:step(fit.scheduler.options.mode == "max" and (found.value or -found.loss) or found.loss)
    end
    local is_best = better(found, state.best) and save_best(fit, found)
    state.waited = is_best and 0 or state.waited + 1
    warn_unless(fit, run.save_state(fit))
    local row = {
        epoch = state.epoch, epochs = fit.epochs, loss = loss, val_loss = found.loss,
        threshold = type(found.threshold) == "number" and found.threshold or nil,
        learning_rate = rate, images_per_second = images_per_second, seconds = core.now() - started, is_best = is_best,
    }
    for _, name in ipairs(kind.figures) do row["val_" .. name] = found[name] end
    for name, value in pairs(parts) do row["loss_" .. name] = value end
    warn_unless(fit, run.write_log(fit, row))
    fit.progress:epoch(row)
    if fit.worst then fit.progress:message(dro.describe(fit)) end
    tell(fit, "epoch", row)
end

-- ---- doubt ----------------------------------------------------------------------------------------------------

-- At most so many images of a dataset, evenly chosen.
local function some_of(dataset, most)
    if #dataset <= most then return dataset end
    local places = {}
    for i = 1, most do places[i] = 1 + (i - 1) * (#dataset - 1) // (most - 1) end
    return dataset:subset(places)
end

-- The network with other weights, until what it returns is closed.
local function with_weights(net, weights)
    local own = {}
    for name, tensor in pairs(net:state_dict()) do own[name] = tensor:detach():clone() end
    net:load_state_dict(weights)
    return setmetatable({}, {__close = function() net:load_state_dict(own) end})
end

-- Logits, labels and features of images, of near misses by steps that change them.
local function look_at(fit, dataset, steps)
    local options = {
        batch = fit.batch, mean = fit.mean, std = fit.std, threads = fit.threads, size = fit.size,
        compile = fit.compile, features = true, idle = coroutine.yield,
    }
    if steps then
        local all = table.move(steps, 1, #steps, 1, {})
        if fit.enhance then
            local enhance = pipeline.steps_of(fit.enhance)
            table.move(enhance, 1, #enhance, #all + 1, all)
        end
        options.view = all
    else
        options.enhance = fit.enhance
    end
    local logits, pooled = find_logits("fit", fit.net, dataset, options)
    return {logits = logits, labels = core.to_table(dataset.labels), features = pooled}
end

-- Adds to the file of the best model what its answers are doubted by.
local function add_doubt(fit)
    if doubt.obstacle(fit, features.has(fit.net)) or not fit.state.best then return end
    local path = fit.out .. "/best.safetensors"
    local tensors, metadata = lx.checkpoint.load(path)
    if not tensors or not metadata.threshold or metadata.epoch ~= fit.state.best.epoch then return end
    local size = fit.size or fit.train.size
    local fitted
    do
        local _ <close> = with_weights(fit.net, tensors)
        local validation = look_at(fit, fit.val)
        local training = look_at(fit, some_of(fit.train, doubt.TRAINING)).features
        if fit.task == "labels" then
            fitted = doubt.fit_labels(#metadata.classes, validation, training, fit.calibrate_on)
        else
            local near, few = {}, some_of(fit.val, doubt.NEAR)
            for i, steps in ipairs(doubt.near_misses(size)) do near[i] = look_at(fit, few, steps) end
            fitted = doubt.fit(metadata, validation, training, near, fit.calibrate_on)
        end
    end
    metadata.doubt = fitted
    warn_unless(fit, lx.checkpoint.save(path, tensors, metadata))
end

-- ---- the whole run --------------------------------------------------------------------------------------------

local DEFAULTS <const> = {
    batch = 32, seed = 1, augment = false, balanced = false, metadata = {}, accumulate = 1,
    drop_last = false, freeze_statistics = "parts", probe = false,
}

-- The datasets belong together.
local function check_datasets(fit)
    for _, name in ipairs {"train", "val"} do
        if #fit[name] == 0 then args.fail("fit: options: option '%s': a dataset without images", name) end
    end
    local train_set, val_set = fit.train, fit.val
    if train_set.task ~= val_set.task or #train_set.classes ~= #val_set.classes then
        args.fail("fit: options: option 'val': it has the task '%s' of %d classes, and the training images have "
            .. "'%s' of %d",
            val_set.task, #val_set.classes, train_set.task, #train_set.classes)
    end
    crop.check("fit: options: option 'val'", val_set, train_set.crop)
    for k, name in ipairs(train_set.classes) do
        if val_set.classes[k] ~= name then
            args.fail("fit: options: option 'val': its class %d is %s, and that of the training images %s", k,
                val_set.classes[k], name)
        end
    end
    if fit.drop_last and #train_set < fit.batch then
        args.fail("fit: options: option 'drop_last': %d images do not make a batch of %d", #train_set, fit.batch)
    end
end

local function has_norm(net, pattern)
    for _, module in net:named_modules() do
        if tostring(module.class_name):find(pattern) then return true end
    end
    return false
end

-- How many patients of the second list are in the first one too, and how many it has.
local function shared_patients(first, second)
    local known, counted, shared, count = {}, {}, 0, 0
    for _, patient in ipairs(first) do known[patient] = true end
    for _, patient in ipairs(second) do
        if not counted[patient] then
            counted[patient], count = true, count + 1
            if known[patient] then shared = shared + 1 end
        end
    end
    return shared, count
end

-- Warns, before a run begins, of figures that it cannot give or that would be too good.
local function warn_of_data(fit)
    local function warn(format, ...) fit.progress:message(("[WARN] " .. format):format(...)) end
    if fit.train == fit.val then
        warn("the validation images are the training images: every figure is too good")
    elseif fit.train.groups and fit.val.groups then
        local shared, count = shared_patients(fit.train.groups, fit.val.groups)
        if shared > 0 then
            warn("%d of the %d patients of the validation images are called as some of the training images: if they "
                .. "are the same, every figure is too good", shared, count)
        end
    end
    for name, set in pairs {["training images"] = fit.train, ["validation images"] = fit.val} do
        local counts, missing = set:counts()
        local there, known = {}, 0
        local word = set.task == "segmentation" and "mask" or set.task == "detection" and "box" or "label"
        for k, count in ipairs(counts) do
            known = known + count
            if count > 0 then there[#there + 1] = set.classes[k] end
        end
        local exclusive = set.task == "binary" or set.task == "classes"
        if set.task ~= "labels" and known == 0 then
            args.fail("fit: options: option '%s': no image has a %s", name == "training images" and "train" or "val",
                word)
        elseif exclusive and #there == 1 then
            warn(name == "training images" and "the %s are all of the class %s: there is nothing to tell apart"
                or "the %s are all of the class %s: there is no AUC, and no threshold or calibration can be chosen",
                    name,
                there[1])
        elseif set.task == "labels" and #there < #set.classes then
            local absent = {}
            for k, count in ipairs(counts) do absent[#absent + 1] = count == 0 and set.classes[k] or nil end
            warn("no image of the %s has %s: there is no AUC of them", name, table.concat(absent, ", "))
        end
        if missing > 0 and set.task == "detection" then
            warn("of %d of the %s it is not known whether they have boxes: they count for nothing", missing, name)
        elseif missing > 0 then
            warn("%d of the %s have no %s, and count for nothing", missing, name, word)
        end
        local top = set.images and set.images.dtype == "float32" and set.images:max():item()
        if top and top <= 1 then
            warn("the %s are on a scale of 0 to 255, and no value is above %g: those of 0 to 1 have to be multiplied "
                .. "by 255", name, top)
        end
    end
    if #fit.train % fit.batch == 1 and not fit.drop_last and has_norm(fit.net, "^BatchNorm") then
        local text = "the last batch of an epoch has one image, of which batch normalisation %s; drop_last = true "
            .. "leaves it out"
        if has_norm(fit.net, "^BatchNorm1d$") then args.fail("fit: options: option 'batch': " .. text,
            "can tell nothing") end
        warn(text, "can tell little")
    end
end

-- An optimiser of another network, or of parameters that are frozen, would leave this one as it is.
local function check_optimizer(fit)
    local parameters, own, trainable, frozen = rawget(fit.optimizer, "parameters"), {}, 0, false
    for _, parameter in ipairs(fit.net:parameters()) do
        own[parameter] = true
        if parameter.requires_grad then trainable = trainable + 1 end
    end
    if next(own) and trainable == 0 then
        args.fail("fit: options: option 'net': all its parameters are frozen (none requires a gradient), and nothing "
            .. "is left to train; call requires_grad_() on the network or on the layers that are to learn")
    end
    if type(parameters) ~= "table" then return end
    for _, parameter in ipairs(parameters) do
        if own[parameter] and parameter.requires_grad then return end
        frozen = frozen or own[parameter] ~= nil
    end
    if frozen then
        args.fail("fit: options: option 'optimizer': the parameters of the network that it has are all frozen (none "
            .. "requires a gradient); give it those that are to learn, or call requires_grad_() on them")
    end
    args.fail("fit: options: option 'optimizer': none of its parameters is one of the network's; make it of "
        .. "net:parameters()")
end

-- Logits and labels of other images that are chosen on.
local function check_calibrate_on(fit)
    local of = fit.calibrate_on
    local where, count = "fit: options: option 'calibrate_on': ", {[0] = 0, [1] = 0}
    if fit.task ~= "binary" and fit.task ~= "labels" then
        args.fail(where .. "it is for two classes and for labels, and the task is '%s'", fit.task)
    end
    if #of.logits ~= #of.labels then
        args.fail(where .. "expected a label for each of the %d logits, got %d", #of.logits, #of.labels)
    end
    if of.unfamiliar and #of.unfamiliar ~= #of.logits then
        args.fail(where .. "unfamiliar: expected a number for each of the %d logits, got %d", #of.logits,
            #of.unfamiliar)
    end
    local function add(label, i)
        if count[label] then
            count[label] = count[label] + 1
        elseif label == label then
            args.fail(where .. "labels: expected 0, 1 or NaN (missing), got %s at place %d", tostring(label), i)
        end
    end
    local type_of, width = fit.task == "binary" and "number" or "number[]", #fit.train.classes
    for i, label in ipairs(of.labels) do
        for _, name in ipairs {"logits", "labels"} do
            args.check(("%s%s: place %d"):format(where, name, i), type_of, of[name][i])
            if fit.task == "labels" and #of[name][i] ~= width then
                args.fail(where .. "%s: expected %d numbers at place %d, one for each label, got %d", name, width, i,
                    #of[name][i])
            end
        end
        if fit.task == "binary" then add(label, i) end
        for _, one in ipairs(fit.task == "labels" and label or {}) do add(one, i) end
    end
    if count[0] == 0 or count[1] == 0 then args.fail(where .. "it has images of one class alone") end
end

local function check_swa(fit)
    if fit.ema then
        args.fail("fit: options: option 'swa': there can be one average of the weights; leave out 'ema'")
    elseif fit.swa > fit.epochs then
        args.fail("fit: options: option 'swa': epoch %d is after the last one, %d", fit.swa, fit.epochs)
    elseif fit.probe then
        args.fail("fit: options: option 'swa': with 'probe' the last layer learns alone; leave one out")
    end
end

local function prepare(options)
    local fit = {
        state = {epoch = 0, step = 0, seen = 0, loss_sum = 0.0, waited = 0},
        clock = {loading = 0, training = 0, steps = 0, validating = 0, validations = 0},
        progress = console(),
    }
    for key, value in pairs(DEFAULTS) do fit[key] = value end
    for key, value in pairs(input_of("fit", options, options.net)) do fit[key] = value end
    for key, value in pairs(options) do fit[key] = value end
    if fit.augment and fit.augment ~= true then pipeline.check("fit: options: option 'augment'", fit.augment) end
    if fit.enhance then pipeline.check_first("fit: options: option 'enhance'", fit.enhance) end
    check_datasets(fit)
    transfer.prepare(fit)
    targets.prepare(fit)
    if fit.swa then check_swa(fit) end
    check_optimizer(fit)
    fit.task = fit.train.task
    local option, words = choice.mistake(fit.task, fit.calibration, fit.threshold)
    if option then args.fail("fit: options: option '%s': %s", option, words) end
    if fit.calibrate_on then check_calibrate_on(fit) end
    fit.choice = choice.of(fit.task, fit.calibration, fit.threshold)
    local kind = task.kinds[fit.task]
    if kind.boxes then detection.check_network("fit: options: option 'net'", fit.net) end
    fit.parts = not fit.loss and kind.parts or nil
    if fit.region and (fit.loss or not kind.boxes) then
        args.fail("fit: options: option 'region': it is of the usual loss of boxes, and %s", fit.loss
            and "'loss' is another one" or ("the task is '%s'"):format(fit.task))
    end
    fit.loss = fit.loss or kind.loss_of and kind.loss_of(fit.net, fit.region) or kind.loss
    if fit.patience and fit.best == "last" then
        args.fail("fit: options: option 'patience': it waits for a better epoch, and with best = \"last\" each one is; "
            .. "leave one out")
    end
    fit.judge_by = judge_by(fit)
    fit.per = fit.scheduler and (fit.scheduler.unit or "step")
    local fits, mistake = schema.check(run.describe(fit))
    if not fits then args.fail("fit: options: option 'metadata': %s", mistake) end
    fit.device = device_of(fit.net)
    dro.prepare(fit)
    fit.average = (fit.ema or fit.swa) and new_average(fit.net, {decay = fit.ema, from = fit.swa}) or nil
    fit.recipe = run.recipe_of(fit)
    prepare_step(fit)
    return fit
end

-- Runs until the last epoch, yielding after every step and every epoch.
local function run_all(fit)
    local function is_over()
        return fit.stopped or fit.state.epoch >= math.min(fit.epochs, fit.halt or fit.epochs)
            or fit.patience and fit.state.waited >= fit.patience
    end
    while not is_over() do
        local started = core.now()
        finish_epoch(fit, run_epoch(fit), started)
        coroutine.yield()
    end
    if fit.patience and fit.state.waited >= fit.patience and fit.state.epoch < fit.epochs then
        fit.progress:message(("ended after epoch %d: no better epoch for %d"):format(fit.state.epoch, fit.patience))
    end
    if fit.average then fit.average:keep() end
    add_doubt(fit)
end

-- Whether an error says where it was raised. Those that the library raises do not, in a coroutine that has no line of
-- the user's: they get that of the call of `fit`.
local function has_place(failure) return type(failure) == "string" and failure:find("^[^\n]-:%d+: ") ~= nil end

-- Ctrl-C reaches the lua program as an error in its main coroutine. The work is done in another one, so that it can
-- only strike between two steps, when weights, optimiser and random state belong together.
local function drive(fit)
    local work = coroutine.create(run_all)
    -- what waits in the coroutine is ended with it: the threads that read images
    local _ <close> = setmetatable({}, {__close = function() coroutine.close(work) end})
    repeat
        local ok, failure = coroutine.resume(work, fit)
        if not ok then error(has_place(failure) and debug.traceback(work, failure) or failure, 0) end
    until coroutine.status(work) == "dead"
end

-- What a failed run can go on with, in words. The weights of the moment are saved if they can still be read.
local function describe_rest(fit)
    local saved = saved_moment(fit)
    local rest = saved and ("%s/last.safetensors holds the run %s, go on with resume"):format(fit.out, saved)
        or "no epoch was saved, so there is nothing to go on with"
    if fit.state.epoch == 0 and fit.state.step == 0 then return rest end
    local read, rescued = pcall(run.save_model, fit, "rescued.safetensors")
    if not read or not rescued then return rest end
    return ("%s; the weights at the failure are in %s/rescued.safetensors"):format(rest, fit.out)
end

-- The results of a run that an error of the world ends: nil, message, code. The programmer's errors go on.
local function give_up(fit, failure)
    if type(failure) == "table" and failure.luxel then return nil, failure.luxel, "diverged" end
    local code, text = core.error_code(tostring(failure))
    if fit.session then fit.session:abandon() end
    if not code or code == "argument" then
        if type(failure) == "string" and not has_place(failure) then args.fail("%s", failure) end
        error(failure, 0)
    end
    return nil, ("epoch %d, step %d: %s\n%s"):format(fit.state.epoch + 1, fit.state.step + 1, text,
        describe_rest(fit)), code
end

-- The best epoch, if its model is in the folder in the end.
local function confirmed_best(fit)
    local best, found = fit.state.best, fit.state.best and run.best_in_file(fit)
    if found and found.epoch == best.epoch and found.loss == best.loss then return best end
    if best then
        warn_unless(fit, nil, ("%s/best.safetensors no longer holds the model of epoch %d"):format(fit.out, best.epoch))
    end
end

local new_result = result_type("training", {"best", "epoch", "interrupted", "save_problem"}, function(self)
    local words, best = {("training: %d epochs"):format(self.epoch)}, self.best
    if best then
        words[2] = ("the best is epoch %d, validation loss %.4f, %s"):format(best.epoch, best.loss, best.dice
            and ("Dice %.4f"):format(best.dice) or best.ap50 and ("AP50 %.4f"):format(best.ap50)
            or "AUC " .. (best.auc and ("%.4f"):format(best.auc) or "n/a"))
    end
    if self.interrupted then words[#words + 1] = "interrupted" end
    if self.save_problem then words[#words + 1] = "could not save: " .. self.save_problem end
    return table.concat(words, "; ")
end)

-- Where a run begins: in an empty folder, in one whose run it goes on with, or in one whose run it replaces.
local function begin(fit)
    local ok, message, code = make_folder(fit.out)
    if not ok then return nil, message, code end
    fit.lock, message, code = core.lock_folder(fit.out)
    if not fit.lock then return nil, message, code end
    if fit.resume then
        ok, message, code = run.resume(fit)
        if not ok then return nil, message, code end
        -- what is in the file counts; a process that ended between the two files left the best of an epoch that will
        -- be done again, and be the best again
        local found = run.best_in_file(fit)
        if not found or found.epoch <= fit.state.epoch then fit.state.best = found end
        fit.progress:message(("going on after epoch %d, step %d"):format(fit.state.epoch, fit.state.step))
    elseif not fit.overwrite and run.exists(fit) then
        return nil, ("%s holds a run already: resume = true goes on with it, overwrite = true replaces it"):format(
            fit.out),
            "exists"
    else
        run.clear(fit)
    end
    return run.open_log(fit)
end

--- Trains, validating and saving after every epoch into the folder `out`: best.safetensors (largest validation AUC or
--- Dice),
--- last.safetensors (with all that `resume` needs), log.csv, and an event file of the same curves for TensorBoard.
--- Ctrl-C ends it with a usable last.safetensors.
---
--- It computes on the device of the network's parameters, and moves the batches there.
---
--- The task is that of the datasets: of two classes the network gives one logit, of several classes or labels one for
--- each, of a segmentation a map of logits as large as the images, of a detection the map of a region layer (a network
--- with `anchors`, such as `lx.models.yolo_lite`) or the maps of yolo layers (`lx.models.yolov3_tiny`; `loss` has a
--- list of them), whose loss the log has by its parts. Thresholds and the calibration of the probabilities are chosen
--- on the validation set and stored, with how that was done.
---
--- If the device fails or has no memory left, last.safetensors stays as it was after the last epoch, and the weights of
--- the moment go to rescued.safetensors if they can still be read.
---@param options {net: Module, optimizer: Optimizer, train: luxel.Dataset, val: luxel.Dataset, epochs: integer,
---  out: string, loss: (fun(logits: Tensor, labels: Tensor): Tensor)?, scheduler: Scheduler?, batch: integer?, seed:
---  integer?, augment: boolean|table?, enhance: table?, balanced: boolean?, size: integer?, threads: integer?,
---  drop_last: boolean?, mean: number?, std: number?, clip: number?, accumulate: integer?, ema: number?, best:
---  "auc"|"accuracy"|"dice"|"iou"|"ap50"|"froc"|"loss"|"last"|(fun(found: table): number?)|nil, patience: integer?,
---  halt: integer?, callbacks: {step: function?, epoch: function?}?, metadata: table?, resume: boolean?, overwrite:
---  boolean?, freeze: string|string[]|nil, unfreeze: table<integer, string|string[]>?, freeze_statistics:
---  "parts"|"all"|"none"|nil, probe: boolean?, keep_features: table?, swa: integer?, balance: {groups: any[], most:
---  integer?}?, dro: {groups: any[], step: number?, adjustment: number?}?, label_smoothing: number?, mixup: number?,
---  cutmix: number?, mosaic: number?, sizes: integer[]?, calibration:
---  "platt"|"temperature"|"isotonic"|"beta"|"none"|nil, threshold: "youden"|number|{sensitivity: number?,
---  specificity: number?, cost: number?, prevalence: number?, false_marks: number?}|nil, calibrate_on: {logits:
---  number[]|number[][], labels: number[]|number[][], unfamiliar: number[]?, words: string?}?, progress:
---  luxel.Console?, region: table?, profile: string?, compile: boolean?} loss: default binary cross-entropy of
---  logits, of many classes cross-entropy, of masks binary cross-entropy plus the Dice loss, both over the images
---  that have one, of boxes `F.region_loss` or the sum of `F.yolo_loss` over the maps, with the options `region`
---  (thresh is `ignore` there); mean, std: what is subtracted from images of 0 to 1, and then divided by; default
---  what pretrained weights want (`net.pretrained`), or 0.5 and 0.25; augment, balanced, balance, size, threads,
---  drop_last: as of `lx.data.batches`; enhance: steps without chance that every image goes through, in training
---  before the augmentation, and in validation; accumulate: so many batches make one step of the optimiser, as if
---  they were one; ema: decay of an average of the weights over the steps (0.999, say), which is what is validated
---  and kept as the best; swa: the first of the epochs whose last weights are averaged instead (stochastic weight
---  averaging), with statistics of batch normalisation computed anew after each; it wants a learning rate that stays
---  up; best: what the best epoch has the largest (of "loss" the smallest) of, default "auc", "dice" or "ap50",
---  "last" for the last epoch whatever it is like, or a function of {loss, epoch, accuracy, auc, dice, iou, ap50,
---  froc, ...}; patience: ends the run after so many epochs without a better one; halt: ends this part of the run
---  after that epoch, to be gone on with by `resume`; freeze: patterns as of `Module:freeze`, of what does not
---  learn; unfreeze: what of it learns from the beginning of which epoch on, {[3] = "blocks.6", [5] = "*"}, of
---  parameters that the optimiser has; freeze_statistics: which batch normalisation keeps its running statistics and
---  normalises by them: that of frozen "parts" (the default), "all" or "none"; probe: all but the last layer, a
---  Linear, is frozen, and its inputs are computed once for each image (without dropout), which makes an epoch
---  quick; not with augment; keep_features: a table in which these inputs are kept, for later runs with the same
---  weights on some of the same images, folds for example; dro: group distributionally robust optimisation (Sagawa
---  et al. 2020): each group's images of each class count by a weight that grows with their loss; groups: the group
---  of each training image; step: of the weights, default 0.01; adjustment: over the square root of its number of
---  images is added to the loss of each, default 0; `loss` has to count targets that are NaN for nothing;
---  label_smoothing: this share of every label goes to all answers alike; mixup, cutmix: images are mixed with
---  others of their batch (`lx.data.mixup`, `lx.data.cutmix`), with this alpha; with both, each batch by one of
---  them; mosaic: so large a share of images with boxes is put together of four (`lx.data.mosaic`); sizes: of
---  detectors, those of training images instead of `size`, which validation keeps: as of `lx.data.batches`. With the
---  first three the targets of many classes are shares [B,K], which the loss has to take as `F.cross_entropy` does;
---  calibration: as of `lx.calibration.fit`, default "platt"; of many classes "temperature" or "none"; threshold:
---  "youden" (the default), a number, or the one at a sensitivity, a specificity, or the least cost, where a miss
---  costs as much as `cost` false alarms; of two classes and of each label; of boxes the score with at most so many
---  false_marks an image, default 0.25, or a number; calibrate_on: logits and labels of the images that calibration,
---  threshold and conformal limits of two classes or of labels (rows of them) are fitted to instead of the
---  validation images, such as `left_out` of `lx.train.shift`, which are more like those of another hospital, and in
---  words what they are; unfamiliar: as of `Predictor:logits`, of two classes, by which it is chosen how much that
---  counts for doubt; callbacks: called with what the console shows after each step and each epoch; "stop" as the
---  result ends the run; scheduler: steps after each step of the optimiser, each epoch or each validation, as its
---  kind wants (`unit`); resume, overwrite: what to do with a run that `out` holds already; metadata: more to keep
---  in the model's file; with {model = "resnet18", size = 64}, name and size of a network of `lx.models`,
---  `lx.predictor` and `luxel predict` can answer with it; `network` are other options that it was built with, such
---  as {width = 16} of unet, and `classes` the words of answers, default those of the datasets; compile: false calls
---  network, loss and backward in each step instead of replaying what `lx.compile` recorded; profile: file for a
---  trace of a few steps after the first ones; what they spent their time on is shown too
---@return {best: table?, epoch: integer, interrupted: boolean, save_problem: string?}? result best: the epoch whose
---  model is in best.safetensors, nil if there is none; save_problem: what could not be saved, and why
---@return string? message, string? code "io", "format", "busy" (another run writes into `out`), "exists", "diverged",
---  "device" or "memory"
function train.fit(options)
    local fit = prepare(options)
    local ok, message, code = begin(fit)
    local lock <close> = fit.lock or nil -- luacheck: ignore
    if not ok then return nil, message, code end
    warn_of_data(fit)
    local done, failure = pcall(drive, fit)
    local interrupted = not done and type(failure) == "string" and failure:find("interrupted!", 1, true) ~= nil
    if not done and not interrupted then return give_up(fit, failure) end
    if fit.session then show_profile(fit) end
    if fit.profile then fit.progress:message("[WARN] no trace: there were too few training steps") end
    if interrupted then
        local format = "interrupted at epoch %d, step %d; "
        format = format .. (warn_unless(fit, run.save_state(fit)) and "saved in %s/last.safetensors, go on with resume"
            or "this moment could not be saved in %s")
        fit.progress:message(format:format(fit.state.epoch + 1, fit.state.step, fit.out))
    end
    local best = confirmed_best(fit)
    return new_result {
        best = best, epoch = fit.state.epoch, interrupted = interrupted, save_problem = fit.save_problem,
    }
end

--- Writes a network's weights without anything to predict with, for networks to begin with: what `pretrained` of
--- `lx.models` and `luxel train --pretrained` take, with what the weights want as input. For networks that learned
--- something else than the task, by themselves for example.
---@param path string
---@param net Module a network of `lx.models` with one output, which need not have learnt anything
---@param options {model: string, size: integer, mean: number?, std: number?, seed: integer?} model: its name; size:
---  side of the images that it learned from, in pixels; mean, std: what was subtracted from images of 0 to 1, and what
---  they were then divided by, default 0.5 and 0.25; seed: default 0
---@return boolean? ok, string? message, string? code
function train.save_weights(path, net, options)
    local opts = args.with_defaults(options, {mean = 0.5, std = 0.25, seed = 0})
    local metadata = {
        schema = schema.VERSION, version = version, task = "binary", model = opts.model, size = opts.size,
        input = {channels = 1, low = 0, high = 1}, normalisation = {mean = opts.mean, std = opts.std}, seed = opts.seed,
        epoch = 0, pretrained = net.pretrained,
    }
    local fits, mistake = schema.check(metadata)
    if not fits then args.fail("save_weights: options: %s", mistake) end
    return lx.checkpoint.save(path, net:state_dict(), metadata)
end

local function has_methods(names)
    return function(value)
        for _, name in ipairs(names) do
            local ok, method = pcall(function() return value[name] end) -- strict tables raise for what they lack
            if not ok or type(method) ~= "function" then return false end
        end
        return true
    end
end

args.type("fitted_by", "an optimizer", "table", has_methods {"step", "zero_grad", "state_dict"})
args.type("scheduled_by", "a scheduler", "table", has_methods {"step", "state_dict"})
args.type("shown_by", "a console, or what has its methods message, step and epoch", "table",
    has_methods {"message", "step", "epoch"})

-- The options of both for how images become batches.
local FEEDING <const> = "batch: integer(1..65536)?, size: integer(1..4096)?, threads: integer(0..64)?, mean: finite?, "
    .. "std: number(1e-6..1e6)?, enhance: table?, compile: boolean?"

args.type("ema", "a number from 0 to below 1", "number", function(value) return value >= 0 and value < 1 end)
args.type("share", "a number above 0 and below 1", "number", function(value) return value > 0 and value < 1 end)

local FIT <const> = "net: module, optimizer: fitted_by, loss: function?, train: dataset, val: dataset, "
    .. "epochs: integer(1..), out: path, " .. FEEDING .. ", scheduler: scheduled_by?, seed: integer?, "
    .. "augment: boolean|table?, balanced: boolean?, balance: {groups: table, most: integer(1..)?}?, "
    .. "dro: {groups: table, step: positive?, adjustment: finite(0..)?}?, drop_last: boolean?, clip: positive?, "
    .. "accumulate: integer(1..65536)?, ema: ema?, swa: integer(1..)?, "
    .. "region: {object_scale: finite(0..)?, noobject_scale: finite(0..)?, class_scale: finite(0..)?, "
    .. "coord_scale: finite(0..)?, thresh: number(0..1)?, rescore: boolean?, bias_match: boolean?, "
    .. "by_size: boolean?}?, "
    .. "best: \"auc\"|\"accuracy\"|\"dice\"|\"iou\"|\"ap50\"|\"froc\"|\"loss\"|\"last\"|function?, "
    .. "freeze: text|text[]?, unfreeze: table?, freeze_statistics: \"parts\"|\"all\"|\"none\"?, probe: boolean?, "
    .. "keep_features: table?, "
    .. "label_smoothing: share?, mixup: number(1e-3..1e3)?, cutmix: number(1e-3..1e3)?, mosaic: number(0..1)?, "
    .. "sizes: integer(1..4096)[]?, "
    .. "calibration: " .. choice.CALIBRATION .. "?, threshold: " .. choice.THRESHOLD .. "?, "
    .. "calibrate_on: {logits: finite[]|table[], labels: number[]|table[], unfamiliar: finite(0..)[]?, "
    .. "words: text?}?, "
    .. "patience: integer(1..)?, halt: integer(1..)?, callbacks: {step: function?, epoch: function?}?, "
    .. "metadata: table?, "
    .. "resume: boolean?, overwrite: boolean?, progress: shown_by?, profile: path?"

args.publish("", train, {
    predict = "net: module, dataset: dataset, options: {" .. FEEDING .. ", probabilities: boolean?, "
        .. "task: " .. task.TYPE .. "?, calibration: table|false?, features: boolean?, idle: function?, "
        .. "tta: boolean|{flips: boolean?, shift: number(0..0.5)?}?, "
        .. "progress_of: function?}?",
    save_weights = "path: path, net: module, options: {model: text, size: integer(1..4096), mean: finite?, "
        .. "std: number(1e-6..1e6)?, seed: integer?}",
    fit = "options: {" .. FIT .. "}",
})
train.find_lr = finder.declared(FIT)
runs.fit = train.fit
finder.engine = {prepare = prepare, feed = feed, input = step_input, step = train_step, has_place = has_place}

return namespace("lx.train", train)
