--- What the parts of `luxel detect` share: the options that say which boxes, and reading them.

local lx = require "luxel"
local options = require "luxel.command.options"

local boxes = {}

--- Adds the options that say what the boxes are.
function boxes.add_data(parser)
    parser:option("--data", "Boxes: a CSV file (image, x, y, w, h, label), COCO's JSON, RSNA's CSV, or a folder of "
        .. "darknet's or Pascal VOC's files (default: drawn phantoms).")
    parser:option("--images", "Folder with the images, also below (default: that of --data).")
    parser:option("--format", "Of --data, where its name does not tell."):choices {
        "csv", "darknet", "coco", "voc", "rsna",
    }
    parser:option("--classes", "Names of the classes in order: A,B,C (default: those of the file, or those found).")
    parser:option("--one-class", "All boxes are of this one class.")
    parser:option("--unlisted", "What images are that --data does not mention: of unknown status, which count for "
        .. "nothing, or known to have no object."):choices({"unknown", "negative"}):default "unknown"
    parser:option("--negatives", "File with the name of an image in each line that is known to have no object.")
    parser:option("--patient", "Lua pattern whose capture in a path is the patient; default: DICOM's Patient ID, and "
        .. "the names of well-known collections.")
end

-- The lines of a file that are not empty.
local function lines_of(path)
    local file, message = io.open(path)
    if not file then options.fail("--negatives: " .. message) end
    local list = {}
    for line in file:lines() do
        line = line:match("^%s*(.-)%s*$")
        if line ~= "" then list[#list + 1] = line end
    end
    file:close()
    return list
end

local function split(text)
    local list = {}
    for name in text:gmatch("[^,]+") do list[#list + 1] = name end
    return list
end

--- Ends the command where options say more of data that there is none of.
function boxes.check(args)
    for _, name in ipairs {"images", "format", "classes", "one_class", "negatives", "patient"} do
        if args[name] and not args.data then
            options.fail(("--%s says more of --data, which is missing"):format((name:gsub("_", "-"))))
        end
    end
    if args.classes and args.one_class then options.fail("--classes and --one-class exclude each other") end
end

--- The frame that the command line describes, without images of which nothing is known; these are told.
---@param args table
---@param classes string[]? those of a model, where the command line says none
---@return luxel.Frame
function boxes.frame(args, classes)
    local frame = options.must(lx.data.box_frame(args.data, {
        format = args.format, images = args.images, classes = args.classes and split(args.classes)
            or not args.one_class and classes or nil,
        one_class = args.one_class, unlisted = args.unlisted, patient = args.patient,
        negatives = args.negatives and lines_of(args.negatives) or nil,
    }))
    print(frame)
    local known = frame:filter(function(row) return row.label == row.label end)
    if #known < #frame then
        io.stderr:write(("[WARN] left out: %d images of which --data says nothing (--unlisted negative takes them for "
            .. "images without objects)\n"):format(#frame - #known))
    end
    return known
end

--- How many images have boxes, have none, and how many boxes there are, in words.
---@param dataset luxel.Dataset
---@return string
function boxes.words(dataset)
    local counts, with = dataset:counts(), 0
    for _, label in ipairs(dataset.labels:totable()) do with = with + (label == 1 and 1 or 0) end
    local names = {}
    for k, name in ipairs(dataset.classes) do names[k] = ("%d %s"):format(counts[k], name) end
    return ("%d images: %s in %d, nothing in %d"):format(#dataset, table.concat(names, ", "), with, #dataset - with)
end

return boxes
