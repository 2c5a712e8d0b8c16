--- `luxel shift`: how much worse a way of training is on films of a kind that it was not trained on.
--
--     luxel shift --data DIR --out runs/shift
--     luxel shift --data DIR --group bacteria virus --seeds 3 --outside elsewhere=OTHER
--
-- It takes the options of train, and trains once without each group of images: the styles of `lx.data.styles`, or those
-- whose file names have a word.

local core = require "luxel.core"
local lx = require "luxel"
local options = require "luxel.command.options"
local recipes = require "luxel.command.recipes"
local train = require "luxel.command.train"

local command = {summary = "How much worse a way of training is on films of a kind that it was not trained on."}

--- Adds the options of the command.
function command.options(parser)
    train.options(parser)
    parser:option("--group", "Words: a group is the images whose file names have it (default: styles)."):args("+")
    options.add_number(parser, "--styles", "Groups by the looks of borders, corners and coarse shades, where --group "
        .. "names none.", 8, 2, 64, true)
    parser:option("--outside", "NAME=DIR: labelled images from elsewhere, to judge all networks on."):count "*"
    parser:option("--json", "Write all figures to this file too.")
end

local ONLY_FOR_TRAIN <const> = {"folds", "find_lr", "tune", "profile", "masks"}

local function check(args)
    for _, name in ipairs(ONLY_FOR_TRAIN) do
        local value = args[name]
        if value and value ~= 0 then options.fail(("--%s is not for shift"):format((name:gsub("_", "-")))) end
    end
    if args.calibrate_on == "styles" then options.fail("--calibrate-on styles is not for shift") end
    if not args.data then options.fail("--data: a folder with the images to train on, group by group") end
    train.check(args)
end

-- The group of each image, and its name.
local function groups_of(args, dataset)
    local groups = {}
    if not args.group then
        local styles = recipes.styles_of(dataset, {k = args.styles})
        print(styles)
        for i, cluster in ipairs(styles.cluster) do groups[i] = "style " .. cluster end
        return groups
    end
    local found = {}
    for i, path in ipairs(dataset.paths) do
        groups[i] = false
        for _, word in ipairs(args.group) do
            if path:match("[^/]*$"):find(word, 1, true) then
                if groups[i] and groups[i] ~= word then
                    options.fail(("--group: %s has '%s' and '%s' in its name, and is of one group"):format(path,
                        groups[i], word))
                end
                groups[i], found[word] = word, true
            end
        end
    end
    for _, word in ipairs(args.group) do
        if not found[word] then options.fail(("--group: no image has '%s' in its name"):format(word)) end
    end
    return groups
end

local function outsides_of(args)
    local sets = {}
    for _, word in ipairs(args.outside) do
        local name, dir = word:match("^([^=]+)=(.+)$")
        if not name then options.fail(("--outside: expected NAME=DIR, got '%s'"):format(word)) end
        if sets[name] then options.fail(("--outside: the name %s is there twice"):format(name)) end
        sets[name] = options.load(options.must(lx.data.image_folder(dir, {positive = args.positive})), args.size,
            args.strict, nil, recipes.crop_of(args))
    end
    return sets
end

--- Runs the command.
---@param args table the options
---@return integer status
function command.run(args)
    check(args)
    local device, words = options.device(args.device)
    print("computing on " .. words)
    local whole = train.read_whole(args)
    if whole.task ~= "binary" then options.fail("--data: shift judges two classes") end
    local folds = options.must(whole:leave_group_out(groups_of(args, whole)))
    table.sort(folds, function(a, b) return a.group < b.group end)
    local seeds = {}
    for k = 1, args.seeds do seeds[k] = args.seed + k - 1 end
    local result = options.must_fit(train.fit(lx.train.shift, {
        folds = folds, seeds = seeds, outsides = outsides_of(args), out = args.out, resume = args.resume,
        overwrite = args.overwrite,
        fit = function(fold, seed)
            local own = setmetatable({seed = seed}, {__index = args})
            for k, count in ipairs(fold.train:counts()) do
                if count == 0 then
                    options.fail(("--group: without %s no image of %s is left to train on"):format(fold.group,
                        whole.classes[k]))
                end
            end
            local train_set, val_set = fold.train:split {val = args.val, seed = seed}
            if not train_set then options.fail(val_set) end
            return train.plan(own, device, train_set, val_set)
        end,
    }))
    if result.interrupted or result.save_problem then return train.status_of(result) end
    print("\n" .. tostring(result) .. "\n")
    if args.json then
        options.must(core.write_file(args.json, {options.json {
            groups = result.groups, outsides = result.outsides, worst = result.worst, mean = result.mean,
            notice = options.NOTICE,
        }, "\n"}))
    end
    return train.status_of(result)
end

return command
