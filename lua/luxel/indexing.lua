--- Indexing: what t[key] reads, and what t[key] = value writes.
--
-- A key is an integer (a position of the first dimension), a list with a place for each of the first dimensions, a mask
-- (uint8), or a tensor of positions (int32).

local args = require "luxel.args"
local core = require "luxel.core"
local ops = require "luxel.ops"
local shapes = require "luxel.shape"

local indexing = {}

local is_tensor = core.is_tensor
local shape_text = shapes.text

local function refuse_scalar()
    args.fail("index: a tensor without dimensions has no elements to index; use t:item()")
end

-- The function that ipairs calls for the next element: it is given nil where other callers are told that an index is
-- out of range.
local IPAIRS_STEP <const> = ipairs({})

-- Raises, unless it is ipairs that asks for what comes after the last. Three levels above are `read` and C's __index.
local function out_of_range(t, key)
    if key == #t + 1 and t.ndim > 0 then
        local caller = debug.getinfo(4, "f")
        if caller and caller.func == IPAIRS_STEP then return nil end
    end
    if t.ndim == 0 then
        refuse_scalar()
    elseif not math.tointeger(key) then
        args.fail("index: expected an integer, got %s", key)
    end
    args.fail("index: index %d is out of range for dimension 1 of shape %s%s", key, shape_text(t.shape),
        key == 0 and "; indices count from 1" or "")
end

local function integer_at(value, dim)
    local whole = math.type(value) and math.tointeger(value)
    if not whole then
        args.fail("index: place %d of the list: expected an integer, {from, to, step} or {}, got %s%s", dim,
            args.describe(value), is_tensor(value) and "; a tensor of positions stands alone, or goes to index_select"
                or "")
    end
    return whole
end

-- {}, {i}, {from, to} or {from, to, step} as start, length and step.
local function range_of(t, part, dim)
    local size = t.shape[dim]
    if next(part) == nil then return 1, size, 1 end
    for key in next, part do
        if key ~= 1 and key ~= 2 and key ~= 3 or part[1] == nil or key == 3 and part[2] == nil then
            local got = part[1] == nil and "nil first" or part[2] == nil and "nil second" or "the key " .. tostring(key)
            args.fail("index: place %d of the list: expected {}, {i}, {from, to} or {from, to, step}, got a table "
                .. "with %s", dim, got)
        end
    end
    local from, step = integer_at(part[1], dim), part[3] == nil and 1 or integer_at(part[3], dim)
    local to = part[2] == nil and from or integer_at(part[2], dim)
    local first, last = from < 0 and size + 1 + from or from, to < 0 and size + 1 + to or to
    if first < 1 or first > size or last < 1 or last > size then
        args.fail("index: {%d, %d} is out of range for dimension %d of shape %s", from, to, dim, shape_text(t.shape))
    elseif last < first then
        args.fail("index: {%d, %d} for dimension %d runs backwards; flip(%d) turns a dimension round", from, to,
            dim, dim)
    elseif step < 1 then
        args.fail("index: the step for dimension %d must be at least 1, got %d; flip(%d) turns a dimension round", dim,
            step, dim)
    end
    return first, (last - first) // step + 1, step
end

-- The view that a list names.
local function view_of_list(t, key)
    local count = #key
    for name in next, key do
        if math.type(name) ~= "integer" or name < 1 then
            args.fail("index: expected a list, got a table with the key '%s'", tostring(name))
        end
        count = math.max(count, name)
    end
    if t.ndim == 0 and count > 0 then refuse_scalar() end
    if count > t.ndim then
        args.fail("index: %d indices for a tensor of shape %s", count, shape_text(t.shape))
    end
    local view, left = t, 1
    for dim = 1, count do
        local part = key[dim]
        if part == nil then
            args.fail("index: place %d of the list is nil; {} stands for the whole of a dimension", dim)
        elseif type(part) == "table" then
            local start, length, step = range_of(t, part, dim)
            view, left = ops.narrow(view, left, start, length, step), left + 1
        else
            local place, size = integer_at(part, dim), t.shape[dim]
            if place == 0 or place > size or place < -size then
                args.fail("index: index %d is out of range for dimension %d of shape %s", place, dim,
                    shape_text(t.shape))
            end
            view = ops.select(view, left, place)
        end
    end
    return view
end

--- The view that an integer or a list names.
---@param t Tensor
---@param key integer|table
---@return Tensor
function indexing.view(t, key)
    if type(key) == "number" then key = {key} end
    if type(key) ~= "table" then
        args.fail("index: a tensor is indexed by an integer, {i, {from, to, step}, {}}, a mask (uint8) or positions "
            .. "(int32), got %s", args.describe(key))
    end
    return view_of_list(t, key)
end

-- How many elements the dimensions of the mask have, and the sizes of the others of t.
local function masked_dims(t, mask)
    local shape, lead, rest, count = t.shape, mask.shape, {}, 1
    for dim = 1, math.max(#shape, #lead) do
        if dim > #lead then
            rest[#rest + 1] = shape[dim]
        elseif shape[dim] ~= lead[dim] then
            args.fail("index: a mask of shape %s for a tensor of shape %s; it must have the shape of the tensor, or of "
                .. "its first dimensions", shape_text(lead), shape_text(shape))
        else
            count = count * lead[dim]
        end
    end
    return count, rest
end

-- int32 [n], the places of a mask that hold.
local function places_of(mask) return core.reshape(core.nonzero(core.reshape(mask, {-1})), {-1}) end

-- The elements of t where the mask holds: [n, ...].
local function read_mask(t, mask)
    local count, rest = masked_dims(t, mask)
    return ops.index_select(ops.reshape(t, {count, table.unpack(rest)}), 1, places_of(mask))
end

local function refuse_floats()
    args.fail("index: a tensor is indexed by a mask (uint8) or by positions (int32), got float32; convert with :byte() "
        .. "or :int()")
end

--- The value of t[key]. One element comes as a number unless a gradient is wanted. Called by the __index of tensors.
---@param t Tensor
---@param key integer|table|Tensor
---@return Tensor|number|nil
function indexing.read(t, key)
    local view
    if type(key) == "number" then
        local place, size = math.tointeger(key), #t
        if not place or place == 0 or place > size or place < -size or t.ndim == 0 then
            local nothing = out_of_range(t, key)
            return nothing
        end
        view = ops.select(t, 1, place)
    elseif is_tensor(key) then
        if key.dtype == "uint8" then return read_mask(t, key) end
        if key.dtype == "float32" then refuse_floats() end
        return ops.index_select(t, 1, key)
    else
        view = indexing.view(t, key)
    end
    if view.ndim == 0 and not view.requires_grad then return core.item(view) end
    return view
end

-- ---- writing ---------------------------------------------------------------------------------------------------

-- A mask of the first dimensions with the others as 1, so that it broadcasts to t.
local function spread(mask, rest)
    local shape = mask.shape
    for _ = 1, #rest do shape[#shape + 1] = 1 end
    return core.reshape(mask, shape)
end

-- Rows of `value`, by their numbers from 1 (0: any), in the place of t's first dimensions.
local function rows_for(t, value, numbers)
    local least = core.cast(core.binary("maximum", numbers, 1), "int32")
    return ops.reshape(ops.index_select(value, 1, least), t.shape)
end

-- Whether `value` broadcasts to a shape as PyTorch does it.
local function fits(value, shape)
    local own, added = value.shape, #shape - value.ndim
    for i, size in ipairs(own) do
        if added < 0 or size ~= 1 and size ~= shape[added + i] then return false end
    end
    return added >= 0
end

-- The values to be written by a mask: as many rows as it has places, in their order; or a tensor of t's shape, of which
-- the places are taken.
local function replace_masked(t, mask, value)
    local count, rest = masked_dims(t, mask)
    local wide = spread(mask, rest)
    if not is_tensor(value) or value.ndim == 0 then return wide, value end
    if shapes.same(value.shape, t.shape) then return wide, value end
    local flat = core.reshape(mask, {count})
    local places = core.nonzero(flat).shape[1]
    local wanted = {places, table.unpack(rest)}
    if not fits(value, wanted) then
        args.fail("assignment: the mask has %d places, for which the value must have shape %s (or that of the tensor, "
            .. "%s), got %s", places, shape_text(wanted), shape_text(t.shape), shape_text(value.shape))
    elseif places == 0 then
        return nil
    end
    return wide, rows_for(t, ops.expand(value, wanted), core.cumsum(core.binary("ne", flat, 0), 1))
end

-- The values to be written at positions: a row for each, the last one where a position is named twice.
local function replace_positions(t, index, value)
    if index.ndim ~= 1 or t.ndim == 0 then
        args.fail("assignment: expected a list of positions for a tensor with dimensions, got %s for %s",
            args.describe(index), args.describe(t))
    end
    local shape = t.shape
    local last = core.last_along({shape[1]}, 1, index)
    local rest = {table.unpack(shape, 2)}
    local wide = spread(core.binary("ne", last, 0), rest)
    if not is_tensor(value) or value.ndim == 0 then return wide, value end
    local wanted = {index.shape[1], table.unpack(rest)}
    if not fits(value, wanted) then
        args.fail("assignment: %d positions take a value of shape %s, got %s", wanted[1], shape_text(wanted),
            shape_text(value.shape))
    elseif wanted[1] == 0 then
        return nil
    end
    return wide, rows_for(t, ops.expand(value, wanted), last)
end

--- What t[key] = value comes to for a mask or positions: a mask that broadcasts to t, and what is written where it
--- holds (a number, or a tensor that broadcasts to t). Nothing where nothing is written.
---@param t Tensor
---@param key Tensor
---@param value number|Tensor
---@return Tensor? mask, Tensor|number|nil replacement
function indexing.replacement(t, key, value)
    if key.dtype == "float32" then refuse_floats() end
    if not is_tensor(value) and type(value) ~= "number" then
        args.fail("assignment: expected a number or a tensor, got %s", args.describe(value))
    end
    return (key.dtype == "uint8" and replace_masked or replace_positions)(t, key, value)
end

-- ---- methods ---------------------------------------------------------------------------------------------------

local methods = {}
indexing.methods = methods

--- The places of the elements that are not 0, in row-major order. Waits for the device.
---@param t Tensor
---@return Tensor int32 [n,ndim], from 1
function methods.nonzero(t) return core.nonzero(t) end

--- The elements where the mask holds, in row-major order; t and mask are broadcast. Waits for the device.
---@param t Tensor
---@param mask Tensor uint8
---@return Tensor [n]
function methods.masked_select(t, mask)
    local wide = core.binary("ne", mask, 0)
    local like = shapes.broadcast("masked_select", t.shape, wide.shape)
    local places = places_of(core.contiguous(core.expand(wide, like)))
    return ops.index_select(ops.reshape(ops.expand(t, like), {-1}), 1, places)
end

local function check_index(name, index)
    if index.dtype == "float32" then
        args.fail("%s: index: expected an int32 tensor of positions, got float32; convert with :int()", name)
    end
    return index
end

--- The positions `index` of a dimension, in that order. One out of range raises on the cpu; on other devices, which
--- compute while Lua goes on, it gives NaN (0 of integers). So with `gather`.
---@param t Tensor
---@param dim integer
---@param index Tensor int32 [n], from 1
---@return Tensor
function methods.index_select(t, dim, index)
    return ops.index_select(t, shapes.dim("index_select", t, dim), check_index("index_select", index))
end

--- out[i][j] = t[i][index[i][j]] for the dimension 2, and so on: torch.gather.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@return Tensor of the shape of index
function methods.gather(t, dim, index)
    return ops.take_along(t, shapes.dim("gather", t, dim), check_index("gather", index))
end

-- The source of a scatter in the shape of the indices.
local function source_of(name, t, index, source)
    if not is_tensor(source) then source = core.fill_(core.new({}, "float32", t.device), source) end
    if not fits(source, index.shape) then
        args.fail("%s: source: expected a number or a tensor of the shape of the indices, %s, got %s", name,
            shape_text(index.shape), shape_text(source.shape))
    end
    return ops.expand(source, index.shape)
end

--- t with the elements of `source` at the positions `index` of a dimension: the reverse of `gather`. The last one where
--- a position is named twice.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function methods.scatter(t, dim, index, source)
    dim = shapes.dim("scatter", t, dim)
    source = source_of("scatter", t, check_index("scatter", index), source)
    if index.shape[dim] == 0 then return ops.clone(t) end
    local last = core.last_along(t.shape, dim, index)
    local least = core.cast(core.binary("maximum", last, 1), "int32")
    return ops.where(core.binary("ne", last, 0), ops.take_along(source, dim, least), t)
end

--- t with the elements of `source` added at the positions `index` of a dimension.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function methods.scatter_add(t, dim, index, source)
    dim = shapes.dim("scatter_add", t, dim)
    source = source_of("scatter_add", t, check_index("scatter_add", index), source)
    return ops.add(t, ops.scatter_along(source, t.shape, dim, index))
end

--- 1 at the position that an element names, in a new last dimension, else 0. Waits for the device.
---@param t Tensor int32 or uint8, from 1 to `classes`
---@param classes integer? default: the largest element
---@return Tensor uint8 [...,classes]
function methods.one_hot(t, classes)
    check_index("one_hot", t)
    local empty = shapes.count(t.shape) == 0
    if empty and not classes then args.fail("one_hot: classes: expected an integer for a tensor without elements") end
    local least, most = 1, classes or 0
    if not empty then
        least, most = core.item(core.reduce("min", t)), core.item(core.reduce("max", t))
    end
    classes = classes or math.tointeger(most)
    if least < 1 or most > classes then
        args.fail("one_hot: the elements must be from 1 to %d, got %d to %d", classes, least, most)
    end
    local numbers = core.arange(1, 1, classes, t.device, "int32")
    return core.binary("eq", core.unsqueeze(core.cast(t, "int32"), -1), numbers)
end

return indexing
