--- Levels of images: histograms, contrast, filters, edges and shapes.
---
--- Images are tensors [H,W], [C,H,W] or [N,C,H,W] on the cpu, each plane by itself; uint8, or float32 on the scale
--- 0..`white` (255 unless said otherwise; 65535 for what a 16-bit file holds).

local core = require "luxel.core"
local options = require "luxel.data.options"

local enhance = {}

local WHITE <const> = {white = 255}

-- A function of an image and `white` alone.
local function white_of(name, opts) return options.read(name, opts, WHITE, 4).white end

--- Histogram equalisation: every level as often as the others, as far as that goes. On uint8 to the bit what OpenCV's
--- equalizeHist gives; float32 is divided into 65,536 levels.
---@param image Tensor
---@param opts? {white: number?}
---@return Tensor
function enhance.equalize(image, opts) return core.equalize(image, white_of("equalize", opts)) end

--- Contrast-limited adaptive histogram equalisation (Zuiderveld 1994).
---@param image Tensor
---@param opts? {clip: number?, tiles: integer?, white: number?} clip 2: the most that a level counts, times the mean
---  (0: no limit); tiles 8 each way
---@return Tensor
function enhance.clahe(image, opts)
    opts = options.read("clahe", opts, {clip = 2, tiles = 8, white = 255})
    return core.clahe(image, opts.white, opts.clip, opts.tiles)
end

--- white · (level / white) ^ exponent: below 1 brightens, above 1 darkens.
---@param image Tensor
---@param exponent number above 0
---@param opts? {white: number?}
---@return Tensor
function enhance.adjust_gamma(image, exponent, opts)
    return core.gamma(image, white_of("adjust_gamma", opts), exponent)
end

--- Shows a window of levels: centre - width / 2 becomes black, centre + width / 2 white, and what is beyond is cut off.
---@param image Tensor
---@param centre number
---@param width number above 0
---@param opts? {white: number?} of the result
---@return Tensor
function enhance.window(image, centre, width, opts)
    if not (type(width) == "number" and width > 0) then error("window: width expects a number above 0", 2) end
    return core.stretch(image, white_of("window", opts), centre - width / 2, centre + width / 2)
end

--- The level below which a share of all samples lies.
---@param image Tensor
---@param share number 0..1
---@param opts? {white: number?}
---@return number
function enhance.percentile(image, share, opts)
    if not (type(share) == "number" and share >= 0 and share <= 1) then
        error(("percentile: share expects a number from 0 to 1, got %s"):format(tostring(share)), 2)
    end
    return core.percentile(image, white_of("percentile", opts), share)
end

--- Stretches the levels between two percentiles over the whole scale.
---@param image Tensor
---@param opts? {low: number?, high: number?, white: number?} shares, 0.01 and 0.99
---@return Tensor
function enhance.normalize_percentile(image, opts)
    opts = options.read("normalize_percentile", opts, {low = 0.01, high = 0.99, white = 255})
    local white = opts.white
    return core.stretch(image, white, core.percentile(image, white, opts.low), core.percentile(image, white, opts.high))
end

--- How many samples there are of each of `bins` equal parts of the scale.
---@param image Tensor
---@param opts? {bins: integer?, white: number?} 256
---@return integer[]
function enhance.histogram(image, opts)
    opts = options.read("histogram", opts, {bins = 256, white = 255})
    return core.histogram(image, opts.white, opts.bins)
end

--- Black becomes white, and white black.
---@param image Tensor
---@param opts? {white: number?}
---@return Tensor
function enhance.invert(image, opts)
    local white = white_of("invert", opts)
    return core.cast(core.binary("sub", white, image), image.dtype)
end

-- ---- filters --------------------------------------------------------------------------------------------------

--- Smooths with a Gaussian.
---@param image Tensor
---@param sigma number pixels
---@return Tensor
function enhance.gaussian_blur(image, sigma) return core.gaussian_blur(image, sigma) end

--- The mean of size × size samples.
---@param image Tensor
---@param size integer odd
---@return Tensor
function enhance.box_blur(image, size) return core.box_blur(image, size) end

--- The median of size × size samples: takes specks away and keeps edges.
---@param image Tensor
---@param size integer odd
---@return Tensor
function enhance.median_blur(image, size) return core.median_blur(image, size) end

--- Smooths what is alike and keeps edges (Tomasi and Manduchi 1998).
---@param image Tensor
---@param radius integer pixels
---@param level number deviation in levels
---@param space number deviation in pixels
---@return Tensor
function enhance.bilateral_filter(image, radius, level, space)
    return core.bilateral_filter(image, radius, level, space)
end

--- Sharpens: adds `amount` times what a Gaussian takes away.
---@param image Tensor
---@param opts? {sigma: number?, amount: number?, white: number?} sigma 1 pixel, amount 1
---@return Tensor
function enhance.unsharp_mask(image, opts)
    opts = options.read("unsharp_mask", opts, {sigma = 1, amount = 1, white = 255})
    return core.unsharp_mask(image, opts.white, opts.sigma, opts.amount)
end

--- Sobel's derivatives, 3×3.
---@param image Tensor
---@param dx integer order of the derivative across, 0..2
---@param dy integer down
---@return Tensor float32
function enhance.sobel(image, dx, dy) return core.sobel(image, dx, dy) end

--- The sum of the second derivatives.
---@param image Tensor
---@return Tensor float32
function enhance.laplacian(image) return core.laplacian(image) end

--- Edges (Canny 1986): 255 where the gradient is a ridge above `high`, or above `low` and connected to such a one.
---@param image Tensor uint8
---@param low number
---@param high number
---@return Tensor uint8, 0 or 255
function enhance.canny(image, low, high) return core.canny(image, low, high) end

-- ---- shapes ---------------------------------------------------------------------------------------------------

local SHAPES <const> = {rectangle = 0, cross = 1, ellipse = 2}

local function shape_of(name, opts)
    opts = options.read(name, opts, {shape = "rectangle"}, 4)
    return SHAPES[opts.shape] or error(name .. ": shape expects rectangle, cross or ellipse", 3)
end

--- The smallest of the neighbours.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.erode(image, size, opts) return core.erode(image, shape_of("erode", opts), size) end

--- The largest of the neighbours.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.dilate(image, size, opts) return core.dilate(image, shape_of("dilate", opts), size) end

--- Eroded, then dilated: without what is smaller than the shape and bright.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.opening(image, size, opts)
    local shape = shape_of("opening", opts)
    return core.dilate(core.erode(image, shape, size), shape, size)
end

--- Dilated, then eroded: without what is smaller than the shape and dark.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.closing(image, size, opts)
    local shape = shape_of("closing", opts)
    return core.erode(core.dilate(image, shape, size), shape, size)
end

-- a - b in the type of the image; never below 0 where it is used.
local function difference(a, b) return core.cast(core.binary("sub", a, b), a.dtype) end

--- Dilated minus eroded: the outlines.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.morphological_gradient(image, size, opts)
    local shape = shape_of("morphological_gradient", opts)
    return difference(core.dilate(image, shape, size), core.erode(image, shape, size))
end

--- What opening takes away: bright and small.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.top_hat(image, size, opts) return difference(image, enhance.opening(image, size, opts)) end

--- What closing takes away: dark and small.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.black_hat(image, size, opts) return difference(enhance.closing(image, size, opts), image) end

--- The level that divides the samples into two classes the best (Otsu 1979); the brighter one is above it.
---@param image Tensor one channel
---@param opts? {white: number?}
---@return number
function enhance.otsu(image, opts) return core.otsu(image, white_of("otsu", opts)) end

--- 255 where the image is above the level, else 0.
---@param image Tensor
---@param level number
---@return Tensor uint8
function enhance.threshold(image, level)
    return core.cast(core.binary("mul", core.binary("gt", image, level), 255), "uint8")
end

--- Numbers what is not 0 and hangs together: 1, 2, ... as rows from the top meet it, 0 for the rest.
---@param image Tensor one channel
---@param opts? {diagonal: boolean?} whether over corners too, true
---@return Tensor labels int32 [H,W]
---@return {area: integer, x: integer, y: integer, w: integer, h: integer, cx: number, cy: number}[] for each: pixels,
---  box, and centroid in pixels from the top left corner
function enhance.connected_components(image, opts)
    opts = options.read("connected_components", opts, {diagonal = true})
    return core.connected_components(image, opts.diagonal)
end

return enhance
