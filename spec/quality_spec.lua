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

    it("takes other limits, and refuses those that do not exist", function()
        assert.equal("small", codes(phantoms.images[1], {limits = {small = 300}}))
        assert.error_matches(function() codes(phantoms.images[1], {limits = {smell = 3}}) end, "smell")
        assert.error_matches(function() codes(phantoms.images, nil) end, "one channel")
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
