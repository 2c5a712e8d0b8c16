--- Pages of results, each one HTML file that needs nothing else: of a training run, of an evaluation, and of one film,
--- with suggestions for its reader.
--
--     lx.report.run("runs/first")                                         -- runs/first/report.html
--     local probabilities = assert(predictor:probabilities(dataset))
--     lx.report.evaluation("evaluation.html", probabilities, dataset, {
--         threshold = predictor.threshold, metadata = predictor.metadata, subgroups = {sex = sexes, age = ages},
--     })
--
-- Pages show names of files and pictures of images: who sees a page sees these.

local args = require "luxel.args"
local lx = require "luxel"
local evaluation = require "luxel.report.evaluation"
local namespace = require "luxel.namespace"
local run = require "luxel.report.run"
local study = require "luxel.report.study"
local suggest = require "luxel.report.suggest"
local suggestion_rules = require "luxel.report.suggestion_rules"

local report = {rules = suggestion_rules.rules}

--- Writes the page of a training run, from its `log.csv` and models: curves, recipe, model card.
---@param folder string of the run
---@param options? {out: string?, command: string?} out: the file, default `report.html` in the folder; command: how it
---  was run, for the page
---@return string? path, string? message, string? code "io" where there is no run or the page cannot be written,
---  "format" where a file of it is damaged
function report.run(folder, options) return run.write(folder, options or {}) end

local DEFAULTS <const> = {seed = 1, n = 1000, pictures = 8}

--- Writes the page of an evaluation of images with one of two classes, one of several, or several labels: figures with
--- intervals, curves, thresholds, subgroups, the worst mistakes as pictures, cards of data and model.
---@param path string the file
---@param probabilities number[]|number[][]|luxel.Tensor as `Predictor:probabilities` gives them
---@param dataset luxel.Dataset the images, with labels
---@param options? {threshold: number|number[]|nil, classes: string[]?, subgroups: table<string, any[]>?, metadata:
---  table?, model: string?, data: string?, title: string?, command: string?, maps: (fun(i: integer): Tensor?)?,
---  pictures: integer?, prevalence: number?, seed: integer?, n: integer?} threshold: default 0.5; classes: other names;
---  subgroups: by the name of a column a value for each image, nil where it is not known, numbers cut into ranges;
---  metadata: of the model, for its card; model: its file; data: where the images are from; maps: of image i a picture
---  beside it, uint8 [1,H,W] or [3,H,W], or nil; pictures: of each kind at most, default 8; prevalence: as of
---  `metrics.report`; seed, n: of resamples, default 1 and 1000
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function report.evaluation(path, probabilities, dataset, options)
    return evaluation.write(path, probabilities, dataset, args.with_defaults(options, DEFAULTS))
end

--- Suggestions for the reader, by a table of rules: of each finding a rule may look at probability, doubt, the age of
--- the patient and the urgency of the request, and what it looks at and is not known is said (`unjudged`). Nothing of
--- it is a prescription: a physician decides (`notice`).
---@param findings {finding: string, probability: number, threshold: number?, doubt: number?, uncertain: boolean?}[]
---  threshold: the model's; doubt: from 0 to 0.5, and uncertain, as of answers of `lx.predictor`; _ and capitals in
---  names do not matter
---@param options {rules: luxel.SuggestionRules?, age: number?, urgency: "routine"|"urgent"|nil}? rules: of
---  `lx.report.rules`, default those that Luxel has; age: in years
---@return luxel.Suggestions
function report.suggest(findings, options) return suggest.suggest(findings, options or {}) end

--- What a model finds in one film: findings with probability, threshold and doubt, maps of where that comes from, and,
--- with `rules`, suggestions for the reader. `print` shows it as text, `write_study` makes a page of it.
---@param predictor luxel.Predictor of two classes, of several, or of labels
---@param source string|{bytes: string, name: string?} a path, or the bytes of a file
---@param options? {explain: string|false|nil, maps: integer?, rules: luxel.SuggestionRules|boolean|nil, age: number?,
---  urgency: "routine"|"urgent"|nil}
---  explain: a method of `lx.explain`, default `lx.explain.usual`, or false for no maps; maps: of how many findings at
---  most, default 3: those that the model says are there, or else the likeliest; rules: of `lx.report.rules`, true for
---  those that Luxel has, default none; age: in years; urgency: of the request
---@return luxel.Study? study, string? message, string? code as of `Predictor:predict`
function report.study(predictor, source, options)
    local opts = args.with_defaults(options, {maps = 3})
    if opts.explain then
        args.check("study: options: option 'explain'", '"' .. table.concat(lx.explain.METHODS, '"|"') .. '"',
            opts.explain)
    end
    return study.of(predictor, source, opts)
end

--- Writes the page of a study. It shows the film and the name of its file.
---@param path string the file
---@param of luxel.Study
---@param options? {command: string?} command: how it was made, for the page
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function report.write_study(path, of, options) return study.write(path, of, options or {}) end

args.publish("", report, {
    study = "predictor: predictor, source: text|{bytes: string, name: text?}, options: {explain: text|false?, "
        .. "maps: integer(0..100)?, rules: suggestion_rules|boolean?, age: finite(0..150)?, "
        .. 'urgency: "routine"|"urgent"?}?',
    write_study = "path: path, of: study, options: {command: string?}?",
    rules = "path: path?",
    suggest = "findings: {finding: text, probability: finite(0..1), threshold: finite(0..1)?, "
        .. "doubt: finite(0..0.5)?, uncertain: boolean?}[], options: {rules: suggestion_rules?, "
        .. 'age: finite(0..150)?, urgency: "routine"|"urgent"?}?',
    run = "folder: path, options: {out: path?, command: string?}?",
    evaluation = "path: path, probabilities: tensor|table, dataset: dataset, "
        .. "options: {threshold: threshold|number[]?, classes: text[]?, subgroups: table?, metadata: table?, "
        .. "model: path?, data: string?, title: string?, command: string?, maps: function?, "
        .. "pictures: integer(0..100)?, prevalence: number(0..1)?, seed: integer?, n: integer(1..1000000)?}?",
})

return namespace("lx.report", report)
