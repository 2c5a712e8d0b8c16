-- Everything that users can call, generated from what there is: each function is declared, and refuses what it does not
-- take with a message that names it, its argument and the user's line; every name prints.

local core = require "luxel.core"
local lx = require "luxel"
local args = require "luxel.args"
local lfs = require "lfs"
local random = require "luxel.random"

-- What is not declared yet, or lets names pass that it does not have, as patterns of names; a class is `Name:`.
local NOT_YET <const> = {"^Tensor:$", "^Module:$", "^Optimizer:$", "^Scheduler:$"}

-- Methods of classes that only the library calls.
local INTERNAL <const> = {["Optimizer:update"] = true, ["Scheduler:rate"] = true,
    ["Tensor:index"] = true, ["Tensor:assign"] = true, ["Module:names"] = true}

-- What no message may contain.
local INNER <const> = {"bad argument", "attempt to", "lua/luxel/", "csrc/", "stack traceback", "declaration:"}

-- ---- objects ----------------------------------------------------------------------------------------------------

local home, work -- where the test began, and a folder in which paths may be made of anything

local dataset, frame, made -- the objects whose methods are looked at, by the title of their class

local function make_predictor()
    assert(lx.checkpoint.save("model", lx.models.cnn({size = 32}):state_dict(), {
        schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "cnn", size = 32, seed = 1,
        classes = {"NORMAL", "INFECTED"}, positive = "INFECTED", input = {channels = 1, low = 0, high = 1}, epoch = 1,
        normalisation = {mean = 0.5, std = 0.25}, threshold = 0.5, calibration = false,
        chosen = {threshold = "Youden", calibration = "none", images = 9},
    }))
    return assert(lx.predictor.open("model"))
end

local function normal_images()
    return lx.data.dataset {images = lx.rand(12, 1, 32, 32) * 255, labels = lx.zeros(12)}
end

local function make_detector()
    local detector = assert(lx.anomaly.fit(normal_images(), {method = "autoencoder", epochs = 1}))
    assert(detector:save("detector"))
    return detector
end

local function make_objects()
    dataset = lx.data.phantom {n = 6, size = 32}
    lx.data.phantom_save("set", {n = 12, size = 32})
    frame = assert(lx.data.image_folder("set"))
    local net = lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(32 * 32, 1))
    local optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1})
    made = {
        Tensor = lx.rand(2, 3), Dataset = dataset, Frame = frame, Audit = assert(lx.data.audit("set")),
        Pipeline = lx.vision.pipeline {{"rotate", 10}}, Compiled = lx.compile(function(x) return x + 1 end),
        Profile = lx.profile(function() return lx.ones(2) + 1 end), ProfileSession = lx.profile.start("cpu"),
        Kernel = lx.opencl.kernel {name = "f", source = "__kernel void f(__global float *x) { x[0] = 1; }"},
        Console = lx.train.console(assert(io.open("console", "w"))), Device = lx.device("cpu"), Devices = lx.devices(),
        memory = lx.memory(), Report = lx.metrics.report({0.1, 0.9}, {0, 1}, {n = 5}),
        confusion = lx.metrics.confusion({0.1, 0.9}, {0, 1}), ["ROC curve"] = lx.metrics.roc({0.1, 0.9}, {0, 1}),
        ["operating point"] = select(2, lx.metrics.youden({0.1, 0.9}, {0, 1})),
        reliability = select(2, lx.metrics.ece({0.1, 0.9}, {0, 1})),
        quality = lx.vision.quality(dataset:image(1)), Tuned = lx.tune(lx.nn.ReLU(), {1, 2}),
        calibration = lx.calibration.fit({-1, 1, 2, -2}, {0, 1, 1, 0}), Module = net, Optimizer = optimizer,
        Scheduler = lx.optim.lr_scheduler.StepLR(optimizer, {step_size = 2}), Predictor = make_predictor(),
        Styles = lx.data.styles(dataset, {k = 2}), Detector = make_detector(),
        BorderProbe = assert(lx.data.border_probe(lx.data.phantom {n = 50, size = 32}, {resamples = 5})),
        ["prior shift"] = lx.calibration.prior_shift({0.2, 0.7}, 0.5), conformal = lx.conformal.fit({0.2, 0.7}, {0, 1}),
        ["prediction sets"] = lx.conformal.evaluate({{0}}, {1}),
        ["precision-recall curve"] = lx.metrics.precision_recall({0.1, 0.9}, {0, 1}),
        ["decision curve"] = lx.metrics.decision_curve({0.1, 0.9}, {0, 1}),
        ["Brier score"] = lx.metrics.brier_decomposition({0.1, 0.9}, {0, 1}),
        ["calibration error if calibrated"] = lx.metrics.calibrated_ece({0.1, 0.9}, {0, 1}),
        AUC = assert(lx.metrics.delong({0.1, 0.2, 0.3, 0.4, 0.5}, {0, 1, 0, 1, 0})),
        ["DeLong's test"] = assert(lx.metrics.delong_test({0.1, 0.2, 0.3, 0.4, 0.5}, {0.1, 0.3, 0.2, 0.4, 0.5},
            {0, 1, 0, 1, 0})),
        difference = lx.metrics.paired_bootstrap(lx.metrics.auc, {0.1, 0.3, 0.2, 0.4}, {0.4, 0.3, 0.2, 0.1},
            {0, 1, 0, 1}, {n = 5}),
        ReportSearch = lx.text.search {"No effusion."}, ["search hits"] = lx.text.search({"No effusion."})("effusion"),
        Tokenizer = lx.text.tokenizer {"No effusion."},
        labels = lx.text.label "No effusion.", Rules = assert(lx.text.rules()),
        study = assert(lx.report.study(assert(lx.predictor.open("model")), {
            bytes = core.encode_png(dataset:image(1)),
        })),
        SuggestionRules = assert(lx.report.rules()),
        suggestions = lx.report.suggest {{finding = "Mass", probability = 0.5}},
        ["risk-coverage curve"] = lx.metrics.risk_coverage({0.1, 0.9}, {0, 1}),
        ["bands of curves"] = assert(lx.metrics.curve_bands({0.1, 0.9, 0.3, 0.4}, {0, 1, 0, 1}, {n = 5})),
    }
end

-- ---- what there is ----------------------------------------------------------------------------------------------

local functions -- {name =, f =, object = title of the class for methods}
local namespaces -- name -> table

local function is_callable_class(value)
    local meta = getmetatable(value)
    return type(meta) == "table" and meta.__call ~= nil
end

-- The declared function behind a public value: itself, or what calling the table does.
local function declared_of(value)
    if args.declared[value] then return value end
    local meta = type(value) == "table" and getmetatable(value)
    if meta and args.declared[rawget(meta, "__call")] then return rawget(meta, "__call") end
    if type(value) == "table" and args.declared[rawget(value, "init")] then return rawget(value, "init") end
    return nil
end

local function walk(name, space)
    if namespaces[name] then return end
    namespaces[name] = space
    for member in tostring(space):gmatch("[ ,]([%a_][%w_]*)%f[,\n%z]") do
        local value, full = rawget(space, member), name .. "." .. member
        if value == nil then value = space[member] end -- a part that is loaded when it is wanted
        if type(value) == "function" or type(value) == "table" and is_callable_class(value) then
            functions[#functions + 1] = {name = full, value = value, f = declared_of(value)}
        end
        local meta = type(value) == "table" and getmetatable(value)
        if meta and meta.__name and meta.__name:find("^lx%.") then walk(full, value) end
    end
end

-- The methods of an object, which its class and those above it have.
local function methods_of(title, object)
    local meta = debug.getmetatable(object)
    local seen, class = {}, meta or {}
    if meta and type(meta.__index) == "table" then class = meta.__index end
    if title == "Tensor" then class = lx.autograd and getmetatable(object).methods or class end
    while type(class) == "table" do
        for member, value in next, class do
            if type(value) == "function" and not member:find("^__") and not seen[member] then
                seen[member] = true
                functions[#functions + 1] = {name = title .. ":" .. member, value = value, f = declared_of(value),
                    object = title}
            end
        end
        local above = getmetatable(class)
        class = type(above) == "table" and rawget(above, "__index")
    end
    local value = meta and rawget(meta, "__call")
    if args.declared[value] then
        functions[#functions + 1] = {name = title .. " as a function", value = value, f = value, object = title}
    end
end

local function look_around()
    functions, namespaces = {}, {}
    walk("lx", lx)
    for title, object in pairs(made) do methods_of(title, object) end
    made.ProfileSession:abandon()
    table.sort(functions, function(a, b) return a.name < b.name end)
end

-- ---- calls --------------------------------------------------------------------------------------------------------

local SOURCE <const> = debug.getinfo(1, "S").short_src
local LINE <const> = debug.getinfo(1, "l").currentline + 3

local function call(f, list)
    local results = table.pack(f(table.unpack(list, 1, list.n)))
    return results
end

-- Calls, and puts back what calls may have changed for those after them. Returns nil if it worked, else the message.
-- Networks do not draw their weights, of which some have 140 million, where nothing is computed with them.
local function attempt(entry, list)
    local ok, message
    if entry.name:find("^lx%.models") then
        ok, message = pcall(lx.nn.init.skip, call, entry.value, list)
    else
        ok, message = pcall(call, entry.value, list)
    end
    if ok and getmetatable(message[1]) == getmetatable(made.ProfileSession) then message[1]:abandon() end
    lx.memory_budget("cpu", 1 << 30)
    lx.threads(2)
    lx.on_notice(false)
    if not ok then return tostring(message) end
end

-- What is wrong with a message that begins with the place of the call and the function's name; nil if nothing is.
local function fault_of(name, message)
    local place = ("%s:%d: "):format(SOURCE, LINE)
    if message:sub(1, #place) ~= place then return "is not at the user's line" end
    local text = message:sub(#place + 1)
    if text:sub(1, #name) ~= name or not text:find("^[: ]", #name + 1) then return "does not begin with " .. name end
    for _, inner in ipairs(INNER) do
        if text:find(inner, 1, true) then return ("says '%s'"):format(inner) end
    end
end

-- ---- valid arguments ------------------------------------------------------------------------------------------------

local function image() return dataset:image(1) end
local function png() return core.encode_png((image():byte())) end

-- Arguments that work, where those made of the declaration alone would not: by the name of the function.
local EXAMPLES <const> = {
    ["lx.help"] = function() return "zeros" end,
    ["lx.data.audit"] = function() return "set" end,
    ["lx.data.image_folder"] = function() return "set" end,
    ["lx.data.phantom"] = function() return {n = 2, size = 16} end,
    ["lx.data.phantom_save"] = function() return "phantoms", {n = 2, size = 16} end,
    ["lx.data.frame"] = function() return {{path = "a.png", label = "sick"}, {path = "b.png", label = "healthy"}}, {
        label = "label"} end,
    ["lx.data.dataset"] = function()
        return {images = lx.zeros({2, 1, 4, 4}, {dtype = "uint8"}), labels = {0, 1}}
    end,
    ["lx.metrics.share_interval"] = function() return {1, 0, 1}, false, {n = 5} end,
    ["lx.data.batches"] = function() return dataset, {batch = 4} end,
    ["lx.data.styles"] = function() return dataset, {k = 2} end,
    ["BorderProbe:score"] = function() return made.BorderProbe, dataset end,
    ["lx.data.mosaic"] = function() return lx.rand(2, 1, 8, 8), lx.zeros(2, 1, 5) end,
    ["lx.data.mixup"] = function() return lx.rand(2, 1, 4, 4), lx.rand(2, 1) end,
    ["lx.data.cutmix"] = function() return lx.rand(2, 1, 4, 4), lx.rand(2, 1) end,
    ["lx.metrics.threshold_at_sensitivity"] = function() return {0.1, 0.9, 0.3}, {0, 1, 1}, 0.9 end,
    ["lx.metrics.bootstrap"] = function() return lx.metrics.auc, {0.1, 0.9, 0.3}, {0, 1, 1}, {n = 5} end,
    ["lx.metrics.report"] = function() return {0.1, 0.9, 0.3}, {0, 1, 1}, {n = 5} end,
    ["lx.metrics.format_report"] = function() return made.Report, {"no", "yes"} end,
    ["lx.autograd.define"] = function()
        return "nothing", {forward = function(_, x) return x end, backward = function(_, g) return g end}
    end,
    ["lx.autograd.backward"] = function() return lx.ones({1}, {requires_grad = true}):sum() end,
    ["lx.vision.load_all"] = function() return {"film.png"} end,
    ["lx.vision.decode"] = function() return png() end,
    ["lx.vision.pipeline"] = function() return {{"hflip"}} end,
    ["lx.vision.warp_affine"] = function() return image(), {1, 0, 0, 0, 1, 0} end,
    ["lx.vision.warp_perspective"] = function() return image(), {1, 0, 0, 0, 1, 0, 0, 0, 1} end,
    ["lx.vision.affine"] = function() return image(), {angle = 3} end,
    ["lx.vision.pad"] = function() return image(), 2 end,
    ["lx.vision.crop"] = function() return image(), {x = 1, y = 1, w = 4, h = 4} end,
    ["lx.vision.canny"] = function() return image(), 10, 20 end,
    ["lx.tune"] = function() return lx.nn.ReLU(), {1, 2} end,
    ["lx.opencl.kernel"] = function() return {name = "f", source = "__kernel void f(__global float *x) {}"} end,
    ["Dataset:subset"] = function() return dataset, {1, 2} end,
    ["Dataset:leave_group_out"] = function() return dataset, {1, 2, 1, 2, 1, 2} end,
    ["Pipeline:preview"] = function() return made.Pipeline, image(), "sheet.png", {n = 1, side = 16} end,
    ["Frame:load"] = function() return frame, {size = 16} end,
    ["Frame:open"] = function() return frame, {size = 16} end,
    ["Console:step"] = function()
        return made.Console, {epoch = 1, epochs = 2, batch = 1, batches = 2, rate = 1, loss = 1, left = 1}
    end,
    ["Console:epoch"] = function()
        return made.Console, {epoch = 1, epochs = 2, loss = 1, val_loss = 1, val_accuracy = 1, seconds = 1,
            images_per_second = 1}
    end,
    ["lx.train.fit"] = function()
        local net = lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(32 * 32, 1))
        return {
            net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-4}),
            loss = lx.nn.functional.binary_cross_entropy_with_logits, train = dataset, val = dataset, epochs = 1,
            out = "run", progress = made.Console, batch = 3,
        }
    end,
    ["lx.train.predict"] = function()
        return lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(32 * 32, 1)), dataset
    end,
}

-- Functions of tensors that are methods too.
local function places() return lx.tensor({{1, 2, 1}}, {dtype = "int32"}) end
for name, make in pairs {
    backward = function() return lx.ones({1}, {requires_grad = true}):sum() end,
    bmm = function() return lx.rand(2, 2, 3), lx.rand(2, 3, 2) end,
    mm = function() return lx.rand(2, 3), lx.rand(3, 2) end,
    matmul = function() return lx.rand(2, 3), lx.rand(3, 2) end, expand = function() return lx.rand(1, 3), 2, 3 end,
    gather = function() return lx.rand(2, 3), 1, places() end, item = function() return lx.rand(1) end,
    index_select = function() return lx.rand(2, 3), 1, lx.tensor({1, 2}, {dtype = "int32"}) end,
    one_hot = function() return places(), 2 end, outer = function() return lx.rand(2), lx.rand(3) end,
    permute = function() return lx.rand(2, 3), 2, 1 end, reshape = function() return lx.rand(2, 3), 3, 2 end,
    view = function() return lx.rand(2, 3), 3, 2 end, tile = function() return lx.rand(2, 3), 1, 2 end,
    scatter = function() return lx.rand(2, 3), 1, places(), lx.rand(1, 3) end,
    scatter_add = function() return lx.rand(2, 3), 1, places(), lx.rand(1, 3) end,
} do
    EXAMPLES["lx." .. name], EXAMPLES["Tensor:" .. name] = make, make
end
EXAMPLES["lx.plot.spark"] = function() return {0.1, 0.9, 0.3} end
EXAMPLES["lx.plot.svg"] = function() return {{kind = "line", y = {1, 2}}} end
EXAMPLES["lx.plot.image"] = EXAMPLES["lx.plot.svg"]
EXAMPLES["lx.plot.save"] = function() return "plot.svg", {{kind = "line", y = {1, 2}}} end
EXAMPLES["lx.report.run"] = function()
    local file = assert(io.open("log.csv", "w"))
    file:write("epoch,loss\n1,0.5\n"):close()
    return "."
end
EXAMPLES["lx.report.evaluation"] = function() return "page.html", {0.1, 0.9, 0.3, 0.4, 0.5, 0.6}, dataset, {n = 5} end
EXAMPLES["lx.metrics.curve_bands"] = function() return {0.1, 0.9, 0.3, 0.4}, {0, 1, 0, 1}, {n = 5} end
EXAMPLES["lx.calibration.fit"] = function() return {-1, 1, 2, -2}, {0, 1, 1, 0} end
EXAMPLES["lx.calibration.fit_temperature"] = function() return {{1, 2}, {2, 1}}, {0, 1} end
EXAMPLES["lx.calibration.with_prior"] = function() return {0.2, 0.7}, 0.5, 0.1 end
EXAMPLES["lx.calibration.prior_shift"] = function() return {0.2, 0.7}, 0.5 end
EXAMPLES["lx.conformal.fit"] = function() return {0.2, 0.7}, {0, 1} end
EXAMPLES["lx.conformal.sets"] = function() return made.conformal, {0.2, 0.7}, 0.9 end
EXAMPLES["lx.conformal.p_values"] = function() return made.conformal, {0.2, 0.7} end
EXAMPLES["lx.conformal.evaluate"] = function() return {{0}, {0, 1}}, {0, 1} end
EXAMPLES["lx.conformal.quantile"] = function() return {0.2, 0.7}, 0.5 end
EXAMPLES["lx.conformal.p_value"] = function() return {0.2, 0.7}, 0.5 end
EXAMPLES["lx.report.study"] = function() return made.Predictor, {bytes = png()} end
EXAMPLES["lx.report.write_study"] = function() return "study.html", made.study end
EXAMPLES["lx.report.suggest"] = function() return {{finding = "Mass", probability = 0.5}} end
EXAMPLES["lx.text.search"] = function() return {"No effusion."} end
EXAMPLES["lx.text.tokenizer"] = function() return {"No effusion."} end
EXAMPLES["lx.text.load_tokenizer"] = function()
    assert(made.Tokenizer:save("tokenizer.json"))
    return "tokenizer.json"
end
EXAMPLES["Tokenizer:decode"] = function() return made.Tokenizer, {5, 6} end
EXAMPLES["Tokenizer:batch"] = function() return made.Tokenizer, {"a", "b"} end
EXAMPLES["lx.text.label"] = function() return {findings = "No effusion."} end
EXAMPLES["lx.metrics.threshold_at_specificity"] = function() return {0.1, 0.9, 0.3}, {0, 1, 1}, 0.9 end
EXAMPLES["lx.metrics.threshold_at_cost"] = function() return {0.1, 0.9, 0.3}, {0, 1, 1}, {miss = 5} end
EXAMPLES["lx.metrics.delong_test"] = function() return {0.1, 0.9, 0.3}, {0.2, 0.3, 0.9}, {0, 1, 1} end
EXAMPLES["lx.metrics.paired_bootstrap"] = function()
    return lx.metrics.auc, {0.1, 0.9, 0.3}, {0.2, 0.3, 0.9}, {0, 1, 1}, {n = 5}
end
for _, name in ipairs {"macro", "micro"} do
    EXAMPLES["lx.metrics." .. name] = function() return lx.metrics.f1, {{0.4, 0.6}, {0.8, 0.2}}, {1, 0} end
end
EXAMPLES["lx.metrics.risk_at_coverage"] = function() return {0.1, 0.9, 0.3}, {0, 1, 1}, 0.5 end
EXAMPLES["lx.einsum"] = function() return "ij,jk->ik", lx.rand(2, 3), lx.rand(3, 2) end
EXAMPLES["lx.from_string"] = function() return ("x"):rep(16), {2, 2} end
EXAMPLES["lx.gradcheck"] = function()
    return function(...) return ... end, {lx.ones({2}, {requires_grad = true})}
end
EXAMPLES["Predictor:predict"] = function() return made.Predictor, {bytes = png()} end
-- A model of masks, as files have it.
local function mask_predictor()
    if not made.MaskPredictor then
        assert(lx.checkpoint.save("masks.safetensors", lx.models.unet({width = 2, depth = 1}):state_dict(), {
            schema = require("luxel.schema").VERSION, task = "segmentation", version = "test", model = "unet",
            size = 32, network = {width = 2, depth = 1}, classes = {"lungs"}, input = {channels = 1, low = 0, high = 1},
            normalisation = {mean = 0.5, std = 0.25}, threshold = 0.5, calibration = false, seed = 1, epoch = 1,
            chosen = {threshold = "fixed", calibration = "none", images = 1},
        }))
        made.MaskPredictor = assert(lx.predictor.open "masks.safetensors")
    end
    return made.MaskPredictor
end
-- A model of boxes.
EXAMPLES["Predictor:detections"] = function()
    if not made.BoxPredictor then
        local network = {backbone = "cnn", width = 8, stride = 16, anchors = {{1, 1}}}
        assert(lx.checkpoint.save("boxes.safetensors", lx.models.yolo_lite(network):state_dict(), {
            schema = require("luxel.schema").VERSION, task = "detection", version = "test", model = "yolo_lite",
            size = 32, network = network, classes = {"opacity"}, input = {channels = 1, low = 0, high = 1},
            normalisation = {mean = 0.5, std = 0.25}, threshold = 0.5, calibration = false, seed = 1, epoch = 1,
            chosen = {threshold = "fixed", calibration = "none", images = 1},
        }))
        made.BoxPredictor = assert(lx.predictor.open "boxes.safetensors")
    end
    return made.BoxPredictor, dataset
end
EXAMPLES["Dataset:class_of"] = function()
    return lx.data.phantom {n = 2, size = 16, task = "detection"}, 1, {x = 1, y = 1, w = 4, h = 4}
end
local function box_frame()
    if not made.BoxFrame then
        lx.data.phantom_save("boxes", {n = 3, size = 32, task = "detection"})
        made.BoxFrame = assert(lx.data.box_frame("boxes/boxes.csv"))
    end
    return "boxes/boxes.csv", made.BoxFrame
end
EXAMPLES["lx.data.box_frame"] = function() return (box_frame()) end
EXAMPLES["lx.data.save_boxes"] = function() return "written.csv", select(2, box_frame()), {format = "csv"} end
EXAMPLES["Predictor:overlaps"] = function()
    return mask_predictor(), lx.data.phantom {n = 2, size = 32, task = "segmentation"}
end
EXAMPLES["lx.train.cross_validate"] = function()
    return {folds = {{train = dataset, val = dataset}}, out = "folds", overwrite = true, fit = function()
        local plan = EXAMPLES["lx.train.fit"]()
        plan.out = nil
        return plan
    end}
end
EXAMPLES["lx.train.shift"] = function()
    return {folds = {{group = "a", train = dataset, val = dataset}}, seeds = {1}, out = "shift", overwrite = true,
        fit = function()
            local plan = EXAMPLES["lx.train.fit"]()
            plan.out, plan.metadata = nil, {model = "cnn", size = 16}
            return plan
        end}
end
EXAMPLES["lx.train.over_seeds"] = function()
    return {seeds = 1, out = "seeds", overwrite = true, fit = function()
        local plan = EXAMPLES["lx.train.fit"]()
        plan.out, plan.overwrite = nil, nil
        return plan
    end}
end
EXAMPLES["lx.train.search"] = function()
    return {space = {batch = {2, 3}}, trials = 1, epochs = 1, out = "search", overwrite = true, fit = function()
        local plan = EXAMPLES["lx.train.fit"]()
        plan.out, plan.overwrite = nil, nil
        return plan
    end}
end
EXAMPLES["lx.train.find_lr"] = function() return EXAMPLES["lx.train.fit"](), {steps = 3} end
for _, name in ipairs {
    "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam", "occlusion", "integrated_gradients", "smooth_grad",
} do
    local few = name == "occlusion" and {window = 16, stride = 16} or {}
    EXAMPLES["lx.explain." .. name] = function()
        local options = {}
        for key, value in pairs(few) do options[key] = value end
        return made.Predictor, {bytes = png()}, options
    end
end
EXAMPLES["lx.explain.usual"] = function() return made.Predictor end
EXAMPLES["lx.explain.rank_correlation"] = function() return lx.rand(1, 4, 4), lx.rand(1, 4, 4) end
for _, name in ipairs {"energy_inside", "pointing_game"} do
    EXAMPLES["lx.explain." .. name] = function() return lx.rand(1, 4, 4), {{{x = 1, y = 1, w = 2, h = 2}}} end
end
EXAMPLES["lx.explain.similarity"] = function()
    return lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(4, 3)), lx.ones(2, 3)
end
EXAMPLES["lx.anomaly.fit"] = function() return normal_images(), {method = "autoencoder", epochs = 1} end
EXAMPLES["lx.anomaly.open"] = function() return "detector" end
EXAMPLES["Detector:p_value"] = function() return made.Detector, 0.5 end
EXAMPLES["Detector:predict"] = function() return made.Detector, {bytes = png()} end
EXAMPLES["Predictor:input"] = function() return made.Predictor, {bytes = png()} end
EXAMPLES["lx.metrics.mean"] = function() return {0.1, 0.9, 0.3}, {n = 5} end
EXAMPLES["lx.metrics.dice"] = function() return lx.ones(2, 3), lx.ones(2, 3) end
EXAMPLES["lx.metrics.iou"] = EXAMPLES["lx.metrics.dice"]
for _, name in ipairs {"coco", "detection_ap", "detection_ap_interval", "lesion_marks"} do
    EXAMPLES["lx.metrics." .. name] = function()
        return {{image = 1, box = {0, 0, 1, 1}}}, {{image = 1, box = {0, 0, 1, 1}, score = 0.5}}
    end
end
for _, name in ipairs {"froc", "froc_intervals", "froc_sensitivity", "jafroc"} do
    EXAMPLES["lx.metrics." .. name] = function()
        return {{lesions = 1, marks = {{score = 1, lesion = 1}}}, {lesions = 0, marks = {}}}
    end
end
for _, name in ipairs {"iou", "giou", "diou"} do
    EXAMPLES["lx.vision.boxes." .. name] = function() return lx.rand(2, 4), lx.rand(3, 4) end
end
EXAMPLES["lx.vision.boxes.convert"] = function() return lx.rand(2, 4), "corners", "centre" end
EXAMPLES["lx.vision.boxes.loss"] = function() return lx.rand(2, 4), lx.rand(2, 4) end
EXAMPLES["lx.vision.boxes.nms"] = function() return lx.rand(2, 4), lx.rand(2) end
EXAMPLES["lx.vision.boxes.decode_region"] = function() return lx.rand(1, 7, 2, 2), {anchors = {{1, 2}}} end
EXAMPLES["lx.vision.boxes.decode_yolo"] = function() return lx.rand(1, 7, 2, 2), {anchors = {{1, 2}}, size = 64} end
EXAMPLES["lx.vision.boxes.to_image"] = function() return lx.rand(2, 4), 30, 40 end
EXAMPLES["lx.vision.boxes.of_map"] = function() return lx.rand(4, 6) end
EXAMPLES["lx.vision.boxes.anchors"] = function() return {{1, 2}, {3, 4}}, 2 end
EXAMPLES["lx.nn.functional.reorg"] = function() return lx.rand(1, 4, 4, 4), 2 end
EXAMPLES["lx.nn.functional.region_loss"] = function()
    return lx.rand(1, 7, 2, 2), lx.zeros(1, 1, 5), {anchors = {{1, 2}}}
end
EXAMPLES["lx.nn.functional.yolo_loss"] = function()
    return lx.rand(1, 7, 2, 2), lx.zeros(1, 1, 5), {anchors = {{1, 2}}, own = {1}, size = 9}
end
EXAMPLES["lx.nn.YoloLoss"] = function() return {anchors = {{1, 2}}, own = {1}, size = 9} end
EXAMPLES["lx.nn.RegionLoss"] = function() return {anchors = {{1, 2}}} end
EXAMPLES["lx.nn.DarknetMaxPool2d"] = function() return 2 end

-- A network of darknet's files, and its configuration.
local function of_darknet()
    local cfg = {{name = "net", options = {width = 8, height = 8}}, {name = "convolutional", options = {filters = 2}}}
    return cfg, lx.io.darknet.network(cfg)
end
EXAMPLES["lx.io.darknet.network"] = function() return (of_darknet()) end
EXAMPLES["lx.io.darknet.read_cfg"] = function() return "a.cfg" end
EXAMPLES["lx.io.darknet.write_cfg"] = function() return "a.cfg", (of_darknet()) end
EXAMPLES["lx.io.darknet.load_weights"] = function() return select(2, of_darknet()), "a.weights" end
EXAMPLES["lx.io.darknet.save_weights"] = EXAMPLES["lx.io.darknet.load_weights"]
EXAMPLES["lx.vision.draw_mask"] = function() return image():byte(), image():select(1, 1):contiguous():byte() end
EXAMPLES["lx.models.build"] = function() return "cnn" end
EXAMPLES["lx.models.limits"] = EXAMPLES["lx.models.build"]
EXAMPLES["lx.randint"] = function() return 1, 3, {2} end

-- Functions of networks: the shapes of their tensors, and what comes after them.
for name, arguments in pairs {
    adaptive_avg_pool1d = {{1, 2, 8}, 2}, adaptive_avg_pool2d = {{1, 2, 8, 8}, 2}, avg_pool1d = {{1, 2, 8}, 2},
    avg_pool2d = {{1, 2, 8, 8}, 2}, max_pool1d = {{1, 2, 8}, 2}, max_pool2d = {{1, 2, 8, 8}, 2},
    conv1d = {{1, 2, 8}, {3, 2, 3}}, conv2d = {{1, 2, 8, 8}, {3, 2, 3, 3}},
    conv_transpose2d = {{1, 2, 8, 8}, {2, 3, 3, 3}},
    dice_loss = {{2, 1, 4}, {2, 1, 4}}, tversky_loss = {{2, 1, 4}, {2, 1, 4}}, dropout2d = {{1, 2, 4, 4}},
    instance_norm = {{1, 2, 4, 4}}, group_norm = {{2, 4, 3}, 2},
} do
    EXAMPLES["lx.nn.functional." .. name] = function()
        local list = {}
        for i, argument in ipairs(arguments) do
            list[i] = type(argument) == "table" and argument[1] and lx.rand(argument) or argument
        end
        return table.unpack(list)
    end
end
for _, name in ipairs {"cross_entropy", "nll_loss"} do
    EXAMPLES["lx.nn.functional." .. name] = function() return lx.rand(2, 3), lx.tensor({1, 2}, {dtype = "int32"}) end
end
EXAMPLES["lx.nn.functional.embedding"] = function() return lx.tensor({1, 2}, {dtype = "int32"}), lx.rand(3, 2) end
EXAMPLES["lx.nn.functional.layer_norm"] = function() return lx.rand(2, 3), {3} end
EXAMPLES["lx.nn.functional.batch_norm"] = function()
    return lx.rand(4, 2, 3, 3), lx.zeros(2), lx.ones(2), lx.ones(2), lx.zeros(2)
end
EXAMPLES["lx.nn.functional.interpolate"] = function() return lx.rand(1, 2, 4, 4), {size = 8} end
for _, name in ipairs {"Adam", "AdamW", "RMSprop", "SGD"} do
    EXAMPLES["lx.optim." .. name] = function() return made.Module:parameters(), {lr = 0.1} end
end
EXAMPLES["lx.nn.Upsample"] = function() return {scale = 2} end
EXAMPLES["Optimizer:load_state_dict"] = function() return made.Optimizer, made.Optimizer:state_dict() end
EXAMPLES["Scheduler:load_state_dict"] = function() return made.Scheduler, made.Scheduler:state_dict() end

-- A value of each type; what is in EXAMPLES comes first.
local VALUES <const> = {
    any = function() return 1 end, boolean = function() return true end, integer = function() return 2 end,
    number = function() return 0.5 end, finite = function() return 0.5 end, positive = function() return 0.5 end,
    string = function() return "cpu" end, text = function() return "text" end, path = function() return "file.png" end,
    table = function() return {} end, tensor = function() return lx.rand(2, 3) end, pair = function() return 2 end,
    ["function"] = function() return function(x) return x end end, odd = function() return 3 end,
    image_info = function() return (select(2, assert(lx.vision.decode(png())))) end,
    image = image, grey_image = image, single_image = image, picture = image, sample = image, mask = image,
    box = function() return {x = 1, y = 1, w = 4, h = 4} end,
    boxes = function() return {{x = 1, y = 1, w = 4, h = 4}} end,
    colour = function() return {1, 2, 3} end, dataset = function() return dataset end,
    frame = function() return frame end, styles = function() return made.Styles end,
    report_search = function() return made.ReportSearch end, tokenizer = function() return made.Tokenizer end,
    border_probe = function() return made.BorderProbe end, audit = function() return made.Audit end,
    pipeline = function() return made.Pipeline end, compiled = function() return made.Compiled end,
    profile = function() return made.Profile end, session = function() return made.ProfileSession end,
    kernel = function() return made.Kernel end, console = function() return made.Console end,
    report = function() return made.Report end, module = function() return lx.nn.ReLU() end,
    classes = function() return {negative = "NORMAL", positive = "PNEUMONIA"} end,
    threshold = function() return 0.5 end, level = function() return 0.5 end, file = function() return io.stderr end,
    c_name = function() return "f" end, optimizer = function() return made.Optimizer end,
    calibration = function() return made.calibration end, conformal = function() return made.conformal end,
    coverage = function() return 0.9 end, rules = function() return made.Rules end,
    detector = function() return made.Detector end, anomaly_method = function() return "autoencoder" end,
    trained_by = function() return made.Optimizer end, predictor = function() return made.Predictor end,
    ["false"] = function() return false end, scheduler = function() return made.Scheduler end,
    any_tensor = function() return lx.rand(2, 3) end,
    submodule = function() return lx.nn.ReLU() end, float_tensor = function() return lx.rand(2, 3) end,
    pretrained = function()
        local net = lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(256, 1))
        net.channels, net.pretrained = 1, {
            source = "own", network = "cnn", checksum = "none", mean = 0.5, std = 0.25, summed = false, head = "kept",
            classes = {"effusion"},
        }
        return net
    end,
    size = function() return 2 end, probability = function() return 0.5 end, betas = function() return {0.9, 0.99} end,
}

local value_of

local function fields_of(fields)
    local value = {}
    for _, field in ipairs(fields) do
        if not field.type.optional then value[field.name] = value_of(field.type) end
    end
    return value
end

function value_of(parsed)
    local first = parsed[1]
    if first.literal ~= nil then return first.literal end
    if first.element then return {value_of {first.element}, value_of {first.element}} end
    if first.fields then return fields_of(first.fields) end
    local value = assert(VALUES[first.name], first.name)()
    if type(value) == "number" then
        if first.low and value < first.low then value = first.low end
        if first.high and value > first.high then value = first.high end
        if first.name == "integer" then value = math.tointeger(value) end
    end
    return value
end

-- What a method is called on. A tensor that calls may free or change is there for one of them.
local function object_of(entry)
    return entry.object == "Tensor" and lx.rand(2, 3) or made[entry.object]
end

-- A list of arguments that should work, `n` of them.
local function example(entry, parameters)
    if EXAMPLES[entry.name] then return table.pack(EXAMPLES[entry.name]()) end
    if entry.name:find("^lx%.metrics") then return {{0.1, 0.9, 0.3}, {0, 1, 1}, n = 2} end
    local list = {n = #parameters}
    for i, parameter in ipairs(parameters) do
        local alternative = parameter.type[1]
        if not parameter.type.optional or alternative.fields then list[i] = value_of(parameter.type) end
    end
    if entry.object and #parameters > 0 then list[1] = object_of(entry) end
    if entry.value ~= entry.f then list.n = table.move(list, 2, list.n + 1, 1).n - 1 end
    return list
end

local function accepts_anything(parsed)
    for _, alternative in ipairs(parsed) do
        if alternative.name == "any" then return true end
    end
    return false
end

local function fields_in(parsed)
    for _, alternative in ipairs(parsed) do
        if alternative.fields then return alternative.fields end
    end
end

-- ---- the tests ------------------------------------------------------------------------------------------------------

local function not_yet(name)
    for _, pattern in ipairs(NOT_YET) do
        if name:find(pattern) then return true end
    end
    return false
end

local function silent() end

local THREAD <const> = coroutine.create(print) -- of a type that nothing takes

local ODD_VALUES <const> = {
    function() return 0 / 0 end, function() return 1e300 end, function() return 1 << 53 end, function() return -1 end,
    function() return math.mininteger end, function() return "nothing" end, function() return {} end,
    function() return {1, 2} end, function() return {nothing = 1} end, function() return true end,
    function() return lx.zeros(0) end, function() return lx.ones({2, 2}, {dtype = "int32"}) end,
    function() return silent end, function() return 2.5 end, function() return math.huge end,
}

describe("everything public", function()
    setup(function()
        home = lfs.currentdir()
        work = os.tmpname()
        os.remove(work)
        assert(lfs.mkdir(work))
        assert(lfs.chdir(work))
        make_objects()
        look_around()
    end)

    teardown(function()
        lx.memory_budget("cpu", nil)
        lx.on_notice(nil)
        lfs.chdir(home)
        os.execute(("rm -rf '%s'"):format(work))
    end)

    it("is declared", function()
        local missing = {}
        for _, entry in ipairs(functions) do
            local known = entry.f or not_yet(entry.name) or INTERNAL[entry.name]
            if not known then missing[#missing + 1] = entry.name end
        end
        assert.same({}, missing)
    end)

    it("prints its names", function()
        local count = 0
        for name, space in pairs(namespaces) do
            local text = tostring(space)
            assert.matches("^" .. name:gsub("%p", "%%%0") .. " %(%d+ names%)", text)
            for member in next, space do
                assert.is_truthy(text:find(tostring(member), 1, true), member)
                count = count + 1
            end
        end
        for title, object in pairs(made) do
            local text = tostring(object)
            local address = text:find("0x%x+") and not text:find("file %(0x") and not not_yet(title .. ":")
            assert.is_falsy(address, title .. " prints as " .. text)
            count = count + 1
        end
        print(("\nprinted: %d names and results"):format(count))
    end)

    it("knows the names that it does not have", function()
        for name, space in pairs(namespaces) do
            local ok, message = pcall(function() return space.nothing_like_it end)
            assert.is_false(ok, name)
            assert.matches("has no 'nothing_like_it'", message)
        end
        for title, object in pairs(made) do
            if type(object) == "table" and title ~= "quality" then
                local ok, message = pcall(function() return object.nothing_like_it end)
                if not not_yet(title .. ":") then
                    assert.is_false(ok, title)
                    assert.matches("has no 'nothing_like_it'", message)
                end
            end
        end
    end)

    it("refuses one wrong argument at a time, naming it", function()
        local faults, counted, arguments, calls = {}, 0, 0, 0

        local function try(entry, name, list, must)
            calls = calls + 1
            local message = attempt(entry, list)
            local fault = message and fault_of(name, message)
            if must and not message then fault = "took " .. must end
            if must and message and not message:find(must, 1, true) then fault = "does not name " .. must end
            if fault then faults[#faults + 1] = ("%s: %s: %s"):format(entry.name, fault, message or "") end
        end

        for _, entry in ipairs(functions) do
            local parameters, rest = args.parameters(entry.f)
            if parameters then
                counted = counted + 1
                local name = args.declared[entry.f].name
                local function with(i, value, must)
                    local list = example(entry, parameters)
                    list.n = math.max(list.n, i)
                    list[i] = value
                    try(entry, name, list, must)
                end
                local message = attempt(entry, example(entry, parameters))
                if message then faults[#faults + 1] = entry.name .. ": the example does not work: " .. message end
                local shift = entry.value ~= entry.f and 1 or 0 -- a table that is called stands before its arguments
                for i = 1 + shift, #parameters do
                    local parameter = parameters[i]
                    arguments = arguments + 1
                    if not accepts_anything(parameter.type) then
                        with(i - shift, THREAD, name .. ": " .. parameter.name)
                    end
                    with(i - shift, nil)
                    for _, make in ipairs(ODD_VALUES) do with(i - shift, make()) end
                    local fields = fields_in(parameter.type)
                    local function with_option(option, value, must)
                        local given = example(entry, parameters)[i - shift] or {}
                        given[option] = value
                        with(i - shift, given, must)
                    end
                    if fields then with_option("nothing_like_it", 1, "unknown option 'nothing_like_it'") end
                    for _, field in ipairs(fields or {}) do
                        arguments = arguments + 1
                        with_option(field.name, THREAD, "'" .. field.name .. "'")
                        for _, make in ipairs(ODD_VALUES) do
                            local value = make()
                            if not (field.name == "epochs" and value == 1 << 53) then -- which would be a long run
                                with_option(field.name, value)
                            end
                        end
                    end
                end
                local list = example(entry, parameters)
                list.n = math.max(list.n, #parameters - shift) + 1
                list[list.n] = THREAD
                if not (rest and accepts_anything(rest)) then try(entry, name, list, name .. ": ") end
            end
        end
        print(("\ntried: %d functions, %d arguments and options, %d calls"):format(counted, arguments, calls))
        assert.same({}, faults)
    end)

    it("names itself in the errors of random calls", function()
        local stream, raised, faults = random.stream(7, 1), 0, {}
        local declared = {}
        for _, entry in ipairs(functions) do
            if entry.f then declared[#declared + 1] = entry end
        end
        local pool = {function() return nil end, function() return dataset end, function() return lx.rand(2, 3) end,
            image, function() return {n = 2} end, function() return {{0.5}} end, function() return 3 end,
            function() return THREAD end, function() return lx end}
        table.move(ODD_VALUES, 1, #ODD_VALUES, #pool + 1, pool)
        local CALLS <const> = 4000
        for _ = 1, CALLS do
            local entry = declared[stream:integer(#declared)]
            local list = {n = stream:integer(5) - 1}
            for i = 1, list.n do list[i] = pool[stream:integer(#pool)]() end
            if entry.object and stream:uniform(0, 1) < 0.8 then
                list[1], list.n = object_of(entry), math.max(1, list.n)
            end
            local message = attempt(entry, list)
            raised = raised + (message and 1 or 0)
            local fault = message and fault_of(args.declared[entry.f].name, message)
            if fault then faults[#faults + 1] = ("%s: %s: %s"):format(entry.name, fault, message) end
        end
        print(("\nrandom: %d calls, %d raised, %d of these name an inner function"):format(CALLS, raised, #faults))
        assert.same({}, faults)
    end)
end)
