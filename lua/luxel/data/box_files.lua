--- Boxes of images, from files of others and into them: tables (CSV), darknet's text files, COCO's JSON, Pascal VOC's
--- XML, and the table of RSNA's challenge of 2018.
--
-- An image of a file that says of it that there is nothing is negative: 0 is the label of a frame then, 1 that of an
-- image with boxes. Of an image that a file does not mention nothing is known, unless the caller says that the file
-- lists all that there is: its label is NaN, and it counts for nothing, neither in training nor in figures.

local args = require "luxel.args"
local core = require "luxel.core"
local csv = require "luxel.io.csv"
local json = require "luxel.json"
local lfs = require "lfs"
local make_folder = require "luxel.make_folder"
local new_frame = require "luxel.data.frame"
local patients = require "luxel.data.patients"
local voc = require "luxel.io.voc"

local box_files = {}

local function refuse(form, ...) error({luxel = "box_frame: " .. form:format(...), code = "format"}, 0) end

local function fail_io(form, ...) error({luxel = "box_frame: " .. form:format(...), code = "io"}, 0) end

local function read_file(path)
    local file, message = io.open(path, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    if not text then fail_io("%s", message or path .. ": it cannot be read") end
    return text
end

local function is_folder(path) return lfs.attributes(path, "mode") == "directory" end

local function folder_of(path) return path:match("^(.*)/[^/]*$") or "." end

local EXTENSIONS <const> = {}
for _, format in ipairs(core.image_formats()) do
    for _, extension in ipairs(format.extensions) do EXTENSIONS[extension] = true end
end

-- The name of an image without folders and its extension; other dots stay.
local function stem_of(path)
    local name = path:match("[^/]*$")
    local stem, extension = name:match("^(.+)%.(%w+)$")
    return extension and EXTENSIONS[extension:lower()] and stem or name
end

-- ---- images -----------------------------------------------------------------------------------------------------

-- The names of a folder in order, without hidden ones.
local function names_in(folder)
    local ok, iterate, state = pcall(lfs.dir, folder)
    if not ok then fail_io("cannot read the folder %s", folder) end
    local names = {}
    for name in iterate, state do
        if name:sub(1, 1) ~= "." then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

local function list_images(root, below, out)
    for _, name in ipairs(names_in(root .. below)) do
        local inner = below .. "/" .. name
        local extension = name:match("%.(%w+)$")
        if is_folder(root .. inner) then
            if lfs.symlinkattributes(root .. inner, "mode") ~= "link" then list_images(root, inner, out) end
        elseif extension and EXTENSIONS[extension:lower()] then
            out[#out + 1] = inner:sub(2)
        end
    end
    return out
end

-- The images below a folder: by path from there, and by name without extension (false where there are two).
local function index_images(root)
    local index = {root = root, list = list_images(root, "", {}), by_path = {}, by_stem = {}}
    for _, path in ipairs(index.list) do
        local stem = stem_of(path)
        index.by_path[path] = path
        if index.by_stem[stem] == nil then index.by_stem[stem] = path else index.by_stem[stem] = false end
    end
    return index
end

-- The image that a file means by a name: a path, or a name without folders or with another extension, where it is the
-- only one. One whose folder is there is in it.
local function find_image(index, name, where)
    local path = index.by_path[name] or index.by_path[(name:gsub("^%./", ""))]
    if not path then path = index.by_stem[name:match("[^/]*$")] end
    if path == nil then path = index.by_stem[stem_of(name)] end
    local folder = name:gsub("^%./", ""):match("^(.*/)[^/]*$")
    if path and folder and path:sub(1, #folder) ~= folder and is_folder(index.root .. "/" .. folder) then path = nil end
    if path then return path end
    refuse("%s: there is no image '%s' below %s%s", where, name, index.root,
        path == false and ": there are several of that name in its folders" or "")
end

-- ---- boxes ------------------------------------------------------------------------------------------------------

-- Pixels by which a box may reach over an edge, of rounding.
local SLACK <const> = 1

local function number_of(value, where)
    local number = tonumber(value)
    if not number or number - number ~= 0 then
        refuse("%s: expected a finite number, got %s", where, args.describe(value))
    end
    return number
end

-- A box inside its image, where it reaches over an edge by rounding alone.
local function fitted(box, info, where)
    if not (box.w > 0 and box.h > 0) then refuse("%s: the box has the size %g x %g", where, box.w, box.h) end
    local x2, y2 = box.x + box.w, box.y + box.h
    if box.x < -SLACK or box.y < -SLACK or x2 > info.width + SLACK or y2 > info.height + SLACK then
        refuse("%s: the box from (%g, %g) to (%g, %g) is not in the image of %d x %d pixels", where, box.x, box.y, x2,
            y2, info.width, info.height)
    end
    local x1, y1 = math.max(box.x, 0), math.max(box.y, 0)
    x2, y2 = math.min(x2, info.width), math.min(y2, info.height)
    if not (x2 > x1 and y2 > y1) then
        refuse("%s: of the box from (%g, %g) to (%g, %g) nothing is in the image of %d x %d pixels", where, box.x,
            box.y, box.x + box.w, box.y + box.h, info.width, info.height)
    end
    return {x = x1, y = y1, w = x2 - x1, h = y2 - y1, label = box.label, crowd = box.crowd}
end

-- A reading under way. `entries` by image: {boxes, where}, also without any; `order` of the images.
local function new_reading(options, images)
    return {options = options, index = index_images(images), entries = {}, order = {}, infos = {}, classes = {}}
end

local function info_of(reading, path)
    local info = reading.infos[path]
    if not info then
        local message, code
        info, message, code = core.probe_image(reading.index.root .. "/" .. path)
        if not info then error({luxel = "box_frame: " .. message, code = code}, 0) end
        reading.infos[path] = info
    end
    return info
end

-- Notes an image that the file mentions. A name may have folders that are not there; two names that differ in these are
-- two images.
local function mention(reading, name, where)
    local path = find_image(reading.index, name, where)
    local entry, folder = reading.entries[path], name:gsub("^%./", ""):match("^(.*)/")
    if not entry then
        entry = {boxes = {}}
        reading.entries[path] = entry
        reading.order[#reading.order + 1] = path
    end
    if folder and entry.folder and folder ~= entry.folder then
        refuse("%s: '%s' and '%s' would both be the image %s; name the folder above both as that of the images", where,
            entry.name, name, path)
    elseif folder then
        entry.folder, entry.name = folder, name
    end
    return path
end

-- Raises where a file says another size of an image than it has: boxes of it would lie elsewhere. Some programs write 0
-- where they do not know it.
local function check_size(reading, path, width, height, where)
    local info = info_of(reading, path)
    local function differs(said, is) return said and said ~= 0 and said ~= is end
    if differs(width, info.width) or differs(height, info.height) then
        refuse("%s: it is of an image of %g x %g pixels, and %s has %d x %d", where, width or 0, height or 0, path,
            info.width, info.height)
    end
end

local function add_box(reading, path, box, where)
    box.label = reading.options.one_class or box.label
    local list = reading.entries[path].boxes
    list[#list + 1] = fitted(box, info_of(reading, path), where)
    reading.classes[box.label] = true
end

-- ---- formats ----------------------------------------------------------------------------------------------------

local OBJECT <const> = "object" -- where a file has no classes

local function has(columns, name)
    for _, column in ipairs(columns) do
        if column == name then return true end
    end
    return false
end

-- Raises where a table lacks a column that it needs.
local function check_columns(path, columns, needed)
    for _, name in ipairs(needed) do
        if not has(columns, name) then
            refuse("%s: there is no column '%s'; the columns are %s", path, name, table.concat(columns, ", "))
        end
    end
end

local function read_csv(path)
    local rows, columns, code = csv.read(path)
    if not rows then error({luxel = "box_frame: " .. columns, code = code}, 0) end
    return rows, columns
end

-- The box of a row, nil where its cells are empty.
local function box_of(row, names, where)
    local values, empty = {}, 0
    for k, side in ipairs {"x", "y", "w", "h"} do
        local text = row[names[k]]
        if text == "" then empty = empty + 1 else values[side] = number_of(text, where .. ": " .. names[k]) end
    end
    if empty == 4 then return nil end
    if empty > 0 then refuse("%s: its box lacks a number", where) end
    return values
end

local READERS, WRITERS = {}, {}

-- A box a row; a row without one says that there is none.
function READERS.csv(reading, path)
    local rows, columns = read_csv(path)
    local names, labelled, plain = {"x", "y", "w", "h"}, nil, nil
    check_columns(path, columns, {"image", "x", "y", "w", "h"})
    for i, row in ipairs(rows) do
        local where = ("%s: row %d"):format(path, i + 1)
        local image = mention(reading, row.image, where)
        local function side(name)
            return row[name] and row[name] ~= "" and number_of(row[name], where .. ": " .. name) or nil
        end
        check_size(reading, image, side "image_width", side "image_height", where)
        local box = box_of(row, names, where)
        if box then
            local label = row.label ~= "" and row.label or nil
            labelled, plain = labelled or label and where, plain or not label and where
            if labelled and plain and not reading.options.one_class then
                refuse("%s: its box has no label, and others have; one_class takes all boxes for one class", plain)
            end
            box.label = label or OBJECT
            add_box(reading, image, box, where)
        end
    end
end

local RSNA_CLASS <const> = "Lung Opacity"

function READERS.rsna(reading, path)
    local rows, columns = read_csv(path)
    check_columns(path, columns, {"patientId", "x", "y", "width", "height", "Target"})
    for i, row in ipairs(rows) do
        local where = ("%s: row %d"):format(path, i + 1)
        local image, box = mention(reading, row.patientId, where), box_of(row, {"x", "y", "width", "height"}, where)
        if row.Target ~= (box and "1" or "0") then
            refuse("%s: Target is '%s' and there is %s box", where, row.Target, box and "a" or "no")
        end
        if box then
            box.label = RSNA_CLASS
            add_box(reading, image, box, where)
        end
    end
end

-- The names of darknet's classes, a line each.
local NAMES <const> = "classes.txt"

local function names_of_classes(reading, folder)
    if reading.options.classes then return reading.options.classes end
    local file = io.open(folder .. "/" .. NAMES)
    if not file then return {} end
    local names = {}
    for line in file:lines() do
        line = line:match("^%s*(.-)%s*$")
        if line ~= "" then names[#names + 1] = line end
    end
    file:close()
    return names
end

-- A file of an image's name for each: class from 0, centre and size as fractions. An empty one says that there is
-- nothing.
function READERS.darknet(reading, folder)
    local names = names_of_classes(reading, folder)
    for _, name in ipairs(names_in(folder)) do
        if name:find("%.txt$") and name ~= NAMES then
            local path, number = folder .. "/" .. name, 0
            local image = mention(reading, name:sub(1, -5), path)
            local info = info_of(reading, image)
            for line in (read_file(path) .. "\n"):gmatch("([^\n]*)\n") do
                number = number + 1
                local where, values = ("%s: line %d"):format(path, number), {}
                for word in line:gmatch("%S+") do values[#values + 1] = number_of(word, where) end
                if #values == 5 then
                    local class = math.tointeger(values[1])
                    if not class or class < 0 or #names > 0 and class >= #names then
                        refuse("%s: expected a class from 0%s, got %g", where,
                            #names > 0 and " to " .. #names - 1 or "", values[1])
                    end
                    local w, h = values[4] * info.width, values[5] * info.height
                    add_box(reading, image, {
                        x = values[2] * info.width - w / 2, y = values[3] * info.height - h / 2, w = w, h = h,
                        label = names[class + 1] or ("class %d"):format(class),
                    }, where)
                elseif #values > 0 then
                    refuse("%s: expected class, x, y, w, h, got %d numbers", where, #values)
                end
            end
        end
    end
    if #names > 0 and not reading.options.one_class then reading.names = names end
end

-- A field of COCO's file, of a type.
local function field(entry, name, kind, where)
    local value = type(entry) == "table" and entry[name]
    if type(value) ~= kind then
        refuse("%s: '%s': expected a %s, got %s", where, name, kind, args.describe(value))
    end
    return value
end

function READERS.coco(reading, path)
    local ok, root, problem = pcall(json.decode, read_file(path))
    if not ok or not root then refuse("%s: %s", path, tostring(problem or root)) end
    local images, names, order, known = {}, {}, {}, {}
    -- what has an id of its own; of two with one id nobody knows which the annotations mean
    local function add(list, entry, value, where)
        local id = field(entry, "id", "number", where)
        if list[id] then refuse("%s: the id %s comes twice", where, tostring(id)) end
        list[id] = value
    end
    for i, entry in ipairs(field(root, "categories", "table", path)) do
        local where = ("%s: categories, %d"):format(path, i)
        local name = field(entry, "name", "string", where)
        add(names, entry, name, where)
        if known[name] and not reading.options.one_class then refuse("%s: the name '%s' comes twice", where, name) end
        known[name], order[i] = true, name
    end
    for i, entry in ipairs(field(root, "images", "table", path)) do
        local where = ("%s: images, %d"):format(path, i)
        local image = mention(reading, field(entry, "file_name", "string", where), where)
        add(images, entry, image, where)
        check_size(reading, image, tonumber(entry.width), tonumber(entry.height), where)
    end
    for i, entry in ipairs(field(root, "annotations", "table", path)) do
        local where = ("%s: annotations, %d"):format(path, i)
        local id, box = field(entry, "image_id", "number", where), field(entry, "bbox", "table", where)
        local name = names[field(entry, "category_id", "number", where)]
        if not images[id] then refuse("%s: there is no image of the id %s", where, tostring(id)) end
        if not name then refuse("%s: there is no category of the id %s", where, tostring(entry.category_id)) end
        if #box ~= 4 then refuse("%s: bbox: expected 4 numbers, got %d", where, #box) end
        for k = 1, 4 do number_of(box[k], where .. ": bbox") end
        add_box(reading, images[id], {
            x = box[1], y = box[2], w = box[3], h = box[4], label = name, crowd = entry.iscrowd == 1 or nil,
        }, where)
    end
    if not reading.options.one_class then reading.names = order end
end

function READERS.voc(reading, folder)
    for _, name in ipairs(names_in(folder)) do
        if name:find("%.xml$") then
            local path = folder .. "/" .. name
            local annotation, message = voc.read(read_file(path))
            if not annotation then refuse("%s: %s", path, message) end
            local image = mention(reading, annotation.file or name:sub(1, -5), path)
            check_size(reading, image, annotation.width, annotation.height, path)
            for _, box in ipairs(annotation.boxes) do add_box(reading, image, box, path) end
        end
    end
end

-- Which format a path probably is of.
local function guess(path)
    if is_folder(path) then
        for _, name in ipairs(names_in(path)) do
            if name:find("%.xml$") then return "voc" end
        end
        return "darknet"
    elseif path:find("%.json$") then
        return "coco"
    end
    local _, columns = read_csv(path)
    return has(columns, "patientId") and has(columns, "Target") and "rsna" or "csv"
end

-- ---- the frame --------------------------------------------------------------------------------------------------

-- Class names in order: as asked for, as the file has them, or as found.
local function class_names(reading)
    local names = reading.options.one_class and {reading.options.one_class} or reading.options.classes or reading.names
    if not names then
        names = {}
        for name in pairs(reading.classes) do names[#names + 1] = name end
        table.sort(names)
    end
    local known = {}
    for _, name in ipairs(names) do known[name] = true end
    for name in pairs(reading.classes) do
        if not known[name] then
            refuse("options: option 'classes': there is a box of '%s', which is not one of %s; one_class takes all "
                .. "boxes for one class", name, table.concat(names, ", "))
        end
    end
    if #names == 0 then
        refuse("%s: there is no box, and 'classes' does not say of what there could be", reading.path)
    end
    return names
end

-- Images that the caller knows to have nothing.
local function add_negatives(reading, list)
    for i, name in ipairs(list or {}) do
        local path = mention(reading, name, ("options: option 'negatives', %d"):format(i))
        if #reading.entries[path].boxes > 0 then
            refuse("options: option 'negatives': %s has boxes in %s", name, reading.path)
        end
    end
end

local function build(path, options)
    if not lfs.attributes(path, "mode") then fail_io("%s: there is no such file or folder", path) end
    local format = options.format or guess(path)
    local root = options.images or is_folder(path) and path or folder_of(path)
    local reading = new_reading(options, (root:gsub("(.)/+$", "%1")))
    reading.path = path
    READERS[format](reading, (path:gsub("(.)/+$", "%1")))
    add_negatives(reading, options.negatives)
    local frame = {
        task = "detection", classes = class_names(reading), path = {}, label = {}, group = {}, source = {}, part = {},
        boxes = {}, left_out = {}, root = path,
    }
    local patient_of = options.patient and patients.by_pattern("box_frame", options.patient) or patients.of
    local function add(image, boxes, label)
        local i, full = #frame.path + 1, reading.index.root .. "/" .. image
        local group, source = patient_of(full)
        frame.path[i], frame.boxes[i], frame.label[i] = full, boxes, label
        frame.group[i], frame.source[i], frame.part[i] = group or full, group and source or false, false
    end
    for _, image in ipairs(reading.index.list) do
        local entry = reading.entries[image]
        if entry then
            add(image, entry.boxes, #entry.boxes > 0 and 1 or 0)
        elseif options.unlisted ~= "leave_out" then
            add(image, {}, options.unlisted == "negative" and 0 or 0 / 0)
        end
    end
    if #frame.path == 0 then refuse("%s: there are no images below %s", path, root) end
    return new_frame(frame)
end

--- A frame of images with boxes, of the task "detection": `boxes` in pixels of the file from the top left, `label` 1
--- where there are boxes, 0 where the file says that there are none, NaN where it says nothing.
---
--- "csv" has the columns image, x, y, w, h (pixels from the top left), and may have label, image_width and
--- image_height; a row without a box says that there is none. "darknet" is a folder of text files with the names of the
--- images, of lines `class x y w h` (class from 0, centre and size as fractions); an empty file says that there is
--- nothing, and classes.txt has the names. "coco" is COCO's JSON (Lin et al. 2014); its images without annotations have
--- nothing, and crowds count as there. "voc" is a folder of Pascal VOC's XML files (Everingham et al. 2010), of corners
--- in pixels from 1; difficult objects count as crowds. "rsna" is the table of the challenge of 2018 (patientId, x, y,
--- width, height, Target).
---
--- Boxes that are not in their image by more than a pixel, without an area, or not finite, images that are not there or
--- have another size than a file says, and classes that are none are errors that name the place.
---@param path string the file, or the folder
---@param options? {format: "csv"|"darknet"|"coco"|"voc"|"rsna"|nil, images: string?, classes: string[]?, one_class:
---  string?, unlisted: "unknown"|"negative"|"leave_out"|nil, negatives: string[]?, patient: string?} format: default by
---  the name and the columns; images: the folder that has them, also below, default that of the file; names without
---  extension or folders will do where they mean one image; classes: the names in order, default those of the file, or
---  those found; one_class: all boxes are of this one class; unlisted: what the images are that the file does not
---  mention, default "unknown"; negatives: names of images that are known to have none of these objects; patient: a Lua
---  pattern as of `lx.data.image_folder`, default as `lx.data.patient` knows it
---@return luxel.Frame? frame, string? message, string? code "io" or "format"
function box_files.box_frame(path, options)
    local ok, frame = pcall(build, path, options or {})
    if ok then return frame end
    if type(frame) ~= "table" or not frame.luxel then error(frame, 0) end
    return nil, frame.luxel, frame.code
end

-- ---- writing ----------------------------------------------------------------------------------------------------

local function shown(value) return ("%.10g"):format(value) end

-- Calls `use(name, boxes, i)` for the images of which it is known what they have; name: their path from the folder.
local function each_known(rows, use)
    for i, name in ipairs(rows.names) do
        if rows.labels[i] == rows.labels[i] then use(name, rows.boxes[i], i) end
    end
end

-- The name of an image in a file of a format.
local function written_name(format, name) return format == "rsna" and stem_of(name) or name end

function WRITERS.csv(path, rows)
    local lines = {"image,x,y,w,h,label"}
    each_known(rows, function(name, boxes)
        for _, box in ipairs(boxes) do
            lines[#lines + 1] = ("%s,%s,%s,%s,%s,%s"):format(csv.cell(name), shown(box.x), shown(box.y), shown(box.w),
                shown(box.h), csv.cell(box.label or rows.classes[1]))
        end
        if #boxes == 0 then lines[#lines + 1] = csv.cell(name) .. ",,,,," end
    end)
    return core.write_file(path, {table.concat(lines, "\n"), "\n"})
end

function WRITERS.rsna(path, rows)
    local lines = {"patientId,x,y,width,height,Target"}
    each_known(rows, function(name, boxes)
        local id = csv.cell(written_name("rsna", name))
        for _, box in ipairs(boxes) do
            lines[#lines + 1] = ("%s,%s,%s,%s,%s,1"):format(id, shown(box.x), shown(box.y), shown(box.w), shown(box.h))
        end
        if #boxes == 0 then lines[#lines + 1] = id .. ",,,,,0" end
    end)
    return core.write_file(path, {table.concat(lines, "\n"), "\n"})
end

-- Writes a file for each image into a folder.
local function write_each(folder, rows, extension, text_of)
    local ok, message, code = make_folder(folder)
    local taken = {}
    each_known(rows, function(name, boxes, i)
        local stem = stem_of(name)
        if not ok then return end
        if taken[stem] then
            args.fail("save_boxes: frame: two images would have the file %s%s: %s and %s", stem, extension, taken[stem],
                name)
        end
        taken[stem] = name
        ok, message, code = core.write_file(folder .. "/" .. stem .. extension, {text_of(name, boxes, i)})
    end)
    return ok, message, code
end

function WRITERS.darknet(folder, rows)
    local ok, message, code = write_each(folder, rows, ".txt", function(_, boxes, i)
        local height, width = rows.size(i)
        local lines = {}
        for k, box in ipairs(boxes) do
            lines[k] = ("%d %s %s %s %s\n"):format(rows.class(i, box) - 1, shown((box.x + box.w / 2) / width),
                shown((box.y + box.h / 2) / height), shown(box.w / width), shown(box.h / height))
        end
        return table.concat(lines)
    end)
    if not ok then return nil, message, code end
    return core.write_file(folder .. "/" .. NAMES, {table.concat(rows.classes, "\n"), "\n"})
end

function WRITERS.voc(folder, rows)
    return write_each(folder, rows, ".xml", function(name, boxes, i)
        local height, width = rows.size(i)
        local named = {}
        for k, box in ipairs(boxes) do
            named[k] = {x = box.x, y = box.y, w = box.w, h = box.h, label = box.label or rows.classes[1],
                crowd = box.crowd}
        end
        return voc.write {file = name, width = width, height = height, boxes = named}
    end)
end

function WRITERS.coco(path, rows)
    local function list() return setmetatable({}, json.LIST) end
    local root = {images = list(), annotations = list(), categories = list()}
    for k, name in ipairs(rows.classes) do root.categories[k] = {id = k, name = name} end
    each_known(rows, function(name, boxes, i)
        local height, width = rows.size(i)
        table.insert(root.images, {id = i, file_name = name, width = width, height = height})
        for _, box in ipairs(boxes) do
            table.insert(root.annotations, {
                id = #root.annotations + 1, image_id = i, category_id = rows.class(i, box),
                bbox = {box.x, box.y, box.w, box.h}, area = box.w * box.h, iscrowd = box.crowd and 1 or 0,
            })
        end
    end)
    return core.write_file(path, {json.encode(root), "\n"})
end

-- What writers want of a frame: names of images from the folder above all of them.
local function rows_of(frame, root, format)
    if frame.task ~= "detection" then
        args.fail("save_boxes: frame: expected one of the task 'detection', got '%s'", frame.task)
    end
    local rows = {names = {}, boxes = frame.boxes, labels = frame.label, classes = frame.classes}
    local prefix = root and root:gsub("/+$", "") .. "/"
    for i, path in ipairs(frame.path) do
        local inside = not prefix or path:sub(1, #prefix) == prefix
        if not inside then
            args.fail("save_boxes: options: option 'images': %s is not below %s", path, root)
        end
        rows.names[i] = prefix and path:sub(#prefix + 1) or path:match("[^/]*$")
    end
    local places, taken = {}, {}
    each_known(rows, function(name, _, i)
        name = written_name(format, name)
        if taken[name] then
            args.fail("save_boxes: frame: two images would have the name %s: %s and %s%s", name,
                frame.path[taken[name]], frame.path[i], prefix and ""
                or "; the option 'images' says the folder above both")
        end
        taken[name] = i
    end)
    for k, name in ipairs(frame.classes) do places[name] = k end
    function rows.class(i, box)
        local place = box.label == nil and #frame.classes == 1 and 1 or places[box.label]
        return place or args.fail("save_boxes: frame: a box of %s is of no class: %s", frame.path[i],
            args.describe(box.label))
    end
    function rows.size(i)
        local info, message, code = core.probe_image(frame.path[i])
        if not info then error({luxel = message, code = code}, 0) end
        return info.height, info.width
    end
    return rows
end

--- Writes the boxes of a frame, in one of the formats that `box_frame` reads. Images of which nothing is known are not
--- in it. "csv", "darknet" and "rsna" have no crowds: such boxes become plain ones.
---@param path string the file; of "darknet" and "voc" the folder, which is made if need be
---@param frame luxel.Frame of the task "detection"
---@param options {format: "csv"|"darknet"|"coco"|"voc"|"rsna", images: string?} images: the folder from which names of
---  images are written, default each image's own
---@return boolean? ok, string? message, string? code "io", or as of an image that cannot be read
function box_files.save_boxes(path, frame, options)
    local rows = rows_of(frame, options.images, options.format)
    local results = table.pack(pcall(WRITERS[options.format], path, rows))
    if results[1] then return table.unpack(results, 2, results.n) end
    local failure = results[2]
    if type(failure) ~= "table" or not failure.luxel then error(failure, 0) end
    return nil, failure.luxel, failure.code
end

local FORMAT <const> = '"csv"|"darknet"|"coco"|"voc"|"rsna"'

return args.publish("", box_files, {
    box_frame = "path: path, options: {format: " .. FORMAT .. "?, images: path?, classes: text[]?, one_class: text?, "
        .. 'unlisted: "unknown"|"negative"|"leave_out"?, negatives: text[]?, patient: text?}?',
    save_boxes = "path: path, frame: frame, options: {format: " .. FORMAT .. ", images: path?}",
})
