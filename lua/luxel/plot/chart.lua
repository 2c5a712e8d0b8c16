--- Plots as lists of shapes: layers of numbers over two axes. Who writes them down is plot/svg.lua, who paints them
--- plot/raster.lua.
--
-- A shape is a table. `class` names its colour: of a series, `s1` for lines and `f1` for areas; `rule`, `axis`, `soft`
-- and `title` for what is around them. `kind` is one of
--
--   path     `d`: a list of a letter and its numbers as in SVG, {"M", x, y, "h", 24}, of M, L, H, V, h, v and z; `at`:
--            what its pixels count from; an area with `filled`, else a line of `width` with `dash`, and round corners
--            with `round`
--   rect, circle, polygon   areas, with `opacity`
--   text     `x` and `y` of its base line, `anchor` start, middle or end; `turned`: from below upwards
--   clip     what follows is only seen inside, up to `unclip`

local args = require "luxel.args"
local samples = require "luxel.metrics.sample"
local scale = require "luxel.plot.scale"
local series = require "luxel.plot.colours".series

local chart = {}

-- What each kind needs, besides what it may have.
local NEEDS <const> = {
    line = {"y"}, step = {"y"}, scatter = {"y"}, bar = {"y"}, band = {"low", "high"}, histogram = {"values"},
    heatmap = {"cells"},
}

local FIELDS <const> = {"x", "y", "low", "high", "values", "cells", "bins", "range", "names", "markers"}

local ALLOWED <const> = {
    line = {x = true, y = true, markers = true}, step = {x = true, y = true, markers = true},
    scatter = {x = true, y = true, names = true, low = true, high = true}, band = {x = true, low = true, high = true},
    bar = {x = true, y = true, names = true, low = true, high = true},
    histogram = {values = true, bins = true, range = true}, heatmap = {cells = true, names = true, x = true},
}

-- ---- layers ---------------------------------------------------------------------------------------------

local function same_length(where, list, count, name)
    if #list ~= count then args.fail("%s: %s: expected %d numbers, got %d", where, name, count, #list) end
end

-- Places 1, 2, ... where there are none.
local function places(count)
    local out = {}
    for i = 1, count do out[i] = i end
    return out
end

local function bins_of(layer, where)
    local range, bins = layer.range, layer.bins or 20
    local low, high = math.huge, -math.huge
    local values = samples.numbers(layer.values, where .. ": values")
    for _, value in ipairs(values) do
        if scale.is_finite(value) then low, high = math.min(low, value), math.max(high, value) end
    end
    if low > high then low, high = 0, 1 end
    if low == high then low, high = low - 0.5, high + 0.5 end
    if range then
        low, high = range[1], range[2]
        if #range ~= 2 or not scale.is_finite(low) or not scale.is_finite(high) or low >= high then
            args.fail("%s: range: expected two numbers, the first below the second", where)
        end
    end
    local counts, edges = {}, {}
    for b = 1, bins do counts[b] = 0 end
    for b = 0, bins do edges[b + 1] = low + (high - low) * b / bins end
    for _, value in ipairs(values) do -- [low, high) each, and the last [low, high]
        if scale.is_finite(value) and value >= low and value <= high then
            local b = math.min(bins, math.floor((value - low) / (high - low) * bins) + 1)
            counts[b] = counts[b] + 1
        end
    end
    return edges, counts
end

local LAYER <const> = '{kind: "line"|"step"|"scatter"|"bar"|"histogram"|"band"|"heatmap", x: tensor|table?, '
    .. "y: tensor|table?, low: tensor|table?, high: tensor|table?, values: tensor|table?, cells: tensor|table?, "
    .. "bins: integer(1..10000)?, range: number[]?, names: string[]?, name: string?, markers: boolean?}"

-- Rows of cells, of equal length, and that.
local function cells_of(cells, where)
    if type(cells) == "userdata" then
        if cells.ndim ~= 2 then
            args.fail("%s: cells: expected rows and columns, got %s", where, args.describe(cells))
        end
        cells = cells:totable()
    end
    local rows, width = {}, 0
    for r, row in ipairs(cells) do
        if type(row) ~= "table" then
            args.fail("%s: cells: expected a list for each row, got %s", where, args.describe(row))
        end
        rows[r] = samples.numbers(row, ("%s: cells: row %d"):format(where, r))
        width = r == 1 and #row or width
        if #row ~= width then
            args.fail("%s: cells: expected %d in each row, as in the first, got %d in row %d", where, width, #row, r)
        end
    end
    return rows, width
end

-- A layer with lists of numbers, however it was given.
local function read_layer(given, i, caller)
    args.check(("%s: layers: layer %d"):format(caller, i), LAYER, given)
    local where = ("%s: layers: layer %d (%s)"):format(caller, i, given.kind)
    local layer = {kind = given.kind, name = given.name, markers = given.markers, names = given.names}
    for _, name in ipairs(FIELDS) do
        if given[name] ~= nil and not ALLOWED[given.kind][name] then
            args.fail("%s: it does not take '%s'", where, name)
        end
    end
    for _, name in ipairs(NEEDS[given.kind]) do
        if given[name] == nil then args.fail("%s: '%s' is needed", where, name) end
    end
    if given.kind == "histogram" then
        layer.edges, layer.counts = bins_of(given, where)
        return layer
    elseif given.kind == "heatmap" then
        layer.cells, layer.width = cells_of(given.cells, where)
        layer.columns = given.x
        if given.names then same_length(where, given.names, #layer.cells, "names (of the rows)") end
        if given.x then same_length(where, given.x, layer.width, "x (names of the columns)") end
        return layer
    end
    for _, name in ipairs {"y", "low", "high"} do
        if given[name] ~= nil then layer[name] = samples.numbers(given[name], where .. ": " .. name) end
    end
    local count = #(layer.y or layer.low)
    layer.x = given.x ~= nil and samples.numbers(given.x, where .. ": x") or places(count)
    same_length(where, layer.x, count, "x")
    if (layer.low == nil) ~= (layer.high == nil) then args.fail("%s: low and high belong together", where) end
    if layer.low then
        same_length(where, layer.low, count, "low")
        same_length(where, layer.high, count, "high")
    end
    if layer.names then same_length(where, layer.names, count, "names") end
    return layer
end

-- ---- pieces ----------------------------------------------------------------------------------------------------

local function put(out, shape) out[#out + 1] = shape end

local function text_at(out, x, y, text, anchor, class)
    put(out, {kind = "text", x = x, y = y, text = text, anchor = anchor or "middle", class = class})
end

local SHAPES <const> = {
    square = {"M", -3.2, -3.2, "h", 6.4, "v", 6.4, "h", -6.4, "z"},
    triangle = {"M", 0, -4.2, "L", 4, 3.2, "H", -4, "z"},
    diamond = {"M", 0, -4.6, "L", 4.6, 0, "L", 0, 4.6, "L", -4.6, 0, "z"},
    cross = {"M", -3.2, -3.2, "L", 3.2, 3.2, "M", -3.2, 3.2, "L", 3.2, -3.2},
    plus = {"M", -4, 0, "H", 4, "M", 0, -4, "V", 4},
}

local function marker(out, k, x, y)
    local shape = series[k].marker
    if shape == "circle" then
        put(out, {kind = "circle", class = "f" .. k, x = x, y = y, r = 3.4})
    elseif shape == "cross" or shape == "plus" then
        put(out, {kind = "path", class = "s" .. k, width = 1.8, at = {x, y}, d = SHAPES[shape]})
    else
        put(out, {kind = "path", class = "f" .. k, filled = true, at = {x, y}, d = SHAPES[shape]})
    end
end

-- ---- kinds ---------------------------------------------------------------------------------------------

local draw = {}

local NEAR <const> = 0.2 -- pixels that nobody sees

-- A run without the points that are where the last one is; the ends stay.
local function thinned(run)
    local out = {run[1]}
    for i = 2, #run do
        local last, point = out[#out], run[i]
        if i == #run or math.abs(point[1] - last[1]) > NEAR or math.abs(point[2] - last[2]) > NEAR then
            out[#out + 1] = point
        end
    end
    return out
end

-- Runs of points that can be drawn one after the other.
local function runs_of(layer, frame)
    local runs, run = {}, {}
    for i, x in ipairs(layer.x) do
        local at_x, at_y = frame.x.at(x), frame.y.at(layer.y[i])
        if at_x and at_y then
            run[#run + 1] = {at_x, at_y}
        elseif #run > 0 then
            runs[#runs + 1], run = run, {}
        end
    end
    if #run > 0 then runs[#runs + 1] = run end
    return runs
end

local function draw_lines(out, layer, k, frame)
    for _, run in ipairs(runs_of(layer, frame)) do
        local d = {}
        for i, point in ipairs(thinned(run)) do
            local x, y = point[1], point[2]
            local step = i == 1 and {"M", x, y} or layer.kind == "step" and {"H", x, "V", y} or {"L", x, y}
            table.move(step, 1, #step, #d + 1, d)
        end
        if #run > 1 then
            put(out, {kind = "path", class = "s" .. k, width = 2, round = true, dash = series[k].dash, d = d})
        end
        if layer.markers or #run == 1 then -- a point alone has no line
            for _, point in ipairs(run) do marker(out, k, point[1], point[2]) end
        end
    end
end

draw.line, draw.step = draw_lines, draw_lines

local function draw_interval(out, class, x, low, high)
    if low and high then
        put(out, {kind = "path", class = class, width = 1.4, d = {
            "M", x, low, "V", high, "M", x - 3, low, "h", 6, "M", x - 3, high, "h", 6,
        }})
    end
end

function draw.scatter(out, layer, k, frame)
    for i, x in ipairs(layer.x) do
        local at_x, at_y = frame.x.at(x), frame.y.at(layer.y[i])
        if at_x and at_y then
            if layer.low then
                draw_interval(out, "s" .. k, at_x, frame.y.at(layer.low[i]), frame.y.at(layer.high[i]))
            end
            marker(out, k, at_x, at_y)
        end
    end
end

function draw.band(out, layer, k, frame)
    local function fill(upper, lower)
        if #upper < 2 then return end
        for i = #lower, 1, -1 do upper[#upper + 1] = lower[i] end
        put(out, {kind = "polygon", class = "f" .. k, opacity = 0.2, points = upper})
    end
    local upper, lower = {}, {}
    for i, x in ipairs(layer.x) do
        local at_x, low, high = frame.x.at(x), frame.y.at(layer.low[i]), frame.y.at(layer.high[i])
        if at_x and low and high then
            upper[#upper + 1], lower[#lower + 1] = {at_x, high}, {at_x, low}
        else
            fill(upper, lower)
            upper, lower = {}, {}
        end
    end
    fill(upper, lower)
end

-- A bar from 0, or from the bottom of an axis without 0.
local function draw_bar(out, k, frame, left, right, value)
    local top = frame.y.at(value)
    if not top then return end
    local base = frame.y.at(0) or frame.bottom
    base = math.max(frame.top, math.min(frame.bottom, base))
    put(out, {
        kind = "rect", class = "f" .. k, opacity = frame.overlap and 0.5 or 0.85, x = left, y = math.min(top, base),
        w = math.max(0, right - left), h = math.abs(base - top),
    })
end

function draw.bar(out, layer, k, frame)
    local width = frame.bar_width / frame.bar_layers
    for i, x in ipairs(layer.x) do
        local left = x - frame.bar_width / 2 + (layer.place - 1) * width
        local from, to = frame.x.at(left), frame.x.at(left + width)
        if from and to then
            draw_bar(out, k, frame, from, to, layer.y[i])
            if layer.low then
                draw_interval(out, "axis", (from + to) / 2, frame.y.at(layer.low[i]), frame.y.at(layer.high[i]))
            end
        end
    end
end

function draw.histogram(out, layer, k, frame)
    local outline = {}
    for b, count in ipairs(layer.counts) do
        local from, to = frame.x.at(layer.edges[b]), frame.x.at(layer.edges[b + 1])
        if from and to then -- what is below 0 is not on an axis of logarithms
            draw_bar(out, k, frame, from, to, count)
            local y = frame.y.at(count) or frame.bottom
            local step = #outline == 0 and {"M", from, frame.bottom, "V", y, "H", to} or {"V", y, "H", to}
            table.move(step, 1, #step, #outline + 1, outline)
        end
    end
    if #outline == 0 then return end
    table.move({"V", frame.bottom}, 1, 2, #outline + 1, outline)
    put(out, {kind = "path", class = "s" .. k, width = 1.6, dash = series[k].dash, d = outline})
end

local MOST_WRITTEN <const> = 144 -- cells whose numbers are written into them

function draw.heatmap(out, layer, k, frame)
    local least, most = frame.least, frame.most
    local wide, high = (frame.right - frame.left) / layer.width, (frame.bottom - frame.top) / #layer.cells
    local written = #layer.cells * layer.width <= MOST_WRITTEN
    for r, row in ipairs(layer.cells) do
        for c, value in ipairs(row) do
            local x, y = frame.left + (c - 1) * wide, frame.top + (r - 1) * high
            if scale.is_finite(value) then
                -- by halves, whose differences are numbers whatever the values are
                local share = most > least and (value / 2 - least / 2) / (most / 2 - least / 2) or 0.5
                -- the ink stays readable on what is written upon
                put(out, {
                    kind = "rect", class = "f" .. k, opacity = share * (written and 0.4 or 1), x = x, y = y, w = wide,
                    h = high,
                })
            end
            if written then
                local shown = scale.is_finite(value) and (("%.4g"):format(value):gsub(",", ".")) or "–"
                text_at(out, x + wide / 2, y + high / 2 + 4, shown)
            end
        end
    end
end

-- ---- the whole ---------------------------------------------------------------------------------------------

-- Everything that has to be on an axis.
local function gather(layers)
    local xs, ys, from_zero = {}, {}, false
    local function all(list, into) table.move(list or {}, 1, #(list or {}), #into + 1, into) end
    for _, layer in ipairs(layers) do
        all(layer.edges or layer.x, xs)
        all(layer.counts or layer.y, ys)
        all(layer.low, ys)
        all(layer.high, ys)
        from_zero = from_zero or layer.kind == "bar" or layer.kind == "histogram"
    end
    return xs, ys, from_zero
end

-- About how wide a text is.
local function width_of(text)
    local _, capitals = text:gsub("%u", "")
    return 6.6 * (utf8.len(text) or #text) + 2.2 * capitals
end

-- Lines of a legend: {{k, name, x}, ...} each.
local function legend_of(layers, wide)
    local lines, x = {{}}, 0
    for _, layer in ipairs(layers) do
        if layer.name and not layer.silent then
            local length = 30 + width_of(layer.name) + 14
            if x > 0 and x + length > wide then lines[#lines + 1], x = {}, 0 end
            table.insert(lines[#lines], {layer = layer, x = x})
            x = x + length
        end
    end
    return #lines[1] > 0 and lines or {}
end

local function draw_legend(out, lines, left, top)
    for row, line in ipairs(lines) do
        local y = top + (row - 1) * 18
        for _, one in ipairs(line) do
            local layer, x = one.layer, left + one.x
            local k = layer.k
            if layer.kind == "line" or layer.kind == "step" then
                put(out, {
                    kind = "path", class = "s" .. k, width = 2, dash = series[k].dash, d = {"M", x, y, "h", 24},
                })
                if layer.markers then marker(out, k, x + 12, y) end
            elseif layer.kind == "scatter" then
                marker(out, k, x + 12, y)
            else
                put(out, {
                    kind = "rect", class = "f" .. k, opacity = layer.kind == "band" and 0.2 or 0.6, x = x, y = y - 5,
                    w = 24, h = 10,
                })
            end
            text_at(out, x + 30, y + 4, layer.name, "start")
        end
    end
end

local function plain(value) return (("%.4g"):format(value):gsub(",", ".")) end

-- In words, for those who do not see the plot.
local function describe(layers, options)
    local out = {}
    for i, layer in ipairs(layers) do
        local values = layer.y or layer.counts
        local low, high, count = math.huge, -math.huge, 0
        for _, list in ipairs {values or layer.low or {}, layer.high or {}} do
            for _, value in ipairs(list) do
                if scale.is_finite(value) then
                    low, high, count = math.min(low, value), math.max(high, value), count + 1
                end
            end
        end
        local name = layer.name or "series " .. i
        if layer.kind == "heatmap" then
            out[i] = ("%s: %d rows of %d cells"):format(name, #layer.cells, layer.width)
        elseif count == 0 then
            out[i] = name .. ": nothing to show"
        else
            out[i] = ("%s (%s): %d values from %s to %s"):format(name, layer.kind, layer.kind == "band" and count // 2
                or count, plain(low), plain(high))
        end
    end
    local axes = options.x and options.y and ("%s against %s. "):format(options.y, options.x) or ""
    return axes .. (#out > 0 and table.concat(out, "; ") or "Nothing to show") .. "."
end

local function check_limits(caller, name, limits, log)
    if not limits then return end
    if #limits ~= 2 or not scale.is_finite(limits[1]) or not scale.is_finite(limits[2]) or limits[1] >= limits[2] then
        args.fail("%s: options: option '%s': expected two numbers, the first below the second", caller, name)
    elseif log and limits[1] <= 0 then
        args.fail("%s: options: option '%s': an axis of logarithms begins above 0", caller, name)
    end
end

local function name_axes(out, frame, options)
    if options.x then text_at(out, (frame.left + frame.right) / 2, frame.bottom + 36, options.x) end
    if options.y then
        put(out, {
            kind = "text", x = 13, y = (frame.top + frame.bottom) / 2, text = options.y, anchor = "middle",
            turned = true,
        })
    end
end

local function draw_axes(out, frame, options, layers)
    local named = nil
    for _, layer in ipairs(layers) do
        if layer.names then named = layer end
    end
    for _, tick in ipairs(frame.y.ticks) do
        local y = frame.y.at(tick.value)
        put(out, {kind = "path", class = "rule", d = {"M", frame.left, y, "H", frame.right}})
        text_at(out, frame.left - 7, y + 4, tick.text, "end", "soft")
    end
    if named then
        for i, x in ipairs(named.x) do
            if frame.x.at(x) then text_at(out, frame.x.at(x), frame.bottom + 17, named.names[i], "middle", "soft") end
        end
    else
        for _, tick in ipairs(frame.x.ticks) do
            local x = frame.x.at(tick.value)
            put(out, {kind = "path", class = "axis", d = {"M", x, frame.bottom, "v", 4}})
            text_at(out, x, frame.bottom + 17, tick.text, "middle", "soft")
        end
    end
    put(out, {kind = "path", class = "axis", d = {"M", frame.left, frame.top, "V", frame.bottom, "H", frame.right}})
    name_axes(out, frame, options)
end

local function draw_heatmap_axes(out, layer, frame, options)
    local wide, high = (frame.right - frame.left) / math.max(1, layer.width), (frame.bottom - frame.top)
        / math.max(1, #layer.cells)
    for r = 1, layer.names and #layer.cells or 0 do
        text_at(out, frame.left - 7, frame.top + (r - 0.5) * high + 4, layer.names[r], "end", "soft")
    end
    for c = 1, layer.columns and layer.width or 0 do
        text_at(out, frame.left + (c - 0.5) * wide, frame.bottom + 17, layer.columns[c], "middle", "soft")
    end
    name_axes(out, frame, options)
    if #layer.cells * layer.width > MOST_WRITTEN then -- the scale of the shades
        local x = frame.right - 150
        for step = 0, 4 do
            put(out, {
                kind = "rect", class = "f" .. layer.k, opacity = step / 4, x = x + 46 + step * 12, y = frame.top - 18,
                w = 12, h = 10,
            })
        end
        text_at(out, x + 42, frame.top - 9, plain(frame.least), "end", "soft")
        text_at(out, x + 110, frame.top - 9, plain(frame.most), "start", "soft")
    end
end

-- The smallest distance of two places of bars.
local function spacing_of(layers)
    local xs, least = {}, math.huge
    for _, layer in ipairs(layers) do
        if layer.kind == "bar" then table.move(layer.x, 1, #layer.x, #xs + 1, xs) end
    end
    table.sort(xs, function(a, b) return a < b end)
    for i = 2, #xs do
        if xs[i] > xs[i - 1] then least = math.min(least, xs[i] - xs[i - 1]) end
    end
    return least < math.huge and least or 1
end

local function prepare(given, options, caller)
    local layers, bars, heat, histograms, k = {}, 0, nil, 0, 0
    for i, one in ipairs(given) do
        local layer = read_layer(one, i, caller)
        layers[i] = layer
        if layer.kind == "bar" then
            bars = bars + 1
            layer.place = bars
        elseif layer.kind == "heatmap" then
            heat = layer
        elseif layer.kind == "histogram" then
            histograms = histograms + 1
        end
        -- a series of the name of an earlier one has its colour: a line in its band
        local same
        for j = 1, i - 1 do
            if layer.name and layers[j].name == layer.name then same = layers[j] end
        end
        if same then
            layer.k = same.k
            if same.kind == "band" then same.silent = true else layer.silent = true end
        else
            layer.k, k = k % #series + 1, k + 1
        end
    end
    if heat and #layers > 1 then args.fail("%s: layers: a heatmap is a plot of its own", caller) end
    check_limits(caller, "x_range", options.x_range, options.log_x)
    check_limits(caller, "y_range", options.y_range, options.log_y)
    return layers, {bar_layers = math.max(1, bars), overlap = histograms > 1, log_y = options.log_y}, heat
end

-- The ends of all that is drawn, and the axes.
local function lay_out(frame, layers, options, heat)
    if heat then
        frame.least, frame.most = math.huge, -math.huge
        for _, row in ipairs(heat.cells) do
            for _, value in ipairs(row) do
                if scale.is_finite(value) then
                    frame.least, frame.most = math.min(frame.least, value), math.max(frame.most, value)
                end
            end
        end
        if frame.least > frame.most then frame.least, frame.most = 0, 0 end
        if frame.least > 0 then frame.least = 0 end -- shades stand for amounts
        return
    end
    local xs, ys, zero = gather(layers)
    frame.bar_width = 0.8 * spacing_of(layers)
    for _, layer in ipairs(layers) do
        for _, x in ipairs(layer.kind == "bar" and layer.x or {}) do
            xs[#xs + 1] = x - frame.bar_width * 0.6
            xs[#xs + 1] = x + frame.bar_width * 0.6
        end
    end
    frame.y = scale.axis(ys, options.y_range, frame.bottom, frame.top, {
        log = options.log_y, count = math.max(2, (frame.bottom - frame.top) // 40), zero = zero,
    })
    for _, tick in ipairs(frame.y.ticks) do -- room for their texts beside the name of the axis
        frame.left = math.max(frame.left, math.min(frame.right / 2, width_of(tick.text) + 30))
    end
    frame.x = scale.axis(xs, options.x_range, frame.left, frame.right, {
        log = options.log_x, count = math.max(2, (frame.right - frame.left) // 70),
    })
end

--- The shapes of a plot.
---@param given table[] layers
---@param options table see `lx.plot.svg`
---@param caller string the public function, for errors
---@return {shapes: table[], width: integer, height: integer, title: string, description: string}
function chart.of(given, options, caller)
    local width, height = options.width or 480, options.height or 320
    local layers, frame, heat = prepare(given, options, caller)
    local margin = 58
    for _, name in ipairs(heat and heat.names or {}) do margin = math.max(margin, width_of(name) + 28) end
    margin = math.min(margin, width / 2)
    local legend = options.legend ~= false and not heat and legend_of(layers, width - margin - 8) or {}
    frame.left, frame.right = margin, width - 16
    frame.top, frame.bottom = (options.title and 34 or 14) + 18 * #legend + (heat and 10 or 0), height - 46
    lay_out(frame, layers, options, heat)

    local out = {}
    if options.title then text_at(out, frame.left, 20, options.title, "start", "title") end
    draw_legend(out, legend, frame.left, options.title and 38 or 18)
    put(out, {kind = "rect", class = "area", x = frame.left, y = frame.top, w = frame.right - frame.left,
        h = frame.bottom - frame.top})
    if heat then
        draw.heatmap(out, heat, heat.k, frame)
        draw_heatmap_axes(out, heat, frame, options)
    else
        draw_axes(out, frame, options, layers)
        -- values outside the ranges end at the frame
        put(out, {kind = "clip", x = frame.left - 5, y = frame.top - 5, w = frame.right - frame.left + 10,
            h = frame.bottom - frame.top + 10})
        for _, layer in ipairs(layers) do
            if layer.kind == "band" then draw.band(out, layer, layer.k, frame) end
        end
        for _, layer in ipairs(layers) do
            if layer.kind ~= "band" then draw[layer.kind](out, layer, layer.k, frame) end
        end
        put(out, {kind = "unclip"})
    end
    local drawn = 0
    for _, layer in ipairs(layers) do drawn = drawn + (heat and #layer.cells or #(layer.x or layer.counts)) end
    if drawn == 0 then
        text_at(out, (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, "no values", "middle", "soft")
    end
    return {
        shapes = out, width = width, height = height, title = options.title or "Plot",
        description = options.description or describe(layers, options),
    }
end

return chart
