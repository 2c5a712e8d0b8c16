--- `luxel adapt`: fits what a few local images can tell of a trained model anew, for another hospital.
--
--     luxel adapt --model runs/first/best.safetensors --data LOCAL --out here.safetensors
--
-- LOCAL holds 30 to 200 images in class folders, or with --unlabelled images alone. docs/adapting.md says what that is
-- worth, and where it ends.

local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"

local command = {summary = "Adapts a trained model to another hospital, by a few of its images."}

--- Adds the options of the command.
function command.options(parser)
    options.add_model(parser, false)
    parser:option("--data", "Folder of local images with class folders, or a CSV file."):count(1)
    parser:option("--out", "File for the adapted model."):count(1)
    parser:flag("--unlabelled", "The images in --data have no labels; folders mean nothing.")
    parser:option("--steps", "What is adapted: " .. table.concat(lx.adapt.STEPS, ",") .. " (default: "
        .. "all but prior where there are labels, else prior).")
    parser:option("--place", "The hospital, for the model's file.")
    parser:option("--date", "Of the adaptation, as in 2026-03-01 (default: today).")
    options.add_number(parser, "--folds", "Parts of the patients; each is judged with what the others chose.", 5, 2,
        100, true)
    options.add_data(parser)
    options.add_device(parser)
    options.add_seed(parser, "Of the folds and of the resampling for the intervals.", 1)
end

local function steps_of(args)
    if not args.steps then return nil end
    local known, steps = {}, {}
    for _, name in ipairs(lx.adapt.STEPS) do known[name] = true end
    for name in args.steps:gmatch("[^,%s]+") do
        if not known[name] then
            options.fail(("--steps: there is no '%s'; the steps are %s"):format(name, table.concat(lx.adapt.STEPS,
                ",")))
        end
        steps[#steps + 1] = name
    end
    if #steps == 0 then options.fail("--steps: name at least one of " .. table.concat(lx.adapt.STEPS, ",")) end
    return steps
end

-- The local images, without those of patients that the model was trained on.
local function read_data(args, model)
    local frame
    if args.unlabelled then
        frame = options.unlabelled(args, model.metadata.folders or model.classes)
    else
        frame = options.frame(args)
        options.check_classes(model, frame)
    end
    print(frame)
    local dataset, left_out = lx.data.unseen(options.load_for(frame, model), model.metadata.trained_on)
    if left_out.pixels + left_out.patients > 0 then
        print(("left out: %d images that the model was trained on, and %d others of their patients"):format(
            left_out.pixels, left_out.patients))
    end
    if #dataset == 0 then options.fail("the model was trained on all of these images or their patients") end
    if frame:unknown_patients() == #frame then
        print("nothing tells the patients of these images: each counts as one, and the figures are too good where a "
            .. "patient has several (--patient)")
    end
    return dataset
end

local function identity(path)
    local found = lfs.attributes(path)
    return found and ("%s:%s"):format(found.dev, found.ino)
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local steps = steps_of(args)
    if args.date and not args.date:find("^%d%d%d%d%-%d%d%-%d%d$") then
        options.fail(("--date: expected a date such as 2026-03-01, got '%s'"):format(args.date))
    end
    if args.masks then options.fail("--masks: models of two classes can be adapted") end
    local device = options.device(args.device)
    local path = options.models(args)
    local model = options.must(lx.predictor.open(path, {device = device}))
    if identity(args.out) and identity(args.out) == identity(path) then
        options.fail("--out: name another file than --model, which stays as it is")
    end
    local adapted = options.must(lx.adapt.fit(model, read_data(args, model), {
        steps = steps, folds = args.folds, seed = args.seed,
    }))
    print()
    print(adapted)
    if #adapted.steps == 0 then
        options.fail("nothing could be adapted, and no file was written; with labels of 30 images, 10 of each class, "
            .. "calibration can")
    end
    options.must(adapted:save(args.out, {place = args.place, date = args.date}))
    print("model in " .. args.out)
    print()
    print(options.NOTICE)
end

return command
