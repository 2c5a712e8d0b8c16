local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    return tostring(message)
end

local function names_of(iterator)
    local names = {}
    for name in iterator do names[#names + 1] = name end
    return names
end

-- Layers and an own parameter, nested.
local Block = nn.class("Block")

function Block:init(channels)
    self.conv = nn.Conv2d(channels, channels, 3, {padding = 1, bias = false})
    self.norm = nn.BatchNorm2d(channels)
    self.scale = nn.Parameter(lx.ones(1))
end

function Block:forward(x)
    return F.relu(self.norm(self.conv(x))) * self.scale + x
end

local Net = nn.class("Net")

function Net:init(classes)
    self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, {padding = 1}), nn.ReLU(), nn.MaxPool2d(2))
    self.block = Block(4)
    self.head = nn.Linear(4, classes)
end

function Net:forward(x)
    return self.head(self.block(self.stem(x)):mean({3, 4}))
end

describe("a module", function()
    it("lists its parameters by PyTorch's names in the order of assignment", function()
        assert.same({
            "stem.0.weight", "stem.0.bias", "block.scale", "block.conv.weight", "block.norm.weight",
            "block.norm.bias", "head.weight", "head.bias",
        }, names_of(Net(2):named_parameters()))
        assert.same({"block.norm.running_mean", "block.norm.running_var", "block.norm.num_batches_tracked"},
            names_of(Net(2):named_buffers()))
        assert.same({
            "stem.0.weight", "stem.0.bias", "block.scale", "block.conv.weight", "block.norm.weight",
            "block.norm.bias", "block.norm.running_mean", "block.norm.running_var", "block.norm.num_batches_tracked",
            "head.weight", "head.bias",
        }, Net(2):state_names())
    end)

    it("knows the modules inside, parents first", function()
        local net = Net(2)
        assert.same({"", "stem", "stem.0", "stem.1", "stem.2", "block", "block.conv", "block.norm", "head"},
            names_of(net:named_modules()))
        assert.equal(3, #net:children())
        assert.equal(9, #net:modules())
    end)

    it("applies a function to children before parents", function()
        local order = {}
        Net(2):apply(function(module) order[#order + 1] = module.class_name end)
        assert.same({"Conv2d", "ReLU", "MaxPool2d", "Sequential", "Conv2d", "BatchNorm2d", "Block", "Linear", "Net"},
            order)
    end)

    it("prints as a tree with parameter counts", function()
        assert.equal([[
Net(  [203]
  (stem): Sequential(  [40]
    (0): Conv2d(1, 4, 3, padding=1)  [40]
    (1): ReLU()
    (2): MaxPool2d(2)
  )
  (block): Block(  [153]
    (conv): Conv2d(4, 4, 3, padding=1, bias=false)  [144]
    (norm): BatchNorm2d(4)  [8]
  )
  (head): Linear(4, 2)  [10]
)]], tostring(Net(2)))
        assert.equal("Linear(25088, 512)  [12,845,568]", tostring(nn.Linear(25088, 512)))
        assert.equal("Conv2d(4, 8, {3,5}, stride=2, padding={1,2}, dilation=2, groups=2)  [248]", tostring(
            nn.Conv2d(4, 8, {3, 5}, {stride = 2, padding = {1, 2}, dilation = 2, groups = 2})))
    end)

    it("switches between training and evaluation as a whole", function()
        local net = Net(2)
        assert.is_true(net.block.norm.training)
        assert.equal(net, net:eval())
        for _, module in net:named_modules() do assert.is_false(module.training) end
        net:train()
        for _, module in net:named_modules() do assert.is_true(module.training) end
    end)

    it("forgets gradients, and freezes", function()
        local net = nn.Linear(2, 1)
        net(lx.ones(1, 2)):backward()
        assert.is_not_nil(net.weight.grad)
        net:zero_grad()
        assert.is_nil(net.weight.grad)
        net:requires_grad_(false)
        assert.is_false(net(lx.ones(1, 2)).requires_grad)
        assert.equal(2, #net:parameters())
    end)

    it("takes a parameter or module under a name that was a plain field", function()
        local net = nn.Module.class("Late")()
        net.part = false
        assert.is_false(net.part)
        net.part = nn.Linear(1, 1)
        assert.same({"part.weight", "part.bias"}, names_of(net:named_parameters()))
        net.part = nil
        assert.same({}, names_of(net:named_parameters()))
        assert.is_nil(net.part)
    end)

    it("does not let a plain tensor take a parameter's place", function()
        local net = nn.Linear(1, 1)
        assert.matches("weight is a parameter; assign nn.Parameter%(tensor%)",
            message_of(function() net.weight = lx.ones(1, 1) end))
        net.weight = nn.Parameter(lx.ones(1, 1))
        assert.same({"weight", "bias"}, names_of(net:named_parameters()))
        net.cache = lx.ones(1)
        assert.same({"weight", "bias"}, names_of(net:named_parameters()))
    end)

    it("can be subclassed further", function()
        local Wide = nn.class("Wide", Net)
        function Wide:init(classes)
            Net.init(self, classes)
            self.extra_head = nn.Linear(4, 1)
        end
        local wide = Wide(3)
        assert.equal(10, #wide:parameters())
        assert.same({2, 3}, wide:eval()(lx.randn(2, 1, 8, 8)).shape)
        assert.matches("^Wide%(", tostring(wide))
    end)

    it("counts and trains a shared parameter once", function()
        local a, b = nn.Linear(2, 2, {bias = false}), nn.Linear(2, 2, {bias = false})
        b.weight = a.weight
        local net = nn.Sequential(a, b)
        assert.equal(1, #net:parameters())
        assert.equal(4, net:count_parameters())
        assert.is_true(rawequal(a.weight, b.weight))
        assert.same({"0.weight", "1.weight"}, net:state_names())
        lx.no_grad(function() a.weight:copy_(lx.eye(2)) end)
        local y = net(lx.ones(1, 2)):sum()
        y:backward()
        assert.same({{2, 2}, {2, 2}}, a.weight.grad:totable())
    end)

    it("calls hooks after forward until they are removed", function()
        local layer, seen = nn.Linear(2, 3), 0
        local remove = layer:register_forward_hook(function(module, arguments, results)
            seen = seen + 1
            assert.equal(layer, module)
            assert.same({1, 2}, arguments[1].shape)
            assert.same({1, 3}, results[1].shape)
        end)
        layer(lx.ones(1, 2))
        remove()
        layer(lx.ones(1, 2))
        assert.equal(1, seen)
    end)

    it("says what is wrong with a class", function()
        assert.matches("Empty: the class does not define forward", message_of(nn.class("Empty")()))
        assert.matches("class: the name should be a string", message_of(nn.class))
        assert.matches("Sequential: 1 should be a module, got number", message_of(nn.Sequential, nn.ReLU(), 5))
    end)
end)

describe("the mean of a loss", function()
    it("is over the targets that are there, however many there are", function()
        for _, shape in ipairs {{3, 2}, {4096, 1}, {97, 101}, {2, 1, 130, 127}} do
            local x = lx.randn(shape):requires_grad_(true)
            local target = lx.rand(shape)
            target = target:masked_fill(target:lt(0.25), 0 / 0)
            local each = F.binary_cross_entropy_with_logits(x, target, {reduction = "none"})
            local count = target:eq(target):sum():item()
            local mean = F.binary_cross_entropy_with_logits(x, target)
            assert.near(each:sum():item() / count, mean:item(), 1e-5)
            mean:backward()
            local slopes = x.grad * count
            x.grad = nil
            each:sum():backward()
            assert.is_true(lx.allclose(slopes, x.grad))
        end
        assert.equal(0, F.mse_loss(lx.ones(2), lx.full({2}, 0 / 0)):item())
    end)
end)

describe("a state dict", function()
    it("goes round", function()
        local a, b = Net(2), Net(2)
        local x = lx.randn(2, 1, 8, 8)
        a(x) -- moves the running statistics
        a:eval()
        b:eval()
        assert.is_false(lx.allclose(a(x), b(x)))
        b:load_state_dict(a:state_dict())
        assert.is_true(lx.equal(a(x), b(x)))
        assert.equal(1, b.block.norm.num_batches_tracked:item())
        assert.is_true(b.head.weight.requires_grad)
    end)

    it("becomes the module's own tensors with assign, and need not be initialised before", function()
        lx.manual_seed(5)
        local drawn = lx.rand(1):item()
        lx.manual_seed(5)
        local net = nn.init.skip(nn.Linear, 2, 1)
        assert.equal(drawn, lx.rand(1):item()) -- no random numbers were used
        local weight, bias = net.weight, net.bias
        local state = {weight = lx.tensor({{3, 4}}), bias = lx.tensor({7}, {dtype = "int32"})}
        net:load_state_dict(state, {assign = true})
        assert.is_true(rawequal(weight, net.weight) and rawequal(bias, net.bias))
        assert.same({{14}}, net(lx.ones(1, 2)):totable())
        state.weight:fill_(0)
        state.bias:fill_(0)
        assert.same({{7}}, net(lx.ones(1, 2)):totable()) -- the bias has another dtype and was copied
        net(lx.ones(1, 2)):sum():backward()
        assert.same({{1, 1}}, net.weight.grad:totable())
        assert.has_error(function() nn.init.skip(error, "inside") end)
        assert.are_not.same({{0, 0}}, nn.init.constant_(lx.zeros(1, 2), 1):totable())
    end)

    it("that does not fit is refused with all its keys, and changes nothing", function()
        local net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        local before = net[1].weight:clone()
        local state = net:state_dict()
        state["0.weight"] = lx.zeros(2, 2)
        state["0.bias"] = nil
        state["1.weight"] = lx.zeros(3, 2)
        state["head.weight"] = lx.zeros(1)
        assert.has_error(function() net:load_state_dict(state) end,
            "load_state_dict: the state does not fit Sequential\n"
            .. "  wrong shape: 1.weight is [3,2], the module has [1,2]\n"
            .. "  missing: 0.bias\n"
            .. "  unexpected: head.weight")
        assert.is_true(lx.equal(before, net[1].weight))
        assert.matches("wrong shape", message_of(net.load_state_dict, net, state, {strict = false}))
        state["1.weight"] = nil
        local left_out = net:load_state_dict(state, {strict = false})
        assert.same({"0.bias", "1.weight"}, left_out.missing)
        assert.same({"head.weight"}, left_out.unexpected)
        assert.same({{0, 0}, {0, 0}}, net[1].weight:totable())
    end)
end)

describe("Sequential", function()
    it("is indexed from 1 and from the end", function()
        local net = nn.Sequential(nn.Flatten(), nn.ReLU()):append(nn.Linear(2, 1))
        assert.equal(3, #net)
        assert.equal("Flatten", net[1].class_name)
        assert.equal("Linear", net[-1].class_name)
        assert.equal("ReLU", net:get(2).class_name)
        assert.is_nil(net[4])
        assert.matches("there is no module 4, it has 3", message_of(net.get, net, 4))
    end)

    it("gives the same numbers with convolution and ReLU in one pass", function()
        local conv = nn.Conv2d(3, 5, 3, {padding = 1})
        local fused, apart = nn.Sequential(conv, nn.ReLU()), nn.Sequential(conv, nn.Identity(), nn.ReLU())
        local function run(net)
            local x = lx.arange(2 * 3 * 7 * 5):view(2, 3, 7, 5):sin():requires_grad_()
            conv:zero_grad()
            local y = net(x)
            y:square():sum():backward()
            return y, x.grad, conv.weight.grad, conv.bias.grad
        end
        local a, b = table.pack(run(fused)), table.pack(run(apart))
        for i = 1, 4 do assert.is_true(lx.equal(a[i], b[i])) end
        assert.equal(0, a[1]:min():item())
    end)

    it("still calls the hooks of a ReLU after a convolution", function()
        local net, seen = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), 0
        net[2]:register_forward_hook(function() seen = seen + 1 end)
        net(lx.ones(1, 1, 2, 2))
        assert.equal(1, seen)
    end)

    it("has a batch normalisation in the convolution before it when nothing is recorded", function()
        lx.manual_seed(4)
        for _, options in ipairs {{}, {affine = false}} do
            for _, bias in ipairs {true, false} do
                local conv = nn.Conv2d(3, 20, 3, {padding = 1, bias = bias})
                local norm = nn.BatchNorm2d(20, options)
                local net = nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 4, 1),
                    nn.BatchNorm2d(4))
                local x = lx.randn(2, 3, 9, 7)
                for _ = 1, 3 do net(lx.randn(4, 3, 9, 7)) end -- statistics other than 0 and 1
                net:eval()
                local seen = 0
                local function agrees()
                    local apart, folded = net(x), lx.no_grad(net, x)
                    assert.is_true((apart - folded):abs():max():item() < 1e-5)
                    return folded
                end
                local first = agrees()
                assert.is_true(lx.equal(first, lx.no_grad(net, x)))
                lx.no_grad(function()
                    conv.weight:mul_(2)
                    norm.running_var:mul_(0.5)
                end)
                assert.is_false(lx.equal(first, agrees()))
                norm:register_forward_hook(function() seen = seen + 1 end)
                agrees()
                assert.equal(2, seen)
            end
        end
    end)

    it("frees what only passes through when nothing is recorded", function()
        local layers = {}
        for i = 1, 40 do layers[i] = i % 2 == 0 and nn.Sigmoid() or nn.Tanh() end
        local net = nn.Sequential(table.unpack(layers))
        local x = lx.zeros(1000, 100)
        local expected = net(x)
        collectgarbage()
        local before = lx.memory().live
        collectgarbage("stop")
        local y = lx.no_grad(net, x)
        local grown = lx.memory().live - before
        collectgarbage("restart")
        assert.is_true(grown < 3 * 400000, "grew by " .. grown)
        assert.is_true(lx.equal(expected, y))
        assert.same({1000, 100}, x.shape)
    end)

    it("frees nothing that a module or the caller may keep", function()
        local kept = {}
        local Keeper = nn.class("Keeper")
        function Keeper.forward(_, x)
            kept[#kept + 1] = x
            return x
        end
        local x = lx.ones(2, 3)
        local net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Tanh(), Keeper(), nn.Tanh(), nn.Identity(),
            nn.Tanh())
        lx.no_grad(net, x)
        assert.equal(6, x:sum():item())
        assert.same({2, 3}, kept[1].shape)
        assert.is_true(kept[1]:sum():item() > 0)
    end)
end)

describe("ModuleList", function()
    it("holds modules by number", function()
        local list = nn.ModuleList({nn.Linear(1, 1), nn.ReLU()}):append(nn.Linear(1, 2))
        assert.equal(3, #list)
        assert.same({"0.weight", "0.bias", "2.weight", "2.bias"}, names_of(list:named_parameters()))
        local seen = {}
        for i, module in list:each() do seen[i] = module.class_name end
        assert.same({"Linear", "ReLU", "Linear"}, seen)
        assert.equal(list[1], list:get(1))
    end)
end)

describe("initialisation", function()
    it("follows PyTorch's default for convolutions and linear layers", function()
        lx.manual_seed(3)
        local conv = nn.Conv2d(16, 32, 3)
        local bound = 1 / math.sqrt(16 * 9)
        assert.is_true(conv.weight:abs():max():item() <= bound)
        assert.is_true(conv.bias:abs():max():item() <= bound)
        assert.is_true(math.abs(conv.weight:std():item() - bound / math.sqrt(3)) < 0.02 * bound)
        local transposed = nn.ConvTranspose2d(32, 4, 2)
        assert.is_true(transposed.weight:abs():max():item() <= 1 / math.sqrt(4 * 4))
        assert.is_true(transposed.weight:abs():max():item() > 0.9 / math.sqrt(4 * 4))
    end)

    it("has the spread it promises", function()
        lx.manual_seed(3)
        local w = lx.zeros(200, 300)
        local function spread(expected)
            assert.is_true(math.abs(w:std():item() / expected - 1) < 0.02)
            assert.is_true(math.abs(w:mean():item()) < 0.02 * expected)
        end
        nn.init.kaiming_normal_(w, {nonlinearity = "relu"})
        spread(math.sqrt(2 / 300))
        nn.init.kaiming_uniform_(w, {nonlinearity = "relu", mode = "fan_out"})
        spread(math.sqrt(2 / 200))
        nn.init.xavier_uniform_(w)
        spread(math.sqrt(2 / 500))
        nn.init.xavier_normal_(w, 2)
        spread(2 * math.sqrt(2 / 500))
        nn.init.normal_(w, 0, 3)
        spread(3)
        nn.init.uniform_(w, -1, 1)
        spread(math.sqrt(1 / 3))
        assert.equal(60000 * 7, nn.init.constant_(w, 7):sum():item())
        assert.matches("at least 2 dimensions, got float32 %[3%]", message_of(nn.init.xavier_normal_, lx.zeros(3)))
    end)

    it("repeats with the seed", function()
        lx.manual_seed(11)
        local a = nn.Linear(5, 5).weight
        lx.manual_seed(11)
        assert.is_true(lx.equal(a, nn.Linear(5, 5).weight))
        assert.is_false(lx.equal(a, nn.Linear(5, 5).weight))
    end)
end)

describe("dropout", function()
    it("keeps the mean, zeroes the given share, and scales the rest", function()
        lx.manual_seed(5)
        local y = F.dropout(lx.ones(400, 500), 0.3)
        local zeros = y:eq(0):float():mean():item()
        assert.is_true(math.abs(zeros - 0.3) < 0.01)
        assert.is_true(math.abs(y:max():item() - 1 / 0.7) < 1e-6)
        assert.is_true(math.abs(y:mean():item() - 1) < 0.02)
    end)

    it("repeats with the seed, differs from call to call", function()
        local layer, x = nn.Dropout(0.5), lx.ones(100)
        lx.manual_seed(5)
        local a, b = layer(x), layer(x)
        lx.manual_seed(5)
        assert.is_true(lx.equal(a, layer(x)))
        assert.is_false(lx.equal(a, b))
    end)

    it("gives gradients through the mask of the forward pass", function()
        local x = lx.ones({20, 20}, {requires_grad = true})
        local y = nn.Dropout(0.4)(x)
        y:sum():backward()
        assert.is_true(lx.equal(y, x.grad))
    end)

    it("does nothing after eval, or at 0", function()
        local x = lx.ones(10)
        assert.is_true(lx.equal(x, nn.Dropout(0.5):eval()(x)))
        assert.is_true(lx.equal(x, nn.Dropout(0)(x)))
    end)

    it("2d drops whole channels", function()
        lx.manual_seed(5)
        local y = nn.Dropout2d(0.5)(lx.ones(8, 16, 3, 3)):view(128, 9)
        local sums = y:sum(2)
        assert.is_true(lx.equal(sums:eq(0):float() + sums:eq(18):float(), lx.ones(128)))
        assert.is_true(math.abs(sums:eq(0):float():mean():item() - 0.5) < 0.2)
    end)
end)

describe("BatchNorm2d", function()
    it("follows the batches and uses what it learnt after eval", function()
        local norm = nn.BatchNorm2d(2, {momentum = 0.5})
        local x = lx.tensor({1, 3, 10, 30}):view(2, 2, 1, 1):permute(2, 1, 3, 4):permute(2, 1, 3, 4)
        norm(x) -- channel means 5.5 and 16.5, unbiased variances 40.5 and 364.5
        assert.is_true(lx.allclose(norm.running_mean, lx.tensor {2.75, 8.25}))
        assert.is_true(lx.allclose(norm.running_var, lx.tensor {0.5 + 20.25, 0.5 + 182.25}))
        assert.equal(1, norm.num_batches_tracked:item())
        norm:eval()
        local y = norm(x)
        assert.is_true(lx.allclose(y[{{}, 1, 1, 1}], lx.tensor {(1 - 2.75), (10 - 2.75)} / math.sqrt(20.75), 1e-4))
        assert.equal(1, norm.num_batches_tracked:item())
        assert.is_false(norm.running_mean.requires_grad)
    end)

    it("without momentum keeps the plain average", function()
        local norm = nn.BatchNorm2d(1, {momentum = false})
        for _, value in ipairs {1, 2, 6} do norm(lx.full({2, 1, 1, 1}, value)) end
        assert.is_true(lx.allclose(norm.running_mean, lx.tensor {3}))
    end)
end)

describe("losses", function()
    local nan = 0 / 0

    it("leave out missing labels", function()
        local target = lx.tensor {{1, nan}, {nan, 0}}
        local x = lx.tensor({{0, 5}, {7, 0}}, {requires_grad = true})
        local loss = F.binary_cross_entropy_with_logits(x, target)
        assert.is_true(math.abs(loss:item() - math.log(2)) < 1e-6)
        loss:backward()
        assert.same({{-0.25, 0}, {0, 0.25}}, x.grad:totable())
        for _, f in ipairs {F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.focal_loss} do
            x.grad = nil
            loss = f(x, target)
            assert.is_true(loss:item() == loss:item())
            loss:backward()
            assert.equal(0, x.grad[{1, 2}])
            assert.equal(0, x.grad[{2, 1}])
        end
        assert.equal(0.5, F.mse_loss(x, target):item())
    end)

    it("are 0 when all labels are missing", function()
        local x = lx.tensor({{1, 2}}, {requires_grad = true})
        for _, f in ipairs {F.binary_cross_entropy_with_logits, F.mse_loss, F.l1_loss, F.focal_loss} do
            x.grad = nil
            local loss = f(x, lx.tensor {{nan, nan}})
            loss:backward()
            assert.equal(0, loss:item())
            assert.same({{0, 0}}, x.grad:totable())
        end
        assert.equal(0, F.cross_entropy(x, lx.tensor {nan}):item())
    end)

    it("cross-entropy ignores what it is told to, and refuses other classes", function()
        local x = lx.tensor {{1, 2, 3}, {3, 2, 1}, {0, 0, 0}}
        local target = lx.tensor({3, 9, 1}, {dtype = "int32"})
        local all = F.cross_entropy(x, target, {ignore_index = 9, reduction = "none"})
        assert.equal(0, all[2])
        local mean = F.cross_entropy(x, target, {ignore_index = 9})
        assert.is_true(math.abs(mean:item() - (all[1] + all[3]) / 2) < 1e-6)
        assert.matches("targets should be class numbers from 1 to 3", message_of(F.cross_entropy, x, target))
        assert.matches("from 1 to 3; some are outside",
            message_of(F.cross_entropy, x, lx.tensor({0, 1, 2}, {dtype = "int32"})))
        assert.matches("target should be %[3%] for input %[3,3%], got %[2%]",
            message_of(F.cross_entropy, x, lx.tensor({1, 2}, {dtype = "int32"})))
    end)

    it("take their options as modules", function()
        local x, target = lx.tensor {1, -1}, lx.tensor {1, 0}
        local expected = F.binary_cross_entropy_with_logits(x, target, {pos_weight = 3, reduction = "sum"})
        assert.is_true(lx.equal(expected, nn.BCEWithLogitsLoss({pos_weight = 3, reduction = "sum"})(x, target)))
    end)

    it("name both shapes, and unknown options", function()
        for name, f in pairs {mse_loss = F.mse_loss, focal_loss = F.focal_loss,
            binary_cross_entropy_with_logits = F.binary_cross_entropy_with_logits} do
            assert.matches(name .. ": input has shape %[2,1%], target has %[2%]",
                message_of(f, lx.zeros(2, 1), lx.zeros(2)))
            assert.matches(name .. ": target should be float32, got int32 %[2%]",
                message_of(f, lx.zeros(2), lx.zeros(2, {dtype = "int32"})))
            assert.matches('reduction should be "mean", "sum" or "none", got avg',
                message_of(f, lx.zeros(2), lx.zeros(2), {reduction = "avg"}))
        end
        assert.matches("unknown option posweight; the options are pos_weight, reduction",
            message_of(F.binary_cross_entropy_with_logits, lx.zeros(2), lx.zeros(2), {posweight = 2}))
    end)
end)

describe("summary", function()
    it("tables what each layer makes, holds and costs", function()
        local net = Net(2)
        net.block:eval()
        local summary = nn.summary(net, {2, 1, 8, 8})
        assert.equal(203, summary.parameters)
        local rows = {}
        for i, row in ipairs(summary.rows) do rows[i] = {row.name, row.shape, row.parameters, row.multiply_adds} end
        assert.same({
            {"stem.0", {2, 4, 8, 8}, 40, 2 * 4 * 64 * 9},
            {"stem.1", {2, 4, 8, 8}, 0, 0},
            {"stem.2", {2, 4, 4, 4}, 0, 0},
            {"block.conv", {2, 4, 4, 4}, 144, 2 * 4 * 16 * 36},
            {"block.norm", {2, 4, 4, 4}, 8, 0},
            {"head", {2, 2}, 10, 16},
        }, rows)
        assert.equal(2 * 4 * 64 * 9 + 2 * 4 * 16 * 36 + 16, summary.multiply_adds)
        assert.matches("stem.0 +Conv2d%(1, 4, 3, padding=1%) +%[2,4,8,8%] +40 +4,608\n", tostring(summary))
        assert.matches("\ntotal +203 +9,232$", tostring(summary))
        assert.is_true(net.training)
        assert.is_false(net.block.training)
        assert.equal(0, net.block.norm.num_batches_tracked:item())
        assert.same({2, 2}, net(lx.randn(2, 1, 8, 8)).shape)
    end)

    it("leaves the network as it was when it fails", function()
        local net = Net(2)
        assert.matches("Conv2d%(1, 4, 3, padding=1%): input should be %[N,1,H,W%], got %[2,3,8,8%]",
            message_of(nn.summary, net, {2, 3, 8, 8}))
        assert.is_true(net.head.training)
        assert.is_nil(rawget(net.head, "_hooks"))
    end)

    it("counts transposed convolutions by their input", function()
        assert.equal(4 * 9 * 8 * 2 * 4, nn.summary(nn.ConvTranspose2d(4, 8, {2, 4}), {1, 4, 3, 3}).multiply_adds)
    end)
end)

describe("mistakes in layers", function()
    local image, flat, bytes = lx.zeros(2, 3, 8, 8), lx.zeros(2, 6), lx.zeros(2, 3, 8, 8, {dtype = "uint8"})

    -- Layer, bad input, what the message must contain.
    local cases = {
        {nn.Conv2d(1, 4, 3), image, "Conv2d(1, 4, 3): input should be [N,1,H,W], got [2,3,8,8]"},
        {nn.Conv2d(3, 4, 3), flat, "Conv2d(3, 4, 3): input should have 4 dimensions, got float32 [2,6]"},
        {nn.Conv2d(3, 4, 3), bytes, "Conv2d(3, 4, 3): input should be float32, got uint8 [2,3,8,8]"},
        {nn.Conv2d(3, 4, 9), image, "conv2d: the kernel (9 with dilation) is larger than the padded input (8)"},
        {nn.Conv2d(3, 4, 3), 5, "Conv2d(3, 4, 3): input should be a tensor, got number"},
        {nn.ConvTranspose2d(4, 2, 2), image, "ConvTranspose2d(4, 2, 2): input should be [N,4,H,W], got [2,3,8,8]"},
        {nn.ConvTranspose2d(3, 2, 2), bytes, "ConvTranspose2d(3, 2, 2): input should be float32, got uint8"},
        {nn.Linear(5, 2), flat, "Linear(5, 2): the last dimension of the input should be 5, got [2,6]"},
        {nn.Linear(8, 2), bytes, "Linear(8, 2): input should be float32, got uint8"},
        {nn.BatchNorm2d(4), image, "BatchNorm2d(4): input should be [N,4,H,W], got [2,3,8,8]"},
        {nn.BatchNorm2d(6), flat, "BatchNorm2d(6): input should have 4 dimensions, got float32 [2,6]"},
        {nn.BatchNorm2d(3), lx.zeros(1, 3, 1, 1), "batch_norm: training needs more than one value per channel"},
        {nn.GroupNorm(2, 4), image, "GroupNorm(2, 4): input should be [N,4,...], got [2,3,8,8]"},
        {nn.GroupNorm(3, 3), bytes, "GroupNorm(3, 3): input should be float32, got uint8"},
        {nn.LayerNorm({3, 8}), image, "LayerNorm([3,8]): the last dimensions of the input should be [3,8], got [2,3"},
        {nn.MaxPool2d(2), flat, "MaxPool2d(2): input should have 4 dimensions, got float32 [2,6]"},
        {nn.MaxPool2d(9), image, "max_pool2d: the kernel (9) is larger than the padded input (input [2,3,8,8])"},
        {nn.AvgPool2d(2), bytes, "AvgPool2d(2): input should be float32, got uint8"},
        {nn.AdaptiveAvgPool2d(2), flat, "AdaptiveAvgPool2d(2): input should have 4 dimensions, got float32 [2,6]"},
        {nn.GlobalAvgPool2d(), flat, "GlobalAvgPool2d(): input should have 4 dimensions, got float32 [2,6]"},
        {nn.GlobalMaxPool2d(), flat, "GlobalMaxPool2d(): input should have 4 dimensions, got float32 [2,6]"},
        {nn.Upsample({scale = 2}), flat, "Upsample(scale=2, mode=nearest): input should have 4 dimensions"},
        {nn.Upsample({scale = 0.1}), image, "interpolate: size (scaled) should be"},
        {nn.Upsample({size = 4, mode = "no"}), image, 'interpolate: mode should be "nearest" or "bilinear", got no'},
        {nn.ReLU(), bytes, "ReLU(): input should be float32, got uint8"},
        {nn.LeakyReLU(), bytes, "LeakyReLU(0.01): input should be float32, got uint8"},
        {nn.SiLU(), bytes, "SiLU(): input should be float32, got uint8"},
        {nn.GELU(), bytes, "GELU(): input should be float32, got uint8"},
        {nn.Sigmoid(), bytes, "Sigmoid(): input should be float32, got uint8"},
        {nn.Tanh(), bytes, "Tanh(): input should be float32, got uint8"},
        {nn.Softmax(3), flat, "softmax: dim should be from 1 to 2 (or -1 to -2) for input [2,6], got 3"},
        {nn.Dropout(), bytes, "Dropout(0.5): input should be float32, got uint8"},
        {nn.Dropout2d(), flat, "Dropout2d(0.5): input should have 4 dimensions, got float32 [2,6]"},
        {nn.Flatten(), "x", "Flatten: input should be a tensor, got string"},
        {nn.Embedding(4, 2), flat, "Embedding(4, 2): the input should be int32 indices, got float32 [2,6]"},
    }
    for _, case in ipairs(cases) do
        local layer, input, expected = table.unpack(case)
        it(expected, function()
            local message = message_of(layer, input)
            assert.is_true(message:find(expected, 1, true) ~= nil, message)
        end)
    end

    -- Class, arguments, what the message must contain.
    local constructions = {
        {"Conv2d", {0, 4, 3}, "Conv2d: in_channels should be an integer of at least 1, got 0"},
        {"Conv2d", {3, 4, 3, {groups = 2}}, "Conv2d: groups (2) should divide in_channels (3) and out_channels (4)"},
        {"Conv2d", {3, 4, 0}, "Conv2d: kernel should be an integer or a pair {h, w} of at least 1, got 0"},
        {"Conv2d", {3, 4, 3, {strides = 2}}, "Conv2d: unknown option strides; the options are stride, padding"},
        {"Conv2d", {3, 4, 2, {padding = "same"}}, 'Conv2d: padding "same" needs stride 1 and an odd kernel'},
        {"ConvTranspose2d", {3, 4, {1}}, "ConvTranspose2d: kernel should be an integer or a pair {h, w}"},
        {"Linear", {2.5, 4}, "Linear: in_features should be an integer of at least 1, got 2.5"},
        {"Linear", {2, 4, true}, "Linear: options should be a table such as {bias = ...}, got boolean"},
        {"GroupNorm", {2, 5}, "GroupNorm: groups (2) should divide channels (5)"},
        {"LayerNorm", {"x"}, "LayerNorm: shape should be an integer of at least 1, got x"},
        {"MaxPool2d", {}, "MaxPool2d: kernel should be an integer or a pair {h, w} of at least 1, got nil"},
        {"Dropout", {1}, "Dropout: the probability should be at least 0 and below 1, got 1"},
        {"Softmax", {}, "Softmax: dim should be an integer, got nil"},
        {"Upsample", {}, "Upsample: give either size = {h, w} or scale = number"},
        {"Embedding", {0, 3}, "Embedding: count should be an integer of at least 1, got 0"},
    }
    for _, case in ipairs(constructions) do
        local name, arguments, expected = table.unpack(case)
        it(expected, function()
            local message = message_of(nn[name], table.unpack(arguments))
            assert.is_true(message:find(expected, 1, true) ~= nil, message)
        end)
    end

    it("in functions point at the caller", function()
        assert.matches("^spec/nn_spec.lua:%d+: conv2d: weight expects 1 input channels, input has 3 "
            .. "%(input %[2,3,8,8%], weight %[4,1,3,3%], groups 1%)",
            message_of(function() F.conv2d(image, lx.zeros(4, 1, 3, 3)) end))
        assert.matches("^spec/nn_spec.lua:%d+: linear: bias should be float32 %[2%], got float32 %[3%]",
            message_of(function() F.linear(flat, lx.zeros(2, 6), lx.zeros(3)) end))
    end)
end)

describe("padding \"same\"", function()
    it("keeps the size", function()
        local layer = nn.Conv2d(1, 2, {3, 5}, {padding = "same", dilation = 2})
        assert.same({1, 2, 7, 9}, layer(lx.ones(1, 1, 7, 9)).shape)
    end)
end)
