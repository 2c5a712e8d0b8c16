--- A dataset: images with labels and patients, either in memory as bytes of one size, or decoded from their files when
--- they are first wanted.

local args = require "luxel.args"
local core = require "luxel.core"
local crop = require "luxel.data.crop"
local namespace = require "luxel.namespace"
local splitting = require "luxel.data.split"

---@class luxel.Dataset
---@field images luxel.Tensor? uint8 [N,C,size,size]; nil where they are in a store
---@field size integer? default side of the images of batches
---@field crop "lungs"|nil the part of the films that the images are, nil for all
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection" see luxel.Frame
---@field labels luxel.Tensor float32, NaN missing: [N] of 0 (negative) and 1, or of class numbers from 0; [N,K] of 0
---  and 1; of a segmentation [N], 0 where there is a mask; of a detection [N], 1 where there are objects, 0 where it is
---  known that there are none
---@field paths string[]
---@field groups any[]|false the patient of each image; false where no patient is known
---@field classes string[] the names of label 0 and label 1; of label 0, 1, 2, ...; of the K labels;
---  of what the masks show; of the objects in boxes
---@field failed {path: string, message: string, code: string}[] files that could not be read, and are not in the rest
---@field boxes table[][]? per image a list of {x =, y =, w =, h =, ...} in pixels of the file (of the image where they
---  are in memory) from the top left, where known; of a detection with `label`, one of the classes, which may be left
---  out where there is one; crowd = true: many, or a difficult one, which is not learnt and counts for nothing
---@field masks (string|false)[]|luxel.Tensor|nil a mask for each image, of any size in the image's proportion, not 0
---  inside: files (false where there is none), or uint8 [N,1,H,W]
---@field memory integer? bytes of decoded images that are kept, and as much again for masks in files
---@field reduce integer? pixels of the shorter side that images and masks in files are reduced to
---@field private store luxel.Store?
---@field private extents table<integer, luxel.ImageInfo>? sizes of files that were asked for
---@field private places integer[]? where in the store each image is
---@field private pixels integer[]? hashes of the pixels of each image, where its file was decoded for it
local Dataset = namespace.class("Dataset", {}, {"class_places", "images", "size", "crop", "groups", "boxes", "masks",
    "memory", "reduce", "store", "places", "extents", "stored", "over_images", "stored_masks", "over_masks",
    "mask_places", "pixels"})

args.type("dataset", "a dataset", "table", function(value) return getmetatable(value) == Dataset end)

-- Default bytes of decoded images that are kept.
local MEMORY <const> = 1 << 30

-- Files decoded in one call: enough to keep all cores busy, few enough for a smooth progress report.
local CHUNK <const> = 64

local dataset = {}

local function task_of(fields)
    if fields.labels.ndim == 2 then return "labels" end
    return #fields.classes == 2 and "binary" or "classes"
end

--- A dataset of the given fields; images in memory tell the size of batches.
---@return luxel.Dataset
function dataset.new(fields)
    fields.size = fields.size or fields.images and fields.images.shape[4]
    fields.task = fields.task or task_of(fields)
    return setmetatable(fields, Dataset)
end

function Dataset:__len()
    return #self.paths
end

-- The number of each class of a detection by its name.
local function places_of(classes)
    local places = {}
    for k, name in ipairs(classes) do places[name] = k end
    return places
end

--- The class of a box of a detection, from 1. One that is none of the dataset's is an error.
---@param i integer the image
---@param box {label: string?}
---@return integer
function Dataset:class_of(i, box)
    if self.class_places == nil then self.class_places = places_of(self.classes) end
    local place = box.label == nil and #self.classes == 1 and 1 or self.class_places[box.label]
    if not place then
        args.fail("Dataset:class_of: box: expected one with a label of %s, got %s in %s",
            table.concat(self.classes, ", "), args.describe(box.label), self.paths[i])
    end
    return place
end

-- Adds up the boxes of each class, and the images of which nothing is known.
local function count_objects(self, counts)
    local missing = 0
    for i, label in ipairs(core.to_table(self.labels)) do
        if label ~= label then missing = missing + 1 end
        for _, box in ipairs(label == 1 and self.boxes[i] or {}) do
            local k = self:class_of(i, box)
            counts[k] = counts[k] + 1
        end
    end
    return counts, missing
end

--- How many images each class has; of several labels, how many have each; of a detection how many objects; and how many
--- images have no label at all.
---@return integer[] counts in the order of `classes`
---@return integer missing
function Dataset:counts()
    local counts, missing = {}, 0
    for k = 1, #self.classes do counts[k] = 0 end
    if self.task == "detection" then return count_objects(self, counts) end
    for _, label in ipairs(core.to_table(self.labels)) do
        if type(label) == "table" then
            local known = false
            for k, value in ipairs(label) do
                counts[k] = counts[k] + (value == 1 and 1 or 0)
                known = known or value == value
            end
            missing = missing + (known and 0 or 1)
        elseif label ~= label then
            missing = missing + 1
        else
            local class = math.tointeger(label) + 1
            counts[class] = counts[class] + 1
        end
    end
    return counts, missing
end

function Dataset:__tostring()
    local counts, missing = self:counts()
    local words = {}
    for k, name in ipairs(self.classes) do words[k] = ("%d %s"):format(counts[k], name) end
    local sizes = not self.images and "in their own sizes" or ("of %dx%d"):format(self.images.shape[4],
        self.images.shape[3])
    local shown = #words <= 4 and table.concat(words, #words == 2 and " and " or ", ")
        or ("%s, ... (%d %s)"):format(table.concat(words, ", ", 1, 3), #words, self.task)
    return ("Dataset: %d images %s, %s%s%s"):format(#self, sizes, shown,
        missing > 0 and (", %d without a label"):format(missing) or "",
        #self.failed > 0 and (", not read: %d"):format(#self.failed) or "")
end

-- Copies image `from` of `source` to place `to` of `target`.
local function copy_image(target, to, source, from)
    core.copy_(core.narrow(target, 1, to, 1), core.narrow(source, 1, from, 1))
end

-- The elements of a column or a tensor at `indices`.
local function pick(from, indices)
    if type(from) ~= "table" then return from and core.index_select(from, 1, core.from_table(indices, "int32")) end
    local out = {}
    for i, index in ipairs(indices) do out[i] = from[index] end
    return out
end

-- The place of an image, which has to be there.
local function check_place(self, where, i)
    if i < 1 or i > #self then
        args.fail("Dataset:%s: there is no image %s, they are numbered from 1 to %d", where, args.describe(i), #self)
    end
    return math.tointeger(i)
end

--- A new dataset of the images at `indices`, in that order.
---@param indices integer[]
---@return luxel.Dataset
function Dataset:subset(indices)
    local places = {}
    for i, from in ipairs(indices) do places[i] = check_place(self, "subset: indices", from) end
    indices = places
    return dataset.new {
        images = pick(self.images, indices), labels = pick(self.labels, indices), paths = pick(self.paths, indices),
        groups = pick(self.groups, indices), boxes = pick(self.boxes, indices), masks = pick(self.masks, indices),
        classes = self.classes, task = self.task, failed = {}, size = self.size, crop = self.crop, reduce = self.reduce,
        memory = self.memory, store = self.store, pixels = pick(self.pixels, indices),
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

-- The paths of the masks that there are, and which of them each image has, 0 for none.
local function known_masks(masks)
    local paths, places = {}, {}
    for i, path in ipairs(masks) do
        if path then paths[#paths + 1] = path end
        places[i] = path and #paths or 0
    end
    return paths, places
end

--- The masks by number, or nil where there are none, and which of them each image has (0: none; nil: the one of its own
--- number). Those in files are reduced as the images are.
---@return luxel.Store?, integer[]? places
function Dataset:mask_source()
    if not self.masks then return nil end
    if not rawequal(self.stored_masks, self.masks) then
        self.stored_masks, self.mask_places = self.masks, nil
        if type(self.masks) ~= "table" then
            self.over_masks = store_over(self.masks)
        else
            local paths
            paths, self.mask_places = known_masks(self.masks)
            self.over_masks = assert(core.store_files(paths, {
                side = self.reduce, memory = self.memory or MEMORY, labels = true,
            }))
        end
    end
    return self.over_masks, self.mask_places
end

--- The mask of an image as it is stored, or nil where it has none.
---@param i integer
---@return luxel.Tensor? mask uint8 [1,H,W], not 0 inside
---@return string? message, string? code where its file cannot be read
function Dataset:mask(i)
    i = check_place(self, "mask: i", i)
    local masks, places = self:mask_source()
    local place = masks and (places and places[i] or i) or 0
    if place == 0 then return nil end
    return masks:image(place)
end

--- Height and width in which boxes are given: of the file, or of the image in memory.
---@param i integer
---@return integer height, integer width
function Dataset:extent(i)
    i = check_place(self, "extent: i", i)
    if self.images then return self.images.shape[3], self.images.shape[4] end
    self.extents = self.extents or {}
    if not self.extents[i] then
        local info, message = core.probe_image(self.paths[i])
        if not info then args.fail("Dataset:extent: %s", message) end
        self.extents[i] = info
    end
    return self.extents[i].height, self.extents[i].width
end

--- One image as it is stored.
---@param i integer
---@return luxel.Tensor? image uint8 (float32 on the scale 0..255 where the file has more than 8 bits) [C,H,W]
---@return string? message, string? code
function Dataset:image(i)
    i = check_place(self, "image: i", i)
    local store, places = self:source()
    return store:image(places and places[i] or i)
end

--- Hashes of the decoded pixels of each image, whatever its file is called; 0 where it was not
--- read yet. Images in memory that come from no file are known by their samples.
---@return integer[]
function Dataset:hashes()
    if self.pixels then return self.pixels end
    local store, places = self:source()
    local all = store:hashes()
    return places and pick(all, places) or all
end

--- Training, validation and test datasets, as `Frame:split` makes them; images of unknown patients are split singly.
---@param options? {val?: number, test?: number, seed?: integer} val: share of the images, default 0.15; test: default
--- 0; seed: default 1
---@return luxel.Dataset? train, luxel.Dataset|string val, luxel.Dataset|string test nil, message, code where too few
function Dataset:split(options)
    local train, val, test = splitting.split("Dataset:split", core.to_table(self.labels),
        self.groups or self.paths, options)
    if not train then
        return nil, val, test
    end
    return self:subset(train), self:subset(val), self:subset(test)
end

--- Training and validation datasets for cross-validation, as `Frame:folds` makes them.
---@param count integer how many, at least 2
---@param options? {seed?: integer} default 1
---@return {train: luxel.Dataset, val: luxel.Dataset}[]? folds, string? message, string? code with too few patients
function Dataset:folds(count, options)
    local folds, message, code = splitting.folds("Dataset:folds", core.to_table(self.labels),
        self.groups or self.paths, count, options)
    if not folds then return nil, message, code end
    for k, fold in ipairs(folds) do folds[k] = {train = self:subset(fold.train), val = self:subset(fold.val)} end
    return folds
end

--- A fold for each group of images, such as the styles of `lx.data.styles` or the hospitals they came from: what is
--- learnt without it is judged on it. Of the other images, those of its patients are in neither part.
---@param groups any[] the group of each image, any value; false where an image is of none, and always trained on
---@return {group: any, train: luxel.Dataset, val: luxel.Dataset}[]? folds in the order in which groups are first met
---@return string? message, string? code where nothing is left to train on
function Dataset:leave_group_out(groups)
    if #groups ~= #self then
        args.fail("Dataset:leave_group_out: groups: expected one for each of %d images, got %d", #self, #groups)
    end
    local folds, message, code = splitting.leave_group_out("Dataset:leave_group_out", self.groups or self.paths, groups)
    if not folds then return nil, message, code end
    for _, fold in ipairs(folds) do fold.train, fold.val = self:subset(fold.train), self:subset(fold.val) end
    return folds
end

-- Boxes of a file in pixels of the image that it became.
local function scale_boxes(boxes, path, shape)
    if #boxes == 0 then return boxes end
    local info, out = core.probe_image(path), {}
    local across, down = shape[4] / info.width, shape[3] / info.height
    for i, box in ipairs(boxes) do
        out[i] = {
            x = box.x * across, y = box.y * down, w = box.w * across, h = box.h * down, label = box.label,
            crowd = box.crowd,
        }
    end
    return out
end

-- Takes over the decoded images of one chunk: `first` is the chunk's place in the frame.
local function keep_decoded(out, frame, first, decoded, ok, messages, codes, hashes)
    for i = 1, #ok do
        local row = first + i - 1
        if ok[i] then
            local n = #out.paths + 1
            copy_image(out.images, n, decoded, i)
            out.paths[n], out.groups[n], out.labels[n] = frame.path[row], frame.group[row], frame.label[row]
            out.pixels[n] = hashes[i]
            if frame.boxes then out.boxes[n] = scale_boxes(frame.boxes[row], frame.path[row], out.images.shape) end
        else
            table.insert(out.failed, {path = frame.path[row], message = messages[i], code = codes[i]})
        end
    end
end

-- Raises where boxes or masks would be of whole films, and the images are not.
local function check_crop(name, frame, kind)
    local other = frame.boxes and "boxes" or frame.mask and "masks"
    if kind and other then
        args.fail("%s: options: option 'crop': the frame has %s, which are of whole films; leave it out", name, other)
    end
end

--- `Frame:load`.
---@param frame luxel.Frame
---@param options? {size?: integer, crop?: string, strict?: boolean, progress?: fun(done: integer, total: integer)}
---@return luxel.Dataset? dataset, string? message, string? code
function dataset.load(frame, options)
    local opts = args.with_defaults(options, {size = 128})
    if #frame == 0 then
        return nil, "load: the frame has no images", "format"
    end
    local total, size = #frame, math.tointeger(opts.size)
    local out = {
        images = core.new({total, 1, size, size}, "uint8"),
        paths = {}, groups = {}, labels = {}, failed = {}, pixels = {}, classes = frame.classes, task = frame.task,
        boxes = frame.boxes and {}, crop = opts.crop,
    }
    check_crop("Frame:load", frame, opts.crop)
    if frame.mask then
        args.fail("Frame:load: images with masks keep their own sizes, in which masks fit them; use open instead")
    end
    for first = 1, total, CHUNK do
        local last = math.min(first + CHUNK - 1, total)
        local paths = table.move(frame.path, first, last, 1, {})
        local decoded, ok, messages, codes, hashes = core.decode_images(paths, size, opts.crop == "lungs")
        if not decoded then
            return nil, ok, messages
        end
        keep_decoded(out, frame, first, decoded, ok, messages, codes, hashes)
        core.free(decoded)
        local bad = out.failed[1]
        if opts.strict and bad then
            return nil, ("%s: %s"):format(bad.path, bad.message), bad.code
        end
        if opts.progress then
            opts.progress(last, total)
        end
    end
    if #out.paths == 0 then
        return nil, ("load: none of the %d images could be read; the first, %s: %s"):format(
            total, out.failed[1].path, out.failed[1].message), out.failed[1].code
    end
    out.images = core.narrow(out.images, 1, 1, #out.paths)
    out.labels = core.from_table(out.labels, "float32")
    out.groups = frame.groups_known and out.groups
    return dataset.new(out)
end

-- Decodes all images of a store into its cache file; an interrupt leaves no half of it. Where an image cannot be read
-- for a reason that may pass (memory, permissions, the disk) none is made: it would lack that image for ever.
local function build_cache(store, total, progress)
    for first = 1, total, CHUNK do
        local last = math.min(first + CHUNK - 1, total)
        local done, message, code = store:add(first, last)
        if not done then return nil, message, code end
        if progress then progress(last, total) end
    end
    return store:finish()
end

-- The images that are not in the cache because their files are none, with the reasons, and the places of the rest.
local function sort_out(store, frame)
    local failed, rows, refused = {}, {}, store:refused()
    for i = 1, #frame do
        if refused[i] then
            failed[#failed + 1] = {path = frame.path[i], message = refused[i], code = "format"}
        else
            rows[#rows + 1] = i
        end
    end
    return failed, rows
end

local OPEN <const> = {size = 224, reduce = 0, channels = 1, memory = MEMORY}

--- `Frame:open`.
---@param frame luxel.Frame
---@param options? table
---@return luxel.Dataset? dataset, string? message, string? code
function dataset.open(frame, options)
    local opts = args.with_defaults(options, OPEN)
    if #frame == 0 then return nil, "open: the frame has no images", "format" end
    check_crop("Frame:open", frame, opts.crop)
    local store, message, code = core.store_files(frame.path, {
        channels = opts.channels, side = opts.reduce, lungs = opts.crop == "lungs", memory = opts.memory,
        cache = opts.cache,
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
        store = store, size = opts.size, crop = opts.crop, reduce = opts.reduce, memory = opts.memory,
        paths = frame.path,
        labels = core.from_table(frame.label, "float32"),
        groups = frame.groups_known and frame.group, classes = frame.classes, task = frame.task, failed = {},
        boxes = frame.boxes, masks = frame.mask,
    }
    if not rows or #rows == #frame then return whole end
    local rest = whole:subset(rows)
    rest.failed = failed
    return rest
end

-- Labels as a tensor, which have to fit the images and the classes.
local function check_labels(opts, count)
    local labels = opts.labels
    if not core.is_tensor(labels) then
        local width = type(labels[1]) == "table" and #labels[1] or nil
        for i, label in ipairs(labels) do
            if (type(label) == "table" and #label or nil) ~= width then
                args.fail("dataset: options: option 'labels': image %d: expected %s, as of the first image, got %s", i,
                    width and ("%d labels"):format(width) or "one label",
                    type(label) == "table" and #label or args.describe(label))
            end
        end
        labels = core.from_table(labels, "float32")
    end
    local shape = labels.shape
    if labels.ndim > 2 or shape[1] ~= count then
        args.fail("dataset: options: option 'labels': expected a label for each of %d images, [%d] or [%d,K], got "
            .. "[%s]", count,
            count, count, table.concat(shape, ","))
    end
    if labels.ndim == 2 and shape[2] == 1 and opts.task ~= "labels" then labels = core.view(labels, {count}) end
    return core.to_device(labels:float(), "cpu")
end

-- What a label may be: a class number, or 0 and 1; NaN where it is missing.
local function check_values(labels, classes, several)
    for i, label in ipairs(core.to_table(labels)) do
        for _, value in ipairs(several and label or {label}) do
            local most = several and 1 or #classes - 1
            if value == value and (value < 0 or value > most or value % 1 ~= 0) then
                args.fail("dataset: options: option 'labels': image %d: expected %s, got %s", i, several
                    and "0, 1 or NaN"
                    or ("a class number from 0 to %d, or NaN"):format(most), value)
            end
        end
    end
end

local function default_names(labels)
    if labels.ndim == 2 then
        local names = {}
        for k = 1, labels.shape[2] do names[k] = "label " .. k end
        return names
    end
    local most = 1
    for _, label in ipairs(core.to_table(labels)) do
        if label == label and label > most then most = label end
    end
    if most <= 1 then return {"negative", "positive"} end
    local names = {}
    for k = 0, most do names[#names + 1] = ("class %d"):format(k) end
    return names
end

-- Whether a table is a box with an area.
local function is_box(box)
    local ok = type(box) == "table"
    for _, side in ipairs(ok and {"x", "y", "w", "h"} or {}) do
        local value = box[side]
        ok = ok and type(value) == "number" and value - value == 0
    end
    return ok and box.w > 0 and box.h > 0
end

-- Of a detection: which images have objects, by their boxes; of those with false instead nothing is known.
local function read_boxes(opts, count)
    if not opts.boxes or opts.labels then
        args.fail("dataset: options: %s", opts.labels and "option 'labels': boxes tell which images have objects; "
            .. "leave it out" or "the option 'boxes' is needed")
    end
    local labels, classes, known = {}, opts.classes or {"object"}, places_of(opts.classes or {"object"})
    for i = 1, count do
        local boxes = opts.boxes[i]
        labels[i] = not boxes and 0 / 0 or #boxes > 0 and 1 or 0
        for k, box in ipairs(boxes or {}) do
            if not is_box(box) then
                args.fail("dataset: options: option 'boxes': image %d: expected {x =, y =, w =, h =} with w and h "
                    .. "above 0, got another at place %d", i, k)
            elseif not known[box.label] and (box.label ~= nil or #classes > 1) then
                args.fail("dataset: options: option 'boxes': image %d: expected a label of %s, got %s at place %d", i,
                    table.concat(classes, ", "), args.describe(box.label), k)
            end
        end
    end
    return "detection", check_labels({labels = labels}, count), classes
end

-- What the options of `dataset.of` ask, and its labels and classes.
local function read_targets(opts, count)
    if opts.task == "detection" then return read_boxes(opts, count) end
    if opts.masks and (opts.task == "segmentation" or not opts.labels) then
        local labels = check_labels({labels = opts.labels or core.fill_(core.new({count}, "float32"), 0)}, count)
        local classes = opts.classes or {"mask"}
        if labels.ndim ~= 1 or #classes ~= 1 then
            args.fail("dataset: options: a segmentation has masks of one class, got %d classes and labels [%s]",
                #classes, table.concat(labels.shape, ","))
        end
        return "segmentation", labels, classes
    elseif not opts.labels or opts.task == "segmentation" then
        args.fail("dataset: options: the option '%s' is needed", opts.labels and "masks" or "labels")
    end
    local labels = check_labels(opts, count)
    local classes = opts.classes or default_names(labels)
    local several = labels.ndim == 2
    local task = opts.task or several and "labels" or #classes == 2 and "binary" or "classes"
    if (task == "labels") ~= several or task == "binary" and #classes ~= 2 or several
        and #classes ~= labels.shape[2] then
        args.fail("dataset: options: %d classes and labels [%s] do not make the task '%s'", #classes,
            table.concat(labels.shape, ","), task)
    end
    return task, labels, classes
end

local function check_masks(masks, count)
    if core.is_tensor(masks) then
        if masks.dtype ~= "uint8" or masks.ndim ~= 4 or masks.shape[1] ~= count or masks.shape[2] ~= 1 then
            args.fail("dataset: options: option 'masks': expected uint8 [%d,1,H,W], got %s", count,
                args.describe(masks))
        end
    elseif masks and #masks ~= count then
        args.fail("dataset: options: option 'masks': expected one for each of %d images, got %d", count, #masks)
    end
end

--- A dataset of images in memory.
---@param options {images: Tensor, labels: Tensor|number[]|number[][]|nil, classes: string[]?, task:
---  "binary"|"classes"|"labels"|"segmentation"|"detection"|nil, patients: any[]?, paths: string[]?,
---  boxes: (table[]|false)[]?, masks: Tensor|string[]?, size: integer?, crop: "lungs"|nil} images: uint8 or float32,
---  both of 0..255, [N,1,H,W] or [N,3,H,W]; labels: a number of each image (0 negative, 1 positive; of more classes
---  from 0), or [N,K] of 0 and 1 for K labels that do not exclude each other; NaN is a missing one; task: what the
---  labels are, where their shape does not tell it ("classes" for two of a softmax); masks: uint8 [N,1,H,W] or files,
---  not 0 inside; without labels they are the targets, and with the task "segmentation" labels say for which images: 0
---  with a mask, NaN without; boxes: of each image a list; with the task "detection" they are the targets, false where
---  nothing is known of an image; patients: so that a split has each of them on one side; size: of batches, default W;
---  crop: the part of films that they show
---@return luxel.Dataset
function dataset.of(options)
    local images = options.images
    if images.ndim ~= 4 or (images.shape[2] ~= 1 and images.shape[2] ~= 3) or images.dtype == "int32" then
        args.fail("dataset: options: option 'images': expected uint8 or float32 [N,1,H,W] or [N,3,H,W], got %s",
            args.describe(images))
    end
    local count, seen = images.shape[1], {}
    for _, name in ipairs(options.classes or {}) do
        if seen[name] then args.fail("dataset: options: option 'classes': '%s' comes twice", name) end
        seen[name] = true
    end
    local task, labels, classes = read_targets(options, count)
    if task ~= "detection" then check_values(labels, classes, labels.ndim == 2) end
    check_masks(options.masks, count)
    local paths, boxes = options.paths, options.boxes
    for _, name in ipairs {"patients", "paths", "boxes"} do
        if options[name] and #options[name] ~= count then
            args.fail("dataset: options: option '%s': expected one for each of %d images, got %d", name, count,
                #options[name])
        end
    end
    if not paths then
        paths = {}
        for i = 1, count do paths[i] = "image " .. i end
    end
    if task == "detection" then
        boxes = {}
        for i = 1, count do boxes[i] = options.boxes[i] or {} end
    end
    return dataset.new {
        images = images, labels = labels, classes = classes, task = task, groups = options.patients or false,
            paths = paths,
        boxes = boxes, masks = options.masks, size = options.size, crop = options.crop, failed = {},
    }
end

dataset.of = args.public("dataset", "options: {images: tensor, labels: tensor|table?, classes: text[]?, "
    .. "task: \"binary\"|\"classes\"|\"labels\"|\"segmentation\"|\"detection\"?, patients: table?, paths: text[]?, "
    .. "boxes: any[]?, "
    .. "masks: tensor|text[]?, size: integer(1..4096)?, crop: " .. crop.TYPE .. "?}", dataset.of)

args.publish("Dataset:", Dataset, {
    subset = "dataset: dataset, indices: integer[]",
    source = "dataset: dataset", mask_source = "dataset: dataset",
    extent = "dataset: dataset, i: integer", image = "dataset: dataset, i: integer", counts = "dataset: dataset",
    hashes = "dataset: dataset", mask = "dataset: dataset, i: integer",
    class_of = "dataset: dataset, i: integer, box: {x: finite?, y: finite?, w: finite?, h: finite?, label: text?, "
        .. "crowd: boolean?, score: finite?}",
    split = "dataset: dataset, options: {val: number(0..1)?, test: number(0..1)?, seed: integer?}?",
    folds = "dataset: dataset, count: integer(2..1000), options: {seed: integer?}?",
    leave_group_out = "dataset: dataset, groups: table",
})

return dataset
