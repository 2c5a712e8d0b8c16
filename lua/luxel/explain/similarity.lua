--- How near images are to words, as logits that can be explained: for networks of images that learned together with
--- networks of words.

local args = require "luxel.args"
local module = require "luxel.nn.module"

local Similarity = module.class("Similarity")

local function unit(rows) return rows / rows:square():sum({2}, true):sqrt():clamp(1e-12, math.huge) end

function Similarity:init(encoder, vectors)
    self.encoder = encoder
    self:register_buffer("vectors", unit(vectors:detach()):clone())
end

-- x [N,C,H,W]; cosines [N,K].
function Similarity:forward(x)
    local found, vectors = self.encoder(x), self.vectors
    if found.ndim ~= 2 or found.shape[2] ~= vectors.shape[2] then
        args.fail("explain.similarity: encoder: expected a vector of %d numbers for each of %d images, as the words "
            .. "have, got %s", vectors.shape[2], x.shape[1], args.describe(found))
    end
    return unit(found):matmul(vectors:to(found.device):t())
end

-- Where the last maps before the head are, if the encoder says so.
function Similarity:stages() return self.encoder:stages() end

--- A network of the cosines between what an encoder makes of images and vectors of words or sentences: with it every
--- method of `lx.explain` shows where in an image a word is, `class` being the number of the vector. The difference of
--- two vectors ("there is an effusion" less "there is none") leaves out what both sentences share.
---@param encoder Module of images [N,C,H,W], a vector [N,D] for each, as those that learn by `F.clip_loss`
---@param vectors Tensor float32 [K,D], none of them 0
---@return Module similarity cosines [N,K]; it shares the encoder
local function similarity(encoder, vectors)
    if vectors.dtype ~= "float32" or vectors.ndim ~= 2 or vectors:numel() == 0 then
        args.fail("explain.similarity: vectors: expected float32 [K,D], got %s", args.describe(vectors))
    end
    local least = vectors:detach():square():sum({2}):min():item()
    if not (least > 0 and least < math.huge) then
        args.fail("explain.similarity: vectors: expected finite numbers, and none of only zeros")
    end
    local out = Similarity(encoder, vectors)
    if not pcall(function() return encoder.stages end) or type(encoder.stages) ~= "function" then out.stages = false end
    return out
end

return args.public("explain.similarity", "encoder: module, vectors: tensor", similarity)
