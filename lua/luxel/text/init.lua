--- Reports of radiologists: what they say of each finding, which of them say what one looks for, and their words as
--- numbers for networks.

local namespace = require "luxel.namespace"
local tokenizer = require "luxel.text.tokenizer"

return namespace("lx.text", {
    tokenizer = tokenizer.tokenizer, load_tokenizer = tokenizer.load_tokenizer,
    label = require("luxel.text.label").label, rules = require("luxel.text.rules").rules,
    search = require("luxel.text.search").search,
})
