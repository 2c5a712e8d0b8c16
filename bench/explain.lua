--- How well the maps of lx.explain agree with the boxes of phantoms, beside a Gaussian in the middle of every image,
--- and how long they take: the table of docs/explain.md. With a folder the same on radiographs that have boxes
--- (DIR/boxes.csv, with columns image, label, x, y, w, h, image_width and image_height, and DIR/images), as those of
--- ChestX-ray14: there it is only measured, and nothing chosen.
--
--     lua5.4 bench/explain.lua MODEL [N] [SEED] [DIR LABEL]

local lfs = require "lfs"
local csv = require "luxel.io.csv"
local lx = require "luxel"

local function give_up(text)
    io.stderr:write(text, "\n")
    os.exit(1)
end

local path, n, seed = arg[1], tonumber(arg[2] or 100), tonumber(arg[3] or 1001)
if not path or not n or not seed then give_up("usage: explain.lua MODEL [N] [SEED] [DIR LABEL]") end
local predictor, message = lx.predictor.open(path)
if not predictor then give_up(message) end

-- Images as the network sees them, with their boxes in its pixels. Those of a file are of the size that it names.
local function new_set() return {inputs = {}, boxes = {}, groups = {}} end

local function add(set, image, boxes, group, height, width)
    local scaled, sy, sx = {}, predictor.size / (height or image.shape[2]), predictor.size / (width or image.shape[3])
    for k, box in ipairs(boxes) do scaled[k] = {x = box.x * sx, y = box.y * sy, w = box.w * sx, h = box.h * sy} end
    table.insert(set.inputs, (assert(predictor:input(image))))
    table.insert(set.boxes, scaled)
    table.insert(set.groups, group)
end

local function phantoms()
    local set, drawn = new_set(), lx.data.phantom {n = n, size = predictor.size, seed = seed}
    for i, boxes in ipairs(drawn.boxes) do
        if #boxes > 0 then add(set, drawn:image(i), boxes, drawn.groups[i]) end
    end
    return set
end

-- The images that have boxes of a label.
local function radiographs(dir, label)
    local set, order, boxes = new_set(), {}, {}
    for _, row in ipairs(assert(csv.read(dir .. "/boxes.csv"))) do
        if row.label == label then
            if not boxes[row.image] then
                order[#order + 1] = row.image
                boxes[row.image] = {height = tonumber(row.image_height), width = tonumber(row.image_width)}
            end
            table.insert(boxes[row.image], {
                x = tonumber(row.x), y = tonumber(row.y), w = tonumber(row.w), h = tonumber(row.h),
            })
        end
    end
    for _, name in ipairs(order) do
        local file = dir .. "/images/" .. name
        if lfs.attributes(file) then
            local image = assert(lx.vision.load(file, {bits = 8}))
            add(set, image, boxes[name], lx.data.patient(name), boxes[name].height, boxes[name].width)
        end
    end
    return set
end

local function cell(found)
    return found.low and ("%.3f (%.3f – %.3f)"):format(found.mean, found.low, found.high) or ("%.3f"):format(found.mean)
end

local function report(set)
    local count = #set.inputs
    if count == 0 then give_up("there are no images with boxes") end
    local x, rows = lx.cat(set.inputs, 1), {}
    local function row(title, maps, seconds)
        local options = {groups = set.groups}
        local energy = lx.explain.energy_inside(maps, set.boxes, options)
        local hits = lx.explain.pointing_game(maps, set.boxes, options)
        rows[#rows + 1] = ("| %s | %s | %s | %s |"):format(title, cell(energy), cell(hits),
            seconds and ("%.3g"):format(seconds / count) or "")
        print(rows[#rows])
        io.stdout:flush()
    end
    print(("\n%d images with boxes\n"):format(count))
    print("| | energy inside the boxes | pointing game | s of processors an image |\n|---|---|---|---|")
    row("even map", lx.ones(count, predictor.size, predictor.size))
    row("Gaussian in the middle", lx.explain.centre(count, predictor.size))
    for _, method in ipairs(lx.explain.METHODS) do
        local began = os.clock()
        local maps = lx.explain[method](predictor, x)
        row("`" .. method .. "`", maps, os.clock() - began)
    end
end

report(phantoms())
if arg[4] then report(radiographs(arg[4], arg[5] or "Pneumonia")) end
