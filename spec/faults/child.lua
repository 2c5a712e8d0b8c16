--- Runs the cases of spec/faults/cases.lua under faults, from one on: `child.lua REPORT STRIDE CASE PASS N`. What is
--- about to be tried goes to the file REPORT first, so that run.lua knows what ended this process.

local core = require "luxel.core"
local faults = require "faults"
local lfs = require "lfs"
local lx = require "luxel"

local report_path, stride = arg[1], math.tointeger(arg[2])
local first_case, first_pass, first_n = math.tointeger(arg[3]), math.tointeger(arg[4]), math.tointeger(arg[5])
faults.watch("luxel/core.so", "lfs.so", "(program)")
local only = os.getenv("FAULTS_ONLY")

local cases = dofile((arg[0]:gsub("child%.lua$", "cases.lua")))
local report = assert(io.open(report_path, "w"))

local EIO <const>, ENOSPC <const>, EACCES <const>, EMFILE <const> = 5, 28, 13, 24
local PASSES <const> = {
    {"memory", false}, {"memory", true}, {"files", false, EIO}, {"files", true, EACCES}, {"files", false, ENOSPC},
    {"files", true, EMFILE},
}

local function say(...) io.stdout:write(table.concat({...}, "\t"), "\n") io.stdout:flush() end

-- Nothing that is kept may hide what a run allocates.
local function settle()
    collectgarbage()
    collectgarbage()
    core.trim()
end

local function list(folder)
    local names = {}
    for name in lfs.dir(folder) do
        if name:find("^%.luxel%-") or name:find("%.luxel%-") then names[#names + 1] = name end
    end
    return table.concat(names, " ")
end

-- One run: "right", "error" or what is wrong. `arm` is done last before the case's own work.
local function attempt(case, expected, arm)
    if case.before then case.before() end
    settle()
    lx.manual_seed(7)
    if arm then arm() end
    local ok, result, message, code = pcall(case.run)
    local _, failed = faults.disarm()
    if ok and type(result) == "function" then ok, result, message, code = pcall(result) end
    local verdict
    if ok and type(result) == "string" then
        verdict = (not expected or result == expected) and "right" or "wrong result"
    elseif ok then
        verdict = (code == "io" or code == "memory") and "error" or
            ("unclear: %s (%s)"):format(tostring(message), tostring(code))
    else
        local text = tostring(result)
        local known = core.error_code(text)
        verdict = (known == "io" or known == "memory" or text:find("memory", 1, true) or text:find("cannot %a+ [\"/]"))
            and not text:find("attempt to", 1, true) and "error" or "unclear: " .. text
    end
    local left = list(case.folder or ".")
    if left ~= "" then verdict = "left behind: " .. left end
    settle()
    return verdict, failed
end

for c = first_case, #cases do
    local case = cases[c]
    if not only or case.name:find(only) then
        if case.setup then case.setup() end
        local expected
        for _ = 1, 3 do -- what is kept for later runs is there after the first ones
            if case.before then case.before() end
            settle()
            lx.manual_seed(7)
            local result, message = case.run()
            if type(result) == "function" then result = result() end
            if type(result) ~= "string" then error(("%s fails by itself: %s"):format(case.name, tostring(message))) end
            assert(not expected or expected == result, case.name .. " differs from run to run")
            expected = result
        end
        settle()
        local blocks, bytes = faults.live()
        for p = c == first_case and first_pass or 1, #PASSES do
            local pass = PASSES[p]
            local n = c == first_case and p == first_pass and first_n or 1 + (c * 7 + p * 3) % stride
            local injected = 0
            while true do
                report:seek("set", 0)
                report:write(("%d %d %d %s %s%s\n"):format(c, p, n, case.name, pass[1], (" "):rep(40)))
                report:flush()
                local verdict, failed = attempt(case, expected, function()
                    faults.arm(pass[1], n, pass[2], pass[3])
                end)
                if failed == 0 then break end
                injected = injected + 1
                local where = faults.place()
                local now_blocks, now_bytes = faults.live()
                if verdict == "right" or verdict == "error" then
                    local after = attempt(case, expected)
                    if after ~= "right" then verdict = "afterwards " .. after end
                    if now_blocks ~= blocks then
                        settle()
                        local later = faults.live()
                        if later > blocks then
                            verdict = ("leak: %d blocks, %d bytes"):format(later - blocks, now_bytes - bytes)
                        end
                        blocks, bytes = faults.live()
                    end
                end
                if verdict ~= "right" and verdict ~= "error" then
                    local what = verdict:gsub("[\n\t]", " ")
                    say("bad", case.name, pass[1] .. (pass[2] and " from" or ""), n, where, what)
                end
                say("count", verdict:match("^%a+"))
                n = n + stride
            end
            say("pass", case.name, pass[1] .. (pass[2] and " from" or ""), pass[3] or "", injected)
        end
        if case.teardown then case.teardown() end
    end
end
say("done")
