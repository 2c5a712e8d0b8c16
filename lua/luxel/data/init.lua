--- Data: frames of files, datasets in memory, batches, and synthetic radiographs for trying things out.

local box_files = require "luxel.data.box_files"
local mix = require "luxel.data.mix"
local namespace = require "luxel.namespace"
local phantom = require "luxel.data.phantom"

return namespace("lx.data", {
    audit = require "luxel.data.audit",
    image_folder = require "luxel.data.image_folder",
    frame = require "luxel.data.rows",
    box_frame = box_files.box_frame,
    save_boxes = box_files.save_boxes,
    dataset = require("luxel.data.dataset").of,
    patient = require("luxel.data.patients").of,
    batches = require "luxel.data.loader",
    outside = require "luxel.data.outside",
    unseen = require("luxel.data.seen").unseen,
    styles = require("luxel.data.styles").styles,
    border_probe = require("luxel.data.border_probe").border_probe,
    mixup = mix.mixup,
    cutmix = mix.cutmix,
    mosaic = mix.mosaic,
    phantom = phantom.dataset,
    phantom_save = phantom.save,
})
