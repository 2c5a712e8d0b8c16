--- What pretrained weights are worth: networks from nothing beside EfficientNet-Lite0 with ImageNet's weights, on all
--- training patients and on 5 % of them, with three seeds each. Writes the tables of docs/transfer.md.
--
--     luxel weights efficientnet-lite0 --to DIR
--     lua5.4 bench/transfer.lua few WEIGHTS CHEST_XRAY       # 5 % of the patients
--     lua5.4 bench/transfer.lua all WEIGHTS CHEST_XRAY
--
-- Of each seed are the split into training and validation patients, the 5 %, the weights that begin anew, the order and
-- the augmentation, and all networks have the same of these. What is reported is the AUC after the last epoch: none is
-- chosen. Ended and started again it goes on; figures are in bench/results/transfer.json, and the images of the 5 %
-- beside it.

local cjson = require "cjson"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local part, weights, dir = arg[1], arg[2], arg[3]
local SIZE <const>, SEEDS <const>, SHARE <const>, BATCH <const> = 112, 3, 0.05, 32
local PARTS <const> = {
    few = {epochs = 15, thaw = 4, words = "5 % of the training patients"},
    all = {epochs = 3, thaw = 2, words = "all training patients"},
}
local RESULTS <const>, PAGE <const> = "bench/results/transfer", "docs/transfer.md"

if not dir or not PARTS[part] then error("usage: transfer.lua few|all WEIGHTS CHEST_XRAY", 0) end

-- Each arm: its name, its network, and what training it needs besides.
local ARMS <const> = {
    {"cnn, from nothing", function() return lx.models.cnn {size = SIZE} end},
    {"EfficientNet-Lite0, from nothing", function() return lx.models.efficientnet_lite0 {variant = "tf"} end},
    {"EfficientNet-Lite0, ImageNet's weights", function()
        return assert(lx.models.efficientnet_lite0 {pretrained = weights, head = "replace", outputs = 1})
    end, transfer = true},
}

local AUGMENT <const> = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}}

local function read(path)
    local file <close> = io.open(path)
    return file and file:read("a")
end

local function write(path, text) assert(core.write_file(path, {text})) end

local results = cjson.decode(read(RESULTS .. ".json") or "{}")

-- The images of a seed: of training (of this part) and of validation.
local function data_of(frame, seed)
    local train, val = assert(frame:split {val = 0.15, seed = seed})
    if part == "few" then
        local _
        _, train = assert(train:split {val = SHARE, seed = seed})
        local names = {}
        for i, path in ipairs(train.path) do names[i] = path:match("[^/]*/[^/]*$") end
        table.sort(names)
        lfs.mkdir(RESULTS)
        write(("%s/few-%d.txt"):format(RESULTS, seed), table.concat(names, "\n") .. "\n")
    end
    return assert(train:load {size = SIZE}), assert(val:load {size = SIZE})
end

-- The AUC on the validation images after the last epoch.
local function measure(arm, seed, train, val)
    local epochs, thaw = PARTS[part].epochs, PARTS[part].thaw
    lx.manual_seed(seed)
    local net = arm[2]()
    local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 1e-3, decay = arm.transfer and 0.85 or 1}))
    local steps, auc = math.ceil(#train / BATCH) * epochs, nil
    local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps})
    assert(lx.train.fit {
        net = net, optimizer = optimizer, scheduler = scheduler, train = train, val = val, epochs = epochs,
        batch = BATCH, seed = seed, augment = AUGMENT, drop_last = true, overwrite = true,
        freeze = arm.transfer and {"*", "!classifier"} or nil, unfreeze = arm.transfer and {[thaw] = "*"} or nil,
        out = ("runs/transfer/%s-%d-%s"):format(part, seed, arm[1]:gsub("[^%w]+", "_")),
        callbacks = {epoch = function(row) auc = row.val_auc end},
    })
    return auc
end

local function mean_of(values)
    local sum = 0
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values
end

-- The lines of a table, and how much better than the best of the others the last arm is.
local function table_of(of)
    local lines, means = {
        ("%d × %d pixels, %d epochs; %d training and %d validation images with the first seed."):format(SIZE, SIZE,
            of.epochs, of.train, of.val),
        "", "| | AUC with the seeds 1, 2, 3 | mean |", "|---|---|---|",
    }, {}
    for i, arm in ipairs(ARMS) do
        local values, words = of.auc[arm[1]], {}
        for k, value in ipairs(values) do words[k] = ("%.4f"):format(value) end
        means[i] = mean_of(values)
        lines[#lines + 1] = ("| %s | %s | %.4f |"):format(arm[1], table.concat(words, ", "), means[i])
    end
    local differences, words = {}, {}
    local best = means[1] > means[2] and 1 or 2
    for k, value in ipairs(of.auc[ARMS[#ARMS][1]]) do
        differences[k] = value - of.auc[ARMS[best][1]][k]
        words[k] = ("%+.4f"):format(differences[k])
    end
    local form = "\nWith ImageNet's weights, beside the better network from nothing (%s): %s; %+.4f on average."
    lines[#lines + 1] = form:format(ARMS[best][1]:match("^[^,]+"), table.concat(words, ", "), mean_of(differences))
    return table.concat(lines, "\n")
end

local frame = assert(lx.data.image_folder(dir)):filter(function(row)
    return row.part ~= "test" and not lx.data.outside(row.path)
end)
local of = results[part] or {auc = {}, seconds = 0}
if of.size ~= SIZE or of.epochs ~= PARTS[part].epochs then of = {auc = {}, seconds = 0} end
of.size, of.epochs, of.device = SIZE, PARTS[part].epochs, ("%d threads"):format(core.threads())
results[part] = of
for seed = 1, SEEDS do
    local train, val
    for _, arm in ipairs(ARMS) do
        local values = of.auc[arm[1]] or {}
        of.auc[arm[1]] = values
        if not values[seed] then
            if not train then train, val = data_of(frame, seed) end
            if seed == 1 then of.train, of.val = #train, #val end
            print(("%s, seed %d, %s: %d images"):format(PARTS[part].words, seed, arm[1], #train))
            local started = core.now()
            values[seed] = measure(arm, seed, train, val)
            of.seconds = of.seconds + core.now() - started
            write(RESULTS .. ".json", cjson.encode(results) .. "\n")
            collectgarbage()
        end
    end
end

local text = table_of(of)
local page = assert(read(PAGE), PAGE .. " is not there: run it from the folder of the project")
local first, last = ("<!-- %s -->\n"):format(part), ("\n<!-- end of %s -->"):format(part)
local from, to = select(2, page:find(first, 1, true)), page:find(last, 1, true)
write(PAGE, page:sub(1, from) .. text .. page:sub(to))
print(text)
