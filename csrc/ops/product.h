/* A matrix product whose operands are checked: what each form of devices (forms.h) has to compute. */
#ifndef LX_PRODUCT_H
#define LX_PRODUCT_H

#include "../../kernels/matmul.h"
#include "../tensor/tensor.h"

/* y[batch][rows][columns] = a b for operands of any strides, as in matmul_args, and what follows the product. */
typedef struct {
    long batch;
    matmul_args args;
    const lx_tensor *bias; /* NULL if there is none */
} lx_product;

/* Arithmetic operations. */
double lx_product_work(const lx_product *product);

/* y = the sum of the chunks' products in `parts`, with bias and ReLU. */
lx_code lx_matmul_finish(const lx_product *product, const lx_tensor *parts, lx_tensor *y, lx_error *error);

#endif
