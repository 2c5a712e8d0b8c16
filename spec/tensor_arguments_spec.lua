--- Every public function and method of tensors, with each of its arguments replaced by what does not belong there: the
-- call works, or raises at the caller's line a message that begins with the function's name.

local lx = require "luxel"
local args = require "luxel.args"
local declarations = require "luxel.tensor_declarations"

-- What a parameter is called with, by its name or, `FUNCTION.NAME`, for one function; fresh for every call.
local SAMPLES <const> = {
    t = function() return lx.tensor {{4, 1}, {3, 2}} end,
    dim = function() return 1 end, index = function() return lx.tensor({{1, 2}, {2, 1}}, {dtype = "int32"}) end,
    mask = function() return lx.tensor({{1, 0}, {1, 1}}, {dtype = "uint8"}) end,
    condition = function() return lx.tensor({{1, 0}, {1, 1}}, {dtype = "uint8"}) end,
    other = function() return lx.ones(2, 2) end, source = function() return lx.ones(2, 2) end,
    value = function() return 1 end, target = function() return "int32" end, parts = function() return {lx.ones(2)} end,
    shape = function() return {2, 2} end, bytes = function() return ("\0"):rep(16) end,
    values = function() return {1, 2} end,
    f = function()
        return function(x) return (select(2, pcall(function() return x * 2 end))) end
    end,
    inputs = function() return {lx.ones({2}, {requires_grad = true})} end, equation = function() return "ij->ji" end,
    q = function() return 0.5 end, p = function() return 2 end, k = function() return 1 end,
    n = function() return 3 end,
    low = function() return 0 end, high = function() return 2 end, start = function() return 1 end,
    length = function() return 1 end, size = function() return 1 end, count = function() return 2 end,
    shift = function() return 1 end, seed = function() return 1 end,
    ["index_select.index"] = function() return lx.tensor({2, 1}, {dtype = "int32"}) end,
    ["select.index"] = function() return 1 end,
    ["one_hot.t"] = function() return lx.tensor({1, 2}, {dtype = "int32"}) end,
    ["backward.t"] = function() return lx.ones({1}, {requires_grad = true}) * 2 end,
    ["item.t"] = function() return lx.ones(1) end,
    ["outer.a"] = function() return lx.ones(2) end, ["outer.b"] = function() return lx.ones(3) end,
    ["linspace.a"] = function() return 0 end, ["linspace.b"] = function() return 1 end,
    ["transpose.a"] = function() return 1 end, ["transpose.b"] = function() return 2 end,
    a = function() return lx.ones(2, 2) end, b = function() return lx.ones(2, 2) end,
    ["view...."] = function() return 4 end, ["reshape...."] = function() return 4 end,
    ["permute...."] = function() return {2, 1} end, ["expand...."] = function() return {2, 2} end,
    ["keep...."] = function() return lx.ones(2) end,
    ["tile...."] = function() return {1, 2} end, ["einsum...."] = function() return lx.ones(2, 2) end,
    ["..."] = function() return 2 end,
}

local function freed()
    local tensor = lx.ones(2)
    tensor:free()
    return tensor
end

local WRONG <const> = {
    {"nil", function() return nil end}, {"true", function() return true end}, {"a fraction", function() return 1.5 end},
    {"a string", function() return "x" end}, {"a string of digits", function() return "1" end},
    {"an empty table", function() return {} end}, {"a table of strings", function() return {"x"} end},
    {"a function", function() return type end}, {"NaN", function() return 0 / 0 end},
    {"infinity", function() return math.huge end}, {"a large number", function() return 1e300 end},
    {"a large integer", function() return 1 << 53 end}, {"the least integer", function() return math.mininteger end},
    {"the greatest integer", function() return math.maxinteger end}, {"zero", function() return 0 end},
    {"a large shape", function() return {1 << 40, 1 << 40} end},
    {"an unknown option", function() return {dimm = 1} end},
    {"a misspelt option", function() return {dtyp = "int32"} end},
    {"a table with a hole", function() return {nil, 2} end},
    {"a tensor", function() return lx.ones(3, 2, 2) end}, {"a freed tensor", freed},
    {"an empty tensor", function() return lx.zeros(0, 3) end}, {"a file", function() return io.stdout end},
    {"integers", function() return lx.tensor({{5, -1}}, {dtype = "int32"}) end},
}

local function is_optional(parameter) return parameter.type.optional end

-- The arguments of a call that works: those that may be left out are.
local function sample(name, parameters, rest)
    local values = {n = #parameters}
    for i, parameter in ipairs(parameters) do
        local make = SAMPLES[name .. "." .. parameter.name] or not is_optional(parameter) and SAMPLES[parameter.name]
        assert(make or is_optional(parameter), name .. " has no sample of " .. parameter.name)
        values[i] = make and make() or nil
    end
    if rest then
        values.n = values.n + 1
        values[values.n] = (SAMPLES[name .. "...."] or SAMPLES["..."])()
    end
    return values
end

local CALL_LINE <const> = debug.getinfo(1, "l").currentline + 2
local function call(f, values)
    f(table.unpack(values, 1, values.n))
end

-- Nil if the call worked or raised as it should, else what is wrong with the message.
local function problem(name, f, values)
    local ok, message = pcall(call, f, values)
    if ok then return nil, false end
    local line, text = tostring(message):match("tensor_arguments_spec%.lua:(%d+): (.*)$")
    if tonumber(line) ~= CALL_LINE then return "does not blame the caller's line: " .. tostring(message), true end
    if text:sub(1, #name + 1) ~= name .. ":" then return "does not begin with the name: " .. text, true end
    for _, words in ipairs {"bad argument", "attempt to", "lua/luxel/", "stack traceback"} do
        if text:find(words, 1, true) then return "has the words of an inner fault: " .. text, true end
    end
    return nil, true
end

local FUNCTIONS <const> = {}
for _, list in ipairs {declarations.methods, declarations.functions} do
    for name in pairs(list) do FUNCTIONS[#FUNCTIONS + 1] = name end
end
table.sort(FUNCTIONS)

describe("arguments of tensor functions", function()
    local calls, raised, worked = 0, 0, 0

    for _, name in ipairs(FUNCTIONS) do
        it(name .. " works, or raises at the caller's line in its own name", function()
            local f = lx[name]
            local parameters, rest = args.parameters(f)
            assert.is_table(parameters, name .. " is not declared")
            local ok, message = pcall(call, f, sample(name, parameters, rest))
            assert(ok, name .. " fails with its samples: " .. tostring(message))
            local problems = {}
            for i = 1, #parameters + (rest and 1 or 0) do
                for _, wrong in ipairs(WRONG) do
                    local values = sample(name, parameters, rest)
                    values[i] = wrong[2]()
                    local found, is_error = problem(name, f, values)
                    calls, raised, worked = calls + 1, raised + (is_error and 1 or 0), worked + (is_error and 0 or 1)
                    if found then problems[#problems + 1] = ("argument %d as %s %s"):format(i, wrong[1], found) end
                end
            end
            lx.manual_seed(1)
            assert.same({}, problems)
        end)
    end

    it("were tried in large numbers", function()
        print(("\n%d functions of tensors, %d calls with a wrong argument: %d raised, %d worked"):format(#FUNCTIONS,
            calls, raised, worked))
        assert.is_true(#FUNCTIONS > 120 and calls > 5000 and raised > worked)
    end)
end)
