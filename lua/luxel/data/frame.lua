--- A frame: a table of image files with their label, patient and part, before any of them is read.

local dataset = require "luxel.data.dataset"
local random = require "luxel.random"
local split = require "luxel.data.split"

---@class luxel.Frame
---@field path string[]
---@field label integer[] 0 negative, 1 positive
---@field group string[] the patient; the path where it is not known
---@field part (string|false)[] "train", "val" or "test" where the folder says so
---@field classes string[] the names of label 0 and label 1
---@field groups_known boolean whether any file name tells its patient
---@field root string the folder it was read from
local Frame = {}

local COLUMNS <const> = {"path", "label", "group", "part"}

-- frame[i] is the i-th row.
function Frame.__index(self, key)
    if math.type(key) ~= "integer" then
        return Frame[key]
    end
    local path = self.path[key]
    return path and {path = path, label = self.label[key], group = self.group[key], part = self.part[key]}
end

function Frame:__len()
    return #self.path
end

-- The rows at `positions`, in that order.
local function take(self, positions)
    local out = {classes = self.classes, groups_known = self.groups_known, root = self.root}
    for _, name in ipairs(COLUMNS) do
        local from, column = self[name], {}
        for i, position in ipairs(positions) do
            column[i] = from[position]
        end
        out[name] = column
    end
    return setmetatable(out, Frame)
end

--- A new frame with the rows in random order.
---@param seed? integer default 1
---@return luxel.Frame
function Frame:shuffle(seed)
    return take(self, random.stream(seed or 1):permutation(#self))
end

--- A new frame with the rows for which `keep(row, i)` is true; a row has path, label, group and part.
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

--- The rows that the folder puts into `name` ("train", "val" or "test").
---@return luxel.Frame
function Frame:in_part(name)
    return self:filter(function(row) return row.part == name end)
end

--- Training, validation and test frames, no patient in two of them, each with about the same share of positives.
---@param opts? {val?: number, test?: number, seed?: integer} shares of the images, default 0.15 and 0; seed 1
---@return luxel.Frame? train, luxel.Frame|string val, luxel.Frame|string test nil, message, code with too few patients
function Frame:split(opts)
    local train, val, test = split(self.label, self.group, opts)
    if not train then
        return nil, val, test
    end
    return take(self, train), take(self, val), take(self, test)
end

--- Reads the images: decoded in parallel, grey, resized to `size` x `size`, kept in memory as bytes.
---@param opts? {size?: integer, strict?: boolean, progress?: fun(done: integer, total: integer)} size 128 pixels.
---  A file that cannot be read is listed in `failed`, or with `strict` ends the reading.
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:load(opts)
    return dataset.load(self, opts)
end

--- A dataset of the images in their own sizes, each decoded when a batch first wants it; batches bring them to `size`.
---
--- Decoded images stay in memory up to a limit. With `cache` all of them are decoded at once, into one file on disk
--- that is used again as long as the images, their times of change and these options are the same; a damaged or
--- foreign file is made anew. With `reduce`, larger images are kept at that length of their shorter side: twice the
--- size of what the network sees loses nothing that it could see, and is read much faster.
---@param opts? {size?: integer, reduce?: integer, channels?: integer, memory?: integer, cache?: string,
---  strict?: boolean, progress?: fun(done: integer, total: integer)} size 224 pixels, reduce 0 (never), channels 1,
---  memory 1 GiB (and as much again for masks, where there are some). A file that cannot be read is listed in
---  `failed` where there is a cache (an error with `strict`); without one it is an error of the batch that needs it.
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:open(opts)
    return dataset.open(self, opts)
end

-- What the rows hold, one class: images and patients.
local function count_class(self, label)
    local images, patients, seen = 0, 0, {}
    for i = 1, #self do
        if self.label[i] == label then
            images = images + 1
            if not seen[self.group[i]] then
                seen[self.group[i]], patients = true, patients + 1
            end
        end
    end
    return images, patients
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

function Frame:__tostring()
    local width = math.max(#self.classes[1], #self.classes[2], 5)
    local form = "  %-" .. width .. "s  %7s  %6s  %8s"
    local lines = {
        ("Frame: %d images in %s"):format(#self, self.root),
        form:format("class", "images", "share", "patients"),
    }
    for label = 0, 1 do
        local images, patients = count_class(self, label)
        lines[#lines + 1] = form:format(self.classes[label + 1], images,
            #self > 0 and ("%.1f%%"):format(100 * images / #self) or "-", self.groups_known and patients or "unknown")
    end
    local parts, in_two = count_parts(self)
    if #parts > 0 then
        lines[#lines + 1] = "  parts: " .. table.concat(parts, ", ")
    end
    if in_two > 0 and self.groups_known then
        lines[#lines + 1] = ("  %d patient numbers occur in more than one part"):format(in_two)
    end
    return table.concat(lines, "\n")
end

--- A frame of the given columns.
---@return luxel.Frame
return function(columns)
    return setmetatable(columns, Frame)
end
