--- Freezing parts of a network: what `Module:freeze` and `Module:unfreeze` do.

local patterns = require "luxel.nn.patterns"

local freezing = {}

local WHAT <const> = {
    all = "parameter or buffer", parameters = "parameter", statistics = "running statistics",
}

-- The layers that keep running statistics, by the name of these.
local function statistics_of(net)
    local layers, names = {}, {}
    for prefix, module in net:named_modules() do
        if rawget(module, "_buffers").values.running_mean then
            local name = prefix == "" and "running_mean" or prefix .. ".running_mean"
            layers[name], names[#names + 1] = module, name
        end
    end
    return layers, names
end

--- What the patterns fit. One that fits nothing raises.
---@param net Module
---@param where string public function and argument, for errors
---@param wanted string|string[]
---@param what "all"|"parameters"|"statistics"
---@return {parameters: table<string, Tensor>, layers: Module[]} chosen
function freezing.choose(net, where, wanted, what)
    local layers, of_layers = statistics_of(net)
    local parameters, names = {}, {}
    for name, parameter in net:named_parameters() do
        if what ~= "statistics" then parameters[name], names[#names + 1] = parameter, name end
    end
    if what ~= "parameters" then table.move(of_layers, 1, #of_layers, #names + 1, names) end
    local chosen = {parameters = {}, layers = {}}
    for name in pairs(patterns.choose(where, names, wanted, WHAT[what])) do
        chosen.parameters[name] = parameters[name]
        chosen.layers[#chosen.layers + 1] = layers[name]
    end
    return chosen
end

--- Freezes what was chosen, or lets it learn.
---@param chosen table from `choose`
---@param frozen boolean
function freezing.apply(chosen, frozen)
    for _, parameter in pairs(chosen.parameters) do
        parameter:requires_grad_(not frozen)
        if frozen then parameter.grad = nil end
    end
    for _, layer in ipairs(chosen.layers) do layer.frozen_statistics = frozen end
end

--- What is frozen, in the order of the network.
---@param net Module
---@return string[] parameters names, those of a module that is frozen as a whole by its own name
---@return integer count of numbers in them
function freezing.describe(net)
    local frozen_below, all_below, count = {}, {}, 0
    for name, parameter in net:named_parameters() do
        local frozen = not parameter.requires_grad
        if frozen then count = count + parameter:numel() end
        local part = name
        while part do
            all_below[part] = (all_below[part] or 0) + 1
            frozen_below[part] = (frozen_below[part] or 0) + (frozen and 1 or 0)
            part = part:match("^(.*)%.[^.]*$")
        end
    end
    local list, seen = {}, {}
    for name, parameter in net:named_parameters() do
        if not parameter.requires_grad then
            local widest, part = name, name
            while part do
                if frozen_below[part] == all_below[part] then widest = part end
                part = part:match("^(.*)%.[^.]*$")
            end
            if not seen[widest] then seen[widest], list[#list + 1] = true, widest end
        end
    end
    return list, count
end

--- The layers that normalise by running statistics and leave them as they are.
---@param net Module
---@return string[] names
function freezing.statistics(net)
    local list = {}
    for name, module in net:named_modules() do
        if module.frozen_statistics then list[#list + 1] = name end
    end
    return list
end

return freezing
