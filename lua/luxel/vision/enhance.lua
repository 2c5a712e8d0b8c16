--- Levels of images: histograms, contrast, filters, edges and shapes.
---
--- Images are tensors [H,W], [C,H,W] or [N,C,H,W] on the cpu, each plane by itself; uint8, or float32 on the scale
--- 0..`white` (255 unless said otherwise; 65535 for what a 16-bit file holds).

local args = require "luxel.args"
local core = require "luxel.core"
local geometry = require "luxel.vision.geometry"

local enhance = {}

local function white_of(options) return options and options.white or 255 end

--- Histogram equalisation: every level as often as the others, as far as that goes. On uint8 to the bit what OpenCV's
--- equalizeHist gives; float32 is divided into 65,536 levels.
---@param image Tensor
---@param options? {white: number?} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function enhance.equalize(image, options) return core.equalize(image, white_of(options)) end

--- Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), counted in 256 levels whatever the dtype: on
--- uint8 to the bit what OpenCV's CLAHE gives, and on float32 the same but finer, between those levels by straight
--- lines. (OpenCV counts 16 bits in 65,536 levels, where the limit does nothing.)
---@param image Tensor
---@param options? {clip: number?, tiles: integer?, white: number?} clip: the most that a level counts, times the mean,
---  0 for no limit; tiles: each way
---@return Tensor of the shape and dtype of the image
function enhance.clahe(image, options)
    local opts = args.with_defaults(options, {clip = 2, tiles = 8, white = 255})
    return core.clahe(image, opts.white, opts.clip, opts.tiles)
end

--- white · (level / white) ^ exponent: below 1 brightens, above 1 darkens.
---@param image Tensor
---@param exponent number above 0
---@param options? {white: number?} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function enhance.adjust_gamma(image, exponent, options)
    return core.gamma(image, white_of(options), exponent)
end

--- Shows a window of levels: centre - width / 2 becomes black, centre + width / 2 white, and what is beyond is cut off.
---@param image Tensor
---@param centre number
---@param width number above 0
---@param options? {white: number?} white: of the result, default 255
---@return Tensor of the shape and dtype of the image
function enhance.window(image, centre, width, options)
    return core.stretch(image, white_of(options), centre - width / 2, centre + width / 2)
end

--- The level that a share of all samples is not above; between two samples, between their levels, as NumPy has it.
---@param image Tensor
---@param share number 0..1
---@param options? {white: number?} white: the level that is white, default 255
---@return number
function enhance.percentile(image, share, options)
    return core.percentile(image, white_of(options), share)
end

--- Stretches the levels between two percentiles over the whole scale.
---@param image Tensor
---@param options? {low: number?, high: number?, white: number?} low, high: shares
---@return Tensor of the shape and dtype of the image
function enhance.normalize_percentile(image, options)
    local opts = args.with_defaults(options, {low = 0.01, high = 0.99, white = 255})
    if opts.low >= opts.high then
        args.fail("normalize_percentile: options: low %g should be below high %g", opts.low, opts.high)
    end
    return core.normalize_percentile(image, opts.white, opts.low, opts.high)
end

--- How many samples there are of each of `bins` equal parts of the scale.
---@param image Tensor
---@param options? {bins: integer?, white: number?} bins: default 256; white: default 255
---@return integer[]
function enhance.histogram(image, options)
    return core.histogram(image, white_of(options), math.tointeger(options and options.bins or 256))
end

--- Black becomes white, and white black.
---@param image Tensor
---@param options? {white: number?} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function enhance.invert(image, options) return core.invert(image, white_of(options)) end

-- ---- filters --------------------------------------------------------------------------------------------------

--- Smooths with a Gaussian.
---@param image Tensor
---@param sigma number pixels
---@return Tensor of the shape and dtype of the image
function enhance.gaussian_blur(image, sigma) return core.gaussian_blur(image, sigma) end

--- The mean of size × size samples.
---@param image Tensor
---@param size integer odd
---@return Tensor of the shape and dtype of the image
function enhance.box_blur(image, size) return core.box_blur(image, size) end

--- The median of size × size samples: takes specks away and keeps edges.
---@param image Tensor
---@param size integer odd
---@return Tensor of the shape and dtype of the image
function enhance.median_blur(image, size) return core.median_blur(image, size) end

--- Smooths what is alike and keeps edges (Tomasi and Manduchi 1998).
---@param image Tensor
---@param radius integer pixels
---@param level number deviation in levels
---@param space number deviation in pixels
---@return Tensor of the shape and dtype of the image
function enhance.bilateral_filter(image, radius, level, space)
    return core.bilateral_filter(image, radius, level, space)
end

--- Sharpens: adds `amount` times what a Gaussian takes away.
---@param image Tensor
---@param options? {sigma: number?, amount: number?, white: number?} sigma: pixels
---@return Tensor of the shape and dtype of the image
function enhance.unsharp_mask(image, options)
    local opts = args.with_defaults(options, {sigma = 1, amount = 1, white = 255})
    return core.unsharp_mask(image, opts.white, opts.sigma, opts.amount)
end

--- Sobel's derivatives, 3×3.
---@param image Tensor
---@param dx integer order of the derivative across, 0..2
---@param dy integer down
---@return Tensor float32
function enhance.sobel(image, dx, dy)
    if dx == 0 and dy == 0 then args.fail("sobel: dy: expected 1 or 2 where dx is 0, got 0") end
    return core.sobel(image, dx, dy)
end

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
function enhance.canny(image, low, high)
    if image.dtype ~= "uint8" then
        args.fail("canny: image: expected an image of bytes, got %s", args.describe(image))
    end
    if low > high then args.fail("canny: low: expected at most high, which is %g, got %g", high, low) end
    return core.canny(image, low, high)
end

-- ---- shapes ---------------------------------------------------------------------------------------------------

local SHAPES <const> = {rectangle = 0, cross = 1, ellipse = 2}

-- `how` is lx_morph of csrc/image/morphology.h.
local function morphology(how)
    return function(image, size, options)
        return core.morphology(image, how, SHAPES[options and options.shape or "rectangle"], size)
    end
end

--- The smallest of the neighbours; what is beyond the edge does not count.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.erode = morphology(0)

--- The largest of the neighbours.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.dilate = morphology(1)

--- Eroded, then dilated: without what is smaller than the shape and bright.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.opening = morphology(2)

--- Dilated, then eroded: without what is smaller than the shape and dark.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.closing = morphology(3)

--- Dilated minus eroded: the outlines.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.morphological_gradient = morphology(4)

--- The image less its opening: what is bright and small.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.top_hat = morphology(5)

--- The closing less the image: what is dark and small.
---@param image Tensor
---@param size integer odd
---@param options? {shape: "rectangle"|"cross"|"ellipse"?} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
enhance.black_hat = morphology(6)

--- The level that divides the samples into two classes the best (Otsu 1979); the brighter one is above it.
---@param image Tensor one channel
---@param options? {white: number?} white: the level that is white, default 255
---@return number
function enhance.otsu(image, options) return core.otsu(image, white_of(options)) end

--- 255 where the image is above the level, else 0.
---@param image Tensor
---@param level number
---@return Tensor uint8
function enhance.threshold(image, level) return core.threshold(image, level) end

--- Numbers the connected components of what is not 0: 1, 2, ... as rows from the top meet them, 0 for the rest.
---@param image Tensor one channel
---@param options? {diagonal: boolean?} diagonal: whether over corners too, default true
---@return Tensor labels int32 [H,W]
---@return {area: integer, x: integer, y: integer, w: integer, h: integer, cx: number, cy: number}[] for each: pixels,
---  box, and centroid in pixels from the top left corner
function enhance.connected_components(image, options)
    return core.connected_components(image, not options or options.diagonal ~= false)
end

--- The smallest box around what a mask shows, with a margin. Specks are left out: components of less than `least` of
--- the largest one's pixels.
---@param mask Tensor uint8, one channel; not 0 is inside
---@param options? {margin: number?, least: number?} margin: share of the box's sides that is added on each side, as far
---  as there is picture, default 0.05; least: default 0.1
---@return {x: integer, y: integer, w: integer, h: integer}? box pixels from the top left; nil where the mask is empty
function enhance.mask_box(mask, options)
    local _, found = enhance.connected_components(mask)
    local margin, least = options and options.margin or 0.05, options and options.least or 0.1
    local largest, left, top, right, bottom = 0, math.huge, math.huge, 0, 0
    for _, part in ipairs(found) do largest = math.max(largest, part.area) end
    for _, part in ipairs(found) do
        if part.area >= least * largest then
            left, top = math.min(left, part.x), math.min(top, part.y)
            right, bottom = math.max(right, part.x + part.w), math.max(bottom, part.y + part.h)
        end
    end
    if largest == 0 then return nil end
    local height, width = mask.shape[#mask.shape - 1], mask.shape[#mask.shape]
    local across, down = math.ceil(margin * (right - left)), math.ceil(margin * (bottom - top))
    left, top = math.max(left - across, 0), math.max(top - down, 0)
    return {
        x = left, y = top, w = math.min(right + across, width) - left, h = math.min(bottom + down, height) - top,
    }
end

-- ---- lungs ----------------------------------------------------------------------------------------------------

--- Where both lungs are in a frontal chest radiograph, air being dark, with a margin; without the dark bars that some
--- pictures have at their edges. By levels and groups alone, without a trained model: docs/lungs.md says how good that
--- is. Where nothing is found it is the whole picture but the bars.
---@param image Tensor one image; of colours the first channel is looked at
---@return {x: integer, y: integer, w: integer, h: integer} pixels from the top left
function enhance.find_lungs(image) return core.find_lungs({image})[1] end

--- Cuts out the part with both lungs.
---@param image Tensor one image
---@return Tensor
---@return {x: integer, y: integer, w: integer, h: integer} where it was, in pixels from the top left
function enhance.lung_crop(image)
    local box = enhance.find_lungs(image)
    return geometry.crop(image, box), box
end

-- ---- text -----------------------------------------------------------------------------------------------------

--- Text and markers on a radiograph, burned in or laid on it when it was taken: letters for the side, times, names of
--- devices. Small, bright groups with sharp edges in the outer parts of the picture, those of a line as one; by levels
--- and groups alone, without a trained model, so that now and then a bone is among them: docs/shortcuts.md.
---@param image Tensor one channel, of levels 0..255
---@return {x: integer, y: integer, w: integer, h: integer, contrast: number}[] boxes in pixels from the top left, at
---  most 16, in the order of rows; contrast: levels above what is around it
function enhance.find_markers(image) return core.find_markers(image) end

local WHITE <const> = "options: {white: positive?}?"
local MORPHOLOGY <const> = 'image: image, size: odd(1..1023), options: {shape: "rectangle"|"cross"|"ellipse"?}?'

return args.publish("", enhance, {
    equalize = "image: image, " .. WHITE, invert = "image: image, " .. WHITE, otsu = "image: grey_image, " .. WHITE,
    clahe = "image: image, options: {clip: number(0..)?, tiles: integer(1..64)?, white: positive?}?",
    adjust_gamma = "image: image, exponent: positive, " .. WHITE,
    window = "image: image, centre: finite, width: positive, " .. WHITE,
    percentile = "image: image, share: number(0..1), " .. WHITE,
    normalize_percentile = "image: image, options: {low: number(0..1)?, high: number(0..1)?, white: positive?}?",
    histogram = "image: image, options: {bins: integer(1..65536)?, white: positive?}?",
    gaussian_blur = "image: image, sigma: number(1e-3..100)", box_blur = "image: image, size: odd(1..1023)",
    median_blur = "image: image, size: odd(1..255)",
    bilateral_filter = "image: image, radius: integer(1..64), level: positive, space: positive",
    unsharp_mask = "image: image, options: {sigma: number(1e-3..100)?, amount: finite?, white: positive?}?",
    sobel = "image: image, dx: integer(0..2), dy: integer(0..2)", sobel_magnitude = "image: image",
    laplacian = "image: image", canny = "image: image, low: number(0..1e30), high: number(0..1e30)",
    erode = MORPHOLOGY, dilate = MORPHOLOGY, opening = MORPHOLOGY, closing = MORPHOLOGY,
    morphological_gradient = MORPHOLOGY, top_hat = MORPHOLOGY, black_hat = MORPHOLOGY,
    threshold = "image: image, level: finite",
    connected_components = "image: grey_image, options: {diagonal: boolean?}?",
    mask_box = "mask: grey_image, options: {margin: number(0..1)?, least: number(0..1)?}?",
    find_lungs = "image: single_image", find_markers = "image: grey_image", lung_crop = "image: single_image",
})
