--- Drawing on images: uint8 tensors [1,H,W] or [3,H,W].

local core = require "luxel.core"

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
---@param options {colour: integer[]?, scale: integer?}? white and 1 by default
---@return Tensor a new image
function draw.draw_text(image, x, y, text, options)
    options = options or {}
    return core.draw_text(image, x, y, text, options.colour or {255, 255, 255}, options.scale or 1)
end

--- The size of a text in pixels.
---@param text string
---@param scale integer?
---@return integer width, integer height
function draw.text_size(text, scale) return core.text_size(text, scale or 1) end

--- Fills a rectangle; alpha 1 covers what was there.
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, alpha: number?}?
---@return Tensor a new image
function draw.fill_rect(image, box, options)
    options = options or {}
    return core.fill_rect(image, box.x, box.y, box.w, box.h, options.colour or {0, 0, 0}, options.alpha or 1)
end

--- Outlines a rectangle.
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, thickness: integer?}?
---@return Tensor a new image
function draw.draw_rect(image, box, options)
    options = options or {}
    return core.draw_rect(image, box.x, box.y, box.w, box.h, options.colour or {255, 255, 0}, options.thickness or 1)
end

return draw
