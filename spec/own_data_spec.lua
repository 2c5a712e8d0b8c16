--- Data of one's own: folders of any names, tables, patients as collections tell them, tensors, many classes and
--- labels.

local core = require "luxel.core"
local lx = require "luxel"
local shell = require "spec.support.shell"

local work

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

local made = 0

-- Makes a folder of images; a path without an extension of images becomes an empty file.
local function folder(...)
    made = made + 1
    local root = ("%s/%d"):format(work, made)
    for i, path in ipairs {...} do
        os.execute(("mkdir -p '%s/%s'"):format(root, path:match("^(.*)/")))
        if path:find("%.png$") then
            assert(core.write_png(root .. "/" .. path, lx.full({1, 9, 7}, i, {dtype = "uint8"})))
        else
            shell.write(root .. "/" .. path, "")
        end
    end
    return root
end

describe("the patient of a file", function()
    local NAMES <const> = {
        {"chest_xray/train/PNEUMONIA/person17_bacteria_56.jpeg", "person17", "Kermany et al."},
        {"person1_virus_11.jpeg", "person1", "Kermany et al."},
        {"IM-0115-0001.jpeg", "IM-0115", "Kermany et al."},
        {"IM-0666-0001-0002.jpeg", "IM-0666", "Kermany et al."},
        {"NORMAL2-IM-0793-0001.jpeg", "IM-0793", "Kermany et al."},
        {"images/00000013_005.png", "NIH-00000013", "ChestX-ray14"},
        {"00030805_000.jpg", "NIH-00030805", "ChestX-ray14"},
        {"CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg", "CheXpert-patient00001", "CheXpert"},
        {"files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.dcm", "MIMIC-p10000032",
            "MIMIC-CXR"},
        {"p10000032_s50414267.jpg", "MIMIC-p10000032", "MIMIC-CXR"},
        {"216840111366964012283393834152009033102258826_00-059-087.png",
            "PadChest-216840111366964012283393834152009033102258826", "PadChest"},
        {"stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm", "RSNA-0004cfab-14fd-4e49-80ba-63a80b6bddd6",
            "RSNA"},
        {"CHNCXR_0001_0.png", "CHNCXR_0001", "Montgomery and Shenzhen"},
        {"MCUCXR_0104_1.png", "MCUCXR_0104", "Montgomery and Shenzhen"},
        {"xray7.png"}, {"IMG_20200101.jpg"}, {"1.png"}, {"patient1.png"}, {"0001_005.png"}, {"person17.jpeg"},
        {"CHNCXR_0001_2.png"}, {"study1/view1_frontal.jpg"}, {"p10/s50414267/a.jpg"},
    }

    it("is told by the names that collections give", function()
        for _, case in ipairs(NAMES) do
            local patient, source = lx.data.patient(case[1])
            assert.equal(case[2], patient, case[1])
            assert.equal(case[3], source, case[1])
        end
    end)

    it("is told by a DICOM file itself, whatever its name", function()
        local golden = assert(lx.checkpoint.load("spec/golden/dicom.safetensors"))
        local found
        for name in pairs(golden) do found = found or name:match("^(.*identifiers.*)/file$") end
        local bytes
        if found then bytes = core.to_string(golden[found .. "/file"]) end
        if not bytes then return end
        local path = shell.write(work .. "/IM-0115-0001.dcm", bytes)
        local info = assert(lx.vision.probe(path, {identifiers = true}))
        local patient, source = lx.data.patient(path)
        assert.equal("DICOM-" .. info.patient_id, patient)
        assert.equal("DICOM", source)
    end)
end)

describe("class folders", function()
    local function classes_of(...)
        local frame, message = lx.data.image_folder(folder(...))
        return frame and table.concat(frame.classes, " ") or message, frame
    end

    it("tell the disease by the name of the other one", function()
        for _, pair in ipairs {
            {"healthy", "disease"}, {"negative", "COVID"}, {"no_finding", "finding"}, {"normal", "tb"}, {"NORMAL",
                "PNEUMONIA"},
            {"Normal", "Infected"}, {"uninfected", "infected"}, {"0", "1"}, {"No Finding", "Effusion"}, {"control",
                "case"},
            {"non-covid", "covid"}, {"without_tb", "tb"},
        } do
            assert.equal(pair[1] .. " " .. pair[2], (classes_of(pair[1] .. "/a.png", pair[2] .. "/b.png")))
        end
    end)

    it("have to be told where names do not", function()
        local message = classes_of("left/a.png", "right/b.png")
        assert.matches("the classes left and right, and their names do not tell which of them is the disease; say "
            .. "it with "
            .. "positive = 'left' or positive = 'right'", message, 1, true)
        local root = folder("left/a.png", "right/b.png")
        assert.same({"right", "left"}, assert(lx.data.image_folder(root, {positive = "left"})).classes)
        assert.same({"left", "right"}, assert(lx.data.image_folder(root, {positive = "Right"})).classes)
        assert.same({"right", "left"}, assert(lx.data.image_folder(root,
            {classes = {negative = "right", positive = "left"}})).classes)
        local none, problem, code = lx.data.image_folder(root, {positive = "rigth"})
        assert.is_nil(none)
        assert.matches("there is no folder 'rigth' .*did you mean 'right'.*left, right", problem)
        assert.equal("format", code)
    end)

    it("may be more than two, normal ones first", function()
        local words, frame = classes_of("viral/a.png", "normal/b.png", "bacterial/c.png", "bacterial/d.png")
        assert.equal("normal bacterial viral", words)
        assert.equal("classes", frame.task)
        assert.same({0, 1, 1, 2}, frame.label)
        assert.matches("bacterial +2 +50.0%%", tostring(frame))
        assert.matches("which of two classes, and there are 3", select(2, lx.data.image_folder(frame.root, {
            positive = "viral"})), 1, true)
        -- two of them
        local two = assert(lx.data.image_folder(frame.root, {classes = {negative = "normal", positive = "viral"}}))
        assert.equal("binary", two.task)
        assert.equal(2, #two)
        assert.matches("left out: 1 a folder of no class that was asked for (bacterial)", tostring(two), 1, true)
    end)

    it("are found below parts of many names", function()
        for names, part in pairs {
            [{"Training", "Testing", "Validation"}] = "train", [{"train", "test", "valid"}] = "train",
            [{"TRAIN", "Test", "dev"}] = "train",
        } do
            local paths = {}
            for _, name in ipairs(names) do
                paths[#paths + 1] = name .. "/normal/a.png"
                paths[#paths + 1] = name .. "/sick/b.png"
            end
            local frame = assert(lx.data.image_folder(folder(table.unpack(paths))))
            assert.equal(6, #frame)
            assert.equal(2, #frame:in_part(part))
            assert.equal(2, #frame:in_part("val"))
            assert.equal(2, #frame:in_part("test"))
        end
    end)

    it("may have folders of masks inside or beside them", function()
        local frame = assert(lx.data.image_folder(folder("COVID/images/a.png", "COVID/masks/a.png",
            "Normal/images/b.png",
            "Normal/masks/b.png", "masks/c.png")))
        assert.equal(2, #frame)
        assert.same({"Normal", "COVID"}, frame.classes)
        for _, path in ipairs(frame.path) do assert.is_nil(path:find("masks")) end
        assert.matches("2 a folder of masks (masks, masks)", tostring(frame), 1, true)
    end)

    it("count and name what is left out", function()
        local root = folder("normal/a.png", "normal/b.webp", "normal/notes.txt", "normal/Thumbs.db", "normal/x.doc",
            "tb/c.png")
        os.execute(("ln -s ../normal '%s/tb/link'"):format(root))
        local frame = assert(lx.data.image_folder(root))
        assert.equal(5, #frame.left_out)
        local text = tostring(frame)
        assert.matches("4 no image by its name (Thumbs.db, b.webp, notes.txt, ...)", text, 1, true)
        assert.matches("1 a link to a folder (link)", text, 1, true)
        frame = assert(lx.data.image_folder(folder("train/normal/a.png", "train/tb/b.png", "train/c.png", "./d.png",
            "normal/e.png", "notes/f.txt", "./g.txt")))
        assert.equal(2, #frame)
        text = tostring(frame)
        assert.matches("2 a folder beside those of train, val and test (normal, notes)", text, 1, true)
        assert.matches("2 an image in no class folder (d.png, c.png)", text, 1, true)
        assert.matches("1 an image in no class folder (c.png)", tostring(assert(lx.data.image_folder(folder(
            "normal/a.png", "tb/b.png", "./c.png")))), 1, true)
    end)

    it("say loudly where nothing tells the patients", function()
        local frame = assert(lx.data.image_folder(folder("normal/1.png", "normal/2.png", "tb/3.png")))
        assert.equal(3, frame:unknown_patients())
        assert.matches("! nothing tells the patient of any image: they are split by image", tostring(frame), 1, true)
        local some = assert(lx.data.image_folder(folder("normal/00000001_000.png", "normal/2.png", "tb/3.png")))
        assert.equal(2, some:unknown_patients())
        assert.matches("patients by ChestX-ray14 (1 of 3 images)", tostring(some), 1, true)
        assert.matches("! nothing tells the patient of 2 images", tostring(some), 1, true)
    end)

    it("are no datasets, and say how one is made of them", function()
        local frame = assert(lx.data.frame({{path = "a.png", label = "normal"}, {path = "b.png", label = "tb"}}, {
            label = "label",
        }))
        assert.error_matches(function() lx.data.batches(frame) end,
            "dataset: expected a dataset, got a Frame (frame:load() or frame:open() makes a dataset)", 1, true)
    end)

    it("count the images without a label", function()
        local rows = {{path = "a.png", label = "normal"}, {path = "b.png", label = "tb"}, {path = "c.png"}}
        local text = tostring(assert(lx.data.frame(rows, {label = "label"})))
        assert.matches("normal +1 +33.3%%", text)
        assert.matches("\n  without a label: 1, which count for nothing", text)
        rows[3].label = "tb"
        assert.not_matches("without a label", tostring(assert(lx.data.frame(rows, {label = "label"}))))
    end)

    it("propose a column that may hold the patients", function()
        for name, column in pairs {PatientID = "PatientID", patient_id = "patient_id", ["Subject ID"] = "Subject ID"} do
            local text = ("path,finding,%s\na.png,normal,1\nb.png,tb,2\n"):format(name)
            local path = shell.write(work .. "/columns.csv", text)
            local frame = assert(lx.data.frame(path, {label = "finding"}))
            local proposal = ("say it with patient = '%s', if that column holds it"):format(column)
            assert.matches(proposal, tostring(frame), 1, true)
            assert.matches(proposal, tostring(frame:shuffle()), 1, true)
            frame = assert(lx.data.frame(path, {label = "finding", patient = column}))
            assert.is_nil(tostring(frame):find("split by image", 1, true))
        end
        local rows = {{path = "a.png", label = "normal", subject_id = 1}, {path = "b.png", label = "tb"}}
        assert.matches("patient = 'subject_id', if", tostring(lx.data.frame(rows, {label = "label"})), 1, true)
        rows[1].subject_id, rows[1].patience = nil, 1
        assert.matches("say it with patient = PATTERN or a column", tostring(lx.data.frame(rows, {label = "label"})), 1,
            true)
    end)

    it("take a pattern for patients", function()
        local root = folder("normal/p1-a.png", "normal/p1-b.png", "tb/p2-a.png", "tb/other.png")
        local frame = assert(lx.data.image_folder(root, {patient = "/(p%d+)%-"}))
        assert.same({"p1", "p1", frame.path[3], "p2"}, {table.unpack(frame.group)})
        assert.equal(1, frame:unknown_patients())
        assert.matches("patients by the pattern /(p%d+)%- (3 of 4 images)", tostring(frame), 1, true)
        assert.error_matches(function() lx.data.image_folder(root, {patient = "(p"}) end,
            "image_folder: options: option 'patient': .*is no Lua pattern: ")
    end)

    it("keep the names of ChestX-ray14 on one side of a split", function()
        local paths = {}
        for patient = 1, 36 do
            for view = 0, 2 do
                paths[#paths + 1] = ("%s/%08d_%03d.png"):format(patient % 2 == 0 and "normal" or "tb", patient, view)
            end
        end
        local train, val = assert(lx.data.image_folder(folder(table.unpack(paths)))):split {val = 0.3}
        local seen = {}
        for i = 1, #train do seen[train[i].group] = true end
        assert.is_true(#val >= 24)
        for i = 1, #val do assert.is_nil(seen[val[i].group]) end
    end)
end)

describe("lx.data.frame", function()
    local function refused(pattern, ...)
        local frame, message, code = lx.data.frame(...)
        assert.is_nil(frame)
        assert.matches(pattern, message, 1, true)
        assert.equal("format", code)
    end

    local TABLE <const> = 'image,finding,patient,split\r\na.png,normal,1,train\r\n"b, c.png",tb,2,Validation\r\n'
        .. '"d ""e"".png",tb,2,\r\n'

    it("reads a CSV file of classes, patients and parts", function()
        local frame = assert(lx.data.frame(shell.write(work .. "/list.csv", TABLE), {path = "image", label = "finding",
            part = "split"}))
        assert.equal("binary", frame.task)
        assert.same({"normal", "tb"}, frame.classes)
        assert.same({0, 1, 1}, frame.label)
        assert.same({work .. "/a.png", work .. "/b, c.png", work .. '/d "e".png'}, frame.path)
        assert.same({"1", "2", "2"}, frame.group)
        assert.same({"train", "val", false}, frame.part)
        assert.matches("patients by column 'patient' (3 of 3 images)", tostring(frame), 1, true)
        local other = assert(lx.data.frame(work .. "/list.csv", {path = "image", label = "finding", part = "split",
            root = "x/"}))
        assert.equal("x/a.png", other.path[1])
    end)

    it("reads labels with missing and doubtful ones", function()
        local path = shell.write(work .. "/labels.csv", "path;A;B\n1.png;1;\n2.png;0;-1\n3.png;1.0;nan\n")
        local frame = assert(lx.data.frame(path, {labels = {"A", "B"}, uncertain = "ones"}))
        assert.equal("labels", frame.task)
        assert.same({1, 0, 1}, {frame.label[1][1], frame.label[2][1], frame.label[3][1]})
        assert.is_true(frame.label[1][2] ~= frame.label[1][2] and frame.label[3][2] ~= frame.label[3][2])
        assert.equal(1, frame.label[2][2])
        assert.equal(0, assert(lx.data.frame(path, {labels = {"A", "B"}, uncertain = "zeros"})).label[2][2])
        local ignored = assert(lx.data.frame(path, {labels = {"A", "B"}, uncertain = "ignore"})).label[2][2]
        assert.is_true(ignored ~= ignored)
        refused("row 2: B: it is -1, which marks doubt; say with uncertain = 'ones', 'zeros' or 'ignore'", path, {
            labels = {"A", "B"}})
        assert.matches("B +1 +33.3%% .* 2$", tostring(frame):match("[^\n]*B +1[^\n]*"))
    end)

    it("takes rows and functions of rows", function()
        local rows = {{path = "/x/1.png", label = "sick"}, {path = "/x/2.png", label = "healthy"}, {path = "/x/3.png"}}
        local frame = assert(lx.data.frame(rows, {label = "label"}))
        assert.same({"healthy", "sick"}, frame.classes)
        assert.is_true(frame.label[3] ~= frame.label[3])
        local i = 0
        local same = assert(lx.data.frame(function()
            i = i + 1
            return rows[i]
        end, {label = "label"}))
        assert.same(frame.path, same.path)
        local many = assert(lx.data.frame({{path = "a", label = 2}, {path = "b", label = 0}, {path = "c", label = 10}},
            {label = "label"}))
        assert.same({"0", "2", "10"}, many.classes)
        assert.same({1, 0, 2}, many.label)
        local named = assert(lx.data.frame({{path = "a", label = "z"}, {path = "b", label = "y"}},
            {label = "label", classes = {"x", "y", "z"}}))
        assert.equal("classes", named.task)
        assert.same({2, 1}, named.label)
    end)

    it("gathers the boxes of an image", function()
        local path = shell.write(work .. "/boxes.csv",
            "path,label,x,y,w,h,kind\na.png,sick,1,2,3,4,mass\na.png,sick,5,6,7,8,nodule\n"
            .. "b.png,healthy,,,,,\n")
        local frame = assert(lx.data.frame(path, {label = "label", boxes = {"x", "y", "w", "h"}, box_label = "kind"}))
        assert.equal(2, #frame)
        assert.same({{x = 1, y = 2, w = 3, h = 4, label = "mass"}, {x = 5, y = 6, w = 7, h = 8, label = "nodule"}},
            frame.boxes[1])
        assert.same({}, frame.boxes[2])
        assert.same(frame.boxes[1], frame[1].boxes)
        refused("row 1: its box lacks a number", {{path = "a", label = "x", x = 1}}, {label = "label", boxes = {"x",
            "y", "w", "h"}})
    end)

    it("hears what each row of an image with several boxes says", function()
        local function row(path, label, patient)
            return {path = path, label = label, patient = patient, x = 1, y = 2, w = 3, h = 4}
        end
        local options = {label = "label", boxes = {"x", "y", "w", "h"}}
        local frame = assert(lx.data.frame({row("a"), row("a", "sick", "p1"), row("a", "sick"), row("b", "normal")},
            options))
        assert.same({1, 0}, frame.label)
        assert.equal("p1", frame.group[1])
        assert.equal(3, #frame.boxes[1])
        refused("row 3: column 'label': \"nodule\", and \"mass\" in a row before, for the same image, a; what a box "
            .. "shows is box_label = COLUMN",
            {row("a"), row("a", "mass"), row("a", "nodule"), row("b", "normal")}, options)
        refused("row 2: column 'patient': \"p2\", and \"p1\"", {row("a", "sick", "p1"), row("a", "sick", "p2")},
            options)
        refused("row 2: column 'path': expected the path of an image, got nil", {row("a", "sick"), row(nil, "sick")},
            options)
        for _, sides in ipairs {{"x", "y", "w"}, {"x", "y", "w", "h", "z"}} do
            refused(("option 'boxes': expected four columns, of x, y, w and h, got %d"):format(#sides),
                {row("a", "sick")}, {label = "label", boxes = sides})
        end
    end)

    it("knows the patients and parts of rows of which the first has none", function()
        local frame = assert(lx.data.frame({
            {path = "a", label = "sick"}, {path = "b", label = "normal", patient = "p1", part = "val"},
            {path = "c", label = "sick", patient = "p1", part = "val"},
        }, {label = "label"}))
        assert.same({"a", "p1", "p1"}, frame.group)
        assert.same({false, "val", "val"}, frame.part)
    end)

    it("refuses options that would not be heard", function()
        local rows = {{path = "a", label = "sick", A = 1}, {path = "b", label = "normal", A = 0}}
        local cases <const> = {
            {{label = "label", uncertain = "ones"}, "option 'uncertain': it says nothing without option 'labels'"},
            {{labels = {"A"}, positive = "A"}, "option 'positive': it says nothing without option 'label'"},
            {{label = "label", box_label = "A"}, "option 'box_label': it says nothing without option 'boxes'"},
            {{labels = {"A"}, classes = {"B"}}, "option 'classes': several labels have the names of their columns"},
            {{labels = {"A", "A"}}, "option 'labels': 'A' comes twice"},
            {{labels = {}}, "option 'labels': expected one column or more"},
            {{label = "label", classes = {"sick", "sick", "normal"}}, "option 'classes': 'sick' comes twice"},
        }
        for _, case in ipairs(cases) do refused(case[2], rows, case[1]) end
    end)

    it("says which row of a program is none", function()
        local n = 0
        refused("source: expected a table for each row that the function gives, got \"b.png\" for row 2", function()
            n = n + 1
            return ({{path = "a.png", label = "x"}, "b.png"})[n]
        end, {label = "label"})
        refused("row 1: label: expected the name or the number of a class, got a table", {{path = "a", label = {1}}},
            {label = "label"})
    end)

    it("reads the line with the separator that Excel begins with", function()
        for _, first in ipairs {"sep=;\r\n", "\239\187\191sep=;\n", "\"SEP=;\"\r\n"} do
            local path = shell.write(work .. "/excel.csv", first .. "path;label\r\na,b.png;normal\r\nb.png;tb\r\n")
            assert.same({"a,b.png", "b.png"}, assert(lx.data.frame(path, {label = "label", root = ""})).path)
            shell.write(path, first .. "path;label\r\na.png\r\n")
            refused("row 3 has 1 cells, and the first line has 2 columns", path, {label = "label"})
        end
        refused("line 2: there are no columns", shell.write(work .. "/excel.csv", "sep=;\n"), {label = "label"})
    end)

    it("brings boxes along to the size of the images", function()
        folder("a.png/x.png")
        assert(core.write_png(work .. "/box.png", lx.zeros({1, 20, 40}, {dtype = "uint8"})))
        assert(core.write_png(work .. "/none.png", lx.zeros({1, 20, 40}, {dtype = "uint8"})))
        local frame = assert(lx.data.frame({
            {path = work .. "/box.png", label = "sick", x = 10, y = 5, w = 20, h = 10},
            {path = work .. "/none.png", label = "normal"},
        }, {label = "label", boxes = {"x", "y", "w", "h"}}))
        local dataset = assert(frame:load {size = 80})
        assert.same({{x = 20, y = 20, w = 40, h = 40}}, dataset.boxes[1])
        assert.same({{x = 10, y = 5, w = 20, h = 10}}, assert(frame:open()).boxes[1])
    end)

    it("shows classes that differ in letter case or spaces alone", function()
        local function shown(...)
            local rows = {}
            for i, label in ipairs {...} do rows[i] = {path = i .. ".png", label = label, patient = i} end
            return tostring(assert(lx.data.frame(rows, {label = "label"})))
        end
        assert.matches("! the classes 'T B' and 'tb' differ in letter case or spaces alone",
            shown("normal", "tb ", "T B"))
        assert.not_matches("differ in letter case", shown("normal", "tb", "covid"))
    end)

    it("prints no patients of a part without images", function()
        local rows = {}
        for i = 1, 8 do rows[i] = {path = i .. ".png", label = i % 2 == 0 and "tb" or "normal", patient = i} end
        local train, val, test = assert(lx.data.frame(rows, {label = "label"})):split {val = 0.5}
        assert.matches("patients by column 'patient' %(4 of 4 images%)", tostring(train))
        assert.equal(4, #val)
        assert.equal(0, #test)
        assert.not_matches("patients by", tostring(test))
    end)

    it("takes cells as spreadsheets and programs write them", function()
        local path = shell.write(work .. "/written.csv", "path,label,a\na.png, 0.0,True\nb.png,1.0 ,FALSE\nc.png,,\n")
        local frame = assert(lx.data.frame(path, {label = "label"}))
        assert.same({"0", "1"}, frame.classes)
        assert.same({0, 1}, {frame.label[1], frame.label[2]})
        local labels = assert(lx.data.frame(path, {labels = {"a"}})).label
        assert.same({1, 0}, {labels[1][1], labels[2][1]})
        assert.not_equal(labels[3][1], labels[3][1])
        shell.write(path, "path,label,part\na.png,no,Train\nb.png,yes,test\nc.png, no ,val\na.png,no,training\n")
        frame = assert(lx.data.frame(path, {label = "label"}))
        assert.same({"no", "yes"}, frame.classes)
        assert.equal(3, #frame)
        local named = assert(lx.data.frame({{path = "a", label = " x"}, {path = "b", label = "1.0"}}, {label = "label",
            classes = {" x", "1.0"}, positive = "1.0"}))
        assert.same({0, 1}, named.label)
    end)

    it("counts an image once, however many rows of a file say the same of it", function()
        local path = shell.write(work .. "/again.csv", "path,label,patient,part\na.png,no,p,train\nb.png,yes,q,\n"
            .. "b.png,yes,q,train\nb.png,,,\na.png,no,p,train\n")
        local frame = assert(lx.data.frame(path, {label = "label"}))
        -- a row without a label counts for nothing
        assert.same({work .. "/a.png", work .. "/b.png", work .. "/b.png"}, frame.path)
        assert.same({"p", "q"}, {frame.group[1], frame.group[2]})
        assert.matches("left out: 2 a row of an image that is there already (b.png, a.png)", tostring(frame), 1, true)
        shell.write(path, "path,a,b\nx.png,1,\ny.png,0,1\nx.png,1,\nx.png,1,0\n")
        local labels = assert(lx.data.frame(path, {labels = {"a", "b"}}))
        assert.equal(3, #labels)
        assert.equal(0, labels.label[3][2])
        shell.write(path, "path,label,patient,part\na.png,no,p,train\nb.png,yes,q,\na.png,no,r,train\n")
        refused("rows 1 and 3: " .. work .. "/a.png is of patient p, and of r", path, {label = "label"})
        shell.write(path, "path,label,patient,part\na.png,no,p,train\nb.png,yes,q,\na.png,no,p,test\n")
        refused("a.png is of part train, and of test", path, {label = "label"})
        shell.write(path, "path,label,label\na.png,no,yes\nb.png,yes,no\n")
        refused("line 1: the column 'label' comes twice", path, {label = "label"})
    end)

    it("says what is wrong with a table", function()
        local path = shell.write(work .. "/bad.csv", "image,label\na.png,x\nb.png\n")
        refused("row 3 has 1 cells, and the first line has 2 columns", path, {path = "image", label = "label"})
        shell.write(path, 'image,label\na.png,"x\n')
        refused("a quote is not closed", path, {path = "image", label = "label"})
        shell.write(path, "image,label\na.png,x\nb.png,y\n")
        refused("there is no column 'path'", path, {label = "label"})
        refused("there is no column 'lable' (did you mean 'label'?); the columns are image, label", path,
            {path = "image", label = "lable"})
        refused("nothing tells which of them is the disease", path, {path = "image", label = "label"})
        refused("say label = COLUMN", path, {path = "image"})
        refused("exclude each other", path, {path = "image", label = "label", labels = {"label"}})
        refused("row 1: label: expected a number, got \"x\"", path, {path = "image", labels = {"label"}})
        shell.write(path, "image,label\na.png,2\n")
        refused("row 1: label: expected 0, 1 or nothing, got \"2\"", path, {path = "image", labels = {"label"}})
        shell.write(path, "image,label\na.png,x\n")
        refused("only the class x", path, {path = "image", label = "label"})
        local image_of = {path = "image", label = "label"}
        refused("only the class tb ('none' stands for a label that is not known)",
            {{image = "a.png", label = "tb"}, {image = "b.png", label = "none"}}, image_of)
        refused("rows 2 and 3: b.png is tb, and normal; an image has one class", {
            {image = "a.png", label = "normal"}, {image = "b.png", label = "tb"}, {image = "b.png", label = "normal"},
        }, image_of)
        assert.equal(4, #assert(lx.data.frame({
            {image = "a.png", label = "normal"}, {image = "b.png", label = "tb"}, {image = "b.png", label = "tb"},
            {image = "b.png"},
        }, image_of)))
        shell.write(path, "image,label\n")
        refused("has no rows", path, {path = "image", label = "label"})
        refused("part: expected train, val or test", {{path = "a", label = "no", part = "west"}, {path = "b",
            label = "yes"}},
            {label = "label"})
        local frame, message, code = lx.data.frame(work .. "/none.csv", {label = "x"})
        assert.is_nil(frame)
        assert.matches("none.csv", message)
        assert.equal("io", code)
    end)
end)

describe("lx.data.dataset", function()
    local images = (lx.rand(6, 1, 8, 8) * 255):byte()

    it("is made of tensors or lists, of each kind of labels", function()
        local binary = lx.data.dataset {images = images, labels = {0, 1, 0, 1, 0 / 0, 1}}
        assert.equal("binary", binary.task)
        assert.same({"negative", "positive"}, binary.classes)
        assert.same({{2, 3}, 1}, {binary:counts()})
        assert.matches("6 images of 8x8, 2 negative and 3 positive, 1 without a label", tostring(binary), 1, true)
        local classes = lx.data.dataset {images = images, labels = lx.tensor {0, 1, 2, 2, 1, 0}, classes = {"a", "b",
            "c"}}
        assert.equal("classes", classes.task)
        local labels = lx.data.dataset {images = images, labels = lx.ones(6, 4), classes = {"a", "b", "c", "d"}}
        assert.equal("labels", labels.task)
        assert.same({{6, 6, 6, 6}, 0}, {labels:counts()})
        local two = lx.data.dataset {images = images, labels = {0, 1, 0, 1, 1, 1}, task = "classes"}
        assert.equal("classes", two.task)
        assert.same({6, 1}, {table.unpack(select(2, lx.data.batches(binary, {batch = 6})()).shape)})
        assert.same({6, 4}, {table.unpack(select(2, lx.data.batches(labels, {batch = 6})()).shape)})
        local _, y, places = lx.data.batches(classes, {batch = 6, shuffle = false})()
        assert.same({1, 2, 3, 3, 2, 1}, y:totable())
        assert.same({1, 2, 3, 4, 5, 6}, places:totable())
        assert.error_matches(function() lx.data.batches(labels, {balanced = true}) end, "several labels")
    end)

    it("is split by patients, each class in its share", function()
        local labels, patients = {}, {}
        for i = 1, 60 do labels[i], patients[i] = i % 3, "p" .. (i // 2) end
        local set = lx.data.dataset {
            images = lx.zeros({60, 1, 4, 4}, {dtype = "uint8"}), labels = labels, patients = patients, classes = {"a",
                "b", "c"},
        }
        local train, val = set:split {val = 0.3}
        local seen = {}
        for _, group in ipairs(train.groups) do seen[group] = true end
        for _, group in ipairs(val.groups) do assert.is_nil(seen[group]) end
        assert.equal(60, #train + #val)
    end)

    it("of too few patients says which function could not split it", function()
        local two = assert(lx.data.dataset {images = images, labels = {0, 1, 0, 1, 0, 1}}):subset {1, 2}
        local train, message, code = two:split()
        assert.same({nil, "Dataset:split: 2 images of too few patients: nothing is left for val", "format"},
            {train, message, code})
    end)

    it("refuses what does not fit together", function()
        local function wrong(changes, pattern)
            local options = {images = images, labels = {0, 1, 0, 1, 0, 1}}
            for key, value in pairs(changes) do options[key] = value end
            assert.error_matches(function() lx.data.dataset(options) end, pattern, 1, true)
        end
        wrong({images = lx.zeros(3, 4)}, "option 'images': expected uint8 or float32 [N,1,H,W]")
        wrong({labels = {0, 1}}, "expected a label for each of 6 images")
        wrong({labels = {0, 1, 2, 0, 1, 0}, classes = {"a", "b"}}, "image 3: expected a class number from 0 to 1, "
            .. "or NaN, got 2")
        wrong({labels = {0, 1, 0.5, 0, 1, 0}}, "image 3: expected a class number")
        wrong({labels = lx.full({6, 2}, 3)}, "expected 0, 1 or NaN")
        wrong({labels = lx.zeros(6, 2), classes = {"a"}}, "do not make the task 'labels'")
        wrong({patients = {1, 2}}, "option 'patients': expected one for each of 6 images, got 2")
        wrong({classes = {"a", "a"}}, "option 'classes': 'a' comes twice")
        wrong({labels = {{0, 1}, {1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}}, "option 'labels': image 2: expected 2 labels, "
            .. "as of the first image, got 1")
        wrong({labels = {0, 1, {1}, 0, 1, 0}}, "option 'labels': image 3: expected one label, as of the first image, "
            .. "got 1")
    end)

    it("knows images by their pixels, whatever files are called and however they are read", function()
        local root = folder("normal/a.png", "normal/b.png", "tb/c.png")
        os.execute(("cp '%s/normal/a.png' '%s/tb/renamed.png'"):format(root, root))
        local frame = assert(lx.data.image_folder(root))
        local loaded = assert(frame:load {size = 16}):hashes()
        assert.equal(loaded[1], loaded[4])
        assert.not_equal(loaded[1], loaded[2])
        local opened = assert(frame:open {size = 16})
        assert.same({0, 0, 0, 0}, opened:hashes())
        for _ in lx.data.batches(opened, {batch = 4}) do end -- luacheck: ignore
        assert.same(loaded, opened:hashes())
        local cached = assert(frame:open {size = 16, cache = root .. "/images.cache", reduce = 5})
        assert.same(loaded, cached:hashes())
        local again = assert(frame:open {size = 16, cache = root .. "/images.cache", reduce = 5})
        assert.same(loaded, again:subset({4, 2, 1}).pixels and {} or {again:subset({1, 2, 3, 4}):hashes()} and loaded)
        assert.same({loaded[4], loaded[2]}, again:subset({4, 2}):hashes())
    end)

    it("of deep files has the same hashes as bytes and as levels", function()
        local golden = assert(lx.checkpoint.load("spec/golden/formats.safetensors"))
        local root = folder("normal/x/a.png", "tb/x/b.png")
        for i, name in ipairs {"png: 16 bits", "png: 12 bits at the lower end of 16", "dicom: padding",
            "tiff: signed"} do
            local extension = name:match("^(%a+)"):gsub("dicom", "dcm"):gsub("tiff", "tif")
            shell.write(("%s/tb/x/deep%d.%s"):format(root, i, extension), core.to_string(golden[name .. "/file"]))
        end
        local frame = assert(lx.data.image_folder(root))
        local opened = assert(frame:open {size = 16})
        for _ in lx.data.batches(opened, {batch = 8}) do end -- luacheck: ignore
        assert.same(assert(frame:load {size = 16}):hashes(), opened:hashes())
    end)
end)

describe("what luxel train validates on", function()
    local parts = require("luxel.command.train").parts

    -- A frame of images in parts, {part, patient} each so many times.
    local function frame_of(...)
        local rows = {}
        for _, of in ipairs {...} do
            for k = 1, of[3] do
                rows[#rows + 1] = {
                    path = ("%d.png"):format(#rows + 1), label = k % 2 == 0 and "no" or "yes", part = of[1],
                    patient = of[2] .. k,
                }
            end
        end
        return assert(lx.data.frame(rows, {label = "label"}))
    end

    -- What is printed, and the sizes of the frames.
    local function sizes(frame)
        local said, print_of = {}, _G.print
        _G.print = function(text) said[#said + 1] = text end
        local ok, rest, train, val = pcall(parts, {val = 0.2, seed = 1}, frame)
        _G.print = print_of
        assert(ok, rest)
        return {#rest, #train, #val}, table.concat(said), train, val
    end

    it("are its own images for that, where they are enough and of other patients", function()
        local found, said = sizes(frame_of({"train", "a", 50}, {"", "c", 10}, {"val", "b", 100}, {"test", "d", 5}))
        assert.same({160, 60, 100}, found) -- what is in no part is for training
        assert.equal("", said)
    end)

    it("are other patients than those of the training", function()
        local found, said, train, val = sizes(frame_of({"train", "a", 100}, {"val", "a", 110}))
        assert.matches("val/ has 100 patients who have images in train/ too; validating on 20%", said, 1, true)
        assert.equal(210, found[2] + found[3])
        local known = {}
        for _, group in ipairs(train.group) do known[group] = true end
        for _, group in ipairs(val.group) do assert.is_nil(known[group]) end
        said = select(2, sizes(frame_of({"train", "a", 50}, {"val", "b", 20})))
        assert.matches("val/ has only 20 images", said, 1, true)
        said = select(2, sizes(frame_of({"val", "b", 120})))
        assert.matches("val/ has all of the images", said, 1, true)
    end)
end)

describe("what a model was not trained on", function()
    it("still tells which files could not be read", function()
        local root = folder("normal/a.png", "normal/b.png", "tb/c.png", "tb/damaged.jpg")
        local dataset = assert(assert(lx.data.image_folder(root)):load {size = 16})
        assert.equal(1, #dataset.failed)
        local known = require("luxel.data.seen").describe(dataset:subset {1})
        local rest, left_out = lx.data.unseen(dataset, known)
        assert.equal(1, left_out.pixels)
        assert.equal(2, #rest)
        assert.matches("damaged", rest.failed[1].path)
    end)
end)

describe("the options of commands that say what images are", function()
    local options = require "luxel.command.options"

    -- Why the frame of such options is refused.
    local function refusal(changes)
        local all = {path = "path", shows = "mask", leave_out = {}}
        for name, value in pairs(changes) do all[name] = value end
        local ok, problem = pcall(options.frame, all)
        assert.is_false(ok)
        assert.equal("luxel.command.End", getmetatable(problem).__name)
        return problem.message
    end

    it("are refused where they could not be heard", function()
        local root = folder("NORMAL/a.png", "PNEUMONIA/b.png")
        for name, value in pairs {
            label = "x", labels = "x,y", path = "file", root = work, leave_out = {"a=b"}, uncertain = "ones",
        } do
            assert.matches("^%-%-" .. name:gsub("_", "%%-") .. " is for the rows of a CSV file",
                refusal {data = root, [name] = value})
        end
        assert.matches("^%-%-shows is for %-%-masks", refusal {data = root, shows = "lung"})
        assert.matches("^%-%-positive is for labels", refusal {data = root, masks = root, positive = "x"})
        shell.write(root .. "/t.csv", "path,label,a,b\nNORMAL/a.png,x,0,1\nPNEUMONIA/b.png,y,1,0\n")
        local csv = root .. "/t.csv"
        assert.matches("^%-%-positive is for one class an image", refusal {data = csv, labels = "a,b", positive = "a"})
        assert.matches("^%-%-label is for one class an image", refusal {data = csv, labels = "a,b", label = "label"})
        assert.matches("^%-%-uncertain is for %-%-labels", refusal {
            data = csv, label = "label", uncertain = "zeros", positive = "y",
        })
    end)

    it("are refused where there are no images that they could say something of", function()
        local ok, problem = pcall(options.check_without_data, {path = "path", shows = "mask", leave_out = {"a=b"}})
        assert.is_false(ok)
        assert.equal("--leave-out says more of --data, which is missing", problem.message)
        options.check_without_data {path = "path", shows = "mask", leave_out = {}}
    end)

    it("must not call the disease what the model calls the other class", function()
        local model = {task = "binary", metadata = {classes = {"NORMAL", "INFECTED"}, folders = {"bacteria", "virus"}}}
        local function frame(positive)
            return assert(lx.data.image_folder(folder("Bacteria/a.png", "Virus/b.png"), {positive = positive}))
        end
        options.check_classes(model, frame "Virus")
        options.check_classes(model, assert(lx.data.image_folder(folder("normal/a.png", "tb/b.png"))))
        local ok, problem = pcall(options.check_classes, model, frame "Bacteria")
        assert.is_false(ok)
        assert.matches("the disease of the model is virus, and of the images Bacteria", problem.message)
    end)

    it("tell a pattern that is none in a line", function()
        local root = folder("NORMAL/a.png", "PNEUMONIA/b.png")
        assert.equal('--patient: "(a" is no Lua pattern: unfinished capture', refusal {data = root, patient = "(a"})
    end)
end)
