--- Enhancement against plain loops, at the sizes and levels where things go wrong; what others make of pictures is
-- compared in vision_spec.lua.

local lx = require "luxel"
local vision = lx.vision

-- A picture by a function of (x, y) from 0, as [1,H,W].
local function picture(height, width, level, dtype)
    local values = {}
    for y = 0, height - 1 do
        for x = 0, width - 1 do values[#values + 1] = level(x, y) end
    end
    return lx.tensor(values, {dtype = dtype or "uint8"}):view(1, height, width)
end

-- Noise that is the same everywhere; `levels` of them.
local function noise(height, width, levels, dtype, seed)
    local state = seed or 7
    return picture(height, width, function()
        state = (state * 1103515245 + 12345) % 2147483648
        return state // 65536 % levels
    end, dtype)
end

-- Samples by (x, y) from 0; beyond the edges what `border` makes of a coordinate.
local function reader(image, border)
    local height, width = image.shape[2], image.shape[3]
    local values = image:view(height * width):totable()
    return function(x, y)
        x, y = border(x, width), border(y, height)
        return x and y and values[y * width + x + 1]
    end
end

local function replicate(at, size) return math.max(0, math.min(size - 1, at)) end
local function nothing(at, size) return at >= 0 and at < size and at or nil end
local function reflect101(at, size)
    if size == 1 then return 0 end
    at = math.abs(at) % (2 * (size - 1))
    return at < size and at or 2 * (size - 1) - at
end

-- The picture that `combine` makes of the neighbours, a list of {level, dx, dy}, that `counts(dx, dy)` lets count.
local function neighbours(image, radius, border, counts, combine)
    local at = reader(image, border)
    return picture(image.shape[2], image.shape[3], function(x, y)
        local list = {}
        for dy = -radius, radius do
            for dx = -radius, radius do
                local level = counts(dx, dy) and at(x + dx, y + dy)
                if level then list[#list + 1] = {level, dx, dy} end
            end
        end
        return combine(list, at(x, y))
    end, "float32")
end

local function apart(a, b) return (a:float() - b:float()):abs():max():item() end

local function all() return true end

-- Name, picture. Whole numbers above 255 and broken numbers take different ways through the code.
local PICTURES <const> = {
    {"1x1", noise(1, 1, 256)},
    {"1x9", noise(1, 9, 256)},
    {"9x1", noise(9, 1, 256)},
    {"12x17", noise(12, 17, 256)},
    {"of few levels", noise(11, 13, 3)},
    {"black", picture(5, 6, function() return 0 end)},
    {"white", picture(6, 5, function() return 255 end)},
    {"of 16 bits", noise(10, 15, 60000, "float32")},
    {"of 16 bits, 1x1", noise(1, 1, 60000, "float32")},
    {"of fractions", noise(13, 11, 255, "float32") / 7},
    {"below 0", noise(8, 9, 255, "float32") - 100},
}

local function each_picture(check)
    for _, entry in ipairs(PICTURES) do check(entry[2], entry[1]) end
end

describe("a threshold", function()
    it("is exceeded by what is white then", function()
        local bytes = lx.arange(256):byte():view(1, 16, 16)
        local floats = lx.tensor {{0, 99.5, 100, 100.25, 255, 1000, -3}}
        for _, level in ipairs {-1, 0, 99.5, 100, 100.25, 254, 255, 300} do
            for _, image in ipairs {bytes, floats} do
                local expected = image:float():gt(level):float() * 255
                assert.is_true(lx.equal(expected, lx.vision.threshold(image, level):float()), tostring(level))
            end
        end
    end)
end)

describe("median_blur", function()
    local function median(list)
        table.sort(list, function(a, b) return a[1] < b[1] end)
        return list[#list // 2 + 1][1]
    end

    for _, size in ipairs {1, 3, 5, 7, 9, 15} do
        it("of " .. size, function()
            each_picture(function(image, name)
                local expected = neighbours(image, size // 2, replicate, all, median)
                assert.equal(0, apart(expected, vision.median_blur(image, size)), name)
            end)
        end)
    end

    it("wider than what is sorted at a time", function()
        local deep, broken = noise(3, 600, 60000, "float32"), noise(3, 300, 99, "float32") / 3
        for _, image in ipairs {noise(3, 1100, 256), deep, broken} do
            assert.equal(0, apart(neighbours(image, 1, replicate, all, median), vision.median_blur(image, 3)))
            assert.equal(0, apart(neighbours(image, 2, replicate, all, median), vision.median_blur(image, 5)))
        end
    end)

    it("larger than the picture", function()
        local image = noise(4, 5, 256)
        assert.equal(0, apart(neighbours(image, 25, replicate, all, median), vision.median_blur(image, 51)))
        assert.equal(0, apart(vision.median_blur(image, 51), vision.median_blur(image:float(), 51)))
    end)
end)

describe("shapes", function()
    local RADIUS <const> = {0, 1, 2, 3, 10}
    local function in_shape(shape, radius)
        return function(dx, dy)
            if shape == "rectangle" then return true end
            if shape == "cross" then return dx == 0 or dy == 0 end
            local reach = radius == 0 and 0 or radius * math.sqrt((radius * radius - dy * dy) / (radius * radius))
            local whole = math.floor(reach)
            local rounded = reach - whole > 0.5 and whole + 1 or reach - whole < 0.5 and whole or whole + whole % 2
            return math.abs(dx) <= rounded
        end
    end

    local function extreme(better)
        return function(list)
            local best = list[1][1]
            for _, entry in ipairs(list) do best = better(best, entry[1]) end
            return best
        end
    end

    for _, shape in ipairs {"rectangle", "cross", "ellipse"} do
        it(shape, function()
            for _, radius in ipairs(RADIUS) do
                each_picture(function(image, name)
                    local opts, size = {shape = shape}, 2 * radius + 1
                    local lower = neighbours(image, radius, nothing, in_shape(shape, radius), extreme(math.min))
                    local higher = neighbours(image, radius, nothing, in_shape(shape, radius), extreme(math.max))
                    name = name .. ", " .. size
                    assert.equal(0, apart(lower, vision.erode(image, size, opts)), name)
                    assert.equal(0, apart(higher, vision.dilate(image, size, opts)), name)
                    assert.equal(0, apart(higher - lower, vision.morphological_gradient(image, size, opts)), name)
                    local opened = vision.dilate(vision.erode(image, size, opts), size, opts)
                    assert.equal(0, apart(opened, vision.opening(image, size, opts)), name)
                    assert.equal(0, apart(image:float() - opened:float(), vision.top_hat(image, size, opts)), name)
                    local closed = vision.erode(vision.dilate(image, size, opts), size, opts)
                    assert.equal(0, apart(closed, vision.closing(image, size, opts)), name)
                    assert.equal(0, apart(closed:float() - image:float(), vision.black_hat(image, size, opts)), name)
                end)
            end
        end)
    end
end)

describe("a bicubic warp", function()
    it("weighs sixteen neighbours by Keys' function with a = -3/4, as OpenCV", function()
        local image = noise(9, 11, 256, "float32")
        local grey = image:totable()[1]
        -- The point (x, y) of the result lies at (x - 1/4, y - 1/2) of the picture.
        local moved = vision.warp_affine(image, {1, 0, 1 / 4, 0, 1, 1 / 2}, {mode = "bicubic", border = "replicate"})
            :totable()[1]
        local across = {-0.03515625, 0.26171875, 0.87890625, -0.10546875} -- of x - 2 to x + 1
        local down = {-0.09375, 0.59375, 0.59375, -0.09375}
        for y = 1, 9 do
            for x = 1, 11 do
                local sum = 0
                for j = 1, 4 do
                    for i = 1, 4 do
                        local row = grey[math.min(math.max(y + j - 3, 1), 9)]
                        sum = sum + across[i] * down[j] * row[math.min(math.max(x + i - 3, 1), 11)]
                    end
                end
                assert.near(sum, moved[y][x], 1e-3)
            end
        end
    end)
end)

describe("smoothing", function()
    it("box_blur is the mean", function()
        for _, size in ipairs {1, 3, 7, 31} do
            each_picture(function(image, name)
                local expected = neighbours(image, size // 2, reflect101, all, function(list)
                    local sum = 0
                    for _, entry in ipairs(list) do sum = sum + entry[1] end
                    return sum / #list
                end)
                local limit = image.dtype == "uint8" and 0.5001 or 0.01
                assert.is_true(apart(expected, vision.box_blur(image, size)) <= limit, name)
            end)
        end
    end)

    it("bilateral_filter is the mean of what is near and alike", function()
        for _, radius in ipairs {1, 3} do
            each_picture(function(image, name)
                local expected = neighbours(image, radius, reflect101, function(dx, dy)
                    return dx * dx + dy * dy <= radius * radius
                end, function(list, centre)
                    local sum, total = 0, 0
                    for _, entry in ipairs(list) do
                        local level, dx, dy = table.unpack(entry)
                        local near, alike = (dx * dx + dy * dy) / 1.5 ^ 2, (level - centre) ^ 2 / 25 ^ 2
                        local weight = math.exp(-(near + alike) / 2)
                        sum, total = sum + weight * level, total + weight
                    end
                    return sum / total
                end)
                local limit = image.dtype == "uint8" and 0.5001 or 0.02
                assert.is_true(apart(expected, vision.bilateral_filter(image, radius, 25, 1.5)) <= limit, name)
            end)
        end
    end)

    it("bilateral_filter with deviations that are extreme", function()
        local image = noise(9, 9, 256)
        assert.equal(0, apart(image, vision.bilateral_filter(image, 2, 1e-20, 1)))
        assert.equal(0, apart(image, vision.bilateral_filter(image, 2, 10, 1e-20)))
        local even = neighbours(image, 1, reflect101, function(dx, dy) return dx * dy == 0 end, function(list)
            local sum = 0
            for _, entry in ipairs(list) do sum = sum + entry[1] end
            return sum / #list
        end)
        assert.is_true(apart(even, vision.bilateral_filter(image, 1, 1e20, 1e20)) <= 0.5001)
    end)

    it("gaussian_blur keeps the sum of what is away from the edges", function()
        for _, sigma in ipairs {0.1, 0.8, 2.5} do
            local dot = picture(41, 37, function(x, y) return x == 18 and y == 20 and 1000 or 0 end, "float32")
            local out = vision.gaussian_blur(dot, sigma)
            assert.near(1000, out:sum():item(), 0.01)
            assert.is_true(lx.equal(out, vision.hflip(out)))
        end
    end)

    it("keeps pictures of one level", function()
        for _, level in ipairs {0, 1, 77, 255} do
            for _, dtype in ipairs {"uint8", "float32"} do
                local image = picture(7, 9, function() return level end, dtype)
                for _, out in ipairs {vision.gaussian_blur(image, 2), vision.gaussian_blur(image, 100),
                    vision.box_blur(image, 1023), vision.median_blur(image, 255), vision.erode(image, 1023),
                    vision.bilateral_filter(image, 64, 20, 9), vision.unsharp_mask(image, {sigma = 3, amount = 50}),
                    vision.equalize(image), vision.normalize_percentile(image)} do
                    assert.is_true(apart(image, out) < (dtype == "uint8" and 1e-9 or 0.02))
                end
                assert.equal(0, vision.sobel_magnitude(image):max():item())
                assert.equal(0, vision.laplacian(image):abs():max():item())
            end
        end
    end)

    it("unsharp_mask cuts off at black and white", function()
        local image = noise(20, 20, 60000, "float32")
        local out = vision.unsharp_mask(image, {sigma = 2, amount = 5, white = 65535})
        assert.equal(0, out:min():item())
        assert.equal(65535, out:max():item())
    end)
end)

describe("levels", function()
    it("histogram counts", function()
        local image = noise(31, 33, 256)
        local counts, expected = vision.histogram(image), {}
        for _, level in ipairs(image:view(31 * 33):totable()) do
            expected[level + 1] = (expected[level + 1] or 0) + 1
        end
        for bin = 1, 256 do assert.equal(expected[bin] or 0, counts[bin]) end
        assert.same({1023}, vision.histogram(image, {bins = 1}))
        local deep = vision.histogram(image:float() * 257, {bins = 256, white = 65535})
        assert.same(counts, deep)
        local beyond = vision.histogram(lx.tensor {{-5, 0, 1, 7, 1e30, -1e30}}, {bins = 3, white = 2})
        assert.same({3, 1, 2}, beyond)
    end)

    it("percentile is between the samples", function()
        local image = lx.tensor({10, 20, 30, 50, 200}, {dtype = "uint8"}):view(1, 1, 5)
        for place, level in ipairs {10, 15, 20, 25, 30, 40, 50, 125, 200} do
            assert.near(level, vision.percentile(image, (place - 1) / 8), 1e-4)
        end
        assert.equal(7, vision.percentile(picture(1, 1, function() return 7 end), 0.3))
    end)

    it("equalize makes floats as it makes bytes", function()
        local image = noise(40, 30, 90)
        local floats = vision.equalize(image:float() * 257, {white = 65535}) / 257
        assert.is_true(apart(vision.equalize(image), floats) <= 0.51)
        assert.equal(255, vision.equalize(image):max():item())
        assert.equal(0, vision.equalize(image):min():item())
    end)

    it("window, threshold, invert, gamma", function()
        local image = picture(1, 256, function(x) return x end)
        local window, bright = vision.window(image, 100, 50), vision.threshold(image, 99.5)
        local inverted = vision.invert(image)
        local gamma = vision.adjust_gamma(image, 2)
        for level = 0, 255 do
            local at = {1, 1, level + 1}
            local function value(of) return of:select(1, 1):select(1, 1):select(1, at[3]):item() end
            assert.is_true(math.abs(value(window) - math.max(0, math.min(255, (level - 75) * 5.1))) <= 0.51)
            assert.equal(level > 99.5 and 255 or 0, value(bright))
            assert.equal(255 - level, value(inverted))
            assert.is_true(math.abs(value(gamma) - level * level / 255) <= 0.51)
        end
        assert.equal(0, vision.threshold(image, 255):max():item())
        assert.equal(255, vision.threshold(image, -1):min():item())
        assert.equal(60000, vision.invert(lx.tensor {{5535}}, {white = 65535}):item())
        assert.equal("uint8", vision.threshold(image:float(), 3).dtype)
        assert.equal("float32", vision.invert(image:float()).dtype)
    end)

    it("otsu divides two heaps", function()
        local image = picture(8, 8, function(x, y) return x < 5 and 40 + y % 3 or 180 + y % 5 end)
        assert.is_true(vision.otsu(image) >= 42 and vision.otsu(image) < 180)
        local deep = vision.otsu(image:float() * 100, {white = 65535})
        assert.is_true(deep >= 4200 - 1 and deep < 18000)
    end)

    it("clahe without a limit and with one tile is equalize, but for the darkest level", function()
        local image = noise(32, 32, 256)
        local counts, below = vision.histogram(image), 0
        local levels = {}
        for bin = 1, 256 do
            below = below + counts[bin]
            levels[bin] = below * 255 / 1024
        end
        local at = reader(image, nothing)
        local expected = picture(32, 32, function(x, y) return levels[at(x, y) + 1] end, "float32")
        assert.is_true(apart(expected, vision.clahe(image, {clip = 0, tiles = 1})) <= 0.501)
        local loose = vision.clahe(image, {clip = 1e300, tiles = 1})
        assert.equal(0, apart(loose, vision.clahe(image, {clip = 0, tiles = 1})))
    end)

    it("clahe of floats is that of bytes, but finer, whatever stands for white", function()
        local soft = picture(61, 50, function(x, y) return 60 + 2 * x + (3 * x + 7 * y) % 11 end)
        for _, image in ipairs {soft, noise(40, 48, 256)} do
            for _, options in ipairs {{clip = 2, tiles = 4}, {clip = 0, tiles = 3}} do
                local floats = vision.clahe(image:float(), options)
                assert.is_true(apart(vision.clahe(image, options), floats) <= 1.01)
                options.white = 65535
                assert.is_true(apart(floats * 257, vision.clahe(image:float() * 257, options)) <= 2.57)
            end
        end
    end)

    it("clahe's limit limits pictures of many levels as it does those of few", function()
        local image = picture(128, 128, function(x, y) return 20000 + 40 * x + 13 * (x * y % 31) end, "float32")
        local contrast = {}
        for i, clip in ipairs {1, 2, 4, 8} do
            contrast[i] = vision.clahe(image, {clip = clip, tiles = 2, white = 65535}):std():item()
            assert.is_true(i == 1 or contrast[i] > 1.2 * contrast[i - 1], table.concat(contrast, " "))
        end
    end)

    it("clahe of pictures smaller than its tiles", function()
        each_picture(function(image)
            for _, tiles in ipairs {1, 8, 64} do
                if image.dtype == "uint8" then assert.same(image.shape, vision.clahe(image, {tiles = tiles}).shape) end
            end
        end)
    end)
end)

describe("connected_components", function()
    -- By filling from each place that has no number yet.
    local function naive(image, diagonal)
        local height, width = image.shape[2], image.shape[3]
        local at, labels, count = reader(image, nothing), {}, 0
        for y = 0, height - 1 do
            for x = 0, width - 1 do
                local waiting = {}
                if at(x, y) ~= 0 and not labels[y * width + x] then
                    count = count + 1
                    labels[y * width + x] = count
                    waiting[1] = {x, y}
                end
                while #waiting > 0 do
                    local place = table.remove(waiting)
                    for dy = -1, 1 do
                        for dx = -1, 1 do
                            local nx, ny = place[1] + dx, place[2] + dy
                            local level = (diagonal or dx * dy == 0) and at(nx, ny) or 0
                            if level ~= 0 and not labels[ny * width + nx] then
                                labels[ny * width + nx] = count
                                waiting[#waiting + 1] = {nx, ny}
                            end
                        end
                    end
                end
            end
        end
        return picture(height, width, function(x, y) return labels[y * width + x] or 0 end, "float32"), count
    end

    it("numbers as rows meet them, and measures", function()
        for seed = 1, 6 do
            local image = vision.threshold(noise(17, 23, 256, "uint8", seed * 91), 40 * seed)
            for _, diagonal in ipairs {true, false} do
                local expected, count = naive(image, diagonal)
                local labels, groups = vision.connected_components(image, {diagonal = diagonal})
                assert.equal(0, apart(expected:view(17, 23), labels))
                assert.equal(count, #groups)
                local pixels = 0
                for number, group in ipairs(groups) do
                    local mask = labels:float():eq(number):float()
                    assert.equal(group.area, mask:sum():item())
                    local inside = mask:narrow(1, group.y + 1, group.h):narrow(2, group.x + 1, group.w)
                    assert.equal(group.area, inside:sum():item())
                    for _, edge in ipairs {inside:narrow(1, 1, 1), inside:narrow(1, group.h, 1), inside:narrow(2, 1, 1),
                        inside:narrow(2, group.w, 1)} do
                        assert.is_true(edge:sum():item() > 0)
                    end
                    pixels = pixels + group.area
                end
                assert.equal(image:float():gt(0):float():sum():item(), pixels)
            end
        end
    end)

    it("of a checkerboard, which has the most groups, and of nothing", function()
        local board = picture(8, 12, function(x, y) return (x + y) % 2 end)
        local _, groups = vision.connected_components(board, {diagonal = false})
        assert.equal(48, #groups)
        _, groups = vision.connected_components(board)
        assert.equal(1, #groups)
        assert.near(5.5 + 0.5, groups[1].cx, 1e-9)
        assert.near(3.5 + 0.5, groups[1].cy, 1e-9)
        local labels, none = vision.connected_components(picture(3, 3, function() return 0 end))
        assert.same({0, 0}, {labels:float():sum():item(), #none})
    end)
end)

describe("find_lungs", function()
    -- Two dark ellipses in a bright body in front of a dark background, `bar` dark columns at the left.
    local function phantom(height, width, bar)
        local inner = width - bar
        return picture(height, width, function(x, y)
            local u, v = (x - bar + 0.5) / inner, (y + 0.5) / height
            local function inside(cx, cy, rx, ry) return ((u - cx) / rx) ^ 2 + ((v - cy) / ry) ^ 2 < 1 end
            if x < bar then return 0 end
            local level = inside(0.5, 0.6, 0.46, 0.58) and 200 or 30
            if inside(0.31, 0.48, 0.11, 0.27) or inside(0.68, 0.48, 0.12, 0.27) then level = 80 end
            return level + (x * 7 + y * 13) % 11
        end)
    end

    local function near(expected, box)
        for key, value in pairs(expected) do
            assert.is_true(math.abs(box[key] - value) <= 12, ("%s: %d, expected %d"):format(key, box[key], value))
        end
    end

    it("has both in it, and a margin", function()
        local image = phantom(240, 200, 0)
        local box = vision.find_lungs(image)
        assert.is_true(box.x <= 40 and box.x + box.w >= 160 and box.y <= 50 and box.y + box.h >= 180)
        assert.is_true(box.w * box.h < 0.8 * 200 * 240)
        local crop, where = vision.lung_crop(image)
        assert.same(box, where)
        assert.same({1, box.h, box.w}, crop.shape)
        assert.is_true(lx.equal(crop, vision.crop(image, box)))
    end)

    it("of several images at a time as of each by itself, also where pixels are apart", function()
        local images = {phantom(240, 200, 0), phantom(480, 400, 0):float(), vision.hflip(phantom(240, 200, 0)),
            lx.zeros({1, 30, 20}, {dtype = "uint8"}), phantom(240, 200, 0):transpose(2, 3)}
        local boxes = require("luxel.core").find_lungs(images)
        assert.equal(5, #boxes)
        for i, image in ipairs(images) do assert.same(vision.find_lungs(image:clone()), boxes[i], "image " .. i) end
        assert.same({}, require("luxel.core").find_lungs {})
    end)

    it("whatever the size, the scale and the side", function()
        local box = vision.find_lungs(phantom(240, 200, 0))
        near({x = 2 * box.x, y = 2 * box.y, w = 2 * box.w, h = 2 * box.h}, vision.find_lungs(phantom(480, 400, 0)))
        assert.same(box, vision.find_lungs(phantom(240, 200, 0):float() * 257))
        local mirrored = vision.find_lungs(vision.hflip(phantom(240, 200, 0)))
        near({x = 200 - box.x - box.w, y = box.y, w = box.w, h = box.h}, mirrored)
    end)

    it("does not count dark bars", function()
        local plain, barred = vision.find_lungs(phantom(240, 200, 0)), vision.find_lungs(phantom(240, 280, 80))
        near({x = plain.x + 80, y = plain.y, w = plain.w, h = plain.h}, barred)
    end)

    it("stays inside pictures without lungs", function()
        each_picture(function(image, name)
            local height, width = image.shape[2], image.shape[3]
            local box = vision.find_lungs(image)
            assert.is_true(box.x >= 0 and box.y >= 0 and box.w >= 1 and box.h >= 1, name)
            assert.is_true(box.x + box.w <= width and box.y + box.h <= height, name)
        end)
        assert.same({x = 0, y = 0, w = 50, h = 40}, vision.find_lungs(picture(40, 50, function() return 99 end)))
    end)

    it("wants one image", function()
        assert.error_matches(function() vision.find_lungs(lx.zeros(2, 1, 9, 9)) end, "one image")
    end)
end)

describe("affine", function()
    it("shears, turns, scales and shifts about the middle", function()
        local H, W, angle, scale = 31, 41, 25, 1.3
        local shift, shear = {3, -2}, {8, -5}
        -- p goes to centre + shift + scale R S (p - centre); down is positive, so counter-clockwise is negative
        local cos, sin = math.cos(math.rad(-angle)), math.sin(math.rad(-angle))
        local tx, ty = math.tan(math.rad(shear[1])), math.tan(math.rad(shear[2]))
        local function moved(x, y)
            x, y = x - W / 2, y - H / 2
            x, y = x + tx * y, y + ty * x
            x, y = scale * (cos * x - sin * y), scale * (sin * x + cos * y)
            return x + W / 2 + shift[1], y + H / 2 + shift[2]
        end
        local image = lx.zeros(2, H, W) -- each pixel has its own place
        for y = 1, H do
            for x = 1, W do
                image[{1, y, x}] = x - 0.5
                image[{2, y, x}] = y - 0.5
            end
        end
        local out = lx.vision.affine(image, {angle = angle, scale = scale, translate = shift, shear = shear})
        local compared = 0
        for _, place in ipairs {{20.5, 15.5}, {12.5, 9.5}, {27.5, 20.5}, {15.5, 21.5}} do
            local x, y = moved(place[1], place[2])
            local column, row = math.floor(x) + 1, math.floor(y) + 1
            if column >= 2 and column < W and row >= 2 and row < H then
                -- the pixel that it came to shows a place at most as far off as half a pixel
                compared = compared + 1
                for axis = 1, 2 do
                    local source = out[{axis, row, column}]
                    assert.near(place[axis], source, 1)
                end
                local back = {out[{1, row, column}], out[{2, row, column}]}
                local u, v = moved(back[1], back[2])
                assert.near(column - 0.5, u, 1e-3)
                assert.near(row - 0.5, v, 1e-3)
            end
        end
        assert.is_true(compared >= 3)
    end)
end)

describe("sizes", function()
    it("go up to the largest side and no further", function()
        local line = lx.zeros(1, 1, 2)
        assert.same({1, 1, 16384}, {table.unpack(lx.vision.resize(line, 1, 16384).shape)})
        assert.same({1, 16384, 1}, {table.unpack(lx.vision.resize(line, 16384, 1).shape)})
        assert.same({1, 1, 16384}, {table.unpack(lx.vision.pad(line, {0, 0, 16382, 0}).shape)})
        assert.same({1, 16384, 2}, {table.unpack(lx.vision.pad(line, {0, 16383, 0, 0}).shape)})
        assert.has_error(function() lx.vision.pad(line, {0, 0, 16383, 0}) end)
        assert.has_error(function() lx.vision.pad(line, {0, 0, 0, 16384}) end)
        assert.has_error(function() lx.vision.resize(line, 1, 16385) end)
        assert.has_error(function() lx.vision.resize(line, 16385, 1) end)
    end)
end)

describe("what cannot be done is refused:", function()
    local image = noise(6, 6, 256)
    for name, case in pairs {
        ["an even median"] = {"size: expected an odd number", vision.median_blur, image, 4},
        ["a negative median"] = {"size: expected an odd number", vision.median_blur, image, -3},
        ["a huge median"] = {"size: expected an odd number", vision.median_blur, image, 257},
        ["half a median"] = {"odd", vision.median_blur, image, 3.5},
        ["an even shape"] = {"top_hat: size: expected an odd number", vision.top_hat, image, 2},
        ["an unknown shape"] = {'"rectangle", "cross" or "ellipse"', vision.erode, image, 3, {shape = "disc"}},
        ["a number beyond int"] = {"size: expected an odd", vision.box_blur, image, 1 << 40},
        ["no deviation"] = {"sigma: expected a number", vision.gaussian_blur, image, 0},
        ["a deviation that is no number"] = {"sigma: expected a number", vision.gaussian_blur, image, 0 / 0},
        ["a bilateral filter of nothing"] = {"radius: expected", vision.bilateral_filter, image, 0, 1, 1},
        ["third derivatives"] = {"dx: expected an integer from 0 to 2", vision.sobel, image, 3, 0},
        ["no derivative"] = {"dy: expected 1 or 2", vision.sobel, image, 0, 0},
        ["canny of floats"] = {"image of bytes", vision.canny, image:float(), 1, 2},
        ["canny upside down"] = {"low: expected at most high, which is 2", vision.canny, image, 9, 2},
        ["no tiles"] = {"'tiles': expected", vision.clahe, image, {tiles = 0}},
        ["a negative clip"] = {"'clip': expected a number of at least 0", vision.clahe, image, {clip = -1}},
        ["a white that is black"] = {"'white': expected a number above 0", vision.equalize, image, {white = 0}},
        ["an infinite white"] = {"'white': expected a number above 0", vision.clahe, image, {white = math.huge}},
        ["a misspelt option"] = {"unknown option 'whit' %(did you mean 'white'%?%)", vision.invert, image, {whit = 3}},
        ["more than all"] = {"share: expected a number from 0 to 1", vision.percentile, image, 1.5},
        ["less than none"] = {"'low': expected a number from 0 to 1", vision.normalize_percentile, image, {low = -0.1}},
        ["a window without width"] = {"width: expected", vision.window, image, 100, 0},
        ["a gamma of 0"] = {"exponent: expected a number above 0", vision.adjust_gamma, image, 0},
        ["no bins"] = {"'bins': expected", vision.histogram, image, {bins = 0}},
        ["groups of two channels"] = {"a grey image", vision.connected_components, lx.zeros(2, 4, 4)},
        ["integers"] = {"uint8 or float32", vision.equalize, lx.zeros({3, 3}, {dtype = "int32"})},
        ["a vector"] = {"%[H,W%]", vision.median_blur, lx.zeros(9), 3},
    } do
        it(name, function()
            assert.error_matches(function() case[2](table.unpack(case, 3)) end, case[1])
        end)
    end
end)
