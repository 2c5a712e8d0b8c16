local lx = require "luxel"
local args = require "luxel.args"
local namespace = require "luxel.namespace"
local near = require "luxel.near"

-- The message of the error that a call raises, without the place.
local function message(f, ...)
    local ok, text = pcall(f, ...)
    assert.is_false(ok)
    return (text:gsub("^[^:]+:%d+: ", ""))
end

local function echo(signature, name)
    return args.public(name or "f", signature, function(...) return ... end)
end

describe("args.public", function()
    it("passes on what fits, and how many there are", function()
        local f = echo "a: integer, b: string?, c: number|string?"
        assert.are.equal(3, select("#", f(1, nil, "x")))
        assert.are.same({1, "b", 2.5}, {f(1, "b", 2.5)})
        assert.are.equal(5, select("#", echo("a: any, ...: any?")(1, nil, nil, nil, nil)))
    end)

    it("names function, argument, what is expected and what was given", function()
        for _, case in ipairs {
            {"a: integer", 1.5, "f: a: expected an integer, got 1.5"},
            {"a: integer", nil, "f: a: expected an integer, got nil"},
            {"a: integer(1..)", 0, "f: a: expected an integer of at least 1, got 0"},
            {"a: integer(..3)", 4, "f: a: expected an integer of at most 3, got 4"},
            {"a: number(0..0.5)", 0.6, "f: a: expected a number from 0 to 0.5, got 0.6"},
            {"a: number(-1..1)", -2, "f: a: expected a number from -1 to 1, got -2"},
            {"a: finite", math.huge, "f: a: expected a finite number, got inf"},
            {"a: string", 5, "f: a: expected a string, got 5"},
            {"a: boolean?", 1, "f: a: expected true or false, got 1"},
            {"a: function", {}, "f: a: expected a function, got a table"},
            {"a: tensor", "x", 'f: a: expected a tensor, got "x"'},
            {"a: pair(1..)", {1, 0}, "f: a: expected an integer or a pair {h, w} of at least 1, got a table"},
            {"a: pair", {1, 2, 3}, "f: a: expected an integer or a pair {h, w}, got a table"},
            {"a: \"sum\"|\"mean\"", "men", 'f: a: expected "sum" or "mean", got "men" (did you mean \'mean\'?)'},
            {"a: integer|integer[]?", {dim = 1},
                "f: a: expected an integer or a list, each an integer, got a table with the name 'dim'"},
            {"a: integer[]", {1, "2"}, 'f: a: expected a list, each an integer, got "2" at place 2 of the list'},
            {"a: {lr: number, decay: number?}", {lr = 1, dekay = 2},
                "f: a: unknown option 'dekay' (did you mean 'decay'?); the options are lr, decay"},
            {"a: {lr: number}", {}, "f: a: the option 'lr' is needed: a number"},
            {"a: {lr: number}", {lr = "1"}, "f: a: option 'lr': expected a number, got \"1\""},
            {"a: {lr: number}[]", {{lr = 1}, {lr = "1"}}, "f: a: 2: option 'lr': expected a number, got \"1\""},
            {"a: {lr: number}[]", {{lr = 1}, 5}, "f: a: expected a list, each a table of options, got 5 at place 2 of "
                .. "the list"},
            {"a: {lr: number}?", {5}, "f: a: unknown option [1]; the options are lr"},
            {"a: {inner: {k: integer(1..)}?}", {inner = {k = 0}},
                "f: a: option 'inner': option 'k': expected an integer of at least 1, got 0"},
        } do
            assert.are.equal(case[3], message(echo(case[1]), case[2]))
        end
    end)

    it("refuses NaN in a range", function()
        assert.matches("expected a number of at least 0, got %-?nan", message(echo "a: number(0..)", 0 / 0))
    end)

    it("describes tensors, freed ones too", function()
        local x = lx.ones(2, 3)
        assert.are.equal("f: a: expected an integer, got float32 [2,3]", message(echo "a: integer", x))
        x:free()
        assert.are.equal("f: a: expected a tensor, got a freed tensor", message(echo "a: tensor", x))
    end)

    it("refuses arguments beyond the last, in every arity", function()
        for n = 0, 5 do
            local names = {}
            for i = 1, n do names[i] = ("p%d: integer"):format(i) end
            local values = {1, 2, 3, 4, 5, 6}
            local f = echo(table.concat(names, ", "))
            assert.are.equal(n, select("#", f(table.unpack(values, 1, n))))
            assert.matches("^f: takes " .. n .. " argument", message(f, table.unpack(values, 1, n + 1)))
            if n > 0 then
                values[n] = "x"
                local wanted = ("f: p%d: expected an integer, got \"x\""):format(n)
            assert.are.equal(wanted, message(f, table.unpack(values, 1, n)))
            end
        end
    end)

    it("checks each of any number of arguments", function()
        local f = echo "a: integer, ...: tensor"
        local x = lx.ones(1)
        assert.are.equal(3, select("#", f(1, x, x)))
        assert.are.equal("f: argument 3: expected a tensor, got 5", message(f, 1, x, 5))
        assert.are.equal("f: argument 2: expected a tensor, got nil", message(f, 1, nil))
    end)

    it("explains the colon of methods", function()
        assert.are.equal("narrow: t: expected a tensor, got 1; methods are called with a colon, as in t:narrow(…)",
            message(echo("t: tensor", ":narrow"), 1))
    end)

    it("blames the line outside the library", function()
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, text = pcall(function() local x = lx.ones(2):narrow(1, 1, 7) return x end)
        assert.is_false(ok)
        assert.matches("args_spec%.lua:" .. line .. ": narrow: ", text)
    end)
end)

describe("args.publish", function()
    it("wraps all functions of a table, names classes by themselves, and misses none", function()
        local class = {init = function() end, size = function() return 1 end, number = 5}
        args.publish("Thing:", class, {init = "self: table, n: integer", size = "self: table"})
        assert.are.equal("Thing: n: expected an integer, got nil", message(class.init, {}))
        assert.matches("^Thing:size: self: expected a table, got 1; methods are called with a colon",
            message(class.size, 1))
        assert.has_error(function() args.publish("x.", {f = print}, {}) end, "no declaration of x.f")
        assert.has_error(function() args.publish("x.", {}, {g = "a: any"}) end, "no function x.g")
    end)
end)

describe("args.check and args.with_defaults", function()
    it("check one value, and fill in", function()
        assert.are.equal(3, args.check("f: n", "integer(1..)", 3))
        assert.are.equal("f: n: expected an integer of at least 1, got 0",
            message(args.check, "f: n", "integer(1..)", 0))
        local defaults = {a = 1, b = false}
        assert.are.same({a = 2, b = false}, args.with_defaults({a = 2}, defaults))
        assert.are.same({a = 1, b = true}, args.with_defaults({b = true}, defaults))
        assert.are.same({a = 1, b = false}, defaults)
    end)
end)

describe("near.find", function()
    it("finds typing mistakes, other cases, and other libraries' names", function()
        local names = {"zeros", "ones", "totable", "Conv2d", "clamp", "to"}
        assert.are.equal("zeros", near.find("zeroes", names))
        assert.are.equal("ones", near.find("onse", names))
        assert.are.equal("Conv2d", near.find("conv2D", names))
        assert.are.equal("totable", near.find("tolist", names))
        assert.equal("scale", near.find("scale_factor", {"size", "scale"}))
        assert.equal("CosineWarmup", near.find("CosineAnnealingLR", {"CosineWarmup", "StepLR"}))
        assert.is_nil(near.find("quux", names))
        assert.is_nil(near.find("a", names))
        assert.is_nil(near.find(5, names))
    end)
end)

describe("a namespace", function()
    it("raises for what it does not have, prints what it has, and loads parts when they are used", function()
        local space = namespace("lx.things", {zeros = 1}, {random = "luxel.random"})
        assert.are.equal("lx.things has no 'zeroes' (did you mean 'zeros'?); print(lx.things) lists what it has",
            message(function() return space.zeroes end))
        assert.are.equal("lx.things (2 names)\n  random, zeros", tostring(space))
        assert.are.equal(require "luxel.random", space.random)
        assert.are.equal(rawget(space, "random"), space.random)
    end)
end)
