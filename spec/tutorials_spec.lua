--- The tutorials in docs/tutorials, as a reader runs them.
--
-- The `lua` blocks of a page are one program, `program.lua`, and the `c` blocks one file, `host.c`. An `output` block
-- shows what the program printed since the one before; `sh` blocks are commands, run where these files are, and the
-- `output` block behind one shows theirs. In output, `…` stands for any text within a line, and alone on a line for
-- any lines.

local lfs = require "lfs"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local FOLDER <const> = "docs/tutorials"
local SECONDS <const> = 60 -- under valgrind and sanitizers too; natively each takes less than 5

local work

-- The blocks of a page: language, text, and the line where the text begins.
local function blocks_of(page)
    local blocks, open, number = {}, nil, 0
    for line in (page .. "\n"):gmatch("(.-)\n") do
        number = number + 1
        local language = line:match("^```(.*)$")
        if language and not open then
            open = {language = language, line = number + 1, lines = {}}
        elseif language then
            open.text = table.concat(open.lines, "\n") .. "\n"
            blocks[#blocks + 1], open = open, nil
        elseif open then
            open.lines[#open.lines + 1] = line
        end
    end
    if open then error(("a block of line %d is not closed"):format(open.line - 1), 0) end
    return blocks
end

-- The blocks of one language as one file whose lines are those of the page, so that errors name the page's lines.
-- `mark` is put where an output block of that file begins; also gives the output blocks.
local function file_of(blocks, language, mark)
    local lines, outputs, last = {}, {}, nil
    for _, block in ipairs(blocks) do
        if block.language == language then
            while #lines < block.line - 1 do lines[#lines + 1] = "" end
            table.move(block.lines, 1, #block.lines, #lines + 1, lines)
        elseif block.language == "output" and last == language and mark then
            while #lines < block.line - 2 do lines[#lines + 1] = "" end
            lines[#lines + 1] = mark
            outputs[#outputs + 1] = block
        end
        if block.language ~= "output" then last = block.language end
    end
    return #lines > 0 and table.concat(lines, "\n") .. "\n", outputs
end

-- What a command prints in the folder of work, which has to end well; its standard error, where progress goes, is
-- shown if it does not.
local function run(name, command)
    shell.write(work .. "/command.sh", command)
    local status, output, messages = shell.run(("cd %s && timeout %d sh -e command.sh"):format(work, SECONDS))
    if status ~= 0 then error(name .. ": " .. output .. messages, 0) end
    return output
end

local function lines_of(text)
    local lines = {}
    for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
    return lines
end

local function fits(line, wanted)
    local pattern = wanted:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("…", ".-")
    return line:match("^" .. pattern .. "$") ~= nil
end

-- The number of the first wanted line that has no partner; nil where the lines are as shown.
local function mismatch(lines, wanted, i, k)
    i, k = i or 1, k or 1
    while k <= #wanted do
        if wanted[k] == "…" then
            for from = i, #lines + 1 do
                if not mismatch(lines, wanted, from, k + 1) then return nil end
            end
            return k
        elseif not lines[i] or not fits(lines[i], wanted[k]) then
            return k
        end
        i, k = i + 1, k + 1
    end
    return i <= #lines and k or nil
end

local function compare(name, block, printed)
    local at = mismatch(lines_of(printed), block.lines)
    if at then
        error(("%s:%d: the page shows\n%s\nbut printed was\n%s"):format(name, block.line + at - 1, block.text,
            printed), 0)
    end
end

local MARK <const> = "\1\n"

local function check_program(name, blocks)
    local program, outputs = file_of(blocks, "lua", 'io.stdout:write("\\1\\n")')
    if not program then return end
    shell.write(work .. "/program.lua", program)
    local printed = run(name, LUA .. " program.lua")
    local start = 1
    for _, block in ipairs(outputs) do
        local from, to = printed:find(MARK, start, true)
        compare(name, block, printed:sub(start, from - 1))
        start = to + 1
    end
    if start <= #printed then error(name .. ": printed, and not shown: " .. printed:sub(start), 0) end
end

-- CC says how the tests compile: under a sanitizer without it, since compilers leak.
local COMPILER <const> = 'cc() { env ${CC:-cc} "$@"; }\n'

local function check_commands(name, blocks)
    local source = file_of(blocks, "c")
    if source then shell.write(work .. "/host.c", source) end
    for i, block in ipairs(blocks) do
        if block.language == "sh" then
            local printed = run(("%s:%d"):format(name, block.line), COMPILER .. block.text)
            local after = blocks[i + 1]
            if after and after.language == "output" then
                compare(name, after, printed)
            elseif printed ~= "" then
                error(("%s:%d: printed, and not shown: %s"):format(name, block.line, printed), 0)
            end
        end
    end
end

local LANGUAGES <const> = {lua = true, output = true, c = true, sh = true}

local function check(name, blocks)
    if #blocks == 0 then error(name .. ": no block", 0) end
    for i, block in ipairs(blocks) do
        local before = blocks[i - 1] and blocks[i - 1].language
        if not LANGUAGES[block.language] then
            error(("%s:%d: a block of '%s'"):format(name, block.line, block.language), 0)
        elseif block.language == "output" and before ~= "lua" and before ~= "sh" then
            error(("%s:%d: output that nothing prints"):format(name, block.line), 0)
        end
    end
    check_program(name, blocks)
    check_commands(name, blocks)
end

local function check_page(name)
    check(name, blocks_of(shell.read(FOLDER .. "/" .. name)))
end

local function in_a_folder()
    work = shell.folder()
end

local function removed() os.execute("rm -rf " .. work) end

local NEEDS_OPENCL <const> = {["own_kernel.md"] = true}

describe("the tutorial #processes", function()
    before_each(in_a_folder)
    after_each(removed)

    local pages = {}
    for name in lfs.dir(FOLDER) do pages[#pages + 1] = name:match("^.*%.md$") end
    table.sort(pages)
    for _, name in ipairs(pages) do
        it(name .. " runs, and prints what it shows", function()
            if NEEDS_OPENCL[name] and #require("luxel").devices() < 2 then return pending("needs OpenCL") end
            check_page(name)
        end)
    end
end)

describe("the check of tutorials #processes", function()
    before_each(in_a_folder)
    after_each(removed)

    local function message_of(page)
        local ok, message = pcall(check, "page", blocks_of(page))
        return not ok and message or nil
    end

    it("takes output that is as shown, exactly or with gaps", function()
        assert.is_nil(message_of("```lua\nprint('a.b', 3)\n```\n```output\na.b\t3\n```\n```lua\nprint(4)\n```\n"
            .. "```output\n4\n```"))
        assert.is_nil(message_of("```lua\nfor i = 1, 9 do print('x', i) end\n```\n```output\nx…1\n…\nx\t8\nx\t…\n```"))
        assert.is_nil(message_of("```c\nint main(void) { return 0; }\n```\n```sh\ngrep -c main host.c\n```\n"
            .. "```output\n1\n```"))
    end)

    it("notices other output, more and less of it", function()
        assert.matches("page:5: the page shows\n5\n", message_of("```lua\nprint(4)\n```\n```output\n5\n```"))
        assert.matches("but printed was\n4\n5\n", message_of("```lua\nprint('4\\n5')\n```\n```output\n4\n```"))
        assert.matches("page:6: ", message_of("```lua\nprint(4)\n```\n```output\n4\n5\n```"))
        assert.matches("axb", message_of("```lua\nprint('axb')\n```\n```output\na.b\n```"))
        assert.matches("page:5: ", message_of("```lua\nprint(4)\n```\n```output\n…\n5\n```"))
        assert.matches("not shown: 4", message_of("```lua\nprint(4)\n```"))
        assert.matches("page:2: printed, and not shown: 4", message_of("```sh\necho 4\n```"))
        assert.matches("the page shows\n5\n", message_of("```sh\necho 4\n```\n```output\n5\n```"))
    end)

    it("notices a program and a command that fail, and names the page's line", function()
        assert.matches("program.lua:4: no", message_of("text\n\n```lua\nerror 'no'\n```"))
        assert.matches("page:2: ", message_of("```sh\nfalse\ntrue\n```"))
        assert.matches("page:2: output that nothing prints", message_of("```output\n1\n```"))
        assert.matches("page:2: a block of 'python'", message_of("```python\n1\n```"))
        assert.matches("page: no block", message_of("text"))
        assert.matches("a block of line 1 is not closed", select(2, pcall(blocks_of, "```lua\nprint(1)")))
    end)
end)
