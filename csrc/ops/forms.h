/* What each form of devices (lx_form) computes in a way of its own: a table of functions for each, from tile/ and from
 * simt/. Operations check their arguments, make what both forms need, and call what the table of the device has. */
#ifndef LX_FORMS_H
#define LX_FORMS_H

#include "../../kernels/norm.h"
#include "convolution.h"
#include "product.h"
#include "reduce.h"

/* ---- convolution ----------------------------------------------------------------------------------------------- */

typedef struct {
    /* Where an input is read in the plain layout, its weights are packed with one channel in a block, not with all. */
    bool thin_by_channel;

    /* out = x * packed + bias, as the arguments say: a forward pass, or backward-data as one. `problem` names what is
     * computed, for what was measured of it; bias may be NULL. */
    lx_code (*convolve)(const lx_convolution *c, const char *problem, const conv2d_tile_args *args, lx_tensor *out,
                        const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error);
    /* The gradient of a weight or a bias, into what exists. */
    lx_code (*gradient)(const lx_conv2d_gradient *gradient, lx_error *error);

    /* Convolution, ReLU and max-pooling, and the three gradients: as one where there is a kernel for that, else in turn
     * (lx_conv2d_pool_in_turn, lx_conv2d_unpool_...). Results are empty before. */
    lx_code (*pool)(const lx_convolution *c, lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w,
                    const lx_tensor *b, const lx_conv2d_options *options, lx_error *error);
    lx_code (*unpool_data)(lx_conv2d_unpooling *job, lx_tensor *dx, lx_error *error);
    lx_code (*unpool_weight)(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error);
    lx_code (*unpool_bias)(lx_conv2d_unpooling *job, lx_tensor *db, lx_error *error);
} lx_conv2d_ops;

/* ---- matrix products ------------------------------------------------------------------------------------------- */

/* y = a b with bias and ReLU, where there is something to add up. */
typedef lx_code lx_multiply(const lx_product *product, const lx_tensor *a, const lx_tensor *b, lx_tensor *y,
                            lx_error *error);

/* ---- reductions: of a dense [outer][size][inner], as float32 ----------------------------------------------------- */

typedef struct {
    /* To a new [outer][inner]. */
    lx_code (*reduce)(lx_tensor *out, lx_reduction reduction, const lx_tensor *x, lx_axis axis, lx_error *error);
    /* Positions from 1 of the largest or smallest along size, as a new int32 [outer][inner]. */
    lx_code (*search)(lx_tensor *out, bool smallest, const lx_tensor *x, lx_axis axis, lx_error *error);
    /* The means of rows, into y, which exists. */
    lx_code (*row_means)(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error);
    long (*mean_chunk)(long size); /* elements whose sum one work-item of lx_valid_mean makes */
} lx_reduce_ops;

/* ---- normalisation per channel: of dense images, plain or blocked, into results that exist ------------------------
 */

typedef struct {
    /* Mean and variance of the channels of x. */
    lx_code (*stats)(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, const batch_norm_args *args, lx_error *error);
    /* weight, bias and addend count if args says so. */
    lx_code (*apply)(lx_tensor *y, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                     const lx_tensor *weight, const lx_tensor *bias, const lx_tensor *addend,
                     const batch_norm_args *args, lx_error *error);
    lx_code (*backward)(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy, const lx_tensor *x,
                        const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight, const lx_tensor *bias,
                        const batch_norm_args *args, lx_error *error);
} lx_batch_norm_ops;

/* ---- rows: softmax, and normalisation per row ---------------------------------------------------------------------
 */

/* An operation on rows of numbers: its kernel for each form. */
typedef struct {
    const char *name;
    const lx_kernel *kernels[LX_FORMS];
} lx_row_operation;

/* Runs it on `rows` of `size` numbers each, with `eps` if it wants one; its buffers are `tensors`. */
typedef lx_code lx_row_runner(const lx_row_operation *operation, long rows, long size, double eps, double work,
                              const lx_tensor *const *tensors, int count, lx_error *error);

/* ---- the tables -------------------------------------------------------------------------------------------------- */

typedef struct {
    const lx_conv2d_ops *conv2d;
    const lx_reduce_ops *reduce;
    const lx_batch_norm_ops *batch_norm;
    lx_multiply *multiply;
    lx_row_runner *run_rows;
} lx_form_ops;

extern const lx_conv2d_ops lx_conv2d_tile, lx_conv2d_simt;
extern const lx_reduce_ops lx_reduce_tile, lx_reduce_simt;
extern const lx_batch_norm_ops lx_batch_norm_tile, lx_batch_norm_simt;
lx_multiply lx_multiply_tile, lx_multiply_simt;
lx_row_runner lx_run_rows_tile, lx_run_rows_simt;

/* What computes on the device of a tensor. */
const lx_form_ops *lx_form_ops_of(const lx_tensor *tensor);

#endif
