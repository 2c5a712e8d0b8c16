/* Convolution and its gradients: the choice among the kernels in kernels/conv2d.cl. */
#include <stdio.h>

#include "conv2d_simt.h"
#include "convolution.h"
#include "ops.h"
#include "winograd.h"

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

/* A 1x1 convolution does not care where rows end, so that its pixels are one long row, whatever the width. */
static void join_rows(conv2d_geometry *g)
{
    const bool plain = g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h == 1 && g->stride_w == 1 &&
                       g->padding_h == 0 && g->padding_w == 0;
    if (plain && (long)g->height * g->width <= LX_CONV2D_LARGEST) {
        g->width = g->out_width = g->height * g->width;
        g->height = g->out_height = 1;
    }
}

/* The output blocks that a work-item computes at once where nothing was measured: two, unless rows of this width waste
 * the speed that they give over one. */
static int usual_together(long width, int out_blocks, long lanes)
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

/* The ways to compute a pass: one block at once, two, and Winograd's. */
enum { ONE, TWO, WINOGRAD, WAYS };

static lx_code run_tile_pass(void *job, int way, lx_error *error)
{
    const tile_pass *pass = job;
    conv2d_tile_args args = pass->args;
    if (way == WINOGRAD) {
        const lx_winograd_pass winograd = lx_conv2d_as_winograd(&args, pass->c->batch);
        const lx_winograd_operands from = {pass->x, NULL, pass->packed, pass->bias, lx_conv2d_work(pass->c)};
        return lx_winograd(&winograd, &from, args.activation, pass->out, error);
    }
    const long lanes = pass->x->storage->device->lanes, width = lx_ceil_div(args.g.out_width, args.up_w);
    args.together = way + 1;
    args.tiles = (int)lx_ceil_div(width, args.together == 1 ? CONV2D_PIXELS_OF_ONE : CONV2D_PIXELS_OF_TWO(lanes));
    const bool always_two = !pass->c->depthwise && args.together == 2 && args.out_blocks % 2 == 0;
    return LX_RUN_WITH(*pass->kernel, always_two ? "-DALWAYS_TWO" : NULL, (long)args.tiles * args.up_w,
                       args.g.out_height, pass->c->batch * args.groups * lx_ceil_div(args.out_blocks, args.together),
                       lx_conv2d_work(pass->c), args, error, pass->x, pass->packed, pass->bias, pass->out);
}

static void name_tile_pass(const void *job, int way, char name[LX_WAY_NAME])
{
    (void)job;
    static const char *const names[WAYS] = {"tile, 1 block at once", "tile, 2 blocks at once", "winograd 4x4"};
    snprintf(name, LX_WAY_NAME, "%s", names[way]);
}

/* Runs a pass in the best of the ways that its input and the number of blocks allow. */
static lx_code choose_way(const tile_pass *pass, const char *problem, lx_error *error)
{
    const conv2d_tile_args *args = &pass->args;
    lx_device *device = pass->x->storage->device;
    const lx_winograd_pass as_winograd = lx_conv2d_as_winograd(args, pass->c->batch);
    const bool winograd = pass->x->block && args->groups == 1 && args->up_h == 1 && args->up_w == 1 &&
                          lx_winograd_fits(&as_winograd, device);
    int usual = usual_together(lx_ceil_div(args->g.out_width, args->up_w), args->out_blocks, device->lanes) - 1;
    if (pass->c->depthwise || !pass->x->block || (args->out_blocks == 1 && !winograd))
        return run_tile_pass((void *)pass, pass->c->depthwise || pass->x->block ? ONE : TWO, error);
    if (winograd && lx_winograd_pays(&as_winograd))
        usual = WINOGRAD;
    const lx_choice choice = {.problem = problem,
                              .count = winograd ? WAYS : WINOGRAD,
                              .usual = usual,
                              .job = (void *)pass,
                              .name = name_tile_pass,
                              .run = run_tile_pass,
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

static lx_code run_tiles(const lx_convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *packed,
                         const lx_tensor *b, bool backward, conv2d_tile_args *args, lx_error *error)
{
    const long lanes = x->storage->device->lanes;
    char problem[LX_PROBLEM_TEXT];
    if (x->block) {
        if (args->up_h == 1 && args->up_w == 1)
            join_rows(&args->g);
        args->x_row = args->g.width * lanes;
        args->x_block = args->g.height * args->x_row;
        args->x_image = args->x_block * args->groups * args->in_blocks;
    } else {
        args->x_row = x->stride[2];
        args->x_block = x->stride[1];
        args->x_image = x->stride[0];
    }
    args->bias = b != NULL;
    lx_conv2d_describe(c, backward ? "conv2d backward data" : "conv2d", problem);
    if (x->storage->device->form == LX_SIMT)
        return lx_conv2d_simt(problem, args, c->depthwise, c->batch, lx_conv2d_work(c), out, x, packed, b, error);
    const tile_pass pass = {c,
                            tile_kernel(c, x, args),
                            *args,
                            x,
                            packed,
                            b,
                            out};
    return choose_way(&pass, problem, error);
}

/* Runs a forward pass, or backward-data with dy as x, on an output that exists. */
static lx_code run_convolution(const lx_convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *w,
                               const lx_tensor *b, bool backward, int activation, lx_error *error)
{
    const long lanes = x->storage->device->lanes;
    lx_tensor input = {0}, packed = {0};
    conv2d_tile_args args = lx_conv2d_tile_args(c, backward, lanes);
    args.activation = activation;
    if (!c->depthwise && lx_conv2d_is_thin(x, args.groups))
        lx_tensor_share(&input, x);
    else if (lx_to_blocked(&input, x, error))
        return error->code;
    long inner = c->depthwise ? 1 : input.block ? lanes : args.in_channels;
    if (x->storage->device->form == LX_SIMT && !c->depthwise && !input.block) { /* each channel is a block */
        inner = 1;
        args.in_blocks = args.in_channels;
    }
    lx_code code = lx_conv2d_pack(c, &packed, w, &args, inner, backward, error);
    if (!code)
        code = run_tiles(c, out, &input, &packed, b, backward, &args, error);
    lx_tensor_free(&packed);
    lx_tensor_free(&input);
    return code;
}

/* Forward, or backward-data with dy as x; b may be NULL. */
static lx_code convolve(const lx_convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *w,
                        const lx_tensor *b, bool backward, int activation, lx_error *error)
{
    lx_device *device = x->storage->device;
    const conv2d_geometry *g = &c->g;
    const long forward_shape[4] = {c->batch, c->out_channels, g->out_height, g->out_width};
    const long backward_shape[4] = {c->batch, c->in_channels, g->height, g->width};
    lx_tensor made = {0}, bias = {0}, weight = {0};
    lx_code code = lx_tensor_new_blocked(&made, device, backward ? backward_shape : forward_shape, error);
    if (!code)
        code = lx_to_plain(&weight, w, error);
    if (!code && b)
        code = lx_contiguous(&bias, b, error);
    if (!code)
        code = run_convolution(c, &made, x, &weight, b ? &bias : NULL, backward, activation, error);
    lx_tensor_free(&bias);
    lx_tensor_free(&weight);
    return lx_conv2d_settle(out, &made, code);
}

lx_code lx_conv2d(lx_tensor *out, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                  const lx_conv2d_options *options, lx_error *error)
{
    lx_convolution c;
    if (lx_conv2d_check(&c, "conv2d", x, w, b, options, error))
        return error->code;
    return convolve(&c, out, x, w, b, false, options->activation, error);
}

lx_code lx_conv2d_backward_data(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *w, const long input_shape[4],
                                const lx_conv2d_options *options, lx_error *error)
{
    lx_convolution c;
    if (lx_conv2d_check_operands("conv2d_backward_data", dy, w, error) ||
        lx_conv2d_plan(&c, "conv2d_backward_data", dy->storage->device, input_shape, w->shape, options, error) ||
        lx_conv2d_check_gradient(&c, dy, error))
        return error->code;
    return convolve(&c, dx, dy, w, NULL, true, 0, error);
}

/* ---- backward-weight -------------------------------------------------------------------------------------- */

/* Runs a kernel that leaves sums for each chunk, `blocks` work-items for each, and reduces them into dw. */
static lx_code sum_and_reduce(const lx_kernel *kernel, const char *problem, conv2d_weight_args *args,
                              conv2d_reduce_args *reduce, long blocks, double work, const lx_tensor *x,
                              const lx_tensor *dy, lx_tensor *dw, lx_error *error)
{
    if (dy->storage->device->form == LX_SIMT)
        return lx_conv2d_gradient_simt(problem, args, reduce, kernel == &k_conv2d_weight_depthwise, dy->shape[0], work,
                                       dw, x, dy, error);
    const lx_conv2d_sum sum = {kernel, args, reduce, blocks, work};
    return lx_conv2d_sum_chunks(&sum, x, dy, NULL, dw, error);
}

/* Backward-weight of a blocked input: its chunks' sums, or Winograd's products. */
typedef struct {
    const lx_convolution *c;
    const char *problem;
    conv2d_weight_args args;
    conv2d_reduce_args reduce;
    const lx_tensor *x, *dy;
    lx_tensor *dw;
} weight_pass;

static lx_code run_weight_pass(void *job, int way, lx_error *error)
{
    const weight_pass *pass = job;
    if (way == 1)
        return lx_conv2d_winograd_weight(pass->c, pass->dw, pass->x, pass->dy, NULL, error);
    conv2d_weight_args args = pass->args;
    conv2d_reduce_args reduce = pass->reduce;
    return sum_and_reduce(&k_conv2d_weight_tile, pass->problem, &args, &reduce,
                          (long)args.groups * args.out_blocks * args.in_blocks, lx_conv2d_work(pass->c), pass->x, pass->dy,
                          pass->dw, error);
}

static void name_weight_pass(const void *job, int way, char name[LX_WAY_NAME])
{
    (void)job;
    snprintf(name, LX_WAY_NAME, "%s", way ? "winograd 4x4" : "tile");
}

static lx_code choose_weight_way(weight_pass *pass, lx_error *error)
{
    lx_device *device = pass->dy->storage->device;
    const lx_winograd_pass winograd = {&pass->c->g, pass->c->batch, pass->args.in_blocks, pass->args.out_blocks};
    if (pass->args.groups > 1 || !lx_winograd_gradient_fits(&winograd, device))
        return run_weight_pass(pass, 0, error);
    const lx_choice choice = {.problem = pass->problem,
                              .count = 2,
                              .usual = lx_winograd_pays(&winograd),
                              .job = pass,
                              .name = name_weight_pass,
                              .run = run_weight_pass,
                              .result = pass->dw->storage,
                              .bytes = pass->dw->storage->bytes};
    return lx_choose(device, &choice, error);
}

static lx_code run_weight(const lx_convolution *c, lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy,
                          lx_error *error)
{
    const long lanes = dy->storage->device->lanes;
    const double work = lx_conv2d_work(c);
    char problem[LX_PROBLEM_TEXT];
    lx_conv2d_describe(c, "conv2d backward weight", problem);
    conv2d_weight_args args;
    conv2d_reduce_args reduce;
    lx_conv2d_weight_args(c, lanes, &args, &reduce);
    if (c->depthwise) {
        args.groups = reduce.merged = reduce.inner = reduce.in_blocks = 1;
        args.out_blocks = (int)lx_ceil_div(c->out_channels, lanes);
        reduce.out_channels = (int)c->out_channels;
        return sum_and_reduce(&k_conv2d_weight_depthwise, problem, &args, &reduce, args.out_blocks, work, x, dy, dw,
                              error);
    }
    if (x->block) {
        weight_pass pass = {c, problem, args, reduce, x, dy, dw};
        return choose_weight_way(&pass, error);
    }
    lx_conv2d_thin_weight_args(x, &args, &reduce);
    return sum_and_reduce(&k_conv2d_weight_patches, problem, &args, &reduce, args.in_blocks, work, x, dy, dw, error);
}

lx_code lx_conv2d_backward_weight(lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy, const long weight_shape[4],
                                  const lx_conv2d_options *options, lx_error *error)
{
    static const char *const function = "conv2d_backward_weight";
    lx_convolution c;
    if (lx_conv2d_check_tensor(function, "input", x, error) || lx_conv2d_check_tensor(function, "gradient", dy, error) ||
        lx_same_device(function, x, dy, error) ||
        lx_conv2d_plan(&c, function, x->storage->device, x->shape, weight_shape, options, error) ||
        lx_conv2d_check_gradient(&c, dy, error))
        return error->code;
    lx_tensor made = {0}, input = {0}, gradient = {0};
    lx_code code = lx_tensor_new(&made, x->storage->device, LX_FLOAT32, 4, weight_shape, error);
    if (!code)
        code = lx_to_blocked(&gradient, dy, error);
    if (!code && c.groups == 1 && lx_conv2d_is_thin(x, 1))
        lx_tensor_share(&input, x);
    else if (!code)
        code = lx_to_blocked(&input, x, error);
    if (!code)
        code = run_weight(&c, &made, &input, &gradient, error);
    lx_tensor_free(&input);
    lx_tensor_free(&gradient);
    return lx_conv2d_settle(dw, &made, code);
}

lx_code lx_conv2d_backward_bias(lx_tensor *db, const lx_tensor *dy, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (lx_conv2d_check_tensor("conv2d_backward_bias", "gradient", dy, error))
        return error->code;
    if (dy->shape[1] < 1)
        return lx_fail(error, LX_EARG, "conv2d_backward_bias: the gradient has no channels, got %s",
                       lx_shape_text(4, dy->shape, text));
    const long lanes = dy->storage->device->lanes, channels = dy->shape[1];
    lx_tensor made = {0}, gradient = {0};
    if (lx_to_blocked(&gradient, dy, error))
        return error->code;
    conv2d_weight_args args = {.g = {.out_height = (int)dy->shape[2], .out_width = (int)dy->shape[3]},
                               .rows = dy->shape[0] * dy->shape[2],
                               .groups = 1,
                               .out_blocks = (int)lx_ceil_div(channels, lanes)};
    conv2d_reduce_args reduce = {.merged = 1,
                                 .out_channels = (int)channels,
                                 .in_blocks = 1,
                                 .in_channels = 1,
                                 .taps = 1,
                                 .inner = 1};
    lx_code code = lx_tensor_new(&made, dy->storage->device, LX_FLOAT32, 1, &channels, error);
    if (!code)
        code = sum_and_reduce(&k_conv2d_bias_sums, NULL, &args, &reduce, args.out_blocks, (double)lx_tensor_count(dy), NULL,
                              &gradient, &made, error);
    lx_tensor_free(&gradient);
    return lx_conv2d_settle(db, &made, code);
}
