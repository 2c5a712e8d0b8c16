--- Looks through a folder of radiographs before anything is learnt from it: copies, patients on both sides of a
--- split, files that cannot be read, images that are blank or dark, sizes and grey levels.
--
--     lua5.4 audit.lua DIR --out report.html

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local cjson = require "cjson"
local common = require "common"
local core = require "luxel.core"
local lx = require "luxel"

local parser = argparse("audit.lua", "Looks through a folder of radiographs.", common.NOTICE)
parser:argument("data", "Folder with NORMAL/ and PNEUMONIA/, with or without train/, val/, test/ above them.")
parser:option("--out", "File for the report, a page that needs nothing else.")
parser:option("--json", "File for everything that was found.")
local args = parser:parse()

local progress = lx.train.console()
local audit = common.must(lx.data.audit(args.data, {
    progress = function(done, total) progress:reading(done, total) end,
}))
print(audit)

-- What is found, with paths instead of numbers.
local function findings()
    local path, out = audit.frame.path, {
        duplicates = {}, near = {}, suspects = {}, unreadable = audit.unreadable, findings = audit:findings(),
        in_two_parts = audit.in_two_parts, in_two_classes = audit.in_two_classes, sizes = audit.sizes,
    }
    for i, group in ipairs(audit.duplicates) do
        out.duplicates[i] = {}
        for k, image in ipairs(group) do out.duplicates[i][k] = path[image] end
    end
    for i, pair in ipairs(audit.near) do
        out.near[i] = {a = path[pair.a], b = path[pair.b], distance = pair.distance, correlation = pair.correlation}
    end
    for i, suspect in ipairs(audit.suspects) do out.suspects[i] = {path = path[suspect.image], why = suspect.why} end
    return out
end

if args.out then
    common.must(audit:report(args.out))
    print("report in " .. args.out)
end
if args.json then
    common.must(core.write_file(args.json, {cjson.encode(findings()), "\n"}))
end
