--- Whether a picture is fit to be read as a frontal chest radiograph: exposure, contrast, sharpness, size, and
--- whether it is inverted, turned, lateral, or none at all. It says what to look at; it does not judge what the
--- radiograph shows.

local args = require "luxel.args"
local core = require "luxel.core"
local lateral = require "luxel.vision.lateral"

local quality = {}

-- Limits of levels 0..255, shares and pixels. docs/quality.md says how often good radiographs pass them.
local LIMITS <const> = {
    blank = 4,          -- deviation of the levels
    dark = 40, bright = 225, -- mean level
    contrast = 50,      -- from the 1st to the 99th percentile
    clipped = 0.2,      -- share that is fully white
    blurred = 0.003,    -- variance of the Laplacian over that of the levels, at 256 pixels a side
    small = 128,        -- pixels of the shorter side
}

local SIDE <const>, OTHER <const> = 14, 9

local weights -- read when they are first needed: most programs never ask

-- The shares of the classes: 2 * quarter turns + inverted, then anything else.
local function classify(image)
    weights = weights or require "luxel.vision.quality_weights"
    local pixels = core.to_table(core.resize_image(image, SIDE, SIDE, "area", false))
    while type(pixels[1][1]) == "table" do pixels = pixels[1] end
    local sum, squares, x = 0, 0, {}
    for _, row in ipairs(pixels) do
        for _, level in ipairs(row) do
            x[#x + 1] = level
            sum, squares = sum + level, squares + level * level
        end
    end
    local mean = sum / #x
    local deviation = math.max(1, math.sqrt(math.max(0, squares / #x - mean * mean)))
    local scores, most, total = {}, -math.huge, 0
    for class = 1, OTHER do
        local w = weights[class]
        local score = w.bias / 1000
        for i, level in ipairs(x) do score = score + w[i] / 1000 * (level - mean) / deviation end
        scores[class], most = score, math.max(most, score)
    end
    for class = 1, OTHER do
        scores[class] = math.exp(scores[class] - most)
        total = total + scores[class]
    end
    for class = 1, OTHER do scores[class] = scores[class] / total end
    return scores, weights.limits
end

local function sigmoid(z) return 1 / (1 + math.exp(-z)) end

-- Of radiographs that are upright and not inverted; of others the classifier says nothing that means something.
local function look_for_lateral(image, add)
    local logit, limit = lateral.score(image)
    if logit > limit then
        add("lateral", sigmoid(logit), sigmoid(limit), "it is probably a lateral chest radiograph, not a frontal one "
            .. "(%.0f %%)", 100 * sigmoid(logit))
    end
end

--- The findings of the classifiers: adds "no_chest", "inverted", "rotated" and "lateral", as far as they apply.
---@param image luxel.Tensor [1,H,W] or [H,W]
---@param add fun(code: string, value: number, limit: number, format: string, ...)
function quality.look(image, add)
    local p, limits = classify(image)
    if p[OTHER] > limits.other then
        add("no_chest", p[OTHER], limits.other, "this is probably not a frontal chest radiograph (%.0f %%)",
            100 * p[OTHER])
        return
    end
    local inverted, best, turned = 0, 0, 0
    for quarter = 0, 3 do
        local here = p[2 * quarter + 1] + p[2 * quarter + 2]
        inverted = inverted + p[2 * quarter + 2]
        if quarter > 0 then turned = turned + here end
        if here > p[2 * best + 1] + p[2 * best + 2] then best = quarter end
    end
    if inverted > limits.inverted then
        add("inverted", inverted, limits.inverted, "black and white are probably exchanged (%.0f %%)", 100 * inverted)
    end
    local is_turned = turned > limits.turned and best > 0
    if is_turned then
        add("rotated", turned, limits.turned, "it is probably turned by %d degrees counter-clockwise (%.0f %%)",
            90 * best, 100 * turned)
    end
    if inverted <= limits.inverted and not is_turned then look_for_lateral(image, add) end
end

local function look_at_levels(m, limits, add)
    if m.high - m.low < limits.contrast then
        add("low_contrast", m.high - m.low, limits.contrast, "low contrast: levels from %d to %d of 255", m.low, m.high)
    end
    if m.mean < limits.dark then add("dark", m.mean, limits.dark, "too dark: mean level %.0f of 255", m.mean) end
    if m.mean > limits.bright then
        add("bright", m.mean, limits.bright, "too bright: mean level %.0f of 255", m.mean)
    end
    if m.white > limits.clipped then
        add("clipped", m.white, limits.clipped, "%.0f %% of it are fully white", 100 * m.white)
    end
    if m.sharpness < limits.blurred then
        add("blurred", m.sharpness, limits.blurred, "it is blurred, or was enlarged from a small image")
    end
end

---@class luxel.Finding
---@field code "blank"|"small"|"low_contrast"|"dark"|"bright"|"clipped"|"blurred"|"inverted"|"rotated"|
---  "no_chest"|"lateral"
---@field message string
---@field value number what was measured
---@field limit number

local Findings = {}

function Findings:__tostring()
    local lines = {}
    for i, finding in ipairs(self) do lines[i] = ("%s: %s"):format(finding.code, finding.message) end
    return #lines > 0 and table.concat(lines, "\n") or "nothing speaks against reading it"
end

-- A deeper image of `vision.load` on the scale 0..255: up to the level that is white in its file, or, where its values
-- are units of their own, from the smallest to the largest of them.
local function on_scale(image, info)
    if image.dtype == "uint8" then return image end
    local low, high = 0, info.white
    if not high then low, high = image:min():item(), image:max():item() end
    return (image - low) * (255 / math.max(high - low, 1e-30))
end

--- What speaks against reading a picture as a frontal chest radiograph; an empty list if nothing does.
---@param image Tensor [1,H,W] or [H,W], uint8, or float32 on the scale 0..255
---@param info luxel.ImageInfo? of `vision.load`: then a deeper image may be in its file's units; those of DICOM
---  files are better loaded with bits = 8, which shows them through their window
---@param options? {limits: table<string, number>?} other limits than those above, by name; `info` may be left out
---@return luxel.Finding[]
function quality.quality(image, info, options)
    if info and not options and info.limits then info, options = nil, info end
    if info then image = on_scale(image, info) end
    local limits = args.with_defaults(options and options.limits, LIMITS)
    local findings = setmetatable({}, Findings)
    local function add(code, value, limit, format, ...)
        findings[#findings + 1] = {code = code, value = value, limit = limit, message = format:format(...)}
    end
    local m, shape = core.measure(image), image.shape
    local height, width = shape[#shape - 1], shape[#shape]
    if math.min(height, width) < limits.small then
        add("small", math.min(height, width), limits.small, "it is small: %dx%d pixels", width, height)
    end
    if m.deviation < limits.blank then
        add("blank", m.deviation, limits.blank, "it is blank: levels vary by %.1f of 255", m.deviation)
        return findings
    end
    look_at_levels(m, limits, add)
    quality.look(image, add)
    return findings
end

local OPTIONS <const> = "{limits: {blank: number?, dark: number?, bright: number?, contrast: number?, "
    .. "clipped: number?, blurred: number?, small: number?}?}?"

quality.quality = args.public("quality", "image: grey_image, info: image_info|" .. OPTIONS .. ", options: " .. OPTIONS,
    quality.quality)

return quality
