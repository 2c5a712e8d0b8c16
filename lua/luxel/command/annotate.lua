--- A radiograph with its answer in a margin: nothing covers the lungs.

local lx = require "luxel"

local GREEN <const>, RED <const> = {110, 230, 120}, {255, 96, 84}

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

--- The picture with a margin above that says the label, and one below with the notice; the outline of a mask is drawn.
---@param image Tensor uint8 [C,H,W]
---@param answer luxel.Answer
---@return Tensor image uint8 [3,H',W]
return function(image, answer)
    local vision = lx.vision
    local height, width = image.shape[2], image.shape[3]
    image = answer.mask and vision.draw_mask(image, answer.mask, {thickness = 1 + math.min(height, width) // 512})
        or vision.to_rgb(image)
    local text = ("%s %.2f%%"):format(answer.label, 100 * (answer.share or answer.probability))
    local scale = math.max(1, math.min(width // (vision.text_size(text) + 12), 1 + height // 224))
    local _, line = vision.text_size(text, scale)
    local title = wrap(text, width, scale)
    local small = math.max(1, scale // 2)
    local _, low = vision.text_size(text, small)
    local lines = wrap(NOTICES[1], width, small)
    if #lines * low > height // 3 then lines = wrap(NOTICES[2], width, small) end
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
