--- Draws a roofline (Williams, Waterman and Patterson 2009): how much is computed a second over how much is computed a
--- byte, both axes logarithmic, under what the machine computes and moves at most.

local lx = require "luxel"
local vision = lx.vision

local roofline = {}

local LEFT <const>, TOP <const>, WIDTH <const>, HEIGHT <const> = 90, 60, 880, 780
local LEGEND <const> = LEFT + WIDTH + 30
local LINE <const>, SCALE <const> = 18, 1
local INK <const>, FAINT <const>, ROOF <const> = {20, 20, 30}, {214, 218, 224}, {170, 60, 50}
local COLOURS <const> = {{30, 90, 200}, {0, 140, 90}, {190, 110, 0}, {140, 50, 170}, {90, 90, 90}}

-- What the font has not.
local function ascii(text)
    return (text:gsub("→", "-"):gsub("×", "x"))
end

---@class Roofline a picture that grows
local Plot = {}
Plot.__index = Plot

function Plot:rect(x, y, w, h, colour)
    self.image = vision.fill_rect(self.image, {x = x, y = y, w = w, h = h}, {colour = colour})
end

function Plot:text(x, y, text, colour, scale)
    self.image = vision.draw_text(self.image, x, y, ascii(text), {colour = colour or INK, scale = scale or SCALE})
end

-- Pixels of an intensity (operations a byte) and a speed (GFLOP/s).
function Plot:place(intensity, speed)
    local function along(value, range) return math.log(value / range[1]) / math.log(range[2] / range[1]) end
    return LEFT + math.floor(WIDTH * along(intensity, self.x)), TOP + math.floor(HEIGHT * (1 - along(speed, self.y)))
end

local function range_of(points, key, from, to)
    for _, point in ipairs(points) do from, to = math.min(from, point[key]), math.max(to, point[key]) end
    return {10 ^ math.floor(math.log(from, 10) * 1.0001), 10 ^ math.ceil(math.log(to, 10))}
end

function Plot:axes()
    for exponent = math.floor(math.log(self.x[1], 10) + 0.5), math.floor(math.log(self.x[2], 10) + 0.5) do
        local x = self:place(10.0 ^ exponent, self.y[1])
        self:rect(x, TOP, 1, HEIGHT, FAINT)
        self:text(x - 8, TOP + HEIGHT + 8, ("%g"):format(10.0 ^ exponent))
    end
    for exponent = math.floor(math.log(self.y[1], 10) + 0.5), math.floor(math.log(self.y[2], 10) + 0.5) do
        local _, y = self:place(self.x[1], 10.0 ^ exponent)
        self:rect(LEFT, y, WIDTH, 1, FAINT)
        self:text(LEFT - 44, y - 6, ("%g"):format(10.0 ^ exponent))
    end
    self:rect(LEFT, TOP + HEIGHT, WIDTH, 2, INK)
    self:rect(LEFT, TOP, 2, HEIGHT, INK)
    self:text(LEFT + WIDTH // 2 - 90, TOP + HEIGHT + 30, "operations for each byte moved")
    self:text(12, TOP - 22, "GFLOP/s")
end

-- The lower of the two roofs at each column.
function Plot:roofs(gflops, bandwidth)
    local _, last = self:place(self.x[1], math.max(self.y[1], bandwidth * self.x[1]))
    for column = 0, WIDTH - 1 do
        local intensity = self.x[1] * (self.x[2] / self.x[1]) ^ (column / WIDTH)
        local _, y = self:place(intensity, math.min(gflops, bandwidth * intensity))
        if y < TOP + HEIGHT then self:rect(LEFT + column, math.min(y, last), 1, math.abs(last - y) + 2, ROOF) end
        last = y
        self.taken[#self.taken + 1] = {LEFT + column, y - 2, 1, 5} -- labels keep off the line
    end
    local ridge = gflops / bandwidth
    local x, y = self:place(ridge, gflops)
    self:text(math.max(x, LEFT) + 10, y - 18, ("%.0f GFLOP/s"):format(gflops), ROOF)
    x, y = self:place(ridge / 30, gflops / 30)
    self:text(x - 74, y - 18, ("%.0f GB/s"):format(bandwidth), ROOF)
end

-- A free place for a label near its dot: rings around it until nothing is in the way.
function Plot:free_place(x, y, width, height)
    for radius = 8, 200, 6 do
        for turn = 0, 11 do
            local angle = turn * math.pi / 6
            local left = math.floor(x + radius * math.cos(angle) - (math.cos(angle) < 0 and width or 0))
            local top = math.floor(y + radius * math.sin(angle) - height / 2)
            local free = left > LEFT and left + width < LEFT + WIDTH and top > TOP and top + height < TOP + HEIGHT
            for _, taken in ipairs(self.taken) do
                if left < taken[1] + taken[3] and taken[1] < left + width and top < taken[2] + taken[4]
                    and taken[2] < top + height then
                    free = false
                end
            end
            if free then
                self.taken[#self.taken + 1] = {left, top, width, height}
                return left, top
            end
        end
    end
    return x + 8, y
end

-- Dots with numbers, and beside the picture what the numbers stand for.
function Plot:dots(points)
    for _, point in ipairs(points) do
        local x, y = self:place(point.intensity, point.speed)
        point.at = {x, y}
        self:rect(x - 3, y - 3, 7, 7, point.colour)
        self.taken[#self.taken + 1] = {x - 3, y - 3, 7, 7}
    end
    local line = TOP
    for number, point in ipairs(points) do
        local text = tostring(number)
        local width = vision.text_size(text, SCALE)
        local x, y = self:free_place(point.at[1], point.at[2], width + 2, 10)
        self:text(x, y, text, point.colour)
        if point.heading then
            self:text(LEGEND, line + 4, point.heading, point.colour, 2)
            line = line + 2 * LINE
        end
        self:text(LEGEND, line, ("%2d  %s"):format(number, point.name))
        self:text(LEGEND + 330, line, ("%6.1f GFLOP/s"):format(point.speed))
        line = line + LINE
    end
    return line
end

--- Writes the picture.
---@param path string a PNG file
---@param title string
---@param groups {name: string, points: {name: string, intensity: number, speed: number}[]}[]
---@param peak {gflops: number, bandwidth: number}
---@return boolean? ok, string? message
function roofline.draw(path, title, groups, peak)
    local points = {}
    for i, group in ipairs(groups) do
        for j, point in ipairs(group.points) do
            point.colour, point.heading = COLOURS[(i - 1) % #COLOURS + 1], j == 1 and group.name or nil
            points[#points + 1] = point
        end
    end
    local height = math.max(TOP + HEIGHT + 60, TOP + LINE * (#points + 2 * #groups + 1))
    local plot = setmetatable({taken = {}, image = lx.full({3, height, LEGEND + 450}, 255, {dtype = "uint8"}),
        x = range_of(points, "intensity", 0.1, 100), y = range_of(points, "speed", 1, peak.gflops)}, Plot)
    plot:text(LEFT, 18, title, INK, 2)
    plot:axes()
    plot:roofs(peak.gflops, peak.bandwidth)
    plot:dots(points)
    return vision.save(path, plot.image)
end

return roofline
