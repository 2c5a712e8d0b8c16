--- Layers with weights: Conv1d, Conv2d, ConvTranspose2d, Linear, Embedding.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"
local declare = require "luxel.nn.declare"
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

local MOST_ELEMENTS <const> = 2 ^ 40

local function add_parameters(self, weight_shape, outputs, with_bias)
    local count = 1.0
    for _, size in ipairs(weight_shape) do count = count * size end
    if count > MOST_ELEMENTS then
        args.fail("%s: a weight of shape %s is too large", self.class_name, check.shape_text(weight_shape))
    end
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

-- The fields that all convolutions share.
local function init_convolution(self, inputs, outputs, kernel, options)
    self.in_channels, self.out_channels, self.groups = inputs, outputs, options.groups or 1
    self.kernel = check.pair(kernel)
    self.stride, self.dilation = check.pair(options.stride or 1), check.pair(options.dilation or 1)
    if inputs % self.groups ~= 0 or outputs % self.groups ~= 0 then
        args.fail("%s: groups (%d) should divide in_channels (%d) and out_channels (%d)", self.class_name, self.groups,
            inputs, outputs)
    end
end

-- Padding that keeps the size, at stride 1.
local function same_padding(self)
    local padding = {}
    for i = 1, 2 do
        local reach = self.dilation[i] * (self.kernel[i] - 1)
        if reach % 2 ~= 0 or self.stride[i] ~= 1 then
            args.fail('%s: padding "same" needs stride 1 and an odd kernel, got stride %d and kernel %d',
                self.class_name, self.stride[i], self.kernel[i])
        end
        padding[i] = reach // 2
    end
    return padding
end

local function check_image(self, x)
    check.float(self, "input", x, {"N", self.in_channels, "H", "W"})
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
--- groups: integer, bias: boolean}? stride, dilation, groups: default 1; padding: default 0; "same" keeps the size, at
--- stride 1; bias: default true
function Conv2d:init(in_channels, out_channels, kernel, options)
    options = options or {}
    init_convolution(self, in_channels, out_channels, kernel, options)
    self.padding = options.padding == "same" and same_padding(self) or check.pair(options.padding or 0)
    add_parameters(self, {out_channels, in_channels // self.groups, self.kernel[1], self.kernel[2]}, out_channels,
        options.bias)
end

--- Raises unless the layer takes this input.
---@param x any
function Conv2d:check_input(x) check_image(self, x) end

---@param x Tensor [N,in_channels,H,W]
---@return Tensor [N,out_channels,H',W'], see `F.conv2d`
function Conv2d:forward(x)
    check_image(self, x)
    return F.conv2d(x, self.weight, self.bias, {
        stride = self.stride, padding = self.padding, dilation = self.dilation, groups = self.groups,
    })
end

Conv2d.extra = convolution_text

function Conv2d:multiply_adds(_, output)
    return output:numel() * self.weight:numel() // self.out_channels
end

declare(Conv2d, {
    init = "in_channels: size, out_channels: size, kernel: pair(1..), options: {stride: pair(1..)?, "
        .. 'padding: pair(0..)|"same"?, dilation: pair(1..)?, groups: size?, bias: boolean?}?',
    forward = "x: any?", check_input = "x: any?", multiply_adds = "x: tensor, y: tensor",
})

---@class Conv1d: Module
---@field weight Tensor [out_channels, in_channels/groups, K]
---@field bias Tensor? [out_channels]
---@overload fun(in_channels: integer, out_channels: integer, kernel: integer, options: table?): Conv1d
local Conv1d = Module.class("Conv1d")
layers.Conv1d = Conv1d

--- `nn.Conv1d(1, 32, 5, {padding = 2})`: convolution of [N,in_channels,L]; see `F.conv1d` for the resulting size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer
---@param options {stride: integer, padding: integer|"same", dilation: integer, groups: integer, bias: boolean}?
function Conv1d:init(in_channels, out_channels, kernel, options)
    options = options or {}
    init_convolution(self, in_channels, out_channels, {1, kernel}, {
        stride = {1, options.stride or 1}, dilation = {1, options.dilation or 1}, groups = options.groups,
    })
    self.padding = options.padding == "same" and same_padding(self) or {0, options.padding or 0}
    add_parameters(self, {out_channels, in_channels // self.groups, kernel}, out_channels, options.bias)
end

---@param x Tensor [N,in_channels,L]
---@return Tensor [N,out_channels,L'], see `F.conv1d`
function Conv1d:forward(x)
    check.float(self, "input", x, {"N", self.in_channels, "L"})
    return F.conv1d(x, self.weight, self.bias, {
        stride = self.stride[2], padding = self.padding[2], dilation = self.dilation[2], groups = self.groups,
    })
end

function Conv1d:extra()
    local text = ("%d, %d, %d"):format(self.in_channels, self.out_channels, self.kernel[2])
    for _, option in ipairs {{"stride", 1}, {"padding", 0}, {"dilation", 1}} do
        local value = self[option[1]][2]
        if value ~= option[2] then text = ("%s, %s=%d"):format(text, option[1], value) end
    end
    if self.groups > 1 then text = text .. ", groups=" .. self.groups end
    return text .. (self.bias and "" or ", bias=false")
end

function Conv1d:multiply_adds(_, output)
    return output:numel() * self.weight:numel() // self.out_channels
end

declare(Conv1d, {
    init = "in_channels: size, out_channels: size, kernel: size, options: {stride: size?, "
        .. 'padding: integer(0..)|"same"?, dilation: size?, groups: size?, bias: boolean?}?',
    forward = "x: any?", multiply_adds = "x: tensor, y: tensor",
})

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
    options = options or {}
    init_convolution(self, in_channels, out_channels, kernel, options)
    self.padding, self.output_padding = check.pair(options.padding or 0), check.pair(options.output_padding or 0)
    add_parameters(self, {in_channels, out_channels // self.groups, self.kernel[1], self.kernel[2]}, out_channels,
        options.bias)
end

---@param x Tensor [N,in_channels,H,W]
---@return Tensor [N,out_channels,H',W'], see `F.conv_transpose2d`
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

declare(ConvTranspose2d, {
    init = "in_channels: size, out_channels: size, kernel: pair(1..), options: {stride: pair(1..)?, "
        .. "padding: pair(0..)?, output_padding: pair(0..)?, dilation: pair(1..)?, groups: size?, bias: boolean?}?",
    forward = "x: any?", multiply_adds = "x: tensor, y: tensor?",
})

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
    self.in_features, self.out_features = in_features, out_features
    add_parameters(self, {out_features, in_features}, out_features, options and options.bias)
end

--- Raises unless the layer takes this input.
---@param x any
function Linear:check_input(x)
    check.float(self, "input", x)
    local shape = x.shape
    if shape[#shape] ~= self.in_features then
        check.fail(self, "input: expected float32 [...,%d], got %s", self.in_features, args.describe(x))
    end
end

---@param x Tensor [...,in_features]
---@return Tensor [...,out_features]
function Linear:forward(x)
    self:check_input(x)
    return F.linear(x, self.weight, self.bias)
end

function Linear:extra()
    return ("%d, %d%s"):format(self.in_features, self.out_features, self.bias and "" or ", bias=false")
end

function Linear:multiply_adds(_, output)
    return output:numel() * self.in_features
end

declare(Linear, {
    init = "in_features: size, out_features: size, options: {bias: boolean?}?", forward = "x: any?",
    check_input = "x: any?", multiply_adds = "x: tensor, y: tensor",
})

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
    self.count, self.size = count, size
    self.weight = Module.Parameter(lx.empty(count, size))
    init.normal_(self.weight)
end

---@param indices Tensor int32 [...]
---@return Tensor the shape of the indices, then a dimension of the size of a row
function Embedding:forward(indices)
    if not core.is_usable(indices) or indices.dtype ~= "int32" then
        check.fail(self, "input: expected int32 indices, got %s", args.describe(indices))
    end
    return F.embedding(indices, self.weight)
end

function Embedding:extra()
    return ("%d, %d"):format(self.count, self.size)
end

declare(Embedding, {init = "count: size, size: size", forward = "indices: any?"})

return layers
