--- Reports of radiologists: what they say of each finding.

local namespace = require "luxel.namespace"

return namespace("lx.text", {label = require "luxel.text.label", rules = require("luxel.text.rules").rules})
