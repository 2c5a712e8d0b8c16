--- The state of a training, into a file and back, so that it can go on exactly.

local core = require "luxel.core"

local parts_of = {}

-- The objects that have the state of a training, besides the numbers that its loop keeps itself.
---@class luxel.TrainingParts
---@field net Module
---@field optimizer Optimizer
---@field scheduler Scheduler?

--- All tensors of a training by name, and its numbers: weights and buffers, the optimiser's and the schedule's state,
--- and where the random numbers are.
---@param parts luxel.TrainingParts
---@return table<string, Tensor> tensors, table training
function parts_of.pack(parts)
    local tensors, optimizer = {}, parts.optimizer:state_dict()
    for name, tensor in pairs(parts.net:state_dict()) do tensors[name] = tensor end
    for name, tensor in pairs(optimizer.tensors) do tensors["optimizer." .. name] = tensor end
    local seed, stream = core.random_state()
    return tensors, {
        kind = optimizer.kind, steps = optimizer.steps, groups = optimizer.groups,
        scheduler = parts.scheduler and parts.scheduler:state_dict() or nil, random = {seed = seed, stream = stream},
    }
end

--- Puts the state from `pack` back; raises where it does not fit, and leaves network, optimiser and schedule as they
--- were.
---@param parts luxel.TrainingParts
function parts_of.unpack_into(parts, tensors, training)
    local weights, own = {}, {}
    for name, tensor in pairs(tensors) do
        local inner = name:match("^optimizer%.(.+)$")
        if inner then own[inner] = tensor else weights[name] = tensor end
    end
    local scheduler, kept, place = parts.scheduler, {}, parts.scheduler and parts.scheduler:state_dict()
    for name, tensor in pairs(parts.net:state_dict()) do kept[name] = tensor:detach():clone() end
    local ok, failure = pcall(function()
        parts.net:load_state_dict(weights)
        if scheduler then scheduler:load_state_dict(training.scheduler) end
        parts.optimizer:load_state_dict {
            kind = training.kind, steps = training.steps, groups = training.groups, tensors = own,
        }
        if scheduler then scheduler:load_state_dict(training.scheduler) end -- its rates, not those of the groups
    end)
    if not ok then
        parts.net:load_state_dict(kept)
        if scheduler then scheduler:load_state_dict(place) end
        error(failure, 0)
    end
    core.manual_seed(training.random.seed)
    core.random_state(training.random.stream)
end

return parts_of
