--- Data: frames of files, datasets in memory, batches, and synthetic radiographs for trying things out.

local mix = require "luxel.data.mix"
local phantom = require "luxel.data.phantom"

return {
    audit = require "luxel.data.audit",
    image_folder = require "luxel.data.image_folder",
    chest_xray = require "luxel.data.chest_xray",
    batches = require "luxel.data.loader",
    mixup = mix.mixup,
    cutmix = mix.cutmix,
    phantom = phantom.dataset,
    phantom_save = phantom.save,
}
