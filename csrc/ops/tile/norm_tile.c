/* Normalisation per channel in tile form, and what is done row by row. */
#include "../../../kernels/row_args.h"
#include "../forms.h"
#include "../ops.h"

LX_KERNEL(norm, channel_moments);
LX_KERNEL(norm, channel_moments_blocked);
LX_KERNEL(norm, channel_moments_join);
LX_KERNEL(norm, channel_gradients);
LX_KERNEL(norm, channel_gradients_blocked);
LX_KERNEL(norm, channel_gradients_join);
LX_KERNEL(norm, batch_norm);
LX_KERNEL(norm, batch_norm_blocked);
LX_KERNEL_OVER(norm, batch_norm_backward, 0);
LX_KERNEL_OVER(norm, batch_norm_backward_blocked, 0);

/* ---- per channel ---------------------------------------------------------------------------------------------- */

static lx_code new_sums(lx_tensor *out, const lx_tensor *x, const batch_norm_args *args, lx_error *error)
{
    const long shape[] = {args->images, args->stored};
    return lx_tensor_new(out, x->storage->device, LX_FLOAT32, 2, shape, error);
}

/* Runs the kernel for the layout of x: a work-item for each channel, or block of channels, of each image. */
#define RUN_CHANNELS(kernel, x, work, args, error, ...)                                                        \
    LX_RUN(*((x)->block ? &kernel##_blocked : &kernel), (x)->block ? args.stored / (x)->block : args.channels, \
           args.images, 1, work, args, error, __VA_ARGS__)

static lx_code stats(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, const batch_norm_args *of, lx_error *error)
{
    const batch_norm_args args = *of;
    lx_tensor means = {0}, squares = {0};
    const double all = 4 * (double)lx_tensor_count(x), few = (double)(args.images * args.channels);
    if (!new_sums(&means, x, &args, error) && !new_sums(&squares, x, &args, error) &&
        !RUN_CHANNELS(k_channel_moments, x, all, args, error, x, &means, &squares))
        LX_RUN(k_channel_moments_join, args.channels, 1, 1, few, args, error, &means, &squares, mean, var);
    lx_tensor_free(&means);
    lx_tensor_free(&squares);
    return error->code;
}

static lx_code apply(lx_tensor *y, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                     const lx_tensor *weight, const lx_tensor *bias, const lx_tensor *addend, const batch_norm_args *of,
                     lx_error *error)
{
    const batch_norm_args args = *of;
    return RUN_CHANNELS(k_batch_norm, x, lx_tensor_count(x), args, error, x, mean, var, weight, bias, addend, y);
}

static lx_code backward(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy, const lx_tensor *x,
                        const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight, const lx_tensor *bias,
                        const batch_norm_args *of, lx_error *error)
{
    const batch_norm_args args = *of;
    lx_tensor sums = {0}, dots = {0};
    const double all = 4 * (double)lx_tensor_count(x), few = (double)(args.images * args.channels);
    if (!new_sums(&sums, x, &args, error) && !new_sums(&dots, x, &args, error) &&
        !RUN_CHANNELS(k_channel_gradients, x, all, args, error, x, mean, var, weight, bias, dy, &sums, &dots) &&
        !LX_RUN(k_channel_gradients_join, args.channels, 1, 1, few, args, error, &sums, &dots, var, dweight, dbias))
        RUN_CHANNELS(k_batch_norm_backward, x, all, args, error, dy, x, mean, var, weight, bias, dweight, dbias, dx);
    lx_tensor_free(&sums);
    lx_tensor_free(&dots);
    return error->code;
}

const lx_batch_norm_ops lx_batch_norm_tile = {stats, apply, backward};

/* ---- per row -------------------------------------------------------------------------------------------------- */

lx_code lx_run_rows_tile(const lx_row_operation *operation, long rows, long size, double eps, double work,
                         const lx_tensor *const *tensors, int count, lx_error *error)
{
    const row_args args = {.size = size, .eps = (float)eps};
    return lx_run(operation->kernels[LX_TILE], NULL, (const long[3]){rows, 1, 1}, work, &args, sizeof args, tensors,
                  count, error);
}
