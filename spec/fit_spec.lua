--- Training of every kind of problem, and what a run can be told: schedules, accumulation, averages, patience,
--- callbacks, folders, resuming.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"
local nn, F = lx.nn, lx.nn.functional

local LUA <const> = os.getenv("LUA") or "lua5.4"
local work, out

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

before_each(function()
    out = work .. "/run"
    os.execute("rm -rf '" .. out .. "'")
end)

-- Bars at three places of an image: easy to tell apart.
local function bars(kind, count, seed)
    lx.manual_seed(seed or 1)
    local images, labels = (lx.rand(count, 1, 12, 12) * 60):byte(), {}
    for i = 1, count do
        local c = i % 3
        images[{i, 1, {1 + 4 * c, 4 + 4 * c}, {1, 12}}] = 200
        if kind == "labels" then
            labels[i] = {c == 0 and 1 or 0, c > 0 and 1 or 0, i % 7 == 0 and 0 / 0 or c == 2 and 1 or 0}
        else
            labels[i] = kind == "binary" and (c == 0 and 1 or 0) or c
        end
    end
    return lx.data.dataset {
        images = images, labels = labels, classes = kind == "binary" and {"normal", "ill"} or {"a", "b", "c"},
    }
end

local function network(outputs, seed)
    lx.manual_seed(seed or 3)
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.Tanh(), nn.Linear(8, outputs))
end

local OUTPUTS <const> = {binary = 1, classes = 3, labels = 3}

-- Runs; returns the result, message, code, and what was said and shown.
local function fit(kind, changes)
    local shown = {said = {}, rows = {}, steps = 0}
    local net = changes and changes.net or network(OUTPUTS[kind])
    local optimizer = changes and changes.optimizer or lx.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.5})
    local options = {
        net = net, optimizer = optimizer, train = bars(kind, 30, 1), val = bars(kind, 18, 2), epochs = 2, batch = 8,
            out = out,
        overwrite = true, progress = {
            step = function() shown.steps = shown.steps + 1 end,
            epoch = function(_, row) shown.rows[#shown.rows + 1] = row end,
            message = function(_, text) shown.said[#shown.said + 1] = text end,
        },
    }
    for key, value in pairs(changes or {}) do options[key] = value end
    shown.net = net
    shown.result, shown.message, shown.code = lx.train.fit(options)
    shown.said = table.concat(shown.said, "\n")
    return shown
end

local function same_weights(a, b)
    for i, parameter in ipairs(a:parameters()) do
        if not lx.equal(parameter, b:parameters()[i]) then return false end
    end
    return true
end

describe("fit", function()
    it("learns each kind of problem, and the file says what it is", function()
        for kind, outputs in pairs(OUTPUTS) do
            local shown = fit(kind, {epochs = 8})
            assert.is_true(shown.result.best.auc > 0.95, kind)
            assert.is_true(shown.result.best.accuracy > 0.9, kind)
            local tensors, metadata = assert(lx.checkpoint.load(out .. "/best.safetensors"))
            assert.equal(kind, metadata.task)
            assert.same(kind == "binary" and {"normal", "ill"} or {"a", "b", "c"}, metadata.classes)
            assert.equal(kind == "binary" and "ill" or nil, metadata.positive)
            assert.equal(kind == "labels" and "table" or kind == "binary" and "number" or "nil", type(
                metadata.threshold))
            assert.same({outputs, 8}, {table.unpack(tensors["3.weight"].shape)})
            assert.equal(30, metadata.trained_on.images)
            -- what is judged is what predict gives with the file's calibration
            local net, val = network(outputs), bars(kind, 18, 2)
            net:load_state_dict(tensors)
            local p = lx.train.predict(net, val, {probabilities = true, calibration = metadata.calibration})
            local labels = val.labels:totable()
            if kind == "binary" then
                assert.near(metadata.metrics.val_auc, lx.metrics.auc(p, labels), 1e-9)
                assert.near(metadata.metrics.val_accuracy, lx.metrics.accuracy(p, labels, metadata.threshold), 1e-9)
            else
                local report = lx.metrics.report(p, labels, {n = 20, threshold = metadata.threshold})
                assert.near(metadata.metrics.val_auc, report.macro_auc, 1e-9)
                if kind == "classes" then assert.near(metadata.metrics.val_accuracy, report.accuracy, 1e-9) end
                if kind == "classes" then assert.near(1, p[1][1] + p[1][2] + p[1][3], 1e-9) end
            end
        end
    end)

    it("tells a network that gives another number of outputs", function()
        for kind, outputs in pairs(OUTPUTS) do
            for wrong = 1, 4 do
                if wrong ~= outputs then
                    local ok, problem = pcall(fit, kind, {net = network(wrong)})
                    assert.is_false(ok)
                    assert.matches(("fit: net: it gives %d logits? for each image, and "):format(wrong), problem)
                end
            end
        end
        assert.error_matches(function() fit("binary", {val = bars("classes", 9)}) end,
            "option 'val': it has the task 'classes'")
    end)

    it("knows a network whose end gives probabilities, and only such a one", function()
        local function ended(...) return nn.Sequential(nn.Flatten(), nn.Linear(144, 1), ...) end
        assert.matches("fit takes them for logits: leave out nn.Sigmoid at its end", fit("binary", {
            net = nn.Sequential(ended(nn.Sigmoid()))}).said, 1, true)
        local hidden = nn.class("Hidden")
        function hidden:init() self.inner = ended() end
        function hidden:forward(x) return (self.inner(x) * 50):sigmoid() end
        assert.matches("leave out a sigmoid or softmax at its end", fit("binary", {net = hidden()}).said)
        -- one that has hardly learnt gives much the same number for each image, here within 0 and 1
        local net = ended()
        lx.no_grad(function()
            net[2].weight:mul_(0.01)
            net[2].bias:fill_(0.5)
        end)
        assert.equal("", fit("binary", {net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-6})}).said)
    end)

    it("says that images of 0 to 1 are on another scale", function()
        local set = bars("binary", 12)
        local images = set.images:float()
        local function said(scale)
            local train = lx.data.dataset {images = images * scale, labels = set.labels, classes = set.classes}
            return fit("binary", {train = train, epochs = 1}).said
        end
        assert.matches("[WARN] the training images are on a scale of 0 to 255, and no value is above", said(1 / 255), 1,
            true)
        assert.equal("", said(1))
    end)

    it("says what figures cannot be there, and gives none that is not a number", function()
        local images = bars("binary", 12).images
        local one_class = lx.data.dataset {images = images, labels = lx.zeros(12), classes = {"normal", "ill"}}
        local shown = fit("binary", {val = one_class})
        assert.matches("[WARN] the validation images are all of the class normal: there is no AUC, and no "
            .. "threshold or calibration "
            .. "can be chosen", shown.said, 1, true)
        for _, row in ipairs(shown.rows) do
            assert.is_nil(row.val_auc)
            assert.is_true(row.val_accuracy == row.val_accuracy)
        end
        assert.is_table(shown.result.best)
        assert.is_nil(shown.result.best.auc)
        assert.matches("all of the class normal: there is nothing to tell apart", fit("binary", {
            train = one_class}).said)
        local unlabelled = lx.data.dataset {images = images, labels = lx.full({12}, 0 / 0), classes = {"normal", "ill"}}
        assert.error_matches(function() fit("binary", {train = unlabelled}) end, "option 'train': no image has a label")
        -- one in a thousand, and a few images
        local labels = {}
        for i = 1, 300 do labels[i] = i == 7 and 1 or 0 end
        local rare = lx.data.dataset {images = (lx.rand(300, 1, 12, 12) * 255):byte(), labels = labels, classes = {
            "a", "b"}}
        local result = fit("binary", {train = rare, val = rare, epochs = 1}).result
        assert.is_number(result.best.auc)
        local few = bars("binary", 6)
        assert.is_table(fit("binary", {train = few, val = few, batch = 32, epochs = 1}).result.best)
        -- a last batch of one under batch normalisation
        lx.manual_seed(1)
        local net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(200, 1))
        local message = "the last batch of an epoch has one image, of which batch normalisation can tell "
        assert.matches(message .. "little; drop_last", fit("binary", {net = net, train = bars("binary", 17)}).said)
        net = nn.Sequential(nn.Flatten(), nn.Linear(144, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        assert.error_matches(function() fit("binary", {net = net, train = bars("binary", 17)}) end, message
            .. "nothing")
        assert.equal("", fit("binary", {net = net, train = bars("binary", 17), drop_last = true}).said)
        assert.error_matches(function() fit("binary", {train = few, drop_last = true}) end,
            "6 images do not make a batch of 8")
    end)

    it("refuses the optimiser of another network", function()
        local net = network(1)
        local message = "option 'optimizer': none of its parameters is one of the network's"
        assert.error_matches(function() fit("binary", {optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1})}) end,
            message)
        assert.is_table(fit("binary", {net = net, optimizer = lx.optim.SGD({net:parameters()[1]}, {lr = 0.1}),
            epochs = 1}).result)
    end)

    it("refuses to train what is frozen", function()
        local net = network(1)
        net:requires_grad_(false)
        assert.error_matches(function() fit("binary", {net = net}) end,
            "fit: options: option 'net': all its parameters are frozen .*; call requires_grad_%(%) on")
        net[4]:requires_grad_()
        assert.error_matches(function()
            fit("binary", {net = net, optimizer = lx.optim.SGD(net[2]:parameters(), {lr = 0.1})})
        end, "fit: options: option 'optimizer': the parameters of the network that it has are all frozen")
        local before = net[4].weight:clone()
        assert.is_table(fit("binary", {net = net, epochs = 1}).result)
        assert.is_false(lx.equal(before, net[4].weight))
    end)

    it("says when patients are on both sides", function()
        local function of_patients(first, count)
            local set, groups = bars("binary", count), {}
            for i = 1, count do groups[i] = "p" .. first + i // 2 end
            return lx.data.dataset {images = set.images, labels = set.labels, patients = groups}
        end
        local train = of_patients(0, 12) -- p0 to p6
        assert.matches("3 of the 5 patients of the validation images are called as some of the training images",
            fit("binary", {train = train, val = of_patients(4, 8), epochs = 1}).said)
        assert.equal("", fit("binary", {train = train, val = of_patients(7, 8), epochs = 1}).said)
        local function phantom(seed) return lx.data.phantom {n = 12, size = 16, seed = seed} end
        local net = nn.Sequential(nn.Flatten(), nn.Linear(256, 1))
        assert.equal("", fit("binary", {net = net, train = phantom(1), val = phantom(2), epochs = 1}).said)
        assert.matches("the validation images are the training images",
            fit("binary", {train = train, val = train, epochs = 1}).said)
    end)

    it("steps schedules as their kind wants", function()
        local function rates(make, epochs, more)
            local net = network(1)
            local optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1})
            local changes = {net = net, optimizer = optimizer, scheduler = make(optimizer), epochs = epochs}
            for key, value in pairs(more or {}) do changes[key] = value end
            local list = {}
            for i, row in ipairs(fit("binary", changes).rows) do list[i] = row.learning_rate end
            return list, optimizer.groups[1].lr
        end
        local schedules = lx.optim.lr_scheduler
        local list = rates(function(o) return schedules.StepLR(o, {step_size = 2}) end, 5)
        for i, rate in ipairs {0.1, 0.1, 0.01, 0.01, 0.001} do assert.near(rate, list[i], 1e-12) end
        -- four steps an epoch
        local _, last = rates(function(o) return schedules.CosineWarmup(o, {total = 16}) end, 3)
        assert.near(0.05 * (1 + math.cos(math.pi * 12 / 16)), last, 1e-12)
        _, last = rates(function(o) return schedules.OneCycleLR(o, {max_lr = 1, total = 12}) end, 3)
        assert.is_true(last < 1e-3)
        local constant = function(o) return schedules.ReduceLROnPlateau(o, {patience = 1, factor = 0.5,
            threshold = 1e9}) end
        list = rates(constant, 5)
        assert.same({0.1, 0.1, 0.1, 0.05, 0.05}, list)
    end)

    it("with accumulated batches is as with one of their size", function()
        for _, compile in ipairs {false, true} do
            local one = fit("binary", {batch = 6, accumulate = 2, compile = compile, clip = 0.5, epochs = 3})
            local whole = fit("binary", {batch = 12, compile = compile, clip = 0.5, epochs = 3})
            for i, parameter in ipairs(one.net:parameters()) do
                assert.is_true((parameter - whole.net:parameters()[i]):abs():max():item() < 2e-5)
            end
            assert.near(whole.rows[3].loss, one.rows[3].loss, 1e-4)
            assert.equal(15, one.steps)
        end
    end)

    it("with an average keeps and judges the averaged weights", function()
        local trace = {}
        local net = network(1)
        local plain = fit("binary", {net = net, epochs = 3, callbacks = {step = function()
            local copy = {}
            for i, parameter in ipairs(net:parameters()) do copy[i] = parameter:detach():clone() end
            trace[#trace + 1] = copy
        end}})
        local start = network(1):parameters()
        local average = {}
        for i, parameter in ipairs(start) do average[i] = parameter:detach():clone() end
        for t, weights in ipairs(trace) do
            local decay = math.min(0.8, (1 + t) / (10 + t))
            for i, weight in ipairs(weights) do average[i] = average[i] * decay + weight * (1 - decay) end
        end
        local averaged = fit("binary", {epochs = 3, ema = 0.8})
        for i, parameter in ipairs(averaged.net:parameters()) do
            assert.is_true((parameter - average[i]):abs():max():item() < 1e-5)
        end
        assert.is_false(same_weights(averaged.net, plain.net))
        local tensors = assert(lx.checkpoint.load(out .. "/best.safetensors"))
        if averaged.result.best.epoch == 3 then assert.is_true(lx.equal(tensors["1.weight"],
            averaged.net[2].weight)) end
        assert.is_true(averaged.rows[1].val_loss ~= plain.rows[1].val_loss)
    end)

    it("with stochastic weight averaging keeps the mean of the ends of epochs, and its statistics", function()
        local function with_norm()
            lx.manual_seed(5)
            return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(300, 1))
        end
        local net, ends = with_norm(), {}
        fit("binary", {net = net, epochs = 4, callbacks = {epoch = function()
            ends[#ends + 1] = {}
            for i, parameter in ipairs(net:parameters()) do ends[#ends][i] = parameter:detach():clone() end
        end}})
        local averaged = fit("binary", {net = with_norm(), epochs = 4, swa = 2, best = "last"})
        local mean = {}
        for i = 1, #ends[1] do mean[i] = (ends[2][i] + ends[3][i] + ends[4][i]) / 3 end
        for i, parameter in ipairs(averaged.net:parameters()) do
            assert.is_true((parameter - mean[i]):abs():max():item() < 1e-5)
        end
        -- what the averaged weights give on the batches of the last epoch
        local sums, squares, count = {0, 0, 0}, {0, 0, 0}, 0
        for x in lx.data.batches(bars("binary", 30, 1), {batch = 8, epoch = 4, mean = 0.5, std = 0.25,
            drop_last = true}) do
            local maps = F.conv2d(x, mean[1], mean[2])
            count = count + 1
            for c = 1, 3 do
                local values = maps:narrow(2, c, 1)
                sums[c] = sums[c] + values:mean():item()
                squares[c] = squares[c] + values:var():item()
            end
        end
        local norm, saved = averaged.net[2], assert(lx.checkpoint.load(out .. "/best.safetensors"))
        for c = 1, 3 do
            assert.near(sums[c] / count, norm.running_mean[c], 1e-4)
            assert.near(squares[c] / count, norm.running_var[c], 1e-4 * squares[c])
            assert.equal(norm.running_mean[c], saved["1.running_mean"][c])
        end
        assert.equal(0.1, norm.momentum)
        assert.equal(16, norm.num_batches_tracked:item())
        assert.error_matches(function() fit("binary", {swa = 1, ema = 0.9}) end, "leave out 'ema'")
        assert.error_matches(function() fit("binary", {swa = 3}) end, "epoch 3 is after the last one, 2")
        -- and goes on to the same bits
        local function run(changes)
            changes.net, changes.swa, changes.augment = with_norm(), 2, true
            return fit("binary", changes)
        end
        run {epochs = 4}
        local last, best = shell.read(out .. "/last.safetensors"), shell.read(out .. "/best.safetensors")
        for epochs = 2, 3 do
            run {epochs = epochs}
            run {epochs = 4, resume = true}
            assert.is_true(last == shell.read(out .. "/last.safetensors"))
            assert.is_true(best == shell.read(out .. "/best.safetensors"))
        end
        os.execute("rm -rf '" .. out .. "'")
        local steps = 0
        local stopped = run {epochs = 4, progress = {message = function() end, epoch = function() end, step = function()
            steps = steps + 1
            if steps == 10 then error("interrupted!", 0) end
        end}}
        assert.is_true(stopped.result.interrupted)
        run {epochs = 4, resume = true}
        assert.is_true(last == shell.read(out .. "/last.safetensors"))
    end)

    -- What a run with SGD does, by hand: `change` makes the images and targets that the loss sees.
    local function by_hand(kind, epochs, change)
        local net, train = network(OUTPUTS[kind]), bars(kind, 30, 1)
        local optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.5})
        for epoch = 1, epochs do
            local number = 0
            for x, y in lx.data.batches(train, {batch = 8, epoch = epoch, mean = 0.5, std = 0.25}) do
                optimizer:zero_grad()
                x, y = change(x, y, epoch, number)
                local log_p = kind == "classes" and F.log_softmax(net(x), 2)
                local loss
                if kind == "classes" then
                    loss = -(log_p * y):sum() / y:sum()
                else
                    loss = F.binary_cross_entropy_with_logits(net(x), y)
                end
                loss:backward()
                optimizer:step()
                number = number + 1
            end
        end
        return net
    end

    local function near_weights(a, b)
        for i, parameter in ipairs(a:parameters()) do
            if not lx.allclose(parameter, b:parameters()[i], 1e-4, 1e-5) then return false end
        end
        return true
    end

    -- Targets as shares, as text books have them.
    local function shares_of(kind, y, smoothing)
        if kind ~= "classes" then return y * (1 - smoothing) + smoothing / 2 end
        local rows = {}
        for i, class in ipairs(y:totable()) do
            rows[i] = {}
            for k = 1, 3 do rows[i][k] = (class == k and 1 - smoothing or 0) + smoothing / 3 end
        end
        return lx.tensor(rows)
    end

    it("smooths labels, and mixes images and labels, as by hand", function()
        for kind in pairs(OUTPUTS) do
            local smooth = fit(kind, {label_smoothing = 0.2})
            local wanted = by_hand(kind, 2, function(x, y) return x, shares_of(kind, y, 0.2) end)
            assert.is_true(near_weights(smooth.net, wanted))
            local seen = {}
            for _, both in ipairs {false, true} do
                local mixed = fit(kind, {mixup = 0.4, cutmix = both and 1 or nil, seed = 1, epochs = 3})
                assert.is_true(near_weights(mixed.net, by_hand(kind, 3, function(x, y, epoch, number)
                    local index = epoch << 24 | number
                    local cut = both and require("luxel.random").stream(1, index, 1):uniform(0, 1) < 0.5
                    seen[cut] = true
                    return (cut and lx.data.cutmix or lx.data.mixup)(x, shares_of(kind, y, 0),
                        {alpha = cut and 1 or 0.4, seed = 1, index = index})
                end)), kind)
            end
            assert.same({[true] = true, [false] = true}, seen)
        end
        local masks = lx.data.phantom {n = 6, size = 32, task = "segmentation"}
        for _, name in ipairs {"label_smoothing", "mixup", "cutmix"} do
            local net = lx.models.build("unet", {size = 32, outputs = 1, width = 2})
            assert.error_matches(function()
                fit("binary", {net = net, train = masks, val = masks, [name] = 0.5})
            end, ("option '%s': it is for labels, and these images have masks"):format(name))
            assert.error_matches(function() fit("binary", {[name] = 0}) end, ("option '%s'"):format(name))
        end
        assert.error_matches(function() fit("binary", {label_smoothing = 1}) end, "a number above 0 and below 1")
        assert.error_matches(function() fit("binary", {probe = true, mixup = 1}) end, "leave one out")
    end)

    it("weighs groups by their losses, as by hand", function()
        local groups = {}
        for i = 1, 30 do groups[i] = i % 5 < 2 and "east" or "west" end
        local cells = {{"east", 0}, {"east", 1}, {"west", 0}, {"west", 1}}
        for kind in pairs(OUTPUTS) do
            local train = bars(kind, 30, 1)
            if kind == "binary" then train.labels[4] = 0 / 0 end
            local labels = train.labels:totable()
            local shown = fit(kind, {dro = {groups = groups, step = 0.3, adjustment = 2}, train = train, epochs = 3})
            -- by hand: the loss of each group's images of each class, from these images alone
            local function cell_of(i)
                local label = kind == "labels" and 0 or labels[i]
                return label == label and groups[i] .. label or nil
            end
            local sizes, names, q = {}, {}, {}
            for i = 1, 30 do
                local cell = cell_of(i)
                if cell then
                    if not sizes[cell] then names[#names + 1] = cell end
                    sizes[cell] = (sizes[cell] or 0) + 1
                end
            end
            for _, cell in ipairs(names) do q[cell] = 1 / #names end
            local net = network(OUTPUTS[kind])
            local optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.5})
            for epoch = 1, 3 do
                for x, y, indices in lx.data.batches(train, {batch = 8, epoch = epoch, mean = 0.5, std = 0.25}) do
                    optimizer:zero_grad()
                    local logits, members, losses, sum = net(x), {}, {}, 0
                    for place, index in ipairs(indices:totable()) do
                        local cell = cell_of(index)
                        if cell then
                            members[cell] = members[cell] or {}
                            table.insert(members[cell], place)
                        end
                    end
                    for cell, list in pairs(members) do
                        local places = lx.tensor(list, {dtype = "int32"})
                        local loss = kind == "classes" and F.cross_entropy or F.binary_cross_entropy_with_logits
                        losses[cell] = loss(logits:index_select(1, places), y:index_select(1, places))
                        q[cell] = q[cell] * math.exp(0.3 * (losses[cell]:item() + 2 / math.sqrt(sizes[cell])))
                    end
                    for _, weight in pairs(q) do sum = sum + weight end
                    for cell in pairs(q) do q[cell] = q[cell] / sum end
                    local all = lx.tensor(0)
                    for cell, loss in pairs(losses) do all = all + loss * q[cell] end
                    all:backward()
                    optimizer:step()
                end
            end
            assert.is_true(near_weights(shown.net, net), kind)
            local saved = assert(lx.checkpoint.load(out .. "/last.safetensors"))["dro.weights"]:totable()
            table.sort(names)
            for k, name in ipairs(names) do assert.near(q[name], saved[k], 1e-4) end
            if kind == "binary" then
                assert.equal(#cells, #saved)
                assert.matches(("weights of groups: east/normal %.3f, east/ill %.3f, west/normal %.3f, west/ill %.3f"
                    ):format(table.unpack(saved)), shown.said, 1, true)
            end
        end
        for pattern, changes in pairs {
            ["leave out 'accumulate'"] = {accumulate = 2}, ["leave out 'mixup'"] = {mixup = 1},
            ["the group of each of the 30 images, got 2"] = {dro = {groups = {1, 2}}},
            ["option 'dro'.*stap"] = {dro = {groups = groups, stap = 1}},
        } do
            changes.dro = changes.dro or {groups = groups}
            assert.error_matches(function() fit("binary", changes) end, pattern)
        end
    end)

    it("says that a network ends in a sigmoid, which gives no logits", function()
        for last, expected in pairs {[nn.Sigmoid()] = 1, [nn.Identity()] = 0} do
            local net, said = nn.Sequential(network(1), last), 0
            assert(lx.train.fit {
                net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1}), train = bars("binary", 24),
                val = bars("binary", 24, 2), epochs = 2, out = out, overwrite = true, progress = {
                    step = function() end, epoch = function() end, message = function(_, text)
                        if text:find("numbers from 0 to 1 only", 1, true) then said = said + 1 end
                    end,
                },
            })
            assert.equal(expected, said)
        end
    end)

    it("ends by patience, and by callbacks", function()
        local net = network(1)
        local frozen = fit("binary", {net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 0}), epochs = 9,
            patience = 3})
        assert.equal(4, frozen.result.epoch)
        assert.matches("ended after epoch 4: no better epoch for 3", frozen.said)
        assert.error_matches(function() fit("binary", {best = "last", patience = 3}) end,
            "option 'patience': it waits for a better epoch, and with best = \"last\" each one is; leave one out")
        local seen = {}
        local stopped = fit("binary", {epochs = 9, callbacks = {epoch = function(row)
            seen[#seen + 1] = row.epoch
            return row.epoch == 2 and "stop" or nil
        end}})
        assert.same({1, 2}, seen)
        assert.equal(2, stopped.result.epoch)
        local steps = 0
        stopped = fit("binary", {epochs = 9, callbacks = {step = function(step)
            steps = steps + 1
            assert.is_number(step.loss)
            return steps == 6 and "stop" or nil
        end}})
        assert.equal(6, steps)
        assert.equal(2, stopped.result.epoch)
        assert.error_matches(function() fit("binary", {callbacks = {epoch = function() return true end}}) end,
            "'epoch' should return \"stop\" or nothing, got true")
    end)

    it("finds the best epoch by what it is told", function()
        local by_own = fit("binary", {epochs = 4, best = function(found)
            assert.is_number(found.loss)
            return -found.loss
        end})
        local by_loss = fit("binary", {epochs = 4, best = "loss"})
        assert.equal(by_own.result.best.epoch, by_loss.result.best.epoch)
        local least = 1
        for i, row in ipairs(by_loss.rows) do
            if row.val_loss < by_loss.rows[least].val_loss then least = i end
        end
        assert.equal(least, by_loss.result.best.epoch)
        assert.is_table(fit("binary", {epochs = 2, best = "accuracy"}).result.best)
        assert.error_matches(function() fit("binary", {best = function() return "good" end}) end,
            "option 'best': its result")
    end)
end)

describe("a run's folder", function()
    it("is not written over, nor by two at once", function()
        assert.is_table(fit("binary").result)
        local before = shell.read(out .. "/last.safetensors")
        local again = fit("binary", {overwrite = false})
        assert.is_nil(again.result)
        assert.equal("exists", again.code)
        assert.matches("holds a run already: resume = true goes on with it, overwrite = true replaces it",
            again.message, 1, true)
        assert.equal(before, shell.read(out .. "/last.safetensors"))
        local lock = assert(core.lock_folder(out))
        local busy = fit("binary")
        assert.is_nil(busy.result)
        assert.equal("busy", busy.code)
        assert.matches("another run writes into " .. out, busy.message, 1, true)
        assert.equal(before, shell.read(out .. "/last.safetensors"))
        getmetatable(lock).__close(lock)
        assert.is_table(fit("binary").result)
    end)

    it("is free again when its process is no more #processes", function()
        local script = shell.write(work .. "/lock.lua", ([[
            local lock = assert(require("luxel.core").lock_folder("%s"))
            io.open("%s/locked", "w"):close()
            while true do os.execute("sleep 1") end
        ]]):format(work, work))
        os.execute(("%s %s & echo $! >%s/pid"):format(LUA, script, work))
        while not lfs.attributes(work .. "/locked", "mode") do os.execute("sleep 0.05") end
        local lock, _, code = core.lock_folder(work)
        assert.is_nil(lock)
        assert.equal("busy", code)
        os.execute(("kill -9 $(cat %s/pid); sleep 0.3"):format(work))
        assert.is_userdata(core.lock_folder(work))
    end)

    it("of an unwritable path or none is noticed before training", function()
        shell.write(work .. "/file", "")
        local shown = fit("binary", {out = work .. "/file/run"})
        assert.is_nil(shown.result)
        assert.equal("io", shown.code)
        assert.equal(0, shown.steps)
        assert.error_matches(function() fit("binary", {out = ""}) end, "option 'out': expected a path")
    end)

    -- An event file as TensorFlow's record format and Protocol Buffers have it, read without the writer's code.
    it("has an event file of the curves", function()
        local shown = fit("classes", {epochs = 3})
        local path
        for name in lfs.dir(out) do path = name:find("^events%.out%.tfevents%.") and out .. "/" .. name or path end
        local text, at, events = shell.read(path), 1, {}
        local function varint(data, place)
            local value, shift = 0, 0
            repeat
                local byte = data:byte(place)
                value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
            until byte < 128
            return value, place
        end
        local function fields(data)
            local list, place = {}, 1
            while place <= #data do
                local key, value
                key, place = varint(data, place)
                if key & 7 == 0 then value, place = varint(data, place)
                elseif key & 7 == 1 then value, place = ("<d"):unpack(data, place)
                elseif key & 7 == 5 then value, place = ("<f"):unpack(data, place)
                else value, place = varint(data, place); value, place = data:sub(place, place + value - 1),
                    place + value end
                list[#list + 1] = {key >> 3, value}
            end
            return list
        end
        local function crc(data)
            local value = 0xffffffff
            for i = 1, #data do
                value = value ~ data:byte(i)
                for _ = 1, 8 do value = value & 1 == 1 and value >> 1 ~ 0x82f63b78 or value >> 1 end
            end
            value = ~value & 0xffffffff
            return ((value >> 15 | value << 17) + 0xa282ead8) & 0xffffffff
        end
        while at <= #text do
            local length, sum = ("<I8I4"):unpack(text, at)
            assert.equal(crc(text:sub(at, at + 7)), sum)
            local data = text:sub(at + 12, at + 11 + length)
            assert.equal(crc(data), (("<I4"):unpack(text, at + 12 + length)))
            events[#events + 1], at = fields(data), at + 16 + length
        end
        assert.equal(4, #events)
        assert.same({3, "brain.Event:2"}, events[1][2])
        for epoch, row in ipairs(shown.rows) do
            local event, values = events[epoch + 1], {}
            assert.same({2, epoch}, event[2])
            for _, field in ipairs(fields(event[3][2])) do
                local value = fields(field[2])
                values[value[1][2]] = value[2][2]
            end
            assert.near(row.loss, values["loss/train"], 1e-6)
            assert.near(row.val_auc, values["auc/validation"], 1e-6)
            assert.near(row.learning_rate, values["learning rate"], 1e-6)
        end
    end)
end)

describe("a resumed run", function()
    local FULL <const> = {
        epochs = 4, ema = 0.9, accumulate = 2, patience = 9, batch = 4, augment = true, mixup = 0.3, cutmix = 1,
        label_smoothing = 0.1,
    }

    local function with(changes)
        local all = {}
        for _, part in ipairs {FULL, changes or {}} do
            for key, value in pairs(part) do all[key] = value end
        end
        local net = network(1)
        all.net, all.optimizer = net, lx.optim.AdamW(net:parameters(), {lr = all.lr or 0.01})
        if all.scheduled then
            all.scheduler = lx.optim.lr_scheduler.CosineWarmup(all.optimizer, {total = all.scheduled})
        end
        all.lr, all.scheduled = nil, nil
        return fit("binary", all)
    end

    it("has the same bits as one that was not interrupted", function()
        local whole = with {scheduled = 40}
        local best, last = shell.read(out .. "/best.safetensors"), shell.read(out .. "/last.safetensors")
        with {scheduled = 40, epochs = 2}
        with {scheduled = 40, resume = true}
        assert.is_true(last == shell.read(out .. "/last.safetensors"))
        assert.is_true(best == shell.read(out .. "/best.safetensors"))
        -- ended between the two files of an epoch
        with {scheduled = 40, epochs = 1}
        local first = shell.read(out .. "/last.safetensors")
        with {scheduled = 40, epochs = 2}
        shell.write(out .. "/last.safetensors", first)
        with {scheduled = 40, resume = true}
        assert.is_true(last == shell.read(out .. "/last.safetensors"))
        assert.is_true(best == shell.read(out .. "/best.safetensors"))
        -- interrupted between the two batches of a step, and between two steps
        for _, at in ipairs {1, 2, 9, 12} do
            os.execute("rm -rf '" .. out .. "'")
            local count = 0
            local net = network(1)
            local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01})
            local options = {net = net, optimizer = optimizer, scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer,
                {total = 40}), progress = {message = function() end, epoch = function() end, step = function()
                count = count + 1
                if count == at then error("interrupted!", 0) end
            end}}
            for key, value in pairs(FULL) do options[key] = value end
            assert.is_true(fit("binary", options).result.interrupted)
            local resumed = with {scheduled = 40, resume = true}
            assert.is_true(last == shell.read(out .. "/last.safetensors"), "interrupted at " .. at)
            assert.is_true(same_weights(whole.net, resumed.net))
        end
    end)

    it("has the same bits with groups that are balanced and weighed", function()
        local groups = {}
        for i = 1, 30 do groups[i] = i % 3 end
        local function run(changes)
            changes.balance, changes.dro = {groups = groups, most = 2}, {groups = groups, step = 0.2}
            changes.net = network(1)
            changes.optimizer = lx.optim.AdamW(changes.net:parameters(), {lr = 0.01})
            return fit("binary", changes)
        end
        local net = run({epochs = 4}).net
        local last = shell.read(out .. "/last.safetensors")
        run {epochs = 2}
        run {epochs = 4, resume = true}
        assert.is_true(last == shell.read(out .. "/last.safetensors"))
        local even = network(1)
        fit("binary", {net = even, optimizer = lx.optim.AdamW(even:parameters(), {lr = 0.01}), epochs = 4,
            dro = {groups = groups, step = 0.2}})
        assert.is_false(same_weights(net, even))
        os.execute("rm -rf '" .. out .. "'")
        local steps = 0
        run {epochs = 4, progress = {message = function() end, epoch = function() end, step = function()
            steps = steps + 1
            if steps == 6 then error("interrupted!", 0) end
        end}}
        run {epochs = 4, resume = true}
        assert.is_true(last == shell.read(out .. "/last.safetensors"))
        groups[5] = 9
        local other = run {epochs = 5, resume = true}
        assert.matches("balance was {groups=", other.message, 1, true)
        assert.matches("group weights was {adjustment=0,groups=", other.message, 1, true)
    end)

    it("is refused where anything is not as it was, and says what", function()
        with {epochs = 1}
        local others = bars("binary", 30, 1)
        others.paths[3] = "another.png"
        local relabelled = bars("binary", 30, 1)
        relabelled.labels[3] = 1 - relabelled.labels[3]
        for pattern, changes in pairs {
            ["the training images are others, or have other labels"] = {train = others},
            ["the training images are others"] = {train = relabelled},
            ["the validation images are others"] = {val = bars("binary", 15, 2)},
            ["size was 12 and is 16"] = {size = 16}, ["augment was true and is false"] = {augment = false},
            ["enhance was none and is {1={step=clahe"] = {enhance = {{"clahe"}}}, ["batch was 4 and is 2"] = {
                batch = 2},
            ["seed was 1 and is 5"] = {seed = 5}, ["accumulate was 2 and is 1"] = {accumulate = 1},
            ["the optimiser's options was {1={betas={1=0.9,2=0.999},eps=1e-08,lr=0.01"] = {lr = 0.02},
            ["schedule was none and is CosineWarmup"] = {scheduled = 40}, ["mean was 0.5 and is 0.4"] = {mean = 0.4},
            ["balanced was false and is true"] = {balanced = true}, ["clip was none and is 1"] = {clip = 1},
            ["mixup was 0.3 and is 0.5"] = {mixup = 0.5}, ["cutmix was 1 and is 2"] = {cutmix = 2},
            ["label smoothing was 0.1 and is 0.2"] = {label_smoothing = 0.2},
        } do
            changes.resume, changes.epochs = true, 2
            local shown = with(changes)
            assert.is_nil(shown.result, pattern)
            assert.equal("format", shown.code)
            assert.matches(pattern, shown.message, 1, true)
            assert.matches("it would not be the same run", shown.message, 1, true)
        end
        assert.is_table(with({resume = true, epochs = 2}).result) -- longer is the same run
    end)
end)

describe("prediction", function()
    it("gives a number or a row for each image, and probabilities when asked", function()
        local net, data = network(3), bars("classes", 6)
        local rows = lx.train.predict(net, data)
        assert.equal(6, #rows)
        assert.equal(3, #rows[1])
        local x = lx.data.batches(data, {batch = 6, shuffle = false, mean = 0.5, std = 0.25})()
        local right = lx.no_grad(function() return net:eval()(x) end)
        for i, row in ipairs(rows) do
            for k, logit in ipairs(row) do assert.near(right[{i, k}], logit, 1e-5) end
        end
        local p = lx.train.predict(net, data, {probabilities = true})
        local softmax = F.softmax(right, 2)
        for i, row in ipairs(p) do
            for k, value in ipairs(row) do assert.near(softmax[{i, k}], value, 1e-5) end
        end
        p = lx.train.predict(net, data, {probabilities = true, task = "labels"})
        for i, row in ipairs(p) do
            for k, value in ipairs(row) do assert.near(1 / (1 + math.exp(-rows[i][k])), value, 1e-6) end
        end
        p = lx.train.predict(network(1), data, {probabilities = true, task = "binary"})
        assert.is_number(p[1])
        assert.error_matches(function() lx.train.predict(network(1), data, {probabilities = true}) end,
            "the network gives one logit for each image, which is not of the task 'classes'")
        assert.error_matches(function() lx.train.predict(nn.Flatten(2, 3), data) end,
            "net: expected logits %[6,K%] of 6 images")
    end)

    it("averages the logits of mirrored and moved views", function()
        local data, vision = bars("classes", 6), lx.vision
        for outputs = 1, 3, 2 do
            local net = network(outputs):eval()
            local function views(flips, shift)
                local sum, count = lx.zeros(6, outputs), 0
                for mirrored = 0, flips and 1 or 0 do
                    for _, by in ipairs {{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}} do
                        if shift > 0 or by[1] == 0 and by[2] == 0 then
                            local images = {}
                            for i = 1, 6 do
                                local image = data:image(i)
                                if mirrored == 1 then image = vision.hflip(image) end
                                images[i] = vision.affine(image, {
                                    translate = {12 * shift * by[1], 12 * shift * by[2]}, border = "replicate",
                                })
                            end
                            local x = (lx.stack(images, 1):float() / 255 - 0.5) / 0.25
                            sum, count = sum + lx.no_grad(function() return net(x) end), count + 1
                        end
                    end
                end
                return sum / count
            end
            for _, case in ipairs {
                {true, true, 0.02}, {{shift = 0.25}, true, 0.25}, {{flips = false, shift = 0.25}, false, 0.25},
                {{shift = 0}, true, 0},
            } do
                local wanted = views(case[2], case[3])
                for i, row in ipairs(lx.train.predict(net, data, {tta = case[1]})) do
                    -- a moved image is bytes, rounded on both ways
                    for k = 1, outputs do assert.near(wanted[{i, k}], outputs == 1 and row or row[k], 0.03) end
                end
            end
            local plain, off = lx.train.predict(net, data), lx.train.predict(net, data, {tta = false})
            assert.same(plain, off)
        end
        local p = lx.train.predict(network(3), data, {tta = true, probabilities = true})
        assert.near(1, p[1][1] + p[1][2] + p[1][3], 1e-9)
        local masks = lx.data.phantom {n = 2, size = 32, task = "segmentation"}
        local unet = lx.models.build("unet", {size = 32, outputs = 1, width = 2})
        local mirrored = lx.data.dataset {images = masks.images:flip(4), masks = masks.masks, labels = {0, 0},
            task = "segmentation"}
        local there, back = lx.train.predict(unet, masks), lx.train.predict(unet, mirrored)
        for i, map in ipairs(lx.train.predict(unet, masks, {tta = true})) do
            assert.is_true(lx.allclose((there[i] + back[i]:flip(3)) / 2, map, 1e-5, 1e-6))
            assert.is_false(lx.allclose(there[i], map, 1e-4, 1e-5))
        end
        assert.error_matches(function() lx.train.predict(unet, masks, {tta = {shift = 0.1}}) end,
            "maps, which are mirrored but not moved")
        assert.error_matches(function() lx.train.predict(unet, masks, {tta = {flop = true}}) end, "flop")
    end)
end)

describe("a temperature", function()
    it("is that of the least cross-entropy, also for logits far apart", function()
        local stream = require("luxel.random").stream(4)
        for _, scale in ipairs {1e-3, 1, 1e4} do
            local rows, labels = {}, {}
            for i = 1, 120 do
                labels[i] = i % 3
                rows[i] = {}
                for k = 0, 2 do rows[i][k + 1] = scale * (stream:normal() + (k == labels[i] and 1
                    or 0)) + 77 * scale end
            end
            labels[5] = 0 / 0
            local fitted = lx.calibration.fit_temperature(rows, labels).temperature
            local function loss(temperature)
                local sum = 0
                for i, row in ipairs(rows) do
                    if labels[i] == labels[i] then
                        sum = sum - math.log(lx.calibration.softmax(row, temperature)[math.tointeger(labels[i]) + 1])
                    end
                end
                return sum
            end
            for _, factor in ipairs {0.98, 1.02} do assert.is_true(loss(fitted) <= loss(fitted * factor)) end
        end
        assert.is_nil(lx.calibration.fit_temperature({{1, 2}, {2, 1}}, {0, 0}))
        assert.is_nil(lx.calibration.fit_temperature({{1, 1}, {2, 2}}, {0, 1}))
        assert.error_matches(function() lx.calibration.fit_temperature({{1, 2}}, {2}) end,
            "class numbers from 0 to 1, got 2")
    end)
end)

describe("a loop of one's own", function()
    it("goes on exactly from one file", function()
        local function parts()
            lx.manual_seed(2)
            local net = nn.Sequential(nn.Flatten(), nn.Linear(144, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(
                4, 1))
            local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01})
            return {net = net, optimizer = optimizer, scheduler = lx.optim.lr_scheduler.StepLR(optimizer, {
                step_size = 3})}
        end
        local data = bars("binary", 24)
        local function train(p, from, to)
            for epoch = from, to do
                for x, y in lx.data.batches(data, {batch = 8, epoch = epoch, mean = 0.5, std = 0.25}) do
                    p.optimizer:zero_grad()
                    F.binary_cross_entropy_with_logits(p.net(x), y):backward()
                    p.optimizer:step()
                end
                p.scheduler:step()
            end
        end
        local whole = parts()
        train(whole, 1, 4)
        local first = parts()
        train(first, 1, 2)
        local path = work .. "/own.safetensors"
        first.state = {epoch = 2, note = "half"}
        assert(lx.checkpoint.save_training(path, first))
        lx.manual_seed(99)
        local second = parts()
        local state = assert(lx.checkpoint.load_training(path, second))
        assert.same({epoch = 2, note = "half"}, state)
        train(second, state.epoch + 1, 4)
        assert.is_true(same_weights(whole.net, second.net))
        assert.equal(whole.optimizer.groups[1].lr, second.optimizer.groups[1].lr)
        -- what does not fit
        local function refused(p, pattern)
            local none, message, code = lx.checkpoint.load_training(path, p)
            assert.is_nil(none)
            assert.matches(pattern, message)
            assert.equal("format", code)
        end
        local other = parts()
        other.scheduler = nil
        refused(other, "it was trained with a schedule")
        local sgd = parts()
        sgd.optimizer = lx.optim.SGD(sgd.net:parameters(), {lr = 0.1})
        refused(sgd, "cannot be gone on with: Optimizer:load_state_dict: dict: the state is of AdamW, the optimiser is "
            .. "SGD")
        assert.is_true(same_weights(parts().net, sgd.net)) -- as they were
        assert.equal(0, sgd.scheduler:state_dict().last_step)
        local net = network(1)
        refused({net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 1}), scheduler = second.scheduler}, "")
        assert(lx.checkpoint.save(path, {w = lx.ones(1)}))
        refused(parts(), "it holds no training")
    end)
end)

describe("the calibration and the threshold of a run", function()
    local function kept(kind, changes)
        fit(kind, changes)
        return select(2, assert(lx.checkpoint.load(out .. "/best.safetensors")))
    end

    -- The probabilities of the kept model for its validation images, and their labels.
    local function probabilities(kind, metadata)
        local net, val = network(OUTPUTS[kind]), bars(kind, 18, 2)
        net:load_state_dict((assert(lx.checkpoint.load(out .. "/best.safetensors"))))
        local p = lx.train.predict(net, val, {probabilities = true, calibration = metadata.calibration})
        return p, val.labels:totable(), lx.train.predict(net, val)
    end

    it("are those asked for, and stored with how they were chosen", function()
        local words = {
            platt = "Platt's scaling", temperature = "a temperature", isotonic = "isotonic regression",
            beta = "beta calibration",
        }
        local FIELD <const> = {platt = "scale", temperature = "temperature", isotonic = "logits", beta = "a"}
        for method, said in pairs(words) do
            local metadata = kept("binary", {calibration = method})
            assert.equal(said, metadata.chosen.calibration)
            local p, labels, logits = probabilities("binary", metadata)
            local fitted = lx.calibration.fit(logits, labels, {method = method})
            assert.same(fitted, setmetatable(metadata.calibration, getmetatable(fitted)))
            for i, logit in ipairs(logits) do assert.near(lx.calibration.probability(fitted, logit), p[i], 1e-12) end
            assert.near(metadata.metrics.val_accuracy, lx.metrics.accuracy(p, labels, metadata.threshold), 1e-12)
            metadata = kept("labels", {calibration = method})
            assert.equal(said .. " of each label", metadata.chosen.calibration)
            for k = 1, 3 do assert.is_true(metadata.calibration[k][FIELD[method]] ~= nil, method) end
        end
        local metadata = kept("binary", {calibration = "none"})
        assert.same({false, "none"}, {metadata.calibration, metadata.chosen.calibration})
        metadata = kept("classes", {calibration = "none"})
        assert.same({false, "none"}, {metadata.calibration, metadata.chosen.calibration})
        assert.is_number(kept("classes", {calibration = "temperature"}).calibration.temperature)
    end)

    it("is at a number, a rate or a cost", function()
        for _, case in ipairs {
            {0.37, "fixed at 0.37", function() return 0.37 end},
            {"youden", "Youden's index", function(p, labels) return lx.metrics.youden(p, labels) end},
            {{sensitivity = 0.5}, "a sensitivity of 0.5", function(p, labels)
                return lx.metrics.threshold_at_sensitivity(p, labels, 0.5)
            end},
            {{specificity = 0.6}, "a specificity of 0.6", function(p, labels)
                return lx.metrics.threshold_at_specificity(p, labels, 0.6)
            end},
            {{cost = 20}, "a miss costs as much as 20 false alarms", function(p, labels)
                return lx.metrics.threshold_at_cost(p, labels, {miss = 20})
            end},
            {{cost = 1e-9, prevalence = 0.5}, "a miss costs as much as 1e-09 false alarms, prevalence 0.5",
                function(p, labels)
                    return math.min(1, (lx.metrics.threshold_at_cost(p, labels, {miss = 1e-9, prevalence = 0.5})))
                end},
        } do
            local metadata = kept("binary", {threshold = case[1], epochs = 1})
            assert.equal(case[2], metadata.chosen.threshold)
            assert.near((case[3](probabilities("binary", metadata))), metadata.threshold, 1e-12)
        end
        -- where calling nobody is the best, and for another prevalence
        local choice = require "luxel.train.choice"
        local p, labels = {0.9, 0.8, 0.3, 0.2}, {0, 1, 1, 0}
        assert.equal(1, choice.of("binary", nil, {cost = 1e-9}).threshold(p, labels))
        assert.equal(1, choice.of("binary", nil, {specificity = 0.9}).threshold(p, labels))
        assert.equal(1, choice.of("binary", nil, {cost = 2, prevalence = 0.01}).threshold(p, labels))
        assert.near(0.25, choice.of("binary", nil, {cost = 2, prevalence = 0.9}).threshold(p, labels), 1e-12)
        assert.is_nil(choice.of("binary", nil, {cost = 2}).threshold({0.2}, {1}))
        local metadata = kept("labels", {threshold = {sensitivity = 0.9}, epochs = 1})
        assert.equal("a sensitivity of 0.9 of each label", metadata.chosen.threshold)
        p, labels = probabilities("labels", metadata)
        for k = 1, 3 do
            local scores, truth = {}, {}
            for i, row in ipairs(p) do scores[i], truth[i] = row[k], labels[i][k] end
            assert.near((lx.metrics.threshold_at_sensitivity(scores, truth, 0.9)), metadata.threshold[k], 1e-12)
        end
    end)

    it("are fitted to other images where these are given", function()
        local logits, truth = {}, {}
        for i = 1, 60 do logits[i], truth[i] = math.sin(i * i) + (i % 3 == 0 and 1.5 or 0), i % 3 == 0 and 1 or 0 end
        local on = {logits = logits, labels = truth, words = "films of elsewhere"}
        local metadata = kept("binary", {calibrate_on = on, best = "last"})
        local fitted = lx.calibration.fit(logits, truth)
        assert.same(fitted, setmetatable(metadata.calibration, getmetatable(fitted)))
        local scores = {}
        for i, logit in ipairs(logits) do scores[i] = lx.calibration.probability(fitted, logit) end
        assert.equal((lx.metrics.youden(scores, truth)), metadata.threshold)
        assert.same({60, "films of elsewhere"}, {metadata.chosen.images, metadata.chosen.of})
        -- the figures are those of the validation images
        local p, labels = probabilities("binary", metadata)
        assert.near(metadata.metrics.val_accuracy, lx.metrics.accuracy(p, labels, metadata.threshold), 1e-12)
        on.logits[1] = on.logits[1] + 1
        local other = fit("binary", {calibrate_on = on, best = "last", epochs = 4, overwrite = false, resume = true})
        assert.matches("what is calibrated on was %x+ and is %x+", other.message)
        for _, case in ipairs {
            {"binary", {logits = {1}, labels = {1, 0}}, "expected a label for each of the 1 logits, got 2"},
            {"binary", {logits = {1, 2}, labels = {1, 1}}, "images of one class alone"},
            {"binary", {logits = {1, 2}, labels = {1, 0}, unfamiliar = {1}}, "each of the 2 logits, got 1"},
            {"binary", {logits = {1, 2}, labels = {1, 3}}, "expected 0, 1 or NaN %(missing%), got 3 at place 2"},
            {"binary", {logits = {{1}, {2}}, labels = {1, 0}}, "logits: place 1: expected a number"},
            {"classes", {logits = {1, 2}, labels = {1, 0}}, "it is for two classes and for labels, and the task is "
                .. "'classes'"},
            {"labels", {logits = {1, 2}, labels = {1, 0}}, "logits: place 1: expected a list"},
            {"labels", {logits = {{1, 2}}, labels = {{1, 0, 0}}}, "logits: expected 3 numbers at place 1, one for each "
                .. "label, got 2"},
            {"labels", {logits = {{1, 2, 3}}, labels = {{1, 0, 2}}}, "expected 0, 1 or NaN %(missing%), got 2 at "
                .. "place 1"},
            {"binary", {logits = {1, 0 / 0}, labels = {1, 0}}, "finite"},
        } do
            assert.error_matches(function() fit(case[1], {calibrate_on = case[2]}) end,
                "^[^\n]-fit: options: option 'calibrate_on.*" .. case[3])
        end
    end)

    it("are fitted to other images of labels, whose file says what each is doubted by", function()
        local logits, truth = {}, {}
        for i = 1, 90 do
            logits[i], truth[i] = {}, {}
            for k = 1, 3 do
                logits[i][k] = math.sin(i * i * k) + (i % (k + 1) == 0 and 1.5 or 0)
                truth[i][k] = i % 7 == k and 0 / 0 or i % (k + 1) == 0 and 1 or 0
            end
        end
        local metadata = kept("labels", {
            net = lx.models.cnn {size = 16, outputs = 3}, size = 16, best = "last",
            calibrate_on = {logits = logits, labels = truth},
        })
        for k = 1, 3 do
            local own, labels, scores, classes = {}, {}, {}, {{}, {}}
            for i = 1, 90 do own[i], labels[i] = logits[i][k], truth[i][k] end
            local fitted = lx.calibration.fit(own, labels)
            assert.same(fitted, setmetatable(metadata.calibration[k], getmetatable(fitted)))
            for i, logit in ipairs(own) do
                scores[i] = lx.calibration.probability(fitted, logit)
                if labels[i] == labels[i] then table.insert(classes[labels[i] + 1], logit) end
            end
            assert.equal((lx.metrics.youden(scores, labels)), metadata.threshold[k])
            table.sort(classes[1])
            table.sort(classes[2])
            -- of n images the k-th worst with k = floor((n + 1) * 0.05), none below 19
            local few = #classes[2] < 19
            local worst = math.floor((#classes[2] + 1) * 0.05)
            assert.equal(not few and classes[2][worst] or nil, metadata.doubt.each[k].low)
        end
        assert.same({90, "other images"}, {metadata.chosen.images, metadata.chosen.of})
    end)

    it("are refused where the task has none, or they contradict each other", function()
        for _, case in ipairs {
            {"classes", {calibration = "platt"}, "option 'calibration': the task 'classes' has temperature, none, and"},
            {"classes", {threshold = 0.5}, "option 'threshold': of several classes"},
            {"binary", {calibration = "plat"}, "option 'calibration': expected .*did you mean 'platt'"},
            {"binary", {threshold = 1.5}, "option 'threshold': expected"},
            {"binary", {threshold = {}}, "option 'threshold': expected one of sensitivity, specificity and cost"},
            {"binary", {threshold = {sensitivity = 0.9, cost = 3}}, "option 'threshold': expected one of"},
            {"binary", {threshold = {sensitivity = 0}}, "option 'threshold': expected a sensitivity above 0"},
            {"binary", {threshold = {sensitivity = 0.9, prevalence = 0.1}}, "a prevalence is for a cost"},
            {"binary", {threshold = {sensitivty = 0.9}}, "option 'threshold': .*sensitivty"},
        } do
            assert.error_matches(function() fit(case[1], case[2]) end, "^[^\n]-fit: options: .*" .. case[3])
        end
    end)

    it("belong to a run that goes on", function()
        fit("binary", {epochs = 1, calibration = "beta", threshold = {cost = 5}})
        local same = fit("binary", {epochs = 2, overwrite = false, resume = true, calibration = "beta",
            threshold = {cost = 5}})
        assert.equal(2, same.result.epoch)
        local other = fit("binary", {epochs = 3, overwrite = false, resume = true, threshold = {cost = 5}})
        assert.is_nil(other.result)
        assert.matches("the calibration was beta and is the usual", other.message)
        other = fit("binary", {epochs = 3, overwrite = false, resume = true, calibration = "beta"})
        assert.matches("the threshold was a miss costs as much as 5 false alarms and is the usual", other.message)
    end)

    it("come from the command line", function()
        local choice = require "luxel.train.choice"
        for text, expected in pairs {
            youden = "youden", ["0.5"] = 0.5, ["sensitivity=0.95"] = {sensitivity = 0.95},
            ["specificity=0.9"] = {specificity = 0.9}, ["cost=5"] = {cost = 5},
            ["cost=5,prevalence=0.1"] = {cost = 5, prevalence = 0.1},
        } do
            assert.same(expected, choice.parse(text))
        end
        for _, text in ipairs {
            "", "1.5", "-1", "nan", "sensitivity", "sensitivity=2", "sensitivity=0", "cost=0", "cost=-1", "kost=5",
            "sensitivity=0.9,specificity=0.9", "prevalence=0.1", "cost=5,", "cost=x", "inf",
        } do
            local value, message = choice.parse(text)
            assert.is_nil(value, text)
            assert.matches("expected youden, a number", message)
        end
        local _, said, problem = shell.run(("%s examples/chest_xray/train.lua --phantoms 60 --size 32 --epochs 1 "
            .. "--batch 20 --device cpu --calibration isotonic --threshold sensitivity=0.9 --out %s/line"):format(LUA,
                work))
        local _, metadata = lx.checkpoint.load(work .. "/line/best.safetensors")
        assert.is_table(metadata, said .. problem)
        assert.equal("isotonic regression", metadata.chosen.calibration)
        assert.equal("a sensitivity of 0.9", metadata.chosen.threshold)
        local predictor = assert(lx.predictor.open(work .. "/line/best.safetensors"))
        local p = predictor:probabilities(lx.data.phantom {n = 3, size = 32})
        for _, value in ipairs(p) do assert.is_true(value >= 0 and value <= 1) end
        local evaluate = ("%s examples/chest_xray/evaluate.lua --phantoms 20 --device cpu --model "):format(LUA)
            .. work .. "/line/best.safetensors --prevalence "
        assert.matches("precision at 5%%", select(2, shell.run(evaluate .. "0.05")))
        assert.matches("%-%-prevalence: expected a number from 0 to 1, got '5'", select(3, shell.run(evaluate .. "5")))
    end)
end)
