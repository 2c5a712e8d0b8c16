/* Winograd's way to convolve in tile form, for kernels of 3x3 at stride 1: see kernels/winograd.cl. Tensors are
 * blocked. */
#ifndef LX_WINOGRAD_TILE_H
#define LX_WINOGRAD_TILE_H

#include "../../../kernels/activation.h"
#include "../../../kernels/conv2d.h"
#include "../../tensor/tensor.h"

/* A convolution of the whole batch; from the input's point of view, so that `out` is what is summed over in
 * backward-weight. */
typedef struct {
    const conv2d_geometry *g;
    long batch;
    int in_blocks, out_blocks;
} lx_winograd_pass;

/* Whether a convolution without groups can be computed so on the device, forward, and its gradient for the weight. */
bool lx_winograd_fits(const lx_winograd_pass *pass, const lx_device *device);
bool lx_winograd_gradient_fits(const lx_winograd_pass *pass, const lx_device *device);

/* Whether that is likely to be faster, where nothing was measured. */
bool lx_winograd_pays(const lx_winograd_pass *pass);

/* What a convolution is computed from; bias may be NULL. With codes, x is the gradient of what max-pooling made of a
 * tensor, as in kernels/window.h, and stands for the gradient of that. `work` is that of the plain sums. */
typedef struct {
    const lx_tensor *x, *codes, *packed, *bias;
    double work;
} lx_winograd_operands;

/* out = x * packed + bias, with an activation of kernels/activation.h. */
lx_code lx_winograd(const lx_winograd_pass *pass, const lx_winograd_operands *from, int activation, lx_tensor *out,
                    lx_error *error);
/* The same with ReLU and max-pooling of windows of 2x2, and the codes of what was chosen. */
lx_code lx_winograd_pool(const lx_winograd_pass *pass, const lx_winograd_operands *from, lx_tensor *out,
                         lx_tensor *codes, lx_error *error);

/* The gradient of the weight as one chunk for conv2d_reduce, [out block][in block][9][lanes of in][lanes of out]. With
 * codes, dy is the gradient of what max-pooling made of the output. */
lx_code lx_winograd_gradient(const lx_winograd_pass *pass, double work, lx_tensor *taps, const lx_tensor *x,
                             const lx_tensor *dy, const lx_tensor *codes, lx_error *error);

#endif
