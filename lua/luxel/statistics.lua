--- Methods that sum tensors up: sums, means, deviations, extremes, order statistics, norms.
--
-- Every one takes the dimensions that go away as an integer, a list, or (with keepdim) by name: x:sum(1),
-- x:sum({1, 2}, true), x:sum {dim = 1, keepdim = true}; without, all of them.

local args = require "luxel.args"
local core = require "luxel.core"
local ops = require "luxel.ops"
local shapes = require "luxel.shape"

local methods = {}

-- dim and keepdim, where they were given by name.
local function by_name(dim, keepdim)
    if type(dim) == "table" and #dim == 0 and next(dim) ~= nil then return dim.dim, dim.keepdim end
    return dim, keepdim
end

-- The dimensions that go away as a list from 1, nil for all; and keepdim.
local function reduced(name, t, dim, keepdim)
    dim, keepdim = by_name(dim, keepdim)
    if dim == nil then return nil, keepdim end
    local dims = shapes.dims(name, t, dim)
    if #dims == 0 then args.fail("%s: dim: the list of dimensions is empty; leave it out for all", name) end
    return dims, keepdim
end

-- One dimension, nil for all; and keepdim.
local function reduced_one(name, t, dim, keepdim)
    local dims
    dims, keepdim = reduced(name, t, dim, keepdim)
    if dims and #dims > 1 then args.fail("%s: dim: expected one dimension, got %d", name, #dims) end
    return dims and dims[1], keepdim
end

-- How many elements each result sums up.
local function count_of(t, dims)
    local shape, count = t.shape, 1
    if not dims then return shapes.count(shape) end
    for _, dim in ipairs(dims) do count = count * shape[dim] end
    return count
end

--- The sum of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean? keeps them with size 1
---@return Tensor
function methods.sum(t, dim, keepdim)
    dim, keepdim = reduced("sum", t, dim, keepdim)
    return ops.sum(t, dim, keepdim)
end

--- The product of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean?
---@return Tensor
function methods.prod(t, dim, keepdim)
    dim, keepdim = reduced("prod", t, dim, keepdim)
    return ops.prod(t, dim, keepdim)
end

--- The mean of all elements, or over dimensions.
---@param t Tensor
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean?
---@return Tensor
function methods.mean(t, dim, keepdim)
    dim, keepdim = reduced("mean", t, dim, keepdim)
    return ops.div(ops.sum(t, dim, keepdim), count_of(t, dim))
end

-- The dimensions as a list, and what squares are divided by: n - 1 unless `unbiased` is false.
local function spread_of(name, t, dim, keepdim, unbiased)
    local dims
    dims, keepdim = reduced(name, t, dim, keepdim)
    if not dims then
        dims = {}
        for i = 1, t.ndim do dims[i] = i end
    end
    local count = count_of(t, dims)
    return dims, keepdim, count, unbiased == false and count or math.max(count - 1, 0)
end

--- The variance over `dim` (default: all); divided by n - 1 unless `unbiased` is false.
---@param t Tensor
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean?
---@param unbiased boolean? default true
---@return Tensor
function methods.var(t, dim, keepdim, unbiased)
    local dims, keep, count, divisor = spread_of("var", t, dim, keepdim, unbiased)
    local centred = ops.sub(t, ops.div(ops.sum(t, dims, true), count))
    return ops.div(ops.sum(ops.square(centred), dims, keep), divisor)
end

--- The standard deviation: the root of `var`. Its gradient is 0 where it is 0.
---@param t Tensor
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean?
---@param unbiased boolean? default true
---@return Tensor
function methods.std(t, dim, keepdim, unbiased)
    local dims, keep, count, divisor = spread_of("std", t, dim, keepdim, unbiased)
    return ops.std(t, dims, keep, count, divisor)
end

-- The extreme of all elements, or with one dimension: values and their positions.
local function extreme(name)
    methods[name] = function(t, dim, keepdim)
        local dims, keep = reduced(name, t, dim, keepdim)
        local named = by_name(dim)
        if type(named) ~= "number" then return ops[name .. "_over"](t, dims, keep) end
        local index = core.argreduce("arg" .. name, t, dims[1], true)
        local values = ops.take_along(t, dims[1], index)
        if keep then return values, index end
        return ops.squeeze(values, dims[1]), core.squeeze(index, dims[1])
    end
    local position = "arg" .. name
    methods[position] = function(t, dim, keepdim)
        local one, keep = reduced_one(position, t, dim, keepdim)
        return core.argreduce(position, t, one, keep)
    end
end
extreme("max")
extreme("min")

-- Whether elements are not 0: any where those that are not count more than 0, all where those that are count 0. By
-- sums, which no elements have as well: any is 0 of these, and all is 1.
local function predicate(name, relation)
    methods[name] = function(t, dim, keepdim)
        local dims, keep = reduced(name, t, dim, keepdim)
        return core.binary(relation, core.reduce("sum", core.binary(relation, t, 0), dims, keep), 0)
    end
end
predicate("any", "ne")
predicate("all", "eq")

--- The p-norm (default 2; math.huge for the largest magnitude, 0 for how many are not 0). Its gradient is 0 at 0.
---@param t Tensor
---@param p number?
---@param dim integer|integer[]|{dim: integer|integer[]|nil, keepdim: boolean?}|nil
---@param keepdim boolean?
---@return Tensor
function methods.norm(t, p, dim, keepdim)
    dim, keepdim = reduced("norm", t, dim, keepdim)
    return ops.norm(t, p or 2, dim, keepdim)
end

--- Running sums along a dimension.
---@param t Tensor
---@param dim integer
---@return Tensor
function methods.cumsum(t, dim) return ops.cumsum(t, shapes.dim("cumsum", t, dim)) end

--- Sorted along a dimension (default: the last). Stable; NaN comes last, or first where it descends.
---@param t Tensor
---@param dim integer?
---@param descending boolean?
---@return Tensor values, Tensor indices int32, from 1
function methods.sort(t, dim, descending) return ops.sort(t, shapes.dim("sort", t, dim or -1), descending) end

--- The k largest (or smallest) along a dimension (default: the last), in order.
---@param t Tensor
---@param k integer
---@param dim integer?
---@param largest boolean? default true
---@return Tensor values, Tensor indices int32, from 1
function methods.topk(t, k, dim, largest)
    dim = shapes.dim("topk", t, dim or -1)
    if k > t.shape[dim] then
        args.fail("topk: k: expected at most %d, the size of dimension %d of shape %s, got %d", t.shape[dim], dim,
            shapes.text(t.shape), k)
    end
    local values, index = ops.sort(t, dim, largest ~= false)
    return ops.narrow(values, dim, 1, k), core.narrow(index, dim, 1, k)
end

-- ---- order statistics ------------------------------------------------------------------------------------------

local function check_elements(name, t, dim)
    if t.shape[dim] == 0 then args.fail("%s: shape %s has no elements to choose from", name, shapes.text(t.shape)) end
end

--- The median: of an even number the lower one of the two in the middle; NaN where one is among them. With a dimension
--- also its positions.
---@param t Tensor
---@param dim integer|{dim: integer|nil, keepdim: boolean?}|nil default: of all elements
---@param keepdim boolean?
---@return Tensor values, Tensor? indices int32, from 1
function methods.median(t, dim, keepdim)
    dim, keepdim = reduced_one("median", t, dim, keepdim)
    local of, along = dim and t or ops.reshape(t, {-1}), dim or 1
    check_elements("median", of, along)
    local sorted, places = core.sort(of, along, false)
    local index = core.narrow(places, along, (of.shape[along] + 1) // 2, 1)
    local last = core.narrow(sorted, along, of.shape[along], 1) -- a NaN if there is one
    local first_nan = core.argreduce("argmax", of, along, true)
    index = core.cast(core.where(core.unary("isnan", last), first_nan, index), "int32")
    if not dim then
        local value = core.reshape(core.take_along(of, 1, index), {})
        value = ops.median_over(t, value)
        return keepdim and ops.reshape(value, shapes.kept(t.shape)) or value
    end
    local values = ops.take_along(t, dim, index)
    if keepdim then return values, index end
    return ops.squeeze(values, dim), core.squeeze(index, dim)
end

local INTERPOLATIONS <const> = {
    linear = function(share) return share end,
    lower = function() return 0 end,
    higher = function(share) return share > 0 and 1 or 0 end,
    nearest = function(share, place) return (share > 0.5 or share == 0.5 and place % 2 == 1) and 1 or 0 end,
    midpoint = function(share) return share > 0 and 0.5 or 0 end,
}

--- Quantiles: the values below which a share `q` of the elements lies. NaN where one is among the elements.
---@param t Tensor
---@param q number|number[] from 0 to 1; a list adds a first dimension to the result
---@param dim integer|{dim: integer|nil, keepdim: boolean?}|nil default: of all elements
---@param keepdim boolean?
---@param interpolation "linear"|"lower"|"higher"|"nearest"|"midpoint"|nil between two elements; default "linear"
---@return Tensor
function methods.quantile(t, q, dim, keepdim, interpolation)
    dim, keepdim = reduced_one("quantile", t, dim, keepdim)
    local kept = shapes.kept(t.shape, dim and {dim})
    local of, along = dim and t or ops.reshape(t, {-1}), dim or 1
    check_elements("quantile", of, along)
    local sorted, size = ops.sort(of, along, false), of.shape[along]
    local last, share_of = ops.narrow(sorted, along, size, 1), INTERPOLATIONS[interpolation or "linear"]
    local spoilt, results = core.unary("isnan", last), {}
    for i, one in ipairs(type(q) == "table" and q or {q}) do
        local place = math.floor(one * (size - 1))
        local share = share_of(one * (size - 1) - place, place)
        local value = ops.narrow(sorted, along, place + 1, 1)
        if share > 0 then
            local above = ops.narrow(sorted, along, place + 2, 1)
            value = ops.add(value, ops.mul(ops.sub(above, value), share))
        end
        value = ops.where(spoilt, last, value)
        value = keepdim and ops.reshape(value, kept) or (dim and ops.squeeze(value, dim) or ops.reshape(value, {}))
        results[i] = type(q) == "table" and ops.unsqueeze(value, 1) or value
    end
    return type(q) == "table" and ops.cat(1, table.unpack(results)) or results[1]
end

--- The different values, in order. Waits for the device.
---@param t Tensor
---@return Tensor [n] of t's dtype
function methods.unique(t)
    local flat = core.reshape(t, {-1})
    local size = flat.shape[1]
    if size == 0 then return flat end
    local sorted = core.sort(flat, 1, false)
    local changes = core.binary("ne", core.narrow(sorted, 1, 1, size - 1), core.narrow(sorted, 1, 2, size - 1))
    local first = core.fill_(core.new({1}, "uint8", t.device), 1)
    local places = core.reshape(core.nonzero(core.cat({first, changes}, 1)), {-1})
    return core.cast(core.index_select(sorted, 1, places), t.dtype)
end

--- The distances between the rows of two matrices, in the p-norm. Its gradient is 0 at distance 0.
---@param a Tensor [...,m,k]
---@param b Tensor [...,n,k]
---@param p number? default 2
---@return Tensor [...,m,n]
function methods.cdist(a, b, p)
    if a.ndim < 2 or b.ndim < 2 or a.shape[a.ndim] ~= b.shape[b.ndim] then
        args.fail("cdist: expected matrices with rows of one length, shapes are %s and %s", shapes.text(a.shape),
            shapes.text(b.shape))
    end
    local difference = ops.sub(ops.unsqueeze(a, a.ndim), ops.unsqueeze(b, b.ndim - 1))
    return ops.norm(difference, p or 2, {difference.ndim}, false)
end

return methods
