--- What the faults are injected into: a little of everything that allocates or touches files. Each case gives a text
--- that is the same whenever all went well, or a function that reads it, without faults; nil, message, code where the
--- world said no; or raises.
--- `before` makes each run start from the same files, and is not part of the run.

local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local nn, F = lx.nn, lx.nn.functional
local work = os.getenv("FAULTS_FOLDER") or error("FAULTS_FOLDER is not set")
local corpus = (arg[0]:gsub("faults/child%.lua$", "fuzz/corpus"))
local cases = {}

local function case(name, row)
    row.name, row.folder = name, row.folder or work
    cases[#cases + 1] = row
end

local function bytes(...)
    local out = {}
    for i, tensor in ipairs {...} do out[i] = core.to_string(tensor) end
    return table.concat(out)
end

local function contents(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

-- ---- tensors and networks -------------------------------------------------------------------------------------

case("tensors", {run = function()
    local x = lx.tensor {{1, 2, 3}, {4, 5, 6}}
    local y = (x + 1) * x:t():contiguous():view(2, 3) / 3
    local values, places = y:sort(2)
    local z = lx.cat({y, values, lx.randn(2, 3)}, 1)
    z[{1, 2}] = 9
    z[2] = x[1]
    return bytes(x, y, values, places, z, z:sum(1), z:max(), z:cumsum(2), x:matmul(x:t()), z:int(), z:byte(),
        lx.where(z:gt(2), z, z:neg()), z:index_select(1, lx.tensor({2, 1}, {dtype = "int32"})), lx.arange(5),
        lx.rand(3), F.softmax(z, 2), z:var()) .. tostring(z) .. table.concat(z:totable()[1], ",")
end})

case("gradients", {run = function()
    local x = lx.randn({3, 4}, {requires_grad = true})
    local w = lx.randn({5, 4}, {requires_grad = true})
    local y = F.linear(x, w):tanh()
    local z = (y * y):sum(2):sqrt():mean() + F.log_softmax(lx.cat({x, x * 2}, 1), 2):neg():mean()
    z:backward()
    local untouched = lx.no_grad(function() return x * 2 end)
    return bytes(x.grad, w.grad, untouched) .. tostring(untouched.requires_grad)
end})

case("layers", {run = function()
    local x = lx.randn({2, 3, 9, 11}, {requires_grad = true})
    local net = nn.Sequential(nn.Conv2d(3, 17, 3, {padding = 1}), nn.BatchNorm2d(17), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(17, 6, 1), nn.Dropout(0.3), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(6),
        nn.Linear(6, 2))
    local y = net(x)
    F.cross_entropy(y, lx.tensor({1, 2}, {dtype = "int32"})):backward()
    net:eval()
    return bytes(y, x.grad, net(x)) .. tostring(net)
end})

for _, name in ipairs {"SGD", "Adam", "AdamW", "RMSprop"} do
    case("optimiser " .. name, {run = function()
        local net = nn.Linear(5, 3)
        local optimizer = lx.optim[name](net:parameters(), name == "SGD" and {lr = 0.1, momentum = 0.9} or {lr = 0.1})
        for _ = 1, 2 do
            optimizer:zero_grad()
            net(lx.randn(4, 5)):square():mean():backward()
            optimizer:step()
        end
        local out = {bytes(net.weight, net.bias)}
        local state = optimizer:state_dict().tensors
        local names = {}
        for key in pairs(state) do names[#names + 1] = key end
        table.sort(names)
        for _, key in ipairs(names) do out[#out + 1] = bytes(state[key]) end
        return table.concat(out)
    end})
end

case("compiled functions", {run = function()
    local w = lx.randn(6, 6)
    local f = lx.compile(function(x) return (x:matmul(w) + 1):relu():sum(1) end)
    local out = {}
    for i = 1, 5 do out[i] = bytes(f(lx.randn(3, 6))) end
    return table.concat(out)
end})

case("profiles and tidy", {run = function()
    local x = lx.randn(4, 4)
    local y = lx.tidy(function() return x:exp():log() + x end)
    local report = lx.profile(function() return x:matmul(x):sum():item() end)
    return bytes(y) .. tostring(#tostring(report) > 0)
end})

-- ---- files ----------------------------------------------------------------------------------------------------

case("saving checkpoints", {
    before = function() os.remove(work .. "/a.safetensors") end,
    run = function()
        local path = work .. "/a.safetensors"
        local done, message, code = lx.checkpoint.save(path, {x = lx.arange(50), y = lx.ones(3):byte()}, {note = "a"})
        if done then return function() return contents(path) end end
        return function()
            assert(not lfs.attributes(path) or lx.checkpoint.load(path), "half a file is left")
            return nil, message, code
        end
    end,
})

case("loading checkpoints", {
    setup = function()
        assert(lx.checkpoint.save(work .. "/b.safetensors", {x = lx.arange(50), y = lx.ones(3):byte()}, {note = "a"}))
    end,
    run = function()
        local tensors, metadata, code = lx.checkpoint.load(work .. "/b.safetensors")
        if not tensors then return nil, metadata, code end
        return bytes(tensors.x, tensors.y) .. metadata.note
    end,
})

local saved_by_torch = corpus:gsub("fuzz/corpus$", "golden/torch/")
for _, name in ipairs {"legacy", "zip_big_endian", "zip_deflated", "module"} do
    case("weights of PyTorch: " .. name, {
        run = function()
            local tensors, info, code = lx.io.torch.load(saved_by_torch .. name .. ".pth")
            if not tensors then return nil, info, code end
            local parts = {}
            for i, key in ipairs(info.names) do parts[i] = bytes(tensors[key]:contiguous()) end
            return table.concat(parts)
        end,
    })
end

local FORMATS <const> = {"bmp-rgb", "jpeg-grey", "jpeg-progressive", "jpeg-rgb", "pgm", "pgm-deep", "png-deep",
    "png-grey", "png-palette", "png-rgba", "ppm", "dicom-explicit-12", "dicom-rle-8", "dicom-lossless-16",
    "dicom-jpeg-8", "dicom-jpeg2000-16", "dicom-table", "made-tiff-tiff_lzw", "made-tiff-palette",
    "made-tiff-tiles-over-the-edge", "made-dicom-JPEG-LS-12-bits", "made-dicom-JPEG-of-12-bits-quality-95",
    "made-dicom-deflated", "made-dicom-padding", "made-jpeg-orientation-6", "made-jpeg-height-behind-the-scan",
    "made-jpeg-inks", "made-bmp-run-lengths-of-8-bits", "made-png-palette-of-4-bits", "made-pnm-P3",
    "made-metaimage-uint16", "made-metaimage-int16-compressed"}
for _, format in ipairs(FORMATS) do
    case("reading " .. format, {run = function()
        local image, info, code = lx.vision.load(corpus .. "/" .. format, {channels = 3, bits = 8})
        if not image then return nil, info, code end
        return bytes(image) .. info.format .. info.width
    end})
end

case("writing pictures", {
    before = function() os.remove(work .. "/a.png") end,
    run = function()
        local image = lx.vision.draw_text(lx.full({3, 31, 47}, 40):byte(), 3, 4, "ok", {colour = {255, 0, 0}})
        image = lx.vision.fill_rect(image, {x = 1, y = 2, w = 10, h = 12}, {colour = {0, 9, 200}, alpha = 0.5})
        local done, message, code = lx.vision.save(work .. "/a.png", image)
        if not done then return nil, message, code end
        local encoded = core.encode_png(image)
        return function() return encoded .. contents(work .. "/a.png") end
    end,
})

-- ---- images ---------------------------------------------------------------------------------------------------

case("enhancing images", {run = function()
    local v = lx.vision
    local image = lx.randint(0, 256, {1, 40, 44}, {dtype = "uint8"})
    local boxes = {}
    local labels, found = v.connected_components(v.threshold(image, 128))
    for i, box in ipairs(found) do boxes[i] = box.area end
    return bytes(v.resize(image, 20, 23), v.clahe(image), v.equalize(image), v.gaussian_blur(image, 1.5), labels,
        v.median_blur(image, 5), v.canny(image, 50, 120), v.erode(image, 3), v.bilateral_filter(image, 5, 20, 2),
        v.rotate(image, 13), v.unsharp_mask(image), v.box_blur(image, 3), v.sobel(image, 1, 0)) ..
        table.concat(boxes, ",")
end})

case("pipelines", {run = function()
    local steps = lx.vision.pipeline {{"clahe"}, {"rotate", 10}, {"shift", 0.08}, {"hflip"}, {"noise", 5, p = 0.5},
        {"blur", 1}, size = 24}
    local image = lx.randint(0, 256, {1, 40, 44}, {dtype = "uint8"})
    return bytes(steps(image, {index = 1}), (steps(image, {index = 2})))
end})

case("phantoms", {run = function()
    local set = lx.data.phantom {n = 4, size = 48, seed = 3}
    return bytes(set.images, set.labels)
end})

case("metrics", {run = function()
    local scores, labels = lx.rand(60), lx.rand(60):gt(0.5):float()
    local report = lx.metrics.report(scores, labels)
    return ("%.9f %.9f %.9f"):format(lx.metrics.auc(scores, labels), report.auc or 0, report.sensitivity or 0)
end})

-- ---- folders of images ----------------------------------------------------------------------------------------

local root = work .. "/images"

local function make_images()
    lfs.mkdir(root)
    for _, class in ipairs {"NORMAL", "PNEUMONIA"} do lfs.mkdir(root .. "/" .. class) end
    lx.manual_seed(1)
    for i = 1, 6 do
        local image = lx.randint(0, 256, {1, 20 + i, 22}, {dtype = "uint8"})
        local class = i % 2 == 0 and "NORMAL" or "PNEUMONIA"
        assert(lx.vision.save(("%s/%s/person%d_%d.png"):format(root, class, i, i), image))
    end
    local file = assert(io.open(root .. "/NORMAL/person9_9.png", "w"))
    file:write("no image")
    file:close()
end

-- All of a dataset, and what was left out. What could not be read for now is an error of this run, said as such.
local function digest(set)
    for _, failure in ipairs(set.failed) do
        if failure.code ~= "format" then return nil, failure.message, failure.code end
    end
    local out = {tostring(set)}
    for x, y, indices in lx.data.batches(set, {batch = 4, threads = 2, augment = true, size = 16}) do
        out[#out + 1] = bytes(x, y, indices)
    end
    for _, failure in ipairs(set.failed) do out[#out + 1] = failure.message end
    return table.concat(out)
end

case("a folder in memory", {setup = make_images, run = function()
    local frame, message, code = lx.data.image_folder(root)
    if not frame then return nil, message, code end
    local set
    set, message, code = frame:load {size = 16}
    if not set then return nil, message, code end
    return digest(set)
end})

case("making a cache", {
    setup = make_images,
    before = function() os.remove(work .. "/images.cache") end,
    run = function()
        local path = work .. "/images.cache"
        local frame, message, code = lx.data.image_folder(root)
        if not frame then return nil, message, code end
        local set
        set, message, code = frame:open {size = 16, reduce = 18, cache = path}
        if not set then
            return function()
                assert(not lfs.attributes(path) or #assert(frame:open {size = 16, reduce = 18, cache = path}) == 6)
                return nil, message, code
            end
        end
        set:source():close()
        set, message, code = frame:open {size = 16, reduce = 18, cache = path}
        if not set then return nil, message, code end
        return digest(set)
    end,
})

case("a cache that is there", {
    setup = function()
        make_images()
        local set = assert(assert(lx.data.image_folder(root)):open {size = 16, cache = work .. "/there.cache"})
        set:source():close()
    end,
    run = function()
        local frame, message, code = lx.data.image_folder(root)
        if not frame then return nil, message, code end
        local set
        set, message, code = frame:open {size = 16, cache = work .. "/there.cache"}
        if not set then return nil, message, code end
        return digest(set)
    end,
})

case("an audit", {setup = make_images, before = function() os.remove(work .. "/audit.html") end, run = function()
    local audit, message, code = lx.data.audit(root)
    if not audit then return nil, message, code end
    for _, file in ipairs(audit.unreadable) do
        if file.code ~= "format" then return nil, file.message, file.code end
    end
    local done
    done, message, code = audit:report(work .. "/audit.html")
    if not done then return nil, message, code end
    return tostring(audit)
end})

-- ---- a run of training ----------------------------------------------------------------------------------------

local quiet = setmetatable({}, {__index = function() return function() end end})

case("training", {
    before = function() os.execute("rm -rf '" .. work .. "/run'") end,
    folder = work,
    run = function()
        local set = lx.data.phantom {n = 12, size = 32, seed = 3}
        local train, val, _ = set:split {val = 0.4}
        if not train then return nil, val, "memory" end
        local net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
        local result, message, code = lx.train.fit {
            net = net, optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-2}), epochs = 2, batch = 4,
            loss = F.binary_cross_entropy_with_logits, train = train, val = val, out = work .. "/run", progress = quiet,
        }
        if not result then return nil, message, code end
        if result.save_problem then return nil, result.save_problem, "io" end
        return function()
            local tensors = assert(lx.checkpoint.load(work .. "/run/last.safetensors"))
            return bytes(tensors["0.weight"], net[1].weight)
        end
    end,
})

return cases
