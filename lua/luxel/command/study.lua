--- `luxel study`: what a model finds in one film, where that comes from, and what its reader may do about it.
--
--     luxel study film.dcm --model findings.safetensors --suggest --age 61 --report film.html --json film.json

local core = require "luxel.core"
local lx = require "luxel"
local options = require "luxel.command.options"
local study = require "luxel.report.study"

local command = {summary = "Reports on one radiograph: findings, doubt, heat maps, suggestions."}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("image", "Image file (" .. table.concat(lx.vision.formats, ", ") .. ")."):args("?")
    options.add_model(parser, true)
    parser:flag("--tta", "Takes the mean over mirrored and slightly moved views of the image.")
    options.add_device(parser)
    parser:option("--suggest", "Adds suggestions for the reader, by a file of rules; by default those of Luxel "
        .. "(lua/luxel/report/suggestions.rules), which may be copied and changed."):args("?"):argname("RULES")
    parser:option("--age", "Age of the patient in years, which some rules ask for (default: that in the header of a "
        .. "DICOM file)."):convert(function(text)
        local age = tonumber(text)
        if age and age >= 0 and age <= 150 then return age end
        return nil, ("--age: expected years from 0 to 150, got '%s'"):format(text)
    end)
    parser:option("--urgency", "How urgent the request is, which some rules ask for."):choices {"routine", "urgent"}
    parser:option("--explain", "Method of lx.explain for the heat maps, or none; by default grad_cam where the network "
        .. "averages its last maps, and else layer_cam."):choices(
        table.move(lx.explain.METHODS, 1, #lx.explain.METHODS, 2, {"none"}))
    options.add_number(parser, "--maps", "Heat maps at most: of the findings that are said to be there, or else of the "
        .. "likeliest.", 3, 0, 100, true)
    parser:option("--report", "Write a page to this file: HTML that needs nothing else. It shows the film.")
    parser:option("--json", "Write all of it to this file too.")
end

-- What other programs read: the same without pictures.
local function as_json(found)
    local quality, reasons = options.list {}, options.list {}
    for i, one in ipairs(found.quality) do quality[i] = {code = one.code, message = one.message} end
    for i, one in ipairs(found.reasons) do reasons[i] = {code = one.code, message = one.message} end
    local said = found.suggestions
    return options.json {
        path = found.path, model = found.model, task = found.task,
        label = found.label, findings = study.plain(found.findings, true), quality = quality, reasons = reasons,
        age = found.age, age_of = found.age_of, sex = found.sex, view = found.view,
        urgency = found.urgency, notice = found.notice,
        suggestions = said and {
            rules = said.rules, notice = said.notice, suggestions = options.list(said.suggestions),
            unjudged = options.list(said.unjudged), without_rule = options.list(said.without_rule),
        } or nil,
    }
end

--- Runs the command.
---@param args table the options
function command.run(args)
    if not args.image and args.suggest then -- "--suggest film.png" names no rules but the film
        args.image, args.suggest = args.suggest[1], {}
    end
    if not args.image then options.fail "name an image" end
    local rules
    if args.suggest then rules = options.must(lx.report.rules(args.suggest[1])) end
    if args.report and args.report == args.json then options.fail "--report and --json are two files, of one name" end
    local device, words = options.device(args.device)
    if device ~= "cpu" then io.stderr:write("computing on ", words, "\n") end
    local predictor = options.must(lx.predictor.open(options.models(args), {device = device, tta = args.tta}))
    if predictor.task == "segmentation" then
        options.fail "--model: it finds masks; luxel predict --masks writes them"
    elseif predictor.task == "detection" then
        options.fail "--model: it finds boxes; luxel detect predict tells them"
    end
    local found = options.must(lx.report.study(predictor, args.image, {
        explain = args.explain ~= "none" and args.explain, maps = args.maps, rules = rules, age = args.age,
        urgency = args.urgency,
    }))
    print(found)
    if args.json then options.must(core.write_file(args.json, {as_json(found), "\n"})) end
    if args.report then
        options.must(lx.report.write_study(args.report, found, {command = options.command_line()}))
        print("report in " .. args.report)
    end
end

return command
