/* Sorting. */
#ifndef LX_SORT_H
#define LX_SORT_H

#include "../tensor/tensor.h"

/* x, plain, of any strides and dtype, sorted along a dimension as float32: stable, NaN greater than all numbers.
 * `places` (int32) says from which position, from 1, each value comes. Both outputs must be empty; they are filled
 * on success and stay empty on failure. */
lx_code lx_sort(lx_tensor *values, lx_tensor *places, const lx_tensor *x, int dim, bool descending, lx_error *error);

#endif
