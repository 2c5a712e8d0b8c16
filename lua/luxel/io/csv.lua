--- Comma-separated values (RFC 4180), with the separators and line ends that spreadsheets write.

local csv = {}

-- The separator that is in the first line most often, besides what is in quotes there.
local function guess_separator(text)
    local line, best, most = text:gsub('^"[^"]*"', ""):match("^[^\r\n]*"):gsub('"[^"]*"', ""), ",", 0
    for _, separator in ipairs {",", ";", "\t"} do
        local _, count = line:gsub(separator, "")
        if count > most then best, most = separator, count end
    end
    return best
end

-- Cells of the row that begins at a place, and the place of the next one; nil, message where a quote is not closed.
local function read_row(text, place, separator)
    local cells = {}
    while true do
        local cell, after
        if text:sub(place, place) == '"' then
            local from = place + 1
            repeat
                local closing = text:find('"', from, true)
                if not closing then return nil, "a quote is not closed" end
                from = closing + 2
            until text:sub(closing + 1, closing + 1) ~= '"'
            cell, after = text:sub(place + 1, from - 3):gsub('""', '"'), from - 1
        else
            after = text:find("[" .. separator .. "\r\n]", place) or #text + 1
            cell = text:sub(place, after - 1)
        end
        cells[#cells + 1] = cell
        local next_one = text:sub(after, after)
        if next_one ~= separator then
            if next_one ~= "" and next_one ~= "\r" and next_one ~= "\n" then
                return nil, "something follows a closing quote"
            end
            return cells, after + (text:sub(after, after + 1) == "\r\n" and 2 or 1)
        end
        place = after + 1
    end
end

-- The names of columns without the space around them, or nil and one that is there twice: a row has one value of it.
local function names_of(cells)
    local names, seen = {}, {}
    for i, cell in ipairs(cells) do
        local name = cell:match("^%s*(.-)%s*$")
        if name ~= "" and seen[name] then return nil, name end
        names[i], seen[name] = name, true
    end
    return names
end

--- Rows by the names of the columns, which the first line has.
---@param path string
---@return table<string, string>[]? rows, string[]|string columns, string? code nil, message, code
function csv.read(path)
    local file, message = io.open(path, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    if not text then return nil, message or ("%s: it cannot be read"):format(path), "io" end
    text = text:gsub("^\239\187\191", "") -- a mark of the byte order
    if text:find("^\255\254") or text:find("^\254\255") then
        return nil, ("%s: it is UTF-16: save it as CSV in UTF-8"):format(path), "format"
    end
    -- a first line of "sep=;" names the separator, which Excel reads and other programs write for it
    local separator, begin = text:match("^\"?[sS][eE][pP]=([,;\t])\"?\r?\n()")
    local line = separator and 2 or 1
    separator, begin = separator or guess_separator(text), begin or 1
    local columns, place = read_row(text, begin, separator)
    if not columns or begin > #text then
        return nil, ("%s: line %d: %s"):format(path, line, columns and "there are no columns" or place), "format"
    end
    local twice
    columns, twice = names_of(columns)
    if not columns then return nil, ("%s: line %d: the column '%s' comes twice"):format(path, line, twice), "format" end
    local rows = {}
    while place <= #text do
        local cells, after = read_row(text, place, separator)
        line = line + 1
        if not cells then return nil, ("%s: row %d: %s"):format(path, line, after), "format" end
        if #cells > 1 or cells[1] ~= "" then
            if #cells ~= #columns then
                return nil, ("%s: row %d has %d cells, and the first line has %d columns"):format(path, line, #cells,
                    #columns),
                    "format"
            end
            local row = {}
            for i, name in ipairs(columns) do row[name] = cells[i] end
            rows[#rows + 1] = row
        end
        place = after
    end
    return rows, columns
end

--- A value as a cell: in quotes where it has to be, nothing for nil.
---@param value any
---@return string
function csv.cell(value)
    local text = tostring(value == nil and "" or value)
    return text:find('[,"\r\n]') and '"' .. text:gsub('"', '""') .. '"' or text
end

return csv
