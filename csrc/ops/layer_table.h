/* Layers with kernels of their own whose functions need nothing but tensors and numbers. Each is a file of
 * csrc/ops/layers/, NAME.c, that ends with its row, lx_layer_NAME: the Makefile finds it, and the binding, the pair
 * forward/backward of autograd (luxel.nn.ops.NAME) and its place on the tape follow. */
#ifndef LX_LAYER_TABLE_H
#define LX_LAYER_TABLE_H

#include "ops.h"

enum { LX_LAYER_TENSORS = 4, LX_LAYER_NUMBERS = 8 }; /* at most, of inputs and what is saved together; of numbers */

typedef struct {
    const char *name;
    int inputs, saved,
        numbers; /* tensors it takes; results after the first one, which backward gets; numbers it takes */

    /* results[0], then what is saved: empty, filled on success and empty on failure. Inputs are plain, of any strides.
     */
    lx_code (*forward)(lx_tensor *const *results, const lx_tensor *const *inputs, const double *numbers,
                       lx_error *error);

    /* The gradients of the inputs, those that are NULL left out; `inputs` are those of forward and what it saved. */
    lx_code (*backward)(lx_tensor *const *gradients, const lx_tensor *dy, const lx_tensor *const *inputs,
                        const double *numbers, lx_error *error);
} lx_layer;

/* All of them; NULL after the last one. */
extern const lx_layer *const lx_layers[];

#endif
