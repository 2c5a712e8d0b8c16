--- The file names of the paediatric chest radiographs of Kermany et al. (Cell 172:1122, 2018), which Kaggle distributes
-- as "chest_xray": which of them belong to one patient.
--
-- What the names tell:
--   person17_bacteria_56.jpeg, person17_virus_3.jpeg   patient 17. Whether bacterial and viral cases were numbered
--       together is not documented; many numbers occur in both. They are kept as one patient: that can only make a
--       split stricter than needed, never leak.
--   IM-0115-0001.jpeg, IM-0666-0001-0002.jpeg, NORMAL2-IM-0793-0001.jpeg   a study number (0115, 0666, 0793), not a
--       patient: one child may have several studies, which cannot be told apart from those of several children.
--       Numbers recur with and without NORMAL2; they are kept together for the same reason.
-- Kaggle's train and test folders reuse person numbers; whether for the same children is not documented either.

local chest_xray = {}

--- The patient (or for normal films the study) in a file name of this set: "person17", "IM-0115".
---@param path string
---@return string? group nil for a name of another form
function chest_xray.patient(path)
    local name = path:match("[^/\\]+$") or path
    return name:match("^(person%d+)_%a+_%d+") or name:match("^(IM%-%d+)%-%d+") or name:match("^NORMAL2%-(IM%-%d+)%-%d+")
end

return chest_xray
