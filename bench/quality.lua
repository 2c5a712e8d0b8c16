--- How often the checks of `lx.vision.quality` are wrong about good radiographs, and find bad ones: the tables of
--- docs/quality.md.
--
--     lua5.4 bench/quality.lua NAME=FOLDER ...

local lfs = require "lfs"
local lx = require "luxel"
local vision = lx.vision

local function levels(f)
    return function(image) return f(image:float()):clamp(0, 255):round():byte() end
end

-- What spoils a picture, by the code that should be found.
local SPOILT <const> = {
    {"blurred", "Gaussian of 1/50 of the side", function(image)
        return vision.gaussian_blur(image, image.shape[2] / 50)
    end},
    {"dark", "levels times 0.2", levels(function(x) return x * 0.2 end)},
    {"bright", "levels brought to 200 .. 255", levels(function(x) return x * (55 / 255) + 200 end)},
    {"low_contrast", "levels brought to 100 .. 140", levels(function(x) return x * (40 / 255) + 100 end)},
    {"clipped", "levels times 2.2", levels(function(x) return x * 2.2 end)},
    {"inverted", "black and white exchanged", vision.invert},
    {"rotated", "turned by 90 degrees", function(image) return vision.rot90(image, 1) end},
    {"rotated", "turned by 180 degrees", function(image) return vision.rot90(image, 2) end},
    {"rotated", "turned by 270 degrees", function(image) return vision.rot90(image, 3) end},
    {"small", "resized to 100 pixels", function(image) return vision.resize(image, 100, 100) end},
    {"no_chest", "its middle third", function(image)
        local height, width = image.shape[2], image.shape[3]
        return vision.centre_crop(image, height // 3, width // 3)
    end},
}

local function found(image, code)
    for _, finding in ipairs(vision.quality(image)) do
        if finding.code == code then return true end
    end
    return false
end

local MOST <const> = 400 -- images of a folder, evenly picked

-- Adds the files in a folder and below it.
local function add_files(paths, dir)
    for file in lfs.dir(dir) do
        local path = dir .. "/" .. file
        if file:sub(1, 1) ~= "." then
            if lfs.attributes(path, "mode") == "directory" then add_files(paths, path) else paths[#paths + 1] = path end
        end
    end
end

-- Up to MOST images of a folder; what is none is named.
local function load_images(dir)
    local paths, images = {}, {}
    add_files(paths, dir)
    table.sort(paths)
    for i = 1, #paths, math.max(1, #paths // MOST) do
        local image, message = vision.load(paths[i], {bits = 8})
        if not image then io.stderr:write("left out: ", message, "\n") end
        images[#images + 1] = image
    end
    return images
end

local function give_up(text)
    io.stderr:write(text, "\n")
    os.exit(1)
end

if #arg == 0 then give_up("usage: quality.lua NAME=FOLDER ...") end
for _, argument in ipairs(arg) do
    local name, dir = argument:match("^([^=]+)=(.+)$")
    if not name or lfs.attributes(dir, "mode") ~= "directory" then
        give_up(("expected NAME=FOLDER, got '%s'"):format(argument))
    end
    local images = load_images(dir)
    if #images == 0 then give_up(("%s: there are no images in %s"):format(name, dir)) end
    local alarms, any = {}, 0
    for _, image in ipairs(images) do
        local findings = vision.quality(image)
        any = any + (#findings > 0 and 1 or 0)
        for _, finding in ipairs(findings) do alarms[finding.code] = (alarms[finding.code] or 0) + 1 end
    end
    local words = {}
    for code, count in pairs(alarms) do words[#words + 1] = ("%s %.1f %%"):format(code, 100 * count / #images) end
    table.sort(words)
    print(("\n%s: %d images as they are; any finding %.1f %%%s\n"):format(name, #images, 100 * any / #images,
        #words > 0 and " (" .. table.concat(words, ", ") .. ")" or ""))
    print("| check | what was done | found |\n|---|---|---|")
    for _, row in ipairs(SPOILT) do
        local count = 0
        for _, image in ipairs(images) do count = count + (found(row[3](image), row[1]) and 1 or 0) end
        print(("| %s | %s | %.1f %% |"):format(row[1], row[2], 100 * count / #images))
    end
end
