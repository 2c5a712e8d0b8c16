--- Boxes around masks, and images cropped to what a model of masks finds.

local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"

-- A mask [1,H,W] with rectangles {x, y, w, h} of 255.
local function mask(height, width, ...)
    local out = lx.zeros(1, height, width):byte()
    for _, box in ipairs {...} do
        out:narrow(2, box[2] + 1, box[4]):narrow(3, box[1] + 1, box[3]):fill_(255)
    end
    return out
end

describe("the box of a mask", function()
    it("holds all its parts but specks, and the margin as far as there is picture", function()
        local two = mask(40, 60, {10, 8, 12, 20}, {30, 5, 14, 22}, {55, 36, 2, 2})
        assert.same({x = 10, y = 5, w = 34, h = 23}, lx.vision.mask_box(two, {margin = 0}))
        assert.same({x = 10, y = 5, w = 47, h = 33}, lx.vision.mask_box(two, {margin = 0, least = 0}))
        assert.same({x = 6, y = 2, w = 42, h = 29}, lx.vision.mask_box(two, {margin = 0.1})) -- 3.4 and 2.3, rounded up
        assert.same({x = 0, y = 0, w = 60, h = 40}, lx.vision.mask_box(two, {margin = 1}))
    end)

    it("is none where the mask is empty", function()
        assert.is_nil(lx.vision.mask_box(mask(5, 7)))
        assert.same({x = 0, y = 0, w = 7, h = 5}, lx.vision.mask_box(mask(5, 7, {0, 0, 7, 5})))
    end)
end)

describe("luxel crop", function()
    local work, model

    setup(function()
        work = shell.folder()
        model = work .. "/m.safetensors"
        lx.manual_seed(1)
        local net = lx.models.unet {width = 2, depth = 1}
        assert(lx.checkpoint.save(model, net:state_dict(), {
            schema = require("luxel.schema").VERSION, task = "segmentation", version = "test", model = "unet",
            size = 32, network = {width = 2, depth = 1}, classes = {"lungs"},
            input = {channels = 1, low = 0, high = 1}, normalisation = {mean = 0.5, std = 0.25}, threshold = 0.5,
            calibration = false, seed = 1, epoch = 1, chosen = {threshold = "fixed", calibration = "none", images = 1},
        }))
        for _, class in ipairs {"NORMAL", "PNEUMONIA"} do
            lfs.mkdir(work .. "/in")
            lfs.mkdir(work .. "/in/" .. class)
            assert(lx.vision.save(("%s/in/%s/person1_%s_1.png"):format(work, class, class),
                (lx.rand(1, 50, 70) * 255):byte()))
        end
        local file <close> = io.open(work .. "/in/NORMAL/broken.png", "w")
        file:write("no picture")
    end)
    teardown(function() shell.remove(work) end)

    local function run(words)
        return shell.run(("%s bin/luxel crop --model '%s' --data '%s/in' --out '%s/out' %s"):format(LUA, model, work,
            work, words or ""))
    end

    it("cuts each image to the box of its mask, in folders of the same names", function()
        local status, output, errors = run("--margin 0")
        assert.equal(0, status, errors)
        assert.matches("3 images in .*: %d cropped to lungs, %d kept whole, 1 left out", output)
        assert.matches("broken.png", errors)
        assert.matches("not a medical device", output)
        local predictor = assert(lx.predictor.open(model))
        for _, class in ipairs {"NORMAL", "PNEUMONIA"} do
            local name = ("%s/person1_%s_1.png"):format(class, class)
            local picture = assert(lx.vision.load(work .. "/in/" .. name))
            local answer = assert(predictor:predict(work .. "/in/" .. name))
            local box = answer.share >= 0.03 and lx.vision.mask_box(answer.mask, {margin = 0})
                or {x = 0, y = 0, w = 70, h = 50}
            local part = picture:narrow(2, box.y + 1, box.h):narrow(3, box.x + 1, box.w)
            local cropped = assert(lx.vision.load(work .. "/out/" .. name))
            assert.is_true(lx.equal(part, cropped))
        end
    end)

    it("writes over nothing, and wants a model of masks and a folder with images", function()
        local status, _, errors = run()
        assert.equal(1, status)
        assert.matches("is there already, and would be written over", errors)
        status, _, errors = shell.run(("%s bin/luxel crop --model '%s' --data '%s/nothing' --out x"):format(LUA, model,
            work))
        assert.equal(1, status)
        assert.matches("nothing: this is no folder", errors)
        status, _, errors = shell.run(("%s bin/luxel crop --model '%s' --data '%s/in' --out '%s/in/out'"):format(LUA,
            model, work, work))
        assert.equal(1, status)
        assert.matches("is in the folder of the images", errors)
    end)
end)
