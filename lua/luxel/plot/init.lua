--- Pictures of numbers: plots as SVG, which browsers show and papers take, and small ones for the terminal.
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
local svg = require "luxel.plot.svg"
local terminal = require "luxel.plot.terminal"

local plot = {}

--- A plot as SVG text. Layers are drawn over each other: `line` and `step` through points, `scatter` (with `low` and
--- `high` an interval at each point), `bar` (with `names` below; several stand beside each other), `histogram` of
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

--- Writes a plot to a file whose name ends in `.svg`.
---@param path string
---@param layers table[] as of `svg`
---@param options? table as of `svg`
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function plot.save(path, layers, options)
    if not path:lower():find("%.svg$") then
        args.fail("save: path: expected a name that ends in .svg, got %s", args.describe(path))
    end
    return core.write_file(path, {svg.draw(layers, options, "save"), "\n"})
end

local LAYERS <const> = "layers: table[], options: {title: string?, x: string?, y: string?, description: string?, "
    .. "width: integer(160..8192)?, height: integer(120..8192)?, x_range: number[]?, y_range: number[]?, "
    .. "log_x: boolean?, log_y: boolean?, legend: boolean?}?"

args.publish("", plot, {svg = LAYERS, save = "path: path, " .. LAYERS})
plot.spark, plot.preview = terminal.spark, terminal.preview

return namespace("lx.plot", plot)
