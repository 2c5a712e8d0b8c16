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

local function text_of(path)
    local file <close> = io.open(path)
    return file and file:read "a" or ""
end

local TICKS <const> = 100 -- a second, of /proc

-- The largest memory of a process so far, in MB, and the seconds that processors have worked for it; nil where there is
-- none of that number any more.
local function used_by(pid)
    local text = text_of(("/proc/%d/status"):format(pid))
    local memory = not text:find "\nState:%s+Z" and text:match "VmHWM:%s+(%d+)"
    if not memory then return nil end
    -- what follows the name, which is in brackets and may have spaces
    local fields, after = {}, text_of(("/proc/%d/stat"):format(pid)):match("%) (.*)") or ""
    for field in after:gmatch("%S+") do fields[#fields + 1] = tonumber(field) or field end
    return tonumber(memory) / 1e3, ((fields[12] or 0) + (fields[13] or 0)) / TICKS
end

-- Makes a list; ends it by SIGKILL after so many seconds, if there are any. Gives its seconds, those of processors, its
-- largest memory in MB and whether it came to its end.
local function make(list, paths, after)
    local errors = work .. "/errors"
    local pipe <close> = assert(io.popen(("%s bin/luxel predict --model %s --worklist %s %s >/dev/null 2>%s & echo $!")
        :format(LUA, model, list, paths, errors)))
    local pid, began, most, worked = pipe:read "n", now(), 0, 0
    while true do
        local memory, seconds = used_by(pid)
        if not memory then break end
        most, worked = math.max(most, memory), seconds
        if after and now() - began >= after then
            os.execute(("kill -9 %d"):format(pid))
            while used_by(pid) do pause(0.01) end
            return now() - began, worked, most, false
        end
        pause(0.05)
    end
    return now() - began, worked, most, lfs.attributes(list, "mode") == "file"
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

local seconds, worked, memory, ended = make(whole, folder)
check(ended, "no list was made; " .. work .. "/errors says why")
local rows, seen = assert(csv.read(whole)), {}
for _, row in ipairs(rows) do
    check(not seen[row.path], row.path .. " is twice in the list")
    seen[row.path] = true
end
print(("%d images in %.0f s: %.1f images a second, %.1f a second of processors; at most %.0f MB"):format(#rows,
    seconds, #rows / seconds, #rows / worked, memory))
io.stdout:flush()

local some = {}
for i = 1, math.min(#rows // 10, #rows) do some[i] = ("'%s'"):format(rows[i].path) end
local few_seconds, _, few_memory = make(part, table.concat(some, " "))
print(("%d of them in %.0f s; at most %.0f MB"):format(#some, few_seconds, few_memory))

local predictor, count = assert(lx.predictor.open(model)), math.min(ALONE, #rows)
predictor(rows[1].path)
local began, clock = now(), os.clock()
for i = 1, count do assert(predictor(rows[i].path)) end
print(("one by one, %d of them in one process: %.1f images a second, %.1f a second of processors"):format(count,
    count / (now() - began), count / (os.clock() - clock)))
io.stdout:flush()

-- ---- killed ---------------------------------------------------------------------------------------------------------

lx.manual_seed(tonumber(arg[5] or 1))
local stops = {}
for k = 1, kills do
    -- ten of these are nine tenths of the whole on average
    local _, _, _, complete = make(broken, folder, seconds * (0.02 + 0.14 * lx.rand(1):item()))
    check(not complete, "the list was complete before it was killed; more images are needed")
    stops[k] = noted(broken)
    print(("killed: %d images noted"):format(stops[k]))
    io.stdout:flush()
end
check(select(4, make(broken, folder)), "no list was made after all; " .. work .. "/errors says why")
check(text_of(broken) == text_of(whole), "the lists differ")
print(("killed %d times and gone on with: %d images, the same list to the byte"):format(kills, #rows))
