--- Sentences of a report's section.

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

--- The sentences of a text, without the space around them. A full stop ends one where space follows. Line breaks do
--- only where a line is empty or the next one begins with a dash or a number.
---@param text string
---@return {text: string, from: integer}[] sentences `from` is the byte where one begins
return function(text)
    local list, from = {}, 1
    local function add(last)
        local piece = text:sub(from, last)
        local start, stop = piece:find("%S"), #piece
        if start then
            while piece:find("^%s", stop) do stop = stop - 1 end
            local sentence = piece:sub(start, stop)
            if sentence:find("[%w\128-\255]") then
                list[#list + 1] = {text = sentence, from = from + start - 1}
            end
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
            local stop = text:sub(at, at) == "." and last == at
            if (last == #text or text:find("^%s", last + 1)) and not (stop and not ends(text, from, at)) then
                add(last)
            end
        end
        at = text:find("[.!?\n]", last + 1)
    end
    add(#text)
    return list
end
