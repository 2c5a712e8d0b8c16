--- Normalisation layers: BatchNorm2d, GroupNorm, LayerNorm.

local lx = require "luxel"
local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local check = require "luxel.nn.check"

local layers = {}

local function add_affine(self, shape, affine)
    if affine == false then return end
    self.weight = Module.Parameter(lx.ones(shape))
    self.bias = Module.Parameter(lx.zeros(shape))
end

---@class BatchNorm2d: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@field running_mean Tensor? [channels]
---@field running_var Tensor? [channels]
---@overload fun(channels: integer, options: table?): BatchNorm2d
local BatchNorm2d = Module.class("BatchNorm2d")
layers.BatchNorm2d = BatchNorm2d

--- `nn.BatchNorm2d(64)`: normalises each channel of [N,channels,H,W], by the batch while training, by running
--- statistics after `eval()`.
---@param channels integer
---@param options {eps: number, momentum: number|false, affine: boolean, track_running_stats: boolean}? 1e-5, 0.1,
--- true and true; momentum false keeps a plain average of all batches
function BatchNorm2d:init(channels, options)
    options = check.options("BatchNorm2d", options, {"eps", "momentum", "affine", "track_running_stats"})
    self.channels = check.integer("BatchNorm2d", "channels", channels, 1)
    self.eps = options.eps or 1e-5
    self.momentum = options.momentum == nil and 0.1 or options.momentum
    add_affine(self, {channels}, options.affine)
    if options.track_running_stats ~= false then
        self:register_buffer("running_mean", lx.zeros(channels))
        self:register_buffer("running_var", lx.ones(channels))
        self:register_buffer("num_batches_tracked", lx.tensor(0, {dtype = "int32"}))
    end
end

---@param x Tensor [N,channels,H,W]
---@return Tensor
function BatchNorm2d:forward(x)
    check.float(self:describe(), "input", x, 4)
    if x.shape[2] ~= self.channels then
        error(("%s: input should be [N,%d,H,W], got %s"):format(self:describe(), self.channels,
            check.shape_text(x.shape)), 2)
    end
    local momentum = self.momentum
    if self.training and self.num_batches_tracked then
        self.num_batches_tracked:copy_(self.num_batches_tracked + 1)
        momentum = momentum or 1 / self.num_batches_tracked:item()
    end
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, {
        training = self.training or self.running_mean == nil, momentum = momentum or nil, eps = self.eps,
    })
end

function BatchNorm2d:extra()
    return ("%d%s"):format(self.channels, self.eps ~= 1e-5 and (", eps=%g"):format(self.eps) or "")
end

---@class GroupNorm: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@overload fun(groups: integer, channels: integer, options: table?): GroupNorm
local GroupNorm = Module.class("GroupNorm")
layers.GroupNorm = GroupNorm

--- `nn.GroupNorm(8, 64)`: normalises each of `groups` groups of channels of each image.
---@param groups integer
---@param channels integer
---@param options {eps: number, affine: boolean}?
function GroupNorm:init(groups, channels, options)
    options = check.options("GroupNorm", options, {"eps", "affine"})
    self.groups = check.integer("GroupNorm", "groups", groups, 1)
    self.channels = check.integer("GroupNorm", "channels", channels, 1)
    if channels % groups ~= 0 then
        error(("GroupNorm: groups (%d) should divide channels (%d)"):format(groups, channels), 3)
    end
    self.eps = options.eps or 1e-5
    add_affine(self, {channels}, options.affine)
end

---@param x Tensor [N,channels,...]
---@return Tensor
function GroupNorm:forward(x)
    check.float(self:describe(), "input", x)
    if x.shape[2] ~= self.channels then
        error(("%s: input should be [N,%d,...], got %s"):format(self:describe(), self.channels,
            check.shape_text(x.shape)), 2)
    end
    return F.group_norm(x, self.groups, self.weight, self.bias, {eps = self.eps})
end

function GroupNorm:extra()
    return ("%d, %d"):format(self.groups, self.channels)
end

---@class LayerNorm: Module
---@field weight Tensor? of the shape normalised over
---@field bias Tensor? likewise
---@overload fun(shape: integer|integer[], options: table?): LayerNorm
local LayerNorm = Module.class("LayerNorm")
layers.LayerNorm = LayerNorm

--- `nn.LayerNorm({64, 7, 7})`: normalises over the last dimensions, which have this shape.
---@param shape integer|integer[]
---@param options {eps: number, affine: boolean}?
function LayerNorm:init(shape, options)
    options = check.options("LayerNorm", options, {"eps", "affine"})
    if type(shape) ~= "table" then shape = {shape} end
    self.shape = {}
    for i, size in ipairs(shape) do self.shape[i] = check.integer("LayerNorm", "shape", size, 1) end
    self.eps = options.eps or 1e-5
    add_affine(self, self.shape, options.affine)
end

---@param x Tensor [...,unpack(shape)]
---@return Tensor
function LayerNorm:forward(x)
    check.float(self:describe(), "input", x)
    local xs = x.shape
    for i, size in ipairs(self.shape) do
        if xs[#xs - #self.shape + i] ~= size then
            error(("%s: the last dimensions of the input should be %s, got %s"):format(self:describe(),
                check.shape_text(self.shape), check.shape_text(xs)), 2)
        end
    end
    return F.layer_norm(x, self.shape, self.weight, self.bias, {eps = self.eps})
end

function LayerNorm:extra()
    return check.shape_text(self.shape)
end

return layers
