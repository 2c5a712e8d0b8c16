--- Near misses: the name that was probably meant, for messages.

local near = {}

-- Names that other libraries have for what is here.
local ELSEWHERE <const> = {
    tolist = "totable", numpy = "totable", astype = "to", type = "dtype", dim = "ndim", nelement = "numel",
    concat = "cat", concatenate = "cat", hstack = "cat", vstack = "cat", array = "tensor", Tensor = "tensor",
    clip = "clamp", power = "pow", divide = "div", multiply = "mul", subtract = "sub", dot = "matmul", where_ = "where",
    cuda = "to", cpu = "to", swapaxes = "transpose", ravel = "flatten", fmod = "remainder", mod = "remainder",
    lr_schedulers = "lr_scheduler", learning_rate = "lr", batch_size = "batch", epochs_ = "epochs", norm_ = "norm",
    Dense = "Linear", Conv2D = "Conv2d", BatchNormalization = "BatchNorm2d", MaxPooling2D = "MaxPool2d",
    BCELoss = "BCEWithLogitsLoss", binary_cross_entropy = "binary_cross_entropy_with_logits",
    CosineAnnealingLR = "CosineWarmup", scale_factor = "scale", num_workers = "threads",
    permute_dims = "permute", mean_ = "mean", random = "rand", seed = "manual_seed", shape_as = "view_as",
}

-- How many insertions, deletions, replacements and swaps of neighbours make one text the other, at most `limit` + 1
-- (Damerau 1964, restricted to one edit of each place).
local function distance(a, b, limit)
    if math.abs(#a - #b) > limit then return limit + 1 end
    local before, last = {}, {}
    for j = 0, #b do last[j] = j end
    for i = 1, #a do
        local row = {[0] = i}
        for j = 1, #b do
            local same = a:byte(i) == b:byte(j)
            local best = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
            if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                best = math.min(best, before[j - 2] + 1)
            end
            row[j] = best
        end
        before, last = last, row
    end
    return last[#b]
end

--- The candidate that a misspelt name means, or nil where none is near.
---@param name any
---@param candidates string[]
---@return string?
function near.find(name, candidates)
    if type(name) ~= "string" then return nil end
    local limit = #name < 4 and 1 or #name < 8 and 2 or 3
    local best, least = nil, limit + 1
    for _, candidate in ipairs(candidates) do
        if ELSEWHERE[name] == candidate then return candidate end
        local d = distance(name:lower(), candidate:lower(), limit)
        if d < least or d == least and best and candidate < best then best, least = candidate, d end
    end
    if least < #name then return best end
end

--- ` (did you mean 'zeros'?)`, or nothing.
---@param name any
---@param candidates string[]
---@return string
function near.suggestion(name, candidates)
    local found = near.find(name, candidates)
    return found and (" (did you mean '%s'?)"):format(found) or ""
end

return near
