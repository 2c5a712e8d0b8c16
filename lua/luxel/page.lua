--- Pages of results: one HTML file with everything in it, for the screen, light or dark, for a phone and for paper.
--- Lua's strings are put together; what comes from outside goes through `page.escape`.

local as_utf8 = require "luxel.as_utf8"
local core = require "luxel.core"

local page = {}

local STYLE <const> = [[
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5d6b7a; --line: #d8dee5; --paper: #ffffff; --panel: #f4f6f8;
  --a: #2f6f9f; --b: #b34a30; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #364049; --paper: #14191e; --panel: #1d242b;
    --a: #6fb3e0; --b: #f08c6c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; } .large img { width: 100%; }
p { margin: .3rem 0; max-width: 46rem; } .soft { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; margin: 1.6rem 0; }
.card { background: var(--panel); border-radius: .5rem; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.card.bad b { color: var(--b); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } td.n, th.n { text-align: right; } td.n { overflow-wrap: normal; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: .8rem 1.6rem; }
.group { display: flex; flex-wrap: wrap; gap: .6rem; padding: .6rem 0; border-top: 1px solid var(--line);
  break-inside: avoid; align-content: flex-start; }
figure { margin: 0; width: 8.6rem; }
figure img { display: block; max-width: 100%; background: #000; border-radius: .25rem; }
figcaption { font-size: .78rem; line-height: 1.35; color: var(--soft); margin-top: .2rem; }
.why { flex: 1 1 12rem; font-size: .9rem; } .tag { display: inline-block; border-radius: .8rem; padding: 0 .6rem;
  background: var(--b); color: var(--paper); font-size: .78rem; margin-right: .3rem; }
.sheet { display: flex; flex-wrap: wrap; gap: .3rem; } .sheet img { border-radius: .25rem; background: #000; }
.style { padding: .6rem 0; border-top: 1px solid var(--line); break-inside: avoid; }
.bar { display: flex; height: .6rem; border-radius: .3rem; overflow: hidden; margin: .3rem 0 .5rem; max-width: 40rem; }
.warn { border-left: .25rem solid var(--b); padding: .4rem .8rem; background: var(--panel); max-width: none; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
.notice { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; margin: 1.2rem 0 0;
  max-width: none; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.2rem 1.6rem;
  margin-top: 1rem; } .plots > div { break-inside: avoid; min-width: 0; } .plots p { font-size: .85rem; }
.wide { overflow-x: auto; } .wide table { min-width: 34rem; } code { font-size: .85rem; }
@media (max-width: 40rem) { body { padding: 1.2rem .9rem 3rem; } .plots svg text { font-size: 13px; } }
@media print {
  :root { --ink: #1d2733; --soft: #4d5a67; --line: #c8d0d8; --paper: #ffffff; --panel: #ffffff; --a: #2f6f9f;
    --b: #b34a30; }
  body { max-width: none; padding: 0; font-size: 11pt; } .card { border: 1px solid var(--line); }
  h2 { break-after: avoid; } tr, figure { break-inside: avoid; } .wide { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
]]

local ENTITIES <const> = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}

--- Any text, such as the name of a file, as text of a page.
---@param text any
---@return string
function page.escape(text)
    return (as_utf8(tostring(text)):gsub("[&<>\"']", ENTITIES):gsub("[\0-\31\127]", "?"))
end

local LETTERS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
    local out = {}
    for i = 1, #bytes, 3 do
        local a, b, c = bytes:byte(i, i + 2)
        local word = a << 16 | (b or 0) << 8 | (c or 0)
        for k = 1, 4 do
            local place = (word >> (24 - 6 * k) & 63) + 1
            out[#out + 1] = (k == 3 and not b or k == 4 and not c) and "=" or LETTERS:sub(place, place)
        end
    end
    return table.concat(out)
end

--- A picture as a part of the page.
---@param image Tensor? uint8 [1,H,W] or [3,H,W]; nil for one that cannot be read
---@param alt string escaped: what stands for it where it is not seen
---@param title string escaped
---@return string
function page.image(image, alt, title)
    return ('<img alt="%s" title="%s" src="data:image/png;base64,%s">'):format(alt, title,
        image and base64(core.encode_png(image)) or "")
end

--- A number in large letters.
---@param number any
---@param words string what it counts
---@param bad boolean? whether it is bad where it is not 0
---@return string
function page.card(number, words, bad)
    return ('<div class="card%s"><b>%s</b>%s</div>'):format(bad and number ~= 0 and " bad" or "", page.escape(number),
        words)
end

--- A table with numbers in all columns but the first, or words in all.
---@param head any[]
---@param rows any[][]
---@param words boolean?
---@return string
function page.table(head, rows, words)
    local out = {"<table>"}
    local function add(kind, cells)
        out[#out + 1] = "<tr>"
        for i, cell in ipairs(cells) do
            local class = i > 1 and not words and ' class="n"' or ""
            out[#out + 1] = ("<%s%s>%s</%s>"):format(kind, class, page.escape(cell), kind)
        end
        out[#out + 1] = "</tr>"
    end
    if #head > 0 then add("th", head) end
    for _, row in ipairs(rows) do add("td", row) end
    out[#out + 1] = "</table>"
    return table.concat(out)
end

--- Begins a section.
---@param out string[]
---@param title string
---@param format string of the words below the title, with what follows
function page.section(out, title, format, ...)
    out[#out + 1] = ('<h2>%s</h2><p class="soft">%s</p>'):format(page.escape(title), page.escape(format:format(...)))
end

--- Writes a page.
---@param path string
---@param title string
---@param below string the line below the title
---@param parts string[] HTML
---@param style string? of these parts alone
---@return boolean? ok, string? message, string? code
function page.write(path, title, below, parts, style)
    return core.write_file(path, {table.concat({
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        ("<title>%s</title><style>%s%s</style></head><body>"):format(page.escape(title), STYLE, style or ""),
        ('<h1>%s</h1><p class="soft">%s</p>'):format(page.escape(title), page.escape(below)),
        table.concat(parts, "\n"), "</body></html>",
    }, "\n")})
end

return page
