--- Image files of kinds that readers get wrong, and such with every field of their headers at all its values: made,
-- with the pixels that are right, by spec/golden/make_formats.py and make_headers.py.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local golden = {}
for file in lfs.dir("spec/golden") do -- formats_X.safetensors: a format with a script of its own
    if file:find("^formats.*%.safetensors$") or file == "headers.safetensors" then
        for name, tensor in pairs(assert(lx.checkpoint.load("spec/golden/" .. file))) do golden[name] = tensor end
    end
end
local path

setup(function() path = os.tmpname() end)
teardown(function() os.remove(path) end)

local function write(bytes) shell.write(path, bytes) end

local function names_of(pattern)
    local names = {}
    for name in pairs(golden) do names[#names + 1] = name:match(pattern) end
    table.sort(names)
    return names
end

-- In a build without libraries (LUXEL_TEST_BARE) that is said of kinds that it does not read, and of those alone.
local BARE <const> = os.getenv("LUXEL_TEST_BARE")
local function is_left_out(bytes)
    local _, message = lx.vision.decode(bytes, {frame = 1})
    return BARE and type(message) == "string" and message:find("which this build does not read (package", 1, true)
end

-- The names of files that are to be read.
local function files()
    local names = names_of("^(.*)/file$")
    for i = #names, 1, -1 do
        if is_left_out(core.to_string(golden[names[i] .. "/file"])) then table.remove(names, i) end
    end
    return names
end

local function apart(a, b) return (a:float() - b:float()):abs():max():item() end

-- What a file has to be: its pixels, and whether as bytes.
local function right_of(name)
    local levels = golden[name .. "/levels"]
    -- stb_image spreads colours of fewer pixels otherwise
    local within = BARE and name:find("^jpeg: colours") and 30 or golden[name .. "/within"][1]
    return levels or golden[name .. "/stored"], levels ~= nil, within
end

describe("a file of the kind", function()
    for _, name in ipairs(files()) do
        it(name, function()
            local right, as_bytes, within = right_of(name)
            local frame = golden[name .. "/frame"]
            local options = {channels = right.shape[1], bits = as_bytes and 8 or nil}
            options.frame = frame and frame[{1, 1, 1}]
            local bytes = core.to_string(golden[name .. "/file"])
            write(bytes)
            local image, info = assert(lx.vision.load(path, options))
            assert.same({table.unpack(right.shape)}, {table.unpack(image.shape)})
            assert.equal(right.dtype, image.dtype)
            assert.is_true(apart(image, right) <= within, ("differs by %g"):format(apart(image, right)))
            assert.same({info.height, info.width}, {image.shape[2], image.shape[3]})
            -- the other ways to the same pixels
            local again = assert(lx.vision.decode(bytes, options))
            assert.equal(0, apart(image, again))
            local probed = assert(lx.vision.probe(path))
            assert.same({info.format, info.width, info.height}, {probed.format, probed.width, probed.height})
            assert.matches("^format " .. info.format, tostring(info))
        end)
    end

    for _, name in ipairs(files()) do
        it(name .. ", cut short, is refused", function()
            local bytes = core.to_string(golden[name .. "/file"])
            -- the first of two pages is whole when the second is gone
            for _, share in ipairs {0.1, 0.4, not name:find("two pages") and 0.7 or nil} do
                local image, message, code = lx.vision.decode(bytes:sub(1, math.floor(share * #bytes)), {name = "cut"})
                assert.is_nil(image, ("read at %g"):format(share))
                assert.matches('^"cut"', message)
                assert.equal("format", code)
            end
        end)

        it(name .. ", as grey, is as bright as its colours", function()
            local right, as_bytes, within = right_of(name)
            if right.shape[1] == 1 then return end
            local grey = assert(lx.vision.decode(core.to_string(golden[name .. "/file"]),
                {bits = as_bytes and 8 or nil}))
            local bright = 0.299 * right[1]:float() + 0.587 * right[2]:float() + 0.114 * right[3]:float()
            local scale = right:float():max():item() / 255
            assert.is_true(apart(grey[1], bright) <= within + 2 * math.max(scale, 1), apart(grey[1], bright))
        end)
    end

    for _, name in ipairs(names_of("^refused/(.*)$")) do
        it(name .. " is refused", function()
            local image, message, code = lx.vision.decode(core.to_string(golden["refused/" .. name]))
            assert.is_nil(image)
            assert.matches(name:find("palette") and "palette" or name:find("scan header") and "scan header is too short"
                or "not supported; convert it with dcmdjpeg", message)
            assert.equal("format", code)
        end)
    end

    it("deflated DICOM, larger than what is looked at first", function()
        local bytes = core.to_string(golden["computed/dicom: deflated, large"])
        if is_left_out(bytes) then return end
        local image = assert(lx.vision.decode(bytes))
        assert.same({1, 800, 900}, {table.unpack(image.shape)})
        local right = (lx.arange(800):view(800, 1) + lx.arange(900):view(1, 900)) * 2 % 4096
        assert.equal(0, apart(image[1], right))
    end)
end)

describe("JPEG 2000 of components with a coding of their own", function()
    -- The comment of the stream makes room: COC takes 11 bytes of it.
    local function with(levels, width, precinct)
        local bytes = core.to_string(golden["dicom: JPEG 2000, 12 bits, unsigned/file"])
        local from = assert(bytes:find("\255\100\0\37", 1, true))
        local coding = string.char(0, precinct and 1 or 0, levels, width, 4, 0, 1) .. (precinct or "")
        local marker = "\255\83" .. (">I2"):pack(2 + #coding) .. coding
        local rest = 37 - #marker
        return bytes:sub(1, from - 1) .. marker .. "\255\100" .. (">I2"):pack(rest) .. ("\0"):rep(rest - 2)
            .. bytes:sub(from + 39)
    end

    it("is read where they are usual, and refused where they are not", function()
        if is_left_out(with(1, 4)) then return end
        local image = assert(lx.vision.decode(with(1, 4)))
        assert.equal(0, apart(image, golden["dicom: JPEG 2000, 12 bits, unsigned/stored"]))
        for problem, bytes in pairs {
            ["more than 32 levels"] = with(33, 4), ["code blocks of less than 16"] = with(1, 1),
            ["precincts of less than 32"] = with(1, 4, "\17\17"), ["is cut short"] = with(1, 4, "\255"),
        } do
            local none, message = lx.vision.decode(bytes)
            assert.is_nil(none, problem)
            assert.matches(problem, message, 1, true)
        end
    end)
end)

describe("options of reading", function()
    local function bytes_of(name) return core.to_string(golden[name .. "/file"]) end

    it("leave a picture as it is stored", function()
        local upright = golden["jpeg: orientation 6/stored"]
        local image, info = assert(lx.vision.decode(bytes_of("jpeg: orientation 6"), {orientation = false}))
        assert.same({1, upright.shape[3], upright.shape[2]}, {table.unpack(image.shape)})
        assert.equal(6, info.orientation)
        assert.is_true(apart(image[1]:t():flip(2), upright[1]) <= 3)
        write(bytes_of("jpeg: orientation 6"))
        assert.equal(upright.shape[3], lx.vision.probe(path).width)
        assert.equal(upright.shape[2], lx.vision.probe(path, {orientation = false}).width)
    end)

    it("prefer a window to a table of levels", function()
        local name = "dicom: table of levels beside a window"
        local stored = assert(lx.vision.decode(bytes_of(name)))
        local image = assert(lx.vision.decode(bytes_of(name), {bits = 8, voi = "window"}))
        local right = ((stored - 1999.5) / 999 + 0.5):clamp(0, 1) * 255
        assert.is_true(apart(image, right) <= 1)
    end)

    it("name what does not exist", function()
        assert.error_matches(function() lx.vision.load("x.png", {orient = false}) end, "unknown option 'orient'")
        assert.error_matches(function() lx.vision.save("x.jpg", lx.zeros({1, 2, 2}, {dtype = "uint8"})) end,
            "save: path: PNG is what is written")
        local image, message, code = lx.vision.decode("no image at all", {name = "letter"})
        assert.is_nil(image)
        local names = table.concat(lx.vision.formats, ", "):gsub(", (%w+)$", " and %1")
        assert.matches('^"letter" is not an image: ' .. names .. " are supported", message)
        assert.equal("format", code)
    end)
end)

describe("formats", function()
    it("are listed, and tell image folders what to read", function()
        local read = {}
        for _, name in ipairs(files()) do
            local _, info = lx.vision.decode(core.to_string(golden[name .. "/file"]), {frame = 1})
            read[info.format] = true
        end
        for _, name in ipairs(lx.vision.formats) do
            local ok = read[name] or BARE and name == "TIFF" -- which is refused by its name there
            assert.is_true(ok, name .. " has no file here")
        end
    end)

    it("of deep files go to quality with what their file says", function()
        local image, info = assert(lx.vision.decode(core.to_string(golden["png: 12 bits at the lower end of 16/file"])))
        assert.equal(12, info.bits)
        assert.equal(4095, info.white)
        local levels = image * (255 / 4095)
        assert.is_true(apart(levels, golden["png: 12 bits at the lower end of 16/levels"]) <= 1)
        assert.same(lx.vision.quality(levels), lx.vision.quality(image, info))
        local limits = {limits = {small = 1}}
        assert.same(lx.vision.quality(levels, limits), lx.vision.quality(image, info, limits))
        -- units of their own, which may be anything
        local bytes = core.to_string(golden["tiff: signed/file"])
        if is_left_out(bytes) then return end
        local units, of_units = assert(lx.vision.decode(bytes))
        assert.is_nil(of_units.white)
        local low, high = units:min():item(), units:max():item()
        assert.same(lx.vision.quality((units - low) * (255 / (high - low))), lx.vision.quality(units, of_units))
    end)
end)

describe("a MetaImage", function()
    local HEAD <const> = "ObjectType = Image\nNDims = 2\nDimSize = 3 2\nElementType = MET_USHORT\n"
    local PIXELS <const> = "\1\0\2\0\3\0\4\0\5\0\255\15"

    local folder
    setup(function()
        folder = os.tmpname()
        os.remove(folder)
        assert(lfs.mkdir(folder))
    end)
    teardown(function()
        for name in lfs.dir(folder) do os.remove(folder .. "/" .. name) end
        os.remove(folder)
    end)

    local function put(name, bytes)
        local file = assert(io.open(folder .. "/" .. name, "wb"))
        assert(file:write(bytes))
        file:close()
        return folder .. "/" .. name
    end

    it("has its samples in a file beside it, from where its header says", function()
        put("film.raw", PIXELS)
        put("later.raw", "before" .. PIXELS)
        put("last.raw", ("x"):rep(99) .. PIXELS)
        for _, text in ipairs {
            "ElementDataFile = film.raw\n", "ElementDataFile = film.raw",
            "HeaderSize = 6\nElementDataFile = later.raw\n", "HeaderSize = -1\nElementDataFile = last.raw\n",
            "HeaderSize = -1\nElementDataFile = film.raw\n",
        } do
            local image, info = assert(lx.vision.load(put("film.mhd", HEAD .. text)))
            assert.same({{{1, 2, 3}, {4, 5, 4095}}}, image:totable())
            assert.same({"MetaImage", 12, 4095}, {info.format, info.bits, info.white})
            local probed = lx.vision.probe(folder .. "/film.mhd")
            assert.same({3, 2}, {probed.width, probed.height})
        end
    end)

    it("whose samples are elsewhere is refused", function()
        local function refused(text, pattern)
            local path_of = put("film.mhd", HEAD .. text)
            local image, message = lx.vision.load(path_of)
            assert.is_nil(image)
            assert.matches(pattern, message)
            assert.is_nil((lx.vision.probe(path_of)))
        end
        put("short.raw", PIXELS:sub(2))
        refused("ElementDataFile = short.raw\n", "damaged MetaImage: the file with its samples is too short")
        refused("ElementDataFile = none.raw\n", "none.raw")
        refused("ElementDataFile = ../film.raw\n", "\"../film.raw\"; a file in the same folder is read, no other")
        refused("ElementDataFile = /etc/passwd\n", "in the same folder")
        refused("ElementDataFile = LIST\nfilm.raw\n", "samples in several files, which is not supported")
        refused("ElementDataFile = film%03d.raw 1 2 1\n", "samples in several files, which is not supported")
        local image, message = lx.vision.decode(HEAD .. "ElementDataFile = film.raw\n", {name = "bytes"})
        assert.is_nil(image)
        assert.matches('^"bytes" has its samples in another file, "film.raw"; read it by its path', message)
    end)

    it("of another kind is refused, saying which", function()
        for text, pattern in pairs {
            [HEAD:gsub("MET_USHORT", "MET_LONG") .. "ElementDataFile = LOCAL\n"] = "ElementType 'MET_LONG', which",
            [HEAD:gsub("NDims = 2", "NDims = 4")] = "breaks off",
            [HEAD:gsub("NDims = 2", "NDims = 4") .. "ElementDataFile = LOCAL\n"] = "neither 2 nor 3 dimensions",
            [HEAD:gsub("= Image", "= Tube") .. "ElementDataFile = LOCAL\n"] = "something else than an image",
            [HEAD .. "ElementNumberOfChannels = 3\nElementDataFile = LOCAL\n"] = "several channels",
            [HEAD .. "BinaryData = False\nElementDataFile = LOCAL\n"] = "samples in text",
            [HEAD .. "BinaryData = Perhaps\nElementDataFile = LOCAL\n"] = "where True or False should be",
            [HEAD .. "NDims = 2\nElementDataFile = LOCAL\n"] = "says something twice",
            [HEAD .. "no line\nElementDataFile = LOCAL\n"] = "a line of its header has no '='",
            [HEAD:gsub("3 2", "3") .. "ElementDataFile = LOCAL\n"] = "does not say how large",
            [HEAD:gsub("3 2", "3 2 1") .. "ElementDataFile = LOCAL\n"] = "more sizes than dimensions",
            [HEAD:gsub("3 2", "3 0") .. "ElementDataFile = LOCAL\n"] = "3 x 0 pixels",
            [HEAD:gsub("3 2", "300000 2") .. "ElementDataFile = LOCAL\n"] = "too large",
            [HEAD .. "HeaderSize = -2\nElementDataFile = LOCAL\n"] = "where the samples begin",
            [HEAD .. "Comment = " .. ("x"):rep(70000) .. "\n"] = "breaks off",
            [HEAD .. ("Comment = x\n"):rep(7000) .. "ElementDataFile = LOCAL\n"] = "does not end",
        } do
            local image, message, code = lx.vision.decode(text .. PIXELS:sub(1, 11))
            assert.is_nil(image, pattern)
            assert.matches(pattern, message)
            assert.equal("format", code)
        end
        local image, message = lx.vision.decode((HEAD:gsub("NDims = 2", "NDims = 3"):gsub("3 2", "3 1 2"))
            .. "ElementDataFile = LOCAL\n" .. PIXELS)
        assert.is_nil(image)
        assert.matches("has 2 frames; say which one, with frame = 1 for the first", message)
        assert.error_matches(function()
            lx.vision.decode(HEAD .. "ElementDataFile = LOCAL\n" .. PIXELS, {frame = 2})
        end, "has 1 frame; there is no frame 2")
    end)

    it("is read from bytes with its samples behind the header", function()
        local image = assert(lx.vision.decode(HEAD .. "ElementDataFile = LOCAL\n" .. PIXELS))
        assert.same({{{1, 2, 3}, {4, 5, 4095}}}, image:totable())
    end)
end)
