--- Cells of a dataset: the images of one group (a hospital, a machine, a source) and one class.

local args = require "luxel.args"
local core = require "luxel.core"

local cells = {}

-- Texts and numbers by their kind and order.
local function before(a, b)
    if type(a) ~= type(b) then return type(a) < type(b) end
    return a < b
end

local function check(where, dataset, groups)
    if #groups ~= #dataset then
        args.fail("%s: expected the group of each of the %d images, got %d", where, #dataset, #groups)
    end
    for i, group in ipairs(groups) do
        if type(group) ~= "string" and math.type(group) ~= "integer" then
            args.fail("%s: [%d]: expected a text or an integer, got %s", where, i, args.describe(group))
        end
    end
end

--- The cell of each image, a number from 1, or 0 where its label is missing, and the names of the cells. Images of
--- several labels, or with masks, have no class: their cells are the groups.
---@param where string "function: argument"
---@param dataset luxel.Dataset
---@param groups (string|integer)[] of each image
---@return integer[] cell, string[] names
function cells.of(where, dataset, groups)
    check(where, dataset, groups)
    local labels = core.to_table(dataset.labels)
    local by_class = dataset.task == "binary" or dataset.task == "classes"
    local found, list, of_image = {}, {}, {}
    for i, group in ipairs(groups) do
        local class = by_class and labels[i] or 0
        if class == class then
            found[group] = found[group] or {}
            local cell = found[group][class]
            if not cell then
                cell = {group = group, class = class}
                found[group][class], list[#list + 1] = cell, cell
            end
            of_image[i] = cell
        end
    end
    table.sort(list, function(a, b)
        if a.group ~= b.group then return before(a.group, b.group) end
        return a.class < b.class
    end)
    local numbers, names = {}, {}
    for k, cell in ipairs(list) do
        cell.number = k
        names[k] = by_class and ("%s/%s"):format(cell.group, dataset.classes[math.tointeger(cell.class) + 1])
            or tostring(cell.group)
    end
    for i = 1, #groups do numbers[i] = of_image[i] and of_image[i].number or 0 end
    return numbers, names
end

--- How often each cell is drawn, so that all are drawn equally often, but none of its images more than `most` times:
--- what small cells cannot take goes to the others.
---@param sizes integer[] images of each cell
---@param total integer draws of all together
---@param most integer
---@return integer[] quotas
function cells.quotas(sizes, total, most)
    local order, quotas, left = {}, {}, total
    for k = 1, #sizes do order[k] = k end
    table.sort(order, function(a, b)
        if sizes[a] ~= sizes[b] then return sizes[a] < sizes[b] end
        return a < b
    end)
    for i, k in ipairs(order) do -- the smallest first: the larger ones share what is left
        quotas[k] = math.min(most * sizes[k], left // (#order - i + 1))
        left = left - quotas[k]
    end
    return quotas
end

return cells
