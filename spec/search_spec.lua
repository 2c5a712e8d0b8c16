--- Several runs of one experiment: learning rates, seeds, hyper-parameters.

local json = require "luxel.json"
local lx = require "luxel"
local shell = require "spec.support.shell"
local nn = lx.nn

local LUA <const> = os.getenv("LUA") or "lua5.4"
local folder

setup(function() folder = shell.folder() end)
teardown(function() shell.remove(folder) end)

local SILENT <const> = {message = function() end, step = function() end, epoch = function() end}

-- Two classes that differ in their levels, with so much noise that learning takes a while.
local function images(count, seed)
    lx.manual_seed(seed)
    local levels, labels = lx.rand(count, 1, 6, 6) * 120 + 60, {}
    for i = 1, count do
        labels[i] = i % 2
        if labels[i] == 1 then levels:narrow(1, i, 1):add_(12) end
    end
    return lx.data.dataset {images = levels:byte(), labels = labels, classes = {"a", "b"}}
end

local train, val

setup(function() train, val = images(40, 1), images(30, 2) end)

-- Options of fit, without epochs and out.
local function plan(changes)
    lx.manual_seed(changes and changes.seed or 5)
    local net = nn.Sequential(nn.Flatten(), nn.Linear(36, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = changes and changes.lr or 0.01})
    local options = {
        net = net, optimizer = optimizer, train = train, val = val, batch = 8, augment = {{"noise", 9}},
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {total = 45}), progress = SILENT,
    }
    for key, value in pairs(changes or {}) do
        if key ~= "lr" then options[key] = value end
    end
    return options
end

describe("the search for a learning rate", function()
    it("raises the rate evenly, and says where the loss is lowest", function()
        local options = plan {epochs = 2, out = folder .. "/nothing"}
        local state, kept = options.net:state_dict(), {}
        for name, tensor in pairs(state) do kept[name] = tensor:clone() end
        local rate = options.optimizer.groups[1].lr
        local seed, stream = require("luxel.core").random_state()
        local found = lx.train.find_lr(options, {low = 1e-4, high = 100, steps = 60})
        for name, tensor in pairs(options.net:state_dict()) do assert.is_true(lx.equal(kept[name], tensor), name) end
        assert.equal(rate, options.optimizer.groups[1].lr)
        assert.same({seed, stream}, {require("luxel.core").random_state()})
        assert.is_nil(require("lfs").attributes(folder .. "/nothing"))
        -- by hand: the same steps with the same rates
        local twin = plan()
        local average, lowest, at = 0, math.huge, nil
        local step, epoch = 0, 0
        while step < #found.rates do
            epoch = epoch + 1
            for x, y in lx.data.batches(train, {batch = 8, epoch = epoch, augment = {{"noise", 9}}, mean = 0.5,
                std = 0.25}) do
                if step == #found.rates then break end
                assert.near(1e-4 * 1e6 ^ (step / 59), found.rates[step + 1], found.rates[step + 1] * 1e-9)
                twin.optimizer.groups[1].lr = found.rates[step + 1]
                twin.optimizer:zero_grad()
                local loss = nn.functional.binary_cross_entropy_with_logits(twin.net(x), y)
                loss:backward()
                twin.optimizer:step()
                step = step + 1
                average = 0.9 * average + 0.1 * loss:item()
                local smooth = average / (1 - 0.9 ^ step)
                assert.near(smooth, found.losses[step], 2e-3 * math.max(1, smooth))
                if smooth < lowest then lowest, at = smooth, step end
                assert.equal(step == #found.rates and found.ended, smooth > 4 * lowest)
            end
        end
        assert.near(found.rates[at], found.lowest, 1e-12)
        assert.near(found.rates[at] / 10, found.suggestion, 1e-12)
        assert.matches("▁.*\nlearning rate 0.0001 to .*\nthe loss is lowest at .*; a rate to begin with: ",
            tostring(found))
        -- several groups keep their proportions
        local net = nn.Linear(36, 1)
        local chain = nn.Sequential(nn.Flatten(), net)
        local rates, seen = lx.optim.SGD({{params = {net.weight}, lr = 0.1}, {params = {net.bias}, lr = 0.4}},
            {lr = 1}), {}
        local one = plan {net = chain, optimizer = rates, epochs = 1, out = folder .. "/nothing", compile = false}
        one.scheduler = nil
        one.loss = function(out, y)
            seen[#seen + 1] = {rates.groups[1].lr, rates.groups[2].lr}
            return nn.functional.binary_cross_entropy_with_logits(out, y)
        end
        lx.train.find_lr(one, {low = 1e-3, high = 1e-2, steps = 2})
        assert.near(1e-3 / 4, seen[1][1], 1e-12)
        assert.near(1e-3, seen[1][2], 1e-12)
        assert.near(1e-2, seen[2][2], 1e-12)
        assert.equal(0.1, rates.groups[1].lr)
    end)

    it("ends where the loss is no number, and refuses what makes no sense", function()
        local options = plan {epochs = 1, out = folder .. "/nothing"}
        local calls = 0
        options.compile, options.loss = false, function(out, y)
            calls = calls + 1
            local loss = nn.functional.binary_cross_entropy_with_logits(out, y)
            return calls == 4 and loss * (0 / 0) or loss
        end
        local found = lx.train.find_lr(options)
        assert.equal(3, #found.rates)
        assert.is_true(found.ended)
        assert.error_matches(function() lx.train.find_lr(options, {low = 1, high = 1}) end,
            "find_lr: search: option 'low': expected less than high %(1%), got 1")
        assert.error_matches(function() lx.train.find_lr(options, {stops = 3}) end, "stops")
        assert.error_matches(function() lx.train.find_lr {net = options.net} end, "find_lr: options")
    end)
end)

describe("several seeds", function()
    it("give mean and spread, of runs as `fit` does them", function()
        local out = folder .. "/seeds"
        local stop = 2
        local function run(more)
            local options = {seeds = {4, 9, 2}, out = out, progress = SILENT, fit = function(seed)
                local own = plan {seed = seed, epochs = 2}
                own.seed = nil
                if seed == stop then own.callbacks = {epoch = function() error("interrupted!", 0) end} end
                return own
            end}
            for key, value in pairs(more or {}) do options[key] = value end
            return lx.train.over_seeds(options)
        end
        local stopped = assert(run())
        assert.is_true(stopped.interrupted)
        stop = nil
        local refused, message, code = run()
        assert.is_nil(refused)
        assert.matches("seed%-4 holds a run already", message)
        assert.equal("exists", code)
        local result = assert(run {resume = true})
        assert.is_false(result.interrupted)
        local values, sum = {}, 0
        for k, seed in ipairs {4, 9, 2} do
            local alone = assert(lx.train.fit(plan {
                seed = seed, epochs = 2, out = folder .. "/alone", overwrite = true,
            }))
            assert.equal(alone.best.auc, result.runs[k].best.auc)
            assert.equal(("%s/seed-%d"):format(out, seed), result.runs[k].out)
            assert.equal(shell.read(folder .. "/alone/best.safetensors"),
                shell.read(result.runs[k].out .. "/best.safetensors"))
            values[k], sum = alone.best.auc, sum + alone.best.auc
        end
        local mean, squares = sum / 3, 0
        for _, value in ipairs(values) do squares = squares + (value - mean) ^ 2 end
        assert.near(mean, result.figures.auc.mean, 1e-12)
        assert.near(math.sqrt(squares / 2), result.figures.auc.deviation, 1e-12)
        assert.equal(math.min(table.unpack(values)), result.figures.auc.least)
        assert.equal(math.max(table.unpack(values)), result.figures.auc.most)
        assert.equal(3, result.figures.loss.count)
        assert.matches("auc of 3 seeds: mean [01]%.%d+, standard deviation 0%.%d+", tostring(result))
        assert.is_true(result.figures.auc.deviation > 0)
        assert.error_matches(function() run {seeds = {}} end, "there are none")
        assert.error_matches(function() run {seeds = {1, 1}} end, "1 is there twice")
        assert.error_matches(function() run {resume = true, overwrite = true} end, "say one")
    end)
end)

describe("the search for hyper-parameters", function()
    local SPACE <const> = {
        lr = {low = 1e-5, high = 0.3, log = true}, batch = {low = 4, high = 9, integer = true}, ema = {0, 0.5, 0.9},
    }
    local calls

    local function run(more)
        local options = {
            space = SPACE, trials = 7, epochs = 5, eta = 2, out = folder .. "/search", progress = SILENT,
            fit = function(values, trial)
                calls[#calls + 1] = trial
                local own = plan {lr = values.lr, batch = values.batch, ema = values.ema}
                if more and more.stop == #calls then
                    own.callbacks = {epoch = function() error("interrupted!", 0) end}
                end
                return own
            end,
        }
        for key, value in pairs(more or {}) do
            if key ~= "stop" then options[key] = value end
        end
        return lx.train.search(options)
    end

    before_each(function() calls = {} end)

    it("halves: the best of those that were compared go on, to the bits of whole runs", function()
        local result = assert(run {overwrite = true})
        -- to epochs 1, 2, 4 and 5: seven, three, one and one
        assert.equal(7 + 3 + 1 + 1, #calls)
        local first, second = {}, {}
        local stored = json.decode(shell.read(folder .. "/search/search.json")).results
        for i, found in ipairs(stored) do
            assert.equal(calls[i], found.trial)
            if i <= 7 then first[i] = found elseif i <= 10 then second[#second + 1] = found end
        end
        local function by_value(a, b)
            if a.value ~= b.value then return a.value > b.value end
            return a.loss < b.loss
        end
        table.sort(first, by_value)
        for i = 1, 3 do assert.equal(first[i].trial, calls[7 + i]) end
        table.sort(second, by_value)
        assert.equal(second[1].trial, calls[11])
        assert.equal(calls[11], calls[12])
        assert.equal(calls[12], result.best.number)
        assert.equal(5, result.best.epochs)
        assert.equal(7, #result.trials)
        assert.equal(result.best, result.trials[1])
        -- the winner is a run of its own
        local best = result.best
        local alone = assert(lx.train.fit(plan {
            lr = best.values.lr, batch = best.values.batch, ema = best.values.ema, epochs = 5, out = folder .. "/whole",
            overwrite = true,
        }))
        assert.equal(alone.best.auc, best.value)
        assert.equal(shell.read(folder .. "/whole/last.safetensors"), shell.read(best.out .. "/last.safetensors"))
        -- interrupted anywhere and gone on with, it is the same search
        for _, stop in ipairs {3, 9} do
            calls = {}
            local stopped = assert(run {overwrite = true, stop = stop})
            assert.is_true(stopped.interrupted)
            assert.is_nil(stopped.best)
            local count = #calls
            local resumed = assert(run {resume = true})
            assert.equal(12 + 1, #calls) -- the one that was interrupted, twice
            assert.equal(stop, count)
            assert.equal(tostring(result), tostring(resumed))
            assert.same(stored, json.decode(shell.read(folder .. "/search/search.json")).results)
        end
        calls = {}
        assert.equal(tostring(result), tostring(assert(run {resume = true})))
        assert.same({}, calls)
        local refused, message, code = run {resume = true, trials = 8}
        assert.is_nil(refused)
        assert.matches("trials 7; .* and is trials 8;", message)
        assert.equal("format", code)
        refused, message, code = run()
        assert.is_nil(refused)
        assert.matches("trial%-1 holds a run already", message)
        assert.equal("exists", code)
    end)

    it("at random draws from what it is told, and trains each to the end", function()
        local result = assert(run {overwrite = true, method = "random", epochs = 1, trials = 60, fit = function(values)
            return plan {lr = values.lr, batch = 40, compile = false, ema = 0.5}
        end})
        local rates, sizes, averages = {}, {}, {}
        for _, trial in ipairs(result.trials) do
            assert.equal(1, trial.epochs)
            rates[#rates + 1] = math.log(trial.values.lr)
            sizes[trial.values.batch] = true
            averages[trial.values.ema] = (averages[trial.values.ema] or 0) + 1
        end
        table.sort(rates)
        assert.is_true(rates[1] >= math.log(1e-5) and rates[60] <= math.log(0.3))
        assert.near((math.log(1e-5) + math.log(0.3)) / 2, rates[30], 2)
        assert.same({[4] = true, [5] = true, [6] = true, [7] = true, [8] = true, [9] = true}, sizes)
        for _, ema in ipairs(SPACE.ema) do assert.is_true(averages[ema] > 8) end
        for k = 2, 60 do assert.is_true(result.trials[k - 1].value >= result.trials[k].value) end
    end)

    it("goes on past candidates that diverge", function()
        local result = assert(run {overwrite = true, trials = 3, eta = 2, epochs = 2, fit = function(_, trial)
            local own = plan {swa = 2} -- of whole runs, and not of their first epoch
            if trial == 2 then
                own.compile, own.loss = false, function(out, y)
                    return nn.functional.binary_cross_entropy_with_logits(out, y) * (0 / 0)
                end
            end
            return own
        end})
        assert.equal(2, result.trials[3].number)
        assert.is_true(result.trials[3].diverged)
        assert.is_nil(result.trials[3].value)
        assert.matches("trial 2: diverged", tostring(result))
    end)

    it("refuses what makes no sense", function()
        for pattern, changes in pairs {
            ["there is nothing to search"] = {space = {}}, ["space': lr: expected low above 0"] = {
                space = {lr = {low = 0, high = 1, log = true}}},
            ["space': lr: expected a table"] = {space = {lr = 3}}, ["hihg"] = {space = {lr = {low = 0, hihg = 1}}},
            ["%[2%]: expected a text, a number or a boolean"] = {space = {lr = {1, {}}}},
            ['"last" says nothing'] = {fit = function() return plan {best = "last"} end, overwrite = true},
            ["method"] = {method = "grid"}, ["say one"] = {resume = true, overwrite = true},
        } do
            assert.error_matches(function() run(changes) end, pattern)
        end
    end)
end)

describe("luxel train", function()
    it("finds a learning rate, and trains with several seeds", function()
        local line = ("cd '%s' && %s bin/luxel train --phantoms 40 --size 32 --epochs 1 --out '%s/command' "):format(
            require("lfs").currentdir(), LUA, folder)
        local status, said = shell.run(line .. "--find-lr 2>&1")
        assert.equal(0, status, said)
        assert.matches("learning rate 1e%-07 to ", said)
        assert.is_nil(require("lfs").attributes(folder .. "/command"))
        status, said = shell.run(line .. "--seeds 2 --seed 3 2>&1")
        assert.equal(0, status, said)
        assert.matches("auc of 2 seeds: mean", said)
        for _, seed in ipairs {3, 4} do
            assert.is_string(shell.read(("%s/command/seed-%d/best.safetensors"):format(folder, seed)))
        end
        local models = ""
        for _, seed in ipairs {3, 4} do
            models = ("%s --model '%s/command/seed-%d/best.safetensors'"):format(models, folder, seed)
        end
        status, said = shell.run(("cd '%s' && %s bin/luxel evaluate --tta --phantoms 30%s 2>&1"):format(
            require("lfs").currentdir(), LUA, models))
        assert.equal(0, status, said)
        assert.matches("model: .*seed%-3/best.safetensors %+ .*seed%-4/best.safetensors", said)
        assert.matches("30 images: ", said)
        status, said = shell.run(line .. "--seeds 2 --folds 2 2>&1")
        assert.not_equal(0, status)
        assert.matches("say one", said)
    end)
end)
