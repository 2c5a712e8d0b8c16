/* Convolution, its gradients, and the change of layout that they are fastest in.
 *
 * Inputs are float32 [N,C,H,W], plain or blocked; weights are [Co, Ci / groups, KH, KW]. `out` must be
 * empty; it is filled on success and stays empty on failure.
 */
#ifndef LX_CONV2D_H
#define LX_CONV2D_H

#include "../../kernels/activation.h"
#include "../tensor/tensor.h"

typedef struct {
    int stride[2], padding[2], dilation[2], groups; /* of height, width */
    int activation;                                 /* forward: of the result, one of kernels/activation.h */
} lx_conv2d_options;

/* [N,C,H,W] in the blocked layout, or in the plain one; shares the storage if it is already. */
lx_code lx_to_blocked(lx_tensor *out, const lx_tensor *in, lx_error *error);
lx_code lx_to_plain(lx_tensor *out, const lx_tensor *in, lx_error *error);

/* out (blocked) = x * w + b; b is [Co] or NULL. */
lx_code lx_conv2d(lx_tensor *out, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                  const lx_conv2d_options *options, lx_error *error);
/* dx (blocked) of the shape that the input had. */
lx_code lx_conv2d_backward_data(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *w, const long input_shape[4],
                                const lx_conv2d_options *options, lx_error *error);
/* dw (plain, dense) of the shape that the weight has. */
lx_code lx_conv2d_backward_weight(lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy, const long weight_shape[4],
                                  const lx_conv2d_options *options, lx_error *error);
/* db [Co]: the sum of dy over all but the channels. */
lx_code lx_conv2d_backward_bias(lx_tensor *db, const lx_tensor *dy, lx_error *error);

/* ---- with ReLU and max-pooling of windows of 2x2 ------------------------------------------------------------------
 */

/* out (blocked) is pooled; codes (bytes, to be given back to backward) say which pixel each came from, or that ReLU
 * passes no gradient. options->activation does not matter. */
lx_code lx_conv2d_pool(lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                       const lx_conv2d_options *options, lx_error *error);
/* The gradients of x, w and b from that of out; those that are NULL are left out. */
lx_code lx_conv2d_pool_backward(lx_tensor *dx, lx_tensor *dw, lx_tensor *db, const lx_tensor *x, const lx_tensor *w,
                                const lx_tensor *dy, const lx_tensor *codes, const lx_conv2d_options *options,
                                lx_error *error);

#endif
