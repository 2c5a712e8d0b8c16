--- Layers without weights: pooling, padding, resizing, activations, dropout, Flatten, Identity.

local activations = require "luxel.nn.activations"
local args = require "luxel.args"
local core = require "luxel.core"
local F = require "luxel.nn.functional"
local lx = require "luxel"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"
local declare = require "luxel.nn.declare"

local layers = {}

local function layer(name)
    local class = Module.class(name)
    layers[name] = class
    return class
end

local function pair_text(pair)
    return pair[1] == pair[2] and tostring(pair[1]) or ("{%d,%d}"):format(pair[1], pair[2])
end

local IMAGES <const> = {"N", "C", "H", "W"}
local SIGNALS <const> = {"N", "C", "L"}

-- ---- pooling --------------------------------------------------------------------------------------------------

local function init_pool(self, kernel, options)
    options = options or {}
    self.kernel = check.pair(kernel)
    self.stride, self.padding = check.pair(options.stride or kernel), check.pair(options.padding or 0)
    check.padding(self.class_name, self.padding, self.kernel)
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

--- `nn.MaxPool2d(2)`: the largest value of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], ceil_mode: boolean}? stride defaults to the
--- kernel; ceil_mode: a last window may reach over the end, if it begins before it
function MaxPool2d:init(kernel, options)
    init_pool(self, kernel, options)
    self.ceil_mode = options ~= nil and options.ceil_mode == true
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,H',W'], H' = (H + 2 padding - kernel) / stride + 1, rounded down, or up with ceil_mode
function MaxPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    return F.max_pool2d(x, self.kernel, {stride = self.stride, padding = self.padding, ceil_mode = self.ceil_mode})
end

function MaxPool2d:extra() return pool_text(self) .. (self.ceil_mode and ", ceil_mode=true" or "") end

declare(MaxPool2d, {
    init = "kernel: pair(1..), options: {stride: pair(1..)?, padding: pair(0..)?, ceil_mode: boolean?}?",
    forward = "x: any?",
})

---@class AvgPool2d: Module
---@overload fun(kernel: integer|integer[], options: table?): AvgPool2d
local AvgPool2d = layer("AvgPool2d")
AvgPool2d.extra = pool_text

--- `nn.AvgPool2d(2)`: the mean of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], count_include_pad: boolean}?
function AvgPool2d:init(kernel, options)
    init_pool(self, kernel, options)
    self.count_include_pad = not options or options.count_include_pad ~= false
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,H',W'], H' = (H + 2 padding - kernel) / stride + 1, rounded down
function AvgPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    return F.avg_pool2d(x, self.kernel,
        {stride = self.stride, padding = self.padding, count_include_pad = self.count_include_pad})
end

declare(AvgPool2d, {
    init = "kernel: pair(1..), options: {stride: pair(1..)?, padding: pair(0..)?, count_include_pad: boolean?}?",
    forward = "x: any?",
})

---@class DarknetMaxPool2d: Module
---@overload fun(kernel: integer, options: table?): DarknetMaxPool2d
local DarknetMaxPool2d = layer("DarknetMaxPool2d")

--- `nn.DarknetMaxPool2d(2)`: the largest value of each window of [N,C,H,W], where the padding is that of both sides
--- together, of which the smaller half stands left and above: windows of 2 at stride 1 keep the size, and at stride 2
--- make 7 of 13. What is outside the image is in no window.
---@param kernel integer
---@param options {stride: integer, padding: integer}? stride defaults to the kernel; padding, less than twice the
--- kernel, to the kernel less 1
function DarknetMaxPool2d:init(kernel, options)
    options = options or {}
    self.kernel, self.stride, self.padding = kernel, options.stride or kernel, options.padding or kernel - 1
    if self.padding > 2 * kernel - 1 then
        args.fail("DarknetMaxPool2d: option 'padding': expected at most %d, one less than twice the kernel, got %d",
            2 * kernel - 1, self.padding)
    end
end

-- The padding after the image that windows reach into, where `before` are before it.
local function reached(self, size, before)
    local windows = (size + self.padding - self.kernel) // self.stride + 1
    return math.max(0, (windows - 1) * self.stride + self.kernel - before - size), windows
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,H',W'], H' = (H + padding - kernel) / stride + 1, rounded down
function DarknetMaxPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    local before = self.padding // 2
    local below, rows = reached(self, x.shape[3], before)
    local right, columns = reached(self, x.shape[4], before)
    if rows < 1 or columns < 1 then
        check.fail(self, "the kernel (%d) is larger than the padded input (input %s, padding %d)", self.kernel,
            check.shape_text(x.shape), self.padding)
    end
    if before + below + right > 0 then
        x = F.pad(x, {before, right, before, below}, {value = -math.huge})
    end
    return F.max_pool2d(x, self.kernel, {stride = self.stride})
end

function DarknetMaxPool2d:extra()
    local text = tostring(self.kernel)
    if self.stride ~= self.kernel then text = text .. ", stride=" .. self.stride end
    return self.padding ~= self.kernel - 1 and text .. ", padding=" .. self.padding or text
end

declare(DarknetMaxPool2d, {
    init = "kernel: integer(1..32768), options: {stride: size?, padding: integer(0..65535)?}?", forward = "x: any?",
})

local function init_pool1d(self, kernel, options)
    options = options or {}
    self.kernel, self.stride, self.padding = kernel, options.stride or kernel, options.padding or 0
    check.padding(self.class_name, {self.padding}, {kernel})
end

local function pool1d_text(self)
    local text = tostring(self.kernel)
    if self.stride ~= self.kernel then text = text .. ", stride=" .. self.stride end
    return self.padding > 0 and text .. ", padding=" .. self.padding or text
end

---@class MaxPool1d: Module
---@overload fun(kernel: integer, options: table?): MaxPool1d
local MaxPool1d = layer("MaxPool1d")
MaxPool1d.extra = pool1d_text

--- `nn.MaxPool1d(2)`: the largest value of each window of [N,C,L].
---@param kernel integer
---@param options {stride: integer, padding: integer}? stride defaults to the kernel
function MaxPool1d:init(kernel, options) init_pool1d(self, kernel, options) end

---@param x Tensor [N,C,L]
---@return Tensor [N,C,L'], L' = (L + 2 padding - kernel) / stride + 1, rounded down
function MaxPool1d:forward(x)
    check.float(self, "input", x, SIGNALS)
    return F.max_pool1d(x, self.kernel, {stride = self.stride, padding = self.padding})
end

declare(MaxPool1d, {
    init = "kernel: size, options: {stride: size?, padding: integer(0..)?}?", forward = "x: any?",
})

---@class AvgPool1d: Module
---@overload fun(kernel: integer, options: table?): AvgPool1d
local AvgPool1d = layer("AvgPool1d")
AvgPool1d.extra = pool1d_text

--- `nn.AvgPool1d(2)`: the mean of each window of [N,C,L].
---@param kernel integer
---@param options {stride: integer, padding: integer, count_include_pad: boolean}?
function AvgPool1d:init(kernel, options)
    init_pool1d(self, kernel, options)
    self.count_include_pad = not options or options.count_include_pad ~= false
end

---@param x Tensor [N,C,L]
---@return Tensor [N,C,L'], L' = (L + 2 padding - kernel) / stride + 1, rounded down
function AvgPool1d:forward(x)
    check.float(self, "input", x, SIGNALS)
    return F.avg_pool1d(x, self.kernel,
        {stride = self.stride, padding = self.padding, count_include_pad = self.count_include_pad})
end

declare(AvgPool1d, {
    init = "kernel: size, options: {stride: size?, padding: integer(0..)?, count_include_pad: boolean?}?",
    forward = "x: any?",
})

---@class AdaptiveAvgPool2d: Module
---@overload fun(size: integer|integer[]): AdaptiveAvgPool2d
local AdaptiveAvgPool2d = layer("AdaptiveAvgPool2d")

--- `nn.AdaptiveAvgPool2d(7)`: [N,C,H,W] to [N,C,7,7] by means.
---@param size integer|integer[]
function AdaptiveAvgPool2d:init(size) self.size = check.pair(size) end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,size,size]
function AdaptiveAvgPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    return F.adaptive_avg_pool2d(x, self.size)
end

function AdaptiveAvgPool2d:extra() return pair_text(self.size) end

declare(AdaptiveAvgPool2d, {init = "size: pair(1..2147483647)", forward = "x: any?"})

---@class AdaptiveAvgPool1d: Module
---@overload fun(size: integer): AdaptiveAvgPool1d
local AdaptiveAvgPool1d = layer("AdaptiveAvgPool1d")

--- `nn.AdaptiveAvgPool1d(7)`: [N,C,L] to [N,C,7] by means.
---@param size integer
function AdaptiveAvgPool1d:init(size) self.size = size end

---@param x Tensor [N,C,L]
---@return Tensor [N,C,size]
function AdaptiveAvgPool1d:forward(x)
    check.float(self, "input", x, SIGNALS)
    return F.adaptive_avg_pool1d(x, self.size)
end

function AdaptiveAvgPool1d:extra() return tostring(self.size) end

declare(AdaptiveAvgPool1d, {init = "size: size", forward = "x: any?"})

---@class GlobalAvgPool2d: Module
---@overload fun(): GlobalAvgPool2d
local GlobalAvgPool2d = layer("GlobalAvgPool2d")

--- The mean of each channel.
---@param x Tensor [N,C,H,W]
---@return Tensor [N,C]
function GlobalAvgPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    return x:mean({3, 4})
end

declare(GlobalAvgPool2d, {forward = "x: any?"})

---@class GlobalMaxPool2d: Module
---@overload fun(): GlobalMaxPool2d
local GlobalMaxPool2d = layer("GlobalMaxPool2d")

--- The largest value of each channel.
---@param x Tensor [N,C,H,W]
---@return Tensor [N,C]
function GlobalMaxPool2d:forward(x)
    check.float(self, "input", x, IMAGES)
    return (x:flatten(3):max(3))
end

declare(GlobalMaxPool2d, {forward = "x: any?"})

-- ---- padding and resizing -------------------------------------------------------------------------------------

-- Layers around `F.pad`; the padding is an integer for all sides, or {left, right, top, bottom}.
for name, mode in pairs {ZeroPad2d = "constant", ReflectionPad2d = "reflect", ReplicationPad2d = "replicate"} do
    local class = layer(name)

    function class:init(padding)
        if type(padding) == "number" then padding = {padding, padding, padding, padding} end
        if #padding ~= 4 then
            args.fail("%s: padding: expected an integer or {left, right, top, bottom}, got a list of %d", name,
                #padding)
        end
        self.padding = table.move(padding, 1, 4, 1, {})
    end

    function class:forward(x)
        check.float(self, "input", x, IMAGES)
        return F.pad(x, self.padding, {mode = mode})
    end

    function class:extra()
        local p = self.padding
        if p[1] == p[2] and p[1] == p[3] and p[1] == p[4] then return tostring(p[1]) end
        return "{" .. table.concat(p, ",") .. "}"
    end

    local side = mode == "constant" and "integer(-2147483647..2147483647)" or "integer(0..2147483647)"
    declare(class, {init = ("padding: %s|%s[]"):format(side, side), forward = "x: any?"})
    args.described_by(class.init, F.pad)
end

---@class Upsample: Module
---@overload fun(options: table): Upsample
local Upsample = layer("Upsample")

--- `nn.Upsample({scale = 2, mode = "bilinear"})`: resizes [N,C,H,W]; see `F.interpolate`.
---@param options {size: integer|integer[], scale: number, mode: "nearest"|"bilinear", align_corners: boolean}
function Upsample:init(options)
    if (options.size == nil) == (options.scale == nil) then
        args.fail("Upsample: options: give either size = {h, w} or scale = number")
    end
    self.options = args.with_defaults(options, {mode = "nearest"})
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C,H',W'], of the size asked for
function Upsample:forward(x)
    check.float(self, "input", x, IMAGES)
    return F.interpolate(x, self.options)
end

function Upsample:extra()
    local options = self.options
    local size = options.size and "size=" .. pair_text(check.pair(options.size)) or ("scale=%g"):format(options.scale)
    return size .. ", mode=" .. options.mode
end

declare(Upsample, {
    init = "options: {size: pair(1..2147483647)?, scale: finite(0..)?, "
        .. 'mode: "nearest"|"bilinear"?, align_corners: boolean?}',
    forward = "x: any?",
})

---@class Reorg: Module
---@overload fun(stride: integer, options: table?): Reorg
local Reorg = layer("Reorg")

--- `nn.Reorg(2)`: moves pixels of [N,C,H,W] to channels or back; see `F.reorg`.
---@param stride integer
---@param options {order: "darknet"|"space_to_depth"|"depth_to_space"}? order: default "space_to_depth"
function Reorg:init(stride, options)
    self.stride, self.order = stride, options and options.order or "space_to_depth"
end

---@param x Tensor [N,C,H,W]
---@return Tensor [N,C stride²,H/stride,W/stride], or [N,C/stride²,H stride,W stride] for "depth_to_space"
function Reorg:forward(x)
    check.float(self, "input", x, IMAGES)
    return F.reorg(x, self.stride, {order = self.order})
end

function Reorg:extra() return ("%d, order=%s"):format(self.stride, self.order) end

declare(Reorg, {
    init = 'stride: integer(1..32768), options: {order: "darknet"|"space_to_depth"|"depth_to_space"?}?',
    forward = "x: any?",
})

-- ---- several inputs -------------------------------------------------------------------------------------------

-- Checks maps [N,C,H,W], those after the first against the sizes that they are to share with it.
local function check_maps(self, same_channels, first, ...)
    check.float(self, "input", first, IMAGES)
    local shape = first.shape
    for i = 1, select("#", ...) do
        local map = select(i, ...)
        check.float(self, "input", map, {shape[1], same_channels and shape[2] or "C", shape[3], shape[4]})
    end
end

---@class Route: Module
---@overload fun(): Route
local Route = layer("Route")

--- `nn.Route()`: the channels of several maps one after the other, in the order in which these are given.
---@param first Tensor [N,C,H,W]
---@param ... Tensor [N,C',H,W]
---@return Tensor [N,C+C'+...,H,W]
function Route:forward(first, ...)
    check_maps(self, false, first, ...)
    if select("#", ...) == 0 then return first end
    return lx.cat({first, ...}, 2)
end

declare(Route, {forward = "first: any?, ...: any?"})

---@class Shortcut: Module
---@overload fun(): Shortcut
local Shortcut = layer("Shortcut")

--- `nn.Shortcut()`: the sum of two maps of one size (He et al. 2016).
---@param x Tensor [N,C,H,W]
---@param other Tensor [N,C,H,W]
---@return Tensor [N,C,H,W]
function Shortcut:forward(x, other)
    check_maps(self, true, x, other)
    return x + other
end

declare(Shortcut, {forward = "x: any?, other: any?"})

-- ---- activations ----------------------------------------------------------------------------------------------

local function activation_layer(name, function_name)
    local class, f = layer(name), F[function_name]
    class.activation = function_name
    function class:forward(x)
        check.float(self, "input", x)
        return f(x)
    end
    declare(class, {forward = "x: any?"})
    args.described_by(class.init, f)
end

for _, row in ipairs(activations) do activation_layer(row.class, row.name) end
activation_layer("GELU", "gelu")

---@class LeakyReLU: Module
---@overload fun(slope: number?): LeakyReLU
local LeakyReLU = layer("LeakyReLU")

--- `nn.LeakyReLU(0.1)`
---@param slope number? where negative, 0.01
function LeakyReLU:init(slope) self.slope = slope or 0.01 end

---@param x Tensor
---@return Tensor of the shape of x
function LeakyReLU:forward(x)
    check.float(self, "input", x)
    return F.leaky_relu(x, self.slope)
end

--- Its name among the activations that convolutions compute in passing (kernels/activation.h), where it is one.
---@return string?
function LeakyReLU:activation() return self.slope == 0.1 and "leaky" or nil end

function LeakyReLU:extra() return ("%g"):format(self.slope) end

declare(LeakyReLU, {init = "slope: finite?", forward = "x: any?"})

---@class Softmax: Module
---@overload fun(dim: integer): Softmax
local Softmax = layer("Softmax")

--- `nn.Softmax(2)`: over the classes of [N,C].
---@param dim integer
function Softmax:init(dim) self.dim = dim end

---@param x Tensor
---@return Tensor of the shape of x; adds up to 1 over `dim`
function Softmax:forward(x)
    check.float(self, "input", x)
    return F.softmax(x, check.dim(self, self.dim, x))
end

function Softmax:extra() return tostring(self.dim) end

declare(Softmax, {init = "dim: integer", forward = "x: any?"})

-- ---- dropout --------------------------------------------------------------------------------------------------

for name, f in pairs {Dropout = F.dropout, Dropout2d = F.dropout2d, StochasticDepth = F.stochastic_depth} do
    local class = layer(name)

    function class:init(p) self.p = p or 0.5 end

    function class:forward(x)
        check.float(self, "input", x, name == "Dropout2d" and IMAGES or nil)
        return f(x, self.p, self.training)
    end

    function class:extra() return ("%g"):format(self.p) end

    declare(class, {init = "p: probability?", forward = "x: any?"})
    args.described_by(class.init, f)
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
---@return Tensor [N,features] unless `first` and `last` say otherwise
function Flatten:forward(x)
    if not core.is_usable(x) then check.fail(self, "input: expected a tensor, got %s", args.describe(x)) end
    local first, last = check.dim(self, self.first, x), check.dim(self, self.last, x)
    if first > last then check.fail(self, "the first dimension (%d) is after the last (%d)", first, last) end
    return x:flatten(first, last)
end

declare(Flatten, {init = "first: integer?, last: integer?", forward = "x: any?"})

---@class Identity: Module
---@overload fun(): Identity
local Identity = layer("Identity")

--- What it is given, as it is.
---@param x any
---@return any x
function Identity:forward(x) return x end -- luacheck: ignore 212

declare(Identity, {forward = "x: any?"})

return layers
