--- Memory: bounded without help from the user, given back early with it, and harmless when misused.

local core = require "luxel.core"
local lx = require "luxel"

local MIB <const> = 1 << 20

describe("memory", function()
    before_each(function()
        collectgarbage()
        core.trim()
        core.reset_peak()
    end)

    it("stays bounded over 20,000 temporaries of 1 MiB, without tidy", function()
        local start = lx.memory().live
        for _ = 1, 20000 do
            lx.empty(MIB // 4)
        end
        assert.is_true(lx.memory().peak - start < 600 * MIB)
    end)

    it("knows the most that was ever live since it was last asked to forget", function()
        local start = lx.memory().live
        assert.equal(start, lx.memory().peak)
        local a, b = lx.zeros(256, 1024), lx.zeros(512, 1024)
        assert.equal(start + 3 * MIB, lx.memory().peak)
        a:free()
        assert.equal(start + 3 * MIB, lx.memory().peak)
        local c = lx.zeros(128, 1024) -- 2.5 MiB are live: less than there were
        assert.equal(start + 3 * MIB, lx.memory().peak)
        core.reset_peak()
        assert.equal(start + 5 * MIB // 2, lx.memory().peak)
        local d = lx.zeros(256, 1024)
        assert.equal(start + 7 * MIB // 2, lx.memory().peak)
        for _, tensor in ipairs {b, c, d} do tensor:free() end
        assert.equal(start, lx.memory().live)
        assert.equal(start + 7 * MIB // 2, lx.memory().peak)
    end)

    it("counts what is live, and keeps freed blocks for reuse", function()
        local before = lx.memory().live
        local t = lx.zeros(256, 1024)
        assert.equal(MIB, lx.memory().live - before)
        local cached = lx.memory().cached
        t:free()
        assert.equal(before, lx.memory().live)
        assert.equal(cached + MIB, lx.memory().cached)
        local again = lx.zeros(256, 1024)
        assert.equal(cached, lx.memory().cached)
        again:free()
    end)

    it("frees in any way, any number of times", function()
        local t = lx.ones(3)
        local view = t:narrow(1, 2, 2)
        t:free()
        t:free()
        assert.same({1, 1}, view:totable())
        assert.has_error(function() return t + 1 end)
        assert.equal("[freed tensor]", tostring(t))
        local kept
        do
            local closed <close> = lx.ones(2)
            kept = closed
        end
        assert.has_error(function() return kept:totable() end)
    end)

    it("tidies up all but what is returned, kept, or a gradient", function()
        local before = lx.memory().live
        local w = lx.tensor({1, 2, 3}, {requires_grad = true})
        local kept
        local out, nested = lx.tidy(function()
            local a = lx.randn(1000)
            kept = lx.keep(a * 2)
            ;(w * w):sum():backward()
            return a + 1, {inner = lx.tidy(function() return lx.ones(5) * 3 end)}
        end)
        assert.equal(1000, out:numel())
        assert.equal(1000, kept:numel())
        assert.same({3, 3, 3, 3, 3}, nested.inner:totable())
        assert.same({2, 4, 6}, w.grad:totable())
        for _, t in ipairs {out, nested.inner, kept, w.grad, w} do t:free() end
        assert.equal(before, lx.memory().live)
    end)

    it("tidies up after an error too, and passes it on", function()
        local before = lx.memory().live
        local ok, message = pcall(lx.tidy, function()
            local _ = lx.randn(1000)
            error("my own mistake", 0)
        end)
        assert.is_false(ok)
        assert.equal("my own mistake", message)
        assert.equal(before, lx.memory().live)
    end)

    it("says so when there is not enough, and goes on", function()
        local ok, message = pcall(lx.zeros, 1 << 20, 1 << 20, 1 << 10)
        assert.is_false(ok)
        assert.matches("out of memory: cpu has no", message)
        assert.equal(6, lx.ones(2, 3):sum():item())
    end)

    it("survives states that close in any order", function()
        -- a coroutine that holds tensors and is never finished, and tensors that only the registry holds
        local co = coroutine.wrap(function() local t = lx.ones(10); coroutine.yield(t:sum()) end)
        co()
        local script = [[
            local lx = require "luxel"
            KEEP = {lx.ones(10), lx.ones(3):narrow(1, 1, 2)}
            setmetatable(KEEP, {__gc = function() KEEP[1]:free() end})
        ]]
        assert.is_true(os.execute(("%s -e '%s'"):format(arg[-1] or "lua5.4", script:gsub("'", "'\\''"))))
    end)
end)
