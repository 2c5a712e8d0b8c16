--- Layers without weights: pooling, resizing, activations, dropout, Flatten, Identity.

local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"

local layers = {}

local function layer(name)
    local class = Module.class(name)
    layers[name] = class
    return class
end

local function pair_text(pair)
    return pair[1] == pair[2] and tostring(pair[1]) or ("{%d,%d}"):format(pair[1], pair[2])
end

-- ---- pooling --------------------------------------------------------------------------------------------------

local function init_pool(self, kernel, options)
    local name = self.class_name
    self.kernel = check.pair(name, "kernel", kernel, 1)
    self.stride = check.pair(name, "stride", options.stride or self.kernel, 1)
    self.padding = check.pair(name, "padding", options.padding or 0, 0)
end

local function pool_text(self)
    local text = pair_text(self.kernel)
    if self.stride[1] ~= self.kernel[1] or self.stride[2] ~= self.kernel[2] then
        text = text .. ", stride=" .. pair_text(self.stride)
    end
    if self.padding[1] + self.padding[2] > 0 then text = text .. ", padding=" .. pair_text(self.padding) end
    return text
end

---@class MaxPool2d: Module
---@overload fun(kernel: integer|integer[], options: table?): MaxPool2d
local MaxPool2d = layer("MaxPool2d")
MaxPool2d.extra = pool_text

--- `nn.MaxPool2d(2)`: the largest value of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[]}? stride defaults to the kernel
function MaxPool2d:init(kernel, options)
    init_pool(self, kernel, check.options("MaxPool2d", options, {"stride", "padding"}))
end

---@param x Tensor [N,C,H,W]
---@return Tensor
function MaxPool2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    return F.max_pool2d(x, self.kernel, {stride = self.stride, padding = self.padding})
end

---@class AvgPool2d: Module
---@overload fun(kernel: integer|integer[], options: table?): AvgPool2d
local AvgPool2d = layer("AvgPool2d")
AvgPool2d.extra = pool_text

--- `nn.AvgPool2d(2)`: the mean of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], count_include_pad: boolean}?
function AvgPool2d:init(kernel, options)
    options = check.options("AvgPool2d", options, {"stride", "padding", "count_include_pad"})
    init_pool(self, kernel, options)
    self.count_include_pad = options.count_include_pad ~= false
end

---@param x Tensor [N,C,H,W]
---@return Tensor
function AvgPool2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    return F.avg_pool2d(x, self.kernel,
        {stride = self.stride, padding = self.padding, count_include_pad = self.count_include_pad})
end

---@class AdaptiveAvgPool2d: Module
---@overload fun(size: integer|integer[]): AdaptiveAvgPool2d
local AdaptiveAvgPool2d = layer("AdaptiveAvgPool2d")

--- `nn.AdaptiveAvgPool2d(7)`: [N,C,H,W] to [N,C,7,7] by means.
---@param size integer|integer[]
function AdaptiveAvgPool2d:init(size)
    self.size = check.pair("AdaptiveAvgPool2d", "size", size, 1)
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,size,size]
function AdaptiveAvgPool2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    return F.adaptive_avg_pool2d(x, self.size)
end

function AdaptiveAvgPool2d:extra() return pair_text(self.size) end

---@class GlobalAvgPool2d: Module
---@overload fun(): GlobalAvgPool2d
local GlobalAvgPool2d = layer("GlobalAvgPool2d")

--- The mean of each channel.
---@param x Tensor [N,C,H,W]
---@return Tensor [N,C]
function GlobalAvgPool2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    return x:mean({3, 4})
end

---@class GlobalMaxPool2d: Module
---@overload fun(): GlobalMaxPool2d
local GlobalMaxPool2d = layer("GlobalMaxPool2d")

--- The largest value of each channel.
---@param x Tensor [N,C,H,W]
---@return Tensor [N,C]
function GlobalMaxPool2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    return (x:flatten(3):max(3))
end

---@class Upsample: Module
---@overload fun(options: table): Upsample
local Upsample = layer("Upsample")

--- `nn.Upsample({scale = 2, mode = "bilinear"})`: resizes [N,C,H,W]; see `F.interpolate`.
---@param options {size: integer|integer[], scale: number, mode: "nearest"|"bilinear", align_corners: boolean}
function Upsample:init(options)
    self.options = check.options("Upsample", options, {"size", "scale", "mode", "align_corners"})
    if (self.options.size == nil) == (self.options.scale == nil) then
        error("Upsample: give either size = {h, w} or scale = number", 3)
    end
end

---@param x Tensor [N,C,H,W]
---@return Tensor
function Upsample:forward(x)
    check.float(self:describe(), "input", x, 4)
    return F.interpolate(x, self.options)
end

function Upsample:extra()
    local options = self.options
    local size = options.size and "size=" .. pair_text(check.pair("Upsample", "size", options.size, 1))
        or ("scale=%g"):format(options.scale)
    return size .. ", mode=" .. (options.mode or "nearest")
end

-- ---- activations ----------------------------------------------------------------------------------------------

for name, f in pairs {ReLU = F.relu, SiLU = F.silu, GELU = F.gelu, Sigmoid = F.sigmoid, Tanh = F.tanh} do
    local class = layer(name)
    function class:forward(x)
        check.float(self:describe(), "input", x)
        return f(x)
    end
end

---@class LeakyReLU: Module
---@overload fun(slope: number?): LeakyReLU
local LeakyReLU = layer("LeakyReLU")

--- `nn.LeakyReLU(0.1)`
---@param slope number? where negative, 0.01
function LeakyReLU:init(slope)
    self.slope = slope or 0.01
end

---@param x Tensor
---@return Tensor
function LeakyReLU:forward(x)
    check.float(self:describe(), "input", x)
    return F.leaky_relu(x, self.slope)
end

function LeakyReLU:extra() return ("%g"):format(self.slope) end

---@class Softmax: Module
---@overload fun(dim: integer): Softmax
local Softmax = layer("Softmax")

--- `nn.Softmax(2)`: over the classes of [N,C].
---@param dim integer
function Softmax:init(dim)
    if math.tointeger(dim) == nil then error("Softmax: dim should be an integer, got " .. tostring(dim), 3) end
    self.dim = dim
end

---@param x Tensor
---@return Tensor
function Softmax:forward(x)
    check.float(self:describe(), "input", x)
    return F.softmax(x, self.dim)
end

function Softmax:extra() return tostring(self.dim) end

-- ---- dropout --------------------------------------------------------------------------------------------------

for name, f in pairs {Dropout = F.dropout, Dropout2d = F.dropout2d} do
    local class = layer(name)

    function class:init(p)
        p = p or 0.5
        if type(p) ~= "number" or not (p >= 0 and p < 1) then
            error(("%s: the probability should be at least 0 and below 1, got %s"):format(name, tostring(p)), 3)
        end
        self.p = p
    end

    function class:forward(x)
        check.float(self:describe(), "input", x, name == "Dropout2d" and 4 or nil)
        return f(x, self.p, self.training)
    end

    function class:extra() return ("%g"):format(self.p) end
end

-- ---- shape ----------------------------------------------------------------------------------------------------

---@class Flatten: Module
---@overload fun(first: integer?, last: integer?): Flatten
local Flatten = layer("Flatten")

--- `nn.Flatten()`: [N,...] to [N,features].
---@param first integer? the first dimension to merge, 2
---@param last integer? the last, -1
function Flatten:init(first, last)
    self.first, self.last = first or 2, last or -1
end

---@param x Tensor
---@return Tensor
function Flatten:forward(x)
    if type(x) ~= "userdata" then error("Flatten: input should be a tensor, got " .. type(x), 2) end
    return x:flatten(self.first, self.last)
end

---@class Identity: Module
---@overload fun(): Identity
local Identity = layer("Identity")

---@param x any
---@return any x
function Identity:forward(x) return x end -- luacheck: ignore 212

return layers
