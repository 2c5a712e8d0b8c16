-- Pages of runs and evaluations: nothing comes from outside, names cannot break them, and what they show is what
-- lx.metrics says.

local contrast = require "spec.support.contrast"
local core = require "luxel.core"
local lx = require "luxel"
local lfs = require "lfs"
local shell = require "spec.support.shell"
local svg = require "luxel.plot.svg"

local folder, dataset, scores

-- Scores that tell the classes somewhat, without random numbers of the library.
local function score_of(i, label) return ((i * 37) % 101 / 101 * 1.6 + label) / 2.6 end

local function page(options, given, of)
    local path = folder .. "/page.html"
    assert(lx.report.evaluation(path, given or scores, of or dataset, options))
    return shell.read(path)
end

local function check_page(text)
    assert.is_nil(text:find("https?://"))
    assert.is_nil(text:find("<script", 1, true))
    assert.is_nil(text:find("<link", 1, true))
    assert.is_nil(text:find('src="[^d]'))
    assert.is_nil(text:find("url(", 1, true))
    assert.is_nil(text:find("@import", 1, true))
    assert.is_true(#text < 5e6)
    -- the notice comes before the first section
    assert.is_true(text:find(lx.predictor.NOTICE, 1, true) < text:find("<h2>", 1, true))
    for _, tag in ipairs {"svg", "div", "table", "figure", "desc", "p", "h2", "tr", "td"} do
        local _, opened = text:gsub("<" .. tag .. "[ >]", "")
        local _, closed = text:gsub("</" .. tag .. ">", "")
        assert.equal(opened, closed, tag)
    end
end

-- The plot of a title: its SVG.
local function plot_of(text, title)
    for one in text:gmatch("<svg.-\n</svg></?[dp]") do
        if one:find("<title>" .. title, 1, true) then return one end
    end
    error("no plot " .. title)
end

describe("luxel evaluate --report --explain #slow", function()
    it("puts a map beside each picture", function()
        local work, LUA = shell.folder(), os.getenv("LUA") or "lua5.4"
        finally(function() shell.remove(work) end)
        assert.equal(0, (shell.run(("%s bin/luxel train --phantoms 60 --size 32 --epochs 1 --device cpu --out %s/run")
            :format(LUA, work))))
        local command = ("%s bin/luxel evaluate --model %s/run/best.safetensors --phantoms 40 --device cpu "):format(
            LUA, work)
        assert.equal(0, (shell.run(command .. "--report " .. work .. "/page.html --explain")))
        local text = shell.read(work .. "/page.html")
        local _, pictures = text:gsub('src="data:image/png', "")
        local _, maps = text:gsub('alt="map of', "")
        assert.is_true(maps > 0)
        assert.equal(pictures, 2 * maps)
        local status, _, errors = shell.run(command .. "--explain")
        assert.equal(1, status)
        assert.matches("--explain is for --report, and for one model", errors, 1, true)
        status, _, errors = shell.run(command .. "--report x --explain magic")
        assert.equal(1, status)
        assert.matches("there is no method 'magic'", errors, 1, true)
    end)
end)

describe("a page of an evaluation", function()
    setup(function()
        folder, dataset, scores = shell.folder(), lx.data.phantom {n = 120, size = 32, seed = 4}, {}
        for i, label in ipairs(dataset.labels:totable()) do scores[i] = score_of(i, label) end
    end)

    teardown(function() shell.remove(folder) end)

    it("needs nothing else, and begins with the notice", function()
        local text = page {threshold = 0.5, command = "luxel evaluate --data '<script>'", data = "<script>&",
            title = "<script>"}
        check_page(text)
        for _, title in ipairs {"Figures", "Curves", "Thresholds", "Worst mistakes and least certain", "Data card",
            "For a paper %(CLAIM%)", "To get the same again"} do
            assert.matches("<h2>" .. title .. "</h2>", text)
        end
        local _, pictures = text:gsub('src="data:image/png;base64,[%w+/=]+"', "")
        local c = lx.metrics.confusion(scores, dataset.labels, 0.5)
        assert.is_true(c.fn > 0 and c.fp > 0)
        assert.equal(math.min(8, c.fn) + math.min(8, c.fp) + 8, pictures) -- eight of each kind at most
    end)

    it("draws the ROC curve of lx.metrics.roc", function()
        local text = plot_of(page {threshold = 0.5}, "ROC curve")
        local area = {}
        for name, value in text:match('<rect class="area"([^>]*)>'):gmatch('(%w+)="([%d.]+)"') do
            area[name] = tonumber(value)
        end
        local points, longest = assert(lx.metrics.roc(scores, dataset.labels)), ""
        for d in text:gmatch('class="s1"[^>]* d="([^"]*)"') do longest = #d > #longest and d or longest end
        local drawn = {}
        for x, y in longest:gmatch("[ML]([%d.]+) ([%d.]+)") do drawn[#drawn + 1] = {tonumber(x), tonumber(y)} end
        assert.equal(#points, #drawn)
        for i, point in ipairs(points) do
            assert.near(area.x + point.fpr * area.width, drawn[i][1], 0.01)
            assert.near(area.y + area.height - point.tpr * area.height, drawn[i][2], 0.01)
        end
        assert.matches(("area %.3f"):format(lx.metrics.auc(scores, dataset.labels)), text)
    end)

    it("has the figures of lx.metrics.report", function()
        local text = page {threshold = 0.4, seed = 3, n = 200}
        local report = lx.metrics.report(scores, dataset.labels, {
            threshold = 0.4, seed = 3, n = 200, groups = dataset.groups,
        })
        local range = report.intervals.sensitivity
        local row = '<td>sensitivity</td><td class="n">%.4f</td><td class="n">%.4f to %.4f</td>'
        assert.is_truthy(text:find(row:format(report.sensitivity, range[1], range[2]), 1, true))
        local cells, c = {}, report.confusion
        for count in plot_of(text, "Confusion matrix"):gmatch(">(%d+)</text>") do
            cells[#cells + 1] = tonumber(count)
        end
        assert.same({c.tn, c.fp, c.fn, c.tp}, cells)
        assert.not_equal(c.fn, c.tp)
    end)

    it("shows the worst mistakes first", function()
        local worst, most = nil, -1
        for i, label in ipairs(dataset.labels:totable()) do
            if label == 1 and scores[i] < 0.6 and 0.6 - scores[i] > most then worst, most = i, 0.6 - scores[i] end
        end
        local text = page {threshold = 0.6}
        local first = text:match('<h3>Missed</h3><div class="group large">\n<figure><img alt="([^"]*)"')
        assert.equal(dataset.paths[worst]:match("[^/]*$"), first)
    end)

    it("has groups with counts, and says which are too small", function()
        local sex, age = {}, {}
        for i = 1, #dataset do
            sex[i] = i <= 4 and "other<script>" or i % 2 == 0 and "F" or "M"
            age[i] = i ~= 7 and tostring(i % 90) or nil
        end
        local text = page {threshold = 0.5, subgroups = {sex = sex, ["age<script>"] = age}}
        check_page(text)
        assert.matches("<h3>sex</h3>", text)
        assert.matches("other&lt;script&gt;</td>.-too few to say", text)
        assert.matches("<td>not known</td><td class=\"n\">1</td>", text) -- the image without an age
        local s, l, g = {}, {}, {}
        local labels = dataset.labels:totable()
        for i = 5, #dataset do
            if sex[i] == "F" then s[#s + 1], l[#l + 1], g[#g + 1] = scores[i], labels[i], dataset.groups[i] end
        end
        local own = lx.metrics.report(s, l, {threshold = 0.5, groups = g})
        local row = '<td>F</td><td class="n">%d</td><td class="n">%d</td><td class="n">%.3f [%.3f, %.3f]'
        local range = own.intervals.auc
        assert.is_truthy(text:find(row:format(own.n, own.positives, own.auc, range[1], range[2]), 1, true))
    end)

    it("cuts numbers into ranges that have every image once", function()
        local subgroups = require "luxel.report.subgroups"
        local ages, labels = {}, dataset.labels:totable()
        for i = 1, #dataset do ages[i] = (i * 7) % 83 end
        local rows, left_out = subgroups.of(ages, scores, labels, {threshold = 0.5, groups = false, seed = 1, n = 20})
        local images = 0
        for _, row in ipairs(rows) do images = images + row.images end
        assert.equal(#dataset, images)
        assert.equal(4, #rows)
        assert.equal(0, left_out)
        assert.matches("^0 to below ", rows[1].name)
        for _, row in ipairs(rows) do
            local low, below, high = row.name:match("^(%d+) to (b?e?l?o?w? ?)(%d+)$")
            local count = 0
            for _, age in ipairs(ages) do
                local inside = below ~= "" and age < tonumber(high) or below == "" and age <= tonumber(high)
                count = count + (age >= tonumber(low) and inside and 1 or 0)
            end
            assert.equal(count, row.images, row.name)
        end
        local fine = {} -- which four digits would not tell apart
        for i = 1, #dataset do fine[i] = 12345 + i % 40 / 80 end
        rows = subgroups.of(fine, scores, labels, {threshold = 0.5, groups = false, seed = 1, n = 20})
        assert.equal(4, #rows)
        assert.equal("12345 to below 12345.125", rows[1].name)
        local many = {}
        for i = 1, #dataset do many[i] = "scanner " .. i % 20 end
        rows, left_out = subgroups.of(many, scores, labels, {threshold = 0.5, groups = false, seed = 1, n = 20})
        assert.equal(12, #rows)
        assert.equal(8, left_out)
        assert.is_false(rows[1].auc) -- six images
        -- nine of a class are too few for what they stand behind, ten are not
        local own, classes, wards = {}, {}, {}
        for i = 1, 39 do
            own[i], classes[i], wards[i] = (i * 7 % 39) / 39, (i <= 9 or i > 29) and 1 or 0, i <= 19 and "a" or "b"
        end
        rows = subgroups.of(wards, own, classes, {threshold = 0.5, groups = false, seed = 1, n = 20})
        assert.same({9, 10, 10, 10}, {rows[1].positives, rows[1].negatives, rows[2].positives, rows[2].negatives})
        assert.is_false(rows[1].sensitivity)
        assert.is_false(rows[1].auc)
        assert.is_table(rows[1].specificity)
        assert.is_table(rows[2].auc)
        assert.same({"too few to say", "few: wide intervals"}, {rows[1].note, rows[2].note})
    end)

    it("takes maps of its pictures", function()
        local asked = 0
        local text = page {threshold = 0.5, pictures = 2, maps = function(i)
            asked = asked + 1
            return i % 2 == 0 and lx.zeros({3, 8, 8}, {dtype = "uint8"}) or nil
        end}
        local _, pictures = text:gsub('src="data:image', "")
        assert.equal(6, asked)
        assert.is_true(pictures > 6 and pictures <= 12)
        assert.error_matches(function() page {maps = function() return 3 end} end, "maps")
    end)

    it("takes one class alone, equal scores, missing labels, and scores that are no probabilities", function()
        local labels = dataset.labels:totable()
        local function with(values, given)
            local images = lx.zeros({#values, 1, 8, 8}, {dtype = "uint8"})
            local own = lx.data.dataset {images = images, labels = values, classes = {"no", "yes"}, task = "binary"}
            check_page(page({threshold = 0.5}, given, own))
        end
        with({1, 1, 1}, {0.2, 0.7, 0.9})
        with({0, 0}, {0.2, 0.7})
        with({0, 1, 0, 1}, {0.5, 0.5, 0.5, 0.5})
        with({0, 1, 0 / 0, 1}, {0.1, 0.5, 0.9, 0.2})
        with({0, 1, 0, 1}, {-3, 5, 0.2, 11})
        with({1}, {0.9})
        local missing = {}
        for i = 1, 120 do missing[i] = i % 3 == 0 and 0 / 0 or labels[i] end
        with(missing, scores)
        -- an image without a label is neither right nor wrong
        local images = lx.zeros({4, 1, 8, 8}, {dtype = "uint8"})
        local text = page({threshold = 0.5}, {0.1, 0.9, 0.99, 0.6}, lx.data.dataset {
            images = images, labels = {0, 1, 0 / 0, 1}, classes = {"no", "yes"}, task = "binary",
        })
        assert.is_nil(text:find("<h3>False alarms</h3>", 1, true))
        assert.matches("Risk and coverage, area 0%.0000", text)
    end)

    it("is there of several classes and labels", function()
        local rows, classes, several = {}, {}, {}
        for i = 1, 60 do
            local a, b = (i * 37 % 61) / 122, (i * 17 % 53) / 106
            rows[i], classes[i], several[i] = {a, b, 1 - a - b}, i % 3, {i % 2, i % 5 == 0 and 0 / 0 or (i // 2) % 2, 1}
        end
        local images = lx.zeros({60, 1, 8, 8}, {dtype = "uint8"})
        local text = page({}, rows, lx.data.dataset {
            images = images, labels = classes, classes = {"a", "b<script>", "c"}, task = "classes",
        })
        check_page(text)
        assert.matches("<h2>Worst mistakes</h2>", text)
        local macro = lx.metrics.report(rows, classes).macro_auc
        assert.is_truthy(text:find(("<b>%.3f</b>mean of the AUCs"):format(macro), 1, true))
        text = page({}, rows, lx.data.dataset {images = images, labels = several, classes = {"a", "b", "c"}})
        check_page(text)
        assert.matches("Each label against the rest", text)
    end)

    it("refuses what does not fit", function()
        assert.error_matches(function() page({}, {0.5}) end, "probabilities: expected one for each of the 120")
        assert.error_matches(function() page {subgroups = {sex = "F"}} end, "option 'subgroups'")
        assert.error_matches(function() page {subgroups = {sex = {[121] = "F"}}} end, "a value for each of the 120")
        assert.error_matches(function() page {classes = {"a"}} end, "option 'classes': expected 2 names, got 1")
        assert.error_matches(function() page {metadata = {a = 1}} end, "option 'metadata': schema: it is missing")
        assert.error_matches(function() page {colour = 1} end, "unknown option 'colour'")
        assert.error_matches(function()
            page({}, {1}, lx.data.phantom {n = 2, size = 32, task = "segmentation"})
        end, "there is no page yet")
        local ok, message, code = lx.report.evaluation("/nowhere/page.html", scores, dataset)
        assert.is_nil(ok)
        assert.matches("/nowhere", message)
        assert.equal("io", code)
    end)
end)

describe("bands of curves", function()
    it("are the percentiles of a naive loop over the same resamples", function()
        local s, l = {0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.6, 0.7}, {0, 0, 1, 1, 0, 0, 1, 1}
        local groups = {"a", "a", "b", "c", "c", "d", "e", "f"}
        local bands = assert(lx.metrics.curve_bands(s, l, {groups = groups, n = 40, points = 5, seed = 9}))
        assert.same({0, 0.25, 0.5, 0.75, 1}, bands.roc.x)
        assert.equal(6, bands.units)
        -- the resamples, as lists of images
        local samples = require "luxel.metrics.sample"
        local resampling = require "luxel.metrics.resampling"
        local kept = samples.sorted(samples.of(s, l, "test"))
        local rises, precisions = {{}, {}, {}, {}, {}}, {{}, {}, {}, {}, {}}
        resampling.weights(kept, groups, 40, 9, "test", function(weights)
            local drawn, labels = {}, {}
            for i = 1, kept.n do
                for _ = 1, weights[i] do drawn[#drawn + 1], labels[#labels + 1] = kept.scores[i], kept.labels[i] end
            end
            local points, steps = assert(lx.metrics.roc(drawn, labels)), lx.metrics.precision_recall(drawn, labels)
            for g, x in ipairs(bands.roc.x) do
                local best = 0
                for i = 1, #points - 1 do
                    local p, q = points[i], points[i + 1]
                    if p.fpr <= x + 1e-12 then best = math.max(best, p.tpr) end
                    if p.fpr < x and q.fpr > x then
                        best = math.max(best, p.tpr + (q.tpr - p.tpr) * (x - p.fpr) / (q.fpr - p.fpr))
                    end
                    if q.fpr <= x + 1e-12 then best = math.max(best, q.tpr) end
                end
                table.insert(rises[g], best)
                for _, step in ipairs(steps) do
                    if step.recall >= x - 1e-12 then
                        table.insert(precisions[g], step.precision)
                        break
                    end
                end
            end
        end)
        for g = 1, 5 do
            local low, high = resampling.percentile(rises[g], 40, 0.95)
            assert.near(low, bands.roc.low[g], 1e-12)
            assert.near(high, bands.roc.high[g], 1e-12)
            low, high = resampling.percentile(precisions[g], 40, 0.95)
            assert.near(low, bands.precision_recall.low[g], 1e-12)
            assert.near(high, bands.precision_recall.high[g], 1e-12)
        end
        assert.matches("40 resamples of 6", tostring(bands))
    end)

    it("are not there of one class or one patient", function()
        local bands, message = lx.metrics.curve_bands({0.1, 0.2}, {1, 1})
        assert.is_nil(bands)
        assert.matches("needs both classes", message)
        assert.is_nil((lx.metrics.curve_bands({0.1, 0.2}, {1, 0}, {groups = {"a", "a"}})))
    end)
end)

describe("a page of a run", function()
    local work

    setup(function()
        work = shell.folder()
        local set = lx.data.phantom {n = 40, size = 32, seed = 2}
        local train, val = set:split {val = 0.4}
        local net = lx.models.cnn {size = 32}
        assert(lx.train.fit {
            net = net, optimizer = lx.optim.SGD(net:parameters(), {lr = 1e-3}), train = train, val = val, epochs = 2,
            loss = lx.nn.functional.binary_cross_entropy_with_logits, out = work .. "/run", batch = 8,
            progress = lx.train.console(assert(io.open(work .. "/console", "w"))),
            metadata = {model = "cnn", size = 32, note = "<script>"},
        })
    end)

    teardown(function() shell.remove(work) end)

    it("has the curves of its log, its recipe and its model", function()
        local path = assert(lx.report.run(work .. "/run/", {command = "train --out '<script>'"}))
        assert.equal(work .. "/run/report.html", path)
        local text = shell.read(path)
        check_page(text)
        assert.matches("<h2>Recipe</h2>", text)
        assert.matches("<h2>Model card</h2>", text)
        local plot, log = plot_of(text, "Loss"), shell.read(work .. "/run/log.csv")
        local losses = {}
        for line in log:gmatch("[^\n]+") do losses[#losses + 1] = tonumber(line:match("^%d+,([^,]+)")) end
        assert.equal(2, #losses)
        assert.matches(("training %%(line%%): 2 values from %s to %s"):format(("%.4g"):format(math.min(losses[1],
            losses[2])), ("%.4g"):format(math.max(losses[1], losses[2]))):gsub("%-", "%%-"), plot)
        -- its checksum is that of the file
        local bytes = shell.read(work .. "/run/best.safetensors")
        local sum = ("xxh64:%016x, %d bytes"):format(core.checksum(bytes), #bytes)
        assert.is_truthy(text:find(sum, 1, true))
    end)

    it("is there without models, and refuses folders without a run and damaged ones", function()
        local bare = work .. "/bare"
        assert(lfs.mkdir(bare))
        local path, message, code = lx.report.run(bare)
        assert.is_nil(path)
        assert.matches("no run in this folder", message)
        assert.equal("io", code)
        shell.write(bare .. "/log.csv", "epoch,loss,val_loss,val_auc,seconds\n1,0.5,0.6,,2\n2,0.4,nan,0.7,2\n")
        assert(lx.report.run(bare, {out = work .. "/other.html"}))
        check_page(shell.read(work .. "/other.html"))
        shell.write(bare .. "/log.csv", "epoch,loss\n")
        check_page(shell.read(assert(lx.report.run(bare))))
        shell.write(bare .. "/log.csv", "epoch,b\n1,2\n")
        path, message, code = lx.report.run(bare)
        assert.is_nil(path)
        assert.matches("no columns epoch and loss", message)
        assert.equal("format", code)
        shell.write(bare .. "/log.csv", "epoch,loss\n1,2\n")
        shell.write(bare .. "/best.safetensors", "damaged")
        path, message, code = lx.report.run(bare)
        assert.is_nil(path)
        assert.matches("best.safetensors", message)
        assert.equal("format", code)
    end)
end)

describe("the commands #slow", function()
    local work
    local LUA <const> = os.getenv("LUA") or "lua5.4"

    setup(function() work = shell.folder() end)

    teardown(function() shell.remove(work) end)

    local function run(format, ...)
        local status, output, messages = shell.run((LUA .. " bin/luxel " .. format):format(...))
        return status, output, messages
    end

    it("write pages of a training, and of an evaluation by the columns of its table", function()
        assert(lx.data.phantom_save(work .. "/films", {n = 60, size = 32}))
        local frame = assert(lx.data.image_folder(work .. "/films"))
        local lines = {"path,label,Patient Sex,ward"}
        for i, path in ipairs(frame.path) do
            lines[i + 1] = ("%s,%s,%s,w%d"):format(path:sub(#work + 2), frame.classes[frame.label[i] + 1],
                i % 2 == 0 and "F" or "M", i % 3)
        end
        shell.write(work .. "/films.csv", table.concat(lines, "\n"))
        local status, output, messages = run("train --phantoms 30 --size 32 --batch 8 --epochs 2 --device cpu "
            .. "--out '%s/run'", work)
        assert.equal(0, status, messages)
        assert.matches("loss [^ ]+ [%d.]+ to [%d.]+\nreport in .-/run/report%.html\n", output)
        local text = shell.read(work .. "/run/report.html")
        check_page(text)
        assert.matches("luxel train %-%-phantoms 30", text)
        local words = ("evaluate --model '%s/run/best.safetensors' --data '%s/films.csv' --label label "
            .. "--device cpu"):format(work, work)
        status, output, messages = run("%s --report '%s/page.html'", words, work)
        assert.equal(0, status, messages)
        assert.matches("report in .-/page%.html\nLuxel supports", output)
        text = shell.read(work .. "/page.html")
        check_page(text)
        -- known by its name; patients of the training are left out
        local sexes = text:match("<h3>Patient Sex</h3>(.-)</table>")
        local f, m = sexes:match('<td>F</td><td class="n">(%d+)</td>.-<td>M</td><td class="n">(%d+)</td>')
        local images = tonumber(text:match("<td>Images</td><td>(%d+)</td>"))
        assert.is_true(images > 0 and images <= 60)
        assert.equal(images, tonumber(f) + tonumber(m))
        assert.is_nil(text:find("<h3>ward</h3>", 1, true))
        assert.equal(0, (run("%s --report '%s/page.html' --subgroups ward", words, work)))
        assert.is_truthy(shell.read(work .. "/page.html"):find("<h3>ward</h3>.-<td>w0</td>"))
        local function refused(message, ...)
            local code, _, said = run(...)
            assert.equal(1, code)
            assert.matches(message, said)
        end
        refused("%-%-subgroups: there is no column 'wart'; the columns are path, label",
            "%s --report '%s/page.html' --subgroups wart", words, work)
        refused("is for %-%-report", "%s --subgroups ward", words)
        status, output = run("report '%s/run' --out '%s/again.html'", work, work)
        assert.equal(0, status)
        assert.matches("again%.html\nLuxel supports", output)
        refused("no run in this folder", "report '%s'", work)
    end)
end)

describe("the style of pages", function()
    it("can be read in light, in dark and on paper: 4.5 to 1", function()
        local path = os.tmpname()
        assert(require("luxel.page").write(path, "T", "b", {}, svg.STYLE))
        local text, kinds = shell.read(path), 0
        os.remove(path)
        for block in text:gmatch(":root (%b{})") do
            kinds = kinds + 1
            local colour = {}
            for name, value in block:gmatch("%-%-(%w+): (#%x%x%x%x%x%x)") do colour[name] = value end
            for _, ink in ipairs {"ink", "soft", "b"} do
                for _, ground in ipairs {"paper", "panel"} do
                    local ratio = contrast(colour[ink], colour[ground])
                    assert.is_true(ratio >= 4.5, ("%s on %s %d: %.2f"):format(ink, ground, kinds, ratio))
                end
            end
        end
        assert.equal(3, kinds)
    end)
end)
