--- Makes the model that comes with Luxel of one that was trained: half precision, and where the films come from.
--
--     luxel train --data chest_xray --ages 1-5 --out runs/kermany
--     lua5.4 package.lua runs/kermany/best.safetensors model.safetensors
--
-- What it is worth is in docs/model.md.

local lx = require "luxel"

local from, to = arg[1], arg[2]
if not to then error("usage: package.lua BEST.safetensors MODEL.safetensors", 0) end
local tensors, metadata = lx.checkpoint.load(from)
assert(tensors, metadata)
metadata.card = {
    source = "Kermany, Zhang and Goldbaum, Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
        .. "Classification, Mendeley Data V2, doi:10.17632/rscbjbr9sj.2", licence = "CC BY 4.0",
}
assert(lx.checkpoint.save(to, tensors, metadata, {half = true}))
