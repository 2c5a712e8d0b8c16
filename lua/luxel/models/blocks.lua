--- Parts that several families of networks are built of.

local lx = require "luxel"

local nn, F = lx.nn, lx.nn.functional
local blocks = {}

--- A multiple of 8 near a number of channels, never less than nine tenths of it (Sandler et al. 2018).
---@param channels number
---@return integer
function blocks.round_channels(channels)
    local rounded = math.max(8, math.tointeger((channels + 4) // 8 * 8))
    return rounded < 0.9 * channels and rounded + 8 or rounded
end

--- Convolution that keeps the size at stride 1, batch normalisation, activation: children 0, 1 and 2.
---@param inputs integer
---@param outputs integer
---@param kernel integer
---@param options {stride: integer?, groups: integer?, activation: Module?, norm: table?} norm: options of BatchNorm2d
---@return Sequential
function blocks.conv_norm(inputs, outputs, kernel, options)
    local layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, {
            stride = options.stride, padding = (kernel - 1) // 2, groups = options.groups, bias = false,
        }),
        nn.BatchNorm2d(outputs, options.norm))
    return options.activation and layers:append(options.activation) or layers
end

--- What modules make of x, with x added to it where `adds` says so.
---@param x Tensor
---@param adds boolean
---@param ... Module
---@return Tensor
function blocks.residual(x, adds, ...)
    local steps = {...}
    if adds then steps[#steps + 1] = nn.plus(x) end
    return nn.chain(x, table.unpack(steps))
end

--- Squeeze and excitation (Hu et al. 2018): each channel times a gate that the means of all channels give.
local SqueezeExcitation = nn.class("SqueezeExcitation")
blocks.SqueezeExcitation = SqueezeExcitation

function SqueezeExcitation:init(channels, squeezed, activation, gate)
    self.fc1 = nn.Conv2d(channels, squeezed, 1)
    self.activation = activation
    self.fc2 = nn.Conv2d(squeezed, channels, 1)
    self.gate = gate
end

function SqueezeExcitation:forward(x)
    return x * nn.chain(F.adaptive_avg_pool2d(x, 1), self.fc1, self.activation, self.fc2, self.gate)
end

--- The modules of a sequence in stages: each begins with what halves the resolution.
---@param modules Module[]
---@param halves fun(module: Module): boolean?
---@return Module[][]
function blocks.cut(modules, halves)
    local stages = {{modules[1]}}
    for i = 2, #modules do
        if halves(modules[i]) then stages[#stages + 1] = {} end
        table.insert(stages[#stages], modules[i])
    end
    return stages
end

--- Convolution with the padding that TensorFlow calls "SAME": as many results as ceil(size / stride), and where the
--- zeros around the image are of an odd number, one more below and to the right.
local SameConv2d = nn.class("SameConv2d", nn.Conv2d)
blocks.SameConv2d = SameConv2d

-- Zeros on the two sides of the images alone would take a copy of them. A kernel that begins with zeros sees the same
-- pixels through padding that is equal on both sides.
function SameConv2d:forward(x)
    self:check_input(x)
    local padding, odd = {}, {}
    for i = 1, 2 do
        local size, stride, kernel = x.shape[2 + i], self.stride[i], self.kernel[i]
        local total = math.max(0, ((size + stride - 1) // stride - 1) * stride + kernel - size)
        padding[i], odd[i] = (total + 1) // 2, total % 2
    end
    local weight = self.weight
    if odd[1] + odd[2] > 0 then weight = F.pad(weight, {odd[2], 0, odd[1], 0}) end
    return F.conv2d(x, weight, self.bias, {stride = self.stride, padding = padding, groups = self.groups})
end

return blocks
