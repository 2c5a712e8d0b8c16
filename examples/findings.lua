--- One network for fourteen findings and for films without any, of all sets at hand, whose labels are missing where a
--- set does not speak of a finding. Usage:
--- lua5.4 findings.lua --nih DIR [--children DIR] [--covid DIR] [--lungs DIR] [--masses DIR] [--weights FILE] --out DIR
--
-- DIR of --nih has labels.csv with the columns of ChestX-ray14 (Wang et al., CVPR 2017) and images/. Five networks are
-- trained without a fifth of these patients each; what they give for the films that they have not seen is in
-- OUT/left-out.csv, and tells how good they are. Calibration, thresholds and what answers are doubted by are fitted to
-- it, for a network that learns from all patients but those of --val: OUT/model/best.safetensors, which
-- `luxel predict --findings` and `luxel study` answer with. --only-folds ends before that one.
--
-- The other sets only train: children of Kermany et al. (folders of classes), which speak of Pneumonia and of No
-- Finding alone, as do the infections in images.csv of --covid and --lungs; and boxes of Mass and Nodule (--masses).
-- Images that models are only judged on (lx.data.outside), and others of their patients in the table, are left out.

local argparse = require "argparse"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"

local FINDINGS <const> = {
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", "No Finding",
}

local parser = argparse("findings.lua", "Learns fourteen findings from all sets at hand.")
parser:option("--nih", "Folder with labels.csv and images/ of ChestX-ray14.")
for _, set in ipairs {"children", "covid", "lungs", "masses", "weights", "out", "model"} do
    parser:option("--" .. set, nil, ({out = "runs/findings", model = "efficientnet_lite0"})[set])
end
parser:option("--device", "What to compute on.", "auto")
for _, number in ipairs {
    {"folds", 5}, {"size", 160}, {"epochs", 20}, {"seed", 1}, {"batch", 32}, {"most", 400}, {"resamples", 500},
} do
    parser:option("--" .. number[1], nil, tostring(number[2])):convert(math.tointeger)
end
parser:option("--learn", "With --weights the last layer alone, on features that are computed once, or all layers.")
    :choices {"last", "all"}:default "last"
parser:flag("--only-folds")
parser:flag("--resume")
parser:flag("--overwrite")
local args = parser:parse()
if not args.nih then parser:error("--nih is missing") end
local device = assert(lx.device(args.device)).label

-- ---- films ----------------------------------------------------------------------------------------------------

local rows, judged = {}, {} -- judged: by path, whether the folds judge it

local function add(set, path, patient, labels)
    labels.path, labels.patient = path, patient and set .. " " .. patient or ""
    rows[#rows + 1] = labels
end

local function read(path) return assert(csv.read(path)) end

-- Films of ChestX-ray14, but for the outside and its patients.
local outside = {}
local table_rows = read(args.nih .. "/labels.csv")
for _, row in ipairs(table_rows) do
    if lx.data.outside(row.image) then outside[row.patient_id] = true end
end
local left_out = 0
for _, row in ipairs(table_rows) do
    local labels, any, known = {}, false, true
    for k = 1, 14 do
        local value = row[FINDINGS[k]]
        labels[FINDINGS[k]], any, known = value, any or value == "1", known and value == "0"
    end
    if any then labels["No Finding"] = 0 elseif known then labels["No Finding"] = 1 end
    if outside[row.patient_id] then
        left_out = left_out + 1
    else
        local path = args.nih .. "/images/" .. row.image
        judged[path] = true
        add("nih", path, row.patient_id, labels)
    end
end

-- At most so many of a list, evenly chosen.
local function some_of(list, most)
    local out, count = {}, math.min(#list, most)
    for i = 1, count do out[i] = list[(i - 1) * #list // count + 1] end
    return out
end

if args.children then
    local frame = assert(lx.data.image_folder(args.children)):filter(function(row)
        return row.part ~= "test" and not lx.data.outside(row.path)
    end)
    local seen, classes = {}, {{}, {}}
    for i = 1, #frame do -- a film of each patient
        local class = frame.label[i] + 1
        if not seen[frame.group[i]] then table.insert(classes[class], i) end
        seen[frame.group[i]] = true
    end
    for class, places in ipairs(classes) do
        for _, i in ipairs(some_of(places, args.most // 2)) do
            add("children", frame.path[i], frame.group[i], {["No Finding"] = 2 - class, Pneumonia = class - 1})
        end
    end
end

-- Infections of the lungs, as images.csv names them; what it names otherwise says nothing here.
local INFECTIONS <const> = {"COVID", "SARS", "Pneumocystis", "Streptococcus", "Legionella", "Klebsiella"}
local taken = {}
for _, folder in ipairs {args.covid or false, args.lungs or false} do
    local found = {}
    for _, row in ipairs(folder and read(folder .. "/images.csv") or {}) do
        local ill = false
        for _, name in ipairs(INFECTIONS) do ill = ill or row.finding:find(name, 1, true) ~= nil end
        if row.view ~= "L" and ill and not taken[row.image] then found[#found + 1] = row.image end
        taken[row.image] = true
    end
    for _, image in ipairs(some_of(found, args.most // 4)) do
        add("adults", folder .. "/images/" .. image, nil, {Pneumonia = 1, ["No Finding"] = 0})
    end
end

if args.masses then
    local boxes = {}
    for _, row in ipairs(read(args.masses .. "/boxes.csv")) do
        boxes[row.image] = boxes[row.image] or {["No Finding"] = 0}
        boxes[row.image][row.label] = 1
    end
    local names = {}
    for name in pairs(boxes) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        local patient = tostring(math.tointeger(tonumber(name:match("^(%d+)_"))))
        if not lx.data.outside(name) and not outside[patient] and not judged[args.nih .. "/images/" .. name] then
            add("nih", args.masses .. "/images/" .. name, patient, boxes[name])
        end
    end
end

lx.manual_seed(args.seed)
local frame = assert(lx.data.frame(rows, {labels = FINDINGS, patient = "patient", uncertain = "ignore"}))
print(frame)
print(("left out: %d images that models are only judged on, and others of their patients"):format(left_out))
local all = assert(frame:load {size = args.size})
for _, one in ipairs(all.failed) do io.stderr:write("[WARN] left out: ", one.path, ": ", one.message, "\n") end

-- The films that are judged in `count` parts by patient, and beside each all films of other patients.
local function parts_of(count)
    local whole = {}
    for i, path in ipairs(all.paths) do
        if judged[path] then whole[#whole + 1] = i end
    end
    local folds = assert(all:subset(whole):folds(count, {seed = args.seed}))
    for k, fold in ipairs(folds) do
        local patients, train = {}, {}
        for _, patient in ipairs(fold.val.groups) do patients[patient] = true end
        for i, patient in ipairs(all.groups) do
            if not patients[patient] then train[#train + 1] = i end
        end
        folds[k] = {train = all:subset(train), val = fold.val}
    end
    return folds
end

-- ---- networks -------------------------------------------------------------------------------------------------

-- What a network learns by: the new last layer alone, or after two epochs all of it, what was there before in small
-- steps. The last epoch is kept, so that nothing is chosen on the films that are not learnt from.
local kept = {} -- features of films, from one fold to the next
local function plan(fold, calibrate_on)
    lx.manual_seed(args.seed)
    local net = assert(lx.models[args.model] {
        size = args.size, outputs = #FINDINGS, pretrained = args.weights, head = args.weights and "replace",
    }):to(device)
    local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 1e-3, decay = args.weights and 0.85 or 1}),
        {weight_decay = 0.01})
    local steps = math.max(2, math.ceil(#fold.train / args.batch) * args.epochs)
    local probe = args.weights and args.learn == "last" or nil
    local frozen = args.weights and not probe and args.epochs > 2
    return {
        net = net, optimizer = optimizer, train = fold.train, val = fold.val, epochs = args.epochs, batch = args.batch,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps}),
        augment = not probe and lx.vision.preset("style"), probe = probe, keep_features = probe and kept,
        drop_last = #fold.train > args.batch, best = "last", seed = args.seed,
        freeze = frozen and {"*", "!classifier"} or nil, unfreeze = frozen and {[3] = "*"} or nil,
        calibrate_on = calibrate_on,
        metadata = {model = args.model, size = args.size, classes = FINDINGS, images = #fold.train},
    }
end

local folds = parts_of(args.folds)
local result = assert(lx.train.cross_validate {
    folds = folds, out = args.out, resume = args.resume, overwrite = args.overwrite,
    fit = function(fold) return plan(fold) end,
})
if result.interrupted then os.exit(130) end

-- What each network gives for the films that it has not seen.
local logits, labels, groups, lines = {}, {}, {}, {"path,patient,fold,finding,label,logit"}
for k, fold in ipairs(folds) do
    local predictor = assert(lx.predictor.open(result.folds[k].out .. "/best.safetensors", {device = device}))
    local truth = fold.val.labels:totable()
    for i, row in ipairs(assert(predictor:logits(fold.val))) do
        logits[#logits + 1], labels[#labels + 1], groups[#groups + 1] = row, truth[i], fold.val.groups[i]
        for j, name in ipairs(FINDINGS) do
            local label = truth[i][j] == truth[i][j] and ("%d"):format(truth[i][j]) or ""
            lines[#lines + 1] = ("%s,%s,%d,%s,%s,%.9g"):format(csv.cell(fold.val.paths[i]), csv.cell(groups[#groups]),
                k, name, label, row[j])
        end
    end
end
lines[#lines + 1] = ""
assert(core.write_file(args.out .. "/left-out.csv", {table.concat(lines, "\n")}))
print(("\n%d films of %s, each by the network that has not seen its patient:"):format(#logits, args.nih))
print(lx.metrics.report(logits, labels, {classes = FINDINGS, groups = groups, n = args.resamples, threshold = 0}))
if args.only_folds then return end

-- ---- the network to use ---------------------------------------------------------------------------------------

-- Its own validation films say how training goes; nothing is chosen on them.
local final = assert(lx.train.fit((function()
    local options = plan(parts_of(10)[1], {
        logits = logits, labels = labels,
        words = "films of patients that networks trained in the same way had not seen",
    })
    options.out, options.overwrite = args.out .. "/model", args.overwrite
    options.resume = args.resume and lfs.attributes(options.out .. "/last.safetensors") ~= nil
    return options
end)()))
if final.interrupted then os.exit(130) end
local path = args.out .. "/model/best.safetensors"
local predictor = assert(lx.predictor.open(path))
local thresholds = {}
for k, name in ipairs(FINDINGS) do thresholds[k] = ("%s %.3f"):format(name, predictor.threshold[k]) end
print("thresholds: " .. table.concat(thresholds, ", "))
print("model in " .. path)
print(lx.predictor.NOTICE)
