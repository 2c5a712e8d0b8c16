--- Texts as rules read them: the signs of word processors as those of a keyboard, byte for byte in the same places.
--
-- In the middle of a word a byte beyond ASCII is a letter. A dash, a bullet or a space that no line breaks at is none,
-- and taken for one would join the words beside it: "atelectasis—no effusion" would deny nothing.

-- Code points of UTF-8 by the sign that they are read as. What else is no letter is read as a space.
local SIGNS <const> = {
    ["\n"] = {0x85, 0x2028, 0x2029},
    ["-"] = {0xB7, 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2022, 0x2023, 0x2043, 0x2212, 0x2219, 0x25A0,
        0x25AA, 0x25B8, 0x25BA, 0x25CB, 0x25CF, 0x25E6},
    ["'"] = {0xB4, 0x2018, 0x2019, 0x201A, 0x201B}, ['"'] = {0xAB, 0xBB, 0x201C, 0x201D, 0x201E, 0x201F},
    ["."] = {0x2026, 0x3002}, [","] = {0x3001, 0xFF0C}, [";"] = {0xFF1B}, [":"] = {0xFF1A}, ["?"] = {0xBF, 0xFF1F},
    ["("] = {0xFF08}, [")"] = {0xFF09},
}
local LETTERS <const> = {[0xAA] = true, [0xB5] = true, [0xBA] = true} -- ª µ º

-- Bytes of Windows-1252, which a text has that is no UTF-8.
local WINDOWS <const> = {
    ["-"] = "\149\150\151\183", ["'"] = "\130\145\146\180", ['"'] = "\132\147\148\171\187", ["."] = "\133",
    ["?"] = "\191",
}
local WINDOWS_LETTERS <const> = "\131\138\140\142\154\156\158\159\170\181\186"

local by_code, by_byte = {}, {}
for sign, codes in pairs(SIGNS) do
    for _, code in ipairs(codes) do by_code[code] = sign end
end
for byte = 0x80, 0xBF do by_byte[string.char(byte)] = " " end
for byte in WINDOWS_LETTERS:gmatch(".") do by_byte[byte] = nil end
for sign, bytes in pairs(WINDOWS) do
    for byte in bytes:gmatch(".") do by_byte[byte] = sign end
end

-- Signs, spaces, arrows, frames and other pictures, and what is of no width.
local function is_letter(code)
    if code < 0xC0 then return LETTERS[code] end
    return not (code == 0xD7 or code == 0xF7 or code >= 0x2000 and code <= 0x206F or code >= 0x2190 and code <= 0x2BFF
        or code == 0x1680 or code >= 0x3000 and code <= 0x3003 or code == 0xFEFF)
end

local known = {} -- what characters are read as, once looked up

local function read_as(character)
    local code = utf8.codepoint(character)
    local sign = by_code[code] or not is_letter(code) and " "
    known[character] = sign and sign .. (" "):rep(#character - 1) or character
    return known[character]
end

setmetatable(known, {__index = function(_, character) return read_as(character) end})

local plain = {}

--- A text of as many bytes, in which what ends words, sentences and lines is ASCII. Letters are as they were.
---@param text string UTF-8, or else taken for Windows-1252
---@return string
function plain.text(text)
    if text:find("\r", 1, true) then text = text:gsub("\r\n", " \n"):gsub("\r", "\n") end
    if not text:find("[\128-\255]") then return text end
    if utf8.len(text) then return (text:gsub("[\xC2-\xF4][\x80-\xBF]+", known)) end
    return (text:gsub("[\128-\191]", by_byte))
end

--- A text in lower case, the letters of Latin-1 too, in as many bytes.
---@param text string UTF-8
---@return string
function plain.lower(text)
    text = text:lower()
    if not text:find("\xC3", 1, true) then return text end
    return (text:gsub("\xC3[\x80-\x96\x98-\x9E]", function(letter)
        return "\xC3" .. string.char(letter:byte(2) + 32)
    end))
end

return plain
