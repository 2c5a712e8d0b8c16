--- A network of films and a network of words learn what belongs together (ConVIRT, Zhang et al. 2020; CLIP, Radford et
--- al. 2021), on phantoms with reports from templates; then findings are told on held-back films by sentences alone
--- ("zero-shot"), and films and reports are found by each other. Usage:
--- lua5.4 contrastive.lua [--films N] [--epochs N] [--size N] [--seed N] [--test N] [--device NAME] [--pictures FILE]
--- [--maps NAME]
--
-- Held back are films, pairs of findings and ways to say things: see phantoms.lua. Nothing is chosen by held-back ones.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local core = require "luxel.core"
local lx = require "luxel"
local phantoms = require "phantoms"
local random = require "luxel.random"
local ReportEncoder = require "encoder"
local nn, F = lx.nn, lx.nn.functional

local parser = argparse("contrastive.lua", "Learns films and reports together, on phantoms.")
parser:option("--device", "What to compute on.", "auto")
parser:option("--explain", "Method of lx.explain for heat maps.", "layer_cam"):choices(lx.explain.METHODS)
parser:option("--maps", "Beginning of the names of files for sheets of heat maps.")
parser:option("--pictures", "File for a sheet of phantoms, to look at.")
for _, number in ipairs {
    {"films", 3000}, {"epochs", 20}, {"size", 64}, {"batch", 64}, {"seed", 1}, {"test", 400}, {"resamples", 500},
} do
    parser:option("--" .. number[1], nil, tostring(number[2])):convert(math.tointeger)
end
local args = parser:parse()
local device = assert(lx.device(args.device)).label

local WIDTH <const>, LENGTH <const> = 64, 80 -- of vectors, and tokens of a report
local MEAN <const>, STD <const> = 127.5, 64
local MOST <const> = 5 -- what is looked at of a list

lx.manual_seed(args.seed)
local train = phantoms.make {n = args.films, size = args.size, seed = args.seed, held_back = false}
local test = phantoms.make {n = args.test, size = args.size, seed = args.seed + 1000003, held_back = true}
if args.pictures then
    local sheet = {}
    for row = 0, 3 do
        local films = {}
        for i = 1, 6 do films[i] = test.images:select(1, 6 * row + i) end
        sheet[row + 1] = lx.cat(films, 3)
    end
    assert(lx.vision.save(args.pictures, lx.cat(sheet, 2)))
end
local tokenizer = lx.text.tokenizer(train.reports, {vocabulary = 600})
local films = lx.models.cnn {size = args.size, outputs = WIDTH}
local reports = ReportEncoder(tokenizer.size, {width = WIDTH, length = LENGTH})
local scale = nn.Parameter(lx.tensor {math.log(0.1)}) -- of the temperature, which is learnt
films:to(device)
reports:to(device)
scale = nn.Parameter(scale:detach():to(device))

local function tokens_of(texts)
    local tokens, _, cut = tokenizer:batch(texts, {length = LENGTH, device = device})
    assert(cut == 0, "a report is longer than " .. LENGTH .. " tokens")
    return tokens, tokens:eq(tokenizer.pad)
end

local function picked(images, places)
    local x = core.cast(images:index_select(1, lx.tensor(places, {dtype = "int32"})), "float32")
    return ((x - MEAN) / STD):to(device)
end

-- Vectors of length 1, on the cpu.
local function unit(rows) return (rows / rows:square():sum({2}, true):sqrt()):to("cpu") end

local function in_parts(count, f)
    local parts = {}
    for first = 1, count, 100 do
        local places = {}
        for i = first, math.min(first + 99, count) do places[#places + 1] = i end
        parts[#parts + 1] = unit(f(places))
    end
    return lx.cat(parts, 1)
end

local function films_of(set)
    return in_parts(#set.reports, function(places) return films(picked(set.images, places)) end)
end

local function reports_of(texts)
    return in_parts(#texts, function(places)
        local some = {}
        for i, place in ipairs(places) do some[i] = texts[place] end
        return reports(tokens_of(some))
    end)
end

-- ---- figures --------------------------------------------------------------------------------------------------

-- The mean of what `f` gives for resampled places, and where 95 % of them are.
local function interval(count, f)
    local stream, values = random.stream(args.seed, 7), {}
    for k = 1, args.resamples do
        local places = {}
        for i = 1, count do places[i] = stream:integer(count) end
        values[k] = f(places)
    end
    table.sort(values)
    local function at(share) return values[math.max(1, math.min(#values, math.floor(share * #values + 0.5)))] end
    return at(0.025), at(0.975)
end

local function auc_of(scores, labels, places)
    if not places then return lx.metrics.auc(scores, labels) end
    local s, l = {}, {}
    for i, place in ipairs(places) do s[i], l[i] = scores[place], labels[place] end
    return lx.metrics.auc(s, l)
end

-- For each finding how much nearer a film is to sentences that say it than to sentences that deny it; and the
-- difference of their vectors.
local function zero_shot(vectors)
    local stream, scores, directions = random.stream(args.seed, 11), {}, {}
    for _, name in ipairs(phantoms.FINDINGS) do
        local means = {}
        for k, present in ipairs {true, false} do
            local sentences = {}
            for i = 1, 24 do
                local zones, placed = {"upper", "middle", "lower"}, name == "opacity" or name == "nodule"
                sentences[i] = phantoms.sentence(stream, {
                    name = name, side = name ~= "enlarged heart" and ({"left", "right"})[i % 2 + 1] or nil,
                    zone = placed and zones[i % 3 + 1] or nil,
                }, present, true)
            end
            means[k] = unit(reports_of(sentences):mean({1}, true))
        end
        directions[name] = means[1] - means[2]
        scores[name] = vectors:matmul(directions[name]:t()):flatten():totable()
    end
    return scores, directions
end

local function mean_auc(scores, places)
    local sum = 0
    for _, name in ipairs(phantoms.FINDINGS) do sum = sum + (auc_of(scores[name], test.labels[name], places) or 0.5) end
    return sum / #phantoms.FINDINGS
end

-- For each row of similarities whether its partner is among the first; partners that say the same share a place.
local function found(similarities)
    local hits = {}
    for i, row in ipairs(similarities:totable()) do
        local before, same = 0, 0
        for k, value in ipairs(row) do
            if value > row[i] then before = before + 1 elseif k ~= i and value == row[i] then same = same + 1 end
        end
        hits[i] = before + same / 2 < MOST and 1 or 0
    end
    return hits
end

local function share(hits, places)
    local sum = 0
    for i = 1, #hits do sum = sum + hits[places and places[i] or i] end
    return sum / #hits
end

local function judge()
    return lx.no_grad(function()
        films:eval()
        reports:eval()
        local vectors, words = films_of(test), reports_of(test.reports)
        films:train()
        reports:train()
        local scores, directions = zero_shot(vectors)
        return scores, vectors:matmul(words:t()), directions
    end)
end

-- ---- training -------------------------------------------------------------------------------------------------

local parameters = films:parameters()
for _, parameter in ipairs(reports:parameters()) do parameters[#parameters + 1] = parameter end
parameters[#parameters + 1] = scale
local optimizer = lx.optim.AdamW(parameters, {lr = 1e-3, weight_decay = 0.01})
local steps = args.films // args.batch
local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {
    warmup = math.max(1, steps * args.epochs // 10), total = math.max(2, steps * args.epochs),
})
print(("%d films with reports, %d held back; %d tokens; on %s"):format(args.films, args.test, tokenizer.size, device))
print("for example: " .. train.reports[1])
print("held back: " .. test.reports[1])
print(("before training: macro AUC %.3f"):format(mean_auc((judge()))))

local began = core.now()
for epoch = 1, args.epochs do
    local order, sum = lx.randperm(args.films):totable(), 0
    for step = 1, steps do
        local places, texts = table.move(order, (step - 1) * args.batch + 1, step * args.batch, 1, {}), {}
        for i, place in ipairs(places) do texts[i] = train.reports[place] end
        optimizer:zero_grad()
        local loss = F.clip_loss(films(picked(train.images, places)), reports(tokens_of(texts)), {
            temperature = scale:exp():clamp(0.01, 1),
        })
        loss:backward()
        optimizer:step()
        scheduler:step()
        sum = sum + loss:item()
    end
    local taken = core.now() - began
    print(("epoch %d of %d  loss %.4f  temperature %.3f  %.0f s, about %.0f s to go"):format(epoch, args.epochs,
        sum / steps, math.exp(scale:item()), taken, taken / epoch * (args.epochs - epoch)))
    io.stdout:flush()
end

-- ---- what it is worth -----------------------------------------------------------------------------------------

local scores, similarities, directions = judge()
print(("\nzero-shot on %d held-back films, by held-back sentences (95 %% intervals: bootstrap by film):"):format(
    args.test))
for _, name in ipairs(phantoms.FINDINGS) do
    local low, high = interval(args.test, function(places)
        return auc_of(scores[name], test.labels[name], places) or 0.5
    end)
    print(("  %-16s AUC %.3f [%.3f, %.3f]"):format(name, auc_of(scores[name], test.labels[name]) or 0 / 0, low, high))
end
local low, high = interval(args.test, function(places) return mean_auc(scores, places) end)
print(("  %-16s AUC %.3f [%.3f, %.3f]"):format("macro", mean_auc(scores), low, high))
for _, way in ipairs {{"a film's report", similarities}, {"a report's film", similarities:t()}} do
    local hits = found(way[2])
    low, high = interval(args.test, function(places) return share(hits, places) end)
    print(("%s among the first %d of %d: %.3f [%.3f, %.3f], by chance %.4f"):format(way[1], MOST, args.test,
        share(hits), low, high, MOST / args.test))
end

-- Where a word is: the map of the similarity to it, of films that have the finding at a side.
print(("\nheat maps of words (%s): the peak is in the half of the picture where the finding was drawn:"):format(
    args.explain))
for _, name in ipairs(phantoms.FINDINGS) do
    local places, sides = {}, {}
    for i, findings in ipairs(test.findings) do
        for _, finding in ipairs(findings) do
            if finding.name == name and finding.side then places[#places + 1], sides[#sides + 1] = i, finding.side end
        end
    end
    if #places > 0 then
        local net = lx.explain.similarity(films, directions[name]:to(device))
        local maps, right = lx.explain[args.explain](net, picked(test.images, places), {class = 1}), {}
        for i, side in ipairs(sides) do
            local x = (maps:select(1, i):flatten():argmax():item() - 1) % args.size
            right[i] = (x < args.size / 2) == (side == "right") and 1 or 0 -- the patient's right is on the left
        end
        low, high = interval(#right, function(some) return share(right, some) end)
        print(("  %-16s %.3f [%.3f, %.3f] of %d, by chance 0.5"):format(name, share(right), low, high, #right))
        if args.maps then
            local sheet = {}
            for i = 1, math.min(6, #places) do
                sheet[i] = lx.explain.overlay(test.images:select(1, places[i]), maps:select(1, i))
            end
            assert(lx.vision.save(("%s-%s.png"):format(args.maps, name:gsub(" ", "-")), lx.cat(sheet, 3)))
        end
    end
end
print("These are drawn phantoms with reports from templates: the figures say nothing of patients.")
print(lx.predictor.NOTICE)
