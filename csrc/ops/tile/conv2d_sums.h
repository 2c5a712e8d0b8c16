/* Gradients of weights and biases in tile form, and what the variants of convolution share with Winograd's. */
#ifndef LX_CONV2D_SUMS_H
#define LX_CONV2D_SUMS_H

#include "../convolution.h"
#include "winograd_tile.h"

/* A kernel of which `blocks` work-items leave the sums of a chunk. */
typedef struct {
    const lx_kernel *kernel;
    conv2d_weight_args *args;
    conv2d_reduce_args *reduce;
    long blocks;
    double work;
} lx_conv2d_sum;

/* Runs it on x, dy and codes, as far as they are there, and adds up the chunks into dw. */
lx_code lx_conv2d_sum_chunks(const lx_conv2d_sum *sum, const lx_tensor *x, const lx_tensor *dy, const lx_tensor *codes,
                             lx_tensor *dw, lx_error *error);

/* ---- Winograd's way ------------------------------------------------------------------------------------------- */

lx_winograd_pass lx_conv2d_as_winograd(const conv2d_tile_args *args, long batch);
/* dw of blocked tensors; with codes, dy is the gradient of what max-pooling made of the output. */
lx_code lx_conv2d_winograd_weight(const lx_convolution *c, lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy,
                                  const lx_tensor *codes, lx_error *error);

#endif
