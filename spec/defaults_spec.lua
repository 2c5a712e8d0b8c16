--- What an option is when it is not given: the call without it does what the call with the documented value does. The
-- values are PyTorch's where it has the thing, else those in the annotations.

local lx = require "luxel"
local F, nn, vision = lx.nn.functional, lx.nn, lx.vision

-- A result as plain numbers.
local function plain(value)
    if lx.is_tensor(value) then return {value.shape, value.dtype, value:totable()} end
    if type(value) ~= "table" then return value end
    local out = {}
    for key, inner in pairs(value) do out[key] = plain(inner) end
    return out
end

-- What a layer made from seed 3 gives for an input, and its parameters.
local function layer(make, ...)
    lx.manual_seed(3)
    local made = make(...)
    return function(x)
        lx.manual_seed(4)
        local parameters = {}
        for name, parameter in made:named_parameters() do parameters[name] = parameter:detach() end
        return {made(x), parameters, made:state_dict()}
    end
end

local image, features, wide, positive, labels, target, box

setup(function()
    lx.manual_seed(7)
    image = (lx.rand(1, 24, 31) * 255):byte()
    features = lx.randn(2, 4, 7, 9)
    wide = lx.randn(5, 6)
    positive = lx.rand(5, 6)
    labels = lx.tensor({1, 3, 6, 2, 2}, {dtype = "int32"})
    target = lx.rand(5, 6):round()
    box = {x = -2, y = 3, w = 12, h = 10}
end)

-- {name, the call without the option, the call with what it is}
local CASES <const> = {
    {"conv2d", function() return F.conv2d(features, features) end, function()
        return F.conv2d(features, features, nil, {stride = 1, padding = 0, dilation = 1, groups = 1})
    end},
    {"max_pool2d", function() return F.max_pool2d(features, 2) end,
        function() return F.max_pool2d(features, 2, {stride = 2, padding = 0}) end},
    {"avg_pool2d", function() return F.avg_pool2d(features, 2) end,
        function() return F.avg_pool2d(features, 2, {stride = 2, padding = 0, count_include_pad = true}) end},
    {"interpolate", function() return F.interpolate(features, {scale = 2}) end,
        function() return F.interpolate(features, {scale = 2, mode = "nearest", align_corners = false}) end},
    {"batch_norm", function()
        local mean, var = lx.zeros(4), lx.ones(4)
        return {F.batch_norm(features, mean, var, nil, nil, {training = true}), mean, var}
    end, function()
        local mean, var = lx.zeros(4), lx.ones(4)
        return {F.batch_norm(features, mean, var, nil, nil, {training = true, momentum = 0.1, eps = 1e-5}), mean, var}
    end},
    {"group_norm", function() return F.group_norm(features * 1e-2, 2) end,
        function() return F.group_norm(features * 1e-2, 2, nil, nil, {eps = 1e-5}) end},
    {"layer_norm", function() return F.layer_norm(features * 1e-2, {9}) end,
        function() return F.layer_norm(features * 1e-2, {9}, nil, nil, {eps = 1e-5}) end},
    {"leaky_relu", function() return F.leaky_relu(features) end, function() return F.leaky_relu(features, 0.01) end},
    {"binary_cross_entropy_with_logits", function() return F.binary_cross_entropy_with_logits(wide, target) end,
        function() return F.binary_cross_entropy_with_logits(wide, target, {pos_weight = 1, reduction = "mean"}) end},
    {"cross_entropy", function() return F.cross_entropy(wide, labels) end,
        function() return F.cross_entropy(wide, labels, {label_smoothing = 0, reduction = "mean"}) end},
    {"smooth_l1_loss", function() return F.smooth_l1_loss(wide * 3, target) end,
        function() return F.smooth_l1_loss(wide * 3, target, {beta = 1, reduction = "mean"}) end},
    {"focal_loss", function() return F.focal_loss(wide, target) end,
        function() return F.focal_loss(wide, target, {alpha = 0.25, gamma = 2, reduction = "mean"}) end},
    {"dropout", function() lx.manual_seed(1); return F.dropout(wide) end,
        function() lx.manual_seed(1); return F.dropout(wide, 0.5, true) end},
    {"dropout2d", function() lx.manual_seed(1); return F.dropout2d(features) end,
        function() lx.manual_seed(1); return F.dropout2d(features, 0.5, true) end},
    {"stochastic_depth", function() lx.manual_seed(1); return F.stochastic_depth(features) end,
        function() lx.manual_seed(1); return F.stochastic_depth(features, 0.5, true) end},

    {"Conv2d", function() return layer(nn.Conv2d, 4, 6, 3)(features) end, function()
        return layer(nn.Conv2d, 4, 6, 3, {stride = 1, padding = 0, dilation = 1, groups = 1, bias = true})(features)
    end},
    {"ConvTranspose2d", function() return layer(nn.ConvTranspose2d, 4, 6, 3)(features) end, function()
        return layer(nn.ConvTranspose2d, 4, 6, 3,
            {stride = 1, padding = 0, output_padding = 0, dilation = 1, groups = 1, bias = true})(features)
    end},
    {"Linear", function() return layer(nn.Linear, 6, 3)(wide) end,
        function() return layer(nn.Linear, 6, 3, {bias = true})(wide) end},
    {"BatchNorm2d", function() return layer(nn.BatchNorm2d, 4)(features * 1e-2) end, function()
        return layer(nn.BatchNorm2d, 4, {eps = 1e-5, momentum = 0.1, affine = true, track_running_stats = true})(
            features * 1e-2)
    end},
    {"GroupNorm", function() return layer(nn.GroupNorm, 2, 4)(features * 1e-2) end,
        function() return layer(nn.GroupNorm, 2, 4, {eps = 1e-5, affine = true})(features * 1e-2) end},
    {"LayerNorm", function() return layer(nn.LayerNorm, 9)(features * 1e-2) end,
        function() return layer(nn.LayerNorm, 9, {eps = 1e-5, affine = true})(features * 1e-2) end},
    {"MaxPool2d", function() return layer(nn.MaxPool2d, 2)(features) end,
        function() return layer(nn.MaxPool2d, 2, {stride = 2, padding = 0})(features) end},
    {"AvgPool2d", function() return layer(nn.AvgPool2d, 2)(features) end,
        function() return layer(nn.AvgPool2d, 2, {stride = 2, padding = 0, count_include_pad = true})(features) end},
    {"LeakyReLU", function() return layer(nn.LeakyReLU)(features) end,
        function() return layer(nn.LeakyReLU, 0.01)(features) end},
    {"Dropout", function() return layer(nn.Dropout)(wide) end, function() return layer(nn.Dropout, 0.5)(wide) end},
    {"Flatten", function() return layer(nn.Flatten)(features) end,
        function() return layer(nn.Flatten, 2, -1)(features) end},

    {"arange", function() return lx.arange(1, 5) end, function() return lx.arange(1, 5, 1) end},
    {"flatten", function() return features:flatten() end, function() return features:flatten(1, -1) end},
    {"cat", function() return lx.cat {features, features} end, function() return lx.cat({features, features}, 1) end},
    {"stack", function() return lx.stack {features, features} end,
        function() return lx.stack({features, features}, 1) end},
    {"chunk", function() return features:chunk(2) end, function() return features:chunk(2, 1) end},
    {"norm", function() return wide:norm() end, function() return wide:norm(2) end},

    {"equalize", function() return vision.equalize(image:float()) end,
        function() return vision.equalize(image:float(), {white = 255}) end},
    {"clahe", function() return vision.clahe(image) end,
        function() return vision.clahe(image, {clip = 2, tiles = 8, white = 255}) end},
    {"adjust_gamma", function() return vision.adjust_gamma(image:float(), 0.7) end,
        function() return vision.adjust_gamma(image:float(), 0.7, {white = 255}) end},
    {"normalize_percentile", function() return vision.normalize_percentile(image) end,
        function() return vision.normalize_percentile(image, {low = 0.01, high = 0.99, white = 255}) end},
    {"histogram", function() return vision.histogram(image:float()) end,
        function() return vision.histogram(image:float(), {bins = 256, white = 255}) end},
    {"invert", function() return vision.invert(image:float()) end,
        function() return vision.invert(image:float(), {white = 255}) end},
    {"unsharp_mask", function() return vision.unsharp_mask(image) end,
        function() return vision.unsharp_mask(image, {sigma = 1, amount = 1, white = 255}) end},
    {"connected_components", function() return {vision.connected_components(image:gt(160))} end,
        function() return {vision.connected_components(image:gt(160), {diagonal = true})} end},
    {"resize", function() return vision.resize(image, 9, 11) end,
        function() return vision.resize(image, 9, 11, {mode = "bilinear", antialias = true}) end},
    {"warp_affine", function() return vision.warp_affine(image, {1, 0.2, 3, -0.1, 1, 2}) end, function()
        return vision.warp_affine(image, {1, 0.2, 3, -0.1, 1, 2},
            {size = {24, 31}, mode = "bilinear", border = "constant", fill = 0})
    end},
    {"affine", function() return vision.affine(image, {angle = 9}) end, function()
        return vision.affine(image, {
            angle = 9, translate = {0, 0}, scale = 1, shear = {0, 0}, size = {24, 31}, mode = "bilinear",
            border = "constant", fill = 0,
        })
    end},
    {"affine, without a turn", function() return vision.affine(image, {scale = 1.2}) end,
        function() return vision.affine(image, {scale = 1.2, angle = 0}) end},
    {"rotate", function() return vision.rotate(image, 20) end, function()
        return vision.rotate(image, 20, {expand = false, mode = "bilinear", border = "constant", fill = 0})
    end},
    {"crop", function() return vision.crop(image, box) end,
        function() return vision.crop(image, box, {border = "constant", fill = 0}) end},
    {"pad", function() return vision.pad(image, 2) end,
        function() return vision.pad(image, 2, {border = "constant", fill = 0}) end},

    {"confusion", function() return lx.metrics.confusion({0.2, 0.5, 0.7, 0.49}, {0, 1, 1, 0}) end,
        function() return lx.metrics.confusion({0.2, 0.5, 0.7, 0.49}, {0, 1, 1, 0}, 0.5) end},
    {"ece", function() return {lx.metrics.ece(positive:flatten(), target:flatten())} end,
        function() return {lx.metrics.ece(positive:flatten(), target:flatten(), 15)} end},
    {"bootstrap", function() return lx.metrics.bootstrap(lx.metrics.auc, positive:flatten(), target:flatten()) end,
        function()
            return lx.metrics.bootstrap(lx.metrics.auc, positive:flatten(), target:flatten(),
                {n = 1000, level = 0.95, seed = 1})
        end},

    {"mixup", function() return {lx.data.mixup(features, lx.tensor {0, 1})} end,
        function() return {lx.data.mixup(features, lx.tensor {0, 1}, {alpha = 0.2, seed = 1, index = 1})} end},
    {"phantom", function() return lx.data.phantom({n = 4, size = 16}).images end,
        function() return lx.data.phantom({n = 4, size = 16, seed = 1, infected = 0.5}).images end},
    {"batches", function()
        local out = {}
        for x, y in lx.data.batches(lx.data.phantom {n = 35, size = 16}) do out[#out + 1] = {x, y} end
        return out
    end, function()
        local out = {}
        for x, y in lx.data.batches(lx.data.phantom {n = 35, size = 16}, {
            batch = 32, shuffle = true, balanced = false, seed = 1, epoch = 1, augment = false, drop_last = false,
            mean = 0, std = 1, skip = 0,
        }) do out[#out + 1] = {x, y} end
        return out
    end},
}

describe("without its options", function()
    for _, case in ipairs(CASES) do
        it(case[1] .. " does what it says", function() assert.same(plain(case[3]()), plain(case[2]())) end)
    end
end)

describe("optimisers and schedules without options", function()
    -- of PyTorch 1.13
    local OPTIMISERS <const> = {
        SGD = {lr = 0.01, momentum = 0, dampening = 0, nesterov = false, weight_decay = 0},
        Adam = {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0},
        AdamW = {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01},
        RMSprop = {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0},
    }

    it("have PyTorch's values", function()
        for name, expected in pairs(OPTIMISERS) do
            local group = lx.optim[name]({lx.ones({2}, {requires_grad = true})}).groups[1]
            for key, value in pairs(expected) do assert.same(value, group[key], name .. ": " .. key) end
        end
    end)

    -- The rates that a schedule makes in 60 steps.
    local function rates(name, options)
        local optimizer = lx.optim.SGD({lx.ones({2}, {requires_grad = true})}, {lr = 0.5})
        local schedule, found = lx.optim.lr_scheduler[name](optimizer, options), {}
        for step = 1, 60 do
            found[step] = optimizer.groups[1].lr
            if name == "ReduceLROnPlateau" then schedule:step(step == 1 and 1 or 0.99995) else schedule:step() end
        end
        return found
    end

    it("change the rate as their documented values do", function()
        for _, case in ipairs {
            {"StepLR", {step_size = 7}, {step_size = 7, gamma = 0.1}},
            {"CosineWarmup", {total = 50}, {total = 50, warmup = 0, min_lr = 0}},
            {"OneCycleLR", {max_lr = 0.9, total = 50},
                {max_lr = 0.9, total = 50, pct_start = 0.3, div_factor = 25, final_div_factor = 1e4}},
            {"ReduceLROnPlateau", nil,
                {mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, min_lr = 0, cooldown = 0}},
        } do
            assert.same(rates(case[1], case[3]), rates(case[1], case[2]), case[1])
        end
    end)
end)
