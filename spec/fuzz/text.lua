--- Feeds damaged reports, files of rules and CSV files to `lx.text`, `lx.report.suggest` and `luxel label-reports`:
--- mutations of what is written here and of the files of rules of Luxel, the same each time, COUNT of each kind. Each
--- has to be taken or refused with a message, in time.
--
--     lua5.4 spec/fuzz/text.lua [COUNT [SEED [KIND]]]

local csv = require "luxel.io.csv"
local command = require "luxel.command.label_reports"
local lx = require "luxel"
local shell = require "spec.support.shell"

local COUNT <const>, SEED <const> = tonumber(arg[1]) or 5000, tonumber(arg[2]) or 1
local ONLY <const> = arg[3]
local SECONDS <const> = 5 -- for some kilobytes
local FILE <const> = os.tmpname()
local OUT <const> = os.tmpname()

local REPORT <const> = [[
INDICATION: Evaluate for pneumonia.
FINDINGS: The heart is mildly enlarged. No focal consolidation, pleural effusion or pneumothorax; there may be a 1.5 cm
nodule in the right upper lobe (vs. scarring). Previously seen atelectasis has resolved.

IMPRESSION:
1. Cardiomegaly, stable. 2. Cannot exclude small effusions.
]]
local TABLE <const> = 'id,findings,impression\n1,No effusion.,"Possible ""edema"", or not."\n2,,\n3,"A\nB",Mass.\n'
local HERE <const> = assert(package.searchpath("luxel", package.path)):gsub("init%.lua$", "")
local RULES <const> = shell.read(HERE .. "text/chest.rules")
local SUGGESTIONS <const> = shell.read(HERE .. "report/suggestions.rules")
local FINDINGS <const> = {
    {finding = "Nodule", probability = 0.5, threshold = 0.4, doubt = 0.2, uncertain = false},
    {finding = "Mass", probability = 1}, {finding = "Pneumothorax", probability = 0},
}

local function saved_tokenizer()
    assert(lx.text.tokenizer({REPORT}, {vocabulary = 300}):save(FILE))
    return shell.read(FILE)
end

local TOKENIZER <const> = saved_tokenizer()

-- ---- mutations ------------------------------------------------------------------------------------------------

local random = math.random

local PIECES <const> = {
    '"', '""', ",", ";", "\n", "\r\n", "\0", "\255", "\u{FEFF}", "..", " .. ", "...", "*", "/", "(", ")", "[", "]",
    "[cues]", "[finding ", "present: ", "not: ", ": ", "#", "no ", "or ", " versus ", "cannot exclude ", "é", "1. ",
    ("a"):rep(500), ("no effusion or "):rep(200), ("("):rep(300), ("\n"):rep(300), ("a/b "):rep(8), "%s", "%",
    "(a) (b) (c) (d) (e) (f) (g)", "[rule ", "[source ", "finding: Nodule\n", "0..", "..1", "0.2..0.1", "e9",
}

local function a_place(text) return random(1, #text + 1) end

local CHANGES <const> = {
    function(text)
        local at = a_place(text)
        return text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1)
    end,
    function(text)
        local at = a_place(text)
        return text:sub(1, at - 1) .. PIECES[random(#PIECES)] .. text:sub(at)
    end,
    function(text)
        local at = a_place(text)
        return text:sub(1, at - 1) .. text:sub(at + random(1, 30))
    end,
    function(text)
        local from, at = a_place(text), a_place(text)
        return text:sub(1, at - 1) .. text:sub(from, from + random(1, 200)) .. text:sub(at)
    end,
    function(text) return text:sub(1, a_place(text)) end,
}

local function changed(text)
    for _ = 1, random(1, 6) do text = CHANGES[random(#CHANGES)](text) end
    return text
end

-- ---- the run --------------------------------------------------------------------------------------------------

local function fail(kind, number, text, what)
    shell.write(FILE .. ".kept", text)
    io.stderr:write(("%s %d of seed %d, kept as %s.kept: %s\n"):format(kind, number, SEED, FILE, what))
    os.exit(1)
end

local function silently(f)
    local say = print
    print = function() end -- luacheck: ignore
    local ok, message = pcall(f)
    print = say -- luacheck: ignore
    return ok, message
end

-- What each kind of text goes through: whether it was taken; raises where it was not refused properly.
local KINDS <const> = {
    {"reports", REPORT, function(text)
        for name, value in pairs(lx.text.label(text).labels) do
            assert(value == 1 or value == 0 or value == -1, name)
        end
        return true
    end},
    {"rules", RULES, function(text)
        local rules, message, code = lx.text.rules(shell.write(FILE, text))
        if not rules then
            assert(code == "format" and message:find(FILE, 1, true), message)
            return false
        end
        lx.text.label(REPORT, {rules = rules})
        return true
    end},
    {"CSV", TABLE, function(text)
        shell.write(FILE, text)
        local ok, message = silently(function() command.run {data = FILE, out = OUT, explain = OUT .. ".words"} end)
        if not ok then
            assert(message ~= "" and getmetatable(message) and not tostring(message):find("traceback"), message)
            return false
        end
        assert(csv.read(OUT))
        assert(csv.read(OUT .. ".words"))
        return true
    end},
    {"searches", REPORT, function(text)
        local search = lx.text.search {text, REPORT, text:sub(1, #text // 2)}
        for _, query in ipairs {text:sub(1, 200), "no effusion", text:sub(-100)} do
            for _, hit in ipairs(search(query).hits) do assert(hit.score == hit.score and hit.score > 0) end
        end
        return true
    end},
    {"tokenizers", TOKENIZER, function(text)
        local tokenizer, message, code = lx.text.load_tokenizer(shell.write(FILE, text))
        if not tokenizer then
            assert(code == "format" and message:find(FILE, 1, true), message)
            return false
        end
        assert(tokenizer:decode(tokenizer:encode(REPORT)) == REPORT)
        return true
    end},
    {"tokens", REPORT, function(text)
        local tokenizer = lx.text.tokenizer({text, text:sub(-50)}, {vocabulary = 300})
        assert(tokenizer:decode(tokenizer:encode(text)) == text)
        assert(tokenizer:decode(tokenizer:encode(REPORT)) == REPORT)
        return true
    end},
    {"suggestions", SUGGESTIONS, function(text)
        local rules, message, code = lx.report.rules(shell.write(FILE, text))
        if not rules then
            assert(code == "format" and message:find("^" .. FILE:gsub("%p", "%%%0") .. ": line %d+: .+"), message)
            return false
        end
        for _, one in ipairs(lx.report.suggest(FINDINGS, {rules = rules, age = 40, urgency = "urgent"}).suggestions) do
            assert(one.say ~= "" and one.rule ~= "" and one.source ~= "" and one.section ~= "")
        end
        return true
    end},
}

local took = {}
for _, kind in ipairs(KINDS) do
    local name, original, try = table.unpack(kind)
    if not ONLY or ONLY == name then
        math.randomseed(SEED)
        local well = 0
        for number = 0, COUNT do
            local text = number > 0 and changed(original) or original
            local began = os.clock()
            local ok, taken = pcall(try, text)
            if not ok then fail(name, number, text, tostring(taken)) end
            if os.clock() - began > SECONDS then fail(name, number, text, "it took " .. os.clock() - began .. " s") end
            if number == 0 and not taken then fail(name, number, text, "what is right is refused") end
            if number > 0 and taken then well = well + 1 end
        end
        took[#took + 1] = ("%s %d"):format(name, well)
    end
end
for _, path in ipairs {FILE, OUT, OUT .. ".words"} do os.remove(path) end
assert(#took > 0, "there is no such kind")
print(("%d damaged texts of each kind; taken: %s; the others refused"):format(COUNT, table.concat(took, ", ")))
