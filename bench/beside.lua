--- What timings of images beside Python's libraries have in common: their command line, and turns taken on one thread.

local argparse = require "argparse"
local capture = require "capture"
local core = require "luxel.core"
local lx = require "luxel"
local report = require "report"

local beside = {}

--- Reads the command line: `image`, `size`, `rounds`, `python`, and `only` where there are `cases` to choose from. From
--- then on one thread computes.
---@param file string of the program
---@param words string what it does
---@param choice {image: string?, size: string, python: string, cases: string?} words for the options; size: its default
---@return table
function beside.options(file, words, choice)
    local parser = argparse(file, words)
    parser:option("--image", choice.image or "An image file to work on, instead of a drawn one.")
    parser:option("--size", "Sides of the image in pixels.", choice.size):convert(math.tointeger)
    parser:option("--rounds", "Turns for each side.", "7"):convert(math.tointeger)
    if choice.cases then parser:option("--only", ("Only the %s with this in their name."):format(choice.cases), "") end
    parser:option("--python", ("A Python that has %s."):format(choice.python), "/usr/bin/python3")
    local args = parser:parse()
    lx.threads(1)
    return args
end

--- The image of the command line, or else a drawn one, in its size; and a PNG file of it.
---@param args table of `options`
---@param draw fun(size: integer): Tensor
---@return Tensor image, string path to be removed
function beside.picture(args, draw)
    local path = capture("mktemp --suffix=.png"):match("%S+")
    local image = args.image and assert(lx.vision.load(args.image)) or draw(args.size)
    image = lx.vision.resize(image, args.size, args.size)
    assert(lx.vision.save(path, image))
    return image, path
end

--- The median time of one call.
---@param count integer of calls, besides a first one that is not timed
---@param f fun(): any what it gives is freed, if it is a tensor: as Python does at once, where garbage would pile up
---@return number seconds
function beside.time(count, f)
    local seconds = {}
    for i = 0, count do
        local start = core.now()
        local out = f()
        seconds[i] = core.now() - start
        if lx.is_tensor(out) then out:free() end
    end
    return report.median(seconds)
end

--- Takes turns with the peer.
---@param rounds integer
---@param ours fun(): number seconds
---@param command string prints the peer's seconds
---@param what string for errors: "OpenCV has not timed 'x'"
---@return number ours, number theirs medians of seconds
function beside.turns(rounds, ours, command, what)
    local mine, other = {}, {}
    for round = 1, rounds do
        mine[round] = ours()
        local text = capture(command)
        other[round] = tonumber(text) or error(("%s: %s"):format(what, text), 0)
    end
    return report.median(mine), report.median(other)
end

return beside
