--- Synthetic chest radiographs, so that everything can be tried without a download: a postero-anterior film of thorax,
-- lungs, ribs, spine, heart and diaphragm, with random build, pose, exposure and film noise, and in infected patients
-- patchy opacities whose boxes are known. They teach a network nothing about patients.
--
-- Body coordinates: X from the spine (-0.5 at the left edge of the picture, the patient's right), Y from the top
-- (0..1). Values are film density, 0 black to 1 white, until the last step. Plain Lua on purpose: the pictures depend
-- on the seed alone, on every machine and device.

local lfs = require "lfs"
local args = require "luxel.args"
local core = require "luxel.core"
local dataset = require "luxel.data.dataset"
local random = require "luxel.random"

local exp, sqrt, floor, abs, min, max = math.exp, math.sqrt, math.floor, math.abs, math.min, math.max

-- Table entries from one rib to the next: rib phases are whole numbers of these, so that a pixel costs one look-up.
local RIB <const> = 64

local function smoothstep(low, high, x)
    local t = min(1, max(0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)
end

-- ---- what all images of a call share ---------------------------------------------------------------------------

-- Soft noise of about -1..1 that repeats after `size` pixels: octaves of a random lattice, interpolated.
local function soft_noise(stream, size)
    local noise = {}
    for i = 0, size * size - 1 do
        noise[i] = 0
    end
    for octave, cells in ipairs {6, 12, 24} do
        local lattice, amplitude = {}, 0.9 / octave
        for i = 0, cells * cells - 1 do
            lattice[i] = stream:uniform(-amplitude, amplitude)
        end
        for y = 0, size - 1 do
            local v = y * cells / size
            local top, ty = floor(v), smoothstep(0, 1, v % 1)
            local upper, lower = top * cells, (top + 1) % cells * cells
            for x = 0, size - 1 do
                local u = x * cells / size
                local left, tx = floor(u), smoothstep(0, 1, u % 1)
                local right = (left + 1) % cells
                local a = lattice[upper + left] + tx * (lattice[upper + right] - lattice[upper + left])
                local b = lattice[lower + left] + tx * (lattice[lower + right] - lattice[lower + left])
                noise[y * size + x] = noise[y * size + x] + a + ty * (b - a)
            end
        end
    end
    return noise
end

-- Film grain, in grey levels per unit: rows start anywhere in a long line of it.
local function film_grain(stream, size)
    local grain, last = {}, stream:normal()
    for i = 1, 64 * size do
        local next_one = stream:normal()
        grain[i], last = 0.8 * next_one + 0.6 * last, next_one
    end
    return grain
end

-- Brightness across ribs, over the whole range of phases: a band brighter at its edges (cortical bone).
local function rib_profile()
    local profile = {}
    for i = -8 * RIB, 40 * RIB do
        local t = abs((i % RIB) / RIB - 0.5) / 0.27
        profile[i] = t < 1 and (1 - t ^ 6) * (0.75 + 0.25 * t * t) or 0
    end
    return profile
end

-- ---- one patient, one exposure -----------------------------------------------------------------------------------

-- Build: what stays the same from film to film.
local function draw_patient(stream)
    return {
        width = stream:uniform(0.335, 0.385),        -- outer edge of the lungs
        apex = stream:uniform(0.085, 0.125),
        base = stream:uniform(0.73, 0.80),           -- top of the diaphragm
        dome = stream:uniform(1.6, 2.8),             -- its curvature
        heart = stream:uniform(0.105, 0.165),        -- how far it reaches to the left of the mediastinum
        heart_y = stream:uniform(0.60, 0.65),
        knob = stream:uniform(0.01, 0.03),           -- the aortic arch
        rib_spacing = stream:uniform(0.066, 0.080),
        rib_curve = stream:uniform(0.7, 1.1),
        rib_start = stream:uniform(0, 1),
        bone = stream:uniform(0.045, 0.085),
        clavicle = stream:uniform(0.165, 0.195),
        hila = stream:uniform(0.05, 0.14),
        gas = stream:uniform(-0.05, 0.14),           -- gastric bubble, none below 0
    }
end

-- Pose and exposure: what differs from film to film.
local function draw_exposure(stream)
    return {
        scale = stream:uniform(0.92, 1.06),
        dx = stream:uniform(-0.03, 0.03), dy = stream:uniform(-0.03, 0.03), tilt = stream:uniform(-0.05, 0.05),
        breath = stream:uniform(-0.03, 0.02),        -- moves the diaphragm
        tissue = stream:uniform(0.56, 0.66),
        air = stream:uniform(0.34, 0.44),            -- how much darker the lungs are
        vessels = stream:uniform(0.03, 0.06),
        gain = stream:uniform(0.85, 1.15), lift = stream:uniform(-0.07, 0.07),
        across = stream:uniform(-0.08, 0.08), down = stream:uniform(-0.08, 0.08),
        grain = stream:uniform(3, 7),
    }
end

-- The edges of one lung at height Y, as distances from the spine: inner, outer. `side` is -1 for the right lung (on
-- the left of the picture) and 1 for the left lung, which the heart dents.
local function lung_edges(body, side, Y)
    local t = (Y - body.apex) / 0.42
    if t <= 0 then
        return 1, 0
    end
    local outer = 0.14 + (body.width - 0.14) * (t < 1 and sqrt(1 - (1 - t) ^ 2) or 1)
    local near_apex = min(1, t / 0.35)
    local inner = 0.14 - 0.085 * sqrt(1 - (1 - near_apex) ^ 2)
    local reach, height = body.heart, 0.21
    if side < 0 then
        reach, height = 0.35 * body.heart, 0.16
    else
        inner = inner + body.knob * exp(-((Y - 0.31) / 0.035) ^ 2)
    end
    local h = 1 - ((Y - body.heart_y) / height) ^ 2
    return h > 0 and inner + reach * sqrt(h) or inner, outer
end

-- The height of the diaphragm at distance `a` from the spine; the right side stands higher, over the liver.
local function diaphragm(body, film, side, a)
    return body.base + film.breath + (side < 0 and -0.012 or 0.012) + body.dome * (a - 0.19) ^ 2
end

-- How much of the point is lung, 0..1.
local function lung_share(body, film, X, Y)
    local side, a = X < 0 and -1 or 1, abs(X)
    local inner, outer = lung_edges(body, side, Y)
    return smoothstep(0, 0.022, a - inner) * smoothstep(0, 0.022, outer - a)
        * smoothstep(0, 0.03, diaphragm(body, film, side, a) - Y)
end

-- From body to picture: the pixel where X = 0 in a row, and the picture's row of a height.
local function place(film, size)
    local step = 1 / (size * film.scale)
    return {
        size = size, step = step,
        -- X of pixel 0 and Y of a row (rows and columns count from 0)
        left = function(row)
            return (0.5 / size - 0.5 - film.dx - film.tilt * (row / size - 0.5)) / film.scale
        end,
        height = function(row)
            return ((row + 0.5) / size - 0.5 - film.dy) / film.scale + 0.5
        end,
        row = function(Y)
            return ((Y - 0.5) * film.scale + 0.5 + film.dy) * size - 0.5
        end,
    }
end

-- ---- patches ---------------------------------------------------------------------------------------------------

-- Adds a Gaussian blob to `map` (rows of columns, both from 0), within the picture.
local function splat(map, view, X, Y, sx, sy, amplitude)
    local size = view.size
    local first, last = floor(view.row(Y - 2.5 * sy)), floor(view.row(Y + 2.5 * sy))
    local centre_row = floor(view.row(Y))
    local from = floor((X - 2.5 * sx - view.left(centre_row)) / view.step)
    local to = floor((X + 2.5 * sx - view.left(centre_row)) / view.step)
    from, to = max(0, from), min(size - 1, to)
    local across = {}
    for x = from, to do
        across[x] = exp(-0.5 * ((view.left(centre_row) + x * view.step - X) / sx) ^ 2)
    end
    for y = max(0, first), min(size - 1, last) do
        local line = map[y] or {}
        map[y] = line
        local weight = amplitude * exp(-0.5 * ((view.height(y) - Y) / sy) ^ 2)
        for x = from, to do
            line[x] = (line[x] or 0) + weight * across[x]
        end
    end
end

-- One patch: a cloud of blobs, mottled by soft noise.
local function draw_patch(stream, view, noise, X, Y)
    local patch = {}
    local spread, amplitude = stream:uniform(0.03, 0.06), stream:uniform(0.15, 0.3)
    for _ = 1, 3 + stream:integer(3) do
        splat(patch, view, X + spread * stream:normal(), Y + spread * stream:normal(),
            stream:uniform(0.03, 0.07), stream:uniform(0.03, 0.07), amplitude * stream:uniform(0.4, 1))
    end
    local size = view.size
    local ox, oy = stream:integer(size), stream:integer(size)
    for y, line in pairs(patch) do
        local row = (y + oy) % size * size
        for x, value in pairs(line) do
            line[x] = value * max(0, 1 + 0.8 * noise[row + (x + ox) % size])
        end
    end
    return patch
end

-- The box of what can be seen of a patch inside the lungs, nil where that is too little.
local function box_of(patch, view, body, film)
    local x0, y0, x1, y1 = math.huge, math.huge, -1, -1
    for y, line in pairs(patch) do
        local left, Y = view.left(y), view.height(y)
        for x, value in pairs(line) do
            if value > 0.05 and value * lung_share(body, film, left + x * view.step, Y) > 0.05 then
                x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
            end
        end
    end
    local least = 0.05 * view.size
    if x1 - x0 + 1 >= least and y1 - y0 + 1 >= least then
        return {x = x0, y = y0, w = x1 - x0 + 1, h = y1 - y0 + 1}
    end
end

-- Two to four opacities within the lungs: the map of their density, and their boxes.
local function draw_opacities(stream, view, noise, body, film)
    local map, boxes, wanted = {}, {}, 1 + stream:integer(3)
    repeat
        local side, Y = stream:uniform(0, 1) < 0.5 and -1 or 1, stream:uniform(0.2, 0.72)
        local inner, outer = lung_edges(body, side, Y)
        local patch = draw_patch(stream, view, noise, side * stream:uniform(inner, outer), Y)
        local box = box_of(patch, view, body, film)
        if box then
            boxes[#boxes + 1] = box
            for y, line in pairs(patch) do
                local target = map[y] or {}
                map[y] = target
                for x, value in pairs(line) do
                    target[x] = (target[x] or 0) + value
                end
            end
        end
    until #boxes == wanted
    return map, boxes
end

-- ---- the film --------------------------------------------------------------------------------------------------

-- Values that depend on the column only. Entries run past the picture by `margin`, as tilt moves rows sideways.
local function columns_of(body, view, margin)
    local out = {centre = {}, posterior = {}, anterior = {}, clavicle = {}, thorax = {}, far = {}}
    local left = view.left(view.size / 2)
    for x = -margin, view.size + margin do
        local X = left + x * view.step
        local a = abs(X)
        -- mediastinum and spine, heart behind them, and the body thinning out to the sides
        out.centre[x] = 0.13 * exp(-(a / 0.05) ^ 2) + 0.05 * exp(-(a / 0.11) ^ 2) - 0.5 * a * a
        out.posterior[x] = floor(RIB * -body.rib_curve * a * a / body.rib_spacing)
        out.anterior[x] = floor(RIB * (0.75 * a - 0.2 * a * a) / (1.15 * body.rib_spacing))
        out.clavicle[x] = floor((0.28 * a - 0.25 * a * a) / view.step)
        out.thorax[x] = smoothstep(0.02, 0.07, a) * (1 - smoothstep(body.width + 0.01, body.width + 0.04, a))
        out.far[x] = exp(-(a / 0.2) ^ 2)
    end
    return out
end

-- Bone of the collar: brightness by distance in pixels from its middle line.
local function clavicle_profile(view)
    local profile = {}
    local half = 0.016 / view.step
    for i = -floor(half), floor(half) do
        profile[i] = 1 - (i / half) ^ 4
    end
    return profile
end

-- Fills `line` with the body without its lungs: soft tissue, spine, ribs, collar bones.
local function draw_body_row(line, shared, body, film, view, columns, row)
    local Y, left, step = view.height(row), view.left(row), view.step
    local shift = floor((left - view.left(view.size / 2)) / step + 0.5)
    local half_width = 0.13 + 0.36 * smoothstep(0.0, 0.17, Y) - 0.05 * smoothstep(0.25, 0.5, Y)
    local tissue = film.tissue + 0.10 * smoothstep(0.6, 0.95, Y)
    local spine = 1 + 0.12 * math.cos(2 * math.pi * Y / 0.047)
    local within = smoothstep(0.08, 0.16, Y) * (1 - 0.6 * smoothstep(0.72, 0.86, Y))
    local posterior = floor(RIB * (Y / body.rib_spacing + body.rib_start))
    local anterior = floor(RIB * (Y / (1.15 * body.rib_spacing) + body.rib_start + 0.3))
    local bone, fainter = body.bone * within, 0.45 * body.bone * within
    local collar = floor((Y - body.clavicle) / step)
    local has_collar = abs(Y - body.clavicle + 0.05) < 0.1
    local centre, thorax, rib = columns.centre, columns.thorax, shared.rib
    local to_posterior, to_anterior, to_clavicle = columns.posterior, columns.anterior, columns.clavicle
    local bar, trachea = shared.clavicle, Y < 0.36 and 0.05 * (1 - smoothstep(0.28, 0.36, Y)) or 0
    for x = 0, view.size - 1 do
        local c = x + shift
        local edge = (half_width - abs(left + x * step)) * 40
        local value = 0.03
        if edge > 0 then
            value = tissue + spine * centre[c]
                + thorax[c] * (bone * rib[posterior + to_posterior[c]] + fainter * rib[anterior + to_anterior[c]])
            if has_collar then
                value = value + 1.3 * body.bone * (bar[collar + to_clavicle[c]] or 0) * thorax[c]
            end
            if trachea > 0 then
                value = value - trachea * exp(-((left + x * step) / 0.018) ^ 2)
            end
            if edge < 1 then
                value = 0.03 + edge * (value - 0.03)
            end
        end
        line[x] = value
    end
    return shift
end

-- Darkens one lung's part of `line` and draws its vessels, hilum and opacities, which are all seen against air.
local function draw_lung_row(line, shared, body, film, view, columns, row, side, shift, markings, opacities)
    local Y, left, step, size = view.height(row), view.left(row), view.step, view.size
    local inner, outer = lung_edges(body, side, Y)
    if inner >= outer or Y > body.base + 0.2 then
        return
    end
    local from, to = side < 0 and -outer or inner, side < 0 and -inner or outer
    local noise, texture = shared.noise, (row + film.texture_y) % size * size
    local vessels, far, air = film.vessels, columns.far, film.air
    local base, dome = diaphragm(body, film, side, 0.19) - Y, body.dome
    for x = max(0, floor((from - left) / step)), min(size - 1, floor((to - left) / step) + 1) do
        local a = side * (left + x * step)
        local m, n, d = (a - inner) * 45, (outer - a) * 45, (base + dome * (a - 0.19) ^ 2) * 33
        if m > 0 and n > 0 and d > 0 then
            m = (m < 1 and m or 1) * (n < 1 and n or 1) * (d < 1 and d or 1)
            m = m * m * (3 - 2 * m)
            if shared.inside and m >= 0.5 then shared.inside[x + 1] = 255 end
            local marks = vessels * (0.3 + far[x + shift]) * (1 + noise[texture + (x + film.texture_x) % size])
            marks = marks + (markings and markings[x] or 0) + (opacities and opacities[x] or 0)
            -- Marks fill in for air: they cannot be brighter than the tissue around the lungs.
            marks = marks < air and marks or air
            line[x] = line[x] - m * (air - marks)
        end
    end
end

-- The exposed film: grey levels of `line` as a string of bytes.
local function expose(line, bytes, shared, film, view, row, grain_at)
    local size, grain, noise = view.size, shared.grain, film.grain
    local gain = 255 * film.gain
    local value_at = 255 * (film.lift + film.down * (row / size - 0.5) + 0.5 - 0.5 * film.gain - film.across / 2)
    local across = 255 * film.across / size
    for x = 0, size - 1 do
        local value = (gain * line[x] + value_at + across * x + noise * grain[grain_at + x]) // 1
        bytes[x + 1] = value < 0 and 0 or value > 255 and 255 or value
    end
    return string.char(table.unpack(bytes, 1, size))
end

-- Hila and the gas in the stomach, which healthy films have too: marks in the lungs, and marks outside them.
local function draw_markings(view, body, film)
    local markings, gas = {}, {}
    for side = -1, 1, 2 do
        local Y = side < 0 and 0.43 or 0.41
        splat(markings, view, side * 0.095, Y, 0.025, 0.045, body.hila)
        splat(markings, view, side * 0.12, Y + 0.07, 0.02, 0.05, 0.6 * body.hila)
    end
    if body.gas > 0 then
        splat(gas, view, 0.17, diaphragm(body, film, 1, 0.19) + 0.06, 0.05, 0.022, -body.gas)
    end
    return markings, gas
end

-- Outside the lungs, for a row.
local function zeros(size)
    local row = {}
    for x = 1, size do row[x] = 0 end
    return row
end

-- One film: size * size bytes, the boxes of its opacities, and as many bytes again that are 255 inside the lungs.
local function draw(shared, body, stream, infected, size, with_mask)
    local film = draw_exposure(stream)
    film.texture_x, film.texture_y = stream:integer(size), stream:integer(size)
    local view = place(film, size)
    local columns = columns_of(body, view, size // 8)
    local markings, gas = draw_markings(view, body, film)
    local opacities, boxes = {}, {}
    if infected then
        opacities, boxes = draw_opacities(stream, view, shared.noise, body, film)
    end
    shared.clavicle = clavicle_profile(view)
    local line, bytes, rows, mask = {}, {}, {}, {}
    for row = 0, size - 1 do
        shared.inside = with_mask and zeros(size) or nil
        local shift = draw_body_row(line, shared, body, film, view, columns, row)
        draw_lung_row(line, shared, body, film, view, columns, row, -1, shift, markings[row], opacities[row])
        draw_lung_row(line, shared, body, film, view, columns, row, 1, shift, markings[row], opacities[row])
        for x, value in pairs(gas[row] or {}) do
            line[x] = line[x] + value
        end
        rows[row + 1] = expose(line, bytes, shared, film, view, row, stream:integer(63 * size))
        mask[row + 1] = with_mask and string.char(table.unpack(shared.inside)) or nil
    end
    return table.concat(rows), boxes, with_mask and table.concat(mask)
end

-- ---- datasets --------------------------------------------------------------------------------------------------

local phantom = {}

local DEFAULTS <const> = {n = 200, size = 128, seed = 1, infected = 0.5, task = "binary"}

-- Calls `use(i, bytes, label, patient, nth, boxes, mask)` for each image. A patient has one to three films, is infected
-- on all of them or on none; patients are infected so that the share of infected films stays near the one asked for.
local function each(opts, use)
    local size = math.tointeger(opts.size)
    local stream = random.stream(opts.seed, size)
    local shared = {noise = soft_noise(stream, size), grain = film_grain(stream, size), rib = rib_profile()}
    local i, patient, infected_films = 0, 0, 0
    while i < opts.n do
        patient = patient + 1
        local own = random.stream(opts.seed, patient)
        local films = min(own:integer(3), opts.n - i)
        local infected = opts.infected > 0 and infected_films + films / 2 <= opts.infected * (i + films)
        infected_films = infected_films + (infected and films or 0)
        local body = draw_patient(own)
        for nth = 1, films do
            i = i + 1
            local bytes, boxes, mask = draw(shared, body, random.stream(opts.seed, patient, nth), infected, size,
                opts.task == "segmentation")
            use(i, bytes, infected and 1 or 0, patient, nth, boxes, mask)
        end
    end
end

local CLASSES <const> = {"NORMAL", "PNEUMONIA"}
local OBJECT <const> = "opacity"

-- Where an image of a label goes; of masks and boxes it is of no class.
local function file_name(opts, label, patient, nth)
    return ("%s/person%d_phantom_%d.png"):format(opts.task == "binary" and CLASSES[label + 1] or "images", patient,
        nth)
end

-- Whether two boxes have much in common: a quarter of the smaller one, or more.
local function overlap(a, b)
    local w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    local h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return w > 0 and h > 0 and 4 * w * h >= min(a.w * a.h, b.w * b.h)
end

-- Opacities that lie over one another look like one: their boxes become the one around them.
local function join_boxes(boxes)
    local out = {}
    for _, box in ipairs(boxes) do
        local x0, y0, x1, y1 = box.x, box.y, box.x + box.w, box.y + box.h
        local one, i = {x = x0, y = y0, w = box.w, h = box.h, label = OBJECT}, 1
        while out[i] do
            if overlap(one, out[i]) then
                local other = table.remove(out, i)
                x0, y0 = min(x0, other.x), min(y0, other.y)
                x1, y1 = max(x1, other.x + other.w), max(y1, other.y + other.h)
                one.x, one.y, one.w, one.h = x0, y0, x1 - x0, y1 - y0
                i = 1 -- it has grown, and may lie over others now
            else
                i = i + 1
            end
        end
        out[#out + 1] = one
    end
    return out
end

--- Synthetic radiographs in memory, with `boxes` of the opacities; about 6 ms each at 128 pixels. The same options give
--- the same pictures everywhere. Of the task "segmentation" they have masks of the lungs to learn instead of labels; of
--- the task "detection" boxes, those that overlap much joined to one, because what they are around looks like one.
---@param options? {n?: integer, size?: integer, seed?: integer, infected?: number,
---  task?: "binary"|"segmentation"|"detection"} 200 images of 128 pixels, seed 1, half of them infected, task "binary"
---@return luxel.Dataset
function phantom.dataset(options)
    local opts = args.with_defaults(options, DEFAULTS)
    local n, size = math.tointeger(opts.n), math.tointeger(opts.size)
    -- another seed draws other people
    local people = opts.seed == DEFAULTS.seed and "person" or ("seed %d, person"):format(opts.seed)
    local out = {
        images = core.new({n, 1, size, size}, "uint8"),
        paths = {}, labels = {}, groups = {}, boxes = {}, failed = {}, classes = CLASSES,
    }
    local maps, objects = opts.task == "segmentation", opts.task == "detection"
    if maps then
        out.task, out.classes, out.masks = opts.task, {"lungs"}, core.new({n, 1, size, size}, "uint8")
    elseif objects then
        out.task, out.classes = opts.task, {OBJECT}
    end
    local function put(into, i, bytes)
        local image = core.from_string(bytes, {1, 1, size, size}, "uint8")
        core.copy_(core.narrow(into, 1, i, 1), image)
        core.free(image)
    end
    each(opts, function(i, bytes, label, patient, nth, boxes, mask)
        put(out.images, i, bytes)
        if maps then put(out.masks, i, mask) end
        out.paths[i], out.labels[i] = file_name(opts, label, patient, nth), maps and 0 or label
        out.groups[i], out.boxes[i] = people .. patient, objects and join_boxes(boxes) or boxes
    end)
    out.labels = core.from_table(out.labels, "float32")
    return dataset.new(out)
end

-- Makes a folder and those above it. What goes wrong shows when the first file is written.
local function make_folders(dir)
    for at in dir:gmatch("()/") do
        if at > 1 then
            lfs.mkdir(dir:sub(1, at - 1))
        end
    end
    lfs.mkdir(dir)
end

--- Writes the same images as PNG files, in the layout that `image_folder` reads (DIR/NORMAL, DIR/PNEUMONIA), and their
--- boxes as DIR/boxes.csv. Of the task "segmentation" they are in DIR/images, and masks of the same names in DIR/masks;
--- of the task "detection" in DIR/images too, and boxes.csv has a row without a box for each image that has none.
---@param dir string made if need be
---@param options? table as for `phantom`
---@return integer? count, string? message, string? code
function phantom.save(dir, options)
    local opts = args.with_defaults(options, DEFAULTS)
    local size, objects = math.tointeger(opts.size), opts.task == "detection"
    local lines = {objects and "image,x,y,w,h,label" or "image,x,y,w,h"}
    for _, class in ipairs(opts.task == "segmentation" and {"images", "masks"} or objects and {"images"} or CLASSES) do
        make_folders(dir .. "/" .. class)
    end
    local count, message, code = 0, nil, nil
    local function write(name, bytes)
        if message then return end
        local written
        written, message, code = core.write_png(dir .. "/" .. name, core.from_string(bytes, {1, size, size}, "uint8"))
        return written
    end
    each(opts, function(_, bytes, label, patient, nth, boxes, mask)
        local name = file_name(opts, label, patient, nth)
        if write(name, bytes) then count = count + 1 end
        if mask then write((name:gsub("^images", "masks")), mask) end
        for _, box in ipairs(objects and join_boxes(boxes) or boxes) do
            lines[#lines + 1] = ("%s,%d,%d,%d,%d%s"):format(name, box.x, box.y, box.w, box.h,
                objects and "," .. OBJECT or "")
        end
        if objects and #boxes == 0 then lines[#lines + 1] = name .. ",,,,," end
    end)
    if message then
        return nil, message, code
    end
    local file
    file, message = io.open(dir .. "/boxes.csv", "w")
    if not file or not file:write(table.concat(lines, "\n"), "\n") or not file:close() then
        return nil, ("phantom_save: cannot write %s/boxes.csv%s"):format(dir, message and ": " .. message or ""), "io"
    end
    return count
end

local OPTIONS <const> = "options: {n: integer(1..1000000)?, size: integer(16..2048)?, seed: integer?, "
    .. "infected: number(0..1)?, task: \"binary\"|\"segmentation\"|\"detection\"?}?"

return {
    dataset = args.public("phantom", OPTIONS, phantom.dataset),
    save = args.public("phantom_save", "dir: path, " .. OPTIONS, phantom.save),
}
