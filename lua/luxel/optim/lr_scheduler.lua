--- Learning-rate schedules: `lx.optim.lr_scheduler`. Each sets `lr` of the optimiser's groups when it is made and at
--- every `step`, which belongs after the optimiser's step (or, for ReduceLROnPlateau and StepLR, after an epoch).

local args = require "luxel.args"
local events = require "luxel.compile.events"
local namespace = require "luxel.namespace"

local lr_scheduler = {}

---@class Scheduler
---@field optimizer Optimizer
---@field unit "step"|"epoch"|"metric" when a step is due: after the optimiser's step, an epoch, or the validation that
---  gives the metric; `lx.train.fit` does so
---@field last_step integer how often `step` was called
local Scheduler = {}

args.type("scheduler", "a schedule of lx.optim.lr_scheduler", "table", function(value)
    local meta = getmetatable(getmetatable(value))
    return type(meta) == "table" and meta.__index == Scheduler
end)

-- The fields that change as a schedule goes on, besides the rates; the last three are ReduceLROnPlateau's.
local COUNTERS = {"last_step", "best", "bad", "cooling"}

local function apply(self)
    for i, group in ipairs(self.optimizer.groups) do
        group.lr = self.rate(self.options, self.base[i], self.last_step)
    end
end

--- Goes on by one step. The metric is for ReduceLROnPlateau; others go on alike with any.
---@param metric number?
function Scheduler:step()
    events.live(function()
        self.last_step = self.last_step + 1
        apply(self)
    end)
end

--- The learning rates now, one for each group.
---@return number[]
function Scheduler:get_last_lr()
    local rates = {}
    for i, group in ipairs(self.optimizer.groups) do rates[i] = group.lr end
    return rates
end

--- Plain numbers from which `load_state_dict` goes on.
---@return table
function Scheduler:state_dict()
    local state = {base = table.move(self.base, 1, #self.base, 1, {})}
    for _, key in ipairs(COUNTERS) do state[key] = self[key] end
    return state
end

--- Takes over what `state_dict` returned. Raises if it does not fit.
---@param state table from `state_dict`
function Scheduler:load_state_dict(state)
    args.check("Scheduler:load_state_dict: state",
        "{base: finite[], last_step: integer(0..), best: finite?, bad: integer(0..)?, "
        .. "cooling: integer(0..)?}", state)
    if #state.base ~= #self.base then
        args.fail("Scheduler:load_state_dict: state: it is of a schedule for %d groups, not %d", #state.base,
            #self.base)
    end
    for _, key in ipairs {"bad", "cooling"} do
        if (self[key] == nil) ~= (state[key] == nil) then
            args.fail("load_state_dict: state: '%s' %s", key, state[key] and "is of another schedule" or "is missing")
        end
    end
    for _, key in ipairs(COUNTERS) do self[key] = state[key] end
    self.base = table.move(state.base, 1, #state.base, 1, {})
    if self.rate then apply(self) end
end

-- `StepLR(gamma=0.1, step_size=30)  [step 7, lr 0.01]`
local function text_of(self)
    local words, rates = {}, {}
    for name, value in pairs(self.options) do
        words[#words + 1] = name .. "=" .. (type(value) == "number" and ("%g"):format(value) or tostring(value))
    end
    table.sort(words)
    for i, group in ipairs(self.optimizer.groups) do rates[i] = ("%g"):format(group.lr) end
    return ("%s(%s)  [step %d, lr %s]"):format(self.class_name, table.concat(words, ", "), self.last_step,
        table.concat(rates, ", "))
end

-- `signature`: the options with their types; `defaults`: their values where they are left out; `check(options)` looks
-- at what belongs together; `rate(options, base, step)` is the schedule.
-- `unit`: when a step is due: after the optimiser's "step", an "epoch", or the validation that gives its "metric".
local function define(name, unit, signature, defaults, check, rate, methods)
    local class = {
        class_name = name, unit = unit, rate = rate, defaults = defaults, __name = name, __tostring = text_of,
    }
    for key, value in pairs(methods or {}) do class[key] = value end
    class.__index = class
    local needed = not signature:match("^[^,]+%?") -- the first option comes first because it is needed, if any is
    local make = args.public(name, ("optimizer: optimizer, options: {%s}%s"):format(signature, needed and "" or "?"),
        function(optimizer, options)
            events.cannot_replay("makes a schedule; make it before")
            local self = setmetatable({optimizer = optimizer, base = {}, last_step = 0}, class)
            self.options = args.with_defaults(options, defaults)
            check(self.options, self)
            for i, group in ipairs(optimizer.groups) do self.base[i] = group.lr end
            if rate then apply(self) end
            return self
        end)
    args.declared[class] = args.declared[make]
    lr_scheduler[name] = setmetatable(class, {
        __index = Scheduler, __call = function(_, ...) return make(...) end, __name = "class " .. name,
        __tostring = function()
            return ("%s (class): lx.optim.lr_scheduler.%s(optimizer, {%s})"):format(name, name, signature)
        end,
    })
end

local function nothing() end

local function half_cosine(from, to, part)
    return to + (from - to) * (1 + math.cos(math.pi * part)) / 2
end

--- `StepLR(optimizer, {step_size = 30, gamma = 0.1})`: the rate times gamma every `step_size` steps.
---@type fun(optimizer: Optimizer, options: {step_size: integer, gamma: number?}): Scheduler
define("StepLR", "epoch", "step_size: integer(1..), gamma: finite(0..)?", {gamma = 0.1}, nothing, function(options,
    base, step)
    return base * options.gamma ^ (step // options.step_size)
end)

--- `CosineWarmup(optimizer, {warmup = 100, total = 2000, min_lr = 0})`: rises linearly to the optimiser's rate in
--- `warmup` steps, then falls along half a cosine to `min_lr` at step `total`, or to the share `min_share` of each
--- group's rate if that is more, and stays there.
---@type fun(optimizer: Optimizer, options: {warmup: integer?, total: integer, min_lr: number?, min_share: number?}):
--- Scheduler
define("CosineWarmup", "step", "total: integer(1..), warmup: integer(0..)?, min_lr: finite(0..)?, "
    .. "min_share: number(0..1)?", {warmup = 0, min_lr = 0, min_share = 0},
function(options)
    if options.warmup >= options.total then
        args.fail("CosineWarmup: option 'warmup': expected a number of steps below total (%d), got %d", options.total,
            options.warmup)
    end
end, function(options, base, step)
    if step < options.warmup then return base * (step + 1) / options.warmup end
    local part = math.min(1, (step - options.warmup) / (options.total - options.warmup))
    return half_cosine(base, math.max(options.min_lr, base * options.min_share), part)
end)

--- `OneCycleLR(optimizer, {max_lr = 0.1, total = 2000})` (Smith and Topin 2018, cosine form): from max_lr/div_factor
--- up to max_lr in the first `pct_start` of the steps, then down to max_lr/(div_factor final_div_factor). Momentum is
--- left alone.
---@type fun(optimizer: Optimizer, options: {max_lr: number, total: integer, pct_start: number?, div_factor: number?,
--- final_div_factor: number?}): Scheduler
define("OneCycleLR", "step", "max_lr: positive, total: integer(1..), pct_start: number(0..1)?, div_factor: positive?, "
    .. "final_div_factor: positive?", {pct_start = 0.3, div_factor = 25, final_div_factor = 1e4}, nothing,
function(options, _, step)
    local low = options.max_lr / options.div_factor
    local peak = options.pct_start * options.total - 1
    local last = options.total - 1
    if step <= peak then return half_cosine(low, options.max_lr, step / peak) end
    local part = last > peak and math.min(1, (step - peak) / (last - peak)) or 1
    return half_cosine(options.max_lr, low / options.final_div_factor, part)
end)

local function better(options, value, best)
    if best == nil or best ~= best then return true end
    if options.mode == "min" then return value < best * (1 - options.threshold) end
    return value > best * (1 + options.threshold)
end

--- `ReduceLROnPlateau(optimizer, {mode = "max", factor = 0.1, patience = 10})`: `step(metric)` lowers the rates when
--- the metric was no better than the best (by the share `threshold`) for more than `patience` steps.
---@type fun(optimizer: Optimizer, options: {mode: "min"|"max"|nil, factor: number?, patience: integer?,
--- threshold: number?, min_lr: number?, cooldown: integer?}?): Scheduler
define("ReduceLROnPlateau", "metric", 'mode: "min"|"max"?, factor: number(0..1)?, patience: integer(0..)?, '
    .. "threshold: finite(0..)?, min_lr: finite(0..)?, cooldown: integer(0..)?",
{mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, min_lr = 0, cooldown = 0}, function(options, self)
    if options.factor == 0 or options.factor == 1 then
        args.fail("ReduceLROnPlateau: option 'factor': expected a number between 0 and 1, got %g", options.factor)
    end
    self.bad, self.cooling = 0, 0
end, nil, {
    step = args.public(":step", "scheduler: scheduler, metric: number", function(self, metric)
        local options = self.options
        events.cannot_replay("steps a schedule by a metric; do that outside")
        self.last_step = self.last_step + 1
        if better(options, metric, self.best) then
            self.best, self.bad = metric, 0
        else
            self.bad = self.bad + 1
        end
        if self.cooling > 0 then
            self.cooling, self.bad = self.cooling - 1, 0
        elseif self.bad > options.patience then
            for _, group in ipairs(self.optimizer.groups) do
                group.lr = math.max(options.min_lr, group.lr * options.factor)
            end
            self.cooling, self.bad = options.cooldown, 0
        end
    end),
})


args.publish("Scheduler:", Scheduler, {
    step = "scheduler: scheduler, metric: number?", get_last_lr = "scheduler: scheduler",
    state_dict = "scheduler: scheduler", load_state_dict = "scheduler: scheduler, state: table",
})

return namespace("lx.optim.lr_scheduler", lr_scheduler)
