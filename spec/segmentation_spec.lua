--- Segmentation: masks as targets, their metrics, training, predictions, and folds of patients.

local lfs = require "lfs"
local lx = require "luxel"

-- ---- metrics ------------------------------------------------------------------------------------------------------

-- Both by loops over single elements.
local function naive(a, b)
    local both, either, sum = 0, 0, 0
    for i, x in ipairs(a:flatten():totable()) do
        local y = b:flatten():totable()[i]
        both = both + (x ~= 0 and y ~= 0 and 1 or 0)
        either = either + ((x ~= 0 or y ~= 0) and 1 or 0)
        sum = sum + (x ~= 0 and 1 or 0) + (y ~= 0 and 1 or 0)
    end
    return 2 * both / sum, both / either
end

describe("the overlap of masks", function()
    local a = lx.tensor({{1, 1, 0, 0}, {1, 1, 0, 0}, {0, 0, 0, 0}}, {dtype = "uint8"})
    local b = lx.tensor({{0, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}}, {dtype = "uint8"})

    it("is what one counts by hand", function() -- 4 pixels, 6 pixels, 2 in both
        assert.equal(0.4, lx.metrics.dice(a, b))
        assert.equal(0.25, lx.metrics.iou(a, b))
        assert.equal(1, lx.metrics.dice(b, b))
        assert.equal(0, lx.metrics.iou(a, (1 - b:int()) * (1 - a:int())))
    end)

    it("is the same for 0 and 255, whole numbers and floats", function()
        assert.equal(0.4, lx.metrics.dice((a * 255):byte(), b))
        assert.equal(0.4, lx.metrics.dice((a * 7):int(), b:float()))
        assert.equal(0.25, lx.metrics.iou(a:float(), (b * 255):byte()))
    end)

    it("is 1 where both masks are empty, and 0 where one is", function()
        local empty = lx.zeros(3, 4)
        assert.equal(1, lx.metrics.dice(empty, empty:byte()))
        assert.equal(1, lx.metrics.iou(empty, empty))
        assert.equal(0, lx.metrics.dice(empty, b))
        assert.equal(0, lx.metrics.iou(b, empty))
    end)

    it("is that of loops over elements", function()
        lx.manual_seed(3)
        for _, shape in ipairs {{1, 1}, {7}, {3, 5, 7}, {1, 31, 33}} do
            local x, y = lx.rand(shape):gt(0.4), lx.rand(shape):gt(0.7)
            x:flatten():narrow(1, 1, 1):fill_(1)
            local dice, iou = naive(x, y)
            assert.near(dice, lx.metrics.dice(x, y), 1e-12)
            assert.near(iou, lx.metrics.iou(x, y), 1e-12)
            assert.near(2 * iou / (1 + iou), lx.metrics.dice(y, x), 1e-12)
        end
    end)

    it("refuses NaN, probabilities and other shapes", function()
        local bad = b:float():clone()
        bad[{2, 3}] = 0 / 0
        assert.error_matches(function() lx.metrics.dice(bad, b) end, "dice: prediction: .*NaN among them")
        assert.error_matches(function() lx.metrics.iou(b, bad) end, "iou: target: .*NaN among them")
        assert.error_matches(function() lx.metrics.dice(b:float() * 0.5, b) end, "p:ge%(0.5%)")
        assert.error_matches(function() lx.metrics.dice(b, b:t()) end, "%[3,4%], got %[4,3%]")
        assert.error_matches(function() lx.metrics.iou(b, 3) end, "target: expected a tensor")
    end)
end)

describe("the mean of a figure", function()
    it("is over images, and its interval over patients", function()
        local values, groups = {0.9, 0.8, 0.7, 1.0}, {"a", "a", "b", "c"}
        local found = lx.metrics.mean(values, {groups = groups, n = 4000})
        assert.near(0.85, found.mean, 1e-12)
        assert.equal(3, found.units)
        assert.equal(4, found.images)
        -- the 27 resamples of three patients: the least mean is 0.7, once in 27, the largest 1
        assert.near(0.7, found.low, 1e-12)
        assert.near(1, found.high, 1e-12)
        local narrow = lx.metrics.mean(values, {groups = groups, n = 4000, level = 0.8})
        assert.is_true(narrow.low > 0.7 and narrow.high < 1 and narrow.low < 0.85 and narrow.high > 0.85)
        assert.same(found, lx.metrics.mean(values,
            {groups = groups, n = 4000}))
    end)

    it("has the width that theory says", function()
        local values = {}
        lx.manual_seed(5)
        for i, x in ipairs(lx.randn(400):totable()) do values[i] = x end
        local found = lx.metrics.mean(values, {n = 2000})
        assert.near(2 * 1.96 / 20, found.high - found.low, 0.03)
    end)

    it("has no interval of one patient, or of values that agree", function()
        assert.is_nil(lx.metrics.mean({0.5, 0.7}, {groups = {1, 1}}).low)
        assert.is_nil(lx.metrics.mean({0.5, 0.5, 0.5}).high)
        assert.equal("0.5000", tostring(lx.metrics.mean {0.5, 0.5}))
    end)

    it("refuses NaN, nothing, and images without a group", function()
        assert.error_matches(function() lx.metrics.mean {1, 0 / 0} end, "mean: values: .*at place 2")
        assert.error_matches(function() lx.metrics.mean {} end, "there are none")
        assert.error_matches(function() lx.metrics.mean({1, 2}, {groups = {1}}) end, "none for image 2")
    end)
end)

-- ---- folds --------------------------------------------------------------------------------------------------------

describe("folds", function()
    -- Patients of 1 to 4 images, most of one class.
    local function rows(count)
        local out = {}
        for patient = 1, count do
            for nth = 1, patient % 4 + 1 do
                out[#out + 1] = {
                    path = ("p%d-%d.png"):format(patient, nth), label = patient % 3 == 0 and "tb" or "normal",
                    patient = "p" .. patient,
                }
            end
        end
        return out
    end

    it("have each image in validation once, and no patient on both sides", function()
        local frame = assert(lx.data.frame(rows(60), {label = "label"}))
        local seen, folds = {}, assert(frame:folds(5, {seed = 2}))
        assert.equal(5, #folds)
        for _, fold in ipairs(folds) do
            assert.equal(#frame, #fold.train + #fold.val)
            assert.near(#frame / 5, #fold.val, 4)
            local positives, patients = 0, {}
            for i = 1, #fold.val do
                assert.is_nil(seen[fold.val.path[i]])
                seen[fold.val.path[i]], patients[fold.val.group[i]] = true, true
                positives = positives + fold.val.label[i]
            end
            assert.near(1 / 3, positives / #fold.val, 0.06)
            for i = 1, #fold.train do assert.is_nil(patients[fold.train.group[i]]) end
        end
    end)

    it("are the same of the same seed, of frames and datasets", function()
        local frame = assert(lx.data.frame(rows(20), {label = "label"}))
        local dataset = lx.data.dataset {
            images = lx.zeros(#frame, 1, 16, 16):byte(), labels = frame.label, patients = frame.group,
            paths = frame.path,
        }
        local a, b = assert(frame:folds(3)), assert(dataset:folds(3))
        for k = 1, 3 do
            assert.same(a[k].val.path, b[k].val.paths)
            assert.same(a[k].train.path, b[k].train.paths)
        end
        assert.not_same(a[1].val.path, assert(frame:folds(3, {seed = 2}))[1].val.path)
    end)

    it("leave a patient with more images than a fold without others of the class", function()
        local list = rows(20)
        for i = 1, 60 do list[#list + 1] = {path = i .. ".png", label = "normal", patient = "large"} end
        local found = 0
        for _, fold in ipairs(assert(assert(lx.data.frame(list, {label = "label"})):folds(3))) do
            local large, others = 0, 0
            for i = 1, #fold.val do
                if fold.val.group[i] == "large" then
                    large = large + 1
                elseif fold.val.label[i] == 0 then
                    others = others + 1
                end
            end
            if large > 0 then
                found = found + large
                assert.equal(0, others)
            end
        end
        assert.equal(60, found)
    end)

    it("are refused where there are too few patients", function()
        local frame = assert(lx.data.frame(rows(3), {label = "label"}))
        local folds, message, code = frame:folds(4)
        assert.is_nil(folds)
        assert.matches("3 patients do not make 4 folds", message)
        assert.equal("format", code)
        assert.error_matches(function() frame:folds(1) end, "Frame:folds: count: .*from 2 to 1000")
    end)
end)

-- ---- masks as targets -----------------------------------------------------------------------------------------------

local folder

setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(lfs.mkdir(folder))
    assert(lx.data.phantom_save(folder .. "/lungs", {n = 9, size = 48, task = "segmentation"}))
end)

teardown(function() os.execute("rm -rf '" .. folder .. "'") end)

-- Rows of the phantoms in the folder.
local function rows_of(dir)
    local rows = {}
    for name in lfs.dir(dir .. "/images") do
        if name:find("%.png$") then rows[#rows + 1] = {path = name, who = name:match("person%d+")} end
    end
    table.sort(rows, function(a, b) return a.path < b.path end)
    return rows
end

describe("phantoms with masks", function()
    it("are the pictures of those without, and dark inside", function()
        local plain = lx.data.phantom {n = 4, size = 64}
        local set = lx.data.phantom {n = 4, size = 64, task = "segmentation"}
        assert.equal(plain.images:tostring_bytes(), set.images:tostring_bytes())
        assert.equal("segmentation", set.task)
        for i = 1, 4 do
            local image, inside = set:image(i):float(), set:mask(i):ne(0):float()
            local share = inside:mean():item()
            assert.is_true(share > 0.15 and share < 0.45)
            local within = (image * inside):sum():item() / inside:sum():item()
            local around = (image * (1 - inside)):narrow(3, 17, 32):sum():item()
                / (1 - inside):narrow(3, 17, 32):sum():item()
            assert.is_true(within < around - 20)
        end
    end)
end)

describe("masks in frames", function()
    it("are those of the images' names, and make the task", function()
        local dir = folder .. "/lungs"
        local frame = assert(lx.data.frame(rows_of(dir), {
            root = dir .. "/images", masks = dir .. "/masks", patient = "who", classes = {"lungs"},
        }))
        assert.equal("segmentation", frame.task)
        assert.equal(9, #frame)
        assert.equal(dir .. "/masks/person1_phantom_1.png", frame[1].mask)
        assert.matches("masks of 9 images", tostring(frame))
        local set = assert(frame:open {size = 48})
        local drawn = lx.data.phantom {n = 9, size = 48, task = "segmentation"}
        local place = {}
        for i, path in ipairs(drawn.paths) do place[path] = i end
        for i = 1, #set do
            local same = place["images/" .. set.paths[i]:match("[^/]*$")]
            assert.equal(drawn:mask(same):tostring_bytes(), set:mask(i):tostring_bytes())
        end
        local _, message = frame:folds(20)
        assert.matches("20 folds", message)
        assert.error_matches(function() frame:load {size = 32} end, "use open instead")
    end)

    it("may be a column, and missing", function()
        local rows = {
            {path = "images/person1_phantom_1.png", m = "masks/person1_phantom_1.png"},
            {path = "images/person2_phantom_1.png", m = ""},
        }
        local frame = assert(lx.data.frame(rows, {root = folder .. "/lungs", mask = "m"}))
        assert.is_nil(frame[2].mask)
        assert.is_true(frame.label[2] ~= frame.label[2])
        assert.matches("1 images, 1 without", tostring(frame))
        local set = assert(frame:open {size = 48})
        assert.same({{1}, 1}, {set:counts()})
        assert.is_nil(set:mask(2))
        for _, y, _, masks in lx.data.batches(set, {batch = 2, shuffle = false}) do
            assert.same({2, 1, 48, 48}, y.shape)
            assert.equal(set:mask(1):ne(0):float():tostring_bytes(), y:select(1, 1):contiguous():tostring_bytes())
            assert.equal(48 * 48, y:select(1, 2):isnan():float():sum():item())
            assert.equal(0, masks:select(1, 2):float():sum():item())
        end
    end)

    it("are refused where they cannot be told", function()
        local dir = folder .. "/lungs"
        local function refused(rows, options)
            local frame, message = lx.data.frame(rows, options)
            assert.is_nil(frame)
            return message
        end
        local rows = {{path = "a.png", m = "a.png"}}
        assert.matches("none of the 1 images has a mask of its name", refused(rows, {masks = dir .. "/masks"}))
        assert.matches("cannot read the folder", refused(rows, {masks = dir .. "/none"}))
        assert.matches("exclude each other", refused(rows, {masks = dir, mask = "m"}))
        assert.matches("say label = COLUMN", refused(rows, {}))
        assert.matches("no rows that are kept", refused(rows, {mask = "m", keep = function() return false end}))
        assert.matches("masks show one class", refused(rows, {mask = "m", classes = {"left", "right"}}))
    end)

    it("go along beside labels", function()
        local dir = folder .. "/lungs"
        local rows = rows_of(dir)
        for i, row in ipairs(rows) do row.label = i % 2 end
        local frame = assert(lx.data.frame(rows, {
            root = dir .. "/images", masks = dir .. "/masks", label = "label", classes = {"0", "1"},
        }))
        assert.equal("binary", frame.task)
        for _, y, _, masks in lx.data.batches(assert(frame:open {size = 48}), {batch = 9}) do
            assert.same({9, 1}, y.shape)
            assert.same({9, 1, 48, 48}, masks.shape)
        end
    end)

    it("are warped as their images are", function()
        -- the image is its mask, so that whatever the augmentation does shows in both
        lx.manual_seed(4)
        local masks = lx.zeros(3, 1, 41, 41)
        masks:narrow(3, 9, 20):narrow(4, 7, 11):fill_(255)
        local set = lx.data.dataset {images = masks:byte(), masks = masks:byte(), classes = {"box"}}
        local seen = 0
        for x, y in lx.data.batches(set, {
            batch = 3, augment = {{"hflip"}, {"rotate", 25}, {"shift", 0.1}, {"zoom", 0.2}}, seed = 3,
        }) do
            assert.is_true(lx.metrics.dice(x:ge(0.5), y) > 0.97)
            assert.is_true(lx.metrics.dice(y:select(1, 1), y:select(1, 2)) < 0.97)
            seen = seen + 1
        end
        assert.equal(1, seen)
    end)

    it("are the same on a device, and so are the figures", function()
        local device = lx.device "opencl"
        if not device then return pending("needs OpenCL") end
        local some = lx.data.phantom {n = 5, size = 17, seed = 2, task = "segmentation"}
        local set = lx.data.dataset {
            images = some.images, masks = some.masks, labels = {0, 0 / 0, 0, 0, 0}, task = "segmentation",
            classes = {"lungs"},
        }
        local options, there = {batch = 3, seed = 5, epoch = 1, augment = true}, {}
        for x, y in lx.data.batches(set, {
            batch = 3, seed = 5, epoch = 1, augment = true, device = device.label,
        }) do
            there[#there + 1] = {x, y}
        end
        local k = 0
        for x, y in lx.data.batches(set, options) do
            k = k + 1
            assert.equal(device.label, there[k][2].device)
            assert.equal(x:tostring_bytes(), there[k][1]:to("cpu"):tostring_bytes())
            local known = y:isnan():eq(0):float()
            assert.same(known:totable(), there[k][2]:to("cpu"):isnan():eq(0):float():totable())
            local a, b = y:masked_fill(y:isnan(), 0), there[k][2]:masked_fill(there[k][2]:isnan(), 0)
            assert.equal(a:tostring_bytes(), b:to("cpu"):tostring_bytes())
            local found = x:ge(0.4)
            assert.equal(lx.metrics.dice(found, a), lx.metrics.dice(found:to(device.label), b))
            assert.equal(lx.metrics.iou(found, a), lx.metrics.iou(found:to(device.label), b))
        end
        assert.equal(2, k)
        assert.error_matches(function() lx.metrics.dice(lx.zeros(2), lx.zeros({2}, {device = device.label})) end,
            "target: expected a mask on cpu")
    end)

    it("have a loss whose slope is that of finite differences, and none where there is no mask", function()
        lx.manual_seed(8)
        local target = lx.rand(2, 1, 3, 5):gt(0.5):float()
        target:select(1, 2):fill_(0 / 0)
        local loss = require("luxel.train.task").kinds.segmentation.loss
        local x = lx.randn({2, 1, 3, 5}, {requires_grad = true})
        loss(x, target):backward()
        local step = 1e-2
        for i = 1, 30 do
            local function at(shift)
                local moved = x:detach():clone():view(30)
                moved[i] = moved[i] + shift
                return loss(moved:view(2, 1, 3, 5), target):item()
            end
            local slope = (at(step) - at(-step)) / (2 * step)
            assert.near(slope, x.grad:view(30)[i], 2e-3)
            if i > 15 then assert.equal(0, x.grad:view(30)[i]) end
        end
    end)

    it("of tensors are checked", function()
        local images = lx.zeros(2, 1, 16, 16):byte()
        local function of(options)
            options.images = images
            return function() lx.data.dataset(options) end
        end
        assert.error_matches(of {masks = images:float()}, "masks': expected uint8 %[2,1,H,W%]")
        assert.error_matches(of {masks = {"a.png"}}, "expected one for each of 2 images, got 1")
        assert.error_matches(of {}, "option 'labels' is needed")
        assert.error_matches(of {labels = {0, 1}, task = "segmentation"}, "option 'masks' is needed")
        assert.error_matches(of {masks = images, classes = {"a", "b"}}, "masks of one class")
        assert.error_matches(of {masks = images, labels = {0, 1}, task = "segmentation"}, "from 0 to 0, or NaN")
    end)
end)

-- ---- training -------------------------------------------------------------------------------------------------------

local SIZE <const> = 32

-- Sees enough around a pixel to tell a lung; as deep as a test may be.
local function small_net(outputs)
    local nn = lx.nn
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, {padding = 1}), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, {padding = 2, dilation = 2}), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 2, {stride = 2}), nn.ReLU(), nn.Conv2d(8, outputs or 1, 1)
    )
end

-- The options of a short training.
local function plan(train, val, out, more)
    lx.manual_seed(2)
    local net = small_net()
    local options = {
        net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01}), train = train, val = val, epochs = 4,
        batch = 8, out = out and folder .. "/" .. out, overwrite = true, progress = {
            message = function() end, step = function() end, epoch = function() end,
        },
    }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
end

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("a")
    file:close()
    return text
end

describe("training on masks", function()
    local train, val

    setup(function()
        train, val = lx.data.phantom({n = 50, size = SIZE, seed = 3, task = "segmentation"}):split {val = 0.25}
    end)

    it("finds the lungs of other patients, and keeps the epoch with the best Dice", function()
        local seen = {}
        local options = plan(train, val, "run", {callbacks = {epoch = function(row) seen[row.epoch] = row end}})
        local result = assert(lx.train.fit(options))
        assert.is_true(result.best.dice > 0.8, tostring(result))
        assert.matches("Dice 0%.", tostring(result))
        local best = seen[1]
        for _, row in ipairs(seen) do
            if row.val_dice > best.val_dice then best = row end
        end
        assert.equal(best.epoch, result.best.epoch)
        assert.equal(best.val_dice, result.best.dice)
        assert.matches("^epoch,loss,val_loss,val_iou,val_dice,threshold", read(options.out .. "/log.csv"))
        local tensors, metadata = assert(lx.checkpoint.load(options.out .. "/best.safetensors"))
        assert.equal("segmentation", metadata.task)
        assert.same({"lungs"}, metadata.classes)
        assert.equal(0.5, metadata.threshold)
        assert.equal(result.best.dice, metadata.metrics.val_dice)

        -- the same from the file, image by image, by hand
        local net = small_net()
        net:load_state_dict(tensors)
        local maps = lx.train.predict(net, val, {probabilities = true})
        local logits = lx.train.predict(net, val)
        local sum, loss = 0, 0
        for i, map in ipairs(maps) do
            assert.same({1, SIZE, SIZE}, map.shape)
            sum = sum + naive(map:ge(0.5), val:mask(i))
            local target = val:mask(i):ne(0):float()
            local p = logits[i]:sigmoid()
            loss = loss + (1 - (2 * (p * target):sum():item() + 1) / ((p * p):sum():item() + target:sum():item() + 1))
                - (target * p:log() + (1 - target) * (1 - p):log()):mean():item()
        end
        assert.near(result.best.dice, sum / #val, 1e-9)
        assert.near(result.best.loss, loss / #val, 1e-4)
    end)

    it("goes on to the same bits", function()
        local whole = plan(train, val, "whole", {epochs = 2, augment = true, ema = 0.9})
        assert(lx.train.fit(whole))
        assert(lx.train.fit(plan(train, val, "parts", {epochs = 1, augment = true, ema = 0.9})))
        assert(lx.train.fit(plan(train, val, "parts", {epochs = 2, augment = true, ema = 0.9, overwrite = false,
            resume = true})))
        assert.equal(read(whole.out .. "/last.safetensors"), read(folder .. "/parts/last.safetensors"))
        -- other masks are another run
        local other = lx.data.dataset {
            images = train.images, masks = train.masks:eq(0):byte(), classes = {"lungs"},
            paths = train.paths, patients = train.groups,
        }
        local result, message = lx.train.fit(plan(other, val, "parts", {epochs = 3, augment = true, ema = 0.9,
            overwrite = false, resume = true}))
        assert.is_nil(result)
        assert.matches("training images are others", message)
    end)

    it("leaves out images without a mask", function()
        local labels = {}
        for i = 1, #train do labels[i] = i % 2 == 0 and 0 / 0 or 0 end
        -- their masks are wrong, so that using them would show
        local masks = train.masks:clone()
        for i = 2, #train, 2 do masks:select(1, i):fill_(255) end
        local some = lx.data.dataset {
            images = train.images, masks = masks, labels = labels, task = "segmentation", classes = {"lungs"},
        }
        local words = {}
        local result = assert(lx.train.fit(plan(some, val, "some", {epochs = 6, progress = {
            message = function(_, text) words[#words + 1] = text end, step = function() end, epoch = function() end,
        }})))
        assert.is_true(result.best.dice > 0.75, tostring(result))
        assert.matches("of the training images have no mask", table.concat(words, "\n"))
        local odd = {}
        for i = 1, #some, 2 do odd[#odd + 1] = i end
        local judged = assert(lx.train.fit(plan(train, some, "judged", {epochs = 1}))).best
        local same = assert(lx.train.fit(plan(train, some:subset(odd), "odd", {epochs = 1}))).best
        assert.near(same.dice, judged.dice, 1e-9)
        assert.near(same.loss, judged.loss, 1e-5)
        local all = lx.train.predict(small_net(), some)
        assert.equal(#some, #all)
    end)

    it("is refused where network, figure or masks do not fit", function()
        local function refused(more, message, set)
            assert.error_matches(function() lx.train.fit(plan(set or train, val, "bad", more)) end, message)
        end
        local nn = lx.nn
        local half = nn.Sequential(nn.Conv2d(1, 1, 3, {padding = 1}), nn.MaxPool2d(2))
        local optimizer = lx.optim.SGD(half:parameters(), {lr = 0.1})
        refused({net = half, optimizer = optimizer}, "masks of %[8,1,32,32%] want as many logits from the network, "
            .. "which gives %[8,1,16,16%]")
        local two = small_net(2)
        refused({net = two, optimizer = lx.optim.SGD(two:parameters(), {lr = 0.1})}, "gives %[8,2,32,32%]")
        refused({best = "auc"}, "has no 'auc'; it has dice, iou, loss and last")
        local none = {}
        for i = 1, #train do none[i] = 0 / 0 end
        refused({}, "no image has a mask", lx.data.dataset {
            images = train.images, masks = train.masks, labels = none, task = "segmentation", classes = {"lungs"},
        })
    end)

    it("keeps the last epoch where nothing is to be chosen", function()
        local result = assert(lx.train.fit(plan(train, val, "last", {epochs = 3, best = "last", scheduler = nil})))
        assert.equal(3, result.best.epoch)
        local _, metadata = lx.checkpoint.load(folder .. "/last/best.safetensors")
        assert.equal(3, metadata.epoch)
    end)
end)

describe("cross-validation", function()
    it("trains each fold in its folder, and goes on with those that are not done", function()
        local set = lx.data.phantom {n = 24, size = SIZE, seed = 4, task = "segmentation"}
        local folds = assert(set:folds(3))
        local calls, out = {}, folder .. "/folds"
        local function run(more)
            local options = {folds = folds, out = out, progress = plan(set, set).progress, fit = function(fold, k)
                calls[#calls + 1] = k
                local one = plan(fold.train, fold.val, nil, {epochs = 2, best = "last"})
                one.overwrite = nil
                if more.stop == k then one.callbacks = {epoch = function() error("interrupted!", 0) end} end
                return one
            end}
            for _, name in ipairs {"resume", "overwrite"} do options[name] = more[name] end
            return lx.train.cross_validate(options)
        end
        local stopped = assert(run {stop = 2})
        assert.is_true(stopped.interrupted)
        assert.same({1, 2}, calls)
        local refused, message, code = run {}
        assert.is_nil(refused)
        assert.matches("fold%-1 holds a run already", message)
        assert.equal("exists", code)
        local first = read(out .. "/fold-1/best.safetensors")
        local done = assert(run {resume = true})
        assert.is_false(done.interrupted)
        assert.equal(3, #done.folds)
        assert.equal(first, read(out .. "/fold-1/best.safetensors"))
        for k, result in ipairs(done.folds) do
            assert.equal(2, result.epoch)
            assert.equal(("%s/fold-%d"):format(out, k), result.out)
        end
        assert.matches("fold 3: training: 2 epochs", tostring(done))
        -- as if nothing had interrupted it
        local resumed = read(out .. "/fold-2/last.safetensors")
        assert(run {overwrite = true})
        assert.equal(resumed, read(out .. "/fold-2/last.safetensors"))
    end)
end)

-- ---- models -------------------------------------------------------------------------------------------------------

-- A model as `luxel train` writes it, of a few epochs.
local function save_model(name, more)
    lx.manual_seed(6)
    local network = {width = 4, depth = 2, batch_norm = true}
    local net = lx.models.unet {width = 4, depth = 2, batch_norm = true, size = SIZE}
    local train, val = lx.data.phantom({n = 30, size = SIZE, seed = 7, task = "segmentation"}):split {val = 0.2}
    local options = plan(train, val, name, {
        net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01}), batch = 4, epochs = 5,
        metadata = {model = "unet", network = network, size = SIZE, classes = {"lungs"}, images = #train},
    })
    for key, value in pairs(more or {}) do options[key] = value end
    assert(lx.train.fit(options))
    return options.out .. "/best.safetensors", val
end

describe("a predictor of masks", function()
    local path, predictor, val

    setup(function()
        path, val = save_model "model"
        predictor = assert(lx.predictor.open(path))
    end)

    it("answers with a mask of the image's own size", function()
        local film = folder .. "/film.png"
        local image = lx.vision.resize(val:image(1), 67, 90)
        assert(lx.vision.save(film, image))
        local answer = assert(predictor(film))
        assert.same({1, 67, 90}, answer.mask.shape)
        assert.equal("uint8", answer.mask.dtype)
        assert.equal("lungs", answer.label)
        assert.is_nil(answer.probability)
        local small = lx.vision.resize(assert(lx.vision.load(film)), SIZE, SIZE)
        local tensors = assert(lx.checkpoint.load(path))
        local net = lx.models.unet {width = 4, depth = 2, batch_norm = true}
        net:load_state_dict(tensors)
        net:eval()
        local map = net((small:float() / 255 - 0.5):view(1, 1, SIZE, SIZE) / 0.25):sigmoid():detach()
        local inside = lx.vision.resize(map:select(1, 1):contiguous(), 67, 90):ge(0.5)
        assert.equal((inside * 255):byte():tostring_bytes(), answer.mask:tostring_bytes())
        assert.near(inside:float():mean():item(), answer.share, 1e-6)
        assert.equal(("lungs: %.2f%% of the picture"):format(100 * answer.share), tostring(answer))
        assert.is_true(lx.metrics.dice(answer.mask, lx.vision.resize(val:mask(1), 67, 90, {mode = "nearest"})) > 0.7)
    end)

    it("answers the same to several films of several sizes", function()
        local paths, alone = {}, {}
        for i, size in ipairs {{40, 40}, {33, 71}, {120, 50}} do
            paths[i] = ("%s/several-%d.png"):format(folder, i)
            assert(lx.vision.save(paths[i], lx.vision.resize(val:image(i), size[1], size[2])))
            alone[i] = assert(predictor(paths[i])).mask
        end
        table.insert(paths, 2, folder .. "/none.png")
        table.insert(alone, 2, false)
        for i, answer in ipairs(predictor:all(paths)) do
            if alone[i] then
                assert.same(alone[i].shape, answer.mask.shape)
                assert.is_true(lx.metrics.dice(alone[i], answer.mask) > 0.999)
            else
                assert.equal("io", answer.code)
            end
        end
    end)

    it("is compared with masks at their resolution", function()
        local overlaps = assert(predictor:overlaps(val))
        local maps = assert(predictor:probabilities(val))
        for i, overlap in ipairs(overlaps) do
            local dice, iou = naive(maps[i]:ge(0.5), val:mask(i))
            assert.near(dice, overlap.dice, 1e-9)
            assert.near(iou, overlap.iou, 1e-9)
        end
        local double = {}
        for i = 1, #val do double[i] = lx.vision.resize(val:mask(i), 2 * SIZE, 2 * SIZE, {mode = "nearest"}) end
        local fine = lx.data.dataset {images = val.images, masks = lx.stack(double, 1), classes = {"lungs"}}
        for i, overlap in ipairs(assert(predictor:overlaps(fine))) do
            local map = lx.vision.resize(maps[i], 2 * SIZE, 2 * SIZE)
            assert.near(lx.metrics.dice(map:ge(0.5), double[i]), overlap.dice, 1e-9)
        end
        local labels = {}
        for i = 1, #val do labels[i] = i == 2 and 0 / 0 or 0 end
        local some = lx.data.dataset {
            images = val.images, masks = val.masks, labels = labels, task = "segmentation", classes = {"lungs"},
        }
        assert.is_false(predictor:overlaps(some)[2])
        assert.error_matches(function() predictor:overlaps(lx.data.phantom {n = 2, size = SIZE}) end, "no masks")
    end)

    it("refuses what is no map, and files that do not say their network", function()
        assert.error_matches(function() predictor:answer(0.5) end, "expected a map for the task 'segmentation'")
        local tensors, metadata = assert(lx.checkpoint.load(path))
        local function reopened(name, value)
            local copy = {}
            for key, old in pairs(metadata) do copy[key] = old end
            copy[name] = value
            local file = folder .. "/changed.safetensors"
            assert(lx.checkpoint.save(file, tensors, copy))
            local opened, message, code = lx.predictor.open(file)
            assert.is_nil(opened)
            assert.equal("format", code)
            return message
        end
        assert.matches("unknown option 'wdth'", reopened("network", {wdth = 4}))
        assert.matches("down", reopened("network", {width = 8, depth = 2, batch_norm = true}))
        assert.matches("threshold: expected one number for all pixels", reopened("threshold", {0.5}))
        assert.matches("calibration: expected that of the task 'segmentation'", reopened("calibration",
            {scale = 1, shift = 0}))
        assert.matches("masks show one", reopened("classes", {"left", "right"}))
    end)
end)

describe("an outline", function()
    it("is of the pixels of a mask near its edge", function()
        local mask = lx.zeros(1, 12, 15)
        mask:narrow(2, 3, 7):narrow(3, 4, 8):fill_(1)
        local image = lx.full({1, 12, 15}, 50):byte()
        local drawn = lx.vision.draw_mask(image, mask:byte(), {colour = {255, 0, 7}})
        assert.same({3, 12, 15}, drawn.shape)
        for y = 1, 12 do
            for x = 1, 15 do
                local inside = y >= 3 and y <= 9 and x >= 4 and x <= 11
                local edge = inside and (y == 3 or y == 9 or x == 4 or x == 11)
                assert.equal(edge and 255 or 50, drawn[{1, y, x}])
                assert.equal(edge and 7 or 50, drawn[{3, y, x}])
            end
        end
        local thick = lx.vision.draw_mask(image, mask:byte(), {thickness = 2})
        assert.equal(255, thick[{1, 4, 5}])
        assert.equal(50, thick[{1, 5, 6}])
        assert.error_matches(function() lx.vision.draw_mask(image, mask:byte():narrow(2, 1, 9)) end,
            "draw_mask: mask: expected 12 x 15 pixels")
    end)
end)

describe("the command on masks #processes", function()
    local LUA <const> = os.getenv("LUA") or "lua5.4"

    local function luxel(form, ...)
        local pipe = assert(io.popen(("%s bin/luxel " .. form .. " 2>&1"):format(LUA, ...)))
        local output = pipe:read("a")
        return pipe:close() == true, output
    end

    it("trains, evaluates and predicts", function()
        local data = folder .. "/lungs"
        local common = ("--data %s/images --masks %s/masks --shows lungs --patient 'person%%d+'"):format(data, data)
        local ok, output = luxel("train %s --model unet --network width=4,depth=2 --size 32 --epochs 2 --batch 4 "
            .. "--lr 0.01 --val 0.3 --out %s/cli", common, folder)
        assert.is_true(ok, output)
        assert.matches("validation Dice 0%.%d+, IoU 0", output)
        assert(lx.data.phantom_save(folder .. "/other", {n = 3, size = 40, seed = 12, task = "segmentation"}))
        local model = folder .. "/cli/best.safetensors"
        ok, output = luxel("evaluate --model %s --data %s/other/images --masks %s/other/masks "
            .. "--patient 'other/.*_phantom' --json %s/e.json", model, folder, folder, folder)
        assert.is_true(ok, output)
        assert.matches("3 images with a mask", output)
        local dice = output:match("Dice +(0%.%d+)")
        ok, output = luxel("predict --model %s %s/other/images --masks %s/found --out %s/pictures", model, folder,
            folder, folder)
        assert.is_true(ok, output)
        local sum, count = 0, 0
        for name in lfs.dir(folder .. "/other/masks") do
            if name:find("%.png$") then
                local function load(of) return (assert(lx.vision.load(("%s/%s/%s"):format(folder, of, name)))) end
                sum, count = sum + lx.metrics.dice(load "found", load "other/masks"), count + 1
                assert.is_true(load("pictures").shape[2] > 40) -- with its margins
            end
        end
        assert.equal(3, count)
        assert.near(tonumber(dice), sum / 3, 0.02) -- images are brought to the network's size in two ways
    end)

    it("judges folds on patients that were not seen, and goes on", function()
        local words = ("train --model unet --network width=4,depth=2 --phantoms 12 --size 32 --epochs 2 --batch 4 "
            .. "--lr 0.01 --folds 3 --out %s/cv"):format(folder)
        local ok, output = luxel("%s", words)
        assert.is_true(ok, output)
        local result = output:match("fold 1: 4 images, Dice.*resamples of %d+ patients")
        assert.is_truthy(result, output)
        local rows, sum = 0, 0
        for dice in read(folder .. "/cv/folds.csv"):gmatch('"images/[^\n]*",%d,([%d.]+),') do
            rows, sum = rows + 1, sum + tonumber(dice)
        end
        assert.equal(12, rows)
        assert.near(sum / 12, tonumber(output:match("Dice +(0%.%d+)  %[")), 1e-4)
        ok, output = luxel("%s", words)
        assert.is_false(ok)
        assert.matches("holds a run already: %-%-resume", output)
        ok, output = luxel("%s --resume", words)
        assert.is_true(ok, output)
        assert.equal(result, output:match("fold 1: 4 images, Dice.*resamples of %d+ patients"))
    end)

    it("says what does not go together", function()
        for words, message in pairs {
            ["train --data spec --masks spec"] = "want a network such as unet",
            ["train --data spec --model unet"] = "name their folder with --masks",
            ["train --model unet --masks spec"] = "--masks says more of --data, which is missing",
            ["train --model unet --network width"] = "expected NAME=VALUE, got 'width'",
            ["train --folds 1"] = "--folds: at least 2",
            ["train --data spec --model unet --masks spec --leave-out a=b"] = "for the rows of a CSV file",
        } do
            local ok, output = luxel("%s --out %s/none", words, folder)
            assert.is_false(ok)
            assert.matches(message, output, 1, true)
        end
    end)
end)
