--- Tensors as users see them: constructors, methods, operators.
--
-- Arguments are put in order here and handed to the differentiable operations of `luxel.ops`; what has no gradient
-- goes to `luxel.core` directly. Dimensions and indices count from 1, negative ones from the end.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local declarations = require "luxel.tensor_declarations"
local einsum = require "luxel.einsum"
local format = require "luxel.format"
local gradcheck = require "luxel.gradcheck"
local indexing = require "luxel.indexing"
local memory = require "luxel.memory"
local near = require "luxel.near"
local ops = require "luxel.ops"
local random = require "luxel.random"
local rearrange = require "luxel.rearrange"
local shapes = require "luxel.shape"
local statistics = require "luxel.statistics"

--- Arithmetic on any dtype gives float32, comparisons give uint8. Two operands are broadcast: their shapes are aligned
--- at the last dimension, and sizes that are 1 or missing are repeated; shapes that do not fit raise. Operations on a
--- tensor that requires a gradient are recorded. Methods whose name ends with an underscore change the tensor and
--- return it.
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
---@field relu6 fun(t: Tensor): Tensor min(max(0, x), 6) (Krizhevsky 2010); `relu6_` in place
---@field leaky fun(t: Tensor): Tensor x where positive, x / 10 elsewhere, darknet's leaky ReLU; `leaky_` in place
---@field hardsigmoid fun(t: Tensor): Tensor min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardsigmoid_` in place
---@field hardswish fun(t: Tensor): Tensor x min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardswish_` in place
---@field silu fun(t: Tensor): Tensor x / (1 + e^-x) (Elfwing et al. 2018); `silu_` in place
---@field add fun(t: Tensor, other: Tensor|number): Tensor t + other, broadcast; `add_` in place
---@field sub fun(t: Tensor, other: Tensor|number): Tensor t - other, broadcast; `sub_` in place
---@field mul fun(t: Tensor, other: Tensor|number): Tensor t * other, broadcast; `mul_` in place
---@field div fun(t: Tensor, other: Tensor|number): Tensor t / other, broadcast; `div_` in place
---@field pow fun(t: Tensor, other: Tensor|number): Tensor t ^ other, broadcast; `pow_` in place
---@field maximum fun(t: Tensor, other: Tensor|number): Tensor the larger, broadcast; `maximum_` in place
---@field minimum fun(t: Tensor, other: Tensor|number): Tensor the smaller, broadcast; `minimum_` in place
---@field remainder fun(t: Tensor, other: Tensor|number): Tensor t - other floor(t / other), as Lua's %, broadcast
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
---@field any fun(t: Tensor, dim?: integer|integer[], keepdim?: boolean): Tensor uint8, 1 where some element is not 0
---@field all fun(t: Tensor, dim?: integer|integer[], keepdim?: boolean): Tensor uint8, 1 where no element is 0
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
local records_change, change = autograd.records_change, autograd.change
local shape_text = shapes.text
local DTYPES <const> = {float32 = true, uint8 = true, int32 = true}

-- Sizes given one by one or as one table: (2, 3, options) or ({2, 3}, options), of types that were checked. Returns
-- shape, options.
local function sizes(name, ...)
    local count, first = select("#", ...), ...
    local shape, options = {...}, nil
    if type(shape[count]) == "table" and (count > 1 or next(first) ~= nil and #first == 0) then
        options = table.remove(shape, count)
        count = count - 1
    end
    if count == 1 and type(first) == "table" then return first, options end
    for i = 1, count do
        if type(shape[i]) ~= "number" then
            args.fail("%s: expected sizes one by one or as one list, then options; got %s before the last", name,
                args.describe(shape[i]))
        end
    end
    if options and #options > 0 then args.fail("%s: expected sizes one by one or as one list, got both", name) end
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
        local copy = ops.clone(core.detach(values))
        if options.device then copy = core.to_device(copy, options.device) end
        return finish(options.dtype and core.cast(copy, options.dtype) or copy, options)
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
---@param ... integer|integer[]|TensorOptions sizes one by one or as one list, then options
---@return Tensor
function tensors.zeros(...)
    local shape, options = sizes("zeros", ...)
    return filled(shape, 0, options)
end

--- A tensor of ones.
---@param ... integer|integer[]|TensorOptions sizes one by one or as one list, then options
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
---@param ... integer|integer[]|TensorOptions sizes one by one or as one list, then options
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

-- The numbers from start on as a dtype; raises where they do not fit.
local function counted(name, start, step, count, options)
    local dtype = options.dtype or "float32"
    local last = count > 0 and start + step * (count - 1) or start
    if dtype == "uint8" and (math.min(start, last) < 0 or math.max(start, last) > 255) then
        args.fail("%s: %.14g to %.14g do not fit into uint8", name, start, last)
    elseif dtype ~= "float32" and (start % 1 ~= 0 or step % 1 ~= 0) then
        args.fail("%s: %.14g in steps of %.14g are no integers, which %s holds", name, start, step, dtype)
    end
    local result = core.arange(start, step, count, options.device, dtype == "float32" and dtype or "int32")
    return finish(core.cast(result, dtype), options)
end

--- start, start + step, … up to but without stop: `arange(5)` is 0 1 2 3 4.
---@param start number
---@param stop number?
---@param step number? not 0
---@param options TensorOptions?
---@return Tensor [n]
function tensors.arange(start, stop, step, options)
    if type(stop) == "table" then stop, options = nil, stop end
    if type(step) == "table" then step, options = nil, step end
    if stop == nil then start, stop = 0, start end
    step = step or 1
    if step == 0 then args.fail("arange: step: expected a number other than 0") end
    local count = math.tointeger(math.max(0, math.ceil((stop - start) / step)))
    if not count then args.fail("arange: %.14g to %.14g in steps of %.14g are too many", start, stop, step) end
    return counted("arange", start, step, count, options or {})
end

--- n numbers from a to b, both included, evenly spaced.
---@param a number
---@param b number
---@param n integer at least 1
---@param options TensorOptions?
---@return Tensor [n]
function tensors.linspace(a, b, n, options)
    return counted("linspace", a, n > 1 and (b - a) / (n - 1) or 0, n, options or {})
end

--- The n by n identity matrix.
---@param n integer
---@param options TensorOptions?
---@return Tensor [n,n]
function tensors.eye(n, options)
    options = options or {}
    local out = core.fill_(core.new({n, n}, options.dtype, options.device), 0)
    if n > 0 then core.fill_(core.as_strided(out, {n}, {n + 1}, 0), 1) end
    return finish(out, options)
end

--- Uniform random numbers in [0, 1).
---@param ... integer|integer[]|TensorOptions sizes one by one or as one list, then options
---@return Tensor
function tensors.rand(...)
    local shape, options = sizes("rand", ...)
    local seed, stream = core.next_stream()
    return finish(core.rand(shape, seed, stream, options and options.device), options)
end

--- Random numbers of the standard normal distribution.
---@param ... integer|integer[]|TensorOptions sizes one by one or as one list, then options
---@return Tensor
function tensors.randn(...)
    local shape, options = sizes("randn", ...)
    local seed, stream = core.next_stream()
    return finish(core.randn(shape, seed, stream, options and options.device), options)
end

--- Random integers from low up to but without high.
---@param low integer
---@param high integer above low
---@param shape integer[]
---@param options TensorOptions?
---@return Tensor int32 unless options say otherwise
function tensors.randint(low, high, shape, options)
    if not (high > low) then args.fail("randint: high: expected more than low (%d), got %d", low, high) end
    options = options or {}
    local dtype = options.dtype or "int32"
    local least, most = -(1 << 24), 1 << 24
    if dtype == "uint8" then least, most = 0, 255 end
    if dtype ~= "int32" and (low < least or high - 1 > most) then
        args.fail("randint: %d to %d do not fit into %s", low, high - 1, dtype)
    end
    local seed, stream = core.next_stream()
    return finish(core.cast(core.randint(low, high, shape, seed, stream, options.device), dtype), options)
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
function tensors.manual_seed(seed)
    core.manual_seed(seed)
    random.seeding = random.seeding + 1
end

-- ---- looking at a tensor --------------------------------------------------------------------------------------

--- The size of dimension `dim`, or all sizes.
---@param t Tensor
---@param dim integer?
---@return integer|integer[]
function methods.size(t, dim)
    return dim and t.shape[shapes.dim("size", t, dim)] or t.shape
end

--- The number of elements.
---@param t Tensor
---@return integer
function methods.numel(t) return shapes.count(t.shape) end

--- The only element, as a number.
---@return number
function methods.item(t) return core.item(t) end

--- Nested Lua tables of the elements.
---@return table|number
function methods.totable(t) return core.to_table(t) end

--- The elements as raw bytes: little-endian, row-major.
---@return string
function methods.tostring_bytes(t) return core.to_string(t) end

--- Whether the elements lie in row-major order without gaps.
---@return boolean
function methods.is_contiguous(t) return (select(4, core.info(t))) end

--- Gives the memory back now. Using the tensor afterwards is an error.
function methods.free(t) core.free(t) end

core.metatable.__tostring = function(t)
    if core.is_freed(t) then return "[freed tensor]" end
    return format.tensor(t)
end
core.metatable.__name = "tensor"

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
function methods.narrow(t, dim, start, length)
    dim = shapes.dim("narrow", t, dim)
    if length > t.shape[dim] - start + 1 then
        args.fail("narrow: %d elements from %d do not fit dimension %d of shape %s", length, start, dim,
            shape_text(t.shape))
    end
    return ops.narrow(t, dim, start, length)
end

--- One position of a dimension, which goes away.
---@param t Tensor
---@param dim integer
---@param index integer from 1, or from the end if negative
---@return Tensor a view
function methods.select(t, dim, index)
    dim = shapes.dim("select", t, dim)
    local size = t.shape[dim]
    if index == 0 or index > size or index < -size then
        args.fail("select: index %d is out of range for dimension %d of shape %s", index, dim, shape_text(t.shape))
    end
    return ops.select(t, dim, index)
end

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
function methods.unsqueeze(t, dim) return ops.unsqueeze(t, shapes.dim("unsqueeze", t, dim, 1)) end

--- The elements in row-major order without gaps: t itself where it is so already.
---@param t Tensor
---@return Tensor
function methods.contiguous(t) return ops.contiguous(t) end

--- A copy in memory of its own.
---@param t Tensor
---@return Tensor
function methods.clone(t) return ops.clone(t) end

--- The same memory in the shape of another tensor. Raises if the strides do not allow it.
---@param t Tensor
---@param other Tensor of as many elements
---@return Tensor a view
function methods.view_as(t, other) return ops.view(t, other.shape) end

--- Dimensions of size 1 repeated without a copy, to the shape of another tensor.
---@param t Tensor
---@param other Tensor
---@return Tensor a view
function methods.expand_as(t, other) return ops.expand(t, other.shape) end

--- Another tensor on the same memory, cut off from the recorded history.
---@return Tensor a view
function methods.detach(t) return core.detach(t) end

--- Swaps two dimensions.
---@param t Tensor
---@param a integer
---@param b integer
---@return Tensor a view
function methods.transpose(t, a, b)
    a, b = shapes.dim("transpose", t, a), shapes.dim("transpose", t, b)
    local dims = {}
    for i = 1, t.ndim do dims[i] = i end
    dims[a], dims[b] = b, a
    return ops.permute(t, dims)
end

--- The transpose of a matrix.
---@param t Tensor [M,N]
---@return Tensor [N,M], a view
function methods.t(t)
    if t.ndim ~= 2 then args.fail("t: expected a matrix, shape is %s", shape_text(t.shape)) end
    return ops.permute(t, {2, 1})
end

--- Removes a dimension of size 1, or all of them.
---@param t Tensor
---@param dim integer? of size 1
---@return Tensor a view
function methods.squeeze(t, dim)
    if dim then return ops.squeeze(t, shapes.dim("squeeze", t, dim)) end
    local shape = {}
    for _, size in ipairs(t.shape) do
        if size ~= 1 then shape[#shape + 1] = size end
    end
    return ops.reshape(t, shape)
end

--- Joins the dimensions from `first` to `last` (default: all) into one.
---@param t Tensor
---@param first integer? 1
---@param last integer? -1
---@return Tensor a view where the strides allow it, else a copy
function methods.flatten(t, first, last)
    if t.ndim == 0 then return ops.reshape(t, {1}) end
    first, last = shapes.dim("flatten", t, first or 1), shapes.dim("flatten", t, last or -1)
    if first > last then args.fail("flatten: dimension %d is behind dimension %d", first, last) end
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
---@return Tensor of the shape of the parts, but for `dim`
function tensors.cat(parts, dim)
    if #parts == 0 then args.fail("cat: parts: expected a list of at least one tensor, it is empty") end
    return ops.cat(shapes.dim("cat", parts[1], dim or 1), table.unpack(parts))
end

--- Joins tensors of one shape along a new dimension.
---@param parts Tensor[]
---@param dim integer? default 1
---@return Tensor
function tensors.stack(parts, dim)
    if #parts == 0 then args.fail("stack: parts: expected a list of at least one tensor, it is empty") end
    dim = shapes.dim("stack", parts[1], dim or 1, 1)
    local slices, shape = {}, parts[1].shape
    for i, part in ipairs(parts) do
        if not shapes.same(part.shape, shape) then
            args.fail("stack: parts: the shapes of tensors 1 and %d differ: %s and %s", i, shape_text(shape),
                shape_text(part.shape))
        end
        slices[i] = ops.unsqueeze(part, dim)
    end
    return ops.cat(dim, table.unpack(slices))
end

-- ---- indexing -------------------------------------------------------------------------------------------------

-- t[key]: a number for one element, unless a gradient is wanted. __index calls it as it is, without a declaration.
methods.index = indexing.read

-- Overwrites t with a number or, broadcast, a tensor.
local function write(name, t, value)
    if is_tensor(value) then
        if records_change(name, t, value) then return change(t, ops.copy(t, value)) end
        core.check_target(name, t, value)
        return core.copy_(t, value)
    end
    if records_change(name, t) then return change(t, ops.fill(t, value)) end
    core.check_target(name, t)
    return core.fill_(t, value)
end

-- The same where a mask holds, or at positions.
local function write_where(name, t, key, value)
    local mask, replacement = indexing.replacement(t, key, value)
    if not mask then return t end
    if not is_tensor(replacement) then
        replacement = core.fill_(core.new({}, t.dtype, t.device), replacement)
    end
    core.check_target(name, t, mask)
    if records_change(name, t, replacement) then return change(t, ops.where(mask, replacement, t)) end
    core.check_target(name, t, replacement)
    return core.copy_(t, core.where(mask, core.cast(replacement, t.dtype), t))
end

--- t[i] = value, t[{…}] = value, t[mask] = value, t.grad = …, t.requires_grad = ….
function methods.assign(t, key, value)
    if key == "grad" then return autograd.set_grad(t, value) end
    if key == "requires_grad" then
        return autograd.set_requires_grad(t, args.check("requires_grad", "boolean", value))
    end
    if type(key) == "string" then
        args.fail("a tensor has no field '%s' to set; there are grad and requires_grad", key)
    end
    if is_tensor(key) then return write_where("assignment", t, key, value) end
    if not is_tensor(value) and type(value) ~= "number" then
        args.fail("assignment: expected a number or a tensor, got %s", args.describe(value))
    end
    write("assignment", indexing.view(t, key), value)
end

-- ---- arithmetic -----------------------------------------------------------------------------------------------

for _, name in ipairs(ops.elementwise) do
    methods[name] = ops[name]
    local method = name .. "_"
    methods[method] = function(t)
        if records_change(method, t) then return change(t, ops[name](t)) end
        return core.unary_(t, name)
    end
end

for _, name in ipairs {"add", "sub", "mul", "div", "pow", "maximum", "minimum"} do
    methods[name] = ops[name]
    local method = name .. "_"
    methods[method] = function(t, other)
        if records_change(method, t, other) then return change(t, ops[name](t, other)) end
        return core.binary_(t, name, other)
    end
    tensors[name] = ops[name]
end

--- t + alpha * other, in place.
---@param t Tensor
---@param other Tensor|number broadcast to the shape of t
---@param alpha number? 1
---@return Tensor t
function methods.add_(t, other, alpha)
    if alpha and alpha ~= 1 and not is_tensor(other) then other, alpha = other * alpha, 1 end
    local scaled = alpha and alpha ~= 1
    if records_change("add_", t, other) then
        return change(t, scaled and ops.add_scaled(t, other, alpha) or ops.add(t, other))
    end
    if scaled then return core.add_scaled_(t, other, alpha) end
    return core.binary_(t, "add", other)
end

methods.remainder = ops.remainder

--- t / other rounded down, as Lua's //. It has no gradient.
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function methods.floor_divide(t, other) return core.binary("floor_divide", t, other) end
tensors.remainder, tensors.floor_divide = methods.remainder, methods.floor_divide

--- Limits every element to [low, high]; either may be nil.
---@param t Tensor
---@param low number?
---@param high number?
---@return Tensor
function methods.clamp(t, low, high) return ops.clamp(t, low or -math.huge, high or math.huge) end

--- Limits every element to [low, high], in place; either may be nil.
---@param t Tensor
---@param low number?
---@param high number?
---@return Tensor t
function methods.clamp_(t, low, high)
    if records_change("clamp_", t) then return change(t, methods.clamp(t, low, high)) end
    return core.unary_(t, "clamp", low or -math.huge, high or math.huge)
end

for _, name in ipairs {"eq", "ne", "lt", "le", "gt", "ge"} do
    methods[name] = function(t, other) return core.binary(name, t, other) end
end

--- 1 where an element is not a number.
---@return Tensor uint8
function methods.isnan(t) return core.unary("isnan", t) end

--- condition ? a : b, each broadcast. Numbers are taken for a and b.
---@param condition Tensor what is not 0 holds
---@param a Tensor|number
---@param b Tensor|number
---@return Tensor float32, or int32 if a and b are
function tensors.where(condition, a, b)
    local function operand(value)
        return is_tensor(value) and value or core.fill_(core.new({}, "float32", condition.device), value)
    end
    local mask = condition.dtype == "uint8" and condition or core.binary("ne", condition, 0)
    return ops.where(mask, operand(a), operand(b))
end

--- The value where the mask holds, t elsewhere.
---@param t Tensor
---@param mask Tensor broadcast; what is not 0 holds
---@param value Tensor|number
---@return Tensor
function methods.masked_fill(t, mask, value) return tensors.where(mask, value, t) end

-- ---- conversion and writing -----------------------------------------------------------------------------------

-- Names of dtypes that there are elsewhere.
local function is_dtype_elsewhere(name)
    return name:match("^u?int%d*$") or name:match("^b?float%d*$") or name:match("^complex%d+$")
        or name == "double" or name == "half" or name == "bool" or name == "long" or name == "byte"
end

--- Another dtype or device: t:to("uint8"), t:to("cpu"). The same tensor if nothing changes. Floats become integers by
--- rounding towards zero; what is too large or too small becomes the greatest or least integer, and NaN 0. Integers
--- from 2^24 on become the nearest float.
---@param t Tensor
---@param target string a dtype (float32, uint8, int32) or a device
---@return Tensor
function methods.to(t, target)
    if not DTYPES[target] and is_dtype_elsewhere(target) then
        args.fail("to: target: expected a dtype (float32, uint8, int32) or a device (%s), got %q%s",
            table.concat(core.open_devices(), ", "), target, near.suggestion(target, {"float32", "uint8", "int32"}))
    end
    if DTYPES[target] then
        if t.dtype == target then return t end
        return core.cast(t, target)
    end
    if core.label(target) == t.device then return t end
    return ops.to_device(t, target)
end

--- As float32: `t:to("float32")`.
---@return Tensor
function methods.float(t) return methods.to(t, "float32") end

--- As bytes: `t:to("uint8")`.
---@return Tensor
function methods.byte(t) return methods.to(t, "uint8") end

--- As integers: `t:to("int32")`.
---@return Tensor
function methods.int(t) return methods.to(t, "int32") end

--- Overwrites t with `source`, converted to its dtype and broadcast to its shape.
---@param t Tensor
---@param source Tensor
---@return Tensor t
function methods.copy_(t, source)
    return write("copy_", t, source)
end

--- Sets every element.
---@param t Tensor
---@param value number|Tensor a tensor without dimensions
---@return Tensor t
function methods.fill_(t, value)
    if is_tensor(value) and value.ndim > 0 then
        args.fail("fill_: value: expected a number or a tensor without dimensions, got one of shape %s; use copy_",
            shape_text(value.shape))
    end
    return write("fill_", t, value)
end

--- Sets every element to 0.
---@param t Tensor
---@return Tensor t
function methods.zero_(t) return write("zero_", t, 0) end

-- Products of matrices; integers go through float32, in which sums of products are not exact.
local function product(name)
    return function(a, b)
        if a.dtype == "int32" or b.dtype == "int32" then
            args.fail("%s: expected float32 or uint8, got %s and %s; convert with :float()", name, args.describe(a),
                args.describe(b))
        end
        return ops.matmul(a, b)
    end
end
for _, name in ipairs {"matmul", "mm", "bmm"} do methods[name] = product(name) end

-- The methods of other files.
for _, part in ipairs {indexing.methods, rearrange, statistics} do
    for name, method in next, part do methods[name] = method end
end

-- ---- comparison -----------------------------------------------------------------------------------------------

--- Whether two tensors have the same shape and elements.
---@param a any false where one is no tensor
---@param b any
---@return boolean
function tensors.equal(a, b)
    if not (is_tensor(a) and is_tensor(b)) or not shapes.same(a.shape, b.shape) then return false end
    if a:numel() == 0 then return true end
    return core.item(methods.all(core.binary("eq", a, b))) == 1
end

--- Whether |a - b| <= atol + rtol |b| everywhere.
---@param a Tensor
---@param b Tensor broadcast
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

--- Whether no recorded operation made the tensor: backward leaves a gradient only with leaves.
---@return boolean
function methods.is_leaf(t) return autograd.is_leaf(t) end

--- Whether a value is a tensor.
---@param value any
---@return boolean
function tensors.is_tensor(value) return is_tensor(value) end

tensors.tidy, tensors.keep = memory.tidy, memory.keep
tensors.einsum, tensors.gradcheck = einsum, gradcheck

-- ---- what is public --------------------------------------------------------------------------------------------

local index, assign = methods.index, methods.assign
methods.index, methods.assign = nil, nil -- of __index and __newindex, which blame the line themselves
local binary = {}
for name, method in next, methods do
    if tensors[name] == method then binary[name] = true end -- takes a number first when called as lx.add(1, t)
end
args.publish(":", methods, declarations.methods)
for name, method in next, methods do
    if binary[name] or not tensors[name] then tensors[name] = method end
end
args.publish("", tensors, declarations.functions)
methods.index, methods.assign = index, assign

local metatable = core.metatable
metatable.__add, metatable.__sub, metatable.__mul, metatable.__div = ops.add, ops.sub, ops.mul, ops.div
metatable.__pow, metatable.__mod = ops.pow, ops.remainder -- operands are checked in C, in the same words
metatable.__idiv = methods.floor_divide
metatable.__unm = function(t) return ops.neg(t) end
metatable.__eq = function(a, b) return is_tensor(a) and is_tensor(b) and tensors.equal(a, b) end

-- Lua makes a boolean of what comparisons give, and takes no table apart but its own.
for event, way_out in next, {
    __lt = "compare elements with a:lt(b) or a:gt(b)", __le = "compare elements with a:le(b) or a:ge(b)",
    __pairs = "go through the first dimension with ipairs(t), or through t:totable()",
} do
    metatable[event] = function() args.fail("%s is not defined for tensors; %s", event:gsub("__lt", "<")
        :gsub("__le", "<="):gsub("__", ""), way_out) end
end

local FIELDS <const> = {"shape", "ndim", "dtype", "device", "grad", "requires_grad"}

-- t.name of a name that there is not.
function metatable.missing(_, name)
    local names = table.move(FIELDS, 1, #FIELDS, 1, {})
    for method in next, methods do names[#names + 1] = method end
    args.fail("a tensor has no field or method '%s'%s", name, near.suggestion(name, names))
end

return tensors
