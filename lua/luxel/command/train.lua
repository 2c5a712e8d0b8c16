--- `luxel train`: learns to tell infected from normal chest radiographs, or any classes or labels of one's own.
--
--     luxel train --data DIR --out runs/first
--     luxel train --data labels.csv --path image --root images --labels Effusion,Mass --out runs/findings
--     luxel train --data images/ --masks masks/ --model unet --size 256 --out runs/lungs
--
-- With --folds it trains as many networks, each without a part of the patients, and says how good they are on these.
--
-- DIR holds NORMAL/ and PNEUMONIA/ (or any class folders), with or without train/, val/, test/ above them. Images below
-- test/ are never looked at here. Without --data it learns from drawn phantoms.

local choice = require "luxel.train.choice"
local judge_folds = require "luxel.command.folds"
local lx = require "luxel"
local options = require "luxel.command.options"
local recipes = require "luxel.command.recipes"
local run = require "luxel.train.run"
local shortcuts = require "luxel.data.shortcuts"

-- A quarter of the paper's width: enough for one organ, and a sixteenth of the work.
local UNET <const> = "width=16,batch_norm=true"

local command = {summary = "Learns to tell infected from normal chest radiographs, or what masks show."}

--- Adds the options of the command.
function command.options(parser)
    parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/ or other class folders, or a CSV file (default: drawn "
        .. "phantoms).")
    options.add_data(parser)
    local networks = lx.models.names("classifier")
    for _, name in ipairs(lx.models.names("segmentation")) do networks[#networks + 1] = name end
    parser:option("--recipe", "What the options below are where they are not said: standard (EfficientNet-Lite0 from "
        .. "ImageNet's weights, looks of other hospitals, calibrated on styles of films left out), or quick (a small "
        .. "network from nothing, for a first look); default: standard for labelled --data."):choices {
        "standard", "quick",
    }
    parser:option("--model", "Network; those of masks: " .. table.concat(lx.models.names("segmentation"), ", ") .. ".")
        :choices(networks)
    parser:option("--network", "Options of the network: NAME=VALUE,... (default of unet: " .. UNET .. ")")
    parser:option("--pretrained --weights", "File of weights to begin with, of torch.save or safetensors; the last "
        .. "layer begins anew.")
    parser:option("--source", "Where these weights come from, where the file does not tell.")
    options.add_size(parser, "Side to which images are resized, in pixels (default: that of the recipe).")
    parser:option("--crop", "What of each film the network sees: the part with both lungs, found without a model, or "
        .. "all (none) (default: that of the recipe)."):choices {"lungs", "none"}
    options.add_number(parser, "--epochs", "Times to go through the images (default: that of the recipe).", nil, 1,
        100000, true)
    options.add_number(parser, "--batch", "Images in one step.", 32, 1, 4096, true)
    options.add_number(parser, "--accumulate", "Batches that make one step together, where memory is short.", 1, 1,
        4096, true)
    options.add_number(parser, "--lr", "Largest learning rate (default: that of the recipe).", nil, 1e-9, 1e3)
    options.add_number(parser, "--lr-decay", "The last layer learns at --lr, the one before at this share of it, and "
        .. "so on: pretrained layers are better changed little (default: that of the recipe).", nil, 0.01, 1)
    parser:option("--freeze", "Parts of the network that do not learn, by patterns of names such as 'blocks.[0-3]', "
        .. "'*' for all; '!classifier' takes out of those before it. Their batch normalisation keeps its statistics.")
        :args("+")
    parser:option("--unfreeze", "EPOCH:PATTERN, of what --freeze holds and learns from that epoch on: 3:blocks.6 5:*")
        :args("+"):convert(function(text)
            local epoch, pattern = text:match("^(%d+):(.+)$")
            if epoch then return {epoch = math.tointeger(epoch), pattern = pattern} end
            return nil, ("--unfreeze: expected EPOCH:PATTERN, as in '3:blocks.6', got '%s'"):format(text)
        end)
    parser:option("--statistics", "Whose batch normalisation keeps its statistics instead of learning them: that of "
        .. "frozen parts, all, or none."):choices({"parts", "all", "none"}):default "parts"
    parser:flag("--probe", "Only the last layer learns, from features that are computed once: quick; wants --augment "
        .. "none.")
    options.add_number(parser, "--swa", "First of the epochs over whose ends the weights are averaged, which is judged "
        .. "and kept; until then the learning rate falls to a quarter, and stays there; 0: none.", 0, 0, 100000, true)
    options.add_number(parser, "--label-smoothing", "Share of every label that goes to all answers alike; 0: none.", 0,
        0, 0.999)
    options.add_number(parser, "--mixup", "Alpha of images that are mixed with others of their batch (mixup); 0: none.",
        0, 0, 1000)
    options.add_number(parser, "--cutmix", "Alpha of images that get a rectangle of another one (CutMix); 0: none.", 0,
        0, 1000)
    parser:option("--balance", "What images of the training are drawn evenly of: classes, or styles of film and "
        .. "classes together; none: each comes once an epoch."):choices({"none", "classes", "styles"}):default "none"
    parser:flag("--dro", "Styles of film whose loss is large weigh more (group distributionally robust optimisation).")
    parser:option("--best", "What the best epoch has the best of (default: auc, of masks dice; with --folds last)."
        ):choices {
        "auc", "accuracy", "dice", "iou", "loss", "last",
    }
    parser:option("--calibration", "How logits become probabilities, fitted on the validation images (default: platt, "
        .. "of three or more classes temperature)."):choices {"platt", "temperature", "isotonic", "beta", "none"}
    parser:option("--calibrate-on", "What both are fitted to: validation images, or the films of styles that networks "
        .. "trained in the same way have not seen, which takes four trainings more (default: that of the recipe)."
        ):choices {"styles", "validation"}
    parser:option("--threshold", "From which probability on an image is positive, chosen on the same images: "
        .. "youden (the default), a number, sensitivity=0.95, specificity=0.9, or cost=5, where a miss costs as much "
        .. "as 5 false alarms."):convert(function(text)
            local threshold, message = choice.parse(text)
            return threshold, message and "--threshold: " .. message
        end)
    options.add_number(parser, "--folds", "Trains so many times, each time without a part of the patients, and judges "
        .. "on these; 0: once, with --val.", 0, 0, 100, true)
    options.add_number(parser, "--seeds", "Trains so many times, with as many seeds from --seed on, and says how "
        .. "figures spread; the split stays.", 1, 1, 1000, true)
    parser:flag("--find-lr", "Trains a few steps with a rising learning rate, shows the loss and a rate to begin with, "
        .. "and writes nothing.")
    parser:flag("--tta", "With --folds, judges by the mean over mirrored (and of labels slightly moved) views.")
    parser:option("--ages", "Of the patients in years, YOUNGEST-OLDEST: the model's file says so, and `luxel predict` "
        .. "doubts answers for others, where a DICOM file tells the age."):convert(function(text)
            local low, high = text:match("^(%d+%.?%d*)%-(%d+%.?%d*)$")
            low, high = tonumber(low), tonumber(high)
            if low and low <= high and high <= 150 then return {low = low, high = high} end
            return nil, ("--ages: expected YOUNGEST-OLDEST in years, as in 1-5, got '%s'"):format(text)
        end)
    parser:option("--augment", "How training images vary: not, mirrored, also turned, moved and scaled, also in "
        .. "brightness and contrast, or instead in what differs between hospitals: levels, sharpness, markers, noise"
        .. " (default: that of the recipe)."):choices {"none", "flips", "full", "strong", "style"}
    parser:option("--cache", "File for the decoded images at twice the size, so that later runs begin at once, and "
        .. "images are resampled once (default: decoded in every run, kept in memory at the size).")
    parser:flag("--tune", "Measure first which variant of the kernels of each layer is the fastest on the device.")
    parser:option("--profile", "File for a trace of a few steps (chrome://tracing); shows what they spent their time "
        .. "on.")
    options.add_training(parser, "runs/chest_xray")
end

-- Whether the network is one for masks.
local function is_of_masks(name)
    for _, known in ipairs(lx.models.names("segmentation")) do
        if known == name then return true end
    end
    return false
end

--- Fills in what the recipe says, and ends the command where options contradict each other, or say nothing.
function command.check(args)
    local said = args.calibrate_on
    if args.crop == "lungs" and (not args.data or args.masks) then
        options.fail("--crop lungs is for labelled images in --data")
    end
    recipes.fill(args)
    if said == "styles" and (args.seeds > 1 or args.find_lr) then
        options.fail("--calibrate-on styles is not for --seeds and --find-lr: leave one out")
    end
    if args.source and not args.pretrained then
        options.fail("--source says where the weights of --pretrained come from, and there are none")
    end
    if args.unfreeze and not args.freeze then
        options.fail("--unfreeze lets parts learn that --freeze holds: say both")
    end
    if args.probe and (args.freeze or args.augment ~= "none") then
        options.fail(args.freeze and "--probe freezes all but the last layer: leave out --freeze"
            or "--probe computes the features of an image once: it wants --augment none")
    end
    if args.cache and not args.data then options.fail("--cache keeps the images of --data; phantoms are drawn anew") end
    options.check_size(args)
    options.check_training(args)
    if not args.data then options.check_without_data(args) end
    if args.masks and (args.balance ~= "none" or args.dro) then
        options.fail(("--%s is for labelled images, not for --masks"):format(args.dro and "dro" or "balance"))
    end
    if args.label and args.labels then options.fail("--label is for one class an image, --labels for several labels: "
        .. "say one") end
    if args.masks and (args.label or args.labels) then options.fail("--masks are learnt, or labels: say one") end
    if is_of_masks(args.model) ~= (args.masks ~= nil) and args.data then
        options.fail(args.masks and ("--masks want a network such as %s, not %s"):format(lx.models.names(
            "segmentation")[1], args.model) or ("--model %s learns masks: name their folder with --masks"):format(
            args.model))
    end
    local several = (args.folds > 0 and 1 or 0) + (args.seeds > 1 and 1 or 0) + (args.find_lr and 1 or 0)
    if several > 1 then options.fail("--folds, --seeds and --find-lr are different runs: say one") end
    if args.patience > 0 and (args.best or args.folds > 0 and "last") == "last" then
        options.fail(("--patience waits for a better epoch, and %s takes the last one: say what is better with --best"
            ):format(args.folds > 0 and "a run of --folds" or "--best last, which is usual for --recipe standard,"))
    end
    if args.tta and args.folds == 0 then options.fail("--tta is how networks of --folds are judged") end
    if args.folds == 1 then options.fail("--folds: at least 2, or 0 for none") end
end

-- Kaggle ships a val/ of 16 images: too few to choose a threshold on.
local VAL_ENOUGH <const> = 100

-- The images of frames that are parts of another one; with a cache there is one file for all of it.
local function load(args, whole, ...)
    local parts = {...}
    if not args.cache then
        for i, part in ipairs(parts) do
            parts[i] = options.load(part, args.size, args.strict, nil, recipes.crop_of(args))
        end
        return table.unpack(parts)
    end
    local dataset, places = options.load(whole, args.size, args.strict, args.cache, recipes.crop_of(args)), {}
    for i, path in ipairs(dataset.paths) do places[path] = i end
    for i, part in ipairs(parts) do
        local indices = {}
        for _, path in ipairs(part.path) do indices[#indices + 1] = places[path] end
        parts[i] = dataset:subset(indices)
    end
    return table.unpack(parts)
end

--- Images for folds: those that are for training or validation.
function command.read_whole(args)
    local frame = options.frame(args)
    recipes.check_weights(args)
    print(frame)
    frame = frame:filter(function(row) return row.part ~= "test" end)
    return (load(args, frame, frame))
end

-- What thaws when, as fit wants it.
local function stages_of(args)
    if not args.unfreeze then return nil end
    local stages = {}
    for _, stage in ipairs(args.unfreeze) do
        stages[stage.epoch] = stages[stage.epoch] or {}
        table.insert(stages[stage.epoch], stage.pattern)
    end
    return stages
end

-- What fit says of options that are the command line's.
local ON_THE_LINE <const> = {
    freeze = "--freeze", unfreeze = "--unfreeze", freeze_statistics = "--statistics", probe = "--probe",
    swa = "--swa", dro = "--dro", label_smoothing = "--label-smoothing", mixup = "--mixup", cutmix = "--cutmix",
    best = "--best", patience = "--patience",
}

--- Trains by one of the functions of lx.train; a mistake in what the line says of a run is the user's, and known when
--- network and images are there.
---@param f function
---@param all table its options
---@return table? result, string? message
function command.fit(f, all)
    local ok, result, message = pcall(f, all)
    if ok then return result, message end
    local option, problem = tostring(result):match("fit: options: option '([%w_]+)': (.*)$")
    if not ON_THE_LINE[option] then error(result, 0) end
    options.fail(ON_THE_LINE[option] .. ": " .. problem)
end

-- How many patients of the first frame are in the second one too.
local function shared_patients(first, second)
    local known, seen, count = {}, {}, 0
    for _, group in ipairs(second.group) do known[group] = true end
    for _, group in ipairs(first.group) do
        if known[group] and not seen[group] then seen[group], count = true, count + 1 end
    end
    return count
end

--- Frames of what is for training or validation, and of either, no patient in both: the data's own validation images
--- where these can be that.
---@param args table the options
---@param frame luxel.Frame
---@return luxel.Frame rest, luxel.Frame train, luxel.Frame val
function command.parts(args, frame)
    local own_val = frame:in_part("val")
    local rest = frame:filter(function(row) return row.part ~= "test" end)
    local others = rest:filter(function(row) return row.part ~= "val" end)
    local shared = shared_patients(own_val, others)
    if #own_val >= VAL_ENOUGH and shared == 0 and #others > 0 then return rest, others, own_val end
    if #own_val > 0 then
        print(("val/ has %s; validating on %.0f%% of the patients of train/ and val/ instead"):format(
            #own_val < VAL_ENOUGH and ("only %d images"):format(#own_val) or shared > 0
            and ("%d patients who have images in train/ too"):format(shared) or "all of the images", 100 * args.val))
    end
    local train, val = rest:split {val = args.val, seed = args.seed}
    if not train then options.fail(val) end
    return rest, train, val
end

-- Training and validation images, no patient in both.
local function read_data(args)
    local frame = options.frame(args)
    recipes.check_weights(args)
    print(frame)
    return load(args, command.parts(args, frame))
end

local function draw_phantoms(args)
    recipes.check_weights(args)
    print(("drawing %d phantoms"):format(args.phantoms))
    return lx.data.phantom {
        n = args.phantoms, size = args.size, seed = args.seed,
        task = is_of_masks(args.model) and "segmentation" or "binary",
    }
end

local function draw_data(args)
    local train, val = draw_phantoms(args):split {val = args.val, seed = args.seed}
    if not train then options.fail(val) end
    return train, val
end

-- "5 NORMAL, 7 INFECTED"
local function counts_in_words(counts, words)
    local list = {}
    for k, name in ipairs(words) do list[k] = ("%d %s"):format(counts[k], name) end
    return table.concat(list, ", ")
end

-- The rarer classes and labels weigh more, so that all count the same; the probabilities are calibrated afterwards.
-- Nothing does where the draw or the weights of groups see to that.
local function loss_of(args, train_set, device)
    if train_set.task == "segmentation" or args.dro or args.balance ~= "none" then return nil end
    local F, counts = lx.nn.functional, train_set:counts()
    if train_set.task == "classes" then
        local weights = {}
        for k, count in ipairs(counts) do weights[k] = #train_set / (#counts * math.max(1, count)) end
        local weight = lx.tensor(weights, {device = device})
        return function(logits, labels) return F.cross_entropy(logits, labels, {weight = weight}) end
    end
    local weights = {}
    if train_set.task == "binary" then
        weights = counts[1] / counts[2]
    else
        for k, column in ipairs(train_set.labels:t():totable()) do
            local known = 0
            for _, value in ipairs(column) do known = known + (value == value and 1 or 0) end
            weights[k] = math.max(1, known - counts[k]) / math.max(1, counts[k])
        end
        weights = lx.tensor(weights, {device = device})
    end
    return function(logits, labels)
        return F.binary_cross_entropy_with_logits(logits, labels, {pos_weight = weights})
    end
end

-- "width=16,batch_norm=true" as a table.
local function network_options(args)
    local text, out = args.network or is_of_masks(args.model) and UNET or "", {}
    for word in text:gmatch("[^,]+") do
        local name, value = word:match("^([%w_]+)=(.+)$")
        if not name then options.fail(("--network: expected NAME=VALUE, got '%s'"):format(word)) end
        local number = tonumber(value)
        if value == "true" or value == "false" then out[name] = value == "true"
        else out[name] = number and (math.tointeger(number) or number) or value end
    end
    return next(out) and out or nil
end

-- The network, with its first weights.
local function build(args, outputs)
    local all = {size = args.size, outputs = outputs}
    for name, value in pairs(network_options(args) or {}) do all[name] = value end
    if args.pretrained then all.pretrained, all.source, all.head = args.pretrained, args.source, "replace" end
    local ok, net, message = pcall(lx.models.build, args.model, all)
    if not ok then options.fail((tostring(net):gsub("^[^\n]-:%d+: ", ""))) end
    options.must(net, message)
    if not args.pretrained then return net end
    local about = net.pretrained
    local form = "; images are normalised by mean %.4g and standard deviation %.4g"
    print(("weights of %s%s; the last layer begins anew%s"):format(about.source,
        about.summed and ", the first convolution summed over its channels" or "",
        about.mean and form:format(about.mean, about.std) or ""))
    return net
end

-- The options of fit that say how much images of each style of film count.
local function weigh_styles(args, train_set)
    if args.balance == "classes" and train_set.task == "labels" then
        options.fail("--balance classes: an image has several labels here, and no class; say styles or none")
    end
    local by_style = args.balance == "styles" or args.dro
    local groups = by_style and {groups = recipes.styles_of(train_set).cluster} or nil
    return {
        balanced = args.balance == "classes", balance = args.balance == "styles" and groups or nil,
        dro = args.dro and groups or nil,
    }
end

-- On the command line 0 stands for what is not done.
local function above_zero(number) return number > 0 and number or nil end

--- The options of lx.train.fit.
---@param calibrate_on table? as of `fit`
function command.plan(args, device, train_set, val_set, calibrate_on)
    local words = options.words_of(train_set)
    local option, mistake = choice.mistake(train_set.task, args.calibration, args.threshold)
    if option then options.fail(("--%s: %s"):format(option, mistake)) end
    lx.manual_seed(args.seed)
    local net = build(args, train_set.task == "binary" and 1 or #words):to(device)
    local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = args.lr, decay = args.lr_decay}),
        {weight_decay = 0.01})
    -- averages of weights want a rate that keeps them moving
    local falling = args.swa > 0 and math.max(1, args.swa - 1) or args.epochs
    local steps = math.max(2, math.ceil(math.ceil(
        #train_set / args.batch) / args.accumulate) * falling) -- one to warm up
    local weights = weigh_styles(args, train_set)
    return {
        balanced = weights.balanced, balance = weights.balance, dro = weights.dro,
        net = net, optimizer = optimizer, loss = loss_of(args, train_set, device), train = train_set, val = val_set,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {
            warmup = math.max(1, steps // 20), total = steps, min_share = args.swa > 0 and 0.25 or 0,
        }),
        epochs = args.epochs, batch = args.batch, accumulate = args.accumulate, seed = args.seed,
        best = args.best or args.folds > 0 and "last" or nil,
        ema = above_zero(args.ema), swa = above_zero(args.swa), patience = above_zero(args.patience),
        label_smoothing = above_zero(args.label_smoothing), mixup = above_zero(args.mixup),
        cutmix = above_zero(args.cutmix),
        profile = args.profile, freeze = args.freeze, unfreeze = stages_of(args), freeze_statistics = args.statistics,
        probe = args.probe or false, calibration = args.calibration, threshold = args.threshold,
        calibrate_on = calibrate_on,
        enhance = args.enhance ~= "none" and {{args.enhance}} or nil,
        augment = args.augment ~= "none" and lx.vision.preset(args.augment),
        metadata = {
            model = args.model, network = network_options(args), size = args.size, classes = words,
            folders = train_set.classes, images = #train_set, ages = args.ages,
        },
    }
end

-- More images would not make the interval much smaller, only the wait longer.
local MOST_PROBED <const> = 6000

-- What `luxel audit` says of the border, of the images that are read anyway.
local function warn_of_border(train_set)
    if train_set.task == "segmentation" then return end
    local picked = {}
    for k = 1, math.min(#train_set, MOST_PROBED) do
        picked[k] = (k - 1) * #train_set // math.min(#train_set, MOST_PROBED) + 1
    end
    local some = #picked < #train_set and train_set:subset(picked) or train_set
    local probe = lx.data.border_probe(some, {resamples = 200})
    local warning = probe and shortcuts.warning_of_border(probe)
    if warning then io.stderr:write("[WARN] ", warning, " (luxel audit shows more)\n") end
end

local function check_counts(train_set)
    local words, counts = options.words_of(train_set), train_set:counts()
    for k, count in ipairs(counts) do
        if count == 0 and train_set.task ~= "labels" then
            options.fail(("no training image is of the class %s: it cannot be learnt"):format(words[k]))
        end
    end
    return words, counts
end

local function figures_of(best)
    if best.dice then return ("validation Dice %.4f, IoU %.4f"):format(best.dice, best.iou) end
    return ("validation AUC %s, accuracy %s%s"):format(best.auc and ("%.4f"):format(best.auc) or "n/a",
        best.accuracy and ("%.3f"):format(best.accuracy) or "n/a",
        best.threshold and (" at threshold %.3f"):format(best.threshold) or "")
end

--- The exit status of a run, whose end is told.
function command.status_of(result)
    if result.save_problem then io.stderr:write("error: not all of the run was saved: ", result.save_problem, "\n") end
    print(options.NOTICE)
    return result.interrupted and 130 or result.save_problem and 1 or 0
end

--- The losses as a line, and the page of the run. What fails here is no failure of the training.
---@param args {out: string}
function command.show_run(args)
    local file, losses = io.open(args.out .. "/log.csv"), {}
    for line in file and file:lines() or function() end do
        losses[#losses + 1] = tonumber(line:match("^%d+,([^,]+)"))
    end
    if file then file:close() end
    if #losses > 1 then
        print(("loss %s %.4f to %.4f"):format(lx.plot.spark(losses), losses[1], losses[#losses]))
    end
    local path, message = lx.report.run(args.out, {command = options.command_line()})
    if path then print("report in " .. path) else io.stderr:write("[WARN] no report: ", message, "\n") end
end

-- What calibration and threshold are fitted to besides the validation images; see recipes.calibrate_on.
local function left_out(args, device, train_set, out)
    return recipes.calibrate_on(args, train_set, out, function(train, val)
        return command.plan(args, device, train, val)
    end)
end

local function run_folds(args, device)
    local whole = args.data and command.read_whole(args) or draw_phantoms(args)
    check_counts(whole)
    warn_of_border(whole)
    local folds = options.must(whole:folds(args.folds, {seed = args.seed}))
    local result = options.must_fit(command.fit(lx.train.cross_validate, {
        folds = folds, out = args.out, resume = args.resume, overwrite = args.overwrite,
        fit = function(fold, k)
            local on, stopped = left_out(args, device, fold.train, ("%s/fold-%d"):format(args.out, k))
            return stopped or command.plan(args, device, fold.train, fold.val, on)
        end,
    }))
    if not result.interrupted and not result.save_problem then
        print(judge_folds(args, device, folds, result))
    end
    return command.status_of(result)
end

-- A run for each seed. What they share is the split.
local function run_seeds(args, device, train_set, val_set)
    local seeds = {}
    for k = 1, args.seeds do seeds[k] = args.seed + k - 1 end
    local result = options.must_fit(command.fit(lx.train.over_seeds, {
        seeds = seeds, out = args.out, resume = args.resume, overwrite = args.overwrite,
        fit = function(seed)
            return command.plan(setmetatable({seed = seed}, {__index = args}), device, train_set, val_set)
        end,
    }))
    if not result.interrupted and not result.save_problem then print(result) end
    return command.status_of(result)
end

--- Runs the command.
---@param args table the options
---@return integer status
function command.run(args)
    command.check(args)
    local device, device_words = options.device(args.device)
    print("computing on " .. device_words)
    if args.folds > 0 then return run_folds(args, device) end
    local train_set, val_set
    if args.data then train_set, val_set = read_data(args) else train_set, val_set = draw_data(args) end
    local words, counts = check_counts(train_set)
    print(("training on %d images (%s), validating on %d (%s)"):format(#train_set, counts_in_words(counts, words),
        #val_set,
        counts_in_words(val_set:counts(), words)))
    warn_of_border(train_set)
    if args.seeds > 1 then return run_seeds(args, device, train_set, val_set) end
    local on, stopped
    if not (args.resume or args.overwrite or args.find_lr) and run.exists {out = args.out} then
        options.fail(("%s holds a run already: --resume goes on with it, --overwrite replaces it"):format(args.out))
    end
    if not args.find_lr then on, stopped = left_out(args, device, train_set, args.out) end
    if stopped then return command.status_of(stopped) end
    local options_of_fit = command.plan(args, device, train_set, val_set, on)
    if args.find_lr then
        options_of_fit.out = args.out
        print((command.fit(lx.train.find_lr, options_of_fit)))
        return 0
    end
    if args.tune then print(lx.tune(options_of_fit.net, {args.batch, 1, args.size, args.size})) end
    options_of_fit.out, options_of_fit.overwrite = args.out, args.overwrite
    -- a run that ended while styles were left out has not begun yet
    options_of_fit.resume = args.resume and (not on or run.exists {out = args.out})
    local result = options.must_fit(command.fit(lx.train.fit, options_of_fit))
    local best = result.best
    if best then
        print(("best epoch %d: %s; model in %s/best.safetensors"):format(best.epoch, figures_of(best), args.out))
    elseif result.epoch > 0 then
        io.stderr:write("error: no model was saved: ", result.save_problem or "no epoch was the best", "\n")
    end
    if result.epoch > 0 and not result.save_problem then command.show_run(args) end
    return command.status_of(result)
end

return command
