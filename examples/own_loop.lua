--- A training loop by hand: its own checkpoint to go on from, and its own early stop. Usage: lua5.4 own_loop.lua [FILE]
--
-- Ended at any time and started again, it goes on where it was, to the same bits.

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local path = arg[1] or "own_loop.safetensors"
local EPOCHS <const>, PATIENCE <const> = 30, 3

lx.manual_seed(1)
local train, val = lx.data.phantom({n = 240, size = 48, seed = 1}):split {val = 0.25}
local net = nn.Sequential(
    nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4),
    nn.Conv2d(8, 16, 3, {padding = 1}), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(4),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(16 * 3 * 3, 1)
)
local optimizer = lx.optim.AdamW(net:parameters(), {lr = 3e-3})
local scheduler = lx.optim.lr_scheduler.StepLR(optimizer, {step_size = 8, gamma = 0.3})
local training = {net = net, optimizer = optimizer, scheduler = scheduler}

local state, message, code = lx.checkpoint.load_training(path, training)
if not state then
    if code ~= "io" then error(message, 0) end -- there is a file, and it is not of this training
    state = {epoch = 0, best = 0, waited = 0}
end

while state.epoch < EPOCHS and state.waited < PATIENCE do
    net:train()
    local epoch, sum, count = state.epoch + 1, 0, 0
    for x, y in lx.data.batches(train, {batch = 16, epoch = epoch, mean = 0.5, std = 0.25, augment = true}) do
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss:backward()
        lx.optim.clip_grad_norm_(net:parameters(), 1)
        optimizer:step()
        sum, count = sum + loss:item(), count + 1
    end
    scheduler:step()
    local auc = lx.metrics.auc(lx.train.predict(net, val), val.labels)
    state.epoch, state.waited = epoch, auc > state.best and 0 or state.waited + 1
    state.best = math.max(state.best, auc)
    training.state = state
    assert(lx.checkpoint.save_training(path, training))
    print(("epoch %2d  loss %.4f  validation AUC %.4f%s"):format(epoch, sum / count, auc,
        state.waited == 0 and "  best so far" or ""))
end
print(("ended after epoch %d, the best AUC is %.4f"):format(state.epoch, state.best))
