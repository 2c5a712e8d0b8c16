--- Times Luxel beside its peers, turn by turn in the same run, and writes a table of medians.
-- Usage: run.lua [--device NAME] [--peers torch,cpu] [--rounds N] [--what step,cnn] [--tune] [--out FILE.md]
-- Peers: torch (PyTorch on the cpu, tuned), cpu (Luxel's cpu device), cuda (PyTorch with CUDA, TF32 off), cuda-tf32.

local argparse = require "argparse"
local cjson = require "cjson"
local lx = require "luxel"

local parser = argparse("run.lua", "Times Luxel beside its peers.")
parser:option("--device", "Luxel's device: cpu, opencl, opencl:2, a part of a name.", "cpu")
parser:option("--peers", "torch, cpu, cuda, cuda-tf32: with commas between them.", "torch")
parser:option("--rounds", "Turns for each side.", "5"):convert(math.tointeger)
parser:option("--threads", "Threads for each side.", "2"):convert(math.tointeger)
parser:option("--what", "step, cnn, resnet: with commas between them.", "step,cnn")
parser:flag("--tune", "Measure the ways to compute each convolution first.")
parser:option("--out", "Markdown file for the table.", "bench/results/cpu.md")
parser:option("--python", "A Python that has torch.", "/usr/bin/python3")
local args = parser:parse()

local here = arg[0]:match("^.*/") or "./"
local lua = arg[-1]
local device = assert(lx.device(args.device))

local function capture(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("a")
    pipe:close()
    return text
end

local function luxel(on)
    return ("%s %sluxel.lua %s %d %%s %s"):format(lua, here, on, args.threads, args.tune and "tune" or "")
end

local function torch(on)
    local tuned = on == "cpu" and here .. "peers/tuned " or ""
    return ("%s%s %speers/torch_bench.py %s %d %%s"):format(tuned, args.python, here, on, args.threads)
end

local PEERS <const> = {
    torch = {title = "PyTorch", command = torch("cpu")},
    cpu = {title = "Luxel on cpu", command = luxel("cpu")},
    cuda = {title = "PyTorch CUDA, TF32 off", command = torch("cuda")},
    ["cuda-tf32"] = {title = "PyTorch CUDA, TF32 on", command = torch("cuda-tf32")},
}

local version = capture(args.python ..
    " -c 'import torch; print(torch.__version__, torch.cuda.is_available())' 2>/dev/null")
local has_cuda = version:match("True") ~= nil
version = version:match("%S+")

local sides = {{title = "Luxel on " .. device.label, command = luxel(device.label)}}
for name in args.peers:gmatch("[^,]+") do
    local peer = PEERS[name] or error("there is no peer '" .. name .. "'; there are torch, cpu, cuda and cuda-tf32", 0)
    if name ~= "cpu" and not version then
        print("PyTorch is not installed (python3-torch): leaving out " .. peer.title)
    elseif name:match("^cuda") and not has_cuda then
        print("PyTorch finds no CUDA here: leaving out " .. peer.title)
    else
        sides[#sides + 1] = peer
    end
end

-- {case: {seconds, ...}} of one side's turn
local function turn(command)
    local text = capture(command)
    local ok, result = pcall(cjson.decode, text)
    if not ok then error(("'%s' gave no result: %s"):format(command, text)) end
    return result
end

-- Adds a turn's figures: times[case][side] is the list of its seconds.
local function collect(times, result, side)
    for case, value in pairs(result) do
        local row = times[case] or {}
        times[case] = row
        row[side] = row[side] or {}
        if case == "peak_mb" then
            table.insert(row[side], value)
        else
            row.gflop, row.images = value.gflop, value.images
            table.insert(row[side], value.seconds)
        end
    end
end

local function median(values)
    table.sort(values)
    return values[#values // 2 + 1]
end

local lines = {}
local function emit(text)
    lines[#lines + 1] = text
    print(text)
end

local function speed(row, seconds)
    if row.gflop then return ("%.0f GFLOP/s"):format(row.gflop / seconds) end
    return ("%.1f images/s"):format(row.images / seconds)
end

-- One line: the figure of each side, and for each peer how many times as fast as it Luxel is.
local function emit_row(name, row, show, ratio)
    local cells, ratios = {name}, {}
    local ours = median(row[1])
    for side = 1, #sides do
        local theirs = row[side] and median(row[side])
        cells[#cells + 1] = theirs and show(theirs) or "–"
        if side > 1 then ratios[#ratios + 1] = theirs and ("%.2f"):format(ratio(ours, theirs)) or "–" end
    end
    emit("| " .. table.concat(cells, " | ") .. " | " .. table.concat(ratios, " | ") .. " |")
end

local function table_of(what)
    local times = {}
    for round = 1, args.rounds do
        io.stderr:write(("%s: round %d of %d\n"):format(what, round, args.rounds))
        for side, peer in ipairs(sides) do collect(times, turn(peer.command:format(what)), side) end
    end
    local heads = {what}
    for side = 1, #sides do heads[#heads + 1] = sides[side].title end
    for side = 2, #sides do heads[#heads + 1] = "speed against " .. sides[side].title end
    emit("")
    emit("| " .. table.concat(heads, " | ") .. " |")
    emit("|" .. ("---|"):rep(#heads))
    local names = {}
    for case in pairs(times) do
        if case ~= "peak_mb" then names[#names + 1] = case end
    end
    table.sort(names)
    for _, case in ipairs(names) do
        local row = times[case]
        emit_row(case, row, function(seconds) return ("%s (%.2f ms)"):format(speed(row, seconds), seconds * 1e3) end,
            function(ours, theirs) return theirs / ours end)
    end
    emit_row("peak memory (and share of the peer's)", times.peak_mb, function(mb) return ("%.0f MB"):format(mb) end,
        function(ours, theirs) return ours / theirs end)
end

local processor = capture("LC_ALL=C lscpu 2>/dev/null"):match("Model name:%s*([^\n]+)") or "unknown processor"
emit(("# %s%s, %d threads"):format(device.kind == "cpu" and "" or device.name .. " on ", processor, args.threads))
emit("")
emit(("Medians of %d turns each, taken alternately%s.%s"):format(args.rounds,
    version and "; PyTorch " .. version .. ", tuned (bench/peers)" or "",
    args.tune and " Luxel is tuned (lx.tune)." or ""))
for what in args.what:gmatch("%a+") do table_of(what) end

local file = assert(io.open(args.out, "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
