--- What the headings of MeSH that the Indiana reports are indexed with say of the findings of ChestX-ray14. Written
--- before any rule of the labeler was, and not changed for it.
--
-- A heading is written HEAD/QUALIFIER/QUALIFIER...; `with` asks for one of these qualifiers, `without` refuses some.
-- The qualifier `borderline` is doubt: the report counts neither for nor against that finding.
--
-- Left out as too wide for any of the fourteen: Opacity, Density, Airspace Disease, Markings, Lung/hypoinflation and
-- hyperdistention, Pulmonary Congestion, Heart Failure, Chronic Obstructive Disease, Costophrenic Angle/blunted
-- (fluid or scar), Cicatrix (a scar is no fibrosis of the lung), Interstitial Lung Diseases, Calcified Granuloma and
-- Granuloma.

local mesh = {}

mesh.FINDINGS = {
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", "Fracture", "Support Devices",
}

local TABLE <const> = {
    {"Pulmonary Atelectasis", "Atelectasis"},
    {"Cardiomegaly", "Cardiomegaly"},
    {"Cardiac Shadow", "Cardiomegaly", with = {"enlarged"}},
    {"Pleural Effusion", "Effusion"},
    {"Hydropneumothorax", "Effusion"},
    {"Hydropneumothorax", "Pneumothorax"},
    {"Hemopneumothorax", "Effusion"},
    {"Hemopneumothorax", "Pneumothorax"},
    {"Hemothorax", "Effusion"},
    {"Infiltrate", "Infiltration", with = {"lung"}},
    {"Mass", "Mass", with = {"lung", "thorax"}},
    {"Nodule", "Nodule", without = {"heart"}},
    {"Pneumonia", "Pneumonia"},
    {"Pneumothorax", "Pneumothorax"},
    {"Consolidation", "Consolidation"},
    {"Pulmonary Edema", "Edema"},
    {"Emphysema", "Emphysema"},
    {"Pulmonary Emphysema", "Emphysema"},
    {"Bullous Emphysema", "Emphysema"},
    {"Pulmonary Fibrosis", "Fibrosis"},
    {"Fibrosis", "Fibrosis"},
    {"Thickening", "Pleural_Thickening", with = {"pleura"}},
    {"Hernia, Hiatal", "Hernia"},
    {"Hernia, Diaphragmatic", "Hernia"},
    {"Fractures, Bone", "Fracture"},
    {"Catheters, Indwelling", "Support Devices"},
    {"Tube, Inserted", "Support Devices"},
    {"Implanted Medical Device", "Support Devices"},
    {"Medical Device", "Support Devices"},
    {"Stents", "Support Devices"},
}

local function has_one_of(qualifiers, wanted)
    for _, name in ipairs(wanted or {}) do
        if qualifiers[name] then return true end
    end
    return false
end

--- What the column says of a report: by finding 1, -1 (doubt) or 0, and of "No Finding" 1 where it is `normal`. Nil
--- where nobody indexed the report.
---@param text string
---@return table<string, integer>?
function mesh.labels(text)
    if text:find("No Indexing", 1, true) then return nil end
    local labels = {["No Finding"] = text:match("^%s*normal%s*$") and 1 or 0}
    for _, finding in ipairs(mesh.FINDINGS) do labels[finding] = 0 end
    for heading in text:gmatch("[^;]+") do
        local head, qualifiers = heading:match("^%s*([^/]*)"):gsub("%s+$", ""), {}
        for name in heading:gmatch("/([^/]*)") do qualifiers[name:match("^%s*(.-)%s*$")] = true end
        for _, row in ipairs(TABLE) do
            if row[1] == head and (not row.with or has_one_of(qualifiers, row.with))
                and not has_one_of(qualifiers, row.without) then
                local label = qualifiers.borderline and -1 or 1
                if labels[row[2]] ~= 1 then labels[row[2]] = label end
            end
        end
    end
    return labels
end

--- Whether a report is of the third on which figures are measured and no rule is made. The first reports of the file
--- are not: they were read to learn how the file looks.
---@param uid string
function mesh.is_test(uid) return tonumber(uid) % 3 == 0 and tonumber(uid) > 12 end

return mesh
