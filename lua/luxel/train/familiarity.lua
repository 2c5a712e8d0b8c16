--- How far an image is from those that a network was trained on, by its features: Mahalanobis' distance, whatever the
--- class.
--
-- The covariance is that of the training images in their largest principal components, shrunk towards equal variances
-- (Ledoit and Wolf, Journal of Multivariate Analysis 88:365, 2004); what lies beside these components is weighed by
-- the mean variance there (Tipping and Bishop, Journal of the Royal Statistical Society B 61:611, 1999). What a
-- distance means is told by the images that training left out: the p-value is the share of them that are as far away or
-- further.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local random = require "luxel.random"

local familiarity = {}

-- Components that are kept; multiplications of the covariance that find them (Halko, Martinsson and Tropp, SIAM Review
-- 53:217, 2011).
local COMPONENTS <const>, ROUNDS <const> = 32, 8

-- ---- numbers as text --------------------------------------------------------------------------------------------

local DIGITS <const>, BYTES <const> = {}, {}
for byte = 0, 255 do
    local char, digits = string.char(byte), ("%02x"):format(byte)
    DIGITS[char], BYTES[digits] = digits, char
end

--- Numbers as text for metadata: eight digits for each, those of its float32, the lowest byte first.
---@param numbers number[]
---@return string
function familiarity.to_text(numbers)
    local parts = {}
    for i, value in ipairs(numbers) do parts[i] = ("<f"):pack(value) end
    return (table.concat(parts):gsub(".", DIGITS))
end

--- The numbers of such a text.
---@param text string
---@return number[]
function familiarity.from_text(text)
    local bytes, out = text:gsub("%x%x", BYTES), {}
    for i = 1, #bytes // 4 do out[i] = ("<f"):unpack(bytes, 4 * i - 3) end
    return out
end

-- ---- linear algebra ---------------------------------------------------------------------------------------------

-- Rows made orthonormal in place (modified Gram-Schmidt, twice); one that depends on others is drawn anew.
local function orthonormalise(rows, stream)
    for i, row in ipairs(rows) do
        local length
        repeat
            local before = 0
            for c = 1, #row do before = before + row[c] * row[c] end
            for _ = 1, 2 do
                for j = 1, i - 1 do
                    local other, dot = rows[j], 0
                    for c = 1, #row do dot = dot + row[c] * other[c] end
                    for c = 1, #row do row[c] = row[c] - dot * other[c] end
                end
            end
            length = 0
            for c = 1, #row do length = length + row[c] * row[c] end
            local usable = length > 1e-10 * before and length > 1e-60
            if not usable then
                for c = 1, #row do row[c] = stream:normal() end
            end
        until usable
        length = math.sqrt(length)
        for c = 1, #row do row[c] = row[c] / length end
    end
    return rows
end

-- Eigenvalues and eigenvectors (as rows) of a symmetric matrix, by Jacobi's rotations.
local function eigen(a)
    local n, vectors = #a, {}
    for i = 1, n do
        vectors[i] = {}
        for j = 1, n do vectors[i][j] = i == j and 1 or 0 end
    end
    for _ = 1, 60 do
        local off, diagonal = 0, 0
        for i = 1, n do
            diagonal = diagonal + a[i][i] * a[i][i]
            for j = i + 1, n do off = off + a[i][j] * a[i][j] end
        end
        if off <= 1e-24 * diagonal then break end
        for p = 1, n - 1 do
            for q = p + 1, n do
                if a[p][q] ~= 0 then
                    local theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
                    local t = (theta >= 0 and 1 or -1) / (math.abs(theta) + math.sqrt(theta * theta + 1))
                    local c = 1 / math.sqrt(t * t + 1)
                    local s = t * c
                    for k = 1, n do
                        local row = a[k]
                        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
                    end
                    local ap, aq, vp, vq = a[p], a[q], vectors[p], vectors[q]
                    for k = 1, n do
                        ap[k], aq[k] = c * ap[k] - s * aq[k], s * ap[k] + c * aq[k]
                        vp[k], vq[k] = c * vp[k] - s * vq[k], s * vp[k] + c * vq[k]
                    end
                end
            end
        end
    end
    local values = {}
    for i = 1, n do values[i] = a[i][i] end
    return values, vectors
end

-- The largest principal components of centred features: their variances, and the axes as tensor [K,C]; and the whole
-- variance.
local function principal(centred, count)
    local n, channels = centred.shape[1], centred.shape[2]
    local covariance = centred:t():matmul(centred) / n
    local trace = 0
    for i, row in ipairs(core.to_table(covariance)) do trace = trace + row[i] end
    local stream, rows = random.stream(1, channels), {}
    for i = 1, count do
        rows[i] = {}
        for c = 1, channels do rows[i][c] = stream:normal() end
    end
    for _ = 1, ROUNDS do
        local axes = lx.tensor(orthonormalise(rows, stream))
        rows = core.to_table(axes:matmul(covariance))
    end
    local axes = lx.tensor(orthonormalise(rows, stream))
    local values, vectors = eigen(core.to_table(axes:matmul(covariance):matmul(axes:t())))
    local order = {}
    for i = 1, count do order[i] = i end
    table.sort(order, function(a, b) return values[a] > values[b] end)
    local sorted, turned = {}, {}
    for i, k in ipairs(order) do sorted[i], turned[i] = math.max(0, values[k]), vectors[k] end
    return sorted, lx.tensor(turned):matmul(axes), trace
end

-- Variances shrunk towards their mean, as much as their own uncertainty calls for.
local function shrink(variances, scores)
    local k, n = #variances, scores.shape[1]
    local mean, squares = 0, 0
    for _, v in ipairs(variances) do mean, squares = mean + v / k, squares + v * v end
    local distance = squares / k - mean * mean
    local fourth = scores:square():sum(2):square():sum():item()
    local noise = math.max(0, (fourth - n * squares) / (n * n) / k)
    local share = distance > 0 and math.min(1, noise / distance) or 1
    local out = {}
    for i, v in ipairs(variances) do out[i] = (1 - share) * v + share * mean end
    return out
end

-- ---- fitting ----------------------------------------------------------------------------------------------------

---@class luxel.Familiarity
---@field channels integer of the features
---@field mean string `to_text` of [C]
---@field scales string `to_text` of [C]: their deviations
---@field axes string `to_text` of [K,C], orthonormal rows
---@field variances number[] along these, shrunk
---@field rest number the mean variance of a direction beside them; 0 where there is none
---@field distances number[] of images that training left out, ascending, at most 200 evenly chosen ones

-- Distances that are kept, and how few say nothing.
local KEPT <const> = 200

-- The least deviation of a channel, as a share of the mean one.
local LEAST <const> = 0.01

--- An ascending list made shorter: evenly chosen, with the smallest and the largest.
---@param values number[] ascending
---@param most integer
---@return number[]
function familiarity.thinned(values, most)
    if #values <= most then return values end
    local out = {}
    for i = 1, most do out[i] = values[1 + (i - 1) * (#values - 1) // (most - 1)] end
    return out
end

-- Deviations of the channels, none much smaller than the usual one: what hardly varies would count most.
local function deviations(centred)
    local found = centred:square():mean(1):sqrt()
    local least = core.item(found:mean()) * LEAST
    return found:clamp(math.max(least, 1e-30))
end

--- What is known of the features of training images, and how far others are from them that training left out.
---@param training Tensor [N,C]
---@param others Tensor [M,C]
---@return luxel.Familiarity? nil where features are all the same, or images too few
function familiarity.fit(training, others)
    local n, channels = training.shape[1], training.shape[2]
    local count = math.min(COMPONENTS, channels, n // 4)
    if count < 1 or others.shape[1] < 2 then return nil end
    local mean = training:mean(1)
    local scales = deviations(training - mean)
    local centred = (training - mean) / scales
    local variances, axes, whole = principal(centred, count)
    if not (whole > 0 and whole < math.huge) then return nil end
    local kept = 0
    for _, v in ipairs(variances) do kept = kept + v end
    -- no direction is narrower than what rounding leaves of the widest
    local least = 1e-9 * whole
    variances = shrink(variances, centred:matmul(axes:t()))
    for i, v in ipairs(variances) do variances[i] = math.max(v, least) end
    local fitted = {
        channels = channels, mean = familiarity.to_text(core.to_table(mean)),
        scales = familiarity.to_text(core.to_table(scales)),
        axes = familiarity.to_text(core.to_table(axes:flatten())), variances = variances,
        rest = channels > count and math.max(least, (whole - kept) / (channels - count)) or 0,
    }
    local distances = familiarity.distances(fitted, others)
    table.sort(distances)
    fitted.distances = familiarity.thinned(distances, KEPT)
    return fitted
end

-- ---- distances --------------------------------------------------------------------------------------------------

-- Mean and axes as tensors, by what was fitted.
local opened = setmetatable({}, {__mode = "k"})

local function open(fitted)
    if not opened[fitted] then
        local axes = lx.tensor(familiarity.from_text(fitted.axes)):view(#fitted.variances, fitted.channels)
        opened[fitted] = {
            mean = lx.tensor(familiarity.from_text(fitted.mean)),
            scales = lx.tensor(familiarity.from_text(fitted.scales)), axes = axes:t():contiguous(),
            weights = lx.tensor(fitted.variances):rsqrt()}
    end
    return opened[fitted]
end

--- Mahalanobis' distance of each row of features from the training images, divided by the square root of the number of
--- channels: about 1 for one of them.
---@param fitted luxel.Familiarity
---@param rows Tensor [N,C]
---@return number[]
function familiarity.distances(fitted, rows)
    if rows.shape[2] ~= fitted.channels then
        args.fail("familiarity.distances: rows: expected %d channels, got %s", fitted.channels, args.describe(rows))
    end
    local known = open(fitted)
    local centred = (rows - known.mean) / known.scales
    local scores = centred:matmul(known.axes)
    local inside = core.to_table((scores * known.weights):square():sum(2))
    local whole, kept = core.to_table(centred:square():sum(2)), core.to_table(scores:square():sum(2))
    local out = {}
    for i, value in ipairs(inside) do
        local outside = fitted.rest > 0 and math.max(0, whole[i] - kept[i]) / fitted.rest or 0
        out[i] = math.sqrt((value + outside) / fitted.channels)
    end
    return out
end

--- The distance of the usual image that training left out, 0 where all features were the same.
---@param fitted luxel.Familiarity
---@return number
function familiarity.usual(fitted) return fitted.distances[(#fitted.distances + 1) // 2] end

--- Distances in multiples of the usual one.
---@param fitted luxel.Familiarity
---@param rows Tensor [N,C]
---@return number[]
function familiarity.ratios(fitted, rows)
    local out, usual = familiarity.distances(fitted, rows), math.max(familiarity.usual(fitted), 1e-30)
    for i, distance in ipairs(out) do out[i] = math.max(distance / usual, 1e-6) end
    return out
end

--- The share of the images that training left out which are as far away or further, counting the image itself.
---@param fitted luxel.Familiarity
---@param distance number
---@return number from 0 (exclusive) to 1
function familiarity.p_value(fitted, distance)
    local list, further = fitted.distances, 0
    for i = #list, 1, -1 do
        if list[i] < distance then break end
        further = further + 1
    end
    return (1 + further) / (1 + #list)
end

--- The same with its centre moved towards other images, with the weight n / (n + pseudo) of n of them, whose distances
--- from there count among the usual ones.
---@param fitted luxel.Familiarity
---@param rows Tensor [N,C] their features
---@param pseudo number
---@return luxel.Familiarity
function familiarity.moved(fitted, rows, pseudo)
    local n, moved = rows.shape[1], {}
    for key, value in pairs(fitted) do moved[key] = value end
    local weight = n / (n + pseudo)
    moved.mean = familiarity.to_text(core.to_table(open(fitted).mean * (1 - weight) + rows:mean(1) * weight))
    local distances = familiarity.distances(moved, rows)
    table.move(fitted.distances, 1, #fitted.distances, #distances + 1, distances)
    table.sort(distances)
    moved.distances = distances
    return moved
end

return familiarity
