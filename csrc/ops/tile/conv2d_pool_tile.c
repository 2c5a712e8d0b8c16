/* Convolution, ReLU and max-pooling in tile form: by a kernel that does all three, on few input channels in the plain
 * layout, or by Winograd's way, or else in turn. */
#include "conv2d_pool_tile.h"

#include "../ops.h"
#include "conv2d_sums.h"

LX_KERNEL(conv2d, conv2d_plain_pool);
LX_KERNEL(conv2d, conv2d_weight_windows);
LX_KERNEL(conv2d, conv2d_bias_windows);

/* ---- which variant -------------------------------------------------------------------------------------------- */

/* A kernel of 3x3 at stride 1 on an input that is better read in the plain layout. */
static bool is_plain_3x3(const lx_convolution *c, const lx_tensor *x)
{
    const conv2d_geometry *g = &c->g;
    return lx_conv2d_is_thin(x, c->groups) && g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 &&
           g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1;
}

/* Whether Winograd's way is the one for what else would be computed as `what`. */
static bool takes_winograd(const lx_convolution *c, const lx_winograd_pass *pass, const char *what,
                           const lx_device *device)
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

lx_code lx_conv2d_pool_tile(const lx_convolution *c, lx_tensor *out, lx_tensor *codes, const lx_tensor *x,
                            const lx_tensor *w, const lx_tensor *b, const lx_conv2d_options *options, lx_error *error)
{
    lx_device *device = x->storage->device;
    const pooled to = {out, codes};
    lx_tensor weight = {0}, bias = {0};
    const conv2d_tile_args args = lx_conv2d_tile_args(c, false, device->lanes);
    const lx_winograd_pass pass = lx_conv2d_as_winograd(&args, c->batch);
    const bool plain = is_plain_3x3(c, x), winograd = !plain && takes_winograd(c, &pass, "conv2d", device);
    if (c->g.out_height < 2 || c->g.out_width < 2 || !(plain || winograd))
        return lx_conv2d_pool_in_turn(out, codes, x, w, b, options, error);
    if (!new_pooled(c, device, to, error) && !lx_to_plain(&weight, w, error) && !(b && lx_contiguous(&bias, b, error)))
        plain ? run_plain(c, to, x, &weight, b ? &bias : NULL, error)
              : run_winograd(c, &args, to, x, &weight, b ? &bias : NULL, error);
    lx_tensor_free(&bias);
    lx_tensor_free(&weight);
    return error->code;
}

/* ---- backward ------------------------------------------------------------------------------------------------- */

lx_code lx_conv2d_unpool_data_tile(lx_conv2d_unpooling *job, lx_tensor *dx, lx_error *error)
{
    const lx_convolution *c = &job->c;
    lx_device *device = job->x->storage->device;
    const conv2d_tile_args args = lx_conv2d_tile_args(c, true, device->lanes);
    const lx_winograd_pass pass = lx_conv2d_as_winograd(&args, c->batch);
    if (args.up_h > 1 || args.up_w > 1 || !takes_winograd(c, &pass, "conv2d backward data", device))
        return lx_conv2d_unpool_data(job, dx, error);
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
static conv2d_weight_args in_windows(const lx_conv2d_unpooling *job, conv2d_reduce_args *reduce)
{
    conv2d_weight_args args;
    lx_conv2d_weight_args(&job->c, job->x->storage->device->lanes, &args, reduce);
    args.rows = job->c.batch * (job->c.g.out_height / 2);
    return args;
}

static lx_code sum_plain(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error)
{
    conv2d_reduce_args reduce;
    conv2d_weight_args args = in_windows(job, &reduce);
    lx_conv2d_thin_weight_args(job->x, &args, &reduce);
    const lx_conv2d_sum sum = {&k_conv2d_weight_windows, &args, &reduce, lx_ceil_div(args.out_blocks, 2),
                               lx_conv2d_work(&job->c)};
    return lx_conv2d_sum_chunks(&sum, job->x, &job->dy, job->codes, dw, error);
}

static lx_code sum_winograd(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error)
{
    lx_tensor input = {0};
    if (!lx_to_blocked(&input, job->x, error))
        lx_conv2d_winograd_weight(&job->c, dw, &input, &job->dy, job->codes, error);
    lx_tensor_free(&input);
    return error->code;
}

lx_code lx_conv2d_unpool_weight_tile(lx_conv2d_unpooling *job, lx_tensor *dw, lx_error *error)
{
    const lx_convolution *c = &job->c;
    lx_device *device = job->x->storage->device;
    const lx_winograd_pass pass = {&c->g, c->batch, (int)lx_ceil_div(c->in_channels, device->lanes),
                                   (int)lx_ceil_div(c->out_channels, device->lanes)};
    const bool plain = is_plain_3x3(c, job->x);
    const bool winograd = !plain && lx_winograd_gradient_fits(&pass, device) &&
                          takes_winograd(c, &pass, "conv2d backward weight", device);
    if (!plain && !winograd)
        return lx_conv2d_unpool_weight(job, dw, error);
    if (lx_tensor_new(dw, device, LX_FLOAT32, 4, job->w->shape, error))
        return error->code;
    return plain ? sum_plain(job, dw, error) : sum_winograd(job, dw, error);
}

lx_code lx_conv2d_unpool_bias_tile(lx_conv2d_unpooling *job, lx_tensor *db, lx_error *error)
{
    conv2d_reduce_args reduce;
    conv2d_weight_args args = in_windows(job, &reduce);
    args.groups = 1;
    args.out_blocks = (int)lx_ceil_div(job->c.out_channels, job->x->storage->device->lanes);
    args.g.out_height /= 2;
    args.g.out_width /= 2;
    reduce = lx_conv2d_bias_args(job->c.out_channels);
    if (lx_tensor_new(db, job->x->storage->device, LX_FLOAT32, 1, &job->c.out_channels, error))
        return error->code;
    const lx_conv2d_sum sum = {&k_conv2d_bias_windows, &args, &reduce, args.out_blocks,
                               (double)lx_tensor_count(&job->dy)};
    return lx_conv2d_sum_chunks(&sum, NULL, &job->dy, job->codes, db, error);
}
