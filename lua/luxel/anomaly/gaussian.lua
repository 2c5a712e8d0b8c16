--- Normal distributions of features, many at a time: covariances as images come, shrunk, and the transforms that make
--- Mahalanobis' distance a plain one.

local args = require "luxel.args"
local lx = require "luxel"

local gaussian = {}

---@class luxel.Moments sums of what features differ by from the first ones: [P,d] and [P,d,d]
local Moments = {}
Moments.__index = Moments

--- Nothing yet; `count` distributions of `d` dimensions.
---@return luxel.Moments
function gaussian.moments(count, d, device)
    return setmetatable({
        n = 0, sum = lx.zeros({count, d}, {device = device}), squares = lx.zeros({count, d, d}, {device = device}),
    }, Moments)
end

--- Takes in some features.
---@param rows Tensor [P,N,d]
function Moments:add(rows)
    -- differences to a value near the mean keep the digits that matter
    self.origin = self.origin or rows:mean(2, true)
    self.n = self.n + rows.shape[2]
    lx.tidy(function()
        local centred = rows - self.origin
        self.sum:add_(centred:sum(2))
        self.squares:add_(centred:transpose(2, 3):matmul(centred))
    end)
end

--- Mean and covariance (with 1/n).
---@return Tensor mean [P,d], Tensor covariance [P,d,d]
function Moments:finish()
    local shift = self.sum / self.n
    local outer = shift:unsqueeze(3):matmul(shift:unsqueeze(2))
    return self.origin:squeeze(2) + shift, self.squares / self.n - outer
end

-- The diagonal of each matrix, [P,d].
local function diagonal(matrices)
    local count, d = matrices.shape[1], matrices.shape[2]
    local places = lx.arange(1, d * d + 1, d + 1, {dtype = "int32", device = matrices.device})
    return matrices:reshape(count, d * d):index_select(2, places)
end

--- Covariances moved towards equal variances, as far as the number of images calls for: the oracle approximating
--- shrinkage of Chen, Wiesel, Eldar and Hero (IEEE Transactions on Signal Processing 58:5016, 2010, equation 23). Their
--- diagonals are raised by a share of the mean variance of all, so that a place where nothing ever changes, as at the
--- border of films, does not outweigh all others.
---@param covariance Tensor [P,d,d]
---@param n integer images
---@param floor number share
---@return Tensor [P,d,d]
function gaussian.shrink(covariance, n, floor)
    local d = covariance.shape[2]
    local trace = diagonal(covariance):sum(2)
    local squares = covariance:square():sum({2, 3})
    local mean = trace / d
    local spread = (squares - trace:square() / d):clamp(0)
    local upper = squares * (1 - 2 / d) + trace:square()
    local share = (upper / (spread * (n + 1 - 2 / d) + 1e-30)):clamp(0, 1):reshape(-1, 1, 1)
    local whole = mean:mean():item()
    if not (whole > 0 and whole < math.huge) then
        return nil
    end
    local unit = lx.eye(d, {device = covariance.device}):unsqueeze(1)
    return covariance * (share * -1 + 1) + unit * (share * mean:reshape(-1, 1, 1) + floor * whole)
end

--- Lower triangular factors of positive definite matrices (Cholesky), column by column for all at a time.
---@param matrices Tensor [P,d,d]
---@return Tensor? factors [P,d,d]; nil where one is not positive definite
function gaussian.cholesky(matrices)
    local count, d = matrices.shape[1], matrices.shape[2]
    local factor = lx.zeros({count, d, d}, {device = matrices.device})
    for j = 1, d do
        local rest = d - j + 1
        local column = matrices:narrow(2, j, rest):narrow(3, j, 1)
        if j > 1 then
            local below = factor:narrow(2, j, rest):narrow(3, 1, j - 1)
            column = column - below:matmul(below:narrow(2, 1, 1):transpose(2, 3))
        end
        local pivot = column:narrow(2, 1, 1)
        if not (pivot:min():item() > 0) then return nil end
        factor:narrow(2, j, rest):narrow(3, j, 1):copy_(column / pivot:sqrt())
    end
    return factor
end

--- The inverses of lower triangular matrices, row by row for all at a time.
---@param factor Tensor [P,d,d]
---@return Tensor [P,d,d]
function gaussian.inverse(factor)
    local count, d = factor.shape[1], factor.shape[2]
    local out = lx.zeros({count, d, d}, {device = factor.device})
    for i = 1, d do
        local row = lx.zeros({count, 1, i}, {device = factor.device})
        row:narrow(3, i, 1):fill_(1)
        if i > 1 then
            local before = factor:narrow(2, i, 1):narrow(3, 1, i - 1):matmul(
                out:narrow(2, 1, i - 1):narrow(3, 1, i - 1))
            row:narrow(3, 1, i - 1):copy_(before * -1)
        end
        out:narrow(2, i, 1):narrow(3, 1, i):copy_(row / factor:narrow(2, i, 1):narrow(3, i, 1))
    end
    return out
end

--- The transforms W with (x - mean)' C^-1 (x - mean) = |W (x - mean)|^2.
---@param covariance Tensor [P,d,d] positive definite
---@return Tensor [P,d,d]
function gaussian.whitening(covariance)
    local factor = gaussian.cholesky(covariance)
    if not factor then args.fail("anomaly: the features of these images are too alike to tell others from them") end
    return gaussian.inverse(factor)
end

return gaussian
