--- What is under way in one coroutine is no concern of another, and one that is dropped, closed or ended by an error
--- leaves nothing behind.

local core = require "luxel.core"
local lx = require "luxel"

local enabled = lx.is_grad_enabled

-- Starts `f` in a coroutine, until it yields; returns it and what it yielded.
local function start(f)
    local thread = coroutine.create(f)
    local ok, value = coroutine.resume(thread)
    assert(ok, value)
    return thread, value
end

describe("no_grad and enable_grad in coroutines", function()
    local function suspended() return start(function() lx.no_grad(coroutine.yield) end) end

    it("hold for the coroutine that entered them", function()
        local inside
        local thread = start(function()
            lx.no_grad(function()
                coroutine.yield()
                inside = enabled()
            end)
            return enabled()
        end)
        assert.is_true(enabled())
        assert.is_true(coroutine.wrap(enabled)())
        local w = lx.ones({2}, {requires_grad = true})
        assert.is_true((w * 2).requires_grad)
        local _, after = coroutine.resume(thread)
        assert.is_false(inside)
        assert.is_true(after)
    end)

    it("leave nothing behind in a coroutine that is dropped, closed or fails", function()
        for _ = 1, 3 do suspended() end
        assert.is_true(enabled())
        collectgarbage()
        assert.is_true(enabled())
        assert.is_true(coroutine.close((suspended())))
        assert.is_true(enabled())
        assert.is_false(coroutine.resume(coroutine.create(function() lx.no_grad(error, "stop") end)))
        assert.is_true(enabled())
        assert.is_false(pcall(lx.no_grad, error, "stop"))
        assert.is_true(enabled())
    end)

    it("hold for what is resumed inside, the innermost first", function()
        lx.no_grad(function()
            assert.is_false(coroutine.wrap(enabled)())
            lx.enable_grad(function()
                assert.is_true(coroutine.wrap(enabled)())
                assert.is_false(coroutine.wrap(function() return lx.no_grad(coroutine.wrap(enabled)) end)())
            end)
            assert.is_false(enabled())
        end)
    end)

    it("stay what they were in a coroutine that is resumed in another mode", function()
        local thread = start(function()
            return lx.enable_grad(function()
                coroutine.yield()
                return enabled()
            end)
        end)
        local _, inside = lx.no_grad(coroutine.resume, thread)
        assert.is_true(inside)
    end)

    it("do not outlast an operation or a backward whose own function yields", function()
        local double = lx.autograd.define("yielding", {
            forward = function(_, x) coroutine.yield() return x * 2 end,
            backward = function(_, grad) coroutine.yield() return grad * 2 end,
        })
        local w = lx.ones({2}, {requires_grad = true})
        local thread = start(function()
            double(w):sum():backward()
        end)
        assert.is_true(enabled()) -- in the midst of forward
        assert.is_true(coroutine.resume(thread))
        assert.is_true(enabled()) -- and of backward
        assert.is_true(coroutine.resume(thread))
        assert.equal("dead", coroutine.status(thread))
        assert.equal(4, w.grad:sum():item())
    end)
end)

describe("tidy in coroutines", function()
    it("frees what its coroutine made, and nothing of others", function()
        local thread, first = start(function()
            lx.tidy(function()
                coroutine.yield(lx.ones(3))
                coroutine.yield(lx.ones(4))
            end)
        end)
        local mine = lx.ones(2)
        local _, second = coroutine.resume(thread)
        local other = coroutine.wrap(function() return lx.ones(5) end)()
        coroutine.resume(thread)
        assert.is_true(core.is_freed(first))
        assert.is_true(core.is_freed(second))
        assert.is_false(core.is_freed(mine))
        assert.is_false(core.is_freed(other))
    end)

    it("frees nothing of a coroutine that is resumed inside", function()
        local generator = coroutine.wrap(function()
            local kept = lx.ones(2)
            while true do
                coroutine.yield(kept:sum():item())
                kept = kept + 1
            end
        end)
        for i = 1, 3 do assert.equal(2 * i, lx.tidy(generator)) end
    end)

    it("ends in a coroutine that is closed, and is forgotten in one that is dropped", function()
        local function suspended()
            return start(function() lx.tidy(function() coroutine.yield(lx.ones(3)) end) end)
        end
        local thread, made = suspended()
        coroutine.close(thread)
        assert.is_true(core.is_freed(made))
        local _, dropped = suspended()
        collectgarbage()
        local mine = lx.tidy(function() return lx.ones(2) end)
        assert.is_false(core.is_freed(mine))
        assert.equal(3, dropped:sum():item())
    end)

    it("hands what it returns to the one around it, of the same coroutine", function()
        local inner
        lx.tidy(function()
            inner = lx.tidy(function() return lx.ones(2) end)
            assert.is_false(core.is_freed(inner))
        end)
        assert.is_true(core.is_freed(inner))
        local kept
        assert.is_false(pcall(lx.tidy, function()
            kept = lx.keep(lx.ones(2))
            inner = lx.ones(2)
            error("stop")
        end))
        assert.is_true(core.is_freed(inner))
        assert.is_false(core.is_freed(kept))
    end)
end)

describe("what watches the devices", function()
    -- The error of `f` in a coroutine that nobody closes.
    local function failure(f, ...)
        local ok, message = coroutine.resume(coroutine.create(f), ...)
        assert.is_false(ok)
        return tostring(message)
    end

    it("does not let the function yield: profile, compile, lx.live in a replay", function()
        assert.matches("^.*coroutine_spec.lua:%d+: profile: the function yields", failure(function()
            lx.profile(function() coroutine.yield() end)
        end))
        local yields = false
        local doubled = lx.compile(function(x)
            lx.live(function() if yields then coroutine.yield() end end)
            if yields == "outside" then coroutine.yield() end
            return x * 2
        end)
        local x = lx.ones(3)
        for _ = 1, 4 do assert.equal(6, doubled(x):sum():item()) end
        assert.equal(1, #doubled:facts().recordings)
        yields = true
        assert.matches("live: the function yields", failure(function() doubled(x) end))
        yields = false
        assert.equal(6, doubled(x):sum():item())
        local fresh = lx.compile(function(y)
            if yields then coroutine.yield() end
            return y * 3
        end)
        fresh(x)
        yields = true
        assert.matches("compile: the function yields", failure(function() fresh(x) end))
        yields = false
        for _ = 1, 4 do assert.equal(9, fresh(x):sum():item()) end
    end)

    it("ends with an error, in a coroutine too", function()
        local fails = false
        local doubled = lx.compile(function(x)
            if fails then error("stop") end
            return x * 2
        end)
        local x = lx.ones(3)
        doubled(x)
        fails = true
        local thread = coroutine.create(function() doubled(x) end) -- is kept, so that nobody collects it
        assert.is_false(coroutine.resume(thread))
        assert.is_true(collectgarbage("isrunning"))
        fails = false
        for _ = 1, 4 do assert.equal(6, doubled(x):sum():item()) end
        assert.equal(1, #doubled:facts().recordings)
        thread = coroutine.create(function() lx.profile(error) end)
        assert.is_false(coroutine.resume(thread))
        assert.equal(1, #lx.profile(function() return x:fill_(1) end, {device = "cpu"}).rows)
    end)

    it("lets the function resume other coroutines", function()
        local report = lx.profile(function()
            local other = coroutine.wrap(function() while true do coroutine.yield(lx.ones(3) + 1) end end)
            return other():sum():item() + other():sum():item()
        end)
        assert.equal(12, report.results[1])
    end)

    it("ends when a session is dropped", function()
        do lx.profile.start("cpu") end
        assert.equal(1, #lx.profile(function() return lx.ones(3):fill_(2) end, {device = "cpu"}).devices)
    end)
end)
