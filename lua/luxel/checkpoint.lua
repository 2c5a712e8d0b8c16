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
    header = header .. (" "):rep(-(#header + 8) % 64) -- so that the first tensor is aligned
    chunks[1] = ("<I8"):pack(#header) .. header
    return core.write_file(path, chunks)
end

local function damaged(path, what)
    return nil, ("%s is not a usable safetensors file: %s"):format(path, what), "format"
end

-- The header, checked: name -> {dtype, shape, start, stop}, and its length.
local function read_header(path, file, size)
    if size < 8 then return damaged(path, "it is too short") end
    local length = ("<I8"):unpack(core.file_text(file, 0, 8))
    if length < 2 or length > HEADER_LIMIT or length > size - 8 then
        return damaged(path, "the length of its header is wrong; was it cut off?")
    end
    local text = core.file_text(file, 8, length)
    local header, problem = json.decode(text)
    if type(header) ~= "table" or text:sub(1, 1) ~= "{" then
        return damaged(path, "its header is no JSON object: " .. tostring(problem))
    end
    return header, length
end

-- A tensor of the file, or nil and what is wrong with its entry.
local function read_tensor(file, size, base, entry)
    local offsets, shape = type(entry) == "table" and entry.data_offsets, type(entry) == "table" and entry.shape
    local dtype = type(entry) == "table" and FROM_NAME[entry.dtype]
    if not dtype then return nil, ("dtype %s is not supported"):format(type(entry) == "table" and entry.dtype) end
    if type(offsets) ~= "table" or type(shape) ~= "table" then return nil, "it has no shape or no offsets" end
    local start, stop = math.tointeger(offsets[1]), math.tointeger(offsets[2])
    local count, sizes = 1, {}
    for i, length in ipairs(shape) do
        sizes[i] = math.tointeger(length)
        if not sizes[i] or sizes[i] < 0 or sizes[i] > size or count > size or #shape > 8 then
            return nil, "its shape is not valid"
        end
        count = count * sizes[i] -- cannot overflow: both are at most the size of the file
    end
    if not (start and stop) or start < 0 or stop < start or base + stop > size then
        return nil, "its bytes lie outside the file; was it cut off?"
    end
    if stop - start ~= count * BYTES[entry.dtype] then return nil, "its shape and its bytes do not agree" end
    return core.file_tensor(file, base + start, sizes, dtype)
end

--- Reads what `save` wrote (or another program, in this format). The tensors are on the cpu and are the file's own
--- bytes, which are read when they are first used: changing a tensor does not change the file, and `save` may replace
--- the file meanwhile, but nobody should write into it or cut it short while they are in use. `:clone()` makes them
--- independent, and `load_state_dict` copies.
---@param path string
---@return table<string, Tensor>? tensors nil if the file cannot be used
---@return table<string, any>|string metadata or the message
---@return string? code
function checkpoint.load(path)
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local header, length, kind = read_header(path, file, size)
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
            local tensor, problem = read_tensor(file, size, 8 + length, entry)
            if not tensor then return damaged(path, ("tensor '%s': %s"):format(name, problem)) end
            tensors[name] = tensor
        end
    end
    return tensors, metadata
end

return checkpoint
