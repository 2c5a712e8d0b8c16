--- `luxel crop`: cuts images to what a model of masks finds in them, the lungs say; a classifier then sees no border.
--
--     luxel crop --model runs/lungs/best.safetensors --data DIR --out CROPPED
--     luxel train --data CROPPED --out runs/cropped
--
-- Folders and names stay, so that classes, parts and patients do. Films to be answered for are cropped in the same way.

local lfs = require "lfs"
local lx = require "luxel"
local make_folder = require "luxel.make_folder"
local options = require "luxel.command.options"

local crop = {summary = "Cuts images to what a model of masks finds in them, such as lungs."}

-- Of the picture: with less, what was found is hardly a pair of lungs.
local LEAST_SHARE <const> = 0.03

--- Adds the options of the command.
function crop.options(parser)
    parser:option("--model", "Model of masks that train wrote."):count(1)
    parser:option("--data", "Folder of images, with all folders below."):count(1)
    parser:option("--out", "Folder for the cropped images, PNG of 8 bits; it must not hold any of them."):count(1)
    options.add_number(parser, "--margin", "Share of the box's sides that is added on each side.", 0.05, 0, 1)
    options.add_device(parser)
end

-- The part of a picture that the mask shows, or all of it and why.
local function cut(picture, answer, margin)
    local box = answer.share >= LEAST_SHARE and lx.vision.mask_box(answer.mask, {margin = margin})
    if not box then
        return picture, ("%s: %.1f%% of the picture; kept whole"):format(answer.label, 100 * answer.share)
    end
    return lx.vision.crop(picture, box)
end

local function crop_one(model, path, to, margin)
    local answer, message = model:predict(path)
    if not answer then return nil, message end
    local picture
    picture, message = lx.vision.load(path, {bits = 8, channels = 1})
    if not picture then return nil, message end
    local part, whole = cut(picture, answer, margin)
    local ok, problem = lx.vision.save(to, part)
    if not ok then options.fail(problem) end
    return true, whole
end

--- Runs the command.
---@param args table the options
---@return integer status
function crop.run(args)
    local device = options.device(args.device)
    local model = options.must(lx.predictor.open(args.model, {device = device}))
    if model.task ~= "segmentation" then
        options.fail(("--model: %s tells %s; a model of masks is wanted"):format(args.model, table.concat(model.classes,
            ", ")))
    end
    local root, paths = args.data:gsub("(.)/+$", "%1"), {}
    if lfs.attributes(root, "mode") ~= "directory" then options.fail(root .. ": this is no folder") end
    if (args.out .. "/"):sub(1, #root + 1) == root .. "/" then
        options.fail(("--out: %s is in the folder of the images, where it would be one more class"):format(args.out))
    end
    options.collect(root, paths, options.fail)
    if #paths == 0 then options.fail(root .. ": there are no images in this folder") end
    local console, left, whole, taken = lx.train.console(), 0, 0, {}
    for i, path in ipairs(paths) do
        local to = args.out .. path:sub(#root + 1):gsub("%.%w+$", "") .. ".png"
        if taken[to] or lfs.attributes(to) then
            options.fail(("%s is there already, and would be written over for %s"):format(to, path))
        end
        taken[to] = true
        options.must(make_folder(to:match("^(.*)/")))
        local ok, message = crop_one(model, path, to, args.margin)
        if message then io.stderr:write(ok and "[WARN] " or "[WARN] left out: ", ok and path .. ": " or "", message,
            "\n") end
        left, whole = left + (ok and 0 or 1), whole + (ok and message and 1 or 0)
        console:reading(i, #paths)
    end
    print(("%d images in %s: %d cropped to %s, %d kept whole, %d left out"):format(#paths, args.out,
        #paths - whole - left, model.classes[1], whole, left))
    print(options.NOTICE)
    return left == #paths and 1 or 0
end

return crop
