--- Single convolutions of layers.json: forward, and the gradients of the data and of the weights.

local cjson = require "cjson"
local core = require "luxel.core"
local lx = require "luxel"

local function read_json(path)
    local file = assert(io.open(path))
    local text = file:read("a")
    file:close()
    return cjson.decode(text)
end

local function layer_name(cin, cout, kernel, side, stride, groups)
    return ("%d→%d %d×%d at %d%s%s"):format(cin, cout, kernel, kernel, side,
        stride > 1 and ", stride " .. stride or "", groups > 1 and ", groups " .. groups or "")
end

local function time_layer(bench, batch, layer)
    for i, number in ipairs(layer) do layer[i] = math.tointeger(number) end
    local cin, cout, kernel, side, stride, groups = table.unpack(layer)
    local name = layer_name(cin, cout, kernel, side, stride, groups)
    local options = {padding = kernel // 2, stride = stride, groups = groups}
    local w = lx.randn(cout, cin // groups, kernel, kernel):to(bench.device)
    -- what a layer inside a network sees: the layout that the layer before left
    local x = lx.randn(batch, cin, side, side):to(bench.device)
    if cin > 3 then x = core.conv2d(x, lx.ones(cin, 1, 1, 1):to(bench.device), nil, {groups = cin}) end
    local dy = core.conv2d(x, w, nil, options)
    local out = dy.shape[3]
    local gflop = 2e-9 * batch * cout * (cin // groups) * kernel * kernel * out * out
    local bytes = 4 * (x:numel() + w:numel() + dy:numel())
    local shapes = {x = x.shape, w = w.shape}
    local function add(direction, f)
        bench.results[name .. " " .. direction] = {
            gflop = gflop, bytes = bytes, seconds = bench.time(function() core.free(f()) end, 7),
        }
    end
    add("forward", function() return core.conv2d(x, w, nil, options) end)
    if cin > 3 then -- nobody asks for the gradient of an image
        add("backward data", function() return core.conv2d_backward_data(dy, w, shapes.x, options) end)
    end
    add("backward weight", function() return core.conv2d_backward_weight(x, dy, shapes.w, options) end)
end

local layers = {}

for _, list in ipairs {"cnn", "resnet_layers"} do
    layers[list] = function(bench)
        local file = read_json(bench.here .. "layers.json")
        for _, layer in ipairs(file[list]) do time_layer(bench, math.tointeger(file.batch), layer) end
    end
end

return layers
