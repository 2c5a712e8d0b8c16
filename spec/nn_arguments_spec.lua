--- Every public function, constructor and method of nn, nn.functional, nn.init and optim, with each argument and each
-- option replaced by what it is not: it works, or raises at the user's line a message that begins with its name.

local lx = require "luxel"
local args = require "luxel.args"
local nn, optim = lx.nn, lx.optim
local F, schedules = nn.functional, optim.lr_scheduler

local SOURCE <const> = debug.getinfo(1, "S").short_src

local freed = lx.ones(2)
freed:free()

-- What no argument is meant to be, or only some are. `NIL` stands for nil.
local NIL <const> = {}
local REPLACEMENTS <const> = {
    NIL, "text", "", 5.5, true, print, 0 / 0, math.huge, 1e18, -1, 0, math.mininteger, freed,
    lx.ones(3, {dtype = "int32"}), lx.zeros(0), lx.tensor(1.5), coroutine.create(print),
}
-- Tables are made anew for each call, because a function may keep them.
local TABLES <const> = {
    function() return {} end, function() return {xyz = 1} end, function() return {"a", "b"} end,
    function() return {1, nil, 3} end, function() return setmetatable({}, {__name = "thing"}) end,
    function() return {{{}}} end,
}

local FORBIDDEN <const> = {"bad argument", "attempt to", "lua/luxel/", "table: 0x", "function: 0x", "userdata: 0x"}

-- ---- arguments that are right -----------------------------------------------------------------------------------

local function images(c) return lx.randn(2, c or 3, 6, 5) end

local function bytes() return lx.tensor({1, 2}, {dtype = "int32"}) end

local logits = function() return lx.randn(2, 3), lx.rand(2, 3) end
local masks = function() return lx.randn(2, 3, 4), lx.rand(2, 3, 4) end
local classes = function() return lx.randn(2, 3), bytes() end
local some = function() return lx.randn(4, 3) end

-- By name: a function that gives right arguments.
local RIGHT <const> = {
    functional = {
        conv1d = function() return lx.randn(1, 2, 7), lx.randn(3, 2, 3), lx.randn(3), {padding = 1} end,
        conv2d = function() return images(), lx.randn(4, 3, 3, 3), lx.randn(4), {padding = 1, relu = true} end,
        conv_transpose2d = function() return images(), lx.randn(3, 4, 2, 2), lx.randn(4), {stride = 2} end,
        linear = function() return lx.randn(2, 3), lx.randn(4, 3), lx.randn(4), {relu = true} end,
        embedding = function() return bytes(), lx.randn(3, 4) end,
        max_pool1d = function() return lx.randn(1, 2, 7), 2, {stride = 1} end,
        avg_pool1d = function() return lx.randn(1, 2, 7), 2, {stride = 1} end,
        max_pool2d = function() return images(), 2, {stride = 1} end,
        avg_pool2d = function() return images(), 2, {stride = 1} end,
        adaptive_avg_pool1d = function() return lx.randn(1, 2, 7), 2 end,
        adaptive_avg_pool2d = function() return images(), 2 end,
        interpolate = function() return images(), {size = 3, mode = "bilinear"} end,
        reorg = function() return images(), 1, {order = "darknet"} end,
        pad = function() return images(), {1, 1}, {mode = "reflect"} end,
        batch_norm = function()
            return images(), lx.zeros(3), lx.ones(3), lx.ones(3), lx.zeros(3), {training = true}
        end,
        instance_norm = function() return images(), lx.zeros(3), lx.ones(3), lx.ones(3), lx.zeros(3), {eps = 1e-3} end,
        local_response_norm = function() return images(), 3, {alpha = 0.1} end,
        group_norm = function() return images(4), 2, lx.ones(4), lx.zeros(4), {eps = 1e-3} end,
        layer_norm = function() return lx.randn(2, 3), 3, lx.ones(3), lx.zeros(3), {eps = 1e-3} end,
        gelu = some,
        leaky_relu = function() return some(), 0.1 end,
        softmax = function() return some(), 2 end, log_softmax = function() return some(), 2 end,
        dropout = function() return some(), 0.5, true end, dropout2d = function() return images(), 0.5, true end,
        stochastic_depth = function() return images(), 0.5, true end,
        binary_cross_entropy_with_logits = logits, mse_loss = logits, l1_loss = logits, smooth_l1_loss = logits,
        huber_loss = logits, focal_loss = logits, kl_div = logits, cross_entropy = classes, nll_loss = classes,
        region_loss = function()
            return lx.randn(1, 7, 2, 2), lx.tensor {{{0.5, 0.5, 0.5, 0.5, 1}}}, {anchors = {{1, 2}}}
        end,
        yolo_loss = function()
            return lx.randn(1, 7, 2, 2), lx.tensor {{{0.5, 0.5, 0.5, 0.5, 1}}}, {
                anchors = {{1, 2}}, own = {1}, size = 9,
            }
        end,
        dice_loss = masks, tversky_loss = masks,
        clip_loss = function() return some(), some(), {temperature = 0.5} end,
        nt_xent_loss = function() return some(), some(), {temperature = 0.5} end,
    },
    init = {
        skip = function() return function() return 1 end end, constant_ = function() return some(), 1 end,
        zeros_ = some, ones_ = some, uniform_ = function() return some(), -1, 1 end,
        normal_ = function() return some(), 0, 1 end, fans = some, gain = function() return "relu", 0.1 end,
        kaiming_uniform_ = function() return some(), {mode = "fan_out"} end,
        kaiming_normal_ = function() return some(), {mode = "fan_out"} end,
        xavier_uniform_ = function() return some(), 1 end, xavier_normal_ = function() return some(), 1 end,
    },
    nn = {
        class = function() return "Thing", nn.Linear end, Parameter = some,
        fuse = function() return nn.ReLU() end, chain = function() return some(), nn.ReLU() end,
        plus = function() return some() end,
        summary = function() return nn.Linear(2, 3), {1, 2}, {dtype = "float32"} end,
    },
    optim = {
        clip_grad_norm_ = function() return {lx.nn.Parameter(some())}, 1 end,
        parameter_groups = function() return nn.Linear(2, 3), {lr = 1, decay = 0.5, rules = {{"bias", lr = 2}}} end,
        clip_grad_value_ = function() return {lx.nn.Parameter(some())}, 1 end,
    },
}

local function parameters() return nn.Linear(2, 3):parameters() end

local function optimizer() return optim.SGD(parameters()) end

-- By class: right arguments of the constructor, and an input that the result takes.
local CLASSES <const> = {
    Module = {function() end}, Sequential = {function() return nn.ReLU(), nn.Tanh() end, some},
    ModuleList = {function() return {nn.ReLU(), nn.Tanh()} end},
    Conv1d = {function() return 2, 4, 3, {padding = 1} end, function() return lx.randn(1, 2, 7) end},
    Conv2d = {function() return 3, 4, 3, {padding = 1} end, images},
    ConvTranspose2d = {function() return 3, 4, 2, {stride = 2} end, images},
    Linear = {function() return 3, 4, {bias = true} end, some}, Embedding = {function() return 3, 4 end, bytes},
    BatchNorm1d = {function() return 3, {eps = 1e-3} end, some},
    BatchNorm2d = {function() return 3, {eps = 1e-3} end, images},
    DarknetBatchNorm2d = {function() return 3, {root = "outside"} end, images},
    DarknetMaxPool2d = {function() return 2, {stride = 1} end, images},
    Reorg = {function() return 1, {order = "darknet"} end, images}, Route = {function() end, images},
    Shortcut = {function() end, function() return lx.ones(1, 2, 3, 4), lx.ones(1, 2, 3, 4) end},
    LocalResponseNorm = {function() return 3, {k = 2} end, images},
    GRU = {function() return 3, 4, {num_layers = 2} end, function() return lx.randn(5, 2, 3) end},
    LSTM = {function() return 3, 4, {num_layers = 2} end, function() return lx.randn(5, 2, 3) end},
    MultiheadAttention = {function() return 6, 2, {bias = false} end, function()
        local x = lx.randn(5, 2, 6)
        return x, x, x
    end},
    TransformerEncoderLayer = {function() return 6, 2, {dim_feedforward = 4} end, function()
        return lx.randn(5, 2, 6)
    end},
    TransformerEncoder = {function() return nn.TransformerEncoderLayer(6, 2), 2 end, function()
        return lx.randn(5, 2, 6)
    end},
    InstanceNorm2d = {function() return 3, {eps = 1e-3} end, images},
    GroupNorm = {function() return 1, 3, {eps = 1e-3} end, images}, LayerNorm = {function() return 3 end, some},
    MaxPool1d = {function() return 2, {stride = 1} end, function() return lx.randn(1, 2, 7) end},
    AvgPool1d = {function() return 2, {stride = 1} end, function() return lx.randn(1, 2, 7) end},
    MaxPool2d = {function() return 2, {stride = 1} end, images},
    AvgPool2d = {function() return 2, {stride = 1} end, images},
    AdaptiveAvgPool1d = {function() return 2 end, function() return lx.randn(1, 2, 7) end},
    AdaptiveAvgPool2d = {function() return 2 end, images}, GlobalAvgPool2d = {function() end, images},
    GlobalMaxPool2d = {function() end, images}, Upsample = {function() return {scale = 2} end, images},
    ZeroPad2d = {function() return 1 end, images}, ReflectionPad2d = {function() return 1 end, images},
    ReplicationPad2d = {function() return 1 end, images},
    GELU = {function() end, some}, LeakyReLU = {function() return 0.1 end, some},
    Softmax = {function() return 2 end, some}, Dropout = {function() return 0.5 end, some},
    Dropout2d = {function() return 0.5 end, images}, StochasticDepth = {function() return 0.5 end, images},
    Flatten = {function() return 1, 2 end, some},
    Identity = {function() end, some},
    BCEWithLogitsLoss = {function() return {pos_weight = 2} end, logits}, MSELoss = {function() end, logits},
    L1Loss = {function() end, logits}, SmoothL1Loss = {function() return {beta = 1} end, logits},
    HuberLoss = {function() return {delta = 1} end, logits}, FocalLoss = {function() return {gamma = 1} end, logits},
    KLDivLoss = {function() return {log_target = true} end, logits},
    CrossEntropyLoss = {function() return {label_smoothing = 0.1} end, classes},
    NLLLoss = {function() return {ignore_index = -1} end, classes},
    NTXentLoss = {function() return {temperature = 0.5} end, function() return some(), some() end},
    RegionLoss = {function() return {anchors = {{1, 2}}} end,
        function() return lx.randn(1, 7, 2, 2), lx.tensor {{{0.5, 0.5, 0.5, 0.5, 1}}} end},
    YoloLoss = {function() return {anchors = {{1, 2}}, own = {1}, size = 9} end,
        function() return lx.randn(1, 7, 2, 2), lx.tensor {{{0.5, 0.5, 0.5, 0.5, 1}}} end},
    DiceLoss = {function() return {smooth = 1} end, masks}, TverskyLoss = {function() return {alpha = 1} end, masks},
}
for _, row in ipairs(require "luxel.nn.activations") do
    RIGHT.functional[row.name], CLASSES[row.class] = some, {function() end, some}
end

local SCHEDULES <const> = {
    StepLR = {step_size = 2}, CosineWarmup = {total = 10, warmup = 2}, OneCycleLR = {max_lr = 0.1, total = 10},
    ReduceLROnPlateau = {patience = 1},
}

-- By name: right arguments after the module.
local METHODS <const> = {
    init = function() end, register_buffer = function() return "note", lx.ones(2) end,
    add_module = function() return "part", nn.ReLU() end, register_forward_hook = function() return print end,
    apply = function() return function() end end, train = function() return true end,
    requires_grad_ = function() return true end,
    freeze = function() return "*" end, unfreeze = function() return {"*"}, {what = "parameters"} end,
    to = function() return "cpu" end,
    load_state_dict = function() return nn.Linear(2, 3):state_dict(), {strict = true} end,
    describe_tree = function() return "" end,
}

-- ---- what is called ---------------------------------------------------------------------------------------------

-- Each: {name = how messages begin, f = what is called, right = its right arguments}.
local subjects = {}

local function subject(name, f, right) subjects[#subjects + 1] = {name = name, f = f, right = right} end

local function right_of(group, name)
    return assert(RIGHT[group][name], "spec/nn_arguments_spec.lua knows no right arguments of " .. group .. "." .. name)
end

for _, group in ipairs {{"functional", F}, {"init", nn.init}, {"nn", nn}, {"optim", optim}} do
    for name, member in next, group[2] do
        if type(member) == "function" then subject(name, member, right_of(group[1], name)) end
    end
end

local function is_class(value) return type(value) == "table" and rawget(value, "class_name") ~= nil end

for name, class in next, nn do
    if is_class(class) then
        local right = assert(CLASSES[name], "spec/nn_arguments_spec.lua knows no right arguments of nn." .. name)
        subject(name, class, right[1])
        if right[2] then
            subject(name, function(...) return class(right[1]())(...) end, right[2])
        end
    end
end

for name, class in next, optim do
    if is_class(class) then
        subject(name, class, function() return parameters(), {lr = 0.1} end)
        subject(name, class, function() return {{params = parameters(), lr = 0.1}}, {lr = 0.1} end)
    end
end

for name, class in next, schedules do
    subject(name, class, function() return optimizer(), args.with_defaults(SCHEDULES[name], {}) end)
end

for name, method in next, nn.Module do
    if args.declared[method] and args.parameters(method)[1] and args.parameters(method)[1].name == "net" then
        local right = METHODS[name] or function() end
        subject("Module:" .. name, method, function() return nn.Linear(2, 3), right() end)
    end
end

for _, made in ipairs {optimizer(), schedules.StepLR(optimizer(), {step_size = 2})} do
    for name, method in next, getmetatable(getmetatable(made)).__index do
        subject((made.groups and "Optimizer:" or "Scheduler:") .. name, method, function()
            return made, name == "load_state_dict" and made:state_dict() or nil
        end)
    end
end

table.sort(subjects, function(a, b) return a.name < b.name end)

-- ---- trying -----------------------------------------------------------------------------------------------------

local counts = {calls = 0, raised = 0}

-- Nil if the call works or raises as it should, or what is wrong.
local function problem_of(name, f, n, arguments)
    counts.calls = counts.calls + 1
    local ok, message = pcall(function() f(table.unpack(arguments, 1, n)) return nil end)
    if ok then return nil end
    counts.raised = counts.raised + 1
    if type(message) ~= "string" then return "raises no text" end
    local place, text = message:match("^(.-):%d+: (.*)$")
    if place ~= SOURCE then return "blames another line: " .. message end
    local begins = text:match("^[%w_]+")
    local of_modules = is_class(rawget(nn, name)) or name == "summary" or name:find("^Module:")
    if begins ~= name:match("^[%w_]+") and begins ~= name:match("[%w_]+$")
        and not (of_modules and (rawget(F, begins) or rawget(nn, begins))) then -- what the module is, or calls
        return "does not begin with the name: " .. message
    end
    for _, phrase in ipairs(FORBIDDEN) do
        if message:find(phrase, 1, true) then return "says what it should not: " .. message end
    end
end

-- Calls `visit(replacement)` with everything that a value may be replaced by.
local function each_replacement(visit)
    for _, value in ipairs(REPLACEMENTS) do visit(value) end
    for _, make in ipairs(TABLES) do visit(make()) end
end

local function shown(value)
    if rawequal(value, NIL) then return "nil" end
    return type(value) == "table" and "a table" or args.describe(value)
end

-- The problems of a subject, each in words.
local function problems_of(it)
    local problems = {}
    local function try(what, n, arguments)
        local problem = problem_of(it.name, it.f, n, arguments)
        if problem then problems[#problems + 1] = ("%s: %s"):format(what, problem) end
    end
    local right = table.pack(it.right())
    local ok, message = pcall(it.f, table.unpack(right, 1, right.n))
    if not ok and it.name ~= "Module:forward" then problems[1] = "right arguments: " .. tostring(message) end
    for i = 1, right.n do
        each_replacement(function(value)
            local given = table.pack(it.right())
            given[i] = value
            if rawequal(value, NIL) then given[i] = nil end
            try(("argument %d is %s"):format(i, shown(value)), given.n, given)
        end)
        local options = right[i]
        if type(options) == "table" and not getmetatable(options) and type(next(options)) == "string" then
            for option in next, options do
                each_replacement(function(value)
                    local given = table.pack(it.right())
                    given[i][option] = value
                    if rawequal(value, NIL) then given[i][option] = nil end
                    try(("option %s is %s"):format(option, shown(value)), given.n, given)
                end)
            end
        end
    end
    local given = table.pack(it.right())
    given[given.n + 1] = "one more"
    try("one argument more", given.n + 1, given)
    return problems
end

describe("every public name of nn and optim", function()
    for _, it_is in ipairs(subjects) do
        it(it_is.name .. " works, or says what is wrong with its arguments", function()
            local problems = problems_of(it_is)
            assert.is_true(#problems == 0, table.concat(problems, "\n"))
        end)
    end

    it("has options of which no other is taken, with the nearest one named", function()
        local tried = 0
        local function try(name, signature, field)
            local misspelt = field:sub(1, -2) .. "zz"
            local ok, message = pcall(args.check, name .. ": options", signature, {[misspelt] = 1})
            assert.is_false(ok)
            assert.is_truthy(message:find(("unknown option '%s'"):format(misspelt), 1, true), message)
            assert.is_truthy(#field < 3 or message:find("did you mean", 1, true), message)
            tried = tried + 1
        end
        local function walk(name, f)
            local declaration = args.declared[f]
            for _, parameter in ipairs(args.parameters(f)) do
                for _, alternative in ipairs(parameter.type) do
                    for _, field in ipairs(alternative.fields or {}) do
                        try(name, declaration.signature:match(parameter.name .. ": (%b{})"), field.name)
                    end
                end
            end
        end
        for name, f in next, F do walk(name, f) end
        for name, f in next, nn.init do walk(name, f) end
        for name, class in next, nn do
            if is_class(class) then walk(name, class.init) end
        end
        assert.is_true(tried > 80, tried .. " options tried")
        print(("\n%d names, %d calls with wrong arguments, %d of them raised; %d options misspelt"):format(#subjects,
            counts.calls, counts.raised, tried))
    end)

    it("prints as what it is", function()
        local count = 0
        for _, group in ipairs {nn, optim, schedules} do
            for name, member in next, group do
                if is_class(member) then
                    assert.matches("^" .. name .. " %(class%)", tostring(member))
                    count = count + 1
                elseif type(member) == "table" then
                    assert.matches("^lx%.[%w_.]+ %(%d+ names%)\n", tostring(member))
                    count = count + 1
                end
            end
        end
        for _, group in ipairs {nn, F, nn.init, optim, schedules} do
            assert.matches("^lx%.[%w_.]+ %(%d+ names%)\n", tostring(group))
        end
        for name, right in next, CLASSES do
            assert.matches("^" .. name .. "%(", tostring(nn[name](right[1]())))
            count = count + 1
        end
        assert.equal("SGD(lr=0.01)  [2 parameters of 9 numbers]", tostring(optimizer()))
        assert.equal("Net (class)", tostring(nn.class("Net")))
        assert.is_true(count > 90, count .. " printed")
    end)

    it("has a nearest one for what is misspelt", function()
        for _, case in ipairs {
            {function() return nn.Conv2D end, "lx.nn has no 'Conv2D' (did you mean 'Conv2d'?)"},
            {function() return nn.BatchNorm end, "lx.nn has no 'BatchNorm' (did you mean 'BatchNorm"},
            {function() return F.max_poll2d end, "lx.nn.functional has no 'max_poll2d' (did you mean 'max_pool2d'?)"},
            {function() return nn.init.kaiming_uniform end, "(did you mean 'kaiming_uniform_'?)"},
            {function() return optim.adamw end, "lx.optim has no 'adamw' (did you mean 'AdamW'?)"},
            {function() return schedules.CosineWarmUp end, "(did you mean 'CosineWarmup'?)"},
        } do
            local ok, message = pcall(case[1])
            assert.is_false(ok)
            assert.is_truthy(message:find(case[2], 1, true), message)
            assert.is_truthy(message:find(SOURCE, 1, true) == 1, message)
        end
    end)
end)
