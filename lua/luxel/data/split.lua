--- Splitting by patient, so that no patient is in two parts, with the share of each class about kept.

local args = require "luxel.args"
local random = require "luxel.random"

local splitting = {}

-- How many images have each label of several.
local function positives_of(labels)
    local counts = {}
    for _, row in ipairs(labels) do
        for k, value in ipairs(row) do counts[k] = (counts[k] or 0) + (value == 1 and 1 or 0) end
    end
    return counts
end

-- A function from an image to its stratum, of which every part is to have its share: its class, or the rarest label
-- that it has.
local function kind_of(labels)
    if type(labels[1]) ~= "table" then return function(i) return labels[i] == labels[i] and labels[i] or "none" end end
    local counts = positives_of(labels)
    return function(i)
        local rarest
        for k, value in ipairs(labels[i]) do
            if value == 1 and (not rarest or counts[k] < counts[rarest]) then rarest = k end
        end
        return rarest or "none"
    end
end

-- Patients in strata: those whose images are all of one kind together, by kind, and those of several kinds at the end.
local function strata_of(labels, groups)
    local units, by_name, kind = {}, {}, kind_of(labels)
    for i = 1, #labels do
        local unit = by_name[groups[i]]
        if not unit then
            unit = {kind = kind(i)}
            by_name[groups[i]], units[#units + 1] = unit, unit
        elseif unit.kind ~= kind(i) then
            unit.kind = "several"
        end
        unit[#unit + 1] = i
    end
    local names, by_kind = {}, {}
    for _, unit in ipairs(units) do
        if not by_kind[unit.kind] then
            by_kind[unit.kind] = {}
            names[#names + 1] = unit.kind
        end
        table.insert(by_kind[unit.kind], unit)
    end
    -- numbers in their order, and then words
    table.sort(names, function(a, b)
        if type(a) ~= type(b) then return type(a) == "number" end
        return a < b
    end)
    local strata = {}
    for i, name in ipairs(names) do strata[i] = by_kind[name] end
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
---@param name string of the public function
---@param labels (number|number[])[]
---@param groups any[] the patient of each image
---@param options? {val?: number, test?: number, seed?: integer} shares, default 0.15 and 0; seed 1
---@return integer[]? train, integer[]|string val, integer[]|string test nil, message, "format" with too few patients
function splitting.split(name, labels, groups, options)
    local opts = args.with_defaults(options, {val = 0.15, test = 0, seed = 1})
    if opts.val + opts.test >= 1 then
        args.fail("%s: options: val %g and test %g leave nothing for training", name, opts.val, opts.test)
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
    for rest, part in pairs {train = train, val = opts.val > 0 and val or {0}, test = opts.test > 0 and test or {0}} do
        if #part == 0 then
            return nil, ("%s: %d images of too few patients: nothing is left for %s"):format(name, #labels, rest),
                "format"
        end
        table.sort(part)
    end
    return train, val, test
end

-- The part with the fewest images of a stratum, of equal ones the one with the fewest at all, of equal ones the first.
local function emptiest(parts, of_stratum)
    local best = 1
    for k = 2, #parts do
        if of_stratum[k] < of_stratum[best] or of_stratum[k] == of_stratum[best] and #parts[k] < #parts[best] then
            best = k
        end
    end
    return best
end

--- Parts of about as many images, no patient in two of them, each with about the same share of every class: the larger
--- patients are dealt first, each to the part with the fewest images of the class.
---@param name string of the public function
---@param labels (number|number[])[]
---@param groups any[] the patient of each image
---@param count integer how many parts
---@param seed integer? default 1
---@return integer[][]? parts positions, each ascending, or nil, message, "format" where there are fewer patients
---@return string? message, string? code
local function parts_of(name, labels, groups, count, seed)
    local parts, patients, strata = {}, 0, strata_of(labels, groups)
    for k = 1, count do parts[k] = {} end
    for which, stratum in ipairs(strata) do
        patients = patients + #stratum
        local of_stratum = {}
        for k = 1, count do of_stratum[k] = 0 end
        local order = random.stream(seed or 1, which):permutation(#stratum)
        local turn = {}
        for place, at in ipairs(order) do turn[at] = place end
        table.sort(order, function(a, b) -- by size, and by chance where that is the same
            if #stratum[a] ~= #stratum[b] then return #stratum[a] > #stratum[b] end
            return turn[a] < turn[b]
        end)
        for _, at in ipairs(order) do
            local unit, k = stratum[at], emptiest(parts, of_stratum)
            table.move(unit, 1, #unit, #parts[k] + 1, parts[k])
            of_stratum[k] = of_stratum[k] + #unit
        end
    end
    if patients < count then
        return nil, ("%s: %d images of %d patients do not make %d folds"):format(name, #labels, patients, count),
            "format"
    end
    for _, part in ipairs(parts) do table.sort(part) end -- none is empty: each patient goes to an empty one first
    return parts
end

--- Training and validation positions for each of so many parts: it, and all others.
---@param name string of the public function
---@param labels (number|number[])[]
---@param groups any[]
---@param count integer
---@param options? {seed?: integer}
---@return {train: integer[], val: integer[]}[]? folds, string? message, string? code
function splitting.folds(name, labels, groups, count, options)
    local parts, message, code = parts_of(name, labels, groups, count, options and options.seed)
    if not parts then return nil, message, code end
    local folds, part_of = {}, {}
    for k, part in ipairs(parts) do
        for _, at in ipairs(part) do part_of[at] = k end
    end
    for k, part in ipairs(parts) do
        local train = {}
        for i = 1, #labels do
            if part_of[i] ~= k then train[#train + 1] = i end
        end
        folds[k] = {train = train, val = part}
    end
    return folds
end

--- Training and left-out positions for each group of images: the images of a group, and all others but those of its
--- patients. Groups are in the order in which they are first met.
---@param name string of the public function
---@param patients any[]
---@param groups any[] the group of each image, or false where it is of none
---@return {group: any, train: integer[], val: integer[]}[]? folds, string? message, string? code
function splitting.leave_group_out(name, patients, groups)
    local folds, place = {}, {}
    for i, group in ipairs(groups) do
        if group then
            if not place[group] then
                folds[#folds + 1] = {group = group, train = {}, val = {}, patients = {}}
                place[group] = #folds
            end
            local fold = folds[place[group]]
            fold.val[#fold.val + 1], fold.patients[patients[i]] = i, true
        end
    end
    for _, fold in ipairs(folds) do
        for i, patient in ipairs(patients) do
            if groups[i] ~= fold.group and not fold.patients[patient] then fold.train[#fold.train + 1] = i end
        end
        if #fold.train == 0 then
            return nil, ("%s: without the group %s and its patients nothing is left to train on"):format(name,
                tostring(fold.group)), "format"
        end
        fold.patients = nil
    end
    return folds
end

return splitting
