--- Plots as pictures: the shapes of plot/chart.lua, painted.
--
-- An area is found by the signed areas that its edges leave to their right in each row of pixels, summed from the left:
-- how much of each pixel it covers, to any share. A line is an area of a rectangle for each of its pieces.

local args = require "luxel.args"
local chart = require "luxel.plot.chart"
local colours = require "luxel.plot.colours"
local core = require "luxel.core"
local draw = require "luxel.vision.draw"

local raster = {}

-- Pixels that a plot may have: they are numbers of Lua while it is painted.
local MOST <const> = 1 << 24

local CORNERS <const> = 32 -- of a circle

-- What the letters of the project have instead of characters beyond ASCII.
local INSTEAD <const> = {
    ["–"] = "-", ["—"] = "-", ["−"] = "-", ["×"] = "x", ["·"] = ".", ["’"] = "'", ["≥"] = ">=", ["≤"] = "<=",
    ["µ"] = "u", ["ä"] = "ae", ["ö"] = "oe", ["ü"] = "ue", ["ß"] = "ss", ["é"] = "e", ["±"] = "+-", ["²"] = "2",
}

local Canvas = {}
Canvas.__index = Canvas

-- Levels 0..255 of a colour written as #rrggbb.
local function levels(text)
    local packed = tonumber(text:sub(2), 16)
    return {packed >> 16, packed >> 8 & 255, packed & 255}
end

--- What is painted on.
---@param width integer pixels
---@param height integer
---@param scale integer of them for each of the plot
---@param kind "light"|"dark"
---@return table
function raster.canvas(width, height, scale, kind)
    local paper = tonumber(colours.paper[kind]:sub(2), 16)
    local pixels = {}
    for i = 1, width * height do pixels[i] = paper end
    local of = {
        rule = levels(colours.line[kind]), axis = levels(colours.soft[kind]), soft = levels(colours.soft[kind]),
        ink = levels(colours.ink[kind]),
    }
    for k, series in ipairs(colours.series) do
        of["s" .. k] = levels(series[kind])
        of["f" .. k] = of["s" .. k]
    end
    local whole = {left = 0, top = 0, right = width, bottom = height}
    return setmetatable({
        width = width, height = height, scale = scale, pixels = pixels, colours = of, whole = whole, clip = whole,
    }, Canvas)
end

-- Mixes a colour {red, green, blue} into a pixel, column and row from 0.
function Canvas:mix(column, row, colour, share)
    local place = row * self.width + column + 1
    local packed, out = self.pixels[place], 0
    for k = 1, 3 do
        local under = packed >> (24 - 8 * k) & 255
        out = out << 8 | math.floor(under + (colour[k] - under) * share + 0.5)
    end
    self.pixels[place] = out
end

-- Adds what an edge leaves to its right to the sums of the rows. What is beside the frame counts as being at its edge.
local function add_edge(sums, a, b, frame)
    if a[2] == b[2] then return end
    for _, side in ipairs {frame.left, frame.right} do
        if (a[1] < side) ~= (b[1] < side) and a[1] ~= side and b[1] ~= side then -- a piece on either side of it
            local middle = {side, a[2] + (side - a[1]) / (b[1] - a[1]) * (b[2] - a[2])}
            add_edge(sums, a, middle, frame)
            add_edge(sums, middle, b, frame)
            return
        end
    end
    local sign = 1
    if a[2] > b[2] then a, b, sign = b, a, -1 end
    local slope = (b[1] - a[1]) / (b[2] - a[2])
    local from, to = math.max(a[2], frame.top), math.min(b[2], frame.bottom)
    for row = math.floor(from), math.ceil(to) - 1 do
        local y0, y1 = math.max(from, row), math.min(to, row + 1)
        if y1 > y0 then
            local line, height = sums[row], sign * (y1 - y0)
            local x0 = math.max(frame.left, math.min(frame.right, a[1] + (y0 - a[2]) * slope))
            local x1 = math.max(frame.left, math.min(frame.right, a[1] + (y1 - a[2]) * slope))
            if x0 > x1 then x0, x1 = x1, x0 end
            local first, last = math.floor(x0), math.ceil(x1) - 1
            if last <= first then -- within one pixel: a trapezium
                local right = first + 1 - (x0 + x1) / 2
                line[first] = (line[first] or 0) + height * right
                line[first + 1] = (line[first + 1] or 0) + height * (1 - right)
            else
                local covered = 0 -- of this pixel, from the edge to its right side
                for x = first, last do
                    local u0, u1 = math.max(x0, x), math.min(x1, x + 1)
                    local share = (u1 - u0) / (x1 - x0)
                    -- the piece of the edge in this pixel, and all of it that was further left
                    local here = share * (x + 1 - (u0 + u1) / 2) + (u0 - x0) / (x1 - x0)
                    line[x] = (line[x] or 0) + height * (here - covered)
                    covered = here
                end
                line[last + 1] = (line[last + 1] or 0) + height * (1 - covered)
            end
        end
    end
end

-- Twice the signed area of a polygon.
local function turn_of(points)
    local sum = 0
    for i, a in ipairs(points) do
        local b = points[i % #points + 1]
        sum = sum + a[1] * b[2] - b[1] * a[2]
    end
    return sum
end

-- Fills polygons, in pixels of the picture, as one area: where they lie over each other it is not darker.
function Canvas:fill(polygons, class, opacity)
    local clip, frame = self.clip, {left = math.huge, top = math.huge, right = -math.huge, bottom = -math.huge}
    for _, points in ipairs(polygons) do
        for _, point in ipairs(points) do
            frame.left, frame.right = math.min(frame.left, point[1]), math.max(frame.right, point[1])
            frame.top, frame.bottom = math.min(frame.top, point[2]), math.max(frame.bottom, point[2])
        end
    end
    frame.left, frame.right = math.max(clip.left, frame.left // 1), math.min(clip.right, frame.right // 1 + 1)
    frame.top, frame.bottom = math.max(clip.top, frame.top // 1), math.min(clip.bottom, frame.bottom // 1 + 1)
    if frame.left >= frame.right or frame.top >= frame.bottom then return end
    local sums, left, right = {}, math.floor(frame.left), math.ceil(frame.right)
    for row = math.floor(frame.top), math.ceil(frame.bottom) - 1 do sums[row] = {} end
    for _, points in ipairs(polygons) do
        local forwards = turn_of(points) < 0
        for i, a in ipairs(points) do
            local b = points[i % #points + 1]
            if forwards then a, b = b, a end
            add_edge(sums, a, b, frame)
        end
    end
    local colour = self.colours[class]
    for row, line in pairs(sums) do
        local sum = 0
        for column = left, right - 1 do
            sum = sum + (line[column] or 0)
            local share = math.min(1, math.abs(sum))
            if share > 1e-6 then self:mix(column, row, colour, share * (opacity or 1)) end
        end
    end
end

local function circle(x, y, radius)
    local out = {}
    for k = 1, CORNERS do
        local angle = 2 * math.pi * k / CORNERS
        out[k] = {x + radius * math.cos(angle), y + radius * math.sin(angle)}
    end
    return out
end

-- ---- lines --------------------------------------------------------------------------------------------------------

-- The runs of points of a path, in pixels of the picture.
local function runs_of(shape, scale)
    local runs, x, y, i = {}, 0, 0, 1
    local d, dx, dy = shape.d, shape.at and shape.at[1] or 0, shape.at and shape.at[2] or 0
    while i <= #d do
        local letter, a, b = d[i], d[i + 1], d[i + 2]
        if letter == "M" then
            x, y, i = a, b, i + 3
            runs[#runs + 1] = {}
        elseif letter == "L" then x, y, i = a, b, i + 3
        elseif letter == "H" then x, i = a, i + 2
        elseif letter == "V" then y, i = a, i + 2
        elseif letter == "h" then x, i = x + a, i + 2
        elseif letter == "v" then y, i = y + a, i + 2
        else i = i + 1 end -- z: areas are closed anyway
        if letter ~= "z" then table.insert(runs[#runs], {(x + dx) * scale, (y + dy) * scale}) end
    end
    return runs
end

-- Cuts a run into its dashes; lengths are in pixels of the picture.
local function dashed(run, lengths)
    local out, piece, k, left = {}, {run[1]}, 1, lengths[1]
    for i = 2, #run do
        local a, b = run[i - 1], run[i]
        local length, at = math.sqrt((b[1] - a[1]) ^ 2 + (b[2] - a[2]) ^ 2), 0
        while length - at > left do
            at = at + left
            local point = {a[1] + (b[1] - a[1]) * at / length, a[2] + (b[2] - a[2]) * at / length}
            if k % 2 == 1 then
                piece[#piece + 1] = point
                out[#out + 1] = piece
            end
            piece, k = {point}, k % #lengths + 1
            left = lengths[k]
        end
        left = left - (length - at)
        piece[#piece + 1] = b
    end
    if k % 2 == 1 and #piece > 1 then out[#out + 1] = piece end
    return out
end

-- The areas of a run that is drawn with a pen.
local function stroked(run, width, polygons)
    local half = width / 2
    for i = 2, #run do
        local a, b = run[i - 1], run[i]
        local dx, dy = b[1] - a[1], b[2] - a[2]
        local length = math.sqrt(dx * dx + dy * dy)
        if length > 0 then
            local nx, ny = -dy / length * half, dx / length * half
            polygons[#polygons + 1] = {
                {a[1] + nx, a[2] + ny}, {b[1] + nx, b[2] + ny}, {b[1] - nx, b[2] - ny}, {a[1] - nx, a[2] - ny},
            }
            if i < #run then polygons[#polygons + 1] = circle(b[1], b[2], half) end
        end
    end
end

-- ---- shapes -------------------------------------------------------------------------------------------------------

local paint = {}

function paint.path(canvas, shape)
    local polygons, lengths = {}, {}
    for number in (shape.dash or ""):gmatch("%d+") do lengths[#lengths + 1] = number * canvas.scale end
    for _, run in ipairs(runs_of(shape, canvas.scale)) do
        if shape.filled then
            polygons[#polygons + 1] = run
        else
            for _, piece in ipairs(#lengths > 0 and dashed(run, lengths) or {run}) do
                stroked(piece, (shape.width or 1) * canvas.scale, polygons)
            end
        end
    end
    canvas:fill(polygons, shape.class, shape.opacity)
end

function paint.rect(canvas, shape)
    if shape.class == "area" then return end -- a mark for programs, which shows nothing
    local s = canvas.scale
    local left, top, right, bottom = shape.x * s, shape.y * s, (shape.x + shape.w) * s, (shape.y + shape.h) * s
    canvas:fill({{{left, top}, {right, top}, {right, bottom}, {left, bottom}}}, shape.class, shape.opacity)
end

function paint.circle(canvas, shape)
    local s = canvas.scale
    canvas:fill({circle(shape.x * s, shape.y * s, shape.r * s)}, shape.class, shape.opacity)
end

function paint.polygon(canvas, shape)
    local points, s = {}, canvas.scale
    for i, point in ipairs(shape.points) do points[i] = {point[1] * s, point[2] * s} end
    canvas:fill({points}, shape.class, shape.opacity)
end

-- The height of a capital letter of the project's font, in its dots.
local CAPITAL <const> = 8

function paint.text(canvas, shape)
    local s, bold = canvas.scale, shape.class == "title" and 1 or 0
    local text = tostring(shape.text):gsub("[\0-\31\127]", "?"):gsub("[\xc2-\xf4][\x80-\xbf]*", INSTEAD)
    local width, height = draw.text_size(text, s)
    if width == 0 then return end
    local dots = core.fill_(core.new({1, height, width + bold * s}, "uint8"), 0)
    dots = draw.draw_text(dots, 0, 0, text, {scale = s})
    if bold == 1 then dots = draw.draw_text(dots, s, 0, text, {scale = s}) end
    width = width + bold * s
    local before = shape.anchor == "end" and width or shape.anchor == "middle" and width // 2 or 0
    local x, y = math.floor(shape.x * s + 0.5), math.floor(shape.y * s + 0.5)
    local colour = canvas.colours[shape.class == "soft" and "soft" or "ink"]
    for r, row in ipairs(core.to_table(dots)[1]) do
        for c, level in ipairs(row) do
            if level > 0 then
                local along, down = c - 1 - before, r - 1 - CAPITAL * s
                local column, line = x + along, y + down
                if shape.turned then column, line = x + down, y - along end
                if column >= 0 and column < canvas.width and line >= 0 and line < canvas.height then
                    canvas:mix(column, line, colour, level / 255)
                end
            end
        end
    end
end

function paint.clip(canvas, shape)
    local s, whole = canvas.scale, canvas.whole
    canvas.clip = {
        left = math.max(whole.left, math.floor(shape.x * s + 0.5)),
        top = math.max(whole.top, math.floor(shape.y * s + 0.5)),
        right = math.min(whole.right, math.floor((shape.x + shape.w) * s + 0.5)),
        bottom = math.min(whole.bottom, math.floor((shape.y + shape.h) * s + 0.5)),
    }
end

function paint.unclip(canvas) canvas.clip = canvas.whole end

-- ---- the whole ----------------------------------------------------------------------------------------------------

-- The picture as a tensor, by way of the bytes of a PPM.
local function tensor_of(canvas)
    local parts, row = {("P6\n%d %d\n255\n"):format(canvas.width, canvas.height)}, {}
    for y = 0, canvas.height - 1 do
        for x = 1, canvas.width do
            local packed = canvas.pixels[y * canvas.width + x]
            row[x] = string.char(packed >> 16, packed >> 8 & 255, packed & 255)
        end
        parts[#parts + 1] = table.concat(row, "", 1, canvas.width)
    end
    return assert(core.decode_image(table.concat(parts), {channels = 3}, "plot"))
end

--- Paints a plot.
---@param given table[] layers
---@param options table? see `lx.plot.image`
---@param caller string the public function, for errors
---@return Tensor uint8 [3,H,W]
function raster.draw(given, options, caller)
    options = options or {}
    local scale = math.tointeger(options.scale or 2)
    local of = chart.of(given, options, caller)
    local width, height = math.tointeger(of.width) * scale, math.tointeger(of.height) * scale
    if width * height > MOST then
        args.fail("%s: options: expected width, height and scale of at most %d pixels together, got %d x %d", caller,
            MOST, width, height)
    end
    local canvas = raster.canvas(width, height, scale, options.dark and "dark" or "light")
    for _, shape in ipairs(of.shapes) do paint[shape.kind](canvas, shape) end
    return tensor_of(canvas)
end

return raster
