--- Batches: shuffled or balanced, enhanced and augmented, normalised, made ahead by threads of C. Order and
--- augmentation of an image depend on (seed, epoch, image) alone.

local args = require "luxel.args"
local cells = require "luxel.data.cells"
local core = require "luxel.core"
local mix = require "luxel.data.mix"
local pipeline = require "luxel.vision.pipeline"
local random = require "luxel.random"
local types = require "luxel.types"

-- The steps of `augment = true`.
local AUGMENT <const> = {{"hflip", p = 0.5}, {"rotate", 10}, {"shift", 0.1}, {"zoom", 0.1}}

local DEFAULTS <const> = {
    batch = 32, shuffle = true, balanced = false, seed = 1, augment = false, drop_last = false, mean = 0,
    std = 1, skip = 0, memory = 64 << 20, every = 10,
}

-- Seconds after which a wait for a batch looks up, so that Ctrl-C is noticed.
local PATIENCE <const> = 0.05

-- How often an image comes in an epoch at the most, where small cells are to be drawn as often as large ones.
local MOST_VISITS <const> = 4

-- ---- order ----------------------------------------------------------------------------------------------------

-- The members of a class or cell in random order, again and again: the one whose turn it is.
local function member_of(members, which, turn, rounds, opts)
    local round, place = turn // #members, turn % #members + 1
    if place == 1 then rounds[which] = random.stream(opts.seed, opts.epoch, which, round):permutation(#members) end
    return members[rounds[which][place]]
end

-- Images that classes or cells gave by turns, in random order.
local function mixed(order, opts)
    local out = {}
    for i, from in ipairs(random.stream(opts.seed, opts.epoch):permutation(#order)) do out[i] = order[from] end
    return out
end

-- As many images as there are, the same number of each class: every class is gone through in random order, again and
-- again. Images without a label are left out.
local function balanced_order(labels, opts)
    local classes, names = {}, {}
    if type(labels[1]) == "table" then
        args.fail("batches: options: option 'balanced': an image of this dataset has several labels, and no class "
            .. "of its own")
    end
    for i, label in ipairs(labels) do
        if label == label then
            if not classes[label] then
                classes[label], names[#names + 1] = {}, label
            end
            table.insert(classes[label], i)
        end
    end
    table.sort(names)
    local order, rounds = {}, {}
    for k = 1, #labels do
        local which = (k - 1) % #names + 1
        order[k] = member_of(classes[names[which]], which, (k - 1) // #names, rounds, opts)
    end
    return mixed(order, opts)
end

-- As many images as there are, the same number of each cell of group and class, as far as no image comes too often.
local function order_by_cells(dataset, opts)
    local of_image, names = cells.of("batches: options: option 'balance': groups", dataset, opts.balance.groups)
    local members, sizes, known = {}, {}, 0
    for k = 1, #names do members[k] = {} end
    for i, cell in ipairs(of_image) do
        if cell > 0 then
            table.insert(members[cell], i)
            known = known + 1
        end
    end
    if known == 0 then args.fail("batches: options: option 'balance': no image has a label") end
    for k, list in ipairs(members) do sizes[k] = #list end
    -- where images have no label, the others have to come as often as that takes
    local most = math.max(opts.balance.most or MOST_VISITS, math.ceil(#dataset / known))
    local order, rounds = {}, {}
    for k, quota in ipairs(cells.quotas(sizes, #dataset, most)) do
        for turn = 0, quota - 1 do order[#order + 1] = member_of(members[k], k, turn, rounds, opts) end
    end
    return mixed(order, opts)
end

local function visiting_order(dataset, labels, opts)
    if opts.balance then return order_by_cells(dataset, opts) end
    if opts.balanced then return balanced_order(labels, opts) end
    if opts.shuffle then return random.stream(opts.seed, opts.epoch):permutation(#dataset) end
    local order = {}
    for i = 1, #dataset do order[i] = i end
    return order
end

-- The number that names the random draws of each visit: the image's, and for each time that it comes again another one.
local function draws_of(order, n)
    local draws, seen = {}, {}
    for i, image in ipairs(order) do
        local times = seen[image] or 0
        seen[image], draws[i] = times + 1, image + n * times
    end
    return draws
end

-- The epochs of calls that do not say theirs, by dataset: {epoch =, seeding =}.
local epochs = setmetatable({}, {__mode = "k"})

-- The epoch of a call that does not say it: the next one, where chance has a part in it.
local function next_epoch(dataset, opts)
    if not (opts.shuffle or opts.balanced or opts.balance or opts.augment) then return 1 end
    if opts.skip > 0 then
        args.fail("batches: options: option 'skip': it goes on within an epoch; say which one it is, as in epoch = 1")
    end
    local last = epochs[dataset]
    if not last or last.seeding ~= random.seeding then
        last = {epoch = 0, seeding = random.seeding}
        epochs[dataset] = last
    end
    last.epoch = last.epoch + 1
    return last.epoch
end

-- ---- batches --------------------------------------------------------------------------------------------------

-- The steps of every image: those without chance, and then the augmentation.
local function all_steps(opts)
    local augment = opts.augment == true and AUGMENT or opts.augment or {}
    pipeline.check("batches: options: option 'augment'", augment)
    if not opts.enhance then return augment end
    pipeline.check_first("batches: options: option 'enhance'", opts.enhance)
    local given = pipeline.steps_of(augment)
    local before = pipeline.steps_of(opts.enhance)
    local steps = table.move(before, 1, #before, 1, {})
    table.move(given, 1, #given, #steps + 1, steps)
    for key, value in next, given do
        if type(key) == "string" then steps[key] = value end
    end
    return steps
end

-- How many images the step `style` takes levels from.
local MOST_STYLES <const> = 64

-- The levels of some images of each dataset, after which steps: {enhance =, levels =}.
local known_styles = setmetatable({}, {__mode = "k"})

-- The levels that the step `style` takes: those of random images of the dataset, the same ones in each epoch.
local function styles_of(dataset, enhance)
    local known = known_styles[dataset]
    if known and rawequal(known.enhance, enhance) then return known.levels end
    local levels, enhanced, message = {}, enhance and pipeline.pipeline(enhance), nil
    for k, i in ipairs(random.stream(1):permutation(#dataset)) do
        if k > MOST_STYLES then break end
        local image, problem = dataset:image(i)
        if image then pipeline.add_style(enhanced and enhanced(image) or image, levels) end
        message = message or problem
    end
    if #levels == 0 then
        args.fail("batches: options: option 'augment': the step 'style' finds no image: %s",
            message or "there are none")
    end
    known_styles[dataset] = {enhance = enhance, levels = levels}
    return levels
end

-- The steps that images go through, with the size that comes out, that of a run of batches or the usual one.
local function steps_of(dataset, opts, own)
    local steps = all_steps(opts)
    local size = own or opts.size or pipeline.size_of(steps) or dataset.size
    if not size then
        args.fail("batches: options: the images of this dataset have sizes of their own; say that of batches, as in "
            .. "size = 224")
    end
    local styles = pipeline.wants_styles(steps) and styles_of(dataset, opts.enhance) or nil
    return pipeline.sized("batches: options: option 'augment'", steps, size, styles), size
end

local function image_bytes(channels, size) return channels * size * size * 4 end

-- How many threads read images when nobody says it: none of their own beside a network on the cpu, which has a thread
-- on every core already, and would wait for those that are pushed aside.
local function default_threads(device)
    return device == "cpu" and 0 or math.max(1, math.min(4, core.threads() - 1))
end

local function open_loader(dataset, order, draws, steps, size, opts, device)
    local store, places = dataset:source()
    local masks, mask_places = dataset:mask_source()
    local images, mask_order = {}, masks and {}
    for i, image in ipairs(order) do
        images[i] = places and places[image] or image
        if masks then mask_order[i] = mask_places and mask_places[image] or image end
    end
    local threads = opts.threads or default_threads(device)
    local loader = core.loader(store, masks, steps, {
        height = size, width = size, scale = 1 / (255 * opts.std), bias = -opts.mean / opts.std, seed = opts.seed,
        epoch = opts.epoch, batch = opts.batch, threads = threads,
    }, images, draws, mask_order)
    -- one batch at the network, the others ahead
    local ahead = math.floor(opts.memory / (opts.batch * image_bytes(store:info().channels, size)))
    loader:give(threads == 0 and 1 or math.max(1, math.min(32, ahead)))
    return loader
end

-- The boxes of the images of a batch, where the same passages take them.
local function move_boxes(dataset, indices, draws, first, steps, opts)
    local out = {}
    for i, index in ipairs(indices) do
        local height, width = dataset:extent(index)
        out[i] = pipeline.move_boxes(steps, height, width, dataset.boxes[index] or {}, opts.seed, opts.epoch,
            draws[first + i])
    end
    return out
end

-- The next batch; `idle` is called while it is not ready.
local function wait(loader, idle)
    while true do
        local x, masks = loader:wait(PATIENCE)
        if x then
            loader:give(1)
            return x, masks
        end
        if idle then idle() end
    end
end

-- The masks of a batch as a loss wants them: 1 inside, 0 outside, NaN all over where there is none.
local function mask_targets(labels, indices, masks, device)
    local targets = core.cast(core.binary("ne", core.to_device(masks, device), 0), "float32")
    for i, index in ipairs(indices) do
        if labels[index] ~= labels[index] then core.fill_(core.narrow(targets, 1, i, 1), 0 / 0) end
    end
    return targets
end

-- The objects of a batch as F.region_loss wants them, on the cpu, where that computes: {x, y, w, h, class} each, centre
-- and size as fractions of the image; NaN all over an image of which nothing is known.
local function box_targets(dataset, labels, indices, boxes, size)
    local rows, most = {}, 1
    for i, index in ipairs(indices) do
        local list = {}
        for _, box in ipairs(labels[index] == labels[index] and boxes[i] or {}) do
            if not box.crowd and math.min(box.w, box.h) >= mix.LEAST_SIDE then
                list[#list + 1] = {
                    (box.x + box.w / 2) / size, (box.y + box.h / 2) / size, box.w / size, box.h / size,
                    dataset:class_of(index, box),
                }
            end
        end
        rows[i], most = list, math.max(most, #list)
    end
    for i, index in ipairs(indices) do
        local nothing = labels[index] == labels[index] and 0 or 0 / 0
        for k = #rows[i] + 1, most do rows[i][k] = {nothing, nothing, nothing, nothing, nothing} end
    end
    return core.from_table(rows, "float32")
end

-- The targets of a batch, as losses want them: [B,1] of two classes, [B,K] of several labels, of many classes [B], the
-- numbers from 1, of a segmentation [B,1,S,S], and of a detection [B,T,5].
local function targets_of(dataset, labels, indices, masks, device, boxes, size)
    if dataset.task == "segmentation" then return mask_targets(labels, indices, masks, device) end
    if dataset.task == "detection" then return box_targets(dataset, labels, indices, boxes, size) end
    local targets = {}
    for i, index in ipairs(indices) do
        local label = labels[index]
        if dataset.task == "binary" then
            targets[i] = {label}
        else
            targets[i] = dataset.task == "classes" and label + 1 or label
        end
    end
    return core.from_table(targets, "float32", device)
end

-- Names the draws of sizes, besides those of order.
local SIZES <const> = -1

-- The size of the batches of a run, from 0: the same one wherever the epoch is gone on with.
local function size_of_run(opts, run)
    return opts.sizes[random.stream(opts.seed, opts.epoch, SIZES, run):integer(#opts.sizes)]
end

-- To-be-closed: the loader that is read from, up to which image of the order.
local Run = {}
Run.__index = Run

local function new_run() return setmetatable({last = 0}, Run) end

function Run:open(loader, last)
    self:__close()
    self.loader, self.last = loader, last
end

function Run:__close()
    local loader <close> = self.loader -- luacheck: ignore
    self.loader = nil
end

--- Iterates over one epoch: `for x, y, indices in batches(dataset, {batch = 32, epoch = epoch}) do`.
--
-- x is float32 [B,C,S,S], (grey / 255 - mean) / std; y is float32 [B,1] of two classes (0 and 1), [B,K] of several
-- labels, of many classes [B], numbers from 1 as `F.cross_entropy` wants them, and of a segmentation [B,1,S,S], 1
-- inside the masks; of a detection [B,T,5] on the cpu, {x, y, w, h, class} of each object as `F.region_loss` wants
-- them, without those of which less than 2 pixels of a side are left; NaN where one is missing; indices is int32 [B] on
-- the cpu, the places in the dataset; where the
-- dataset has masks they come fourth, uint8 [B,1,S,S] on the cpu, zeros where an image has none; where it has boxes
-- they come fifth, for each image a list of {x =, y =, w =, h =} in pixels of x, without those that left the image. The
-- same options give the same batches on every device and with any number of threads.
--
-- Without `epoch` the first call on a dataset is its epoch 1, the next one its epoch 2, and so on; `lx.manual_seed`
-- begins with 1 again. Calls in which chance has no part (`shuffle = false`, no `augment`) do not count. A loop that is
-- to go on in another process has to say its epoch.
--
-- The last batch is smaller where the images do not divide, or left out with `drop_last`. A file that cannot be read
-- is an error that names it, at the batch it belongs to.
--
-- `augment` is a pipeline (`lx.vision.pipeline`) or its steps; `true` stands for mirrored every other time, turned by
-- up to 10 degrees, moved by up to a tenth and scaled by up to a tenth. Note that mirroring moves the heart to the
-- right.
--
-- `enhance` are steps without chance that come before it, such as {{"clahe"}}.
--
-- Breaking out of the loop, an error, or Ctrl-C stops the threads.
---@param dataset luxel.Dataset
---@param options? table epoch: default the next one, see above; balanced: each class as often as the others; balance:
---  {groups = the group of each image, most = 4}: each group's images of each class as often as the others, but none
---  more than `most` times; size: S, else the pipeline's, else the dataset's; sizes: instead of it several, of which
---  each run of `every` batches (default 10) has one that is drawn (Redmon and Farhadi 2017); skip: batches to leave
---  out, to go on within an epoch; device: default the cpu; threads: those that read ahead; 0 is for the threads that
---  compute doing it in between, the default on the cpu; memory: bytes of batches that are made ahead; idle: called
---  without arguments now and then while a batch is waited for
---@return fun(): luxel.Tensor?, luxel.Tensor?, luxel.Tensor?, luxel.Tensor?, table[][]?
local function iterate(dataset, options)
    local opts = args.with_defaults(options, DEFAULTS)
    if opts.balance and opts.balanced then
        args.fail("batches: options: option 'balance': its cells are of one class already; leave out 'balanced'")
    end
    if opts.sizes and (opts.size or #opts.sizes == 0) then
        args.fail("batches: options: option 'sizes': %s", opts.size and "one of them takes the place of 'size'; say "
            .. "one of the two" or "there are none")
    end
    opts.epoch = opts.epoch or next_epoch(dataset, opts)
    local labels = core.to_table(dataset.labels)
    local order = visiting_order(dataset, labels, opts)
    local draws = draws_of(order, #dataset)
    local last = opts.drop_last and #order - #order % opts.batch or #order
    local first = math.min(opts.skip * opts.batch, last) + 1
    order, draws = table.move(order, first, last, 1, {}), table.move(draws, first, last, 1, {})
    local device = opts.device and types.label("batches: options: option 'device'", opts.device) or "cpu"
    local done, run = 0, new_run()
    local function begin_run()
        local from, images = opts.skip * opts.batch + done, #order - done
        local own
        if opts.sizes then
            local per_run = opts.every * opts.batch
            own, images = size_of_run(opts, from // per_run), math.min(images, per_run - from % per_run)
        end
        run.steps, run.size = steps_of(dataset, opts, own)
        if images == 0 then return end -- there is nothing, of images that fit all the same
        local last_one = done + images
        run:open(open_loader(dataset, table.move(order, done + 1, last_one, 1, {}), table.move(draws, done + 1,
            last_one, 1, {}), run.steps, run.size, opts, device), last_one)
    end
    begin_run()
    local function next_batch()
        if done == #order then return nil end
        if done == run.last then begin_run() end
        local n = math.min(opts.batch, run.last - done)
        local x, masks = wait(run.loader, opts.idle)
        local indices = table.move(order, done + 1, done + n, 1, {})
        local boxes = dataset.boxes and move_boxes(dataset, indices, draws, done, run.steps, opts)
        done = done + n
        if device ~= "cpu" then
            local here <close> = x
            x = core.to_device(here, device)
        end
        local y = targets_of(dataset, labels, indices, masks, device, boxes, run.size)
        return x, y, core.from_table(indices, "int32"), masks, boxes
    end
    return next_batch, nil, nil, run
end

return args.public("batches", "dataset: dataset, options: {batch: integer(1..65536)?, shuffle: boolean?, "
    .. "balanced: boolean?, balance: {groups: table, most: integer(1..)?}?, seed: integer?, epoch: integer?, "
    .. "enhance: table?, augment: boolean|table?, "
    .. "size: integer(1..4096)?, sizes: integer(1..4096)[]?, every: integer(1..)?, "
    .. "drop_last: boolean?, mean: finite?, std: number(1e-6..1e6)?, skip: integer(0..)?, "
    .. "device: string?, threads: integer(0..64)?, memory: number(0..)?, idle: function?}?", iterate)
