/* Convolution and its gradients: checks, the packing of weights, and the choice among the kernels in
 * kernels/conv2d.cl. */
#include <stdio.h>

#include "../../kernels/conv2d.h"

#include "conv2d_simt.h"
#include "ops.h"
#include "winograd.h"

LX_KERNEL(conv2d, conv2d_pack);
LX_KERNEL(conv2d, conv2d_tile);
LX_KERNEL(conv2d, conv2d_tile_strided);
LX_KERNEL(conv2d, conv2d_tile_plain);
LX_KERNEL(conv2d, conv2d_tile_plain_strided);
LX_KERNEL(conv2d, conv2d_depthwise);
LX_KERNEL(conv2d, conv2d_weight_tile);
LX_KERNEL(conv2d, conv2d_weight_patches);
LX_KERNEL(conv2d, conv2d_weight_depthwise);
LX_KERNEL(conv2d, conv2d_bias_sums);
LX_KERNEL(conv2d, conv2d_reduce);

enum {
    LARGEST = 1 << 28, /* of sizes, strides and paddings, so that kernels may add a few of them */
    MOST_CHUNKS = 64,  /* of the batch in backward-weight */
    MOST_SUMS = 1 << 22 /* elements of all chunks' sums together, unless there is one chunk */
};

/* A checked convolution, whichever way it is then run. */
typedef struct {
    const char *function;
    long batch, in_channels, out_channels, groups; /* channels in all */
    long merged; /* groups that are computed as one, so that a group is whole blocks, or all there is */
    bool depthwise;
    conv2d_geometry g;
} convolution;

/* ---- checks ----------------------------------------------------------------------------------------------- */

static lx_code check_options(const char *function, const lx_conv2d_options *o, lx_error *error)
{
    for (int i = 0; i < 2; i++) {
        if (o->stride[i] < 1 || o->stride[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: stride must be 1 to %d, got %d", function, LARGEST, o->stride[i]);
        if (o->dilation[i] < 1 || o->dilation[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: dilation must be 1 to %d, got %d", function, LARGEST, o->dilation[i]);
        if (o->padding[i] < 0 || o->padding[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: padding must be 0 to %d, got %d", function, LARGEST, o->padding[i]);
    }
    if (o->groups < 1)
        return lx_fail(error, LX_EARG, "%s: groups must be at least 1, got %d", function, o->groups);
    return LX_OK;
}

static lx_code check_tensor(const char *function, const char *what, const lx_tensor *t, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (t->ndim != 4)
        return lx_fail(error, LX_EARG, "%s: %s must have 4 dimensions, got %s", function, what,
                       lx_shape_text(t->ndim, t->shape, text));
    if (t->dtype != LX_FLOAT32)
        return lx_fail(error, LX_EARG, "%s: %s must be float32, got %s; convert it with :float()", function, what,
                       lx_dtype_name(t->dtype));
    return LX_OK;
}

static lx_code check_bias(const char *function, const lx_tensor *b, const lx_tensor *w, long channels,
                          lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (!b)
        return LX_OK;
    if (b->ndim != 1 || b->shape[0] != channels)
        return lx_fail(error, LX_EARG, "%s: bias must be [%ld], one for each output channel, got %s", function,
                       channels, lx_shape_text(b->ndim, b->shape, text));
    if (b->dtype != LX_FLOAT32)
        return lx_fail(error, LX_EARG, "%s: bias must be float32, got %s; convert it with :float()", function,
                       lx_dtype_name(b->dtype));
    return lx_same_device(function, w, b, error);
}

static lx_code check_channels(const char *function, const long in[4], const long w[4], long groups, lx_error *error)
{
    char it[LX_SHAPE_TEXT], wt[LX_SHAPE_TEXT];
    lx_shape_text(4, in, it);
    lx_shape_text(4, w, wt);
    for (int i = 0; i < 4; i++)
        if (w[i] < 1 || w[i] > LARGEST || in[i] < 0 || in[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: sizes must be 1 to %d (input %s, weight %s)", function, LARGEST, it,
                           wt);
    if (w[1] * w[2] > LARGEST || w[1] * w[2] * w[3] > LARGEST)
        return lx_fail(error, LX_EARG, "%s: the weight is too large, %s", function, wt);
    if (w[1] * groups != in[1])
        return lx_fail(error, LX_EARG, "%s: weight expects %ld input channels, input has %ld (input %s, weight %s%s)",
                       function, w[1] * groups, in[1], it, wt, groups > 1 ? ", with groups" : "");
    if (w[0] % groups)
        return lx_fail(error, LX_EARG, "%s: %ld output channels cannot be split into %ld groups (weight %s)",
                       function, w[0], groups, wt);
    return LX_OK;
}

static long groups_to_merge(long in, long out, long groups, long lanes)
{
    for (long merged = 1; merged < groups; merged++)
        if (groups % merged == 0 && merged * in % lanes == 0 && merged * out % lanes == 0)
            return merged;
    return groups;
}

/* Checks the shapes of a forward convolution and works out the size of its output. */
static lx_code plan(convolution *c, const char *function, const lx_device *device, const long in[4],
                    const long w[4], const lx_conv2d_options *o, lx_error *error)
{
    char it[LX_SHAPE_TEXT], wt[LX_SHAPE_TEXT];
    long out[2];
    if (check_options(function, o, error) || check_channels(function, in, w, o->groups, error))
        return error->code;
    for (int i = 0; i < 2; i++) {
        const long padded = in[2 + i] + 2L * o->padding[i], reach = o->dilation[i] * (w[2 + i] - 1) + 1;
        out[i] = padded < reach ? 0 : (padded - reach) / o->stride[i] + 1;
        if (out[i] < 1)
            return lx_fail(error, LX_EARG,
                           "%s: a kernel that reaches over %ld pixels does not fit an input of %ld with padding %d, "
                           "in %s (input %s, weight %s)",
                           function, reach, in[2 + i], o->padding[i], i ? "width" : "height",
                           lx_shape_text(4, in, it), lx_shape_text(4, w, wt));
        if (out[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: the output would be %ld pixels in %s, more than %d; use less padding",
                           function, out[i], i ? "width" : "height", LARGEST);
    }
    *c = (convolution){function,
                       in[0],
                       in[1],
                       w[0],
                       o->groups,
                       groups_to_merge(w[1], w[0] / o->groups, o->groups, device->lanes),
                       o->groups > 1 && o->groups == in[1] && o->groups == w[0],
                       {(int)in[2], (int)in[3], (int)out[0], (int)out[1], (int)w[2], (int)w[3], o->stride[0],
                        o->stride[1], o->padding[0], o->padding[1], o->dilation[0], o->dilation[1]}};
    return LX_OK;
}

/* Checks that dy has the shape of the convolution's output. */
static lx_code check_gradient(const convolution *c, const lx_tensor *dy, lx_error *error)
{
    char et[LX_SHAPE_TEXT], gt[LX_SHAPE_TEXT];
    const long expected[4] = {c->batch, c->out_channels, c->g.out_height, c->g.out_width};
    for (int i = 0; i < 4; i++)
        if (dy->shape[i] != expected[i])
            return lx_fail(error, LX_EARG, "%s: the gradient must have the output's shape %s, got %s", c->function,
                           lx_shape_text(4, expected, et), lx_shape_text(4, dy->shape, gt));
    return LX_OK;
}

/* ---- shared ----------------------------------------------------------------------------------------------- */

static long ceil_div(long a, long b)
{
    return (a + b - 1) / b;
}

static double work_of(const convolution *c)
{
    return 2.0 * (double)c->batch * (double)c->out_channels * (double)(c->in_channels / c->groups) * c->g.out_height *
           c->g.out_width * c->g.kernel_h * c->g.kernel_w;
}

/* What is computed, in words, as the name of what is remembered of it. */
static const char *describe(const convolution *c, const char *what, char text[LX_PROBLEM_TEXT])
{
    const conv2d_geometry *g = &c->g;
    int length = snprintf(text, LX_PROBLEM_TEXT, "%s [%ld,%ld,%d,%d], weight [%ld,%ld,%d,%d], stride %d,%d, padding %d,%d",
                          what, c->batch, c->in_channels, g->height, g->width, c->out_channels,
                          c->in_channels / c->groups, g->kernel_h, g->kernel_w, g->stride_h, g->stride_w, g->padding_h,
                          g->padding_w);
    if (length < LX_PROBLEM_TEXT && (g->dilation_h > 1 || g->dilation_w > 1))
        length += snprintf(text + length, (size_t)(LX_PROBLEM_TEXT - length), ", dilation %d,%d", g->dilation_h,
                           g->dilation_w);
    return text;
}

/* Whether an input is better read in the plain layout: rows without gaps, channels that would leave a block empty. */
static bool is_thin(const lx_tensor *x, long groups)
{
    return !x->block && groups == 1 && x->shape[1] < x->storage->device->lanes &&
           (x->stride[3] == 1 || x->shape[3] == 1);
}

/* Keeps a result if its computation went well. */
static lx_code settle(lx_tensor *out, lx_tensor *made, lx_code code)
{
    if (code)
        lx_tensor_free(made);
    else
        *out = *made;
    return code;
}

/* ---- forward and backward-data ---------------------------------------------------------------------------- */

/* How tile and depthwise kernels see a forward pass, or backward-data as one. */
static conv2d_tile_args tile_args(const convolution *c, bool backward, long lanes)
{
    const conv2d_geometry *g = &c->g;
    conv2d_tile_args args = {.g = *g, .up_h = 1, .up_w = 1};
    const long in = backward ? c->out_channels : c->in_channels, out = backward ? c->in_channels : c->out_channels;
    if (backward) {
        args.up_h = g->stride_h;
        args.up_w = g->stride_w;
        args.g = (conv2d_geometry){g->out_height,
                                   g->out_width,
                                   g->height,
                                   g->width,
                                   g->kernel_h,
                                   g->kernel_w,
                                   1,
                                   1,
                                   g->dilation_h * (g->kernel_h - 1) - g->padding_h,
                                   g->dilation_w * (g->kernel_w - 1) - g->padding_w,
                                   g->dilation_h,
                                   g->dilation_w};
    }
    args.groups = c->depthwise ? 1 : (int)(c->groups / c->merged);
    args.in_channels = c->depthwise ? 1 : (int)(in / args.groups);
    args.out_channels = (int)out;
    args.out_blocks = (int)ceil_div(out / args.groups, lanes);
    args.in_blocks = (int)ceil_div(args.in_channels, lanes);
    return args;
}

/* Packs the weight as seen by a forward pass, or transposed and flipped as seen by backward-data. `inner` is the
 * number of input channels in a block of the input. */
static lx_code pack(const convolution *c, lx_tensor *packed, const lx_tensor *w, const conv2d_tile_args *tiles,
                    long inner, bool backward, lx_error *error)
{
    const long lanes = w->storage->device->lanes, *s = w->stride, groups = c->depthwise ? 1 : c->groups;
    const long in = c->depthwise ? 1 : c->in_channels / groups, out = c->out_channels / groups;
    const bool transposed = backward && !c->depthwise;
    conv2d_pack_args args = {.group_stride = out * s[0],
                             .out_stride = s[transposed],
                             .in_stride = s[!transposed],
                             .stride_h = backward ? -s[2] : s[2],
                             .stride_w = backward ? -s[3] : s[3],
                             .merged = c->depthwise ? 1 : (int)c->merged,
                             .out_blocks = tiles->out_blocks,
                             .out_channels = (int)(transposed ? in : out),
                             .in_blocks = tiles->in_blocks,
                             .in_channels = (int)(transposed ? out : in),
                             .inner = (int)inner,
                             .kernel_h = c->g.kernel_h,
                             .kernel_w = c->g.kernel_w};
    if (backward)
        args.base = (w->shape[2] - 1) * s[2] + (w->shape[3] - 1) * s[3];
    const long positions = args.in_blocks * inner * w->shape[2] * w->shape[3];
    const long shape[3] = {(long)tiles->groups * args.out_blocks, positions, lanes};
    if (lx_tensor_new(packed, w->storage->device, LX_FLOAT32, 3, shape, error))
        return error->code;
    const lx_code code =
        LX_RUN(k_conv2d_pack, positions, shape[0], 1, lx_tensor_count(packed), args, error, w, packed);
    if (code)
        lx_tensor_free(packed);
    return code;
}

/* A 1x1 convolution does not care where rows end, so that its pixels are one long row, whatever the width. */
static void join_rows(conv2d_geometry *g)
{
    const bool plain = g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h == 1 && g->stride_w == 1 &&
                       g->padding_h == 0 && g->padding_w == 0;
    if (plain && (long)g->height * g->width <= LARGEST) {
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
    return out_blocks == 1 || ceil_div(width, two) * two * 7 > ceil_div(width, one) * one * 8 ? 1 : 2;
}

/* A pass of the tile form, all but the number of blocks that a work-item computes at once. */
typedef struct {
    const convolution *c;
    const lx_kernel *kernel;
    conv2d_tile_args args;
    const lx_tensor *x, *packed, *bias;
    lx_tensor *out;
} tile_pass;

static lx_winograd_pass winograd_pass(const conv2d_tile_args *args, long batch)
{
    return (lx_winograd_pass){&args->g, batch, args->in_blocks, args->out_blocks};
}

/* The ways to compute a pass: one block at once, two, and Winograd's. */
enum { ONE, TWO, WINOGRAD, WAYS };

static lx_code run_tile_pass(void *job, int way, lx_error *error)
{
    const tile_pass *pass = job;
    conv2d_tile_args args = pass->args;
    if (way == WINOGRAD) {
        const lx_winograd_pass winograd = winograd_pass(&args, pass->c->batch);
        return lx_winograd(&winograd, args.relu, work_of(pass->c), pass->out, pass->x, pass->packed, pass->bias, error);
    }
    const long lanes = pass->x->storage->device->lanes, width = ceil_div(args.g.out_width, args.up_w);
    args.together = way + 1;
    args.tiles = (int)ceil_div(width, args.together == 1 ? CONV2D_PIXELS_OF_ONE : CONV2D_PIXELS_OF_TWO(lanes));
    const bool always_two = !pass->c->depthwise && args.together == 2 && args.out_blocks % 2 == 0;
    return LX_RUN_WITH(*pass->kernel, always_two ? "-DALWAYS_TWO" : NULL, (long)args.tiles * args.up_w,
                       args.g.out_height, pass->c->batch * args.groups * ceil_div(args.out_blocks, args.together),
                       work_of(pass->c), args, error, pass->x, pass->packed, pass->bias, pass->out);
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
    const lx_winograd_pass as_winograd = winograd_pass(args, pass->c->batch);
    const bool winograd = pass->x->block && args->groups == 1 && args->up_h == 1 && args->up_w == 1 &&
                          lx_winograd_fits(&as_winograd, device);
    int usual = usual_together(ceil_div(args->g.out_width, args->up_w), args->out_blocks, device->lanes) - 1;
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

static const lx_kernel *tile_kernel(const convolution *c, const lx_tensor *x, const conv2d_tile_args *args)
{
    const bool adjacent = args->g.stride_w == 1;
    if (c->depthwise)
        return &k_conv2d_depthwise;
    if (x->block)
        return adjacent ? &k_conv2d_tile : &k_conv2d_tile_strided;
    return adjacent ? &k_conv2d_tile_plain : &k_conv2d_tile_plain_strided;
}

static lx_code run_tiles(const convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *packed,
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
    describe(c, backward ? "conv2d backward data" : "conv2d", problem);
    if (x->storage->device->form == LX_SIMT)
        return lx_conv2d_simt(problem, args, c->depthwise, c->batch, work_of(c), out, x, packed, b, error);
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
static lx_code run_convolution(const convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *w,
                               const lx_tensor *b, bool backward, int relu, lx_error *error)
{
    const long lanes = x->storage->device->lanes;
    lx_tensor input = {0}, packed = {0};
    conv2d_tile_args args = tile_args(c, backward, lanes);
    args.relu = relu;
    if (!c->depthwise && is_thin(x, args.groups))
        lx_tensor_share(&input, x);
    else if (lx_to_blocked(&input, x, error))
        return error->code;
    long inner = c->depthwise ? 1 : input.block ? lanes : args.in_channels;
    if (x->storage->device->form == LX_SIMT && !c->depthwise && !input.block) { /* each channel is a block */
        inner = 1;
        args.in_blocks = args.in_channels;
    }
    lx_code code = pack(c, &packed, w, &args, inner, backward, error);
    if (!code)
        code = run_tiles(c, out, &input, &packed, b, backward, &args, error);
    lx_tensor_free(&packed);
    lx_tensor_free(&input);
    return code;
}

/* Forward, or backward-data with dy as x; b may be NULL. */
static lx_code convolve(const convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *w,
                        const lx_tensor *b, bool backward, int relu, lx_error *error)
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
        code = run_convolution(c, &made, x, &weight, b ? &bias : NULL, backward, relu, error);
    lx_tensor_free(&bias);
    lx_tensor_free(&weight);
    return settle(out, &made, code);
}

static lx_code check_operands(const char *function, const lx_tensor *x, const lx_tensor *w, lx_error *error)
{
    if (check_tensor(function, "input", x, error) || check_tensor(function, "weight", w, error))
        return error->code;
    return lx_same_device(function, x, w, error);
}

lx_code lx_conv2d(lx_tensor *out, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                  const lx_conv2d_options *options, lx_error *error)
{
    convolution c;
    if (check_operands("conv2d", x, w, error) ||
        plan(&c, "conv2d", x->storage->device, x->shape, w->shape, options, error) ||
        check_bias("conv2d", b, w, c.out_channels, error))
        return error->code;
    return convolve(&c, out, x, w, b, false, options->relu, error);
}

lx_code lx_conv2d_backward_data(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *w, const long input_shape[4],
                                const lx_conv2d_options *options, lx_error *error)
{
    convolution c;
    if (check_operands("conv2d_backward_data", dy, w, error) ||
        plan(&c, "conv2d_backward_data", dy->storage->device, input_shape, w->shape, options, error) ||
        check_gradient(&c, dy, error))
        return error->code;
    return convolve(&c, dx, dy, w, NULL, true, 0, error);
}

/* ---- backward-weight -------------------------------------------------------------------------------------- */

/* Cuts the output rows of the batch into chunks whose sums are added up afterwards. How many depends on the shapes
 * alone, so that results do not depend on the number of threads. */
static long cut(conv2d_weight_args *args, long blocks, long sums)
{
    long chunks = ceil_div(4 * MOST_CHUNKS, blocks);
    if (chunks > MOST_CHUNKS)
        chunks = MOST_CHUNKS;
    if (chunks > MOST_SUMS / sums)
        chunks = MOST_SUMS / sums;
    if (chunks > args->rows)
        chunks = args->rows;
    if (chunks < 1)
        chunks = 1;
    args->chunk_rows = ceil_div(args->rows, chunks);
    args->chunk_size = sums;
    return args->chunk_rows ? ceil_div(args->rows, args->chunk_rows) : 1;
}

/* Runs a kernel that leaves sums for each chunk, `blocks` work-items for each, and reduces them into dw. */
static lx_code sum_and_reduce(const lx_kernel *kernel, const char *problem, conv2d_weight_args *args,
                              conv2d_reduce_args *reduce, long blocks, double work, const lx_tensor *x,
                              const lx_tensor *dy, lx_tensor *dw, lx_error *error)
{
    lx_device *device = dy->storage->device;
    if (device->form == LX_SIMT)
        return lx_conv2d_gradient_simt(problem, args, reduce, kernel == &k_conv2d_weight_depthwise, dy->shape[0], work,
                                       dw, x, dy, error);
    const long groups_blocks = (long)args->groups * args->out_blocks;
    const long sums = groups_blocks * reduce->in_blocks * reduce->taps * reduce->inner * device->lanes;
    const long chunks = cut(args, blocks, sums);
    lx_tensor partial = {0};
    if (lx_tensor_new(&partial, device, LX_FLOAT32, 2, (const long[2]){chunks, sums}, error))
        return error->code;
    reduce->chunks = (int)chunks;
    reduce->chunk_size = sums;
    reduce->out_blocks = args->out_blocks;
    lx_code code = x ? LX_RUN(*kernel, blocks, chunks, 1, work, *args, error, x, dy, &partial)
                     : LX_RUN(*kernel, blocks, chunks, 1, work, *args, error, dy, &partial);
    if (!code)
        code = LX_RUN(k_conv2d_reduce, (long)reduce->in_channels * reduce->taps, groups_blocks, 1, chunks * sums,
                      *reduce, error, &partial, dw);
    lx_tensor_free(&partial);
    return code;
}

/* Backward-weight of a blocked input: its chunks' sums, or Winograd's products. */
typedef struct {
    const convolution *c;
    const char *problem;
    conv2d_weight_args args;
    conv2d_reduce_args reduce;
    const lx_tensor *x, *dy;
    lx_tensor *dw;
} weight_pass;

static lx_winograd_pass weight_as_winograd(const weight_pass *pass)
{
    return (lx_winograd_pass){&pass->c->g, pass->c->batch, pass->args.in_blocks, pass->args.out_blocks};
}

static lx_code run_winograd_weight(const weight_pass *pass, lx_error *error)
{
    lx_device *device = pass->dy->storage->device;
    const lx_winograd_pass winograd = weight_as_winograd(pass);
    conv2d_reduce_args reduce = pass->reduce;
    reduce.chunks = 1;
    reduce.out_blocks = winograd.out_blocks;
    const long count = (long)winograd.out_blocks * winograd.in_blocks * 9 * device->lanes * device->lanes;
    lx_tensor taps = {0};
    if (lx_tensor_new(&taps, device, LX_FLOAT32, 1, &count, error))
        return error->code;
    lx_code code = lx_winograd_gradient(&winograd, work_of(pass->c), &taps, pass->x, pass->dy, error);
    if (!code)
        code = LX_RUN(k_conv2d_reduce, (long)reduce.in_channels * reduce.taps, reduce.out_blocks, 1, count, reduce, error,
                      &taps, pass->dw);
    lx_tensor_free(&taps);
    return code;
}

static lx_code run_weight_pass(void *job, int way, lx_error *error)
{
    const weight_pass *pass = job;
    if (way == 1)
        return run_winograd_weight(pass, error);
    conv2d_weight_args args = pass->args;
    conv2d_reduce_args reduce = pass->reduce;
    return sum_and_reduce(&k_conv2d_weight_tile, pass->problem, &args, &reduce,
                          (long)args.groups * args.out_blocks * args.in_blocks, work_of(pass->c), pass->x, pass->dy,
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
    const lx_winograd_pass winograd = weight_as_winograd(pass);
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

static lx_code run_weight(const convolution *c, lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy,
                          lx_error *error)
{
    const long lanes = dy->storage->device->lanes, in = c->in_channels / c->groups, out = c->out_channels / c->groups;
    const long kernel = (long)c->g.kernel_h * c->g.kernel_w;
    const double work = work_of(c);
    char problem[LX_PROBLEM_TEXT];
    describe(c, "conv2d backward weight", problem);
    conv2d_weight_args args = {.g = c->g,
                               .rows = c->batch * c->g.out_height,
                               .groups = (int)(c->groups / c->merged),
                               .out_blocks = (int)ceil_div(out * c->merged, lanes),
                               .in_blocks = (int)ceil_div(in * c->merged, lanes)};
    conv2d_reduce_args reduce = {.merged = (int)c->merged,
                                 .out_channels = (int)out,
                                 .in_blocks = args.in_blocks,
                                 .in_channels = (int)in,
                                 .taps = (int)kernel,
                                 .inner = (int)lanes};
    if (c->depthwise) {
        args.groups = reduce.merged = reduce.inner = reduce.in_blocks = 1;
        args.out_blocks = (int)ceil_div(c->out_channels, lanes);
        reduce.out_channels = (int)c->out_channels;
        return sum_and_reduce(&k_conv2d_weight_depthwise, problem, &args, &reduce, args.out_blocks, work, x, dy, dw,
                              error);
    }
    if (x->block) {
        weight_pass pass = {c, problem, args, reduce, x, dy, dw};
        return choose_weight_way(&pass, error);
    }
    args.x_image = x->stride[0];
    args.x_channel = x->stride[1];
    args.x_row = x->stride[2];
    args.taps = reduce.in_channels = (int)(in * kernel);
    args.in_blocks = reduce.in_blocks = (int)ceil_div(args.taps, lanes);
    reduce.taps = 1;
    return sum_and_reduce(&k_conv2d_weight_patches, problem, &args, &reduce, args.in_blocks, work, x, dy, dw, error);
}

lx_code lx_conv2d_backward_weight(lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy, const long weight_shape[4],
                                  const lx_conv2d_options *options, lx_error *error)
{
    static const char *const function = "conv2d_backward_weight";
    convolution c;
    if (check_tensor(function, "input", x, error) || check_tensor(function, "gradient", dy, error) ||
        lx_same_device(function, x, dy, error) ||
        plan(&c, function, x->storage->device, x->shape, weight_shape, options, error) ||
        check_gradient(&c, dy, error))
        return error->code;
    lx_tensor made = {0}, input = {0}, gradient = {0};
    lx_code code = lx_tensor_new(&made, x->storage->device, LX_FLOAT32, 4, weight_shape, error);
    if (!code)
        code = lx_to_blocked(&gradient, dy, error);
    if (!code && c.groups == 1 && is_thin(x, 1))
        lx_tensor_share(&input, x);
    else if (!code)
        code = lx_to_blocked(&input, x, error);
    if (!code)
        code = run_weight(&c, &made, &input, &gradient, error);
    lx_tensor_free(&input);
    lx_tensor_free(&gradient);
    return settle(dw, &made, code);
}

lx_code lx_conv2d_backward_bias(lx_tensor *db, const lx_tensor *dy, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (check_tensor("conv2d_backward_bias", "gradient", dy, error))
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
                               .out_blocks = (int)ceil_div(channels, lanes)};
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
    return settle(db, &made, code);
}
