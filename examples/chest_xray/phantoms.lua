--- Writes drawn chest radiographs into OUT/NORMAL and OUT/INFECTED, to try the other programs on.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local common = require "common"
local lx = require "luxel"

local parser = argparse("phantoms.lua", "Writes drawn chest radiographs, half of them with opacities.")
parser:option("--out", "Folder to write into."):count(1)
parser:option("--count", "How many.", "100"):convert(math.tointeger)
parser:option("--size", "Side in pixels.", "224"):convert(math.tointeger)
parser:option("--seed", "Another seed draws others.", "1000"):convert(math.tointeger)
local args = parser:parse()

common.must(lx.data.phantom_save(args.out, {n = args.count, size = args.size, seed = args.seed}))
print(("%d phantoms in %s"):format(args.count, args.out))
