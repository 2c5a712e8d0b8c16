--- Contact sheets: an image and what a pipeline makes of it, with captions.

local core = require "luxel.core"
local draw = require "luxel.vision.draw"
local geometry = require "luxel.vision.geometry"
local tensors = require "luxel.tensor"

local GAP <const>, LINE <const> = 6, 12

-- Words in lines of at most `width` pixels, three of them at most.
local function wrap(text, width)
    local lines = {}
    for part in (text .. ", "):gmatch("(.-), ") do
        local longer = lines[1] and lines[#lines] .. ", " .. part
        if longer and draw.text_size(longer) <= width then
            lines[#lines] = longer
        else
            lines[#lines + 1] = part
        end
    end
    return table.move(lines, 1, math.min(3, #lines), 1, {})
end

-- Bytes of the image, as large as fits into a square.
local function thumbnail(image, side)
    if image.dtype ~= "uint8" then image = core.cast(core.unary("round", image), "uint8") end
    local height, width = image.shape[2], image.shape[3]
    local scale = side / math.max(height, width)
    return draw.to_rgb(geometry.resize(image, math.max(1, math.floor(height * scale + 0.5)),
        math.max(1, math.floor(width * scale + 0.5))))
end

--- `Pipeline:preview`.
return function(self, image, path, opts)
    local columns = math.ceil(math.sqrt(opts.n + 1))
    local rows, cell = math.ceil((opts.n + 1) / columns), opts.side + 3 * LINE + GAP
    local sheet = tensors.full({3, rows * cell + GAP, columns * (opts.side + GAP) + GAP}, 24, {dtype = "uint8"})
    for i = 0, opts.n do
        local seen = thumbnail(i == 0 and image or self(image, {seed = opts.seed, index = i}), opts.side)
        local x, y = GAP + i % columns * (opts.side + GAP), GAP + i // columns * cell
        local height, width = seen.shape[2], seen.shape[3]
        core.copy_(core.narrow(core.narrow(sheet, 2, y + 1, height), 3, x + 1, width), seen)
        local words = i == 0 and "as it is" or self:describe {seed = opts.seed, index = i}
        for line, text in ipairs(wrap(words, opts.side)) do
            sheet = draw.draw_text(sheet, x, y + opts.side + 2 + (line - 1) * LINE, text, {colour = {200, 200, 200}})
        end
    end
    return core.write_png(path, sheet)
end
