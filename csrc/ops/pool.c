/* Max-pooling. */
#include "../../kernels/pool.h"

#include "nn.h"

LX_KERNEL(pool, max_pool);
LX_KERNEL(pool, max_pool_blocked);
LX_KERNEL(pool, max_pool_2x2_blocked);
LX_KERNEL(pool, max_pool_large);
LX_KERNEL(pool, max_pool_large_blocked);
LX_KERNEL(pool, max_pool_backward);
LX_KERNEL(pool, max_pool_backward_blocked);
LX_KERNEL(pool, max_pool_large_backward);
LX_KERNEL(pool, max_pool_large_backward_blocked);
LX_KERNEL(pool, max_pool_2x2_backward_blocked);

enum {
    LARGEST = 1 << 28,  /* of sizes, so that kernels may add a few of them */
    SMALL_WINDOW = 255, /* positions of a window that a byte tells apart */
    LARGE_WINDOW = 1 << 24
};

/* The size of the result along one side; less than 1 if no window fits. */
static long pooled(long size, int kernel, int stride, int padding)
{
    const long room = size + 2L * padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
}

/* Checks the options and gives the shape of the result for an input of `shape`. */
static lx_code plan(const long shape[4], const lx_pool_options *options, long out[4], pool_args *args, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    const int *kernel = options->kernel, *stride = options->stride, *padding = options->padding;
    for (int i = 0; i < 2; i++) {
        if (kernel[i] < 1 || stride[i] < 1 || stride[i] > LARGEST)
            return lx_fail(error, LX_EARG, "max_pool2d: kernel and stride must be at least 1, got %d and %d", kernel[i],
                           stride[i]);
        if (padding[i] < 0 || padding[i] > kernel[i] / 2)
            return lx_fail(error, LX_EARG, "max_pool2d: padding %d must be from 0 to half the kernel, %d", padding[i],
                           kernel[i] / 2);
        if (shape[2 + i] < 1 || shape[2 + i] > LARGEST)
            return lx_fail(error, LX_EARG, "max_pool2d: height and width of the input must be from 1 to %d, got %s",
                           LARGEST, lx_shape_text(4, shape, text));
    }
    if ((long)kernel[0] * kernel[1] > LARGE_WINDOW)
        return lx_fail(error, LX_EARG, "max_pool2d: a window has at most %d positions, this one is %d×%d", LARGE_WINDOW,
                       kernel[0], kernel[1]);
    out[0] = shape[0];
    out[1] = shape[1];
    for (int i = 0; i < 2; i++)
        out[2 + i] = pooled(shape[2 + i], kernel[i], stride[i], padding[i]);
    if (out[2] < 1 || out[3] < 1)
        return lx_fail(error, LX_EARG, "max_pool2d: a window of %d×%d does not fit input %s", kernel[0], kernel[1],
                       lx_shape_text(4, shape, text));
    *args = (pool_args){out[2],    out[3],    (int)shape[2], (int)shape[3], kernel[0],
                        kernel[1], stride[0], stride[1],     padding[0],    padding[1]};
    return LX_OK;
}

static bool is_2x2(const lx_pool_options *o)
{
    return o->kernel[0] == 2 && o->kernel[1] == 2 && o->stride[0] == 2 && o->stride[1] == 2 && !o->padding[0] &&
           !o->padding[1];
}

/* Planes that a tensor is stored in: one a channel, or one a block of channels. */
static long planes(const long shape[4], int block)
{
    return block ? shape[0] * ((shape[1] + block - 1) / block) : shape[0] * shape[1];
}

static lx_dtype dtype_of_choices(const lx_pool_options *o)
{
    return (long)o->kernel[0] * o->kernel[1] > SMALL_WINDOW ? LX_INT32 : LX_UINT8;
}

/* One position for each stored element of `like`. */
static lx_code new_choices(lx_tensor *out, const lx_tensor *like, lx_dtype dtype, lx_error *error)
{
    const int vector = like->block ? like->block : 1;
    const long shape[] = {planes(like->shape, like->block), like->shape[2], like->shape[3], vector};
    return lx_tensor_new(out, like->storage->device, dtype, 4, shape, error);
}

static lx_code new_layout(lx_tensor *out, lx_device *device, int block, const long shape[4], lx_error *error)
{
    return block ? lx_tensor_new_blocked(out, device, shape, error)
                 : lx_tensor_new(out, device, LX_FLOAT32, 4, shape, error);
}

static lx_code check_input(const lx_tensor *x, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (x->ndim == 4 && x->dtype == LX_FLOAT32)
        return LX_OK;
    return lx_fail(error, LX_EARG, "max_pool2d: expected a float32 tensor [N,C,H,W], got %s %s", lx_dtype_name(x->dtype),
                   lx_shape_text(x->ndim, x->shape, text));
}

/* Blocked tensors are dense by nature; plain ones are made so. */
static lx_code settle(lx_tensor *out, const lx_tensor *in, lx_error *error)
{
    if (!in->block)
        return lx_contiguous(out, in, error);
    lx_tensor_share(out, in);
    return LX_OK;
}

lx_code lx_max_pool2d(lx_tensor *out, lx_tensor *chosen, const lx_tensor *x, const lx_pool_options *options, lx_error *error)
{
    long shape[4];
    pool_args args;
    lx_tensor in = {0};
    lx_device *device = x->storage->device;
    if (check_input(x, error) || plan(x->shape, options, shape, &args, error) || settle(&in, x, error))
        return error->code;
    if (!new_layout(out, device, x->block, shape, error) && !new_choices(chosen, out, dtype_of_choices(options), error)) {
        const lx_kernel *kernel = x->block ? &k_max_pool_blocked : &k_max_pool;
        if (chosen->dtype == LX_INT32)
            kernel = x->block ? &k_max_pool_large_blocked : &k_max_pool_large;
        else if (x->block && is_2x2(options))
            kernel = &k_max_pool_2x2_blocked;
        const long count = planes(shape, x->block);
        const double work = (double)count * (double)(shape[2] * shape[3]) * (x->block ? x->block : 1) * args.kernel_h *
                            args.kernel_w;
        LX_RUN(*kernel, shape[3], shape[2], count, work, args, error, &in, out, chosen);
    }
    lx_tensor_free(&in);
    if (error->code) {
        lx_tensor_free(out);
        lx_tensor_free(chosen);
    }
    return error->code;
}

/* The choices must be those of this forward pass: same shape, same layout. */
static lx_code check_backward(const lx_tensor *dy, const lx_tensor *chosen, lx_dtype dtype, const long out[4],
                              lx_error *error)
{
    char text[LX_SHAPE_TEXT], expected[LX_SHAPE_TEXT];
    const int vector = dy->block ? dy->block : 1;
    for (int i = 0; i < 4; i++)
        if (dy->shape[i] != out[i])
            return lx_fail(error, LX_EARG, "max_pool2d: the gradient is %s, the result was %s",
                           lx_shape_text(4, dy->shape, text), lx_shape_text(4, out, expected));
    if (chosen->dtype != dtype || !lx_tensor_dense(chosen) ||
        lx_tensor_count(chosen) != planes(out, dy->block) * out[2] * out[3] * vector)
        return lx_fail(error, LX_EARG, "max_pool2d: the choices do not belong to this gradient");
    return LX_OK;
}

/* Brings the gradient to the layout that the choices were made in. */
static lx_code match_layout(lx_tensor *out, const lx_tensor *dy, const lx_tensor *chosen, lx_error *error)
{
    const bool blocked = chosen->ndim == 4 && chosen->shape[3] == dy->storage->device->lanes && chosen->shape[3] > 1;
    if (blocked)
        return lx_to_blocked(out, dy, error);
    lx_tensor plain = {0};
    if (lx_to_plain(&plain, dy, error))
        return error->code;
    lx_contiguous(out, &plain, error);
    lx_tensor_free(&plain);
    return error->code;
}

lx_code lx_max_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *chosen, const long shape[4],
                               const lx_pool_options *options, lx_error *error)
{
    long out[4];
    pool_args args;
    lx_tensor in = {0};
    if (check_input(dy, error) || lx_same_device("max_pool2d", dy, chosen, error) ||
        plan(shape, options, out, &args, error) || match_layout(&in, dy, chosen, error))
        return error->code;
    const int block = in.block;
    if (!check_backward(&in, chosen, dtype_of_choices(options), out, error) && !new_layout(dx, dy->storage->device, block, shape, error)) {
        const long count = planes(shape, block);
        const bool halves = block && is_2x2(options);
        const bool even = shape[2] % 2 == 0 && shape[3] % 2 == 0;
        const double work = (double)count * (double)(shape[2] * shape[3]) * (block ? block : 1) * 4;
        if (halves) {
            if (even || !lx_fill(dx, 0, error))
                LX_RUN(k_max_pool_2x2_backward_blocked, out[3], out[2], count, work, args, error, &in, chosen, dx);
        } else {
            const lx_kernel *kernel = block ? &k_max_pool_backward_blocked : &k_max_pool_backward;
            if (chosen->dtype == LX_INT32)
                kernel = block ? &k_max_pool_large_backward_blocked : &k_max_pool_large_backward;
            LX_RUN(*kernel, shape[3], shape[2], count, work, args, error, &in, chosen, dx);
        }
    }
    lx_tensor_free(&in);
    if (error->code)
        lx_tensor_free(dx);
    return error->code;
}
