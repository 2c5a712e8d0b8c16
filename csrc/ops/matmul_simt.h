/* Matrix products on GPUs: which tile suits a shape, and running it. */
#ifndef LX_MATMUL_SIMT_H
#define LX_MATMUL_SIMT_H

#include "../../kernels/matmul.h"
#include "../tensor/tensor.h"

/* y[batch][rows][columns] = a b for operands of any strides, as in matmul_args, and what follows the product. */
typedef struct {
    long batch;
    matmul_args args;
    const lx_tensor *bias; /* NULL if there is none */
} lx_product;

/* Whether the kernels of the SIMT form can count that far. */
bool lx_matmul_simt_fits(const lx_product *product);

/* The product with bias and ReLU, in the way that was found best for such a one, or else is likely to be. */
lx_code lx_matmul_simt(const lx_product *product, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                       lx_error *error);

/* y = the sum of the chunks' products in `parts`, with bias and ReLU (in matmul.c). */
lx_code lx_matmul_finish(const lx_product *product, const lx_tensor *parts, lx_tensor *y, lx_error *error);

#endif
