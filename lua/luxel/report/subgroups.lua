--- Figures by group of images: age, sex, view, scanner, hospital, whatever a column tells.

local metrics = require "luxel.metrics"

local subgroups = {}

--- Below so many positive or negative images a figure is of chance more than of the group, and is not shown.
subgroups.FEWEST = 10
-- Below so many of both, it is shown, and said to be unsure.
local FEW <const> = 50
-- Numbers of so many different values are cut into ranges.
local MOST_VALUES <const> = 8
local MOST_GROUPS <const> = 12

local NOT_KNOWN <const> = "not known"

local function known(value) return value ~= nil and value ~= false and value ~= "" and value == value end

local function plain(value)
    -- all digits that were written: edges that look alike would be one group
    return math.type(value) == "integer" and tostring(value) or (("%.14g"):format(value):gsub(",", "."))
end

-- Ranges of about as many images each, at quarters; nil where the values are no numbers, or few different ones.
local function ranges_of(values, count)
    local numbers, different, n = {}, {}, 0
    for i = 1, count do
        if known(values[i]) then
            local number = tonumber(values[i])
            if not number or number - number ~= 0 then return nil end
            numbers[#numbers + 1] = number
            if not different[number] then different[number], n = true, n + 1 end
        end
    end
    if n <= MOST_VALUES then return nil end
    table.sort(numbers)
    local edges = {numbers[1]}
    for k = 1, 3 do
        local edge = numbers[1 + k * #numbers // 4]
        if edge > edges[#edges] then edges[#edges + 1] = edge end
    end
    return edges, numbers[#numbers]
end

-- The name of the group of each image, and the names in their order.
local function name_all(values, count)
    local names, of, seen = {}, {}, {}
    local edges, last = ranges_of(values, count)
    for i = 1, count do
        local name = NOT_KNOWN
        if known(values[i]) and edges then
            local number, k = tonumber(values[i]), 1
            while edges[k + 1] and number >= edges[k + 1] do k = k + 1 end
            name = edges[k + 1] and ("%s to below %s"):format(plain(edges[k]), plain(edges[k + 1]))
                or ("%s to %s"):format(plain(edges[k]), plain(last))
            seen[name] = seen[name] or k
        elseif known(values[i]) then
            name = tostring(values[i])
            seen[name] = seen[name] or 0
        else
            seen[name] = math.huge
        end
        of[i] = name
    end
    for name in pairs(seen) do names[#names + 1] = name end
    table.sort(names, function(a, b)
        if seen[a] ~= seen[b] then return seen[a] < seen[b] end
        local x, y = tonumber(a), tonumber(b)
        if x and y and x ~= y then return x < y end
        return a < b
    end)
    return of, names
end

-- A figure and its interval, or nothing where there are too few images for it.
local function figure(report, name, enough)
    if not enough or report[name] == nil then return false end
    return {report[name], table.unpack(report.intervals[name] or {})}
end

--- Figures of each group of a column: {name, images, positives, negatives, auc, sensitivity, specificity, note}, where
--- a figure is {value, low?, high?} or false, and how many groups were left out.
---@param values any[] one for each image
---@param scores number[]
---@param labels number[]
---@param opts {threshold: number, groups: any[]|false, seed: integer, n: integer}
---@return table[] rows, integer left_out
function subgroups.of(values, scores, labels, opts)
    local of, names = name_all(values, #scores)
    local members, rows = {}, {}
    for i, name in ipairs(of) do
        if labels[i] == labels[i] then
            members[name] = members[name] or {}
            table.insert(members[name], i)
        end
    end
    if #names > MOST_GROUPS then -- those of the most images
        table.sort(names, function(a, b)
            local x, y = #(members[a] or {}), #(members[b] or {})
            if x ~= y then return x > y end
            return a < b
        end)
    end
    for k = 1, math.min(#names, MOST_GROUPS) do
        local own, s, l, g = members[names[k]] or {}, {}, {}, opts.groups and {} or false
        for place, i in ipairs(own) do
            s[place], l[place] = scores[i], labels[i]
            if g then g[place] = opts.groups[i] end
        end
        local report = metrics.report(s, l, {threshold = opts.threshold, groups = g, seed = opts.seed, n = opts.n})
        local positives, negatives = report.positives, report.negatives
        local fewest = math.min(positives, negatives)
        rows[k] = {
            name = names[k], images = #own, positives = positives, negatives = negatives,
            auc = figure(report, "auc", fewest >= subgroups.FEWEST),
            sensitivity = figure(report, "sensitivity", positives >= subgroups.FEWEST),
            specificity = figure(report, "specificity", negatives >= subgroups.FEWEST),
            note = fewest < subgroups.FEWEST and "too few to say" or fewest < FEW and "few: wide intervals" or "",
        }
    end
    return rows, math.max(0, #names - MOST_GROUPS)
end

return subgroups
