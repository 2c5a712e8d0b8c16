--- The command `luxel`, and its parts as programs: `bin/luxel train` and `examples/chest_xray/train.lua` are the same.
--
-- A command is a module in this folder: {summary, options = function(parser), run = function(args): status}. Where it
-- has commands of its own, `options` returns their parsers.

local argparse = require "argparse"
local core = require "luxel.core"
local options = require "luxel.command.options"
local version = require "luxel.version"

local command = {}

--- The commands in the order in which they are listed.
command.NAMES = {
    "audit", "train", "shift", "crop", "evaluate", "compare", "predict", "detect", "study", "anomaly", "adapt",
    "report", "label-reports", "search-reports", "weights", "devices", "bench", "repl",
}

local SUMMARY <const> = "Learns from labelled radiographs, answers for new ones, and says how sure it is."

local function load(name) return require("luxel.command." .. (name:gsub("-", "_"))) end

local function is_command(name)
    for _, known in ipairs(command.NAMES) do
        if known == name then return true end
    end
end

-- The parser of one command by itself.
local function parser_of(name, title)
    local module = load(name)
    local parser = argparse(title, module.summary, options.NOTICE)
    return parser, module, module.options(parser)
end

--- The parser of all commands, for help and completion.
---@return table parser of argparse
function command.parser()
    local parser = argparse("luxel", SUMMARY, options.NOTICE)
    parser:command_target "command"
    parser:flag("--version", "Print the version."):action(function()
        print("luxel " .. version)
        os.exit(0, true)
    end)
    parser:add_complete()
    for _, name in ipairs(command.NAMES) do
        local module = load(name)
        module.options(parser:command(name, module.summary))
    end
    return parser
end

--- A page for `man`, from the parsers' own help.
---@return string troff
function command.manual()
    local out = {
        '.TH LUXEL 1 "" "luxel ' .. version .. '" ""', ".SH NAME", "luxel \\- " .. SUMMARY, ".SH SYNOPSIS",
        ".B luxel", ".I COMMAND", "[\\fIoptions\\fR]", ".SH COMMANDS",
    }
    for _, name in ipairs(command.NAMES) do
        local parser, module, parts = parser_of(name, "luxel " .. name)
        local texts = {parser:get_help()}
        for _, part in ipairs(parts or {}) do texts[#texts + 1] = part:get_help() end
        local help = table.concat(texts, "\n"):gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n([.'])", "\n\\&%1")
        out[#out + 1] = (".SS luxel %s\n%s\n.nf\n%s\n.fi"):format(name, module.summary, help)
    end
    out[#out + 1] = ".SH NOTICE\n" .. options.NOTICE
    return table.concat(out, "\n") .. "\n"
end

--- Runs a command and returns its exit status. Usage errors and `--help` end the process, as argparse does.
---@param name string of `NAMES`
---@param words string[] the rest of the command line
---@param title string? what the program is called, default "luxel NAME"
---@return integer status
function command.run(name, words, title)
    local parser, module = parser_of(name, title or "luxel " .. name)
    local args = options.parse(parser, words)
    return options.guard(function() return module.run(args) end)
end

--- Runs a program that is one command.
---@param name string of `NAMES`
function command.program(name)
    core.end_on_signals()
    os.exit(command.run(name, arg, name .. ".lua"), true)
end

--- Runs the command line of `luxel`.
---@param words string[]
function command.main(words)
    core.end_on_signals()
    local name = words[1]
    if is_command(name) then os.exit(command.run(name, table.move(words, 2, #words, 1, {})), true) end
    command.parser():parse(words)
end

return command
