--- Mutation testing: draws changes of the code, one at a time, and asks whether any test notices.
--
--   lua5.4 spec/mutate/run.lua [--from N] [--to N] [--count 300] [--seed 1] [--only PATTERN] [--list] [--again]
--       [--likely]
--
-- Mutations are drawn from all folders of C, kernels and Lua, at least five from each; the same seed draws the same
-- from the same code. Each is put into a copy of the tree under build/mutate, which is built as far as it has to be,
-- and the suites that could notice run, the likeliest first, until one fails. A suite that takes too long has noticed.
-- What does not compile, or compiles to the same code, is drawn again. What is known is kept in
-- spec/mutate/results.tsv, by the lines of code before and after, so that a run can be ended at any time and gone on
-- with; spec/mutate/survivors.md is written anew from it.
-- --only: of the files that match a Lua pattern; --list: shows what is drawn; --again: tries once more the survivors
-- that reasons.lua does not explain.
-- --likely: runs the suites that are likely to notice, and no others, nor sanitizers: what survives is to be tried
-- --again.

package.path = ("@/?.lua;@/../support/?.lua;"):gsub("@", arg[0]:match("^(.*)/") or ".") .. package.path
local left_out = require "left_out"
local reasons = require "reasons"
local shell = require "shell"
local sites = require "sites"
local suites = require "suites"

local WORK <const> = os.getenv("MUTATE_WORK") or "build/mutate" -- one for each run at the same time
local CLEAN <const>, TREE <const> = WORK .. "/clean", WORK .. "/tree"
local RESULTS <const>, SUMMARY <const> = "spec/mutate/results.tsv", "spec/mutate/survivors.md"
local LEAST <const> = 5 -- mutations of a folder
local STRIDE <const> = 97 -- more than there are of any folder
local SOURCES <const> = {"csrc", "kernels", "lua", "examples"}
local LUA <const> = os.getenv("LUA") or "lua5.4"

local function run(command, ...)
    command = command:format(...)
    return os.execute("{ " .. command .. "\n} >" .. WORK .. "/output 2>&1")
end

local function must(command, ...)
    if not run(command, ...) then
        io.stderr:write(shell.read(WORK .. "/output"), "failed: ", command:format(...), "\n")
        os.exit(1)
    end
end

local function lines_of(command)
    local found, pipe = {}, assert(io.popen(command))
    for line in pipe:lines() do found[#found + 1] = line end
    assert(pipe:close())
    return found
end

local function now() return tonumber(lines_of("date +%s.%N")[1]) end

-- ---- drawing ----------------------------------------------------------------------------------------------------

local function language_of(path) return path:find("%.lua$") and "lua" or "c" end

---@class mutate.Mutation
---@field path string
---@field kind string of `sites.KINDS`
---@field line integer
---@field before string the line as it is
---@field after string the line as it becomes
---@field text string the file as it becomes

local function mutation(path, text, site)
    local start = site.from
    while start > 1 and text:sub(start - 1, start - 1) ~= "\n" do start = start - 1 end
    local stop = text:find("\n", math.max(site.to, start), true) or #text
    local changed = text:sub(1, site.from - 1) .. site.with .. text:sub(site.to + 1)
    local function trimmed(from, to, whole) return (whole:sub(from, to):gsub("%s+", " "):match("^ ?(.-) ?$")) end
    return {
        path = path, kind = site.kind, text = changed,
        line = select(2, text:sub(1, start - 1):gsub("\n", "")) + 1,
        before = trimmed(start, stop, text),
        after = trimmed(start, stop + #changed - #text, changed),
    }
end

-- The C function that a place is in, if it is in one.
local function function_at(text, place)
    local name
    for at, line in text:sub(1, place):gmatch("()([^\n]*)") do
        if line:find("^}") then name = nil end
        local found = (at == 1 or text:sub(at - 1, at - 1) == "\n") and line:match("^%a[^;=]-([%w_]+)%(")
        if found and not line:find(";%s*$") then name = found end
    end
    return name
end

-- Whether a line of a file is left out; without a line, whether all of it is.
local function is_left_out(path, line, inside)
    for _, row in ipairs(left_out) do
        local whole = not row.line and not row.inside
        if path:find(row.path) and (whole or row.line and line and line:find(row.line)
            or row.inside and inside and inside:find(row.inside)) then return true end
    end
    return false
end

-- A number of a text that looks drawn by chance: FNV-1a, mixed once more.
local function hash_of(text)
    local hash = 0xcbf29ce484222325
    for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
    hash = (hash ~ hash >> 33) * 0xff51afd7ed558ccd
    return hash ~ hash >> 33
end

local function line_at(text, place)
    local start = place
    while start > 1 and text:sub(start - 1, start - 1) ~= "\n" do start = start - 1 end
    return text:sub(start, (text:find("\n", place, true) or #text + 1) - 1)
end

-- All sites of the files of a folder, in the order in which they are drawn: the kinds take turns, and within a kind a
-- hash of the line and the change decides. So a changed file changes nothing about the draws elsewhere.
local function order_of(paths, seed)
    local by_kind, times = {}, {}
    for _, path in ipairs(paths) do
        local text = shell.read(path)
        for _, site in ipairs(sites.of(text, language_of(path))) do
            local name = table.concat({
                path, site.kind, line_at(text, site.from), text:sub(site.from, site.to), site.with,
            }, "\t")
            times[name] = (times[name] or 0) + 1
            by_kind[site.kind] = by_kind[site.kind] or {}
            table.insert(by_kind[site.kind], {
                path = path, text = text, site = site, hash = hash_of(seed .. "\t" .. times[name] .. "\t" .. name),
            })
        end
    end
    local order, taken = {}, 0
    for _, found in pairs(by_kind) do
        table.sort(found, function(a, b) return math.ult(a.hash, b.hash) end)
    end
    repeat
        local any = false
        taken = taken + 1
        for _, kind in ipairs(sites.KINDS) do
            local found = by_kind[kind] and by_kind[kind][taken]
            if found then
                order[#order + 1] = found
                any = true
            end
        end
    until not any
    return order
end

-- How many mutations each folder gets: five, and the rest by lines of code.
local function shares(folders, sizes, count)
    local total, given, share = 0, 0, {}
    for _, folder in ipairs(folders) do total = total + sizes[folder] end
    for _, folder in ipairs(folders) do
        share[folder] = LEAST + math.floor((count - LEAST * #folders) * sizes[folder] / total)
        given = given + share[folder]
    end
    local by_size = {table.unpack(folders)}
    table.sort(by_size, function(a, b) return sizes[a] > sizes[b] end)
    for i = 1, math.max(count - given, 0) do
        local folder = by_size[(i - 1) % #by_size + 1]
        share[folder] = share[folder] + 1
    end
    return share
end

-- The slots of a draw: each has a folder's sites, of which it takes every STRIDE-th, so that no slot depends on
-- another. They come in an order that does not depend on the code either.
local function draw(count, seed)
    local folders, paths, sizes = {}, {}, {}
    for _, path in ipairs(lines_of("git ls-files " .. table.concat(SOURCES, " "))) do
        if path:find("%.lua$") or path:find("%.[ch]l?$") then
            local folder = path:match("^(.*)/")
            if not paths[folder] then
                folders[#folders + 1] = folder
                paths[folder], sizes[folder] = {}, 0
            end
            if not is_left_out(path) then
                table.insert(paths[folder], path)
                sizes[folder] = sizes[folder] + select(2, shell.read(path):gsub("\n", ""))
            end
        end
    end
    local share, slots = shares(folders, sizes, count), {}
    for _, folder in ipairs(folders) do
        local order = order_of(paths[folder], seed)
        for i = 1, share[folder] do
            slots[#slots + 1] = {order = order, first = i, step = STRIDE, place = hash_of(seed .. folder .. i)}
        end
    end
    table.sort(slots, function(a, b) return math.ult(a.place, b.place) end)
    return slots, #folders
end

-- The mutations of a slot, one after the other.
local function each(slot)
    local place = slot.first - slot.step
    return function()
        while true do
            place = place + slot.step
            local found = slot.order[place]
            if not found then return nil end
            local made = mutation(found.path, found.text, found.site)
            local inside = language_of(made.path) == "c" and function_at(found.text, found.site.from)
            if not is_left_out(made.path, made.before, inside) then return made end
        end
    end
end

-- ---- what is known ----------------------------------------------------------------------------------------------

local FIELDS <const> = {"outcome", "kind", "path", "line", "before", "after", "by", "seconds"}

local function key_of(entry) return table.concat({entry.path, entry.before, entry.after}, "\t") end

local function load_results()
    local known, file = {}, io.open(RESULTS)
    if not file then return known end
    for line in file:lines() do
        local entry, i = {}, 0
        for field in (line .. "\t"):gmatch("([^\t]*)\t") do
            i = i + 1
            entry[FIELDS[i]] = field
        end
        known[key_of(entry)] = entry
    end
    file:close()
    return known
end

local function save_result(known, entry)
    local row = {}
    for i, field in ipairs(FIELDS) do row[i] = tostring(entry[field] or "") end
    known[key_of(entry)] = entry
    local file = assert(io.open(RESULTS, "a"))
    assert(file:write(table.concat(row, "\t"), "\n"))
    assert(file:close())
end

-- ---- trees ------------------------------------------------------------------------------------------------------

-- The two builds of a tree: as it is, and with what finds accesses out of bounds, undefined behaviour and leaks.
local BUILDS <const> = {
    build = "",
    ["build/sanitize"] = 'OPTIMIZE=-O1 SANITIZE="-g -fsanitize=address,undefined -fno-sanitize-recover=undefined"',
}

-- One instruction set is enough. In the tree, the kernels for the others stay as they are.
local function make(tree, build)
    local old = {}
    for _, path in ipairs(lines_of("git ls-files kernels")) do
        local name = path:match("^kernels/([^/]*)%.cl$")
        for _, isa in ipairs(name and tree == TREE and {"base", "avx512"} or {}) do
            old[#old + 1] = ("-o %s/obj/kernels/%s/%s.o"):format(build, isa, name)
        end
    end
    return ("timeout 1800 make -s -j2 -C %s BUILD=%s %s %s"):format(tree, build, BUILDS[build], table.concat(old, " "))
end

local stamp -- of the tree without a mutation

-- Copies what git knows of, and what is built, into clean/ of the folder of the run, and that into tree/.
local function prepare()
    must("rm -rf %s && mkdir -p %s/tmp %s/home %s/build", CLEAN, WORK, WORK, CLEAN)
    must("make -s -j2 && cp -a build/obj build/luxel %s/build", CLEAN)
    must("git ls-files -z --cached --others --exclude-standard | grep -zv '^%s$' | xargs -0 cp -p --parents -t %s",
        RESULTS, CLEAN)
    must(make(CLEAN, "build"))
    must("rm -rf %s && cp -a %s %s", TREE, CLEAN, TREE)
    stamp = lines_of(("cd %s && find . -path ./build -prune -o -type f -print0 | sort -z | xargs -0 cksum | cksum | "
        .. "cut -d ' ' -f 1"):format(CLEAN))[1]
end

local function restore(path)
    must("cp -p %s/%s %s/%s", CLEAN, path, TREE, path)
    if language_of(path) == "c" then must("rm -rf %s/build && cp -a %s/build %s/build", TREE, CLEAN, TREE) end
end

-- Whether a mutation makes different code: nil where it cannot be compiled.
local function compiles(made)
    if language_of(made.path) == "lua" then
        local is = load(made.text, "=x")
        return is and string.dump(is, true) ~= string.dump(load(shell.read(CLEAN .. "/" .. made.path), "=x"), true)
    end
    if not run(make(TREE, "build")) then return nil end -- with warnings as errors, as always
    -- kernels are in the module as text, too
    return made.path:find("^kernels/") or not run("cmp -s %s/build/luxel/core.so %s/build/luxel/core.so", CLEAN, TREE)
end

-- ---- running ----------------------------------------------------------------------------------------------------

-- Runs a suite in a tree with one of its builds: true if it passes.
local function passes(name, tree, build, limit)
    local suite, here = suites.named[name], lines_of("pwd")[1]
    local sanitized = build ~= "build"
    run("rm -rf %s/tmp && mkdir %s/tmp", WORK, WORK)
    -- the leak checker: as in spec/run
    return run([[
        here='%s/%s'; cd '%s' && eval "$(make -s env BUILD=%s)" && ulimit -f 4000000 && %s || exit 1
        export HOME="$here/home" XDG_CACHE_HOME="$here/home" POCL_CACHE_DIR="$here/pocl" TMPDIR="$here/tmp"
        exec env LUXEL_ISA=avx2 %s timeout -k 5 %d env %s \
            %s /usr/bin/busted --output=plainTerminal --no-keep-going %s]],
        here, WORK, tree, build, sanitized and "true" or "ulimit -v 24000000", suite.env or "", limit,
        sanitized and [[CC="env -u LD_PRELOAD cc" LD_PRELOAD="$(cc -print-file-name=libasan.so)]]
            .. [[ $(cc -print-file-name=libubsan.so)" LSAN_OPTIONS="use_tls=0:print_suppressions=0:]]
            .. [[suppressions=$PWD/spec/support/leaks.txt"]] or "",
        LUA, suite.arguments)
end

local baseline = {} -- seconds that a suite takes without a mutation

-- How long a suite may take: it is run without a mutation first, and has to pass.
local function limit_of(name, build)
    local path = ("%s/baseline.%s.%s.%s"):format(WORK, stamp, build:gsub("/", "-"), name)
    local file = io.open(path)
    if file and not baseline[path] then baseline[path] = file:read("n") end
    if file then file:close() end
    if not baseline[path] then
        local before = now()
        if not passes(name, CLEAN, build, 3000) then
            io.stderr:write(shell.read(WORK .. "/output"), "the suite fails without a mutation: ", name, "\n")
            os.exit(1)
        end
        baseline[path] = now() - before
        shell.write(path, tostring(baseline[path]))
    end
    return math.ceil(30 + 5 * baseline[path])
end

-- The suite of a list that fails with one of the builds; nil if none does. Those in `done` have passed, and are left
-- out.
local function first_failing(names, build, done)
    for _, name in ipairs(names) do
        if not done[name] then
            done[name] = true
            if not passes(name, TREE, build, limit_of(name, build)) then return name end
        end
    end
end

-- The suite that notices a mutation that stands in the tree; nil if none does: the likely ones, for C the same with
-- sanitizers, and last all others.
local function noticed_by(path, likely)
    local done, build = {}, "build/sanitize"
    local by = first_failing(suites.of(path, true), "build", done)
    if by or likely then return by end
    if path:find("^csrc/") then
        if not run("test -d %s/%s", CLEAN, build) then
            must(make(CLEAN, build))
            must("cp -a %s/%s %s/%s", CLEAN, build, TREE, build)
        end
        must("touch %s/%s", TREE, path)
        if not run(make(TREE, build)) then return "build with sanitizers" end
        by = first_failing(suites.of(path, true), build, {})
        if by then return by .. " with sanitizers" end
    end
    return first_failing(suites.of(path), "build", done)
end

local function reason_of(entry)
    for _, row in ipairs(reasons) do
        if row.path == entry.path and row.before == entry.before and row.after == entry.after then return row.why end
    end
end

-- Tries the first mutation of a slot that makes different code, unless its outcome is known.
local function try(slot, known, options)
    for made in each(slot) do
        local entry = known[key_of(made)]
        local outcome = entry and entry.outcome
        if outcome == "killed" or outcome == "survived" and (not options.again or reason_of(entry)) then
            return entry, false
        end
        if outcome ~= "void" then
            local before = now()
            shell.write(TREE .. "/" .. made.path, made.text)
            local different = compiles(made)
            local by = different and noticed_by(made.path, options.likely)
            restore(made.path)
            made.outcome = not different and "void" or by and "killed" or "survived"
            made.by, made.seconds = by or different == nil and "compiler" or "", ("%.1f"):format(now() - before)
            save_result(known, made)
            if different then return made, true end
        end
    end
end

-- ---- the summary ------------------------------------------------------------------------------------------------

local function table_of(entries, field)
    local names, counts = {}, {}
    for _, entry in ipairs(entries) do
        local name = field(entry)
        if not counts[name] then
            names[#names + 1] = name
            counts[name] = {drawn = 0, survived = 0}
        end
        counts[name].drawn = counts[name].drawn + 1
        if entry.outcome == "survived" then counts[name].survived = counts[name].survived + 1 end
    end
    table.sort(names)
    local out = {}
    for _, name in ipairs(names) do
        out[#out + 1] = ("| %s | %d | %d |"):format(name, counts[name].drawn, counts[name].survived)
    end
    return table.concat(out, "\n")
end

local function write_summary(entries, count, seed)
    local survivors = {}
    for _, entry in ipairs(entries) do
        if entry.outcome == "survived" then survivors[#survivors + 1] = entry end
    end
    table.sort(survivors, function(a, b)
        if a.path ~= b.path then return a.path < b.path end
        return tonumber(a.line) < tonumber(b.line)
    end)
    local out = {
        "# Mutations that no test notices", "",
        ("Written by `make mutate`, seed %d: %d of %d mutations tried, %d survived (%.1f %%)."):format(seed, #entries,
            count, #survivors, 100 * #survivors / math.max(#entries, 1)), "",
        "| folder | drawn | survived |", "|---|---|---|",
        table_of(entries, function(entry) return entry.path:match("^(.*)/") end), "",
        "| kind | drawn | survived |", "|---|---|---|", table_of(entries, function(entry) return entry.kind end), "",
    }
    for _, entry in ipairs(survivors) do
        out[#out + 1] = ("%s:%s (%s)\n\n    - %s\n    + %s\n\n%s\n"):format(entry.path, entry.line, entry.kind,
            entry.before, entry.after, reason_of(entry) or "**not explained**")
    end
    shell.write(SUMMARY, table.concat(out, "\n"))
    return #survivors
end

-- ---- the command line -------------------------------------------------------------------------------------------

local function read_arguments(list)
    local options, i = {from = 1, count = 300, seed = 1, only = ""}, 1
    local kinds = {from = tonumber, to = tonumber, count = tonumber, seed = tonumber, only = tostring}
    kinds.list, kinds.again, kinds.likely = true, true, true
    while list[i] do
        local name = list[i]:match("^%-%-(%a+)$")
        local kind = name and kinds[name]
        if not kind then
            io.stderr:write("unknown argument ", list[i], "\n")
            os.exit(2)
        end
        if kind ~= true then i = i + 1 end
        options[name] = kind == true or kind(list[i])
        i = i + 1
    end
    options.to = math.min(options.to or options.count, options.count)
    return options
end

local function show(number, entry)
    print(("%4d  %-8s %-8s %s:%s  %s"):format(number, entry.outcome or "", entry.kind, entry.path, entry.line,
        entry.by or ""))
    if entry.outcome ~= "killed" then print("        - " .. entry.before .. "\n        + " .. entry.after) end
end

local function main()
    local options = read_arguments(arg)
    os.execute("mkdir -p " .. WORK)
    local slots, folders = draw(options.count, options.seed)
    print(("%d mutations of %d folders"):format(#slots, folders))
    local known = load_results()
    local function is_wanted(number)
        local first = each(slots[number])()
        return number >= options.from and number <= options.to and first and first.path:find(options.only)
    end
    if options.list then
        for number, slot in ipairs(slots) do
            if is_wanted(number) then show(number, each(slot)()) end
        end
        return
    end
    prepare()
    local left, spent, tried = 0, 0, 0
    for number in ipairs(slots) do left = left + (is_wanted(number) and 1 or 0) end
    for number, slot in ipairs(slots) do
        if is_wanted(number) then
            local before = now()
            local entry, fresh = try(slot, known, options)
            left = left - 1
            if entry and fresh then
                show(number, entry)
                tried, spent = tried + 1, spent + now() - before
                print(("        %d left, about %.0f minutes"):format(left, left * spent / tried / 60))
            end
        end
    end
    local entries = {}
    for _, slot in ipairs(slots) do
        for made in each(slot) do
            local entry = known[key_of(made)]
            if not entry then break end
            if entry.outcome ~= "void" then
                entries[#entries + 1] = entry
                break
            end
        end
    end
    local survived = write_summary(entries, options.count, options.seed)
    print(("%d tried, %d survived: %s"):format(#entries, survived, SUMMARY))
end

io.stdout:setvbuf("line")
main()
