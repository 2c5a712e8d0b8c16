--- Sentences of a report's section.

local ABBREVIATIONS <const> = {
    dr = true, mr = true, mrs = true, ms = true, vs = true, approx = true, st = true, ["e.g"] = true,
    ["i.e"] = true,
}

-- Whether a full stop at a place ends a sentence: none after "Dr", nor after the number of an item ("2. Clear lungs"),
-- which belongs to what follows. A figure's decimal point has no space behind it.
local function ends(text, from, place)
    local before = text:sub(from, place - 1)
    local word = before:match("([%a.]+)$")
    if word and ABBREVIATIONS[word:lower()] then return false end
    return not before:find("^%s*%d?%d$")
end

--- The sentences of a text, without the space around them. Line breaks end a sentence only where a line is empty or the
--- next one begins with a dash or a number and a point.
---@param text string
---@return {text: string, from: integer}[] sentences `from` is the byte where one begins
return function(text)
    local list, from = {}, 1
    local function add(last)
        local start = text:find("%S", from)
        if start and start <= last then
            local stop = last
            while text:find("^%s", stop) do stop = stop - 1 end
            if text:sub(start, stop):find("%w") then
                list[#list + 1] = {text = text:sub(start, stop), from = start}
            end
        end
        from = last + 1
    end
    local place = 1
    while true do
        local at = text:find("[.!?\n]", place)
        if not at then break end
        local sign = text:sub(at, at)
        if sign == "\n" then
            local next_line = text:match("^[^\n]*", at + 1)
            if not next_line:find("%S") or next_line:find("^%s*[-*]") or next_line:find("^%s*%d?%d[.)]%s") then
                add(at)
            end
        elseif text:find("^[.!?\"')]*%s", at + 1) or text:find("^[.!?\"')]*$", at + 1) then
            local last = select(2, text:find("^[.!?\"')]*", at + 1))
            if sign ~= "." or ends(text, from, at) then add(last) end
            at = math.max(at, last)
        end
        place = at + 1
    end
    add(#text)
    return list
end
