/* What layers are made of besides convolution: normalisation, softmax, table look-up, mean-pooling and resizing.
 *
 * Inputs are in the plain layout, of any strides; batch_norm, mean-pooling and resizing to the nearest pixel take
 * blocked images too, and their results then are blocked. They compute in float32 and results are dense. `out` and the
 * gradients must be empty; they are filled on success and stay empty on failure.
 */
#ifndef LX_LAYERS_H
#define LX_LAYERS_H

#include "../tensor/tensor.h"

/* ---- normalisation ------------------------------------------------------------------------------------------- */

/* x [N,C,...]: mean and (biased) variance [C] over all but the channels. */
lx_code lx_batch_norm_stats(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, lx_error *error);
/* out = (x - mean) / sqrt(var + eps) weight + bias + addend, activated (kernels/activation.h); weight and bias are [C]
 * or NULL, addend of the shape of x or NULL. Activated or with an addend the result is blocked. */
lx_code lx_batch_norm(lx_tensor *out, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                      const lx_tensor *weight, const lx_tensor *bias, const lx_tensor *addend, double eps,
                      int activation, lx_error *error);
/* training: mean and var are those of x, and depend on it. */
lx_code lx_batch_norm_backward(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy,
                               const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight,
                               const lx_tensor *bias, double eps, int activation, bool training, lx_error *error);

/* x [R,D]: out = (x - mean) rstd, with mean and rstd = 1 / sqrt(var + eps) [R] of each row. */
lx_code lx_row_norm(lx_tensor *out, lx_tensor *mean, lx_tensor *rstd, const lx_tensor *x, double eps, lx_error *error);
lx_code lx_row_norm_backward(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *y, const lx_tensor *rstd,
                             lx_error *error);

/* ---- softmax: over the last dimension ------------------------------------------------------------------------ */

lx_code lx_softmax(lx_tensor *out, const lx_tensor *x, lx_error *error);
lx_code lx_log_softmax(lx_tensor *out, const lx_tensor *x, lx_error *error);
/* y is what the forward gave. */
lx_code lx_softmax_backward(lx_tensor *dx, const lx_tensor *y, const lx_tensor *dy, lx_error *error);
lx_code lx_log_softmax_backward(lx_tensor *dx, const lx_tensor *y, const lx_tensor *dy, lx_error *error);

/* ---- mean-pooling: x [N,C,H,W] -------------------------------------------------------------------------------- */

typedef struct {
    int kernel[2], stride[2], padding[2]; /* of height, width */
    bool count_include_pad;               /* the padding counts as zeros */
} lx_avg_pool2d_options;

lx_code lx_avg_pool2d(lx_tensor *out, const lx_tensor *x, const lx_avg_pool2d_options *options, lx_error *error);
lx_code lx_avg_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const long input_shape[4],
                               const lx_avg_pool2d_options *options, lx_error *error);

/* size: height and width of the result. */
lx_code lx_adaptive_avg_pool2d(lx_tensor *out, const lx_tensor *x, const long size[2], lx_error *error);
/* blocked: dx is to be, whichever layout dy has. */
lx_code lx_adaptive_avg_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const long input_shape[4], bool blocked,
                                        lx_error *error);

/* ---- resizing: x [N,C,H,W]; size is the height and width of the result, or of the input in a backward ----------- */

typedef enum { LX_NEAREST, LX_BILINEAR, LX_BILINEAR_CORNERS } lx_upsampling;

lx_code lx_upsample2d(lx_tensor *out, const lx_tensor *x, const long size[2], lx_upsampling how, lx_error *error);
lx_code lx_upsample2d_backward(lx_tensor *dx, const lx_tensor *dy, const long size[2], lx_upsampling how,
                               lx_error *error);

#endif
