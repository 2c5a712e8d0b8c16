--- Recipes of training: options of `luxel train` that belong together, by name. An option on the command line wins.
--
-- They were chosen by networks that had not seen the films they were judged on: docs/trust.md.

local lfs = require "lfs"
local lx = require "luxel"
local options = require "luxel.command.options"
local weights = require "luxel.models.weights"

local recipes = {}

---@type table<string, table<string, any>> by name the options, and as `weights` the name of those to begin with
recipes.BY_NAME = {
    standard = {
        model = "efficientnet_lite0", weights = "efficientnet-lite0", size = 192, epochs = 4, lr = 5e-4, lr_decay = 0.9,
        augment = "style", best = "last", crop = "lungs", calibrate_on = "styles",
    },
    quick = {
        model = "cnn", size = 128, epochs = 10, lr = 1e-3, lr_decay = 1, augment = "full", crop = "none",
        calibrate_on = "validation",
    },
}

-- Where weights of a name are kept.
local function weights_path(name) return weights.path(name, options.must(weights.folder())) end

-- Why standard does not go with the other options; nil if it does.
local function obstacle(args)
    if args.masks then return "is for labels, and --masks are learnt otherwise" end
    if args.model and args.model ~= recipes.BY_NAME.standard.model then
        return ("is of the network %s"):format(recipes.BY_NAME.standard.model)
    end
end

--- Ends the command where the weights that the recipe begins with are not there: before images are read, and after it
--- is known that there are some.
---@param args table the options
function recipes.check_weights(args)
    local name = recipes.BY_NAME[args.recipe].weights
    if name and lfs.attributes(args.pretrained, "mode") ~= "file" and args.pretrained == weights_path(name) then
        options.fail(("--recipe %s begins with weights that are not here: `luxel weights %s` fetches them, or name "
            .. "their file with --pretrained; --recipe quick wants none"):format(args.recipe, name))
    end
end

--- Fills in what the command line does not say. Without --recipe it is standard for labelled images whose network is
--- not named, else quick.
---@param args table the options
function recipes.fill(args)
    local of_network = args.model or args.network or args.pretrained
    local name = args.recipe or args.data and not args.masks and not of_network and "standard" or "quick"
    local recipe, why = recipes.BY_NAME[name], nil
    if name == "standard" then why = obstacle(args) end
    if why then options.fail(("--recipe standard %s; say --recipe quick"):format(why)) end
    args.recipe = name
    if not args.data then args.crop = "none" end -- phantoms are no films
    for option, value in pairs(recipe) do
        if option ~= "weights" and args[option] == nil then args[option] = value end
    end
    if recipe.weights and not args.pretrained then args.pretrained = weights_path(recipe.weights) end
end

--- What of the films the network sees, as `Frame:load` has it.
---@param args table the options
---@return string?
function recipes.crop_of(args) return args.crop ~= "none" and args.crop or nil end

-- ---- calibration on styles that were left out -------------------------------------------------------------------

-- Parts of the styles, each left out by one network; fewer images than these say little of a style.
local PARTS <const>, LEAST <const> = 4, 400

-- The whole films of images that are parts of them: styles are told by borders. Labels that do not exclude each other
-- are left out, as styles are found without.
local function films_of(train_set)
    if not train_set.crop then return train_set end
    local rows, labels, classes = {}, train_set.labels:totable(), train_set.classes
    local single = train_set.task ~= "labels"
    for i, path in ipairs(train_set.paths) do
        local known = single and labels[i] == labels[i]
        rows[i] = {path = path, label = known and classes[math.tointeger(labels[i]) + 1] or ""}
    end
    return options.must(lx.data.frame(rows, {
        label = "label", classes = single and classes or {"no", "yes"},
        positive = train_set.task == "binary" and classes[2] or nil,
    }))
end

--- The styles of training images, told by the whole films where these are parts of them.
---@param train_set luxel.Dataset
---@param options_of_styles table? as of `lx.data.styles`
---@return luxel.Styles
function recipes.styles_of(train_set, options_of_styles)
    return options.must(lx.data.styles(films_of(train_set), options_of_styles))
end

-- Folds without a part of the styles each, or nil and why there are none.
local function folds_of(train_set)
    if train_set.task ~= "binary" then return nil, "there are not two classes" end
    if #train_set < LEAST then
        return nil, ("%d images are too few, %d are wanted"):format(#train_set, LEAST)
    end
    local parts = recipes.styles_of(train_set):parts(PARTS)
    for i, part in ipairs(parts) do parts[i] = "styles " .. part end
    local folds = options.must(train_set:leave_group_out(parts))
    table.sort(folds, function(a, b) return a.group < b.group end)
    for _, fold in ipairs(folds) do
        for k, count in ipairs(fold.train:counts()) do
            if count < 2 then
                return nil, ("without some of the styles there are too few images of %s"):format(train_set.classes[k])
            end
        end
    end
    return folds
end

--- What the networks that are trained without a part of the styles give for these images, which calibration and
--- threshold are to be fitted to; nil where they are to be fitted to the validation images.
---@param args table the options
---@param train_set luxel.Dataset
---@param out string folder of the run; these networks are in left-out below it
---@param plan fun(train: luxel.Dataset, val: luxel.Dataset): table the options of `lx.train.fit`
---@return {logits: number[], labels: number[], unfamiliar: number[]?, words: string}? on
---@return table? stopped the result of runs that were interrupted or could not be saved
function recipes.calibrate_on(args, train_set, out, plan)
    if args.calibrate_on ~= "styles" then return nil end
    local folds, why = folds_of(train_set)
    if not folds then
        print(("calibrating on the validation images: no styles are left out, since %s"):format(why))
        return nil
    end
    print(("calibrating on styles of films that %d networks have not seen, of which each is trained without some"
        ):format(#folds))
    local result = options.must_fit(lx.train.shift {
        folds = folds, seeds = {args.seed}, out = out .. "/left-out", resume = args.resume, overwrite = args.overwrite,
        fit = function(fold, seed)
            local train, val = fold.train:split {val = args.val, seed = seed}
            if not train then options.fail(val) end
            return plan(train, val)
        end,
    })
    if result.interrupted or result.save_problem then return nil, result end
    print(result)
    return {
        logits = result.left_out.logits, labels = result.left_out.labels, unfamiliar = result.left_out.unfamiliar,
        words = "styles of films that networks trained in the same way had not seen",
    }
end

return recipes
