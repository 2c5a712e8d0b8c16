--- Cross-validation: one run for each fold, each in a folder of its own.

local args = require "luxel.args"
local console = require "luxel.train.console"
local result_type = require "luxel.result"
local run = require "luxel.train.run"

local new_result = result_type("cross-validation", {"folds", "interrupted", "save_problem"}, function(self)
    local lines = {}
    for k, result in ipairs(self.folds) do lines[k] = ("fold %d: %s"):format(k, tostring(result)) end
    return table.concat(lines, "\n")
end)

local folds = {fit = nil} -- luxel.train, which requires this file, puts its `fit` here

local function folder_of(out, k) return ("%s/fold-%d"):format(out, k) end

--- Trains once for each fold (`Frame:folds`, `Dataset:folds`), in the folders fold-1, fold-2, ... of `out`, as `fit`
--- does. What is best on the validation images of a fold says too much of a network that was chosen on them: options of
--- `fit` with best = "last" choose nothing. Ctrl-C ends it, and `resume` goes on: folds that are done stay as they are.
---@param options {folds: table[], fit: (fun(fold: table, k: integer): table), out: string, resume: boolean?,
---  overwrite: boolean?, progress: luxel.Console?} fit: the options of `lx.train.fit` for a fold, train and val among
---  them, without out, resume and overwrite; it is called again for folds that are done
---@return {folds: table[], interrupted: boolean, save_problem: string?}? result folds: what `fit` returned for each,
---  with its folder as `out`
---@return string? message, string? code as of `fit`
local function cross_validate(options)
    local results, count = {}, #options.folds
    local progress = options.progress or console()
    if count == 0 then args.fail("cross_validate: options: option 'folds': there are none") end
    if options.resume and options.overwrite then
        args.fail("cross_validate: options: resume goes on with a run, and overwrite replaces it: say one")
    end
    for k = 1, options.resume and 0 or count do
        if not options.overwrite and run.exists {out = folder_of(options.out, k)} then
            return nil, ("%s holds a run already: resume = true goes on with it, overwrite = true replaces it"):format(
                folder_of(options.out, k)), "exists"
        end
    end
    for k, fold in ipairs(options.folds) do
        local plan = args.check("cross_validate: options: option 'fit': its result", "table", options.fit(fold, k))
        local own = {progress = progress}
        for key, value in pairs(plan) do own[key] = value end
        own.out, own.overwrite = folder_of(options.out, k), options.overwrite
        own.resume = options.resume and run.exists(own) or nil
        progress:message(("fold %d of %d: %d images to train on, %d to validate on"):format(k, count, #own.train,
            #own.val))
        local result, message, code = folds.fit(own)
        if not result then return nil, ("fold %d: %s"):format(k, message), code end
        results[k], result.out = result, own.out
        if result.interrupted or result.save_problem then
            return new_result {folds = results, interrupted = result.interrupted, save_problem = result.save_problem}
        end
    end
    return new_result {folds = results, interrupted = false}
end

folds.cross_validate = args.public("cross_validate", "options: {folds: table[], fit: function, out: path, "
    .. "resume: boolean?, overwrite: boolean?, progress: shown_by?}", cross_validate)

return folds
