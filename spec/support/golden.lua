--- Reads spec/golden/golden.safetensors; the format and its short forms are described in spec/golden/make.py.

local cjson = require "cjson"
local lx = require "luxel"

local golden = {}

local LETTERS <const> = {F32 = "f", I32 = "i4", U8 = "B", I8 = "i1", I16 = "i2"}
local BYTES <const> = {F32 = 4, I32 = 4, U8 = 1, I8 = 1, I16 = 2}
local DTYPES <const> = {F32 = "float32", I32 = "int32", U8 = "uint8", I8 = "float32", I16 = "float32"}
local CHUNK <const> = 200 -- values unpacked at once, below the limit of results of a function

local function unpack_numbers(bytes, kind)
    local numbers, position, size = {}, 1, BYTES[kind]
    while position <= #bytes do
        local count = math.min(CHUNK, (#bytes - position + 1) // size)
        local chunk = {string.unpack("<" .. LETTERS[kind]:rep(count), bytes, position)}
        table.move(chunk, 1, count, #numbers + 1, numbers)
        position = position + count * size
    end
    return numbers
end

local function count_of(shape)
    local count = 1
    for _, size in ipairs(shape) do count = count * size end
    return count
end

--- What the file has of a tensor: `numbers`, every `every`-th of the elements in row-major order, and (only if some are
--- left out) `total`, the sum of all, weighted.
---@class GoldenTensor
---@field shape integer[]
---@field dtype string
---@field every integer
---@field numbers number[]
---@field total number?

local function parse(entry, form, data)
    local numbers = unpack_numbers(data:sub(entry.data_offsets[1] + 1, entry.data_offsets[2]), entry.dtype)
    local step, every, shape, total = 1, 1, entry.shape, nil
    if entry.dtype == "I8" then step = 1 / 64 end
    if form then
        form = cjson.decode(form)
        step, every, shape, total = form[1], math.tointeger(form[2] or 1), form[3] or shape, form[4]
    end
    for dim, size in ipairs(shape) do shape[dim] = math.tointeger(size) end
    if step ~= 1 then
        for i, number in ipairs(numbers) do numbers[i] = number * step end
    end
    return {shape = shape, dtype = DTYPES[entry.dtype], every = every, numbers = numbers, total = total}
end

-- What backward starts from at result `number`, at element i (from 0): `output_gradient` of make.py.
local function weight(number, i) return ((3 * i * i + 41 * i + 17 * number) % 127 - 63) / 64 end

-- A case of a function of one number that has a closed form: on images of an odd size, in the double precision of Lua,
-- at numbers from `low` to `high` that float32 holds exactly.
local function closed_case(f, slope, low, high)
    local shape <const> = {2, 3, 5, 7}
    local x, y, grad = {}, {}, {}
    for i = 1, count_of(shape) do
        x[i] = math.floor((low + (high - low) * ((i * 0.6180339887) % 1)) * 1024) / 1024
        y[i], grad[i] = f(x[i]), slope(x[i]) * weight(1, i - 1)
    end
    local function tensor(numbers) return {shape = shape, dtype = "float32", every = 1, numbers = numbers} end
    return {inputs = {x = tensor(x)}, outputs = {tensor(y)}, grads = {x = tensor(grad)}}
end

--- All cases by name: `{inputs = {x = GoldenTensor}, outputs = {GoldenTensor...}, grads = {x = GoldenTensor}}`.
---@param path string
---@param rows table[] of cases.lua, of which some have a closed form instead of numbers in the file
---@return table<string, table>
function golden.load(path, rows)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    local header, start = string.unpack("<s8", text)
    local data = text:sub(start)
    header = cjson.decode(header)
    local forms = header.__metadata__
    header.__metadata__ = nil
    local cases = {}
    for key, entry in pairs(header) do
        local name, part, argument = key:match("^(.+)/(%a+)/([^/]+)$")
        local case = cases[name] or {inputs = {}, outputs = {}, grads = {}}
        cases[name] = case
        local tensor = parse(entry, forms[key], data)
        if part == "in" then
            case.inputs[argument] = tensor
        elseif part == "out" then
            case.outputs[math.tointeger(tonumber(argument))] = tensor
        else
            case.grads[argument] = tensor
        end
    end
    for _, row in ipairs(rows) do
        if row.closed then
            assert(not cases[row.name], row.name .. " has a closed form and is in the file as well")
            cases[row.name] = closed_case(table.unpack(row.closed))
        end
    end
    return cases
end

--- A tensor with these numbers.
---@param stored GoldenTensor complete (every = 1)
---@return Tensor
function golden.tensor(stored)
    if #stored.shape == 0 then return lx.tensor(stored.numbers[1], {dtype = stored.dtype}) end
    return lx.tensor(stored.numbers, {dtype = stored.dtype}):view(stored.shape)
end

--- What backward starts from at result `number`.
---@param number integer
---@param shape integer[]
---@return Tensor
function golden.output_gradient(number, shape)
    local numbers = {}
    for i = 0, count_of(shape) - 1 do
        numbers[i + 1] = weight(number, i)
    end
    return golden.tensor {shape = shape, dtype = "float32", numbers = numbers}
end

--- The elements in row-major order.
---@param tensor Tensor
---@return number[]
function golden.flat(tensor)
    local kinds = {float32 = "F32", int32 = "I32", uint8 = "U8"}
    return unpack_numbers(tensor:tostring_bytes(), kinds[tensor.dtype])
end

local function is_nan(number) return number ~= number end

-- The largest difference and where it is; NaN agrees with NaN only, and infinity with itself.
local function largest_difference(actual, expected, every)
    local worst, place, scale = 0, 1, 0
    for i, wanted in ipairs(expected) do
        local got = actual[(i - 1) * every + 1]
        if math.abs(wanted) < math.huge then scale = math.max(scale, math.abs(wanted)) end
        local difference = math.abs(got - wanted)
        if got == wanted or (is_nan(got) and is_nan(wanted)) then
            difference = 0
        elseif is_nan(difference) then
            difference = math.huge
        end
        if difference > worst then worst, place = difference, i end
    end
    return worst, place, scale
end

-- Whether elements that are not stored are wrong: what the tolerance allows each, with random signs.
local function wrong_total(numbers, stored, allowed)
    if not stored.total then return nil end
    local total = 0
    for i, number in ipairs(numbers) do total = total + number * weight(0, i - 1) end
    allowed = allowed * math.sqrt(#numbers)
    if math.abs(total - stored.total) <= allowed then return nil end
    return ("the weighted sum of all elements is %.8g, expected %.8g (allowed difference %.3g)"):format(total,
        stored.total, allowed)
end

--- Nil if `actual` agrees with what is stored: shape and dtype exactly, integers exactly, floats within `relative`
--- times the largest magnitude. Otherwise says where not.
---@param actual Tensor?
---@param stored GoldenTensor
---@param relative number
---@return string? problem
function golden.disagreement(actual, stored, relative)
    if not lx.is_tensor(actual) then return "expected a tensor, got " .. type(actual) end
    local shape, wanted = table.concat(actual.shape, ","), table.concat(stored.shape, ",")
    if shape ~= wanted then return ("shape [%s], expected [%s]"):format(shape, wanted) end
    if actual.dtype ~= stored.dtype then return ("dtype %s, expected %s"):format(actual.dtype, stored.dtype) end
    local numbers = golden.flat(actual)
    local worst, place, scale = largest_difference(numbers, stored.numbers, stored.every)
    local allowed = stored.dtype == "float32" and relative * scale + 1e-6 or 0
    if worst <= allowed then return wrong_total(numbers, stored, allowed) end
    local element = (place - 1) * stored.every + 1
    return ("element %d of [%s] is %.8g, expected %.8g (difference %.3g, allowed %.3g)"):format(element, shape,
        numbers[element], stored.numbers[place], worst, allowed)
end

return golden
