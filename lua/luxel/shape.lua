--- Shapes: lists of sizes. Those that tensors give print themselves and compare by their sizes.

local args = require "luxel.args"
local core = require "luxel.core"

local shape = {}

--- `[8,1,224,224]`
---@param sizes integer[]
---@return string
function shape.text(sizes)
    return "[" .. table.concat(sizes, ",") .. "]"
end

--- Whether two shapes are the same.
---@param a integer[]
---@param b integer[]
---@return boolean
function shape.same(a, b)
    if #a ~= #b then return false end
    for i = 1, #a do
        if a[i] ~= b[i] then return false end
    end
    return true
end

--- How many elements a shape has.
---@param sizes integer[]
---@return integer
function shape.count(sizes)
    local count = 1
    for _, size in ipairs(sizes) do count = count * size end
    return count
end

--- The shape with the reduced dimensions (default: all) kept as 1.
---@param sizes integer[]
---@param dims integer[]? from 1 or from the end
---@return integer[]
function shape.kept(sizes, dims)
    local kept = {}
    for i = 1, #sizes do kept[i] = dims and sizes[i] or 1 end
    for _, dim in ipairs(dims or {}) do kept[dim < 0 and #sizes + 1 + dim or dim] = 1 end
    return kept
end

--- The shape to which two broadcast; raises where they do not.
---@param name string the function, for messages
---@param a integer[]
---@param b integer[]
---@return integer[]
function shape.broadcast(name, a, b)
    local wide, ndim = {}, math.max(#a, #b)
    for i = 1, ndim do
        local in_a, in_b = a[#a - ndim + i] or 1, b[#b - ndim + i] or 1
        if in_a ~= in_b and in_a ~= 1 and in_b ~= 1 then
            args.fail("%s: shapes %s and %s do not broadcast", name, shape.text(a), shape.text(b))
        end
        wide[i] = in_a == 1 and in_b or in_a
    end
    return wide
end

--- A dimension counted from 1; raises if there is none. `extra` is how many more may be named than there are.
---@param name string "function: argument", for messages
---@param t Tensor
---@param dim integer
---@param extra integer?
---@return integer
function shape.dim(name, t, dim, extra)
    local ndim = t.ndim + (extra or 0)
    local counted = dim < 0 and ndim + 1 + dim or dim
    if counted < 1 or counted > ndim then
        args.fail("%s: dimension %d is out of range for shape %s%s", name, dim, shape.text(t.shape),
            dim == 0 and "; dimensions count from 1" or "")
    end
    return math.tointeger(counted)
end

--- One dimension or a list of them, each once, counted from 1.
---@param name string "function: argument", for messages
---@param t Tensor
---@param dim integer|integer[]
---@return integer[]
function shape.dims(name, t, dim)
    local dims, seen = {}, {}
    for i, one in ipairs(type(dim) == "table" and dim or {dim}) do
        dims[i] = shape.dim(name, t, one)
        if seen[dims[i]] then args.fail("%s: dimension %d is named twice", name, dims[i]) end
        seen[dims[i]] = true
    end
    return dims
end

local Shape = core.metatable.shapes
Shape.__name = "shape"
Shape.__tostring = shape.text
Shape.__eq = shape.same
function Shape.__concat(a, b) return tostring(a) .. tostring(b) end

return shape
