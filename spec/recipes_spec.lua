--- Recipes of `luxel train`: options that belong together, and calibration on styles of films that were left out.

local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"
local recipes = require "luxel.command.recipes"

local LUA <const> = os.getenv "LUA" or "lua5.4"

describe("a recipe", function()
    local folder
    setup(function()
        folder = shell.folder()
        shell.write(folder .. "/efficientnet-lite0-57934424.pth", "stands for the weights")
    end)
    teardown(function() shell.remove(folder) end)

    -- What the command line and the recipe make together, or the message that ends the command.
    local function filled(args, weights)
        local getenv = os.getenv
        os.getenv = function(name) -- luacheck: ignore
            if name == "LUXEL_WEIGHTS" then return weights or folder end
            return getenv(name)
        end
        local ok, failure = pcall(function()
            recipes.fill(args)
            recipes.check_weights(args)
        end)
        os.getenv = getenv -- luacheck: ignore
        if ok then return args end
        return nil, tostring(failure)
    end

    it("fills in what the command line does not say", function()
        local args = assert(filled {data = "films", epochs = 7})
        assert.same({"standard", "efficientnet_lite0", 7, "style", "styles", folder
            .. "/efficientnet-lite0-57934424.pth"}, {args.recipe, args.model, args.epochs, args.augment,
            args.calibrate_on, args.pretrained})
        args = assert(filled {data = "films", recipe = "quick", calibrate_on = "styles"})
        assert.same({"cnn", 10, "styles"}, {args.model, args.epochs, args.calibrate_on})
        assert.is_nil(args.pretrained)
        for _, option in ipairs {"model", "size", "epochs", "lr", "lr_decay", "augment", "calibrate_on"} do
            assert.is_true(recipes.BY_NAME.quick[option] ~= nil and recipes.BY_NAME.standard[option] ~= nil, option)
        end
    end)

    it("is quick for phantoms, masks, and networks that are named", function()
        for _, args in ipairs {
            {}, {data = "films", masks = "masks"}, {data = "films", model = "resnet18"},
            {data = "films", pretrained = "own.pth", model = "efficientnet_lite0"}, {data = "films", network = "a=1"},
        } do
            assert.equal("quick", assert(filled(args)).recipe)
        end
        local args = assert(filled {data = "films", recipe = "standard", pretrained = "own.pth"})
        assert.equal("own.pth", args.pretrained)
    end)

    it("says what it lacks, and what it does not go with", function()
        local _, problem = filled({data = folder}, folder .. "/none")
        assert.matches("^%-%-recipe standard begins with weights that are not here: `luxel weights efficientnet%-lite0"
            .. "` fetches them", problem)
        _, problem = filled {data = "films", recipe = "standard", model = "resnet18"}
        assert.matches("^%-%-recipe standard is of the network efficientnet_lite0; say %-%-recipe quick", problem)
        _, problem = filled {data = "films", recipe = "standard", masks = "masks"}
        assert.matches("is for labels", problem)
    end)
end)

describe("calibration on styles that were left out #slow #processes", function()
    local folder, words
    setup(function()
        folder = shell.folder()
        assert(lx.data.phantom_save(folder .. "/images", {n = 480, size = 16, seed = 5}))
        words = ("%s bin/luxel train --recipe quick --data %s/images --size 16 --epochs 2 --batch 64 --calibrate-on "
            .. "styles --device cpu "):format(LUA, folder)
    end)
    teardown(function() shell.remove(folder) end)

    it("trains a network without each part of the styles first, and says so in the model", function()
        local status, out, errors = shell.run(words .. ("--out %s/run"):format(folder))
        assert.equal(0, status, errors)
        assert.matches("calibrating on styles of films that 4 networks have not seen", out)
        assert.matches("left out: styles 4, %d+ images", out)
        local _, metadata = assert(lx.checkpoint.load(folder .. "/run/best.safetensors"))
        assert.equal("styles of films that networks trained in the same way had not seen", metadata.chosen.of)
        -- every training image was left out by one network, and conformal limits are of these answers too
        assert.equal(metadata.images, metadata.chosen.images)
        assert.equal(metadata.images, metadata.doubt.images)
        status, _, errors = shell.run(words .. ("--out %s/run"):format(folder))
        assert.equal(1, status)
        assert.matches("holds a run already: %-%-resume goes on with it", errors)
        status, out, errors = shell.run(words .. ("--resume --out %s/run"):format(folder))
        assert.equal(0, status, errors)
        assert.matches("best epoch", out)
    end)

    it("goes on where it was interrupted before the network itself began", function()
        local line = words .. ("--out %s/stopped"):format(folder)
        local status = shell.run(("%s & pid=$!; until [ -e '%s/stopped/left-out/styles_2-seed-1/last.safetensors' ] "
            .. "|| ! kill -0 $pid; do sleep 0.1; done; kill -TERM $pid; wait $pid"):format(line, folder))
        assert.equal(130, status)
        assert.is_nil(lfs.attributes(folder .. "/stopped/best.safetensors"))
        local out, errors
        status, out, errors = shell.run(line .. " --resume")
        assert.equal(0, status, errors)
        assert.matches("best epoch", out)
    end)

    it("is left alone where there are too few images", function()
        assert(lx.data.phantom_save(folder .. "/few", {n = 60, size = 16, seed = 5}))
        local status, out = shell.run((words:gsub("/images", "/few", 1)) .. ("--out %s/few-run"):format(folder))
        assert.equal(0, status)
        assert.matches("on the validation images: no styles are left out, since %d+ images are too few", out)
    end)
end)

describe("styles of film in training", function()
    local argparse = require "argparse"
    local train = require "luxel.command.train"
    local set

    setup(function() set = lx.data.phantom {n = 120, size = 32, seed = 3} end)

    -- What fit is told by a command line.
    local function planned(line, images)
        local parser = argparse("luxel")
        train.options(parser)
        local words = {"--model", "cnn", "--size", "32"}
        for word in line:gmatch("%S+") do words[#words + 1] = word end
        local args = parser:parse(words)
        train.check(args)
        return train.plan(args, "cpu", images or set, images or set)
    end

    it("are drawn evenly of, or weigh by their loss, and classes are not weighted a second time", function()
        local styles = lx.data.styles(set).cluster
        local plain, balanced, both = planned "", planned "--balance classes", planned "--balance styles --dro"
        assert.is_function(plain.loss)
        assert.is_nil(plain.balance or plain.dro)
        assert.is_false(plain.balanced)
        assert.is_true(balanced.balanced)
        assert.is_nil(balanced.loss or balanced.balance)
        assert.same(styles, both.balance.groups)
        assert.same(styles, both.dro.groups)
        assert.is_false(both.balanced)
        assert.is_nil(both.loss)
    end)

    it("are told by the whole films where the network sees a part of them, whatever the labels", function()
        local folder = shell.folder()
        assert(lx.data.phantom_save(folder, {n = 40, size = 48, seed = 5}))
        local frame = assert(lx.data.image_folder(folder))
        local whole, cropped = assert(frame:load {size = 32}), assert(frame:load {size = 32, crop = "lungs"})
        local function cluster(images) return recipes.styles_of(images, {k = 4}).cluster end
        local expected = lx.data.styles(frame, {k = 4})
        assert.same(expected.cluster, cluster(cropped))
        assert.same(expected.by_class, recipes.styles_of(cropped, {k = 4}).by_class)
        assert.same(lx.data.styles(whole, {k = 4}).cluster, cluster(whole))
        local labels = lx.data.dataset {
            images = cropped.images, labels = lx.zeros(40, 2), classes = {"a", "b"},
            paths = cropped.paths, crop = "lungs",
        }
        assert.same(expected.cluster, cluster(labels))
        shell.remove(folder)
    end)

    it("are not for masks, nor classes for labels", function()
        local ok, problem = pcall(planned, "--data films --masks masks --model unet --dro")
        assert.is_false(ok)
        assert.matches("%-%-dro is for labelled images, not for %-%-masks", tostring(problem))
        local labels = lx.data.dataset {images = set.images, labels = lx.zeros(120, 2), classes = {"a", "b"}}
        ok, problem = pcall(planned, "--balance classes", labels)
        assert.is_false(ok)
        assert.matches("%-%-balance classes: an image has several labels", tostring(problem))
    end)
end)
