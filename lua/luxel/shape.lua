--- Shapes: lists of sizes.

local shape = {}

--- `[8,1,224,224]`
---@param sizes integer[]
---@return string
function shape.text(sizes)
    return "[" .. table.concat(sizes, ",") .. "]"
end

--- Whether two shapes are the same.
---@param a integer[]
---@param b integer[]
---@return boolean
function shape.same(a, b)
    if #a ~= #b then return false end
    for i = 1, #a do
        if a[i] ~= b[i] then return false end
    end
    return true
end

return shape
