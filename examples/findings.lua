--- Fourteen findings, of which an image may have several and some are not known, from a table. Usage:
-- lua5.4 findings.lua labels.csv IMAGES [OUT [WEIGHTS [MODEL]]], with the columns of ChestX-ray14 (Wang et al., CVPR
-- 2017); WEIGHTS as of `luxel weights efficientnet-lite0`. Images that models are only judged on are left out.

local lx = require "luxel"

local csv, images, out, weights, model = table.unpack(arg, 1, 5)
if not images then error("usage: findings.lua labels.csv IMAGES [OUT [WEIGHTS [MODEL]]]", 0) end
out, model = out or "runs/findings", model or "efficientnet_lite0"

local FINDINGS <const> = {
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
}
local size = weights and 128 or 64

lx.manual_seed(1)
local all = assert(lx.data.frame(csv, {
    path = "image", root = images, labels = FINDINGS, patient = "patient_id", uncertain = "ignore",
}))
local frame = all:filter(function(row) return not lx.data.outside(row.path) end)
print(frame)
print(("left out: %d images that models are only judged on"):format(#all - #frame))
local train, val = assert(frame:split {val = 0.25})
train, val = assert(train:load {size = size}), assert(val:load {size = size})

local net = assert(lx.models[model] {
    size = size, outputs = #FINDINGS, pretrained = weights, head = weights and "replace",
})
local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 1e-3, decay = weights and 0.85 or 1}))
assert(lx.train.fit {
    net = net, optimizer = optimizer, train = train, val = val, epochs = weights and 12 or 5, augment = true,
    drop_last = #train > 32, freeze = weights and {"*", "!classifier"}, unfreeze = weights and {[4] = "*"}, out = out,
    overwrite = true, metadata = {model = model, size = size},
})

-- Epoch, thresholds and calibration were chosen on these images: expect less on others.
local predictor = assert(lx.predictor.open(out .. "/best.safetensors"))
print(lx.metrics.report(assert(predictor:probabilities(val)), val.labels, {
    classes = FINDINGS, threshold = predictor.threshold, groups = val.groups, n = 500,
}))
local thresholds = {}
for k, name in ipairs(FINDINGS) do thresholds[k] = ("%s %.3f"):format(name, predictor.threshold[k]) end
print("thresholds: " .. table.concat(thresholds, ", "))
local began = predictor.metadata.pretrained
print(began and "began with weights of " .. began.source or "began with nothing")
print(lx.predictor.NOTICE)
