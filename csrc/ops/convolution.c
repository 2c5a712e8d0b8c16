#include "convolution.h"

#include <stdio.h>

#include "ops.h"

LX_KERNEL(conv2d, conv2d_pack);

#define LARGEST LX_CONV2D_LARGEST

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

lx_code lx_conv2d_check_tensor(const char *function, const char *what, const lx_tensor *t, lx_error *error)
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

static lx_code check_bias(const char *function, const lx_tensor *b, const lx_tensor *w, long channels, lx_error *error)
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
        return lx_fail(error, LX_EARG, "%s: %ld output channels cannot be split into %ld groups (weight %s)", function,
                       w[0], groups, wt);
    return LX_OK;
}

static long groups_to_merge(long in, long out, long groups, long lanes)
{
    for (long merged = 1; merged < groups; merged++)
        if (groups % merged == 0 && merged * in % lanes == 0 && merged * out % lanes == 0)
            return merged;
    return groups;
}

lx_code lx_conv2d_check_shapes(lx_convolution *c, const char *function, const lx_device *device, const long in[4],
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
                           function, reach, in[2 + i], o->padding[i], i ? "width" : "height", lx_shape_text(4, in, it),
                           lx_shape_text(4, w, wt));
        if (out[i] > LARGEST)
            return lx_fail(error, LX_EARG, "%s: the output would be %ld pixels in %s, more than %d; use less padding",
                           function, out[i], i ? "width" : "height", LARGEST);
    }
    *c = (lx_convolution){function,
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

lx_code lx_conv2d_check_operands(const char *function, const lx_tensor *x, const lx_tensor *w, lx_error *error)
{
    if (lx_conv2d_check_tensor(function, "input", x, error) || lx_conv2d_check_tensor(function, "weight", w, error))
        return error->code;
    return lx_same_device(function, x, w, error);
}

lx_code lx_conv2d_check(lx_convolution *c, const char *function, const lx_tensor *x, const lx_tensor *w,
                        const lx_tensor *b, const lx_conv2d_options *options, lx_error *error)
{
    if (lx_conv2d_check_operands(function, x, w, error) ||
        lx_conv2d_check_shapes(c, function, x->storage->device, x->shape, w->shape, options, error))
        return error->code;
    return check_bias(function, b, w, c->out_channels, error);
}

lx_code lx_conv2d_check_gradient(const lx_convolution *c, const lx_tensor *dy, lx_error *error)
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

double lx_conv2d_work(const lx_convolution *c)
{
    return 2.0 * (double)c->batch * (double)c->out_channels * (double)(c->in_channels / c->groups) * c->g.out_height *
           c->g.out_width * c->g.kernel_h * c->g.kernel_w;
}

const char *lx_conv2d_describe(const lx_convolution *c, const char *what, char text[LX_PROBLEM_TEXT])
{
    const conv2d_geometry *g = &c->g;
    int length = snprintf(text, LX_PROBLEM_TEXT,
                          "%s [%ld,%ld,%d,%d], weight [%ld,%ld,%d,%d], stride %d,%d, padding %d,%d", what, c->batch,
                          c->in_channels, g->height, g->width, c->out_channels, c->in_channels / c->groups, g->kernel_h,
                          g->kernel_w, g->stride_h, g->stride_w, g->padding_h, g->padding_w);
    if (length < LX_PROBLEM_TEXT && (g->dilation_h > 1 || g->dilation_w > 1))
        length += snprintf(text + length, (size_t)(LX_PROBLEM_TEXT - length), ", dilation %d,%d", g->dilation_h,
                           g->dilation_w);
    return text;
}

bool lx_conv2d_is_thin(const lx_tensor *x, long groups)
{
    return !x->block && groups == 1 && x->shape[1] < x->storage->device->lanes &&
           (x->stride[3] == 1 || x->shape[3] == 1);
}

lx_code lx_conv2d_settle(lx_tensor *out, lx_tensor *made, lx_code code)
{
    if (code)
        lx_tensor_free(made);
    else
        *out = *made;
    return code;
}

conv2d_tile_args lx_conv2d_tile_args(const lx_convolution *c, bool backward, long lanes)
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
    args.out_blocks = (int)lx_ceil_div(out / args.groups, lanes);
    args.in_blocks = (int)lx_ceil_div(args.in_channels, lanes);
    return args;
}

lx_code lx_conv2d_pack(const lx_convolution *c, lx_tensor *packed, const lx_tensor *w, const conv2d_tile_args *tiles,
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
                             .kernel_w = c->g.kernel_w,
                             .by_rows = transposed};
    if (backward)
        args.base = (w->shape[2] - 1) * s[2] + (w->shape[3] - 1) * s[3];
    const long channels = args.in_blocks * inner;
    const long shape[3] = {(long)tiles->groups * args.out_blocks, channels * w->shape[2] * w->shape[3], lanes};
    if (lx_tensor_new(packed, w->storage->device, LX_FLOAT32, 3, shape, error))
        return error->code;
    const lx_code code = LX_RUN(k_conv2d_pack, transposed ? shape[0] : args.in_blocks,
                                transposed ? args.in_blocks : shape[0], 1, lx_tensor_count(packed), args, error, w,
                                packed);
    if (code)
        lx_tensor_free(packed);
    return code;
}

void lx_conv2d_weight_args(const lx_convolution *c, long lanes, conv2d_weight_args *args, conv2d_reduce_args *reduce)
{
    const long in = c->in_channels / c->groups, out = c->out_channels / c->groups;
    *args = (conv2d_weight_args){.g = c->g,
                                 .rows = c->batch * c->g.out_height,
                                 .groups = (int)(c->groups / c->merged),
                                 .out_blocks = (int)lx_ceil_div(out * c->merged, lanes),
                                 .in_blocks = (int)lx_ceil_div(in * c->merged, lanes)};
    *reduce = (conv2d_reduce_args){.merged = (int)c->merged,
                                   .out_channels = (int)out,
                                   .in_blocks = args->in_blocks,
                                   .in_channels = (int)in,
                                   .taps = c->g.kernel_h * c->g.kernel_w,
                                   .inner = (int)lanes};
}

void lx_conv2d_thin_weight_args(const lx_tensor *x, conv2d_weight_args *args, conv2d_reduce_args *reduce)
{
    args->x_image = x->stride[0];
    args->x_channel = x->stride[1];
    args->x_row = x->stride[2];
    args->taps = reduce->in_channels = reduce->in_channels * reduce->taps;
    args->in_blocks = reduce->in_blocks = (int)lx_ceil_div(args->taps, reduce->inner);
    reduce->taps = 1;
}

conv2d_reduce_args lx_conv2d_bias_args(long channels)
{
    return (conv2d_reduce_args){
        .merged = 1, .out_channels = (int)channels, .in_blocks = 1, .in_channels = 1, .taps = 1, .inner = 1};
}
