/* Convolution, ReLU and max-pooling of windows of 2x2 in one: the large result in between is neither written nor kept where
 * a kernel can do all three, and its gradient is read from the pooled one. Elsewhere the three are done in turn. */
#include "convolution.h"
#include "nn.h"
#include "ops.h"

LX_KERNEL(conv2d, conv2d_plain_pool);
LX_KERNEL(conv2d, conv2d_rectify);
LX_KERNEL(conv2d, conv2d_weight_windows);
LX_KERNEL(conv2d, conv2d_bias_windows);

static const lx_pool_options WINDOWS = {{2, 2}, {2, 2}, {0, 0}, false};

/* ---- which way ------------------------------------------------------------------------------------------------ */

/* A kernel of 3x3 at stride 1 on an input that is better read in the plain layout. */
static bool is_plain_3x3(const lx_convolution *c, const lx_tensor *x)
{
    const conv2d_geometry *g = &c->g;
    return x->storage->device->form == LX_TILE && lx_conv2d_is_thin(x, c->groups) && g->kernel_h == 3 && g->kernel_w == 3 &&
           g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1;
}

/* Whether Winograd's way is the one for what else would be computed as `what`. */
static bool takes_winograd(const lx_convolution *c, const lx_winograd_pass *pass, const char *what, const lx_device *device)
{
    char problem[LX_PROBLEM_TEXT];
    lx_conv2d_describe(c, what, problem);
    return c->groups == 1 && lx_winograd_fits(pass, device) &&
           lx_prefers(device, problem, "winograd", lx_winograd_pays(pass));
}

/* ---- forward -------------------------------------------------------------------------------------------------- */

/* The result and its codes. */
typedef struct {
    lx_tensor *out, *codes;
} pooled;

static lx_code new_pooled(const lx_convolution *c, lx_device *device, pooled to, lx_error *error)
{
    const long shape[4] = {c->batch, c->out_channels, c->g.out_height / 2, c->g.out_width / 2};
    if (lx_tensor_new_blocked(to.out, device, shape, error))
        return error->code;
    const long count = (long)(to.out->storage->bytes / sizeof(float));
    return lx_tensor_new(to.codes, device, LX_UINT8, 1, &count, error);
}

static lx_code run_plain(const lx_convolution *c, pooled to, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                         lx_error *error)
{
    const long lanes = x->storage->device->lanes;
    conv2d_tile_args args = lx_conv2d_tile_args(c, false, lanes);
    args.in_blocks = 1;
    args.bias = b != NULL;
    args.x_row = x->stride[2];
    args.x_block = x->stride[1];
    args.x_image = x->stride[0];
    lx_tensor packed = {0};
    if (lx_conv2d_pack(c, &packed, w, &args, args.in_channels, false, error))
        return error->code;
    LX_RUN(k_conv2d_plain_pool, lx_ceil_div(c->g.out_width / 2, CONV2D_WINDOWS(lanes)), c->g.out_height / 2,
           c->batch * lx_ceil_div(args.out_blocks, 2), lx_conv2d_work(c), args, error, x, &packed, b, to.out, to.codes);
    lx_tensor_free(&packed);
    return error->code;
}

static lx_code run_winograd(const lx_convolution *c, const conv2d_tile_args *args, pooled to, const lx_tensor *x,
                            const lx_tensor *w, const lx_tensor *b, lx_error *error)
{
    const lx_winograd_pass pass = lx_conv2d_as_winograd(args, c->batch);
    lx_tensor input = {0}, packed = {0};
    if (!lx_to_blocked(&input, x, error) &&
        !lx_conv2d_pack(c, &packed, w, args, x->storage->device->lanes, false, error)) {
        const lx_winograd_operands from = {&input, NULL, &packed, b, lx_conv2d_work(c)};
        lx_winograd_pool(&pass, &from, to.out, to.codes, error);
    }
    lx_tensor_free(&packed);
    lx_tensor_free(&input);
    return error->code;
}

/* The three in turn. */
static lx_code run_separately(pooled to, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                              const lx_conv2d_options *options, lx_error *error)
{
    lx_conv2d_options plain = *options;
    plain.activation = ACTIVATION_none;
    lx_tensor full = {0};
    if (!lx_conv2d(&full, x, w, b, &plain, error) && !lx_max_pool2d(to.out, to.codes, &full, &WINDOWS, error)) {
        const long lanes = x->storage->device->lanes, row = to.out->shape[3] * lanes;
        const conv2d_rectify_args args = {row};
        const long rows = lx_tensor_count(to.codes) / row;
        LX_RUN(k_conv2d_rectify, row, rows, 1, 2 * rows * row, args, error, to.out, to.codes);
    }
    lx_tensor_free(&full);
    return error->code;
}

lx_code lx_conv2d_pool(lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                       const lx_conv2d_options *options, lx_error *error)
{
    lx_convolution c;
    lx_device *device = x->storage->device;
    const pooled to = {out, codes};
    lx_tensor weight = {0}, bias = {0};
    if (lx_conv2d_check(&c, "conv2d", x, w, b, options, error))
        return error->code;
    const conv2d_tile_args args = lx_conv2d_tile_args(&c, false, device->lanes);
    const lx_winograd_pass pass = lx_conv2d_as_winograd(&args, c.batch);
    const bool plain = is_plain_3x3(&c, x), winograd = !plain && takes_winograd(&c, &pass, "conv2d", device);
    if (c.g.out_height < 2 || c.g.out_width < 2 || !(plain || winograd))
        run_separately(to, x, w, b, options, error);
    else if (!new_pooled(&c, device, to, error) && !lx_to_plain(&weight, w, error) &&
             !(b && lx_contiguous(&bias, b, error)))
        plain ? run_plain(&c, to, x, &weight, b ? &bias : NULL, error)
              : run_winograd(&c, &args, to, x, &weight, b ? &bias : NULL, error);
    lx_tensor_free(&bias);
    lx_tensor_free(&weight);
    if (error->code) {
        lx_tensor_free(codes);
        lx_tensor_free(out);
    }
    return error->code;
}

/* ---- backward ------------------------------------------------------------------------------------------------- */

/* What all gradients follow from. `full` is the gradient of the large result: made when first needed. */
typedef struct {
    lx_convolution c;
    const lx_tensor *x, *w, *codes;
    const lx_conv2d_options *options;
    lx_tensor dy, full; /* blocked */
} backward;

static lx_code need_full(backward *job, lx_error *error)
{
    const conv2d_geometry *g = &job->c.g;
    const long shape[4] = {job->c.batch, job->c.out_channels, g->out_height, g->out_width};
    return job->full.storage ? LX_OK : lx_max_pool2d_backward(&job->full, &job->dy, job->codes, shape, &WINDOWS, error);
}

static lx_code find_dx(backward *job, lx_tensor *dx, lx_error *error)
{
    const lx_convolution *c = &job->c;
    lx_device *device = job->x->storage->device;
    const conv2d_tile_args args = lx_conv2d_tile_args(c, true, device->lanes);
    const lx_winograd_pass pass = lx_conv2d_as_winograd(&args, c->batch);
    if (args.up_h > 1 || args.up_w > 1 || !takes_winograd(c, &pass, "conv2d backward data", device))
        return need_full(job, error)
                   ? error->code
                   : lx_conv2d_backward_data(dx, &job->full, job->w, job->x->shape, job->options, error);
    lx_tensor weight = {0}, packed = {0};
    if (!lx_tensor_new_blocked(dx, device, job->x->shape, error) && !lx_to_plain(&weight, job->w, error) &&
        !lx_conv2d_pack(c, &packed, &weight, &args, device->lanes, true, error)) {
        const lx_winograd_operands from = {&job->dy, job->codes, &packed, NULL, lx_conv2d_work(c)};
        lx_winograd(&pass, &from, false, dx, error);
    }
    lx_tensor_free(&packed);
    lx_tensor_free(&weight);
    return error->code;
}

/* The kernels that sum over windows see the output in these. */
static conv2d_weight_args in_windows(const backward *job, conv2d_reduce_args *reduce)
{
    conv2d_weight_args args;
    lx_conv2d_weight_args(&job->c, job->x->storage->device->lanes, &args, reduce);
    args.rows = job->c.batch * (job->c.g.out_height / 2);
    return args;
}

static lx_code sum_plain(backward *job, lx_tensor *dw, lx_error *error)
{
    conv2d_reduce_args reduce;
    conv2d_weight_args args = in_windows(job, &reduce);
    lx_conv2d_thin_weight_args(job->x, &args, &reduce);
    const lx_conv2d_sum sum = {&k_conv2d_weight_windows, &args, &reduce, lx_ceil_div(args.out_blocks, 2),
                               lx_conv2d_work(&job->c)};
    return lx_conv2d_sum_chunks(&sum, job->x, &job->dy, job->codes, dw, error);
}

static lx_code sum_winograd(backward *job, lx_tensor *dw, lx_error *error)
{
    lx_tensor input = {0};
    if (!lx_to_blocked(&input, job->x, error))
        lx_conv2d_winograd_weight(&job->c, dw, &input, &job->dy, job->codes, error);
    lx_tensor_free(&input);
    return error->code;
}

static lx_code find_dw(backward *job, lx_tensor *dw, lx_error *error)
{
    const lx_convolution *c = &job->c;
    lx_device *device = job->x->storage->device;
    const lx_winograd_pass pass = {&c->g, c->batch, (int)lx_ceil_div(c->in_channels, device->lanes),
                                   (int)lx_ceil_div(c->out_channels, device->lanes)};
    const bool plain = is_plain_3x3(c, job->x);
    const bool winograd = !plain && lx_winograd_gradient_fits(&pass, device) &&
                          takes_winograd(c, &pass, "conv2d backward weight", device);
    if (!plain && !winograd)
        return need_full(job, error)
                   ? error->code
                   : lx_conv2d_backward_weight(dw, job->x, &job->full, job->w->shape, job->options, error);
    if (lx_tensor_new(dw, device, LX_FLOAT32, 4, job->w->shape, error))
        return error->code;
    return plain ? sum_plain(job, dw, error) : sum_winograd(job, dw, error);
}

static lx_code find_db(backward *job, lx_tensor *db, lx_error *error)
{
    if (job->x->storage->device->form == LX_SIMT)
        return need_full(job, error) ? error->code : lx_conv2d_backward_bias(db, &job->full, error);
    conv2d_reduce_args reduce;
    conv2d_weight_args args = in_windows(job, &reduce);
    args.groups = 1;
    args.out_blocks = (int)lx_ceil_div(job->c.out_channels, job->x->storage->device->lanes);
    args.g.out_height /= 2;
    args.g.out_width /= 2;
    reduce = (conv2d_reduce_args){.merged = 1,
                                  .out_channels = (int)job->c.out_channels,
                                  .in_blocks = 1,
                                  .in_channels = 1,
                                  .taps = 1,
                                  .inner = 1};
    if (lx_tensor_new(db, job->x->storage->device, LX_FLOAT32, 1, &job->c.out_channels, error))
        return error->code;
    const lx_conv2d_sum sum = {&k_conv2d_bias_windows, &args, &reduce, args.out_blocks,
                               (double)lx_tensor_count(&job->dy)};
    return lx_conv2d_sum_chunks(&sum, NULL, &job->dy, job->codes, db, error);
}

/* The gradient and the codes must be those of this forward pass. */
static lx_code check_pooled(const backward *job, const lx_tensor *dy, lx_error *error)
{
    char expected[LX_SHAPE_TEXT], text[LX_SHAPE_TEXT];
    const lx_convolution *c = &job->c;
    const long shape[4] = {c->batch, c->out_channels, c->g.out_height / 2, c->g.out_width / 2};
    const long lanes = dy->storage->device->lanes;
    const long count = shape[0] * lx_ceil_div(shape[1], lanes) * lanes * shape[2] * shape[3];
    bool fits = dy->ndim == 4 && dy->dtype == LX_FLOAT32;
    for (int i = 0; fits && i < 4; i++)
        fits = dy->shape[i] == shape[i];
    if (!fits)
        return lx_fail(error, LX_EARG, "conv2d_pool_backward: the gradient must be float32 %s, got %s %s",
                       lx_shape_text(4, shape, expected), lx_dtype_name(dy->dtype),
                       lx_shape_text(dy->ndim, dy->shape, text));
    if (job->codes->dtype != LX_UINT8 || !lx_tensor_dense(job->codes) || lx_tensor_count(job->codes) != count)
        return lx_fail(error, LX_EARG, "conv2d_pool_backward: the codes do not belong to this gradient");
    return lx_same_device("conv2d_pool_backward", dy, job->codes, error);
}

lx_code lx_conv2d_pool_backward(lx_tensor *dx, lx_tensor *dw, lx_tensor *db, const lx_tensor *x, const lx_tensor *w,
                                const lx_tensor *dy, const lx_tensor *codes, const lx_conv2d_options *options,
                                lx_error *error)
{
    backward job = {.x = x, .w = w, .codes = codes, .options = options};
    if (lx_conv2d_check(&job.c, "conv2d_pool_backward", x, w, NULL, options, error) || check_pooled(&job, dy, error) ||
        lx_same_device("conv2d_pool_backward", x, dy, error) || lx_to_blocked(&job.dy, dy, error))
        return error->code;
    if (db)
        find_db(&job, db, error);
    if (dw && !error->code)
        find_dw(&job, dw, error);
    if (dx && !error->code)
        find_dx(&job, dx, error);
    lx_tensor_free(&job.full);
    lx_tensor_free(&job.dy);
    lx_tensor *const made[3] = {dx, dw, db};
    for (int i = 0; i < 3 && error->code; i++)
        if (made[i])
            lx_tensor_free(made[i]);
    return error->code;
}
