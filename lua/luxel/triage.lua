--- Many films in the order in which a person should look at them: answers to thousands of images, kept as they come in
--- a journal, so that work which was ended at any moment goes on where it was.
--
-- The journal is a folder: `answers`, a line of JSON for each image, behind a line that says which model they are of.
-- What the last line of a process that was killed holds half of is left out when it goes on. An image that has changed
-- since is answered anew.

local class_names = require "luxel.data.classes"
local core = require "luxel.core"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local version = require "luxel.version"

local triage = {}

-- Images that are answered, and noted, together; bytes of decoded ones in memory.
local CHUNK <const>, MEMORY <const> = 128, 256 << 20

---@class luxel.TriageRow
---@field path string
---@field urgency number? what images are sorted by, the largest first: the probability of the positive class, of labels
---  of the likeliest one, of several classes that it is not the normal one; nil where there is no answer
---@field label string?
---@field doubt number?
---@field reasons string[]? codes of why the answer is uncertain
---@field warnings string[]? codes of what speaks against reading the picture
---@field problem string? why there is no answer
---@field size integer of the file, in bytes
---@field time integer when it was changed

-- ---- answers ------------------------------------------------------------------------------------------------------

-- The class that says that nothing was found, of several.
local function normal_class(predictor)
    for _, name in ipairs(predictor.classes) do
        for _, other in ipairs(predictor.classes) do
            if class_names.is_negative(name, other) then return name end
        end
    end
end

--- Why a model cannot put images in order; nil if it can.
---@param predictor luxel.Predictor
---@return string?
function triage.obstacle(predictor)
    if predictor.task == "segmentation" then
        return "the model tells pixels, and no probability to sort images by"
    elseif predictor.task == "detection" then
        return "the model finds boxes, whose scores are no probabilities to sort images by"
    elseif predictor.task == "classes" and not normal_class(predictor) then
        return ("nothing says which of the model's classes is the normal one: %s"):format(table.concat(
            predictor.classes, ", "))
    end
end

local function urgency_of(predictor, answer)
    if answer.infected then return answer.infected end
    if predictor.task == "labels" then -- that nothing was found is no reason to look
        local most = 0
        for name, p in pairs(answer.classes) do
            if not class_names.is_negative(name) then most = math.max(most, p) end
        end
        return most
    end
    return 1 - answer.classes[normal_class(predictor)]
end

local function codes_of(list)
    local out = {}
    for i, one in ipairs(list) do out[i] = one.code end
    return out
end

local function row_of(predictor, answer, judgement)
    if not answer.label then return {problem = answer.message} end
    local row = {
        urgency = urgency_of(predictor, answer), label = answer.label, doubt = judgement.doubt,
        warnings = codes_of(answer.findings),
    }
    if judgement.reasons then row.reasons = codes_of(judgement.reasons) end
    return row
end

-- A dataset of files without labels, of which threads decode some while the network computes others.
local function open(predictor, paths)
    local rows = {}
    for i, path in ipairs(paths) do rows[i] = {path = path, patient = path, label = ""} end
    local frame = assert(lx.data.frame(rows, {label = "label", classes = {"no", "yes"}, root = ""}))
    return assert(frame:open {size = predictor.size, memory = MEMORY})
end

-- The answers to images that were decoded, whose pictures are in memory still.
local function answers_of(predictor, dataset)
    local known = predictor.metadata.doubt
    local found, judgements, code
    if known then found, judgements, code = predictor:judge(dataset)
    else found, judgements, code = predictor:probabilities(dataset) end
    if not found then return nil, judgements, code end
    local out = {}
    for i, p in ipairs(found) do
        local image, message = dataset:image(i)
        local answer = predictor:answer(p)
        local judgement = known and judgements[i] or {}
        if not image then return nil, message end
        answer.findings = lx.vision.quality(image)
        for _, finding in ipairs(known and answer.findings or {}) do
            table.insert(judgement.reasons, {code = "quality", message = finding.message})
        end
        out[i] = row_of(predictor, answer, judgement)
    end
    return out
end

-- The answers, each with its own reason where there is none.
local function one_by_one(predictor, paths)
    local out = {}
    for i, answer in ipairs(predictor:all(paths)) do
        if answer.code == "device" or answer.code == "memory" then return nil, answer.message, answer.code end
        out[i] = row_of(predictor, answer, answer)
    end
    return out
end

-- The answers to some images. A batch with an image that cannot be read is refused as a whole, so then the images are
-- tried, and those that can be read are answered together.
local function look(predictor, paths)
    -- a dataset would only decode the part that the network sees, but the picture is judged as a whole; and it keeps
    -- nothing of what the file says of the patient
    if predictor.metadata.input.crop or predictor.metadata.ages then return one_by_one(predictor, paths) end
    local dataset = open(predictor, paths)
    local ok, found, message, code = pcall(answers_of, predictor, dataset)
    if ok and found then return found end
    if ok and (code == "device" or code == "memory") then return nil, message, code end
    if not ok and not core.error_code(tostring(found)) then error(found, 0) end -- a mistake, or Ctrl-C
    local readable, places, out = {}, {}, {}
    for i, path in ipairs(paths) do
        local image, problem = dataset:image(i)
        if image then readable[#readable + 1], places[#places + 1] = path, i else out[i] = {problem = problem} end
    end
    if #readable == 0 then return out end
    local rest
    if #readable < #paths then
        ok, rest = pcall(answers_of, predictor, open(predictor, readable))
        rest = ok and rest or nil
    end
    if not rest then rest, message, code = one_by_one(predictor, readable) end
    if not rest then return nil, message, code end
    for k, i in ipairs(places) do out[i] = rest[k] end
    return out
end

-- ---- the journal --------------------------------------------------------------------------------------------------

-- What the lines of a journal hold for: other files of weights, or other views, are other answers.
local function identity_of(predictor)
    local sums = {}
    for i, member in ipairs(predictor.members or {predictor}) do
        local file <close>, message = io.open(member.path, "rb")
        if not file then return nil, message end
        sums[i] = ("%016x"):format(core.checksum(file:read "a"))
    end
    local tta = predictor.tta or predictor.members and predictor.members[1].tta
    -- written out, because the order of a table's names is another one in each process
    return ('{"triage":2,"version":%q,"models":%q,"tta":%s}'):format(version, table.concat(sums, " "), tta ~= nil
        and tta ~= false)
end

-- The size of a file and when it was changed: 0 where there is none.
local function stamp_of(path)
    local found = lfs.attributes(path)
    return found and found.size or 0, found and found.modification or 0
end

-- A row as a line. Names of files are any bytes, and JSON is UTF-8: each byte becomes the character of its number.
local function write(row)
    local out = json.plain(row)
    out.path = row.path:gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end)
    return assert(json.encode(out))
end

-- The row of a line; nil where it is none.
local function parse(line)
    local row = json.decode(line)
    if type(row) ~= "table" or type(row.path) ~= "string" then return nil end
    local bytes = {}
    for _, code in utf8.codes(row.path) do
        if code > 255 then return nil end
        bytes[#bytes + 1] = string.char(code)
    end
    row.path = table.concat(bytes)
    return row
end

-- The rows of a journal by path, and its lines as they should be; nil where it is another model's.
local function read_journal(path, identity)
    local file <close> = io.open(path, "rb")
    local text = file and file:read("a") or ""
    local rows, paths, line_of, first = {}, {}, {}, true
    for line in text:gmatch("([^\n]*)\n") do
        if first then
            if line ~= identity then return nil end
            first = false
        else
            local row = parse(line)
            if not row then break end
            if not rows[row.path] then paths[#paths + 1] = row.path end
            rows[row.path], line_of[row.path] = row, line
        end
    end
    local lines = {identity}
    for i, one in ipairs(paths) do lines[i + 1] = line_of[one] end
    return rows, lines
end

-- Opens a journal for more; what is broken at its end is cut off.
local function open_journal(folder, identity)
    if not lfs.mkdir(folder) and lfs.attributes(folder, "mode") ~= "directory" then
        return nil, "cannot make the folder " .. folder, "io"
    end
    local lock, message, code = core.lock_folder(folder)
    if not lock then return nil, message, code end
    local path = folder .. "/answers"
    local rows, lines = read_journal(path, identity)
    if not rows then
        return nil, folder .. " holds answers of another model, of other views or another Luxel", "exists"
    end
    local ok
    ok, message, code = core.write_file(path, {table.concat(lines, "\n"), "\n"})
    if not ok then return nil, message, code end
    local file
    file, message = io.open(path, "ab")
    if not file then return nil, message, "io" end
    return {file = file, lock = lock, rows = rows, folder = folder}
end

-- Notes rows; they become what reading the journal would give, so that the order does not depend on who was killed.
local function note(journal, rows)
    local lines = {}
    for i, row in ipairs(rows) do
        lines[i] = write(row)
        rows[i] = parse(lines[i])
    end
    local ok, message = journal.file:write(table.concat(lines, "\n"), "\n")
    if ok then ok, message = journal.file:flush() end
    if not ok then return nil, ("cannot write into %s: %s"):format(journal.folder, message), "io" end
    return true
end

--- Removes a journal.
---@param folder string
function triage.forget(folder)
    os.remove(folder .. "/answers")
    lfs.rmdir(folder)
end

-- ---- the work -----------------------------------------------------------------------------------------------------

-- The most urgent first, of equal ones the most doubtful; those without an answer at the end.
local function before(a, b)
    if (a.urgency == nil) ~= (b.urgency == nil) then return a.urgency ~= nil end
    if a.urgency ~= b.urgency then return a.urgency > b.urgency end
    if a.doubt ~= b.doubt then return (a.doubt or -1) > (b.doubt or -1) end
    return a.path < b.path
end

--- Answers to images in the order in which they should be looked at. What the journal has already is taken from it, but
--- images without an answer are tried again.
---@param predictor luxel.Predictor for which `obstacle` has nothing to say
---@param paths string[] a path that comes twice counts once
---@param options {journal: string, progress: (fun(done: integer, total: integer))?} journal: a folder, which is left
---  for `forget`
---@return luxel.TriageRow[]? rows, string|integer message or how many of them the journal had, string? code "busy"
---  where another process writes the journal, "exists" where it is another model's, "io", "device", "memory"
function triage.run(predictor, paths, options)
    local identity, message = identity_of(predictor)
    if not identity then return nil, message, "io" end
    local journal, code
    journal, message, code = open_journal(options.journal, identity)
    if not journal then return nil, message, code end
    local _ <close> = journal.lock
    local _ <close> = journal.file
    local todo, rows, seen, resumed = {}, {}, {}, 0
    for _, path in ipairs(paths) do
        if not seen[path] then
            seen[path] = true
            local row, size, time = journal.rows[path], stamp_of(path)
            -- what could not be read may be readable by now without having changed: permissions, a network's folder
            if row and not row.problem and row.size == size and row.time == time then
                rows[#rows + 1], resumed = row, resumed + 1
            else
                todo[#todo + 1] = path
            end
        end
    end
    local total = #rows + #todo
    for first = 1, #todo, CHUNK do
        local some = table.move(todo, first, math.min(first + CHUNK - 1, #todo), 1, {})
        local stamps, found = {}
        for i, path in ipairs(some) do stamps[i] = {stamp_of(path)} end
        found, message, code = look(predictor, some)
        if not found then return nil, message, code end
        for i, row in ipairs(found) do row.path, row.size, row.time = some[i], stamps[i][1], stamps[i][2] end
        local ok
        ok, message, code = note(journal, found)
        if not ok then return nil, message, code end
        table.move(found, 1, #found, #rows + 1, rows)
        if options.progress then options.progress(#rows, total) end
    end
    table.sort(rows, before)
    return rows, resumed
end

return triage
