--- What a network is worth on a group of images that it was not trained on.

local lx = require "luxel"
local shell = require "spec.support.shell"

local SILENT <const> = {message = function() end, step = function() end, epoch = function() end}

describe("a group that is left out", function()
    local images = lx.zeros(6, 1, 8, 8):byte()
    local dataset = lx.data.dataset {
        images = images, labels = {0, 1, 0, 1, 0, 1}, patients = {"a", "b", "a", "c", "d", "e"},
    }

    local function paths(set) return table.concat(set.paths, ",") end

    it("takes its patients' other images out of training, and images of no group stay", function()
        local folds = assert(dataset:leave_group_out {"x", "x", "y", "y", false, "y"})
        assert.equal(2, #folds)
        assert.same({"x", "y"}, {folds[1].group, folds[2].group})
        assert.equal("image 1,image 2", paths(folds[1].val))
        assert.equal("image 4,image 5,image 6", paths(folds[1].train)) -- not image 3, of patient a
        assert.equal("image 3,image 4,image 6", paths(folds[2].val))
        assert.equal("image 2,image 5", paths(folds[2].train))
    end)

    it("is refused where nothing would be left, and where groups are not one for each image", function()
        local folds, message, code = dataset:leave_group_out {"x", "x", "x", "x", "x", "x"}
        assert.is_nil(folds)
        assert.equal("format", code)
        assert.matches("without the group x", message)
        assert.error_matches(function() dataset:leave_group_out {"x"} end, "expected one for each of 6 images, got 1")
        assert.same({}, dataset:leave_group_out {false, false, false, false, false, false})
    end)
end)

describe("lx.train.shift", function()
    local out
    setup(function() out = shell.folder() end)
    teardown(function() shell.remove(out) end)
    local data = lx.data.phantom {n = 80, size = 16, seed = 3}
    local groups = {}
    for i = 1, #data do groups[i] = i % 3 == 0 and "third" or i % 3 == 1 and "first" or false end
    local folds = data:leave_group_out(groups)

    local function options(changes)
        local all = {
            folds = folds, seeds = {1, 2}, out = out .. "/shift", progress = SILENT,
            outsides = {other = lx.data.phantom {n = 20, size = 16, seed = 9}},
            fit = function(fold, seed)
                lx.manual_seed(seed)
                local net = lx.models.cnn {size = 16}
                local train, val = fold.train:split {val = 0.3, seed = seed}
                return {
                    net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-3}), train = train, val = val,
                    epochs = 1, seed = seed, metadata = {model = "cnn", size = 16},
                }
            end,
        }
        for key, value in pairs(changes or {}) do all[key] = value end
        return all
    end

    it("judges each network at its own threshold on what it has not seen", function()
        local result = assert(lx.train.shift(options()))
        assert.equal(2, #result.groups)
        assert.equal("other", result.outsides[1].name)
        for k, row in ipairs(result.groups) do
            local fold = folds[k]
            assert.equal(tostring(fold.group), row.name)
            assert.equal(#fold.val, row.images)
            local right, labels = 0, fold.val.labels:totable()
            for _, seed in ipairs {1, 2} do
                local path = ("%s/shift/%s-seed-%d/best.safetensors"):format(out, fold.group, seed)
                local predictor = assert(lx.predictor.open(path))
                for i, p in ipairs(assert(predictor:probabilities(fold.val))) do
                    right = right + ((p >= predictor.threshold) == (labels[i] == 1) and 1 or 0)
                end
            end
            assert.near(right / (2 * row.images), row.accuracy, 1e-12)
            assert.is_true(row.intervals.accuracy == nil or row.intervals.accuracy[1] <= row.accuracy)
        end
        local worst = math.min(result.groups[1].accuracy, result.groups[2].accuracy)
        assert.equal(worst, result.worst.accuracy)
        assert.near((result.groups[1].accuracy + result.groups[2].accuracy) / 2, result.mean.accuracy, 1e-12)
        assert.matches("left out: first, 27 images", tostring(result))
        local logits = {}
        for _, fold in ipairs(folds) do
            for _, seed in ipairs {1, 2} do
                local path = ("%s/shift/%s-seed-%d/best.safetensors"):format(out, fold.group, seed)
                local own, unfamiliar = assert(lx.predictor.open(path)):logits(fold.val)
                local labels = fold.val.labels:totable()
                for i, logit in ipairs(own) do logits[#logits + 1] = {logit, labels[i], unfamiliar[i]} end
            end
        end
        assert.equal(#logits, #result.left_out.logits)
        for i, pair in ipairs(logits) do
            local found = result.left_out
            assert.same(pair, {found.logits[i], found.labels[i], found.unfamiliar[i]})
        end
    end)

    it("counts images without a label for nothing", function()
        local labels = data.labels:totable()
        for i = 1, 80, 4 do labels[i] = 0 / 0 end
        local some = lx.data.dataset {images = data.images, labels = labels}
        local known, positives = 0, 0
        local own = some:leave_group_out(groups)
        for _, label in ipairs(own[1].val.labels:totable()) do
            if label == label then known, positives = known + 1, positives + label end
        end
        local result = assert(lx.train.shift(options {folds = own, out = out .. "/missing"}))
        assert.equal(known, result.groups[1].images)
        assert.equal(positives, result.groups[1].positives)
        assert.is_true(known < #own[1].val)
    end)

    it("ends where what a run depends on was interrupted", function()
        local stopped = {interrupted = true}
        local result = assert(lx.train.shift(options {out = out .. "/stopped", fit = function() return stopped end}))
        assert.is_true(result.interrupted)
        assert.same({}, result.groups)
    end)

    it("goes on with runs that are there, and refuses to write over them", function()
        local refused, message, code = lx.train.shift(options())
        assert.is_nil(refused)
        assert.equal("exists", code)
        assert.matches("holds a run already", message)
        local function log()
            local file <close> = assert(io.open(out .. "/shift/first-seed-1/log.csv"))
            return file:read("a")
        end
        local before = log()
        local result = assert(lx.train.shift(options {resume = true}))
        assert.equal(2, #result.groups)
        assert.equal(before, log())
    end)

    it("wants folds and seeds", function()
        assert.error_matches(function() lx.train.shift(options {folds = {}}) end, "there are none")
        assert.error_matches(function() lx.train.shift(options {seeds = {}}) end, "there are none")
        assert.error_matches(function() lx.train.shift(options {seeds = {1, 1}}) end, "would share the folder")
        local same = {{group = "a b", train = folds[1].train, val = folds[1].val},
            {group = "a-b", train = folds[2].train, val = folds[2].val}}
        assert.error_matches(function() lx.train.shift(options {folds = same}) end,
            "would share the folder a_b%-seed%-1")
    end)
end)

describe("luxel shift", function()
    it("refuses words of which an image has two in its name", function()
        local out = shell.folder()
        assert(lx.data.phantom_save(out .. "/films", {n = 4, size = 32, seed = 1}))
        local status, _, errors = shell.run(("%s bin/luxel shift --data '%s/films' --recipe quick --size 32 "
            .. "--group png .png --out '%s/shift'"):format(os.getenv "LUA" or "lua5.4", out, out))
        shell.remove(out)
        assert.equal(1, status)
        assert.matches("has 'png' and '.png' in its name, and is of one group", errors, 1, true)
    end)
end)
