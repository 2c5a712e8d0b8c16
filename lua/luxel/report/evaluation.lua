--- The page of an evaluation: curves, tables, pictures of mistakes, and cards.

local args = require "luxel.args"
local counts = require "luxel.metrics.counts"
local draw = require "luxel.vision.draw"
local geometry = require "luxel.vision.geometry"
local metrics = require "luxel.metrics"
local page = require "luxel.page"
local parts = require "luxel.report.parts"
local samples = require "luxel.metrics.sample"
local schema = require "luxel.schema"
local seen = require "luxel.data.seen"
local subgroups = require "luxel.report.subgroups"

local evaluation = {}

local SIDE <const> = 128 -- pixels of the longer side of a picture
local MOST_CURVES <const> = 6 -- in one plot
local BAND_WORK <const> = 2000000 -- images that resamples of curves draw, in all

local number, with_interval = parts.number, parts.with_interval

local function percent(value) return value and number(100 * value, 1) .. " %" or "n/a" end

-- ---- figures of two classes -----------------------------------------------------------------------------------

local FIGURES <const> = {
    {"auc", "AUC"}, {"average_precision", "AUPRC"}, {"sensitivity", "sensitivity"}, {"specificity", "specificity"},
    {"precision", "precision (PPV)"}, {"npv", "NPV"}, {"accuracy", "accuracy"},
    {"balanced_accuracy", "balanced accuracy"}, {"f1", "F1"}, {"mcc", "MCC"}, {"brier", "Brier score"},
    {"log_loss", "log loss"}, {"ece", "calibration error"},
}

local function interval_words(report)
    local b = report.bootstrap
    return b.units
        and ("%g %% intervals: bootstrap, %d resamples of %d %ss"):format(100 * b.level, b.n, b.units, b.unit)
        or "No intervals: " .. tostring(b.message)
end

local function figure_table(out, report)
    local rows = {}
    for _, figure in ipairs(FIGURES) do
        local range = report.intervals[figure[1]]
        local at = report.prevalence and (figure[1] == "precision" or figure[1] == "npv")
            and (" where %s are positive"):format(percent(report.prevalence)) or ""
        rows[#rows + 1] = {figure[2] .. at, number(report[figure[1]], 4),
            range and ("%s to %s"):format(number(range[1], 4), number(range[2], 4)) or ""}
    end
    page.section(out, "Figures", "At the threshold %s: %d images, %d positive. %s.", number(report.threshold, 4),
        report.n, report.positives, interval_words(report))
    parts.table(out, {"figure", "value", "interval"}, rows)
end

local function roc_plot(self)
    local points = metrics.roc(self.scores, self.labels)
    if not points then return nil end
    local x, y = {}, {}
    for i, point in ipairs(points) do x[i], y[i] = point.fpr, point.tpr end
    local layers = {{kind = "line", x = {0, 1}, y = {0, 1}, name = "chance"}}
    if self.bands then
        local band = self.bands.roc
        table.insert(layers, 1, {kind = "band", x = band.x, low = band.low, high = band.high, name = "model"})
    end
    table.insert(layers, #layers, {kind = "line", x = x, y = y, name = "model"})
    local c = self.report.confusion
    layers[#layers + 1] = {
        kind = "scatter", x = {c.fp / self.report.negatives}, y = {c.tp / self.report.positives}, name = "threshold",
    }
    return {
        layers = layers, words = self.bands and "Band: 95 % of resamples, at each place by itself." or self.no_bands,
        options = {
            title = ("ROC curve, area %s"):format(with_interval(self.report.auc, self.report.intervals.auc)),
            x = "1 − specificity", y = "sensitivity", x_range = {0, 1}, y_range = {0, 1},
        },
    }
end

local function precision_recall_plot(self)
    local points = metrics.precision_recall(self.scores, self.labels)
    if not points then return nil end
    local x, y, share = {}, {}, self.report.positives / self.report.n
    for i, point in ipairs(points) do x[i], y[i] = point.recall, point.precision end
    local layers = {
        {kind = "line", x = x, y = y, name = "model"}, {kind = "line", x = {0, 1}, y = {share, share}, name = "chance"},
    }
    if self.bands then
        local band = self.bands.precision_recall
        table.insert(layers, 1, {kind = "band", x = band.x, low = band.low, high = band.high, name = "model"})
    end
    return {
        layers = layers, words = "Chance is the share of positives among these images.",
        options = {
            title = ("Precision and recall, area %s"):format(with_interval(self.report.average_precision,
                self.report.intervals.average_precision)), x = "recall (sensitivity)", y = "precision (PPV)",
            x_range = {0, 1}, y_range = {0, 1},
        },
    }
end

-- The interval of a share by Wilson's score (Wilson, JASA 22:209, 1927), which stays within 0 and 1 for few images.
local function wilson(share, n)
    local z = 1.959964
    local middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    local half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half
end

local function calibration_plots(self)
    local _, bins = metrics.ece(self.scores, self.labels, 10)
    local x, y, low, high, middles, numbers = {}, {}, {}, {}, {}, {}
    for b, bin in ipairs(bins) do
        middles[b], numbers[b] = (bin.low + bin.high) / 2, bin.count
        if bin.count > 0 then
            x[#x + 1], y[#y + 1] = bin.confidence, bin.frequency
            low[#x], high[#x] = wilson(bin.frequency, bin.count)
        end
    end
    local expected = self.report.ece_calibrated
    return {
        layers = {
            {kind = "line", x = {0, 1}, y = {0, 1}, name = "perfectly calibrated"},
            {kind = "scatter", x = x, y = y, low = low, high = high, name = "these images"},
        },
        options = {
            title = "Calibration, error " .. number(self.report.ece, 4), x = "mean probability",
            y = "share of positives", x_range = {0, 1}, y_range = {0, 1},
        },
        words = ("Intervals: Wilson's 95 %%, which take each image for a patient.%s"):format(expected
            and (" A perfectly calibrated model would show an error of %s on as many images, and 95 %% of the time one "
                .. "below %s."):format(number(expected.mean, 4), number(expected.quantile, 4)) or ""),
    }, {
        layers = {{kind = "bar", x = middles, y = numbers, name = "images"}},
        options = {title = "Images in each bin", x = "probability", y = "images", x_range = {0, 1}, legend = false},
        words = "How many images stand behind each point of the calibration plot.",
    }
end

local function by_class(self)
    local of = {{}, {}}
    for i, label in ipairs(self.labels) do
        if label == label then table.insert(of[label == 1 and 2 or 1], self.scores[i]) end
    end
    return of
end

local function score_plot(self)
    local of, probabilities, low, high = by_class(self), self.report.brier ~= nil, math.huge, -math.huge
    for _, score in ipairs(self.scores) do
        if score - score == 0 then low, high = math.min(low, score), math.max(high, score) end
    end
    local range = probabilities and {0, 1} or low < high and {low, high} or nil
    return {
        layers = {
            {kind = "histogram", values = of[1], name = self.classes[1], bins = 25, range = range},
            {kind = "histogram", values = of[2], name = self.classes[2], bins = 25, range = range},
        },
        options = {title = "Scores by class", x = probabilities and "probability" or "score", y = "images",
            x_range = range},
        words = ("Positive from %s on."):format(number(self.report.threshold, 4)),
    }
end

local function decision_plot(self)
    local points = metrics.decision_curve(self.scores, self.labels, {prevalence = self.options.prevalence})
    if not points then return nil end
    local x, own, all, none, least = {}, {}, {}, {}, 0
    for i, point in ipairs(points) do
        x[i], own[i], all[i], none[i] = point.threshold, point.net_benefit, point.all, 0
        least = math.min(least, point.net_benefit)
    end
    local most = math.max(all[1], 0.01)
    return {
        layers = {
            {kind = "line", x = x, y = own, name = "model"}, {kind = "line", x = x, y = all, name = "call all"},
            {kind = "line", x = x, y = none, name = "call none"},
        },
        options = {
            title = "Decision curve", x = "threshold", y = "net benefit", x_range = {0, 1},
            y_range = {math.max(least, -most / 2) - most * 0.1, most * 1.1},
        },
        words = "Of use where it is above both others, at thresholds that are reasonable where it is used "
            .. "(Vickers and Elkin 2006).",
    }
end

-- How doubtful each answer is: the nearer its log odds are to the threshold's, the more.
local function doubts_of(self)
    local function odds(p)
        p = math.max(1e-12, math.min(1 - 1e-12, p))
        return math.log(p / (1 - p))
    end
    local doubts, errors, threshold = {}, {}, self.report.threshold
    local probabilities = self.report.brier ~= nil and threshold >= 0 and threshold <= 1
    for i, score in ipairs(self.scores) do
        local distance = probabilities and odds(score) - odds(threshold) or score - threshold
        doubts[i] = -math.abs(distance)
        local label = self.labels[i]
        errors[i] = label ~= label and 0 / 0 or ((score >= threshold) == (label == 1) and 0 or 1)
    end
    return doubts, errors
end

local function risk_plot(self)
    local doubts, errors = doubts_of(self)
    local points = metrics.risk_coverage(doubts, errors)
    if not points then return nil end
    local x, y = {}, {}
    for i, point in ipairs(points) do x[i], y[i] = point.coverage, point.risk end
    local most = 0.01
    for _, risk in ipairs(y) do most = math.max(most, risk) end
    return {
        layers = {{kind = "step", x = x, y = y, name = "errors among the answered"}},
        options = {title = ("Risk and coverage, area %s"):format(number(metrics.aurc(doubts, errors), 4)),
            x = "share of images answered", y = "share of errors", x_range = {0, 1}, y_range = {0, most * 1.1},
            legend = false},
        words = "The most doubtful images, nearest the threshold, are left to a person first.",
    }
end

local function curves_of(self)
    local plots = {}
    local function add(...)
        for _, one in ipairs {...} do plots[#plots + 1] = one end
    end
    if self.report.positives > 0 and self.report.negatives > 0 then add(roc_plot(self)) end
    if self.report.positives > 0 then add(precision_recall_plot(self)) end
    if self.report.brier then add(calibration_plots(self)) end
    add(score_plot(self))
    if self.report.brier and self.report.positives > 0 and self.report.negatives > 0 then add(decision_plot(self)) end
    add(risk_plot(self))
    return plots
end

local function confusion(names, matrix)
    local short = {}
    for k, name in ipairs(names) do short[k] = utf8.len(name) and utf8.len(name) > 14
        and name:sub(1, utf8.offset(name, 14) - 1) .. "…" or name end
    return {
        layers = {{kind = "heatmap", cells = matrix, names = short, x = short}},
        options = {title = "Confusion matrix", x = "called", y = "true", description = ("Images by true class (rows) "
            .. "and called class: %s"):format(table.concat(names, ", "))},
    }
end

local function threshold_table(out, self)
    local list = {{"the model's", self.report.threshold}}
    local best = metrics.youden(self.scores, self.labels)
    if not best then return end
    list[2] = {"Youden", best}
    for _, rate in ipairs {0.9, 0.95, 0.99} do
        list[#list + 1] = {("sensitivity %g %%"):format(100 * rate),
            (metrics.threshold_at_sensitivity(self.scores, self.labels, rate))}
        list[#list + 1] = {("specificity %g %%"):format(100 * rate),
            (metrics.threshold_at_specificity(self.scores, self.labels, rate))}
    end
    local rows = {}
    for i, one in ipairs(list) do
        local c = metrics.confusion(self.scores, self.labels, one[2])
        local function rate(name) return percent((counts.rates[name](c, self.options.prevalence))) end
        rows[i] = {one[1], one[2] == math.huge and "nobody" or number(one[2], 4), rate "sensitivity",
            rate "specificity", rate "precision", rate "npv", percent((c.tp + c.fp) / self.report.n)}
    end
    page.section(out, "Thresholds", "%s", "But for the model's own they are chosen on these images: expect less of "
        .. "them on others, and choose on validation images.")
    parts.table(out, {"chosen for", "threshold", "sensitivity", "specificity", "PPV", "NPV", "called"}, rows)
end

local function shown(figure)
    return figure and with_interval(figure[1], figure[2] and {figure[2], figure[3]}) or "too few"
end

local function subgroup_tables(out, self)
    local names = {}
    for name in pairs(self.options.subgroups or {}) do names[#names + 1] = name end
    if #names == 0 then return end
    table.sort(names)
    page.section(out, "Subgroups", "At the threshold of all. A figure that fewer than %d images stand behind is not "
        .. "shown. Groups differ by chance too, and in who is ill: intervals that overlap say nothing of a difference.",
        subgroups.FEWEST)
    for _, name in ipairs(names) do
        local cells = {}
        local rows, left_out = subgroups.of(self.options.subgroups[name], self.scores, self.labels, {
            threshold = self.report.threshold, groups = self.groups, seed = self.options.seed, n = self.options.n,
        })
        for i, row in ipairs(rows) do
            cells[i] = {row.name, row.images, row.positives, shown(row.auc), shown(row.sensitivity),
                shown(row.specificity), row.note}
        end
        out[#out + 1] = ("<h3>%s</h3>"):format(page.escape(name))
        parts.table(out, {"group", "images", "positive", "AUC", "sensitivity", "specificity", ""}, cells)
        if left_out > 0 then
            out[#out + 1] = ('<p class="soft">and %d groups of fewer images</p>'):format(left_out)
        end
    end
end

-- ---- pictures -------------------------------------------------------------------------------------------------

local function small(image)
    local height, width = image.shape[2], image.shape[3]
    local ratio = math.min(1, SIDE / math.max(height, width))
    image = geometry.resize(image, math.max(1, math.floor(height * ratio + 0.5)),
        math.max(1, math.floor(width * ratio + 0.5)))
    return image.dtype == "uint8" and image or image:clamp(0, 255):byte()
end

-- A picture, its map where there are maps, and words.
local function picture(self, i, words)
    local name = page.escape((self.dataset.paths[i] or "image " .. i):match("[^/]*$"))
    local image, problem = self.dataset:image(i)
    local tags = image and page.image(small(image), name, name) or ('<p>%s</p>'):format(page.escape(problem))
    local map = self.options.maps and self.options.maps(i)
    if map ~= nil then
        local mistake = args.mistake_in("evaluation: options: what option 'maps' gives", "picture", map)
        if mistake then args.fail("%s", mistake) end
        tags = tags .. page.image(small(draw.to_rgb(map)), "map of " .. name, name)
    end
    return ("<figure>%s<figcaption>%s<br>%s</figcaption></figure>"):format(tags, name, words)
end

local function gallery(out, self, title, list, words_of)
    local most = math.min(#list, self.options.pictures)
    if most == 0 then return end
    out[#out + 1] = ('<h3>%s</h3><div class="group large">'):format(page.escape(title))
    for k = 1, most do out[#out + 1] = picture(self, list[k], page.escape(words_of(list[k]))) end
    out[#out + 1] = "</div>"
    if #list > most then out[#out + 1] = ('<p class="soft">The first %d of %d.</p>'):format(most, #list) end
end

-- Places in the order of a number, the largest first.
local function order(list, key)
    table.sort(list, function(a, b)
        if key[a] ~= key[b] then return key[a] > key[b] end
        return a < b
    end)
    return list
end

local function galleries(out, self)
    local missed, alarms, all = {}, {}, {}
    local doubts, errors = doubts_of(self)
    local distance = {}
    for i, wrong in ipairs(errors) do
        distance[i] = -doubts[i]
        if wrong == wrong then all[#all + 1] = i end
        if wrong == 1 then table.insert(self.labels[i] == 1 and missed or alarms, i) end
    end
    local function words(i)
        return ("%s; score %s"):format(self.classes[self.labels[i] == 1 and 2 or 1], number(self.scores[i], 4))
    end
    page.section(out, "Worst mistakes and least certain", "%s", "What was wrong by most, and what is nearest the "
        .. "threshold. Below each picture: its file, its true class, what the model gave.")
    gallery(out, self, "Missed", order(missed, distance), words)
    gallery(out, self, "False alarms", order(alarms, distance), words)
    gallery(out, self, "Least certain", order(all, doubts), words)
end

-- ---- several classes and labels -------------------------------------------------------------------------------

local function several_rows(out, self)
    local report, rows = self.report, {}
    for k, name in ipairs(report.classes) do
        local r = report.each[k]
        rows[k] = {name, r.n, r.positives, with_interval(r.auc, r.intervals.auc),
            with_interval(r.average_precision, r.intervals.average_precision),
            with_interval(r.sensitivity, r.intervals.sensitivity),
            with_interval(r.specificity, r.intervals.specificity)}
    end
    page.section(out, "Figures", "Each %s against the rest. %s.", report.task == "classes" and "class" or "label",
        interval_words(report))
    parts.table(out, {"", "images", "positive", "AUC", "AUPRC", "sensitivity", "specificity"}, rows)
end

local function several_curves(out, self)
    local layers = {}
    for k, name in ipairs(self.report.classes) do
        local scores, labels = {}, {}
        for i, row in ipairs(self.rows) do
            local label = self.label_rows and self.label_rows[i][k] or not self.label_rows and self.labels[i]
            scores[i] = row[k]
            labels[i] = label ~= label and label or self.label_rows and label or label == k - 1 and 1 or 0
        end
        local points = metrics.roc(scores, labels)
        if points and #layers < MOST_CURVES then
            local x, y = {}, {}
            for i, point in ipairs(points) do x[i], y[i] = point.fpr, point.tpr end
            layers[#layers + 1] = {kind = "line", x = x, y = y, name = name}
        end
    end
    if #layers == 0 then return end
    page.section(out, "Curves", "%s", #self.report.classes > MOST_CURVES and "The first of them." or "Each by itself.")
    parts.plots(out, {{layers = layers, options = {title = "ROC curves", x = "1 − specificity", y = "sensitivity",
        x_range = {0, 1}, y_range = {0, 1}}}})
end

local function worst_of_classes(out, self)
    local surprise, list = {}, {}
    for i, row in ipairs(self.rows) do
        local label = self.labels[i]
        if label == label then
            local called = 1
            for k = 2, #row do if row[k] > row[called] then called = k end end
            if called ~= label + 1 then
                list[#list + 1], surprise[i] = i, 1 - row[math.tointeger(label) + 1]
            end
        end
    end
    page.section(out, "Worst mistakes", "%s", "The least probability of the true class, which stands below each.")
    gallery(out, self, "Mistakes", order(list, surprise), function(i)
        return ("%s; %s of it"):format(self.classes[math.tointeger(self.labels[i]) + 1], number(1 - surprise[i], 4))
    end)
end

-- ---- cards ----------------------------------------------------------------------------------------------------

local function patients_of(self)
    if not self.groups then return nil end
    local known, count = {}, 0
    for i = 1, #self.dataset do
        local group = self.groups[i]
        if not known[group] then known[group], count = true, count + 1 end
    end
    return count
end

local function data_card(out, self)
    local dataset, rows = self.dataset, {}
    local all, missing = dataset:counts()
    rows[1] = {"Images", #dataset}
    rows[2] = {"Where from", self.options.data or "not told"}
    rows[3] = {"Patients", patients_of(self) or "not known: intervals are of images"}
    for k, name in ipairs(self.classes) do rows[#rows + 1] = {name, all[k]} end
    rows[#rows + 1] = {"Without a label", missing}
    rows[#rows + 1] = {"Files that could not be read", #dataset.failed}
    if dataset.size then
        rows[#rows + 1] = {"Seen by the network at", ("%d × %d pixels"):format(dataset.size, dataset.size)}
    end
    rows[#rows + 1] = {"Reference standard", "the labels as they were given; who gave them is not known here"}
    page.section(out, "Data card", "What the figures above are of.")
    parts.table(out, {}, rows, true)
end

local function top_cards(self)
    local r, cards = self.report, {}
    local function add(value, words) cards[#cards + 1] = page.card(value, page.escape(words)) end
    if self.task == "binary" then
        add(number(r.auc, 3), "AUC")
        add(percent(r.sensitivity), "sensitivity")
        add(percent(r.specificity), "specificity")
    else
        add(number(r.macro_auc, 3), "mean of the AUCs")
        if self.task == "classes" then add(percent(r.accuracy), "accuracy") end
    end
    add(r.n, "images with a label")
    add(patients_of(self) or "?", "patients")
    return '<div class="cards">' .. table.concat(cards) .. "</div>"
end

local ANSWERED <const> = {
    {"Partitions: which images are here, and none of a patient that was trained on", "Data card, first lines"},
    {"Model, its input and output, first weights", "Model card"},
    {"Performance with intervals, and how they were found", "Figures, Curves"},
    {"Calibration, choice of the threshold", "Curves, Thresholds, Model card"},
    {"Failures", "Worst mistakes"}, {"Subgroups", "Subgroups, where columns were given"},
    {"Software, availability of the run", "To get the same again"},
}

local function prepare(scores, dataset, options)
    if dataset.task == "segmentation" or dataset.task == "detection" then
        args.fail("evaluation: dataset: expected labels of images, got %s, of which there is no page yet",
            dataset.task == "detection" and "boxes" or "masks")
    elseif #dataset == 0 then
        args.fail("evaluation: dataset: there are no images")
    end
    local self = {
        dataset = dataset, task = dataset.task, options = options, groups = dataset.groups,
        classes = options.classes or dataset.classes,
    }
    if #self.classes ~= #dataset.classes then
        args.fail("evaluation: options: option 'classes': expected %d names, got %d", #dataset.classes, #self.classes)
    end
    if self.task == "binary" then
        self.scores = samples.numbers(scores, "evaluation: probabilities")
        self.labels = samples.numbers(dataset.labels, "evaluation: labels")
    else
        self.rows = samples.rows(scores, "evaluation: probabilities", 1)
        if self.task == "labels" then self.label_rows = samples.rows(dataset.labels, "evaluation: labels", 1)
        else self.labels = samples.numbers(dataset.labels, "evaluation: labels") end
    end
    local count = #(self.scores or self.rows)
    if count ~= #dataset then
        args.fail("evaluation: probabilities: expected one for each of the %d images, got %d", #dataset, count)
    end
    local ok, mistake = true, nil
    if options.metadata then ok, mistake = schema.check(options.metadata) end
    if not ok then args.fail("evaluation: options: option 'metadata': %s", mistake) end
    for name, values in pairs(options.subgroups or {}) do
        if type(name) ~= "string" or type(values) ~= "table" then
            args.fail("evaluation: options: option 'subgroups': expected lists by the names of columns")
        elseif self.task ~= "binary" then
            args.fail("evaluation: options: option 'subgroups' is for two classes, and these images have %s", self.task)
        end
        for place in pairs(values) do
            if not math.type(place) or place < 1 or place > count then
                args.fail("evaluation: options: option 'subgroups': '%s': expected a value for each of the %d images, "
                    .. "got one at %s", name, count, tostring(place))
            end
        end
    end
    return self
end

local function find_bands(self)
    local n = math.max(50, math.min(500, BAND_WORK // math.max(1, self.report.n)))
    local bands, message = metrics.curve_bands(self.scores, self.labels, {groups = self.groups, n = n,
        seed = self.options.seed})
    self.bands, self.no_bands = bands, message and ("No band: %s."):format(message)
end

--- Writes the page of an evaluation.
---@param path string
---@param scores any probabilities
---@param dataset luxel.Dataset
---@param options table with defaults
---@return boolean? ok, string? message, string? code
function evaluation.write(path, scores, dataset, options)
    local self, out = prepare(scores, dataset, options), {}
    self.report = metrics.report(scores, dataset.labels, {
        threshold = options.threshold, groups = self.groups, seed = options.seed, n = options.n,
        classes = self.task ~= "binary" and self.classes or nil, prevalence = options.prevalence,
    })
    parts.notice(out)
    out[#out + 1] = top_cards(self)
    if self.task == "binary" then
        figure_table(out, self.report)
        find_bands(self)
        page.section(out, "Curves", "Over all thresholds.")
        local c, plots = self.report.confusion, curves_of(self)
        plots[#plots + 1] = confusion(self.classes, {{c.tn, c.fp}, {c.fn, c.tp}})
        parts.plots(out, plots)
        threshold_table(out, self)
        subgroup_tables(out, self)
        galleries(out, self)
    else
        several_rows(out, self)
        several_curves(out, self)
        if self.task == "classes" then
            parts.plots(out, {confusion(self.classes, self.report.confusion)})
            worst_of_classes(out, self)
        end
    end
    data_card(out, self)
    if options.metadata then parts.model_card(out, options.metadata, {evaluation = options.data}) end
    parts.checklist(out, ANSWERED)
    local again = {{"Seed of the resampling", options.seed}, {"Images, as a checksum", seen.fingerprint(dataset)}}
    if options.model then
        for one in (options.model .. " + "):gmatch("(.-) %+ ") do
            again[#again + 1] = {one, parts.checksum(one) or "cannot be read"}
        end
    end
    parts.again(out, again, options.command)
    return parts.write(path, options.title or "Evaluation", options.data or "", out)
end

return evaluation
