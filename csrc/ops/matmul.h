/* Matrix products. Inputs are plain, of any strides and dtype, and computed with as float32. `out` must be empty; it
 * is filled on success and stays empty on failure.
 */
#ifndef LX_MATMUL_H
#define LX_MATMUL_H

#include "../tensor/tensor.h"

/* [..., M, K] times [..., K, N], where the dimensions before the last two broadcast. A vector is a row as the left
 * operand and a column as the right one, and the result lacks that dimension. */
lx_code lx_matmul(lx_tensor *out, const lx_tensor *a, const lx_tensor *b, lx_error *error);

/* x [..., K] times the transpose of w [N, K], plus b [N] unless it is NULL, and with an activation of
 * kernels/activation.h. */
lx_code lx_linear(lx_tensor *out, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b, int activation,
                  lx_error *error);

#endif
