--- What metrics cost: seconds of 10,000 resamples of 5,000 scores, of their report, and of DeLong's test, a Markdown
--- table.
--
--     lua5.4 bench/statistics.lua [SCORES [RESAMPLES]]

local core = require "luxel.core"
local lx = require "luxel"
local random = require "luxel.random"

local metrics = lx.metrics

local n, resamples = tonumber(arg[1] or 5000), tonumber(arg[2] or 10000)

local stream, a, b, labels, groups = random.stream(1), {}, {}, {}, {}
for i = 1, n do
    labels[i] = stream:uniform(0, 1) < 0.3 and 1 or 0
    local logit = stream:normal() + 2 * labels[i] - 1.5
    a[i], b[i] = 1 / (1 + math.exp(-2 * logit)), 1 / (1 + math.exp(-logit + stream:normal() / 2))
    groups[i] = i // 2
end

-- The median of five turns.
local function seconds(f)
    local turns = {}
    for turn = 1, 5 do
        local start = core.now()
        f()
        turns[turn] = core.now() - start
    end
    table.sort(turns)
    return turns[3]
end

print(("| %d scores, two of a patient | s |\n|---|---|"):format(n))
local function row(words, f) print(("| %s | %.3f |"):format(words, seconds(f))) end

for _, name in ipairs {"auc", "sensitivity", "mcc", "average_precision", "brier", "aurc"} do
    row(("%d resamples, %s"):format(resamples, name), function()
        assert(metrics.bootstrap(metrics[name], a, labels, {groups = groups, n = resamples}))
    end)
end
row(("%d pairs of resamples, auc"):format(resamples), function()
    assert(metrics.paired_bootstrap(metrics.auc, a, b, labels, {groups = groups, n = resamples}))
end)
row("DeLong's test", function() assert(metrics.delong_test(a, b, labels)) end)
row("report", function() assert(metrics.report(a, labels, {groups = groups})) end)
