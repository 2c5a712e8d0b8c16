--- Two threads beside one, while other processes want the processors, or none does: a Markdown table of medians of
--- alternate turns, over sizes from tiny to large. Two threads should never take more than 1.2 times as long as one.
-- Usage: loaded.lua [--busy N] [--rounds N] [--turn SECONDS]

local argparse = require "argparse"
local core = require "luxel.core"
local lx = require "luxel"

local parser = argparse("loaded.lua", "Two threads beside one, on a busy machine.")
parser:option("--busy", "Processes that compute meanwhile.", "2"):convert(math.tointeger)
parser:option("--rounds", "Turns for each side.", "7"):convert(math.tointeger)
parser:option("--turn", "Seconds of a turn.", "0.1"):convert(tonumber)
local args = parser:parse()

local cases = {}
local function add(name, f) cases[#cases + 1] = {name = name, f = function() core.free(f()) end} end

for _, n in ipairs {32, 64, 128, 256, 512, 1024} do
    local a, b = lx.randn(n, n), lx.randn(n, n)
    add(("product of %d²"):format(n), function() return a:matmul(b) end)
end
for _, n in ipairs {10000, 100000, 1000000, 4000000} do
    local a, b = lx.randn(n), lx.randn(n)
    add(("sum of two, %d elements"):format(n), function() return a + b end)
    add(("exp, %d elements"):format(n), function() return a:exp() end)
    add(("sum, %d elements"):format(n), function() return a:sum() end)
end
for _, side in ipairs {8, 28, 112} do
    local x, w = lx.randn(4, 16, side, side), lx.randn(16, 16, 3, 3)
    add(("3×3 convolution at %d"):format(side), function() return core.conv2d(x, w, nil, {padding = 1}) end)
end

local function median(values)
    table.sort(values)
    return values[#values // 2 + 1]
end

-- Seconds for each call, in a turn.
local function turn(f, repeats)
    f()
    local start = core.now()
    for _ = 1, repeats do f() end
    return (core.now() - start) / repeats
end

local function measure(case)
    local seconds = {{}, {}}
    lx.threads(1)
    local repeats = math.max(1, math.floor(args.turn / math.min(turn(case.f, 1), turn(case.f, 1))))
    for round = 1, args.rounds do
        for threads = 1, 2 do
            lx.threads(threads)
            seconds[threads][round] = turn(case.f, repeats)
        end
    end
    return median(seconds[1]), median(seconds[2])
end

-- Processes that end with this one.
local own = assert(io.open("/proc/self/stat"))
local BUSY <const> = "while kill -0 %d 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; done &"
local busy = BUSY:format(own:read("n"))
own:close()
for _ = 1, args.busy do os.execute(busy) end

local worst = 0
print(("Beside %d busy processes:\n"):format(args.busy))
print("| | one thread | two threads | ratio |\n|---|---|---|---|")
for _, case in ipairs(cases) do
    local one, two = measure(case)
    worst = math.max(worst, two / one)
    print(("| %s | %.1f µs | %.1f µs | %.2f |"):format(case.name, one * 1e6, two * 1e6, two / one))
end
print(("\nAt most %.2f times as long with two threads."):format(worst))
