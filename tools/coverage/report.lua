-- What `make coverage` has noted: the share of lines that ran, for each folder of csrc and lua, and in
-- FOLDER/csrc.txt and FOLDER/lua.txt those that did not.
--     lua5.4 tools/coverage/report.lua FOLDER [GCOV]
local folder, gcov = arg[1], arg[2] or "gcov"

-- The output of a command, line by line.
local function output(command, ...)
    local pipe = assert(io.popen(command:format(...)))
    local list = {}
    for line in pipe:lines() do list[#list + 1] = line end
    assert(pipe:close(), command)
    return list
end

-- Whether each line with code ran: files[name][line] is true or false.
local function note(files, name, line, ran)
    local lines = files[name] or {}
    files[name] = lines
    lines[line] = lines[line] or ran
end

-- What gcov says of the module's objects. A header has one account in each object that includes it.
local function c_lines()
    local files = {}
    for _, notes in ipairs(output("find %s/module/obj %s/bare/obj -name '*.gcno' | sort", folder, folder)) do
        local name
        for _, line in ipairs(output("%s -t '%s' 2>/dev/null", gcov, notes)) do
            local count, number, text = line:match("^%s*([^:]+):%s*(%d+):(.*)$")
            number = tonumber(number)
            if number == 0 then
                local source = text:match("^Source:(.*)")
                if source then name = source:match("^csrc/.*") end
            elseif name and count and count ~= "-" then
                note(files, name, number, not count:find("^[#=]"))
            end
        end
    end
    return files
end

-- A function that returns before its end has an instruction at its end all the same.
local function closes(text)
    return text:find("^%s*end[%s%),;}%]]*$") or text:find("^%s*else%s*$") or text:find("^%s*[%)}%]]+[%),;]*%s*$")
end

-- Lines with code by luac, less those of closing words; lines that ran by the files of lines.c.
local function lua_lines()
    local files = {}
    for _, path in ipairs(output("find lua/luxel -name '*.lua' | sort")) do
        local text, number = {}, 0
        for line in io.lines(path) do
            number = number + 1
            text[number] = line
        end
        for _, row in ipairs(output("luac5.4 -l -p '%s'", path)) do
            local line, opcode = row:match("^%s+%d+%s+%[(%d+)%]%s+(%u%w*)")
            line = tonumber(line)
            if line and opcode ~= "VARARGPREP" and not closes(text[line]) then note(files, path, line, false) end
        end
    end
    for _, path in ipairs(output("find %s -name '*.lines'", folder)) do
        for row in io.lines(path) do
            local name, line = row:match("^(.*) (%d+)$")
            line = tonumber(line)
            if files[name] and files[name][line] == false then files[name][line] = true end
        end
    end
    return files
end

local function sorted(set)
    local list = {}
    for key in pairs(set) do list[#list + 1] = key end
    table.sort(list)
    return list
end

-- Lines that did not run, as "name:12-15: first line's text", to a file.
local function write_missing(files, path)
    local out = assert(io.open(path, "w"))
    for _, name in ipairs(sorted(files)) do
        local text, number = {}, 0
        for line in io.lines(name) do
            number = number + 1
            text[number] = line
        end
        local first, last
        local function flush()
            if not first then return end
            local range = first == last and first or first .. "-" .. last
            out:write(("%s:%s:%s\n"):format(name, range, text[first]))
            first = nil
        end
        for _, line in ipairs(sorted(files[name])) do
            if files[name][line] then
                flush()
            else
                first, last = first or line, line
            end
        end
        flush()
    end
    out:close()
end

local function show(name, ran, all)
    print(("%-24s %6d of %6d lines  %6.2f %%"):format(name, ran, all, 100 * ran / all))
end

-- The shares of each folder and of everything.
local function summarise(title, files)
    local ran, all, total_ran, total = {}, {}, 0, 0
    for name, lines in pairs(files) do
        local where = name:match("^(.*)/")
        for _, hit in pairs(lines) do
            all[where], total = (all[where] or 0) + 1, total + 1
            if hit then ran[where], total_ran = (ran[where] or 0) + 1, total_ran + 1 end
        end
    end
    for _, where in ipairs(sorted(all)) do show(where, ran[where] or 0, all[where]) end
    show(title .. ", all", total_ran, total)
    print()
end

for _, part in ipairs {{"csrc", c_lines()}, {"lua", lua_lines()}} do
    summarise(part[1], part[2])
    write_missing(part[2], folder .. "/" .. part[1] .. ".txt")
end
