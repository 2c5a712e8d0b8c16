--- Learns from radiographs without labels, and writes weights that `luxel train --pretrained` begins with.
-- Usage: lua5.4 self_supervised.lua contrast|masked OUT.safetensors FOLDER... [--model NAME] [--size N] [--epochs N]
--        [--batch N] [--pretrained FILE] [--crop lungs] [--device NAME]
--
-- contrast: two views of a film should be alike, and unlike those of others (Chen et al. 2020, "A simple framework for
-- contrastive learning of visual representations"). masked: what is hidden of a film is drawn by one layer on what the
-- network makes of the rest (Xie et al. 2022, "SimMIM: a simple framework for masked image modeling"). Films that
-- models are only judged on are left out: see lx.data.outside.

local argparse = require "argparse"
local lfs = require "lfs"
local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local parser = argparse("self_supervised.lua", "Learns from radiographs without labels.")
parser:argument("method", "How."):choices {"contrast", "masked"}
parser:argument("out", "File for the weights.")
parser:argument("folder", "Folders of radiographs."):args("+")
parser:option("--model", "Network.", "efficientnet_lite0"):choices(lx.models.names "classifier")
parser:option("--pretrained", "File of weights to begin with.")
parser:option("--crop", "What of each film it sees: the part with both lungs, or all.", "none")
    :choices {"lungs", "none"}
parser:option("--device", "What to compute on.", "auto")
for _, number in ipairs {{"size", 112}, {"epochs", 10}, {"batch", 64}, {"seed", 1}} do
    parser:option("--" .. number[1], nil, tostring(number[2])):convert(math.tointeger)
end
local args = parser:parse()
local device = assert(lx.device(args.device)).label

local MEAN <const>, STD <const> = 0.5, 0.25 -- unless the first weights want something else
local VIEWS <const> = { -- no colours here, and no crop so small that it shows nothing of the lungs
    {"hflip"}, {"rotate", 10}, {"shift", 0.1}, {"zoom", 0.15}, {"brightness", 0.2}, {"contrast", 0.2},
    {"blur", 1, p = 0.5}, {"noise", 5, p = 0.5},
}
local PATCH <const>, HIDDEN <const> = 16, 0.6 -- pixels of a side, share of the patches

-- ---- films ----------------------------------------------------------------------------------------------------

local images, paths, outside, unreadable = {}, {}, 0, 0

local function take(path)
    if lx.data.outside(path) then
        outside = outside + 1
        return
    end
    local image, message = lx.vision.load(path, {bits = 8})
    if image then
        if args.crop == "lungs" then image = lx.vision.lung_crop(image) end
        images[#images + 1], paths[#paths + 1] = lx.vision.resize(image, args.size, args.size), path
    else
        unreadable = unreadable + 1
        io.stderr:write("[WARN] left out: ", message, "\n")
    end
end

local function walk(folder)
    for name in lfs.dir(folder) do
        local path = folder .. "/" .. name
        if name:sub(1, 1) ~= "." then
            if lfs.attributes(path, "mode") == "directory" then walk(path) else take(path) end
        end
    end
end

for _, folder in ipairs(args.folder) do walk(folder) end
print(("%d films; left out: %d that models are only judged on, %d that cannot be read"):format(#images, outside,
    unreadable))
if #images < 2 * args.batch then
    error(("a batch of %d wants at least %d films, --batch takes less"):format(args.batch, 2 * args.batch), 0)
end
local set = lx.data.dataset {images = lx.stack(images, 1), labels = lx.zeros(#images), paths = paths}

-- ---- what is learnt -------------------------------------------------------------------------------------------

lx.manual_seed(args.seed)
local net = assert(lx.models[args.model] {
    size = args.size, outputs = 1, pretrained = args.pretrained, head = args.pretrained and "replace",
})
local known = net.pretrained and net.pretrained.mean and net.pretrained or {mean = MEAN, std = STD}
local maps = lx.no_grad(function() return net:features(lx.zeros(1, 1, args.size, args.size)) end).shape
local width, side = maps[2], maps[3]

local method = {}

-- A batch is one view of each film, and then another one of each.
method.contrast = {
    views = 2, augment = VIEWS,
    head = nn.Sequential(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 64)),
    loss = function(head, x)
        local rows, count = head(net:features(x)), x.shape[1] // 2
        return F.nt_xent_loss(rows:narrow(1, 1, count), rows:narrow(1, count + 1, count), {temperature = 0.2})
    end,
}

-- Each place of the last maps draws its part of the film.
local cell = args.size // side
method.masked = {
    views = 1, augment = {{"hflip"}, {"rotate", 10}, {"zoom", 0.2}}, head = nn.Conv2d(width, cell * cell, 1),
    loss = function(head, x)
        local count, across = x.shape[1], (args.size + PATCH - 1) // PATCH
        local hidden = F.interpolate(lx.rand({count, 1, across, across}, {device = device}):lt(HIDDEN):float(), {
            scale = PATCH,
        })
        hidden = hidden:narrow(3, 1, args.size):narrow(4, 1, args.size)
        local parts = head(net:features(x * (1 - hidden))):view(count, cell, cell, side, side)
        local drawn = parts:permute(1, 4, 2, 5, 3):reshape(count, 1, cell * side, cell * side)
        local seen = cell * side -- what no place of the maps is for counts for nothing
        hidden = hidden:narrow(3, 1, seen):narrow(4, 1, seen)
        local missed = (drawn - x:narrow(3, 1, seen):narrow(4, 1, seen)):abs() * hidden
        return missed:sum() / hidden:sum():clamp(1, math.huge)
    end,
}

local way = method[args.method]
net:to(device)
way.head:to(device)
local parameters = net:parameters()
for _, parameter in ipairs(way.head:parameters()) do parameters[#parameters + 1] = parameter end
local optimizer = lx.optim.AdamW(parameters, {lr = 1e-3, weight_decay = 0.05})
local steps = #set // args.batch
local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {
    warmup = math.max(1, steps * args.epochs // 10), total = math.max(2, steps * args.epochs),
})

for epoch = 1, args.epochs do
    local order, twice = lx.randperm(#set):totable(), {}
    for first = 1, steps * args.batch, args.batch do -- the films of a batch once for each view
        for _ = 1, way.views do table.move(order, first, first + args.batch - 1, #twice + 1, twice) end
    end
    local sum = 0
    for x in lx.data.batches(set:subset(twice), {
        batch = way.views * args.batch, shuffle = false, augment = way.augment, epoch = epoch, seed = args.seed,
        mean = known.mean, std = known.std, device = device,
    }) do
        optimizer:zero_grad()
        local loss = way.loss(way.head, x)
        loss:backward()
        optimizer:step()
        scheduler:step()
        sum = sum + loss:item()
    end
    print(("epoch %d  loss %.4f"):format(epoch, sum / steps))
    assert(lx.train.save_weights(args.out, net, {
        model = args.model, size = args.size, mean = known.mean, std = known.std, seed = args.seed,
    }))
end
print(("luxel train --model %s --pretrained %s --crop %s --data DIR"):format(args.model, args.out, args.crop))
