--- What a network sees of images at several resolutions: the maps at the ends of some of its stages, computed as in use
--- and without gradients, and brought to one grid.

local args = require "luxel.args"
local lx = require "luxel"

local nn, F = lx.nn, lx.nn.functional

local stages = {}

-- The maps of some stages of a network; those behind the last one wanted are not computed.
local Maps = nn.class("Maps")

function Maps:init(net, chosen)
    self.net = net
    self.wanted, self.last = {}, 0
    for _, k in ipairs(chosen) do self.wanted[k], self.last = true, math.max(self.last, k) end
end

function Maps:forward(x)
    local out = {}
    for k, modules in ipairs(self.net:stages()) do
        x = nn.chain(x, table.unpack(modules))
        if self.wanted[k] then out[#out + 1] = x end
        if k == self.last then break end
    end
    return table.unpack(out)
end

--- Whether a network has stages with maps at their ends, as classifiers of `lx.models` do.
---@param net any
---@return boolean
function stages.has(net)
    local ok, found = pcall(function() return net.stages and net.map_channels and net.check_images end)
    return ok and type(found) == "function"
end

--- The stages that a method looks at where nobody says it: of a network with five, the ones of these numbers, and of
--- others those as far from the end.
---@param net Module
---@param of_five integer[]
---@return integer[]
function stages.usual(net, of_five)
    local count, out = #net.map_channels, {}
    for _, k in ipairs(of_five) do
        local own = k + count - 5
        if own >= 1 then out[#out + 1] = own end
    end
    return #out > 0 and out or {count}
end

--- Raises unless the stages are some of the network's, ascending.
---@param caller string
---@param net Module
---@param chosen integer[]
function stages.check(caller, net, chosen)
    local before = 0
    for _, k in ipairs(chosen) do
        if k <= before or k > #net.map_channels then
            args.fail("%s: options: option 'stages': expected ascending numbers of the network's %d stages, got %s",
                caller, #net.map_channels, table.concat(chosen, ", "))
        end
        before = k
    end
    if before == 0 then args.fail("%s: options: option 'stages': name at least one", caller) end
end

--- How many channels the maps of some stages have together.
---@param net Module
---@param chosen integer[]
---@return integer
function stages.channels(net, chosen)
    local sum = 0
    for _, k in ipairs(chosen) do sum = sum + net.map_channels[k] end
    return sum
end

--- A module that gives the maps of some stages, [N,C,h,w] each.
---@param net Module
---@param chosen integer[]
---@return Module
function stages.view(net, chosen) return Maps(net, chosen) end

--- A function from images as the network gets them to the maps of some of its stages.
---@param net Module
---@param chosen integer[]
---@return fun(x: Tensor): Tensor[] maps [N,C,h,w] of each stage
function stages.eye(net, chosen)
    net:eval()
    local view = nn.fuse(Maps(net, chosen))
    view:eval()
    return function(x)
        net:check_images(x)
        return lx.no_grad(function() return {view(x)} end)
    end
end

--- Maps of several resolutions on one grid: finer ones are averaged, coarser ones enlarged bilinearly.
---@param maps Tensor[] [N,C,h,w] each
---@param grid integer
---@return Tensor [N,sum of C,grid,grid]
function stages.on_grid(maps, grid)
    local parts = {}
    for i, map in ipairs(maps) do
        local side = map.shape[3]
        if side > grid then map = F.adaptive_avg_pool2d(map, grid)
        elseif side < grid then map = F.interpolate(map, {size = grid, mode = "bilinear"}) end
        parts[i] = map
    end
    return #parts == 1 and parts[1] or lx.cat(parts, 2)
end

--- The mean of the largest values of each image, a share of all; with a share of 0 the largest one.
---@param values Tensor [N,P]
---@param share number 0..1
---@return Tensor [N]
function stages.top(values, share)
    local count = math.max(1, math.floor(share * values.shape[2] + 0.5))
    if count == values.shape[2] then return values:mean(2) end
    return (values:topk(count, 2)):mean(2)
end

return stages
