--- Image files of kinds that readers get wrong, and such with every field of their headers at all its values: made,
-- with the pixels that are right, by spec/golden/make_formats.py and make_headers.py.

local core = require "luxel.core"
local lx = require "luxel"
local shell = require "spec.support.shell"

local golden = assert(lx.checkpoint.load("spec/golden/formats.safetensors"))
for name, tensor in pairs(assert(lx.checkpoint.load("spec/golden/headers.safetensors"))) do golden[name] = tensor end
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
    local _, message = lx.vision.decode(bytes)
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
        assert.matches('^"letter" is not an image: JPEG, PNG, BMP, PNM, TIFF and DICOM are supported', message)
        assert.equal("format", code)
    end)
end)

describe("formats", function()
    it("are listed, and tell image folders what to read", function()
        assert.same({"JPEG", "PNG", "BMP", "PNM", "TIFF", "DICOM"}, lx.vision.formats)
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
