--- Images against what OpenCV, Pillow and scikit-image make of them (spec/golden/make_vision.py); VISION_GOLDEN names
-- another file of that kind, of real radiographs for example.

local lx = require "luxel"
local vision = lx.vision

local PATH <const> = os.getenv("VISION_GOLDEN") or "spec/golden/vision.safetensors"

local AFFINE <const> = {0.9, -0.25, 8.5, 0.2, 1.05, -4.25}
local PERSPECTIVE <const> = {0.95, 0.08, 2.5, -0.05, 1.02, 1.5, 0.0008, -0.0005, 1}

local function integers(text)
    local a, b = text:match("(%d+)x(%d+)")
    return math.tointeger(a), math.tointeger(b)
end

-- By the first word of the name: the result, and how far it may be from the other's, in grey levels of 255.
local OPERATIONS = {}

function OPERATIONS.resize(image, white, how, size, wide)
    local height, width = integers(size)
    local out = vision.resize(image, height, width, {mode = how, antialias = wide ~= nil})
    -- floats may overshoot; what is compared here was cut off
    return white == 255 and out or out:clamp(0, white), how == "nearest" and 0 or 1
end

function OPERATIONS.affine(image, _, border)
    return vision.warp_affine(image, AFFINE, {border = border, fill = 30}), 1
end

function OPERATIONS.perspective(image)
    return vision.warp_perspective(image, PERSPECTIVE, {size = {35, 44}, fill = 30}), 1
end

function OPERATIONS.gaussian(image, _, sigma) return vision.gaussian_blur(image, tonumber(sigma)), 1 end
function OPERATIONS.box(image, _, size) return vision.box_blur(image, tonumber(size)), 0.51 end
function OPERATIONS.median(image, _, size) return vision.median_blur(image, math.tointeger(size)), 0 end
function OPERATIONS.bilateral(image, _, radius)
    return vision.bilateral_filter(image, math.tointeger(radius), 30, 2), 0.6
end

function OPERATIONS.unsharp(image) return vision.unsharp_mask(image, {sigma = 1, amount = 1}), 1 end
function OPERATIONS.equalize(image) return vision.equalize(image), 0 end

function OPERATIONS.clahe(image, white, clip, tiles)
    local out = vision.clahe(image, {clip = tonumber(clip), tiles = math.tointeger(tiles), white = white})
    return out, white == 255 and 0 or 0.01
end

for _, name in ipairs {"erode", "dilate", "opening", "closing", "top_hat", "black_hat", "morphological_gradient"} do
    OPERATIONS[name] = function(image, _, shape, size)
        return vision[name](image, math.tointeger(size), {shape = shape}), 0
    end
end

function OPERATIONS.sobel(image, _, order)
    return vision.sobel(image, math.tointeger(order:sub(1, 1)), math.tointeger(order:sub(2))), 0
end

function OPERATIONS.laplacian(image) return vision.laplacian(image), 0 end
function OPERATIONS.canny(image, _, low, high) return vision.canny(image, tonumber(low), tonumber(high)), 0 end
-- scikit-image divides the range of the picture, not the scale, into levels
function OPERATIONS.otsu(image, white)
    return lx.tensor {vision.otsu(image, {white = white})}, white == 255 and 0 or 0.01
end

function OPERATIONS.percentiles(image, white)
    local levels = {}
    for i, percent in ipairs {0, 1, 12.3, 50, 98.7, 100} do
        levels[i] = vision.percentile(image, percent / 100, {white = white})
    end
    return lx.tensor(levels), 0.001
end

function OPERATIONS.normalize_percentile(image, white)
    return vision.normalize_percentile(image, {low = 0.02, high = 0.97, white = white}), white == 255 and 1 or 0.02
end

function OPERATIONS.gamma(image, white, exponent)
    return vision.adjust_gamma(image, tonumber(exponent), {white = white}), white == 255 and 1 or 0.001
end

function OPERATIONS.sobel_magnitude(image) return vision.sobel_magnitude(image), 0.001 end

function OPERATIONS.pad(image, _, border)
    return vision.pad(image, {1, 3, 2, 4}, {border = border, fill = 30}), 0
end

function OPERATIONS.components(image, _, connectivity)
    local bright = vision.threshold(image, vision.otsu(image))
    return (vision.connected_components(bright, {diagonal = connectivity == "8"})), 0
end

describe("images as others make them:", function()
    local golden = assert(lx.checkpoint.load(PATH))
    local seen = {}

    -- Four forms of one image have to give the same.
    local function forms_of(image)
        local height, width = image.shape[1], image.shape[2]
        local three = lx.cat({image:view(1, height, width), image:view(1, height, width)}, 1)
        return three, image:t():contiguous():t()
    end

    local function check(picture, operation, expected)
        local image = golden[picture .. "/in"]
        local white = image.dtype == "float32" and 65535 or 255
        local words = {}
        for word in operation:gmatch("[^/]+") do words[#words + 1] = word end
        local run = assert(OPERATIONS[words[1]], words[1])
        seen[words[1]] = true
        local got, tolerance = run(image, white, table.unpack(words, 2))
        assert.same(expected.shape, got.shape)
        local apart = (got:float() - expected:float()):abs():max():item() * 255 / white
        assert.is_true(apart <= tolerance + 1e-3, ("%s/%s: %g levels apart"):format(picture, operation, apart))
        if #got.shape < 2 or words[1] == "components" then return end
        local two, strided = forms_of(image)
        assert.is_true(lx.equal(got, (run(strided, white, table.unpack(words, 2)))), operation .. " of a strided image")
        local both = run(two, white, table.unpack(words, 2))
        for i = 1, 2 do
            assert.is_true(lx.equal(got, both[i]:view(table.unpack(got.shape))), operation .. " of a batch")
        end
    end

    local names = {}
    for name in pairs(golden) do
        if not name:find("/in$") then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        it(name, function()
            local picture, operation = name:match("^([^/]+)/(.*)$")
            check(picture, operation, golden[name])
        end)
    end

    it("every operation is compared", function()
        for name in pairs(OPERATIONS) do assert.is_true(seen[name], name) end
    end)
end)
