--- How often networks change between the plain and the blocked layout of images, and before which kernels: what a layer
-- costs that does not know the blocked one.
--
--     lua5.4 bench/conversions.lua [PATTERN [DEVICE]]     networks of lx.models whose names match

local lx = require "luxel"

local PATTERN <const>, DEVICE <const> = arg[1] or ".", arg[2] or "cpu"
local LARGEST <const> = 30e6 -- weights: VGG without its linear layers is like the smaller ones

-- "3 (conv2d 2, cat)" of a function, once its kernels are compiled; and their share of the time.
local function conversions(f)
    f()
    local report = lx.profile(f)
    local count, seconds, all, reasons, order, pending = 0, 0, 0, {}, {}, 0
    for _, record in ipairs(report.records[DEVICE]) do
        all = all + record.seconds
        if record.name == "to_blocked" or record.name == "to_plain" then
            count, seconds, pending = count + 1, seconds + record.seconds, pending + 1
        elseif pending > 0 then
            if not reasons[record.name] then order[#order + 1] = record.name end
            reasons[record.name] = (reasons[record.name] or 0) + pending
            pending = 0
        end
    end
    if pending > 0 then
        order[#order + 1] = "nothing"
        reasons.nothing = pending
    end
    table.sort(order, function(a, b) return reasons[a] > reasons[b] or reasons[a] == reasons[b] and a < b end)
    for i, name in ipairs(order) do order[i] = ("%s %d"):format(name, reasons[name]) end
    return ("%4d, %2.0f%% of the time%s"):format(count, 100 * seconds / all,
        count > 0 and ": before " .. table.concat(order, ", ") or "")
end

local SIZES <const> = {cnn = 128, lenet = 32}

local function show(title, name, options)
    local net = lx.nn.init.skip(lx.models[name], options)
    if net:count_parameters() > LARGEST then return end
    local size = SIZES[name] or 64
    local x = lx.randn({4, net.channels, size, size}, {device = DEVICE})
    local view = lx.nn.fuse(net:to(DEVICE):eval())
    print(("%-24s inference %s"):format(title, conversions(function() lx.no_grad(view, x) end)))
    net:train()
    print(("%-24s training  %s"):format("", conversions(function()
        net:zero_grad()
        view(x):sum():backward()
    end)))
end

for _, name in ipairs(lx.models.names()) do
    if name:find(PATTERN) then show(name, name, nil) end
end
for _, encoder in ipairs {"resnet18", "densenet121", "mobilenet_v2"} do
    local title = "unet, " .. encoder
    if title:find(PATTERN) then show(title, "unet", {encoder = encoder}) end
end
