/* Convolution and its gradients in tile form: the choice among the kernels of kernels/conv2d.cl, and Winograd's. */
#include <stdio.h>

#include "../forms.h"
#include "../ops.h"
#include "conv2d_pool_tile.h"
#include "conv2d_sums.h"

LX_KERNEL(conv2d, conv2d_tile);
LX_KERNEL(conv2d, conv2d_tile_strided);
LX_KERNEL(conv2d, conv2d_tile_plain);
LX_KERNEL(conv2d, conv2d_tile_plain_strided);
LX_KERNEL(conv2d, conv2d_depthwise);
LX_KERNEL(conv2d, conv2d_weight_tile);
LX_KERNEL(conv2d, conv2d_weight_patches);
LX_KERNEL(conv2d, conv2d_weight_depthwise);
LX_KERNEL(conv2d, conv2d_bias_sums);

/* ---- forward and backward-data ---------------------------------------------------------------------------- */

/* The output blocks that a work-item computes at once where nothing was measured: two, unless rows of this width waste
 * the speed that they give over one. */
static int default_together(long width, int out_blocks, long lanes)
{
    const long one = CONV2D_PIXELS_OF_ONE, two = CONV2D_PIXELS_OF_TWO(lanes);
    if (one == two)
        return 2;
    return out_blocks == 1 || lx_ceil_div(width, two) * two * 7 > lx_ceil_div(width, one) * one * 8 ? 1 : 2;
}

/* A pass of the tile form, all but the number of blocks that a work-item computes at once. */
typedef struct {
    const lx_convolution *c;
    const lx_kernel *kernel;
    conv2d_tile_args args;
    const lx_tensor *x, *packed, *bias;
    lx_tensor *out;
} tile_pass;

/* The variants of a pass: one block at once, two, and Winograd's. */
enum { ONE, TWO, WINOGRAD, VARIANTS };

static lx_code run_pass(void *job, int variant, lx_error *error)
{
    const tile_pass *pass = job;
    conv2d_tile_args args = pass->args;
    if (variant == WINOGRAD) {
        const lx_winograd_pass winograd = lx_conv2d_as_winograd(&args, pass->c->batch);
        const lx_winograd_operands from = {pass->x, NULL, pass->packed, pass->bias, lx_conv2d_work(pass->c)};
        return lx_winograd(&winograd, &from, args.activation, pass->out, error);
    }
    const long lanes = pass->x->storage->device->lanes, width = lx_ceil_div(args.g.out_width, args.up_w);
    args.together = variant + 1;
    args.tiles = (int)lx_ceil_div(width, args.together == 1 ? CONV2D_PIXELS_OF_ONE : CONV2D_PIXELS_OF_TWO(lanes));
    const lx_build_options options = {.always_two = !pass->c->depthwise && args.together == 2 &&
                                                    args.out_blocks % 2 == 0};
    const long tiles = pass->c->depthwise ? 1 : args.tiles; /* that work-items compute: else a row each */
    return LX_RUN_WITH(*pass->kernel, &options, tiles * args.up_w, args.g.out_height,
                       pass->c->batch * args.groups * lx_ceil_div(args.out_blocks, args.together),
                       lx_conv2d_work(pass->c), args, error, pass->x, pass->packed, pass->bias, pass->out);
}

static void name_pass(const void *job, int variant, char name[LX_VARIANT_NAME])
{
    (void)job;
    static const char *const names[VARIANTS] = {"tile, 1 block at once", "tile, 2 blocks at once", "winograd 4x4"};
    snprintf(name, LX_VARIANT_NAME, "%s", names[variant]);
}

/* Runs a pass in the best of the variants that its input and the number of blocks allow. */
static lx_code choose_variant(const tile_pass *pass, const char *problem, lx_error *error)
{
    const conv2d_tile_args *args = &pass->args;
    lx_device *device = pass->x->storage->device;
    const lx_winograd_pass as_winograd = lx_conv2d_as_winograd(args, pass->c->batch);
    const bool winograd = pass->x->block && args->groups == 1 && args->up_h == 1 && args->up_w == 1 &&
                          lx_winograd_fits(&as_winograd, device);
    int default_variant = default_together(lx_ceil_div(args->g.out_width, args->up_w), args->out_blocks,
                                           device->lanes) -
                          1;
    if (pass->c->depthwise || !pass->x->block || (args->out_blocks == 1 && !winograd))
        return run_pass((void *)pass, pass->c->depthwise || pass->x->block ? ONE : TWO, error);
    if (winograd && lx_winograd_pays(&as_winograd))
        default_variant = WINOGRAD;
    const lx_choice choice = {.problem = problem,
                              .count = winograd ? VARIANTS : WINOGRAD,
                              .default_variant = default_variant,
                              .job = (void *)pass,
                              .name = name_pass,
                              .run = run_pass,
                              .result = pass->out->storage,
                              .bytes = pass->out->storage->bytes};
    return lx_choose(device, &choice, error);
}

static const lx_kernel *tile_kernel(const lx_convolution *c, const lx_tensor *x, const conv2d_tile_args *args)
{
    const bool adjacent = args->g.stride_w == 1;
    if (c->depthwise)
        return &k_conv2d_depthwise;
    if (x->block)
        return adjacent ? &k_conv2d_tile : &k_conv2d_tile_strided;
    return adjacent ? &k_conv2d_tile_plain : &k_conv2d_tile_plain_strided;
}

static lx_code convolve(const lx_convolution *c, const char *problem, const conv2d_tile_args *args, lx_tensor *out,
                        const lx_tensor *x, const lx_tensor *packed, const lx_tensor *bias, lx_error *error)
{
    const tile_pass pass = {c, tile_kernel(c, x, args), *args, x, packed, bias, out};
    return choose_variant(&pass, problem, error);
}

/* ---- gradients of weight and bias -------------------------------------------------------------------------- */

/* Runs the kernel that leaves sums for each chunk, `blocks` work-items for each, and adds them up. */
static lx_code sum_chunks(const lx_kernel *kernel, const lx_conv2d_gradient *job, long blocks, lx_error *error)
{
    conv2d_weight_args args = job->args;
    conv2d_reduce_args reduce = job->reduce;
    const lx_conv2d_sum sum = {kernel, &args, &reduce, blocks, job->work};
    return lx_conv2d_sum_chunks(&sum, job->x, job->dy, NULL, job->gradient, error);
}

/* A blocked input: the sums of its chunks, or Winograd's products. */
static lx_code run_weight(void *of, int variant, lx_error *error)
{
    const lx_conv2d_gradient *job = of;
    const conv2d_weight_args *args = &job->args;
    if (variant == 1)
        return lx_conv2d_winograd_weight(job->c, job->gradient, job->x, job->dy, NULL, error);
    return sum_chunks(&k_conv2d_weight_tile, job,
                      (long)args->groups * lx_ceil_div(args->out_blocks, 2) * args->in_blocks, error);
}

static void name_weight(const void *job, int variant, char name[LX_VARIANT_NAME])
{
    (void)job;
    snprintf(name, LX_VARIANT_NAME, "%s", variant ? "winograd 4x4" : "tile");
}

static lx_code choose_weight_variant(const lx_conv2d_gradient *job, lx_error *error)
{
    lx_device *device = job->dy->storage->device;
    const lx_winograd_pass winograd = {&job->c->g, job->c->batch, job->args.in_blocks, job->args.out_blocks};
    if (job->args.groups > 1 || !lx_winograd_gradient_fits(&winograd, device))
        return run_weight((void *)job, 0, error);
    const lx_choice choice = {.problem = job->problem,
                              .count = 2,
                              .default_variant = lx_winograd_pays(&winograd),
                              .job = (void *)job,
                              .name = name_weight,
                              .run = run_weight,
                              .result = job->gradient->storage,
                              .bytes = job->gradient->storage->bytes};
    return lx_choose(device, &choice, error);
}

static lx_code find_gradient(const lx_conv2d_gradient *job, lx_error *error)
{
    switch (job->kind) {
    case LX_GRADIENT_DEPTHWISE: return sum_chunks(&k_conv2d_weight_depthwise, job, job->args.out_blocks, error);
    case LX_GRADIENT_THIN: return sum_chunks(&k_conv2d_weight_patches, job, job->args.in_blocks, error);
    case LX_GRADIENT_BIAS: return sum_chunks(&k_conv2d_bias_sums, job, job->args.out_blocks, error);
    default: return choose_weight_variant(job, error);
    }
}

const lx_conv2d_ops lx_conv2d_tile = {
    .convolve = convolve,
    .gradient = find_gradient,
    .pool = lx_conv2d_pool_tile,
    .unpool_data = lx_conv2d_unpool_data_tile,
    .unpool_weight = lx_conv2d_unpool_weight_tile,
    .unpool_bias = lx_conv2d_unpool_bias_tile,
};
