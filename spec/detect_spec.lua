--- Detectors from images to answers: training, going on, the model's file, the predictor, and `luxel detect`.

local core = require "luxel.core"
local detection = require "luxel.train.detection"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local SIZE <const>, ANCHORS <const> = 64, {{1.5, 2}, {3, 4}}
local NETWORK <const> = {backbone = "cnn", stride = 8, width = 16, anchors = ANCHORS}

local work

setup(function() work = shell.folder() end)

teardown(function() shell.remove(work) end)

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

local function run(form, ...) return shell.run(form:format(...)) end

local quiet = setmetatable({message = function() end, step = function() end, epoch = function() end}, {
    __index = function() return function() end end,
})

local phantoms

-- 24 images to learn from, 8 to validate on, of other patients.
local function sets()
    phantoms = phantoms or {lx.data.phantom({n = 32, size = SIZE, task = "detection"}):split {val = 0.25}}
    return phantoms[1], phantoms[2]
end

local function new_net()
    lx.manual_seed(7)
    return lx.models.yolo_lite(NETWORK)
end

local function fit_options(out, more)
    local net = new_net()
    local train, val = sets()
    local options = {
        net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 2e-3}), train = train, val = val, epochs = 2,
        batch = 8, out = work .. "/" .. out, progress = quiet, augment = {{"hflip", p = 0.5}},
        metadata = {model = "yolo_lite", size = SIZE, network = NETWORK},
    }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
end

-- A box that the network is sure of: the logits of a cell and an anchor.
local function map_with(boxes)
    local x = lx.full({1, 12, 8, 8}, 0)
    for a = 0, 1 do x:narrow(2, 6 * a + 5, 1):fill_(-9) end
    for _, box in ipairs(boxes) do
        local a, row, column, logit = table.unpack(box)
        x[{1, 6 * (a - 1) + 5, row, column}] = logit
    end
    return x
end

describe("detection.find", function()
    it("gives boxes in pixels of the image, the best first, without those that repeat or are outside", function()
        -- the anchor of 1.5 x 2 cells around the middle of the last but one, and two others, less sure
        local map = map_with {{1, 2, 3, 2}, {2, 2, 3, -0.5}, {1, 7, 7, 4}}
        local found = detection.find({anchors = ANCHORS}, map, {{32, 128}}, {threshold = 0.3, classes = {"a"}})[1]
        assert.equal(3, #found)
        local best = found[1]
        assert.near(1 / (1 + math.exp(-4)), best.score, 1e-6)
        assert.same({"a", 1}, {best.label, best.class})
        for side, value in pairs {x = (6.5 - 0.75) * 16, y = (6.5 - 1) * 4, w = 24, h = 8} do
            assert.near(value, best[side], 1e-3)
        end
        assert.is_true(found[2].score > found[3].score)
        -- by a higher threshold there are two, and boxes over an edge end there
        assert.equal(2, #detection.find({anchors = ANCHORS}, map, {{32, 128}}, {threshold = 0.5})[1])
        local corner = detection.find({anchors = ANCHORS}, map_with {{2, 1, 1, 5}}, {{64, 64}}, {threshold = 0.5})[1][1]
        assert.same({0, 0}, {corner.x, corner.y})
        assert.near((0.5 + 1.5) * 8, corner.w, 1e-3)
        assert.near((0.5 + 2) * 8, corner.h, 1e-3)
    end)

    it("suppresses within a class alone", function()
        local map = lx.full({1, 7, 2, 2}, 0) -- a box whose two classes are as likely
        map:narrow(2, 5, 1):fill_(-9)
        map[{1, 5, 1, 1}] = 9
        local found = detection.find({anchors = {{1, 1}}}, map, {{64, 64}}, {threshold = 0.4, classes = {"a", "b"}})[1]
        assert.same({"a", "b"}, {found[1].label, found[2].label})
        assert.equal(found[1].x, found[2].x)
    end)

    it("suppresses what overlaps much", function()
        local map = map_with {{2, 4, 4, 3}, {2, 4, 5, 2}}
        assert.equal(1, #detection.find({anchors = {{1, 1}, {6, 6}}}, map, {{64, 64}}, {threshold = 0.5})[1])
        assert.equal(2, #detection.find({anchors = {{1, 1}, {1, 1}}}, map, {{64, 64}}, {threshold = 0.5})[1])
    end)

    it("takes the boxes of all maps together", function()
        -- anchors in pixels; the fine map of another image has a box that the coarse one is surer of
        local net = {detections = {
            {kind = "yolo", anchors = {{40, 30}}, all = {{8, 8}, {40, 30}}, own = {2}, stride = 32},
            {kind = "yolo", anchors = {{8, 8}}, all = {{8, 8}, {40, 30}}, own = {1}, stride = 16},
        }}
        local coarse, fine = lx.full({2, 6, 2, 2}, 0), lx.full({2, 6, 4, 4}, 0)
        for _, map in ipairs {coarse, fine} do
            map:narrow(2, 5, 1):fill_(-9)
            map:narrow(2, 6, 1):fill_(9)
        end
        coarse[{1, 5, 1, 2}], fine[{1, 5, 4, 1}], coarse[{2, 5, 2, 2}], fine[{2, 5, 4, 4}] = 1, 3, 3, 1
        fine[{2, 3, 4, 4}], fine[{2, 4, 4, 4}] = math.log(40 / 8), math.log(30 / 8)
        fine[{2, 1, 4, 4}], fine[{2, 2, 4, 4}] = -20, -20 -- at the cell's first corner, the middle of the coarse one
        local found = detection.find(net, {coarse, fine}, {{64, 64}, {64, 64}}, {threshold = 0.5})
        assert.equal(2, #found[1])
        assert.equal(1, #found[2]) -- two boxes of the same place
        local best, other = found[1][1], found[1][2]
        for side, value in pairs {x = 8 - 4, y = 56 - 4, w = 8, h = 8} do assert.near(value, best[side], 1e-3) end
        for side, value in pairs {x = 48 - 20, y = 16 - 15, w = 64 - 28, h = 30} do
            assert.near(value, other[side], 1e-3)
        end
    end)
end)

describe("the threshold of a detector", function()
    local marks = {
        {lesions = 1, marks = {{score = 0.9, lesion = 1}, {score = 0.3}}}, {lesions = 0, marks = {{score = 0.8}}},
        {lesions = 2, marks = {{score = 0.7, lesion = 2}, {score = 0.4, lesion = 2}}}, {lesions = 0, marks = {}},
    }

    it("is the highest that finds as much as its false marks allow", function()
        assert.equal(0.9, detection.threshold_at(marks, 0))
        assert.equal(0.7, detection.threshold_at(marks, 0.25))
        assert.equal(0.7, detection.threshold_at(marks, 9)) -- 0.4 and 0.3 find no more
        assert.equal(1, detection.threshold_at({{lesions = 1, marks = {{score = 0.5}}}}, 0.5))
        assert.is_nil(detection.threshold_at({{lesions = 0, marks = {}}}, 1))
    end)
end)

describe("the marks of a detector", function()
    it("are neither right nor false in a crowd", function()
        local function at(image, x, more)
            local out = {image = image, class = 1, box = {x, 10, 10, 10}}
            for key, value in pairs(more) do out[key] = value end
            return out
        end
        local truth = {at(1, 0, {crowd = true}), at(1, 5, {}), at(2, 0, {crowd = true, box = {0, 0, 90, 90}})}
        local found = {
            at(1, 0, {score = 0.9}), at(1, 50, {score = 0.8}), at(2, 40, {score = 0.7}), at(2, 200, {score = 0.6}),
            at(2, 40, {score = 0.5, class = 2}),
        }
        local marks = detection.marks(truth, found, {1, 2}, {patients = {"p", "q"}})
        assert.same({1, 0}, {marks[1].lesions, marks[2].lesions})
        assert.same({{score = 0.9, lesion = 1}, {score = 0.8}}, marks[1].marks)
        assert.same({{score = 0.6}, {score = 0.5}}, marks[2].marks)
        assert.equal("q", marks[2].patient)
        -- by the overlap too, of which a mark in a large crowd has little
        marks = detection.marks(truth, found, {1, 2}, {rule = 0.5})
        assert.same({{score = 0.8}}, marks[1].marks)
        assert.same({{score = 0.6}, {score = 0.5}}, marks[2].marks)
    end)
end)

describe("mosaics", function()
    local HEIGHT <const>, WIDTH <const> = 17, 22

    -- Each pixel says its image, row and column.
    local function numbered(count)
        local rows = {}
        for i = 1, count do
            rows[i] = {{}}
            for y = 0, HEIGHT - 1 do
                rows[i][1][y + 1] = {}
                for x = 0, WIDTH - 1 do rows[i][1][y + 1][x + 1] = i * 10000 + y * 100 + x end
            end
        end
        return lx.tensor(rows)
    end

    -- {x, y, w, h, class} in pixels from the top left, as batches give them.
    local function truth_of(images)
        local rows, most = {}, 1
        for _, list in ipairs(images) do most = math.max(most, #(list or {})) end
        for i, list in ipairs(images) do
            local filler = list and 0 or 0 / 0
            rows[i] = {}
            for k = 1, most do
                local b = list and list[k]
                rows[i][k] = b and {(b[1] + b[3] / 2) / WIDTH, (b[2] + b[4] / 2) / HEIGHT, b[3] / WIDTH, b[4] / HEIGHT,
                    b[5]} or {filler, filler, filler, filler, filler}
            end
        end
        return lx.tensor(rows)
    end

    -- The windows of a mosaic, read off its pixels: {image, x, y, w, h, from_x, from_y}.
    local function windows_in(rows)
        local across, down
        -- windows of one image may happen to go on where the one beside them ends: the other two tell then
        for _, y in ipairs {1, HEIGHT} do
            for x = 2, WIDTH do
                if rows[y][x] ~= rows[y][x - 1] + 1 then across = across or x - 1 end
            end
        end
        for _, x in ipairs {1, WIDTH} do
            for y = 2, HEIGHT do
                if rows[y][x] ~= rows[y - 1][x] + 100 then down = down or y - 1 end
            end
        end
        across, down = across or WIDTH, down or HEIGHT
        local out = {}
        for k = 0, 3 do
            local x, y = k % 2 * across, k // 2 * down
            local value = rows[y + 1] and rows[y + 1][x + 1]
            if value then
                value = math.tointeger(value)
                out[#out + 1] = {
                    image = value // 10000, x = x, y = y, w = k % 2 == 0 and across or WIDTH - across,
                    h = k < 2 and down or HEIGHT - down, from_x = value % 100, from_y = value // 100 % 100,
                }
            end
        end
        return out, across, down
    end

    local objects = {
        {{2, 3, 9, 5, 1}, {12, 8, 6, 6, 2}}, {}, {{0, 0, 22, 17, 1}},
        {{5, 5, 3, 3, 3}, {15, 1, 4, 12, 1}, {8, 9, 2, 5, 2}},
    }

    it("show windows at their own scale, with what is left of the objects in them", function()
        local x, y = numbered(4), truth_of(objects)
        local middles, others, kept, cut, dropped = {}, 0, 0, 0, 0
        for index = 1, 60 do
            local keep = index % 3 * 0.4
            local mosaics, truth = lx.data.mosaic(x, y, {index = index, keep = keep})
            assert.same(x.shape, mosaics.shape)
            for i = 1, 4 do
                local rows = mosaics[i][1]:totable()
                local windows, across, down = windows_in(rows)
                middles[across .. " " .. down] = true
                assert.equal(i, windows[1].image)
                local expected = {}
                for _, w in ipairs(windows) do
                    others = others + (w.image ~= i and 1 or 0)
                    for v = 0, w.h - 1 do
                        for u = 0, w.w - 1 do
                            assert.equal(w.image * 10000 + (w.from_y + v) * 100 + w.from_x + u,
                                rows[w.y + v + 1][w.x + u + 1])
                        end
                    end
                    for _, b in ipairs(objects[w.image]) do
                        -- pixel by pixel: objects have whole numbers of them
                        local left, top, right, bottom, count = math.huge, math.huge, -1, -1, 0
                        for v = b[2], b[2] + b[4] - 1 do
                            for u = b[1], b[1] + b[3] - 1 do
                                local a, c = u - w.from_x, v - w.from_y
                                if a >= 0 and a < w.w and c >= 0 and c < w.h then
                                    count = count + 1
                                    left, right = math.min(left, a), math.max(right, a + 1)
                                    top, bottom = math.min(top, c), math.max(bottom, c + 1)
                                end
                            end
                        end
                        local share = count / (b[3] * b[4])
                        if count > 0 and right - left >= 2 and bottom - top >= 2 and share >= keep then
                            kept, cut = kept + 1, cut + (share < 1 and 1 or 0)
                            expected[#expected + 1] = {w.x + left, w.y + top, right - left, bottom - top, b[5]}
                        elseif count > 0 then
                            dropped = dropped + 1
                        end
                    end
                end
                local found = {}
                for _, b in ipairs(truth[i]:totable()) do
                    if b[5] > 0 then
                        found[#found + 1] = {(b[1] - b[3] / 2) * WIDTH, (b[2] - b[4] / 2) * HEIGHT, b[3] * WIDTH,
                            b[4] * HEIGHT, b[5]}
                    end
                end
                assert.equal(#expected, #found)
                for k, box in ipairs(expected) do
                    for side = 1, 5 do assert.near(box[side], found[k][side], 1e-4) end
                end
            end
        end
        local places = 0
        for middle in pairs(middles) do
            local across, down = middle:match("(%d+) (%d+)")
            places = places + 1
            assert.is_true(across * 4 >= WIDTH and across * 4 <= 3 * WIDTH)
            assert.is_true(down * 4 >= HEIGHT and down * 4 <= 3 * HEIGHT)
        end
        assert.is_true(places > 60 and others > 300 and kept > 100 and cut > 50 and dropped > 50)
    end)

    it("are of a share of the images, and unknown where a part of them is", function()
        local x, y = numbered(4), truth_of {objects[1], false, objects[3], objects[4]}
        local changed, unknown = 0, 0
        for index = 1, 100 do
            local mosaics, truth = lx.data.mosaic(x, y, {index = index, share = 0.25})
            for i = 1, 4 do
                local same, rows, has = lx.equal(mosaics[i], x[i]), truth[i]:totable(), false
                changed = changed + (same and 0 or 1)
                for _, window in ipairs(same and {{image = i}} or windows_in(mosaics[i][1]:totable())) do
                    has = has or window.image == 2
                end
                for _, row in ipairs(rows) do
                    for _, value in ipairs(row) do assert.equal(has, value ~= value) end
                end
                unknown = unknown + (has and 1 or 0)
            end
        end
        assert.is_true(changed > 60 and changed < 140 and unknown > 110)
        local plain, kept = lx.data.mosaic(x, y, {share = 0})
        assert.is_true(lx.equal(plain, x))
        for _, i in ipairs {1, 3, 4} do assert.is_true(lx.equal(kept[i], y[i])) end
        assert.is_false(lx.equal((lx.data.mosaic(x, y, {seed = 2})), (lx.data.mosaic(x, y))))
    end)

    it("refuse what is no batch of objects", function()
        local x = numbered(2)
        assert.error_matches(function() lx.data.mosaic(x, lx.zeros(2, 1)) end,
            "mosaic: y: expected the objects %[2,T,5%]")
        assert.error_matches(function() lx.data.mosaic(x, lx.zeros(3, 1, 5)) end, "mosaic: y: ")
        assert.error_matches(function() lx.data.mosaic(lx.rand(2, 1, 3, 9), lx.zeros(2, 1, 5)) end, "at least 4 pixels")
        assert.error_matches(function() lx.data.mosaic(x, lx.zeros(2, 1, 5), {share = 2}) end, "share")
    end)
end)

describe("batches of several sizes", function()
    local set = lx.data.phantom {n = 23, size = 64, seed = 5, task = "detection"}

    local function epoch_of(more)
        local options, out = {batch = 3, epoch = 2, sizes = {32, 64, 96}, every = 2, augment = {{"hflip"}}}, {}
        for name, value in pairs(more or {}) do options[name] = value end
        for x, y, indices, _, moved in lx.data.batches(set, options) do
            out[#out + 1] = {x = x, y = y, indices = indices:totable(), boxes = moved}
        end
        return out
    end

    it("are those of one size, a run of batches each", function()
        local found, changes = epoch_of(), 0
        assert.equal(8, #found)
        for k, batch in ipairs(found) do
            local size = batch.x.shape[3]
            if k % 2 == 0 then assert.equal(found[k - 1].x.shape[3], size) end
            changes = changes + (k > 1 and found[k - 1].x.shape[3] ~= size and 1 or 0)
            local n = 0
            for x, y, indices, _, moved in lx.data.batches(set, {
                batch = 3, epoch = 2, size = size, augment = {{"hflip"}},
            }) do
                n = n + 1
                if n == k then
                    assert.same(indices:totable(), batch.indices)
                    assert.is_true(lx.equal(x, batch.x))
                    assert.is_true(lx.equal(y, batch.y))
                    assert.same(moved, batch.boxes)
                end
            end
        end
        assert.is_true(changes > 0)
    end)

    it("go on in the middle of an epoch, and of a run, with any number of threads", function()
        local whole = epoch_of()
        for skip = 0, 8 do
            local rest = epoch_of {skip = skip, threads = skip % 3}
            assert.equal(8 - skip, #rest)
            for k, batch in ipairs(rest) do
                assert.is_true(lx.equal(whole[skip + k].x, batch.x))
                assert.is_true(lx.equal(whole[skip + k].y, batch.y))
            end
        end
        local sizes = {}
        for epoch = 1, 6 do
            for _, batch in ipairs(epoch_of {epoch = epoch}) do sizes[batch.x.shape[3]] = true end
        end
        assert.same({[32] = true, [64] = true, [96] = true}, sizes)
    end)

    it("refuse two ways to say a size", function()
        assert.error_matches(function() epoch_of {size = 64} end,
            "option 'sizes': one of them takes the place of 'size'")
        assert.error_matches(function() epoch_of {sizes = {}} end, "option 'sizes': there are none")
    end)
end)

describe("fit with boxes", function()
    it("takes mosaics and several sizes, and goes on with them", function()
        local options = {mosaic = 0.5, sizes = {32, 64, 96}, epochs = 2}
        local result = assert(lx.train.fit(fit_options("mosaics", options)))
        local steps = 0
        local stop = {callbacks = {step = function()
            steps = steps + 1
            if steps == 4 then error("interrupted!", 0) end
        end}}
        for name, value in pairs(options) do stop[name] = value end
        assert.is_true(assert(lx.train.fit(fit_options("mosaics_halves", stop))).interrupted)
        stop.callbacks, stop.resume = nil, true
        assert(lx.train.fit(fit_options("mosaics_halves", stop)))
        assert.equal(read(work .. "/mosaics/best.safetensors"), read(work .. "/mosaics_halves/best.safetensors"))
        local plain = assert(lx.train.fit(fit_options("without_mosaics", {epochs = 2})))
        assert.is_true(plain.best.loss ~= result.best.loss)
        stop.mosaic = 0.25
        assert.matches("mosaic was 0.5 and is 0.25", select(2, lx.train.fit(fit_options("mosaics_halves", stop))))
    end)

    it("writes a model that the predictor opens, and the loss by its parts", function()
        local result = assert(lx.train.fit(fit_options("first")))
        assert.equal(2, result.epoch)
        assert.is_true(result.best.ap50 >= 0 and result.best.froc >= 0)
        local lines = {}
        for line in io.lines(work .. "/first/log.csv") do lines[#lines + 1] = line end
        assert.equal(3, #lines)
        assert.equal("epoch,loss,loss_coordinates,loss_with_object,loss_without_object,loss_classes,val_loss,val_froc,"
            .. "val_ap50,threshold,learning_rate,images_per_second,seconds", lines[1])
        for i = 2, 3 do
            local cells = {}
            for cell in lines[i]:gmatch("[^,]+") do cells[#cells + 1] = tonumber(cell) end
            assert.near(cells[2], cells[3] + cells[4] + cells[5] + cells[6], 1e-4)
            assert.is_true(cells[3] > 0 and cells[4] > 0 and cells[5] > 0)
        end
        local model = assert(lx.predictor.open(work .. "/first/best.safetensors"))
        assert.equal("detection", model.task)
        assert.same(ANCHORS, model.net.anchors)
        assert.equal("at most 0.25 false marks an image", model.metadata.chosen.threshold)
        assert(lx.report.run(work .. "/first"))
        assert.matches("Loss by term", read(work .. "/first/report.html"))
    end)

    it("learns: the loss falls, and lesions are found", function()
        local train = sets()
        local options = fit_options("learns", {epochs = 25, val = train, best = "froc"})
        local losses = {}
        options.callbacks = {epoch = function(row) losses[#losses + 1] = row.loss end}
        local result = assert(lx.train.fit(options))
        assert.is_true(losses[#losses] < 0.7 * losses[1])
        assert.is_true(result.best.froc > 0.5, "FROC " .. tostring(result.best.froc))
    end)

    it("takes networks of several maps, whose losses add up", function()
        local anchors = {{6, 6}, {10, 8}, {14, 14}, {20, 18}, {28, 30}, {40, 40}}
        local network = {anchors = anchors, channels = 1}
        lx.manual_seed(3)
        local net = lx.models.yolov3_tiny {anchors = anchors, channels = 1, outputs = 1, size = SIZE}
        local options = fit_options("two_maps", {
            net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-4, momentum = 0.9}), clip = 10,
            metadata = {model = "yolov3_tiny", size = SIZE, network = network}, region = {thresh = 0.6},
        })
        local result = assert(lx.train.fit(options))
        assert.equal(2, result.epoch)
        -- the loss of validation images is the sum over both maps of what F.yolo_loss says of each
        local val, sum, known = options.val, 0, 0
        net:eval()
        lx.no_grad(function()
            for x, y in lx.data.batches(val, {batch = 8, shuffle = false, mean = 0.5, std = 0.25}) do
                local maps = {net(x)}
                for i, one in ipairs(net.detections) do
                    local loss = lx.nn.functional.yolo_loss(maps[i], y, {
                        anchors = anchors, own = one.own, size = SIZE, ignore = 0.6,
                    })
                    sum = sum + loss:item() * x.shape[1]
                end
                known = known + x.shape[1]
            end
        end)
        assert.equal(#val, known)
        local lines = {}
        for line in io.lines(work .. "/two_maps/log.csv") do lines[#lines + 1] = line end
        local cells = {}
        for cell in lines[3]:gmatch("[^,]+") do cells[#cells + 1] = tonumber(cell) end
        assert.near(1, cells[7] / (sum / known), 1e-3)
        assert.near(1, cells[2] / (cells[3] + cells[4] + cells[5] + cells[6]), 1e-3)

        local model = assert(lx.predictor.open(work .. "/two_maps/best.safetensors"))
        local found = assert(model:detections(val, {threshold = 0}))
        assert.equal(#val, #found)
        local maps = lx.train.predict(model.net, val)
        assert.same({{18, 2, 2}, {18, 4, 4}}, {maps[1][1].shape, maps[1][2].shape})
        options.region, options.resume, options.epochs = {bias_match = true}, true, 3
        assert.error_matches(function() lx.train.fit(options) end, "'bias_match' is of region layers")
        collectgarbage()
    end)

    it("goes by the scales and thresholds of a configuration", function()
        local region = {kind = "region", anchors = ANCHORS, options = {object_scale = 3, rescore = 0, thresh = 0.4}}
        local yolo = {kind = "yolo", all = {{8, 8}, {30, 40}}, own = {1, 2}, anchors = {{8, 8}, {30, 40}}, stride = 8,
            options = {ignore_thresh = 0.5, object_scale = 3}} -- which yolo layers do not have
        lx.manual_seed(1)
        -- boxes nearly those of the anchors, some of which overlap an object by every threshold in between
        local map = lx.randn(1, 12, 8, 8) * 0.1
        local truth = lx.tensor {{{0.3, 0.6, 0.2, 0.4, 1}, {0.32, 0.6, 0.47, 0.625, 1}}}
        local F = lx.nn.functional
        local function same(head, settings, wanted)
            local loss, parts = detection.loss_of({detections = {head}}, settings)(map, truth)
            assert.equal(wanted:item(), loss:item())
            local sum = 0
            for _, part in ipairs(detection.PARTS) do sum = sum + parts[part] end
            assert.near(sum, loss:item(), 1e-3)
        end
        same(region, nil, F.region_loss(map, truth, {anchors = ANCHORS, object_scale = 3, rescore = false,
            thresh = 0.4}))
        local function differs(f, ...)
            local options = {...}
            assert.is_true(f(map, truth, options[1]):item() ~= f(map, truth, options[2]):item())
        end
        differs(F.region_loss, {anchors = ANCHORS, thresh = 0.4}, {anchors = ANCHORS})
        differs(F.yolo_loss, {anchors = yolo.all, own = yolo.own, size = 64, ignore = 0.5},
            {anchors = yolo.all, own = yolo.own, size = 64})
        same(region, {thresh = 0.7, rescore = true}, F.region_loss(map, truth, {anchors = ANCHORS, object_scale = 3,
            thresh = 0.7}))
        same(yolo, nil, F.yolo_loss(map, truth, {anchors = yolo.all, own = yolo.own, size = 64, ignore = 0.5}))
        same(yolo, {class_scale = 2}, F.yolo_loss(map, truth, {anchors = yolo.all, own = yolo.own, size = 64,
            ignore = 0.5, class_scale = 2}))
    end)

    it("goes on to the bits of a run that was not interrupted", function()
        assert(lx.train.fit(fit_options("whole")))
        local steps = 0
        local result = assert(lx.train.fit(fit_options("halves", {callbacks = {step = function()
            steps = steps + 1
            if steps == 4 then error("interrupted!", 0) end
        end}})))
        assert.is_true(result.interrupted)
        assert(lx.train.fit(fit_options("halves", {resume = true})))
        assert.equal(read(work .. "/whole/best.safetensors"), read(work .. "/halves/best.safetensors"))
        local function without_times(path)
            local out = {}
            for line in io.lines(path) do out[#out + 1] = line:gsub(",[^,]*,[^,]*$", "") end
            return out
        end
        assert.same(without_times(work .. "/whole/log.csv"), without_times(work .. "/halves/log.csv"))
    end)

    it("refuses what does not fit boxes", function()
        local function refused(more, pattern)
            assert.error_matches(function() lx.train.fit(fit_options("refused", more)) end, pattern)
        end
        local net = lx.models.cnn {size = SIZE}
        refused({net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1})},
            "fit: options: option 'net': expected a network with anchors")
        net = lx.models.yolo_lite {backbone = "cnn", outputs = 3, anchors = {{1, 1}}}
        refused({net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1})},
            "objects of 1 classes %(opacity%) want a map %[8,anchors 6,H,W%]")
        refused({mixup = 0.2}, "'mixup': it is for labels, and these images have boxes")
        refused({calibration = "platt"}, "'calibration': the task 'detection' has none")
        refused({threshold = "youden"}, "'threshold': of boxes it is a number")
        refused({region = {coord_scale = 2}, loss = function() end}, "'region': .* and 'loss' is another one")
        refused({region = {coord_scail = 2}}, "coord_scail")
        refused({best = "auc"}, "'best': the task 'detection' has no 'auc'; it has ap50, froc, loss and last")
        local train = sets()
        local groups = {}
        for i = 1, #train do groups[i] = i % 2 end
        refused({dro = {groups = groups}}, "'dro': the loss of boxes is none of single images")
        assert.error_matches(function()
            lx.train.predict(new_net(), train, {tta = true})
        end, "predict: options: option 'tta': the network gives maps that boxes are read from")
    end)

    it("takes options of the loss, which are a part of the recipe", function()
        local function losses(out, region, more)
            local options, found = fit_options(out, more), {}
            options.region, options.epochs = region, 1
            options.optimizer.groups[1].lr = 1e-12 -- so that all see the same network
            options.callbacks = {epoch = function(row) found = {row.loss_coordinates, row.loss_with_object} end}
            local result, message = lx.train.fit(options)
            return found, result, message
        end
        local plain = losses("plain", nil)
        local heavy = losses("heavy", {coord_scale = 3})
        assert.near(3 * plain[1], heavy[1], 1e-4 * heavy[1])
        assert.near(plain[2], heavy[2], 1e-5)
        local _, result, message = losses("heavy", nil, {resume = true})
        assert.is_nil(result)
        assert.matches("the loss of boxes was {coord_scale=3} and is the usual", message)
        local train = lx.data.phantom {n = 4, size = SIZE}
        assert.error_matches(function() losses("no", {}, {train = train, val = train}) end, "option 'region'")
    end)

    it("leaves images of which nothing is known out of loss and figures", function()
        local train, val = sets()
        local boxes = {}
        for i = 1, #val do boxes[i] = val.boxes[i] end
        local function with(last)
            boxes[#val] = last
            return lx.data.dataset {task = "detection", images = val.images, boxes = boxes, classes = val.classes}
        end
        local function figures(set)
            local found = {}
            local options = fit_options("known", {val = set, epochs = 1, overwrite = true, train = train})
            options.callbacks = {epoch = function(row) found = {row.val_loss, row.val_ap50, row.val_froc} end}
            assert(lx.train.fit(options))
            return found
        end
        local places = {}
        for i = 1, #val - 1 do places[i] = i end
        assert.same(figures(with({}):subset(places)), figures(with(false)))
    end)
end)

describe("the predictor of boxes", function()
    local model

    setup(function()
        local net = new_net()
        assert(lx.checkpoint.save(work .. "/model.safetensors", net:state_dict(), {
            schema = require("luxel.schema").VERSION, task = "detection", version = "test", model = "yolo_lite",
            size = SIZE, network = NETWORK, classes = {"opacity"}, input = {channels = 1, low = 0, high = 1},
            normalisation = {mean = 0.5, std = 0.25}, threshold = 0.01, calibration = false, seed = 1, epoch = 1,
            chosen = {threshold = "fixed", calibration = "none", images = 1},
        }))
        model = assert(lx.predictor.open(work .. "/model.safetensors"))
    end)

    it("answers in pixels of the film, whatever its size", function()
        local film = lx.vision.resize(lx.data.phantom({n = 1, size = 128}):image(1), 96, 200)
        assert(lx.vision.save(work .. "/film.png", film))
        local answer = assert(model(work .. "/film.png"))
        local small = lx.data.dataset {task = "detection", boxes = {{}}, classes = {"opacity"},
            images = lx.vision.resize(film, SIZE, SIZE):unsqueeze(1)}
        local found = assert(model:detections(small))[1]
        assert.is_true(#found > 0)
        assert.equal(#found, #answer.boxes)
        for i, box in ipairs(found) do
            local own = answer.boxes[i]
            assert.near(box.x * 200 / SIZE, own.x, 1e-2)
            assert.near(box.y * 96 / SIZE, own.y, 1e-2)
            assert.near(box.w * 200 / SIZE, own.w, 1e-2)
            assert.near(box.h * 96 / SIZE, own.h, 1e-2)
            assert.equal(box.score, own.score)
        end
        assert.is_true(answer.positive)
        assert.matches("^%d+ found: opacity 0%.%d%d", tostring(answer))
        assert.equal(200, answer.info.width)
        assert.matches("does not replace", answer.notice)
        local none = model:answer({})
        assert.same({"nothing found", false}, {tostring(none), none.positive})
    end)

    it("has no probabilities, views or ensembles", function()
        local set = lx.data.phantom {n = 1, size = SIZE, task = "detection"}
        assert.error_matches(function() model:probabilities(set) end, "finds boxes, whose scores are no probabilities")
        local path = work .. "/model.safetensors"
        local opened, message = lx.predictor.open({path, path})
        assert.is_nil(opened)
        assert.matches("boxes of several models are not joined", message)
        opened, message = lx.predictor.open(path, {tta = true})
        assert.is_nil(opened)
        assert.matches("boxes of several views are not joined", message)
        assert.error_matches(function() lx.explain.occlusion(model, work .. "/film.png") end, "it tells boxes")
    end)

    it("refuses files that do not say what it needs", function()
        local tensors, metadata = assert(lx.checkpoint.load(work .. "/model.safetensors"))
        local function refused(change, pattern)
            local copy = {}
            for key, value in pairs(metadata) do copy[key] = value end
            for key, value in pairs(change) do copy[key] = value end
            assert(lx.checkpoint.save(work .. "/bad.safetensors", tensors, copy))
            local opened, message = lx.predictor.open(work .. "/bad.safetensors")
            assert.is_nil(opened)
            assert.matches(pattern, message)
        end
        refused({threshold = {0.5}}, "threshold: expected one number for all boxes")
        refused({calibration = {scale = 1, offset = 0}}, "calibration: expected that of the task 'detection'")
        refused({model = "cnn"}, "model: expected one of yolo_lite, yolov2, yolov2_tiny, yolov3_tiny, got 'cnn'")
        refused({network = {backbone = "cnn", stride = 8, width = 16, anchors = {{1, 1}}}}, "output")
        refused({classes = {"a", "a"}}, "two of the name 'a'")
    end)
end)

describe("luxel detect #slow", function()
    local TRAIN <const> = "%s bin/luxel detect train --phantoms 40 --size 64 --backbone cnn --stride 8 --width 16 "
        .. "--epochs 2 --anchors 2 --out '%s/run' "

    it("trains on phantoms, evaluates and predicts", function()
        local status, output, errors = run(TRAIN, LUA, work)
        assert.equal(0, status, errors)
        assert.matches("training on %d+ images: %d+ opacity in %d+, nothing in %d+", output)
        assert.matches("anchors in pixels of 64 x 64: %d+ x %d+, %d+ x %d+; the best one of a box overlaps it by 0%.%d",
            output)
        assert.matches("best epoch %d: AP50 %d%.%d+, mean sensitivity", output)
        assert.matches("does not replace one", output)
        assert.matches("AP50 [%d.]+  FROC [%d.]+", errors)
        local none
        status, none, errors = run(TRAIN, LUA, work)
        assert.is_nil(none:find("best epoch", 1, true))
        assert.equal(1, status)
        assert.matches("holds a run already: %-%-resume goes on with it, %-%-overwrite replaces it", errors)
        assert.equal(0, (run(TRAIN .. "--resume", LUA, work)))

        status, output, errors = run("%s bin/luxel detect train --phantoms 20 --size 64 --backbone cnn --stride 8 "
            .. "--width 8 --anchors 2 --epochs 1 --mosaic 0.5 --multi-scale 0.5 --out '%s/put_together'", LUA, work)
        assert.equal(0, status, errors .. output)
        local recipe = select(2, assert(lx.checkpoint.load(work .. "/put_together/last.safetensors"))).training.recipe
        assert.same({"0.5", "{1=32,2=64,3=96}"}, {recipe.mosaic, recipe.sizes})

        status, output, errors = run("%s bin/luxel detect train --phantoms 16 --size 64 --model yolov3_tiny --val 0.3 "
            .. "--epochs 1 --batch 8 --out '%s/yolov3'", LUA, work)
        assert.equal(0, status, errors .. output)
        assert.equal(6, select(2, output:match("anchors in pixels of 64 x 64: (.-);"):gsub(" x ", "")))
        status, output, errors = run(
            "%s bin/luxel detect evaluate --model '%s/yolov3/best.safetensors' --phantoms 8", LUA, work)
        assert.equal(0, status, errors .. output)
        assert.matches("AP50", output)
        status, none, errors = run("%s bin/luxel detect train --phantoms 16 --size 64 --model yolov3_tiny --anchors 4 "
            .. "--out '%s/none'", LUA, work)
        assert.is_nil(none:find("epoch", 1, true))
        assert.matches("yolov3_tiny has three for each of its two maps, 6; got 4", errors)
        assert.is_true(status ~= 0)

        local model = work .. "/run/best.safetensors"
        status, output, errors = run("%s bin/luxel detect evaluate --model '%s' --phantoms 20 --json "
            .. "'%s/figures.json' --report '%s/page.html'", LUA, model, work, work)
        assert.equal(0, status, errors)
        assert.matches("AP50 +%d%.%d+", output)
        assert.matches("sensitivity at 0%.125 false marks an image +%d%.%d+", output)
        assert.matches("1000 resamples of %d+ patients", output)
        local figures = assert(json.decode(read(work .. "/figures.json")))
        assert.equal(7, #figures.froc)
        assert.equal(20, figures.images)
        local page = read(work .. "/page.html")
        for _, title in ipairs {"Free%-response curve", "Precision and recall", "Missed", "False alarms", "Found",
            "Model card", "does not replace one", "where which objects are"} do
            assert.matches(title, page)
        end
        local pictures = select(2, page:gsub("<figure>", ""))
        assert.is_true(pictures > 0 and pictures <= 36)

        assert(lx.data.phantom_save(work .. "/films", {n = 4, size = 96, task = "detection"}))
        status, output, errors = run("%s bin/luxel detect predict --model '%s' --threshold 0.001 --json --coco "
            .. "'%s/coco.json' --out '%s/pictures' '%s/films/images'", LUA, model, work, work, work)
        assert.equal(0, status, errors)
        local count, images = 0, 0
        for line in output:gmatch("[^\n]+") do
            local answer = assert(json.decode(line))
            images, count = images + 1, count + #answer.boxes
            assert.same({height = 96, width = 96}, answer.size)
            for _, box in ipairs(answer.boxes) do
                assert.is_true(box.x >= 0 and box.x + box.w <= 96.01 and box.y >= 0 and box.y + box.h <= 96.01)
                assert.is_nil(box.mm) -- of PNG files nobody knows
            end
            local picture = assert(lx.vision.load(("%s/pictures/%s"):format(work, answer.path:match("[^/]*$")),
                {channels = 3}))
            assert.equal(96, picture.shape[3])
            assert.is_true(picture.shape[2] > 96)
        end
        assert.equal(4, images)
        assert.is_true(count > 0)
        assert.equal(count, #assert(json.decode(read(work .. "/coco.json"))))
        status, output = run("%s bin/luxel detect predict --model '%s' --format csv --threshold 1 "
            .. "'%s/films/images'", LUA, model, work)
        assert.equal(0, status)
        assert.matches("^path,label,score,x,y,w,h,warnings\n[^\n]+%.png,,,,,,,[^\n]*\n", output)
    end)

    it("learns from files, and leaves out what nothing is known of", function()
        local folder = work .. "/known"
        assert(lx.data.phantom_save(folder, {n = 24, size = 64, task = "detection"}))
        local lines, kept = {}, {}
        for line in io.lines(folder .. "/boxes.csv") do lines[#lines + 1] = line end
        for i, line in ipairs(lines) do
            if i == 1 or not line:find("person1_", 1, true) then kept[#kept + 1] = line end
        end
        assert(core.write_file(folder .. "/some.csv", {table.concat(kept, "\n"), "\n"}))
        local words = "%s bin/luxel detect train --data '%s/some.csv' --size 32 --backbone cnn --stride 8 --width 8 "
            .. "--epochs 1 --anchors 2 --overwrite --val 0.3 --out '%s/from_files'"
        local status, output, errors = run(words, LUA, folder, work)
        assert.equal(0, status, errors)
        assert.matches("left out: %d images of which %-%-data says nothing", errors)
        assert.matches("patients by Kermany et al", output)
        status, output, errors = run("%s bin/luxel detect evaluate --model '%s/from_files/best.safetensors' --data "
            .. "'%s/boxes.csv'", LUA, work, folder)
        assert.equal(0, status, errors)
        assert.matches("without %d+ images of patients it was trained on", output)
    end)

    it("judges classes by their names, and tells images that are named twice apart", function()
        local folder, path = work .. "/two", work .. "/two.safetensors"
        local network = {backbone = "cnn", stride = 8, width = 16, anchors = {{2, 2}}}
        lx.manual_seed(3)
        local net = lx.models.yolo_lite {backbone = "cnn", stride = 8, width = 16, anchors = {{2, 2}}, outputs = 2}
        lx.no_grad(function()
            net.output.weight:mul_(30)
            net.output.bias:narrow(1, 5, 1):fill_(0)
        end)
        assert(lx.checkpoint.save(path, net:state_dict(), {
            schema = require("luxel.schema").VERSION, task = "detection", version = "test", model = "yolo_lite",
            size = SIZE, network = network, classes = {"a", "b"}, input = {channels = 1, low = 0, high = 1},
            normalisation = {mean = 0.5, std = 0.25}, threshold = 0.01, calibration = false, seed = 1, epoch = 1,
            chosen = {threshold = "fixed", calibration = "none", images = 1},
        }))
        lfs.mkdir(folder)
        local model, lines = assert(lx.predictor.open(path)), {"image,x,y,w,h,label"}
        local film = lx.data.phantom({n = 1, size = 96}):image(1)
        assert(lx.vision.save(folder .. "/1.png", film))
        local answer = assert(model(folder .. "/1.png"))
        for _, box in ipairs(answer.boxes) do
            if #lines < 12 then
                lines[#lines + 1] = ("1.png,%g,%g,%g,%g,%s"):format(box.x, box.y, box.w, box.h, box.label)
            end
        end
        assert(core.write_file(folder .. "/boxes.csv", {table.concat(lines, "\n"), "\n"}))
        for _, classes in ipairs {"", "--classes a,b", "--classes b,a"} do
            local status, _, errors = run("%s bin/luxel detect evaluate --model '%s' --data '%s/boxes.csv' %s --json "
                .. "'%s/two.json'", LUA, path, folder, classes, work)
            assert.equal(0, status, errors)
            local report = assert(json.decode(read(work .. "/two.json")))
            assert.is_true(report.ap50 > 0.99, classes .. ": " .. report.ap50)
        end
        local status, _, errors = run("%s bin/luxel detect predict --model '%s' --coco '%s/two.json' '%s/1.png' "
            .. "'%s/1.png'", LUA, path, work, folder, folder)
        assert.equal(0, status, errors)
        local ids = {0, 0}
        for _, result in ipairs(assert(json.decode(read(work .. "/two.json")))) do
            ids[result.image_id] = ids[result.image_id] + 1
        end
        assert.same({#answer.boxes, #answer.boxes}, ids)
    end)

    it("says what is wrong in a line", function()
        assert(core.write_file(work .. "/bad.csv", {"image,x,y,w,h\nnone.png,1,1,2,2\n"}))
        local model = work .. "/model.safetensors"
        for words, message in pairs {
            ["detect"] = "a command is required", ["detect trane"] = "unknown command 'trane'",
            ["detect train --size 100"] = "--size: expected a multiple of 32, got 100",
            ["detect train --size 96 --multi-scale 0.2 --phantoms 40 --backbone cnn --width 8"] =
                "--multi-scale: there is no other multiple of 32 from 76.8 to 115.2; say more than 0.2",
            ["detect train --mosaic 2"] = "--mosaic",
            ["detect train --stride 12"] = "--stride: expected 8, 16 or 32, got 12",
            ["detect train --images x"] = "--images says more of --data, which is missing",
            ["detect train --source timm"] = "--source says where the weights of --pretrained come from",
            ["detect train --model yolov2 --pretrained x"] = "--pretrained fills the backbone of yolo_lite",
            ["detect train --backbone resnet19 --phantoms 20 --size 32"] = "there is no network 'resnet19'",
            ["detect train --data " .. work .. "/bad.csv"] = "bad.csv: row 2: there is no image 'none.png'",
            ["detect train --data " .. work .. "/nothing"] = "there is no such file or folder",
            ["detect predict --model none x.png"] = "none",
            ["detect predict --model " .. model .. " --threshold 2 x.png"] = "expected a number from 0 to 1, got '2'",
            ["detect evaluate --model README.md"] = "README.md is not a usable",
            ["evaluate --model " .. model] = "use luxel detect evaluate",
            ["predict --explain --out x --model " .. model .. " x.png"] = "the model finds boxes itself",
        } do
            local status, _, errors = run("%s bin/luxel %s", LUA, words)
            assert.not_equal(0, status, words)
            assert.matches(message, errors, 1, true)
            assert.is_nil(errors:find("traceback", 1, true), errors)
        end
    end)

    it("says in the model that it learned from a set that models are judged on", function()
        -- such sets are known by the names of their files alone: here phantoms have them
        local data = os.getenv("LUXEL_DATA") or "../shared/data"
        local list = io.open(data .. "/nih_cxr14/boxes.csv")
        if not list then return pending("no names in " .. data) end
        local folder, rows, taken = work .. "/outside", {"image,x,y,w,h,label"}, {}
        lfs.mkdir(folder)
        for line in list:lines() do
            local stem = line:match("^(%d+_%d+)%.jpg,LungOpacity")
            if stem and not taken[stem] and #rows <= 8 then
                taken[stem] = true
                rows[#rows + 1] = ("%s.png,%d,2,%d,9,opacity"):format(stem, #rows, 8 + #rows)
                assert(lx.vision.save(("%s/%s.png"):format(folder, stem), lx.data.phantom({n = 1, size = 32,
                    seed = #rows}):image(1)))
            end
        end
        list:close()
        assert(core.write_file(folder .. "/boxes.csv", {table.concat(rows, "\n"), "\n"}))
        local status, _, errors = run("%s bin/luxel detect train --data '%s/boxes.csv' --size 32 --backbone cnn "
            .. "--stride 8 --width 8 --epochs 1 --anchors 2 --val 0.3 --out '%s/told'", LUA, folder, work)
        assert.equal(0, status, errors)
        assert.matches("which this library judges models on: the model says so", errors)
        local _, metadata = assert(lx.checkpoint.load(work .. "/told/best.safetensors"))
        assert.equal(1, #metadata.outside_sets)
        assert.matches("ChestX%-ray14", metadata.outside_sets[1])
    end)
end)
