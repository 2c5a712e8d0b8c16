local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local folder

setup(function()
    folder = shell.folder()
end)

teardown(function() shell.remove(folder) end)

local phantoms = lx.data.phantom {n = 12, size = 160, seed = 3}

-- A folder with something of everything that an audit is to find.
local function make_folder()
    local root = folder .. "/set"
    os.execute(("mkdir -p '%s'/{train,test}/{NORMAL,PNEUMONIA}"):format(root):gsub("^mkdir", "bash -c \"mkdir") .. '"')
    local function save(part, class, name, image)
        local path = ("%s/%s/%s/%s.png"):format(root, part, class, name)
        assert(lx.vision.save(path, image))
        return path
    end
    local image = {}
    for i = 1, 12 do image[i] = phantoms.images[i] end
    for i = 1, 4 do
        save("train", "NORMAL", ("IM-%04d-0001"):format(i), image[i])
        save("train", "PNEUMONIA", ("person%d_bacteria_%d"):format(i, i), image[i + 4])
    end
    save("train", "PNEUMONIA", "person1_bacteria_99", image[9])
    -- a copy in another part, under another patient's name; one in the other class
    save("test", "NORMAL", "IM-0009-0001", image[1])
    save("test", "PNEUMONIA", "person7_virus_1", image[2])
    -- larger and brighter, but the same film
    save("test", "PNEUMONIA", "person8_virus_1", lx.vision.adjust_gamma(lx.vision.resize(image[7], 333, 333), 0.8))
    save("test", "PNEUMONIA", "person2_virus_77", image[10]) -- whose patient is in train too
    save("test", "NORMAL", "IM-0010-0001", lx.full({1, 200, 200}, 90):byte()) -- blank
    save("test", "NORMAL", "IM-0011-0001", (image[11]:float() * 0.1):byte())  -- dark and flat
    save("test", "NORMAL", "IM-0012-0001", lx.vision.resize(image[12], 64, 64))
    shell.write(root .. "/test/NORMAL/IM-0013-0001.png", "no image <b>&")
    return root
end

describe("an audit", function()
    local root, audit
    setup(function()
        root = make_folder()
        audit = assert(lx.data.audit(root))
    end)

    local function name(i) return audit.frame.path[i]:match("([^/]+)%.png$") end

    it("counts classes, parts, sizes and formats", function()
        assert.equal(17, #audit.frame)
        assert.equal("NORMAL", audit.classes[1].name)
        assert.equal(9, audit.classes[1].images)
        assert.equal(8, audit.classes[2].images)
        assert.same({
            {name = "train", images = 9, classes = {4, 5}}, {name = "test", images = 8, classes = {5, 3}},
        }, audit.parts)
        assert.equal(16, audit.formats.PNG)
        assert.same({least = 64, median = 160, most = 333}, audit.sizes.width)
        for _, class in ipairs(audit.classes) do
            local sum = 0
            for _, share in ipairs(class.histogram) do sum = sum + share end
            assert.near(1, sum, 1e-9)
        end
    end)

    it("finds what is the same to the pixel, and where that matters", function()
        assert.equal(2, #audit.duplicates)
        assert.equal(2, audit:copies())
        local seen = {}
        for _, group in ipairs(audit.duplicates) do
            local a, b = group[1], group[2]
            seen[name(a)] = {name(b), table.concat(audit:conflicts(a, b), " ")}
            seen[name(b)] = {name(a), seen[name(a)][2]}
        end
        assert.same({"IM-0009-0001", "part patient"}, seen["IM-0001-0001"])
        assert.same({"person7_virus_1", "class part patient"}, seen["IM-0002-0001"])
    end)

    it("finds what was resized and made brighter", function()
        assert.equal(1, #audit.near)
        local pair = audit.near[1]
        local both = {name(pair.a), name(pair.b)}
        table.sort(both)
        assert.same({"person3_bacteria_3", "person8_virus_1"}, both)
        assert.is_true(pair.correlation > 0.985 and pair.correlation < 1 and pair.distance <= 10)
    end)

    it("finds patients on both sides, and images that show nothing", function()
        assert.equal(1, #audit.in_two_parts)
        assert.matches("2$", audit.in_two_parts[1])
        local why = {}
        for _, suspect in ipairs(audit.suspects) do
            local words = {}
            for i, reason in ipairs(suspect.why) do words[i] = reason:match("^[%a ]+") end
            why[name(suspect.image)] = table.concat(words, ",")
        end
        assert.equal("blank", why["IM-0010-0001"])
        assert.equal("low contrast,dark", why["IM-0011-0001"])
        assert.equal("small", why["IM-0012-0001"])
        assert.equal(1, #audit.unreadable)
        assert.matches("IM%-0013", audit.unreadable[1].message)
    end)

    it("says so in words", function()
        local text = tostring(audit)
        for _, words in ipairs {
            "files that cannot be read: 1",
            "pixel: 2 copies in 2 groups %(1 across classes, 2 across parts, 2 across patients%)",
            "pairs that look the same: 1", "patients in more than one part: 1",
        } do
            assert.matches(words, text)
        end
    end)

    it("writes a page that needs nothing else and that names cannot break", function()
        local bad = root .. "/test/NORMAL/<script>alert(1)<&\"'.png"
        assert(lx.vision.save(bad, phantoms.images[1]))
        local path = folder .. "/report.html"
        assert.is_true(assert(lx.data.audit(root)):report(path))
        os.remove(bad)
        local file = assert(io.open(path))
        local page = file:read("a")
        file:close()
        assert.is_nil(page:find("<script", 1, true))
        assert.matches("&lt;script&gt;alert%(1%)&lt;&amp;&quot;&#39;", page)
        assert.is_nil(page:find("https?://"))
        assert.is_nil(page:find('src="[^d]'))
        local _, pictures = page:gsub('src="data:image/png;base64,', "")
        assert.is_true(pictures >= 8)
        -- a picture in it is one
        local encoded = page:match('base64,([%w+/=]+)"')
        local decoded = io.popen(("printf %%s '%s' | base64 -d"):format(encoded)):read("a")
        shell.write(folder .. "/picture.png", decoded)
        assert.is_truthy((lx.vision.load(folder .. "/picture.png")))
        local ok, message, code = audit:report("/nowhere/report.html")
        assert.is_nil(ok)
        assert.matches("/nowhere", message)
        assert.equal("io", code)
    end)

    it("refuses what is no folder of images", function()
        local nothing, message, code = lx.data.audit(folder .. "/none")
        assert.is_nil(nothing)
        assert.matches("none", message)
        assert.equal("io", code)
        assert.error_matches(function() lx.data.audit(root, {colour = 1}) end, "colour")
    end)
end)

describe("measures", function()
    it("are those of the pixels", function()
        local image = lx.tensor {{0, 0, 255, 255}, {64, 64, 128, 128}}:byte()
        local m = core.measure(image)
        assert.near((64 * 2 + 128 * 2 + 255 * 2) / 8, m.mean, 1e-9)
        assert.near(0.25, m.black, 1e-9)
        assert.near(0.25, m.white, 1e-9)
        assert.near(image:float():sub(m.mean):square():mean():sqrt():item(), m.deviation, 1e-3)
        assert.equal(2, m.histogram[1])
        assert.equal(2, m.histogram[17])
        assert.equal(2, m.histogram[64])
    end)

    it("tell a blurred image from a sharp one, at any size", function()
        for _, size in ipairs {160, 500} do
            local sharp = lx.vision.resize(phantoms.images[5], size, size)
            local blurred = lx.vision.gaussian_blur(sharp, size / 40)
            assert.is_true(core.measure(blurred).sharpness < 0.5 * core.measure(sharp).sharpness)
        end
    end)

    -- Every figure from its definition.
    local function measured(image)
        local height, width = image.shape[2], image.shape[3]
        local levels, total = {}, height * width
        for _, row in ipairs(image[1]:totable()) do
            for _, level in ipairs(row) do levels[#levels + 1] = math.tointeger(level) or math.floor(level + 0.5) end
        end
        table.sort(levels)
        local m = {histogram = {}, black = 0, white = 0, mean = 0, deviation = 0}
        for bin = 1, 64 do m.histogram[bin] = 0 end
        for _, level in ipairs(levels) do
            m.histogram[level // 4 + 1] = m.histogram[level // 4 + 1] + 1
            m.mean = m.mean + level / total
            m.black, m.white = m.black + (level == 0 and 1 or 0) / total, m.white + (level == 255 and 1 or 0) / total
        end
        for _, level in ipairs(levels) do m.deviation = m.deviation + (level - m.mean) ^ 2 / total end
        for name, share in pairs {low = 0.01, middle = 0.5, high = 0.99} do
            m[name] = levels[math.floor(share * total) + 1]
        end
        local standard = lx.vision.resize(image, 256, 256, {mode = "area"})
        local edges = lx.vision.laplacian(standard):float()
        m.sharpness = (edges - edges:mean()):square():mean():item() / m.deviation
        m.deviation = math.sqrt(m.deviation)
        m.thumbnail = lx.vision.resize(image, 32, 32, {mode = "area"})[1]:float()
        return m
    end

    -- The DCT-II of the thumbnail, its 8x8 lowest frequencies but the mean; bits: what is above their median.
    local function hash_of(thumbnail)
        local pixels, values = thumbnail:totable(), {}
        for v = 1, 8 do
            for u = 1, 8 do
                local sum = 0
                for y = 0, 31 do
                    for x = 0, 31 do
                        sum = sum + pixels[y + 1][x + 1] * math.cos(math.pi * (x + 0.5) * u / 32)
                            * math.cos(math.pi * (y + 0.5) * v / 32)
                    end
                end
                values[#values + 1] = sum
            end
        end
        local sorted, hash = table.move(values, 1, 64, 1, {}), 0
        table.sort(sorted)
        for _, value in ipairs(values) do hash = hash << 1 | (value > (sorted[32] + sorted[33]) / 2 and 1 or 0) end
        return hash
    end

    it("are measured as they are defined", function()
        lx.manual_seed(6)
        local noisy = (lx.randn(1, 37, 53) * 60 + 128):clamp(0, 255):byte()
        noisy:narrow(2, 1, 3):fill_(0)
        noisy:narrow(3, 1, 2):fill_(255)
        for _, image in ipairs {noisy, lx.vision.gaussian_blur(noisy, 2), phantoms.images[2], noisy:float()} do
            local m, expected = core.measure(image), measured(image)
            for _, name in ipairs {"mean", "deviation", "black", "white", "low", "middle", "high"} do
                assert.near(expected[name], m[name], 1e-6, name)
            end
            assert.near(expected.sharpness, m.sharpness, 2e-4 * expected.sharpness)
            assert.same(expected.histogram, m.histogram)
            local thumbnail = lx.from_string(m.thumbnail, {32, 32}, "uint8"):float()
            assert.is_true((thumbnail - expected.thumbnail):abs():max():item() <= 0.51)
            assert.equal(hash_of(thumbnail), m.hash)
        end
    end)

    it("hash alike what looks alike", function()
        local function apart(a, b)
            local bits, count = core.measure(a).hash ~ core.measure(b).hash, 0
            while bits ~= 0 do bits, count = bits & (bits - 1), count + 1 end
            return count
        end
        local image = phantoms.images[1]
        assert.equal(0, apart(image, image))
        assert.is_true(apart(image, lx.vision.resize(image, 77, 99)) <= 6)
        assert.is_true(apart(image, lx.vision.adjust_gamma(image, 1.3)) <= 10)
        assert.is_true(apart(image, lx.vision.rot90(image, 1)) > 16)
        assert.is_true(apart(image, lx.vision.hflip(image)) > 10)
    end)
end)

describe("real radiographs", function()
    local root = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/chest_xray"

    it("have copies and repeated patients, which are found #slow", function()
        if lfs.attributes(root, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local audit = assert(lx.data.audit(root))
        assert.equal(24, #audit.duplicates)
        assert.equal(26, audit:copies())
        assert.equal(1249, audit.patients.several)
        assert.equal(0, #audit.near)
        local border = audit:shortcuts().nuisances[1]
        assert.equal("border", border.name)
        assert.is_true(border.auc > 0.94 and border.auc < 0.97 and border.low > 0.93)
        assert.matches("the border alone tells PNEUMONIA from NORMAL: AUC 0%.9", tostring(audit))
        local path = folder .. "/real.html"
        assert.is_true(audit:report(path))
        assert.is_true(lfs.attributes(path, "size") < 2000000)
    end)
end)

describe("an audit of images without patients", function()
    it("says nothing of patients", function()
        local root = folder .. "/unknown"
        for _, class in ipairs {"NORMAL", "PNEUMONIA"} do
            os.execute(("mkdir -p '%s/%s'"):format(root, class))
            for i = 1, 2 do
                local image = phantoms.images[i + (class == "NORMAL" and 0 or 2)]
                local name = class == "NORMAL" and "x" or "y"
                assert(lx.vision.save(("%s/%s/%s%d.png"):format(root, class, name, i), image))
            end
        end
        local audit = assert(lx.data.audit(root))
        assert.is_false(audit.frame.groups_known)
        assert.is_nil(audit.patients)
        assert.same({}, audit.in_two_parts)
        assert.same({}, audit.in_two_classes)
    end)
end)

describe("copies of which something is not known", function()
    it("have no conflict in that", function()
        local rows, root = {}, folder .. "/unknown"
        os.execute(("mkdir -p '%s'"):format(root))
        for i = 1, 6 do
            rows[i] = {path = ("%s/%d.png"):format(root, i), label = i % 2 == 0 and "normal" or "tb"}
            assert(lx.vision.save(rows[i].path, phantoms.images[(i + 1) // 2]))
        end
        rows[2].label, rows[1].part = nil, "train"
        rows[3].patient, rows[4].patient = "a", "b"
        rows[5].label = "normal"
        local audit = assert(lx.data.audit(assert(lx.data.frame(rows, {label = "label", patient = "patient"}))))
        assert.same({}, audit:conflicts(1, 2))
        assert.same({"class", "patient"}, audit:conflicts(3, 4))
        assert.same({}, audit:conflicts(5, 6))
        assert.matches("3 groups (1 across classes, 1 across patients)", tostring(audit), 1, true)
        local labels = {}
        for i, row in ipairs(rows) do labels[i] = {path = row.path, a = i > 1 and 1 or nil, b = i ~= 4 and 0 or 1} end
        audit = assert(lx.data.audit(assert(lx.data.frame(labels, {labels = {"a", "b"}}))))
        assert.same({}, audit:conflicts(1, 2))
        assert.same({"class"}, audit:conflicts(3, 4))
    end)
end)
