local lx = require "luxel"
local nn, optim = lx.nn, lx.optim
local schedules = optim.lr_scheduler

local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    return tostring(message)
end

local function parameter(values, grad)
    local p = nn.Parameter(lx.tensor(values))
    if grad then p.grad = lx.tensor(grad) end
    return p
end

local function close(expected, actual)
    assert.is_true(math.abs(expected - actual) <= 1e-6 * math.max(1, math.abs(expected)),
        ("expected %.9g, got %.9g"):format(expected, actual))
end

-- One step of each rule for one parameter in plain Lua, from the papers' formulas.
local reference = {
    SGD = function(p, g, s, o)
        g = g + o.weight_decay * p
        if o.momentum == 0 then return p - o.lr * g end
        s.b = s.b and o.momentum * s.b + (1 - o.dampening) * g or g
        return p - o.lr * (o.nesterov and g + o.momentum * s.b or s.b)
    end,
    RMSprop = function(p, g, s, o)
        g = g + o.weight_decay * p
        s.v = o.alpha * (s.v or 0) + (1 - o.alpha) * g * g
        local step = g / (math.sqrt(s.v) + o.eps)
        if o.momentum == 0 then return p - o.lr * step end
        s.b = o.momentum * (s.b or 0) + step
        return p - o.lr * s.b
    end,
}

local function adam(decoupled)
    return function(p, g, s, o)
        if decoupled then p = p * (1 - o.lr * o.weight_decay) else g = g + o.weight_decay * p end
        local b1, b2 = o.betas[1], o.betas[2]
        s.t = (s.t or 0) + 1
        s.m, s.v = b1 * (s.m or 0) + (1 - b1) * g, b2 * (s.v or 0) + (1 - b2) * g * g
        return p - o.lr * (s.m / (1 - b1 ^ s.t)) / (math.sqrt(s.v / (1 - b2 ^ s.t)) + o.eps)
    end
end
reference.Adam, reference.AdamW = adam(false), adam(true)

describe("optimisers", function()
    it("say how many parameters and numbers they have", function()
        local o = optim.SGD({parameter {1, 2, 3}, parameter {{1, 2}, {3, 4}}}, {lr = 0.5})
        assert.matches("^SGD%(lr=0.5.*%)  %[2 parameters of 7 numbers%]$", tostring(o))
        o = optim.SGD({{params = {parameter {1}}}, {params = {parameter {1, 2}}, lr = 0.25}}, {lr = 1})
        assert.matches("^SGD%(lr=1.*%)  %[1 parameter of 1 numbers%]\nSGD%(lr=0.25.*%)  %[1 parameter of 2 numbers%]$",
            tostring(o))
    end)
end)

describe("an optimiser", function()
    local cases = {
        {"SGD", {lr = 0.1}},
        {"SGD", {lr = 0.1, momentum = 0.9, weight_decay = 0.01}},
        {"SGD", {lr = 0.1, momentum = 0.9, dampening = 0.5}},
        {"SGD", {lr = 0.1, momentum = 0.9, nesterov = true}},
        {"Adam", {lr = 0.1, weight_decay = 0.1}},
        {"AdamW", {lr = 0.1, weight_decay = 0.1, betas = {0.8, 0.9}}},
        {"RMSprop", {lr = 0.1, weight_decay = 0.01}},
        {"RMSprop", {lr = 0.1, alpha = 0.9, momentum = 0.5}},
    }
    for i, case in ipairs(cases) do
        it(("follows the formula: %s, case %d"):format(case[1], i), function()
            local p = parameter {1, -2}
            local optimizer = optim[case[1]]({p}, case[2])
            local values, states = {1, -2}, {{}, {}}
            for step = 1, 5 do
                local grads = {math.sin(step), 3 * math.cos(step)}
                p.grad = lx.tensor(grads)
                optimizer:step()
                for j = 1, 2 do
                    values[j] = reference[case[1]](values[j], grads[j], states[j], optimizer.groups[1])
                    assert.is_true(math.abs(values[j] - p:detach()[j]) < 1e-5)
                end
            end
            assert.is_true(p.requires_grad)
        end)
    end

    it("takes groups with options of their own", function()
        local a, b = parameter({1}, {1}), parameter({1}, {1})
        local optimizer = optim.SGD({{params = {a}}, {params = {b}, lr = 0.5}}, {lr = 0.1})
        optimizer:step()
        close(0.9, a:item())
        close(0.5, b:item())
    end)

    it("leaves parameters without a gradient alone", function()
        local a, b = parameter({1}, {1}), parameter {1}
        local optimizer = optim.AdamW({a, b})
        optimizer:step()
        assert.is_true(a:item() < 1)
        assert.equal(1, b:item())
        optimizer:zero_grad()
        assert.is_nil(a.grad)
    end)

    it("goes on exactly from its state", function()
        for _, case in ipairs(cases) do
            local a, b = parameter {1, 2}, parameter {1, 2}
            local first = optim[case[1]]({a}, case[2])
            local function advance(optimizer, p, from, to)
                for step = from, to do
                    p.grad = lx.tensor {math.sin(step), step}
                    optimizer:step()
                end
            end
            advance(first, a, 1, 3)
            lx.no_grad(function() b:copy_(a) end)
            local second = optim[case[1]]({b}, {lr = 5})
            second:load_state_dict(first:state_dict())
            advance(first, a, 4, 6)
            advance(second, b, 4, 6)
            assert.is_true(lx.equal(a, b))
        end
    end)

    it("has a state of flat tensors and plain values", function()
        local p = parameter({1, 2}, {1, 1})
        local optimizer = optim.AdamW({p})
        optimizer:step()
        local state = optimizer:state_dict()
        assert.equal("AdamW", state.kind)
        assert.same({1}, state.steps)
        assert.same({{lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01}}, state.groups)
        assert.same({2}, state.tensors["1.exp_avg"].shape)
        assert.same({2}, state.tensors["1.exp_avg_sq"].shape)
    end)

    it("refuses a state that does not fit", function()
        local p = parameter({1, 2}, {1, 1})
        local adamw, sgd = optim.AdamW({p}), optim.SGD({p})
        adamw:step()
        assert.matches("the state is of AdamW, the optimiser is SGD",
            message_of(sgd.load_state_dict, sgd, adamw:state_dict()))
        local other = optim.AdamW({parameter {1, 2, 3}})
        assert.matches("is %[2%], the parameter is %[3%]",
            message_of(other.load_state_dict, other, adamw:state_dict()))
        local two = optim.AdamW({parameter {1}, parameter {1}})
        assert.matches("the state has 1 parameters in 1 groups, the optimiser has 2 in 1",
            message_of(two.load_state_dict, two, adamw:state_dict()))
    end)

    it("outlives a tidy around the step", function()
        local p = parameter {1, 2}
        local optimizer = optim.Adam({p}, {lr = 0.1})
        for _ = 1, 2 do
            lx.tidy(function()
                optimizer:zero_grad()
                local loss = (p * p):sum()
                loss:backward()
                optimizer:step()
            end)
        end
        assert.is_true(p:detach()[1] < 0.9)
        assert.same({2}, p.grad.shape)
    end)

    it("says what is wrong with its arguments", function()
        local p = parameter {1}
        assert.matches("SGD: params: the list is empty, there is nothing to train", message_of(optim.SGD, {}))
        assert.matches("SGD: params: expected a list of parameters, as net:parameters%(%) gives, got float32 %[1%]",
            message_of(optim.SGD, p))
        assert.matches("SGD: params: expected a list of parameters, .* got a Linear",
            message_of(optim.SGD, lx.nn.Linear(1, 1)))
        assert.matches("SGD: params: 1: expected a parameter, got float32 %[1%] that a recorded operation made",
            message_of(optim.SGD, {p * 2}))
        assert.matches("SGD: params: 1: expected a float32 tensor, got int32 %[1%]",
            message_of(optim.SGD, {lx.tensor({1}, {dtype = "int32"})}))
        assert.matches("Adam: options: unknown option 'momentum'; the options are lr, betas, eps, weight_decay",
            message_of(optim.Adam, {p}, {momentum = 0.9}))
        assert.matches("SGD: options: option 'lr': expected a finite number of at least 0, got \"high\"",
            message_of(optim.SGD, {p}, {lr = "high"}))
        assert.matches("SGD: options: option 'lr': expected a finite number of at least 0, got %-1",
            message_of(optim.SGD, {p}, {lr = -1}))
        assert.matches("SGD: option 'nesterov': needs a momentum, and no dampening",
            message_of(optim.SGD, {p}, {nesterov = true}))
        for _, lr in ipairs {0 / 0, math.huge, -1} do
            local o = optim.SGD({p})
            o.groups[1].lr = lr
            assert.matches("Optimizer:step: group 1: option 'lr': expected a finite number", message_of(o.step, o))
        end
        for _, lr in ipairs {0 / 0, math.huge, -1e-9} do
            assert.matches("SGD: options: option 'lr': expected", message_of(optim.SGD, {p}, {lr = lr}))
            assert.matches("SGD: group 2: option 'lr': expected",
                message_of(optim.SGD, {{params = {p}}, {params = {parameter {1}}, lr = lr}}))
        end
        assert.matches("Adam: options: option 'betas': expected two numbers {beta1, beta2} from 0 to below 1",
            message_of(optim.Adam, {p}, {betas = {0.9, 1}}))
        assert.matches("SGD: params: parameter 2 is listed twice", message_of(optim.SGD, {p, p}))
        assert.matches("SGD: group 2: params: parameter 1 is listed twice",
            message_of(optim.SGD, {{params = {p}}, {params = {p}}}))
        assert.matches("SGD: group 1: unknown option 'lrr' %(did you mean 'lr'%?%)",
            message_of(optim.SGD, {{params = {p}, lrr = 1}}))
        assert.matches("Optimizer:step: optimizer: expected an optimiser of lx.optim, got nil; methods are called with",
            message_of(optim.SGD({p}).step))
    end)

    it("refuses options that were changed into what is none, compiled or not", function()
        for _, wrap in ipairs {function(f) return f end, lx.compile} do
            for _, wrong in ipairs {
                {"lr", 0 / 0, "option 'lr': expected a finite number"}, {"lr", "high", "option 'lr': expected"},
                {"momentum", nil, "the option 'momentum' is needed"},
                {"learning_rate", 1, "unknown option 'learning_rate' %(did you mean 'lr'"},
            } do
                local net = nn.Linear(2, 1)
                local o = optim.SGD(net:parameters(), {lr = 0.1})
                local step = wrap(function(x)
                    o:zero_grad()
                    net(x):sum():backward()
                    o:step()
                end)
                for _ = 1, 5 do step(lx.ones(3, 2)) end
                local before = net.weight:clone()
                o.groups[1][wrong[1]] = wrong[2]
                assert.matches("Optimizer:step: group 1: " .. wrong[3], message_of(step, lx.ones(3, 2)))
                assert.is_true(lx.equal(before, net.weight))
            end
        end
    end)

    it("has its options in groups, and refuses them as fields of its own", function()
        local o = optim.SGD({parameter {1}}, {lr = 0.1})
        assert.matches("SGD: lr is an option of its groups, as in optimizer.groups%[1%].lr = 0.5",
            message_of(function() o.lr = 0.5 end))
        o.note = "mine"
        assert.equal("mine", o.note)
    end)
end)

describe("clipping", function()
    it("scales all gradients by their common norm", function()
        local a, b, c = parameter({0, 0}, {3, 0}), parameter({0}, {4}), parameter {0}
        close(5, optim.clip_grad_norm_({a, b, c}, 1):item())
        close(0.6, a.grad[1])
        close(0.8, b.grad[1])
        close(1, optim.clip_grad_norm_({a, b}, 2):item())
        close(0.6, a.grad[1])
        assert.equal(0, optim.clip_grad_norm_({c}, 1):item())
    end)

    it("scales a parameter that is listed twice once", function()
        local a = parameter({0}, {4})
        close(4, optim.clip_grad_norm_({a, a}, 1):item())
        close(1, a.grad[1])
    end)

    it("leaves NaN and infinite gradients for the caller to see", function()
        for _, bad in ipairs {0 / 0, math.huge} do
            local a, b = parameter({0}, {bad}), parameter({0}, {2})
            local norm = optim.clip_grad_norm_({a, b}, 1):item()
            assert.is_false(norm < math.huge)
            assert.equal(2, b.grad[1])
        end
    end)

    it("limits every element", function()
        local a = parameter({0, 0, 0}, {-3, 0.5, 7})
        optim.clip_grad_value_({a}, 1)
        assert.same({-1, 0.5, 1}, a.grad:totable())
        assert.matches("clip_grad_value_: limit: expected a number above 0, got 0",
            message_of(optim.clip_grad_value_, {a}, 0))
    end)
end)

describe("a schedule", function()
    local function optimizer_at(lr)
        return optim.SGD({parameter {1}}, {lr = lr})
    end

    -- The rates before each of `count` steps.
    local function rates(optimizer, schedule, count)
        local list = {}
        for i = 1, count do
            list[i] = optimizer.groups[1].lr
            schedule:step()
        end
        return list
    end

    local function assert_rates(expected, actual)
        for i, rate in ipairs(expected) do close(rate, actual[i]) end
    end

    it("StepLR falls in steps", function()
        local o = optimizer_at(1)
        assert_rates({1, 1, 0.5, 0.5, 0.25}, rates(o, schedules.StepLR(o, {step_size = 2, gamma = 0.5}), 5))
    end)

    it("CosineWarmup rises, falls and stays", function()
        local o = optimizer_at(1)
        local schedule = schedules.CosineWarmup(o, {warmup = 4, total = 8, min_lr = 0.2})
        local half = 0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2
        assert_rates({0.25, 0.5, 0.75, 1, 1, half, 0.6, 1.2 - half, 0.2, 0.2}, rates(o, schedule, 10))
    end)

    it("OneCycleLR goes up to the peak and down to nearly nothing", function()
        local o = optimizer_at(1)
        local schedule = schedules.OneCycleLR(o, {max_lr = 2, total = 10, pct_start = 0.5})
        local list = rates(o, schedule, 12)
        close(2 / 25, list[1])
        close(2 / 25 + (2 - 2 / 25) / 2, list[3])
        close(2, list[5])
        close(2 / 25 / 1e4, list[10])
        close(2 / 25 / 1e4, list[12])
    end)

    it("follow their formulas at every step", function()
        local function anneal(from, to, part) return to + (from - to) * (1 + math.cos(math.pi * part)) / 2 end
        local function one_cycle(o, step)
            local start, peak, last = o.max_lr / o.div_factor, o.pct_start * o.total - 1, o.total - 1
            if step <= peak then return anneal(start, o.max_lr, step / peak) end
            if step >= last then return start / o.final_div_factor end
            return anneal(o.max_lr, start / o.final_div_factor, (step - peak) / (last - peak))
        end
        for _, case in ipairs {{0.5, 10}, {0.3, 25}, {0, 7}, {1, 8}} do
            local options = {
                max_lr = 3, pct_start = case[1], total = case[2], div_factor = 5, final_div_factor = 20,
            }
            local o, expected = optimizer_at(1), {}
            for step = 0, case[2] + 2 do expected[#expected + 1] = one_cycle(options, math.min(step, case[2] - 1)) end
            if case[1] == 1 then -- the top is the last step, and the bottom what is after it
                for step = case[2] + 1, #expected do expected[step] = 3 / 5 / 20 end
                expected[case[2]] = 3
            end
            assert_rates(expected, rates(o, schedules.OneCycleLR(o, options), #expected))
        end
        for _, case in ipairs {{0, 9}, {5, 9}, {8, 9}} do
            local o, expected = optimizer_at(0.5), {}
            for step = 0, 11 do
                expected[#expected + 1] = step < case[1] and 0.5 * (step + 1) / case[1]
                    or anneal(0.5, 0.01, math.min(1, (step - case[1]) / (case[2] - case[1])))
            end
            local schedule = schedules.CosineWarmup(o, {warmup = case[1], total = case[2], min_lr = 0.01})
            assert_rates(expected, rates(o, schedule, 12))
        end
    end)

    it("ReduceLROnPlateau waits before it lowers the rate", function()
        local o = optimizer_at(1)
        local schedule = schedules.ReduceLROnPlateau(o, {mode = "max", factor = 0.5, patience = 1, min_lr = 0.3})
        local list = {}
        for i, metric in ipairs {0.5, 0.6, 0.6, 0.6, 0.9, 0.1, 0.1, 0.1, 0.1} do
            schedule:step(metric)
            list[i] = o.groups[1].lr
        end
        assert_rates({1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3}, list)
        assert.matches("step: metric: expected a number, got nil", message_of(schedule.step, schedule))
    end)

    it("keeps the proportions of groups", function()
        local o = optim.SGD({{params = {parameter {1}}}, {params = {parameter {1}}, lr = 0.2}}, {lr = 1})
        local schedule = schedules.StepLR(o, {step_size = 1})
        schedule:step()
        assert.same({0.1, 0.2 * 0.1}, schedule:get_last_lr())
    end)

    it("goes on exactly from its state", function()
        local makers = {
            function(o) return schedules.StepLR(o, {step_size = 2}) end,
            function(o) return schedules.CosineWarmup(o, {warmup = 2, total = 9}) end,
            function(o) return schedules.OneCycleLR(o, {max_lr = 1, total = 9}) end,
            function(o) return schedules.ReduceLROnPlateau(o, {patience = 2, factor = 0.5}) end,
        }
        for _, make in ipairs(makers) do
            local a, b = optimizer_at(1), optimizer_at(1)
            local first = make(a)
            for _ = 1, 3 do first:step(1) end
            b:load_state_dict(a:state_dict())
            local second = make(b)
            second:load_state_dict(first:state_dict())
            for _ = 1, 4 do
                close(a.groups[1].lr, b.groups[1].lr)
                first:step(1)
                second:step(1)
            end
        end
    end)

    it("says what is wrong with its arguments", function()
        local o = optimizer_at(1)
        assert.matches("StepLR: optimizer: expected an optimiser of lx.optim, got nil", message_of(schedules.StepLR))
        assert.matches("StepLR: options: expected a table of options, got nil", message_of(schedules.StepLR, o))
        assert.matches("CosineWarmup: option 'warmup': expected a number of steps below total %(5%), got 7",
            message_of(schedules.CosineWarmup, o, {warmup = 7, total = 5}))
        assert.matches("OneCycleLR: options: the option 'max_lr' is needed: a number above 0",
            message_of(schedules.OneCycleLR, o, {total = 5}))
        assert.matches("ReduceLROnPlateau: options: option 'factor': expected a number from 0 to 1, got 2",
            message_of(schedules.ReduceLROnPlateau, o, {factor = 2}))
        assert.matches("StepLR: options: unknown option 'gama' %(did you mean 'gamma'%?%); the options are step",
            message_of(schedules.StepLR, o, {step_size = 1, gama = 2}))
    end)
end)
