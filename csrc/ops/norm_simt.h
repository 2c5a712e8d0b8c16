/* Normalisation and softmax on GPUs, by work-groups: what norm.c and softmax.c do once their arguments are checked.
 * Inputs are dense float32, images plain or blocked; results exist already. */
#ifndef LX_NORM_SIMT_H
#define LX_NORM_SIMT_H

#include "../../kernels/norm.h"
#include "../tensor/tensor.h"

/* Mean and variance of the channels of x. */
lx_code lx_batch_norm_stats_simt(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, const batch_norm_args *args,
                                 lx_error *error);

/* weight and bias count if args says so. */
lx_code lx_batch_norm_simt(lx_tensor *y, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                           const lx_tensor *weight, const lx_tensor *bias, const batch_norm_args *args,
                           lx_error *error);
lx_code lx_batch_norm_backward_simt(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy,
                                    const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                                    const lx_tensor *weight, const batch_norm_args *args, lx_error *error);

/* A kernel of kernels/simt/ on rows of `size` numbers, its buffers in `tensors`. */
lx_code lx_run_rows_simt(const lx_kernel *kernel, long rows, long size, double eps, double work,
                         const lx_tensor *const *tensors, int count, lx_error *error);

#endif
