--- A small tour through the module for valgrind, which is too slow for the specs: tensors, a training step of a small
-- net, images, files, and errors on the way.

local lx = require "luxel"
local core = require "luxel.core"
local nn = lx.nn
local F = nn.functional

lx.manual_seed(3)
local x, y = lx.randn(3, 1, 17, 19), lx.tensor {{0}, {1}, {0 / 0}}
local net = nn.Sequential(nn.Conv2d(1, 5, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 18, 3),
    nn.BatchNorm2d(18), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(18, 1))
local optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3})
for _, forward in ipairs {net, nn.fuse(net)} do
    optimizer:zero_grad()
    local loss = F.binary_cross_entropy_with_logits(forward(x), y)
    loss:backward()
    optimizer:step()
end
assert(not pcall(function() return x:matmul(lx.ones(4, 5)) end))
assert(not pcall(function() return net(lx.ones(1, 2, 9, 9)) end))
print(x:sort(2), x:cumsum(3):max(), lx.cat({x, x}, 1):sum({1, 3}))
local path = os.tmpname()
assert(lx.checkpoint.save(path, net:state_dict(), {note = "small"}))
net:load_state_dict((assert(lx.checkpoint.load(path))))
local image = lx.vision.draw_text(lx.randint(0, 256, {3, 31, 45}, {dtype = "uint8"}), 2, 2, "ok")
assert(lx.vision.save(path, image))
assert(lx.equal((assert(lx.vision.load(path, {channels = 3}))), image))
assert(lx.vision.load("/nowhere") == nil)
os.remove(path)
lx.tidy(function() return lx.randn(10, 10):exp() end)
core.trim()
