--- Boxes in files of others, and datasets of them: what is read is what a person would read in the file, what is
--- written is read again as the same, and what is wrong is named.

local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"
local voc = require "luxel.io.voc"

local work

local function write(name, text)
    local path = work .. "/" .. name
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
    return path
end

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

-- Images of known sizes: a.png 40 x 20, b.jpg.png 16 x 16, sub/c.png 10 x 30 and sub/d.png 8 x 8, of which no file
-- speaks.
local SIZES <const> = {["a.png"] = {20, 40}, ["b.jpg.png"] = {16, 16}, ["sub/c.png"] = {30, 10}, ["sub/d.png"] = {8, 8}}

setup(function()
    work = shell.folder()
    lfs.mkdir(work .. "/images")
    lfs.mkdir(work .. "/images/sub")
    for name, size in pairs(SIZES) do
        assert(lx.vision.save(work .. "/images/" .. name, lx.zeros({1, size[1], size[2]}, {dtype = "uint8"})))
    end
end)

teardown(function() shell.remove(work) end)

local function frame_of(path, options)
    options = options or {}
    options.images = work .. "/images"
    return lx.data.box_frame(path, options)
end

-- {name = {label, boxes}} of a frame, boxes as {x, y, w, h, label, crowd}.
local function told(frame)
    local out = {}
    for i, path in ipairs(frame.path) do
        local list = {}
        for k, box in ipairs(frame.boxes[i]) do
            list[k] = {box.x, box.y, box.w, box.h, box.label, box.crowd or false}
        end
        local label = frame.label[i]
        out[path:sub(#work + #"/images/" + 1)] = {label == label and label or "unknown", list}
    end
    return out
end

local EXPECTED <const> = {
    ["a.png"] = {1, {{4, 5, 10, 8, "nodule", false}, {0, 0, 40, 20, "mass", false}}},
    ["b.jpg.png"] = {1, {{2.5, 3, 4, 12.5, "nodule", false}}},
    ["sub/c.png"] = {0, {}},
    ["sub/d.png"] = {"unknown", {}},
}

local function with_crowd()
    local copy = {}
    for name, entry in pairs(EXPECTED) do copy[name] = entry end
    copy["a.png"] = {1, {{4, 5, 10, 8, "nodule", false}, {0, 0, 40, 20, "mass", true}}}
    return copy
end

local CSV <const> = "image,x,y,w,h,label,image_width,image_height\na.png,4,5,10,8,nodule,40,20\n"
    .. "b.jpg.png,2.5,3,4,12.5,nodule,16,16\na.png,0,0,40,20,mass,40,20\nsub/c.png,,,,,,10,30\n"

local COCO <const> = [[{"images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 20},
    {"id": 9, "file_name": "b.jpg.png"}, {"id": 3, "file_name": "c.png"}],
    "categories": [{"id": 5, "name": "nodule"}, {"id": 2, "name": "mass"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [4, 5, 10, 8], "iscrowd": 0},
    {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 40, 20], "iscrowd": 1},
    {"id": 3, "image_id": 9, "category_id": 5, "bbox": [2.5, 3, 4, 12.5]}]}]]

local XML <const> = [[<?xml version="1.0"?><!-- <object> --><annotation verified="yes"><filename>a.jpg</filename>
    <size><width>40</width><height>20</height><depth>1</depth></size><segmented/>
    <object><name>nodule</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>14</xmax><ymax>13</ymax></bndbox></object>
    <object><name> mass </name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>40</xmax>
    <ymax>20</ymax></bndbox></object></annotation>]]

describe("box_frame", function()
    it("reads a table", function()
        local frame = assert(frame_of(write("boxes.csv", CSV)))
        assert.same(EXPECTED, told(frame))
        assert.same({"mass", "nodule"}, frame.classes)
        assert.equal("detection", frame.task)
        assert.matches("3 boxes; 1 images are known to have none, and of 1 nothing is known", tostring(frame))
    end)

    it("reads darknet's files, of an image with two dots in its name too", function()
        lfs.mkdir(work .. "/txt")
        write("txt/a.txt", "0 0.225 0.45 0.25 0.4\n1 0.5 0.5 1 1\n\n")
        write("txt/b.jpg.txt", "0 0.28125 0.578125 0.25 0.78125")
        write("txt/c.txt", "")
        write("txt/classes.txt", "nodule\nmass\n")
        local frame = assert(frame_of(work .. "/txt"))
        assert.same(EXPECTED, told(frame))
        assert.same({"nodule", "mass"}, frame.classes)
    end)

    it("reads COCO's file, with crowds", function()
        local frame = assert(frame_of(write("coco.json", COCO)))
        assert.same(with_crowd(), told(frame))
        assert.same({"nodule", "mass"}, frame.classes)
    end)

    it("reads Pascal VOC's files, whose corners are pixels from 1, with difficult objects", function()
        lfs.mkdir(work .. "/xml")
        write("xml/a.xml", XML)
        write("xml/b.xml", "<annotation><filename>b.jpg.png</filename><object><name>nodule</name><bndbox>"
            .. "<xmin>3.5</xmin><ymin>4</ymin><xmax>6.5</xmax><ymax>15.5</ymax></bndbox></object></annotation>")
        write("xml/c.xml", "<annotation></annotation>")
        assert.same(with_crowd(), told(assert(frame_of(work .. "/xml"))))
    end)

    it("reads RSNA's table", function()
        local frame = assert(frame_of(write("rsna.csv", "patientId,x,y,width,height,Target\na,4,5,10,8,1\nc,,,,,0\n"
            .. "a,0,0,40,20,1\n")))
        assert.same({
            ["a.png"] = {1, {{4, 5, 10, 8, "Lung Opacity", false}, {0, 0, 40, 20, "Lung Opacity", false}}},
            ["b.jpg.png"] = {"unknown", {}}, ["sub/c.png"] = {0, {}}, ["sub/d.png"] = {"unknown", {}},
        }, told(frame))
    end)

    it("takes images that a file does not mention as it is told", function()
        local path = write("boxes.csv", CSV)
        assert.same({0, {}}, told(frame_of(path, {unlisted = "negative"}))["sub/d.png"])
        assert.same({"unknown", {}}, told(frame_of(path, {unlisted = "unknown"}))["sub/d.png"])
        assert.is_nil(told(frame_of(path, {unlisted = "leave_out"}))["sub/d.png"])
        assert.same({0, {}}, told(frame_of(path, {negatives = {"d"}}))["sub/d.png"])
        local one = assert(frame_of(path, {one_class = "opacity"}))
        assert.same({"opacity"}, one.classes)
        assert.equal("opacity", one.boxes[1][1].label)
    end)

    it("says what is wrong, and where", function()
        local head, row = "image,x,y,w,h,label\n", "a.png,%s,mass\n"
        local function xml(body) return {work .. "/bad_xml", {"bad_xml/a.xml", body}} end
        local function txt(body) return {work .. "/bad_txt", {"bad_txt/a.txt", body}} end
        lfs.mkdir(work .. "/bad_xml")
        lfs.mkdir(work .. "/bad_txt")
        local function csv(body) return {work .. "/bad.csv", {"bad.csv", body}} end
        local function coco(from, to) return {work .. "/bad.json", {"bad.json", (COCO:gsub(from, to, 1))}} end
        for _, case in ipairs {
            {csv(head .. row:format "39,5,10,8"), "bad.csv: row 2: the box from %(39, 5%) to %(49, 13%) is not in the "
                .. "image of 40 x 20 pixels"},
            {csv(head .. row:format "4,-3,10,8"), "is not in the image"},
            {csv(head .. row:format "nan,5,10,8"), "row 2: x: expected a finite number, got \"nan\""},
            {csv(head .. row:format "4,inf,10,8"), "expected a finite number"},
            {csv(head .. row:format "4,1e999,10,8"), "expected a finite number"},
            {csv(head .. row:format "4,5,0,8"), "row 2: the box has the size 0 x 8"},
            {csv(head .. row:format "4,5,,8"), "row 2: its box lacks a number"},
            {csv(head .. "e.png,4,5,1,1,mass\n"), "row 2: there is no image 'e.png' below .*/images"},
            {csv("image,x,y,w\n"), "there is no column 'h'; the columns are image, x, y, w"},
            {csv(CSV:gsub("10,8,nodule,40,20", "10,8,nodule,80,40")), "row 2: it is of an image of 80 x 40 pixels, and "
                .. "a.png has 40 x 20"},
            {csv(head .. row:format "40,5,1,8"), "row 2: of the box from %(40, 5%) to %(41, 13%) nothing is in the "
                .. "image"},
            {csv(head .. row:format "4,5,1,8" .. "c,1,1,2,2,\n"), "row 3: its box has no label, and others have"},
            {csv "image,x,y,w,h,x\na.png,4,5,1,1,9\n", "the column 'x' comes twice"},
            {csv(head .. "one/a.png,4,5,1,1,mass\ntwo/a.png,4,5,1,1,mass\n"),
                "row 3: 'one/a.png' and 'two/a.png' would both be the image a.png"},
            {csv(head .. "sub/a.png,4,5,1,1,mass\n"), "there is no image 'sub/a.png'"},
            {csv(head), "there is no box, and 'classes' does not say"},
            {csv("patientId,x,y,width,height,Target\na,,,,,1\n"), "row 2: Target is '1' and there is no box"},
            {coco('"image_id": 7', '"image_id": 8'), "annotations, 1: there is no image of the id 8"},
            {coco('"category_id": 5', '"category_id": 6'), "annotations, 1: there is no category of the id 6"},
            {coco('("images": %[)', '%1{"id": 7, "file_name": "sub/d.png"}, '), "images, 2: the id 7 comes twice"},
            {coco('("categories": %[)', '%1{"id": 5, "name": "x"}, '), "categories, 2: the id 5 comes twice"},
            {coco('("categories": %[)', '%1{"id": 99, "name": "nodule"}, '), "the name 'nodule' comes twice"},
            {coco("4, 5, 10, 8", "4, 5, 10"), "annotations, 1: bbox: expected 4 numbers, got 3"},
            {coco('"width": 40', '"width": 41'), "images, 1: it is of an image of 41 x 20 pixels"},
            {coco('"categories"', '"kategories"'), "'categories': expected a table, got nil"},
            {coco("}$", ""), "bad.json: "},
            {txt "0 0.5 0.5 0.1\n", "a.txt: line 1: expected class, x, y, w, h, got 4 numbers"},
            {txt "0 0.5 0.5 0.1 x\n", "a.txt: line 1: expected a finite number"},
            {txt "-1 0.5 0.5 0.1 0.1\n", "line 1: expected a class from 0, got %-1"},
            {txt "\n0 0.99 0.5 0.2 0.1\n", "line 2: the box from"},
            {xml "<annotation>", "<annotation> is not closed"},
            {xml "<a></b>", "</b> closes <a>"},
            {xml "<annotation><object><name>x</name></object></annotation>", "has no <bndbox>"},
            {xml "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "document types"},
            {xml((XML:gsub("<xmin>5<", "<xmin>five<"))), "<bndbox>: <xmin>: expected a number, got 'five'"},
            {xml(("<a>"):rep(99)), "nested too deeply"},
        } do
            local path, file = case[1][1], case[1][2]
            write(file[1], file[2])
            local frame, message, code = frame_of(path)
            assert.is_nil(frame, case[2])
            assert.matches(case[2], message)
            assert.equal("format", code)
            assert.is_nil(message:find("traceback", 1, true))
        end
        local _, message, code = frame_of(work .. "/none.csv")
        assert.equal("io", code)
        assert.matches("there is no such file", message)
        _, message = frame_of(write("boxes.csv", CSV), {classes = {"nodule"}})
        assert.matches("there is a box of 'mass', which is not one of nodule", message)
        _, message = frame_of(write("boxes.csv", CSV), {negatives = {"a.png"}})
        assert.matches("'negatives': a.png has boxes", message)
    end)

    it("takes sizes of images that are not said, or 0", function()
        local frame = assert(frame_of(write("sizes.csv", "image,x,y,w,h,image_width,image_height\na.png,4,5,1,1,,\n"
            .. "c,1,1,2,2,0,0\n")))
        assert.equal(1, #told(frame)["sub/c.png"][2])
        assert.is_nil(frame_of(write("sizes.csv", "image,x,y,w,h,image_width,image_height\na.png,4,5,1,1,41,\n")))
    end)

    it("lets a box reach over an edge by rounding, and cuts it off there", function()
        local frame = assert(frame_of(write("edge.csv", "image,x,y,w,h\na.png,-0.5,0,41.25,20.5\n")))
        assert.same({{0, 0, 40, 20, "object", false}}, told(frame)["a.png"][2])
    end)

    it("does not know which of two images of one name is meant", function()
        assert(lx.vision.save(work .. "/images/sub/a.png", lx.zeros({1, 4, 4}, {dtype = "uint8"})))
        local frame, message = frame_of(write("twice.csv", "image,x,y,w,h\na,1,1,2,2\n"))
        os.remove(work .. "/images/sub/a.png")
        assert.is_nil(frame)
        assert.matches("there are several of that name", message)
    end)
end)

describe("save_boxes", function()
    it("writes what box_frame reads as the same, in each format", function()
        local frame = assert(frame_of(write("coco.json", COCO)))
        for format, name in pairs {
            csv = "out.csv", darknet = "out_darknet", coco = "out.json", voc = "out_voc", rsna = "out_rsna.csv",
        } do
            local path = work .. "/" .. name
            assert(lx.data.save_boxes(path, frame, {format = format, images = work .. "/images"}))
            local again = assert(frame_of(path, {format = format}))
            local expected = (format == "coco" or format == "voc") and with_crowd() or EXPECTED
            local found = told(again)
            for file, entry in pairs(expected) do
                assert.equal(entry[1], found[file][1], format)
                assert.equal(#entry[2], #found[file][2], format)
                for k, box in ipairs(entry[2]) do
                    for i = 1, 4 do assert.near(box[i], found[file][2][k][i], 1e-6, format) end
                    assert.equal(format == "rsna" and "Lung Opacity" or box[5], found[file][2][k][5], format)
                    assert.equal(box[6], found[file][2][k][6], format)
                end
            end
        end
        -- whoever reads COCO's format finds what its page says
        local root = assert(json.decode(read(work .. "/out.json")))
        assert.equal(3, #root.images)
        assert.same({
            id = 1, image_id = root.images[1].id, category_id = 1, bbox = {4, 5, 10, 8}, area = 80, iscrowd = 0,
        }, root.annotations[1])
        assert.matches("<xmin>5</xmin><ymin>6</ymin><xmax>14</xmax><ymax>13</ymax>", read(work .. "/out_voc/a.xml"))
    end)

    it("keeps names that XML and tables have to quote", function()
        local text = voc.write {file = "a&b<c>.png", width = 3, height = 4, boxes = {
            {x = 0, y = 1, w = 2, h = 3, label = "R&D <1>"},
        }}
        local again = assert(voc.read(text))
        assert.equal("a&b<c>.png", again.file)
        assert.same({{x = 0, y = 1, w = 2, h = 3, label = "R&D <1>"}}, again.boxes)
        assert.equal("ä&", voc.read("<annotation><filename>&#xe4;&amp;</filename></annotation>").file)
    end)

    it("says what it cannot write", function()
        local frame = assert(frame_of(write("boxes.csv", CSV)))
        assert(lx.vision.save(work .. "/images/sub/a.png", lx.zeros({1, 8, 8}, {dtype = "uint8"})))
        local both = assert(frame_of(write("both.csv", "image,x,y,w,h\na.png,1,1,2,2\nsub/a.png,1,1,2,2\n")))
        os.remove(work .. "/images/sub/a.png")
        for format, pattern in pairs {
            csv = "two images would have the name a.png: .*; the option 'images' says the folder above both",
            rsna = "two images would have the name a: ",
        } do
            assert.error_matches(function() lx.data.save_boxes(work .. "/o.csv", both, {format = format}) end, pattern)
        end
        assert.error_matches(function()
            lx.data.save_boxes(work .. "/o.csv", frame, {format = "csv", images = "/elsewhere"})
        end, "is not below /elsewhere")
        assert.error_matches(function()
            lx.data.save_boxes(work .. "/o.csv", frame, {format = "yaml"})
        end, "save_boxes: options: .*'format'")
        local none, _, code = lx.data.save_boxes(work .. "/no/such/o.csv", frame, {format = "csv"})
        assert.is_nil(none)
        assert.equal("io", code)
    end)
end)

describe("a dataset of boxes", function()
    local function dataset()
        return assert(assert(frame_of(write("boxes.csv", CSV))):load {size = 20})
    end

    it("has boxes at the size of its images, and counts objects", function()
        local set = dataset()
        assert.equal("detection", set.task)
        local counts, missing = set:counts()
        assert.same({1, 2}, counts)
        assert.equal(1, missing)
        assert.matches("1 mass and 2 nodule, 1 without a label", tostring(set))
        local box = set.boxes[1][1] -- of 40 x 20 pixels that became 20 x 20
        assert.same({2, 5, 5, 8, "nodule"}, {box.x, box.y, box.w, box.h, box.label})
        assert.equal(2, set:class_of(1, box))
        assert.error_matches(function() set:class_of(1, {label = "cyst"}) end,
            "with a label of mass, nodule, got \"cyst\"")
    end)

    it("gives targets for the region loss, NaN where nothing is known", function()
        local set = dataset()
        local x, y, indices = lx.data.batches(set, {batch = 4, shuffle = false})()
        assert.same({4, 1, 20, 20}, {table.unpack(x.shape)})
        assert.same({1, 2, 3, 4}, indices:totable())
        local rows = y:totable()
        assert.same({{0.225, 0.45, 0.25, 0.4, 2}, {0.5, 0.5, 1, 1, 1}}, {
            {("%.3f"):format(rows[1][1][1]) + 0, ("%.3f"):format(rows[1][1][2]) + 0, rows[1][1][3],
                ("%.3f"):format(rows[1][1][4]) + 0, rows[1][1][5]}, rows[1][2],
        })
        assert.same({0, 0, 0, 0, 0}, rows[2][2])
        assert.same({{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}, rows[3])
        for _, row in ipairs(rows[4]) do
            for _, value in ipairs(row) do assert.is_true(value ~= value) end
        end
        -- that image counts for nothing, whatever the network says of it
        local map = lx.randn({4, 14, 2, 2}, {requires_grad = true})
        local options = {anchors = {{1, 1}, {0.5, 2}}, reduction = "sum"}
        local loss, figures = lx.nn.functional.region_loss(map, y, options)
        loss:backward()
        assert.equal(0, map.grad:select(1, 4):abs():sum():item())
        assert.is_true(map.grad:select(1, 3):abs():sum():item() > 0)
        assert.equal(3, figures.objects)
        local known = lx.nn.functional.region_loss(map:detach():narrow(1, 1, 3), y:narrow(1, 1, 3), options)
        assert.near(known:item(), loss:item(), 1e-5)
        local sum = 0
        for _, part in ipairs {"coordinates", "with_object", "without_object", "classes"} do
            assert.is_true(figures[part] > 0, part)
            sum = sum + figures[part]
        end
        assert.near(loss:item(), sum, 1e-4)
        local nothing = lx.nn.functional.region_loss(map, y:narrow(1, 4, 1):expand(4, 2, 5), options)
        assert.equal(0, nothing:item())
    end)

    it("leaves crowds and slivers out of the targets", function()
        local set = lx.data.dataset {task = "detection", images = lx.zeros(2, 1, 32, 32), boxes = {
            {{x = 1, y = 1, w = 8, h = 8}, {x = 0, y = 0, w = 32, h = 32, crowd = true}, {x = 3, y = 3, w = 1, h = 30}},
            false,
        }}
        local _, y = lx.data.batches(set, {batch = 2, shuffle = false})()
        assert.same({2, 1, 5}, {table.unpack(y.shape)})
        assert.same({5 / 32, 5 / 32, 0.25, 0.25, 1}, y:totable()[1][1])
        assert.equal(1, select(2, set:counts()))
    end)

    it("moves targets with the augmentation", function()
        local set = lx.data.dataset {task = "detection", images = lx.zeros(1, 1, 32, 32), boxes = {
            {{x = 2, y = 4, w = 8, h = 6}},
        }}
        local _, y = lx.data.batches(set, {batch = 1, augment = {{"hflip", p = 1}}})()
        assert.same({{{26 / 32, 7 / 32, 8 / 32, 6 / 32, 1}}}, y:totable())
    end)

    it("refuses boxes that are none", function()
        local function refused(boxes, pattern, more)
            local options = {task = "detection", images = lx.zeros(1, 1, 8, 8), boxes = boxes}
            for key, value in pairs(more or {}) do options[key] = value end
            assert.error_matches(function() lx.data.dataset(options) end, pattern)
        end
        refused({{{x = 1, y = 1, w = 0, h = 1}}}, "image 1: expected {x =, y =, w =, h =} with w and h above 0")
        refused({{{x = 1, y = 0 / 0, w = 1, h = 1}}}, "'boxes': image 1: expected")
        refused({{{x = 1, y = 1, w = 1, h = 1, label = "cyst"}}}, "expected a label of object, got \"cyst\"")
        refused({}, "'boxes': expected one for each of 1 images")
        refused({{}}, "'labels': boxes tell", {labels = {1}})
    end)

    it("is split with about as many images with boxes on both sides", function()
        local train, val = lx.data.phantom({n = 60, size = 16, task = "detection"}):split {val = 0.3}
        for _, part in ipairs {train, val} do
            local share = part.labels:mean():item()
            assert.near(0.5, share, 0.15)
        end
    end)
end)

describe("phantoms with boxes", function()
    it("are the pictures of the others, with boxes that have little in common", function()
        local plain = lx.data.phantom {n = 30, size = 64}
        local set = lx.data.phantom {n = 30, size = 64, task = "detection"}
        assert.is_true(lx.equal(plain.images, set.images))
        assert.same({"opacity"}, set.classes)
        local joined = 0
        for i, boxes in ipairs(set.boxes) do
            assert.equal(#boxes > 0, #plain.boxes[i] > 0)
            joined = joined + #plain.boxes[i] - #boxes
            -- each of the plain ones is inside one of them
            for _, box in ipairs(plain.boxes[i]) do
                local inside = false
                for _, around in ipairs(boxes) do
                    inside = inside or around.x <= box.x and around.y <= box.y
                        and box.x + box.w <= around.x + around.w and box.y + box.h <= around.y + around.h
                end
                assert.is_true(inside)
            end
            for k, a in ipairs(boxes) do
                for other = k + 1, #boxes do
                    local b = boxes[other]
                    local w = math.min(a.x + a.w, b.x + b.w) - math.max(a.x, b.x)
                    local h = math.min(a.y + a.h, b.y + b.h) - math.max(a.y, b.y)
                    assert.is_true(w <= 0 or h <= 0 or 4 * w * h < math.min(a.w * a.h, b.w * b.h))
                end
            end
        end
        assert.is_true(joined > 3)
    end)

    it("are written with rows for those that have none", function()
        local folder = work .. "/phantoms"
        assert.equal(9, lx.data.phantom_save(folder, {n = 9, size = 32, task = "detection"}))
        local frame = assert(lx.data.box_frame(folder .. "/boxes.csv"))
        local drawn = lx.data.phantom {n = 9, size = 32, task = "detection"}
        local place = {}
        for i, path in ipairs(frame.path) do place[path:match("[^/]*$")] = i end
        for i, path in ipairs(drawn.paths) do
            local at = place[path:match("[^/]*$")]
            assert.equal(drawn.labels:totable()[i], frame.label[at])
            assert.same(drawn.boxes[i], frame.boxes[at])
        end
    end)
end)
