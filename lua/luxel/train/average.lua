--- The exponential moving average of a network's weights, which often is a better network than the last step's (Polyak
--- and Juditsky, SIAM Journal on Control and Optimization 30:838, 1992).

local core = require "luxel.core"
local lx = require "luxel"
local memory = require "luxel.memory"

---@class luxel.Average
---@field decay number
---@field updates integer
---@field private parameters Tensor[]
---@field private shadow Tensor[]
local Average = {}
Average.__index = Average

local function copies(parameters)
    local out = {}
    for i, parameter in ipairs(parameters) do out[i] = memory.keep(lx.no_grad(
        function() return parameter:detach():clone() end)) end
    return out
end

--- Takes in the weights after a step. The first steps weigh more, so that the start is forgotten soon.
function Average:update()
    self.updates = self.updates + 1
    local decay = math.min(self.decay, (1 + self.updates) / (10 + self.updates))
    lx.no_grad(function()
        for i, parameter in ipairs(self.parameters) do
            self.shadow[i]:mul_(decay):add_(parameter:detach() * (1 - decay))
        end
    end)
end

--- Calls `f` while the network has the averaged weights.
function Average:within(f)
    local own = copies(self.parameters)
    local function put(values)
        lx.no_grad(function()
            for i, parameter in ipairs(self.parameters) do core.copy_(parameter, values[i]) end
        end)
    end
    put(self.shadow)
    local results = table.pack(pcall(f))
    put(own)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
end

--- Gives the network the averaged weights.
function Average:keep()
    lx.no_grad(function()
        for i, parameter in ipairs(self.parameters) do core.copy_(parameter, self.shadow[i]) end
    end)
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

--- The average of a network's weights, which begins with them as they are.
---@param net Module
---@param decay number
---@return luxel.Average
return function(net, decay)
    local parameters = net:parameters()
    return setmetatable({decay = decay, updates = 0, parameters = parameters, shadow = copies(parameters)}, Average)
end
