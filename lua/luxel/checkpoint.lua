--- Tensors and what belongs to them in one file: safetensors, which PyTorch and others read too.
--
-- The format: eight bytes with the length of the header, a JSON header {name: {dtype, shape, data_offsets}}, the bytes.
-- Metadata there may only be text, so every value of ours is stored as JSON text.

local cjson = require "cjson.safe"
local core = require "luxel.core"

local checkpoint = {}

local json = cjson.new()
json.encode_number_precision(14) -- the most there is
json.encode_sparse_array(true)

local TO_NAME <const> = {float32 = "F32", uint8 = "U8", int32 = "I32"}
local FROM_NAME <const> = {F32 = "float32", U8 = "uint8", I32 = "int32"}
local BYTES <const> = {F32 = 4, U8 = 1, I32 = 4}
local HEADER_LIMIT <const> = 64 << 20

local function sorted_names(tensors)
    local names = {}
    for name in pairs(tensors) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- One entry of the header, written by hand: an empty shape must be [] and not {}.
local function header_entry(name, tensor, start, stop)
    return ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(json.encode(name), TO_NAME[tensor.dtype],
        table.concat(tensor.shape, ","), start, stop)
end

--- Writes tensors and metadata. The old file stays until the new one is complete and on disk.
---@param path string
---@param tensors table<string, Tensor>
---@param metadata table<string, any>? numbers, text, booleans and tables of them
---@return boolean? ok, string? message, string? code
function checkpoint.save(path, tensors, metadata)
    local entries, chunks, offset, text = {}, {false}, 0, {}
    for key, value in pairs(metadata or {}) do
        local encoded, problem = json.encode(value)
        if not encoded then error(("save: metadata '%s' cannot be stored: %s"):format(key, problem), 2) end
        text[#text + 1] = json.encode(key) .. ":" .. json.encode(encoded)
    end
    table.sort(text)
    entries[1] = '"__metadata__":{' .. table.concat(text, ",") .. "}"
    for _, name in ipairs(sorted_names(tensors)) do
        local bytes = core.to_string(tensors[name])
        entries[#entries + 1] = header_entry(name, tensors[name], offset, offset + #bytes)
        chunks[#chunks + 1], offset = bytes, offset + #bytes
    end
    local header = "{" .. table.concat(entries, ",") .. "}"
    header = header .. (" "):rep(-#header % 8)
    chunks[1] = ("<I8"):pack(#header) .. header
    return core.write_file(path, chunks)
end

local function damaged(path, what)
    return nil, ("%s is not a usable safetensors file: %s"):format(path, what), "format"
end

-- The header, checked: name -> {dtype, shape, start, stop}, and metadata.
local function read_header(path, bytes)
    if #bytes < 8 then return damaged(path, "it is too short") end
    local length = ("<I8"):unpack(bytes)
    if length < 2 or length > HEADER_LIMIT or length > #bytes - 8 then
        return damaged(path, "the length of its header is wrong; was it cut off?")
    end
    local header, problem = json.decode(bytes:sub(9, 8 + length))
    if type(header) ~= "table" or bytes:sub(9, 9) ~= "{" then
        return damaged(path, "its header is no JSON object: " .. tostring(problem))
    end
    return header, length
end

-- A tensor of the file, or nil and what is wrong with its entry.
local function read_tensor(bytes, base, entry)
    local offsets, shape = type(entry) == "table" and entry.data_offsets, type(entry) == "table" and entry.shape
    local dtype = type(entry) == "table" and FROM_NAME[entry.dtype]
    if not dtype then return nil, ("dtype %s is not supported"):format(type(entry) == "table" and entry.dtype) end
    if type(offsets) ~= "table" or type(shape) ~= "table" then return nil, "it has no shape or no offsets" end
    local start, stop = math.tointeger(offsets[1]), math.tointeger(offsets[2])
    local count, sizes = 1, {}
    for i, size in ipairs(shape) do
        sizes[i] = math.tointeger(size)
        if not sizes[i] or sizes[i] < 0 or sizes[i] > #bytes or count > #bytes or #shape > 8 then
            return nil, "its shape is not valid"
        end
        count = count * sizes[i] -- cannot overflow: both are at most the size of the file
    end
    if not (start and stop) or start < 0 or stop < start or base + stop > #bytes then
        return nil, "its bytes lie outside the file; was it cut off?"
    end
    if stop - start ~= count * BYTES[entry.dtype] then return nil, "its shape and its bytes do not agree" end
    return core.from_string(bytes:sub(base + start + 1, base + stop), sizes, dtype)
end

local function read_file(path)
    local file, problem = io.open(path, "rb")
    if not file then return nil, "cannot read " .. problem, "io" end
    local bytes, why = file:read("a")
    file:close()
    if not bytes then return nil, ("cannot read %s: %s"):format(path, why), "io" end
    return bytes
end

--- Reads what `save` wrote (or another program, in this format).
---@param path string
---@return table<string, Tensor>? tensors nil if the file cannot be used
---@return table<string, any>|string metadata or the message
---@return string? code
function checkpoint.load(path)
    local bytes, message, code = read_file(path)
    if not bytes then return nil, message, code end
    local header, length, kind = read_header(path, bytes)
    if not header then return nil, length, kind end
    local tensors, metadata = {}, {}
    for name, entry in pairs(header) do
        if name == "__metadata__" then
            for key, value in pairs(type(entry) == "table" and entry or {}) do
                -- other programs store plain text
                local decoded, problem = json.decode(value)
                metadata[key] = problem and value or decoded
            end
        else
            local tensor, problem = read_tensor(bytes, 8 + length, entry)
            if not tensor then return damaged(path, ("tensor '%s': %s"):format(name, problem)) end
            tensors[name] = tensor
        end
    end
    return tensors, metadata
end

return checkpoint
