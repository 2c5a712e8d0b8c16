/* Operations that networks and their training are made of, besides convolution (conv2d.h). The conventions are those of
 * ops.h. */
#ifndef LX_NN_H
#define LX_NN_H

#include "ops.h"

/* ---- max-pooling: of [N,C,H,W], plain or blocked; results are blocked ----------------------------------------- */

typedef struct {
    int kernel[2], stride[2], padding[2];
    bool ceil; /* a last window may reach over the end of the image */
} lx_pool_options;

/* `chosen` (bytes, to be given back to backward) notes which position of its window each element came from. */
lx_code lx_max_pool2d(lx_tensor *out, lx_tensor *chosen, const lx_tensor *x, const lx_pool_options *options,
                      lx_error *error);
lx_code lx_max_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *chosen, const long shape[4],
                               const lx_pool_options *options, lx_error *error);

/* ---- random numbers: a function of (seed, stream, element) alone --------------------------------------------- */

lx_code lx_rand(lx_tensor *out, lx_device *device, int ndim, const long *shape, lx_stream stream, lx_error *error);
lx_code lx_randn(lx_tensor *out, lx_device *device, int ndim, const long *shape, lx_stream stream, lx_error *error);
/* int32 from low up to but without high */
lx_code lx_randint(lx_tensor *out, lx_device *device, long low, long high, int ndim, const long *shape,
                   lx_stream stream, lx_error *error);
/* What all of these draw from, for tests: Philox 4×32-10 of a key and a counter. */
void lx_philox(unsigned words[4], unsigned long key, unsigned long low, unsigned long high);
/* x / (1 - p) where kept, else 0. The same call on a gradient keeps the same elements, in either layout. */
lx_code lx_dropout(lx_tensor *out, const lx_tensor *x, double p, lx_stream stream, lx_error *error);

/* ---- losses: elementwise; a target that is NaN counts as missing, and gives 0 -------------------------------- */

/* `weights` (of positives, along the last dimension) may be NULL; then `weight` is used. */
lx_code lx_bce_with_logits(lx_tensor *out, const lx_tensor *x, const lx_tensor *target, const lx_tensor *weights,
                           double weight, lx_error *error);
lx_code lx_bce_with_logits_backward(lx_tensor *out, const lx_tensor *x, const lx_tensor *target,
                                    const lx_tensor *weights, double weight, lx_error *error);

/* ---- optimiser steps, in place -------------------------------------------------------------------------------- */

typedef struct {
    double rate, momentum, dampening, weight_decay;
    bool nesterov, first;
} lx_sgd_options;
typedef struct {
    double rate, beta1, beta2, epsilon, weight_decay;
    bool decoupled;
    long step; /* from 1 */
} lx_adam_options;
typedef struct {
    double rate, alpha, epsilon, weight_decay, momentum;
} lx_rmsprop_options;

/* `buffer` may be NULL where there is no momentum. */
lx_code lx_sgd_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *buffer, const lx_sgd_options *options,
                    lx_error *error);
lx_code lx_adam_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *mean, lx_tensor *square,
                     const lx_adam_options *options, lx_error *error);
lx_code lx_rmsprop_step(lx_tensor *weight, const lx_tensor *gradient, lx_tensor *square, lx_tensor *buffer,
                        const lx_rmsprop_options *options, lx_error *error);

#endif
