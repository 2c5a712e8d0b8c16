--- Reads a folder of labelled images: one folder a class, with or without folders for the parts above them.

local lfs = require "lfs"
local chest_xray = require "luxel.data.chest_xray"
local new_frame = require "luxel.data.frame"
local options = require "luxel.data.options"

local EXTENSIONS <const> = {
    jpg = true, jpeg = true, png = true, dcm = true, dicom = true, pgm = true, ppm = true, bmp = true,
}
local PARTS <const> = {train = "train", val = "val", valid = "val", validation = "val", test = "test"}

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

local function list_folders(dir)
    local names, message, code = list(dir)
    if not names then
        return nil, message, code
    end
    local folders = {}
    for _, name in ipairs(names) do
        if lfs.attributes(dir .. "/" .. name, "mode") == "directory" then
            folders[#folders + 1] = name
        end
    end
    return folders
end

local function is_image(name)
    local extension = name:match("%.(%w+)$")
    return extension ~= nil and EXTENSIONS[extension:lower()] == true
end

-- Appends the image files below `dir` to `paths`. Links to folders are not followed: they could lead in circles, or
-- into the folder of the other class. A dangling link counts as a file, so that reading it reports it by name.
local function collect(dir, paths)
    local names, message, code = list(dir)
    if not names then
        return nil, message, code
    end
    for _, name in ipairs(names) do
        local path = dir .. "/" .. name
        local mode = lfs.attributes(path, "mode")
        if mode == "directory" then
            if lfs.symlinkattributes(path, "mode") ~= "link" then
                local done
                done, message, code = collect(path, paths)
                if not done then
                    return nil, message, code
                end
            end
        elseif is_image(name) and (not mode or mode == "file") then
            paths[#paths + 1] = path
        end
    end
    return paths
end

-- Where the class folders are: `{dir=, part=, folders=}` for each of train, val and test, or for the folder itself.
local function find_roots(dir)
    local folders, message, code = list_folders(dir)
    if not folders then
        return nil, message, code
    end
    local roots = {}
    for _, name in ipairs(folders) do
        local part = PARTS[name:lower()]
        if part then
            local root = {dir = dir .. "/" .. name, part = part}
            root.folders, message, code = list_folders(root.dir)
            if not root.folders then
                return nil, message, code
            end
            roots[#roots + 1] = root
        end
    end
    if #roots == 0 then
        roots[1] = {dir = dir, part = false, folders = folders}
    end
    return roots
end

-- The names of the negative and the positive class, from the user's option or the folders there are.
local function name_classes(dir, roots, wanted)
    if wanted then
        return {wanted.negative, wanted.positive}
    end
    local names, seen, normal = {}, {}, nil
    for _, root in ipairs(roots) do
        for _, name in ipairs(root.folders) do
            if not seen[name:lower()] then
                seen[name:lower()] = true
                names[#names + 1] = name
                normal = name:lower() == "normal" and #names or normal
            end
        end
    end
    if #names ~= 2 then
        return nil, ("image_folder: %s should hold one folder for each of two classes (NORMAL and PNEUMONIA, say), "
            .. "it has %s%s"):format(dir, #names == 0 and "none" or table.concat(names, ", "),
            #names > 2 and "; choose with classes = {negative = ..., positive = ...}" or ""), "format"
    end
    if normal == 2 or not normal and names[2]:lower() < names[1]:lower() then
        names[1], names[2] = names[2], names[1]
    end
    return names
end

-- The images of one class, over all roots, appended to the frame's columns.
local function collect_class(columns, roots, class, label, group)
    local found = 0
    for _, root in ipairs(roots) do
        for _, name in ipairs(root.folders) do
            if name:lower() == class:lower() then
                local paths, message, code = collect(root.dir .. "/" .. name, {})
                if not paths then
                    return nil, message, code
                end
                for _, path in ipairs(paths) do
                    local patient = group(path)
                    local n = #columns.path + 1
                    columns.path[n], columns.label[n], columns.part[n] = path, label, root.part
                    columns.group[n] = patient or path
                    columns.groups_known = columns.groups_known or patient ~= nil
                end
                found = found + #paths
            end
        end
    end
    if found == 0 then
        return nil, ("image_folder: %s has no image (.jpg, .png, .dcm, .pgm, .bmp) of class %s: both classes are "
            .. "needed"):format(columns.root, class), "format"
    end
    return found
end

local function check_classes(classes)
    if classes ~= nil and (type(classes) ~= "table" or type(classes.negative) ~= "string"
        or type(classes.positive) ~= "string" or classes.negative:lower() == classes.positive:lower()) then
        error("image_folder: classes expects {negative = NAME, positive = NAME} with two different names", 3)
    end
end

--- The images in DIR/{NORMAL,PNEUMONIA}, DIR/{Normal,Infected} or any two class folders, upper or lower case, with or
--- without train/, val/ and test/ above them. A class called NORMAL is the negative one; of other pairs the
--- alphabetically first is. Hidden files and what is no image by its name (JPEG, PNG, DICOM, PGM, PPM, BMP) are
--- ignored.
---@param dir string
---@param opts? {classes?: {negative: string, positive: string}, group?: fun(path: string): string?} `group` tells the
---  patient of a file, nil where it cannot; default `lx.data.chest_xray.patient`. Files of unknown patients are each
---  their own group.
---@return luxel.Frame? frame, string? message, string? code nil, message, "io" for a missing folder, "format" for one
---  without images of both classes
return function(dir, opts)
    if type(dir) ~= "string" then
        error("image_folder: dir expects a string, got " .. type(dir), 2)
    end
    opts = options.read("image_folder", opts, {classes = options.UNSET, group = chest_xray.patient})
    check_classes(opts.classes)
    dir = dir:gsub("(.)/+$", "%1")
    local mode = lfs.attributes(dir, "mode")
    if mode ~= "directory" then
        return nil, ("image_folder: %s %s"):format(dir, mode and "is not a folder" or "does not exist"), "io"
    end
    local roots, message, code = find_roots(dir)
    if not roots then
        return nil, message, code
    end
    local classes
    classes, message, code = name_classes(dir, roots, opts.classes)
    if not classes then
        return nil, message, code
    end
    local columns = {path = {}, label = {}, group = {}, part = {}, classes = classes, groups_known = false, root = dir}
    for label = 0, 1 do
        local found
        found, message, code = collect_class(columns, roots, classes[label + 1], label, opts.group)
        if not found then
            return nil, message, code
        end
    end
    return new_frame(columns)
end
