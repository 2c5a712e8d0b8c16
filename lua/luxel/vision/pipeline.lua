--- Pipelines: what happens to an image on its way to the network, as a list of steps that C threads follow.
---
---     local aug = lx.vision.pipeline {
---         {"clahe", clip = 2}, {"rotate", 10}, {"shift", 0.08}, {"hflip", p = 0.5}, {"noise", 5, p = 0.3}, size = 224,
---     }
---     print(aug)
---     aug:preview(image, "sheet.png")
---     local seen = aug(image, {seed = 1, epoch = 3, index = 17})
---
--- All steps that move pixels, the change of size among them, are composed into one warp, so that an image is resampled
--- once; the warp has the place of the first of them (`{"resize"}` marks the place where nothing else moves). What is
--- drawn depends on (seed, epoch, index) alone.

local args = require "luxel.args"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
local near = require "luxel.near"

local pipeline = {}

-- Each kind of step: its options in the order in which C takes their values. A *range* r stands for `middle` - r to
-- `middle` + r, or is {low, high} itself; the first option may be given without its name.
local KINDS <const> = {
    hflip = {p = 0.5}, vflip = {p = 0.5}, rot90 = {},
    rotate = {{"degrees", range = 10, middle = 0, low = -180, high = 180}},
    shift = {
        {"x", range = 0.1, middle = 0, low = -1, high = 1}, {"y", range = "x", middle = 0, low = -1, high = 1},
    },
    shear = {
        {"x", range = 5, middle = 0, low = -60, high = 60}, {"y", range = 0, middle = 0, low = -60, high = 60},
    },
    zoom = {
        {"factor", range = 0.1, middle = 1, low = 0.05, high = 20},
        {"aspect", range = 0, middle = 1, low = 0.05, high = 20},
    },
    perspective = {{"distortion", number = 0.2, low = 0, high = 0.9}},
    random_resized_crop = {
        {"area", range = {0.5, 1}, low = 0.01, high = 1}, {"ratio", range = {3 / 4, 4 / 3}, low = 0.1, high = 10},
    },
    centre_crop = {{"share", number = 0.9, low = 0.05, high = 1}},
    elastic = {{"shift", number = 0.02, low = 0, high = 0.3}, {"cells", number = 4, low = 1, high = 16, whole = true}},
    resize = {},
    brightness = {{"factor", range = 0.2, middle = 1, low = 0, high = 10}},
    offset = {{"levels", range = 20, middle = 0, low = -255, high = 255}},
    contrast = {{"factor", range = 0.2, middle = 1, low = 0, high = 10}},
    gamma = {{"exponent", range = 0.2, middle = 1, low = 0.05, high = 20}},
    tone = {{"strength", number = 0.5, low = 0, high = 1}},
    noise = {{"sigma", range = 5, middle = false, low = 0, high = 255}},
    blur = {{"sigma", range = {0.1, 1.5}, low = 0, high = 50}},
    sharpness = {{"factor", range = 0.5, middle = 1, low = 0, high = 10}},
    equalize = {},
    clahe = {{"clip", number = 2, low = 0, high = 1000}, {"tiles", number = 8, low = 1, high = 64, whole = true}},
    autocontrast = {{"cutoff", number = 0, low = 0, high = 0.49}},
    invert = {},
    solarize = {{"threshold", number = 128, low = 0, high = 256}},
    posterize = {{"bits", number = 4, low = 1, high = 8, whole = true}},
    median = {{"size", number = 3, low = 1, high = 255, whole = true}},
    jpeg = {{"quality", range = {30, 95}, low = 1, high = 100, whole = true}},
    border = {
        {"share", range = {0, 0.1}, low = 0, high = 0.45},
        {"level", number = -1, low = -2, high = 255, whole = true}, p = 0.5,
    },
    random_erasing = {
        {"area", range = {0.02, 0.33}, low = 0.001, high = 1}, {"ratio", range = {0.3, 3.3}, low = 0.05, high = 20},
        {"value", number = 0, low = -2, high = 255}, p = 0.5,
    },
    resolution = {{"share", range = {0.3, 1}, low = 0.02, high = 1}},
    marker = {
        {"size", range = {0.03, 0.08}, low = 0.01, high = 0.5},
        {"level", number = -1, low = -1, high = 255, whole = true}, p = 0.5,
    },
    style = {{"strength", range = {0, 1}, middle = false, low = 0, high = 1}},
    some_of = {{"n", range = 1, middle = false, low = 0, high = 31, whole = true}, choice = true},
    one_of = {choice = true},
    rand_augment = {
        {"n", number = 2, low = 1, high = 8, whole = true}, {"m", range = 9, middle = false, low = 0, high = 30},
    },
}

local FITS <const> = {stretch = 0, pad = 1, crop = 2}
local BORDERS <const> = {constant = 0, replicate = 1, reflect = 2, reflect101 = 3, wrap = 4}

local function sorted_keys(t)
    local names = {}
    for name in pairs(t) do
        if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

-- `where` begins with the public function whose argument the steps are.
local function number_in(where, option, value)
    if type(value) ~= "number" or not (value >= option.low and value <= option.high)
        or option.whole and not math.tointeger(value) then
        args.fail("%s: expected %s from %g to %g, got %s", where, option.whole and "an integer" or "a number",
            option.low, option.high, args.describe(value))
    end
    return value
end

-- The low and the high end that a range stands for.
local function ends_of(where, option, value)
    local low, high
    if type(value) == "table" and #value == 2 and next(value, 2) == nil then
        low, high = value[1], value[2]
    elseif type(value) ~= "number" or not (value >= 0) then
        args.fail("%s: expected a number of at least 0 or a pair {low, high}, got %s", where, args.describe(value))
    elseif option.middle then
        low, high = option.middle - value, option.middle + value
    else
        low, high = value, value -- always this
    end
    number_in(where .. " (low)", option, low)
    number_in(where .. " (high)", option, high)
    if low > high then args.fail("%s: %g is above %g", where, low, high) end
    return low, high
end

-- Adds the values of one option to a row for C and its words to a list.
local function add_option(row, words, where, kind, option, given)
    local name = option[1]
    local value = given[name]
    if value == nil and option.range == "x" then -- as the first option
        value = given.x == nil and kind[1].range or given.x
    elseif value == nil then
        value = option.range or option.number
    end
    if option.range then
        local low, high = ends_of(where .. "." .. name, option, value)
        row[#row + 1], row[#row + 2] = low, high
        words[#words + 1] = low == high and ("%s %g"):format(name, low) or ("%s %g to %g"):format(name, low, high)
    else
        row[#row + 1] = number_in(where .. "." .. name, option, value)
        words[#words + 1] = ("%s %g"):format(name, value)
    end
end

-- The key of a step that holds those that it chooses among.
local function members_key(name, kind) return kind.choice and (name == "one_of" and 2 or "steps") or nil end

local read_members

-- Checks a step {name, first option, option = ..., p = ...}: adds a row for C, and the line that shows it. One that
-- chooses is followed by those that it chooses among.
local function read_step(caller, step, place, rows, lines, inside)
    local name = type(step) == "string" and step or type(step) == "table" and (rawget(step, 1) or rawget(step, "step"))
    local kind = type(name) == "string" and KINDS[name]
    if not kind then
        local names = sorted_keys(KINDS)
        args.fail("%s: step %d is %s%s; the steps are %s", caller, place,
            type(name) == "string" and ("'%s'"):format(name) or "no table that begins with a name",
            near.suggestion(name, names), table.concat(names, ", "))
    end
    local where, given, known = ("%s: step %d (%s)"):format(caller, place, name), {}, {p = true}
    for _, option in ipairs(kind) do known[option[1]] = true end
    local members = members_key(name, kind)
    for key, value in pairs(type(step) == "table" and step or {}) do
        if members and (key == members or key == "steps") then
            given.steps = value
        elseif key == 2 and kind[1] then
            given[kind[1][1]] = value
        elseif known[key] then
            given[key] = value
        elseif key ~= 1 and key ~= "step" then
            local names = sorted_keys(known)
            args.fail("%s: unknown option '%s'%s; the options are %s", where, tostring(key),
                near.suggestion(key, names), table.concat(names, ", "))
        end
    end
    local p = given.p == nil and (kind.p or 1) or given.p
    local row, words = {name, number_in(where .. ".p", {low = 0, high = 1}, p)}, {}
    if name == "one_of" then row[1], row[3], row[4] = "some_of", 1, 1 end
    for _, option in ipairs(kind) do add_option(row, words, where, kind, option, given) end
    if name == "median" and row[3] % 2 == 0 then
        args.fail("%s.size: expected an odd number, got %d", where, row[3])
    end
    local line = ("  %-20s %s"):format(name, table.concat(words, ", "))
    if p < 1 then line = ("%s%sp %g"):format(line, #words > 0 and ", " or "", p) end
    rows[#rows + 1], lines[#lines + 1] = row, (inside and "  " or "") .. line
    if kind.choice then read_members(where, name, row, given.steps, rows, lines, inside) end
end

-- The steps that a step chooses among; their number is its last value.
function read_members(where, name, row, steps, rows, lines, inside)
    if type(steps) ~= "table" or #steps == 0 then
        args.fail('%s: expected a list of steps to choose among, as in {"%s", %s{{"blur"}, {"sharpness"}}}, got %s',
            where, name, name == "some_of" and "2, steps = " or "", args.describe(steps))
    elseif inside then
        args.fail("%s: it chooses among steps that are chosen among; say all in one list", where)
    elseif row[4] > #steps then
        args.fail("%s.n: expected up to %d, the number of its steps, got %d", where, #steps, row[4])
    end
    row[5] = #steps
    for k, member in ipairs(steps) do read_step(where, member, k, rows, lines, true) end
end

-- As LX_STYLE_LEVELS of csrc/data/pipeline.h.
local STYLE_LEVELS <const> = 256

--- Adds the quantiles of the levels of an image to a list: those that shares (i - 1/2) / 256 of its pixels are below,
--- with half of the pixels of a level counting as below it.
---@param image luxel.Tensor [C,H,W], uint8, or float32 on the scale 0..255
---@param out number[]
function pipeline.add_style(image, out)
    local counts, total = core.histogram(image, 255.0, STYLE_LEVELS), 0
    for _, count in ipairs(counts) do total = total + count end
    local next_level, below = 0, 0
    local level, share, last_level, last_share = nil, -1, 0, -1
    for i = 1, STYLE_LEVELS do
        local wanted = (i - 0.5) / STYLE_LEVELS * total
        while share < wanted and next_level < STYLE_LEVELS do
            local count = counts[next_level + 1]
            if count > 0 then
                last_level, last_share = level or next_level, level and share or -1
                level, share = next_level, below + count / 2
                below = below + count
            end
            next_level = next_level + 1
        end
        local inside = share > wanted and last_share >= 0
        out[#out + 1] = inside and last_level + (level - last_level) * (wanted - last_share) / (share - last_share)
            or level
    end
end

-- The levels of the images whose style others may take: a list of images, or of what `add_style` made.
local function read_styles(where, styles)
    if type(styles[1]) == "number" then return styles end
    local out = {}
    args.check(where .. ": styles", "sample[]", styles)
    if #styles == 0 or #styles > 4096 then
        args.fail("%s: styles: expected 1 to 4096 images, got %d", where, #styles)
    end
    for _, image in ipairs(styles) do pipeline.add_style(image, out) end
    return out
end

-- The options that are not steps.
local function read_options(where, given)
    args.check(where .. ": size", "pair(0..16384)?", given.size)
    args.check(where .. ": fit", '"stretch"|"pad"|"crop"?', given.fit)
    args.check(where .. ": fill", 'number(0..255)|"replicate"|"reflect"|"reflect101"|"wrap"?', given.fill)
    local size = given.size or 0
    local height, width = size, size
    if type(size) == "table" then height, width = size[1], size[2] end
    local fit, fill = given.fit or "stretch", given.fill == nil and "replicate" or given.fill
    local border = type(fill) == "number" and "constant" or fill
    return {
        height = height, width = width, fit = FITS[fit], border = BORDERS[border],
        fill = type(fill) == "number" and fill or 0, styles = given.styles and read_styles(where, given.styles),
    }, fit, fill
end

local OPTIONS <const> = {size = true, fit = true, fill = true, styles = true}

---@class luxel.Pipeline
---@field steps table[] as they were given
---@field size integer|integer[]|nil side, or {height, width}, of what comes out
---@field private wants_styles boolean
local Pipeline = namespace.class("Pipeline", {}, {"size"})

args.type("pipeline", "a pipeline", "table", function(value) return getmetatable(value) == Pipeline end)

local function build(where, given)
    if getmetatable(given) == Pipeline then return given end
    local rows, lines, elastic = {}, {}, 0
    for key in next, given do
        if math.type(key) ~= "integer" and not OPTIONS[key] then
            local names = sorted_keys(OPTIONS)
            args.fail("%s: unknown option '%s'%s; besides steps it takes %s", where, tostring(key),
                near.suggestion(key, names), table.concat(names, ", "))
        elseif math.type(key) == "integer" and (key < 1 or key > #given) then
            args.fail("%s: expected a list of steps, without gaps, got one at place %d of %d", where, key, #given)
        end
    end
    for i = 1, #given do read_step(where, given[i], i, rows, lines) end
    local styled = false
    for _, row in ipairs(rows) do
        elastic = elastic + (row[1] == "elastic" and 1 or 0)
        styled = styled or row[1] == "style"
    end
    if elastic > 1 then args.fail("%s: there can be one elastic step, not %d", where, elastic) end
    if #rows > 32 then args.fail("%s: there can be 32 steps, not %d", where, #rows) end
    local settings, fit, fill = read_options(where, given)
    lines[#lines + 1] = ("  to %s, fit %s, fill %s"):format(settings.height == 0 and "the image's own size"
        or ("%dx%d"):format(settings.height, settings.width), fit, fill)
    return setmetatable({
        steps = given, size = given.size, lines = lines, ready = core.pipeline(rows, settings),
        wants_styles = styled and not given.styles,
    }, Pipeline)
end

--- A pipeline of the given steps, checked. Each step is {name, options}; `p` is how often it is done (1 unless said
--- otherwise). Ranges are {low, high}, or a number r for "up to r either way".
---
--- Movement: `hflip`, `vflip` (p 0.5), `rot90`, `rotate` (degrees, counter-clockwise), `shift` (x, y: shares of the
--- side), `shear` (x, y: degrees), `zoom` (factor, aspect), `perspective` (distortion), `random_resized_crop` (area,
--- ratio), `centre_crop` (share), `elastic` (shift: share of the side, cells), `resize` (marks the place of the warp).
--- Levels: `brightness`, `contrast`, `sharpness` (factor), `offset` (grey levels of 255 that are added), `gamma`
--- (exponent), `tone` (a random monotone curve of levels, strength 0 to 1), `noise` (sigma in grey levels of 255),
--- `blur` (sigma in pixels), `equalize`, `clahe` (clip, tiles), `autocontrast` (cutoff share), `invert`, `solarize`
--- (threshold), `posterize` (bits), `median` (size), `jpeg` (quality 1 to 100: what JPEG loses, as a grey image),
--- `random_erasing` (area, ratio, value; -1: noise, -2: the mean; p 0.5), `resolution` (share of the pixels of a side
--- that a coarser detector has), `marker` (a letter or number near a corner; size: its height as a share of the
--- picture's, level; -1: mostly bright, at times dark; p 0.5), `style` (strength 0 to 1: the levels go this share of
--- the way to those of another image, by histogram matching; of the dataset in `lx.data.batches`, or of `styles`),
--- `border` (share of each side that is covered, level; -1: a random one, -2: the mean; p 0.5). Choices: `one_of` (of a
--- list of steps, as in {"one_of", {{"blur"}, {"jpeg"}}}), `some_of` (n, or {low, high}; steps: the list), each in the
--- list's order and with its own p, `rand_augment` (n, m of 30; Cubuk et al. 2020, without colours; with n = 1 and m =
--- {0, 30} it is TrivialAugment).
---@param steps table[] with the options size = side or {height, width}, fit = "stretch" | "pad" | "crop" (where the
---  sides are not in the same proportion), fill = "replicate" | "reflect" | "reflect101" | "wrap" | grey level,
---  styles = list of images for the step `style`
---@return luxel.Pipeline
pipeline.pipeline = args.public("pipeline", "steps: table", function(steps) return build("pipeline: steps", steps) end)

--- The list of steps of a pipeline, or the list itself.
---@param steps luxel.Pipeline|table[]
---@return table[]
function pipeline.steps_of(steps) return getmetatable(steps) == Pipeline and steps.steps or steps end

--- Raises unless the steps are those of a pipeline.
---@param where string "function: argument"
---@param steps luxel.Pipeline|table[]
function pipeline.check(where, steps) build(where, steps) end

--- Raises unless the steps could come before others: they have no options beside them.
---@param where string "function: argument"
---@param steps luxel.Pipeline|table[]
function pipeline.check_first(where, steps)
    if build(where, steps).wants_styles then
        args.fail("%s: the step 'style' takes the levels of a random image; it is for 'augment'", where)
    end
    for key in next, pipeline.steps_of(steps) do
        if OPTIONS[key] then args.fail("%s: these steps come before others, which say the %s", where, key) end
    end
end

--- A pipeline of the same steps that gives images of this size; for `lx.data.batches`.
---@param where string "function: argument"
---@param steps luxel.Pipeline|table[]
---@param size integer
---@param styles number[]? what `add_style` made of images, for steps that do not bring theirs
---@return userdata ready for C
function pipeline.sized(where, steps, size, styles)
    local copy = {}
    for key, value in next, pipeline.steps_of(steps) do copy[key] = value end
    copy.size, copy.styles = size, copy.styles or styles
    return build(where, copy).ready
end

--- Whether steps take the levels of other images, and say none.
---@param steps luxel.Pipeline|table[]
---@return boolean
function pipeline.wants_styles(steps) return build("pipeline: steps", steps).wants_styles end

--- Steps as tables that JSON can hold: {step = name, option = value, ...}.
---@param steps luxel.Pipeline|table[]
---@return table[]
function pipeline.portable(steps)
    local out = {}
    for i, step in ipairs(pipeline.steps_of(steps)) do
        local copy = {step = type(step) == "string" and step or step[1] or step.step}
        local members = members_key(copy.step, KINDS[copy.step])
        for key, value in pairs(type(step) == "table" and step or {}) do
            if members and (key == members or key == "steps") then
                copy.steps = pipeline.portable(value)
            elseif key == 2 then
                copy[KINDS[copy.step][1][1]] = value
            elseif key ~= 1 then
                copy[key] = value
            end
        end
        out[i] = copy
    end
    return out
end

--- The side of the square that a pipeline or list of steps gives, if it says one.
---@param steps luxel.Pipeline|table
---@return integer?
function pipeline.size_of(steps)
    local size = type(steps) == "table" and steps.size
    return type(size) == "number" and size or nil
end

local APPLY <const> = {seed = 1, epoch = 1, index = 1}

--- Boxes where a passage takes them, in pixels of the image that comes out; without those that leave it. What else a
--- box has, such as its class, stays with it.
---@param ready userdata of `pipeline.sized`
---@param height integer of the image that goes in
---@param width integer
---@param boxes {x: number, y: number, w: number, h: number}[] in pixels from the top left
---@param seed integer
---@param epoch integer
---@param index integer
---@return {x: number, y: number, w: number, h: number}[]
function pipeline.move_boxes(ready, height, width, boxes, seed, epoch, index)
    local seen = {}
    for i, box in ipairs(ready:boxes(height, width, boxes, seed, epoch, index)) do
        if box.w > 0 then
            for key, value in pairs(boxes[i]) do
                if box[key] == nil then box[key] = value end
            end
            seen[#seen + 1] = box
        end
    end
    return seen
end

-- As warp_mask of csrc/data/pipeline.c: whole numbers of pixels leave a mask of another size a little beside.
local function check_mask(mask, image)
    local of_mask, of_image = mask.shape, image.shape
    local height, width = of_mask[#of_mask - 1], of_mask[#of_mask]
    if math.abs(width * of_image[2] - of_image[3] * height) > width + height then
        args.fail("Pipeline: options: option 'mask': it has %d x %d pixels, its image %d x %d: not in the same "
            .. "proportion", height, width, of_image[2], of_image[3])
    end
end

--- Takes an image through the steps, its mask and boxes with it: `aug(image, {seed = 1, epoch = 1, index = 1})`.
---@param image luxel.Tensor [C,H,W], uint8, or float32 on the scale 0..255
---@param options? {seed: integer?, epoch: integer?, index: integer?, mask: luxel.Tensor?, boxes: table[]?} mask: uint8
---  [1,H,W] of any size in the image's proportion; boxes: {x =, y =, w =, h =} in pixels of the image
---@return luxel.Tensor image
---@return luxel.Tensor? mask
---@return {x: number, y: number, w: number, h: number}[] boxes without those that left the image
function Pipeline:__call(image, options)
    local opts = args.with_defaults(options, APPLY)
    if self.wants_styles then
        args.fail("Pipeline: the step 'style' takes the levels of other images: say which, as in styles = {image, ...} "
            .. "among the steps; lx.data.batches takes those of its dataset")
    end
    if opts.mask then check_mask(opts.mask, image) end
    local out, mask = self.ready:run(image, opts.mask, opts.seed, opts.epoch, opts.index)
    local shape = image.shape
    return out, mask, pipeline.move_boxes(self.ready, shape[2], shape[3], opts.boxes or {}, opts.seed, opts.epoch,
        opts.index)
end

--- The numbers that a passage draws, in words.
---@param options? {seed: integer?, epoch: integer?, index: integer?}
---@return string
function Pipeline:describe(options)
    local opts = args.with_defaults(options, APPLY)
    return self.ready:describe(opts.seed, opts.epoch, opts.index)
end

function Pipeline:__tostring() return "Pipeline\n" .. table.concat(self.lines, "\n") end

--- Draws a contact sheet: the image, and what the pipeline makes of it in n passages, with what each of them drew.
---@param image luxel.Tensor [1,H,W] or [3,H,W]
---@param path string PNG
---@param options? {n: integer?, seed: integer?, side: integer?} 15 passages, seed 1, thumbnails of 192 pixels
---@return boolean? ok, string? message, string? code
function Pipeline:preview(image, path, options)
    return require("luxel.vision.sheet")(self, image, path,
        args.with_defaults(options, {n = 15, seed = 1, side = 192}))
end

args.publish("Pipeline:", Pipeline, {
    describe = "pipeline: pipeline, options: {seed: integer?, epoch: integer?, index: integer?}?",
    preview = "pipeline: pipeline, image: sample, path: path, options: {n: integer(1..1000)?, seed: integer?, "
        .. "side: integer(8..2048)?}?",
})
Pipeline.__call = args.public("Pipeline", "pipeline: pipeline, image: sample, options: {seed: integer?, "
    .. "epoch: integer?, index: integer?, mask: mask?, boxes: boxes?}?", Pipeline.__call)

return pipeline
