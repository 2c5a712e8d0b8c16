--- How well the class of a radiograph can be guessed from what should not matter, and which styles there are:
--- `Audit:shortcuts`.

local args = require "luxel.args"
local border_probe = require "luxel.data.border_probe"
local core = require "luxel.core"
local linear_probe = require "luxel.data.linear_probe"
local reduced = require "luxel.data.reduced"
local result_type = require "luxel.result"
local styling = require "luxel.data.styles"

local shortcuts = {}

-- The lower end of an interval above which a nuisance is called a shortcut.
local SUSPICIOUS <const> = 0.6

-- ---- features -------------------------------------------------------------------------------------------------

local function log(value) return math.log(math.max(value, 1e-9)) end

-- How many there are, how large, how bright, and in which quarters of the picture.
local function of_markers(record)
    local row, area, height, contrast = {#record.markers, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0
    for _, box in ipairs(record.markers) do
        area = area + box.w * box.h / (record.width * record.height)
        height, contrast = math.max(height, box.h / record.height), math.max(contrast, box.contrast)
        local right, low = 2 * box.x + box.w > record.width, 2 * box.y + box.h > record.height
        row[5 + (right and 1 or 0) + (low and 2 or 0)] = 1
    end
    row[2], row[3], row[4] = area, height, contrast
    return row
end

local function of_size(record)
    return {log(record.width), log(record.height), log(record.width / record.height)}
end

local function of_file(record)
    return {log(record.bytes), log(record.bytes / (record.width * record.height))}
end

local FORMATS <const> = {}
for i, format in ipairs(core.image_formats()) do FORMATS[i] = format.name end

local function of_compression(record)
    local row = {math.log(1 + record.quantisation), record.bits, record.channels, record.coloured and 1 or 0}
    for _, name in ipairs(FORMATS) do row[#row + 1] = record.format == name and 1 or 0 end
    return row
end

local SHARES <const> = {0.1, 0.25, 0.75, 0.9}

local function of_levels(record)
    local row = {record.mean, record.deviation, record.low, record.middle, record.high, record.black, record.white}
    local below, mark = 0, 1
    for bin, count in ipairs(record.histogram) do
        below = below + count / (record.width * record.height)
        while mark <= #SHARES and below >= SHARES[mark] - 1e-12 do
            row[#row + 1], mark = bin, mark + 1
        end
    end
    return row
end

local function of_sharpness(record)
    local small <close> = core.from_string(record.reduced, {1, 28, 28}, "uint8")
    return {log(record.sharpness), log(core.measure(small).sharpness)}
end

local function rows(of)
    return function(records)
        local list = {}
        for i, record in ipairs(records) do list[i] = of(record) end
        return core.from_table(list, "float32")
    end
end

-- What may tell a class. `outside`: no lung is in it, so that whatever it tells is not the disease; the others are of
-- the whole picture, which the disease changes too.
local NUISANCES <const> = {
    {name = "border", words = "the border alone tells", outside = true, what = "the outermost 3 of 28 pixels",
        features = function(_, x) return reduced.border(x) end},
    {name = "corners", words = "the corners alone tell", outside = true, what = "4 x 4 of 28 x 28 pixels in each",
        features = function(_, x) return reduced.corners(x) end},
    {name = "markers", words = "text and markers alone tell", outside = true,
        what = "number, size, contrast and quarter of what looks like text", features = rows(of_markers)},
    {name = "size", words = "the size in pixels alone tells", outside = true, what = "width, height, proportion",
        features = rows(of_size)},
    {name = "compression", words = "format and compression alone tell", outside = true,
        what = "format, bits, channels, mean step of JPEG's quantisation", features = rows(of_compression)},
    {name = "file size", what = "bytes, and bytes for each pixel", features = rows(of_file)},
    {name = "levels", what = "mean, deviation and quantiles of the levels", features = rows(of_levels)},
    {name = "sharpness", what = "energy of the Laplacian at 256 and at 28 pixels a side",
        features = rows(of_sharpness)},
}

-- ---- the result -----------------------------------------------------------------------------------------------

local function figure(one)
    return ("%.3f%s"):format(one.auc, one.low and ("  [%.3f, %.3f]"):format(one.low, one.high) or "")
end

---@class luxel.Shortcuts
---@field nuisances table[] for each: name, what (of which features), outside (no lung is in them), and auc, low, high,
---  class, against of the class that it tells best, logits, each (the same of every class); or problem, why it was not
---  measured
---@field styles luxel.Styles? of the images that could be read; nil with fewer than its clusters
---@field images integer[] the places in the audit of the images that `logits` and `styles.cluster` are of
---@field markers table<string, number> share of the images of each class with text or markers
---@field warning string? a line, where something outside the lungs tells a class
local new_result = result_type("Shortcuts", {"nuisances", "styles", "images", "markers", "warning"}, function(self)
    local lines = {"  what alone        AUC    95 % interval"}
    for _, one in ipairs(self.nuisances) do
        lines[#lines + 1] = ("  %-16s  %s"):format(one.name, one.problem or figure(one)
            .. (#one.each > 1 and "  " .. one.class or ""))
    end
    if self.styles then lines[#lines + 1] = tostring(self.styles) end
    return table.concat(lines, "\n")
end)

--- The sentence for what tells a class though no lung is in it, the strongest first; nil where nothing does.
---@param list {words: string, name: string, class: string, against: string, auc: number, low: number?}[]
---@return string?
function shortcuts.warning(list)
    local found = {}
    for i, one in ipairs(list) do
        if one.auc and one.low and one.low > SUSPICIOUS then found[#found + 1] = {one = one, place = i} end
    end
    if #found == 0 then return nil end
    table.sort(found, function(a, b)
        if a.one.auc ~= b.one.auc then return a.one.auc > b.one.auc end
        return a.place < b.place
    end)
    local also, worst = {}, found[1].one
    for i = 2, #found do also[i - 1] = ("%s %.3f"):format(found[i].one.name, found[i].one.auc) end
    return ("%s %s%s; a network may learn the device instead of the disease"):format(worst.words,
        border_probe.words_of {
            name = worst.class, against = worst.against, auc = worst.auc, low = worst.low, high = worst.high,
        }, #also > 0 and ("; also %s"):format(table.concat(also, ", ")) or "")
end

--- The same of a border probe alone.
---@param probe luxel.BorderProbe
---@return string?
function shortcuts.warning_of_border(probe)
    return shortcuts.warning {{
        words = NUISANCES[1].words, name = "border", class = probe.name, against = probe.against, auc = probe.auc,
        low = probe.low, high = probe.high,
    }}
end

local function share_of_markers(frame, records, images)
    local shares = {}
    for k, class in ipairs(frame.classes) do
        local count, marked = 0, 0
        for place, i in ipairs(images) do
            local label = frame.label[i]
            if type(label) == "table" and label[k] == 1 or label == k - 1 then
                count, marked = count + 1, marked + (#records[place].markers > 0 and 1 or 0)
            end
        end
        shares[class] = count > 0 and marked / count or nil
    end
    return shares
end

local function judge(nuisance, records, x, targets, groups, opts)
    local out = {name = nuisance.name, what = nuisance.what, outside = nuisance.outside or false}
    if #targets == 0 then
        out.problem = "there are no classes to tell"
        return out
    end
    local features = nuisance.features(records, x)
    local _, scale = linear_probe.standardiser(features)
    if scale:max():item() == 0 then
        out.problem = "the same in all images"
        return out
    end
    local each, problem = linear_probe.judge(features, targets, groups, opts)
    if not each then
        out.problem = problem
        return out
    end
    local worst = linear_probe.worst(each)
    out.auc, out.low, out.high, out.class, out.against = worst.auc, worst.low, worst.high, worst.name, worst.against
    out.logits, out.each, out.words = worst.logits, each, nuisance.words
    return out
end

local DEFAULTS <const> = {k = styling.DEFAULTS.k, seed = 1, resamples = 1000}

--- `Audit:shortcuts`.
---@param self luxel.Audit
---@param options? table
---@return luxel.Shortcuts
function shortcuts.find(self, options)
    local opts = args.with_defaults(options, DEFAULTS)
    local frame, images, records, strings, labels, groups = self.frame, {}, {}, {}, {}, {}
    for i, record in ipairs(self.records) do
        if record then
            local n = #images + 1
            images[n], records[n], strings[n], labels[n], groups[n] = i, record, record.reduced, frame.label[i],
                frame.group[i]
        end
    end
    local x, out = reduced.of_bytes(strings), {images = images, nuisances = {}}
    local with_classes = frame.task ~= "segmentation" and frame.task ~= "detection"
    local targets = with_classes and linear_probe.targets(frame.task, frame.classes, labels) or {}
    local telling = {}
    for i, nuisance in ipairs(NUISANCES) do
        out.nuisances[i] = judge(nuisance, records, x, targets, groups, {seed = opts.seed, n = opts.resamples})
        if nuisance.outside then telling[#telling + 1] = out.nuisances[i] end
    end
    out.warning = shortcuts.warning(telling)
    out.markers = share_of_markers(frame, records, images)
    if #images >= opts.k then
        out.styles = styling.of_reduced(x, with_classes and frame.classes or {}, with_classes and labels or {},
            {k = opts.k, seed = opts.seed})
    end
    return new_result(out)
end

return shortcuts
