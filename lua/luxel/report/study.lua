--- What a model finds in one film: probabilities, thresholds, doubt, maps, and suggestions for the reader; as a table,
--- as text, and as a page.

local args = require "luxel.args"
local class_names = require "luxel.data.classes"
local lx = require "luxel"
local page = require "luxel.page"
local parts = require "luxel.report.parts"
local result_type = require "luxel.result"
local suggest = require "luxel.report.suggest"

local study = {}

local GRID <const> = 16 -- numbers of a map along each side, for other programs
local MOST_SIDE <const> = 640 -- pixels of a picture in a page

---@class luxel.StudyFinding
---@field finding string
---@field probability number calibrated
---@field threshold number? of several classes none
---@field positive boolean whether the model says that it is there
---@field doubt number? from 0 to 0.5, of two classes and of labels where the model's file keeps it
---@field uncertain boolean?
---@field map luxel.StudyMap? where the answer comes from

---@class luxel.StudyMap
---@field method string of `lx.explain`
---@field place string where in the picture the largest value is
---@field peak {x: number, y: number} its middle, as shares of width and height from the left and the top
---@field most number the largest value
---@field grid number[][] the map in 16 rows of 16 means, as shares of the largest value
---@field picture luxel.Tensor uint8 [3,H,W] the map over the film

---@class luxel.Study
---@field path string
---@field model string its file
---@field task string
---@field label string the answer in short
---@field findings luxel.StudyFinding[] the likeliest first
---@field quality {code: string, message: string}[] what speaks against reading the film at all
---@field reasons {code: string, message: string}[] why the answer is uncertain
---@field suggestions luxel.Suggestions? where rules were given
---@field age number? in years
---@field age_of "given"|"header"|nil where the age is from
---@field sex string? as the header of a DICOM file says
---@field view string? "PA", "AP", "LL", ... likewise
---@field urgency string?
---@field notice string
---@field image luxel.Tensor uint8 the film
---@field metadata table of the model's file

local function percent(value) return (("%.1f %%"):format(100 * value):gsub(",", ".")) end

-- What is said of a finding.
local function said(finding)
    local words = finding.positive and "positive" or "negative"
    return finding.uncertain and words .. ", uncertain" or words
end

--- Findings as lines of text.
---@param findings luxel.StudyFinding[]
---@return string[]
function study.lines(findings)
    local lines = {}
    for _, one in ipairs(findings) do
        lines[#lines + 1] = ("  %-20s %8s  %s%s%s"):format(one.finding, percent(one.probability), said(one),
            one.threshold and (" (threshold %s)"):format(percent(one.threshold)) or "",
            one.doubt and (", doubt %.2f of 0.5"):format(one.doubt) or "")
        if one.map then
            lines[#lines + 1] = ("  %-20s %8s  by %s mostly from: %s"):format("", "", one.map.method, one.map.place)
        end
    end
    return lines
end

--- Findings for other programs: without pictures.
---@param findings luxel.StudyFinding[]
---@param grid boolean? whether maps come with their numbers
---@return table[]
function study.plain(findings, grid)
    local out = {}
    for i, one in ipairs(findings) do
        local map = one.map
        out[i] = {
            finding = one.finding, probability = one.probability, threshold = one.threshold, positive = one.positive,
            doubt = one.doubt, uncertain = one.uncertain, map = map and {
                method = map.method, place = map.place, peak = map.peak, most = map.most,
                grid = grid and map.grid or nil,
            },
        }
    end
    return out
end

-- Whom the film is of, as far as that is known.
local function patient_words(self)
    local parts_of = {}
    if self.age then
        parts_of[1] = ("%s years (%s)"):format(("%.4g"):format(self.age):gsub(",", "."), self.age_of == "given"
            and "as given" or "by the file's header")
    end
    if self.sex then parts_of[#parts_of + 1] = "sex " .. self.sex end
    if self.view then parts_of[#parts_of + 1] = "view " .. self.view end
    return parts_of[1] and "patient: " .. table.concat(parts_of, ", ")
end

local function words_of(self)
    local lines = study.lines(self.findings)
    table.move(lines, 1, #lines, 3)
    lines[1], lines[2] = ("study: %s by %s"):format(self.path, self.model), "findings:"
    local who = patient_words(self)
    if who then table.insert(lines, 2, who) end
    for _, one in ipairs(self.quality) do lines[#lines + 1] = "quality: " .. one.message end
    for _, one in ipairs(self.reasons) do lines[#lines + 1] = "uncertain: " .. one.message end
    if self.suggestions then lines[#lines + 1] = tostring(self.suggestions) end
    lines[#lines + 1] = self.notice
    return table.concat(lines, "\n")
end

local new_study = result_type("study", {
    "path", "model", "task", "label", "findings", "quality", "reasons", "suggestions", "age", "age_of", "sex",
    "view", "urgency", "notice", "image", "metadata",
}, words_of)

-- ---- findings -------------------------------------------------------------------------------------------------

local FINDINGS <const> = {
    binary = function(predictor, answer)
        return {{
            finding = predictor.positive, probability = answer.infected, threshold = predictor.threshold,
            positive = answer.positive, doubt = answer.doubt, uncertain = answer.uncertain,
        }}
    end,
    labels = function(predictor, answer)
        local out = {}
        for k, name in ipairs(predictor.classes) do
            local p, judged = answer.classes[name], answer.doubts and answer.doubts[name] or {}
            out[k] = {
                finding = name, probability = p, threshold = predictor.threshold[k],
                positive = p >= predictor.threshold[k], doubt = judged.doubt, uncertain = judged.uncertain,
            }
        end
        return out
    end,
    classes = function(predictor, answer)
        local out = {}
        for k, name in ipairs(predictor.classes) do
            out[k] = {finding = name, probability = answer.classes[name], positive = name == answer.label}
        end
        return out
    end,
}

-- The likeliest first, of the same probability by name.
local function likelier(a, b)
    if a.probability ~= b.probability then return a.probability > b.probability end
    return a.finding < b.finding
end

-- ---- maps -----------------------------------------------------------------------------------------------------

local ROWS <const> = {"upper", "middle", "lower"}
local COLUMNS <const> = {"left", "middle", "right"}

local function third(share) return math.min(3, math.floor(3 * share) + 1) end

-- Where a place is, in words of the picture, not of the patient, whose right side is on the left of most films.
local function place_of(x, y)
    return ("%s third, %s of the picture"):format(ROWS[third(y)], COLUMNS[third(x)])
end

local function map_of(predictor, answer, finding, method)
    local map, message, code = lx.explain[method](predictor, answer.image, {class = finding.finding})
    if not map then return nil, message, code end
    map = map:reshape(map.shape[2], map.shape[3])
    local picture, most = lx.explain.overlay(answer.image, map)
    if most <= 0 then
        return {method = method, place = "nowhere: no part speaks for it", most = 0, picture = picture}
    end
    local height, width = map.shape[1], map.shape[2]
    local at = map:flatten():argmax():item() - 1
    local x, y = (at % width + 0.5) / width, (at // width + 0.5) / height
    local grid = lx.vision.resize((map / most):clamp(0, 1):reshape(1, height, width), GRID, GRID):reshape(GRID, GRID)
    return {
        method = method, place = place_of(x, y), peak = {x = x, y = y}, most = most, grid = grid:totable(),
        picture = picture,
    }
end

-- What can be looked for: not that nothing was found.
local function is_finding(one) return not class_names.is_negative(one.finding) end

-- Maps of what the model says is there, or of the likeliest where it says that of none.
local function add_maps(predictor, answer, findings, options)
    local left, any, first = options.maps, false, nil
    for _, one in ipairs(findings) do
        if is_finding(one) then any, first = any or one.positive, first or one end
    end
    for _, one in ipairs(findings) do
        if left > 0 and is_finding(one) and (one.positive or not any and one == first) then
            local map, message, code = map_of(predictor, answer, one, options.explain)
            if not map then return nil, message, code end
            one.map, left = map, left - 1
        end
    end
    return true
end

-- ---- the study ------------------------------------------------------------------------------------------------

--- The findings of an answer, the likeliest first.
---@param predictor luxel.Predictor of two or several classes or of labels
---@param answer luxel.Answer with the picture as `image` where there are to be maps
---@param options {explain: string|false|nil, maps: integer?}
---@return luxel.StudyFinding[]? findings, string? message, string? code
function study.findings(predictor, answer, options)
    local findings = FINDINGS[predictor.task](predictor, answer)
    table.sort(findings, likelier)
    if options.explain ~= false then
        local method = options.explain or lx.explain.usual(predictor)
        local ok, message, code = add_maps(predictor, answer, findings, {explain = method, maps = options.maps})
        if not ok then return nil, message, code end
    end
    return findings
end

--- Whether a model tells findings with probabilities, and no boxes or masks.
---@param predictor luxel.Predictor
---@return boolean
function study.fits(predictor) return FINDINGS[predictor.task] ~= nil end

-- Why an answer is uncertain; of labels what is so of all of them.
local function reasons_of(predictor, answer)
    local out = {}
    for _, one in ipairs(answer.reasons or {}) do
        if predictor.task ~= "labels" or one.code ~= "close" then out[#out + 1] = one end
    end
    return out
end

local function known(text) return text and text:find("%S") and text or nil end

--- What a model finds in a film, or nil, message, code.
---@param predictor luxel.Predictor
---@param source string|{bytes: string, name: string?}
---@param options table
---@return luxel.Study?
function study.of(predictor, source, options)
    if not study.fits(predictor) then
        args.fail("study: predictor: a study is of findings with probabilities, and the model is of the task '%s'",
            predictor.task)
    end
    local answer, message, code = predictor:predict(source, {images = true, age = options.age})
    if not answer then return nil, message, code end
    local findings
    findings, message, code = study.findings(predictor, answer, options)
    if not findings then return nil, message, code end
    local info = answer.info or {}
    local asked = {}
    for _, one in ipairs(findings) do
        asked[#asked + 1] = is_finding(one) and {
            finding = one.finding, probability = one.probability, threshold = one.threshold, doubt = one.doubt,
            uncertain = one.uncertain,
        } or nil
    end
    return new_study {
        path = answer.path, model = predictor.path, task = predictor.task, label = answer.label, findings = findings,
        quality = answer.findings, reasons = reasons_of(predictor, answer), urgency = options.urgency,
        age = answer.age,
        age_of = answer.age and (options.age and "given" or "header") or nil,
        sex = known(info.sex), view = known(info.view_position),
        suggestions = options.rules and suggest.suggest(asked, {
            rules = options.rules ~= true and options.rules or nil, age = answer.age, urgency = options.urgency,
        }) or nil,
        notice = answer.notice, image = answer.image, metadata = predictor.metadata,
    }
end

args.type("study", "a study of lx.report.study", "table", function(value)
    local meta = getmetatable(value)
    return type(meta) == "table" and rawget(meta, "__name") == "study"
end)

-- ---- the page -------------------------------------------------------------------------------------------------

local function small(image)
    local height, width = image.shape[2], image.shape[3]
    local ratio = math.min(1, MOST_SIDE / math.max(height, width))
    if ratio == 1 then return image end
    return lx.vision.resize(image, math.max(1, math.floor(height * ratio + 0.5)),
        math.max(1, math.floor(width * ratio + 0.5))):clamp(0, 255):byte()
end

local function figure(image, alt, words)
    return ('<figure style="width:auto">%s<figcaption>%s</figcaption></figure>'):format(page.image(small(image),
        page.escape(alt), page.escape(alt)), page.escape(words))
end

local function finding_table(out, self)
    local rows = {}
    for i, one in ipairs(self.findings) do
        rows[i] = {
            one.finding, percent(one.probability), one.threshold and percent(one.threshold) or "none", said(one),
            one.doubt and parts.number(one.doubt, 2) or "not kept",
        }
    end
    page.section(out, "Findings", "Calibrated probabilities and the model's thresholds; doubt is from 0 to 0.5. What "
        .. "the model was not trained to find is not among them.")
    parts.table(out, {"finding", "probability", "threshold", "the model says", "doubt"}, rows)
    for _, one in ipairs(self.reasons) do
        out[#out + 1] = ('<p class="warn">Uncertain: %s</p>'):format(page.escape(one.message))
    end
end

local function pictures(out, self)
    page.section(out, "Where it comes from", "The film, and over it what speaks for a finding: what the network looked "
        .. "at, not what is there (docs/explain.md says how often that agrees). Left and right are of the picture.")
    out[#out + 1] = '<div class="plots large">' .. figure(self.image, "the film", self.path:match("[^/]*$"))
    for _, one in ipairs(self.findings) do
        if one.map then
            out[#out + 1] = figure(one.map.picture, "map of " .. one.finding, ("%s, %s: %s, mostly: %s"):format(
                one.finding, percent(one.probability), one.map.method, one.map.place))
        end
    end
    out[#out + 1] = "</div>"
end

local function suggestion_section(out, found)
    page.section(out, "Suggestions for the reader", "By %s. %s", found.rules, found.notice)
    for _, one in ipairs(found.suggestions) do
        local form = '<p class="warn"><b>%s</b>: %s<br><span class="soft">rule %s; source: %s; %s</span></p>'
        out[#out + 1] = form:format(page.escape(one.finding), page.escape(one.say), page.escape(one.rule),
            page.escape(one.source), page.escape(one.section))
    end
    if #found.suggestions == 0 then out[#out + 1] = "<p>None: no rule holds.</p>" end
    for _, one in ipairs(found.unjudged) do
        out[#out + 1] = ('<p class="soft">Not judged for %s: rule %s, for want of: %s.</p>'):format(
            page.escape(one.finding), page.escape(one.rule), page.escape(table.concat(one.missing, ", ")))
    end
    if #found.without_rule > 0 then
        out[#out + 1] = ('<p class="soft">No rule is about: %s.</p>'):format(page.escape(table.concat(
            found.without_rule, ", ")))
    end
end

--- Writes the page of a study.
---@param path string
---@param self luxel.Study
---@param options {command: string?}
---@return boolean? ok, string? message, string? code
function study.write(path, self, options)
    local out = {}
    parts.notice(out)
    for _, one in ipairs(self.quality) do
        out[#out + 1] = ('<p class="warn">Quality: %s</p>'):format(page.escape(one.message))
    end
    finding_table(out, self)
    pictures(out, self)
    if self.suggestions then suggestion_section(out, self.suggestions) end
    parts.model_card(out, self.metadata, {})
    parts.again(out, {
        {"Film", self.path}, {"Its bytes", parts.checksum(self.path) or "not a file"}, {"Model", self.model},
        {"Patient", patient_words(self) or "nothing is known"}, {"Urgency of the request", self.urgency or "not given"},
    }, options.command)
    return parts.write(path, "Study " .. self.path:match("[^/]*$"), self.label, out)
end

return study
