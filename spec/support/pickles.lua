--- Writes pickles and the files of torch.save around them, right and wrong, for tests of the reader.

local pickles = {}

-- ---- pickles --------------------------------------------------------------------------------------------------

--- The operation that pushes a value: text, a whole number, a boolean, a list of values (a tuple) or `raw(operations)`.
function pickles.value(v)
    if type(v) == "table" and v.raw then return v.raw end
    if type(v) == "string" then return "X" .. ("<s4"):pack(v) end
    if type(v) == "boolean" then return v and "\x88" or "\x89" end
    if type(v) == "number" and v >= -2 ^ 31 and v < 2 ^ 31 then return "J" .. ("<i4"):pack(v) end
    if type(v) == "number" then return "\x8a\8" .. ("<i8"):pack(v) end
    local parts = {"("}
    for _, element in ipairs(v) do parts[#parts + 1] = pickles.value(element) end
    return table.concat(parts) .. "t"
end

function pickles.raw(operations) return {raw = operations} end

--- A class or function by name, of which "a.b.C" is in the module "a.b".
function pickles.class(name) return pickles.raw("c" .. name:gsub("%.([^.]+)$", "\n%1\n")) end

--- What calls a function with arguments.
function pickles.call(name, arguments)
    return pickles.raw(pickles.class(name).raw .. pickles.value(arguments) .. "R")
end

--- A dict of {key, value} pairs in order.
function pickles.dict(pairs_in_order)
    local parts = {"}"}
    for _, pair in ipairs(pairs_in_order) do
        parts[#parts + 1] = pickles.value(pair[1]) .. pickles.value(pair[2]) .. "s"
    end
    return pickles.raw(table.concat(parts))
end

--- A tensor of a storage with this class, key and count.
function pickles.tensor(given)
    local id = {"storage", pickles.class(given.class or "torch.FloatStorage"), given.key or "0", "cpu", given.count}
    if given.legacy then id[6] = pickles.raw "N" end
    local arguments = {
        pickles.raw(pickles.value(id) .. "Q"), given.offset or 0, given.size, given.stride, false,
        pickles.call("collections.OrderedDict", {}),
    }
    arguments[7] = given.metadata
    return pickles.call(given.rebuild or "torch._utils._rebuild_tensor_v2", arguments)
end

function pickles.pickle(value) return "\x80\2" .. pickles.value(value) .. "." end

-- ---- files ----------------------------------------------------------------------------------------------------

--- The format of before torch 1.6: a value, and {key, count, bytes} of storages.
function pickles.legacy(value, storages)
    local keys, parts = {}, {}
    for i, storage in ipairs(storages or {}) do
        keys[i] = pickles.value(storage[1])
        parts[i] = ("<i8"):pack(storage[2]) .. storage[3]
    end
    return "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." .. pickles.pickle(1001)
        .. pickles.pickle(pickles.dict {{"little_endian", true}}) .. pickles.pickle(value)
        .. pickles.pickle(pickles.raw("](" .. table.concat(keys) .. "e")) .. table.concat(parts)
end

--- A zip archive of {name, bytes} members. Fields of a member take the place of what is right: `method`, `stored` (the
--- bytes in the archive), `size`, `packed`, `header`, `flags`. `wide`: with sizes and places of 64 bits.
function pickles.zip(members, wide)
    local parts, directory, place = {}, {}, 0
    for i, member in ipairs(members) do
        local name, bytes = member[1], member.stored or member[2]
        local size, packed = member.size or #member[2], member.packed or #bytes
        local flags, method = member.flags or 0, member.method or 0
        parts[i] = ("<c4I2I2I2I4I4I4I4I2I2"):pack("PK\3\4", 20, flags, method, 0, 0, 0, 0, #name, 0) .. name .. bytes
        directory[i] = ("<c4I2I2I2I2I4I4I4I4I2I2I2I2I2I4I4"):pack("PK\1\2", 20, 20, flags, method, 0, 0, packed, size,
            #name, 0, 0, 0, 0, 0, member.header or place) .. name
        if wide then
            local extra = ("<I2I2I4"):pack(7, 4, 0) .. ("<I2I2i8i8i8"):pack(1, 24, size, packed, member.header or place)
            directory[i] = ("<c4I2I2I2I2I4I4I4I4I2I2I2I2I2I4I4"):pack("PK\1\2", 45, 45, flags, method, 0, 0, 0xffffffff,
                0xffffffff, #name, #extra, 0, 0, 0, 0, 0xffffffff) .. name .. extra
        end
        place = place + #parts[i]
    end
    local entries = table.concat(directory)
    if wide then
        return table.concat(parts) .. entries
            .. ("<c4i8I2I2I4I4i8i8i8i8"):pack("PK\6\6", 44, 45, 45, 0, 0, #members, #members, #entries, place)
            .. ("<c4I4i8I4"):pack("PK\6\7", 0, place + #entries, 1)
            .. ("<c4I2I2I2I2I4I4I2"):pack("PK\5\6", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    end
    return table.concat(parts) .. entries
        .. ("<c4I2I2I2I2I4I4I2"):pack("PK\5\6", 0, 0, #members, #members, #entries, place, 0)
end

--- The format since torch 1.6: a value, and {key, bytes} of storages; more members and `wide` as of `zip`.
function pickles.zipped(value, storages, more, wide)
    local members = {{"a/data.pkl", pickles.pickle(value)}, {"a/version", "3\n"}}
    for _, storage in ipairs(storages or {}) do members[#members + 1] = {"a/data/" .. storage[1], storage[2]} end
    for _, member in ipairs(more or {}) do members[#members + 1] = member end
    return pickles.zip(members, wide)
end

return pickles
