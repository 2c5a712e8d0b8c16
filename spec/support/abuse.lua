--- Calls everything that is in C with whatever there is: `abuse.lua NOTE TRIES SEED`. All functions of luxel.core, and
--- all methods and metamethods of its userdata, with selves of the wrong kind, closed and freed ones, and numbers up to
--- the ends of their range. Each may raise; none may crash, hang, or take the process with it. What is about to be
--- called stands in the file NOTE, so that whoever started this knows what ended it.
---
--- Which kinds of arguments a function wants is learned from its own errors.

local note_path, tries, seed = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])
local core = require "luxel.core"
local lx = require "luxel"

local only = os.getenv("ABUSE_ONLY")
local note = assert(io.open(note_path, "w"))
note:setvbuf("no")
math.randomseed(seed)
lx.memory_budget("cpu", 64 << 20)

local function pick(list) return list[math.random(#list)] end

-- ---- values ---------------------------------------------------------------------------------------------------

local NUMBERS <const> = {math.mininteger, math.maxinteger, math.mininteger + 1, 1 << 31, (1 << 31) - 1, -(1 << 31),
    1 << 32, 1 << 53, -(1 << 53), 1 << 62, 65536, 1e300, -1e300, 1 / 0, -1 / 0, 0 / 0, 0.5, -1, 0, 0, 1, 1, 1, 2, 2, 3,
    4, 7, 255}
local STRINGS <const> = {"", "x", "cpu", "float32", "uint8", "int32", "add", "mul", "exp", "relu", "clamp", "sum",
    "max", "argmax", "bilinear", "nearest", "constant", "reflect", "conv2d", "hflip", "rotate", "nowhere/x",
    ("y"):rep(5000), "a\0b"}

local function tensor()
    local shape = pick {{3}, {2, 3}, {1, 4, 5}, {2, 3, 6, 7}, {1, 1, 8, 8}, {1, 16, 9, 5}, {}, {0, 3}, {2, 1, 3},
        {3, 5, 6}}
    local out = lx.rand(shape, {}):mul(pick {1, 3, 200})
    local dtype = pick {"float32", "float32", "float32", "uint8", "int32"}
    if dtype ~= "float32" then out = core.cast(out, dtype) end
    if #shape == 4 and math.random(5) == 1 then out = core.conv2d(out:float(), lx.ones(3, shape[2], 1, 1)) end
    if #shape == 2 and math.random(4) == 1 then out = out:t() end
    if math.random(12) == 1 then core.free(out) end
    return out
end

local live = {} -- userdata by the name of their kind, whole and closed
local function numbers(count)
    local out = {}
    for i = 1, count do out[i] = pick(NUMBERS) end
    return out
end

local OPTIONS <const> = {"kernel", "stride", "padding", "dilation", "groups", "height", "width", "channels", "side",
    "memory", "size", "batch", "threads", "seed", "epoch", "scale", "bias", "fit", "border", "fill", "lr", "momentum",
    "step", "frame", "global", "group", "eps", "beta1"}
local function options()
    local out = {}
    for _, name in ipairs(OPTIONS) do
        local kind = math.random(8)
        if kind <= 2 then
            out[name] = pick(NUMBERS)
        elseif kind == 3 then
            out[name] = numbers(2)
        elseif kind == 4 then
            out[name] = pick {1, 2, 3}
        elseif kind == 5 then
            out[name] = {pick {1, 2}, pick {1, 2, 3}}
        end
    end
    return out
end

local MAKERS <const> = {
    number = function() return pick(NUMBERS) end,
    string = function() return pick(STRINGS) end,
    table = function()
        return pick {
            function() return {} end, function() return numbers(math.random(9)) end, options, options,
            function() return {tensor(), tensor()} end, function() return {pick(STRINGS), pick(STRINGS)} end,
            function() return {pick {1, 2, 3}, pick {1, 2, 3}} end,
            function() return {{pick(STRINGS), pick(NUMBERS)}} end,
            function() return {1, 0, 0, 0, 1, 0, 0, 0, pick(NUMBERS)} end,
        }()
    end,
    ["luxel.tensor"] = tensor,
    ["luxel.shape"] = function() return lx.zeros(pick {{}, {3}, {2, 0, 5}}).shape end,
    boolean = function() return math.random(2) == 1 end,
    ["function"] = function() return function() return pick(NUMBERS) end end,
    ["nil"] = function() return nil end,
    userdata = function() return io.stdout end,
    thread = function() return coroutine.create(print) end,
}
local KINDS <const> = {"number", "number", "string", "table", "table", "luxel.tensor", "luxel.tensor", "boolean",
    "function", "nil", "userdata", "thread"}

local function make(kind)
    if live[kind] then return pick(live[kind])() end
    return (MAKERS[kind] or error("nothing here makes a " .. kind))()
end

-- ---- one of each userdata -------------------------------------------------------------------------------------

local images = {}
for i = 1, 3 do
    images[i] = ("image%d.png"):format(i)
    assert(lx.vision.save(images[i], lx.full({1, 9, 8}, 40 * i):byte()))
end
assert(lx.checkpoint.save("file.safetensors", {x = lx.arange(5)}))

local function pipeline() return core.pipeline({{"hflip", 0.5}}, {height = 8, width = 8}) end
local function store() return assert(core.store_files(images, {channels = 1})) end
local function closed(make_one) return function()
    local one = make_one()
    getmetatable(one).__gc(one)
    return one
end end
local function kind(name, ...)
    live[name] = {...}
    for i = #live[name], 1, -1 do table.insert(live[name], closed(live[name][i])) end
    KINDS[#KINDS + 1] = name
end
local function loader()
    return core.loader(store(), nil, pipeline(), {height = 8, width = 8, batch = 2, threads = math.random(0, 2)},
        {1, 2, 3}, {1, 2, 3})
end
-- What a call of core.record left going on is stopped, so that the others have their turn.
local recordings = setmetatable({}, {__mode = "k"})
local function recording()
    local one = core.record(lx.ones(2))
    recordings[one] = true
    if math.random(3) > 1 then one:settle({}, 0) end
    if math.random(3) > 1 then pcall(one.plan, one) end
    one:stop()
    return one
end
kind("luxel.store", store, function() return core.store_images(lx.zeros(2, 1, 5, 5)) end, function()
    return assert(core.store_files(images, {cache = "abuse.cache"}))
end, function()
    local one = assert(core.store_files(images, {cache = "abuse.cache"}))
    if not one:info().cached then one:add(1, 2) end
    return one
end)
kind("luxel.loader", loader, function()
    local one = loader()
    one:give(1)
    return one
end)
kind("luxel.pipeline", pipeline)
kind("luxel.file", function() return (assert(core.map_file("file.safetensors"))) end)
kind("luxel.recording", recording)
local profiles = setmetatable({}, {__mode = "k"})
kind("luxel.profile", function()
    for one in pairs(profiles) do core.unwatch("cpu", one) end
    local one = core.watch("cpu")
    profiles[one] = true
    return one
end)

-- ---- everything there is --------------------------------------------------------------------------------------

local targets = {}
local function add(name, f, self)
    if type(f) == "function" and not (only and not name:find(only)) then
        targets[#targets + 1] = {name = name, f = f, self = self}
    end
end
for name, f in pairs(core) do add("core." .. name, f) end
for name, meta in pairs(debug.getregistry()) do
    if type(name) == "string" and name:find("^luxel%.") and type(meta) == "table" then
        for key, member in pairs(meta) do
            add(name .. "." .. tostring(key), member, name)
            if type(member) == "table" then
                for method, f in pairs(member) do add(name .. ":" .. tostring(method), f, name) end
            end
        end
    end
end
table.sort(targets, function(a, b) return a.name < b.name end)

local function show(values, count)
    local words = {}
    for i = 1, count do
        local value = values[i]
        local text = math.type(value) and tostring(value) or type(value)
        if type(value) == "string" then text = ("%q"):format(value:sub(1, 20)) end
        if core.is_tensor(value) and not core.is_freed(value) then
            local shape, dtype = core.info(value)
            text = "tensor[" .. table.concat(shape, ",") .. "] " .. dtype
        end
        if type(value) == "table" then
            local parts = {}
            for key, inner in pairs(value) do parts[#parts + 1] = tostring(key) .. "=" .. tostring(inner):sub(1, 30) end
            text = "{" .. table.concat(parts, ", ") .. "}"
        end
        words[i] = text
    end
    return table.concat(words, ", ")
end

local calls, raised, slow = 0, 0, 0

-- Calls with arguments of the kinds learned so far; learns from the error.
local function try(target, kinds)
    local values, count = {}, math.max(#kinds, math.random(0, 8))
    for one in pairs(recordings) do pcall(one.stop, one) end
    core.set_budget("cpu", 64 << 20)
    core.threads(2)
    for i = 1, count do
        local which = kinds[i]
        if not which or math.random(8) == 1 then which = pick(KINDS) end
        values[i] = make(which)
    end
    note:seek("set", 0)
    note:write(target.name, "(", show(values, count), ")\n", (" "):rep(200), "\n")
    local started = os.clock()
    debug.sethook(function() error("it does not end") end, "", 20000000)
    local ok, message = pcall(target.f, table.unpack(values, 1, count))
    if target.name == "core.record" and ok then recordings[message] = true end
    if target.name == "core.watch" and ok then profiles[message] = true end
    debug.sethook()
    calls, raised = calls + 1, raised + (ok and 0 or 1)
    if os.clock() - started > 3 then
        slow = slow + 1
        print(("slow: %.1f s"):format(os.clock() - started), target.name, show(values, count))
    end
    if not ok and tostring(message):find("it does not end", 1, true) then
        print("endless", target.name, show(values, count))
    end
    core.tidy(nil)
    core.set_exact(false)
    if not ok then
        local index, wanted = tostring(message):match("argument (%d+): expected (.-), got")
        index, wanted = math.tointeger(tonumber(index)), wanted == "an integer" and "number" or wanted
        if wanted then wanted = wanted:gsub("^an? ", "") end
        if index and index <= 9 then
            for i = #kinds + 1, index do kinds[i] = "luxel.tensor" end
            if MAKERS[wanted] or live[wanted] then kinds[index] = wanted end
        end
    end
end

for _, target in ipairs(targets) do
    local kinds = {target.self}
    for i = 1, tries do
        if i % 40 == 0 then collectgarbage() end
        try(target, kinds)
    end
end
collectgarbage()
print(("%d functions, %d calls, %d raised, %d slow"):format(#targets, calls, raised, slow))
