--- Learns to tell which way round a chest radiograph is, whether it is shown inverted, and whether it is one: the
--- weights in lua/luxel/vision/quality_weights.lua. A linear classifier on a thumbnail is enough for that, and small
--- enough to read.
--
--     lua5.4 learn_quality.lua --data chest_xray --more lung_masks/images --test NAME=FOLDER ... --out FILE
--
-- Trains on 80 % of the patients of --data and of the files of --more, each turned and inverted in all eight ways,
-- and on pictures that are no whole radiograph: parts of one, shuffled ones, drawn ones. Limits are chosen on 10 %,
-- so that at most one good radiograph in 200 raises an alarm; the table is of the last 10 %, and of the folders of
-- --test.

local argparse = require "argparse"
local options = require "luxel.command.options"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local random = require "luxel.random"
local nn = lx.nn

local parser = argparse("learn_quality.lua", "Learns which way round radiographs are.", options.NOTICE)
parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/."):count(1)
parser:option("--more", "Folder of more radiographs, upright and not inverted."):count("*")
parser:option("--test", "NAME=FOLDER of radiographs to be measured on alone."):count("*")
parser:option("--others", "Folder of pictures that are no chest radiographs, to be measured on alone.")
parser:option("--out", "Lua file for the weights."):count(1)
options.add_number(parser, "--epochs", "Times to go through the images.", 12, 1, 100000, true)
local args = options.parse(parser)

-- Pixels of a side; classes are 2 * quarter turns + inverted, and the last one is anything else.
local SIDE <const>, CLASSES <const> = 14, 9
local FEATURES <const> = SIDE * SIDE

-- ---- pictures -------------------------------------------------------------------------------------------------

local function files_of(dir)
    local paths = {}
    for name in lfs.dir(dir) do
        if name:lower():find("%.jpe?g$") or name:lower():find("%.png$") or name:lower():find("%.dcm$") then
            paths[#paths + 1] = dir .. "/" .. name
        end
    end
    table.sort(paths)
    return paths
end

-- 64x64 bytes of every file that can be read.
local function load(paths)
    local images = {}
    for first = 1, #paths, 64 do
        local chunk = table.move(paths, first, math.min(first + 63, #paths), 1, {})
        local decoded, ok = core.decode_images(chunk, 64)
        for i = 1, #chunk do
            if ok[i] then images[#images + 1] = decoded[i]:clone() end
        end
    end
    return images
end

-- Training, choosing and testing parts of a list by its groups.
local function parts(paths, groups)
    local out, assigned = {{}, {}, {}}, {}
    local names = {}
    for _, group in ipairs(groups) do
        if not assigned[group] then assigned[group], names[#names + 1] = 0, group end
    end
    for place, from in ipairs(random.stream(7):permutation(#names)) do
        assigned[names[from]] = place <= 0.8 * #names and 1 or place <= 0.9 * #names and 2 or 3
    end
    for i, path in ipairs(paths) do table.insert(out[assigned[groups[i]]], path) end
    return out
end

-- A picture that is no whole radiograph, made of one or of nothing.
local function other(image, stream)
    local kind = stream:integer(6)
    if kind <= 2 then -- a part
        local side = stream:integer(14) + 14
        local x, y = stream:integer(64 - side) - 1, stream:integer(64 - side) - 1
        return lx.vision.resize(lx.vision.crop(image, {x = x, y = y, w = side, h = side}), 64, 64)
    elseif kind == 3 then -- its quarters in another order
        local out, order = image:clone(), stream:permutation(4)
        for k = 1, 4 do
            local from, to = order[k] - 1, k - 1
            out:narrow(2, to // 2 * 32 + 1, 32):narrow(3, to % 2 * 32 + 1, 32):copy_(
                image:narrow(2, from // 2 * 32 + 1, 32):narrow(3, from % 2 * 32 + 1, 32))
        end
        if order[1] ~= 1 or order[2] ~= 2 then return out end
        return lx.vision.resize(lx.vision.crop(image, {x = 0, y = 0, w = 24, h = 64}), 64, 64) -- a strip of it
    end
    -- drawn: soft fields, bars, boxes, lines of text
    local out = lx.full({1, 64, 64}, stream:integer(255), {dtype = "uint8"})
    for _ = 1, stream:integer(8) do
        local box = {
            x = stream:integer(64) - 1, y = stream:integer(64) - 1, w = stream:integer(50), h = stream:integer(50),
        }
        local level = stream:integer(255)
        if stream:integer(4) == 1 then
            out = lx.vision.draw_text(out, box.x // 3, box.y, "The quick brown", {colour = {level, level, level}})
        else
            out = lx.vision.fill_rect(out, box, {colour = {level, level, level}, alpha = stream:uniform(0.3, 1)})
        end
    end
    return kind < 6 and lx.vision.gaussian_blur(out, stream:uniform(0.5, 8)) or out
end

-- ---- features -------------------------------------------------------------------------------------------------

-- [N,1,14,14] with mean 0 and deviation 1 each, of a list of images.
local function features_of(images, augment, seed)
    local rows = {}
    for i, image in ipairs(images) do
        if augment then image = augment(image, {seed = seed, index = i}) end
        rows[i] = lx.vision.resize(image, SIDE, SIDE, {mode = "area"}):float()
    end
    local x = lx.stack(rows, 1):view(#rows, FEATURES)
    x = x - x:mean(2, true)
    return (x / x:square():mean(2, true):sqrt():clamp(1, 255)):view(#rows, 1, SIDE, SIDE)
end

-- All eight ways round of each, and their classes.
local function all_ways(x)
    local xs, classes = {}, {}
    for quarter = 0, 3 do
        local turned = lx.vision.rot90(x, quarter)
        for inverted = 0, 1 do
            xs[#xs + 1] = (inverted == 1 and -turned or turned):view(-1, FEATURES)
            classes[#classes + 1] = lx.full({x.shape[1]}, 2 * quarter + inverted + 1, {dtype = "int32"})
        end
    end
    return lx.cat(xs, 1), lx.cat(classes, 1)
end

local function others_of(images, seed)
    local out = {}
    for i, image in ipairs(images) do out[i] = other(image, random.stream(seed, i)) end
    return out
end

-- ---- learning -------------------------------------------------------------------------------------------------

local function learn(images)
    local net = nn.Linear(FEATURES, CLASSES)
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01, weight_decay = 0.02})
    local augment = lx.vision.pipeline {
        {"hflip"}, {"rotate", 8}, {"shift", 0.05}, {"zoom", 0.12}, {"gamma", 0.35}, {"contrast", 0.2},
    }
    for epoch = 1, args.epochs do
        local x, y = all_ways(features_of(images, augment, epoch))
        local no = features_of(others_of(images, epoch)):view(-1, FEATURES)
        x, y = lx.cat({x, no, -no}, 1), lx.cat({y, lx.full({2 * #images}, CLASSES, {dtype = "int32"})}, 1)
        for _, group in ipairs(optimizer.groups) do group.lr = 0.01 * (1 - (epoch - 1) / args.epochs) end
        local order, sum, batches = random.stream(epoch):permutation(x.shape[1]), 0, 0
        for first = 1, #order, 256 do
            local picked = lx.tensor(table.move(order, first, math.min(first + 255, #order), 1, {}), {dtype = "int32"})
            optimizer:zero_grad()
            local loss = nn.functional.cross_entropy(net(x:index_select(1, picked)), y:index_select(1, picked))
            loss:backward()
            optimizer:step()
            sum, batches = sum + loss:item(), batches + 1
        end
        print(("epoch %d: loss %.4f"):format(epoch, sum / batches))
    end
    return net
end

-- ---- choosing and measuring -----------------------------------------------------------------------------------

-- The scores that quality.lua compares with limits, of [N,196]: inverted, turned, something else.
local function scores_of(net, x)
    return lx.no_grad(function()
        local p, out = nn.functional.softmax(net(x), 2):totable(), {}
        for i, row in ipairs(p) do
            local turned, inverted = 0, 0
            for class = 1, 8 do
                if class > 2 then turned = turned + row[class] end
                if class % 2 == 0 then inverted = inverted + row[class] end
            end
            out[i] = {inverted = inverted, turned = turned, other = row[CLASSES]}
        end
        return out
    end)
end

-- The limit that a share of scores stays below.
local function limit_of(scores, name, share)
    local list = {}
    for i, score in ipairs(scores) do list[i] = score[name] end
    table.sort(list)
    return math.max(0.5, list[math.ceil(share * #list)] + 1e-3)
end

local function share_above(scores, name, limit)
    local count = 0
    for _, score in ipairs(scores) do count = count + (score[name] > limit and 1 or 0) end
    return 100 * count / #scores
end

local function measure(net, limits, name, images)
    local x = features_of(images)
    local upright = scores_of(net, x:view(-1, FEATURES))
    local inverted = scores_of(net, (-x):view(-1, FEATURES))
    local turned = {}
    for quarter = 1, 3 do
        local scores = scores_of(net, lx.vision.rot90(x, quarter):view(-1, FEATURES))
        table.move(scores, 1, #scores, #turned + 1, turned)
    end
    print(("| %s | %d | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.1f %% |"):format(name, #images,
        share_above(upright, "inverted", limits.inverted), share_above(upright, "turned", limits.turned),
        share_above(upright, "other", limits.other), share_above(inverted, "inverted", limits.inverted),
        share_above(turned, "turned", limits.turned)))
end

local function write(net, limits)
    local lines = {
        "--- Weights of the classifier of quality.lua, made by examples/chest_xray/learn_quality.lua: for each of the",
        "--- classes (2 * quarter turns + inverted, then anything else) the bias, and the weights of 14x14 pixels, in",
        "--- thousandths.", "", "return {",
        ("    limits = {inverted = %.3f, turned = %.3f, other = %.3f},"):format(limits.inverted, limits.turned,
            limits.other),
    }
    local weight, bias = net.weight:detach():totable(), net.bias:detach():totable()
    for class = 1, CLASSES do
        lines[#lines + 1] = ("    {bias = %d,"):format(math.floor(bias[class] * 1000 + 0.5))
        for row = 0, SIDE - 1 do
            local numbers = {}
            for column = 1, SIDE do
                numbers[column] = ("%d"):format(math.floor(weight[class][row * SIDE + column] * 1000 + 0.5))
            end
            lines[#lines + 1] = "        " .. table.concat(numbers, ", ") .. ","
        end
        lines[#lines + 1] = "    },"
    end
    lines[#lines + 1] = "}\n"
    options.must(core.write_file(args.out, {table.concat(lines, "\n")}))
end

lx.manual_seed(1)
local frame = options.must(lx.data.image_folder(args.data))
local sets = {parts(frame.path, frame.group)}
for i, dir in ipairs(args.more) do
    local paths = files_of(dir)
    sets[i + 1] = parts(paths, paths)
end
local function gather(part)
    local paths = {}
    for _, set in ipairs(sets) do table.move(set[part], 1, #set[part], #paths + 1, paths) end
    return load(paths)
end
-- the smaller sets count as often as the large one
local train = load(sets[1][1])
for i = 2, #sets do
    local images = load(sets[i][1])
    for _ = 1, math.max(1, #train // #images // 2) do table.move(images, 1, #images, #train + 1, train) end
end
print(("learning from %d pictures"):format(#train))
local net = learn(train)
local chosen_on = scores_of(net, features_of(gather(2)):view(-1, FEATURES))
local limits = {}
for _, name in ipairs {"inverted", "turned", "other"} do limits[name] = limit_of(chosen_on, name, 0.995) end
write(net, limits)
print("| radiographs | images | false: inverted | false: turned | false: no chest | inverted found | turned found |")
print("|---|---|---|---|---|---|---|")
for i, set in ipairs(sets) do
    measure(net, limits, i == 1 and "own, other patients" or args.more[i - 1], load(set[3]))
end
for _, test in ipairs(args.test) do
    local name, dir = test:match("^([^=]+)=(.+)$")
    if not name then options.fail("--test expects NAME=FOLDER, got " .. test) end
    measure(net, limits, name, load(files_of(dir)))
end
local function others(name, images)
    print(("%s: %.1f %% of %d called no chest radiograph"):format(name, share_above(scores_of(net,
        features_of(images):view(-1, FEATURES)), "other", limits.other), #images))
end
others("parts, shuffled and drawn pictures", others_of(load(sets[1][3]), -1))
if args.others then others(args.others, load(files_of(args.others))) end
