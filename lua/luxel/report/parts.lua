--- What the pages of runs and of evaluations have in common: the notice, plots, the model card, and how to get the same
--- again.

local core = require "luxel.core"
local page = require "luxel.page"
local predictor = require "luxel.predictor"
local svg = require "luxel.plot.svg"
local version = require "luxel.version"

local parts = {}

local WIDTH <const>, HEIGHT <const> = 440, 310 -- of plots, in pixels

--- The notice, which every page begins with.
---@param out string[]
function parts.notice(out)
    out[#out + 1] = ('<p class="notice"><b>%s</b></p>'):format(page.escape(predictor.NOTICE))
end

--- Plots beside each other where there is room.
---@param out string[]
---@param plots {layers: table[], options: table, words: string?}[]
function parts.plots(out, plots)
    out[#out + 1] = '<div class="plots">'
    for _, one in ipairs(plots) do
        one.options.width, one.options.height = one.options.width or WIDTH, one.options.height or HEIGHT
        out[#out + 1] = ("<div>%s%s</div>"):format(svg.draw(one.layers, one.options, "report", true),
            one.words and ('<p class="soft">%s</p>'):format(page.escape(one.words)) or "")
    end
    out[#out + 1] = "</div>"
end

--- A table in a frame that scrolls where the screen is narrow.
---@param out string[]
---@param head any[]
---@param rows any[][]
---@param words boolean?
function parts.table(out, head, rows, words)
    local frame = #head > 3 and '<div class="wide">%s</div>' or "<div>%s</div>"
    out[#out + 1] = frame:format(page.table(head, rows, words))
end

--- A number in a report, or what stands for one that is not defined.
---@param value number?
---@param digits integer? default 3
---@return string
function parts.number(value, digits)
    if type(value) ~= "number" or value - value ~= 0 then return "n/a" end
    if math.type(value) == "integer" then return tostring(value) end
    return (("%." .. (digits or 3) .. "f"):format(value):gsub(",", "."))
end

--- A number with its interval.
---@param value number?
---@param interval number[]? {low, high}
---@return string
function parts.with_interval(value, interval)
    if not interval or not value then return parts.number(value) end
    return ("%s [%s, %s]"):format(parts.number(value), parts.number(interval[1]), parts.number(interval[2]))
end

-- ---- the model card -------------------------------------------------------------------------------------------

local TASKS <const> = {
    binary = "which of two classes an image is of", classes = "which of several classes an image is of",
    labels = "which of several labels an image has", segmentation = "which pixels are inside",
    detection = "where which objects are",
}

local function flat(value)
    if math.type(value) == "float" then return (("%.4g"):format(value):gsub(",", ".")) end
    if type(value) ~= "table" then return tostring(value) end
    local names, words = {}, {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for i, name in ipairs(names) do
        words[i] = (math.type(name) and "" or tostring(name) .. " ") .. flat(value[name])
    end
    return table.concat(words, ", ")
end

local function row(rows, name, value)
    if value ~= nil then rows[#rows + 1] = {name, flat(value)} end
end

--- A model card (Mitchell et al., "Model cards for model reporting", FAT* 2019), as far as the file of the model tells;
--- what it does not is said to be missing.
---@param out string[]
---@param metadata table of the model's file
---@param more {evaluation: string?, data: string?} where its figures are from, and on what it was trained
function parts.model_card(out, metadata, more)
    page.section(out, "Model card", "After Mitchell et al. 2019, as far as the model's file tells.")
    local rows, found = {}, metadata.metrics or {}
    row(rows, "Task", TASKS[metadata.task])
    row(rows, "Network", metadata.model)
    row(rows, "Its options", metadata.network)
    row(rows, "Classes", metadata.classes and table.concat(metadata.classes, ", "))
    row(rows, "Positive class", metadata.positive)
    row(rows, "Input", metadata.size and ("%d × %d pixels, %d channel%s"):format(metadata.size, metadata.size,
        metadata.input.channels, metadata.input.channels == 1 and "" or "s"))
    local normalisation = metadata.normalisation
    if metadata.input.crop then row(rows, "Cropped to", "the " .. metadata.input.crop) end
    row(rows, "Normalised by", ("mean %s, standard deviation %s%s"):format(flat(normalisation.mean),
        flat(normalisation.std), normalisation.enhance and "; enhanced: " .. flat(normalisation.enhance) or ""))
    row(rows, "First weights", metadata.pretrained and ("%s (%s)"):format(metadata.pretrained.source,
        metadata.pretrained.checksum) or "drawn at random")
    row(rows, "Written by", "Luxel " .. tostring(metadata.version))
    row(rows, "Seed", metadata.seed)
    row(rows, "Epoch", metadata.epoch)
    row(rows, "Threshold", metadata.threshold and ("%s, by: %s"):format(flat(metadata.threshold),
        metadata.chosen and metadata.chosen.threshold or "not known"))
    row(rows, "Calibration", metadata.chosen and ("%s, on %s images%s"):format(
        metadata.chosen.calibration, metadata.chosen.images or "an unknown number of",
        metadata.chosen.of and ": " .. metadata.chosen.of or ""))
    local names = {}
    for name, value in pairs(found) do
        if type(value) == "number" and name:find("^val_") then names[#names + 1] = name end
    end
    table.sort(names)
    for i, name in ipairs(names) do names[i] = ("%s %s"):format(name:sub(5), parts.number(found[name], 4)) end
    row(rows, "On its validation images", #names > 0 and table.concat(names, ", ")
        .. " (epoch, threshold and calibration were chosen on these)" or nil)
    row(rows, "Training images", metadata.images or metadata.trained_on and metadata.trained_on.images)
    row(rows, "Evaluated on", more.evaluation)
    row(rows, "Intended use", predictor.NOTICE)
    row(rows, "Out of scope", "decisions without a qualified reader; images of another kind, age group, scanner or "
        .. "hospital than those of training, until measured there")
    parts.table(out, {}, rows, true)
end

-- Topics of CLAIM that programs can say something of, and those that only the authors can. Mongan, Moy and Kahn,
-- Radiology: Artificial Intelligence 2:e200029, 2020.
local OPEN <const> = {
    {"Study design, its goal, and where the data are from", "to be told by the authors"},
    {"Which patients and images were taken and left out, and why", "to be told by the authors"},
    {"Reference standard: who labelled, how, how far readers agreed", "to be told by the authors"},
    {"Removal of names from the images", "to be told by the authors; file names below pictures are as they were given"},
    {"Sample size, and how it was decided", "the number is above; the reason is to be told by the authors"},
    {"Registration, protocol, funding", "to be told by the authors"},
    {"Limitations: bias, generalisation, use in practice", "subgroups where columns were given; else not measured"},
}

--- The items of the check-list for papers on artificial intelligence in imaging, and where this page answers them.
---@param out string[]
---@param answered string[][] {topic, where}
function parts.checklist(out, answered)
    page.section(out, "For a paper (CLAIM)", "Topics of the Checklist for Artificial Intelligence in Medical Imaging "
        .. "(Mongan, Moy and Kahn 2020), and what a program can say of them.")
    local rows = table.move(answered, 1, #answered, 1, {})
    parts.table(out, {"topic", "where"}, table.move(OPEN, 1, #OPEN, #rows + 1, rows), true)
end

--- How to get the same again.
---@param out string[]
---@param rows any[][] {name, value}
---@param command string?
function parts.again(out, rows, command)
    page.section(out, "To get the same again", "The same versions, data and seed give the same figures.")
    local all = {{"Luxel", version}, {"Lua", _VERSION}}
    for _, one in ipairs(rows) do all[#all + 1] = one end
    if command then table.insert(all, 1, {"Command", command}) end
    parts.table(out, {}, all, true)
end

--- The checksum of a file's bytes.
---@param path string
---@return string? checksum nil where it cannot be read
function parts.checksum(path)
    local file <close> = io.open(path, "rb")
    local bytes = file and file:read("a")
    return bytes and ("xxh64:%016x, %d bytes"):format(core.checksum(bytes), #bytes) or nil
end

--- Writes a page with plots.
---@param path string
---@param title string
---@param below string
---@param out string[]
---@param style string? of these parts besides
---@return boolean? ok, string? message, string? code
function parts.write(path, title, below, out, style)
    return page.write(path, title, below, out, svg.STYLE .. ".lx-plot{width:100%;height:auto}" .. (style or ""))
end

return parts
