--- Groups of a network's parameters that learn at different rates.

local args = require "luxel.args"
local patterns = require "luxel.nn.patterns"

-- Modules of modules that come one after the other.
local CHAINS <const> = {Sequential = true, ModuleList = true}

-- The layers of a network from the first to the last, each a list of parameters: its modules one by one, those of
-- chains inside in their place; a normalisation belongs to the layer before it.
local function layers_of(net)
    local layers = {}
    local function add(list, to_last)
        if #list == 0 then return end
        if to_last and #layers > 0 then
            table.move(list, 1, #list, #layers[#layers] + 1, layers[#layers])
        else
            layers[#layers + 1] = list
        end
    end
    local function own_parameters(module)
        local list, below = {}, {}
        for _, child in module:named_children() do
            for _, parameter in ipairs(child:parameters()) do below[parameter] = true end
        end
        for _, parameter in ipairs(module:parameters()) do
            if not below[parameter] then list[#list + 1] = parameter end
        end
        return list
    end
    local function descend(module)
        add(own_parameters(module))
        for _, child in module:named_children() do
            if CHAINS[child.class_name] then
                descend(child)
            else
                add(child:parameters(), child.class_name:find("Norm") ~= nil)
            end
        end
    end
    descend(net)
    return layers
end

--- Groups for an optimiser, so that the first layers, which pretrained networks have for all kinds of images, learn
--- more slowly than the last: `lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 1e-3, decay = 0.8}))`. With `decay`
--- the last layer learns at `lr`, the one before at `lr * decay`, and so on (Howard and Ruder 2018, "Universal language
--- model fine-tuning for text classification", section 3.2). A layer is a module of the network, those of a Sequential
--- or ModuleList each for themselves, in the order in which they were added; a normalisation belongs to the layer
--- before it. Frozen parameters are in the groups too, so that they can be unfrozen later.
---@param net Module
---@param options {lr: number, decay: number?, rules: table[]?} decay: above 0, at most 1, the default; rules: each
---  {pattern, lr = ..., weight_decay = ...}: what the pattern (as of `Module:freeze`) fits gets these options instead,
---  the later rule counts
---@return table[] groups {params =, lr =, ...}, that of the last layer first; a parameter in several layers is in the
---  first of them
local function parameter_groups(net, options)
    local names, name_of = {}, {}
    for name, parameter in net:named_parameters() do names[#names + 1], name_of[parameter] = name, name end
    local rule_of = {}
    for i, rule in ipairs(options.rules or {}) do
        local where = ("parameter_groups: options: option 'rules': %d"):format(i)
        args.check(where .. ": pattern", "text|text[]", rule[1])
        for name in pairs(patterns.choose(where, names, rule[1], "parameter")) do rule_of[name] = i end
    end
    local groups, by_rule, seen = {}, {}, {}
    local layers, ruled = layers_of(net), {}
    for i, layer in ipairs(layers) do
        local group = {params = {}, lr = options.lr * (options.decay or 1) ^ (#layers - i)}
        for _, parameter in ipairs(layer) do
            local rule = rule_of[name_of[parameter]]
            if not seen[parameter] and not rule then group.params[#group.params + 1] = parameter end
            if not seen[parameter] and rule then
                by_rule[rule] = by_rule[rule] or {}
                table.insert(by_rule[rule], parameter)
            end
            seen[parameter] = true
        end
        if #group.params > 0 then table.insert(groups, 1, group) end
    end
    for i, rule in ipairs(options.rules or {}) do
        if by_rule[i] then
            local group = {params = by_rule[i], lr = options.lr}
            for key, value in pairs(rule) do
                if key ~= 1 then group[key] = value end
            end
            ruled[#ruled + 1] = group
        end
    end
    if not options.decay or options.decay == 1 then -- all at one rate
        local all = {params = {}, lr = options.lr}
        for i = #groups, 1, -1 do table.move(groups[i].params, 1, #groups[i].params, #all.params + 1, all.params) end
        groups = #all.params > 0 and {all} or {}
    end
    return table.move(ruled, 1, #ruled, #groups + 1, groups)
end

args.type("share_of_rate", "a number above 0, at most 1", "number", function(value) return value > 0 and value <= 1 end)

return args.public("parameter_groups", "net: module, options: {lr: finite(0..), decay: share_of_rate?, "
    .. "rules: table[]?}", parameter_groups)
