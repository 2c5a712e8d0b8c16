--- Networks of darknet's configuration files, layer by layer with their numbers there.

local check = require "luxel.nn.check"
local declare = require "luxel.nn.declare"
local lx = require "luxel"

local nn = lx.nn

local darknet = {MOST_SIDE = 16384, MOST_CHANNELS = 1 << 20}

-- Each: the layer, or nothing for what is a convolution's own.
local ACTIVATIONS <const> = {
    linear = function() end, leaky = function() return nn.LeakyReLU(0.1) end, relu = function() return nn.ReLU() end,
    logistic = function() return nn.Sigmoid() end, tanh = function() return nn.Tanh() end,
}

--- The names of the activations that are known.
darknet.activations = {}
for name in next, ACTIVATIONS do table.insert(darknet.activations, name) end
table.sort(darknet.activations)

-- ---- plans ----------------------------------------------------------------------------------------------------

-- A plan is what a section comes to, before anything is reserved: {name, line, from = numbers of layers that it reads,
-- channels, height, width, build = its module, parameters = how many}.

-- Ends the planning at a section: the caller puts the place before the message.
local function refuse(section, form, ...)
    error({darknet = ("line %d: [%s]: %s"):format(section.line, section.name, form:format(...))}, 0)
end

local function with_activation(section, list)
    local layer = ACTIVATIONS[section.options.activation or "linear"]
    if not layer then refuse(section, "there is no activation '%s'", section.options.activation) end
    return list, layer
end

-- A size after windows, where one has to fit.
local function windows(section, size, padding, kernel, stride)
    local count = (size + padding - kernel) // stride + 1
    if size + padding < kernel then refuse(section, "windows of %d are larger than the map (%d)", kernel, size) end
    return count
end

-- By the name of a section: fills in a plan from the maps that it reads.
local PLANS = {}

function PLANS.convolutional(plan, section, from, settings)
    local o = section.options
    local size, stride, groups = o.size or 1, o.stride or 1, o.groups or 1
    local padding = o.pad == 1 and size // 2 or o.padding or 0
    local filters, normalised = o.filters or 1, o.batch_normalize == 1
    if from.channels % groups ~= 0 or filters % groups ~= 0 then
        refuse(section, "%d channels and %d filters are not divided by %d groups", from.channels, filters, groups)
    end
    plan.channels = filters
    plan.height = windows(section, from.height, 2 * padding, size, stride)
    plan.width = windows(section, from.width, 2 * padding, size, stride)
    plan.parameters = filters * (from.channels // groups) * size * size + filters * (normalised and 4 or 1)
    local list, activation = with_activation(section, {})
    function plan.build()
        list[1] = {"conv", nn.Conv2d(from.channels, filters, size,
            {stride = stride, padding = padding, groups = groups, bias = not normalised})}
        if normalised then
            list[2] = {"bn", nn.DarknetBatchNorm2d(filters, {root = settings.root, momentum = settings.momentum})}
        end
        local layer = activation()
        if layer then list[#list + 1] = {"activation", layer} end
        return nn.Sequential(list)
    end
end

function PLANS.maxpool(plan, section, from)
    local o = section.options
    local stride = o.stride or 1
    local size = o.size or stride
    local padding = o.padding or size - 1
    if padding > 2 * size - 1 then refuse(section, "padding=%d is too much for windows of %d", padding, size) end
    plan.height = windows(section, from.height, padding, size, stride)
    plan.width = windows(section, from.width, padding, size, stride)
    function plan.build() return nn.DarknetMaxPool2d(size, {stride = stride, padding = padding}) end
end

function PLANS.avgpool(plan)
    plan.height, plan.width = 1, 1
    function plan.build() return nn.AdaptiveAvgPool2d(1) end
end

function PLANS.dropout(plan, section)
    local p = section.options.probability or 0.5
    function plan.build() return nn.Dropout(p) end
end

function PLANS.upsample(plan, section, from)
    local stride = section.options.stride or 2
    plan.height, plan.width = from.height * stride, from.width * stride
    function plan.build() return nn.Upsample {scale = stride, mode = "nearest"} end
end

local function plan_reorg(order)
    return function(plan, section, from)
        local stride = section.options.stride or 1
        local grows = section.options.reverse == 1
        if grows and order ~= "darknet" then refuse(section, "reverse=1 is not known here") end
        local block = stride * stride
        if (grows or order == "darknet") and from.channels % block ~= 0 then
            refuse(section, "stride=%d wants channels that %d divides, the map has %d", stride, block, from.channels)
        elseif not grows and (from.height % stride ~= 0 or from.width % stride ~= 0) then
            refuse(section, "stride=%d does not divide the map of %d x %d", stride, from.height, from.width)
        end
        if grows then
            plan.channels = from.channels // block
            plan.height, plan.width = from.height * stride, from.width * stride
        else
            plan.channels = from.channels * block
            plan.height, plan.width = from.height // stride, from.width // stride
        end
        function plan.build() return nn.Reorg(stride, {order = grows and "depth_to_space" or order}) end
    end
end

PLANS.reorg, PLANS.reorg3d = plan_reorg "darknet", plan_reorg "space_to_depth"

function PLANS.route(plan, section, _, _, sources)
    plan.channels = 0
    for _, source in ipairs(sources) do
        if source.height ~= sources[1].height or source.width ~= sources[1].width then
            refuse(section, "maps of %d x %d and %d x %d cannot be joined", sources[1].height, sources[1].width,
                source.height, source.width)
        end
        plan.channels = plan.channels + source.channels
    end
    plan.height, plan.width = sources[1].height, sources[1].width
    plan.build = nn.Route
end

function PLANS.shortcut(plan, section, from, _, sources)
    local other = sources[2]
    if other.channels ~= from.channels or other.height ~= from.height or other.width ~= from.width then
        refuse(section, "maps of %d x %d x %d and %d x %d x %d cannot be added", from.channels, from.height,
            from.width, other.channels, other.height, other.width)
    end
    local _, activation = with_activation(section)
    plan.activation = activation() ~= nil
    function plan.build()
        if not plan.activation then return nn.Shortcut() end
        return nn.Sequential {{"activation", activation()}}
    end
end

-- The pairs of a flat list.
local function pairs_of(list)
    local out = {}
    for i = 1, #list, 2 do out[#out + 1] = {list[i], list[i + 1]} end
    return out
end

local function plan_detection(section, from, anchors, entries)
    local wanted = #anchors * entries
    if from.channels ~= wanted then
        refuse(section, "%d anchors of %d numbers want a map of %d channels, it has %d", #anchors, entries, wanted,
            from.channels)
    end
end

function PLANS.region(plan, section, from)
    local o = section.options
    local count, classes = o.num or 1, o.classes or 20
    if (o.coords or 4) ~= 4 then refuse(section, "coords=%d is not known, 4 is", o.coords) end
    if (o.softmax or 0) ~= 1 then refuse(section, "softmax=0 is not known, 1 is") end
    if #(o.anchors or {}) ~= 2 * count then
        refuse(section, "num=%d wants %d numbers of anchors, there are %d", count, 2 * count, #(o.anchors or {}))
    end
    local anchors = pairs_of(o.anchors)
    plan_detection(section, from, anchors, 5 + classes)
    plan.detection = {kind = "region", anchors = anchors, classes = classes, options = o}
end

function PLANS.yolo(plan, section, from)
    local o = section.options
    local count, classes = o.num or 1, o.classes or 20
    if #(o.anchors or {}) ~= 2 * count then
        refuse(section, "num=%d wants %d numbers of anchors, there are %d", count, 2 * count, #(o.anchors or {}))
    end
    local all, anchors, own = pairs_of(o.anchors), {}, {}
    for i = 1, o.mask and #o.mask or count do
        own[i] = o.mask and o.mask[i] + 1 or i
        anchors[i] = all[own[i]] or refuse(section, "mask=%d is beyond the %d anchors", own[i] - 1, count)
    end
    plan_detection(section, from, anchors, 5 + classes)
    plan.detection = {kind = "yolo", anchors = anchors, all = all, own = own, classes = classes, options = o}
end

-- The numbers of the layers that a section reads, from 0.
local function sources_of(section, number)
    local function absolute(place)
        local at = place < 0 and number + place or place
        if at < 0 or at >= number then refuse(section, "there is no layer %d before layer %d", place, number) end
        return at
    end
    if section.name == "route" then
        local list = section.options.layers or refuse(section, "layers= is missing")
        local out = {}
        for i, place in ipairs(list) do out[i] = absolute(place) end
        return out
    elseif section.name == "shortcut" then
        return {number - 1, absolute(section.options.from or refuse(section, "from= is missing"))}
    end
    return {number - 1}
end

--- What the sections of a configuration come to, with nothing reserved yet.
---@param cfg luxel.DarknetCfg
---@param settings {root: string, momentum: number?, parameters: integer}
---@return table[] plans by layer, from 1; raises {darknet = message}
function darknet.plan(cfg, settings)
    local first = cfg[1]
    if not first or first.name ~= "net" then error({darknet = "the first section should be [net]"}, 0) end
    local image = {channels = first.options.channels or 3, height = first.options.height, width = first.options.width}
    if not image.height or not image.width then refuse(first, "width= and height= are needed") end
    local plans, total = {image = image}, 0
    for i = 2, #cfg do
        local section, number = cfg[i], i - 2
        local plan = {name = section.name, line = section.line, from = {}, parameters = 0}
        local maps = {}
        for k, place in ipairs(sources_of(section, number)) do
            local source = place == -1 and image or plans[place + 1]
            if not source then refuse(section, "there is no layer %d", place) end
            if source.detection then refuse(section, "layer %d is a detection, of which nothing is made", place) end
            plan.from[k], maps[k] = place, source
        end
        local from = maps[1]
        plan.channels, plan.height, plan.width = from.channels, from.height, from.width
        local fill = PLANS[section.name] or refuse(section, "there is no layer of this name here")
        fill(plan, section, from, settings, maps)
        if plan.channels > darknet.MOST_CHANNELS or math.max(plan.height, plan.width) > darknet.MOST_SIDE then
            refuse(section, "a map of %d x %d x %d is too large", plan.channels, plan.height, plan.width)
        end
        total = total + plan.parameters
        if total > settings.parameters then
            refuse(section, "the network has more than %d parameters up to here", settings.parameters)
        end
        plans[#plans + 1] = plan
    end
    if #plans == 0 then error({darknet = "there is no layer"}, 0) end
    return plans
end

-- ---- the network ----------------------------------------------------------------------------------------------

---@class Darknet: Module
---@field channels integer of the images
---@field height integer of the images that the file names; others may do
---@field width integer
---@field layers Module the layers by their numbers in darknet, from 0
---@field detections {kind: "region"|"yolo", layer: integer, anchors: number[][], all: number[][]?, own: integer[]?,
---  classes: integer, stride: integer, options: table}[] all, own: of "yolo", the anchors of all maps, and the numbers
---  of this one's; stride: pixels from cell to cell
---@field header {major: integer, minor: integer, revision: integer, seen: integer, bytes: integer}? of its weights
local Darknet = nn.class("Darknet")
darknet.Darknet = Darknet

--- A network of plans.
---@param plans table
function Darknet:init(plans)
    self.channels, self.height, self.width = plans.image.channels, plans.image.height, plans.image.width
    self.detections = {}
    local list, uses, reads, last = {}, {}, {}, #plans - 1
    for number = 0, #plans - 1 do
        local plan = plans[number + 1]
        list[number + 1] = plan.build and plan.build() or nn.Identity()
        reads[number] = {kind = plan.name, activation = plan.activation}
        for k, from in ipairs(plan.from) do reads[number][k], uses[from] = from, number end
        if plan.detection then
            plan.detection.layer, plan.detection.stride = number, plans.image.height // plan.height
            table.insert(self.detections, plan.detection)
            uses[number] = #plans
        end
    end
    uses[last] = #plans
    self.reads, self.uses = reads, uses
    self.layers = nn.ModuleList(list)
end

-- Calls `visit(number, result)` with each layer's result, and keeps of them what later layers read.
local function walk(self, x, visit)
    check.float(self, "input", x, {"N", self.channels, "H", "W"})
    local results = {[-1] = x}
    for i, layer in self.layers:each() do
        local number = i - 1
        local read = self.reads[number]
        local y
        if read.kind == "route" then
            local maps = {}
            for k, from in ipairs(read) do maps[k] = results[from] end
            y = layer(table.unpack(maps))
        elseif read.kind == "shortcut" and read.activation then
            y = layer(results[read[1]] + results[read[2]])
        elseif read.kind == "shortcut" then
            y = layer(results[read[1]], results[read[2]])
        else
            y = layer(results[read[1]])
        end
        results[number] = y
        visit(number, y)
        for _, from in ipairs(read) do
            if self.uses[from] <= number then results[from] = nil end
        end
    end
    return results
end

--- The maps that the detection layers read, in their order; without such layers, the last layer's result.
---@param x Tensor [N,channels,H,W]
---@return Tensor ... [N,anchors (5 + classes),H',W'] each
function Darknet:forward(x)
    local results, out = walk(self, x, function() end), {}
    for i, detection in ipairs(self.detections) do out[i] = results[detection.layer] end
    if #out == 0 then out[1] = results[#self.layers - 1] end
    return table.unpack(out)
end

--- The results of all layers, for comparisons.
---@param x Tensor [N,channels,H,W]
---@return table<integer, Tensor> by their numbers in darknet, from 0
function Darknet:each_result(x)
    local all = {}
    walk(self, x, function(number, y) all[number] = y end)
    return all
end

--- How many layers it has, for `print`.
---@return string
function Darknet:extra() return ("%d layers of darknet"):format(#self.layers) end

declare(Darknet, {init = "plans: table", forward = "x: any?", each_result = "x: any?"})

return darknet
