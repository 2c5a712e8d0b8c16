--- Pictures of numbers: plots as SVG, which browsers show and papers take, or as PNG for what takes pictures alone, and
--- small ones for the terminal.
--
--     lx.plot.save("loss.svg", {
--         {kind = "line", y = losses, name = "training"},
--         {kind = "line", y = validation, name = "validation"},
--     }, {title = "Loss", x = "epoch", y = "loss"})
--
-- Series differ in colour (which the colour-blind tell apart), dashes and markers; there are light and dark colours, of
-- which the viewer's setting chooses; a title and a description are there for screen readers. NaN and infinite values
-- are gaps.

local args = require "luxel.args"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
local raster = require "luxel.plot.raster"
local svg = require "luxel.plot.svg"
local terminal = require "luxel.plot.terminal"

local plot = {}

--- A plot as SVG text. Layers are drawn over each other: `line` and `step` through points, `scatter` (with `low` and
--- `high` an interval at each point), `bar` (several stand beside each other; both with `names` below), `histogram` of
--- `values` in equal bins over their range, `band` between `low` and `high`, or a `heatmap` of `cells` by itself, whose
--- `names` are of its rows and `x` of its columns. Numbers are lists or tensors; `x` is 1, 2, ... by default. Layers of
--- the same name have the same colour, as a line in its band.
---@param layers {kind: "line"|"step"|"scatter"|"bar"|"histogram"|"band"|"heatmap", x: luxel.Tensor|any[]|nil,
---  y: luxel.Tensor|number[]|nil, low: luxel.Tensor|number[]|nil, high: luxel.Tensor|number[]|nil,
---  values: luxel.Tensor|number[]|nil, cells: luxel.Tensor|number[][]|nil, bins: integer?, range: number[]?,
---  names: string[]?, name: string?, markers: boolean?}[] name: in the legend; bins: default 20
---@param options? {title: string?, x: string?, y: string?, description: string?, width: integer?, height: integer?,
---  x_range: number[]?, y_range: number[]?, log_x: boolean?, log_y: boolean?, legend: boolean?} x, y: what the axes
---  show, with units; description: for screen readers, default from the layers; width, height: pixels, default 480 and
---  320; ranges: the ends of the axes
---@return string svg
function plot.svg(layers, options) return svg.draw(layers, options, "svg") end

--- The same plot as a picture. Letters are those of `lx.vision.draw_text`, which knows ASCII; of other characters a few
--- have a stand-in, the others are a question mark.
---@param layers table[] as of `svg`
---@param options? table as of `svg`, and scale: integer?, pixels of the picture for one of `width` and `height`,
---  default 2; dark: boolean?, light on dark
---@return Tensor picture uint8 [3,H,W] of `scale` times the height and width
function plot.image(layers, options) return raster.draw(layers, options, "image") end

--- Writes a plot to a file: SVG where its name ends in `.svg`, a picture as of `image` where in `.png`.
---@param path string
---@param layers table[] as of `svg`
---@param options? table as of `svg`; for a PNG as of `image`
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function plot.save(path, layers, options)
    local ending = path:lower():match("%.(%a+)$")
    if ending == "png" then
        return core.write_png(path, raster.draw(layers, options, "save"))
    elseif ending ~= "svg" then
        args.fail("save: path: expected a name that ends in .svg or .png, got %s", args.describe(path))
    end
    for _, name in ipairs {"scale", "dark"} do
        if options and options[name] ~= nil then
            args.fail("save: options: option '%s': only a PNG takes it: an SVG has no pixels, and the colours that its "
                .. "viewer sets", name)
        end
    end
    return core.write_file(path, {svg.draw(layers, options, "save"), "\n"})
end

local LAYERS <const> = "layers: table[], options: {title: string?, x: string?, y: string?, description: string?, "
    .. "width: integer(160..8192)?, height: integer(120..8192)?, x_range: number[]?, y_range: number[]?, "
    .. "log_x: boolean?, log_y: boolean?, legend: boolean?"
local PIXELS <const> = LAYERS .. ", scale: integer(1..8)?, dark: boolean?}?"

args.publish("", plot, {svg = LAYERS .. "}?", image = PIXELS, save = "path: path, " .. PIXELS})
plot.spark, plot.preview = terminal.spark, terminal.preview

return namespace("lx.plot", plot)
