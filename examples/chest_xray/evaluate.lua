--- How good a trained model is on a folder of labelled radiographs.
--
--     lua5.4 evaluate.lua --model runs/first/best.safetensors --data DIR
--
-- If DIR has a test/ folder, that is what is evaluated. Images of patients that the model was trained on are left out.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local cjson = require "cjson"
local common = require "common"
local core = require "luxel.core"
local lx = require "luxel"

local parser = argparse("evaluate.lua", "How good a trained model is on labelled radiographs.", common.NOTICE)
parser:option("--model", "Model file that train.lua wrote."):count(1)
parser:option("--data", "Folder with NORMAL/ and PNEUMONIA/, alone or below test/ (default: drawn phantoms).")
common.add_device_option(parser)
parser:option("--json", "Write all figures to this file too.")
parser:option("--seed", "Of the resampling for the intervals.", "1"):convert(math.tointeger)
parser:option("--phantoms", "Number of phantoms to draw where there is no --data.", "300"):convert(math.tointeger)
local args = parser:parse()

local device, device_words = common.device(args.device)
local model = common.must(common.load_model(args.model, device))

-- Phantoms that no training has drawn: seeds of training runs are positive.
local PHANTOM_SEED <const> = -1

-- The images, and a sentence on which they are.
local function read_data()
    if not args.data then
        return lx.data.phantom {n = args.phantoms, size = model.size, seed = PHANTOM_SEED}, "phantoms drawn anew"
    end
    local frame = common.must(lx.data.image_folder(args.data))
    local test = frame:in_part("test")
    local what = "all of " .. args.data
    if #test > 0 then frame, what = test, args.data .. "/test" end
    local unseen, left_out = common.unseen(frame, model.metadata.trained_on or "")
    if #unseen == 0 then
        common.fail("the model was trained on all of these images; evaluating on them would say nothing about new ones")
    end
    if left_out > 0 then
        what = ("%s, without %d images of patients it was trained on. The %d left were most likely used to choose "
            .. "epoch and threshold: expect less on new images"):format(what, left_out, #unseen)
    end
    return common.load(unseen, model.size, false), what
end

local dataset, what = read_data()
local probabilities = common.probabilities(model, dataset)
local report = lx.metrics.report(probabilities, core.to_table(dataset.labels), {
    threshold = model.threshold, groups = dataset.groups, seed = args.seed,
})

print("model: " .. args.model)
print("device: " .. device_words)
print("images: " .. what)
print()
print(lx.metrics.format_report(report, common.LABELS))
print()
print(common.NOTICE)

if args.json then
    report.model, report.images, report.classes, report.notice = args.model, what, common.LABELS, common.NOTICE
    report.unreadable = #dataset.failed
    local encode = cjson.new()
    encode.encode_invalid_numbers("null")
    local ok, message = core.write_file(args.json, {encode.encode(report), "\n"})
    if not ok then common.fail(message) end
end
