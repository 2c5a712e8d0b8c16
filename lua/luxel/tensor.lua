--- Tensors as users see them: constructors, methods, operators.
--
-- Arguments are put in order here and handed to the differentiable operations of `luxel.ops`; what has no gradient
-- goes to `luxel.core` directly. Dimensions and indices count from 1, negative ones from the end.

local autograd = require "luxel.autograd"
local core = require "luxel.core"
local format = require "luxel.format"
local memory = require "luxel.memory"
local ops = require "luxel.ops"
local shapes = require "luxel.shape"

---@class Tensor: userdata
---@field shape integer[] sizes, one a dimension
---@field ndim integer
---@field dtype "float32"|"uint8"|"int32"
---@field device string
---@field requires_grad boolean whether operations on it are recorded for backward
---@field grad Tensor? the gradient that backward has added up, for a leaf
---@field neg fun(t: Tensor): Tensor -x; `neg_` in place
---@field abs fun(t: Tensor): Tensor |x|; `abs_` in place
---@field sign fun(t: Tensor): Tensor -1, 0 or 1; `sign_` in place
---@field floor fun(t: Tensor): Tensor rounded down; `floor_` in place
---@field ceil fun(t: Tensor): Tensor rounded up; `ceil_` in place
---@field round fun(t: Tensor): Tensor to the nearest whole number, halves to even; `round_` in place
---@field square fun(t: Tensor): Tensor x²; `square_` in place
---@field sqrt fun(t: Tensor): Tensor √x; `sqrt_` in place
---@field rsqrt fun(t: Tensor): Tensor 1/√x; `rsqrt_` in place
---@field reciprocal fun(t: Tensor): Tensor 1/x; `reciprocal_` in place
---@field exp fun(t: Tensor): Tensor e^x; `exp_` in place
---@field expm1 fun(t: Tensor): Tensor e^x - 1, exact near 0; `expm1_` in place
---@field log fun(t: Tensor): Tensor natural logarithm; `log_` in place
---@field log1p fun(t: Tensor): Tensor log(1 + x), exact near 0; `log1p_` in place
---@field sin fun(t: Tensor): Tensor of radians; `sin_` in place
---@field cos fun(t: Tensor): Tensor of radians; `cos_` in place
---@field tanh fun(t: Tensor): Tensor hyperbolic tangent; `tanh_` in place
---@field erf fun(t: Tensor): Tensor error function; `erf_` in place
---@field sigmoid fun(t: Tensor): Tensor 1/(1 + e^-x); `sigmoid_` in place
---@field relu fun(t: Tensor): Tensor max(0, x); `relu_` in place
---@field add fun(t: Tensor, other: Tensor|number): Tensor t + other, broadcast; `add_` in place
---@field sub fun(t: Tensor, other: Tensor|number): Tensor t - other, broadcast; `sub_` in place
---@field mul fun(t: Tensor, other: Tensor|number): Tensor t * other, broadcast; `mul_` in place
---@field div fun(t: Tensor, other: Tensor|number): Tensor t / other, broadcast; `div_` in place
---@field pow fun(t: Tensor, other: Tensor|number): Tensor t ^ other, broadcast; `pow_` in place
---@field maximum fun(t: Tensor, other: Tensor|number): Tensor the larger, broadcast; `maximum_` in place
---@field minimum fun(t: Tensor, other: Tensor|number): Tensor the smaller, broadcast; `minimum_` in place
---@field eq fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t == other
---@field ne fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t ~= other
---@field lt fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t < other
---@field le fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t <= other
---@field gt fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t > other
---@field ge fun(t: Tensor, other: Tensor|number): Tensor uint8, 1 where t >= other
---@field max fun(t: Tensor, dim?: integer|integer[], keepdim?: boolean): Tensor, Tensor? values; positions for one dim
---@field argmax fun(t: Tensor, dim?: integer, keepdim?: boolean): Tensor int32, from 1; the first where equal
---@field min fun(t: Tensor, dim?: integer|integer[], keepdim?: boolean): Tensor, Tensor? values; positions for one dim
---@field argmin fun(t: Tensor, dim?: integer, keepdim?: boolean): Tensor int32, from 1; the first where equal
---@field matmul fun(a: Tensor, b: Tensor): Tensor [...,M,K] × [...,K,N]; vectors and broadcast batches as in PyTorch
---@field mm fun(a: Tensor, b: Tensor): Tensor the same as matmul
---@field bmm fun(a: Tensor, b: Tensor): Tensor the same as matmul
---@operator add(Tensor|number): Tensor
---@operator sub(Tensor|number): Tensor
---@operator mul(Tensor|number): Tensor
---@operator div(Tensor|number): Tensor
---@operator pow(Tensor|number): Tensor
---@operator unm: Tensor
local methods = core.metatable.methods

---@class TensorOptions
---@field dtype ("float32"|"uint8"|"int32")? default float32
---@field device string? default "cpu"
---@field requires_grad boolean?

local tensors = {} -- the constructors and functions of the module table

local is_tensor = core.is_tensor
local shape_text = shapes.text
local DTYPES <const> = {float32 = true, uint8 = true, int32 = true}

-- Sizes given one by one or as one table: (2, 3, options) or ({2, 3}, options). Returns shape, options.
local function sizes(name, ...)
    local first = ...
    if type(first) == "table" then return first, (select(2, ...)) end
    local shape, options = {...}, nil
    if type(shape[#shape]) == "table" then options = table.remove(shape) end
    for i, size in ipairs(shape) do
        if math.type(size) ~= "integer" and not math.tointeger(size) then
            error(("%s: size %d must be a whole number, got %s"):format(name, i, tostring(size)), 3)
        end
    end
    return shape, options
end

-- One number for each position: (1, 2) or ({1, 2}).
local function list(...)
    local first = ...
    if type(first) == "table" then return first end
    return {...}
end

local function finish(tensor, options)
    if options and options.requires_grad then autograd.set_requires_grad(tensor, true) end
    return tensor
end

-- ---- constructors ---------------------------------------------------------------------------------------------

--- A tensor of the numbers in nested tables (or of one number).
---@param values table|number|Tensor a tensor is copied
---@param options TensorOptions?
---@return Tensor
function tensors.tensor(values, options)
    options = options or {}
    if is_tensor(values) then
        local copy = ops.clone(values:detach())
        return finish(options.dtype and core.cast(copy, options.dtype) or copy, options)
    end
    if type(values) ~= "table" and type(values) ~= "number" then
        error(("tensor: expected a table of numbers or a number, got %s"):format(type(values)), 2)
    end
    return finish(core.from_table(values, options.dtype, options.device), options)
end

--- A tensor from raw bytes: little-endian, row-major.
---@param bytes string
---@param shape integer[]
---@param dtype string?
---@param device string?
---@return Tensor
function tensors.from_string(bytes, shape, dtype, device)
    return core.from_string(bytes, shape, dtype, device)
end

local function filled(shape, value, options)
    options = options or {}
    return finish(core.fill_(core.new(shape, options.dtype, options.device), value), options)
end

--- A tensor of zeros: `zeros(2, 3)`, `zeros({2, 3}, {dtype = "uint8"})`.
---@return Tensor
function tensors.zeros(...)
    local shape, options = sizes("zeros", ...)
    return filled(shape, 0, options)
end

--- A tensor of ones.
---@return Tensor
function tensors.ones(...)
    local shape, options = sizes("ones", ...)
    return filled(shape, 1, options)
end

--- A tensor that has the value everywhere.
---@param shape integer[]
---@param value number
---@param options TensorOptions?
---@return Tensor
function tensors.full(shape, value, options) return filled(shape, value, options) end

--- A tensor whose contents are not set: whatever the memory held.
---@return Tensor
function tensors.empty(...)
    local shape, options = sizes("empty", ...)
    options = options or {}
    return finish(core.new(shape, options.dtype, options.device), options)
end

--- Zeros of the shape, dtype and device of t.
---@param t Tensor
---@return Tensor
function tensors.zeros_like(t) return filled(t.shape, 0, {dtype = t.dtype, device = t.device}) end

--- Ones of the shape, dtype and device of t.
---@param t Tensor
---@return Tensor
function tensors.ones_like(t) return filled(t.shape, 1, {dtype = t.dtype, device = t.device}) end

--- start, start + step, … up to but without stop: `arange(5)` is 0 1 2 3 4.
---@param start number
---@param stop number?
---@param step number?
---@param options TensorOptions?
---@return Tensor [n]
function tensors.arange(start, stop, step, options)
    if type(stop) == "table" then stop, options = nil, stop end
    if type(step) == "table" then step, options = nil, step end
    if stop == nil then start, stop = 0, start end
    step, options = step or 1, options or {}
    if step == 0 then error("arange: step must not be 0", 2) end
    local count = math.max(0, math.ceil((stop - start) / step))
    local result = core.arange(start, step, math.tointeger(count), options.device)
    return finish(core.cast(result, options.dtype), options)
end

--- n numbers from a to b, both included, evenly spaced.
---@return Tensor [n]
function tensors.linspace(a, b, n, options)
    options = options or {}
    if n < 1 then error(("linspace: the number of steps must be at least 1, got %s"):format(n), 2) end
    return finish(core.arange(a, n > 1 and (b - a) / (n - 1) or 0, n, options.device), options)
end

--- The n by n identity matrix.
---@return Tensor [n,n]
function tensors.eye(n, options)
    options = options or {}
    local row = core.arange(0, 1, n, options.device)
    local equal = core.binary("eq", core.unsqueeze(row, 2), row)
    return finish(core.cast(equal, options.dtype), options)
end

--- Uniform random numbers in [0, 1).
---@return Tensor
function tensors.rand(...)
    local shape, options = sizes("rand", ...)
    local seed, stream = core.next_stream()
    return finish(core.rand(shape, seed, stream, options and options.device), options)
end

--- Random numbers of the standard normal distribution.
---@return Tensor
function tensors.randn(...)
    local shape, options = sizes("randn", ...)
    local seed, stream = core.next_stream()
    return finish(core.randn(shape, seed, stream, options and options.device), options)
end

--- Random whole numbers from low up to but without high.
---@param low integer
---@param high integer
---@param shape integer[]
---@param options TensorOptions?
---@return Tensor int32 unless options say otherwise
function tensors.randint(low, high, shape, options)
    if not (high > low) then error(("randint: high (%s) must be above low (%s)"):format(high, low), 2) end
    options = options or {}
    local seed, stream = core.next_stream()
    return core.cast(core.randint(low, high, shape, seed, stream, options.device), options.dtype or "int32")
end

--- The numbers 1 to n in random order.
---@param n integer
---@return Tensor int32 [n]
function tensors.randperm(n)
    local _, order = core.sort(core.rand({n}, core.next_stream()), 1, false)
    return order
end

--- Starts the random numbers again from `seed`.
---@param seed integer
function tensors.manual_seed(seed) core.manual_seed(seed) end

-- ---- looking at a tensor --------------------------------------------------------------------------------------

--- The size of dimension `dim`, or all sizes.
function methods.size(t, dim)
    local shape = t.shape
    if not dim then return shape end
    local size = shape[dim < 0 and #shape + 1 + dim or dim]
    if not size then error(("size: dimension %d is out of range for shape %s"):format(dim, shape_text(shape)), 2) end
    return size
end

--- The number of elements.
---@return integer
function methods.numel(t)
    local count = 1
    for _, size in ipairs(t.shape) do count = count * size end
    return count
end

--- The only element, as a number.
---@return number
function methods.item(t) return core.item(t) end

--- Nested Lua tables of the elements.
---@return table|number
function methods.totable(t) return core.to_table(t) end

--- The elements as raw bytes: little-endian, row-major.
---@return string
function methods.tostring_bytes(t) return core.to_string(t) end

function methods.is_contiguous(t) return (select(4, core.info(t))) end

--- Gives the memory back now. Using the tensor afterwards is an error.
function methods.free(t) core.free(t) end

core.metatable.__tostring = function(t)
    if core.is_freed(t) then return "[freed tensor]" end
    return format.tensor(t)
end
core.metatable.__name = "luxel.tensor"

-- ---- views ----------------------------------------------------------------------------------------------------

--- The same memory in another shape. One size may be -1. Raises if the strides do not allow it.
---@param t Tensor
---@param ... integer|integer[] sizes
---@return Tensor
function methods.view(t, ...) return ops.view(t, list(...)) end

--- Another shape: a view where the strides allow it, else of a copy.
---@param t Tensor
---@param ... integer|integer[] sizes, one may be -1
---@return Tensor
function methods.reshape(t, ...) return ops.reshape(t, list(...)) end

--- `length` elements of a dimension, from `start` (from 1) on.
---@param t Tensor
---@param dim integer
---@param start integer
---@param length integer
---@return Tensor a view
function methods.narrow(t, dim, start, length) return ops.narrow(t, dim, start, length) end

--- One position of a dimension, which goes away.
---@param t Tensor
---@param dim integer
---@param index integer from 1, or from the end if negative
---@return Tensor a view
function methods.select(t, dim, index) return ops.select(t, dim, index) end

--- The dimensions in another order.
---@param t Tensor
---@param ... integer|integer[] every dimension once
---@return Tensor a view
function methods.permute(t, ...) return ops.permute(t, list(...)) end

--- Dimensions of size 1 repeated without a copy; -1 keeps a size.
---@param t Tensor
---@param ... integer|integer[] sizes
---@return Tensor a view
function methods.expand(t, ...) return ops.expand(t, list(...)) end

--- A new dimension of size 1 at `dim`.
---@param t Tensor
---@param dim integer
---@return Tensor a view
function methods.unsqueeze(t, dim) return ops.unsqueeze(t, dim) end

--- The elements in row-major order without gaps: t itself where it is so already.
---@param t Tensor
---@return Tensor
function methods.contiguous(t) return ops.contiguous(t) end

--- A copy in memory of its own.
---@param t Tensor
---@return Tensor
function methods.clone(t) return ops.clone(t) end
function methods.view_as(t, other) return ops.view(t, other.shape) end
function methods.expand_as(t, other) return ops.expand(t, other.shape) end

--- Another tensor on the same memory, cut off from the recorded history.
function methods.detach(t) return core.detach(t) end

-- A dimension argument counted from 1.
local function positive(name, t, dim, extra)
    local ndim = t.ndim + (extra or 0)
    local counted = dim < 0 and ndim + 1 + dim or dim
    if counted < 1 or counted > ndim then
        error(("%s: dimension %d is out of range for shape %s"):format(name, dim, shape_text(t.shape)), 3)
    end
    return counted
end

--- Swaps two dimensions.
function methods.transpose(t, a, b)
    a, b = positive("transpose", t, a), positive("transpose", t, b)
    local dims = {}
    for i = 1, t.ndim do dims[i] = i end
    dims[a], dims[b] = b, a
    return ops.permute(t, dims)
end

--- The transpose of a matrix.
function methods.t(t)
    if t.ndim ~= 2 then error(("t: expected a matrix, shape is %s"):format(shape_text(t.shape)), 2) end
    return ops.permute(t, {2, 1})
end

--- Removes a dimension of size 1, or all of them.
function methods.squeeze(t, dim)
    if dim then return ops.squeeze(t, dim) end
    local shape = {}
    for _, size in ipairs(t.shape) do
        if size ~= 1 then shape[#shape + 1] = size end
    end
    return ops.reshape(t, shape)
end

--- Joins the dimensions from `first` to `last` (default: all) into one.
function methods.flatten(t, first, last)
    if t.ndim == 0 then return ops.reshape(t, {1}) end
    first, last = positive("flatten", t, first or 1), positive("flatten", t, last or -1)
    local shape, joined = {}, 1
    for i, size in ipairs(t.shape) do
        if i < first or i > last then
            shape[#shape + 1] = size
        else
            joined = joined * size
            if i == last then shape[#shape + 1] = joined end
        end
    end
    return ops.reshape(t, shape)
end

--- Joins tensors along a dimension they have.
---@param parts Tensor[]
---@param dim integer? default 1
---@return Tensor
function tensors.cat(parts, dim)
    if type(parts) ~= "table" or #parts == 0 then error("cat: expected a table of at least one tensor", 2) end
    return ops.cat(dim or 1, table.unpack(parts))
end

--- Joins tensors of one shape along a new dimension.
---@param parts Tensor[]
---@param dim integer? default 1
---@return Tensor
function tensors.stack(parts, dim)
    if type(parts) ~= "table" or #parts == 0 then error("stack: expected a table of at least one tensor", 2) end
    local slices = {}
    for i, part in ipairs(parts) do slices[i] = ops.unsqueeze(part, dim or 1) end
    return ops.cat(dim or 1, table.unpack(slices))
end

--- Cuts into `n` pieces along a dimension (the last may be smaller).
---@return Tensor[]
function methods.chunk(t, n, dim)
    dim = positive("chunk", t, dim or 1)
    local total = t.shape[dim]
    local size = math.max(1, (total + n - 1) // n)
    local pieces = {}
    for start = 1, math.max(total, 1), size do
        pieces[#pieces + 1] = ops.narrow(t, dim, start, math.min(size, total - start + 1))
    end
    return pieces
end

-- ---- indexing -------------------------------------------------------------------------------------------------

-- The view that t[key] names; `narrow` and `select` are the differentiable ones or the plain ones.
local function subview(t, key, narrow, select_)
    if math.type(key) == "integer" then return select_(t, 1, key) end
    if type(key) ~= "table" then
        error(("a tensor is indexed by a whole number, {i, {from, to}, {}} or a mask, got %s"):format(type(key)), 3)
    end
    if #key > t.ndim then
        error(("%d indices for a tensor of shape %s"):format(#key, shape_text(t.shape)), 3)
    end
    local dim = 1
    for _, part in ipairs(key) do
        if type(part) == "table" then
            local size = t.shape[dim]
            local from, to = part[1] or 1, part[2] or part[1] or size
            from, to = from < 0 and size + 1 + from or from, to < 0 and size + 1 + to or to
            t = narrow(t, dim, from, to - from + 1)
            dim = dim + 1
        else
            t = select_(t, dim, part)
        end
    end
    return t
end

--- t[i], t[{i, {from, to}, {}}], t[indices]. One element comes as a number unless a gradient is wanted.
function methods.index(t, key)
    if is_tensor(key) then
        if key.dtype == "uint8" then
            error("a mask only works for assignment, t[mask] = value; use lx.where or masked_fill to read", 2)
        end
        return ops.index_select(t, 1, key)
    end
    if t.ndim == 0 then error("a tensor without dimensions has no elements to index; use t:item()", 2) end
    local view = subview(t, key, ops.narrow, ops.select)
    if view.ndim == 0 and not view.requires_grad then return core.item(view) end
    return view
end

--- t[i] = value, t[{…}] = value, t[mask] = value, t.grad = …, t.requires_grad = ….
function methods.assign(t, key, value)
    if key == "grad" then return autograd.set_grad(t, value) end
    if key == "requires_grad" then return autograd.set_requires_grad(t, value) end
    if type(key) == "string" then error(("a tensor has no field '%s' to set"):format(key), 2) end
    autograd.check_inplace(t, "assignment")
    if is_tensor(key) then
        local replacement = is_tensor(value) and value or tensors.full({}, value, {device = t.device})
        core.copy_(t, core.where(key, replacement, t))
        return
    end
    local view = subview(t, key, core.narrow, core.select)
    if is_tensor(value) then core.copy_(view, value) else core.fill_(view, value) end
end

-- ---- arithmetic -----------------------------------------------------------------------------------------------

local UNARY <const> = {"neg", "abs", "sign", "floor", "ceil", "round", "square", "sqrt", "rsqrt", "reciprocal", "exp",
    "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "sigmoid", "relu"}
for _, name in ipairs(UNARY) do
    methods[name] = ops[name]
    methods[name .. "_"] = function(t)
        autograd.check_inplace(t, name .. "_")
        return core.unary_(t, name)
    end
end

for _, name in ipairs {"add", "sub", "mul", "div", "pow", "maximum", "minimum"} do
    methods[name] = ops[name]
    methods[name .. "_"] = function(t, other)
        autograd.check_inplace(t, name .. "_")
        return core.binary_(t, name, other)
    end
    tensors[name] = ops[name]
end

--- t + alpha * other, in place.
function methods.add_(t, other, alpha)
    autograd.check_inplace(t, "add_")
    if not alpha or alpha == 1 then return core.binary_(t, "add", other) end
    if not is_tensor(other) then return core.binary_(t, "add", other * alpha) end
    return core.add_scaled_(t, other, alpha)
end

local metatable = core.metatable
metatable.__add, metatable.__sub, metatable.__mul, metatable.__div = ops.add, ops.sub, ops.mul, ops.div
metatable.__pow = ops.pow
metatable.__unm = function(t) return ops.neg(t) end

--- Limits every element to [low, high]; either may be nil.
function methods.clamp(t, low, high) return ops.clamp(t, low or -math.huge, high or math.huge) end

---@param t Tensor
---@param low number?
---@param high number?
---@return Tensor t
function methods.clamp_(t, low, high)
    autograd.check_inplace(t, "clamp_")
    return core.unary_(t, "clamp", low or -math.huge, high or math.huge)
end

for _, name in ipairs {"eq", "ne", "lt", "le", "gt", "ge"} do
    methods[name] = function(t, other) return core.binary(name, t, other) end
end

--- 1 where an element is not a number.
---@return Tensor uint8
function methods.isnan(t) return core.unary("isnan", t) end

--- condition ? a : b, each broadcast. Numbers are taken for a and b.
---@param condition Tensor uint8
---@return Tensor
function tensors.where(condition, a, b)
    local function operand(value)
        return is_tensor(value) and value or tensors.full({}, value, {device = condition.device})
    end
    return ops.where(condition, operand(a), operand(b))
end

--- The value where the mask holds.
function methods.masked_fill(t, mask, value) return tensors.where(mask, value, t) end

-- ---- conversion and writing -----------------------------------------------------------------------------------

--- Another dtype or device: t:to("uint8"), t:to("cpu"). The same tensor if nothing changes.
function methods.to(t, target)
    if DTYPES[target] then
        if t.dtype == target then return t end
        return core.cast(t, target)
    end
    if core.label(target) == t.device then return t end
    return ops.to_device(t, target)
end
function methods.float(t) return methods.to(t, "float32") end
function methods.byte(t) return methods.to(t, "uint8") end
function methods.int(t) return methods.to(t, "int32") end

--- Overwrites t with `source`, converted to its dtype and broadcast to its shape.
---@param t Tensor
---@param source Tensor
---@return Tensor t
function methods.copy_(t, source)
    autograd.check_inplace(t, "copy_")
    return core.copy_(t, source)
end

--- Sets every element.
---@param t Tensor
---@param value number
---@return Tensor t
function methods.fill_(t, value)
    autograd.check_inplace(t, "fill_")
    return core.fill_(t, value)
end

function methods.zero_(t) return methods.fill_(t, 0) end

-- ---- reductions -----------------------------------------------------------------------------------------------

-- nil (all), one dimension or a table of them, as a table.
local function dims_of(dim)
    if dim == nil or type(dim) == "table" then return dim end
    return {dim}
end

-- How many elements each result sums up.
local function reduced_count(t, dims)
    if not dims then return t:numel() end
    local count = 1
    for _, dim in ipairs(dims) do count = count * t:size(dim) end
    return count
end

--- The sum of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|nil
---@param keepdim boolean? keeps them with size 1
---@return Tensor
function methods.sum(t, dim, keepdim) return ops.sum(t, dims_of(dim), keepdim) end

--- The product of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|nil
---@param keepdim boolean?
---@return Tensor
function methods.prod(t, dim, keepdim) return ops.prod(t, dims_of(dim), keepdim) end

--- The mean of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|nil
---@param keepdim boolean?
---@return Tensor
function methods.mean(t, dim, keepdim)
    local dims = dims_of(dim)
    return ops.div(ops.sum(t, dims, keepdim), reduced_count(t, dims))
end

--- The variance over `dim` (default: all); divided by n - 1 unless `unbiased` is false.
function methods.var(t, dim, keepdim, unbiased)
    local dims = dims_of(dim)
    if not dims then
        dims = {}
        for i = 1, t.ndim do dims[i] = i end
    end
    local count = reduced_count(t, dims)
    local centred = ops.sub(t, ops.div(ops.sum(t, dims, true), count))
    local divisor = unbiased == false and count or count - 1
    return ops.div(ops.sum(ops.square(centred), dims, keepdim), divisor)
end

--- The standard deviation: the root of `var`.
---@param t Tensor
---@param dim integer|integer[]|nil
---@param keepdim boolean?
---@param unbiased boolean?
---@return Tensor
function methods.std(t, dim, keepdim, unbiased) return ops.sqrt(methods.var(t, dim, keepdim, unbiased)) end

-- The extreme of all elements, or with a dimension: values and their positions.
local function extreme(name)
    methods[name] = function(t, dim, keepdim)
        if dim == nil then return ops[name .. "_over"](t, nil, false) end
        if type(dim) == "table" then return ops[name .. "_over"](t, dim, keepdim) end
        local index = core.argreduce("arg" .. name, t, dim, true)
        local values = ops.take_along(t, dim, index)
        if keepdim then return values, index end
        return ops.squeeze(values, dim), core.squeeze(index, dim)
    end
    methods["arg" .. name] = function(t, dim, keepdim) return core.argreduce("arg" .. name, t, dim, keepdim) end
end
extreme("max")
extreme("min")

--- Whether any element (of a dimension) is not 0.
---@return Tensor uint8
function methods.any(t, dim, keepdim)
    return core.cast(core.reduce("max", core.binary("ne", t, 0), dims_of(dim), keepdim), "uint8")
end

--- Whether all elements (of a dimension) are not 0.
---@return Tensor uint8
function methods.all(t, dim, keepdim)
    return core.cast(core.reduce("min", core.binary("ne", t, 0), dims_of(dim), keepdim), "uint8")
end

--- The p-norm (default 2; math.huge for the largest absolute value).
function methods.norm(t, p, dim, keepdim)
    p = p or 2
    local dims = dims_of(dim)
    if p == 2 then return ops.sqrt(ops.sum(ops.square(t), dims, keepdim)) end
    if p == math.huge then return ops.max_over(ops.abs(t), dims, keepdim) end
    return ops.pow(ops.sum(ops.pow(ops.abs(t), p), dims, keepdim), 1 / p)
end

--- Running sums along a dimension.
---@param t Tensor
---@param dim integer
---@return Tensor
function methods.cumsum(t, dim) return ops.cumsum(t, dim) end

--- Sorted along a dimension (default: the last). Stable.
---@return Tensor values, Tensor indices int32, from 1
function methods.sort(t, dim, descending) return ops.sort(t, dim or -1, descending) end

--- The k largest (or smallest) along a dimension (default: the last), in order.
---@return Tensor values, Tensor indices int32, from 1
function methods.topk(t, k, dim, largest)
    dim = dim or -1
    if k < 0 or k > t:size(dim) then
        error(("topk: k is %d, dimension %d of shape %s has %d"):format(k, dim, shape_text(t.shape), t:size(dim)), 2)
    end
    local values, index = ops.sort(t, dim, largest ~= false)
    return ops.narrow(values, dim, 1, k), core.narrow(index, dim, 1, k)
end

--- The positions `index` (int32 [n], from 1) of a dimension, in that order. One out of range raises on the cpu; on
--- other devices, which compute while Lua goes on, it gives NaN (0 of integers). So with `gather`.
---@param t Tensor
---@param dim integer
---@param index Tensor
---@return Tensor
function methods.index_select(t, dim, index) return ops.index_select(t, dim, index) end

--- out[i][j] = t[i][index[i][j]] for the dimension 2, and so on: torch.gather.
function methods.gather(t, dim, index) return ops.take_along(t, dim, index) end

methods.matmul, methods.mm, methods.bmm = ops.matmul, ops.matmul, ops.matmul

-- ---- comparison -----------------------------------------------------------------------------------------------

--- Whether two tensors have the same shape and elements.
---@return boolean
function tensors.equal(a, b)
    if not (is_tensor(a) and is_tensor(b)) or not shapes.same(a.shape, b.shape) then return false end
    if a:numel() == 0 then return true end
    return core.item(methods.all(core.binary("eq", a, b))) == 1
end

--- Whether |a - b| <= atol + rtol |b| everywhere.
---@param rtol number? default 1e-5
---@param atol number? default 1e-8
---@return boolean
function tensors.allclose(a, b, rtol, atol)
    a, b = core.detach(a), core.detach(b)
    local difference = core.unary("abs", core.binary("sub", a, b))
    local bound = core.binary("add", core.binary("mul", core.unary("abs", b), rtol or 1e-5), atol or 1e-8)
    local close = core.binary("le", difference, bound)
    local same = core.binary("eq", a, b) -- infinities
    return core.item(methods.all(core.binary("maximum", close, same))) == 1
end
metatable.__eq = tensors.equal

-- ---- gradients ------------------------------------------------------------------------------------------------

--- Lets operations on a leaf be recorded for backward, or not.
---@param t Tensor float32
---@param flag boolean? default true
---@return Tensor t
function methods.requires_grad_(t, flag) return autograd.set_requires_grad(t, flag) end

--- Adds the gradient of t to the `.grad` of every leaf it was computed from.
---@param t Tensor
---@param grad Tensor? of t's shape; may be left out for one element
---@param options {retain_graph: boolean?}?
function methods.backward(t, grad, options) return autograd.backward(t, grad, options) end
function methods.is_leaf(t) return autograd.is_leaf(t) end

-- Every method is a function of the module too: lx.exp(t), lx.matmul(a, b).
for name, method in pairs(methods) do
    if not tensors[name] and name ~= "index" and name ~= "assign" then tensors[name] = method end
end

tensors.is_tensor = is_tensor
tensors.tidy, tensors.keep = memory.tidy, memory.keep

return tensors
