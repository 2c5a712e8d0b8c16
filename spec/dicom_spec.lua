--- DICOM files of every kind that is read, as pydicom writes and understands them (spec/golden/make_dicom.py), and real
-- ones.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local golden = assert(lx.checkpoint.load("spec/golden/dicom.safetensors"))
local path

setup(function() path = os.tmpname() end)
teardown(function() os.remove(path) end)

local function write(bytes) shell.write(path, bytes) end

local function bytes_of(name) return core.to_string(golden[name .. "/file"]) end

local function load(name, options)
    write(bytes_of(name))
    return lx.vision.load(path, options)
end

local function apart(a, b) return (a:float() - b:float()):abs():max():item() end

describe("DICOM:", function()
    local names = {}
    for name in pairs(golden) do
        local kind = name:match("^(.*)/file$")
        if kind then names[#names + 1] = kind end
    end
    table.sort(names)

    for _, name in ipairs(names) do
        it(name, function()
            local first, problem = load(name)
            if not first and problem:find("OpenJPEG") then
                pending("this build has no OpenJPEG")
                return
            end
            local stored = golden[name .. "/raw"]
            local colour, frames = name:find("rgb") ~= nil, name:find("frames") and 3 or 1
            for frame = 1, frames do
                local expected = frames > 1 and stored[frame] or stored
                local image, info = load(name, {raw = true, channels = colour and 3 or 1, frame = frame})
                assert.is_truthy(image, info)
                -- one level for the arithmetic of another JPEG decoder
                local limit = name:find("jpeg/") and 1 or 0
                assert.is_true(apart(image, expected:view(table.unpack(image.shape))) <= limit)
                assert.equal(info.bits > 8 and "float32" or name:find("signed") and "float32" or "uint8", image.dtype)
                assert.equal("DICOM", info.format)
                assert.same({23, 31}, {info.height, info.width})
                assert.equal(frames, info.frames)
            end
            local shown = golden[name .. "/shown"]
            if shown then
                local image = assert(load(name, {bits = 8}))
                assert.equal("uint8", image.dtype)
                assert.is_true(apart(image, shown:view(1, 23, 31)) <= 0.51)
            end
        end)
    end

    it("white is at the large end", function()
        local stored = golden["mono1/8/raw"]
        assert.is_true(lx.equal((255 - stored):view(1, 23, 31), (assert(load("mono1/8"))):float()))
        stored = golden["mono1/12/raw"]
        assert.is_true(lx.equal((4095 - stored):view(1, 23, 31), (assert(load("mono1/12")))))
        assert.is_true(lx.equal(golden["explicit/12/raw"]:view(1, 23, 31), (assert(load("explicit/12")))))
    end)

    it("the shape of the presentation table says which end is white", function()
        local image, info = load("inverse/12")
        assert.is_true(lx.equal((4095 - golden["inverse/12/raw"]):view(1, 23, 31), image))
        assert.is_nil(info.pixel_spacing)
        assert.same({0.2, 0.25}, info.detector_spacing)
    end)

    it("a spacing that is the detector's too was not corrected for magnification", function()
        local at_detector = "\x18\0\x64\x11DS"
        local bytes, count = bytes_of("window/linear"):gsub(at_detector .. "\8\0........",
            at_detector .. "\10\0000.143\\0.15")
        assert.equal(1, count)
        write(bytes)
        local _, info = lx.vision.load(path)
        assert.is_nil(info.pixel_spacing)
        assert.same({0.143, 0.15}, info.detector_spacing)
    end)

    it("YBR becomes RGB", function()
        assert.is_true(apart(assert(load("rgb/ybr", {channels = 3})), golden["rgb/ybr/colours"]) <= 1)
    end)

    it("values are rescaled", function()
        -- 0.5 v - 100 over all that 13 bits with a sign can hold, inverted
        local ends = (-4096 * 0.5 - 100) + (4095 * 0.5 - 100)
        local expected = ends - (golden["rescaled/raw"] * 0.5 - 100)
        assert.is_true(apart(expected:view(1, 23, 31), assert(load("rescaled"))) < 1e-3)
    end)

    it("says what the file says, and who it is only when asked", function()
        local _, info = load("window/linear")
        assert.equal("DX", info.modality)
        assert.equal("PA", info.view_position)
        assert.equal("MONOCHROME2", info.photometric)
        assert.equal("F", info.sex)
        assert.equal("042Y", info.age)
        assert.same({0.143, 0.15}, info.pixel_spacing)
        assert.is_nil(info.detector_spacing)
        assert.same({{centre = 1800, width = 1500.5}, {centre = 40, width = 400}}, info.windows)
        for _, name in ipairs {"patient_name", "patient_id", "study_date"} do assert.is_nil(info[name]) end
        for key, value in pairs(info) do
            assert.is_nil(tostring(value):find("Somebody") or tostring(value):find("4711"), key)
        end
        _, info = load("window/linear", {identifiers = true})
        assert.equal("Somebody^Else", info.patient_name)
        assert.equal("4711", info.patient_id)
        assert.equal("20200229", info.study_date)
        assert.equal(12, (assert(lx.vision.probe(path))).bits)
        assert.is_nil((assert(lx.vision.probe(path))).patient_name)
        assert.equal("4711", (assert(lx.vision.probe(path, {identifiers = true}))).patient_id)
    end)

    it("grey and colour are made of each other", function()
        local grey = assert(load("rgb/0", {channels = 1}))
        local rgb = golden["rgb/0/raw"]
        local expected = ((rgb[1] * 77 + rgb[2] * 150 + rgb[3] * 29) / 256):floor()
        assert.is_true(lx.equal(expected:view(1, 23, 31), grey:float()))
        local three = assert(load("explicit/12", {channels = 3}))
        for c = 1, 3 do assert.is_true(lx.equal(three[c], (assert(load("explicit/12")))[1])) end
    end)

    it("without a preamble is read too", function()
        local whole = bytes_of("implicit/12")
        write(whole:sub(133)) -- begins with the file information
        assert.is_true(lx.equal(golden["implicit/12/raw"]:view(1, 23, 31), (assert(lx.vision.load(path)))))
        local at = whole:find("\8\0\22\0", 1, true) -- (0008,0016): the data set alone, implicit little endian
        write(whole:sub(at))
        assert.is_true(lx.equal(golden["implicit/12/raw"]:view(1, 23, 31), (assert(lx.vision.load(path)))))
    end)

    it("of explicit types alone is told by the first of them", function()
        local whole = bytes_of("explicit/12")
        local at = whole:find("\8\0\22\0", 1, true)
        write(whole:sub(at))
        assert.is_true(lx.equal(golden["explicit/12/raw"]:view(1, 23, 31), (assert(lx.vision.load(path)))))
        for _, kind in ipairs {"AE", "AS", "CS", "DA", "IS", "LO", "SH", "TM", "UI"} do
            write("\8\0\1\0" .. kind .. "\4\0ABCD" .. whole:sub(at))
            assert.is_true(lx.equal(golden["explicit/12/raw"]:view(1, 23, 31), (assert(lx.vision.load(path)))))
        end
    end)

    -- A file with something before its first element of group 8.
    local function with(name, bytes)
        local whole = bytes_of(name)
        local at = whole:find("\8\0\22\0", 1, true)
        write(whole:sub(1, at - 1) .. bytes .. whole:sub(at))
        return lx.vision.load(path)
    end
    local UNDEFINED <const> = "\xff\xff\xff\xff"
    local ITEM <const>, ITEM_END <const> = "\xfe\xff\x00\xe0" .. UNDEFINED, "\xfe\xff\x0d\xe0\0\0\0\0"
    local SEQUENCE_END <const> = "\xfe\xff\xdd\xe0\0\0\0\0"

    it("sequences in sequences are passed over, up to a depth", function()
        local function nested(depth)
            local open, close = "\8\0\6\0" .. UNDEFINED .. ITEM, ITEM_END .. SEQUENCE_END
            return with("implicit/12", open:rep(depth) .. close:rep(depth))
        end
        assert.is_true(lx.equal(golden["implicit/12/raw"]:view(1, 23, 31), (assert(nested(10)))))
        for _, depth in ipairs {40, 1000000} do
            local image, message = nested(depth)
            assert.is_nil(image)
            assert.matches("nested too deep", message)
        end
    end)

    it("sequences of an unknown kind are implicit inside", function()
        local unknown = "\9\0\1\0UN\0\0" .. UNDEFINED .. ITEM .. "\16\0\16\0\4\0\0\0ABCD" .. ITEM_END .. SEQUENCE_END
        assert.is_true(lx.equal(golden["explicit/12/raw"]:view(1, 23, 31), (assert(with("explicit/12", unknown)))))
    end)

    it("of a kind that cannot be read is refused by name", function()
        local function with_syntax(uid)
            local syntax = "1.2.840.10008.1.2.4.50"
            local bytes = bytes_of("jpeg/8")
            assert(#uid == #syntax and bytes:find(syntax, 1, true))
            write((bytes:gsub((syntax:gsub("%.", "%%.")), uid)))
            return lx.vision.load(path)
        end
        for uid, name in pairs {
            ["1.2.840.10008.1.2.4.70"] = "lossless JPEG, and has one of another process",
            ["1.2.840.10008.1.2.4.80"] = "JPEG%-LS", ["1.2.840.10008.1.2.4.99"] = "1.2.840.10008.1.2.4.99",
        } do
            local image, message, code = with_syntax(uid)
            assert.is_nil(image)
            assert.matches(name .. ".*not supported", message)
            assert.equal("format", code)
        end
        assert.is_true(lx.equal((load("jpeg/8")), (with_syntax("1.2.840.10008.1.2.4.51"))))
        local frame = "\255\192\0\11" -- of one component, before the bits of its samples
        write((bytes_of("jpeg/8"):gsub(frame .. "\8", frame .. "\12")))
        assert.matches("the baseline process has 8 bits", (select(2, lx.vision.load(path))))
        local image, message = load("implicit/12", {channels = 1})
        assert.is_truthy(image, message)
        assert.error_matches(function() load("frames/rle", {frame = 4}) end, "3 frames; there is no frame 4")
        assert.error_matches(function() load("implicit/12", {channels = 2}) end, "'channels': expected 1 or 3")
    end)

    it("cut short anywhere is refused or read, never more", function()
        for _, name in ipairs {
            "implicit/12", "explicit/16", "rle/16", "jpeg/8", "lossless/left", "lossless/restart", "table",
        } do
            local whole = bytes_of(name)
            for length = 0, #whole - 3, 7 do
                write(whole:sub(1, length))
                local image, message, code = lx.vision.load(path)
                if image then -- all of the pixels were there
                    assert.is_true(apart(assert(lx.vision.load(path, {raw = true})), golden[name .. "/raw"]) <= 1)
                else
                    assert.is_string(message)
                    assert.equal("format", code)
                end
            end
        end
    end)

    it("in lossless JPEG that does not fit together is refused, saying what does not", function()
        for _, case in ipairs {
            {"restart", "\255\209", "\255\217", "a restart is missing"},
            {"restart", "\255\221\0\4\0\93", "\255\221\0\4\0\94", "restarts in the middle of a row"},
            {"left", "\1\1\16\1\0\0", "\1\1\16\8\0\0", "no such predictor"},
            {"left", "\1\1\16\1\0\0", "\1\1\48\1\0\0", "scan header names what there is not"},
            {"left", "\1\1\16\1\0\0", "\2\1\16\1\0\0", "scan"},
            {"left", "\12\0\23\0\31\1", "\12\0\23\0\32\1", "31 x 23 pixels of 1 samples, and its JPEG 32 x 23 of 1"},
            {"left", "\1\0\1\5\1\1", "\1\4\1\5\1\1", "Huffman table"},
            {"rgb", "\1\17\0\2", "\1\34\0\2", "smaller colour channels"},
        } do
            local whole = bytes_of("lossless/" .. case[1])
            local from, to = whole:find(case[2], 1, true)
            assert.is_truthy(from, case[2])
            write(whole:sub(1, from - 1) .. case[3] .. whole:sub(to + 1))
            local image, message = lx.vision.load(path, {raw = true})
            assert.is_nil(image)
            assert.matches(case[4], message, 1, true)
        end
    end)

    it("in JPEG 2000 that asks for more than its picture needs, or lacks some of it, is refused", function()
        for kind, problem in pairs {
            tiles = "very small tiles", precincts = "precincts of less than 32", layers = "more than 64 layers",
            size = "not of the size that the file says", blocks = "code blocks of less than 16",
            missing = "not all of its tiles are there",
        } do
            local image, message, code = lx.vision.load("spec/fuzz/corpus/dicom-greedy-" .. kind)
            if not image and message:find("OpenJPEG") then
                pending("this build has no OpenJPEG")
                return
            end
            assert.is_nil(image, kind)
            assert.matches(problem, message)
            assert.equal("format", code)
        end
        local whole = bytes_of("jpeg2000/tiles")
        write(whole:sub(1, -40))
        assert.matches("truncated", select(2, lx.vision.load(path)))
    end)

    it("in JPEG 2000 may have 64 layers", function()
        local whole = bytes_of("jpeg2000/tiles")
        -- the marker COD, its length, how things are coded, in which order; the number of layers
        local from = assert(whole:find("\255\82\0.[\0-\7].\0.", 1)) + 6
        for layers = 64, 65 do
            write(whole:sub(1, from - 1) .. (">I2"):pack(layers) .. whole:sub(from + 2))
            local _, message = lx.vision.load(path)
            local refused = type(message) == "string" and message:find("more than 64 layers", 1, true)
            assert.equal(layers == 65, refused ~= nil and refused ~= false)
        end
    end)

    it("is listed and trained on like other images", function()
        local root = os.tmpname()
        os.remove(root)
        for _, folder in ipairs {"", "/NORMAL", "/PNEUMONIA"} do assert(lfs.mkdir(root .. folder)) end
        for i, name in ipairs {"implicit/12", "mono1/12", "rle/16", "explicit/8"} do
            local file = assert(io.open(("%s/%s/%d.dcm"):format(root, i % 2 == 0 and "NORMAL" or "PNEUMONIA", i), "wb"))
            file:write(bytes_of(name))
            file:close()
        end
        local frame = assert(lx.data.image_folder(root))
        assert.equal(4, #frame)
        local dataset = assert(frame:open {size = 16})
        for x in lx.data.batches(dataset, {batch = 4}) do
            assert.same({4, 1, 16, 16}, x.shape)
            assert.is_true(x:min():item() >= 0 and x:max():item() <= 1 and x:max():item() > 0.8)
        end
        assert.same({4, 1, 16, 16}, (assert(frame:load {size = 16})).images.shape)
        os.execute("rm -rf '" .. root .. "'")
    end)
end)

describe("16 bits", function()
    it("of a PNG or PGM keep their values, or come down to their upper 8", function()
        local values = {0, 255, 256, 4095, 40000, 65535}
        local rows = {}
        for i, value in ipairs(values) do rows[i] = string.pack(">I2", value) end
        write("P5 3 2 65535\n" .. table.concat(rows))
        local image, info = lx.vision.load(path)
        assert.equal(16, info.bits)
        assert.same({{values[1], values[2], values[3]}, {values[4], values[5], values[6]}}, image[1]:totable())
        assert.same({{0, 0, 1}, {15, 156, 255}}, (assert(lx.vision.load(path, {bits = 8})))[1]:totable())
        write("P5 3 1 4095\n" .. rows[1] .. rows[4] .. string.pack(">I2", 2048))
        image, info = lx.vision.load(path)
        assert.equal(12, info.bits)
        assert.same({0, 4095, 2048}, image[1][1]:totable())
        assert.same({0, 255, 128}, (assert(lx.vision.load(path, {bits = 8})))[1][1]:totable())
    end)
end)

describe("real DICOM files", function()
    local root = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/dicom/real"

    it("have the pixels that pydicom reads", function()
        if lfs.attributes(root, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local real = os.getenv("DICOM_GOLDEN")
        if not real then
            pending("no DICOM_GOLDEN; spec/golden/make_dicom.py says how to make it")
            return
        end
        local expected = assert(lx.checkpoint.load(real))
        local compared = 0
        for _, folder in ipairs {root, (root:gsub("real$", "derived"))} do
            for name in lfs.dir(folder) do
                local values = expected[name]
                if values then
                    local image, problem = lx.vision.load(folder .. "/" .. name, {raw = true})
                    if not image and problem:find("OpenJPEG") then break end
                    assert.is_truthy(image, problem)
                    -- one level for the arithmetic of another JPEG decoder
                    local limit = name:find("jpegbaseline") and 1 or 0
                    assert.is_true(apart(image, values:view(table.unpack(image.shape))) <= limit, name)
                    compared = compared + 1
                end
            end
        end
        assert.is_true(compared > 0)
    end)

    it("are read, and look like radiographs", function()
        if lfs.attributes(root, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        for name in lfs.dir(root) do
            if name:find("%.dcm$") then
                local image, info = lx.vision.load(root .. "/" .. name, {bits = 8})
                if not image and info:find("OpenJPEG") then break end
                assert.is_truthy(image, info)
                local mean = image:float():mean():item()
                assert.is_true(mean > 30 and mean < 230 and image:max():item() > 200)
                assert.equal("CR", info.modality)
            end
        end
    end)
end)
