--- Fusion is a pass: a Sequential is its layers one by one, to the last bit, and `nn.fuse` the same function faster.

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local devices = {"cpu"}
if lx.device("opencl") then devices[2] = lx.device("opencl").label end

-- Every kind of sequence that fusion knows, and neighbours of these.
local function layers_of_all_kinds()
    return {
        nn.Conv2d(3, 20, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 20, 3, {padding = 1, bias = false}), nn.BatchNorm2d(20), nn.ReLU(),
        nn.Conv2d(20, 8, 1, {bias = false}), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, {groups = 2}), nn.ReLU(),
        nn.MaxPool2d(3, {stride = 2, padding = 1}), nn.Conv2d(8, 5, 3, {padding = 1}), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(5, 5, 3, {padding = 1, bias = false}), nn.BatchNorm2d(5), nn.ReLU6(), nn.Conv2d(5, 5, 1), nn.ReLU6(),
        nn.Hardswish(),
        nn.Flatten(), nn.Linear(5 * 3 * 3, 7), nn.ReLU(), nn.Dropout(0.2), nn.Linear(7, 6), nn.ReLU6(), nn.Linear(6, 2),
    }
end

local function input(device) return lx.arange(4 * 3 * 31 * 27):view(4, 3, 31, 27):sin():to(device) end

-- All that a training step leaves behind: the result and every gradient and buffer.
local function step(net, forward, x)
    lx.manual_seed(7)
    net:zero_grad()
    x = x:detach():requires_grad_()
    local y = forward(x)
    y:square():sum():backward()
    local found = {y, x.grad}
    for _, parameter in ipairs(net:parameters()) do found[#found + 1] = parameter.grad end
    for _, buffer in ipairs(net:buffers()) do found[#found + 1] = buffer:clone() end
    return found
end

local function largest_difference(a, b)
    return ((a:float() - b:float()):abs():max() / (b:float():abs():max() + 1e-20)):item()
end

local function all_equal(a, b)
    assert.equal(#a, #b)
    for i = 1, #a do assert.is_true(lx.equal(a[i], b[i]), "tensor " .. i) end
end

for _, device in ipairs(devices) do
    describe("a Sequential on " .. device, function()
        it("computes what its layers do when called one by one, bit for bit, with gradients and without", function()
            lx.manual_seed(2)
            local layers = layers_of_all_kinds()
            local whole = nn.Sequential(table.unpack(layers)):to(device)
            local nested = nn.Sequential(nn.Sequential(table.unpack(layers, 1, 5)),
                nn.Sequential(nn.Sequential(table.unpack(layers, 6, 10)), table.unpack(layers, 11)))
            local function by_hand(x)
                for _, layer in ipairs(layers) do x = layer(x) end
                return x
            end
            local x, state = input(device), {}
            for i, buffer in ipairs(whole:buffers()) do state[i] = buffer:clone() end
            local function restored(forward)
                for i, buffer in ipairs(whole:buffers()) do buffer:copy_(state[i]) end
                return step(whole, forward, x)
            end
            local expected = restored(by_hand)
            all_equal(restored(whole), expected)
            all_equal(restored(nested), expected)
            whole:eval()
            assert.is_true(lx.equal(whole(x), by_hand(x)))
            assert.is_true(lx.equal(lx.no_grad(whole, x), by_hand(x)))
            assert.is_true(lx.equal(lx.no_grad(nested, x), by_hand(x)))
        end)
    end)

    describe("nn.fuse on " .. device, function()
        local function network()
            lx.manual_seed(2)
            return nn.Sequential(table.unpack(layers_of_all_kinds())):to(device)
        end

        it("computes the same function: results, gradients and statistics to rounding", function()
            local plain, fused, x = network(), network(), input(device)
            local expected, found = step(plain, plain, x), step(fused, nn.fuse(fused), x)
            assert.equal(#expected, #found)
            for i = 1, #expected do
                assert.is_true(largest_difference(found[i], expected[i]) < 2e-4, "tensor " .. i)
            end
            plain:eval()
            fused:load_state_dict(plain:state_dict())
            fused:eval()
            assert.is_true(largest_difference(lx.no_grad(nn.fuse(fused), x), plain(x)) < 2e-5)
        end)

        it("activates what batch normalisation gives in the same pass, with the same bits", function()
            for _, shape in ipairs {{2, 19, 5, 7}, {3, 16, 9, 1}, {1, 3, 1, 2}} do
                local cases = {
                    {nn.ReLU()}, {nn.ReLU6()}, {nn.ReLU(), affine = false}, {nn.ReLU6(), eval = true},
                    {nn.LeakyReLU(0.1)}, {nn.LeakyReLU(0.1), eval = true, class = nn.DarknetBatchNorm2d},
                    {nn.LeakyReLU(0.1), class = nn.DarknetBatchNorm2d},
                    {nn.LeakyReLU(0.1), class = nn.DarknetBatchNorm2d, root = "outside", eval = true},
                }
                for _, case in ipairs(cases) do
                    lx.manual_seed(5)
                    local layer = (case.class or nn.BatchNorm2d)(shape[2], case.class and {root = case.root}
                        or {affine = case.affine})
                    lx.no_grad(function()
                        layer.running_mean:copy_(lx.rand(shape[2]) * 2 - 1)
                        layer.running_var:copy_(lx.rand(shape[2]) * 3 + 0.2)
                        if layer.weight then
                            layer.weight:copy_(lx.rand(shape[2]) * 8 - 4)
                            layer.bias:copy_(lx.rand(shape[2]) * 5 - 1)
                        end
                    end)
                    -- after a convolution, so that both work in the blocked layout, whose order of additions is its own
                    local net = nn.Sequential(nn.Conv2d(shape[2], shape[2], 1), layer, case[1]):to(device)
                    if case.eval then net:eval() end
                    local before = net:state_dict()
                    for key, value in pairs(before) do before[key] = value:clone() end
                    local x = lx.randn(shape):to(device)
                    local expected = step(net, net, x)
                    net:load_state_dict(before)
                    local found
                    local report = lx.profile(function() found = step(net, nn.fuse(net), x) end, {device = device})
                    all_equal(found, expected)
                    for _, row in ipairs(report.rows) do
                        assert.is_nil(row.name:find("relu"))
                        assert.is_nil(row.name:find("leaky"))
                    end
                end
            end
        end)

        it("adds a shortcut to what batch normalisation gives in the same pass, with the same bits", function()
            local Block = nn.class("Block")
            function Block:init(channels, activation)
                self.conv, self.bn = nn.Conv2d(channels, channels, 3, {padding = 1}), nn.BatchNorm2d(channels)
                self.projection, self.activation = nn.Conv2d(channels, channels, 1), activation
            end
            function Block:forward(x)
                local shortcut = nn.plus(self.projection(x))
                if not self.activation then return nn.chain(x, self.conv, self.bn, shortcut) end
                return nn.chain(x, self.conv, self.bn, shortcut, self.activation)
            end
            local function additions_of(net, forward, x)
                local found, count = nil, 0
                local report = lx.profile(function() found = step(net, forward, x) end, {device = device})
                for _, row in ipairs(report.rows) do
                    if row.name:find("binary_add%f[^%w]") then count = count + row.launches end
                end
                return found, count
            end
            for _, shape in ipairs {{2, 19, 5, 7}, {3, 16, 9, 1}, {1, 3, 1, 2}} do
                for _, activation in ipairs {false, nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1)} do
                    for _, training in ipairs {true, false} do
                        lx.manual_seed(5)
                        local net = nn.Sequential(Block(shape[2], activation or nil))
                        lx.no_grad(function() net[1].bn.weight:copy_(lx.rand(shape[2]) * 8 - 4) end)
                        net:to(device):train(training)
                        local before = net:state_dict()
                        for key, value in pairs(before) do before[key] = value:clone() end
                        local x = lx.randn(shape):to(device)
                        local expected, additions = additions_of(net, net, x)
                        net:load_state_dict(before)
                        local found, fewer = additions_of(net, nn.fuse(net), x)
                        all_equal(found, expected)
                        assert.equal(additions - 1, fewer)
                    end
                end
            end
        end)

        it("adds a shortcut of another shape as addition does, by itself", function()
            lx.manual_seed(5)
            local bn, x = nn.BatchNorm2d(4):to(device), lx.randn(2, 4, 3, 5):to(device)
            local row = lx.randn(1, 4, 1, 1):to(device)
            local Shifted = nn.class("Shifted")
            function Shifted:init() self.bn = bn end
            function Shifted:forward(images) return nn.chain(images, self.bn, nn.plus(row)) end
            local net = Shifted():eval()
            all_equal(step(net, nn.fuse(net), x), step(net, net, x))
        end)

        it("launches less, and is off when exactness is asked for", function()
            local net, x = network():eval(), input(device)
            local function launches(forward)
                local count = 0
                lx.no_grad(forward, x)
                for _, row in ipairs(lx.profile(function() lx.no_grad(forward, x) end, {device = device}).rows) do
                    count = count + row.launches
                end
                return count
            end
            local view = nn.fuse(net)
            assert.is_true(launches(view) <= launches(net) - 7)
            lx.math("exact")
            local ok, problem = pcall(function()
                assert.equal(launches(net), launches(view))
                assert.is_true(lx.equal(lx.no_grad(net, x), lx.no_grad(view, x)))
            end)
            lx.math("fast")
            assert(ok, problem)
        end)
    end)
end

-- How many launches a call is.
local function launches(forward, ...)
    local arguments, count = table.pack(...), 0
    local report = lx.profile(function() lx.no_grad(forward, table.unpack(arguments, 1, arguments.n)) end)
    for _, row in ipairs(report.rows) do count = count + row.launches end
    return count
end

describe("a fused network", function()
    it("shares everything with the network, and changes nothing of it", function()
        local net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        local names = net:state_names()
        local view = nn.fuse(net)
        view(lx.randn(2, 1, 5, 5))
        assert.same(names, net:state_names())
        assert.same(names, view:state_names())
        assert.is_true(rawequal(net[1].weight, view[1].weight))
        assert.equal(3, #view)
        assert.equal(view, nn.fuse(net))
        assert.equal(view, nn.fuse(view))
        view:eval()
        assert.is_false(net[2].training)
        view.note = 5
        assert.equal(5, net.note)
        assert.matches("^fused Sequential%(", tostring(view))
        assert.equal(nn.summary(net, {1, 1, 5, 5}).parameters, nn.summary(view, {1, 1, 5, 5}).parameters)
        assert.has_error(function() nn.fuse(5) end)
    end)

    it("is fused inside networks of classes and nested Sequentials, and across the ends of these", function()
        local Net = nn.class("Net")
        function Net:init()
            self.stem = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
            self.head = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(8 * 9, 5)), nn.ReLU(), nn.Linear(5, 1))
        end
        function Net:forward(x) return self.head(self.stem(x)) end
        local net, x = Net():eval(), lx.randn(1, 1, 8, 8)
        local expected = net(x)
        assert.is_true(largest_difference(lx.no_grad(nn.fuse(net), x), expected) < 1e-5)
        lx.no_grad(net, x)
        assert.is_true(launches(nn.fuse(net), x) <= launches(net, x) - 3)
    end)

    it("calls hooks, with results as they are layer by layer", function()
        local net, seen = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Sequential(nn.Sigmoid())), {}
        local x = lx.tensor({{{{-3, 2}, {1, 5}}}})
        for i = 1, 3 do
            net[i]:register_forward_hook(function(_, _, results) seen[#seen + 1] = results[1] end)
        end
        local expected = net(x)
        local first = seen
        seen = {}
        assert.is_true(lx.equal(expected, nn.fuse(net)(x)))
        all_equal(first, seen)
        seen = {}
        lx.no_grad(nn.fuse(net), x)
        all_equal(first, seen) -- nothing that a hook was given is freed
    end)

    it("takes layers that are added, replaced, used twice, or have a forward of their own", function()
        local conv = nn.Conv2d(2, 2, 3, {padding = 1})
        local net = nn.Sequential(conv, nn.ReLU())
        local view, x = nn.fuse(net), lx.randn(1, 2, 6, 6)
        local function agrees() assert.is_true(largest_difference(view(x), net(x)) < 1e-5) end
        agrees()
        net:append(nn.MaxPool2d(2)):append(conv):append(nn.ReLU()):append(conv):append(nn.BatchNorm2d(2)):eval()
        agrees()
        lx.no_grad(agrees)
        net:append(nn.Conv2d(2, 3, 1)):append(net[7])
        assert.has_error(function() view(x) end)
        net:add_module("8", nn.BatchNorm2d(3):eval())
        lx.no_grad(agrees)
        local before = net(x)
        net[2].forward = function(_, y) return y * 2 end -- of this ReLU alone
        agrees()
        assert.is_false(lx.equal(before, net(x)))
        local Twice = nn.class("Twice", nn.ReLU)
        function Twice.forward(_, y) return nn.ReLU.forward(_, y) * 2 end
        net:add_module("1", Twice())
        agrees()
    end)

    it("pools by itself what is no window of 2x2 or too small for one", function()
        for _, pool in ipairs {nn.MaxPool2d(3), nn.MaxPool2d(2, {stride = 1}), nn.MaxPool2d(2, {padding = 1})} do
            local net, x = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), pool), lx.randn(2, 1, 9, 8)
            assert.is_true(lx.equal(net(x), nn.fuse(net)(x)))
        end
        local net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
        for _, forward in ipairs {net, nn.fuse(net)} do
            assert.error_matches(function() forward(lx.ones(1, 1, 3, 9)) end, "the kernel %(2%) is larger")
        end
    end)

    it("folds a batch normalisation anew whenever anything it was made of has changed", function()
        lx.manual_seed(4)
        for _, options in ipairs {{}, {affine = false}} do
            for _, bias in ipairs {true, false} do
                local conv = nn.Conv2d(3, 20, 3, {padding = 1, bias = bias})
                local norm = nn.BatchNorm2d(20, options)
                local net = nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 4, 1),
                    nn.BatchNorm2d(4))
                local x, view = lx.randn(2, 3, 9, 7), nn.fuse(net)
                for _ = 1, 3 do net(lx.randn(4, 3, 9, 7)) end -- statistics other than 0 and 1
                net:eval()
                local before
                local function agrees()
                    local apart, folded = net(x), lx.no_grad(view, x)
                    assert.is_true(largest_difference(folded, apart) < 1e-5)
                    assert.is_true(before == nil or not lx.equal(before, folded))
                    before = folded
                end
                agrees()
                assert.is_true(lx.equal(before, lx.no_grad(view, x)))
                lx.no_grad(function()
                    conv.weight:mul_(2)
                    norm.running_var:mul_(0.5)
                end)
                agrees()
                norm.eps = 0.5
                agrees()
                for _ = 1, 2 do -- the second time with other memory of the same age
                    local state = {}
                    for name, tensor in pairs(net:state_dict()) do state[name] = tensor:clone() * 1.5 end
                    net:load_state_dict(state, {assign = true})
                    agrees()
                end
                net:train()
                net(x + 1)
                view(x)
                net:eval()
                agrees()
                local seen = 0
                norm:register_forward_hook(function() seen = seen + 1 end)
                before = nil
                agrees()
                assert.equal(2, seen)
            end
        end
    end)

    it("folds a batch normalisation for later calls, whatever tidies there are around the first one", function()
        local net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU()):eval()
        local fused, x = nn.fuse(net), input "cpu"
        local first = lx.tidy(function() return lx.no_grad(fused, x) end)
        assert.is_true(lx.equal(first, lx.no_grad(fused, x)))
        assert.is_true(largest_difference(first, lx.no_grad(net, x)) < 1e-5)
    end)

    it("goes along to another device and back", function()
        if not devices[2] then return end
        local net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()):eval()
        local x, view = lx.randn(1, 1, 6, 6), nn.fuse(net)
        local expected = lx.no_grad(view, x)
        net:to(devices[2])
        assert.is_true(largest_difference(lx.no_grad(view, x:to(devices[2])):to("cpu"), expected) < 1e-5)
        net:to("cpu")
        assert.is_true(lx.equal(lx.no_grad(view, x), expected))
    end)

    it("frees what only passes through when nothing is recorded", function()
        local layers = {}
        for i = 1, 40 do layers[i] = i % 2 == 0 and nn.Sigmoid() or nn.Tanh() end
        local net = nn.Sequential(nn.Sequential(table.unpack(layers, 1, 20)), table.unpack(layers, 21))
        local x = lx.zeros(1000, 100)
        local expected = net(x)
        collectgarbage()
        local before = lx.memory().live
        collectgarbage("stop")
        local y = lx.no_grad(nn.fuse(net), x)
        local grown = lx.memory().live - before
        collectgarbage("restart")
        assert.is_true(grown < 3 * 400000, "grew by " .. grown)
        assert.is_true(lx.equal(expected, y))
        assert.same({1000, 100}, x.shape)
    end)

    it("frees nothing that a module, a hook or the caller may keep", function()
        local kept = {}
        local Keeper = nn.class("Keeper")
        function Keeper.forward(_, x)
            kept[#kept + 1] = x
            return x
        end
        local x = lx.ones(2, 3)
        local net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Tanh(), nn.Sequential(Keeper(), nn.Identity()),
            nn.Tanh(), nn.Identity(), nn.Tanh())
        lx.no_grad(nn.fuse(net), x)
        net[5]:register_forward_hook(function(_, given, results)
            kept[#kept + 1] = given[1]
            kept[#kept + 1] = results[1]
        end)
        lx.no_grad(nn.fuse(net), x)
        assert.equal(6, x:sum():item())
        assert.equal(4, #kept)
        for _, tensor in ipairs(kept) do assert.is_true(tensor:sum():item() > 0) end
    end)

    it("leaves other calls as they are: after an error, and in other coroutines", function()
        local Odd = nn.class("Odd")
        local middle
        function Odd.forward(_, x)
            middle(x)
            return x
        end
        local inner = nn.Sequential(nn.Conv2d(1, 8, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2)):eval()
        local x = lx.randn(1, 1, 8, 8)
        lx.no_grad(inner, x)
        local plain, few = launches(inner, x), launches(nn.fuse(inner), x)
        assert.is_true(few < plain)
        local net = nn.Sequential(Odd(), inner)
        middle = function() error("inside") end
        assert.has_error(function() nn.fuse(net)(x) end)
        assert.equal(plain, launches(inner, x))
        middle = coroutine.yield
        local function start() return coroutine.wrap(function() return lx.no_grad(nn.fuse(net), x) end) end
        local first, second = start(), start()
        first()
        second()
        assert.equal(plain, launches(inner, x))
        assert.equal(few, launches(first))
        assert.equal(plain, launches(inner, x))
        assert.equal(few, launches(second))
        assert.equal(plain, launches(inner, x))
    end)

    it("is compiled as any function is", function()
        local net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(8 * 9, 3), nn.ReLU()):eval()
        local view = nn.fuse(net)
        local compiled = lx.compile(view)
        for i = 1, 6 do
            local x = lx.randn(2, 1, 8, 8)
            if i == 5 then lx.no_grad(function() net[2].running_mean:add_(1) end) end
            assert.is_true(lx.equal(lx.no_grad(view, x), lx.no_grad(compiled, x)))
        end
        assert.equal(3, compiled:facts().replays)
    end)

    it("takes a leaky ReLU into the layer before it where its slope is that of the kernels", function()
        local function kernels(layer, slope)
            lx.manual_seed(3)
            local net, names = nn.Sequential(layer, nn.LeakyReLU(slope)), {}
            local x = lx.randn(layer.in_features and {3, 8} or {2, 8, 5, 6})
            local found
            for _, row in ipairs(lx.profile(function() found = lx.no_grad(nn.fuse(net), x) end).rows) do
                names[#names + 1] = row.name
            end
            assert.is_true(largest_difference(found, net(x)) < 1e-5)
            return table.concat(names, " ")
        end
        for _, layer in ipairs {nn.Conv2d(8, 16, 3, {padding = 1}), nn.Conv2d(8, 6, 1), nn.Linear(8, 5)} do
            assert.is_nil(kernels(layer, 0.1):find("leaky") or kernels(layer, 0.1):find("where"))
            assert.is_truthy(kernels(layer, 0.2):find("where"))
        end
    end)

    it("is what training and prediction compute, unless exactness is asked for", function()
        local set = lx.data.phantom({n = 4, size = 16})
        local net = nn.Sequential(nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(8 * 64, 1))
        net:eval()
        local calls, run = 0, F.conv2d
        local function with_spy(f)
            F.conv2d = function(x, w, b, options)
                if options.activation then calls = calls + 1 end
                return run(x, w, b, options)
            end
            local ok, problem = pcall(f)
            F.conv2d = run
            assert(ok, problem)
        end
        with_spy(function() lx.train.predict(net, set, {compile = false}) end)
        assert.equal(1, calls)
        lx.math("exact")
        with_spy(function() lx.train.predict(net, set, {compile = false}) end)
        lx.math("fast")
        assert.equal(1, calls)
    end)
end)
