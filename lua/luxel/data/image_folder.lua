--- Reads a folder of labelled images: one folder a class, with or without folders for the parts above them.

local args = require "luxel.args"
local class_names = require "luxel.data.classes"
local core = require "luxel.core"
local lfs = require "lfs"
local near = require "luxel.near"
local new_frame = require "luxel.data.frame"
local patients = require "luxel.data.patients"

local EXTENSIONS <const> = {}
local FORMATS <const> = core.image_formats()
for i, format in ipairs(FORMATS) do
    for _, extension in ipairs(format.extensions) do EXTENSIONS[extension] = true end
    FORMATS[i] = format.name
end

-- Names of folders, without what is no letter or digit.
local PARTS <const> = {
    train = "train", training = "train", val = "val", valid = "val", validation = "val", dev = "val", test = "test",
    testing = "test", tests = "test",
}
local MASKS <const> = {
    mask = true, masks = true, lungmask = true, lungmasks = true, segmentation = true, segmentations = true,
    annotation = true, annotations = true, groundtruth = true,
}
local plain <const>, is_negative <const>, order_two <const> = class_names.plain, class_names.is_negative,
    class_names.order_two

args.type("classes", "{negative = NAME, positive = NAME} with two different names", "table", function(value)
    local negative, positive = rawget(value, "negative"), rawget(value, "positive")
    for key in next, value do
        if key ~= "negative" and key ~= "positive" then return false end
    end
    return type(negative) == "string" and type(positive) == "string" and negative:lower() ~= positive:lower()
end)

-- ---- files ------------------------------------------------------------------------------------------------------

-- The names in a folder, sorted, without hidden ones and what macOS leaves in archives.
local function list(dir)
    local opened, iterate, state = pcall(lfs.dir, dir)
    if not opened then
        return nil, ("image_folder: cannot read the folder %s"):format(dir), "io"
    end
    local names = {}
    for name in iterate, state do
        if name:sub(1, 1) ~= "." and name ~= "__MACOSX" then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    return names
end

local function is_image(name)
    local extension = name:match("%.(%w+)$")
    return extension ~= nil and EXTENSIONS[extension:lower()] == true
end

-- Appends the image files below `dir` to `paths`, and to `left_out` what is passed over, with the reason. Links to
-- folders are not followed: they could lead in circles, or into the folder of the other class. A dangling link counts
-- as a file, so that reading it reports it by name.
local function collect(dir, paths, left_out)
    local names, message, code = list(dir)
    if not names then return nil, message, code end
    local function leave(path, why) left_out[#left_out + 1] = {path = path, why = why} end
    for _, name in ipairs(names) do
        local path = dir .. "/" .. name
        local mode = lfs.attributes(path, "mode")
        if mode == "directory" then
            if lfs.symlinkattributes(path, "mode") == "link" then
                leave(path, "a link to a folder")
            elseif MASKS[plain(name)] then
                leave(path, "a folder of masks")
            else
                local done
                done, message, code = collect(path, paths, left_out)
                if not done then return nil, message, code end
            end
        elseif not is_image(name) then
            leave(path, "no image by its name")
        elseif mode and mode ~= "file" then
            leave(path, "no file")
        else
            paths[#paths + 1] = path
        end
    end
    return paths
end

-- ---- which folders ------------------------------------------------------------------------------------------------

local function list_folders(dir)
    local names, message, code = list(dir)
    if not names then return nil, message, code end
    local folders = {}
    for _, name in ipairs(names) do
        if lfs.attributes(dir .. "/" .. name, "mode") == "directory" and not MASKS[plain(name)] then
            folders[#folders + 1] = name
        end
    end
    return folders
end

-- Where the class folders are: `{dir=, part=, folders=}` for each of train, val and test, or for the folder itself; and
-- the folders beside train, val and test.
local function find_roots(dir)
    local folders, message, code = list_folders(dir)
    if not folders then return nil, message, code end
    local roots, beside = {}, {}
    for _, name in ipairs(folders) do
        local part = PARTS[plain(name)]
        if part then
            local root = {dir = dir .. "/" .. name, part = part}
            root.folders, message, code = list_folders(root.dir)
            if not root.folders then return nil, message, code end
            roots[#roots + 1] = root
        else
            beside[#beside + 1] = dir .. "/" .. name
        end
    end
    if #roots == 0 then return {{dir = dir, part = false, folders = folders}}, {} end
    return roots, beside
end

-- Names of class folders, each once, whatever their case; in the order of the first that is found.
local function all_folders(roots)
    local names, seen = {}, {}
    for _, root in ipairs(roots) do
        for _, name in ipairs(root.folders) do
            if not seen[name:lower()] then
                seen[name:lower()] = true
                names[#names + 1] = name
            end
        end
    end
    table.sort(names, function(a, b) return a:lower() < b:lower() end)
    return names
end

-- The names of the classes in the order of their numbers, from the user's options or the folders there are.
local function name_classes(dir, roots, opts)
    if opts.classes then return {opts.classes.negative, opts.classes.positive} end
    local names = all_folders(roots)
    local function refuse(format, ...) return nil, ("image_folder: " .. format):format(...), "format" end
    if #names < 2 then
        return refuse("%s should hold one folder for each class (NORMAL and PNEUMONIA, say), it has %s", dir,
            #names == 0 and "none" or "only " .. names[1])
    end
    if opts.positive then
        local known, all = false, table.concat(names, ", ")
        for _, name in ipairs(names) do known = known or name:lower() == opts.positive:lower() end
        if not known then
            return refuse("positive: there is no folder '%s' in %s%s; its classes are %s", opts.positive, dir,
                near.suggestion(opts.positive, names), all)
        elseif #names > 2 then
            return refuse("positive: it says which of two classes, and there are %d in %s: %s", #names, dir, all)
        end
    end
    if #names > 2 then
        -- what says that nothing was found comes first
        table.sort(names, function(a, b)
            local first, second = is_negative(a), is_negative(b)
            if first ~= second then return first end
            return a:lower() < b:lower()
        end)
        return names
    end
    local ordered = order_two(names[1], names[2], opts.positive)
    if not ordered then
        return refuse("%s has the classes %s and %s, and their names do not tell which of them is the disease; "
            .. "say it with "
            .. "positive = '%s' or positive = '%s'", dir, names[1], names[2], names[1], names[2])
    end
    return ordered
end

-- ---- the frame ------------------------------------------------------------------------------------------------------

-- The images of one class, over all roots, appended to the frame's columns.
local function collect_class(columns, roots, class, label, patient)
    local found = 0
    for _, root in ipairs(roots) do
        for _, name in ipairs(root.folders) do
            if name:lower() == class:lower() then
                local paths, message, code = collect(root.dir .. "/" .. name, {}, columns.left_out)
                if not paths then return nil, message, code end
                for _, path in ipairs(paths) do
                    local n = #columns.path + 1
                    columns.path[n], columns.label[n], columns.part[n] = path, label, root.part
                    columns.group[n], columns.source[n] = patient(path)
                    columns.source[n] = columns.group[n] and (columns.source[n] or "the option 'group'") or false
                    columns.group[n] = columns.group[n] or path
                end
                found = found + #paths
            end
        end
    end
    if found == 0 then
        return nil, ("image_folder: %s has no image (%s, by its name) of class %s: each class is needed"):format(
            columns.root, table.concat(FORMATS, ", "), class), "format"
    end
    return found
end

-- Folders and images beside the class folders, which belong to no class.
local function leave_out_others(columns, roots, beside)
    local known = {}
    for _, path in ipairs(beside) do
        table.insert(columns.left_out, {path = path, why = "a folder beside those of train, val and test"})
    end
    for _, root in ipairs(roots[1].part and {{dir = columns.root}, table.unpack(roots)} or roots) do
        for _, name in ipairs(list(root.dir) or {}) do
            if is_image(name) and lfs.attributes(root.dir .. "/" .. name, "mode") == "file" then
                table.insert(columns.left_out, {path = root.dir .. "/" .. name, why = "an image in no class folder"})
            end
        end
    end
    for _, class in ipairs(columns.classes) do known[class:lower()] = true end
    for _, root in ipairs(roots) do
        for _, name in ipairs(root.folders) do
            if not known[name:lower()] then
                table.insert(columns.left_out, {path = root.dir .. "/" .. name,
                    why = "a folder of no class that was asked for"})
            end
        end
    end
end

--- The images in DIR/{NORMAL,PNEUMONIA}, DIR/{Normal,Infected} or any class folders, upper or lower case, with or
--- without folders for the parts above them (train, training; val, valid, validation, dev; test, testing).
---
--- Two classes: the positive one is the disease. It is known where the other one's name says that nothing was found
--- (normal, healthy, negative, no_finding, control, ..., or no_X beside X); else `positive` says it. More classes are
--- numbered by their names, one that says that nothing was found first.
---
--- Hidden files, folders of masks, what is no image by its name (`vision.formats`), and what lies beside the folders of
--- classes and parts are left out: `frame.left_out`.
---@param dir string
---@param options? {positive: string?, classes: {negative: string, positive: string}?, patient: string?,
---  group: (fun(path: string): string?, string?)?} positive: the folder of the disease; classes: two of several
---  folders; patient: a Lua pattern whose capture in the path is the patient; group: the same as a function; default
---  `lx.data.patient`. Files of unknown patients are each their own group.
---@return luxel.Frame? frame, string? message, string? code nil, message, "io" for a missing folder, "format" for one
---  without images of each class
local function image_folder(dir, options)
    local opts = args.with_defaults(options, {group = patients.of})
    if opts.patient then opts.group = patients.by_pattern("image_folder", opts.patient) end
    dir = dir:gsub("(.)/+$", "%1")
    local mode = lfs.attributes(dir, "mode")
    if mode ~= "directory" then
        return nil, ("image_folder: %s %s"):format(dir, mode and "is not a folder" or "does not exist"), "io"
    end
    local roots, beside, code = find_roots(dir)
    if not roots then return nil, beside, code end
    local message
    local classes
    classes, message, code = name_classes(dir, roots, opts)
    if not classes then return nil, message, code end
    local columns = {
        path = {}, label = {}, group = {}, source = {}, part = {}, left_out = {}, classes = classes, root = dir,
        task = #classes == 2 and "binary" or "classes",
    }
    for i, class in ipairs(classes) do
        local found
        found, message, code = collect_class(columns, roots, class, i - 1, opts.group)
        if not found then return nil, message, code end
    end
    leave_out_others(columns, roots, beside)
    return new_frame(columns)
end

return args.public("image_folder",
    "dir: path, options: {positive: text?, classes: classes?, patient: text?, group: function?}?", image_folder)
