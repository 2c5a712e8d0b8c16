--- How well maps agree with boxes around what was to be found.

local args = require "luxel.args"
local core = require "luxel.core"
local metrics = require "luxel.metrics"
local resampling = require "luxel.metrics.resampling"

local judge = {}

-- Whether the middle of a pixel (column and row from 0) is in one of the boxes, widened by `margin`.
local function is_inside(boxes, column, row, margin)
    for _, box in ipairs(boxes) do
        local dx, dy = column + 0.5 - box.x, row + 0.5 - box.y
        if dx >= -margin and dx < box.w + margin and dy >= -margin and dy < box.h + margin then return true end
    end
    return false
end

-- The mean over the images that have boxes of `figure(rows, boxes)`, where rows are those of the map.
local function mean_over(caller, maps, boxes, options, figure)
    if maps.ndim ~= 3 or maps.dtype ~= "float32" or maps:numel() == 0 then
        args.fail("%s: maps: expected float32 [N,H,W], got %s", caller, args.describe(maps))
    end
    local count, opts = maps.shape[1], args.with_defaults(options, {})
    if #boxes ~= count then
        args.fail("%s: boxes: expected a list of boxes for each of the %d maps, got %d", caller, count, #boxes)
    elseif opts.groups and #opts.groups ~= count then
        args.fail("%s: options: option 'groups': expected the patient of each of the %d maps, got %d", caller, count,
            #opts.groups)
    end
    local values, kept, groups, all = {}, {}, opts.groups and {}, maps:to("cpu")
    for i = 1, count do
        values[i] = false
        if #boxes[i] > 0 then
            local map = all:select(1, i)
            if (map * 0):sum():item() ~= 0 then -- NaN
                args.fail("%s: maps: map %d has numbers that are not finite", caller, i)
            end
            values[i] = figure(map:totable(), boxes[i])
            kept[#kept + 1] = values[i]
            if groups then groups[#kept] = opts.groups[i] end
        end
    end
    if #kept == 0 then return nil, "no image has a box" end
    return metrics.mean(kept, {groups = groups, n = opts.n, seed = opts.seed, level = opts.level}), values
end

--- How much of what a map shows is inside the boxes: the sum of its positive values there, as a share of all (the
--- energy-based pointing game of Wang et al. 2020). A map without positive values has none of it inside: 0.
---@param maps Tensor float32 [N,H,W]
---@param boxes {x: number, y: number, w: number, h: number}[][] of each image a list, in pixels of its map; images
---  with an empty list are left out. A pixel is inside where its middle is
---@param options? {groups: any[]|false|nil, n: integer?, seed: integer?, level: number?} as of `lx.metrics.mean`;
---  groups: the patient of each image
---@return {mean: number, low: number?, high: number?, images: integer, units: integer}? energy 0 to 1, its interval
---@return (number|false)[]|string values of each image, false where it has no boxes; or why there is no mean
function judge.energy_inside(maps, boxes, options)
    return mean_over("explain.energy_inside", maps, boxes, options, function(rows, own)
        local inside, all = 0, 0
        for y, row in ipairs(rows) do
            for x, value in ipairs(row) do
                if value > 0 then
                    all = all + value
                    if is_inside(own, x - 1, y - 1, 0) then inside = inside + value end
                end
            end
        end
        return all > 0 and inside / all or 0
    end)
end

--- How often the largest value of a map is inside a box (Zhang et al. 2018, "Top-down neural attention by excitation
--- backprop"). Of several places with the largest value the share that is inside counts; a map without positive values
--- points nowhere: 0.
---@param maps Tensor float32 [N,H,W]
---@param boxes {x: number, y: number, w: number, h: number}[][] as of `energy_inside`
---@param options? {tolerance: number?, groups: any[]|false|nil, n: integer?, seed: integer?, level: number?} tolerance:
---  pixels around a box that count as inside, default 0; the others as of `energy_inside`
---@return {mean: number, low: number?, high: number?, images: integer, units: integer}? hits 0 to 1, its interval
---@return (number|false)[]|string values of each image, false where it has no boxes; or why there is no mean
function judge.pointing_game(maps, boxes, options)
    local margin = options and options.tolerance or 0
    return mean_over("explain.pointing_game", maps, boxes, options, function(rows, own)
        local most, count, hits = 0, 0, 0
        for y, row in ipairs(rows) do
            for x, value in ipairs(row) do
                if value > most then most, count, hits = value, 0, 0 end
                if value == most and most > 0 then
                    count = count + 1
                    hits = hits + (is_inside(own, x - 1, y - 1, margin) and 1 or 0)
                end
            end
        end
        return count > 0 and hits / count or 0
    end)
end

--- What a map is to be better than: a Gaussian about the middle, the same for every image.
---@param n integer how many maps
---@param size integer|integer[] side in pixels, or {height, width}
---@param options? {deviation: number?} deviation: as a share of the sides, default 0.25
---@return Tensor maps float32 [n,size,size], 1 in the middle
function judge.centre(n, size, options)
    local deviation = options and options.deviation or 0.25
    local height, width = size, size
    if type(size) == "table" then height, width = size[1], size[2] end
    local function along(count)
        local out = {}
        for i = 1, count do out[i] = math.exp(-0.5 * (((i - 0.5) / count - 0.5) / deviation) ^ 2) end
        return core.from_table(out, "float32")
    end
    return (along(height):reshape(height, 1) * along(width)):reshape(1, height, width):expand(n, height, width):clone()
end

local OPTIONS <const> = "groups: any[]|false?, " .. resampling.OPTIONS .. "}?"
local MAPS <const> = "maps: tensor, boxes: boxes[], options: {"

return args.publish("explain.", judge, {
    energy_inside = MAPS .. OPTIONS, pointing_game = MAPS .. "tolerance: finite(0..)?, " .. OPTIONS,
    centre = "n: integer(1..), size: pair(1..16384), options: {deviation: positive?}?",
})
