--- Finds what is unusual in films, having seen normal ones alone: from images to a detector, its file, scores, and
--- pictures of where. Usage: lua5.4 normals.lua WEIGHTS [NORMALS OTHERS [OUT]], with WEIGHTS as of
--- `luxel weights efficientnet-lite0`, and folders of images; without folders phantoms are drawn.

local lfs = require "lfs"
local lx = require "luxel"
local make_folder = require "luxel.make_folder"

local weights, normals, others, out = table.unpack(arg, 1, 4)
if not weights or normals and not others then
    error("usage: normals.lua WEIGHTS [NORMALS OTHERS [OUT]]", 0)
end
out = out or "runs/anomaly"
local SIZE <const>, SHOWN <const> = 128, 4

-- Images below a folder, whatever folders they are in, with their patients by the names of known collections.
local function images_in(folder)
    local rows = {}
    local function walk(path)
        for name in lfs.dir(path) do
            local inner = path .. "/" .. name
            if name:sub(1, 1) ~= "." and lfs.attributes(inner, "mode") == "directory" then walk(inner)
            elseif name:find("%.%w+$") and name:sub(1, 1) ~= "." then
                rows[#rows + 1] = {path = inner, label = "normal", patient = lx.data.patient(inner)}
            end
        end
    end
    walk(folder)
    table.sort(rows, function(a, b) return a.path < b.path end)
    local frame = assert(lx.data.frame(rows, {label = "label", classes = {"normal", "unusual"}, positive = "unusual"}))
    return assert(frame:load {size = SIZE})
end

local function of_class(dataset, class)
    local kept = {}
    for i, label in ipairs(dataset.labels:totable()) do
        if label == class then kept[#kept + 1] = i end
    end
    return dataset:subset(kept)
end

-- What is learnt from, and two sets to look at: normal images of other patients, and the others.
local usual, well, unusual
if normals then
    usual, well = assert(images_in(normals):split {val = 0.2})
    unusual = images_in(others)
else
    local drawn = lx.data.phantom {n = 600, size = SIZE, seed = 1}
    usual, well = assert(of_class(drawn, 0):split {val = 0.2})
    unusual = of_class(lx.data.phantom {n = 100, size = SIZE, seed = 2}, 1)
end
print(("learning from %d normal images"):format(#usual))

local net = assert(lx.models.efficientnet_lite0 {pretrained = weights, head = "replace", outputs = 1})
local detector = assert(lx.anomaly.fit(usual, {
    method = "padim", net = net, val = 0.3, seed = 1, progress = lx.train.console(),
}))
assert(make_folder(out))
assert(detector:save(out .. "/detector.safetensors"))

-- Another program needs the file alone.
detector = assert(lx.anomaly.open(out .. "/detector.safetensors"))
print(detector)
local function unusual_share(scores)
    local count = 0
    for _, score in ipairs(scores) do count = count + (detector:p_value(score) <= 0.05 and 1 or 0) end
    return 100 * count / #scores
end

local scores, labels = {}, {}
for label, set in pairs {[0] = well, [1] = unusual} do
    local found = assert(detector:scores(set))
    print(("%-8s %d images, %.0f %% of them unusual at p of 0.05"):format(label == 0 and "normal:" or "others:", #set,
        unusual_share(found)))
    for _, score in ipairs(found) do scores[#scores + 1], labels[#labels + 1] = score, label end
end
print(("AUC %.3f"):format(lx.metrics.auc(scores, labels)))

-- Where: 1 is what one place in a hundred of a usual normal image exceeds.
for i = 1, math.min(SHOWN, #unusual) do
    local picture = unusual:image(i)
    assert(lx.vision.save(out .. "/film.png", picture))
    local answer = assert(detector(out .. "/film.png"))
    assert(lx.vision.save(("%s/unusual-%d.png"):format(out, i), (lx.explain.overlay(picture, answer.map - 1,
        {most = 2}))))
    print(("unusual-%d.png: %s"):format(i, tostring(answer)))
end
os.remove(out .. "/film.png")
print(lx.predictor.NOTICE)
