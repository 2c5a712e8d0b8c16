--- What the commands that look at images have in common: which images, where pictures of them go, and how names are
--- written.

local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"

local images = {}

--- Images that are looked at together.
images.CHUNK = 32

--- Adds the options that say which images.
function images.options(parser)
    parser:argument("images", "Image files (" .. table.concat(lx.vision.formats, ", ")
        .. "), and folders of them, with all folders below."):args("*")
    parser:option("--list", "File with a path in each line; - for the standard input.")
end

local function listed(path)
    local file, message
    if path == "-" then file = io.stdin else file, message = io.open(path) end
    if not file then options.fail("--list: " .. message) end
    local paths = {}
    for line in file:lines() do
        line = line:gsub("\r$", "")
        if line ~= "" then paths[#paths + 1] = line end
    end
    return paths
end

--- All images that the command line names.
---@param args table
---@param complain fun(message: string) is called for folders without images
---@return string[] paths, boolean only whether it is one that was named by itself
function images.find(args, complain)
    local paths, given = {}, table.move(args.images, 1, #args.images, 1, {})
    if args.list then
        local more = listed(args.list)
        table.move(more, 1, #more, #given + 1, given)
    end
    if #given == 0 then options.fail("name images, folders of them, or --list FILE") end
    for _, path in ipairs(given) do
        if lfs.attributes(path, "mode") == "directory" then
            local before = #paths
            options.collect((path:gsub("(.)/+$", "%1")), paths, complain)
            if #paths == before then complain(path .. ": there are no images in this folder") end
        else
            paths[#paths + 1] = path
        end
    end
    return paths, #given == 1 and #paths == 1 and paths[1] == given[1]
end

--- A number in a CSV file, whatever the locale.
---@param value number?
---@return string
function images.number(value) return value and (("%.6f"):format(value):gsub(",", ".")) or "" end

--- Writes a line of answers; one that cannot be written ends the program: a full disk, say.
---@param text string
function images.say(text)
    local ok, message = io.stdout:write(text, "\n")
    if not ok then options.fail("cannot write the answers: " .. tostring(message)) end
end

--- The same for what is still kept back.
function images.flush()
    local ok, message = io.stdout:flush()
    if not ok then options.fail("cannot write the answers: " .. tostring(message)) end
end

-- The identity of a file, whatever it is called.
local function identity(path)
    local found = lfs.attributes(path)
    return found and ("%s:%s"):format(found.dev, found.ino)
end

--- A function that says where the picture of an image goes in a folder, which is made: two images of one name do not
--- overwrite each other, nor anything that was given.
---@param paths string[] all images
---@return fun(folder: string, path: string): string
function images.places(paths)
    local inputs, taken = {}, {}
    for _, path in ipairs(paths) do inputs[identity(path) or path] = true end
    return function(folder, path)
        local stem = path:match("[^/]*$"):gsub("%.%w+$", "")
        local name, count = stem, 1
        local function place() return ("%s/%s.png"):format(folder, name) end
        while taken[place()] or inputs[identity(place()) or false] do
            count = count + 1
            name = ("%s-%d"):format(stem, count)
        end
        taken[place()] = true
        return place()
    end
end

--- Makes a folder, or ends the command.
---@param path string?
function images.make_folder(path)
    if path and not lfs.mkdir(path) and lfs.attributes(path, "mode") ~= "directory" then
        options.fail("cannot make the folder " .. path)
    end
end

--- Calls `use(path, answer)` for what `look(paths)` says of each image, in order, with a bar where there are many.
---@param paths string[]
---@param look fun(paths: string[]): table[]
---@param use fun(answer: table)
function images.each(paths, look, use)
    local console = #paths > images.CHUNK and lx.train.console()
    for first = 1, #paths, images.CHUNK do
        local chunk = table.move(paths, first, math.min(first + images.CHUNK - 1, #paths), 1, {})
        for _, answer in ipairs(look(chunk)) do
            if answer.code == "device" then options.fail(answer.message) end
            use(answer)
        end
        if console then console:reading(first + #chunk - 1, #paths) end
    end
end

--- What is wrong with an image, beginning with its path.
---@param answer {path: string, message: string}
---@return string
function images.problem(answer)
    return ("%s%s"):format(answer.message:find(answer.path, 1, true) and "" or answer.path .. ": ", answer.message)
end


return images
