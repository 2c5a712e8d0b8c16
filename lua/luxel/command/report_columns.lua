--- Which columns of a CSV file have the reports, for the commands that read such files.

local csv = require "luxel.io.csv"
local near = require "luxel.near"
local options = require "luxel.command.options"

local report_columns = {}

local SECTIONS <const> = {"findings", "impression", "text"}

--- Adds the options that say which columns there are.
function report_columns.options(parser)
    parser:option("--id", "Column that names the report (default: the first one).")
    parser:option("--findings", "Column with the section of findings (default: findings, where --text is not said).")
    parser:option("--impression", "Column with the impression (default: impression, likewise).")
    parser:option("--text", "Column with whole reports, divided by their headings (default: text or report, where "
        .. "there are no findings and impression).")
    parser:option("--rules", "File of rules instead of Luxel's own (lua/luxel/text/chest.rules), which may be copied "
        .. "and changed.")
end

local function has(columns, name)
    for _, column in ipairs(columns) do
        if column == name then return true end
    end
    return false
end

local function need(option, name, columns)
    if not has(columns, name) then
        options.fail(("%s: there is no column '%s'%s; there are %s"):format(option, name,
            near.suggestion(name, columns), table.concat(columns, ", ")))
    end
end

-- The column of each section, where there is one. Whole reports that are asked for are not read a second time by their
-- sections.
local function sections_of(args, columns)
    local found = {}
    for _, section in ipairs(SECTIONS) do
        local name = args[section]
        if name then need("--" .. section, name, columns) end
        found[section] = name
    end
    for _, section in ipairs {"findings", "impression"} do
        if not args.text and not found[section] and has(columns, section) then found[section] = section end
    end
    for _, name in ipairs {"text", "report"} do
        if not next(found) and has(columns, name) then found.text = name end
    end
    if not next(found) then
        options.fail(("%s: it has no column findings, impression, text or report; --findings, --impression or --text "
            .. "says which one has them, of %s"):format(args.data, table.concat(columns, ", ")))
    end
    return found
end

--- The reports of `args.data` by their sections, their names, and the column that has these.
---@param args table the options
---@return table<string, string>[] reports
---@return string[] ids
---@return string column
function report_columns.read(args)
    local rows, columns = options.must(csv.read(args.data))
    local sections = sections_of(args, columns)
    if args.id then need("--id", args.id, columns) end
    local column, reports, ids = args.id or columns[1], {}, {}
    for i, row in ipairs(rows) do
        reports[i], ids[i] = {}, row[column]
        for section, name in pairs(sections) do reports[i][section] = row[name] end
    end
    return reports, ids, column
end

return report_columns
