/* Reductions in tile form: in passes over chunks until one element is left. */
#include "../../../kernels/avgpool.h"
#include "../../../kernels/reduce.h"
#include "../forms.h"
#include "../ops.h"

LX_KERNEL(reduce, reduce_rows_sum);
LX_KERNEL(reduce, reduce_rows_prod);
LX_KERNEL(reduce, reduce_rows_max);
LX_KERNEL(reduce, reduce_rows_min);
LX_KERNEL(reduce, reduce_columns_sum);
LX_KERNEL(reduce, reduce_columns_prod);
LX_KERNEL(reduce, reduce_columns_max);
LX_KERNEL(reduce, reduce_columns_min);
LX_KERNEL(reduce, argmax_chunk);
LX_KERNEL(reduce, argmax_pick);
LX_KERNEL(reduce, argmin_chunk);
LX_KERNEL(reduce, argmin_pick);
LX_KERNEL(avgpool, plane_mean);

typedef struct {
    const lx_kernel *rows, *columns;
} tile_kernels;

static const tile_kernels reductions[LX_REDUCTIONS] = {
    [LX_SUM] = {&k_reduce_rows_sum, &k_reduce_columns_sum},
    [LX_PROD] = {&k_reduce_rows_prod, &k_reduce_columns_prod},
    [LX_MAX] = {&k_reduce_rows_max, &k_reduce_columns_max},
    [LX_MIN] = {&k_reduce_rows_min, &k_reduce_columns_min},
};

/* One pass: a chunk of x becomes one element of *out. */
static lx_code reduce_pass(lx_tensor *out, const lx_tensor *x, const tile_kernels *kernels, const reduce_args *args,
                           long outer, lx_error *error)
{
    const long count = outer * args->chunks * args->inner, work = outer * args->size * args->inner;
    const long columns = REDUCE_COLUMN_VECTORS * x->storage->device->lanes;
    if (lx_tensor_new(out, x->storage->device, LX_FLOAT32, 1, &count, error))
        return error->code;
    if (args->inner == 1)
        return LX_RUN(*kernels->rows, outer * args->chunks, 1, 1, work, *args, error, x, out);
    return LX_RUN(*kernels->columns, lx_ceil_div(args->inner, columns), args->chunks, outer, work, *args, error, x,
                  out);
}

static lx_code reduce(lx_tensor *out, lx_reduction reduction, const lx_tensor *x, lx_axis axis, lx_error *error)
{
    do {
        lx_tensor next = {0};
        reduce_args args = {.size = axis.size, .inner = axis.inner};
        args.chunk = axis.inner == 1 ? REDUCE_ROW_CHUNK : REDUCE_COLUMN_CHUNK;
        args.chunks = axis.size ? lx_ceil_div(axis.size, args.chunk) : 1;
        reduce_pass(&next, out->storage ? out : x, &reductions[reduction], &args, axis.outer, error);
        lx_tensor_free(out);
        *out = next;
        axis.size = args.chunks;
    } while (axis.size > 1 && !error->code);
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

static lx_code search(lx_tensor *out, bool smallest, const lx_tensor *x, lx_axis axis, lx_error *error)
{
    const lx_kernel *chunk = smallest ? &k_argmin_chunk : &k_argmax_chunk;
    const lx_kernel *pick = smallest ? &k_argmin_pick : &k_argmax_pick;
    lx_device *device = x->storage->device;
    lx_tensor candidates = {0};
    reduce_args args = {.size = axis.size, .inner = axis.inner, .chunk = REDUCE_ROW_CHUNK};
    args.chunks = lx_ceil_div(axis.size, args.chunk);
    const long count = axis.outer * axis.inner, partial = count * args.chunks, work = count * axis.size;
    if (!lx_tensor_new(&candidates, device, LX_INT32, 1, &partial, error) &&
        !lx_tensor_new(out, device, LX_INT32, 1, &count, error) &&
        !LX_RUN(*chunk, axis.inner, args.chunks, axis.outer, work, args, error, x, &candidates))
        LX_RUN(*pick, axis.inner, axis.outer, 1, partial, args, error, x, &candidates, out);
    lx_tensor_free(&candidates);
    if (error->code)
        lx_tensor_free(out);
    return error->code;
}

static lx_code row_means(const lx_tensor *y, const lx_tensor *x, long rows, long size, lx_error *error)
{
    const plane_mean_args args = {.size = size};
    return LX_RUN(k_plane_mean, rows, 1, 1, 4 * ((double)lx_tensor_count(x) + (double)lx_tensor_count(y)), args, error,
                  x, y);
}

static long mean_chunk(long size)
{
    (void)size;
    return REDUCE_ROW_CHUNK;
}

const lx_reduce_ops lx_reduce_tile = {reduce, search, row_means, mean_chunk};
