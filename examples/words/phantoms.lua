--- Phantoms with drawn findings, and reports of them from templates: material for networks of images and words. It
--- teaches nothing about patients.
--
-- A film has up to two findings; each is at a side, and some in a zone. Of pairs of findings some are only on held-back
-- films ("layouts"), and of the ways to say something some are only in held-back reports ("wordings").

local lx = require "luxel"
local random = require "luxel.random"

local phantoms = {}

phantoms.FINDINGS = {"opacity", "nodule", "effusion", "pneumothorax", "enlarged heart"}

local SIDES <const> = {"left", "right"}
local ZONES <const> = {"upper", "middle", "lower"}

-- Pairs of findings that are together on held-back films alone.
local HELD_BACK <const> = {
    ["opacity+pneumothorax"] = true, ["effusion+nodule"] = true, ["enlarged heart+nodule"] = true,
}

local function pair_of(a, b) return a < b and a .. "+" .. b or b .. "+" .. a end

-- ---- films ----------------------------------------------------------------------------------------------------

-- Where the middle of a lung is in the picture: the patient's right is on its left.
local function middle(finding, stream)
    local x = finding.side == "right" and 0.29 or 0.71
    local y = ({upper = 0.26, middle = 0.43, lower = 0.60})[finding.zone] or 0.45
    return x + stream:uniform(-0.03, 0.03), y + stream:uniform(-0.03, 0.03)
end

local function blob(X, Y, x, y, sx, sy) return (((X - x) / sx):square() + ((Y - y) / sy):square()):mul(-0.5):exp() end

-- Fills air up to a level of grey where a mask is 1: what is as dense already does not change.
local function fill(film, mask, level) return film + (film * -1 + level):relu() * mask end

-- Larger towards the chest wall, 0.5 at the spine.
local function outwards(finding, X) return finding.side == "right" and X * -1 + 1 or X end

-- How each finding changes the levels 0..255 of a film; X and Y are the places of its pixels, 0..1.
local DRAW <const> = {
    opacity = function(film, finding, X, Y, stream)
        local x, y = middle(finding, stream)
        local mask = blob(X, Y, x, y, stream:uniform(0.055, 0.08), stream:uniform(0.045, 0.07))
        return fill(film, mask * stream:uniform(0.6, 0.9), 150)
    end,
    nodule = function(film, finding, X, Y, stream)
        local x, y = middle(finding, stream)
        local distance = ((X - x):square() + (Y - y):square()):sqrt()
        return film + ((distance - stream:uniform(0.022, 0.032)) * -120):sigmoid() * stream:uniform(45, 70)
    end,
    effusion = function(film, finding, X, Y, stream)
        local outer, level = outwards(finding, X), stream:uniform(0.62, 0.68)
        local above = Y + outer * 0.35 - level - 0.25 -- its upper edge rises towards the chest wall
        local within = ((outer - 0.55) * 60):sigmoid() * ((outer * -1 + 0.88) * 60):sigmoid()
        return fill(film, (above * 50):sigmoid() * within, 150)
    end,
    pneumothorax = function(film, finding, X, Y, stream)
        -- dark between the chest wall and the edge of the lung, which is a faint line, above and outside
        local outer = outwards(finding, X)
        local lung = (((outer - 0.66) / stream:uniform(0.115, 0.135)):square()
            + ((Y - 0.46) / stream:uniform(0.24, 0.28)):square()):sqrt()
        local chest = (((outer - 0.68) / 0.17):square() + ((Y - 0.44) / 0.34):square()):sqrt()
        local side = ((outer - 0.68) * 40):sigmoid()
        local rim = ((lung - 1) * 30):sigmoid() * ((chest * -1 + 1) * 30):sigmoid() * side
        local line = ((lung - 1) / 0.06):square():mul(-0.5):exp() * side
        return film + line * 30 - rim * stream:uniform(30, 45)
    end,
    ["enlarged heart"] = function(film, _, X, Y, stream)
        local distance = (((X - 0.55) / stream:uniform(0.24, 0.28)):square() + ((Y - 0.66) / 0.17):square()):sqrt()
        return fill(film, ((distance - 1) * -25):sigmoid(), 150)
    end,
}

local function pick(stream, list) return list[stream:integer(#list)] end

-- One or two findings, or none, with their places; on held-back films pairs of all kinds.
local function draw_findings(stream, held_back)
    local count, chosen = ({0, 1, 1, 1, 2, 2})[stream:integer(6)], {}
    while #chosen < count do
        local name = pick(stream, phantoms.FINDINGS)
        local before = chosen[1] and chosen[1].name
        if name ~= before and (not before or held_back or not HELD_BACK[pair_of(name, before)]) then
            local placed = name == "opacity" or name == "nodule"
            chosen[#chosen + 1] = {
                name = name, side = name ~= "enlarged heart" and pick(stream, SIDES) or nil,
                zone = placed and pick(stream, ZONES) or nil,
            }
        end
    end
    return chosen
end

-- ---- words ----------------------------------------------------------------------------------------------------

-- How things are said: {in training, held back}. Words of the second are in the first.
local PLACED <const> = {
    {
        "There is %s in the %s lung.", "%s is seen in the %s lung.", "The %s lung shows %s.", "Findings: %s, %s lung.",
    },
    {"In the %s lung there is %s.", "%s of the %s lung is seen."},
}
local PLAIN <const> = {
    {"There is %s.", "%s is seen.", "The film shows %s.", "Findings: %s."}, {"Seen is %s.", "The findings show %s."},
}
local DENIED <const> = {
    {"No %s.", "There is no %s.", "No %s is seen.", "The film does not show %s.", "%s is not present."},
    {"%s is not seen.", "The film shows no %s.", "No %s is present."},
}
local OTHERS <const> = {
    {"The bones are intact.", "The film is rotated.", "Degenerative change of the spine.", "No comparison.",
        "The soft tissues are unremarkable."},
    {"The spine is unremarkable.", "The bones are unremarkable. The film is rotated."},
}
local NORMAL <const> = {
    {"The lungs are clear.", "Normal film.", "No abnormality."}, {"The film is normal.", "Clear lungs."},
}

local NAMES <const> = {
    opacity = {"an opacity", "consolidation"}, nodule = {"a nodule", "a small nodule"},
    effusion = {"an effusion", "pleural fluid"}, pneumothorax = {"a pneumothorax", "pneumothorax"},
    ["enlarged heart"] = {"an enlarged heart", "cardiomegaly"},
}

local function capital(text) return (text:gsub("^%l", string.upper)) end

local function plain_name(name) return (name:gsub("^an? ", "")) end

--- A sentence that says that a finding is there, or that it is not.
---@param stream table of luxel.random
---@param finding {name: string, side: string?, zone: string?}
---@param present boolean
---@param held_back boolean in a held-back wording
---@return string
function phantoms.sentence(stream, finding, present, held_back)
    local which, name = held_back and 2 or 1, pick(stream, NAMES[finding.name])
    if not present then return capital(pick(stream, DENIED[which]):format(plain_name(name))) end
    if not finding.side then return capital(pick(stream, PLAIN[which]):format(name)) end
    local place = finding.zone and ("%s %s"):format(finding.side, finding.zone) or finding.side
    local form = pick(stream, PLACED[which])
    local name_first = (form:find("^There") or form:find("^%%s") or form:find("^Findings")) ~= nil
    return capital(name_first and form:format(name, place) or form:format(place, name))
end

-- Findings that are there, some that are not, and what is beside the point, in any order.
local function write_report(stream, findings, held_back)
    local there, sentences, which = {}, {}, held_back and 2 or 1
    for _, finding in ipairs(findings) do
        there[finding.name] = true
        sentences[#sentences + 1] = phantoms.sentence(stream, finding, true, held_back)
    end
    if #findings == 0 and stream:uniform(0, 1) < 0.5 then sentences[1] = pick(stream, NORMAL[which]) end
    for _, name in ipairs(phantoms.FINDINGS) do
        if not there[name] and stream:uniform(0, 1) < 0.4 then
            sentences[#sentences + 1] = phantoms.sentence(stream, {name = name}, false, held_back)
        end
    end
    if stream:uniform(0, 1) < 0.6 or #sentences == 0 then sentences[#sentences + 1] = pick(stream, OTHERS[which]) end
    for i = #sentences, 2, -1 do
        local k = stream:integer(i)
        sentences[i], sentences[k] = sentences[k], sentences[i]
    end
    return table.concat(sentences, " ")
end

-- ---- both -----------------------------------------------------------------------------------------------------

--- Films with their reports.
---@param options {n: integer, size: integer, seed: integer, held_back: boolean} held_back: held-back wordings, and
---  pairs of findings that are on no other film
---@return {images: luxel.Tensor, reports: string[], findings: table[], labels: table<string, integer[]>} images: uint8
---  [n,1,size,size]; labels: of each finding 1 or 0 for each film
function phantoms.make(options)
    local n, size = options.n, options.size
    local stream = random.stream(options.seed)
    local films = lx.data.phantom {n = n, size = size, seed = options.seed, infected = 0}
    local at = (lx.arange(1, size + 1) - 0.5) / size
    local X, Y = at:reshape(1, size):expand(size, size), at:reshape(size, 1):expand(size, size)
    local out = {images = {}, reports = {}, findings = {}, labels = {}}
    for _, name in ipairs(phantoms.FINDINGS) do out.labels[name] = {} end
    for i = 1, n do
        local findings = draw_findings(stream, options.held_back)
        local film = assert(films:image(i)):float():reshape(size, size)
        for _, finding in ipairs(findings) do
            film = DRAW[finding.name](film, finding, X, Y, stream)
        end
        for _, name in ipairs(phantoms.FINDINGS) do out.labels[name][i] = 0 end
        for _, finding in ipairs(findings) do out.labels[finding.name][i] = 1 end
        out.images[i], out.findings[i] = film:clamp(0, 255):byte():reshape(1, size, size), findings
        out.reports[i] = write_report(stream, findings, options.held_back)
    end
    out.images = lx.stack(out.images, 1)
    return out
end

return phantoms
