--- Named options of the data functions: defaults filled in, misspelt names refused.

--- A table of every option of `defaults`, with what `given` says. `UNSET` stands for "no default".
local options = {UNSET = {}}

---@param caller string the function's name, for the message
---@param given table? what the user passed
---@param defaults table<string, any>
---@param level? integer which caller the error points at, as in `error`; default 3
---@return table
function options.read(caller, given, defaults, level)
    if given ~= nil and type(given) ~= "table" then
        error(("%s: options expects a table, got %s"):format(caller, type(given)), level or 3)
    end
    local out = {}
    for name, value in pairs(defaults) do
        if value ~= options.UNSET then
            out[name] = value
        end
    end
    for name, value in pairs(given or {}) do
        if defaults[name] == nil then
            local known = {}
            for k in pairs(defaults) do
                known[#known + 1] = k
            end
            table.sort(known)
            error(("%s: there is no option '%s'; it takes %s"):format(caller, tostring(name),
                table.concat(known, ", ")), level or 3)
        end
        out[name] = value
    end
    return out
end

--- Raises unless `value` is a number of [low, high], an integer where `integer` is set.
function options.check_number(caller, name, value, low, high, integer, level)
    local good = type(value) == "number" and value >= low and value <= high
        and (not integer or math.tointeger(value))
    if not good then
        error(("%s: %s expects %s from %g to %g, got %s"):format(caller, name,
            integer and "an integer" or "a number", low, high, tostring(value)), level or 3)
    end
end

return options
