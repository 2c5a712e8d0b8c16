--- `luxel search-reports`: which radiologists' reports say what one looks for, the best first.
--
--     luxel search-reports reports.csv "bibasilar opacities, no effusion" --limit 5

local csv = require "luxel.io.csv"
local lx = require "luxel"
local options = require "luxel.command.options"
local report_columns = require "luxel.command.report_columns"

local command = {summary = "Finds the reports that say what one looks for."}

local WIDTH <const> = 160 -- characters of a report that are shown

--- Adds the options of the command.
function command.options(parser)
    parser:argument("data", "CSV file with a report in each row.")
    parser:argument("query", "What to look for, in the words of a report: no effusion, possible pneumonia.")
    report_columns.options(parser)
    options.add_number(parser, "--limit", "Reports at most.", 10, 1, 1000000, true)
    parser:flag("--plain", "Looks for words alone, whether they are denied or not.")
    parser:option("--format", "What is printed for each report."):choices {"text", "json", "csv"}:default "text"
end

-- The beginning of a report's text in one line.
local function beginning(report)
    local parts = {}
    for _, section in ipairs {"text", "findings", "impression"} do parts[#parts + 1] = report[section] end
    local line = options.as_utf8((table.concat(parts, " "):gsub("%s+", " "):gsub("%c", "?")))
    return utf8.len(line) > WIDTH and line:sub(1, utf8.offset(line, WIDTH + 1) - 1) .. "…" or line
end

local print_hit = {}

function print_hit.text(rank, id, hit, report)
    print(("%d. %s  (%.3f: %s)"):format(rank, id, hit.score, table.concat(hit.terms, ", ")))
    print("   " .. beginning(report))
end

function print_hit.json(rank, id, hit)
    print(options.json {rank = rank, report = id, row = hit.report, score = hit.score, terms = hit.terms})
end

function print_hit.csv(rank, id, hit)
    print(("%d,%s,%d,%.6f,%s"):format(rank, csv.cell(id), hit.report, hit.score,
        csv.cell(table.concat(hit.terms, "; "))))
end

--- Runs the command.
---@param args table the options
function command.run(args)
    if args.plain and args.rules then options.fail "--plain looks for words alone, and has no use for --rules" end
    local rules
    if not args.plain then rules = options.must(lx.text.rules(args.rules)) end
    local reports, ids = report_columns.read(args)
    local found = lx.text.search(reports, {rules = rules or false}):query(args.query, {limit = args.limit})
    if args.format == "csv" then print "rank,report,row,score,terms" end
    for rank, hit in ipairs(found.hits) do print_hit[args.format](rank, ids[hit.report], hit, reports[hit.report]) end
    io.stderr:write(("%d of %d reports have words of it%s\n"):format(found.found, #reports,
        #found.missing > 0 and "; in none: " .. table.concat(found.missing, ", ") or ""))
    if args.format == "text" then print(options.NOTICE) end
end

return command
