--- Curves as lists of points, which print as about ten of them.

local result_type = require "luxel.result"

--- The type of a curve.
---@param name string "ROC curve"
---@param unit string what there are so many of: "points"
---@param heading string the line above the columns
---@param form string of a line
---@param fields string[] of a point, in the order of the form
---@return fun(points: table[]): table
return function(name, unit, heading, form, fields)
    return result_type(name, {}, function(points)
        local lines = {("%s of %d %s"):format(name, #points, unit), heading}
        for i = 1, #points, math.max(1, #points // 10) do
            local cells = {}
            for k, field in ipairs(fields) do cells[k] = points[i][field] end
            lines[#lines + 1] = form:format(table.unpack(cells, 1, #fields))
        end
        return table.concat(lines, "\n")
    end)
end
