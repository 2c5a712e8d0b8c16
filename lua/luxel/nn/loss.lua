--- Losses as modules: `nn.BCEWithLogitsLoss({pos_weight = 3})(logits, target)`. The options are the function's.

local F = require "luxel.nn.functional"
local Module = require "luxel.nn.module"

local losses = {}

for name, f in pairs {
    BCEWithLogitsLoss = F.binary_cross_entropy_with_logits,
    CrossEntropyLoss = F.cross_entropy,
    MSELoss = F.mse_loss,
    L1Loss = F.l1_loss,
    SmoothL1Loss = F.smooth_l1_loss,
    FocalLoss = F.focal_loss,
} do
    local class = Module.class(name)
    losses[name] = class

    function class:init(options)
        self.options = options
    end

    function class:forward(x, target)
        return f(x, target, self.options)
    end
end

return losses
