/* Reductions on GPUs, by work-groups. Inputs are dense float32; `out` must be empty, and stays so on failure. */
#ifndef LX_REDUCE_SIMT_H
#define LX_REDUCE_SIMT_H

#include "reduce.h"

/* x seen as [outer][size][inner] to [outer][inner]; `name` is sum, prod, max or min. */
lx_code lx_reduce_simt(lx_tensor *out, const char *name, const lx_tensor *x, lx_axis axis, lx_error *error);

/* The means of rows, into y, which exists. */
lx_code lx_row_means_simt(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error);

/* Positions from 1 of the extremes along size; `name` is argmax or argmin. */
lx_code lx_arg_reduce_simt(lx_tensor *out, const char *name, const lx_tensor *x, lx_axis axis, lx_error *error);

#endif
