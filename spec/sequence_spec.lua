--- Layers of sequences, beside what spec/cases.lua compares with PyTorch: names of weights, initial values, dropout,
--- lengths and masks, wrong arguments, and that they learn.

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local function shapes_of(net)
    local out = {}
    for name, tensor in pairs(net:state_dict()) do out[name] = table.concat(tensor.shape, ",") end
    return out
end

describe("names of weights", function()
    it("are PyTorch's", function()
        assert.same({
            weight_ih_l0 = "6,3", weight_hh_l0 = "6,2", bias_ih_l0 = "6", bias_hh_l0 = "6",
            weight_ih_l0_reverse = "6,3", weight_hh_l0_reverse = "6,2", bias_ih_l0_reverse = "6",
            bias_hh_l0_reverse = "6", weight_ih_l1 = "6,4", weight_hh_l1 = "6,2", bias_ih_l1 = "6", bias_hh_l1 = "6",
            weight_ih_l1_reverse = "6,4", weight_hh_l1_reverse = "6,2", bias_ih_l1_reverse = "6",
            bias_hh_l1_reverse = "6",
        }, shapes_of(nn.GRU(3, 2, {num_layers = 2, bidirectional = true})))
        assert.same({weight_ih_l0 = "8,3", weight_hh_l0 = "8,2"}, shapes_of(nn.LSTM(3, 2, {bias = false})))
        assert.same({
            in_proj_weight = "12,4", in_proj_bias = "12", ["out_proj.weight"] = "4,4", ["out_proj.bias"] = "4",
        }, shapes_of(nn.MultiheadAttention(4, 2)))
        local layer = nn.TransformerEncoderLayer(4, 2, {dim_feedforward = 5})
        local expected = {["norm.weight"] = "4", ["norm.bias"] = "4"}
        for i = 0, 1 do
            for name, shape in pairs {
                ["self_attn.in_proj_weight"] = "12,4", ["self_attn.in_proj_bias"] = "12",
                ["self_attn.out_proj.weight"] = "4,4", ["self_attn.out_proj.bias"] = "4", ["linear1.weight"] = "5,4",
                ["linear1.bias"] = "5", ["linear2.weight"] = "4,5", ["linear2.bias"] = "4", ["norm1.weight"] = "4",
                ["norm1.bias"] = "4", ["norm2.weight"] = "4", ["norm2.bias"] = "4",
            } do
                expected[("layers.%d.%s"):format(i, name)] = shape
            end
        end
        local net = nn.TransformerEncoder(layer, 2, {norm = nn.LayerNorm(4)})
        assert.same(expected, shapes_of(net))
        -- the copies begin alike, and are copies
        local a, b = net.layers[1].linear1.weight, net.layers[2].linear1.weight
        assert.equal(0, (a - b):abs():max():item())
        lx.no_grad(function() a:add_(1) end)
        assert.is_true((a - b):abs():min():item() > 0.5)
        assert.is_true((a - layer.linear1.weight):abs():min():item() > 0.5)
    end)
end)

describe("GRU and LSTM", function()
    it("begin with weights within 1 / sqrt(hidden)", function()
        for _, class in ipairs {nn.GRU, nn.LSTM} do
            for _, parameter in class(30, 16):named_parameters() do
                local most = parameter:abs():max():item()
                assert.is_true(most <= 0.25 and most > 0.2)
            end
        end
    end)

    it("do not read behind the end of a sequence", function()
        lx.manual_seed(3)
        for _, class in ipairs {nn.GRU, nn.LSTM} do
            local net = class(4, 5, {num_layers = 2, bidirectional = true, batch_first = true})
            local x = lx.randn(2, 6, 4)
            local y, h = net(x, nil, nil, nil)
            local lengths = lx.tensor({6, 4}, {dtype = "int32"})
            local function run(input, of)
                if class == nn.GRU then return net(input, nil, {lengths = of}) end
                return net(input, nil, nil, {lengths = of})
            end
            local cut, last = run(x, lengths)
            local other = x:clone()
            other[{2, {5, 6}}] = 100
            local same = run(other, {6, 4})
            assert.equal(0, (cut - same):abs():max():item())
            other[{2, {5, 6}}] = 0 / 0
            local beside, beside_last = run(other, {6, 4})
            assert.equal(0, (cut - beside):abs():max():item())
            local sum = beside:sum() + beside_last:sum()
            sum:backward()
            for name, parameter in net:named_parameters() do
                assert.equal(0, parameter.grad:isnan():sum():item(), name)
            end
            assert.equal(0, cut:narrow(1, 2, 1):narrow(2, 5, 2):abs():max():item())
            local alone, alone_last = run(x:narrow(1, 2, 1):narrow(2, 1, 4))
            assert.near(0, (cut:narrow(1, 2, 1):narrow(2, 1, 4) - alone):abs():max():item(), 1e-6)
            assert.near(0, (last:narrow(2, 2, 1) - alone_last):abs():max():item(), 1e-6)
            assert.near(0, (cut:narrow(1, 1, 1) - y:narrow(1, 1, 1)):abs():max():item(), 1e-6)
            assert.near(0, (last:narrow(2, 1, 1) - h:narrow(2, 1, 1)):abs():max():item(), 1e-6)
        end
    end)

    it("drop out between layers while training only", function()
        lx.manual_seed(3)
        for _, class in ipairs {nn.GRU, nn.LSTM} do
            local x = lx.randn(5, 3, 4)
            local net = class(4, 8, {num_layers = 2, dropout = 0.5})
            assert.is_true(((net(x)) - (net(x))):abs():max():item() > 0.01)
            net:eval()
            assert.equal(0, ((net(x)) - (net(x))):abs():max():item())
            net = class(4, 8, {dropout = 0.5})
            assert.equal(0, ((net(x)) - (net(x))):abs():max():item())
        end
    end)

    it("learn which sign came first", function()
        for _, class in ipairs {nn.GRU, nn.LSTM} do
            lx.manual_seed(5)
            local net, head = class(1, 8), nn.Linear(8, 1)
            local parameters = net:parameters()
            for _, one in ipairs(head:parameters()) do parameters[#parameters + 1] = one end
            local optimizer = lx.optim.Adam(parameters, {lr = 0.03})
            local x = lx.randn(7, 64, 1)
            local y = x:select(1, 1):gt(0):float()
            local first, last
            for _ = 1, 60 do
                optimizer:zero_grad()
                local loss = F.binary_cross_entropy_with_logits(head((select(2, net(x))):select(1, 1)), y)
                loss:backward()
                optimizer:step()
                first, last = first or loss:item(), loss:item()
            end
            assert.is_true(first > 0.6 and last < 0.25, first .. " to " .. last)
        end
    end)
end)

describe("attention", function()
    it("does not see what is masked", function()
        lx.manual_seed(4)
        local net = nn.MultiheadAttention(6, 2, {batch_first = true})
        local x = lx.randn(2, 5, 6)
        local padding = lx.tensor({{0, 0, 0, 0, 0}, {0, 0, 0, 1, 1}}, {dtype = "uint8"})
        local y, weights = net(x, x, x, {key_padding_mask = padding, need_weights = true})
        assert.same({2, 5, 5}, weights.shape)
        assert.near(0, (weights:sum(3) - 1):abs():max():item(), 1e-6)
        assert.equal(0, weights:narrow(1, 2, 1):narrow(3, 4, 2):abs():max():item())
        local other = x:clone()
        other[{2, {4, 5}}] = 9
        local z = net(other, other, other, {key_padding_mask = padding})
        assert.equal(0, (y:narrow(2, 1, 3) - z:narrow(2, 1, 3)):abs():max():item())
        -- a query that may see nothing has no answer
        padding = lx.ones({2, 5}, {dtype = "uint8"})
        y = net(x, x, x, {key_padding_mask = padding})
        assert.equal(2 * 5 * 6, y:isnan():float():sum():item())
    end)

    it("is the same in both orders, and for one tensor as for three", function()
        lx.manual_seed(4)
        local net = nn.MultiheadAttention(6, 3)
        local x = lx.randn(4, 2, 6)
        local y = net(x, x, x)
        assert.near(0, (y - net(x, x:clone(), x:clone())):abs():max():item(), 1e-6)
        net.batch_first = true
        assert.near(0, (y:transpose(1, 2) - net(x:transpose(1, 2), x:transpose(1, 2), x:transpose(1, 2))):abs():max()
            :item(), 1e-6)
    end)

    it("drops weights out while training only", function()
        local net = nn.TransformerEncoderLayer(8, 2, {dim_feedforward = 16})
        local x = lx.randn(5, 3, 8)
        assert.is_true((net(x) - net(x)):abs():max():item() > 0.01)
        net:eval()
        assert.equal(0, (net(x) - net(x)):abs():max():item())
    end)
end)

describe("layers of sequences", function()
    it("say what they cost", function()
        local function cost(net, shape) return net:multiply_adds(lx.zeros(shape)) end
        assert.equal(5 * 2 * (12 * 3 + 12 * 4), cost(nn.GRU(3, 4), {5, 2, 3}))
        assert.equal(5 * 2 * 2 * (16 * 3 + 16 * 4), cost(nn.LSTM(3, 4, {bidirectional = true}), {5, 2, 3}))
        -- projections of 10 positions, and for each of two sequences 5 × 5 scores and sums of 6 numbers
        local expected = 10 * 3 * 36 + 2 * 2 * 25 * 6
        assert.equal(expected, cost(nn.MultiheadAttention(6, 2), {5, 2, 6}))
        assert.equal(expected, cost(nn.MultiheadAttention(6, 3, {batch_first = true}), {2, 5, 6}))
    end)

    it("say what is wrong with what they get", function()
        local gru, lstm, attention = nn.GRU(3, 4), nn.LSTM(3, 4), nn.MultiheadAttention(6, 2)
        local layer, x = nn.TransformerEncoderLayer(6, 2), lx.rand(5, 2, 6)
        for message, f in pairs {
            ["input: expected float32 [L,N,3], got float32 [5,2,6]"] = function() gru(x) end,
            ["h: expected float32 [1,2,4], got float32 [1,2,3]"] = function()
                gru(lx.rand(5, 2, 3), lx.rand(1, 2, 3))
            end,
            ["lengths: expected one for each of 2 sequences"] = function()
                gru(lx.rand(5, 2, 3), nil, {lengths = {3}})
            end,
            ["lengths: expected whole numbers from 1 to 5, got 6 for sequence 2"] = function()
                gru(lx.rand(5, 2, 3), nil, {lengths = {5, 6}})
            end,
            ['lengths: expected whole numbers from 1 to 5, got "5" for sequence 1'] = function()
                gru(lx.rand(5, 2, 3), nil, {lengths = {"5", "4"}})
            end,
            ["key: expected at least one position, got float32 [0,2,6]"] = function()
                local key = lx.rand(0, 2, 6)
                attention(x, key, key)
            end,
            ["c: expected float32 [1,2,4]"] = function() lstm(lx.rand(5, 2, 3), nil, lx.rand(2, 4)) end,
            ["num_heads (4) should divide embed_dim (6)"] = function()
                nn.MultiheadAttention(6, 4)
            end,
            ["value: "] = function() attention(x, x, lx.rand(5, 2, 3)) end,
            ["value: expected the shape of key, [4,2,6], got [5,2,6]"] = function()
                attention(x, lx.rand(4, 2, 6), x)
            end,
            ["key: expected the batch of query, 2 sequences"] = function()
                local key = lx.rand(4, 3, 6)
                attention(x, key, key)
            end,
            ["key_padding_mask: expected [2,5], got uint8 [5,2]"] = function()
                attention(x, x, x, {key_padding_mask = lx.zeros({5, 2}, {dtype = "uint8"})})
            end,
            ["attn_mask: expected uint8 or float32, got 1"] = function()
                attention(x, x, x, {attn_mask = 1})
            end,
            ["options: unknown option 'mask'"] = function() layer(x, {mask = 1}) end,
            ["layer: "] = function() nn.TransformerEncoder(1, 2) end,
        } do
            local ok, why = pcall(f)
            assert.is_false(ok, message)
            assert.matches(message, why, 1, true)
        end
    end)
end)
