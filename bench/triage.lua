--- Worklists of thousands of films: how fast they are made beside answers one by one, how much memory that takes, and
--- whether a list that was killed at random moments and gone on with is the same to the byte: the figures of
--- docs/triage.md.
--
--     lua5.4 bench/triage.lua FOLDER WORK [MODEL] [KILLS] [SEED]
--
-- WORK is a folder, made where it is missing, for the lists. MODEL is by default the one of the package, KILLS 10. A
-- process is killed by SIGKILL after a random share of the time that the whole list took. Ends with 1 where the lists
-- differ, or an image is not once in them. Linux only: memory is read from /proc.

local csv = require "luxel.io.csv"
local lfs = require "lfs"
local lx = require "luxel"
local packaged = require "luxel.packaged"

local LUA <const> = os.getenv "LUA" or "lua5.4"
local ALONE <const> = 200 -- films that are answered one by one

local folder, work, kills = arg[1], arg[2], tonumber(arg[4] or 10)
local model = arg[3] or assert(packaged.path())
if not work or not kills then
    io.stderr:write("usage: triage.lua FOLDER WORK [MODEL] [KILLS] [SEED]\n")
    os.exit(1)
end
lfs.mkdir(work)

local function now()
    local pipe <close> = assert(io.popen("date +%s.%N"))
    return pipe:read "n"
end

local function pause(seconds) os.execute(("sleep %.2f"):format(seconds)) end

-- The largest memory of a process so far, in MB; nil where there is none of that number any more.
local function memory_of(pid)
    local file <close> = io.open(("/proc/%d/status"):format(pid))
    local text = file and file:read "a" or ""
    return not text:find "\nState:%s+Z" and tonumber(text:match "VmHWM:%s+(%d+)" or nil) or nil
end

-- Makes a list; ends it by SIGKILL after so many seconds, if there are any. Gives its seconds, its largest memory in MB
-- and whether it came to its end.
local function make(list, paths, after)
    local errors = work .. "/errors"
    local pipe <close> = assert(io.popen(("%s bin/luxel predict --model %s --worklist %s %s >/dev/null 2>%s & echo $!")
        :format(LUA, model, list, paths, errors)))
    local pid, began, most = pipe:read "n", now(), 0
    while true do
        local memory = memory_of(pid)
        if not memory then break end
        most = math.max(most, memory / 1e3)
        if after and now() - began >= after then
            os.execute(("kill -9 %d"):format(pid))
            while memory_of(pid) do pause(0.01) end
            return now() - began, most, false
        end
        pause(0.05)
    end
    return now() - began, most, lfs.attributes(list, "mode") == "file"
end

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
end

-- How many images are noted.
local function noted(list)
    local file <close> = io.open(list .. ".journal/answers", "rb")
    local count = -1
    for _ in file and file:lines() or function() end do count = count + 1 end
    return math.max(0, count)
end

local function check(condition, words)
    if not condition then
        io.stderr:write(words, "\n")
        os.exit(1)
    end
end

-- ---- whole, and some of it ------------------------------------------------------------------------------------------

local whole, part, broken = work .. "/whole.csv", work .. "/part.csv", work .. "/broken.csv"
for _, list in ipairs {whole, part, broken} do
    os.remove(list)
    os.remove(list .. ".journal/answers")
    lfs.rmdir(list .. ".journal")
end

local seconds, memory, ended = make(whole, folder)
check(ended, "no list was made; " .. work .. "/errors says why")
local rows, seen = assert(csv.read(whole)), {}
for _, row in ipairs(rows) do
    check(not seen[row.path], row.path .. " is twice in the list")
    seen[row.path] = true
end
print(("%d images in %.0f s: %.1f images a second; at most %.0f MB"):format(#rows, seconds, #rows / seconds, memory))
io.stdout:flush()

local some = {}
for i = 1, math.min(#rows // 10, #rows) do some[i] = ("'%s'"):format(rows[i].path) end
local few_seconds, few_memory = make(part, table.concat(some, " "))
print(("%d of them in %.0f s; at most %.0f MB"):format(#some, few_seconds, few_memory))

local predictor, count = assert(lx.predictor.open(model)), math.min(ALONE, #rows)
predictor(rows[1].path)
local began = now()
for i = 1, count do assert(predictor(rows[i].path)) end
local each = (now() - began) / count
print(("one by one, %d of them in one process: %.1f images a second"):format(count, 1 / each))
io.stdout:flush()

-- ---- killed ---------------------------------------------------------------------------------------------------------

lx.manual_seed(tonumber(arg[5] or 1))
local stops = {}
for k = 1, kills do
    -- ten of these are nine tenths of the whole on average
    local _, _, complete = make(broken, folder, seconds * (0.02 + 0.14 * lx.rand(1):item()))
    check(not complete, "the list was complete before it was killed; more images are needed")
    stops[k] = noted(broken)
    print(("killed: %d images noted"):format(stops[k]))
    io.stdout:flush()
end
check(select(3, make(broken, folder)), "no list was made after all; " .. work .. "/errors says why")
check(read(broken) == read(whole), "the lists differ")
print(("killed %d times and gone on with: %d images, the same list to the byte"):format(kills, #rows))
