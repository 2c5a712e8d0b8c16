--- Sentences of a report's section.

local plain = require "luxel.text.plain"

local ABBREVIATIONS <const> = {
    dr = true, mr = true, mrs = true, ms = true, vs = true, approx = true, st = true, ["e.g"] = true, ["i.e"] = true,
}

local CLOSING <const> = "^[.!?\"')]*"

-- Whether a full stop at a place ends the sentence that began at `from`: none after "Dr", nor after the number of an
-- item ("2. Clear lungs"), which belongs to what follows.
local function ends(text, from, place)
    local before = text:sub(math.max(from, place - 8), place - 1)
    local word = before:match("%f[%a.]([%a.]+)$")
    if word and ABBREVIATIONS[word:lower()] then return false end
    return place - from > 8 or not before:find("^%s*%d?%d$")
end

-- Whether a question mark is about what follows: "opacity ? pneumonia".
local function doubts(text, from, place)
    local alone = place == from or text:find("^%s", place - 1) ~= nil
    return alone and text:find("^[^%S\n]+[%w\128-\255]", place + 1) ~= nil
end

--- The sentences of a text, without the space around them. A full stop ends one where space follows. Line breaks do
--- only where a line is empty or the next one begins with a dash or a number.
---@param written string
---@return {text: string, from: integer}[] sentences `from` is the byte where one begins
return function(written)
    local text, list, from = plain.text(written), {}, 1
    local in_utf8 = text ~= written and utf8.len(written)
    local function add(last)
        local piece = text:sub(from, last)
        local start, stop = piece:find("%S"), #piece
        if start and piece:find("[%w\128-\255]") then
            while piece:find("^%s", stop) do stop = stop - 1 end
            stop = from + stop - 1
            while in_utf8 and written:find("^[\128-\191]", stop + 1) do stop = stop + 1 end -- a last sign, whole
            list[#list + 1] = {text = written:sub(from + start - 1, stop), from = from + start - 1}
        end
        from = last + 1
    end
    local at = text:find("[.!?\n]")
    while at do
        local last = at
        if text:sub(at, at) == "\n" then
            local next_line = text:match("^[^\n]*", at + 1)
            if not next_line:find("%S") or next_line:find("^%s*[-*]") or next_line:find("^%s*%d?%d[.)]%s") then
                add(at)
            end
        else
            last = select(2, text:find(CLOSING, at + 1))
            local single = last == at and text:sub(at, at)
            local inside = single == "." and not ends(text, from, at) or single == "?" and doubts(text, from, at)
            if (last == #text or text:find("^%s", last + 1)) and not inside then add(last) end
        end
        at = text:find("[.!?\n]", last + 1)
    end
    add(#text)
    return list
end
