--- `luxel compare`: trainings, models or evaluations beside each other.
--
--     luxel compare runs/first runs/second                          which settings differ, and what each said of itself
--     luxel compare runs/first runs/second --data DIR               on images that none of them was trained on
--     luxel evaluate --model M --data DIR --predictions m.csv       and the same of another model, then
--     luxel compare m.csv other.csv --report page.html

local comparison = require "luxel.comparison"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"
local pages = require "luxel.report.comparison"

local command = {summary = "Trainings, models or evaluations beside each other, with paired tests."}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("what", "Folders of runs, files of models, or files of luxel evaluate --predictions; the first "
        .. "one is what the others are compared with."):args("2+")
    parser:option("--data", "Labelled images, to compare models on those that none of them was trained on.")
    options.add_data(parser)
    options.add_device(parser)
    parser:option("--report", "Writes a page with tables and curves to this file.")
    parser:option("--json", "Writes all figures to this file too.")
    options.add_seed(parser, "Of the resampling for the intervals.", 1)
end

-- What is compared, all of one kind.
local function open(args)
    local all, kinds = {}, {}
    for i, path in ipairs(args.what) do
        local mode = lfs.attributes(path, "mode")
        if not mode then options.fail(path .. ": there is no such file or folder") end
        all[i] = options.must(comparison.open(path, mode == "directory"))
        kinds[all[i].answers and "answers" or "model"] = true
        if all[i].metadata and all[i].metadata.task ~= "binary" then
            options.fail(("%s: models of two classes are compared, and this one is of the task '%s'"):format(path,
                tostring(all[i].metadata.task)))
        end
    end
    if kinds.answers and kinds.model then
        options.fail("evaluations are compared with evaluations, and models with models: luxel evaluate --predictions "
            .. "FILE makes an evaluation of a model")
    elseif kinds.answers and args.data then
        options.fail("--data is for models; evaluations have their images")
    end
    return all, kinds.model
end

-- The label of each image that has one, by its path.
local function labels_of(dataset)
    local out = {}
    for i, label in ipairs(core.to_table(dataset.labels)) do
        if label == label then out[dataset.paths[i]] = label end
    end
    return out
end

-- The answers of models to the images that none of them was trained on.
local function answer(args, all)
    local device, words = options.device(args.device)
    local frame = options.frame(args)
    local test = frame:in_part("test")
    if #test > 0 then frame = test end
    local models, datasets, labels, counts = {}, {}, {}, {}
    for k, one in ipairs(all) do
        models[k] = options.must(lx.predictor.open(one.model, {device = device}))
        options.check_classes(models[k], frame)
        datasets[k] = lx.data.unseen(options.load_for(frame, models[k]), one.metadata.trained_on)
        labels[k] = labels_of(datasets[k])
        for path in pairs(labels[k]) do counts[path] = (counts[path] or 0) + 1 end
    end
    for k, one in ipairs(all) do
        local kept, dataset, taken = {}, datasets[k], {}
        for i, path in ipairs(dataset.paths) do
            if counts[path] == #all and not taken[path] then kept[#kept + 1], taken[path] = i, true end
        end
        if #kept == 0 then
            options.fail("each of these images, or its patient, was trained on by one of the models: nothing is left "
                .. "to compare them on")
        end
        local rest = dataset:subset(kept)
        local probabilities = options.must(models[k]:probabilities(rest))
        one.answers = {}
        for i, p in ipairs(probabilities) do
            one.answers[i] = {
                path = rest.paths[i], patient = rest.groups and rest.groups[i] or rest.paths[i],
                label = labels[k][rest.paths[i]], probability = p, positive = p >= models[k].threshold and 1 or 0,
            }
        end
    end
    return ("%s, those that none of the models was trained on, on %s"):format(args.data, words)
end

-- ---- words ----------------------------------------------------------------------------------------------------------

-- A table in columns of their widths.
local function print_table(rows)
    local widths = {}
    for _, row in ipairs(rows) do
        for c, cell in ipairs(row) do widths[c] = math.max(widths[c] or 0, utf8.len(cell) or #cell) end
    end
    for _, row in ipairs(rows) do
        local parts = {}
        for c, cell in ipairs(row) do parts[c] = cell .. (" "):rep(widths[c] - (utf8.len(cell) or #cell)) end
        print((("  " .. table.concat(parts, "  ")):gsub("%s+$", "")))
    end
end

local MOST <const> = 40 -- letters of a setting

local function cut(text) return utf8.len(text) and utf8.len(text) > MOST and text:sub(1, utf8.offset(text, MOST) - 1)
    .. "…" or text end

local function number(value) return value and value - value == 0 and ("%.4f"):format(value) or "n/a" end

local function with_interval(value, range)
    return range and ("%s [%s, %s]"):format(number(value), number(range[1]), number(range[2])) or number(value)
end

-- Figures of validation images, which each model's file has.
local function own_figures(all)
    local names, rows = {}, {}
    for _, one in ipairs(all) do
        for name, value in pairs(one.metadata.metrics or {}) do
            if type(value) == "number" and name:find("^val_") then names[name] = true end
        end
    end
    local sorted = {}
    for name in pairs(names) do sorted[#sorted + 1] = name end
    table.sort(sorted)
    for i, name in ipairs(sorted) do
        rows[i] = {name = name:sub(5), values = {}}
        for k, one in ipairs(all) do rows[i].values[k] = number((one.metadata.metrics or {})[name]) end
    end
    return rows
end

local function print_settings(names, rows, same)
    print(("settings that differ (%d others are the same):"):format(same))
    local lines = {{"", table.unpack(names)}}
    for i, row in ipairs(rows) do
        lines[i + 1] = {row.name}
        for k, value in ipairs(row.values) do lines[i + 1][k + 1] = cut(value) end
    end
    if #rows > 0 then print_table(lines) else print("  none") end
end

local function print_judged(names, judged, what)
    print(("on the same images: %s"):format(what))
    print(("%d images of %d patients, %d positive; 95 %% intervals by bootstrap over patients:"):format(judged.images,
        judged.patients, judged.positives))
    local lines = {{"", table.unpack(names)}}
    for i, row in ipairs(judged.figures) do
        lines[i + 1] = {row.name}
        for k in ipairs(names) do lines[i + 1][k + 1] = with_interval(row.values[k], row.intervals[k]) end
    end
    print_table(lines)
    print(("\nagainst %s: differences of the AUC, paired by patient"):format(names[1]))
    lines = {{"", "difference", "p", "p, Holm", "p, DeLong"}}
    for k = 2, #names do
        local test, difference = judged.tests[k], judged.figures[1].differences[k]
        lines[k] = {
            names[k], difference and ("%+.4f [%+.4f, %+.4f]"):format(difference.difference, difference.low,
                difference.high) or "n/a", difference and number(difference.p) or "n/a", number(test.holm),
            test.delong and number(test.delong.p) or "n/a",
        }
    end
    print_table(lines)
    print("  (DeLong's test takes each image for a patient of its own)")
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local all, are_models = open(args)
    if not args.data then options.check_without_data(args) end
    local content = {names = {}, command = options.command_line()}
    for k, one in ipairs(all) do content.names[k] = one.name end
    if are_models then
        local settings = {}
        for k, one in ipairs(all) do settings[k] = one.settings end
        content.settings, content.same = comparison.differences(settings)
        content.own = own_figures(all)
        print_settings(content.names, content.settings, content.same)
        if #content.own > 0 then
            print("\non validation images of their own, which need not be the same, and on which epochs were chosen:")
            local lines = {{"", table.unpack(content.names)}}
            for i, row in ipairs(content.own) do lines[i + 1] = {row.name, table.unpack(row.values)} end
            print_table(lines)
        end
        print()
        if args.data then content.what = answer(args, all) else
            print("(with --data DIR they are compared on images that none of them was trained on)")
        end
    else
        content.what = "those that all evaluations have"
    end
    if content.what then
        local left_out
        content.sample, left_out = comparison.in_common(all)
        if not content.sample then options.fail(left_out) end
        if left_out > 0 then
            content.what = ("%s (%d others are not in all of them)"):format(content.what, left_out)
        end
        content.judged = comparison.judge(content.sample, {seed = args.seed, n = 1000})
        print_judged(content.names, content.judged, content.what)
    end
    if args.report then
        options.must(pages.write(args.report, content))
        print("report in " .. args.report)
    end
    print()
    print(options.NOTICE)
    if args.json then
        local tests = {}
        for k = 2, #all do tests[k - 1] = content.judged and content.judged.tests[k] end
        options.must(core.write_file(args.json, {options.json {
            compared = content.names, settings = content.settings, own = content.own, images = content.what,
            figures = content.judged and content.judged.figures, tests = content.judged and tests,
            notice = options.NOTICE,
        }, "\n"}))
    end
end

return command
