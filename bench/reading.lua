--- Times the reading of image files beside OpenCV, pydicom and gdcm, on one thread, turn by turn, and prints a Markdown
-- table.
-- Usage: reading.lua [--image FILE] [--size N] [--rounds N] [--only TEXT] [--python PATH]

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local beside = require "beside"
local capture = require "capture"
local lx = require "luxel"

local args = beside.options("reading.lua", "Times the reading of image files beside others, on one thread.", {
    image = "A radiograph to write as files, instead of a drawn one.", size = "2400", cases = "files",
    python = "cv2, pydicom and gdcm",
})

-- As in peers/reading.py.
local FILES <const> = {
    {"plain.dcm", "DICOM, 12 bits, uncompressed", "pydicom", 0.7},
    {"lossless.dcm", "DICOM, 12 bits, lossless JPEG", "gdcm", 1.5},
    {"grey.jpg", "JPEG, grey", "OpenCV", 0.95},
    {"colour.jpg", "JPEG, colours", "OpenCV", 0.95},
    {"progressive.jpg", "JPEG, progressive", "OpenCV", 0.95},
    {"grey.png", "PNG, 8 bits", "OpenCV", 0.95},
    {"colour.png", "PNG, colours", "OpenCV", 0.95},
    {"deep.png", "PNG, 16 bits", "OpenCV", 0.95},
}

local folder = capture("mktemp -d"):match("%S+")
local peer = ("%s %speers/reading.py"):format(args.python, here)
capture(("%s make '%s' %d %s"):format(peer, folder, args.size, args.image and ("'%s'"):format(args.image) or ""))
local megapixels = args.size ^ 2 / 1e6
print(("Medians of %d turns taken alternately, one thread, %d × %d pixels, milliseconds a megapixel; %s.\n"):format(
    args.rounds, args.size, args.size, capture(peer .. " versions"):match("[^\n]+")))
print("| | Luxel | peer | | times as fast | aim |")
print("|---|---|---|---|---|---|")
for _, file in ipairs(FILES) do
    local name, title, whose, aim = table.unpack(file)
    if name:find(args.only, 1, true) then
        local path, channels = folder .. "/" .. name, name:find("colour") and 3 or 1
        local mine, other = beside.turns(args.rounds, function()
            return beside.time(5, function() return assert(lx.vision.load(path, {channels = channels})) end)
        end, ("%s time '%s' '%s' 5"):format(peer, folder, name), ("%s has not timed '%s'"):format(whose, name))
        print(("| %s | %.2f | %.2f | %s | %.2f | %.2f |"):format(
            title, mine * 1e3 / megapixels, other * 1e3 / megapixels, whose, other / mine, aim))
        io.stdout:flush()
    end
end
os.execute(("rm -rf '%s'"):format(folder))
