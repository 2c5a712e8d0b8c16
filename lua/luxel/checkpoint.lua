--- Tensors and what belongs to them in one file: safetensors, which PyTorch and others read too.
--
-- Metadata of that format may only be text. Luxel stores every value as JSON text, and adds "luxel.format", the version
-- of this convention, and "luxel.checksum", over the names, types, shapes and bytes of all tensors and over all
-- metadata: the places in the file do not matter, so other programs may write the same contents in another order.
-- Files of other programs have neither; their metadata stay text.

local args = require "luxel.args"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
require "luxel.types"
local json = require "luxel.json"
local parts_of = require "luxel.train.parts"
local safetensors = require "luxel.io.safetensors"
local schema = require "luxel.schema"

local checkpoint = {}

local FORMAT <const> = "1"
local RESERVED <const> = "^luxel%."

-- The checksum of tensors and metadata. `entries` have name, dtype, shape and the `sum` of their bytes.
local function checksum_of(entries, metadata)
    local parts, names = {}, {}
    table.sort(entries, function(a, b) return a.name < b.name end)
    for i, entry in ipairs(entries) do
        parts[i] = ("<s4s4s4i8"):pack(entry.name, entry.dtype, table.concat(entry.shape, ","), entry.sum)
    end
    for name in pairs(metadata) do
        if name ~= "luxel.checksum" then names[#names + 1] = name end
    end
    table.sort(names)
    parts[#parts + 1] = ("<I8I8"):pack(#entries, #names)
    for _, name in ipairs(names) do parts[#parts + 1] = ("<s4s4"):pack(name, metadata[name]) end
    return ("xxh64:%016x"):format(core.checksum(table.concat(parts)))
end

-- ---- writing --------------------------------------------------------------------------------------------------

local function check_tensors(tensors)
    if rawget(tensors, "_modules") then
        args.fail("save: tensors: expected tensors by name, got %s; those of a network are net:state_dict()",
            args.describe(tensors))
    end
    for name, tensor in pairs(tensors) do
        if type(name) ~= "string" or not utf8.len(name) or name == "__metadata__" then
            args.fail("save: tensors: %s is no name for a tensor in a file, which is UTF-8 text", args.describe(name))
        elseif not core.is_tensor(tensor) then
            args.fail("save: tensors: '%s' should be a tensor, got %s", name, args.describe(tensor))
        end
    end
end

-- Metadata as text by name.
local function texts_of(metadata)
    local texts = {["luxel.format"] = FORMAT}
    for name, value in pairs(metadata) do
        if type(name) ~= "string" or not utf8.len(name) then
            args.fail("save: metadata: %s is no name, which is UTF-8 text", args.describe(name))
        elseif name:find(RESERVED) then
            args.fail("save: metadata: names that begin with 'luxel.' are Luxel's own, got '%s'", name)
        end
        local text, message = json.encode(value, name)
        if not text then args.fail("save: metadata cannot be stored: %s", message) end
        texts[name] = text
    end
    return texts
end

local MOST_HALF <const> = 65504

-- Finite weights that half precision would make infinite.
local function check_range(tensors)
    for name, tensor in pairs(tensors) do
        if tensor.dtype == "float32" and tensor.ndim >= 2 and tensor:numel() > 0 then
            local size = tensor:detach():abs()
            local beyond = core.where(core.binary("lt", size, math.huge), size, 0):max():item()
            if beyond > MOST_HALF then
                args.fail("save: tensors: '%s' has %g, and half precision ends at %d", name, beyond, MOST_HALF)
            end
        end
    end
end

--- Writes tensors and metadata. The old file stays until the new one is complete and on disk. The same tensors and
--- metadata give the same file, byte for byte.
---@param path string
---@param tensors table<string, Tensor>
---@param metadata table<string, any>? finite numbers, text (UTF-8), booleans and tables of them; raises at others
---@param options? {half: boolean?} half: weights in half precision (those of two dimensions and more), about half the
---  bytes; they are rounded to 11 bits, and one beyond 65504 is refused
---@return boolean? ok, string? message, string? code
function checkpoint.save(path, tensors, metadata, options)
    local half = options and options.half
    check_tensors(tensors)
    if half then check_range(tensors) end
    local texts, entries = texts_of(metadata or {}), safetensors.entries_of(tensors, half)
    for _, entry in ipairs(entries) do entry.sum = core.checksum(entry.bytes) end
    texts["luxel.checksum"] = checksum_of(table.move(entries, 1, #entries, 1, {}), texts)
    return safetensors.write(path, entries, texts)
end

-- ---- reading --------------------------------------------------------------------------------------------------

-- Whether Luxel wrote it: any name of ours, so that damage to one of them does not make a foreign file of it.
local function is_own(metadata)
    for name in pairs(metadata) do
        if name:find(RESERVED) then return true end
    end
    return false
end

-- The mistake in a file of Luxel's, in words; nil if there is none.
local function mistake_in(file)
    local format, stored = file.metadata["luxel.format"], file.metadata["luxel.checksum"]
    if not format or not stored then return "it was damaged: a part of Luxel's own metadata is missing" end
    if format ~= FORMAT then
        return ("it has format %q of Luxel's, and this Luxel reads format %s: was it written by a later one?"):format(
            format, FORMAT)
    end
    local entries = {}
    for i, entry in ipairs(file.entries) do
        entries[i] = {name = entry.name, dtype = entry.dtype, shape = entry.shape, sum = file:checksum(entry)}
    end
    if checksum_of(entries, file.metadata) ~= stored then
        return "its checksum does not fit: it was damaged, or changed by another program, after it was written"
    end
end

-- Metadata of Luxel's as values, or nil and what is wrong with them.
local function values_of(texts)
    local values = {}
    for name, text in pairs(texts) do
        if not name:find(RESERVED) then
            local value, message = json.decode(text)
            if value == nil then return nil, ("metadata '%s': %s"):format(name, message) end
            values[name] = value
        end
    end
    if values.schema == nil then return values end
    local ok, mistake = schema.check(values)
    if not ok then return nil, "metadata " .. mistake end
    return values
end

-- The metadata of an open file: values of Luxel's, after all checks, or another program's text.
local function read_metadata(file)
    if not is_own(file.metadata) then return file.metadata end
    local values, mistake = nil, mistake_in(file)
    if not mistake then values, mistake = values_of(file.metadata) end
    if values then return values end
    return nil, ("%s cannot be used: %s"):format(file.path, mistake), "format"
end

--- Reads what `save` wrote, or another program in this format. A file of `save`'s is compared with its checksum, and
--- what describes a model in it with what such fields have to be; metadata of other programs are text, byte for byte.
---
--- Integers become int32, truth values uint8 and floats float32; numbers out of range and other types are refused.
---
--- The tensors are on the cpu. Those of type float32, int32 and uint8 are the file's own bytes: changing a tensor does
--- not change the file, and `save` may replace the file meanwhile, but nobody should write into it or cut it short
--- while they are in use. `:clone()` makes them independent, and `load_state_dict` copies.
---@param path string
---@return table<string, Tensor>? tensors nil if the file cannot be used
---@return table<string, any>|string metadata or the message
---@return string? code "io", or "format" for a file that is damaged or not in this format
function checkpoint.load(path)
    local file <close>, message, code = safetensors.open(path)
    if not file then return nil, message, code end
    local metadata
    metadata, message, code = read_metadata(file)
    if not metadata then return nil, message, code end
    local tensors = {}
    for _, entry in ipairs(file.entries) do
        tensors[entry.name], message, code = file:tensor(entry)
        if not tensors[entry.name] then return nil, message, code end
    end
    return tensors, metadata
end

-- ---- trainings ------------------------------------------------------------------------------------------------

local TRAINING <const> = "{kind: text, steps: integer(0..)[], groups: table[], scheduler: table?, "
    .. "random: {seed: integer, stream: integer(0..)}, state: table?}"

--- Writes all that a training loop of one's own needs to go on exactly: the network, the optimiser, the schedule, where
--- the random numbers are, and its own numbers.
---@param path string
---@param parts {net: Module, optimizer: Optimizer, scheduler: Scheduler?, state: table?} state: finite numbers, text,
---  booleans and tables of them, such as {epoch = 3, best = 0.9}
---@return boolean? ok, string? message, string? code
function checkpoint.save_training(path, parts)
    local tensors, training = parts_of.pack(parts)
    training.state = parts.state
    return checkpoint.save(path, tensors, {training = training})
end

--- Reads what `save_training` wrote into a network, an optimiser and a schedule that were made in the same way.
--- The options of the optimiser, its learning rates among them, are those of the file afterwards.
---@param path string
---@param parts {net: Module, optimizer: Optimizer, scheduler: Scheduler?}
---@return table? state what was given to `save_training`, or an empty table; nil where the file cannot be used: then
---  nothing has changed
---@return string? message, string? code "io" or "format"; what is not of this network or optimiser is "format" too
function checkpoint.load_training(path, parts)
    local tensors, metadata, code = checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local training = metadata.training
    local mistake = training == nil and "it holds no training" or args.mistake_in("training", TRAINING, training)
    if not mistake and (training.scheduler ~= nil) ~= (parts.scheduler ~= nil) then
        mistake = training.scheduler and "it was trained with a schedule" or "it was trained without a schedule"
    end
    if mistake then return nil, ("%s cannot be gone on with: %s"):format(path, mistake), "format" end
    local ok, failure = pcall(parts_of.unpack_into, parts, tensors, training)
    if ok then return training.state or {} end
    code, mistake = core.error_code(tostring(failure))
    if code and code ~= "argument" then error(failure, 0) end -- the device or its memory, not the file
    mistake = (mistake or tostring(failure)):gsub("^[^\n]-:%d+: ", ""):gsub("^load_training: ", "")
    return nil, ("%s cannot be gone on with: %s"):format(path, mistake), "format"
end

local PARTS <const> = "net: module, optimizer: trained_by, scheduler: trained_by?"

args.type("trained_by", "an optimizer or a scheduler, with a state_dict", "table", function(value)
    local ok, method = pcall(function() return value.state_dict end)
    return ok and type(method) == "function"
end)

return namespace("lx.checkpoint", args.publish("", checkpoint, {
    save = "path: path, tensors: table, metadata: table?, options: {half: boolean?}?", load = "path: path",
    save_training = "path: path, parts: {" .. PARTS .. ", state: table?}",
    load_training = "path: path, parts: {" .. PARTS .. "}",
}))
