--- `luxel label-reports`: what radiologists' reports say of each finding, by rules, as columns of 1, 0 and -1.
--
--     luxel label-reports reports.csv --out labels.csv
--     luxel label-reports reports.csv --out labels.csv --explain words.csv --rules mine.rules

local core = require "luxel.core"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"
local report_columns = require "luxel.command.report_columns"

local command = {summary = "Says what radiologists' reports say of each finding."}

local EXPLAINED <const> = {"finding", "label", "section", "sentence", "words", "cue", "severity", "side", "place"}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("data", "CSV file with a report in each row.")
    parser:option("--out", "File for the labels: 1 (present), 0 (absent), -1 (uncertain), nothing where a finding is "
        .. "not mentioned."):count(1)
    report_columns.options(parser)
    parser:option("--choice", "What \"atelectasis or scarring\" says of each."):choices {"uncertain", "present"}
        :default "uncertain"
    parser:option("--explain", "File for the words that decided: a row for each mention of a finding.")
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

-- Whether two paths name one file.
local function is_same(one, other)
    if one == nil or other == nil or one == other then return one ~= nil and one == other end
    local a, b = lfs.attributes(one), lfs.attributes(other)
    return a ~= nil and b ~= nil and a.dev == b.dev and a.ino == b.ino
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local rules = options.must(lx.text.rules(args.rules))
    local reports, ids, id = report_columns.read(args)
    if is_same(args.out, args.data) or is_same(args.explain, args.data) or is_same(args.explain, args.out) then
        options.fail "--out, --explain and the reports are three files, of which two are the same"
    end
    local names, empty = names_of(rules), 0
    local lines, explained = {}, {}
    add_row(lines, {id, table.unpack(names)}, #names + 1)
    add_row(explained, {id, table.unpack(EXPLAINED)}, #EXPLAINED + 1)
    for k, report in ipairs(reports) do
        local found = lx.text.label(report, {rules = rules, choice = args.choice})
        if found.labels["No Finding"] == nil then empty = empty + 1 end
        local cells = {ids[k]}
        for i, name in ipairs(names) do cells[i + 1] = found.labels[name] end
        add_row(lines, cells, #names + 1)
        if args.explain then add_explained(explained, ids[k], found.mentions) end
    end
    write("--out", args.out, lines)
    if args.explain then write("--explain", args.explain, explained) end
    print(("%d reports in %s%s"):format(#reports, args.out, empty > 0 and (", %d of them without text"):format(empty)
        or ""))
    print(options.NOTICE)
end

return command
