--- The small examples, as a user runs them.

local csv = require "luxel.io.csv"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"

-- What a program prints on both outputs; it has to end well.
local function output_of(command)
    local pipe = assert(io.popen(command .. " 2>&1"))
    local output = pipe:read("a")
    assert(pipe:close(), output)
    return output
end

describe("the example #processes", function()
    it("of a first network trains it", function()
        local output = output_of(LUA .. " examples/first.lua")
        assert.matches("Conv2d", output)
        local first = tonumber(output:match("epoch 1  loss ([%d.]+)"))
        local last, auc = output:match("epoch 5  loss ([%d.]+)  validation AUC ([%d.]+)")
        assert.is_true(tonumber(last) < 0.8 * first and tonumber(auc) > 0.85, output)
    end)

    it("of an own kernel has the right gradient", function()
        if #require("luxel").devices() < 2 then return pending("needs OpenCL") end
        local output = output_of(LUA .. " examples/own_kernel.lua")
        local worst = tonumber(output:match("differs from finite differences by at most ([%d%.e%-]+)"))
        assert.is_true(worst ~= nil and worst > 1e-7 and worst < 1e-3, output)
        assert.is_true(tonumber(output:match("step 200  loss ([%d%.]+)")) < 0.01, output)
    end)

    local lx, lfs = require "luxel", require "lfs"
    local work

    before_each(function() work = shell.folder() end)

    after_each(function() shell.remove(work) end)

    -- An image that says its class by a bar.
    local function save(path, class, seed)
        lx.manual_seed(seed)
        local image = (lx.rand(1, 48, 48) * 60):byte()
        image[{1, {1 + 12 * class, 12 + 12 * class}, {1, 48}}] = 220
        os.execute(("mkdir -p '%s'"):format(path:match("^(.*)/")))
        assert(lx.vision.save(path, image))
    end

    it("of three classes learns them from folders, and from names", function()
        for i = 1, 90 do
            save(("%s/data/%s/p%d.png"):format(work, ({"normal", "bacterial", "viral"})[i % 3 + 1], i), i % 3, i)
            save(("%s/names/%s/%s"):format(work, i % 3 == 0 and "NORMAL" or "PNEUMONIA", i % 3 == 0
                and ("IM-%04d-0001.png"):format(i) or ("person%d_%s_1.png"):format(i, i % 3 == 1 and "bacteria"
                    or "virus")),
                i % 3, i)
        end
        for _, folder in ipairs {"data", "names"} do
            local output = output_of(("%s examples/three_classes.lua %s/%s %s/run"):format(LUA, work, folder, work))
            assert.matches("bacterial +30 +33.3%%", output)
            assert.matches("true viral", output)
            assert.is_true(tonumber(output:match("mean of AUCs  ([%d.]+)")) > 0.6, output)
            assert.matches("does not replace", output)
        end
    end)

    it("of fourteen findings learns from a table with missing labels", function()
        local names = {
            "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
            "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
        }
        local lines = {"image,patient_id,age,sex,view," .. table.concat(names, ",")}
        for i = 1, 80 do
            save(("%s/images/%d.png"):format(work, i), i % 3, i)
            local cells = {("%d.png"):format(i), i // 2, 20 + i % 60, i % 2 == 0 and "M" or "F", "PA"}
            for k = 1, 14 do cells[k + 5] = (i + k) % 11 == 0 and "" or (i * k) % 3 == 1 and 1 or (i + k) % 17 == 0
                and -1 or 0 end
            lines[#lines + 1] = table.concat(cells, ",")
        end
        local file = assert(io.open(work .. "/labels.csv", "w"))
        file:write(table.concat(lines, "\n"), "\n")
        file:close()
        -- other sets, which speak of two findings each
        for _, class in ipairs {"NORMAL", "PNEUMONIA"} do
            for i = 1, 6 do save(("%s/children/%s/person%d_virus_%d.png"):format(work, class, i, i), i % 3, 200 + i) end
        end
        save(work .. "/covid/images/a.png", 1, 301)
        shell.write(work .. "/covid/images.csv", "image,finding,view\na.png,COVID-19,PA\nb.png,COVID-19,L\n")
        local output = output_of(("%s examples/findings.lua --nih %s --children %s/children --covid %s/covid "
            .. "--model cnn --size 32 --epochs 2 --folds 3 --resamples 50 --device cpu --out %s/run"):format(LUA, work,
            work, work, work))
        names[15] = "No Finding"
        for _, name in ipairs(names) do assert.matches("\n  " .. name .. " +%d+ +%d+ ", output) end
        assert.matches("mean of AUCs  0%.%d+", output)
        assert.matches("80 films of .-, each by the network that has not seen its patient", output)
        assert.matches("Frame: 87 images", output)
        local rows = assert(csv.read(work .. "/run/left-out.csv"))
        assert.equal(80 * 15, #rows)
        local patients, folds = {}, {}
        for _, row in ipairs(rows) do
            assert.equal(patients[row.patient] or row.fold, row.fold, row.patient) -- a patient is in one fold
            patients[row.patient], folds[row.fold] = row.fold, true
        end
        assert.same({["1"] = true, ["2"] = true, ["3"] = true}, folds)
        local _, metadata = assert(lx.checkpoint.load(work .. "/run/model/best.safetensors"))
        assert.same(names, metadata.classes)
        assert.equal(15, #metadata.threshold)
        assert.equal(15, #metadata.doubt.each)
        assert.equal(80, metadata.chosen.images)
        assert.matches("had not seen", metadata.chosen.of)
    end)

    it("of a loop by hand ends early, and goes on to the same bits", function()
        local function read(name) return shell.read(work .. "/" .. name) end
        local output = output_of(("%s examples/own_loop.lua %s/a.safetensors"):format(LUA, work))
        local epochs = tonumber(output:match("ended after epoch (%d+)"))
        assert.is_true(epochs > 3 and epochs < 30, output)
        assert.is_true(tonumber(output:match("the best AUC is ([%d.]+)")) > 0.8, output)
        os.execute(("timeout -s KILL 0.6 %s examples/own_loop.lua %s/b.safetensors >/dev/null 2>&1"):format(LUA, work))
        output_of(("%s examples/own_loop.lua %s/b.safetensors"):format(LUA, work))
        assert.is_true(read("a.safetensors") == read("b.safetensors"))
        assert.matches("ended after epoch " .. epochs, output_of(("%s examples/own_loop.lua %s/b.safetensors"):format(
            LUA, work)))
    end)

    it("of what is unusual learns from normal images alone", function()
        -- weights that are worth nothing show that all of it works
        local weights, normals, others = work .. "/lite0.safetensors", work .. "/normals", work .. "/others"
        lx.manual_seed(1)
        assert(lx.checkpoint.save(weights, lx.models.efficientnet_lite0({outputs = 1}):state_dict(), {
            schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "efficientnet_lite0",
            size = 128, seed = 1, input = {channels = 1, low = 0, high = 1}, epoch = 1,
            normalisation = {mean = 0.5, std = 0.25},
        }))
        os.execute(("mkdir -p '%s' '%s'"):format(normals, others))
        local drawn = lx.data.phantom {n = 90, size = 40, seed = 3}
        for i, label in ipairs(drawn.labels:totable()) do
            assert(lx.vision.save(("%s/person%d_virus_%d.png"):format(label == 0 and normals or others, i // 2, i),
                drawn:image(i)))
        end
        local output = output_of(("%s examples/anomaly/normals.lua %s %s %s %s/anomaly 2>&1"):format(LUA, weights,
            normals, others, work))
        assert.matches("Detector: padim on efficientnet_lite0, 128×128 pixels on cpu, learnt from %d+ normal images",
            output)
        assert.matches("others: +%d+ images, %d+ %% of them unusual", output)
        assert.matches("AUC [01]%.%d%d%d", output)
        assert.matches("unusual%-4.png: u?n?usual: score", output)
        assert.is_truthy(lx.vision.load(work .. "/anomaly/unusual-4.png"))
        assert.matches(lx.predictor.NOTICE, output, 1, true)
    end)

    it("of learning without labels leaves out films for judging, and writes what transfer begins with", function()
        os.execute(("mkdir -p '%s/films/more'"):format(work))
        for i, image in ipairs(lx.data.phantom({n = 23, size = 40, seed = 3}).images) do
            local name = i == 7 and "more/person8_virus_27" or i == 8 and "more/IM-0001-0001" or "film" .. i
            assert(lx.vision.save(("%s/films/%s.png"):format(work, name), image))
        end
        local file = assert(io.open(work .. "/films/notes.txt", "w"))
        file:write("no film")
        file:close()
        for _, method in ipairs {"contrast", "masked"} do
            local weights = ("%s/%s.safetensors"):format(work, method)
            local output = output_of(("%s examples/self_supervised.lua %s %s %s/films --model cnn --size 49 "
                .. "--epochs 16 --batch 5 --device cpu 2>&1"):format(LUA, method, weights, work))
            assert.matches("21 films; left out: 2 that models are only judged on, 1 that cannot be read", output, 1,
                true)
            local losses = {}
            for loss in output:gmatch("loss ([%d.]+)") do losses[#losses + 1] = tonumber(loss) end
            assert.is_true(losses[15] + losses[16] < losses[1] + losses[2], output)
            local tensors, metadata = assert(lx.checkpoint.load(weights))
            assert.equal("cnn", metadata.model)
            assert.is_nil(lx.predictor.open(weights)) -- it answers nothing

            local root = lfs.currentdir()
            output = output_of(("cd %s && %s %s/examples/transfer.lua %s '' cnn"):format(work, LUA, root, weights))
            assert.matches("images by mean 0.500 and deviation 0.250", output, 1, true)
            assert.matches("training: 5 epochs", output)
            local model, about = assert(lx.checkpoint.load(work .. "/runs/transfer/last.safetensors"))
            assert.same({{epoch = 3, patterns = {"*"}}}, about.transfer.unfreeze)
            assert.equal(0.25, about.normalisation.std)
            assert.is_false(lx.equal(model["0.weight"], tensors["0.weight"])) -- it thawed
        end
    end)

    it("of weights for the quality of images learns from folders, and writes what quality.lua reads", function()
        local function save_phantoms(folder, count, seed, name)
            os.execute(("mkdir -p '%s'"):format(folder))
            for i, image in ipairs(lx.data.phantom({n = count, size = 64, seed = seed}).images) do
                assert(lx.vision.save(folder .. "/" .. name:format(i), image))
            end
        end
        save_phantoms(work .. "/data/NORMAL", 20, 1, "IM-%04d-0001.png")
        save_phantoms(work .. "/data/PNEUMONIA", 20, 2, "person%d_virus_1.png")
        save_phantoms(work .. "/more", 20, 3, "%d.png")
        save_phantoms(work .. "/other", 10, 4, "%d.png")
        os.execute(("mkdir '%s/none'"):format(work))
        for i = 1, 4 do
            assert(lx.vision.save(("%s/none/%d.png"):format(work, i), (lx.rand(1, 64, 64) * 255):byte()))
        end
        local output = output_of(("%s examples/chest_xray/learn_quality.lua --data %s/data --more %s/more "
            .. "--test far=%s/other --others %s/none --out %s/weights.lua --epochs 12"):format(
            LUA, work, work, work, work, work))
        local first = tonumber(output:match("epoch 1: loss ([%d.]+)"))
        local last = tonumber(output:match("epoch 12: loss ([%d.]+)"))
        assert.is_true(last < 0.4 * first, output)
        -- false alarms, and what is found of the inverted and the turned
        local inverted, turned, _, found, quarters = output:match(
            "| far | 10 | ([%d.]+) %% | ([%d.]+) %% | ([%d.]+) %% | ([%d.]+) %% | ([%d.]+) %% |")
        assert.is_true(tonumber(inverted) <= 10 and tonumber(turned) <= 10, output)
        assert.is_true(tonumber(found) >= 80 and tonumber(quarters) >= 80, output)
        assert.matches("parts, shuffled and drawn pictures: [%d.]+ %% of %d+ called no chest radiograph", output)
        assert.matches("none: [%d.]+ %% of 4 called no chest radiograph", output)
        local weights = assert(loadfile(work .. "/weights.lua"))()
        assert.equal(9, #weights)
        for _, class in ipairs(weights) do assert.equal(14 * 14, #class) end
        for _, limit in ipairs {"inverted", "turned", "other"} do
            assert.is_true(weights.limits[limit] >= 0.5 and weights.limits[limit] < 1.01, output)
        end
        assert.is_nil(lfs.attributes(work .. "/weights.lua.new"))
    end)
end)
