--- Batches mixed of themselves: mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019).
---
---     for x, y in lx.data.batches(train, {batch = 32, epoch = epoch}) do
---         n = n + 1
---         x, y = lx.data.mixup(x, y, {alpha = 0.2, seed = epoch, index = n})
---
--- Targets become shares, so the loss has to take them: binary_cross_entropy_with_logits does. A missing one, NaN,
--- makes the mixture's missing.

local args = require "luxel.args"
local core = require "luxel.core"
local random = require "luxel.random"

local mix = {}

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

local OPTIONS <const> = "x: tensor, y: tensor, options: {alpha: number(1e-3..1e3)?, seed: integer?, index: integer?}?"

return args.publish("", mix, {mixup = OPTIONS, cutmix = OPTIONS})
