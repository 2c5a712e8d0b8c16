--- Files of other programs, by the program that writes them.

local namespace = require "luxel.namespace"

return namespace("lx.io", {darknet = require "luxel.io.darknet", torch = require "luxel.io.torch"})
