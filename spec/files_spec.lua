--- Images and checkpoints: good ones come back unchanged, bad ones give a message and harm nothing.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local work

local function write(name, text) return shell.write(work .. "/" .. name, text) end

-- Loading must give nil, a message that names the file, and the code.
local function refuses(path, code, pattern)
    local image, message, got = lx.vision.load(path)
    assert.is_nil(image)
    assert.matches(pattern, message)
    assert.matches(path:match("[^/]*$"), message, 1, true)
    assert.equal(code, got)
end

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

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
        local whole = shell.read(work .. "/whole.png")
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

    it("are written with each filter and all lengths of repetitions", function()
        lx.manual_seed(5)
        local x, y = lx.arange(211), lx.arange(190):view(190, 1)
        local pictures = {
            lx.zeros(1, 300, 300), lx.rand(3, 190, 211) * 256, (x + y * 3):view(1, 190, 211),
            x:view(1, 1, 211):expand(3, 190, 211), lx.rand(1, 400, 400):mul(3):floor(),
            lx.cat({lx.rand(1, 99, 331) * 256, lx.zeros(1, 1, 331)}, 2):expand(3, 100, 331),
            lx.tensor {{{7}}}, lx.rand(1, 5, 1) * 256, lx.rand(3, 1, 2) * 256,
        }
        local block = (lx.rand(1, 129, 254) * 256):byte() -- a row is 255 bytes: repetitions as far as they may be
        pictures[#pictures + 1] = lx.cat({block, block, block}, 2)
        for i, picture in ipairs(pictures) do
            local image, path = picture:clamp(0, 255):byte(), work .. "/filters.png"
            assert(lx.vision.save(path, image))
            local back = assert(lx.vision.load(path, {channels = image.shape[1]}))
            assert.is_true(core.to_string(image:contiguous()) == core.to_string(back), i)
        end
        assert.is_true(#core.encode_png(pictures[1]:byte()) < 900)
    end)

    it("are written with the checks that readers of PNG compare", function()
        local png = core.encode_png(lx.tensor({{{200}}}, {dtype = "uint8"}))
        local at, seen = 9, {}
        while at < #png do
            local length, name = (">I4c4"):unpack(png, at)
            assert.equal(crc(png:sub(at + 4, at + 7 + length)), ((">I4"):unpack(png, at + 8 + length)))
            seen[#seen + 1] = name
            if name == "IDAT" then
                local a, b = 1, 0
                for _, byte in ipairs {0, 200} do -- filter 0, and the pixel
                    a = a + byte
                    b = b + a
                end
                assert.equal(b << 16 | a, ((">I4"):unpack(png, at + 4 + length)))
            end
            at = at + 12 + length
        end
        assert.same({"IHDR", "IDAT", "IEND"}, seen)
    end)

    it("are decoded many at a time, the bad ones named", function()
        local paths = {}
        for i = 1, 9 do
            paths[i] = ("%s/many%d.png"):format(work, i)
            local shape = i == 9 and {1, 1, 1} or {1, 20 + i, 31}
            assert(lx.vision.save(paths[i], lx.full(shape, 10 * i, {dtype = "uint8"})))
        end
        write("many4.png", "broken")
        local images, ok, messages, codes = core.decode_images(paths, 17)
        assert.same({9, 1, 17, 17}, images.shape)
        for i = 1, 9 do
            assert.equal(i ~= 4, ok[i])
            assert.equal(i == 4 and 0 or 10 * i, images[{i, 1, 8, 8}])
        end
        assert.matches("many4%.png", messages[4])
        assert.equal("format", codes[4])
    end)

    it("are read several at a time as one by one, each with what its file says or why not", function()
        write("broken.png", "broken")
        local paths = {work .. "/broken.png", "/nowhere.png"}
        for _, name in ipairs {"bmp-rgb", "jpeg-grey", "jpeg-progressive", "pgm-deep", "png-deep", "png-rgba",
            "dicom-big-12", "dicom-rgb-0"} do
            paths[#paths + 1] = "spec/fuzz/corpus/" .. name
        end
        for _, options in ipairs {{}, {bits = 8}, {channels = 3}} do
            local films = lx.vision.load_all(paths, options)
            assert.equal(#paths, #films)
            for i, path in ipairs(paths) do
                local image, info, code = lx.vision.load(path, options)
                assert.equal(i > 2, image ~= nil)
                if image then
                    assert.is_true(lx.equal(image, films[i].image), path)
                    assert.equal(tostring(info), tostring(films[i].info))
                    assert.same({}, {films[i].message, films[i].code})
                else
                    assert.same({message = info, code = code}, films[i])
                end
            end
        end
        assert.error_matches(function() lx.vision.load_all {} end, "load_all: .*expected a table of 1 to 4096 paths")
        assert.error_matches(function() lx.vision.load_all({"x"}, {bit = 8}) end, "load_all: .*unknown option 'bit'")
    end)

    it("are not written where nothing could read them again", function()
        local path = work .. "/large.png"
        assert.error_matches(function() lx.vision.save(path, lx.empty({1, 10001, 10000}, {dtype = "uint8"})) end,
            "10000 x 10001 pixels .* at most 100 million")
        assert.is_nil(lfs.attributes(path))
    end)

    it("say their size, channels and bits without being decoded", function()
        for name, expected in pairs {
            ["bmp-rgb"] = {"BMP", 13, 9, 3, 8}, ["jpeg-grey"] = {"JPEG", 47, 33, 1, 8},
            ["jpeg-rgb"] = {"JPEG", 13, 9, 3, 8}, ["jpeg-progressive"] = {"JPEG", 47, 33, 1, 8},
            ["jpeg-subsampled"] = {"JPEG", 39, 27, 3, 8}, pgm = {"PNM", 13, 9, 1, 8}, ppm = {"PNM", 13, 9, 3, 8},
            ["pgm-deep"] = {"PNM", 13, 9, 1, 12}, ["png-deep"] = {"PNG", 13, 9, 1, 16},
            ["png-grey"] = {"PNG", 13, 9, 1, 8}, ["png-rgb"] = {"PNG", 13, 9, 3, 8},
            ["png-grey-alpha"] = {"PNG", 13, 9, 2, 8}, ["png-rgba"] = {"PNG", 13, 9, 4, 8},
            ["png-one-bit"] = {"PNG", 13, 9, 1, 8}, ["dicom-rgb-0"] = {"DICOM", 13, 9, 3, 8},
            ["dicom-big-12"] = {"DICOM", 13, 9, 1, 12},
        } do
            local path = "spec/fuzz/corpus/" .. name
            local info = assert(lx.vision.probe(path))
            assert.same(expected, {info.format, info.width, info.height, info.channels, info.bits}, name)
            local image, same = lx.vision.load(path, {channels = expected[4] >= 3 and 3 or 1})
            assert.same({expected[4] >= 3 and 3 or 1, expected[3], expected[2]}, image.shape, name)
            same.white = nil -- known only once the samples are
            assert.same(info, same, name)
        end
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

describe("drawing", function()
    local HEIGHT <const>, WIDTH <const> = 23, 31
    local image
    before_each(function() image = lx.randint(0, 256, {3, HEIGHT, WIDTH}, {dtype = "uint8"}) end)

    -- What a function of (old level, channel, x, y) makes of every pixel.
    local function each_pixel(from, f)
        local rows = from:totable()
        for channel, plane in ipairs(rows) do
            for y, row in ipairs(plane) do
                for x, level in ipairs(row) do row[x] = f(level, channel, x - 1, y - 1) end
            end
        end
        return lx.tensor(rows, {dtype = "uint8"})
    end

    local function is_inside(box, x, y, margin)
        return x >= box.x + margin and y >= box.y + margin and x < box.x + box.w - margin
            and y < box.y + box.h - margin
    end

    local BOXES <const> = {
        {x = 3, y = 4, w = 9, h = 6}, {x = -4, y = -2, w = 10, h = 9}, {x = 25, y = 17, w = 20, h = 20},
        {x = -9, y = 5, w = 99, h = 3}, {x = 40, y = 5, w = 4, h = 4}, {x = 5, y = 5, w = 0, h = 7},
        {x = 0, y = 0, w = 1, h = 1},
    }

    it("fills rectangles, as far as they lie in the image", function()
        local colour = {200, 10, 77}
        for _, box in ipairs(BOXES) do
            for _, alpha in ipairs {0, 0.3, 1} do
                local expected = each_pixel(image, function(level, channel, x, y)
                    if not is_inside(box, x, y, 0) then return level end
                    return math.floor(level + (colour[channel] - level) * alpha + 0.5)
                end)
                local got = lx.vision.fill_rect(image, box, {colour = colour, alpha = alpha})
                assert.is_true((expected:float() - got:float()):abs():max():item() <= (alpha == 0.3 and 1 or 0))
            end
        end
        local black = lx.vision.fill_rect(image, BOXES[1])
        assert.equal(0, black:narrow(2, 5, 6):narrow(3, 4, 9):float():max():item())
    end)

    it("outlines rectangles inwards", function()
        for _, box in ipairs(BOXES) do
            for thickness = 1, 4 do
                local expected = each_pixel(image, function(level, channel, x, y)
                    local edge = is_inside(box, x, y, 0) and not is_inside(box, x, y, thickness)
                    return edge and channel * 50 or level
                end)
                local got = lx.vision.draw_rect(image, box, {colour = {50, 100, 150}, thickness = thickness})
                assert.is_true(lx.equal(expected, got), ("%d %d %d"):format(box.x, box.w, thickness))
            end
        end
    end)

    -- Text in white on black, of one channel.
    local function text_on(height, width, x, y, text, scale)
        return lx.vision.draw_text(lx.zeros({1, height, width}, {dtype = "uint8"}), x, y, text, {scale = scale})
    end

    it("writes text that is where it is asked for, as large as it is said to be", function()
        local text = "Normal 99.5% {x}"
        local width, height = lx.vision.text_size(text)
        local plain = text_on(40, 200, 0, 0, text, 1)
        assert.is_true(plain:float():sum():item() > 0)
        assert.equal(0, plain:narrow(2, height + 1, 40 - height):float():sum():item())
        assert.equal(0, plain:narrow(3, width + 1, 200 - width):float():sum():item())
        -- moved, and cut off at all borders
        local moved = text_on(40, 200, 7, 5, text, 1)
        assert.is_true(lx.equal(plain:narrow(2, 1, 35):narrow(3, 1, 193):contiguous(),
            moved:narrow(2, 6, 35):narrow(3, 8, 193):contiguous()))
        local cut = text_on(6, 30, -11, -2, text, 1)
        assert.is_true(lx.equal(plain:narrow(2, 3, 6):narrow(3, 12, 30):contiguous(), cut))
        -- three times as large
        assert.same({3 * width, 3 * height}, {lx.vision.text_size(text, 3)})
        local large = text_on(120, 600, 0, 0, text, 3)
        local repeated = plain:view(1, 40, 1, 200, 1):expand(1, 40, 3, 200, 3):contiguous():view(1, 120, 600)
        assert.is_true(lx.equal(repeated, large))
        -- in a colour, and nothing else
        local same = {colour = {255, 255, 255}, scale = 1}
        assert.is_true(lx.equal(lx.vision.draw_text(image, 2, 3, "Ab"), lx.vision.draw_text(image, 2, 3, "Ab", same)))
        local coloured = lx.vision.draw_text(image, 2, 3, "Ab", {colour = {1, 2, 3}})
        local white = text_on(HEIGHT, WIDTH, 2, 3, "Ab", 1)
        assert.is_true(lx.equal(each_pixel(image, function(level, channel, x, y)
            return white[{1, y + 1, x + 1}] > 0 and channel or level
        end), coloured))
    end)

    it("writes one character after the other, and one line below the other", function()
        local width, height = lx.vision.text_size("A")
        local function at(x, y, text) return text_on(60, 60, x, y, text, 1):float() end
        assert.is_true(lx.equal(at(3, 4, "A") + at(3 + width, 4, "B"), at(3, 4, "AB")))
        assert.same({width, 2 * height}, {lx.vision.text_size("A\nA")})
        assert.same({lx.vision.text_size("wide"), 3 * height}, {lx.vision.text_size("A\nwide\nA")})
        assert.is_true(lx.equal(at(3, 4, "A") + at(3, 4 + height, "B"), at(3, 4, "A\nB")))
    end)

    it("writes every character of ASCII, and a question mark for all others", function()
        local unknown, seen = text_on(20, 20, 1, 1, "?", 1), {}
        for byte = 33, 126 do
            local drawn = text_on(20, 20, 1, 1, string.char(byte), 1)
            assert.is_true(drawn:float():sum():item() > 0, string.char(byte))
            if byte ~= 63 then assert.is_false(lx.equal(unknown, drawn), string.char(byte)) end
            seen[byte] = drawn
        end
        assert.is_false(lx.equal(seen[48], seen[79]))
        assert.equal(0, text_on(20, 20, 1, 1, " ", 1):float():sum():item())
        for _, text in ipairs {"é", "→", "\127", "\1"} do
            assert.is_true(lx.equal(unknown, text_on(20, 20, 1, 1, text, 1)), text)
            assert.equal(lx.vision.text_size("?"), (lx.vision.text_size(text)))
        end
        assert.equal(lx.vision.text_size("?a"), (lx.vision.text_size("éa")))
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
        local before, live = shell.read(path), lx.memory().live
        local tensors = lx.load(path)
        assert.equal(live, lx.memory().live) -- nothing was allocated
        tensors.a:add_(1)
        assert.equal(before, shell.read(path))
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
        local whole = shell.read(path)
        for _, length in ipairs {0, 5, 8, 20, #whole - 1} do
            local tensors, message, code = lx.checkpoint.load(write("cut.safetensors", whole:sub(1, length)))
            assert.is_nil(tensors)
            assert.matches("not a usable safetensors file", message)
            assert.equal("format", code)
        end
        for _, header in ipairs {
            "[]", "{", '{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}', '{"w":1}',
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
        local before = shell.read(path)
        -- a limit on the size of files stands for the disk: writing fails in the same way
        local script = ("local lx = require [[luxel]] local ok, message, code = lx.checkpoint.save([[%s]], "
            .. "{w = lx.ones(1000000)}) io.write(tostring(ok), [[|]], message, [[|]], code)"):format(path)
        local pipe = io.popen(("ulimit -f 100; trap '' XFSZ; %s -e '%s'"):format(os.getenv("LUA") or "lua5.4", script))
        local answer = pipe:read("a")
        pipe:close()
        assert.matches("^nil|cannot write .*model%.safetensors.*|io$", answer)
        assert.equal(before, shell.read(path))
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

describe("a checksum", function()
    -- of the reference implementation of XXH64 (xxhash 3.4.1 for Python)
    local KNOWN <const> = {
        [""] = 0xEF46DB3751D8E999, a = 0xD24EC4F1A98C6E5B, abc = 0x44BC2CF5AD770999,
        ["Nobody inspects the spammish repetition"] = 0xFBCEA83C8A378BF1,
    }

    it("is XXH64", function()
        for text, sum in pairs(KNOWN) do assert.equal(sum, core.checksum(text)) end
    end)
end)

describe("a checkpoint on disk", function()
    it("has its tensors at multiples of 64 bytes", function()
        local path = os.tmpname()
        for _, name in ipairs {"x", "a name of another length", ("n"):rep(61)} do
            assert(lx.checkpoint.save(path, {[name] = lx.ones(3)}))
            local file = assert(io.open(path, "rb"))
            local length = string.unpack("<I8", file:read(8))
            file:close()
            assert.equal(0, (8 + length) % 64)
        end
        os.remove(path)
    end)

    it("keeps what is no number, in halves of floats too", function()
        local path = os.tmpname()
        for dtype, bytes in pairs {F16 = "\0\x7e\0\x7c\0\xfc\1\xfc", BF16 = "\xc0\x7f\x80\x7f\x80\xff\x81\xff"} do
            local header = ('{"x":{"dtype":"%s","shape":[4],"data_offsets":[0,8]}}'):format(dtype)
            local file = assert(io.open(path, "wb"))
            file:write(string.pack("<s8", header), bytes)
            file:close()
            local x = assert(lx.checkpoint.load(path)).x
            assert.is_true(x[1] ~= x[1] and x[4] ~= x[4])
            assert.same({math.huge, -math.huge}, {x[2], x[3]})
        end
        os.remove(path)
    end)
end)

describe("a colour", function()
    it("has three levels that are checked", function()
        local image = lx.zeros({3, 20, 20}, {dtype = "uint8"})
        for place = 1, 3 do
            local colour = {1, 2, 3}
            colour[place] = 256
            assert.error_matches(function() lx.vision.draw_text(image, 1, 1, "a", {colour = colour}) end, "colour")
        end
    end)
end)

describe("tensors of as many dimensions as there can be", function()
    it("are saved and loaded", function()
        local path = os.tmpname()
        local shape = {1, 2, 1, 3, 1, 2, 1, 2}
        local tensor = lx.arange(24):view(table.unpack(shape))
        assert(lx.checkpoint.save(path, {x = tensor}))
        local loaded = assert(lx.checkpoint.load(path)).x
        os.remove(path)
        assert.same(shape, {table.unpack(loaded.shape)})
        assert.same(tensor:flatten():totable(), loaded:flatten():totable())
    end)
end)

describe("what killed processes leave", function()
    local folder, images

    local function temporaries()
        local names = {}
        for name in lfs.dir(folder) do
            if name:find("^%.luxel%-") then names[#names + 1] = name end
        end
        return names
    end

    -- Builds a cache of images in `folder`; `once` is called in the midst of it.
    local function build_cache(once)
        local frame = assert(lx.data.image_folder(images))
        return frame:open {size = 16, cache = folder .. "/images.cache", progress = function()
            if once then once() end
            once = nil
        end}
    end

    setup(function()
        folder, images = work .. "/killed", work .. "/killed_images"
        assert(lfs.mkdir(folder))
        assert(lx.data.phantom_save(images, {n = 6, size = 32, seed = 5}))
    end)

    it("goes with the next file that is written there", function()
        local script = write("kill.lua", ([[
            local lx = require "luxel"
            lx.data.image_folder("%s"):open {size = 16, cache = "%s/images.cache", progress = function()
                os.execute("kill -9 $PPID")
            end}
        ]]):format(images, folder))
        for _ = 1, 2 do os.execute(("%s '%s' 2>/dev/null"):format(os.getenv("LUA") or "lua5.4", script)) end
        local left = temporaries()
        assert.equal(1, #left) -- the second one removed what the first one left
        assert(lx.save(folder .. "/model.safetensors", {w = lx.ones(3)}))
        assert.same({}, temporaries())
        os.execute(("%s '%s' 2>/dev/null"):format(os.getenv("LUA") or "lua5.4", script))
        assert.equal(1, #temporaries())
        assert(build_cache())
        assert.same({}, temporaries())
    end)

    it("stays as long as its writer lives", function()
        os.remove(folder .. "/images.cache")
        local during
        local set = assert(build_cache(function()
            assert(lx.save(folder .. "/model.safetensors", {w = lx.ones(3)}))
            local script = ("local lx = require [[luxel]] assert(lx.save([[%s/other.safetensors]], {w = lx.ones(3)}))")
                :format(folder)
            assert(os.execute(("%s -e '%s'"):format(os.getenv("LUA") or "lua5.4", script)))
            during = temporaries()
        end))
        assert.equal(1, #during)
        assert.same({}, temporaries())
        assert.is_true(set.store:info().cached)
    end)

    it("is left alone where it may be another machine's, or is something else", function()
        local function touch(name, when)
            write("killed/" .. name, "x")
            assert(lfs.touch(folder .. "/" .. name, when, when))
        end
        touch(".luxel-0123456789abcdef", os.time() - 60)
        touch(".luxel-fedcba9876543210", os.time() - 2 * 24 * 3600)
        touch(".luxel-0123456789abcde", 0)
        touch(".luxel-notes", 0)
        assert(lfs.mkdir(folder .. "/.luxel-00000000000000ff"))
        assert(lx.save(folder .. "/model.safetensors", {w = lx.ones(3)}))
        local left = temporaries()
        table.sort(left)
        assert.same({
            ".luxel-00000000000000ff", ".luxel-0123456789abcde", ".luxel-0123456789abcdef", ".luxel-notes",
        }, left)
    end)
end)
