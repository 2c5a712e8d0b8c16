--- `luxel detect train`: learns to find objects from images with boxes.
--
--     luxel detect train --data boxes.csv --images films --out runs/boxes
--     luxel detect train --phantoms 600 --size 128 --backbone cnn --stride 8 --out runs/phantoms
--
-- Splits by patient, and keeps the epoch with the best average precision (or FROC) on validation patients. Without
-- --data it learns from drawn phantoms.

local boxes = require "luxel.command.boxes"
local classify = require "luxel.command.train"
local lx = require "luxel"
local options = require "luxel.command.options"

local command = {summary = "Learns to find objects from images with boxes."}

local NETWORKS <const> = {"yolo_lite", "yolov2", "yolov2_tiny", "yolov3_tiny"}
local DARKNET_STRIDE <const> = 32
-- Of networks of one map; how many anchors each of the two maps of yolov3_tiny has is a part of it.
local ANCHORS <const>, ANCHORS_OF_TWO_MAPS <const> = 5, 6

--- Adds the options of the command.
function command.options(parser)
    boxes.add_data(parser)
    parser:option("--model", "Network.", NETWORKS[1]):choices(NETWORKS)
    parser:option("--backbone", "Of yolo_lite: the classifier whose maps it takes.", "efficientnet_lite0")
    options.add_number(parser, "--stride", "Of yolo_lite: pixels from cell to cell, 8, 16 or 32.", 16, 8, 32, true)
    options.add_number(parser, "--width", "Of yolo_lite: channels of its convolutions.", 128, 8, 1024, true)
    parser:option("--pretrained --weights", "Of yolo_lite: file of weights for the backbone, of torch.save or "
        .. "safetensors.")
    parser:option("--source", "Where these weights come from, where the file does not tell.")
    options.add_number(parser, "--anchors", ("How many, found in the training boxes by k-means; %d, and always %d of "
        .. "yolov3_tiny."):format(ANCHORS, ANCHORS_OF_TWO_MAPS), nil, 1, 16, true)
    options.add_size(parser, "Side to which images are resized, in pixels; a multiple of 32.", 256)
    options.add_number(parser, "--epochs", "Times to go through the images.", 30, 1, 100000, true)
    options.add_number(parser, "--batch", "Images in one step.", 16, 1, 4096, true)
    options.add_number(parser, "--lr", "Largest learning rate.", 0.001, 1e-9, 1e3)
    parser:option("--best", "What the best epoch has the best of: average precision at an overlap of one half, mean "
        .. "sensitivity at 1/8 to 8 false marks an image, the loss; or the last epoch."):choices({
            "ap50", "froc", "loss", "last",
        }):default "ap50"
    options.add_number(parser, "--false-marks", "How many an image the threshold of the model may give on the "
        .. "validation images.", 0.25, 0, 100)
    parser:flag("--balanced", "Images with objects as often as images without.")
    parser:option("--augment", "How training images vary: not, mirrored, or also moved, scaled, and in brightness and "
        .. "contrast."):choices({"none", "flips", "full"}):default "full"
    options.add_number(parser, "--mosaic", "Share of the training images that are put together of windows of four; 0: "
        .. "none.", 0, 0, 1)
    options.add_number(parser, "--multi-scale", "Training images are by up to this share smaller or larger, every ten "
        .. "batches of another size; 0: all of one.", 0, 0, 0.75)
    options.add_training(parser, "runs/boxes")
end

-- Boxes around turned boxes are too large, so that nothing is turned here.
local AUGMENTS <const> = {
    flips = {{"hflip", p = 0.5}},
    full = {{"hflip", p = 0.5}, {"shift", 0.08}, {"zoom", 0.15}, {"brightness", 0.1}, {"contrast", 0.15}},
}

local function check(args)
    boxes.check(args)
    if args.source and not args.pretrained then
        options.fail("--source says where the weights of --pretrained come from, and there are none")
    end
    if args.model ~= NETWORKS[1] and args.pretrained then
        options.fail(("--pretrained fills the backbone of %s; %s has none"):format(NETWORKS[1], args.model))
    end
    local two = args.model == "yolov3_tiny"
    if two and args.anchors and args.anchors ~= ANCHORS_OF_TWO_MAPS then
        options.fail(("--anchors: yolov3_tiny has three for each of its two maps, %d; got %d"):format(
            ANCHORS_OF_TWO_MAPS, args.anchors))
    end
    args.anchors = args.anchors or two and ANCHORS_OF_TWO_MAPS or ANCHORS
    options.check_training(args)
    if args.stride & args.stride - 1 ~= 0 then
        options.fail(("--stride: expected 8, 16 or 32, got %d"):format(args.stride))
    end
    if args.size % DARKNET_STRIDE ~= 0 then
        options.fail(("--size: expected a multiple of %d, got %d"):format(DARKNET_STRIDE, args.size))
    end
    options.check_size(args)
end

-- The multiples of 32 around the size, nil where there is to be one size.
local function sizes_of(args)
    if args.multi_scale == 0 then return nil end
    local sizes, step = {}, DARKNET_STRIDE
    for size = step, (math.floor(args.size * (1 + args.multi_scale))), step do
        if size >= args.size * (1 - args.multi_scale) then sizes[#sizes + 1] = size end
    end
    if #sizes == 1 then
        options.fail(("--multi-scale: there is no other multiple of %d from %g to %g; say more than %g"):format(step,
            args.size * (1 - args.multi_scale), args.size * (1 + args.multi_scale), args.multi_scale))
    end
    return sizes
end

local function read_data(args)
    if not args.data then
        print(("drawing %d phantoms"):format(args.phantoms))
        return options.must(lx.data.phantom({
            n = args.phantoms, size = args.size, seed = args.seed, task = "detection",
        }):split {val = args.val, seed = args.seed})
    end
    local frame = boxes.frame(args)
    local train, val = frame:split {val = args.val, seed = args.seed}
    if not train then options.fail(val) end
    return options.load(train, args.size, args.strict), options.load(val, args.size, args.strict)
end

-- Anchors in cells of so many pixels, for the sizes that boxes have in the network's image.
local function anchors_of(args, train_set, stride)
    local sizes, different = {}, {}
    for i = 1, #train_set do
        local height, width = train_set:extent(i)
        for _, box in ipairs(train_set.boxes[i]) do
            local w, h = box.w * args.size / width / stride, box.h * args.size / height / stride
            sizes[#sizes + 1] = {w, h}
            different[("%.17g %.17g"):format(w, h)] = true
        end
    end
    if #sizes == 0 then options.fail("no training image has a box") end
    local count = 0
    for _ in pairs(different) do count = count + 1 end
    if args.model == "yolov3_tiny" and count < ANCHORS_OF_TWO_MAPS then
        options.fail(("the training boxes have %d different sizes, and yolov3_tiny wants anchors of %d; choose another "
            .. "--model"):format(count, ANCHORS_OF_TWO_MAPS))
    end
    local anchors, iou = options.must(lx.vision.boxes.anchors(sizes, math.min(args.anchors, count), {seed = args.seed}))
    local words = {}
    for i, anchor in ipairs(anchors) do
        words[i] = ("%.0f x %.0f"):format(anchor[1] * stride, anchor[2] * stride)
    end
    print(("anchors in pixels of %d x %d: %s; the best one of a box overlaps it by %.3f on the average"):format(
        args.size, args.size, table.concat(words, ", "), iou))
    return anchors
end

-- The network with its first weights, and the options that build it again.
local function build(args, train_set)
    local lite = args.model == NETWORKS[1]
    -- anchors of yolo layers are in pixels, those of region layers in cells
    local stride = lite and args.stride or args.model == "yolov3_tiny" and 1 or DARKNET_STRIDE
    local network = {anchors = anchors_of(args, train_set, stride), channels = 1}
    if lite then network.backbone, network.stride, network.width = args.backbone, stride, args.width end
    local all = {size = args.size, outputs = #train_set.classes, pretrained = args.pretrained, source = args.source}
    for name, value in pairs(network) do all[name] = value end
    local ok, net, message = pcall(lx.models.build, args.model, all)
    if not ok then options.fail((tostring(net):gsub("^[^\n]-:%d+: ", ""))) end
    options.must(net, message)
    if args.pretrained then
        local about = net.pretrained
        print(("backbone with weights of %s%s; the rest begins anew"):format(about.source,
            about.summed and ", the first convolution summed over its channels" or ""))
    end
    return net, network
end

-- Sets that models are only judged on: a model that learned from one has to say so.
local function outside_sets(train_set)
    local sets, seen = {}, {}
    for _, path in ipairs(train_set.paths) do
        local set = lx.data.outside(path)
        if set and not seen[set] then seen[set], sets[#sets + 1] = true, set end
    end
    if #sets == 0 then return nil end
    io.stderr:write(("[WARN] images of %s are among those to learn from, which this library judges models on: the "
        .. "model says so, and no figure on that set is one of new images\n"):format(table.concat(sets, "; ")))
    return sets
end

-- The options of lx.train.fit.
local function plan(args, device, train_set, val_set)
    lx.manual_seed(args.seed)
    local net, network = build(args, train_set)
    net:to(device)
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = args.lr, weight_decay = 0.01})
    local steps = math.max(2, math.ceil(#train_set / args.batch) * args.epochs)
    return {
        net = net, optimizer = optimizer, train = train_set, val = val_set, epochs = args.epochs, batch = args.batch,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps}),
        seed = args.seed, best = args.best, ema = args.ema > 0 and args.ema or nil, balanced = args.balanced or false,
        patience = args.patience > 0 and args.patience or nil, threshold = {false_marks = args.false_marks}, clip = 10,
        enhance = args.enhance ~= "none" and {{args.enhance}} or nil,
        augment = AUGMENTS[args.augment] or false, mosaic = args.mosaic > 0 and args.mosaic or nil,
        sizes = sizes_of(args),
        metadata = {
            model = args.model, network = network, size = args.size, classes = train_set.classes, images = #train_set,
            outside_sets = outside_sets(train_set),
        },
        out = args.out, resume = args.resume, overwrite = args.overwrite,
    }
end

--- Runs the command.
---@param args table the options
---@return integer status
function command.run(args)
    check(args)
    local device, device_words = options.device(args.device)
    print("computing on " .. device_words)
    local train_set, val_set = read_data(args)
    print("training on " .. boxes.words(train_set))
    print("validating on " .. boxes.words(val_set))
    local result = options.must_fit(lx.train.fit(plan(args, device, train_set, val_set)))
    local best = result.best
    local function known(value) return value and ("%.4f"):format(value) or "n/a" end
    if best then
        print(("best epoch %d: AP50 %s, mean sensitivity at 1/8 to 8 false marks an image %s, threshold %s; model in "
            .. "%s/best.safetensors"):format(best.epoch, known(best.ap50), known(best.froc), known(best.threshold),
            args.out))
    elseif result.epoch > 0 then
        io.stderr:write("error: no model was saved: ", result.save_problem or "no epoch was the best", "\n")
    end
    if result.epoch > 0 and not result.save_problem then classify.show_run(args) end
    return classify.status_of(result)
end

return command
