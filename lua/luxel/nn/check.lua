--- Argument checks of functions, layers and optimisers. Messages name the function, the argument and the shapes.

local shapes = require "luxel.shape"

local check = {}

check.shape_text = shapes.text

--- `float32 [8,1,224,224]` for a tensor, the type for anything else.
---@param value any
---@return string
function check.describe(value)
    if type(value) ~= "userdata" then return type(value) end
    return value.dtype .. " " .. check.shape_text(value.shape)
end

--- Raises `name: message` at the caller of the function that calls the check (level 3), or further out.
---@param name string
---@param message string with `%s` for each further argument
function check.fail(name, message, ...)
    error(name .. ": " .. message:format(...), 4)
end

--- Raises unless `value` is a float32 tensor (with `ndim` dimensions, if given).
---@param name string the function or layer
---@param argument string what the value is to it
---@param value any
---@param ndim integer?
function check.float(name, argument, value, ndim)
    if type(value) ~= "userdata" then
        check.fail(name, "%s should be a tensor, got %s", argument, type(value))
    end
    if value.dtype ~= "float32" then
        check.fail(name, "%s should be float32, got %s (convert it with :float())", argument, check.describe(value))
    end
    if ndim and value.ndim ~= ndim then
        check.fail(name, "%s should have %d dimensions, got %s", argument, ndim, check.describe(value))
    end
end

--- Raises unless `value` is nil or a float32 vector of the given length.
---@param name string
---@param argument string
---@param value any
---@param length integer
function check.vector(name, argument, value, length)
    if value == nil then return end
    if type(value) ~= "userdata" or value.dtype ~= "float32" or value.ndim ~= 1 or value.shape[1] ~= length then
        check.fail(name, "%s should be float32 [%d], got %s", argument, length, check.describe(value))
    end
end

--- Raises unless both tensors have the same shape.
---@param name string
---@param first string
---@param a Tensor
---@param second string
---@param b Tensor
function check.same_shape(name, first, a, second, b)
    local x, y = check.shape_text(a.shape), check.shape_text(b.shape)
    if x ~= y then check.fail(name, "%s has shape %s, %s has %s; they should be equal", first, x, second, y) end
end

--- An integer option of at least `minimum`.
---@return integer
function check.integer(name, argument, value, minimum)
    local integer = math.tointeger(value)
    if not integer or integer < minimum then
        check.fail(name, "%s should be an integer of at least %d, got %s", argument, minimum, tostring(value))
    end
    return integer --[[@as integer]]
end

--- A size for height and width: an integer for both, or `{h, w}`.
---@param name string
---@param argument string
---@param value any
---@param minimum integer
---@return integer[] pair {h, w}
function check.pair(name, argument, value, minimum)
    local h, w = value, value
    if type(value) == "table" then h, w = value[1], value[2] end
    h, w = math.tointeger(h), math.tointeger(w)
    if not h or not w or h < minimum or w < minimum then
        local got = type(value) == "table" and "{" .. tostring(value[1]) .. ", " .. tostring(value[2]) .. "}"
        check.fail(name, "%s should be an integer or a pair {h, w} of at least %d, got %s", argument, minimum,
            got or tostring(value))
    end
    return {h, w}
end

--- Raises if `options` is not nil or a table, or has a key that is not among `allowed` (a typing mistake, usually).
---@param name string
---@param options table?
---@param allowed string[]
---@return table options never nil
function check.options(name, options, allowed)
    if options == nil then return {} end
    if type(options) ~= "table" then
        check.fail(name, "options should be a table such as {%s = ...}, got %s", allowed[1], type(options))
    end
    for key in pairs(options) do
        local known = false
        for _, candidate in ipairs(allowed) do
            known = known or candidate == key
        end
        if not known then
            check.fail(name, "unknown option %s; the options are %s", tostring(key), table.concat(allowed, ", "))
        end
    end
    return options
end

return check
