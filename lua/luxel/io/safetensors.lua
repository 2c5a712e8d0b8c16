--- The safetensors format, read and written as its reference implementation does (github.com/huggingface/safetensors):
--- eight bytes with the length of the header, a JSON header {name: {dtype, shape, data_offsets}} with text in
--- "__metadata__", and the bytes of all tensors, each byte in exactly one.

local core = require "luxel.core"
local json = require "luxel.json"

local safetensors = {}

local HEADER_LIMIT <const> = 100000000 -- the reference implementation's
local MOST_DIMS <const> = 8

-- Types of the format that Luxel cannot hold, and why.
local REFUSED <const> = {
    C64 = "complex numbers", F4 = "numbers of 4 bits", F6_E2M3 = "numbers of 6 bits", F6_E3M2 = "numbers of 6 bits",
}
local TO_NAME <const> = {float32 = "F32", uint8 = "U8", int32 = "I32"}

-- ---- reading --------------------------------------------------------------------------------------------------

---@class luxel.SafetensorsEntry
---@field name string
---@field dtype string as the format calls it
---@field shape integer[]
---@field start integer where its bytes are, counted behind the header
---@field stop integer

---@class luxel.SafetensorsFile a variable to close; tensors live on
---@field path string
---@field private file userdata
---@field private base integer bytes before the first tensor
---@field entries luxel.SafetensorsEntry[] in the order of their bytes
---@field metadata table<string, string>
local File = {}
File.__index = File

function File:__close() getmetatable(self.file).__close(self.file) end

local function damaged(path, what)
    return nil, ("%s is not a usable safetensors file: %s"):format(path, what), "format"
end

-- A whole number as the header writes it: 4.0 is none.
local function is_size(value) return math.type(value) == "integer" and value >= 0 end

local function is_text_map(value, lists)
    if type(value) ~= "table" or lists[value] then return false end
    for _, text in pairs(value) do
        if type(text) ~= "string" then return false end
    end
    return true
end

-- The bytes that a shape takes, or nil where it is none, or strides would overflow.
local function bytes_of(shape, size)
    local bytes, empty = size, false
    for i = 1, #shape do
        if not is_size(shape[i]) then return nil end
        empty = empty or shape[i] == 0
        local factor = math.max(shape[i], 1)
        if bytes > math.maxinteger // factor then return nil end
        bytes = bytes * factor
    end
    return empty and 0 or bytes
end

-- One entry of the header, checked as far as that is possible without the others; or nil and what is wrong.
local function read_entry(name, given, lists)
    if type(given) ~= "table" or lists[given] then return nil, "it is no object with dtype, shape and data_offsets" end
    local dtype, shape, offsets = given.dtype, given.shape, given.data_offsets
    if type(dtype) ~= "string" then return nil, "it has no dtype" end
    local size = core.number_format(dtype)
    if not size then
        return nil, ("dtype %s cannot be read: %s"):format(dtype, REFUSED[dtype] and "Luxel has no " .. REFUSED[dtype]
            or "there is none of this name")
    end
    if not lists[shape] or not lists[offsets] or #offsets ~= 2 then return nil, "it has no shape or no offsets" end
    local bytes, start, stop = bytes_of(shape, size), offsets[1], offsets[2]
    if not bytes then return nil, "its shape is not valid" end
    if #shape > MOST_DIMS then return nil, ("it has %d dimensions, Luxel has %d at most"):format(#shape, MOST_DIMS) end
    if not is_size(start) or not is_size(stop) or stop < start then return nil, "its offsets are not valid" end
    if stop - start ~= bytes then return nil, "its shape and its bytes do not agree" end
    return {name = name, dtype = dtype, shape = shape, start = start, stop = stop}
end

local function by_place(a, b)
    if a.start ~= b.start then return a.start < b.start end
    if a.stop ~= b.stop then return a.stop < b.stop end
    return a.name < b.name
end

-- The entries of a header in the order of their bytes, which have to follow each other; or nil and what is wrong.
local function read_entries(header, lists, available)
    local entries = {}
    for name, given in pairs(header) do
        if name ~= "__metadata__" then
            local entry, message = read_entry(name, given, lists)
            if not entry then return nil, ("tensor '%s': %s"):format(name, message) end
            entries[#entries + 1] = entry
        end
    end
    table.sort(entries, by_place)
    local stop = 0
    for _, entry in ipairs(entries) do
        if entry.start ~= stop then
            local format = "tensor '%s' begins at byte %d where %d is expected: bytes belong to no tensor, or to two"
            return nil, format:format(entry.name, entry.start, stop)
        end
        stop = entry.stop
    end
    if stop > available then return nil, "its tensors lie outside of it; was it cut off?" end
    if stop < available then return nil, ("%d bytes follow the last tensor"):format(available - stop) end
    return entries
end

-- The header as text, or nil, message, code.
local function read_header(path, file, size)
    if size < 8 then return damaged(path, "it is too short") end
    local start = core.file_text(file, 0, 8)
    local length = ("<i8"):unpack(start)
    if length < 2 or length > HEADER_LIMIT or length > size - 8 then
        -- a zip archive or a pickle; as a length these bytes may be right
        local is_torch = start:find("^PK\3\4") or start:find("^\x80[\2-\5]")
        return damaged(path, is_torch and "it looks like one of torch.save, which lx.io.torch.load reads"
            or "the length of its header is wrong; was it cut off?")
    end
    return core.file_text(file, 8, length)
end

--- Opens a file and checks its structure. Fields of entries that the format does not know are ignored, as by the
--- reference implementation; a name that comes twice is refused.
---@param path string
---@return luxel.SafetensorsFile? file, string? message, string? code
function safetensors.open(path)
    local file, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local text, message, kind = read_header(path, file, size)
    if not text then return nil, message, kind end
    local header, lists = json.decode(text)
    if type(header) ~= "table" or lists[header] or header == json.null then
        return damaged(path, "its header is no JSON object" .. (header == nil and ": " .. lists or ""))
    end
    local metadata = header.__metadata__
    if metadata == nil or metadata == json.null then metadata = {} end
    if not is_text_map(metadata, lists) then return damaged(path, "its __metadata__ is no object of text") end
    local entries
    entries, message = read_entries(header, lists, size - 8 - #text)
    if not entries then return damaged(path, message) end
    return setmetatable({
        path = path, file = file, base = 8 + #text, entries = entries, metadata = metadata,
    }, File)
end

--- The tensor of an entry, on the cpu: the file's own bytes where they are float32, int32 or uint8, else a new tensor.
--- Integers become int32, truth values uint8 and floats float32, rounded where they are longer; what is out of range is
--- refused.
---@param entry luxel.SafetensorsEntry
---@return Tensor? tensor, string? message, string? code
function File:tensor(entry)
    local tensor, message = core.file_tensor(self.file, self.base + entry.start, entry.shape, entry.dtype)
    if tensor then return tensor end
    return damaged(self.path, ("tensor '%s' (%s): %s"):format(entry.name, entry.dtype, message))
end

--- A number that changes with the bytes of an entry.
---@param entry luxel.SafetensorsEntry
---@return integer
function File:checksum(entry)
    return core.checksum(self.file, self.base + entry.start, entry.stop - entry.start)
end

-- ---- writing --------------------------------------------------------------------------------------------------

--- Tensors as entries for `write`, in its order: of longer numbers first, so that all are aligned, then by name.
---@param tensors table<string, Tensor>
---@param half boolean? float32 of two dimensions and more in half precision: weights, but no statistics
---@return {name: string, dtype: string, shape: integer[], bytes: string}[]
function safetensors.entries_of(tensors, half)
    local entries = {}
    for name, tensor in pairs(tensors) do
        local dtype = half and tensor.dtype == "float32" and tensor.ndim >= 2 and "F16" or TO_NAME[tensor.dtype]
        entries[#entries + 1] = {name = name, dtype = dtype, shape = tensor.shape, tensor = tensor}
    end
    table.sort(entries, function(a, b)
        local size, other = core.number_format(a.dtype), core.number_format(b.dtype)
        if size ~= other then return size > other end
        return a.name < b.name
    end)
    for _, entry in ipairs(entries) do
        entry.bytes, entry.tensor = core.to_string(entry.tensor, entry.dtype == "F16"), nil
    end
    return entries
end

-- By hand, as an empty shape must be [] and not {}.
local function header_entry(entry, start)
    return ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(json.quote(entry.name), entry.dtype,
        table.concat(entry.shape, ","), start, start + #entry.bytes)
end

--- Writes entries and text. The same ones give the same file. The old file stays until the new one is on disk.
---@param path string
---@param entries {name: string, dtype: string, shape: integer[], bytes: string}[]
---@param metadata table<string, string>
---@return boolean? ok, string? message, string? code
function safetensors.write(path, entries, metadata)
    local parts, chunks, offset = {'"__metadata__":' .. json.encode(metadata)}, {false}, 0
    for _, entry in ipairs(entries) do
        parts[#parts + 1], chunks[#chunks + 1] = header_entry(entry, offset), entry.bytes
        offset = offset + #entry.bytes
    end
    local header = "{" .. table.concat(parts, ",") .. "}"
    header = header .. (" "):rep(-(#header + 8) % 64) -- so that the first tensor is aligned
    chunks[1] = ("<I8"):pack(#header) .. header
    return core.write_file(path, chunks)
end

return safetensors
