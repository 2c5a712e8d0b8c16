--- The page of a training run: its curves, its recipe and its model.

local checkpoint = require "luxel.checkpoint"
local csv = require "luxel.io.csv"
local lfs = require "lfs"
local page = require "luxel.page"
local parts = require "luxel.report.parts"
local schema = require "luxel.schema"

local run = {}

-- The words of columns of the log.
local WORDS <const> = {
    val_ap50 = "AP50", val_froc = "mean sensitivity (FROC)", loss_coordinates = "coordinates",
    loss_with_object = "objectness of objects", loss_without_object = "objectness of the rest",
    loss_classes = "classes", val_auc = "AUC", val_accuracy = "accuracy", val_dice = "Dice", val_iou = "IoU",
    val_loss = "validation", loss = "training",
}

-- Columns of log.csv as numbers, NaN where there is none: {epoch = {...}, ...} and the names in order.
local function read_log(path)
    local rows, names, code = csv.read(path)
    if not rows then return nil, names, code end
    local columns = {}
    for _, name in ipairs(names) do
        columns[name] = {}
        for i, row in ipairs(rows) do columns[name][i] = tonumber(row[name]) or 0 / 0 end
    end
    if not columns.epoch or not columns.loss then
        return nil, path .. ": it has no columns epoch and loss, as the log of a run has", "format"
    end
    return columns, names
end

local function line(log, column, name)
    return {kind = "line", x = log.epoch, y = log[column], name = name or WORDS[column] or column, markers = true}
end

local function plots_of(log, names, best)
    local losses = {line(log, "loss")}
    if log.val_loss then losses[2] = line(log, "val_loss") end
    local plots, figures = {{layers = losses, options = {title = "Loss", x = "epoch", y = "loss"}}}, {}
    for _, name in ipairs(names) do
        if name:find("^val_") and name ~= "val_loss" then
            figures[#figures + 1] = line(log, name, WORDS[name] or name:sub(5))
        end
    end
    local terms = {}
    for _, name in ipairs(names) do
        if name:find("^loss_") then terms[#terms + 1] = line(log, name) end
    end
    if #terms > 0 then
        plots[#plots + 1] = {layers = terms, options = {title = "Loss by term", x = "epoch", y = "loss"}}
    end
    if #figures > 0 then
        plots[#plots + 1] = {
            layers = figures, options = {title = "On the validation images", x = "epoch", y = "share"},
            words = best and ("Best epoch: %d."):format(best) or nil,
        }
    end
    for _, one in ipairs {
        {"threshold", "Threshold", "probability"}, {"learning_rate", "Learning rate", "learning rate", true},
        {"images_per_second", "Speed", "images per second"},
    } do
        local column, any, positive = log[one[1]], false, true
        for _, value in ipairs(column or {}) do
            any = any or value == value
            positive = positive and value > 0
        end
        if any then
            plots[#plots + 1] = {
                layers = {line(log, one[1])},
                options = {title = one[2], x = "epoch", y = one[3], log_y = one[4] and positive, legend = false},
            }
        end
    end
    return plots
end

local function recipe(out, training)
    if not training or not training.recipe then return end
    page.section(out, "Recipe", "What has to be the same for the run to be gone on with.")
    local names, rows = {}, {}
    for name in pairs(training.recipe) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do rows[i] = {name, training.recipe[name]} end
    parts.table(out, {}, rows, true)
end

local function metadata_of(path)
    if lfs.attributes(path, "mode") ~= "file" then return nil end
    local tensors, metadata, code = checkpoint.load(path)
    if not tensors then return nil, metadata, code end
    local ok, mistake = schema.check(metadata)
    if not ok then return nil, path .. ": " .. mistake, "format" end
    return metadata
end

--- Writes the page. Returns its path, or nil, message, code.
---@param folder string
---@param options {out: string?, command: string?}
---@return string? path, string? message, string? code
function run.write(folder, options)
    folder = folder:gsub("(.)/+$", "%1")
    if lfs.attributes(folder .. "/log.csv", "mode") ~= "file" then
        return nil, folder .. ": there is no run in this folder: no log.csv", "io"
    end
    local log, names, code = read_log(folder .. "/log.csv")
    if not log then return nil, names, code end
    local best, message, problem = metadata_of(folder .. "/best.safetensors")
    if message then return nil, message, problem end
    local last = metadata_of(folder .. "/last.safetensors") -- not wanted: the curves are there without it
    local described, out, epochs = best or last, {}, #log.epoch
    parts.notice(out)
    local cards = {page.card(epochs, "epochs"), page.card(best and best.epoch or "n/a", "best epoch")}
    for _, name in ipairs(names) do
        local value = name:find("^val_") and best and best.metrics and best.metrics[name]
        if value then cards[#cards + 1] = page.card(parts.number(value, 4), "validation "
            .. page.escape(WORDS[name] and name ~= "val_loss" and WORDS[name] or name:sub(5))) end
    end
    local seconds = 0
    for _, value in ipairs(log.seconds or {}) do seconds = seconds + (value == value and value or 0) end
    cards[#cards + 1] = page.card(("%d:%02d"):format(seconds // 60, math.floor(seconds % 60)), "minutes")
    out[#out + 1] = '<div class="cards">' .. table.concat(cards) .. "</div>"
    page.section(out, "Curves", "%s", "Epoch, threshold and calibration were chosen on the validation images, which "
        .. "makes their figures better than those of new images: luxel evaluate --report shows these.")
    if epochs == 0 then out[#out + 1] = "<p>No epoch is done yet.</p>" else parts.plots(out, plots_of(log, names,
        best and best.epoch)) end
    if described then parts.model_card(out, described, {}) end
    recipe(out, last and last.training)
    parts.checklist(out, {
        {"Model, its input and output, first weights", "Model card"},
        {"Training: augmentation, optimiser, schedule, how the best was chosen", "Recipe, Model card"},
        {"Software", "To get the same again"},
        {"Performance on images that nothing was chosen on", "not here: luxel evaluate --report"},
    })
    local again = {{"Folder", folder}}
    if described then
        again[#again + 1] = {"Seed", described.seed}
        again[#again + 1] = {"Trained with", "Luxel " .. described.version}
    end
    for _, name in ipairs {"best.safetensors", "last.safetensors"} do
        again[#again + 1] = {name, parts.checksum(folder .. "/" .. name) or "not there"}
    end
    parts.again(out, again, options.command)
    local path = options.out or folder .. "/report.html"
    local ok
    ok, message, code = parts.write(path, "Training run " .. (folder:match("[^/]+$") or folder), folder, out)
    if not ok then return nil, message, code end
    return path
end

return run
