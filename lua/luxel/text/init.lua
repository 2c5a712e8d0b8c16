--- Reports of radiologists: what they say of each finding, and which of them say what one looks for.

local namespace = require "luxel.namespace"

return namespace("lx.text", {
    label = require("luxel.text.label").label, rules = require("luxel.text.rules").rules,
    search = require("luxel.text.search").search,
})
