--- What a model was trained on: the pixels and the patients of its images, as short hashes, so that a model's file
--- holds nobody's name. Images are known by their decoded pixels, whatever their files are called; other images of a
--- patient by the patient.

local args = require "luxel.args"
require "luxel.data.dataset"

local seen = {}

-- FNV-1a, of which 48 bits are kept: among a million images of each side, a chance match is one in 280.
local function hash(text)
    local value = 0xcbf29ce484222325
    for i = 1, #text do value = (value ~ text:byte(i)) * 0x100000001b3 end
    value = (value ~ value >> 33) * 0xff51afd7ed558ccd
    return ("%012x"):format(value >> 16)
end

--- A short hash of a text, of 12 digits.
---@param text string
---@return string
seen.hash = hash

local function of_pixels(number) return hash(("pixels %016x"):format(number)) end
local function of_patient(name) return hash("patient " .. tostring(name)) end

local function sorted_text(set)
    local list = {}
    for code in pairs(set) do list[#list + 1] = code end
    table.sort(list)
    return table.concat(list)
end

local function set_of(text)
    local set = {}
    for code in text:gmatch("%x%x%x%x%x%x%x%x%x%x%x%x") do set[code] = true end
    return set
end

--- The hashes of the images of a dataset that were read.
---@param dataset luxel.Dataset
---@return {pixels: string, patients: string, images: integer} trained_on hashes of 12 digits, one after the other
function seen.describe(dataset)
    local pixels, patients = {}, {}
    for i, number in ipairs(dataset:hashes()) do
        if number ~= 0 then pixels[of_pixels(number)] = true end
        local group = dataset.groups and dataset.groups[i]
        -- the path stands for a patient that is not known
        if group and group ~= dataset.paths[i] then patients[of_patient(group)] = true end
    end
    return {pixels = sorted_text(pixels), patients = sorted_text(patients), images = #dataset}
end

--- The images that nothing of a model's training is known of: neither they themselves, nor another image of
--- their patients.
---@param dataset luxel.Dataset whose images are in memory, or were read
---@param trained_on {pixels: string, patients: string}? nil: nothing is known
---@return luxel.Dataset rest, {pixels: integer, patients: integer} left_out images left out for their pixels, and for
---  their patients alone
function seen.unseen(dataset, trained_on)
    local left_out = {pixels = 0, patients = 0}
    if not trained_on then return dataset, left_out end
    local pixels, patients = set_of(trained_on.pixels), set_of(trained_on.patients)
    local numbers, own = dataset:hashes(), {}
    -- who has an image that was trained on was trained on
    for i, number in ipairs(numbers) do
        local group = dataset.groups and dataset.groups[i] or dataset.paths[i]
        if pixels[of_pixels(number)] then own[group] = true end
    end
    local kept = {}
    for i, number in ipairs(numbers) do
        local group = dataset.groups and dataset.groups[i] or dataset.paths[i]
        if pixels[of_pixels(number)] then
            left_out.pixels = left_out.pixels + 1
        elseif own[group] or group ~= dataset.paths[i] and patients[of_patient(group)] then
            left_out.patients = left_out.patients + 1
        else
            kept[#kept + 1] = i
        end
    end
    if #kept == #dataset then return dataset, left_out end
    local rest = dataset:subset(kept)
    rest.failed = dataset.failed -- what could not be read is no less missing
    return rest, left_out
end

seen.unseen = args.public("unseen", "dataset: dataset, trained_on: {pixels: string, patients: string, images: "
    .. "number?}?",
    seen.unseen)

--- A text that changes with the images of a dataset, their labels or their order: what going on with a run compares.
---@param dataset luxel.Dataset
---@return string
function seen.fingerprint(dataset)
    local parts = {dataset.task, table.concat(dataset.classes, "\0"), tostring(dataset.size)}
    local flat <close> = dataset.labels:contiguous()
    parts[#parts + 1] = flat:tostring_bytes()
    for i, path in ipairs(dataset.paths) do
        parts[#parts + 1] = path:match("[^/]*$") .. "\0" .. tostring(dataset.groups and dataset.groups[i] or "")
    end
    if type(dataset.masks) == "table" then
        for _, path in ipairs(dataset.masks) do parts[#parts + 1] = path and path:match("[^/]*$") or "" end
    elseif dataset.masks then
        local bytes <close> = dataset.masks:contiguous()
        parts[#parts + 1] = bytes:tostring_bytes()
    end
    return hash(table.concat(parts, "\1"))
end

return seen
