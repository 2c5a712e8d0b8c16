--- A frame: a table of image files with their labels, patient and part, before any of them is read.

local args = require "luxel.args"
local crop = require "luxel.data.crop"
local dataset = require "luxel.data.dataset"
local namespace = require "luxel.namespace"
local random = require "luxel.random"
local splitting = require "luxel.data.split"

---@class luxel.Frame
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection" what is asked of an image: which of two classes,
---  which of many, which of several labels that do not exclude each other, which pixels, where which objects are
---@field classes string[] the names: of label 0 and label 1; of label 0, 1, 2, ...; of the labels; of what masks show;
---  of the objects
---@field path string[]
---@field label (number|number[])[] a number from 0 (1: positive); of several labels a list of 0, 1 and NaN (missing);
---  of a segmentation 0 where there is a mask; of a detection 1 where there are boxes, 0 where it is known that there
---  is nothing, NaN where nothing is known
---@field group string[] the patient; the path where it is not known
---@field source (string|false)[] where the patient is known from (a column, DICOM, a collection); false if it is not
---@field part (string|false)[] "train", "val" or "test" where it is known
---@field boxes table[][]? for each image a list of {x =, y =, w =, h =, ...} in pixels from the top left
---@field mask (string|false)[]? the file with the mask of each image, false where there is none
---@field groups_known boolean whether the patient of any image is known
---@field patient_column string? a column that was not read, but probably holds the patient
---@field left_out {path: string, why: string}[] files that are no images of a class
---@field root string the folder or the table it was read from
local Frame = namespace.class("Frame", {}, {"boxes", "mask", "patient_column"})
Frame.__name = "Frame (frame:load() or frame:open() makes a dataset)" -- what messages call one that does not fit

args.type("frame", "a frame", "table", function(value) return getmetatable(value) == Frame end)

local COLUMNS <const> = {"path", "label", "group", "source", "part", "boxes", "mask"}

-- frame[i] is the i-th row.
function Frame.__index(self, key)
    if math.type(key) ~= "integer" then
        return Frame[key]
    end
    local path = self.path[key]
    return path and {
        path = path, label = self.label[key], group = self.group[key], part = self.part[key],
        boxes = self.boxes and self.boxes[key], mask = self.mask and self.mask[key] or nil,
    }
end

function Frame:__len()
    return #self.path
end

-- The rows at `positions`, in that order.
local function take(self, positions)
    local out = {
        task = self.task, classes = self.classes, groups_known = self.groups_known, root = self.root,
        left_out = self.left_out, patient_column = self.patient_column,
    }
    for _, name in ipairs(COLUMNS) do
        local from, column = self[name], {}
        for i, position in ipairs(from and positions or {}) do
            column[i] = from[position]
        end
        out[name] = from and column
    end
    return setmetatable(out, Frame)
end

--- A new frame with the rows in random order.
---@param seed? integer default 1
---@return luxel.Frame
function Frame:shuffle(seed)
    return take(self, random.stream(seed or 1):permutation(#self))
end

--- A new frame with the rows for which `keep(row, i)` is true; a row has path, label, group,
--- part, boxes and mask.
---@param keep fun(row: table, i: integer): any
---@return luxel.Frame
function Frame:filter(keep)
    local positions = {}
    for i = 1, #self do
        if keep(self[i], i) then
            positions[#positions + 1] = i
        end
    end
    return take(self, positions)
end

--- The rows of the part `name` ("train", "val" or "test").
---@return luxel.Frame
function Frame:in_part(name)
    return self:filter(function(row) return row.part == name end)
end

--- How many images have no known patient, and would be split singly.
---@return integer
function Frame:unknown_patients()
    local count = 0
    for i = 1, #self do count = count + (self.source[i] and 0 or 1) end
    return count
end

--- Training, validation and test frames, no patient in two of them, each with about the same share of every class (of
--- several labels: of the rarest one that an image has). Images of unknown patients are split singly.
---@param options? {val?: number, test?: number, seed?: integer} val: share of the images, default 0.15; test: default
--- 0; seed: default 1
---@return luxel.Frame? train, luxel.Frame|string val, luxel.Frame|string test nil, message, code with too few patients
function Frame:split(options)
    local train, val, test = splitting.split("Frame:split", self.label, self.group, options)
    if not train then
        return nil, val, test
    end
    return take(self, train), take(self, val), take(self, test)
end

--- Training and validation frames for cross-validation: so many parts of about as many images, no patient in two of
--- them, each with about the same share of every class; each is the validation frame once, and the others train.
---@param count integer how many, at least 2
---@param options? {seed?: integer} default 1
---@return {train: luxel.Frame, val: luxel.Frame}[]? folds, string? message, string? code with too few patients
function Frame:folds(count, options)
    local folds, message, code = splitting.folds("Frame:folds", self.label, self.group, count, options)
    if not folds then return nil, message, code end
    for k, fold in ipairs(folds) do folds[k] = {train = take(self, fold.train), val = take(self, fold.val)} end
    return folds
end

--- Reads the images: decoded in parallel, grey, resized to `size` x `size`, kept in memory as bytes. Where there are
--- masks, images keep the sizes in which these fit them: use `open`.
---@param options? {size?: integer, crop?: "lungs", strict?: boolean, progress?: fun(done: integer, total: integer)}
--- size: pixels, default 128; crop: of each only the part with both lungs (`lx.vision.find_lungs`), as models want it
--- that were trained so; strict: a file that cannot be read ends the reading, else it is listed in `failed`
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:load(options)
    return dataset.load(self, options)
end

--- A dataset of the images in their own sizes, each decoded when a batch first wants it; batches bring them to `size`.
---
--- Decoded images stay in memory up to a limit. With `cache` all of them are decoded at once, into one file on disk
--- that is used again as long as the images, their times of change and these options are the same; a damaged or
--- foreign file is made anew. With `reduce`, larger images are kept at that length of their shorter side: twice the
--- size of what the network sees loses nothing that it could see, and is read much faster.
---@param options? {size?: integer, crop?: "lungs", reduce?: integer, channels?: integer, memory?: integer, cache?:
--- string, strict?: boolean, progress?: fun(done: integer, total: integer)} size: pixels, default 224; crop: as of
--- `load`, before `reduce`; reduce: pixels, default 0, which is never; channels: default 1; memory: bytes, default 1
--- GiB, and as much again for masks, where there are some; strict: a file that cannot be read is an error where there
--- is a cache, else it is listed in `failed`; without a cache it is an error of the batch that needs it
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:open(options)
    return dataset.open(self, options)
end

-- ---- printing -----------------------------------------------------------------------------------------------------

-- Whether an image has a box of a class.
local function has_object(self, i, class)
    for _, box in ipairs(self.boxes[i]) do
        if box.label == self.classes[class] or box.label == nil then return true end
    end
    return false
end

-- The rows that a class or a label counts: images, patients, and how many have no label.
local function count_class(self, class)
    local images, patients, missing, seen = 0, 0, 0, {}
    for i = 1, #self do
        local label = self.label[i]
        local here = label == class - 1
        if self.task == "detection" then here = has_object(self, i, class) end
        if type(label) == "table" then
            here = label[class] == 1
            missing = missing + (label[class] ~= label[class] and 1 or 0)
        end
        if here then
            images = images + 1
            if not seen[self.group[i]] then
                seen[self.group[i]], patients = true, patients + 1
            end
        end
    end
    return images, patients, missing
end

local function count_unlabelled(self)
    local count = 0
    for _, label in ipairs(self.label) do count = count + (label ~= label and 1 or 0) end
    return count
end

-- Images by part, in order of appearance, and how many patients are in more than one part.
local function count_parts(self)
    local counts, names, part_of, shared, in_two = {}, {}, {}, {}, 0
    for i = 1, #self do
        local part, group = self.part[i], self.group[i]
        if part then
            if not counts[part] then
                counts[part], names[#names + 1] = 0, part
            end
            counts[part] = counts[part] + 1
            if part_of[group] and part_of[group] ~= part and not shared[group] then
                shared[group], in_two = true, in_two + 1
            end
            part_of[group] = part
        end
    end
    for i, name in ipairs(names) do
        names[i] = ("%s %d"):format(name, counts[name])
    end
    return names, in_two
end

-- "3 no image by its name (a.txt, b.gif, ...)" for each reason.
local function describe_left_out(self)
    local reasons, by_reason = {}, {}
    for _, entry in ipairs(self.left_out) do
        if not by_reason[entry.why] then
            by_reason[entry.why] = {}
            reasons[#reasons + 1] = entry.why
        end
        table.insert(by_reason[entry.why], entry.path:match("[^/]*$"))
    end
    for i, why in ipairs(reasons) do
        local names = by_reason[why]
        reasons[i] = ("%d %s (%s%s)"):format(#names, why, table.concat(names, ", ", 1, math.min(3, #names)),
            #names > 3 and ", ..." or "")
    end
    return table.concat(reasons, "; ")
end

-- Where the patients are known from, with the number of images.
local function describe_sources(self)
    local counts, names = {}, {}
    for _, source in ipairs(self.source) do
        if source then
            if not counts[source] then counts[source], names[#names + 1] = 0, source end
            counts[source] = counts[source] + 1
        end
    end
    for i, name in ipairs(names) do names[i] = ("%s (%d of %d images)"):format(name, counts[name], #self) end
    return table.concat(names, ", ")
end

-- Two classes whose names differ in letter case or spaces alone: mostly one class, written in two ways.
local function alike(classes)
    local seen = {}
    for _, name in ipairs(classes) do
        local plain = name:lower():gsub("%s+", "")
        if seen[plain] then return seen[plain], name end
        seen[plain] = name
    end
end

function Frame:__tostring()
    local width = 5
    for _, class in ipairs(self.classes) do width = math.max(width, #class) end
    local format = "  %-" .. width .. "s  %7s  %6s  %8s%s"
    local lines = {
        ("Frame: %d images in %s"):format(#self, self.root),
        (format:format(self.task == "labels" and "label" or "class", "images", "share", "patients",
            self.task == "labels" and "  missing" or "")),
    }
    for class, name in ipairs(self.classes) do
        local images, patients, missing = count_class(self, class)
        lines[#lines + 1] = format:format(name, images, #self > 0 and ("%.1f%%"):format(100 * images / #self) or "-",
            self.groups_known and patients or "unknown", self.task == "labels" and ("  %7d"):format(missing) or "")
    end
    local function add(text, ...) lines[#lines + 1] = ("  " .. text):format(...) end
    if self.task == "detection" then
        local boxes, negative = 0, 0
        for i, list in ipairs(self.boxes) do
            boxes, negative = boxes + #list, negative + (self.label[i] == 0 and 1 or 0)
        end
        add("%d boxes; %d images are known to have none, and of %d nothing is known, which count for nothing", boxes,
            negative, count_unlabelled(self))
    end
    if self.mask then
        local missing = 0
        for _, path in ipairs(self.mask) do missing = missing + (path and 0 or 1) end
        add("masks of %d images%s", #self - missing, missing > 0 and (", %d without"):format(missing) or "")
    end
    if self.task == "binary" then add("the disease is %s, label 1", self.classes[2]) end
    local first, second = alike(self.classes)
    if first then add("! the classes '%s' and '%s' differ in letter case or spaces alone", first, second) end
    local one_each = self.task == "binary" or self.task == "classes"
    local without = one_each and count_unlabelled(self) or 0
    if without > 0 then add("without a label: %d, which count for nothing", without) end
    local parts, in_two = count_parts(self)
    if #parts > 0 then add("parts: %s", table.concat(parts, ", ")) end
    if in_two > 0 and self.groups_known then add("%d patient numbers occur in more than one part", in_two) end
    if self.groups_known and #self > 0 then add("patients by %s", describe_sources(self)) end
    local unknown = self:unknown_patients()
    if unknown > 0 then
        add("! nothing tells the patient of %s: %s split by image, and a patient may be on both sides; say it with %s",
            unknown == #self and "any image" or ("%d images"):format(unknown),
            unknown == #self and "they are" or "these are", self.patient_column
            and ("patient = '%s', if that column holds it"):format(self.patient_column)
            or "patient = PATTERN or a column")
    end
    if #self.left_out > 0 then add("left out: %s", describe_left_out(self)) end
    return table.concat(lines, "\n")
end

args.publish("Frame:", Frame, {
    shuffle = "frame: frame, seed: integer?",
    filter = "frame: frame, keep: function",
    in_part = 'frame: frame, name: "train"|"val"|"test"',
    unknown_patients = "frame: frame",
    split = "frame: frame, options: {val: number(0..1)?, test: number(0..1)?, seed: integer?}?",
    folds = "frame: frame, count: integer(2..1000), options: {seed: integer?}?",
    load = "frame: frame, options: {size: integer(1..4096)?, crop: " .. crop.TYPE
        .. "?, strict: boolean?, progress: function?}?",
    open = "frame: frame, options: {size: integer(1..4096)?, crop: " .. crop.TYPE
        .. "?, reduce: integer(0..16384)?, channels: 1|3?, memory: number(0..)?, cache: path?, strict: boolean?, "
        .. "progress: function?}?",
})

--- A frame of the given columns.
---@return luxel.Frame
return function(columns)
    columns.groups_known = false
    for i = 1, #columns.path do columns.groups_known = columns.groups_known or columns.source[i] ~= false end
    return setmetatable(columns, Frame)
end
