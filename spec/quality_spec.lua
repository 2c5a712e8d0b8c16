local lfs = require "lfs"
local lx = require "luxel"
local vision = lx.vision

local phantoms = lx.data.phantom {n = 6, size = 224, seed = 9}

-- The codes of what is found, in order.
local function codes(image, opts)
    local list = {}
    for i, finding in ipairs(vision.quality(image, opts)) do
        list[i] = finding.code
        assert.is_string(finding.message)
        assert.is_true(finding.value == finding.value and type(finding.limit) == "number")
    end
    return table.concat(list, " ")
end

describe("the quality of a picture", function()
    it("is good for phantoms, whatever their size and type", function()
        for i = 1, 6 do
            assert.equal("", codes(phantoms.images[i]))
            assert.equal("", codes(vision.resize(phantoms.images[i], 501, 433)))
            assert.equal("", codes(phantoms.images[i]:float()))
        end
    end)

    it("is found wanting for what is wrong with it, and nothing else", function()
        local image = phantoms.images[1]
        assert.equal("blank", codes(lx.full({1, 200, 200}, 77):byte()))
        assert.equal("small", codes(vision.resize(image, 100, 120)))
        assert.equal("inverted", codes(vision.invert(image)))
        for quarter = 1, 3 do
            local turned = vision.rot90(image, quarter)
            assert.equal("rotated", codes(turned))
            assert.matches(("turned by %d degrees"):format(90 * quarter), vision.quality(turned)[1].message)
        end
        assert.matches("blurred", codes(vision.gaussian_blur(image, 6)))
        assert.matches("low_contrast", codes((image:float() * 0.15 + 100):byte()))
        assert.matches("dark", codes((image:float() * 0.2):byte()))
        assert.matches("bright", codes((image:float() * 0.15 + 210):byte()))
        assert.matches("clipped", codes((image:float() * 3):clamp(0, 255):byte()))
    end)

    -- The classes' shares, from the definition: a linear classifier of 14x14 pixels, standardised.
    local function shares(image)
        local weights = require "luxel.vision.quality_weights"
        local x = vision.resize(image, 14, 14, {mode = "area", antialias = false}):float():flatten()
        x = x - x:mean()
        x = x / x:square():mean():sqrt()
        local scores = {}
        for class = 1, 9 do
            local w = {table.unpack(weights[class])}
            scores[class] = (weights[class].bias + (lx.tensor(w) * x):sum():item()) / 1000
        end
        return lx.nn.functional.softmax(lx.tensor(scores), 1):totable(), weights.limits
    end

    it("tells how probable it is that the picture is turned, inverted, or something else", function()
        lx.manual_seed(3)
        local image, noise = phantoms.images[2], lx.vision.median_blur((lx.rand(1, 150, 150) * 255):byte(), 5)
        local seen = {}
        for _, picture in ipairs {
            image, vision.invert(image), vision.rot90(image, 1), vision.rot90(image, 2), vision.rot90(image, 3),
            vision.invert(vision.rot90(image, 1)), noise,
        } do
            local p, limits = shares(picture)
            local expected = {
                no_chest = {p[9], limits.other}, inverted = {p[2] + p[4] + p[6] + p[8], limits.inverted},
                rotated = {p[3] + p[4] + p[5] + p[6] + p[7] + p[8], limits.turned},
            }
            local found = {}
            for _, finding in ipairs(vision.quality(picture)) do found[finding.code] = finding end
            for code, numbers in pairs(expected) do
                local value, limit = numbers[1], numbers[2]
                local wanted = value > limit and (code == "no_chest" or p[9] <= limits.other)
                assert.equal(wanted, found[code] ~= nil, code)
                if wanted then
                    assert.near(value, found[code].value, 1e-3)
                    assert.equal(limit, found[code].limit)
                    assert.matches(("(%.0f %%)"):format(100 * value), found[code].message, 1, true)
                    seen[code] = true
                end
            end
        end
        assert.same({no_chest = true, inverted = true, rotated = true}, seen)
    end)

    -- A body, one dark oval in it, and what is below: about what a lateral radiograph is like.
    local function drawn()
        local rows = {}
        for y = 0, 63 do
            rows[y + 1] = {}
            for x = 0, 63 do
                local body, across, down = math.abs(x - 32) < 24, (x - 30 - 0.15 * (y - 30)) / 15, (y - 30) / 24
                rows[y + 1][x + 1] = not body and 10 or y > 46 and 190 or across ^ 2 + down ^ 2 < 1 and 60 or 150
            end
        end
        return vision.resize(lx.tensor(rows):view(1, 64, 64):byte(), 224, 224)
    end

    -- The logit from the definition: weights of the means of mirrored pairs, and of their differences.
    local function logit_of(image)
        local weights = require "luxel.vision.lateral_weights"
        local x = vision.resize(image, 14, 14, {mode = "area", antialias = false}):float()[1]
        x = (x - x:mean()) / (x - x:mean()):square():mean():sqrt()
        local left, right = x:narrow(2, 1, 7), vision.hflip(x:view(1, 14, 14))[1]:narrow(2, 1, 7)
        local features = lx.cat({((left + right) / 2):flatten(), (left - right):abs():flatten()}, 1)
        return (weights.bias + (lx.tensor {table.unpack(weights)} * features):sum():item()) / 1000
    end

    it("tells a lateral radiograph, whichever way the patient faces, where it is upright and not inverted", function()
        local image = drawn()
        for _, picture in ipairs {image, vision.hflip(image)} do
            assert.equal("lateral", codes(picture))
            local finding = vision.quality(picture)[1]
            assert.near(1 / (1 + math.exp(-logit_of(picture))), finding.value, 1e-3)
            assert.equal(0.5, finding.limit)
            assert.matches("probably a lateral chest radiograph, not a frontal one", finding.message)
        end
        assert.is_nil(codes(vision.invert(image)):find "lateral")
        for _, picture in ipairs {
            phantoms.images[1], phantoms.images[2]:float(), vision.rot90(phantoms.images[3], 2),
        } do
            assert.near(logit_of(picture), (require "luxel.vision.lateral".score(picture)), 1e-3)
            assert.is_nil(codes(picture):find "lateral")
        end
    end)

    it("tells real lateral radiographs, which the classifier knows, from frontal ones", function()
        local root = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/lung_masks"
        if lfs.attributes(root, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local found, laterals, alarms = 0, 0, 0
        for _, row in ipairs(assert(require "luxel.io.csv".read(root .. "/images.csv"))) do
            local image = assert(vision.load(root .. "/images/" .. row.image, {bits = 8, channels = 1}))
            local called = codes(image):find "lateral" ~= nil
            laterals = laterals + (row.view == "L" and 1 or 0)
            if row.view == "L" then found = found + (called and 1 or 0) else alarms = alarms + (called and 1 or 0) end
        end
        assert.equal(12, laterals)
        assert.is_true(found >= 11 and alarms <= 3)
    end)

    it("is measured against limits that may just be reached", function()
        local image = (phantoms.images[1]:float() * 1.2):clamp(0, 255):byte()
        local level = image:float()
        local measured = {
            dark = level:mean():item(), bright = level:mean():item(),
            clipped = level:eq(255):float():mean():item(), small = 224,
        }
        local beyond = {dark = 1, bright = -1, clipped = -1, small = 1, low_contrast = 1, blurred = 1}
        for code, direction in pairs(beyond) do
            local name = code == "low_contrast" and "contrast" or code
            local value
            for _, finding in ipairs(vision.quality(image, {limits = {[name] = direction * 1e6}})) do
                if finding.code == code then
                    value = finding.value
                    assert.equal(direction * 1e6, finding.limit)
                end
            end
            if measured[code] then assert.near(measured[code], value, 1e-4 * measured[code] + 1e-6, code) end
            assert.is_nil(codes(image, {limits = {[name] = value}}):find(code), code)
            local nearer = value + direction * 1e-6 * math.max(1e-3, math.abs(value))
            assert.is_truthy(codes(image, {limits = {[name] = nearer}}):find(code), code)
        end
    end)

    it("is blank where levels vary less than the limit", function()
        local image = lx.full({1, 200, 200}, 100)
        image:narrow(2, 1, 100):fill_(110)
        local finding = vision.quality(image, {limits = {blank = 5.01}})[1]
        assert.equal("blank", finding.code)
        assert.near(5, finding.value, 1e-3)
        assert.is_nil(codes(image, {limits = {blank = 4.99}}):find("blank"))
    end)

    it("takes other limits, and refuses those that do not exist", function()
        assert.equal("small", codes(phantoms.images[1], {limits = {small = 300}}))
        assert.error_matches(function() codes(phantoms.images[1], {limits = {smell = 3}}) end, "smell")
        assert.error_matches(function() codes(phantoms.images, nil) end, "a grey image")
    end)

    it("of real radiographs is mostly good, and of turned and inverted ones mostly not", function()
        local dir = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/nih_cxr14/images"
        if lfs.attributes(dir, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local names = {}
        for name in lfs.dir(dir) do
            if name:find("%.jpg$") then names[#names + 1] = name end
        end
        table.sort(names)
        local alarms, inverted, turned = 0, 0, 0
        for i = 1, 100 do
            local image = assert(vision.load(dir .. "/" .. names[i * 5]))
            alarms = alarms + (codes(image) ~= "" and 1 or 0)
            inverted = inverted + (codes(vision.invert(image)):find("inverted") and 1 or 0)
            turned = turned + (codes(vision.rot90(image, 1)):find("rotated") and 1 or 0)
        end
        assert.is_true(alarms <= 6 and inverted >= 90 and turned >= 90)
    end)
end)
