--- The declarations of tensors' methods and constructors; see args.lua.

local ops = require "luxel.ops"

local OPTIONS <const> = [[options: {dtype: "float32"|"uint8"|"int32"?, device: string?, requires_grad: boolean?}?]]
local SIZES <const> = [[...: integer|integer[]|{dtype: "float32"|"uint8"|"int32"?, device: string?, ]]
    .. [[requires_grad: boolean?}]]
local DRAWN <const> = [[...: integer|integer[]|{dtype: "float32"?, device: string?, requires_grad: boolean?}]]
local DIMS <const> = "dim: integer|integer[]|{dim: integer|integer[]?, keepdim: boolean?}?, keepdim: boolean?"
local DIM <const> = "dim: integer|{dim: integer?, keepdim: boolean?}?, keepdim: boolean?"
local BINARY <const> = "t: tensor|number, other: tensor|number"
local UNARY <const> = "t: tensor"

local methods = {
    size = "t: tensor, dim: integer?", numel = UNARY, item = UNARY, totable = UNARY, tostring_bytes = UNARY,
    is_contiguous = UNARY, free = "t: any_tensor", detach = UNARY, is_leaf = UNARY, isnan = UNARY, nonzero = UNARY,
    unique = UNARY, contiguous = UNARY, clone = UNARY, t = UNARY, float = UNARY, byte = UNARY, int = UNARY,
    zero_ = UNARY,
    view = "t: tensor, ...: integer|integer[]", reshape = "t: tensor, ...: integer|integer[]",
    permute = "t: tensor, ...: integer|integer[]", expand = "t: tensor, ...: integer|integer[]",
    tile = "t: tensor, ...: integer(0..)|integer[]",
    view_as = "t: tensor, other: tensor", expand_as = "t: tensor, other: tensor",
    narrow = "t: tensor, dim: integer, start: integer(1..), length: integer(0..)",
    select = "t: tensor, dim: integer, index: integer",
    unsqueeze = "t: tensor, dim: integer", squeeze = "t: tensor, dim: integer?",
    transpose = "t: tensor, a: integer, b: integer", flatten = "t: tensor, first: integer?, last: integer?",
    flip = "t: tensor, dim: integer|integer[]",
    roll = "t: tensor, shift: integer|integer[], dim: integer|integer[]?",
    split = "t: tensor, size: integer(1..)|integer[], dim: integer?",
    chunk = "t: tensor, count: integer(1..), dim: integer?",
    repeat_interleave = "t: tensor, count: integer(0..), dim: integer?",
    tril = "t: tensor, diagonal: integer?", triu = "t: tensor, diagonal: integer?",
    outer = "a: tensor, b: tensor",
    clamp = "t: tensor, low: ordered?, high: ordered?", clamp_ = "t: tensor, low: ordered?, high: ordered?",
    masked_fill = "t: tensor, mask: tensor, value: tensor|number", masked_select = "t: tensor, mask: tensor",
    to = "t: tensor, target: string", copy_ = "t: tensor, source: tensor", fill_ = "t: tensor, value: number|tensor",
    add_ = "t: tensor, other: tensor|number, alpha: number?",
    sum = UNARY .. ", " .. DIMS, prod = UNARY .. ", " .. DIMS, mean = UNARY .. ", " .. DIMS,
    max = UNARY .. ", " .. DIMS, min = UNARY .. ", " .. DIMS, any = UNARY .. ", " .. DIMS, all = UNARY .. ", " .. DIMS,
    var = UNARY .. ", " .. DIMS .. ", unbiased: boolean?", std = UNARY .. ", " .. DIMS .. ", unbiased: boolean?",
    argmax = UNARY .. ", " .. DIM, argmin = UNARY .. ", " .. DIM, median = UNARY .. ", " .. DIM,
    norm = "t: tensor, p: ordered?, " .. DIMS,
    quantile = "t: tensor, q: number(0..1)|number(0..1)[], " .. DIM
        .. [[, interpolation: "linear"|"lower"|"higher"|"nearest"|"midpoint"?]],
    cumsum = "t: tensor, dim: integer", sort = "t: tensor, dim: integer?, descending: boolean?",
    topk = "t: tensor, k: integer(0..), dim: integer?, largest: boolean?",
    index_select = "t: tensor, dim: integer, index: tensor", gather = "t: tensor, dim: integer, index: tensor",
    scatter = "t: tensor, dim: integer, index: tensor, source: tensor|number",
    scatter_add = "t: tensor, dim: integer, index: tensor, source: tensor|number",
    one_hot = "t: tensor, classes: integer(1..)?", cdist = "a: tensor, b: tensor, p: ordered?",
    matmul = "a: tensor, b: tensor", mm = "a: tensor, b: tensor", bmm = "a: tensor, b: tensor",
    requires_grad_ = "t: tensor, flag: boolean?",
    backward = "t: tensor, grad: tensor?, options: {retain_graph: boolean?}?",
}
-- Functions of one tensor, element by element; each of them also has a form in place.
for _, name in ipairs(ops.elementwise) do
    methods[name], methods[name .. "_"] = UNARY, UNARY
end
for _, name in ipairs {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide", "eq", "ne",
    "lt", "le", "gt", "ge"} do
    methods[name] = BINARY
end
for _, name in ipairs {"sub_", "mul_", "div_", "pow_", "maximum_", "minimum_"} do
    methods[name] = "t: tensor, other: tensor|number"
end

local functions = {
    tensor = "values: table|number|tensor, " .. OPTIONS,
    from_string = [[bytes: string, shape: integer(0..)[], dtype: "float32"|"uint8"|"int32"?, device: string?]],
    zeros = SIZES, ones = SIZES, empty = SIZES, rand = DRAWN, randn = DRAWN,
    full = "shape: integer[], value: number, " .. OPTIONS,
    zeros_like = "t: tensor", ones_like = "t: tensor",
    arange = "start: finite, stop: finite|{dtype: \"float32\"|\"uint8\"|\"int32\"?, device: string?, "
        .. "requires_grad: boolean?}?, step: finite|{dtype: \"float32\"|\"uint8\"|\"int32\"?, device: string?, "
        .. "requires_grad: boolean?}?, " .. OPTIONS,
    linspace = "a: finite, b: finite, n: integer(1..), " .. OPTIONS,
    eye = "n: integer(0..), " .. OPTIONS,
    randint = "low: integer, high: integer, shape: integer[], " .. OPTIONS,
    randperm = "n: integer(0..)", manual_seed = "seed: integer",
    cat = "parts: tensor[], dim: integer?", stack = "parts: tensor[], dim: integer?",
    where = "condition: tensor, a: tensor|number, b: tensor|number",
    equal = "a: any, b: any", allclose = "a: tensor, b: tensor, rtol: number(0..)?, atol: number(0..)?",
    einsum = "equation: string, ...: tensor",
    gradcheck = "f: function, inputs: any[], options: {step: number(0..)?, rtol: number(0..)?, atol: number(0..)?, "
        .. "elements: integer(1..)?}?",
    is_tensor = "value: any?", tidy = "f: function, ...: any?", keep = "...: tensor",
}

return {methods = methods, functions = functions}
