--- ResNet-18 (He et al. 2016) for pictures of one channel: the second network of the timings.

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local Block = nn.class("Block")

function Block:init(channels, width, stride)
    self.conv1 = nn.Conv2d(channels, width, 3, {stride = stride, padding = 1, bias = false})
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = nn.Conv2d(width, width, 3, {padding = 1, bias = false})
    self.bn2 = nn.BatchNorm2d(width)
    if stride ~= 1 or channels ~= width then
        self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, {stride = stride, bias = false}),
            nn.BatchNorm2d(width))
    end
end

function Block:forward(x)
    local y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
    return F.relu(y + (self.downsample and self.downsample(x) or x))
end

--- A network from [N,1,H,W] to [N,classes].
---@param classes integer
---@return Module
return function(classes)
    local net = nn.Sequential(nn.Conv2d(1, 64, 7, {stride = 2, padding = 3, bias = false}), nn.BatchNorm2d(64),
        nn.ReLU(), nn.MaxPool2d(3, {stride = 2, padding = 1}))
    local channels = 64
    for stage, width in ipairs {64, 128, 256, 512} do
        net:append(Block(channels, width, stage > 1 and 2 or 1))
        net:append(Block(width, width, 1))
        channels = width
    end
    return net:append(nn.GlobalAvgPool2d()):append(nn.Linear(channels, classes))
end
