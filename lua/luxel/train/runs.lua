--- Several runs of one experiment, each in a folder of its own below one: cross-validation, seeds, search.

local args = require "luxel.args"
local console = require "luxel.train.console"
local core = require "luxel.core"
local run = require "luxel.train.run"

local runs = {fit = nil} -- luxel.train, which requires this file, puts its `fit` here

-- What all of them take.
runs.OPTIONS = "fit: function, out: path, resume: boolean?, overwrite: boolean?, progress: shown_by?"

---@class luxel.Run
---@field folder string below `out`
---@field plan fun(): table the options of `lx.train.fit` without out, resume and overwrite
---@field words fun(plan: table): string what is said before it begins

-- Takes an earlier run out of a folder, unless another process writes it.
local function clear(path)
    local lock <close>, message, code = core.lock_folder(path)
    if not lock then return nil, message, code end
    run.clear {out = path}
    return true
end

--- Raises where the options contradict each other, and refuses folders that hold runs already, or empties them: one
--- that is left would be gone on with later.
---@param name string of the public function
---@param options {out: string, resume: boolean?, overwrite: boolean?}
---@param folders string[]
---@return true? ok, string? message, string? code
function runs.check(name, options, folders)
    if options.resume and options.overwrite then
        args.fail("%s: options: resume goes on with a run, and overwrite replaces it: say one", name)
    end
    for _, folder in ipairs(options.resume and {} or folders) do
        local path = options.out .. "/" .. folder
        if run.exists {out = path} then
            if not options.overwrite then
                return nil, ("%s holds a run already: resume = true goes on with it, overwrite = true replaces it"
                    ):format(path), "exists"
            end
            local ok, message, code = clear(path)
            if not ok then return nil, message, code end
        end
    end
    return true
end

--- Runs one of them; one that has begun goes on with `resume`.
---@param name string of the public function
---@param options {out: string, resume: boolean?, progress: luxel.Console}
---@param job luxel.Run
---@param changes table? of the options of `fit`
---@return table? result as of `fit`, with its folder as `out`
---@return string? message, string? code
function runs.one(name, options, job, changes)
    local plan = args.check(name .. ": options: option 'fit': its result", "table", job.plan())
    if plan.interrupted or plan.save_problem then return plan end -- what came before it was stopped
    local own = {progress = options.progress}
    for _, part in ipairs {plan, changes or {}} do
        for key, value in pairs(part) do own[key] = value end
    end
    own.out, own.overwrite = options.out .. "/" .. job.folder, nil
    own.resume = options.resume and run.exists(own) or nil
    options.progress:message(job.words(own))
    local result, message, code = runs.fit(own)
    if not result then return nil, message, code end
    result.out = own.out
    return result
end

--- Runs all of them, until one is interrupted or cannot be saved.
---@param name string of the public function
---@param options table
---@param jobs luxel.Run[]
---@param word string what one of them is called in messages
---@return table[]? results, string? message, string? code
---@return table? stopped the result that ended them
function runs.all(name, options, jobs, word)
    local folders, results = {}, {}
    for k, job in ipairs(jobs) do folders[k] = job.folder end
    local ok, problem, kind = runs.check(name, options, folders)
    if not ok then return nil, problem, kind end
    local own = {}
    for key, value in pairs(options) do own[key] = value end
    own.progress = own.progress or console()
    for k, job in ipairs(jobs) do
        local result, message, code = runs.one(name, own, job)
        if not result then return nil, ("%s %d: %s"):format(word, k, message), code end
        results[k] = result
        if result.interrupted or result.save_problem then return results, nil, nil, result end
    end
    return results
end

return runs
