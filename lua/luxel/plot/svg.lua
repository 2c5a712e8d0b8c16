--- Plots as SVG: the shapes of plot/chart.lua, written down.

local chart = require "luxel.plot.chart"
local colours = require "luxel.plot.colours"
local fixed = require "luxel.fixed"
local page = require "luxel.page"

local svg = {}

local function rules(kind)
    local out = {
        (".lx-plot text{fill:%s}.lx-plot .soft{fill:%s}.lx-plot .rule{stroke:%s}.lx-plot .axis{stroke:%s}"
            .. ".lx-plot .paper{fill:%s}"):format(colours.ink[kind], colours.soft[kind], colours.line[kind],
            colours.soft[kind], colours.paper[kind]),
    }
    for k, series in ipairs(colours.series) do
        out[#out + 1] = (".lx-plot .s%d{stroke:%s}.lx-plot .f%d{fill:%s}"):format(k, series[kind], k, series[kind])
    end
    return table.concat(out)
end

--- The colours, for a page with plots in it.
svg.STYLE = table.concat {
    ".lx-plot text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;stroke:none}",
    ".lx-plot .title{font-size:14px;font-weight:600}", rules("light"),
    "@media (prefers-color-scheme:dark){", rules("dark"), "}@media print{", rules("light"), "}",
}

local function px(value) return (fixed(value, 2):gsub("%.?0+$", "")) end

local function path_of(d)
    local out = {}
    for i, part in ipairs(d) do
        local after_number = i > 1 and type(d[i - 1]) == "number"
        out[i] = type(part) == "string" and part or (after_number and " " or "") .. px(part)
    end
    return table.concat(out)
end

local function opacity_of(shape)
    return shape.opacity and (' fill-opacity="%s"'):format(px(shape.opacity)) or ""
end

local write = {}

function write.path(shape)
    return ('<path class="%s"%s%s%s%s%s d="%s"/>'):format(shape.class, shape.filled and "" or ' fill="none"',
        shape.width and (' stroke-width="%s"'):format(px(shape.width)) or "",
        shape.round and ' stroke-linejoin="round"' or "",
        shape.dash and shape.dash ~= "" and (' stroke-dasharray="%s"'):format(shape.dash) or "",
        shape.at and (' transform="translate(%s %s)"'):format(px(shape.at[1]), px(shape.at[2])) or "",
        path_of(shape.d))
end

function write.rect(shape)
    return ('<rect class="%s"%s x="%s" y="%s" width="%s" height="%s"/>'):format(shape.class,
        shape.class == "area" and ' fill="none"' or opacity_of(shape), px(shape.x), px(shape.y), px(shape.w),
        px(shape.h))
end

function write.circle(shape)
    return ('<circle class="%s" cx="%s" cy="%s" r="%s"/>'):format(shape.class, px(shape.x), px(shape.y), px(shape.r))
end

function write.polygon(shape)
    local points = {}
    for i, point in ipairs(shape.points) do points[i] = px(point[1]) .. "," .. px(point[2]) end
    return ('<polygon class="%s"%s points="%s"/>'):format(shape.class, opacity_of(shape), table.concat(points, " "))
end

function write.text(shape)
    local class = shape.class and (' class="%s"'):format(shape.class) or ""
    local place = shape.turned and (' transform="translate(%s %s) rotate(-90)"') or ' x="%s" y="%s"'
    return ('<text%s text-anchor="%s"%s>%s</text>'):format(place:format(px(shape.x), px(shape.y)), shape.anchor, class,
        page.escape(shape.text))
end

function write.clip(shape)
    local x, y, w, h = px(shape.x), px(shape.y), px(shape.w), px(shape.h)
    return ('<svg x="%s" y="%s" width="%s" height="%s" viewBox="%s %s %s %s">'):format(x, y, w, h, x, y, w, h)
end

function write.unclip() return "</svg>" end

--- Draws a plot.
---@param given table[] layers
---@param options table? see `lx.plot.svg`
---@param caller string the public function, for errors
---@param inline boolean? for a page that has `svg.STYLE`
---@return string
function svg.draw(given, options, caller, inline)
    local of = chart.of(given, options or {}, caller)
    local out = {
        ('<svg%s class="lx-plot" viewBox="0 0 %d %d" width="%d" height="%d" role="img">'):format(
            inline and "" or ' xmlns="http://www.w3.org/2000/svg"', of.width, of.height, of.width, of.height),
        ("<title>%s</title><desc>%s</desc>"):format(page.escape(of.title), page.escape(of.description)),
    }
    if not inline then
        out[#out + 1] = ("<style>%s</style>"):format(svg.STYLE)
        out[#out + 1] = ('<rect class="paper" width="%d" height="%d"/>'):format(of.width, of.height)
    end
    for _, shape in ipairs(of.shapes) do out[#out + 1] = write[shape.kind](shape) end
    out[#out + 1] = "</svg>"
    return table.concat(out, "\n")
end

return svg
