--- What part of a training step goes into its batch, for the ways in which images can be fed: Markdown tables.
-- Usage: feeding.lua [--data DIR] [--native DIR] [--epochs N]

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local options = require "luxel.command.options"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local parser = argparse("feeding.lua", "What part of a training step goes into its batch.")
parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/.")
parser:option("--native", "The same with images in the size in which they were taken.")
parser:option("--most", "Most images of each folder.", "640"):convert(math.tointeger)
parser:option("--epochs", "Times to go through the images.", "3"):convert(math.tointeger)
local args = parser:parse()

local SIZE <const>, BATCH <const> = 224, 16
local AUGMENT <const> = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}}
local folder = os.tmpname()
os.remove(folder)
assert(lfs.mkdir(folder))

-- `open` gives the dataset, or the error that it has none.
local WAYS <const> = {
    {"decoded at 224 before", function(frame) return frame:load {size = SIZE} end},
    {"decoded when wanted, kept in memory", function(frame) return frame:open {size = SIZE, memory = 8 << 30} end},
    {"decoded when wanted, not kept", function(frame) return frame:open {size = SIZE, memory = 0} end},
    {"cache file, native size", function(frame) return frame:open {size = SIZE, cache = folder .. "/native"} end},
    {"cache file, at 448", function(frame)
        return frame:open {size = SIZE, reduce = 2 * SIZE, cache = folder .. "/reduced"}
    end},
    {"cache file, at 448, CLAHE", function(frame)
        return frame:open {size = SIZE, reduce = 2 * SIZE, cache = folder .. "/reduced"}
    end, {{"clahe"}}},
}

-- Seconds that an epoch of training waits for its batches, and all of its seconds.
local function epoch_of(step, dataset, epoch, enhance)
    local waiting, start = 0, core.now()
    local asked = start
    for x, y in lx.data.batches(dataset, {
        batch = BATCH, epoch = epoch, augment = AUGMENT, enhance = enhance, mean = options.MEAN, std = options.STD,
    }) do
        waiting = waiting + core.now() - asked
        step(x, y)
        x:free()
        asked = core.now()
    end
    return waiting, core.now() - start
end

local function trainer()
    lx.manual_seed(1)
    local net = lx.nn.fuse(lx.models.cnn {size = SIZE})
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3})
    local gradients = lx.compile(function(x, y)
        optimizer:zero_grad()
        local loss = lx.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        loss:backward()
        return loss
    end)
    return function(x, y)
        local loss <close> = gradients(x, y)
        loss:item()
        optimizer:step()
    end
end

local function show(title, dir)
    local frame = options.must(lx.data.image_folder(dir)):shuffle(1):filter(function(_, i) return i <= args.most end)
    local first = assert(lx.vision.load(frame.path[1]))
    print(("### %s\n\n%d images (the first has %d × %d pixels), batches of %d, `cnn` at %d × %d.\n"):format(title,
        #frame, first.shape[2], first.shape[3], BATCH, SIZE, SIZE))
    local head, rule = "| images are | before the first epoch |", "|---|---|"
    for epoch = 1, args.epochs do head, rule = ("%s epoch %d |"):format(head, epoch), rule .. "---|" end
    print(head .. "\n" .. rule)
    local step = trainer()
    epoch_of(step, options.must(frame:load {size = SIZE}), 1) -- compiles, and finds its memory
    for _, way in ipairs(WAYS) do
        local start = core.now()
        local dataset = options.must(way[2](frame))
        local line = ("| %s | %.1f s |"):format(way[1], core.now() - start)
        for epoch = 1, args.epochs do
            local waiting, all = epoch_of(step, dataset, epoch, way[3])
            line = ("%s %.1f %% of %.1f s |"):format(line, 100 * waiting / all, all)
        end
        print(line)
        io.stdout:flush()
    end
    print()
end

if args.data then show("Small images", args.data) end
if args.native then show("Images in the size in which they were taken", args.native) end
os.execute(("rm -rf '%s'"):format(folder))
