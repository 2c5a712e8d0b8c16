--- Learning-rate schedules: `lx.optim.lr_scheduler`. Each sets `lr` of the optimiser's groups when it is made and at
--- every `step`, which belongs after the optimiser's step (or, for ReduceLROnPlateau and StepLR, after an epoch).

local check = require "luxel.nn.check"
local recording = require "luxel.recording"

local lr_scheduler = {}

---@class Scheduler
---@field optimizer Optimizer
---@field last_step integer how often `step` was called
local Scheduler = {}

-- What besides the initial rates changes as a schedule goes on; the last three are ReduceLROnPlateau's.
local COUNTERS = {"last_step", "best", "bad", "cooling"}

local function apply(self)
    for i, group in ipairs(self.optimizer.groups) do
        group.lr = self.rate(self.options, self.base[i], self.last_step)
    end
end

--- Goes on by one step.
function Scheduler:step()
    recording.live(function()
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

---@param state table from `state_dict`
function Scheduler:load_state_dict(state)
    if type(state) ~= "table" or type(state.base) ~= "table" or #state.base ~= #self.base then
        error("load_state_dict: the state is not of a schedule for " .. #self.base .. " groups", 2)
    end
    for _, key in ipairs(COUNTERS) do self[key] = state[key] end
    self.base = table.move(state.base, 1, #state.base, 1, {})
    if self.rate then apply(self) end
end

local function is_positive_integer(value)
    return math.tointeger(value) ~= nil and value >= 1
end

local function need(name, options, keys)
    for _, key in ipairs(keys) do
        if not is_positive_integer(options[key]) then
            check.fail(name, "%s should be a number of steps, got %s", key, tostring(options[key]))
        end
    end
end

-- `prepare(options)` checks and completes the options; `rate(options, base, step)` is the schedule.
local function define(name, prepare, rate, methods)
    local class = {class_name = name, rate = rate}
    for key, value in pairs(methods or {}) do class[key] = value end
    class.__index = class
    lr_scheduler[name] = setmetatable(class, {__index = Scheduler, __call = function(_, optimizer, options)
        if type(optimizer) ~= "table" or type(optimizer.groups) ~= "table" then
            error(name .. ": expected an optimiser, got " .. type(optimizer), 2)
        end
        if options ~= nil and type(options) ~= "table" then
            error(name .. ": options should be a table, got " .. type(options), 2)
        end
        recording.problem("makes a schedule; make it before")
        local self = setmetatable({optimizer = optimizer, base = {}, last_step = 0}, class)
        self.options = prepare(options or {}, self)
        for i, group in ipairs(optimizer.groups) do self.base[i] = group.lr end
        if rate then apply(self) end
        return self
    end})
end

local function half_cosine(from, to, part)
    return to + (from - to) * (1 + math.cos(math.pi * part)) / 2
end

--- `StepLR(optimizer, {step_size = 30, gamma = 0.1})`: the rate times gamma every `step_size` steps.
---@type fun(optimizer: Optimizer, options: {step_size: integer, gamma: number?}): Scheduler
define("StepLR", function(options)
    check.options("StepLR", options, {"step_size", "gamma"})
    need("StepLR", options, {"step_size"})
    return {step_size = options.step_size, gamma = options.gamma or 0.1}
end, function(options, base, step)
    return base * options.gamma ^ (step // options.step_size)
end)

--- `CosineWarmup(optimizer, {warmup = 100, total = 2000, min_lr = 0})`: rises linearly to the optimiser's rate in
--- `warmup` steps, then falls along half a cosine to `min_lr` at step `total`.
---@type fun(optimizer: Optimizer, options: {warmup: integer?, total: integer, min_lr: number?}): Scheduler
define("CosineWarmup", function(options)
    check.options("CosineWarmup", options, {"warmup", "total", "min_lr"})
    need("CosineWarmup", options, {"total"})
    local warmup = options.warmup or 0
    if math.tointeger(warmup) == nil or warmup < 0 or warmup >= options.total then
        check.fail("CosineWarmup", "warmup should be a number of steps below total (%d), got %s", options.total,
            tostring(warmup))
    end
    return {warmup = warmup, total = options.total, min_lr = options.min_lr or 0}
end, function(options, base, step)
    if step < options.warmup then return base * (step + 1) / options.warmup end
    local part = math.min(1, (step - options.warmup) / (options.total - options.warmup))
    return half_cosine(base, options.min_lr, part)
end)

--- `OneCycleLR(optimizer, {max_lr = 0.1, total = 2000})` (Smith and Topin 2018, cosine form): from max_lr/div_factor
--- up to max_lr in the first `pct_start` of the steps, then down to max_lr/(div_factor final_div_factor). Momentum is
--- left alone.
---@type fun(optimizer: Optimizer, options: {max_lr: number, total: integer, pct_start: number?, div_factor: number?,
--- final_div_factor: number?}): Scheduler
define("OneCycleLR", function(options)
    check.options("OneCycleLR", options, {"max_lr", "total", "pct_start", "div_factor", "final_div_factor"})
    need("OneCycleLR", options, {"total"})
    if type(options.max_lr) ~= "number" or options.max_lr <= 0 then
        check.fail("OneCycleLR", "max_lr should be a number above 0, got %s", tostring(options.max_lr))
    end
    local start = options.pct_start or 0.3
    if type(start) ~= "number" or start < 0 or start > 1 then
        check.fail("OneCycleLR", "pct_start should be from 0 to 1, got %s", tostring(start))
    end
    return {
        max_lr = options.max_lr, total = options.total, pct_start = start, div_factor = options.div_factor or 25,
        final_div_factor = options.final_div_factor or 1e4,
    }
end, function(options, _, step)
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
define("ReduceLROnPlateau", function(options, self)
    check.options("ReduceLROnPlateau", options, {"mode", "factor", "patience", "threshold", "min_lr", "cooldown"})
    local mode, factor = options.mode or "min", options.factor or 0.1
    if mode ~= "min" and mode ~= "max" then
        check.fail("ReduceLROnPlateau", 'mode should be "min" or "max", got %s', tostring(mode))
    end
    if type(factor) ~= "number" or factor <= 0 or factor >= 1 then
        check.fail("ReduceLROnPlateau", "factor should be between 0 and 1, got %s", tostring(factor))
    end
    self.bad, self.cooling = 0, 0
    return {
        mode = mode, factor = factor, patience = options.patience or 10, threshold = options.threshold or 1e-4,
        min_lr = options.min_lr or 0, cooldown = options.cooldown or 0,
    }
end, nil, {
    step = function(self, metric)
        if type(metric) ~= "number" then
            error("ReduceLROnPlateau: step needs the metric, a number, got " .. type(metric), 2)
        end
        local options = self.options
        recording.problem("steps a schedule by a metric; do that outside")
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
    end,
})

return lr_scheduler
