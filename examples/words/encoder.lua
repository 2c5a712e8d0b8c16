--- A small transformer that makes a vector of a report: the mean of what it gives for the tokens, through a last layer.
-- It may begin with what it has learnt by guessing masked words (masked.lua).

local lx = require "luxel"
local nn = lx.nn

local ReportEncoder = nn.class("ReportEncoder")

--- options: width of vectors, default 64; length: tokens of a report at most, default 80; outputs: of the last layer,
--- default the width.
function ReportEncoder:init(tokens, options)
    local opts = options or {}
    local width, length = opts.width or 64, opts.length or 80
    self.embedding = nn.Embedding(tokens, width)
    self.positions = nn.Parameter(lx.randn(1, length, width) * 0.02)
    self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 4, {
        dim_feedforward = 2 * width, batch_first = true, norm_first = true, activation = "gelu",
    }), 2, {norm = nn.LayerNorm(width)})
    self.projection = nn.Linear(width, opts.outputs or width)
end

--- What is found at each token: tokens [N,L] and 1 in `padding` where there is none; [N,L,width].
function ReportEncoder:each(tokens, padding)
    local x = self.embedding(tokens) + self.positions:narrow(2, 1, tokens.shape[2])
    return self.encoder(x, {src_key_padding_mask = padding})
end

--- The mean over the tokens, [N,width].
function ReportEncoder:mean(tokens, padding)
    local x = self:each(tokens, padding)
    local there = (padding:float() * -1 + 1):reshape(padding.shape[1], tokens.shape[2], 1)
    return (x * there):sum(2) / there:sum(2)
end

--- A vector for each report, [N,outputs].
function ReportEncoder:forward(tokens, padding) return self.projection(self:mean(tokens, padding)) end

return ReportEncoder
