--- Levels of images: histograms, contrast, filters, edges and shapes.
---
--- Images are tensors [H,W], [C,H,W] or [N,C,H,W] on the cpu, each plane by itself; uint8, or float32 on the scale
--- 0..`white` (255 unless said otherwise; 65535 for what a 16-bit file holds).

local core = require "luxel.core"
local geometry = require "luxel.vision.geometry"
local options = require "luxel.data.options"

local enhance = {}

-- The options of a function, `white` among them; errors point at its caller.
local function read(name, opts, defaults)
    defaults.white = 255
    opts = options.read(name, opts, defaults, 4)
    options.check_number(name, "white", opts.white, 1e-6, 1e30, false, 4)
    return opts
end

local function check_share(name, option, share) options.check_number(name, option, share, 0, 1, false, 4) end

--- Histogram equalisation: every level as often as the others, as far as that goes. On uint8 to the bit what OpenCV's
--- equalizeHist gives; float32 is divided into 65,536 levels.
---@param image Tensor
---@param opts? {white: number?}
---@return Tensor
function enhance.equalize(image, opts) return core.equalize(image, read("equalize", opts, {}).white) end

--- Contrast-limited adaptive histogram equalisation (Zuiderveld 1994).
---@param image Tensor
---@param opts? {clip: number?, tiles: integer?, white: number?} clip 2: the most that a level counts, times the mean
---  (0: no limit); tiles 8 each way
---@return Tensor
function enhance.clahe(image, opts)
    opts = read("clahe", opts, {clip = 2, tiles = 8})
    return core.clahe(image, opts.white, opts.clip, opts.tiles)
end

--- white · (level / white) ^ exponent: below 1 brightens, above 1 darkens.
---@param image Tensor
---@param exponent number above 0
---@param opts? {white: number?}
---@return Tensor
function enhance.adjust_gamma(image, exponent, opts)
    return core.gamma(image, read("adjust_gamma", opts, {}).white, exponent)
end

--- Shows a window of levels: centre - width / 2 becomes black, centre + width / 2 white, and what is beyond is cut off.
---@param image Tensor
---@param centre number
---@param width number above 0
---@param opts? {white: number?} of the result
---@return Tensor
function enhance.window(image, centre, width, opts)
    local white = read("window", opts, {}).white
    options.check_number("window", "centre", centre, -1e30, 1e30)
    options.check_number("window", "width", width, 1e-6, 1e30)
    return core.stretch(image, white, centre - width / 2, centre + width / 2)
end

--- The level that a share of all samples is not above; between two samples, between their levels, as NumPy has it.
---@param image Tensor
---@param share number 0..1
---@param opts? {white: number?}
---@return number
function enhance.percentile(image, share, opts)
    check_share("percentile", "share", share)
    return core.percentile(image, read("percentile", opts, {}).white, share)
end

--- Stretches the levels between two percentiles over the whole scale.
---@param image Tensor
---@param opts? {low: number?, high: number?, white: number?} shares, 0.01 and 0.99
---@return Tensor
function enhance.normalize_percentile(image, opts)
    opts = read("normalize_percentile", opts, {low = 0.01, high = 0.99})
    check_share("normalize_percentile", "low", opts.low)
    check_share("normalize_percentile", "high", opts.high)
    return core.normalize_percentile(image, opts.white, opts.low, opts.high)
end

--- How many samples there are of each of `bins` equal parts of the scale.
---@param image Tensor
---@param opts? {bins: integer?, white: number?} 256
---@return integer[]
function enhance.histogram(image, opts)
    opts = read("histogram", opts, {bins = 256})
    return core.histogram(image, opts.white, opts.bins)
end

--- Black becomes white, and white black.
---@param image Tensor
---@param opts? {white: number?}
---@return Tensor
function enhance.invert(image, opts)
    return core.invert(image, read("invert", opts, {}).white)
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
    opts = read("unsharp_mask", opts, {sigma = 1, amount = 1})
    return core.unsharp_mask(image, opts.white, opts.sigma, opts.amount)
end

--- Sobel's derivatives, 3×3.
---@param image Tensor
---@param dx integer order of the derivative across, 0..2
---@param dy integer down
---@return Tensor float32
function enhance.sobel(image, dx, dy) return core.sobel(image, dx, dy) end

--- How steep the picture is: the length of the vector of Sobel's two first derivatives.
---@param image Tensor
---@return Tensor float32
function enhance.sobel_magnitude(image) return core.sobel_magnitude(image) end

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

-- `how` is lx_morph of csrc/image/morphology.h.
local function morphology(name, how, image, size, opts)
    opts = options.read(name, opts, {shape = "rectangle"}, 4)
    local shape = SHAPES[opts.shape]
        or error(("%s: shape expects rectangle, cross or ellipse, got %s"):format(name, tostring(opts.shape)), 3)
    return core.morphology(image, how, shape, size)
end

--- The smallest of the neighbours; what is beyond the edge does not count.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.erode(image, size, opts) return morphology("erode", 0, image, size, opts) end

--- The largest of the neighbours.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.dilate(image, size, opts) return morphology("dilate", 1, image, size, opts) end

--- Eroded, then dilated: without what is smaller than the shape and bright.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.opening(image, size, opts) return morphology("opening", 2, image, size, opts) end

--- Dilated, then eroded: without what is smaller than the shape and dark.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.closing(image, size, opts) return morphology("closing", 3, image, size, opts) end

--- Dilated minus eroded: the outlines.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.morphological_gradient(image, size, opts)
    return morphology("morphological_gradient", 4, image, size, opts)
end

--- What opening takes away: bright and small.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.top_hat(image, size, opts) return morphology("top_hat", 5, image, size, opts) end

--- What closing takes away: dark and small.
---@param image Tensor
---@param size integer odd
---@param opts? {shape: "rectangle"|"cross"|"ellipse"?}
---@return Tensor
function enhance.black_hat(image, size, opts) return morphology("black_hat", 6, image, size, opts) end

--- The level that divides the samples into two classes the best (Otsu 1979); the brighter one is above it.
---@param image Tensor one channel
---@param opts? {white: number?}
---@return number
function enhance.otsu(image, opts) return core.otsu(image, read("otsu", opts, {}).white) end

--- 255 where the image is above the level, else 0.
---@param image Tensor
---@param level number
---@return Tensor uint8
function enhance.threshold(image, level) return core.threshold(image, level) end

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

-- ---- lungs ----------------------------------------------------------------------------------------------------

--- Where both lungs are in a frontal chest radiograph, air being dark, with a margin; without the dark bars that some
--- pictures have at their edges. By levels and groups alone, without a trained model: docs/lungs.md says how good that
--- is. Where nothing is found it is the whole picture but the bars.
---@param image Tensor one image; of colours the first channel is looked at
---@return {x: integer, y: integer, w: integer, h: integer} pixels from the top left
function enhance.find_lungs(image) return core.find_lungs(image) end

--- Cuts out the part with both lungs.
---@param image Tensor one image
---@return Tensor
---@return {x: integer, y: integer, w: integer, h: integer} where it was, in pixels from the top left
function enhance.lung_crop(image)
    local box = core.find_lungs(image)
    return geometry.crop(image, box), box
end

return enhance
