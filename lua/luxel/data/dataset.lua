--- A dataset: images with labels and patients, either in memory as bytes of one size, or decoded from their files when
--- they are first wanted.

local core = require "luxel.core"
local options = require "luxel.data.options"
local split = require "luxel.data.split"

---@class luxel.Dataset
---@field images luxel.Tensor? uint8 [N,C,size,size]; nil where they are in a store
---@field size integer? side of the images that batches give unless told otherwise
---@field labels luxel.Tensor float32 [N]: 1 positive, 0 negative, NaN missing
---@field paths string[]
---@field groups any[]|false the patient of each image; false where no name told one
---@field classes string[] the names of label 0 and label 1
---@field failed {path: string, message: string}[] files that could not be read, and are not in the rest
---@field boxes table[][]? per image a list of {x =, y =, w =, h =, ...} in pixels of the file (of the image where they
---  are in memory) from the top left, where known
---@field masks string[]|luxel.Tensor|nil a mask for each image, of any size in the image's proportion: files, or uint8
---  [N,1,H,W]
---@field memory integer? bytes of decoded images that are kept, and as much again for masks in files
---@field reduce integer? pixels of the shorter side that images and masks in files are reduced to
---@field private store luxel.Store?
---@field private extents table<integer, luxel.ImageInfo>? sizes of files that were asked for
---@field private places integer[]? where in the store each image is
local Dataset = {}
Dataset.__index = Dataset

-- Bytes of decoded images that are kept unless told otherwise.
local MEMORY <const> = 1 << 30

-- Files decoded in one call: enough to keep all cores busy, few enough for a smooth progress report.
local CHUNK <const> = 64

local dataset = {}

--- A dataset of the given fields; images in memory tell the size of batches.
---@return luxel.Dataset
function dataset.new(fields)
    fields.size = fields.size or fields.images and fields.images.shape[4]
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
    local sizes = not self.images and "in their own sizes" or ("of %dx%d"):format(self.size, self.size)
    return ("Dataset: %d images %s, %d %s and %d %s%s"):format(#self, sizes, #self - positives, self.classes[1],
        positives, self.classes[2],
        #self.failed > 0 and (", %d files could not be read"):format(#self.failed) or "")
end

-- Copies image `from` of `source` to place `to` of `target`.
local function copy_image(target, to, source, from)
    core.copy_(core.narrow(target, 1, to, 1), core.narrow(source, 1, from, 1))
end

-- What is picked out of a column or a tensor at `indices`.
local function pick(from, indices)
    if type(from) ~= "table" then return from and core.index_select(from, 1, core.from_table(indices, "int32")) end
    local out = {}
    for i, index in ipairs(indices) do out[i] = from[index] end
    return out
end

--- A new dataset of the images at `indices`, in that order.
---@param indices integer[]
---@return luxel.Dataset
function Dataset:subset(indices)
    for i, from in ipairs(indices) do
        if math.type(from) ~= "integer" or from < 1 or from > #self then
            error(("subset: indices[%d] is %s, expects an integer of 1..%d"):format(i, tostring(from), #self), 2)
        end
    end
    return dataset.new {
        images = pick(self.images, indices), labels = pick(self.labels, indices), paths = pick(self.paths, indices),
        groups = pick(self.groups, indices), boxes = pick(self.boxes, indices), masks = pick(self.masks, indices),
        classes = self.classes, failed = {}, size = self.size, reduce = self.reduce, memory = self.memory,
        store = self.store,
        places = self.store and (self.places and pick(self.places, indices) or table.move(indices, 1, #indices, 1, {})),
    }
end

-- The store of a tensor of images.
local function store_over(images) return core.store_images(core.to_device(images, "cpu")) end

--- Where batches come from: decoded images by number, and which of them each image is (nil: the one of its own number).
---@return luxel.Store store, integer[]? places
function Dataset:source()
    if self.store then return self.store, self.places end
    if not rawequal(self.stored, self.images) then -- == compares elements
        self.stored, self.over_images = self.images, store_over(self.images)
    end
    return self.over_images
end

--- The masks by number, or nil where there are none. Those in files are reduced as the images are.
---@return luxel.Store?
function Dataset:mask_source()
    if not self.masks then return nil end
    if not rawequal(self.stored_masks, self.masks) then
        self.stored_masks = self.masks
        self.over_masks = type(self.masks) ~= "table" and store_over(self.masks)
            or assert(core.store_files(self.masks, {side = self.reduce, memory = self.memory or MEMORY, labels = true}))
    end
    return self.over_masks
end

--- Height and width in which boxes are given: of the file, or of the image in memory.
---@param i integer
---@return integer height, integer width
function Dataset:extent(i)
    if self.images then return self.images.shape[3], self.images.shape[4] end
    self.extents = self.extents or {}
    self.extents[i] = self.extents[i] or assert(core.probe_image(self.paths[i]))
    return self.extents[i].height, self.extents[i].width
end

--- One image as it is stored.
---@param i integer
---@return luxel.Tensor? image uint8 (float32 on the scale 0..255 where the file has more than 8 bits) [C,H,W]
---@return string? message, string? code
function Dataset:image(i)
    local store, places = self:source()
    return store:image(places and places[i] or i)
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

-- Decodes all images of a store into its cache file; an interrupt leaves no half of it.
local function build_cache(store, total, progress)
    for first = 1, total, CHUNK do
        local last = math.min(first + CHUNK - 1, total)
        local done, message, code = store:add(first, last)
        if not done then return nil, message, code end
        if progress then progress(last, total) end
    end
    return store:finish()
end

-- What is not in the cache because it cannot be read, with the reasons, and the places of the rest.
local function sort_out(store, frame)
    local failed, rows, missing = {}, {}, {}
    for _, i in ipairs(store:missing()) do
        local _, message = store:image(i)
        missing[i] = message or "it was left out of the cache"
    end
    for i = 1, #frame do
        if missing[i] then
            failed[#failed + 1] = {path = frame.path[i], message = missing[i]}
        else
            rows[#rows + 1] = i
        end
    end
    return failed, rows
end

local OPEN <const> = {
    size = 224, reduce = 0, channels = 1, memory = MEMORY, cache = options.UNSET, strict = false,
    progress = options.UNSET,
}

--- `Frame:open`.
---@param frame luxel.Frame
---@param opts? table
---@return luxel.Dataset? dataset, string? message, string? code
function dataset.open(frame, opts)
    opts = options.read("open", opts, OPEN)
    options.check_number("open", "size", opts.size, 1, 4096, true)
    options.check_number("open", "reduce", opts.reduce, 0, 16384, true)
    options.check_number("open", "memory", opts.memory, 0, math.huge)
    if opts.channels ~= 1 and opts.channels ~= 3 then error("open: channels expects 1 or 3", 3) end
    if #frame == 0 then return nil, "open: the frame has no images", "format" end
    local store, message, code = core.store_files(frame.path, {
        channels = opts.channels, side = opts.reduce, memory = opts.memory, cache = opts.cache,
    })
    if not store then return nil, message, code end
    local failed, rows = {}, nil
    if opts.cache then
        if not store:info().cached then
            local done
            done, message, code = build_cache(store, #frame, opts.progress)
            if not done then
                store:close()
                return nil, message, code
            end
        end
        failed, rows = sort_out(store, frame)
        if opts.strict and failed[1] then return nil, failed[1].message, "format" end
        if #rows == 0 then
            return nil, ("open: none of the %d images could be read; the first: %s"):format(#frame, failed[1].message),
                "format"
        end
    end
    local whole = dataset.new {
        store = store, size = opts.size, reduce = opts.reduce, memory = opts.memory, paths = frame.path,
        labels = core.from_table(frame.label, "float32"),
        groups = frame.groups_known and frame.group, classes = frame.classes, failed = {},
    }
    if not rows or #rows == #frame then return whole end
    local rest = whole:subset(rows)
    rest.failed = failed
    return rest
end

return dataset
