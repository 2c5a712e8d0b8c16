--- Fine-tuning: the first layers come from a file of another program, as PyTorch's `safetensors.torch.save_file`
--- writes it, and stay as they are until the new last layer has learnt. Usage: lua5.4 fine_tune.lua
--- WEIGHTS.safetensors [DIR]
--
-- DIR holds a folder for each class (default: drawn phantoms).

local lx = require "luxel"
local nn = lx.nn

local weights, dir = arg[1], arg[2]
if not weights then error("usage: fine_tune.lua WEIGHTS.safetensors [DIR]", 0) end

local SIZE <const> = 48

lx.manual_seed(1)
local train, val
if dir then
    train, val = assert(lx.data.image_folder(dir)):split {val = 0.25}
    train, val = assert(train:load {size = SIZE}), assert(val:load {size = SIZE})
else
    train, val = lx.data.phantom({n = 160, size = SIZE, seed = 1}):split {val = 0.25}
end

local net = nn.Sequential(
    nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), -- names 0.weight, 1.weight, ...
    nn.Conv2d(8, 16, 3, {padding = 1}), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(4),
    nn.Flatten(), nn.Linear(16 * 3 * 3, train.task == "binary" and 1 or #train.classes)
)

-- Everything but the last layer, whose classes were others.
local tensors = assert(lx.checkpoint.load(weights))
for name in pairs(tensors) do
    if name:find("^9%.") then tensors[name] = nil end
end
local left_out = net:load_state_dict(tensors, {strict = false})
print("not in the file: " .. table.concat(left_out.missing, ", "))
print("not in the network: " .. table.concat(left_out.unexpected, ", "))

local function fit(parameters, rate, epochs, out)
    return assert(lx.train.fit {
        net = net, optimizer = lx.optim.AdamW(parameters, {lr = rate}), train = train, val = val, epochs = epochs,
        augment = true, out = out, overwrite = true,
    })
end

-- The new layer alone, and then all of them, slowly.
net:requires_grad_(false)
net[10]:requires_grad_(true)
fit(net[10]:parameters(), 1e-2, 2, "runs/fine_tune/head")
net:requires_grad_(true)
print(fit(net:parameters(), 1e-3, 3, "runs/fine_tune/all"))
