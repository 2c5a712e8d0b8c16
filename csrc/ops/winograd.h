/* Winograd's way to convolve in tile form, for kernels of 3x3 at stride 1: see kernels/winograd.cl. Tensors are blocked. */
#ifndef LX_WINOGRAD_H
#define LX_WINOGRAD_H

#include "../../kernels/conv2d.h"
#include "../tensor/tensor.h"

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

/* out = x * packed + bias, with ReLU if asked; bias may be NULL. `work` is that of the plain sums. */
lx_code lx_winograd(const lx_winograd_pass *pass, bool relu, double work, lx_tensor *out, const lx_tensor *x,
                    const lx_tensor *packed, const lx_tensor *bias, lx_error *error);

/* The gradient of the weight as one chunk for conv2d_reduce, [out block][in block][9][lanes of in][lanes of out]. */
lx_code lx_winograd_gradient(const lx_winograd_pass *pass, double work, lx_tensor *taps, const lx_tensor *x,
                             const lx_tensor *dy, lx_error *error);

#endif
