--- Boxes: overlaps, their losses, suppression of what is found twice, what a region layer says, anchors.
--
-- Boxes are float32 [K,4], each its corners {x1, y1, x2, y2} in any unit, x to the right and y down; a box whose second
-- corner is not beyond the first has no area, and overlaps nothing.

local args = require "luxel.args"
local check = require "luxel.nn.check"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local random = require "luxel.random"

local boxes = {}

local TINY <const> = 1e-12
local SMALLEST <const> = 2.0 ^ -126 -- the smallest normal number

-- ---- forms ----------------------------------------------------------------------------------------------------

local function columns(b)
    local last = b.ndim
    return b:narrow(last, 1, 1), b:narrow(last, 2, 1), b:narrow(last, 3, 1), b:narrow(last, 4, 1)
end

local function joined(...) return lx.cat({...}, 2) end

-- By form: to corners, and from them.
local FORMS <const> = {
    corners = {function(b) return b end, function(b) return b end},
    centre = {
        function(b)
            local x, y, w, h = columns(b)
            return joined(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        end,
        function(b)
            local x1, y1, x2, y2 = columns(b)
            return joined((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        end,
    },
    size = {
        function(b)
            local x, y, w, h = columns(b)
            return joined(x, y, x + w, y + h)
        end,
        function(b)
            local x1, y1, x2, y2 = columns(b)
            return joined(x1, y1, x2 - x1, y2 - y1)
        end,
    },
}

--- Boxes in another form: "corners" {x1, y1, x2, y2}, "centre" {x, y, w, h} around the centre, "size" {x, y, w, h} from
--- the first corner. Differentiable.
---@param b Tensor [K,4]
---@param from "corners"|"centre"|"size"
---@param to "corners"|"centre"|"size"
---@return Tensor [K,4] new, unless both forms are the same
function boxes.convert(b, from, to)
    check.float("convert", "b", b, {"K", 4})
    if from == to then return b end
    return FORMS[to][2](FORMS[from][1](b))
end

-- ---- overlaps -------------------------------------------------------------------------------------------------

local function positive(t) return t:maximum(0) end

-- Of boxes whose columns broadcast: intersection over union, union, and the columns.
local function overlap(a, b)
    local ax1, ay1, ax2, ay2 = columns(a)
    local bx1, by1, bx2, by2 = columns(b)
    local both = positive(ax2:minimum(bx2) - ax1:maximum(bx1)) * positive(ay2:minimum(by2) - ay1:maximum(by1))
    local either = positive(ax2 - ax1) * positive(ay2 - ay1) + positive(bx2 - bx1) * positive(by2 - by1) - both
    return both / either:maximum(TINY), either, {ax1, ay1, ax2, ay2, bx1, by1, bx2, by2}
end

-- Width and height of the smallest box around both.
local function hull(c)
    return c[3]:maximum(c[7]) - c[1]:minimum(c[5]), c[4]:maximum(c[8]) - c[2]:minimum(c[6])
end

local KINDS <const> = {
    iou = function(a, b) return (overlap(a, b)) end,
    giou = function(a, b)
        local iou, either, c = overlap(a, b)
        local w, h = hull(c)
        local area = positive(w) * positive(h)
        return iou - (area - either) / area:maximum(TINY)
    end,
    diou = function(a, b)
        local iou, _, c = overlap(a, b)
        local w, h = hull(c)
        local dx, dy = (c[1] + c[3] - c[5] - c[7]) / 2, (c[2] + c[4] - c[6] - c[8]) / 2
        return iou - (dx * dx + dy * dy) / (w * w + h * h):maximum(TINY)
    end,
}

local function pairwise(kind, a, b)
    check.float(kind, "a", a, {"N", 4})
    check.float(kind, "b", b, {"M", 4})
    if a.shape[1] == 0 or b.shape[1] == 0 then return lx.zeros({a.shape[1], b.shape[1]}, {device = a.device}) end
    return KINDS[kind](a:unsqueeze(2), b:unsqueeze(1)):squeeze(3)
end

--- Intersection over union of each box with each other one: 0 where they do not overlap, or have no area.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] 0 to 1; differentiable, as the others
function boxes.iou(a, b) return pairwise("iou", a, b) end

--- Generalised intersection over union (Rezatofighi et al. 2019): iou less the share of the smallest box around both
--- that is in neither.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] above -1, up to 1
function boxes.giou(a, b) return pairwise("giou", a, b) end

--- Distance intersection over union (Zheng et al. 2020): iou less the square of the distance of the centres, over that
--- of the diagonal of the smallest box around both.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] above -1, up to 1
function boxes.diou(a, b) return pairwise("diou", a, b) end

--- A loss of boxes beside those that they should be, 1 less their overlap. Of boxes that do not touch, "iou" has no
--- gradient; the others have.
---@param prediction Tensor [K,4]
---@param target Tensor [K,4]
---@param options {kind: "iou"|"giou"|"diou", reduction: "mean"|"sum"|"none"}? kind: default "giou"; reduction: default
--- "mean"
---@return Tensor loss 0-d, or [K] for "none"
function boxes.loss(prediction, target, options)
    check.float("loss", "prediction", prediction, {"K", 4})
    check.float("loss", "target", target, {prediction.shape[1], 4})
    local reduction = options and options.reduction or "mean"
    if prediction.shape[1] == 0 then
        args.fail("loss: prediction: expected at least one box, got %s", args.describe(prediction))
    end
    local each = 1 - KINDS[options and options.kind or "giou"](prediction, target):squeeze(2)
    if reduction == "none" then return each end
    return reduction == "sum" and each:sum() or each:mean()
end

-- ---- suppression ----------------------------------------------------------------------------------------------

local METHODS <const> = {hard = 0, linear = 1, gaussian = 2}

local function on_cpu(t) return core.contiguous(t:detach():to("cpu")) end

--- Non-maximum suppression: of boxes that overlap by more than `iou`, the one of the best score stays. "hard" leaves
--- the others out; "linear" and "gaussian" (Bodla et al. 2017) take from their scores, and leave out what falls below
--- `least`. On the cpu, whatever the device.
---@param b Tensor [K,4]
---@param scores Tensor [K]
---@param options {iou: number, method: "hard"|"linear"|"gaussian", classes: Tensor, sigma: number, least: number}? iou:
--- default 0.45; method: default "hard"; classes: int32 [K], boxes of different classes do not suppress each other;
--- sigma: of "gaussian", default 0.5; least: of the soft methods, default 0.001
---@return Tensor places int32 [k] from 1, the best first; of equal scores the earlier one
---@return Tensor scores float32 [k], what is left of them
function boxes.nms(b, scores, options)
    check.float("nms", "b", b, {"K", 4})
    local count = b.shape[1]
    check.float("nms", "scores", scores, {count})
    options = options or {}
    local classes = options.classes
    if classes and (classes.dtype ~= "int32" or classes.ndim ~= 1 or classes.shape[1] ~= count) then
        args.fail("nms: options: option 'classes': expected int32 [%d], got %s", count, args.describe(classes))
    end
    return core.nms(on_cpu(b), on_cpu(scores), classes and on_cpu(classes) or nil,
        METHODS[options.method or "hard"], options.iou or 0.45, options.sigma or 0.5, options.least or 0.001)
end

-- ---- region layers --------------------------------------------------------------------------------------------

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end

-- Whether a table is two finite numbers above 0.
local function is_size(pair)
    for i = 1, 2 do
        local side = pair[i]
        if type(side) ~= "number" or not (side > 0 and side < math.huge) then return false end
    end
    return #pair == 2
end

-- The anchors as a flat list.
local function flat_anchors(where, anchors)
    local flat = {}
    for i, anchor in ipairs(anchors) do
        if not is_size(anchor) then
            args.fail("%s: options: option 'anchors': expected pairs {width, height} above 0, got another at place %d",
                where, i)
        end
        flat[2 * i - 1], flat[2 * i] = anchor[1], anchor[2]
    end
    if #anchors == 0 or #anchors > 64 then
        args.fail("%s: options: option 'anchors': expected 1 to 64 of them, got %d", where, #anchors)
    end
    return flat
end

-- What darknet's [region] and [yolo] layers make of the numbers of classes: an anchor of a cell has one class, or any
-- that it is likely to be.
local function softmax_of(numbers, at, cells, classes)
    local most, sum, out = -math.huge, 0, {}
    for k = 1, classes do most = math.max(most, numbers[at + (4 + k) * cells]) end
    for k = 1, classes do
        out[k] = math.exp(numbers[at + (4 + k) * cells] - most)
        sum = sum + out[k]
    end
    for k = 1, classes do out[k] = out[k] / sum end
    return out
end

local function sigmoids_of(numbers, at, cells, classes)
    local out = {}
    for k = 1, classes do out[k] = sigmoid(numbers[at + (4 + k) * cells]) end
    return out
end

-- Sides of the image that a box has at most: sizes are exponentials, and those of a network that has learnt little, or
-- sees what it never saw, would soon be no numbers.
local LARGEST <const> = 1e6

-- The boxes of one image, from its numbers in the order of the map; `anchors` are shares of the image's sides.
local function decode_image(numbers, anchors, layer, threshold)
    local classes, height, width = layer.classes, layer.height, layer.width
    local cells = height * width
    local out, scores, kinds, count = {}, {}, {}, 0
    for cell = 1, cells do
        local column, row = (cell - 1) % width, (cell - 1) // width
        for a = 1, #anchors // 2 do
            local at = (a - 1) * (5 + classes) * cells + cell
            local objectness = sigmoid(numbers[at + 4 * cells])
            if objectness > threshold then
                local x, y = (column + sigmoid(numbers[at])) / width, (row + sigmoid(numbers[at + cells])) / height
                local w = math.min(math.exp(numbers[at + 2 * cells]) * anchors[2 * a - 1], LARGEST)
                local h = math.min(math.exp(numbers[at + 3 * cells]) * anchors[2 * a], LARGEST)
                for k, share in ipairs(layer.shares(numbers, at, cells, classes)) do
                    local score = objectness * share
                    if score > threshold then
                        count = count + 1
                        out[count] = {x - w / 2, y - h / 2, x + w / 2, y + h / 2}
                        scores[count], kinds[count] = score, k
                    end
                end
            end
        end
    end
    if count == 0 then
        return {boxes = lx.zeros(0, 4), scores = lx.zeros(0), classes = lx.zeros({0}, {dtype = "int32"})}
    end
    return {boxes = lx.tensor(out), scores = lx.tensor(scores), classes = lx.tensor(kinds, {dtype = "int32"})}
end

-- The boxes of each image of a map; `share(width, height)`: what an anchor of 1 is of the image's sides.
local function decode(where, map, options, shares, share)
    check.float(where, "map", map, {"N", "C", "H", "W"})
    local anchors = flat_anchors(where, options.anchors)
    local n, channels, height, width = table.unpack(map.shape)
    local classes = 2 * channels / #anchors - 5
    if classes < 1 or classes % 1 ~= 0 then
        args.fail("%s: map: expected channels for %d anchors of 5 + classes numbers, got %s", where, #anchors // 2,
            args.describe(map))
    end
    local layer = {classes = math.tointeger(classes), height = height, width = width, shares = shares}
    local across, down = share(width, height)
    for i = 1, #anchors, 2 do anchors[i], anchors[i + 1] = anchors[i] * across, anchors[i + 1] * down end
    local plain, images = on_cpu(map), {}
    for i = 1, n do
        local numbers = core.to_table(core.reshape(core.narrow(plain, 1, i, 1), {channels * height * width}))
        for place = 1, #numbers do
            if numbers[place] ~= numbers[place] then
                args.fail("%s: map: expected numbers, got NaN in image %d", where, i)
            end
        end
        images[i] = decode_image(numbers, anchors, layer, options.threshold or 0.5)
    end
    return images
end

--- What the map before a region layer says (Redmon and Farhadi 2017): for each anchor of each cell a box, how sure it
--- is that there is an object, and which class it would be of. A box stands once for each class whose probability, that
--- of an object times that of the class, is above `threshold`; `nms` with `classes` suppresses within each.
---@param map Tensor [N,anchors (5 + classes),H,W] before activations, as `lx.io.darknet` networks give it
---@param options {anchors: number[][], threshold: number} anchors: {width, height} each, in cells; threshold: default
---  0.5
---@return {boxes: Tensor, scores: Tensor, classes: Tensor}[] images boxes [k,4], corners as fractions of the image, at
---  most 1e6 of its sides wide and high; scores [k]; classes int32 [k], from 1
function boxes.decode_region(map, options)
    return decode("decode_region", map, options, softmax_of, function(width, height) return 1 / width, 1 / height end)
end

--- What the map before a [yolo] layer says (Redmon and Farhadi 2018): as `decode_region`, but each class has a sigmoid
--- of its own, and anchors are in pixels. Of a network with several such maps, the boxes of all go into one `nms`.
---@param map Tensor [N,anchors (5 + classes),H,W] before activations, as `lx.io.darknet` networks give it
---@param options {anchors: number[][], size: {[1]: integer, [2]: integer}|integer, threshold: number} anchors: {width,
---  height} each, in pixels of the network's images, those of this map alone; size: of these images, {height, width} or
---  both as one; threshold: default 0.5
---@return {boxes: Tensor, scores: Tensor, classes: Tensor}[] images as of `decode_region`
function boxes.decode_yolo(map, options)
    local size = options.size
    local height, width = size, size
    if type(size) == "table" then height, width = size[1], size[2] end
    return decode("decode_yolo", map, options, sigmoids_of, function() return 1 / width, 1 / height end)
end

--- Boxes of a network's image, in pixels of the image that it was made of.
---@param b Tensor [K,4] corners as fractions of the network's image
---@param height integer of the image, in pixels
---@param width integer
---@param options {fit: "stretch"|"letterbox", size: {[1]: integer, [2]: integer}|integer, clip: boolean}? fit: how the
---  image became the network's, default "stretch": each side by itself; "letterbox": in its proportion, in the middle,
---  as darknet does; size: of the network's image, {height, width} or both as one, which "letterbox" needs; clip: what
---  is outside the image is cut off, default true; boxes that are all outside have no area then
---@return Tensor [K,4] corners
function boxes.to_image(b, height, width, options)
    check.float("to_image", "b", b, {"K", 4})
    options = options or {}
    local size = options.size
    if options.fit == "letterbox" and not size then
        args.fail("to_image: options: option 'size': a letterbox needs the size of the network's image")
    end
    if b.shape[1] == 0 then return b end
    local x1, y1, x2, y2 = columns(b)
    if options.fit == "letterbox" then
        local net_height, net_width = size, size
        if type(size) == "table" then net_height, net_width = size[1], size[2] end
        -- the sides of the image inside the network's, whole pixels
        local inner_height, inner_width = net_height, net_width
        if net_width / width < net_height / height then inner_height = height * net_width // width
        else inner_width = width * net_height // height end
        local across, down = inner_width / net_width, inner_height / net_height
        local left, top = (1 - across) / 2, (1 - down) / 2
        x1, x2, y1, y2 = (x1 - left) / across, (x2 - left) / across, (y1 - top) / down, (y2 - top) / down
    end
    local out = joined(x1 * width, y1 * height, x2 * width, y2 * height)
    if options.clip == false then return out end
    local most = lx.tensor({{width, height, width, height}}, {device = b.device})
    return positive(out):minimum(most)
end

-- ---- maps -----------------------------------------------------------------------------------------------------

--- Boxes around what is high in a map, as those of `lx.explain` or `lx.anomaly`: one around each connected component of
--- what is at least `share` of its largest value (Zhou et al. 2016, who take 0.2, and of that the largest component),
--- or at least `level`. Where nothing is above 0 there is none.
---@param map Tensor float32 [H,W] or [1,H,W]
---@param options? {share: number, level: number, least: integer} share: default 0.2, not beside `level`; least: a
---  component has so many pixels, default 1
---@return Tensor b [K,4] corners in pixels of the map, the best first
---@return Tensor scores [K], the largest value in each
function boxes.of_map(map, options)
    local rank = map.ndim
    check.float("of_map", "map", map, rank == 3 and {1, "H", "W"} or {"H", "W"})
    options = options or {}
    if options.share and options.level then
        args.fail("of_map: options: option 'share': it is one way to say from where on, and 'level' another: say one")
    end
    local plain = on_cpu(map):reshape(map.shape[rank - 1], map.shape[rank])
    if (plain * 0):sum():item() ~= 0 then args.fail("of_map: map: it has numbers that are not finite") end
    local least = math.max(options.level or (options.share or 0.2) * plain:max():item(), SMALLEST)
    local inside = plain:ge(least):float()
    local labels, parts = core.connected_components(core.cast(core.binary("mul", inside, 255), "uint8"), true)
    local rows, numbers, best = plain:totable(), labels:totable(), {}
    for y, row in ipairs(numbers) do
        for x, part in ipairs(row) do
            if part > 0 then best[part] = math.max(best[part] or 0, rows[y][x]) end
        end
    end
    local kept = {}
    for k, part in ipairs(parts) do
        if part.area >= (options.least or 1) then kept[#kept + 1] = {part = part, score = best[k], order = k} end
    end
    if #kept == 0 then return lx.zeros(0, 4), lx.zeros(0) end
    table.sort(kept, function(a, b)
        if a.score ~= b.score then return a.score > b.score end
        return a.order < b.order
    end)
    local corners, scores = {}, {}
    for i, one in ipairs(kept) do
        local part = one.part
        corners[i], scores[i] = {part.x, part.y, part.x + part.w, part.y + part.h}, one.score
    end
    return lx.tensor(corners), lx.tensor(scores)
end

-- ---- anchors --------------------------------------------------------------------------------------------------

local function size_iou(w, h, anchor)
    local both = math.min(w, anchor[1]) * math.min(h, anchor[2])
    return both / (w * h + anchor[1] * anchor[2] - both)
end

-- The nearest anchor, and how much it overlaps.
local function nearest(size, anchors)
    local best, which = -1, 0
    for i = 1, #anchors do
        local iou = size_iou(size[1], size[2], anchors[i])
        if iou > best then best, which = iou, i end
    end
    return which, best
end

-- First anchors: each the next by chance, the likelier the worse those before cover it (Arthur and Vassilvitskii 2007).
local function first_anchors(sizes, k, stream)
    local anchors, far = {{table.unpack(sizes[stream:integer(#sizes)])}}, {}
    while #anchors < k do
        local total = 0
        for i, size in ipairs(sizes) do
            local _, iou = nearest(size, anchors)
            far[i] = (1 - iou) ^ 2
            total = total + far[i]
        end
        if total <= 0 then return nil end
        local at, which = stream:uniform(0, total), #sizes
        for i = 1, #sizes do
            at = at - far[i]
            if at < 0 then
                which = i
                break
            end
        end
        anchors[#anchors + 1] = {sizes[which][1], sizes[which][2]}
    end
    return anchors
end

local function mean_iou(sizes, anchors)
    local sum = 0
    for _, size in ipairs(sizes) do sum = sum + select(2, nearest(size, anchors)) end
    return sum / #sizes
end

-- Lloyd's steps, as long as they gain.
local function refine(sizes, anchors)
    local reached = mean_iou(sizes, anchors)
    while true do
        local sums = {}
        for i = 1, #anchors do sums[i] = {0, 0, 0} end
        for _, size in ipairs(sizes) do
            local sum = sums[nearest(size, anchors)]
            sum[1], sum[2], sum[3] = sum[1] + size[1], sum[2] + size[2], sum[3] + 1
        end
        local moved = {}
        for i, sum in ipairs(sums) do moved[i] = sum[3] > 0 and {sum[1] / sum[3], sum[2] / sum[3]} or anchors[i] end
        local now = mean_iou(sizes, moved)
        if now <= reached then return anchors, reached end
        anchors, reached = moved, now
    end
end

--- Anchors for boxes of these sizes, by k-means with 1 - iou as the distance (Redmon and Farhadi 2017), the best of
--- several starts.
---@param sizes number[][]|Tensor {width, height} each, or [K,2], in the unit that the anchors are to have
---@param k integer
---@param options {seed: integer, starts: integer}? seed: default 1; starts: default 5
---@return number[][]? anchors {width, height} each, the smallest first; nil where there are fewer different sizes
---@return number|string iou the mean over boxes of that with their best anchor; or why nil
function boxes.anchors(sizes, k, options)
    options = options or {}
    if type(sizes) == "userdata" then
        check.float("anchors", "sizes", sizes, {"K", 2})
        sizes = sizes:totable()
    end
    for i, size in ipairs(sizes) do
        if not is_size(size) then
            args.fail("anchors: sizes: expected pairs {width, height} above 0, got another at place %d", i)
        end
    end
    local best, reached
    for start = 1, #sizes > 0 and (options.starts or 5) or 0 do
        local anchors = first_anchors(sizes, k, random.stream(options.seed or 1, start))
        if not anchors then break end
        local iou
        anchors, iou = refine(sizes, anchors)
        if not best or iou > reached then best, reached = anchors, iou end
    end
    if not best then return nil, ("needs at least %d different sizes"):format(k) end
    table.sort(best, function(a, b)
        if a[1] * a[2] ~= b[1] * b[2] then return a[1] * a[2] < b[1] * b[2] end
        return a[1] < b[1]
    end)
    return best, reached
end

local FORM <const> = '"corners"|"centre"|"size"'

return namespace("lx.vision.boxes", args.publish("", boxes, {
    convert = ("b: tensor, from: %s, to: %s"):format(FORM, FORM),
    iou = "a: tensor, b: tensor", giou = "a: tensor, b: tensor", diou = "a: tensor, b: tensor",
    loss = "prediction: tensor, target: tensor, "
        .. 'options: {kind: "iou"|"giou"|"diou"?, reduction: "mean"|"sum"|"none"?}?',
    nms = "b: tensor, scores: tensor, options: {iou: number(0..1)?, "
        .. 'method: "hard"|"linear"|"gaussian"?, classes: tensor?, sigma: positive?, least: finite?}?',
    decode_region = "map: tensor, options: {anchors: table[], threshold: number(0..1)?}",
    decode_yolo = "map: tensor, options: {anchors: table[], size: pair(1..65536), threshold: number(0..1)?}",
    to_image = "b: tensor, height: integer(1..16777215), width: integer(1..16777215), "
        .. 'options: {fit: "stretch"|"letterbox"?, size: pair(1..65536)?, clip: boolean?}?',
    of_map = "map: tensor, options: {share: number(0..1)?, level: finite?, least: integer(1..)?}?",
    anchors = "sizes: tensor|table[], k: integer(1..64), options: {seed: integer?, starts: integer(1..1000)?}?",
}))
