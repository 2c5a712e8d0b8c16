--- Annotations of Pascal VOC (Everingham et al. 2010): an XML file for each image, with the boxes of its objects.
--
-- Of XML it reads what such files have: elements, text, comments, character references. Their attributes are passed
-- over, and a document type, which may declare entities, is refused.

local voc = {}

local MOST_BYTES <const>, DEEPEST <const> = 1 << 22, 16
local ENTITIES <const> = {amp = "&", lt = "<", gt = ">", quot = '"', apos = "'"}

local function fail(form, ...) error({voc = form:format(...)}, 0) end

local function text_of(raw)
    return (raw:gsub("&(#?%w+);", function(name)
        local code = name:match("^#(%d+)$") or name:match("^#x(%x+)$") and tonumber(name:sub(3), 16)
        code = math.tointeger(code)
        if code and code > 0 and code <= 0x10FFFF then return utf8.char(code) end
        return ENTITIES[name] or fail("there is no entity &%s; here", name)
    end))
end

-- The root element: {name =, text =, elements inside ...}.
local function parse(text)
    local root, stack, at = {name = "", text = ""}, {}, 1
    local open = root
    while true do
        local from, to, closing, name, rest = text:find("<(/?)([%a_][%w_.%-]*)([^<>]*)>", at)
        local special = text:find("<[!?]", at)
        if special and (not from or special < from) then
            open.text = open.text .. text_of(text:sub(at, special - 1))
            local _, finish = text:find(text:sub(special, special + 3) == "<!--" and "-->" or "?>", special, true)
            if text:find("^<!%a", special) then fail("document types and sections of raw text are not known here") end
            if not finish then fail("a comment or an instruction is not closed") end
            at = finish + 1
        elseif not from then
            if text:find("<", at, true) then fail("a '<' begins nothing") end
            break
        else
            if text:sub(at, from - 1):find("<", 1, true) then fail("a '<' begins nothing") end
            open.text = open.text .. text_of(text:sub(at, from - 1))
            if closing == "/" then
                if open.name ~= name or #stack == 0 then fail("</%s> closes <%s>", name, open.name) end
                open = table.remove(stack)
            else
                local element = {name = name, text = ""}
                open[#open + 1] = element
                if rest:sub(-1) ~= "/" then
                    if #stack == DEEPEST then fail("elements are nested too deeply") end
                    stack[#stack + 1], open = open, element
                end
            end
            at = to + 1
        end
    end
    if #stack > 0 then fail("<%s> is not closed", open.name) end
    if #root ~= 1 then fail("expected one element around all, got %d", #root) end
    return root[1]
end

-- The element of a name inside another one; nil where there is none.
local function child(element, name)
    for _, inner in ipairs(element) do
        if inner.name == name then return inner end
    end
end

local function word(element, name)
    local inner = child(element, name)
    return inner and inner.text:match("^%s*(.-)%s*$") or nil
end

local function number(element, name)
    local text = word(element, name)
    local value = tonumber(text)
    if not value or value - value ~= 0 then
        fail("<%s>: <%s>: expected a number, got '%s'", element.name, name, text or "nothing")
    end
    return value
end

local function read(text)
    local root = parse(text)
    if root.name ~= "annotation" then fail("expected <annotation>, got <%s>", root.name) end
    local size, out = child(root, "size"), {file = word(root, "filename"), boxes = {}}
    if size then out.width, out.height = number(size, "width"), number(size, "height") end
    for _, object in ipairs(root) do
        if object.name == "object" then
            local name = word(object, "name")
            local bounds = child(object, "bndbox") or fail("an <object> has no <bndbox>")
            if not name or name == "" then fail("an <object> has no <name>") end
            local x, y = number(bounds, "xmin"), number(bounds, "ymin")
            out.boxes[#out.boxes + 1] = {
                x = x - 1, y = y - 1, w = number(bounds, "xmax") - x + 1, h = number(bounds, "ymax") - y + 1,
                label = name, crowd = word(object, "difficult") == "1" or nil,
            }
        end
    end
    return out
end

--- What an annotation says. Its corners are the first and the last pixel of a box, counted from 1; here boxes are in
--- pixels from the top left.
---@param text string
---@return {file: string?, width: number?, height: number?, boxes: table[]}? annotation
---@return string? message
function voc.read(text)
    if #text > MOST_BYTES then return nil, "it is too long for an annotation" end
    local ok, result = pcall(read, text)
    if ok then return result end
    if type(result) == "table" and result.voc then return nil, result.voc end
    error(result, 0)
end

local function escaped(text)
    return (tostring(text):gsub("[&<>]", {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}))
end

local OBJECT <const> = "\t<object>\n\t\t<name>%s</name>\n\t\t<difficult>%d</difficult>\n\t\t<bndbox>"
    .. "<xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox>\n\t</object>"

local function shown(value) return ("%.10g"):format(value) end

--- An annotation as text.
---@param annotation {file: string, width: integer, height: integer, boxes: table[]}
---@return string
function voc.write(annotation)
    local lines = {
        "<annotation>", "\t<filename>" .. escaped(annotation.file) .. "</filename>",
        ("\t<size><width>%d</width><height>%d</height><depth>1</depth></size>"):format(annotation.width,
            annotation.height),
    }
    for _, box in ipairs(annotation.boxes) do
        lines[#lines + 1] = OBJECT:format(escaped(box.label), box.crowd and 1 or 0, shown(box.x + 1), shown(box.y + 1),
            shown(box.x + box.w), shown(box.y + box.h))
    end
    lines[#lines + 1] = "</annotation>\n"
    return table.concat(lines, "\n")
end

return voc
