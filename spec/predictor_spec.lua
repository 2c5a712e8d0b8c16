--- The predictor: one road from a film, as a file or as bytes, to an answer.

local core = require "luxel.core"
local lx = require "luxel"
local shell = require "spec.support.shell"

local SIZE <const> = 33

local ABSENT <const> = {}

local work

-- A model's file as training writes it, with weights by chance.
local function save(name, fields, outputs)
    lx.manual_seed(7)
    local metadata = {
        schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "cnn", size = SIZE,
        classes = {"NORMAL", "INFECTED"}, positive = "INFECTED", input = {channels = 1, low = 0, high = 1},
        normalisation = {mean = 0.4, std = 0.3}, threshold = 0.5, calibration = {scale = 40, shift = 0.25}, seed = 1,
        epoch = 1, chosen = {threshold = "Youden", calibration = "Platt", images = 9},
    }
    for key, value in pairs(fields or {}) do
        if value == ABSENT then metadata[key] = nil else metadata[key] = value end
    end
    local path = work .. "/" .. name
    local weights = lx.models.cnn({size = SIZE, outputs = outputs}):state_dict()
    assert(lx.checkpoint.save(path, weights, metadata))
    return path
end

local function film(name, seed, height, width)
    lx.manual_seed(seed)
    local path = ("%s/%s.png"):format(work, name)
    local image = lx.vision.gaussian_blur(lx.rand(1, height, width) * 255, 2)
    assert(lx.vision.save(path, ((image - 100) * 4):clamp(0, 255):byte()))
    return path
end

describe("a predictor", function()
    local films

    setup(function()
        work = shell.folder()
        films = {film("a", 1, 71, 53), film("b", 2, 33, 33), film("c", 3, 20, 90)}
    end)

    teardown(function() shell.remove(work) end)

    it("doubts answers for patients of other ages than those of the training", function()
        local golden = assert(lx.checkpoint.load("spec/golden/dicom.safetensors"))
        local bytes = core.to_string(golden["window/linear/file"]) -- of a woman of 42 years
        local function answer(ages)
            return assert(assert(lx.predictor.open(save("ages.safetensors", {ages = ages})))({bytes = bytes}))
        end
        local young, grown = answer {low = 1, high = 5}, answer {low = 18, high = 99}
        assert.is_true(young.uncertain)
        assert.equal("population", young.reasons[1].code)
        assert.is_nil(grown.uncertain)
        assert.is_nil(grown.reasons)
        assert.equal(42, grown.age)
        local told = assert(lx.predictor.open(save("ages.safetensors", {ages = {low = 1, high = 5}})))
        assert.is_nil(told({bytes = bytes}, {age = 4}).reasons)
        assert.equal("population", told(films[1], {age = 61}).reasons[1].code)
        local _, message = lx.predictor.open(save("ages.safetensors", {ages = {low = 5, high = 1}}))
        assert.matches("ages: low is above high", message)
    end)

    it("answers what the parts give by themselves", function()
        local path = save("two.safetensors")
        local predictor = assert(lx.predictor.open(path))
        local tensors, metadata = assert(lx.checkpoint.load(path))
        local net = lx.models.cnn {size = SIZE}
        net:load_state_dict(tensors)
        net:eval()
        local images = core.decode_images(films, SIZE)
        local logits = net((images:float() / 255 - 0.4) / 0.3):totable()
        for i, answer in ipairs(predictor:all(films)) do
            local p = 1 / (1 + math.exp(-(40 * logits[i][1] + 0.25)))
            assert.near(p, answer.infected, 1e-5)
            assert.equal(p >= 0.5, answer.positive)
            assert.equal(metadata.classes[p >= 0.5 and 2 or 1], answer.label)
            assert.near(math.max(p, 1 - p), answer.probability, 1e-5)
            assert.equal(films[i], answer.path)
            assert.same(lx.vision.quality(assert(lx.vision.load(films[i], {bits = 8}))), answer.findings)
            assert.equal(lx.predictor.NOTICE, answer.notice)
            assert.equal(("%s: %.2f%%"):format(answer.label, 100 * answer.probability), tostring(answer))
        end
    end)

    it("answers the same to a path, to bytes, one by one and together", function()
        local predictor = assert(lx.predictor.open(save("two.safetensors")))
        local together = predictor:all {films[1], {bytes = shell.read(films[2]), name = "two"}, films[3]}
        for i, path in ipairs(films) do
            local alone, of_bytes = assert(predictor(path)), assert(predictor:predict({bytes = shell.read(path)}))
            assert.near(alone.infected, together[i].infected, 1e-6)
            assert.equal(alone.infected, of_bytes.infected)
            assert.equal("image", of_bytes.path)
        end
        assert.equal("two", together[2].path)
    end)

    it("of several models gives the mean of their probabilities, at the mean threshold", function()
        local function with(name, scale, threshold, seen)
            local calibration = {scale = scale, shift = 0.25}
            return save(name, {calibration = calibration, threshold = threshold, trained_on = seen})
        end
        local function hashes(k)
            return {pixels = ("%012d"):format(k), patients = ("%012d"):format(k + 5), images = k}
        end
        local paths = {
            with("m1.safetensors", 40, 0.3, hashes(1)), with("m2.safetensors", -25, 0.6),
            with("m3.safetensors", 3, 0.9, hashes(3)),
        }
        local together = assert(lx.predictor.open(paths))
        local means = {0, 0, 0}
        for _, path in ipairs(paths) do
            for i, answer in ipairs(assert(lx.predictor.open(path)):all(films)) do
                means[i] = means[i] + answer.infected / 3
            end
        end
        for i, answer in ipairs(together:all(films)) do
            assert.near(means[i], answer.infected, 1e-12)
            assert.equal(means[i] >= 0.6, answer.positive)
            assert.equal(lx.predictor.NOTICE, answer.notice)
        end
        assert.near(0.6, together.threshold, 1e-12)
        assert.equal(table.concat(paths, " + "), together.path)
        assert.matches("Predictor: 3 models of 33", tostring(together))
        assert.same({pixels = ("%012d%012d"):format(1, 3), patients = ("%012d%012d"):format(6, 8), images = 4},
            together.metadata.trained_on)
        assert.error_matches(function() return together.net end, "Predictor has no 'net'")
        -- one is itself, and others do not answer together
        assert.equal(paths[1], assert(lx.predictor.open({paths[1]})).path)
        local named = save("named.safetensors", {classes = {"well", "INFECTED"}})
        local refused, message, code = lx.predictor.open {paths[1], named}
        assert.is_nil(refused)
        assert.matches("its classes are well, INFECTED, and those of .* NORMAL, INFECTED", message)
        assert.equal("format", code)
        refused, message, code = lx.predictor.open {paths[1], work .. "/none.safetensors"}
        assert.is_nil(refused)
        assert.matches("none.safetensors", message)
        assert.equal("io", code)
        assert.error_matches(function() lx.predictor.open {} end, "open: path: there are none")
        -- rows of several classes, too
        local three = {classes = {"a", "b", "c"}, task = "classes", positive = ABSENT, threshold = ABSENT}
        local rows = {}
        for k = 1, 2 do
            three.calibration = {temperature = k * 0.01}
            rows[k] = save("rows" .. k, three, 3)
        end
        refused, message = lx.predictor.open {paths[1], rows[1]}
        assert.is_nil(refused)
        assert.matches("rows1: its task is classes, and that of .*m1.safetensors binary: they do not answer", message)
        local both = assert(lx.predictor.open(rows))(films[1])
        local sum = 0
        for _, name in ipairs(three.classes) do
            local first, second = assert(lx.predictor.open(rows[1]))(films[1]), assert(lx.predictor.open(rows[2]))(
                films[1])
            assert.near((first.classes[name] + second.classes[name]) / 2, both.classes[name], 1e-12)
            sum = sum + both.classes[name]
        end
        assert.near(1, sum, 1e-9)
    end)

    it("averages views of a film where it is told to", function()
        local path = save("views.safetensors")
        local plain, views = assert(lx.predictor.open(path)), assert(lx.predictor.open(path, {tta = {shift = 0}}))
        local film_images = {}
        for i, file in ipairs(films) do
            film_images[i] = lx.vision.resize(assert(lx.vision.load(file, {bits = 8})), SIZE, SIZE)
        end
        local function logits(images)
            return lx.train.predict(plain.net, lx.data.dataset {images = images, labels = lx.zeros(3)},
                {mean = 0.4, std = 0.3})
        end
        local straight = logits(lx.stack(film_images, 1))
        for i, image in ipairs(film_images) do film_images[i] = lx.vision.hflip(image) end
        local mirrored = logits(lx.stack(film_images, 1))
        for i, answer in ipairs(views:all(films)) do
            local logit = (straight[i] + mirrored[i]) / 2
            assert.near(1 / (1 + math.exp(-(40 * logit + 0.25))), answer.infected, 1e-5)
        end
    end)

    it("says the threshold where it speaks against the plain reading", function()
        local predictor = assert(lx.predictor.open(save("low.safetensors", {threshold = 0.08})))
        local answer = predictor:answer(0.1073)
        assert.equal("INFECTED: 10.73% (threshold 8.00%)", tostring(answer))
        assert.equal("NORMAL: 95.00%", tostring(predictor:answer(0.05)))
        assert.is_true(predictor:answer(0.08).positive)
    end)

    it("keeps the answers of the others where a film cannot be read", function()
        local predictor = assert(lx.predictor.open(save("two.safetensors")))
        local answers = predictor:all({work .. "/none.png", films[1], {bytes = shell.read(films[2]):sub(1, 300)}},
            {quality = false, images = true})
        assert.equal("io", answers[1].code)
        assert.matches("none.png", answers[1].message)
        assert.is_nil(answers[1].label)
        assert.is_truthy(answers[2].label)
        assert.is_nil(answers[2].findings)
        assert.same({1, 71, 53}, answers[2].image.shape)
        assert.equal("format", answers[3].code)
        local answer, message, code = predictor(work .. "/none.png")
        assert.is_nil(answer)
        assert.matches("none.png", message)
        assert.equal("io", code)
        assert.same({}, predictor:all {})
    end)

    it("knows three classes, and labels that do not exclude each other", function()
        local classes = {"normal", "bacterial", "viral"}
        local predictor = assert(lx.predictor.open(save("three.safetensors", {
            task = "classes", classes = classes, positive = ABSENT, threshold = ABSENT,
            calibration = {temperature = 0.02},
        }, 3)))
        local answer, sum = assert(predictor(films[1])), 0
        for _, name in ipairs(classes) do sum = sum + answer.classes[name] end
        assert.near(1, sum, 1e-5)
        assert.equal(answer.probability, answer.classes[answer.label])
        assert.equal(answer.label ~= "normal", answer.positive)
        assert.equal("viral", predictor:answer({0.2, 0.3, 0.5}).label)
        assert.is_true(predictor:answer({0.2, 0.5, 0.3}).positive)
        assert.is_false(predictor:answer({0.5, 0.2, 0.3}).positive)
        assert.error_matches(function() predictor:answer(0.5) end, "answer: probabilities: expected 3 numbers")
        -- which of them is nothing to look at is known by their names, not by their order
        for names, healthy in pairs {
            [{"COVID", "NORMAL", "TB"}] = 2, [{"tb", "covid", "no_tb"}] = 3, [{"mild", "moderate", "severe"}] = false,
        } do
            predictor = assert(lx.predictor.open(save("named.safetensors", {
                task = "classes", classes = names, positive = ABSENT, threshold = ABSENT,
                calibration = {temperature = 1},
            }, 3)))
            for k, name in ipairs(names) do
                local p = {0.1, 0.1, 0.1}
                p[k] = 0.8
                assert.equal(k ~= healthy, predictor:answer(p).positive, name)
            end
        end

        predictor = assert(lx.predictor.open(save("labels.safetensors", {
            task = "labels", classes = {"Effusion", "Mass"}, positive = ABSENT, threshold = {0.3, 0.6},
            calibration = false,
        }, 2)))
        assert.equal("Effusion", predictor:answer({0.3, 0.59}).label)
        assert.equal("Effusion, Mass", predictor:answer({0.4, 0.6}).label)
        answer = predictor:answer {0.1, 0.2}
        assert.equal("none of the labels", answer.label)
        assert.is_false(answer.positive)
        assert.is_truthy(predictor(films[1]).classes.Mass)
        -- that nothing was found is said where nothing else is
        predictor = assert(lx.predictor.open(save("nothing.safetensors", {
            task = "labels", classes = {"No Finding", "Effusion", "Mass"}, positive = ABSENT,
            threshold = {0.5, 0.3, 0.6}, calibration = false,
        }, 3)))
        for _, case in ipairs {
            {{0.9, 0.1, 0.2}, "No Finding", "No Finding", false}, {{0.9, 0.3, 0.5}, "Effusion", "Effusion", true},
            {{0.1, 0.4, 0.6}, "Effusion, Mass", "Mass", true}, {{0.4, 0.1, 0.2}, "none of the labels", "Mass", false},
        } do
            answer = predictor:answer(case[1])
            assert.same({case[2], case[3], case[4]}, {answer.label, answer.likeliest, answer.positive})
            assert.equal(answer.classes[answer.likeliest], answer.probability)
        end
    end)

    it("says of each label how much to doubt it", function()
        local each = {{low = -1e9, high = 1e9}, {low = 1e9, high = 1e9}}
        local function open(doubt)
            local path = save("doubted.safetensors", {
                task = "labels", classes = {"Effusion", "Mass"}, positive = ABSENT, threshold = {0.5, 0.5},
                calibration = false, doubt = doubt,
            }, 2)
            return lx.predictor.open(path)
        end
        local predictor = assert(open {coverage = 0.9, each = each, power = 0, images = 9})
        local answer = assert(predictor(films[1], {quality = false}))
        assert.same({true, "close"}, {answer.doubts.Effusion.uncertain, answer.doubts.Effusion.reasons[1].code})
        for name, one in pairs(answer.doubts) do
            local p = answer.classes[name]
            assert.near(math.min(p, 1 - p), one.doubt, 1e-6)
        end
        assert.equal(answer.doubts[answer.likeliest].doubt, answer.doubt)
        assert.equal(answer.doubts[answer.likeliest].uncertain, answer.uncertain)
        local image = lx.vision.resize(assert(lx.vision.load(films[1], {bits = 8})), predictor.size, predictor.size)
        local _, judged = assert(predictor:judge(lx.data.dataset {
            images = image:unsqueeze(1), labels = lx.zeros(1, 2), classes = {"Effusion", "Mass"},
        }))
        assert.near(answer.doubt, judged[1].doubt, 1e-6)
        assert.near(answer.doubts.Mass.doubt, judged[1].doubts.Mass.doubt, 1e-6)
        assert.matches("doubt: each: expected limits for each label", select(2, open {
            coverage = 0.9, each = {{}}, power = 0, images = 9,
        }))
        assert.matches("doubt: each: labels alone have limits", select(2, open {coverage = 0.9, power = 0, images = 9}))
    end)

    it("comes back with what is wrong, and never ends the process", function()
        local cases = {
            {work .. "/nowhere.safetensors", nil, "nowhere", "io"},
            {films[1], nil, "safetensors", "format"},
            {save("other.safetensors", {model = "names"}), nil, "model: expected one of .*cnn.*, got 'names'",
                "format"},
            {save("less.safetensors", {chosen = ABSENT}), nil, "chosen: it is missing", "format"},
            {save("unnamed.safetensors", {model = ABSENT}), nil,
                "metadata = {model = NAME, size = PIXELS}: model: it is missing", "format"},
            {save("more.safetensors", {}, 2), nil, "more.safetensors: the state does not fit", "format"},
            {save("two.safetensors"), {device = "nope"}, "there is no device 'nope'", "device"},
        }
        for _, case in ipairs(cases) do
            local predictor, message, code = lx.predictor.open(case[1], case[2])
            assert.is_nil(predictor, case[1])
            assert.matches(case[3], message)
            assert.equal(case[4], code, message)
        end
        local predictor = assert(lx.predictor.open(save("two.safetensors")))
        for _, wrong in ipairs {3, {}, {bytes = 3}, {bytes = "x", nam = "y"}, true} do
            assert.error_matches(function() predictor:predict(wrong) end, "predict: source: ")
            assert.error_matches(function() predictor:all {films[1], wrong} end, "all: sources: 2: ")
        end
        assert.error_matches(function() predictor:predict(films[1], {qualty = true}) end, "quality")
    end)

    it("gives no answer of weights that are no numbers", function()
        local path = save("bad.safetensors")
        local tensors, metadata = assert(lx.checkpoint.load(path))
        local name = next(tensors)
        tensors[name] = tensors[name] * (0 / 0)
        assert(lx.checkpoint.save(path, tensors, metadata))
        for _, answer in ipairs(assert(lx.predictor.open(path)):all(films)) do
            assert.equal("result", answer.code)
            assert.matches("the network gives NaN for " .. answer.path, answer.message, 1, true)
        end
    end)

    it("prints as what it is", function()
        local predictor = assert(lx.predictor.open(save("two.safetensors", {images = 12})))
        assert.equal("Predictor: cnn of 33×33 pixels on cpu, NORMAL, INFECTED, threshold 0.500, trained on 12 images",
            tostring(predictor))
        assert.error_matches(function() return predictor.thresold end, "Predictor has no 'thresold'")
    end)
end)

describe("networks by name", function()
    it("are built as they say", function()
        assert.equal("autoencoder", lx.models.names()[1])
        assert.same({"unet"}, lx.models.names("segmentation"))
        local net = lx.models.build("cnn", {size = 47, outputs = 3, channels = 2})
        assert.same({2, 3}, net(lx.zeros(2, 2, 47, 47)).shape)
        assert.error_matches(function() lx.models.build("cn") end, "there is no network 'cn'.*cnn")
        assert.error_matches(function() lx.models.cnn {size = 15} end, "size")
        assert.error_matches(function() lx.models.cnn {sise = 32} end, "sise")
    end)
end)
