--- Where pixels are: sizes, turns and warps. Images are tensors [H,W], [C,H,W] or [N,C,H,W], uint8 or float32, on the
--- cpu.
---
--- Pixel (x, y) covers the square from (x, y) to (x+1, y+1); points are in pixels from the top left corner.

local args = require "luxel.args"
local core = require "luxel.core"

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
---@param options? {mode: "nearest"|"bilinear"|"bicubic"|"area"|"lanczos"?, antialias: boolean?}
---@return Tensor of the same type, with the last two sizes height and width
function geometry.resize(image, height, width, options)
    local opts = args.with_defaults(options, {mode = "bilinear", antialias = true})
    return core.resize_image(image, height, width, opts.mode, opts.antialias)
end

local WARP <const> = {mode = "bilinear", border = "constant", fill = 0}

local MOST_SIDE <const> = core.image_max_side

-- The options with what is left out filled in; bytes take a grey level for what is beyond the edge.
local function read(name, image, options, defaults)
    local opts = args.with_defaults(options, defaults)
    if image.dtype == "uint8" then args.check(name .. ": options: option 'fill'", "number(0..255)", opts.fill) end
    return opts
end

local function check_sides(name, argument, height, width)
    if height < 1 or width < 1 or height > MOST_SIDE or width > MOST_SIDE then
        args.fail("%s: %s: the result would have %s x %s pixels, a side has 1 to %d", name, argument, height, width,
            MOST_SIDE)
    end
end

-- Warps by a matrix from points of the output to points of the input.
local function warp(image, matrix, opts)
    local height, width = sides(image)
    if type(opts.size) == "table" then
        height, width = opts.size[1], opts.size[2]
    elseif opts.size then
        height, width = opts.size, opts.size
    end
    return core.warp_image(image, matrix, height, width, opts.mode, opts.border, opts.fill)
end

-- The inverse of an affine matrix of six or nine numbers; nine.
local function inverse(m, name)
    local a, b, c, d, e, f, g, h, i = table.unpack(m)
    if #m == 6 then g, h, i = 0, 0, 1 end
    local A, B, C = e * i - f * h, f * g - d * i, d * h - e * g
    local det = a * A + b * B + c * C
    if not (math.abs(det) >= 1e-12 and math.abs(det) < math.huge) then
        args.fail("%s: the points cannot be traced back, the matrix has no inverse", name)
    end
    local out = {A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d}
    for k = 1, 9 do out[k] = out[k] / det end
    return out
end

--- Warps by an affine matrix {a, b, c, d, e, f} that takes the point (x, y) of the image to (ax + by + c, dx + ey + f).
---@param image Tensor
---@param matrix number[] six numbers
---@param options? {size: integer[]?, mode: string?, border: string?, fill: number?} size {height, width} of the result,
---  mode "nearest", "bilinear" or "bicubic"; border "constant" (fill 0), "replicate", "reflect", "reflect101", "wrap"
---@return Tensor
function geometry.warp_affine(image, matrix, options)
    if #matrix ~= 6 then args.fail("warp_affine: matrix: expected six numbers, got %d", #matrix) end
    return warp(image, inverse(matrix, "warp_affine: matrix"), read("warp_affine", image, options, WARP))
end

--- Warps by a perspective matrix of nine numbers, rows first, that takes points of the image to where they are seen.
---@param image Tensor
---@param matrix number[] nine numbers
---@param options? table as of warp_affine
---@return Tensor
function geometry.warp_perspective(image, matrix, options)
    if #matrix ~= 9 then args.fail("warp_perspective: matrix: expected nine numbers, got %d", #matrix) end
    local back = inverse(matrix, "warp_perspective: matrix")
    if back[7] == 0 and back[8] == 0 then -- affine after all
        for k = 1, 9 do back[k] = back[k] / back[9] end
    end
    return warp(image, back, read("warp_perspective", image, options, WARP))
end

--- Turns, scales, shears and shifts about the middle, as torchvision's `affine`.
---@param image Tensor
---@param options {angle: number?, translate: number[]?, scale: number?, shear: number[]?, size: integer[]?,
---  mode: string?, border: string?, fill: number?} angle in degrees (here counter-clockwise), translate {x, y} in
---  pixels, shear {x, y} in degrees
---@return Tensor
function geometry.affine(image, options)
    local opts = read("affine", image, options, {
        angle = 0, translate = {0, 0}, scale = 1, shear = {0, 0}, mode = "bilinear", border = "constant", fill = 0,
    })
    for _, name in ipairs {"translate", "shear"} do
        if #opts[name] ~= 2 then args.fail("affine: options: option '%s': expected two numbers {x, y}", name) end
    end
    local height, width = sides(image)
    local angle, sx, sy = math.rad(-opts.angle), math.tan(math.rad(opts.shear[1])), math.tan(math.rad(opts.shear[2]))
    local cos, sin = opts.scale * math.cos(angle), opts.scale * math.sin(angle)
    -- first the shear, then the turn
    local a, b = cos - sin * sy, cos * sx - sin
    local d, e = sin + cos * sy, sin * sx + cos
    local cx, cy = width / 2, height / 2
    return warp(image, inverse({
        a, b, cx + opts.translate[1] - a * cx - b * cy, d, e, cy + opts.translate[2] - d * cx - e * cy,
    }, "affine: options"), opts)
end

--- Turns about the middle, counter-clockwise; with `expand` the result is as large as it must be to hold all.
---@param image Tensor
---@param degrees number
---@param options? {expand: boolean?, mode: string?, border: string?, fill: number?}
---@return Tensor
function geometry.rotate(image, degrees, options)
    local opts = read("rotate", image, options, {expand = false, mode = "bilinear", border = "constant", fill = 0})
    local height, width = sides(image)
    local angle = math.rad(degrees)
    local cos, sin = math.cos(angle), math.sin(angle)
    local out_height, out_width = height, width
    if opts.expand then
        out_height = math.ceil(math.abs(width * sin) + math.abs(height * cos) - 1e-6)
        out_width = math.ceil(math.abs(width * cos) + math.abs(height * sin) - 1e-6)
    end
    check_sides("rotate", "image", out_height, out_width)
    local cx, cy, ox, oy = width / 2, height / 2, out_width / 2, out_height / 2
    return core.warp_image(image, {
        cos, -sin, cx - cos * ox + sin * oy, sin, cos, cy - sin * ox - cos * oy, 0, 0, 1,
    }, out_height, out_width, opts.mode, opts.border, opts.fill)
end

--- Cuts out a box; what of it is outside the image is filled.
---@param image Tensor
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options? {border: string?, fill: number?}
---@return Tensor
function geometry.crop(image, box, options)
    local opts = read("crop", image, options, {border = "constant", fill = 0})
    local height, width = sides(image)
    check_sides("crop", "box", box.h, box.w)
    for name, edge in pairs {x = box.x, y = box.y} do
        if math.abs(edge) > MOST_SIDE - 1 then
            args.fail("crop: box: %s is %s, more than %d pixels from the corner", name, args.describe(edge),
                MOST_SIDE - 1)
        end
    end
    return core.pad_image(image, -box.x, -box.y, box.x + box.w - width, box.y + box.h - height, opts.border, opts.fill)
end

--- Cuts out the middle.
---@param image Tensor
---@param height integer
---@param width integer
---@param options? {border: string?, fill: number?}
---@return Tensor
function geometry.centre_crop(image, height, width, options)
    local opts = read("centre_crop", image, options, {border = "constant", fill = 0})
    local full_height, full_width = sides(image)
    local x, y = (full_width - width) // 2, (full_height - height) // 2
    return core.pad_image(image, -x, -y, x + width - full_width, y + height - full_height, opts.border, opts.fill)
end

--- Adds a border (or, where a number is negative, cuts off).
---@param image Tensor
---@param edges integer|integer[] pixels on every side, or {left, top, right, bottom}
---@param options? {border: "constant"|"replicate"|"reflect"|"reflect101"|"wrap"?, fill: number?}
---@return Tensor
function geometry.pad(image, edges, options)
    local opts = read("pad", image, options, {border = "constant", fill = 0})
    if type(edges) == "number" then edges = {edges, edges, edges, edges} end
    if #edges ~= 4 then
        args.fail("pad: edges: expected a number, or four {left, top, right, bottom}, got %d", #edges)
    end
    local height, width = sides(image)
    check_sides("pad", "edges", height + edges[2] + edges[4], width + edges[1] + edges[3])
    return core.pad_image(image, edges[1], edges[2], edges[3], edges[4], opts.border, opts.fill)
end

-- A plain warp by whole pixels.
local function turned(image, matrix, height, width)
    return core.warp_image(image, matrix, height, width, "nearest", "constant", 0)
end

--- Mirrored left to right.
---@param image Tensor
---@return Tensor of the shape and dtype of the image
function geometry.hflip(image)
    local height, width = sides(image)
    return turned(image, {-1, 0, width, 0, 1, 0, 0, 0, 1}, height, width)
end

--- Mirrored top to bottom.
---@param image Tensor
---@return Tensor of the shape and dtype of the image
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

local BORDER <const> = '"constant"|"replicate"|"reflect"|"reflect101"|"wrap"?'
local EDGE <const> = "border: " .. BORDER .. ", fill: finite?"
local MODE <const> = 'mode: "nearest"|"bilinear"|"bicubic"?, ' .. EDGE

return args.publish("", geometry, {
    resize = "image: image, height: integer(1..16384), width: integer(1..16384), options: "
        .. '{mode: "nearest"|"bilinear"|"bicubic"|"area"|"lanczos"?, antialias: boolean?}?',
    warp_affine = "image: image, matrix: finite[], options: {size: pair(1..16384)?, " .. MODE .. "}?",
    warp_perspective = "image: image, matrix: finite[], options: {size: pair(1..16384)?, " .. MODE .. "}?",
    affine = "image: image, options: {angle: finite?, translate: finite[]?, scale: finite?, shear: finite[]?, "
        .. "size: pair(1..16384)?, " .. MODE .. "}?",
    rotate = "image: image, degrees: finite, options: {expand: boolean?, " .. MODE .. "}?",
    crop = "image: image, box: box, options: {" .. EDGE .. "}?",
    centre_crop = "image: image, height: integer(1..16384), width: integer(1..16384), options: {" .. EDGE .. "}?",
    pad = "image: image, edges: integer(-16384..16384)|integer(-16384..16384)[], options: {" .. EDGE .. "}?",
    hflip = "image: image", vflip = "image: image", rot90 = "image: image, times: integer?",
})
