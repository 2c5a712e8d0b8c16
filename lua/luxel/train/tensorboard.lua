--- Event files, which TensorBoard draws as curves: records of TensorFlow's TFRecord format, each an Event message in
--- the wire format of Protocol Buffers with one value for each curve.

local tensorboard = {}

-- CRC-32C (Castagnoli, IEEE Transactions on Communications 41:883, 1993; reversed polynomial 0x82f63b78), a byte at a
-- time.
local TABLE <const> = {}
for byte = 0, 255 do
    local value = byte
    for _ = 1, 8 do value = value & 1 == 1 and value >> 1 ~ 0x82f63b78 or value >> 1 end
    TABLE[byte] = value
end

local function crc32c(text)
    local value = 0xffffffff
    for i = 1, #text do value = TABLE[(value ~ text:byte(i)) & 0xff] ~ value >> 8 end
    return ~value & 0xffffffff
end

-- Checksums are stored masked, since a checksum of data with checksums in it says little.
local function masked(text)
    local crc = crc32c(text)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff
end

local function record(data)
    local length = ("<I8"):pack(#data)
    return length .. ("<I4"):pack(masked(length)) .. data .. ("<I4"):pack(masked(data))
end

-- ---- Protocol Buffers -----------------------------------------------------------------------------------------------

local function varint(value)
    local bytes = {}
    repeat
        local rest = value >> 7
        bytes[#bytes + 1] = string.char(value & 0x7f | (rest ~= 0 and 0x80 or 0))
        value = rest
    until value == 0
    return table.concat(bytes)
end

local DOUBLE <const>, FLOAT <const>, TEXT <const>, INTEGER <const> = 1, 5, 2, 0

local function key(number, wire) return varint(number << 3 | wire) end
local function text_field(number, text) return key(number, TEXT) .. varint(#text) .. text end

-- Event: 1 wall_time, 2 step, 3 file_version, 5 summary. Summary: 1 value. Value: 1 tag, 2 simple_value.
local function event(time, step, rest)
    return key(1, DOUBLE) .. ("<d"):pack(time) .. (step and key(2, INTEGER) .. varint(step) or "") .. rest
end

--- The first event of a file.
---@param time number seconds since 1970
---@return string
function tensorboard.header(time) return record(event(time, nil, text_field(3, "brain.Event:2"))) end

--- The values of curves at a step.
---@param time number seconds since 1970
---@param step integer
---@param values table<string, number> by the names of the curves
---@return string
function tensorboard.scalars(time, step, values)
    local names, parts = {}, {}
    for name in pairs(values) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do
        local value = text_field(1, name) .. key(2, FLOAT) .. ("<f"):pack(values[name])
        parts[i] = text_field(1, value)
    end
    return record(event(time, step, text_field(5, table.concat(parts))))
end

return tensorboard
