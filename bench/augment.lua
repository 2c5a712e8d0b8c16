--- Times a whole augmentation pipeline beside the same chain in OpenCV from Python, on one thread, turn by turn, and
-- prints a Markdown table. Usage: augment.lua [--image FILE] [--size N] [--rounds N] [--python PATH]

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local beside = require "beside"
local capture = require "capture"
local core = require "luxel.core"
local lx = require "luxel"
local report = require "report"

local args = beside.options("augment.lua", "Times augmentation beside OpenCV.", {size = "224", python = "cv2"})

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

local image, path = beside.picture(args, function(size)
    return lx.data.phantom({n = 1, size = size}).images[1]
end)

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
