--- How well lx.vision.find_lungs finds the lungs of radiographs with lung masks: prints a Markdown table.
-- Usage: lungs.lua DATA, the folder that has lung_masks/ and covid_gb_boxes/ (images/, and masks/ or lung_masks/)

local lfs = require "lfs"
local lx = require "luxel"
local vision = lx.vision

local data = arg[1] or os.getenv("LUXEL_DATA") or "../shared/data"

-- Margins were chosen on the images of lung_masks whose names have an odd CRC-32.
local function crc32(text)
    local crc = 0xffffffff
    for i = 1, #text do
        crc = crc ~ text:byte(i)
        for _ = 1, 8 do crc = (crc >> 1) ~ (0xedb88320 & -(crc & 1)) end
    end
    return ~crc & 0xffffffff
end

-- The box of a mask, without the specks that some have.
local function box_of(mask, area)
    local _, groups = vision.connected_components(mask)
    local left, top, right, low = math.huge, math.huge, 0, 0
    for _, group in ipairs(groups) do
        if group.area >= 0.02 * area then
            left, top = math.min(left, group.x), math.min(top, group.y)
            right, low = math.max(right, group.x + group.w), math.max(low, group.y + group.h)
        end
    end
    return left, top, right, low
end

-- What one image adds to its part; an empty mask (a lateral view) nothing.
local function measure(part, image_path, mask_path)
    local image, mask = assert(vision.load(image_path)), assert(vision.load(mask_path))
    local height, width = image.shape[2], image.shape[3]
    mask = vision.threshold(vision.resize(mask, height, width, {mode = "nearest"}), 127)
    local area = mask:sum():item() / 255
    if area == 0 then return end
    local crop, box = vision.lung_crop(image)
    local inside = vision.crop(mask, box):sum():item() / 255 / area
    local left, top, right, low = box_of(mask, area)
    part.count = part.count + 1
    part.whole = part.whole + (inside >= 0.99 and 1 or 0)
    part.inside = part.inside + inside
    part.least = math.min(part.least, inside)
    part.area = part.area + crop:numel() / (height * width)
    part.left = part.left + (left - box.x) / width
    part.right = part.right + (box.x + box.w - right) / width
    part.top = part.top + (top - box.y) / height
    part.low = part.low + (box.y + box.h - low) / height
end

local parts, seen = {}, {}
local function part_named(name)
    if not parts[name] then
        parts[name] = {name = name, count = 0, whole = 0, inside = 0, least = 1, area = 0,
            left = 0, right = 0, top = 0, low = 0}
        parts[#parts + 1] = parts[name]
    end
    return parts[name]
end

for _, set in ipairs {{"lung_masks", "masks"}, {"covid_gb_boxes", "lung_masks"}} do
    local folder = data .. "/" .. set[1]
    local files = {}
    for file in lfs.dir(folder .. "/images") do
        if not file:find("^%.") then files[#files + 1] = file end
    end
    table.sort(files)
    for _, file in ipairs(files) do
        local base = file:gsub("%.[^.]*$", "")
        local mask = ("%s/%s/%s.png"):format(folder, set[2], base)
        local name = set[1]
        if name == "lung_masks" then
            name = name .. (crc32(base) % 2 == 1 and ", the half of the margins" or ", the other half")
        end
        if not seen[base] and lfs.attributes(mask) then
            measure(part_named(name), folder .. "/images/" .. file, mask)
        end
        seen[base] = true
    end
end

print("| | images | masks inside | mean share of a mask inside | least " ..
    "| mean margin: left, right, top, low | crop / picture |")
print("|---|---|---|---|---|---|---|")
for _, p in ipairs(parts) do
    local n = p.count
    print(("| %s | %d | %.1f %% | %.2f %% | %.1f %% | %.1f, %.1f, %.1f, %.1f %% | %.0f %% |"):format(p.name, n,
        100 * p.whole / n, 100 * p.inside / n, 100 * p.least, 100 * p.left / n, 100 * p.right / n, 100 * p.top / n,
        100 * p.low / n, 100 * p.area / n))
end
