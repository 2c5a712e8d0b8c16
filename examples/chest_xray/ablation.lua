--- Trains the same network with and without enhancement and augmentation, a few seeds each, and writes a table of what
--- that changes on patients that are kept for validation.
--
--     lua5.4 ablation.lua --data DIR --out docs/ablation.md
--
-- Rows that are in the output file already are not measured again, so it can be interrupted and gone on with.

local argparse = require "argparse"
local options = require "luxel.command.options"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local parser = argparse("ablation.lua", "What enhancement and augmentation change.", options.NOTICE)
parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/."):count(1)
parser:option("--out", "Markdown file for the table."):count(1)
options.add_size(parser, "Side of the images.", 64)
options.add_number(parser, "--epochs", "Times to go through the images.", 4, 1, 100000, true)
options.add_number(parser, "--seeds", "Runs of each row.", 3, 1, 1000, true)
local args = options.parse(parser)

local FLIPS <const> = {{"hflip"}}
local FULL <const> = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}}
local ROWS <const> = {
    {"no augmentation"}, {"flips", augment = FLIPS}, {"flips, turns, shifts, zoom", augment = FULL},
    {"the same, equalised", augment = FULL, enhance = {{"equalize"}}},
    {"the same, CLAHE", augment = FULL, enhance = {{"clahe"}}},
    {"no augmentation, equalised", enhance = {{"equalize"}}}, {"no augmentation, CLAHE", enhance = {{"clahe"}}},
    {"RandAugment, n 2, m 9", augment = {{"rand_augment"}}},
}

-- One run: figures of the last epoch, so that nothing is chosen on the validation set.
local function measure(row, train_set, val_set, seed)
    lx.manual_seed(seed)
    local net = lx.models.cnn {size = args.size}
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.001, weight_decay = 0.01})
    local steps = math.ceil(#train_set / 32) * args.epochs
    local out = os.tmpname()
    os.remove(out)
    local result = options.must(lx.train.fit {
        net = net, optimizer = optimizer, train = train_set, val = val_set, epochs = args.epochs, batch = 32,
        seed = seed,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = steps // 20, total = steps}), out = out,
        loss = lx.nn.functional.binary_cross_entropy_with_logits, mean = options.MEAN, std = options.STD,
        augment = row.augment or false, enhance = row.enhance,
    })
    if result.interrupted then os.exit(130, true) end
    local logits = lx.train.predict(net, val_set, {mean = options.MEAN, std = options.STD, enhance = row.enhance})
    local labels = core.to_table(val_set.labels)
    for _, name in ipairs {"best.safetensors", "last.safetensors", "log.csv"} do os.remove(out .. "/" .. name) end
    lfs.rmdir(out)
    local probabilities = {}
    for i, logit in ipairs(logits) do probabilities[i] = 1 / (1 + math.exp(-logit)) end
    return lx.metrics.auc(logits, labels), lx.metrics.accuracy(probabilities, labels, 0.5)
end

local function mean_and_spread(values)
    local sum, low, high = 0, math.huge, -math.huge
    for _, value in ipairs(values) do sum, low, high = sum + value, math.min(low, value), math.max(high, value) end
    return sum / #values, low, high
end

-- Lines of an earlier, interrupted run, by the name of their row.
local function read_rows()
    local known, file = {}, io.open(args.out)
    for line in file and file:lines() or function() end do
        local name = line:match("^| ([^|]+) | [%d.]+ ")
        if name then known[name] = line end
    end
    if file then file:close() end
    return known
end

local frame = options.must(lx.data.image_folder(args.data))
local train_frame, val_frame = options.must(frame:split {val = 0.15, seed = 1})
local train_set, val_set = options.load(train_frame, args.size, false), options.load(val_frame, args.size, false)
local positives = val_set.labels:sum():item()
local known = read_rows()
local lines = { -- of the file
    "# What enhancement and augmentation change", "",
    ("The network `cnn` of `examples/chest_xray` at %d pixels, %d epochs, %d seeds each, on %d radiographs; %d"):format(
        args.size, args.epochs, args.seeds, #train_set, #val_set),
    ("of other patients (%d infected) to validate on. Figures of the last epoch, so nothing is chosen"):format(
        positives),
    "on those; the range is that of the seeds. One set, one split, short runs: what is worth trying, no more.", "",
    ("Made by `lua5.4 examples/chest_xray/ablation.lua --data DIR --out FILE --size %d --epochs %d --seeds %d`.")
        :format(args.size, args.epochs, args.seeds), "",
    "| training images | AUC | range | accuracy at 0.5 | range |", "|---|---|---|---|---|",
}
for _, row in ipairs(ROWS) do
    if not known[row[1]] then
        local aucs, accuracies = {}, {}
        for seed = 1, args.seeds do
            io.stderr:write(("%s, seed %d of %d\n"):format(row[1], seed, args.seeds))
            aucs[seed], accuracies[seed] = measure(row, train_set, val_set, seed)
        end
        local auc, auc_low, auc_high = mean_and_spread(aucs)
        local accuracy, low, high = mean_and_spread(accuracies)
        known[row[1]] = ("| %s | %.4f | %.4f – %.4f | %.3f | %.3f – %.3f |"):format(row[1], auc, auc_low, auc_high,
            accuracy, low, high)
    end
    lines[#lines + 1] = known[row[1]]
    options.must(core.write_file(args.out, {table.concat(lines, "\n") .. "\n"}))
end
print(table.concat(lines, "\n"))
