--- Where pixels are: sizes, turns and warps. Images are tensors [H,W], [C,H,W] or [N,C,H,W], uint8 or float32, on the
--- cpu.
---
--- Pixel (x, y) covers the square from (x, y) to (x+1, y+1); points are in pixels from the top left corner.

local core = require "luxel.core"
local options = require "luxel.data.options"

local geometry = {}

local function sides(image)
    local shape = image.shape
    return shape[#shape - 1], shape[#shape]
end

--- Resizes.
---
--- With antialiasing, shrinking averages every pixel, and results are those of Pillow to one grey level; without,
--- they are those of OpenCV. "area" is the mean of what an output pixel covers, "nearest" copies pixels.
---@param image Tensor
---@param height integer
---@param width integer
---@param opts? {mode: "nearest"|"bilinear"|"bicubic"|"area"|"lanczos"?, antialias: boolean?} bilinear, true
---@return Tensor of the same type, with the last two sizes height and width
function geometry.resize(image, height, width, opts)
    opts = options.read("resize", opts, {mode = "bilinear", antialias = true})
    return core.resize_image(image, height, width, opts.mode, opts.antialias)
end

local WARP <const> = {size = options.UNSET, mode = "bilinear", border = "constant", fill = 0}

-- Warps by a matrix from points of the output to points of the input.
local function warp(image, matrix, opts)
    local height, width = sides(image)
    if opts.size then height, width = opts.size[1], opts.size[2] end
    return core.warp_image(image, matrix, height, width, opts.mode, opts.border, opts.fill)
end

-- The inverse of an affine matrix of six or nine numbers; nine.
local function inverse(m, name)
    local a, b, c, d, e, f, g, h, i = table.unpack(m)
    if #m == 6 then g, h, i = 0, 0, 1 end
    local A, B, C = e * i - f * h, f * g - d * i, d * h - e * g
    local det = a * A + b * B + c * C
    if math.abs(det) < 1e-12 then error(name .. ": the matrix has no inverse", 3) end
    local out = {A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d}
    for k = 1, 9 do out[k] = out[k] / det end
    return out
end

--- Warps by an affine matrix {a, b, c, d, e, f} that takes the point (x, y) of the image to (ax + by + c, dx + ey + f).
---@param image Tensor
---@param matrix number[] six numbers
---@param opts? {size: integer[]?, mode: string?, border: string?, fill: number?} size {height, width} of the result,
---  mode "nearest", "bilinear" or "bicubic"; border "constant" (fill 0), "replicate", "reflect", "reflect101", "wrap"
---@return Tensor
function geometry.warp_affine(image, matrix, opts)
    if type(matrix) ~= "table" or #matrix ~= 6 then error("warp_affine: the matrix expects six numbers", 2) end
    return warp(image, inverse(matrix, "warp_affine"), options.read("warp_affine", opts, WARP))
end

--- Warps by a perspective matrix of nine numbers, rows first, that takes points of the image to where they are seen.
---@param image Tensor
---@param matrix number[] nine numbers
---@param opts? table as of warp_affine
---@return Tensor
function geometry.warp_perspective(image, matrix, opts)
    if type(matrix) ~= "table" or #matrix ~= 9 then error("warp_perspective: the matrix expects nine numbers", 2) end
    local back = inverse(matrix, "warp_perspective")
    if back[7] == 0 and back[8] == 0 then -- affine after all
        for k = 1, 9 do back[k] = back[k] / back[9] end
    end
    return warp(image, back, options.read("warp_perspective", opts, WARP))
end

--- Turns, scales, shears and shifts about the middle, as torchvision's `affine`.
---@param image Tensor
---@param opts {angle: number?, translate: number[]?, scale: number?, shear: number[]?, size: integer[]?, mode: string?,
---  border: string?, fill: number?} angle in degrees (here counter-clockwise), translate {x, y} in pixels, shear {x,
---  y} in degrees
---@return Tensor
function geometry.affine(image, opts)
    opts = options.read("affine", opts, {
        angle = 0, translate = {0, 0}, scale = 1, shear = {0, 0}, size = options.UNSET, mode = "bilinear",
        border = "constant", fill = 0,
    })
    local height, width = sides(image)
    local angle, sx, sy = math.rad(-opts.angle), math.tan(math.rad(opts.shear[1])), math.tan(math.rad(opts.shear[2]))
    local cos, sin = opts.scale * math.cos(angle), opts.scale * math.sin(angle)
    -- first the shear, then the turn
    local a, b = cos - sin * sy, cos * sx - sin
    local d, e = sin + cos * sy, sin * sx + cos
    local cx, cy = width / 2, height / 2
    return warp(image, inverse({
        a, b, cx + opts.translate[1] - a * cx - b * cy, d, e, cy + opts.translate[2] - d * cx - e * cy,
    }, "affine"), opts)
end

--- Turns about the middle, counter-clockwise; with `expand` the result is as large as it must be to hold all.
---@param image Tensor
---@param degrees number
---@param opts? {expand: boolean?, mode: string?, border: string?, fill: number?}
---@return Tensor
function geometry.rotate(image, degrees, opts)
    opts = options.read("rotate", opts, {expand = false, mode = "bilinear", border = "constant", fill = 0})
    local height, width = sides(image)
    local angle = math.rad(degrees)
    local cos, sin = math.cos(angle), math.sin(angle)
    local out_height, out_width = height, width
    if opts.expand then
        out_height = math.ceil(math.abs(width * sin) + math.abs(height * cos) - 1e-6)
        out_width = math.ceil(math.abs(width * cos) + math.abs(height * sin) - 1e-6)
    end
    local cx, cy, ox, oy = width / 2, height / 2, out_width / 2, out_height / 2
    return core.warp_image(image, {
        cos, -sin, cx - cos * ox + sin * oy, sin, cos, cy - sin * ox - cos * oy, 0, 0, 1,
    }, out_height, out_width, opts.mode, opts.border, opts.fill)
end

--- Cuts out a box; what of it is outside the image is filled.
---@param image Tensor
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param opts? {border: string?, fill: number?}
---@return Tensor
function geometry.crop(image, box, opts)
    opts = options.read("crop", opts, {border = "constant", fill = 0})
    local height, width = sides(image)
    return core.pad_image(image, -box.x, -box.y, box.x + box.w - width, box.y + box.h - height, opts.border, opts.fill)
end

--- Cuts out the middle.
---@param image Tensor
---@param height integer
---@param width integer
---@param opts? {border: string?, fill: number?}
---@return Tensor
function geometry.centre_crop(image, height, width, opts)
    local full_height, full_width = sides(image)
    return geometry.crop(image, {x = (full_width - width) // 2, y = (full_height - height) // 2, w = width, h = height},
        opts)
end

--- Adds a border (or, where a number is negative, cuts off).
---@param image Tensor
---@param edges integer|integer[] pixels on every side, or {left, top, right, bottom}
---@param opts? {border: "constant"|"replicate"|"reflect"|"reflect101"|"wrap"?, fill: number?}
---@return Tensor
function geometry.pad(image, edges, opts)
    opts = options.read("pad", opts, {border = "constant", fill = 0})
    if type(edges) == "number" then edges = {edges, edges, edges, edges} end
    return core.pad_image(image, edges[1], edges[2], edges[3], edges[4], opts.border, opts.fill)
end

-- A plain warp by whole pixels.
local function turned(image, matrix, height, width)
    return core.warp_image(image, matrix, height, width, "nearest", "constant", 0)
end

--- Mirrored left to right.
---@param image Tensor
---@return Tensor
function geometry.hflip(image)
    local height, width = sides(image)
    return turned(image, {-1, 0, width, 0, 1, 0, 0, 0, 1}, height, width)
end

--- Mirrored top to bottom.
---@param image Tensor
---@return Tensor
function geometry.vflip(image)
    local height, width = sides(image)
    return turned(image, {1, 0, 0, 0, -1, height, 0, 0, 1}, height, width)
end

--- Turned by quarters, counter-clockwise.
---@param image Tensor
---@param times? integer default 1
---@return Tensor
function geometry.rot90(image, times)
    local height, width = sides(image)
    times = (times or 1) % 4
    if times == 0 then return image:clone() end
    if times == 1 then return turned(image, {0, -1, width, 1, 0, 0, 0, 0, 1}, width, height) end
    if times == 2 then return turned(image, {-1, 0, width, 0, -1, height, 0, 0, 1}, height, width) end
    return turned(image, {0, 1, 0, -1, 0, height, 0, 0, 1}, width, height)
end

return geometry
