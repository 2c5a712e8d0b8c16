--- How a tensor prints: aligned columns, matrices one after the other, the middle of large ones left out, and a last
-- line with dtype, shape and device.

local core = require "luxel.core"

local format = {}

local ELIDE_ABOVE <const> = 1000 -- elements
local EDGE <const> = 3           -- rows and columns shown at each end then

-- The positions of a dimension that are shown; false stands for the gap.
local function positions(size, elide)
    local shown = {}
    if not elide or size <= 2 * EDGE + 1 then
        for i = 1, size do shown[i] = i end
        return shown
    end
    for i = 1, EDGE do
        shown[i], shown[EDGE + 1 + i] = i, size - EDGE + i
    end
    shown[EDGE + 1] = false
    return shown
end

-- Only the elements that will be shown, so that printing a large tensor costs nothing.
local function corners(t)
    for dim, size in ipairs(t.shape) do
        if size > 2 * EDGE + 1 then
            t = core.cat({core.narrow(t, dim, 1, EDGE), core.narrow(t, dim, size - EDGE + 1, EDGE)}, dim)
        end
    end
    return t
end

local function each_number(values, visit)
    if type(values) ~= "table" then return visit(values) end
    for _, inner in ipairs(values) do each_number(inner, visit) end
end

-- A function that writes one number, in a format for all of them.
local function number_writer(values, dtype)
    if dtype ~= "float32" then return function(v) return ("%d"):format(v) end end
    local whole, largest, smallest = true, 0, math.huge
    each_number(values, function(v)
        if v ~= v or v == math.huge or v == -math.huge then return end
        whole = whole and v == math.floor(v)
        local size = math.abs(v)
        largest = math.max(largest, size)
        if size > 0 then smallest = math.min(smallest, size) end
    end)
    local pattern = "%.4f"
    if whole and largest < 1e8 then
        pattern = "%.0f"
    elseif largest >= 1e5 or (largest > 0 and largest < 1e-2) or (smallest < 1e-4 and largest / smallest > 1e5) then
        pattern = "%.4e"
    end
    return function(v)
        if v ~= v then return "nan" end
        if v == math.huge then return "inf" end
        if v == -math.huge then return "-inf" end
        return (pattern:format(v):gsub("^%-(0[.0]*)$", "%1")) -- no negative zeros
    end
end

local function column_width(values, write)
    local width = 0
    each_number(values, function(v) width = math.max(width, #write(v)) end)
    return width
end

-- Writes rows of one matrix, or the one row of a vector.
local function write_row(lines, row, shown, style)
    local cells, next_value = {}, 1
    for _, position in ipairs(shown) do
        if position then
            cells[#cells + 1] = ("%" .. style.width .. "s"):format(style.write(row[next_value]))
            next_value = next_value + 1
        else
            cells[#cells + 1] = "…"
        end
    end
    lines[#lines + 1] = "  " .. table.concat(cells, "  ")
end

local function write_matrix(lines, matrix, rows, columns, style)
    local next_row = 1
    for _, position in ipairs(rows) do
        if position then
            write_row(lines, matrix[next_row], columns, style)
            next_row = next_row + 1
        else
            lines[#lines + 1] = "  " .. (" "):rep(style.width - 1) .. "⋮"
        end
    end
end

-- Matrices under their leading indices: (1,2,.,.) =
local function write_matrices(lines, values, shown, dim, prefix, style)
    if dim == #shown - 1 then
        lines[#lines + 1] = ("(%s.,.) ="):format(prefix)
        write_matrix(lines, values, shown[dim], shown[dim + 1], style)
        return
    end
    local next_value = 1
    for _, position in ipairs(shown[dim]) do
        if position then
            write_matrices(lines, values[next_value], shown, dim + 1, prefix .. position .. ",", style)
            next_value = next_value + 1
        else
            lines[#lines + 1] = "⋮"
        end
    end
end

--- The tensor as text.
---@param t Tensor
---@return string
function format.tensor(t)
    local shape, dtype, device = core.info(t)
    local count = 1
    for _, size in ipairs(shape) do count = count * size end
    local sizes = #shape == 0 and "no dimensions" or table.concat(shape, "×")
    local last = ("[%s %s, %s]"):format(dtype, sizes, device)
    if count == 0 then return last end
    local elide = count > ELIDE_ABOVE
    local values = core.to_table(elide and corners(t) or t)
    local write = number_writer(values, dtype)
    local style = {write = write, width = column_width(values, write)}
    local shown, lines = {}, {}
    for dim, size in ipairs(shape) do shown[dim] = positions(size, elide) end
    if #shape == 0 then
        lines[1] = "  " .. write(values)
    elseif #shape == 1 then
        write_row(lines, values, shown[1], style)
    elseif #shape == 2 then
        write_matrix(lines, values, shown[1], shown[2], style)
    else
        write_matrices(lines, values, shown, 1, "", style)
    end
    lines[#lines + 1] = last
    return table.concat(lines, "\n")
end

-- ---- tables ---------------------------------------------------------------------------------------------------

--- Rows of cells as lines with aligned columns, two blanks between them.
---@param rows string[][]
---@param right table<integer, boolean> the columns that are aligned to the right
---@return string[] lines
function format.columns(rows, right)
    local widths, lines = {}, {}
    local function width(cell) return utf8.len(cell) or #cell end
    for _, row in ipairs(rows) do
        for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width(cell)) end
    end
    for r, row in ipairs(rows) do
        local cells = {}
        for i, cell in ipairs(row) do
            local space = (" "):rep(widths[i] - width(cell))
            cells[i] = right[i] and space .. cell or cell .. space
        end
        lines[r] = table.concat(cells, "  "):gsub("%s+$", "")
    end
    return lines
end

return format
