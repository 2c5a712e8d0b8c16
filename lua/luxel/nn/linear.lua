--- Layers with weights: Conv2d, ConvTranspose2d, Linear, Embedding.

local lx = require "luxel"
local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"
local init = require "luxel.nn.initialisers"

local layers = {}

-- PyTorch's default: uniform with the variance 1 / (3 fan_in), for weight and bias alike.
local function reset(self)
    init.kaiming_uniform_(self.weight, {a = math.sqrt(5)})
    if self.bias then
        local bound = 1 / math.sqrt((init.fans(self.weight)))
        init.uniform_(self.bias, -bound, bound)
    end
end

local function add_parameters(self, weight_shape, outputs, with_bias)
    self.weight = Module.Parameter(lx.empty(weight_shape))
    if with_bias ~= false then self.bias = Module.Parameter(lx.empty(outputs)) end
    reset(self)
end

-- `, stride=2` for an option that is not the default.
local function option_text(name, pair, default)
    if pair[1] == default and pair[2] == default then return "" end
    if pair[1] == pair[2] then return (", %s=%d"):format(name, pair[1]) end
    return (", %s={%d,%d}"):format(name, pair[1], pair[2])
end

local function kernel_text(kernel)
    return kernel[1] == kernel[2] and tostring(kernel[1]) or ("{%d,%d}"):format(kernel[1], kernel[2])
end

-- ---- convolutions ---------------------------------------------------------------------------------------------

-- The fields that both convolutions share.
local function init_convolution(self, inputs, outputs, kernel, options)
    local name = self.class_name
    self.in_channels = check.integer(name, "in_channels", inputs, 1)
    self.out_channels = check.integer(name, "out_channels", outputs, 1)
    self.kernel = check.pair(name, "kernel", kernel, 1)
    self.stride = check.pair(name, "stride", options.stride or 1, 1)
    self.dilation = check.pair(name, "dilation", options.dilation or 1, 1)
    self.groups = check.integer(name, "groups", options.groups or 1, 1)
    if inputs % self.groups ~= 0 or outputs % self.groups ~= 0 then
        error(("%s: groups (%d) should divide in_channels (%d) and out_channels (%d)"):format(name, self.groups,
            inputs, outputs), 4)
    end
end

-- Padding that keeps the size, at stride 1.
local function same_padding(self)
    local padding = {}
    for i = 1, 2 do
        local reach = self.dilation[i] * (self.kernel[i] - 1)
        if reach % 2 ~= 0 or self.stride[i] ~= 1 then
            error(('%s: padding "same" needs stride 1 and an odd kernel, got stride %d and kernel %d'):format(
                self.class_name, self.stride[i], self.kernel[i]), 4)
        end
        padding[i] = reach // 2
    end
    return padding
end

local function check_image(self, x)
    check.float(self:describe(), "input", x, 4)
    if x.shape[2] ~= self.in_channels then
        error(("%s: input should be [N,%d,H,W], got %s"):format(self:describe(), self.in_channels,
            check.shape_text(x.shape)), 3)
    end
end

local function convolution_text(self)
    return ("%d, %d, %s%s%s%s%s%s"):format(self.in_channels, self.out_channels, kernel_text(self.kernel),
        option_text("stride", self.stride, 1), option_text("padding", self.padding, 0),
        option_text("dilation", self.dilation, 1), self.groups > 1 and ", groups=" .. self.groups or "",
        self.bias and "" or ", bias=false")
end

---@class Conv2d: Module
---@field weight Tensor [out_channels, in_channels/groups, KH, KW]
---@field bias Tensor? [out_channels]
---@overload fun(in_channels: integer, out_channels: integer, kernel: integer|integer[], options: table?): Conv2d
local Conv2d = Module.class("Conv2d")
layers.Conv2d = Conv2d

--- `nn.Conv2d(1, 32, 3, {padding = 1})`: convolution of [N,in_channels,H,W]; see `F.conv2d` for the resulting size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[]|"same", dilation: integer|integer[],
--- groups: integer, bias: boolean}?
function Conv2d:init(in_channels, out_channels, kernel, options)
    options = check.options("Conv2d", options, {"stride", "padding", "dilation", "groups", "bias"})
    init_convolution(self, in_channels, out_channels, kernel, options)
    self.padding = options.padding == "same" and same_padding(self)
        or check.pair("Conv2d", "padding", options.padding or 0, 0)
    add_parameters(self, {out_channels, in_channels // self.groups, self.kernel[1], self.kernel[2]}, out_channels,
        options.bias)
end

--- With `activation` "relu", the result goes through ReLU in the same pass, and with `pool` through that layer too;
--- `fold` has a weight and a bias for the layer's own (`Sequential` uses this).
---@param x Tensor [N,in_channels,H,W]
---@param activation "relu"|nil
---@param pool MaxPool2d?
---@param fold {weight: Tensor, bias: Tensor}?
---@return Tensor
function Conv2d:forward(x, activation, pool, fold)
    check_image(self, x)
    fold = fold or self
    return F.conv2d(x, fold.weight, fold.bias, {
        stride = self.stride, padding = self.padding, dilation = self.dilation, groups = self.groups,
        relu = activation == "relu",
        max_pool = pool and {kernel = pool.kernel, stride = pool.stride, padding = pool.padding},
    })
end

Conv2d.extra = convolution_text

function Conv2d:multiply_adds(_, output)
    return output:numel() * self.weight:numel() // self.out_channels
end

---@class ConvTranspose2d: Module
---@field weight Tensor [in_channels, out_channels/groups, KH, KW]
---@field bias Tensor? [out_channels]
---@overload fun(inputs: integer, outputs: integer, kernel: integer|integer[], options: table?): ConvTranspose2d
local ConvTranspose2d = Module.class("ConvTranspose2d")
layers.ConvTranspose2d = ConvTranspose2d

--- `nn.ConvTranspose2d(64, 32, 2, {stride = 2})`; see `F.conv_transpose2d`.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options {stride: integer|integer[], padding: integer|integer[], output_padding: integer|integer[],
--- dilation: integer|integer[], groups: integer, bias: boolean}?
function ConvTranspose2d:init(in_channels, out_channels, kernel, options)
    options = check.options("ConvTranspose2d", options,
        {"stride", "padding", "output_padding", "dilation", "groups", "bias"})
    init_convolution(self, in_channels, out_channels, kernel, options)
    self.padding = check.pair("ConvTranspose2d", "padding", options.padding or 0, 0)
    self.output_padding = check.pair("ConvTranspose2d", "output_padding", options.output_padding or 0, 0)
    add_parameters(self, {in_channels, out_channels // self.groups, self.kernel[1], self.kernel[2]}, out_channels,
        options.bias)
end

---@param x Tensor [N,in_channels,H,W]
---@return Tensor
function ConvTranspose2d:forward(x)
    check_image(self, x)
    return F.conv_transpose2d(x, self.weight, self.bias, {
        stride = self.stride, padding = self.padding, output_padding = self.output_padding,
        dilation = self.dilation, groups = self.groups,
    })
end

ConvTranspose2d.extra = convolution_text

function ConvTranspose2d:multiply_adds(input)
    return input:numel() * self.weight:numel() // self.in_channels
end

-- ---- Linear ---------------------------------------------------------------------------------------------------

---@class Linear: Module
---@field weight Tensor [out_features, in_features]
---@field bias Tensor? [out_features]
---@overload fun(in_features: integer, out_features: integer, options: {bias: boolean}?): Linear
local Linear = Module.class("Linear")
layers.Linear = Linear

--- `nn.Linear(512, 10)`: [...,in_features] to [...,out_features].
---@param in_features integer
---@param out_features integer
---@param options {bias: boolean}?
function Linear:init(in_features, out_features, options)
    options = check.options("Linear", options, {"bias"})
    self.in_features = check.integer("Linear", "in_features", in_features, 1)
    self.out_features = check.integer("Linear", "out_features", out_features, 1)
    add_parameters(self, {out_features, in_features}, out_features, options.bias)
end

--- With `activation` "relu", the result goes through ReLU in the same pass (`Sequential` uses this).
---@param x Tensor [...,in_features]
---@param activation "relu"|nil
---@return Tensor
function Linear:forward(x, activation)
    check.float(self:describe(), "input", x)
    local shape = x.shape
    if shape[#shape] ~= self.in_features then
        error(("%s: the last dimension of the input should be %d, got %s"):format(self:describe(), self.in_features,
            check.shape_text(shape)), 2)
    end
    return F.linear(x, self.weight, self.bias, {relu = activation == "relu"})
end

function Linear:extra()
    return ("%d, %d%s"):format(self.in_features, self.out_features, self.bias and "" or ", bias=false")
end

function Linear:multiply_adds(_, output)
    return output:numel() * self.in_features
end

-- ---- Embedding ------------------------------------------------------------------------------------------------

---@class Embedding: Module
---@field weight Tensor [count, size]
---@overload fun(count: integer, size: integer): Embedding
local Embedding = Module.class("Embedding")
layers.Embedding = Embedding

--- `nn.Embedding(100, 16)`: int32 indices [...] from 1 to `count`, to vectors [...,size].
---@param count integer
---@param size integer
function Embedding:init(count, size)
    self.count = check.integer("Embedding", "count", count, 1)
    self.size = check.integer("Embedding", "size", size, 1)
    self.weight = Module.Parameter(lx.empty(count, size))
    init.normal_(self.weight)
end

---@param indices Tensor int32 [...]
---@return Tensor
function Embedding:forward(indices)
    if type(indices) ~= "userdata" or indices.dtype ~= "int32" then
        error(("%s: the input should be int32 indices, got %s"):format(self:describe(), check.describe(indices)), 2)
    end
    return F.embedding(indices, self.weight)
end

function Embedding:extra()
    return ("%d, %d"):format(self.count, self.size)
end

return layers
