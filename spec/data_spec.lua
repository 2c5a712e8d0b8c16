--- Folders, splits, datasets, batches and phantoms.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local work

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

-- Makes folders and small images; `files` maps a path below `name` to a grey value.
local function make_folder(name, files)
    local root = work .. "/" .. name
    for path, grey in pairs(files) do
        os.execute(("mkdir -p '%s/%s'"):format(root, path:match("^(.*)/")))
        assert(core.write_png(root .. "/" .. path, lx.full({1, 9, 7}, grey, {dtype = "uint8"})))
    end
    return root
end

describe("image_folder", function()
    it("reads two class folders, and tells patients by file name", function()
        local root = make_folder("plain", {
            ["NORMAL/IM-0001-0001.png"] = 1, ["NORMAL/NORMAL2-IM-0002-0001.png"] = 2,
            ["PNEUMONIA/person7_bacteria_1.png"] = 3, ["PNEUMONIA/person7_virus_2.png"] = 4,
        })
        local frame = assert(lx.data.image_folder(root))
        assert.equal(4, #frame)
        assert.same({"NORMAL", "PNEUMONIA"}, frame.classes)
        local groups, positives = {}, 0
        for i = 1, #frame do
            groups[frame[i].group] = (groups[frame[i].group] or 0) + 1
            positives = positives + frame[i].label
        end
        assert.equal(2, positives)
        assert.equal(2, groups.person7)
        assert.matches("4 images", tostring(frame))
    end)

    it("reads parts, other names and any case; leaves other files alone", function()
        local root = make_folder("parts", {
            ["train/Normal/a.png"] = 1, ["train/Infected/b.PNG"] = 2, ["test/normal/c.png"] = 3,
            ["test/Infected/d.png"] = 4, ["val/Normal/e.png"] = 5, ["val/Infected/f.png"] = 6,
            ["train/Normal/.hidden.png"] = 7,
        })
        local file = assert(io.open(root .. "/train/Normal/notes.txt", "w"))
        file:close()
        local frame = assert(lx.data.image_folder(root))
        assert.equal(6, #frame)
        assert.equal(2, #frame:in_part("test"))
        assert.equal(2, #frame:in_part("val"))
        assert.is_false(frame.groups_known)
    end)

    it("survives a link that leads back, and names a dangling one when reading", function()
        local root = make_folder("links", {["NORMAL/a.png"] = 1, ["PNEUMONIA/b.png"] = 2})
        os.execute(("ln -s .. '%s/NORMAL/up'; ln -s nowhere '%s/NORMAL/gone.png'"):format(root, root))
        local frame = assert(lx.data.image_folder(root))
        local dataset = assert(frame:load {size = 8})
        assert.equal(1, #dataset.failed)
        assert.matches("gone%.png", dataset.failed[1].message)
    end)

    it("names an image that is gone when its size is asked for", function()
        local root = make_folder("gone", {["NORMAL/a.png"] = 1, ["PNEUMONIA/b.png"] = 2})
        local dataset = assert(assert(lx.data.image_folder(root)):open())
        os.remove(dataset.paths[1])
        assert.error_matches(function() dataset:extent(1) end, "Dataset:extent: .*" .. dataset.paths[1]:match("[^/]+$"))
        assert.same({9, 7}, {dataset:extent(2)})
    end)

    it("says what is wrong with a folder", function()
        local function refused(path, pattern)
            local frame, message, code = lx.data.image_folder(path)
            assert.is_nil(frame)
            assert.matches(pattern, message)
            assert.is_string(code)
        end
        refused(work .. "/none", "does not exist")
        lfs.mkdir(work .. "/empty")
        refused(work .. "/empty", "one folder for each class")
        refused(make_folder("one", {["NORMAL/a.png"] = 1}), "it has only NORMAL")
        local root = make_folder("bare", {["NORMAL/a.png"] = 1})
        lfs.mkdir(root .. "/PNEUMONIA")
        refused(root, "each class is needed")
    end)
end)

describe("a split", function()
    local frame
    setup(function()
        local files = {}
        for i = 1, 40 do files[("NORMAL/IM-%04d-0001.png"):format(i)] = i end
        for i = 1, 30 do
            for j = 1, 1 + i % 3 do files[("PNEUMONIA/person%d_virus_%d.png"):format(i, 10 * i + j)] = i + j end
        end
        frame = assert(lx.data.image_folder(make_folder("split", files)))
    end)

    it("keeps every patient on one side, and the classes in proportion", function()
        local train, val, test = frame:split {val = 0.2, test = 0.2, seed = 3}
        assert.equal(#frame, #train + #val + #test)
        local side = {}
        for name, part in pairs {train = train, val = val, test = test} do
            local positives = 0
            for i = 1, #part do
                local group = part[i].group
                assert.is_true(side[group] == nil or side[group] == name)
                side[group] = name
                positives = positives + part[i].label
            end
            assert.is_true(math.abs(positives / #part - 0.6) < 0.12)
        end
    end)

    it("is the same for the same seed and another for another", function()
        local function names(seed)
            local _, val = frame:split {val = 0.2, seed = seed}
            local list = {}
            for i = 1, #val do list[i] = val[i].path end
            return table.concat(list, "\n")
        end
        assert.equal(names(1), names(1))
        assert.not_equal(names(1), names(2))
    end)
end)

describe("a dataset", function()
    it("keeps images as bytes, and leaves out by name what cannot be read", function()
        local root = make_folder("read", {["NORMAL/a.png"] = 10, ["NORMAL/b.png"] = 20, ["PNEUMONIA/c.png"] = 30})
        local file = assert(io.open(root .. "/NORMAL/b.png", "w"))
        file:write("no image")
        file:close()
        local frame, seen = assert(lx.data.image_folder(root)), {}
        local dataset = assert(frame:load {size = 11, progress = function(done, total) seen = {done, total} end})
        assert.same({3, 3}, seen)
        assert.equal(2, #dataset)
        assert.same({2, 1, 11, 11}, dataset.images.shape)
        assert.equal("uint8", dataset.images.dtype)
        for i = 1, 2 do
            local image = lx.vision.resize(assert(lx.vision.load(dataset.paths[i])), 11, 11)
            assert.equal(1, dataset.images[i]:eq(image):all():item())
        end
        assert.matches("b%.png", dataset.failed[1].message)
        local nothing, message, code = frame:load {size = 11, strict = true}
        assert.is_nil(nothing)
        assert.matches("b%.png", message)
        assert.equal("format", code)
    end)
end)

describe("batches", function()
    local dataset
    setup(function() dataset = lx.data.phantom {n = 23, size = 32, seed = 2} end)

    -- All indices and pixels of an epoch, in the order of the images.
    local function epoch(options)
        local order, pictures = {}, {}
        for x, y, indices in lx.data.batches(dataset, options) do
            assert.equal(x.shape[1], y.shape[1])
            for i, index in ipairs(indices:totable()) do
                order[#order + 1] = index
                pictures[index] = x[{{i}}]:clone()
                assert.equal(dataset.labels[index], y[{i, 1}])
            end
        end
        return order, pictures
    end

    it("visit every image once, in an order that seed and epoch decide", function()
        local first = epoch {batch = 5, epoch = 1}
        assert.equal(23, #first)
        local sorted = table.move(first, 1, 23, 1, {})
        table.sort(sorted)
        for i = 1, 23 do assert.equal(i, sorted[i]) end
        assert.same(first, (epoch {batch = 5, epoch = 1}))
        assert.not_same(first, (epoch {batch = 5, epoch = 2}))
        assert.not_same(first, (epoch {batch = 5, epoch = 1, seed = 9}))
        assert.equal(20, #epoch {batch = 5, drop_last = true})
    end)

    it("go through the next epoch where none is named, and through the first after manual_seed", function()
        local function passes(options)
            lx.manual_seed(7)
            local list = {}
            for k = 1, 3 do
                list[k] = epoch(options)
                epoch {batch = 9, shuffle = false} -- without chance: does not count
            end
            return list
        end
        local first = passes {batch = 5}
        for k = 1, 3 do assert.same((epoch {batch = 5, epoch = k}), first[k]) end
        assert.same(first, passes {batch = 5})
        local other = lx.data.phantom {n = 23, size = 32, seed = 2} -- counts by itself
        local _, _, indices = lx.data.batches(other, {batch = 23})()
        assert.same(first[1], indices:totable())
        local function pixels() return lx.data.batches(dataset, {batch = 23, shuffle = false, augment = true})() end
        assert.is_false(lx.equal(pixels(), (pixels())))
        assert.error_matches(function() lx.data.batches(dataset, {skip = 1}) end,
            "option 'skip': it goes on within an epoch; say which one it is, as in epoch = 1")
    end)

    it("change an image in a way that batch size and place do not matter for", function()
        local _, small = epoch {batch = 4, epoch = 3, augment = true}
        local _, large = epoch {batch = 23, epoch = 3, augment = true}
        local _, plain = epoch {batch = 23, epoch = 3}
        for i = 1, 23 do
            assert.is_true(lx.equal(small[i], large[i]))
            assert.is_false(lx.equal(small[i], plain[i]))
        end
    end)

    it("are the images, normalised, where nothing is augmented", function()
        local _, pictures = epoch {batch = 7, mean = 0.5, std = 0.25}
        local expected = (dataset.images[5]:float() / 255 - 0.5) / 0.25
        assert.is_true(lx.allclose(pictures[5]:view(1, 32, 32), expected, 1e-4, 1e-4))
    end)

    it("go on in the middle of an epoch", function()
        local whole, rest = epoch {batch = 5, epoch = 4}, epoch {batch = 5, epoch = 4, skip = 2}
        assert.same(table.move(whole, 11, 23, 1, {}), rest)
    end)

    it("refuse options that do not fit", function()
        assert.error_matches(function() lx.data.batches(dataset, {batch = 0}) end, "batch")
        assert.error_matches(function() lx.data.batches(dataset, {colour = true}) end, "colour")
    end)
end)

describe("mixed batches", function()
    local x, y = lx.rand(6, 2, 9, 11), lx.tensor {{0}, {1}, {1}, {0}, {0 / 0}, {1}}

    it("are what mixup says", function()
        local shares = {}
        for index = 1, 300 do
            local _, _, share = lx.data.mixup(x, y, {alpha = 0.4, index = index})
            shares[index] = share
        end
        local mean, square = 0, 0
        for _, share in ipairs(shares) do mean, square = mean + share / 300, square + share * share / 300 end
        assert.near(0.5, mean, 0.06)
        assert.near(1 / (4 * (2 * 0.4 + 1)), square - mean * mean, 0.02) -- of Beta(a, a)
        local mixed, targets, share = lx.data.mixup(x, y, {index = 3})
        -- each image has one partner
        for i = 1, 6 do
            local partner
            for j = 1, 6 do
                if lx.allclose(mixed[i], x[i] * share + x[j] * (1 - share), 1e-6, 1e-6) then partner = j end
            end
            assert.is_truthy(partner)
            local expected = y[{i, 1}] * share + y[{partner, 1}] * (1 - share)
            if expected == expected then
                assert.near(expected, targets[{i, 1}], 1e-6)
            else
                assert.is_true(targets[{i, 1}] ~= targets[{i, 1}])
            end
        end
        assert.is_true(lx.equal(mixed, (lx.data.mixup(x, y, {index = 3}))))
        assert.is_false(lx.equal(mixed, (lx.data.mixup(x, y, {index = 4}))))
    end)

    it("are what CutMix says", function()
        local seen = 0
        for index = 1, 40 do
            local mixed, _, share = lx.data.cutmix(x, y, {alpha = 1, index = index})
            local changed = mixed:ne(x):float():sum({2}):gt(0):float()
            -- a rectangle of the area that the targets say, the same in each image that has another one for a partner
            for i = 1, 6 do
                local area = changed[i]:sum():item()
                if area > 0 then
                    seen = seen + 1
                    assert.near(1 - share, area / 99, 1e-6)
                    local rows, columns = changed[i]:max(2):gt(0):float(), changed[i]:max(1):gt(0):float()
                    assert.equal(area, rows:sum():item() * columns:sum():item())
                end
            end
        end
        assert.is_true(seen > 60)
    end)

    it("cut rectangles of the sides and places that CutMix says", function()
        local height, width = 90, 140
        local black_and_white = lx.stack {lx.zeros(1, height, width), lx.ones(1, height, width)}
        local off, middles, n, of_all = 0, 0, 0, 0
        for index = 1, 400 do
            -- mixup draws the same share for the same seed and index; CutMix then rounds it to pixels
            local _, _, drawn = lx.data.mixup(black_and_white, lx.tensor {0, 1}, {alpha = 1, index = index})
            local mixed, targets, share = lx.data.cutmix(black_and_white, lx.tensor {0, 1}, {alpha = 1, index = index})
            local changed = mixed[1][1]
            local area = changed:sum():item()
            if area > 0 then
                assert.near(1 - share, area / (height * width), 1e-6)
                assert.near(1 - share, targets[1], 1e-6)
                for dim, size in ipairs {height, width} do
                    local line = changed:max(3 - dim):totable()
                    local first, last
                    for i, value in ipairs(line) do
                        first, last = first or value == 1 and i or nil, value == 1 and i or last
                    end
                    local length, wanted = last - first + 1, math.sqrt(1 - drawn) * size
                    assert.is_true(length <= wanted + 1)
                    of_all = of_all + 1
                    if first > 1 and last < size then -- whole
                        assert.near(wanted, length, 1.001)
                        off, middles, n = off + length - wanted, middles + (first + last - 1) / 2 / size, n + 1
                    end
                end
            end
        end
        assert.is_true(n > 100 and of_all > n + 100)
        assert.near(0, off / n, 0.12)
        assert.near(0.5, middles / n, 0.04)
    end)

    it("refuse what is no batch", function()
        assert.error_matches(function() lx.data.mixup(x[1], y) end, "%[2,9,11%]")
        assert.error_matches(function() lx.data.cutmix(x, y, {alpha = 0}) end, "alpha")
    end)
end)

describe("phantoms", function()
    it("are the same for a seed, and know their boxes", function()
        local a, b = lx.data.phantom {n = 12, size = 48, seed = 4}, lx.data.phantom {n = 12, size = 48, seed = 4}
        assert.is_true(lx.equal(a.images, b.images))
        assert.is_false(lx.equal(a.images, lx.data.phantom({n = 12, size = 48, seed = 5}).images))
        for i = 1, 12 do
            assert.equal(a.labels[i] == 1, #a.boxes[i] > 0)
            for _, box in ipairs(a.boxes[i]) do
                assert.is_true(box.x >= 0 and box.y >= 0 and box.x + box.w <= 48 and box.y + box.h <= 48)
            end
        end
    end)

    -- The first twelve of a seed as they were when this was written: mean, deviation, mean difference to the pixel on
    -- the left and above, means of the upper and of the left half, boxes, path.
    local DRAWN <const> = {
        {102.767, 65.384, 10.739, 8.425, 92.443, 84.293, path = "PNEUMONIA/person1_phantom_1.png",
            boxes = {{38, 10, 13, 15}, {17, 23, 13, 13}, {38, 10, 14, 18}}},
        {86.057, 59.345, 9.988, 7.083, 75.559, 88.016, path = "NORMAL/person2_phantom_1.png",
            boxes = {}},
        {117.228, 59.277, 11.863, 9.869, 100.966, 113.187, path = "NORMAL/person2_phantom_2.png",
            boxes = {}},
        {135.535, 60.801, 11.316, 9.377, 120.071, 127.415, path = "PNEUMONIA/person3_phantom_1.png",
            boxes = {{11, 31, 9, 16}, {11, 31, 13, 15}, {39, 19, 14, 15}}},
        {116.093, 63.845, 11.542, 8.819, 105.837, 103.668, path = "PNEUMONIA/person4_phantom_1.png",
            boxes = {{36, 20, 16, 19}, {37, 6, 13, 16}, {41, 23, 12, 22}, {43, 27, 10, 21}}},
        {124.333, 63.393, 11.328, 9.626, 107.937, 130.992, path = "PNEUMONIA/person4_phantom_2.png",
            boxes = {{40, 27, 13, 17}, {41, 26, 12, 17}, {15, 26, 11, 18}}},
        {89.067, 63.512, 11.035, 8.959, 75.282, 88.912, path = "NORMAL/person5_phantom_1.png",
            boxes = {}},
        {106.269, 80.471, 14.008, 10.534, 88.726, 117.751, path = "NORMAL/person5_phantom_2.png",
            boxes = {}},
        {126.647, 70.397, 13.756, 12.446, 108.812, 130.499, path = "PNEUMONIA/person6_phantom_1.png",
            boxes = {{43, 22, 12, 27}, {41, 25, 14, 16}, {6, 17, 15, 16}, {40, 27, 14, 18}}},
        {122.491, 60.016, 11.210, 9.705, 113.050, 108.459, path = "PNEUMONIA/person6_phantom_2.png",
            boxes = {{13, 10, 13, 15}, {37, 10, 17, 18}, {47, 34, 10, 11}}},
        {122.656, 63.735, 12.710, 11.296, 104.645, 125.871, path = "PNEUMONIA/person6_phantom_3.png",
            boxes = {{14, 16, 13, 19}, {42, 17, 13, 25}, {43, 30, 12, 21}, {6, 38, 11, 12}}},
        {99.853, 64.596, 13.213, 10.665, 83.035, 100.576, path = "NORMAL/person7_phantom_1.png",
            boxes = {}},
    }

    it("are the same everywhere and always", function()
        local set = lx.data.phantom {n = 12, size = 64, seed = 7}
        for i, expected in ipairs(DRAWN) do
            local x = set.images[i]:float():view(64, 64)
            local got = {
                x:mean():item(), (x - x:mean()):square():mean():sqrt():item(),
                (x:narrow(2, 2, 63) - x:narrow(2, 1, 63)):abs():mean():item(),
                (x:narrow(1, 2, 63) - x:narrow(1, 1, 63)):abs():mean():item(),
                x:narrow(1, 1, 32):mean():item(), x:narrow(2, 1, 32):mean():item(),
            }
            for k, number in ipairs(got) do assert.near(expected[k], number, 0.01, ("image %d, %d"):format(i, k)) end
            local boxes = {}
            for k, box in ipairs(set.boxes[i]) do boxes[k] = {box.x, box.y, box.w, box.h} end
            assert.same(expected.boxes, boxes)
            assert.equal(expected.path, set.paths[i])
        end
    end)

    it("cannot be told apart by brightness alone", function()
        local set = lx.data.phantom {n = 200, size = 32, seed = 6}
        local brightness = set.images:float():view(200, -1):mean(2)
        local auc = lx.metrics.auc(brightness, set.labels)
        assert.is_true(auc > 0.3 and auc < 0.75)
    end)
end)

describe("real radiographs", function()
    local root = os.getenv("LUXEL_DATA") or "../shared/data"

    it("are read whole, with their patients", function()
        if lfs.attributes(root .. "/chest_xray", "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local frame = assert(lx.data.image_folder(root .. "/chest_xray"))
        assert.equal(5216, #frame)
        assert.is_true(frame.groups_known)
        local few = frame:shuffle(1):filter(function(_, i) return i <= 200 end)
        local dataset = assert(few:load {size = 65})
        assert.equal(200, #dataset)
        assert.equal(0, #dataset.failed)
        -- a film is neither black nor white, and no two of these are the same
        local means = dataset.images:float():view(200, -1):mean(2)
        assert.is_true(means:min():item() > 20 and means:max():item() < 235)
    end)
end)
