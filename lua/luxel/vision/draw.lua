--- Drawing on images: uint8 tensors [1,H,W] or [3,H,W].

local args = require "luxel.args"
local core = require "luxel.core"
local enhance = require "luxel.vision.enhance"

local draw = {}

--- The image in three channels, for colours to be drawn on it.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return Tensor uint8 [3,H,W]
function draw.to_rgb(image)
    if image.shape[1] == 3 then return image end
    return core.contiguous(core.expand(image, {3, image.shape[2], image.shape[3]}))
end

--- Writes text; x, y is the top left corner in pixels.
---@param image Tensor uint8 [C,H,W]
---@param x integer
---@param y integer
---@param text string
---@param options {colour: integer[]?, scale: integer?}? colour: default white; scale: default 1
---@return Tensor a new image
function draw.draw_text(image, x, y, text, options)
    options = options or {}
    return core.draw_text(image, x, y, text, options.colour or {255, 255, 255}, options.scale or 1)
end

--- The size of a text in pixels, all of its lines together.
---@param text string
---@param scale integer?
---@return integer width, integer height
function draw.text_size(text, scale) return core.text_size(text, scale or 1) end

--- Fills a rectangle; alpha 1 covers what was there.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, alpha: number?}? colour: default black; alpha: default 1
---@return Tensor a new image
function draw.fill_rect(image, box, options)
    options = options or {}
    return core.fill_rect(image, box.x, box.y, box.w, box.h, options.colour or {0, 0, 0}, options.alpha or 1)
end

--- Outlines a rectangle.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, thickness: integer?}? colour: default yellow; thickness: pixels, default 1
---@return Tensor a new image
function draw.draw_rect(image, box, options)
    options = options or {}
    return core.draw_rect(image, box.x, box.y, box.w, box.h, options.colour or {255, 255, 0}, options.thickness or 1)
end

--- Outlines a mask: the pixels inside it that are near its edge.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param mask Tensor uint8 [H,W] or [1,H,W], not 0 inside
---@param options {colour: integer[]?, thickness: integer?}? colour: default yellow; thickness: pixels, default 1
---@return Tensor a new image, [3,H,W]
function draw.draw_mask(image, mask, options)
    options = options or {}
    local height, width = image.shape[2], image.shape[3]
    if mask.shape[mask.ndim - 1] ~= height or mask.shape[mask.ndim] ~= width then
        args.fail("draw_mask: mask: expected %d x %d pixels, as the image has, got %s", height, width,
            args.describe(mask))
    end
    local inside = core.cast(core.binary("ne", core.reshape(mask, {1, height, width}), 0), "uint8")
    local inner = enhance.erode(inside, 2 * (options.thickness or 1) + 1)
    local colour = core.reshape(core.from_table(options.colour or {255, 255, 0}, "uint8"), {3, 1, 1})
    return core.cast(core.where(core.binary("ne", inside, inner), colour, draw.to_rgb(image)), "uint8")
end

local BOX <const> = "image: picture, box: box, options: {colour: colour?, "

return args.publish("", draw, {
    to_rgb = "image: picture",
    draw_text = "image: picture, x: integer(-16777215..16777215), y: integer(-16777215..16777215), text: string, "
        .. "options: {colour: colour?, scale: integer(1..64)?}?",
    text_size = "text: string, scale: integer(1..64)?",
    draw_mask = "image: picture, mask: mask, options: {colour: colour?, thickness: integer(1..256)?}?",
    fill_rect = BOX .. "alpha: number(0..1)?}?", draw_rect = BOX .. "thickness: integer(1..65536)?}?",
})
