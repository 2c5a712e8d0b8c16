--- Times what luxel.vision does to images beside OpenCV, on one thread, turn by turn, and prints a Markdown table.
-- Usage: vision.lua [--image FILE] [--size N] [--rounds N] [--only TEXT] [--python PATH]

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local beside = require "beside"
local capture = require "capture"
local lx = require "luxel"
local vision = lx.vision

local args = beside.options("vision.lua", "Times images beside OpenCV, on one thread.", {
    size = "1024", cases = "cases", python = "cv2",
})
lx.manual_seed(1)

local ELLIPSE <const> = {shape = "ellipse"}

-- As in peers/vision.py.
local CASES <const> = {
    {"equalize", function(i) return vision.equalize(i) end},
    {"clahe", function(i) return vision.clahe(i) end},
    {"histogram", function(i) return vision.histogram(i) end},
    {"adjust_gamma", function(i) return vision.adjust_gamma(i, 0.7) end},
    {"window", function(i) return vision.window(i, 120, 160) end},
    {"gaussian_blur, sigma 1", function(i) return vision.gaussian_blur(i, 1) end},
    {"gaussian_blur, sigma 4", function(i) return vision.gaussian_blur(i, 4) end},
    {"box_blur 5", function(i) return vision.box_blur(i, 5) end},
    {"box_blur 31", function(i) return vision.box_blur(i, 31) end},
    {"median_blur 3", function(i) return vision.median_blur(i, 3) end},
    {"median_blur 5", function(i) return vision.median_blur(i, 5) end},
    {"median_blur 9", function(i) return vision.median_blur(i, 9) end},
    {"median_blur 31", function(i) return vision.median_blur(i, 31) end},
    {"bilateral_filter, radius 4", function(i) return vision.bilateral_filter(i, 4, 30, 3) end},
    {"unsharp_mask", function(i) return vision.unsharp_mask(i) end},
    {"sobel", function(i) return vision.sobel(i, 1, 0) end},
    {"sobel_magnitude", function(i) return vision.sobel_magnitude(i) end},
    {"laplacian", function(i) return vision.laplacian(i) end},
    {"canny", function(i) return vision.canny(i, 50, 120) end},
    {"erode, rectangle 15", function(i) return vision.erode(i, 15) end},
    {"erode, ellipse 15", function(i) return vision.erode(i, 15, ELLIPSE) end},
    {"top_hat, ellipse 15", function(i) return vision.top_hat(i, 15, ELLIPSE) end},
    {"otsu", function(i) return vision.otsu(i) end},
    {"threshold", function(i) return vision.threshold(i, 120) end},
    {"connected_components", function(i) return vision.connected_components(vision.threshold(i, 120)) end},
    {"clahe, 16 bits", function(i) return vision.clahe(i, {white = 65535}) end},
    {"median_blur 3, 16 bits", function(i) return vision.median_blur(i, 3) end},
    {"median_blur 5, 16 bits", function(i) return vision.median_blur(i, 5) end},
    {"gaussian_blur, sigma 1, 16 bits", function(i) return vision.gaussian_blur(i, 1) end},
    {"erode, ellipse 15, 16 bits", function(i) return vision.erode(i, 15, ELLIPSE) end},
    {"resize to 224, bilinear", function(i) return vision.resize(i, 224, 224, {antialias = false}) end},
    {"resize to 224, area", function(i) return vision.resize(i, 224, 224, {mode = "area"}) end},
    {"resize to 1500, bicubic",
        function(i) return vision.resize(i, 1500, 1500, {mode = "bicubic", antialias = false}) end},
    {"warp_affine", function(i) return vision.warp_affine(i, {1.08, 0.19, -130, -0.19, 1.08, 60}) end},
}

-- Soft shapes with grain, dark at the edges: levels and slopes as a radiograph has them.
local function draw(size)
    local coarse = vision.resize(lx.rand(1, 9, 9):mul(200), size, size, {mode = "bicubic", antialias = false})
    return (coarse + lx.randn(1, size, size):mul(6) + 20):clamp(0, 255):to("uint8")
end

local image, path = beside.picture(args, draw)
local deep = image:float() * 257

local version = capture(args.python .. " -c 'import cv2; print(cv2.__version__)'"):match("%S+")
print(("Medians of %d turns taken alternately, one thread, %d × %d pixels, milliseconds; OpenCV %s.\n"):format(
    args.rounds, args.size, args.size, version))
print("| | Luxel | OpenCV | times as fast |")
print("|---|---|---|---|")
for _, case in ipairs(CASES) do
    local name, run = case[1], case[2]
    if name:find(args.only, 1, true) then
        local input = name:find("16 bits") and deep or image
        local mine, other = beside.turns(args.rounds, function()
            return beside.time(5, function() return run(input) end)
        end, ("%s %speers/vision.py '%s' '%s' 5"):format(args.python, here, path, name),
            ("OpenCV has not timed '%s'"):format(name))
        print(("| %s | %.2f | %.2f | %.2f |"):format(name, mine * 1e3, other * 1e3, other / mine))
        io.stdout:flush()
    end
end
os.remove(path)
