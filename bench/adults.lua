--- A table of radiographs of children together with adults of another hospital, to train on both.
--
--     lua5.4 bench/adults.lua CHEST_XRAY NIH OUT.csv
--     luxel train --data OUT.csv --label class --positive PNEUMONIA --patient patient --recipe standard --out runs/both
--
-- Adults are films of ChestX-ray14 without a finding, and with an infiltration, consolidation or pneumonia, as labels
-- that were read from reports have it. None is of the outside of docs/trust.md.

local csv = require "luxel.io.csv"
local lx = require "luxel"

local data, nih, out = table.unpack(arg)
if not out then error("usage: adults.lua CHEST_XRAY NIH OUT.csv", 0) end

local lines = {"path,class,patient"}

local function add(path, class, patient) lines[#lines + 1] = ('"%s",%s,"%s"'):format(path, class, patient) end

local frame = assert(lx.data.image_folder(data))
for i = 1, #frame do
    if frame.part[i] ~= "test" and not lx.data.outside(frame.path[i]) then
        add(frame.path[i], frame.classes[frame.label[i] + 1], frame.group[i])
    end
end
local children = #lines - 1
for _, row in ipairs(assert(csv.read(nih .. "/labels.csv"))) do
    local path = nih .. "/images/" .. row.image
    if not lx.data.outside(path) then
        local ill = row.Infiltration == "1" or row.Consolidation == "1" or row.Pneumonia == "1"
        if ill then add(path, "PNEUMONIA", "nih " .. row.patient_id)
        elseif row.finding_labels == "No Finding" then add(path, "NORMAL", "nih " .. row.patient_id) end
    end
end
local file = assert(io.open(out, "w"))
assert(file:write(table.concat(lines, "\n"), "\n"))
assert(file:close())
print(("%s: %d images of children and %d of adults"):format(out, children, #lines - 1 - children))
