/* Optimiser steps. */
#include "../../kernels/optim.h"

#include <math.h>

#include "nn.h"

LX_KERNEL(optim, sgd);
LX_KERNEL(optim, sgd_momentum);
LX_KERNEL(optim, adam);
LX_KERNEL(optim, rmsprop);
LX_KERNEL(optim, rmsprop_momentum);

enum { MAX_STATE = 3 }; /* gradient and up to two buffers */

/* All that a step touches has the parameter's shape; what it writes is dense. */
static lx_code check(const char *name, const lx_tensor *weight, const lx_tensor *const *others, int count,
                     lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    if (weight->dtype != LX_FLOAT32 || !lx_tensor_dense(weight))
        return lx_fail(error, LX_EARG, "%s: a parameter must be float32 and contiguous", name);
    for (int i = 0; i < count; i++) {
        if (lx_same_device(name, weight, others[i], error))
            return error->code;
        if (others[i]->dtype != LX_FLOAT32 || !lx_same_shape(weight, others[i]))
            return lx_fail(error, LX_EARG, "%s: the parameter is float32 %s, its %s is %s %s", name,
                           lx_shape_text(weight->ndim, weight->shape, left), i ? "state" : "gradient",
                           lx_dtype_name(others[i]->dtype), lx_shape_text(others[i]->ndim, others[i]->shape, right));
        if (i > 0 && !lx_tensor_dense(others[i]))
            return lx_fail(error, LX_EARG, "%s: the state of a parameter must be contiguous", name);
    }
    return LX_OK;
}

/* Runs a step: the kernel's buffers are the parameter, its gradient, and the state. */
static lx_code run_step(const char *name, const lx_kernel *kernel, const void *args, size_t size, lx_tensor *weight,
                        const lx_tensor *gradient, lx_tensor *state1, lx_tensor *state2, lx_error *error)
{
    const lx_tensor *others[MAX_STATE] = {gradient, state1, state2};
    const int count = state2 ? 3 : state1 ? 2 : 1;
    lx_tensor dense = {0};
    if (check(name, weight, others, count, error) || lx_contiguous(&dense, gradient, error))
        return error->code;
    const lx_tensor *operands[] = {weight, &dense, state1, state2};
    const long elements = lx_tensor_count(weight);
    lx_run(kernel, NULL, (const long[3]){elements, 1, 1}, (double)elements * 4, args, size, operands, count + 1, error);
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_sgd_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *buffer, const lx_sgd_options *options,
                    lx_error *error)
{
    const sgd_args args = {(float)options->rate,         (float)options->momentum, (float)options->dampening,
                           (float)options->weight_decay, options->nesterov,        options->first};
    return run_step("sgd", buffer ? &k_sgd_momentum : &k_sgd, &args, sizeof args, weight, gradient, buffer, NULL,
                    error);
}

lx_code lx_adam_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *mean, lx_tensor *square,
                     const lx_adam_options *options, lx_error *error)
{
    const double step = (double)options->step;
    const adam_args args = {
        .rate = (float)options->rate,
        .beta1 = (float)options->beta1,
        .beta2 = (float)options->beta2,
        .rest1 = (float)(1 - options->beta1),
        .rest2 = (float)(1 - options->beta2),
        .epsilon = (float)options->epsilon,
        .weight_decay = (float)options->weight_decay,
        .correction1 = (float)(1 - pow(options->beta1, step)),
        .correction2 = (float)sqrt(1 - pow(options->beta2, step)),
        .decoupled = options->decoupled,
    };
    return run_step("adam", &k_adam, &args, sizeof args, weight, gradient, mean, square, error);
}

lx_code lx_rmsprop_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *square, lx_tensor *buffer,
                        const lx_rmsprop_options *options, lx_error *error)
{
    const rmsprop_args args = {.rate = (float)options->rate,
                               .alpha = (float)options->alpha,
                               .rest = (float)(1 - options->alpha),
                               .epsilon = (float)options->epsilon,
                               .weight_decay = (float)options->weight_decay,
                               .momentum = (float)options->momentum};
    return run_step("rmsprop", buffer ? &k_rmsprop_momentum : &k_rmsprop, &args, sizeof args, weight, gradient, square,
                    buffer, error);
}
