--- Averages of a network's weights, which often are a better network than the last step's: the exponential moving
--- average over the steps (Polyak and Juditsky, SIAM Journal on Control and Optimization 30:838, 1992), and the mean
--- over the ends of epochs (stochastic weight averaging, Izmailov et al., UAI 2018).

local batches = require "luxel.data.loader"
local core = require "luxel.core"
local lx = require "luxel"
local memory = require "luxel.memory"

---@class luxel.Average
---@field updates integer
---@field decay number? of the moving average
---@field from integer? the first epoch that counts for the mean
---@field private parameters Tensor[]
---@field private norms Module[] whose statistics belong to the averaged weights
---@field private held Tensor[] what the network has of all that is averaged
---@field private shadow Tensor[] and its averages
local Average = {}
Average.__index = Average

local function copies(tensors)
    local out = {}
    for i, tensor in ipairs(tensors) do out[i] = memory.keep(lx.no_grad(
        function() return tensor:detach():clone() end)) end
    return out
end

local function put(tensors, values)
    lx.no_grad(function()
        for i, tensor in ipairs(tensors) do core.copy_(tensor, values[i]) end
    end)
end

-- Whether there is an average yet.
local function begun(self) return self.decay ~= nil or self.updates > 0 end

--- Takes in the weights after a step. The first steps weigh more, so that the start is forgotten soon.
function Average:after_step()
    if not self.decay then return end
    self.updates = self.updates + 1
    local decay = math.min(self.decay, (1 + self.updates) / (10 + self.updates))
    lx.no_grad(function()
        for i, parameter in ipairs(self.parameters) do
            self.shadow[i]:mul_(decay):add_(parameter:detach() * (1 - decay))
        end
    end)
end

-- So many batches tell the statistics of the averaged weights.
local MOST_BATCHES <const> = 256

-- The statistics of batch normalisation that the network's present weights have, as the plain mean over training
-- batches of the epoch: those that were learnt belong to other weights.
local function find_statistics(self, fit, epoch)
    local was_training, kept = fit.net.training, {}
    fit.net:eval()
    for i, norm in ipairs(self.norms) do
        kept[i] = {momentum = norm.momentum, count = norm.num_batches_tracked:clone()}
        norm.training, norm.momentum = true, false -- one that is frozen learns nothing nevertheless
        norm.num_batches_tracked:fill_(0)
    end
    local ok, problem = pcall(lx.no_grad, function()
        local done = 0
        for x in batches(fit.train, {
            batch = fit.batch, seed = fit.seed, epoch = epoch, enhance = fit.enhance, augment = fit.augment,
            balanced = fit.balanced, balance = fit.balance,
            drop_last = #fit.train > fit.batch, mean = fit.mean, std = fit.std, device = fit.device,
            threads = fit.threads, size = fit.size,
        }) do
            fit.net(x):free()
            x:free()
            done = done + 1
            if done == MOST_BATCHES then break end
        end
    end)
    for i, norm in ipairs(self.norms) do
        norm.momentum = kept[i].momentum
        norm.num_batches_tracked:copy_(kept[i].count)
    end
    fit.net:train(was_training)
    if not ok then error(problem, 0) end
end

--- Takes in the weights at the end of an epoch.
---@param fit table
---@param epoch integer
function Average:after_epoch(fit, epoch)
    if not self.from or epoch < self.from then return end
    self.updates = self.updates + 1
    lx.no_grad(function()
        for i, parameter in ipairs(self.parameters) do
            self.shadow[i]:add_((parameter:detach() - self.shadow[i]) * (1 / self.updates))
        end
    end)
    if #self.norms == 0 then return end
    local function take_statistics()
        for i = #self.parameters + 1, #self.held do core.copy_(self.shadow[i], self.held[i]) end
    end
    take_statistics()
    self:within(function()
        find_statistics(self, fit, epoch)
        take_statistics()
    end)
end

--- Calls `f` while the network has the averaged weights.
function Average:within(f)
    if not begun(self) then return f() end
    local own = copies(self.held)
    put(self.held, self.shadow)
    local results = table.pack(pcall(f))
    put(self.held, own)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
end

--- Gives the network the averaged weights.
function Average:keep()
    if begun(self) then put(self.held, self.shadow) end
end

--- The averages by name, for a file.
function Average:tensors()
    local out = {}
    for i, tensor in ipairs(self.shadow) do out["average." .. i] = tensor end
    return out
end

--- Takes back what `tensors` gave.
function Average:restore(tensors, updates)
    for i, own in ipairs(self.shadow) do
        local stored = tensors["average." .. i]
        if not stored then error(("the averaged weights are missing: average.%d"):format(i), 0) end
        core.copy_(own, stored:to(own.device))
    end
    self.updates = updates
end

-- The layers that have statistics.
local function norms_of(net)
    local norms = {}
    for _, module in net:named_modules() do
        local is_norm = tostring(module.class_name):find("^BatchNorm%dd$")
        if is_norm and module.running_mean and module.num_batches_tracked then norms[#norms + 1] = module end
    end
    return norms
end

--- The average of a network's weights, which begins with them as they are: with `decay` the moving one over the steps,
--- with `from` the mean over the ends of epochs from that one on, whose batch normalisation gets statistics of its own.
---@param net Module
---@param options {decay: number?, from: integer?}
---@return luxel.Average
return function(net, options)
    local parameters, norms = net:parameters(), options.from and norms_of(net) or {}
    local held = table.move(parameters, 1, #parameters, 1, {})
    for _, norm in ipairs(norms) do
        held[#held + 1], held[#held + 2] = norm.running_mean, norm.running_var
    end
    return setmetatable({
        decay = options.decay, from = options.from, updates = 0, parameters = parameters, norms = norms, held = held,
        shadow = copies(held),
    }, Average)
end
