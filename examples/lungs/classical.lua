--- How well the lungs are found without a network: the box of lx.vision.find_lungs as it is, and what is dark in it by
-- Otsu's threshold, on the images and with the figures of cross_validate.lua; and how well two drawings of people
-- agree.
-- Usage: lua5.4 classical.lua DATA, the folder with images/, masks/ and images.csv

local lx = require "luxel"
local vision = lx.vision

local data = arg[1] or error("usage: classical.lua DATA", 0)

-- The same images as there.
local LEFT_OUT <const> = {
    ["https://www.eurorad.org/case/16660"] = true, ["https://www.sirm.org/2020/05/12/covid-19-caso-72/"] = true,
}

local frame = assert(lx.data.frame(data .. "/images.csv", {
    path = "image", root = data .. "/images", masks = data .. "/masks", patient = "url", classes = {"lungs"},
    keep = function(row) return row.view ~= "L" and not LEFT_OUT[row.url] end,
}))
local set = assert(frame:open())

-- All of the box.
local function fill(image, box)
    local mask = lx.zeros(1, image.shape[2], image.shape[3])
    mask:narrow(2, box.y + 1, box.h):narrow(3, box.x + 1, box.w):fill_(1)
    return mask
end

-- The two largest dark parts of the box that do not reach its sides, without holes and thin bridges.
local function dark_parts(image, box)
    local part = vision.gaussian_blur(vision.crop(image, box), 2)
    local dark = vision.invert(vision.threshold(part, (vision.otsu(part))))
    local side = math.max(3, math.min(box.w, box.h) // 40 * 2 + 1)
    dark = vision.closing(vision.opening(dark, side, {shape = "ellipse"}), side, {shape = "ellipse"})
    local labels, groups = vision.connected_components(dark)
    for k, group in ipairs(groups) do
        group.label = k
        group.inner = group.x > 0 and group.x + group.w < box.w
    end
    table.sort(groups, function(a, b)
        if a.inner ~= b.inner then return a.inner end
        return a.area > b.area
    end)
    local mask = fill(image, box)
    local found = lx.zeros(1, box.h, box.w)
    for k = 1, math.min(2, #groups) do
        found = found + labels:eq(groups[k].label):float():view(1, box.h, box.w)
    end
    mask:narrow(2, box.y + 1, box.h):narrow(3, box.x + 1, box.w):copy_(found)
    return mask
end

for _, way in ipairs {{"the box", fill}, {"dark parts of the box", dark_parts}} do
    local dice, iou = {}, {}
    for i = 1, #set do
        local image = assert(set:image(i))
        local found, truth = way[2](image, vision.find_lungs(image)), assert(set:mask(i))
        dice[i], iou[i] = lx.metrics.dice(found, truth), lx.metrics.iou(found, truth)
    end
    print(("%-22s Dice %s  IoU %s"):format(way[1], lx.metrics.mean(dice, {groups = set.groups}),
        lx.metrics.mean(iou, {groups = set.groups})))
end

-- The copies have masks of their own: how well people agree on the same picture.
local ARDS <const> = "covid-19-rapidly-progressive-acute-respiratory-distress-syndrome-ards-"
local function mask_named(name) return (assert(vision.load(("%s/masks/%s.png"):format(data, name)))) end

local dice = {}
for copy, name in pairs {
    ["16660_2_1"] = ARDS .. "admission", ["16660_3_1"] = ARDS .. "day-1", ["16660_4_1"] = ARDS .. "day-2",
    ["case_72_RX-TORACE1"] = "353889E0-A1E8-4F9E-A0B8-F24F36BCFBFB",
} do
    dice[#dice + 1] = lx.metrics.dice(mask_named(copy), mask_named(name))
end
table.sort(dice)
print(("two drawings of %d     Dice %.4f, from %.4f to %.4f"):format(#dice, lx.metrics.mean(dice).mean, dice[1],
    dice[#dice]))
