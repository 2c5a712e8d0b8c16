--- Labels of radiographs turned into sentences, and learnt together with the films: a network of words, and a last
--- layer on ImageNet's features of films (F.clip_loss), in folds by patient. Usage:
--- lua5.4 nih.lua --nih DIR --weights FILE [--folds N] [--epochs N] [--size N] [--seed N]
--
-- DIR has labels.csv with the columns of ChestX-ray14 and images/; FILE is what `luxel weights efficientnet-lite0`
-- fetches. Finding the labels again by sentences is circular: the sentences are made of them, and say nothing that
-- the columns do not. It shows that the way from films to words works on films, and what it loses beside learning the
-- labels themselves (findings.lua). Images that models are only judged on, and others of their patients, are left out.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local lx = require "luxel"
local random = require "luxel.random"
local ReportEncoder = require "encoder"
local nn, F = lx.nn, lx.nn.functional

local parser = argparse("nih.lua", "Learns films and sentences made of their labels.")
for _, name in ipairs {"nih", "weights"} do parser:option("--" .. name):count(1) end
for _, number in ipairs {
    {"folds", 5}, {"epochs", 10}, {"size", 160}, {"batch", 64}, {"seed", 1}, {"resamples", 500},
} do
    parser:option("--" .. number[1], nil, tostring(number[2])):convert(math.tointeger)
end
local args = parser:parse()
local WIDTH <const>, LENGTH <const>, MOST <const> = 64, 96, 5

local FINDINGS <const> = {
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
}
local SAID <const> = {"There is %s.", "%s is seen.", "The film shows %s.", "Findings: %s."}
local DENIED <const> = {"There is no %s.", "No %s.", "%s is not seen.", "The film does not show %s."}
local NORMAL <const> = {"Normal film.", "No finding.", "The lungs are clear."}

local function words_of(name) return (name:lower():gsub("_", " ")) end

local function sentence(stream, forms, name) return forms[stream:integer(#forms)]:format(words_of(name)) end

-- What is there, and some of what is not, in any order.
local function report_of(labels, stream)
    local out = {}
    for k, name in ipairs(FINDINGS) do
        if labels[k] == 1 then out[#out + 1] = sentence(stream, SAID, name)
        elseif labels[k] == 0 and stream:uniform(0, 1) < 0.15 then out[#out + 1] = sentence(stream, DENIED, name) end
    end
    local any = false
    for _, label in ipairs(labels) do any = any or label == 1 end
    if not any then out[#out + 1] = NORMAL[stream:integer(#NORMAL)] end
    for i = #out, 2, -1 do
        local k = stream:integer(i)
        out[i], out[k] = out[k], out[i]
    end
    return table.concat(out, " ")
end

-- ---- films ----------------------------------------------------------------------------------------------------

local frame = assert(lx.data.frame(args.nih .. "/labels.csv", {
    path = "image", root = args.nih .. "/images", labels = FINDINGS, patient = "patient_id", uncertain = "ignore",
}))
local outside = {}
for i = 1, #frame do
    if lx.data.outside(frame.path[i]) then outside[frame.group[i]] = true end
end
local set = assert(frame:filter(function(row) return not outside[row.group] end):load {size = args.size})
local backbone = assert(lx.models.efficientnet_lite0 {
    size = args.size, outputs = 1, pretrained = args.weights, head = "replace",
})
local about = backbone.pretrained
local _, features = lx.train.predict(backbone, set, {features = true, mean = about.mean, std = about.std})
local labels, places = set.labels:totable(), {}
for i, path in ipairs(set.paths) do places[path] = i end

-- ---- one fold -------------------------------------------------------------------------------------------------

local function unit(rows) return rows / rows:square():sum({2}, true):sqrt() end

local function places_of(part)
    local out = {}
    for i, path in ipairs(part.paths) do out[i] = places[path] end
    return out
end

local function rows_of(list) return features:index_select(1, lx.tensor(list, {dtype = "int32"})) end

-- Scores of held-back films for each finding, and the place of each film's own report among all held-back ones.
local function learn(fold, number)
    local train, test, stream = places_of(fold.train), places_of(fold.val), random.stream(args.seed, 20 + number)
    lx.manual_seed(args.seed)
    local known = {}
    for i, place in ipairs(train) do known[i] = report_of(labels[place], stream) end
    local tokenizer = lx.text.tokenizer(known, {vocabulary = 400})
    local films, reports = nn.Linear(features.shape[2], WIDTH), ReportEncoder(tokenizer.size, {
        width = WIDTH, length = LENGTH,
    })
    local scale = nn.Parameter(lx.tensor {math.log(0.1)})
    local function vectors_of(texts)
        local tokens, _, cut = tokenizer:batch(texts, {length = LENGTH})
        assert(cut == 0, "a report is longer than " .. LENGTH .. " tokens")
        return reports(tokens, tokens:eq(tokenizer.pad))
    end
    local parameters = films:parameters()
    for _, parameter in ipairs(reports:parameters()) do parameters[#parameters + 1] = parameter end
    parameters[#parameters + 1] = scale
    local optimizer = lx.optim.AdamW(parameters, {lr = 1e-3, weight_decay = 0.01})
    local sum, steps = 0, #train // args.batch
    for _ = 1, args.epochs do
        local order = lx.randperm(#train):totable()
        sum = 0
        for step = 1, steps do
            local some, texts = {}, {}
            for i = 1, args.batch do
                some[i] = train[order[(step - 1) * args.batch + i]]
                texts[i] = report_of(labels[some[i]], stream) -- said otherwise each time
            end
            optimizer:zero_grad()
            local loss = F.clip_loss(films(rows_of(some)), vectors_of(texts), {
                temperature = scale:exp():clamp(0.01, 1),
            })
            loss:backward()
            optimizer:step()
            sum = sum + loss:item()
        end
    end
    reports:eval()
    return lx.no_grad(function()
        local found, own, scores, texts = unit(films(rows_of(test))), {}, {}, {}
        for k, name in ipairs(FINDINGS) do
            local said, denied = {}, {}
            for i, form in ipairs(SAID) do said[i], denied[i] = form:format(words_of(name)), DENIED[i]:format(words_of(
                name)) end
            local direction = unit(vectors_of(said)):mean({1}, true) - unit(vectors_of(denied)):mean({1}, true)
            scores[k] = found:matmul(direction:t()):flatten():totable()
        end
        for i, place in ipairs(test) do texts[i] = report_of(labels[place], stream) end
        local near = found:matmul(unit(vectors_of(texts)):t()):totable()
        for i, row in ipairs(near) do
            local before = 0
            for k, value in ipairs(row) do before = before + (k ~= i and value >= row[i] and 1 or 0) end
            own[i] = before < MOST and 1 or 0
        end
        print(("fold %d: loss %.3f, %d films and reports held back"):format(number, sum / steps, #test))
        return {scores = scores, hits = own, places = test}
    end)
end

local folds = {}
for k, fold in ipairs(assert(set:folds(args.folds, {seed = args.seed}))) do folds[k] = learn(fold, k) end

-- ---- what it is worth -----------------------------------------------------------------------------------------

-- Of pairs of films in the same fold. drawn: by fold places of films, all by default.
local function area_of(k, drawn)
    local sum, all = 0, 0
    for number, fold in ipairs(folds) do
        local scores, truth, positives = {}, {}, 0
        for i = 1, #fold.places do
            local at = drawn and drawn[number][i] or i
            scores[i], truth[i] = fold.scores[k][at], labels[fold.places[at]][k]
            positives = positives + truth[i]
        end
        local pairs_here = positives * (#scores - positives)
        if pairs_here > 0 then
            sum, all = sum + pairs_here * lx.metrics.auc(scores, truth), all + pairs_here
        end
    end
    return all > 0 and sum / all or 0.5
end

local function mean_area(drawn)
    local sum = 0
    for k = 1, #FINDINGS do sum = sum + area_of(k, drawn) end
    return sum / #FINDINGS
end

local stream, values = random.stream(args.seed, 7), {}
for k = 1, #FINDINGS + 1 do values[k] = {} end
for n = 1, args.resamples do
    local drawn = {}
    for number, fold in ipairs(folds) do
        drawn[number] = {}
        for i = 1, #fold.places do drawn[number][i] = stream:integer(#fold.places) end
    end
    for k = 1, #FINDINGS do values[k][n] = area_of(k, drawn) end
    values[#FINDINGS + 1][n] = mean_area(drawn)
end

local function interval(list)
    table.sort(list)
    local function at(share) return list[math.max(1, math.min(#list, math.floor(share * #list + 0.5)))] end
    return at(0.025), at(0.975)
end

print "\ntold by sentences, of patients that are held back (95 % intervals: bootstrap by film):"
for k, name in ipairs(FINDINGS) do
    print(("  %-20s AUC %.3f [%.3f, %.3f]"):format(name, area_of(k), interval(values[k])))
end
print(("  %-20s AUC %.3f [%.3f, %.3f]"):format("mean", mean_area(), interval(values[#FINDINGS + 1])))
local hits, count = {}, 0
for _, fold in ipairs(folds) do
    for _, hit in ipairs(fold.hits) do hits[#hits + 1] = hit end
    count = count + #fold.places
end
local found = lx.metrics.mean(hits, {n = args.resamples})
print(("a film's report among the first %d of its fold: %.3f [%.3f, %.3f], by chance %.3f"):format(MOST, found.mean,
    found.low or found.mean, found.high or found.mean, MOST * #folds / count))
print("The sentences are made of the labels: finding these again is circular.")
print(lx.predictor.NOTICE)
