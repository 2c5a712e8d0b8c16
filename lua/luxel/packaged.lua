--- The model that comes with the package: examples/chest_xray/model.safetensors of a checkout and of a rock, below the
--- folder `share` of an installation luxel/chest_xray.safetensors. What it learned from and what it is worth is in its
--- card, docs/model.md.

local lfs = require "lfs"
local version = require "luxel.version"

local packaged = {}

local MODEL <const> = "/examples/chest_xray/model.safetensors"
-- From the folder that holds the library's folder `luxel`: of a checkout, of an installation, of LuaRocks' tree.
local PLACES <const> = {
    "/.." .. MODEL, "/../../luxel/chest_xray.safetensors",
    ("/../../../lib/luarocks/rocks-5.4/luxel/%s-1%s"):format(version, MODEL),
}

-- The folder that this file's folder is in.
local function root()
    local source = debug.getinfo(1, "S").source:match("^@(.*)$")
    return source and (source:match("^(.*)/luxel/[^/]*$") or ".")
end

--- Where its file is.
---@return string? path, string? message why nil
function packaged.path()
    local here = root()
    for _, place in ipairs(here and PLACES or {}) do
        if lfs.attributes(here .. place, "mode") == "file" then return here .. place end
    end
    return nil, "the model of the package is not here; name a model with --model FILE"
end

return packaged
