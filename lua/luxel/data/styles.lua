--- Styles of images: groups that look as if they came from one device or one way of processing, found without labels.

local args = require "luxel.args"
local core = require "luxel.core"
local linear_probe = require "luxel.data.linear_probe"
local memory = require "luxel.memory"
local namespace = require "luxel.namespace"
local random = require "luxel.random"
local reduced = require "luxel.data.reduced"

-- Starts of k-means, of which the best counts, and the most rounds of each.
local STARTS <const>, ROUNDS <const> = 8, 100

---@class luxel.Styles
---@field k integer
---@field cluster integer[] of each image, 1 the largest
---@field counts integer[] images of each cluster
---@field classes string[] the names of the classes or labels
---@field by_class integer[][] for each cluster, how many of its images are of each class
---@field means Tensor float32 [k,D] the middle of each cluster, in standardised features
---@field distances number[] of each image from the middle of its cluster, in deviations
---@field spread number the mean squared distance of an image from its middle, 1 without clusters
---@field private centre Tensor [1,D]
---@field private scale Tensor [1,D]
local Styles = namespace.class("Styles", {}, {})

args.type("styles", "styles of lx.data.styles", "table", function(value) return getmetatable(value) == Styles end)

-- ---- features -------------------------------------------------------------------------------------------------

local PARTS <const> = {reduced.border, reduced.corners, reduced.coarse}

local function features_of(x)
    local parts = {}
    for i, part in ipairs(PARTS) do parts[i] = part(x) end
    return core.cat(parts, 2)
end

-- What standardises the features so that each part weighs the same, however many there are of it: together their
-- variance is 1.
local function standardiser(x)
    local centre, scale = linear_probe.standardiser(features_of(x))
    local at = 1
    for _, part in ipairs(PARTS) do
        local count = part(x).shape[2]
        local own = core.narrow(scale, 2, at, count)
        core.copy_(own, own / math.sqrt(#PARTS * count))
        at = at + count
    end
    return centre, scale
end

-- ---- k-means --------------------------------------------------------------------------------------------------

-- Squared distances [N,k]; a little rounding may take them below 0.
local function distances(x, means)
    local squares = x:square():sum(2, true) + means:square():sum(2, true):t()
    return (squares - x:matmul(means:t()) * 2):clamp(0, 1e30)
end

-- First means, each drawn with the chance of its squared distance from those before it (Arthur and Vassilvitskii,
-- "k-means++", SODA 2007).
local function first_means(x, k, stream)
    local chosen = {stream:integer(x.shape[1])}
    local nearest
    while #chosen < k do
        local last = core.narrow(x, 1, chosen[#chosen], 1)
        local own, sum = core.to_table(core.view(distances(x, last), {x.shape[1]})), 0
        nearest = nearest or own
        for i, distance in ipairs(own) do
            nearest[i] = math.min(nearest[i], distance)
            sum = sum + nearest[i]
        end
        local at, left = 0, stream:uniform(0, sum)
        repeat
            at = at + 1
            left = left - nearest[at]
        until left < 0 or at == #nearest
        chosen[#chosen + 1] = at
    end
    return core.index_select(x, 1, core.from_table(chosen, "int32"))
end

-- The means of what is nearest to each; one that nothing is nearest to goes to the image farthest from its own.
local function next_means(x, nearest, numbers, away)
    local mask = nearest:view(-1, 1):eq(numbers):float()
    local counts = mask:sum(1, true):t()
    local means = mask:t():matmul(x) / counts:clamp(1, 1e9)
    for cluster, count in ipairs(core.to_table(core.view(counts, {counts.shape[1]}))) do
        if count == 0 then
            local far = away:argmax(1):item()
            core.copy_(core.narrow(means, 1, cluster, 1), core.narrow(x, 1, math.tointeger(far), 1))
            core.fill_(core.narrow(away, 1, math.tointeger(far), 1), 0)
        end
    end
    return means
end

-- Lloyd's algorithm from one start: means, and the mean squared distance from them.
local function run(x, k, stream)
    local numbers = {}
    for i = 1, k do numbers[i] = i end
    numbers = core.view(core.from_table(numbers, "int32"), {1, k})
    local means, spread, before = first_means(x, k, stream), math.huge, nil
    for _ = 1, ROUNDS do
        local next, value, nearest = memory.tidy(function()
            local all = distances(x, means)
            local away, own = all:min(2)
            return next_means(x, own, numbers, away:clone()), away:mean():item(), own
        end)
        spread = value
        if before and before:eq(nearest):float():mean():item() == 1 then break end
        means, before = next, nearest
    end
    return means, spread
end

local function cluster(x, k, seed)
    local best, least
    for start = 1, STARTS do
        local means, spread = memory.tidy(run, x, k, random.stream(seed, start))
        if not least or spread < least then best, least = means, spread end
    end
    return best, least
end

-- ---- the object -----------------------------------------------------------------------------------------------

-- Of masks and boxes there is nothing to be counted.
local function labels_of(images)
    if images.task == "segmentation" or images.task == "detection" then return {}, {} end
    return images.classes, (reduced.columns(images))
end

local function count_classes(self, labels)
    for cluster_number = 1, self.k do
        self.counts[cluster_number], self.by_class[cluster_number] = 0, {}
        for k = 1, #self.classes do self.by_class[cluster_number][k] = 0 end
    end
    for i, own in ipairs(self.cluster) do
        local label, counts = labels[i], self.by_class[own]
        self.counts[own] = self.counts[own] + 1
        if type(label) == "table" then
            for k, value in ipairs(label) do counts[k] = counts[k] + (value == 1 and 1 or 0) end
        elseif label and label == label then
            counts[math.tointeger(label) + 1] = counts[math.tointeger(label) + 1] + 1
        end
    end
end

-- The clusters with the largest first, of equal ones the one that comes first.
local function order_of(nearest, k)
    local counts, first, order, rank = {}, {}, {}, {}
    for c = 1, k do counts[c], first[c], order[c] = 0, math.huge, c end
    for i, c in ipairs(nearest) do
        counts[c], first[c] = counts[c] + 1, math.min(first[c], i)
    end
    table.sort(order, function(a, b)
        if counts[a] ~= counts[b] then return counts[a] > counts[b] end
        if first[a] ~= first[b] then return first[a] < first[b] end
        return a < b
    end)
    for place, c in ipairs(order) do rank[c] = place end
    return order, rank
end

-- The cluster of each image, and its distance from the middle.
local function assign(self, x)
    return memory.tidy(function()
        local all = distances((features_of(x) - self.centre) * self.scale, self.means)
        local away, own = all:min(2)
        return core.to_table(own), core.to_table(away:sqrt())
    end)
end

--- `styles` of images that are at hand as 28 x 28 levels: for `audit`, which has read them.
---@param x luxel.Tensor float32 [N,784]
---@param classes string[]
---@param labels (number|number[])[] none where there are no classes
---@param options table k, seed
---@return luxel.Styles
local function of_reduced(x, classes, labels, options)
    local self = {k = math.tointeger(options.k), classes = classes, counts = {}, by_class = {}}
    self.centre, self.scale, self.means, self.spread = memory.tidy(function()
        local centre, scale = standardiser(x)
        local standard = (features_of(x) - centre) * scale
        local means, spread = cluster(standard, self.k, options.seed)
        local order = order_of(core.to_table(distances(standard, means):argmin(2)), self.k)
        return centre, scale, core.index_select(means, 1, core.from_table(order, "int32")), spread
    end)
    self.cluster, self.distances = assign(self, x)
    count_classes(self, labels)
    return setmetatable(self, Styles)
end

local DEFAULTS <const> = {k = 8, seed = 1}

--- Groups images by their looks, not by what they show: k-means (Lloyd, IEEE Transactions on Information Theory 28:2,
--- 1982) of the outer border, the corners and the lowest frequencies of each image, brought to 28 x 28 and
--- standardised. Labels are not used. The same images and options give the same clusters on one machine; the largest
--- cluster is the first. Eight is the most of which any two seeds agree about on the Kermany set (docs/shortcuts.md).
---@param images Dataset|Frame at least k images
---@param options? {k: integer?, seed: integer?} k: clusters, default 8; seed: default 1
---@return luxel.Styles? styles with `cluster`, a list with the number 1..k of each image's cluster
---@return string? message, string? code where a file of a frame cannot be read
local function styles(images, options)
    local opts = args.with_defaults(options, DEFAULTS)
    if #images < opts.k then
        args.fail("styles: images: expected at least %d, one for each cluster, got %d", opts.k, #images)
    end
    local x, message, code = reduced.of(images, "styles")
    if not x then return nil, message, code end
    local classes, labels = labels_of(images)
    return of_reduced(x, classes, labels, opts)
end

--- The cluster of other images, such as those of a new hospital: the one whose middle is the nearest.
---@param images Dataset|Frame
---@return integer[]? clusters 1..k of each image
---@return number[]|string distances from that middle, in deviations: those far above `spread`^0.5 look like none of the
---  clusters; or why a file of a frame cannot be read
---@return string? code
function Styles:assign(images)
    if #images == 0 then return {}, {} end
    local x, message, code = reduced.of(images, "Styles:assign")
    if not x then return nil, message, code end
    return assign(self, x)
end

--- The clusters dealt into parts, each with clusters of few and of many of the second class, for training without a
--- part at a time.
---@param n integer at most k
---@return integer[] parts 1..n of each image
function Styles:parts(n)
    if n > self.k then
        args.fail("Styles:parts: n: expected at most %d, the number of clusters, got %d", self.k, n)
    elseif #self.classes < 2 then
        args.fail("Styles:parts: styles: expected two classes or more, got %d", #self.classes)
    end
    local order, part_of, parts = {}, {}, {}
    for c = 1, self.k do order[c] = c end
    local function share(c) return self.by_class[c][2] / math.max(1, self.counts[c]) end
    table.sort(order, function(a, b)
        if share(a) ~= share(b) then return share(a) < share(b) end
        return a < b
    end)
    for place, c in ipairs(order) do
        local round = (place - 1) % (2 * n) + 1
        part_of[c] = round <= n and round or 2 * n + 1 - round
    end
    for i, c in ipairs(self.cluster) do parts[i] = part_of[c] end
    return parts
end

function Styles:__tostring()
    local lines = {("Styles: %d clusters of %d images"):format(self.k, #self.cluster)}
    for c = 1, self.k do
        local words = {}
        for k, name in ipairs(self.classes) do
            words[k] = ("%s %.1f %%"):format(name, 100 * self.by_class[c][k] / math.max(1, self.counts[c]))
        end
        lines[#lines + 1] = ("  %2d  %6d images%s%s"):format(c, self.counts[c], #words > 0 and "  " or "",
            table.concat(words, ", "))
    end
    return table.concat(lines, "\n")
end

args.publish("Styles:", Styles, {
    assign = "styles: styles, images: dataset|frame", parts = "styles: styles, n: integer(2..64)",
})

return {
    styles = args.public("styles", "images: dataset|frame, options: {k: integer(1..64)?, seed: integer?}?", styles),
    of_reduced = of_reduced, DEFAULTS = DEFAULTS,
}
