--- `lx.compile`: what it replays is bit for bit what the function does, and it does not replay what it cannot.

local core = require "luxel.core"
local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

-- The cases and their support lie beside this file, wherever the tests are started from.
local here = debug.getinfo(1, "S").source:match("^@(.*)compile_spec%.lua$")
package.path = here .. "?.lua;" .. here .. "support/?.lua;" .. package.path
local cases, golden, running = require "cases", require "golden", require "running"

local devices = {"cpu"}
if lx.device("opencl") then devices[2] = lx.device("opencl").label end

-- What lx.compile said.
local said

local function compile(f)
    said = {}
    lx.on_notice(function(text) said[#said + 1] = text end)
    return lx.compile(f, {name = "f"})
end

local function small_net(device)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(8, 16, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 7, 1), nn.Hardswish(),
        nn.Hardsigmoid(), nn.Conv2d(7, 7, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(7 * 4 * 4, 10),
        nn.SiLU(), nn.Dropout(0.5), nn.Linear(10, 1)
    ):to(device)
end

local OPTIMIZERS = {
    ["AdamW with a schedule"] = function(parameters)
        local optimizer = lx.optim.AdamW(parameters, {lr = 1e-2})
        return optimizer, lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = 3, total = 30})
    end,
    ["SGD with momentum"] = function(parameters) return lx.optim.SGD(parameters, {lr = 0.05, momentum = 0.9}) end,
    ["RMSprop"] = function(parameters) return lx.optim.RMSprop(parameters, {momentum = 0.5}) end,
}

-- 20 steps, some with a smaller batch. Returns all that a training is, and the step.
local function train(device, make_optimizer, wrap)
    lx.manual_seed(3)
    local net = small_net(device)
    local optimizer, scheduler = make_optimizer(net:parameters())
    local step = wrap(function(x, y)
        optimizer:zero_grad()
        local loss = F.binary_cross_entropy_with_logits(net(x), y)
        loss:backward()
        lx.optim.clip_grad_norm_(net:parameters(), 0.5)
        optimizer:step()
        if scheduler then scheduler:step() end
        return loss
    end)
    local got = {losses = {}, tensors = {}}
    for i = 1, 20 do
        local n = i % 5 == 0 and 3 or 4
        local x = lx.randn(n, 1, 16, 16):to(device)
        local y = lx.randint(0, 2, {n, 1}, {dtype = "float32"}):to(device)
        got.losses[i] = step(x, y):item()
    end
    for name, tensor in pairs(net:state_dict()) do got.tensors[name] = tensor end
    for name, tensor in pairs(optimizer:state_dict().tensors) do got.tensors["optimizer." .. name] = tensor end
    for name, parameter in net:named_parameters() do got.tensors["gradient." .. name] = parameter.grad end
    for name, tensor in pairs(got.tensors) do got.tensors[name] = tensor:tostring_bytes() end
    got.steps, got.rate = optimizer:state_dict().steps, optimizer.groups[1].lr
    got.random = select(2, core.random_state())
    return got, step
end

local function same_bits(expected, got)
    assert.is_true(lx.is_tensor(got))
    assert.same(expected.shape, got.shape)
    assert.equal(expected:tostring_bytes(), got:tostring_bytes())
end

for _, device in ipairs(devices) do
    describe("lx.compile on " .. device, function()
        after_each(function() lx.on_notice(nil) end)

        for name, make_optimizer in pairs(OPTIMIZERS) do
            it("trains bit for bit as without: " .. name, function()
                local expected = train(device, make_optimizer, function(f) return f end)
                local got, step = train(device, make_optimizer, compile)
                assert.same(expected, got)
                assert.same({}, said)
                local facts = step:facts()
                assert.is_nil(facts.eager)
                assert.equal(2, #facts.recordings)
                assert.equal(20 - 6, facts.replays)
                for _, recording in ipairs(facts.recordings) do
                    assert.is_true(recording.arena > 0)
                    assert.is_true(recording.arena + recording.kept <= recording.eager)
                end
            end)
        end

        it("replays a forward pass with other contents, and follows the weights", function()
            local net = small_net(device):eval()
            local f = compile(net)
            for i = 1, 10 do
                local x = lx.randn(2, 1, 16, 16):to(device)
                local expected = lx.no_grad(net, x)
                same_bits(expected, lx.no_grad(f, x))
                if i > 5 and i < 8 then lx.no_grad(function() net:parameters()[1]:mul_(0.9) end) end
            end
            local facts = f:facts()
            assert.equal(7, facts.replays)
            if lx.device(device).form == "tile" then -- the convolutions' weights are packed once for all of them
                assert.is_true(facts.recordings[1].folded >= 2 and facts.recordings[1].constants > 0)
                local x = lx.randn(2, 1, 16, 16):to(device)
                local report = lx.profile(function() lx.no_grad(f, x) end, {device = device})
                assert.equal(facts.recordings[1].steps - facts.recordings[1].dropped - facts.recordings[1].folded,
                    #report.records[device])
            end
        end)

        it("gives each call results of its own, and arguments as they were passed", function()
            local f = compile(function(x, scale) return x * scale, "text", x, x:narrow(1, 2, 1) end)
            local all = {}
            for i = 1, 6 do
                local whole = lx.full({6}, i, {device = device})
                local x = whole:narrow(1, i % 2 + 1, 3)
                local y, text, again, part = f(x, 2)
                assert.equal("text", text)
                again:zero_()
                assert.same({0, 0, 0}, x:totable())
                assert.same({0}, part:totable())
                all[i] = y
            end
            for i = 1, 6 do assert.same({2 * i, 2 * i, 2 * i}, all[i]:totable()) end
            assert.equal(3, f:facts().replays)
        end)

        it("counts changes in place and draws as without", function()
            local w = lx.zeros(3, {device = device})
            local f = compile(function(x)
                w:add_(x)
                x:mul_(2)
                return lx.rand({4}, {device = device}), F.dropout(x, 0.5)
            end)
            lx.manual_seed(7)
            local _, start = core.random_state()
            for i = 1, 6 do
                local x = lx.ones(3, {device = device})
                local before, of_x = core.version(w), core.version(x)
                local drawn, dropped = f(x)
                assert.is_true(core.version(w) > before and core.version(x) > of_x)
                local _, stream = core.random_state()
                assert.equal(start + 2 * i, stream)
                core.random_state(start + 2 * i - 2)
                same_bits(lx.rand({4}, {device = device}), drawn)
                same_bits(F.dropout(x, 0.5), dropped)
            end
            assert.same({6, 6, 6}, w:totable())
            assert.equal(3, f:facts().replays)
        end)

        it("is what lx.train.fit and predict do, and changes nothing of a run", function()
            local function run(compiled)
                lx.manual_seed(4)
                local out = os.tmpname()
                os.remove(out)
                local net = small_net(device)
                local optimizer, scheduler = OPTIMIZERS["AdamW with a schedule"](net:parameters())
                local losses = {}
                local images, val = lx.data.phantom({n = 40, size = 16, seed = 1}):split {val = 0.5}
                local result = assert(lx.train.fit {
                    net = net, optimizer = optimizer, scheduler = scheduler, train = images, val = val, epochs = 5,
                    batch = 4, clip = 0.5, augment = true, loss = F.binary_cross_entropy_with_logits, out = out,
                    compile = compiled, progress = {
                        step = function(_, row) losses[#losses + 1] = row.loss end,
                        epoch = function(_, row) losses[#losses + 1] = row.val_loss end,
                        message = function(_, text) error(text) end,
                    },
                })
                local tensors = assert(lx.load(out .. "/last.safetensors"))
                for name, tensor in pairs(tensors) do tensors[name] = tensor:tostring_bytes() end
                os.execute("rm -rf " .. out)
                return {result.best, losses, tensors, select(2, core.random_state())}
            end
            said = {}
            lx.on_notice(function(text) said[#said + 1] = text end)
            assert.same(run(false), run())
            assert.same({}, said)
        end)

        it("replays every operation and layer, and its gradients #slow", function()
            local stored, replayed = golden.load(here .. "golden/golden.safetensors", cases), 0
            lx.on_notice(false)
            for _, case in ipairs(cases) do
                local inputs = running.inputs_of(stored[case.name], running.as_stored, device)
                local function f()
                    for _, input in pairs(inputs) do input.grad = nil end
                    local results = table.pack(case.run(inputs))
                    for i = 1, results.n do
                        if results[i].requires_grad then
                            results[i]:backward(results[i]:detach(), {retain_graph = true})
                        end
                    end
                    return table.unpack(results, 1, results.n)
                end
                local function bits_of(...)
                    local bits = {}
                    for i = 1, select("#", ...) do bits[i] = (select(i, ...)):tostring_bytes() end
                    for name, input in pairs(inputs) do bits[name] = input.grad and input.grad:tostring_bytes() end
                    return bits
                end
                lx.manual_seed(1)
                local expected, compiled = bits_of(f()), lx.compile(f)
                local calls = 0
                local got
                repeat -- two recordings in a row differ where the collector came between, so it can take a few more
                    lx.manual_seed(1)
                    got = bits_of(compiled())
                    calls = calls + 1
                until calls >= 5 and (compiled:facts().replays > 0 or compiled:facts().eager or calls == 12)
                assert.same(expected, got, case.name)
                local facts = compiled:facts()
                if facts.replays > 0 then replayed = replayed + 1 end
                -- a layer that is made anew in each call has other memory in each
                assert.is_true(facts.replays > 0 or facts.eager ~= nil or case.name:find("^layer/") ~= nil,
                    case.name .. " is not replayed, and nothing says why")
            end
            assert.is_true(replayed > 0.9 * #cases, ("%d of %d"):format(replayed, #cases))
        end)

        it("drops what nobody needs", function()
            local f = compile(function(x)
                local _ = x:exp():sum()
                return x + 1
            end)
            for _ = 1, 4 do assert.same({2, 2}, f(lx.ones(2, {device = device})):totable()) end
            local facts = f:facts().recordings[1]
            assert.is_true(facts.dropped >= 2)
            assert.equal(1, facts.steps - facts.dropped)
            assert.equal(0, facts.arena)
        end)

        it("puts a result over what it is made from, where a kernel may and nobody needs that any more", function()
            local x = lx.randn(2, 16, 32, 32):to(device):requires_grad_()
            local w, b = lx.ones(16):to(device), lx.zeros(16):to(device)
            local function step()
                x.grad = nil
                local loss = lx.nn.functional.batch_norm(x * 2, nil, nil, w, b, {training = true}):square():sum()
                loss:backward()
                return loss
            end
            local f, loss, gradient = compile(step), nil, nil
            for _ = 1, 4 do loss, gradient = f():item(), x.grad:clone() end
            assert.equal(step():item(), loss)
            assert.is_true(lx.equal(gradient, x.grad))
            local facts, all = f:facts().recordings[1], x:numel() * 4
            if lx.device(device).form ~= "simt" then -- of the input, the result, its square and gradients, one less
                assert.is_true(facts.temporaries < 5.5 * all, facts.temporaries / all)
            end
        end)

        it("is seen by lx.profile", function()
            local f = compile(function(x) return (x:exp() + 1):log() end)
            for _ = 1, 4 do f(lx.ones(8, {device = device})) end
            local x = lx.ones(8, {device = device})
            local report = lx.profile(function() f(x) end, {device = device})
            assert.equal(3, #report.records[device])
        end)

        it("frees the arena with the function, and grows by nothing over 500 replays", function()
            local net = small_net(device)
            collectgarbage()
            local before = lx.memory(device).live
            local f = compile(function(x)
                for _, parameter in ipairs(net:parameters()) do parameter.grad = nil end
                local loss = net(x):sum()
                loss:backward()
                for _, parameter in ipairs(net:parameters()) do parameter.grad = nil end
                return loss
            end)
            local x = lx.randn(2, 1, 16, 16):to(device)
            for _ = 1, 5 do f(x):free() end
            collectgarbage()
            collectgarbage() -- what was finalised goes in a second cycle
            local live, lua = lx.memory(device).live, collectgarbage("count")
            core.reset_peak(device)
            for _ = 1, 500 do f(x):free() end
            collectgarbage()
            collectgarbage()
            local grown = collectgarbage("count") - lua
            assert.equal(live, lx.memory(device).live)
            local facts = f:facts().recordings[1]
            assert.is_true(lx.memory(device).peak - live <= facts.arena * 9 // 8 + 4096)
            assert.equal(0, facts.kept)
            assert.is_true(grown < 16, tostring(grown))
            x:free()
            f:reset()
            f = nil -- luacheck: ignore 311
            collectgarbage()
            assert.equal(before, lx.memory(device).live)
        end)

        it("needs less memory at most than without", function()
            local function peak(wrap)
                local net = small_net(device)
                local f = wrap(function(x)
                    for _, parameter in ipairs(net:parameters()) do parameter.grad = nil end
                    local loss = net(x):sum()
                    loss:backward()
                    return loss
                end)
                local x = lx.randn(8, 1, 16, 16):to(device)
                for _ = 1, 4 do f(x) end
                collectgarbage()
                core.reset_peak(device)
                local before = lx.memory(device).live
                for _ = 1, 3 do
                    f(x):free()
                    collectgarbage()
                end
                return lx.memory(device).peak - before
            end
            local expected = peak(function(f) return f end)
            assert.is_true(peak(compile) <= expected)
        end)

        it("moves with the network to another device", function()
            local net = nn.Linear(3, 2)
            local f = compile(function(x) return net(x) end)
            local function check(on)
                net:to(on)
                for _ = 1, 5 do
                    local x = lx.randn(2, 3):to(on)
                    same_bits(net(x), f(x))
                end
            end
            check("cpu")
            check(device)
            net:to("cpu")
            net:to(device) -- other memory on the same device
            check(device)
            assert.is_true(f:facts().replays >= 4)
        end)
    end)
end

describe("lx.compile", function()
    local function run(f, times, ...)
        local result
        for _ = 1, times do result = f(...) end
        return result
    end

    after_each(function() lx.on_notice(nil) end)

    -- Runs f often, and expects it to have been called each time, with one message that matches.
    local function expect_eager(pattern, f, ...)
        local calls = 0
        local compiled = compile(function(...)
            calls = calls + 1
            return f(calls, ...)
        end)
        run(compiled, 9, ...)
        assert.equal(9, calls)
        assert.equal(1, #said, table.concat(said, "\n"))
        assert.matches(pattern, said[1])
        assert.equal(0, compiled:facts().replays)
        return compiled
    end

    it("calls a function that reads a value each time, and says where", function()
        local compiled = expect_eager("return the tensor and read it outside %(at .*%.lua:%d+%)",
            function(_, x) return x:sum():item() end, lx.ones(3))
        assert.matches("not replayed, because it reads", tostring(compiled))
    end)

    it("calls a function that does something else in each call", function()
        expect_eager("a number that binary_mul_s %(step 1%) takes changes", function(i, x) return x * i end, lx.ones(3))
        expect_eager("step 2 is", function(i, x) return i % 2 == 0 and x:exp():exp() or x:exp():log() end, lx.ones(3))
        expect_eager("launches 1 kernels in one call and 2", function(i, x)
            return i % 2 == 1 and x:exp():exp() or x:exp()
        end, lx.ones(3))
        expect_eager("changes from call to call", function(i, x) return x + lx.tensor({i, 2, 3}) end, lx.ones(3))
        expect_eager("its result 1 is 6 in one call and 7 in the next", function(i) return i end)
        local tensors = {}
        for i = 1, 9 do tensors[i] = lx.full({3}, i) end
        expect_eager("uses other tensors in each call", function(i, x) return x + tensors[i] end, lx.ones(3))
    end)

    it("calls a function that does what cannot be replayed", function()
        expect_eager("returns a table", function(_, x) return {x} end, lx.ones(3))
        expect_eager("sets the seed", function() lx.manual_seed(1) return lx.rand(3) end)
        expect_eager("makes a tensor of 80000 bytes", function()
            local numbers = {}
            for i = 1, 20000 do numbers[i] = i end
            return lx.tensor(numbers)
        end)
        expect_eager("runs a forward hook of Linear", (function()
            local net = nn.Linear(3, 1)
            net:register_forward_hook(function() end)
            return function(_, x) return net(x) end
        end)(), lx.ones(2, 3))
        expect_eager("arguments should be tensors", function(_, t) return t[1] end, {lx.ones(3)})
        expect_eager("an argument requires a gradient", function(_, x) return x * 2 end,
            lx.tensor({1, 2}, {requires_grad = true}))
    end)

    it("keeps constants that are made from data inside", function()
        local f = compile(function(x) return x * lx.tensor({1, 2, 3}) end)
        for i = 1, 5 do assert.same({i, 2 * i, 3 * i}, f(lx.full({3}, i)):totable()) end
        assert.equal(2, f:facts().replays)
    end)

    it("records for each shape, a few times, and says when that is enough", function()
        local f = compile(function(x) return x * 2 end)
        for size = 1, 6 do
            for _ = 1, 5 do assert.same(lx.full({size}, 6), f(lx.full({size}, 3))) end
        end
        assert.equal(4, #f:facts().recordings)
        assert.equal(8, f:facts().replays)
        assert.equal(1, #said)
        assert.matches("there are 4 recordings", said[1])
    end)

    it("tells apart arguments that share memory, other numbers and other modes", function()
        local f = compile(function(a, b, n)
            a:add_(b)
            return a * n
        end)
        for _ = 1, 5 do
            local a, b = lx.ones(2), lx.ones(2)
            assert.same({4, 4}, f(a, b, 2):totable())
            assert.same({8, 8}, f(a, a, 2):totable())
            assert.same({25, 25}, f(a, b, 5):totable())
        end
        assert.equal(6, f:facts().replays)
        local net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        local x = lx.ones(2, 4)
        f = compile(net)
        for _ = 1, 2 do
            net:train()
            for _ = 1, 5 do
                local _, stream = core.random_state()
                local expected = net(x)
                core.random_state(stream)
                same_bits(expected, f(x))
            end
            net:eval()
            for _ = 1, 5 do same_bits(net(x), f(x)) end
        end
        assert.equal(2, #f:facts().recordings)
    end)

    it("accumulates gradients where nobody clears them, and clears them outside", function()
        local function gradients(wrap)
            lx.manual_seed(2)
            local net = nn.Linear(3, 1)
            local f = wrap(function(x) net(x):sum():backward() end)
            local seen = {}
            for i = 1, 24 do
                if i % 4 == 1 then net:zero_grad() end
                f(lx.randn(2, 3))
                seen[i] = net.weight.grad:tostring_bytes()
            end
            return seen
        end
        assert.same(gradients(function(f) return f end), gradients(compile))
        assert.same({}, said)
    end)

    it("passes errors on, and goes on afterwards", function()
        local wrong
        local f = compile(function(x)
            local y = x:exp()
            if wrong then error(wrong, 0) end
            return y
        end)
        local problem = {}
        for i = 1, 8 do
            wrong = i <= 3 and problem or nil
            local ok, message = pcall(f, lx.ones(2))
            assert.equal(i > 3, ok)
            if not ok then assert.equal(problem, message) end
        end
        assert.is_true(f:facts().replays > 0)
        assert.is_nil(f:facts().eager)
    end)

    it("does not go on with a weight that was freed or replaced", function()
        local net = nn.Linear(3, 2)
        local f = compile(function(x) return net(x) end)
        local x = lx.ones(1, 3)
        run(f, 5, x)
        net.bias = nn.Parameter(lx.full({2}, 5))
        same_bits(net(x), f(x))
        run(f, 5, x)
        lx.no_grad(function() net.bias:fill_(7) end)
        same_bits(net(x), f(x))
        net.weight:free()
        assert.error_matches(function() f(x) end, "weight: expected a tensor, got a freed tensor")
    end)

    it("goes on with the weights that load_state_dict put in place of others", function()
        local net = nn.Linear(1, 1, {bias = false})
        local f = compile(function(x) return net(x) end)
        local x, before = lx.ones(1, 1), net.weight:detach() -- which keeps their memory
        run(f, 5, x)
        net:load_state_dict({weight = lx.full({1, 1}, 5)}, {assign = true})
        assert.equal(5, f(x):item())
        assert.not_equal(5, before:item())
    end)

    it("takes up optimisers that were loaded", function()
        local function losses(wrap)
            lx.manual_seed(5)
            local net = nn.Linear(4, 1)
            local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.1})
            local step = wrap(function(x)
                optimizer:zero_grad()
                local loss = net(x):square():mean()
                loss:backward()
                optimizer:step()
                return loss
            end)
            local seen, saved = {}, nil
            for i = 1, 16 do
                if i == 6 then
                    saved = optimizer:state_dict()
                    for key, tensor in pairs(saved.tensors) do saved.tensors[key] = tensor:clone() end
                end
                if i == 10 then optimizer:load_state_dict(saved) end
                if i == 13 then
                    optimizer:load_state_dict(lx.optim.AdamW(net:parameters(), {lr = 0.2}):state_dict())
                end
                seen[i] = step(lx.randn(3, 4)):item()
            end
            return seen
        end
        assert.same(losses(function(f) return f end), losses(compile))
    end)

    it("has the class numbers and indices of every call checked", function()
        local logits = lx.randn(3, 4)
        local f = compile(function(targets) return F.cross_entropy(logits, targets) end)
        local table_ = lx.randn(5, 2)
        local g = lx.compile(function(index) return table_:index_select(1, index) end)
        for i = 1, 6 do
            local targets = lx.tensor({1 + i % 4, 2, 4}, {dtype = "int32"})
            same_bits(F.cross_entropy(logits, targets), f(targets))
            same_bits(table_:index_select(1, targets), g(targets))
        end
        assert.equal(3, f:facts().replays)
        assert.error_matches(function() f(lx.tensor({1, 2, 5}, {dtype = "int32"})) end, "class numbers from 1 to 4")
        assert.error_matches(function() g(lx.tensor({1, 6, 2}, {dtype = "int32"})) end, "index 6, at place 2, is not")
        same_bits(F.cross_entropy(logits, lx.tensor({1, 2, 3}, {dtype = "int32"})),
            f(lx.tensor({1, 2, 3}, {dtype = "int32"})))
    end)

    it("returns results without history, and says so", function()
        local net = nn.Linear(3, 1)
        local f = compile(function(x) return net(x):sum() end)
        for _ = 1, 5 do
            local loss = f(lx.ones(2, 3))
            assert.is_false(loss.requires_grad)
            assert.error_matches(function() loss:backward() end, "call backward inside the function")
        end
    end)

    it("takes what lx.live changes anew at each replay", function()
        local function averages(wrap)
            local count, average = 0, lx.zeros(2)
            local f = wrap(function(x)
                lx.live(function()
                    count = count + 1
                    average:add_(x and lx.ones(2) or average, 1 / count)
                end)
                return average * 1
            end)
            local seen = {}
            for i = 1, 6 do seen[i] = f(lx.full({2}, i)):totable() end
            return seen, count
        end
        assert.same({averages(function(f) return f end)}, {averages(compile)})
    end)

    it("does not disturb a tidy around it, and takes one inside", function()
        local w = lx.tensor({1, 2, 3}, {requires_grad = true})
        local f = compile(function(x)
            w.grad = nil
            local loss = lx.tidy(function() return (w * x):sum() end)
            loss:backward()
            return loss:detach()
        end)
        for i = 1, 6 do
            local out = lx.tidy(f, lx.full({3}, i))
            assert.equal(6 * i, out:item())
            assert.same({i, i, i}, w.grad:totable())
        end
        assert.equal(3, f:facts().replays)
    end)

    it("calls a compiled function inside another as part of it", function()
        local inner = lx.compile(function(x) return x + 1 end)
        local f = compile(function(x) return inner(x) * 2 end)
        for i = 1, 6 do assert.same({2 * i + 2}, f(lx.full({1}, i)):totable()) end
        assert.equal(3, f:facts().replays)
    end)

    it("shows what it has", function()
        local f = compile(function(x) return x:exp():log() end)
        run(f, 4, lx.ones(3))
        assert.matches("^f: 1 recording, 1 replay\n  2 launches, 0 dropped; arena %d", tostring(f))
        assert.has_error(function() lx.compile(3) end, "compile: f: expected a function, got 3")
        assert.has_error(function() lx.compile(print, {nam = "f"}) end,
            "compile: options: unknown option 'nam' (did you mean 'name'?); the options are name")
    end)
end)
