--- How well the maps of lx.explain agree with the boxes of phantoms, beside a Gaussian in the middle of every image,
--- and how long they take: the tables of docs/explain.md. `radiographs` does the same on films that have boxes
--- (DIR/boxes.csv, with columns image, label, x, y, w, h, image_width and image_height, and DIR/images), as those of
--- ChestX-ray14: there it is only measured, and nothing chosen. `randomised` draws the weights anew, from the last
--- layer down, and says how alike the maps of these films stay (Adebayo et al. 2018).
--
--     lua5.4 bench/explain.lua phantoms MODEL [N] [SEED]
--     lua5.4 bench/explain.lua radiographs MODEL DIR LABEL [METHOD...]
--     lua5.4 bench/explain.lua randomised MODEL DIR LABEL [METHOD...]
--
-- Maps and boxes are compared over the whole film, enlarged or shrunk to the side of what the network sees, also where
-- the network sees a part of it alone: a box outside that part is one that its maps cannot show.

local lfs = require "lfs"
local csv = require "luxel.io.csv"
local lx = require "luxel"

local USAGE <const> = "usage: explain.lua phantoms MODEL [N] [SEED] | radiographs MODEL DIR LABEL [METHOD...] | "
    .. "randomised MODEL DIR LABEL [METHOD...]"

-- Radiographs whose maps are compared with those of other weights, and how many times these are drawn.
local COMPARED <const>, DRAWS <const> = 16, 5

local function give_up(text)
    io.stderr:write(text, "\n")
    os.exit(1)
end

local what, path = arg[1], arg[2]
if not path or what ~= "phantoms" and not (arg[3] and arg[4]) then give_up(USAGE) end
local predictor, message = lx.predictor.open(path)
if not predictor then give_up(message) end
local SIDE <const> = predictor.size

-- ---- films and their boxes ------------------------------------------------------------------------------------------

-- Pictures, with their boxes in pixels of maps of the whole picture.
local function new_set() return {pictures = {}, boxes = {}, groups = {}} end

local function add(set, picture, boxes, group)
    local scaled, sy, sx = {}, SIDE / picture.shape[2], SIDE / picture.shape[3]
    for k, box in ipairs(boxes) do scaled[k] = {x = box.x * sx, y = box.y * sy, w = box.w * sx, h = box.h * sy} end
    table.insert(set.pictures, picture)
    table.insert(set.boxes, scaled)
    table.insert(set.groups, group)
end

local function phantoms(n, seed)
    if not n or not seed then give_up(USAGE) end
    local set, drawn = new_set(), lx.data.phantom {n = n, size = SIDE, seed = seed}
    for i, boxes in ipairs(drawn.boxes) do
        if #boxes > 0 then add(set, drawn:image(i), boxes, drawn.groups[i]) end
    end
    return set
end

-- The images that have boxes of a label.
local function radiographs(dir, label)
    local set, order, rows_of = new_set(), {}, {}
    for _, row in ipairs(assert(csv.read(dir .. "/boxes.csv"))) do
        if row.label == label then
            if not rows_of[row.image] then
                order[#order + 1], rows_of[row.image] = row.image, {}
            end
            table.insert(rows_of[row.image], row)
        end
    end
    for _, name in ipairs(order) do
        local file, boxes = dir .. "/images/" .. name, {}
        if not lfs.attributes(file) then give_up(file .. " is not there") end
        local picture = assert(lx.vision.load(file, {bits = 8}))
        for k, row in ipairs(rows_of[name]) do
            -- boxes are in pixels of the film that the table speaks of
            local sx = picture.shape[3] / assert(tonumber(row.image_width), "boxes.csv: image_width: not a number")
            local sy = picture.shape[2] / assert(tonumber(row.image_height), "boxes.csv: image_height: not a number")
            boxes[k] = {x = row.x * sx, y = row.y * sy, w = row.w * sx, h = row.h * sy}
        end
        add(set, picture, boxes, lx.data.patient(name))
    end
    if #set.pictures == 0 then give_up(("%s: there are no images with boxes of %s"):format(dir, label)) end
    return set
end

-- ---- maps -----------------------------------------------------------------------------------------------------------

-- A map of the whole picture in the side that is compared.
local function brought(map) return lx.vision.resize(map, SIDE, SIDE) end

local function maps_of(set, method)
    local maps = {}
    for i, picture in ipairs(set.pictures) do maps[i] = brought(assert(lx.explain[method](predictor, picture))) end
    return lx.cat(maps, 1)
end

-- Maps that do not look: over the part of each picture that the network sees, 0 elsewhere.
local function blind(set, map)
    local maps = {}
    for i, picture in ipairs(set.pictures) do
        local _, region = predictor:input(picture)
        region = region or {x = 0, y = 0, w = picture.shape[3], h = picture.shape[2]}
        local whole = lx.zeros(1, picture.shape[2], picture.shape[3])
        whole:narrow(2, region.y + 1, region.h):narrow(3, region.x + 1, region.w):copy_(map(region.h, region.w))
        maps[i] = brought(whole)
    end
    return lx.cat(maps, 1)
end

local function centre(height, width) return lx.explain.centre(1, {height, width}) end

-- ---- tables ---------------------------------------------------------------------------------------------------------

local function cell(found)
    return found.low and ("%.3f (%.3f – %.3f)"):format(found.mean, found.low, found.high) or ("%.3f"):format(found.mean)
end

local function methods_from(first)
    local out = table.move(arg, first, #arg, 1, {})
    return #out > 0 and out or lx.explain.METHODS
end

-- How much of the boxes lies in what the network sees.
local function share_seen(set)
    local inside, all = 0, 0
    local seen = blind(set, function(height, width) return lx.ones(1, height, width) end)
    for i, boxes in ipairs(set.boxes) do
        for _, box in ipairs(boxes) do
            local left, top = math.floor(box.x + 0.5), math.floor(box.y + 0.5)
            local part = seen:select(1, i):narrow(1, top + 1, math.min(SIDE - top, math.max(1, box.h // 1)))
                :narrow(2, left + 1, math.min(SIDE - left, math.max(1, box.w // 1)))
            inside, all = inside + part:sum():item(), all + part:numel()
        end
    end
    return inside / all
end

local function report(set, methods)
    local count, cropped, patients, seen = #set.pictures, predictor.metadata.input.crop, 0, {}
    if count == 0 then give_up("there are no images with boxes") end
    for _, group in ipairs(set.groups) do
        patients = patients + (seen[group] and 0 or 1)
        seen[group] = true
    end
    print(("\n%d images with boxes, of %d patients; the network sees %.1f %% of the boxes' pixels\n"):format(count,
        patients, 100 * share_seen(set)))
    print("| | energy inside the boxes | pointing game | s of processors an image |\n|---|---|---|---|")
    local function row(title, maps, seconds)
        local options = {groups = set.groups}
        local energy = lx.explain.energy_inside(maps, set.boxes, options)
        local hits = lx.explain.pointing_game(maps, set.boxes, options)
        print(("| %s | %s | %s | %s |"):format(title, cell(energy), cell(hits),
            seconds and ("%.3g"):format(seconds / count) or ""))
        io.stdout:flush()
    end
    row("even map", lx.ones(count, SIDE, SIDE))
    row("Gaussian in the middle", lx.explain.centre(count, SIDE))
    if cropped then
        row("even map of the part", blind(set, function(height, width) return lx.ones(1, height, width) end))
        row("Gaussian in the middle of the part", blind(set, centre))
    end
    for _, method in ipairs(methods) do
        local began = os.clock()
        local maps = maps_of(set, method)
        row("`" .. method .. "`", maps, os.clock() - began)
    end
end

-- ---- other weights --------------------------------------------------------------------------------------------------

-- The modules with weights of their own, the first first.
local function layers_of(net)
    local out = {}
    for name, module in net:named_modules() do
        if module.weight then out[#out + 1] = name end
    end
    return out
end

-- A network whose last layers have other weights and the statistics of those: what an untrained network has.
local function redrawn(names, first, seed)
    lx.manual_seed(seed)
    local options = {size = SIDE, outputs = 1, variant = predictor.metadata.pretrained
        and predictor.metadata.pretrained.variant}
    for key, value in pairs(predictor.metadata.network or {}) do options[key] = value end
    local fresh, net = lx.models.build(predictor.metadata.model, options), predictor.net:clone()
    local own, new = {}, {}
    for name, module in net:named_modules() do own[name] = module end
    for name, module in fresh:named_modules() do new[name] = module end
    for k = first, #names do own[names[k]]:load_state_dict(new[names[k]]:state_dict()) end
    return net:eval()
end

local function randomised(set, methods)
    if predictor.task ~= "binary" or predictor.members then give_up("one model of two classes is needed") end
    local inputs = {}
    for i = 1, math.min(COMPARED, #set.pictures) do inputs[i] = (assert(predictor:input(set.pictures[i]))) end
    local x, names = lx.cat(inputs, 1), layers_of(predictor.net)
    print(("%d radiographs, %d draws of weights: mean rank correlation, and of its size\n"):format(#inputs, DRAWS))
    print("| | last layer | the last quarter | the last half | all |\n|---|---|---|---|---|")
    for _, method in ipairs(methods) do
        local trained, cells = lx.explain[method](predictor.net, x), {}
        for step, first in ipairs {#names, #names - #names // 4 + 1, #names // 2 + 1, 1} do
            local sum, size, count = 0, 0, 0
            for seed = 1, DRAWS do
                local maps = lx.explain[method](redrawn(names, first, seed), x)
                for _, value in ipairs(lx.explain.rank_correlation(trained, maps)) do
                    sum, size, count = sum + value, size + math.abs(value), count + 1
                end
            end
            cells[step] = ("%.2f (%.2f)"):format(sum / count, size / count)
        end
        print(("| `%s` | %s |"):format(method, table.concat(cells, " | ")))
        io.stdout:flush()
    end
end

if what == "phantoms" then report(phantoms(tonumber(arg[3] or 100), tonumber(arg[4] or 1001)), lx.explain.METHODS)
elseif what == "radiographs" then report(radiographs(arg[3], arg[4]), methods_from(5))
elseif what == "randomised" then randomised(radiographs(arg[3], arg[4]), methods_from(5))
else give_up(USAGE) end
