--- `luxel report`: the page of a training run.
--
--     luxel report runs/first

local lx = require "luxel"
local options = require "luxel.command.options"

local command = {summary = "Writes the page of a training run: curves, recipe, model card."}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("run", "Folder of the run.")
    parser:option("--out", "File for the page (default: report.html in the folder).")
end

--- Runs the command.
---@param args table the options
function command.run(args)
    print("report in " .. options.must(lx.report.run(args.run, {out = args.out})))
    print(options.NOTICE)
end

return command
