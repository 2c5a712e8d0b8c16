--- `luxel devices`: what there is to compute on.

local lx = require "luxel"
local options = require "luxel.command.options"

local devices = {summary = "Lists what there is to compute on, and why there is no more."}

--- Adds the options of the command.
function devices.options(parser) parser:flag("--json", "Print an object for each device in a line.") end

--- Runs the command.
---@param args table the options
function devices.run(args)
    local found = lx.devices()
    if not args.json then return print(found) end
    for _, device in ipairs(found) do
        local fields = {}
        for name, value in pairs(device) do
            if type(value) ~= "table" and type(value) ~= "function" then fields[name] = value end
        end
        print(options.json(fields))
    end
end

return devices
