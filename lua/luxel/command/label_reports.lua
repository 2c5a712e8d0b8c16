--- `luxel label-reports`: what radiologists' reports say of each finding, by rules, as columns of 1, 0 and -1.
--
--     luxel label-reports reports.csv --out labels.csv
--     luxel label-reports reports.csv --out labels.csv --explain words.csv --rules mine.rules

local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lx = require "luxel"
local near = require "luxel.near"
local options = require "luxel.command.options"

local command = {summary = "Says what radiologists' reports say of each finding."}

local SECTIONS <const> = {"findings", "impression", "text"}
local EXPLAINED <const> = {"finding", "label", "section", "sentence", "words", "cue", "severity", "side", "place"}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("data", "CSV file with a report in each row.")
    parser:option("--out", "File for the labels: 1 (present), 0 (absent), -1 (uncertain), nothing where a finding is "
        .. "not mentioned."):count(1)
    parser:option("--id", "Column that names the report (default: the first one).")
    parser:option("--findings", "Column with the section of findings (default: findings).")
    parser:option("--impression", "Column with the impression (default: impression).")
    parser:option("--text", "Column with whole reports, divided by their headings (default: text or report, where "
        .. "there are no findings and impression).")
    parser:option("--rules", "File of rules instead of Luxel's own (lua/luxel/text/chest.rules), which may be copied "
        .. "and changed.")
    parser:option("--explain", "File for the words that decided: a row for each mention of a finding.")
end

local function has(columns, name)
    for _, column in ipairs(columns) do
        if column == name then return true end
    end
    return false
end

-- The column of each section, where there is one.
local function sections_of(args, columns)
    local found = {}
    for _, section in ipairs(SECTIONS) do
        local name = args[section]
        if name and not has(columns, name) then
            options.fail(("--%s: there is no column '%s'%s; there are %s"):format(section, name,
                near.suggestion(name, columns), table.concat(columns, ", ")))
        end
        found[section] = name
    end
    if next(found) then return found end
    for _, section in ipairs {"findings", "impression"} do
        if has(columns, section) then found[section] = section end
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

local function id_column(args, columns)
    if args.id and not has(columns, args.id) then
        options.fail(("--id: there is no column '%s'%s; there are %s"):format(args.id,
            near.suggestion(args.id, columns), table.concat(columns, ", ")))
    end
    return args.id or columns[1]
end

local function add_row(lines, cells, count)
    for i = 1, count do cells[i] = csv.cell(cells[i]) end
    lines[#lines + 1] = table.concat(cells, ",") .. "\n"
end

local function add_explained(lines, id, mentions)
    for _, one in ipairs(mentions) do
        local cells = {id}
        for i, name in ipairs(EXPLAINED) do
            cells[i + 1] = one[name == "label" and "value" or name]
        end
        add_row(lines, cells, #EXPLAINED + 1)
    end
end

local function write(option, path, lines)
    local ok, message = core.write_file(path, lines)
    if not ok then options.fail(("%s: %s"):format(option, message)) end
end

-- The names of the columns of labels: those of the rules, and No Finding.
local function names_of(rules)
    local names = table.move(rules.findings, 1, #rules.findings, 1, {})
    names[#names + 1] = "No Finding"
    return names
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local rules = options.must(lx.text.rules(args.rules))
    local rows, columns = options.must(csv.read(args.data))
    local sections, id = sections_of(args, columns), id_column(args, columns)
    if args.out == args.data or args.explain == args.data or args.explain == args.out then
        options.fail "--out, --explain and the reports are three files, of which two have the same name"
    end
    local names, empty = names_of(rules), 0
    local lines, explained = {}, {}
    add_row(lines, {id, table.unpack(names)}, #names + 1)
    add_row(explained, {id, table.unpack(EXPLAINED)}, #EXPLAINED + 1)
    for _, row in ipairs(rows) do
        local report = {}
        for section, column in pairs(sections) do report[section] = row[column] end
        local found = lx.text.label(report, {rules = rules})
        if found.labels["No Finding"] == nil then empty = empty + 1 end
        local cells = {row[id]}
        for i, name in ipairs(names) do cells[i + 1] = found.labels[name] end
        add_row(lines, cells, #names + 1)
        if args.explain then add_explained(explained, row[id], found.mentions) end
    end
    write("--out", args.out, lines)
    if args.explain then write("--explain", args.explain, explained) end
    print(("%d reports in %s%s"):format(#rows, args.out, empty > 0 and (", %d of them without text"):format(empty)
        or ""))
    print(options.NOTICE)
end

return command
