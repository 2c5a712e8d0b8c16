--- Trained models beside each other: which settings of their trainings differ, and whether their answers to the same
--- images do.

local checkpoint = require "luxel.checkpoint"
local csv = require "luxel.io.csv"
local metrics = require "luxel.metrics"

local comparison = {}

-- ---- settings -------------------------------------------------------------------------------------------------------

-- Fields of a model's file that are settings, besides the recipe of its training. Others are what came of them.
local SETTINGS <const> = {"version", "task", "model", "network", "size", "input", "normalisation", "classes", "folders",
    "positive", "seed", "images", "transfer"}

local function sorted_names(of)
    local names = {}
    for name in pairs(of) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    return names
end

local function text_of(value)
    if math.type(value) == "float" then return (("%.6g"):format(value):gsub(",", ".")) end
    if type(value) ~= "table" then return tostring(value) end
    local parts = {}
    for _, name in ipairs(sorted_names(value)) do
        parts[#parts + 1] = (math.type(name) and "" or tostring(name) .. " ") .. text_of(value[name])
    end
    return table.concat(parts, ", ")
end

-- A table of tables as rows by names with dots; lists stay together.
local function flatten(out, name, value)
    if type(value) == "table" and value[1] == nil then
        for key, own in pairs(value) do flatten(out, name .. "." .. tostring(key), own) end
    elseif value ~= nil then
        out[name] = text_of(value)
    end
end

-- Text of a recipe such as {1={lr=0.1,betas={1=0.9,2=0.99}}} as rows by names with dots; nil where it is no such text.
local function split(out, name, text)
    local place
    local function value(path, from)
        if text:sub(from, from) ~= "{" then
            local word, after = text:match("^([^{},=]*)()", from)
            if path ~= "" then out[name .. path] = word end
            return after
        end
        from = from + 1
        while text:sub(from, from) ~= "}" do
            local key, after = text:match("^([^{},=]+)=()", from)
            if not key then return nil end
            from = value(path .. "." .. key, after)
            if not from then return nil end
            if text:sub(from, from) == "," then from = from + 1 elseif text:sub(from, from) ~= "}" then return nil end
        end
        return from + 1
    end
    place = value("", 1)
    return place == #text + 1
end

-- A setting of a recipe, which keeps tables as text.
local function add_recipe(out, name, value)
    local rows = {}
    if type(value) == "string" and value:find("^{") and split(rows, name, value) then
        for key, own in pairs(rows) do out[key] = own end
    else
        flatten(out, name, value)
    end
end

--- The settings that a model was trained with, as text by name.
---@param metadata table of its file
---@param training table? of the file to go on with, which keeps the recipe
---@return table<string, string>
function comparison.settings(metadata, training)
    training = training or metadata.training or {}
    local out, recipe = {}, training.recipe or {}
    for _, name in ipairs(SETTINGS) do flatten(out, name, metadata[name]) end
    local from = metadata.pretrained
    out["first weights"] = from and ("%s (%s)"):format(from.source, from.checksum) or "new"
    for name, value in pairs(recipe) do
        if out[name] == nil and name ~= "mean" and name ~= "std" then add_recipe(out, name, value) end
    end
    add_recipe(out, "the schedule's options", training.schedule)
    return out
end

--- The settings in which models differ.
---@param all table<string, string>[] of each model
---@return {name: string, values: string[]}[] rows, integer same how many are the same everywhere
function comparison.differences(all)
    local known, rows, same = {}, {}, 0
    for _, own in ipairs(all) do
        for name in pairs(own) do known[name] = true end
    end
    for _, name in ipairs(sorted_names(known)) do
        local values, differ = {}, false
        for i, own in ipairs(all) do
            values[i] = own[name] or "not known"
            differ = differ or values[i] ~= values[1]
        end
        if differ then rows[#rows + 1] = {name = name, values = values} else same = same + 1 end
    end
    return rows, same
end

-- ---- what is compared -----------------------------------------------------------------------------------------------

---@class luxel.Compared
---@field name string what it was called
---@field model string? file of a model
---@field metadata table? of it
---@field settings table<string, string>?
---@field answers {path: string, patient: string, label: number, probability: number, positive: number}[]? of an
---  evaluation

local function read_answers(path)
    local rows, columns, code = csv.read(path)
    if not rows then return nil, columns, code end
    local known = {}
    for _, name in ipairs(columns) do known[name] = true end
    for _, name in ipairs {"path", "patient", "label", "probability", "positive"} do
        if not known[name] then
            return nil, ("%s: it has no column '%s', as files of luxel evaluate --predictions have"):format(path, name),
                "format"
        end
    end
    local out, seen = {}, {}
    for i, row in ipairs(rows) do
        local one = {
            path = row.path, patient = row.patient, label = tonumber(row.label), positive = tonumber(row.positive),
            probability = tonumber(row.probability),
        }
        if not ((one.label == 0 or one.label == 1) and (one.positive == 0 or one.positive == 1)
            and one.probability and one.probability >= 0 and one.probability <= 1) then
            return nil, ("%s: row %d: expected a label and a decision of 0 or 1, and a probability"):format(path,
                i + 1), "format"
        elseif seen[one.path] then
            return nil, ("%s: row %d: %s is there twice"):format(path, i + 1, one.path), "format"
        end
        seen[one.path], out[i] = true, one
    end
    if #out == 0 then return nil, path .. ": it has no images", "format" end
    return out
end

--- What a word of the command line names: the folder of a run, a model's file, or a file of
--- `luxel evaluate --predictions`.
---@param path string
---@param is_folder boolean
---@return luxel.Compared? compared, string? message, string? code
function comparison.open(path, is_folder)
    if not is_folder and path:lower():find("%.csv$") then
        local answers, message, code = read_answers(path)
        return answers and {name = path, answers = answers}, message, code
    end
    local model = is_folder and path:gsub("(.)/+$", "%1") .. "/best.safetensors" or path
    local tensors, metadata, code = checkpoint.load(model)
    if not tensors then return nil, metadata, code end
    local training = metadata.training
    if is_folder and not training then
        local _, last = checkpoint.load(path:gsub("(.)/+$", "%1") .. "/last.safetensors")
        training = type(last) == "table" and last.training or nil
    end
    return {
        name = path, model = model, metadata = metadata, settings = comparison.settings(metadata, training),
    }
end

-- ---- answers to the same images -------------------------------------------------------------------------------------

--- The images that all evaluations have, in the order of the first.
---@param all luxel.Compared[] with answers
---@return {labels: number[], groups: string[], scores: number[][], decisions: number[][]}? sample, string|integer
---  message or how many images of all together are left out
function comparison.in_common(all)
    local by_path, counts, total = {}, {}, 0
    for k, one in ipairs(all) do
        by_path[k] = {}
        for _, row in ipairs(one.answers) do
            by_path[k][row.path] = row
            if not counts[row.path] then total = total + 1 end
            counts[row.path] = (counts[row.path] or 0) + 1
        end
    end
    local sample = {labels = {}, groups = {}, scores = {}, decisions = {}}
    for k in ipairs(all) do sample.scores[k], sample.decisions[k] = {}, {} end
    for _, row in ipairs(all[1].answers) do
        if counts[row.path] == #all then
            local i = #sample.labels + 1
            sample.labels[i], sample.groups[i] = row.label, row.patient
            for k, one in ipairs(all) do
                local own = by_path[k][row.path]
                if own.label ~= row.label then
                    return nil, ("%s is labelled %d in %s, and %d in %s"):format(row.path, row.label, all[1].name,
                        own.label, one.name)
                end
                sample.scores[k][i], sample.decisions[k][i] = own.probability, own.positive
            end
        end
    end
    if #sample.labels == 0 then return nil, "they have no image in common, by its path" end
    return sample, total - #sample.labels
end

local function at_half(f) return function(decisions, labels) return f(decisions, labels, 0.5) end end

-- Figures of the probabilities, and of the decisions at each model's own threshold.
local FIGURES <const> = {
    {"AUC", "scores", metrics.auc}, {"Brier score", "scores", metrics.brier},
    {"accuracy", "decisions", at_half(metrics.accuracy)}, {"sensitivity", "decisions", at_half(metrics.sensitivity)},
    {"specificity", "decisions", at_half(metrics.specificity)},
}

-- Holm's correction (Scandinavian Journal of Statistics 6:65, 1979) of several tests.
local function holm(values)
    local order, out, before = {}, {}, 0
    for i, p in pairs(values) do order[#order + 1] = {i = i, p = p} end
    table.sort(order, function(a, b) return a.p < b.p end)
    for rank, one in ipairs(order) do
        before = math.max(before, math.min(1, one.p * (#order - rank + 1)))
        out[one.i] = before
    end
    return out
end

--- Figures of several models on the same images, and tests of each against the first one.
---@param sample table as of `in_common`
---@param options {seed: integer, n: integer}
---@return {figures: table[], tests: table[], images: integer, positives: integer, patients: integer}
function comparison.judge(sample, options)
    local out, patients, known = {figures = {}, tests = {}, images = #sample.labels, positives = 0}, 0, {}
    for i, label in ipairs(sample.labels) do
        out.positives = out.positives + label
        local group = sample.groups[i]
        if not known[group] then known[group], patients = true, patients + 1 end
    end
    out.patients = patients
    local resampling = {groups = sample.groups, seed = options.seed, n = options.n}
    for f, figure in ipairs(FIGURES) do
        local row = {name = figure[1], values = {}, intervals = {}, differences = {}}
        for k, values in ipairs(sample[figure[2]]) do
            row.values[k] = figure[3](values, sample.labels)
            local low, high = metrics.bootstrap(figure[3], values, sample.labels, resampling)
            row.intervals[k] = low and {low, high} or false
            row.differences[k] = k > 1 and metrics.paired_bootstrap(figure[3], values, sample[figure[2]][1],
                sample.labels, resampling) or false
        end
        out.figures[f] = row
    end
    local p_values = {}
    for k = 2, #sample.scores do
        local found, message = metrics.delong_test(sample.scores[k], sample.scores[1], sample.labels)
        out.tests[k] = {delong = found or nil, message = not found and message or nil,
            bootstrap = out.figures[1].differences[k] or nil}
        p_values[k] = out.tests[k].bootstrap and out.tests[k].bootstrap.p or found and found.p
    end
    for k, p in pairs(holm(p_values)) do out.tests[k].holm = p end
    return out
end

comparison.holm = holm

return comparison
