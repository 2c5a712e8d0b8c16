/* What all ways to convolve begin with: checks, the size of the output, packed weights. */
#ifndef LX_CONVOLUTION_H
#define LX_CONVOLUTION_H

#include <stdbool.h>

#include "../../kernels/conv2d.h"
#include "../base/count.h"
#include "conv2d.h"

enum { LX_CONV2D_LARGEST = 1 << 28 }; /* of sizes, strides and paddings, so that kernels may add a few of them */

/* A checked convolution, whichever way it is then run. */
typedef struct {
    const char *function;
    long batch, in_channels, out_channels, groups; /* channels in all */
    long merged; /* groups that are computed as one, so that a group is whole blocks, or all there is */
    bool depthwise;
    conv2d_geometry g;
} lx_convolution;

lx_code lx_conv2d_check_tensor(const char *function, const char *what, const lx_tensor *t, lx_error *error);

/* Checks the shapes of a forward convolution and works out the size of its output. */
lx_code lx_conv2d_check_shapes(lx_convolution *c, const char *function, const lx_device *device, const long in[4],
                               const long w[4], const lx_conv2d_options *o, lx_error *error);
/* The same and more: all that a forward pass is given; b may be NULL. */
lx_code lx_conv2d_check(lx_convolution *c, const char *function, const lx_tensor *x, const lx_tensor *w,
                        const lx_tensor *b, const lx_conv2d_options *options, lx_error *error);
/* Both 4-dimensional and on one device. */
lx_code lx_conv2d_check_operands(const char *function, const lx_tensor *x, const lx_tensor *w, lx_error *error);
/* Checks that dy has the shape of the convolution's output. */
lx_code lx_conv2d_check_gradient(const lx_convolution *c, const lx_tensor *dy, lx_error *error);

double lx_conv2d_work(const lx_convolution *c);
/* What is computed, in words, as the name of what is remembered of it. */
const char *lx_conv2d_describe(const lx_convolution *c, const char *what, char text[LX_PROBLEM_TEXT]);
/* Whether an input is better read in the plain layout: rows without gaps, channels that would leave a block empty. */
bool lx_conv2d_is_thin(const lx_tensor *x, long groups);
/* Keeps a result if its computation went well. */
lx_code lx_conv2d_settle(lx_tensor *out, lx_tensor *made, lx_code code);

/* How tile and depthwise kernels see a forward pass, or backward-data as one. */
conv2d_tile_args lx_conv2d_tile_args(const lx_convolution *c, bool backward, long lanes);
/* Packs the weight as seen by a forward pass, or transposed and flipped as seen by backward-data. `inner` is the
 * number of input channels in a block of the input. */
lx_code lx_conv2d_pack(const lx_convolution *c, lx_tensor *packed, const lx_tensor *w, const conv2d_tile_args *tiles,
                       long inner, bool backward, lx_error *error);

/* ---- gradients of weight and bias: chunks of the batch have sums of their own, which are then added up ------------
 */

/* How the kernels see it; and, in place of that, for an input that is thin. */
void lx_conv2d_weight_args(const lx_convolution *c, long lanes, conv2d_weight_args *args, conv2d_reduce_args *reduce);
void lx_conv2d_thin_weight_args(const lx_tensor *x, conv2d_weight_args *args, conv2d_reduce_args *reduce);
/* How they see the gradient of a bias, which is that of the sum over all pixels. */
conv2d_reduce_args lx_conv2d_bias_args(long channels);

typedef enum {
    LX_GRADIENT_BLOCKED,   /* of the weight, with a blocked input */
    LX_GRADIENT_THIN,      /* with a plain one */
    LX_GRADIENT_DEPTHWISE, /* of a weight with one input channel for each output channel */
    LX_GRADIENT_BIAS
} lx_conv2d_gradient_kind;

typedef struct {
    lx_conv2d_gradient_kind kind;
    const lx_convolution *c; /* NULL: of a bias */
    char problem[LX_PROBLEM_TEXT];
    conv2d_weight_args args;
    conv2d_reduce_args reduce;
    double work;
    const lx_tensor *x, *dy; /* x is NULL for a bias */
    lx_tensor *gradient;     /* what it is written to */
} lx_conv2d_gradient;

/* ---- with ReLU and max-pooling of windows of 2x2 ------------------------------------------------------------------
 */

/* The three in turn. */
lx_code lx_conv2d_pool_in_turn(lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w,
                               const lx_tensor *b, const lx_conv2d_options *options, lx_error *error);

/* What all gradients follow from. `full` is the gradient of the large result: made when first needed. */
typedef struct {
    lx_convolution c;
    const lx_tensor *x, *w, *codes;
    const lx_conv2d_options *options;
    lx_tensor dy, full; /* blocked */
} lx_conv2d_unpooling;

/* The gradients by way of the large result's. */
lx_code lx_conv2d_unpool_data(lx_conv2d_unpooling *job, lx_tensor *dx, lx_error *error);
lx_code lx_conv2d_unpool_weight(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error);
lx_code lx_conv2d_unpool_bias(lx_conv2d_unpooling *job, lx_tensor *db, lx_error *error);

#endif
