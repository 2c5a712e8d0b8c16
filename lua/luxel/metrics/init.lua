--- How good a classifier is: confusion counts, rates, ROC, calibration, and how sure we may be of them.
--
-- Everything takes `scores` (the higher, the more likely positive) and `labels` (1 positive, 0 negative, NaN missing:
-- left out), as arrays of numbers or as tensors. An image counts as positive where score >= threshold.
-- What is not defined (a sensitivity without positives) is `nil, message`, never a number.

local namespace = require "luxel.namespace"

local metrics = {}

for _, part in ipairs {"averages", "bands", "calibration", "counts", "curves", "delong", "detection", "intervals",
    "overlap", "report", "selective", "text", "thresholds"} do
    for name, value in pairs(require("luxel.metrics." .. part).public) do metrics[name] = value end
end

return namespace("lx.metrics", metrics)
