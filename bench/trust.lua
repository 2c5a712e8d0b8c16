--- What a model is worth at home and outside, beside another one: the figures of docs/trust.md.
--
--     lua5.4 bench/trust.lua --model M --beside QUICK --home CHEST_XRAY --shift CHEST_XRAY_SHIFT --nih NIH
--         [--covid COVID_GB_BOXES --masks LUNG_MASKS]
--
-- At home are the images of patients that the model has not seen, on which its epoch may have been chosen. Looking at
-- the outside is no way to choose: every look belongs into docs/trust.md.

local argparse = require "argparse"
local csv = require "luxel.io.csv"
local lx = require "luxel"
local options = require "luxel.command.options"
local random = require "luxel.random"

local COVERAGE <const>, HALVES <const>, RESAMPLES <const> = 0.95, 100, 2000

local parser = argparse("trust.lua", "What a model is worth at home and outside.")
parser:option("--model", "Model file."):count(1)
parser:option("--beside", "Model file to compare it with."):count(1)
parser:option("--home", "Images of the training's hospital."):count(1)
parser:option("--shift", "Labelled images of another device, in class folders."):count(1)
parser:option("--nih", "ChestX-ray14 with labels.csv and rsna_status.csv."):count(1)
parser:option("--covid", "Images of disease alone, with images.csv.")
parser:option("--masks", "More of these, some of them the same.")

-- ---- images -----------------------------------------------------------------------------------------------------

local function frame_of_folder(dir)
    return options.must(lx.data.image_folder(dir)):filter(function(row) return row.part ~= "test" end)
end

-- Grown patients whom radiologists called normal, or saw an opacity in; of one view.
local function adults(nih, view)
    local status, rows = {}, {}
    for _, row in ipairs(assert(csv.read(nih .. "/rsna_status.csv"))) do status[row.image] = row.rsna_class end
    for _, row in ipairs(assert(csv.read(nih .. "/labels.csv"))) do
        local class = status[row.image]
        local meant = tonumber(row.age) >= 18 and (not view or row.view == view)
        if meant and (class == "Normal" or class == "Lung Opacity") then
            rows[#rows + 1] = {path = nih .. "/images/" .. row.image, label = class, patient = row.patient_id}
        end
    end
    return options.must(lx.data.frame(rows, {positive = "Lung Opacity", label = "label"}))
end

-- Frontal images of disease, those that are in both sets once; a patient is a source.
local function diseased(covid, masks)
    local rows, seen = {}, {}
    for _, dir in ipairs {covid, masks} do
        for _, row in ipairs(assert(csv.read(dir .. "/images.csv"))) do
            if row.view ~= "L" and not seen[row.image] then
                seen[row.image] = true
                rows[#rows + 1] = {path = dir .. "/images/" .. row.image, label = "ill", patient = row.url}
            end
        end
    end
    return options.must(lx.data.frame(rows, {classes = {"well", "ill"}, positive = "ill", label = "label"}))
end

-- ---- answers ----------------------------------------------------------------------------------------------------

-- What a model answers for a frame: probabilities, labels, logits, and how it doubts.
local function ask(model, frame, unseen)
    local dataset = options.load_for(frame, model)
    if unseen then dataset = lx.data.unseen(dataset, unseen) end
    local answers = {dataset = dataset, labels = dataset.labels:totable(), groups = dataset.groups, doubts = {},
        margins = {}, uncertain = {}, wrong = {}}
    local judgements
    answers.p, judgements = model:judge(dataset)
    options.must(answers.p, judgements)
    answers.logits = options.must(model:logits(dataset))
    local function odds(p) return math.log(math.max(p, 1e-12) / math.max(1 - p, 1e-12)) end
    for i, p in ipairs(answers.p) do
        answers.doubts[i], answers.uncertain[i] = judgements[i].doubt, judgements[i].uncertain and 1 or 0
        answers.margins[i] = -math.abs(odds(p) - odds(model.threshold))
        answers.wrong[i] = (p >= model.threshold) == (answers.labels[i] == 1) and 0 or 1
    end
    return answers
end

local function share(flags, groups)
    local sum = 0
    for _, flag in ipairs(flags) do sum = sum + flag end
    local low, high = lx.metrics.share_interval(flags, groups)
    return ("%.3f%s"):format(sum / #flags, low and (" [%.3f, %.3f]"):format(low, high) or "")
end

local function say_figures(words, model, answers)
    local M, p, labels = lx.metrics, answers.p, answers.labels
    local area, expected = M.delong(p, labels), M.calibrated_ece(p, labels)
    local right = {}
    for i, wrong in ipairs(answers.wrong) do right[i] = 1 - wrong end
    print(("  %-7s AUC %.3f [%.3f, %.3f], accuracy %s, sensitivity %.3f, specificity %.3f, Brier %.3f, log loss %.3f, "
        .. "ECE %.3f (by chance %.3f), uncertain %.3f"):format(words, area.auc, area.low, area.high,
        share(right, answers.groups), M.sensitivity(p, labels, model.threshold),
        M.specificity(p, labels, model.threshold), M.brier(p, labels), M.log_loss(p, labels), M.ece(p, labels),
        expected.mean, lx.tensor(answers.uncertain):mean():item()))
end

-- Whether doubting orders the wrong answers better than the distance to the threshold alone.
local function say_doubt(answers)
    local function area(doubts, wrong) return (lx.metrics.aurc(doubts, wrong)) end
    local found = lx.metrics.paired_bootstrap(area, answers.doubts, answers.margins, answers.wrong, {
        groups = answers.groups, n = RESAMPLES,
    })
    local all, few = lx.metrics.risk_at_coverage(answers.doubts, answers.wrong, 1),
        lx.metrics.risk_at_coverage(answers.doubts, answers.wrong, 0.8)
    print(("  doubt   area under risk and coverage %s; error %.3f of all, %.3f of the 80 %% least doubted (%.2f of it)"
        ):format(found and ("%.4f, by the distance alone %.4f, difference %+.4f [%+.4f, %+.4f]"):format(found.a,
        found.b, found.difference, found.low, found.high) or "n/a", all, few, few / all))
end

-- ---- conformal sets -----------------------------------------------------------------------------------------------

local function pick(list, places)
    local out = {}
    for i, place in ipairs(places) do out[i] = list[place] end
    return out
end

-- Coverage on one half of the patients of sets that were fitted on the other, over random halves.
local function say_halves(answers)
    local patients, images = {}, {}
    for i, group in ipairs(answers.groups) do
        if not images[group] then patients[#patients + 1], images[group] = group, {} end
        table.insert(images[group], i)
    end
    local coverages, sizes = {}, {}
    for half = 1, HALVES do
        local parts = {{}, {}}
        for place, at in ipairs(random.stream(1, half):permutation(#patients)) do
            local part = parts[place % 2 + 1]
            table.move(images[patients[at]], 1, #images[patients[at]], #part + 1, part)
        end
        local fitted = lx.conformal.fit(pick(answers.p, parts[1]), pick(answers.labels, parts[1]))
        local found = lx.conformal.evaluate(lx.conformal.sets(fitted, pick(answers.p, parts[2]), COVERAGE),
            pick(answers.labels, parts[2]))
        coverages[half], sizes[half] = found.coverage, found.size
    end
    local coverage, size = lx.metrics.mean(coverages), lx.metrics.mean(sizes)
    print(("  conformal sets at %.0f %%, fitted on one half, tried on the other, %d times: coverage %.4f, size %.3f"
        ):format(100 * COVERAGE, HALVES, coverage.mean, size.mean))
end

local function say_coverage(home, answers)
    local fitted = lx.conformal.fit(home.p, home.labels)
    local found = lx.conformal.evaluate(lx.conformal.sets(fitted, answers.p, COVERAGE), answers.labels)
    print(("  conformal sets fitted at home, at %.0f %%: coverage %.3f, size %.3f"):format(100 * COVERAGE,
        found.coverage, found.size))
end

-- ---- what the border tells ----------------------------------------------------------------------------------------

local function correlation(a, b)
    local x, y = lx.tensor(a), lx.tensor(b)
    x, y = x - x:mean(), y - y:mean()
    return (x * y):sum():item() / math.sqrt(x:square():sum():item() * y:square():sum():item())
end

-- Of the network's logit with that of the border, among images without disease.
local function say_border(words, probe, answers)
    local border, own, theirs = assert(probe:score(answers.dataset)), {}, {}
    for i, label in ipairs(answers.labels) do
        if label == 0 then own[#own + 1], theirs[#theirs + 1] = answers.logits[i], border[i] end
    end
    local values, stream = {}, random.stream(1, 1)
    for k = 1, RESAMPLES do
        local a, b = {}, {}
        for i = 1, #own do
            local at = stream:integer(#own)
            a[i], b[i] = own[at], theirs[at]
        end
        values[k] = correlation(a, b)
    end
    table.sort(values)
    print(("  %-7s correlation of its logit with the border's among %d normals: %+.3f [%+.3f, %+.3f]"):format(words,
        #own, correlation(own, theirs), values[RESAMPLES // 40], values[RESAMPLES - RESAMPLES // 40]))
end

-- ---- the program --------------------------------------------------------------------------------------------------

options.main(function()
    local args = options.parse(parser)
    local model, beside = options.must(lx.predictor.open(args.model)), options.must(lx.predictor.open(args.beside))
    local frames = {
        {"home", frame_of_folder(args.home), home = true}, {"shift", frame_of_folder(args.shift)},
        {"adults", adults(args.nih)}, {"adults, AP", adults(args.nih, "AP")}, {"adults, PA", adults(args.nih, "PA")},
    }
    local home, shifted
    for _, frame in ipairs(frames) do
        local known = frame.home and model.metadata.trained_on
        local found = ask(model, frame[2], known)
        print(("%s: %d images, %d of %s"):format(frame[1], #found.p, lx.tensor(found.labels):sum():item(),
            frame[2].classes[2]))
        say_figures("model", model, found)
        -- at home each is judged on patients of its own that it has not seen
        local other = ask(beside, frame[2], frame.home and beside.metadata.trained_on)
        say_figures("beside", beside, other)
        local test = not frame.home and lx.metrics.delong_test(found.p, other.p, found.labels)
        if test then
            local form = "  difference of the areas %+.3f [%+.3f, %+.3f], p %.4f"
            print(form:format(test.difference, test.low, test.high, test.p))
        end
        say_doubt(found)
        if frame.home then
            home = found
            say_halves(found)
        else
            say_coverage(home, found)
        end
        if frame[1] == "shift" then shifted = {found, other} end
    end
    local images = options.load(frame_of_folder(args.home), 128, false)
    local probe = assert(lx.data.border_probe(images, {resamples = 200}))
    print(tostring(probe))
    say_border("model", probe, shifted[1])
    say_border("beside", probe, shifted[2])
    if args.covid and args.masks then
        local found, other = ask(model, diseased(args.covid, args.masks)), ask(beside, diseased(args.covid, args.masks))
        for i = 1, #found.p do found.wrong[i], other.wrong[i] = 1 - found.wrong[i], 1 - other.wrong[i] end
        print(("disease alone, %d frontal films: sensitivity %s, beside %s; uncertain %s, beside %s"):format(#found.p,
            share(found.wrong, found.groups), share(other.wrong, other.groups), share(found.uncertain, found.groups),
            share(other.uncertain, other.groups)))
    end
end)
