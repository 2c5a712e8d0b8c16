--- Images: reading, writing, resizing, and drawing on them. An image is a uint8 tensor [1,H,W] or [3,H,W].

local core = require "luxel.core"

local vision = {}

--- Reads an image file (JPEG, PNG, PGM/PPM, BMP). 16-bit files come down to 8 bits.
---@param path string
---@param options {channels: integer?}? 1 (grey, the default) or 3
---@return Tensor? image uint8 [C,H,W]; nil if it cannot be read
---@return table|string info {width, height, channels, bits} of the file, or the message
---@return string? code "io" or "format"
function vision.load(path, options)
    return core.load_image(path, options and options.channels or 1)
end

--- What a file says about itself, without its pixels.
---@param path string
---@return {width: integer, height: integer, channels: integer, bits: integer}?, string?, string?
function vision.probe(path) return core.probe_image(path) end

--- Writes a PNG; the old file stays until the new one is complete.
---@param path string
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return boolean? ok, string? message, string? code
function vision.save(path, image) return core.write_png(path, image) end

--- Resizes with an antialiasing triangle filter.
---@param image Tensor uint8 [C,H,W]
---@param height integer
---@param width integer
---@return Tensor uint8 [C,height,width]
function vision.resize(image, height, width) return core.resize_image(image, height, width) end

--- The image in three channels, for colours to be drawn on it.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return Tensor uint8 [3,H,W]
function vision.to_rgb(image)
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
function vision.draw_text(image, x, y, text, options)
    options = options or {}
    return core.draw_text(image, x, y, text, options.colour or {255, 255, 255}, options.scale or 1)
end

--- The size of a text in pixels.
---@param text string
---@param scale integer?
---@return integer width, integer height
function vision.text_size(text, scale) return core.text_size(text, scale or 1) end

--- Fills a rectangle; alpha 1 covers what was there.
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, alpha: number?}?
---@return Tensor a new image
function vision.fill_rect(image, box, options)
    options = options or {}
    return core.fill_rect(image, box.x, box.y, box.w, box.h, options.colour or {0, 0, 0}, options.alpha or 1)
end

--- Outlines a rectangle.
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options {colour: integer[]?, thickness: integer?}?
---@return Tensor a new image
function vision.draw_rect(image, box, options)
    options = options or {}
    return core.draw_rect(image, box.x, box.y, box.w, box.h, options.colour or {255, 255, 0}, options.thickness or 1)
end

return vision
