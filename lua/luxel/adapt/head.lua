--- The last layer by the images of another hospital: a change of its weights that is held small, by logistic
--- regression.
--
-- There are fewer images than weights, so the change is found as a sum over images (kernel logistic regression with a
-- linear kernel: Zhu and Hastie, Journal of Computational and Graphical Statistics 14:185, 2005). How small it is held
-- is chosen on patients kept out, and if none of the ways gains there, nothing is changed.

local batches = require "luxel.data.loader"
local core = require "luxel.core"
local logistic = require "luxel.calibration.logistic"
local lx = require "luxel"
local transfer = require "luxel.train.transfer"

local head = {}

local sigmoid, softplus = logistic.sigmoid, logistic.softplus

-- The ways to hold the change: what half the sum of its squares is multiplied by. Inputs have a mean square of 1.
local HOLDS <const> = {3, 10, 30, 100}

-- The variance of the prior distribution of the shift.
local SHIFT <const> = 4

--- What the log loss of an image has to fall by on patients kept out.
head.GAIN = 0.03

--- The last layer of a network if its weights can be changed: a Linear with a bias and one output.
---@param net Module
---@return Module?
function head.of(net)
    local layer = transfer.last_layer(net)
    if layer and layer.class_name == "Linear" and layer.out_features == 1 and layer.bias then return layer end
end

--- What the last layer is given for every image of a dataset.
---@param net Module in eval mode
---@param dataset luxel.Dataset
---@param options {mean: number, std: number, enhance: table?, device: string}
---@return Tensor inputs [N,F] on the cpu
function head.inputs(net, dataset, options)
    local parts, given = {}, nil
    local remove = head.of(net):register_forward_hook(function(_, arguments) given = arguments[1] end)
    local ok, problem = pcall(lx.no_grad, function()
        for x in batches(dataset, {
            batch = 32, shuffle = false, mean = options.mean, std = options.std, enhance = options.enhance,
            device = options.device,
        }) do
            net(x)
            parts[#parts + 1] = given:detach():to("cpu"):clone()
            x:free()
        end
    end)
    remove()
    if not ok then error(problem, 0) end
    return lx.cat(parts, 1)
end

-- Solves a symmetric positive definite system by Cholesky's decomposition.
local function solve(a, b)
    local n = #b
    for j = 1, n do
        local row = a[j]
        for k = 1, j - 1 do
            local sum, other = row[k], a[k]
            for i = 1, k - 1 do sum = sum - row[i] * other[i] end
            row[k] = sum / other[k]
        end
        local sum = row[j]
        for k = 1, j - 1 do sum = sum - row[k] * row[k] end
        row[j] = math.sqrt(math.max(sum, 1e-12))
    end
    local out = {}
    for j = 1, n do
        local sum = b[j]
        for k = 1, j - 1 do sum = sum - a[j][k] * out[k] end
        out[j] = sum / a[j][j]
    end
    for j = n, 1, -1 do
        local sum = out[j]
        for k = j + 1, n do sum = sum - a[k][j] * out[k] end
        out[j] = sum / a[j][j]
    end
    return out
end

-- The coefficients of images whose sum of products, with the kernel `gram` and a constant for the shift, changes the
-- log-odds by what their labels want: Newton's method, with shorter steps where the loss would not fall.
local function regress(gram, places, odds, labels, hold)
    local n, kernel, alpha = #places, {}, {}
    for i = 1, n do
        kernel[i], alpha[i] = {}, 0
        for j = 1, n do kernel[i][j] = gram[places[i]][places[j]] + SHIFT * hold end
    end
    local function loss_of(coefficients)
        local sum, changes = 0, {}
        for i = 1, n do
            local row, f = kernel[i], 0
            for j = 1, n do f = f + row[j] * coefficients[j] end
            local z = odds[places[i]] + f
            changes[i] = f
            sum = sum + softplus(z) - labels[places[i]] * z + hold / 2 * coefficients[i] * f
        end
        return sum, changes
    end
    local loss, change = loss_of(alpha)
    for _ = 1, 25 do
        -- (K + hold / W) alpha = f + (y - p) / W
        local system, right = {}, {}
        for i = 1, n do
            local p = sigmoid(odds[places[i]] + change[i])
            local weight = math.max(p * (1 - p), 1e-6)
            system[i] = {}
            for j = 1, i do system[i][j] = kernel[i][j] end
            system[i][i] = system[i][i] + hold / weight
            right[i] = change[i] + (labels[places[i]] - p) / weight
        end
        local goal, length, better = solve(system, right), 1, false
        local before = loss
        while length > 1e-4 and not better do
            local tried = {}
            for i = 1, n do tried[i] = alpha[i] + length * (goal[i] - alpha[i]) end
            local found, changes = loss_of(tried)
            better = found < loss
            if better then alpha, loss, change = tried, found, changes else length = length / 2 end
        end
        if not better or before - loss < 1e-7 * n then break end
    end
    return alpha
end

-- The change of an image's log-odds by coefficients of others.
local function change_of(gram, i, places, alpha, hold)
    local sum = 0
    for k, j in ipairs(places) do sum = sum + alpha[k] * (gram[i][j] + SHIFT * hold) end
    return sum
end

--- The log loss of an image by its log-odds.
---@param z number
---@param label number 0 or 1
---@return number
function head.log_loss(z, label) return softplus(z) - label * z end

local log_loss = head.log_loss

---@class luxel.AdaptedHead
---@field weight Tensor [F] and
---@field bias number what is added to the weights of the log-odds
---@field kept_out number[] the log-odds of each image by what the other patients' images say
---@field hold number

--- The change of the last layer by labelled images; nil and why where it gains nothing on patients kept out.
---@param inputs Tensor [N,F]
---@param odds number[] log-odds of the images as they are
---@param labels number[] 0 or 1
---@param folds {train: integer[], val: integer[]}[] how patients are kept out in turn
---@param usual number[] log-odds with which the change has to compete, of each image without its own patient's help
---@return luxel.AdaptedHead?, string? why
function head.fit(inputs, odds, labels, folds, usual)
    local n = #labels
    local mean = inputs:mean(1)
    local centred = inputs - mean
    local scale = math.sqrt(core.item(centred:square():mean()))
    if not (scale > 0) then return nil, "the last layer is given the same for every image" end
    centred = centred / scale
    local gram = core.to_table(centred:matmul(centred:t()))
    local best, least, least_usual = nil, math.huge, 0
    for i = 1, n do least_usual = least_usual + log_loss(usual[i], labels[i]) / n end
    for _, hold in ipairs(HOLDS) do
        local kept_out, loss = {}, 0
        for _, fold in ipairs(folds) do
            local alpha = regress(gram, fold.train, odds, labels, hold)
            for _, i in ipairs(fold.val) do
                kept_out[i] = odds[i] + change_of(gram, i, fold.train, alpha, hold)
                loss = loss + log_loss(kept_out[i], labels[i]) / n
            end
        end
        if loss < least then best, least = {hold = hold, kept_out = kept_out}, loss end
    end
    if not best or least > least_usual - head.GAIN then
        return nil, ("it gains less than %g of the log loss on patients kept out (%.3f, and %.3f without)"):format(
            head.GAIN, least, least_usual)
    end
    local all = {}
    for i = 1, n do all[i] = i end
    local alpha, sum = regress(gram, all, odds, labels, best.hold), 0
    for _, a in ipairs(alpha) do sum = sum + a end
    best.weight = lx.tensor({alpha}):matmul(centred):flatten() / scale
    best.bias = SHIFT * best.hold * sum - core.item((best.weight * mean:flatten()):sum())
    return best
end

--- The change of the log-odds of images.
---@param fitted luxel.AdaptedHead
---@param inputs Tensor [N,F]
---@return number[]
function head.changes(fitted, inputs)
    return core.to_table((inputs:matmul(fitted.weight:view(-1, 1)) + fitted.bias):flatten())
end

--- Puts the change into the network, until what it returns is closed.
---@param net Module
---@param fitted luxel.AdaptedHead
---@param slope number what a logit is multiplied by in the log-odds
---@return {__close: fun()} guard
function head.apply(net, fitted, slope)
    local layer = head.of(net)
    local weight, bias = layer.weight:detach():clone(), layer.bias:detach():clone()
    lx.no_grad(function()
        layer.weight:copy_(weight + (fitted.weight / slope):view(1, -1):to(weight.device))
        layer.bias:copy_(bias + fitted.bias / slope)
    end)
    return setmetatable({}, {__close = function()
        lx.no_grad(function()
            layer.weight:copy_(weight)
            layer.bias:copy_(bias)
        end)
    end})
end

return head
