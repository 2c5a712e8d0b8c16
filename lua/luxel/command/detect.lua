--- `luxel detect`: finds objects, by boxes. Its parts train a detector, judge one, and ask one.
--
--     luxel detect train --data boxes.csv --images films --out runs/boxes
--     luxel detect evaluate --model runs/boxes/best.safetensors --data other.csv --images films
--     luxel detect predict --model runs/boxes/best.safetensors film.dcm --out pictures

local options = require "luxel.command.options"

local detect = {summary = "Finds objects by boxes: trains a detector, judges one, asks one."}

--- The parts in the order in which they are listed.
detect.PARTS = {"train", "evaluate", "predict"}

--- The module of a part, as of a command.
---@param name string of `PARTS`
---@return {summary: string, options: fun(parser: table), run: fun(args: table): integer?}
function detect.part(name) return require("luxel.command.detect_" .. name) end

--- Adds the parts of the command, with their options.
---@return table[] parsers of the parts
function detect.options(parser)
    local parts = {}
    parser:command_target "part"
    for i, name in ipairs(detect.PARTS) do
        local module = detect.part(name)
        parts[i] = parser:command(name, module.summary, options.NOTICE)
        module.options(parts[i])
    end
    return parts
end

--- Runs the part that the command line names.
---@param args table the options
---@return integer status
function detect.run(args) return detect.part(args.part).run(args) end

return detect
