--- Feeds damaged files of torch.save to the reader: mutations of spec/golden/torch, the same each time. For the module
--- that is built with sanitizers (make fuzz-torch). Each has to be read, or refused with a message, within a time and
--- with memory that the file's size allows, and nothing may be run.
--
--     lua5.4 spec/fuzz/torch.lua COUNT [SEED]

local core = require "luxel.core"
local lx = require "luxel"
local p = dofile "spec/support/pickles.lua"
local zip = require "luxel.io.zip"

local COUNT <const>, SEED <const> = tonumber(arg[1]), tonumber(arg[2]) or 1
local SECONDS <const> = 5 -- for a file of some kilobytes, with sanitizers
local LUA_BYTES <const> = 64 << 20
local FILE <const> = os.getenv("FUZZ_FILE") or os.tmpname()

-- ---- where to begin -------------------------------------------------------------------------------------------

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

-- The members of an archive as `pickles.zip` takes them, without checksums: they would keep damage from the reader.
local function members_of(path)
    local file <close>, size = core.map_file(path)
    local archive, members = assert(zip.open(file, size)), {}
    for i, member in ipairs(archive.members) do
        local bytes, start = assert(archive:bytes(member, function() end))
        members[i] = {member.name, core.file_text(bytes, start, member.size)}
    end
    return members
end

local corpus = {}
for _, name in ipairs {"legacy", "module_legacy", "zip", "zip_protocol4", "module", "zip_big_endian", "zip_deflated",
    "zip_minimal"} do
    local path = "spec/golden/torch/" .. name .. ".pth"
    local text = read(path)
    corpus[#corpus + 1] = {text = text, members = text:sub(1, 2) == "PK" and members_of(path) or nil}
end

-- ---- mutations ------------------------------------------------------------------------------------------------

local random = math.random

local OPERATIONS <const> = "()012.IJKLMNRVXabcdeghijlopqrstu}]\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
    .. "\x90\x91\x92\x93\x94\x95\x96\x97\x98GFSTUQP"
local NUMBERS <const> = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 40,
    math.maxinteger, -1}
local NAMES <const> = {"os\nsystem\n", "builtins\neval\n", "torch._utils\n_rebuild_tensor_v2\n",
    "torch\nFloatStorage\n", "torch._utils\n_rebuild_qtensor\n", "torch._tensor\n_rebuild_from_type_v2\n",
    "collections\nOrderedDict\n", "torch.nn.modules.linear\nLinear\n", "torch\nfloat32\n",
    "torch.storage\nUntypedStorage\n", "torch\nSize\n"}

local function splice(text, from, count, middle) return text:sub(1, from - 1) .. middle .. text:sub(from + count) end

local function a_place(text) return random(1, math.max(1, #text)) end

local CHANGES <const> = {
    function(text) return splice(text, a_place(text), 1, string.char(random(0, 255))) end,
    function(text)
        local at = a_place(text)
        return splice(text, at, 1, string.char((text:byte(at) or 0) ~ 1 << random(0, 7)))
    end,
    function(text)
        local at = random(1, #OPERATIONS)
        return splice(text, a_place(text), random(0, 1), OPERATIONS:sub(at, at))
    end,
    function(text) return splice(text, a_place(text), random(1, 16), "") end,
    function(text)
        local width = ({1, 2, 4, 8})[random(4)]
        local number = NUMBERS[random(#NUMBERS)] & (width == 8 and -1 or (1 << 8 * width) - 1)
        return splice(text, a_place(text), width, (width == 8 and "<i8" or "<I" .. width):pack(number))
    end,
    function(text) return splice(text, a_place(text), 0, "\x8a\8" .. ("<i8"):pack(NUMBERS[random(#NUMBERS)])) end,
    function(text) return splice(text, a_place(text), random(0, 20), "c" .. NAMES[random(#NAMES)]) end,
    function(text)
        local from, length = a_place(text), random(1, 200)
        return splice(text, a_place(text), random(0, 1) * length, text:sub(from, from + length - 1))
    end,
    function(text) return text:sub(1, a_place(text)) end,
    function(text)
        local other = corpus[random(#corpus)].text
        local from = a_place(other)
        return splice(text, a_place(text), random(0, 100), other:sub(from, from + random(0, 200)))
    end,
}

local function changed(text)
    for _ = 1, random(1, 6) do text = CHANGES[random(#CHANGES)](text) end
    return text
end

-- A damaged file: all of its bytes, or one member of an archive that is whole otherwise, most often the pickle.
local function damaged()
    local one = corpus[random(#corpus)]
    if not one.members or random(4) == 1 then return changed(one.text) end
    local members, which = {}, random(3) > 1 and "/data%.pkl$" or nil
    local chosen = random(#one.members)
    for i, member in ipairs(one.members) do
        local here = which and member[1]:find(which) or not which and i == chosen
        members[i] = {member[1], here and changed(member[2]) or member[2]}
    end
    return p.zip(members)
end

-- ---- the run --------------------------------------------------------------------------------------------------

local run = {}
for name, place in pairs {execute = os, exit = os, remove = os, rename = os, popen = io, load = _G, loadfile = _G,
    dofile = _G} do
    run[name] = {place, place[name]}
end

-- What a reading would call if it ran anything.
local function guarded(f)
    local called
    for name, one in pairs(run) do one[1][name] = function() called = name end end -- luacheck: ignore
    local results = table.pack(f())
    for name, one in pairs(run) do one[1][name] = one[2] end
    return called, table.unpack(results, 1, results.n)
end

local function fail(number, text, what)
    local kept = FILE .. ".kept"
    local file <close> = assert(io.open(kept, "wb"))
    file:write(text)
    io.stderr:write(("file %d of seed %d, kept as %s: %s\n"):format(number, SEED, kept, what))
    os.exit(1)
end

local function try(number, text)
    local file = assert(io.open(FILE, "wb"))
    file:write(text)
    file:close()
    collectgarbage()
    local live, began = lx.memory("cpu").live, os.clock()
    local called, ok, tensors, info = guarded(function()
        return pcall(lx.io.torch.load, FILE, random(2) == 1 and {complex = "pairs"} or nil)
    end)
    if called then fail(number, text, called .. " was called") end
    if not ok then fail(number, text, "it raised " .. tostring(tensors)) end
    if not tensors and (type(info) ~= "string" or info == "") then fail(number, text, "it is refused for no reason") end
    if os.clock() - began > SECONDS then fail(number, text, "it took " .. os.clock() - began .. " s") end
    local taken = lx.memory("cpu").live - live
    if taken > 33 * #text + (2 << 20) then fail(number, text, ("its tensors take %d bytes"):format(taken)) end
    if collectgarbage("count") * 1024 > LUA_BYTES then fail(number, text, "it took too much of Lua's memory") end
    for _, tensor in pairs(tensors or {}) do core.to_string(tensor) end -- every number is read
    return tensors ~= nil
end

for _, one in ipairs(corpus) do
    if not try(0, one.text) and not lx.io.torch.load(FILE, {complex = "pairs"}) then
        fail(0, one.text, "the file that is right is refused")
    end
end
math.randomseed(SEED)
local well = 0
for number = 1, COUNT do
    if try(number, damaged()) then well = well + 1 end
end
os.remove(FILE)
print(("%d damaged files: %d were read, %d refused"):format(COUNT, well, COUNT - well))
