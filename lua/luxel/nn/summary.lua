--- `nn.summary`: what each layer of a network makes, holds and costs.

local args = require "luxel.args"
local lx = require "luxel"
local check = require "luxel.nn.check"

-- How many numbers the parameters that a module holds itself have, without those of the modules inside.
local function own_parameters(module)
    local count = 0
    for name, parameter in module:named_parameters() do
        if not name:find(".", 1, true) then count = count + parameter:numel() end
    end
    return count
end

-- Runs the network once in eval mode, unrecorded, with a hook on every module that has no modules inside, or has
-- parameters beside theirs.
local function trace(net, input)
    local rows, removers, modes = {}, {}, {}
    local _ <close> = setmetatable({}, {__close = function()
        for _, remove in ipairs(removers) do remove() end
        for module, training in pairs(modes) do module.training = training end
    end})
    for name, module in net:named_modules() do
        modes[module] = module.training
        local parameters = own_parameters(module)
        if #module:children() == 0 or parameters > 0 then
            removers[#removers + 1] = module:register_forward_hook(function(_, arguments, results)
                local output = results[1]
                rows[#rows + 1] = {
                    name = name, layer = module:describe(), module = module,
                    shape = type(output) == "userdata" and output.shape or nil,
                    parameters = parameters,
                    multiply_adds = module.multiply_adds and module:multiply_adds(arguments[1], output) or 0,
                }
            end)
        end
    end
    net:eval()
    lx.no_grad(net, input)
    return rows
end

local function format_table(lines)
    local widths = {}
    for _, line in ipairs(lines) do
        for i, text in ipairs(line) do widths[i] = math.max(widths[i] or 0, #text) end
    end
    local out = {}
    for n, line in ipairs(lines) do
        local cells = {}
        for i, text in ipairs(line) do
            local pad = (" "):rep(widths[i] - #text)
            cells[i] = i <= 3 and text .. pad or pad .. text
        end
        out[n] = (table.concat(cells, "  "):gsub("%s+$", ""))
    end
    local total = #lines[1] * 2 - 2
    for _, width in ipairs(widths) do total = total + width end
    table.insert(out, 2, ("-"):rep(total))
    table.insert(out, #out, ("-"):rep(total))
    return table.concat(out, "\n")
end

local Summary = {__name = "Summary"}
Summary.__index = Summary

function Summary:__tostring()
    local commas = check.commas
    local lines = {{"name", "layer", "output", "parameters", "multiply-adds"}}
    for _, row in ipairs(self.rows) do
        lines[#lines + 1] = {
            row.name, row.layer, row.shape and check.shape_text(row.shape) or "-", commas(row.parameters),
            commas(row.multiply_adds),
        }
    end
    lines[#lines + 1] = {"total", "", "", commas(self.parameters), commas(self.multiply_adds)}
    return format_table(lines)
end

--- Runs the network on zeros of the given shape and tables, for every layer without children and every module with
--- parameters beside those of its children, the shape it makes, its own parameters and its multiply-adds (of
--- convolutions and linear layers, for the whole batch). Print it to see it.
---@param net Module
---@param shape integer[] of the input, with the batch: `{1, 1, 224, 224}`
---@param options {dtype: string}? of the input, "float32"
---@return {rows: table[], parameters: integer, multiply_adds: integer} summary rows hold name, layer, shape,
--- parameters and multiply_adds; the total counts shared parameters once
return args.public("summary", "net: module, shape: integer(0..)[], options: {dtype: \"float32\"|\"int32\"?}?",
    function(net, shape, options)
        local first = net:parameters()[1]
        local dtype = options and options.dtype or "float32"
        local make = dtype == "int32" and lx.ones or lx.zeros -- ones: an index that every embedding has
        local rows = trace(net, make(shape, {dtype = dtype, device = first and first.device}))
        local total = 0
        for _, row in ipairs(rows) do
            total = total + row.multiply_adds
            row.module = nil
        end
        return setmetatable({rows = rows, parameters = net:count_parameters(), multiply_adds = total}, Summary)
    end)
