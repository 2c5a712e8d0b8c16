/* Convolution, ReLU and max-pooling of windows of 2x2 in one: the large result in between is neither written nor kept
 * where a kernel can do all three, and its gradient is read from the pooled one. Elsewhere the three are done in turn.
 * Which of the two, the device's form says. */
#include "convolution.h"
#include "forms.h"
#include "nn.h"
#include "ops.h"

LX_KERNEL(conv2d, conv2d_rectify);

static const lx_pool_options WINDOWS = {{2, 2}, {2, 2}, {0, 0}, false};

/* ---- forward -------------------------------------------------------------------------------------------------- */

lx_code lx_conv2d_pool_in_turn(lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w,
                               const lx_tensor *b, const lx_conv2d_options *options, lx_error *error)
{
    lx_conv2d_options plain = *options;
    plain.activation = ACTIVATION_none;
    lx_tensor full = {0};
    if (!lx_conv2d(&full, x, w, b, &plain, error) && !lx_max_pool2d(out, codes, &full, &WINDOWS, error)) {
        const long lanes = x->storage->device->lanes, row = out->shape[3] * lanes;
        const conv2d_rectify_args args = {row};
        const long rows = lx_tensor_count(codes) / row;
        LX_RUN(k_conv2d_rectify, row, rows, 1, 2 * rows * row, args, error, out, codes);
    }
    lx_tensor_free(&full);
    return error->code;
}

lx_code lx_conv2d_pool(lx_tensor *out, lx_tensor *codes, const lx_tensor *x, const lx_tensor *w, const lx_tensor *b,
                       const lx_conv2d_options *options, lx_error *error)
{
    lx_convolution c;
    if (lx_conv2d_check(&c, "conv2d", x, w, b, options, error))
        return error->code;
    if (lx_form_ops_of(x)->conv2d->pool(&c, out, codes, x, w, b, options, error)) {
        lx_tensor_free(codes);
        lx_tensor_free(out);
    }
    return error->code;
}

/* ---- backward ------------------------------------------------------------------------------------------------- */

static lx_code need_full(lx_conv2d_unpooling *job, lx_error *error)
{
    const conv2d_geometry *g = &job->c.g;
    const long shape[4] = {job->c.batch, job->c.out_channels, g->out_height, g->out_width};
    return job->full.storage ? LX_OK : lx_max_pool2d_backward(&job->full, &job->dy, job->codes, shape, &WINDOWS, error);
}

lx_code lx_conv2d_unpool_data(lx_conv2d_unpooling *job, lx_tensor *dx, lx_error *error)
{
    return need_full(job, error) ? error->code
                                 : lx_conv2d_backward_data(dx, &job->full, job->w, job->x->shape, job->options, error);
}

lx_code lx_conv2d_unpool_weight(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error)
{
    return need_full(job, error)
               ? error->code
               : lx_conv2d_backward_weight(dw, job->x, &job->full, job->w->shape, job->options, error);
}

lx_code lx_conv2d_unpool_bias(lx_conv2d_unpooling *job, lx_tensor *db, lx_error *error)
{
    return need_full(job, error) ? error->code : lx_conv2d_backward_bias(db, &job->full, error);
}

/* The gradient and the codes must be those of this forward pass. */
static lx_code check_pooled(const lx_conv2d_unpooling *job, const lx_tensor *dy, lx_error *error)
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
    lx_conv2d_unpooling job = {.x = x, .w = w, .codes = codes, .options = options};
    if (lx_conv2d_check(&job.c, "conv2d_pool_backward", x, w, NULL, options, error) || check_pooled(&job, dy, error) ||
        lx_same_device("conv2d_pool_backward", x, dy, error) || lx_to_blocked(&job.dy, dy, error))
        return error->code;
    const lx_conv2d_ops *ops = lx_form_ops_of(x)->conv2d;
    if (db)
        ops->unpool_bias(&job, db, error);
    if (dw && !error->code)
        ops->unpool_weight(&job, dw, error);
    if (dx && !error->code)
        ops->unpool_data(&job, dx, error);
    lx_tensor_free(&job.full);
    lx_tensor_free(&job.dy);
    lx_tensor *const made[3] = {dx, dw, db};
    for (int i = 0; i < 3 && error->code; i++)
        if (made[i])
            lx_tensor_free(made[i]);
    return error->code;
}
