--- Times Luxel beside tuned PyTorch, turn by turn in the same run, and writes a table of medians.
-- Usage: run.lua [--rounds N] [--threads N] [--what step,layers] [--out FILE.md]

local argparse = require "argparse"
local cjson = require "cjson"

local parser = argparse("run.lua", "Times Luxel beside tuned PyTorch.")
parser:option("--rounds", "Turns for each side.", "5"):convert(math.tointeger)
parser:option("--threads", "Threads for each side.", "2"):convert(math.tointeger)
parser:option("--what", "step, layers, or both with a comma.", "step,layers")
parser:option("--out", "Markdown file for the table.", "bench/results/cpu.md")
parser:option("--python", "A Python that has torch.", "/usr/bin/python3")
local args = parser:parse()

local here = arg[0]:match("^.*/") or "./"
local lua = arg[-1]

local function capture(command)
    local pipe = assert(io.popen(command))
    local text = pipe:read("a")
    pipe:close()
    return text
end

local has_peer = capture(args.python .. " -c 'import torch; print(torch.__version__)' 2>/dev/null"):match("%S+")
if not has_peer then print("PyTorch is not installed (python3-torch): timing Luxel alone") end

-- {case: {seconds, ...}} of one side's turn
local function turn(command)
    local text = capture(command)
    local ok, result = pcall(cjson.decode, text)
    if not ok then error(("'%s' gave no result: %s"):format(command, text)) end
    return result
end

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
    if not values then return nil end
    table.sort(values)
    return values[#values // 2 + 1]
end

local lines = {}
local function emit(text)
    lines[#lines + 1] = text
    print(text)
end

local function speed(row, seconds)
    if not seconds then return "–" end
    if row.gflop then return ("%.0f GFLOP/s"):format(row.gflop / seconds) end
    return ("%.1f images/s"):format(row.images / seconds)
end

local function table_of(what)
    local times = {}
    for round = 1, args.rounds do
        io.stderr:write(("%s: round %d of %d\n"):format(what, round, args.rounds))
        collect(times, turn(("%s %sluxel.lua %d %s"):format(lua, here, args.threads, what)), "luxel")
        if has_peer then
            collect(times, turn(("%speers/tuned %s %speers/torch_bench.py %d %s"):format(here, args.python, here,
                args.threads, what)), "torch")
        end
    end
    emit("")
    emit("| " .. what .. " | Luxel | PyTorch | Luxel / PyTorch |")
    emit("|---|---|---|---|")
    local names = {}
    for case in pairs(times) do
        if case ~= "peak_mb" then names[#names + 1] = case end
    end
    table.sort(names)
    for _, case in ipairs(names) do
        local row = times[case]
        local ours, theirs = median(row.luxel), median(row.torch)
        emit(("| %s | %s (%.2f ms) | %s | %s |"):format(case, speed(row, ours), ours * 1e3,
            theirs and ("%s (%.2f ms)"):format(speed(row, theirs), theirs * 1e3) or "–",
            theirs and ("%.2f"):format(theirs / ours) or "–"))
    end
    local peak = times.peak_mb
    emit(("| peak memory | %.0f MB | %s | %s |"):format(median(peak.luxel),
        peak.torch and ("%.0f MB"):format(median(peak.torch)) or "–",
        peak.torch and ("%.2f"):format(median(peak.luxel) / median(peak.torch)) or "–"))
end

local processor = capture("LC_ALL=C lscpu 2>/dev/null"):match("Model name:%s*([^\n]+)") or "unknown processor"
emit(("# %s, %d threads"):format(processor, args.threads))
emit("")
emit(("Medians of %d turns each, taken alternately; PyTorch %s, tuned (bench/peers/tuned), channels_last."):format(
    args.rounds, has_peer or "not installed"))
for what in args.what:gmatch("%a+") do table_of(what) end

local file = assert(io.open(args.out, "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
