--- `luxel repl`: a session in which expressions print their values, with completion and history where lua-readline is.

local complete = require "luxel.command.complete"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"

local repl = {summary = "Starts a session: type Lua, and see its values."}

--- Adds the options of the command.
function repl.options(parser)
    parser:flag("--plain", "No completion and no history, as where lua-readline is not installed.")
end

local HISTORY_LINES <const> = 1000

-- The file of the history; nil where its folder cannot be made.
local function history_file()
    local home = os.getenv("HOME")
    local folder = os.getenv("XDG_STATE_HOME") or home and home .. "/.local/state"
    if not folder then return nil end
    for part in (folder .. "/luxel/"):gmatch("()/") do
        if part > 1 then lfs.mkdir((folder .. "/luxel/"):sub(1, part - 1)) end
    end
    return lfs.attributes(folder .. "/luxel", "mode") == "directory" and folder .. "/luxel/history" or nil
end

-- Functions that read a line after a prompt, and that end the session.
local function reader(plain)
    local interactive = os.execute("test -t 0")
    local found, readline = pcall(require, "readline")
    if plain or not interactive or not found then
        return function(prompt)
            if interactive then io.write(prompt) end
            return io.read()
        end, function() end, interactive
    end
    readline.set_options {histfile = history_file() or "", keeplines = HISTORY_LINES}
    readline.set_complete_function(function(text, from, to)
        local words, word = complete(text:sub(1, to), _G)
        readline.set_completion_append_character ""
        for i, one in ipairs(words) do -- the part of the word that readline replaces
            words[i] = one:sub(#word - (to - from + 1) + 1)
        end
        return words
    end)
    return readline.readline, readline.save_history, true
end

-- A chunk of all lines so far: an expression if it is one. Nil and a message where it is neither; true where more is
-- to come.
local function compile(text)
    local chunk, of_expression = load("return " .. text, "=stdin")
    if chunk then return chunk end
    local message
    chunk, message = load(text, "=stdin")
    if chunk then return chunk end
    return nil, message, (message .. of_expression):find("near <eof>", 1, true) ~= nil
end

-- The text of an error for the person who typed.
local function words_of(failure)
    local text = tostring(failure)
    if text:find("interrupted!", 1, true) then return "interrupted" end
    if core.error_code(text) or text:find("^stdin:") then return text end
    return (debug.traceback(text, 2):gsub("\n%s*%[C%]: in function 'xpcall'.*", ""))
end

local function evaluate(chunk)
    core.interrupt_on_ctrl_c(true)
    local results = table.pack(xpcall(chunk, words_of))
    core.interrupt_on_ctrl_c(false)
    if not results[1] then return io.stderr:write(results[2], "\n") end
    if results.n == 1 then return end
    local ok, failure = pcall(print, table.unpack(results, 2, results.n))
    if not ok then io.stderr:write("its value cannot be printed: ", tostring(failure), "\n") end
end

-- Reads lines until they are a chunk; nil at the end of the input.
local function read_chunk(read)
    local text = read("> ")
    if not text then return nil end
    text = text:gsub("^%s*=", "") -- as in the REPL of older Lua
    while true do
        local chunk, message, more = compile(text)
        if chunk then return chunk end
        local line = more and read(">> ")
        if not line then
            io.stderr:write(message, "\n")
            return function() end
        end
        text = text .. "\n" .. line
    end
end

--- Runs the command.
---@param args table the options
function repl.run(args)
    local read, finish, interactive = reader(args.plain)
    _G.lx, _G.nn, _G.F = lx, lx.nn, lx.nn.functional
    if interactive then
        print(("%s on %s; lx, nn and F are there, print(lx) lists names, Ctrl-D ends"):format(lx._VERSION,
            lx.devices()[1].name))
    end
    core.interrupt_on_ctrl_c(false)
    while true do
        local chunk = read_chunk(read)
        if not chunk then break end
        evaluate(chunk)
    end
    if interactive then print() end
    finish()
end

return repl
