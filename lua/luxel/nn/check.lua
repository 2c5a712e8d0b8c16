--- Checks of what declarations cannot say: shapes that depend on the layer or on each other. Messages begin with the
-- function or the layer: `Conv2d(1, 8, 3): input: expected float32 [N,1,H,W], got uint8 [1,28,28]`.

local args = require "luxel.args"
local core = require "luxel.core"
local shapes = require "luxel.shape"

local check = {shape_text = shapes.text}

args.type("size", "an integer from 1 to 2147483647", "number", function(value)
    return math.tointeger(value) ~= nil and value >= 1 and value < 1 << 31
end)

args.type("probability", "a number from 0 to below 1", "number", function(value) return value >= 0 and value < 1 end)

--- Raises `owner: message` at the user's line.
---@param owner string|Module a function's name, or a layer
---@param message string a format for what follows
function check.fail(owner, message, ...)
    args.fail("%s", (type(owner) == "string" and owner or owner:describe()) .. ": " .. message:format(...))
end

local function fits(shape, sizes)
    local some = sizes[#sizes] == "..." -- any number of further dimensions
    local count = some and #sizes - 1 or #sizes
    if #shape < count or #shape > count and not some then return false end
    for i = 1, count do
        if type(sizes[i]) == "number" and sizes[i] ~= shape[i] then return false end
    end
    return true
end

--- Raises unless `value` is a float32 tensor of a shape.
---@param owner string|Module
---@param argument string the name of the value
---@param value any
---@param sizes (integer|string)[]? sizes, names for sizes that may be any, and at the end "..." for further dimensions
function check.float(owner, argument, value, sizes)
    if core.is_usable(value) and value.dtype == "float32" and (not sizes or fits(value.shape, sizes)) then return end
    local hint = core.is_usable(value) and value.dtype ~= "float32" and " (convert it with :float())" or ""
    check.fail(owner, "%s: expected float32%s, got %s%s", argument, sizes and " " .. shapes.text(sizes) or "",
        args.describe(value), hint)
end

--- Raises unless `value` is nil or a float32 vector of the given length.
---@param owner string|Module
---@param argument string
---@param value any
---@param length integer
function check.vector(owner, argument, value, length)
    if value ~= nil then check.float(owner, argument, value, {length}) end
end

--- Raises unless both tensors have the same shape.
---@param owner string|Module
---@param first string
---@param a Tensor
---@param second string
---@param b Tensor
function check.same_shape(owner, first, a, second, b)
    if shapes.same(a.shape, b.shape) then return end
    check.fail(owner, "%s: expected the shape of %s, %s, got %s", second, first, shapes.text(a.shape),
        shapes.text(b.shape))
end

--- An index of a dimension from 1, where negative ones count from the end.
---@param owner string|Module
---@param dim integer
---@param x Tensor
---@return integer
function check.dim(owner, dim, x)
    local index = dim < 0 and dim + x.ndim + 1 or dim
    if index < 1 or index > x.ndim then
        check.fail(owner, "dim: expected an integer from 1 to %d (or -1 to -%d) for %s, got %d", x.ndim, x.ndim,
            args.describe(x), dim)
    end
    return math.tointeger(index) --[[@as integer]]
end

--- A size for height and width as `{h, w}`.
---@param size integer|integer[]
---@return integer[]
function check.pair(size)
    if type(size) ~= "table" then return {math.tointeger(size), math.tointeger(size)} end
    return {math.tointeger(size[1]), math.tointeger(size[2])}
end

--- Raises unless the padding of a pooling is at most half of its windows.
---@param owner string|Module
---@param padding integer[]
---@param kernel integer[]
function check.padding(owner, padding, kernel)
    for i = 1, #kernel do
        if padding[i] * 2 > kernel[i] then
            check.fail(owner, "padding (%d) should be at most half of the kernel (%d)", padding[i], kernel[i])
        end
    end
end

--- `12,345,678`
---@param number integer
---@return string
function check.commas(number)
    local text = tostring(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (text:gsub("^,", ""))
end

return check
