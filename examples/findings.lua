--- Fourteen findings, of which an image may have several and some are not known, from a table.
-- Usage: lua5.4 findings.lua labels.csv IMAGES [OUT], with the columns of ChestX-ray14 (Wang et al., CVPR 2017).

local lx = require "luxel"
local nn = lx.nn

local csv, images, out = arg[1], arg[2], arg[3] or "runs/findings"
if not images then error("usage: findings.lua labels.csv IMAGES [OUT]", 0) end

local FINDINGS <const> = {
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
}
local SIZE <const> = 64

lx.manual_seed(1)
local frame = assert(lx.data.frame(csv, {
    path = "image", root = images, labels = FINDINGS, patient = "patient_id", uncertain = "ignore",
}))
print(frame)
local train, val = frame:split {val = 0.25}
train, val = assert(train:load {size = SIZE}), assert(val:load {size = SIZE})

local net = nn.Sequential(
    nn.Conv2d(1, 16, 3, {padding = 1}), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, {padding = 1}), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, {padding = 1}), nn.BatchNorm2d(64), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(),
    nn.Linear(64, #FINDINGS)
)
assert(lx.train.fit {
    net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 2e-3}), train = train, val = val, epochs = 5,
    augment = true, drop_last = #train > 32, ema = 0.99, out = out, overwrite = true,
})

-- Epoch, thresholds and calibration were chosen on these images: expect less on others.
local tensors, model = assert(lx.checkpoint.load(out .. "/best.safetensors"))
net:load_state_dict(tensors)
local probabilities = lx.train.predict(net, val, {probabilities = true, calibration = model.calibration})
print(lx.metrics.report(probabilities, val.labels, {
    classes = FINDINGS, threshold = model.threshold, groups = val.groups, n = 200,
}))
print("This supports a reading by a qualified person; it does not replace one.")
