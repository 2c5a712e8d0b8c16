--- The cases of spec/operations_spec.lua, one row a variant of an operation: `{name, run}`.
--
-- `run(i)` gets the inputs of spec/golden/make.py under their names there and returns the results, to be compared
-- with PyTorch's of the same name. Which inputs want a gradient is what make.py says. `slopes = false` in a row turns
-- finite differences off where the function bends or rounds too much for them. A row with `closed = {f, derivative,
-- low, high}` is compared with those functions of a number instead, at numbers from low to high, and make.py has
-- nothing of it.

local lx = require "luxel"
local ops = require "luxel.ops"

local nn = lx.nn
local F = nn.functional

local cases = {}

local function case(name, run, options)
    local row = {name = name, run = run}
    for key, value in pairs(options or {}) do row[key] = value end
    cases[#cases + 1] = row
end

-- A row for each name of a list: run(name) gives what to run.
local function each(prefix, names, make)
    for _, name in ipairs(names) do case(prefix .. name, make(name)) end
end

-- ---- elementwise ----------------------------------------------------------------------------------------------

each("unary/", ops.elementwise, function(name)
    return function(i) return i.x[name](i.x) end
end)
local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
case("closed/sigmoid", function(i) return i.x:sigmoid() end, {
    closed = {sigmoid, function(x) return sigmoid(x) * (1 - sigmoid(x)) end, -8, 8},
})
case("closed/log", function(i) return i.x:log() end, {
    closed = {math.log, function(x) return 1 / x end, 0.25, 9},
})
case("unary/images", function(i) return i.x:exp():sqrt() end)
case("unary/round_halves", function(i) return i.input:round() end)
case("unary/far", function(i) return i.x:sigmoid(), i.x:tanh(), i.x:erf(), (i.x / 10):expm1(), i.x:exp() end)
case("unary/small", function(i)
    return i.x:expm1() * 1e6, i.x:log1p() * 1e6, i.x:erf() * 1e6, i.x:tanh() * 1e6, i.x:sin() * 1e6
end)
case("unary/isnan", function(i) return i.input:isnan() end)
case("unary/nan", function(i)
    local x = i.x
    return -x, x:abs(), x:sqrt(), x:exp(), x:tanh(), x:clamp(-1, 1), x:floor()
end)
case("unary/in_place", function(i) return i.x:clone():exp_(), i.x:clone():neg_(), i.x:clone():square_() end)

local BINARY <const> = {
    add = function(a, b) return a + b end, sub = function(a, b) return a - b end,
    mul = function(a, b) return a * b end, div = function(a, b) return a / b end,
    pow = function(a, b) return a ^ b end, maximum = lx.maximum, minimum = lx.minimum,
}
for _, name in ipairs {"add", "sub", "mul", "div", "pow", "maximum", "minimum"} do
    local f = BINARY[name]
    for _, kind in ipairs {"same", "row", "column", "channel", "both", "left", "zero_dim"} do
        case(("binary/%s_%s"):format(name, kind), function(i) return f(i.a, i.b) end)
    end
    case(("binary/%s_number_right"):format(name), function(i) return f(i.a, 1.3) end)
    case(("binary/%s_number_left"):format(name), function(i) return f(1.3, i.a) end)
end
case("binary/pow_whole", function(i) return i.a ^ 2, i.a ^ 3, i.a ^ -1, i.a ^ 0 end)
case("binary/pow_zero_base", function(i) return i.a ^ i.b end, {slopes = false})
case("binary/twice_the_same", function(i) return i.a * i.a + i.a / i.a - i.a end)
case("binary/integers", function(i) return (i.a + i.b):int(), (i.a * i.b):int(), i.a / i.b end)
case("binary/in_place", function(i)
    local function x() return i.x:clone() end
    return x():add_(i.y), x():sub_(i.y), x():mul_(i.y), x():div_(i.y), x():add_(i.y, 0.5), x():clamp_(-1, 0.5),
        x():add_(2), x():mul_(3)
end)
case("binary/nan", function(i) return lx.maximum(i.a, i.b), lx.minimum(i.a, i.b), i.a + i.b, i.a * i.b end)
each("compare/", {"eq", "ne", "lt", "le", "gt", "ge"}, function(name)
    return function(i) return i.a[name](i.a, i.b), i.a[name](i.a, 0.5), i.i[name](i.i, 2) end
end)
case("compare/nan", function(i) return i.a:eq(i.a), i.a:ne(i.a), i.a:lt(1), i.a:ge(1) end)
case("select/where", function(i) return lx.where(i.c, i.a, i.b) end)
case("select/where_broadcast", function(i) return lx.where(i.c, i.a, i.b) end)
case("select/where_number", function(i) return lx.where(i.c, i.a, 2.5) end)
case("select/masked_fill", function(i) return i.x:masked_fill(i.m, -3.5) end)
case("select/clamp", function(i) return i.x:clamp(-0.75, 1.25) end)
case("select/clamp_low", function(i) return i.x:clamp(-0.5) end)
case("select/clamp_high", function(i) return i.x:clamp(nil, 0.5) end)
case("cast/all", function(i) return i.x:int(), i.i:float(), i.b:to("float32"), i.i:byte(), i.b:to("int32") end)

-- ---- reductions -----------------------------------------------------------------------------------------------

local DIMS <const> = {
    {"first", 1}, {"last", -1}, {"middle", {2}}, {"channels", {1, 3, 4}}, {"pair", {2, 4}}, {"keep", {3, 4}, true},
}
for _, name in ipairs {"sum", "mean", "max", "min"} do
    case(("reduce/%s_whole"):format(name), function(i) return i.x[name](i.x) end)
end
for _, row in ipairs(DIMS) do
    local kind, dim, keep = table.unpack(row)
    local dims = type(dim) == "table" and dim or {dim}
    case("reduce/sum_" .. kind, function(i) return i.x:sum(dim, keep) end)
    case("reduce/mean_" .. kind, function(i) return i.x:mean(dim, keep) end)
    case("reduce/var_" .. kind, function(i) return i.x:var(dim, keep) end)
    case("reduce/std_" .. kind, function(i) return i.x:std(dim, keep, false) end)
    case("reduce/norm_" .. kind, function(i) return i.x:norm(2, dim, keep) end)
    case("reduce/max_" .. kind, function(i) return i.x:max(dims, keep) end)
    case("reduce/min_" .. kind, function(i) return i.x:min(dims, keep) end)
end
case("reduce/var_whole", function(i) return i.x:var() end)
case("reduce/std_whole", function(i) return i.x:std(nil, false, false) end)
case("reduce/norm_whole", function(i) return i.x:norm() end)
case("reduce/prod_whole", function(i) return i.x:prod() end)
case("reduce/prod_first", function(i) return i.x:prod(1) end)
case("reduce/prod_last", function(i) return i.x:prod(-1) end)
case("reduce/prod_zero", function(i) return i.x:prod(2) end)
case("reduce/norm_1", function(i) return i.x:norm(1, 2) end)
case("reduce/norm_3", function(i) return i.x:norm(3, 2) end)
case("reduce/norm_inf", function(i) return i.x:norm(math.huge, 2) end)
case("reduce/long", function(i) return i.x:sum(2), i.x:mean(1), i.x:sum() end)
case("reduce/zero_dim", function(i) return i.x:sum(), i.x:mean(), i.x:max() end)
for _, name in ipairs {"max", "min"} do
    for dim = 1, 3 do
        case(("reduce/%s_with_indices_%d"):format(name, dim), function(i) return i.x[name](i.x, dim) end)
    end
    case(("reduce/%s_with_indices_keep"):format(name), function(i) return i.x[name](i.x, 2, true) end)
end
case("reduce/arg", function(i)
    return i.x:argmax(), i.x:argmax(1), i.x:argmax(-1, true), i.x:argmin(), i.x:argmin(2)
end)
case("reduce/arg_first_of_ties", function(i) return i.x:argmax(2), i.x:argmin(2) end)
case("reduce/any_all", function(i) return i.x:any(), i.x:all(), i.x:any(1), i.x:all(2), i.x:any(2, true) end)
case("reduce/integers", function(i)
    return i.i:sum(1):float(), i.i:sum():float(), i.b:mean(), (i.i:max({1}):float())
end)
case("reduce/nan", function(i) return i.x:sum(2), i.x:mean(2), i.x:max({2}), i.x:min({2}), i.x:max() end)
for dim = 1, 3 do
    case("scan/cumsum_" .. dim, function(i) return i.x:cumsum(dim) end)
    case("scan/sort_" .. dim, function(i) return i.x:sort(dim) end)
end
case("scan/cumsum_last", function(i) return i.x:cumsum(-1) end)
case("scan/sort_descending", function(i) return i.x:sort(nil, true) end)
case("scan/sort_stable", function(i)
    local up, up_indices = i.x:sort(2)
    local down, down_indices = i.x:sort(2, true)
    return up, up_indices, down, down_indices
end)
case("scan/topk", function(i) return i.x:topk(3) end)
case("scan/topk_smallest", function(i) return i.x:topk(2, 1, false) end)

-- ---- shape and picking ----------------------------------------------------------------------------------------

for dim = 1, 3 do
    case("join/cat_" .. dim, function(i) return lx.cat({i.a, i.b, i.c}, dim) end)
end
case("join/cat_channels", function(i) return lx.cat({i.a, i.b}, 2) end)
case("join/cat_twice_the_same", function(i) return lx.cat({i.a, i.a}, -1) end)
case("join/cat_integers", function(i) return lx.cat {i.a, i.b} end)
case("join/stack_1", function(i) return lx.stack {i.a, i.b} end)
case("join/stack_3", function(i) return lx.stack({i.a, i.b}, 3) end)
case("join/chunk", function(i) return table.unpack(i.x:chunk(3, 2)) end)
case("view/narrow", function(i) return i.x:narrow(2, 3, 4) end)
case("view/select", function(i) return i.x:select(2, 5) * i.x:select(-2, 2) end)
case("view/permute", function(i) return i.x:permute(3, 1, 4, 2) end)
case("view/transpose", function(i) return i.x:transpose(1, 3) end)
case("view/t", function(i) return i.x:t() end)
case("view/expand", function(i) return i.x:expand(5, 3, 7) end)
case("view/expand_then_product", function(i) return i.x:expand(5, 7) * i.y end)
case("view/reshape", function(i) return i.x:reshape(7, -1) end)
case("view/reshape_of_transposed", function(i) return i.x:transpose(1, 2):reshape({-1, 3}) end)
case("view/view", function(i) return i.x:contiguous():view(3, -1) end)
case("view/squeeze", function(i) return i.x:squeeze(2) * i.x:squeeze():unsqueeze(-1) end)
case("view/unsqueeze", function(i) return i.x:unsqueeze(1):unsqueeze(-1):unsqueeze(3) end)
case("view/flatten", function(i) return i.x:flatten(2, 3) end)
case("view/flatten_whole", function(i) return i.x:flatten() end)
case("view/contiguous", function(i) return i.x:t():contiguous() end)
case("view/clone", function(i) return i.x:clone() * i.x end)
case("view/to_device", function(i) return ops.to_device(i.x, "cpu") * 2 end)
case("view/index", function(i) return i.x[{2, {2, 4}, {}, 3}] end)
case("view/index_end", function(i) return i.x[-1] + i.x[{{}, {-2, -1}}]:sum(1)[1] end)
case("view/assign", function(i)
    local row, columns, masked = i.x:clone(), i.x:clone(), i.x:clone()
    row[2] = i.y
    columns[{{}, {4, 5}}] = 2.5
    masked[i.m] = 9
    local rows = lx.cat({row:narrow(1, 1, 2), row:narrow(1, 3, 3)}, 1)
    return rows, columns, masked
end)
case("view/copy", function(i)
    local wide, turned = i.x:clone(), i.x:t():clone()
    return wide:copy_(i.y), turned:copy_(i.x:t())
end)
for dim = 1, 3 do
    case("pick/index_select_" .. dim, function(i) return i.x:index_select(dim, i.i) end)
    case("pick/gather_" .. dim, function(i) return i.x:gather(dim, i.i) end)
end
case("pick/index_by_tensor", function(i) return i.x[i.i] end)

-- ---- changes in place -----------------------------------------------------------------------------------------

local function zeros_like(t, ...) return lx.zeros({...}, {device = t.device}) end

case("in_place/taken_in", function(i)
    local z = zeros_like(i.x, 7)
    z:add_(i.x * 2)
    return z + i.x, z
end)
case("in_place/chain", function(i)
    local z = i.x * 1
    return z:mul_(i.y):sub_(i.x):add_(i.y, 0.5):div_(3):tanh_() + z:square()
end)
case("in_place/views_of_views", function(i)
    local x, y, z = i.x, i.y, zeros_like(i.x, 5, 7)
    local part = z:narrow(1, 2, 3)
    local column = part:t():select(1, 3)
    column:add_(x:narrow(1, 1, 3):select(2, 1))
    part:mul_(y):add_(x:narrow(1, 2, 3))
    z[1] = y
    z:t():select(1, 7):sub_(x:select(2, 2))
    return z * z, part:exp(), column
end)
case("in_place/base_after_view", function(i)
    local z = i.x * 2
    local turned, row = z:t(), z:select(1, 4)
    local flat = z:view(-1)
    z:mul_(i.y)
    z:select(1, 3):sub_(i.x:select(1, 2))
    return turned * 3, row:sin(), flat
end)
case("in_place/overwritten", function(i)
    local z = i.x * i.y
    local w = z * 1
    z:select(1, 2):zero_()
    z[{{}, 3}] = 3
    z[4] = i.y
    w:copy_(i.y)
    return z * z, w * 2, i.x * 1
end)
case("in_place/masked", function(i)
    local z = i.x:sin()
    z[i.m] = i.y:expand(5, 7)
    z[z:gt(0.5)] = 0.5
    return z * i.y
end, {slopes = false})
case("in_place/expanded_view", function(i)
    local z = zeros_like(i.x, 1, 7)
    local many = z:expand(5, 7)
    local columns = z:expand(5, 7):narrow(2, 3, 3):t()
    z:add_(i.x)
    return many * i.y, columns
end)
case("in_place/through_detached", function(i)
    local z = i.x * 3
    local apart = z:detach()
    apart:add_(i.x)
    return z * 1, apart
end, {slopes = false}) -- the gradient leaves out the other way to the same memory
case("in_place/with_itself", function(i)
    local z = i.x * 1
    z:mul_(z)
    z:select(1, 1):add_(z:select(1, 2))
    z:narrow(1, 2, 3):sub_(z:narrow(1, 1, 3))
    return z
end)
case("in_place/limits", function(i)
    local z = i.x * 1
    z:narrow(1, 1, 2):clamp_(-0.5, 0.75)
    z:narrow(1, 3, 3):maximum_(i.y)
    return z:square_():exp_()
end)

-- ---- where functions bend or end ------------------------------------------------------------------------------

local BENDS <const> = {slopes = false}
case("edge/pow_number", function(i) return i.a ^ 0, i.a ^ 1, i.a ^ 2 end)
case("edge/pow_tensors", function(i) return i.a ^ i.b end, BENDS)
case("edge/pow_zero_base", function(i) return 0 ^ i.b end, BENDS)
case("edge/norm", function(i)
    local x, inf = i.x, math.huge
    return x:norm(0, 2), x:norm(1, 2), x:norm(1.5, 2), x:norm(2, 2), x:norm(3, 2), x:norm(inf, 2), x:norm(-inf, 2)
end, BENDS)
case("edge/norm_half", function(i) return i.x:norm(0.5, 2) end, BENDS)
case("edge/std", function(i) return i.x:std(2), i.x:std(2, false, false), i.x:std() end, BENDS)
case("edge/std_all_equal", function(i) return i.x:std() end, BENDS)
case("edge/one_element", function(i) return i.x:var(2), i.x:std(2), i.x:var(2, false, false) end, BENDS)
case("edge/clamp", function(i) return i.x:clamp(-0.5, 0.5), i.x:clamp(nil, 0.5), i.x:clamp(5, 2) end, BENDS)
case("edge/clamp_crossed", function(i) return i.x:clamp(5, 2) end)
case("edge/abs", function(i) return i.x:abs(), i.x:sign(), i.x:relu() end, BENDS)
case("edge/ties", function(i) return lx.maximum(i.a, i.b), lx.minimum(i.a, i.b) end, BENDS)
case("edge/ties_nan", function(i) return lx.maximum(i.a, i.b), lx.minimum(i.a, i.b) end, BENDS)
case("edge/extreme_ties", function(i) return i.x:max {2}, i.x:min(), i.x:max(), (i.x:max(2)) end, BENDS)
case("edge/median_ties", function(i) return i.x:median() end, BENDS)
case("edge/domain", function(i) return i.x:sqrt(), i.x:log(), i.x:rsqrt(), i.x:reciprocal() end, BENDS)
case("edge/div", function(i) return i.a / i.b end, BENDS)
case("edge/prod", function(i) return i.x:prod(2) end, BENDS)
for _, kind in ipairs {"same", "row", "left"} do
    case("binary/remainder_" .. kind, function(i) return i.a % i.b end)
end
case("binary/remainder_number_right", function(i) return i.a % 1.25 end)
case("binary/remainder_number_left", function(i) return 5.5 % i.a end)
case("binary/floored", function(i) return i.a % i.b, i.a // i.b end)
case("binary/floor_divide", function(i) return i.a // i.b, i.a:floor_divide(1.25) end)

-- ---- picking by masks and positions, putting elements elsewhere -----------------------------------------------

case("pick/nonzero", function(i) return i.x:nonzero() end)
case("pick/masked_select", function(i) return i.x:masked_select(i.m) end)
case("pick/masked_select_broadcast", function(i) return i.x:masked_select(i.m) end)
case("pick/index_by_mask", function(i) return i.x[i.m] * 2 end)
case("pick/index_by_mask_of_rows", function(i) return i.x[i.m] end)
case("pick/index_by_mask_of_two", function(i) return i.x[i.m] end)
case("pick/index_steps", function(i) return i.x[{{1, -1, 2}, {2, 6, 3}}] end)
case("pick/assign", function(i)
    local by_mask, by_rows, by_places, steps = i.x:clone(), i.x:clone(), i.x:clone(), i.x:clone()
    by_mask[i.m] = i.v:narrow(1, 1, i.m:nonzero().shape[1])
    by_rows[i.r] = i.w
    by_places[i.i] = i.rows
    steps[{{1, 5, 2}, {2, 7, 3}}] = 7
    return by_mask, by_rows, by_places, steps
end)
for dim = 1, 3 do
    case("pick/scatter_" .. dim, function(i) return i.x:scatter(dim, i.i, i.source) end)
    case("pick/scatter_add_" .. dim, function(i) return i.x:scatter_add(dim, i.i, i.source) end)
end
case("pick/scatter_number", function(i) return i.x:scatter(2, i.i, 2.5) end)
case("pick/one_hot", function(i) return i.i:one_hot(7), i.j:one_hot() end)
case("move/flip", function(i) return i.x:flip(2), i.x:flip {1, 3} end)
case("move/roll", function(i) return i.x:roll(2, 2), i.x:roll({-3, 9}, {1, 3}), i.x:roll(4) end)
case("move/split", function(i)
    local parts = i.x:split(2, 2)
    for _, part in ipairs(i.x:split({1, 4, 2}, 3)) do parts[#parts + 1] = part end
    return table.unpack(parts)
end)
case("move/tile", function(i) return i.x:tile(2, 3), i.x:tile {2, 1, 2} end)
case("move/repeat_interleave", function(i) return i.x:repeat_interleave(3, 2), i.x:repeat_interleave(2) end)
case("move/triangles", function(i) return i.x:tril(), i.x:tril(-1), i.x:triu(), i.x:triu(2) end)
case("move/outer", function(i) return i.a:outer(i.b) end)

-- ---- order statistics, distances, sums of products ------------------------------------------------------------

for dim = 1, 3 do
    case("order/median_" .. dim, function(i) return i.x:median(dim) end)
end
case("order/median_keep", function(i) return i.x:median {dim = 2, keepdim = true} end)
case("order/median_whole", function(i) return i.x:median() end)
case("order/median_nan", function(i)
    local values, indices = i.x:median(2)
    return values, indices, i.x:median()
end)
local Q <const> = {0, 0.1, 0.5, 0.77, 1}
case("order/quantile", function(i)
    return i.x:quantile(0.3, 2), i.x:quantile(Q, 3), i.x:quantile(0.85), i.x:quantile(Q, 1, true)
end)
for _, how in ipairs {"lower", "higher", "nearest", "midpoint"} do
    case("order/quantile_" .. how, function(i) return i.x:quantile(Q, 2, false, how) end)
end
case("order/quantile_nan", function(i) return i.x:quantile(0.5, 2) end)
case("order/unique", function(i) return i.x:unique(), i.i:unique() end)
case("product/cdist", function(i) return i.a:cdist(i.b), i.a:cdist(i.b, 1), i.a:cdist(i.b, 3) end)
case("product/cdist_zero", function(i) return lx.cdist(i.a, i.b) end, BENDS)
for _, equation in ipairs {"ij,jk->ik", "bij,bjk->bik", "ij,kj", "ij->ji", "ijk->j", "i,j->ij", "ij,ij->",
    "bhqd,bhkd->bhqk", "ij,jk,kl->il", "ijk,k->ij", "ijm,j->i", "bi,bi->b"} do
    case("einsum/" .. equation, function(i)
        local operands = {i.a, i.b, i.c}
        return lx.einsum(equation, table.unpack(operands))
    end)
end

-- ---- products -------------------------------------------------------------------------------------------------

each("matmul/", {"square", "odd", "wide", "blocks", "inner_1", "row", "batched", "batch_left", "batch_right",
    "batch_broadcast", "vectors", "matrix_vector", "vector_matrix", "batch_vector", "vector_batch"}, function()
    return function(i) return lx.matmul(i.a, i.b) end
end)
case("matmul/transposed", function(i) return i.a:t():matmul(i.b:t()) end)
case("matmul/with_itself", function(i) return i.a:matmul(i.a:t()) end)
case("matmul/mm_bmm", function(i) return i.a:mm(i.b), i.c:bmm(i.d) end)
each("linear/", {"plain", "no_bias", "one_output", "three_dims", "vector"}, function()
    return function(i) return F.linear(i.input, i.weight, i.bias) end
end)

-- ---- convolution ----------------------------------------------------------------------------------------------

local CONVOLUTIONS <const> = {
    {"3x3_pad1", {padding = 1}}, {"3x3_valid"}, {"1x1"}, {"1x1_one_to_one"}, {"1x1_stride2", {stride = 2}},
    {"1x1_pad1", {padding = 1}}, {"5x5", {padding = 2}}, {"7x7_stride2_pad3", {stride = 2, padding = 3}},
    {"7x7_one_channel", {stride = 2, padding = 3}}, {"stride2", {stride = 2, padding = 1}},
    {"stride2_even_size", {stride = 2, padding = 1}}, {"stride3_leaves_rest", {stride = 3}},
    {"stride_above_kernel", {stride = 4}}, {"dilation2", {padding = 2, dilation = 2}},
    {"dilation2_stride2", {stride = 2, padding = 3, dilation = 2}},
    {"asymmetric", {stride = {2, 1}, padding = {0, 2}, dilation = {1, 2}}},
    {"kernel_1x7", {padding = {0, 3}}}, {"kernel_7x1", {padding = {3, 0}}}, {"groups2", {padding = 1, groups = 2}},
    {"groups3_odd", {padding = 1, groups = 3}}, {"groups2_above_block", {padding = {1, 0}, groups = 2}},
    {"groups_16_wide", {padding = {0, 1}, groups = 2}}, {"groups_stride2", {stride = 2, padding = 1, groups = 4}},
    {"depthwise", {padding = 1, groups = 19}}, {"depthwise_stride2", {stride = 2, padding = 2, groups = 17}},
    {"depthwise_dilation2", {padding = 2, dilation = 2, groups = 3}}, {"depthwise_times_2", {padding = 1, groups = 5}},
    {"batch1", {padding = 1}}, {"batch5", {padding = 1}}, {"one_channel", {padding = 1}}, {"one_output", {padding = 1}},
    {"three_channels", {padding = 1}}, {"no_bias", {padding = 1}}, {"even_2x2"},
    {"even_4x4_stride2", {stride = 2, padding = 1}}, {"smaller_than_kernel", {padding = 2}},
    {"one_pixel", {padding = 1}}, {"whole_input"}, {"padding_above_kernel", {padding = 3}}, {"wide_row", {padding = 1}},
    {"narrow_column", {padding = 1}}, {"two_blocks", {padding = 1}}, {"three_blocks_out", {padding = {0, 1}}},
    {"large_map", {padding = 1}},
}
for _, row in ipairs(CONVOLUTIONS) do
    case("conv2d/" .. row[1], function(i) return F.conv2d(i.input, i.weight, i.bias, row[2]) end)
end
case("conv2d/relu", function(i) return F.conv2d(i.input, i.weight, i.bias, {padding = 1, relu = true}) end)
case("conv2d/relu_groups", function(i)
    return F.conv2d(i.input, i.weight, i.bias, {padding = 1, groups = 5, relu = true})
end)
case("conv2d/relu6", function(i) return F.conv2d(i.input, i.weight, i.bias, {padding = 1, activation = "relu6"}) end)
case("conv2d/relu6_groups", function(i)
    return F.conv2d(i.input, i.weight, i.bias, {padding = 1, groups = 5, activation = "relu6"})
end)
case("conv2d/leaky", function(i) return F.conv2d(i.input, i.weight, i.bias, {padding = 1, activation = "leaky"}) end)
case("conv2d/relu6_max_pool", function(i)
    return F.conv2d(i.input, i.weight, i.bias, {padding = 1, activation = "relu6", max_pool = {kernel = 2}})
end)
case("conv2d/relu_max_pool", function(i)
    return F.conv2d(i.input, i.weight, i.bias, {padding = 1, relu = true, max_pool = {kernel = 2}})
end)
case("conv2d/relu_max_pool_overlapping", function(i)
    local pool = {kernel = 3, stride = 2, padding = 1}
    return F.conv2d(i.input, i.weight, nil, {stride = 2, relu = true, max_pool = pool})
end)
local POOLED <const> = {
    {"plain", 1}, {"plain_even", 1}, {"plain_3_channels", 0}, {"many_channels", 1}, {"many_channels_even", 1},
    {"many_channels_no_padding", 0}, {"many_channels_padding2", 2}, {"groups", 1, 4},
}
for _, row in ipairs(POOLED) do
    case("conv2d/relu_max_pool_" .. row[1], function(i)
        return F.conv2d(i.input, i.weight, i.bias,
            {padding = row[2], groups = row[3] or 1, relu = true, max_pool = {kernel = 2}})
    end)
end
case("conv2d/same_weight_twice", function(i)
    return F.conv2d(F.conv2d(i.input, i.weight, nil, {padding = 1}), i.weight, nil, {padding = 1})
end)

local TRANSPOSED <const> = {
    {"stride1"}, {"stride2", {stride = 2}}, {"stride2_output_padding", {stride = 2, padding = 1, output_padding = 1}},
    {"asymmetric", {stride = {1, 3}, padding = {1, 0}, output_padding = {0, 1}}},
    {"groups", {stride = 2, padding = 1, groups = 2}}, {"depthwise", {stride = 2, padding = 1, groups = 17}},
    {"dilation", {dilation = 2, padding = 1}}, {"no_bias", {stride = 2, padding = 1}},
}
for _, row in ipairs(TRANSPOSED) do
    case("conv_transpose2d/" .. row[1], function(i)
        return F.conv_transpose2d(i.input, i.weight, i.bias, row[2])
    end)
end

-- ---- pooling and resizing -------------------------------------------------------------------------------------

case("max_pool2d/2x2", function(i) return F.max_pool2d(i.x, 2) end)
case("max_pool2d/2x2_odd", function(i) return F.max_pool2d(i.x, 2) end)
case("max_pool2d/3x3_stride2_pad1", function(i) return F.max_pool2d(i.x, 3, {stride = 2, padding = 1}) end)
case("max_pool2d/3x3_stride1", function(i) return F.max_pool2d(i.x, 3, {stride = 1}) end)
case("max_pool2d/asymmetric", function(i) return F.max_pool2d(i.x, {3, 2}, {stride = {1, 2}, padding = {1, 0}}) end)
case("max_pool2d/stride_above_kernel", function(i) return F.max_pool2d(i.x, 2, {stride = 3}) end)
case("max_pool2d/negative_with_padding", function(i)
    return F.max_pool2d(i.x - 100, 3, {stride = 2, padding = 1})
end)
case("avg_pool2d/2x2", function(i) return F.avg_pool2d(i.x, 2) end)
case("avg_pool2d/2x2_odd", function(i) return F.avg_pool2d(i.x, 2) end)
case("avg_pool2d/3x3_stride2_pad1", function(i) return F.avg_pool2d(i.x, 3, {stride = 2, padding = 1}) end)
case("avg_pool2d/without_padding_counted", function(i)
    return F.avg_pool2d(i.x, 3, {stride = 2, padding = 1, count_include_pad = false})
end)
case("avg_pool2d/asymmetric", function(i) return F.avg_pool2d(i.x, {3, 2}, {stride = {1, 2}, padding = {1, 0}}) end)
case("avg_pool2d/stride_above_kernel", function(i) return F.avg_pool2d(i.x, 2, {stride = 3}) end)
case("adaptive_avg_pool2d/one", function(i) return F.adaptive_avg_pool2d(i.x, 1) end)
case("adaptive_avg_pool2d/uneven", function(i) return F.adaptive_avg_pool2d(i.x, {3, 5}) end)
case("adaptive_avg_pool2d/same_size", function(i) return F.adaptive_avg_pool2d(i.x, {4, 5}) end)
case("adaptive_avg_pool2d/larger", function(i) return F.adaptive_avg_pool2d(i.x, {5, 7}) end)
case("pooling/global", function(i) return i.x:mean({3, 4}), i.x:max({3, 4}) end)
case("interpolate/nearest_scale2", function(i) return F.interpolate(i.x, {scale = 2}) end)
case("interpolate/nearest_size", function(i) return F.interpolate(i.x, {size = {7, 4}}) end)
case("interpolate/nearest_down", function(i) return F.interpolate(i.x, {size = {2, 3}, mode = "nearest"}) end)
for _, row in ipairs {{"", false}, {"_align_corners", true}} do
    local function bilinear(name, size)
        case(("interpolate/bilinear_%s%s"):format(name, row[1]), function(i)
            return F.interpolate(i.x, {size = size, scale = not size and 2 or nil, mode = "bilinear",
                align_corners = row[2]})
        end)
    end
    bilinear("scale2")
    bilinear("size", {7, 4})
    bilinear("to_one", 1)
    bilinear("from_one", {3, 4})
end

-- ---- padding --------------------------------------------------------------------------------------------------

each("pad/", {"reflect", "replicate", "circular"}, function(mode)
    return function(i) return F.pad(i.x, {3, 1, 0, 2}, {mode = mode}), F.pad(i.x, {0, 0, 2, 2}, {mode = mode}) end
end)
for _, mode in ipairs {"reflect", "replicate", "circular"} do
    case("pad/" .. mode .. "_signals", function(i) return F.pad(i.x, {2, 3}, {mode = mode}) end)
end
case("pad/constant", function(i)
    return F.pad(i.x, {3, 1, 0, 2}), F.pad(i.x, {1, 2, 3, 4, 5, 6}, {value = 2.5}), F.pad(i.x, {0, 0}) * 1
end)
case("pad/negative", function(i) return F.pad(i.x, {-1, -2}), F.pad(i.x, {1, -3, -2, 4}, {value = -1.5}) end)
case("pad/beyond_the_size", function(i) return F.pad(i.x, {5, 6, 4, 3}, {mode = "replicate"}) end)

-- ---- convolution in one dimension -----------------------------------------------------------------------------

case("conv1d/plain", function(i) return F.conv1d(i.x, i.w, i.b) end)
case("conv1d/options", function(i) return F.conv1d(i.x, i.w, nil, {stride = 3, padding = 2, dilation = 2}) end)
case("conv1d/groups", function(i) return F.conv1d(i.x, i.w, i.b, {padding = 1, groups = 6}) end)
case("pool1d/max", function(i) return F.max_pool1d(i.x, 3, {stride = 2, padding = 1}) end)
case("pool1d/avg", function(i)
    return F.avg_pool1d(i.x, 3), F.avg_pool1d(i.x, 3, {stride = 2, padding = 1}),
        F.avg_pool1d(i.x, 3, {stride = 1, padding = 1, count_include_pad = false})
end)
case("pool1d/adaptive", function(i) return F.adaptive_avg_pool1d(i.x, 3), F.adaptive_avg_pool1d(i.x, 1) end)

-- ---- normalisation --------------------------------------------------------------------------------------------

-- The running statistics are results too, because training changes them.
local function batch_norm(name, options)
    case("batch_norm/" .. name, function(i)
        local mean, var = i.mean:clone(), i.var:clone()
        return F.batch_norm(i.x, mean, var, i.weight, i.bias, options), mean, var
    end)
end
for _, channels in ipairs {3, 19} do
    batch_norm("training_" .. channels, {training = true})
    batch_norm("evaluation_" .. channels)
end
batch_norm("options", {training = true, momentum = 0.35, eps = 0.01})
batch_norm("plain", {training = true})
batch_norm("plain_evaluation")
batch_norm("vectors", {training = true})
case("batch_norm/no_running", function(i) return F.batch_norm(i.x, nil, nil, nil, nil, {training = true}) end)
case("batch_norm/far_from_zero", function(i)
    return F.batch_norm(i.x + 300, nil, nil, nil, nil, {training = true})
end, {slopes = false})
batch_norm("signals", {training = true})
batch_norm("signals_evaluation")
for name, options in pairs {running = {momentum = 0.3}, evaluation = {use_input_stats = false}} do
    case("instance_norm/" .. name, function(i)
        local mean, var = i.mean:clone(), i.var:clone()
        return F.instance_norm(i.x, mean, var, i.weight, i.bias, options), mean, var
    end)
end
case("instance_norm/plain", function(i) return F.instance_norm(i.x) end)
case("instance_norm/affine", function(i) return F.instance_norm(i.x, nil, nil, i.weight, i.bias, {eps = 0.01}) end)
case("group_norm/affine", function(i) return F.group_norm(i.x, 3, i.weight, i.bias) end)
case("group_norm/one_group", function(i) return F.group_norm(i.x, 1, i.weight, i.bias) end)
case("group_norm/plain", function(i) return F.group_norm(i.x, 19, nil, nil, {eps = 0.01}) end)
case("group_norm/three_dims", function(i) return F.group_norm(i.x, 2, i.weight, i.bias) end)
for _, size in ipairs {1, 2, 5, 12} do
    case("local_response_norm/size_" .. size, function(i) return F.local_response_norm(i.x, size, {alpha = 0.7}) end)
end
case("local_response_norm/options", function(i)
    return F.local_response_norm(i.x, 3, {alpha = 2, beta = 0.5, k = 0.25}), nn.LocalResponseNorm(4, {k = 2})(i.x)
end)
case("local_response_norm/signals", function(i) return F.local_response_norm(i.x, 3, {alpha = 1}) end)
case("layer_norm/last", function(i) return F.layer_norm(i.x, {17}, i.weight, i.bias) end)
case("layer_norm/two_dims", function(i) return F.layer_norm(i.x, {5, 7}, i.weight, i.bias, {eps = 0.01}) end)
case("layer_norm/plain", function(i) return F.layer_norm(i.x, {7}) end)

-- ---- activations ----------------------------------------------------------------------------------------------

each("activation/", {"relu", "silu", "gelu", "sigmoid", "tanh"}, function(name)
    return function(i) return F[name](i.x) end
end)
case("activation/leaky_relu", function(i) return F.leaky_relu(i.x) end)
case("activation/leaky_relu_slope", function(i) return F.leaky_relu(i.x, 0.2) end)
for dim = 1, 4 do
    case("softmax/dim" .. dim, function(i) return F.softmax(i.x, dim) end)
    case("softmax/log_dim" .. dim, function(i) return F.log_softmax(i.x, dim - 5) end)
end
case("softmax/long", function(i) return F.softmax(i.x, -1), F.log_softmax(i.x, 2) end)
case("softmax/far", function(i) return F.softmax(i.x * 60, 2), F.log_softmax(i.x * 60, 2) end, {slopes = false})
case("dropout/identity", function(i)
    return F.dropout2d(F.dropout(F.dropout(i.x, 0, true), 0.5, false):view(5, 7, 1, 1), 0.3, false):view(5, 7)
end)

-- What was dropped is put back and the others are scaled back: that is x, whatever the mask, if the values that are
-- left are x/(1-p) and backward uses the mask of forward.
local function undo_dropout(dropout)
    return function(i)
        lx.manual_seed(3)
        local y = dropout(i.x, 0.3)
        local dropped = y:eq(0)
        local share = dropped:float():mean():item()
        assert(share > 0.1 and share < 0.6, "dropout dropped a share of " .. share)
        return lx.where(dropped, i.x, y * 0.7)
    end
end
case("dropout/mask_and_scale", undo_dropout(F.dropout))
case("dropout/mask_and_scale_2d", undo_dropout(F.dropout2d))
case("embedding/vector", function(i) return F.embedding(i.i, i.w) end)
case("embedding/matrix", function(i) return F.embedding(i.i, i.w) end)

-- ---- losses ---------------------------------------------------------------------------------------------------

local bce = F.binary_cross_entropy_with_logits
each("bce/", {"mean", "sum", "none"}, function(reduction)
    return function(i) return bce(i.x, i.t, {reduction = reduction}) end
end)
each("bce/", {"vector", "soft_targets", "missing", "all_missing"}, function()
    return function(i) return bce(i.x, i.t) end
end)
case("bce/far", function(i) return bce(i.x * 60, i.t) end, {slopes = false})
case("bce/pos_weight_number", function(i) return bce(i.x, i.t, {pos_weight = 2.5}) end)
case("bce/pos_weight", function(i) return bce(i.x, i.t, {pos_weight = i.p}) end)
case("bce/missing_pos_weight_none", function(i) return bce(i.x, i.t, {pos_weight = i.p, reduction = "none"}) end)

each("cross_entropy/", {"mean", "sum", "none"}, function(reduction)
    return function(i) return F.cross_entropy(i.x, i.t, {reduction = reduction}) end
end)
each("cross_entropy/", {"images", "missing"}, function()
    return function(i) return F.cross_entropy(i.x, i.t) end
end)
case("cross_entropy/far", function(i) return F.cross_entropy(i.x * 60, i.t) end, {slopes = false})
case("cross_entropy/weight", function(i) return F.cross_entropy(i.x, i.t, {weight = i.w}) end)
case("cross_entropy/weight_none", function(i)
    return F.cross_entropy(i.x, i.t, {weight = i.w, reduction = "none"})
end)
case("cross_entropy/smoothing", function(i) return F.cross_entropy(i.x, i.t, {label_smoothing = 0.1}) end)
case("cross_entropy/smoothing_weight", function(i)
    return F.cross_entropy(i.x, i.t, {label_smoothing = 0.2, weight = i.w})
end)
case("cross_entropy/ignore_index", function(i) return F.cross_entropy(i.x, i.t, {ignore_index = -100}) end)
case("cross_entropy/ignore_index_all_options", function(i)
    return F.cross_entropy(i.x, i.t, {ignore_index = -100, weight = i.w, label_smoothing = 0.2})
end)

for name, loss in pairs {
    mse = F.mse_loss, l1 = F.l1_loss, smooth_l1 = F.smooth_l1_loss,
    smooth_l1_beta = function(x, t, options)
        return F.smooth_l1_loss(x, t, {beta = 0.5, reduction = options and options.reduction})
    end,
} do
    each(name .. "/", {"mean", "sum", "none"}, function(reduction)
        return function(i) return loss(i.x, i.t, {reduction = reduction}) end
    end)
    case(name .. "/missing", function(i) return loss(i.x, i.t) end)
end
each("huber/", {"mean", "sum", "none"}, function(reduction)
    return function(i) return F.huber_loss(i.x, i.t, {delta = 0.7, reduction = reduction}) end
end)
each("huber/", {"default", "missing"}, function() return function(i) return F.huber_loss(i.x, i.t) end end)
each("nll/", {"mean", "sum", "none"}, function(reduction)
    return function(i) return F.nll_loss(F.log_softmax(i.x, 2), i.t, {reduction = reduction}) end
end)
case("nll/not_normalised", function(i) return F.nll_loss(i.x, i.t) end)
case("nll/images_weight", function(i) return F.nll_loss(F.log_softmax(i.x, 2), i.t, {weight = i.w}) end)
case("nll/ignore_index", function(i) return F.nll_loss(i.x, i.t, {ignore_index = -100}) end)
each("kl_div/", {"mean", "sum", "none", "batchmean"}, function(reduction)
    return function(i) return F.kl_div(F.log_softmax(i.x, 2), i.t, {reduction = reduction}) end
end)
case("kl_div/log_target", function(i) return F.kl_div(i.x, i.t, {reduction = "batchmean", log_target = true}) end)
case("kl_div/target_gradient", function(i) return F.kl_div(i.x, i.t, {reduction = "sum"}) end)
case("kl_div/missing", function(i) return F.kl_div(i.x, i.t) end)
for name, loss in pairs {dice = F.dice_loss, tversky = F.tversky_loss} do
    each(name .. "/", {"mean", "missing", "missing_channel"}, function()
        return function(i) return loss(i.x, i.t) end
    end)
    case(name .. "/sum", function(i) return loss(i.x, i.t, {reduction = "sum"}) end)
end
case("dice/plain_none", function(i)
    return F.dice_loss(i.x, i.t, {smooth = 0, squared = false, reduction = "none"})
end)
case("tversky/options_none", function(i)
    return F.tversky_loss(i.x, i.t, {alpha = 0.8, beta = 0.4, smooth = 0.5, reduction = "none"})
end)
case("focal/mean", function(i) return F.focal_loss(i.x, i.t) end)
case("focal/sum_options", function(i) return F.focal_loss(i.x, i.t, {alpha = 0.6, gamma = 1.5, reduction = "sum"}) end)
case("focal/none_unbalanced", function(i)
    return F.focal_loss(i.x, i.t, {alpha = -1, gamma = 1, reduction = "none"})
end)
case("focal/gamma_0", function(i) return F.focal_loss(i.x, i.t, {gamma = 0}) end)
case("focal/missing", function(i) return F.focal_loss(i.x, i.t) end)

-- ---- networks: what one operation hands to the next -----------------------------------------------------------

local SAME <const> = {padding = 1}
case("chain/conv_relu_pool_conv_linear", function(i)
    local y = F.max_pool2d(F.conv2d(i.x, i.w1, i.b1, SAME):relu(), 2)
    y = F.conv2d(y, i.w2, i.b2, {padding = 1, relu = true})
    return F.linear(F.adaptive_avg_pool2d(y, 1):flatten(2), i.w3, i.b3)
end)
case("chain/linear_relu", function(i) return F.linear(i.x, i.w, i.b, {relu = true}) end)
case("chain/linear_leaky", function(i) return F.linear(i.x, i.w, i.b, {activation = "leaky"}) end)
case("chain/linear_relu6", function(i) return F.linear(i.x, i.w, i.b, {activation = "relu6"}) end)
case("chain/residual", function(i)
    local y = F.conv2d(i.x, i.w1, nil, SAME)
    return (F.batch_norm(y, nil, nil, i.g, i.b, {training = true}) + F.conv2d(i.x, i.w2)):relu()
end)
case("chain/dense", function(i) return F.conv2d(lx.cat({i.x, F.conv2d(i.x, i.w1, nil, SAME)}, 2), i.w2) end)
case("chain/separable", function(i)
    return F.conv2d(F.conv2d(i.x, i.w1, nil, {padding = 1, groups = 19, relu = true}), i.w2)
end)
case("chain/squeeze_and_excite", function(i)
    local y = F.conv2d(i.x, i.w, nil, SAME)
    return y * F.conv2d(y:mean({3, 4}, true), i.v):sigmoid()
end)
case("chain/encoder_decoder", function(i)
    local half = F.avg_pool2d(i.x, 2)
    local smooth = F.interpolate(F.conv2d(half, i.w1, nil, SAME):relu(), {scale = 2, mode = "bilinear"})
    return F.conv2d(lx.cat({smooth, F.conv_transpose2d(half, i.w2, nil, {stride = 2})}, 2), i.w3)
end)
case("chain/views_of_images", function(i)
    local y = F.conv2d(i.x, i.w)
    return y:narrow(2, 3, 7) * y:narrow(2, 10, 7), y:permute(1, 3, 4, 2), y[{{}, {}, {2, 4}, 3}],
        y:transpose(3, 4):reshape(2, -1)
end)

-- ---- layers ---------------------------------------------------------------------------------------------------

-- The layer with these tensors in the place of its parameters, so that gradients arrive at the inputs of the case.
local function with(layer, tensors)
    for name, tensor in pairs(tensors) do
        layer[name] = nil
        layer[name] = tensor.requires_grad and nn.Parameter(tensor) or tensor
    end
    return layer
end

local function affine(i) return {weight = i.weight, bias = i.bias} end

case("layer/Conv2d", function(i)
    local options = {stride = {2, 1}, padding = {1, 2}, dilation = {1, 2}, groups = 3}
    return with(nn.Conv2d(6, 9, 3, options), affine(i))(i.x)
end)
case("layer/Conv2d_same", function(i)
    return with(nn.Conv2d(3, 4, {3, 5}, {padding = "same", dilation = 2, bias = false}), affine(i))(i.x)
end)
case("layer/ConvTranspose2d", function(i)
    local options = {stride = 2, padding = 1, output_padding = 1, groups = 2}
    return with(nn.ConvTranspose2d(4, 6, 3, options), affine(i))(i.x)
end)
case("layer/Linear", function(i) return with(nn.Linear(7, 3), affine(i))(i.input) end)
case("layer/Embedding", function(i) return with(nn.Embedding(5, 7), {weight = i.weight})(i.i) end)
case("layer/BatchNorm2d", function(i)
    local layer = with(nn.BatchNorm2d(5, {momentum = 0.2}):to(i.x.device), affine(i))
    local y = layer(layer(i.x) * 2 + 1)
    layer:eval()
    return layer(y), layer.running_mean, layer.running_var
end, {slopes = false}) -- the running statistics follow x, which the gradient takes for constant
-- One training step, and what the layer makes of x then.
local function trained(layer, i)
    layer = with(layer:to(i.x.device), affine(i))
    layer(i.x:detach())
    layer:eval()
    return layer(i.x), layer.running_mean, layer.running_var
end
local FOLLOWS <const> = {slopes = false} -- the running statistics follow x, which the gradient takes for constant
case("layer/BatchNorm1d", function(i) return trained(nn.BatchNorm1d(7), i) end, FOLLOWS)
case("layer/BatchNorm1d_signals", function(i)
    return trained(nn.BatchNorm1d(7, {affine = false, momentum = 0.3}), i)
end, FOLLOWS)
case("layer/InstanceNorm2d", function(i)
    return trained(nn.InstanceNorm2d(5, {affine = true, track_running_stats = true}), i)
end, FOLLOWS)
case("layer/InstanceNorm2d_plain", function(i) return nn.InstanceNorm2d(5):eval()(i.x) end)
case("layer/Conv1d", function(i)
    return with(nn.Conv1d(6, 9, 3, {stride = 2, padding = 3, dilation = 2, groups = 3}), affine(i))(i.x)
end)
case("layer/Conv1d_same", function(i)
    return with(nn.Conv1d(3, 4, 5, {padding = "same", bias = false}), affine(i))(i.x)
end)
case("layer/pooling_1d", function(i)
    return nn.MaxPool1d(3, {stride = 2, padding = 1})(i.x),
        nn.AvgPool1d(3, {stride = 2, padding = 1, count_include_pad = false})(i.x), nn.AvgPool1d(2)(i.x),
        nn.AdaptiveAvgPool1d(4)(i.x)
end)
case("layer/padding", function(i)
    return nn.ZeroPad2d({2, 1, 0, 3})(i.x), nn.ReflectionPad2d({2, 1, 0, 3})(i.x),
        nn.ReplicationPad2d({2, 1, 0, 3})(i.x), nn.ZeroPad2d({-1, 2, 1, -2})(i.x)
end)
case("layer/GroupNorm", function(i) return with(nn.GroupNorm(2, 6, {eps = 1e-3}), affine(i))(i.x) end)
case("layer/LayerNorm", function(i) return with(nn.LayerNorm({3, 5}), affine(i))(i.x) end)
case("layer/pooling", function(i)
    return nn.MaxPool2d(3, {stride = 2, padding = 1})(i.x),
        nn.AvgPool2d(3, {stride = 2, padding = 1, count_include_pad = false})(i.x), nn.AdaptiveAvgPool2d({2, 3})(i.x),
        nn.GlobalAvgPool2d()(i.x), nn.GlobalMaxPool2d()(i.x)
end)
case("layer/activations", function(i)
    return nn.ReLU()(i.x), nn.LeakyReLU(0.1)(i.x), nn.SiLU()(i.x), nn.GELU()(i.x), nn.Sigmoid()(i.x), nn.Tanh()(i.x),
        nn.Softmax(2)(i.x)
end)
case("layer/Upsample", function(i)
    return nn.Upsample({scale = 2})(i.x), nn.Upsample({size = {5, 4}, mode = "bilinear", align_corners = true})(i.x)
end)

-- ---- layers of sequences --------------------------------------------------------------------------------------

-- The same for names of parameters inside, with __ for dots; `skip` are no parameters.
local function with_all(layer, tensors, skip)
    for name, tensor in pairs(tensors) do
        if not skip[name] then
            local owner, path, last = layer, name:match("^(.*__)(.-)$")
            for part in (path or ""):gmatch("(.-)__") do
                local number = math.tointeger(tonumber(part))
                owner = owner[number and number + 1 or part]
            end
            with(owner, {[last or name] = tensor})
        end
    end
    return layer
end

local STATES <const> = {x = true, h = true, c = true}

local function recurrent(name, class, options, lengths)
    case("layer/" .. class .. name, function(i)
        local layer = with_all(nn[class](options.inputs, options.hidden, {
            num_layers = options.layers, bidirectional = options.both, bias = options.bias,
            batch_first = options.first,
        }), i, STATES)
        if class == "GRU" then return layer(i.x, i.h, {lengths = lengths}) end
        return layer(i.x, i.h, i.c, {lengths = lengths})
    end)
end

for _, class in ipairs {"GRU", "LSTM"} do
    recurrent("", class, {inputs = 7, hidden = 5})
    recurrent("_deep", class, {inputs = 3, hidden = 5, layers = 2, both = true, first = true})
    recurrent("_lengths", class, {inputs = 4, hidden = 3, both = true}, {5, 2, 4})
    recurrent("_plain", class, {inputs = 3, hidden = 17, bias = false}, {1, 3, 2})
end

local function attention(i, size, heads, options)
    local layer = nn.MultiheadAttention(size, heads, options)
    with(layer, {in_proj_weight = i.in_proj_weight, in_proj_bias = i.in_proj_bias})
    with(layer.out_proj, {weight = i.out_weight, bias = i.out_bias})
    return layer
end

case("layer/MultiheadAttention", function(i)
    return attention(i, 6, 3)(i.query, i.key, i.value, {need_weights = true})
end)
case("layer/MultiheadAttention_self", function(i)
    return attention(i, 8, 2, {batch_first = true})(i.x, i.x, i.x, {
        need_weights = true, key_padding_mask = i.padding, attn_mask = i.mask,
    })
end)
case("layer/MultiheadAttention_added", function(i)
    return attention(i, 4, 2, {bias = false})(i.query, i.key, i.key, {
        need_weights = true, key_padding_mask = i.padding, attn_mask = i.mask,
    })
end)

local MASKS <const> = {x = true, padding = true, mask = true}

case("layer/TransformerEncoderLayer", function(i)
    return with_all(nn.TransformerEncoderLayer(6, 2, {dim_feedforward = 7, dropout = 0}), i, MASKS)(i.x)
end)
case("layer/TransformerEncoderLayer_norm_first", function(i)
    return with_all(nn.TransformerEncoderLayer(4, 2, {
        dim_feedforward = 9, dropout = 0, norm_first = true, activation = "gelu", batch_first = true,
    }), i, MASKS)(i.x, {src_key_padding_mask = i.padding})
end)
case("layer/TransformerEncoder", function(i)
    local layer = nn.TransformerEncoderLayer(4, 1, {
        dim_feedforward = 5, dropout = 0, activation = "gelu", batch_first = true,
    })
    return with_all(nn.TransformerEncoder(layer, 2, {norm = nn.LayerNorm(4)}), i, MASKS)(i.x, {mask = i.mask})
end)

case("layer/Sequential", function(i)
    local conv = with(nn.Conv2d(2, 3, 3), {weight = i.w, bias = i.b})
    local head = with(nn.Linear(18, 4, {bias = false}), {weight = i.v})
    local net = nn.Sequential(conv, nn.ReLU(), nn.Identity(), nn.Dropout(0.5), nn.Flatten(), head)
    net:eval()
    return net(i.x) * 2
end)
case("layer/losses", function(i)
    return nn.BCEWithLogitsLoss({reduction = "sum"})(i.x, i.t), nn.CrossEntropyLoss({label_smoothing = 0.1})(i.x, i.c),
        nn.MSELoss()(i.x, i.t), nn.L1Loss()(i.x, i.t), nn.SmoothL1Loss({beta = 2})(i.x, i.t),
        nn.FocalLoss({gamma = 3})(i.x, i.t), nn.HuberLoss({delta = 2})(i.x, i.t),
        nn.NLLLoss({reduction = "sum"})(i.x, i.c), nn.KLDivLoss({reduction = "batchmean"})(i.x, i.t),
        nn.DiceLoss()(i.x:unsqueeze(1), i.t:unsqueeze(1)),
        nn.TverskyLoss({alpha = 0.5, beta = 0.5, reduction = "sum"})(i.x:unsqueeze(1), i.t:unsqueeze(1))
end)

-- ---- optimisers and schedules ---------------------------------------------------------------------------------

local optim = lx.optim

-- Five steps, each with a given gradient; the parameters after each are the results.
local function optimiser(name, kind, options, groups)
    case("optimiser/" .. name, function(i)
        local p, q, results = i.p:clone(), i.q:clone(), {}
        p.requires_grad, q.requires_grad = true, true
        local params = {p, q}
        if groups then
            params = {}
            for k, tensor in ipairs {p, q} do
                params[k] = {params = {tensor}}
                for key, value in pairs(groups[k]) do params[k][key] = value end
            end
        end
        local rule = optim[kind](params, options)
        for step = 1, 5 do
            p.grad, q.grad = i.grad_p:select(1, step), i.grad_q:select(1, step)
            rule:step()
            results[#results + 1] = p:detach():clone()
            results[#results + 1] = q:detach():clone()
        end
        return table.unpack(results)
    end)
end
optimiser("sgd", "SGD", {lr = 0.1})
optimiser("sgd_momentum", "SGD", {lr = 0.1, momentum = 0.9})
optimiser("sgd_nesterov", "SGD", {lr = 0.1, momentum = 0.9, nesterov = true})
optimiser("sgd_weight_decay", "SGD", {lr = 0.1, weight_decay = 0.2})
optimiser("sgd_everything", "SGD", {lr = 0.1, momentum = 0.8, nesterov = true, weight_decay = 0.1})
optimiser("sgd_dampening", "SGD", {lr = 0.1, momentum = 0.8, dampening = 0.3})
optimiser("sgd_groups", "SGD", {lr = 0.1, momentum = 0.9}, {{}, {lr = 0.01, weight_decay = 0.3}})
optimiser("adam", "Adam", {lr = 0.01})
optimiser("adam_options", "Adam", {lr = 0.01, betas = {0.7, 0.95}, eps = 1e-3, weight_decay = 0.1})
optimiser("adamw", "AdamW", {lr = 0.01})
optimiser("adamw_options", "AdamW", {lr = 0.01, betas = {0.7, 0.95}, eps = 1e-3, weight_decay = 0.3})
optimiser("rmsprop", "RMSprop", {lr = 0.01})
optimiser("rmsprop_options", "RMSprop", {lr = 0.01, alpha = 0.8, eps = 1e-3, weight_decay = 0.1, momentum = 0.9})

local function with_grads(i)
    local params = {}
    for k, grad in ipairs {i.grad_p, i.grad_q} do
        params[k] = lx.zeros(grad.shape, {requires_grad = true, device = grad.device})
        params[k].grad = grad:clone()
    end
    return params
end

for name, limit in pairs {norm = 1.5, norm_within = 1000} do
    case("clip/" .. name, function(i)
        local params = with_grads(i)
        local norm = optim.clip_grad_norm_(params, limit)
        return lx.tensor(norm), params[1].grad, params[2].grad
    end)
end
case("clip/value", function(i)
    local params = with_grads(i)
    optim.clip_grad_value_(params, 0.5)
    return params[1].grad
end)

-- The learning rates of all steps; `step` gets a metric where the case gives metrics.
local function schedule(name, kind, options)
    case("schedule/" .. name, function(i)
        local rule = optim.SGD({lx.zeros(1, {requires_grad = true})}, {lr = 0.5})
        local plan = optim.lr_scheduler[kind](rule, options)
        local metrics = i.metrics and i.metrics:totable()
        local steps = metrics and #metrics or i.steps:item()
        local rates = {}
        for step = 1, steps do
            rates[step] = plan:get_last_lr()[1]
            plan:step(metrics and metrics[step])
        end
        return lx.tensor(rates)
    end)
end
schedule("step", "StepLR", {step_size = 3, gamma = 0.3})
schedule("cosine_warmup", "CosineWarmup", {warmup = 4, total = 15, min_lr = 0.01})
schedule("cosine", "CosineWarmup", {total = 10})
schedule("one_cycle", "OneCycleLR", {max_lr = 0.8, total = 20})
schedule("one_cycle_options", "OneCycleLR",
    {max_lr = 0.8, total = 17, pct_start = 0.4, div_factor = 10, final_div_factor = 50})
schedule("plateau", "ReduceLROnPlateau", {factor = 0.5, patience = 2})
schedule("plateau_max", "ReduceLROnPlateau",
    {mode = "max", factor = 0.2, patience = 1, threshold = 0.01, cooldown = 2, min_lr = 0.005})

return cases
