--- A kernel of your own with a gradient: the activation y = x · sigmoid(βx) ("Swish", Ramachandran et al. 2017), whose
-- slope β is learnt, written in OpenCL C, checked against finite differences, and trained inside a network.
--
--     lua5.4 examples/own_kernel.lua

local lx = require "luxel"
local nn, F = lx.nn, lx.nn.functional

local found, why <const> = lx.device("opencl")
if not found then
    print("no OpenCL device: " .. why)
    os.exit(0)
end
local device <const> = found.label

-- ---- the kernels --------------------------------------------------------------------------------------------------

-- One text may hold several kernels. A work-item computes one element. What a kernel only reads it declares const.
local SOURCE <const> = [[
static inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

__kernel void swish(__global const float *x, __global const float *beta, __global float *y)
{
    const size_t i = get_global_id(0);
    y[i] = x[i] * sigmoid(beta[0] * x[i]);
}

/* dy/dx = s + βx s (1 - s) and dy/dβ = x² s (1 - s), with s = sigmoid(βx), each times the gradient of y. */
__kernel void swish_backward(__global const float *x, __global const float *beta, __global const float *dy,
                             __global float *dx, __global float *dbeta)
{
    const size_t i = get_global_id(0);
    const float s = sigmoid(beta[0] * x[i]), slope = s * (1.0f - s);
    dx[i] = dy[i] * (s + beta[0] * x[i] * slope);
    dbeta[i] = dy[i] * x[i] * x[i] * slope;
}
]]

local forward = lx.opencl.kernel {name = "swish", source = SOURCE}
local backward = lx.opencl.kernel {name = "swish_backward", source = SOURCE}

-- ---- the pair: a differentiable function --------------------------------------------------------------------------

-- Kernels cannot take every view: `dense` copies those that they cannot. β is one number for all elements: its gradient
-- is the sum of theirs.
local swish = lx.autograd.define("swish", {
    forward = function(ctx, x, beta)
        x = lx.opencl.dense(x)
        ctx.x, ctx.beta = x, beta
        local y = lx.empty(x.shape, {device = x.device})
        forward({global = x:numel()}, x, beta, y)
        return y
    end,
    backward = function(ctx, grad)
        local x, beta = ctx.x, ctx.beta
        local dx, dbeta = lx.empty(x.shape, {device = x.device}), lx.empty(x.shape, {device = x.device})
        backward({global = x:numel()}, x, beta, lx.opencl.dense(grad), dx, dbeta)
        return dx, dbeta:sum():view(beta.shape)
    end,
})

-- ---- is the gradient right? ---------------------------------------------------------------------------------------

-- The largest difference between the gradient of sum(w · swish(x, β)) and (f(v + h) - f(v - h)) / 2h, for x and for β.
local function largest_difference()
    lx.manual_seed(1)
    local x = lx.randn(3, 5, {device = device, requires_grad = true})
    local beta = lx.tensor({1.5}, {device = device, requires_grad = true})
    local w = lx.randn(3, 5, {device = device})
    local function f() return (swish(x, beta) * w):sum() end
    f():backward()
    local h <const>, worst = 1e-2, 0
    for _, tensor in ipairs {x, beta} do
        local values, gradients = tensor:view(-1), tensor.grad:view(-1)
        for i = 1, tensor:numel() do
            local numeric = lx.no_grad(function()
                local value = values[i]
                values[i] = value + h
                local above = f():item()
                values[i] = value - h
                local below = f():item()
                values[i] = value
                return (above - below) / (2 * h)
            end)
            worst = math.max(worst, math.abs(numeric - gradients[i]))
        end
    end
    return worst
end

local worst <const> = largest_difference()
print(("%s (%s)"):format(found.name, device))
print(("the gradient differs from finite differences by at most %.1e"):format(worst))
assert(worst < 1e-3, "the gradient is wrong")

-- ---- in a network -------------------------------------------------------------------------------------------------

-- Two rings of points, told apart by a small network with the activation between its layers.
lx.manual_seed(2)
local angle = lx.rand(256, {device = device}) * (2 * math.pi)
local inside = (lx.rand(256, {device = device}):gt(0.5)):float()
local radius = 2 - inside + lx.randn(256, {device = device}) * 0.1
local points = lx.stack({angle:cos() * radius, angle:sin() * radius}, 2)
local labels = inside:view(256, 1)

local first, last = nn.Linear(2, 16):to(device), nn.Linear(16, 1):to(device)
local beta = lx.ones(1, {device = device, requires_grad = true})
local parameters = first:parameters()
for _, parameter in ipairs(last:parameters()) do parameters[#parameters + 1] = parameter end
parameters[#parameters + 1] = beta
local optimizer = lx.optim.AdamW(parameters, {lr = 0.02})

for step = 1, 200 do
    optimizer:zero_grad()
    local loss = F.binary_cross_entropy_with_logits(last(swish(first(points), beta)), labels)
    loss:backward()
    optimizer:step()
    if step % 50 == 0 then print(("step %3d  loss %.4f  beta %.3f"):format(step, loss:item(), beta:item())) end
end
