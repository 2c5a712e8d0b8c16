--- Running a case of spec/cases.lua on a device, with inputs in any memory layout, and comparing with PyTorch's values.

local core = require "luxel.core"
local golden = require "golden"
local lx = require "luxel"

local running = {}

local TOLERANCE <const> = 1e-4

-- ---- the memory layouts an input can come in --------------------------------------------------------------------

function running.as_stored(tensor) return tensor end

--- The same values as a view of a larger tensor: dimensions in reverse order in memory, with gaps between all elements.
function running.strided(tensor)
    local ndim, sizes, order = tensor.ndim, {}, {}
    if ndim == 0 then return tensor end
    for i = 1, ndim do
        sizes[i] = tensor.shape[ndim + 1 - i] + 2
        order[i] = ndim + 1 - i
    end
    sizes[ndim + 1] = 2
    local view = lx.full(sizes, 7, {dtype = tensor.dtype, device = tensor.device}):select(-1, 2)
    for i = 1, ndim do view = view:narrow(i, 2, sizes[i] - 2) end
    view = view:permute(order)
    view:copy_(tensor)
    assert(not view:is_contiguous() or tensor:numel() == 1)
    return view
end

function running.is_image(shape, dtype) return #shape == 4 and dtype == "float32" end

--- Images and kernels in the blocked layout, as a convolution (here with the identity) leaves its results.
function running.blocked(tensor)
    if not running.is_image(tensor.shape, tensor.dtype) then return tensor end
    local channels = tensor.shape[2]
    local identity = lx.eye(channels, {device = tensor.device}):view(channels, channels, 1, 1)
    local result = lx.nn.functional.conv2d(tensor, identity)
    assert(core.is_blocked(result), "a convolution's result is expected in the blocked layout")
    return result
end

-- ---- running a case ---------------------------------------------------------------------------------------------

--- The inputs of a case, those with a gradient as leaves. `numbers`, if given, replaces the values of input `changed`.
function running.inputs_of(wanted, layout, device, changed, numbers)
    local inputs = {}
    for name, input in pairs(wanted.inputs) do
        if name == changed then
            input = {shape = input.shape, dtype = input.dtype, numbers = numbers}
        end
        local tensor = layout(golden.tensor(input):to(device))
        if wanted.grads[name] and not changed then tensor:requires_grad_() end
        inputs[name] = tensor
    end
    return inputs
end

function running.is_recorded(output) return lx.is_tensor(output) and output.requires_grad end

--- Runs forward and backward; returns inputs (with their gradients) and the list of results.
function running.run(case, wanted, layout, device)
    local inputs = running.inputs_of(wanted, layout, device)
    local versions = {}
    for name, input in pairs(inputs) do versions[name] = core.version(input) end
    local outputs = table.pack(case.run(inputs))
    for number = 1, outputs.n do
        if running.is_recorded(outputs[number]) then
            local grad = layout(golden.output_gradient(number, outputs[number].shape):to(device))
            outputs[number]:backward(grad, {retain_graph = true})
        end
    end
    for name, input in pairs(inputs) do
        assert(core.version(input) == versions[name], name .. " counts as written")
    end
    return inputs, outputs
end

--- Nil if the results and gradients are PyTorch's, or what is wrong.
---@param case table a row of spec/cases.lua
---@param wanted table what golden.load gives for it
---@param layout fun(tensor: Tensor): Tensor
---@param device string
---@return string?
function running.disagreement(case, wanted, layout, device)
    local inputs, outputs = running.run(case, wanted, layout, device)
    if #wanted.outputs ~= outputs.n then return ("%d results, expected %d"):format(outputs.n, #wanted.outputs) end
    for number, expected in ipairs(wanted.outputs) do
        local problem = golden.disagreement(outputs[number], expected, TOLERANCE)
        if problem then return ("result %d: %s"):format(number, problem) end
    end
    for name, expected in pairs(wanted.grads) do
        local problem = golden.disagreement(inputs[name].grad, expected, TOLERANCE)
        if problem then return ("gradient of %s: %s"):format(name, problem) end
    end
end

--- Whether a case has inputs that the blocked layout is for.
---@param wanted table
---@return boolean
function running.has_images(wanted)
    for _, input in pairs(wanted.inputs) do
        if running.is_image(input.shape, input.dtype) then return true end
    end
    return false
end

return running
