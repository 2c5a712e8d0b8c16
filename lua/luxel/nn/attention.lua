--- Layers of transformers: MultiheadAttention, TransformerEncoderLayer, TransformerEncoder, with PyTorch's names of
--- weights. They are put together from operations that exist.

local args = require "luxel.args"
local check = require "luxel.nn.check"
local container = require "luxel.nn.container"
local core = require "luxel.core"
local declare = require "luxel.nn.declare"
local F = require "luxel.nn.functional"
local init = require "luxel.nn.initialisers"
local linear = require "luxel.nn.linear"
local lx = require "luxel"
local Module = require "luxel.nn.module"
local norm = require "luxel.nn.norm"
local simple = require "luxel.nn.simple"

local layers = {}

-- ---- attention ------------------------------------------------------------------------------------------------

---@class MultiheadAttention: Module
---@field in_proj_weight Tensor [3 embed_dim, embed_dim] of query, key and value, one below the other
---@field in_proj_bias Tensor? [3 embed_dim]
---@field out_proj Linear
---@overload fun(embed_dim: integer, num_heads: integer, options: table?): MultiheadAttention
local MultiheadAttention = Module.class("MultiheadAttention")
layers.MultiheadAttention = MultiheadAttention

--- `nn.MultiheadAttention(64, 8)`: each position of a query sees positions of another sequence, or of its own, by
--- softmax(Q Kᵀ / √d) V in each head (Vaswani et al., "Attention is all you need", 2017).
---@param embed_dim integer which num_heads divides
---@param num_heads integer
---@param options {dropout: number, bias: boolean, batch_first: boolean}? dropout: of the weights, while training,
---  default 0; bias: default true; batch_first: sequences are [N,L,E] instead of [L,N,E], default false
function MultiheadAttention:init(embed_dim, num_heads, options)
    options = options or {}
    if embed_dim % num_heads ~= 0 then
        args.fail("MultiheadAttention: num_heads (%d) should divide embed_dim (%d)", num_heads, embed_dim)
    end
    self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, options.dropout or 0
    self.batch_first = options.batch_first == true
    self.in_proj_weight = Module.Parameter(lx.empty(3 * embed_dim, embed_dim))
    init.xavier_uniform_(self.in_proj_weight)
    if options.bias ~= false then self.in_proj_bias = Module.Parameter(lx.zeros(3 * embed_dim)) end
    self.out_proj = linear.Linear(embed_dim, embed_dim, {bias = options.bias ~= false})
    if self.out_proj.bias then init.zeros_(self.out_proj.bias) end
end

local function check_sequence(self, argument, x)
    check.float(self, argument, x, self.batch_first and {"N", "L", self.embed_dim} or {"L", "N", self.embed_dim})
end

-- The parts `first` to `last` of query, key and value for x [N,L,E]: [N,L,parts E].
local function project(self, x, first, last)
    local size = self.embed_dim
    local from, count = (first - 1) * size + 1, (last - first + 1) * size
    return F.linear(x, self.in_proj_weight:narrow(1, from, count),
        self.in_proj_bias and self.in_proj_bias:narrow(1, from, count) or nil)
end

-- [N,L,E] as [N heads, L, E / heads].
local function divide(self, x)
    local shape = x.shape
    local n, length, each = shape[1], shape[2], self.embed_dim // self.num_heads
    return x:reshape(n, length, self.num_heads, each):permute(1, 3, 2, 4):reshape(n * self.num_heads, length, each)
end

local function check_mask(self, name, mask, ...)
    if mask == nil then return end
    if not core.is_usable(mask) or mask.dtype == "int32" then
        check.fail(self, "%s: expected uint8 or float32, got %s", name, args.describe(mask))
    end
    for _, shape in ipairs {...} do
        if table.concat(mask.shape, ",") == table.concat(shape, ",") then return end
    end
    check.fail(self, "%s: expected %s, got %s", name, check.shape_text(select(1, ...)), args.describe(mask))
end

-- Scores [N,heads,L,S] with what must not be seen at -inf: where a uint8 mask is not 0; a float mask is added.
local function masked(scores, mask)
    if mask == nil then return scores end
    if mask.dtype == "uint8" then return scores:masked_fill(mask:ne(0), -math.huge) end
    return scores + mask
end

--- A position of the query that may see nothing at all gives NaN, as in PyTorch.
---@param query Tensor [L,N,embed_dim], or [N,L,embed_dim] with batch_first
---@param key Tensor [S,N,embed_dim] likewise
---@param value Tensor of the shape of key
---@param options {key_padding_mask: Tensor?, attn_mask: Tensor?, need_weights: boolean?}? key_padding_mask [N,S]: 1
---  (uint8) where there is no key, or numbers (float32) that are added to the scores; attn_mask [L,S] or
---  [N num_heads,L,S]: likewise; need_weights: gives the weights too, default false
---@return Tensor y of the shape of query
---@return Tensor? weights [N,L,S], the mean over the heads
function MultiheadAttention:forward(query, key, value, options)
    options = options or {}
    check_sequence(self, "query", query)
    check_sequence(self, "key", key)
    check_sequence(self, "value", value)
    check.same_shape(self, "key", key, "value", value)
    local q, k, v
    if rawequal(query, key) and rawequal(key, value) then
        local x = self.batch_first and query or query:transpose(1, 2)
        local all, size = project(self, x, 1, 3), self.embed_dim
        q, k, v = all:narrow(3, 1, size), all:narrow(3, size + 1, size), all:narrow(3, 2 * size + 1, size)
    else
        local function first(x) return self.batch_first and x or x:transpose(1, 2) end
        q, k, v = project(self, first(query), 1, 1), project(self, first(key), 2, 2), project(self, first(value), 3, 3)
    end
    local n, length, source, heads = q.shape[1], q.shape[2], k.shape[2], self.num_heads
    if k.shape[1] ~= n then
        check.fail(self, "key: expected the batch of query, %d sequences, got %s", n, args.describe(key))
    elseif source == 0 then
        check.fail(self, "key: expected at least one position, got %s", args.describe(key))
    end
    check_mask(self, "key_padding_mask", options.key_padding_mask, {n, source})
    check_mask(self, "attn_mask", options.attn_mask, {length, source}, {n * heads, length, source})
    local scale = (self.embed_dim // heads) ^ -0.5
    local scores = divide(self, q * scale):bmm(divide(self, k):transpose(2, 3)):reshape(n, heads, length, source)
    local mask, padding = options.attn_mask, options.key_padding_mask
    scores = masked(scores, mask and (mask.ndim == 2 and mask:reshape(1, 1, length, source)
        or mask:reshape(n, heads, length, source)))
    scores = masked(scores, padding and padding:reshape(n, 1, 1, source))
    local weights = F.softmax(scores, 4)
    local seen = F.dropout(weights, self.dropout, self.training)
    local y = seen:reshape(n * heads, length, source):bmm(divide(self, v))
    y = y:reshape(n, heads, length, self.embed_dim // heads):permute(1, 3, 2, 4):reshape(n, length, self.embed_dim)
    y = self.out_proj(y)
    if not self.batch_first then y = y:transpose(1, 2) end
    if options.need_weights then return y, weights:mean(2) end
    return y
end

function MultiheadAttention:extra()
    return ("%d, %d%s%s"):format(self.embed_dim, self.num_heads, self.dropout > 0 and (", dropout=%g"):format(
        self.dropout) or "", self.batch_first and ", batch_first=true" or "")
end

-- Without those of out_proj; keys are taken to be as many as queries.
function MultiheadAttention:multiply_adds(query)
    local shape, size = query.shape, self.embed_dim
    local length = self.batch_first and shape[2] or shape[1]
    return 3 * query:numel() * size + 2 * query:numel() * length
end

declare(MultiheadAttention, {
    init = "embed_dim: size, num_heads: size, options: {dropout: number(0..1)?, bias: boolean?, "
        .. "batch_first: boolean?}?",
    forward = "query: any?, key: any?, value: any?, options: {key_padding_mask: any?, attn_mask: any?, "
        .. "need_weights: boolean?}?", multiply_adds = "query: tensor, y: tensor?",
})

-- ---- encoders -------------------------------------------------------------------------------------------------

---@class TransformerEncoderLayer: Module
---@field self_attn MultiheadAttention
---@field linear1 Linear
---@field linear2 Linear
---@field norm1 LayerNorm
---@field norm2 LayerNorm
---@overload fun(d_model: integer, nhead: integer, options: table?): TransformerEncoderLayer
local TransformerEncoderLayer = Module.class("TransformerEncoderLayer")
layers.TransformerEncoderLayer = TransformerEncoderLayer

--- `nn.TransformerEncoderLayer(64, 8)`: self-attention, then two linear layers at each position, each with a shortcut
--- and a layer normalisation (Vaswani et al. 2017).
---@param d_model integer
---@param nhead integer
---@param options {dim_feedforward: integer, dropout: number, activation: "relu"|"gelu", layer_norm_eps: number,
---  batch_first: boolean, norm_first: boolean}? dim_feedforward: between the linear layers, default 2048; dropout:
---  default 0.1; activation: default "relu"; layer_norm_eps: default 1e-5; batch_first: as of MultiheadAttention;
---  norm_first: normalises what goes into each part instead of what comes out, default false
function TransformerEncoderLayer:init(d_model, nhead, options)
    options = options or {}
    local dropout, eps = options.dropout or 0.1, {eps = options.layer_norm_eps or 1e-5}
    self.self_attn = MultiheadAttention(d_model, nhead, {dropout = dropout, batch_first = options.batch_first})
    local inner = options.dim_feedforward or 2048
    self.linear1 = linear.Linear(d_model, inner)
    self.linear2 = linear.Linear(inner, d_model)
    self.norm1 = norm.LayerNorm(d_model, eps)
    self.norm2 = norm.LayerNorm(d_model, eps)
    self.dropout = simple.Dropout(dropout)
    self.dropout1 = simple.Dropout(dropout)
    self.dropout2 = simple.Dropout(dropout)
    self.activation, self.norm_first = options.activation or "relu", options.norm_first == true
end

local function attend(self, x, options)
    return self.dropout1((self.self_attn(x, x, x, {
        attn_mask = options.src_mask, key_padding_mask = options.src_key_padding_mask,
    })))
end

local function feed_forward(self, x)
    return self.dropout2(self.linear2(self.dropout(F[self.activation](self.linear1(x)))))
end

---@param src Tensor [L,N,d_model], or [N,L,d_model] with batch_first
---@param options {src_mask: Tensor?, src_key_padding_mask: Tensor?}? as attn_mask and key_padding_mask of
---  MultiheadAttention
---@return Tensor of the shape of src
function TransformerEncoderLayer:forward(src, options)
    options = options or {}
    if self.norm_first then
        local x = src + attend(self, self.norm1(src), options)
        return x + feed_forward(self, self.norm2(x))
    end
    local x = self.norm1(src + attend(self, src, options))
    return self.norm2(x + feed_forward(self, x))
end

declare(TransformerEncoderLayer, {
    init = "d_model: size, nhead: size, options: {dim_feedforward: size?, dropout: number(0..1)?, "
        .. 'activation: "relu"|"gelu"?, layer_norm_eps: positive?, batch_first: boolean?, norm_first: boolean?}?',
    forward = "src: any?, options: {src_mask: any?, src_key_padding_mask: any?}?",
})

---@class TransformerEncoder: Module
---@field layers ModuleList
---@field norm Module?
---@overload fun(layer: TransformerEncoderLayer, num_layers: integer, options: table?): TransformerEncoder
local TransformerEncoder = Module.class("TransformerEncoder")
layers.TransformerEncoder = TransformerEncoder

--- `nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 8), 6)`: copies of a layer, one behind the other. As in
--- PyTorch they begin with the same weights.
---@param layer TransformerEncoderLayer is copied
---@param num_layers integer
---@param options {norm: Module}? norm: behind the last one
function TransformerEncoder:init(layer, num_layers, options)
    local list = {}
    for i = 1, num_layers do list[i] = layer:clone() end
    self.layers = container.ModuleList(list)
    if options and options.norm then self.norm = options.norm end
end

---@param src Tensor [L,N,d_model], or [N,L,d_model] with batch_first
---@param options {mask: Tensor?, src_key_padding_mask: Tensor?}? as attn_mask and key_padding_mask of
---  MultiheadAttention
---@return Tensor of the shape of src
function TransformerEncoder:forward(src, options)
    local masks = options and {src_mask = options.mask, src_key_padding_mask = options.src_key_padding_mask}
    for i = 1, #self.layers do src = self.layers[i](src, masks) end
    return self.norm and self.norm(src) or src
end

declare(TransformerEncoder, {
    init = "layer: submodule, num_layers: integer(1..10000), options: {norm: submodule?}?",
    forward = "src: any?, options: {mask: any?, src_key_padding_mask: any?}?",
})

return layers
