--- `lx.compile`: records what the devices do for a function once, and then does that without the function.
--
--     local step = lx.compile(function(x, y)
--         optimizer:zero_grad()
--         local loss = F.binary_cross_entropy_with_logits(net(x), y)
--         loss:backward()
--         optimizer:step()
--         return loss
--     end)
--     for x, y in batches do print(step(x, y):item()) end
--
-- See docs/compile.md for what such a function may do.

local args = require "luxel.args"
local autograd = require "luxel.autograd"
local core = require "luxel.core"
local events = require "luxel.compile.events"
local namespace = require "luxel.namespace"
local notice = require "luxel.notice"
local unbroken = require "luxel.unbroken"

local MOST_RECORDINGS <const> = 4 -- of a function, each for other arguments
local MOST_ATTEMPTS <const> = 6   -- to find two calls of the same arguments that do the same
local MOST_SEEN <const> = 64      -- kinds of arguments that are remembered
local MOST_LOST <const> = 8       -- recordings of which a tensor or module was replaced, before there are replays

---@class luxel.Compiled call it as the function; print it to see what was recorded
---@field package f function
---@field package options {name: string}
---@field package entries table<string, {calls: integer, attempts: integer, pending: table<string, luxel.Recording>,
--- recordings: luxel.Recording[]}> by signature; pending, by state, are those that wait for a call that does the same
---@field package count integer recordings in all
---@field package eager string? why the function itself is called from now on
---@field package said table<string, boolean> the messages there were
---@field package seen integer entries
---@field package replays integer
---@field package lost integer recordings that can never be used again
local Compiled = namespace.class("Compiled", {}, {"eager"})

args.type("compiled", "a compiled function", "table", function(value) return getmetatable(value) == Compiled end)

-- The gradient that a leaf has after replays, the same tensor in every recording: by slot.
local homes = setmetatable({}, {__mode = "kv"})

local function say(self, text)
    if self.said[text] then return end
    self.said[text] = true
    notice.say(("%s: %s"):format(self.name, text))
end

-- From now on the function itself is called.
local function give_up(self, reason)
    self.eager, self.entries, self.count = reason, {}, 0
    say(self, ("it %s; it is called each time instead of being replayed"):format(reason))
end

-- ---- results --------------------------------------------------------------------------------------------------

-- Results have no history: after a replay there is no graph to go back through. This makes backward say so.
local function mark(tensor)
    core.setslot(tensor, {requires_grad = false, compiled = true})
    return tensor
end

local function has_history(value)
    return core.is_tensor(value) and autograd.requires_grad(value)
end

local function cut_all(...)
    local results = table.pack(...)
    for i = 1, results.n do
        if has_history(results[i]) then results[i] = mark(core.alias(results[i])) end
    end
    return table.unpack(results, 1, results.n)
end

-- Replaces the tensors among the results by aliases, and remembers the rest. Returns why there can be no replay, if so.
local function take_results(now, results)
    now.results = {n = results.n, tensors = 0, marked = {}}
    for i = 1, results.n do
        local value = results[i]
        if core.is_tensor(value) then
            results[i] = core.alias(value)
            now.results.tensors = now.results.tensors + 1
            now.results[i] = now.results -- stands for a tensor
            if has_history(value) then
                mark(results[i])
                now.results.marked[now.results.tensors] = true
            end
        elseif type(value) == "table" or type(value) == "function" or type(value) == "userdata" then
            return ("returns a %s; return tensors, numbers, strings or booleans"):format(type(value))
        else
            now.results[i] = value
        end
    end
end

local function same_results(a, b)
    for i = 1, math.max(a.n, b.n) do
        local both_tensors = rawequal(a[i], a) and rawequal(b[i], b)
        if not both_tensors and a[i] ~= b[i] then
            return false, ("its result %d is %s in one call and %s in the next"):format(i, tostring(a[i]),
                tostring(b[i]))
        end
    end
    return a.n == b.n, "it returns more values in one call than in the next"
end

-- Puts the tensors of a replay between the other results.
local function merge(results, ...)
    for i in pairs(results.marked) do mark((select(i, ...))) end
    if results.n == results.tensors then return ... end
    local tensors, merged, taken = {...}, {}, 0
    for i = 1, results.n do
        if rawequal(results[i], results) then
            taken = taken + 1
            merged[i] = tensors[taken]
        else
            merged[i] = results[i]
        end
    end
    return table.unpack(merged, 1, results.n)
end

-- ---- recording ------------------------------------------------------------------------------------------------

-- Calls the function while the devices are recorded. Returns its results, and why it cannot be replayed, if so.
local function call_recorded(self, now, ...)
    -- Garbage may share a tensor's memory, and then no sum is made in that: so that two calls do the same, the
    -- collector comes before them, but not in between.
    collectgarbage()
    local collects = collectgarbage("isrunning")
    collectgarbage("stop")
    now.handle = nil
    local function begin(handle, ...)
        now.handle, events.now = handle, now
        return table.pack(self.f(...))
    end
    local function run(...)
        local results = begin(core.record(...))
        events.now = nil
        local reason = take_results(now, results)
        if reason then now.handle:problem(reason) end
        collectgarbage() -- what is still there outlives the call
        return results, now.handle:settle(results, results.n)
    end
    local function finish(ok)
        events.now = nil
        if collects then collectgarbage("restart") end
        if not ok and now.handle then now.handle:close() end
    end
    local results, reason = unbroken("compile", finish, run, ...)
    now.structure, now.changes = events.structure, #now.actions
    return results, reason
end

-- Whether two recordings of the same arguments do the same; else what differs.
local function same(a, b)
    local ok, text = same_results(a.results, b.results)
    if ok then ok, text = a.handle:same(b.handle) end
    if ok and a.changes ~= b.changes then
        ok, text = false, "it changes more numbers (by lx.live) in one call than in the next"
    end
    return ok, text
end

-- A leaf has one gradient tensor, whichever recording writes it.
local function share_grads(now)
    for slot, grad in pairs(now.grads) do
        local home = grad and homes[slot]
        if home and not rawequal(home, grad) and not core.is_freed(home) and now.handle:move(grad, home) then
            now.grads[slot], slot.grad = home, core.copy_(home, grad)
        elseif grad then
            homes[slot] = grad
        end
    end
end

local function accept(self, entry, now)
    entry.attempts = 0
    share_grads(now)
    now.facts = now.handle:plan()
    now.noted = nil
    table.insert(entry.recordings, now)
    self.count = self.count + 1
end

-- In which state of gradients and fields a call found things: calls in different states need not do the same.
local function state_of(now)
    local parts, with, without = {}, 0, 0
    for _, expected in pairs(now.expects) do
        if expected then with = with + 1 else without = without + 1 end
    end
    for i, guard in ipairs(now.guards) do parts[i] = tostring(guard[3]) end
    return ("%d %d %s"):format(with, without, table.concat(parts, " "))
end

-- Calls the function, records what it does, and keeps that if the last call in the same state did the same.
local function record(self, entry, ...)
    local now = {actions = {}, grads = {}, expects = {}, guards = {}, noted = {}}
    local results, reason = call_recorded(self, now, ...)
    local state, agree, text = state_of(now), false, nil
    local last = entry.pending[state]
    if last and not reason then agree, text = same(last, now) end
    if agree then
        entry.pending[state] = nil
        accept(self, entry, now)
    elseif reason or entry.attempts >= MOST_ATTEMPTS then
        now.handle:close()
        give_up(self, reason or "does not do the same in each call: " .. (text or "fields of its modules change"))
    else -- only to be compared: it must not keep what the function would let go of
        now.handle:forget()
        entry.pending[state] = {handle = now.handle, results = now.results, changes = now.changes}
    end
    return table.unpack(results, 1, results.n)
end

-- ---- replaying ------------------------------------------------------------------------------------------------

-- Whether all that a recording reads in Lua is as it was; if not, also whether the recording can never fit again.
local function fits(now)
    if now.structure ~= events.structure or not now.handle:fits() then return false, true end
    for slot, grad in pairs(now.expects) do
        if events.memory_of(slot) ~= grad then return false end
    end
    for _, guard in ipairs(now.guards) do
        if guard[1][guard[2]] ~= guard[3] then return false end
    end
    return true
end

-- Runs the live code, with launches that are not done but give on their numbers.
local function refresh(now)
    now.handle:refresh(true)
    unbroken("live", function() now.handle:stop() end, function()
        for _, action in ipairs(now.actions) do action[1](table.unpack(action, 2, action.n)) end
        now.handle:refresh(false)
    end)
end

local function replay(self, now, ...)
    if #now.actions > 0 then refresh(now) end
    self.replays = self.replays + 1
    return merge(now.results, now.handle:replay(...))
end

local function finish_replay(now, ...)
    for slot, grad in pairs(now.grads) do slot.grad = grad or nil end
    return ...
end

-- The recording for a call, if there is one; those that can never be used again are dropped.
local function find(self, entry)
    for i = #entry.recordings, 1, -1 do
        local now = entry.recordings[i]
        local ok, gone = fits(now)
        if ok then return now end
        if gone then
            self.lost = self.lost + 1
            now.handle:close()
            table.remove(entry.recordings, i)
            self.count, entry.calls, entry.attempts = self.count - 1, 0, 0
        end
    end
end

local function add_entry(self, key)
    self.seen = self.seen + 1
    if self.seen > MOST_SEEN then -- of calls of many shapes, those are forgotten that were not recorded
        for old, entry in pairs(self.entries) do
            if #entry.recordings == 0 then self.entries[old] = nil end
        end
        self.seen = self.count
    end
    local entry = {calls = 0, attempts = 0, pending = {}, recordings = {}}
    self.entries[key] = entry
    return entry
end

function Compiled:__call(...)
    if self.eager or events.now then return cut_all(self.f(...)) end
    local key, reason = core.signature(autograd.is_grad_enabled(), ...)
    if not key then
        say(self, reason .. "; until then the function itself is called")
        return cut_all(self.f(...))
    end
    local entry = self.entries[key] or add_entry(self, key)
    local now = find(self, entry)
    if self.lost > MOST_LOST + self.replays // 8 then
        give_up(self, "uses tensors or modules that are replaced again and again")
        return cut_all(self.f(...))
    end
    if now then return finish_replay(now, replay(self, now, ...)) end
    entry.calls = entry.calls + 1
    if entry.calls == 1 then return cut_all(self.f(...)) end -- what comes into being at first use comes now
    if self.count >= MOST_RECORDINGS then
        say(self, ("there are %d recordings, for other shapes or states; further ones are computed without")
            :format(MOST_RECORDINGS))
        return cut_all(self.f(...))
    end
    entry.attempts = entry.attempts + 1
    return record(self, entry, ...)
end

-- ---- looking at it --------------------------------------------------------------------------------------------

local function size_text(bytes)
    return bytes < 1 << 20 and ("%.1f KiB"):format(bytes / 1024) or ("%.1f MiB"):format(bytes / 1048576)
end

local function line_of(now)
    local facts = now.facts
    local line = ("  %d launches, %d dropped; arena %s for temporaries of %s"):format(facts.steps - facts.dropped,
        facts.dropped, size_text(facts.arena), size_text(facts.temporaries))
    if facts.folded == 0 then return line end
    return ("%s; %d of the launches only after what they read was changed, %s for their results"):format(line,
        facts.folded, size_text(facts.constants))
end

--- What was recorded. Of each recording: `steps` (launches and the like), of these `dropped` and `folded` ones (whose
--- results stay until what they read is changed); bytes of the `arena`, of all `temporaries` in it, of the results that
--- stay (`constants`), of tensors that outlive the function (`kept`), and what all that is made in the function took at
--- most when it was recorded (`eager`).
---@return {eager: string?, replays: integer, recordings: table[]}
function Compiled:facts()
    local list = {}
    for _, entry in pairs(self.entries) do
        for _, now in ipairs(entry.recordings) do list[#list + 1] = now.facts end
    end
    return {eager = self.eager, replays = self.replays, recordings = list}
end

function Compiled:__tostring()
    if self.eager then return ("%s: not replayed, because it %s"):format(self.name, self.eager) end
    local lines = {("%s: %d recording%s, %d replay%s"):format(self.name, self.count, self.count == 1 and "" or "s",
        self.replays, self.replays == 1 and "" or "s")}
    for _, entry in pairs(self.entries) do
        for _, now in ipairs(entry.recordings) do lines[#lines + 1] = line_of(now) end
    end
    return table.concat(lines, "\n")
end

--- Forgets all recordings, and frees what they hold; the next calls are recorded anew.
function Compiled:reset()
    for _, entry in pairs(self.entries) do
        for _, now in ipairs(entry.recordings) do now.handle:close() end
    end
    self.entries, self.count, self.seen, self.lost, self.eager, self.said = {}, 0, 0, 0, nil, {}
end

--- A function that does what `f` does, faster: after a few calls with arguments of the same shapes it no longer calls
--- `f`, but does again what the devices did for it, with the arguments of the call, in one piece of memory. Results are
--- bit for bit those of `f`; gradients, parameters, buffers, optimisers and random numbers go on as they would.
---
--- `f` takes tensors, numbers, strings and booleans, and returns such. A call with other shapes is recorded by itself,
--- up to four times. A function that cannot be replayed, because it reads a value say, is called each time, and a
--- message (see `lx.on_notice`) says why. Results have no history: backward belongs inside.
---@param f fun(...): ...
---@param options {name: string?}? name: for messages; default where f is defined
---@return luxel.Compiled
local function compile(f, options)
    local name = options and options.name
    if not name then
        local info = type(f) == "function" and debug.getinfo(f, "S")
        name = info and ("compile (%s:%d)"):format(info.short_src, info.linedefined) or "compile"
    end
    return setmetatable({
        f = f, name = name, entries = {}, count = 0, seen = 0, said = {}, replays = 0, lost = 0,
    }, Compiled)
end

args.publish("Compiled:", Compiled, {facts = "compiled: compiled", reset = "compiled: compiled"})

return args.public("compile", "f: function, options: {name: string?}?", compile)
