--- The sections of a report: which of its text says what the film shows.

local plain = require "luxel.text.plain"

local sections = {}

--- The sections that are evidence, in the order in which they are read. `text` is what stands under no heading.
sections.EVIDENCE = {"text", "findings", "impression"}

local KINDS <const> = {
    findings = {
        "findings", "finding", "findings and impression", "findings/impression", "report", "results", "wet read",
    },
    impression = {
        "impression", "impressions", "final impression", "conclusion", "conclusions", "interpretation", "opinion",
        "summary", "comment", "comments", "addendum",
    },
    indication = {
        "indication", "indications", "clinical indication", "clinical indications", "reason", "reason for exam",
        "reason for examination", "reason for study", "history", "clinical history", "clinical information",
        "clinical data", "clinical details", "clinical question",
    },
    comparison = {"comparison", "comparisons", "comparison study", "prior study", "prior studies"},
    technique = {"technique", "exam", "examination", "procedure"},
}
local LONGEST <const> = 48 -- bytes before a colon in which a heading is looked for

local headings = {} -- the section that each begins
for name, list in pairs(KINDS) do
    for _, heading in ipairs(list) do headings[heading] = name end
end

local function section_of(words) return headings[(words:lower():gsub("%s+", " "))] end

-- The section that a colon begins, nil if none, and where its heading does: at the beginning of a line, or anywhere in
-- capitals, of which the last words are one ("COMPARISON: NONE FINDINGS: ...").
local function heading_before(text, colon)
    local from = math.max(1, colon - LONGEST)
    local before = text:sub(from, colon - 1)
    local line, words = before:match("()[ \t*]*(%a[%a /]*)[ \t*]*$")
    if words and (line > 1 and before:sub(line - 1, line - 1) == "\n" or line == 1 and from == 1) then
        local name = section_of(words:match("^.*%S"))
        if name then return name, from + line - 1 end
    end
    for place in before:gmatch("()%f[%w]%u") do
        local name = before:find("^[%u /]+$", place) and section_of(before:sub(place))
        if name then return name, from + place - 1 end
    end
end

-- Divides a text by its headings.
local function divide(written)
    local text, parts, name, from = plain.text(written), {}, "text", 1
    local function close(last)
        local part = written:sub(from, last)
        if part:find("%S") then
            parts[name] = parts[name] and parts[name] .. "\n\n" .. part or part
        end
    end
    for colon in text:gmatch("():") do
        local heading, start = heading_before(text, colon)
        if heading then
            close(start - 1)
            name, from = heading, colon + 1
        end
    end
    close(#text)
    return parts
end

--- The sections of a report, by their names. A text is divided by its headings; what is given as a section stays one.
---@param report string|table<string, string>
---@return table<string, string>
function sections.of(report)
    if type(report) == "string" then return divide(report) end
    local parts = report.text and divide(report.text) or {}
    for name, text in pairs(report) do
        if name ~= "text" then parts[name] = parts[name] and parts[name] .. "\n\n" .. text or text end
    end
    return parts
end

return sections
