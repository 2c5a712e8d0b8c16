--- The learning-rate range test (Smith, WACV 2017): the rate rises from step to step, and the loss tells where it is
--- too small, right, and too large.

local args = require "luxel.args"
local parts_of = require "luxel.train.parts"
local result_type = require "luxel.result"

local finder = {engine = nil} -- luxel.train, which requires this file, puts its steps here

local DEFAULTS <const> = {low = 1e-7, high = 10, steps = 100}

-- The loss is smoothed by a moving average of this decay, and the test ends where it is so many times the least.
local DECAY <const>, TOO_LARGE <const> = 0.9, 4

-- The loss is lowest at a rate that is about to be too large.
local BELOW_LOWEST <const> = 10

local BLOCKS <const> = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
local WIDTH <const> = 60

-- The curve of the losses in a line of text.
local function sparkline(losses)
    local least, most, words = math.huge, -math.huge, {}
    for _, loss in ipairs(losses) do least, most = math.min(least, loss), math.max(most, loss) end
    -- the fall shows, however steep the rise after it
    local high = losses[1] > least and math.min(most, least + 1.5 * (losses[1] - least)) or most
    local count = math.min(WIDTH, #losses)
    for k = 1, count do
        local loss = losses[1 + (k - 1) * (#losses - 1) // math.max(1, count - 1)]
        local level = high > least and (math.min(loss, high) - least) / (high - least) or 0
        words[k] = BLOCKS[1 + math.floor(level * (#BLOCKS - 1) + 0.5)]
    end
    return table.concat(words), least, most
end

local new_result = result_type("learning rates", {"rates", "losses", "lowest", "suggestion", "ended"}, function(self)
    if #self.rates == 0 then return "learning rates: no step had a finite loss" end
    local line, least, most = sparkline(self.losses)
    local words = ("%s\nlearning rate %.2g to %.2g, loss %.4f to %.4f%s"):format(line, self.rates[1],
        self.rates[#self.rates], least, most, self.ended and "; it grew too large there" or "")
    return words .. (self.suggestion and ("\nthe loss is lowest at %.2g; a rate to begin with: %.2g"):format(
        self.lowest, self.suggestion) or "\nthe loss did not fall: no rate to begin with")
end)

-- The state of what training changes, as copies.
local function keep(fit)
    local tensors, training = parts_of.pack {net = fit.net, optimizer = fit.optimizer}
    for name, tensor in pairs(tensors) do tensors[name] = tensor:detach():clone() end
    return function() parts_of.unpack_into({net = fit.net, optimizer = fit.optimizer}, tensors, training) end
end

-- Trains with rising rates until they end, or the loss does. Fills `found`.
local function run(fit, opts, found)
    local engine, base, largest = finder.engine, {}, 0
    for i, group in ipairs(fit.optimizer.groups) do
        base[i] = group.lr
        largest = math.max(largest, group.lr)
    end
    if largest == 0 then args.fail("find_lr: options: option 'optimizer': all its learning rates are 0") end
    fit.net:train()
    local average, least, step, epoch = 0, math.huge, 0, 0
    while step < opts.steps do
        epoch = epoch + 1
        local number = 0
        for x, y, indices in engine.feed(fit, epoch, 0, coroutine.yield) do
            local rate = opts.low * (opts.high / opts.low) ^ (step / math.max(1, opts.steps - 1))
            for i, group in ipairs(fit.optimizer.groups) do group.lr = base[i] * rate / largest end
            x, y = engine.input(fit, x, y, indices, epoch, number)
            local ok, loss = pcall(engine.step, fit, x, y, indices, true, true, 1)
            if not ok and type(loss) ~= "table" then error(loss, 0) end
            x:free()
            found.ended = not ok
            if not ok then return end
            step, number = step + 1, number + 1
            average = DECAY * average + (1 - DECAY) * loss
            local smooth = average / (1 - DECAY ^ step)
            found.rates[step], found.losses[step] = rate, smooth
            least = math.min(least, smooth)
            found.ended = smooth > TOO_LARGE * least
            coroutine.yield()
            if found.ended or step == opts.steps then return end
        end
        if number == 0 then args.fail("find_lr: options: option 'train': it gives no batch") end
    end
end

-- What the curve says: the rate of the lowest loss, if it is lower than at the start.
local function judge(found)
    local at = 1
    for k, loss in ipairs(found.losses) do
        if loss < found.losses[at] then at = k end
    end
    if at > 1 then found.lowest, found.suggestion = found.rates[at], found.rates[at] / BELOW_LOWEST end
    return new_result(found)
end

--- Trains for some steps with a learning rate that rises from `low` to `high`, evenly on a logarithmic scale, and gives
--- the loss of each, smoothed; printed, it is a curve and a rate to begin with: a tenth of that at which the loss is
--- lowest. Network, optimiser and random numbers are as before when it returns; nothing is written. Groups of the
--- optimiser keep their proportions: rates are those of the group with the largest.
---@param options table those of `lx.train.fit`, of which it takes what concerns steps; the schedule has no part in it
---@param search? {low: number?, high: number?, steps: integer?} default 1e-7, 10 and 100
---@return {rates: number[], losses: number[], lowest: number?, suggestion: number?, ended: boolean} result ended: the
---  loss grew to four times its least, or to no number, before the last step
local function find_lr(options, search)
    local opts, own, found = args.with_defaults(search, DEFAULTS), {}, {rates = {}, losses = {}, ended = false}
    if opts.low >= opts.high then
        args.fail("find_lr: search: option 'low': expected less than high (%g), got %g", opts.high, opts.low)
    end
    for key, value in pairs(options) do own[key] = value end
    own.scheduler, own.ema, own.swa, own.profile, own.accumulate = nil, nil, nil, nil, nil
    local fit = finder.engine.prepare(own)
    local rates, restore, was_training = {}, keep(fit), fit.net.training
    for i, group in ipairs(fit.optimizer.groups) do rates[i] = group.lr end
    local work = coroutine.create(run)
    local ok, failure = pcall(function()
        local _ <close> = setmetatable({}, {__close = function() coroutine.close(work) end})
        repeat
            local fine, problem = coroutine.resume(work, fit, opts, found)
            if not fine then error(problem, 0) end
        until coroutine.status(work) == "dead"
    end)
    restore()
    fit.net:train(was_training)
    for i, group in ipairs(fit.optimizer.groups) do group.lr = rates[i] end
    if not ok then
        if type(failure) == "string" and not finder.engine.has_place(failure) then args.fail("%s", failure) end
        error(failure, 0)
    end
    return judge(found)
end

--- The function, once the options of `fit` are declared.
---@param fit_options string as of `lx.train.fit`
---@return function
function finder.declared(fit_options)
    return args.public("find_lr", "options: {" .. fit_options .. "}, search: {low: positive?, high: positive?, "
        .. "steps: integer(2..100000)?}?", find_lr)
end

return finder
