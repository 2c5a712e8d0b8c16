/* Convolution and its gradients: checks, packed weights, and what the device's form makes of it (forms.h). */
#include "convolution.h"
#include "forms.h"
#include "ops.h"

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

static lx_code run_packed(const lx_convolution *c, lx_tensor *out, const lx_tensor *x, const lx_tensor *packed,
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
    return lx_form_ops_of(x)->conv2d->convolve(c, problem, args, out, x, packed, b, error);
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
    if (!c->depthwise && !input.block && lx_form_ops_of(x)->conv2d->thin_by_channel) { /* each channel is a block */
        inner = 1;
        args.in_blocks = args.in_channels;
    }
    lx_code code = lx_conv2d_pack(c, &packed, w, &args, inner, backward, error);
    if (!code)
        code = run_packed(c, out, &input, &packed, b, backward, &args, error);
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
        lx_conv2d_check_shapes(&c, "conv2d_backward_data", dy->storage->device, input_shape, w->shape, options,
                               error) ||
        lx_conv2d_check_gradient(&c, dy, error))
        return error->code;
    return convolve(&c, dx, dy, w, NULL, true, 0, error);
}

/* ---- gradients of weight and bias -------------------------------------------------------------------------- */

static lx_code run_weight(const lx_convolution *c, lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy,
                          lx_error *error)
{
    const long lanes = dy->storage->device->lanes;
    lx_conv2d_gradient job = {.c = c, .work = lx_conv2d_work(c), .x = x, .dy = dy, .gradient = dw};
    conv2d_weight_args *args = &job.args;
    conv2d_reduce_args *reduce = &job.reduce;
    lx_conv2d_describe(c, "conv2d backward weight", job.problem);
    lx_conv2d_weight_args(c, lanes, args, reduce);
    if (c->depthwise) {
        job.kind = LX_GRADIENT_DEPTHWISE;
        args->groups = reduce->merged = reduce->inner = reduce->in_blocks = 1;
        args->out_blocks = (int)lx_ceil_div(c->out_channels, lanes);
        reduce->out_channels = (int)c->out_channels;
    } else if (x->block) {
        job.kind = LX_GRADIENT_BLOCKED;
    } else {
        job.kind = LX_GRADIENT_THIN;
        lx_conv2d_thin_weight_args(x, args, reduce);
    }
    return lx_form_ops_of(x)->conv2d->gradient(&job, error);
}

lx_code lx_conv2d_backward_weight(lx_tensor *dw, const lx_tensor *x, const lx_tensor *dy, const long weight_shape[4],
                                  const lx_conv2d_options *options, lx_error *error)
{
    static const char *const function = "conv2d_backward_weight";
    lx_convolution c;
    if (lx_conv2d_check_tensor(function, "input", x, error) ||
        lx_conv2d_check_tensor(function, "gradient", dy, error) || lx_same_device(function, x, dy, error) ||
        lx_conv2d_check_shapes(&c, function, x->storage->device, x->shape, weight_shape, options, error) ||
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
    lx_conv2d_gradient job = {.kind = LX_GRADIENT_BIAS,
                              .args = {.g = {.out_height = (int)dy->shape[2], .out_width = (int)dy->shape[3]},
                                       .rows = dy->shape[0] * dy->shape[2],
                                       .groups = 1,
                                       .out_blocks = (int)lx_ceil_div(channels, lanes)},
                              .reduce = lx_conv2d_bias_args(channels),
                              .work = (double)lx_tensor_count(dy),
                              .dy = &gradient,
                              .gradient = &made};
    lx_code code = lx_tensor_new(&made, dy->storage->device, LX_FLOAT32, 1, &channels, error);
    if (!code)
        code = lx_form_ops_of(dy)->conv2d->gradient(&job, error);
    lx_tensor_free(&gradient);
    return lx_conv2d_settle(db, &made, code);
}
