--- Normalisation layers: BatchNorm1d, BatchNorm2d, InstanceNorm2d, GroupNorm, LayerNorm, LocalResponseNorm.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"
local declare = require "luxel.nn.declare"

local layers = {}

local function add_affine(self, shape, affine)
    if affine == false then return end
    self.weight = Module.Parameter(lx.ones(shape))
    self.bias = Module.Parameter(lx.zeros(shape))
end

local function add_running(self, channels)
    self:register_buffer("running_mean", lx.zeros(channels))
    self:register_buffer("running_var", lx.ones(channels))
    self:register_buffer("num_batches_tracked", lx.tensor(0, {dtype = "int32"}))
end

-- Whether the layer learns its running statistics: not where `Module:freeze` keeps them.
local function learns_statistics(self) return self.training and not self.frozen_statistics end

-- Counts a batch if the layer trains, and gives the share that it has in the running statistics.
local function momentum_of(self)
    if not learns_statistics(self) or not self.num_batches_tracked then return self.momentum or nil end
    self.num_batches_tracked:copy_(self.num_batches_tracked + 1)
    return self.momentum or 1 / self.num_batches_tracked:item()
end

local function channels_text(self)
    local text = tostring(self.channels)
    if self.eps ~= 1e-5 then text = text .. (", eps=%g"):format(self.eps) end
    if self.momentum == false then
        text = text .. ", momentum=false"
    elseif self.momentum ~= 0.1 then
        text = text .. (", momentum=%g"):format(self.momentum)
    end
    return self.frozen_statistics and text .. ", frozen statistics" or text
end

-- PyTorch before 0.4.1 counted no batches.
local OPTIONAL_STATE <const> = {num_batches_tracked = true}

local OPTIONS <const> = "{eps: finite(0..)?, momentum: number(0..1)|boolean?, affine: boolean?, "
    .. "track_running_stats: boolean?}?"

-- ---- over the batch -------------------------------------------------------------------------------------------

-- The two layers differ in the inputs they take alone.
local function init_batch_norm(self, channels, options)
    options = options or {}
    if options.momentum == true then
        args.fail("%s: options: option 'momentum': expected a number from 0 to 1 or false, got true", self.class_name)
    end
    self.channels, self.eps = channels, options.eps or 1e-5
    self.momentum = options.momentum == nil and 0.1 or options.momentum
    add_affine(self, {channels}, options.affine)
    if options.track_running_stats ~= false then add_running(self, channels) end
end

local function normalise(self, x, activation, addend)
    local momentum = momentum_of(self)
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, {
        training = learns_statistics(self) or self.running_mean == nil, momentum = momentum, eps = self.eps,
        activation = activation, addend = addend,
    })
end

---@class BatchNorm1d: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@field running_mean Tensor? [channels]
---@field running_var Tensor? [channels]
---@overload fun(channels: integer, options: table?): BatchNorm1d
local BatchNorm1d = Module.class("BatchNorm1d")
layers.BatchNorm1d = BatchNorm1d
BatchNorm1d.optional_state = OPTIONAL_STATE

--- `nn.BatchNorm1d(64)`: as BatchNorm2d, for [N,channels] and [N,channels,L].
---@param channels integer
---@param options {eps: number, momentum: number|false, affine: boolean, track_running_stats: boolean}? eps: default
--- 1e-5; momentum: default 0.1; false keeps a plain average of all batches; affine, track_running_stats: default true
function BatchNorm1d:init(channels, options) init_batch_norm(self, channels, options) end

---@param x Tensor [N,channels] or [N,channels,L]
---@return Tensor of the shape of x
function BatchNorm1d:forward(x)
    local sizes = core.is_usable(x) and x.ndim == 2 and {"N", self.channels} or {"N", self.channels, "L"}
    check.float(self, "input", x, sizes)
    return normalise(self, x)
end

BatchNorm1d.extra = channels_text

declare(BatchNorm1d, {init = "channels: size, options: " .. OPTIONS, forward = "x: any?"})

---@class BatchNorm2d: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@field running_mean Tensor? [channels]
---@field running_var Tensor? [channels]
---@overload fun(channels: integer, options: table?): BatchNorm2d
local BatchNorm2d = Module.class("BatchNorm2d")
layers.BatchNorm2d = BatchNorm2d
BatchNorm2d.optional_state = OPTIONAL_STATE

--- `nn.BatchNorm2d(64)`: normalises each channel of [N,channels,H,W], by the batch while training, by running
--- statistics after `eval()`.
---@param channels integer
---@param options {eps: number, momentum: number|false, affine: boolean, track_running_stats: boolean}? eps: default
--- 1e-5; momentum: default 0.1; false keeps a plain average of all batches; affine, track_running_stats: default true
function BatchNorm2d:init(channels, options) init_batch_norm(self, channels, options) end

---@param x Tensor [N,channels,H,W]
---@return Tensor of the shape of x
function BatchNorm2d:forward(x)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    return normalise(self, x)
end

--- The same with something added to it and an activation after that, in one pass over memory: what `nn.fuse` calls.
---@param x Tensor [N,channels,H,W]
---@param activation "leaky"|"relu"|"relu6"|nil
---@param addend Tensor? of the shape of x
---@return Tensor of the shape of x
function BatchNorm2d:activated(x, activation, addend)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    return normalise(self, x, activation, addend)
end

BatchNorm2d.extra = channels_text

declare(BatchNorm2d, {
    init = "channels: size, options: " .. OPTIONS, forward = "x: any?",
    activated = "x: any?, activation: text?, addend: any?",
})

---@class DarknetBatchNorm2d: BatchNorm2d
---@field root "inside"|"outside"
---@overload fun(channels: integer, options: table?): DarknetBatchNorm2d
local DarknetBatchNorm2d = Module.class("DarknetBatchNorm2d", BatchNorm2d)
layers.DarknetBatchNorm2d = DarknetBatchNorm2d
DarknetBatchNorm2d.optional_state = OPTIONAL_STATE

--- `nn.DarknetBatchNorm2d(64)`: batch normalisation of [N,channels,H,W] as darknet has it, which while training divides
--- by the root of the *unbiased* variance of the batch, sum((x - mean)²) / (NHW - 1), not of the biased one as
--- `BatchNorm2d` and the paper.
---@param channels integer
---@param options {root: "inside"|"outside", eps: number, momentum: number|false}? root: "inside" (the default) divides
--- by sqrt(var + eps), as GPU builds of darknet do, whose weights are published; "outside" by sqrt(var) + eps, as its
--- CPU build does; eps: default 1e-5 inside, 1e-6 outside; momentum: default 0.1; darknet of before the forks has 0.01
function DarknetBatchNorm2d:init(channels, options)
    options = options or {}
    self.root = options.root or "inside"
    BatchNorm2d.init(self, channels, {
        eps = options.eps or self.root == "inside" and 1e-5 or 1e-6, momentum = options.momentum,
    })
end

local function as_channels(vector) return vector:view(1, -1, 1, 1) end

-- The batch's statistics in the running ones, and x normalised by sqrt(var) + eps with gradients through both.
local function normalise_outside(self, x, count)
    local mean = x:mean({1, 3, 4})
    local centred = x - as_channels(mean)
    local var = (centred * centred):sum({1, 3, 4}) / (count - 1)
    local share = momentum_of(self)
    lx.no_grad(function()
        self.running_mean:mul_(1 - share):add_(mean, share)
        self.running_var:mul_(1 - share):add_(var, share)
    end)
    return centred * as_channels(self.weight / (var:sqrt() + self.eps)) + as_channels(self.bias)
end

---@param x Tensor [N,channels,H,W]
---@return Tensor of the shape of x
function DarknetBatchNorm2d:forward(x) return self:activated(x) end

--- The same with something added to it and an activation after that, in one pass over memory where it can be.
---@param x Tensor [N,channels,H,W]
---@param activation "leaky"|"relu"|"relu6"|nil
---@param addend Tensor? of the shape of x
---@return Tensor of the shape of x
function DarknetBatchNorm2d:activated(x, activation, addend)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    local mean, var, count = self.running_mean, self.running_var, x:numel() // self.channels
    local inside, options = self.root == "inside", {eps = self.eps, activation = activation, addend = addend}
    if not learns_statistics(self) then
        if not inside then var, options.eps = (var:sqrt() + self.eps):pow(2), 0 end
        return F.batch_norm(x, mean, var, self.weight, self.bias, options)
    elseif count < 2 then
        check.fail(self, "training needs more than one value per channel, input is %s", check.shape_text(x.shape))
    end
    if not inside then
        local y = normalise_outside(self, x, count)
        if addend then y = y + addend end
        return activation and F[activation](y) or y
    end
    -- (x - mean) / sqrt(b N/(N-1) + eps), b the biased variance, by the function of that one
    local share = (count - 1) / count
    options.training, options.momentum, options.eps = true, momentum_of(self), self.eps * share
    return F.batch_norm(x, mean, var, self.weight * share ^ 0.5, self.bias, options)
end

function DarknetBatchNorm2d:extra()
    local text = ("%d, root=%s, eps=%g"):format(self.channels, self.root, self.eps)
    return self.momentum == 0.1 and text or text .. (", momentum=%s"):format(self.momentum)
end

declare(DarknetBatchNorm2d, {
    init = 'channels: size, options: {root: "inside"|"outside"?, eps: finite(0..)?, momentum: number(0..1)|boolean?}?',
    forward = "x: any?", activated = "x: any?, activation: text?, addend: any?",
})

-- ---- over each image ------------------------------------------------------------------------------------------

---@class InstanceNorm2d: Module
---@field weight Tensor? [channels], with `affine`
---@field bias Tensor? [channels], with `affine`
---@field running_mean Tensor? [channels], with `track_running_stats`
---@field running_var Tensor? [channels], with `track_running_stats`
---@overload fun(channels: integer, options: table?): InstanceNorm2d
local InstanceNorm2d = Module.class("InstanceNorm2d")
layers.InstanceNorm2d = InstanceNorm2d

--- `nn.InstanceNorm2d(64)`: normalises each channel of each image of [N,channels,H,W] by itself (Ulyanov et al. 2016);
--- with `track_running_stats`, by running statistics after `eval()`.
---@param channels integer
---@param options {eps: number, momentum: number|false, affine: boolean, track_running_stats: boolean}? eps: default
--- 1e-5; momentum: default 0.1; affine, track_running_stats: default false
function InstanceNorm2d:init(channels, options)
    options = options or {}
    init_batch_norm(self, channels, {
        eps = options.eps, momentum = options.momentum, affine = options.affine == true,
        track_running_stats = options.track_running_stats == true,
    })
end

---@param x Tensor [N,channels,H,W]
---@return Tensor of the shape of x
function InstanceNorm2d:forward(x)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    local momentum = momentum_of(self)
    return F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, {
        use_input_stats = learns_statistics(self) or self.running_mean == nil, momentum = momentum, eps = self.eps,
    })
end

InstanceNorm2d.extra = channels_text

declare(InstanceNorm2d, {init = "channels: size, options: " .. OPTIONS, forward = "x: any?"})

---@class GroupNorm: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@overload fun(groups: integer, channels: integer, options: table?): GroupNorm
local GroupNorm = Module.class("GroupNorm")
layers.GroupNorm = GroupNorm

--- `nn.GroupNorm(8, 64)`: normalises each of `groups` groups of channels of each image.
---@param groups integer
---@param channels integer
---@param options {eps: number, affine: boolean}? eps: default 1e-5; affine: default true
function GroupNorm:init(groups, channels, options)
    if channels % groups ~= 0 then
        args.fail("GroupNorm: groups (%d) should divide channels (%d)", groups, channels)
    end
    self.groups, self.channels, self.eps = groups, channels, options and options.eps or 1e-5
    add_affine(self, {channels}, options and options.affine)
end

---@param x Tensor [N,channels,...]
---@return Tensor of the shape of x
function GroupNorm:forward(x)
    check.float(self, "input", x, {"N", self.channels, "..."})
    return F.group_norm(x, self.groups, self.weight, self.bias, {eps = self.eps})
end

function GroupNorm:extra()
    return ("%d, %d"):format(self.groups, self.channels)
end

declare(GroupNorm, {
    init = "groups: size, channels: size, options: {eps: finite(0..)?, affine: boolean?}?", forward = "x: any?",
})

---@class LayerNorm: Module
---@field weight Tensor? of the shape normalised over
---@field bias Tensor? likewise
---@overload fun(shape: integer|integer[], options: table?): LayerNorm
local LayerNorm = Module.class("LayerNorm")
layers.LayerNorm = LayerNorm

--- `nn.LayerNorm({64, 7, 7})`: normalises over the last dimensions, which have this shape.
---@param shape integer|integer[]
---@param options {eps: number, affine: boolean}? eps: default 1e-5; affine: default true
function LayerNorm:init(shape, options)
    if type(shape) == "number" then shape = {shape} end
    if #shape == 0 then args.fail("LayerNorm: shape: expected at least one size, got an empty list") end
    self.shape = table.move(shape, 1, #shape, 1, {})
    self.eps = options and options.eps or 1e-5
    add_affine(self, self.shape, options and options.affine)
end

---@param x Tensor [...,unpack(shape)]
---@return Tensor of the shape of x
function LayerNorm:forward(x)
    check.float(self, "input", x)
    local xs = x.shape
    for i, size in ipairs(self.shape) do
        if xs[#xs - #self.shape + i] ~= size then
            check.fail(self, "input: expected float32 [...,%s], got %s", table.concat(self.shape, ","),
                args.describe(x))
        end
    end
    return F.layer_norm(x, self.shape, self.weight, self.bias, {eps = self.eps})
end

function LayerNorm:extra()
    return check.shape_text(self.shape)
end

declare(LayerNorm, {
    init = "shape: size|size[], options: {eps: finite(0..)?, affine: boolean?}?", forward = "x: any?",
})

---@class LocalResponseNorm: Module
---@field size integer channels of a window
---@overload fun(size: integer, options: table?): LocalResponseNorm
local LocalResponseNorm = Module.class("LocalResponseNorm")
layers.LocalResponseNorm = LocalResponseNorm

--- `nn.LocalResponseNorm(5)`: divides each channel by a power of the mean square of `size` neighbouring ones; see
--- `F.local_response_norm`.
---@param size integer
---@param options {alpha: number, beta: number, k: number}? alpha: default 1e-4; beta: default 0.75; k: default 1
function LocalResponseNorm:init(size, options)
    self.size, self.options = size, args.with_defaults(options or {}, {alpha = 1e-4, beta = 0.75, k = 1})
end

---@param x Tensor [N,C,...]
---@return Tensor of the shape of x
function LocalResponseNorm:forward(x)
    check.float(self, "input", x, {"N", "C", "..."})
    return F.local_response_norm(x, self.size, self.options)
end

function LocalResponseNorm:extra()
    local options = self.options
    return ("%d, alpha=%g, beta=%g, k=%g"):format(self.size, options.alpha, options.beta, options.k)
end

declare(LocalResponseNorm, {
    init = "size: size, options: {alpha: finite?, beta: finite?, k: finite?}?", forward = "x: any?",
})

return layers
