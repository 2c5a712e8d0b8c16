--- `luxel audit`: looks through a folder of radiographs before anything is learnt from it: copies, patients on both
--- sides of a split, files that cannot be read, images that are blank or dark, sizes and grey levels; and how well the
--- class can be guessed from what should not matter, such as the border alone.
--
--     luxel audit DIR --out report.html
--     luxel audit labels.csv --path image --root images --label finding --out report.html

local core = require "luxel.core"
local lx = require "luxel"
local options = require "luxel.command.options"

local command = {summary = "Looks through a folder of radiographs."}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("data", "Folder with NORMAL/ and PNEUMONIA/, with or without train/, val/, test/ above them, or a "
        .. "CSV file.")
    options.add_data(parser)
    parser:option("--out", "File for the report, a page that needs nothing else.")
    parser:option("--json", "File for everything that was found.")
end

-- What tells the class, and the cluster of each image by its path.
local function shortcuts_of(audit)
    local found = audit:shortcuts()
    local out = {nuisances = options.list {}, markers = found.markers, warning = found.warning}
    for i, one in ipairs(found.nuisances) do
        out.nuisances[i] = {
            name = one.name, of = one.what, outside = one.outside, auc = one.auc, low = one.low, high = one.high,
            class = one.class, against = one.against, problem = one.problem,
        }
    end
    local styles = found.styles
    if styles then
        out.styles = {counts = styles.counts, classes = styles.classes, by_class = styles.by_class, cluster = {}}
        for place, i in ipairs(found.images) do out.styles.cluster[audit.frame.path[i]] = styles.cluster[place] end
    end
    return out
end

-- The findings, with paths instead of numbers.
local function findings(audit)
    local list = options.list
    local path, out = audit.frame.path, {
        duplicates = list {}, near = list {}, suspects = list {}, unreadable = list(audit.unreadable),
        findings = list(audit:findings()), in_two_parts = list(audit.in_two_parts),
        in_two_classes = list(audit.in_two_classes), sizes = audit.sizes, shortcuts = shortcuts_of(audit),
    }
    for i, group in ipairs(audit.duplicates) do
        out.duplicates[i] = {}
        for k, image in ipairs(group) do out.duplicates[i][k] = path[image] end
    end
    for i, pair in ipairs(audit.near) do
        out.near[i] = {a = path[pair.a], b = path[pair.b], distance = pair.distance, correlation = pair.correlation}
    end
    for i, suspect in ipairs(audit.suspects) do out.suspects[i] = {path = path[suspect.image], why = suspect.why} end
    return out
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local progress = lx.train.console()
    local audit = options.must(lx.data.audit(options.frame(args), {
        progress = function(done, total) progress:reading(done, total) end,
    }))
    print(audit)
    print(audit:shortcuts())
    print(options.NOTICE)
    if args.out then
        options.must(audit:report(args.out))
        print("report in " .. args.out)
    end
    if args.json then
        options.must(core.write_file(args.json, {options.json(findings(audit)), "\n"}))
    end
end

return command
