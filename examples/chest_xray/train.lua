--- Learns to tell infected from normal chest radiographs.
--
--     lua5.4 train.lua --data DIR --out runs/first
--
-- DIR holds NORMAL/ and PNEUMONIA/ (or Normal/ and Infected/), with or without train/, val/, test/ above them. Images
-- below test/ are never looked at here. Without --data it learns from drawn phantoms.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local common = require "common"
local lx = require "luxel"

local parser = argparse("train.lua", "Learns to tell infected from normal chest radiographs.", common.NOTICE)
parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/ (default: drawn phantoms).")
parser:option("--model", "Network.", "cnn"):choices(common.model_names())
parser:option("--size", "Side to which images are resized, in pixels.", "128"):convert(math.tointeger)
parser:option("--epochs", "Times to go through the images.", "10"):convert(math.tointeger)
parser:option("--batch", "Images in one step.", "32"):convert(math.tointeger)
parser:option("--lr", "Largest learning rate.", "0.001"):convert(tonumber)
common.add_device_option(parser)
parser:option("--seed", "Of the split, the weights, the order and the augmentation.", "1"):convert(math.tointeger)
parser:option("--val", "Share of the patients to validate on.", "0.15"):convert(tonumber)
parser:option("--phantoms", "Number of phantoms to draw where there is no --data.", "600"):convert(math.tointeger)
parser:option("--out", "Folder for best.safetensors, last.safetensors and log.csv.", "runs/chest_xray")
parser:option("--enhance", "What every image goes through first, in training and later."):choices {
    "none", "equalize", "clahe", "autocontrast",
}:default "none"
parser:option("--augment", "How training images vary: not, mirrored, or also turned, moved and scaled."):choices {
    "none", "flips", "full",
}:default "full"
parser:option("--cache", "File for the decoded images at twice the size, so that later runs begin at once, and images "
    .. "are resampled once (default: decoded in every run, kept in memory at the size).")
parser:flag("--resume", "Go on with the run in --out.")
parser:flag("--tune", "Measure first which way of computing each layer is the fastest on the device.")
parser:option("--profile", "File for a trace of a few steps (chrome://tracing); shows what they spent their time on.")
parser:flag("--strict", "Stop at a file that cannot be read, instead of leaving it out.")
local args = parser:parse()

if args.size < 16 or args.size > 2048 then common.fail("--size must be from 16 to 2048") end
if args.epochs < 1 or args.batch < 1 then common.fail("--epochs and --batch must be at least 1") end
if not (args.lr > 0) then common.fail("--lr must be above 0") end
if not (args.val > 0 and args.val < 1) then common.fail("--val must be between 0 and 1") end
local device, device_words = common.device(args.device)
print("computing on " .. device_words)

local AUGMENT <const> = {
    none = false, flips = {{"hflip"}}, full = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}},
}

-- Kaggle ships a val/ of 16 images: too few to choose a threshold on.
local VAL_ENOUGH <const> = 100

-- The images of frames that are parts of another one; with a cache there is one file for all of it.
local function load(whole, ...)
    local parts = {...}
    if not args.cache then
        for i, part in ipairs(parts) do parts[i] = common.load(part, args.size, args.strict) end
        return table.unpack(parts)
    end
    local dataset, places = common.load(whole, args.size, args.strict, args.cache), {}
    for i, path in ipairs(dataset.paths) do places[path] = i end
    for i, part in ipairs(parts) do
        local indices = {}
        for _, path in ipairs(part.path) do indices[#indices + 1] = places[path] end
        parts[i] = dataset:subset(indices)
    end
    return table.unpack(parts)
end

-- Training and validation images, no patient in both.
local function read_folder()
    local frame = common.must(lx.data.image_folder(args.data))
    print(frame)
    local own_val = frame:in_part("val")
    local rest = frame:filter(function(row) return row.part ~= "test" end)
    if #own_val >= VAL_ENOUGH then
        return load(rest, frame:in_part("train"), own_val)
    end
    if #own_val > 0 then
        print(("val/ has only %d images; validating on %.0f%% of the patients of train/ and val/ instead"):format(
            #own_val, 100 * args.val))
    end
    local train, val = rest:split {val = args.val, seed = args.seed}
    if not train then common.fail(val) end
    return load(rest, train, val)
end

local function draw_phantoms()
    print(("drawing %d phantoms"):format(args.phantoms))
    local train, val = lx.data.phantom({n = args.phantoms, size = args.size, seed = args.seed}):split {
        val = args.val, seed = args.seed,
    }
    if not train then common.fail(val) end
    return train, val
end

local function count_positives(dataset) return dataset.labels:sum():item() end

lx.manual_seed(args.seed)
local train_set, val_set
if args.data then train_set, val_set = read_folder() else train_set, val_set = draw_phantoms() end
local positives = count_positives(train_set)
local negatives = #train_set - positives
print(("training on %d images (%d %s, %d %s), validating on %d (%d %s)"):format(#train_set, negatives, common.LABELS[1],
    positives, common.LABELS[2], #val_set, count_positives(val_set), common.LABELS[2]))

local net = common.models[args.model](args.size):to(device)
if args.tune then print(lx.tune(net, {args.batch, 1, args.size, args.size})) end
local optimizer = lx.optim.AdamW(net:parameters(), {lr = args.lr, weight_decay = 0.01})
local steps = math.ceil(#train_set / args.batch) * args.epochs
local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps})

-- The rarer class weighs more, so that both count the same; the probabilities are calibrated afterwards.
local pos_weight = negatives / positives
local function loss(logits, labels)
    return lx.nn.functional.binary_cross_entropy_with_logits(logits, labels, {pos_weight = pos_weight})
end

local result, message = lx.train.fit {
    net = net, optimizer = optimizer, scheduler = scheduler, loss = loss, train = train_set, val = val_set,
    epochs = args.epochs, batch = args.batch, seed = args.seed, out = args.out, resume = args.resume,
    mean = common.MEAN, std = common.STD, profile = args.profile,
    enhance = args.enhance ~= "none" and {{args.enhance}} or nil, augment = AUGMENT[args.augment],
    metadata = {
        model = args.model, size = args.size, classes = common.LABELS, luxel = "chest_xray",
        trained_on = args.data and common.fingerprint(train_set) or "", images = #train_set,
    },
}
if not result then common.fail(message) end
if result.best then
    print(("best epoch %d: validation AUC %.4f, accuracy %.3f at threshold %.3f; model in %s/best.safetensors"):format(
        result.best.epoch, result.best.auc or 0 / 0, result.best.accuracy, result.best.threshold, args.out))
end
print(common.NOTICE)
os.exit(result.interrupted and 130 or result.save_problem and 1 or 0, true)
