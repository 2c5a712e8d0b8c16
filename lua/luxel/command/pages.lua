--- The page of `luxel evaluate --report`, with figures by the columns of the table of images.

local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"

local pages = {}

-- Columns that figures are shown by, without what is no letter.
local USUAL <const> = {}
for _, name in ipairs {"age", "patientage", "sex", "patientsex", "gender", "patientgender", "view", "viewposition",
    "projection", "scanner", "manufacturer", "modelname", "hospital", "site", "institution", "part", "style", "cluster",
    "stylecluster"} do
    USUAL[name] = true
end

-- Columns of the table in --data by name, a value for each image.
local function subgroups_of(args, dataset)
    local is_table = args.data and lfs.attributes(args.data, "mode") == "file"
    if not is_table then
        if args.subgroups then options.fail("--subgroups: --data is no CSV file with columns") end
        return nil
    end
    local rows, columns = csv.read(args.data)
    if not rows then options.fail(columns) end
    local names, known = {}, {}
    for _, name in ipairs(columns) do
        known[name] = true
        if not args.subgroups and USUAL[name:lower():gsub("[^%a]", "")] then names[#names + 1] = name end
    end
    for name in (args.subgroups or ""):gmatch("[^,]+") do
        if not known[name] then options.fail(("--subgroups: there is no column '%s'; the columns are %s"):format(name,
            table.concat(columns, ", "))) end
        names[#names + 1] = name
    end
    local root, out, row_of = args.root or args.data:match("^(.*)/[^/]*$") or ".", {}, {}
    root = root:gsub("(.)/+$", "%1")
    for _, row in ipairs(rows) do
        local path = row[args.path]
        if path then row_of[(path:sub(1, 1) == "/" or root == "") and path or root .. "/" .. path] = row end
    end
    for _, name in ipairs(names) do
        out[name] = {}
        for i, path in ipairs(dataset.paths) do out[name][i] = row_of[path] and row_of[path][name] or false end
    end
    return out
end

-- Pictures of what the answer comes from, by the place of an image; nil where none are asked for.
local function maps_of(args, model, dataset)
    local method = args.explain and (args.explain[1] or lx.explain.usual(model))
    if not method then return nil end
    return function(i)
        local image = dataset:image(i)
        if not image then return nil end
        if image.dtype ~= "uint8" then image = image:clamp(0, 255):byte() end
        -- images may have been cut to what the network sees already
        local normal = {batch = 1, shuffle = false, size = model.size, device = model.device}
        for key, value in pairs(model.metadata.normalisation) do normal[key] = value end
        local map = lx.explain[method](model, (lx.data.batches(dataset:subset {i}, normal)()))
        return map and lx.explain.overlay(image, map) or nil
    end
end

--- Writes the page that `--report` asks for, and says where.
---@param args table the options
---@param model luxel.Predictor
---@param dataset luxel.Dataset
---@param probabilities any as the model gave them
---@param what string which images they are
function pages.write(args, model, dataset, probabilities, what)
    options.must(lx.report.evaluation(args.report, probabilities, dataset, {
        threshold = model.threshold, classes = model.metadata.classes, metadata = model.metadata, model = model.path,
        data = what:gsub("%s+", " "), seed = args.seed, prevalence = args.prevalence,
        command = options.command_line(), subgroups = model.task == "binary" and subgroups_of(args, dataset) or nil,
        maps = maps_of(args, model, dataset),
    }))
    print("report in " .. args.report)
end

return pages
