--- Recipes of training judged by left-out styles: what a network is worth on films of a machine that it never saw.
--
--     lua5.4 bench/recipes.lua --recipe NAME --data CHEST_XRAY --weights WEIGHTS --nih NIH [--seed S] [--parts 1,2]
--     lua5.4 bench/recipes.lua ... --look CHEST_XRAY_SHIFT
--     lua5.4 bench/recipes.lua --recipe lungs_distilled --teachers 1,2,3 ...
--     lua5.4 bench/recipes.lua --recipe lungs_masked --lungs MODEL ...
--
-- The images are dealt into four parts by style (lx.data.styles), so a network is judged after each epoch on styles
-- and patients that it has not seen, and on other patients of the styles that it has. Beside it stands what it makes of
-- adults of another hospital that are not outside: films of ChestX-ray14 without a finding, and with an infiltration,
-- consolidation or pneumonia, by labels that were read from reports and are often wrong. Where a recipe sees films in
-- two ways (whole and the part with both lungs), each way is judged, and the mean of their logits. Logits go to
-- runs/recipes/NAME-SEED.json, and a line for each epoch to the standard output. No image of docs/trust.md's outside is
-- read, but by --look, which trains on all styles, calibrates by what the first left, and looks at the outside once.
-- Whoever does that writes the figures into docs/trust.md, good or bad.
--
-- --teachers: seeds of runs of the recipe `lungs` on the same parts. Their mean logits are judged too, and a recipe
-- with `distilled` learns what they say of the image as it is augmented, not the label (Hinton et al. 2015, "Distilling
-- the knowledge in a neural network"; Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and
-- consistent"). --lungs: a model of `luxel train --masks`, outside of whose lungs a recipe with `masked` sees nothing.

local argparse = require "argparse"
local cjson = require "cjson"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"

local parser = argparse("recipes.lua", "Judges a recipe of training by left-out styles and elsewhere.")
parser:option("--recipe", "A name of the table in this file."):count(1)
parser:option("--data", "Labelled images in class folders."):count(1)
parser:option("--weights", "Those of EfficientNet-Lite0."):count(1)
parser:option("--nih", "ChestX-ray14 with labels.csv and rsna_status.csv."):count(1)
parser:option("--seed", "Of split, weights, order and augmentation.", "1"):convert(math.tointeger)
parser:option("--parts", "Which parts of the styles are left out, one after the other.", "1,2,3,4")
parser:option("--look", "Images of another device: train on all styles, and look at the outside.")
parser:option("--teachers", "Seeds of runs of the recipe lungs, to be judged together and to learn from.")
parser:option("--lungs", "A model of segmentation for recipes with masks.")
parser:flag("--mirrored", "Judge the mean over mirrored and slightly moved films too.")
local args = parser:parse()
local name, seed, nih = args.recipe, args.seed, args.nih
local FOLDS <const> = 4

local function cnn() return lx.models.cnn {size = 128} end
local function lite0()
    return assert(lx.models.efficientnet_lite0 {pretrained = args.weights, head = "replace", outputs = 1})
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

-- `views`: what of a film the network sees, of several each is an image of its own.
local LUNGS <const>, BOTH <const> = {"lungs"}, {"whole", "lungs"}

local RECIPES <const> = {
    quick = {net = cnn, size = 128, epochs = 6, lr = 1e-3, decay = 1, augment = "full"},
    transfer = PLAIN,
    style = with {augment = "style"},
    balance = with {augment = "style", balance = "styles"},
    crop = with {augment = "style", balance = "styles", enhance = {{"centre_crop", 0.85}}},
    dro = with {augment = "style", dro = true},
    smooth = with {augment = "style", balance = "styles", smoothing = 0.1},
    large = with {augment = "style", balance = "styles", size = 224, epochs = 3},
    equalized = with {augment = "style", enhance = {{"equalize"}}},
    clahe = with {augment = "style", enhance = {{"clahe"}}},
    mixed = with {augment = "style", mixup = 0.4},
    wild = with {augment = WILD},
    style_large = with {augment = "style", size = 192, epochs = 3},
    gentle = with {augment = "style", balance = "styles", lr = 1e-4, decay = 1},
    lungs = with {augment = "style", views = LUNGS},
    lungs_short = with {augment = "style", views = LUNGS, epochs = 2},
    lungs_balance = with {augment = "style", views = LUNGS, balance = "styles"},
    lungs_border = with {augment = "style", views = LUNGS, balance = "border"},
    lungs_dro = with {augment = "style", views = LUNGS, dro = true},
    lungs_smooth = with {augment = "style", views = LUNGS, smoothing = 0.1},
    lungs_mixup = with {augment = "style", views = LUNGS, mixup = 0.2},
    lungs_cutmix = with {augment = "style", views = LUNGS, cutmix = 1},
    lungs_ema = with {augment = "style", views = LUNGS, ema = 0.995},
    lungs_swa = with {augment = "style", views = LUNGS, swa = 3},
    lungs_rand = with {augment = {{"hflip"}, {"rand_augment", n = 2, m = 9}, {"style"}}, views = LUNGS},
    lungs_wild = with {augment = WILD, views = LUNGS},
    lungs_levels = with {augment = "style", views = LUNGS, enhance = {{"autocontrast", 0.02}}},
    lungs_equalized = with {augment = "style", views = LUNGS, enhance = {{"equalize"}}},
    lungs_ssl = with {augment = "style", views = LUNGS}, -- --weights of examples/self_supervised.lua
    lungs_distilled = with {augment = "style", views = LUNGS, distilled = true},
    lungs_unmarked = with {augment = "style", views = LUNGS, unmarked = true}, -- letters painted over
    lungs_masked = with {augment = "style", views = LUNGS, masked = true},
    both = with {augment = "style", views = BOTH, epochs = 2},
    both_long = with {augment = "style", views = BOTH, epochs = 4},
    both_large = with {augment = "style", views = BOTH, epochs = 2, size = 192},
}

local recipe = RECIPES[name]
if not recipe then parser:error(("there is no recipe '%s'"):format(name)) end
local views = recipe.views or {"whole"}
if recipe.distilled and not args.teachers then parser:error(("%s: --teachers is missing"):format(name)) end
if recipe.masked and not args.lungs then parser:error(("%s: --lungs is missing"):format(name)) end
local lungs = recipe.masked and assert(lx.predictor.open(args.lungs))

local function pick(list, places)
    local out = {}
    for i, place in ipairs(places) do out[i] = list[place] end
    return out
end

local GROWN <const> = 0.05 -- of the width, by which masks are larger than the lungs that were found

-- The part with both lungs of a film, black where there is no lung.
local function masked_part(film, path)
    local mask = assert(lungs:predict(path)).mask:view {1, film.shape[2], film.shape[3]}
    mask = lx.vision.dilate(mask, 2 * math.floor(film.shape[3] * GROWN / 2) + 1, {shape = "ellipse"})
    local part, box = lx.vision.lung_crop(film)
    local inside = lx.vision.resize(lx.vision.crop(mask, box), recipe.size, recipe.size):float():ge(128)
    return (lx.vision.resize(part, recipe.size, recipe.size):float() * inside:float()):to("uint8")
end

local AROUND <const> = 2 -- pixels around a marker that go with it

-- The part with both lungs of a film, whose letters have the mean level of what is beside them.
local function unmarked_part(film)
    local height, width = film.shape[2], film.shape[3]
    local clean = film:clone()
    for _, box in ipairs(lx.vision.find_markers(film)) do
        local x, y = math.max(box.x - AROUND, 0), math.max(box.y - AROUND, 0)
        local right, bottom = math.min(box.x + box.w + AROUND, width), math.min(box.y + box.h + AROUND, height)
        local inner = clean:narrow(2, y + 1, bottom - y):narrow(3, x + 1, right - x)
        local level, across, down = 0, right - x, bottom - y
        for _, edge in ipairs {inner:narrow(2, 1, 1), inner:narrow(2, down, 1)} do
            level = level + edge:float():sum():item()
        end
        for _, edge in ipairs {inner:narrow(3, 1, 1), inner:narrow(3, across, 1)} do
            level = level + edge:float():sum():item()
        end
        inner:fill_(math.floor(level / (2 * (across + down)) + 0.5))
    end
    return lx.vision.resize(lx.vision.crop(clean, lx.vision.find_lungs(film)), recipe.size, recipe.size)
end

-- The films of a frame as a dataset of what `part_of_film` makes of each.
local function load_parts(frame, part_of_film)
    local images = {}
    for i, path in ipairs(frame.path) do
        local film = assert(lx.vision.load(path, {bits = 8}))
        images[i] = part_of_film(film, path):view {1, 1, recipe.size, recipe.size}
    end
    return lx.data.dataset {
        images = lx.cat(images), labels = lx.tensor(frame.label):view {#frame}, patients = frame.group,
        paths = frame.path, classes = frame.classes,
    }
end

local function load(frame, view)
    if recipe.masked and view == "lungs" then return load_parts(frame, masked_part) end
    if recipe.unmarked and view == "lungs" then return load_parts(frame, unmarked_part) end
    return assert(frame:load {size = recipe.size, crop = view == "lungs" and "lungs" or nil})
end

-- Each view of the images of a frame.
local function load_views(frame)
    local out = {}
    for i, view in ipairs(views) do out[i] = load(frame, view) end
    return out
end

-- The images of several views as one dataset.
local function join(sets)
    if #sets == 1 then return sets[1] end
    local images, labels, patients, paths = {}, {}, {}, {}
    for i, set in ipairs(sets) do
        images[i], labels[i] = set.images, set.labels
        table.move(set.groups, 1, #set, #patients + 1, patients)
        table.move(set.paths, 1, #set, #paths + 1, paths)
    end
    return lx.data.dataset {
        images = lx.cat(images), labels = lx.cat(labels), patients = patients, paths = paths, classes = sets[1].classes,
    }
end

local function subsets(sets, places)
    local out = {}
    for i, set in ipairs(sets) do out[i] = set:subset(places) end
    return out
end

local frame = assert(lx.data.image_folder(args.data)):filter(function(row)
    return row.part ~= "test" and not lx.data.outside(row.path)
end)
local films = load(frame, "whole")
local all = views[1] == "whole" and {films} or {load(frame, views[1])}
for i = 2, #views do all[i] = load(frame, views[i]) end
local labels = films.labels:totable()
local styles = assert(lx.data.styles(films))
local part_of = styles:parts(FOLDS) -- of each image
local group_of = {} -- of each image, what balance and dro go by
if recipe.balance == "border" then -- fifths of what a classifier of the border, that has not seen the patient, says
    local logits = assert(lx.data.border_probe(films, {resamples = 1})).logits
    local order = {}
    for i = 1, #logits do order[i] = i end
    table.sort(order, function(a, b)
        if logits[a] ~= logits[b] then return logits[a] < logits[b] end
        return a < b
    end)
    for rank, i in ipairs(order) do group_of[films.paths[i]] = (rank - 1) * 5 // #order + 1 end
else
    for i, path in ipairs(films.paths) do group_of[path] = styles.cluster[i] end
end
local started = core.now()

local function sigmoids(list, fitted)
    local out = {}
    for i, logit in ipairs(list) do
        out[i] = 1 / (1 + math.exp(-(fitted and fitted.scale * logit + fitted.shift or logit)))
    end
    return out
end

-- Learns what teachers say of each image as it is augmented; calls `watch` after each epoch.
local function distil(net, optimizer, scheduler, train, teachers, input, watch)
    for epoch = 1, recipe.epochs do
        net:train()
        for x in lx.data.batches(train, {
            batch = 32, seed = seed, epoch = epoch, augment = lx.vision.preset(recipe.augment), drop_last = true,
            mean = input.mean, std = input.std,
        }) do
            local target = lx.no_grad(function()
                local sum = 0
                for _, teacher in ipairs(teachers) do sum = teacher(x):sigmoid() + sum end
                return sum / #teachers
            end)
            optimizer:zero_grad()
            lx.nn.functional.binary_cross_entropy_with_logits(net(x), target):backward()
            optimizer:step()
            scheduler:step()
        end
        watch(net, {epoch = epoch}, input)
    end
end

-- The networks of earlier runs of the recipe `lungs` without a part of the styles.
local function teachers_of(part)
    local nets = {}
    for word in (args.teachers or ""):gmatch("%d+") do
        local net = lite0()
        net:load_state_dict((assert(lx.checkpoint.load(("runs/recipes/lungs-%s-%s/best.safetensors"):format(word,
            part)))))
        nets[#nets + 1] = net:eval()
    end
    return nets
end

-- Trains on images; calls `watch(net, row, input)` after each epoch.
local function train_on(images, out, watch, teachers)
    local train, val = images:split {val = 0.1, seed = seed}
    local own = {}
    for i, path in ipairs(train.paths) do own[i] = group_of[path] end
    lx.manual_seed(seed)
    local net = recipe.net()
    local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = recipe.lr, decay = recipe.decay}),
        {weight_decay = 0.01})
    local falling = recipe.swa and recipe.swa - 1 or recipe.epochs -- as `luxel train` has it
    local steps = math.ceil(#train / 32) * falling
    local input = {mean = net.pretrained and net.pretrained.mean, std = net.pretrained and net.pretrained.std,
        enhance = recipe.enhance}
    local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {
        warmup = math.max(1, steps // 20), total = steps, min_share = recipe.swa and 0.25 or 0,
    })
    if recipe.distilled then
        distil(net, optimizer, scheduler, train, teachers, input, watch)
        return net, input, val, recipe.epochs
    end
    local result = assert(lx.train.fit {
        net = net, optimizer = optimizer, train = train, val = val, epochs = recipe.epochs, batch = 32, seed = seed,
        scheduler = scheduler,
        augment = type(recipe.augment) == "table" and recipe.augment or lx.vision.preset(recipe.augment),
        enhance = recipe.enhance, drop_last = true,
        resume = lfs.attributes(out .. "/last.safetensors") ~= nil,
        balance = recipe.balance and {groups = own} or nil, dro = recipe.dro and {groups = own} or nil,
        label_smoothing = recipe.smoothing, mixup = recipe.mixup, cutmix = recipe.cutmix, ema = recipe.ema,
        swa = recipe.swa, best = "last", out = out, callbacks = {epoch = function(row) watch(net, row, input) end},
    })
    assert(not result.interrupted)
    collectgarbage()
    if recipe.ema or recipe.swa then -- the average is what is kept
        local tensors = assert(lx.checkpoint.load(out .. "/best.safetensors"))
        net:load_state_dict(tensors)
    end
    return net, input, val, result.epoch
end

-- The logits of each view, and, of several, their means as one more.
local function logits_of(net, sets, input, tta)
    local options, found = {tta = tta or nil}, {}
    for key, value in pairs(input) do options[key] = value end
    for i, set in ipairs(sets) do found[i] = lx.train.predict(net, set, options) end
    if #sets > 1 then
        local means = {}
        for k = 1, #found[1] do
            means[k] = 0
            for i = 1, #sets do means[k] = means[k] + found[i][k] / #sets end
        end
        found[#sets + 1] = means
    end
    return found
end

-- The mean logits of several networks.
local function mean_of(nets, sets, input)
    local means = {}
    for _, net in ipairs(nets) do
        local every = logits_of(net, sets, input)
        for i, logit in ipairs(every[#every]) do means[i] = (means[i] or 0) + logit / #nets end
    end
    return means
end

-- One look at images from outside.
local function look(words, net, input, sets, ways)
    local every, truth = logits_of(net, sets, input), sets[1].labels:totable()
    local found = every[#every]
    for _, way in ipairs(ways) do
        local p = sigmoids(found, way.fitted)
        local sure = lx.metrics.calibrated_ece(p, truth)
        local form = "%s, %s: %d images, AUC %.4f, accuracy %.4f, sensitivity %.3f, specificity %.3f, Brier %.4f, "
            .. "ECE %.3f%s"
        print(form:format(words, way.words, #truth, lx.metrics.auc(p, truth),
            lx.metrics.accuracy(p, truth, way.threshold),
            lx.metrics.sensitivity(p, truth, way.threshold), lx.metrics.specificity(p, truth, way.threshold),
            lx.metrics.brier(p, truth), lx.metrics.ece(p, truth), sure and " (" .. tostring(sure) .. ")" or ""))
    end
    return {logits = found, labels = truth, groups = sets[1].groups}
end

-- Images of NIH by what `class_of` says of a row, nil for one that does not count.
local function of_nih(class_of, positive)
    local rows = {}
    for _, row in ipairs(assert(csv.read(nih .. "/labels.csv"))) do
        local path = nih .. "/images/" .. row.image
        local class = class_of(row, path)
        if class then rows[#rows + 1] = {path = path, label = class, patient = row.patient_id} end
    end
    return load_views(assert(lx.data.frame(rows, {positive = positive, label = "label"})))
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

local record_path = ("runs/recipes/%s-%d.json"):format(name, seed)

if args.look then
    local styled = cjson.decode(assert(io.open(record_path)):read("a"))
    local net, input, val = train_on(join(all), ("runs/recipes/%s-%d-all"):format(name, seed), function() end)
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
    local record = {val = {logits = own, labels = truth}}
    record.shift = look("chest_xray_shift", net, input, load_views(assert(lx.data.image_folder(args.look))), ways)
    for _, view in ipairs {"AP", "PA"} do
        record[view] = look("adults, " .. view, net, input, adults(view), ways)
    end
    record.adults = look("adults", net, input, adults(), ways)
    assert(core.write_file(("runs/recipes/%s-%d-look.json"):format(name, seed), {cjson.encode(record), "\n"}))
    return
end

local others = elsewhere()
local others_labels = others[1].labels:totable()

-- "0.9812, 0.9767, 0.9820": of each view, and of their mean.
local function areas(found, truth)
    local out = {}
    for i, logits in ipairs(found) do out[i] = ("%.4f"):format(lx.metrics.auc(sigmoids(logits), truth)) end
    return table.concat(out, ", ")
end

local WAYS <const> = args.mirrored and {"plain", "mirrored"} or {"plain"}
-- Of each way of asking: logits of the left-out images by their places, and elsewhere by parts and views.
local record = {labels = labels, cluster = styles.cluster, part = part_of, elsewhere_labels = others_labels}
for _, way in ipairs(WAYS) do record[way] = {logits = {}, elsewhere = {}} end

for word in args.parts:gmatch("%d+") do
    local k, held, patients, rest = math.tointeger(word), {}, {}, {}
    for i = 1, #films do
        if part_of[i] == k then held[#held + 1], patients[films.groups[i]] = i, true end
    end
    for i = 1, #films do
        if part_of[i] ~= k and not patients[films.groups[i]] then rest[#rest + 1] = i end
    end
    local outside, truth = subsets(all, held), pick(labels, held)
    local function say(net, when, input, way)
        local mirrored = way == "mirrored"
        local found, far = logits_of(net, outside, input, mirrored), logits_of(net, others, input, mirrored)
        print(("%s %d part %d, %s: left out %d images: AUC %s, accuracy %.4f; elsewhere AUC %s; %.0f s"):format(name,
            seed, k, when, #held, areas(found, truth), lx.metrics.accuracy(sigmoids(found[#found]), truth),
            areas(far, others_labels), core.now() - started))
        for i, place in ipairs(held) do record[way].logits[tostring(place)] = found[#found][i] end
        table.insert(record[way].elsewhere, far)
    end
    local teachers = teachers_of(k)
    local net, input, _, epoch = train_on(join(subsets(all, rest)), ("runs/recipes/%s-%d-%d"):format(name, seed, k),
        function(net, row, input)
            print(("%s %d part %d, epoch %d: own AUC %s; elsewhere AUC %s; %.0f s"):format(name, seed, k, row.epoch,
                row.val_auc and ("%.4f"):format(row.val_auc) or "n/a",
                areas(logits_of(net, others, input), others_labels), core.now() - started))
        end, teachers)
    if #teachers > 0 then
        local found, far = mean_of(teachers, outside, input), mean_of(teachers, others, input)
        print(("%s %d part %d, the mean logits of %d teachers: left out AUC %.4f, accuracy %.4f; elsewhere AUC "
            .. "%.4f"):format(name, seed, k, #teachers, lx.metrics.auc(sigmoids(found), truth),
            lx.metrics.accuracy(sigmoids(found), truth), lx.metrics.auc(sigmoids(far), others_labels)))
    end
    for _, way in ipairs(WAYS) do say(net, ("after epoch %d, %s"):format(epoch, way), input, way) end
end

for _, way in ipairs(WAYS) do
    local found, truth, sums, count = {}, {}, {}, #record[way].elsewhere
    for i = 1, #films do
        local logit = record[way].logits[tostring(i)]
        if logit then found[#found + 1], truth[#truth + 1] = logit, labels[i] end
    end
    for _, far in ipairs(record[way].elsewhere) do
        for i, logit in ipairs(far[#far]) do sums[i] = (sums[i] or 0) + logit / count end
    end
    local area = lx.metrics.delong(sigmoids(sums), others_labels)
    print(("%s %d, %s: %d films of left-out styles: AUC %.4f, accuracy %.4f; the mean of %d networks elsewhere: AUC "
        .. "%.4f [%.3f, %.3f]"):format(name, seed, way, #found, lx.metrics.auc(sigmoids(found), truth),
        lx.metrics.accuracy(sigmoids(found), truth), count, area.auc, area.low, area.high))
end
lfs.mkdir("runs")
lfs.mkdir("runs/recipes")
assert(core.write_file(record_path, {cjson.encode(record), "\n"}))
