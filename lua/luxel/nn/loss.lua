--- Losses as modules: `nn.BCEWithLogitsLoss({pos_weight = 3})(logits, target)`. The options are the function's; tensors
-- among them are buffers, which move and are saved with the module.

local args = require "luxel.args"
local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"
local declare = require "luxel.nn.declare"
local core = require "luxel.core"

local losses = {}

for name, f in pairs {
    BCEWithLogitsLoss = F.binary_cross_entropy_with_logits,
    CrossEntropyLoss = F.cross_entropy,
    NLLLoss = F.nll_loss,
    KLDivLoss = F.kl_div,
    MSELoss = F.mse_loss,
    L1Loss = F.l1_loss,
    SmoothL1Loss = F.smooth_l1_loss,
    HuberLoss = F.huber_loss,
    FocalLoss = F.focal_loss,
    DiceLoss = F.dice_loss,
    TverskyLoss = F.tversky_loss,
    NTXentLoss = F.nt_xent_loss,
    RegionLoss = F.region_loss,
    YoloLoss = F.yolo_loss,
} do
    local class = Module.class(name)
    losses[name] = class

    function class:init(options)
        self.options = {}
        for key, value in pairs(options or {}) do
            if core.is_tensor(value) then self:register_buffer(key, value:detach()) else self.options[key] = value end
        end
    end

    function class:forward(x, target)
        local options = self.options
        for key, buffer in self:named_buffers() do options = args.with_defaults(options, {[key] = buffer}) end
        return f(x, target, options)
    end

    function class:extra()
        local words = {}
        for key, value in pairs(self.options) do words[#words + 1] = ("%s=%s"):format(key, tostring(value)) end
        for key, buffer in self:named_buffers() do words[#words + 1] = ("%s=%s"):format(key, args.describe(buffer)) end
        table.sort(words)
        return table.concat(words, ", ")
    end

    local options = args.declared[f].signature:match("(options: .*)$")
    declare(class, {init = options, forward = "x: tensor, target: tensor"})
    args.described_by(class.init, f)
end

return losses
