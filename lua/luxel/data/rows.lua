--- Frames of tables: of a CSV file, of rows in Lua, of a function that gives them one after the other.

local args = require "luxel.args"
local class_order = require "luxel.data.classes"
local csv = require "luxel.io.csv"
local near = require "luxel.near"
local new_frame = require "luxel.data.frame"
local lfs = require "lfs"
local patients = require "luxel.data.patients"

-- Texts that stand for a label that is not known.
local MISSING <const> = {[""] = true, nan = true, na = true, null = true, none = true, ["?"] = true}

local PARTS <const> = {
    train = "train", training = "train", val = "val", valid = "val", validation = "val", dev = "val", test = "test",
    testing = "test",
}

-- Names of columns that probably hold the patient, without what is no letter or digit.
local PATIENTS <const> = {patient = true, patientid = true, subject = true, subjectid = true}

local function refuse(format, ...) error({luxel = ("frame: " .. format):format(...)}, 0) end

-- ---- rows -------------------------------------------------------------------------------------------------------

-- The file that a column of a row names.
local function path_of(row, column, opts, i)
    local path = row[column]
    if type(path) ~= "string" or path == "" then
        refuse("row %d: column '%s': expected the path of an image, got %s", i, column, args.describe(path))
    end
    if path:sub(1, 1) == "/" or opts.root == "" then return path end
    return opts.root .. "/" .. path
end

local function folder_of(path) return path:match("^(.*)/[^/]*$") or "." end

-- Rows, the names of their columns (nil: rows may differ) and what to call them.
local function rows_of(source)
    if type(source) == "string" then
        local rows, columns, code = csv.read(source)
        if not rows then error({luxel = "frame: " .. columns, code = code}, 0) end
        return rows, columns, source
    end
    local rows = {}
    if type(source) == "table" then
        for i, row in ipairs(source) do rows[i] = row end
        return rows, nil, "a table of rows"
    end
    for row in source do
        if type(row) ~= "table" then
            refuse("source: expected a table for each row that the function gives, got %s for row %d",
                args.describe(row), #rows + 1)
        end
        rows[#rows + 1] = row
    end
    return rows, nil, "a function of rows"
end

local function is_given(row, column) return column and row[column] ~= nil and row[column] ~= "" end

-- A column that has to be there.
local function check_column(columns, option, name)
    for _, column in ipairs(columns or {name}) do
        if column == name then return end
    end
    refuse("options: option '%s': there is no column '%s'%s; the columns are %s", option, name,
        near.suggestion(name, columns), table.concat(columns, ", "))
end

-- Whether there is a column: of rows in Lua, whether any of them has it, since some may leave it empty.
local function has_column(rows, columns, name)
    for _, column in ipairs(columns or {}) do
        if column == name then return true end
    end
    for _, row in ipairs(columns and {} or rows) do
        if row[name] ~= nil then return true end
    end
    return false
end

-- A column that probably holds the patient, which nobody asked for: its name may mislead.
local function patient_like(rows, columns)
    if not columns then
        columns = {}
        for name in pairs(rows[1]) do columns[#columns + 1] = tostring(name) end
        table.sort(columns)
    end
    for _, name in ipairs(columns) do
        if PATIENTS[class_order.plain(name)] then return name end
    end
end

local function number_of(value, where)
    local number = tonumber(value)
    if not number or number - number ~= 0 then refuse("%s: expected a number, got %s", where, args.describe(value)) end
    return number
end

-- ---- labels -----------------------------------------------------------------------------------------------------

-- A cell without spaces around it.
local function trimmed(value) return type(value) == "string" and value:match("^%s*(.-)%s*$") or value end

local BOOLEANS <const> = {["true"] = 1, ["false"] = 0}

-- A label of several: 1, 0, or NaN where it is not known. -1 is CheXpert's mark of a doubtful one.
local function flag_of(value, opts, where)
    local plain = value ~= nil and tostring(trimmed(value)):lower()
    if not plain or value ~= value or type(value) == "string" and MISSING[plain] then return 0 / 0 end
    if BOOLEANS[plain] then return BOOLEANS[plain] end
    local number = number_of(value, where)
    if number == -1 then
        if not opts.uncertain then
            refuse("%s: it is -1, which marks doubt; say with uncertain = 'ones', 'zeros' or 'ignore' what to "
                .. "make of it",
                where)
        end
        return opts.uncertain == "ones" and 1 or opts.uncertain == "zeros" and 0 or 0 / 0
    end
    if number ~= 0 and number ~= 1 then refuse("%s: expected 0, 1 or nothing, got %s", where, args.describe(value)) end
    return number
end

local function read_flags(rows, opts)
    local labels = {}
    for i, row in ipairs(rows) do
        labels[i] = {}
        for k, name in ipairs(opts.labels) do
            labels[i][k] = flag_of(row[name], opts, ("row %d: %s"):format(i, name))
        end
    end
    return labels, opts.labels, "labels"
end

-- Class names in the order of their numbers: as asked for, or as found.
local function class_names(found, opts)
    if opts.classes then
        for name in pairs(found) do
            local known = false
            for _, class in ipairs(opts.classes) do known = known or class == name end
            if not known then
                refuse("options: option 'classes': there is a row of class '%s'%s, which is not one of %s", name,
                    near.suggestion(name, opts.classes), table.concat(opts.classes, ", "))
            end
        end
        return opts.classes
    end
    local names = {}
    for name in pairs(found) do names[#names + 1] = name end
    table.sort(names, function(a, b)
        local x, y = tonumber(a), tonumber(b)
        if x and y then return x < y end
        return a < b
    end)
    if #names ~= 2 then return names end
    local ordered = class_order.order_two(names[1], names[2], opts.positive)
    if not ordered then
        refuse("the classes are %s and %s, and nothing tells which of them is the disease; say it with positive = "
            .. "'%s' or "
            .. "positive = '%s'", names[1], names[2], names[1], names[2])
    end
    return ordered
end

local function read_classes(rows, opts)
    local found, given, missing, named = {}, {}, nil, {}
    for _, name in ipairs(opts.classes or {}) do named[name] = true end
    for i, row in ipairs(rows) do
        local value = row[opts.label]
        if value ~= nil and not named[value] then value = trimmed(value) end
        -- programs write whole numbers as 1.0 where some are missing
        if type(value) == "string" and value:find("^%-?%d+%.0+$") and not named[value] then value = tonumber(value) end
        if math.type(value) == "float" and math.tointeger(value) then value = math.tointeger(value) end
        if type(value) == "table" then
            refuse("row %d: %s: expected the name or the number of a class, got %s", i, opts.label,
                args.describe(value))
        end
        if value ~= nil and value == value and not MISSING[tostring(value):lower()] then
            given[i] = tostring(value)
            found[given[i]] = true
        elseif value and value == value and value ~= "" then
            missing = tostring(value)
        end
    end
    local names, places, labels = class_names(found, opts), {}, {}
    if #names < 2 then
        refuse("column '%s' has %s%s; at least two classes are needed", opts.label,
            #names == 0 and "no class" or "only the class " .. names[1],
            missing and (" ('%s' stands for a label that is not known)"):format(missing) or "")
    end
    if opts.positive and (#names ~= 2 or opts.positive ~= names[2]) then
        refuse("options: option 'positive': expected the second of two classes, which are %s, got '%s'",
            table.concat(names, ", "), opts.positive)
    end
    for k, name in ipairs(names) do places[name] = k - 1 end
    for i = 1, #rows do labels[i] = given[i] and places[given[i]] or 0 / 0 end
    return labels, names, #names == 2 and "binary" or "classes"
end

-- ---- boxes --------------------------------------------------------------------------------------------------------

-- The box of a row; nil where its cells are empty.
local function box_of(row, names, i)
    local values, empty = {}, 0
    for k, side in ipairs {"x", "y", "w", "h"} do
        local value = row[names[k]]
        if value == nil or value == "" then
            empty = empty + 1
        else
            values[side] = number_of(value, ("row %d: %s"):format(i, names[k]))
        end
    end
    if empty == 4 then return nil end
    if empty > 0 then refuse("row %d: its box lacks a number", i) end
    return values
end

-- Puts what a further row says of its image into the first one. It may leave cells empty, as that may, but not say
-- something else: the class of a box is no class of its image.
local function join_rows(first, row, columns, path, i)
    for _, name in ipairs(columns) do
        if not is_given(first, name) then
            first[name] = row[name]
        elseif is_given(row, name) and tostring(trimmed(row[name])) ~= tostring(trimmed(first[name])) then
            refuse("row %d: column '%s': %s, and %s in a row before, for the same image, %s; what a box shows is "
                .. "box_label = COLUMN", i, name, args.describe(row[name]), args.describe(first[name]), path)
        end
    end
end

-- Rows of one image become one, with all of their boxes; `columns` are those that say something of the image
-- (false: there is none).
local function gather_boxes(rows, opts, columns)
    local kept, boxes, place_of = {}, {}, {}
    for i, row in ipairs(rows) do
        local path = path_of(row, opts.path, opts, i)
        local place = place_of[path]
        if place then
            join_rows(kept[place], row, columns, path, i)
        else
            place = #kept + 1
            place_of[path], kept[place], boxes[place] = place, {}, {}
            for name, value in pairs(row) do kept[place][name] = value end
        end
        local box = box_of(row, opts.boxes, i)
        if box then
            box.label = opts.box_label and row[opts.box_label] or nil
            table.insert(boxes[place], box)
        end
    end
    return kept, boxes
end

-- ---- masks --------------------------------------------------------------------------------------------------------

local function stem_of(path) return (path:match("[^/]*$"):gsub("%.[^.]*$", "")) end

-- The files of a folder by their names without extensions.
local function files_by_stem(folder)
    local ok, iterate, state = pcall(lfs.dir, folder)
    if not ok then error({luxel = "frame: cannot read the folder " .. folder, code = "io"}, 0) end
    local files = {}
    for name in iterate, state do
        if name:sub(1, 1) ~= "." then
            local stem = stem_of(name)
            if files[stem] then
                refuse("there are two masks of one name in %s: %s and %s", folder, files[stem], name)
            end
            files[stem] = name
        end
    end
    return files
end

-- The mask of each image, false where it has none: of a column, or the file of its name in a folder.
local function read_masks(rows, opts)
    local files, out, found = opts.masks and files_by_stem(opts.masks), {}, 0
    for i, row in ipairs(rows) do
        local name
        if files then
            name = files[stem_of(path_of(row, opts.path, opts, i))]
            out[i] = name and opts.masks .. "/" .. name or false
        else
            local value = row[opts.mask]
            out[i] = value ~= nil and value ~= "" and path_of(row, opts.mask, opts, i) or false
        end
        found = found + (out[i] and 1 or 0)
    end
    if found == 0 then
        refuse("none of the %d images has a mask%s", #rows, files and (" of its name in " .. opts.masks) or "")
    end
    return out
end

-- The targets are the masks: label 0 where there is one.
local function label_masks(masks, opts)
    local labels, classes = {}, opts.classes or {"mask"}
    if #classes ~= 1 then refuse("options: option 'classes': masks show one class, got %d names", #classes) end
    for i, path in ipairs(masks) do labels[i] = path and 0 or 0 / 0 end
    return labels, classes, "segmentation"
end

-- ---- the frame ------------------------------------------------------------------------------------------------------

local function part_of(value, i)
    if value == nil or value == "" or value == false then return false end
    local part = PARTS[tostring(value):lower()]
    if not part then refuse("row %d: part: expected train, val or test, got %s", i, args.describe(value)) end
    return part
end

-- Refuses what two rows say of one image where only one of them can be right: another class, or another patient or
-- part, with which the image would be on both sides of a split.
local function check_again(rows, before, i, path, labels, classes, opts, columns)
    local one, other = labels[before], labels[i]
    if opts.label and one ~= other and one == one and other == other then
        refuse("rows %d and %d: %s is %s, and %s; an image has one class (or labels = {COLUMN, ...})", before, i, path,
            classes[one + 1], classes[other + 1])
    end
    for _, name in ipairs {"patient", "part"} do
        local column = columns[name]
        local first, second = column and rows[before][column], column and rows[i][column]
        local known = is_given(rows[before], column) and is_given(rows[i], column)
        if known and name == "part" then first, second = part_of(first, before), part_of(second, i) end
        if known and tostring(first) ~= tostring(second) then
            refuse("rows %d and %d: %s is of %s %s, and of %s", before, i, path, name, tostring(first),
                tostring(second))
        end
    end
end

-- Whether two rows of one image say the same of it.
local function same_again(labels, masks, before, i)
    local function same(a, b) return a == b or a ~= a and b ~= b end
    local one, other = labels[before], labels[i]
    if masks and masks[before] ~= masks[i] then return false end
    if type(one) ~= "table" then return same(one, other) end
    for k, value in ipairs(one) do
        if not same(value, other[k]) then return false end
    end
    return true
end

-- Refuses lists of names in which one comes twice, or which have not as many as there have to be.
local function check_names(opts)
    for _, option in ipairs {"labels", "classes"} do
        local seen = {}
        for _, name in ipairs(opts[option] or {}) do
            if seen[name] then refuse("options: option '%s': '%s' comes twice", option, name) end
            seen[name] = true
        end
    end
    if opts.labels and #opts.labels == 0 then refuse("options: option 'labels': expected one column or more") end
    if opts.boxes and #opts.boxes ~= 4 then
        refuse("options: option 'boxes': expected four columns, of x, y, w and h, got %d", #opts.boxes)
    end
end

-- Refuses options that say something of what is not read.
local function check_heard(opts)
    for _, pair in ipairs {{"positive", "label"}, {"uncertain", "labels"}, {"box_label", "boxes"}} do
        if opts[pair[1]] and not opts[pair[2]] then
            refuse("options: option '%s': it says nothing without option '%s'", pair[1], pair[2])
        end
    end
    if opts.classes and opts.labels then
        refuse("options: option 'classes': several labels have the names of their columns, which are %s",
            table.concat(opts.labels, ", "))
    end
end

local function build(source, opts)
    local rows, columns, what = rows_of(source)
    opts.root = opts.root or type(source) == "string" and folder_of(source) or ""
    opts.root = opts.root:gsub("(.)/+$", "%1")
    local has_masks = opts.mask or opts.masks
    if opts.mask and opts.masks then
        refuse("options: mask and masks exclude each other: a column with the files, or a folder")
    elseif not opts.label and not opts.labels and not has_masks then
        refuse("options: say label = COLUMN for one class an image, labels = {COLUMN, ...} for several labels, or "
            .. "mask = COLUMN or masks = FOLDER for masks")
    elseif opts.label and opts.labels then
        refuse("options: label and labels exclude each other")
    end
    check_names(opts)
    check_heard(opts)
    for _, name in ipairs {"path", "label", "patient", "part", "box_label", "mask"} do
        if opts[name] and (name ~= "path" or columns) then check_column(columns, name, opts[name]) end
    end
    for _, name in ipairs(opts.labels or {}) do check_column(columns, "labels", name) end
    for _, name in ipairs(opts.boxes or {}) do check_column(columns, "boxes", name) end
    if opts.keep then
        local kept = {}
        for _, row in ipairs(rows) do
            if opts.keep(row) then kept[#kept + 1] = row end
        end
        rows = kept
    end
    if #rows == 0 then refuse("%s has no rows%s", what, opts.keep and " that are kept" or "") end
    local patient = opts.patient or has_column(rows, columns, "patient") and "patient" or false
    local part = opts.part or has_column(rows, columns, "part") and "part" or false
    if patient then check_column(columns, "patient", patient) end
    if part then check_column(columns, "part", part) end
    local boxes
    if opts.boxes then
        local said = {patient, part, opts.mask or false, table.unpack(opts.labels or {opts.label})}
        rows, boxes = gather_boxes(rows, opts, said)
    end
    local masks = has_masks and read_masks(rows, opts)
    local labels, classes, task
    if opts.label or opts.labels then
        labels, classes, task = (opts.labels and read_flags or read_classes)(rows, opts)
    else
        labels, classes, task = label_masks(masks, opts)
    end
    local frame = {
        task = task, classes = classes, path = {}, label = {}, group = {}, source = {}, part = {},
        boxes = boxes and {}, mask = masks and {}, left_out = {}, root = what,
    }
    frame.patient_column = not patient and patient_like(rows, columns) or nil
    local row_of, from_file = {}, type(source) == "string"
    for i, row in ipairs(rows) do
        local path = path_of(row, opts.path, opts, i)
        local before = row_of[path]
        if before then check_again(rows, before, i, path, labels, classes, opts, {patient = patient, part = part}) end
        if before and from_file and same_again(labels, masks, before, i) then
            table.insert(frame.left_out, {path = path, why = "a row of an image that is there already"})
        else
            row_of[path] = before or i
            local n, group, source_of_group = #frame.path + 1
            if is_given(row, patient) then
                group, source_of_group = tostring(row[patient]), ("column '%s'"):format(patient)
            else
                group, source_of_group = patients.of(path)
            end
            frame.path[n], frame.group[n], frame.source[n] = path, group or path, group and source_of_group or false
            frame.part[n], frame.label[n] = part_of(part and row[part], i), labels[i]
            if boxes then frame.boxes[n] = boxes[i] end
            if masks then frame.mask[n] = masks[i] end
        end
    end
    return new_frame(frame)
end

--- A frame of a table: a CSV file with the names of its columns in the first line, a list of rows (tables with names),
--- or a function that gives rows until nil.
---
--- With `label`, a column of class names or numbers: two classes (the positive one is known by the other's name, or
--- said with `positive`) or more. With `labels`, columns of 0 and 1 that do not exclude each other; empty ones are
--- missing, and -1, which marks doubt in CheXpert (Irvin et al., AAAI 2019), becomes what `uncertain` says. Rows
--- without a class are missing labels too, which losses and metrics leave out. With `mask` or `masks` and neither of
--- these, the masks are the targets (segmentation); beside labels they go along with the images.
---@param source string|table[]|fun(): table?
---@param options {path: string?, root: string?, label: string?, labels: string[]?, classes: string[]?, positive:
---  string?, uncertain: "ones"|"zeros"|"ignore"?, patient: string?, part: string?, boxes: string[]?, box_label:
---  string?, mask: string?, masks: string?, keep: (fun(row: table): any)?} path: the column of the image (default
---  "path"); root: the folder of its relative paths (default that of the CSV file); classes: the names in the order of
---  their numbers; patient, part: columns (default "patient" and "part" where there are such; else names of files tell
---  patients as `lx.data.patient` does); boxes: four columns of x, y, w, h in pixels from the top left, of which an
---  image may have several rows; box_label: the column of what a box is; mask: the column with the file of the mask,
---  empty where there is none; masks: the folder that has the mask of each image under its name, with any extension;
---  both in the size of the image, or another one of its proportion, not 0 inside; keep: whether a row counts, by its
---  cells. Rows of a file that say the same of one image again count once
---@return luxel.Frame? frame, string? message, string? code "io" or "format"
local function frame_of(source, options)
    local opts = args.with_defaults(options, {path = "path"})
    local ok, frame = pcall(build, source, opts)
    if ok then return frame end
    if type(frame) ~= "table" or not frame.luxel then error(frame, 0) end
    return nil, frame.luxel, frame.code or "format"
end

return args.public("frame", "source: path|table[]|function, options: {path: text?, root: string?, label: text?, "
    .. "labels: text[]?, classes: text[]?, positive: text?, uncertain: \"ones\"|\"zeros\"|\"ignore\"?, patient: text?, "
    .. "part: text?, boxes: text[]?, box_label: text?, mask: text?, masks: path?, keep: function?}", frame_of)
