--- Isotonic regression: the rising step function nearest to given points, by pooling adjacent violators (Ayer, Brunk,
--- Ewing, Reid and Silverman, Annals of Mathematical Statistics 26:641, 1955).

local isotonic = {}

-- The points in ascending order of x, those of one x averaged: {x, y, weight} each.
local function merged(x, y)
    local order, points = {}, {}
    for i = 1, #x do order[i] = i end
    table.sort(order, function(a, b)
        if x[a] ~= x[b] then return x[a] < x[b] end
        return a < b
    end)
    for _, i in ipairs(order) do
        local last = points[#points]
        if last and last.x == x[i] then
            last.sum, last.weight = last.sum + y[i], last.weight + 1
        else
            points[#points + 1] = {x = x[i], sum = y[i], weight = 1}
        end
    end
    return points
end

-- Blocks of points whose means rise: {sum, weight, count} each.
local function pooled(points)
    local blocks = {}
    for _, point in ipairs(points) do
        local block = {sum = point.sum, weight = point.weight, count = 1}
        local before = blocks[#blocks]
        while before and before.sum * block.weight >= block.sum * before.weight do
            block.sum, block.weight = block.sum + before.sum, block.weight + before.weight
            block.count = block.count + before.count
            blocks[#blocks] = nil
            before = blocks[#blocks]
        end
        blocks[#blocks + 1] = block
    end
    return blocks
end

--- Fits. What lies between two points of one level says nothing and is left out.
---@param x number[] finite, in any order
---@param y number[]
---@return number[] x ascending, number[] y of the same length, never falling
function isotonic.fit(x, y)
    local points, xs, ys, at = merged(x, y), {}, {}, 0
    for _, block in ipairs(pooled(points)) do
        local level = block.sum / block.weight
        xs[#xs + 1], ys[#ys + 1] = points[at + 1].x, level
        if block.count > 1 then xs[#xs + 1], ys[#ys + 1] = points[at + block.count].x, level end
        at = at + block.count
    end
    return xs, ys
end

--- The value at a place: linear between the points, and outside that of the nearest.
---@param xs number[] ascending
---@param ys number[]
---@param x number
---@return number
function isotonic.at(xs, ys, x)
    local low, high = 1, #xs
    if x <= xs[low] then return ys[low] end
    if x >= xs[high] then return ys[high] end
    while high - low > 1 do
        local middle = (low + high) // 2
        if xs[middle] <= x then low = middle else high = middle end
    end
    local share = (x - xs[low]) / (xs[high] - xs[low])
    return ys[low] + share * (ys[high] - ys[low])
end

return isotonic
