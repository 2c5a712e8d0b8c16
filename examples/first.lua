--- A first experiment: a small network on drawn chest radiographs, in some 30 lines.

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local device = assert(lx.device(arg[2] or "auto")).label -- lua5.4 first.lua --device opencl
lx.manual_seed(1)
local train, val = lx.data.phantom({n = 300, size = 64, seed = 1}):split {val = 0.2}

local net = nn.Sequential(
    nn.Conv2d(1, 16, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 16 * 16, 1)
)
print(nn.summary(net, {1, 1, 64, 64}))
net:to(device)
local fused = nn.fuse(net) -- the same network, computed several layers at a time where it can be

local optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3})
for epoch = 1, 5 do
    local sum, n = 0, 0
    for x, y in lx.data.batches(train, {
        batch = 16, epoch = epoch, mean = 0.5, std = 0.25, augment = true, device = device,
    }) do
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(fused(x), y)
        loss:backward()
        optimizer:step()
        sum, n = sum + loss:item(), n + 1
    end
    local scores = lx.train.predict(net, val, {mean = 0.5, std = 0.25})
    print(("epoch %d  loss %.3f  validation AUC %.3f"):format(epoch, sum / n, lx.metrics.auc(scores, val.labels)))
end
