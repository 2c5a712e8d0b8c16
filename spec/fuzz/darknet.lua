--- Feeds damaged configurations and weights of darknet to their readers: the same mutations each time. For the module
--- that is built with sanitizers (make fuzz-darknet). Each has to be read, or refused with a message, within a time and
--- with memory that is allowed, and what is read has to be written and read again as the same.
---
---     lua5.4 spec/fuzz/darknet.lua COUNT [SEED]

local lx = require "luxel"
local json = require "luxel.json"

local COUNT <const>, SEED <const> = tonumber(arg[1]), tonumber(arg[2]) or 1
local SECONDS <const>, LUA_BYTES <const>, PARAMETERS <const> = 5, 64 << 20, 20000
local CFG <const>, WEIGHTS <const> = os.tmpname(), os.tmpname()

local CONV <const> = "[convolutional]\nbatch_normalize=1\nfilters=%d\nsize=3\nstride=1\npad=1\nactivation=leaky\n\n"
local corpus = {
    "[net]\nbatch=64\nsubdivisions=8\nwidth=32\nheight=32\nchannels=3\npolicy=steps\nsteps=100,25000\nscales=.1,.1\n\n"
        .. CONV:format(4) .. "[maxpool]\nsize=2\nstride=2\n\n" .. CONV:format(8) .. "[maxpool]\nsize=2\nstride=1\n\n"
        .. "[route]\nlayers=0\n[reorg]\nstride=2\n[route]\nlayers=-1,-3\n"
        .. "[convolutional]\nsize=1\nstride=1\npad=1\nfilters=14\nactivation=linear\n\n"
        .. "[region]\nanchors = 1.08,1.19,  3.42,4.41\nclasses=2\ncoords=4\nnum=2\nsoftmax=1\nthresh = .6\n",
    "[net]\nwidth=16\nheight=16\nchannels=1\n" .. CONV:format(4) .. CONV:format(4) .. "[shortcut]\nfrom=-2\n"
        .. "activation=linear\n[upsample]\nstride=2\n[dropout]\nprobability=.5\n"
        .. "[conv]\nfilters=12\n[yolo]\nmask=0,1\nanchors=1,2,3,4\nclasses=1\nnum=2\n"
        .. "[route]\nlayers=-2\n[avgpool]\n",
}

local random = math.random
local PIECES <const> = {"[net]\n", "[route]\nlayers=-1,0\n", "[maxpool]\n", "[reorg]\nstride=3\n",
    "[shortcut]\nfrom=0\n",
    "filters=65536\n", "size=1024\n", "stride=0\n", "layers=99999999999999999999\n", "=", "[", "]", "\0", "-", "1e308",
    "[upsample]\nstride=1024\n", "groups=2\n", "padding=7\n", ",", "\n\n", "channels=65536\n", "nan", "width=1\n"}
local NUMBERS <const> = {0, 1, 2, 999, 1000, 1001, 0x7fffffff, 0x80000000, 0xffffffff}

local function splice(text, from, count, middle) return text:sub(1, from - 1) .. middle .. text:sub(from + count) end

local function a_place(text) return random(1, math.max(1, #text)) end

local CHANGES <const> = {
    function(text) return splice(text, a_place(text), 1, string.char(random(0, 255))) end,
    function(text) -- another digit
        local at = text:find("%d", a_place(text))
        return at and splice(text, at, 1, string.char(random(48, 57))) or text
    end,
    function(text) -- a line away, or twice
        local from, to = text:find("[^\n]*\n", a_place(text))
        return from and splice(text, from, random(0, 1) * (to - from + 1), random(2) == 1 and text:sub(from, to) or "")
            or text
    end,
    function(text) return splice(text, a_place(text), random(1, 16), "") end,
    function(text) return splice(text, a_place(text), random(0, 2), PIECES[random(#PIECES)]) end,
    function(text)
        local from, length = a_place(text), random(1, 200)
        return splice(text, a_place(text), 0, text:sub(from, from + length))
    end,
    function(text) return text:sub(1, a_place(text)) end,
    function(text) return splice(text, random(1, 5) * 4 - 3, 4, ("<I4"):pack(NUMBERS[random(#NUMBERS)])) end,
}

local function damaged(text)
    for _ = 1, random(2) == 1 and 1 or random(2, 4) do text = CHANGES[random(#CHANGES)](text) end
    return text
end

local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
end

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

local function fail(number, text, what)
    write(CFG .. ".kept", text)
    io.stderr:write(("file %d of seed %d, kept as %s.kept: %s\n"):format(number, SEED, CFG, what))
    os.exit(1)
end

-- What a call gives; nil where it refuses as it should.
local function attempt(number, text, f, ...)
    local began = os.clock()
    local ok, value, message, code = pcall(f, ...)
    if not ok then fail(number, text, "it raised " .. tostring(value)) end
    if not value and (type(message) ~= "string" or message == "" or code ~= "format") then
        fail(number, text, "it is refused with " .. tostring(message) .. ", " .. tostring(code))
    end
    if os.clock() - began > SECONDS then fail(number, text, "it took too long") end
    if collectgarbage("count") * 1024 > LUA_BYTES then fail(number, text, "it took too much memory of Lua's") end
    return value
end

local darknet = lx.io.darknet
local counts = {read = 0, built = 0, loaded = 0}

local function options_of(cfg)
    local list = {}
    for i, section in ipairs(cfg) do list[i] = {section.name, next(section.options) and section.options or 0} end
    return json.encode(list)
end

local function try_cfg(number, text)
    write(CFG, text)
    local cfg = attempt(number, text, darknet.read_cfg, CFG)
    if not cfg then return end
    counts.read = counts.read + 1
    assert(darknet.write_cfg(CFG, cfg))
    local again = attempt(number, text, darknet.read_cfg, CFG)
    if not again or options_of(cfg) ~= options_of(again) then fail(number, text, "it is not written as it was read") end
    local net = attempt(number, text, lx.nn.init.skip, darknet.network, cfg, {parameters = PARAMETERS})
    if net then counts.built = counts.built + 1 end
    return net
end

local nets, weights = {}, {}
for i, text in ipairs(corpus) do
    nets[i] = assert(try_cfg(0, text))
    assert(darknet.save_weights(nets[i], WEIGHTS))
    weights[i] = read(WEIGHTS)
end

local function try_weights(number, which, text)
    write(WEIGHTS, text)
    if not attempt(number, text, darknet.load_weights, nets[which], WEIGHTS) then return end
    counts.loaded = counts.loaded + 1
    assert(darknet.save_weights(nets[which], WEIGHTS))
    if read(WEIGHTS) ~= text then fail(number, text, "it is not written as it was read") end
end

math.randomseed(SEED)
for number = 1, COUNT do
    local which = random(#corpus)
    if number % 4 == 0 then
        try_weights(number, which, damaged(weights[which]))
    else
        try_cfg(number, damaged(corpus[which]))
    end
end
os.remove(CFG)
os.remove(WEIGHTS)
print(("%d damaged files: %d configurations were read, %d networks built, %d weights loaded"):format(COUNT, counts.read,
    counts.built, counts.loaded))
