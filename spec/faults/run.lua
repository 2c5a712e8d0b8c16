--- Injects faults into everything that allocates or touches files, and counts what comes of it: `run.lua SHIM
--- [STRIDE]`. The n-th allocation or call for a file fails, for each n (or each STRIDE-th), and with it none or all
--- that follow; after each the same work is done once more without a fault. Ends with the counts, and fails unless
--- every run gave the right result or an error that says so, freed what it took and left no file behind.

local shim, stride = assert(arg[1], "which library injects the faults?"), arg[2] or "1"
local child = arg[0]:gsub("run%.lua$", "child.lua")
-- In memory where there is such a place: what is synced to a disk takes most of the time.
local folder = os.tmpname()
os.remove(folder)
if os.execute("test -w /dev/shm") then folder = "/dev/shm/" .. folder:match("[^/]*$") end
assert(os.execute("mkdir '" .. folder .. "'"))
local report = folder .. "/report"

local counts = {injected = 0, right = 0, error = 0, crashes = 0, leak = 0, wrong = 0, others = 0}
local at = {1, 1, 1}
local finished = false
repeat
    local command = ("mkdir -p '%s/work' && exec env FAULTS_FOLDER='%s/work' LUA_CPATH='%s?.so;%s' LD_PRELOAD='%s' " ..
        "OMP_NUM_THREADS=1 %s '%s' '%s' %s %d %d %d 2>&1"):format(folder, folder, shim:match("^.*/"),
        os.getenv("LUA_CPATH") or ";", shim, os.getenv("LUA") or "lua5.4", child, report, stride, table.unpack(at))
    local pipe = assert(io.popen(command))
    for line in pipe:lines() do
        local kind, rest = line:match("^(%a+)\t?(.*)$")
        if kind == "count" then
            counts.injected = counts.injected + 1
            local key = counts[rest] and rest or "others"
            counts[key] = counts[key] + 1
        elseif kind == "done" then
            finished = true
        elseif kind == "pass" then
            if os.getenv("FAULTS_VERBOSE") then print(line) end
        else
            print(line)
        end
    end
    local _, how, status = pipe:close()
    if not finished then
        local file = io.open(report)
        local c, p, n, what = (file and file:read("l") or ""):match("^(%d+) (%d+) (%d+) (.-)%s*$")
        if file then file:close() end
        if not c then
            print("the cases do not run at all")
            break
        end
        print(("crash\t%s\t%d\t%s %s"):format(what, n, how, status))
        counts.crashes, counts.injected = counts.crashes + 1, counts.injected + 1
        if how == "exit" and status ~= 139 and status ~= 134 and status ~= 136 then break end -- an error of ours
        os.remove(report)
        at = {math.tointeger(c), math.tointeger(p), math.tointeger(n) + math.tointeger(stride)}
    end
until finished
os.execute("rm -rf '" .. folder .. "'")
local form <const> = "%d faults injected, %d crashes, %d leaks, %d wrong results, %d other problems; " ..
    "%d right all the same, %d errors that say so"
local c <const> = counts
print(form:format(c.injected, c.crashes, c.leak, c.wrong, c.others, c.right, c.error))
os.exit(finished and counts.injected > 0 and counts.crashes + counts.leak + counts.wrong + counts.others == 0)
