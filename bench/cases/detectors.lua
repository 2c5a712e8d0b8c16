--- Detectors: YOLOv2-tiny on one image, a training step of YOLOv2, and suppression of many boxes. The networks are
-- those that files in the folder of the environment variable BENCH_FILES hold, which `write` makes: the peers read the
-- same ones, and have to come to the same map.

local lx = require "luxel"
local F = lx.nn.functional

local SIZE <const>, BATCH <const>, OBJECTS <const>, BOXES <const> = 416, 8, 10, 10000
local NETWORKS <const> = {yolov2_tiny = 1, yolov2 = BATCH}

local detectors = {}

local function file_of(folder, name, kind) return ("%s/%s.%s"):format(folder, name, kind) end

local function images(count)
    lx.manual_seed(7)
    return lx.rand(count, 3, SIZE, SIZE)
end

local function write_floats(path, tensor)
    local file <close> = assert(io.open(path, "wb"))
    for _, value in ipairs(tensor:contiguous():reshape(-1):totable()) do file:write(("<f"):pack(value)) end
end

--- Writes a network with random weights and statistics (.cfg and .weights of darknet), an image (.image), and the map
--- that it gives (.map), both as floats.
---@param folder string
---@param name string of the network
function detectors.write(folder, name)
    lx.manual_seed(3)
    local net = lx.models[name]()
    for _, buffer in net:named_buffers() do
        if buffer.dtype == "float32" then lx.no_grad(function() buffer:copy_(lx.rand(buffer.shape) + 0.5) end) end
    end
    assert(lx.io.darknet.write_cfg(file_of(folder, name, "cfg"), net.cfg))
    assert(lx.io.darknet.save_weights(net, file_of(folder, name, "weights")))
    local x = images(1)
    write_floats(file_of(folder, name, "image"), x)
    write_floats(file_of(folder, name, "map"), lx.no_grad(net:eval(), x))
end

-- The network of the files, the files themselves, and its images.
local function network(bench, name)
    local folder = os.getenv("BENCH_FILES") or error("BENCH_FILES names no folder", 0)
    local net = lx.models[name]()
    assert(lx.io.darknet.load_weights(net, file_of(folder, name, "weights")))
    return net:to(bench.device), images(NETWORKS[name]):to(bench.device)
end

function detectors.yolov2_tiny(bench)
    local net, x = network(bench, "yolov2_tiny")
    local forward = lx.compile(lx.nn.fuse(net:eval()))
    local function infer() return lx.no_grad(function() return forward(x):sum():item() end) end
    bench.measure("inference, batch 1", 1, infer, 9, 4)
    bench.results.peak_mb = bench.peak_mb()
end

function detectors.yolov2(bench)
    local net, x = network(bench, "yolov2")
    local fused, rows = lx.nn.fuse(net:train()), {}
    local stream = require("luxel.random").stream(5)
    for i = 1, BATCH do
        rows[i] = {}
        for k = 1, OBJECTS do
            rows[i][k] = {
                stream:uniform(0.1, 0.9), stream:uniform(0.1, 0.9), stream:uniform(0.05, 0.5),
                stream:uniform(0.05, 0.5), stream:integer(20),
            }
        end
    end
    local truth = lx.tensor(rows)
    local optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-9, momentum = 0.9})
    bench.measure(("train step, batch %d"):format(BATCH), BATCH, function()
        optimizer:zero_grad()
        local loss = F.region_loss(fused(x), truth, {anchors = net.anchors})
        loss:backward()
        optimizer:step()
        return loss:item()
    end, 2, 1)
    bench.results.peak_mb = bench.peak_mb()
end

--- 10,000 boxes of 10 to 110 pixels in 1,000 x 1,000, of which most overlap others.
function detectors.nms(bench)
    lx.manual_seed(4)
    local corner, side = lx.rand(BOXES, 2) * 900, lx.rand(BOXES, 2) * 100 + 10
    local boxes, scores = lx.cat({corner, corner + side}, 2), lx.rand(BOXES)
    bench.measure("10000 boxes, overlap 0.45", nil, function() return lx.vision.boxes.nms(boxes, scores) end, 15, 3)
end

return detectors
