--- `luxel weights`: pretrained weights from elsewhere, fetched when that is asked for, checked, and put where networks
--- find them.
--
--     luxel weights efficientnet-lite0 --to weights

local lfs = require "lfs"
local options = require "luxel.command.options"
local weights = require "luxel.models.weights"

local command = {summary = "Fetches pretrained weights."}

--- Adds the options of the command.
function command.options(parser)
    parser:argument("name", "Which: " .. table.concat(weights.names(), ", ") .. " (default: tells what there is).")
        :args("?"):choices(weights.names())
    parser:option("--file", "Take this file, a package or weights that were fetched before, and fetch nothing.")
    parser:option("--to", "Folder for the weights (default: LUXEL_WEIGHTS, or luxel in XDG_DATA_HOME or "
        .. "~/.local/share).")
end

local function tell(folder)
    for _, name in ipairs(weights.names()) do
        local known, path = weights.KNOWN[name], weights.path(name, folder)
        print(("%s: %s; %s %s, %s\n  %s%s"):format(name, known.words, known.package, known.version, known.licence, path,
            lfs.attributes(path, "mode") == "file" and "" or " (not fetched yet)"))
    end
end

--- Runs the command.
---@param args table the options
function command.run(args)
    local folder = args.to or options.must(weights.folder())
    if not args.name then
        if args.file then
            options.fail("--file: say which weights they are: " .. table.concat(weights.names(), ", "))
        end
        return tell(folder)
    end
    local function place()
        if args.file then return weights.take(args.name, args.file, folder) end
        return weights.fetch(args.name, folder)
    end
    local path, network = options.must(place()), weights.KNOWN[args.name].network
    print(path)
    print(("for lx.models.%s {pretrained = %q}, or luxel train --model %s --pretrained %s"):format(network, path,
        network, path))
end

return command
