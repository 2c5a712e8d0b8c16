--- Zip archives (PKWARE's APPNOTE.TXT 6.3), read: members that are stored or deflated, also with 64-bit sizes.
--
-- What the central directory says counts; the headers before the members, which may leave sizes and checksums out, only
-- tell where bytes begin. Archives are hostile until checked: members lie in the file, do not overlap, and unpack to
-- what the reader allows.

local core = require "luxel.core"

local zip = {}

local MOST_COMMENT <const> = 65535
local STORED <const>, DEFLATED <const> = 0, 8

---@class luxel.ZipMember
---@field name string
---@field method integer
---@field crc integer 0: none is stored
---@field size integer bytes unpacked
---@field packed integer bytes in the archive
---@field header integer where its header is in the archive

---@class luxel.Zip
---@field private file userdata
---@field members luxel.ZipMember[] in the order of their bytes
---@field private by_name table<string, luxel.ZipMember>
local Zip = {}
Zip.__index = Zip

-- Reads in a file: `unpack` as of strings, from a place counted from 0; nil where the file ends before.
local function values_at(file, size, place, form)
    local length = form:packsize()
    if place < 0 or place > size - length then return nil end
    return form:unpack(core.file_text(file, place, length))
end

local END_FORM <const>, END64_FORM <const> = "<c4I2I2I2I2I4I4I2", "<c4i8I2I2I4I4i8i8i8i8"
local LOCATOR_FORM <const>, MEMBER_FORM <const> = "<c4I4i8I4", "<c4I2I2I2I2I4I4I4I4I2I2I2I2I2I4I4"
local HEADER_FORM <const> = "<c4I2I2I2I4I4I4I4I2I2"

-- Where the end record is: the last one whose comment reaches just to the end of the file.
local function find_end(file, size)
    local length <const> = END_FORM:packsize()
    local from = math.max(0, size - length - MOST_COMMENT)
    local tail = core.file_text(file, from, size - from)
    for place = #tail - length + 1, 1, -1 do
        if tail:sub(place, place + 3) == "PK\5\6" and
            place + length + ("<I2"):unpack(tail, place + length - 2) == #tail + 1 then
            return from + place - 1
        end
    end
end

-- Count, place and size of the central directory, or nil and what is wrong.
local function read_end(file, size)
    local place = find_end(file, size)
    if not place then return nil, "it has no end record; was it cut off?" end
    local _, disk, _, _, count, bytes, start = values_at(file, size, place, END_FORM)
    local mark, _, at = values_at(file, size, place - LOCATOR_FORM:packsize(), LOCATOR_FORM)
    if mark == "PK\6\7" then
        local mark64, _, _, _, _, _, _, count64, bytes64, start64 = values_at(file, size, at, END64_FORM)
        if mark64 ~= "PK\6\6" then return nil, "its 64-bit end record is missing" end
        count, bytes, start, place = count64, bytes64, start64, at
    elseif disk ~= 0 then
        return nil, "it is one of several parts"
    end
    if start < 0 or bytes < 0 or count < 0 or bytes > place or start > place - bytes then
        return nil, "its directory lies outside of it"
    end
    if count > bytes // MEMBER_FORM:packsize() then return nil, "its directory is too short" end
    return count, start, bytes
end

-- Sizes and place that a member's entry left to the field for 64 bits, in their order.
local function wide_values(extra, values)
    local place = 1
    while place + 3 <= #extra do
        local kind, length = ("<I2I2"):unpack(extra, place)
        local from, stop = place + 4, place + 4 + length
        if stop > #extra + 1 then return nil end
        if kind == 1 then
            for i = 1, 3 do
                if values[i] == 0xffffffff then
                    if from + 8 > stop then return nil end
                    values[i], from = ("<i8"):unpack(extra, from)
                end
            end
        end
        place = stop
    end
    return values
end

-- A member and the place behind its entry, or nil and what is wrong.
local function read_member(directory, place)
    if place + MEMBER_FORM:packsize() > #directory + 1 then return nil, "its directory is too short" end
    local mark, _, _, flags, method, _, crc, packed, size, named, extra, comment, _, _, _, header =
        MEMBER_FORM:unpack(directory, place)
    local from = place + MEMBER_FORM:packsize()
    local stop = from + named + extra + comment
    if mark ~= "PK\1\2" or stop > #directory + 1 then return nil, "its directory is damaged" end
    local name = directory:sub(from, from + named - 1)
    local values = wide_values(directory:sub(from + named, from + named + extra - 1), {size, packed, header})
    if not values or values[1] < 0 or values[2] < 0 or values[3] < 0 then
        return nil, ("the sizes of '%s' are not valid"):format(name)
    end
    if flags & 1 ~= 0 then return nil, ("'%s' is encrypted"):format(name) end
    if method == STORED and values[1] ~= values[2] then
        return nil, ("'%s' is stored, in two different sizes"):format(name)
    end
    return {
        name = name, method = method, crc = crc, size = values[1], packed = values[2], header = values[3],
    }, stop
end

-- Each member with the place of its bytes, in order; none may reach into the next one or into the directory.
local function place_members(file, size, members, directory)
    table.sort(members, function(a, b)
        if a.header ~= b.header then return a.header < b.header end
        return a.name < b.name
    end)
    for i, member in ipairs(members) do
        local mark, _, _, _, _, _, _, _, named, extra = values_at(file, size, member.header, HEADER_FORM)
        if mark ~= "PK\3\4" then return ("'%s' is not where the directory says"):format(member.name) end
        member.start = member.header + HEADER_FORM:packsize() + named + extra
        local limit = members[i + 1] and members[i + 1].header or directory
        if member.start > limit or member.packed > limit - member.start then
            return ("'%s' reaches into what follows it"):format(member.name)
        end
    end
end

--- Reads the directory of an archive.
---@param file userdata of `core.map_file`
---@param size integer bytes of the file
---@return luxel.Zip? archive, string? problem
function zip.open(file, size)
    local count, start, bytes = read_end(file, size)
    if not count then return nil, start end
    local directory, place = core.file_text(file, start, bytes), 1
    local members, by_name = {}, {}
    for i = 1, count do
        local member, stop = read_member(directory, place)
        if not member then return nil, stop end
        if by_name[member.name] then return nil, ("it has two members '%s'"):format(member.name) end
        members[i], by_name[member.name], place = member, member, stop
    end
    local problem = place_members(file, size, members, start)
    if problem then return nil, problem end
    return setmetatable({file = file, members = members, by_name = by_name}, Zip)
end

--- The member of a name; nil if there is none.
---@param name string
---@return luxel.ZipMember?
function Zip:find(name) return self.by_name[name] end

--- The bytes of a member: a file of `core.map_file` or a new one, and where in it they begin.
---@param member luxel.ZipMember
---@param reserve fun(bytes: integer) is told of memory that is about to be taken, and may raise
---@return userdata? file, integer|string start or what is wrong, string? code "format", or "memory"
function Zip:bytes(member, reserve)
    local file, start = self.file, member.start
    if member.method == DEFLATED then
        reserve(member.size)
        local problem, code
        file, problem, code = core.unpack(self.file, start, member.packed, member.size)
        if not file then return nil, ("'%s' cannot be unpacked: %s"):format(member.name, problem), code end
        start = 0
    elseif member.method ~= STORED then
        return nil, ("'%s' is packed by method %d; stored and deflated members can be read"):format(member.name,
            member.method), "format"
    end
    if member.crc ~= 0 and core.crc32(file, start, member.size) ~= member.crc then
        return nil, ("'%s' is damaged: its checksum does not fit"):format(member.name), "format"
    end
    return file, start
end

return zip
