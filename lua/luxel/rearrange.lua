--- Methods that put the elements of tensors in other places: turned, shifted, cut, repeated.

local args = require "luxel.args"
local core = require "luxel.core"
local ops = require "luxel.ops"
local shapes = require "luxel.shape"

local methods = {}

local shape_text = shapes.text

--- Turned round along dimensions: the last element first.
---@param t Tensor
---@param dim integer|integer[]
---@return Tensor
function methods.flip(t, dim)
    local turned = t
    for _, one in ipairs(shapes.dims("flip", t, dim)) do
        local size = t.shape[one]
        turned = ops.index_select(turned, one, core.arange(size, -1, size, t.device, "int32"))
    end
    return rawequal(turned, t) and ops.clone(t) or turned
end

local function roll_one(t, shift, dim)
    local size = t.shape[dim]
    shift = size > 0 and shift % size or 0
    if shift == 0 then return t end
    return ops.cat(dim, ops.narrow(t, dim, size - shift + 1, shift), ops.narrow(t, dim, 1, size - shift))
end

--- Shifted along dimensions; what leaves at the end comes in at the start.
---@param t Tensor
---@param shift integer|integer[] one for each dimension; negative shifts to the start
---@param dim integer|integer[]|nil default: all elements as one row
---@return Tensor
function methods.roll(t, shift, dim)
    if dim == nil then
        if type(shift) == "table" then args.fail("roll: dim: expected a list of %d dimensions, got nil", #shift) end
        return ops.reshape(roll_one(ops.reshape(t, {-1}), shift, 1), t.shape)
    end
    local shifts, dims = type(shift) == "table" and shift or {shift}, shapes.dims("roll", t, dim)
    if #shifts ~= #dims then
        args.fail("roll: shift: expected as many shifts as dimensions, got %d and %d", #shifts, #dims)
    end
    local rolled = t
    for i, one in ipairs(dims) do rolled = roll_one(rolled, shifts[i], one) end
    return rawequal(rolled, t) and ops.clone(t) or rolled
end

--- Cut along a dimension into pieces of a size (the last may be smaller), or of the sizes of a list, which add up
--- to it.
---@param t Tensor
---@param size integer|integer[]
---@param dim integer? default 1
---@return Tensor[] views
function methods.split(t, size, dim)
    dim = shapes.dim("split", t, dim or 1)
    local total, pieces, start = t.shape[dim], {}, 1
    local sizes = type(size) == "table" and size or {}
    if type(size) ~= "table" then
        for from = 1, math.max(total, 1), size do sizes[#sizes + 1] = math.min(size, total - from + 1) end
    end
    for i, length in ipairs(sizes) do
        if length > total - start + 1 then break end
        pieces[i] = ops.narrow(t, dim, start, length)
        start = start + length
    end
    if start ~= total + 1 or #pieces ~= #sizes then
        args.fail("split: size: the sizes do not add up to %d, the size of dimension %d of shape %s", total, dim,
            shape_text(t.shape))
    end
    return pieces
end

--- Cut into `count` pieces along a dimension (the last may be smaller; there may be fewer).
---@param t Tensor
---@param count integer
---@param dim integer? default 1
---@return Tensor[] views
function methods.chunk(t, count, dim)
    dim = shapes.dim("chunk", t, dim or 1)
    return methods.split(t, math.max(1, (t.shape[dim] + count - 1) // count), dim)
end

--- Repeated as a whole: `tile(2, 3)` has twice the rows and three times the columns. (`repeat` is a word of Lua.)
---@param t Tensor
---@param ... integer|integer[] how often along each dimension; more of them than dimensions add dimensions in front
---@return Tensor
function methods.tile(t, ...)
    local first = ...
    local counts = type(first) == "table" and first or {...}
    local shape = t.shape
    if #counts < #shape then
        args.fail("tile: expected a count for each of the %d dimensions of shape %s, got %d", #shape, shape_text(shape),
            #counts)
    end
    while #shape < #counts do table.insert(shape, 1, 1) end
    local total = shapes.count(shape)
    for _, count in ipairs(counts) do
        if count < 0 or math.ult(1 << 40, total * count) or count > 1 << 40 then
            args.fail("tile: expected counts of at least 0 and fewer than 2^40 elements, got %s for shape %s",
                shape_text(counts), shape_text(shape))
        end
        total = total * count
    end
    local tiled = ops.reshape(t, shape)
    for dim, count in ipairs(counts) do
        local parts = {}
        for i = 1, count do parts[i] = tiled end
        if count == 0 then tiled = ops.narrow(tiled, dim, 1, 0) end
        if count > 1 then tiled = ops.cat(dim, table.unpack(parts)) end
    end
    return rawequal(tiled, t) and ops.clone(t) or tiled
end

--- Each element of a dimension repeated, one copy after the other.
---@param t Tensor
---@param count integer
---@param dim integer? default: of all elements as one row
---@return Tensor
function methods.repeat_interleave(t, count, dim)
    if not dim then t, dim = ops.reshape(t, {-1}), 1 end
    dim = shapes.dim("repeat_interleave", t, dim)
    local size = t.shape[dim]
    local numbers = core.expand(core.unsqueeze(core.arange(1, 1, size, t.device, "int32"), 2), {size, count})
    return ops.index_select(t, dim, core.reshape(numbers, {size * count}))
end

-- The matrix with 0 where the diagonal is on the wrong side; `comparison` is of columns - rows with it.
local function triangle(name, comparison, t, diagonal)
    local shape = t.shape
    if #shape < 2 then args.fail("%s: expected at least two dimensions, shape is %s", name, shape_text(shape)) end
    local rows = core.unsqueeze(core.arange(diagonal or 0, 1, shape[#shape - 1], t.device, "int32"), 2)
    local mask = core.binary(comparison, core.arange(0, 1, shape[#shape], t.device, "int32"), rows)
    return ops.where(mask, t, core.fill_(core.new({}, "float32", t.device), 0))
end

--- The lower triangle of the last two dimensions, up to a diagonal (0: the main one, above it positive); 0 elsewhere.
---@param t Tensor
---@param diagonal integer?
---@return Tensor float32
function methods.tril(t, diagonal) return triangle("tril", "le", t, diagonal) end

--- The upper triangle of the last two dimensions, from a diagonal on; 0 elsewhere.
---@param t Tensor
---@param diagonal integer?
---@return Tensor float32
function methods.triu(t, diagonal) return triangle("triu", "ge", t, diagonal) end

--- All products of an element of one vector with one of another.
---@param a Tensor [m]
---@param b Tensor [n]
---@return Tensor [m,n]
function methods.outer(a, b)
    if a.ndim ~= 1 or b.ndim ~= 1 then
        args.fail("outer: expected two vectors, shapes are %s and %s", shape_text(a.shape), shape_text(b.shape))
    end
    return ops.mul(ops.unsqueeze(a, 2), b)
end

return methods
