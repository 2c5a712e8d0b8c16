local core = require "luxel.core"
local lx = require "luxel"
local pipeline = lx.vision.pipeline

-- A picture without symmetry: a ramp with a bright rectangle at x 4..9, y 2..5.
local function picture(height, width, dtype)
    local image = lx.arange(height * width):view(1, height, width) * (150 / (height * width))
    image:narrow(2, 3, 4):narrow(3, 5, 6):fill_(220)
    return dtype == "float32" and image or image:byte()
end

local function largest_difference(a, b) return (a:float() - b:float()):abs():max():item() end

-- Where a pixel of what comes out was before, by pictures whose levels are their own coordinates: x and y, with the
-- middle of the first pixel at 0.5. What was beyond the border is not to be trusted.
local function places(aug, height, width, opts)
    local across = lx.arange(width):view(1, 1, width):expand(1, height, width):contiguous()
    local down = lx.arange(height):view(1, height, 1):expand(1, height, width):contiguous()
    local x, y = aug(across, opts)[1]:totable(), aug(down, opts)[1]:totable()
    return function(column, row) return x[row + 1][column + 1] + 0.5, y[row + 1][column + 1] + 0.5 end
end

-- The homography {a, b, c, d, e, f, g, h} that takes four points to four others, by elimination.
local function homography(from, to)
    local rows = {}
    for i = 1, 4 do
        local x, y, u, v = from[i][1], from[i][2], to[i][1], to[i][2]
        rows[#rows + 1] = {x, y, 1, 0, 0, 0, -u * x, -u * y, u}
        rows[#rows + 1] = {0, 0, 0, x, y, 1, -v * x, -v * y, v}
    end
    for k = 1, 8 do
        local best = k
        for i = k, 8 do if math.abs(rows[i][k]) > math.abs(rows[best][k]) then best = i end end
        rows[k], rows[best] = rows[best], rows[k]
        for i = 1, 8 do
            local factor = i ~= k and rows[i][k] / rows[k][k] or 0
            for j = k, 9 do rows[i][j] = rows[i][j] - factor * rows[k][j] end
        end
    end
    local m = {}
    for k = 1, 8 do m[k] = rows[k][9] / rows[k][k] end
    return function(x, y)
        local w = m[7] * x + m[8] * y + 1
        return (m[1] * x + m[2] * y + m[3]) / w, (m[4] * x + m[5] * y + m[6]) / w
    end
end

-- The first and the last place of a list that is above 0.
local function ends(line)
    local first, last
    for i, value in ipairs(line:totable()) do
        first, last = first or value > 0 and i or nil, value > 0 and i or last
    end
    return first, last
end

describe("a pipeline", function()
    local image
    setup(function() image = picture(20, 24) end)

    it("changes nothing where nothing is asked for", function()
        assert.is_true(lx.equal(image, (pipeline {}(image))))
        assert.is_true(lx.equal(image, (pipeline {{"rotate", 0}, {"shift", 0}, {"zoom", 0}, {"hflip", p = 0}}(image))))
    end)

    it("moves as the functions of vision do", function()
        local vision = lx.vision
        for _, case in ipairs {
            {{"hflip", p = 1}, vision.hflip(image)},
            {{"vflip", p = 1}, vision.vflip(image)},
            {{"rotate", {30, 30}}, vision.rotate(image, 30, {border = "replicate"})},
            {{"shift", {0.25, 0.25}, y = {-0.1, -0.1}},
                vision.affine(image, {translate = {6, -2}, border = "replicate"})},
            {{"zoom", {1.5, 1.5}}, vision.affine(image, {scale = 1.5, border = "replicate"})},
            {{"shear", {20, 20}}, vision.affine(image, {shear = {20, 0}, border = "replicate"})},
            {{"centre_crop", 0.5}, vision.affine(image, {scale = 2, border = "replicate"})},
        } do
            local step, expected = case[1], case[2]
            assert.is_true(largest_difference(expected, (pipeline {step}(image))) <= 1, step[1])
        end
        -- where the picture shrinks to less than half, however it is turned, each pixel is a mean
        for _, degrees in ipairs {0, 90, 45} do
            local large = (lx.rand(1, 96, 96) * 255):byte()
            local small = pipeline {{"rotate", {degrees, degrees}}, size = 16}(large)
            local spread = small:float():std():item()
            assert.is_true(spread > 5 and spread < 25, spread)
        end
        local square = picture(19, 19)
        for seed = 1, 8 do
            local got = pipeline {{"rot90"}}(square, {seed = seed})
            local same = 0
            for times = 0, 3 do same = same + (lx.equal(got, lx.vision.rot90(square, times)) and 1 or 0) end
            assert.equal(1, same)
        end
    end)

    it("resamples once: steps together are one warp", function()
        local turned = pipeline {
            {"rotate", {10, 10}}, {"zoom", {1.2, 1.2}}, {"shift", {0.1, 0.1}, y = {0, 0}}, size = 31,
        }
        -- first turned, then larger, then moved; from 31x31 pixels back to 20x24
        local angle, scale = math.rad(10), 1.2
        local cos, sin = math.cos(angle), math.sin(angle)
        local values = image:float()[1]
        local got = turned(image)
        for _, at in ipairs {{15, 15}, {10, 20}, {20, 12}} do
            local x, y = at[1] - 1 + 0.5 - 3.1, at[2] - 1 + 0.5
            x, y = (x - 15.5) / scale, (y - 15.5) / scale
            x, y = cos * x - sin * y + 15.5, sin * x + cos * y + 15.5
            x, y = x * 24 / 31 - 0.5, y * 20 / 31 - 0.5
            local left, top = math.floor(x), math.floor(y)
            local fx, fy = x - left, y - top
            local function value(i, j) return values[{top + 1 + j, left + 1 + i}] end
            local expected = (value(0, 0) * (1 - fx) + value(1, 0) * fx) * (1 - fy)
                + (value(0, 1) * (1 - fx) + value(1, 1) * fx) * fy
            assert.near(expected, got[{1, at[2], at[1]}], 0.51)
        end
    end)

    it("gives the size it says, by stretching, padding or cropping", function()
        assert.same({1, 9, 9}, pipeline {size = 9}(image).shape)
        assert.same({1, 9, 13}, pipeline {size = {9, 13}}(image).shape)
        assert.is_true(lx.equal(lx.vision.resize(image, 9, 13), (pipeline {size = {9, 13}}(image))))
        local padded = pipeline {{"resize"}, size = 24, fit = "pad", fill = 9}(image)
        assert.equal(9, padded[{1, 1, 12}])
        assert.equal(9, padded[{1, 24, 12}])
        assert.is_true(lx.equal(image, (padded:narrow(2, 3, 20):contiguous())))
        local cropped = pipeline {{"resize"}, size = 20, fit = "crop"}(image)
        assert.is_true(lx.equal(image:narrow(3, 3, 20):contiguous(), cropped))
    end)

    it("averages when it shrinks a lot", function()
        local fine = lx.zeros({1, 200, 100, 2}, {dtype = "uint8"}) -- columns of 0 and 200
        fine:narrow(4, 2, 1):fill_(200)
        local got = pipeline {{"rotate", {1, 1}}, size = 20}(fine:view(1, 200, 200))
        local middle = got:narrow(2, 3, 16):narrow(3, 3, 16):float()
        assert.is_true(middle:min():item() > 80 and middle:max():item() < 120)
    end)

    it("draws the same for the same seed, epoch and index, and else not", function()
        local aug = pipeline {
            {"rotate", 20}, {"brightness", 0.5}, {"noise", 10}, {"elastic"}, {"random_erasing", p = 1},
        }
        local first = aug(image, {seed = 3, epoch = 2, index = 5})
        assert.is_true(lx.equal(first, (aug(image, {seed = 3, epoch = 2, index = 5}))))
        for _, other in ipairs {{4, 2, 5}, {3, 1, 5}, {3, 2, 6}} do
            assert.is_false(lx.equal(first, (aug(image, {seed = other[1], epoch = other[2], index = other[3]}))))
        end
        assert.equal(aug:describe {seed = 3, epoch = 2, index = 5}, aug:describe {seed = 3, epoch = 2, index = 5})
        assert.matches("rotate %S+, brightness %S+, noise 10, elastic", aug:describe())
    end)

    it("draws evenly from its ranges, and as often as p says", function()
        local aug = pipeline {{"rotate", {-30, 60}}, {"hflip", p = 0.3}, {"brightness", {0.5, 2}, p = 0.8}}
        local turns, flips, levels, n = {}, 0, {}, 2000
        for i = 1, n do
            local words = aug:describe {index = i}
            turns[i] = tonumber(words:match("rotate (%S-),?$") or words:match("rotate (%S+),"))
            flips = flips + (words:find("hflip") and 1 or 0)
            levels[#levels + 1] = tonumber(words:match("brightness (%S+)"))
        end
        table.sort(turns)
        table.sort(levels)
        assert.is_true(turns[1] >= -30 and turns[1] < -29.5 and turns[n] <= 60 and turns[n] > 59.5)
        assert.near(15, turns[n // 2], 3)
        assert.near(0.3, flips / n, 0.04)
        assert.near(0.8, #levels / n, 0.04)
        assert.near(1.25, levels[#levels // 2], 0.06)
    end)

    it("makes noise of mean 0, the given deviation and no pattern", function()
        local grey = lx.full({3, 101, 97}, 128):byte()
        local noise = pipeline {{"noise", 12}}(grey):float() - 128
        assert.near(0, noise:mean():item(), 0.3)
        assert.near(12, noise:square():mean():sqrt():item(), 0.3)
        local planes = noise:view(3, -1)
        assert.near(0, (planes[1] * planes[2]):mean():item() / 144, 0.04)
        local row = noise:view(-1)
        local count = row.shape[1] - 1
        assert.near(0, (row:narrow(1, 1, count) * row:narrow(1, 2, count)):mean():item() / 144, 0.03)
        -- four numbers come from each random word: they stand in these distances
        for _, lag in ipairs {256, 512, 768} do
            local rest = row.shape[1] - lag
            local product = row:narrow(1, 1, rest) * row:narrow(1, 1 + lag, rest)
            assert.near(0, product:mean():item() / 144, 0.03)
        end
    end)

    -- The four words of Philox 4x32-10, as the paper has it.
    local function philox(key, low, high)
        local mask <const> = 0xffffffff
        local k0, k1 = key & mask, key >> 32
        local c = {low & mask, low >> 32, high & mask, high >> 32}
        for _ = 1, 10 do
            local a, b = c[1] * 0xD2511F53, c[3] * 0xCD9E8D57
            c = {(b >> 32) ~ c[2] ~ k0, b & mask, (a >> 32) ~ c[4] ~ k1, a & mask}
            k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
        end
        return c
    end

    it("makes noise of the words that seed, epoch, index and plane name", function()
        local grey = lx.full({3, 1, 3000}, 128):byte()
        local got = pipeline {{"noise", 20}}(grey, {seed = 9, epoch = 4, index = 77})
        for _, at in ipairs {
            {0, 0}, {1, 1}, {2, 300}, {0, 511}, {1, 700}, {2, 1023}, {0, 1024}, {1, 2500}, {2, 2999},
        } do
            local plane, pixel = at[1], at[2]
            local group, place = pixel % 1024 // 256, pixel % 256
            local call = pixel // 1024 * 64 + place % 64
            local word = philox(9, 77, 4 << 40 ~ plane << 36 ~ call)[place // 64 + 1]
            local a, b, c, d = word & 255, word >> 8 & 255, word >> 16 & 255, word >> 24
            local sums = {a + b + c + d - 510, a + b - c - d, a - b + c - d, a - b - c + d}
            local level = math.max(0, math.min(255, 128 + sums[group + 1] / 147.80279 * 20))
            assert.near(level, got[{plane + 1, 1, pixel + 1}], 0.501)
        end
    end)

    it("changes levels as the functions of vision do", function()
        local large = picture(40, 48)
        local vision = lx.vision
        for _, case in ipairs {
            {{"equalize"}, vision.equalize(large)},
            {{"clahe", 3, tiles = 4}, vision.clahe(large, {clip = 3, tiles = 4})},
            {{"gamma", {1.5, 1.5}}, vision.adjust_gamma(large, 1.5)},
            {{"blur", {1.1, 1.1}}, vision.gaussian_blur(large, 1.1)},
            {{"median", 5}, vision.median_blur(large, 5)},
            {{"invert"}, vision.invert(large)},
            {{"autocontrast", 0.02}, vision.normalize_percentile(large, {low = 0.02, high = 0.98})},
            {{"brightness", {1.5, 1.5}}, (large:float() * 1.5):clamp(0, 255):round():byte()},
            {{"posterize", 3}, (large:float() / 32):floor():mul(32):byte()},
            {{"offset", {-60, -60}}, (large:float() - 60):clamp(0, 255):byte()},
            {{"offset", {70, 70}}, (large:float() + 70):clamp(0, 255):byte()},
        } do
            local step, expected = case[1], case[2]
            assert.is_true(largest_difference(expected, (pipeline {step}(large))) <= 1, step[1])
        end
        local contrast = pipeline {{"contrast", {0.5, 0.5}}}(large):float()
        assert.near(large:float():mean():item(), contrast:mean():item(), 0.6)
        local solar = pipeline {{"solarize", 128}}(large)
        assert.equal(255 - 220, solar[{1, 3, 6}])
        assert.equal(large[{1, 40, 1}] >= 128 and 255 - large[{1, 40, 1}] or large[{1, 40, 1}], solar[{1, 40, 1}])
    end)

    it("does with floats what it does with bytes", function()
        local bytes = picture(40, 48)
        local floats = bytes:float()
        for _, step in ipairs {
            {"rotate", 20}, {"elastic"}, {"brightness"}, {"offset"}, {"contrast"}, {"gamma"}, {"noise", 5}, {"blur"},
            {"sharpness"}, {"autocontrast"}, {"invert"}, {"solarize"}, {"median"}, {"perspective"},
            {"random_erasing", p = 1}, {"random_resized_crop"}, {"resolution"}, {"marker", p = 1},
        } do
            local got = pipeline {step, size = 33}(floats)
            assert.equal("float32", got.dtype)
            local apart = largest_difference(got, (pipeline {step, size = 33}(bytes)))
            assert.is_true(apart <= 1.6, ("%s: %g"):format(step[1], apart))
        end
    end)

    it("takes masks and boxes along", function()
        local mask = lx.zeros({1, 20, 24}, {dtype = "uint8"})
        mask:narrow(2, 3, 4):narrow(3, 5, 6):fill_(7)
        local box = {x = 4, y = 2, w = 6, h = 4}
        for seed = 1, 30 do
            local aug = pipeline {
                {"hflip"}, {"rotate", 15}, {"shift", 0.15}, {"zoom", 0.2}, {"elastic", 0.01},
                {"perspective", 0.2, p = 0.3}, {"noise", 20}, {"random_erasing"}, size = {60, 72},
            }
            local _, seen, boxes = aug(image, {seed = seed, mask = mask, boxes = {box}})
            assert.same({1, 60, 72}, seen.shape)
            -- labels are not mixed
            assert.equal(0, (seen:ne(0):float() * seen:ne(7):float()):sum():item())
            -- the box holds the mask that moved, and not much more
            local _, parts = lx.vision.connected_components(seen[1])
            if parts[1] then
                local part, found = parts[1], boxes[1]
                for _, edge in ipairs {
                    {part.x - found.x, found.w}, {part.y - found.y, found.h},
                    {found.x + found.w - part.x - part.w, found.w}, {found.y + found.h - part.y - part.h, found.h},
                } do
                    local words = ("seed %d: %g"):format(seed, edge[1])
                    assert.is_true(edge[1] > -2.5 and edge[1] < 3 + 0.3 * edge[2], words)
                end
            end
        end
        local away = pipeline {{"shift", {0.9, 0.9}, y = {0, 0}}}
        local _, _, gone = away(image, {boxes = {{x = 14, y = 2, w = 3, h = 3}}})
        assert.same({}, gone)
        local _, _, flipped = pipeline {{"hflip", p = 1}}(image, {boxes = {box}})
        assert.same({{x = 14, y = 2, w = 6, h = 4}}, flipped)
    end)

    it("erases a rectangle of about the size it says", function()
        local white = lx.full({1, 100, 100}, 255):byte()
        for index = 1, 20 do
            local erased = pipeline {{"random_erasing", {0.1, 0.2}, p = 1}}(white, {index = index})
            local share = erased:eq(0):float():mean():item()
            assert.is_true(share > 0.09 and share < 0.22, share)
        end
        local noisy = pipeline {{"random_erasing", {0.3, 0.3}, value = -1, p = 1}}(white)
        assert.is_true(noisy:float():mean():item() < 240 and noisy:ne(255):float():mean():item() > 0.25)
    end)

    it("follows RandAugment", function()
        local aug, seen = pipeline {{"rand_augment", n = 2, m = 15}}, {}
        for index = 1, 400 do
            for word in aug:describe({index = index}):gmatch("([%a_]+)") do seen[word] = (seen[word] or 0) + 1 end
            assert.same({1, 20, 24}, aug(image, {index = index}).shape)
        end
        for _, name in ipairs {
            "shear", "shift", "rotate", "brightness", "contrast", "sharpness", "posterize", "solarize", "autocontrast",
            "equalize",
        } do
            assert.is_true((seen[name] or 0) > 25, name)
        end
        -- a range of magnitudes
        local least, most = math.huge, 0
        local trivial = pipeline {{"rand_augment", n = 1, m = {0, 30}}}
        for index = 1, 600 do
            local turn = tonumber(trivial:describe({index = index}):match("^rotate %-?(.*)$"))
            if turn then least, most = math.min(least, turn), math.max(most, turn) end
        end
        assert.is_true(least < 4 and most > 26 and most <= 30)
    end)

    it("erases the rectangle that it says, and nothing else", function()
        local height, width = 80, 100
        local bright = lx.randint(100, 256, {1, height, width}, {dtype = "uint8"})
        for index = 1, 30 do
            local aug = pipeline {{"random_erasing", {0.05, 0.4}, value = index, p = 1}}
            local x, y, w, h = aug:describe({index = index}):match("^random_erasing (%S+) (%S+) (%S+) (%S+)$")
            local erased = aug(bright, {index = index})
            local gone = erased:lt(100)
            assert.equal(index, erased:float():min():item())
            assert.is_true(lx.equal(lx.where(gone, bright:float() * 0 + index, bright:float()), erased:float()))
            local top, bottom = ends(gone[1]:float():max(2))
            local left, right = ends(gone[1]:float():max(1))
            assert.equal((bottom - top + 1) * (right - left + 1), gone:float():sum():item())
            -- all pixels that it touches; three digits are shown
            assert.near(y * height, top - 1, 1.1)
            assert.near((y + h) * height, bottom, 1.1)
            assert.near(x * width, left - 1, 1.1)
            assert.near((x + w) * width, right, 1.1)
        end
    end)

    it("covers the shares of the sides that it says, with the level that it says", function()
        local height, width = 83, 101
        local levels, random = lx.randint(20, 200, {1, height, width}, {dtype = "uint8"}), {}
        local mean = math.floor(levels:float():mean():item() + 0.5)
        for index = 1, 30 do
            local level = index % 3 == 0 and -1 or index % 3 == 1 and -2 or index
            local aug = pipeline {{"border", {0.02, 0.4}, level = level, p = 1}}
            local words = {aug:describe({index = index}):match("^border (%S+) (%S+) (%S+) (%S+) (%S+)$")}
            for i, word in ipairs(words) do words[i] = tonumber(word) end
            local covered, whole = aug(levels, {index = index}), levels:clone()
            local function place(share, side) return math.floor(share * side + 0.5) end
            local left, top = place(words[1], width), place(words[3], height)
            -- three digits are shown
            local inner = covered:narrow(2, top + 2, height - top - place(words[4], height) - 3)
            inner = inner:narrow(3, left + 2, width - left - place(words[2], width) - 3)
            whole = whole:narrow(2, top + 2, inner.shape[2]):narrow(3, left + 2, inner.shape[3])
            assert.is_true(lx.equal(whole, inner))
            local wanted = level == -2 and mean or level == -1 and words[5] or level
            if level == -1 then random[words[5]] = true end
            for _, strip in ipairs {
                covered:narrow(3, 1, left - 1), covered:narrow(2, 1, top - 1),
                covered:narrow(3, width + 2 - place(words[2], width), place(words[2], width) - 1),
                covered:narrow(2, height + 2 - place(words[4], height), place(words[4], height) - 1),
            } do
                if strip:numel() > 0 then
                    assert.equal(wanted, strip:float():min():item())
                    assert.equal(wanted, strip:float():max():item())
                end
            end
        end
        local count = 0
        for _ in pairs(random) do count = count + 1 end
        assert.is_true(count > 7)
    end)

    it("bends levels by a monotone curve through the points that it says", function()
        local ramp = lx.arange(256):view(1, 4, 64)
        for index = 1, 40 do
            local aug = pipeline {{"tone", index / 40}}
            local y = {aug:describe({index = index}):match("^tone (%S+) (%S+) (%S+)$")}
            local curve, last = aug(ramp, {index = index}):view(256):totable(), 0
            assert.equal(0, curve[1])
            assert.near(255, curve[256], 1e-3)
            for i = 1, 3 do
                local at = 255 * i / 4 -- between two levels
                local low = math.floor(at)
                local level = curve[low + 1] + (at - low) * (curve[low + 2] - curve[low + 1])
                assert.near(255 * tonumber(y[i]), level, 0.25)
            end
            for i = 1, 256 do
                assert.is_true(curve[i] >= last)
                last = curve[i]
            end
            local bytes = aug(ramp:byte(), {index = index})
            assert.is_true(largest_difference(bytes, aug(ramp, {index = index})) <= 0.5001)
        end
        assert.is_true(largest_difference(ramp, (pipeline {{"tone", 0}}(ramp))) < 1e-3)
        local first, second = pipeline {{"tone", 1}}(ramp, {index = 1}), pipeline {{"tone", 1}}(ramp, {index = 2})
        assert.is_true(largest_difference(first, second) > 5)
    end)

    it("loses what libjpeg loses", function()
        local golden = assert(lx.load("spec/golden/jpeg_loss.safetensors"))
        local whole = golden.image:unsqueeze(1)
        for quality, limits in pairs {
            [10] = {1, 0.01}, [30] = {1, 0.01}, [50] = {1, 0.02}, [75] = {4, 0.12}, [95] = {4, 0.35}, [100] = {2, 0.15},
        } do
            local aug = pipeline {{"jpeg", quality}}
            assert.equal("jpeg " .. quality, aug:describe({index = 3}))
            local lost = aug(whole)
            local apart = (lost:float() - golden["quality_" .. quality]:unsqueeze(1):float()):abs()
            assert.is_true(apart:max():item() <= limits[1], quality)
            assert.is_true(apart:mean():item() < limits[2], quality)
            assert.is_true(lx.equal(lost:float(), (aug(whole:float()))))
        end
        local seen = {}
        for index = 1, 60 do
            seen[pipeline {{"jpeg", {40, 42}}}:describe({index = index})] = true
        end
        assert.same({["jpeg 40"] = true, ["jpeg 41"] = true, ["jpeg 42"] = true}, seen)
    end)

    it("moves corners inwards by up to half of the distortion", function()
        local height, width, distortion = 90, 120, 0.4
        local aug = pipeline {{"perspective", distortion}}
        local farthest = 0
        for index = 1, 12 do
            local place = places(aug, height, width, {index = index})
            -- the map from what comes out to what went in, from four points of it; it holds elsewhere too
            local from, to = {}, {}
            for i, at in ipairs {{35, 30}, {85, 31}, {84, 60}, {36, 59}} do
                from[i], to[i] = {at[1] + 0.5, at[2] + 0.5}, {place(at[1], at[2])}
            end
            local x, y = homography(from, to)(60.5, 45.5)
            local u, v = place(60, 45)
            assert.near(u, x, 0.02)
            assert.near(v, y, 0.02)
            -- the other way round: where the corners of what went in are
            local forward = homography(to, from)
            for i, corner in ipairs {{0, 0}, {width, 0}, {width, height}, {0, height}} do
                x, y = forward(corner[1], corner[2])
                local right, low = i == 2 or i == 3, i >= 3
                local inward = {(right and width - x or x) / width, (low and height - y or y) / height}
                for _, share in ipairs(inward) do
                    assert.is_true(share > -0.005 and share < distortion / 2 + 0.005, share)
                    farthest = math.max(farthest, share)
                end
            end
        end
        assert.is_true(farthest > 0.8 * distortion / 2)
    end)

    it("crops rectangles of the area and proportion it says", function()
        local aug = pipeline {{"random_resized_crop", {0.3, 0.6}, ratio = {0.5, 2}}}
        local areas, ratios = {math.huge, 0}, {math.huge, 0}
        for index = 1, 200 do
            local x, y, w, h = aug:describe({index = index}):match("^random_resized_crop (%S+) (%S+) (%S+) (%S+)$")
            x, y, w, h = tonumber(x), tonumber(y), tonumber(w), tonumber(h)
            assert.is_true(x >= 0 and y >= 0 and x + w <= 1.01 and y + h <= 1.01)
            assert.is_true(w * h > 0.29 and w * h < 0.61 and w / h > 0.49 and w / h < 2.02)
            areas = {math.min(areas[1], w * h), math.max(areas[2], w * h)}
            ratios = {math.min(ratios[1], w / h), math.max(ratios[2], w / h)}
            if index <= 5 then
                local place = places(aug, 60, 80, {index = index})
                local u, v = place(50, 20)
                assert.near((x + w * 50.5 / 80) * 80, u, 0.5)
                assert.near((y + h * 20.5 / 60) * 60, v, 0.4)
            end
        end
        assert.is_true(areas[1] < 0.33 and areas[2] > 0.57 and ratios[1] < 0.6 and ratios[2] > 1.7)
    end)

    it("bends smoothly, by about what it says", function()
        local height, width, shift = 60, 100, 0.03
        local aug = pipeline {{"elastic", shift, cells = 4}}
        local sums, n = {0, 0, 0, 0, 0}, 150
        for index = 1, n do
            local place = places(aug, height, width, {index = index})
            local u, v = place(50, 30)
            local dx, dy = (u - 50.5) / width, (v - 30.5) / height
            for i, number in ipairs {dx, dy, dx * dx, dy * dy, dx * dy} do sums[i] = sums[i] + number / n end
            for column = 20, 79 do -- no jumps from pixel to pixel
                local here, there = place(column, 30), (place(column + 1, 30))
                assert.near(1, there - here, 0.6)
            end
        end
        -- A node moves by a sum of three uniform numbers of variance 1/3 each; a cubic B-spline at a node weighs nodes
        -- by 1/6, 2/3, 1/6 each way, which leaves a quarter of the variance.
        assert.near(0, sums[1], 0.25 * shift)
        assert.near(0, sums[2], 0.25 * shift)
        assert.near(shift / 2, math.sqrt(sums[3]), 0.12 * shift)
        assert.near(shift / 2, math.sqrt(sums[4]), 0.12 * shift)
        assert.near(0, sums[5], 0.1 * shift * shift)
    end)

    -- Table 6 of Cubuk et al. 2020 as torchvision has it: what a kind draws at magnitude m of 30, in the units that
    -- `describe` shows. `either`: with both signs.
    it("draws RandAugment's magnitudes", function()
        local either = {
            shear = function(share) return 0, math.deg(0.3 * share) end,
            shift = function(share) return 0, 0.45 * share end,
            rotate = function(share) return 0, 30 * share end,
            brightness = function(share) return 1, 0.9 * share end,
            contrast = function(share) return 1, 0.9 * share end,
            sharpness = function(share) return 1, 0.9 * share end,
        }
        local fixed = {
            posterize = function(share) return 8 - math.floor(4 * share + 0.5) end,
            solarize = function(share) return 255 * (1 - share) end,
        }
        for _, m in ipairs {3, 15, 30} do
            local aug, seen, axes = pipeline {{"rand_augment", n = 1, m = m}}, {}, {}
            for index = 1, 500 do
                local name, rest = aug:describe({index = index}):match("^([%a_]*) ?(.*)$") -- may draw nothing
                local numbers = {}
                for number in rest:gmatch("%S+") do numbers[#numbers + 1] = tonumber(number) end
                local where = ("%s of magnitude %d"):format(name, m)
                if name == "shear" or name == "shift" then -- along one of the two axes
                    local axis = numbers[1] ~= 0 and 1 or 2
                    assert.equal(0, numbers[3 - axis], where)
                    axes[name .. axis] = (axes[name .. axis] or 0) + 1
                    numbers = {numbers[axis]}
                end
                if either[name] then
                    local middle, reach = either[name](m / 30)
                    assert.near(reach, math.abs(numbers[1] - middle), 0.006 * (middle + reach), where)
                    local sign = numbers[1] > middle and "+" or "-"
                    seen[name .. sign] = (seen[name .. sign] or 0) + 1
                elseif fixed[name] then
                    assert.near(fixed[name](m / 30), numbers[1], 0.5, where)
                    seen[name] = (seen[name] or 0) + 1
                end
            end
            for name in pairs(fixed) do assert.is_true(seen[name] > 20, name) end
            for name in pairs(either) do
                assert.is_true(seen[name .. "+"] > 5 and seen[name .. "-"] > 5, name)
            end
            for _, name in ipairs {"shear1", "shear2", "shift1", "shift2"} do
                assert.is_true(axes[name] > 15, name)
            end
        end
    end)

    -- ---- other hospitals ------------------------------------------------------------------------------------------

    it("loses resolution: means of areas, and lines between them", function()
        for index = 1, 8 do
            local aug = pipeline {{"resolution", {0.2, 0.9}}}
            local share = tonumber(aug:describe({index = index}):match("^resolution (%S+)$"))
            local height, width = 37, 53
            local levels = lx.rand(1, height, width) * 255
            local small_height, small_width = math.floor(height * share + 0.5), math.floor(width * share + 0.5)
            local rows, small = levels[1]:totable(), {}
            -- the mean over the square that a pixel of the small picture covers
            local function overlap(k, size, count, i)
                local low, high = k * size / count, (k + 1) * size / count
                return math.max(0, math.min(high, i + 1) - math.max(low, i))
            end
            for y = 0, small_height - 1 do
                small[y] = {}
                for x = 0, small_width - 1 do
                    local sum, area = 0, 0
                    for i = 0, height - 1 do
                        local down = overlap(y, height, small_height, i)
                        for j = 0, down > 0 and width - 1 or -1 do
                            local weight = down * overlap(x, width, small_width, j)
                            sum, area = sum + weight * rows[i + 1][j + 1], area + weight
                        end
                    end
                    small[y][x] = sum / area
                end
            end
            local function inside(value, size) return math.max(0, math.min(size - 1, value)) end
            local got = aug(levels, {index = index})[1]:totable()
            for y = 0, height - 1, 5 do
                for x = 0, width - 1, 7 do
                    local v = inside((y + 0.5) * small_height / height - 0.5, small_height)
                    local u = inside((x + 0.5) * small_width / width - 0.5, small_width)
                    local top, left = math.floor(v), math.floor(u)
                    local low, right = inside(top + 1, small_height), inside(left + 1, small_width)
                    local wanted = (small[top][left] * (1 - u + left) + small[top][right] * (u - left)) * (1 - v + top)
                        + (small[low][left] * (1 - u + left) + small[low][right] * (u - left)) * (v - top)
                    assert.near(wanted, got[y + 1][x + 1], 0.01)
                end
            end
        end
        assert.is_true(lx.equal(image, (pipeline {{"resolution", 1}}(image))))
        assert.same({1, 1, 1}, pipeline {{"resolution", 0.02}}(image:narrow(2, 1, 1):narrow(3, 1, 1)).shape)
    end)

    it("puts a marker of the size and level that it says where it says, and leaves the rest", function()
        local height, width, corners, texts = 200, 240, {}, {}
        local grey = lx.full({1, height, width}, 100):byte()
        for index = 1, 80 do
            local aug = pipeline {{"marker", {0.05, 0.1}, level = index % 2 == 0 and 7 or -1, p = 1}}
            local words = {aug:describe({index = index}):match("^marker (%S+) (%S+) (%S+) (%S+) (%S+)$")}
            for i, word in ipairs(words) do words[i] = tonumber(word) end
            local size, x, y, level, text = table.unpack(words)
            local seen = aug(grey, {index = index})
            local drawn = seen:ne(100)
            assert.equal(0, (seen:ne(level):float() * drawn:float()):sum():item())
            assert.is_true(index % 2 == 1 and (level < 56 or level >= 200) or level == 7)
            local top, bottom = ends(drawn[1]:float():max(2))
            local left, right = ends(drawn[1]:float():max(1))
            assert.near(size * height, bottom - top + 1, 0.12 * size * height + 1.5)
            assert.near(y * (height - size * height), top - 1, 2 + 0.12 * size * height)
            local margin = x < 0.5 and x or 1 - x
            assert.is_true(margin >= 0.0099 and margin <= 0.151 and (y < 0.16 or y > 0.84))
            assert.is_true(x < 0.5 and left < 0.2 * width or x > 0.5 and right > 0.8 * width)
            corners[(x < 0.5 and "left" or "right") .. (y < 0.5 and "top" or "bottom")] = true
            texts[text // 250] = true
            assert.is_true(lx.equal(seen:float(), (aug(grey:float(), {index = index}))))
        end
        for _, corner in ipairs {"lefttop", "righttop", "leftbottom", "rightbottom"} do
            assert.is_true(corners[corner], corner)
        end
        assert.same({[0] = true, true, true, true}, texts)
        assert.same({1, 1, 1}, pipeline {{"marker", 0.5, p = 1}}(lx.zeros(1, 1, 1)).shape)
    end)

    it("takes the levels of another image, as far as it says", function()
        -- the levels of an image that shares of its pixels are below, straight from its sorted pixels
        local function sorted(of)
            local values = of:float():view(-1):totable()
            table.sort(values)
            return values
        end
        -- the place of a level in the middle of the pixels that have it
        local function share_below(values, level)
            local below, same = 0, 0
            for _, value in ipairs(values) do
                below, same = below + (value < level and 1 or 0), same + (value == level and 1 or 0)
            end
            return (below + same / 2) / #values
        end
        local from = lx.randint(10, 120, {1, 41, 43}, {dtype = "uint8"})
        local other = ((lx.rand(1, 51, 47) ^ 2) * 200 + 40):floor():byte()
        local own, others = sorted(from), sorted(other)
        for _, strength in ipairs {0, 0.5, 1} do
            local aug = pipeline {{"style", strength}, styles = {other}}
            local got, floats = aug(from):float():view(-1):totable(), aug(from:float()):view(-1):totable()
            for i = 1, #got, 13 do
                local level = from:view(-1)[i]
                local share = share_below(own, level)
                local matched = others[math.max(1, math.ceil(share * #others))]
                assert.near(level + strength * (matched - level), got[i], 2)
                assert.near(got[i], floats[i], 0.501)
            end
        end
        -- its own levels change nothing much, and which image's are taken depends on the draw
        local same = pipeline {{"style", 1}, styles = {from}}(from)
        assert.is_true(largest_difference(same, from) <= 1)
        local flat = {lx.full({1, 9, 9}, 30):byte(), lx.full({1, 9, 9}, 220)}
        local two, means = pipeline {{"style", 1}, styles = flat}, {}
        for index = 1, 40 do
            local mean = two(from, {index = index}):float():mean():item()
            means[mean] = (means[mean] or 0) + 1
        end
        assert.is_true(means[30] > 8 and means[220] > 8)
        assert.is_nil(next(means, next(means, (next(means)))))
        -- batches take those of the dataset; all of one image stay as they are
        local set = lx.data.dataset {
            images = lx.cat({lx.full({1, 1, 8, 8}, 60), lx.full({3, 1, 8, 8}, 180)}, 1):byte(), labels = {0, 1, 0, 1},
            classes = {"a", "b"},
        }
        local seen = {}
        for epoch = 1, 8 do
            for x in lx.data.batches(set, {batch = 4, augment = {{"style", 1}}, epoch = epoch}) do
                for _, level in ipairs((x * 255):round():view(4, -1):mean({2}):totable()) do seen[level] = true end
            end
        end
        assert.same({[60] = true, [180] = true}, seen)
        for x in lx.data.batches(set, {batch = 4, augment = {{"style", 1}}, enhance = {{"invert"}}, epoch = 1}) do
            for _, level in ipairs((x * 255):round():view(4, -1):mean({2}):totable()) do
                assert.is_true(level == 75 or level == 195)
            end
        end
        assert.error_matches(function() pipeline {{"style"}}(image) end, "levels of other images: say which")
        assert.error_matches(function() pipeline {{"style"}, styles = {}} end, "styles: expected 1 to 4096 images, got")
        assert.error_matches(function() lx.data.batches(set, {enhance = {{"style"}}}) end, "it is for 'augment'")
    end)

    it("chooses among steps: so many of them, each as likely, in their order", function()
        local aug = pipeline {
            {"one_of", {{"blur"}, {"sharpness"}, {"invert", p = 0.5}}, p = 0.8},
            {"some_of", {1, 3}, steps = {{"hflip", p = 1}, {"gamma"}, {"rotate"}, {"equalize"}}}, {"posterize"},
        }
        local order = {"blur", "sharpness", "invert", "hflip", "gamma", "rotate", "equalize", "posterize"}
        local place, counts, numbers, n = {}, {}, {}, 3000
        for i, name in ipairs(order) do place[name], counts[name] = i, 0 end
        for index = 1, n do
            local last, first, second = 0, 0, 0
            for word in aug:describe({index = index}):gmatch("([%a_]+)") do
                assert.is_true(place[word] > last)
                last, counts[word] = place[word], counts[word] + 1
                if last <= 3 then first = first + 1 elseif last < 8 then second = second + 1 end
            end
            assert.is_true(first <= 1 and second >= 1 and second <= 3)
            numbers[second] = (numbers[second] or 0) + 1
        end
        for name, share in pairs {
            blur = 0.8 / 3, sharpness = 0.8 / 3, invert = 0.4 / 3, hflip = 0.5, gamma = 0.5, rotate = 0.5,
            equalize = 0.5, posterize = 1,
        } do
            assert.near(share, counts[name] / n, 0.03, name)
        end
        for k = 1, 3 do assert.near(1 / 3, numbers[k] / n, 0.03) end
        -- what moves and what does not, chosen or not, is where it would be in a list of its own
        local flipped = pipeline {{"one_of", {{"hflip", p = 1}}}, {"invert"}}(image)
        assert.is_true(lx.equal(pipeline {{"hflip", p = 1}, {"invert"}}(image), flipped))
        local turned = pipeline {{"one_of", {{"posterize", 1}}}, {"rotate", {30, 30}}}(image)
        assert.is_true(lx.equal(pipeline {{"posterize", 1}, {"rotate", {30, 30}}}(image), turned))
        local portable = require("luxel.vision.pipeline").portable {
            {"one_of", {{"blur", 2}, "invert"}}, {"some_of", 1, steps = {{"jpeg"}}},
        }
        assert.same({
            {step = "one_of", steps = {{step = "blur", sigma = 2}, {step = "invert"}}},
            {step = "some_of", n = 1, steps = {{step = "jpeg"}}},
        }, portable)
        assert.equal(tostring(pipeline(portable)),
            tostring(pipeline {{"one_of", {{"blur", 2}, "invert"}}, {"some_of", 1, steps = {{"jpeg"}}}}))
        assert.error_matches(function() pipeline {{"one_of"}} end, "expected a list of steps to choose among, as in")
        assert.error_matches(function() pipeline {{"some_of", 2, steps = {{"blur"}}}} end,
            "some_of%).n: expected up to 1, the number of its steps, got 2")
        assert.error_matches(function() pipeline {{"some_of", 1.5, steps = {{"blur"}, {"jpeg"}}}} end, "an integer")
        assert.error_matches(function() pipeline {{"one_of", {{"one_of", {{"blur"}}}}}} end, "say all in one list")
        assert.error_matches(function() pipeline {{"one_of", {{"bluur"}}}} end,
            "step 1 %(one_of%): step 1 is 'bluur' %(did you mean 'blur'%?%)")
    end)

    it("erases with the mean of the picture", function()
        local levels = lx.randint(0, 256, {1, 60, 60}, {dtype = "uint8"})
        local erased = pipeline {{"random_erasing", {0.9, 0.9}, ratio = 1, value = -2, p = 1}}(levels)
        local mean = math.floor(levels:float():mean():item() + 0.5)
        assert.is_true(erased:eq(mean):float():mean():item() > 0.85)
    end)

    it("has augmentations by name, each for itself", function()
        for _, name in ipairs {"none", "flips", "full", "strong", "style"} do
            local steps = lx.vision.preset(name)
            steps.styles = {image}
            steps.size = 33
            assert.same({1, 33, 33}, pipeline(steps)(image).shape)
            table.insert(steps, 1, {"invert"})
            assert.is_not.same(steps[1], lx.vision.preset(name)[1])
        end
        assert.same({}, lx.vision.preset("none"))
        assert.error_matches(function() lx.vision.preset("styl") end, 'name: expected "none", .*got "styl"')
    end)

    it("shows itself", function()
        local text = tostring(pipeline {{"rotate", 10}, {"hflip"}, {"clahe"}, size = 224})
        assert.matches("rotate +degrees %-10 to 10", text)
        assert.matches("hflip +p 0.5", text)
        assert.matches("clahe +clip 2, tiles 8", text)
        assert.matches("224x224", text)
        local path = os.tmpname()
        assert.is_true(pipeline({{"rotate", 20}}):preview(image, path, {n = 5, side = 64}))
        local sheet = assert(lx.vision.load(path, {channels = 3}))
        assert.is_true(sheet.shape[3] > 3 * 64 and sheet.shape[2] > 2 * 64)
        os.remove(path)
        local ok, message = pipeline {}:preview(image, "/nowhere/sheet.png")
        assert.is_nil(ok)
        assert.matches("/nowhere", message)
    end)

    it("refuses what it cannot do, saying what it can", function()
        local function with(steps) return function() pipeline(steps) end end
        assert.error_matches(with {{"rotat", 10}},
            "pipeline: steps: step 1 is 'rotat' %(did you mean 'rotate'%?%); the steps are .*rotate")
        assert.error_matches(with {{"hflip"}, {"rotate", angle = 3}},
            "step 2 %(rotate%): unknown option 'angle'; the options are degrees, p")
        assert.error_matches(with {{"rotate", "a"}},
            'step 1 %(rotate%).degrees: expected a number of at least 0 or a pair .*"a"')
        assert.error_matches(with {{"rotate", {1, 2, 3}}}, "degrees: expected a number of at least 0 or a pair")
        assert.error_matches(with {{"shift", 0.1, y = "x"}}, "y: expected a number")
        assert.error_matches(with {{"clahe", false}}, "clip: expected a number")
        assert.error_matches(with {{"hflip", p = false}}, "p: expected a number")
        assert.error_matches(with {{"hflip"}, [3] = {"hflip"}}, "without gaps")
        assert.error_matches(with {{"rotate", 200}}, "degrees %(low%): expected a number from %-180 to 180, got")
        assert.error_matches(with {{"zoom", {2, 1}}}, "2 is above 1")
        assert.error_matches(with {{"hflip", p = 2}}, "p: expected a number from 0 to 1")
        assert.error_matches(with {{"median", 4}}, "odd")
        assert.error_matches(with {{"clahe", tiles = 2.5}}, "integer")
        assert.error_matches(with {sise = 3}, "unknown option 'sise' %(did you mean 'size'%?%)")
        assert.error_matches(with {size = -1}, "size")
        assert.error_matches(with {fit = "squash"}, 'fit: expected "stretch", "pad" or "crop"')
        assert.error_matches(with {fill = "black"}, "fill")
        assert.error_matches(with {{"elastic"}, {"elastic"}}, "one elastic")
        assert.error_matches(function() pipeline(3) end, "pipeline: steps: expected a table, got 3")
        assert.error_matches(function() pipeline {}(lx.zeros(2, 3)) end, "%[1,H,W%]")
        assert.error_matches(function()
            pipeline {}(image, {mask = lx.zeros({1, 3, 3}, {dtype = "uint8"})})
        end, "mask': it has 3 x 3 pixels, its image 20 x 24: not in the same proportion")
        assert.error_matches(function() pipeline {}(image, {mask = lx.zeros(1, 20, 24)}) end,
            "option 'mask': expected a mask")
        assert.error_matches(function() pipeline {}(image, {boxes = {{1, 2, 3, 4}}}) end, "x =, y =")
        local _, where = pcall(pipeline, {{"rotat"}})
        assert.is_string(where)
        assert.error_matches(function() core.pipeline({{"nothing", 1}}, {}) end, "nothing")
    end)
end)
