--- Networks that see of each film only the part with both lungs.

local lx = require "luxel"
local core = require "luxel.core"
local lfs = require "lfs"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv "LUA" or "lua5.4"
local SILENT <const> = {message = function() end, step = function() end, epoch = function() end}

describe("films cropped to the lungs", function()
    local folder, frame, cropped, whole, predictor

    setup(function()
        folder = shell.folder()
        assert(lx.data.phantom_save(folder .. "/images", {n = 40, size = 96, seed = 4}))
        -- wide frames, so that a crop differs from the whole
        frame = assert(lx.data.image_folder(folder .. "/images"))
        for _, path in ipairs(frame.path) do
            local image = assert(lx.vision.load(path, {bits = 8}))
            assert(lx.vision.save(path, lx.vision.pad(image, {30, 17, 41, 23}, {border = "constant", fill = 90})))
        end
        cropped, whole = assert(frame:load {size = 32, crop = "lungs"}), assert(frame:load {size = 32})
        lx.manual_seed(1)
        local net = lx.models.cnn {size = 32}
        local train, val = cropped:split {val = 0.3}
        assert(lx.train.fit {
            net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3}), train = train, val = val, epochs = 1,
            out = folder .. "/run", metadata = {model = "cnn", size = 32}, progress = SILENT,
        })
        predictor = assert(lx.predictor.open(folder .. "/run/best.safetensors"))
    end)
    teardown(function() shell.remove(folder) end)

    it("are the part that find_lungs gives, of the film in its own size", function()
        for i = 1, 5 do
            local part = lx.vision.lung_crop((assert(lx.vision.load(frame.path[i], {bits = 8}))))
            assert.is_true(part.shape[3] < 167)
            local expected = lx.vision.resize(part, 32, 32)
            assert.is_true(lx.equal(expected, cropped.images:select(1, i)))
            assert.is_false(lx.equal(expected, whole.images:select(1, i)))
        end
        assert.equal("lungs", cropped.crop)
        assert.equal("lungs", cropped:subset({3, 1}).crop)
        assert.is_nil(whole.crop)
        assert.same(whole:hashes(), cropped:hashes())
    end)

    it("stay in files for later runs, apart from whole films", function()
        local file = folder .. "/kept.cache"
        local function open(options)
            options.cache, options.size = file, 32
            return assert(frame:open(options)), lfs.attributes(file, "ino")
        end
        local kept, made = open {crop = "lungs"}
        assert.equal("lungs", kept.crop)
        assert.equal(made, select(2, open {crop = "lungs"}))
        local again = open {crop = "lungs"}
        for i = 1, 3 do
            local film = assert(lx.vision.load(frame.path[i], {bits = 8}))
            for _, dataset in ipairs {kept, again} do
                assert.is_true(lx.equal(lx.vision.lung_crop(film), dataset:image(i)))
            end
        end
        local reduced = open {crop = "lungs", reduce = 40}
        local shape = reduced:image(1).shape
        assert.equal(40, math.min(shape[2], shape[3]))
        local films, other = open {}
        assert.is_true(other ~= made)
        assert.is_true(lx.equal(assert(lx.vision.load(frame.path[1], {bits = 8})), films:image(1)))
    end)

    it("are what a model that learnt from them wants, and says so", function()
        assert.equal("lungs", predictor.metadata.input.crop)
        local expected = assert(predictor:probabilities(cropped))
        for i, answer in ipairs(predictor:all({frame.path[1], frame.path[2]})) do
            assert.near(expected[i], answer.infected, 1e-6)
        end
        for _, f in ipairs {"probabilities", "logits", "judge"} do
            assert.error_matches(function() predictor[f](predictor, whole) end, "Predictor: dataset: the network sees "
                .. "images cropped to the lungs, and these are whole films; read them with {crop = \"lungs\"}")
        end
        local dataset = lx.data.dataset {images = whole.images, labels = whole.labels, crop = "lungs"}
        assert.is_table(predictor:probabilities(dataset))
    end)

    it("are not mixed with whole films", function()
        local net = lx.models.cnn {size = 32}
        assert.error_matches(function()
            lx.train.fit {
                net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3}), train = whole, val = cropped,
                epochs = 1, out = folder .. "/mixed", progress = SILENT,
            }
        end, "option 'val': the network sees images whole films, and these are cropped to the lungs")
        local rows = {}
        for i = 1, 2 do rows[i] = {path = frame.path[i], label = "ab", x = 1, y = 2, w = 3, h = 4} end
        rows[1].label = "b"
        local boxed = assert(lx.data.frame(rows, {label = "label", positive = "b", boxes = {"x", "y", "w", "h"}}))
        for _, name in ipairs {"load", "open"} do
            assert.error_matches(function() boxed[name](boxed, {size = 32, crop = "lungs"}) end,
                ("Frame:%s: options: option 'crop': the frame has boxes"):format(name))
        end
        -- nor do networks of masks learn from parts: what they answer is laid over the whole film
        local masks = lx.data.dataset {
            images = lx.zeros({4, 1, 32, 32}, {dtype = "uint8"}), masks = lx.ones({4, 1, 32, 32}, {dtype = "uint8"}),
            crop = "lungs",
        }
        local unet = lx.models.unet {size = 32}
        assert.error_matches(function()
            lx.train.fit {
                net = unet, optimizer = lx.optim.SGD(unet:parameters(), {lr = 0.1}), train = masks, val = masks,
                epochs = 1, out = folder .. "/masks", metadata = {model = "unet", size = 32},
            }
        end, "input: masks are of whole films, and it is of a part of them")
    end)

    it("have maps over the whole picture, which show nothing outside the part", function()
        local image = assert(lx.vision.load(frame.path[1], {bits = 8}))
        local x, region = predictor:input(image)
        assert.same({1, 1, 32, 32}, x.shape)
        assert.same({167 + 0, 136}, {region.width, region.height})
        local map = assert(lx.explain.smooth_grad(predictor, image, {samples = 2}))
        local across, down = 32 / region.w, 32 / region.h
        local left, top = math.floor(region.x * across + 0.5), math.floor(region.y * down + 0.5)
        assert.same({1, math.floor(136 * down + 0.5), math.floor(167 * across + 0.5)}, map.shape)
        local inside = map:narrow(2, top + 1, 32):narrow(3, left + 1, 32)
        assert.is_true(inside:sum():item() > 0)
        assert.near(map:sum():item(), inside:sum():item(), 1e-4 * map:sum():item())
        assert.is_true(lx.equal(inside:clone(), lx.explain.smooth_grad(predictor, x, {samples = 2})))
    end)

    it("are refused by the reader of pixels where a file has none", function()
        shell.write(folder .. "/broken.png", "no image")
        local _, ok, messages = core.decode_images({folder .. "/broken.png", frame.path[1]}, 8, true)
        assert.same({false, true}, ok)
        assert.matches("broken.png", messages[1])
    end)

    it("are an option of luxel train #processes", function()
        local line = ("%s bin/luxel train --recipe quick --crop lungs --data %s/images --size 32 --epochs 1 --out "
            .. "%s/command "):format(LUA, folder, folder)
        local status, _, errors = shell.run(line)
        assert.equal(0, status, errors)
        local _, metadata = assert(lx.checkpoint.load(folder .. "/command/best.safetensors"))
        assert.equal("lungs", metadata.input.crop)
        status, _, errors = shell.run(("%s bin/luxel evaluate --model %s/command/best.safetensors --data %s/images"
            ):format(LUA, folder, folder))
        assert.equal(0, status, errors)
        local list = ("%s bin/luxel predict --model %s/command/best.safetensors --format csv %s/images"):format(LUA,
            folder, folder)
        local answers = select(2, shell.run(list))
        status, _, errors = shell.run(("%s bin/luxel predict --model %s/command/best.safetensors --worklist %s/w.csv "
            .. "%s/images"):format(LUA, folder, folder, folder))
        assert.equal(0, status, errors)
        local count = 0
        for row in shell.read(folder .. "/w.csv"):gmatch("[^\n]+") do
            local path, urgency = row:match("(/[^,]*%.png),.-(0%.%d%d%d%d%d%d)")
            if path then
                count = count + 1
                assert.matches(path .. ",", answers, 1, true)
                local own = answers:match(path:gsub("%p", "%%%0") .. ",[^,]*,[^,]*,([%d.]+)")
                assert.near(tonumber(own), tonumber(urgency), 2e-6)
            end
        end
        assert.equal(40, count)
        for _, out in ipairs {"kept", "kept_again"} do
            status, _, errors = shell.run(("%s--overwrite --cache %s/films --out %s/%s"):format(line, folder, folder,
                out))
            assert.equal(0, status, errors)
        end
        local first = assert(lx.checkpoint.load(folder .. "/kept/best.safetensors"))
        local second, kept = assert(lx.checkpoint.load(folder .. "/kept_again/best.safetensors"))
        assert.equal("lungs", kept.input.crop)
        for name, tensor in pairs(first) do assert.is_true(lx.equal(tensor, second[name]), name) end
        status, _, errors = shell.run(("%s bin/luxel train --crop lungs --phantoms 20"):format(LUA))
        assert.equal(1, status)
        assert.matches("%-%-crop lungs is for labelled images", errors)
    end)
end)
