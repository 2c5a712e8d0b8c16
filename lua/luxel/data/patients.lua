--- Whose image a file is: from the names that well-known collections give their files, or from what a DICOM file says.
--
-- Splitting by image where patients have several leaks: a network that has seen a patient knows the next image of the
-- same ribs. What a collection numbers is not always a patient; where it is a study, one patient may have several,
-- which names do not show. Images that are kept together without need only make a split stricter.

local args = require "luxel.args"
local core = require "luxel.core"

local patients = {}

-- The stem of a file name, and its path.
local function first_of(...)
    local patterns = {...}
    return function(stem, path)
        for _, pattern in ipairs(patterns) do
            local found = (pattern:find("/", 1, true) and path or stem):match(pattern)
            if found then return found end
        end
    end
end

local HEX <const> = "%x"
local UUID <const> = ("^(%s%%-%s%%-%s%%-%s%%-%s)$"):format(HEX:rep(8), HEX:rep(4), HEX:rep(4), HEX:rep(4), HEX:rep(12))
local DIGIT <const> = "%d"

-- Each collection: its name, what it numbers, and how its names say it; in the order in which they are tried.
--
-- Kermany et al., Cell 172:1122 (2018), Kaggle's "chest_xray":
--   person17_bacteria_56, person17_virus_3   patient 17. Whether bacterial and viral cases were numbered together is
--   not documented; many numbers occur in both. They are kept as one patient.
--   IM-0115-0001, NORMAL2-IM-0793-0001   a study number; numbers recur with and without NORMAL2, and are kept together.
-- ChestX-ray14 (Wang et al., CVPR 2017): 00000013_005, the patient in front.
-- CheXpert (Irvin et al., AAAI 2019): patient00001/study1/view1_frontal.
-- MIMIC-CXR (Johnson et al., Scientific Data 6:317, 2019): p10/p10000032/s50414267/02aa804e-...
-- PadChest (Bustos et al., Medical Image Analysis 66, 2020): the study, of 30 digits and more, in front.
-- RSNA's challenge of 2018: the file's name is its patient's, one image each.
-- Montgomery and Shenzhen (Jaeger et al., Quantitative Imaging in Medicine and Surgery 4:475, 2014): CHNCXR_0001_0.
local COLLECTIONS <const> = {
    {"Kermany et al.", "patient or study", first_of("^(person%d+)_%a+_%d+", "^(IM%-%d+)%-%d+",
        "^NORMAL2%-(IM%-%d+)%-%d+")},
    {"ChestX-ray14", "patient", first_of(("^(%s)_%s$"):format(DIGIT:rep(8), DIGIT:rep(3))), "NIH-"},
    {"CheXpert", "patient", first_of("(patient%d%d%d%d%d)/study%d+/[^/]*$"), "CheXpert-"},
    {"MIMIC-CXR", "patient", first_of(("/p%%d%%d/(p%s)/s%%d+/[^/]*$"):format(DIGIT:rep(8)),
        ("^(p%s)_s%s"):format(DIGIT:rep(8), DIGIT:rep(8))), "MIMIC-"},
    {"PadChest", "study", first_of(("^(%s%%d*)_[%%w%%-]+$"):format(DIGIT:rep(30))), "PadChest-"},
    {"RSNA", "patient", first_of(UUID), "RSNA-"},
    {"Montgomery and Shenzhen", "patient", first_of("^(MCUCXR_%d+)_[01]$", "^(CHNCXR_%d+)_[01]$")},
}

local DICOM <const> = {dcm = true, dicom = true, dic = true}

-- The Patient ID of a DICOM file, nil where it has none.
local function by_header(path)
    local extension = path:match("%.(%w+)$")
    if not extension or not DICOM[extension:lower()] then return nil end
    local info = core.probe_image(path, {identifiers = true})
    local id = info and info.patient_id
    return id and id:find("%S") and "DICOM-" .. id or nil
end

--- The patient of an image file: by the Patient ID of a DICOM file, else by its name where it is one of Kermany's,
--- ChestX-ray14's, CheXpert's, MIMIC-CXR's, PadChest's, RSNA's, Montgomery's or Shenzhen's.
---@param path string with the folders above it, which CheXpert and MIMIC-CXR need
---@return string? patient nil where it is not known; some collections number studies instead
---@return string? source "DICOM" or the name of the collection
function patients.of(path)
    local id = by_header(path)
    if id then return id, "DICOM" end
    path = path:gsub("\\", "/")
    local stem = path:match("[^/]*$"):gsub("%.%w+$", "")
    for _, collection in ipairs(COLLECTIONS) do
        local found = collection[3](stem, path)
        if found then return (collection[4] or "") .. found, collection[1] end
    end
end

--- A function like `patients.of` for a Lua pattern, whose first capture in the path (or all that it matches) is the
--- patient.
---@param name string of the public function, for errors
---@param pattern string
---@return fun(path: string): string?, string?
function patients.by_pattern(name, pattern)
    return function(path)
        local ok, found = pcall(string.match, path, pattern) -- some mistakes are noticed only where the rest fits
        if not ok then
            args.fail("%s: options: option 'patient': %q is no Lua pattern: %s", name, pattern,
                (tostring(found):gsub("^.-:%d+: ", "")))
        end
        if found and found ~= "" then return tostring(found), "the pattern " .. pattern end
    end
end

patients.of = args.public("patient", "path: path", patients.of)

return patients
