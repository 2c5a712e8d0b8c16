--- Times Luxel beside its peers, turn by turn in the same run, and writes tables of medians, aims and a roofline.
-- Usage: run.lua [--device NAME] [--peers torch,dnnl] [--rounds N] [--what step,cnn] [--tune] [--out FILE.md]
-- Peers: torch (PyTorch on the cpu, tuned), openvino (yolov2_tiny alone), dnnl (oneDNN's direct convolutions), cpu
-- (Luxel's cpu device), before
-- (another checkout of Luxel, built: --before FOLDER), torch-bf16 and torch-compile (PyTorch on the cpu with that),
-- cuda (PyTorch with CUDA, TF32 off), cuda-tf32.

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local capture = require "capture"
local cjson = require "cjson"
local detectors = require "cases.detectors"
local core = require "luxel.core"
local lx = require "luxel"
local report = require "report"
local roofline = require "roofline"
local start = require "start"

local parser = argparse("run.lua", "Times Luxel beside its peers.")
parser:option("--device", "Luxel's device: cpu, opencl, opencl:2, a part of a name.", "cpu")
parser:option("--peers", "torch, torch-bf16, torch-compile, openvino, dnnl, cpu, before, cuda, cuda-tf32: with commas "
    .. "between them.", "torch,dnnl")
parser:option("--before", "Another checkout of Luxel, built, for the peer of that name.")
parser:option("--rounds", "Turns for each side.", "5"):convert(math.tointeger)
parser:option("--threads", "Threads for each side.", "2"):convert(math.tointeger)
parser:option("--what", "step, resnet18, threads, cnn, resnet_layers, memory, start, and training steps of "
    .. "resnet18_step, resnet50, densenet121, unet, mobilenet_v2, efficientnet_lite0; yolov2_tiny, yolov2, nms "
    .. "(detectors): with commas between them.",
    "step,resnet18,threads,cnn,memory,start")
parser:flag("--tune", "Measure the ways to compute each convolution first.")
parser:option("--out", "Markdown file for the tables; the picture is written beside it.", "bench/results/cpu.md")
parser:option("--python", "A Python that has torch.", "/usr/bin/python3")
parser:option("--tools", "Folder of the compiled peak and dnnl_bench (see the Makefile).", "build/bench")
local args = parser:parse()

local lua = arg[-1]
local device = assert(lx.device(args.device))

local function exists(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
end

local function read_json(path)
    local file = assert(io.open(path))
    local text = file:read("a")
    file:close()
    return cjson.decode(text)
end

-- ---- sides: commands, in which %s stands for what is to be timed -----------------------------------------------

local function luxel(on, threads)
    return ("%s %stime.lua %s %d %%s %s"):format(lua, here, on, threads, args.tune and "tune" or "")
end

-- Another checkout, with its own cases.
local function before(folder)
    local paths = ("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/build/?.so;;'"):gsub("%%s", folder)
    return ("env %s %s %s/bench/time.lua %s %d %%s"):format(paths, lua, folder, args.device, args.threads)
end

local function torch(on)
    local tuned = on:match("^cpu") and here .. "peers/tuned " or ""
    return ("%s%s %speers/torch_bench.py %s %d %%s"):format(tuned, args.python, here, on, args.threads)
end

local function dnnl(list)
    local file = read_json(here .. "layers.json")
    local layers = {}
    for i, layer in ipairs(file[list]) do
        for j, number in ipairs(layer) do layer[j] = ("%d"):format(number) end
        layers[i] = table.concat(layer, ",")
    end
    return ("OMP_NUM_THREADS=%d %speers/tuned %s/dnnl_bench %d %s"):format(args.threads, here, args.tools, file.batch,
        table.concat(layers, " "))
end

local torch_version = capture(args.python ..
    " -c 'import torch; print(torch.__version__, torch.cuda.is_available())' 2>/dev/null")
local has_cuda = torch_version:match("True") ~= nil
torch_version = torch_version:match("%S+")

local openvino_version = capture(args.python .. " -c 'import openvino; print(openvino.__version__)' 2>/dev/null")
    :match("^%d+%.%d+%.%d+")

local PEERS <const> = {
    torch = {title = "PyTorch", command = torch("cpu"), there = torch_version ~= nil},
    ["torch-bf16"] = {title = "PyTorch, bfloat16", command = torch("cpu-bf16"), there = torch_version ~= nil},
    ["torch-compile"] = {title = "PyTorch, compiled", command = torch("cpu-compile"), there = torch_version ~= nil},
    openvino = {
        title = "OpenVINO " .. (openvino_version or ""), there = openvino_version ~= nil, only = "yolov2_tiny",
        command = ("%s %speers/openvino_bench.py %d %%s"):format(args.python, here, args.threads),
    },
    dnnl = {title = "oneDNN, direct", command = dnnl, there = exists(args.tools .. "/dnnl_bench"), layers = true},
    cpu = {title = "Luxel on cpu", command = luxel("cpu", args.threads), there = true},
    before = {title = "Luxel before", command = before(args.before or "."), there = args.before ~= nil},
    cuda = {title = "PyTorch CUDA, TF32 off", command = torch("cuda"), there = has_cuda},
    ["cuda-tf32"] = {title = "PyTorch CUDA, TF32 on", command = torch("cuda-tf32"), there = has_cuda},
}

local missing = {}
local function peers_of(section)
    local sides = {}
    for name in args.peers:gmatch("[^,]+") do
        local peer = PEERS[name] or error("there is no peer '" .. name .. "'", 0)
        if not peer.there then
            missing[peer.title] = true
        elseif (not peer.layers or section.layers) and (not peer.only or peer.only == section.key) then
            local command = type(peer.command) == "function" and peer.command(section.key) or peer.command
            sides[#sides + 1] = {key = name, title = peer.title, command = command}
        end
    end
    return sides
end

-- ---- turns -----------------------------------------------------------------------------------------------------

-- {case: {seconds, ...}} of one side's turn
local function turn(side, what)
    local command = side.command:format(what)
    local text = capture(command)
    local ok, result = pcall(cjson.decode, text)
    if not ok then error(("'%s' gave no result: %s"):format(command, text)) end
    return result
end

-- Adds a turn's figures to a section.
local function collect(section, result, side)
    for case, value in pairs(result) do
        if case == "peak_mb" then
            section.memory[side] = section.memory[side] or {}
            table.insert(section.memory[side], value)
        else
            local row = section.rows[case] or {}
            section.rows[case] = row
            for _, key in ipairs {"gflop", "images", "bytes", "loops", "family", "bound"} do
                row[key] = row[key] or value[key]
            end
            row.processor = row.processor or {}
            row.processor[side] = row.processor[side] or {}
            table.insert(row.processor[side], value.processor)
            row[side] = row[side] or {}
            table.insert(row[side], value.seconds)
        end
    end
end

local PEAK <const> = args.tools .. "/peak"
local has_peak <const> = device.label == "cpu" and exists(PEAK)

local function measure_peak(section)
    for what, speed in pairs(cjson.decode(capture(("%s %d"):format(PEAK, args.threads)))) do
        section.peak[what] = section.peak[what] or {}
        table.insert(section.peak[what], speed)
    end
end

-- Seconds from the start of a process to its end.
local function time_process(command)
    local from = core.now()
    if not os.execute("exec " .. command .. " >/dev/null 2>&1") then error("failed: " .. command, 0) end
    return core.now() - from
end

-- Luxel answers, PyTorch is only loaded.
local function start_turn(section)
    local model, picture = section.model, section.picture
    local answer = ("%s %s../examples/chest_xray/predict.lua --device %s --model %s %s"):format(lua, here, device.label,
        model, picture)
    local import = ("%s -c 'import torch'"):format(args.python)
    time_process(answer) -- files are in memory from here on
    collect(section, {["process start to the end"] = {seconds = time_process(answer)}}, 1)
    if PEERS.torch.there then
        time_process(import)
        collect(section, {["process start to the end"] = {seconds = time_process(import)}}, 2)
    end
end

local SECTIONS <const> = {
    step = {title = "cnn of examples/chest_xray, 224"},
    resnet18 = {title = "ResNet-18, one channel, 224"},
    resnet18_step = {title = "ResNet-18, one channel, 224: training"},
    resnet50 = {title = "ResNet-50, one channel, 224: training"},
    densenet121 = {title = "DenseNet-121, one channel, 224: training"},
    unet = {title = "U-Net, 32 to 512 channels, 256: training"},
    mobilenet_v2 = {title = "MobileNetV2, one channel, 224: training"},
    efficientnet_lite0 = {title = "EfficientNet-Lite0, one channel, 224: training"},
    yolov2_tiny = {title = "YOLOv2-tiny, 416", files = true},
    yolov2 = {title = "YOLOv2, 416", files = true},
    nms = {title = "suppression", sides = function() return {} end},
    threads = {title = "cnn, training step", what = "train", sides = function()
        return {{key = "one", title = "Luxel, 1 thread", command = luxel(device.label, 1)}}
    end},
    cnn = {title = "layers of cnn, batch 32", layers = true},
    resnet_layers = {title = "layers of ResNet-18, batch 32", layers = true},
    memory = {title = "memory", sides = function() return {} end},
    start = {title = "start", turn = start_turn, sides = function()
        return {{key = "torch", title = "python3 -c 'import torch'"}}
    end},
}

local function measure(key, folder)
    local section = SECTIONS[key] or error("there is nothing to time called '" .. key .. "'", 0)
    section.key, section.rows, section.memory, section.peak = key, {}, {}, {}
    section.has_peak = has_peak and key ~= "start"
    section.sides = (section.sides or peers_of)(section)
    table.insert(section.sides, 1, {key = "luxel", title = "Luxel on " .. device.label,
        command = luxel(device.label, args.threads)})
    if section.files then
        detectors.write(folder, key)
        for _, side in ipairs(section.sides) do
            side.command = ("env BENCH_FILES='%s' %s"):format(folder, side.command)
        end
    end
    if key == "start" then
        section.model = start.model(folder, require "luxel.command.options")
        section.picture = start.picture(folder, here)
    end
    for round = 1, args.rounds do
        io.stderr:write(("%s: round %d of %d\n"):format(key, round, args.rounds))
        if section.has_peak then measure_peak(section) end
        if section.turn then
            section:turn()
        else
            for i, side in ipairs(section.sides) do collect(section, turn(side, section.what or key), i) end
        end
    end
    return section
end

-- ---- the report --------------------------------------------------------------------------------------------------

local lines = {}
local function emit(text)
    lines[#lines + 1] = text
    print(text)
end

local function emit_peak(section)
    local speeds = {}
    for _, loop in ipairs {"read", "copy", "add", "update", "fill", "stream"} do
        speeds[#speeds + 1] = ("%s %.1f"):format(loop, report.median(section.peak[loop]))
    end
    emit("")
    emit(("Measured peak meanwhile: %.0f GFLOP/s; GB/s of the loops of bench/peak.c: %s."):format(
        report.median(section.peak.gflops), table.concat(speeds, ", ")))
end

-- The cases of a section as dots of the roofline.
local function points_of(section)
    local points = {}
    for _, name in ipairs(report.names(section)) do
        local row = section.rows[name]
        if row.gflop and row.bytes and row[1] then
            points[#points + 1] = {name = name, intensity = row.gflop * 1e9 / row.bytes,
                speed = row.gflop / report.median(row[1])}
        end
    end
    return points
end

local function draw(sections, path, title)
    local groups, peak = {}, {gflops = 0, bandwidth = 0}
    for _, section in ipairs(sections) do
        local points = points_of(section)
        if #points > 0 and section.has_peak then
            groups[#groups + 1] = {name = section.title, points = points}
            peak.gflops = math.max(peak.gflops, report.median(section.peak.gflops))
            for loop, speeds in pairs(section.peak) do
                if loop ~= "gflops" and loop ~= "sums" then
                    peak.bandwidth = math.max(peak.bandwidth, report.median(speeds))
                end
            end
        end
    end
    if #groups == 0 then return end
    assert(roofline.draw(path, title, groups, peak))
    emit("")
    emit(("![Roofline](%s)"):format(path:match("[^/]*$")))
end

local processor = capture("LC_ALL=C lscpu 2>/dev/null"):match("Model name:%s*([^\n]+)") or "unknown processor"
local title = ("%s%s, %d threads"):format(device.kind == "cpu" and "" or device.name .. " on ", processor, args.threads)
local folder = capture("mktemp -d"):match("%S+")
local sections, by_key = {}, {}
for key in args.what:gmatch("[%w_]+") do
    by_key[key] = measure(key, folder)
    sections[#sections + 1] = by_key[key]
end
os.execute(("rm -r '%s'"):format(folder))

emit("# " .. title)
emit("")
emit(("Medians of %d turns each, taken alternately%s.%s"):format(args.rounds,
    torch_version and "; PyTorch " .. torch_version .. ", tuned (bench/peers)" or "",
    args.tune and " Luxel is tuned (lx.tune)." or ""))
for name in pairs(missing) do emit(("%s is not installed here: left out."):format(name)) end
for _, text in ipairs(report.aims(by_key)) do emit(text) end
for _, section in ipairs(sections) do
    if section.has_peak then emit_peak(section) end
    for _, text in ipairs(report.table(section)) do emit(text) end
    for _, text in ipairs(report.turns(section)) do emit(text) end
end
draw(sections, (args.out:gsub("[^/]*$", "roofline.png")), title)

local file = assert(io.open(args.out, "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
