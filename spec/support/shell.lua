--- Files, folders and commands, as many tests need them.

local lfs = require "lfs"

local shell = {}

--- All bytes of a file.
---@param path string
---@return string
function shell.read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
end

--- Writes a file, anew if there is one.
---@param path string
---@param text string
---@return string path
function shell.write(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
    return path
end

--- Makes an empty folder.
---@return string path
function shell.folder()
    local path = os.tmpname()
    os.remove(path)
    assert(lfs.mkdir(path))
    return path
end

--- Removes a file, or a folder with all that it holds.
---@param path string
function shell.remove(path) os.execute(("rm -rf '%s'"):format(path)) end

--- Runs a command of the shell, and waits for it, but not for what it leaves in the background.
---@param command string
---@return integer status
---@return string output
---@return string messages what it wrote to its standard error
function shell.run(command)
    local output, messages = os.tmpname(), os.tmpname()
    local _, _, status = os.execute(("( %s\n) >'%s' 2>'%s'"):format(command, output, messages))
    local texts = {shell.read(output), shell.read(messages)}
    os.remove(output)
    os.remove(messages)
    return status, texts[1], texts[2]
end

return shell
