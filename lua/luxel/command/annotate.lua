--- A radiograph with its answer in a margin: nothing covers the lungs.

local lx = require "luxel"

local GREEN <const>, RED <const>, AMBER <const> = {110, 230, 120}, {255, 96, 84}, {255, 210, 60}

-- The notice on every picture: the first one where there is room for it.
local NOTICES <const> = {"supports a reading, does not replace one", "no diagnosis"}

-- The text in lines that fit the width.
local function wrap(text, width, scale)
    local lines = {}
    for word in text:gmatch("%S+") do
        local longer = lines[1] and lines[#lines] .. " " .. word
        if longer and lx.vision.text_size(longer, scale) + 8 * scale <= width then
            lines[#lines] = longer
        else
            lines[#lines + 1] = word
        end
    end
    return lines
end

-- The picture with a frame around each box, and its score above it, or inside where there is no room.
local function with_boxes(image, boxes)
    local vision, thickness = lx.vision, 1 + math.min(image.shape[2], image.shape[3]) // 384
    local scale = math.max(1, image.shape[3] // 384)
    for i = #boxes, 1, -1 do -- the best is drawn last
        local box = boxes[i]
        local x, y = math.floor(box.x + 0.5), math.floor(box.y + 0.5)
        local w, h = math.max(1, math.floor(box.w + 0.5)), math.max(1, math.floor(box.h + 0.5))
        image = vision.draw_rect(image, {x = x, y = y, w = w, h = h}, {colour = AMBER, thickness = thickness})
        local text = ("%.2f"):format(box.score)
        local width, height = vision.text_size(text, scale)
        local top = y >= height + 2 and y - height - 2 or y + thickness
        image = vision.fill_rect(image, {x = x, y = top, w = width + 2 * scale, h = height + 1}, {alpha = 0.6})
        image = vision.draw_text(image, x + scale, top + 1, text, {colour = AMBER, scale = scale})
    end
    return image
end

-- A number of three digits.
local function short(value) return (("%.3g"):format(value):gsub(",", ".")) end

-- The picture under a map, with a margin on its right where a bar says what the colours mean.
local function explained(image, map, scale, largest)
    local vision = lx.vision
    local height, width = image.shape[2], image.shape[3]
    local picture, most = lx.explain.overlay(image, map, {most = largest})
    local numbers = most > 0 and {short(most), short(most / 2), "0"} or {"", "", "0"}
    local _, line = vision.text_size("0", scale)
    local words, bar, gap = 0, 6 * scale, 4 * scale
    for _, number in ipairs(numbers) do words = math.max(words, (vision.text_size(number, scale))) end
    local length = math.max(2, height - 2 * line)
    local shades = lx.linspace(1, 0, length):reshape(length, 1):expand(length, bar):clone()
    local grey = lx.full({1, length, bar}, 96, {dtype = "uint8"})
    local colours = lx.explain.overlay(grey, most > 0 and shades or shades * 0, {most = 1})
    local top = (height - length) // 2
    picture = vision.pad(picture, {0, 0, 3 * gap + bar + words, 0})
    picture:narrow(2, top + 1, length):narrow(3, width + gap + 1, bar):copy_(colours)
    for i, number in ipairs(numbers) do
        local y = top + (i - 1) * (length - 1) // 2 - line // 2
        picture = vision.draw_text(picture, width + 2 * gap + bar, math.max(0, math.min(y, height - line)), number,
            {scale = scale})
    end
    return picture
end

--- The picture with a margin above that says the label, and one below with the notice; the outline of a mask is drawn,
--- and boxes with their scores.
---@param image Tensor uint8 [C,H,W]
---@param answer luxel.Answer|{label: string, words: string, positive: boolean} words: instead of a probability
---@param explanation {map: Tensor, words: string, most: number?}? a map of lx.explain for the image, which is laid over
---  it, with a bar of its colours on the right, what the map means, for the margin below, and the value of the last
---  colour, by default the map's largest
---@return Tensor image uint8 [3,H',W']
return function(image, answer, explanation)
    local vision = lx.vision
    local height, width = image.shape[2], image.shape[3]
    image = answer.mask and vision.draw_mask(image, answer.mask, {thickness = 1 + math.min(height, width) // 512})
        or vision.to_rgb(image)
    if answer.boxes then image = with_boxes(image, answer.boxes) end
    if explanation then
        image = explained(image, explanation.map, 1 + height // 512, explanation.most)
        width = image.shape[3]
    end
    local text = answer.boxes and (#answer.boxes > 0 and ("%s: %d found"):format(answer.label, #answer.boxes)
        or answer.label) or ("%s %s"):format(answer.label, rawget(answer, "words")
        or ("%.2f%%"):format(100 * (answer.share or answer.probability)))
    local scale = math.max(1, math.min(width // (vision.text_size(text) + 12), 1 + height // 224))
    local _, line = vision.text_size(text, scale)
    local title = wrap(text, width, scale)
    local small = math.max(1, scale // 2)
    local _, low = vision.text_size(text, small)
    local lines = wrap(NOTICES[1], width, small)
    if #lines * low > height // 3 then lines = wrap(NOTICES[2], width, small) end
    for i, words in ipairs(explanation and wrap(explanation.words, width, small) or {}) do
        table.insert(lines, i, words)
    end
    local above, below = #title * line + 4 * scale, #lines * low + 4 * small
    image = vision.pad(image, {0, above, 0, below})
    for i, words in ipairs(title) do
        image = vision.draw_text(image, 4 * scale, 3 * scale + (i - 1) * line, words,
            {colour = answer.positive and not answer.mask and RED or GREEN, scale = scale})
    end
    for i, words in ipairs(lines) do
        image = vision.draw_text(image, 4 * small, above + height + 2 * small + (i - 1) * low, words, {scale = small})
    end
    return image
end
