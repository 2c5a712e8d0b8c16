--- A few training steps of a small network on a device (DEVICE, default opencl): returns its weights in the end, as a
--- text that differs if a bit of them does. STEPS says how many.

local lx = require "luxel"
local core = require "luxel.core"
local nn = lx.nn

local device <const> = os.getenv("DEVICE") or "opencl"

lx.manual_seed(3)
local net = nn.Sequential(nn.Conv2d(1, 5, 3, {padding = 1}), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(5, 7, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(7 * 16, 1)):to(device)
local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01})
local x = lx.randn(4, 1, 16, 16):to(device)
local y = lx.tensor({{0}, {1}, {1}, {0}}, {device = device})

local losses = {}
for step = 1, tonumber(os.getenv("STEPS") or 5) do
    optimizer:zero_grad()
    local loss <close> = nn.functional.binary_cross_entropy_with_logits(nn.fuse(net)(x), y)
    losses[step] = ("%.9g"):format(loss:item())
    loss:backward()
    optimizer:step()
end

local names, state = {}, net:state_dict()
for name in pairs(state) do names[#names + 1] = name end
table.sort(names)
for i, name in ipairs(names) do
    local sum = 0
    local bytes = core.to_string(state[name])
    for position = 1, #bytes do sum = (sum * 31 + bytes:byte(position)) & 0xffffffff end
    names[i] = ("%08x"):format(sum)
end
debug.getregistry().kept = {net, optimizer} -- for lua_close to find
return losses[#losses] .. " " .. table.concat(names, " ")
