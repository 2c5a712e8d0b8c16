--- Weights that PyTorch saved (`torch.save`), read without Python and without running anything: state dicts and whole
--- modules, in the format of before version 1.6 (several pickles, then the storages) and in the one since (a zip
--- archive with one pickle, and a member for each storage).
---
--- A pickle may name any function of Python and call it. Here names mean what the tables below say: tensors, storages,
--- parameters, plain containers, and the classes of modules of torch.nn, torchvision and torchxrayvision, which become
--- records of their fields. Everything else is refused, with its name and place.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local pickle = require "luxel.io.pickle"
local json = require "luxel.json"
local zip = require "luxel.io.zip"

local torch = {}

local MOST_DIMS <const> = 8
local DEEPEST <const> = 256 -- of containers and modules in each other

-- What may be reserved beside the file's own bytes: so many times its size, and a little more. What is stored shorter
-- than float32 takes at most four times its bytes; nothing that was trained is deflated to a thirtieth.
local MOST_TIMES <const>, MOST_MORE <const> = 32, 1 << 20

-- Numbers as luxel.core names their formats, by the names of dtypes. Complex numbers are pairs.
local FORMATS <const> = {
    float64 = "F64", float32 = "F32", float16 = "F16", bfloat16 = "BF16", int64 = "I64", int32 = "I32", int16 = "I16",
    int8 = "I8", uint8 = "U8", bool = "BOOL", uint16 = "U16", uint32 = "U32", uint64 = "U64",
    float8_e4m3fn = "F8_E4M3", float8_e5m2 = "F8_E5M2", float8_e4m3fnuz = "F8_E4M3FNUZ",
    float8_e5m2fnuz = "F8_E5M2FNUZ", float8_e8m0fnu = "F8_E8M0", qint8 = "I8", quint8 = "U8", qint32 = "I32",
    complex64 = "F32", complex128 = "F64",
}
local PAIRS <const> = {complex64 = true, complex128 = true}
local STORAGES <const> = {
    Double = "float64", Float = "float32", Half = "float16", BFloat16 = "bfloat16", Long = "int64", Int = "int32",
    Short = "int16", Char = "int8", Byte = "uint8", Bool = "bool", QInt8 = "qint8", QUInt8 = "quint8",
    QInt32 = "qint32", ComplexFloat = "complex64", ComplexDouble = "complex128",
}

-- Bytes of a number of a dtype.
local function width_of(dtype) return core.number_format(FORMATS[dtype]) * (PAIRS[dtype] and 2 or 1) end

-- ---- what names mean ------------------------------------------------------------------------------------------

local function is_size(value) return math.type(value) == "integer" and value >= 0 end

local function is_kind(value, kind) return type(value) == "table" and value.kind == kind end

local function is_tuple(value) return is_kind(value, "tuple") or is_kind(value, "list") end

-- Sizes or strides as a list of integers, or nil.
local function sizes_of(value)
    if not is_tuple(value) then return nil end
    local sizes = {}
    for i, size in ipairs(value) do
        if not is_size(size) then return nil end
        sizes[i] = size
    end
    return sizes
end

-- The last element of a storage that a tensor reaches and how many it has, or nil where numbers overflow.
local function extent_of(shape, stride, offset)
    local last, count, bytes = offset, 1, 8
    for i, size in ipairs(shape) do
        if stride[i] > 0 and size > 1 then
            if size - 1 > (math.maxinteger - last) // stride[i] then return nil end
            last = last + (size - 1) * stride[i]
        end
        if size > 0 then
            if bytes > math.maxinteger // size then return nil end
            bytes = bytes * size
        end
        count = count * size
    end
    return last, count
end

-- A tensor that is a part of a storage; its numbers are read later. `dtype`: of a storage that is only bytes.
local function new_tensor(storage, offset, size, stride, dtype)
    if not is_kind(storage, "storage") then return nil, "its first argument is no storage" end
    local shape, steps = sizes_of(size), sizes_of(stride)
    if not shape or not steps or #shape ~= #steps or not is_size(offset) then
        return nil, "its sizes, strides or offset are not valid"
    end
    if #shape > MOST_DIMS then return nil, ("it has %d dimensions, Luxel has %d at most"):format(#shape, MOST_DIMS) end
    dtype = storage.dtype or dtype
    if not dtype then return nil, "nothing says what its numbers are" end
    local last, count = extent_of(shape, steps, offset)
    local elements = storage.bytes // width_of(dtype)
    if not last or count > 0 and last >= elements or count == 0 and offset > elements then
        return nil, ("sizes [%s], strides [%s] and offset %d do not lie in its storage of %d numbers"):format(
            table.concat(shape, ","), table.concat(steps, ","), offset, elements)
    end
    if count > math.max(elements, storage.file_size) then
        return nil, ("it shows the same numbers %d times, which is more than the file has bytes"):format(count)
    end
    return {
        kind = "tensor", storage = storage, offset = offset, shape = shape, stride = steps, dtype = dtype,
        count = count,
    }
end

-- Negated and conjugated tensors are marked so, in a dict behind the other arguments.
local function mark_math(tensor, metadata, problem)
    if not tensor then return nil, problem end
    if metadata == nil or metadata == pickle.NONE then return tensor end
    if not is_kind(metadata, "dict") then return nil, "what it says of conjugation is no dict" end
    for _, name in ipairs(metadata) do
        local value = metadata.values[name]
        if name ~= "conj" and name ~= "neg" or type(value) ~= "boolean" then
            return nil, ("it says '%s', which is not read"):format(tostring(name))
        end
        tensor[name] = value
    end
    return tensor
end

local function rebuild_v2(_, given)
    local tensor, problem = new_tensor(given[1], given[2], given[3], given[4])
    return mark_math(tensor, given[7], problem)
end

local function rebuild_v3(_, given)
    local dtype = given[7]
    if not is_kind(dtype, "class") or not dtype.known.dtype then return nil, "its seventh argument is no dtype" end
    local tensor, problem = new_tensor(given[1], given[2], given[3], given[4], dtype.known.dtype)
    return mark_math(tensor, given[8], problem)
end

-- The float32 that quantised numbers stand for: (q - zero point) * scale, for the whole tensor or along an axis.
local function rebuild_quantised(_, given)
    local tensor, problem = new_tensor(given[1], given[2], given[3], given[4])
    local how = given[5]
    if not tensor then return nil, problem end
    if not is_tuple(how) or not is_kind(how[1], "class") then return nil, "its scale is not valid" end
    local scheme = how[1].name
    if scheme == "torch.per_tensor_affine" and type(how[2]) == "number" and math.type(how[3]) == "integer" then
        tensor.scale, tensor.zero = how[2], how[3]
    elseif scheme == "torch.per_channel_affine" and is_kind(how[2], "tensor") and is_kind(how[3], "tensor") and
        is_size(how[4]) and how[4] < #tensor.shape then
        tensor.scale, tensor.zero, tensor.axis = how[2], how[3], how[4] + 1
        for _, values in ipairs {how[2], how[3]} do
            if #values.shape ~= 1 or values.shape[1] ~= tensor.shape[tensor.axis] then
                return nil, "it has not one scale for each channel"
            end
        end
    else
        return nil, ("a scale of the scheme %s is not read"):format(scheme)
    end
    return tensor
end

local function first_is_tensor(_, given)
    if not is_kind(given[1], "tensor") then return nil, "its first argument is no tensor" end
    return given[1]
end

-- (function, type, arguments, state): tensors with attributes of their own, which are left out.
local function rebuild_from_type(_, given)
    local inner = given[1]
    if not is_kind(inner, "class") or not inner.known.rebuilds then
        return nil, "its first argument rebuilds no tensor"
    end
    if not is_kind(given[3], "tuple") then return nil, "its arguments are no tuple" end
    return inner.known.call(inner, given[3])
end

local function ordered_dict(_, given)
    local dict = pickle.dict()
    for _, pair in ipairs(given[1] == nil and {} or is_tuple(given[1]) and given[1] or {false}) do
        if not is_tuple(pair) or #pair ~= 2 or type(pair[1]) ~= "string" and type(pair[1]) ~= "number" then
            return nil, "its arguments are no list of pairs"
        end
        pickle.set(dict, pair[1], pair[2])
    end
    return dict
end

local function as_kind(kind)
    return function(_, given)
        if given[1] == nil then return {kind = kind} end
        if not is_tuple(given[1]) then return nil, "its argument is no list" end
        return table.move(given[1], 1, #given[1], 1, {kind = kind})
    end
end

-- Names and what they are read as. `rebuilds`: gives a tensor.
local KNOWN <const> = {
    ["torch._utils._rebuild_tensor"] = {call = rebuild_v2, rebuilds = true},
    ["torch._utils._rebuild_tensor_v2"] = {call = rebuild_v2, rebuilds = true},
    ["torch._utils._rebuild_tensor_v3"] = {call = rebuild_v3, rebuilds = true},
    ["torch._utils._rebuild_qtensor"] = {call = rebuild_quantised, rebuilds = true},
    ["torch._utils._rebuild_parameter"] = {call = first_is_tensor},
    ["torch._utils._rebuild_parameter_with_state"] = {call = first_is_tensor},
    ["torch._tensor._rebuild_from_type"] = {call = rebuild_from_type},
    ["torch._tensor._rebuild_from_type_v2"] = {call = rebuild_from_type},
    ["torch.Tensor"] = {}, ["torch._tensor.Tensor"] = {}, ["torch.nn.parameter.Parameter"] = {},
    ["torch.per_tensor_affine"] = {}, ["torch.per_channel_affine"] = {},
    ["torch.storage.UntypedStorage"] = {storage = true}, ["torch.UntypedStorage"] = {storage = true},
    ["torch.Size"] = {call = as_kind "tuple"},
    ["torch.device"] = {call = function(_, given)
        return type(given[1]) == "string" and given[1] or nil, "its argument is no text"
    end},
    ["collections.OrderedDict"] = {call = ordered_dict, new = ordered_dict},
    ["builtins.set"] = {call = as_kind "set"}, ["__builtin__.set"] = {call = as_kind "set"},
    ["builtins.list"] = {call = as_kind "list"}, ["__builtin__.list"] = {call = as_kind "list"},
}
for dtype in pairs(FORMATS) do KNOWN["torch." .. dtype] = {dtype = dtype} end
for name, dtype in pairs(STORAGES) do
    KNOWN["torch." .. name .. "Storage"] = {storage = true, dtype = dtype}
    KNOWN["torch.storage." .. name .. "Storage"] = {storage = true, dtype = dtype}
end

-- Classes of modules: any of these packages, since of an object only its fields are kept.
local MODULE_CLASSES <const> = {
    "^torch%.nn%.modules%.[%w_]+%._?%u[%w_]*$", "^torchvision%.[%w_.]+%._?%u[%w_]*$",
    "^torchxrayvision%.[%w_.]+%._?%u[%w_]*$",
}

local MODULE <const> = {new = function(class, given)
    if #given > 0 then return nil, "a module is made with arguments" end
    return {kind = "module", class = class.name}
end}

local function known(name)
    if KNOWN[name] then return KNOWN[name] end
    for _, pattern in ipairs(MODULE_CLASSES) do
        if name:find(pattern) then return MODULE end
    end
end

-- The state of an object: fields of a module. Attributes of a dict (`_metadata`) and of a tensor are no weights.
local function build(value, state)
    if is_kind(state, "tuple") and #state == 2 and state[2] == pickle.NONE then state = state[1] end
    if not is_kind(state, "dict") then return "the state of an object is no dict" end
    if is_kind(value, "module") then
        value.fields = state
    elseif not is_kind(value, "dict") and not is_kind(value, "tensor") then
        return ("a %s is given a state"):format(type(value) == "table" and value.kind or type(value))
    end
end

-- ---- the file -------------------------------------------------------------------------------------------------

-- What is being read: the file, its storages by key, and how much memory was taken for it.
---@class luxel.TorchFile
---@field path string
---@field file userdata
---@field size integer
---@field storages table<string, table>
---@field options {complex: string?}
local Reader = {}
Reader.__index = Reader

local function refuse(form, ...) error({torch = form:format(...), code = "format"}, 0) end

-- The same for what a function returned that may have had no memory.
local function must(value, problem, code, prefix)
    if value then return value, problem end
    error({torch = (prefix or "") .. problem, code = code}, 0)
end

function Reader:reserve(bytes)
    self.reserved = self.reserved + bytes
    if bytes < 0 or self.reserved > self.size * MOST_TIMES + MOST_MORE then
        refuse("it would take more than %d times its size in memory", MOST_TIMES)
    end
end

-- A part of an older file's storage: (key, offset, size).
local function view_of(storage, view)
    if view == nil or view == pickle.NONE then return storage end
    local offset, count = is_tuple(view) and view[2], is_tuple(view) and view[3]
    local width = storage.dtype and width_of(storage.dtype) or 1
    if not is_size(offset) or not is_size(count) or offset > storage.bytes // width or
        count > storage.bytes // width - offset then
        return nil, "a part of a storage lies outside of it"
    end
    return {
        kind = "storage", whole = storage, shift = offset, dtype = storage.dtype, bytes = count * width,
        file_size = storage.file_size,
    }
end

-- What the pickle refers to by ("storage", class, key, place, count, part) or ("module", class).
function Reader:persistent(id)
    if not is_kind(id, "tuple") then return nil, "what it refers to is no tuple" end
    if id[1] == "module" and is_kind(id[2], "class") then return id[2] end
    local class, key, count = id[2], id[3], id[5]
    if id[1] ~= "storage" or not is_kind(class, "class") or not class.known.storage or type(key) ~= "string" or
        not is_size(count) then
        return nil, "what it refers to is no storage"
    end
    local dtype = class.known.dtype
    local width = dtype and width_of(dtype) or 1
    if count > (self.size * MOST_TIMES + MOST_MORE) // width then
        return nil, ("storage '%s' has %d numbers, more than the file"):format(key:sub(1, 40), count)
    end
    local storage = self.storages[key]
    if not storage then
        storage = {kind = "storage", key = key, dtype = dtype, bytes = count * width, file_size = self.size}
        self.storages[key] = storage
    elseif storage.dtype ~= dtype or storage.bytes ~= count * width then
        return nil, ("storage '%s' comes with two types or sizes"):format(key:sub(1, 40))
    end
    return view_of(storage, id[6])
end

-- Reads a pickle; `where` says for messages what its bytes are counted in.
function Reader:unpickle(file, start, stop, where)
    local value, after, place = pickle.read(file, start, stop, {
        known = known, build = build, persistent = function(id) return self:persistent(id) end,
    })
    if value == nil then refuse("byte %d of %s: %s", place, where, after) end
    return value, after
end

local MAGIC <const> = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
local PROTOCOL <const> = 1001

-- The format of before torch 1.6. Returns the root.
function Reader:legacy()
    local at = 0
    local function next_pickle(what)
        local where = at == 0 and "the file" or ("its pickle of %s, which begins at byte %d"):format(what, at)
        local value
        value, at = self:unpickle(self.file, at, self.size, where)
        return value
    end
    local magic = next_pickle "the format"
    if not is_kind(magic, "long") or magic.bytes ~= MAGIC then
        refuse("it is a pickle, but not one of torch.save; save the tensors with torch.save or safetensors")
    end
    local protocol, system = next_pickle "the version", next_pickle "the system"
    if protocol ~= PROTOCOL then refuse("its version is %s, expected %d", tostring(protocol), PROTOCOL) end
    if not is_kind(system, "dict") or system.values.little_endian ~= true then
        refuse("it was written on a machine of the other byte order; save it again without "
            .. "_use_new_zipfile_serialization=False")
    end
    local root, keys = next_pickle "the contents", next_pickle "the storages"
    if not is_kind(keys, "list") then refuse("its list of storages is missing") end
    self:place_legacy(keys, at)
    return root
end

-- Where the storages are, which follow each other: their count, and their numbers.
function Reader:place_legacy(keys, at)
    for _, key in ipairs(keys) do
        local storage = type(key) == "string" and self.storages[key]
        if not storage or storage.start then refuse("its list of storages does not fit its tensors") end
        local width = storage.dtype and width_of(storage.dtype) or 1
        if at > self.size - 8 or storage.bytes > self.size - at - 8 then
            refuse("storage '%s' lies outside of it; was it cut off?", key)
        end
        local count = ("<i8"):unpack(core.file_text(self.file, at, 8))
        if count ~= storage.bytes // width then
            refuse("storage '%s' has %d numbers, its tensors expect %d", key, count, storage.bytes // width)
        end
        storage.file, storage.start = self.file, at + 8
        at = at + 8 + storage.bytes
    end
    for key, storage in pairs(self.storages) do
        if not storage.start then refuse("storage '%s' is missing", key) end
    end
    if at ~= self.size then refuse("%d bytes follow its last storage", self.size - at) end
end

-- The folder in the archive in which everything is: that of the pickle.
local function folder_of(archive)
    local folder
    for _, member in ipairs(archive.members) do
        local before = member.name:match("^([^/]+/)data%.pkl$")
        if before and folder then refuse("it has two pickles") end
        folder = before or folder
    end
    if not folder then refuse("it is a zip archive without data.pkl, and not one of torch.save") end
    for _, member in ipairs(archive.members) do
        if member.name:sub(1, #folder + 5) == folder .. "code/" or member.name == folder .. "constants.pkl" then
            refuse("it is TorchScript, a program; save the state_dict() of the module with torch.save")
        end
    end
    return folder
end

function Reader:member_bytes(archive, member)
    return must(archive:bytes(member, function(bytes) self:reserve(bytes) end))
end

function Reader:member_text(archive, name)
    local member = archive:find(name)
    if not member then return nil end
    if member.size > 64 then refuse("'%s' is too long", name) end
    local file, start = self:member_bytes(archive, member)
    return core.file_text(file, start, member.size)
end

-- The format since torch 1.6. Returns the root.
function Reader:zipped()
    local archive, problem = zip.open(self.file, self.size)
    if not archive then refuse("%s", problem) end
    local folder = folder_of(archive)
    local version = self:member_text(archive, folder .. "version")
    if version and not version:find("^%d%d?%s*$") then refuse("its version '%s' is not read", version) end
    local order = self:member_text(archive, folder .. "byteorder") or "little"
    if order ~= "little" and order ~= "big" then refuse("its byte order is '%s'", order) end
    local member = archive:find(folder .. "data.pkl")
    local file, start = self:member_bytes(archive, member)
    local root, after = self:unpickle(file, start, start + member.size, "data.pkl")
    if after ~= start + member.size then refuse("bytes follow its pickle") end
    for key, storage in pairs(self.storages) do
        member = archive:find(folder .. "data/" .. key)
        if not member then refuse("storage '%s' is missing", key) end
        if member.size ~= storage.bytes then
            refuse("storage '%s' has %d bytes, its tensors expect %d", key, member.size, storage.bytes)
        end
        storage.archive, storage.member, storage.swapped = archive, member, order == "big"
    end
    return root
end

-- ---- tensors --------------------------------------------------------------------------------------------------

-- Where the bytes of a storage are, unpacked and in this machine's order for numbers of `width` bytes.
function Reader:storage_bytes(storage, width)
    if storage.archive and not storage.file then
        storage.file, storage.start = self:member_bytes(storage.archive, storage.member)
    end
    if not storage.swapped or width == 1 then return storage.file, storage.start end
    self:reserve(storage.bytes)
    return must(core.swap_bytes(storage.file, storage.start, storage.bytes // width * width, width)), 0
end

-- All numbers of a storage as a tensor of one dimension; tensors are views of it, so that those that share it still do.
function Reader:numbers(storage, dtype)
    local format = FORMATS[dtype]
    storage.numbers = storage.numbers or {}
    if storage.numbers[format] then return storage.numbers[format] end
    local width = core.number_format(format)
    local file, start = self:storage_bytes(storage, width)
    local count = storage.bytes // width
    self:reserve(count * 4)
    local tensor, problem = core.file_tensor(file, start, {count}, format)
    if not tensor then refuse("its %s numbers: %s", dtype, problem) end
    storage.numbers[format] = tensor
    return tensor
end

local function names_of_shape(shape) return "[" .. table.concat(shape, ",") .. "]" end

-- The tensor as it is stored: a view.
function Reader:stored(record)
    local storage, offset = record.storage, record.offset
    while storage.whole do storage, offset = storage.whole, offset + storage.shift end
    local shape, stride = table.move(record.shape, 1, #record.shape, 1, {}), record.stride
    if PAIRS[record.dtype] then
        if self.options.complex ~= "pairs" then
            refuse("a tensor %s of %s: Luxel has no complex numbers; {complex = \"pairs\"} gives them a last dimension "
                .. "of two", names_of_shape(shape), record.dtype)
        elseif #shape == MOST_DIMS then
            refuse("a tensor %s of %s has too many dimensions for pairs", names_of_shape(shape), record.dtype)
        end
        stride, offset = {}, 2 * offset
        for i, step in ipairs(record.stride) do stride[i] = 2 * step end
        shape[#shape + 1], stride[#stride + 1] = 2, 1
    end
    return core.as_strided(self:numbers(storage, record.dtype), shape, stride, offset)
end

-- (q - zero) * scale in float32.
function Reader:dequantised(record, stored)
    self:reserve(record.count * 16)
    local scale, zero = record.scale, record.zero
    if record.axis then
        local shape = {}
        for i = 1, #record.shape do shape[i] = 1 end
        shape[record.axis] = record.shape[record.axis]
        scale, zero = self:tensor(scale):reshape(shape), self:tensor(zero):to("float32"):reshape(shape)
    end
    return (stored:to("float32") - zero) * scale
end

-- The tensor of a record; the same one each time.
function Reader:tensor(record)
    if record.result then return record.result end
    local tensor = self:stored(record)
    if record.scale then tensor = self:dequantised(record, tensor) end
    if record.neg or record.conj and PAIRS[record.dtype] then
        if tensor.dtype ~= "float32" then refuse("a tensor of %s is marked as negated", record.dtype) end
        self:reserve(record.count * 16)
        if record.neg then tensor = -tensor end
        if record.conj and PAIRS[record.dtype] then tensor = tensor * lx.tensor {1, -1} end
    end
    record.result = tensor
    return tensor
end

-- ---- contents -------------------------------------------------------------------------------------------------

-- What a pickle's value is in Lua. Shared values stay shared.
function Reader:plain(value, depth)
    if type(value) ~= "table" then return value end
    if value == pickle.NONE then return json.null end
    if value.plain ~= nil then return value.plain end
    if depth > DEEPEST then refuse("its contents are nested more than %d deep", DEEPEST) end
    local kind, out = value.kind, {}
    if kind == "tensor" then return self:tensor(value) end
    if kind == "class" then return value.name end
    if kind == "long" then return (("0x%s"):format(value.bytes:reverse():gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))) end
    if kind == "storage" then refuse("a storage stands where a tensor is expected") end
    value.plain = out
    if kind == "module" then
        out.class, out.fields = value.class, self:plain(value.fields or pickle.dict(), depth + 1)
    elseif kind == "dict" then
        for _, key in ipairs(value) do
            out[key == pickle.NONE and json.null or key] = self:plain(value.values[key], depth + 1)
        end
    else
        for i, element in ipairs(value) do out[i] = self:plain(element, depth + 1) end
    end
    return out
end

local State = {}
State.__index = State

-- Adds a tensor under a name. Modules that are shared many times over could make names without end.
function State:add(name, record)
    self.reader:reserve(#name + 64)
    if self.records[name] then refuse("two tensors have the name '%s'", name) end
    self.names[#self.names + 1], self.records[name] = name, record
end

function State:leave_out(name)
    self.reader:reserve(#name + 64)
    self.left_out[#self.left_out + 1] = name
end

local function dict_field(fields, name)
    local value = fields.values[name]
    if value == nil or value == pickle.NONE then return pickle.dict() end
    if not is_kind(value, "dict") then refuse("the field %s of a module is no dict", name) end
    return value
end

-- Parameters, buffers and modules inside, in the order of PyTorch's state_dict.
function State:add_module(module, prefix, depth)
    if depth > DEEPEST then refuse("its modules are nested more than %d deep", DEEPEST) end
    self.reader:reserve(64)
    local fields, hidden = module.fields or pickle.dict(), {}
    local set = fields.values._non_persistent_buffers_set
    for _, name in ipairs(is_kind(set, "set") and set or {}) do hidden[name] = true end
    for _, part in ipairs {"_parameters", "_buffers"} do
        local dict = dict_field(fields, part)
        for _, name in ipairs(dict) do
            local value = dict.values[name]
            if value ~= pickle.NONE and not is_kind(value, "tensor") then
                refuse("%s%s is no tensor", prefix, tostring(name))
            elseif part == "_buffers" and hidden[name] then
                self:leave_out(prefix .. tostring(name))
            elseif value ~= pickle.NONE then
                self:add(prefix .. tostring(name), value)
            end
        end
    end
    local modules = dict_field(fields, "_modules")
    for _, name in ipairs(modules) do
        local value = modules.values[name]
        if is_kind(value, "module") then
            self:add_module(value, prefix .. tostring(name) .. ".", depth + 1)
        elseif value ~= pickle.NONE then
            refuse("%s%s is no module", prefix, tostring(name))
        end
    end
end

function State:add_dict(dict)
    for _, key in ipairs(dict) do
        local value = dict.values[key]
        if is_kind(value, "tensor") then self:add(tostring(key), value) else self:leave_out(tostring(key)) end
    end
end

local function has_tensors(value)
    if is_kind(value, "module") then return true end
    for _, key in ipairs(is_kind(value, "dict") and value or {}) do
        if is_kind(value.values[key], "tensor") then return true end
    end
    return false
end

-- The part of the contents that is a state dict or a module, and its name where it is not all of them.
local function find_state(root, wanted)
    if wanted then
        local found = is_kind(root, "dict") and root.values[wanted]
        if not has_tensors(found) then refuse("it has no state dict or module under the key '%s'", wanted) end
        return found, wanted
    end
    if has_tensors(root) then return root end
    local names = {}
    for _, key in ipairs(is_kind(root, "dict") and root or {}) do
        if has_tensors(root.values[key]) then names[#names + 1] = key end
    end
    if #names == 1 then return root.values[names[1]], names[1] end
    if #names > 1 then
        for i, name in ipairs(names) do names[i] = tostring(name) end
        refuse("it has several state dicts: %s; say which one with {key = NAME}", table.concat(names, ", "))
    end
    if is_kind(root, "dict") and #root == 0 then return root end
    refuse("it holds no state dict and no module, but a %s", type(root) == "table" and root.kind or type(root))
end

-- Tensors by name, and what is told of them.
function Reader:state(root, key)
    local found
    found, key = find_state(root, key)
    local state = setmetatable({reader = self, names = {}, records = {}, left_out = {}}, State)
    if found.kind == "module" then state:add_module(found, "", 0) else state:add_dict(found) end
    local tensors = {}
    for _, name in ipairs(state.names) do
        local ok, problem = pcall(self.tensor, self, state.records[name])
        if not ok and type(problem) == "table" and problem.torch then
            must(nil, problem.torch, problem.code, name .. ": ")
        end
        if not ok then error(problem, 0) end
        tensors[name] = problem
    end
    return tensors, {
        format = self.format, names = state.names, left_out = state.left_out, key = key,
        contents = self:plain(root, 0),
    }
end

function Reader:read()
    local start = core.file_text(self.file, 0, math.min(self.size, 4))
    if start == "PK\3\4" or start == "PK\5\6" then
        self.format = "zip"
        return self:zipped()
    elseif start:find("^\x80[\1-\5]") then
        self.format = "legacy"
        return self:legacy()
    elseif self.size >= 262 and core.file_text(self.file, 257, 5) == "ustar" then
        refuse("it is of before torch 0.1.10, a tar archive; load and save it with a later torch")
    end
    refuse("it does not begin as one of torch.save")
end

---@class luxel.TorchInfo
---@field format "zip"|"legacy" the one since torch 1.6, or the one before
---@field names string[] of the tensors, in the file's order
---@field key string? where among the contents they are, if they are not all of them
---@field left_out string[] what beside the tensors is not one of them, and buffers that are not kept
---@field contents any all that the file holds, as Lua's values: dicts and lists are tables, None is `lx.io.torch.none`,
---  a module is {class = NAME, fields = {…}}, a class its name; whole numbers beyond 64 bits are text, two's complement
---  in hexadecimal

--- Reads what `torch.save` wrote: a state dict, a dict with one inside, or a whole module, whose tensors get the names
--- of its state dict. Nothing of the file is run: names of tensors, plain containers and the classes of modules of
--- torch.nn, torchvision and torchxrayvision are understood; any other name is an error that tells it and its place.
---
--- The tensors are on the cpu. Tensors that share a storage share memory. Integers become int32, truth values uint8,
--- floats float32, and quantised numbers the float32 that they stand for; what is out of range is refused. Of float32,
--- int32 and uint8 they are the file's own bytes where those are aligned, as of `lx.load`: nobody should write into the
--- file while they are in use.
---@param path string
---@param options? {key: string?, complex: "pairs"?} key: which part of the contents has the tensors, where there are
---  several; complex: complex numbers become a last dimension of two, else they are refused
---@return table<string, Tensor>? tensors nil where the file cannot be read
---@return luxel.TorchInfo|string info or the message
---@return string? code "io", "format" for a file that is damaged, not of this kind or not understood, "memory"
function torch.load(path, options)
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local reader = setmetatable({
        path = path, file = file, size = size, storages = {}, reserved = 0, options = options or {},
    }, Reader)
    local ok, tensors, info = pcall(lx.no_grad, function()
        return reader:state(reader:read(), reader.options.key)
    end)
    if ok then return tensors, info end
    if type(tensors) == "table" and tensors.torch then
        return nil, ("%s cannot be read: %s"):format(path, tensors.torch), tensors.code
    end
    local kind, text = core.error_code(tostring(tensors))
    if kind and kind ~= "argument" then return nil, ("%s cannot be read: %s"):format(path, text), kind end
    error(tensors, 0)
end

--- Stands for Python's None in the contents of a file.
torch.none = json.null

return namespace("lx.io.torch", args.publish("", torch, {
    load = "path: path, options: {key: text?, complex: \"pairs\"?}?",
}))
