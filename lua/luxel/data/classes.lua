--- Names of classes: which of two is the disease.

local classes = {}

-- Names that say that nothing was found, without what is no letter or digit.
local NEGATIVE <const> = {
    normal = true, normals = true, healthy = true, negative = true, neg = true, nofinding = true, nofindings = true,
    control = true, controls = true, none = true, absent = true, uninfected = true, unaffected = true, clear = true,
    no = true, ["false"] = true, ["0"] = true,
}

--- A name without case, spaces and signs.
---@param name string
---@return string
function classes.plain(name) return (name:lower():gsub("[^%w]", "")) end

--- Whether a name says that nothing was found: by itself, or as the denial of the other one.
---@param name string
---@param other string?
---@return boolean
function classes.is_negative(name, other)
    name, other = classes.plain(name), other and classes.plain(other)
    if NEGATIVE[name] then return true end
    for _, prefix in ipairs {"no", "non", "not", "without", "un"} do
        if other and name == prefix .. other then return true end
    end
    return false
end

--- Two names, the negative one first.
---@param a string
---@param b string
---@param positive string? one of them
---@return string[]? nil where neither the names nor `positive` tell
function classes.order_two(a, b, positive)
    if positive then
        if classes.plain(positive) == classes.plain(a) then return {b, a} end
        return classes.plain(positive) == classes.plain(b) and {a, b} or nil
    end
    local first, second = classes.is_negative(a, b), classes.is_negative(b, a)
    if first == second then return nil end
    return first and {a, b} or {b, a}
end

return classes
