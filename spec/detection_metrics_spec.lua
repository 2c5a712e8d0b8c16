-- Figures of detectors: against the golden cases of pycocotools and of VOC's and free-response curves where they are
-- there (LUXEL_CLINIC, default ../shared/clinic), and by hand.

local json = require "luxel.json"
local lx = require "luxel"
local metrics = lx.metrics

local ROOT <const> = os.getenv("LUXEL_CLINIC") or "../shared/clinic"

local function read(name)
    local file <close> = io.open(ROOT .. "/" .. name, "rb")
    return file and assert(json.decode(file:read("a")))
end

local NAMES <const> = {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_small",
    "ar_medium", "ar_large"}

local function entries(list)
    local out = {}
    for i, one in ipairs(list == json.null and {} or list or {}) do
        out[i] = {image = one.image_id, class = one.category_id, box = one.bbox, score = one.score, area = one.area,
            crowd = one.iscrowd == 1}
    end
    return out
end

describe("lx.metrics.coco", function()
    it("gives pycocotools' figures", function()
        local golden = read("coco.json")
        if not golden then return pending("no golden cases in " .. ROOT) end
        local compared, own = 0, 0
        for name, case in pairs(golden.cases) do
            local truth, found = entries(case.gt), entries(case.dt)
            -- what that program cannot answer, or gets wrong: it never finds an object of the number 0
            if case.error or name:find("^gt id 0") or name == "no gt no dt" then
                own = own + 1
                if name ~= "bad img id" then metrics.coco(truth, found) end
            else
                local figures = metrics.coco(truth, found, {images = case.imgs})
                for i, key in ipairs(NAMES) do
                    -- it asks for 100 boxes there, which it did not count
                    if not (name:find("^maxDets") and i == 1) then
                        local what = ("%s, %s: %s"):format(name, key, figures[key])
                        if case.stats[i] == -1 then
                            assert.is_nil(figures[key], what)
                        else
                            assert.is_true(math.abs(figures[key] - case.stats[i]) < 1e-9, what)
                        end
                    end
                end
                compared = compared + 1
            end
        end
        assert.equal(38, compared + own)
        assert.equal(31, compared)
    end)

    it("finds what that program does not, and takes empty lists", function()
        local truth = {{image = 1, box = {10, 10, 40, 40}}}
        assert.equal(1, metrics.coco(truth, {{image = 1, box = {10, 10, 40, 40}, score = 0.5}}).ap)
        assert.equal(0, metrics.coco(truth, {}).ap)
        assert.is_nil(metrics.coco({}, {}).ap)
        assert.is_nil(metrics.coco(truth, {}).ap_large)
    end)

    it("averages classes that have objects, at any threshold", function()
        local truth = {{image = "a", class = "x", box = {0, 0, 10, 10}},
            {image = "b", class = "y", box = {0, 0, 10, 10}}}
        local found = {{image = "a", class = "x", box = {0, 0, 10, 6}, score = 0.9},
            {image = "b", class = "z", box = {0, 0, 9, 9}, score = 0.8}}
        local ap, each = metrics.detection_ap(truth, found)
        assert.equal(0.5, ap)
        assert.same({x = 1, y = 0}, each)
        assert.equal(0.5, (metrics.detection_ap(truth, found, {iou = 0.6})))
        assert.equal(0, (metrics.detection_ap(truth, found, {iou = 0.61})))
        assert.is_nil((metrics.detection_ap({}, found)))
        local same = {{image = 1, box = {0.1, 0.4, 0.1, 0.3}, score = 1}} -- which overlaps itself by 1 less rounding
        assert.equal(1, (metrics.detection_ap(same, same, {iou = 1})))
    end)

    it("refuses what is no box, score or image", function()
        local truth = {{image = 1, box = {0, 0, 1, 1}}}
        for _, case in ipairs {
            {{{image = 1, box = {0, 0, 1}}}, {}, "truth: expected a box"},
            {{{image = 1, box = {0, 0, -1, 1}}}, {}, "truth: expected a box"},
            {truth, {{image = 1, box = {0, 0 / 0, 1, 1}, score = 1}}, "detections: expected a box"},
            {truth, {{image = 1, box = {0, 0, 1, 1}, score = 0 / 0}}, "detections: expected a finite score at place 1"},
            {truth, {{image = 1, box = {0, 0, 1, 1}}}, "detections: expected a finite score"},
            {truth, {{box = {0, 0, 1, 1}, score = 1}}, "detections: expected an image"},
            {truth, {{image = 2, box = {0, 0, 1, 1}, score = 1}}, "none of the option 'images'", {images = {1}}},
        } do
            assert.error_matches(function() metrics.coco(case[1], case[2], case[4]) end, "coco: .*" .. case[3])
        end
    end)
end)

-- Corners of whole pixels from first to last.
local function inclusive(b) return {b[1], b[2], b[3] - b[1] + 1, b[4] - b[2] + 1} end

describe("detection_ap by VOC's rules", function()
    it("gives the golden figures", function()
        local golden = read("voc_froc.json")
        if not golden then return pending("no golden cases in " .. ROOT) end
        local truth, found = {}, {}
        for image, list in pairs(golden.gt) do
            for _, b in ipairs(list) do truth[#truth + 1] = {image = tonumber(image), box = inclusive(b)} end
        end
        for i, one in ipairs(golden.dt) do found[i] = {image = one[1], score = one[2], box = inclusive(one[3])} end
        assert.near(golden.ap11, (metrics.detection_ap(truth, found, {rule = "voc07"})), 1e-12)
        assert.near(golden.ap_all, (metrics.detection_ap(truth, found, {rule = "voc"})), 1e-12)
        local half = golden.iou_half_inclusive
        local a, b = {{image = 1, box = inclusive(half.gt)}}, {{image = 1, score = 1, box = inclusive(half.dt)}}
        assert.equal(half.ap, (metrics.detection_ap(a, b, {rule = "voc"})))
        assert.equal(1, (metrics.detection_ap(a, b)))
    end)

    it("compares whole tenths: three of ten found are four of eleven recalls", function()
        local truth, found = {}, {}
        for i = 1, 10 do truth[i] = {image = i, box = {0, 0, 4, 4}} end
        for i = 1, 3 do found[i] = {image = i, box = {0, 0, 4, 4}, score = 1 - i / 8} end
        assert.near(4 / 11, (metrics.detection_ap(truth, found, {rule = "voc07"})), 1e-12)
    end)

    it("counts a second box of an object as wrong, and a difficult one not at all", function()
        local truth = {{image = 1, box = {0, 0, 4, 4}}, {image = 1, box = {9, 9, 4, 4}, crowd = true}}
        local found = {{image = 1, box = {9, 9, 4, 4}, score = 0.9}, {image = 1, box = {0, 0, 4, 4}, score = 0.8},
            {image = 1, box = {0, 0, 4, 4}, score = 0.7}}
        assert.equal(1, (metrics.detection_ap(truth, found, {rule = "voc"})))
        found[3].score = 0.85
        found[3].box = {20, 20, 2, 2}
        assert.equal(0.5, (metrics.detection_ap(truth, found, {rule = "voc"})))
    end)
end)

describe("free response", function()
    local IMAGES <const> = {
        {lesions = 2, marks = {{score = 0.9, lesion = 1}, {score = 0.8}, {score = 0.6, lesion = 2}}},
        {lesions = 1, marks = {{score = 0.7, lesion = 1}, {score = 0.2}}},
        {lesions = 0, marks = {{score = 0.7}}}, {lesions = 0, marks = {{score = 0.3}}},
    }

    it("gives the golden curve, mean sensitivity and figure of merit", function()
        local golden = read("voc_froc.json")
        if not golden then return pending("no golden cases in " .. ROOT) end
        local points = assert(metrics.froc(IMAGES))
        assert.equal(#golden.froc.points, #points)
        for i, point in ipairs(golden.froc.points) do
            assert.near(point[1], points[i].threshold, 1e-12)
            assert.near(point[2], points[i].false_positives, 1e-12)
            assert.near(point[3], points[i].sensitivity, 1e-12)
        end
        assert.near(golden.froc.cpm_step, (metrics.froc_sensitivity(IMAGES)), 1e-12)
        assert.near(golden.froc.jafroc, metrics.jafroc(IMAGES, {n = 20}).value, 1e-12)
    end)

    it("takes the curve's steps at each rate", function()
        local mean, each = metrics.froc_sensitivity(IMAGES, {0, 0.25, 0.49, 0.5, 8})
        assert.same({1 / 3, 1 / 3, 1 / 3, 1, 1}, each)
        assert.near(3 / 5, mean, 1e-12)
        assert.same({0, 1}, (select(2, metrics.froc_sensitivity({{lesions = 1, marks = {{score = 2}, {score = 1,
            lesion = 1}}}}, {0.5, 1}))))
    end)

    it("counts a lesion once, and false marks of images with lesions not in the figure of merit", function()
        local images = {{lesions = 1, marks = {{score = 0.5, lesion = 1}, {score = 0.9, lesion = 1}, {score = 1}}},
            {lesions = 0, marks = {{score = 0.8}}}, {lesions = 1, marks = {}}, {lesions = 0, marks = {}}}
        local points = metrics.froc(images)
        assert.equal(0.5, points[#points].sensitivity)
        -- 0.9 beats 0.8 and nothing; nothing loses to 0.8 and is like nothing
        assert.equal(2.5 / 4, metrics.jafroc(images, {n = 10}).value)
    end)

    it("has an interval by patients", function()
        local images = {}
        for i = 1, 60 do
            images[i] = {lesions = i % 2, patient = i // 4, marks = {{score = (i * 37 % 60) / 60 + i % 2 / 4,
                lesion = i % 2 == 1 and 1 or nil}}}
        end
        local by_patient = metrics.jafroc(images, {n = 300})
        assert.equal(16, by_patient.units)
        assert.is_true(by_patient.low < by_patient.value and by_patient.value < by_patient.high)
        for _, image in ipairs(images) do image.patient = nil end
        local by_image = metrics.jafroc(images, {n = 300})
        assert.equal(60, by_image.units)
        assert.equal(by_patient.value, by_image.value)
        images[7].patient = 1
        assert.error_matches(function() metrics.jafroc(images) end, "jafroc: images: expected a patient of all images")
    end)

    it("has intervals of sensitivities, those of resampled lists of patients", function()
        local images, rates = {}, {0.2, 0.5, 1}
        for i = 1, 24 do
            local marks = {}
            for k = 1, i % 4 do
                marks[k] = {score = (i * 7 + k * 5) % 11 / 11, lesion = (i + k) % 3 == 0 and i % 3 > 0 and 1 or nil}
            end
            images[i] = {lesions = i % 3, marks = marks, patient = (i - 1) // 2}
        end
        local found = assert(metrics.froc_intervals(images, {rates = rates, n = 50, seed = 5}))
        local mean, each = metrics.froc_sensitivity(images, rates)
        assert.near(mean, found.mean, 1e-12)
        assert.equal(12, found.units)
        local stream, values = require("luxel.random").stream(5), {{}, {}, {}}
        for _ = 1, 50 do
            local drawn = {}
            for _ = 1, 12 do
                local patient = stream:integer(12)
                drawn[#drawn + 1], drawn[#drawn + 2] = images[2 * patient - 1], images[2 * patient]
            end
            for k, value in ipairs(select(2, metrics.froc_sensitivity(drawn, rates))) do
                table.insert(values[k], value)
            end
        end
        for k, point in ipairs(found.points) do
            table.sort(values[k])
            local function quantile(q)
                local at = 1 + 49 * q
                local low = values[k][math.floor(at)]
                return low + (values[k][math.min(math.floor(at) + 1, 50)] - low) * (at % 1)
            end
            assert.equal(each[k], point.sensitivity)
            assert.near(quantile(0.025), point.low, 1e-12)
            assert.near(quantile(0.975), point.high, 1e-12)
            assert.is_true(point.low < point.high)
        end
        assert.matches("0.200 false marks an image: sensitivity 0.%d+  %[0.%d+, 0.%d+%]", tostring(found))
        assert.is_nil((metrics.froc_intervals {{lesions = 0, marks = {}}}))
        assert.is_nil(metrics.froc_intervals({{lesions = 1, marks = {}}}).points[1].low)
        images[7].patient = nil
        assert.error_matches(function() metrics.froc_intervals(images) end, "expected a patient of all images")
    end)

    it("has intervals of average precision, those of resampled lists of patients", function()
        local truth, found, patients = {}, {}, {}
        for i = 1, 20 do
            patients[i] = (i - 1) // 2
            for k = 1, i % 3 do
                truth[#truth + 1] = {image = i, class = i % 2, box = {20 * k, 5, 10, 8}, crowd = i == 5 and k == 1}
            end
            for k = 1, i % 4 do
                found[#found + 1] = {image = i, class = (i + k // 3) % 2, box = {20 * k + (i * k) % 5, 5, 10, 8},
                    score = ((i * 13 + k * 29) % 101) / 101}
            end
        end
        local images = {}
        for i = 1, 20 do images[i] = i end
        local options = {iou = 0.6, images = images, patients = patients, n = 40, seed = 7}
        local ap = assert(metrics.detection_ap_interval(truth, found, options))
        assert.equal(metrics.detection_ap(truth, found, {iou = 0.6, images = images}), ap.value)
        assert.equal(10, ap.units)
        local stream, values = require("luxel.random").stream(7), {}
        for _ = 1, 40 do
            local drawn, count = {}, {}
            for _ = 1, 10 do
                local patient = stream:integer(10)
                for i = 2 * patient - 1, 2 * patient do count[i] = (count[i] or 0) + 1 end
            end
            for i = 1, 20 do
                for copy = 1, count[i] or 0 do drawn[#drawn + 1] = i .. ":" .. copy end
            end
            local function copies(list)
                local out = {}
                for _, entry in ipairs(list) do
                    for copy = 1, count[entry.image] or 0 do
                        local one = {image = entry.image .. ":" .. copy}
                        for key, value in pairs(entry) do one[key] = one[key] or value end
                        out[#out + 1] = one
                    end
                end
                return out
            end
            values[#values + 1] = metrics.detection_ap(copies(truth), copies(found), {iou = 0.6, images = drawn})
        end
        table.sort(values)
        assert.equal(40, #values)
        assert.near(values[1] + (values[2] - values[1]) * 0.975, ap.low, 1e-12)
        assert.near(values[40] - (values[40] - values[39]) * 0.975, ap.high, 1e-12)
        assert.matches("^0.%d+  %[0.%d+, 0.%d+%]$", tostring(ap))
        assert.is_nil((metrics.detection_ap_interval({}, found)))
        assert.is_nil(metrics.detection_ap_interval({truth[1]}, {}).low)
        patients[3] = nil
        assert.error_matches(function() metrics.detection_ap_interval(truth, found, options) end,
            "detection_ap_interval: options: option 'patients': there is none for the image 3")
    end)

    it("is not defined without lesions, or without images that have none", function()
        assert.is_nil((metrics.froc {{lesions = 0, marks = {}}}))
        assert.is_nil((metrics.froc_sensitivity {}))
        assert.is_nil((metrics.jafroc {{lesions = 1, marks = {}}}))
        assert.error_matches(function() metrics.froc {{lesions = 1, marks = {{score = 1, lesion = 2}}}} end,
            "froc: images: image 1: expected marks")
    end)

    it("makes marks of boxes: centres in boxes, or overlaps", function()
        local truth = {{image = "a", box = {0, 0, 10, 10}}, {image = "a", box = {8, 0, 10, 10}},
            {image = "b", class = "mass", box = {0, 0, 4, 4}}}
        local found = {
            {image = "a", box = {0, 0, 20, 20}, score = 0.9}, -- its centre on the corner of both, the same overlap
            {image = "a", box = {7, 3, 8, 4}, score = 0.8}, {image = "a", box = {30, 0, 2, 2}, score = 0.7},
            {image = "b", class = "nodule", box = {0, 0, 4, 4}, score = 0.6},
            {image = "b", class = "mass", box = {0, 0, 4, 4}, score = 0.5},
        }
        local images = metrics.lesion_marks(truth, found, {images = {"a", "b", "c"}, patients = {a = 1, b = 1, c = 2}})
        assert.same({
            {image = "a", patient = 1, lesions = 2, marks = {{score = 0.9, lesion = 1}, {score = 0.8, lesion = 2},
                {score = 0.7}}},
            {image = "b", patient = 1, lesions = 1, marks = {{score = 0.6}, {score = 0.5, lesion = 1}}},
            {image = "c", patient = 2, lesions = 0, marks = {}},
        }, images)
        local strict = metrics.lesion_marks(truth, found, {rule = 0.3})
        assert.same({{score = 0.9}, {score = 0.8}, {score = 0.7}}, strict[1].marks)
        assert.error_matches(function() metrics.lesion_marks(truth, found, {patients = {a = 1}}) end,
            "lesion_marks: options: option 'patients': there is none for the image \"b\"")
    end)
end)
