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

-- The ranks of a list less their mean; values that are equal have the mean of theirs.
local function ranks_of(list)
    local order, out, first = {}, {}, 1
    for i = 1, #list do order[i] = i end
    table.sort(order, function(i, j) return list[i] < list[j] end)
    while first <= #list do
        local last = first
        while last < #list and list[order[last + 1]] == list[order[first]] do last = last + 1 end
        for i = first, last do out[order[i]] = (first + last) / 2 - (#list + 1) / 2 end
        first = last + 1
    end
    return out
end

--- How alike two maps of the same image are: Spearman's rank correlation over their pixels, of each pair. Maps that
--- stay alike when the weights of the network are drawn anew do not come from these weights (Adebayo et al. 2018,
--- "Sanity checks for saliency maps").
---@param maps Tensor float32 [N,H,W]
---@param others Tensor float32 [N,H,W]
---@return number[] correlations -1 to 1 of each pair; 0 where one of the two maps is the same everywhere
function judge.rank_correlation(maps, others)
    local both = {maps, others}
    for k, name in ipairs {"maps", "others"} do
        local one = both[k]
        if one.ndim ~= 3 or one.dtype ~= "float32" or one:numel() == 0 then
            args.fail("explain.rank_correlation: %s: expected float32 [N,H,W], got %s", name, args.describe(one))
        elseif (one * 0):sum():item() ~= 0 then -- NaN
            args.fail("explain.rank_correlation: %s: they have numbers that are not finite", name)
        end
        both[k] = one:to("cpu"):flatten(2)
    end
    for k = 1, 3 do
        if maps.shape[k] ~= others.shape[k] then
            args.fail("explain.rank_correlation: others: expected the shape of maps, [%s], got %s",
                table.concat(maps.shape, ","), args.describe(others))
        end
    end
    local out = {}
    for i = 1, maps.shape[1] do
        local p, q = ranks_of(both[1]:select(1, i):totable()), ranks_of(both[2]:select(1, i):totable())
        local pq, pp, qq = 0, 0, 0
        for k, rank in ipairs(p) do pq, pp, qq = pq + rank * q[k], pp + rank ^ 2, qq + q[k] ^ 2 end
        out[i] = pp > 0 and qq > 0 and pq / math.sqrt(pp * qq) or 0
    end
    return out
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
    rank_correlation = "maps: tensor, others: tensor",
    centre = "n: integer(1..), size: pair(1..16384), options: {deviation: positive?}?",
})
