--- lx.train: which epoch is the best one, what is logged, and what is shown.

local core = require "luxel.core"
local dataset = require "luxel.data.dataset"
local lx = require "luxel"

local silent = {step = function() end, epoch = function() end, message = function() end}

-- Six images, of which the first `infected` are labelled 1.
local function six(infected)
    local labels, paths = {}, {}
    for i = 1, 6 do labels[i], paths[i] = i <= infected and 1 or 0, ("%d.png"):format(i) end
    return dataset.new {
        images = lx.zeros({6, 1, 4, 4}, {dtype = "uint8"}), labels = lx.tensor(labels), paths = paths, groups = paths,
        classes = {"NORMAL", "INFECTED"}, failed = {},
    }
end

-- A network whose logits are its six parameters, whatever the images.
local Table = lx.nn.class("Table")
function Table:init() self.logits = lx.nn.Parameter(lx.zeros(6, 1)) end
function Table:forward(x) return x:mean({2, 3, 4}):view(6, 1) * 0 + self.logits end

-- An optimiser that sets the logits to what is planned for each epoch.
local function planned(net, epochs)
    local step = 0
    return {
        groups = {{lr = 1}}, zero_grad = function() net:zero_grad() end,
        step = function()
            step = step + 1
            lx.no_grad(function() net.logits:copy_(lx.tensor(epochs[step]):view(6, 1)) end)
        end,
        state_dict = function() return {tensors = {}, kind = "planned", steps = {}, groups = {}} end,
    }
end

local out

-- Runs as many epochs as there are planned logits; `more` adds options. The first four of the images are infected.
local function fit(epochs, more)
    local net = Table()
    local options = {
        net = net, optimizer = planned(net, epochs), loss = lx.nn.functional.binary_cross_entropy_with_logits,
        train = six(3), val = six(4), epochs = #epochs, batch = 6, out = out, progress = silent, compile = false,
        overwrite = true,
    }
    for key, value in pairs(more or {}) do options[key] = value end
    return assert(lx.train.fit(options))
end

local function moved(by)
    local logits = {}
    for i, logit in ipairs {2, 1, 0.5, -0.5, -1, -2} do logits[i] = logit + by end
    return logits
end

local function new_folder()
    out = os.tmpname()
    os.remove(out)
end

local function remove_folder() os.execute("rm -rf " .. out) end

describe("the best epoch", function()
    before_each(new_folder)
    after_each(remove_folder)

    -- The number of the best epoch of a run with the planned logits, and what is noted of it.
    local function best_of(epochs)
        local result = fit(epochs)
        local tensors, metadata = assert(lx.checkpoint.load(out .. "/best.safetensors"))
        assert.equal(result.best.epoch, metadata.epoch)
        assert.same(epochs[result.best.epoch], tensors.logits:flatten():totable())
        return result.best.epoch, result.best
    end

    it("has the larger AUC, whatever the loss", function()
        local epoch, best = best_of {{2, 2, 2, -2, 2, -2}, {-30, -31, -32, -33, -40, -41}, {1, 1, 1, -1, -1, -1}}
        assert.equal(2, epoch)
        assert.equal(1, best.auc)
        assert.is_true(best.loss > 20)
    end)

    it("has the smaller loss where the AUC is equal", function()
        assert.equal(2, (best_of {moved(3), moved(0.5), moved(-3)}))
        assert.equal(3, (best_of {moved(4), moved(3), moved(2)}))
        assert.equal(1, (best_of {moved(2), moved(3), moved(4)}))
    end)

    it("is the first of equal ones", function()
        assert.equal(1, (best_of {moved(1), moved(1), moved(1)}))
        assert.equal(2, (best_of {moved(3), moved(1), moved(1)}))
    end)
end)

describe("a run's log", function()
    before_each(new_folder)
    after_each(remove_folder)

    local COLUMNS <const> =
        "epoch,loss,val_loss,val_accuracy,val_auc,threshold,learning_rate,images_per_second,seconds"

    local function read_log()
        local lines = {}
        for line in io.lines(out .. "/log.csv") do lines[#lines + 1] = line end
        return lines
    end

    it("has a row of every epoch, as it is shown", function()
        local rows = {}
        local progress = {
            step = silent.step, message = silent.message, epoch = function(_, row) rows[#rows + 1] = row end,
        }
        fit({moved(2), moved(3), moved(1)}, {progress = progress})
        local lines = read_log()
        assert.equal(COLUMNS, lines[1])
        assert.equal(4, #lines)
        for i, row in ipairs(rows) do
            local cells = {}
            for cell in lines[i + 1]:gmatch("[^,]+") do cells[#cells + 1] = tonumber(cell) end
            local expected = {
                i, row.loss, row.val_loss, row.val_accuracy, row.val_auc, row.threshold, 1, row.images_per_second,
                row.seconds,
            }
            for k, value in ipairs(expected) do assert.near(value, cells[k], 1e-5 * math.abs(value)) end
            assert.equal(3, row.epochs)
            assert.equal(1, row.val_auc)
        end
        -- what the network was before the step, and after it
        assert.near(math.log(2), rows[1].loss, 1e-6)
        assert.is_true(rows[3].is_best and rows[1].is_best and not rows[2].is_best)
    end)

    it("counts images and seconds", function()
        local started, steps, rows = core.now(), {}, {}
        local progress = {
            step = function(_, s)
                s.after = core.now() - started
                steps[#steps + 1] = s
            end,
            epoch = function(_, row) rows[#rows + 1] = row end, message = silent.message,
        }
        fit({moved(1), moved(2)}, {progress = progress})
        for i, s in ipairs(steps) do
            assert.same({i, 2, 1, 1}, {s.epoch, s.epochs, s.batch, s.batches})
            -- six images took no longer than all that was done so far
            assert.is_true(s.rate > 0 and 6 / s.rate <= s.after + 1e-6)
            assert.is_true(s.left >= 0 and s.left < math.huge)
        end
        for _, row in ipairs(rows) do
            assert.is_true(row.seconds > 0 and 6 / row.images_per_second <= row.seconds + 1e-6)
        end
    end)

    it("begins anew with a new run, and goes on with a resumed one", function()
        fit {moved(1), moved(2), moved(3)}
        assert.equal(4, #read_log())
        fit {moved(1)}
        local before = read_log()
        assert.equal(2, #before)
        local net = Table()
        local optimizer = lx.optim.SGD(net:parameters(), {lr = 0.1})
        fit({{}}, {net = net, optimizer = optimizer, epochs = 1})
        fit({{}}, {net = net, optimizer = optimizer, epochs = 3, resume = true})
        local lines = read_log()
        assert.equal(4, #lines)
        for i = 1, 3 do assert.equal(tostring(i), lines[i + 1]:match("^%d+")) end
    end)
end)

describe("the console", function()
    local file, console
    before_each(function()
        file = io.tmpfile()
        console = lx.train.console(file)
    end)
    after_each(function() file:close() end)

    local function written()
        file:seek("set")
        return file:read("a")
    end

    local function row(changes)
        local out_row = {
            epoch = 3, epochs = 12, loss = 0.12345, val_loss = 0.2, val_accuracy = 0.9104, val_auc = 0.95,
            seconds = 125, images_per_second = 12.34, is_best = true,
        }
        for key, value in pairs(changes or {}) do out_row[key] = value end
        return out_row
    end

    it("writes a line of each epoch", function()
        console:epoch(row())
        console:epoch(row {is_best = false, seconds = 3})
        local same = "epoch  3/12  loss 0.1235  validation: loss 0.2000  accuracy 0.910  AUC 0.9500  "
        assert.equal(same .. "(2:05, 12.3 images/s)  best so far\n" .. same .. "(3 s, 12.3 images/s)\n", written())
    end)

    it("writes durations as people say them", function()
        local cases = {
            {0.4, "0 s"}, {59.4, "59 s"}, {59.5, "1:00"}, {125, "2:05"}, {3599.4, "59:59"}, {3599.6, "1:00:00"},
            {3725, "1:02:05"}, {36000, "10:00:00"},
        }
        for _, case in ipairs(cases) do console:epoch(row {seconds = case[1]}) end
        local i = 0
        for shown in written():gmatch("%(([^,]*), ") do
            i = i + 1
            assert.equal(cases[i][2], shown)
        end
        assert.equal(#cases, i)
    end)

    it("draws bars only where somebody watches", function()
        local s = {epoch = 2, epochs = 5, batch = 6, batches = 12, loss = 0.5, rate = 99.96, left = 61}
        console:step(s)
        console:reading(1, 4)
        assert.equal("", written())
        console.live = true
        console.last = core.now() + 1000 -- the last step was drawn just now
        console:step(s)
        assert.equal("", written())
        console.last = 0
        console:step(s)
        s.batch = 12
        console:step(s)
        console:message("a line")
        console:reading(1, 4)
        console:reading(4, 4)
        local bar = ("="):rep(24)
        assert.equal("\r\27[Kepoch 2/5 [" .. ("="):rep(12) .. (" "):rep(12)
            .. "] 6/12  loss 0.5000  100.0 images/s  1:01 left"
            .. "\r\27[Kepoch 2/5 [" .. bar .. "] 12/12  loss 0.5000  100.0 images/s  1:01 left"
            .. "\r\27[Ka line\n"
            .. "\r\27[Kreading images [======" .. (" "):rep(18) .. "] 1/4"
            .. "\r\27[Kreading images [" .. bar .. "] 4/4\r\27[K", written())
    end)
end)

describe("fit", function()
    it("takes 32 images at a time unless told otherwise", function()
        local sizes = {}
        local Net = lx.nn.class("Counted")
        function Net:init() self.head = lx.nn.Linear(256, 1) end
        function Net:forward(x)
            if self.training then sizes[#sizes + 1] = x.shape[1] end
            return self.head(x:flatten(2))
        end
        local data = lx.data.phantom {n = 33, size = 16, seed = 1}
        local net = Net()
        local folder = os.tmpname()
        os.remove(folder)
        lx.train.fit {
            net = net, loss = lx.nn.functional.binary_cross_entropy_with_logits, train = data, val = data, epochs = 1,
            compile = false, out = folder, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3}),
        }
        os.execute("rm -rf '" .. folder .. "'")
        assert.same({32, 1}, sizes)
    end)
end)

describe("a step of fit", function()
    local function network()
        lx.manual_seed(4)
        return lx.nn.Sequential(lx.nn.Flatten(), lx.nn.Linear(256, 3), lx.nn.Tanh(), lx.nn.Linear(3, 1))
    end

    -- All images are one batch, so that their order does not matter.
    it("is forward, backward, clipping and the optimiser's, as by hand", function()
        local data = lx.data.phantom {n = 12, size = 16, seed = 1}
        local options = {mean = 0.4, std = 0.2}
        local by_hand = network()
        local optimizer = lx.optim.SGD(by_hand:parameters(), {lr = 0.3, momentum = 0.5})
        local x, y = lx.data.batches(data, {batch = 12, shuffle = false, mean = 0.4, std = 0.2})()
        for _ = 1, 4 do
            optimizer:zero_grad()
            lx.nn.functional.binary_cross_entropy_with_logits(by_hand(x), y):backward()
            lx.optim.clip_grad_norm_(by_hand:parameters(), 0.1)
            optimizer:step()
        end
        for _, compile in ipairs {false, true} do
            local net, folder = network(), os.tmpname()
            os.remove(folder)
            lx.train.fit {
                net = net, loss = lx.nn.functional.binary_cross_entropy_with_logits, train = data, val = data,
                epochs = 4, batch = 12, compile = compile, out = folder, clip = 0.1, mean = options.mean,
                std = options.std, optimizer = lx.optim.SGD(net:parameters(), {lr = 0.3, momentum = 0.5}),
            }
            os.execute("rm -rf '" .. folder .. "'")
            local start = network()
            for i, parameter in ipairs(net:parameters()) do
                local right = by_hand:parameters()[i]
                assert.is_true((parameter - right):abs():max():item() < 1e-5)
                assert.is_true((parameter - start:parameters()[i]):abs():max():item() > 1e-3)
            end
        end
    end)
end)

describe("prediction", function()
    it("takes 32 images at a time unless told otherwise", function()
        local sizes = {}
        local Net = lx.nn.class("Watched")
        function Net:init() self.head = lx.nn.Linear(256, 1) end
        function Net:forward(x)
            sizes[#sizes + 1] = x.shape[1]
            return self.head(x:flatten(2))
        end
        local data = lx.data.phantom {n = 33, size = 16, seed = 1}
        lx.train.predict(Net(), data, {compile = false})
        assert.same({32, 1}, sizes)
        sizes = {}
        lx.train.predict(Net(), data, {compile = false, batch = 20})
        assert.same({20, 13}, sizes)
    end)
end)
