--- Turns timings into Markdown: a table for each section, and the aims beside what was measured.

local report = {}

--- The middle value, or nil of none.
---@param values number[]?
---@return number?
function report.median(values)
    if not values or #values == 0 then return nil end
    local sorted = table.move(values, 1, #values, 1, {})
    table.sort(sorted)
    return sorted[#sorted // 2 + 1]
end

local median = report.median

-- How fast a case was: what a person compares.
local function speed(row, seconds)
    if row.images then return ("%.1f images/s (%.2f ms)"):format(row.images / seconds, seconds * 1e3) end
    if row.loops then return ("%.1f GB/s (%.2f ms)"):format(row.bytes / seconds / 1e9, seconds * 1e3) end
    if row.gflop then return ("%.0f GFLOP/s (%.2f ms)"):format(row.gflop / seconds, seconds * 1e3) end
    return ("%.1f ms"):format(seconds * 1e3)
end

--- What part of the machine's measured peak a case reaches, 0 to 1; nil where no peak was measured. Of what moves
--- memory, how long the loops of peak.c would take for the same bytes. Winograd may pass 1: operations are counted as
--- those of the plain sum.
function report.share(section, row)
    local seconds = median(row[1])
    if not seconds or not section.has_peak then return nil end
    if not row.loops then return row.gflop and row.gflop / seconds / median(section.peak.gflops) end
    local least = 0
    for loop, bytes in pairs(row.loops) do least = least + bytes / 1e9 / median(section.peak[loop]) end
    return least / seconds
end

--- What part of the bound of a training step it reaches: 3x3 convolutions at three times the peak (Winograd's F(4x4,
--- 3x3) on tiles as they are computed here), all else at the peak, and after that what has to be moved at the measured
--- bandwidth; nil where a case has none.
function report.share_of_bound(section, row)
    local seconds, bound = median(row[1]), row.bound
    if not seconds or not bound or not section.has_peak then return nil end
    local peak, bandwidth = median(section.peak.gflops), median(section.peak.stream)
    return (bound.winograd / (3 * peak) + bound.gflop / peak + bound.bytes / 1e9 / bandwidth) / seconds
end

local function has_bound(section)
    for _, row in pairs(section.rows) do
        if row.bound and section.has_peak then return true end
    end
    return false
end

--- How many times as fast as the peer Luxel is.
---@param side string the peer's key
function report.ratio(section, row, side)
    for i, peer in ipairs(section.sides) do
        local theirs, ours = median(row[i]), median(row[1])
        if peer.key == side and theirs and ours then return theirs / ours end
    end
end

--- Names of the cases, sorted.
function report.names(section)
    local names = {}
    for name in pairs(section.rows) do names[#names + 1] = name end
    table.sort(names)
    return names
end

local function percent(value) return value and ("%.0f %%"):format(100 * value) or "–" end

local function line(cells) return "| " .. table.concat(cells, " | ") .. " |" end

local function case_line(section, name, row)
    local cells = {name}
    for i in ipairs(section.sides) do
        local seconds = median(row[i])
        cells[#cells + 1] = seconds and speed(row, seconds) or "–"
        if i == 1 and section.has_peak then cells[#cells + 1] = percent(report.share(section, row)) end
        if i == 1 and has_bound(section) then cells[#cells + 1] = percent(report.share_of_bound(section, row)) end
    end
    for i = 2, #section.sides do
        local ratio = report.ratio(section, row, section.sides[i].key)
        cells[#cells + 1] = ratio and ("%.2f"):format(ratio) or "–"
    end
    return line(cells)
end

local function memory_line(section)
    local cells, ours = {"peak memory (and share of the peer's)"}, median(section.memory[1])
    for i in ipairs(section.sides) do
        local mb = median(section.memory[i])
        cells[#cells + 1] = mb and ("%.0f MB"):format(mb) or "–"
        if i == 1 and section.has_peak then cells[#cells + 1] = "" end
        if i == 1 and has_bound(section) then cells[#cells + 1] = "" end
    end
    for i = 2, #section.sides do
        local mb = median(section.memory[i])
        cells[#cells + 1] = mb and ("%.2f"):format(ours / mb) or "–"
    end
    return line(cells)
end

--- The lines of a section's table.
function report.table(section)
    local heads = {section.title}
    for i, side in ipairs(section.sides) do
        heads[#heads + 1] = side.title
        if i == 1 and section.has_peak then heads[#heads + 1] = "of the peak" end
        if i == 1 and has_bound(section) then heads[#heads + 1] = "of the bound" end
    end
    for i = 2, #section.sides do heads[#heads + 1] = "speed against " .. section.sides[i].title end
    local lines = {"", line(heads), "|" .. ("---|"):rep(#heads)}
    for _, name in ipairs(report.names(section)) do
        lines[#lines + 1] = case_line(section, name, section.rows[name])
    end
    if section.memory[1] then lines[#lines + 1] = memory_line(section) end
    return lines
end

-- From the least to the largest quotient of two sides' turns.
local function spread(theirs, ours)
    local low, high = math.huge, 0
    for i, value in ipairs(ours) do low, high = math.min(low, theirs[i] / value), math.max(high, theirs[i] / value) end
    return low, high
end

--- Of cases that note what processors did: how far the quotients of single turns are from each other, and the quotient
--- of the times of processors.
function report.turns(section)
    local lines = {}
    for _, name in ipairs(report.names(section)) do
        local row = section.rows[name]
        local ours = row.processor and row.processor[1]
        if ours and #ours > 0 then
            lines[#lines + 1] = ("- %s: %.3g s of processors"):format(name, median(ours))
            for i = 2, #section.sides do
                local theirs = row.processor[i]
                local low, high = spread(row[i], row[1])
                lines[#lines + 1] = ("  - %s: speed of single turns %.2f to %.2f times as large; %.3g s of processors, "
                    .. "%.2f times as many"):format(section.sides[i].title, low, high, median(theirs),
                    median(theirs) / median(ours))
            end
        end
    end
    if #lines > 0 then table.insert(lines, 1, "") end
    return lines
end

-- ---- aims -----------------------------------------------------------------------------------------------------

-- The least of `figure(section, row, name)` over the cases of a section, and the case.
local function least(section, figure)
    local lowest, where
    for _, name in ipairs(report.names(section)) do
        local value = figure(section, section.rows[name], name)
        if value and (not lowest or value < lowest) then lowest, where = value, name end
    end
    return lowest, where
end

local function against(side, pattern)
    return function(section)
        return least(section, function(_, row, name)
            return name:find(pattern) and report.ratio(section, row, side) or nil
        end)
    end
end

-- 3×3 layers of 32 to 128 channels in and out, without groups.
local function against_dnnl(direction)
    return function(section)
        return least(section, function(_, row, name)
            local cin, cout = name:match("^(%d+)→(%d+) 3×3 at %d+ " .. direction .. "$")
            if not cin or tonumber(cin) < 32 or tonumber(cout) > 128 then return nil end
            return report.ratio(section, row, "dnnl")
        end)
    end
end

local function memory_share(section)
    for i, peer in ipairs(section.sides) do
        local ours, theirs = median(section.memory[1]), median(section.memory[i])
        if peer.key == "torch" and ours and theirs then return theirs / ours end
    end
end

-- The layers of cnn, which has no groups and no 1×1.
local function against_cpu(section)
    return least(section, function(_, row, name)
        return not name:find("groups") and not name:find("1×1") and report.ratio(section, row, "cpu") or nil
    end)
end

local function bandwidth(family)
    return function(section)
        return least(section, function(_, row) return row.family == family and report.share(section, row) or nil end)
    end
end

local AIMS <const> = {
    {"step", "cnn training step, batch 32, 2 threads, against tuned PyTorch", 1.5, against("torch", "^train")},
    {"step", "memory of PyTorch over memory of Luxel", 2, memory_share},
    {"step", "cnn inference, batch 32", 1.5, against("torch", "^inference, batch 32")},
    {"step", "cnn inference, batch 1", 2, against("torch", "^inference, batch 1$")},
    {"resnet18", "ResNet-18 training step, batch 8", 1.3, against("torch", "^train")},
    {"start", "process start to an answer, against `import torch`", 20, against("torch", "")},
    {"cnn", "3×3 layers, forward, against oneDNN direct (0.95 without Winograd)", 1.4, against_dnnl("forward")},
    {"cnn", "3×3 layers, backward data", 1.4, against_dnnl("backward data")},
    {"cnn", "3×3 layers, backward weight", 1.4, against_dnnl("backward weight")},
    {"cnn", "depthwise 3×3, 128 channels at 56, against oneDNN", 1.5, against("dnnl", "groups 128")},
    {"memory", "elementwise, share of the bandwidth", 0.8, bandwidth("elementwise")},
    {"memory", "pooling, share of the bandwidth", 0.8, bandwidth("pooling")},
    {"memory", "normalisation, share of the bandwidth", 0.8, bandwidth("normalisation")},
    {"memory", "optimiser step, share of the bandwidth", 0.8, bandwidth("optimiser")},
    {"step", "OpenCL on the processor: cnn training step against the cpu device", 0.9, against("cpu", "^train")},
    {"cnn", "OpenCL on the processor: layers of cnn against the cpu device", 0.85, against_cpu},
    {"yolov2_tiny", "YOLOv2-tiny, 416, batch 1, against OpenVINO in float32", 1.5, against("openvino", "^inference")},
    {"yolov2", "YOLOv2 training step, 416, batch 8, against tuned PyTorch", 1.5, against("torch", "^train")},
    {"nms", "suppression of 10,000 boxes, of 5 ms", 1, function(section)
        local _, row = next(section.rows)
        return row and 5e-3 / median(row[1])
    end},
    {"threads", "two threads against one", 1.9, against("one", "")},
}

--- The lines that compare the aims with what was measured; empty if nothing of it was.
---@param sections table<string, table> by key
function report.aims(sections)
    local lines = {}
    for _, aim in ipairs(AIMS) do
        local key, text, bar, figure = table.unpack(aim)
        local value, where
        if sections[key] then value, where = figure(sections[key]) end
        if value then
            lines[#lines + 1] = line {text, ("≥ %g"):format(bar),
                ("%.2f%s"):format(value, where and (" (%s)"):format(where) or ""), value >= bar and "met" or "missed"}
        end
    end
    if #lines == 0 then return lines end
    return {"", "## Aims", "", "Where several cases count, the figure is that of the slowest.", "",
        line {"aim", "bar", "figure", ""}, "|---|---|---|---|", table.unpack(lines)}
end

return report
