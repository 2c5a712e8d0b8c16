/* Normalisation per channel on GPUs, by work-groups, and what is done row by row. Work-groups cannot count in what is
 * empty: the tile form's kernels do that. */
#include "../../../kernels/simt/norm.h"
#include "../../../kernels/simt/rows.h"
#include "../forms.h"
#include "../ops.h"

LX_SIMT_KERNEL(norm, channel_moments, 1);
LX_SIMT_KERNEL(norm, channel_moments_join, 2);
LX_SIMT_KERNEL(norm, channel_gradients, 6);
LX_SIMT_KERNEL(norm, channel_gradients_join, 2);
LX_SIMT_KERNEL(norm, batch_norm_groups, 6);
LX_SIMT_KERNEL(norm, batch_norm_backward_groups, 8);

enum {
    NEIGHBOURS = 32,     /* columns side by side, where a column has no neighbours of its own in memory */
    EACH = 8,            /* values of a work-item, at least, where there are enough */
    EACH_MOST = 64,      /* that it adds up one after another: the rounding error grows with their number */
    ENOUGH_GROUPS = 256, /* that keep a GPU busy; fixed, so that the order of additions depends on the shape alone */
    ROW_EACH = 4         /* elements of a row for which a work-item more is worth it */
};

/* ---- per channel ---------------------------------------------------------------------------------------------- */

/* Arranges the work-items of a group before `columns`, with at most `across` of these side by side. */
static void arrange(channel_args *args, long columns, long across)
{
    args->columns = columns;
    args->across = (int)lx_least(across, columns);
    args->blocks = lx_ceil_div(columns, args->across);
    args->along = 1;
    while (args->along * 2 * args->across <= NORM_ITEMS)
        args->along *= 2;
}

static void cut(channel_args *args, long chunks)
{
    args->chunk = lx_ceil_div(lx_ceil_div(args->count, chunks), args->along) * args->along;
    args->chunks = lx_ceil_div(args->count, args->chunk);
}

static channel_args args_of(const lx_tensor *x, const batch_norm_args *from)
{
    channel_args args = {.size = from->size,
                         .channels = from->channels,
                         .count = from->images * from->size,
                         .eps = from->eps,
                         .has_weight = from->has_weight,
                         .has_bias = from->has_bias,
                         .training = from->training,
                         .activation = from->activation,
                         .has_addend = from->has_addend};
    arrange(&args, x->block ? from->stored / x->block : from->channels, from->size == 1 ? NEIGHBOURS : 1);
    return args;
}

/* For sums: chunks enough to keep the device busy and the additions few. */
static channel_args args_for_sums(const lx_tensor *x, const batch_norm_args *from)
{
    channel_args args = args_of(x, from);
    const long wanted = lx_least(lx_ceil_div(ENOUGH_GROUPS, args.blocks), args.count / (args.along * EACH));
    const long few = lx_ceil_div(args.count, args.along * EACH_MOST);
    cut(&args, wanted > few ? wanted : few);
    return args;
}

/* For results of as many values as x: a few for each work-item. */
static channel_args args_for_values(const lx_tensor *x, const batch_norm_args *from)
{
    channel_args args = args_of(x, from);
    cut(&args, lx_ceil_div(args.count, args.along * EACH));
    return args;
}

#define RUN_COLUMNS(kernel, x, work, args, error, ...)                                                             \
    LX_RUN_GROUPS(kernel, (&(const lx_build_options){.blocked = (x)->block != 0}), args.blocks *args.chunks, 1, 1, \
                  NORM_ITEMS, 1, work, args, error, __VA_ARGS__)

/* Two numbers for each channel, of each chunk and then joined; with one chunk, in one go. */
typedef struct {
    lx_tensor first, second;
} pair;

static lx_code new_parts(pair *parts, const lx_tensor *x, const channel_args *args, lx_error *error)
{
    const long shape[] = {args->chunks, args->channels};
    if (lx_tensor_new(&parts->first, x->storage->device, LX_FLOAT32, 2, shape, error) ||
        lx_tensor_new(&parts->second, x->storage->device, LX_FLOAT32, 2, shape, error))
        return error->code;
    return LX_OK;
}

static lx_code join(const lx_kernel *kernel, const pair *parts, channel_args args, const lx_tensor *first,
                    const lx_tensor *second, lx_error *error)
{
    arrange(&args, args.channels, NEIGHBOURS);
    const long work = 4 * args.channels * args.chunks;
    return LX_RUN_GROUPS(*kernel, NULL, args.blocks, 1, 1, NORM_ITEMS, 1, work, args, error, &parts->first,
                         &parts->second, first, second);
}

static void free_pair(pair *parts)
{
    lx_tensor_free(&parts->first);
    lx_tensor_free(&parts->second);
}

static lx_code stats(lx_tensor *mean, lx_tensor *var, const lx_tensor *x, const batch_norm_args *from, lx_error *error)
{
    if (lx_tensor_count(x) == 0)
        return lx_batch_norm_tile.stats(mean, var, x, from, error);
    pair parts = {{0}, {0}};
    const channel_args args = args_for_sums(x, from);
    const double work = 4 * (double)lx_tensor_count(x);
    if (args.chunks == 1)
        RUN_COLUMNS(k_channel_moments, x, work, args, error, x, mean, var);
    else if (!new_parts(&parts, x, &args, error) &&
             !RUN_COLUMNS(k_channel_moments, x, work, args, error, x, &parts.first, &parts.second))
        join(&k_channel_moments_join, &parts, args, mean, var, error);
    free_pair(&parts);
    return error->code;
}

static lx_code apply(lx_tensor *y, const lx_tensor *x, const lx_tensor *mean, const lx_tensor *var,
                     const lx_tensor *weight, const lx_tensor *bias, const lx_tensor *addend,
                     const batch_norm_args *from, lx_error *error)
{
    if (lx_tensor_count(x) == 0)
        return lx_batch_norm_tile.apply(y, x, mean, var, weight, bias, addend, from, error);
    const channel_args args = args_for_values(x, from);
    return RUN_COLUMNS(k_batch_norm_groups, x, 4 * (double)lx_tensor_count(x), args, error, x, mean, var, weight, bias,
                       addend, y);
}

static lx_code sum_gradients(lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy, const lx_tensor *x,
                             const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight,
                             const lx_tensor *bias, const batch_norm_args *from, lx_error *error)
{
    pair parts = {{0}, {0}};
    const channel_args args = args_for_sums(x, from);
    const double work = 4 * (double)lx_tensor_count(x);
    if (args.chunks == 1)
        RUN_COLUMNS(k_channel_gradients, x, work, args, error, dy, x, mean, var, weight, bias, dbias, dweight);
    else if (!new_parts(&parts, x, &args, error) && !RUN_COLUMNS(k_channel_gradients, x, work, args, error, dy, x, mean,
                                                                 var, weight, bias, &parts.first, &parts.second))
        join(&k_channel_gradients_join, &parts, args, dbias, dweight, error);
    free_pair(&parts);
    return error->code;
}

static lx_code backward(lx_tensor *dx, lx_tensor *dweight, lx_tensor *dbias, const lx_tensor *dy, const lx_tensor *x,
                        const lx_tensor *mean, const lx_tensor *var, const lx_tensor *weight, const lx_tensor *bias,
                        const batch_norm_args *from, lx_error *error)
{
    if (lx_tensor_count(x) == 0)
        return lx_batch_norm_tile.backward(dx, dweight, dbias, dy, x, mean, var, weight, bias, from, error);
    const channel_args args = args_for_values(x, from);
    if (sum_gradients(dweight, dbias, dy, x, mean, var, weight, bias, from, error))
        return error->code;
    return RUN_COLUMNS(k_batch_norm_backward_groups, x, 6 * (double)lx_tensor_count(x), args, error, dy, x, mean, var,
                       weight, bias, dweight, dbias, dx);
}

const lx_batch_norm_ops lx_batch_norm_simt = {stats, apply, backward};

/* ---- per row -------------------------------------------------------------------------------------------------- */

lx_code lx_run_rows_simt(const lx_row_operation *operation, long rows, long size, double eps, double work,
                         const lx_tensor *const *tensors, int count, lx_error *error)
{
    row_groups_args args = {.rows = rows, .size = size, .along = 1, .eps = (float)eps};
    if (rows * size == 0)
        return lx_run_rows_tile(operation, rows, size, eps, work, tensors, count, error);
    while (args.along < ROW_ITEMS && args.along * ROW_EACH < size)
        args.along *= 2;
    const long groups[3] = {lx_ceil_div(rows, ROW_ITEMS / args.along), 1, 1};
    return lx_run_groups(operation->kernels[LX_SIMT], NULL, groups, (const int[3]){ROW_ITEMS, 1, 1}, work, &args,
                         sizeof args, tensors, count, error);
}
