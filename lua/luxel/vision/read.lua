--- Image files.

local core = require "luxel.core"

local read = {}

--- Reads an image file (JPEG, PNG, PGM/PPM, BMP). 16-bit files come down to 8 bits.
---@param path string
---@param options {channels: integer?}? 1 (grey, the default) or 3
---@return Tensor? image uint8 [C,H,W]; nil if it cannot be read
---@return table|string info {width, height, channels, bits} of the file, or the message
---@return string? code "io" or "format"
function read.load(path, options)
    return core.load_image(path, options and options.channels or 1)
end

--- What a file says about itself, without its pixels.
---@param path string
---@return {width: integer, height: integer, channels: integer, bits: integer}?, string?, string?
function read.probe(path) return core.probe_image(path) end

--- Writes a PNG; the old file stays until the new one is complete.
---@param path string
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return boolean? ok, string? message, string? code
function read.save(path, image) return core.write_png(path, image) end

return read
