/* Convolution on GPUs: which kernel of kernels/simt/conv2d.cl suits a problem, and running it. Tensors are blocked,
 * but the input may be plain where it has fewer channels than a block: then weights are packed with one channel in a
 * block. */
#ifndef LX_CONV2D_SIMT_H
#define LX_CONV2D_SIMT_H

#include "../../kernels/conv2d.h"
#include "../tensor/tensor.h"

/* out = x * packed + bias, as the tile form's arguments say: a forward pass, or backward-data as one. `problem`
 * names what is computed, for what was measured of it; bias may be NULL. */
lx_code lx_conv2d_simt(const char *problem, const conv2d_tile_args *pass, bool depthwise, long batch, double work,
                       lx_tensor *out, const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias,
                       lx_error *error);

/* The gradient of the weight, or of the bias (x is NULL), of which `reduce` says how it follows from the sums of
 * blocks. */
lx_code lx_conv2d_gradient_simt(const char *problem, const conv2d_weight_args *pass, const conv2d_reduce_args *reduce,
                                bool depthwise, long batch, double work, lx_tensor *gradient, const lx_tensor *x,
                                const lx_tensor *dy, lx_error *error);

#endif
