--- Initialisers (`nn.init`): each fills a tensor in place, unrecorded, and returns it.

local lx = require "luxel"
local check = require "luxel.nn.check"

local init = {}

local skipping = false -- see init.skip

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

---@param tensor Tensor
---@return Tensor tensor
function init.zeros_(tensor) return init.constant_(tensor, 0) end

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

--- How many values come into and go out of one unit: for [O,I] I and O, for [O,I,KH,KW] I KH KW and O KH KW.
---@param tensor Tensor with at least 2 dimensions
---@return integer fan_in
---@return integer fan_out
function init.fans(tensor)
    local shape, window = tensor.shape, 1
    if #shape < 2 then
        error("fans: the tensor should have at least 2 dimensions, got " .. check.describe(tensor), 2)
    end
    for i = 3, #shape do window = window * shape[i] end
    return shape[2] * window, shape[1] * window
end

--- How much the activation shrinks the standard deviation: the factor that makes up for it.
---@param nonlinearity "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"
---@param slope number? of leaky_relu, 0.01
---@return number
function init.gain(nonlinearity, slope)
    if nonlinearity == "relu" then return math.sqrt(2) end
    if nonlinearity == "leaky_relu" then return math.sqrt(2 / (1 + (slope or 0.01) ^ 2)) end
    if nonlinearity == "tanh" then return 5 / 3 end
    if nonlinearity == "linear" or nonlinearity == "conv2d" or nonlinearity == "sigmoid" then return 1 end
    error("gain: unknown nonlinearity " .. tostring(nonlinearity), 2)
end

-- The standard deviation that keeps the variance through a layer (He et al. 2015).
local function kaiming_std(name, tensor, options)
    options = check.options(name, options, {"a", "mode", "nonlinearity"})
    local fan_in, fan_out = init.fans(tensor)
    local mode = options.mode or "fan_in"
    if mode ~= "fan_in" and mode ~= "fan_out" then
        check.fail(name, 'mode should be "fan_in" or "fan_out", got %s', tostring(mode))
    end
    local gain = init.gain(options.nonlinearity or "leaky_relu", options.a or 0)
    return gain / math.sqrt(mode == "fan_in" and fan_in or fan_out)
end

--- He et al. 2015, uniform.
---@param tensor Tensor
---@param options {a: number, mode: "fan_in"|"fan_out", nonlinearity: string}? a (the slope of leaky_relu) 0, "fan_in"
--- and "leaky_relu"
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

local function xavier_std(tensor, gain)
    local fan_in, fan_out = init.fans(tensor)
    return (gain or 1) * math.sqrt(2 / (fan_in + fan_out))
end

--- Glorot and Bengio 2010, uniform.
---@param tensor Tensor
---@param gain number? 1
---@return Tensor tensor
function init.xavier_uniform_(tensor, gain)
    local bound = math.sqrt(3) * xavier_std(tensor, gain)
    return init.uniform_(tensor, -bound, bound)
end

--- Glorot and Bengio 2010, normal.
---@param tensor Tensor
---@param gain number? 1
---@return Tensor tensor
function init.xavier_normal_(tensor, gain)
    return init.normal_(tensor, 0, xavier_std(tensor, gain))
end

return init
