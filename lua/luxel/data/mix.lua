--- Batches mixed of themselves: mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019); of boxes mosaics
--- (Bochkovskiy et al. 2020, "YOLOv4").
---
---     for x, y in lx.data.batches(train, {batch = 32, epoch = epoch}) do
---         n = n + 1
---         x, y = lx.data.mixup(x, y, {alpha = 0.2, seed = epoch, index = n})
---
--- Targets of the first two become shares, so the loss has to take them: binary_cross_entropy_with_logits does. A
--- missing one, NaN, makes the mixture's missing.

local args = require "luxel.args"
local core = require "luxel.core"
local random = require "luxel.random"

local mix = {
    --- Pixels of the network's image below which what is left of a box at an edge is no object any more.
    LEAST_SIDE = 2,
}

-- A number of the gamma distribution (Marsaglia and Tsang, ACM TOMS 2000).
local function gamma(stream, shape)
    if shape < 1 then return gamma(stream, shape + 1) * (1 - stream:uniform(0, 1)) ^ (1 / shape) end
    local d = shape - 1 / 3
    local c = 1 / math.sqrt(9 * d)
    while true do
        local normal = stream:normal()
        local v = (1 + c * normal) ^ 3
        if v > 0 and math.log(1 - stream:uniform(0, 1)) < normal * normal / 2 + d - d * v + d * math.log(v) then
            return d * v
        end
    end
end

local DEFAULTS <const> = {alpha = 0.2, seed = 1, index = 1}

-- The share of each image that stays, the stream it was drawn from, and the partners' places.
local function draw(name, x, y, options)
    local opts = args.with_defaults(options, DEFAULTS)
    local shape = x.shape
    if #shape ~= 4 then args.fail("%s: x: expected images [N,C,H,W], got %s", name, args.describe(x)) end
    if y.shape[1] ~= shape[1] or y.device ~= x.device then
        args.fail("%s: y: expected as many targets as there are images, %d on %s, got %s on %s", name, shape[1],
            x.device, args.describe(y), y.device)
    end
    if shape[1] == 0 then args.fail("%s: x: there are no images", name) end
    local stream = random.stream(opts.seed, opts.index)
    local a, b = gamma(stream, opts.alpha), gamma(stream, opts.alpha)
    local partners = core.from_table(stream:permutation(shape[1]), "int32", x.device)
    return a + b > 0 and a / (a + b) or 0.5, stream, partners
end

local function blend(a, partners, share)
    return a:float() * share + a:float():index_select(1, partners) * (1 - share)
end

--- Each image and target becomes share · itself + (1 - share) · another one's of the batch; the share is drawn from
--- Beta(alpha, alpha), once for the batch.
---@param x Tensor [N,C,H,W]
---@param y Tensor [N,...]
---@param options? {alpha: number?, seed: integer?, index: integer?} alpha: default 0.2; seed, index: name what is
--- drawn, default 1
---@return Tensor x, Tensor y, number share
function mix.mixup(x, y, options)
    local share, _, partners = draw("mixup", x, y, options)
    return blend(x, partners, share), blend(y, partners, share), share
end

--- A rectangle of each image is taken from another one of the batch, and the target mixed by the areas; its place is
--- drawn evenly, its area so that Beta(alpha, alpha) stays.
---@param x Tensor [N,C,H,W]
---@param y Tensor [N,...]
---@param options? {alpha: number?, seed: integer?, index: integer?} alpha: default 0.2; seed, index: name what is
--- drawn, default 1
---@return Tensor x, Tensor y, number share
function mix.cutmix(x, y, options)
    local share, stream, partners = draw("cutmix", x, y, options)
    local height, width = x.shape[3], x.shape[4]
    local side = math.sqrt(1 - share)
    local function range(size)
        local middle, half = stream:uniform(0, size), side * size / 2
        return math.max(0, math.floor(middle - half + 0.5)), math.min(size, math.floor(middle + half + 0.5))
    end
    local top, bottom = range(height)
    local left, right = range(width)
    local out, area = x:clone(), (bottom - top) * (right - left)
    if area > 0 then
        local function part(t) return t:narrow(3, top + 1, bottom - top):narrow(4, left + 1, right - left) end
        part(out):copy_(part(x:index_select(1, partners)))
    end
    share = 1 - area / (height * width)
    return out, blend(y, partners, share), share
end

-- ---- mosaics ------------------------------------------------------------------------------------------------------

-- Fractions of float32 come back as pixels that are a little off.
local ROUNDING <const> = 1e-3

-- What is left of an object in a window, in pixels of the mosaic; nil where that is too little.
local function in_window(box, window, height, width, keep)
    local w, h = box[3] * width, box[4] * height
    local x, y = box[1] * width - w / 2 - window.from_x, box[2] * height - h / 2 - window.from_y
    local left, top = math.max(x, 0), math.max(y, 0)
    local right, bottom = math.min(x + w, window.w), math.min(y + h, window.h)
    local across, down = right - left, bottom - top
    if math.min(across, down) < mix.LEAST_SIDE - ROUNDING or across * down < (keep - ROUNDING) * w * h then
        return nil
    end
    return {
        (window.x + (left + right) / 2) / width, (window.y + (top + bottom) / 2) / height, across / width,
        down / height, box[5],
    }
end

-- The four windows around a place: where each is in the mosaic, and where in its image.
local function windows_of(stream, place, count, height, width)
    local function middle(side) return (side + 3) // 4 - 1 + stream:integer(3 * side // 4 - (side + 3) // 4 + 1) end
    local down, across = middle(height), middle(width)
    local windows = {}
    for k = 0, 3 do
        local right, below = k % 2 == 1, k >= 2
        local w, h = right and width - across or across, below and height - down or down
        windows[k + 1] = {
            image = k == 0 and place or stream:integer(count), x = right and across or 0, y = below and down or 0,
            w = w, h = h, from_x = stream:integer(width - w + 1) - 1, from_y = stream:integer(height - h + 1) - 1,
        }
    end
    return windows
end

--- Mosaics: an image becomes four windows around a place that is drawn evenly from the middle half of both sides, the
--- first one of itself, the others of images of the batch that are drawn (it may be among them); each shows a part of
--- its image, drawn evenly, at its own scale. Objects go along, cut off at the edges of their window; what is left with
--- a side below 2 pixels, or with less than `keep` of its area, is dropped. A mosaic with a window of an image of which
--- nothing is known (NaN) is one of which nothing is known.
---@param x Tensor [N,C,H,W], sides of at least 4 pixels
---@param y Tensor [N,T,5] on the cpu, as `lx.data.batches` gives it: centre and size as fractions of the image, class
---@param options? {share: number?, keep: number?, seed: integer?, index: integer?} share: chance of an image to become
---  a mosaic, default 1; keep: default 0.3; seed, index: name what is drawn, default 1
---@return Tensor x, Tensor y
function mix.mosaic(x, y, options)
    local opts = args.with_defaults(options, {share = 1, keep = 0.3, seed = 1, index = 1})
    local shape = x.shape
    if #shape ~= 4 or shape[1] == 0 or shape[3] < 4 or shape[4] < 4 then
        args.fail("mosaic: x: expected images [N,C,H,W] with sides of at least 4 pixels, got %s", args.describe(x))
    elseif y.ndim ~= 3 or y.shape[1] ~= shape[1] or y.shape[3] ~= 5 or y.device ~= "cpu" then
        args.fail("mosaic: y: expected the objects [%d,T,5] of as many images, on the cpu, got %s on %s", shape[1],
            args.describe(y), y.device)
    end
    local count, height, width = shape[1], shape[3], shape[4]
    local truth, out, rows, most = y:totable(), x:detach():clone(), {}, 1
    for i = 1, count do
        local stream = random.stream(opts.seed, opts.index, i)
        local known, list = true, {}
        if stream:uniform(0, 1) < opts.share then
            for _, window in ipairs(windows_of(stream, i, count, height, width)) do
                local function part(t, image, top, left)
                    return t:narrow(1, image, 1):narrow(3, top + 1, window.h):narrow(4, left + 1, window.w)
                end
                part(out, i, window.y, window.x):copy_(part(x, window.image, window.from_y, window.from_x))
                for _, box in ipairs(truth[window.image]) do
                    known = known and box[1] == box[1]
                    list[#list + 1] = box[5] > 0 and in_window(box, window, height, width, opts.keep) or nil
                end
            end
        else
            for _, box in ipairs(truth[i]) do
                known = known and box[1] == box[1]
                list[#list + 1] = box[5] > 0 and box or nil
            end
        end
        rows[i], most = {known = known, list = list}, math.max(most, #list)
    end
    for i, row in ipairs(rows) do
        local nothing = row.known and 0 or 0 / 0
        local list = row.known and row.list or {}
        for k = #list + 1, most do list[k] = {nothing, nothing, nothing, nothing, nothing} end
        rows[i] = list
    end
    return out, core.from_table(rows, "float32")
end

local OPTIONS <const> = "x: tensor, y: tensor, options: {alpha: number(1e-3..1e3)?, seed: integer?, index: integer?}?"

return args.publish("", mix, {
    mixup = OPTIONS, cutmix = OPTIONS, mosaic = "x: tensor, y: tensor, options: {share: number(0..1)?, "
        .. "keep: number(0..1)?, seed: integer?, index: integer?}?",
})
