--- Detectors: YOLOv2 and its small form (Redmon and Farhadi 2017, "YOLO9000: better, faster, stronger"), YOLOv3-tiny
-- (Redmon and Farhadi 2018, "YOLOv3: an incremental improvement"), and a small one over the maps of a classifier.
--
-- `outputs` are the classes of objects. Networks of one map [N,anchors (5 + outputs),H,W] have `net.anchors`, {width,
-- height} each in cells of that map, for `F.region_loss` and `lx.vision.boxes.decode_region`. The first three are
-- written down layer by layer as darknet's configurations are, with its numbers: `lx.io.darknet.load_weights` fills
-- them from published weights, and `lx.io.darknet.write_cfg(path, net.cfg)` writes the configuration.

local args = require "luxel.args"
local blocks = require "luxel.models.blocks"
local classifiers = require "luxel.models.classifiers"
local darknet = require "luxel.models.darknet"
local lx = require "luxel"
local near = require "luxel.near"
local network = require "luxel.models.network"
local pretrained = require "luxel.models.pretrained"

local nn, F = lx.nn, lx.nn.functional

-- ---- layer by layer -------------------------------------------------------------------------------------------

local function conv(filters, size)
    return {name = "convolutional", options = {batch_normalize = 1, filters = filters, size = size, stride = 1,
        pad = 1, activation = "leaky"}}
end

local function linear(filters)
    return {name = "convolutional", options = {filters = filters, size = 1, stride = 1, pad = 1, activation = "linear"}}
end

local function pool(stride) return {name = "maxpool", options = {size = 2, stride = stride}} end

local function route(...) return {name = "route", options = {layers = {...}}} end

local HALVE <const> = pool(2)

-- Table 6 of the paper, without its last convolution, which tells the classes of ImageNet.
local DARKNET19 <const> = {
    conv(32, 3), HALVE, conv(64, 3), HALVE, conv(128, 3), conv(64, 1), conv(128, 3), HALVE,
    conv(256, 3), conv(128, 1), conv(256, 3), HALVE,
    conv(512, 3), conv(256, 1), conv(512, 3), conv(256, 1), conv(512, 3), HALVE,
    conv(1024, 3), conv(512, 1), conv(1024, 3), conv(512, 1), conv(1024, 3),
}

-- The passthrough: the last map of 26 × 26 (layer 16), each 2 × 2 of it in the channels of one place, beside the map of
-- 13 × 13.
local PASSTHROUGH <const> = {
    conv(1024, 3), conv(1024, 3), route(-9), conv(64, 1), {name = "reorg", options = {stride = 2}}, route(-1, -4),
    conv(1024, 3),
}

local TINY <const> = {
    conv(16, 3), HALVE, conv(32, 3), HALVE, conv(64, 3), HALVE, conv(128, 3), HALVE, conv(256, 3), HALVE, conv(512, 3),
    pool(1), conv(1024, 3),
}

-- The anchors that were found for Pascal VOC, in cells, and for COCO, in pixels of 416 × 416.
local VOC <const> = {{1.3221, 1.73145}, {3.19275, 4.00944}, {5.05587, 8.09892}, {9.47112, 4.84053}, {11.2364, 10.0071}}
local VOC_TINY <const> = {{1.08, 1.19}, {3.42, 4.41}, {6.63, 11.38}, {9.42, 5.11}, {16.62, 10.52}}
local COCO <const> = {{10, 14}, {23, 27}, {37, 58}, {81, 82}, {135, 169}, {344, 319}}

local function flat(anchors)
    local out = {}
    for _, anchor in ipairs(anchors) do out[#out + 1], out[#out + 2] = anchor[1], anchor[2] end
    return out
end

local function region(options)
    return {name = "region", options = {
        anchors = flat(options.anchors), num = #options.anchors, classes = options.outputs, coords = 4, softmax = 1,
        bias_match = 1, rescore = 1, object_scale = 5, noobject_scale = 1, class_scale = 1, coord_scale = 1,
        absolute = 1, thresh = 0.6,
    }}
end

local function yolo(options, ...)
    return {name = "yolo", options = {
        mask = {...}, anchors = flat(options.anchors), num = #options.anchors, classes = options.outputs,
    }}
end

local function with_defaults(options, anchors)
    return args.with_defaults(options, {outputs = 20, channels = 3, size = 416, anchors = anchors})
end

local STRIDE <const> = 32

local function check_anchors(name, anchors, count)
    for i, anchor in ipairs(anchors) do
        local w, h = anchor[1], anchor[2]
        local ok = type(w) == "number" and type(h) == "number" and w > 0 and h > 0 and w < 1e6 and h < 1e6
        if not ok or #anchor ~= 2 then
            args.fail("%s: options: option 'anchors': expected pairs {width, height} above 0, got another at place %d",
                name, i)
        end
    end
    if #anchors == 0 or #anchors > 64 or count and #anchors ~= count then
        args.fail("%s: options: option 'anchors': expected %s of them, got %d", name, count or "1 to 64", #anchors)
    end
end

-- The network of these parts, each a section or a list of them.
local function build(name, options, ...)
    if options.size % STRIDE ~= 0 then
        args.fail("%s: options: option 'size': expected a multiple of %d pixels, got %d", name, STRIDE, options.size)
    end
    local cfg = {{name = "net", options = {width = options.size, height = options.size, channels = options.channels}}}
    for _, part in ipairs {...} do
        for _, section in ipairs(part.name and {part} or part) do cfg[#cfg + 1] = section end
    end
    local sections = {}
    for i, section in ipairs(cfg) do sections[i] = {name = section.name, line = i, options = section.options} end
    local ok, plans = pcall(darknet.plan, sections, {root = "inside", momentum = 0.1, parameters = 1 << 27})
    if not ok then args.fail("%s: options: %s", name, type(plans) == "table" and plans.darknet or tostring(plans)) end
    local net = network.initialised(function() return darknet.Darknet(plans) end, {
        conv = function(weight) nn.init.kaiming_normal_(weight, {a = 0.1, nonlinearity = "leaky_relu"}) end,
    })
    net.outputs, net.cfg = options.outputs, cfg
    if #net.detections == 1 then net.anchors = net.detections[1].anchors end
    return net
end

-- ---- over the maps of a classifier ----------------------------------------------------------------------------

local YoloLite = nn.class("YoloLite", network.Network)

function YoloLite:init(encoder, options)
    local maps = encoder.map_channels
    local coarsest = 1 << (#maps - (encoder.finest == 1 and 1 or 0)) -- pixels of the images from cell to cell
    if options.stride > coarsest then
        args.fail("yolo_lite: options: option 'stride': the coarsest map of %s has a stride of %d, got %d",
            options.backbone, coarsest, options.stride)
    end
    local back, width = 0, options.width
    while coarsest >> back > options.stride do back = back + 1 end
    self.channels, self.outputs, self.anchors, self.stride = options.channels, options.outputs, options.anchors,
        options.stride
    self.smallest, self.finest, self.map_channels, self.place = encoder.smallest, encoder.finest, maps, #maps - back
    self.encoder = encoder
    self.reduce = blocks.conv_norm(maps[#maps], width, 1, {activation = nn.ReLU()})
    if back > 0 then
        self.merge = blocks.conv_norm(width + maps[self.place], width, 3, {activation = nn.ReLU()})
    end
    self.neck = blocks.conv_norm(width, width, 3, {activation = nn.ReLU()})
    self.output = nn.Conv2d(width, #options.anchors * (5 + options.outputs), 1)
end

--- The maps of the classifier.
---@param x Tensor [N,channels,H,W]
---@return Tensor[] maps
function YoloLite:feature_maps(x) return self.encoder:feature_maps(x) end

--- Some of them.
---@param x Tensor [N,channels,H,W]
---@param places integer[]
---@return Tensor[] maps
function YoloLite:maps_at(x, places) return self.encoder:maps_at(x, places) end

--- What comes before the last convolution: the map of the network's stride beside the coarsest one, which has seen the
--- whole image.
---@param x Tensor [N,channels,H,W]
---@return Tensor [N,width,H/stride,W/stride]
function YoloLite:features(x)
    self:check_images(x)
    local last = #self.map_channels
    local maps = self:maps_at(x, self.place < last and {self.place, last} or {last})
    local y, map = self.reduce(maps[#maps]), maps[1]
    if self.place < last then
        y = self.merge(lx.cat({F.interpolate(y, {size = {map.shape[3], map.shape[4]}}), map}, 2))
    end
    return self.neck(y)
end

function YoloLite:head(maps) return self.output(maps) end

-- The classifier, with the weights of a file where there is one; or nil, message, code.
local function encoder_of(options)
    local make = classifiers[options.backbone]
    if not make or options.backbone == "lenet" then
        local names = {}
        for name in pairs(classifiers) do names[#names + 1] = name ~= "lenet" and name or nil end
        table.sort(names)
        args.fail("yolo_lite: options: option 'backbone': there is no network '%s' with maps%s; there are %s",
            options.backbone, near.suggestion(options.backbone, names), table.concat(names, ", "))
    end
    if not options.pretrained then
        return make {channels = options.channels, outputs = false, variant = options.variant}
    end
    local filled, message, code = pretrained.build(options.backbone, make, {
        channels = options.channels, outputs = 1, pretrained = options.pretrained, source = options.source,
        head = "replace", variant = options.variant,
    })
    if not filled then return nil, message, code end
    local encoder = nn.init.skip(make, {
        channels = options.channels, outputs = false, variant = filled.pretrained.variant or options.variant,
    })
    local all, own = filled:state_dict(), {}
    for _, name in ipairs(encoder:state_names()) do own[name] = all[name] end
    encoder:load_state_dict(own)
    encoder.pretrained = filled.pretrained
    return encoder
end

-- How sure a new network is that there is an object: nearly no place has one (Lin et al. 2017, "Focal loss for dense
-- object detection", section 3.3).
local PRIOR <const> = 0.01

-- The last layer begins with small weights and that prior, the others as usual.
local function begin_head(net)
    nn.init.normal_(net.output.weight, 0, 0.01)
    nn.init.zeros_(net.output.bias)
    local entries = 5 + net.outputs
    lx.no_grad(function()
        for a = 0, #net.anchors - 1 do
            net.output.bias:narrow(1, a * entries + 5, 1):fill_(math.log(PRIOR / (1 - PRIOR)))
        end
    end)
end

-- ---- by name --------------------------------------------------------------------------------------------------

local detectors = {}

--- YOLOv2 (Redmon and Farhadi 2017): Darknet-19 with a passthrough, as yolov2-voc.cfg of darknet.
---@param options? {outputs: integer?, channels: integer?, size: integer?, anchors: number[][]?} outputs: classes of
---  objects, default 20; channels: of the images, default 3; size: side of the images in pixels, a multiple of 32,
---  default 416; others may do; anchors: {width, height} each in cells of 32 pixels, default those found for Pascal VOC
---@return Module net [N,channels,H,W] of 0 to 1 to [N,anchors (5 + outputs),H/32,W/32]
function detectors.yolov2(options)
    local all = with_defaults(options, VOC)
    check_anchors("yolov2", all.anchors)
    return build("yolov2", all, DARKNET19, PASSTHROUGH, linear(#all.anchors * (5 + all.outputs)), region(all))
end

--- Tiny-YOLOv2, as yolov2-tiny-voc.cfg of darknet.
---@param options? {outputs: integer?, channels: integer?, size: integer?, anchors: number[][]?} as of `yolov2`
---@return Module net [N,channels,H,W] of 0 to 1 to [N,anchors (5 + outputs),H/32,W/32]
function detectors.yolov2_tiny(options)
    local all = with_defaults(options, VOC_TINY)
    check_anchors("yolov2_tiny", all.anchors)
    return build("yolov2_tiny", all, TINY, conv(1024, 3), linear(#all.anchors * (5 + all.outputs)), region(all))
end

--- YOLOv3-tiny (Redmon and Farhadi 2018), as yolov3-tiny.cfg of darknet: two maps, which `lx.vision.boxes.decode_yolo`
--- reads by `net.detections[i].anchors`; `F.yolo_loss` is the loss of each, with `anchors` and `own` of
--- `net.detections[i].all` and `own`. `lx.train.fit` does that by itself.
---@param options? {outputs: integer?, channels: integer?, size: integer?, anchors: number[][]?} outputs: classes of
---  objects, default 80; channels: default 3; size: a multiple of 32, default 416; anchors: six {width, height} in
---  pixels, the first three for the finer map; default those found for COCO
---@return Module net [N,channels,H,W] of 0 to 1 to two maps, [N,3 (5 + outputs),H/32,W/32] and
---  [N,3 (5 + outputs),H/16,W/16]
function detectors.yolov3_tiny(options)
    local all = args.with_defaults(options, {outputs = 80, channels = 3, size = 416, anchors = COCO})
    check_anchors("yolov3_tiny", all.anchors, 6)
    local out = linear(3 * (5 + all.outputs))
    return build("yolov3_tiny", all, TINY, conv(256, 1), conv(512, 3), out, yolo(all, 3, 4, 5),
        route(-4), conv(128, 1), {name = "upsample", options = {stride = 2}}, route(-1, 8), conv(256, 3), out,
        yolo(all, 0, 1, 2))
end

--- A small detector of one map for radiographs: the maps of a classifier, the coarsest beside the one of the wanted
--- stride, two 3×3 convolutions, and the numbers of a region layer.
---@param options? {outputs: integer?, channels: integer?, size: integer?, anchors: number[][]?, backbone: string?,
---  stride: 8|16|32|nil, width: integer?, pretrained: string?, source: string?, variant: string?} outputs: classes of
---  objects, default 1; channels: of the images, default 1; size: is only checked; anchors: {width, height} each in
---  cells, default three squares of 2, 4 and 7; backbone: a classifier of `lx.models`, default "efficientnet_lite0";
---  stride: pixels from cell to cell, default 16; sides that it divides waste nothing; width: channels of the
---  convolutions, default 128; pretrained, source, variant: a file of weights for the backbone, as classifiers take it
---@return Module? net [N,channels,H,W] to [N,anchors (5 + outputs),H/stride,W/stride]; nil where the file does not fit
---@return string? message, string? code
function detectors.yolo_lite(options)
    local all = args.with_defaults(options, {
        outputs = 1, channels = 1, anchors = {{2, 2}, {4, 4}, {7, 7}}, backbone = "efficientnet_lite0", stride = 16,
        width = 128,
    })
    if all.source and not all.pretrained then
        args.fail("yolo_lite: options: option 'source': it belongs to 'pretrained', which is missing")
    end
    check_anchors("yolo_lite", all.anchors)
    local encoder, message, code = encoder_of(all)
    if not encoder then return nil, message, code end
    -- the head is new in any case; the encoder keeps the weights that it has
    local kept = encoder:state_dict()
    for name, tensor in pairs(kept) do kept[name] = tensor:detach():clone() end
    local net = network.initialised(function() return YoloLite(encoder, all) end)
    encoder:load_state_dict(kept)
    begin_head(net)
    net.pretrained = encoder.pretrained
    return net
end

return detectors
