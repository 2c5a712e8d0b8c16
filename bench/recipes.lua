--- Recipes of training judged by left-out styles: what a network is worth on films of a machine that it never saw.
--
--     lua5.4 bench/recipes.lua RECIPE CHEST_XRAY WEIGHTS NIH [SEED]
--     lua5.4 bench/recipes.lua RECIPE CHEST_XRAY WEIGHTS NIH SEED look CHEST_XRAY_SHIFT
--
-- The images are dealt into four parts by style (lx.data.styles), so a network is judged after each epoch on styles
-- and patients that it has not seen, and on other patients of the styles that it has. Beside it stands what it makes of
-- adults of another hospital that are not outside: films of ChestX-ray14 without a finding, and with an infiltration,
-- consolidation or pneumonia, by labels that were read from reports and are often wrong. RECIPE is a name of the table
-- below. Logits go to runs/recipes/RECIPE-SEED.json, and a line for each epoch to the standard output. No image of
-- docs/trust.md's outside is read, but by `look`, which trains on all styles, calibrates by what the first left, and
-- looks at the outside once. Whoever does that writes the figures into docs/trust.md, good or bad.

local cjson = require "cjson"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"

local name, data, weights, nih, seed = arg[1], arg[2], arg[3], arg[4], math.tointeger(tonumber(arg[5] or 1))
local FOLDS <const> = 4

local function cnn() return lx.models.cnn {size = 128} end
local function lite0()
    return assert(lx.models.efficientnet_lite0 {pretrained = weights, head = "replace", outputs = 1})
end

local PLAIN <const> = {net = lite0, size = 128, epochs = 4, lr = 5e-4, decay = 0.9, augment = "full"}

-- `style`, with more of everything.
local WILD <const> = {
    {"hflip"}, {"rotate", 15}, {"shift", 0.12}, {"zoom", {0.8, 1.35}},
    {"style", {0, 1}, p = 0.8}, {"tone", 0.7, p = 0.7}, {"gamma", {0.5, 2}},
    {"one_of", {{"blur", {0.3, 2}}, {"sharpness", {0.5, 4}}, {"resolution", {0.3, 0.9}}}, p = 0.7},
    {"border", {0, 0.12}, p = 0.4}, {"marker", p = 0.5}, {"random_erasing", {0.02, 0.25}, value = -2, p = 0.4},
    {"noise", {1, 12}, p = 0.5}, {"jpeg", {30, 95}, p = 0.4},
}

local function with(changes)
    local recipe = {}
    for key, value in pairs(PLAIN) do recipe[key] = value end
    for key, value in pairs(changes) do recipe[key] = value end
    return recipe
end

local RECIPES <const> = {
    quick = {net = cnn, size = 128, epochs = 6, lr = 1e-3, decay = 1, augment = "full"},
    transfer = PLAIN,
    style = with {augment = "style"},
    balance = with {augment = "style", balance = true},
    crop = with {augment = "style", balance = true, enhance = {{"centre_crop", 0.85}}},
    dro = with {augment = "style", dro = true},
    smooth = with {augment = "style", balance = true, smoothing = 0.1},
    large = with {augment = "style", balance = true, size = 224, epochs = 3},
    equalized = with {augment = "style", enhance = {{"equalize"}}},
    clahe = with {augment = "style", enhance = {{"clahe"}}},
    mixed = with {augment = "style", mixup = 0.4},
    wild = with {augment = WILD},
    style_large = with {augment = "style", size = 192, epochs = 3},
    gentle = with {augment = "style", balance = true, lr = 1e-4, decay = 1},
}

local recipe = RECIPES[name] or error("usage: recipes.lua RECIPE CHEST_XRAY WEIGHTS NIH [SEED]", 0)

local function pick(list, places)
    local out = {}
    for i, place in ipairs(places) do out[i] = list[place] end
    return out
end

local frame = assert(lx.data.image_folder(data)):filter(function(row)
    return row.part ~= "test" and not lx.data.outside(row.path)
end)
local all = assert(frame:load {size = recipe.size})
local styles = assert(lx.data.styles(all))
local part_of = styles:parts(FOLDS) -- of each image
local labels = all.labels:totable()
local logits, started = {}, core.now()

local function sigmoids(list, fitted)
    local out = {}
    for i, logit in ipairs(list) do
        out[i] = 1 / (1 + math.exp(-(fitted and fitted.scale * logit + fitted.shift or logit)))
    end
    return out
end

local function report(found, places)
    local truth = pick(labels, places)
    local probabilities = sigmoids(found)
    return lx.metrics.auc(probabilities, truth) or 0 / 0, lx.metrics.accuracy(probabilities, truth) or 0 / 0
end

-- Trains on images; calls `watch(net, row, input)` after each epoch. `clusters` are the styles of the images.
local function train_on(images, clusters, out, watch)
    local places, own = {}, {}
    for i, path in ipairs(images.paths) do places[path] = i end
    local train, val = images:split {val = 0.1, seed = seed}
    for i, path in ipairs(train.paths) do own[i] = clusters[places[path]] end
    lx.manual_seed(seed)
    local net = recipe.net()
    local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = recipe.lr, decay = recipe.decay}),
        {weight_decay = 0.01})
    local steps = math.ceil(#train / 32) * recipe.epochs
    local input = {mean = net.pretrained and net.pretrained.mean, std = net.pretrained and net.pretrained.std,
        enhance = recipe.enhance}
    local result = assert(lx.train.fit {
        net = net, optimizer = optimizer, train = train, val = val, epochs = recipe.epochs, batch = 32, seed = seed,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps}),
        augment = type(recipe.augment) == "table" and recipe.augment or lx.vision.preset(recipe.augment),
        enhance = recipe.enhance, drop_last = true,
        resume = lfs.attributes(out .. "/last.safetensors") ~= nil,
        balance = recipe.balance and {groups = own} or nil, dro = recipe.dro and {groups = own} or nil,
        label_smoothing = recipe.smoothing, mixup = recipe.mixup, best = "last", out = out,
        callbacks = {epoch = function(row) watch(net, row, input) end},
    })
    assert(not result.interrupted)
    collectgarbage()
    watch(net, {epoch = result.epoch}, input) -- also of a run that was done before
    return net, input, val
end

-- One look at images from outside.
local function look(words, net, input, dataset, ways)
    local found, truth = lx.train.predict(net, dataset, input), dataset.labels:totable()
    for _, way in ipairs(ways) do
        local p = sigmoids(found, way.fitted)
        local sure = lx.metrics.calibrated_ece and lx.metrics.calibrated_ece(p, truth)
        local form = "%s, %s: %d images, AUC %.4f, accuracy %.4f, sensitivity %.3f, specificity %.3f, Brier %.4f, "
            .. "ECE %.3f%s"
        print(form:format(words, way.words, #truth, lx.metrics.auc(p, truth),
            lx.metrics.accuracy(p, truth, way.threshold),
            lx.metrics.sensitivity(p, truth, way.threshold), lx.metrics.specificity(p, truth, way.threshold),
            lx.metrics.brier(p, truth), lx.metrics.ece(p, truth), sure and " (" .. tostring(sure) .. ")" or ""))
    end
    return {logits = found, labels = truth, groups = dataset.groups}
end

-- Images of NIH by what `class_of` says of a row, nil for one that does not count.
local function of_nih(class_of, positive)
    local rows = {}
    for _, row in ipairs(assert(csv.read(nih .. "/labels.csv"))) do
        local path = nih .. "/images/" .. row.image
        local class = class_of(row, path)
        if class then rows[#rows + 1] = {path = path, label = class, patient = row.patient_id} end
    end
    return assert(assert(lx.data.frame(rows, {positive = positive, label = "label"})):load {size = recipe.size})
end

-- Those that are not outside.
local function elsewhere()
    return of_nih(function(row, path)
        if lx.data.outside(path) then return nil end
        if row.finding_labels == "No Finding" then return "No Finding" end
        for _, finding in ipairs {"Infiltration", "Consolidation", "Pneumonia"} do
            if row[finding] == "1" then return "Infiltrate" end
        end
    end, "Infiltrate")
end

-- Adults that radiologists called normal, or saw an opacity in; of one view.
local function adults(view)
    local status = {}
    for _, row in ipairs(assert(csv.read(nih .. "/rsna_status.csv"))) do status[row.image] = row.rsna_class end
    return of_nih(function(row)
        local class, grown = status[row.image], tonumber(row.age) >= 18 and (not view or row.view == view)
        return (class == "Normal" or class == "Lung Opacity") and grown and class or nil
    end, "Lung Opacity")
end

if arg[6] == "look" then
    local styled = cjson.decode(assert(io.open(("runs/recipes/%s-%d.json"):format(name, seed))):read("a"))
    local net, input, val = train_on(all, styles.cluster, ("runs/recipes/%s-%d-all"):format(name, seed), function() end)
    local own, truth = lx.train.predict(net, val, input), val.labels:totable()
    local ways = {
        {words = "as own validation has it", fitted = lx.calibration.fit(own, truth)},
        {words = "as left-out styles have it", fitted = lx.calibration.fit(styled.logits, styled.labels)},
    }
    for i, of in ipairs {{own, truth}, {styled.logits, styled.labels}} do
        ways[i].threshold = lx.metrics.youden(sigmoids(of[1], ways[i].fitted), of[2])
        print(("%s: scale %.3f, shift %.3f, threshold %.3f"):format(ways[i].words, ways[i].fitted.scale,
            ways[i].fitted.shift, ways[i].threshold))
    end
    local shift = assert(assert(lx.data.image_folder(arg[7])):load {size = recipe.size})
    local record = {val = {logits = own, labels = truth}}
    record.shift = look("chest_xray_shift", net, input, shift, ways)
    for _, view in ipairs {"AP", "PA"} do
        record[view] = look("adults, " .. view, net, input, adults(view), ways)
    end
    record.adults = look("adults", net, input, adults(), ways)
    assert(core.write_file(("runs/recipes/%s-%d-look.json"):format(name, seed), {cjson.encode(record), "\n"}))
    return
end

local others, elsewhere_logits = elsewhere(), {}
local others_labels = others.labels:totable()

for k = 1, FOLDS do
    local held, patients, rest = {}, {}, {}
    for i = 1, #all do
        if part_of[i] == k then held[#held + 1], patients[all.groups[i]] = i, true end
    end
    for i = 1, #all do
        if part_of[i] ~= k and not patients[all.groups[i]] then rest[#rest + 1] = i end
    end
    local outside = all:subset(held)
    train_on(all:subset(rest), pick(styles.cluster, rest), ("runs/recipes/%s-%d-%d"):format(name, seed, k),
        function(net, row, input)
            local found = lx.train.predict(net, outside, input)
            local auc, accuracy = report(found, held)
            elsewhere_logits[k] = lx.train.predict(net, others, input)
            local form = "%s %d fold %d epoch %d: own AUC %s; left out %d images: AUC %.4f, accuracy %.4f; "
                .. "elsewhere AUC %.4f; %.0f s"
            print(form:format(name, seed, k, row.epoch, row.val_auc and ("%.4f"):format(row.val_auc) or "as above",
                #held, auc, accuracy, lx.metrics.auc(sigmoids(elsewhere_logits[k]), others_labels),
                core.now() - started))
            for i, place in ipairs(held) do logits[place] = found[i] end
        end)
end

local everything = {}
for i = 1, #all do everything[i] = i end
local auc, accuracy = report(logits, everything)
print(("%s %d: left-out styles together: AUC %.4f, accuracy %.4f at one half; %.0f s"):format(name, seed, auc, accuracy,
    core.now() - started))
local aucs, sums = {}, {}
for k, found in ipairs(elsewhere_logits) do
    aucs[k] = lx.metrics.auc(sigmoids(found), others_labels)
    for i, logit in ipairs(found) do sums[i] = (sums[i] or 0) + logit / FOLDS end
end
print(("%s %d: elsewhere, %d images: AUC of the mean logit %.4f, of single networks %.4f, %.4f, %.4f, %.4f"):format(
    name, seed, #others, lx.metrics.auc(sigmoids(sums), others_labels), table.unpack(aucs)))
local probabilities = sigmoids(logits)
local chosen = lx.metrics.youden(probabilities, labels)
print(("%s %d: threshold %.3f"):format(name, seed, chosen))
for c = 1, styles.k do
    local own, truth = {}, {}
    for i = 1, #all do
        if styles.cluster[i] == c then own[#own + 1], truth[#truth + 1] = probabilities[i], labels[i] end
    end
    local form = "  style %d: %d images, AUC %.4f, sensitivity %.3f, specificity %.3f, ECE %.3f"
    print(form:format(c, #own, lx.metrics.auc(own, truth),
        lx.metrics.sensitivity(own, truth, chosen),
        lx.metrics.specificity(own, truth, chosen), lx.metrics.ece(own, truth)))
end
lfs.mkdir("runs")
lfs.mkdir("runs/recipes")
assert(core.write_file(("runs/recipes/%s-%d.json"):format(name, seed), {cjson.encode {
    logits = logits, labels = labels, cluster = styles.cluster, elsewhere = elsewhere_logits,
    elsewhere_labels = others_labels,
}, "\n"}))
