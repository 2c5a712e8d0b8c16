/* One optimiser step on one parameter, in one pass over memory. The rules are PyTorch's. */
#include "luxel.h"
#include "optim.h"

KERNEL2(sgd, sgd_args, GLOBAL float *, weight, GLOBAL const float *, gradient)
{
    weight[id0] -= p.rate * (gradient[id0] + p.weight_decay * weight[id0]);
}

KERNEL3(sgd_momentum, sgd_args, GLOBAL float *, weight, GLOBAL const float *, gradient, GLOBAL float *, buffer)
{
    const float g = gradient[id0] + p.weight_decay * weight[id0];
    const float m = p.first ? g : p.momentum * buffer[id0] + (1.0f - p.dampening) * g;
    buffer[id0] = m;
    weight[id0] -= p.rate * (p.nesterov ? g + p.momentum * m : m);
}

/* Kingma and Ba 2015; decoupled decay: Loshchilov and Hutter 2019. */
KERNEL4(adam, adam_args, GLOBAL float *, weight, GLOBAL const float *, gradient, GLOBAL float *, mean,
        GLOBAL float *, square)
{
    const float w = p.decoupled ? weight[id0] * (1.0f - p.rate * p.weight_decay) : weight[id0];
    const float g = p.decoupled ? gradient[id0] : gradient[id0] + p.weight_decay * weight[id0];
    const float m = p.beta1 * mean[id0] + p.rest1 * g;
    const float v = p.beta2 * square[id0] + p.rest2 * g * g;
    mean[id0] = m;
    square[id0] = v;
    weight[id0] = w - p.rate / p.correction1 * m / (sqrt(v) / p.correction2 + p.epsilon);
}

KERNEL3(rmsprop, rmsprop_args, GLOBAL float *, weight, GLOBAL const float *, gradient, GLOBAL float *, square)
{
    const float g = gradient[id0] + p.weight_decay * weight[id0];
    const float v = p.alpha * square[id0] + p.rest * g * g;
    square[id0] = v;
    weight[id0] -= p.rate * g / (sqrt(v) + p.epsilon);
}

KERNEL4(rmsprop_momentum, rmsprop_args, GLOBAL float *, weight, GLOBAL const float *, gradient, GLOBAL float *, square,
        GLOBAL float *, buffer)
{
    const float g = gradient[id0] + p.weight_decay * weight[id0];
    const float v = p.alpha * square[id0] + p.rest * g * g;
    const float m = p.momentum * buffer[id0] + g / (sqrt(v) + p.epsilon);
    square[id0] = v;
    buffer[id0] = m;
    weight[id0] -= p.rate * m;
}
