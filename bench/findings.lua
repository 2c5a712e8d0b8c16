--- The tables of docs/findings.md: what networks of examples/findings.lua are worth for patients that are new to them.
--
--     lua5.4 bench/findings.lua --nih DIR --weights FILE --children DIR --covid DIR --lungs DIR --masses DIR --out DIR
--
-- Four of them, each in five folds of the same patients: a small network from nothing; EfficientNet-Lite0 with
-- ImageNet's weights, of which the last layer learns; the same with all layers learning, on smaller pictures; and the
-- last layer from all sets. Areas are of pairs of films in the
-- same fold, because networks of different folds have logits of their own. OUT/*/left-out.csv is kept: what is there
-- is not computed again.

local argparse = require "argparse"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local make_folder = require "luxel.make_folder"
local random = require "luxel.random"

local parser = argparse("findings.lua", "Judges networks for fourteen findings.")
for _, name in ipairs {"nih", "weights", "children", "covid", "lungs", "masses"} do
    parser:option("--" .. name):count(1)
end
parser:option("--out", "Folder of the runs.", "runs/findings")
parser:option("--resamples", nil, "1000"):convert(math.tointeger)
local args = parser:parse()

-- Areas that Rajpurkar et al. (CheXNet, arXiv:1711.05225, 2017) publish for the test part of 112,120 films.
local CHEXNET <const> = {
    Atelectasis = 0.8094, Cardiomegaly = 0.9248, Effusion = 0.8638, Infiltration = 0.7345, Mass = 0.8676,
    Nodule = 0.7802, Pneumonia = 0.7680, Pneumothorax = 0.8887, Consolidation = 0.7901, Edema = 0.8878,
    Emphysema = 0.9371, Fibrosis = 0.8047, Pleural_Thickening = 0.8062, Hernia = 0.9164,
}

-- ---- the networks ---------------------------------------------------------------------------------------------

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local WEIGHTS <const> = " --weights " .. quoted(args.weights)
local ARMS <const> = {
    {name = "nothing", title = "from nothing", options = " --model cnn --size 64 --epochs 12"},
    {name = "transfer", title = "ImageNet's weights", options = WEIGHTS},
    {name = "all_layers", title = "all layers", options = WEIGHTS .. " --learn all --size 128 --epochs 10"},
    {
        name = "everything",
        title = "and all sets",
        options = ("%s --children %s --covid %s --lungs %s --masses %s"):format(WEIGHTS, quoted(args.children),
            quoted(args.covid), quoted(args.lungs), quoted(args.masses)),
    },
}

-- Films in the order of the file, each with labels and logits by finding; and the findings.
local function read(path)
    local films, by_path, findings, seen = {}, {}, {}, {}
    for _, row in ipairs(assert(csv.read(path))) do
        local film = by_path[row.path]
        if not film then
            film = {path = row.path, patient = row.patient, fold = tonumber(row.fold), labels = {}, logits = {}}
            by_path[row.path], films[#films + 1] = film, film
        end
        film.labels[row.finding], film.logits[row.finding] = tonumber(row.label) or 0 / 0, tonumber(row.logit)
        if not seen[row.finding] then seen[row.finding], findings[#findings + 1] = true, row.finding end
    end
    return films, findings
end

local FINDINGS
assert(make_folder(args.out))
for _, arm in ipairs(ARMS) do
    local folder = args.out .. "/" .. arm.name
    local path = folder .. "/left-out.csv"
    if not lfs.attributes(path) then
        local done = os.execute(("%s examples/findings.lua --only-folds --nih %s --out %s%s --%s"):format(arg[-1] or
            "lua5.4", quoted(args.nih), quoted(folder), arm.options, lfs.attributes(folder) and "resume"
            or "overwrite"))
        if not done then error("examples/findings.lua ended with an error", 0) end
    end
    arm.films, FINDINGS = read(path)
end

-- ---- areas ----------------------------------------------------------------------------------------------------

local function columns(films, name, of)
    local scores, labels, groups = {}, {}, {}
    for i, film in ipairs(films) do
        scores[i], labels[i], groups[i] = film[of or "logits"][name], film.labels[name], film.patient
    end
    return scores, labels, groups
end

local ORDERS = setmetatable({}, {__mode = "k"})

-- Places of the films of each fold that have a label, by their score.
local function orders_of(films, name)
    ORDERS[films] = ORDERS[films] or {}
    if ORDERS[films][name] then return ORDERS[films][name] end
    local folds, scores, labels = {}, columns(films, name)
    for i, film in ipairs(films) do
        folds[film.fold] = folds[film.fold] or {}
        if labels[i] == labels[i] then table.insert(folds[film.fold], i) end
    end
    for _, order in pairs(folds) do table.sort(order, function(i, k) return scores[i] < scores[k] end) end
    ORDERS[films][name] = {folds = folds, scores = scores, labels = labels}
    return ORDERS[films][name]
end

-- The area under the ROC curve of pairs in the same fold: the mean of the folds' areas, by their numbers of pairs.
-- times: how often each film counts, once by default; nil where there is no pair.
local function area_of(films, name, times)
    local known, sum, pairs_of_all = orders_of(films, name), 0, 0
    for _, order in pairs(known.folds) do
        local below, positives, at = 0, 0, 1
        while order[at] do
            local score, same_negative, same_positive = known.scores[order[at]], 0, 0
            while order[at] and known.scores[order[at]] == score do
                local i = order[at]
                local count = times and times[i] or not times and 1 or 0
                if known.labels[i] == 1 then same_positive = same_positive + count
                else same_negative = same_negative + count end
                at = at + 1
            end
            sum = sum + same_positive * (below + same_negative / 2)
            below, positives = below + same_negative, positives + same_positive
        end
        pairs_of_all = pairs_of_all + below * positives
    end
    return pairs_of_all > 0 and sum / pairs_of_all or nil
end

local function macro(films, times)
    local sum, count = 0, 0
    for _, name in ipairs(FINDINGS) do
        local area = CHEXNET[name] and area_of(films, name, times)
        if area then sum, count = sum + area, count + 1 end
    end
    return count > 0 and sum / count or nil
end

-- How often each film is drawn, by patient.
local function resampled(films)
    local of, patients, stream = {}, {}, random.stream(1, 3)
    for i, film in ipairs(films) do
        if not of[film.patient] then of[film.patient], patients[#patients + 1] = {}, film.patient end
        table.insert(of[film.patient], i)
    end
    return function()
        local times = {}
        for _ = 1, #patients do
            for _, i in ipairs(of[patients[stream:integer(#patients)]]) do times[i] = (times[i] or 0) + 1 end
        end
        return times
    end
end

local function interval(values)
    table.sort(values)
    local function at(share) return values[math.max(1, math.min(#values, math.floor(share * #values + 0.5)))] end
    return at(0.025), at(0.975)
end

local function with_interval(value, low, high)
    if not value then return "–" end
    return low and ("%.3f [%.3f, %.3f]"):format(value, low, high) or ("%.3f"):format(value)
end

local function area_words(films, name)
    local draw, values = resampled(films), {}
    for k = 1, args.resamples do values[k] = area_of(films, name, draw()) or 0.5 end
    return with_interval(area_of(films, name), interval(values))
end

local function count(films, name)
    local positives = 0
    for _, film in ipairs(films) do positives = positives + (film.labels[name] == 1 and 1 or 0) end
    return positives
end

local films = ARMS[1].films
for _, arm in ipairs(ARMS) do
    assert(#arm.films == #films, "the runs are of different films")
    for i, film in ipairs(arm.films) do assert(film.path == films[i].path, "the runs are of different folds") end
end
print(("%d films of patients that the network has not seen, in five folds\n"):format(#films))
local titles = {}
for a, arm in ipairs(ARMS) do titles[a] = arm.title end
print(("| finding | films with it | %s | CheXNet, of 112,120 films |"):format(table.concat(titles, " | ")))
print(("|---|---|---%s|"):format(("|---"):rep(#ARMS)))
for _, name in ipairs(FINDINGS) do
    local cells = {name, count(films, name)}
    for _, arm in ipairs(ARMS) do cells[#cells + 1] = area_words(arm.films, name) end
    cells[#cells + 1] = CHEXNET[name] and ("%.3f"):format(CHEXNET[name]) or "–"
    print("| " .. table.concat(cells, " | ") .. " |")
end
local BESIDE <const> = { -- arms whose means are compared
    {2, 1, "ImageNet's weights, more than from nothing"}, {3, 2, "all layers, more than the last alone"},
    {4, 2, "all sets, more than ChestX-ray14 alone"},
}
local draw, macros, differences = resampled(films), {}, {}
for a in ipairs(ARMS) do macros[a] = {} end
for d in ipairs(BESIDE) do differences[d] = {} end
for k = 1, args.resamples do
    local times = draw()
    for a, arm in ipairs(ARMS) do macros[a][k] = macro(arm.films, times) or 0.5 end
    for d, of in ipairs(BESIDE) do differences[d][k] = macros[of[1]][k] - macros[of[2]][k] end
end
local cells, sum, known = {"**mean of the fourteen**", ""}, 0, 0
for a, arm in ipairs(ARMS) do cells[#cells + 1] = with_interval(macro(arm.films), interval(macros[a])) end
for _, area in pairs(CHEXNET) do sum, known = sum + area, known + 1 end
cells[#cells + 1] = ("%.3f"):format(sum / known)
print("| " .. table.concat(cells, " | ") .. " |")
for d, of in ipairs(BESIDE) do
    local low, high = interval(differences[d])
    print(("\n%s: %+.3f [%+.3f, %+.3f]"):format(of[3], macro(ARMS[of[1]].films) - macro(ARMS[of[2]].films), low, high))
end

-- ---- thresholds and calibration of the last -------------------------------------------------------------------

-- Both are fitted to the other folds.
local last = ARMS[#ARMS].films
local sensible = {}
for _, name in ipairs(FINDINGS) do
    local called = {[0] = {}, [1] = {}}
    for fold = 1, 5 do
        local logits, labels = {}, {}
        for _, film in ipairs(last) do
            if film.fold ~= fold then
                logits[#logits + 1], labels[#labels + 1] = film.logits[name], film.labels[name]
            end
        end
        local fitted = lx.calibration.fit(logits, labels)
        for i, logit in ipairs(logits) do logits[i] = lx.calibration.probability(fitted, logit) end
        local threshold = lx.metrics.youden(logits, labels)
        for _, film in ipairs(last) do
            if film.fold == fold then
                film.p = film.p or {}
                film.p[name] = lx.calibration.probability(fitted, film.logits[name])
                local label = film.labels[name]
                if called[label] then table.insert(called[label], (film.p[name] >= threshold) == (label == 1)) end
            end
        end
    end
    sensible[name] = called
end
local function share(flags)
    local right = 0
    for i, flag in ipairs(flags) do
        right, flags[i] = right + (flag and 1 or 0), flag and 1 or 0
    end
    local low, high = lx.metrics.share_interval(flags, nil, {n = args.resamples})
    return with_interval(right / #flags, low and low < high and low or nil, high) -- all agree: nothing to draw from
end
print "\nwith all sets, thresholds (Youden's) and calibration (Platt's) of the other folds:\n"
print "| finding | sensitivity | specificity | Brier score | of the share alone | calibration error | by chance |"
print "|---|---|---|---|---|---|---|"
for _, name in ipairs(FINDINGS) do
    local p, labels, groups = columns(last, name, "p")
    local report = lx.metrics.report(p, labels, {groups = groups, n = 100})
    local prior = report.positives / report.n
    print(("| %s | %s | %s | %.4f | %.4f | %.3f | %.3f |"):format(name, share(sensible[name][1]),
        share(sensible[name][0]), report.brier, prior * (1 - prior), report.ece, report.ece_calibrated.mean))
end

-- ---- subgroups ------------------------------------------------------------------------------------------------

local about = {}
for _, row in ipairs(assert(csv.read(args.nih .. "/labels.csv"))) do about[row.image] = row end
local function row_of(film) return about[film.path:match("[^/]*$")] end
local GROUPS <const> = {
    {"women", function(row) return row.sex == "F" end}, {"men", function(row) return row.sex == "M" end},
    {"to 39 years", function(row) return tonumber(row.age) < 40 end},
    {"40 to 59", function(row) return tonumber(row.age) >= 40 and tonumber(row.age) < 60 end},
    {"60 and older", function(row) return tonumber(row.age) >= 60 end},
    {"PA", function(row) return row.view == "PA" end}, {"AP", function(row) return row.view == "AP" end},
}
local FEWEST <const> = 5 -- films with a finding, below which its area in a group is left out of the mean
print "\n| films | number | mean area of findings with 5 films or more | how many findings |"
print "|---|---|---|---|"
for _, group in ipairs(GROUPS) do
    local own, names = {}, {}
    for _, film in ipairs(last) do
        if group[2](row_of(film)) then own[#own + 1] = film end
    end
    for _, name in ipairs(FINDINGS) do
        local n = count(own, name)
        if CHEXNET[name] and n >= FEWEST and n < #own then names[#names + 1] = name end
    end
    local function mean(times)
        local total, n = 0, 0
        for _, name in ipairs(names) do
            local area = area_of(own, name, times)
            if area then total, n = total + area, n + 1 end
        end
        return n > 0 and total / n or nil
    end
    local values, again = {}, resampled(own)
    for k = 1, args.resamples do
        values[k] = mean(again()) or 0.5
    end
    print(("| %s | %d | %s | %d |"):format(group[1], #own, with_interval(mean(), interval(values)), #names))
end
