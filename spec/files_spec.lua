--- Images and checkpoints: good ones come back unchanged, bad ones give a message and harm nothing.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local work

local function write(name, text)
    local path = work .. "/" .. name
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

-- Loading must give nil, a message that names the file, and the code.
local function refuses(path, code, pattern)
    local image, message, got = lx.vision.load(path)
    assert.is_nil(image)
    assert.matches(pattern, message)
    assert.matches(path:match("[^/]*$"), message, 1, true)
    assert.equal(code, got)
end

setup(function()
    work = os.tmpname()
    os.remove(work)
    assert(lfs.mkdir(work))
end)

teardown(function() os.execute("rm -rf '" .. work .. "'") end)

describe("images", function()
    -- PNG chunks by hand, with a checksum that is right
    local function crc(text)
        local value = 0xffffffff
        for i = 1, #text do
            value = value ~ text:byte(i)
            for _ = 1, 8 do value = (value >> 1) ~ (0xedb88320 & -(value & 1)) end
        end
        return value ~ 0xffffffff
    end
    local function chunk(kind, data) return (">I4"):pack(#data) .. kind .. data .. (">I4"):pack(crc(kind .. data)) end
    local function png_header(width, height)
        return "\137PNG\r\n\26\n" .. chunk("IHDR", (">I4I4BBBBB"):pack(width, height, 8, 0, 0, 0, 0))
    end

    it("come back from a PNG as they were", function()
        for _, shape in ipairs {{1, 1, 1}, {1, 33, 7}, {3, 5, 64}} do
            local image = lx.randint(0, 256, shape, {dtype = "uint8"})
            local path = work .. "/round.png"
            assert.is_true(lx.vision.save(path, image))
            local back, info = lx.vision.load(path, {channels = shape[1]})
            assert.is_true(lx.equal(image, back))
            assert.same({shape[3], shape[2], shape[1], 8}, {info.width, info.height, info.channels, info.bits})
        end
    end)

    it("that are broken are refused by name", function()
        refuses(work .. "/missing.png", "io", "No such file")
        refuses(write("empty.png", ""), "format", "empty")
        refuses(write("text.png", "this is text, not an image at all"), "format", "")
        local huge = png_header(30000, 30000) .. chunk("IDAT", "x") .. chunk("IEND", "")
        refuses(write("huge.png", huge), "format", "30000")
        refuses(write("header.png", png_header(20, 20)), "format", "")
        assert(lfs.mkdir(work .. "/folder.png"))
        refuses(work .. "/folder.png", "io", "directory")
        local image = lx.randint(0, 256, {1, 40, 40}, {dtype = "uint8"})
        assert(lx.vision.save(work .. "/whole.png", image))
        local whole = read(work .. "/whole.png")
        for _, length in ipairs {9, 40, #whole // 2, #whole - 13} do
            refuses(write("cut.png", whole:sub(1, length)), "format", "")
        end
    end)

    it("cannot be read without permission", function()
        local path = write("secret.png", "x")
        os.execute("chmod 000 '" .. path .. "'")
        if io.open(path) then
            -- the superuser may read everything; a name that is too long fails for everybody
            local image, message, code = lx.vision.load(work .. "/" .. ("n"):rep(300) .. ".png")
            assert.is_nil(image)
            assert.matches("cannot read", message)
            assert.equal("io", code)
        else
            refuses(path, "io", "Permission denied")
        end
    end)

    it("are decoded many at a time, the bad ones named", function()
        local paths = {}
        for i = 1, 9 do
            paths[i] = ("%s/many%d.png"):format(work, i)
            local shape = i == 9 and {1, 1, 1} or {1, 20 + i, 31}
            assert(lx.vision.save(paths[i], lx.full(shape, 10 * i, {dtype = "uint8"})))
        end
        write("many4.png", "broken")
        local images, ok, messages = core.decode_images(paths, 17)
        assert.same({9, 1, 17, 17}, images.shape)
        for i = 1, 9 do
            assert.equal(i ~= 4, ok[i])
            assert.equal(i == 4 and 0 or 10 * i, images[{i, 1, 8, 8}])
        end
        assert.matches("many4%.png", messages[4])
    end)

    it("are shrunk with antialiasing: a fine checkerboard turns grey", function()
        local x, y = lx.arange(64), lx.arange(64):view(64, 1)
        local board = ((x + y) * 0.5 - ((x + y) * 0.5):floor()):mul(510):byte():view(1, 64, 64)
        local small = lx.vision.resize(board, 9, 9):float()
        assert.is_true(small:max():item() < 140 and small:min():item() > 115)
    end)

    it("take text and boxes, also over the edge", function()
        local image = lx.zeros({3, 40, 60}, {dtype = "uint8"})
        local drawn = lx.vision.draw_text(image, -5, 30, "NORMAL 99%", {colour = {0, 255, 0}, scale = 2})
        assert.is_true(drawn[2]:float():sum():item() > 0)
        assert.equal(0, drawn[1]:float():sum():item())
        assert.equal(0, image:float():sum():item())
        drawn = lx.vision.draw_rect(image, {x = 50, y = -3, w = 30, h = 20}, {colour = {9, 8, 7}})
        assert.equal(9, drawn[{1, 5, 51}])
        drawn = lx.vision.fill_rect((image + 100):byte(), {x = 0, y = 0, w = 10, h = 10},
            {alpha = 0.5})
        assert.equal(50, drawn[{1, 1, 1}])
        assert.equal(100, drawn[{1, 1, 11}])
        assert.has_error(function() lx.vision.draw_text(lx.zeros(3, 4, 4), 1, 1, "x") end)
    end)
end)

describe("checkpoints", function()
    it("keep every dtype and shape, and metadata of any form", function()
        local path = work .. "/all.safetensors"
        local tensors = {
            ["a.weight"] = lx.randn(3, 5):t(), bytes = lx.randint(0, 256, {7}, {dtype = "uint8"}),
            whole = lx.tensor({-1, 2 ^ 31 - 1}, {dtype = "int32"}), scalar = lx.tensor(2.5), empty = lx.zeros(0, 4),
        }
        local metadata = {text = "ü\n\"", number = 0.375, list = {1, 2, 3}, nested = {a = {b = true}}}
        assert.is_true(lx.checkpoint.save(path, tensors, metadata))
        local back, found = lx.load(path)
        for name, tensor in pairs(tensors) do
            assert.is_true(lx.equal(tensor, back[name]), name)
            assert.equal(tensor.dtype, back[name].dtype)
        end
        assert.same(metadata, found)
    end)

    it("give tensors that are the file's bytes, yet change neither the file nor with it", function()
        local path = work .. "/shared.safetensors"
        assert(lx.save(path, {a = lx.arange(6), b = lx.ones(3)}))
        local before, live = read(path), lx.memory().live
        local tensors = lx.load(path)
        assert.equal(live, lx.memory().live) -- nothing was allocated
        tensors.a:add_(1)
        assert.equal(before, read(path))
        assert(lx.save(path, {a = lx.zeros(6), b = lx.zeros(3)})) -- another file takes its place
        assert.same({1, 2, 3, 4, 5, 6}, tensors.a:totable())
        assert.same({1, 1, 1}, tensors.b:totable())
        local version = core.version(tensors.b)
        tensors.a:mul_(2)
        assert.equal(version, core.version(tensors.b))
        tensors.a:free()
        collectgarbage()
        assert.equal(3, tensors.b:sum():item())
    end)

    it("may hold numbers that are not aligned", function()
        local header = '{"u":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},'
            .. '"f":{"dtype":"F32","shape":[2],"data_offsets":[3,11]},'
            .. '"e":{"dtype":"F32","shape":[0],"data_offsets":[3,3]}}'
        header = header .. (" "):rep(-#header % 8)
        local tensors = assert(lx.load(write("odd.safetensors",
            ("<I8"):pack(#header) .. header .. "\1\2\3" .. ("<ff"):pack(0.5, -4))))
        assert.same({1, 2, 3}, tensors.u:totable())
        assert.same({0.5, -4}, tensors.f:totable())
        assert.equal(0, tensors.e:numel())
    end)

    it("that are damaged anywhere are refused with a message", function()
        local path = work .. "/whole.safetensors"
        assert(lx.checkpoint.save(path, {w = lx.randn(50), b = lx.randn(3)}, {model = "cnn"}))
        local whole = read(path)
        for _, length in ipairs {0, 5, 8, 20, #whole - 1} do
            local tensors, message, code = lx.checkpoint.load(write("cut.safetensors", whole:sub(1, length)))
            assert.is_nil(tensors)
            assert.matches("not a usable safetensors file", message)
            assert.equal("format", code)
        end
        for _, header in ipairs {
            "[]", "{", '{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', '{"w":1}',
            '{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',
            '{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}',
            '{"w":{"dtype":"F32","shape":[2],"data_offsets":[4,1]}}',
            '{"w":{"dtype":"F32","shape":[2],"data_offsets":[80,88]}}',
            '{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}', '{"w":{"dtype":"F32"}}',
        } do
            local tensors, message = lx.checkpoint.load(write("odd.safetensors",
                ("<I8"):pack(#header) .. header .. ("\0"):rep(8)))
            assert.is_nil(tensors, header)
            assert.matches("not a usable safetensors file", message)
        end
        local tensors, message, code = lx.checkpoint.load(work .. "/none.safetensors")
        assert.is_nil(tensors)
        assert.matches("No such file", message)
        assert.equal("io", code)
    end)

    it("do not fit a network with other layers, and the keys are listed", function()
        local nn = lx.nn
        local net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        local other = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1), nn.Linear(1, 1))
        assert.error_matches(function() net:load_state_dict(other:state_dict()) end, "3%.weight")
    end)

    it("survive a full disk: the old file stays whole", function()
        local path = work .. "/model.safetensors"
        assert(lx.save(path, {w = lx.ones(10)}))
        local before = read(path)
        -- a limit on the size of files stands for the disk: writing fails in the same way
        local script = ("local lx = require [[luxel]] local ok, message, code = lx.checkpoint.save([[%s]], "
            .. "{w = lx.ones(1000000)}) io.write(tostring(ok), [[|]], message, [[|]], code)"):format(path)
        local pipe = io.popen(("ulimit -f 100; trap '' XFSZ; %s -e '%s'"):format(os.getenv("LUA") or "lua5.4", script))
        local answer = pipe:read("a")
        pipe:close()
        assert.matches("^nil|cannot write .*model%.safetensors.*|io$", answer)
        assert.equal(before, read(path))
        local left = 0
        for name in lfs.dir(work) do left = left + (name:find("model", 1, true) and 1 or 0) end
        assert.equal(1, left)
    end)

    it("go to PyTorch and back where it is installed", function()
        local python = "env -u LD_PRELOAD /usr/bin/python3" -- without a sanitizer that these tests may run under
        if not os.execute(python .. " -c 'import torch' 2>/dev/null") then
            pending("python3-torch is not installed")
            return
        end
        local path = work .. "/torch.safetensors"
        local nn = lx.nn
        local net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(45, 2))
        local x = lx.randn(2, 1, 5, 5)
        local tensors = net:state_dict()
        tensors.x, tensors.y = x, net(x)
        assert(lx.checkpoint.save(path, tensors))
        local script = write("read.py", [[
import json, struct, sys, torch, torch.nn as nn
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n]); header.pop("__metadata__", None)
t = {}
for name, e in header.items():
    a, b = e["data_offsets"]
    t[name] = torch.frombuffer(bytearray(raw[8 + n + a:8 + n + b]), dtype=torch.float32).reshape(e["shape"])
x, y = t.pop("x"), t.pop("y")
net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(45, 2))
net.load_state_dict(t)
assert torch.allclose(net(x), y, atol=1e-5), (net(x), y)
]])
        assert.is_true(os.execute(("%s '%s' '%s'"):format(python, script, path)))
    end)
end)
