--- Logistic regression with a ridge, to measure how much some features tell of a label: fitted by Newton's method
--- (iteratively reweighted least squares: Hastie, Tibshirani and Friedman, "The elements of statistical learning",
--- 2009, 4.4.1), judged by cross-validation over patients.

local core = require "luxel.core"
local memory = require "luxel.memory"
local intervals = require "luxel.metrics.intervals"
local curves = require "luxel.metrics.curves"
local splitting = require "luxel.data.split"

local probe = {}

-- The weight of the squared coefficients, of features of deviation 1, beside the mean loss of an image.
local RIDGE <const> = 0.01
local STEPS <const>, HALVINGS <const>, ENOUGH <const> = 25, 12, 1e-6

-- Patients of each class, or of the class and of the rest, without whom five folds say nothing.
probe.LEAST_PATIENTS = 10

---@class luxel.LinearProbe
---@field centre luxel.Tensor [1,D] the means of the features
---@field scale luxel.Tensor [1,D] what they are multiplied by after that
---@field weight luxel.Tensor [D+1,1] of the standardised features, and of 1

--- Mean and inverse deviation of each feature; a constant one is multiplied by 0.
---@param x luxel.Tensor float32 [N,D]
---@return luxel.Tensor centre, luxel.Tensor scale both [1,D]
function probe.standardiser(x)
    local centre = x:mean(1, true)
    local variance = (x - centre):square():mean(1, true)
    -- rounding leaves a little of a constant feature
    local varies = variance:gt((centre:square() * 1e-10):clamp(1e-20, 1e30)):float()
    return centre, varies / (variance + (1 - varies)):sqrt()
end

-- The standardised features, and 1.
local function design(x, centre, scale)
    return core.cat({(x - centre) * scale, core.fill_(core.new({x.shape[1], 1}, "float32"), 1)}, 2)
end

-- The mean loss with the ridge, from logits: log(1 + e^z) - y z without overflow.
local function loss_of(z, y, w, penalty)
    local losses = z:clamp(0, 1e30) + ((-z:abs()):exp() + 1):log() - y * z
    return losses:mean():item() + (penalty * w:square()):sum():item() / 2
end

-- The weights after Newton's method, where halving a step that does not help keeps it on its way.
local function newton(a, y, ridge)
    local count, size = a.shape[1], a.shape[2]
    local penalty = core.fill_(core.new({size, 1}, "float32"), ridge)
    core.fill_(core.narrow(penalty, 1, size, 1), 0)
    local diagonal = penalty + 1e-7
    local w = core.fill_(core.new({size, 1}, "float32"), 0)
    local loss = math.log(2)
    for _ = 1, STEPS do
        local next_w, next_loss = memory.tidy(function()
            local p = a:matmul(w):sigmoid()
            local gradient = a:t():matmul(p - y) / count + penalty * w
            local weighted = a * (p * (1 - p) / count):sqrt()
            local step = core.solve_positive(weighted:t():matmul(weighted), diagonal, gradient)
            if not step then return nil end
            for halving = 0, HALVINGS do
                local tried = w - step * 0.5 ^ halving
                local value = loss_of(a:matmul(tried), y, tried, penalty)
                if value < loss then return tried, value end
            end
            return nil
        end)
        if not next_w then break end
        local gain = loss - next_loss
        w, loss = next_w, next_loss
        if gain < ENOUGH then break end
    end
    return w
end

local function rows_of(x, rows) return core.index_select(x, 1, core.from_table(rows, "int32")) end

--- Fits it.
---@param x luxel.Tensor float32 [N,D]
---@param labels number[] 0, 1 or NaN, which counts for nothing, of each row; both classes are there
---@param options? {ridge: number?, rows: integer[]?} ridge: default 0.01; rows: those to fit to, default all
---@return luxel.LinearProbe
function probe.fit(x, labels, options)
    local some, rows, y = options and options.rows, {}, {}
    for k = 1, some and #some or #labels do
        local i = some and some[k] or k
        if labels[i] == labels[i] then rows[#rows + 1], y[#y + 1] = i, labels[i] end
    end
    return memory.tidy(function()
        x = rows_of(x, rows)
        local centre, scale = probe.standardiser(x)
        y = core.view(core.from_table(y, "float32"), {#y, 1})
        return {
            centre = centre, scale = scale,
            weight = newton(design(x, centre, scale), y, options and options.ridge or RIDGE),
        }
    end)
end

--- The logits of other rows.
---@param fitted luxel.LinearProbe
---@param x luxel.Tensor float32 [N,D]
---@return number[]
function probe.score(fitted, x)
    return memory.tidy(function()
        return core.to_table(core.view(design(x, fitted.centre, fitted.scale):matmul(fitted.weight), {x.shape[1]}))
    end)
end

-- Patients with an image of label 1, and with one of label 0; patients of both count in both.
local function count_patients(labels, groups)
    local seen, counts = {[0] = {}, [1] = {}}, {[0] = 0, [1] = 0}
    for i, label in ipairs(labels) do
        if seen[label] and not seen[label][groups[i]] then
            seen[label][groups[i]], counts[label] = true, counts[label] + 1
        end
    end
    return counts
end

--- The logit of each row by a probe that was fitted without its patient, of five folds of patients.
---@param x luxel.Tensor float32 [N,D]
---@param labels number[] 0, 1 or NaN, which is not fitted to and gets a logit as well
---@param groups any[] the patient of each row
---@param options? {ridge: number?, seed: integer?}
---@return number[]? logits nil with fewer than ten patients of either label
---@return string? message why there are none
function probe.cross_validate(x, labels, groups, options)
    local counts = count_patients(labels, groups)
    if math.min(counts[0], counts[1]) < probe.LEAST_PATIENTS then
        return nil, ("%d and %d patients are too few: at least %d of each class are needed"):format(counts[0],
            counts[1], probe.LEAST_PATIENTS)
    end
    local folds = splitting.folds("linear probe", labels, groups, 5, {seed = options and options.seed or 1})
    local logits = {}
    for _, fold in ipairs(folds or {}) do
        memory.tidy(function()
            local fitted = probe.fit(x, labels, {ridge = options and options.ridge, rows = fold.train})
            for k, logit in ipairs(probe.score(fitted, rows_of(x, fold.val))) do logits[fold.val[k]] = logit end
        end)
    end
    return logits
end

--- How well features tell each class: cross-validated areas with intervals by a bootstrap of patients.
---@param x luxel.Tensor float32 [N,D]
---@param targets {name: string, against: string, labels: number[]}[] of `probe.targets`
---@param groups any[]
---@param options? {ridge: number?, seed: integer?, n: integer?} n: resamples, default 1000
---@return table[]? each {name, against, auc, low, high, logits}; those classes that have patients enough
---@return string? message
function probe.judge(x, targets, groups, options)
    local each, problem = {}, nil
    for _, target in ipairs(targets) do
        local logits, message = probe.cross_validate(x, target.labels, groups, options)
        if logits then
            local low, high = intervals.public.bootstrap(curves.public.auc, logits, target.labels, {
                groups = groups, n = options and options.n or 1000, seed = options and options.seed or 1,
            })
            each[#each + 1] = {
                name = target.name, against = target.against, logits = logits,
                auc = curves.public.auc(logits, target.labels), low = low, high = low and high,
            }
        else
            problem = problem or message
        end
    end
    if #each == 0 then return nil, problem end
    return each
end

--- The one whose class is told best.
---@param each table[] of `probe.judge`
---@return table
function probe.worst(each)
    local worst = each[1]
    for _, one in ipairs(each) do
        if one.auc > worst.auc then worst = one end
    end
    return worst
end

--- What is to be told apart: the second of two classes from the first, each of several from the rest, each label from
--- its absence.
---@param task string of a frame or a dataset
---@param classes string[]
---@param labels (number|number[])[]
---@return {name: string, against: string, labels: number[]}[]
function probe.targets(task, classes, labels)
    if task == "binary" then return {{name = classes[2], against = classes[1], labels = labels}} end
    local targets = {}
    for k, name in ipairs(classes) do
        local own = {}
        for i, label in ipairs(labels) do
            if task == "labels" then
                own[i] = label[k]
            elseif label ~= label then
                own[i] = label
            else
                own[i] = label == k - 1 and 1 or 0
            end
        end
        targets[k] = {name = name, against = task == "labels" and "its absence" or "the rest", labels = own}
    end
    return targets
end

return probe
