/* Mean-pooling: over windows of one size, and over as many windows as are asked for. */
#include "../../kernels/avgpool.h"

#include <limits.h>

#include "layers.h"
#include "ops.h"
#include "reduce.h"

LX_KERNEL(avgpool, avg_pool);
LX_KERNEL(avgpool, avg_pool_backward);
LX_KERNEL(avgpool, avg_pool_blocked);
LX_KERNEL(avgpool, avg_pool_backward_blocked);

enum { MOST_PIXELS = INT_MAX / 4 }; /* along an axis */

/* The kernels compute with int: sizes stay well below its limit, so that sums of them do too. */
static lx_code check_images(const char *function, int ndim, const long *shape, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    if (ndim == 4 && shape[0] >= 0 && shape[1] >= 0 && shape[2] > 0 && shape[3] > 0 && shape[2] <= MOST_PIXELS &&
        shape[3] <= MOST_PIXELS)
        return LX_OK;
    return lx_fail(error, LX_EARG, "%s: input should be [N,C,H,W] with H and W at least 1, got %s", function,
                   lx_shape_text(ndim, shape, text));
}

/* What to compute for images of the shape. */
static lx_code window_args(avg_pool_args *args, const char *function, const long *shape,
                           const lx_avg_pool2d_options *options, lx_error *error)
{
    char text[LX_SHAPE_TEXT];
    *args = (avg_pool_args){.count_padding = options->count_include_pad};
    for (int i = 0; i < 2; i++) {
        const int kernel = options->kernel[i], stride = options->stride[i], padding = options->padding[i];
        if (kernel < 1 || kernel > MOST_PIXELS || stride < 1 || stride > MOST_PIXELS || padding < 0 ||
            padding > kernel / 2)
            return lx_fail(error, LX_EARG,
                           "%s: kernel (%d) and stride (%d) should be at least 1, padding (%d) up to half of kernel",
                           function, kernel, stride, padding);
        if (shape[2 + i] + 2L * padding < kernel)
            return lx_fail(error, LX_EARG, "%s: the kernel (%d) is larger than the padded input (input %s, padding %d)",
                           function, kernel, lx_shape_text(4, shape, text), padding);
        args->size[i] = (int)shape[2 + i];
        args->window[i] = kernel;
        args->stride[i] = stride;
        args->padding[i] = padding;
        args->out[i] = (int)((shape[2 + i] + 2L * padding - kernel) / stride + 1);
    }
    return LX_OK;
}

static lx_code adaptive_args(avg_pool_args *args, const char *function, const long *shape, const long size[2],
                             lx_error *error)
{
    *args = (avg_pool_args){.adaptive = 1};
    for (int i = 0; i < 2; i++) {
        if (size[i] < 1 || size[i] > MOST_PIXELS)
            return lx_fail(error, LX_EARG, "%s: the size of the result should be at least {1, 1}, got {%ld, %ld}",
                           function, size[0], size[1]);
        args->size[i] = (int)shape[2 + i];
        args->out[i] = (int)size[i];
    }
    return LX_OK;
}

static double work_of(const lx_tensor *x, const lx_tensor *y)
{
    return 4 * ((double)lx_tensor_count(x) + (double)lx_tensor_count(y));
}

/* Blocked images stay blocked. */
static lx_code run_blocked(const lx_kernel *kernel, lx_tensor *out, const lx_tensor *in, const long shape[4],
                           const avg_pool_args *of, lx_error *error)
{
    const avg_pool_args args = *of;
    const long planes = shape[0] * lx_ceil_div(shape[1], in->block);
    if (!lx_tensor_new_blocked(out, in->storage->device, shape, error) &&
        LX_RUN(*kernel, shape[3], shape[2], planes, work_of(in, out), args, error, in, out))
        lx_tensor_free(out);
    return error->code;
}

static bool is_global(const avg_pool_args *args)
{
    return args->adaptive && args->out[0] == 1 && args->out[1] == 1;
}

static lx_code forward(lx_tensor *out, const lx_tensor *x, const avg_pool_args *args, lx_error *error)
{
    lx_tensor dense = {0};
    const long shape[4] = {x->shape[0], x->shape[1], args->out[0], args->out[1]};
    const long planes = shape[0] * shape[1];
    if (x->block)
        return run_blocked(&k_avg_pool_blocked, out, x, shape, args, error);
    if (lx_dense_float(&dense, x, error) || lx_tensor_new(out, x->storage->device, LX_FLOAT32, 4, shape, error))
        goto done;
    if (is_global(args))
        lx_row_means(out, &dense, planes, x->shape[2] * x->shape[3], error);
    else
        LX_RUN(k_avg_pool, shape[3], shape[2], planes, work_of(x, out), *args, error, &dense, out);
    if (error->code)
        lx_tensor_free(out);
done:
    lx_tensor_free(&dense);
    return error->code;
}

/* Each pixel has its share of the mean's gradient. */
static lx_code spread_mean(lx_tensor *dx, const lx_tensor *dy, const long shape[4], lx_error *error)
{
    lx_device *device = dy->storage->device;
    const lx_operand pixels = {NULL, (double)shape[2] * (double)shape[3]};
    if (!(dy->block ? lx_tensor_new_blocked(dx, device, shape, error)
                    : lx_tensor_new(dx, device, LX_FLOAT32, 4, shape, error)) &&
        lx_binary_into(dx, "div", (lx_operand){dy, 0}, pixels, error))
        lx_tensor_free(dx);
    return error->code;
}

static lx_code backward(lx_tensor *dx, const char *function, const lx_tensor *dy, const long shape[4],
                        const avg_pool_args *args, lx_error *error)
{
    char left[LX_SHAPE_TEXT], right[LX_SHAPE_TEXT];
    lx_tensor dense = {0};
    const long expected[4] = {shape[0], shape[1], args->out[0], args->out[1]};
    const long planes = shape[0] * shape[1];
    bool fits = dy->ndim == 4;
    for (int i = 0; fits && i < 4; i++)
        fits = dy->shape[i] == expected[i];
    if (!fits)
        return lx_fail(error, LX_EARG, "%s: dy should be %s, got %s", function, lx_shape_text(4, expected, left),
                       lx_shape_text(dy->ndim, dy->shape, right));
    if (is_global(args))
        return spread_mean(dx, dy, shape, error);
    if (dy->block)
        return run_blocked(&k_avg_pool_backward_blocked, dx, dy, shape, args, error);
    if (lx_dense_float(&dense, dy, error) || lx_tensor_new(dx, dy->storage->device, LX_FLOAT32, 4, shape, error))
        goto done;
    if (LX_RUN(k_avg_pool_backward, shape[2], planes, 1, work_of(dx, dy), *args, error, &dense, dx))
        lx_tensor_free(dx);
done:
    lx_tensor_free(&dense);
    return error->code;
}

lx_code lx_avg_pool2d(lx_tensor *out, const lx_tensor *x, const lx_avg_pool2d_options *options, lx_error *error)
{
    static const char *const function = "avg_pool2d";
    avg_pool_args args;
    if (check_images(function, x->ndim, x->shape, error) || window_args(&args, function, x->shape, options, error))
        return error->code;
    return forward(out, x, &args, error);
}

lx_code lx_avg_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const long input_shape[4],
                               const lx_avg_pool2d_options *options, lx_error *error)
{
    static const char *const function = "avg_pool2d_backward";
    avg_pool_args args;
    if (check_images(function, 4, input_shape, error) || window_args(&args, function, input_shape, options, error))
        return error->code;
    return backward(dx, function, dy, input_shape, &args, error);
}

lx_code lx_adaptive_avg_pool2d(lx_tensor *out, const lx_tensor *x, const long size[2], lx_error *error)
{
    static const char *const function = "adaptive_avg_pool2d";
    avg_pool_args args;
    if (check_images(function, x->ndim, x->shape, error) || adaptive_args(&args, function, x->shape, size, error))
        return error->code;
    return forward(out, x, &args, error);
}

lx_code lx_adaptive_avg_pool2d_backward(lx_tensor *dx, const lx_tensor *dy, const long input_shape[4], bool blocked,
                                        lx_error *error)
{
    static const char *const function = "adaptive_avg_pool2d_backward";
    char text[LX_SHAPE_TEXT];
    avg_pool_args args;
    if (dy->ndim != 4)
        return lx_fail(error, LX_EARG, "%s: dy should be [N,C,H,W], got %s", function,
                       lx_shape_text(dy->ndim, dy->shape, text));
    if (check_images(function, 4, input_shape, error) ||
        adaptive_args(&args, function, input_shape, dy->shape + 2, error))
        return error->code;
    lx_tensor gradient = {0};
    if (!(blocked ? lx_to_blocked(&gradient, dy, error) : LX_OK))
        backward(dx, function, blocked ? &gradient : dy, input_shape, &args, error);
    lx_tensor_free(&gradient);
    return error->code;
}
