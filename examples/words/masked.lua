--- A small transformer learns the English of radiologists by guessing words that are masked (BERT, Devlin et al.
--- 2019); and whether its vectors find reports that say the same. Usage:
--- lua5.4 masked.lua REPORTS.csv [--epochs N] [--out FILE] [--seed N] [--device NAME]
--
-- REPORTS.csv has the columns uid, findings, impression and MeSH, as the Indiana collection has. It learns from the
-- reports whose uid three does not divide. Of the others the impression of each that is indexed with a finding is
-- looked for among the rest, by BM25 (lx.text.search), by the nearness of vectors, and by both; the ten best of each
-- way are judged by the share of headings that they have in common with the report (Jaccard).

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lx = require "luxel"
local random = require "luxel.random"
local ReportEncoder = require "encoder"
local nn, F = lx.nn, lx.nn.functional

local parser = argparse("masked.lua", "Learns words from their surroundings.")
parser:argument("reports", "CSV file with uid, findings, impression and MeSH.")
parser:option("--device", "What to compute on.", "auto")
parser:option("--out", "Folder for tokens and weights.")
for _, number in ipairs {
    {"epochs", 12}, {"seed", 1}, {"batch", 32}, {"vocabulary", 1500}, {"width", 64}, {"length", 96},
    {"resamples", 1000},
} do
    parser:option("--" .. number[1], nil, tostring(number[2])):convert(math.tointeger)
end
local args = parser:parse()
local device = assert(lx.device(args.device)).label
local SHARE <const>, TOP <const>, RANK <const> = 0.15, 10, 60 -- masked; judged; of reciprocal ranks

local function text_of(row) return row.findings .. " " .. row.impression end

local train, test = {}, {}
for _, row in ipairs(assert(csv.read(args.reports))) do
    if text_of(row):find("%a") then table.insert(tonumber(row.uid) % 3 == 0 and test or train, row) end
end

local function texts_of(rows)
    local out = {}
    for i, row in ipairs(rows) do out[i] = text_of(row) end
    return out
end

lx.manual_seed(args.seed)
local tokenizer = lx.text.tokenizer(texts_of(train), {vocabulary = args.vocabulary})
local net = ReportEncoder(tokenizer.size, {width = args.width, length = args.length})
local guess = nn.Linear(args.width, tokenizer.size)
net:to(device)
guess:to(device)

-- ---- masked words ---------------------------------------------------------------------------------------------

-- Tokens of texts as tables, cut to the length; what is cut off is not learnt.
local function encoded(texts)
    local out = {}
    for i, text in ipairs(texts) do out[i] = table.move(tokenizer:encode(text), 1, args.length, 1, {}) end
    return out
end

local function batch_of(lists)
    local longest, rows, padding = 1, {}, {}
    for _, list in ipairs(lists) do longest = math.max(longest, #list) end
    for i, list in ipairs(lists) do
        rows[i], padding[i] = table.move(list, 1, #list, 1, {}), {}
        for k = 1, longest do
            padding[i][k] = list[k] and 0 or 1
            rows[i][k] = rows[i][k] or tokenizer.pad
        end
    end
    return lx.tensor(rows, {dtype = "int32", device = device}),
        lx.tensor(padding, {dtype = "uint8", device = device}), longest
end

-- Of the tokens so many are to be guessed: 8 of 10 are masked, one is another token, one stays (Devlin et al. 2019).
local function masked(lists, stream)
    local changed, places, truth, longest = {}, {}, {}, 1
    for _, list in ipairs(lists) do longest = math.max(longest, #list) end
    for i, list in ipairs(lists) do
        changed[i] = table.move(list, 1, #list, 1, {})
        for k, token in ipairs(list) do
            if stream:uniform(0, 1) < SHARE then
                local how = stream:uniform(0, 1)
                if how < 0.8 then changed[i][k] = tokenizer.mask
                elseif how < 0.9 then changed[i][k] = stream:integer(tokenizer.size) end
                places[#places + 1], truth[#truth + 1] = (i - 1) * longest + k, token
            end
        end
    end
    return changed, places, truth
end

-- The logits of the words to be guessed, and what they are; nil where there are none.
local function guesses(lists, stream)
    local changed, places, truth = masked(lists, stream)
    if #places == 0 then return end
    local tokens, padding, longest = batch_of(changed)
    local x = net:each(tokens, padding):reshape(#lists * longest, args.width)
    return guess(x:index_select(1, lx.tensor(places, {dtype = "int32", device = device}))),
        lx.tensor(truth, {dtype = "int32", device = device})
end

local learnt, held_back = encoded(texts_of(train)), encoded(texts_of(test))

-- Loss and share of right guesses on reports that nothing is learnt from.
local function judge()
    net:eval()
    local sum, right, count, stream = 0, 0, 0, random.stream(args.seed, 5)
    lx.no_grad(function()
        for first = 1, #held_back, args.batch do
            local logits, truth = guesses(table.move(held_back, first, math.min(first + args.batch - 1, #held_back), 1,
                {}), stream)
            if logits then
                local n = truth.shape[1]
                sum = sum + n * F.cross_entropy(logits, truth):item()
                right = right + logits:argmax(2):eq(truth):float():sum():item()
                count = count + n
            end
        end
    end)
    net:train()
    return sum / count, right / count
end

local parameters = net:parameters()
for _, parameter in ipairs(guess:parameters()) do parameters[#parameters + 1] = parameter end
local optimizer = lx.optim.AdamW(parameters, {lr = 2e-3, weight_decay = 0.01})
local steps = math.ceil(#learnt / args.batch)
local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {
    warmup = math.max(1, steps * args.epochs // 10), total = math.max(2, steps * args.epochs),
})
local loss, right = judge()
print(("%d reports to learn from, %d held back; %d tokens; on %s"):format(#train, #test, tokenizer.size, device))
print(("before: loss %.3f, %.1f %% of the masked tokens of held-back reports are guessed"):format(loss, 100 * right))
local began, stream = core.now(), random.stream(args.seed, 3)
for epoch = 1, args.epochs do
    local order, sum = lx.randperm(#learnt):totable(), 0
    for step = 1, steps do
        local lists = {}
        for i = (step - 1) * args.batch + 1, math.min(step * args.batch, #learnt) do
            lists[#lists + 1] = learnt[order[i]]
        end
        local logits, truth = guesses(lists, stream)
        if logits then
            optimizer:zero_grad()
            local of_batch = F.cross_entropy(logits, truth)
            of_batch:backward()
            optimizer:step()
            sum = sum + of_batch:item()
        end
        scheduler:step()
    end
    loss, right = judge()
    print(("epoch %d of %d  loss %.3f  held back: loss %.3f, %.1f %% guessed  (%.0f s)"):format(epoch, args.epochs,
        sum / steps, loss, 100 * right, core.now() - began))
    io.stdout:flush()
end
if args.out then
    assert(require "luxel.make_folder"(args.out))
    assert(tokenizer:save(args.out .. "/reports.tokens"))
    assert(lx.checkpoint.save(args.out .. "/words.safetensors", net:state_dict()))
end

-- ---- looking for reports --------------------------------------------------------------------------------------

-- Vectors of unit length of texts, without what all reports have in common.
local function vectors_of(lists)
    local parts = {}
    net:eval()
    lx.no_grad(function()
        for first = 1, #lists, args.batch do
            local some = table.move(lists, first, math.min(first + args.batch - 1, #lists), 1, {})
            for i, list in ipairs(some) do
                if #list == 0 then some[i] = {tokenizer.pad} end
            end
            local tokens, padding = batch_of(some)
            parts[#parts + 1] = net:mean(tokens, padding):to("cpu")
        end
    end)
    return lx.cat(parts, 1)
end

local usual = vectors_of(learnt):mean({1}, true)
local function unit(rows)
    rows = rows - usual
    return rows / rows:square():sum({2}, true):sqrt():clamp(1e-12, math.huge)
end

local function headings_of(row)
    local set, count = {}, 0
    for heading in row.MeSH:gmatch("[^;]+") do
        local head = heading:match("^%s*([^/]*)"):lower():gsub("%s+$", "")
        if not set[head] then set[head], count = true, count + 1 end
    end
    return set, count
end

-- Reports that are indexed, and those of them that are looked for: with a finding, and with words in the impression.
local documents, sets, sizes, queries = {}, {}, {}, {}
for _, row in ipairs(test) do
    local set, count = headings_of(row)
    if not set["no indexing"] then
        documents[#documents + 1], sets[#sets + 1], sizes[#sizes + 1] = row, set, count
        if not set.normal and row.impression:find("%a") then queries[#queries + 1] = #documents end
    end
end

local function in_common(a, b)
    local both = 0
    for name in pairs(sets[a]) do both = both + (sets[b][name] and 1 or 0) end
    return both / (sizes[a] + sizes[b] - both)
end

local reports, impressions = {}, {}
for i, row in ipairs(documents) do reports[i] = {findings = row.findings, impression = row.impression} end
local search, plain = lx.text.search(reports), lx.text.search(reports, {rules = false})
for i, query in ipairs(queries) do impressions[i] = documents[query].impression end
local own = unit(vectors_of(encoded(texts_of(documents))))
local nearness = unit(vectors_of(encoded(impressions))):matmul(own:t()):totable()

-- Ranks of documents, the best first, without the report itself.
local function ranks_of_search(index, query)
    local list = {}
    for _, hit in ipairs(index(documents[query].impression, {limit = #documents}).hits) do
        if hit.report ~= query then list[#list + 1] = hit.report end
    end
    return list
end

local function ranks_of_vectors(i, query)
    local list, row = {}, nearness[i]
    for k = 1, #documents do
        if k ~= query then list[#list + 1] = k end
    end
    table.sort(list, function(a, b)
        if row[a] ~= row[b] then return row[a] > row[b] end
        return a < b
    end)
    return list
end

-- Both by reciprocal ranks (Cormack et al. 2009).
local function joined(...)
    local scores, list = {}, {}
    for _, ranks in ipairs {...} do
        for place, k in ipairs(ranks) do
            if not scores[k] then scores[k], list[#list + 1] = 0, k end
            scores[k] = scores[k] + 1 / (RANK + place)
        end
    end
    table.sort(list, function(a, b)
        if scores[a] ~= scores[b] then return scores[a] > scores[b] end
        return a < b
    end)
    return list
end

local WAYS <const> = {"any order", "BM25, words alone", "BM25 by the rules", "vectors", "BM25 by the rules and vectors"}
local found = {{}, {}, {}, {}, {}}
local order = random.stream(args.seed, 9)
for i, query in ipairs(queries) do
    local by_rules, by_vectors, any = ranks_of_search(search, query), ranks_of_vectors(i, query), {}
    while #any < TOP do
        local k = order:integer(#documents)
        if k ~= query then any[#any + 1] = k end
    end
    local lists = {any, ranks_of_search(plain, query), by_rules, by_vectors, joined(by_rules, by_vectors)}
    for way, list in ipairs(lists) do
        local sum = 0
        for k = 1, TOP do sum = sum + (list[k] and in_common(query, list[k]) or 0) end
        found[way][i] = sum / TOP
    end
end
print(("\n%d impressions looked for among %d held-back reports: headings in common with the first %d"):format(#queries,
    #documents - 1, TOP))
local function words_of(values)
    local about = lx.metrics.mean(values, {n = args.resamples})
    return ("%+.4f [%+.4f, %+.4f]"):format(about.mean, about.low or about.mean, about.high or about.mean)
end
for way, name in ipairs(WAYS) do print(("  %-30s %s"):format(name, words_of(found[way]))) end
local more = {}
for i = 1, #queries do more[i] = found[5][i] - found[3][i] end
print("  vectors beside the rules add   " .. words_of(more))
