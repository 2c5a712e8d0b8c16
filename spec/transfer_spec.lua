--- Transfer: frozen parts and their thawing, rates by layer, heads on features, and learning without labels.

local lfs = require "lfs"
local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local work

setup(function()
    work = os.tmpname()
    os.remove(work)
    assert(lfs.mkdir(work))
end)

teardown(function() os.execute("rm -rf '" .. work .. "'") end)

-- A network with names, normalisations and a head.
local function network(seed)
    lx.manual_seed(seed or 2)
    return nn.Sequential {
        {"features", nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 7, 3),
            nn.BatchNorm2d(7), nn.ReLU())},
        {"pool", nn.GlobalAvgPool2d()}, {"flat", nn.Flatten()}, {"head", nn.Linear(7, 1)},
    }
end

local function copies(net)
    local out = {}
    for name, tensor in pairs(net:state_dict()) do out[name] = tensor:clone() end
    return out
end

-- Which tensors are other than they were, as a sorted list.
local function changed(net, before)
    local names = {}
    for name, tensor in pairs(net:state_dict()) do
        if not lx.equal(tensor, before[name]) then names[#names + 1] = name end
    end
    table.sort(names)
    return table.concat(names, " ")
end

local train, val

local function fit(net, out, changes)
    if not train then train, val = lx.data.phantom({n = 60, size = 17, seed = 1}):split {val = 0.25} end
    local said = {}
    local options = {
        net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01}), train = train, val = val, epochs = 3,
        batch = 13, out = work .. "/" .. out, overwrite = true, progress = {
            step = function() end, epoch = function() end,
            message = function(_, text) said[#said + 1] = text end,
        },
    }
    for key, value in pairs(changes) do options[key] = value end
    if options.resume then options.overwrite = nil end
    return assert(lx.train.fit(options)), table.concat(said, "\n")
end

describe("patterns", function()
    local net = nn.Sequential()
    for i = 0, 11 do
        net:add_module("block" .. i, nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1, {bias = false})))
    end

    local function frozen(patterns)
        net:unfreeze("*"):freeze(patterns)
        local names = {}
        for name, parameter in net:named_parameters() do
            if not parameter.requires_grad then names[#names + 1] = name end
        end
        return table.concat(names, " ")
    end

    it("fit whole names, or all below a part of one", function()
        assert.equal("block1.0.weight block1.0.bias block1.1.weight", frozen "block1")
        assert.equal("block1.0.weight block1.0.bias block1.1.weight", frozen "block1.*")
        assert.equal("block1.0.weight block1.0.bias", frozen "block1.0")
        assert.equal("block0.0.bias block1.0.bias", frozen "block[01].0.bias")
        assert.equal("block10.1.weight block11.1.weight", frozen "block1?.1")
        assert.equal("block7.0.bias block7.1.weight", frozen {"block7", "!block7.0.weight"})
        assert.equal("block7.1.weight", frozen {"*", "!*", "block7", "!*.0"})
        assert.equal("block3.0.bias block9.1.weight", frozen {"block9.1", "block3.0.b*"})
    end)

    it("that fit nothing are refused, with what was probably meant", function()
        assert.error_matches(function() net:freeze "blok3" end, "Module:freeze: patterns: the pattern 'blok3' fits no "
            .. "parameter or buffer %(did you mean 'block3'%?%); its names begin with block0, block1")
        assert.error_matches(function() net:freeze {"block1", "block1.0.weigth"} end, "did you mean 'block1.0.weight'")
        assert.error_matches(function() net:unfreeze "block[" end, "has a %[ that begins no set")
        assert.error_matches(function() net:freeze("*", {what = "statistics"}) end,
            "fits no running statistics; the network has none")
        assert.error_matches(function() net:freeze {"block1", "!block1"} end, "the patterns choose nothing")
        assert.error_matches(function() net:freeze {"block1", "!blokc2"} end, "fits no .* mean 'block2'")
        -- a dot is a dot
        assert.error_matches(function() net:freeze "block1.0.b.as" end, "fits no")
    end)
end)

describe("frozen batch normalisation", function()
    it("normalises by its running statistics and leaves them, also after train()", function()
        local net, x = network(), lx.randn(5, 1, 9, 11)
        for _ = 1, 3 do net(lx.randn(6, 1, 9, 11) * 2 + 1) end -- other statistics than 0 and 1
        local before = copies(net)
        net:eval()
        local expected = net.features(x)
        net:train():freeze("features", {what = "statistics"})
        assert.is_true(net.features[2].training)
        assert.is_true(lx.allclose(net.features(x), expected, 1e-6, 1e-6))
        assert.equal("", changed(net, before))
        assert.is_true(net.features[2].weight.requires_grad) -- statistics alone
        net:unfreeze("features.1", {what = "statistics"})
        net(x)
        assert.equal("features.1.num_batches_tracked features.1.running_mean features.1.running_var",
            changed(net, before))
    end)

    it("lets the gradient through as in eval mode", function()
        for _, device in ipairs {"cpu", "opencl"} do
            if lx.device(device) then
                lx.manual_seed(1)
                local norm = nn.BatchNorm2d(3):to(device)
                lx.no_grad(function() norm.running_var:add_(0.7) norm.running_mean:add_(0.2) end)
                norm:train():freeze "*"
                local x = lx.randn({2, 3, 3, 5}, {device = device}):requires_grad_(true)
                assert.is_true(lx.gradcheck(norm, {x}))
            end
        end
    end)

    it("has no say in parameters that are frozen without it", function()
        local net = network()
        local before = copies(net)
        net:freeze("features", {what = "parameters"}):train()
        net(lx.randn(4, 1, 9, 9))
        assert.matches("features.1.running_mean", changed(net, before), 1, true)
        assert.is_false(net.features[1].weight.requires_grad)
    end)
end)

describe("a recorded function", function()
    it("finds the gradients of what was unfrozen since", function()
        local net = network()
        net:freeze "features"
        local f = lx.compile(function(x)
            net:zero_grad()
            net(x):sum():backward()
        end)
        local x = lx.randn(3, 1, 9, 9)
        for _ = 1, 5 do f(x) end
        assert.is_true(f:facts().replays > 0)
        assert.is_nil(net.features[1].weight.grad)
        net:unfreeze "features.0"
        f(x)
        assert.is_truthy(net.features[1].weight.grad)
    end)
end)

describe("parameter groups", function()
    local function rates(groups)
        local out = {}
        for _, group in ipairs(groups) do
            local count = 0
            for _, parameter in ipairs(group.params) do count = count + parameter:numel() end
            out[#out + 1] = ("%d:%g"):format(count, group.lr)
        end
        return table.concat(out, " ")
    end

    it("learn more slowly the deeper they are, the last first", function()
        local net = network()
        assert.equal("8:1 273:0.5 48:0.25", rates(lx.optim.parameter_groups(net, {lr = 1, decay = 0.5})))
        assert.equal("329:1", rates(lx.optim.parameter_groups(net, {lr = 1})))
    end)

    it("have rules for names, of which the last counts", function()
        local groups = lx.optim.parameter_groups(network(), {
            lr = 1, rules = {{"features", lr = 0.1}, {"features.*.bias", lr = 0.2, weight_decay = 0}},
        })
        assert.equal("8:1 299:0.1 22:0.2", rates(groups))
        assert.equal(0, groups[3].weight_decay)
        assert.error_matches(function() lx.optim.parameter_groups(network(), {lr = 1, rules = {{"hed", lr = 1}}}) end,
            "rules': 1: the pattern 'hed' fits no parameter %(did you mean 'head'%?%)")
        assert.error_matches(function() lx.optim.parameter_groups(network(), {lr = 1, decay = 1.5}) end, "decay")
    end)

    it("hold every parameter once, shared ones too", function()
        local shared = nn.Linear(3, 3)
        local net = nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared, nn.Linear(3, 2)))
        local optimizer = lx.optim.SGD(lx.optim.parameter_groups(net, {lr = 1, decay = 0.5}))
        assert.equal(#net:parameters(), #optimizer.parameters)
    end)
end)

describe("fit", function()
    it("leaves frozen parts as they are, bit by bit", function()
        local net = network()
        local before = copies(net)
        fit(net, "frozen", {freeze = "features"})
        assert.equal("head.bias head.weight", changed(net, before))
        local _, metadata = assert(lx.checkpoint.load(work .. "/frozen/best.safetensors"))
        assert.same({"features"}, metadata.transfer.frozen)
        assert.equal(40 + 8 + 259 + 14, metadata.transfer.numbers)
        assert.same({"features.1", "features.4"}, metadata.transfer.statistics)
    end)

    it("keeps statistics where the parts learn, or lets them go where the parts do not", function()
        local net = network()
        local before = copies(net)
        fit(net, "all", {freeze_statistics = "all", epochs = 1})
        local names = changed(net, before)
        assert.matches("features.1.weight", names, 1, true)
        assert.not_matches("running", names, 1, true)
        net = network()
        fit(net, "none", {freeze = "features", freeze_statistics = "none", epochs = 1})
        names = changed(net, before)
        assert.not_matches("features.1.weight", names, 1, true)
        assert.matches("features.1.running_mean", names, 1, true)
    end)

    it("thaws parts in their epochs, and goes on to the same bits", function()
        local function run(out, more)
            local net = network()
            local before, seen = copies(net), {}
            local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 0.01, decay = 0.7}))
            local options = {
                freeze = "features", unfreeze = {[2] = {"features.[34]"}, [3] = "*"}, optimizer = optimizer,
                callbacks = {
                    epoch = function(row) seen[row.epoch] = changed(net, before) end, step = more.step,
                }, resume = more.resume, augment = true,
            }
            local result, said = fit(net, out, options)
            return net, seen, result, said
        end
        local whole, seen, _, said = run("whole", {})
        assert.equal("head.bias head.weight", seen[1])
        assert.matches("features.3.weight", seen[2], 1, true)
        assert.not_matches("features.0", seen[2], 1, true)
        assert.matches("features.0.weight", seen[3], 1, true)
        assert.matches("epoch 2: features.[34] learns; 48 of 329 numbers are frozen", said, 1, true)
        local _, _, result = run("parts", {step = function(step)
            if step.epoch == 3 and step.batch == 2 then error("interrupted!", 0) end
        end})
        assert.is_true(result.interrupted)
        local rest = run("parts", {resume = true})
        assert.equal("", changed(rest, copies(whole)))
        -- with another schedule it would be another run
        local net = network()
        local ok, message = lx.train.fit {
            net = net, optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 0.01, decay = 0.7})),
            train = train, val = val, epochs = 3, batch = 13, out = work .. "/parts", resume = true, augment = true,
        }
        assert.is_nil(ok)
        assert.matches("what is frozen was features; until epoch 2 features.%[34%].* and is nothing", message)
    end)

    it("gives the same on every device", function()
        if not lx.device "opencl" then return pending("no OpenCL device") end
        for _, options in ipairs {{freeze = "features", unfreeze = {[2] = "features.[34]"}}, {probe = true}} do
            local nets = {}
            for _, device in ipairs {"cpu", "opencl"} do
                local net = network():to(device)
                local given = {optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1}), epochs = 2}
                for key, value in pairs(options) do given[key] = value end
                fit(net, device, given)
                nets[device] = net:to("cpu"):state_dict()
            end
            for name, tensor in pairs(nets.cpu) do
                assert.is_true(lx.allclose(tensor:float(), nets.opencl[name]:float(), 1e-3, 1e-4), name)
            end
        end
    end)

    it("refuses what cannot be meant", function()
        local net = network()
        local function problem(options, text)
            assert.error_matches(function() fit(net, "refused", options) end, text)
            net:unfreeze "*"
        end
        problem({freeze = "*"}, "freezes all of the network")
        problem({freeze = "featurs"}, "option 'freeze': the pattern 'featurs' fits no .* mean 'features'")
        problem({unfreeze = {[2] = "*"}}, "nothing is frozen")
        problem({freeze = "features", unfreeze = {"*"}}, "expected epochs from 2")
        problem({freeze = "features", unfreeze = {[9] = "*"}}, "%[9%] is after the last epoch, 3")
        problem({freeze = "features", unfreeze = {[2] = "featur"}}, "option 'unfreeze': %[2%]: the pattern 'featur'")
        problem({freeze = "features", unfreeze = {[2] = "*"}, optimizer = lx.optim.SGD(net.head:parameters())},
            "the optimiser does not have")
        problem({probe = true, augment = true}, "leave out 'augment'")
        problem({probe = true, freeze = "features"}, "leave out 'freeze'")
    end)

    it("learns a last layer on features that are computed once", function()
        local net = network()
        net(lx.randn(8, 1, 17, 17) * 3) -- statistics of its own
        local before = copies(net)
        local calls = 0
        local remove = net.features:register_forward_hook(function() calls = calls + 1 end)
        fit(net, "probe", {probe = true, optimizer = lx.optim.SGD(net:parameters(), {lr = 0.5})})
        remove()
        assert.equal("head.bias head.weight", changed(net, before))
        local batches = math.ceil(#train / 13) + math.ceil(#val / 13)
        assert.equal(batches, calls)
        -- the same by hand, image by image through the whole network
        local other = network()
        other:load_state_dict(before)
        other:eval()
        local optimizer = lx.optim.SGD(other.head:parameters(), {lr = 0.5})
        for epoch = 1, 3 do
            for x, y in lx.data.batches(train, {batch = 13, epoch = epoch, mean = 0.5, std = 0.25}) do
                optimizer:zero_grad()
                F.binary_cross_entropy_with_logits(other(x), y):backward()
                optimizer:step()
            end
        end
        assert.is_true(lx.allclose(net.head.weight, other.head.weight, 1e-4, 1e-5))
        assert.is_true(lx.allclose(net.head.bias, other.head.bias, 1e-4, 1e-5))
        local _, metadata = assert(lx.checkpoint.load(work .. "/probe/best.safetensors"))
        assert.is_true(metadata.transfer.probe)
    end)

    it("keeps features for runs of the same weights, and for no others", function()
        local kept, calls = {}, 0
        local function run(seed, data, changes)
            local net = network()
            lx.manual_seed(seed)
            lx.nn.init.normal_(net.head.weight)
            local remove = net.features:register_forward_hook(function(_, arguments)
                calls = calls + arguments[1].shape[1]
            end)
            calls = 0
            local all = {probe = true, keep_features = kept, train = data, optimizer = lx.optim.SGD(net:parameters(), {
                lr = 0.5,
            })}
            for name, value in pairs(changes or {}) do all[name] = value end
            fit(net, "kept", all)
            remove()
            return net, calls
        end
        local net, images = run(1, train)
        assert.equal(#train + #val, images)
        local half = {}
        for i = #train, 2, -2 do half[#half + 1] = i end
        local same, none = run(1, train)
        assert.equal(0, none)
        assert.is_true(lx.equal(net.head.weight, same.head.weight))
        assert.equal(0, select(2, run(2, train:subset(half))))
        local own = run(2, train:subset(half))
        local alone = run(2, train:subset(half), {keep_features = {}})
        assert.is_true(lx.allclose(own.head.weight, alone.head.weight, 1e-5, 1e-6))
        -- other pixels, other weights and other means are computed anew
        local darker = lx.data.dataset {
            images = (train.images:float() * 0.5):byte(), labels = train.labels, classes = train.classes,
        }
        assert.equal(#train, select(2, run(1, darker)))
        assert.equal(#train + #val, select(2, run(1, train, {mean = 0.4})))
        local ok, message = pcall(run, 1, train, {probe = false})
        assert.is_false(ok)
        assert.matches("option 'keep_features': there are features with 'probe' alone", message, 1, true)
    end)
end)

describe("weights to begin with", function()
    local PARTS <const> = {"*", "!13", "!16"}

    local function begin(path)
        lx.manual_seed(5)
        return assert(lx.models.cnn {size = 17, outputs = 1, pretrained = path, head = "replace"})
    end

    local function run(net, out, more)
        local optimizer = lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 0.003, decay = 0.7}))
        local options = {
            freeze = PARTS, unfreeze = {[2] = "9", [3] = "*"}, optimizer = optimizer, augment = true,
            metadata = {model = "cnn", size = 17},
        }
        for key, value in pairs(more or {}) do options[key] = value end
        return fit(net, out, options)
    end

    it("tell what they want as input, which training, going on, evaluating and predicting keep", function()
        local weights, others = work .. "/weights.safetensors", work .. "/others.safetensors"
        lx.manual_seed(8)
        local first = lx.models.cnn {size = 17}
        assert(lx.train.save_weights(weights, first, {model = "cnn", size = 17, mean = 0.3, std = 0.4}))
        assert.is_nil(lx.predictor.open(weights)) -- nothing to predict with
        local net = begin(weights)
        assert.is_true(lx.equal(first["0"].weight, net["0"].weight))
        assert.is_false(lx.equal(first["16"].weight, net["16"].weight))
        run(net, "a")
        local interrupted = run(begin(weights), "b", {callbacks = {step = function(step)
            if step.epoch == 3 and step.batch == 2 then error("interrupted!", 0) end
        end}})
        assert.is_true(interrupted.interrupted)
        local rest = begin(weights)
        run(rest, "b", {resume = true})
        assert.equal("", changed(rest, copies(net)))

        local tensors, metadata = assert(lx.checkpoint.load(work .. "/b/best.safetensors"))
        assert.near(0.3, metadata.normalisation.mean, 1e-12)
        assert.near(0.4, metadata.normalisation.std, 1e-12)
        assert.equal("luxel", metadata.pretrained.source)
        assert.same({"0", "3", "6", "9"}, metadata.transfer.frozen)
        -- the predictor's are the network's of images that were brought to that
        local predictor = assert(lx.predictor.open(work .. "/b/best.safetensors"))
        local found = assert(predictor:probabilities(val))
        local own = lx.models.cnn {size = 17}
        own:load_state_dict(tensors)
        own:eval()
        local logits = lx.no_grad(function() return own((val.images:float() / 255 - 0.3) / 0.4) end):flatten():totable()
        for i, logit in ipairs(logits) do
            assert.near(lx.calibration.probability(metadata.calibration, logit), found[i], 1e-4)
        end

        -- with other first weights it would be another run
        assert(lx.train.save_weights(others, lx.models.cnn {size = 17}, {
            model = "cnn", size = 17, mean = 0.3, std = 0.4,
        }))
        assert.error_matches(function() run(begin(others), "b", {resume = true}) end, "the first weights was xxh64:")
    end)
end)

describe("the command #processes", function()
    local function luxel(line)
        local form = "bin/luxel train --phantoms 50 --size 17 --epochs 2 --out '%s/command' %s 2>&1"
        local pipe = assert(io.popen(form:format(work, line)))
        local output = pipe:read("a")
        return output, pipe:close()
    end

    it("freezes, thaws and gives rates by layer, and says so in the file", function()
        local output, ok = luxel "--freeze '*' '!13' '!16' --unfreeze '2:9' '2:6' --lr-decay 0.5"
        assert.is_true(ok, output)
        local _, metadata = assert(lx.checkpoint.load(work .. "/command/last.safetensors"))
        assert.same({"0", "3", "6", "9"}, metadata.transfer.frozen)
        assert.same({{epoch = 2, patterns = {"9", "6"}}}, metadata.transfer.unfreeze)
        assert.equal(6, #metadata.training.groups)
        -- the same command is the same run, another one is not
        output = luxel("--resume --freeze '*' '!13' '!16' --unfreeze '2:9' '2:6' --lr-decay 0.5")
        assert.matches("going on after epoch 2", output, 1, true)
        assert.matches("what is frozen was 0, 3, 6, 9; until epoch 2 9, 6 and is nothing", (luxel(
            "--resume --lr-decay 0.5")), 1, true)
        output, ok = luxel "--overwrite --probe --augment none"
        assert.is_true(ok, output)
        local weights = work .. "/of_command.safetensors"
        assert(lx.train.save_weights(weights, lx.models.cnn {size = 17}, {model = "cnn", size = 17, std = 0.4}))
        for _, option in ipairs {"--weights", "--pretrained"} do
            output, ok = luxel(("--overwrite --freeze '*' '!16' %s %s"):format(option, weights))
            assert.is_true(ok, output)
            local _, about = assert(lx.checkpoint.load(work .. "/command/last.safetensors"))
            assert.equal("luxel", about.pretrained.source)
            assert.near(0.4, about.normalisation.std, 1e-12)
        end
    end)

    it("refuses what cannot be meant, by the names of its options", function()
        for line, text in pairs {
            ["--overwrite --freeze 14"] = "--freeze: the pattern '14' fits no parameter or buffer",
            ["--overwrite --freeze 0 --unfreeze 9:0"] = "--unfreeze: [9] is after the last epoch, 2",
            ["--overwrite --freeze 0 --unfreeze x"] = "--unfreeze: expected EPOCH:PATTERN, as in '3:blocks.6', got 'x'",
            ["--unfreeze 2:0"] = "say both", ["--probe"] = "it wants --augment none",
            ["--overwrite --statistics all"] = "--statistics: the pattern '*' fits no running statistics",
            ["--lr-decay 2"] = "--lr-decay: expected a number",
        } do
            local output, ok = luxel(line)
            assert.is_nil(ok)
            assert.matches(text, output, 1, true)
        end
    end)
end)

describe("images that models are only judged on", function()
    it("are known by their names, wherever they lie", function()
        assert.equal("Kermany et al., test", lx.data.outside "/anywhere/person8_virus_27.jpeg")
        assert.equal("Kermany et al., test", lx.data.outside "C:\\films\\IM-0001-0001.dcm")
        assert.is_nil(lx.data.outside "person8_virus_2.jpeg")
        assert.is_nil(lx.data.outside "person8_virus_27/another.jpeg")
    end)

    it("are all of the two sets, and none of the training images", function()
        local data = os.getenv("LUXEL_DATA") or "../shared/data"
        if not lfs.attributes(data .. "/chest_xray_shift") then return pending("needs " .. data) end
        local function each(folder, f)
            for name in lfs.dir(folder) do
                if name:sub(1, 1) ~= "." then f(folder .. "/" .. name) end
            end
        end
        for _, class in ipairs {"NORMAL", "PNEUMONIA"} do
            each(data .. "/chest_xray_shift/" .. class, function(path) assert.is_truthy(lx.data.outside(path)) end)
            each(data .. "/chest_xray/" .. class, function(path) assert.is_nil(lx.data.outside(path)) end)
        end
        local read = {}
        for line in io.lines(data .. "/nih_cxr14/rsna_status.csv") do
            local image, other, class = line:match("^([^,]+),([^,]+),([^,]+)")
            read[image] = class
            if class == "Normal" or class == "Lung Opacity" then
                assert.is_truthy(lx.data.outside(other .. ".dcm"), other)
            end
        end
        each(data .. "/nih_cxr14/images", function(path)
            local class = read[path:match("[^/]*$")]
            assert.equal(class == "Normal" or class == "Lung Opacity", lx.data.outside(path) ~= nil)
        end)
    end)
end)

describe("NT-Xent", function()
    -- Equation 1 of Chen et al. 2020, pair by pair.
    local function naive(a, b, temperature)
        local rows = a:totable()
        for _, row in ipairs(b:totable()) do rows[#rows + 1] = row end
        local function similarity(u, v)
            local dot, uu, vv = 0, 0, 0
            for k = 1, #u do dot, uu, vv = dot + u[k] * v[k], uu + u[k] ^ 2, vv + v[k] ^ 2 end
            return math.exp(dot / math.sqrt(uu * vv) / temperature)
        end
        local losses, n = {}, #rows // 2
        for i = 1, 2 * n do
            local others = 0
            for k = 1, 2 * n do others = others + (k ~= i and similarity(rows[i], rows[k]) or 0) end
            losses[i] = -math.log(similarity(rows[i], rows[i <= n and i + n or i - n]) / others)
        end
        return losses
    end

    for _, device in ipairs {"cpu", "opencl"} do
        it("is what a loop over pairs gives, on " .. device, function()
            if not lx.device(device) then return pending("no OpenCL device") end
            for _, case in ipairs {{1, 3, 0.5}, {2, 1, 1}, {5, 3, 0.5}, {17, 33, 0.07}} do
                lx.manual_seed(case[1])
                local a, b = lx.randn(case[1], case[2]), lx.randn(case[1], case[2]) * 4
                local expected = naive(a, b, case[3])
                a, b = a:to(device), b:to(device)
                local found = F.nt_xent_loss(a, b, {temperature = case[3], reduction = "none"}):totable()
                local sum = 0
                for i, value in ipairs(expected) do
                    assert.near(value, found[i], 1e-4 * math.max(1, value))
                    sum = sum + value
                end
                local loss = nn.NTXentLoss {temperature = case[3]}
                assert.near(sum / #expected, loss(a, b):item(), 1e-4 * math.max(1, sum / #expected))
                local total = F.nt_xent_loss(a, b, {temperature = case[3], reduction = "sum"}):item()
                assert.near(sum, total, 1e-3 * sum + 1e-4)
            end
        end)

        it("has the gradient that differences give, on " .. device, function()
            if not lx.device(device) then return pending("no OpenCL device") end
            lx.manual_seed(4)
            local a = lx.randn({3, 5}, {device = device}):requires_grad_(true)
            local b = lx.randn({3, 5}, {device = device}):requires_grad_(true)
            assert.is_true(lx.gradcheck(function(x, y) return F.nt_xent_loss(x, y, {temperature = 0.3}) end, {a, b}))
        end)
    end

    it("is finite for rows of zeros, and wants pairs", function()
        local a = lx.zeros(3, 4):requires_grad_(true)
        local loss = F.nt_xent_loss(a, lx.ones(3, 4))
        loss:backward()
        assert.equal(loss:item(), loss:item())
        assert.is_true(a.grad:isnan():any():item() == 0)
        assert.error_matches(function() F.nt_xent_loss(lx.ones(3, 4), lx.ones(2, 4)) end, "nt_xent_loss: ")
        assert.error_matches(function() F.nt_xent_loss(lx.ones(0, 4), lx.ones(0, 4)) end, "at least one pair")
    end)
end)
