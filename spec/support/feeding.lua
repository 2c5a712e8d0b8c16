--- Batches by three threads, out of files and through a pipeline: for ThreadSanitizer. Returns a text that differs if a
--- bit of them does.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local folder = os.tmpname()
os.remove(folder)
for _, path in ipairs {folder, folder .. "/NORMAL", folder .. "/PNEUMONIA"} do assert(lfs.mkdir(path)) end
for i = 1, 20 do
    local name = ("%s/%s/%d.png"):format(folder, i % 2 == 0 and "NORMAL" or "PNEUMONIA", i)
    assert(lx.vision.save(name, lx.full({1, 20 + i, 30 - i}, 10 * i):byte()))
end
local frame = assert(lx.data.image_folder(folder))
local sum = 0
for _, cache in ipairs {false, folder .. "/images.cache"} do
    local dataset = assert(frame:open {size = 24, memory = 5000, cache = cache or nil})
    for epoch = 1, 3 do
        for x in lx.data.batches(dataset, {
            batch = 3, threads = 3, epoch = epoch,
            augment = {{"rotate", 10}, {"noise", 5}, {"clahe", tiles = 2}, {"elastic"}},
        }) do
            local bytes = core.to_string(x)
            for position = 1, #bytes, 7 do sum = (sum * 31 + bytes:byte(position)) & 0xffffffff end
            if epoch == 3 and sum % 2 == 0 then break end
        end
    end
end
os.execute("rm -rf '" .. folder .. "'")
return ("%08x"):format(sum)
