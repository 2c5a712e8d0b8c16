local lx = require "luxel"
local autograd = lx.autograd

local function leaf(values)
    return lx.tensor(values, {requires_grad = true})
end

-- y = x^2 with counters, as a user would define it.
local function counted_square()
    local calls = {forward = 0, backward = 0}
    local f = autograd.define("counted_square", {
        forward = function(ctx, x)
            calls.forward = calls.forward + 1
            calls.needs = ctx.needs[1]
            ctx.x = x
            return x * x
        end,
        backward = function(ctx, grad)
            calls.backward = calls.backward + 1
            return grad * ctx.x * 2
        end,
    })
    return f, calls
end

describe("autograd", function()
    it("differentiates an operation defined in Lua", function()
        local square, calls = counted_square()
        local x = leaf {1, -2, 3}
        local y = square(x)
        assert.is_true(y.requires_grad)
        assert.is_false(y:is_leaf())
        y:sum():backward()
        assert.same({2, -4, 6}, x.grad:totable())
        assert.same({forward = 1, backward = 1, needs = true}, calls)
        assert.equal("counted_square", autograd.registry.counted_square.name)
    end)

    it("records nothing where no argument requires a gradient", function()
        local square, calls = counted_square()
        local y = square(lx.tensor {1, 2})
        assert.is_false(y.requires_grad)
        assert.is_falsy(calls.needs)
    end)

    it("says in ctx.needs which arguments want a gradient, counting all arguments", function()
        local needs
        local f = autograd.define("three", {
            forward = function(ctx, a, _, b)
                needs = ctx.needs
                return a + b
            end,
            backward = function(_, grad) return nil, nil, grad end,
        })
        f(lx.tensor {1}, 7, leaf {2})
        assert.same({false, false, true}, needs)
    end)

    it("gives each of several results its gradient, nil where there is none", function()
        local seen
        local split = autograd.define("split", {
            forward = function(_, x) return x * 2, x * 3, lx.tensor({1}, {dtype = "int32"}) end,
            backward = function(_, a, b, index)
                seen = {a ~= nil, b ~= nil, index ~= nil}
                return b * 3
            end,
        })
        local x = leaf {1, 2}
        local _, second, index = split(x)
        assert.is_false(index.requires_grad)
        second:sum():backward()
        assert.same({false, true, false}, seen)
        assert.same({3, 3}, x.grad:totable())
    end)

    it("gives a result that is the argument itself a slot of its own", function()
        local same = autograd.define("same", {
            forward = function(_, x) return x end,
            backward = function(_, grad) return grad * 5 end,
        })
        local x = leaf {1}
        local y = same(x)
        assert.is_true(x:is_leaf())
        y:backward()
        assert.same({5}, x.grad:totable())
    end)

    it("sums the gradients of a tensor used several times", function()
        local x = leaf {2}
        local y = x * x
        local z = y * x + y + x
        z:backward() -- 3x^2 + 2x + 1
        assert.same({17}, x.grad:totable())
    end)

    it("adds up over several backward calls until the gradient is cleared", function()
        local x = leaf {3}
        local function pass()
            local y = x * 2
            y:backward()
        end
        for _ = 1, 3 do pass() end
        assert.same({6}, x.grad:totable())
        x.grad = nil
        assert.is_nil(x.grad)
        pass()
        assert.same({2}, x.grad:totable())
    end)

    it("gives leaves gradients that share no memory", function()
        local a, b = leaf {1, 2}, leaf {3, 4}
        local c = leaf {{1, 2}}
        local y = a + b + c:view(2)
        y:backward(lx.tensor {1, 1})
        a.grad:mul_(10)
        assert.same({1, 1}, b.grad:totable())
        assert.same({{1, 1}}, c.grad:totable())
    end)

    it("leaves the gradient it was given as it is", function()
        local x, g = leaf {1, 2}, lx.tensor {3, 4}
        local y = x + 0
        (y + y):backward(g)
        assert.same({6, 8}, x.grad:totable())
        assert.same({3, 4}, g:totable())
        x.grad:zero_()
        assert.same({3, 4}, g:totable())
        x.grad = nil
        x:backward(g)
        x.grad:zero_()
        assert.same({3, 4}, g:totable())
    end)

    it("does not free gradients that an impure operation may have kept", function()
        local kept = {}
        local spy = autograd.define("spy", {
            forward = function(_, x) return x + 0 end,
            backward = function(_, grad)
                kept[#kept + 1] = grad
                kept[#kept + 1] = grad * 2
                return kept[#kept]
            end,
        })
        local x = leaf {1, 2}
        local y = spy(x * 3) * 5
        y:backward(lx.ones(2))
        assert.same({5, 5}, kept[1]:totable())
        assert.same({10, 10}, kept[2]:totable())
        assert.same({30, 30}, x.grad:totable())
    end)

    it("frees what the graph held, and says so when it is used again", function()
        local x = leaf {1, 2}
        local y = (x * x):sum()
        y:backward()
        assert.error_matches(function() y:backward() end, "backward: this graph was already freed; pass "
            .. "{retain_graph = true} to the first backward to go through it again, or compute the result anew "
            .. "%(operation: sum%); what is kept from one step to the next, as a module's buffer, is to be changed "
            .. "inside lx.no_grad")
        assert.same({2, 4}, x.grad:totable())
    end)

    it("keeps the graph on request", function()
        local x = leaf {1, 2}
        local y = (x * x):sum()
        y:backward(nil, {retain_graph = true})
        y:backward()
        assert.same({4, 8}, x.grad:totable())
    end)

    it("lets saved tensors be collected after backward", function()
        local held = setmetatable({}, {__mode = "v"})
        local f = autograd.define("holder", {
            forward = function(ctx, x)
                ctx.big = lx.zeros(4)
                held.big = ctx.big
                return x + 0
            end,
            backward = function(_, grad) return grad end,
        })
        local x = leaf {1}
        local y = f(x)
        collectgarbage()
        assert.is_not_nil(held.big)
        y:backward()
        collectgarbage()
        assert.is_nil(held.big)
    end)

    it("frees intermediate gradients without the collector", function()
        local x = lx.zeros(1000, 100, {requires_grad = true})
        local y = x
        for _ = 1, 100 do y = y * 2 * 0.5 end
        local seed = lx.ones(1000, 100)
        collectgarbage()
        local before = lx.memory().live
        collectgarbage("stop")
        y:backward(seed)
        local grown = lx.memory().live - before
        collectgarbage("restart")
        assert.is_true(grown < 5 * 400000, "grew by " .. grown)
        assert.same(1, x.grad[{1, 1}])
    end)

    it("goes through a chain of 10,000 operations", function()
        local x = leaf {1}
        local y = x
        for _ = 1, 10000 do y = y + x end
        y:backward()
        assert.same({10001}, x.grad:totable())
    end)

    it("visits a diamond of shared results once", function()
        local square, calls = counted_square()
        local x = leaf {1}
        local y = square(x)
        for _ = 1, 20 do y = y + y end
        y:backward()
        assert.equal(1, calls.backward)
        assert.same({2 ^ 21}, x.grad:totable())
    end)
end)

describe("no_grad", function()
    it("stops recording and passes arguments and results on", function()
        local x = leaf {1}
        local y, n = lx.no_grad(function(a, b) return a * 2, b end, x, 7)
        assert.is_false(y.requires_grad)
        assert.equal(7, n)
        assert.is_true(lx.is_grad_enabled())
    end)

    it("is undone by errors", function()
        assert.is_false((pcall(lx.no_grad, function() error("stop") end)))
        assert.is_true(lx.is_grad_enabled())
        assert.is_false((pcall(lx.no_grad, function() lx.enable_grad(function() error("stop") end) end)))
        assert.is_true(lx.is_grad_enabled())
    end)

    it("nests with enable_grad", function()
        lx.no_grad(function()
            assert.is_false(lx.is_grad_enabled())
            lx.enable_grad(function() assert.is_true(lx.is_grad_enabled()) end)
            assert.is_false(lx.is_grad_enabled())
        end)
    end)

    it("is on again after an error in a forward or a backward", function()
        local bad_forward = autograd.define("bad_forward", {
            forward = function() error("stop") end, backward = function() end,
        })
        local bad_backward = autograd.define("bad_backward", {
            forward = function(_, x) return x + 0 end, backward = function() error("stop") end,
        })
        assert.is_false((pcall(bad_forward, leaf {1})))
        assert.is_true(lx.is_grad_enabled())
        local y = bad_backward(leaf {1})
        assert.is_false((pcall(y.backward, y)))
        assert.is_true(lx.is_grad_enabled())
    end)
end)

-- Backward of a view is a view of the gradient it is given, so two gradients may be one memory.
describe("gradients that share their memory", function()
    local factor
    before_each(function() factor = lx.tensor {1, 2, 3, 4, 5, 6} end)

    it("are not added to in place", function()
        local x, z = leaf {1, 1, 1, 1, 1, 1}, leaf {{1, 1, 1}, {1, 1, 1}}
        local a, b = x * 2, z * 3
        local more = (b * 5):sum()
        -- b gets a view of the gradient that waits for a, and then another gradient, before it is a's turn
        local all = ((a + b:view(6)) * factor):sum() + more
        all:backward()
        assert.same({2, 4, 6, 8, 10, 12}, x.grad:totable())
        assert.same({{18, 21, 24}, {27, 30, 33}}, z.grad:totable())
    end)

    it("are copied for the leaves they end in", function()
        local x, z = leaf {1, 1, 1, 1, 1, 1}, leaf {{1, 1, 1}, {1, 1, 1}}
        local y = ((x + z:view(6)) * factor):sum()
        y:backward()
        x.grad:zero_()
        assert.same({{1, 2, 3}, {4, 5, 6}}, z.grad:totable())
        z.grad:add_(1)
        assert.same({0, 0, 0, 0, 0, 0}, x.grad:totable())
    end)
end)

describe("autograd mistakes", function()
    local function message_of(f, ...)
        local ok, message = pcall(f, ...)
        assert.is_false(ok)
        return tostring(message)
    end

    it("backward without a gradient needs one element", function()
        local y = leaf {{1, 2}, {3, 4}} * 2
        assert.matches("a tensor of shape %[2,2%] needs a gradient argument", message_of(y.backward, y))
        assert.matches("backward: grad: expected float32 %[2,2%], got float32 %[3%]",
            message_of(y.backward, y, lx.zeros(3)))
    end)

    it("backward needs a tensor that requires a gradient", function()
        local y = lx.tensor {1}
        assert.matches("does not require a gradient", message_of(y.backward, y))
    end)

    it("names the operation whose gradient has the wrong shape, type or number", function()
        local function with_backward(backward)
            local f = autograd.define("mine", {forward = function(_, x) return x + 0 end, backward = backward})
            local y = f(leaf {1, 2})
            return message_of(y.backward, y, lx.ones(2))
        end
        assert.matches("backward of mine: gradient of argument 1 is float32 %[3%], the argument is float32 %[2%]",
            with_backward(function() return lx.ones(3) end))
        assert.matches("backward of mine: gradient of argument 1 should be a tensor or nil, got 1",
            with_backward(function() return 1 end))
        assert.matches("backward of mine returned 2 gradients for 1 arguments",
            with_backward(function(_, g) return g, g end))
        local product = autograd.define("product", {
            forward = function(_, x, y) return x * y end, backward = function(_, g) return g end,
        })
        local y = product(leaf {1, 2}, leaf {1, 2})
        assert.matches("backward of product returned 1 gradients, and argument 2 requires one; return nil for it",
            message_of(y.backward, y, lx.ones(2)))
        product(leaf {1, 2}, lx.ones(2)):backward(lx.ones(2))
    end)

    it("define wants both functions", function()
        assert.matches("define: definition: the option 'backward' is needed: a function",
            message_of(lx.autograd.define, "half", {forward = function() end}))
    end)

    it("notices that a saved tensor was changed in place", function()
        local w = lx.tensor {2, 3}
        local y = leaf {1, 2} * w
        w:mul_(2)
        assert.matches("a tensor that mul saved .* was changed in place", message_of(y.backward, y, lx.ones(2)))
    end)

    it("refuses to change in place what requires a gradient", function()
        local x = leaf {1, 2}
        assert.matches("mul_: the tensor is a leaf that requires a gradient", message_of(x.mul_, x, 2))
        lx.no_grad(function() x:mul_(2) end)
        assert.same({2, 4}, x:totable())
    end)

    it("only float32 leaves can be switched", function()
        local labels = lx.tensor({1, 2}, {dtype = "int32"})
        assert.matches("only float32 tensors", message_of(labels.requires_grad_, labels))
        local y = leaf {1} * 2
        assert.matches("use t:detach%(%)", message_of(y.requires_grad_, y, false))
    end)

    it("a gradient must be as its tensor is", function()
        local x = leaf {1, 2}
        assert.matches("grad: expected nil or float32 %[2%], got float32 %[3%]",
            message_of(function() x.grad = lx.ones(3) end))
        assert.matches("grad: expected nil or float32 %[2%], got int32 %[2%]",
            message_of(function() x.grad = lx.ones({2}, {dtype = "int32"}) end))
        assert.matches("grad: expected nil or float32 %[2%], got 0", message_of(function() x.grad = 0 end))
        if lx.device("opencl") then
            assert.matches("grad: expected a gradient on cpu, where the tensor is, got one on ",
                message_of(function() x.grad = lx.ones({2}, {device = "opencl"}) end))
        end
        assert.is_nil(x.grad)
    end)

    it("requires_grad is set to true or false", function()
        local x = lx.ones(1)
        for _, value in ipairs {0, 1, "no"} do
            assert.matches("requires_grad: expected true or false, got ",
                message_of(function() x.requires_grad = value end))
        end
        assert.matches("expected true or false, got nil", message_of(function() x.requires_grad = nil end))
        assert.is_false(x.requires_grad)
        x.requires_grad = true
        assert.is_true(x.requires_grad)
    end)
end)
