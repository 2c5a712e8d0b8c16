--- `luxel bench`: how fast a network trains and answers on this machine.
--
-- Figures beside other libraries need those: `make bench` in the source tree.

local core = require "luxel.core"
local lx = require "luxel"
local options = require "luxel.command.options"

local bench = {summary = "How fast a network trains and answers here."}

--- Adds the options of the command.
function bench.options(parser)
    parser:option("--model", "Network.", "cnn"):choices(lx.models.names("classifier"))
    options.add_size(parser, "Side of the images in pixels.", 224)
    options.add_number(parser, "--batch", "Images in one step.", 32, 1, 4096, true)
    options.add_number(parser, "--turns", "Measurements, of which the median counts.", 5, 1, 1000, true)
    options.add_device(parser)
end

local function median(list)
    table.sort(list)
    local half = #list // 2
    return #list % 2 == 1 and list[half + 1] or (list[half] + list[half + 1]) / 2
end

-- Seconds of a step, after one that compiles and finds its memory; and how far the turns lie apart.
local function time(step, turns)
    local seconds = {}
    for turn = 0, turns do
        local started = core.now()
        step()
        if turn > 0 then seconds[turn] = core.now() - started end
    end
    return median(seconds), seconds[1], seconds[#seconds]
end

local function row(name, batch, middle, least, most)
    print(("%-20s %9.1f images/s   %8.2f ms a batch of %d  [%.2f, %.2f]"):format(name, batch / middle, 1000 * middle,
        batch, 1000 * least, 1000 * most))
end

--- Runs the command.
---@param args table the options
function bench.run(args)
    options.check_size(args)
    local device, words = options.device(args.device)
    lx.manual_seed(1)
    local net = lx.models.build(args.model, {size = args.size}):to(device)
    local fused = lx.nn.fuse(net)
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = 1e-4})
    local x = lx.randn({args.batch, 1, args.size, args.size}, {device = device})
    local y = lx.zeros({args.batch, 1}, {device = device})
    print(("%s of %d×%d pixels on %s; medians of %d turns, in brackets the fastest and the slowest"):format(args.model,
        args.size, args.size, words, args.turns))
    local gradients = lx.compile(function(images, labels)
        optimizer:zero_grad()
        local loss = lx.nn.functional.binary_cross_entropy_with_logits(fused(images), labels)
        loss:backward()
        return loss
    end, {name = "bench"})
    row("training step", args.batch, time(function()
        gradients(x, y):item()
        optimizer:step()
        lx.synchronize(device)
    end, args.turns))
    net:eval()
    local forward = lx.compile(fused, {name = "bench"})
    lx.no_grad(function()
        row("inference", args.batch, time(function() forward(x):sum():item() end, args.turns))
        local one = x:narrow(1, 1, 1):contiguous()
        row("inference of one", 1, time(function() forward(one):sum():item() end, args.turns))
    end)
    print(("peak memory          %9.1f MiB"):format(lx.memory(device).peak / 2 ^ 20))
end

return bench
