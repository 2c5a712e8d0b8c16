--- What of a network learns, and when: frozen parts, their thawing, and heads that learn alone on features that are
--- computed once.

local args = require "luxel.args"
local batches = require "luxel.data.loader"
local core = require "luxel.core"
local freezing = require "luxel.nn.freezing"
local json = require "luxel.json"
local lx = require "luxel"
local pipeline = require "luxel.vision.pipeline"

local transfer = {}

-- What `freeze_statistics` means for the parts that are frozen and thawed.
local OF_PARTS <const> = {parts = "all", all = "parameters", none = "parameters"}

local function list_of(patterns) return type(patterns) == "string" and {patterns} or patterns end

--- The last module that has parameters, and its name.
---@param net Module
---@return Module? layer, string? name
function transfer.last_layer(net)
    local found, its_name
    for name, module in net:named_modules() do
        if #module:children() == 0 and #module:parameters() > 0 then found, its_name = module, name end
    end
    return found, its_name
end

local function prepare_probe(fit)
    if fit.freeze or fit.unfreeze then
        args.fail("fit: options: option 'probe': it freezes all but the last layer for the whole run; leave out "
            .. "'freeze' and 'unfreeze'")
    elseif fit.augment then
        args.fail("fit: options: option 'probe': features are computed once for each image, which an augmented image "
            .. "is not; leave out 'augment'")
    end
    local head, name = transfer.last_layer(fit.net)
    if not head or head.class_name ~= "Linear" then
        args.fail("fit: options: option 'probe': the last layer of the network should be a Linear, it is %s",
            head and head.class_name or "missing")
    end
    fit.freeze, fit.head = "*", head
    return name
end

-- When which parts are thawed, as a list in the order of epochs.
local function schedule_of(fit)
    local list = {}
    for epoch, patterns in pairs(fit.unfreeze or {}) do
        if math.type(epoch) ~= "integer" or epoch < 2 then
            args.fail("fit: options: option 'unfreeze': expected epochs from 2 with patterns, as in "
                .. "{[3] = \"blocks.6\"}, got %s", args.describe(epoch))
        end
        args.check(("fit: options: option 'unfreeze': [%d]"):format(epoch), "text|text[]", patterns)
        if epoch > fit.epochs then
            args.fail("fit: options: option 'unfreeze': [%d] is after the last epoch, %d", epoch, fit.epochs)
        end
        list[#list + 1] = {epoch = epoch, patterns = list_of(patterns)}
    end
    table.sort(list, function(a, b) return a.epoch < b.epoch end)
    return list
end

-- What is thawed later has to be known to the optimiser now.
local function check_optimizer(fit, stage)
    local known, parameters = {}, rawget(fit.optimizer, "parameters")
    if type(parameters) ~= "table" then return end
    for _, parameter in ipairs(parameters) do known[parameter] = true end
    for name, parameter in pairs(stage.chosen.parameters) do
        if not known[parameter] then
            args.fail("fit: options: option 'unfreeze': [%d] lets %s learn, which the optimiser does not have; make it "
                .. "of all that is ever to learn, of net:parameters() for example", stage.epoch, name)
        end
    end
end

--- Freezes what the options say. Raises where a pattern fits nothing, now rather than in the epoch that it is for.
---@param fit table
function transfer.prepare(fit)
    local what, net = OF_PARTS[fit.freeze_statistics], fit.net
    local head = fit.probe and prepare_probe(fit)
    if fit.keep_features and not fit.probe then
        args.fail("fit: options: option 'keep_features': there are features with 'probe' alone")
    end
    if fit.unfreeze and not fit.freeze then
        args.fail("fit: options: option 'unfreeze': nothing is frozen; say it with 'freeze'")
    end
    local stages = schedule_of(fit)
    for _, stage in ipairs(stages) do
        stage.chosen = freezing.choose(net, ("fit: options: option 'unfreeze': [%d]"):format(stage.epoch),
            stage.patterns, what)
        check_optimizer(fit, stage)
    end
    if fit.freeze then
        freezing.apply(freezing.choose(net, "fit: options: option 'freeze'", fit.freeze, what), true)
    end
    if head then net:unfreeze(head, {what = "parameters"}) end
    if fit.freeze_statistics == "all" then
        freezing.apply(freezing.choose(net, "fit: options: option 'freeze_statistics'", "*", "statistics"), true)
    end
    local frozen, numbers = freezing.describe(net)
    if fit.freeze and numbers == net:count_parameters() then
        args.fail("fit: options: option 'freeze': it freezes all of the network, and nothing is left to learn")
    end
    fit.transfer = {
        stages = stages, next = 1, frozen = frozen, numbers = numbers, statistics = freezing.statistics(net),
    }
end

--- Thaws what has its time with an epoch, or had it before.
---@param fit table
---@param epoch integer from 1
function transfer.begin_epoch(fit, epoch)
    for i = fit.transfer.next, #fit.transfer.stages do
        local stage = fit.transfer.stages[i]
        if stage.epoch > epoch then return end
        freezing.apply(stage.chosen, false)
        fit.transfer.next = i + 1
        local _, count = freezing.describe(fit.net)
        fit.progress:message(("epoch %d: %s learn%s; %d of %d numbers are frozen"):format(stage.epoch,
            table.concat(stage.patterns, ", "), #stage.patterns == 1 and "s" or "", count, fit.net:count_parameters()))
    end
end

--- What a model's file says of it: see luxel.schema. Nil where everything learns from the first step.
---@param fit table
---@return table?
function transfer.describe(fit)
    local own = fit.transfer
    if #own.frozen == 0 and #own.statistics == 0 then return nil end
    local stages = {}
    for i, stage in ipairs(own.stages) do stages[i] = {epoch = stage.epoch, patterns = stage.patterns} end
    return {
        frozen = own.frozen, numbers = own.numbers, statistics = own.statistics, unfreeze = stages,
        probe = fit.probe or false,
    }
end

--- The same in words, for comparing runs.
---@param fit table
---@return string
function transfer.words(fit)
    local own = fit.transfer
    local words = {#own.frozen > 0 and table.concat(own.frozen, ", ") or "nothing"}
    for _, stage in ipairs(own.stages) do
        words[#words + 1] = ("until epoch %d %s"):format(stage.epoch, table.concat(stage.patterns, ", "))
    end
    if #own.statistics > 0 then words[#words + 1] = "statistics of " .. table.concat(own.statistics, ", ") end
    if fit.probe then words[#words + 1] = "by features" end
    return table.concat(words, "; ")
end

-- ---- features -------------------------------------------------------------------------------------------------

-- What the last layer is given for every image of a dataset, in order.
local function compute(fit, dataset)
    local parts, given = {}, nil
    local forward = lx.nn.fuse(fit.net)
    local was_training = fit.net.training
    fit.net:eval()
    local remove = fit.head:register_forward_hook(function(_, arguments) given = arguments[1] end)
    local ok, problem = pcall(lx.no_grad, function()
        for x in batches(dataset, {
            batch = fit.batch, shuffle = false, mean = fit.mean, std = fit.std, device = fit.device,
            threads = fit.threads, size = fit.size, enhance = fit.enhance, idle = coroutine.yield,
        }) do
            given = nil
            forward(x):free()
            if not given or given.ndim ~= 2 or given.shape[1] ~= x.shape[1] then
                args.fail("fit: options: option 'probe': the network does not give a row of features for each image to "
                    .. "its last layer once")
            end
            parts[#parts + 1] = given:detach():clone()
            x:free()
        end
    end)
    remove()
    if was_training then fit.net:train() end
    if not ok then error(problem, 0) end
    return lx.cat(parts, 1)
end

-- What features hang on besides the pixels of an image: all that comes before the last layer.
local function origin_of(fit)
    local _, head = transfer.last_layer(fit.net)
    local words, names, state = {}, {}, fit.net:state_dict()
    for _, name in ipairs {"size", "mean", "std", "enhance"} do
        local value = fit[name]
        if name == "enhance" and value then value = pipeline.portable(value) end
        words[#words + 1] = name .. " " .. json.encode({value})
    end
    for name in pairs(state) do
        if name:sub(1, #head + 1) ~= head .. "." then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local flat <close> = state[name]:detach():to("cpu"):contiguous():clone()
        words[#words + 1] = ("%s %x"):format(name, core.checksum(flat:tostring_bytes()))
    end
    return table.concat(words, "\n")
end

-- The features of a dataset, as far as they are kept from another run of the same weights; those of other weights give
-- way. Images are known by their pixels.
local function kept_or_computed(fit, dataset)
    local kept, hashes, missing, rows = fit.keep_features, dataset:hashes(), {}, {}
    for _, hash in ipairs(hashes) do
        if hash == 0 then return compute(fit, dataset) end -- what is not decoded yet is not known
    end
    local origin = ("%s\n%d"):format(origin_of(fit), dataset.size)
    if kept.origin ~= origin then kept.origin, kept.rows = origin, {} end
    for i, hash in ipairs(hashes) do
        if not kept.rows[hash] then missing[#missing + 1] = i end
    end
    local computed = missing[1] and compute(fit, dataset:subset(missing))
    for k, i in ipairs(missing) do kept.rows[hashes[i]] = computed:narrow(1, k, 1):to("cpu"):clone() end
    for i, hash in ipairs(hashes) do rows[i] = kept.rows[hash] end
    return lx.cat(rows, 1):to(fit.device)
end

--- The features of all images of a dataset, [N,F], computed when they are first wanted.
---@param fit table
---@param name "train"|"val"
---@return Tensor
function transfer.features(fit, name)
    local own = fit.transfer
    own.features = own.features or {}
    if not own.features[name] then
        own.features[name] = (fit.keep_features and kept_or_computed or compute)(fit, fit[name])
    end
    return own.features[name]
end

--- The features of the images of a batch.
---@param fit table
---@param indices Tensor int32 [B]
---@return Tensor x [B,F]
function transfer.batch(fit, indices)
    return transfer.features(fit, "train"):index_select(1, core.to_device(indices, fit.device))
end

--- The network's result for all validation images.
---@param fit table
---@return Tensor
function transfer.outputs(fit)
    return lx.no_grad(function() return fit.head(transfer.features(fit, "val")) end)
end

return transfer
