--- Cross-validation: one run for each fold, each in a folder of its own.

local args = require "luxel.args"
local result_type = require "luxel.result"
local runs = require "luxel.train.runs"

local new_result = result_type("cross-validation", {"folds", "interrupted", "save_problem"}, function(self)
    local lines = {}
    for k, result in ipairs(self.folds) do lines[k] = ("fold %d: %s"):format(k, tostring(result)) end
    return table.concat(lines, "\n")
end)

local folds = {}

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
    local jobs, count = {}, #options.folds
    if count == 0 then args.fail("cross_validate: options: option 'folds': there are none") end
    for k, fold in ipairs(options.folds) do
        jobs[k] = {
            folder = "fold-" .. k, plan = function() return options.fit(fold, k) end,
            words = function(plan)
                return ("fold %d of %d: %d images to train on, %d to validate on"):format(k, count, #plan.train,
                    #plan.val)
            end,
        }
    end
    local results, message, code, stopped = runs.all("cross_validate", options, jobs, "fold")
    if not results then return nil, message, code end
    return new_result {
        folds = results, interrupted = stopped ~= nil and stopped.interrupted,
        save_problem = stopped and stopped.save_problem,
    }
end

folds.cross_validate = args.public("cross_validate", "options: {folds: table[], " .. runs.OPTIONS .. "}",
    cross_validate)

return folds
