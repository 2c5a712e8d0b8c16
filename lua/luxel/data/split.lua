--- Splitting by patient, so that no patient is in two parts, with the share of positives about kept.

local options = require "luxel.data.options"
local random = require "luxel.random"

-- Patients in strata: only negative images, only positive ones, both.
local function strata_of(labels, groups)
    local list, by_name = {}, {}
    for i = 1, #labels do
        local unit = by_name[groups[i]]
        if not unit then
            unit = {positives = 0}
            by_name[groups[i]], list[#list + 1] = unit, unit
        end
        unit[#unit + 1] = i
        unit.positives = unit.positives + (labels[i] == 1 and 1 or 0)
    end
    local strata = {{}, {}, {}}
    for _, unit in ipairs(list) do
        local which = unit.positives == 0 and 1 or unit.positives == #unit and 2 or 3
        table.insert(strata[which], unit)
    end
    return strata
end

-- Deals patients in the given order into `part` until it has about `share` of `images`, at least one patient if it is
-- to have any, and leaves one for each of the parts still to come. Returns the position of the next patient.
local function deal(part, stratum, order, at, share, images, to_come)
    local taken, target = 0, share * images
    while share > 0 and at <= #order - to_come do
        local unit = stratum[order[at]]
        if taken > 0 and taken + #unit / 2 > target then
            break
        end
        table.move(unit, 1, #unit, #part + 1, part)
        taken, at = taken + #unit, at + 1
    end
    return at
end

--- Positions of the training, validation and test images, each ascending.
---@param labels number[]
---@param groups any[] the patient of each image
---@param opts? {val?: number, test?: number, seed?: integer} shares, default 0.15 and 0; seed 1
---@return integer[]? train, integer[]|string val, integer[]|string test nil, message, "format" with too few patients
local function split(labels, groups, opts)
    opts = options.read("split", opts, {val = 0.15, test = 0, seed = 1})
    options.check_number("split", "val", opts.val, 0, 1)
    options.check_number("split", "test", opts.test, 0, 1)
    if opts.val + opts.test >= 1 then
        error(("split: val %g and test %g leave nothing for training"):format(opts.val, opts.test), 3)
    end
    local train, val, test = {}, {}, {}
    for which, stratum in ipairs(strata_of(labels, groups)) do
        local order = random.stream(opts.seed, which):permutation(#stratum)
        local images = 0
        for _, unit in ipairs(stratum) do
            images = images + #unit
        end
        local at = deal(val, stratum, order, 1, opts.val, images, opts.test > 0 and 2 or 1)
        at = deal(test, stratum, order, at, opts.test, images, 1)
        for i = at, #order do
            local unit = stratum[order[i]]
            table.move(unit, 1, #unit, #train + 1, train)
        end
    end
    for name, part in pairs {train = train, val = opts.val > 0 and val or {0}, test = opts.test > 0 and test or {0}} do
        if #part == 0 then
            return nil, ("split: %d images of too few patients: nothing is left for %s"):format(#labels, name), "format"
        end
        table.sort(part)
    end
    return train, val, test
end

return split
