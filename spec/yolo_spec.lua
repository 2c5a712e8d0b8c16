--- Detectors of lx.models: as many weights as darknet's published files, the same numbers as the network of their
--- configuration, gradients, devices, pretrained backbones.

local lx = require "luxel"
local nn, models, boxes = lx.nn, lx.models, lx.vision.boxes

local path = os.tmpname()

local function devices() return lx.device("opencl") and {"cpu", "opencl"} or {"cpu"} end

local function size_of(name)
    local file <close> = assert(io.open(name, "rb"))
    return file:seek("end")
end

local function shapes_of(...)
    local out = {}
    for i, map in ipairs {...} do out[i] = {table.unpack(map.shape)} end
    return out
end

local function all_have_gradients(net)
    for name, parameter in net:named_parameters() do
        assert.is_true(parameter.grad ~= nil and parameter.grad:abs():sum():item() > 0, name)
    end
end

describe("detectors of darknet", function()
    teardown(function() os.remove(path) end)

    -- The numbers in the published yolov2-voc.weights, yolov2-tiny-voc.weights and yolov3-tiny.weights, without their
    -- headers.
    for name, count in pairs {yolov2 = 50676061, yolov2_tiny = 15867885, yolov3_tiny = 8858734} do
        it(name .. " has as many numbers as the published weights, and is what its cfg says", function()
            local net = nn.init.skip(models[name])
            assert(lx.io.darknet.write_cfg(path, net.cfg))
            local other = assert(lx.io.darknet.network(assert(lx.io.darknet.read_cfg(path))))
            assert.equal(#net.layers, #other.layers)
            assert(lx.io.darknet.save_weights(other, path))
            assert.equal(20 + 4 * count, size_of(path))
            assert(lx.io.darknet.load_weights(net, path))
            net:eval()
            other:eval()
            local x = lx.rand(1, 3, 64, 96)
            lx.no_grad(function()
                local expected = table.pack(other(x))
                for i, map in ipairs {net(x)} do assert.is_true(lx.equal(expected[i], map)) end
            end)
            collectgarbage()
        end)
    end

    it("take other channels, classes and anchors", function()
        local anchors = {{1, 2}, {3, 4}, {5, 5.5}}
        local net = nn.init.skip(models.yolov2_tiny, {outputs = 2, channels = 1, anchors = anchors, size = 64}):eval()
        assert.same(anchors, net.anchors)
        local tiny = nn.init.skip(models.yolov3_tiny, {outputs = 3, channels = 1}):eval()
        lx.no_grad(function()
            assert.same({{2, 21, 2, 3}}, shapes_of(net(lx.zeros(2, 1, 64, 96))))
            assert.same({{1, 24, 2, 3}, {1, 24, 4, 6}}, shapes_of(tiny(lx.zeros(1, 1, 64, 96))))
        end)
        assert.is_nil(tiny.anchors)
        -- the coarse map has the large anchors
        assert.same({{81, 82}, {135, 169}, {344, 319}}, tiny.detections[1].anchors)
        assert.same({{10, 14}, {23, 27}, {37, 58}}, tiny.detections[2].anchors)
    end)

    it("have gradients in all layers", function()
        lx.manual_seed(1)
        local net = models.yolov2_tiny {outputs = 1, channels = 1, size = 64}
        local truth = lx.tensor {{{0.3, 0.6, 0.2, 0.4, 1}}, {{0, 0, 0, 0, 0}}}
        lx.nn.functional.region_loss(net(lx.rand(2, 1, 64, 64)), truth, {anchors = net.anchors}):backward()
        all_have_gradients(net)
        collectgarbage()
    end)

    it("of two maps learn by the sum of their losses", function()
        lx.manual_seed(2)
        local net = models.yolov3_tiny {outputs = 2, channels = 1, size = 64}
        local optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3, momentum = 0.9})
        local x, first, last = lx.rand(2, 1, 64, 64), nil, nil
        local truth = lx.tensor {{{0.3, 0.6, 1.4, 1.6, 1}}, {{0.7, 0.2, 0.2, 0.3, 2}}}
        for step = 1, 4 do
            optimizer:zero_grad()
            local maps, loss = table.pack(net(x)), 0
            for i, one in ipairs(net.detections) do
                local own, figures = lx.nn.functional.yolo_loss(maps[i], truth, {
                    anchors = one.all, own = one.own, size = 64,
                })
                assert.equal(1, figures.objects) -- the large one is up to the coarse map, the small one to the other
                loss = loss + own
            end
            loss:backward()
            if step == 1 then all_have_gradients(net) end
            optimizer:step()
            first, last = first or loss:item(), loss:item()
        end
        assert.is_true(last < 0.9 * first)
        collectgarbage()
    end)

    it("refuse what they cannot be", function()
        assert.error_matches(function() models.yolov2 {size = 400} end, "yolov2: .*'size': expected a multiple of 32")
        assert.error_matches(function() models.yolov3_tiny {anchors = {{1, 2}}} end, "'anchors': expected 6 of them")
        assert.error_matches(function() models.yolov2_tiny {anchors = {{1, -2}}} end,
            "yolov2_tiny: .*'anchors': expected pairs {width, height} above 0, got another at place 1")
        assert.error_matches(function() models.yolov2_tiny {anchors = {}} end, "expected 1 to 64 of them, got 0")
    end)
end)

describe("yolo_lite", function()
    it("is a detector over any classifier, at its strides", function()
        for _, backbone in ipairs {"efficientnet_lite0", "mobilenet_v2", "cnn", "resnet18"} do
            for _, stride in ipairs {8, 16} do
                lx.manual_seed(2)
                local net = models.yolo_lite {
                    backbone = backbone, stride = stride, channels = 2, outputs = 3, width = 16,
                }
                local side = 96 // stride
                local y = net(lx.rand(2, 2, 64, 96))
                assert.same({2, 24, 64 // stride, side}, {table.unpack(y.shape)}, backbone)
                -- of a new network nearly no place has an object
                local found = boxes.decode_region(y:detach(), {anchors = net.anchors, threshold = 0.1})
                assert.equal(0, found[1].scores:numel())
                local sure = y:detach():narrow(2, 5, 1):sigmoid():mean():item()
                assert.near(0.01, sure, 0.01)
                y:square():mean():backward()
                all_have_gradients(net)
            end
        end
        assert.same({1, 18, 2, 3}, {table.unpack(models.yolo_lite {stride = 32, backbone = "mobilenet_v2"}(
            lx.rand(1, 1, 64, 96)).shape)})
        collectgarbage()
    end)

    it("gives the same on each device", function()
        lx.manual_seed(3)
        local net, x = models.yolo_lite {backbone = "mobilenet_v3_small", width = 32}:eval(), lx.rand(2, 1, 64, 64)
        lx.no_grad(function()
            local expected = net(x)
            for _, device in ipairs(devices()) do
                local y = net:to(device)(x:to(device)):to("cpu")
                assert.is_true((y - expected):abs():max():item() < 1e-4 * expected:abs():max():item(), device)
            end
        end)
    end)

    it("begins with the weights of a file in its backbone", function()
        lx.manual_seed(4)
        local classifier = models.mobilenet_v2 {outputs = 5, channels = 3}
        assert(lx.save(path, classifier:state_dict()))
        local net = assert(models.yolo_lite {backbone = "mobilenet_v2", pretrained = path, channels = 1})
        assert.equal("torchvision", net.pretrained.source)
        assert.is_true(net.pretrained.summed)
        local own = net:state_dict()
        local compared = 0
        for name, tensor in pairs(classifier:state_dict()) do
            if not name:find("^classifier") then
                local kept = own["encoder." .. name]
                if name == "features.0.0.weight" then tensor = tensor:sum({2}, true) end
                assert.is_true(lx.equal(tensor, kept), name)
                compared = compared + 1
            end
        end
        assert.is_true(compared > 100)
        local none, message, code = models.yolo_lite {backbone = "resnet18", pretrained = path}
        assert.is_nil(none)
        assert.equal("format", code)
        assert.matches("cannot be used for resnet18", message)
        os.remove(path)
    end)

    it("refuses what it cannot be", function()
        assert.error_matches(function() models.yolo_lite {backbone = "mobilenet_v4"} end,
            "yolo_lite: .*'backbone': there is no network 'mobilenet_v4' with maps %(did you mean")
        assert.error_matches(function() models.yolo_lite {backbone = "cnn", stride = 32} end,
            "'stride': the coarsest map of cnn has a stride of 16, got 32")
        assert.error_matches(function() models.yolo_lite {source = "timm"} end, "it belongs to 'pretrained'")
    end)
end)
