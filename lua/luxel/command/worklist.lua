--- What `luxel predict --worklist FILE` does: thousands of images in the order in which a person should look at them.

local core = require "luxel.core"
local csv = require "luxel.io.csv"
local images = require "luxel.command.images"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"
local page = require "luxel.report.worklist"
local triage = require "luxel.triage"

local worklist = {}

--- Adds the options.
function worklist.options(parser)
    parser:option("--worklist", "Writes the images to this CSV file instead, the likeliest and most doubtful first. "
        .. "Work that was ended goes on with the same command: FILE.journal holds what is done."):argname "<file>"
    parser:option("--page", "With --worklist: a page of thumbnails in that order, too."):argname "<file>"
    parser:flag("--overwrite", "With --worklist: begins anew, and replaces an earlier one.")
end

--- Ends the command where options do not go together.
---@param args table
function worklist.check(args)
    if not args.worklist then
        if args.page or args.overwrite then
            options.fail(("--%s is for --worklist"):format(args.page and "page" or "overwrite"))
        end
        return
    end
    for _, name in ipairs {"out", "masks", "explain", "findings", "json"} do
        if args[name] then
            options.fail(("--%s is not for --worklist, which writes a CSV file of its own"):format(name))
        end
    end
    if args.format ~= "text" then options.fail "--format is not for --worklist, which writes a CSV file of its own" end
    if args.page == args.worklist then options.fail "--page and --worklist: say two files" end
end

local function line_of(row, rank, doubts)
    local cells = {
        row.urgency and tostring(rank) or "", csv.cell(row.path), csv.cell(row.label), images.number(row.urgency),
    }
    if doubts then
        cells[#cells + 1] = images.number(row.doubt)
        cells[#cells + 1] = csv.cell(table.concat(row.reasons or {}, " "))
    end
    cells[#cells + 1] = csv.cell(table.concat(row.warnings or {}, " "))
    cells[#cells + 1] = csv.cell(row.problem and row.problem:gsub("%s+", " "))
    return table.concat(cells, ",")
end

-- What images are sorted by, in words.
local function words_of(predictor)
    if predictor.positive then return "probability of " .. predictor.positive end
    return predictor.task == "labels" and "probability of the likeliest label" or "probability of not being normal"
end

--- Runs the command.
---@param args table
---@param predictor luxel.Predictor
---@return integer status
function worklist.run(args, predictor)
    local obstacle = triage.obstacle(predictor)
    if obstacle then options.fail("--worklist: " .. obstacle) end
    local journal, failed = args.worklist .. ".journal", false
    if args.overwrite then
        triage.forget(journal)
    elseif lfs.attributes(args.worklist) and not lfs.attributes(journal) then
        options.fail(("--worklist: %s is there already; --overwrite replaces it"):format(args.worklist))
    end
    local paths = images.find(args, function(message)
        failed = true
        io.stderr:write("error: ", message, "\n")
    end)
    if #paths == 0 then options.fail("--worklist: there are no images") end
    local console, began = lx.train.console(), core.now()
    local rows, resumed, code = triage.run(predictor, paths, {
        journal = journal, progress = function(done, total) console:working("answering", done, total) end,
    })
    if not rows then
        options.fail(code == "exists" and ("%s; --overwrite begins anew"):format(resumed) or resumed)
    end
    local seconds, answered = core.now() - began, 0
    local doubts = predictor.metadata.doubt ~= nil
    local lines = {("rank,path,label,%s,%swarnings,problem"):format(csv.cell(words_of(predictor)),
        doubts and "doubt,uncertain because," or "")}
    for rank, row in ipairs(rows) do
        lines[rank + 1] = line_of(row, rank, doubts)
        if row.urgency then
            answered = answered + 1
        else
            failed = true
            io.stderr:write("error: ", images.problem({path = row.path, message = row.problem}), "\n")
        end
    end
    lines[#lines + 1] = ""
    options.must(core.write_file(args.worklist, {table.concat(lines, "\n")}))
    if args.page then
        options.must(page.write(args.page, rows, {
            model = predictor.path, words = words_of(predictor), positive = predictor.positive,
            command = options.command_line(),
            progress = function(done, total) console:working("thumbnails", done, total) end,
        }))
        print("page in " .. args.page)
    end
    triage.forget(journal)
    print(("%d images in order, %d without an answer, in %s%s; %.1f images a second"):format(answered, #rows - answered,
        args.worklist, resumed > 0 and (" (%d were done before)"):format(resumed) or "",
        (#rows - resumed) / math.max(seconds, 1e-9)))
    io.stderr:write(options.NOTICE, "\n")
    return failed and 1 or 0
end

return worklist
