-- Plots: SVG that parses, numbers at their pixels, whatever the data are; and what the terminal shows.

local lx = require "luxel"
local contrast = require "spec.support.contrast"
local shell = require "spec.support.shell"
local colours = require "luxel.plot.colours"

local plot = lx.plot
local nan, inf = 0 / 0, 1 / 0

-- A reader of XML that knows as much of it as SVG has here: elements with their attributes, in order. Raises where it
-- is not well-formed.
local function parse(text)
    local elements, open, place = {}, {}, 1
    while place <= #text do
        local before, tag, after = text:match("^([^<]*)<([^>]+)>()", place)
        if not tag then
            assert(not text:find("[<>]", place), "a bracket is left")
            break
        end
        assert(not before:find("[<>]"), "a bracket in text")
        for entity in before:gmatch("&[^;]*;?") do assert(entity:find("^&#?%w+;$"), entity) end
        local closing, name, rest, empty = tag:match("^(/?)([%w]+)(.-)(/?)$")
        assert(name, tag)
        if closing == "/" then
            local last = table.remove(open)
            assert(last and last.name == name, "</" .. name .. ">")
            last.text = before
        else
            local element, left = {name = name}, rest:gsub('%s+([%w:-]+)="([^"<]*)"', "")
            assert(not left:find("%S"), left)
            for key, value in rest:gmatch('([%w:-]+)="([^"]*)"') do
                assert(element[key] == nil, "twice: " .. key)
                element[key] = value
            end
            elements[#elements + 1] = element
            if empty ~= "/" then open[#open + 1] = element end
        end
        place = after
    end
    assert(#open == 0, "not closed")
    return elements
end

local function all(elements, name, class)
    local out = {}
    for _, element in ipairs(elements) do
        if element.name == name and (not class or element.class == class) then out[#out + 1] = element end
    end
    return out
end

-- Where the axes put a number: from the frame and the ends of the axes.
local function places(elements, x_range, y_range)
    local area = all(elements, "rect", "area")[1]
    local left, top, width, height = tonumber(area.x), tonumber(area.y), tonumber(area.width), tonumber(area.height)
    return function(x) return left + (x - x_range[1]) / (x_range[2] - x_range[1]) * width end,
        function(y) return top + height - (y - y_range[1]) / (y_range[2] - y_range[1]) * height end
end

describe("a plot", function()
    it("has points at their pixels", function()
        local elements = parse(plot.svg({{kind = "scatter", x = {0, 2.5, 10}, y = {1, 0.25, 0}}},
            {x_range = {0, 10}, y_range = {0, 1}}))
        local at_x, at_y = places(elements, {0, 10}, {0, 1})
        local circles = all(elements, "circle")
        assert.equal(3, #circles)
        for i, point in ipairs {{0, 1}, {2.5, 0.25}, {10, 0}} do
            assert.near(at_x(point[1]), tonumber(circles[i].cx), 0.006)
            assert.near(at_y(point[2]), tonumber(circles[i].cy), 0.006)
        end
    end)

    it("has points at their pixels where axes begin elsewhere, and where their ends are found", function()
        local layers = {{kind = "scatter", x = {-2, 0, 6}, y = {11, 20, 10}}}
        local elements = parse(plot.svg(layers, {x_range = {-2, 6}, y_range = {10, 20}}))
        local at_x, at_y = places(elements, {-2, 6}, {10, 20})
        for i, circle in ipairs(all(elements, "circle")) do
            assert.near(at_x(layers[1].x[i]), tonumber(circle.cx), 0.006)
            assert.near(at_y(layers[1].y[i]), tonumber(circle.cy), 0.006)
        end
        assert.equal(plot.svg(layers, {x_range = {-2, 6}, y_range = {10, 20}}), plot.svg(layers)) -- round already
    end)

    it("has the points of a logarithmic axis at their pixels", function()
        local elements = parse(plot.svg({{kind = "scatter", x = {1, 10, 100, 1000}, y = {0, 0, 1, 1}}},
            {x_range = {1, 1000}, y_range = {0, 1}, log_x = true}))
        local at_x = places(elements, {0, 3}, {0, 1})
        for i, circle in ipairs(all(elements, "circle")) do assert.near(at_x(i - 1), tonumber(circle.cx), 0.006) end
        -- what has no logarithm is left out
        elements = parse(plot.svg({{kind = "scatter", x = {0, -1, 10}, y = {1, 1, 1}}}, {log_x = true}))
        assert.equal(1, #all(elements, "circle"))
    end)

    it("draws lines, steps, bands and bars where they are", function()
        local ranges = {x_range = {0, 4}, y_range = {0, 8}, legend = false}
        local elements = parse(plot.svg({{kind = "line", x = {0, 1, 4}, y = {0, 8, 4}}}, ranges))
        local at_x, at_y = places(elements, {0, 4}, {0, 8})
        local numbers = {}
        for number in all(elements, "path", "s1")[1].d:gmatch("[%d.]+") do numbers[#numbers + 1] = tonumber(number) end
        for i, expected in ipairs {at_x(0), at_y(0), at_x(1), at_y(8), at_x(4), at_y(4)} do
            assert.near(expected, numbers[i], 0.006)
        end
        elements, numbers = parse(plot.svg({{kind = "step", x = {0, 1, 4}, y = {0, 8, 4}}}, ranges)), {}
        for number in all(elements, "path", "s1")[1].d:gmatch("[%d.]+") do numbers[#numbers + 1] = tonumber(number) end
        for i, expected in ipairs {at_x(0), at_y(0), at_x(1), at_y(8), at_x(4), at_y(4)} do
            assert.near(expected, numbers[i], 0.006)
        end
        elements, numbers = parse(plot.svg({{kind = "band", x = {1, 3}, low = {1, 2}, high = {5, 6}}}, ranges)), {}
        for number in all(elements, "polygon")[1].points:gmatch("[%d.]+") do
            numbers[#numbers + 1] = tonumber(number)
        end
        for i, expected in ipairs {at_x(1), at_y(5), at_x(3), at_y(6), at_x(3), at_y(2), at_x(1), at_y(1)} do
            assert.near(expected, numbers[i], 0.006)
        end
        elements = parse(plot.svg({{kind = "bar", x = {1, 2, 3}, y = {2, 8, 0}}}, ranges))
        local bars = all(elements, "rect", "f1")
        assert.near(at_x(0.6), tonumber(bars[1].x), 0.006)
        assert.near(at_y(2), tonumber(bars[1].y), 0.006)
        assert.near(at_y(0) - at_y(8), tonumber(bars[2].height), 0.006)
        assert.equal("0", bars[3].height)
    end)

    it("counts a histogram as a naive loop does, and the last bin has its end", function()
        local values = {0, 0.1, 0.2, 0.5, 0.99, 1, 1, nan, inf, 2}
        local elements = parse(plot.svg({{kind = "histogram", values = values, bins = 4, range = {0, 1}}},
            {x_range = {0, 1}, y_range = {0, 4}}))
        local _, at_y = places(elements, {0, 1}, {0, 4})
        local bars = all(elements, "rect", "f1")
        assert.equal(4, #bars)
        for b, count in ipairs {3, 0, 1, 3} do
            assert.near(at_y(0) - at_y(count), tonumber(bars[b].height), 0.011)
        end
    end)

    it("has a legend only of named layers, one entry for a line in its band", function()
        local text = plot.svg({
            {kind = "band", low = {0, 1}, high = {1, 2}, name = "model"},
            {kind = "line", y = {0.5, 1.5}, name = "model"}, {kind = "line", y = {1, 1}},
        })
        local _, count = text:gsub(">model</text>", "")
        assert.equal(1, count)
        local elements = parse(text)
        assert.equal("f1", all(elements, "polygon")[1].class)
        assert.is_true(#all(elements, "path", "s1") >= 1) -- the line has the colour of the band
        assert.is_nil(plot.svg({{kind = "line", y = {1}, name = "model"}}, {legend = false}):find(">model<", 1, true))
    end)

    it("has the names of points below them, as of bars", function()
        for _, kind in ipairs {"scatter", "bar"} do
            local elements = parse(plot.svg({{kind = kind, x = {1, 2}, y = {3, 4}, names = {"first", "second"}}},
                {x_range = {0.5, 2.5}, y_range = {0, 5}}))
            local at_x, found = places(elements, {0.5, 2.5}, {0, 5}), {}
            for _, text in ipairs(all(elements, "text")) do found[text.text] = tonumber(text.x) end
            assert.near(at_x(1), found.first, 0.006)
            assert.near(at_x(2), found.second, 0.006)
            assert.is_nil(found["1.5"])
        end
        assert.error_matches(function() plot.svg {{kind = "scatter", y = {1, 2}, names = {"a"}}} end,
            "names: expected 2")
    end)

    it("differs in dashes and markers, and repeats after six", function()
        local layers = {}
        for k = 1, 7 do layers[k] = {kind = "line", y = {k, k + 1}} end
        local seen, elements = {}, parse(plot.svg(layers))
        for k = 1, 6 do
            local dash = all(elements, "path", "s" .. k)[1]["stroke-dasharray"] or "none"
            assert.is_nil(seen[dash])
            seen[dash] = true
        end
        assert.equal(2, #all(elements, "path", "s1"))
    end)

    it("takes nothing, one point, the same everywhere, NaN and the infinite", function()
        for _, layers in ipairs {
            {}, {{kind = "line", y = {}}}, {{kind = "line", y = {3}}}, {{kind = "line", y = {3, 3, 3}}},
            {{kind = "line", y = {nan, nan}}}, {{kind = "scatter", y = {inf, -inf, 1}}},
            {{kind = "histogram", values = {}}}, {{kind = "histogram", values = {2, 2}}}, {{kind = "bar", y = {}}},
            {{kind = "bar", y = {nan, -2, 0}}}, {{kind = "band", low = {nan, 1}, high = {1, nan}}},
            {{kind = "heatmap", cells = {{nan, 1}, {2, inf}}}}, {{kind = "heatmap", cells = {}}},
            {{kind = "line", y = {1e300, -1e300, 1e308}}}, {{kind = "line", y = {1e-300, 2e-300}}},
            {{kind = "line", y = {1e9, 1e9 + 1}}}, {{kind = "line", y = {1e308}}}, {{kind = "line", y = {5e-324}}},
            {{kind = "heatmap", cells = {{1.7e308, -1.7e308}, {0, 1}}}},
        } do
            for _, options in ipairs {{}, {log_y = true}, {log_x = true}, {width = 160, height = 120}} do
                local text = plot.svg(layers, options)
                parse(text)
                local numbers = text:gsub("<title>.-</desc>", ""):gsub("<style>.-</style>", ""):gsub(">[^<]*<", "><")
                assert.is_nil(numbers:find("nan", 1, true))
                assert.is_nil(numbers:find("inf", 1, true))
            end
        end
        -- a gap: two lines of two points each
        local elements = parse(plot.svg({{kind = "line", y = {1, 2, nan, 3, 4}}}))
        assert.equal(2, #all(elements, "path", "s1"))
        assert.equal(1, #all(parse(plot.svg({{kind = "line", y = {3}}})), "circle")) -- a point alone is seen
    end)

    it("leaves out points that nobody could tell apart", function()
        local many, x = {}, {}
        for i = 1, 50000 do x[i], many[i] = i, (i / 50000) ^ 2 end
        local text = plot.svg({{kind = "line", x = x, y = many}}, {x_range = {1, 50000}, y_range = {0, 1}})
        assert.is_true(#text < 60000)
        local elements = parse(text)
        local at_x, at_y = places(elements, {1, 50000}, {0, 1})
        local d = all(elements, "path", "s1")[1].d
        local last_x, last_y = d:match("L([%d.]+) ([%d.]+)$")
        assert.near(at_x(50000), tonumber(last_x), 0.006)
        assert.near(at_y(1), tonumber(last_y), 0.006)
        for drawn_x, drawn_y in d:gmatch("[ML]([%d.]+) ([%d.]+)") do
            local share = (tonumber(drawn_x) - at_x(1)) / (at_x(50000) - at_x(1))
            assert.near(at_y(share ^ 2), tonumber(drawn_y), 0.05)
        end
    end)

    it("takes tensors", function()
        local list = plot.svg({{kind = "line", y = {1, 4, 9}}})
        assert.equal(list, plot.svg({{kind = "line", y = lx.tensor {1, 4, 9}}}))
        parse(plot.svg({{kind = "heatmap", cells = lx.rand(20, 30)}}))
        parse(plot.svg({{kind = "histogram", values = lx.rand(50)}}))
    end)

    it("is not broken by names", function()
        local bad = "<script>alert(1)</script>&\"'\0"
        local text = plot.svg({
            {kind = "bar", y = {1, 2}, names = {bad, bad}, name = bad},
        }, {title = bad, x = bad, y = bad, description = bad})
        parse(text)
        assert.is_nil(text:find("<script", 1, true))
        assert.is_nil(plot.svg({{kind = "heatmap", cells = {{1}}, names = {bad}, x = {bad}}}, {title = bad})
            :find("<script", 1, true))
    end)

    it("says what it shows to those who do not see it", function()
        local elements = parse(plot.svg({{kind = "line", y = {1, 4}, name = "loss"}}, {
            title = "T", x = "epoch", y = "v",
        }))
        assert.equal("img", elements[1].role)
        assert.equal("T", all(elements, "title")[1].text)
        assert.equal("v against epoch. loss (line): 2 values from 1 to 4.", all(elements, "desc")[1].text)
    end)

    it("has round ticks", function()
        local scale = require "luxel.plot.scale"
        local function texts(low, high, options)
            local out = {}
            local axis = scale.axis({}, {low, high}, 0, 100, options or {count = 5})
            for i, tick in ipairs(axis.ticks) do out[i] = tick.text end
            return table.concat(out, " ")
        end
        assert.equal("0 0.2 0.4 0.6 0.8 1.0", texts(0, 1))
        assert.equal("-5 0 5 10", texts(-7, 13))
        assert.equal("100 150 200 250 300", texts(100, 300))
        assert.equal("0.001 0.01 0.1 1", texts(0.001, 1, {log = true, count = 5}))
        -- whole numbers have no ticks between them, unless the ends are given
        local function found(values, count)
            local out = {}
            for i, tick in ipairs(scale.axis(values, nil, 0, 100, {count = count}).ticks) do out[i] = tick.text end
            return table.concat(out, " ")
        end
        assert.equal("1 2", found({1, 2}, 6))
        assert.equal("0 1 2", found({1}, 6))
        assert.equal("0 2 4 6 8", found({1, nan, 7}, 4))
        assert.equal("1.0 1.2 1.4 1.6 1.8 2.0", found({1, 2, 1.5}, 6))
        assert.equal("2e6 4e6", texts(1e6, 5e6, {count = 3}):gsub("^1e6 ", ""))
    end)

    it("can be read: text 4.5 to 1, series 3 to 1, on light and on dark", function()
        for _, kind in ipairs {"light", "dark"} do
            for _, text in ipairs {colours.ink, colours.soft} do
                assert.is_true(contrast(text[kind], colours.paper[kind]) >= 4.5)
            end
            for _, series in ipairs(colours.series) do
                assert.is_true(contrast(series[kind], colours.paper[kind]) >= 3, series[kind] .. " on " .. kind)
            end
        end
        -- the ink on the darkest cell that has a number: some of the first series over the paper
        local share = 0
        for _, cell in ipairs(all(parse(plot.svg({{kind = "heatmap", cells = {{1, 5}}}})), "rect", "f1")) do
            share = math.max(share, tonumber(cell["fill-opacity"]))
        end
        assert.is_true(share > 0.3)
        for _, kind in ipairs {"light", "dark"} do
            local mixed = "#"
            for k = 1, 3 do
                local function level(colour) return tonumber(colour:sub(2 * k, 2 * k + 1), 16) end
                mixed = mixed .. ("%02x"):format(math.floor(share * level(colours.series[1][kind])
                    + (1 - share) * level(colours.paper[kind])))
            end
            assert.is_true(contrast(colours.ink[kind], mixed) >= 4.5)
        end
    end)

    it("has colours that differ for those who see fewer", function()
        -- the severest of each kind: Machado, Oliveira and Fernandes, IEEE TVCG 15:1291, 2009
        local EYES <const> = {
            {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
            {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
            {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
            {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
        }
        local function lab(colour, eye)
            local level, seen = {}, {}
            for k = 1, 3 do
                local value = tonumber(colour:sub(2 * k, 2 * k + 1), 16) / 255
                level[k] = value <= 0.04045 and value / 12.92 or ((value + 0.055) / 1.055) ^ 2.4
            end
            for k, row in ipairs(eye) do
                seen[k] = math.max(0, math.min(1, row[1] * level[1] + row[2] * level[2] + row[3] * level[3]))
            end
            local function bend(t) return t > 0.008856 and t ^ (1 / 3) or 7.787 * t + 16 / 116 end
            local x = bend((0.4124 * seen[1] + 0.3576 * seen[2] + 0.1805 * seen[3]) / 0.9505)
            local y = bend(0.2126 * seen[1] + 0.7152 * seen[2] + 0.0722 * seen[3])
            local z = bend((0.0193 * seen[1] + 0.1192 * seen[2] + 0.9505 * seen[3]) / 1.089)
            return {116 * y - 16, 500 * (x - y), 200 * (y - z)}
        end
        for _, kind in ipairs {"light", "dark"} do
            for _, eye in ipairs(EYES) do
                for i, a in ipairs(colours.series) do
                    for k = i + 1, #colours.series do
                        local p, q = lab(a[kind], eye), lab(colours.series[k][kind], eye)
                        local apart = math.sqrt((p[1] - q[1]) ^ 2 + (p[2] - q[2]) ^ 2 + (p[3] - q[3]) ^ 2)
                        assert.is_true(apart >= 25, ("%s %d %d: %.1f"):format(kind, i, k, apart))
                    end
                end
            end
        end
    end)

    it("is written to a file, and says why not", function()
        local folder = shell.folder()
        local path = folder .. "/loss.svg"
        assert(plot.save(path, {{kind = "line", y = {1, 2}}}))
        parse(shell.read(path))
        shell.remove(folder)
        local ok, message, code = plot.save("/nowhere/a.svg", {})
        assert.is_nil(ok)
        assert.matches("/nowhere", message)
        assert.equal("io", code)
        assert.error_matches(function() plot.save("a.gif", {}) end, "path: expected a name that ends in .svg or .png")
        assert.error_matches(function() plot.save("a.svg", {}, {scale = 2}) end, "option 'scale': only a PNG takes it")
        assert.error_matches(function() plot.save("a.svg", {}, {dark = false}) end, "option 'dark': only a PNG")
    end)

    it("refuses what it cannot draw", function()
        for expected, call in pairs {
            ["layer 1 %(line%): 'y' is needed"] = function() plot.svg({{kind = "line"}}) end,
            ["layer 1 %(line%): it does not take 'bins'"] = function()
                plot.svg({{kind = "line", y = {1}, bins = 3}})
            end,
            ["x: expected 2 numbers, got 1"] = function() plot.svg({{kind = "line", y = {1, 2}, x = {1}}}) end,
            ["low: expected 1 numbers, got 2"] = function()
                plot.svg({{kind = "scatter", y = {1}, low = {1, 2}, high = {1, 2}}})
            end,
            ["low and high belong together"] = function() plot.svg({{kind = "scatter", y = {1}, low = {1}}}) end,
            ["unknown option 'colour'"] = function() plot.svg({{kind = "line", y = {1}, colour = 1}}) end,
            ["a heatmap is a plot of its own"] = function()
                plot.svg({{kind = "heatmap", cells = {{1}}}, {kind = "line", y = {1}}})
            end,
            ["option 'x_range': expected two numbers"] = function() plot.svg({}, {x_range = {1, 1}}) end,
            ["begins above 0"] = function() plot.svg({}, {y_range = {0, 1}, log_y = true}) end,
            ["range: expected two numbers"] = function()
                plot.svg({{kind = "histogram", values = {1}, range = {2, 1}}})
            end,
            ["cells: expected 1 in each row, as in the first, got 2 in row 2"] = function()
                plot.svg({{kind = "heatmap", cells = {{1}, {2, 3}}}})
            end,
            ["expected numbers, got \"a\" at place 2"] = function() plot.svg({{kind = "line", y = {1, "a"}}}) end,
        } do
            assert.error_matches(call, expected)
        end
    end)
end)

-- ---- pictures ---------------------------------------------------------------------------------------------------

describe("the picture of a plot", function()
    -- Levels {r, g, b} of a pixel, column and row from 0.
    local function pixel(image, x, y)
        local out = {}
        for c = 1, 3 do out[c] = image:select(1, c):select(1, y + 1):select(1, x + 1):item() end
        return out
    end

    local function levels(text)
        local out = {}
        for c = 1, 3 do out[c] = tonumber(text:sub(2 * c, 2 * c + 1), 16) end
        return out
    end

    -- A colour over another one.
    local function over(above, below, share)
        local a, b, out = levels(above), levels(below), {}
        for c = 1, 3 do out[c] = b[c] + (a[c] - b[c]) * share end
        return out
    end

    local function near(expected, found, where, most)
        for c = 1, 3 do
            assert.near(expected[c], found[c], most or 1.01, ("%s: {%s} instead of {%s}"):format(where,
                table.concat(found, " "), table.concat(expected, " ")))
        end
    end

    -- The frame of the axes, as the SVG says it.
    local function area_of(layers, options)
        local area = all(parse(plot.svg(layers, options)), "rect", "area")[1]
        return tonumber(area.x), tonumber(area.y), tonumber(area.width), tonumber(area.height)
    end

    it("has bars, bands and lines in the colours and at the pixels of the SVG", function()
        local options = {x_range = {0, 4}, y_range = {0, 8}, legend = false, width = 300, height = 200}
        for _, kind in ipairs {"light", "dark"} do
            for _, scale in ipairs {1, 2, 3} do
                local where = kind .. " " .. scale
                local function image(layers)
                    local own = {scale = scale, dark = kind == "dark"}
                    for key, value in pairs(options) do own[key] = value end
                    return plot.image(layers, own)
                end
                local paper, series = colours.paper[kind], colours.series
                local left, top, wide, high = area_of({{kind = "line", y = {1}}}, options)
                local function at(x, y) -- the pixel in the middle of a place of the axes
                    return math.floor((left + x / 4 * wide) * scale), math.floor((top + (8 - y) / 8 * high) * scale)
                end
                local bars = image {
                    {kind = "bar", x = {1, 2, 3}, y = {3, 7, 0}}, {kind = "bar", x = {1, 2, 3}, y = {1, 1, 5}},
                }
                assert.same({3, 200 * scale, 300 * scale}, bars.shape)
                local x, y = at(0.8, 2.5) -- between the lines of the axis
                near(over(series[1][kind], paper, 0.85), pixel(bars, x, y), where .. " bar")
                x, y = at(2.8, 4.5)
                near(levels(paper), pixel(bars, x, y), where .. " beside bars")
                x, y = at(3.2, 4.5)
                near(over(series[2][kind], paper, 0.85), pixel(bars, x, y), where .. " second bar")
                local band = image {{kind = "band", x = {1, 3}, low = {1, 1}, high = {7, 7}}}
                x, y = at(2, 4.5)
                near(over(series[1][kind], paper, 0.2), pixel(band, x, y), where .. " band")
                x, y = at(0.9, 4.5)
                near(levels(paper), pixel(band, x, y), where .. " beside the band")
                local line = image {{kind = "line", x = {0, 4}, y = {4.5, 4.5}}} -- two pixels for each of the scale
                x, y = at(2, 4.5)
                near(levels(series[1][kind]), pixel(line, x, y), where .. " line", scale == 1 and 130 or 1.01)
                x, y = at(2, 4.5)
                near(levels(paper), pixel(line, x, y + 3 * scale), where .. " below the line")
                near(levels(paper), pixel(line, x, y - 3 * scale), where .. " above the line")
            end
        end
    end)

    it("covers of each pixel the share that an area has of it, as counted by small squares", function()
        local raster = require "luxel.plot.raster"
        local shapes = {
            {{2.3, 1.2}, {17.7, 4.9}, {9.1, 13.6}}, {{13.5, 1}, {14.25, 15.5}, {12.1, 15.5}},
            {{-6, 3}, {25, 3.5}, {25, 6.25}, {-6, 5}}, {{3, -8}, {9, -8}, {7, 30}, {5.5, 30}},
            {{4, 4}, {4, 9}, {11, 9}, {11, 4}}, {{0.5, 0.5}, {19, 15}, {18, 15.75}},
        }
        for k, points in ipairs(shapes) do
            local canvas = raster.canvas(20, 16, 1, "light")
            canvas.colours.f1 = {0, 0, 0} -- black on white: the level is what is not covered
            canvas:fill({points}, "f1")
            local STEPS <const> = 24
            for y = 0, 15 do
                for x = 0, 19 do
                    local inside = 0
                    for j = 1, STEPS do
                        for i = 1, STEPS do
                            local px, py, odd = x + (i - 0.5) / STEPS, y + (j - 0.5) / STEPS, false
                            for n, a in ipairs(points) do
                                local b = points[n % #points + 1]
                                if (a[2] > py) ~= (b[2] > py)
                                    and px < a[1] + (py - a[2]) / (b[2] - a[2]) * (b[1] - a[1]) then odd = not odd end
                            end
                            inside = inside + (odd and 1 or 0)
                        end
                    end
                    local found = 1 - (canvas.pixels[y * 20 + x + 1] & 255) / 255
                    assert.near(inside / STEPS ^ 2, found, 0.045, ("shape %d, %d, %d"):format(k, x, y))
                end
            end
        end
    end)

    it("is cut at the frame, and shows a heat map, markers and dashes", function()
        local options = {x_range = {0, 4}, y_range = {0, 8}, legend = false, width = 300, height = 200, scale = 2}
        local beyond = plot.image({{kind = "line", x = {2, 2}, y = {-50, 50}}}, options)
        local left, top, wide, high = area_of({{kind = "line", y = {1}}}, {
            x_range = {0, 4}, y_range = {0, 8}, legend = false, width = 300, height = 200,
        })
        local x, paper = math.floor((left + wide / 2) * 2), colours.paper.light
        near(levels(colours.series[1].light), pixel(beyond, x, math.floor((top + high / 3) * 2)), "inside")
        near(levels(paper), pixel(beyond, x, math.floor((top + high + 6) * 2)), "below the frame")
        near(levels(paper), pixel(beyond, x, math.floor((top - 6) * 2)), "above the frame")
        local cells = {{kind = "heatmap", cells = {{0, 10}, {5, nan}}}}
        local heat = plot.image(cells, {width = 200, height = 200, scale = 1})
        local hl, ht, hw, hh = area_of(cells, {width = 200, height = 200})
        for i, share in ipairs {0, 0.4, 0.2, 0} do
            local px = math.floor(hl + hw * ((i - 1) % 2 + 0.2) / 2)
            local py = math.floor(ht + hh * ((i - 1) // 2 + 0.2) / 2)
            near(over(colours.series[1].light, paper, share), pixel(heat, px, py), "cell " .. i)
        end
        -- the markers of the six series have their colours in the middle
        for k = 1, 6 do
            local layers = {}
            for j = 1, k do layers[j] = {kind = "scatter", x = {j == k and 2 or 10}, y = {4.5}} end
            local image = plot.image(layers, options)
            local y = math.floor((top + high * 3.5 / 8) * 2)
            near(levels(colours.series[k].light), pixel(image, x, y), "marker " .. k, 2)
        end
        -- dashes of 7 and 3 along a line: 70 % of it
        local dashed = plot.image({
            {kind = "line", x = {10}, y = {1}}, {kind = "line", x = {0, 4}, y = {4.5, 4.5}},
        }, options)
        local row, dark = math.floor((top + high * 3.5 / 8) * 2), 0
        local from, to = math.ceil(left * 2) + 2, math.floor((left + wide) * 2) - 2
        for column = from, to do dark = dark + (pixel(dashed, column, row)[3] < 100 and 1 or 0) end
        assert.near(0.7, dark / (to - from + 1), 0.03)
    end)

    it("has its words, also from below upwards, and says ? for letters that it has not", function()
        local function ink(options)
            options.width, options.height, options.scale, options.legend = 300, 200, 2, false
            local dark, found = levels(colours.ink.light), {}
            local image = plot.image({{kind = "line", y = {1, 2}}}, options):totable()
            for y = 1, 400 do
                for x = 1, 600 do
                    if image[1][y][x] == dark[1] and image[2][y][x] == dark[2] and image[3][y][x] == dark[3] then
                        found[#found + 1] = {x, y}
                    end
                end
            end
            return found
        end
        assert.same({}, ink {})
        local across, upwards = ink {x = "loss"}, ink {y = "loss"}
        assert.is_true(#across > 100)
        assert.equal(#across, #upwards)
        local function sides(points)
            local low, high = {math.huge, math.huge}, {0, 0}
            for _, point in ipairs(points) do
                for k = 1, 2 do low[k], high[k] = math.min(low[k], point[k]), math.max(high[k], point[k]) end
            end
            return high[1] - low[1] + 1, high[2] - low[2] + 1, low[1], high[2]
        end
        local wide, high, left = sides(across)
        local up_wide, up_high, _, bottom = sides(upwards)
        assert.same({wide, high}, {up_high, up_wide})
        -- turned back, each dot is where it is in the other
        local where = {}
        for _, point in ipairs(across) do where[(point[1] - left) .. " " .. point[2]] = true end
        local _, _, up_left = sides(upwards)
        local _, _, _, base = sides(across)
        for _, point in ipairs(upwards) do
            local along, down = bottom - point[2], point[1] - up_left
            assert.is_true(where[along .. " " .. (base - high + 1 + down)])
        end
        assert.same(ink {title = "a – b"}, ink {title = "a - b"})
        assert.same(ink {title = "\u{3b2}\0\n"}, ink {title = "???"})
        assert.is_true(#ink {title = "loss"} > #across) -- in bold
    end)

    it("takes what the SVG takes, is a file, and says what it cannot be", function()
        local folder = shell.folder()
        for i, layers in ipairs {
            {}, {{kind = "line", y = {}}}, {{kind = "line", y = {3}}}, {{kind = "line", y = {nan, nan}}},
            {{kind = "scatter", y = {inf, -inf, 1}}}, {{kind = "histogram", values = {}}},
            {{kind = "bar", y = {nan, -2, 0}}}, {{kind = "band", low = {nan, 1}, high = {1, nan}}},
            {{kind = "heatmap", cells = {{nan, 1}, {2, inf}}}}, {{kind = "heatmap", cells = {}}},
            {{kind = "line", y = {1e300, -1e300, 1e308}}},
        } do
            local path = ("%s/%d.PNG"):format(folder, i)
            local options = {width = 160, height = 120, log_y = i % 2 == 0, scale = 1}
            assert(plot.save(path, layers, options))
            assert.is_true(lx.equal(plot.image(layers, options), (lx.vision.load(path, {channels = 3, bits = 8}))))
        end
        shell.remove(folder)
        local ok, message, code = plot.save("/nowhere/a.png", {})
        assert.is_nil(ok)
        assert.matches("/nowhere", message)
        assert.equal("io", code)
        assert.same({3, 640, 960}, plot.image({}).shape)
        assert.error_matches(function() plot.image({}, {width = 8192, height = 8192}) end,
            "image: options: expected width, height and scale of at most 16777216 pixels together")
        assert.error_matches(function() plot.image({{kind = "line"}}) end, "image: layers: layer 1")
    end)
end)

describe("the terminal", function()
    it("shows numbers as blocks", function()
        assert.equal("▁▃▅ █", plot.spark {0, 1, 2, nan, 3.5})
        assert.equal("▁▁", plot.spark {5, 5})
        assert.equal("", plot.spark {})
        assert.equal(" ", plot.spark {inf})
        local many = {}
        for i = 1, 1000 do many[i] = i end
        assert.equal("▁▂▃▄▅▆▇█", plot.spark(many, 8))
    end)

    it("shows images, two pixels in a character", function()
        local image = lx.tensor({{{0, 255}, {7, 9}}}, {dtype = "uint8"})
        assert.equal("\27[38;2;0;0;0m\27[48;2;7;7;7m▀\27[38;2;255;255;255m\27[48;2;9;9;9m▀\27[0m",
            plot.preview(image, 2))
        local colour = lx.tensor({{{1}, {2}}, {{3}, {4}}, {{5}, {6}}}, {dtype = "uint8"})
        assert.equal("\27[38;2;1;3;5m\27[48;2;2;4;6m▀\27[0m", plot.preview(colour, 1))
        local _, lines = plot.preview(lx.zeros(1, 60, 30), 20):gsub("\n", "")
        assert.equal(19, lines)
        assert.error_matches(function() plot.preview(lx.zeros(2, 4, 4)) end, "preview: image: expected one or three")
    end)
end)
