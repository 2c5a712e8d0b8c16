--- What lx.anomaly is worth on radiographs: learnt from normal images alone, judged on new patients, ill and not. The
--- figures of docs/anomaly.md.
--
--     lua5.4 bench/anomaly.lua home WEIGHTS CHEST_XRAY [NIH] [WAY...]
--     lua5.4 bench/anomaly.lua adults WEIGHTS NIH [WAY...]
--     lua5.4 bench/anomaly.lua look WEIGHTS NIH WAY [WAY]
--
-- WEIGHTS is what luxel weights efficientnet-lite0 fetched; a WAY is a name of the table below, all of them by
-- default. `home` keeps 30 % of the patients out, chooses among the ways by two folds of the others, and judges each of
-- them on those kept out; with NIH's folder it also says how well each tells this place's normal images from those of
-- NIH's adults, of which nobody is ill. `adults` learns from 30 normal adults of NIH five times, and judges the ways on
-- other adults of NIH, normal or with what may be pneumonia, none of them outside. `look` learns from 30 normal adults
-- of NIH and is judged on NIH's adults of docs/trust.md's outside, who are other patients: whoever looks writes the
-- figures into that page, good or bad. Of two ways the second is only there to be compared with. No other image of the
-- outside is read.

local csv = require "luxel.io.csv"
local lx = require "luxel"
local random = require "luxel.random"

-- Times that other adults are learnt from.
local DRAWS <const> = 5

local SEED <const>, TEST <const>, FOLDS <const>, SIZE <const> = 1, 0.3, 2, 224

-- Of the ill every so-manieth image is looked at: they are three times as many as the normal ones.
local EVERY <const> = 4

local CLAHE <const> = {{"clahe"}}

local WAYS <const> = {
    {"neighbours", {method = "neighbours", enhance = CLAHE}},
    {"neighbours-plain", {method = "neighbours"}},
    {"neighbours-crop", {method = "neighbours", enhance = {{"centre_crop", 0.85}, {"clahe"}}}},
    {"mahalanobis", {method = "mahalanobis", enhance = CLAHE}},
    {"mahalanobis-last", {method = "mahalanobis", stages = {5}}},
    {"padim", {method = "padim", enhance = CLAHE}},
    {"padim-mean", {method = "padim", top = 1, enhance = CLAHE}},
    {"patchcore", {method = "patchcore", patches = 1000, enhance = CLAHE}},
    {"patchcore-mean", {method = "patchcore", top = 1, patches = 1000, enhance = CLAHE}},
    -- those that train a network of their own, with what two processors have time for
    {"autoencoder", {method = "autoencoder", size = 64, epochs = 10, enhance = CLAHE}},
    {"student", {method = "student", size = 96, epochs = 2, enhance = CLAHE}},
    {"student-mean", {method = "student", size = 96, epochs = 2, top = 1, enhance = CLAHE}},
}

local task, weights = arg[1], arg[2]
local function usage() error("usage: anomaly.lua home WEIGHTS CHEST_XRAY [NIH] [WAY...] | "
    .. "adults WEIGHTS NIH [WAY...] | look WEIGHTS NIH WAY [WAY]", 0) end
if task ~= "home" and task ~= "adults" and task ~= "look" or not arg[3] then usage() end

local console = lx.train.console()

local function detector(way, dataset, val)
    local options = {seed = SEED, progress = console, val = val}
    for key, value in pairs(way[2]) do options[key] = value end
    if way[2].method ~= "autoencoder" then
        options.net = assert(lx.models.efficientnet_lite0 {pretrained = weights, head = "replace", outputs = 1})
    end
    lx.manual_seed(SEED)
    return assert(lx.anomaly.fit(dataset, options))
end

local function of_class(dataset, class)
    local kept = {}
    for i, label in ipairs(dataset.labels:totable()) do
        if label == class then kept[#kept + 1] = i end
    end
    return dataset:subset(kept)
end

-- Scores of two sets as one sample.
local function joined(a, b, groups_a, groups_b)
    local scores, labels, groups = {}, {}, {}
    for _, one in ipairs {{a, groups_a, 0}, {b, groups_b, 1}} do
        for i, score in ipairs(one[1]) do
            scores[#scores + 1], labels[#labels + 1], groups[#groups + 1] = score, one[3], one[2][i]
        end
    end
    return scores, labels, groups
end

local function auc_words(scores, labels, groups)
    local low, high = lx.metrics.bootstrap(lx.metrics.auc, scores, labels, {groups = groups, seed = SEED})
    return ("%.4f (%.4f – %.4f)"):format(lx.metrics.auc(scores, labels), low, high)
end

-- The share of images that are unusual at a level.
local function share_below(found, scores, level)
    local count = 0
    for _, score in ipairs(scores) do count = count + (found:p_value(score) <= level and 1 or 0) end
    return count / #scores
end

-- ---- NIH ------------------------------------------------------------------------------------------------------------

-- Adults: `kind` is "outside" (normal or with an opacity, as radiologists said for RSNA's challenge) or "local" (of
-- patients of whom no image is outside: without a finding, or with one that may be pneumonia).
local function adults(nih, kind)
    local status, outside, rows = {}, {}, {}
    for _, row in ipairs(assert(csv.read(nih .. "/rsna_status.csv"))) do status[row.image] = row.rsna_class end
    local all = assert(csv.read(nih .. "/labels.csv"))
    for _, row in ipairs(all) do
        if lx.data.outside(row.image) then outside[row.patient_id] = true end
    end
    for _, row in ipairs(all) do
        local class = status[row.image]
        local wanted
        if kind == "outside" then
            wanted = lx.data.outside(row.image) and class
        elseif not outside[row.patient_id] then
            local ill = row.Pneumonia == "1" or row.Consolidation == "1" or row.Infiltration == "1"
            wanted = row.finding_labels == "No Finding" and "Normal" or ill and "Lung Opacity"
        end
        if tonumber(row.age) >= 18 and wanted then
            rows[#rows + 1] = {path = nih .. "/images/" .. row.image, label = wanted, patient = row.patient_id}
        end
    end
    return assert(assert(lx.data.frame(rows, {label = "label", classes = {"Normal", "Lung Opacity"}})):load {
        size = SIZE,
    })
end

-- ---- at home --------------------------------------------------------------------------------------------------------

local function home(folder, nih, ways)
    local all = assert(assert(lx.data.image_folder(folder)):filter(function(row, i)
        return row.part ~= "test" and not lx.data.outside(row.path) and (row.label == 0 or i % EVERY == 0)
    end):load {size = SIZE})
    local rest, test = assert(all:split {val = TEST, seed = SEED})
    local counts, own = test:counts(), rest:counts()
    print(("%d normal and %d ill images of other patients than the %d normal ones that may be learnt from"):format(
        counts[1], counts[2], own[1]))
    local folds = assert(rest:folds(FOLDS, {seed = SEED}))
    local elsewhere = nih and of_class(adults(nih, "local"), 0)
    local normal, ill = of_class(test, 0), of_class(test, 1)
    print(("| way | AUC of %d folds | AUC, patients kept out (95 %%) | unusual at 5 %%: normal, ill | this place's "
        .. "normal images from NIH's |\n|---|---|---|---|---|"):format(FOLDS))
    for _, way in ipairs(ways) do
        local sum = 0
        for _, fold in ipairs(folds) do
            local found = detector(way, of_class(fold.train, 0))
            local a, b = of_class(fold.val, 0), of_class(fold.val, 1)
            local scores, labels = joined(assert(found:scores(a)), assert(found:scores(b)), a.groups, b.groups)
            sum = sum + lx.metrics.auc(scores, labels)
            collectgarbage()
        end
        local found = detector(way, of_class(rest, 0))
        local well, sick = assert(found:scores(normal)), assert(found:scores(ill))
        local shortcut = "not looked at"
        if elsewhere then
            shortcut = auc_words(joined(well, assert(found:scores(elsewhere)), normal.groups, elsewhere.groups))
        end
        print(("| `%s` | %.4f | %s | %.3f, %.3f | %s |"):format(way[1], sum / FOLDS,
            auc_words(joined(well, sick, normal.groups, ill.groups)), share_below(found, well, 0.05),
            share_below(found, sick, 0.05), shortcut))
        io.stdout:flush()
        collectgarbage()
    end
end

-- ---- outside --------------------------------------------------------------------------------------------------------

-- Normal adults that are learnt from, and told by what a score means.
local MEMORY <const> = 30

-- So many normal adults, one image each, and all images of the others.
local function draw(here, number)
    local taken, kept, rest, count = {}, {}, {}, 0
    local labels = here.labels:totable()
    for _, i in ipairs(random.stream(SEED, number):permutation(#here)) do
        local patient = here.groups[i]
        if labels[i] == 0 and not taken[patient] and count < MEMORY then
            taken[patient], kept[#kept + 1], count = true, i, count + 1
        end
    end
    for i = 1, #here do
        if not taken[here.groups[i]] then rest[#rest + 1] = i end
    end
    return here:subset(kept), here:subset(rest)
end

local function local_adults(nih, ways)
    local here = adults(nih, "local")
    local counts = here:counts()
    print(("%d images of normal adults, %d with what may be pneumonia"):format(counts[1], counts[2]))
    for _, way in ipairs(ways) do
        local found, sum = {}, 0
        for k = 1, DRAWS do
            local memory, rest = draw(here, k)
            local scores = assert(detector(way, memory, 0.2):scores(rest))
            found[k] = lx.metrics.auc(scores, rest.labels)
            sum = sum + found[k]
            collectgarbage()
        end
        table.sort(found)
        print(("| `%s` | %.4f (%.4f to %.4f) |"):format(way[1], sum / DRAWS, found[1], found[DRAWS]))
        io.stdout:flush()
    end
end

local function look(nih, ways)
    local there = adults(nih, "outside")
    local memory, scores, labels = draw(adults(nih, "local"), 1), {}, there.labels:totable()
    for k, way in ipairs(ways) do
        local found = detector(way, memory, 0.2)
        scores[k] = assert(found:scores(there))
        print(("%s: %s; %d normal, %d with an opacity: AUC %s"):format(way[1], tostring(found), there:counts()[1],
            there:counts()[2], auc_words(scores[k], labels, there.groups)))
    end
    if scores[2] then
        print(("difference: %s"):format(tostring(lx.metrics.paired_bootstrap(lx.metrics.auc, scores[1], scores[2],
            labels, {groups = there.groups, seed = SEED}))))
    end
end

local function ways_of(first)
    local out = {}
    for i = first, #arg do
        local found
        for _, way in ipairs(WAYS) do found = way[1] == arg[i] and way or found end
        out[#out + 1] = found or error("there is no way " .. arg[i], 0)
    end
    return #out > 0 and out or WAYS
end

if task == "home" then
    home(arg[3], arg[4], ways_of(5))
elseif task == "adults" then
    local_adults(arg[3], ways_of(4))
else
    if not arg[4] then usage() end
    look(arg[3], ways_of(4))
end
