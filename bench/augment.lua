--- Times a whole augmentation pipeline beside the same chain in OpenCV from Python, on one thread, turn by turn, and
-- prints a Markdown table. Usage: augment.lua [--image FILE] [--size N] [--rounds N] [--python PATH]

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local argparse = require "argparse"
local capture = require "capture"
local core = require "luxel.core"
local lx = require "luxel"
local report = require "report"

local parser = argparse("augment.lua", "Times augmentation beside OpenCV.")
parser:option("--image", "An image file to work on, instead of a drawn one.")
parser:option("--size", "Sides of the image in pixels.", "224"):convert(math.tointeger)
parser:option("--rounds", "Turns for each side.", "7"):convert(math.tointeger)
parser:option("--python", "A Python that has cv2.", "/usr/bin/python3")
local args = parser:parse()

lx.threads(1)

-- As in peers/augment.py.
local MOVES <const> = {{"hflip"}, {"rotate", 10}, {"shift", 0.08}, {"zoom", 0.1}}
local CHAINS <const> = {
    {"moves", MOVES},
    {"moves, brightness, contrast", {MOVES[1], MOVES[2], MOVES[3], MOVES[4], {"brightness"}, {"contrast"}}},
    {"moves, brightness, contrast, noise", {
        MOVES[1], MOVES[2], MOVES[3], MOVES[4], {"brightness"}, {"contrast"}, {"noise", 5},
    }},
    {"CLAHE, moves, brightness, contrast, noise", {
        {"clahe"}, MOVES[1], MOVES[2], MOVES[3], MOVES[4], {"brightness"}, {"contrast"}, {"noise", 5},
    }},
}

local COUNT <const> = 300

local function time(aug, image)
    local start = core.now()
    for index = 1, COUNT do aug(image, {index = index}):free() end
    return (core.now() - start) / COUNT
end

local path = capture("mktemp --suffix=.png"):match("%S+")
local image = args.image and assert(lx.vision.load(args.image)) or lx.data.phantom({n = 1, size = args.size}).images[1]
image = lx.vision.resize(image, args.size, args.size)
assert(lx.vision.save(path, image))

print(("Medians of %d turns taken alternately, one thread, %d × %d pixels, milliseconds for one image.\n"):format(
    args.rounds, args.size, args.size))
print("| chain | Luxel | OpenCV, one warp | OpenCV, step by step | times as fast | as step by step |")
print("|---|---|---|---|---|---|")
for _, chain in ipairs(CHAINS) do
    local aug = lx.vision.pipeline(chain[2])
    local ours, theirs, steps = {}, {}, {}
    for round = 1, args.rounds do
        ours[round] = time(aug, image)
        local text = capture(("%s %speers/augment.py '%s' '%s' %d"):format(args.python, here, path, chain[1], COUNT))
        theirs[round], steps[round] = text:match("(%S+) (%S+)")
        theirs[round], steps[round] = tonumber(theirs[round]), tonumber(steps[round])
        if not steps[round] then error("OpenCV has not timed it: " .. text, 0) end
    end
    local mine, other, slow = report.median(ours), report.median(theirs), report.median(steps)
    print(("| %s | %.3f | %.3f | %.3f | %.2f | %.2f |"):format(chain[1], mine * 1e3, other * 1e3, slow * 1e3,
        other / mine, slow / mine))
end
os.remove(path)
