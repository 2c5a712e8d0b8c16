--- Says for new radiographs whether they look infected, and how sure the model is.
--
--     lua5.4 predict.lua --model runs/first/best.safetensors xray.jpeg

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local cjson = require "cjson"
local common = require "common"
local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local new_dataset = require("luxel.data.dataset").new
local vision = lx.vision

local parser = argparse("predict.lua", "Says whether radiographs look infected.", common.NOTICE)
parser:argument("images", "Image files (JPEG, PNG, DICOM, PGM, BMP)."):args("+")
parser:option("--model", "Model file that train.lua wrote."):count(1)
common.add_device_option(parser)
parser:option("--out", "Folder for the images with label and probability drawn on them.")
parser:flag("--json", "Print a JSON object for each image instead of text.")
local args = parser:parse()

local GREEN <const>, RED <const> = {110, 230, 120}, {255, 96, 84}

-- Says on the standard error why a picture may not be fit to be read; the findings are in --json too.
local function check_quality(path)
    local image = vision.load(path, {bits = 8})
    local findings = image and vision.quality(image) or {}
    for _, finding in ipairs(findings) do
        io.stderr:write(("[WARN] %s: %s\n"):format(path, finding.message))
    end
    return findings
end

-- The probability of infection, or nil and why the file cannot be read.
local function examine(model, path)
    local image, ok, messages = core.decode_images({path}, model.size)
    if not ok[1] then return nil, messages[1] end
    return common.probabilities(model, new_dataset {images = image, labels = lx.zeros(1), paths = {path}})[1]
end

-- What every picture says: the first where there is room for it.
local NOTICES <const> = {"supports a reading, does not replace one", "no diagnosis"}

-- The text in lines that fit the width.
local function wrap(text, width, scale)
    local lines = {}
    for word in text:gmatch("%S+") do
        local longer = lines[1] and lines[#lines] .. " " .. word
        if longer and vision.text_size(longer, scale) + 8 * scale <= width then
            lines[#lines] = longer
        else
            lines[#lines + 1] = word
        end
    end
    return lines
end

-- A picture with a bar that says the label, and the notice below.
local function annotate(path, label, probability)
    local image, message = vision.load(path, {bits = 8})
    if not image then return nil, message end
    image = vision.to_rgb(image)
    local height, width = image.shape[2], image.shape[3]
    local text = ("%s %.2f%%"):format(label, 100 * probability)
    local scale = math.max(1, math.min(width // (vision.text_size(text) + 12), 1 + height // 224))
    local _, line = vision.text_size(text, scale)
    local title = wrap(text, width, scale)
    image = vision.fill_rect(image, {x = 0, y = 0, w = width, h = #title * line + 4 * scale}, {alpha = 0.65})
    for i, words in ipairs(title) do
        image = vision.draw_text(image, 4 * scale, 3 * scale + (i - 1) * line, words,
            {colour = label == common.LABELS[2] and RED or GREEN, scale = scale})
    end
    local small = math.max(1, scale // 2)
    local _, low = vision.text_size(text, small)
    local lines = wrap(NOTICES[1], width, small)
    if #lines * low > height // 3 then lines = wrap(NOTICES[2], width, small) end
    local top = height - #lines * low
    image = vision.fill_rect(image, {x = 0, y = top - 2 * small, w = width, h = height}, {alpha = 0.65})
    for i, words in ipairs(lines) do
        image = vision.draw_text(image, 4 * small, top + (i - 1) * low, words, {scale = small})
    end
    return image
end

-- Two images of one name must not overwrite each other.
local taken = {}
local function output_path(path)
    local stem = path:match("[^/]*$"):gsub("%.%w+$", "")
    local name, number = stem, 1
    while taken[name] do
        number = number + 1
        name = ("%s-%d"):format(stem, number)
    end
    taken[name] = true
    return args.out .. "/" .. name .. ".png"
end

local function report(path, label, probability, infected, findings)
    if args.json then
        local warnings = {}
        for i, finding in ipairs(findings) do warnings[i] = finding.message end
        print(cjson.encode {path = path, label = label, probability = probability, infected = infected,
            warnings = #warnings > 0 and warnings or nil, notice = common.NOTICE})
    elseif #args.images == 1 then
        print(("xray %s: %.2f%%"):format(label, 100 * probability))
    else
        print(("%s: %s: %.2f%%"):format(path, label, 100 * probability))
    end
end

if not args.json then print("[INFO] loading network...") end
local device, device_words = common.device(args.device)
if device ~= "cpu" then io.stderr:write("computing on ", device_words, "\n") end
local model = common.must(common.load_model(args.model, device))
if args.out and not lfs.mkdir(args.out) and lfs.attributes(args.out, "mode") ~= "directory" then
    common.fail("cannot make the folder " .. args.out)
end

local failed = false
local function complain(message)
    failed = true
    io.stderr:write("error: ", message, "\n")
end

for _, path in ipairs(args.images) do
    local infected, message = examine(model, path)
    if not infected then
        complain(message)
    else
        local label, probability = common.decide(model, infected)
        report(path, label, probability, infected, check_quality(path))
        if args.out then
            local picture, problem = annotate(path, label, probability)
            local written = picture and true
            if picture then written, problem = vision.save(output_path(path), picture) end
            if not written then complain(problem) end
        end
    end
end
io.stderr:write(common.NOTICE, "\n")
os.exit(failed and 1 or 0, true)
