--- How well the class can be guessed from the border of an image, where there is no lung: `lx.data.border_probe`.

local args = require "luxel.args"
local linear_probe = require "luxel.data.linear_probe"
local namespace = require "luxel.namespace"
local reduced = require "luxel.data.reduced"

---@class luxel.BorderProbe
---@field name string the class that the border tells best
---@field against string what it is told from: the other of two classes, or all others
---@field auc number of the cross-validated logits
---@field low number? 95 % interval, by a bootstrap of patients
---@field high number?
---@field logits number[] of each image, by a probe that was fitted without the image's patient
---@field each {name: string, against: string, auc: number, low: number?, high: number?, logits: number[]}[] the same of
---  every class; of two classes there is one, the second
---@field private fitted table<string, luxel.LinearProbe>
local BorderProbe = namespace.class("BorderProbe", {}, {"low", "high"})

args.type("border_probe", "a probe of lx.data.border_probe", "table", function(value)
    return getmetatable(value) == BorderProbe
end)

local DEFAULTS <const> = {seed = 1, resamples = 1000}

--- What a class is told from, in the words of a warning.
---@param one table name, against, auc, low, high
---@return string
local function words_of(one)
    return ("%s from %s: AUC %.3f%s"):format(one.name, one.against, one.auc,
        one.low and (" [%.3f, %.3f]"):format(one.low, one.high) or "")
end

--- A linear classifier on the outer border alone: the image is brought to 28 x 28, and the outermost three pixels (as
--- six of 56), standardised, go into a logistic regression with a ridge. No lung is there, so whatever it knows of the
--- class is known from the device, the collimation, or how the patient was laid. Of several classes each is told from
--- the rest; those with fewer than ten patients are left out.
---@param images Dataset|Frame with labels; patients are kept together where they are known
---@param options? {seed: integer?, resamples: integer?} seed: of folds and bootstrap, default 1; resamples: default
---  1000
---@return luxel.BorderProbe? probe nil, message, code where a class has fewer than ten patients, or a file cannot be
---  read
---@return string? message, string? code
local function border_probe(images, options)
    local opts = args.with_defaults(options, DEFAULTS)
    if images.task == "segmentation" or images.task == "detection" then
        args.fail("border_probe: images: expected images with classes or labels, got %s",
            images.task == "detection" and "boxes" or "masks")
    end
    if #images == 0 then return nil, "border_probe: there are no images", "format" end
    local x, message, code = reduced.of(images, "border_probe")
    if not x then return nil, message, code end
    x = reduced.border(x)
    local labels, groups = reduced.columns(images)
    local targets = linear_probe.targets(images.task, images.classes, labels)
    local each, problem = linear_probe.judge(x, targets, groups, {seed = opts.seed, n = opts.resamples})
    if not each then return nil, "border_probe: " .. problem, "format" end
    local worst, fitted = linear_probe.worst(each), {}
    for _, target in ipairs(targets) do
        for _, one in ipairs(each) do
            if one.name == target.name then fitted[one.name] = linear_probe.fit(x, target.labels) end
        end
    end
    return setmetatable({
        name = worst.name, against = worst.against, auc = worst.auc, low = worst.low, high = worst.high,
        logits = worst.logits, each = each, fitted = fitted,
    }, BorderProbe)
end

--- The logits of other images, by the probe that was fitted to all images it was made of: how much of a network's logit
--- on them goes along with the border's.
---@param images Dataset|Frame of which labels are not needed
---@param name? string a class of `each`; default the one that the border tells best
---@return number[]? logits of that class
---@return string? message, string? code where a file of a frame cannot be read
function BorderProbe:score(images, name)
    name = name or self.name
    local fitted = self.fitted[name]
    if not fitted then
        local names = {}
        for i, one in ipairs(self.each) do names[i] = one.name end
        args.fail("BorderProbe:score: name: expected one of %s, got %s", table.concat(names, ", "), args.describe(name))
    end
    if #images == 0 then return {} end
    local x, message, code = reduced.of(images, "BorderProbe:score")
    if not x then return nil, message, code end
    return linear_probe.score(fitted, reduced.border(x))
end

function BorderProbe:__tostring() return "the border alone tells " .. words_of(self) end

args.publish("BorderProbe:", BorderProbe, {score = "probe: border_probe, images: dataset|frame, name: text?"})

return {
    border_probe = args.public("border_probe",
        "images: dataset|frame, options: {seed: integer?, resamples: integer(1..1000000)?}?", border_probe),
    words_of = words_of,
}
