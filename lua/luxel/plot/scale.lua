--- Axes: from numbers to pixels, and the round numbers that are written beside them.

local fixed = require "luxel.fixed"

local scale = {}

-- The largest end of an axis: their difference has to be a number as well. And the ends of one of logarithms, the least
-- and the largest number there are.
local MOST <const> = 8e307
-- What is nearer to each other, or to 0, is the same: a part of it would be 0.
local LEAST_SPAN <const> = 1e-300
local LEAST_LOG <const>, MOST_LOG <const> = 2.0 ^ -1074, (2 - 2.0 ^ -52) * 2.0 ^ 1023

local function is_finite(value) return type(value) == "number" and value - value == 0 end

--- Whether a value can be drawn.
scale.is_finite = is_finite

-- The least of 1, 2, 5, 10, 20, ... (times any power of ten) that is not below `rough`.
local function nice_step(rough)
    local power = 10.0 ^ math.floor(math.log(rough, 10))
    for _, factor in ipairs {1, 2, 5, 10} do
        if factor * power >= rough * (1 - 1e-9) then return factor * power end
    end
    return 10 * power
end

-- Digits behind the point that a step has.
local function digits_of(step) return math.max(0, math.ceil(-math.log(step, 10) - 1e-9)) end

-- A number as axes show it.
local function show(value, step)
    if math.abs(value) < step / 2 then return "0" end
    local largest = math.abs(value)
    if largest >= 1e6 or step < 1e-5 then
        return (("%.3g"):format(value):gsub("[^%deE+%-]", "."):gsub("e([+-])0*", "e%1"):gsub("e%+", "e"))
    end
    return fixed(value, digits_of(step))
end

local function linear_ticks(low, high, step)
    local ticks = {}
    for k = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do
        ticks[#ticks + 1] = {value = k * step, text = show(k * step, step)}
    end
    return ticks
end

-- Powers of ten, and twice and five times them where there are few.
local function log_ticks(low, high)
    local first, last, ticks = math.floor(math.log(low, 10) + 1e-9), math.ceil(math.log(high, 10) - 1e-9), {}
    local factors, every = last - first <= 2 and {1, 2, 5} or {1}, math.max(1, (last - first) // 6)
    for power = first, last, every do
        for _, factor in ipairs(factors) do
            local value = factor * 10.0 ^ power
            if value > 0 and value < math.huge and value >= low * (1 - 1e-9) and value <= high * (1 + 1e-9) then
                ticks[#ticks + 1] = {value = value, text = power >= -3 and power <= 4
                    and fixed(value, math.max(0, -power)) or ("%de%d"):format(factor, power)}
            end
        end
    end
    return ticks
end

local function is_whole(values)
    for _, value in ipairs(values) do
        if is_finite(value) and value % 1 ~= 0 then return false end
    end
    return true
end

--- An axis. Where all values are whole numbers, as epochs and counts are, so are its ticks.
---@param values number[] that have to be on it
---@param limits number[]? its ends; nil for ends around the values
---@param from number pixel of the low end
---@param to number pixel of the high end
---@param options {log: boolean?, count: integer, zero: boolean?} count: of ticks, about; zero: whether it has to show 0
---@return {low: number, high: number, ticks: {value: number, text: string}[], at: fun(value: number): number?}
function scale.axis(values, limits, from, to, options)
    local low, high, least = math.huge, -math.huge, not limits and is_whole(values) and 1 or 0
    local function step_of() return math.max(least, nice_step((high - low) / options.count)) end
    for _, value in ipairs(values) do
        if is_finite(value) and (not options.log or value > 0) then
            low, high = math.min(low, value), math.max(high, value)
        end
    end
    if low > high then low, high = options.log and 1 or 0, options.log and 10 or 1 end
    if options.zero and not options.log then low, high = math.min(low, 0), math.max(high, 0) end
    if limits then
        low, high = limits[1], limits[2]
    elseif options.log then
        if high / low < 1.001 then low, high = math.max(low / 2, LEAST_LOG), math.min(high * 2, MOST_LOG) end
    elseif high - low <= math.max(LEAST_SPAN, 1e-12 * math.max(math.abs(low), math.abs(high))) then
        local around = math.max(least, math.abs(low) <= 10 * LEAST_SPAN and 1 or math.abs(low) / 10)
        low, high = low - around, high + around
    else
        local step = step_of()
        low = math.max(-MOST, math.floor(low / step + 1e-9) * step)
        high = math.min(MOST, math.ceil(high / step - 1e-9) * step)
    end
    local axis = {low = low, high = high}
    if options.log then
        local span = math.log(high) - math.log(low)
        axis.ticks = log_ticks(low, high)
        function axis.at(value)
            if not is_finite(value) or value <= 0 then return nil end
            return from + (to - from) * ((math.log(value) - math.log(low)) / span)
        end
    else
        axis.ticks = linear_ticks(low, high, step_of())
        function axis.at(value)
            if not is_finite(value) then return nil end
            return from + (to - from) * (value / (high - low) - low / (high - low))
        end
    end
    return axis
end

return scale
