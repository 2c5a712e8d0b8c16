--- Kernels of your own: OpenCL C, launched on tensors.
--
--     local saxpy = lx.opencl.kernel{name = "saxpy", source = [[
--         __kernel void saxpy(__global const float *x, __global float *y, float a)
--         {
--             const size_t i = get_global_id(0);
--             y[i] += a * x[i];
--         }
--     ]]}
--     saxpy({global = {x:numel()}}, x, y, 2.0)
--
-- See docs/kernels.md for what the arguments may be, and examples/own_kernel.lua for a kernel with a gradient.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
local types = require "luxel.types"

local opencl = {}

---@class luxel.opencl.Kernel a kernel, compiled for each device when it is first used there
---@field name string
---@field source string
---@field options string
---@field package handles table<string, userdata> compiled, by device
---@operator call: fun(self: luxel.opencl.Kernel, range: luxel.opencl.Range, ...: luxel.opencl.Argument)
local Kernel = namespace.class("Kernel", {}, {})

args.type("kernel", "a kernel of lx.opencl.kernel", "table", function(value) return getmetatable(value) == Kernel end)
args.type("c_name", "the name of a function in the source", "string", function(value)
    return value:find("^[%a_][%w_]*$") ~= nil
end)
args.type("text", "text without zeros", "string", function(value) return not value:find("\0", 1, true) end)

--- How many work-items run. `group` is left to the driver if absent; else it has to divide `global`.
---@class luxel.opencl.Range
---@field global integer|integer[] along one to three dimensions
---@field group integer|integer[]?

---@alias luxel.opencl.Argument Tensor|number|boolean|number[]|{local_bytes: integer}|table<string, number>

-- The kernel compiled for the device; raises with the compiler's log if it does not build.
local function compiled(kernel, device)
    local handle = kernel.handles[device]
    if not handle then
        handle = core.build_kernel(device, kernel.name, kernel.source, kernel.options)
        kernel.handles[device] = handle
    end
    return handle
end

-- The device of the first tensor among the arguments.
local function device_of(kernel, ...)
    for i = 1, select("#", ...) do
        local argument = select(i, ...)
        if core.is_tensor(argument) then
            local device = argument.device
            if device == "cpu" then
                args.fail("%s: argument %d is on the cpu device, which runs only kernels that were compiled ahead of "
                    .. "time: move the tensors to an OpenCL device with t:to('opencl'), or put the kernel into "
                    .. "kernels/ and rebuild (docs/kernels.md)", kernel.name, i)
            end
            return device
        end
    end
    args.fail("%s: none of the arguments is a tensor; the first tensor says which device runs the kernel", kernel.name)
end

local RANGE <const> = "{global: number|number[], group: number|number[]?}"

--- Launches the kernel on the device of its first tensor and returns at once; reading a tensor waits.
---
--- Every parameter takes a value of its declared type: a pointer a tensor (`float*` and its vectors float32, `uchar*`
--- uint8, `int*` and `uint*` int32, dense and on one device), a scalar a number, a vector a list of numbers, a
--- `__local` pointer `{local_bytes = 1024}`. What a pointer that is not const points to counts as changed in place.
---@param range luxel.opencl.Range
---@param ... luxel.opencl.Argument
function Kernel:__call(range, ...)
    args.check(self.name .. ": range", RANGE, range)
    core.launch_kernel(compiled(self, device_of(self, ...)), autograd.is_grad_enabled(), range, ...)
end

--- Compiles the kernel for a device, if it is not yet, and describes its parameters. A launch does that by itself.
---@param device string? default "opencl"
---@return {name: string?, type: string?, written: boolean?}[] parameters without fields where the driver does not say
function Kernel:build(device)
    local label = types.label("Kernel:build: device", device or "opencl")
    if label == "cpu" then
        args.fail("Kernel:build: device: the cpu device runs only kernels that were compiled ahead of time")
    end
    return core.kernel_parameters(compiled(self, label))
end

function Kernel:__tostring()
    local devices = {}
    for device in pairs(self.handles) do devices[#devices + 1] = device end
    table.sort(devices)
    return ("OpenCL kernel %s (%s)"):format(self.name,
        #devices > 0 and "compiled for " .. table.concat(devices, ", ") or "not compiled yet")
end

--- Makes a kernel from OpenCL C. It is compiled (`-cl-std=CL1.2` unless the options say otherwise) when it is first
--- used on a device; if it does not build, the error has the compiler's log.
---@param definition {name: string, source: string, options: string?} name: of the `__kernel` function in the source;
--- options: of the compiler, such as "-DN=4"
---@return luxel.opencl.Kernel
function opencl.kernel(definition)
    return setmetatable({
        name = definition.name, source = definition.source, options = definition.options or "", handles = {},
    }, Kernel)
end

--- The tensor itself if a kernel can take it as an argument: if its elements lie one after the other and begin where
--- the device can address them. Else a copy.
---@param t Tensor
---@return Tensor
function opencl.dense(t)
    return core.is_addressable(t) and t or t:clone()
end

args.publish("Kernel:", Kernel, {build = "kernel: kernel, device: string?"})

return namespace("lx.opencl", args.publish("opencl.", opencl, {
    kernel = "definition: {name: c_name, source: text, options: text?}", dense = "t: tensor",
}))
