--- The page of a comparison: settings that differ, figures with intervals, differences to the first model.

local metrics = require "luxel.metrics"
local page = require "luxel.page"
local parts = require "luxel.report.parts"

local comparison = {}

local number, with_interval = parts.number, parts.with_interval

local function head_of(first, names) return table.move(names, 1, #names, 2, {first}) end

-- Names without the folders that all of them are in.
local function short(names)
    local common = names[1]:match("^.*/") or ""
    for _, name in ipairs(names) do
        while common ~= "" and name:sub(1, #common) ~= common do common = common:match("^(.*/)[^/]*/$") or "" end
    end
    local out = {}
    for i, name in ipairs(names) do out[i] = #name > #common and name:sub(#common + 1) or name end
    return out
end

local function plots(out, names, sample, judged)
    local x, low, high, y = {}, {}, {}, {}
    for k in ipairs(names) do
        local range = judged.figures[1].intervals[k]
        y[k] = judged.figures[1].values[k] or 0 / 0
        x[k], low[k], high[k] = k, range and range[1] or 0 / 0, range and range[2] or 0 / 0
    end
    local curves = {}
    for k, name in ipairs(names) do
        local points = metrics.roc(sample.scores[k], sample.labels)
        local own = {kind = "line", x = {}, y = {}, name = name}
        for i, point in ipairs(points or {}) do own.x[i], own.y[i] = point.fpr, point.tpr end
        if points and k <= 6 then curves[#curves + 1] = own end
    end
    local list = {{
        layers = {{kind = "scatter", x = x, y = y, low = low, high = high, names = names}},
        options = {title = "AUC with 95 % intervals", x = "model", y = "AUC", x_range = {0.5, #names + 0.5}},
    }}
    if #curves > 0 then
        table.insert(list, 1, {layers = curves, options = {
            title = "ROC curves", x = "1 − specificity", y = "sensitivity", x_range = {0, 1}, y_range = {0, 1},
        }})
    end
    parts.plots(out, list)
end

local function test_rows(names, judged)
    local rows = {}
    for k = 2, #names do
        local test, auc = judged.tests[k], judged.figures[1].differences[k]
        rows[#rows + 1] = {
            names[k], auc and with_interval(auc.difference, {auc.low, auc.high}) or "n/a",
            auc and number(auc.p) or "n/a", test.holm and number(test.holm) or "n/a",
            test.delong and number(test.delong.p) or "n/a",
        }
    end
    return rows
end

--- Writes the page.
---@param path string
---@param content {names: string[], settings: table[]?, same: integer?, own: table[]?, sample: table?, judged: table?,
---  what: string?, command: string?} names: of the models; settings: rows that differ; same: how many do not; own:
---  figures of each model on validation images of its own
---@return boolean? ok, string? message, string? code
function comparison.write(path, content)
    local out, names = {}, short(content.names)
    parts.notice(out)
    if content.judged then
        local judged = content.judged
        page.section(out, "On the same images", "%d images of %d patients, %d positive: %s. Intervals: 95 %%, "
            .. "bootstrap over patients.", judged.images, judged.patients, judged.positives, content.what)
        plots(out, names, content.sample, judged)
        local rows = {}
        for i, row in ipairs(judged.figures) do
            rows[i] = {row.name}
            for k in ipairs(names) do rows[i][k + 1] = with_interval(row.values[k], row.intervals[k] or nil) end
        end
        parts.table(out, head_of("figure", names), rows)
        page.section(out, "Against " .. names[1], "Differences of the AUC, with a paired bootstrap by patient; Holm's "
            .. "correction is of these p for all comparisons; DeLong's test takes each image for a patient of its own.")
        parts.table(out, {"model", "difference", "p", "p, Holm", "p, DeLong"}, test_rows(names, judged))
    end
    if content.settings then
        page.section(out, "Settings that differ", "%d others are the same.", content.same)
        local rows = {}
        for i, row in ipairs(content.settings) do rows[i] = table.move(row.values, 1, #row.values, 2, {row.name}) end
        if #rows > 0 then parts.table(out, head_of("setting", names), rows, true) end
    end
    if content.own and #content.own > 0 then
        page.section(out, "On validation images of their own", "Epoch and threshold were chosen on these, which need "
            .. "not be the same images: no test compares them.")
        local rows = {}
        for i, row in ipairs(content.own) do rows[i] = table.move(row.values, 1, #row.values, 2, {row.name}) end
        parts.table(out, head_of("figure", names), rows)
    end
    parts.again(out, {}, content.command)
    return parts.write(path, "Comparison", table.concat(content.names, ", "), out)
end

return comparison
