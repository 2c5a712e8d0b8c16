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

local function optim_of(net) return lx.optim.SGD(net:parameters()) end

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

    it("keeps other hooks where one is removed twice or removes itself, and refuses tensors they return", function()
        local layer, calls = nn.Identity(), {}
        local function note(name) calls[#calls + 1] = name end
        local function a() note "a" end
        local remove_first, remove_second = layer:register_forward_hook(a), layer:register_forward_hook(a)
        remove_first()
        layer(lx.ones(1))
        assert.same({"a"}, calls)
        remove_second()
        local remove_once
        remove_once = layer:register_forward_hook(function()
            note "once"
            remove_once()
        end)
        layer:register_forward_hook(function() note "b" end)
        remove_first()
        remove_second()
        layer(lx.ones(1))
        layer(lx.ones(1))
        assert.same({"a", "once", "b", "b"}, calls)
        layer:register_forward_hook(function(_, _, results) return results[1] * 2 end)
        assert.matches("Identity: a forward hook returned a tensor, which changes nothing; what it puts into",
            message_of(function() layer(lx.ones(1)) end))
    end)

    it("says what is wrong with a class", function()
        assert.matches("Empty: the class does not define forward", message_of(nn.class("Empty")()))
        assert.matches("class: name: expected a string, got nil", message_of(nn.class))
        assert.matches("Sequential: argument 2: expected a module or a list of modules or of {name, module}, got 5",
            message_of(nn.Sequential, nn.ReLU(), 5))
    end)
end)

describe("what is assigned to a module", function()
    local function assigning(key, value)
        return message_of(function() nn.Module()[key] = value end)
    end

    it("is refused where parameters or modules would be hidden in plain tables", function()
        local form = "^spec/nn_spec.lua:%%d+: Module: layers is a plain table that holds %s, which would not be trained"
        for found, value in pairs {
            ["a Linear at layers%[1%]"] = {nn.Linear(1, 1), nn.ReLU()},
            ["a ReLU at layers%[2%]"] = {false, nn.ReLU()},
            ["a ReLU at layers.head"] = {head = nn.ReLU()},
            ["a ReLU at layers%[1%].deep%[3%]"] = {{deep = {1, 2, nn.ReLU()}}},
            ["a parameter at layers%[1%]"] = {nn.Parameter(lx.ones(1))},
            ["a parameter at layers.scale"] = {scale = nn.Parameter(lx.ones(1))},
            ["a view made by nn.fuse at layers%[1%]"] = {nn.fuse(nn.ReLU())},
        } do
            assert.matches(form:format(found), assigning("layers", value))
        end
        local net = nn.Module()
        net.sizes, net.notes = {1, 2, {3}}, {mean = lx.ones(2)} -- plain values
        net.layers = nn.ModuleList({nn.Linear(1, 1), nn.Linear(1, 2)})
        assert.same({"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"},
            names_of(net:named_parameters()))
    end)

    it("is found in tables that are filled later, before anything is lost", function()
        local net = nn.class("Late")()
        net.layers = {}
        net.layers[1] = nn.Linear(1, 1)
        for _, method in ipairs {"parameters", "state_dict", "modules", "named_buffers"} do
            assert.matches("Late: layers is a plain table that holds a Linear at layers%[1%]",
                message_of(net[method], net))
        end
        assert.matches("plain table", message_of(net.to, net, "cpu"))
        assert.matches("plain table", message_of(net.load_state_dict, net, {}))
        assert.matches("plain table", message_of(optim_of, net))
        net.layers = nil
        local around = {}
        around[1] = around -- a table in itself is no endless way
        net.around = {around}
        assert.same({}, net:parameters())
    end)

    it("has a name that keys can have, and that hides no method", function()
        for _, key in ipairs {1, "", "a.b", 2.5} do
            assert.matches("the name of a module should be a string without dots", assigning(key, nn.ReLU()))
            assert.matches("the name of a parameter should be", assigning(key, nn.Parameter(lx.ones(1))))
        end
        assert.matches("forward is a method, and no name for a module", assigning("forward", nn.ReLU()))
        assert.matches("train is a method, and no name for a buffer",
            message_of(nn.Module.register_buffer, nn.Module(), "train", lx.ones(1)))
        for _, value in ipairs {3, "text", false, {}, lx.ones(1)} do
            assert.matches("parameters is a method of every module, which .+ would hide; give the field another name",
                assigning("parameters", value))
        end
        local net = nn.Module()
        function net.extra() return "replaced" end -- a method for a method is meant
        net.train = nil
        assert.equal("Module(replaced)", net:describe())
        net.parameter = 3
        assert.equal(3, net.parameter)
    end)

    it("is found out where a method is declared with a dot", function()
        local Dotted = nn.class("Dotted")
        function Dotted.forward(x) return x end
        local message = "Dotted: forward takes 1 argument, of which the first, x, would be the module itself; declare "
            .. "it with a colon: function Dotted:forward(...)"
        assert.matches(message, message_of(Dotted(), lx.ones(1)), 1, true)
        assert.matches(message, message_of(nn.fuse(nn.Sequential(Dotted())), lx.ones(1)), 1, true)
        local hooked = Dotted()
        hooked:register_forward_hook(function() end)
        assert.matches(message, message_of(hooked, lx.ones(1)), 1, true)
        function Dotted.init(size, depth) return size, depth end
        assert.matches("Dotted: init takes 2 arguments, of which the first, size, would be the module itself",
            message_of(Dotted, 3, 4), 1, true)

        local Inside = nn.class("Inside")
        function Inside.double(x) return nn.functional.relu(x) end
        function Inside:forward(x) return self:double(x) end
        assert.matches("relu: x: expected a tensor, got a Inside, a module; a method that is declared with a dot gets "
            .. "the module as its first argument: declare it with a colon, function Inside:forward(x)",
            message_of(Inside(), lx.ones(1)), 1, true)

        local Other = nn.class("Other") -- a dot that knows what it does
        function Other.forward(net, x) return net.factor * x end
        function Other.init(_) end
        local other = Other(1)
        other.factor = 2
        assert.equal(2, other(lx.ones(1)):item())
        function Other.forward(...) return select("#", ...) end
        assert.equal(4, other(1, 2, 3))
    end)

    it("does not silently take the place of a part, or stay outside as a leaf", function()
        local net = nn.Module()
        net.part, net.weight = nn.ReLU(), nn.Parameter(lx.ones(1))
        net:register_buffer("mean", lx.ones(1))
        for name, word in pairs {part = "module", weight = "parameter", mean = "buffer"} do
            for _, value in ipairs {5, "text", false, {}} do
                assert.matches(("%s is a %s and cannot become"):format(name, word),
                    message_of(function() net[name] = value end))
            end
        end
        assert.matches("a view made by nn.fuse; assign the network itself", assigning("part", nn.fuse(nn.ReLU())))
        assert.matches("requires a gradient, but is no parameter",
            assigning("weight", lx.ones({2}, {requires_grad = true})))
        net.last = lx.ones({2}, {requires_grad = true}) * 2 -- a result is a plain field
        net.part, net.weight, net.mean = nil, nil, nil
        assert.same({}, net:state_names())
    end)

    it("goes into lists by number", function()
        local Mine = nn.class("Mine", nn.Sequential)
        for _, list in ipairs {nn.Sequential(nn.ReLU()), nn.ModuleList(nn.ReLU()), Mine(nn.ReLU())} do
            list[1] = nn.Linear(1, 1)
            list[#list + 1] = nn.Linear(1, 2)
            assert.equal(2, #list)
            assert.same({"0.weight", "0.bias", "1.weight", "1.bias"}, names_of(list:named_parameters()))
            assert.matches("expected an index from 1 to 3", message_of(function() list[5] = nn.ReLU() end))
            assert.matches("%[3%]: expected a module, got 7", message_of(function() list[3] = 7 end))
        end
    end)

    it("is not a class", function()
        local Net2 = nn.class("Net2")
        assert.matches("Net2.shared: a Linear at shared belongs to no module, .* assign it in init, to self.shared",
            message_of(function() Net2.shared = nn.Linear(1, 1) end))
        assert.matches("Net2.list: a parameter at list%[1%] belongs to no module",
            message_of(function() Net2.list = {nn.Parameter(lx.ones(1))} end))
        Net2.SIZES = {1, 2}
        assert.same({1, 2}, Net2().SIZES)
    end)

    it("of a class that its init forgot is named", function()
        local Half = nn.class("Half", nn.Linear)
        function Half.init(_) end
        assert.matches("Half: its init should call Linear.init%(self, ...%) first", message_of(Half(), lx.ones(1, 2)))
        local Odd = nn.class("Odd")
        function Odd.foward(_, x) return x end
        assert.matches("Odd: the class does not define forward %(but 'foward'; did you mean that%?%)",
            message_of(Odd(), 1))
        assert.matches("Module:parameters: net: expected a module, got nil; methods are called with a colon, as in "
            .. "net:parameters%(…%)", message_of(nn.Linear(1, 1).parameters))
    end)
end)

describe("a clone", function()
    it("has parameters and buffers of its own, shared ones shared, and computes the same", function()
        lx.manual_seed(1)
        local net = Net(2)
        net.tied = net.head
        net.stem[1].weight:requires_grad_(false)
        net.block.scale.grad = lx.ones(1)
        net.sizes = {1, {2}}
        net:eval()
        local x = lx.randn(2, 1, 8, 8)
        local copy = net:clone()
        assert.is_true(lx.equal(net(x), copy(x)))
        assert.same(net:state_names(), copy:state_names())
        assert.equal(tostring(net), tostring(copy))
        assert.is_true(rawequal(copy.tied, copy.head))
        assert.is_false(copy.block.norm.training)
        local own = {}
        for _, tensor in ipairs(net:parameters()) do own[tensor] = true end
        for _, tensor in ipairs(net:buffers()) do own[tensor] = true end
        for _, tensor in ipairs(copy:parameters()) do assert.is_nil(own[tensor]) end
        for _, tensor in ipairs(copy:buffers()) do assert.is_nil(own[tensor]) end
        assert.is_false(copy.stem[1].weight.requires_grad)
        assert.is_true(copy.head.weight.requires_grad)
        assert.is_nil(copy.block.scale.grad)
        local before = net(x)
        local optimizer = lx.optim.SGD(copy:parameters(), {lr = 1})
        copy:train()
        copy(x):sum():backward()
        optimizer:step()
        copy.sizes[2][1] = 5
        assert.is_true(lx.equal(before, net(x)))
        assert.is_false(lx.equal(before, copy:eval()(x)))
        assert.equal(2, net.sizes[2][1])
        assert.is_false(rawequal(net.head, copy.head))
        assert.is_nil(net.head.weight.grad)
    end)

    it("ties weights that are tied, leaves hooks behind, and clones what a view is of", function()
        local a, b, seen = nn.Linear(2, 2, {bias = false}), nn.Linear(2, 2, {bias = false}), 0
        b.weight = a.weight
        local net = nn.Sequential(a, b)
        net:register_forward_hook(function() seen = seen + 1 end)
        local copy = nn.fuse(net):clone()
        assert.is_true(rawequal(copy[1].weight, copy[2].weight))
        assert.is_false(rawequal(copy[1].weight, a.weight))
        assert.equal(1, #copy:parameters())
        copy(lx.ones(1, 2))
        assert.equal(0, seen)
        assert.equal("Sequential", copy.class_name)
    end)
end)

describe("a state from PyTorch", function()
    it("has numbers of batches that are no longer 64 bits wide, and loads", function()
        local norm = nn.BatchNorm1d(2)
        norm(lx.randn(3, 2))
        local state = {}
        for name, tensor in pairs(norm:state_dict()) do state[name] = tensor:clone() end
        state.num_batches_tracked = lx.tensor(7, {dtype = "int32"})
        for _, options in ipairs {{}, {assign = true}} do
            local other = nn.BatchNorm1d(2)
            other:load_state_dict(state, options)
            assert.equal(7, other.num_batches_tracked:item())
        end
        state.weight = 5
        assert.matches("wrong shape: weight is 5, the module has %[2%]", message_of(norm.load_state_dict, norm, state))
    end)
end)

describe("a loss with tensors among its options", function()
    it("saves and moves them, and is checked when it is made", function()
        local loss = nn.CrossEntropyLoss({weight = lx.tensor {1, 2, 3}})
        assert.same({"weight"}, loss:state_names())
        assert.equal("CrossEntropyLoss(weight=float32 [3])", loss:describe())
        local x, t = lx.randn(2, 3), lx.tensor({1, 3}, {dtype = "int32"})
        assert.is_true(lx.equal(loss(x, t), F.cross_entropy(x, t, {weight = lx.tensor {1, 2, 3}})))
        for _, options in ipairs {{pos_weigth = 3}, {pos_weight = "3"}, {pos_weight = -1}, {reduction = "avg"}} do
            assert.matches("^spec/nn_spec.lua:%d+: BCEWithLogitsLoss: options: ",
                message_of(function() nn.BCEWithLogitsLoss(options) end))
        end
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

    it("tells apart what lx.load gives besides, and a network", function()
        local net, path = nn.Linear(2, 1), os.tmpname()
        assert(lx.save(path, net:state_dict(), {epoch = 3}))
        local advice = "; lx.load gives metadata after the tensors, .* local state = assert%(lx.load%(path%)%)"
        assert.matches("load_state_dict: options: unknown option 'epoch'.*" .. advice,
            message_of(function() net:load_state_dict(lx.load(path)) end))
        os.remove(path)
        assert.matches("load_state_dict: state: expected a table, got nil" .. advice,
            message_of(function() net:load_state_dict(lx.load(path)) end))
        assert.matches("load_state_dict: state: expected tensors by name, got a Linear; those of a network are",
            message_of(net.load_state_dict, net, net))
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
        assert.matches("Sequential:get: index: there is no module 4, it has 3", message_of(net.get, net, 4))
    end)

    it("has names of its own for its modules where they are given, in their order", function()
        local net = nn.Sequential {{"norm", nn.BatchNorm1d(2)}, {"conv", nn.Linear(2, 3)}, {"1", nn.Linear(3, 1)}}
        assert.same({"norm.weight", "norm.bias", "conv.weight", "conv.bias", "1.weight", "1.bias"},
            names_of(net:named_parameters()))
        assert.same({5, 1}, net(lx.ones(5, 2)).shape)
        assert.equal(net.conv, net[2])
        assert.equal(net[3], net:get(-1))
        net[2] = nn.Linear(2, 3, {bias = false})
        assert.same({"norm.weight", "norm.bias", "conv.weight", "1.weight", "1.bias"}, names_of(net:named_parameters()))
        net:append(nn.ReLU())
        assert.equal(net["3"], net[4])
    end)

    it("takes its modules as a list too", function()
        local first, second = nn.Linear(2, 3), nn.ReLU()
        local net = nn.Sequential {first, second}
        assert.same({"0.weight", "0.bias"}, names_of(net:named_parameters()))
        assert.equal(second, net[2])
        assert.same({5, 3}, net(lx.ones(5, 2)).shape)
        for _, wrong in ipairs {{first, nn.ReLU}, {first, {"a", second}}, {first, 3}, {}} do
            assert.matches("Sequential: argument 1: expected a module or a list of modules or of {name, module}, got",
                message_of(nn.Sequential, wrong), 1, true)
        end
        assert.matches("got more besides", message_of(nn.Sequential, {first}, second))
    end)

    it("refuses names that come twice, or are taken", function()
        local layer = nn.ReLU()
        assert.matches("the name 'a' comes twice", message_of(nn.Sequential, {{"a", layer}, {"a", layer}}))
        assert.matches("got more besides", message_of(nn.Sequential, {{"a", layer}}, layer))
        assert.matches("Sequential", message_of(nn.Sequential, {{"a", layer}, layer}))
        assert.matches("name", message_of(nn.Sequential, {{"a.b", layer}}))
        local net = nn.Sequential {{"1", layer}}
        assert.matches("the name '1' is taken", message_of(net.append, net, layer))
    end)
end)

describe("nn.chain", function()
    it("is the modules one after the other, and fused in a view", function()
        local Chained = nn.class("Chained")
        function Chained:init()
            self.conv, self.norm, self.relu = nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU()
            self.more = nn.Sequential(nn.Conv2d(5, 3, 1), nn.ReLU())
        end
        function Chained:forward(x) return nn.chain(x, self.conv, self.norm, self.relu, self.more) end
        local net, x = Chained():eval(), lx.randn(2, 2, 7, 5)
        local y = lx.no_grad(net, x)
        assert.is_true(lx.equal(y, net.more(net.relu(net.norm(net.conv(x))))))
        local function launches(f)
            local count = 0
            lx.no_grad(f, x)
            for _, row in ipairs(lx.profile(function() lx.no_grad(f, x) end).rows) do count = count + row.launches end
            return count
        end
        assert.is_true(lx.allclose(lx.no_grad(nn.fuse(net), x), y, 1e-4, 1e-5))
        assert.is_true(launches(nn.fuse(net)) <= launches(net) - 3)
        assert.equal(x, nn.chain(x))
    end)
end)

describe("a child with another name in files", function()
    local Named = nn.class("Named")
    Named.saved_names = {body = "features"}
    function Named:init()
        self.body = nn.Sequential(nn.Linear(2, 2))
        self.head = nn.Linear(2, 1)
    end
    function Named:features(x) return self.body(x) end
    function Named:forward(x) return self.head(self:features(x)) end

    it("has it in all that is saved and loaded, and leaves the method its own", function()
        local net = Named()
        assert.same({"features.0.weight", "features.0.bias", "head.weight", "head.bias"},
            names_of(net:named_parameters()))
        local copy = Named()
        copy:load_state_dict(net:state_dict())
        local x = lx.randn(3, 2)
        assert.is_true(lx.equal(net(x), copy(x)))
        assert.same({3, 2}, copy:clone():features(x).shape)
    end)
end)

describe("max-pooling whose last window reaches over the end", function()
    -- PyTorch's rule, by definition.
    local function windows(size, kernel, stride, padding)
        local count = math.ceil((size + 2 * padding - kernel) / stride) + 1
        return (count - 1) * stride >= size + padding and count - 1 or count
    end

    it("is the largest of what is there, and gives it the gradient", function()
        for _, case in ipairs {{3, 2, 0}, {2, 2, 0}, {3, 2, 1}, {3, 3, 0}, {2, 3, 1}, {5, 4, 2}} do
            local kernel, stride, padding = table.unpack(case)
            for _, size in ipairs {{7, 8}, {5, 6}, {9, 13}} do
                local h, w = table.unpack(size)
                local x = (lx.arange(2 * 3 * h * w) * 37 % 101):view(2, 3, h, w):requires_grad_()
                local y = F.max_pool2d(x, kernel, {stride = stride, padding = padding, ceil_mode = true})
                local oh, ow = windows(h, kernel, stride, padding), windows(w, kernel, stride, padding)
                assert.same({2, 3, oh, ow}, y.shape)
                local image, slopes, expected = x:detach()[2][3]:totable(), {}, {}
                for r = 1, h do slopes[r] = {} for c = 1, w do slopes[r][c] = 0 end end
                for r = 1, oh do
                    expected[r] = {}
                    for c = 1, ow do
                        local best, at
                        local top, left = (r - 1) * stride - padding, (c - 1) * stride - padding
                        for i = math.max(1, top + 1), math.min(h, top + kernel) do
                            for j = math.max(1, left + 1), math.min(w, left + kernel) do
                                if not best or image[i][j] > best then best, at = image[i][j], {i, j} end
                            end
                        end
                        expected[r][c] = best
                        slopes[at[1]][at[2]] = slopes[at[1]][at[2]] + r + 10 * c
                    end
                end
                assert.same(expected, y:detach()[2][3]:totable())
                local weights = lx.arange(oh):view(oh, 1) + 1 + (lx.arange(ow):view(1, ow) + 1) * 10
                assert.same({oh, ow}, weights.shape);
                (y * weights):sum():backward()
                assert.same(slopes, x.grad[2][3]:totable())
            end
        end
    end)

    it("is as without where all windows end with the image, and fits into a layer and a convolution", function()
        local x = lx.randn(1, 2, 8, 6)
        assert.is_true(lx.equal(F.max_pool2d(x, 2), F.max_pool2d(x, 2, {ceil_mode = true})))
        local layer = nn.MaxPool2d(2, {ceil_mode = true})
        assert.equal("MaxPool2d(2, ceil_mode=true)", layer:describe())
        local net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), layer)
        local odd = lx.randn(2, 2, 5, 7)
        assert.same({2, 3, 3, 4}, net(odd).shape)
        assert.is_true(lx.allclose(net(odd), nn.fuse(net)(odd), 1e-5, 1e-6))
        local y = F.conv2d(odd, net[1].weight, net[1].bias, {relu = true, max_pool = {kernel = 2, ceil_mode = true}})
        assert.is_true(lx.allclose(net(odd), y, 1e-5, 1e-6))
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
        assert.matches("xavier_normal_: tensor: expected at least 2 dimensions and some elements, got float32 %[3%]",
            message_of(nn.init.xavier_normal_, lx.zeros(3)))
    end)

    it("scale the numbers that rand and randn draw by what they say", function()
        local cases = {
            {"uniform_", {-2, 5}, "rand", 7, -2}, {"normal_", {3, 0.5}, "randn", 0.5, 3},
            {"uniform_", {}, "rand", 1, 0}, {"normal_", {}, "randn", 1, 0},
        }
        for _, shape in ipairs {{4, 6}, {4, 6, 3, 5}} do
            local window = (shape[3] or 1) * (shape[4] or 1)
            local fan_in, fan_out = 6 * window, 4 * window
            local xavier = math.sqrt(2 / (fan_in + fan_out))
            local relu, leaky = math.sqrt(2), math.sqrt(2 / 1.04)
            for _, case in ipairs {
                {"xavier_normal", xavier, {}}, {"xavier_normal", 3 * xavier, {3}}, {"xavier_uniform", xavier, {}},
                {"kaiming_normal", relu / math.sqrt(fan_in), {}}, {"kaiming_uniform", relu / math.sqrt(fan_in), {}},
                {"kaiming_normal", relu / math.sqrt(fan_out), {{mode = "fan_out", nonlinearity = "relu"}}},
                {"kaiming_normal", leaky / math.sqrt(fan_in), {{a = 0.2}}},
                {"kaiming_uniform", 5 / 3 / math.sqrt(fan_in), {{nonlinearity = "tanh"}}},
                {"kaiming_uniform", 1 / math.sqrt(fan_in), {{nonlinearity = "sigmoid"}}},
            } do
                local bound = math.sqrt(3) * case[2]
                local uniform = case[1]:find("uniform")
                cases[#cases + 1] = {
                    case[1] .. "_", case[3], uniform and "rand" or "randn", uniform and 2 * bound or case[2],
                    uniform and -bound or 0, shape,
                }
            end
        end
        for _, case in ipairs(cases) do
            local shape = case[6] or {4, 6}
            lx.manual_seed(11)
            local got = nn.init[case[1]](lx.zeros(shape), table.unpack(case[2]))
            lx.manual_seed(11)
            local expected = lx[case[3]](shape) * case[4] + case[5]
            assert.is_true(lx.allclose(expected, got, 1e-5, 1e-6), case[1])
        end
        lx.manual_seed(1)
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

    it("by stochastic depth drops whole images, and keeps the mean", function()
        lx.manual_seed(5)
        local layer, x = nn.StochasticDepth(0.25), lx.ones({400, 2, 3}, {requires_grad = true})
        local y = layer(x)
        local sums = y:detach():view(400, 6):sum(2)
        assert.is_true(lx.allclose(sums, sums:gt(0):float() * 8, 1e-5, 1e-5))
        assert.is_true(math.abs(sums:eq(0):float():mean():item() - 0.25) < 0.06)
        y:sum():backward()
        assert.is_true(lx.equal(x.grad, y))
        assert.is_true(lx.equal(x, layer:eval()(x)))
        assert.is_true(lx.equal(x, F.stochastic_depth(x, 0)))
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

    it("have a gradient for the target as well, or say that they have none", function()
        local x = lx.tensor({{1, 2}}, {requires_grad = true})
        local target = lx.tensor({{0.5, 4}}, {requires_grad = true})
        for _, f in ipairs {F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss} do
            x.grad, target.grad = nil, nil
            f(x, target):backward()
            assert.not_equal(0, x.grad[{1, 1}])
            assert.same((-x.grad):totable(), target.grad:totable())
        end
        assert.is_true(lx.gradcheck(function(p, q) return F.kl_div(p, q:sigmoid()) end, {x, target}))
        for name, f in pairs {focal_loss = F.focal_loss,
            binary_cross_entropy_with_logits = F.binary_cross_entropy_with_logits} do
            assert.matches(name .. ": target: requires a gradient, which this loss has for input alone; give "
                .. "target:detach%(%)", message_of(f, x, target))
            lx.no_grad(f, x, target)
        end
        assert.matches("binary_cross_entropy_with_logits: pos_weight: requires a gradient",
            message_of(F.binary_cross_entropy_with_logits, x, x:detach(),
                {pos_weight = lx.ones({2}, {requires_grad = true})}))
    end)

    it("are 0 of no images", function()
        local x = lx.zeros(0, 2)
        for _, f in ipairs {F.cross_entropy, F.nll_loss} do
            assert.equal(0, f(x, lx.zeros({0}, {dtype = "int32"})):item())
        end
        for _, f in ipairs {F.binary_cross_entropy_with_logits, F.mse_loss, F.l1_loss, F.focal_loss} do
            assert.equal(0, f(x, x):item())
        end
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
        assert.matches("target: expected %[3%] for input %[3,3%], got int32 %[2%]",
            message_of(F.cross_entropy, x, lx.tensor({1, 2}, {dtype = "int32"})))
    end)

    it("cross-entropy takes shares of the classes, of which some may be missing", function()
        lx.manual_seed(8)
        local x, w = lx.randn({4, 3}, {requires_grad = true}), {0.5, 2, 1.5}
        local rows = {{0.2, 0.5, 0.3}, {1, 0, 0}, {0.1, nan, 0.9}, {0, 0.6, 0.4}}
        local log_p = F.log_softmax(x, 2):totable()
        for _, weighted in ipairs {false, true} do
            for _, smoothing in ipairs {0, 0.3} do
                local each, sum, present = {}, 0, 0
                for i, row in ipairs(rows) do
                    each[i] = 0
                    for k, share in ipairs(i ~= 3 and row or {}) do
                        local weight = weighted and w[k] or 1
                        each[i] = each[i] - weight * (share * (1 - smoothing) + smoothing / 3) * log_p[i][k]
                        present = present + weight * share
                    end
                    sum = sum + each[i]
                end
                local options = {weight = weighted and lx.tensor(w) or nil, label_smoothing = smoothing}
                local target = lx.tensor(rows)
                assert.near(sum / present, F.cross_entropy(x, target, options):item(), 1e-5)
                assert.is_true(lx.gradcheck(function(input) return F.cross_entropy(input, target, options) end, {x}))
                options.reduction = "none"
                for i, value in ipairs(F.cross_entropy(x, target, options):totable()) do
                    assert.near(each[i], value, 1e-5)
                end
            end
        end
        -- all of one class is the class itself, also of maps
        local maps, classes = lx.randn(2, 3, 4, 5), lx.randint(1, 4, {2, 4, 5}, {dtype = "int32"})
        local one_hot = classes:unsqueeze(2):eq(lx.arange(1, 4):view(1, 3, 1, 1)):float()
        local options = {weight = lx.tensor(w)}
        local loss = F.cross_entropy(maps, classes, options):item()
        assert.near(loss, F.cross_entropy(maps, one_hot, options):item(), 1e-6)
        assert.matches("cross_entropy: .*%[4,3%].*%[4,2%]", message_of(F.cross_entropy, x, lx.rand(4, 2)))
        assert.matches("ignore_index is of class numbers",
            message_of(F.cross_entropy, x, lx.rand(4, 3), {ignore_index = 1}))
    end)

    it("take their options as modules", function()
        local x, target = lx.tensor {1, -1}, lx.tensor {1, 0}
        local expected = F.binary_cross_entropy_with_logits(x, target, {pos_weight = 3, reduction = "sum"})
        assert.is_true(lx.equal(expected, nn.BCEWithLogitsLoss({pos_weight = 3, reduction = "sum"})(x, target)))
    end)

    it("name both shapes, and unknown options", function()
        for name, f in pairs {mse_loss = F.mse_loss, focal_loss = F.focal_loss,
            binary_cross_entropy_with_logits = F.binary_cross_entropy_with_logits} do
            assert.matches(name .. ": target: expected the shape of input, %[2,1%], got %[2%]",
                message_of(f, lx.zeros(2, 1), lx.zeros(2)))
            assert.matches(name .. ": target: expected float32, got int32 %[2%] %(convert it",
                message_of(f, lx.zeros(2), lx.zeros(2, {dtype = "int32"})))
            assert.matches("options: option 'reduction': expected \"mean\", \"sum\" or \"none\", got \"avg\"",
                message_of(f, lx.zeros(2), lx.zeros(2), {reduction = "avg"}))
        end
        assert.matches("unknown option 'posweight' %(did you mean 'pos_weight'%?%); the options are pos_weight",
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
            {"block", {2, 4, 4, 4}, 1, 0}, -- what it holds itself: the rows add up
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

    it("is shown with words on the left and numbers on the right", function()
        local net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 512, 1, {bias = false}), nn.ReLU())
        assert.equal(table.concat({
            "name   layer                          output       parameters  multiply-adds",
            ("-"):rep(76),
            "0      Conv2d(1, 4, 3)                [1,4,6,6]            40          1,296",
            "1      Conv2d(4, 512, 1, bias=false)  [1,512,6,6]       2,048         73,728",
            "2      ReLU()                         [1,512,6,6]           0              0",
            ("-"):rep(76),
            "total                                                   2,088         75,024",
        }, "\n"), tostring(nn.summary(net, {1, 1, 8, 8})))
    end)

    it("leaves the network as it was when it fails", function()
        local net = Net(2)
        assert.matches("Conv2d%(1, 4, 3, padding=1%): input: expected float32 %[N,1,H,W%], got float32 %[2,3,8,8%]",
            message_of(nn.summary, net, {2, 3, 8, 8}))
        assert.is_true(net.head.training)
        assert.is_nil(rawget(net.head, "_hooks"))
    end)

    it("counts transposed convolutions by their input", function()
        assert.equal(4 * 9 * 8 * 2 * 4, nn.summary(nn.ConvTranspose2d(4, 8, {2, 4}), {1, 4, 3, 3}).multiply_adds)
    end)
end)

describe("limits of layers", function()
    local image, wide, labels = lx.zeros(2, 3, 8, 8), lx.zeros(2, 6), lx.tensor({1, 6}, {dtype = "int32"})

    -- What is said, the function, what is just accepted, and what is just not.
    local cases = {
        {"conv2d: the kernel", function(k) return F.conv2d(image, lx.zeros(2, 3, k[1], k[2])) end,
            {{8, 1}, {1, 8}, {8, 8}}, {{9, 1}, {1, 9}}},
        {"conv2d: the kernel", function(k)
            return F.conv2d(image, lx.zeros(2, 3, k[1], k[2]), nil, {dilation = {2, 3}, padding = {1, 2}})
        end, {{5, 1}, {1, 4}}, {{6, 1}, {1, 5}}},
        {"conv2d", function(groups)
            local weight = lx.zeros(6, 12 // math.max(groups, 1), 3, 3)
            return F.conv2d(lx.zeros(1, 12, 5, 5), weight, nil, {groups = groups})
        end, {1, 2, 3, 6}, {4, 12, 0}},
        {"conv_transpose2d: output_padding", function(extra)
            return F.conv_transpose2d(image, lx.zeros(3, 2, 3, 3), nil,
                {stride = {2, 3}, dilation = {4, 1}, output_padding = extra})
        end, {{1, 0}, {0, 2}, {1, 2}}, {{2, 0}, {0, 3}}},
        {"max_pool2d", function(k) return F.max_pool2d(image, k) end, {{8, 1}, {1, 8}}, {{9, 1}, {1, 9}, {0, 1}}},
        {"max_pool2d: padding", function(padding) return F.max_pool2d(image, {4, 5}, {padding = padding}) end,
            {{2, 0}, {0, 2}}, {{3, 0}, {0, 3}}},
        {"avg_pool2d", function(k) return F.avg_pool2d(image, k, {padding = {0, 1}}) end, {{8, 2}, {1, 10}},
            {{9, 2}, {1, 11}}},
        {"avg_pool2d", function(k) return F.avg_pool2d(lx.zeros(1, 1, 5, 1), k) end, {{5, 1}, {1, 1}},
            {{6, 1}, {1, 2}}},
        {"avg_pool2d", function(k) return F.avg_pool2d(lx.zeros(1, 1, 1, 5), k) end, {{1, 5}, {1, 1}},
            {{1, 6}, {2, 1}}},
        {"interpolate", function(scale) return F.interpolate(image, {scale = scale}) end, {0.125, 0.5, 1, 1.5},
            {0, -1, 0.1}},
        {"cross_entropy", function(smoothing) return F.cross_entropy(wide, labels, {label_smoothing = smoothing}) end,
            {0, 0.5, 1}, {-0.001, 1.001}},
        {"cross_entropy", function(label)
            return F.cross_entropy(wide, lx.tensor({1, label}, {dtype = "int32"}))
        end, {1, 6}, {0, 7}},
        {"dropout", function(p) return F.dropout(wide, p) end, {0, 0.999}, {-0.001, 1}},
        {"dropout2d", function(p) return F.dropout2d(image, p) end, {0, 0.999}, {-0.001, 1}},
        {"stochastic_depth", function(p) return F.stochastic_depth(image, p) end, {0, 0.999}, {-0.001, 1}},
        {"group_norm", function(groups) return F.group_norm(lx.zeros(1, 12, 2, 2), groups) end, {1, 3, 12},
            {0, 5, 13}},
        {"from 1 to 4", function(index)
            return F.embedding(lx.tensor({index}, {dtype = "int32"}), lx.zeros(4, 2))
        end, {1, 4}, {0, 5}},
    }

    it("normalise no images, and no elements, as they do some", function()
        assert.same({0, 4, 2, 2}, {table.unpack(nn.GroupNorm(2, 4)(lx.zeros(0, 4, 2, 2)).shape)})
        assert.same({2, 3, 0}, {table.unpack(F.softmax(lx.zeros(2, 3, 0), 3).shape)})
        assert.same({0}, {table.unpack(F.log_softmax(lx.zeros(0), 1).shape)})
    end)

    it("are where they are said to be, in both directions of an image", function()
        for _, case in ipairs(cases) do
            local text, f, good, bad = table.unpack(case)
            for _, value in ipairs(good) do f(value) end
            for _, value in ipairs(bad) do
                local message = message_of(f, value)
                assert.matches(text, message, 1, true)
            end
        end
    end)
end)

describe("mistakes in layers", function()
    local image, flat, bytes = lx.zeros(2, 3, 8, 8), lx.zeros(2, 6), lx.zeros(2, 3, 8, 8, {dtype = "uint8"})

    -- Layer, bad input, what the message must contain.
    local cases = {
        {nn.Conv2d(1, 4, 3), image, "Conv2d(1, 4, 3): input: expected float32 [N,1,H,W], got float32 [2,3,8,8]"},
        {nn.Conv2d(3, 4, 3), flat, "Conv2d(3, 4, 3): input: expected float32 [N,3,H,W], got float32 [2,6]"},
        {nn.Conv2d(3, 4, 3), bytes, "Conv2d(3, 4, 3): input: expected float32 [N,3,H,W], got uint8 [2,3,8,8] (convert"},
        {nn.Conv2d(3, 4, 9), image, "conv2d: the kernel (9 with dilation) is larger than the padded input (8)"},
        {nn.Conv2d(3, 4, 3), 5, "Conv2d(3, 4, 3): input: expected float32 [N,3,H,W], got 5"},
        {nn.Conv1d(2, 4, 3), image, "Conv1d(2, 4, 3): input: expected float32 [N,2,L], got float32 [2,3,8,8]"},
        {nn.ConvTranspose2d(4, 2, 2), image, "ConvTranspose2d(4, 2, 2): input: expected float32 [N,4,H,W], got float"},
        {nn.ConvTranspose2d(3, 2, 2), bytes, "ConvTranspose2d(3, 2, 2): input: expected float32 [N,3,H,W], got uint8"},
        {nn.Linear(5, 2), flat, "Linear(5, 2): input: expected float32 [...,5], got float32 [2,6]"},
        {nn.Linear(8, 2), bytes, "Linear(8, 2): input: expected float32, got uint8"},
        {nn.BatchNorm1d(4), image, "BatchNorm1d(4): input: expected float32 [N,4,L], got float32 [2,3,8,8]"},
        {nn.BatchNorm1d(4), flat, "BatchNorm1d(4): input: expected float32 [N,4], got float32 [2,6]"},
        {nn.BatchNorm2d(4), image, "BatchNorm2d(4): input: expected float32 [N,4,H,W], got float32 [2,3,8,8]"},
        {nn.BatchNorm2d(6), flat, "BatchNorm2d(6): input: expected float32 [N,6,H,W], got float32 [2,6]"},
        {nn.BatchNorm2d(3), lx.zeros(1, 3, 1, 1), "batch_norm: training needs more than one value per channel"},
        {nn.InstanceNorm2d(3), lx.zeros(2, 3, 1, 1), "instance_norm: needs more than one value per channel and image"},
        {nn.GroupNorm(2, 4), image, "GroupNorm(2, 4): input: expected float32 [N,4,...], got float32 [2,3,8,8]"},
        {nn.GroupNorm(3, 3), bytes, "GroupNorm(3, 3): input: expected float32 [N,3,...], got uint8"},
        {nn.LayerNorm({3, 8}), image, "LayerNorm([3,8]): input: expected float32 [...,3,8], got float32 [2,3"},
        {nn.MaxPool2d(2), flat, "MaxPool2d(2): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.MaxPool2d(9), image, "max_pool2d: the kernel (9) is larger than the padded input (input [2,3,8,8])"},
        {nn.MaxPool1d(9), image[{{}, {}, 1}], "max_pool1d: the kernel (9) is larger than the padded input"},
        {nn.AvgPool2d(2), bytes, "AvgPool2d(2): input: expected float32 [N,C,H,W], got uint8"},
        {nn.AdaptiveAvgPool2d(2), flat, "AdaptiveAvgPool2d(2): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.GlobalAvgPool2d(), flat, "GlobalAvgPool2d(): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.GlobalMaxPool2d(), flat, "GlobalMaxPool2d(): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.ZeroPad2d(2), flat, "ZeroPad2d(2): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.ReflectionPad2d(8), image, 'pad: padding: mode "reflect" takes from 0 to 7 on the sides of dimension 4'},
        {nn.Upsample({scale = 2}), flat, "Upsample(scale=2, mode=nearest): input: expected float32 [N,C,H,W]"},
        {nn.Upsample({scale = 0.1}), image, "interpolate: option 'scale': 0.1 makes images of [2,3,8,8] into 0×0"},
        {nn.ReLU(), bytes, "ReLU(): input: expected float32, got uint8"},
        {nn.LeakyReLU(), bytes, "LeakyReLU(0.01): input: expected float32, got uint8"},
        {nn.SiLU(), bytes, "SiLU(): input: expected float32, got uint8"},
        {nn.GELU(), bytes, "GELU(): input: expected float32, got uint8"},
        {nn.Sigmoid(), bytes, "Sigmoid(): input: expected float32, got uint8"},
        {nn.Tanh(), bytes, "Tanh(): input: expected float32, got uint8"},
        {nn.Softmax(3), flat, "Softmax(3): dim: expected an integer from 1 to 2 (or -1 to -2) for float32 [2,6]"},
        {nn.Dropout(), bytes, "Dropout(0.5): input: expected float32, got uint8"},
        {nn.Dropout2d(), flat, "Dropout2d(0.5): input: expected float32 [N,C,H,W], got float32 [2,6]"},
        {nn.Flatten(), "x", 'Flatten(): input: expected a tensor, got "x"'},
        {nn.Flatten(3), flat, "Flatten(): dim: expected an integer from 1 to 2"},
        {nn.Embedding(4, 2), flat, "Embedding(4, 2): input: expected int32 indices, got float32 [2,6]"},
        {nn.ReLU(), nil, "ReLU(): input: expected float32, got nil"},
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
        {"Conv2d", {0, 4, 3}, "Conv2d: in_channels: expected an integer from 1 to 2147483647, got 0"},
        {"Conv2d", {3, 4, 3, {groups = 2}}, "Conv2d: groups (2) should divide in_channels (3) and out_channels (4)"},
        {"Conv2d", {3, 4, 0}, "Conv2d: kernel: expected an integer or a pair {h, w} of at least 1, got 0"},
        {"Conv2d", {3, 4, 3, {strides = 2}}, "Conv2d: options: unknown option 'strides' (did you mean 'stride'?); the"},
        {"Conv2d", {3, 4, 2, {padding = "same"}}, 'Conv2d: padding "same" needs stride 1 and an odd kernel'},
        {"Conv2d", {3, 4, 2, {padding = "valid"}}, "Conv2d: options: option 'padding': expected an integer or a pair"},
        {"Conv2d", {1 << 30, 1 << 30, 1}, "Conv2d: a weight of shape [1073741824,1073741824,1,1] is too large"},
        {"ConvTranspose2d", {3, 4, {1}}, "ConvTranspose2d: kernel: expected an integer or a pair {h, w}"},
        {"Linear", {2.5, 4}, "Linear: in_features: expected an integer from 1 to 2147483647, got 2.5"},
        {"Linear", {2, 4, true}, "Linear: options: expected a table of options, got true"},
        {"GroupNorm", {2, 5}, "GroupNorm: groups (2) should divide channels (5)"},
        {"LayerNorm", {"x"}, 'LayerNorm: shape: expected an integer from 1 to 2147483647 or a list, each an integer'},
        {"MaxPool2d", {}, "MaxPool2d: kernel: expected an integer or a pair {h, w} of at least 1, got nil"},
        {"MaxPool2d", {2, {padding = 2}}, "MaxPool2d: padding (2) should be at most half of the kernel (2)"},
        {"ZeroPad2d", {{1, 2}}, "ZeroPad2d: padding: expected an integer or {left, right, top, bottom}, got"},
        {"Dropout", {1}, "Dropout: p: expected a number from 0 to below 1, got 1"},
        {"Softmax", {}, "Softmax: dim: expected an integer, got nil"},
        {"Upsample", {{}}, "Upsample: options: give either size = {h, w} or scale = number"},
        {"Upsample", {{size = 4, mode = "no"}}, "Upsample: options: option 'mode': expected \"nearest\" or"},
        {"Embedding", {0, 3}, "Embedding: count: expected an integer from 1 to 2147483647, got 0"},
        {"ReLU", {lx.ones(2)}, "ReLU: takes 0 arguments, got float32 [2] besides"},
        {"Sequential", {nn.ReLU},
            "Sequential: argument 1: expected a module or a list of modules or of {name, module}, got a class ReLU"},
        {"BCEWithLogitsLoss", {{pos_weigth = 3}}, "unknown option 'pos_weigth' (did you mean 'pos_weight'?)"},
        {"CrossEntropyLoss", {{label_smoothing = 2}}, "CrossEntropyLoss: options: option 'label_smoothing': expected"},
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
        assert.matches("^spec/nn_spec.lua:%d+: linear: bias: expected float32 %[2%], got float32 %[3%]",
            message_of(function() F.linear(flat, lx.zeros(2, 6), lx.zeros(3)) end))
    end)
end)

describe("padding \"same\"", function()
    it("keeps the size", function()
        local layer = nn.Conv2d(1, 2, {3, 5}, {padding = "same", dilation = 2})
        assert.same({1, 2, 7, 9}, layer(lx.ones(1, 1, 7, 9)).shape)
    end)
end)

describe("BatchNorm2d of large images", function()
    it("has the mean and variance of all pixels, in the layout of convolutions too", function()
        lx.manual_seed(5)
        local conv, norm = nn.Conv2d(1, 16, 3, {padding = 1}), nn.BatchNorm2d(16, {momentum = 1})
        -- brightness that grows from corner to corner, so that no part of it is like the whole
        local x = (lx.arange(96):view(96, 1) + lx.arange(131):view(1, 131)):view(1, 1, 96, 131) / 50
            + lx.randn(2, 1, 96, 131)
        lx.no_grad(function()
            local y = conv(x)
            norm(y)
            local plain = y:contiguous():transpose(1, 2):reshape(16, -1)
            local mean = plain:mean{2}
            local var = ((plain - mean:view(16, 1)) ^ 2):sum(2) / (plain.shape[2] - 1)
            assert.near(0, (norm.running_mean - mean):abs():max():item(), 1e-4)
            assert.near(0, (norm.running_var / var - 1):abs():max():item(), 1e-4)
        end)
    end)
end)

describe("a buffer", function()
    it("stays one when it is assigned anew, and children keep their order when one goes", function()
        local net = nn.BatchNorm1d(2)
        net.running_mean = lx.tensor({3, 4})
        assert.same({3, 4}, net:state_dict().running_mean:totable())
        local Parent = nn.class("Parent")
        function Parent:init() self.a, self.b, self.c = nn.ReLU(), nn.Tanh(), nn.Sigmoid() end
        for _, gone in ipairs {"a", "b", "c"} do
            local parent, names = Parent(), {}
            parent[gone] = nil
            for name in parent:named_children() do names[#names + 1] = name end
            table.sort(names)
            assert.equal((("abc"):gsub(gone, "")), table.concat(names))
        end
    end)
end)

describe("an activation", function()
    it("is the same as a method of tensors, a function and a layer", function()
        local x = lx.randn(3, 5) * 4
        for _, row in ipairs(require "luxel.nn.activations") do
            local layer = nn[row.class]()
            assert.equal(row.class .. "()", tostring(layer))
            assert.is_true(lx.equal(x[row.name](x), F[row.name](x)), row.name)
            assert.is_true(lx.equal(x[row.name](x), layer(x)), row.name)
        end
    end)

    it("with bends passes infinities and NaN on, and has PyTorch's slopes beside the bends", function()
        local function far(name)
            local x = lx.tensor({-math.huge, math.huge, 0 / 0})
            return (("%g %g %g"):format(table.unpack(x[name](x):totable())):gsub("%-nan", "nan"))
        end
        assert.equal("0 6 nan", far "relu6")
        assert.equal("-inf inf nan", far "leaky")
        assert.equal("0 1 nan", far "hardsigmoid")
        assert.equal("nan inf nan", far "hardswish")
        local function slopes(name, numbers)
            local x = lx.tensor(numbers, {requires_grad = true})
            x[name](x):sum():backward()
            return x.grad:totable()
        end
        assert.same({0, 0, 1, 1, 0, 0}, slopes("relu6", {-1, 0, 0.5, 5.5, 6, 7}))
        local tenth = lx.tensor(0.1):item()
        assert.same({tenth, tenth, 1, 1}, slopes("leaky", {-1, 0, 0.5, 7}))
        assert.same({0, 0, 0.5, 1.25, 1, 1}, slopes("hardswish", {-4, -3, 0, 2.25, 3, 7}))
        local sixth = lx.tensor(1 / 6):item()
        assert.same({0, 0, sixth, sixth, 0, 0}, slopes("hardsigmoid", {-4, -3, -2.5, 2.5, 3, 4}))
    end)

    it("leaky is the general one with its slope, bit for bit", function()
        local dy, numbers = lx.randn(3, 5, 4, 6), lx.randn(3, 5, 4, 6)
        local function both(f)
            local x = numbers:clone():requires_grad_()
            local y = f(x)
            y:backward(dy)
            return {y, x.grad}
        end
        for _, slope in ipairs {0.1, 0.3} do
            local found = both(function(x) return F.leaky_relu(x, slope) end)
            for i, expected in ipairs(both(function(x) return lx.where(x:gt(0), x, x * slope) end)) do
                assert.is_true(lx.equal(expected, found[i]))
            end
        end
    end)

    it("of a convolution or product is named, and only one", function()
        local x, w = lx.randn(1, 2, 5, 5), lx.randn(3, 2, 3, 3)
        assert.is_true(lx.equal(F.conv2d(x, w, nil, {relu = true}), F.conv2d(x, w, nil, {activation = "relu"})))
        assert.matches("conv2d: options: relu = true and activation = \"relu6\" say two things",
            message_of(F.conv2d, x, w, nil, {relu = true, activation = "relu6"}))
        assert.matches("linear: .*activation", message_of(F.linear, lx.randn(2, 3), lx.randn(4, 3), nil,
            {activation = "tanh"}))
    end)
end)

describe("local response normalisation", function()
    it("is what a loop over channels makes of it, also where windows are wider than there are channels", function()
        local x = lx.randn(2, 5, 3)
        for _, size in ipairs {1, 2, 3, 4, 9, 30} do
            local numbers = x:totable()
            local got = F.local_response_norm(x, size, {alpha = 0.9, beta = 0.6, k = 1.5}):totable()
            for n = 1, 2 do
                for c = 1, 5 do
                    for i = 1, 3 do
                        local sum = 0
                        for other = math.max(1, c - size // 2), math.min(5, c + (size - 1) // 2) do
                            sum = sum + numbers[n][other][i] ^ 2
                        end
                        local wanted = numbers[n][c][i] / (1.5 + 0.9 * sum / size) ^ 0.6
                        assert.near(wanted, got[n][c][i], 1e-5)
                    end
                end
            end
        end
    end)

    it("shows what it is, and refuses what has no channels", function()
        assert.equal("LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=2)", tostring(nn.LocalResponseNorm(5, {k = 2})))
        assert.matches("local_response_norm: input: expected float32 %[N,C,...%], got float32 %[3%]",
            message_of(F.local_response_norm, lx.ones(3), 5))
        local x = lx.randn(0, 3, 4)
        assert.same({0, 3, 4}, F.local_response_norm(x, 5).shape)
    end)

    it("notices what it saved being changed before backward", function()
        local x = lx.randn(1, 3, 4):requires_grad_()
        local middle = x * 2
        local y = F.local_response_norm(middle, 3)
        lx.no_grad(function() middle:mul_(3) end)
        assert.is_false((pcall(y.backward, y, lx.ones(1, 3, 4))))
    end)
end)
