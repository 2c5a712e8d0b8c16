--- Segmentation: masks as targets, their metrics, training, predictions, and folds of patients.

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

    it("give a patient with more images than a fold one to itself", function()
        local list = rows(3)
        for i = 1, 40 do list[#list + 1] = {path = i .. ".png", label = "normal", patient = "large"} end
        local frame = assert(lx.data.frame(list, {label = "label"}))
        local sizes = {}
        for k, fold in ipairs(assert(frame:folds(3))) do sizes[k] = #fold.val end
        table.sort(sizes)
        assert.equal(40, sizes[3])
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
