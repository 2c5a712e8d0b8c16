--- The contents of a folder of radiographs, and its mistakes: `lx.data.audit(dir)`.

local args = require "luxel.args"
local core = require "luxel.core"
local image_folder = require "luxel.data.image_folder"
local namespace = require "luxel.namespace"
local quality = require "luxel.vision.quality"
local shortcuts = require "luxel.data.shortcuts"

-- Files read in one call: enough to keep all cores busy, few enough for a smooth progress report.
local CHUNK <const> = 64

-- Bits of 64 in which the hashes of near duplicates differ at most, and how alike their thumbnails must be. Both are
-- needed: among 5,216 radiographs of children, pairs of different ones come to 0.975.
local NEAR_BITS <const>, NEAR_CORRELATION <const> = 10, 0.985

-- Limits of images that are blank, or hard to see anything on: levels of 255, as in quality.lua.
local BLANK_DEVIATION <const>, FLAT_RANGE <const>, DARK <const>, BRIGHT <const>, SMALL <const> = 4, 50, 40, 225, 128

---@class luxel.Audit
---@field frame luxel.Frame
---@field records table[] for each image what `core.survey` says, or false where it cannot be read
---@field unreadable {path: string, message: string, code: string}[]
---@field classes table[] name, images, patients, histogram (shares of 64 levels) of each class
---@field parts table[] name, images, and classes (images of each) of train, val, test, where there are such
---@field sizes table width and height: least, median, most; distinct: number of different sizes
---@field formats table<string, integer>
---@field bits table<integer, integer> images by the bits of their samples
---@field coloured integer images with colours
---@field duplicates integer[][] groups of images whose pixels are the same
---@field near {a: integer, b: integer, distance: integer, correlation: number}[] pairs that look the same
---@field patients table number, most (images of one), several (patients with more than one)
---@field in_two_parts string[] patients with images in more than one part
---@field in_two_classes string[] patients with images of several classes
---@field suspects {image: integer, why: string[]}[] blank, flat, dark, bright, small, inverted, turned or lateral
---  images, and what is probably no chest radiograph
local Audit = namespace.class("Audit", {}, {"patients", "found_shortcuts"})

args.type("audit", "an audit", "table", function(value) return getmetatable(value) == Audit end)

local function sorted(set)
    local list = {}
    for key in pairs(set) do list[#list + 1] = key end
    table.sort(list)
    return list
end

local function read_all(frame, progress)
    local records, unreadable = {}, {}
    for first = 1, #frame, CHUNK do
        local last = math.min(first + CHUNK - 1, #frame)
        local found, message, code = core.survey(table.move(frame.path, first, last, 1, {}))
        if not found then return nil, message, code end
        for i, record in ipairs(found) do
            local at = first + i - 1
            records[at] = not record.message and record
            if not records[at] then
                unreadable[#unreadable + 1] = {path = frame.path[at], message = record.message, code = record.code}
            end
        end
        if progress then progress(last, #frame) end
    end
    return records, unreadable
end

-- Whether a label, or a list of several, says that an image is of the class, numbered from 1.
local function is_of(label, class)
    if type(label) == "table" then return label[class] == 1 end
    return label == class - 1
end

-- ---- what there is --------------------------------------------------------------------------------------------

local function describe_classes(frame, records)
    local classes = {}
    for k, name in ipairs(frame.classes) do
        local class = {name = name, images = 0, histogram = {}}
        local patients, count, read = {}, 0, 0
        for bin = 1, 64 do class.histogram[bin] = 0 end
        for i = 1, #frame do
            if is_of(frame.label[i], k) then
                class.images = class.images + 1
                if not patients[frame.group[i]] then patients[frame.group[i]], count = true, count + 1 end
                local record = records[i]
                if record then
                    read = read + 1
                    local pixels = record.width * record.height
                    for bin, n in ipairs(record.histogram) do
                        class.histogram[bin] = class.histogram[bin] + n / pixels
                    end
                end
            end
        end
        for bin = 1, 64 do class.histogram[bin] = class.histogram[bin] / math.max(1, read) end
        class.patients = frame.groups_known and count or nil
        classes[k] = class
    end
    return classes
end

local function describe_parts(frame)
    local counts, totals, parts = {}, {}, {}
    for i = 1, #frame do
        local part = frame.part[i]
        if part then
            counts[part], totals[part] = counts[part] or {}, (totals[part] or 0) + 1
            for k = 1, #frame.classes do
                counts[part][k] = (counts[part][k] or 0) + (is_of(frame.label[i], k) and 1 or 0)
            end
        end
    end
    for _, name in ipairs {"train", "val", "test"} do
        local classes = counts[name]
        if classes then parts[#parts + 1] = {name = name, images = totals[name], classes = classes} end
    end
    return parts
end

local function describe_files(self)
    local widths, heights, distinct = {}, {}, {}
    self.formats, self.bits, self.coloured = {}, {}, 0
    for _, r in ipairs(self.records) do
        if r then
            widths[#widths + 1], heights[#heights + 1] = r.width, r.height
            distinct[r.width .. "x" .. r.height] = true
            self.formats[r.format] = (self.formats[r.format] or 0) + 1
            self.bits[r.bits] = (self.bits[r.bits] or 0) + 1
            self.coloured = self.coloured + (r.coloured and 1 or 0)
        end
    end
    table.sort(widths)
    table.sort(heights)
    local function spread(list) return {least = list[1], median = list[(#list + 1) // 2], most = list[#list]} end
    self.sizes = {width = spread(widths), height = spread(heights), distinct = #sorted(distinct)}
end

-- ---- what is there twice --------------------------------------------------------------------------------------

local function find_duplicates(records)
    local by_hash, groups = {}, {}
    for i, record in ipairs(records) do
        if record then
            local group = by_hash[record.pixel_hash]
            if not group then
                group = {}
                by_hash[record.pixel_hash] = group
            end
            group[#group + 1] = i
            if #group == 2 then groups[#groups + 1] = group end
        end
    end
    table.sort(groups, function(a, b) return a[1] < b[1] end)
    return groups
end

-- Pearson's, of two thumbnails.
local function correlation(a, b)
    local n, sa, sb, saa, sbb, sab = #a, 0, 0, 0, 0, 0
    for i = 1, n do
        local x, y = a:byte(i), b:byte(i)
        sa, sb, saa, sbb, sab = sa + x, sb + y, saa + x * x, sbb + y * y, sab + x * y
    end
    local spread = math.sqrt((saa - sa * sa / n) * (sbb - sb * sb / n))
    return spread > 0 and (sab - sa * sb / n) / spread or 0
end

local function find_near(records)
    local hashes, places, near = {}, {}, {}
    for i, record in ipairs(records) do
        if record and record.deviation > BLANK_DEVIATION then
            hashes[#hashes + 1], places[#places + 1] = record.hash, i
        end
    end
    for _, pair in ipairs(core.near_hashes(hashes, NEAR_BITS)) do
        local a, b = places[pair[1]], places[pair[2]]
        if records[a].pixel_hash ~= records[b].pixel_hash then
            local alike = correlation(records[a].thumbnail, records[b].thumbnail)
            if alike >= NEAR_CORRELATION then
                near[#near + 1] = {a = a, b = b, distance = pair[3], correlation = alike}
            end
        end
    end
    table.sort(near, function(p, q) return p.correlation > q.correlation end)
    return near
end

-- ---- patients -------------------------------------------------------------------------------------------------

-- Patients whose images differ in a column of the frame, where that is known.
local function in_two(frame, column)
    local first, two = {}, {}
    for i = 1, #frame do
        local group, value = frame.group[i], column[i]
        local known = value and value == value
        if known and first[group] == nil then first[group] = value end
        if known and first[group] ~= value then two[group] = true end
    end
    return sorted(two)
end

local function describe_patients(self)
    local frame, counts = self.frame, {}
    if not frame.groups_known then
        self.patients, self.in_two_parts, self.in_two_classes = nil, {}, {}
        return
    end
    for i = 1, #frame do counts[frame.group[i]] = (counts[frame.group[i]] or 0) + 1 end
    local most, several = 0, 0
    for _, n in pairs(counts) do
        most, several = math.max(most, n), several + (n > 1 and 1 or 0)
    end
    self.patients = {number = #sorted(counts), most = most, several = several}
    self.in_two_parts = in_two(frame, frame.part)
    -- what is found on a patient comes and goes; a class is said of the patient
    self.in_two_classes = frame.task == "labels" and {} or in_two(frame, frame.label)
end

-- ---- what looks wrong -----------------------------------------------------------------------------------------

local function find_suspects(records)
    local suspects = {}
    local function add(i, format, ...)
        local last = suspects[#suspects]
        if not last or last.image ~= i then
            last = {image = i, why = {}}
            suspects[#suspects + 1] = last
        end
        last.why[#last.why + 1] = format:format(...)
    end
    for i, r in ipairs(records) do
        if r and r.deviation < BLANK_DEVIATION then
            add(i, "blank: levels vary by %.1f of 255", r.deviation)
        elseif r then
            local thumbnail <close> = core.from_string(r.thumbnail, {32, 32}, "uint8")
            quality.look(thumbnail, function(_, _, _, format, ...) add(i, format, ...) end)
            if r.high - r.low < FLAT_RANGE then add(i, "low contrast: %d levels of 255", r.high - r.low) end
            if r.mean < DARK then add(i, "dark: mean level %.0f of 255", r.mean) end
            if r.mean > BRIGHT then add(i, "bright: mean level %.0f of 255", r.mean) end
            if math.min(r.width, r.height) < SMALL then add(i, "small: %dx%d pixels", r.width, r.height) end
        end
    end
    return suspects
end

--- Looks through a folder as `image_folder` reads it, or through the images of a frame: every file once.
---@param dir string|Frame
---@param options? {progress: fun(done: integer, total: integer)?, classes: table?, positive: string?,
---  patient: string?} classes, positive and patient as of image_folder
---@return luxel.Audit? audit, string? message, string? code
local function audit(dir, options)
    local opts = options or {}
    local frame = dir
    if type(dir) == "string" then
        local found, message, code = image_folder(dir, {
            classes = opts.classes, positive = opts.positive, patient = opts.patient,
        })
        if not found then return nil, message, code end
        frame = found
    else
        for _, name in ipairs {"classes", "positive", "patient"} do
            if opts[name] then args.fail("audit: options: option '%s' is of a folder, and a frame has it", name) end
        end
        dir = frame.root
    end
    if #frame == 0 then return nil, ("audit: %s has no images"):format(dir), "format" end
    local self = setmetatable({dir = dir, frame = frame}, Audit)
    local records, unreadable, code = read_all(frame, opts.progress)
    if not records then return nil, unreadable, code end
    self.records, self.unreadable = records, unreadable
    if #self.unreadable == #frame then
        return nil, ("audit: none of the %d images of %s can be read; the first: %s"):format(#frame, dir,
            self.unreadable[1].message), self.unreadable[1].code
    end
    self.classes, self.parts = describe_classes(frame, self.records), describe_parts(frame)
    describe_files(self)
    self.duplicates, self.near = find_duplicates(self.records), find_near(self.records)
    describe_patients(self)
    self.suspects = find_suspects(self.records)
    return self
end

-- Whether two labels, or lists of several, say different things; one that is missing says nothing.
local function other_label(a, b)
    if type(a) ~= "table" then return a == a and b == b and a ~= b end
    for k, value in ipairs(a) do
        if other_label(value, b[k]) then return true end
    end
    return false
end

--- The columns in which two copies of an image differ and should not: class, part, patient. What is not known of one of
--- them is no difference.
---@param a integer
---@param b integer
---@return string[]
function Audit:conflicts(a, b)
    local frame, found = self.frame, {}
    for name, i in pairs {a = a, b = b} do
        if i > #frame then
            args.fail("Audit:conflicts: %s: there are %d images, got %s", name, #frame, args.describe(i))
        end
    end
    local parts, known = frame.part, frame.source[a] and frame.source[b]
    if other_label(frame.label[a], frame.label[b]) then found[#found + 1] = "class" end
    if parts[a] and parts[b] and parts[a] ~= parts[b] then found[#found + 1] = "part" end
    if known and frame.group[a] ~= frame.group[b] then found[#found + 1] = "patient" end
    return found
end

--- Extra copies: images that could go without anything being lost.
---@return integer
function Audit:copies()
    local copies = 0
    for _, group in ipairs(self.duplicates) do copies = copies + #group - 1 end
    return copies
end

-- How many groups or pairs have a conflict of each kind.
local function count_conflicts(self, groups)
    local counts = {}
    for _, group in ipairs(groups) do
        local seen = {}
        for k = 2, #group do
            for _, kind in ipairs(self:conflicts(group[1], group[k])) do seen[kind] = true end
        end
        for kind in pairs(seen) do counts[kind] = (counts[kind] or 0) + 1 end
    end
    local words = {}
    for i, kind in ipairs(sorted(counts)) do words[i] = ("%d across %s"):format(counts[kind],
        ({class = "classes", part = "parts", patient = "patients"})[kind]) end
    return #words > 0 and " (" .. table.concat(words, ", ") .. ")" or ""
end

--- How well the class can be guessed from what should not matter: border and corners of the images, text and markers,
--- size, compression; and from what is of the whole picture and so of the disease as well: levels, sharpness, bytes.
--- Each by a linear classifier of its own that is cross-validated over five folds of patients; of several classes each
--- is told from the rest, and the best told one is named. Beside that the styles of the images, as `styles` finds them.
--- With the default options it is computed once.
---@param options? {k: integer?, seed: integer?, resamples: integer?} k: clusters, default 8; seed: default 1;
---  resamples: of the bootstrap of patients, default 1000
---@return luxel.Shortcuts
function Audit:shortcuts(options)
    if options and next(options) ~= nil then return shortcuts.find(self, options) end
    self.found_shortcuts = self.found_shortcuts or shortcuts.find(self)
    return self.found_shortcuts
end

--- The findings, a line each.
---@return string[]
function Audit:findings()
    local lines, pairs_of = {}, {}
    local function add(format, ...) lines[#lines + 1] = format:format(...) end
    for i, pair in ipairs(self.near) do pairs_of[i] = {pair.a, pair.b} end
    if #self.unreadable > 0 then add("files that cannot be read: %d", #self.unreadable) end
    if #self.duplicates > 0 then
        add("the same to the pixel: %d copies in %d groups%s", self:copies(), #self.duplicates,
            count_conflicts(self, self.duplicates))
    end
    if #self.near > 0 then add("pairs that look the same: %d%s", #self.near, count_conflicts(self, pairs_of)) end
    if #self.in_two_parts > 0 then add("patients in more than one part: %d", #self.in_two_parts) end
    if #self.in_two_classes > 0 then add("patients in several classes: %d", #self.in_two_classes) end
    if self.patients and self.patients.several > 0 then
        add("patients with several images: %d of %d, up to %d images of one; split by patient", self.patients.several,
            self.patients.number, self.patients.most)
    end
    if not self.patients then add("no file name tells its patient: a split may have one on both sides") end
    local warning = self:shortcuts().warning
    if warning then lines[#lines + 1] = warning end
    if #self.suspects > 0 then add("images that look as if they did not belong here: %d", #self.suspects) end
    if self.coloured > 0 then add("images with colours: %d", self.coloured) end
    return lines
end

function Audit:__tostring()
    local findings = self:findings()
    local lines = {
        tostring(self.frame),
        ("  sizes: %d, %dx%d to %dx%d, median %dx%d"):format(self.sizes.distinct, self.sizes.width.least,
            self.sizes.height.least, self.sizes.width.most, self.sizes.height.most, self.sizes.width.median,
            self.sizes.height.median),
    }
    for i, line in ipairs(findings) do findings[i] = "  ! " .. line end
    table.move(findings, 1, #findings, #lines + 1, lines)
    return table.concat(lines, "\n")
end

--- Writes a page with tables, plots and pictures that needs nothing else.
---@param path string
---@return boolean? ok, string? message, string? code
function Audit:report(path) return require("luxel.data.audit_report")(self, path) end

args.publish("Audit:", Audit, {
    conflicts = "audit: audit, a: integer(1..), b: integer(1..)", copies = "audit: audit", findings = "audit: audit",
    report = "audit: audit, path: path",
    shortcuts = "audit: audit, options: {k: integer(1..64)?, seed: integer?, resamples: integer(1..1000000)?}?",
})

return args.public("audit",
    "dir: path|frame, options: {progress: function?, classes: classes?, positive: text?, patient: text?}?", audit)
