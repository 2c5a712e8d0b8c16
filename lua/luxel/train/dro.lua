--- Group distributionally robust optimisation (Sagawa et al., ICLR 2020): the loss of each group of images counts by a
--- weight, and the weights of groups whose loss is large grow, so that the worst group decides.
--
-- A loss of this library counts targets that are NaN for nothing, so the loss of a group is that of the whole batch
-- with the other images' targets missing; of a group that a batch has nothing of it is 0, and leaves its weight as it
-- is but for the others'.

local args = require "luxel.args"
local cells = require "luxel.data.cells"
local core = require "luxel.core"
local lx = require "luxel"
local memory = require "luxel.memory"

local dro = {}

local STEP <const> = 0.01

-- Each costs a loss in every step.
local MOST_CELLS <const> = 64

---@class luxel.Dro
---@field names string[] of the groups' images of each class
---@field cell integer[] of each training image, 0 where its label is missing
---@field step number of the weights
---@field adjustments Tensor [K] what is added to the losses
---@field weights Tensor [K], of sum 1

--- Takes up the option: `fit.worst`, nil without it. Raises where it does not fit the rest.
---@param fit table
function dro.prepare(fit)
    local options = fit.dro
    if not options then return end
    for _, name in ipairs {"mixup", "cutmix"} do
        if fit[name] then
            args.fail("fit: options: option 'dro': a mixed image is of two groups; leave out '%s'", name)
        end
    end
    if fit.train.task == "detection" then
        args.fail("fit: options: option 'dro': the loss of boxes is none of single images; leave it out")
    end
    if fit.accumulate > 1 then
        args.fail("fit: options: option 'dro': its weights change with every batch; leave out 'accumulate'")
    end
    local cell, names = cells.of("fit: options: option 'dro': groups", fit.train, options.groups)
    if #names > MOST_CELLS then
        args.fail("fit: options: option 'dro': groups: with their classes there are %d, and %d are the most", #names,
            MOST_CELLS)
    end
    local adjustments, weights = {}, {}
    for k = 1, #names do adjustments[k], weights[k] = 0, 1 / #names end
    for _, k in ipairs(cell) do
        if k > 0 then adjustments[k] = adjustments[k] + 1 end
    end
    for k, count in ipairs(adjustments) do adjustments[k] = (options.adjustment or 0) / math.sqrt(count) end
    local function tensor(values) return memory.keep(core.from_table(values, "float32", fit.device)) end
    fit.worst = {
        names = names, cell = cell, step = options.step or STEP, adjustments = tensor(adjustments),
        weights = tensor(weights),
    }
end

--- The cells of the images of a batch.
---@param fit table
---@param indices Tensor int32 [B]
---@return Tensor float32 [B]
function dro.cells(fit, indices)
    local out = {}
    for i, index in ipairs(core.to_table(indices)) do out[i] = fit.worst.cell[index] end
    return core.from_table(out, "float32", fit.device)
end

--- The loss of a batch, and the weights of the groups after it, by which it counts.
---@param fit table
---@param out Tensor what the network gives
---@param y Tensor
---@param cell Tensor [B]
---@param weights Tensor [K] before
---@return Tensor loss, Tensor weights
function dro.loss(fit, out, y, cell, weights)
    local own, losses, shape = fit.worst, {}, y.shape
    local one_each = {shape[1]}
    for i = 2, #shape do one_each[i] = 1 end
    cell = cell:view(one_each)
    for k = 1, #own.names do
        local others = lx.no_grad(function()
            return y:float():masked_fill(cell:ne(k):expand(shape), 0 / 0)
        end)
        losses[k] = args.check("fit: options: option 'loss': its result", "tensor", fit.loss(out, others)):view(1)
    end
    local all = lx.cat(losses, 1)
    local after = lx.no_grad(function()
        local present = all:detach():ne(0):float()
        local grown = weights * ((all:detach() + own.adjustments * present) * own.step):exp()
        return grown / grown:sum()
    end)
    return (all * after):sum(), after
end

--- The weights in words.
---@param fit table
---@return string
function dro.describe(fit)
    local words, weights = {}, core.to_table(fit.worst.weights)
    for k, name in ipairs(fit.worst.names) do words[k] = ("%s %.3f"):format(name, weights[k]) end
    return "weights of groups: " .. table.concat(words, ", ")
end

return dro
