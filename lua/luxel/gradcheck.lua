--- Gradients against finite differences.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local shapes = require "luxel.shape"

local STEPS <const> = {1 / 256, 1 / 2048} -- the second where the function bends in the first

local function numbers_of(tensor)
    local count = shapes.count(tensor.shape)
    return count == 0 and {} or core.to_table(core.reshape(tensor, {count}))
end

-- The gradient of a result from which backward starts: numbers that differ, the same in every run.
local function weights_for(number, shape)
    local weights = {}
    for i = 1, shapes.count(shape) do weights[i] = ((3 * i * i + 41 * i + 17 * number) % 127 - 63) / 64 end
    return weights
end

local function is_differentiable(value) return core.is_tensor(value) and value.dtype == "float32" end

-- The results weighted and summed, and how much of the sum is rounding.
local function weighted(results)
    local sum, squares = 0, 0
    for number = 1, results.n do
        if is_differentiable(results[number]) then
            local weights = weights_for(number, results[number].shape)
            for i, value in ipairs(numbers_of(results[number])) do
                sum, squares = sum + weights[i] * value, squares + (weights[i] * value) ^ 2
            end
        end
    end
    return sum, 3e-7 * math.sqrt(squares)
end

local function copy_of(tensor)
    return core.copy_(core.new(tensor.shape, tensor.dtype, tensor.device), tensor)
end

-- The slope along element `place` of input `number`, and how much rounding may change it.
local function slope(f, inputs, number, place, step)
    local sums, points, rounding = {}, {}, 0
    for side, sign in ipairs {1, -1} do
        local moved = table.move(inputs, 1, #inputs, 1, {})
        moved[number] = copy_of(inputs[number])
        local element = core.narrow(core.view(moved[number], {-1}), 1, place, 1)
        core.fill_(element, core.item(element) + sign * step)
        points[side] = core.item(element) -- as float32 has it
        sums[side], rounding = weighted(table.pack(autograd.no_grad(f, table.unpack(moved))))
    end
    local width = points[1] - points[2]
    return (sums[1] - sums[2]) / width, rounding / width
end

local function largest(numbers)
    local most = 0
    for _, number in ipairs(numbers) do most = math.max(most, math.abs(number)) end
    return most
end

-- The inputs as leaves that share no memory, with the gradients that backward gives them.
local function differentiate(f, inputs)
    local leaves = {}
    for i, input in ipairs(inputs) do
        leaves[i] = input
        if core.is_tensor(input) then
            leaves[i] = copy_of(input)
            if input.requires_grad then autograd.set_requires_grad(leaves[i], true) end
        end
    end
    local results = table.pack(autograd.enable_grad(f, table.unpack(leaves)))
    for number = 1, results.n do
        local result = results[number]
        if is_differentiable(result) and result.requires_grad then
            local weights = core.from_table(weights_for(number, result.shape), "float32", result.device)
            autograd.backward(result, core.reshape(weights, result.shape), {retain_graph = true})
        end
    end
    return leaves
end

-- Nil if the gradient of an element is what finite differences say, or what is wrong.
local function difference_at(f, inputs, number, place, grad, options)
    local difference
    for _, step in ipairs(options.step and {options.step} or STEPS) do
        local estimate, rounding = slope(f, inputs, number, place, step)
        local allowed = (options.rtol or 2e-2) * math.abs(grad[place]) + (options.atol or 2e-3 * largest(grad) + 1e-6)
            + rounding
        if math.abs(estimate - grad[place]) <= allowed then return nil end
        difference = ("gradcheck: the gradient of input %d at element %d is %.6g, finite differences say %.6g (allowed "
            .. "difference %.2g)"):format(number, place, grad[place], estimate, allowed)
    end
    return difference
end

--- Whether the gradients of a function are what finite differences say, for each input that requires a gradient. The
--- function is called many times with copies of the inputs, has to compute with these copies, and must give the same
--- each time. An input that no gradient reaches is a disagreement.
---
--- A parameter of a module takes part if the function puts the copy in its place:
---
---     local layer = nn.Linear(3, 2)
---     lx.gradcheck(function(x, weight)
---         layer.weight = nn.Parameter(weight)
---         return layer(x)
---     end, {x, layer.weight})
---@param f fun(...): Tensor, ... one or more results
---@param inputs any[] what f is called with
---@param options {step: number?, rtol: number?, atol: number?, elements: integer?}? the step of the differences
--- (default 1/256, then 1/2048), the tolerances, and how many elements of each input are looked at (default 20)
---@return boolean
---@return string? message the first disagreement
local function gradcheck(f, inputs, options)
    options = options or {}
    local checked, leaves = 0, differentiate(f, inputs)
    local plain = {}
    for i, leaf in ipairs(leaves) do plain[i] = core.is_tensor(leaf) and core.detach(leaf) or leaf end
    for number, leaf in ipairs(leaves) do
        if core.is_tensor(leaf) and leaf.requires_grad then
            local count = shapes.count(leaf.shape)
            local grad = leaf.grad and numbers_of(leaf.grad) or weights_for(0, {0})
            for i = #grad + 1, count do grad[i] = 0 end
            local stride = math.max(1, count // (options.elements or 20))
            for place = 1, count, stride do
                local difference = difference_at(f, plain, number, place, grad, options)
                if difference then return false, difference end
            end
            if not leaf.grad then
                return false, ("gradcheck: no gradient reaches input %d; the function has to compute with the copies "
                    .. "that it is called with"):format(number)
            end
            checked = checked + 1
        end
    end
    if checked == 0 then args.fail("gradcheck: inputs: expected at least one tensor that requires a gradient") end
    return true
end

return gradcheck
