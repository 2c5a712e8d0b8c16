--- The same training with several seeds: what of a figure is chance.

local args = require "luxel.args"
local result_type = require "luxel.result"
local runs = require "luxel.train.runs"

local function words_of(self)
    local lines, names = {}, {}
    for k, result in ipairs(self.runs) do lines[k] = ("seed %d: %s"):format(self.seeds[k], tostring(result)) end
    for name in pairs(self.figures) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        local figure = self.figures[name]
        lines[#lines + 1] = ("%s of %d seeds: mean %.4f, standard deviation %s, %.4f to %.4f"):format(name,
            figure.count, figure.mean, figure.deviation and ("%.4f"):format(figure.deviation) or "n/a", figure.least,
            figure.most)
    end
    return table.concat(lines, "\n")
end

local new_result = result_type("seeds", {"runs", "seeds", "figures", "interrupted", "save_problem"}, words_of)

local seeds = {}

-- Mean and spread of numbers.
local function summary(values)
    local sum, squares, least, most = 0, 0, math.huge, -math.huge
    for _, value in ipairs(values) do
        sum, least, most = sum + value, math.min(least, value), math.max(most, value)
    end
    local mean = sum / #values
    for _, value in ipairs(values) do squares = squares + (value - mean) ^ 2 end
    return {
        mean = mean, deviation = #values > 1 and math.sqrt(squares / (#values - 1)) or nil, least = least, most = most,
        count = #values,
    }
end

-- The figures of the best epochs, by name.
local function figures_of(results)
    local columns, figures = {}, {}
    for _, result in ipairs(results) do
        for name, value in pairs(result.best or {}) do
            if name ~= "epoch" and name ~= "value" and type(value) == "number" then
                columns[name] = columns[name] or {}
                table.insert(columns[name], value)
            end
        end
    end
    for name, values in pairs(columns) do figures[name] = summary(values) end
    return figures
end

--- Trains once for each seed, in the folders seed-1, seed-2, ... of `out` (called by the seeds), as `fit` does. Two
--- ways of training differ only if their figures differ by more than those of one way do. Ctrl-C ends it, and `resume`
--- goes on: runs that are done stay as they are.
---@param options {seeds: integer|integer[], fit: (fun(seed: integer): table), out: string, resume: boolean?,
---  overwrite: boolean?, progress: luxel.Console?} seeds: their number, for 1, 2, ..., or a list; fit: the options of
---  `lx.train.fit` for a seed, without out, resume and overwrite; it has to use the seed for the first weights
---  (`lx.manual_seed`), and `fit` takes it for the order and the augmentation unless the options name another one
---@return {runs: table[], seeds: integer[], figures: table<string, table>, interrupted: boolean,
---  save_problem: string?}? result runs: what `fit` returned for each, with its folder as `out`; figures: of the best
---  epochs, by name (loss, auc, accuracy, ...), {mean, deviation, least, most, count}
---@return string? message, string? code as of `fit`
local function over_seeds(options)
    local list, jobs, known = options.seeds, {}, {}
    if type(list) == "number" then
        list = {}
        for k = 1, options.seeds do list[k] = k end
    end
    if #list == 0 then args.fail("over_seeds: options: option 'seeds': there are none") end
    for k, seed in ipairs(list) do
        if known[seed] then args.fail("over_seeds: options: option 'seeds': %d is there twice", seed) end
        known[seed] = true
        jobs[k] = {
            folder = "seed-" .. seed,
            plan = function()
                local plan = args.check("over_seeds: options: option 'fit': its result", "table", options.fit(seed))
                if plan.seed ~= nil then return plan end
                local own = {seed = seed}
                for key, value in pairs(plan) do own[key] = value end
                return own
            end,
            words = function() return ("seed %d, %d of %d"):format(seed, k, #list) end,
        }
    end
    local results, message, code, stopped = runs.all("over_seeds", options, jobs, "run")
    if not results then return nil, message, code end
    return new_result {
        runs = results, seeds = list, figures = figures_of(results),
        interrupted = stopped ~= nil and stopped.interrupted, save_problem = stopped and stopped.save_problem,
    }
end

seeds.over_seeds = args.public("over_seeds", "options: {seeds: integer(1..1000)|integer[], " .. runs.OPTIONS .. "}",
    over_seeds)

return seeds
