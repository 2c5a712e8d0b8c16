--- The sections of a report: which of its text says what the film shows.

local sections = {}

--- The sections that are evidence, in the order in which they are read. `text` is what stands under no heading.
sections.EVIDENCE = {"text", "findings", "impression"}

local HEADINGS <const> = {
    findings = "findings", finding = "findings", ["findings and impression"] = "findings",
    impression = "impression", impressions = "impression", conclusion = "impression", conclusions = "impression",
    indication = "indication", indications = "indication", ["reason for exam"] = "indication",
    ["reason for examination"] = "indication", ["clinical history"] = "indication", history = "indication",
    ["clinical information"] = "indication", comparison = "comparison", comparisons = "comparison",
    technique = "technique", exam = "technique", examination = "technique", procedure = "technique",
}

-- Divides a text by the headings in it, which stand at the beginning of a line with a colon behind.
local function divide(text)
    local parts, name, from, place = {}, "text", 1, 1
    local function close(last)
        local part = text:sub(from, last)
        if part:find("%S") then parts[name] = parts[name] and parts[name] .. "\n\n" .. part or part end
    end
    while place <= #text do
        local words, after = text:match("^[ \t*]*(%a[%a ]*):()", place)
        local heading = words and HEADINGS[words:lower():gsub("%s+", " ")]
        if heading then
            close(place - 1)
            name, from = heading, after
        end
        place = (text:find("\n", place, true) or #text) + 1
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
