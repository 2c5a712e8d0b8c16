--- Devices: which there are, opening one, its memory, and waiting for it.

local args = require "luxel.args"
local core = require "luxel.core"
local format = require "luxel.format"
local namespace = require "luxel.namespace"
local result_type = require "luxel.result"
local types = require "luxel.types"

local devices = {}

---@class luxel.Device what a driver says of a device; of `cpu` there is no platform, driver or version
---@field label string "cpu", "opencl:1": what `device` options and `:to` take, and `t.device` gives back
---@field kind string "cpu", "opencl"
---@field name string
---@field type "cpu"|"gpu"|"accelerator"
---@field platform string?
---@field driver string?
---@field version string?
---@field memory integer? bytes that it has
---@field largest integer? bytes that one tensor may have
---@field local_memory integer? bytes that the work-items of a group share
---@field units integer that compute at once: threads, or what the driver calls compute units
---@field lanes integer floats in a vector
---@field fp16 boolean computes with half floats
---@field shares_memory boolean uses the host's memory

---@class luxel.Devices: {[integer]: luxel.Device} print it to see it
---@field why string? why there are no more of them
local Devices = namespace.class("Devices", {}, {"why"})

local Device = namespace.class("Device", {}, {"platform", "driver", "version", "memory", "largest", "local_memory",
    "units", "lanes", "fp16", "shares_memory", "type", "threads", "form"})

local function size_text(bytes)
    if not bytes then return "" end
    if bytes < 1 << 30 then return ("%.0f MiB"):format(bytes / 1048576) end
    return ("%.1f GiB"):format(bytes / 1073741824)
end

local COLUMNS <const> = {"device", "name", "type", "memory", "largest", "units", "lanes", "fp16", "driver"}
local RIGHT <const> = {[4] = true, [5] = true, [6] = true, [7] = true}

-- A table of devices in lines.
local function lines_of(list)
    local rows = {COLUMNS}
    for i, d in ipairs(list) do
        rows[i + 1] = {
            d.label, d.name, d.type, size_text(d.memory), size_text(d.largest), tostring(d.units), tostring(d.lanes),
            d.fp16 and "yes" or "no", d.driver and ("%s %s"):format(d.platform, d.driver) or "",
        }
    end
    return format.columns(rows, RIGHT)
end

function Device:__tostring() return table.concat(lines_of {self}, "\n") end

function Devices:__tostring()
    local lines = lines_of(self)
    if self.why then lines[#lines + 1] = self.why end
    return table.concat(lines, "\n")
end

-- Why there are no more devices: no OpenCL at all, or no GPU.
local function why_no_more(list, reason)
    if reason then return reason end
    local platforms, seen = {}, {}
    for _, d in ipairs(list) do
        if d.type == "gpu" then return nil end
        if d.kind == "opencl" and not seen[d.platform] then
            seen[d.platform] = true
            platforms[#platforms + 1] = d.platform
        end
    end
    return ("no GPU: OpenCL finds only the platform%s %s; a GPU needs the OpenCL library of its driver, which "
        .. "OCL_ICD_FILENAMES may have to name"):format(#platforms > 1 and "s" or "", table.concat(platforms, ", "))
end

--- All devices that there are, whether in use or not: `cpu` first. `print(lx.devices())` shows them as a table.
---@return luxel.Devices list its `why` says why there are no more
function devices.devices()
    local list, reason = core.devices()
    list.why = why_no_more(list, reason)
    for _, device in ipairs(list) do setmetatable(device, Device) end
    return setmetatable(list, Devices)
end

--- Opens a device, if it is not open yet, and describes it. "auto" is the best GPU, or `cpu` where there is none (on
--- Linux drivers are not even asked where /dev has no GPU); "opencl" the best OpenCL device, "opencl:2" the second of
--- the list; anything else is a part of a name.
---@param name string
---@return luxel.Device? device nil where there is none
---@return string? message, string? code
function devices.device(name)
    local device, message, code = core.device(name)
    if not device then return nil, message, code end
    setmetatable(device, Device)
    if device.kind == "cpu" then return device end -- nobody need ask the drivers
    for _, known in ipairs((core.devices())) do
        if known.label == device.label then
            for key, value in pairs(known) do device[key] = device[key] or value end
        end
    end
    return device
end

local new_memory = result_type("memory", {"live", "cached", "peak", "budget"}, function(self)
    local words = {}
    for i, name in ipairs {"live", "cached", "peak", "budget"} do
        words[i] = self[name] and ("%s %.1f MiB"):format(name, self[name] / 1048576) or "no budget"
    end
    return "memory: " .. table.concat(words, ", ")
end)

--- Bytes in use, kept for reuse, the most ever in use, and how many there may be (nil: what the system has).
---@param device string? default "cpu"
---@return {live: integer, cached: integer, peak: integer, budget: integer?}
function devices.memory(device) return new_memory(core.memory(types.label("memory: device", device or "cpu"))) end

--- Lets a device use so many bytes and no more: beyond them, allocating fails with an error that says so.
---@param device string
---@param bytes integer|nil nil for no limit but the system's
function devices.memory_budget(device, bytes)
    core.set_budget(types.label("memory_budget: device", device), bytes)
end

--- Waits until a device, or every open one, has done all that was asked of it. Devices other than `cpu` compute while
--- Lua goes on; what reads a tensor waits anyway, so this is for measuring time.
---@param device string?
function devices.synchronize(device)
    local labels = device and {types.label("synchronize: device", device)} or core.open_devices()
    for _, label in ipairs(labels) do core.synchronize(label) end
end

local MODES <const> = {exact = true, fast = false}
local mode = "fast"

--- How convolutions are computed: "fast" (the default) also by an algorithm that saves multiplications and rounds more,
--- Winograd's minimal filtering (A. Lavin and S. Gray, 2015), with errors of up to about 5e-6 of the largest result;
--- "exact" always as the sum that defines them, with a tenth of that. Both give the same bits in every run.
---@param new "fast"|"exact"|nil
---@return "fast"|"exact" mode the one in force
function devices.math(new)
    if new then
        mode = new
        core.set_exact(MODES[new])
    end
    return mode
end

--- How many threads the cpu device computes with; sets it if a number is given.
---@param count integer?
---@return integer
function devices.threads(count) return core.threads(count) end

return args.publish("", devices, {
    devices = "", device = "name: string", memory = "device: string?",
    memory_budget = "device: string, bytes: integer(0..)?", synchronize = "device: string?",
    math = 'new: "fast"|"exact"?', threads = "count: integer(1..1024)?",
})
