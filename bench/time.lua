--- Luxel's side of the timings: prints one JSON object {case: {seconds, images, gflop, bytes, loops}, peak_mb}.
-- Usage: time.lua DEVICE THREADS WHAT [tune]. WHAT is a function of cases/: train (one training step), step and
-- resnet18 (training step and inference of a network), cnn and resnet_layers (single convolutions of layers.json),
-- memory (operations that move more than they compute), yolov2_tiny, yolov2 and nms (detectors). With tune, the ways to
-- compute each convolution are measured first.

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"

local device, threads, what, tune = arg[1], math.tointeger(arg[2]), arg[3], arg[4] == "tune"
device = assert(lx.device(device)).label
lx.threads(threads)
lx.manual_seed(1)
core.tune(device, tune)

local function median(values)
    table.sort(values)
    return values[#values // 2 + 1]
end

-- Whether what the device holds is memory of this process.
local function uses_own_memory()
    for _, entry in ipairs((lx.devices())) do
        if entry.label == device then return entry.kind == "cpu" or entry.shares_memory end
    end
end

---@class Bench what a case measures with
---@field device string
---@field here string folder of this file
---@field results table<string, table>
local bench = {device = device, here = here, results = {}}

--- The median time of `f` over `count` calls, after some to warm up. Each call ends when the device has done it.
---@param f function
---@param count integer
---@param warm integer? default 2
---@return number seconds
function bench.time(f, count, warm)
    for _ = 1, warm or 2 do f() end
    core.synchronize(device)
    local values = {}
    for i = 1, count do
        local start = core.now()
        f()
        core.synchronize(device)
        values[i] = core.now() - start
    end
    return median(values)
end

--- Notes a case: the median times of `f`, and of the processors that it took, which others that want these change less.
---@param case string
---@param images integer?
---@param f function
---@param count integer
---@param warm integer
function bench.measure(case, images, f, count, warm)
    local processor = {}
    local seconds = bench.time(function()
        local from = os.clock()
        f()
        core.synchronize(device)
        processor[#processor + 1] = os.clock() - from
    end, count, warm)
    bench.results[case] = {
        seconds = seconds, processor = median(table.move(processor, warm + 1, #processor, 1, {})), images = images,
    }
end

--- The most memory in use until now: of this process, as the kernel counts it, or of a device that has its own.
---@return number megabytes
function bench.peak_mb()
    if not uses_own_memory() then
        local memory = lx.memory(device)
        return (memory.live + memory.cached) / 1048576
    end
    for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmHWM:%s+(%d+)")
        if kilobytes then return tonumber(kilobytes) / 1024 end
    end
end

local cases = {}
for _, part in ipairs {"networks", "layers", "memory", "detectors"} do
    for name, run in pairs(require("cases." .. part)) do cases[name] = run end
end
if not cases[what] then error("there are no cases '" .. tostring(what) .. "'", 0) end
cases[what](bench)
bench.results.peak_mb = bench.results.peak_mb or bench.peak_mb()
if tune then core.save_tuning(device) end
print(cjson.encode(bench.results))
