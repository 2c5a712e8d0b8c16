--- Files of other programs, by the program that writes them.

local namespace = require "luxel.namespace"

return namespace("lx.io", {torch = require "luxel.io.torch"})
