--- Search for hyper-parameters: at random (Bergstra and Bengio, JMLR 13:281, 2012), or with successive halving
--- (Jamieson and Talwalkar, AISTATS 2016), which begins with all candidates and goes on with the best ones.

local args = require "luxel.args"
local console = require "luxel.train.console"
local core = require "luxel.core"
local json = require "luxel.json"
local make_folder = require "luxel.make_folder"
local random = require "luxel.random"
local result_type = require "luxel.result"
local runs = require "luxel.train.runs"

local search = {}

local DEFAULTS <const> = {trials = 16, method = "halving", eta = 3, first = 1, seed = 1}

local function sorted_names(values)
    local names = {}
    for name in pairs(values) do names[#names + 1] = name end
    table.sort(names)
    return names
end

local function text_of(value) return math.type(value) == "float" and ("%.4g"):format(value) or tostring(value) end

local function words_of(values)
    local words = {}
    for i, name in ipairs(sorted_names(values)) do words[i] = name .. " " .. text_of(values[name]) end
    return table.concat(words, ", ")
end

local new_result = result_type("search", {"best", "trials", "interrupted", "save_problem"}, function(self)
    local lines = {}
    for k, trial in ipairs(self.trials) do
        lines[k] = ("trial %d: %s, %d epochs: %s"):format(trial.number, trial.value and ("%.4f"):format(trial.value)
            or trial.diverged and "diverged" or "n/a", trial.epochs, words_of(trial.values))
    end
    if self.best then lines[#lines + 1] = ("the best is trial %d"):format(self.best.number) end
    return table.concat(lines, "\n")
end)

-- ---- candidates -----------------------------------------------------------------------------------------------------

local RANGE <const> = "{low: finite, high: finite, log: boolean?, integer: boolean?}"

-- Checks what values a name can have.
local function check_space(space)
    if next(space) == nil then args.fail("search: options: option 'space': there is nothing to search") end
    for name, choice in pairs(space) do
        local where = ("search: options: option 'space': %s"):format(tostring(name))
        args.check(where, "table", choice)
        if type(name) ~= "string" then args.fail("%s: expected a name", where) end
        if #choice > 0 then
            for i, value in ipairs(choice) do
                if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
                    args.fail("%s: [%d]: expected a text, a number or a boolean, got %s", where, i,
                        args.describe(value))
                end
            end
        else
            args.check(where, RANGE, choice)
            if choice.low > choice.high or choice.log and choice.low <= 0 then
                args.fail("%s: expected low%s and high above it, got %g and %g", where, choice.log and " above 0" or "",
                    choice.low, choice.high)
            end
        end
    end
end

-- One value of a range or a list.
local function draw(stream, choice)
    if #choice > 0 then return choice[stream:integer(#choice)] end
    local low, high = choice.low, choice.high
    if choice.integer then low, high = low - 0.5, high + 0.5 end
    if choice.log then
        if choice.integer then low = math.max(low, 0.5) end
        low, high = math.log(low), math.log(high)
    end
    local value = stream:uniform(low, high)
    if choice.log then value = math.exp(value) end
    if choice.integer then value = math.floor(value + 0.5) end
    value = math.max(choice.low, math.min(choice.high, value))
    return choice.integer and math.tointeger(value) or value
end

local function draw_trials(opts)
    local trials, names = {}, sorted_names(opts.space)
    for k = 1, opts.trials do
        local stream, values = random.stream(opts.seed, k), {}
        for _, name in ipairs(names) do values[name] = draw(stream, opts.space[name]) end
        trials[k] = {number = k, values = values, folder = ("trial-%d"):format(k)}
    end
    return trials
end

-- Up to which epochs candidates go before some are given up.
local function rungs_of(opts)
    local rungs, epochs = {}, opts.first
    while opts.method == "halving" and epochs < opts.epochs do
        rungs[#rungs + 1], epochs = epochs, epochs * opts.eta
    end
    rungs[#rungs + 1] = opts.epochs
    return rungs
end

-- ---- what is done already ------------------------------------------------------------------------------------------

-- The search as a text: with another one, going on would be another search.
local function recipe_of(opts)
    local lines = {}
    for _, name in ipairs {"trials", "method", "eta", "first", "epochs", "seed"} do
        lines[#lines + 1] = ("%s %s"):format(name, text_of(opts[name]))
    end
    for _, name in ipairs(sorted_names(opts.space)) do
        lines[#lines + 1] = name .. " " .. assert(json.encode(opts.space[name], name))
    end
    return table.concat(lines, "; ")
end

local function path_of(opts) return opts.out .. "/search.json" end

-- The results in the folder, by trial and epochs.
local function read_done(opts)
    local file = opts.resume and io.open(path_of(opts), "rb")
    local text = file and file:read("a")
    if file then file:close() end
    if not text then return {recipe = recipe_of(opts), results = {}} end
    local done, message = json.decode(text)
    if not done or type(done) ~= "table" or type(done.recipe) ~= "string" or type(done.results) ~= "table" then
        return nil, ("%s: it is no search: %s"):format(path_of(opts), message or "its fields are missing"), "format"
    elseif done.recipe ~= recipe_of(opts) then
        return nil, ("%s: the search was %s and is %s; it would not be the same"):format(path_of(opts), done.recipe,
            recipe_of(opts)), "format"
    end
    return done
end

local function write_done(opts, done)
    return core.write_file(path_of(opts), {assert(json.encode(done)), "\n"})
end

local function find_done(done, trial, epochs)
    for _, result in ipairs(done.results) do
        if result.trial == trial.number and result.epochs == epochs then return result end
    end
end

-- ---- the search -----------------------------------------------------------------------------------------------------

-- Trains a candidate up to an epoch. Returns what is known of it then, and the result that stops the search, if any; or
-- nil, message, code.
local function try(opts, trial, epochs)
    local result, message, code = runs.one("search", opts, {
        folder = trial.folder,
        plan = function()
            local plan = args.check("search: options: option 'fit': its result", "table",
                opts.fit(trial.values, trial.number))
            if plan.best == "last" then
                args.fail("search: options: option 'fit': best = \"last\" says nothing of how good a run is")
            end
            return plan
        end,
        words = function()
            return ("trial %d of %d, to epoch %d of %d: %s"):format(trial.number, opts.trials, epochs, opts.epochs,
                words_of(trial.values))
        end,
    }, {epochs = opts.epochs, halt = epochs})
    if not result and code == "diverged" then
        opts.progress:message("[WARN] " .. message)
        return {trial = trial.number, epochs = epochs, diverged = true}
    elseif not result then
        return nil, ("trial %d: %s"):format(trial.number, message), code
    elseif result.interrupted or result.save_problem then
        return {}, result
    end
    local best = result.best or {}
    return {trial = trial.number, epochs = epochs, value = best.value, loss = best.loss, epoch = best.epoch}
end

-- The larger value first, of equal ones the smaller loss, and then the earlier trial.
local function better(a, b)
    local value, other = a.value or -math.huge, b.value or -math.huge
    if value ~= other then return value > other end
    local loss, other_loss = a.loss or math.huge, b.loss or math.huge
    if loss ~= other_loss then return loss < other_loss end
    return a.number < b.number
end

local function report(opts, trials, stopped)
    local shown = {}
    for _, trial in ipairs(trials) do
        if trial.epochs then shown[#shown + 1] = trial end
    end
    -- those that went on longest were the best where they were compared
    table.sort(shown, function(a, b)
        if a.epochs ~= b.epochs then return a.epochs > b.epochs end
        return better(a, b)
    end)
    for _, trial in ipairs(shown) do trial.out, trial.folder = opts.out .. "/" .. trial.folder, nil end
    local best = shown[1]
    return new_result {
        best = not stopped and best and best.value and best or nil, trials = shown,
        interrupted = stopped ~= nil and stopped.interrupted, save_problem = stopped and stopped.save_problem,
    }
end

--- Searches for hyper-parameters: draws `trials` candidates, trains them in the folders trial-1, trial-2, ... of `out`,
--- and compares what `fit` found to be best of each (`best`, "auc" by default) on the validation images. With "halving"
--- all are trained for `first` epochs, the best third (1 / eta) of them for eta times as many, and so on; a run that is
--- gone on with has the bits of one that was never stopped, and its schedule is that of all epochs. With "random" each
--- is trained to the end. What is best on the validation images is better there than it will be elsewhere.
---
--- Ctrl-C ends it, and `resume` goes on; what is known of each candidate is in search.json.
---@param options {space: table<string, table>, fit: (fun(values: table, trial: integer): table), epochs: integer,
---  out: string, trials: integer?, method: "halving"|"random"|nil, eta: integer?, first: integer?, seed: integer?,
---  resume: boolean?, overwrite: boolean?, progress: luxel.Console?} space: for each name a list of values, or {low =,
---  high =, log = true, integer = true}; fit: the options of `lx.train.fit` for such values, without epochs, out,
---  resume and overwrite; epochs: of a whole run; trials: default 16; method: default "halving"; eta: default 3;
---  first: default 1
---@return {best: table?, trials: table[], interrupted: boolean, save_problem: string?}? result trials: the best first,
---  {number, values, epochs (that it was trained for), value, loss and epoch of its best epoch, diverged, out}
---@return string? message, string? code as of `fit`
local function search_for(options)
    local opts = args.with_defaults(options, DEFAULTS)
    check_space(opts.space)
    opts.progress = opts.progress or console()
    local trials, folders = draw_trials(opts), {}
    for k, trial in ipairs(trials) do folders[k] = trial.folder end
    local ok, problem, kind = runs.check("search", opts, folders)
    if not ok then return nil, problem, kind end
    ok, problem, kind = make_folder(opts.out)
    if not ok then return nil, problem, kind end
    local done, mistake, what = read_done(opts)
    if not done then return nil, mistake, what end
    ok, problem, kind = write_done(opts, done)
    if not ok then return nil, problem, kind end
    local alive = table.move(trials, 1, #trials, 1, {})
    local rungs = rungs_of(opts)
    for rung, epochs in ipairs(rungs) do
        for _, trial in ipairs(alive) do
            local known = find_done(done, trial, epochs)
            if not known then
                local found, message, code = try(opts, trial, epochs)
                if not found then return nil, message, code end
                if not found.trial then return report(opts, trials, message) end
                known = found
                table.insert(done.results, found)
                ok, problem, kind = write_done(opts, done)
                if not ok then return nil, problem, kind end
            end
            trial.epochs, trial.value, trial.loss = epochs, known.value, known.loss
            trial.epoch, trial.diverged = known.epoch, known.diverged
        end
        table.sort(alive, better)
        for k = #alive, rung < #rungs and math.max(1, #alive // opts.eta) + 1 or #alive + 1, -1 do alive[k] = nil end
        opts.resume = true -- from now on runs of this search go on
    end
    return report(opts, trials)
end

search.search = args.public("search", "options: {space: table, epochs: integer(1..), trials: integer(1..10000)?, "
    .. 'method: "halving"|"random"?, eta: integer(2..)?, first: integer(1..)?, seed: integer?, ' .. runs.OPTIONS .. "}",
    search_for)

return search
