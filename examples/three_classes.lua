--- Three classes from folders: normal, bacterial and viral. Usage: lua5.4 three_classes.lua DIR [OUT]
--
-- DIR holds a folder for each class. Of Kermany's set, whose names tell bacterial from viral, a table of rows does the
-- same: see the function at the end of this file.

local lx = require "luxel"
local nn = lx.nn

local dir, out = arg[1], arg[2] or "runs/three_classes"
if not dir then error("usage: three_classes.lua DIR [OUT]", 0) end

local SIZE <const> = 64

-- A frame of DIR/CLASS/*, or of DIR/{NORMAL,PNEUMONIA} with the kind of pneumonia in the file names.
local function read()
    local frame = assert(lx.data.image_folder(dir))
    if #frame.classes > 2 then return frame end
    local rows = {}
    for i = 1, #frame do
        local path = frame[i].path
        rows[i] = {
            path = path, patient = frame[i].group,
            label = path:find("bacteria") and "bacterial" or path:find("virus") and "viral" or "normal",
        }
    end
    return assert(lx.data.frame(rows, {label = "label", classes = {"normal", "bacterial", "viral"}}))
end

lx.manual_seed(1)
local frame = read()
print(frame)
local train, val, test = frame:split {val = 0.15, test = 0.15}
train, val, test = assert(train:load {size = SIZE}), assert(val:load {size = SIZE}), assert(test:load {size = SIZE})

local net = nn.Sequential(
    nn.Conv2d(1, 16, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, {padding = 1}), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(),
    nn.Linear(64, #frame.classes)
)
assert(lx.train.fit {
    net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 2e-3}), train = train, val = val, epochs = 8,
    patience = 3, balanced = true, augment = true, out = out, overwrite = true,
})

-- The best epoch's model, calibrated, on patients that chose nothing.
local tensors, model = assert(lx.checkpoint.load(out .. "/best.safetensors"))
net:load_state_dict(tensors)
local probabilities = lx.train.predict(net, test, {probabilities = true, calibration = model.calibration})
print(lx.metrics.report(probabilities, test.labels, {classes = frame.classes, groups = test.groups}))
print("This supports a reading by a qualified person; it does not replace one.")
