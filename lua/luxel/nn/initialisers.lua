--- Initialisers (`nn.init`): each fills a tensor in place, unrecorded, and returns it.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"

local init = {}

local skipping = false -- see init.skip

-- Values are drawn as float32, into tensors of that dtype alone.
args.type("float_tensor", "a float32 tensor", "userdata", function(value)
    return core.is_usable(value) and value.dtype == "float32"
end)

local function fill(tensor, source)
    lx.no_grad(function() tensor:copy_(source) end)
    source:free()
    return tensor
end

--- Calls `build`, in which initialisers do nothing: for a network whose weights come from a file at once. Until then
--- they are whatever the memory held.
---@param build fun(...): ...
---@return ... what it returns
function init.skip(build, ...)
    local before = skipping
    local _ <close> = setmetatable({}, {__close = function() skipping = before end})
    skipping = true
    return build(...)
end

--- Every element `value`.
---@param tensor Tensor
---@param value number
---@return Tensor tensor
function init.constant_(tensor, value)
    if skipping then return tensor end
    return lx.no_grad(function() return tensor:fill_(value) end)
end

--- 0 everywhere.
---@param tensor Tensor
---@return Tensor tensor
function init.zeros_(tensor) return init.constant_(tensor, 0) end

--- 1 everywhere.
---@param tensor Tensor
---@return Tensor tensor
function init.ones_(tensor) return init.constant_(tensor, 1) end

--- Uniform from `low` to `high`.
---@param tensor Tensor
---@param low number? 0
---@param high number? 1
---@return Tensor tensor
function init.uniform_(tensor, low, high)
    if skipping then return tensor end
    low, high = low or 0, high or 1
    if low > high then args.fail("uniform_: low: expected at most high (%g), got %g", high, low) end
    return fill(tensor, lx.rand(tensor.shape, {device = tensor.device}):mul_(high - low):add_(low))
end

--- Normal with the given mean and standard deviation.
---@param tensor Tensor
---@param mean number? 0
---@param std number? 1
---@return Tensor tensor
function init.normal_(tensor, mean, std)
    if skipping then return tensor end
    return fill(tensor, lx.randn(tensor.shape, {device = tensor.device}):mul_(std or 1):add_(mean or 0))
end

local function fans(name, tensor)
    local shape, window = tensor.shape, 1
    if #shape < 2 or tensor:numel() == 0 then
        args.fail("%s: tensor: expected at least 2 dimensions and some elements, got %s", name, args.describe(tensor))
    end
    for i = 3, #shape do window = window * shape[i] end
    return shape[2] * window, shape[1] * window
end

--- How many values come into and go out of one unit: for [O,I] I and O, for [O,I,KH,KW] I KH KW and O KH KW.
---@param tensor Tensor with at least 2 dimensions
---@return integer fan_in
---@return integer fan_out
function init.fans(tensor) return fans("fans", tensor) end

--- How much the activation shrinks the standard deviation: the factor that makes up for it.
---@param nonlinearity "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"
---@param slope number? of leaky_relu, 0.01
---@return number
function init.gain(nonlinearity, slope)
    if nonlinearity == "relu" then return math.sqrt(2) end
    if nonlinearity == "leaky_relu" then return math.sqrt(2 / (1 + (slope or 0.01) ^ 2)) end
    if nonlinearity == "tanh" then return 5 / 3 end
    return 1
end

-- The standard deviation that keeps the variance through a layer (He et al. 2015).
local function kaiming_std(name, tensor, options)
    options = options or {}
    local fan_in, fan_out = fans(name, tensor)
    local gain = init.gain(options.nonlinearity or "leaky_relu", options.a or 0)
    return gain / math.sqrt(options.mode == "fan_out" and fan_out or fan_in)
end

--- He et al. 2015, uniform.
---@param tensor Tensor
---@param options {a: number, mode: "fan_in"|"fan_out", nonlinearity: string}? a: the slope of leaky_relu, default 0;
--- mode: default "fan_in"; nonlinearity: default "leaky_relu"
---@return Tensor tensor
function init.kaiming_uniform_(tensor, options)
    local bound = math.sqrt(3) * kaiming_std("kaiming_uniform_", tensor, options)
    return init.uniform_(tensor, -bound, bound)
end

--- He et al. 2015, normal.
---@param tensor Tensor
---@param options {a: number, mode: "fan_in"|"fan_out", nonlinearity: string}? as for kaiming_uniform_
---@return Tensor tensor
function init.kaiming_normal_(tensor, options)
    return init.normal_(tensor, 0, kaiming_std("kaiming_normal_", tensor, options))
end

local function xavier_std(name, tensor, gain)
    local fan_in, fan_out = fans(name, tensor)
    return (gain or 1) * math.sqrt(2 / (fan_in + fan_out))
end

--- Glorot and Bengio 2010, uniform.
---@param tensor Tensor
---@param gain number? 1
---@return Tensor tensor
function init.xavier_uniform_(tensor, gain)
    local bound = math.sqrt(3) * xavier_std("xavier_uniform_", tensor, gain)
    return init.uniform_(tensor, -bound, bound)
end

--- Glorot and Bengio 2010, normal.
---@param tensor Tensor
---@param gain number? 1
---@return Tensor tensor
function init.xavier_normal_(tensor, gain)
    return init.normal_(tensor, 0, xavier_std("xavier_normal_", tensor, gain))
end

local KAIMING <const> = 'tensor: float_tensor, options: {a: finite?, mode: "fan_in"|"fan_out"?, '
    .. 'nonlinearity: "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"?}?'

args.publish("", init, {
    skip = "build: function, ...: any?", constant_ = "tensor: tensor, value: number", zeros_ = "tensor: tensor",
    ones_ = "tensor: tensor", uniform_ = "tensor: float_tensor, low: finite?, high: finite?",
    normal_ = "tensor: float_tensor, mean: finite?, std: finite(0..)?", fans = "tensor: tensor",
    gain = 'nonlinearity: "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu", slope: finite?',
    kaiming_uniform_ = KAIMING, kaiming_normal_ = KAIMING,
    xavier_uniform_ = "tensor: float_tensor, gain: finite(0..)?",
    xavier_normal_ = "tensor: float_tensor, gain: finite(0..)?",
})

return namespace("lx.nn.init", init)
