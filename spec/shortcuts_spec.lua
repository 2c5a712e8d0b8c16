local core = require "luxel.core"
local lfs = require "lfs"
local linear_probe = require "luxel.data.linear_probe"
local lx = require "luxel"
local random = require "luxel.random"
local shell = require "spec.support.shell"

local folder

setup(function() folder = shell.folder() end)
teardown(function() shell.remove(folder) end)

-- n rows of d normal numbers.
local function rows(n, d, seed)
    local stream, list = random.stream(seed), {}
    for i = 1, n do
        list[i] = {}
        for k = 1, d do list[i][k] = stream:normal() end
    end
    return list
end

local function column(list)
    local out = {}
    for i, value in ipairs(list) do out[i] = {value} end
    return lx.tensor(out)
end

describe("positive definite equations", function()
    it("are solved, and refused where they are not positive definite", function()
        for _, d in ipairs {1, 2, 3, 7, 50, 133} do
            local a = lx.tensor(rows(d + 3, d, d))
            local matrix = a:t():matmul(a)
            local diagonal, vector = column(rows(1, d, 7)[1]):abs() + 0.1, column(rows(1, d, 8)[1])
            local x = core.solve_positive(matrix, diagonal, vector)
            local back = matrix:matmul(x) + diagonal * x
            assert.is_true((back - vector):abs():max():item() < 2e-3, d)
        end
        assert.is_nil(core.solve_positive(lx.tensor {{1, 2}, {2, 1}}, column {0, 0}, column {1, 1}))
        assert.is_nil(core.solve_positive(lx.tensor {{1, 1}, {1, 1}}, column {0, 0}, column {1, 1}))
        assert.is_nil(core.solve_positive(lx.tensor {{0 / 0}}, column {0}, column {1}))
        assert.is_nil(core.solve_positive(lx.tensor {{math.huge}}, column {0}, column {1}))
        assert.is_nil(core.solve_positive(lx.tensor {{1}}, column {0}, column {math.huge}))
        local x = core.solve_positive(lx.tensor {{3, 1}, {1, 1}}, column {1, 1}, column {9, 5})
        assert.near(13 / 7, x[1]:item(), 1e-6)
        assert.near(11 / 7, x[2]:item(), 1e-6)
    end)
end)

describe("the linear probe", function()
    local labels, features = {}, rows(90, 5, 3)
    local stream = random.stream(4)
    for i, row in ipairs(features) do
        labels[i] = stream:uniform(0, 1) < 1 / (1 + math.exp(-(2 * row[1] - row[2] + 0.5))) and 1 or 0
        row[3] = 100 + 20 * row[3] -- far from 0, and of another scale
        row[4] = 6.1               -- the same in all
    end

    -- The gradient of the mean loss with the ridge, from the definition.
    local function gradient(fitted, list, truth, ridge)
        local centre, scale = fitted.centre:view(-1):totable(), fitted.scale:view(-1):totable()
        local w = fitted.weight:view(-1):totable()
        local n, out = 0, {}
        for k = 1, #w do out[k] = 0 end
        for i, row in ipairs(list) do
            if truth[i] == truth[i] then
                n = n + 1
                local z = w[#w]
                for k, value in ipairs(row) do z = z + w[k] * (value - centre[k]) * scale[k] end
                local off = 1 / (1 + math.exp(-z)) - truth[i]
                for k, value in ipairs(row) do out[k] = out[k] + off * (value - centre[k]) * scale[k] end
                out[#w] = out[#w] + off
            end
        end
        for k = 1, #w do out[k] = out[k] / n + (k < #w and ridge * w[k] or 0) end
        return out
    end

    it("is at the least of its loss", function()
        for _, ridge in ipairs {0.001, 0.01, 1} do
            local fitted = linear_probe.fit(lx.tensor(features), labels, {ridge = ridge})
            for _, slope in ipairs(gradient(fitted, features, labels, ridge)) do assert.near(0, slope, 2e-4) end
            assert.near(0, fitted.weight[4]:item(), 1e-6)
            assert.is_true(fitted.weight[1]:item() > 0 and fitted.weight[2]:item() < 0)
        end
    end)

    it("leaves out what has no label, and finds an end where classes are apart", function()
        local some = table.move(labels, 1, #labels, 1, {})
        for i = 1, 30 do some[i] = 0 / 0 end
        local fitted = linear_probe.fit(lx.tensor(features), some)
        for _, slope in ipairs(gradient(fitted, features, some, 0.01)) do assert.near(0, slope, 2e-4) end
        local apart = {}
        for i, row in ipairs(features) do apart[i] = row[1] > 0 and 1 or 0 end
        local logits = linear_probe.score(linear_probe.fit(lx.tensor(features), apart, {ridge = 1e-4}),
            lx.tensor(features))
        for i, logit in ipairs(logits) do assert.is_true(logit == logit and (logit > 0) == (apart[i] == 1)) end
    end)

    it("is judged on patients that it was not fitted to", function()
        -- images of a patient are alike, and labels are drawn: who has seen a patient knows all
        local own, truth, groups, draw = rows(60, 40, 5), {}, {}, random.stream(6)
        local x = {}
        for patient = 1, 60 do
            local label = draw:integer(2) - 1
            for _ = 1, 4 do
                x[#x + 1], truth[#truth + 1], groups[#groups + 1] = own[patient], label, "p" .. patient
            end
        end
        local logits = assert(linear_probe.cross_validate(lx.tensor(x), truth, groups))
        assert.equal(240, #logits)
        assert.is_true(math.abs(lx.metrics.auc(logits, truth) - 0.5) < 0.2)
        local fitted = linear_probe.score(linear_probe.fit(lx.tensor(x), truth), lx.tensor(x))
        assert.is_true(lx.metrics.auc(fitted, truth) > 0.95)
        local none, message = linear_probe.cross_validate(lx.tensor(rows(12, 2, 1)),
            {0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
        assert.is_nil(none)
        assert.matches("8 and 4 patients are too few", message)
    end)
end)

-- ---- markers --------------------------------------------------------------------------------------------------

local function write(image, text, x, y, scale, level)
    level = level or 250
    return lx.vision.draw_text(image, x, y, text, {colour = {level, level, level}, scale = scale})
end

local function covers(box, x, y, w, h)
    local across = math.min(box.x + box.w, x + w) - math.max(box.x, x)
    local down = math.min(box.y + box.h, y + h) - math.max(box.y, y)
    if across <= 0 or down <= 0 then return 0 end
    return across * down / (box.w * box.h + w * h - across * down)
end

describe("markers", function()
    local phantoms = lx.data.phantom {n = 60, size = 224, seed = 5}

    it("are found where they were written, in any size and type", function()
        local found, tried = 0, 0
        for i = 1, 20 do
            local x, y = i % 2 == 0 and 10 or 190, i % 4 < 2 and 8 or 190
            local image = write(phantoms.images[i], "R", x, y, 2)
            local wide, high = lx.vision.text_size("R", 2)
            local large = lx.vision.resize(image, 896, 896, {mode = "nearest"})
            for _, case in ipairs {{image, 1}, {image:float(), 1}, {large, 4}} do
                local best = 0
                for _, box in ipairs(lx.vision.find_markers(case[1])) do
                    best = math.max(best, covers(box, x * case[2], y * case[2], wide * case[2], high * case[2]))
                    assert.is_true(box.x >= 0 and box.y >= 0 and box.x + box.w <= case[1].shape[3]
                        and box.y + box.h <= case[1].shape[2] and box.contrast >= 50)
                end
                tried, found = tried + 1, found + (best > 0.3 and 1 or 0)
            end
        end
        assert.equal(60, tried)
        assert.is_true(found >= 57, found)
    end)

    it("are one for a line of text, and none in the middle or where nothing is written", function()
        local plain = lx.full({1, 200, 300}, 40):byte()
        assert.same({}, lx.vision.find_markers(plain))
        local boxes = lx.vision.find_markers(write(plain, "kV70", 10, 12, 1))
        assert.equal(1, #boxes)
        assert.is_true(boxes[1].w > 3 * boxes[1].h / 2 and boxes[1].x >= 8 and boxes[1].x <= 14)
        boxes = lx.vision.find_markers(write(write(plain, "R", 10, 12, 2), "L", 270, 170, 2))
        assert.equal(2, #boxes)
        assert.is_true(boxes[1].y < boxes[2].y)
        assert.same({}, lx.vision.find_markers(write(plain, "R", 145, 92, 2)))
        assert.same({}, lx.vision.find_markers(write(plain, "R", 10, 12, 2, 70)))
        assert.same({}, lx.vision.find_markers(lx.full({1, 20, 20}, 40):byte()))
        local clean = 0
        for i = 1, 60 do clean = clean + (#lx.vision.find_markers(phantoms.images[i]) == 0 and 1 or 0) end
        assert.is_true(clean >= 58, clean)
        assert.error_matches(function() lx.vision.find_markers(lx.zeros(3, 40, 40)) end, "find_markers: image")
    end)
end)

-- ---- the border -----------------------------------------------------------------------------------------------

local SIZE <const>, EDGE <const> = 56, 6

-- Noise of 56 x 56 for each label; `paint(image, label)` changes it.
local function noise_set(labels, paint, more)
    lx.manual_seed(11)
    local images = (lx.randn(#labels, 1, SIZE, SIZE) * 20 + 120):clamp(0, 255)
    for i, label in ipairs(labels) do paint(images[i][1], label) end
    local options = {images = images:byte(), labels = labels}
    for name, value in pairs(more or {}) do options[name] = value end
    return lx.data.dataset(options)
end

local function two_classes(n)
    local labels = {}
    for i = 1, n do labels[i] = i % 3 == 0 and 1 or 0 end
    return labels
end

local function paint_border(image, label) image:narrow(1, 1, 5):add_(12 * label) end
local function paint_middle(image, label) image:narrow(1, EDGE + 3, 20):narrow(2, EDGE + 3, 20):add_(60 * label) end

describe("the border probe", function()
    it("knows what the border tells, and nothing of what is inside", function()
        local told = assert(lx.data.border_probe(noise_set(two_classes(150), paint_border)))
        assert.is_true(told.auc > 0.95 and told.low > 0.9 and told.high <= 1)
        assert.equal(150, #told.logits)
        assert.near(told.auc, lx.metrics.auc(told.logits, two_classes(150)), 1e-12)
        assert.matches("^the border alone tells positive from negative: AUC %d%.%d+ %[", tostring(told))
        local inside = assert(lx.data.border_probe(noise_set(two_classes(150), paint_middle)))
        assert.is_true(math.abs(inside.auc - 0.5) < 0.17 and inside.low < 0.6)
    end)

    it("scores other images", function()
        local probe = assert(lx.data.border_probe(noise_set(two_classes(150), paint_border)))
        local labels = {1, 0, 1, 0, 0, 1, 1, 0}
        local others = noise_set(labels, paint_border)
        local logits = assert(probe:score(others))
        assert.equal(1, lx.metrics.auc(logits, labels))
        assert.same(logits, probe:score(others, "positive"))
        assert.same({}, probe:score(others:subset {}))
        assert.error_matches(function() probe:score(others, "negative") end, "BorderProbe:score: name: expected one of")
    end)

    it("tells each of several classes from the rest, and names the worst", function()
        local labels = {}
        for i = 1, 150 do labels[i] = i % 3 end
        local probe = assert(lx.data.border_probe(noise_set(labels, function(image, label)
            paint_border(image, label == 2 and 1 or 0)
        end, {classes = {"a", "b", "c"}})))
        assert.equal(3, #probe.each)
        assert.equal("c", probe.name)
        assert.equal("the rest", probe.against)
        assert.same(probe.each[3].logits, probe.logits)
        assert.is_true(probe.each[1].auc < 0.85)
        local several, missing = {}, 0 / 0
        for i = 1, 150 do several[i] = {i % 2, i % 5 == 0 and missing or (i % 3 == 0 and 1 or 0)} end
        probe = assert(lx.data.border_probe(noise_set(several, function(image, label)
            paint_border(image, label[2] == 1 and 1 or 0)
        end, {classes = {"x", "y"}})))
        assert.equal("y", probe.name)
        assert.equal("its absence", probe.against)
        assert.is_true(probe.auc > 0.95)
    end)

    it("says why it knows nothing", function()
        local none, message, code = lx.data.border_probe(noise_set(two_classes(20), paint_border))
        assert.is_nil(none)
        assert.matches("^border_probe: 14 and 6 patients are too few", message)
        assert.equal("format", code)
        local patients = {}
        for i = 1, 150 do patients[i] = i % 3 == 0 and "p" .. i % 4 or "q" .. i end
        none, message = lx.data.border_probe(noise_set(two_classes(150), paint_border, {patients = patients}))
        assert.is_nil(none)
        assert.matches("100 and 4 patients", message)
        assert.is_nil((lx.data.border_probe(noise_set(two_classes(30), paint_border):subset {})))
        assert.error_matches(function()
            lx.data.border_probe(lx.data.phantom {n = 4, size = 32, task = "segmentation"})
        end, "border_probe: images: expected images with classes or labels, got masks")
        local bad = lx.data.dataset {images = lx.full({40, 1, 32, 32}, 0 / 0), labels = two_classes(40)}
        assert.error_matches(function() lx.data.border_probe(bad) end, "border_probe: images: expected finite levels")
    end)
end)

-- ---- styles ---------------------------------------------------------------------------------------------------

-- Three styles: plain, with a bright frame, with dark corners; classes have nothing to do with them.
local function styled(n)
    local kinds, labels = {}, {}
    for i = 1, n do kinds[i], labels[i] = i % 7 < 4 and 1 or i % 7 < 6 and 2 or 3, i % 2 end
    local place = 0
    return noise_set(labels, function(image)
        place = place + 1
        if kinds[place] == 2 then image:narrow(1, 1, 6):fill_(220)
        elseif kinds[place] == 3 then image:narrow(2, 1, 14):fill_(5) end
    end), kinds
end

-- The features from their definition: 28 x 28 means, the pixels less than 3 from an edge, those less than 4 from two,
-- and 7 x 7 means.
local function features_of(image)
    local pixels, small, out = image:totable(), {}, {}
    for y = 0, 27 do
        small[y] = {}
        for x = 0, 27 do
            local sum = 0
            for dy = 1, 2 do for dx = 1, 2 do sum = sum + pixels[2 * y + dy][2 * x + dx] end end
            small[y][x] = math.floor(sum / 4 + 0.5)
        end
    end
    local function edge(at) return math.min(at, 27 - at) end
    for y = 0, 27 do for x = 0, 27 do
        if math.min(edge(y), edge(x)) < 3 then out[#out + 1] = small[y][x] end
    end end
    for y = 0, 27 do for x = 0, 27 do
        if math.max(edge(y), edge(x)) < 4 then out[#out + 1] = small[y][x] end
    end end
    for y = 0, 6 do for x = 0, 6 do
        local sum = 0
        for dy = 0, 3 do for dx = 0, 3 do sum = sum + small[4 * y + dy][4 * x + dx] end end
        out[#out + 1] = sum / 16
    end end
    return out
end

describe("styles", function()
    local set, kinds = styled(70)

    it("are those that there are, the largest first, and the same each time", function()
        local styles = lx.data.styles(set, {k = 3})
        assert.same(kinds, styles.cluster)
        assert.same({40, 20, 10}, styles.counts)
        assert.same({3, 413}, styles.means.shape)
        for c = 1, 3 do assert.equal(styles.counts[c], styles.by_class[c][1] + styles.by_class[c][2]) end
        local threads = lx.threads()
        lx.threads(1)
        local again = lx.data.styles(set, {k = 3})
        lx.threads(threads)
        assert.same(styles.cluster, again.cluster)
        assert.same(styles.means:totable(), again.means:totable())
        assert.matches("3 clusters of 70 images\n   1      40 images  negative 50%.0 %%, positive 50%.0 %%",
            tostring(styles))
    end)

    it("are dealt into parts with few and with many of the second class", function()
        local styles = lx.data.styles(set, {k = 3})
        styles.by_class = {{4, 36}, {19, 1}, {5, 5}} -- of 40, 20 and 10: shares of 0.9, 0.05 and 0.5
        local parts, part_of = styles:parts(2), {}
        for i, part in ipairs(parts) do
            part_of[styles.cluster[i]] = part_of[styles.cluster[i]] or part
            assert.equal(part_of[styles.cluster[i]], part)
        end
        assert.same({2, 1, 2}, part_of)
        assert.error_matches(function() styles:parts(4) end, "Styles:parts: n: expected at most 3")
    end)

    it("are the nearest of their means, as these are defined", function()
        local styles = lx.data.styles(set, {k = 3})
        local list, centre, squares = {}, {}, {}
        for i = 1, #set do list[i] = features_of(set.images[i][1]) end
        for k = 1, 413 do
            centre[k], squares[k] = 0, 0
            for i = 1, #list do centre[k] = centre[k] + list[i][k] / #list end
            for i = 1, #list do squares[k] = squares[k] + (list[i][k] - centre[k]) ^ 2 / #list end
        end
        for i = 1, #list do
            for k = 1, 413 do
                local count = k <= 300 and 300 or k <= 364 and 64 or 49
                list[i][k] = (list[i][k] - centre[k]) / math.sqrt(squares[k] * 3 * count)
            end
        end
        local means, spread = {}, 0
        for c = 1, 3 do
            means[c] = {}
            for k = 1, 413 do
                means[c][k] = 0
                for i = 1, #list do
                    if kinds[i] == c then means[c][k] = means[c][k] + list[i][k] / styles.counts[c] end
                end
            end
        end
        assert.is_true((lx.tensor(means) - styles.means):abs():max():item() < 2e-3)
        for i = 1, #list do
            local distance = 0
            for k = 1, 413 do distance = distance + (list[i][k] - means[kinds[i]][k]) ^ 2 end
            assert.near(math.sqrt(distance), styles.distances[i], 2e-3)
            spread = spread + distance / #list
        end
        assert.near(spread, styles.spread, 1e-3)
    end)

    it("are given to other images, of other sizes and kinds", function()
        local styles = lx.data.styles(set, {k = 3})
        local other, own = styled(28)
        assert.same(own, (styles:assign(other)))
        local large = lx.data.dataset {images = lx.vision.resize(other.images, 112, 112), labels = lx.zeros(28)}
        assert.same(own, (styles:assign(large)))
        local images = other.images
        local colour = lx.data.dataset {images = lx.cat({images, images, images}, 2), labels = lx.zeros(28)}
        assert.same(own, (styles:assign(colour)))
        local clusters, distances = styles:assign(other:subset {3})
        assert.same({own[3]}, clusters)
        assert.equal(1, #distances)
        assert.same({}, (styles:assign(other:subset {})))
    end)

    it("are of files as well, and of masks", function()
        local dir = folder .. "/styled"
        assert(lfs.mkdir(dir))
        local table_of_rows = {}
        for i = 1, #set do
            local path = ("%s/%02d.png"):format(dir, i)
            assert(lx.vision.save(path, set.images[i]))
            table_of_rows[i] = {path = path, label = i % 2 == 0 and "healthy" or "ill"}
        end
        local frame = assert(lx.data.frame(table_of_rows, {label = "label"}))
        assert.same(kinds, lx.data.styles(frame, {k = 3}).cluster)
        assert.same(kinds, lx.data.styles(assert(frame:open {size = 28}), {k = 3}).cluster)
        shell.write(dir .. "/07.png", "no image")
        local none, message, code = lx.data.styles(frame, {k = 3})
        assert.is_nil(none)
        assert.matches("07%.png", message)
        assert.equal("format", code)
        local masks = lx.data.styles(lx.data.phantom {n = 6, size = 32, task = "segmentation"}, {k = 2})
        assert.same({}, masks.classes)
    end)

    it("are as many as there are images at most, and may all be alike", function()
        local same = lx.data.dataset {images = lx.full({9, 1, 32, 32}, 7):byte(), labels = lx.zeros(9)}
        local styles = lx.data.styles(same, {k = 3})
        assert.equal(9, styles.counts[1] + styles.counts[2] + styles.counts[3])
        assert.is_true(styles.spread < 1e-6)
        -- of two looks a third cluster has nothing, and its middle is that of an image
        local two = lx.data.styles(lx.data.dataset {
            images = lx.cat({lx.full({3, 1, 32, 32}, 7), lx.full({5, 1, 32, 32}, 99)}, 1):byte(), labels = lx.zeros(8),
        }, {k = 3})
        assert.same({5, 3, 0}, two.counts)
        local gaps = (two.means:narrow(1, 1, 2) - two.means:narrow(1, 3, 1)):abs():sum(2):totable()
        assert.near(0, math.min(gaps[1], gaps[2]), 1e-5)
        local each = lx.data.styles(set:subset {1, 2, 3, 4}, {k = 4})
        assert.same({1, 1, 1, 1}, each.counts)
        assert.error_matches(function() lx.data.styles(same:subset {1}) end,
            "styles: images: expected at least 8, one for each cluster, got 1")
        assert.error_matches(function() lx.data.styles(same, {clusters = 3}) end, "unknown option 'clusters'")
    end)
end)

-- ---- audits ---------------------------------------------------------------------------------------------------

-- Phantoms as a folder, with a letter in images for which `marked(label, i)` is true.
local function make_set(name, marked)
    local root = folder .. "/" .. name
    local phantoms = lx.data.phantom {n = 90, size = 128, seed = 2}
    os.execute(("mkdir -p '%s/NORMAL' '%s/PNEUMONIA'"):format(root, root))
    for i, label in ipairs(phantoms.labels:totable()) do
        local image = phantoms.images[i]
        if marked(label, i) then image = write(image, "R", 10 + i % 5, 92 + i % 7, 2) end
        assert(lx.vision.save(root .. "/" .. phantoms.paths[i], image))
    end
    return root
end

local function nuisance(found, name)
    for _, one in ipairs(found.nuisances) do
        if one.name == name then return one end
    end
end

describe("an audit's shortcuts", function()
    it("have the letter that is in one class alone, with boxes and pictures", function()
        local root = make_set("one", function(label) return label == 1 end)
        local audit = assert(lx.data.audit(root))
        local found = audit:shortcuts()
        local markers = nuisance(found, "markers")
        assert.is_true(markers.auc > 0.95 and markers.low > 0.9 and markers.outside)
        assert.equal("PNEUMONIA", markers.class)
        assert.is_true(found.markers.PNEUMONIA > 0.9 and found.markers.NORMAL < 0.1)
        assert.matches("text and markers alone tell PNEUMONIA from NORMAL: AUC ", found.warning)
        assert.matches("a network may learn the device instead of the disease$", found.warning)
        assert.matches(found.warning:sub(1, 40), tostring(audit))
        assert.equal("the same in all images", nuisance(found, "size").problem)
        assert.equal(8, #found.styles.counts)
        assert.equal(rawequal(found, audit:shortcuts()), true)
        assert.equal(3, audit:shortcuts({k = 3}).styles.k)
        local path = folder .. "/one.html"
        assert.is_true(audit:report(path))
        local page = shell.read(path)
        for _, words in ipairs {"<h2>Shortcuts", "<h2>Text and markers", "<h2>Styles", 'class="warn"'} do
            assert.is_truthy(page:find(words, 1, true))
        end
    end)

    it("do not have the letter that is in both", function()
        local found = assert(lx.data.audit(make_set("both", function(_, i) return i % 3 > 0 end))):shortcuts()
        assert.is_true(found.markers.PNEUMONIA > 0.5 and found.markers.NORMAL > 0.5)
        assert.is_true(nuisance(found, "markers").low < 0.6)
        assert.is_nil(found.warning)
    end)

    it("are of tables and of several labels too, where there are patients enough", function()
        local root, lines = folder .. "/one", {"file,a,b,who"}
        local frame = assert(lx.data.image_folder(root))
        for i = 1, #frame do
            lines[i + 1] = ("%s,%d,%s,%s"):format(frame.path[i]:match "[^/]+/[^/]+$", i % 2,
                i % 9 == 0 and "" or frame.label[i], frame.group[i])
        end
        local path = shell.write(root .. "/labels.csv", table.concat(lines, "\n") .. "\n")
        local audit = assert(lx.data.audit(assert(lx.data.frame(path, {
            path = "file", labels = {"a", "b"}, patient = "who",
        }))))
        local markers = nuisance(audit:shortcuts(), "markers")
        assert.equal("b", markers.class)
        assert.is_true(markers.auc > 0.9 and #markers.each == 2)
        assert.matches("text and markers alone tell b from its absence", tostring(audit))
        assert.is_true(audit:report(folder .. "/labels.html"))
        local few = assert(lx.data.audit(frame:filter(function(_, i) return i <= 12 end)))
        assert.matches("patients are too few", nuisance(few:shortcuts(), "border").problem)
        assert.is_nil(few:shortcuts().warning)
        assert.error_matches(function() lx.data.audit(frame, {positive = "NORMAL"}) end, "positive")
        local status, output = shell.run(("%s bin/luxel audit '%s' --path file --label b --positive 1 --patient who "
            .. "--json '%s/found.json'"):format(os.getenv "LUA" or "lua5.4", path, folder))
        assert.equal(0, status)
        assert.matches("text and markers alone tell 1 from 0", output)
        local found = shell.read(folder .. "/found.json")
        assert.matches('"warning":"', found)
        assert.matches('"unreadable":[]', found, 1, true)
    end)

    it("are said by training as well", function()
        local root = make_set("stripe", function() return false end)
        local frame = assert(lx.data.image_folder(root))
        for i = 1, #frame do
            local image = assert(lx.vision.load(frame.path[i]))
            if frame.label[i] == 1 then image:narrow(2, 1, 6):fill_(200) end
            assert(lx.vision.save(frame.path[i], image))
        end
        local function train(data, out)
            local status, _, errors = shell.run(("%s bin/luxel train --recipe quick --data '%s' --size 32 --epochs 1 "
                .. "--out '%s/%s'"):format(os.getenv "LUA" or "lua5.4", data, folder, out))
            assert.equal(0, status)
            return errors
        end
        assert.matches("%[WARN%] the border alone tells PNEUMONIA from NORMAL: AUC 1%.000", train(root, "run"))
        assert.is_nil(train(folder .. "/both", "other"):find("the border alone", 1, true))
    end)
end)

describe("a survey", function()
    it("reads the mean step of a JPEG's first quantisation table, and the bytes of a file", function()
        local root = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/chest_xray/NORMAL"
        if lfs.attributes(root, "mode") ~= "directory" then
            pending("no folder of radiographs; set LUXEL_DATA")
            return
        end
        local path = root .. "/IM-0115-0001.jpeg"
        local bytes = shell.read(path)
        local at = bytes:find("\xff\xdb", 1, true) + 5 -- the marker, the length, the precision and number
        local sum = 0
        for i = at, at + 63 do sum = sum + bytes:byte(i) end
        local found = core.survey({path})[1]
        assert.near(sum / 64, found.quantisation, 1e-9)
        assert.equal(#bytes, found.bytes)
        local image = assert(lx.vision.load(path, {channels = 1}))
        assert.same(lx.vision.resize(image, 28, 28, {mode = "area"})[1]:totable(),
            lx.from_string(found.reduced, {28, 28}, "uint8"):totable())
        assert.same(lx.vision.find_markers(image), found.markers)
    end)
end)
