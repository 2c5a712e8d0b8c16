/* Max-pooling. */
#include "../../kernels/pool.h"

#include "nn.h"

LX_KERNEL(pool, max_pool);
LX_KERNEL(pool, max_pool_2x2);
LX_KERNEL(pool, max_pool_backward);
LX_KERNEL(pool, max_pool_2x2_backward);

enum {
    LARGEST = 1 << 28, /* of sizes, so that kernels may add a few of them */
    WIDEST = 256       /* of windows: a byte holds a row or a column in one */
};

/* The size of the result along one side; less than 1 if no window fits. With `ceil` a last window may reach over the
 * end, if it begins in the image or the padding before it. */
static long pooled(long size, int kernel, int stride, int padding, bool ceil)
{
    const long room = size + 2L * padding - kernel;
    if (room < 0)
        return 0;
    const long whole = room / stride + 1;
    return ceil && room % stride != 0 && whole * stride < size + padding ? whole + 1 : whole;
}

/* Stored elements of a blocked tensor. */
static long stored(const long shape[4], int lanes)
{
    return shape[0] * lx_ceil_div(shape[1], lanes) * shape[2] * shape[3] * lanes;
}

/* Checks the options and gives the shape of the result for an input of `shape`. */
static lx_code find_args(const long shape[4], int lanes, const lx_pool_options *options, long out[4], pool_args *args,
                         lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    const int *kernel = options->kernel, *stride = options->stride, *padding = options->padding;
    for (int i = 0; i < 2; i++) {
        if (kernel[i] < 1 || kernel[i] > WIDEST || stride[i] < 1 || stride[i] > LARGEST)
            return lx_fail(error, LX_EARG,
                           "max_pool2d: kernel must be from 1 to %d and stride at least 1, got %d and %d", WIDEST,
                           kernel[i], stride[i]);
        if (padding[i] < 0 || padding[i] > kernel[i] / 2)
            return lx_fail(error, LX_EARG, "max_pool2d: padding %d must be from 0 to half the kernel, %d", padding[i],
                           kernel[i] / 2);
        if (shape[2 + i] < 1 || shape[2 + i] > LARGEST)
            return lx_fail(error, LX_EARG, "max_pool2d: height and width of the input must be from 1 to %d, got %s",
                           LARGEST, lx_shape_text(4, shape, text));
    }
    out[0] = shape[0];
    out[1] = shape[1];
    for (int i = 0; i < 2; i++)
        out[2 + i] = pooled(shape[2 + i], kernel[i], stride[i], padding[i], options->ceil);
    if (out[2] < 1 || out[3] < 1)
        return lx_fail(error, LX_EARG, "max_pool2d: a window of %d×%d does not fit input %s", kernel[0], kernel[1],
                       lx_shape_text(4, shape, text));
    *args = (pool_args){.count = stored(out, lanes),
                        .out_height = out[2],
                        .out_width = out[3],
                        .height = (int)shape[2],
                        .width = (int)shape[3],
                        .kernel_h = kernel[0],
                        .kernel_w = kernel[1],
                        .stride_h = stride[0],
                        .stride_w = stride[1],
                        .padding_h = padding[0],
                        .padding_w = padding[1]};
    return LX_OK;
}

static bool is_2x2(const lx_pool_options *o)
{
    return o->kernel[0] == 2 && o->kernel[1] == 2 && o->stride[0] == 2 && o->stride[1] == 2 && !o->padding[0] &&
           !o->padding[1] && !o->ceil;
}

static lx_code check_input(const lx_tensor *x, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (x->ndim == 4 && x->dtype == LX_FLOAT32)
        return LX_OK;
    return lx_fail(error, LX_EARG, "max_pool2d: expected a float32 tensor [N,C,H,W], got %s %s",
                   lx_dtype_name(x->dtype), lx_shape_text(x->ndim, x->shape, text));
}

/* One byte for each stored element of the result, or two (row and column) where windows are not 2×2. */
static long choices(const pool_args *args, const lx_pool_options *options)
{
    return is_2x2(options) ? args->count : 2 * args->count;
}

lx_code lx_max_pool2d(lx_tensor *out, lx_tensor *chosen, const lx_tensor *x, const lx_pool_options *options,
                      lx_error *error)
{
    long shape[4];
    pool_args args;
    lx_tensor in = {0};
    lx_device *device = x->storage->device;
    if (check_input(x, error) || find_args(x->shape, device->lanes, options, shape, &args, error) ||
        lx_to_blocked(&in, x, error))
        return error->code;
    const long bytes = choices(&args, options);
    if (!lx_tensor_new_blocked(out, device, shape, error) &&
        !lx_tensor_new(chosen, device, LX_UINT8, 1, &bytes, error)) {
        LX_ASSERT(in.block == device->lanes);
        const long planes = args.count / (shape[2] * shape[3] * device->lanes);
        LX_RUN(*(is_2x2(options) ? &k_max_pool_2x2 : &k_max_pool), shape[3], shape[2], planes,
               args.count * args.kernel_h * args.kernel_w, args, error, &in, out, chosen);
    }
    lx_tensor_free(&in);
    if (error->code) {
        lx_tensor_free(out);
        lx_tensor_free(chosen);
    }
    return error->code;
}

/* The gradient and the choices must be those of this forward pass. */
static lx_code check_backward(const lx_tensor *dy, const lx_tensor *chosen, long bytes, const long out[4],
                              lx_error *error)
{
    char text[LX_SHAPE_TEXT], expected[LX_SHAPE_TEXT];
    for (int i = 0; i < 4; i++)
        if (dy->shape[i] != out[i])
            return lx_fail(error, LX_EARG, "max_pool2d: the gradient is %s, the result was %s",
                           lx_shape_text(4, dy->shape, text), lx_shape_text(4, out, expected));
    if (chosen->dtype != LX_UINT8 || !lx_tensor_dense(chosen) || lx_tensor_count(chosen) != bytes)
        return lx_fail(error, LX_EARG, "max_pool2d: the choices do not belong to this gradient");
    return lx_same_device("max_pool2d", dy, chosen, error);
}

lx_code lx_max_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const lx_tensor *chosen, const long shape[4],
                               const lx_pool_options *options, lx_error *error)
{
    long out[4];
    pool_args args;
    lx_tensor in = {0};
    lx_device *device = dy->storage->device;
    if (check_input(dy, error) || find_args(shape, device->lanes, options, out, &args, error) ||
        check_backward(dy, chosen, choices(&args, options), out, error) || lx_to_blocked(&in, dy, error))
        return error->code;
    const bool even = shape[2] % 2 == 0 && shape[3] % 2 == 0;
    const long planes = args.count / (out[2] * out[3] * device->lanes);
    if (!lx_tensor_new_blocked(dx, device, shape, error)) {
        if (!is_2x2(options))
            LX_RUN(k_max_pool_backward, shape[3], shape[2], planes, 4 * stored(shape, device->lanes), args, error, &in,
                   chosen, dx);
        else if (even || !lx_fill(dx, 0, error))
            LX_RUN(k_max_pool_2x2_backward, out[3], out[2], planes, 4 * args.count, args, error, &in, chosen, dx);
    }
    lx_tensor_free(&in);
    if (error->code)
        lx_tensor_free(dx);
    return error->code;
}
