/* Reductions over dimensions, positions of extremes, running sums. Inputs are plain (lx_reduce takes blocked ones too),
 * of any strides and dtype, and computed with as float32. `out` must be empty; it is filled on success and stays empty
 * on failure.
 */
#ifndef LX_REDUCE_H
#define LX_REDUCE_H

#include "../tensor/tensor.h"

/* A tensor seen from one dimension: [outer][size][inner]. */
typedef struct {
    long outer, size, inner;
} lx_axis;
lx_axis lx_axis_of(int ndim, const long *shape, int dim);

typedef enum { LX_SUM, LX_PROD, LX_MAX, LX_MIN, LX_REDUCTIONS } lx_reduction;

/* `name` is sum, prod, max or min; reduced[d] says whether dimension d is; `keep` leaves such a dimension with size
 * 1 instead of dropping it. */
lx_code lx_reduce(lx_tensor *out, const char *name, const lx_tensor *x, const bool *reduced, bool keep,
                  lx_error *error);

/* Whether lx_reduce takes a blocked x and gives a blocked result: channels are kept, and there are elements. */
bool lx_reduces_blocked(const lx_tensor *x, const bool *reduced, bool keep);

/* `name` is argmax or argmin: int32 positions from 1 in dimension `dim`, or in the row-major order of all elements if
 * it is -1. Among equals the first wins. */
lx_code lx_arg_reduce(lx_tensor *out, const char *name, const lx_tensor *x, int dim, bool keep, lx_error *error);

/* Running sums along a dimension; `reverse` runs from its end. */
lx_code lx_cumsum(lx_tensor *out, const lx_tensor *x, int dim, bool reverse, lx_error *error);

/* The mean of x over the elements whose `of` is not NaN, x being 0 at the others, and the reciprocal of their number,
 * as two 0-d tensors; 0 and 1 where there is none. */
lx_code lx_valid_mean(lx_tensor *mean, lx_tensor *share, const lx_tensor *x, const lx_tensor *of, lx_error *error);

/* The means of the rows of a dense x, into y, which exists. */
lx_code lx_row_means(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error);

#endif
