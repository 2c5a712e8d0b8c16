--- A dataset: images in memory as bytes, so that only the first epoch pays for decoding, with labels and patients.

local core = require "luxel.core"
local options = require "luxel.data.options"
local split = require "luxel.data.split"

---@class luxel.Dataset
---@field images luxel.Tensor uint8 [N,1,size,size]
---@field labels luxel.Tensor float32 [N]: 1 positive, 0 negative, NaN missing
---@field paths string[]
---@field groups any[]|false the patient of each image; false where no name told one
---@field classes string[] the names of label 0 and label 1
---@field failed {path: string, message: string}[] files that could not be read, and are not in the rest
---@field boxes table[][]? per image a list of {x, y, w, h} in pixels from the top left, where known
local Dataset = {}
Dataset.__index = Dataset

-- Files decoded in one call: enough to keep all cores busy, few enough for a smooth progress report.
local CHUNK <const> = 64

local dataset = {}

--- A dataset of the given fields.
---@return luxel.Dataset
function dataset.new(fields)
    return setmetatable(fields, Dataset)
end

function Dataset:__len()
    return #self.paths
end

function Dataset:__tostring()
    local positives = 0
    for _, label in ipairs(core.to_table(self.labels)) do
        positives = positives + (label == 1 and 1 or 0)
    end
    local size = self.images.shape[4]
    return ("Dataset: %d images of %dx%d, %d %s and %d %s%s"):format(#self, size, size, #self - positives,
        self.classes[1], positives, self.classes[2],
        #self.failed > 0 and (", %d files could not be read"):format(#self.failed) or "")
end

-- Copies image `from` of `source` to place `to` of `target`.
local function copy_image(target, to, source, from)
    core.copy_(core.narrow(target, 1, to, 1), core.narrow(source, 1, from, 1))
end

--- A new dataset of the images at `indices`, in that order.
---@param indices integer[]
---@return luxel.Dataset
function Dataset:subset(indices)
    local shape = self.images.shape
    local labels, picked = core.to_table(self.labels), {}
    local out = {
        images = core.new({#indices, shape[2], shape[3], shape[4]}, "uint8"),
        paths = {}, groups = self.groups and {}, classes = self.classes, failed = {}, boxes = self.boxes and {},
    }
    for i, from in ipairs(indices) do
        if math.type(from) ~= "integer" or from < 1 or from > #self then
            error(("subset: indices[%d] is %s, expects an integer of 1..%d"):format(i, tostring(from), #self), 2)
        end
        copy_image(out.images, i, self.images, from)
        picked[i], out.paths[i] = labels[from], self.paths[from]
        if out.groups then
            out.groups[i] = self.groups[from]
        end
        if out.boxes then
            out.boxes[i] = self.boxes[from]
        end
    end
    out.labels = core.from_table(picked, "float32")
    return dataset.new(out)
end

--- Training, validation and test datasets, as `Frame:split` makes them; images of unknown patients are split singly.
---@param opts? {val?: number, test?: number, seed?: integer} shares of the images, default 0.15 and 0; seed 1
---@return luxel.Dataset? train, luxel.Dataset|string val, luxel.Dataset|string test nil, message, code where too few
function Dataset:split(opts)
    local train, val, test = split(core.to_table(self.labels), self.groups or self.paths, opts)
    if not train then
        return nil, val, test
    end
    return self:subset(train), self:subset(val), self:subset(test)
end

-- Takes over the decoded images of one chunk: `first` is the chunk's place in the frame.
local function keep_decoded(out, frame, first, decoded, ok, messages)
    for i = 1, #ok do
        local row = first + i - 1
        if ok[i] then
            local n = #out.paths + 1
            copy_image(out.images, n, decoded, i)
            out.paths[n], out.groups[n], out.labels[n] = frame.path[row], frame.group[row], frame.label[row]
        else
            table.insert(out.failed, {path = frame.path[row], message = messages[i]})
        end
    end
end

--- `Frame:load`.
---@param frame luxel.Frame
---@param opts? {size?: integer, strict?: boolean, progress?: fun(done: integer, total: integer)}
---@return luxel.Dataset? dataset, string? message, string? code
function dataset.load(frame, opts)
    opts = options.read("load", opts, {size = 128, strict = false, progress = options.UNSET})
    options.check_number("load", "size", opts.size, 1, 4096, true)
    if #frame == 0 then
        return nil, "load: the frame has no images", "format"
    end
    local total, size = #frame, math.tointeger(opts.size)
    local out = {
        images = core.new({total, 1, size, size}, "uint8"),
        paths = {}, groups = {}, labels = {}, failed = {}, classes = frame.classes,
    }
    for first = 1, total, CHUNK do
        local last = math.min(first + CHUNK - 1, total)
        local decoded, ok, messages = core.decode_images(table.move(frame.path, first, last, 1, {}), size)
        if not decoded then
            return nil, ok, messages
        end
        keep_decoded(out, frame, first, decoded, ok, messages)
        core.free(decoded)
        local bad = out.failed[1]
        if opts.strict and bad then
            return nil, ("%s: %s"):format(bad.path, bad.message), "format"
        end
        if opts.progress then
            opts.progress(last, total)
        end
    end
    if #out.paths == 0 then
        return nil, ("load: none of the %d images could be read; the first, %s: %s"):format(
            total, out.failed[1].path, out.failed[1].message), "format"
    end
    out.images = core.narrow(out.images, 1, 1, #out.paths)
    out.labels = core.from_table(out.labels, "float32")
    out.groups = frame.groups_known and out.groups
    return dataset.new(out)
end

return dataset
