--- Batches: shuffled, augmented, normalised. Order and augmentation of an image depend on (seed, epoch, image) alone.

local core = require "luxel.core"
local options = require "luxel.data.options"
local random = require "luxel.random"

local AUGMENT <const> = {flip = true, rotate = 10, shift = 0.1, zoom = 0.1}
local DEFAULTS <const> = {
    batch = 32, shuffle = true, seed = 1, epoch = 1, augment = false, drop_last = false, mean = 0, std = 1, skip = 0,
    device = options.UNSET,
}

-- The six numbers [a b tx; c d ty] that map a point of the output to the point of the input which is shown there. The
-- picture spans -1..1 both ways, x to the right and y down, as in PyTorch's affine_grid without align_corners.
local function random_matrix(stream, augment)
    local angle = math.rad(stream:uniform(-augment.rotate, augment.rotate))
    local scale = 1 / (1 + stream:uniform(-augment.zoom, augment.zoom))
    -- A shift is a share of the width, and the width is 2.
    local tx, ty = 2 * stream:uniform(-augment.shift, augment.shift), 2 * stream:uniform(-augment.shift, augment.shift)
    local mirror = stream:uniform(0, 1) < 0.5 and augment.flip and -1 or 1
    local cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return {mirror * cos, -sin, tx, mirror * sin, cos, ty}
end

local IDENTITY <const> = {1, 0, 0, 0, 1, 0}

local function check(opts)
    options.check_number("batches", "batch", opts.batch, 1, 65536, true, 4)
    if type(opts.mean) ~= "number" or type(opts.std) ~= "number" or opts.std <= 0 then
        error("batches: mean and std expect numbers, std a positive one", 3)
    end
    if opts.augment then
        opts.augment = options.read("batches: augment", opts.augment ~= true and opts.augment or nil,
            opts.augment == true and AUGMENT or {flip = false, rotate = 0, shift = 0, zoom = 0}, 4)
        options.check_number("batches", "augment.rotate", opts.augment.rotate, 0, 180, false, 4)
        options.check_number("batches", "augment.shift", opts.augment.shift, 0, 1, false, 4)
        options.check_number("batches", "augment.zoom", opts.augment.zoom, 0, 0.9, false, 4)
    end
end

local function visiting_order(n, opts)
    if opts.shuffle then
        return random.stream(opts.seed, opts.epoch):permutation(n)
    end
    local order = {}
    for i = 1, n do
        order[i] = i
    end
    return order
end

-- The images at `indices`, seen through `matrices`, on the device. Bytes are sent to a device, a quarter of what the
-- floats would be, and become floats there.
local function assemble(images, indices, matrices, scale, bias, device)
    local sent
    if images.device == "cpu" and device ~= "cpu" then
        local picked <close> = core.index_select(images, 1, indices)
        local places = {}
        for i = 1, picked.shape[1] do places[i] = i end
        sent, indices = core.to_device(picked, device), core.from_table(places, "int32")
    end
    local x = core.augment_batch(sent or images, indices, core.from_table(matrices, "float32"), scale, bias)
    if sent then sent:free() end
    return x:to(device)
end

--- Iterates over one epoch: `for x, y, indices in batches(dataset, {batch = 32, epoch = epoch}) do`.
--
-- x is float32 [B,1,S,S], (byte / 255 - mean) / std; y is float32 [B,1]; indices is int32 [B] on the cpu, the places
-- in the dataset. The same options give the same batches on every device, but for rounding. The last batch is smaller
-- where the images do not divide, or left out with `drop_last`.
-- `augment = true` stands for {flip = true, rotate = 10, shift = 0.1, zoom = 0.1}: mirrored every other time, turned by
-- up to so many degrees, moved by up to that share of the width, scaled by 1 - zoom to 1 + zoom; in a table of one's
-- own what is not named is off. Note that mirroring moves the heart to the right.
---@param dataset luxel.Dataset
---@param opts? table batch = 32, shuffle = true, seed = 1, epoch = 1, augment = false, drop_last = false, mean = 0,
---  std = 1, skip = 0 (batches to leave out, to go on within an epoch), device = NAME (else where the dataset is)
---@return fun(): luxel.Tensor?, luxel.Tensor?, luxel.Tensor?
return function(dataset, opts)
    opts = options.read("batches", opts, DEFAULTS)
    check(opts)
    local order, labels = visiting_order(#dataset, opts), core.to_table(dataset.labels)
    local scale, bias = 1 / (255 * opts.std), -opts.mean / opts.std
    local device = opts.device and core.label(opts.device) or dataset.images.device
    local done = math.min(opts.skip * opts.batch, #order)
    return function()
        local n = math.min(opts.batch, #order - done)
        if n == 0 or opts.drop_last and n < opts.batch then
            return nil
        end
        local indices, targets, matrices = {}, {}, {}
        for i = 1, n do
            local index = order[done + i]
            indices[i], targets[i] = index, {labels[index]}
            matrices[i] = opts.augment and random_matrix(random.stream(opts.seed, opts.epoch, index), opts.augment)
                or IDENTITY
        end
        done = done + n
        indices = core.from_table(indices, "int32")
        local x = assemble(dataset.images, indices, matrices, scale, bias, device)
        return x, core.from_table(targets, "float32", device), indices
    end
end
