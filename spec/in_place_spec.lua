--- Changes in place while operations are recorded: every method and form of assignment that changes values, with
-- sources and targets with and without a history, against the same written without changes in place and against finite
-- differences. And the versions by which backward notices that something it saved was changed.

local lx = require "luxel"
local core = require "luxel.core"
local lfs = require "lfs"

local function leaf(values)
    return lx.tensor(values, {requires_grad = true})
end

local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    return tostring(message)
end

-- ---- what there is to walk --------------------------------------------------------------------------------------

-- Numbers that no kink of an operation is near, so that finite differences work: `count` of them in a shape.
local function numbers(shape, first, step)
    local count = 1
    for _, size in ipairs(shape) do count = count * size end
    return (lx.arange(count) * step + first):view(shape)
end

local function every(t) return t:gt(0.9) end -- a mask that holds for a part of the targets here

-- Each change: `apply(t, s)` in place, `value(t, s)` the same as a new tensor. `source` is what s is: "row"
-- (broadcast), "full", "scalar" (without dimensions), or nothing.
local CHANGES <const> = {}
for _, name in ipairs(require("luxel.ops").elementwise) do
    CHANGES[name .. "_"] = {
        {apply = function(t) return t[name .. "_"](t) end, value = function(t) return t[name](t) end},
    }
end
for name in ("add sub mul div pow maximum minimum"):gmatch("%w+") do
    local apply = function(t, s) return t[name .. "_"](t, s) end
    local value = function(t, s) return t[name](t, s) end
    CHANGES[name .. "_"] = {
        {source = "row", apply = apply, value = value},
        {source = "full", apply = apply, value = value},
        {apply = function(t) return apply(t, 1.7) end, value = function(t) return value(t, 1.7) end},
        {apply = function(t) return apply(t, t) end, value = function(t) return value(t, t) end},
    }
end
table.insert(CHANGES.add_, {source = "row", apply = function(t, s) return t:add_(s, -0.5) end,
    value = function(t, s) return t + s * -0.5 end})
table.insert(CHANGES.add_, {apply = function(t) return t:add_(3, 0.5) end, value = function(t) return t + 1.5 end})
CHANGES.clamp_ = {
    {apply = function(t) return t:clamp_(0.83, 1.27) end, value = function(t) return t:clamp(0.83, 1.27) end},
    {apply = function(t) return t:clamp_(nil, 1.27) end, value = function(t) return t:clamp(nil, 1.27) end},
}
CHANGES.zero_ = {{apply = function(t) return t:zero_() end, value = function(t) return t * 0 end}}
CHANGES.fill_ = {
    {apply = function(t) return t:fill_(2.5) end, value = function(t) return t * 0 + 2.5 end},
    {source = "scalar", apply = function(t, s) return t:fill_(s) end, value = function(t, s) return t * 0 + s end},
}
CHANGES.copy_ = {
    {source = "row", apply = function(t, s) return t:copy_(s) end, value = function(t, s) return t * 0 + s end},
    {source = "full", apply = function(t, s) return t:copy_(s) end, value = function(t, s) return t * 0 + s end},
}

-- Assignments; `value` is made with the parts that stay.
local function first_replaced(t, s) return lx.cat({t:narrow(1, 1, 1) * 0 + s, t:narrow(1, 2, t.shape[1] - 1)}, 1) end
local ASSIGNMENTS <const> = {
    ["t[i] = number"] = {apply = function(t) t[1] = 2.5 end, value = function(t) return first_replaced(t, 2.5) end},
    ["t[i] = tensor"] = {source = "scalar", apply = function(t, s) t[1] = s end, value = first_replaced},
    ["t[-i] = tensor"] = {source = "scalar", apply = function(t, s) t[-1] = s end, value = function(t, s)
        local n = t.shape[1]
        return lx.cat({t:narrow(1, 1, n - 1), t:narrow(1, n, 1) * 0 + s}, 1)
    end},
    ["t[{{from, to}}] = number"] = {apply = function(t) t[{{1, 2}}] = 2.5 end, value = function(t)
        return lx.cat({t:narrow(1, 1, 2) * 0 + 2.5, t:narrow(1, 3, t.shape[1] - 2)}, 1)
    end},
    ["t[{{from, to}}] = tensor"] = {source = "row", apply = function(t, s)
        t[{{1, t.shape[1]}}] = s
    end, value = function(t, s) return t * 0 + s end},
    ["t[mask] = number"] = {apply = function(t) t[every(t)] = 2.5 end, value = function(t)
        return lx.where(every(t), 2.5, t)
    end},
    ["t[mask] = as many rows"] = {source = "full", apply = function(t, s)
        local mask = every(t)
        t[mask] = s[mask]
    end, value = function(t, s) return lx.where(every(t), s, t) end},
    ["t[positions] = tensor"] = {source = "scalar", apply = function(t, s)
        t[lx.tensor({1}, {dtype = "int32"})] = s
    end, value = first_replaced},
    ["t[mask] = tensor"] = {source = "full", apply = function(t, s) t[every(t)] = s end, value = function(t, s)
        return lx.where(every(t), s, t)
    end},
    ["t[mask] = scalar"] = {source = "scalar", apply = function(t, s) t[every(t)] = s end, value = function(t, s)
        return lx.where(every(t), s, t)
    end},
}

-- Which part of a matrix is changed.
local TARGETS <const> = {
    {"the whole", function(z) return z end},
    {"narrow", function(z) return z:narrow(2, 2, 3) end},
    {"select", function(z) return z:select(1, 2) end},
    {"transpose", function(z) return z:t() end},
    {"view of a view", function(z) return z:narrow(1, 1, 2):t():narrow(1, 2, 3) end},
    {"contiguous", function(z) return z:unsqueeze(2):contiguous():squeeze(2):narrow(1, 2, 2) end},
    {"reshaped", function(z) return z:view(-1):narrow(1, 3, 7) end},
}
local SHAPE <const> = {3, 5}

local METHODS_WITHOUT_VALUES <const> = {requires_grad_ = true}

-- ---- programs ---------------------------------------------------------------------------------------------------

local function source_shape(kind, target)
    if kind == "full" then return target.shape end
    return kind == "scalar" and {} or {target.shape[target.ndim]}
end

local function start(x, has_history)
    local z = x * 1.1 + 0.2
    return has_history and z or z:detach()
end

-- The changed matrix, the changed part and a view that was there before, and all of them after another change.
local function in_place(change, part, x, s, has_history)
    local z = start(x, has_history)
    local target, before = part(z), z:t()
    change.apply(target, s)
    local results = {z * 1, target * 1, before * 1}
    z:mul_(1.5)
    results[4], results[5], results[6] = z, target, before
    return results
end

-- Where each element of the matrix is in the part, from 1; and a mask of those that are.
local function places(part)
    local at = part(lx.arange(SHAPE[1] * SHAPE[2]):view(SHAPE)):contiguous():view(-1):totable()
    local index, mask = {}, {}
    for i = 1, SHAPE[1] * SHAPE[2] do index[i], mask[i] = 1, 0 end
    for position, element in ipairs(at) do index[element + 1], mask[element + 1] = position, 1 end
    return lx.tensor(index, {dtype = "int32"}), lx.tensor(mask, {dtype = "uint8"}):view(SHAPE)
end

-- The same without changing anything: the new values are picked into their places.
local function out_of_place(change, part, x, s, has_history)
    local z = start(x, has_history)
    local index, mask = places(part)
    local new = change.value(part(z), s)
    local after = lx.where(mask, new:reshape(-1):index_select(1, index):view(SHAPE), z)
    local final = after * 1.5
    return {after, part(after), after:t(), final, part(final), final:t()}
end

local function total(results)
    local sum
    for k, result in ipairs(results) do
        local weighted = (result * (numbers(result.shape, 0.3 * k, 0.11))):sum()
        sum = sum and sum + weighted or weighted
    end
    return sum
end

-- Runs a program; returns its total and the gradients of x and s.
local function run(program, change, part, has_history, source_history)
    local x = numbers(SHAPE, 0.53, 0.061):requires_grad_()
    local s
    if change.source then
        s = numbers(source_shape(change.source, part(x:detach())), 0.4137, 0.0771):requires_grad_(source_history)
    end
    local results = program(change, part, x, s, has_history)
    local sum = total(results)
    if sum.requires_grad then sum:backward() end
    return results, x.grad, s and s.grad
end

local function close(a, b, what, tolerance)
    if not a or not b then
        local there = a or b
        assert(not there or there:abs():max():item() == 0, what .. ": one is missing")
        return
    end
    local difference, size = (a - b):abs():max():item(), b:abs():max():item()
    assert(difference <= tolerance * (1 + size), ("%s: %s\nis not\n%s"):format(what, tostring(a), tostring(b)))
end

-- Slopes along some elements of x and s.
local function check_slopes(change, part, has_history, source_history, x_grad, s_grad)
    local h = 1 / 512
    local x0 = numbers(SHAPE, 0.53, 0.061)
    local s0 = change.source and numbers(source_shape(change.source, part(x0)), 0.4137, 0.0771)
    local function at(moved, element, step)
        local x, s = x0:clone(), s0 and s0:clone()
        local flat = (moved == "x" and x or s):view(-1)
        flat[element] = flat[element] + step
        return total(in_place(change, part, x, s, true)):item()
    end
    local function check(moved, grad, element)
        local slope = (at(moved, element, h) - at(moved, element, -h)) / (2 * h)
        local told = grad:reshape(-1)[element]
        assert(math.abs(slope - told) <= 0.02 * math.abs(told) + 0.06, ("gradient of %s[%d] is %g, finite differences "
            .. "say %g"):format(moved, element, told, slope))
    end
    if has_history then
        for _, element in ipairs {1, 7, 8} do check("x", x_grad, element) end
    end
    if source_history then check("s", s_grad, 1) end
end

-- ---- the tests --------------------------------------------------------------------------------------------------

describe("changes in place", function()
    local covered, methods_covered = 0, {}

    -- Every combination of a change with targets and histories.
    local function walk(name, change)
        for _, target in ipairs(TARGETS) do
            for _, has_history in ipairs {false, true} do
                for _, source_history in ipairs(change.source and {false, true} or {false}) do
                    local where = ("%s of %s%s, source: %s%s"):format(name, target[1],
                        has_history and " with a history" or "", change.source or "none",
                        source_history and " with a history" or "")
                    local results, x_grad, s_grad = run(in_place, change, target[2], has_history, source_history)
                    local wanted, x_wanted, s_wanted = run(out_of_place, change, target[2], has_history, source_history)
                    for k, result in ipairs(results) do
                        close(result:detach(), wanted[k]:detach(), ("%s: result %d"):format(where, k), 1e-6)
                        assert.equal(has_history or source_history, result.requires_grad, where)
                    end
                    close(x_grad, x_wanted, where .. ": gradient of x", 2e-5)
                    close(s_grad, s_wanted, where .. ": gradient of s", 2e-5)
                    local ok, problem = pcall(check_slopes, change, target[2], has_history, source_history, x_grad,
                        s_grad)
                    if not ok then error(where .. ": " .. tostring(problem)) end
                    covered = covered + 1
                end
            end
        end
        methods_covered[#methods_covered + 1] = name
    end

    for name in pairs(core.metatable.methods) do
        if name:find("_$") and not METHODS_WITHOUT_VALUES[name] then
            it("by " .. name .. " have the history of the same without", function()
                assert.is_table(CHANGES[name], name .. " is not among the changes of this file")
                for _, change in ipairs(CHANGES[name]) do walk(name, change) end
            end)
        end
    end
    for name, change in pairs(ASSIGNMENTS) do
        it("by " .. name .. " have the history of the same without", function() walk(name, change) end)
    end

    it("were walked through", function()
        table.sort(methods_covered)
        local distinct = {}
        for _, name in ipairs(methods_covered) do distinct[name] = true end
        local count = 0
        for _ in pairs(distinct) do count = count + 1 end
        print(("\n%d programs: %d methods and forms of assignment × targets (%d) × sources, with and without history")
            :format(covered, count, #TARGETS))
        assert.is_true(covered > 700 and count >= 39)
    end)
end)

describe("a change in place", function()
    it("takes the history of a value in", function()
        local x = leaf {1, 1}
        local z = lx.zeros(2)
        z:add_(x * 2);
        (z + x):sum():backward()
        assert.same({3, 3}, x.grad:totable())
        assert.is_false(z:is_leaf())
    end)

    it("is seen by its base, by views from before and by views of views", function()
        local x = leaf {1, 2}
        local z = lx.zeros(2, 2)
        local row, column = z[1], z:t()[2]
        row:copy_(x * 3)
        assert.is_true(z.requires_grad and column.requires_grad and row.requires_grad)
        column:sum():backward()
        assert.same({0, 3}, x.grad:totable())
    end)

    it("leaves values that other operations were given what they were", function()
        local x = leaf {2, 3}
        local y = x * 1
        local before = y + 0
        y:mul_(y) -- of y's memory, only what is saved is copied
        local once = y * 1
        y:fill_(5);
        (before + once + y):sum():backward()
        assert.same({5, 7}, x.grad:totable())
    end)

    it("of a view may follow another, and saves what was there in between", function()
        local x = leaf {2, 3}
        local z = lx.zeros(2, 2)
        local row = z[1]
        row:copy_(x):mul_(row):mul_(row):add_(1):mul_(x) -- x (x^4 + 1)
        z:sum():backward()
        assert.same({81, 406}, x.grad:totable())
    end)

    it("adds up what an expanded view from before repeats", function()
        local x = leaf {2, 3}
        local z = lx.zeros(1, 2)
        local many = z:expand(3, 2):t()
        z:add_(x)
        many:backward(lx.tensor {{1, 2, 3}, {4, 5, 6}})
        assert.same({6, 15}, x.grad:totable())
    end)

    it("changes what was saved by others, which backward notices", function()
        local x = leaf {1, 2}
        local y = x * 1
        local s = y:square()
        y:add_(1)
        assert.matches("a tensor that square saved .* was changed in place", message_of(s.backward, s, lx.ones(2)))
        local e = x:exp()
        e:mul_(2)
        assert.matches("a tensor that exp saved .* was changed in place", message_of(e.backward, e, lx.ones(2)))
    end)

    it("is no change for what backward does not need", function()
        local x = leaf {1, 2}
        local y = x * 1
        local z = y * 3 / 2 + y - 1
        y:mul_(7)
        z:sum():backward()
        assert.same({2.5, 2.5}, x.grad:totable())
    end)

    it("of a view through which only saved values of another part are seen counts for the whole memory", function()
        local x = leaf {1, 2}
        local z = x * 1
        local s = z:square()
        z:narrow(1, 2, 1):zero_()
        assert.matches("was changed in place", message_of(s.backward, s, lx.ones(2)))
    end)

    it("of a leaf that requires a gradient, or of a view of it, is refused", function()
        local x = leaf {{1, 2}, {3, 4}}
        assert.matches("mul_: the tensor is a leaf that requires a gradient", message_of(x.mul_, x, 2))
        assert.matches("assignment: the tensor is a leaf that requires a gradient, or a view of one",
            message_of(function() x[1] = 0 end))
        for _, view in ipairs {x[1], x:t(), x:view(4):narrow(1, 2, 2)} do
            assert.matches("zero_: the tensor is a leaf .*, or a view of one", message_of(view.zero_, view))
        end
        local z = lx.zeros(2, 2)
        local early = z[1] -- before z was asked to require a gradient
        z:requires_grad_()
        assert.matches("add_: the tensor is a leaf .*, or a view of one", message_of(early.add_, early, 1))
        lx.no_grad(function() x:mul_(2) x[1]:zero_() end)
        assert.same({{0, 0}, {6, 8}}, x:totable())
    end)

    it("in no_grad changes values alone", function()
        local x = leaf {1, 2}
        local z, y = lx.zeros(2), x * 3
        lx.no_grad(function() z:add_(x) y:mul_(5) y[1] = 7 end)
        assert.is_false(z.requires_grad)
        y:sum():backward()
        assert.same({3, 3}, x.grad:totable())
        assert.same({7, 30}, y:totable())
    end)

    it("of a view made in no_grad of a result is refused, because it has no history there", function()
        local y = leaf {1, 2} * 3
        local view = lx.no_grad(function() return y:narrow(1, 1, 1) end)
        assert.matches("mul_: the tensor is a view, made while nothing was recorded, of the result",
            message_of(view.mul_, view, 2))
        view:detach():mul_(2)
    end)

    it("of a result that shares memory with an argument in a way of its own is refused", function()
        local mine = lx.autograd.define("mine", {
            forward = function(_, x) return x:narrow(1, 1, 1) end,
            backward = function(_, grad) return lx.cat {grad, grad} end,
        })
        local y = mine(leaf {1, 2} * 1)
        assert.matches("add_: the tensor is what mine returned, which shares memory", message_of(y.add_, y, 1))
        local z = y:clone():add_(1)
        assert.same({2}, z:totable())
    end)

    it("of a detached tensor is no part of the other's history", function()
        local x = leaf {1, 2}
        local y = x * 3
        local apart = y:detach()
        apart:add_(x)
        assert.is_true(apart.requires_grad);
        (y + apart):sum():backward()
        assert.same({4, 4}, x.grad:totable())
        assert.same({4, 8}, y:totable())
    end)

    it("reaches a view that was asked to require a gradient, which is no leaf afterwards", function()
        local x = leaf {1, 2}
        local z = lx.zeros(2)
        local view = z:narrow(1, 2, 1):requires_grad_()
        assert.is_true(view:is_leaf())
        assert.matches("add_: the tensor is a leaf that requires a gradient", message_of(view.add_, view, 1))
        z:add_(x * 2)
        assert.is_false(view:is_leaf())
        view:sum():backward()
        assert.same({0, 2}, x.grad:totable())
    end)

    it("from before a view was made does not touch that view's history", function()
        local x = leaf {1, 2}
        local z = lx.zeros(2)
        z:add_(x)
        local view = lx.no_grad(function() return z:narrow(1, 1, 1) end):requires_grad_()
        lx.no_grad(function() z:mul_(2) end)
        assert.is_true(view:is_leaf())
    end)

    it("works on what is left of a tensor that was freed", function()
        local x = leaf {1, 2}
        local z = x:clone():view(1, 2):t():t()
        local base = lx.zeros(2, 2)
        local row, column = base[1], base:t()[1]
        base:free()
        row:add_(x * 2);
        (row.shape[1] * column + z:view(2)):sum():backward()
        assert.same({5, 1}, x.grad:totable())
    end)

    it("of a matrix keeps its gradient apart from gradients that were accumulated before", function()
        local z = lx.zeros(2)
        z.grad = lx.ones(2)
        z:add_(leaf {1, 2})
        assert.same({1, 1}, z.grad:totable())
    end)

    it("of integers has no history, whatever is written into them", function()
        local x = leaf {1.7, 2.2}
        for _, dtype in ipairs {"uint8", "int32"} do
            local z = lx.zeros({2}, {dtype = dtype})
            z:copy_(x)
            z[1] = x[2]
            assert.same({2, 2}, z:totable())
            z[lx.tensor({1, 0}, {dtype = "uint8"})] = x
            assert.same({1, 2}, z:totable())
            assert.is_false(z.requires_grad)
            assert.matches("add_: the result is float32, which cannot be written into a tensor of " .. dtype,
                message_of(z.add_, z, x))
            assert.matches("exp_: the result is float32", message_of(z.exp_, z))
        end
    end)

    it("where a mask holds keeps large integers elsewhere, and refuses numbers that do not fit", function()
        local mask = lx.tensor({1, 0, 1}, {dtype = "uint8"})
        local z = lx.tensor({1, 16777217, 2147483647}, {dtype = "int32"})
        z[mask] = lx.tensor({16777219, 5, -16777221}, {dtype = "int32"})
        assert.same({16777219, 16777217, -16777221}, z:totable())
        z[mask] = 16777223
        assert.same({16777223, 16777217, 16777223}, z:totable())
        local bytes = lx.tensor({1, 2, 3}, {dtype = "uint8"})
        assert.matches("300 does not fit into uint8", message_of(function() bytes[mask] = 300 end))
        bytes[mask] = 255
        assert.same({255, 2, 255}, bytes:totable())
        local picked = lx.where(mask, lx.tensor({1, 2, 3}, {dtype = "int32"}), lx.zeros(3))
        assert.equal("float32", picked.dtype)
        assert.equal("int32", lx.where(mask, z, z).dtype)
    end)

    it("takes integers in", function()
        local x = leaf {1, 2}
        local z = x * 1
        z:mul_(lx.tensor({3, 4}, {dtype = "int32"}))
        z:narrow(1, 1, 1):copy_(lx.tensor({9}, {dtype = "uint8"}))
        z:sum():backward()
        assert.same({9, 8}, z:totable())
        assert.same({0, 4}, x.grad:totable())
    end)

    it("says that a source does not fit, whether or not it is recorded", function()
        for _, recorded in ipairs {false, true} do
            local wide, longer = lx.ones({3, 2}), lx.ones(3)
            wide:requires_grad_(recorded)
            longer:requires_grad_(recorded)
            for _, name in ipairs {"add_", "mul_", "maximum_", "copy_"} do
                local z = lx.zeros(2)
                assert.matches(name .. ": shape %[3,2%] does not fit into %[2%]", message_of(z[name], z, wide))
                assert.matches(name .. ": shape %[3%] does not fit into %[2%]", message_of(z[name], z, longer))
                assert.same({0, 0}, z:totable())
                assert.is_false(z.requires_grad)
            end
        end
        local z = lx.zeros(2)
        assert.matches("fill_: value: expected a number or a tensor without", message_of(z.fill_, z, lx.ones(2)))
    end)

    it("of a tensor that was expanded is refused by every method and assignment", function()
        local count = 0
        for name in pairs(core.metatable.methods) do
            if name:find("_$") and not METHODS_WITHOUT_VALUES[name] then
                for _, recorded in ipairs {false, true} do
                    local one = lx.ones(1)
                    local expanded = {one:expand(3), one:view(1, 1):expand(2, 3):t(), one:expand(4):narrow(1, 2, 2)}
                    for _, many in ipairs(expanded) do
                        local source = lx.ones({many.shape[many.ndim]}, {requires_grad = recorded})
                        assert.matches(name .. ": the tensor of shape %[.*%] was expanded along dimension %d",
                            message_of(many[name], many, CHANGES[name][1].source and source
                                or CHANGES[name][2] and 1 or nil))
                        count = count + 1
                    end
                    assert.equal(1, one:item())
                end
            end
        end
        assert.is_true(count > 150)
        local many = lx.zeros(1):expand(3)
        local mask = lx.tensor({1, 0, 1}, {dtype = "uint8"})
        for _, recorded in ipairs {false, true} do
            local x = lx.ones({3}, {requires_grad = recorded})
            for _, assign in ipairs {function() many[{{1, 3}}] = x end, function() many[mask] = x end,
                function() many[{{1, 2}}] = 1 end, function() many[mask] = 2 end} do
                assert.matches("assignment: the tensor of shape %[%d%] was expanded", message_of(assign))
            end
        end
        many[1] = 4 -- one element has memory of its own
        assert.same({4, 4, 4}, many:totable())
        many[1] = lx.tensor(3, {requires_grad = true}) -- which is that of a tensor that was not expanded
        assert.is_true(many.requires_grad)
        local apart = many:detach()
        assert.matches("assignment: the tensor of shape %[3%] was expanded",
            message_of(function() apart[1] = lx.tensor(3, {requires_grad = true}) end))
    end)

    it("is part of the history when it is compiled, and of what is made inside alone", function()
        local w = leaf {1, 2}
        local f = lx.compile(function(x)
            w.grad = nil
            local z = lx.zeros(2, 2)
            local row, column = z[1], z:t()[2]
            row:add_(w * x)
            z:mul_(2)
            column:add_(w)
            z[1] = z[1]:exp()
            local loss = (z * z):sum()
            loss:backward()
            return loss
        end, {name = "inside"})
        local function wanted(x)
            local u = leaf {1, 2}
            local first, second = (u * x * 2):narrow(1, 1, 1), (u * x * 2):narrow(1, 2, 1) + u:narrow(1, 1, 1)
            local loss = (first:exp():square() + second:exp():square() + u:narrow(1, 2, 1):square()):sum()
            loss:backward()
            return loss:item(), u.grad
        end
        for call = 1, 8 do
            local x = lx.tensor {0.1 * call, 0.3}
            local loss, grad = wanted(x)
            assert.near(loss, f(x):item(), 1e-4 * loss)
            assert.is_true(lx.allclose(w.grad, grad, 1e-4))
        end
        assert.is_true(f:facts().replays > 0)

        local said
        local old = lx.on_notice(function(text) said = text end)
        local outside = lx.zeros(2)
        local g = lx.compile(function(x)
            outside:zero_()
            outside = outside:detach()
            outside:add_(w * x)
            return outside * 2
        end, {name = "outside"})
        for call = 1, 6 do
            g(lx.tensor {call, call})
            assert.is_true(outside.requires_grad)
        end
        assert.matches("outside: it gives a tensor from outside a history", said)
        assert.equal(0, g:facts().replays)
        lx.on_notice(old)
    end)
end)

describe("versions", function()
    local function versions_of(...)
        local versions = {...}
        for i, tensor in ipairs(versions) do versions[i] = core.version(tensor) end
        return versions
    end

    it("grow with every method and assignment that changes values, through views and unrecorded too", function()
        local count = 0
        local function check(name, change, target)
            local z = numbers(SHAPE, 0.7, 0.06)
            local part = target(z)
            local s = change.source and numbers(source_shape(change.source, part), 0.4, 0.07)
            local before = versions_of(z, s)
            change.apply(part, s)
            assert.is_true(core.version(z) > before[1], name)
            assert.equal(core.version(z), core.version(part))
            if s then assert.equal(before[2], core.version(s)) end
            count = count + 1
        end
        for _, target in ipairs(TARGETS) do
            for name, changes in pairs(CHANGES) do
                for _, change in ipairs(changes) do check(name, change, target[2]) end
            end
            for name, change in pairs(ASSIGNMENTS) do check(name, change, target[2]) end
        end
        assert.is_true(count > 300)
    end)

    it("grow by one for each thing that a step of an optimiser writes", function()
        local steps = {
            sgd = function(p, g, a) core.sgd_step(p, g, a, {lr = 0.1, momentum = 0.9}) end,
            adam = function(p, g, a, b)
                core.adam_step(p, g, a, b, {lr = 0.1, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, step = 1})
            end,
            rmsprop = function(p, g, a, b)
                core.rmsprop_step(p, g, a, b, {lr = 0.1, alpha = 0.9, eps = 1e-8, momentum = 0.5})
            end,
        }
        for name, step in pairs(steps) do
            for state = name == "adam" and 2 or name == "sgd" and 0 or 1, name == "sgd" and 1 or 2 do
                local tensors = {lx.ones(3), lx.ones(3), lx.zeros(3), lx.zeros(3)}
                local before = versions_of(table.unpack(tensors))
                step(tensors[1], tensors[2], state >= 1 and tensors[3] or nil, state >= 2 and tensors[4] or nil)
                local grown = versions_of(table.unpack(tensors))
                for i = 1, 4 do grown[i] = grown[i] - before[i] end
                assert.same({1, 0, state >= 1 and 1 or 0, state >= 2 and 1 or 0}, grown, name)
            end
        end
    end)

    it("make backward notice an optimiser that steps in between", function()
        for _, name in ipairs {"SGD", "Adam", "AdamW", "RMSprop"} do
            local w = leaf {1, 2}
            local y = w * w
            w.grad = lx.ones(2)
            lx.optim[name]({w}, {lr = 0.1}):step()
            assert.matches("a tensor that mul saved", message_of(y.backward, y, lx.ones(2)))
        end
    end)

    it("grow in replays as in calls", function()
        local w = lx.ones(3)
        local function f(x, y)
            w:add_(x)
            y:copy_(w)
            y:mul_(2)
            return x * 2
        end
        local x, y = lx.ones(3), lx.zeros(3)
        local function growth(call)
            local before = versions_of(w, x, y)
            call(x, y)
            local after = versions_of(w, x, y)
            return {after[1] - before[1], after[2] - before[2], after[3] - before[3]}
        end
        local wanted = growth(f)
        local compiled = lx.compile(f)
        for _ = 1, 6 do assert.same(wanted, growth(compiled)) end
        assert.is_true(compiled:facts().replays > 0)
        assert.same({1, 0, 2}, wanted)
    end)

    it("tell tensors apart that were moved to other memory", function()
        local w, other = leaf {1, 2}, lx.tensor {3, 4}
        local y = w * w
        lx.no_grad(function() core.adopt_(w, other) end)
        assert.matches("a tensor that mul saved", message_of(y.backward, y, lx.ones(2)))
    end)

    it("count what kernels for GPUs are declared to write", function()
        local root = debug.getinfo(1, "S").source:match("^@(.*)spec/in_place_spec%.lua$")
        local function texts(folder, pattern)
            local all = {}
            for file in lfs.dir(root .. folder) do
                if file:find(pattern) then
                    local handle <close> = assert(io.open(root .. folder .. "/" .. file))
                    all[#all + 1] = handle:read("a")
                end
            end
            return table.concat(all)
        end
        local declared, count = {}, 0
        for name, buffers in texts("kernels/simt", "%.cl$"):gmatch("__kernel[%s%w_%(%)]-void ([%w_]+)(%b())") do
            declared[name] = ""
            for const in buffers:gmatch("BUFFER%((%w+)") do
                declared[name] = declared[name] .. (const == "const" and "r" or "w")
            end
        end
        for name, reads in texts("csrc/ops", "%.c$"):gmatch("LX_SIMT_KERNEL%([%w_]+, ([%w_]+), (%d+)%)") do
            assert.matches("^" .. ("r"):rep(tonumber(reads)) .. "w+$", declared[name], name)
            count = count + 1
        end
        for _ in pairs(declared) do count = count - 1 end
        assert.equal(0, count)
    end)

    it("stay where only the layout changes", function()
        local y = lx.nn.functional.conv2d(lx.ones(1, 3, 4, 5), lx.ones(5, 3, 3, 3), lx.zeros(5))
        y:mul_(2)
        assert.is_true(core.is_blocked(y))
        local before = core.version(y)
        y:totable()
        assert.is_false(core.is_blocked(y))
        assert.equal(before, core.version(y))
    end)
end)
