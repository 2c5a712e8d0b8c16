--- Learns to tell lateral chest radiographs from frontal ones: the weights in lua/luxel/vision/lateral_weights.lua, and
--- the table of docs/quality.md.
--
--     lua5.4 learn_lateral.lua --views lung_masks/images.csv --images lung_masks/images --data chest_xray \
--         --test nih_cxr14=nih_cxr14/images --without rsna_status.csv --out FILE
--
-- Lateral ones are scarce, so each is judged by a classifier that saw neither it nor any other image of its source.
-- The frontal ones of --views are judged in five folds of sources, those of half of the patients of --data and of
-- --test by a classifier that saw none of them. The limit is even odds, or more where one in 200 of the frontal ones
-- that were judged so would pass it. Images of --test that --views has as well, by their names, are left out.

local argparse = require "argparse"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lateral = require "luxel.vision.lateral"
local lfs = require "lfs"
local linear_probe = require "luxel.data.linear_probe"
local lx = require "luxel"
local options = require "luxel.command.options"
local random = require "luxel.random"

local parser = argparse("learn_lateral.lua", "Learns to tell lateral radiographs from frontal ones.", options.NOTICE)
parser:option("--views", "CSV file with the columns image, view (L: lateral) and url, which is the source."):count(1)
parser:option("--images", "Folder of its images."):count(1)
parser:option("--data", "Folder with classes of frontal radiographs."):count(1)
parser:option("--test", "NAME=FOLDER of frontal radiographs to be measured on alone."):count("*")
parser:option("--without", "CSV file with the column image: of --test, those whose rsna_class is Normal or Lung "
    .. "Opacity are left out.")
parser:option("--ridge", "Weight of the squared coefficients.", "0.1"):convert(tonumber)
parser:option("--out", "Lua file for the weights."):count(1)
local args = options.parse(parser)

-- Side at which images are varied, and how many variants of each are learnt from.
local SIDE <const>, OF_LATERAL <const>, OF_FRONTAL <const> = 64, 120, 4

local vary = lx.vision.pipeline {
    {"rotate", 8}, {"shift", 0.06}, {"zoom", 0.12}, {"gamma", 0.35}, {"contrast", 0.2},
}

-- [1,64,64] of each file.
local function load(paths)
    local images = {}
    for first = 1, #paths, 64 do
        local chunk = table.move(paths, first, math.min(first + 63, #paths), 1, {})
        local decoded, ok, messages = core.decode_images(chunk, SIDE)
        for i = 1, #chunk do
            if not ok[i] then options.fail(messages[i]) end
            images[#images + 1] = decoded[i]:clone()
        end
    end
    return images
end

-- Adds the features of so many variants of each image, the first of them as it is.
local function add(rows, labels, images, label, variants)
    for i, image in ipairs(images) do
        for k = 1, variants do
            local seen = k == 1 and image or vary(image, {seed = k, index = i + 10000 * label})
            rows[#rows + 1], labels[#labels + 1] = lateral.features(seen), label
        end
    end
end

local function learn(laterals, frontals, others)
    local rows, labels = {}, {}
    add(rows, labels, laterals, 1, OF_LATERAL)
    add(rows, labels, frontals, 0, OF_FRONTAL)
    add(rows, labels, others, 0, 1)
    return linear_probe.fit(core.from_table(rows, "float32"), labels, {ridge = args.ridge})
end

local function judge(fitted, images)
    if #images == 0 then return {} end
    local rows = {}
    for i, image in ipairs(images) do rows[i] = lateral.features(image) end
    return linear_probe.score(fitted, core.from_table(rows, "float32"))
end

-- Rows of a list whose groups are, or are not, among those of `of`.
local function part(list, keep)
    local out = {}
    for _, one in ipairs(list) do
        if keep(one) then out[#out + 1] = one end
    end
    return out
end

local function images_of(list)
    local out = {}
    for i, one in ipairs(list) do out[i] = one.image end
    return out
end

-- ---- the data -------------------------------------------------------------------------------------------------

local function read_views()
    local laterals, frontals, paths, all = {}, {}, {}, {}
    for i, row in ipairs(options.must(csv.read(args.views))) do
        paths[i] = args.images .. "/" .. row.image
        all[i] = {source = row.url ~= "" and row.url or row.image, view = row.view}
    end
    for i, image in ipairs(load(paths)) do
        all[i].image = image
        table.insert(all[i].view == "L" and laterals or frontals, all[i])
    end
    return laterals, frontals
end

-- Files of --test that are in --views too, or are kept for others.
local function left_out()
    local names = {}
    for _, row in ipairs(options.must(csv.read(args.views))) do names[row.image] = true end
    for _, row in ipairs(args.without and options.must(csv.read(args.without)) or {}) do
        if row.rsna_class == "Normal" or row.rsna_class == "Lung Opacity" then names[row.image] = true end
    end
    return names
end

local function files_of(dir, without)
    local paths = {}
    for name in lfs.dir(dir) do
        if not name:find "^%." and not without[name] then paths[#paths + 1] = dir .. "/" .. name end
    end
    table.sort(paths)
    return paths
end

-- ---- measuring ------------------------------------------------------------------------------------------------

-- Wilson's interval of a share (Journal of the American Statistical Association 22:158, 1927).
local function interval(count, total)
    local z, p = 1.96, count / total
    local middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    local half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return 100 * math.max(0, middle - half), 100 * math.min(1, middle + half)
end

local function say(name, logits, limit)
    local count = 0
    for _, logit in ipairs(logits) do count = count + (logit > limit and 1 or 0) end
    print(("| %s | %d | %d | %.1f %% | %.1f – %.1f |"):format(name, #logits, count, 100 * count / #logits,
        interval(count, #logits)))
end

local laterals, frontals = read_views()
local frame = options.must(lx.data.image_folder(args.data))
local seen, unseen = frame:split {val = 0.5, seed = 1}
local others, held = load(seen.path), load(unseen.path)

-- each source is in one fold
local fold_of, sources = {}, {}
for _, one in ipairs(frontals) do
    if not fold_of[one.source] then fold_of[one.source], sources[#sources + 1] = 0, one.source end
end
for place, at in ipairs(random.stream(1):permutation(#sources)) do fold_of[sources[at]] = place % 5 + 1 end

local of_frontals, of_laterals, other_half = {}, {}, #others // 2
for fold = 1, 5 do
    local function inside(one) return fold_of[one.source] == fold end
    local held_back = part(frontals, inside)
    local fitted = learn(images_of(part(laterals, function(one) return fold_of[one.source] ~= fold end)),
        images_of(part(frontals, function(one) return not inside(one) end)), others)
    local logits = judge(fitted, images_of(held_back))
    table.move(logits, 1, #logits, #of_frontals + 1, of_frontals)
end
local done = {}
for _, one in ipairs(laterals) do
    if not done[one.source] then
        done[one.source] = true
        local function own(other) return other.source == one.source end
        local function foreign(other) return other.source ~= one.source end
        local logits = judge(learn(images_of(part(laterals, foreign)), images_of(part(frontals, foreign)), others),
            images_of(part(laterals, own)))
        table.move(logits, 1, #logits, #of_laterals + 1, of_laterals)
    end
end
local whole = learn(images_of(laterals), images_of(frontals), others)
local of_others = judge(whole, table.move(held, 1, other_half, 1, {}))
local chosen_on = table.move(of_others, 1, #of_others, #of_frontals + 1, table.move(of_frontals, 1, #of_frontals, 1,
    {}))
table.sort(chosen_on)
local limit = math.max(0, chosen_on[math.ceil(0.995 * #chosen_on)])
print("| radiographs | images | called lateral | share | 95 % interval |\n|---|---|---|---|---|")
say("lateral, each left out", of_laterals, limit)
say("frontal of the same set, in folds", of_frontals, limit)
say(args.data:match "[^/]*$" .. ", other patients", judge(whole, table.move(held, other_half + 1, #held, 1, {})), limit)
local without = left_out()
for _, test in ipairs(args.test) do
    local name, dir = test:match("^([^=]+)=(.+)$")
    if not name then options.fail("--test expects NAME=FOLDER, got " .. test) end
    say(name, judge(whole, load(files_of(dir, without))), limit)
end
table.sort(of_laterals)
local words = {}
for i, logit in ipairs(of_laterals) do words[i] = ("%.1f"):format(logit) end
print(("\nlimit %.2f; the laterals' logits: %s"):format(limit, table.concat(words, ", ")))

-- ---- the weights ----------------------------------------------------------------------------------------------

local weight, scale = whole.weight:view(-1):totable(), whole.scale:view(-1):totable()
local centre, bias = whole.centre:view(-1):totable(), weight[#weight]
local lines = {
    "--- Weights of the classifier of lateral.lua, made by examples/chest_xray/learn_lateral.lua: for the means of",
    "--- 14 x 7 pixels and their mirror images, and then for the differences, in thousandths.", "", "return {",
}
local numbers = {}
for i = 1, #scale do
    local w = weight[i] * scale[i]
    bias = bias - w * centre[i]
    numbers[#numbers + 1] = ("%d"):format(math.floor(w * 1000 + 0.5))
    if #numbers == 7 then
        lines[#lines + 1] = "    " .. table.concat(numbers, ", ") .. ","
        numbers = {}
    end
end
table.insert(lines, 5, ("    bias = %d, limit = %d,"):format(math.floor(bias * 1000 + 0.5),
    math.floor(limit * 1000 + 0.5)))
lines[#lines + 1] = "}\n"
options.must(core.write_file(args.out, {table.concat(lines, "\n")}))
