--- Writes drawn chest radiographs into OUT/NORMAL and OUT/INFECTED, to try the other programs on.

local argparse = require "argparse"
local options = require "luxel.command.options"
local lx = require "luxel"

local parser = argparse("phantoms.lua", "Writes drawn chest radiographs, half of them with opacities.")
parser:option("--out", "Folder to write into."):count(1)
options.add_number(parser, "--count", "How many.", 100, 1, 1000000, true)
options.add_size(parser, "Side in pixels.", 224)
options.add_seed(parser, "Another seed draws others.", 1000)
local args = options.parse(parser)

options.must(lx.data.phantom_save(args.out, {n = args.count, size = args.size, seed = args.seed}))
print(("%d phantoms in %s"):format(args.count, args.out))
